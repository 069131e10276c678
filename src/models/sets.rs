//! Sets of locks that overlap with each other and with single acquisitions.

use super::*;
use crate::set::reservations::NEWCOMER;
use crate::set::retry::RESERVE_AFTER;
use crate::{LockSet, RwLock, RwLockUpgradableReadGuard, acquire_all, lock_all};

/// Two locks, and numbers that are not atomic. Each number is safe to touch where its lock is held.
/// The order of the locks is that of the array, in every run.
struct Pair {
    locks: [MultiLock; 2],
    numbers: [UnsafeCell<u32>; 2],
}

// SAFETY: only the exclusive holder of its lock touches a number.
unsafe impl Send for Pair {}
// SAFETY: as for `Send`.
unsafe impl Sync for Pair {}

impl Pair {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            locks: [MultiLock::new(), MultiLock::new()],
            numbers: [UnsafeCell::new(0), UnsafeCell::new(0)],
        })
    }

    fn set(&self) -> LockSet<&MultiLock> {
        self.locks.iter().collect()
    }

    /// Adds one to number `n`. The caller holds its lock exclusively.
    fn add_one(&self, n: usize) {
        assert_eq!(self.locks[n].locked(), Some(Exclusive));
        // SAFETY: the caller holds the lock exclusively, so there is no other holder.
        self.numbers[n].with_mut(|number| unsafe { *number += 1 });
    }

    /// Acquires both locks, and adds one to each number.
    fn use_set(&self) {
        let set = self.set();
        let _guard = block_on(set.acquire(Exclusive), None).unwrap();
        self.add_one(0);
        self.add_one(1);
    }

    /// Acquires one of the locks, and adds one to its number.
    fn use_one(&self, n: usize) {
        let _guard = block_on(self.locks[n].acquire(Exclusive), None).unwrap();
        self.add_one(n);
    }

    /// Checks that the locks have no holder and no waiter, and that the numbers are `expected`.
    fn check(&self, expected: [u32; 2]) {
        for (n, lock) in self.locks.iter().enumerate() {
            assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
            let _guard = lock.try_acquire(Exclusive).unwrap();
            // SAFETY: there is no other holder.
            assert_eq!(self.numbers[n].with(|number| unsafe { *number }), expected[n]);
        }
    }
}

fn thread(pair: &Arc<Pair>, f: impl FnOnce(&Pair) + Send + 'static) -> JoinHandle<()> {
    let pair = pair.clone();
    spawn(move || f(&pair))
}

#[test]
fn sets_that_overlap_exclude_each_other_and_both_enter() {
    model(|| {
        let pair = Pair::new();
        let other = thread(&pair, Pair::use_set);
        pair.use_set();
        join([other]);
        pair.check([2, 2]);
    });
}

/// The members are acquired singly meanwhile, first one and then the other.
#[test]
fn sets_enter_between_single_acquisitions() {
    model(|| {
        let pair = Pair::new();
        let other = thread(&pair, Pair::use_set);
        pair.use_one(0);
        pair.use_one(1);
        join([other]);
        pair.check([2, 2]);
    });
}

/// A set is notified at one member while the other member is held, and another waiter is queued
/// behind the set at the first member.
#[test]
fn sets_that_are_turned_away_pass_their_notification_on() {
    model(|| {
        let pair = Pair::new();
        let set = pair.set();
        let guard = pair.locks[0].try_acquire(Exclusive).unwrap();
        let mut waits = queued(set.acquire(Exclusive));
        let behind = thread(&pair, |pair| pair.use_one(0));
        let other = pair.locks[1].try_acquire(Exclusive).unwrap();
        drop(guard);
        // Notified or not, the set does not enter. It stays queued at the other member, and is not
        // polled any more.
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        join([behind]);
        drop(other);
        drop(waits);
        drop(set);
        pair.check([1, 0]);
    });
}

/// As in the model above, a waiter is queued behind the set, which is dropped at any time.
#[test]
fn sets_may_be_dropped_while_they_are_notified() {
    model(|| {
        let pair = Pair::new();
        let guard = pair.locks[0].try_acquire(Exclusive).unwrap();
        let dropped = thread(&pair, |pair| {
            let set = pair.set();
            drop(queued_or_not(set.acquire(Exclusive)));
        });
        let waits = thread(&pair, |pair| pair.use_one(0));
        drop(guard);
        join([dropped, waits]);
        pair.check([1, 0]);
    });
}

/// Returns the acquisition of a set that was turned away wherever it waited, and has reserved the
/// first member. It waits for the second.
fn turned_away<'a>(
    pair: &Pair,
    set: &'a LockSet<&MultiLock>,
) -> Pin<Box<impl Future<Output = impl Sized + use<'a>> + use<'a>>> {
    let guard = pair.locks[0].try_acquire(Exclusive).unwrap();
    let mut waits = queued(set.acquire(Exclusive));
    drop(guard);
    let mut cx = Context::from_waker(Waker::noop());
    for lock in pair.locks.iter().rev().cycle().take(2 * usize::from(RESERVE_AFTER) + 1) {
        let _guard = lock.try_acquire(Exclusive).unwrap();
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        assert!(waits.as_mut().poll(&mut cx).is_pending());
    }
    assert!(!pair.locks[0].raw.may_enter(NEWCOMER, Exclusive, true, true), "it is reserved");
    waits
}

/// A set that has a reservation is dropped while other threads use that member.
#[test]
fn sets_that_are_dropped_leave_no_reservation() {
    model(|| {
        let pair = Pair::new();
        let set = pair.set();
        let waits = turned_away(&pair, &set);
        let joins = [0, 1].map(|n| thread(&pair, move |pair| pair.use_one(n)));
        drop(waits);
        join(joins);
        pair.check([1, 1]);
    });
}

/// A reservation ends while a waiter of that member is overtaken. The same bit stands for both.
#[test]
fn sets_that_are_dropped_do_not_erase_an_overtaken_waiter() {
    model(|| {
        let pair = Pair::new();
        let set = pair.set();
        let waits = turned_away(&pair, &set);
        let guard = pair.locks[0].try_acquire(Exclusive).unwrap();
        let one = thread(&pair, |pair| pair.use_one(0));
        drop(guard);
        let barges = pair.locks[0].try_acquire(Exclusive);
        drop(waits);
        drop(barges);
        join([one]);
        pair.check([1, 0]);
    });
}

/// The set is polled while another thread acquires the first member, which is reserved: both enter.
#[test]
fn sets_that_have_a_reservation_and_waiters_that_defer_both_enter() {
    model(|| {
        let pair = Pair::new();
        let set = pair.set();
        let waits = turned_away(&pair, &set);
        let one = thread(&pair, |pair| pair.use_one(0));
        let guard = block_on(waits, None).unwrap();
        pair.add_one(0);
        pair.add_one(1);
        drop(guard);
        join([one]);
        pair.check([2, 1]);
    });
}

/// Two sets acquire the same members in different modes, and name them in the opposite order.
#[test]
fn all_in_mixed_modes_exclude_each_other_and_enter() {
    model(|| {
        let pair = Pair::new();
        let other = thread(&pair, |pair| {
            let [a, b] = &pair.locks;
            let _guard = block_on(acquire_all([(b, Shared), (a, Exclusive)]), None).unwrap();
            pair.add_one(0);
        });
        {
            let [a, b] = &pair.locks;
            let _guard = block_on(acquire_all([(a, Shared), (b, Exclusive)]), None).unwrap();
            pair.add_one(1);
        }
        join([other]);
        pair.check([1, 1]);
    });
}

/// A number that is not atomic, as the data of an [`RwLock`].
pub(super) struct Number(UnsafeCell<u32>);

impl Default for Number {
    fn default() -> Self {
        Self(UnsafeCell::new(0))
    }
}

// SAFETY: `add_one` takes an exclusive reference, as a write guard gives it.
unsafe impl Send for Number {}
// SAFETY: as for `Send`.
unsafe impl Sync for Number {}

impl Number {
    pub(super) fn get(&self) -> u32 {
        // SAFETY: `self` excludes exclusive references.
        self.0.with(|number| unsafe { *number })
    }

    pub(super) fn add_one(&mut self) {
        // SAFETY: `self` excludes all other references.
        self.0.with_mut(|number| unsafe { *number += 1 });
    }
}

fn numbers() -> Arc<[RwLock<Number>; 2]> {
    Arc::new([RwLock::default(), RwLock::default()])
}

/// Two tasks lock two locks with data, and name them in opposite orders. One writes both numbers,
/// and the other finds them equal.
///
/// Fails if the locks are released when the guards are made.
#[test]
fn all_data_is_consistent_whatever_the_order() {
    model(|| {
        let data = numbers();
        let other = data.clone();
        let writer = spawn(move || {
            let [a, b] = &*other;
            let (mut a, mut b) = block_on(lock_all((a.writing(), b.writing())), None).unwrap();
            a.add_one();
            b.add_one();
        });
        {
            let [a, b] = &*data;
            let (b, a) = block_on(lock_all((b.reading(), a.reading())), None).unwrap();
            assert_eq!(a.get(), b.get());
        }
        join([writer]);
        for lock in &*data {
            assert_eq!(lock.raw().snapshot(), MultiLock::new().snapshot());
            assert_eq!(lock.try_read().unwrap().get(), 1);
        }
    });
}

/// A lock is named twice, in shared mode, while another holder upgrades. The upgrade may begin
/// between the two acquisitions, of which the second then fails.
///
/// Fails if the first acquisition is not released then.
#[test]
fn all_that_name_a_lock_twice_do_not_block_an_upgrade() {
    model(|| {
        let data = numbers();
        let guard = data[0].try_upgradable_read().unwrap();
        let other = data.clone();
        let reader = spawn(move || {
            let [a, b] = &*other;
            let requests = (a.reading(), b.reading(), a.reading());
            let (first, _, second) = block_on(lock_all(requests), None).unwrap();
            assert_eq!(first.get(), second.get());
        });
        let mut guard = block_on(RwLockUpgradableReadGuard::upgrade(guard), None).unwrap();
        guard.add_one();
        drop(guard);
        join([reader]);
        for lock in &*data {
            assert_eq!(lock.raw().snapshot(), MultiLock::new().snapshot());
        }
        assert_eq!(data[0].try_read().unwrap().get(), 1);
    });
}
