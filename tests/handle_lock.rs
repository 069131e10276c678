//! The lock whose acquisitions have names: what it promises about names, with futures that are polled by
//! hand. What the lock itself promises is in `tests/contract`.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]
#![cfg_attr(
    target_family = "wasm",
    allow(unused_imports, dead_code, reason = "no threads, no unwinding")
)]

mod support;

use std::borrow::Borrow;
use std::cell::Cell;
use std::collections::HashSet;
use std::error::Error;
use std::future::{pending, poll_fn, ready};
use std::hint::black_box;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
#[cfg(feature = "std")]
use std::time::{Duration, Instant};

use futures_core::FusedFuture;
use multilock::Mode::{self, Exclusive, Shared, Upgradable};
use multilock::TryAcquireError::{self, WouldBlock};
use multilock::{HandleGuard, HandleId, HandleInUse, HandleLock, MultiLock, UpgradeError};

use support::{Counting, Hooks, Task, allocations, message, now, poll_once, without_allocation};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A name that cannot be cloned: a caller that gets a name back gets the very one that it passed.
#[derive(Debug, PartialEq, Eq)]
struct Name(u32);

type Lock = HandleLock<u32>;

fn in_use<H>(handle: H) -> Result<(), TryAcquireError<H>> {
    Err(TryAcquireError::HandleInUse(handle))
}

/// Checks that the lock has no holder and no waiter, and that no name is in use.
#[track_caller]
fn assert_idle<H: Clone>(lock: &HandleLock<H>) {
    assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
    assert!(lock.holders().is_empty());
}

/// Whether `name` is in use. The lock must be available in shared mode.
#[track_caller]
fn is_used(lock: &Lock, name: u32) -> bool {
    match lock.try_acquire(Shared, name) {
        Ok(()) => lock.release(&name).is_none(),
        Err(error) => {
            assert_eq!(error, TryAcquireError::HandleInUse(name));
            true
        }
    }
}

// ------------------------------------------------------------------------------- Names in use

#[test]
fn a_name_in_use_is_returned_and_nothing_changes() {
    for held in Mode::ALL {
        let lock = HandleLock::new();
        lock.try_acquire(held, Name(7)).unwrap();
        let before = lock.snapshot();
        for mode in Mode::ALL {
            assert_eq!(lock.try_acquire(mode, Name(7)), in_use(Name(7)));
            assert_eq!(lock.try_context(mode, Name(7)).map(drop), in_use(Name(7)));
            assert_eq!(now(lock.acquire(mode, Name(7))), Err(HandleInUse(Name(7))));
            assert_eq!(now(lock.context(mode, Name(7))).map(drop), Err(HandleInUse(Name(7))));
        }
        assert_eq!(lock.snapshot(), before);
        assert_eq!(lock.release(&Name(7)), Some(held));
        assert_eq!(lock.release(&Name(7)), None);
        assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
    }
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn a_name_in_use_is_returned_by_blocking_acquisitions() {
    let lock = HandleLock::new();
    lock.try_acquire(Exclusive, Name(7)).unwrap();
    let long = Duration::from_secs(60);
    assert_eq!(lock.acquire_blocking(Exclusive, Name(7)), Err(HandleInUse(Name(7))));
    assert_eq!(lock.acquire_blocking_timeout(Exclusive, Name(7), long), in_use(Name(7)));
    assert_eq!(
        lock.acquire_blocking_deadline(Exclusive, Name(7), Instant::now() + long),
        in_use(Name(7))
    );
    assert_eq!(lock.release(&Name(7)), Some(Exclusive));
}

#[test]
fn a_name_is_in_use_while_its_acquisition_waits() {
    let lock = Lock::new();
    lock.try_acquire(Exclusive, 1).unwrap();
    let mut acquire = Task::queued(lock.acquire(Shared, 2));
    let mut context = Task::queued(lock.context(Shared, 3));
    let word = lock.snapshot();
    for name in [2, 3] {
        assert_eq!(lock.try_acquire(Shared, name), in_use(name));
        assert_eq!(now(lock.acquire(Exclusive, name)), Err(HandleInUse(name)));
        // A waiter has nothing to release, and continues to wait.
        assert_eq!(lock.release(&name), None);
    }
    assert_eq!(lock.snapshot(), word);
    assert_eq!(lock.holders(), [(1, Exclusive)]);
    assert_eq!(lock.release(&1), Some(Exclusive));
    acquire.run().expect("woken").unwrap();
    let guard = context.run().expect("woken").unwrap();
    assert_eq!(lock.holders(), [(2, Shared), (3, Shared)]);
    drop(guard);
    assert_eq!(lock.release(&2), Some(Shared));
    assert_idle(&lock);
}

#[test]
fn a_failed_try_returns_the_name_and_does_not_use_it() {
    let lock = HandleLock::new();
    lock.try_acquire(Exclusive, Name(1)).unwrap();
    for mode in Mode::ALL {
        assert_eq!(lock.try_acquire(mode, Name(2)), Err(WouldBlock(Name(2))));
        assert_eq!(lock.try_context(mode, Name(2)).map(drop), Err(WouldBlock(Name(2))));
    }
    assert_eq!(lock.release(&Name(1)), Some(Exclusive));
    lock.try_acquire(Shared, Name(2)).unwrap();
}

#[test]
fn c5_a_name_is_not_in_use_before_the_first_poll() {
    let lock = Lock::new();
    let mut acquire = Task::new(lock.acquire(Shared, 1));
    let context = Task::new(lock.context(Shared, 2));
    assert_idle(&lock);
    lock.try_acquire(Shared, 1).unwrap();
    assert!(!is_used(&lock, 2));
    assert_eq!(acquire.finish(), Err(HandleInUse(1)));
    drop(context);
    let lock = HandleLock::<HandleId>::new();
    let fresh = Task::new(lock.acquire_new(Shared));
    assert_idle(&lock);
    drop(fresh);
}

#[test]
fn release_of_an_unknown_name_is_harmless_and_says_so() {
    let lock = Lock::new();
    assert_eq!(lock.release(&1), None);
    lock.try_acquire(Upgradable, 1).unwrap();
    assert_eq!(lock.release(&2), None);
    assert_eq!(lock.holders(), [(1, Upgradable)]);
    assert_eq!(lock.release(&1), Some(Upgradable));
    assert_eq!(lock.release(&1), None);
    assert_idle(&lock);
}

#[test]
fn release_takes_a_borrowed_form_of_the_name() {
    let lock: HandleLock<String> = HandleLock::new();
    lock.try_acquire(Shared, "a".into()).unwrap();
    lock.try_acquire(Shared, "b".into()).unwrap();
    assert_eq!(lock.release("c"), None);
    assert_eq!(lock.release("a"), Some(Shared));
    assert_eq!(lock.release(&String::from("b")), Some(Shared));
    assert_idle(&lock);
    let lock: HandleLock<Box<[u8]>> = HandleLock::new();
    lock.try_acquire(Exclusive, Box::new([1, 2])).unwrap();
    assert_eq!(lock.release([1, 2].as_slice()), Some(Exclusive));
}

#[test]
#[cfg(not(target_family = "wasm"))]
fn release_wakes_waiters_and_may_happen_in_another_thread() {
    let lock = Lock::new();
    lock.try_acquire(Exclusive, 1).unwrap();
    let mut waiter = Task::queued(lock.acquire(Exclusive, 2));
    let release = || assert_eq!(lock.release(&1), Some(Exclusive));
    thread::scope(|scope| scope.spawn(release).join().unwrap());
    waiter.run().expect("woken").unwrap();
    assert_eq!(lock.holders(), [(2, Exclusive)]);
}

// ------------------------------------------------------------------------------------- Holders

#[test]
fn holders_are_listed_in_order_of_arrival_with_their_modes() {
    let lock = Lock::new();
    assert_eq!(lock.holders(), []);
    // More names than fit in two chunks.
    let mut expected: Vec<_> = (0..20).map(|name| (name, Shared)).collect();
    expected[13].1 = Upgradable;
    for (name, mode) in expected.clone() {
        lock.try_acquire(mode, name).unwrap();
    }
    assert_eq!(lock.holders(), expected);
    for name in 0..20 {
        assert_eq!(lock.try_acquire(Shared, name), in_use(name));
    }
    // The first slots are free, and names that reuse them are listed last.
    for name in [0, 5, 9] {
        assert_eq!(lock.release(&name), Some(Shared));
        expected.retain(|holder| holder.0 != name);
        lock.try_acquire(Shared, name + 100).unwrap();
        expected.push((name + 100, Shared));
    }
    assert_eq!(lock.holders(), expected);
    for (name, mode) in expected {
        assert_eq!(lock.release(&name), Some(mode));
    }
    assert_idle(&lock);
}

#[test]
fn holders_do_not_include_waiters() {
    let lock = Lock::new();
    let guard = lock.try_context(Shared, 1).unwrap();
    let mut waiter = Task::queued(lock.acquire(Exclusive, 2));
    assert_eq!(lock.holders(), [(1, Shared)]);
    assert_eq!(lock.locked(), Some(Shared));
    assert!(lock.snapshot().is_awaited(Exclusive));
    drop(guard);
    assert_eq!(lock.holders(), []);
    waiter.run().expect("woken").unwrap();
    assert_eq!(lock.holders(), [(2, Exclusive)]);
}

// ------------------------------------------------------------------------------- Cancellation

#[test]
fn c4_a_dropped_acquisition_leaves_nothing() {
    // The names of the dropped acquisitions are in the first chunk, or in the second.
    for holders in [1, 8] {
        for mode in Mode::ALL {
            for woken in [false, true] {
                let lock = Lock::new();
                (0..holders).for_each(|name| lock.try_acquire(Shared, name).unwrap());
                // All others wait behind this one.
                let mut first = Some(Task::queued(lock.acquire(Exclusive, 100)));
                let new = Task::new(lock.acquire(mode, 101));
                let acquire = Task::queued(lock.acquire(mode, 102));
                let context = Task::queued(lock.context(mode, 103));
                let acquire_or = Task::queued(lock.acquire_or(mode, 104, pending::<()>()));
                let context_or = Task::queued(lock.context_or(mode, 105, pending::<()>()));
                if woken {
                    first = None;
                    assert_eq!(acquire.woken(), mode != Exclusive);
                }
                drop((new, acquire, context, acquire_or, context_or));
                drop(first);
                (100..106).for_each(|name| assert!(!is_used(&lock, name), "{name}"));
                (0..holders).for_each(|name| assert_eq!(lock.release(&name), Some(Shared)));
                assert_idle(&lock);
            }
        }
    }
}

#[test]
fn c3_a_woken_acquisition_that_is_dropped_passes_it_on() {
    let lock = Lock::new();
    lock.try_acquire(Exclusive, 1).unwrap();
    let first = Task::queued(lock.acquire(Exclusive, 2));
    let second = Task::queued(lock.context(Exclusive, 3));
    let mut third = Task::queued(lock.acquire(Exclusive, 4));
    assert_eq!(lock.release(&1), Some(Exclusive));
    assert!(first.woken() && !second.woken());
    drop(first);
    assert!(second.woken() && !third.woken());
    drop(second);
    third.run().expect("woken").unwrap();
    assert!(!is_used_exclusively(&lock, 2) && !is_used_exclusively(&lock, 3));
    assert_eq!(lock.release(&4), Some(Exclusive));
    assert_idle(&lock);
}

#[test]
fn an_acquisition_or_a_cancel_future_ends_with_one_of_them() {
    for mode in Mode::ALL {
        let lock = Lock::new();
        let cancel = Cell::new(false);
        let canceled =
            || poll_fn(|_| if cancel.get() { Poll::Ready("late") } else { Poll::Pending });
        let never = || poll_fn(|_| -> Poll<()> { panic!("polled needlessly") });
        now(lock.acquire_or(mode, 1, never())).unwrap().unwrap();
        assert_eq!(lock.holders(), [(1, mode)]);
        // The name is in use.
        assert_eq!(now(lock.acquire_or(mode, 1, never())), Ok(Err(HandleInUse(1))));
        lock.release(&1).unwrap();

        // Acquired.
        lock.try_acquire(Exclusive, 1).unwrap();
        let mut waiter = Task::queued(lock.acquire_or(mode, 2, canceled()));
        assert!(is_used_exclusively(&lock, 2));
        assert_eq!(lock.holders(), [(1, Exclusive)]);
        lock.release(&1).unwrap();
        assert_eq!(waiter.run().expect("woken"), Ok(Ok(())));
        assert!(waiter.future().is_terminated());
        assert_eq!(lock.holders(), [(2, mode)]);
        drop(waiter);
        lock.release(&2).unwrap();

        // Canceled: the name is returned, and is not in use before the future is dropped.
        lock.try_acquire(Exclusive, 1).unwrap();
        let mut waiter = Task::queued(lock.acquire_or(mode, 2, canceled()));
        cancel.set(true);
        assert_eq!(waiter.finish(), Err((2, "late")));
        assert!(!is_used_exclusively(&lock, 2) && !lock.snapshot().is_awaited(mode));
        drop(waiter);

        // Both are ready.
        cancel.set(false);
        let mut waiter = Task::queued(lock.acquire_or(mode, 2, canceled()));
        cancel.set(true);
        lock.release(&1).unwrap();
        assert_eq!(waiter.finish(), Ok(Ok(())));
        drop(waiter);
        lock.release(&2).unwrap();
        assert_idle(&lock);
    }
}

#[test]
fn a_guard_or_a_cancel_future_ends_with_one_of_them() {
    for mode in Mode::ALL {
        let lock = Lock::new();
        let never = || poll_fn(|_| -> Poll<()> { panic!("polled needlessly") });
        let guard = now(lock.context_or(mode, 1, never())).unwrap().unwrap();
        assert_eq!((guard.mode(), lock.release(&1)), (mode, None));
        let in_use = now(lock.context_or(mode, 1, never())).unwrap().map(drop);
        assert_eq!(in_use, Err(HandleInUse(1)));
        drop(guard);
        assert_idle(&lock);

        // Acquired by a release.
        lock.try_acquire(Exclusive, 1).unwrap();
        let mut waiter = Task::queued(lock.context_or(mode, 2, pending::<()>()));
        lock.release(&1).unwrap();
        let guard = waiter.run().expect("woken").unwrap().unwrap();
        assert!(waiter.future().is_terminated());
        drop(waiter);
        assert_eq!(lock.holders(), [(2, mode)]);
        drop(guard);

        // Canceled: the name is returned, and is not in use any more.
        lock.try_acquire(Exclusive, 1).unwrap();
        assert_eq!(now(lock.context_or(mode, 2, ready("late"))).map(drop), Err((2, "late")));
        assert!(!is_used_exclusively(&lock, 2) && !lock.snapshot().is_awaited(mode));

        // The holder leaves while `cancel` is polled.
        let leaves = poll_fn(|_| Poll::Ready(lock.release(&1)));
        let guard = now(lock.context_or(mode, 2, leaves)).unwrap().unwrap();
        assert_eq!(lock.holders(), [(2, mode)]);
        drop(guard);
        assert_idle(&lock);
    }
}

/// The holder leaves while `cancel` is polled.
#[test]
fn a_canceled_acquisition_tries_once_more() {
    let lock = Lock::new();
    lock.try_acquire(Exclusive, 1).unwrap();
    let leaves = poll_fn(|_| Poll::Ready(lock.release(&1)));
    assert_eq!(now(lock.acquire_or(Exclusive, 2, leaves)), Ok(Ok(())));
    assert_eq!(lock.holders(), [(2, Exclusive)]);
}

#[test]
fn c3_a_woken_acquisition_that_is_canceled_passes_it_on() {
    for drops in [false, true] {
        let lock = Lock::new();
        let cancel = Cell::new(false);
        let canceled = poll_fn(|_| if cancel.get() { Poll::Ready(()) } else { Poll::Pending });
        lock.try_acquire(Exclusive, 1).unwrap();
        let mut first = Task::queued(lock.acquire_or(Exclusive, 2, canceled));
        let mut second = Task::queued(lock.acquire(Exclusive, 3));
        lock.release(&1).unwrap();
        assert!(first.woken() && !second.woken());
        // It is overtaken, and then canceled.
        lock.try_acquire(Shared, 4).unwrap();
        cancel.set(true);
        if drops {
            drop(first);
        } else {
            assert_eq!(first.finish(), Err((2, ())));
        }
        lock.release(&4).unwrap();
        second.run().expect("woken").unwrap();
        assert!(!is_used_exclusively(&lock, 2));
        assert_eq!(lock.release(&3), Some(Exclusive));
        assert_idle(&lock);
    }
}

/// The drop of `cancel` is foreign code. It runs when the lock has been acquired.
#[test]
#[cfg(panic = "unwind")]
fn an_acquisition_is_undone_if_the_drop_of_cancel_panics() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let lock = Lock::new();
    let bomb = PanicsOnDrop;
    let cancel = async move {
        pending::<()>().await;
        drop(bomb);
    };
    catch_unwind(AssertUnwindSafe(|| _ = poll_once(lock.acquire_or(Exclusive, 1, cancel))))
        .unwrap_err();
    assert!(!is_used(&lock, 1));
    assert_idle(&lock);
}

/// As [`is_used`], for a lock that is not available.
#[track_caller]
fn is_used_exclusively(lock: &Lock, name: u32) -> bool {
    let error = lock.try_acquire(Shared, name).unwrap_err();
    assert_eq!(error.into_handle(), name);
    error != WouldBlock(name)
}

/// `end`, made by `begin`, wakes a task, whose waker uses the name of the acquisition that has ended.
fn assert_free_when_others_are_woken<E: FnOnce()>(
    lock: &'static Lock,
    begin: impl FnOnce(&'static Lock) -> E,
) {
    let was_free = Arc::new(AtomicBool::new(false));
    let seen = was_free.clone();
    let on_wake = Box::new(move || seen.store(lock.try_acquire(Shared, 7).is_ok(), SeqCst));
    let end = begin(lock);
    let mut behind = Task::new(lock.acquire(Shared, 100));
    let waker = Hooks { on_wake, ..Hooks::default() }.waker();
    assert!(behind.poll_with(&waker).is_pending());
    end();
    assert!(was_free.load(SeqCst), "the name is still in use while others are woken");
}

#[test]
fn a_name_is_free_when_others_are_woken() {
    static LOCKS: [Lock; 5] = [const { Lock::new() }; 5];
    assert_free_when_others_are_woken(&LOCKS[0], |lock| {
        lock.try_acquire(Exclusive, 7).unwrap();
        || assert_eq!(lock.release(&7), Some(Exclusive))
    });
    assert_free_when_others_are_woken(&LOCKS[1], |lock| {
        let guard = lock.try_context(Exclusive, 7).unwrap();
        || drop(guard)
    });
    assert_free_when_others_are_woken(&LOCKS[2], |lock| {
        lock.try_acquire(Shared, 1).unwrap();
        let waiter = Task::queued(lock.acquire(Exclusive, 7));
        || drop(waiter)
    });
    assert_free_when_others_are_woken(&LOCKS[3], |lock| {
        lock.try_acquire(Shared, 1).unwrap();
        let waiter = Task::queued(lock.context(Exclusive, 7));
        || drop(waiter)
    });
    assert_free_when_others_are_woken(&LOCKS[4], |lock| {
        lock.try_acquire(Shared, 1).unwrap();
        let waiter = Task::queued(lock.acquire_or(Exclusive, 7, pending::<()>()));
        || drop(waiter)
    });
}

// -------------------------------------------------------------------------------------- Guards

#[test]
fn a_guard_releases_the_hold_and_the_name() {
    let lock = Lock::new();
    for mode in Mode::ALL {
        let guard = now(lock.context(mode, 7)).unwrap();
        assert_eq!((guard.mode(), guard.handle()), (mode, 7));
        assert!(std::ptr::eq(guard.lock(), &lock));
        assert_eq!(lock.holders(), [(7, mode)]);
        assert_eq!(lock.try_acquire(Shared, 7), in_use(7));
        drop(guard);
        assert_idle(&lock);
    }
}

#[test]
fn an_acquisition_with_a_guard_is_not_released_by_its_name() {
    let lock = Lock::new();
    let guard = lock.try_context(Exclusive, 7).unwrap();
    assert_eq!(lock.release(&7), None);
    assert_eq!(lock.holders(), [(7, Exclusive)]);
    drop(guard);
    assert_idle(&lock);
}

#[test]
fn a_guard_that_is_forgotten_keeps_lock_and_name() {
    let lock = Lock::new();
    mem::forget(lock.try_context(Shared, 7).unwrap());
    assert_eq!(lock.release(&7), None);
    assert_eq!(lock.try_acquire(Shared, 7), in_use(7));
    assert_eq!(lock.try_acquire(Exclusive, 8), Err(WouldBlock(8)));
    assert_eq!(lock.holders(), [(7, Shared)]);
}

#[test]
#[cfg(panic = "unwind")]
fn a_guard_that_is_dropped_by_a_panic_releases() {
    let lock = Lock::new();
    let panic = catch_unwind(|| {
        let _guard = lock.try_context(Exclusive, 7).unwrap();
        panic!("inside");
    });
    assert_eq!(message(panic.unwrap_err()), "inside");
    assert_idle(&lock);
}

#[test]
fn holders_follow_a_guard_that_changes_its_mode() {
    let lock = Lock::new();
    let mut guard = lock.try_context(Exclusive, 7).unwrap();
    for (to, holders) in [(Exclusive, Exclusive), (Upgradable, Upgradable)] {
        guard.downgrade(to);
        assert_eq!(lock.holders(), [(7, holders)]);
        assert_eq!(lock.locked(), Some(holders));
    }
    guard.try_upgrade().unwrap();
    assert_eq!((guard.mode(), lock.holders()), (Exclusive, vec![(7, Exclusive)]));
    guard.downgrade(Shared);
    assert_eq!((guard.mode(), lock.holders()), (Shared, vec![(7, Shared)]));
    now(guard.upgrade()).unwrap();
    assert_eq!((guard.mode(), lock.holders()), (Exclusive, vec![(7, Exclusive)]));
    now(guard.upgrade()).unwrap();
    drop(guard);
    assert_idle(&lock);
}

#[test]
fn u2_a_guard_upgrades_when_the_other_holders_have_left() {
    let lock = Lock::new();
    let mut guard = lock.try_context(Upgradable, 1).unwrap();
    lock.try_acquire(Shared, 2).unwrap();
    assert_eq!(guard.try_upgrade(), Err(UpgradeError::SharedHolders));
    assert_eq!(guard.mode(), Upgradable);
    // An upgrade that is dropped leaves the guard as it was.
    drop(Task::queued(guard.upgrade()));
    assert_eq!(guard.mode(), Upgradable);
    assert_eq!(lock.holders(), [(1, Upgradable), (2, Shared)]);
    let mut upgrade = Task::queued(guard.upgrade());
    assert_eq!(lock.holders(), [(1, Upgradable), (2, Shared)]);
    assert_eq!(lock.release(&2), Some(Shared));
    upgrade.run().expect("woken").unwrap();
    drop(upgrade);
    assert_eq!((guard.mode(), lock.holders()), (Exclusive, vec![(1, Exclusive)]));
    drop(guard);
    assert_idle(&lock);
}

#[test]
fn u2_an_upgrade_of_a_guard_or_a_cancel_future_ends_with_one_of_them() {
    for from in [Shared, Upgradable] {
        let lock = Lock::new();
        let mut guard = lock.try_context(from, 1).unwrap();
        lock.try_acquire(Shared, 2).unwrap();
        // Canceled: the guard is as it was, and what waits is woken.
        let cancel = Cell::new(false);
        let canceled = poll_fn(|_| if cancel.get() { Poll::Ready(7) } else { Poll::Pending });
        let mut upgrade = Task::queued(guard.upgrade_or(canceled));
        assert_eq!(lock.holders(), [(1, Upgradable), (2, Shared)]);
        let mut waiter = Task::queued(lock.acquire(Shared, 3));
        cancel.set(true);
        assert_eq!(upgrade.finish(), Err(7));
        drop(upgrade);
        assert_eq!((guard.mode(), lock.holders()[0]), (from, (1, from)));
        waiter.run().expect("woken").unwrap();
        drop(waiter);
        lock.release(&3).unwrap();

        // The other holder leaves while `cancel` is polled.
        assert_eq!(now(guard.upgrade_or(poll_fn(|_| Poll::Ready(lock.release(&2))))), Ok(Ok(())));
        assert_eq!((guard.mode(), lock.holders()), (Exclusive, vec![(1, Exclusive)]));
        guard.downgrade(from);

        // Upgraded by a release, and at once.
        lock.try_acquire(Shared, 2).unwrap();
        let mut upgrade = Task::queued(guard.upgrade_or(pending::<()>()));
        lock.release(&2).unwrap();
        assert_eq!(upgrade.run(), Some(Ok(Ok(()))));
        drop(upgrade);
        assert_eq!(now(guard.upgrade_or(pending::<()>())), Ok(Ok(())));
        drop(guard);
        assert_idle(&lock);
    }
    let lock = Lock::new();
    let _upgradable = lock.try_context(Upgradable, 1).unwrap();
    let mut second = lock.try_context(Shared, 2).unwrap();
    assert_eq!(now(second.upgrade_or(ready(()))), Ok(Err(UpgradeError::Conflict)));
    assert_eq!(lock.holders(), [(1, Upgradable), (2, Shared)]);
}

#[test]
fn holders_show_an_upgrade_that_waits_as_the_lock_does() {
    for from in [Shared, Upgradable] {
        let lock = Lock::new();
        let mut guard = lock.try_context(from, 1).unwrap();
        lock.try_acquire(Shared, 2).unwrap();
        let upgrade = Task::queued(guard.upgrade());
        assert_eq!(lock.holders(), [(1, Upgradable), (2, Shared)]);
        assert_eq!(lock.locked(), Some(Upgradable));
        drop(upgrade);
        assert_eq!((guard.mode(), lock.holders()), (from, vec![(1, from), (2, Shared)]));
        let mut upgrade = Task::queued(guard.upgrade());
        assert_eq!(lock.release(&2), Some(Shared));
        upgrade.run().expect("woken").unwrap();
        drop(upgrade);
        assert_eq!((guard.mode(), lock.holders()), (Exclusive, vec![(1, Exclusive)]));
    }
}

#[test]
fn u3_the_second_of_two_upgraders_is_refused_at_once() {
    let lock = Lock::new();
    let mut first = lock.try_context(Upgradable, 1).unwrap();
    let mut second = lock.try_context(Shared, 2).unwrap();
    let mut upgrade = Task::queued(first.upgrade());
    assert_eq!(now(second.upgrade()), Err(UpgradeError::Conflict));
    assert_eq!(second.try_upgrade(), Err(UpgradeError::Conflict));
    assert_eq!((second.mode(), second.handle()), (Shared, 2));
    drop(second);
    upgrade.run().expect("woken").unwrap();
}

#[test]
fn u4_a_guard_that_downgrades_admits_others() {
    let lock = Lock::new();
    let mut guard = lock.try_context(Exclusive, 1).unwrap();
    let mut waiter = Task::queued(lock.acquire(Shared, 2));
    guard.downgrade(Shared);
    waiter.run().expect("woken").unwrap();
    assert_eq!(lock.holders(), [(1, Shared), (2, Shared)]);
}

#[test]
#[cfg(panic = "unwind")]
fn bad_use_downgrading_to_a_stronger_mode_panics_and_keeps_the_hold() {
    let lock = Lock::new();
    let mut guard = lock.try_context(Shared, 1).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| guard.downgrade(Exclusive)));
    assert_eq!(message(panic.unwrap_err()), "cannot downgrade from Shared to Exclusive");
    assert_eq!((guard.mode(), lock.holders()), (Shared, vec![(1, Shared)]));
    drop(guard);
    assert_idle(&lock);
}

// --------------------------------------------------------------------------------- Fresh names

#[test]
fn fresh_names_are_never_in_use() {
    let lock: HandleLock<HandleId> = HandleLock::new();
    let mut names: Vec<_> = (0..10).map(|_| now(lock.acquire_new(Shared))).collect();
    names.extend((0..10).map(|_| lock.try_acquire_new(Shared).unwrap()));
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 20);
    assert_eq!(lock.holders(), names.iter().map(|&name| (name, Shared)).collect::<Vec<_>>());
    assert!(lock.try_acquire_new(Exclusive).is_none());
    let mut waiter = Task::queued(lock.acquire_new(Exclusive));
    drop(Task::queued(lock.acquire_new(Shared)));
    assert_eq!(lock.holders().len(), 20);
    for name in &names {
        assert_eq!(lock.release(name), Some(Shared));
    }
    let name = waiter.run().expect("woken");
    assert!(!names.contains(&name));
    assert_eq!(lock.release(&name), Some(Exclusive));
    assert_idle(&lock);
}

/// A type with few names, each of which is generated twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Few(usize);

impl From<HandleId> for Few {
    fn from(_: HandleId) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        Self(MADE.fetch_add(1, SeqCst) / 2 % 10)
    }
}

#[test]
fn fresh_names_are_generated_again_while_they_are_in_use() {
    let lock: HandleLock<Few> = HandleLock::new();
    let names: HashSet<_> = (0..10).map(|_| lock.try_acquire_new(Shared).unwrap()).collect();
    assert_eq!(names.len(), 10);
    assert_eq!(lock.release(&Few(3)), Some(Shared));
    assert_eq!(now(lock.acquire_new(Shared)), Few(3));
}

// -------------------------------------------------------------------------------- Foreign code

std::thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

/// A name whose comparison and clone panic when they are armed.
#[derive(Debug)]
struct Touchy(u32);

impl Touchy {
    fn touch(&self) -> u32 {
        assert!(!ARMED.get(), "touched");
        self.0
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        self.touch() == other.touch()
    }
}

impl Eq for Touchy {}

impl Clone for Touchy {
    fn clone(&self) -> Self {
        Self(self.touch())
    }
}

impl Borrow<u32> for Touchy {
    fn borrow(&self) -> &u32 {
        self.touch();
        &self.0
    }
}

#[test]
#[cfg(panic = "unwind")]
fn a_panic_of_a_name_leaves_the_lock_as_it_was() {
    let lock: HandleLock<Touchy> = HandleLock::new();
    // Enough names that the last one is in the second chunk.
    (0..9).for_each(|name| lock.try_acquire(Shared, Touchy(name)).unwrap());
    let guard = lock.try_context(Shared, Touchy(9)).unwrap();
    let word = lock.snapshot();
    let panics = |run: &dyn Fn()| {
        ARMED.set(true);
        let panic = catch_unwind(AssertUnwindSafe(run));
        ARMED.set(false);
        assert_eq!(message(panic.unwrap_err()), "touched");
    };
    panics(&|| drop(lock.try_acquire(Shared, Touchy(10))));
    panics(&|| drop(lock.try_context(Shared, Touchy(10))));
    panics(&|| drop(now(lock.acquire(Shared, Touchy(10)))));
    panics(&|| drop(now(lock.context(Shared, Touchy(10)))));
    panics(&|| assert!(lock.release(&Touchy(3)).is_none()));
    panics(&|| assert!(lock.release(&3).is_none()));
    panics(&|| drop(lock.holders()));
    panics(&|| drop(guard.handle()));
    assert_eq!(lock.snapshot(), word);
    drop(guard);
    lock.try_acquire(Shared, Touchy(10)).unwrap();
    let names: Vec<_> = lock.holders().into_iter().map(|(name, _)| name.0).collect();
    assert_eq!(names, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
    for name in names {
        assert_eq!(lock.release(&name), Some(Shared));
    }
    assert_idle(&lock);
}

static USED_BY_NAMES: HandleLock<User> = HandleLock::new();

/// A name that uses its lock when it is dropped, unless it is zero.
#[derive(Debug, PartialEq, Eq)]
struct User(u32);

impl Drop for User {
    fn drop(&mut self) {
        if self.0 > 0 {
            USED_BY_NAMES.try_acquire(Exclusive, User(0)).unwrap();
            assert_eq!(USED_BY_NAMES.release(&User(0)), Some(Exclusive));
        }
    }
}

#[test]
fn a_name_is_dropped_when_the_lock_is_free_and_may_use_it() {
    let name = mem::ManuallyDrop::new(User(1));
    USED_BY_NAMES.try_acquire(Exclusive, User(1)).unwrap();
    assert_eq!(USED_BY_NAMES.release(&*name), Some(Exclusive));
    drop(USED_BY_NAMES.try_context(Exclusive, User(1)).unwrap());
    drop(USED_BY_NAMES.acquire(Exclusive, User(1)));
    assert_eq!(USED_BY_NAMES.locked(), None);
}

#[test]
fn names_are_dropped_once() {
    let name = Arc::new(7);
    let lock: HandleLock<Arc<i32>> = HandleLock::new();
    lock.try_acquire(Shared, name.clone()).unwrap();
    assert_eq!(Arc::strong_count(&name), 2);
    assert_eq!(lock.try_acquire(Shared, name.clone()).map_err(drop), Err(()));
    assert_eq!(Arc::strong_count(&name), 2);
    assert_eq!(lock.release(&7), Some(Shared));
    assert_eq!(Arc::strong_count(&name), 1);
    drop(lock.try_context(Shared, name.clone()).unwrap());
    assert_eq!(Arc::strong_count(&name), 1);
    drop(lock.acquire(Shared, name.clone()));
    assert_eq!(Arc::strong_count(&name), 1);
    lock.try_acquire(Exclusive, Arc::new(8)).unwrap();
    drop(Task::queued(lock.acquire(Shared, name.clone())));
    assert_eq!(Arc::strong_count(&name), 1);
    // The names still in the lock are dropped with it.
    assert_eq!(lock.release(&8), Some(Exclusive));
    lock.try_acquire(Shared, name.clone()).unwrap();
    assert_eq!(Arc::strong_count(&name), 2);
    drop(lock);
    assert_eq!(Arc::strong_count(&name), 1);
}

// ---------------------------------------------------------------------------------------- Cost

#[test]
fn x1_acquisitions_allocate_nothing_once_there_is_room() {
    let lock = Lock::new();
    let acquire = |names: std::ops::Range<u32>| {
        allocations(|| names.for_each(|name| lock.try_acquire(Shared, name).unwrap())).1
    };
    assert_eq!(acquire(0..1), 1, "the first one makes room for eight");
    assert_eq!(acquire(1..8), 0);
    assert_eq!(acquire(8..9), 1, "and the ninth for eight more");
    assert_eq!(acquire(9..16), 0);
    without_allocation("a refusal, and all the rest", || {
        assert_eq!(lock.try_acquire(Shared, 3), in_use(3));
        (0..16).for_each(|name| assert_eq!(lock.release(&name), Some(Shared)));
        for mode in Mode::ALL {
            now(lock.acquire(mode, 1)).unwrap();
            assert_eq!(lock.release(&1), Some(mode));
            now(lock.acquire_or(mode, 1, pending::<()>())).unwrap().unwrap();
            assert_eq!(lock.release(&1), Some(mode));
            let mut guard = now(lock.context(mode, 1)).unwrap();
            now(guard.upgrade()).unwrap();
            guard.downgrade(Shared);
        }
    });
    assert_eq!(acquire(0..16), 0);
}

// ------------------------------------------------------------------------------------ The rest

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn bad_use_a_zero_timeout_is_one_try() {
    let lock = HandleLock::new();
    lock.acquire_blocking_timeout(Shared, Name(1), Duration::ZERO).unwrap();
    lock.acquire_blocking_deadline(Shared, Name(2), Instant::now()).unwrap();
    lock.acquire_blocking_timeout(Shared, Name(3), Duration::MAX).unwrap();
    let late = lock.acquire_blocking_timeout(Exclusive, Name(4), Duration::ZERO);
    assert_eq!(late, Err(WouldBlock(Name(4))));
    let late = lock.acquire_blocking_deadline(Exclusive, Name(4), Instant::now());
    assert_eq!(late, Err(WouldBlock(Name(4))));
    let late = lock.acquire_blocking_timeout(Exclusive, Name(4), Duration::from_millis(1));
    assert_eq!(late, Err(WouldBlock(Name(4))));
    // The name is free again, and no task waits any more.
    lock.try_acquire(Shared, Name(4)).unwrap();
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn p2_a_blocked_thread_is_woken_by_a_release() {
    let lock = Lock::new();
    lock.acquire_blocking(Exclusive, 1).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            lock.acquire_blocking(Shared, 2).unwrap();
            lock.acquire_blocking_timeout(Shared, 3, Duration::from_secs(60)).unwrap();
        });
        while !lock.snapshot().is_awaited(Shared) {
            thread::yield_now();
        }
        assert_eq!(lock.release(&1), Some(Exclusive));
        waiter.join().unwrap();
    });
    assert_eq!(lock.holders(), [(2, Shared), (3, Shared)]);
}

/// Threads that use few names: no two ever use the same one at once.
#[test]
#[cfg(not(target_family = "wasm"))]
fn threads_never_share_a_name() {
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 5000 };
    const NAMES: usize = 3;
    let lock = HandleLock::<usize>::new();
    let users = [const { AtomicUsize::new(0) }; NAMES];
    // Puts the names into two chunks.
    (10..17).for_each(|name| lock.try_acquire(Shared, name).unwrap());
    thread::scope(|scope| {
        for number in 0..3 {
            let (lock, users) = (&lock, &users);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let name = (number + round) % NAMES;
                    let Ok(guard) = lock.try_context(Shared, name) else { continue };
                    assert_eq!(users[name].fetch_add(1, SeqCst), 0, "two use {name}");
                    if round % 5 == 0 {
                        assert!(lock.holders().contains(&(name, Shared)));
                    }
                    users[name].fetch_sub(1, SeqCst);
                    drop(guard);
                }
            });
        }
    });
    assert_eq!(lock.holders().len(), 7);
}

/// Random tries, checked against a plain list of the holders.
#[test]
fn random_tries_are_as_a_plain_list_says() {
    let mut random = 1_u32;
    let mut below = |limit: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % limit
    };
    let lock = Lock::new();
    let mut list: Vec<(u32, Mode)> = Vec::new();
    let mut guards: Vec<HandleGuard<'_, u32>> = Vec::new();
    for _ in 0..if cfg!(miri) { 150 } else { 20_000 } {
        let name = below(24);
        let mode = [Shared, Shared, Shared, Upgradable, Exclusive][below(5) as usize];
        let expected = if list.iter().any(|holder| holder.0 == name) {
            in_use(name)
        } else if list.iter().any(|holder| mode.excludes(holder.1)) {
            Err(WouldBlock(name))
        } else {
            Ok(())
        };
        let guarded = guards.iter().position(|guard| guard.handle() == name);
        match below(5) {
            0 | 1 => {
                assert_eq!(lock.try_acquire(mode, name), expected);
                list.extend(expected.is_ok().then_some((name, mode)));
            }
            2 => {
                let guard = lock.try_context(mode, name).map(|guard| guards.push(guard));
                assert_eq!(guard, expected);
                list.extend(expected.is_ok().then_some((name, mode)));
            }
            3 => {
                let of_name = |holder: &(u32, Mode)| holder.0 == name && guarded.is_none();
                let at = list.iter().position(of_name);
                assert_eq!(lock.release(&name), at.map(|at| list.remove(at).1));
            }
            _ => {
                if let Some(mut guard) = guarded.map(|at| guards.swap_remove(at)) {
                    let at = list.iter().position(|holder| holder.0 == name).unwrap();
                    assert_eq!(guard.mode(), list[at].1);
                    assert_eq!(guard.try_upgrade().is_ok(), list.len() == 1);
                    if below(2) == 0 {
                        guard.downgrade(Shared);
                        list[at].1 = Shared;
                        guards.push(guard);
                    } else {
                        list.remove(at);
                    }
                }
            }
        }
        assert_eq!(lock.holders(), list);
    }
    drop(guards);
    for (name, _) in lock.holders() {
        lock.release(&name);
    }
    assert_idle(&lock);
}

#[test]
fn monitors_need_no_name() {
    let lock = Lock::new();
    now(lock.wait(Exclusive));
    lock.try_acquire(Shared, 1).unwrap();
    now(lock.wait(Shared));
    let mut wait = Task::queued(lock.wait(Exclusive));
    assert_eq!(lock.release(&1), Some(Shared));
    wait.run().expect("woken");
    let monitor = lock.monitor(Exclusive);
    assert!(monitor.is_set());
    monitor.clear();
    lock.try_acquire(Shared, 1).unwrap();
    assert_eq!(lock.release(&1), Some(Shared));
    assert!(monitor.is_set());
    drop(monitor);
    assert_idle(&lock);
}

#[test]
fn a_static_lock_needs_no_initialization() {
    static LOCK: HandleLock<u32> = HandleLock::new();
    LOCK.try_acquire(Exclusive, 1).unwrap();
    assert_eq!(LOCK.release(&1), Some(Exclusive));
}

#[test]
fn errors_return_the_name_and_need_no_traits_of_it_to_be_shown() {
    struct Silent;
    assert_eq!(HandleInUse(Silent).to_string(), "the handle is in use");
    assert_eq!(TryAcquireError::HandleInUse(Silent).to_string(), "the handle is in use");
    let text = "the lock cannot be acquired without waiting";
    assert_eq!(WouldBlock(Silent).to_string(), text);
    assert_eq!(HandleInUse(Name(1)).into_handle(), Name(1));
    assert_eq!(WouldBlock(Name(1)).into_handle(), Name(1));
    assert_eq!(TryAcquireError::from(HandleInUse(Name(1))).into_handle(), Name(1));
    let _: [Box<dyn Error>; 2] = [Box::new(HandleInUse(Name(1))), Box::new(WouldBlock(Name(1)))];
}

#[test]
fn debug_shows_the_word_and_never_blocks() {
    let lock: HandleLock<Touchy> = HandleLock::new();
    let guard = lock.try_context(Exclusive, Touchy(1)).unwrap();
    assert!(format!("{lock:?}").starts_with("HandleLock(Snapshot"));
    assert_eq!(format!("{guard:?}"), "HandleGuard { mode: Exclusive, .. }");
}

#[test]
fn a_future_that_is_done_says_so() {
    fn check<F: FusedFuture>(future: F) {
        let mut task = Task::new(future);
        assert!(!task.future().is_terminated());
        assert!(task.poll().is_ready());
        assert!(task.future().is_terminated());
    }
    let lock = Lock::new();
    check(lock.acquire(Shared, 1));
    check(lock.context(Shared, 2));
    check(lock.acquire_or(Shared, 3, pending::<()>()));
    check(lock.context_or(Shared, 4, pending::<()>()));
    let lock: HandleLock<HandleId> = HandleLock::new();
    check(lock.acquire_new(Shared));
}

/// The names are in chunks, which form a list: the chunks are dropped one by one, and not recursively.
#[test]
#[cfg(not(any(miri, target_family = "wasm")))]
fn a_lock_with_very_many_names_is_dropped_on_a_small_stack() {
    let lock = HandleLock::new();
    for name in 0..4_000 {
        lock.try_acquire(Shared, name).unwrap();
    }
    on_stack(64 * 1024, move || drop(lock));
}

/// Runs `run` in a thread with a stack of `size` bytes. If that is too small, the program aborts.
#[cfg(not(target_family = "wasm"))]
fn on_stack(size: usize, run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(size).spawn(run).unwrap().join().unwrap();
}

/// A name of 256 KiB.
#[derive(Clone, PartialEq, Eq)]
struct Large([u64; 32 * 1024]);

impl Large {
    fn boxed(number: u64) -> Box<Self> {
        let mut name = Box::<Self>::new_uninit();
        // SAFETY: zeros are valid numbers, and the first one is written afterwards.
        unsafe {
            name.as_mut_ptr().write_bytes(0, 1);
            (&raw mut (*name.as_mut_ptr()).0).cast::<u64>().write(number);
            name.assume_init()
        }
    }
}

impl From<HandleId> for Large {
    fn from(_: HandleId) -> Self {
        *Self::boxed(100)
    }
}

/// The bound that the documentation of [`HandleLock`] states: an operation needs stack for this many names.
#[cfg(not(target_family = "wasm"))]
const STACK: usize = if cfg!(debug_assertions) { 16 } else { 6 };

#[test]
#[cfg(not(any(miri, target_family = "wasm")))]
fn x_operations_need_stack_for_a_few_names_only() {
    type Run = fn(&HandleLock<Large>, Box<Large>);
    fn has_room_for_one<F: Future>(future: &F) {
        assert!(size_of_val(future) < size_of::<Large>() + 1024);
    }
    // Each is a function of its own, with its own stack frame.
    let operations: &[(&str, Run)] = &[
        ("try_acquire", |lock, name| assert!(lock.try_acquire(Shared, *name).is_ok())),
        ("try_acquire, refused", |lock, name| assert!(lock.try_acquire(Exclusive, *name).is_err())),
        ("try_acquire, in use", |lock, _| {
            assert!(lock.try_acquire(Shared, *Large::boxed(1)).is_err());
        }),
        ("acquire", |lock, name| assert!(Task::new(lock.acquire(Shared, *name)).poll().is_ready())),
        ("acquire, in place", |lock, name| {
            assert!(poll_once(lock.acquire(Shared, *name)).is_ready())
        }),
        ("acquire, in use", |lock, _| {
            assert!(Task::new(lock.acquire(Shared, *Large::boxed(1))).poll().is_ready());
        }),
        ("acquire, cancelled", |lock, name| drop(Task::queued(lock.acquire(Exclusive, *name)))),
        ("acquire_or", |lock, name| {
            assert!(Task::new(lock.acquire_or(Shared, *name, pending::<()>())).poll().is_ready());
        }),
        ("acquire_or, in use", |lock, _| {
            let acquire = lock.acquire_or(Shared, *Large::boxed(1), pending::<()>());
            assert!(Task::new(acquire).poll().is_ready());
        }),
        ("acquire_or, cancelled", |lock, name| {
            assert!(Task::new(lock.acquire_or(Exclusive, *name, ready(()))).poll().is_ready());
        }),
        ("the future of acquire_or", |lock, name| {
            has_room_for_one(&lock.acquire_or(Shared, *name, pending::<()>()))
        }),
        ("acquire_new", |lock, _| drop(Task::new(lock.acquire_new(Shared)).poll())),
        ("try_acquire_new", |lock, _| assert!(lock.try_acquire_new(Shared).is_some())),
        #[cfg(feature = "std")]
        ("acquire_blocking", |lock, name| assert!(lock.acquire_blocking(Shared, *name).is_ok())),
        #[cfg(feature = "std")]
        ("acquire_blocking_timeout", |lock, name| {
            assert!(
                lock.acquire_blocking_timeout(Exclusive, *name, Duration::from_millis(1)).is_err()
            );
        }),
        ("context", |lock, name| assert!(Task::new(lock.context(Shared, *name)).poll().is_ready())),
        ("context_or", |lock, name| {
            assert!(Task::new(lock.context_or(Shared, *name, pending::<()>())).poll().is_ready());
        }),
        ("context_or, cancelled", |lock, name| {
            assert!(Task::new(lock.context_or(Exclusive, *name, ready(()))).poll().is_ready());
        }),
        ("the future of context_or", |lock, name| {
            has_room_for_one(&lock.context_or(Shared, *name, pending::<()>()))
        }),
        ("try_context", |lock, name| assert!(lock.try_context(Shared, *name).is_ok())),
        ("handle", |lock, name| {
            let guard = lock.try_context(Shared, *name).ok().unwrap();
            assert!(guard.handle().0[1] == 0);
        }),
        ("holders", |lock, _| assert_eq!(lock.holders().len(), 10)),
        ("the future of acquire", |lock, name| has_room_for_one(&lock.acquire(Shared, *name))),
        ("the future of acquire_new", |lock, _| has_room_for_one(&lock.acquire_new(Shared))),
        ("the future of context", |lock, name| has_room_for_one(&lock.context(Shared, *name))),
        ("release", |lock, _| assert_eq!(lock.release(&*Large::boxed(1)), Some(Shared))),
    ];
    for &(operation, run) in operations {
        on_stack(STACK * size_of::<Large>() + 64 * 1024, move || {
            eprintln!("{operation}");
            let lock = HandleLock::new();
            // In two chunks.
            (0..10).for_each(|name| lock.try_acquire(Shared, *Large::boxed(name)).ok().unwrap());
            black_box(run)(&lock, Large::boxed(50));
        });
    }
}
