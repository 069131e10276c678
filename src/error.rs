//! Errors. Each says what was not done; none changes a lock.

use core::error::Error;
use core::fmt;

use crate::handle::Handle;

/// Why an upgrade was not made. The hold is what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpgradeError {
    /// There are other shared holders. [`try_upgrade`](crate::Guard::try_upgrade) only: an
    /// [`upgrade`](crate::Guard::upgrade) waits for them.
    SharedHolders,
    /// Another holder is upgradable, or upgrades: each would wait for the other for ever.
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

/// A [`Handle`] was given to a lock that it is not a hold of. No lock has changed.
#[derive(Debug, PartialEq, Eq)]
pub struct ReleaseError {
    handle: Handle,
}

impl ReleaseError {
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// The handle, to be given to its own lock.
    #[must_use = "the lock stays held until its handle is released"]
    pub fn into_handle(self) -> Handle {
        self.handle
    }
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handle {} is not a hold of this lock", self.handle.id())
    }
}

impl Error for ReleaseError {}

/// A name is in use already: somebody holds a [`HandleLock`](crate::HandleLock) by it, or waits for it.
/// It is given back, and the lock has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandleInUse<H>(pub H);

impl<H> HandleInUse<H> {
    /// The name.
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

/// Why a [`HandleLock`](crate::HandleLock) was not acquired. The name is given back, and is in use no
/// more than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TryAcquireError<H> {
    /// Somebody holds the lock by this name, or waits for it.
    HandleInUse(H),
    /// The name is free, and the lock is not: now, or until the time was over.
    WouldBlock(H),
}

impl<H> TryAcquireError<H> {
    /// The name.
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
