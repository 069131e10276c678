//! The lock beside itself with an observer: one that does nothing, and one that keeps the time of each acquisition.
//!
//! Only with the feature `observed`: `cargo bench --bench locks --features observed -- observed`.

use std::time::{Duration, Instant};

use multilock::observed::{self, Acquisition, NewObserver, Observer};
use multilock::{Mode, MultiLock};

use crate::contestants::{AsyncLock, Lock, NoLock, Word, contestant, methods, run_time};
use crate::executor::Runtime;
use crate::harness::{Body, Case, times, times_of_several};
use crate::tasks::{TURNS, short};
use crate::uncontended::{await_exclusive, await_shared, try_exclusive};

/// The record of an acquisition is the time at which it began.
struct Clock;

impl Observer for Clock {
    type Record = Instant;

    fn waiting(&self, _: Acquisition<'_>) -> Instant {
        Instant::now()
    }

    fn acquired(&self, _: Acquisition<'_>, _: Option<Instant>) -> Instant {
        Instant::now()
    }

    fn released(&self, _: Acquisition<'_>, held: Instant) {
        std::hint::black_box(held.elapsed());
    }

    fn cancelled(&self, _: Acquisition<'_>, _: Instant) {}
}

impl NewObserver for Clock {
    const NEW: Self = Clock;
}

/// Makes an observed lock a contestant, in the column of the lock.
macro_rules! observed_contestant {
    ($Lock:ty) => {
        contestant!("multilock", lock: $Lock {
            tries: lock.try_acquire(run_time(Mode::Shared)), lock.try_acquire(run_time(Mode::Exclusive));
            blocks: lock.acquire_blocking(run_time(Mode::Shared)),
                lock.acquire_blocking(run_time(Mode::Exclusive));
            awaits: lock.acquire(run_time(Mode::Shared)), lock.acquire(run_time(Mode::Exclusive));
        });
    };
}

observed_contestant!(observed::MultiLock<()>);
observed_contestant!(observed::MultiLock<Clock>);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = of::<MultiLock>("none");
    cases.extend(of::<observed::MultiLock<()>>("nothing"));
    cases.extend(of::<observed::MultiLock<Clock>>("clock"));
    cases
}

/// The rows of a lock with an observer, each beside a floor.
fn of<L: AsyncLock>(observer: &str) -> Vec<Case> {
    let uncontended = |name, of: fn(u64) -> Duration, floor: fn(u64) -> Duration| {
        let columns: Vec<(_, Body)> = vec![(L::NAME, Box::new(of)), (Word::NAME, Box::new(floor))];
        times("observed", format!("observed/{observer}/{name}"), 1, columns)
    };
    let mut cases = vec![
        uncontended("shared/await", await_shared::<L>, await_shared::<Word>),
        uncontended("exclusive/await", await_exclusive::<L>, await_exclusive::<Word>),
        uncontended("exclusive/try", try_exclusive::<L>, try_exclusive::<Word>),
    ];
    for runtime in Runtime::ALL {
        let ours: Body = Box::new(move |times| short::<L>(runtime, 50, times));
        let floor: Body = Box::new(move |times| short::<NoLock>(runtime, 50, times));
        cases.push(times_of_several(
            "observed",
            format!("observed/{observer}/short/{}/16 tasks/50 % exclusive", runtime.name()),
            16 * TURNS,
            vec![(L::NAME, ours), (NoLock::NAME, floor)],
        ));
    }
    cases
}
