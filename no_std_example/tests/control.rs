//! Checks that the sweep finds planted errors: a wake-up that is lost at one place, and interrupts
//! that are masked for too long. The third kind, a deadlock, ends the image: `cargo test` with the
//! feature `single-threaded` instead of `critical-section` must fail with it.

#![no_std]
#![no_main]

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use core::task::{Context, Poll, Waker};

use critical_section::Mutex;
use no_std_example::sweep::{Swept, Waiter, sweep, under_fire, wait_for_shot};
use no_std_example::{board, println};

/// A lock for one waiter, which may forget to look again after it has stored its waker.
struct Toy {
    held: AtomicBool,
    waker: Mutex<Cell<Option<Waker>>>,
}

static TOY: Toy = Toy { held: AtomicBool::new(false), waker: Mutex::new(Cell::new(None)) };

impl Toy {
    fn poll_acquire(&self, cx: &Context<'_>, look_again: bool) -> Poll<()> {
        if !self.held.load(SeqCst) {
            return Poll::Ready(());
        }
        let waker = Some(cx.waker().clone());
        drop(critical_section::with(|section| self.waker.borrow(section).replace(waker)));
        if look_again && !self.held.load(SeqCst) {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn release(&self) {
        self.held.store(false, SeqCst);
        let waker = critical_section::with(|section| self.waker.borrow(section).take());
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Sweeps releases over a wait, and counts how often the waiter was not woken.
fn wait_and_release(look_again: bool) -> (Swept, u32) {
    static LOST: AtomicU32 = AtomicU32::new(0);
    LOST.store(0, SeqCst);
    let wait = || {
        TOY.held.store(true, SeqCst);
        let future = pin!(poll_fn(|cx| TOY.poll_acquire(cx, look_again)));
        let waiter = under_fire(|| Waiter::new(0, future));
        wait_for_shot();
        if waiter.finish().is_err() {
            LOST.store(LOST.load(SeqCst) + 1, SeqCst);
        }
    };
    let swept = sweep(("wait", wait), ("release", || TOY.release()), || {});
    (swept, LOST.load(SeqCst))
}

/// Masks interrupts for forty instructions, or only for the one that masks them.
fn mask(long: bool) {
    critical_section::with(|_| {
        if long {
            // SAFETY: the instructions do nothing.
            unsafe { core::arch::asm!(".rept 40", "nop", ".endr") }
        }
    });
}

#[board::entry]
fn main() -> ! {
    board::init();
    let (swept, lost) = wait_and_release(true);
    println!("a waiter that looks again: {swept:?}, {lost} wake-ups lost");
    assert_eq!(lost, 0);
    let (swept, lost) = wait_and_release(false);
    println!("a waiter that does not: {swept:?}, {lost} wake-ups lost");
    assert!(0 < lost && lost < swept.preemptions / 2);

    let [short, long] = [false, true]
        .map(|long| sweep(("mask", || under_fire(|| mask(long))), ("nothing", || {}), || {}).late);
    println!("interrupts that are masked for 40 instructions are {} late", long - short);
    assert!((38..=42).contains(&(long - short)));
    board::exit(0)
}
