//! Threads that block.

use std::array;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::contestants::{Guarded, Lock, NoLock, blocks};
use crate::harness::{Case, times_of_several};

const WORKLOAD: &str = "threads that block";
/// Turns are shared, except one in this many.
const NEVER: u64 = u64::MAX;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, operations, bodies| times_of_several(WORKLOAD, name, operations, bodies);
    vec![
        case("threads/2/shared", 2, blocks!(NoLock, |L| threads::<L, 2, NEVER>)),
        case("threads/2/exclusive", 2, blocks!(NoLock, |L| threads::<L, 2, 1>)),
        case("threads/2/one in 8 exclusive", 2, blocks!(NoLock, |L| threads::<L, 2, 8>)),
        case("threads/4/one in 8 exclusive", 4, blocks!(NoLock, |L| threads::<L, 4, 8>)),
    ]
}

/// `N` threads acquire and release, each time with a little to do inside and outside.
fn threads<L: Lock, const N: usize, const ONE_IN: u64>(times: u64) -> Duration {
    let (lock, guarded) = (L::default(), Guarded::default());
    let time = in_threads::<N>(times, |_, turn| {
        if turn % ONE_IN == 0 {
            let guard = lock.exclusive_blocking();
            black_box(&guard);
            guarded.change::<L>();
            interrupt(turn);
        } else {
            let guard = lock.shared_blocking();
            black_box(&guard);
            guarded.look::<L>();
            interrupt(turn);
        }
    });
    assert_eq!(guarded.changes(), times / ONE_IN * N as u64);
    time
}

/// Runs all turns in each of `N` threads, with a little to do after each. A turn has the number of its
/// thread, and its own, which begins at 1.
pub(crate) fn in_threads<const N: usize>(times: u64, run: impl Fn(usize, u64) + Sync) -> Duration {
    let ready = AtomicUsize::new(0);
    let thread = &|id| {
        // Awake, so that they begin together.
        ready.fetch_add(1, Relaxed);
        while ready.load(Relaxed) < N {
            thread::yield_now();
        }
        let start = Instant::now();
        for turn in 1..=times {
            run(id, turn);
            (0..16).for_each(|step| _ = black_box(step));
        }
        (start, Instant::now())
    };
    let spans = thread::scope(|scope| {
        let threads = array::from_fn::<_, N, _>(|id| scope.spawn(move || thread(id)));
        threads.map(|thread| thread.join().unwrap())
    });
    let first = spans.iter().map(|span| span.0).min();
    let last = spans.iter().map(|span| span.1).max();
    last.zip(first).map(|(last, first)| last - first).expect("there are threads")
}

/// Now and then a holder yields to other threads, so that they meet even where cores are scarce.
pub(crate) fn interrupt(turn: u64) {
    if turn % 64 == 0 {
        thread::yield_now();
    }
}
