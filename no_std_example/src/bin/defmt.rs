//! Logs modes, locks, guards and errors with `defmt`, over semihosting. It also writes to stderr what
//! `Debug` shows of each of them: `ci/firmware-defmt` decodes the log, and compares.

#![no_std]
#![no_main]

use core::pin::pin;
use core::task::{Context, Poll, Waker};

use defmt_semihosting as _;
use multilock::Mode::{Exclusive, Shared, Upgradable};
use multilock::{
    MultiLock, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard, ShardedRwLock,
    TryLockAllError, acquire_all, try_acquire_all, try_lock_all,
};
use no_std_example::board;
use semihosting::eprintln;

macro_rules! show {
    ($($value:expr),+ $(,)?) => {$(
        match &$value {
            value => {
                defmt::println!("{}", value);
                eprintln!("{value:?}");
            }
        }
    )+};
}

/// Polls a future once.
macro_rules! poll {
    ($future:expr) => {
        $future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
}

fn locks() {
    let lock = MultiLock::new();
    show!(lock, lock.snapshot(), Shared, Upgradable, Exclusive);

    let mut first = lock.try_acquire(Shared).unwrap();
    let second = lock.try_acquire(Shared).unwrap();
    let mut upgradable = lock.try_acquire(Upgradable).unwrap();
    show!(lock, first, upgradable);
    show!(upgradable.try_upgrade().unwrap_err(), first.try_upgrade().unwrap_err());

    // One waiter in each mode, one after another, and the upgrade of a holder.
    let mut waits = pin!(lock.acquire(Upgradable));
    assert!(poll!(waits).is_pending());
    show!(lock);
    let mut waits = pin!(lock.acquire(Exclusive));
    assert!(poll!(waits).is_pending());
    show!(lock);
    let mut waits = pin!(lock.acquire(Shared));
    assert!(poll!(waits).is_pending());
    show!(lock);
    {
        let mut upgrade = pin!(upgradable.upgrade());
        assert!(poll!(upgrade).is_pending());
        show!(lock);
    }
    drop(second);
    drop(first);
    upgradable.try_upgrade().unwrap();
    show!(lock, upgradable);
    let handle = upgradable.into_handle();
    show!(handle, handle.id());
    let error = MultiLock::new().release(handle).unwrap_err();
    show!(error);
    drop(lock.adopt(error.into_handle()));
    show!(lock);
}

fn overtaken_and_monitored() {
    let lock = MultiLock::new();
    let guard = lock.try_acquire(Exclusive);
    let mut waiter = pin!(lock.acquire(Exclusive));
    assert!(poll!(waiter).is_pending());
    drop(guard);
    let newcomer = lock.try_acquire(Exclusive);
    assert!(poll!(waiter).is_pending());
    show!(lock);
    drop(newcomer);
    let Poll::Ready(guard) = poll!(waiter) else { panic!("the lock is free") };
    let monitor = lock.monitor(Shared);
    show!(monitor, lock);
    drop(guard);
    show!(monitor, lock);
}

fn locks_with_data() {
    let lock = RwLock::new([1_u32, 2]);
    let changes = lock.changes();
    show!(lock, changes);
    let guard = lock.try_read().unwrap();
    show!(lock, guard, RwLockReadGuard::map(guard, |data| &data[1]));
    let mut guard = lock.try_upgradable_read().unwrap();
    show!(lock, guard, RwLockUpgradableReadGuard::try_upgrade_in_place(&mut guard).unwrap());
    drop(guard);
    let guard = lock.try_write().unwrap();
    show!(lock, guard, RwLockWriteGuard::map(guard, |data| &mut data[1]));
    show!(lock, changes);
    let lock: ShardedRwLock<_, 2> = ShardedRwLock::with_shards(1_u32);
    show!(lock, lock.try_read().unwrap());
    let guard = lock.try_write().unwrap();
    show!(lock, guard);
}

fn several_locks() {
    let [one, two] = [MultiLock::new(), MultiLock::new()];
    {
        let mut both = pin!(acquire_all([(&one, Shared), (&two, Shared)]));
        let Poll::Ready(both) = poll!(both) else { panic!("the locks are free") };
        show!(both, one);
    }
    show!(try_acquire_all([(&one, Exclusive)]).unwrap());
    let guard = one.try_acquire(Exclusive).unwrap();
    show!(try_lock_all((one.in_mode(Shared), two.in_mode(Shared))).err().unwrap());
    drop(guard);
    let error = try_lock_all((one.in_mode(Shared), one.in_mode(Exclusive))).err().unwrap();
    show!(error);
    let TryLockAllError::DuplicateLock(error) = error else { panic!("{error}") };
    show!(error);
}

#[cfg(feature = "heap")]
fn with_a_heap() {
    use multilock::{HandleLock, LockSet};

    let lock = HandleLock::new();
    lock.try_acquire(Shared, 7_u8).unwrap();
    show!(lock, lock.try_context(Shared, 8).unwrap());
    let in_use = lock.try_acquire(Shared, 7).unwrap_err();
    show!(in_use, lock.try_acquire(Exclusive, 8).unwrap_err());
    let mut in_use = pin!(lock.acquire(Exclusive, 7));
    let Poll::Ready(Err(in_use)) = poll!(in_use) else { panic!("7 is in use") };
    show!(in_use);

    let set: LockSet<MultiLock> = [MultiLock::new(), MultiLock::new()].into_iter().collect();
    show!(set, set.try_acquire(Exclusive).unwrap(), LockSet::<MultiLock>::default());
}

#[cfg(all(feature = "heap", target_has_atomic = "ptr"))]
fn with_arc() {
    extern crate alloc;

    use alloc::sync::Arc;
    use multilock::{RwLockReadGuardArc, RwLockWriteGuardArc};

    let lock = Arc::new(MultiLock::new());
    show!(lock.monitor_arc(Exclusive), lock.try_acquire_arc(Upgradable).unwrap());
    let lock = Arc::new(RwLock::new([1_u32, 2]));
    show!(lock.changes_arc(), lock.try_upgradable_read_arc().unwrap());
    let guard = lock.try_read_arc().unwrap();
    show!(guard, RwLockReadGuardArc::map(guard, |data| &data[1]));
    let guard = lock.try_write_arc().unwrap();
    show!(guard, RwLockWriteGuardArc::map(guard, |data| &mut data[1]));
}

#[board::entry]
fn main() -> ! {
    board::init();
    locks();
    overtaken_and_monitored();
    locks_with_data();
    several_locks();
    #[cfg(feature = "heap")]
    with_a_heap();
    #[cfg(all(feature = "heap", target_has_atomic = "ptr"))]
    with_arc();
    board::exit(0)
}
