//! The methods that most users need. The module is the first one, so they are the first in the documentation.

use core::cell::UnsafeCell;
use core::ptr::NonNull;

use futures_core::FusedFuture;

use crate::lock::MultiLock;
use crate::lock::cancel::acquire_or;
use crate::mode::Mode;
use crate::rwlock::RwLock;
use crate::rwlock::futures::{Read, UpgradableRead, Write};
use crate::rwlock::guards::{RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::sync::const_fn;
use crate::sync::future::Fused;

impl<T> RwLock<T> {
    const_fn! {
        /// Creates an unlocked lock that contains `data`.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::RwLock;
        ///
        /// static NAMES: RwLock<Vec<String>> = RwLock::new(Vec::new());
        /// assert!(NAMES.try_read().unwrap().is_empty());
        /// ```
        #[must_use]
        pub fn new(data: T) -> Self {
            Self { lock: MultiLock::new(), data: UnsafeCell::new(data) }
        }
    }

    /// Consumes the lock and returns the data.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::RwLock;
    ///
    /// let lock = RwLock::new(1);
    /// *lock.try_write().unwrap() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[must_use]
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

/// Defines the asynchronous methods that acquire the lock in one mode.
macro_rules! acquire_methods {
    (
        $mode:ident, $access:literal, $Guard:ident, $Future:ident, $try:ident, $wait:ident, $or:ident
    ) => {
        #[doc = concat!("Acquires ", $access, " access if that is possible now. Never waits.")]
        ///
        #[doc = fails_if!($mode)]
        ///
        /// The method has no spurious failures. A [reservation](MultiLock#fairness) does not make
        /// it fail.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::RwLock;
        ///
        /// let lock = RwLock::new(1);
        #[doc = concat!("let guard = lock.", stringify!($try), "().unwrap();")]
        /// assert_eq!(*guard, 1);
        /// assert!(lock.try_write().is_none());
        /// ```
        #[inline]
        #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        pub fn $try(&self) -> Option<$Guard<'_, T>> {
            let acquired = self.lock.raw.try_acquire(Mode::$mode);
            acquired.then(|| $Guard::new(&self.lock, self.data()))
        }

        #[doc = concat!("Acquires ", $access, " access, waiting asynchronously until it is available.")]
        ///
        #[doc = waits_while!($mode)]
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point. It then does not hold the lock, and has lost its
        /// place in the queue. If it had been woken, its drop passes the wake-up on to the next
        /// waiter.
        ///
        /// # Deadlocks
        ///
        #[doc = deadlocks!($mode, "task")]
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        /// use multilock::RwLock;
        ///
        /// let lock = RwLock::new(1);
        #[doc = concat!("let guard = lock.", stringify!($wait), "().await;")]
        /// assert_eq!(*guard, 1);
        /// # });
        /// ```
        #[inline]
        pub fn $wait(&self) -> $Future<'_, T> {
            $Future::new(&self.lock, self.data())
        }

        #[doc = concat!("Acquires ", $access, " access, unless `cancel` is ready first.")]
        ///
        /// With a timer as `cancel`, this is an acquisition with a time limit, on any runtime:
        /// [`MultiLock::acquire_or`](crate::MultiLock::acquire_or) shows the timers of
        /// some. Each poll tries to acquire the lock first, and polls `cancel` only if that fails.
        #[doc = concat!("When `cancel` is ready, the future tries once more, like [`", stringify!($try), "`](Self::", stringify!($try), ").")]
        /// So if both are ready, the lock is acquired.
        ///
        #[doc = waits_while!($mode)]
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point, and `cancel` is dropped with it. It then does
        /// not hold the lock, and has lost its place in the queue. If it had been woken, its drop
        /// passes the wake-up on to the next waiter.
        ///
        /// # Deadlocks
        ///
        /// If the task already holds the same lock, the wait may end only when `cancel` is ready.
        ///
        /// # Errors
        ///
        /// Returns the output of `cancel`. The acquisition has then lost its place in the queue,
        /// and does not hold the lock. A wake-up that it had not used is passed on.
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        /// use multilock::RwLock;
        /// use std::future::{pending, ready};
        ///
        /// let lock = RwLock::new(1);
        #[doc = concat!("let guard = lock.", stringify!($or), "(pending::<()>()).await.unwrap();")]
        /// // In a program, `cancel` may be a timer, or the signal to shut down.
        /// let late = lock.write_or(ready("too late")).await;
        /// assert_eq!(late.unwrap_err(), "too late");
        /// drop(guard);
        /// # });
        /// ```
        pub fn $or<C: Future>(
            &self,
            cancel: C,
        ) -> impl FusedFuture<Output = Result<$Guard<'_, T>, C::Output>> {
            acquire_or(self.$wait(), cancel, || self.$try())
        }
    };
}

impl<T: ?Sized> RwLock<T> {
    acquire_methods! { Shared, "read", RwLockReadGuard, Read, try_read, read, read_or }
    acquire_methods! {
        Upgradable, "upgradable read", RwLockUpgradableReadGuard, UpgradableRead,
        try_upgradable_read, upgradable_read, upgradable_read_or
    }
    acquire_methods! { Exclusive, "write", RwLockWriteGuard, Write, try_write, write, write_or }

    /// Calls `f` with read access to the data, waiting asynchronously until it is available.
    ///
    /// Returns what `f` returns. `f` is not async, so the access does not last across an `.await`:
    /// the lock is never held by a task that is not running. Prefer this method to
    /// [`read`](Self::read) if the section has no `.await` and the guard is not passed on:
    /// [`RwLock`](Self#without-guards) says more.
    ///
    #[doc = waits_while!(Shared)]
    ///
    /// If `f` panics, access ends, and the panic propagates out of the poll.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point. `f` runs to its end within one poll, so it runs
    /// completely or not at all. A future that is dropped before does not hold the lock, and has
    /// lost its place in the queue. If it had been woken, its drop passes the wake-up on to the next
    /// waiter.
    ///
    /// # Deadlocks
    ///
    #[doc = deadlocks!(Shared, "task")]
    /// A blocking call in `f` blocks the executor, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::RwLock;
    ///
    /// let names = RwLock::new(vec!["a", "b"]);
    /// let count = names.with(|names| names.len()).await;
    /// assert_eq!(count, 2);
    /// # });
    /// ```
    pub fn with<F: FnOnce(&T) -> R, R>(&self, f: F) -> impl FusedFuture<Output = R> {
        Fused::<_, (Read<'_, T>, F)>::new(async move {
            let guard = self.read().await;
            let output = f(&guard);
            // Not when the output is being returned: it would be leaked if a waker panics.
            drop(guard);
            output
        })
    }

    /// Calls `f` with write access to the data, waiting asynchronously until it is available.
    ///
    /// Returns what `f` returns. `f` is not async, so the access does not last across an `.await`:
    /// a task that is canceled cannot leave the data half changed, and the lock is never held by a
    /// task that is not running. Prefer this method to [`write`](Self::write) if the section has no
    /// `.await` and the guard is not passed on: [`RwLock`](Self#without-guards) says more.
    ///
    #[doc = waits_while!(Exclusive)]
    ///
    /// If `f` panics, access ends, and the panic propagates out of the poll. There is no poisoning:
    /// the data stays as `f` left it.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point. `f` runs to its end within one poll, so it runs
    /// completely or not at all. A future that is dropped before does not hold the lock, and has
    /// lost its place in the queue. If it had been woken, its drop passes the wake-up on to the next
    /// waiter.
    ///
    /// # Deadlocks
    ///
    #[doc = deadlocks!(Exclusive, "task")]
    /// A blocking call in `f` blocks the executor, too.
    ///
    /// # Examples
    ///
    /// Two accounts that always have the same sum, although the task may be canceled at any
    /// `.await`:
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::RwLock;
    ///
    /// let accounts = RwLock::new((10, 0));
    /// accounts
    ///     .with_mut(|(from, to)| {
    ///         *from -= 3;
    ///         *to += 3;
    ///     })
    ///     .await;
    /// assert_eq!(accounts.into_inner(), (7, 3));
    /// # });
    /// ```
    pub fn with_mut<F: FnOnce(&mut T) -> R, R>(&self, f: F) -> impl FusedFuture<Output = R> {
        Fused::<_, (Write<'_, T>, F)>::new(async move {
            let mut guard = self.write().await;
            let output = f(&mut guard);
            // Not when the output is being returned: it would be leaked if a waker panics.
            drop(guard);
            output
        })
    }

    /// Returns the [`MultiLock`] that protects the data.
    ///
    /// Use it to inspect the lock, to wait until a mode can be acquired, to monitor the lock, or to
    /// keep other tasks and threads out. A guard of the `MultiLock` gives no access to the data.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, RwLock};
    ///
    /// let lock = RwLock::new(1);
    /// let read = lock.try_read().unwrap();
    /// assert_eq!(lock.raw().locked(), Some(Mode::Shared));
    /// assert_eq!(lock.raw().snapshot().shared_holders(), 1);
    /// drop(read);
    /// ```
    #[must_use]
    pub fn raw(&self) -> &MultiLock {
        &self.lock
    }

    /// Returns a mutable reference to the data.
    ///
    /// The caller has the only reference to the lock, so no guard is needed.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::RwLock;
    ///
    /// let mut lock = RwLock::new(1);
    /// *lock.get_mut() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    pub(super) fn data(&self) -> NonNull<T> {
        // SAFETY: the cell exists, so the pointer to its content is not null.
        unsafe { NonNull::new_unchecked(self.data.get()) }
    }
}
