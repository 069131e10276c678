//! What `observed::Times` measures of locks, by a clock that the tests set.

#![cfg(feature = "observed")]
#![cfg(not(any(loom, shuttle)))]

mod support;

use std::cell::Cell;
use std::time::Duration;

use multilock::Mode::{Exclusive, Shared, Upgradable};
use multilock::observed::{Acquisition, Durations, MultiLock, Observer, Times};
use support::Task;

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn pass(nanoseconds: u64) {
    NOW.set(NOW.get() + Duration::from_nanos(nanoseconds));
}

fn lock() -> MultiLock<Times> {
    MultiLock::with_observer("lock", Times::with_clock(|| NOW.get()))
}

/// The number, the sum and the maximum.
fn of(durations: Durations) -> (usize, u128, u128) {
    (durations.count(), durations.sum().as_nanos(), durations.maximum().as_nanos())
}

#[test]
fn what_is_held_counts_when_it_is_released() {
    let lock = lock();
    let reads = [(); 3].map(|()| lock.try_acquire(Shared).unwrap());
    pass(1000);
    let summary = lock.observer().summary();
    assert_eq!((summary.acquisitions(), of(summary.held())), (3, (0, 0, 0)));
    assert_eq!((summary.held().mean(), summary.waited().mean()), (None, None));
    for (n, read) in reads.into_iter().enumerate() {
        pass(1000 * n as u64);
        drop(read);
    }
    // 1, 2 and 4 microseconds, and one that is not complete.
    let guard = lock.try_acquire(Exclusive);
    pass(1_000_000);
    let summary = lock.observer().summary();
    assert_eq!((summary.acquisitions(), of(summary.held())), (4, (3, 7000, 4000)));
    assert_eq!(summary.held().mean(), Some(Duration::from_nanos(2333)));
    assert_eq!(of(summary.waited()), (0, 0, 0));
    drop(guard);
    // The maximum is no end of a class.
    pass(1);
    assert_eq!(of(lock.observer().summary().held()), (4, 1_007_000, 1_000_000));
    let classes = lock.observer().summary();
    let classes =
        classes.held().histogram().into_iter().filter(|(_, count)| *count != 0).collect::<Vec<_>>();
    let ends = [1024, 2048, 4096, 1 << 20].map(Duration::from_nanos);
    assert_eq!(classes, ends.map(|end| (end, 1)));
}

#[test]
fn a_wait_counts_when_it_succeeds() {
    let lock = lock();
    let guard = lock.try_acquire(Exclusive);
    let mut waiter = Task::new(lock.acquire(Shared));
    let mut cancelled = Task::new(lock.acquire(Exclusive));
    assert!(waiter.poll().is_pending() && cancelled.poll().is_pending());
    pass(500);
    // Another poll is no other wait.
    assert!(waiter.poll().is_pending());
    let summary = lock.observer().summary();
    assert_eq!((summary.acquisitions(), summary.waits(), summary.cancellations()), (1, 0, 0));
    drop(cancelled);
    drop(guard);
    pass(250);
    assert!(waiter.poll().is_ready());
    let summary = lock.observer().summary();
    assert_eq!((summary.acquisitions(), summary.waits(), summary.cancellations()), (2, 1, 1));
    assert_eq!(of(summary.waited()), (1, 750, 750));
    // One that is dropped before its first poll is nothing.
    drop(Task::new(lock.acquire(Shared)));
    assert_eq!(lock.observer().summary(), lock.observer().summary());
    assert_eq!(lock.observer().summary().cancellations(), 1);
}

#[test]
fn a_change_of_mode_ends_what_was_held() {
    let lock = lock();
    let reader = lock.try_acquire(Shared);
    let mut guard = lock.try_acquire(Upgradable).unwrap();
    pass(100);
    let mut upgrade = Task::new(guard.upgrade());
    assert!(upgrade.poll().is_pending());
    pass(10);
    drop(reader);
    assert!(upgrade.poll().is_ready());
    drop(upgrade);
    let summary = lock.observer().summary();
    assert_eq!((summary.acquisitions(), summary.waits()), (2, 1));
    assert_eq!((of(summary.held()), of(summary.waited())), ((2, 220, 110), (1, 10, 10)));
    pass(300);
    guard.downgrade(Shared);
    pass(7);
    drop(guard);
    let summary = lock.observer().summary();
    assert_eq!((summary.acquisitions(), of(summary.held())), (2, (4, 527, 300)));
    let said = summary.to_string();
    assert_eq!(
        said,
        "acquired 2 times, 1 of them after a wait; 0 waits were cancelled\n\
         waited: 10ns in all, 10.0ns at the mean, 10ns at most\n\
         held: 527ns in all, 131.0ns at the mean, 300ns at most"
    );
}

/// Looks at the lock when it is told of the release.
struct Free(Times);

static LOCK: MultiLock<Free> =
    MultiLock::with_observer("lock", Free(Times::with_clock(|| NOW.get())));

impl Observer for Free {
    type Record = <Times as Observer>::Record;

    fn waiting(&self, acquisition: Acquisition<'_>) -> Self::Record {
        self.0.waiting(acquisition)
    }

    fn acquired(&self, acquisition: Acquisition<'_>, waited: Option<Self::Record>) -> Self::Record {
        self.0.acquired(acquisition, waited)
    }

    fn released(&self, acquisition: Acquisition<'_>, held: Self::Record) {
        assert!(LOCK.locked().is_none());
        self.0.released(acquisition, held);
    }

    fn cancelled(&self, acquisition: Acquisition<'_>, waited: Self::Record) {
        self.0.cancelled(acquisition, waited);
    }
}

#[test]
fn nothing_is_recorded_while_the_lock_is_held() {
    drop(LOCK.try_acquire(Exclusive));
    // A panic of `released` would have been caught, and nothing recorded.
    assert_eq!(LOCK.observer().0.summary().held().count(), 1);
}

#[cfg(feature = "std")]
#[test]
fn threads_lose_no_number() {
    let lock: MultiLock<Times> = MultiLock::new();
    let count = if cfg!(miri) { 20 } else { 20_000 };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..count {
                    drop(lock.acquire_blocking(if n % 2 == 0 { Exclusive } else { Shared }));
                }
            });
        }
    });
    let summary = lock.observer().summary();
    assert_eq!((summary.acquisitions(), summary.held().count()), (4 * count, 4 * count));
    assert!(summary.waits() <= 4 * count && summary.held().maximum() <= summary.held().sum());
    assert_eq!(summary.cancellations(), 0);
}
