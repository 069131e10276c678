//! Mutexes for critical sections that run no foreign code, and lock nothing else of this crate.

use core::panic::{RefUnwindSafe, UnwindSafe};

impl<T> UnwindSafe for LeafMutex<T> {}
impl<T> RefUnwindSafe for LeafMutex<T> {}

/// A mutex that takes a compare-and-swap to lock, and a store to unlock.
///
/// A mutex of the operating system is unlocked by a read-modify-write, as the thread that unlocks it
/// has to learn whether another one sleeps. That is a tenth of the time of a wait. Here a thread that
/// waits does not ask to be woken: it spins, and then yields, and then sleeps for a moment. So it does
/// not keep a thread from running that was stopped in its critical section, whatever the priorities.
#[cfg(all(
    feature = "std",
    not(any(shuttle, target_family = "wasm", feature = "critical-section"))
))]
#[cfg_attr(loom, allow(dead_code, reason = "one model tests it, and others use a mutex of loom"))]
mod spin {
    #[cfg(not(loom))]
    use std::time::Duration;

    use crate::sync::atomic::AtomicBool;
    use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
    use crate::sync::{UnsafeCell, const_fn, relax, thread};

    pub(crate) struct SpinMutex<T> {
        is_locked: AtomicBool,
        value: UnsafeCell<T>,
    }

    // SAFETY: one thread at a time has access to the value, as with any mutex.
    unsafe impl<T: Send> Sync for SpinMutex<T> {}

    impl<T> SpinMutex<T> {
        const_fn! {
            pub(crate) fn new(value: T) -> Self {
                Self { is_locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
            }
        }

        /// Runs `f` on the value, as [`Mutex::with`](crate::sync::Mutex::with) does.
        ///
        /// # Safety
        ///
        /// `f` does not lock this mutex.
        #[inline]
        pub(crate) unsafe fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            if !self.try_lock() {
                self.lock_contended();
            }
            let _unlock = UnlockOnDrop(&self.is_locked);
            // SAFETY: the mutex is locked until the guard is dropped, after the last use of the value.
            // No other thread has access meanwhile, and by the contract `f` has no second one.
            self.value.with_mut(|value| f(unsafe { &mut *value }))
        }

        #[inline]
        fn try_lock(&self) -> bool {
            // ORDERING: Acquire. Pairs with the Release of `UnlockOnDrop`: what the last critical section
            // did is visible in this one. Weakened, the model
            // `the_mutex_of_the_queue_makes_each_section_visible_to_the_next` fails.
            self.is_locked.compare_exchange(false, true, Acquire, Relaxed).is_ok()
        }

        #[cold]
        #[inline(never)]
        fn lock_contended(&self) {
            for round in 0_u32.. {
                wait(round);
                // A load does not take the cache line from the thread that is about to unlock.
                //
                // ORDERING: Relaxed. A guess: `try_lock` finds out.
                if !self.is_locked.load(Relaxed) && self.try_lock() {
                    break;
                }
            }
        }
    }

    /// Waits a moment for another thread to unlock, the longer the higher the `round`.
    fn wait(round: u32) {
        // A critical section takes less than a hundred pauses, unless its thread was stopped.
        #[cfg(not(loom))]
        match round {
            0..100 => relax(),
            100..120 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
        #[cfg(loom)]
        {
            let _ = (round, relax);
            thread::yield_now();
        }
    }

    struct UnlockOnDrop<'a>(&'a AtomicBool);

    impl Drop for UnlockOnDrop<'_> {
        #[inline]
        fn drop(&mut self) {
            // ORDERING: Release. Pairs with the Acquire of `try_lock`, with the same model.
            self.0.store(false, Release);
        }
    }
}

#[cfg(all(
    feature = "std",
    not(any(loom, shuttle, target_family = "wasm", feature = "critical-section"))
))]
pub(crate) use spin::SpinMutex as LeafMutex;

#[cfg(all(
    test,
    feature = "std",
    not(any(shuttle, target_family = "wasm", feature = "critical-section"))
))]
pub(crate) use spin::SpinMutex;

#[cfg(not(all(
    feature = "std",
    not(any(loom, shuttle, target_family = "wasm", feature = "critical-section"))
)))]
pub(crate) use guarded::LeafMutex;

/// As any mutex of this crate.
#[cfg(any(
    loom,
    shuttle,
    all(feature = "std", target_family = "wasm", not(feature = "critical-section")),
    all(not(feature = "std"), not(feature = "critical-section")),
    all(feature = "critical-section", debug_assertions)
))]
mod guarded {
    use crate::sync::{Mutex, const_fn};

    pub(crate) struct LeafMutex<T>(Mutex<T>);

    impl<T> LeafMutex<T> {
        const_fn! {
            pub(crate) fn new(value: T) -> Self {
                Self(Mutex::new(value))
            }
        }

        /// Runs `f` on the value, as [`Mutex::with`] does.
        ///
        /// # Safety
        ///
        /// `f` does not lock this mutex.
        #[inline]
        pub(crate) unsafe fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            self.0.with(f)
        }
    }
}

/// With `critical-section`, a mutex without a check that `f` keeps the contract. The check takes a
/// word, and some instructions with interrupts disabled.
#[cfg(all(not(any(loom, shuttle)), feature = "critical-section", not(debug_assertions)))]
mod guarded {
    use core::cell::UnsafeCell;

    pub(crate) struct LeafMutex<T>(critical_section::Mutex<UnsafeCell<T>>);

    impl<T> LeafMutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(critical_section::Mutex::new(UnsafeCell::new(value)))
        }

        /// Runs `f` on the value, as [`Mutex::with`](crate::sync::Mutex::with) does.
        ///
        /// # Safety
        ///
        /// `f` does not lock this mutex.
        #[inline]
        pub(crate) unsafe fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            // SAFETY: one critical section runs at a time, and by the contract it comes here once.
            critical_section::with(|section| f(unsafe { &mut *self.0.borrow(section).get() }))
        }
    }
}
