//! Litmus tests: how often two threads see an outcome that no interleaving of their steps has. `ci/deep/qemu-user` runs
//! them natively and in QEMU, to find out which weak orderings a test could see there.
//!
//! The argument is the number of rounds.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::thread;

/// So that no two variables share a cache line.
#[derive(Default)]
#[repr(align(128))]
struct Line<T>(T);

/// The variables of one round, and what the threads saw.
#[derive(Default)]
struct Round {
    x: Line<AtomicU32>,
    y: Line<AtomicU32>,
    seen: Line<[AtomicU32; 2]>,
}

/// What a thread does in a round. Returns what it saw.
type Thread = fn(&AtomicU32, &AtomicU32) -> u32;

/// The name, what the two threads do, and what they see if their steps are reordered.
const SHAPES: [(&str, [Thread; 2], [u32; 2]); 5] = [
    ("MP", [|x, y| (x.store(1, Relaxed), y.store(1, Relaxed), 0).2, look], [0, 2]),
    (
        "MP, read-modify-writes",
        [|x, y| (x.store(1, Relaxed), y.fetch_add(1, Relaxed), 0).2, look_and_write],
        [0, 2],
    ),
    (
        "LB",
        [
            |x, y| (x.load(Relaxed), y.store(1, Relaxed)).0,
            |x, y| (y.load(Relaxed), x.store(1, Relaxed)).0,
        ],
        [1, 1],
    ),
    (
        "SB",
        [
            |x, y| (x.store(1, Relaxed), y.load(Relaxed)).1,
            |x, y| (y.store(1, Relaxed), x.load(Relaxed)).1,
        ],
        [0, 0],
    ),
    (
        "SB, SeqCst",
        [
            |x, y| (x.store(1, SeqCst), y.load(SeqCst)).1,
            |x, y| (y.store(1, SeqCst), x.load(SeqCst)).1,
        ],
        [0, 0],
    ),
];

fn look(x: &AtomicU32, y: &AtomicU32) -> u32 {
    2 * y.load(Relaxed) + x.load(Relaxed)
}

fn look_and_write(x: &AtomicU32, y: &AtomicU32) -> u32 {
    2 * y.fetch_add(0, Relaxed) + x.load(Relaxed)
}

/// Says that this thread is at `step`, and waits until the other one is.
fn meet(at: &[Line<AtomicUsize>; 2], me: usize, step: usize) {
    at[me].0.store(step, Release);
    let mut looks = 0;
    while at[1 - me].0.load(Acquire) < step {
        looks += 1;
        // The other thread may be without a core.
        if looks % 2000 == 0 { thread::yield_now() } else { spin_loop() }
    }
}

/// Runs the rounds in two threads. Returns in how many of them the outcome was the weak one.
fn run(threads: [Thread; 2], weak: [u32; 2], rounds: usize) -> usize {
    let at = Default::default();
    let all: Vec<Round> = (0..rounds).map(|_| Round::default()).collect();
    let half = |me: usize| {
        for (n, Round { x, y, seen }) in all.iter().enumerate() {
            meet(&at, me, n + 1);
            // Neither thread is always the first.
            (0..(n * (me + 3) + n / 64) % 16).for_each(|n| _ = black_box(n));
            seen.0[me].store(threads[me](&x.0, &y.0), Relaxed);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| half(1));
        half(0);
    });
    all.iter().filter(|at| at.seen.0.each_ref().map(|n| n.load(Relaxed)) == weak).count()
}

fn main() {
    const BATCH: usize = 10_000;
    let batches =
        std::env::args().nth(1).map_or(100, |rounds| rounds.parse::<usize>().unwrap() / BATCH);
    for (name, threads, weak) in SHAPES {
        let count: usize = (0..batches).map(|_| run(threads, weak, BATCH)).sum();
        println!("{name}: {count} of {}", batches * BATCH);
    }
}
