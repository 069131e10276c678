//! What is counted instead of timed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::contestants::{AsyncLock, NoLock, Word, awaits, blocks};
use crate::executor::{now, poll};
use crate::harness::{Case, counts, many};
use crate::queues::{TASKS, in_turns};

/// The number of turns that are counted.
const TURNS: usize = 100;

/// Counts allocations while it is enabled.
struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[inline]
fn count(bytes: usize) {
    if COUNTS.load(Relaxed) {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes as u64, Relaxed);
    }
}

// SAFETY: the allocator of the system does everything.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller upholds the contract.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc_zeroed(layout) }
    }
}

#[derive(Clone, Copy)]
struct Allocated {
    times: f64,
    bytes: f64,
}

/// The allocations of `run`. No other thread allocates at the same time: all of them sleep.
fn allocated(run: impl FnOnce()) -> Allocated {
    let so_far = || [ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed)];
    let before = so_far();
    COUNTS.store(true, Relaxed);
    run();
    COUNTS.store(false, Relaxed);
    let [times, bytes] = [0, 1].map(|n| (so_far()[n] - before[n]) as f64);
    Allocated { times, bytes }
}

pub(crate) fn cases() -> Vec<Case> {
    let memory = |name, unit, columns| counts("memory", name, unit, columns);
    let mut cases = vec![
        memory("bytes/lock", "bytes", blocks!(Word, |L| || size_of::<L>() as f64)),
        memory(
            "bytes/future/shared",
            "bytes",
            awaits!(Word, |L| || size_of_val(&L::default().shared()) as f64),
        ),
        memory(
            "bytes/future/exclusive",
            "bytes",
            awaits!(Word, |L| || size_of_val(&L::default().exclusive()) as f64),
        ),
        memory("allocations/uncontended", "allocations", awaits!(Word, |L| uncontended::<L>)),
        memory(
            "allocations/first wait",
            "allocations",
            awaits!(Word, |L| || waits::<L>()[0].times),
        ),
        memory("allocations/first wait/size", "bytes", awaits!(Word, |L| || waits::<L>()[0].bytes)),
        memory(
            "allocations/later wait",
            "allocations",
            awaits!(Word, |L| || waits::<L>()[1].times),
        ),
    ];
    for percent in [0, 10, 100] {
        let name = |what| format!("{what}/tasks/{TASKS}/{percent} % exclusive");
        cases.push(counts(
            "polls and wakes",
            name("polls"),
            "polls",
            awaits!(NoLock, |L| move || polls::<L>(percent)),
        ));
        cases.push(counts(
            "polls and wakes",
            name("wakes"),
            "wakes",
            awaits!(NoLock, |L| move || wakes::<L>(percent)),
        ));
    }
    cases
}

/// The allocations of an acquisition and release, except those of the first.
fn uncontended<L: AsyncLock>() -> f64 {
    let lock = L::default();
    let often = || (0..TURNS).for_each(|_| drop(now(pin!(lock.exclusive()))));
    often();
    allocated(often).times / TURNS as f64
}

/// The allocations of the first wait for a lock, and of the second.
fn waits<L: AsyncLock>() -> [Allocated; 2] {
    let lock = L::default();
    [(); 2].map(|()| {
        let holder = now(pin!(lock.exclusive()));
        allocated(|| {
            let mut waiter = pin!(lock.exclusive());
            assert!(poll(waiter.as_mut()).is_pending(), "it waits");
            drop(holder);
            drop(now(waiter));
        })
    })
}

/// The number of polls of an acquisition.
fn polls<L: AsyncLock>(percent: u64) -> f64 {
    let turns = many(TURNS) as u64;
    in_turns::<L>(percent, turns).polls as f64 / (TASKS as u64 * turns) as f64
}

/// The number of wakes of an acquisition.
fn wakes<L: AsyncLock>(percent: u64) -> f64 {
    let turns = many(TURNS) as u64;
    in_turns::<L>(percent, turns).wakes as f64 / (TASKS as u64 * turns) as f64
}
