//! One program on two crates: code for the `RwLock` of async-lock compiles with this crate after its `use` is
//! changed, and does the same. The program names each public item of async-lock's `RwLock` at least once. The last
//! test and the page `migrating_from_async_lock` of the guide say where the two differ.

#![cfg(all(feature = "std", not(any(loom, shuttle, miri, target_family = "wasm"))))]

mod on_async_lock {
    use async_lock::futures::*;
    use async_lock::*;

    include!("program.rs");
}

mod on_multilock {
    use multilock::futures::*;
    use multilock::*;

    include!("program.rs");
}

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Wake, Waker};

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Counts how often `future`, which waits, is woken while `run` runs.
fn wakes(future: impl Future, run: impl FnOnce()) -> usize {
    let wakes = Arc::new(Wakes::default());
    let mut future = pin!(future);
    let waker = Waker::from(wakes.clone());
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    run();
    wakes.0.load(Relaxed)
}

/// If this test fails, async-lock has changed, and the guide must change, too.
#[test]
fn what_differs_is_what_the_guide_says() {
    let (ours, theirs) = (multilock::RwLock::new(1), async_lock::RwLock::new(1));
    // There, `Debug` acquires the lock and shows the data.
    assert!(format!("{ours:?}").starts_with("RwLock { state: "));
    assert_eq!(format!("{theirs:?}"), "RwLock { value: 1 }");
    // There, a reader sleeps on when the writer becomes an upgradable reader, and even when that reader has
    // released the lock.
    let guard = ours.try_write().unwrap();
    let downgrade = || drop(multilock::RwLockWriteGuard::downgrade_to_upgradable(guard));
    assert_eq!(wakes(ours.read(), downgrade), 1);
    let guard = theirs.try_write().unwrap();
    let downgrade = || drop(async_lock::RwLockWriteGuard::downgrade_to_upgradable(guard));
    assert_eq!(wakes(theirs.read(), downgrade), 0);
    // There, a waiting writer that is not polled keeps readers out of a free lock.
    macro_rules! reader_gets_in {
        ($lock:ident) => {{
            let guard = $lock.try_read().unwrap();
            let mut read = None;
            wakes($lock.write(), || {
                drop(guard);
                read = Some($lock.try_read().is_some());
            });
            read.unwrap()
        }};
    }
    assert_eq!((reader_gets_in!(ours), reader_gets_in!(theirs)), (true, false));
    // Here, a writer that waits for an upgradable reader blocks new readers.
    macro_rules! reader_joins {
        ($lock:ident) => {{
            let _guard = $lock.try_upgradable_read().unwrap();
            let mut read = None;
            wakes($lock.write(), || read = Some($lock.try_read().is_some()));
            read.unwrap()
        }};
    }
    assert_eq!((reader_joins!(ours), reader_joins!(theirs)), (false, true));
    // Here, an upgrade keeps others out from its first poll on, and not from the call.
    let upgrade =
        multilock::RwLockUpgradableReadGuard::upgrade(ours.try_upgradable_read().unwrap());
    assert!(ours.try_read().is_some());
    drop(upgrade);
    let upgrade =
        async_lock::RwLockUpgradableReadGuard::upgrade(theirs.try_upgradable_read().unwrap());
    assert!(theirs.try_read().is_none());
    drop(upgrade);
}
