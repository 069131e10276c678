//! Tasks of runtimes with several threads.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use crate::contestants::{AsyncLock, Guarded, NoLock, awaits, exclusive_turns, hold, is_exclusive};
use crate::executor::{Runtime, worker, yield_now};
use crate::harness::{Case, many, times_of_several};

/// The number of turns of each task at once: fewer would measure how the tasks begin.
pub(crate) const TURNS: u64 = 8;
/// The number of turns without a pause, where the lock is not held across one.
const HOG: u64 = 32;
/// How many of a hundred turns are exclusive.
const MIXES: [u64; 5] = [0, 1, 10, 50, 100];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for runtime in Runtime::ALL {
        for percent in MIXES {
            let name = format!("short/{}/16 tasks/{percent} % exclusive", runtime.name());
            cases.push(times_of_several(
                "short sections",
                name,
                16 * TURNS,
                awaits!(NoLock, |L| move |times| short::<L>(runtime, percent, times)),
            ));
        }
    }
    for runtime in Runtime::ALL {
        for tasks in [50, 1000] {
            for percent in MIXES {
                let name = format!("held/{}/{tasks} tasks/{percent} % exclusive", runtime.name());
                cases.push(times_of_several(
                    "held across an await",
                    name,
                    tasks as u64 * TURNS,
                    awaits!(NoLock, |L| move |times| held::<L>(runtime, tasks, percent, times)),
                ));
            }
        }
    }
    for percent in [10, 100] {
        cases.push(times_of_several(
            "held across an await",
            format!("held/moving/16 tasks/{percent} % exclusive"),
            16 * TURNS,
            awaits!(NoLock, |L| move |times| held::<L>(Runtime::Moving, 16, percent, times)),
        ));
    }
    cases
}

/// Tasks acquire and release, each time with a little to do inside and outside.
pub(crate) fn short<L: AsyncLock>(runtime: Runtime, percent: u64, times: u64) -> Duration {
    let (tasks, turns) = (16, times * TURNS);
    let shared = Arc::new((L::default(), Guarded::default()));
    let time = runtime.run(tasks, |id| {
        let shared = shared.clone();
        async move {
            let (lock, guarded) = &*shared;
            for turn in 0..turns {
                if is_exclusive(id, turn, percent) {
                    let guard = lock.exclusive().await;
                    black_box(&guard);
                    guarded.change::<L>();
                } else {
                    let guard = lock.shared().await;
                    black_box(&guard);
                    guarded.look::<L>();
                }
                (0..16).for_each(|step| _ = black_box(step));
                if (turn + 1) % HOG == 0 {
                    yield_now().await;
                }
            }
        }
    });
    assert_eq!(shared.1.changes(), exclusive_turns(tasks, turns, percent));
    time
}

/// Tasks hold the lock while others are polled.
fn held<L: AsyncLock>(runtime: Runtime, tasks: usize, percent: u64, times: u64) -> Duration {
    let (tasks, turns) = (many(tasks) as u64, times * TURNS);
    let shared = Arc::new((L::default(), Guarded::default()));
    let time = runtime.run(tasks, |id| {
        let shared = shared.clone();
        async move {
            let (lock, guarded) = &*shared;
            for turn in 0..turns {
                let is_exclusive = is_exclusive(id, turn, percent);
                let mut here = None;
                hold(lock, guarded, is_exclusive, || here = worker()).await;
                assert!(here.is_none() || here != worker(), "the holder has moved");
            }
        }
    });
    assert_eq!(shared.1.changes(), exclusive_turns(tasks, turns, percent));
    time
}
