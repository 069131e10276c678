//! The scenarios: each written once, for any runtime.
//!
//! None depends on timing. Where a task must have reached some point, the lock shows it. A sleep only
//! makes an interesting order likely.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use Mode::{Exclusive, Shared, Upgradable};
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, FutureExt, join, join_all, pending};
use futures::stream::StreamExt;
use multilock::{HandleLock, LockGuard, LockSet, Lockable, Mode, MultiLock, UpgradeError};
use multilock::{RwLock, RwLockUpgradableReadGuard, RwLockWriteGuardArc};
use multilock::{acquire_all, lock_all, lock_all_or, try_acquire_all, try_lock_all};
#[cfg(feature = "std")]
use multilock::{acquire_all_blocking, lock_all_blocking, lock_all_blocking_timeout};

use crate::Runtime;

const TASKS: usize = 6;
const ROUNDS: usize = 60;
/// For tasks that visit several tables.
const FEW_ROUNDS: usize = 20;
const MOMENT: Duration = Duration::from_millis(1);

/// A lock, and the data behind it: cells that are equal while no holder changes them.
///
/// The cells are atomic only so that a failure of the lock fails the test, without undefined behavior.
/// They do not work without the lock: every change is a load and, later, a store.
#[derive(Default)]
pub(crate) struct Table {
    lock: Arc<MultiLock>,
    cells: [AtomicUsize; 4],
    owned: AtomicBool,
    /// The number of changes to the cells. It needs no lock.
    changes: AtomicUsize,
}

impl Table {
    /// The value of every cell, as a holder sees it.
    async fn look<R: Runtime>(&self, dice: &mut Dice) -> usize {
        let first = self.cells[0].load(Relaxed);
        for cell in &self.cells[1..] {
            pause::<R>(dice).await;
            assert_eq!(cell.load(Relaxed), first, "another holder changes it");
        }
        first
    }

    /// Adds one to every cell, for an exclusive holder.
    async fn change<R: Runtime>(&self, dice: &mut Dice) {
        let _alone = self.own();
        for cell in &self.cells {
            let value = cell.load(Relaxed);
            pause::<R>(dice).await;
            cell.store(value + 1, Relaxed);
        }
        self.changes.fetch_add(1, Relaxed);
    }

    /// Marks the table as owned by a holder that is not shared, until the result is dropped.
    fn own(&self) -> impl Drop {
        struct Own<'a>(&'a AtomicBool);
        impl Drop for Own<'_> {
            fn drop(&mut self) {
                self.0.store(false, Relaxed);
            }
        }
        assert!(!self.owned.swap(true, Relaxed), "there are two holders that are not shared");
        Own(&self.owned)
    }

    /// Does what a holder in `mode` may do.
    async fn visit<R: Runtime>(&self, mode: Mode, dice: &mut Dice) {
        match mode {
            Shared => {
                self.look::<R>(dice).await;
            }
            Upgradable => {
                let _alone = self.own();
                self.look::<R>(dice).await;
            }
            Exclusive => self.change::<R>(dice).await,
        }
    }

    /// [`visit`](Self::visit), by a thread.
    #[cfg(feature = "std")]
    fn visit_blocking(&self, mode: Mode) {
        let _alone = (mode != Shared).then(|| self.own());
        let values = self.cells.each_ref().map(|cell| {
            let value = cell.load(Relaxed);
            std::thread::yield_now();
            if mode == Exclusive {
                cell.store(value + 1, Relaxed);
            }
            value
        });
        assert_eq!(values, [values[0]; 4], "another holder changes it");
        self.changes.fetch_add(usize::from(mode == Exclusive), Relaxed);
    }

    /// Checks that nothing is left at the end but the changes.
    pub(crate) fn assert_total(&self) {
        let changes = self.changes.load(Relaxed);
        assert_eq!(self.cells.each_ref().map(|cell| cell.load(Relaxed)), [changes; 4]);
        assert_idle(&self.lock);
    }
}

/// Checks that the lock has no holder and no waiter.
fn assert_idle(lock: &MultiLock) {
    assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
}

/// Pseudorandom numbers, the same in every run.
struct Dice(usize);

impl Dice {
    fn new(task: usize, round: usize) -> Self {
        Self((task * ROUNDS + round).wrapping_mul(0x9E37_79B9))
    }

    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (self.0 >> 16) % sides
    }

    fn mode(&mut self) -> Mode {
        Mode::ALL[self.roll(3)]
    }
}

/// Yields to other tasks, or not, or sleeps.
async fn pause<R: Runtime>(dice: &mut Dice) {
    match dice.roll(32) {
        0 => R::sleep(MOMENT / 4).await,
        1..=12 => R::yield_now().await,
        _ => {}
    }
}

async fn until<R: Runtime>(mut seen: impl FnMut() -> bool + Send) {
    while !seen() {
        R::sleep(MOMENT / 4).await;
    }
}

/// Many tasks do `round` many times.
async fn crowd<R: Runtime, F>(
    table: &Arc<Table>,
    seed: usize,
    round: impl Fn(Arc<Table>, Dice) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let tasks = (0..TASKS).map(|task| {
        let (table, round) = (table.clone(), round.clone());
        R::spawn(async move {
            for number in 0..ROUNDS {
                round(table.clone(), Dice::new(seed * TASKS + task, number)).await;
            }
        })
    });
    join_all(tasks).await;
}

/// Tasks acquire in all modes, and hold across `.await`.
pub(crate) async fn contend<R: Runtime>(table: &Arc<Table>, seed: usize) {
    crowd::<R, _>(table, seed, |table, mut dice| async move {
        let mode = dice.mode();
        let _guard = table.lock.acquire(mode).await;
        table.visit::<R>(mode, &mut dice).await;
    })
    .await;
}

pub(crate) async fn all_modes_in_contention<R: Runtime>() {
    let table = Arc::default();
    contend::<R>(&table, 0).await;
    table.assert_total();
}

pub(crate) async fn a_cancelled_waiter_admits_others<R: Runtime>() {
    let table = Arc::<Table>::default();
    let lock = &table.lock;
    let holder = lock.acquire(Shared).await;

    // By `select`, in other tasks.
    let (sender, receiver) = oneshot::channel::<()>();
    let waiter = {
        let table = table.clone();
        R::spawn(async move {
            let acquire = table.lock.acquire(Exclusive);
            matches!(R::select(acquire, receiver).await, Either::Right(_))
        })
    };
    until::<R>(|| lock.snapshot().is_awaited(Exclusive)).await;
    let behind = [Shared, Shared, Upgradable].map(|mode| {
        let table = table.clone();
        R::spawn(async move { drop(table.lock.acquire(mode).await) })
    });
    let both = || lock.snapshot().is_awaited(Shared) && lock.snapshot().is_awaited(Upgradable);
    until::<R>(both).await;
    sender.send(()).unwrap();
    assert!(waiter.await);
    join_all(behind).await;

    // By a time limit. The task behind it arrives when it waits already.
    let mut behind = None;
    let come = async {
        let table = table.clone();
        behind = Some(R::spawn(async move { drop(table.lock.acquire(Shared).await) }));
    };
    assert!(R::timeout(10 * MOMENT, join(lock.acquire(Exclusive), come)).await.is_none());
    behind.unwrap().await;
    assert_eq!(lock.snapshot().shared_holders(), 1);

    // Dropped after it was woken, and before it is polled.
    let mut waiter = Box::pin(lock.acquire(Exclusive));
    assert!(matches!(R::select(waiter.as_mut(), R::sleep(MOMENT)).await, Either::Right(())));
    let behind = {
        let table = table.clone();
        R::spawn(async move { drop(table.lock.acquire(Exclusive).await) })
    };
    R::sleep(MOMENT).await;
    drop(holder);
    drop(waiter);
    behind.await;
    assert_idle(lock);
}

pub(crate) async fn many_waiters_are_cancelled<R: Runtime>() {
    let table = Arc::default();
    crowd::<R, _>(&table, 1, |table, mut dice| async move {
        let mode = dice.mode();
        let limit = MOMENT / 8 * dice.roll(8) as u32;
        let acquire = table.lock.acquire(mode);
        let guard = match dice.roll(3) {
            0 => R::timeout(limit, acquire).await,
            1 => match R::select(acquire, R::sleep(limit)).await {
                Either::Left(guard) => Some(guard),
                Either::Right(()) => None,
            },
            _ => table.lock.acquire_or(mode, R::sleep(limit)).await.ok(),
        };
        if let Some(_guard) = guard {
            table.visit::<R>(mode, &mut dice).await;
        }
    })
    .await;
    table.assert_total();
}

/// Tasks read and write data, each with a limit, and change it in closures that are not async.
pub(crate) async fn data_with_limits<R: Runtime>() {
    let lock = Arc::new(RwLock::new([0; 2]));
    let changes = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (lock, changes) = (lock.clone(), changes.clone());
            R::spawn(async move {
                for round in 0..ROUNDS {
                    let mut dice = Dice::new(task, round);
                    let time = MOMENT / 8 * dice.roll(8) as u32;
                    let limit = R::sleep(time);
                    match dice.roll(5) {
                        0 => {
                            let Ok(guard) = lock.read_or(limit).await else { continue };
                            let before = *guard;
                            pause::<R>(&mut dice).await;
                            assert_eq!((guard[0], *guard), (guard[1], before));
                        }
                        1 => {
                            let Ok(mut guard) = lock.write_arc_or(limit).await else { continue };
                            guard[0] += 1;
                            pause::<R>(&mut dice).await;
                            guard[1] += 1;
                            changes.fetch_add(1, Relaxed);
                            let written = guard[1];
                            let guard =
                                RwLockWriteGuardArc::downgrade_map(guard, |cells| &cells[0]);
                            pause::<R>(&mut dice).await;
                            assert_eq!(*guard, written, "a writer came in between");
                        }
                        2 => {
                            let guard = lock.upgradable_read().await;
                            let before = *guard;
                            pause::<R>(&mut dice).await;
                            match RwLockUpgradableReadGuard::upgrade_or(guard, limit).await {
                                Ok(mut guard) => {
                                    assert_eq!(*guard, before, "a writer came in between");
                                    *guard = guard.map(|cell| cell + 1);
                                    changes.fetch_add(1, Relaxed);
                                }
                                Err((guard, ())) => assert_eq!(*guard, before),
                            }
                        }
                        3 => lock.with(|cells| assert_eq!(cells[0], cells[1])).await,
                        _ => {
                            let change = lock.with_mut(|cells| {
                                *cells = cells.map(|cell| cell + 1);
                                changes.fetch_add(1, Relaxed);
                            });
                            // Dropped in the middle of the wait, and never in that of the change.
                            match dice.roll(2) {
                                0 => _ = R::timeout(time, change).await,
                                _ => _ = R::select(change, limit).await,
                            }
                        }
                    }
                }
            })
        })
        .collect();
    join_all(tasks).await;
    assert_eq!(lock.with(|cells| *cells).await, [changes.load(Relaxed); 2]);
    assert_idle(lock.raw());
}

#[cfg(feature = "std")]
pub(crate) async fn threads_that_block_beside_tasks<R: Runtime>() {
    use std::thread;

    /// As `contend`, without a runtime.
    fn block(table: &Table, seed: usize) {
        let mut dice = Dice(seed);
        for _ in 0..ROUNDS {
            let mode = dice.mode();
            let limit = MOMENT / 8 * dice.roll(8) as u32;
            let guard = match dice.roll(2) {
                0 => Some(table.lock.acquire_blocking(mode)),
                _ => table.lock.acquire_blocking_timeout(mode, limit),
            };
            if let Some(_guard) = guard {
                table.visit_blocking(mode);
            }
        }
    }

    let table = Arc::<Table>::default();
    let threads = [1, 2].map(|seed| {
        let table = table.clone();
        thread::spawn(move || block(&table, seed))
    });
    contend::<R>(&table, 2).await;
    until::<R>(|| threads.iter().all(|thread| thread.is_finished())).await;
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    table.assert_total();
}

/// A task waits for the lock, stops polling that future, does something else, and needs the lock for
/// it. A lock that is handed to the next waiter in the queue hangs here.
pub(crate) async fn a_queued_future_that_is_not_polled_blocks_no_waiter<R: Runtime>() {
    for mode in Mode::ALL {
        let lock = Arc::new(MultiLock::new());
        let guard = lock.acquire_arc(Exclusive).await;
        let (sender, receiver) = oneshot::channel();
        let holder = R::spawn(async move {
            receiver.await.unwrap();
            R::sleep(2 * MOMENT).await;
            drop(guard);
        });

        let mut queued = pin!(lock.acquire(Exclusive));
        match R::select(queued.as_mut(), R::sleep(MOMENT)).await {
            Either::Left(_) => unreachable!("the holder has not released the lock"),
            Either::Right(()) => {
                // `queued` is first in the queue, and is not polled from here on.
                let acquire = lock.acquire_arc(mode);
                let other = R::spawn(async move { drop(acquire.await) });
                sender.send(()).unwrap();
                drop(lock.acquire(mode).await);
                // The first release may wake `queued` alone. The next wakes the other task.
                drop(lock.acquire(mode).await);
                other.await;
                holder.await;
            }
        }
        drop(queued.await);
        assert_idle(&lock);
    }
}

pub(crate) async fn no_writer_enters_between_read_and_upgrade<R: Runtime>() {
    let table = Arc::default();
    crowd::<R, _>(&table, 3, |table, mut dice| async move {
        let mode = dice.mode();
        let mut guard = table.lock.acquire(mode).await;
        let alone = (mode == Upgradable).then(|| table.own());
        let before = table.look::<R>(&mut dice).await;

        if mode == Shared && dice.roll(2) == 0 {
            return;
        }
        // An upgradable holder may always upgrade, a shared holder if it is the first.
        match guard.upgrade().await {
            Ok(()) => {}
            Err(error) => {
                assert_eq!((mode, error), (Shared, UpgradeError::Conflict));
                assert_eq!(table.look::<R>(&mut dice).await, before);
                return;
            }
        }
        drop(alone);
        assert_eq!(table.look::<R>(&mut dice).await, before);
        table.change::<R>(&mut dice).await;

        let weaker = dice.mode();
        guard.downgrade(weaker);
        let _alone = (weaker != Shared).then(|| table.own());
        assert_eq!(table.look::<R>(&mut dice).await, before + 1);
    })
    .await;
    table.assert_total();
}

pub(crate) async fn a_cancelled_upgrade_keeps_the_guard<R: Runtime>() {
    for mode in [Shared, Upgradable] {
        let lock = Arc::new(MultiLock::new());
        let holder = lock.acquire(Shared).await;
        let mut guard = lock.acquire(mode).await;

        assert_eq!(R::timeout(5 * MOMENT, guard.upgrade()).await, None);
        assert_eq!(guard.mode(), mode);
        assert_eq!(guard.upgrade_or(R::sleep(MOMENT)).await, Err(()));
        assert_eq!(guard.mode(), mode);

        // Waiters that wait because of it are admitted.
        let (sender, receiver) = oneshot::channel::<()>();
        let upgrade = R::select(guard.upgrade(), receiver);
        let come = async {
            until::<R>(|| lock.snapshot().is_upgrading()).await;
            let acquire = lock.acquire_arc(Shared);
            let behind = R::spawn(async move { drop(acquire.await) });
            until::<R>(|| lock.snapshot().is_awaited(Shared)).await;
            sender.send(()).unwrap();
            behind.await;
        };
        assert!(matches!(join(upgrade, come).await, (Either::Right(_), ())));
        assert_eq!(guard.mode(), mode);

        drop(holder);
        guard.upgrade().await.unwrap();
        drop(guard);
        assert_idle(&lock);
    }
}

pub(crate) async fn a_downgrade_admits_other_waiters<R: Runtime>() {
    for weaker in [Shared, Upgradable] {
        let lock = Arc::new(MultiLock::new());
        let mut guard = lock.acquire(Exclusive).await;
        let [exclusive, shared] = [Exclusive, Shared].map(|mode| {
            let acquire = lock.acquire_arc(mode);
            R::spawn(async move { drop(acquire.await) })
        });
        let both = || lock.snapshot().is_awaited(Shared) && lock.snapshot().is_awaited(Exclusive);
        until::<R>(both).await;

        guard.downgrade(weaker);
        shared.await;
        assert_eq!(lock.locked(), Some(weaker));
        drop(guard);
        exclusive.await;
        assert_idle(&lock);
    }
}

pub(crate) async fn a_handle_is_released_by_another_task<R: Runtime>() {
    let lock = Arc::new(MultiLock::new());
    handles_are_released::<R, _>(lock.clone(), MultiLock::new()).await;
    assert_idle(&lock);
}

/// Another task releases the handles of `it`, and tries them at `other` first.
async fn handles_are_released<R: Runtime, L: Lockable + 'static>(it: Arc<L>, other: L) {
    let (send, mut handles) = mpsc::unbounded();
    let releaser = {
        let it = it.clone();
        R::spawn(async move {
            let mut released = 0;
            while let Some(handle) = handles.next().await {
                R::yield_now().await;
                let handle = other.release(handle).unwrap_err().into_handle();
                if released % 2 == 0 {
                    it.release(handle).unwrap();
                } else {
                    let guard = it.adopt(handle).unwrap();
                    R::yield_now().await;
                    drop(guard);
                }
                released += 1;
            }
            released
        })
    };
    for round in 0..ROUNDS {
        // If one of the two is exclusive, this waits until the last handle is released.
        let guard = it.acquire(Mode::ALL[round % 3]).await;
        let handle = guard.into_handle();
        R::yield_now().await;
        send.unbounded_send(handle).unwrap();
    }
    drop(send);
    assert_eq!(releaser.await, ROUNDS);
}

pub(crate) async fn a_monitor_is_woken_by_a_release<R: Runtime>() {
    let table = Arc::<Table>::default();
    let lock = &table.lock;

    // 1. It waits for a release, and is not ready before.
    let holder = lock.acquire(Exclusive).await;
    let wakes = Arc::new(AtomicUsize::new(0));
    let monitors = Mode::ALL.map(|mode| {
        let (table, wakes) = (table.clone(), wakes.clone());
        R::spawn(async move {
            table.lock.wait(mode).await;
            wakes.fetch_add(1, Relaxed);
        })
    });
    assert!(lock.acquire_or(Shared, R::sleep(2 * MOMENT)).await.is_err());
    let mut here = pin!(lock.wait(Exclusive));
    assert!(matches!(R::select(here.as_mut(), R::sleep(MOMENT)).await, Either::Right(())));
    assert_eq!(wakes.load(Relaxed), 0);
    drop(holder);
    join_all(monitors).await;
    here.await;
    assert!(lock.acquire_or(Exclusive, pending::<()>()).await.is_ok());

    // 2. While others acquire and release: a task that is notified tries.
    let monitor = {
        let table = table.clone();
        R::spawn(async move {
            let mut dice = Dice(4);
            for _ in 0..ROUNDS {
                let _guard = loop {
                    table.lock.wait(Exclusive).await;
                    if let Some(guard) = table.lock.try_acquire(Exclusive) {
                        break guard;
                    }
                    R::yield_now().await;
                };
                table.change::<R>(&mut dice).await;
            }
        })
    };
    contend::<R>(&table, 5).await;
    monitor.await;
    table.assert_total();
}

/// Monitors of all modes, as futures and as streams: each reports each edge, and nothing else.
pub(crate) async fn monitors_report_each_edge<R: Runtime>() {
    let lock = Arc::new(MultiLock::new());
    // This one is not checked before the end.
    let ignored = lock.monitor(Exclusive);
    let (sender, receiver) = mpsc::unbounded();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = stopped.shared();
    let mut listeners = Vec::new();
    for mode in Mode::ALL {
        let (lock_of_one, sender_of_one, stopped_one) =
            (lock.clone(), sender.clone(), stopped.clone());
        listeners.push(
            R::spawn(async move {
                let monitor = lock_of_one.monitor(mode);
                while let Either::Left(()) = R::select(monitor.wait(), stopped_one.clone()).await {
                    monitor.clear();
                    sender_of_one.unbounded_send((mode, "future")).unwrap();
                }
            })
            .boxed(),
        );
        let (mut monitor, sender, stopped) =
            (lock.monitor_arc(mode), sender.clone(), stopped.clone());
        listeners.push(
            R::spawn(async move {
                while let Either::Left(item) = R::select(monitor.next(), stopped.clone()).await {
                    item.expect("it has no end");
                    sender.unbounded_send((mode, "stream")).unwrap();
                }
            })
            .boxed(),
        );
    }
    let mut receiver = receiver.ready_chunks(1).map(|one| one[0]);

    // At once, because the lock is free; and again at the end of each acquisition, for the modes that
    // it excluded.
    for round in 0..ROUNDS {
        let held = (round > 0).then(|| Mode::ALL[round % 3]);
        if let Some(held) = held {
            let _guard = lock.acquire(held).await;
            R::yield_now().await;
        }
        let is_edge = |mode: &Mode| held.is_none_or(|held| mode.excludes(held));
        let edges = Mode::ALL.into_iter().filter(is_edge);
        let expected: Vec<_> =
            edges.flat_map(|mode| [(mode, "future"), (mode, "stream")]).collect();
        let mut seen: Vec<_> = receiver.by_ref().take(expected.len()).collect().await;
        seen.sort();
        assert_eq!(seen, expected);
    }
    stop.send(()).unwrap();
    join_all(listeners).await;
    drop(sender);
    assert_eq!(receiver.next().await, None);

    assert!(ignored.is_set());
    drop(ignored);
    assert_idle(&lock);
}

/// A monitor wakes the task that polled it last, wherever it was polled before.
pub(crate) async fn a_monitor_moves_from_task_to_task<R: Runtime>() {
    let lock = Arc::new(MultiLock::new());
    let mut monitor = lock.monitor_arc(Shared);
    assert_eq!(monitor.next().await, Some(()));
    for _ in 0..3 {
        let holder = lock.acquire(Exclusive).await;
        assert_eq!(R::timeout(MOMENT, monitor.next()).await, None);
        assert_eq!(R::timeout(MOMENT, monitor.wait()).await, None);
        let late = R::select(monitor.next(), R::sleep(MOMENT)).await;
        assert!(matches!(late, Either::Right(())));

        let listener = R::spawn(async move {
            monitor.wait().await;
            assert_eq!(monitor.next().await, Some(()));
            monitor
        });
        R::sleep(MOMENT).await;
        drop(holder);
        monitor = listener.await;
        assert!(!monitor.is_set());
    }
    drop(monitor);
    assert_idle(&lock);
}

/// Tables in a ring.
pub(crate) type Tables = [Table; 5];

/// The locks of some tables, in the order of `named`.
fn set_of(tables: &Tables, named: &[usize]) -> LockSet<Arc<MultiLock>> {
    named.iter().map(|&n| tables[n].lock.clone()).collect()
}

/// Two tables or more, in random order.
fn some_tables(dice: &mut Dice) -> Vec<usize> {
    let first = dice.roll(5);
    let step = 1 + dice.roll(4);
    (0..2 + dice.roll(3)).map(|n| (first + n * step) % 5).collect()
}

/// What the holder of several tables does.
async fn visit_all<R: Runtime>(tables: &Tables, named: &[usize], mode: Mode, dice: &mut Dice) {
    for &n in named {
        tables[n].visit::<R>(mode, dice).await;
    }
}

/// Many tasks do `round` a few times. `seed` seeds the random numbers.
async fn company<R: Runtime, F>(
    tables: &Arc<Tables>,
    seed: usize,
    round: impl Fn(Arc<Tables>, Dice) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let tasks = (0..TASKS).map(|task| {
        let (tables, round) = (tables.clone(), round.clone());
        R::spawn(async move {
            for number in 0..FEW_ROUNDS {
                round(tables.clone(), Dice::new(seed * TASKS + task, number)).await;
            }
        })
    });
    join_all(tasks).await;
}

/// Each of five tasks acquires two neighbors, and one task acquires all and names one of them twice,
/// in all modes.
pub(crate) async fn philosophers<R: Runtime>(tables: &Arc<Tables>, seed: usize) {
    let tasks = (0..=5).map(|task| {
        let tables = tables.clone();
        R::spawn(async move {
            let named = if task < 5 { vec![(task + 1) % 5, task] } else { vec![3, 1, 4, 2, 0, 3] };
            let set = set_of(&tables, &named);
            for round in 0..FEW_ROUNDS {
                let mut dice = Dice::new(seed * TASKS + task, round);
                let mode = dice.mode();
                let _guard = set.acquire(mode).await;
                visit_all::<R>(&tables, &named, mode, &mut dice).await;
            }
        })
    });
    join_all(tasks).await;
}

pub(crate) async fn sets_that_overlap<R: Runtime>() {
    let tables = Arc::<Tables>::default();
    philosophers::<R>(&tables, 6).await;
    tables.iter().for_each(Table::assert_total);
}

pub(crate) async fn a_monitor_of_a_set_is_woken_by_the_last_edge<R: Runtime>() {
    let tables = Tables::default();
    let set = Arc::new(set_of(&tables, &[2, 0, 1]));
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let mut holders = [0, 1, 2].map(|n| tables[n].lock.try_acquire(Exclusive));
        let mut monitor = set.monitor(Shared);
        let listener = {
            let set = set.clone();
            R::spawn(async move {
                set.wait(Upgradable).await;
                set.monitor(Exclusive).next().await
            })
        };
        for n in order {
            assert!(!monitor.is_set());
            assert_eq!(R::timeout(MOMENT, monitor.next()).await, None);
            holders[n] = None;
        }
        assert_eq!(monitor.next().await, Some(()));
        assert_eq!(R::timeout(MOMENT, monitor.next()).await, None);
        assert_eq!(listener.await, Some(()));
    }
    tables.iter().for_each(Table::assert_total);
}

/// A task that is notified that all locks can be acquired tries to acquire them.
pub(crate) async fn monitors_of_sets_while_others_acquire_and_release<R: Runtime>() {
    let tables = Arc::<Tables>::default();
    let listeners = [[0, 1, 2], [4, 3, 1]].map(|named| {
        let tables = tables.clone();
        R::spawn(async move {
            let set = set_of(&tables, &named);
            let mut monitor = set.monitor(Exclusive);
            for round in 0..FEW_ROUNDS {
                let _guard = loop {
                    if round % 2 == 0 {
                        monitor.next().await.unwrap();
                    } else {
                        monitor.wait().await;
                        monitor.clear();
                    }
                    if let Some(guard) = set.try_acquire(Exclusive) {
                        break guard;
                    }
                };
                visit_all::<R>(&tables, &named, Exclusive, &mut Dice(round)).await;
            }
        })
    });
    philosophers::<R>(&tables, 7).await;
    join_all(listeners).await;
    tables.iter().for_each(Table::assert_total);
}

/// The locks are held for short times. If all members were held nearly all of the time, a set could
/// wait for long.
pub(crate) async fn a_set_enters_between_single_acquisitions<R: Runtime>() {
    for mode in Mode::ALL {
        let tables = Arc::<Tables>::default();
        let done = Arc::new(AtomicBool::new(false));
        let singles: Vec<_> = (0..3)
            .map(|task| {
                let (tables, done) = (tables.clone(), done.clone());
                R::spawn(async move {
                    let mut dice = Dice::new(task, 0);
                    while !done.load(Relaxed) {
                        let (table, mode) = (&tables[task], dice.mode());
                        let _guard = table.lock.acquire(mode).await;
                        let _alone = (mode != Shared).then(|| table.own());
                        R::yield_now().await;
                    }
                })
            })
            .collect();
        let set = set_of(&tables, &[1, 2, 0]);
        for round in 0..3 {
            let _guard = set.acquire(mode).await;
            visit_all::<R>(&tables, &[0, 1, 2], mode, &mut Dice(round)).await;
        }
        done.store(true, Relaxed);
        join_all(singles).await;
        tables.iter().for_each(Table::assert_total);
    }
}

pub(crate) async fn a_cancelled_set_leaves_nothing_behind<R: Runtime>() {
    let tables = Arc::<Tables>::default();
    let set = Arc::new(set_of(&tables, &[2, 0, 1]));
    let behind = |n: usize, mode| {
        let tables = tables.clone();
        R::spawn(async move { drop(tables[n].lock.acquire(mode).await) })
    };
    let is_awaited = |n: usize, mode| tables[n].lock.snapshot().is_awaited(mode);

    // 1. It waits for its turn, at the member that is held, and at no other.
    for n in 0..3 {
        let holder = tables[n].lock.acquire(Shared).await;
        let (sender, receiver) = oneshot::channel::<()>();
        let waiter = {
            let set = set.clone();
            R::spawn(async move {
                matches!(R::select(set.acquire(Exclusive), receiver).await, Either::Right(_))
            })
        };
        until::<R>(|| is_awaited(n, Exclusive)).await;
        (0..3).filter(|&other| other != n).for_each(|other| assert_idle(&tables[other].lock));
        let behind = behind(n, Shared);
        until::<R>(|| is_awaited(n, Shared)).await;
        sender.send(()).unwrap();
        assert!(waiter.await);
        behind.await;
        drop(holder);
        assert_idle(&tables[n].lock);
    }

    // 2. It has been turned away by another lock.
    for [one, other] in [[0, 1], [1, 2], [2, 0]] {
        let mut holders = [one, other].map(|n| tables[n].lock.try_acquire(Exclusive));
        let mut waiter = Box::pin(set.acquire(Exclusive));
        assert!(R::timeout(MOMENT, waiter.as_mut()).await.is_none());
        let first = [one, other].into_iter().position(|n| is_awaited(n, Exclusive)).unwrap();
        holders[first] = None;
        assert!(R::timeout(MOMENT, waiter.as_mut()).await.is_none());
        let second = [one, other][1 - first];
        assert!(is_awaited(second, Exclusive));
        // It does not block waiters of the members that are free.
        behind(3 - one - other, Exclusive).await;
        behind([one, other][first], Shared).await;
        drop(waiter);
        assert!(!is_awaited(second, Exclusive));
        drop(holders);
        tables.iter().for_each(Table::assert_total);
    }

    // 3. It was woken already, and is not polled yet.
    for n in 0..3 {
        let holder = tables[n].lock.acquire(Upgradable).await;
        let mut waiter = Box::pin(set.acquire(Exclusive));
        let late = R::select(waiter.as_mut(), R::sleep(MOMENT)).await;
        assert!(matches!(late, Either::Right(())));
        drop(late);
        let behind = behind(n, Exclusive);
        R::sleep(MOMENT).await;
        drop(holder);
        drop(waiter);
        behind.await;
        tables.iter().for_each(Table::assert_total);
    }
}

pub(crate) async fn many_sets_are_cancelled<R: Runtime>() {
    let tables = Arc::default();
    company::<R, _>(&tables, 8, |tables, mut dice| async move {
        let (named, mode) = (some_tables(&mut dice), dice.mode());
        let set = set_of(&tables, &named);
        let limit = MOMENT / 8 * dice.roll(8) as u32;
        let guard = match dice.roll(3) {
            0 => R::timeout(limit, set.acquire(mode)).await,
            1 => match R::select(set.acquire(mode), R::sleep(limit)).await {
                Either::Left(guard) => Some(guard),
                Either::Right(()) => None,
            },
            _ => set.acquire_or(mode, R::sleep(limit)).await.ok(),
        };
        if let Some(_guard) = guard {
            visit_all::<R>(&tables, &named, mode, &mut dice).await;
        }
    })
    .await;
    tables.iter().for_each(Table::assert_total);
}

pub(crate) async fn a_handle_of_a_set_is_released_by_another_task<R: Runtime>() {
    let tables = Arc::<Tables>::default();
    let (set, other) = (set_of(&tables, &[2, 0, 1]), set_of(&tables, &[0, 1, 2]));
    handles_are_released::<R, _>(Arc::new(set), other).await;
    tables.iter().for_each(Table::assert_total);
}

/// Tasks acquire by names of their own, repeatedly by the same name, and cancel; another task releases
/// by the name.
pub(crate) async fn acquisitions_with_names<R: Runtime>() {
    let lock = Arc::<HandleLock<(usize, usize)>>::default();
    let (send, mut names) = mpsc::unbounded();
    let releaser = {
        let lock = lock.clone();
        R::spawn(async move {
            let mut released = 0;
            while let Some(name) = names.next().await {
                R::yield_now().await;
                assert!(lock.release(&name).is_some());
                assert_eq!(lock.release(&name), None);
                released += 1;
            }
            released
        })
    };
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (lock, send) = (lock.clone(), send.clone());
            R::spawn(async move {
                let mut dice = Dice(task);
                let mut kept = 0;
                for round in 0..ROUNDS {
                    let (name, mode) = ((task, round), dice.mode());
                    match dice.roll(4) {
                        3 => match lock.acquire_or(mode, name, R::sleep(MOMENT / 4)).await {
                            Ok(result) => {
                                result.unwrap();
                                assert!(lock.release(&name).is_some());
                            }
                            // The name may be used again at once.
                            Err((name, ())) => {
                                let guard = lock.context(mode, name).await.unwrap();
                                pause::<R>(&mut dice).await;
                                drop(guard);
                            }
                        },
                        0 => {
                            let acquire = lock.acquire(mode, name);
                            if R::timeout(MOMENT / 4, acquire).await.is_none() {
                                continue;
                            }
                            assert_eq!(
                                lock.try_acquire(Shared, name).unwrap_err().into_handle(),
                                name
                            );
                            send.unbounded_send(name).unwrap();
                            kept += 1;
                        }
                        1 => {
                            let guard = lock.context(mode, name).await.unwrap();
                            pause::<R>(&mut dice).await;
                            let holders = lock.holders();
                            assert!(holders.contains(&(name, mode)), "{name:?} in {holders:?}");
                            assert_eq!(lock.release(&name), None);
                            drop(guard);
                        }
                        _ => {
                            lock.acquire(mode, name).await.unwrap();
                            pause::<R>(&mut dice).await;
                            assert_eq!(lock.release(&name), Some(mode));
                        }
                    }
                }
                kept
            })
        })
        .collect();
    drop(send);
    let kept: usize = join_all(tasks).await.iter().sum();
    assert_eq!(releaser.await, kept);
    assert_eq!(lock.holders(), []);
    assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
}

pub(crate) async fn a_mode_for_each_lock<R: Runtime>() {
    let tables = Arc::default();
    company::<R, _>(&tables, 9, |tables, mut dice| async move {
        let modes = some_tables(&mut dice).into_iter().map(|n| (n, dice.mode()));
        let modes: Vec<_> = modes.collect();
        let wanted = || modes.iter().map(|&(n, mode)| (&tables[n].lock, mode)).collect::<Vec<_>>();
        let guard = match dice.roll(4) {
            0 => try_acquire_all(wanted()),
            1 => R::timeout(MOMENT, acquire_all(wanted())).await,
            _ => Some(acquire_all(wanted()).await),
        };
        let Some(guard) = guard else { return };
        for &(n, mode) in &modes {
            assert_eq!(guard.mode_of(&tables[n].lock), Some(mode));
            tables[n].visit::<R>(mode, &mut dice).await;
        }
    })
    .await;

    // An array, in both orders at once: from one lock to the other and back.
    let pairs = [[0, 1], [1, 0]].map(|[from, to]| {
        let tables = tables.clone();
        R::spawn(async move {
            let mut dice = Dice(from);
            for _ in 0..FEW_ROUNDS {
                let wanted = [(&tables[from].lock, Upgradable), (&tables[to].lock, Exclusive)];
                let _both = acquire_all(wanted).await;
                tables[from].visit::<R>(Upgradable, &mut dice).await;
                tables[to].visit::<R>(Exclusive, &mut dice).await;
            }
        })
    });
    join_all(pairs).await;
    tables.iter().for_each(Table::assert_total);
}

/// Money moves between three accounts, in all directions at once. Their sum is the same whenever all
/// of them are read, and so are the entries of the log.
pub(crate) async fn locks_with_data_at_once<R: Runtime>() {
    const START: usize = 100;

    let accounts = Arc::new([START; 3].map(RwLock::new).map(Arc::new));
    let log = Arc::new(RwLock::new(Vec::new()));
    let tasks = (0..TASKS).map(|task| {
        let (accounts, log) = (accounts.clone(), log.clone());
        R::spawn(async move {
            for round in 0..FEW_ROUNDS {
                let mut dice = Dice::new(task, round);
                let from = dice.roll(3);
                let to = (from + 1 + dice.roll(2)) % 3;
                let (from, to) = (&accounts[from], &accounts[to]);
                match dice.roll(5) {
                    0 => {
                        let all: Vec<_> = accounts.iter().map(|it| it.reading()).collect();
                        let all = lock_all(&all[..]).await;
                        pause::<R>(&mut dice).await;
                        assert_eq!(all.iter().map(|it| **it).sum::<usize>(), 3 * START);
                    }
                    1 => {
                        // Named twice.
                        let readers = (from.reading(), to.reading_arc(), from.reading());
                        let Ok((one, _, same)) = try_lock_all(readers) else { continue };
                        pause::<R>(&mut dice).await;
                        assert_eq!(*one, *same);
                    }
                    2 => {
                        let wanted = (from.upgrading(), to.writing(), log.writing());
                        let limit = pin!(R::sleep(MOMENT));
                        let Ok((rest, mut to, mut log)) = lock_all_or(wanted, limit).await else {
                            continue;
                        };
                        if let Some(left) = rest.checked_sub(1) {
                            pause::<R>(&mut dice).await;
                            *RwLockUpgradableReadGuard::upgrade(rest).await = left;
                            *to += 1;
                            log.push(1);
                        }
                    }
                    _ => {
                        let wanted = (from.writing_arc(), to.writing_arc(), log.writing_arc());
                        let (mut from, mut to, mut log) = lock_all(wanted).await;
                        let amount = dice.roll(1 + *from);
                        *from -= amount;
                        pause::<R>(&mut dice).await;
                        *to += amount;
                        log.push(amount);
                    }
                }
            }
        })
    });
    join_all(tasks).await;
    assert!(!log.try_read().unwrap().is_empty());
    assert_eq!(accounts.iter().map(|it| *it.try_read().unwrap()).sum::<usize>(), 3 * START);
    accounts.iter().for_each(|it| assert_idle(it.raw()));
    assert_idle(log.raw());
}

/// Waits for `condition` to write, without a limit or with one limit after the other.
async fn write_when<R: Runtime, T: Send + Sync + 'static>(
    lock: &Arc<RwLock<T>>,
    condition: impl Fn(&T) -> bool + Copy + Send + Sync,
    dice: &mut Dice,
) -> RwLockWriteGuardArc<T> {
    loop {
        let limit = MOMENT / 8 * dice.roll(8) as u32;
        let guard = match dice.roll(3) {
            0 => R::timeout(limit, lock.write_arc_when(condition)).await,
            1 => lock.write_arc_when_or(condition, R::sleep(limit)).await.ok(),
            _ => Some(lock.write_arc_when(condition).await),
        };
        if let Some(guard) = guard {
            assert!(condition(&guard));
            return guard;
        }
    }
}

/// Producers and consumers, which signal nothing, at a queue with little room.
pub(crate) async fn a_bounded_queue_by_conditions<R: Runtime>() {
    const ROOM: usize = 3;
    const PRODUCERS: usize = TASKS / 2;
    #[derive(Default)]
    struct Queue {
        numbers: VecDeque<usize>,
        is_closed: bool,
    }

    let queue = Arc::new(RwLock::new(Queue::default()));
    let consumers: Vec<_> = (PRODUCERS..TASKS)
        .map(|task| {
            let queue = queue.clone();
            R::spawn(async move {
                let mut got = Vec::new();
                loop {
                    let mut dice = Dice::new(task, got.len());
                    let is_ready = |queue: &Queue| !queue.numbers.is_empty() || queue.is_closed;
                    let mut guard = write_when::<R, _>(&queue, is_ready, &mut dice).await;
                    let Some(number) = guard.numbers.pop_front() else { break got };
                    pause::<R>(&mut dice).await;
                    got.push(number);
                }
            })
        })
        .collect();
    let end = {
        let queue = queue.clone();
        R::spawn(async move {
            let queue = queue.read_when(|it: &Queue| it.is_closed && it.numbers.is_empty()).await;
            assert!(queue.numbers.is_empty());
        })
    };
    let producers = (0..PRODUCERS).map(|task| {
        let queue = queue.clone();
        R::spawn(async move {
            for round in 0..ROUNDS {
                let mut dice = Dice::new(task, round);
                let has_room = |queue: &Queue| queue.numbers.len() < ROOM;
                let mut guard = write_when::<R, _>(&queue, has_room, &mut dice).await;
                pause::<R>(&mut dice).await;
                guard.numbers.push_back(task * ROUNDS + round);
            }
        })
    });
    join_all(producers).await;
    queue.with_mut(|queue| queue.is_closed = true).await;
    let mut got = Vec::new();
    for one in join_all(consumers).await {
        for producer in 0..PRODUCERS {
            assert!(one.iter().filter(|number| *number / ROUNDS == producer).is_sorted());
        }
        got.extend(one);
    }
    end.await;
    got.sort_unstable();
    assert!(got.into_iter().eq(0..PRODUCERS * ROUNDS), "each number arrives once");
    assert_idle(queue.raw());
}

/// Each task waits for its turn, in all ways, and passes it on.
pub(crate) async fn tasks_take_turns_by_conditions<R: Runtime>() {
    let turn = Arc::new(RwLock::new(0));
    let tasks = (0..TASKS).map(|task| {
        let turn = turn.clone();
        R::spawn(async move {
            for round in 0..FEW_ROUNDS {
                let mut dice = Dice::new(task, round);
                let mine = round * TASKS + task;
                let is_mine = |turn: &usize| *turn == mine;
                match dice.roll(3) {
                    0 => *write_when::<R, _>(&turn, is_mine, &mut dice).await += 1,
                    1 => {
                        let guard = turn.upgradable_read_when(is_mine).await;
                        pause::<R>(&mut dice).await;
                        *RwLockUpgradableReadGuard::upgrade(guard).await += 1;
                    }
                    _ => {
                        assert_eq!(*turn.read_when(is_mine).await, mine);
                        turn.with_mut(|turn| *turn += 1).await;
                    }
                }
            }
        })
    });
    join_all(tasks).await;
    assert_eq!(*turn.try_read().unwrap(), TASKS * FEW_ROUNDS);
    assert_idle(turn.raw());
}

/// Tasks follow a number to which others add. None of them sleeps through the last change.
pub(crate) async fn changes_drive_tasks<R: Runtime>() {
    const LAST: usize = TASKS * FEW_ROUNDS;

    let number = Arc::new(RwLock::new(0));
    let followers: Vec<_> = (0..3)
        .map(|_| {
            let (number, mut changes) = (number.clone(), number.changes_arc());
            R::spawn(async move {
                let mut seen = 0;
                while seen < LAST {
                    changes.next().await;
                    let now = number.with(|number| *number).await;
                    assert!(now >= seen);
                    seen = now;
                }
            })
        })
        .collect();
    let tasks = (0..TASKS).map(|task| {
        let number = number.clone();
        R::spawn(async move {
            for round in 0..FEW_ROUNDS {
                let mut dice = Dice::new(task, round);
                match dice.roll(3) {
                    0 => *number.write().await += 1,
                    1 => number.with_mut(|number| *number += 1).await,
                    _ => {
                        let mut guard = number.upgradable_read().await;
                        pause::<R>(&mut dice).await;
                        *RwLockUpgradableReadGuard::upgrade_in_place(&mut guard).await += 1;
                    }
                }
                pause::<R>(&mut dice).await;
            }
        })
    });
    // These borrow the lock.
    let changes = number.changes();
    let last = number.read_when(|number| *number == LAST);
    let (_, last) = join(join_all(tasks), last).await;
    assert!(changes.is_set());
    drop((last, changes));
    join_all(followers).await;
    assert_idle(number.raw());
}

/// Tasks, and a thread, change whichever of two tables is free. They listen to one event of both.
#[cfg(feature = "event-listener")]
pub(crate) async fn one_event_for_two_locks<R: Runtime>() {
    use event_listener::Event;

    let tables = Arc::new([Table::default(), Table::default()]);
    let event = Arc::new(Event::new());
    let subscriptions = [0, 1].map(|at| tables[at].lock.notify_arc(Exclusive, &event));
    let acquire = |tables: &[Table; 2]| {
        (0..2).find_map(|at| Some((at, tables[at].lock.try_acquire_arc(Exclusive)?)))
    };
    let tasks = (0..TASKS).map(|task| {
        let (tables, event) = (tables.clone(), event.clone());
        R::spawn(async move {
            for round in 0..FEW_ROUNDS {
                let mut dice = Dice::new(task, round);
                let (at, guard) = loop {
                    let listener = event.listen();
                    match acquire(&tables) {
                        Some(acquired) => break acquired,
                        // A limit may end the wait, as any other wait for the event.
                        None if dice.roll(4) == 0 => {
                            R::timeout(MOMENT, listener).await;
                        }
                        None => listener.await,
                    }
                };
                tables[at].change::<R>(&mut dice).await;
                drop(guard);
                pause::<R>(&mut dice).await;
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    #[cfg(feature = "std")]
    let thread = {
        use event_listener::Listener;

        let (tables, event) = (tables.clone(), event.clone());
        std::thread::spawn(move || {
            for _ in 0..FEW_ROUNDS {
                let _acquired = loop {
                    let listener = event.listen();
                    match acquire(&tables) {
                        Some(acquired) => break acquired,
                        None => listener.wait(),
                    }
                };
                std::thread::yield_now();
            }
        })
    };
    join_all(tasks).await;
    #[cfg(feature = "std")]
    thread.join().unwrap();
    let total: usize = tables.iter().map(|table| table.changes.load(Relaxed)).sum();
    assert_eq!(total, TASKS * FEW_ROUNDS);
    drop(subscriptions);
    tables.iter().for_each(|table| {
        table.assert_total();
        assert_idle(&table.lock);
    });
}

/// Threads and tasks take turns.
#[cfg(feature = "std")]
pub(crate) async fn threads_that_block_for_conditions_beside_tasks<R: Runtime>() {
    let turn = Arc::new(RwLock::new(0));
    let threads = [0, 1].map(|thread| {
        let turn = turn.clone();
        std::thread::spawn(move || {
            for round in 0..ROUNDS {
                let is_mine = |turn: &usize| *turn == 3 * round + thread;
                let mut guard = loop {
                    let guard = match round % 2 {
                        0 => turn.write_when_blocking_timeout(is_mine, MOMENT),
                        _ => Some(turn.write_when_blocking(is_mine)),
                    };
                    if let Some(guard) = guard {
                        break guard;
                    }
                };
                *guard += 1;
            }
        })
    });
    let task = {
        let turn = turn.clone();
        R::spawn(async move {
            for round in 0..ROUNDS {
                let mut dice = Dice::new(2, round);
                let is_mine = |turn: &usize| *turn == 3 * round + 2;
                *write_when::<R, _>(&turn, is_mine, &mut dice).await += 1;
            }
        })
    };
    task.await;
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*turn.try_read().unwrap(), 3 * ROUNDS);
    assert_idle(turn.raw());
}

/// Threads and tasks add one to two numbers at once, and find them equal.
#[cfg(feature = "std")]
pub(crate) async fn threads_that_block_for_data_beside_tasks<R: Runtime>() {
    let numbers = Arc::new([0; 2].map(RwLock::new));
    let threads = [[0, 1], [1, 0]].map(|order| {
        let numbers = numbers.clone();
        std::thread::spawn(move || {
            for _ in 0..ROUNDS {
                let requests = || order.map(|n| numbers[n].writing());
                let in_time = lock_all_blocking_timeout(requests(), MOMENT / 4);
                let mut guards = in_time.unwrap_or_else(|| lock_all_blocking(requests()));
                assert_eq!(*guards[0], *guards[1]);
                guards.iter_mut().for_each(|number| **number += 1);
            }
        })
    });
    let tasks = [[1, 0], [0, 1]].map(|order| {
        let numbers = numbers.clone();
        R::spawn(async move {
            for round in 0..ROUNDS {
                let mut dice = Dice::new(order[0], round);
                let mut guards = lock_all(order.map(|n| numbers[n].writing())).await;
                assert_eq!(*guards[0], *guards[1]);
                *guards[0] += 1;
                pause::<R>(&mut dice).await;
                *guards[1] += 1;
            }
        })
    });
    join_all(tasks).await;
    until::<R>(|| threads.iter().all(|thread| thread.is_finished())).await;
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    for number in &*numbers {
        assert_eq!(*number.try_read().unwrap(), 4 * ROUNDS);
        assert_idle(number.raw());
    }
}

/// Acquires by every method, whatever the lockable is, and releases.
#[expect(
    clippy::manual_async_fn,
    reason = "it promises `Send`, which the compiler cannot see of an `async fn` where `L` has a reference"
)]
fn acquire_and_release_in_all_ways<R: Runtime, L: Lockable>(
    lock: L,
    tables: &Tables,
    named: &[usize],
) -> impl Future<Output = ()> + Send {
    async move {
        for round in 0..FEW_ROUNDS {
            let mut dice = Dice::new(named.len(), round);
            let mode = dice.mode();
            let guard = match dice.roll(5) {
                0 => lock.try_acquire(mode),
                1 => R::timeout(MOMENT, lock.acquire(mode)).await,
                2 => {
                    lock.wait(mode).await;
                    lock.try_acquire(mode)
                }
                3 => {
                    lock.monitor(mode).next().await;
                    lock.try_acquire(mode)
                }
                _ => Some(lock.acquire(mode).await),
            };
            let Some(mut guard) = guard else { continue };
            assert!(lock.locked() >= Some(mode));
            visit_all::<R>(tables, named, mode, &mut dice).await;
            if dice.roll(2) == 0 {
                let weaker = mode.min(dice.mode());
                guard.downgrade(weaker);
                assert_eq!(guard.mode(), weaker);
                visit_all::<R>(tables, named, weaker, &mut dice).await;
            }
            match dice.roll(3) {
                0 => drop(guard),
                1 => lock.release(guard.into_handle()).unwrap(),
                _ => drop(lock.adopt(guard.into_handle()).unwrap()),
            }
        }
    }
}

pub(crate) async fn one_function_for_all_that_is_lockable<R: Runtime>() {
    let tables = Arc::<Tables>::default();
    let [one, arc, set, sets] = [(); 4].map(|()| tables.clone());
    let one = R::spawn(async move {
        let lock: &MultiLock = &one[0].lock;
        acquire_and_release_in_all_ways::<R, _>(lock, &one, &[0]).await;
    });
    let arc = R::spawn(async move {
        acquire_and_release_in_all_ways::<R, _>(arc[1].lock.clone(), &arc, &[1]).await;
    });
    let set = R::spawn(async move {
        let locks: LockSet<&MultiLock> = [1, 0].map(|n| &*set[n].lock).into_iter().collect();
        acquire_and_release_in_all_ways::<R, _>(&locks, &set, &[1, 0]).await;
    });
    let sets = R::spawn(async move {
        let sets_of_two = [[2, 1], [1, 0]].map(|named| set_of(&sets, &named));
        let all: LockSet<_> = sets_of_two.into_iter().collect();
        acquire_and_release_in_all_ways::<R, _>(all, &sets, &[0, 1, 2]).await;
    });
    join(join(one, arc), join(set, sets)).await;
    tables.iter().for_each(Table::assert_total);
}

#[cfg(feature = "std")]
pub(crate) async fn threads_that_block_for_sets_beside_tasks<R: Runtime>() {
    use std::thread;

    /// As the tasks, without a runtime.
    fn block(tables: &Tables, seed: usize) {
        for round in 0..FEW_ROUNDS {
            let mut dice = Dice::new(seed, round);
            let named = some_tables(&mut dice);
            if dice.roll(3) == 0 {
                let modes: Vec<_> = named.iter().map(|&n| (n, dice.mode())).collect();
                let wanted: Vec<_> =
                    modes.iter().map(|&(n, mode)| (&tables[n].lock, mode)).collect();
                let _guard = acquire_all_blocking(&wanted);
                modes.iter().for_each(|&(n, mode)| tables[n].visit_blocking(mode));
                continue;
            }
            let (set, mode) = (set_of(tables, &named), dice.mode());
            let limit = MOMENT / 8 * dice.roll(8) as u32;
            let guard = match dice.roll(2) {
                0 => Some(set.acquire_blocking(mode)),
                _ => set.acquire_blocking_timeout(mode, limit),
            };
            if let Some(_guard) = guard {
                named.iter().for_each(|&n| tables[n].visit_blocking(mode));
            }
        }
    }

    let tables = Arc::<Tables>::default();
    let threads = [1, 2].map(|seed| {
        let tables = tables.clone();
        thread::spawn(move || block(&tables, seed))
    });
    philosophers::<R>(&tables, 10).await;
    until::<R>(|| threads.iter().all(|thread| thread.is_finished())).await;
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    tables.iter().for_each(Table::assert_total);
}
