//! The base layer: atomics, cells, mutexes, threads and blocking, of `core` and `std` or of a model
//! checker; and helpers for futures and panics.
//!
//! Apart from tests, no file outside of this folder imports from `core::sync::atomic`,
//! `portable-atomic`, `loom` or `shuttle`.

#[cfg(all(feature = "std", not(target_family = "wasm")))]
pub(crate) mod block;
pub(crate) mod future;
pub(crate) mod moment;
#[cfg(feature = "alloc")]
pub(crate) mod once_box;
pub(crate) mod unwind;

use core::panic::{RefUnwindSafe, UnwindSafe};

#[cfg(not(any(loom, shuttle, feature = "portable-atomic")))]
pub(crate) use core::sync::atomic;
#[cfg(loom)]
pub(crate) use loom::sync::atomic;
#[cfg(all(not(any(loom, shuttle)), feature = "portable-atomic"))]
pub(crate) use portable_atomic as atomic;
#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic;

/// Atomics whose order no promise depends on, so the model checkers need not see them.
#[cfg(any(not(feature = "portable-atomic"), loom, shuttle))]
pub(crate) use core::sync::atomic as unmodeled;
#[cfg(all(not(any(loom, shuttle)), feature = "portable-atomic"))]
pub(crate) use portable_atomic as unmodeled;

#[cfg(loom)]
pub(crate) use loom::thread;
#[cfg(shuttle)]
pub(crate) use shuttle::thread;
#[cfg(all(feature = "std", not(any(target_family = "wasm", loom, shuttle))))]
pub(crate) use std::thread;

/// Whether threads can block. Otherwise all waiters are tasks.
pub(crate) const HAS_THREADS: bool = cfg!(all(feature = "std", not(target_family = "wasm")));

/// Waits a moment for other threads that are about to be done. Shuttle runs one thread at a time,
/// so there it lets another thread run.
#[inline]
pub(crate) fn relax() {
    #[cfg(not(shuttle))]
    core::hint::spin_loop();
    #[cfg(shuttle)]
    thread::yield_now();
}

/// Polls a future until it is ready, and sleeps in between.
///
/// It does not use [`thread::park`]: shuttle wakes a parked thread spuriously, which would hide
/// lost wake-ups.
#[cfg(shuttle)]
pub(crate) use shuttle::future::block_on;

/// Returns whether a deadline has passed. Shuttle has no clock, so the answer is random. Other
/// threads may run first.
#[cfg(shuttle)]
pub(crate) fn is_too_late() -> bool {
    thread::yield_now();
    shuttle::rand::Rng::gen_ratio(&mut shuttle::rand::thread_rng(), 1, 8)
}

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

/// A cell with the closure interface of loom's cell.
///
/// Other threads may run while a thread accesses the cell. Shuttle does not detect data races, so
/// the cell itself panics if two accesses conflict.
#[cfg(shuttle)]
pub(crate) struct UnsafeCell<T> {
    value: core::cell::UnsafeCell<T>,
    /// The number of readers, or -1 while a thread writes.
    users: core::cell::Cell<isize>,
}

#[cfg(shuttle)]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { value: core::cell::UnsafeCell::new(value), users: core::cell::Cell::new(0) }
    }

    #[cfg(test)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        let others = self.users.get();
        assert!(others >= 0, "a thread reads while another one writes");
        self.users.set(others + 1);
        Self::let_others_run();
        let result = f(self.value.get());
        self.users.set(self.users.get() - 1);
        result
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        assert!(self.users.get() == 0, "a thread writes while another one reads or writes");
        self.users.set(-1);
        Self::let_others_run();
        let result = f(self.value.get());
        self.users.set(0);
        result
    }

    fn let_others_run() {
        thread::sleep(core::time::Duration::ZERO);
    }
}

/// A cell with the closure interface of loom's cell.
#[cfg(not(any(loom, shuttle)))]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(any(loom, shuttle)))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    #[cfg(all(test, feature = "std", not(target_family = "wasm")))]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// A blocking mutex, for short critical sections.
#[allow(dead_code, reason = "only `HandleLock` and debug builds need its check")]
pub(crate) struct Mutex<T>(section::Cell<T>);

// A panic in a critical section comes from foreign code. A caller that runs foreign code there
// leaves the value consistent.
impl<T> UnwindSafe for Mutex<T> {}
impl<T> RefUnwindSafe for Mutex<T> {}

#[allow(dead_code, reason = "only `HandleLock` and debug builds need its check")]
impl<T> Mutex<T> {
    const_fn! {
        pub(crate) fn new(value: T) -> Self {
            Self(section::new(value))
        }
    }

    /// Runs `f` on the value, in a critical section, which also ends if `f` panics.
    ///
    /// With the feature `critical-section`, interrupts are disabled while `f` runs. Without it,
    /// other threads may wait for `f`. So `f` must be short, and must not call `with` of the same
    /// mutex.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        section::with(&self.0, f)
    }
}

/// A mutex for critical sections that run no foreign code, and lock nothing else of this crate.
pub(crate) use leaf::LeafMutex;

impl<T> UnwindSafe for LeafMutex<T> {}
impl<T> RefUnwindSafe for LeafMutex<T> {}

#[cfg(any(loom, shuttle, not(feature = "critical-section"), debug_assertions))]
mod leaf {
    pub(crate) struct LeafMutex<T>(super::Mutex<T>);

    impl<T> LeafMutex<T> {
        super::const_fn! {
            pub(crate) fn new(value: T) -> Self {
                Self(super::Mutex::new(value))
            }
        }

        /// Runs `f` on the value, as [`Mutex::with`](super::Mutex::with) does.
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
#[cfg(not(any(loom, shuttle, not(feature = "critical-section"), debug_assertions)))]
mod leaf {
    use core::cell::UnsafeCell;

    pub(crate) struct LeafMutex<T>(critical_section::Mutex<UnsafeCell<T>>);

    impl<T> LeafMutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(critical_section::Mutex::new(UnsafeCell::new(value)))
        }

        /// Runs `f` on the value, as [`Mutex::with`](super::Mutex::with) does.
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

/// With `std`, or under loom or shuttle, a mutex that blocks the thread.
#[cfg(any(loom, shuttle, all(feature = "std", not(feature = "critical-section"))))]
mod section {
    use std::sync::PoisonError;

    #[cfg(loom)]
    pub(super) use loom::sync::Mutex as Cell;
    #[cfg(shuttle)]
    pub(super) use shuttle::sync::Mutex as Cell;
    #[cfg(not(any(loom, shuttle)))]
    pub(super) use std::sync::Mutex as Cell;

    super::const_fn! {
        pub(super) fn new<T>(value: T) -> Cell<T> {
            Cell::new(value)
        }
    }

    #[inline]
    pub(super) fn with<T, R>(cell: &Cell<T>, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut cell.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// With `critical-section`, a critical section: no interrupt handler and no other core enters it
/// meanwhile. If `f` entered it again, the cell would panic.
#[cfg(all(not(any(loom, shuttle)), feature = "critical-section"))]
#[allow(dead_code, reason = "only `HandleLock` and debug builds need its check")]
mod section {
    use core::cell::RefCell;

    pub(super) type Cell<T> = critical_section::Mutex<RefCell<T>>;

    pub(super) const fn new<T>(value: T) -> Cell<T> {
        Cell::new(RefCell::new(value))
    }

    #[inline]
    pub(super) fn with<T, R>(cell: &Cell<T>, f: impl FnOnce(&mut T) -> R) -> R {
        critical_section::with(|section| f(&mut cell.borrow_ref_mut(section)))
    }
}

/// With `single-threaded`, a spin lock. If an interrupt handler used it while it is held, the
/// handler would spin forever.
#[cfg(not(any(loom, shuttle, feature = "std", feature = "critical-section")))]
#[cfg(feature = "single-threaded")]
mod section {
    pub(super) use spin::Mutex as Cell;

    pub(super) const fn new<T>(value: T) -> Cell<T> {
        Cell::new(value)
    }

    #[inline]
    pub(super) fn with<T, R>(cell: &Cell<T>, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut cell.lock())
    }
}

/// Without any of the three features, `lib.rs` fails the build. With this, nothing else does.
#[cfg(not(any(loom, shuttle, feature = "std", feature = "critical-section")))]
#[cfg(not(feature = "single-threaded"))]
mod section {
    pub(super) struct Cell<T>(core::marker::PhantomData<fn() -> T>);

    pub(super) const fn new<T>(value: T) -> Cell<T> {
        core::mem::forget(value);
        Cell(core::marker::PhantomData)
    }

    pub(super) fn with<T, R>(_: &Cell<T>, _: impl FnOnce(&mut T) -> R) -> R {
        unreachable!()
    }
}

/// Declares functions that are `const` except under loom, whose atomics have no `const`
/// constructor.
macro_rules! const_fn {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$T:ident>)? ($($args:tt)*) -> $ret:ty $body:block
    )*) => {$(
        #[cfg(not(loom))]
        $(#[$meta])*
        $vis const fn $name $(<$T>)? ($($args)*) -> $ret $body

        #[cfg(loom)]
        $(#[$meta])*
        $vis fn $name $(<$T>)? ($($args)*) -> $ret $body
    )*};
}
pub(crate) use const_fn;
