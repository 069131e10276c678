//! The error types. An operation that returns one of them has not changed a lock.

use core::error::Error;
use core::fmt;

use crate::lock::handle::Handle;
use crate::mode::Mode;

/// The reason why an upgrade failed. The guard keeps the mode that it had before.
///
/// # Examples
///
/// ```
/// use multilock::{Mode, MultiLock, UpgradeError};
///
/// let lock = MultiLock::new();
/// let owner = lock.try_acquire(Mode::Upgradable).unwrap();
/// let mut shared = lock.try_acquire(Mode::Shared).unwrap();
/// assert_eq!(shared.try_upgrade(), Err(UpgradeError::Conflict));
/// drop(owner);
/// assert_eq!(shared.try_upgrade(), Ok(()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpgradeError {
    /// There are other shared holders.
    ///
    /// Only [`try_upgrade`](crate::Guard::try_upgrade) returns this error: an
    /// [`upgrade`](crate::Guard::upgrade) waits for these holders.
    SharedHolders,
    /// Another holder is upgradable, or is upgrading. If both holders upgraded, each would wait for
    /// the other forever.
    Conflict,
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SharedHolders => "the lock has other shared holders",
            Self::Conflict => "another holder of the lock may upgrade first",
        })
    }
}

impl Error for UpgradeError {}

/// A [`Handle`] was passed to a lock that it does not belong to. No lock has changed.
///
/// # Examples
///
/// ```
/// use multilock::{Mode, MultiLock, ReleaseError};
///
/// let (lock, other) = (MultiLock::new(), MultiLock::new());
/// let handle = lock.try_acquire(Mode::Shared).unwrap().into_handle();
/// let error: ReleaseError = other.release(handle).unwrap_err();
/// assert!(error.to_string().ends_with("does not belong to this lock"));
/// lock.release(error.into_handle()).unwrap();
/// ```
pub struct ReleaseError<R = ()> {
    pub(crate) handle: Handle<R>,
}

impl<R> PartialEq for ReleaseError<R> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<R> Eq for ReleaseError<R> {}

impl<R> ReleaseError<R> {
    pub(crate) fn new(handle: Handle<R>) -> Self {
        Self { handle }
    }

    /// Returns the handle, so that the caller can pass it to its own lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let (lock, other) = (MultiLock::new(), MultiLock::new());
    /// let handle = lock.try_acquire(Mode::Shared).unwrap().into_handle();
    /// let error = other.release(handle).unwrap_err();
    /// lock.release(error.into_handle()).unwrap();
    /// ```
    #[must_use = "the lock stays held until its handle is released"]
    pub fn into_handle(self) -> Handle<R> {
        self.handle
    }
}

impl<R> fmt::Debug for ReleaseError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReleaseError").field("handle", &self.handle).finish()
    }
}

impl<R> fmt::Display for ReleaseError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handle {} does not belong to this lock", self.handle.id())
    }
}

impl<R> Error for ReleaseError<R> {}

/// Two requests of one [`lock_all`](crate::lock_all) name the same lock, and not both of them are
/// shared. Both could never be granted at once.
///
/// The positions are those in the tuple, array, slice or vector, counted from zero. No lock has
/// changed.
///
/// # Examples
///
/// ```
/// use multilock::{DuplicateLock, RwLock, TryLockAllError, try_lock_all};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let error = try_lock_all((a.writing(), b.reading(), a.reading())).unwrap_err();
/// let TryLockAllError::DuplicateLock(DuplicateLock { first, second, .. }) = error else {
///     panic!("{error}");
/// };
/// assert_eq!((first, second), (0, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DuplicateLock {
    /// The position of the first request that names the lock.
    pub first: usize,
    /// The mode of the first request.
    pub first_mode: Mode,
    /// The position of the second request that names the lock.
    pub second: usize,
    /// The mode of the second request.
    pub second_mode: Mode,
}

impl fmt::Display for DuplicateLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, first_mode, second, second_mode } = self;
        write!(
            f,
            "requests {first} ({first_mode:?}) and {second} ({second_mode:?}) name the same lock, \
             which works only if both are Shared"
        )
    }
}

impl Error for DuplicateLock {}

/// The reason why [`try_lock_all`](crate::try_lock_all) acquired nothing.
///
/// # Examples
///
/// ```
/// use multilock::{RwLock, TryLockAllError, try_lock_all};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let reader = a.try_read();
/// let error = try_lock_all((a.writing(), b.writing())).unwrap_err();
/// assert_eq!(error, TryLockAllError::WouldBlock);
/// drop(reader);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TryLockAllError {
    /// A lock is not available now. Another try may succeed.
    WouldBlock,
    /// Two requests name the same lock. Each other try fails, too.
    DuplicateLock(DuplicateLock),
}

impl From<DuplicateLock> for TryLockAllError {
    fn from(error: DuplicateLock) -> Self {
        Self::DuplicateLock(error)
    }
}

impl fmt::Display for TryLockAllError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldBlock => f.write_str("a lock cannot be acquired without waiting"),
            Self::DuplicateLock(error) => error.fmt(f),
        }
    }
}

impl Error for TryLockAllError {}
