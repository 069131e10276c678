//! The methods of [`MultiLock`] that block a thread.

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
    /// The thread spins for a moment, yields to other threads a few times, and then waits in the
    /// queue as a task would. If the woken thread finds the lock taken, it is handed the lock the
    /// next time.
    ///
    /// # Deadlocks
    ///
    /// The wait may never end if the thread already holds the same lock: see
    /// [`MultiLock`](Self#deadlocks). A call from async code deadlocks if the holder needs the
    /// blocked thread in order to go on.
    ///
    /// # The token of the thread
    ///
    /// No blocking call of this crate uses [`std::thread::park`]. If another thread unparks this
    /// one meanwhile, the next `park` of the caller returns at once. A blocking call does not leave
    /// a token behind either.
    #[inline]
    pub fn acquire_blocking(&self, mode: Mode) -> Guard<'_> {
        self.raw.acquire_blocking(mode);
        Guard::new(self, mode)
    }

    /// Acquires the lock in `mode`, blocking the thread until the lock is available, with a guard
    /// that is `'static`.
    ///
    /// In all other respects this is [`acquire_blocking`](Self::acquire_blocking), with the same
    /// deadlocks.
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
    /// Returns `None` if the time is over. A `timeout` of zero makes one try. If `timeout` is too
    /// long for the clock, there is no limit.
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
    #[must_use = "the lock is released as soon as the guard is dropped"]
    pub fn acquire_blocking_timeout(&self, mode: Mode, timeout: Duration) -> Option<Guard<'_>> {
        self.raw.acquire_blocking_timeout(mode, timeout).then(|| Guard::new(self, mode))
    }

    /// Acquires the lock in `mode`, blocking the thread until the lock is available, but no longer
    /// than until `deadline`.
    ///
    /// Returns `None` if the time is over. If `deadline` has already passed, the method makes one
    /// try.
    #[doc(alias = "acquire_deadline")]
    #[must_use = "the lock is released as soon as the guard is dropped"]
    pub fn acquire_blocking_deadline(&self, mode: Mode, deadline: Instant) -> Option<Guard<'_>> {
        self.raw.acquire_blocking_deadline(mode, deadline).then(|| Guard::new(self, mode))
    }

    /// Acquires the lock in `mode`, blocking the thread for no longer than `timeout`, with a guard
    /// that is `'static`.
    ///
    /// Returns `None` if the time is over. The limits are those of
    /// [`acquire_blocking_timeout`](Self::acquire_blocking_timeout).
    #[doc(alias = "acquire_timeout_arc")]
    #[must_use = "the lock is released as soon as the guard is dropped"]
    pub fn acquire_blocking_timeout_arc(
        self: &Arc<Self>,
        mode: Mode,
        timeout: Duration,
    ) -> Option<GuardArc> {
        self.raw.acquire_blocking_timeout(mode, timeout).then(|| GuardArc::new(self.clone(), mode))
    }

    /// Acquires the lock in `mode`, blocking the thread for no longer than until `deadline`, with a
    /// guard that is `'static`.
    ///
    /// Returns `None` if the time is over. If `deadline` has already passed, the method makes one
    /// try, as [`acquire_blocking_deadline`](Self::acquire_blocking_deadline) does.
    #[doc(alias = "acquire_deadline_arc")]
    #[must_use = "the lock is released as soon as the guard is dropped"]
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
    /// See [`RawAcquire::for_thread`].
    pub(crate) fn for_thread(lock: &'a MultiLock, mode: Mode) -> Self {
        Self(RawAcquire::for_thread(lock, mode))
    }
}
