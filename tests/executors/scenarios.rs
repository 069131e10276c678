//! The scenarios: each written once, for any runtime.
//!
//! None depends on how fast it runs. Where one task must have come to some point, it is seen in the
//! lock; a sleep only makes an order likely that is worth trying.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use Mode::{Exclusive, Shared, Upgradable};
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, join, join_all, pending};
use multilock::{Mode, MultiLock, UpgradeError};

use crate::Runtime;

const TASKS: usize = 6;
const ROUNDS: usize = 60;
const MOMENT: Duration = Duration::from_millis(1);

/// A lock, and what it guards: cells that are equal whenever nobody changes them.
///
/// They are atomics only so that a lock that fails is a failed test, and not undefined behaviour.
/// Without the lock they are worth nothing: every change is a load and, later, a store.
#[derive(Default)]
pub(crate) struct Table {
    lock: MultiLock,
    cells: [AtomicUsize; 4],
    owned: AtomicBool,
}

impl Table {
    /// What is in every cell, seen by a holder.
    async fn look<R: Runtime>(&self, dice: &mut Dice) -> usize {
        let first = self.cells[0].load(Relaxed);
        for cell in &self.cells[1..] {
            pause::<R>(dice).await;
            assert_eq!(cell.load(Relaxed), first, "somebody changes it");
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
    }

    /// For a holder that is not shared, until the result is dropped.
    fn own(&self) -> impl Drop {
        struct Own<'a>(&'a AtomicBool);
        impl Drop for Own<'_> {
            fn drop(&mut self) {
                self.0.store(false, Relaxed);
            }
        }
        assert!(!self.owned.swap(true, Relaxed), "two holders that are not shared");
        Own(&self.owned)
    }

    /// Does what a holder in `mode` may do, and says how many changes that were.
    async fn visit<R: Runtime>(&self, mode: Mode, dice: &mut Dice) -> usize {
        match mode {
            Shared => {
                self.look::<R>(dice).await;
            }
            Upgradable => {
                let _alone = self.own();
                self.look::<R>(dice).await;
            }
            Exclusive => {
                self.change::<R>(dice).await;
                return 1;
            }
        }
        0
    }

    /// All is over, and nothing is left of it but so many changes.
    pub(crate) fn assert_total(&self, changes: usize) {
        assert_eq!(self.cells.each_ref().map(|cell| cell.load(Relaxed)), [changes; 4]);
        assert_idle(&self.lock);
    }
}

/// Nobody holds the lock or waits for it.
fn assert_idle(lock: &MultiLock) {
    assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
}

/// Numbers without a pattern, the same in every run.
struct Dice(usize);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (self.0 >> 16) % sides
    }

    fn mode(&mut self) -> Mode {
        Mode::ALL[self.roll(3)]
    }
}

/// Lets others run, or not, or time pass.
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

/// Many tasks do `round` many times. Gives the sum of what it returns.
async fn crowd<R: Runtime, F>(
    table: &Arc<Table>,
    seed: usize,
    round: impl Fn(Arc<Table>, Dice) -> F + Clone + Send + 'static,
) -> usize
where
    F: Future<Output = usize> + Send,
{
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (table, round) = (table.clone(), round.clone());
            R::spawn(async move {
                let mut sum = 0;
                for number in 0..ROUNDS {
                    let seed = (seed * TASKS + task) * ROUNDS + number;
                    sum += round(table.clone(), Dice(seed.wrapping_mul(0x9E37_79B9))).await;
                }
                sum
            })
        })
        .collect();
    join_all(tasks).await.iter().sum()
}

/// Tasks acquire in all modes, and hold across `.await`. Gives the number of changes.
pub(crate) async fn contend<R: Runtime>(table: &Arc<Table>, seed: usize) -> usize {
    crowd::<R, _>(table, seed, |table, mut dice| async move {
        let mode = dice.mode();
        let _guard = table.lock.acquire(mode).await;
        table.visit::<R>(mode, &mut dice).await
    })
    .await
}

pub(crate) async fn all_modes_in_contention<R: Runtime>() {
    let table = Arc::default();
    let changes = contend::<R>(&table, 0).await;
    table.assert_total(changes);
}

pub(crate) async fn a_waiter_that_gives_up_lets_others_in<R: Runtime>() {
    let table = Arc::<Table>::default();
    let lock = &table.lock;
    let holder = lock.acquire(Shared).await;

    // By `select`, in other tasks.
    let (tell, told) = oneshot::channel::<()>();
    let waiter = {
        let table = table.clone();
        R::spawn(async move {
            let acquire = table.lock.acquire(Exclusive);
            matches!(R::select(acquire, told).await, Either::Right(_))
        })
    };
    until::<R>(|| lock.snapshot().is_awaited(Exclusive)).await;
    let behind = [Shared, Shared, Upgradable].map(|mode| {
        let table = table.clone();
        R::spawn(async move { drop(table.lock.acquire(mode).await) })
    });
    let both = || lock.snapshot().is_awaited(Shared) && lock.snapshot().is_awaited(Upgradable);
    until::<R>(both).await;
    tell.send(()).unwrap();
    assert!(waiter.await);
    join_all(behind).await;

    // By a limit in time. The one behind comes when the other waits already.
    let mut behind = None;
    let come = async {
        let table = table.clone();
        behind = Some(R::spawn(async move { drop(table.lock.acquire(Shared).await) }));
    };
    assert!(R::timeout(10 * MOMENT, join(lock.acquire(Exclusive), come)).await.is_none());
    behind.unwrap().await;
    assert_eq!(lock.snapshot().shared_holders(), 1);

    // When it is woken already, and not polled yet.
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

pub(crate) async fn many_waiters_give_up<R: Runtime>() {
    let table = Arc::default();
    let changes = crowd::<R, _>(&table, 1, |table, mut dice| async move {
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
        match guard {
            Some(_guard) => table.visit::<R>(mode, &mut dice).await,
            None => 0,
        }
    })
    .await;
    table.assert_total(changes);
}

#[cfg(feature = "std")]
pub(crate) async fn threads_that_block_beside_tasks<R: Runtime>() {
    use std::thread;

    /// As `contend`, without a runtime.
    fn block(table: &Table, seed: usize) -> usize {
        let mut dice = Dice(seed);
        let mut changes = 0;
        for _ in 0..ROUNDS {
            let mode = dice.mode();
            let limit = MOMENT / 8 * dice.roll(8) as u32;
            let guard = match dice.roll(2) {
                0 => Some(table.lock.acquire_blocking(mode)),
                _ => table.lock.acquire_timeout(mode, limit),
            };
            match guard.as_ref().map(|guard| guard.mode()) {
                None => {}
                Some(Exclusive) => {
                    let _alone = table.own();
                    for cell in &table.cells {
                        let value = cell.load(Relaxed);
                        thread::yield_now();
                        cell.store(value + 1, Relaxed);
                    }
                    changes += 1;
                }
                Some(Shared | Upgradable) => {
                    let values = table.cells.each_ref().map(|cell| {
                        thread::yield_now();
                        cell.load(Relaxed)
                    });
                    assert_eq!(values, [values[0]; 4], "somebody changes it");
                }
            }
        }
        changes
    }

    let table = Arc::<Table>::default();
    let threads = [1, 2].map(|seed| {
        let table = table.clone();
        thread::spawn(move || block(&table, seed))
    });
    let mut changes = contend::<R>(&table, 2).await;
    until::<R>(|| threads.iter().all(|thread| thread.is_finished())).await;
    changes += threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>();
    table.assert_total(changes);
}

/// A task waits for the lock, stops to poll that future, does something else, and needs the lock for
/// it. A lock that is handed to the next in the queue hangs here.
pub(crate) async fn a_queued_future_that_is_not_polled_stops_nobody<R: Runtime>() {
    for mode in Mode::ALL {
        let lock = Arc::new(MultiLock::new());
        let guard = lock.acquire_arc(Exclusive).await;
        let (tell, told) = oneshot::channel();
        let holder = R::spawn(async move {
            told.await.unwrap();
            R::sleep(2 * MOMENT).await;
            drop(guard);
        });

        let mut queued = pin!(lock.acquire(Exclusive));
        match R::select(queued.as_mut(), R::sleep(MOMENT)).await {
            Either::Left(_) => unreachable!("somebody holds the lock"),
            Either::Right(()) => {
                // `queued` is first in the queue, and from here on nobody polls it.
                let acquire = lock.acquire_arc(mode);
                let other = R::spawn(async move { drop(acquire.await) });
                tell.send(()).unwrap();
                drop(lock.acquire(mode).await);
                // The end of one hold may wake `queued` alone. The next wakes the other task.
                drop(lock.acquire(mode).await);
                other.await;
                holder.await;
            }
        }
        drop(queued.await);
        assert_idle(&lock);
    }
}

pub(crate) async fn nobody_comes_between_look_and_change<R: Runtime>() {
    let table = Arc::default();
    let changes = crowd::<R, _>(&table, 3, |table, mut dice| async move {
        let mode = dice.mode();
        let mut guard = table.lock.acquire(mode).await;
        let alone = (mode == Upgradable).then(|| table.own());
        let before = table.look::<R>(&mut dice).await;

        if mode == Shared && dice.roll(2) == 0 {
            return 0;
        }
        // An upgradable hold has the right to it, a shared one if it is the first.
        match guard.upgrade().await {
            Ok(()) => {}
            Err(error) => {
                assert_eq!((mode, error), (Shared, UpgradeError::Conflict));
                assert_eq!(table.look::<R>(&mut dice).await, before);
                return 0;
            }
        }
        drop(alone);
        assert_eq!(table.look::<R>(&mut dice).await, before);
        table.change::<R>(&mut dice).await;

        let weaker = dice.mode();
        guard.downgrade(weaker);
        let _alone = (weaker != Shared).then(|| table.own());
        assert_eq!(table.look::<R>(&mut dice).await, before + 1);
        1
    })
    .await;
    table.assert_total(changes);
}

pub(crate) async fn an_upgrade_that_gives_up_keeps_the_hold<R: Runtime>() {
    for mode in [Shared, Upgradable] {
        let lock = Arc::new(MultiLock::new());
        let holder = lock.acquire(Shared).await;
        let mut guard = lock.acquire(mode).await;

        assert_eq!(R::timeout(5 * MOMENT, guard.upgrade()).await, None);
        assert_eq!(guard.mode(), mode);

        // Whoever waits because of it is let in.
        let (tell, told) = oneshot::channel::<()>();
        let upgrade = R::select(guard.upgrade(), told);
        let come = async {
            until::<R>(|| lock.snapshot().is_upgrading()).await;
            let acquire = lock.acquire_arc(Shared);
            let behind = R::spawn(async move { drop(acquire.await) });
            until::<R>(|| lock.snapshot().is_awaited(Shared)).await;
            tell.send(()).unwrap();
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

pub(crate) async fn a_downgrade_lets_others_in<R: Runtime>() {
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
    let (send, mut handles) = mpsc::unbounded();

    let releaser = {
        let (lock, other) = (lock.clone(), MultiLock::new());
        R::spawn(async move {
            let mut released = 0;
            while let Some(handle) = handles.next().await {
                R::yield_now().await;
                let handle = other.release(handle).unwrap_err().into_handle();
                if released % 2 == 0 {
                    lock.release(handle).unwrap();
                } else {
                    let guard = lock.adopt(handle).unwrap();
                    R::yield_now().await;
                    drop(guard);
                }
                released += 1;
            }
            released
        })
    };
    for round in 0..ROUNDS {
        // Waits until the last one is released, if one of the two is exclusive.
        let guard = lock.acquire(Mode::ALL[round % 3]).await;
        let handle = guard.into_handle();
        R::yield_now().await;
        send.unbounded_send(handle).unwrap();
    }
    drop(send);
    assert_eq!(releaser.await, ROUNDS);
    assert_idle(&lock);
}

pub(crate) async fn a_monitor_is_told<R: Runtime>() {
    let table = Arc::<Table>::default();
    let lock = &table.lock;

    // 1. By the end of a hold, and not before.
    let holder = lock.acquire(Exclusive).await;
    let told = Arc::new(AtomicUsize::new(0));
    let monitors = Mode::ALL.map(|mode| {
        let (table, told) = (table.clone(), told.clone());
        R::spawn(async move {
            table.lock.wait(mode).await;
            told.fetch_add(1, Relaxed);
        })
    });
    assert!(lock.acquire_or(Shared, R::sleep(2 * MOMENT)).await.is_err());
    let mut here = pin!(lock.wait(Exclusive));
    assert!(matches!(R::select(here.as_mut(), R::sleep(MOMENT)).await, Either::Right(())));
    assert_eq!(told.load(Relaxed), 0);
    drop(holder);
    join_all(monitors).await;
    here.await;
    assert!(lock.acquire_or(Exclusive, pending::<()>()).await.is_ok());

    // 2. While others come and go: who is told, tries.
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
            ROUNDS
        })
    };
    let changes = contend::<R>(&table, 5).await + monitor.await;
    table.assert_total(changes);
}
