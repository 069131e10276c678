//! The methods of [`MultiLock`] that block a thread.
//!
//! `std` has [`Arc`] on each of its targets, so the methods that return an owning guard need no
//! condition of their own.

use std::sync::Arc;
#[cfg(not(loom))]
use std::time::{Duration, Instant};

#[cfg(test)]
use crate::lock::AcquireFuture;
use crate::lock::MultiLock;
use crate::lock::guard::Guard;
use crate::lock::owned::GuardArc;
use crate::mode::Mode;
#[cfg(test)]
use crate::raw::acquire::RawAcquire;

impl MultiLock {
    /// Acquires the lock in `mode`, blocking the thread until the lock is available.
    ///
    #[doc = text!(waits)]
    ///
    #[doc = text!(blocks)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(blocking_deadlocks)]
    ///
    /// # The token of the thread
    ///
    /// No blocking call of this crate uses [`std::thread::park`]. If another thread unparks this
    /// one meanwhile, the next `park` of the caller returns at once. A blocking call does not leave
    /// a token behind either.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let guard = lock.acquire_blocking(Mode::Exclusive);
    /// assert_eq!(lock.locked(), Some(Mode::Exclusive));
    /// drop(guard);
    /// ```
    #[inline]
    pub fn acquire_blocking(&self, mode: Mode) -> Guard<'_> {
        self.raw.acquire_blocking(mode);
        Guard::new(self, mode)
    }

    /// Acquires the lock in `mode`, blocking the thread until the lock is available. Returns a
    /// guard that is `'static`.
    ///
    /// The guard owns a clone of the `Arc`.
    ///
    #[doc = text!(waits)]
    ///
    #[doc = text!(blocks)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(blocking_deadlocks)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    /// use std::sync::Arc;
    /// use std::thread;
    ///
    /// let lock = Arc::new(MultiLock::new());
    /// let guard = lock.acquire_blocking_arc(Mode::Shared);
    /// thread::spawn(move || drop(guard)).join().unwrap();
    /// assert_eq!(lock.locked(), None);
    /// ```
    #[inline]
    pub fn acquire_blocking_arc(self: &Arc<Self>, mode: Mode) -> GuardArc {
        self.raw.acquire_blocking(mode);
        GuardArc::new(self.clone(), mode)
    }
}

/// Loom has no clock.
#[cfg(not(loom))]
impl MultiLock {
    /// Acquires the lock in `mode`, blocking the thread until the lock is available, but no longer
    /// than `timeout`.
    ///
    /// Returns `None` if the lock was not available in time. At the end of `timeout` the method
    /// tries once more, like [`try_acquire`](Self::try_acquire). If `timeout` is zero, the method
    /// does not block. If `timeout` is too long for the clock, there is no limit.
    ///
    #[doc = text!(waits)]
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
    /// use multilock::{Mode, MultiLock};
    /// use std::time::Duration;
    ///
    /// let lock = MultiLock::new();
    /// let _shared = lock.acquire_blocking(Mode::Shared);
    /// assert!(lock.acquire_blocking_timeout(Mode::Exclusive, Duration::from_millis(1)).is_none());
    /// ```
    #[doc(alias = "acquire_timeout")]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn acquire_blocking_timeout(&self, mode: Mode, timeout: Duration) -> Option<Guard<'_>> {
        self.raw.acquire_blocking_timeout(mode, timeout).then(|| Guard::new(self, mode))
    }

    /// Acquires the lock in `mode`, blocking the thread until the lock is available, but no longer
    /// than until `deadline`.
    ///
    /// Returns `None` if the lock was not available in time. At `deadline` the method tries once
    /// more, like [`try_acquire`](Self::try_acquire). If `deadline` has already passed, the method
    /// does not block.
    ///
    #[doc = text!(waits)]
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
    /// use multilock::{Mode, MultiLock};
    /// use std::time::{Duration, Instant};
    ///
    /// let lock = MultiLock::new();
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// let _shared = lock.acquire_blocking_deadline(Mode::Shared, deadline).unwrap();
    /// assert!(lock.acquire_blocking_deadline(Mode::Exclusive, deadline).is_none());
    /// ```
    #[doc(alias = "acquire_deadline")]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn acquire_blocking_deadline(&self, mode: Mode, deadline: Instant) -> Option<Guard<'_>> {
        self.raw.acquire_blocking_deadline(mode, deadline).then(|| Guard::new(self, mode))
    }

    /// Acquires the lock in `mode`, blocking the thread until the lock is available, but no longer
    /// than `timeout`. Returns a guard that is `'static`.
    ///
    /// The guard owns a clone of the `Arc`.
    ///
    /// Returns `None` if the lock was not available in time. At the end of `timeout` the method
    /// tries once more, like [`try_acquire_arc`](Self::try_acquire_arc). If `timeout` is zero, the
    /// method does not block. If `timeout` is too long for the clock, there is no limit.
    ///
    #[doc = text!(waits)]
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
    /// use multilock::{Mode, MultiLock};
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// let lock = Arc::new(MultiLock::new());
    /// let limit = Duration::from_millis(1);
    /// let shared = lock.acquire_blocking_timeout_arc(Mode::Shared, limit).unwrap();
    /// assert!(lock.acquire_blocking_timeout_arc(Mode::Exclusive, limit).is_none());
    /// drop(shared);
    /// ```
    #[doc(alias = "acquire_timeout_arc")]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn acquire_blocking_timeout_arc(
        self: &Arc<Self>,
        mode: Mode,
        timeout: Duration,
    ) -> Option<GuardArc> {
        self.raw.acquire_blocking_timeout(mode, timeout).then(|| GuardArc::new(self.clone(), mode))
    }

    /// Acquires the lock in `mode`, blocking the thread until the lock is available, but no longer
    /// than until `deadline`. Returns a guard that is `'static`.
    ///
    /// The guard owns a clone of the `Arc`.
    ///
    /// Returns `None` if the lock was not available in time. At `deadline` the method tries once
    /// more, like [`try_acquire_arc`](Self::try_acquire_arc). If `deadline` has already passed, the
    /// method does not block.
    ///
    #[doc = text!(waits)]
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
    /// use multilock::{Mode, MultiLock};
    /// use std::sync::Arc;
    /// use std::time::{Duration, Instant};
    ///
    /// let lock = Arc::new(MultiLock::new());
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// let shared = lock.acquire_blocking_deadline_arc(Mode::Shared, deadline).unwrap();
    /// assert!(lock.acquire_blocking_deadline_arc(Mode::Exclusive, deadline).is_none());
    /// drop(shared);
    /// ```
    #[doc(alias = "acquire_deadline_arc")]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn acquire_blocking_deadline_arc(
        self: &Arc<Self>,
        mode: Mode,
        deadline: Instant,
    ) -> Option<GuardArc> {
        self.raw
            .acquire_blocking_deadline(mode, deadline)
            .then(|| GuardArc::new(self.clone(), mode))
    }
}

#[cfg(test)]
impl<'a> AcquireFuture<'a> {
    /// Creates the future of a thread: see [`RawAcquire::for_thread`].
    pub(crate) fn for_thread(lock: &'a MultiLock, mode: Mode) -> Self {
        Self(RawAcquire::for_thread(lock, mode))
    }
}
