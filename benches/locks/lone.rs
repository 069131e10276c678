//! One task that acquires the lock in another mode than all others.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::contestants::{AsyncLock, Guarded, NoLock, awaits, hold};
use crate::executor::{Runtime, yield_now};
use crate::harness::{Case, Waited, waits};

const OTHERS: u64 = 16;
/// The measured waits of a round.
const WAITS: usize = 500;
/// The turns before the measured ones, while the others begin.
const BEFORE: usize = 64;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, bodies| waits("how long a lone task waits", name, WAITS, &[], bodies);
    vec![
        case(
            "lone/writer among 16 readers",
            awaits!(NoLock, |L| |count, limit| lone::<L>(true, count, limit)),
        ),
        case(
            "lone/reader among 16 writers",
            awaits!(NoLock, |L| |count, limit| lone::<L>(false, count, limit)),
        ),
    ]
}

#[derive(Default)]
struct Shared<L> {
    lock: L,
    guarded: Guarded,
    is_over: AtomicBool,
    waited: Mutex<Waited>,
}

/// Measures `count` waits of a task, while others acquire again and again. All hold the lock across
/// an await.
fn lone<L: AsyncLock>(is_writer: bool, count: usize, limit: Duration) -> Waited {
    let shared = Arc::new(Shared::<L>::default());
    Runtime::Tokio.run(OTHERS + 1, |id| {
        let shared = shared.clone();
        async move {
            if id == OTHERS {
                wait_often(&shared, is_writer, count).await;
            } else {
                keep_busy(&shared, !is_writer, limit).await;
            }
        }
    });
    let waited = mem::take(&mut *shared.waited.lock().expect("no task panics"));
    let waits = waited.waits.len() as u64;
    assert!(!is_writer || shared.guarded.changes() >= waits, "it acquired each time");
    waited
}

async fn wait_often<L: AsyncLock>(shared: &Shared<L>, is_writer: bool, count: usize) {
    for turn in 0..BEFORE + count {
        let (asked, mut wait) = (Instant::now(), Duration::ZERO);
        hold(&shared.lock, &shared.guarded, is_writer, || wait = asked.elapsed()).await;
        // At the limit the others stop. Otherwise the wait would have been longer.
        let is_over = shared.is_over.load(Relaxed);
        if turn >= BEFORE || is_over {
            let mut waited = shared.waited.lock().expect("no task panics");
            waited.waits.push(wait);
            waited.unfinished = is_over.then_some(wait);
        }
        if is_over {
            return;
        }
        yield_now().await;
    }
    shared.is_over.store(true, Relaxed);
}

async fn keep_busy<L: AsyncLock>(shared: &Shared<L>, is_writer: bool, limit: Duration) {
    let start = Instant::now();
    let mut turn = 0_u32;
    while !shared.is_over.load(Relaxed) {
        hold(&shared.lock, &shared.guarded, is_writer, || ()).await;
        turn += 1;
        if turn % 64 == 0 && start.elapsed() > limit {
            shared.is_over.store(true, Relaxed);
        }
    }
}
