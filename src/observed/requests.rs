//! Requests for observed locks, for [`lock_all`](crate::lock_all) and related functions.
//!
//! They are those of [`requests`](crate::requests). Each of their guards tells the observer of its lock.

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use alloc::sync::Arc;
use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};

use crate::lock::MultiLock as Plain;
use crate::lock::guard::Guard as PlainGuard;
use crate::mode::Mode;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use crate::observed::owned::outliving;
use crate::observed::told::{Event, Hold, Told};
use crate::observed::{
    Guard, MultiLock, Observer, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockWriteGuard,
};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use crate::observed::{
    GuardArc, RwLockReadGuardArc, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc,
};
use crate::rwlock::{
    RwLockReadGuard as PlainRead, RwLockUpgradableReadGuard as PlainUpgradable,
    RwLockWriteGuard as PlainWrite,
};
use crate::set::lock_all::LockRequest;
use crate::set::lock_all::sealed::Request;

/// Makes a type a request.
macro_rules! observed_request {
    (
        [$($generics:tt)*] $Request:ty, |$this:ident| $lock:expr, $mode:expr,
        |$of:ident, $told:ident| $guard:expr => $Guard:ty
    ) => {
        impl<$($generics)*> Request for $Request {
            fn lock(&self) -> &Plain {
                let $this = self;
                &$lock.lock
            }

            #[allow(unused_variables, reason = "the mode may be in the type")]
            fn mode(&self) -> Mode {
                let $this = self;
                $mode
            }

            type Record = Told<O::Record>;

            fn tell(&self, told: &mut Told<O::Record>, event: Event) {
                let $this = self;
                told.tell($lock, event);
            }
        }

        impl<$($generics)*> LockRequest for $Request {
            type Guard = $Guard;

            unsafe fn into_guard(self, $told: Told<O::Record>) -> $Guard {
                let $of = self;
                $guard
            }
        }

        // As for the requests for locks without an observer.
        impl<$($generics)*> UnwindSafe for $Request {}
        impl<$($generics)*> RefUnwindSafe for $Request {}
    };
}

/// A request for an observed [`MultiLock`] in a mode.
///
/// [`MultiLock::in_mode`] returns it. The guard is [`Guard`].
///
/// # Examples
///
/// ```
/// use multilock::observed::MultiLock;
/// use multilock::observed::requests::InMode;
/// use multilock::{Mode, try_lock_all};
///
/// let lock = MultiLock::<()>::new();
/// let request: InMode<'_, ()> = lock.in_mode(Mode::Shared);
/// let (guard,) = try_lock_all((request,)).unwrap();
/// assert_eq!(guard.mode(), Mode::Shared);
/// ```
#[must_use = "the lock is not acquired: pass the request to `lock_all`"]
pub struct InMode<'a, O> {
    pub(super) lock: &'a MultiLock<O>,
    pub(super) mode: Mode,
}

impl<O> Clone for InMode<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for InMode<'_, O> {}

impl<O> fmt::Debug for InMode<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMode").field("lock", &self.lock).field("mode", &self.mode).finish()
    }
}

observed_request! {
    ['a, O: Observer] InMode<'a, O>, |this| this.lock, this.mode,
    |of, told| {
        let plain = PlainGuard::new(&of.lock.lock, of.mode);
        Guard { plain, hold: Hold { lock: of.lock, told } }
    } => Guard<'a, O>
}

/// A request for an observed [`MultiLock`] in an [`Arc`], in a mode.
///
/// [`MultiLock::in_mode_arc`] returns it. The guard is [`GuardArc`].
///
/// # Examples
///
/// ```
/// use multilock::observed::MultiLock;
/// use multilock::observed::requests::InModeArc;
/// use multilock::{Mode, try_lock_all};
/// use std::sync::Arc;
///
/// let lock = Arc::new(MultiLock::<()>::new());
/// let request: InModeArc<()> = lock.in_mode_arc(Mode::Shared);
/// let (guard,) = try_lock_all((request,)).unwrap();
/// assert_eq!(guard.mode(), Mode::Shared);
/// ```
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
#[must_use = "the lock is not acquired: pass the request to `lock_all`"]
pub struct InModeArc<O> {
    pub(super) lock: Arc<MultiLock<O>>,
    pub(super) mode: Mode,
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<O> Clone for InModeArc<O> {
    fn clone(&self) -> Self {
        Self { lock: self.lock.clone(), mode: self.mode }
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<O> fmt::Debug for InModeArc<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InModeArc").field("lock", &self.lock).field("mode", &self.mode).finish()
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
observed_request! {
    [O: Observer] InModeArc<O>, |this| &*this.lock, this.mode,
    |of, told| {
        // SAFETY: the guard contains the `Arc`, which is dropped after the rest.
        let plain = PlainGuard::new(unsafe { outliving(&of.lock) }, of.mode);
        GuardArc { plain, hold: Hold { lock: of.lock, told } }
    } => GuardArc<O>
}

/// Defines a request that borrows an observed lock with data, and the method that returns it.
macro_rules! borrowing_request {
    ($mode:ident, $access:literal, $Request:ident, $method:ident, $Guard:ident, $Plain:ident) => {
        #[doc = concat!("A request for ", $access, " access to the data of an observed [`RwLock`].")]
        ///
        #[doc = concat!("[`RwLock::", stringify!($method), "`] returns it. The guard is [`", stringify!($Guard), "`].")]
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::observed::RwLock;
        #[doc = concat!("use multilock::observed::requests::", stringify!($Request), ";")]
        /// use multilock::try_lock_all;
        ///
        /// let lock = RwLock::<_, ()>::new(1);
        #[doc = concat!("let request: ", stringify!($Request), "<'_, i32, ()> = lock.", stringify!($method), "();")]
        /// let (guard,) = try_lock_all((request,)).unwrap();
        /// assert_eq!(*guard, 1);
        /// ```
        #[must_use = "the lock is not acquired: pass the request to `lock_all`"]
        pub struct $Request<'a, T: ?Sized, O>(&'a RwLock<T, O>);

        impl<T: ?Sized, O> Clone for $Request<'_, T, O> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T: ?Sized, O> Copy for $Request<'_, T, O> {}

        impl<T: ?Sized, O> fmt::Debug for $Request<'_, T, O> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($Request)).field(&self.0).finish()
            }
        }

        observed_request! {
            ['a, T: ?Sized, O: Observer] $Request<'a, T, O>, |this| this.0.raw(), Mode::$mode,
            |of, told| {
                let plain = $Plain::new(&of.0.raw().lock, of.0.data());
                $Guard::of_parts(plain, Hold { lock: of.0.raw(), told })
            } => $Guard<'a, T, O>
        }

        impl<T: ?Sized, O> RwLock<T, O> {
            #[doc = concat!("Returns a request for ", $access, " access, for [`lock_all`](crate::lock_all) and related functions. Acquires nothing.")]
            ///
            /// # Examples
            ///
            /// ```
            /// use multilock::observed::RwLock;
            /// use multilock::try_lock_all;
            ///
            /// let lock = RwLock::<_, ()>::new(1);
            #[doc = concat!("let (guard,) = try_lock_all((lock.", stringify!($method), "(),)).unwrap();")]
            /// assert_eq!(*guard, 1);
            /// ```
            pub fn $method(&self) -> $Request<'_, T, O> {
                $Request(self)
            }
        }
    };
}

borrowing_request!(Shared, "read", Reading, reading, RwLockReadGuard, PlainRead);
borrowing_request! {
    Upgradable, "upgradable read", Upgrading, upgrading, RwLockUpgradableReadGuard, PlainUpgradable
}
borrowing_request!(Exclusive, "write", Writing, writing, RwLockWriteGuard, PlainWrite);

/// Defines a request that owns an observed lock with data, and the method that returns it.
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
macro_rules! owning_request {
    ($mode:ident, $access:literal, $Request:ident, $method:ident, $Guard:ident, $Plain:ident) => {
        #[doc = concat!("A request for ", $access, " access to the data of an observed [`RwLock`] in an [`Arc`].")]
        ///
        #[doc = concat!("[`RwLock::", stringify!($method), "`] returns it. The guard is [`", stringify!($Guard), "`].")]
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::observed::RwLock;
        #[doc = concat!("use multilock::observed::requests::", stringify!($Request), ";")]
        /// use multilock::try_lock_all;
        /// use std::sync::Arc;
        ///
        /// let lock = Arc::new(RwLock::<_, ()>::new(1));
        #[doc = concat!("let request: ", stringify!($Request), "<i32, ()> = lock.", stringify!($method), "();")]
        /// let (guard,) = try_lock_all((request,)).unwrap();
        /// assert_eq!(*guard, 1);
        /// ```
        #[must_use = "the lock is not acquired: pass the request to `lock_all`"]
        pub struct $Request<T: ?Sized, O>(Arc<RwLock<T, O>>);

        impl<T: ?Sized, O> Clone for $Request<T, O> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<T: ?Sized, O> fmt::Debug for $Request<T, O> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($Request)).field(&self.0).finish()
            }
        }

        observed_request! {
            [T: ?Sized, O: Observer] $Request<T, O>, |this| this.0.raw(), Mode::$mode,
            |of, told| {
                // SAFETY: the guard contains the `Arc`, which is dropped after the rest.
                let plain = $Plain::new(unsafe { outliving(&of.0) }, of.0.data());
                $Guard::of_parts(plain, Hold { lock: of.0.into(), told })
            } => $Guard<T, O>
        }

        impl<T: ?Sized, O> RwLock<T, O> {
            #[doc = concat!("Returns a request for ", $access, " access, for [`lock_all`](crate::lock_all) and related functions. Acquires nothing.")]
            ///
            /// The request owns a clone of the `Arc`, and so does the guard.
            ///
            /// # Examples
            ///
            /// ```
            /// use multilock::observed::RwLock;
            /// use multilock::try_lock_all;
            /// use std::sync::Arc;
            ///
            /// let lock = Arc::new(RwLock::<_, ()>::new(1));
            #[doc = concat!("let (guard,) = try_lock_all((lock.", stringify!($method), "(),)).unwrap();")]
            /// assert_eq!(*guard, 1);
            /// ```
            pub fn $method(self: &Arc<Self>) -> $Request<T, O> {
                $Request(self.clone())
            }
        }
    };
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
owning_request!(Shared, "read", ReadingArc, reading_arc, RwLockReadGuardArc, PlainRead);
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
owning_request! {
    Upgradable, "upgradable read", UpgradingArc, upgrading_arc, RwLockUpgradableReadGuardArc, PlainUpgradable
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
owning_request!(Exclusive, "write", WritingArc, writing_arc, RwLockWriteGuardArc, PlainWrite);
