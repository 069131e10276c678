//! Waiters on one thread: nothing interferes, so only the queue is measured.

use std::hint::black_box;
use std::pin::pin;
use std::time::{Duration, Instant};

use crate::contestants::{
    AsyncLock, Guarded, Lock, NoLock, awaits, exclusive_turns, hold, is_exclusive,
};
use crate::executor::{Tasks, now, poll};
use crate::harness::{Case, many, times};

/// The tasks that share a thread.
pub(crate) const TASKS: usize = 64;
/// The shared waiters of a hand-over. Behind them waits one exclusive waiter.
const SHARED_WAITERS: usize = 8;
/// The waiters of a storm.
const STORM: usize = 1000;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (mode, is_exclusive) in [("exclusive", true), ("shared", false)] {
        for waiters in [10, 100, 1000, 10_000, 100_000] {
            let mut bodies =
                awaits!(NoLock, |L| move |times| drain::<L>(waiters, is_exclusive, times));
            if waiters > 1000 {
                // It spins for a tenth of a millisecond before each wait, and longer where many
                // wait.
                bodies.retain(|(contestant, _)| *contestant != saa::Lock::NAME);
            }
            let name = format!("drain/{waiters} {mode}");
            cases.push(times("a queue that is drained", name, waiters as u64, bodies));
        }
    }
    cases.push(times(
        "a queue that is drained",
        "hand-over/8+1",
        1,
        awaits!(NoLock, |L| hand_over::<L>),
    ));
    for percent in [100, 10] {
        cases.push(times(
            "tasks of one thread",
            format!("tasks/{TASKS}/{percent} % exclusive"),
            TASKS as u64,
            awaits!(NoLock, |L| move |times| in_turns::<L>(percent, times).time),
        ));
    }
    cases.push(times("canceled waits", "cancel/one", 1, awaits!(NoLock, |L| cancel::<L>)));
    for (order, of) in [
        ("first to last", Order::Arrival),
        ("last to first", Order::Reverse),
        ("random", Order::Random),
    ] {
        cases.push(times(
            "canceled waits",
            format!("cancel/{STORM}/{order}"),
            STORM as u64,
            awaits!(NoLock, |L| move |times| storm::<L>(of, times)),
        ));
    }
    cases
}

/// An exclusive holder releases, and all waiters have their turn.
fn drain<L: AsyncLock>(waiters: usize, is_exclusive: bool, times: u64) -> Duration {
    let waiters = many(waiters);
    let shared = <(L, Guarded)>::default();
    let (lock, guarded) = black_box(&shared);
    let waiter = |_| async move {
        if is_exclusive {
            let guard = lock.exclusive().await;
            black_box(&guard);
            guarded.change::<L>();
        } else {
            let guard = lock.shared().await;
            black_box(&guard);
            guarded.look::<L>();
        }
    };
    let mut tasks = Tasks::new(waiters);
    let start = Instant::now();
    for _ in 0..times {
        let holder = now(pin!(lock.exclusive()));
        black_box(&holder);
        tasks.start(waiter);
        tasks.run();
        assert!(tasks.left == waiters || !L::EXCLUDES, "all tasks wait");
        drop(holder);
        tasks.run();
        assert_eq!(tasks.left, 0, "no task waits");
    }
    let time = start.elapsed();
    assert_eq!(guarded.changes(), u64::from(is_exclusive) * times * waiters as u64);
    time
}

/// An exclusive holder releases, and all waiters have their turn. One operation is all of that,
/// including the queueing of the waiters.
fn hand_over<L: AsyncLock>(times: u64) -> Duration {
    let shared = <(L, Guarded)>::default();
    let (lock, guarded) = black_box(&shared);
    let waiter = |id| async move {
        if id == SHARED_WAITERS {
            let guard = lock.exclusive().await;
            black_box(&guard);
            guarded.change::<L>();
        } else {
            let guard = lock.shared().await;
            black_box(&guard);
            guarded.look::<L>();
        }
    };
    let mut tasks = Tasks::new(SHARED_WAITERS + 1);
    let start = Instant::now();
    for _ in 0..times {
        let holder = now(pin!(lock.exclusive()));
        black_box(&holder);
        tasks.start(waiter);
        tasks.run();
        assert!(tasks.left > SHARED_WAITERS || !L::EXCLUDES, "all tasks wait");
        drop(holder);
        tasks.run();
        assert_eq!(tasks.left, 0, "no task waits");
    }
    let time = start.elapsed();
    assert_eq!(guarded.changes(), times);
    time
}

/// The cost of tasks of one thread that hold the lock while the others are polled.
pub(crate) struct InTurns {
    pub(crate) time: Duration,
    pub(crate) polls: u64,
    pub(crate) wakes: u64,
}

pub(crate) fn in_turns<L: AsyncLock>(percent: u64, turns: u64) -> InTurns {
    let shared = <(L, Guarded)>::default();
    let (lock, guarded) = black_box(&shared);
    let mut tasks = Tasks::new(TASKS);
    let start = Instant::now();
    tasks.start(|id| async move {
        for turn in 0..turns {
            let is_exclusive = is_exclusive(id as u64, turn, percent);
            hold(lock, guarded, is_exclusive, || ()).await;
        }
    });
    tasks.run();
    let time = start.elapsed();
    assert_eq!(tasks.left, 0, "all tasks held the lock");
    assert_eq!(guarded.changes(), exclusive_turns(TASKS as u64, turns, percent));
    InTurns { time, polls: tasks.polls, wakes: tasks.wakes() }
}

/// Waits for a held lock, and cancels the wait.
fn cancel<L: AsyncLock>(times: u64) -> Duration {
    let lock = L::default();
    let held = now(pin!(lock.shared()));
    black_box(&held);
    let start = Instant::now();
    for _ in 0..times {
        let waiter = pin!(black_box(&lock).exclusive());
        assert!(poll(waiter).is_pending() || !L::EXCLUDES);
    }
    let time = start.elapsed();
    drop(held);
    assert!(lock.try_exclusive().is_some(), "no waiter is left");
    time
}

/// The order of cancellation.
#[derive(Clone, Copy)]
enum Order {
    Arrival,
    Reverse,
    Random,
}

impl Order {
    fn of(self, count: usize) -> Vec<usize> {
        let mut order: Vec<_> = (0..count).collect();
        match self {
            Self::Arrival => {}
            Self::Reverse => order.reverse(),
            Self::Random => {
                let mut random = 0x9e37_79b9_7f4a_7c15_u64;
                for n in (1..count).rev() {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    order.swap(n, random as usize % (n + 1));
                }
            }
        }
        order
    }
}

/// Many tasks wait for a held lock, and all of them cancel.
fn storm<L: AsyncLock>(order: Order, times: u64) -> Duration {
    let lock = L::default();
    let order = order.of(many(STORM));
    let mut waiters: Vec<_> = order.iter().map(|_| Box::pin(None)).collect();
    let held = now(pin!(lock.shared()));
    black_box(&held);
    let mut waits = 0;
    let start = Instant::now();
    for _ in 0..times {
        for waiter in &mut waiters {
            waiter.set(Some(black_box(&lock).exclusive()));
            let waiter = waiter.as_mut().as_pin_mut().expect("it was set");
            waits += u64::from(poll(waiter).is_pending());
        }
        order.iter().for_each(|n| waiters[*n].set(None));
    }
    let time = start.elapsed();
    assert!(waits == times * order.len() as u64 || !L::EXCLUDES, "all tasks wait");
    drop((held, waiters));
    assert!(lock.try_exclusive().is_some(), "no waiter is left");
    time
}
