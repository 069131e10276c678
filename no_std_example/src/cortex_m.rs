//! The machines `mps2-an385` (Cortex-M3) and `microbit` (Cortex-M0).
//!
//! Only their timers differ, so a peripheral crate for each is not needed: all interrupts arrive through
//! the one default handler. From the most urgent to the least: the watchdog and the clock, the tasks of
//! the interrupt executor, a [shot](arm), the thread.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::scb::SystemHandler;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{NVIC, SCB, SYST};
use cortex_m_rt::{ExceptionFrame, exception};
use critical_section::Mutex;
use embassy_executor::{Executor, InterruptExecutor, SendSpawner, Spawner};
use static_cell::StaticCell;

pub use cortex_m_rt::entry;

/// The name of the machine.
pub const NAME: &str = if IS_M0 { "microbit" } else { "mps2-an385" };
/// The frequency of the core and its timer.
const HERTZ: u32 = if IS_M0 { 16_000_000 } else { 25_000_000 };
/// The length of a thousand instructions, in ticks of the timer: see `.cargo/config.toml`.
pub const TICKS_PER_1000_INSTRUCTIONS: u32 = if IS_M0 { 2048 } else { 1600 };
const IS_M0: bool = !cfg!(target_has_atomic = "ptr");

/// Ends the program, and returns `code` to the shell.
pub fn exit(code: i32) -> ! {
    semihosting::process::exit(code)
}

/// Masks all interrupts before the end of the program.
pub(crate) fn mask() {
    cortex_m::interrupt::disable();
}

/// Checks that no critical section is open.
pub(crate) fn assert_not_masked() {
    assert!(cortex_m::register::primask::read().is_active(), "interrupts are masked");
}

/// Must be called first, once.
pub fn init() {
    crate::heap::init();
}

// ---- Interrupts

/// An interrupt that both machines have.
#[derive(Clone, Copy)]
struct Irq(u16);

/// The first timer of either machine.
const WATCHDOG: u16 = 8;
/// Used by no device.
const TASKS: u16 = 20;

// SAFETY: these are numbers of interrupts that both machines have.
unsafe impl InterruptNumber for Irq {
    fn number(self) -> u16 {
        self.0
    }
}

const MOST_URGENT: u8 = 0x00;
const URGENT: u8 = 0x40;
const LESS_URGENT: u8 = 0x80;

fn chip() -> cortex_m::Peripherals {
    // SAFETY: the registers are used in this file only, each in one place, or by one write.
    unsafe { cortex_m::Peripherals::steal() }
}

fn enable(interrupt: u16, priority: u8) {
    // SAFETY: no critical section relies on the priority, or on the interrupt being off.
    unsafe {
        chip().NVIC.set_priority(Irq(interrupt), priority);
        NVIC::unmask(Irq(interrupt));
    }
}

#[exception]
unsafe fn DefaultHandler(interrupt: i16) {
    const WATCHDOG: i16 = self::WATCHDOG as i16;
    const TASKS: i16 = self::TASKS as i16;
    match interrupt {
        // SAFETY: the executor was started with this interrupt.
        TASKS => unsafe { INTERRUPT_EXECUTOR.on_interrupt() },
        WATCHDOG => crate::sweep::stuck(),
        _ => panic!("unexpected interrupt {interrupt}"),
    }
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    panic!("hard fault: {frame:?}")
}

// ---- Executors

static INTERRUPT_EXECUTOR: InterruptExecutor = InterruptExecutor::new();
static THREAD_EXECUTOR: StaticCell<Executor> = StaticCell::new();

/// Starts an executor for tasks that run in an interrupt: they preempt the thread, and whatever is less
/// urgent.
pub fn start_interrupt_executor() -> SendSpawner {
    enable(TASKS, URGENT);
    INTERRUPT_EXECUTOR.start(Irq(TASKS))
}

/// Runs tasks in the thread, forever.
pub fn run(init: impl FnOnce(Spawner)) -> ! {
    THREAD_EXECUTOR.init(Executor::new()).run(init)
}

// ---- The timer of the core: the clock, or one shot

type Handler = fn();

/// The handler of a shot. Without one, the timer is the clock.
static ON_SHOT: Mutex<Cell<Option<Handler>>> = Mutex::new(Cell::new(None));
static ON_TICK: Mutex<Cell<Option<Handler>>> = Mutex::new(Cell::new(None));
static PREEMPTED: AtomicU32 = AtomicU32::new(0);

/// The address of the instruction that the last tick or shot preceded.
pub fn preempted() -> u32 {
    PREEMPTED.load(Relaxed)
}

// The core has pushed eight words: the sixth of those after `r0` is the return address.
core::arch::global_asm!(
    ".section .text.SysTick,\"ax\"",
    ".global SysTick",
    ".type SysTick,%function",
    ".thumb_func",
    "SysTick:",
    "mov r0, sp",
    "ldr r0, [r0, #24]",
    "ldr r1, =on_timer",
    "bx r1",
    ".ltorg",
);

#[unsafe(no_mangle)]
extern "C" fn on_timer(preempted: u32) {
    let timer = SYST::get_current();
    PREEMPTED.store(preempted, Relaxed);
    if let Some(on_shot) = critical_section::with(|section| ON_SHOT.borrow(section).get()) {
        chip().SYST.disable_counter();
        // A very early shot may be pending again before the timer has reloaded from `LONGEST`.
        SCB::clear_pendst();
        // If the shot came before the timer has reloaded from `LONGEST`, it was not late.
        LATE.store(if timer > LONGEST / 2 { LONGEST - timer } else { 0 }, Relaxed);
        return on_shot();
    }
    crate::clock::tick();
    if let Some(on_tick) = critical_section::with(|section| ON_TICK.borrow(section).get()) {
        on_tick();
    }
}

/// The largest value from which the timer counts down.
const LONGEST: u32 = 0xff_ffff;
static LATE: AtomicU32 = AtomicU32::new(0);

/// From now on the timer interrupts once each time that it is [armed](arm), and `on_shot` runs. It is
/// less urgent than the tasks of the interrupt executor.
pub fn start_shots(on_shot: fn()) {
    let mut core = chip();
    // SAFETY: no critical section relies on the priority.
    unsafe { core.SCB.set_priority(SystemHandler::SysTick, LESS_URGENT) };
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.enable_interrupt();
    critical_section::with(|section| ON_SHOT.borrow(section).set(Some(on_shot)));
}

/// Arms a shot in `ticks`.
#[inline(always)]
pub fn arm(ticks: u32) {
    let mut timer = chip().SYST;
    timer.set_reload(ticks);
    timer.clear_current();
    timer.enable_counter();
    cortex_m::asm::delay(8);
    // Afterwards the timer continues from here, which shows how late the shot was.
    timer.set_reload(LONGEST);
}

/// How many ticks after its time the last shot was handled.
pub fn late() -> u32 {
    LATE.load(Relaxed)
}

// ---- The clock

/// Starts the clock of `embassy-time`. It ticks each millisecond, and `on_tick` runs with it, in an
/// interrupt that preempts everything.
pub fn start_clock(on_tick: fn()) {
    critical_section::with(|section| ON_TICK.borrow(section).set(Some(on_tick)));
    let mut core = chip();
    // SAFETY: no critical section relies on the priority.
    unsafe { core.SCB.set_priority(SystemHandler::SysTick, MOST_URGENT) };
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.set_reload(HERTZ / 1000 - 1);
    core.SYST.clear_current();
    core.SYST.enable_counter();
    core.SYST.enable_interrupt();
}

// ---- The watchdog

/// The program [ends](crate::sweep) unless it feeds the watchdog at least this often.
const PATIENCE_IN_MILLISECONDS: u32 = 400;

/// Feeds the watchdog, which starts the first time.
pub fn feed_watchdog() {
    enable(WATCHDOG, MOST_URGENT);
    // SAFETY: these are registers of the timer, which is used for nothing else.
    let write = |register: u32, value: u32| unsafe { (register as *mut u32).write_volatile(value) };
    if IS_M0 {
        /// The nRF51's timer 0.
        const TIMER: u32 = 0x4000_8000;
        write(TIMER + 0x504, 0); // MODE: timer
        write(TIMER + 0x508, 3); // BITMODE: 32 bits
        write(TIMER + 0x510, 4); // PRESCALER: 16 MHz / 2^4
        write(TIMER + 0x540, PATIENCE_IN_MILLISECONDS * 1000); // CC[0]
        write(TIMER + 0x304, 1 << 16); // INTENSET: COMPARE[0]
        write(TIMER + 0x00c, 1); // TASKS_CLEAR
        write(TIMER, 1); // TASKS_START
    } else {
        /// The CMSDK's timer 0.
        const TIMER: u32 = 0x4000_0000;
        write(TIMER + 4, PATIENCE_IN_MILLISECONDS * (HERTZ / 1000)); // VALUE
        write(TIMER, 0b1001); // CTRL: enable, and interrupt
    }
}
