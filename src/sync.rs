//! The only file that names `core::sync::atomic`, `portable-atomic` or `loom`.

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

    #[cfg(all(test, feature = "std"))]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Declares functions that are `const` except under loom, whose atomics have no `const` constructor.
macro_rules! const_fn {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($args:tt)*) -> $ret:ty $body:block)*) => {$(
        #[cfg(not(loom))]
        $(#[$meta])*
        $vis const fn $name($($args)*) -> $ret $body

        #[cfg(loom)]
        $(#[$meta])*
        $vis fn $name($($args)*) -> $ret $body
    )*};
}
pub(crate) use const_fn;
