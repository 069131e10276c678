//! Crowds: threads and tasks that are too many for loom. Each of them uses the lock a few times, at
//! random. Crowds run under shuttle, and a few times on plain threads.
//!
//! Each holder checks exclusion when it enters. A waiter that sleeps too long shows as a deadlock.
//! A waiter that is counted wrong shows in the word at the end, which must be that of a new lock.

use core::future::poll_fn;
use core::time::Duration;
use std::sync::Mutex;
use std::task::Wake;
use std::vec::Vec;

use futures_core::Stream;

use super::*;
use crate::sync::future::yield_once;
use crate::sync::thread;
use crate::sync::unmodeled::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use crate::{HandleLock, LockSet, Monitor, acquire_all, try_acquire_all};

fn crowd(run: impl Fn() + Send + Sync + 'static) {
    crowd_with(6_000, run);
}

/// A crowd that needs more cases to show its errors.
fn crowd_with(_cases: usize, run: impl Fn() + Send + Sync + 'static) {
    #[cfg(shuttle)]
    explore(_cases, run);
    #[cfg(not(shuttle))]
    (0..if cfg!(miri) { 1 } else { 30 }).for_each(|_| run());
}

/// Runs `run` in `number` threads, and waits for them.
fn threads<T: Send + Sync + 'static>(
    number: usize,
    shared: &Arc<T>,
    run: impl Fn(&T, usize) + Copy + Send + 'static,
) {
    let threads = (0..number).map(|n| {
        let shared = shared.clone();
        spawn(move || run(&shared, n))
    });
    join(threads.collect::<Vec<_>>());
}

/// Returns a number below `limit`, from shuttle, which knows the numbers that it has drawn.
#[cfg(shuttle)]
fn below(limit: usize) -> usize {
    shuttle::rand::Rng::gen_range(&mut shuttle::rand::thread_rng(), 0..limit)
}

/// Returns a number below `limit`.
#[cfg(not(shuttle))]
fn below(limit: usize) -> usize {
    static SEED: AtomicUsize = AtomicUsize::new(1);
    std::thread_local! {
        static STATE: core::cell::Cell<u32> = core::cell::Cell::new(SEED.fetch_add(1, SeqCst) as u32);
    }
    let next = STATE.get().wrapping_mul(0x915f_77f5).wrapping_add(1);
    STATE.set(next);
    (next >> 16) as usize % limit
}

fn any_mode() -> Mode {
    Mode::ALL[below(3)]
}

/// A lock, and data that is safe to touch while the lock is held. Exclusive holders change the
/// first number, and upgradable holders change the second as well. The expected values are counted
/// separately.
struct Room {
    lock: MultiLock,
    numbers: [UnsafeCell<u32>; 2],
    expected: [AtomicU32; 2],
}

// SAFETY: only a holder touches the numbers, and in a mode that permits it.
unsafe impl Send for Room {}
// SAFETY: as for `Send`.
unsafe impl Sync for Room {}

impl Room {
    fn new() -> Self {
        let numbers = [UnsafeCell::new(0), UnsafeCell::new(0)];
        Self { lock: MultiLock::new(), numbers, expected: Default::default() }
    }

    /// Touches the numbers as a holder in `mode` may. The caller holds the lock in `mode`. Returns
    /// the number of exclusive visits before this one.
    fn visit(&self, mode: Mode) -> u32 {
        assert!(self.lock.locked() >= Some(mode));
        let add_one = |n: usize| {
            self.expected[n].fetch_add(1, SeqCst);
            // SAFETY: the caller's mode excludes every other holder that touches the number.
            self.numbers[n].with_mut(|number| unsafe {
                *number += 1;
                *number - 1
            })
        };
        if mode != Shared {
            add_one(1);
        }
        // Without this, hardly a thread would find the lock held.
        (0..below(6)).for_each(|_| thread::yield_now());
        if mode == Exclusive {
            return add_one(0);
        }
        // SAFETY: the caller excludes exclusive holders.
        self.numbers[0].with(|number| unsafe { *number })
    }

    /// Checks that the lock has no holder and no waiter, and that no holder was beside one that it
    /// excludes.
    fn check(&self) {
        assert_eq!(self.lock.snapshot(), MultiLock::new().snapshot());
        let _guard = self.lock.try_acquire(Exclusive).unwrap();
        for (number, expected) in self.numbers.iter().zip(&self.expected) {
            // SAFETY: there is no other holder.
            assert_eq!(number.with(|number| unsafe { *number }), expected.load(SeqCst));
        }
    }
}

/// Another waker for the same task.
struct Relay(Waker);

impl Wake for Relay {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.wake_by_ref();
    }
}

/// Waits for `future`. Now and then polls it without a wake-up, or with another waker, or with a
/// waker that wakes no task, after which it sleeps on for a while. Returns `None` if it cancels the
/// wait, which it does only if it `may_go`.
fn restless<F: Future>(future: F, may_go: bool) -> Option<F::Output> {
    let mut future = pin!(future);
    let poll = |cx: &mut Context<'_>| {
        loop {
            let relay = Waker::from(std::sync::Arc::new(Relay(cx.waker().clone())));
            let turn = below(8);
            let waker = match turn {
                0 => Waker::noop(),
                1..4 => &relay,
                _ => cx.waker(),
            };
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                return Poll::Ready(Some(output));
            }
            match below(6) {
                0 if may_go => return Poll::Ready(None),
                1 | 2 => thread::yield_now(),
                _ if turn == 0 => (0..below(4)).for_each(|_| thread::yield_now()),
                _ => return Poll::Pending,
            }
        }
    };
    block_on(poll_fn(poll), None).unwrap()
}

/// Visits the room in `mode`, by a random method of acquisition.
fn visit(room: &Room, mode: Mode) {
    let guard = match below(6) {
        0 => room.lock.try_acquire(mode),
        1 => Some(room.lock.acquire_blocking(mode)),
        2 => room.lock.acquire_blocking_timeout(mode, Duration::from_secs(3600)),
        3 => restless(room.lock.acquire(mode), false),
        _ => restless(room.lock.acquire(mode), true),
    };
    if let Some(guard) = guard {
        room.visit(mode);
        stay(room, guard);
    }
}

/// Does what a holder may do with its guard, at random.
fn stay(room: &Room, mut guard: Guard<'_>) {
    match below(7) {
        0 => {
            guard.downgrade(Mode::ALL[below(guard.mode() as usize + 1)]);
            room.visit(guard.mode());
        }
        1 => {
            if let Some(more) = guard.share() {
                drop(guard);
                room.visit(more.mode());
            }
        }
        2 => {
            let handle = guard.into_handle();
            thread::yield_now();
            room.lock.release(handle).unwrap();
        }
        3 => upgrade(room, &mut guard),
        4 => _ = guard.try_upgrade().map(|()| room.visit(Exclusive)),
        5 => {
            let mode = guard.mode();
            core::mem::forget(guard);
            room.lock.raw.release_fair(mode);
        }
        _ => {}
    }
}

/// Upgrades, or cancels the upgrade, or is refused.
fn upgrade(room: &Room, guard: &mut Guard<'_>) {
    let mode = guard.mode();
    let before = room.visit(mode);
    let upgraded = match below(2) {
        0 => block_on(guard.upgrade(), None),
        _ => restless(guard.upgrade(), true),
    };
    match upgraded {
        Some(Ok(())) => {
            let between = if mode == Exclusive { 1 } else { 0 };
            assert_eq!(
                room.visit(Exclusive),
                before + between,
                "another writer entered in between"
            );
        }
        Some(Err(error)) => {
            assert_eq!((error, guard.mode()), (UpgradeError::Conflict, Shared));
        }
        None => {
            assert_eq!(guard.mode(), mode);
            room.visit(mode);
        }
    }
}

/// Runs the tasks on one thread. Each is polled when it has been woken, and only then.
fn run_all(tasks: Vec<Pin<Box<dyn Future<Output = ()> + '_>>>) {
    struct Task(AtomicBool, Waker);
    impl Wake for Task {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.store(true, SeqCst);
            self.1.wake_by_ref();
        }
    }
    let mut tasks: Vec<_> = tasks.into_iter().map(|future| (future, None)).collect();
    let poll = |cx: &mut Context<'_>| {
        tasks.retain_mut(|(future, task)| {
            let task = task.get_or_insert_with(|| {
                std::sync::Arc::new(Task(AtomicBool::new(true), cx.waker().clone()))
            });
            let waker = Waker::from(task.clone());
            while task.0.swap(false, SeqCst) {
                if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    return false;
                }
            }
            true
        });
        if tasks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    };
    block_on(poll_fn(poll), None).unwrap();
}

/// Five threads acquire in any mode and by any method, and do all that can be done with a guard.
#[test]
fn crowds_in_all_modes_exclude_each_other_and_all_enter() {
    crowd(|| {
        let room = Arc::new(Room::new());
        threads(5, &room, |room, _| (0..3).for_each(|_| visit(room, any_mode())));
        room.check();
    });
}

/// Six threads wait until they enter. None of them cancels, so no waiter is notified by a
/// cancellation that happens to come.
#[test]
fn crowds_of_waiters_that_never_cancel_all_enter() {
    crowd(|| {
        let room = Arc::new(Room::new());
        threads(6, &room, |room, n| {
            for _ in 0..2 {
                let mode = if n < 3 { Exclusive } else { any_mode() };
                let guard = block_on(room.lock.acquire(mode), None).unwrap();
                room.visit(mode);
                drop(guard);
            }
        });
        room.check();
    });
}

/// Some threads queue waiters, let them sleep on when they are notified, and drop them. The other
/// threads acquire once, and wait until they enter: soon no thread is left that would notify them
/// by chance.
#[test]
fn crowds_enter_where_others_sleep_and_leave() {
    crowd_with(20_000, || {
        let room = Arc::new(Room::new());
        threads(5, &room, |room, n| {
            let mode = if below(2) == 0 { Upgradable } else { any_mode() };
            if n < 2 {
                for _ in 0..2 {
                    let waits =
                        [any_mode(), mode].map(|mode| queued_or_not(room.lock.acquire(mode)));
                    (0..below(8)).for_each(|_| thread::yield_now());
                    drop(waits);
                }
            } else {
                let guard = restless(room.lock.acquire(mode), false).unwrap();
                room.visit(mode);
                drop(guard);
            }
        });
        room.check();
    });
}

/// Some holders upgrade, or cancel their upgrade. The others release. All of them acquire the lock
/// once more.
#[test]
fn crowds_upgrade_with_no_holder_in_between() {
    crowd(|| {
        let room = Room::new();
        let holds = [Upgradable, Shared, Shared, Shared].map(|mode| {
            let hold = room.lock.try_acquire(mode).unwrap().into_handle();
            Mutex::new(Some(hold))
        });
        let shared = Arc::new((room, holds));
        threads(4, &shared, |(room, holds), n| {
            let hold = holds[n].lock().unwrap().take().unwrap();
            let mut guard = room.lock.adopt(hold).unwrap();
            if n < 2 {
                upgrade(room, &mut guard);
            }
            drop(guard);
            let mode = [Shared, Upgradable][below(2)];
            guard = block_on(room.lock.acquire(mode), None).unwrap();
            stay(room, guard);
        });
        shared.0.check();
    });
}

/// Tasks keep the lock held while the other tasks of their thread run.
#[test]
fn crowds_of_tasks_all_enter() {
    crowd(|| {
        let room = Arc::new(Room::new());
        threads(3, &room, |room, _| {
            let task = |_| -> Pin<Box<dyn Future<Output = ()> + '_>> {
                Box::pin(async {
                    for _ in 0..2 {
                        let mode = any_mode();
                        let guard = room.lock.acquire(mode).await;
                        room.visit(mode);
                        yield_once().await;
                        room.visit(mode);
                        drop(guard);
                    }
                })
            };
            run_all((0..4).map(task).collect());
        });
        room.check();
    });
}

/// A barrier: the tasks wait until all of them have arrived.
struct Meeting {
    missing: AtomicUsize,
    wait: Mutex<Vec<Waker>>,
}

impl Meeting {
    fn of(number: usize) -> Self {
        Self { missing: AtomicUsize::new(number), wait: Mutex::default() }
    }

    async fn all(&self) {
        if self.missing.fetch_sub(1, SeqCst) == 1 {
            self.wait.lock().unwrap().drain(..).for_each(Waker::wake);
        }
        poll_fn(|cx| {
            let mut wait = self.wait.lock().unwrap();
            if self.missing.load(SeqCst) == 0 {
                return Poll::Ready(());
            }
            wait.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// There are more shared waiters than one batch notifies, and some waiters that are queued and
/// dropped. The waiters that stay wait for each other while they hold the lock. So all of them must
/// be notified when the one exclusive holder releases or downgrades. If all of them were queued
/// before an exclusive waiter, they enter first.
#[test]
fn crowds_of_shared_waiters_are_notified_together() {
    const STAY: usize = 10;
    crowd(|| {
        let shared = Arc::new((Room::new(), Meeting::of(2 * STAY), AtomicUsize::new(0)));
        let (room, _, queued_up) = &*shared;
        let mut guard = room.lock.try_acquire(Exclusive).unwrap();
        let mut threads: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                spawn(move || run_all((0..STAY).map(|_| meet(&shared)).collect()))
            })
            .collect();
        threads.push({
            let shared = shared.clone();
            spawn(move || {
                for _ in 0..3 {
                    drop(queued_or_not(shared.0.lock.acquire(Shared)));
                }
            })
        });
        let exclusive = if below(2) == 0 {
            while queued_up.load(SeqCst) < 2 * STAY {
                thread::yield_now();
            }
            Some(queued(room.lock.acquire(Exclusive)))
        } else {
            (0..below(200)).for_each(|_| thread::yield_now());
            None
        };
        room.visit(Exclusive);
        let stays = below(2) == 0;
        if stays {
            guard.downgrade(Shared);
        }
        let guard = stays.then_some(guard);
        join(threads);
        drop((guard, exclusive));
        room.check();
    });
}

/// Enters, and stays until all are there.
fn meet(
    (room, meeting, queued_up): &(Room, Meeting, AtomicUsize),
) -> Pin<Box<dyn Future<Output = ()> + '_>> {
    Box::pin(async {
        let mut acquire = pin!(room.lock.acquire(Shared));
        let mut is_new = true;
        let guard = poll_fn(|cx| {
            let poll = acquire.as_mut().poll(cx);
            queued_up.fetch_add(usize::from(core::mem::take(&mut is_new)), SeqCst);
            poll
        })
        .await;
        room.visit(Shared);
        meeting.all().await;
        drop(guard);
    })
}

/// Monitors are notified when there is room, among threads that enter and leave.
#[test]
fn crowds_notify_their_monitors() {
    fn try_until(room: &Room, mode: Mode, mut wait: impl FnMut()) {
        loop {
            if let Some(guard) = room.lock.try_acquire(mode) {
                room.visit(mode);
                drop(guard);
                return;
            }
            wait();
        }
    }
    fn next(monitor: &mut Monitor<'_>) {
        let poll = |cx: &mut Context<'_>| Pin::new(&mut *monitor).poll_next(cx);
        assert_eq!(block_on(poll_fn(poll), None).unwrap(), Some(()));
    }
    crowd(|| {
        let room = Arc::new(Room::new());
        threads(6, &room, |room, n| {
            for _ in 0..2 {
                let mode = any_mode();
                match n {
                    0 => try_until(room, mode, || restless(room.lock.wait(mode), false).unwrap()),
                    1 => {
                        let monitor = room.lock.monitor(mode);
                        monitor.clear();
                        try_until(room, mode, || {
                            restless(monitor.wait(), false).unwrap();
                            assert!(monitor.is_set());
                            monitor.clear();
                        });
                    }
                    2 => {
                        let mut monitor = room.lock.monitor(mode);
                        try_until(room, mode, || next(&mut monitor));
                    }
                    // A monitor that exists when the lock becomes free is notified, also if it is
                    // not the first.
                    3 => drop(restless(room.lock.monitor(mode).wait(), true)),
                    _ => visit(room, mode),
                }
            }
        });
        room.check();
    });
}

/// Monitors are notified once, of the very last edge: each holder enters once.
#[test]
fn crowds_of_monitors_see_the_last_edge() {
    crowd(|| {
        let room = Arc::new(Room::new());
        threads(5, &room, |room, n| {
            let mode = any_mode();
            if n < 2 {
                let mut guard = block_on(room.lock.acquire(mode), None).unwrap();
                if mode != Exclusive {
                    upgrade(room, &mut guard);
                }
            } else {
                let monitor = room.lock.monitor(mode);
                monitor.clear();
                if room.lock.try_acquire(mode).is_none() {
                    block_on(monitor.wait(), None).unwrap();
                }
            }
        });
        room.check();
    });
}

/// Sets of two and three locks, single acquisitions of their members, and monitors of the sets.
#[test]
fn crowds_of_sets_and_single_acquisitions_all_enter() {
    crowd(|| {
        let rooms = Arc::new([Room::new(), Room::new(), Room::new()]);
        threads(5, &rooms, |rooms, n| {
            let visit_all = |modes: &[(usize, Mode)]| {
                modes.iter().for_each(|&(room, mode)| _ = rooms[room].visit(mode));
            };
            for _ in 0..2 {
                let mode = any_mode();
                let (i, j) = (below(3), below(2));
                let j = if j < i { j } else { j + 1 };
                let set: LockSet<_> = rooms.iter().map(|room| &room.lock).collect();
                let modes = [(i, mode), (j, any_mode())];
                let wanted = modes.map(|(room, mode)| (&rooms[room].lock, mode));
                match n {
                    0 => {
                        if let Some(_guard) = restless(set.acquire(mode), below(2) == 0) {
                            visit_all(&[(0, mode), (1, mode), (2, mode)]);
                        }
                    }
                    1 => {
                        if let Some(_guard) = restless(acquire_all(wanted), below(2) == 0) {
                            visit_all(&modes);
                        }
                    }
                    2 if below(3) == 0 => {
                        let monitor = set.monitor(mode);
                        monitor.clear();
                        while set.try_acquire(mode).is_none() {
                            restless(monitor.wait(), false).unwrap();
                            monitor.clear();
                        }
                    }
                    3 if below(3) == 0 => {
                        if let Some(_guard) = try_acquire_all(wanted) {
                            visit_all(&modes);
                        }
                    }
                    _ => visit(&rooms[i], mode),
                }
            }
        });
        rooms.iter().for_each(Room::check);
    });
}

/// Sets that were turned away are canceled: a task that acquires one of the members once enters.
#[test]
fn crowds_enter_where_sets_are_cancelled() {
    crowd(|| {
        let rooms = Arc::new([Room::new(), Room::new()]);
        threads(5, &rooms, |rooms, n| {
            if n < 2 {
                let set: LockSet<_> = rooms.iter().map(|room| &room.lock).collect();
                for _ in 0..2 {
                    let mode = if below(2) == 0 { Exclusive } else { any_mode() };
                    if let Some(_guard) = restless(set.acquire(mode), true) {
                        rooms.iter().for_each(|room| _ = room.visit(mode));
                    }
                }
            } else {
                for _ in 0..1 + below(2) {
                    let room = &rooms[below(2)];
                    let mode = if below(2) == 0 { Exclusive } else { any_mode() };
                    let guard = block_on(room.lock.acquire(mode), None).unwrap();
                    room.visit(mode);
                    drop(guard);
                }
            }
        });
        rooms.iter().for_each(Room::check);
    });
}

/// Many threads use few names. Each name is used by one thread at a time, and all names are free at
/// the end.
#[test]
fn crowds_use_each_name_once() {
    crowd(|| {
        let lock = Arc::new((HandleLock::new(), [const { AtomicBool::new(false) }; 3]));
        threads(5, &lock, |(lock, used), _| {
            for _ in 0..3 {
                let (name, mode) = (below(3), any_mode());
                let is_ours = || {
                    assert!(lock.holders().contains(&(name, mode)));
                    assert!(!used[name].swap(true, SeqCst), "two use one name");
                    thread::yield_now();
                    used[name].store(false, SeqCst);
                };
                match below(3) {
                    0 => {
                        if lock.try_acquire(mode, name).is_ok() {
                            is_ours();
                            assert_eq!(lock.release(&name), Some(mode));
                        }
                    }
                    1 => {
                        if let Some(Ok(())) = restless(lock.acquire(mode, name), true) {
                            is_ours();
                            assert_eq!(lock.release(&name), Some(mode));
                        }
                    }
                    _ => {
                        if let Some(Ok(guard)) = restless(lock.context(mode, name), true) {
                            is_ours();
                            drop(guard);
                        }
                    }
                }
            }
        });
        assert_eq!(lock.0.holders(), []);
        assert_eq!(lock.0.snapshot(), MultiLock::new().snapshot());
        (0..3).for_each(|name| lock.0.try_acquire(Shared, name).unwrap());
    });
}
