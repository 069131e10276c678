//! What the use of the lock costs on a core while the other one sleeps: instructions, and the time for which
//! interrupts are masked.

#![no_std]
#![no_main]

use core::future::ready;
use core::hint::black_box;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use cost::{Lock, Value, new, now, read, try_read, try_write, write};
use two_cores::section::SpinSection;
use two_cores::{board, println};

critical_section::set_impl!(SpinSection);

static LOCK: Lock = new();

#[board::entry]
fn main(_: usize) -> ! {
    if board::start(|| board::on_alarm(on_shot)).is_none() {
        loop {
            riscv::asm::wfi();
        }
    }
    // SAFETY: no critical section is open.
    unsafe { riscv::interrupt::enable() };
    println!("lock {}", size_of::<Lock>() - size_of::<Value>());
    instructions();
    masked();
    board::succeed()
}

// ---- Instructions

/// The length of an instruction, and of a tick of the timer: see `.cargo/config.toml`.
const INSTRUCTION_NS: u32 = 128;
const TICK_NS: u32 = 1000 / board::TICKS_PER_MICROSECOND as u32;

fn rounded(ns: u32) -> u32 {
    (ns + INSTRUCTION_NS / 2) / INSTRUCTION_NS
}

/// The instructions of all cores together. Those that sleep have none.
fn now_in_ns() -> u32 {
    riscv::register::mcycle::read() as u32
}

fn instructions() {
    let lock = black_box(&LOCK);
    let nothing = instructions_of(|| _ = black_box(now!(ready(0))));
    let print = |name, instructions| println!("{name} {}", instructions - nothing);
    print("section", instructions_of(|| critical_section::with(|_| _ = black_box(0))));
    print("shared", instructions_of(|| drop(now!(read(lock)))));
    print("exclusive", instructions_of(|| drop(now!(write(lock)))));
    print("try_shared", instructions_of(|| drop(try_read(lock).unwrap())));
    print("try_exclusive", instructions_of(|| drop(try_write(lock).unwrap())));
}

/// The instructions of one run: the difference of many runs and twice as many.
fn instructions_of(part: impl Fn()) -> u32 {
    const RUNS: u32 = 1000;
    let ns_of = |runs| {
        let start = now_in_ns();
        for _ in 0..runs {
            part();
        }
        now_in_ns() - start
    };
    let once = ns_of(RUNS);
    let twice = ns_of(2 * RUNS);
    rounded((twice - once) / RUNS)
}

// ---- Masked sections

/// The next interrupt arrives as many ticks after the part under fire has begun.
static TICKS: AtomicU32 = AtomicU32::new(0);
/// The time for which the interrupt is set.
static DUE: AtomicU32 = AtomicU32::new(0);
static LATE: AtomicU32 = AtomicU32::new(0);
static UNDER_FIRE: AtomicBool = AtomicBool::new(false);
static SHOT: AtomicBool = AtomicBool::new(false);
static HIT: AtomicBool = AtomicBool::new(false);

fn on_shot(_: usize) {
    LATE.store(now_in_ns() - DUE.load(SeqCst) * TICK_NS, SeqCst);
    HIT.store(UNDER_FIRE.load(SeqCst), SeqCst);
    SHOT.store(true, SeqCst);
}

/// More ticks than it takes to set the alarm.
const ARMING: u64 = 120;

/// Runs `part`, which an interrupt hits. Once in each turn.
fn under_fire(part: impl FnOnce()) {
    // A tick is shorter than an instruction. They begin together at each 32nd tick: all turns start there.
    while board::time().wrapping_add(1) % 32 > 1 {}
    let due = board::time() + ARMING + u64::from(TICKS.load(SeqCst));
    DUE.store(due as u32, SeqCst);
    UNDER_FIRE.store(true, SeqCst);
    board::set_alarm_at(due);
    // The first turns interrupt this.
    riscv::asm::delay(ARMING as u32);
    part();
    UNDER_FIRE.store(false, SeqCst);
}

/// Runs `operation` in turns, with an interrupt that arrives a tick later in each. Returns for how long an
/// interrupt had to wait, at most.
fn late(operation: &dyn Fn()) -> u32 {
    let mut late = 0;
    for ticks in 0.. {
        TICKS.store(ticks, SeqCst);
        SHOT.store(false, SeqCst);
        operation();
        while !SHOT.load(SeqCst) {
            core::hint::spin_loop();
        }
        if !HIT.load(SeqCst) {
            break;
        }
        late = late.max(LATE.load(SeqCst));
    }
    late
}

fn masked() {
    board::set_alarm(u64::from(u32::MAX));
    const NOPS: u32 = 32;
    // SAFETY: the instructions do nothing.
    let nops = || unsafe { core::arch::asm!(".rept {}", "nop", ".endr", const NOPS) };
    let nothing = late(&|| under_fire(nops));
    let print =
        |name, operation: &dyn Fn()| println!("{name} {}", rounded(late(operation) - nothing));
    let section = late(&|| under_fire(|| critical_section::with(|_| nops())));
    let section = rounded(section - nothing) - NOPS;
    println!("masked_section {section}");
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
            let mut waiter = pin!(write(&LOCK));
            assert!(poll(waiter.as_mut(), 0).is_pending());
            drop(guard);
            assert!(poll(waiter.as_mut(), 0).is_ready());
        });
    });
    for waiters in [1, 8, 32] {
        let operation = || {
            let guard = try_write(&LOCK).unwrap();
            with_waiters(waiters, || under_fire(|| drop(guard)));
        };
        println!("masked_wake_{waiters} {}", rounded(late(&operation) - nothing));
    }
}

/// Whether each task has been woken.
static WOKEN: [AtomicBool; 33] = [const { AtomicBool::new(false) }; 33];
static WAKER: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, |_| {});

fn clone(woken: *const ()) -> RawWaker {
    RawWaker::new(woken, &WAKER)
}

fn wake(woken: *const ()) {
    // SAFETY: the pointer is that of a flag in `WOKEN`.
    unsafe { &*woken.cast::<AtomicBool>() }.store(true, SeqCst);
}

/// Polls the future of a task.
fn poll<F: Future>(future: Pin<&mut F>, task: usize) -> Poll<F::Output> {
    // SAFETY: the functions of the table keep the contract of a waker, and the flag is static.
    let waker = unsafe { Waker::new((&raw const WOKEN[task]).cast(), &WAKER) };
    future.poll(&mut Context::from_waker(&waker))
}

/// Runs `release` while there are `n` shared waiters, each in a stack frame of its own.
fn with_waiters(n: usize, release: impl FnOnce()) {
    fn next(n: usize, release: &mut dyn FnMut()) {
        if n == 0 {
            return release();
        }
        let mut waiter = pin!(read(&LOCK));
        assert!(poll(waiter.as_mut(), n).is_pending());
        next(n - 1, release);
        // A dropped waiter passes its wake-up on.
    }
    let mut release = Some(release);
    next(n, &mut || release.take().unwrap()());
}
