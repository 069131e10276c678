//! Critical sections for several cores: a spin lock, whose holder has masked the interrupts of its core.
//!
//! To use this file in a program, copy it, adapt the functions of the core, and add
//! `critical_section::set_impl!(SpinSection);` and the feature `restore-state-u8` of `critical-section`. If
//! the support crate of the chip has an implementation, use that one instead.

use core::hint::spin_loop;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
#[cfg(not(target_has_atomic = "ptr"))]
use core::sync::atomic::{AtomicBool, Ordering::SeqCst, fence};

use critical_section::{Impl, RawRestoreState};

// ---- The core

/// The number of this core, from 0.
fn core() -> usize {
    riscv::register::mhartid::read()
}

/// Masks all interrupts of this core, and returns whether they were on.
fn mask() -> bool {
    let before: usize;
    // SAFETY: the instruction clears one bit. Without `nomem`, no memory access moves across it.
    unsafe { core::arch::asm!("csrrci {}, mstatus, 8", out(reg) before) };
    before & 8 != 0
}

/// # Safety
///
/// No critical section of this core may be open.
unsafe fn unmask() {
    // SAFETY: the instruction sets one bit, and no section needs it clear. No memory access moves across it.
    unsafe { core::arch::asm!("csrsi mstatus, 8") }
}

// ---- The spin lock

/// The core in the section, or [`NONE`].
static OWNER: AtomicUsize = AtomicUsize::new(NONE);
const NONE: usize = usize::MAX;

/// Acquires the spin lock for `me`, if it is free. Interrupts are masked.
#[cfg(target_has_atomic = "ptr")]
fn try_claim(me: usize) -> bool {
    OWNER.compare_exchange(NONE, me, Acquire, Relaxed).is_ok()
}

#[cfg(target_has_atomic = "ptr")]
fn free(_me: usize) {
    OWNER.store(NONE, Release);
}

/// Which of two cores owns the lock or tries to. This is for QEMU's machine without compare-and-swap, which
/// has no hardware spin lock. A chip has one, such as the `SIO` of RP2040: use it instead.
#[cfg(not(target_has_atomic = "ptr"))]
static WANTS: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

#[cfg(not(target_has_atomic = "ptr"))]
fn try_claim(me: usize) -> bool {
    let other = &WANTS[1 - me];
    if other.load(Relaxed) {
        return false;
    }
    WANTS[me].store(true, Relaxed);
    // Of two cores that try at the same time, one sees the other, at least. Both may, and try again.
    fence(SeqCst);
    if other.load(Acquire) {
        WANTS[me].store(false, Relaxed);
        return false;
    }
    OWNER.store(me, Relaxed);
    true
}

#[cfg(not(target_has_atomic = "ptr"))]
fn free(me: usize) {
    OWNER.store(NONE, Relaxed);
    WANTS[me].store(false, Release);
}

// ---- The sections

/// What [`SpinSection::acquire`] returns for [`SpinSection::release`].
const INTERRUPTS_WERE_OFF: RawRestoreState = 0;
const INTERRUPTS_WERE_ON: RawRestoreState = 1;
/// The section is within another one of the same core, which ends both.
const NESTED: RawRestoreState = 2;

pub struct SpinSection;

// SAFETY: one core at a time owns the spin lock, and is not interrupted while it does. The lock is acquired
// with Acquire and freed with Release, so what a section has written is there for the next one.
unsafe impl Impl for SpinSection {
    unsafe fn acquire() -> RawRestoreState {
        // First: a handler that interrupted this core as the owner would be taken for the owner.
        let were_on = mask();
        let me = core();
        // No other core stores this number, so it is not out of date.
        if OWNER.load(Relaxed) == me {
            return NESTED;
        }
        while !try_claim(me) {
            // An interrupt of this core need not wait for the other core, too.
            if were_on {
                // SAFETY: no section of this core is open: it does not own the lock.
                unsafe { unmask() };
            }
            spin_loop();
            mask();
        }
        if were_on { INTERRUPTS_WERE_ON } else { INTERRUPTS_WERE_OFF }
    }

    unsafe fn release(state: RawRestoreState) {
        if state == NESTED {
            return;
        }
        free(core());
        if state == INTERRUPTS_WERE_ON {
            // SAFETY: the section was the outermost one of this core.
            unsafe { unmask() };
        }
    }
}

/// Against the rules of two cores: masks the interrupts of one. The control uses it, to check that the tests
/// find that.
pub struct MaskOnly;

// SAFETY: none, if there are two cores.
unsafe impl Impl for MaskOnly {
    unsafe fn acquire() -> RawRestoreState {
        if mask() { INTERRUPTS_WERE_ON } else { INTERRUPTS_WERE_OFF }
    }

    unsafe fn release(state: RawRestoreState) {
        if state == INTERRUPTS_WERE_ON {
            // SAFETY: the section was the outermost one of this core.
            unsafe { unmask() };
        }
    }
}
