//! Acquisitions by blocked threads.

#[cfg(not(loom))]
use std::time::{Duration, Instant};

use crate::error::HandleInUse;
#[cfg(not(loom))]
use crate::error::TryAcquireError;
use crate::mode::Mode;
use crate::named::{HandleLock, confirm_held, take_handle};

impl<H: Eq> HandleLock<H> {
    /// Acquires the lock in `mode` by the name `handle`, blocking the thread until it is available.
    ///
    /// # Deadlocks
    ///
    /// A caller that already holds the same lock, by whatever name, can deadlock with itself.
    /// Inside of async code, the call can also deadlock if the holder needs the blocked thread to
    /// make progress. The method waits as
    /// [`MultiLock::acquire_blocking`](crate::MultiLock::acquire_blocking) does.
    ///
    /// # Errors
    ///
    /// Returns [`HandleInUse`], at once, if the name is in use. An error changes nothing.
    pub fn acquire_blocking(&self, mode: Mode, handle: H) -> Result<(), HandleInUse<H>> {
        let mut handle = Some(handle);
        match self.registry.reserve(&mut handle) {
            Some(reservation) => {
                self.lock.raw.acquire_blocking(mode);
                confirm_held(reservation, mode);
                Ok(())
            }
            None => Err(HandleInUse(take_handle(&mut handle))),
        }
    }
}

#[cfg(not(loom))]
impl<H: Eq> HandleLock<H> {
    /// Acquires the lock in `mode` by the name `handle`, blocking the thread until it is available,
    /// but no longer than `timeout`.
    ///
    /// If `timeout` is zero, the lock is tried once. If `timeout` is too long for the clock, there
    /// is no limit.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::HandleInUse`], at once, if the name is in use, and
    /// [`TryAcquireError::WouldBlock`] if the time is over. An error changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode, TryAcquireError};
    /// use std::time::Duration;
    ///
    /// let lock = HandleLock::new();
    /// lock.try_acquire(Mode::Shared, "reader").unwrap();
    /// let writer = lock.acquire_blocking_timeout(Mode::Exclusive, "writer", Duration::from_millis(1));
    /// assert_eq!(writer, Err(TryAcquireError::WouldBlock("writer")));
    /// ```
    #[doc(alias = "acquire_timeout")]
    pub fn acquire_blocking_timeout(
        &self,
        mode: Mode,
        handle: H,
        timeout: Duration,
    ) -> Result<(), TryAcquireError<H>> {
        self.acquire_with(mode, handle, || self.lock.raw.acquire_blocking_timeout(mode, timeout))
    }

    /// Acquires the lock in `mode` by the name `handle`, blocking the thread until it is available,
    /// but no longer than until `deadline`.
    ///
    /// If `deadline` has passed, the lock is tried once.
    /// [`acquire_blocking_timeout`](Self::acquire_blocking_timeout) takes a duration instead.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::HandleInUse`], at once, if the name is in use, and
    /// [`TryAcquireError::WouldBlock`] if the time is over. An error changes nothing.
    #[doc(alias = "acquire_deadline")]
    pub fn acquire_blocking_deadline(
        &self,
        mode: Mode,
        handle: H,
        deadline: Instant,
    ) -> Result<(), TryAcquireError<H>> {
        self.acquire_with(mode, handle, || self.lock.raw.acquire_blocking_deadline(mode, deadline))
    }
}
