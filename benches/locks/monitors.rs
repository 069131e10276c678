//! Monitors of a lock, which only ours has.

use std::cell::Cell;
use std::hint::black_box;
use std::pin::pin;
use std::time::{Duration, Instant};

use multilock::{Mode, Monitor, MultiLock};

use crate::contestants::{AsyncLock, Guarded, Lock, Word};
use crate::executor::{Tasks, now};
use crate::harness::{Body, Case, many, times};

const WORKLOAD: &str = "monitors";
/// The number of awaited monitors.
const AWAITED: usize = 100;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, bodies| times(WORKLOAD, name, 1, bodies);
    let mut cases = vec![];
    for monitors in [0, 1, 100, 10_000] {
        let ours: Body = Box::new(move |times| monitored(monitors, times));
        let floor: Body = Box::new(|times| hold_often(&Word::default(), times));
        let columns = vec![(MultiLock::NAME, ours), (Word::NAME, floor)];
        cases.push(case(format!("monitors/{monitors} that no task awaits"), columns));
    }
    let ours: Body = Box::new(woken);
    cases.push(case(format!("monitors/{AWAITED} that are woken"), vec![(MultiLock::NAME, ours)]));
    cases
}

/// The monitors are set by each edge, and no task awaits them.
fn monitored(monitors: usize, times: u64) -> Duration {
    let lock = MultiLock::new();
    let monitors: Vec<_> = (0..many(monitors)).map(|_| lock.monitor(Mode::Shared)).collect();
    monitors.iter().for_each(Monitor::clear);
    let time = hold_often(&lock, times);
    assert!(monitors.iter().all(Monitor::is_set), "all monitors are set");
    time
}

/// An exclusive holder acquires and releases.
fn hold_often<L: AsyncLock>(lock: &L, times: u64) -> Duration {
    let guarded = Guarded::default();
    let start = Instant::now();
    for _ in 0..times {
        let guard = now(pin!(black_box(lock).exclusive()));
        black_box(&guard);
        guarded.change::<L>();
    }
    let time = start.elapsed();
    assert_eq!(guarded.changes(), times);
    time
}

/// An exclusive holder releases, and all monitors are awaited. One operation is to await a monitor, and
/// to be woken.
fn woken(times: u64) -> Duration {
    let lock = &MultiLock::new();
    let monitors: &Vec<_> = &(0..AWAITED).map(|_| lock.monitor(Mode::Shared)).collect();
    let wakes = &Cell::new(0);
    let mut tasks = Tasks::new(AWAITED);
    let start = Instant::now();
    for _ in 0..times {
        let holder = now(pin!(lock.exclusive()));
        black_box(&holder);
        tasks.start(|id| async move {
            monitors[id].clear();
            monitors[id].wait().await;
            wakes.set(wakes.get() + 1);
        });
        tasks.run();
        assert_eq!(tasks.left, AWAITED, "all tasks wait");
        drop(holder);
        tasks.run();
        assert_eq!(tasks.left, 0, "all tasks were woken");
    }
    let time = start.elapsed();
    assert_eq!(wakes.get(), times * AWAITED as u64);
    time
}
