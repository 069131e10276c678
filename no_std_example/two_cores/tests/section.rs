//! Checks the critical section itself, on two cores and in their interrupts, and that the one for a single
//! core loses counts.

#![no_std]
#![no_main]

use core::hint::spin_loop;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicU32};

use critical_section::Impl;
use two_cores::board::{self, CORES};
use two_cores::println;
use two_cores::section::{MaskOnly, SpinSection};

critical_section::set_impl!(SpinSection);

/// How often each core adds one in a turn.
const ROUNDS: u32 = 20_000;
/// How often the interrupts of each core add one, at least.
const INTERRUPTS: u32 = 2000;

/// What the sections guard: a load and a store add one to it.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// How often each core has added one.
static ADDED: [AtomicU32; CORES] = [const { AtomicU32::new(0) }; CORES];
/// How often the interrupts of each core have added one.
static BY_INTERRUPTS: [AtomicU32; CORES] = [const { AtomicU32::new(0) }; CORES];
/// Whether there will be another interrupt.
static ALARMED: [AtomicBool; CORES] = [const { AtomicBool::new(true) }; CORES];
static STOP: [AtomicBool; CORES] = [const { AtomicBool::new(false) }; CORES];
/// How often the core has come to a meeting.
static MEETINGS: [AtomicU32; CORES] = [const { AtomicU32::new(0) }; CORES];

fn are_interrupts_on() -> bool {
    riscv::register::mstatus::read().mie()
}

/// Adds one in a section with another one inside.
fn add_one<S: Impl>() {
    let before = are_interrupts_on();
    // SAFETY: the sections are released in the opposite order, each with what its `acquire` has returned.
    unsafe {
        let outer = S::acquire();
        let count = COUNT.load(Relaxed);
        S::release(S::acquire());
        assert!(!are_interrupts_on(), "the inner section has ended the outer one");
        COUNT.store(count + 1, Relaxed);
        S::release(outer);
    }
    assert_eq!(are_interrupts_on(), before);
}

fn on_alarm(core: usize) {
    add_one::<SpinSection>();
    BY_INTERRUPTS[core].store(BY_INTERRUPTS[core].load(Relaxed) + 1, Relaxed);
    if STOP[core].load(SeqCst) {
        ALARMED[core].store(false, SeqCst);
    } else {
        board::set_alarm(5 * board::TICKS_PER_MICROSECOND);
    }
}

/// Waits until both cores have come to as many meetings.
fn meet(core: usize) {
    let number = MEETINGS[core].load(Relaxed) + 1;
    MEETINGS[core].store(number, SeqCst);
    while MEETINGS.iter().any(|other| other.load(SeqCst) < number) {
        spin_loop();
    }
}

#[board::entry]
fn main(core: usize) -> ! {
    board::start(|| board::on_alarm(on_alarm));
    if core == board::WATCHDOG {
        board::watch(|| COUNT.load(Relaxed));
    }

    board::set_alarm(1);
    // SAFETY: no critical section is open.
    unsafe { riscv::interrupt::enable() };
    while BY_INTERRUPTS[core].load(SeqCst) < INTERRUPTS {
        (0..ROUNDS).for_each(|_| add_one::<SpinSection>());
        ADDED[core].store(ADDED[core].load(Relaxed) + ROUNDS, SeqCst);
    }
    STOP[core].store(true, SeqCst);
    while ALARMED[core].load(SeqCst) {
        spin_loop();
    }
    meet(core);
    let count = COUNT.load(SeqCst);
    let [added, by_interrupts] =
        [&ADDED, &BY_INTERRUPTS].map(|counts| counts.each_ref().map(|one| one.load(SeqCst)));
    if core == 0 {
        println!(
            "a spin lock and a mask: {count} sections, of {added:?} and {by_interrupts:?} in interrupts"
        );
    }
    assert_eq!(count, added.iter().chain(&by_interrupts).sum(), "a count is lost");

    // Until the cores do this at the same time, which they may not at once.
    loop {
        meet(core);
        let before = COUNT.load(SeqCst);
        meet(core);
        (0..ROUNDS).for_each(|_| add_one::<MaskOnly>());
        meet(core);
        let lost = before + CORES as u32 * ROUNDS - COUNT.load(SeqCst);
        if core == 0 && lost > 0 {
            println!("a mask alone: of {} sections, {lost} were lost", CORES as u32 * ROUNDS);
            board::succeed();
        }
    }
}
