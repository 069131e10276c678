//! The lock with data: what its guards permit, how a guard is converted into another, and that no guard and no
//! future leaves the lock held, or an `Arc` alive, after its end. The order of waiters is tested in
//! `tests/contract`.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]
#![cfg_attr(
    any(not(feature = "std"), target_family = "wasm"),
    allow(unused_imports, dead_code, reason = "no threads that block")
)]

mod support;

use std::cell::Cell;
use std::fmt::Display;
use std::future::{pending, poll_fn, ready};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_core::FusedFuture;
use multilock::Mode::{self, Exclusive, Shared, Upgradable};
use multilock::{
    MappedRwLockWriteGuard, MappedRwLockWriteGuardArc, MultiLock, RwLock, RwLockReadGuard,
    RwLockReadGuardArc, RwLockUpgradableReadGuard, RwLockUpgradableReadGuardArc, RwLockWriteGuard,
    RwLockWriteGuardArc,
};

use support::{Counting, Hooks, Task, assert_idle, message, now, overtakes, without_allocation};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(1);

type Pair = (u32, u32);

fn lock() -> Arc<RwLock<Pair>> {
    Arc::new(RwLock::new((1, 2)))
}

fn part(pair: &Pair) -> &u32 {
    &pair.1
}

fn part_mut(pair: &mut Pair) -> &mut u32 {
    &mut pair.1
}

/// Checks that the lock has no holder and no waiter, and one owner.
#[track_caller]
fn assert_over<T: ?Sized>(lock: &Arc<RwLock<T>>) {
    assert_idle(lock.raw());
    assert_eq!(Arc::strong_count(lock), 1);
}

#[track_caller]
fn assert_held<T: ?Sized>(lock: &RwLock<T>, mode: Mode) {
    assert_eq!(lock.raw().locked(), Some(mode));
}

/// A waker that panics when it is woken.
fn panics() -> std::task::Waker {
    Hooks { on_wake: Box::new(|| panic!("in wake")), ..Hooks::default() }.waker()
}

#[track_caller]
fn panics_with(text: &str, run: impl FnOnce()) {
    assert_eq!(message(catch_unwind(AssertUnwindSafe(run)).unwrap_err()), text);
}

/// The tests of one kind of guards: those that borrow the lock, or those that own it.
macro_rules! suite {
    (
        $kind:ident: $Read:ident, $Upgradable:ident, $Write:ident, $Mapped:ident,
        $try_read:ident, $try_upgradable:ident, $try_write:ident,
        $read:ident, $upgradable:ident, $write:ident,
        $block_read:ident, $block_upgradable:ident, $block_write:ident,
        $read_blocking_timeout:ident, $upgradable_timeout:ident, $write_blocking_timeout:ident,
        $read_or:ident, $upgradable_or:ident, $write_or:ident
    ) => {
        mod $kind {
            use super::*;

            #[test]
            fn e1_guards_exclude_each_other_as_their_modes_do() {
                let lock = lock();
                let beside = |held| {
                    assert_held(&lock, held);
                    (
                        lock.$try_read().is_some(),
                        lock.$try_upgradable().is_some(),
                        lock.$try_write().is_some(),
                    )
                };
                let guard = lock.$try_read().unwrap();
                assert_eq!(beside(Shared), (true, true, false));
                drop(guard);
                let guard = lock.$try_upgradable().unwrap();
                assert_eq!(beside(Upgradable), (true, false, false));
                drop(guard);
                let guard = lock.$try_write().unwrap();
                assert_eq!(beside(Exclusive), (false, false, false));
                drop(guard);
                assert_over(&lock);
            }

            #[test]
            fn e2_what_is_written_is_read() {
                let lock = lock();
                now(lock.$write()).0 = 7;
                assert_eq!(*now(lock.$read()), (7, 2));
                assert_eq!(*now(lock.$upgradable()), (7, 2));
                lock.$try_write().unwrap().1 = 8;
                assert_eq!(*lock.$try_read().unwrap(), (7, 8));
                assert_eq!(*lock.$try_upgradable().unwrap(), (7, 8));
                assert_over(&lock);
                assert_eq!(Arc::into_inner(lock).unwrap().into_inner(), (7, 8));
            }

            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            #[test]
            fn e2_threads_write_one_after_the_other() {
                const TURNS: u32 = if cfg!(miri) { 10 } else { 1000 };
                let lock = lock();
                let turn = |turn: u32| match turn % 4 {
                    0 => lock.$block_write().0 += 1,
                    1 => $Upgradable::upgrade_blocking(lock.$block_upgradable()).0 += 1,
                    2 => lock.$write_blocking_timeout(LONG).unwrap().0 += 1,
                    _ => {
                        let guard = $Write::downgrade_to_upgradable(lock.$block_write());
                        let seen = guard.0;
                        let mut guard = $Upgradable::upgrade_blocking(guard);
                        assert_eq!(guard.0, seen, "another writer came in between");
                        guard.0 += 1;
                        let guard = $Write::downgrade(guard);
                        assert_eq!(guard.0, seen + 1, "another writer came in between");
                    }
                };
                thread::scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| (0..TURNS).for_each(turn));
                    }
                    scope.spawn(|| {
                        for _ in 0..TURNS {
                            let seen = lock.$block_read().0;
                            assert!(lock.$read_blocking_timeout(LONG).unwrap().0 >= seen);
                        }
                    });
                });
                assert_eq!(lock.$block_read().0, 1 + 2 * TURNS);
                assert_over(&lock);
            }

            #[test]
            fn c4_futures_that_are_dropped_leave_nothing() {
                let lock = lock();
                drop((lock.$read(), lock.$upgradable(), lock.$write()));
                assert_over(&lock);
                for woken in [false, true] {
                    let guard = lock.$try_write().unwrap();
                    let (read, upgradable, write) = (
                        Task::queued(lock.$read()),
                        Task::queued(lock.$upgradable()),
                        Task::queued(lock.$write()),
                    );
                    if woken {
                        drop(guard);
                        assert!(read.woken() && upgradable.woken());
                        drop((read, upgradable));
                        assert!(write.woken());
                        drop(write);
                    } else {
                        drop((read, upgradable, write));
                        drop(guard);
                    }
                    assert_over(&lock);
                }
            }

            #[test]
            fn c_an_acquisition_or_a_cancel_future_ends_with_one_of_them() {
                let lock = lock();
                let cancel = Cell::new(false);
                let canceled =
                    || poll_fn(|_| if cancel.get() { Poll::Ready(7) } else { Poll::Pending });
                // Not polled where the lock is free.
                let never = || poll_fn(|_| -> Poll<()> { panic!("polled needlessly") });
                assert_eq!(*now(lock.$read_or(never())).unwrap(), (1, 2));
                assert_eq!(*now(lock.$upgradable_or(never())).unwrap(), (1, 2));
                now(lock.$write_or(never())).unwrap().0 = 3;
                assert_over(&lock);

                for cancels in [false, true] {
                    cancel.set(false);
                    let guard = lock.$try_write().unwrap();
                    let mut read = Task::queued(lock.$read_or(canceled()));
                    let mut upgradable = Task::queued(lock.$upgradable_or(canceled()));
                    let mut write = Task::queued(lock.$write_or(canceled()));
                    if cancels {
                        cancel.set(true);
                        assert_eq!(read.finish().unwrap_err(), 7);
                        assert_eq!(upgradable.finish().unwrap_err(), 7);
                        assert_eq!(write.finish().unwrap_err(), 7);
                        // They leave the queue before they are dropped.
                        assert!(
                            Mode::ALL.iter().all(|mode| !lock.raw().snapshot().is_awaited(*mode))
                        );
                        drop(guard);
                    } else {
                        drop(guard);
                        assert_eq!(*read.run().expect("woken").unwrap(), (3, 2));
                        assert_eq!(*upgradable.run().expect("woken").unwrap(), (3, 2));
                        assert_eq!(*write.run().expect("woken").unwrap(), (3, 2));
                    }
                    assert!(read.future().is_terminated() && write.future().is_terminated());
                    drop((read, upgradable, write));
                    assert_over(&lock);
                }
            }

            #[test]
            fn c2_c3_a_canceled_acquisition_passes_its_wake_up_on() {
                let lock = lock();
                for drops in [false, true] {
                    let cancel = Cell::new(false);
                    let canceled =
                        || poll_fn(|_| if cancel.get() { Poll::Ready(()) } else { Poll::Pending });
                    let guard = lock.$try_write().unwrap();
                    let mut first = Task::queued(lock.$write_or(canceled()));
                    let mut second = Task::queued(lock.$write_or(pending::<()>()));
                    drop(guard);
                    assert!(first.woken() && !second.woken());
                    // A woken waiter that is overtaken, and then canceled.
                    let guard = lock.$try_read().unwrap();
                    cancel.set(true);
                    if drops {
                        drop(first);
                    } else {
                        first.finish().unwrap_err();
                    }
                    assert_eq!(lock.$try_read().is_some(), false, "the second writer waits");
                    drop(guard);
                    drop(second.run().expect("woken").unwrap());
                    drop(second);
                    assert_over(&lock);
                }
                // What waited only because of it is woken.
                let guard = lock.$try_read().unwrap();
                let canceled = Cell::new(false);
                let cancel =
                    poll_fn(|_| if canceled.get() { Poll::Ready(()) } else { Poll::Pending });
                let mut writes = Task::queued(lock.$write_or(cancel));
                let mut reads = Task::queued(lock.$read_or(pending::<()>()));
                canceled.set(true);
                writes.finish().unwrap_err();
                drop(reads.run().expect("woken").unwrap());
                drop((guard, writes, reads));
                assert_over(&lock);
            }

            /// Even where the acquisition would defer to an overtaken waiter.
            #[test]
            fn c_a_canceled_acquisition_tries_once_more() {
                let lock = lock();
                let guard = lock.$try_write().unwrap();
                let mut overtaken = Task::queued(lock.$write());
                drop(guard);
                let guard = lock.$try_write().unwrap();
                overtaken.waits();
                drop(guard);
                assert_eq!(*now(lock.$read_or(ready(()))).unwrap(), (1, 2));
                assert_eq!(*now(lock.$upgradable_or(ready(()))).unwrap(), (1, 2));
                assert_eq!(*now(lock.$write_or(ready(()))).unwrap(), (1, 2));
                drop(overtaken);
                assert_over(&lock);
            }

            #[test]
            fn c5_futures_do_nothing_before_they_are_polled() {
                let lock = lock();
                let futures = (
                    (lock.$read(), lock.$upgradable(), lock.$write()),
                    (lock.$read_or(ready(())), lock.$upgradable_or(ready(()))),
                    lock.$write_or(ready(())),
                );
                assert_over(&lock);
                let guard = lock.$try_upgradable().unwrap();
                let upgrade = $Upgradable::upgrade(guard);
                assert_held(&lock, Upgradable);
                assert!(lock.$try_read().is_some());
                drop((futures, upgrade));
                assert_over(&lock);
            }

            #[test]
            fn u2_an_upgrade_waits_for_readers_and_admits_no_newcomer() {
                let lock = lock();
                let reads = lock.$try_read().unwrap();
                let mut upgrade = Task::queued($Upgradable::upgrade(now(lock.$upgradable())));
                assert!(lock.raw().snapshot().is_upgrading());
                assert!(lock.$try_read().is_none() && lock.$try_write().is_none());
                drop(reads);
                let mut guard = upgrade.run().expect("woken");
                guard.0 = 7;
                assert_held(&lock, Exclusive);
                assert!(upgrade.future().is_terminated());
                drop(guard);
                assert_over(&lock);
            }

            /// Not polled, waiting, woken, and ready.
            #[test]
            fn u2_an_upgrade_that_is_dropped_drops_its_guard() {
                let lock = lock();
                drop($Upgradable::upgrade(lock.$try_upgradable().unwrap()));
                assert_over(&lock);
                for woken in [false, true] {
                    let reads = lock.$try_read().unwrap();
                    let upgrade = Task::queued($Upgradable::upgrade(now(lock.$upgradable())));
                    let mut waits = Task::queued(lock.$read());
                    if woken {
                        drop(reads);
                        assert!(upgrade.woken() && !waits.woken());
                        drop(upgrade);
                    } else {
                        drop(upgrade);
                        drop(reads);
                    }
                    drop(waits.run().expect("woken"));
                    drop(waits);
                    assert_over(&lock);
                }
                let mut upgrade = Task::new($Upgradable::upgrade(now(lock.$upgradable())));
                let guard = upgrade.finish();
                drop(upgrade);
                assert_held(&lock, Exclusive);
                drop(guard);
                assert_over(&lock);
            }

            #[test]
            fn u2_an_upgrade_or_a_cancel_future_ends_with_one_of_them() {
                let lock = lock();
                let cancel = Cell::new(false);
                let canceled =
                    || poll_fn(|_| if cancel.get() { Poll::Ready(7) } else { Poll::Pending });
                let never = poll_fn(|_| -> Poll<()> { panic!("polled needlessly") });
                now($Upgradable::upgrade_or(now(lock.$upgradable()), never)).unwrap().0 = 7;
                assert_over(&lock);

                // Upgraded, by a release.
                let reads = lock.$try_read().unwrap();
                let guard = now(lock.$upgradable());
                let mut upgrade = Task::queued($Upgradable::upgrade_or(guard, canceled()));
                assert!(lock.raw().snapshot().is_upgrading() && lock.$try_read().is_none());
                drop(reads);
                let guard = upgrade.run().expect("woken").unwrap();
                assert_held(&lock, Exclusive);
                let guard = $Write::downgrade_to_upgradable(guard);
                drop(upgrade);

                // Canceled. The guard comes back as it was, and what waited is woken.
                let reads = lock.$try_read().unwrap();
                let mut upgrade = Task::queued($Upgradable::upgrade_or(guard, canceled()));
                let mut waits = Task::queued(lock.$read());
                cancel.set(true);
                let (guard, output) = upgrade.finish().unwrap_err();
                assert_eq!((guard.0, output), (7, 7));
                assert_held(&lock, Upgradable);
                assert!(!lock.raw().snapshot().is_upgrading());
                drop((waits.run().expect("woken"), waits, upgrade));

                // Both are ready.
                cancel.set(false);
                let mut upgrade = Task::queued($Upgradable::upgrade_or(guard, canceled()));
                cancel.set(true);
                drop(reads);
                drop(upgrade.finish().unwrap());
                drop(upgrade);
                assert_over(&lock);

                // The last reader leaves while `cancel` is polled.
                let mut reads = lock.$try_read();
                let leaves = poll_fn(|_| {
                    reads = None;
                    Poll::Ready(())
                });
                let guard = now(lock.$upgradable());
                drop(now($Upgradable::upgrade_or(guard, leaves)).unwrap());
                assert_over(&lock);
            }

            #[test]
            fn u2_an_upgrade_in_place_or_a_cancel_future_ends_with_one_of_them() {
                let lock = lock();
                let mut guard = now(lock.$upgradable());
                let never = poll_fn(|_| -> Poll<()> { panic!("polled needlessly") });
                now($Upgradable::upgrade_in_place_or(&mut guard, never)).unwrap().0 = 7;
                assert_held(&lock, Upgradable);

                // Upgraded, by a release.
                let reads = lock.$try_read().unwrap();
                let pends = pending::<()>();
                let mut upgrade = Task::queued($Upgradable::upgrade_in_place_or(&mut guard, pends));
                assert!(lock.raw().snapshot().is_upgrading());
                drop(reads);
                let writes = upgrade.run().expect("woken").unwrap();
                assert_held(&lock, Exclusive);
                drop(writes);
                drop(upgrade);
                assert_held(&lock, Upgradable);

                // Canceled. The guard is as it was, and what waited is woken.
                let mut reads = lock.$try_read();
                let cancel = Cell::new(false);
                let canceled =
                    poll_fn(|_| if cancel.get() { Poll::Ready(7) } else { Poll::Pending });
                let mut upgrade =
                    Task::queued($Upgradable::upgrade_in_place_or(&mut guard, canceled));
                let mut waits = Task::queued(lock.$read());
                cancel.set(true);
                assert_eq!(upgrade.finish().map(drop), Err(7));
                drop((waits.run().expect("woken"), waits, upgrade));
                assert_held(&lock, Upgradable);

                // The last reader leaves while `cancel` is polled.
                let leaves = poll_fn(|_| {
                    reads = None;
                    Poll::Ready(())
                });
                let writes = now($Upgradable::upgrade_in_place_or(&mut guard, leaves)).unwrap();
                assert_held(&lock, Exclusive);
                drop(writes);
                assert_eq!(guard.0, 7);
                drop(guard);
                assert_over(&lock);
            }

            /// Not polled, waiting, and woken.
            #[test]
            fn u2_an_upgrade_with_a_cancel_future_that_is_dropped_drops_its_guard() {
                let lock = lock();
                drop($Upgradable::upgrade_or(now(lock.$upgradable()), ready(())));
                assert_over(&lock);
                for woken in [false, true] {
                    let mut reads = lock.$try_read();
                    let guard = now(lock.$upgradable());
                    let upgrade = Task::queued($Upgradable::upgrade_or(guard, pending::<()>()));
                    if woken {
                        reads = None;
                        assert!(upgrade.woken());
                    }
                    drop(upgrade);
                    drop(reads);
                    assert_over(&lock);
                }
            }

            /// The drops of `cancel` and of its output are foreign code. They run when the guard has been upgraded.
            #[cfg(panic = "unwind")]
            #[test]
            fn e1_an_upgrade_is_dropped_if_the_drop_of_cancel_panics() {
                struct PanicsOnDrop;
                impl Drop for PanicsOnDrop {
                    fn drop(&mut self) {
                        panic!("in drop");
                    }
                }
                let lock = lock();
                let bomb = PanicsOnDrop;
                let cancel = async move {
                    pending::<()>().await;
                    drop(bomb);
                };
                let guard = now(lock.$upgradable());
                panics_with("in drop", || drop(now($Upgradable::upgrade_or(guard, cancel))));
                assert_over(&lock);
                let mut reads = lock.$try_read();
                let leaves = poll_fn(|_| {
                    reads = None;
                    Poll::Ready(PanicsOnDrop)
                });
                let mut guard = now(lock.$upgradable());
                let upgrade = $Upgradable::upgrade_in_place_or(&mut guard, leaves);
                panics_with("in drop", || drop(now(upgrade)));
                assert_held(&lock, Upgradable);
                drop(guard);
                let mut reads = lock.$try_read();
                let leaves = poll_fn(|_| {
                    reads = None;
                    Poll::Ready(PanicsOnDrop)
                });
                let guard = now(lock.$upgradable());
                panics_with("in drop", || drop(now($Upgradable::upgrade_or(guard, leaves))));
                assert_over(&lock);
            }

            #[test]
            fn u2_an_upgrade_in_place_that_is_dropped_leaves_the_guard() {
                let lock = lock();
                let mut guard = lock.$try_upgradable().unwrap();
                drop($Upgradable::upgrade_in_place(&mut guard));
                for woken in [false, true] {
                    let mut reads = Some(lock.$try_read().unwrap());
                    let upgrade = Task::queued($Upgradable::upgrade_in_place(&mut guard));
                    let mut waits = Task::queued(lock.$read());
                    if woken {
                        reads = None;
                        assert!(upgrade.woken());
                    }
                    drop(upgrade);
                    assert_held(&lock, Upgradable);
                    assert_eq!(*waits.run().expect("woken"), (1, 2));
                    drop((reads, waits));
                }
                assert_eq!(guard.0, 1);
                drop(guard);
                assert_over(&lock);
            }

            #[test]
            fn u4_after_an_upgrade_in_place_others_read_again() {
                let lock = lock();
                let mut guard = lock.$try_upgradable().unwrap();
                let mut upgraded = now($Upgradable::upgrade_in_place(&mut guard));
                upgraded.0 = 7;
                assert_held(&lock, Exclusive);
                let mut waits = Task::queued(lock.$read());
                drop(upgraded);
                assert_held(&lock, Upgradable);
                assert_eq!(waits.run().expect("woken").0, 7);
                drop(waits);
                let reads = lock.$try_read().unwrap();
                assert!($Upgradable::try_upgrade_in_place(&mut guard).is_none());
                drop(reads);
                $Upgradable::try_upgrade_in_place(&mut guard).unwrap().0 = 8;
                assert_eq!(guard.0, 8);
                drop(guard);
                assert_over(&lock);
            }

            #[test]
            fn u2_a_failed_try_to_upgrade_returns_the_guard() {
                let lock = lock();
                let reads = lock.$try_read().unwrap();
                let guard = $Upgradable::try_upgrade(lock.$try_upgradable().unwrap()).unwrap_err();
                assert_held(&lock, Upgradable);
                drop(reads);
                $Upgradable::try_upgrade(guard).unwrap().0 = 7;
                assert_over(&lock);
            }

            #[test]
            fn u4_a_downgrade_wakes_all_that_it_admits() {
                let lock = lock();
                // Downgraded to read.
                let guard = lock.$try_write().unwrap();
                let mut waits = [Task::queued(lock.$read()), Task::queued(lock.$read())];
                let mut upgradable = Task::queued(lock.$upgradable());
                let guard = $Write::downgrade(guard);
                assert_eq!(waits.each_mut().map(|task| *task.run().expect("woken")), [(1, 2); 2]);
                drop((guard, upgradable.run().expect("woken"), waits, upgradable));
                assert_over(&lock);
                // Downgraded to read, and perhaps to write again.
                let guard = lock.$try_write().unwrap();
                let mut waits = [Task::queued(lock.$read()), Task::queued(lock.$read())];
                let mut upgradable = Task::queued(lock.$upgradable());
                let guard = $Write::downgrade_to_upgradable(guard);
                assert_eq!(waits.each_mut().map(|task| *task.run().expect("woken")), [(1, 2); 2]);
                assert!(!upgradable.woken());
                // Downgraded to read, and not to write again.
                let guard = $Upgradable::downgrade(guard);
                assert_held(&lock, Shared);
                drop(upgradable.run().expect("woken"));
                drop((guard, waits, upgradable));
                assert_over(&lock);
            }

            /// A try acquires a free lock even where a waiter was overtaken.
            #[test]
            fn q3_a_try_does_not_defer() {
                let lock = lock();
                let guard = lock.$try_write().unwrap();
                let mut overtaken = Task::queued(lock.$write());
                drop(guard);
                let guard = lock.$try_write().unwrap();
                overtaken.waits();
                drop(guard);
                assert_eq!(*lock.$try_read().unwrap(), (1, 2));
                assert_eq!(*lock.$try_upgradable().unwrap(), (1, 2));
                assert_eq!(*lock.$try_write().unwrap(), (1, 2));
                drop(overtaken.finish());
                drop(overtaken);
                assert_over(&lock);
            }

            /// A thread that blocks counts as a thread, not as a task: once it was overtaken, it is handed the
            /// lock.
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            #[test]
            fn q3_a_thread_that_blocks_is_overtaken_once() {
                let ways: [fn(&Arc<RwLock<Pair>>, &Barrier); 3] = [
                    |lock, end| {
                        let _guard = lock.$block_read();
                        end.wait();
                    },
                    |lock, end| {
                        let _guard = lock.$block_upgradable();
                        end.wait();
                    },
                    |lock, end| {
                        let _guard = lock.$block_write();
                        end.wait();
                    },
                ];
                for (mode, blocks) in Mode::ALL.into_iter().zip(ways) {
                    let start = Instant::now();
                    let overtaken = || {
                        let lock = lock();
                        let is_handed = || lock.raw().locked() == Some(mode);
                        overtakes(lock.raw(), mode, |end| blocks(&lock, end), is_handed)
                    };
                    while !overtaken() {
                        assert!(start.elapsed() < LONG, "the thread is never overtaken");
                    }
                }
            }

            #[test]
            fn futures_say_when_they_are_ready() {
                fn says(future: impl FusedFuture) {
                    let mut task = Task::new(future);
                    assert!(!task.future().is_terminated());
                    drop(task.finish());
                    assert!(task.future().is_terminated());
                }
                let lock = lock();
                says(lock.$read());
                says(lock.$upgradable());
                says(lock.$write());
                says($Upgradable::upgrade(now(lock.$upgradable())));
                assert_over(&lock);
            }

            /// When a guard ends, another thread may write before the call that ended the guard has returned.
            #[test]
            fn guards_point_to_nothing_once_they_have_ended() {
                let lock: Arc<RwLock<Box<u32>>> = Arc::new(RwLock::new(Box::new(1)));
                for way in 0..7 {
                    let mut waits = Task::new(lock.$write());
                    let (weak, guard) = (Arc::downgrade(&lock), lock.$try_upgradable().unwrap());
                    let on_wake = move || {
                        let lock = weak.upgrade().unwrap();
                        **lock.$try_write().unwrap() += 1;
                        *lock.$try_write().unwrap() = Box::new(5);
                    };
                    let hooks = Hooks { on_wake: Box::new(on_wake), ..Hooks::default() };
                    assert!(waits.poll_with(&hooks.waker()).is_pending());
                    match way {
                        0 => drop(guard),
                        1 => drop($Upgradable::downgrade(guard)),
                        2 => drop($Read::map($Upgradable::downgrade(guard), |data| &**data)),
                        3 => drop($Upgradable::try_upgrade(guard).unwrap()),
                        4 => drop($Write::map($Upgradable::try_upgrade(guard).unwrap(), |data| {
                            &mut **data
                        })),
                        5 => {
                            let guard = $Upgradable::try_upgrade(guard).unwrap();
                            drop($Write::downgrade_map(guard, |data| &**data));
                        }
                        _ => drop($Upgradable::upgrade(guard)),
                    }
                    drop(waits);
                    assert_eq!(**lock.$try_read().unwrap(), 5);
                }
                assert_over(&lock);
            }

            /// Even where a writer waits.
            #[test]
            fn an_upgradable_reader_shares_without_waiting() {
                let lock = lock();
                let guard = lock.$try_upgradable().unwrap();
                let writes = Task::queued(lock.$write());
                assert!(lock.$try_read().is_none());
                let more = $Upgradable::share(&guard).unwrap();
                assert_eq!((guard.0, more.1), (1, 2));
                drop((guard, writes));
                assert_held(&lock, Shared);
                drop(more);
                assert_over(&lock);
            }

            /// A reader reads once more, past a waiting writer.
            #[test]
            fn a_reader_is_cloned_without_waiting() {
                let lock = lock();
                let guard = lock.$try_read().unwrap();
                let mut writes = Task::queued(lock.$write());
                assert!(lock.$try_read().is_none());
                let more = $Read::share(&guard).unwrap();
                drop(guard);
                assert_eq!(*more, (1, 2));
                assert!(!writes.woken());
                drop(more);
                drop(writes.run().expect("woken"));
                drop(writes);
                assert_over(&lock);

                let guard = lock.$try_read().unwrap();
                let upgrade = Task::queued($Upgradable::upgrade(now(lock.$upgradable())));
                assert!($Read::share(&guard).is_none());
                drop(upgrade);
                let more = $Read::share(&guard).unwrap();
                assert_eq!(lock.raw().snapshot().shared_holders(), 2);
                drop((guard, more));
                assert_over(&lock);
            }

            #[test]
            fn guards_are_mapped_to_parts() {
                let lock = lock();
                let guard = $Read::map(lock.$try_read().unwrap(), part);
                assert_eq!(*guard, 2);
                let more = $Read::share(&guard).unwrap();
                assert_eq!(lock.raw().snapshot().shared_holders(), 2);
                drop(guard);
                let guard = $Read::try_map(more, |_| None::<&()>).unwrap_err();
                let guard = $Read::try_map(guard, |second| Some(second)).unwrap();
                assert_eq!(*guard, 2);
                drop(guard);
                assert_over(&lock);

                let guard = $Write::try_map(lock.$try_write().unwrap(), |_| None::<&mut ()>);
                let guard = $Write::try_map(guard.unwrap_err(), |pair| Some(part_mut(pair)));
                let mut guard = $Mapped::map(guard.unwrap(), |second| second);
                assert_held(&lock, Exclusive);
                *guard = 7;
                let guard = $Mapped::try_map(guard, |_| None::<&mut ()>).unwrap_err();
                let mut guard = $Mapped::try_map(guard, |second| Some(second)).unwrap();
                *guard += 1;
                drop(guard);
                assert_over(&lock);
                let mut guard = $Write::map(lock.$try_write().unwrap(), part_mut);
                *guard += 1;
                drop(guard);
                assert_eq!(*lock.$try_read().unwrap(), (1, 9));
                assert_over(&lock);
            }

            #[test]
            fn u4_a_write_guard_is_downgraded_to_a_part() {
                let lock = lock();
                let mut guard = lock.$try_write().unwrap();
                guard.1 = 7;
                let mut waits = [Task::queued(lock.$read()), Task::queued(lock.$read())];
                let writes = Task::queued(lock.$write());
                let guard = $Write::downgrade_map(guard, |pair| {
                    assert_held(&lock, Exclusive);
                    &pair.1
                });
                assert_held(&lock, Shared);
                assert_eq!(*guard, 7);
                assert_eq!(waits.each_mut().map(|task| *task.run().expect("woken")), [(1, 7); 2]);
                assert!(!writes.woken());
                // It is a guard as any other.
                let more = $Read::map($Read::share(&guard).unwrap(), |second| second);
                drop((guard, waits, writes));
                assert_eq!((*more, lock.raw().snapshot().shared_holders()), (7, 1));
                drop(more);
                assert_over(&lock);

                let guard = lock.$try_write().unwrap();
                let waits = Task::queued(lock.$read());
                let mut guard = $Write::try_downgrade_map(guard, |_| None::<&()>).unwrap_err();
                assert_held(&lock, Exclusive);
                assert!(!waits.woken());
                guard.0 = 8;
                let guard = $Write::try_downgrade_map(guard, |pair| Some(&pair.0)).unwrap();
                assert_held(&lock, Shared);
                assert!(waits.woken());
                assert_eq!(*guard, 8);
                drop((guard, waits));
                assert_over(&lock);
            }

            #[cfg(panic = "unwind")]
            #[test]
            fn guards_are_dropped_if_the_mapping_function_panics() {
                let lock = lock();
                panics_with("no", || {
                    drop($Read::map(lock.$try_read().unwrap(), |_| -> &() { panic!("no") }));
                });
                panics_with("no", || {
                    drop($Write::map(lock.$try_write().unwrap(), |pair| -> &mut () {
                        pair.0 = 7;
                        panic!("no")
                    }));
                });
                let mut waits = Task::new(lock.$read());
                panics_with("no", || {
                    let guard = lock.$try_write().unwrap();
                    assert!(waits.poll().is_pending());
                    drop($Write::downgrade_map(guard, |_| -> &() { panic!("no") }));
                });
                drop(waits.run().expect("woken"));
                drop(waits);
                panics_with("no", || {
                    let guard = lock.$try_write().unwrap();
                    _ = $Write::try_downgrade_map(guard, |_| -> Option<&()> { panic!("no") });
                });
                assert_over(&lock);
                assert_eq!(*lock.$try_read().unwrap(), (7, 2), "there is no poisoning");
            }

            /// Calls that wake waiters: none leaves the lock held without a guard.
            #[cfg(all(feature = "std", panic = "unwind"))]
            #[test]
            fn guards_end_if_a_waker_panics() {
                let lock = lock();
                for way in 0..6 {
                    let guard = lock.$try_write().unwrap();
                    let mut waits = Task::new(lock.$read());
                    assert!(waits.poll_with(&panics()).is_pending());
                    panics_with("in wake", || match way {
                        0 => drop(guard),
                        1 => drop($Write::downgrade(guard)),
                        2 => drop($Write::downgrade_to_upgradable(guard)),
                        3 => drop($Write::downgrade_map(guard, part)),
                        4 => _ = $Write::try_downgrade_map(guard, |pair| Some(part(pair))),
                        _ => drop($Write::map(guard, part_mut)),
                    });
                    drop(waits);
                    assert_over(&lock);
                }
                let guard = lock.$try_upgradable().unwrap();
                let mut waits = Task::new(lock.$upgradable());
                assert!(waits.poll_with(&panics()).is_pending());
                panics_with("in wake", || drop($Upgradable::downgrade(guard)));
                drop(waits);
                assert_over(&lock);

                let mut guard = lock.$try_upgradable().unwrap();
                let upgraded = $Upgradable::try_upgrade_in_place(&mut guard).unwrap();
                let mut waits = Task::new(lock.$read());
                assert!(waits.poll_with(&panics()).is_pending());
                panics_with("in wake", || drop(upgraded));
                assert_held(&lock, Upgradable);
                drop((guard, waits));
                assert_over(&lock);
            }

            #[test]
            fn guards_show_what_they_guard() {
                fn shows(guard: impl Display + std::fmt::Debug) {
                    assert_eq!(
                        (format!("{guard}"), format!("{guard:?}")),
                        ("a".into(), "\"a\"".into())
                    );
                }
                let lock = Arc::new(RwLock::new("a"));
                shows(lock.$try_read().unwrap());
                shows(lock.$try_upgradable().unwrap());
                shows(lock.$try_write().unwrap());
                shows($Write::map(lock.$try_write().unwrap(), |data| data));
                shows($Read::map(lock.$try_read().unwrap(), |data| data));
                let mut guard = lock.$try_upgradable().unwrap();
                shows(now($Upgradable::upgrade_in_place(&mut guard)));
            }

            #[cfg(panic = "unwind")]
            #[test]
            fn bad_use_futures_panic_if_they_are_polled_after_they_were_ready() {
                let lock = lock();
                let text = "polled after it was ready";
                let mut read = Task::new(lock.$read());
                drop(read.finish());
                panics_with(text, || _ = read.poll());
                let mut write = Task::new(lock.$write());
                drop(write.finish());
                panics_with(text, || _ = write.poll());
                let mut upgrade = Task::new($Upgradable::upgrade(now(lock.$upgradable())));
                drop(upgrade.finish());
                panics_with(text, || _ = upgrade.poll());
                drop((read, write, upgrade));
                assert_over(&lock);
            }

            /// The lock stays held forever, and nothing else is harmed.
            #[cfg(panic = "unwind")]
            #[test]
            fn bad_use_a_guard_of_an_upgrade_in_place_may_be_forgotten() {
                let lock = lock();
                let mut guard = lock.$try_upgradable().unwrap();
                mem::forget(now($Upgradable::upgrade_in_place(&mut guard)));
                assert_eq!(*guard, (1, 2));
                assert!(lock.$try_read().is_none());
                assert!($Upgradable::try_upgrade_in_place(&mut guard).is_none());
                let text = "an earlier upgrade in place was forgotten";
                panics_with(text, || drop(now($Upgradable::upgrade_in_place(&mut guard))));
                let guard = $Upgradable::try_upgrade(guard).unwrap_err();
                let other = RwLock::new((1, 2));
                let mut forgets = other.try_upgradable_read().unwrap();
                mem::forget(RwLockUpgradableReadGuard::try_upgrade_in_place(&mut forgets));
                let upgrade = RwLockUpgradableReadGuard::upgrade_or(forgets, pending::<()>());
                panics_with(text, || _ = now(upgrade));
                panics_with(text, || drop(now($Upgradable::upgrade(guard))));
                assert!(lock.$try_write().is_none() && lock.$try_upgradable().is_none());
            }

            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            #[test]
            fn bad_use_a_timeout_of_zero_is_one_try() {
                let lock = lock();
                assert_eq!(*lock.$read_blocking_timeout(Duration::ZERO).unwrap(), (1, 2));
                assert_eq!(*lock.$upgradable_timeout(Duration::ZERO).unwrap(), (1, 2));
                assert_eq!(*lock.$write_blocking_timeout(Duration::ZERO).unwrap(), (1, 2));
                let _guard =
                    lock.$write_blocking_timeout(Duration::MAX).expect("there is no limit");
                for timeout in [Duration::ZERO, SHORT] {
                    let start = Instant::now();
                    assert!(lock.$read_blocking_timeout(timeout).is_none());
                    assert!(lock.$upgradable_timeout(timeout).is_none());
                    assert!(lock.$write_blocking_timeout(timeout).is_none());
                    assert!(start.elapsed() >= 3 * timeout);
                }
            }

            #[test]
            fn x1_uncontended_allocates_nothing() {
                let lock = lock();
                without_allocation("all ways", || {
                    drop((lock.$try_read(), now(lock.$upgradable())));
                    drop(now(lock.$read_or(pending::<()>())).unwrap());
                    drop(now(lock.$write_or(pending::<()>())).unwrap());
                    let guard = now($Upgradable::upgrade(now(lock.$upgradable())));
                    let guard = $Write::downgrade_to_upgradable(guard);
                    let guard = now($Upgradable::upgrade_or(guard, pending::<()>())).unwrap();
                    let mut guard = $Write::downgrade_to_upgradable(guard);
                    drop(now($Upgradable::upgrade_in_place(&mut guard)));
                    let guard = $Read::map($Upgradable::downgrade(guard), part);
                    drop($Read::share(&guard));
                    drop(guard);
                    drop($Write::map(now(lock.$write()), part_mut));
                    drop($Write::downgrade_map(now(lock.$write()), part));
                });
            }

            #[test]
            fn x2_waiting_allocates_nothing_after_the_first_wait() {
                let lock = lock();
                let guard = lock.$try_write().unwrap();
                drop(Task::queued(lock.$read()));
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                without_allocation("is canceled", || {
                    assert!(now(lock.$read_or(ready(()))).is_err());
                    assert!(now(lock.$upgradable_or(ready(()))).is_err());
                    assert!(now(lock.$write_or(ready(()))).is_err());
                });
                without_allocation("waits", || {
                    let mut read = std::pin::pin!(lock.$read());
                    let mut write = std::pin::pin!(lock.$write());
                    assert!(read.as_mut().poll(&mut cx).is_pending());
                    assert!(write.as_mut().poll(&mut cx).is_pending());
                    let guard = $Write::downgrade_to_upgradable(guard);
                    let mut upgrade = std::pin::pin!($Upgradable::upgrade(guard));
                    let Poll::Ready(reads) = read.as_mut().poll(&mut cx) else { panic!() };
                    assert!(upgrade.as_mut().poll(&mut cx).is_pending());
                    drop(reads);
                    assert!(upgrade.as_mut().poll(&mut cx).is_ready());
                });
            }
        }
    };
}

suite! {
    borrowed: RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard, MappedRwLockWriteGuard,
    try_read, try_upgradable_read, try_write,
    read, upgradable_read, write,
    read_blocking, upgradable_read_blocking, write_blocking,
    read_blocking_timeout, upgradable_read_blocking_timeout, write_blocking_timeout,
    read_or, upgradable_read_or, write_or
}

suite! {
    owning: RwLockReadGuardArc, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc, MappedRwLockWriteGuardArc,
    try_read_arc, try_upgradable_read_arc, try_write_arc,
    read_arc, upgradable_read_arc, write_arc,
    read_arc_blocking, upgradable_read_arc_blocking, write_arc_blocking,
    read_arc_blocking_timeout, upgradable_read_arc_blocking_timeout, write_arc_blocking_timeout,
    read_arc_or, upgradable_read_arc_or, write_arc_or
}

#[test]
fn e2_closures_read_and_write_the_data() {
    let lock = lock();
    let before = now(lock.with_mut(|pair| {
        assert_held(&lock, Exclusive);
        mem::replace(pair, (3, 4))
    }));
    assert_eq!(before, (1, 2));
    let read = now(lock.with(|pair| {
        assert_held(&lock, Shared);
        (*pair, lock.try_read().is_some())
    }));
    assert_eq!(read, ((3, 4), true));
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    {
        lock.with_mut_blocking(|pair| {
            assert_held(&lock, Exclusive);
            pair.0 += 1;
        });
        assert_eq!(lock.with_blocking(|pair| (*pair, lock.raw().locked())), ((4, 4), Some(Shared)));
    }
    assert_over(&lock);
}

#[test]
fn c_a_closure_runs_in_the_last_poll_or_not_at_all() {
    let runs = AtomicUsize::new(0);
    let run = || runs.fetch_add(1, SeqCst);
    let lock = lock();
    drop((lock.with(|_| run()), lock.with_mut(|_| run())));
    let guard = lock.try_write().unwrap();
    let mut write = Task::queued(lock.with_mut(|_| run()));
    let read = Task::queued(lock.with(|_| run()));
    drop(Task::queued(lock.with_mut(|_| run())));
    drop(guard);
    // A woken reader passes its wake-up on.
    assert!(read.woken() && !write.woken());
    drop(read);
    assert_eq!(runs.load(SeqCst), 0);
    assert_eq!(write.run(), Some(0));
    assert!(write.future().is_terminated());
    drop(write);
    assert_over(&lock);
}

#[cfg(panic = "unwind")]
#[test]
fn e1_a_closure_that_panics_ends_its_access() {
    let lock = lock();
    let mut read = Task::new(lock.with(|_| panic!("no")));
    panics_with("no", || _ = read.poll());
    let mut write = Task::new(lock.with_mut(|pair| {
        pair.0 = 7;
        panic!("no")
    }));
    panics_with("no", || _ = write.poll());
    assert_idle(lock.raw());
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    {
        panics_with("no", || lock.with_blocking(|_| panic!("no")));
        panics_with("no", || {
            lock.with_mut_blocking(|pair| {
                pair.1 = 8;
                panic!("no")
            })
        });
        assert_eq!(lock.with_blocking(|pair| pair.1), 8, "there is no poisoning");
    }
    drop((read, write));
    assert_eq!(lock.try_read().unwrap().0, 7, "there is no poisoning");
    assert_over(&lock);
}

/// What a closure returns may be a guard of another lock.
#[cfg(all(feature = "std", panic = "unwind"))]
#[test]
fn e1_the_output_of_a_closure_is_dropped_if_a_waker_panics() {
    let (lock, other) = (lock(), MultiLock::new());
    let output = || other.try_acquire(Exclusive).unwrap();
    for way in 0..if cfg!(target_family = "wasm") { 2 } else { 4 } {
        let mut waits = None;
        let wait = || {
            let mut task = Task::new(lock.write());
            assert!(task.poll_with(&panics()).is_pending());
            task
        };
        panics_with("in wake", || match way {
            0 => drop(now(lock.with(|_| (waits = Some(wait()), output())))),
            1 => drop(now(lock.with_mut(|_| (waits = Some(wait()), output())))),
            #[cfg(not(target_family = "wasm"))]
            2 => drop(lock.with_blocking(|_| (waits = Some(wait()), output()))),
            #[cfg(not(target_family = "wasm"))]
            _ => drop(lock.with_mut_blocking(|_| (waits = Some(wait()), output()))),
            #[cfg(target_family = "wasm")]
            _ => unreachable!(),
        });
        drop(waits);
        assert_idle(&other);
        assert_over(&lock);
    }
}

#[test]
fn x1_x2_closures_allocate_nothing_after_the_first_wait() {
    let lock = lock();
    without_allocation("uncontended", || {
        now(lock.with_mut(|pair| pair.0 += 1));
        assert_eq!(now(lock.with(|pair| pair.0)), 2);
    });
    let guard = lock.try_write().unwrap();
    drop(Task::queued(lock.read()));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    without_allocation("waits", || {
        let mut read = std::pin::pin!(lock.with(|pair| pair.0));
        let mut write = std::pin::pin!(lock.with_mut(|pair| pair.0 += 1));
        assert!(read.as_mut().poll(&mut cx).is_pending());
        assert!(write.as_mut().poll(&mut cx).is_pending());
        drop(guard);
        assert!(read.as_mut().poll(&mut cx).is_ready());
        assert!(write.as_mut().poll(&mut cx).is_ready());
    });
    assert_over(&lock);
}

/// The last owner may be a guard of any type, or an upgrade.
#[test]
fn guards_that_own_the_lock_drop_the_data_with_it() {
    struct Noisy<'a>(&'a AtomicUsize, u32);
    impl Drop for Noisy<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    type Lock<'a> = Arc<RwLock<Noisy<'a>>>;
    let drops = AtomicUsize::new(0);
    let ends: [fn(Lock<'_>); 8] = [
        |lock| {
            let guard = lock.try_write_arc().unwrap();
            drop(lock);
            assert_eq!(*RwLockWriteGuardArc::downgrade_map(guard, |noisy| &noisy.1), 7);
        },
        |lock| drop({ lock }.try_read_arc()),
        |lock| {
            let guard = lock.try_read_arc().unwrap();
            drop(lock);
            let more = RwLockReadGuardArc::share(&guard).unwrap();
            drop(guard);
            assert_eq!(*RwLockReadGuardArc::map(more, |noisy| &noisy.1), 7);
        },
        |lock| {
            let guard = lock.try_write_arc().unwrap();
            drop(lock);
            *RwLockWriteGuardArc::map(guard, |noisy| &mut noisy.1) = 8;
        },
        |lock| {
            let guard = lock.try_write_arc().unwrap();
            drop(lock);
            let guard = RwLockWriteGuardArc::downgrade_to_upgradable(guard);
            drop(RwLockUpgradableReadGuardArc::downgrade(guard));
        },
        |lock| {
            let guard = lock.try_upgradable_read_arc().unwrap();
            drop(lock);
            drop(RwLockUpgradableReadGuardArc::upgrade(guard));
        },
        |lock| {
            let guard = lock.try_upgradable_read_arc().unwrap();
            drop(lock);
            let mut upgrade = Task::new(RwLockUpgradableReadGuardArc::upgrade(guard));
            drop(upgrade.finish());
            // The lock no longer exists.
            assert!(upgrade.future().is_terminated());
        },
        |lock| {
            let (reads, guard) = (lock.try_read_arc(), lock.try_upgradable_read_arc().unwrap());
            drop(lock);
            let upgrade = Task::queued(RwLockUpgradableReadGuardArc::upgrade(guard));
            drop(reads);
            drop(upgrade);
        },
    ];
    for (n, end) in ends.into_iter().enumerate() {
        end(Arc::new(RwLock::new(Noisy(&drops, 7))));
        assert_eq!(drops.load(SeqCst), n + 1);
    }
}

#[test]
fn data_may_have_no_size() {
    trait Speaks {
        fn speak(&mut self) -> u32;
    }
    impl Speaks for u32 {
        fn speak(&mut self) -> u32 {
            *self += 1;
            *self
        }
    }
    let slice: Arc<RwLock<[u32]>> = Arc::new(RwLock::new([1, 2, 3]));
    assert_eq!(now(slice.read()).len(), 3);
    now(slice.write_arc())[1] = 7;
    let guard = RwLockReadGuardArc::map(now(slice.read_arc()), |slice| &slice[1..]);
    assert_eq!(*guard, [7, 3]);
    drop(guard);
    drop(now(RwLockUpgradableReadGuardArc::upgrade(now(slice.upgradable_read_arc()))));
    assert_over(&slice);
    let object: Arc<RwLock<dyn Speaks>> = Arc::new(RwLock::new(1));
    assert_eq!(now(object.write()).speak(), 2);
    assert_eq!(now(RwLockUpgradableReadGuard::upgrade(now(object.upgradable_read()))).speak(), 3);
    assert_over(&object);
}

/// Not even for a moment: it shows the same while a writer holds the lock.
#[test]
fn debug_never_acquires_the_lock() {
    let lock = RwLock::new(5);
    let free = format!("{lock:?}");
    assert!(free.starts_with("RwLock { state: Snapshot { mode: None"), "{free}");
    let guard = lock.try_write().unwrap();
    let written = format!("{lock:?}");
    assert!(written.contains("mode: Some(Exclusive)") && !written.contains('5'), "{written}");
    drop(guard);
    // If `Debug` acquired the lock for a moment, a monitor would see an edge.
    let monitor = lock.raw().monitor(Exclusive);
    assert!(monitor.is_set());
    monitor.clear();
    _ = format!("{lock:?}");
    assert!(!monitor.is_set());
    for shown in [
        format!("{:?}", lock.read()),
        format!("{:?}", lock.write()),
        format!("{:?}", lock.upgradable_read()),
        format!("{:?}", RwLockUpgradableReadGuard::upgrade(lock.try_upgradable_read().unwrap())),
    ] {
        assert!(shown.ends_with(" { .. }"), "{shown}");
    }
}

#[test]
fn raw_shows_holders_and_keeps_others_out() {
    let lock = RwLock::new(1);
    let guard = lock.raw().try_acquire(Shared).unwrap();
    assert!(lock.try_write().is_none());
    assert_eq!(*lock.try_read().unwrap(), 1);
    drop(guard);
    let handle = lock.raw().try_acquire(Exclusive).unwrap().into_handle();
    assert!(lock.try_read().is_none());
    lock.raw().release(handle).unwrap();
    assert_idle(lock.raw());
}

#[cfg(not(loom))]
#[test]
fn a_lock_may_be_static() {
    static LOCK: RwLock<u32> = RwLock::new(1);
    *LOCK.try_write().unwrap() += 1;
    assert_eq!(*LOCK.try_read().unwrap(), 2);
}

#[test]
fn constructors_and_what_needs_no_lock() {
    let mut lock = RwLock::from(1);
    *lock.get_mut() += 1;
    assert_eq!(lock.into_inner(), 2);
    let lock: RwLock<String> = RwLock::default();
    assert_eq!(*lock.try_read().unwrap(), "");
}
