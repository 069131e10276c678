//! Requests for a [`MultiLock`] in an [`Arc`], in a mode.

use alloc::sync::Arc;

use super::LockRequest;
use super::sealed::Request;
use crate::lock::MultiLock;
use crate::lock::owned::GuardArc;
use crate::mode::Mode;

/// A request for a [`MultiLock`] in an [`Arc`], in a [`Mode`], for [`lock_all`](crate::lock_all).
///
/// [`MultiLock::in_mode_arc`] returns it. The request owns a clone of the `Arc`, which becomes that
/// of the guard, [`GuardArc`].
///
/// # Examples
///
/// ```
/// use multilock::requests::InModeArc;
/// use multilock::{Mode, MultiLock, try_lock_all};
/// use std::sync::Arc;
///
/// let lock = Arc::new(MultiLock::new());
/// let request: InModeArc = lock.in_mode_arc(Mode::Exclusive);
/// let (guard,) = try_lock_all((request,)).unwrap();
/// assert_eq!(guard.mode(), Mode::Exclusive);
/// ```
#[derive(Clone, Debug)]
#[must_use = "the lock is not acquired: pass the request to `lock_all`"]
pub struct InModeArc {
    lock: Arc<MultiLock>,
    mode: Mode,
}

impl Request for InModeArc {
    fn lock(&self) -> &MultiLock {
        &self.lock
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    type Record = ();
}

impl LockRequest for InModeArc {
    type Guard = GuardArc;

    unsafe fn into_guard(self, (): ()) -> GuardArc {
        GuardArc::new(self.lock, self.mode)
    }
}

impl MultiLock {
    /// Returns a request for the lock in `mode`, for [`lock_all`](crate::lock_all) and related
    /// functions. Acquires nothing.
    ///
    /// The request owns a clone of the `Arc`, and so does the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock, lock_all};
    /// use std::sync::Arc;
    ///
    /// # futures_lite::future::block_on(async {
    /// let locks = [(); 2].map(|()| Arc::new(MultiLock::new()));
    /// let [first, second] =
    ///     lock_all(locks.each_ref().map(|lock| lock.in_mode_arc(Mode::Shared))).await;
    /// drop(locks);
    /// assert_eq!(first.lock().locked(), Some(Mode::Shared));
    /// drop(second);
    /// # });
    /// ```
    pub fn in_mode_arc(self: &Arc<Self>, mode: Mode) -> InModeArc {
        InModeArc { lock: self.clone(), mode }
    }
}
