//! Sets that are acquired by blocked threads.

#[cfg(not(loom))]
use std::time::{Duration, Instant};

use crate::mode::Mode;
use crate::set::acquire_all::{AllGuard, Wanted, acquire_all};
use crate::set::lockable::Lockable;
use crate::set::{LockSet, SetGuard};
use crate::sync::block::block_on;

impl<L: Lockable> LockSet<L> {
    /// Acquires all members in `mode`, blocking the thread until they are available together.
    ///
    /// See [`MultiLock::acquire_blocking`](crate::MultiLock::acquire_blocking) for how a thread blocks.
    ///
    /// # Deadlocks
    ///
    /// The thread may wait for itself if it already holds a member. In async code, it may also
    /// block the very thread on which a holder has to run in order to release a member.
    pub fn acquire_blocking(&self, mode: Mode) -> SetGuard<'_, L> {
        block_on(self.acquire(mode), None).expect("there is no deadline")
    }
}

#[cfg(not(loom))]
impl<L: Lockable> LockSet<L> {
    /// Acquires all members in `mode`, blocking the thread for at most `timeout`.
    ///
    /// Returns `None` if the time is over; then no member is held. If `timeout` is zero, tries
    /// once. If `timeout` is too long for the clock, there is no limit. See also
    /// [`MultiLock::acquire_blocking_timeout`](crate::MultiLock::acquire_blocking_timeout).
    #[doc(alias = "acquire_timeout")]
    #[must_use = "the locks are released as soon as the guard is dropped"]
    pub fn acquire_blocking_timeout(
        &self,
        mode: Mode,
        timeout: Duration,
    ) -> Option<SetGuard<'_, L>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.acquire_blocking_deadline(mode, deadline),
            None => Some(self.acquire_blocking(mode)),
        }
    }

    /// Acquires all members in `mode`, blocking the thread until `deadline` at most.
    ///
    /// Returns `None` if the time is over; then no member is held. If `deadline` has passed
    /// already, tries once.
    #[doc(alias = "acquire_deadline")]
    #[must_use = "the locks are released as soon as the guard is dropped"]
    pub fn acquire_blocking_deadline(
        &self,
        mode: Mode,
        deadline: Instant,
    ) -> Option<SetGuard<'_, L>> {
        let in_time = Instant::now() < deadline;
        let acquired = in_time.then(|| block_on(self.acquire(mode), Some(deadline))).flatten();
        acquired.or_else(|| self.try_acquire(mode))
    }
}

/// Acquires several locks, each in a mode of its own, blocking the thread until they are available
/// together.
///
/// A lock that is named twice is acquired once, in the stronger of the modes. See also
/// [`acquire_all`]. See [`MultiLock::acquire_blocking`](crate::MultiLock::acquire_blocking) for how a thread blocks, and for deadlocks.
pub fn acquire_all_blocking<W: Wanted>(wanted: W) -> AllGuard<W> {
    block_on(acquire_all(wanted), None).expect("there is no deadline")
}
