//! The crate without `alloc`: whatever does not own works, and nothing allocates.

#![cfg(not(any(feature = "alloc", loom, shuttle)))]

mod support;

use std::future::{pending, ready};
use std::mem::{size_of, size_of_val};

use Mode::{Exclusive, Shared, Upgradable};
use multilock::{
    CheckedLocks, Mode, MultiLock, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockWriteGuard, UpgradeError, acquire_all, lock_all, try_acquire_all, try_lock_all,
};
use support::{
    Alarm, Counting, assert_all_idle, assert_idle, hold, locks, now, without_allocation,
};

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A waker, and what counts its wake-ups.
fn waker() -> (Arc<Alarm>, Waker) {
    let alarm = Arc::new(Alarm::default());
    (alarm.clone(), Waker::from(alarm))
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[track_caller]
fn ready_now<T>(poll: Poll<T>) -> T {
    let Poll::Ready(output) = poll else { panic!("still pending") };
    output
}

/// The queue is in the lock, and has room for all kinds of waiters.
#[test]
fn x3_a_lock_has_at_most_21_words() {
    assert!(size_of::<MultiLock>() <= 21 * size_of::<usize>());
    static LOCK: MultiLock = MultiLock::new();
    assert_idle(&LOCK);
}

#[test]
fn x3_the_future_of_an_acquisition_has_at_most_11_words() {
    assert!(size_of_val(&MultiLock::new().acquire(Shared)) <= 11 * size_of::<usize>());
}

#[test]
fn x2_a_wait_in_any_mode_allocates_nothing() {
    let (alarm, waker) = waker();
    for mode in Mode::ALL {
        let lock = MultiLock::new();
        without_allocation(mode, || {
            let guard = hold(&lock, Exclusive);
            let mut waits = pin!(lock.acquire(mode));
            assert!(poll(waits.as_mut(), &waker).is_pending());
            assert!(lock.snapshot().is_awaited(mode));
            let wakes = alarm.wakes();
            drop(guard);
            assert_eq!(alarm.wakes(), wakes + 1);
            assert_eq!(ready_now(poll(waits, &waker)).mode(), mode);
        });
        assert_idle(&lock);
    }
}

/// More than one batch, of which some are dropped.
#[test]
fn f3_c3_a_crowd_waits_and_is_woken_without_memory() {
    let (alarm, waker) = waker();
    let lock = MultiLock::new();
    let mut crowd: Vec<_> = (0..30).map(|_| Box::pin(lock.acquire(Shared))).collect();
    let guard = hold(&lock, Exclusive);
    without_allocation("a crowd", || {
        assert!(crowd.iter_mut().all(|waits| poll(waits.as_mut(), &waker).is_pending()));
    });
    crowd.drain(5..10);
    without_allocation("a wake-up of a crowd", || drop(guard));
    assert_eq!(alarm.wakes(), 25);
    drop(crowd);
    assert_idle(&lock);
}

#[test]
fn u2_upgrades_and_downgrades_allocate_nothing() {
    let (alarm, waker) = waker();
    let lock = MultiLock::new();
    without_allocation("an upgrade", || {
        let reader = hold(&lock, Shared);
        let mut guard = hold(&lock, Upgradable);
        assert_eq!(guard.try_upgrade(), Err(UpgradeError::SharedHolders));
        assert_eq!(now(guard.upgrade_or(ready(1))).map_err(|_| ()), Err(()));
        {
            let mut upgrade = pin!(guard.upgrade());
            assert!(poll(upgrade.as_mut(), &waker).is_pending());
            drop(reader);
            assert_eq!(alarm.wakes(), 1);
            ready_now(poll(upgrade, &waker)).unwrap();
        }
        guard.downgrade(Shared);
        drop(guard.share());
        let handle = guard.into_handle();
        lock.release(handle).unwrap();
    });
    assert_idle(&lock);
}

#[test]
fn monitors_and_waits_allocate_nothing() {
    let (alarm, waker) = waker();
    let lock = MultiLock::new();
    without_allocation("a monitor", || {
        let monitor = lock.monitor(Exclusive);
        assert!(monitor.is_set());
        let guard = hold(&lock, Exclusive);
        monitor.clear();
        let mut seen = pin!(monitor.wait());
        let mut waits = pin!(lock.wait(Shared));
        assert!(poll(seen.as_mut(), &waker).is_pending());
        assert!(poll(waits.as_mut(), &waker).is_pending());
        drop(guard);
        assert_eq!(alarm.wakes(), 2);
        ready_now(poll(seen, &waker));
        ready_now(poll(waits, &waker));
    });
    assert_idle(&lock);
}

#[test]
fn several_locks_are_acquired_without_memory() {
    let (_, waker) = waker();
    let locks = locks::<3>();
    without_allocation("an array", || {
        let wanted = locks.each_ref().map(|lock| (lock, Exclusive));
        let guard = hold(&locks[1], Shared);
        assert!(try_acquire_all(&wanted).is_none());
        let mut all = pin!(acquire_all(&wanted));
        assert!(poll(all.as_mut(), &waker).is_pending());
        drop(guard);
        drop(ready_now(poll(all, &waker)));
    });
    assert_all_idle(&locks);

    let (number, text, lock) = (RwLock::new(1), RwLock::new("a"), MultiLock::new());
    without_allocation("a tuple", || {
        let (read, mut write, guard) =
            now(lock_all((number.reading(), text.writing(), lock.in_mode(Upgradable))));
        *write = if *read == 1 { "b" } else { "c" };
        assert_eq!(guard.mode(), Upgradable);
        assert!(try_lock_all((text.reading(), number.reading())).is_err());
        assert!(CheckedLocks::new((text.reading(), text.writing())).is_err());
        drop((read, write, guard));
        assert_eq!(*now(text.read()), "b");
    });
    assert_all_idle([number.raw(), text.raw(), &lock]);
}

#[test]
fn locks_with_data_conditions_and_changes_allocate_nothing() {
    let (alarm, waker) = waker();
    let lock = RwLock::new((0, 0));
    without_allocation("data", || {
        let changes = lock.changes();
        let mut is_one = pin!(lock.read_when(|data| data.0 == 1));
        let mut change = pin!(changes.wait());
        assert!(poll(is_one.as_mut(), &waker).is_pending());
        assert!(poll(change.as_mut(), &waker).is_pending());
        now(lock.with_mut(|data| data.0 = 1));
        assert!(changes.is_set());
        assert_eq!(alarm.wakes(), 2);
        ready_now(poll(change, &waker));
        assert_eq!(ready_now(poll(is_one, &waker)).0, 1);
        assert_eq!(now(lock.with(|data| data.1)), 0);

        let guard = RwLockWriteGuard::map(now(lock.write()), |data| &mut data.1);
        assert!(now(lock.read_or(ready(()))).is_err());
        assert!(now(lock.write_when_or(|_| true, ready(()))).is_err());
        drop(guard);
        let part = RwLockWriteGuard::downgrade_map(now(lock.write()), |data| &data.1);
        let other = RwLockReadGuard::share(&part);
        drop((part, other));
        let upgradable = now(lock.upgradable_read_or(pending::<()>())).unwrap();
        let write = now(RwLockUpgradableReadGuard::upgrade(upgradable));
        drop(RwLockWriteGuard::downgrade(write));
    });
    assert_idle(lock.raw());
}

/// The lock forgets how many waiters there are, and none of them is forgotten.
#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn bad_use_more_waiters_than_are_counted_all_get_in() {
    let (alarm, waker) = waker();
    let lock = MultiLock::new();
    let guard = hold(&lock, Exclusive);
    let mut crowd: Vec<_> = (0..70_000).map(|_| Box::pin(lock.acquire(Shared))).collect();
    assert!(crowd.iter_mut().all(|waits| poll(waits.as_mut(), &waker).is_pending()));
    drop(guard);
    assert_eq!(alarm.wakes(), crowd.len());
    let guards: Vec<_> =
        crowd.iter_mut().map(|waits| ready_now(poll(waits.as_mut(), &waker))).collect();
    assert_eq!(lock.snapshot().shared_holders(), guards.len());
    drop((guards, crowd));
    // As if one was forgotten.
    assert_eq!(lock.locked(), None);
    assert!(lock.snapshot().is_awaited(Shared));
    Mode::ALL.iter().for_each(|mode| drop(hold(&lock, *mode)));
}

/// The queue moves with the lock, and nothing in it points back to the lock.
#[test]
fn bad_use_a_lock_may_move_although_a_waiter_was_forgotten() {
    let (alarm, waker) = waker();
    let lock = MultiLock::new();
    let handle = hold(&lock, Exclusive).into_handle();
    let mut forgotten = Box::pin(lock.acquire(Shared));
    assert!(poll(forgotten.as_mut(), &waker).is_pending());
    // Miri takes what nothing points to for a leak.
    static FORGOTTEN: std::sync::atomic::AtomicPtr<()> =
        std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());
    // SAFETY: the future is not moved: it stays in its box, forever.
    let forgotten = Box::into_raw(unsafe { Pin::into_inner_unchecked(forgotten) });
    FORGOTTEN.store(forgotten.cast(), std::sync::atomic::Ordering::SeqCst);
    let moved = Box::new(lock);
    let mut waits = pin!(moved.acquire(Shared));
    assert!(poll(waits.as_mut(), &waker).is_pending());
    moved.release(handle).unwrap();
    assert_eq!(alarm.wakes(), 2);
    assert_eq!(ready_now(poll(waits, &waker)).mode(), Shared);
}
