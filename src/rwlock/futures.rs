//! Futures that acquire or upgrade a lock with data, and return a guard that borrows it.

use core::fmt;
use core::marker::PhantomData;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;

use super::guards::FORGOTTEN;
use super::{RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::raw::RawUpgrade;
use crate::raw::acquire::RawAcquire;

/// Defines a future that acquires the lock, and returns a guard.
macro_rules! acquire_future {
    ($Future:ident, $method:literal, $Of:ty, $example:literal, |$lock:ident, $of:ident| $guard:expr => $Guard:ty) => {
        #[doc = concat!("The future of [`RwLock::", $method, "`](crate::RwLock::", $method, ").")]
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        #[doc = concat!("use multilock::futures::", stringify!($Future), ";")]
        #[doc = $example]
        #[doc = concat!("let future: ", stringify!($Future), "<'_, i32> = lock.", $method, "();")]
        /// assert_eq!(*future.await, 1);
        /// # });
        /// ```
        #[must_use = "a future does nothing unless it is polled: `.await` it"]
        pub struct $Future<'a, T: ?Sized> {
            acquire: RawAcquire<'a, MultiLock>,
            of: $Of,
        }

        impl<'a, T: ?Sized> Future for $Future<'a, T> {
            type Output = $Guard;

            /// # Panics
            ///
            /// Panics if the future was ready before.
            #[inline]
            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                // SAFETY: the acquisition is the only field that is pinned with this future, and it
                // is not moved.
                let (acquire, $of) = unsafe {
                    let this = self.get_unchecked_mut();
                    (Pin::new_unchecked(&mut this.acquire), &this.of)
                };
                let $lock = acquire.lock();
                ready!(acquire.poll(cx));
                Poll::Ready($guard)
            }
        }

        impl<T: ?Sized> FusedFuture for $Future<'_, T> {
            #[inline]
            fn is_terminated(&self) -> bool {
                self.acquire.is_terminated()
            }
        }

        opaque_debug!($Future ['_, T]);
    };
}

/// Implements `Debug` for a future, and shows its name only.
macro_rules! opaque_debug {
    ($Future:ident [$($args:tt)*]) => {
        impl<T: ?Sized> fmt::Debug for $Future<$($args)*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Future)).finish_non_exhaustive()
            }
        }
    };
}

/// A pointer to the data, for the guard that the future will return. `P` is the kind of pointer
/// that the guard has. It sets the variance in `T`.
struct DataPtr<T: ?Sized, P>(NonNull<T>, PhantomData<P>);

/// Defines a future that returns a guard that borrows the lock.
macro_rules! borrowing_future {
    ($Future:ident, $method:literal, $mode:ident, $Guard:ident, $Pointer:ty, $($bounds:tt)*) => {
        acquire_future! {
            $Future, $method, DataPtr<T, $Pointer>, "use multilock::RwLock;\n\nlet lock = RwLock::new(1);",
            |lock, of| $Guard::new(lock, of.0) => $Guard<'a, T>
        }

        impl<'a, T: ?Sized> $Future<'a, T> {
            #[inline]
            pub(crate) fn new(lock: &'a MultiLock, data: NonNull<T>) -> Self {
                Self { acquire: RawAcquire::new(lock, Mode::$mode), of: DataPtr(data, PhantomData) }
            }
        }

        // SAFETY: the future creates the guard in the thread that polls it. So sending the future
        // is like sending the guard.
        unsafe impl<T: ?Sized + $($bounds)*> Send for $Future<'_, T> {}
        // SAFETY: a reference to the future gives no access to the data.
        unsafe impl<T: ?Sized + Sync> Sync for $Future<'_, T> {}
    };
}

borrowing_future!(Read, "read", Shared, RwLockReadGuard, *const T, Sync);
borrowing_future! {
    UpgradableRead, "upgradable_read", Upgradable, RwLockUpgradableReadGuard, *mut T, Send + Sync
}
borrowing_future!(Write, "write", Exclusive, RwLockWriteGuard, *mut T, Send + Sync);

/// Defines a future that upgrades an upgradable guard to a write guard.
macro_rules! upgrade_future {
    ($Future:ident [$($lt:lifetime,)? $T:ident], $upgrading:lifetime, $Upgradable:ident, $Write:ident, $example:expr) => {
        #[doc = concat!("The future of [`", stringify!($Upgradable), "::upgrade`](crate::", stringify!($Upgradable), "::upgrade).")]
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        #[doc = concat!("use multilock::futures::", stringify!($Future), ";")]
        #[doc = $example]
        #[doc = concat!("let future: ", stringify!($Future), "<_> = ", stringify!($Upgradable), "::upgrade(guard);")]
        /// assert_eq!(*future.await, (1, 2));
        /// # });
        /// ```
        #[must_use = "a future does nothing unless it is polled: `.await` it"]
        pub struct $Future<$($lt,)? $T: ?Sized> {
            /// `None` when the upgrade is done. The upgrade is dropped before the guard, which
            /// keeps the lock alive.
            upgrading: Option<RawUpgrade<$upgrading>>,
            guard: Option<$Upgradable<$($lt,)? $T>>,
        }

        impl<$($lt,)? $T: ?Sized> Future for $Future<$($lt,)? $T> {
            type Output = $Write<$($lt,)? $T>;

            /// # Panics
            ///
            /// Panics if the future was ready before.
            #[track_caller]
            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                // SAFETY: the upgrade is the only field that is pinned with this future, and it is
                // not moved.
                let this = unsafe { self.get_unchecked_mut() };
                let upgrading = this.upgrading.as_mut().expect("polled after it was ready");
                // SAFETY: as above, the upgrade is not moved.
                let upgraded = ready!(unsafe { Pin::new_unchecked(upgrading) }.poll(cx));
                this.upgrading = None;
                let guard = this.guard.take().expect("the guard lives as long as the upgrade");
                assert!(upgraded, "{FORGOTTEN}");
                let (lock, data) = guard.into_parts();
                Poll::Ready($Write::new(lock, data))
            }
        }

        impl<$($lt,)? $T: ?Sized> FusedFuture for $Future<$($lt,)? $T> {
            fn is_terminated(&self) -> bool {
                self.upgrading.is_none()
            }
        }
    };
}

upgrade_future! {
    Upgrade ['a, T], 'a, RwLockUpgradableReadGuard, RwLockWriteGuard,
    example!("try_upgradable_read", "", RwLockUpgradableReadGuard)
}
opaque_debug!(Upgrade ['_, T]);

impl<'a, T: ?Sized> Upgrade<'a, T> {
    pub(super) fn new(guard: RwLockUpgradableReadGuard<'a, T>) -> Self {
        let upgrading = RawUpgrade::new(&guard.lock.raw, Mode::Upgradable);
        Self { upgrading: Some(upgrading), guard: Some(guard) }
    }
}
