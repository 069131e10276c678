//! One task that wants the lock in another mode than all others.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::contestants::{AsyncLock, Guarded, NoLock, awaits, hold};
use crate::executor::{Runtime, yield_now};
use crate::harness::{Case, waits};

const OTHERS: u64 = 16;
/// The turns before those that are measured, while the others begin.
const BEFORE: usize = 64;
/// If the lone task has not had all its turns after this time, it starves.
const LIMIT: Duration = Duration::from_secs(3);

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, bodies| waits("how long a lone task waits", name, bodies);
    vec![
        case("lone/writer among 16 readers", awaits!(NoLock, |L| |count| lone::<L>(true, count))),
        case("lone/reader among 16 writers", awaits!(NoLock, |L| |count| lone::<L>(false, count))),
    ]
}

#[derive(Default)]
struct Shared<L> {
    lock: L,
    guarded: Guarded,
    is_over: AtomicBool,
    waits: Mutex<Vec<Duration>>,
}

/// The waits of a task for `count` turns, while others acquire again and again. All hold the lock
/// across an await.
fn lone<L: AsyncLock>(is_writer: bool, count: usize) -> Option<Vec<Duration>> {
    let shared = Arc::new(Shared::<L>::default());
    Runtime::Tokio.run(OTHERS + 1, |id| {
        let shared = shared.clone();
        async move {
            if id == OTHERS {
                wait_often(&shared, is_writer, count).await;
            } else {
                keep_busy(&shared, !is_writer).await;
            }
        }
    });
    let waits = mem::take(&mut *shared.waits.lock().expect("nobody panics"));
    assert!(!is_writer || shared.guarded.changes() >= waits.len() as u64, "it was there each time");
    (waits.len() == count).then_some(waits)
}

async fn wait_often<L: AsyncLock>(shared: &Shared<L>, is_writer: bool, count: usize) {
    for turn in 0..BEFORE + count {
        let (asked, mut wait) = (Instant::now(), Duration::ZERO);
        hold(&shared.lock, &shared.guarded, is_writer, || wait = asked.elapsed()).await;
        // Others stop when it starves, and only because of that it was there.
        if shared.is_over.load(Relaxed) {
            return;
        }
        if turn >= BEFORE {
            shared.waits.lock().expect("nobody panics").push(wait);
        }
        yield_now().await;
    }
    shared.is_over.store(true, Relaxed);
}

async fn keep_busy<L: AsyncLock>(shared: &Shared<L>, is_writer: bool) {
    let start = Instant::now();
    let mut turn = 0_u32;
    while !shared.is_over.load(Relaxed) {
        hold(&shared.lock, &shared.guarded, is_writer, || ()).await;
        turn += 1;
        if turn % 64 == 0 && start.elapsed() > LIMIT {
            shared.is_over.store(true, Relaxed);
        }
    }
}
