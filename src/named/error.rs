//! The error types of acquisitions by handle. An operation that returns one of them has not changed a
//! lock.

use core::error::Error;
use core::fmt;

/// A holder or a waiter of a [`HandleLock`](crate::HandleLock) already uses this handle.
///
/// The error contains the handle. The lock has not changed.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use multilock::{HandleInUse, HandleLock, Mode};
///
/// let lock = HandleLock::new();
/// lock.acquire(Mode::Shared, "a").await.unwrap();
/// assert_eq!(lock.acquire(Mode::Shared, "a").await, Err(HandleInUse("a")));
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandleInUse<H>(pub H);

impl<H> HandleInUse<H> {
    /// Returns the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// lock.try_acquire(Mode::Shared, String::from("a")).unwrap();
    /// let error = lock.acquire(Mode::Shared, String::from("a")).await.unwrap_err();
    /// assert_eq!(error.into_handle(), "a");
    /// # });
    /// ```
    #[must_use]
    pub fn into_handle(self) -> H {
        self.0
    }
}

impl<H> fmt::Display for HandleInUse<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handle is in use")
    }
}

impl<H: fmt::Debug> Error for HandleInUse<H> {}

/// The reason why a [`HandleLock`](crate::HandleLock) was not acquired.
///
/// The error contains the handle. The failed acquisition does not keep the handle in use.
///
/// # Examples
///
/// ```
/// use multilock::{HandleLock, Mode, TryAcquireError};
///
/// let lock = HandleLock::new();
/// lock.try_acquire(Mode::Exclusive, "a").unwrap();
/// match lock.try_acquire(Mode::Shared, "b") {
///     Ok(()) => println!("shared"),
///     Err(TryAcquireError::HandleInUse(handle)) => println!("{handle} holds the lock already"),
///     Err(TryAcquireError::WouldBlock(handle)) => println!("{handle} would have to wait"),
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TryAcquireError<H> {
    /// A holder or a waiter already uses this handle.
    HandleInUse(H),
    /// The handle is not in use, but the lock is not available now, or was not available in time.
    WouldBlock(H),
}

impl<H> TryAcquireError<H> {
    /// Returns the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// lock.try_acquire(Mode::Shared, String::from("a")).unwrap();
    /// let error = lock.try_acquire(Mode::Shared, String::from("a")).unwrap_err();
    /// assert_eq!(error.into_handle(), "a");
    /// ```
    #[must_use]
    pub fn into_handle(self) -> H {
        match self {
            Self::HandleInUse(handle) | Self::WouldBlock(handle) => handle,
        }
    }
}

impl<H> From<HandleInUse<H>> for TryAcquireError<H> {
    fn from(error: HandleInUse<H>) -> Self {
        Self::HandleInUse(error.0)
    }
}

impl<H> fmt::Display for TryAcquireError<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HandleInUse(_) => "the handle is in use",
            Self::WouldBlock(_) => "the lock cannot be acquired without waiting",
        })
    }
}

impl<H: fmt::Debug> Error for TryAcquireError<H> {}
