//! What the use of the lock costs: memory, instructions, and the time for which interrupts are
//! masked.

#![no_std]
#![no_main]

use core::future::ready;
use core::hint::black_box;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cost::{Lock, Value, new, now, read, try_read, try_write, write};
use no_std_example::heap::{self, Stats};
use no_std_example::sweep::{sweep, under_fire};
use no_std_example::{board, println, wait};

static LOCK: Lock = new();

#[board::entry]
fn main() -> ! {
    board::init();
    memory();
    instructions();
    // Last, because from now on the sweep uses the timer.
    masked();
    board::exit(0)
}

// ---- Memory

fn memory() {
    println!("lock {}", size_of::<Lock>() - size_of::<Value>());
    println!("future_shared {}", size_of_val(&read(&LOCK)));
    println!("future_exclusive {}", size_of_val(&write(&LOCK)));

    let shared = heap_of(|| drop(now!(read(&LOCK))));
    let exclusive = heap_of(|| drop(now!(write(&LOCK))));
    let contended = heap_of(|| {
        let guard = try_write(&LOCK);
        wait!(waiter = write(&LOCK), 0);
        drop(guard);
        drop(waiter.finish().unwrap());
    });
    let uncontended = sum(shared.stays, exclusive.stays);
    print_heap("heap_uncontended", uncontended);
    print_heap("heap_contended", sum(uncontended, contended.stays));
    println!("allocations_shared {}", shared.each_time);
    println!("allocations_exclusive {}", exclusive.each_time);

    let guard = try_write(&LOCK);
    wait!(first = write(&LOCK), 0);
    let one_waits = heap::stats();
    wait!(second = write(&LOCK), 1);
    print_heap("heap_waiter", difference(heap::stats(), one_waits));
    drop(guard);
    drop(first.finish().unwrap());
    drop(second.finish().unwrap());
}

struct HeapUse {
    /// What the first use allocates and keeps.
    stays: Stats,
    /// The number of allocations of the next use, and of each later one.
    each_time: usize,
}

fn heap_of(part: impl Fn()) -> HeapUse {
    let start = heap::stats();
    part();
    let once = heap::stats();
    part();
    let next = difference(heap::stats(), once);
    assert_eq!(next.bytes, 0);
    let mut stays = difference(once, start);
    stays.allocations -= next.allocations;
    HeapUse { stays, each_time: next.allocations }
}

fn sum(a: Stats, b: Stats) -> Stats {
    Stats { allocations: a.allocations + b.allocations, bytes: a.bytes + b.bytes }
}

fn difference(a: Stats, b: Stats) -> Stats {
    Stats { allocations: a.allocations - b.allocations, bytes: a.bytes - b.bytes }
}

fn print_heap(name: &str, Stats { bytes, allocations }: Stats) {
    println!("{name} {bytes} ({allocations})");
}

// ---- Instructions

fn instructions() {
    let mut core = cortex_m::Peripherals::take().unwrap();
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.set_reload(0xff_ffff);
    core.SYST.clear_current();
    core.SYST.enable_counter();
    let lock = black_box(&LOCK);
    let nothing = instructions_of(|| _ = black_box(now!(ready(0))));
    let print = |name, instructions| println!("{name} {}", instructions - nothing);
    print("shared", instructions_of(|| drop(now!(read(lock)))));
    print("exclusive", instructions_of(|| drop(now!(write(lock)))));
    print("try_shared", instructions_of(|| drop(try_read(lock).unwrap())));
    print("try_exclusive", instructions_of(|| drop(try_write(lock).unwrap())));
}

/// The instructions of one run: the difference of many runs and twice as many.
fn instructions_of(part: impl Fn()) -> u32 {
    const RUNS: u32 = 1000;
    let ticks_of = |runs| {
        // The timer counts down.
        let start = SYST::get_current();
        for _ in 0..runs {
            part();
        }
        start.wrapping_sub(SYST::get_current()) & 0xff_ffff
    };
    let once = ticks_of(RUNS);
    let twice = ticks_of(2 * RUNS);
    (twice - once + board::TICKS_PER_1000_INSTRUCTIONS / 2) / board::TICKS_PER_1000_INSTRUCTIONS
}

// ---- Masked sections

fn masked() {
    let sweep = |operation: &dyn Fn()| sweep(("", operation), ("nothing", || {}), || {});
    // SAFETY: the instructions do nothing.
    let nops = || unsafe { core::arch::asm!(".rept 32", "nop", ".endr") };
    let nothing = sweep(&|| under_fire(nops));
    assert!(nothing.places >= 32, "the machine does not count instructions");
    let late = |operation: &dyn Fn()| sweep(operation).late - nothing.late;
    let print = |name, operation: &dyn Fn()| println!("{name} {}", late(operation));
    print("masked_shared", &|| under_fire(|| drop(now!(read(&LOCK)))));
    print("masked_exclusive", &|| under_fire(|| drop(now!(write(&LOCK)))));
    print("masked_tries", &|| {
        under_fire(|| {
            drop(try_read(&LOCK));
            drop(try_write(&LOCK));
        });
    });
    print("masked_wait", &|| {
        let guard = try_write(&LOCK).unwrap();
        under_fire(|| {
            wait!(waiter = write(&LOCK), 0);
            drop(guard);
            drop(waiter.finish().unwrap());
        });
    });
    for waiters in [1, 8, 32] {
        let operation = || {
            let guard = try_write(&LOCK).unwrap();
            with_waiters(waiters, || under_fire(|| drop(guard)));
        };
        println!("masked_wake_{waiters} {}", late(&operation));
    }
}

/// Runs `release` while there are `n` shared waiters, each in a stack frame of its own.
fn with_waiters(n: usize, release: impl FnOnce()) {
    fn next(n: usize, release: &mut dyn FnMut()) {
        if n == 0 {
            return release();
        }
        wait!(waiter = read(&LOCK), n);
        assert!(waiter.is_pending());
        next(n - 1, release);
        // A dropped waiter passes its wake-up on.
        drop(waiter);
    }
    let mut release = Some(release);
    next(n, &mut || release.take().unwrap()());
}
