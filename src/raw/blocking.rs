//! Acquisitions that block the thread.

#[cfg(not(loom))]
use std::time::Duration;
use std::time::Instant;

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::acquire::RawAcquire;
use crate::sync::block::block_on;

impl RawLock {
    /// Acquires the lock in `mode`, and blocks the thread until it is available.
    #[inline]
    pub(crate) fn acquire_blocking(&self, mode: Mode) {
        if !self.try_acquire_once(mode) {
            self.block(mode, None);
        }
    }

    /// Acquires the lock like [`acquire_blocking`](Self::acquire_blocking), but blocks the thread no
    /// longer than `timeout`. Returns whether the lock is held. If `timeout` is too long for the
    /// clock, there is no limit.
    #[cfg(not(loom))]
    pub(crate) fn acquire_blocking_timeout(&self, mode: Mode, timeout: Duration) -> bool {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.acquire_blocking_deadline(mode, deadline),
            None => {
                self.acquire_blocking(mode);
                true
            }
        }
    }

    /// Acquires the lock like [`acquire_blocking`](Self::acquire_blocking), but blocks the thread no
    /// longer than until `deadline`. Returns whether the lock is held.
    #[cfg(not(loom))]
    pub(crate) fn acquire_blocking_deadline(&self, mode: Mode, deadline: Instant) -> bool {
        let in_time = Instant::now() < deadline;
        self.try_acquire_as_newcomer(mode).is_ok()
            || in_time && self.block(mode, Some(deadline))
            || self.try_acquire(mode)
    }

    /// Blocks the thread until the lock is held. Returns `false` if `deadline` passed before that.
    #[cold]
    #[inline(never)]
    fn block(&self, mode: Mode, deadline: Option<Instant>) -> bool {
        let attempt = || self.try_acquire_as_newcomer(mode).is_ok();
        self.spin_or_yield(mode, deadline.is_none(), attempt)
            || block_on(RawAcquire::for_thread(self, mode), deadline).is_some()
    }
}
