//! The methods of [`RwLock`] and its guards that block a thread.

use std::sync::Arc;
#[cfg(not(loom))]
use std::time::Duration;

use super::guards::{FORGOTTEN, HasLock};
use super::owned::{RwLockReadGuardArc, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc};
use super::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::mode::Mode;
use crate::raw::RawUpgrade;
use crate::sync::block::block_on;

/// Defines the methods that block to acquire a lock in one mode.
macro_rules! acquire_blocking_methods {
    (
        $mode:ident, $access:literal, $Guard:ident, $GuardArc:ident,
        $block:ident, $timeout:ident = $old_timeout:literal,
        $block_arc:ident, $timeout_arc:ident = $old_timeout_arc:literal
    ) => {
        #[doc = concat!("Waits for ", $access, " access, and blocks the thread meanwhile.")]
        ///
        /// # Deadlocks
        ///
        /// A deadlock is possible if the thread has access already. A deadlock is also possible
        /// inside of async code, if the holder needs the blocked thread to make progress. See also
        /// [`MultiLock::acquire_blocking`](crate::MultiLock::acquire_blocking).
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::RwLock;
        ///
        /// let lock = RwLock::new(1);
        #[doc = concat!("let guard = lock.", stringify!($block), "();")]
        /// assert_eq!(*guard, 1);
        /// ```
        #[inline]
        pub fn $block(&self) -> $Guard<'_, T> {
            self.lock.raw.acquire_blocking(Mode::$mode);
            $Guard::new(&self.lock, self.data())
        }

        #[doc = concat!("Waits for ", $access, " access, and blocks the thread meanwhile, but no longer than `timeout`.")]
        ///
        /// Returns `None` if the time is over. If `timeout` is zero, the method tries once. If
        /// `timeout` is too long for the clock, there is no limit.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::RwLock;
        /// use std::time::Duration;
        ///
        /// let lock = RwLock::new(1);
        /// let _writes = lock.write_blocking();
        #[doc = concat!("assert!(lock.", stringify!($timeout), "(Duration::from_millis(1)).is_none());")]
        /// ```
        #[cfg(not(loom))]
        #[must_use = "access ends as soon as the guard is dropped"]
        #[doc(alias = $old_timeout)]
        pub fn $timeout(&self, timeout: Duration) -> Option<$Guard<'_, T>> {
            let acquired = self.lock.raw.acquire_blocking_timeout(Mode::$mode, timeout);
            acquired.then(|| $Guard::new(&self.lock, self.data()))
        }

        #[doc = concat!("As [`", stringify!($block), "`](Self::", stringify!($block), "), with a guard that owns the lock.")]
        ///
        /// The guard holds a clone of the `Arc`.
        ///
        /// # Deadlocks
        ///
        /// A deadlock is possible if the thread has access already. A deadlock is also possible
        /// inside of async code, if the holder needs the blocked thread to make progress.
        #[inline]
        pub fn $block_arc(self: &Arc<Self>) -> $GuardArc<T> {
            self.lock.raw.acquire_blocking(Mode::$mode);
            $GuardArc::new(self.clone().into(), self.data())
        }

        #[doc = concat!("As [`", stringify!($timeout), "`](Self::", stringify!($timeout), "), with a guard that owns the lock.")]
        ///
        /// The guard holds a clone of the `Arc`. Returns `None` if the time is over.
        #[cfg(not(loom))]
        #[must_use = "access ends as soon as the guard is dropped"]
        #[doc(alias = $old_timeout_arc)]
        pub fn $timeout_arc(self: &Arc<Self>, timeout: Duration) -> Option<$GuardArc<T>> {
            let acquired = self.lock.raw.acquire_blocking_timeout(Mode::$mode, timeout);
            acquired.then(|| $GuardArc::new(self.clone().into(), self.data()))
        }
    };
}

impl<T: ?Sized> RwLock<T> {
    acquire_blocking_methods! {
        Shared, "read", RwLockReadGuard, RwLockReadGuardArc,
        read_blocking, read_blocking_timeout = "read_timeout",
        read_arc_blocking, read_arc_blocking_timeout = "read_arc_timeout"
    }
    acquire_blocking_methods! {
        Upgradable, "upgradable read", RwLockUpgradableReadGuard, RwLockUpgradableReadGuardArc,
        upgradable_read_blocking, upgradable_read_blocking_timeout = "upgradable_read_timeout",
        upgradable_read_arc_blocking,
        upgradable_read_arc_blocking_timeout = "upgradable_read_arc_timeout"
    }
    acquire_blocking_methods! {
        Exclusive, "write", RwLockWriteGuard, RwLockWriteGuardArc,
        write_blocking, write_blocking_timeout = "write_timeout",
        write_arc_blocking, write_arc_blocking_timeout = "write_arc_timeout"
    }
}

/// Defines how an upgradable guard blocks to become a write guard.
macro_rules! upgrade_blocking_method {
    ([$($generics:tt)*] $Upgradable:ty => $Write:ty) => {
        impl<$($generics)*> $Upgradable {
            /// Upgrades the guard to a write guard, and blocks the thread until the other readers
            /// have left.
            ///
            /// Meanwhile the lock admits no new holder, as with [`upgrade`](Self::upgrade). So the
            /// data is what this guard has read.
            ///
            /// # Deadlocks
            ///
            /// A deadlock occurs if the thread, or a task or thread that waits for it, reads
            /// through another guard.
            ///
            /// # Panics
            ///
            /// Panics if an earlier [`upgrade_in_place`](Self::upgrade_in_place), or the guard of
            /// one, was forgotten (`mem::forget`).
            #[track_caller]
            pub fn upgrade_blocking(guard: Self) -> $Write {
                let upgrading = RawUpgrade::new(&guard.lock.multilock().raw, Mode::Upgradable);
                assert!(block_on(upgrading, None) == Some(true), "{FORGOTTEN}");
                let (lock, data) = guard.into_parts();
                <$Write>::new(lock, data)
            }
        }
    };
}

upgrade_blocking_method!(['a, T: ?Sized] RwLockUpgradableReadGuard<'a, T> => RwLockWriteGuard<'a, T>);
upgrade_blocking_method!([T: ?Sized] RwLockUpgradableReadGuardArc<T> => RwLockWriteGuardArc<T>);
