//! The methods of [`RwLock`] and of its guards that block a thread.
//!
//! `std` has [`Arc`] on each of its targets, so the methods that return an owning guard need no
//! condition of their own.

use std::sync::Arc;
#[cfg(not(loom))]
use std::time::{Duration, Instant};

use super::condition::{check, when_text};
use super::guards::{FORGOTTEN, HasLock};
use super::owned::{RwLockReadGuardArc, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc};
use super::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::mode::Mode;
use crate::raw::RawUpgrade;
use crate::sync::block::block_on;

/// Defines the methods that acquire the lock in one mode, and block the thread until it is
/// available.
macro_rules! acquire_blocking_methods {
    (
        $mode:ident, $access:literal, $Guard:ident, $GuardArc:ident,
        $block:ident, $timeout:ident = $old_timeout:literal,
        $block_arc:ident, $timeout_arc:ident = $old_timeout_arc:literal
    ) => {
        #[doc = concat!("Acquires ", $access, " access, blocking the thread until it is available.")]
        ///
        #[doc = waits_while!($mode)]
        ///
        #[doc = text!(blocks)]
        ///
        /// # Deadlocks
        ///
        #[doc = deadlocks!($mode, "thread")]
        /// A call from async code deadlocks if the holder needs the blocked thread in order to go
        /// on.
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

        #[doc = concat!("Acquires ", $access, " access, blocking the thread until it is available, but no longer than `timeout`.")]
        ///
        /// Returns `None` if the lock was not available in time. At the end of `timeout` the method
        /// tries once more. If `timeout` is zero, the method does not block. If `timeout` is too
        /// long for the clock, there is no limit.
        ///
        #[doc = waits_while!($mode)]
        ///
        #[doc = text!(blocks_in_time)]
        ///
        /// # Deadlocks
        ///
        #[doc = text!(deadlocks_in_time)]
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
        #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        #[doc(alias = $old_timeout)]
        pub fn $timeout(&self, timeout: Duration) -> Option<$Guard<'_, T>> {
            let acquired = self.lock.raw.acquire_blocking_timeout(Mode::$mode, timeout);
            acquired.then(|| $Guard::new(&self.lock, self.data()))
        }

        #[doc = concat!("Acquires ", $access, " access, blocking the thread until it is available. Returns a guard that owns the lock.")]
        ///
        /// The guard owns a clone of the `Arc`.
        ///
        #[doc = waits_while!($mode)]
        ///
        #[doc = text!(blocks)]
        ///
        /// # Deadlocks
        ///
        #[doc = deadlocks!($mode, "thread")]
        /// A call from async code deadlocks if the holder needs the blocked thread in order to go
        /// on.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::RwLock;
        /// use std::sync::Arc;
        ///
        /// let lock = Arc::new(RwLock::new(1));
        #[doc = concat!("let guard = lock.", stringify!($block_arc), "();")]
        /// drop(lock);
        /// assert_eq!(*guard, 1);
        /// ```
        #[inline]
        pub fn $block_arc(self: &Arc<Self>) -> $GuardArc<T> {
            self.lock.raw.acquire_blocking(Mode::$mode);
            $GuardArc::new(self.clone().into(), self.data())
        }

        #[doc = concat!("Acquires ", $access, " access, blocking the thread until it is available, but no longer than `timeout`. Returns a guard that owns the lock.")]
        ///
        /// The guard owns a clone of the `Arc`.
        ///
        /// Returns `None` if the lock was not available in time. At the end of `timeout` the method
        /// tries once more. If `timeout` is zero, the method does not block. If `timeout` is too
        /// long for the clock, there is no limit.
        ///
        #[doc = waits_while!($mode)]
        ///
        #[doc = text!(blocks_in_time)]
        ///
        /// # Deadlocks
        ///
        #[doc = text!(deadlocks_in_time)]
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::RwLock;
        /// use std::sync::Arc;
        /// use std::time::Duration;
        ///
        /// let lock = Arc::new(RwLock::new(1));
        #[doc = concat!("let guard = lock.", stringify!($timeout_arc), "(Duration::from_millis(1)).unwrap();")]
        /// drop(lock);
        /// assert_eq!(*guard, 1);
        /// ```
        #[cfg(not(loom))]
        #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
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

    /// Calls `f` with read access to the data, blocking the thread until it is available.
    ///
    /// Returns what `f` returns. Access ends when `f` returns. If `f` panics, access ends, and the
    /// panic propagates.
    ///
    #[doc = waits_while!(Shared)]
    ///
    #[doc = text!(blocks)]
    ///
    /// # Deadlocks
    ///
    #[doc = deadlocks!(Shared, "thread")]
    /// A call from async code deadlocks if the holder needs the blocked thread in order to go on:
    /// use [`with`](Self::with) there.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::RwLock;
    ///
    /// let names = RwLock::new(vec!["a", "b"]);
    /// assert_eq!(names.with_blocking(|names| names.len()), 2);
    /// ```
    pub fn with_blocking<F: FnOnce(&T) -> R, R>(&self, f: F) -> R {
        let guard = self.read_blocking();
        let output = f(&guard);
        // Not when the output is being returned: it would be leaked if a waker panics.
        drop(guard);
        output
    }

    /// Calls `f` with write access to the data, blocking the thread until it is available.
    ///
    /// Returns what `f` returns. Access ends when `f` returns. If `f` panics, access ends, and the
    /// panic propagates. There is no poisoning: the data stays as `f` left it.
    ///
    #[doc = waits_while!(Exclusive)]
    ///
    #[doc = text!(blocks)]
    ///
    /// # Deadlocks
    ///
    #[doc = deadlocks!(Exclusive, "thread")]
    /// A call from async code deadlocks if the holder needs the blocked thread in order to go on:
    /// use [`with_mut`](Self::with_mut) there.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::RwLock;
    ///
    /// let count = RwLock::new(1);
    /// let before = count.with_mut_blocking(|count| std::mem::replace(count, 5));
    /// assert_eq!((before, count.into_inner()), (1, 5));
    /// ```
    pub fn with_mut_blocking<F: FnOnce(&mut T) -> R, R>(&self, f: F) -> R {
        let mut guard = self.write_blocking();
        let output = f(&mut guard);
        // Not when the output is being returned: it would be leaked if a waker panics.
        drop(guard);
        output
    }
}

/// Defines the methods that acquire the lock in one mode when a condition holds, and block the
/// thread until then.
macro_rules! when_blocking_methods {
    (
        $mode:ident, $access:literal, $Guard:ty, $self:ident [$($this:tt)*], $lock:expr,
        $acquire:ident, $release:expr, $when:ident, $block:ident, $timeout:ident, $new:literal
    ) => {
        #[doc = concat!("Acquires ", $access, " access when `condition` holds for the data, blocking the thread until then.")]
        ///
        #[doc = when_text!(condition)]
        ///
        #[doc = when_text!(must_not)]
        ///
        #[doc = concat!("[`", stringify!($when), "`](Self::", stringify!($when), ") documents what a condition costs.")]
        /// The call leaves the token of [`std::thread::park`] as it was.
        ///
        /// # Deadlocks
        ///
        /// The wait never ends if the condition does not hold, and no other task or thread makes it
        /// true. While the thread already holds the lock, none can. A call from async code deadlocks
        /// if the condition becomes true only after the blocked thread has gone on.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!($new, ";")]
        /// std::thread::scope(|scope| {
        ///     scope.spawn(|| *lock.write_blocking() = true);
        #[doc = concat!("    assert!(*lock.", stringify!($block), "(|ready: &bool| *ready));")]
        /// });
        /// ```
        pub fn $block<C: FnMut(&T) -> bool>($($this)*, mut condition: C) -> $Guard {
            let mut watcher = None;
            loop {
                let guard = $self.$acquire();
                if let Some(guard) = check(&$self.lock, guard, &mut condition, &mut watcher, $release) {
                    return guard;
                }
                if let Some(watcher) = &watcher {
                    block_on(watcher.wait(), None);
                }
            }
        }

        #[doc = concat!("Acquires ", $access, " access when `condition` holds for the data, blocking the thread until then, but no longer than `timeout`.")]
        ///
        /// Returns `None` if the condition did not hold in time. At the end of `timeout` the method
        /// tries once more. If `timeout` is too long for the clock, there is no limit.
        ///
        #[doc = when_text!(condition)]
        ///
        #[doc = when_text!(must_not)]
        ///
        #[doc = concat!("[`", stringify!($when), "`](Self::", stringify!($when), ") documents what a condition costs.")]
        /// The call leaves the token of [`std::thread::park`] as it was.
        ///
        /// # Deadlocks
        ///
        /// The thread blocks until its time is over if the condition does not hold, and no other
        /// task or thread makes it true. While the thread already holds the lock, none can.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::time::Duration;
        #[doc = concat!($new, ";")]
        /// let limit = Duration::from_millis(1);
        #[doc = concat!("assert!(lock.", stringify!($timeout), "(|ready: &bool| *ready, limit).is_none());")]
        /// ```
        #[cfg(not(loom))]
        #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        #[allow(clippy::useless_conversion, reason = "a read guard keeps another pointer")]
        pub fn $timeout<C: FnMut(&T) -> bool>(
            $($this)*,
            mut condition: C,
            timeout: Duration,
        ) -> Option<$Guard> {
            let Some(deadline) = Instant::now().checked_add(timeout) else {
                return Some($self.$block(condition));
            };
            let (mut watcher, mut in_time) = (None, true);
            loop {
                let acquired = $self.lock.raw.acquire_blocking_deadline(Mode::$mode, deadline);
                let guard = acquired.then(|| <$Guard>::new($lock, $self.data()))?;
                let guard = check(&$self.lock, guard, &mut condition, &mut watcher, $release);
                if guard.is_some() || !in_time {
                    return guard;
                }
                if let Some(watcher) = &watcher {
                    in_time = block_on(watcher.wait(), Some(deadline)).is_some();
                }
            }
        }
    };
}

impl<T: ?Sized> RwLock<T> {
    when_blocking_methods! {
        Shared, "read", RwLockReadGuard<'_, T>, self [&self], &self.lock,
        read_blocking, drop,
        read_when, read_when_blocking, read_when_blocking_timeout, "use multilock::RwLock;\n\nlet lock = RwLock::new(false)"
    }
    when_blocking_methods! {
        Shared, "read", RwLockReadGuardArc<T>, self [self: &Arc<Self>], self.clone().into(),
        read_arc_blocking, drop,
        read_arc_when, read_arc_when_blocking, read_arc_when_blocking_timeout,
        "use multilock::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(false))"
    }
    when_blocking_methods! {
        Upgradable, "upgradable read", RwLockUpgradableReadGuard<'_, T>, self [&self], &self.lock,
        upgradable_read_blocking, drop,
        upgradable_read_when, upgradable_read_when_blocking, upgradable_read_when_blocking_timeout, "use multilock::RwLock;\n\nlet lock = RwLock::new(false)"
    }
    when_blocking_methods! {
        Upgradable, "upgradable read", RwLockUpgradableReadGuardArc<T>, self [self: &Arc<Self>], self.clone().into(),
        upgradable_read_arc_blocking, drop,
        upgradable_read_arc_when, upgradable_read_arc_when_blocking, upgradable_read_arc_when_blocking_timeout,
        "use multilock::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(false))"
    }
    when_blocking_methods! {
        Exclusive, "write", RwLockWriteGuard<'_, T>, self [&self], &self.lock,
        write_blocking, RwLockWriteGuard::release_unchanged,
        write_when, write_when_blocking, write_when_blocking_timeout, "use multilock::RwLock;\n\nlet lock = RwLock::new(false)"
    }
    when_blocking_methods! {
        Exclusive, "write", RwLockWriteGuardArc<T>, self [self: &Arc<Self>], self.clone().into(),
        write_arc_blocking, RwLockWriteGuardArc::release_unchanged,
        write_arc_when, write_arc_when_blocking, write_arc_when_blocking_timeout,
        "use multilock::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(false))"
    }
}

/// Defines the method by which an upgradable guard becomes a write guard, and blocks the thread.
macro_rules! upgrade_blocking_method {
    ([$($generics:tt)*] $Guard:ident, $Upgradable:ty => $Write:ty, $arc:tt) => {
        impl<$($generics)*> $Upgradable {
            /// Upgrades the guard to a write guard, blocking the thread until the other readers
            /// have left.
            ///
            /// From the moment of the call, no other task or thread acquires the lock, in any mode.
            /// So the data has not changed since this guard read it.
            ///
            /// # Deadlocks
            ///
            /// The wait never ends if the thread keeps another read guard of the same lock
            /// meanwhile, or if the holder of such a guard waits for this thread.
            ///
            /// # Panics
            ///
            /// Panics if an earlier [`upgrade_in_place`](Self::upgrade_in_place), or the guard of
            /// one, was forgotten (`mem::forget`).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_upgradable_read", $arc, $Guard)]
            #[doc = concat!("let mut guard = ", stringify!($Guard), "::upgrade_blocking(guard);")]
            /// guard.0 += 1;
            /// ```
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

upgrade_blocking_method! {
    ['a, T: ?Sized] RwLockUpgradableReadGuard,
    RwLockUpgradableReadGuard<'a, T> => RwLockWriteGuard<'a, T>, ""
}
upgrade_blocking_method! {
    [T: ?Sized] RwLockUpgradableReadGuardArc,
    RwLockUpgradableReadGuardArc<T> => RwLockWriteGuardArc<T>, "_arc"
}
