//! QEMU's machine `virt` with one RV32IMAC or RV32IMC core.
//!
//! `embassy-executor` has no interrupt executor for RISC-V: here the software interrupt of the core polls
//! one. Interrupts do not nest on this core: tasks that the timer's handler wakes run after that handler
//! has ended, before the thread continues.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

use critical_section::Mutex;
use embassy_executor::{SendSpawner, Spawner, raw::Executor};
use riscv::interrupt::Interrupt::{MachineSoft, MachineTimer};
use riscv::register::{mcause, mepc, mie};
use riscv_rt::{TrapFrame, core_interrupt};
use static_cell::StaticCell;

pub use riscv_rt::entry;

/// The name of the machine.
pub const NAME: &str =
    if cfg!(target_has_atomic = "ptr") { "virt with rv32imac" } else { "virt with rv32imc" };
/// The length of a thousand instructions, in ticks of the timer: see `.cargo/config.toml`.
pub const TICKS_PER_1000_INSTRUCTIONS: u32 = 1280;
/// The timer counts at 10 MHz.
const TICKS_PER_MILLISECOND: u64 = 10_000;

/// Ends the program, and returns `code` to the shell.
pub fn exit(code: i32) -> ! {
    semihosting::process::exit(code)
}

/// Masks all interrupts before the end of the program.
pub(crate) fn mask() {
    riscv::interrupt::disable();
}

/// Does nothing: interrupts are masked in each handler, so an open critical section cannot be detected.
pub(crate) fn assert_not_masked() {}

/// Must be called first, once.
pub fn init() {
    crate::heap::init();
    set_alarm(NEVER);
    // SAFETY: no critical section is open.
    unsafe { riscv::interrupt::enable() };
}

// ---- The core's local interruptor (CLINT)

#[derive(Clone, Copy)]
struct Register(usize);

/// The software interrupt is pending.
const MSIP: Register = Register(0x0200_0000);
/// The time of the alarm, from its lower half.
const MTIMECMP: [Register; 2] = [Register(0x0200_4000), Register(0x0200_4004)];
/// The time, from its lower half.
const MTIME: [Register; 2] = [Register(0x0200_bff8), Register(0x0200_bffc)];

impl Register {
    fn read(self) -> u32 {
        // SAFETY: the constants are registers, and reading them has no effect.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    fn write(self, value: u32) {
        // SAFETY: the constants are registers, which are used in this file only.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }
}

fn time() -> u64 {
    loop {
        let high = MTIME[1].read();
        let low = MTIME[0].read();
        // Otherwise the lower half has overflowed in between.
        if MTIME[1].read() == high {
            return join(low, high);
        }
    }
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

const NEVER: u64 = u64::MAX;

/// Sets the time from which the timer interrupts.
fn set_alarm(time: u64) {
    // This way the alarm is never set before both the old and the new time.
    MTIMECMP[0].write(u32::MAX);
    MTIMECMP[1].write((time >> 32) as u32);
    MTIMECMP[0].write(time as u32);
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

static THREAD_EXECUTOR: StaticCell<Executor> = StaticCell::new();
static INTERRUPT_EXECUTOR: StaticCell<Executor> = StaticCell::new();
/// The interrupt executor, once it is started.
static STARTED: AtomicPtr<Executor> = AtomicPtr::new(ptr::null_mut());
/// Whether a task of the thread has been woken.
static WOKEN: Mutex<Cell<bool>> = Mutex::new(Cell::new(false));

/// What distinguishes the executors.
const THREAD: *mut () = ptr::without_provenance_mut(0);
const INTERRUPT: *mut () = ptr::without_provenance_mut(1);

/// `embassy-executor` calls this when an executor has something to do.
#[unsafe(export_name = "__pender")]
fn pender(executor: *mut ()) {
    if executor == INTERRUPT {
        MSIP.write(1);
    } else {
        critical_section::with(|section| WOKEN.borrow(section).set(true));
    }
}

#[core_interrupt(MachineSoft)]
fn on_software_interrupt() {
    MSIP.write(0);
    // SAFETY: the interrupt is enabled when the executor is started, and does not interrupt itself.
    unsafe { (*STARTED.load(Relaxed)).poll() }
}

/// Starts an executor for tasks that run in an interrupt: they preempt the thread.
pub fn start_interrupt_executor() -> SendSpawner {
    let executor: &Executor = INTERRUPT_EXECUTOR.init(Executor::new(INTERRUPT));
    STARTED.store(ptr::from_ref(executor).cast_mut(), Relaxed);
    // SAFETY: no critical section relies on the interrupt being off.
    unsafe { mie::enable(MachineSoft) };
    executor.spawner().make_send()
}

/// Runs tasks in the thread, forever.
pub fn run(init: impl FnOnce(Spawner)) -> ! {
    let executor: &Executor = THREAD_EXECUTOR.init(Executor::new(THREAD));
    init(executor.spawner());
    loop {
        // SAFETY: the executor is polled only here.
        unsafe { executor.poll() };
        critical_section::with(|section| {
            if !WOKEN.borrow(section).take() {
                // An interrupt ends the wait even though it is masked, so none is missed.
                riscv::asm::wfi();
            }
        });
    }
}

// ---- The timer of the core: the clock, or one shot

type Handler = fn();

/// The handler of a shot. Without one, the timer is the clock.
static ON_SHOT: Mutex<Cell<Option<Handler>>> = Mutex::new(Cell::new(None));
static ON_TICK: Mutex<Cell<Option<Handler>>> = Mutex::new(Cell::new(None));
static PREEMPTED: AtomicU32 = AtomicU32::new(0);
static LATE: AtomicU32 = AtomicU32::new(0);

/// The address of the instruction that the last tick or shot preceded.
pub fn preempted() -> u32 {
    PREEMPTED.load(Relaxed)
}

#[core_interrupt(MachineTimer)]
fn on_timer() {
    let late = MTIME[0].read().wrapping_sub(MTIMECMP[0].read());
    PREEMPTED.store(mepc::read() as u32, Relaxed);
    if let Some(on_shot) = critical_section::with(|section| ON_SHOT.borrow(section).get()) {
        set_alarm(NEVER);
        LATE.store(late, Relaxed);
        return on_shot();
    }
    set_alarm(join(MTIMECMP[0].read(), MTIMECMP[1].read()) + TICKS_PER_MILLISECOND);
    crate::clock::tick();
    if let Some(on_tick) = critical_section::with(|section| ON_TICK.borrow(section).get()) {
        on_tick();
    }
}

/// From now on the timer interrupts once each time that it is [armed](arm), and `on_shot` runs.
pub fn start_shots(on_shot: fn()) {
    critical_section::with(|section| ON_SHOT.borrow(section).set(Some(on_shot)));
    // SAFETY: no critical section relies on the interrupt being off.
    unsafe { mie::enable(MachineTimer) };
}

/// More ticks than it takes to set the alarm.
const ARMING: u64 = 20;

/// Arms a shot in `ticks`.
// Not inlined: a single copy always takes equally long.
#[inline(never)]
pub fn arm(ticks: u32) {
    // A tick is shorter than an instruction, but they begin together only at each 32nd tick, which is each
    // 25th instruction. If all turns of a sweep start there, it leaves no instruction out. The loop has
    // four instructions, so it reaches that tick at some point. If it never did, the tick before would end
    // the loop, too.
    while MTIME[0].read().wrapping_add(1) % 32 > 1 {}
    set_alarm(time() + ARMING + u64::from(ticks));
    // The shot is neither earlier, nor later than the first instruction of what follows.
    riscv::asm::delay(8);
}

/// How many ticks after its time the last shot was handled.
pub fn late() -> u32 {
    LATE.load(Relaxed)
}

// ---- The clock

/// Starts the clock of `embassy-time`. It ticks each millisecond, and `on_tick` runs with it, in an
/// interrupt.
pub fn start_clock(on_tick: fn()) {
    critical_section::with(|section| ON_TICK.borrow(section).set(Some(on_tick)));
    set_alarm(time() + TICKS_PER_MILLISECOND);
    // SAFETY: no critical section relies on the interrupt being off.
    unsafe { mie::enable(MachineTimer) };
}

// ---- The watchdog

/// Does nothing: no interrupt arrives while a handler hangs, so `timeout` in `.cargo/config.toml` is the
/// watchdog.
pub fn feed_watchdog() {}
