//! A lock without other holders and waiters.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use multilock::MultiLock;

use crate::contestants::{
    AsyncLock, AsyncUpgradable, Guarded, Lock, Upgradable, Word, awaits, blocks, each, hold,
};
use crate::executor::{Runtime, now, poll};
use crate::harness::{Case, times};

const WORKLOAD: &str = "uncontended";

pub(crate) fn cases() -> Vec<Case> {
    type AsyncRwLock = async_lock::RwLock<()>;
    type Parking = parking_lot::RwLock<()>;
    let case = |name, bodies| times(WORKLOAD, format!("uncontended/{name}"), 1, bodies);
    vec![
        case("shared/await", awaits!(Word, |L| await_shared::<L>)),
        case("shared/try", blocks!(Word, |L| try_shared::<L>)),
        case("shared/block", blocks!(Word, |L| block_shared::<L>)),
        case("exclusive/await", awaits!(Word, |L| await_exclusive::<L>)),
        case("shared/held", awaits!(Word, |L| |times| held::<L>(false, times))),
        case("exclusive/held", awaits!(Word, |L| |times| held::<L>(true, times))),
        case("exclusive/boxed", awaits!(Word, |L| await_boxed::<L>)),
        case("exclusive/spawned", awaits!(Word, |L| spawned::<L>)),
        case("exclusive/try", blocks!(Word, |L| try_exclusive::<L>)),
        case("exclusive/block", blocks!(Word, |L| block_exclusive::<L>)),
        case("upgradable/await", each!(|L| await_upgradable::<L>, MultiLock, AsyncRwLock, Word)),
        case(
            "upgradable/try",
            each!(|L| try_upgradable::<L>, MultiLock, AsyncRwLock, Parking, Word),
        ),
        case(
            "upgradable/block",
            each!(|L| block_upgradable::<L>, MultiLock, AsyncRwLock, Parking, Word),
        ),
    ]
}

/// A body that repeats `$op`.
macro_rules! uncontended {
    ($($name:ident: $Lock:ident, |$lock:ident| $op:expr;)*) => {$(
        pub(crate) fn $name<L: $Lock>(times: u64) -> Duration {
            let (mut lock, count) = (L::default(), AtomicU64::new(0));
            let start = Instant::now();
            for _ in 0..times {
                let $lock = black_box(&mut lock);
                let guard = $op;
                black_box(&guard);
                count.store(count.load(Relaxed) + 1, Relaxed);
            }
            let time = start.elapsed();
            assert_eq!(count.into_inner(), times);
            assert!(lock.try_exclusive().is_some(), "all holders have released");
            time
        }
    )*};
}

uncontended! {
    try_shared: Lock, |lock| lock.try_shared().expect("no holder is exclusive");
    try_exclusive: Lock, |lock| lock.try_exclusive().expect("the lock is free");
    try_upgradable: Upgradable, |lock| lock.try_upgradable().expect("the lock is free");
    await_shared: AsyncLock, |lock| now(pin!(lock.shared()));
    await_exclusive: AsyncLock, |lock| now(pin!(lock.exclusive()));
    await_boxed: AsyncLock, |lock| now(Box::pin(lock.exclusive()).as_mut());
    await_upgradable: AsyncUpgradable, |lock| now(pin!(lock.upgradable()));
    block_shared: Lock, |lock| lock.shared_blocking();
    block_exclusive: Lock, |lock| lock.exclusive_blocking();
    block_upgradable: Upgradable, |lock| lock.upgradable_blocking();
}

/// A task of unknown type, whose guard is in its future while it is not polled.
fn held<L: AsyncLock>(is_exclusive: bool, times: u64) -> Duration {
    let shared = <(L, Guarded)>::default();
    let (lock, guarded) = black_box(&shared);
    let task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
        for _ in 0..times {
            hold(lock, guarded, is_exclusive, || ()).await;
        }
    });
    let mut task = black_box(task);
    let start = Instant::now();
    while poll(task.as_mut()).is_pending() {}
    let time = start.elapsed();
    assert_eq!(guarded.changes(), u64::from(is_exclusive) * times);
    time
}

/// Tasks that acquire the lock once, one after another: their futures move to the heap, and to other
/// workers.
fn spawned<L: AsyncLock>(times: u64) -> Duration {
    let shared = Arc::new(<(L, Guarded)>::default());
    let time = Runtime::Tokio.run(1, |_| {
        let shared = shared.clone();
        async move {
            for _ in 0..times {
                let shared = shared.clone();
                let task = tokio::spawn(async move {
                    let (lock, guarded) = &*shared;
                    hold(lock, guarded, true, || ()).await;
                });
                task.await.expect("it does not panic");
            }
        }
    });
    assert_eq!(shared.1.changes(), times);
    time
}
