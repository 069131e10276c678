//! Tests of allocations that fail. Each allocation of each operation fails in turn, by a panic. A
//! program with `std` that runs out of memory aborts. Without `std`, and with a hook, it panics.
//!
//! Each operation does first what can fail. So after the panic the word, the counts and the names
//! are what they were before, and the existing guards release the lock.

use core::cell::Cell;
use core::fmt;
use core::future::ready;
use core::mem;
use core::pin::pin;
use core::task::{Context, Waker};
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use std::thread;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use std::time::Duration;
use std::vec::Vec;

use futures_core::Stream;

use crate::Mode::{Exclusive, Shared, Upgradable};
use crate::*;

std::thread_local! {
    /// The number of allocations of this thread that succeed before one fails. With `None`, none
    /// fails.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

pub(crate) fn may_fail() {
    match LEFT.get() {
        None => {}
        Some(0) => {
            LEFT.set(None);
            resume_unwind(Box::new("out of memory"));
        }
        Some(left) => LEFT.set(Some(left - 1)),
    }
}

/// Runs `operation`, and lets its allocation of that number fail. Returns whether there was one.
fn fails(allocation: usize, operation: impl FnOnce()) -> bool {
    LEFT.set(Some(allocation));
    let failed = catch_unwind(AssertUnwindSafe(operation)).is_err();
    assert_eq!(LEFT.take().is_none(), failed, "it panics for another reason");
    failed
}

fn poll<F: Future>(future: F) {
    let _ = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
}

fn poll_next(stream: impl Stream) {
    let _ = pin!(stream).poll_next(&mut Context::from_waker(Waker::noop()));
}

/// Locks that have allocated nothing yet.
#[derive(Default)]
struct Locks {
    lock: Arc<MultiLock>,
    others: [MultiLock; 2],
    names: HandleLock<u32>,
    ids: HandleLock<HandleId>,
    data: Arc<RwLock<u32>>,
}

impl Locks {
    fn set(&self) -> LockSet<&MultiLock> {
        [&*self.lock, &self.others[0], &self.others[1]].into_iter().collect()
    }

    fn held(&self, modes: &[Mode]) -> Vec<Guard<'_>> {
        modes.iter().map(|mode| self.lock.try_acquire(*mode).unwrap()).collect()
    }

    fn held_arc(&self, modes: &[Mode]) -> Vec<GuardArc> {
        modes.iter().map(|mode| self.lock.try_acquire_arc(*mode).unwrap()).collect()
    }

    fn held_by_name(&self, modes: &[Mode]) -> Vec<HandleGuard<'_, u32>> {
        let hold = |(name, mode): (u32, &Mode)| self.names.try_context(*mode, name).unwrap();
        (0..).zip(modes).map(hold).collect()
    }

    fn read(&self) -> Option<(RwLockUpgradableReadGuard<'_, u32>, RwLockReadGuard<'_, u32>)> {
        self.data.try_upgradable_read().zip(self.data.try_read())
    }

    fn read_arc(&self) -> Option<(RwLockUpgradableReadGuardArc<u32>, RwLockReadGuardArc<u32>)> {
        self.data.try_upgradable_read_arc().zip(self.data.try_read_arc())
    }

    /// Returns the words of the locks, and the names that hold them.
    fn look(&self) -> impl PartialEq + fmt::Debug + use<> {
        let [first, second] = self.others.each_ref().map(MultiLock::snapshot);
        let names = (self.names.snapshot(), self.names.holders());
        let ids = (self.ids.snapshot(), self.ids.holders());
        ([self.lock.snapshot(), first, second, self.data.raw().snapshot()], names, ids)
    }
}

/// Runs each operation while something is held, and lets each of its allocations fail in turn.
/// After that, everything is as it was before, and nothing is left when the guards are dropped.
macro_rules! operations {
    (|$locks:ident| $($hold:expr, |$held:ident| $operation:expr;)+) => {$(
        for allocation in 0.. {
            let $locks = &Locks::default();
            let $held = &mut $hold;
            let before = $locks.look();
            let failed = fails(allocation, || _ = $operation);
            if !failed {
                assert!(allocation > 0, "it allocates nothing: {}", stringify!($operation));
                break;
            }
            assert_eq!($locks.look(), before, "{}", stringify!($operation));
            drop(mem::take($held));
            assert_eq!($locks.look(), Locks::default().look(), "{}", stringify!($operation));
        }
    )+};
}

#[test]
fn u2_an_upgrade_without_memory_leaves_the_hold_as_it_was() {
    type Reads<'a> = RwLockUpgradableReadGuard<'a, u32>;
    type ReadsArc = RwLockUpgradableReadGuardArc<u32>;
    operations! { |locks|
        locks.held(&[Upgradable, Shared]), |held| poll(held[0].upgrade());
        locks.held(&[Shared, Shared]), |held| poll(held[0].upgrade());
        locks.held_arc(&[Upgradable, Shared]), |held| poll(held[0].upgrade());
        locks.held(&[Shared, Shared]), |held| poll(held[0].upgrade_or(ready(())));
        locks.held_by_name(&[Upgradable, Shared]), |held| poll(held[0].upgrade());
        locks.held_by_name(&[Shared, Shared]), |held| poll(held[0].upgrade_or(ready(())));
        locks.read(), |held| poll(Reads::upgrade_in_place(&mut held.as_mut().unwrap().0));
        locks.read_arc(), |held| poll(ReadsArc::upgrade_in_place(&mut held.as_mut().unwrap().0));
        locks.read(), |held| poll(Reads::upgrade_in_place_or(&mut held.as_mut().unwrap().0, ready(())));
    }
    // These upgrades take the guard by value, so it is dropped by the panic.
    let locks = Locks::default();
    let (guard, reader) = locks.read().unwrap();
    assert!(fails(0, || poll(Reads::upgrade(guard))));
    assert_eq!(locks.data.raw().locked(), Some(Shared));
    drop(reader);
    let (guard, reader) = locks.read().unwrap();
    assert!(fails(0, || poll(Reads::upgrade_or(guard, ready(())))));
    assert_eq!(locks.data.raw().locked(), Some(Shared));
    drop(reader);
    let (guard, reader) = locks.read_arc().unwrap();
    assert!(fails(0, || poll(ReadsArc::upgrade(guard))));
    assert_eq!(locks.data.raw().locked(), Some(Shared));
    drop(reader);
    assert_eq!(locks.look(), Locks::default().look());
}

#[test]
fn c1_an_acquisition_without_memory_leaves_no_waiter() {
    operations! { |locks|
        locks.held(&[Exclusive]), |_held| poll(locks.lock.acquire(Shared));
        locks.held(&[Exclusive]), |_held| poll(locks.lock.acquire(Upgradable));
        locks.held(&[Shared]), |_held| poll(locks.lock.acquire(Exclusive));
        locks.held(&[Shared]), |_held| poll(locks.lock.acquire_or(Exclusive, ready(())));
        locks.held(&[Shared]), |_held| poll(locks.lock.acquire_arc(Exclusive));
        locks.held(&[Exclusive]), |_held| poll(locks.lock.wait(Shared));
        locks.read(), |_held| poll(locks.data.write());
        locks.read(), |_held| poll(locks.data.write_or(ready(())));
        locks.read_arc(), |_held| poll(locks.data.write_arc_or(ready(())));
        locks.read(), |_held| poll(locks.data.with_mut(|_| unreachable!("it has not waited")));
        locks.read_arc(), |_held| poll(locks.data.write_arc());
        locks.read(), |_held| poll(locks.data.read_when(|_| false));
        locks.read_arc(), |_held| poll(locks.data.read_arc_when_or(|_| false, ready(())));
        locks.read(), |_held| poll(locks.data.write_when(|_| true));
        locks.held(&[]), |_held| poll(locks.data.upgradable_read_when(|_| false));
        locks.held(&[]), |_held| poll(locks.data.write_when(|_| false));
        locks.held(&[]), |_held| poll(locks.data.write_arc_when_or(|_| false, ready(())));
    }
}

#[test]
fn c1_a_name_without_memory_is_not_in_use() {
    operations! { |locks|
        locks.held_by_name(&[]), |_held| locks.names.try_acquire(Shared, 8);
        locks.held_by_name(&[]), |_held| locks.names.try_context(Shared, 8);
        locks.held_by_name(&[]), |_held| poll(locks.ids.acquire_new(Shared));
        locks.held_by_name(&[Exclusive]), |_held| poll(locks.names.acquire(Shared, 8));
        locks.held_by_name(&[Exclusive]), |_held| poll(locks.names.acquire_or(Shared, 8, ready(())));
        locks.held_by_name(&[Exclusive]), |_held| poll(locks.names.context(Shared, 8));
        locks.held_by_name(&[Exclusive]), |_held| poll(locks.names.context_or(Shared, 8, ready(())));
        // One chunk is full.
        locks.held_by_name(&[Shared; 8]), |_held| locks.names.try_context(Shared, 8);
        locks.held_by_name(&[Shared; 8]), |_held| poll(locks.names.context(Exclusive, 8));
    }
}

#[test]
fn c1_a_monitor_without_memory_leaves_nothing() {
    operations! { |locks|
        locks.held(&[Exclusive]), |_held| locks.lock.monitor(Shared);
        locks.held(&[Exclusive]), |_held| poll_next(locks.lock.monitor(Shared));
        locks.held(&[Exclusive]), |_held| poll_next(locks.lock.monitor_arc(Shared));
        locks.read(), |_held| poll_next(locks.data.changes());
        locks.read_arc(), |_held| poll_next(locks.data.changes_arc());
        locks.held(&[Exclusive]), |_held| poll_next(locks.set().monitor(Shared));
        locks.held(&[Exclusive]), |_held| poll(locks.set().monitor(Shared).wait());
        locks.held(&[Exclusive]), |_held| poll(locks.set().wait(Shared));
    }
    // The monitor is queued again at the next poll.
    let lock = MultiLock::new();
    let guard = lock.try_acquire(Exclusive);
    let mut monitor = lock.monitor(Shared);
    assert!(fails(0, || poll_next(&mut monitor)) && fails(1, || poll_next(&mut monitor)));
    poll_next(&mut monitor);
    drop(guard);
    assert!(monitor.is_set());
}

/// Tests also a set that was turned away, and that reserves members at which no waiter has been.
#[test]
fn c1_a_set_without_memory_leaves_no_reservation() {
    let turned_away = |locks: &Locks, mode| {
        let set = locks.set();
        let mut members = set.locks();
        let mut acquire = pin!(set.acquire(mode));
        let first = members.next().unwrap().try_acquire(Exclusive);
        poll(acquire.as_mut());
        let last = members.next_back().unwrap().try_acquire(Exclusive);
        drop(first);
        poll(acquire.as_mut());
        drop(last);
    };
    operations! { |locks|
        locks.held(&[Exclusive]), |_held| poll(locks.set().acquire(Shared));
        locks.held(&[Shared]), |_held| poll(acquire_all([(&*locks.lock, Exclusive)]));
        locks.held(&[Shared]), |_held| poll(lock_all((locks.lock.in_mode(Exclusive), locks.data.writing())));
        locks.held(&[]), |_held| poll(lock_all(std::vec![locks.lock.in_mode(Exclusive); 1]));
        locks.held(&[]), |_held| try_lock_all(&[locks.data.writing()][..]);
        locks.held(&[Exclusive]), |_held| poll(lock_all(&[locks.lock.in_mode(Shared); 2][..]));
        locks.held(&[]), |_held| turned_away(locks, Shared);
        locks.held(&[]), |_held| turned_away(locks, Exclusive);
    }
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn c1_a_thread_without_memory_leaves_no_waiter() {
    // Long enough for a thread that is paused before it blocks, or that Miri runs.
    const SOON: Duration = Duration::from_millis(if cfg!(miri) { 1_000 } else { 20 });
    // A thread allocates its waker once.
    let locks = Locks::default();
    thread::scope(|scope| {
        let held = locks.lock.try_acquire(Exclusive);
        let blocks = || assert!(fails(0, || _ = locks.lock.acquire_blocking_timeout(Shared, SOON)));
        scope.spawn(blocks).join().unwrap();
        drop(held);
        assert_eq!(locks.look(), Locks::default().look());
    });
    operations! { |locks|
        locks.held(&[Exclusive]), |_held| locks.lock.acquire_blocking_timeout(Shared, SOON);
        locks.held(&[Exclusive]), |_held| locks.set().acquire_blocking_timeout(Shared, SOON);
        locks.held_by_name(&[Exclusive]), |_held| locks.names.acquire_blocking_timeout(Shared, 8, SOON);
        locks.read(), |_held| locks.data.write_blocking_timeout(SOON);
        locks.read(), |_held| locks.data.read_when_blocking_timeout(|_| false, SOON);
        locks.held(&[]), |_held| locks.data.write_arc_when_blocking_timeout(|_| false, SOON);
        locks.read(), |_held| lock_all_blocking_timeout([locks.data.writing()], SOON);
    }
}

#[cfg(all(feature = "lock_api", not(target_family = "wasm")))]
#[test]
fn e1_a_bump_without_memory_ends_with_the_lock_held() {
    let lock = ::lock_api::RwLock::<MultiLock, _>::new(0);
    // A new thread has no waker yet.
    let bump = || {
        let mut reader = lock.read();
        thread::scope(|scope| {
            scope.spawn(|| {
                let writer = lock.write();
                thread::sleep(Duration::from_millis(100));
                drop(writer);
            });
            // SAFETY: the raw lock is only read.
            while !unsafe { lock.raw() }.snapshot().is_awaited(Exclusive) {
                thread::yield_now();
            }
            assert!(fails(0, || ::lock_api::RwLockReadGuard::bump(&mut reader)));
        });
        assert!(lock.is_locked() && !lock.is_locked_exclusive());
    };
    thread::scope(|scope| scope.spawn(bump).join().unwrap());
    assert!(!lock.is_locked());
}
