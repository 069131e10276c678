//! Requests for read, upgradable read and write access, for [`lock_all`](crate::lock_all).

use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};

use super::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::set::lock_all::LockRequest;
use crate::set::lock_all::sealed::Request;

/// Implements for a request what does not depend on whether it owns the lock.
macro_rules! lock_request {
    ($Request:ident [$($lt:lifetime, $elided:lifetime)?] $mode:ident, |$lock:ident| $guard:expr => $Guard:ty) => {
        impl<T: ?Sized> fmt::Debug for $Request<$($elided,)? T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($Request)).field(&self.0).finish()
            }
        }

        impl<T: ?Sized> Request for $Request<$($elided,)? T> {
            fn lock(&self) -> &MultiLock {
                &self.0.lock
            }

            fn mode(&self) -> Mode {
                Mode::$mode
            }

            type Record = ();
        }

        impl<$($lt,)? T: ?Sized> LockRequest for $Request<$($lt,)? T> {
            type Guard = $Guard;

            unsafe fn into_guard(self, (): ()) -> Self::Guard {
                let $lock = self.0;
                $guard
            }
        }
    };
}

/// Defines a request that borrows the lock, and the method that returns it.
macro_rules! borrowing_request {
    ($mode:ident, $access:literal, $Request:ident, $method:ident, $Guard:ident) => {
        #[doc = concat!("A request for ", $access, " access to the data of an [`RwLock`], for [`lock_all`](crate::lock_all).")]
        ///
        #[doc = concat!("[`RwLock::", stringify!($method), "`] returns it. The guard is [`", stringify!($Guard), "`].")]
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use multilock::requests::", stringify!($Request), ";")]
        /// use multilock::{RwLock, try_lock_all};
        ///
        /// let lock = RwLock::new(1);
        #[doc = concat!("let request: ", stringify!($Request), "<'_, _> = lock.", stringify!($method), "();")]
        /// let (guard,) = try_lock_all((request,)).unwrap();
        /// assert_eq!(*guard, 1);
        /// ```
        #[must_use = "the lock is not acquired: pass the request to `lock_all`"]
        pub struct $Request<'a, T: ?Sized>(&'a RwLock<T>);

        impl<T: ?Sized> Clone for $Request<'_, T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T: ?Sized> Copy for $Request<'_, T> {}

        lock_request! {
            $Request ['a, '_] $mode, |lock| $Guard::new(&lock.lock, lock.data()) => $Guard<'a, T>
        }

        // As the future of a single acquisition.
        impl<T: ?Sized + RefUnwindSafe> UnwindSafe for $Request<'_, T> {}
        impl<T: ?Sized + RefUnwindSafe> RefUnwindSafe for $Request<'_, T> {}

        impl<T: ?Sized> RwLock<T> {
            #[doc = concat!("Returns a request for ", $access, " access, for [`lock_all`](crate::lock_all) and related functions. Acquires nothing.")]
            ///
            /// # Examples
            ///
            /// ```
            /// use multilock::{RwLock, lock_all};
            ///
            /// # futures_lite::future::block_on(async {
            /// let (a, b) = (RwLock::new(1), RwLock::new("b"));
            #[doc = concat!("let (first, second) = lock_all((a.", stringify!($method), "(), b.reading())).await;")]
            /// assert_eq!((*first, *second), (1, "b"));
            /// # });
            /// ```
            pub fn $method(&self) -> $Request<'_, T> {
                $Request(self)
            }
        }
    };
}

borrowing_request!(Shared, "read", Reading, reading, RwLockReadGuard);
borrowing_request! {
    Upgradable, "upgradable read", Upgrading, upgrading, RwLockUpgradableReadGuard
}
borrowing_request!(Exclusive, "write", Writing, writing, RwLockWriteGuard);
