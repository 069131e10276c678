//! Actors on tokio with full mailboxes: each writes now and then, in a `select!` beside the next message.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use ::tokio::runtime::Builder;
use ::tokio::sync::mpsc;
use ::tokio::task::{spawn, yield_now};
use ::tokio::{select, time};
use multilock::Mode::{self, Exclusive, Shared};
use multilock::RwLock;

const ACTORS: usize = 2;
const TIMES: usize = 20;
const LONG: Duration = Duration::from_secs(1);

async fn act(lock: Arc<RwLock<u32>>, stop: Arc<AtomicBool>) {
    let (sender, mut mailbox) = mpsc::channel(32);
    let is_over = stop.clone();
    spawn(async move { while !is_over.load(SeqCst) && sender.send(1_u32).await.is_ok() {} });
    let mut seen = 0_u32;
    while !stop.load(SeqCst) {
        let mut write = pin!(lock.write());
        let mut guard = loop {
            select! {
                biased;
                guard = &mut write => break guard,
                message = mailbox.recv() => seen = seen.wrapping_add(message.unwrap_or(0)),
            }
        };
        *guard = seen;
        yield_now().await;
    }
}

/// How long each wait takes, up to the first that takes too long.
async fn waits(mode: Mode) -> Vec<Option<Duration>> {
    let (lock, stop) = (Arc::new(RwLock::new(0)), Arc::new(AtomicBool::new(false)));
    for _ in 0..ACTORS {
        spawn(act(lock.clone(), stop.clone()));
    }
    let mut waits = Vec::new();
    while waits.len() < TIMES && waits.last() != Some(&None) {
        time::sleep(Duration::from_millis(2)).await;
        let start = Instant::now();
        let guard = time::timeout(LONG, lock.raw().acquire(mode)).await;
        waits.push(guard.is_ok().then(|| start.elapsed()));
    }
    stop.store(true, SeqCst);
    waits
}

fn check(mut builder: Builder, mode: Mode) {
    let runtime = builder.enable_time().build().unwrap();
    // In a task: the thread that calls `block_on` is not one of the workers.
    let waits = runtime.block_on(async { spawn(waits(mode)).await.unwrap() });
    runtime.shutdown_background();
    let in_time = waits.iter().flatten();
    println!("{mode:?}: at worst {:?} of {} waits", in_time.clone().max(), waits.len());
    assert_eq!(in_time.count(), TIMES, "{mode:?} has not acquired after {LONG:?}");
}

#[test]
fn q3_a_reader_acquires_beside_busy_actors_on_one_worker() {
    check(Builder::new_current_thread(), Shared);
}

#[test]
fn q3_a_writer_acquires_beside_busy_actors_on_one_worker() {
    check(Builder::new_current_thread(), Exclusive);
}

fn two_workers() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2);
    builder
}

#[test]
fn q3_a_reader_acquires_beside_busy_actors_on_two_workers() {
    check(two_workers(), Shared);
}

#[test]
fn q3_a_writer_acquires_beside_busy_actors_on_two_workers() {
    check(two_workers(), Exclusive);
}
