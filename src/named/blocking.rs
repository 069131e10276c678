//! Acquisitions by blocked threads.

#[cfg(not(loom))]
use std::time::{Duration, Instant};

use crate::mode::Mode;
use crate::named::error::HandleInUse;
#[cfg(not(loom))]
use crate::named::error::TryAcquireError;
use crate::named::{HandleLock, confirm_held, take_handle};

impl<H: Eq> HandleLock<H> {
    /// Acquires the lock in `mode` by `handle`, blocking the thread until the lock is available.
    ///
    /// The lock then stays held until it is [released](Self::release) by an equal handle.
    ///
    #[doc = text!(waits)]
    ///
    #[doc = text!(blocks)]
    ///
    /// # Deadlocks
    ///
    /// The wait may never end if the thread already holds the same lock, by whatever handle: see
    /// [`MultiLock`](crate::MultiLock#deadlocks). A call from async code deadlocks if the holder
    /// needs the blocked thread in order to go on.
    ///
    /// # Errors
    ///
    /// Returns [`HandleInUse`] at once if the handle is in use. The error contains the handle, and
    /// changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleInUse, HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// lock.acquire_blocking(Mode::Shared, 1).unwrap();
    /// assert_eq!(lock.acquire_blocking(Mode::Shared, 1), Err(HandleInUse(1)));
    /// assert_eq!(lock.release(&1), Some(Mode::Shared));
    /// ```
    pub fn acquire_blocking(&self, mode: Mode, handle: H) -> Result<(), HandleInUse<H>> {
        let mut handle = Some(handle);
        match self.registry.reserve(&mut handle) {
            Some(reservation) => {
                self.lock.raw.acquire_blocking(mode);
                confirm_held(self, reservation, mode);
                Ok(())
            }
            None => Err(HandleInUse(take_handle(&mut handle))),
        }
    }
}

#[cfg(not(loom))]
impl<H: Eq> HandleLock<H> {
    /// Acquires the lock in `mode` by `handle`, blocking the thread until the lock is available,
    /// but no longer than `timeout`.
    ///
    /// The lock then stays held until it is [released](Self::release) by an equal handle. A
    /// `timeout` of zero makes one try. If `timeout` is too long for the clock, there is no limit.
    ///
    #[doc = text!(waits)]
    ///
    #[doc = text!(blocks_in_time)]
    ///
    /// # Deadlocks
    ///
    /// The wait lasts for the whole `timeout` if the thread already holds the same lock in a mode
    /// that excludes `mode`, or if the holder needs the blocked thread in order to go on.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::HandleInUse`] at once if the handle is in use, and
    /// [`TryAcquireError::WouldBlock`] if the time is over. An error contains the handle, and
    /// changes nothing.
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

    /// Acquires the lock in `mode` by `handle`, blocking the thread until the lock is available,
    /// but no longer than until `deadline`.
    ///
    /// The lock then stays held until it is [released](Self::release) by an equal handle. If
    /// `deadline` has already passed, the method makes one try.
    ///
    #[doc = text!(waits)]
    ///
    #[doc = text!(blocks_in_time)]
    ///
    /// # Deadlocks
    ///
    /// The wait lasts until `deadline` if the thread already holds the same lock in a mode that
    /// excludes `mode`, or if the holder needs the blocked thread in order to go on.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::HandleInUse`] at once if the handle is in use, and
    /// [`TryAcquireError::WouldBlock`] if the time is over. An error contains the handle, and
    /// changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode, TryAcquireError};
    /// use std::time::{Duration, Instant};
    ///
    /// let lock = HandleLock::new();
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// lock.acquire_blocking_deadline(Mode::Shared, "reader", deadline).unwrap();
    /// let writer = lock.acquire_blocking_deadline(Mode::Exclusive, "writer", deadline);
    /// assert_eq!(writer, Err(TryAcquireError::WouldBlock("writer")));
    /// ```
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
