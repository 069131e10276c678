//! QEMU's machine `virt` with three cores: two that work, and a watchdog.
//!
//! The watchdog is a core so that it also ends a program whose cores wait with interrupts masked.

use core::cell::Cell;
use core::fmt::Arguments;
use core::ptr;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicU32, fence};

use critical_section::Mutex;
use embassy_executor::{Spawner, raw::Executor};
use riscv::interrupt::Interrupt::{MachineSoft, MachineTimer};
use riscv::register::{mcause, mepc, mhartid, mie, mip};
use riscv_rt::{TrapFrame, core_interrupt};
use static_cell::StaticCell;

pub use riscv_rt::entry;

use crate::println;

/// The number of cores that work, which are those with the lowest numbers.
pub const CORES: usize = 2;
pub const WATCHDOG: usize = 2;

/// The timer counts at 10 MHz of the host's time.
pub const TICKS_PER_MICROSECOND: u64 = 10;

/// The number of this core.
pub fn core() -> usize {
    mhartid::read()
}

// ---- Start

/// `riscv-rt` calls this on each core before it initializes memory, which is for the core that returns true.
#[unsafe(export_name = "_mp_hook")]
extern "Rust" fn wait_for_start(core: usize) -> bool {
    if core == 0 {
        return true;
    }
    // SAFETY: interrupts are masked, so this one only ends `wfi`.
    unsafe { mie::enable(MachineSoft) };
    while !mip::read().is_pending(MachineSoft) {
        riscv::asm::wfi();
    }
    msip(core).write(0);
    false
}

/// Must be called on each core first. On core 0 it initializes the board, runs `init`, lets the other cores
/// start, and returns what `init` has returned.
pub fn start<R>(init: impl FnOnce() -> R) -> Option<R> {
    if core() != 0 {
        return None;
    }
    let result = init();
    (1..=WATCHDOG).for_each(interrupt);
    Some(result)
}

// ---- End

/// Whether the program is the control, which must fail.
static MUST_FAIL: AtomicBool = AtomicBool::new(false);

/// From now on it is the success of the program to fail.
pub fn must_fail() {
    MUST_FAIL.store(true, SeqCst);
}

/// Ends the program: all has been done, and all checks were passed.
pub fn succeed() -> ! {
    if MUST_FAIL.load(SeqCst) {
        println!("NOT FOUND: no check has failed, but one must");
        exit(1)
    }
    exit(0)
}

/// Ends the program: a check has failed.
pub fn fail(code: u32, why: Arguments<'_>) -> ! {
    static FAILED: AtomicBool = AtomicBool::new(false);
    // The first core that fails reports. If all fail at the same time, it is the one with the lowest number.
    let start = time();
    while time() - start < core() as u64 * 2000 * TICKS_PER_MICROSECOND {}
    if FAILED.load(SeqCst) {
        loop {
            core::hint::spin_loop();
        }
    }
    FAILED.store(true, SeqCst);
    println!("core {}: {why}", core());
    crate::work::report();
    if MUST_FAIL.load(SeqCst) {
        println!("FOUND, as it must be");
        exit(0)
    }
    exit(code)
}

/// Ends the program through QEMU's test device, and returns `code` to the shell.
fn exit(code: u32) -> ! {
    /// Ends QEMU.
    const FINISHER: Register = Register(0x0010_0000);
    FINISHER.write(if code == 0 { 0x5555 } else { code << 16 | 0x3333 });
    loop {
        core::hint::spin_loop();
    }
}

/// Masks all interrupts of this core before the end of the program.
pub(crate) fn mask() {
    riscv::interrupt::disable();
}

// ---- The local interruptor of the cores (CLINT)

#[derive(Clone, Copy)]
struct Register(usize);

/// The software interrupt of `core` is pending.
fn msip(core: usize) -> Register {
    Register(0x0200_0000 + 4 * core)
}

/// The time of the alarm of `core`, from its lower half.
fn mtimecmp(core: usize) -> [Register; 2] {
    [Register(0x0200_4000 + 8 * core), Register(0x0200_4004 + 8 * core)]
}

/// The time, from its lower half.
const MTIME: [Register; 2] = [Register(0x0200_bff8), Register(0x0200_bffc)];

impl Register {
    fn read(self) -> u32 {
        // SAFETY: the functions above return registers, and reading them has no effect.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    fn write(self, value: u32) {
        // SAFETY: the functions above return registers, which are used in this file only.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }
}

/// The time of all cores, in ticks.
pub fn time() -> u64 {
    loop {
        let high = MTIME[1].read();
        let low = MTIME[0].read();
        // Otherwise the lower half has overflowed in between.
        if MTIME[1].read() == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// Interrupts `core`, which finds what this core has written before.
fn interrupt(core: usize) {
    // Unlike the fences of atomics, this one also orders memory and registers.
    riscv::asm::fence();
    msip(core).write(1);
}

#[core_interrupt(MachineSoft)]
fn on_software_interrupt() {
    // The interrupt has ended `wfi`, and there is nothing else to do.
    msip(core()).write(0);
}

#[unsafe(no_mangle)]
extern "C" fn DefaultHandler() {
    panic!("unexpected interrupt {}", mcause::read().code());
}

#[unsafe(no_mangle)]
extern "C" fn ExceptionHandler(frame: &TrapFrame) -> ! {
    panic!("exception {} at {:#x}: {frame:?}", mcause::read().code(), mepc::read());
}

// ---- Executors

/// Whether a task of the core has been woken.
static WOKEN: [AtomicBool; CORES] = [const { AtomicBool::new(false) }; CORES];
/// Whether the other core has woken one.
static WOKEN_ACROSS: [AtomicBool; CORES] = [const { AtomicBool::new(false) }; CORES];
/// How often it has.
static ACROSS: [AtomicU32; CORES] = [const { AtomicU32::new(0) }; CORES];

/// How often a core has found that the other one had woken a task.
pub fn wake_ups_across() -> u32 {
    ACROSS.iter().map(|core| core.load(Relaxed)).sum()
}

/// `embassy-executor` calls this when an executor has something to do. The context is the number of its
/// core.
#[unsafe(export_name = "__pender")]
fn pender(context: *mut ()) {
    let executor = context.addr();
    WOKEN[executor].store(true, SeqCst);
    if executor != core() {
        WOKEN_ACROSS[executor].store(true, SeqCst);
        interrupt(executor);
    }
}

/// Runs tasks on this core, forever.
pub fn run(init: impl FnOnce(Spawner)) -> ! {
    static EXECUTORS: [StaticCell<Executor>; CORES] = [const { StaticCell::new() }; CORES];
    let me = core();
    let executor: &Executor = EXECUTORS[me].init(Executor::new(ptr::without_provenance_mut(me)));
    init(executor.spawner());
    // SAFETY: no critical section is open.
    unsafe {
        mie::enable(MachineSoft);
        riscv::interrupt::enable();
    }
    loop {
        WOKEN[me].store(false, SeqCst);
        if WOKEN_ACROSS[me].load(SeqCst) {
            WOKEN_ACROSS[me].store(false, SeqCst);
            ACROSS[me].store(ACROSS[me].load(Relaxed) + 1, Relaxed);
        }
        // A task that is queued before `WOKEN` is stored is seen by the poll.
        fence(SeqCst);
        // SAFETY: the executor is polled only here.
        unsafe { executor.poll() };
        riscv::interrupt::disable();
        if !WOKEN[me].load(SeqCst) {
            // An interrupt ends the wait even though it is masked, so none is missed.
            riscv::asm::wfi();
        }
        // SAFETY: no critical section is open.
        unsafe { riscv::interrupt::enable() };
    }
}

// ---- The timers of the cores

static ON_ALARM: Mutex<Cell<fn(usize)>> = Mutex::new(Cell::new(|_| {}));

/// Sets what runs in an interrupt at the alarms of each core, with the number of the core.
pub fn on_alarm(handler: fn(usize)) {
    critical_section::with(|section| ON_ALARM.borrow(section).set(handler));
}

/// The timer of this core interrupts once, in `ticks`.
pub fn set_alarm(ticks: u64) {
    set_alarm_at(time() + ticks);
    // SAFETY: no critical section relies on the interrupt being off.
    unsafe { mie::enable(MachineTimer) };
}

/// Sets the time at which the timer of this core interrupts.
pub fn set_alarm_at(time: u64) {
    let alarm = mtimecmp(core());
    // This way the alarm is never set before both the old and the new time.
    alarm[0].write(u32::MAX);
    alarm[1].write((time >> 32) as u32);
    alarm[0].write(time as u32);
}

#[core_interrupt(MachineTimer)]
fn on_timer() {
    set_alarm_at(u64::MAX);
    critical_section::with(|section| ON_ALARM.borrow(section).get())(core());
}

// ---- The watchdog

/// How long the watchdog sleeps.
const NAP: u64 = 100_000 * TICKS_PER_MICROSECOND;
/// How often it finds no progress before it ends the program. It counts, and does not look at the time: if
/// the host stops all cores for a while, that is no deadlock.
const NAPS: u32 = 50;

/// Runs on the watchdog: ends the program when `progress` has not changed for five seconds.
pub fn watch(progress: impl Fn() -> u32) -> ! {
    let (mut seen, mut naps) = (progress(), 0);
    loop {
        // Interrupts are masked on this core, so the alarm only ends `wfi`.
        set_alarm(NAP);
        riscv::asm::wfi();
        let now = progress();
        naps = if now == seen { naps + 1 } else { 0 };
        seen = now;
        if naps == NAPS {
            fail(3, format_args!("DEADLOCK"));
        }
    }
}
