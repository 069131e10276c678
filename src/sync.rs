//! The only file that names `core::sync::atomic`, `portable-atomic` or `loom`.

use core::panic::{RefUnwindSafe, UnwindSafe};

#[cfg(not(any(loom, feature = "portable-atomic")))]
pub(crate) use core::sync::atomic;
#[cfg(loom)]
pub(crate) use loom::sync::atomic;
#[cfg(all(not(loom), feature = "portable-atomic"))]
pub(crate) use portable_atomic as atomic;

/// Atomics that take no part in the protocol, and so are no business of a model of it.
#[cfg(any(not(feature = "portable-atomic"), loom))]
pub(crate) use core::sync::atomic as unmodelled;
#[cfg(all(not(loom), feature = "portable-atomic"))]
pub(crate) use portable_atomic as unmodelled;

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

/// A cell with the closure interface of loom's.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(loom))]
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

/// A value that is touched in short critical sections only, one at a time.
pub(crate) struct Section<T>(section::Cell<T>);

// A panic in a section is foreign code's: whoever calls that there leaves the value as it should be.
impl<T> UnwindSafe for Section<T> {}
impl<T> RefUnwindSafe for Section<T> {}

impl<T> Section<T> {
    const_fn! {
        pub(crate) fn new(value: T) -> Self {
            Self(section::new(value))
        }
    }

    /// Runs `f` on the value, in a critical section, which ends also if `f` panics. With the feature
    /// `critical-section` interrupts are off in it, and else other threads may wait for its end. So
    /// `f` does little, and does not come back to this section.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        section::with(&self.0, f)
    }
}

/// With `std`, or under loom: a mutex.
#[cfg(any(loom, all(feature = "std", not(feature = "critical-section"))))]
mod section {
    use std::sync::PoisonError;

    #[cfg(loom)]
    pub(super) use loom::sync::Mutex as Cell;
    #[cfg(not(loom))]
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

/// No interrupt comes in between, and no other core. Nor does `f` itself: the cell would panic.
#[cfg(all(not(loom), feature = "critical-section"))]
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

/// A spin lock: an interrupt that comes in between must not use any lock.
#[cfg(not(any(loom, feature = "std", feature = "critical-section")))]
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

/// Declares functions that are `const` except under loom, whose atomics have no `const` constructor.
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
