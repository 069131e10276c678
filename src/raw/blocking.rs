//! Acquisitions that block the thread.

#[cfg(feature = "observed")]
use core::future::poll_fn;
#[cfg(feature = "observed")]
use core::pin::pin;
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

#[cfg(feature = "observed")]
impl RawLock {
    /// Acquires the lock as the methods above do, and calls `waits` when the thread begins to wait. Returns `false` if
    /// the lock was not available before `deadline`.
    pub(crate) fn acquire_blocking_observed(
        &self,
        mode: Mode,
        deadline: Option<Instant>,
        mut waits: impl FnMut(),
    ) -> bool {
        let in_time = deadline.is_none_or(|deadline| Instant::now() < deadline);
        let attempt = || self.try_acquire_as_newcomer(mode).is_ok();
        if attempt() {
            return true;
        }
        if in_time {
            if self.spin_or_yield(mode, deadline.is_none(), attempt) {
                return true;
            }
            let mut acquire = pin!(RawAcquire::for_thread(self, mode));
            let polls = poll_fn(|cx| {
                let poll = acquire.as_mut().poll(cx);
                if poll.is_pending() {
                    waits();
                }
                poll
            });
            if block_on(polls, deadline).is_some() {
                return true;
            }
        }
        self.try_acquire(mode)
    }
}
