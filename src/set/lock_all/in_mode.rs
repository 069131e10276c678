//! Requests for a [`MultiLock`] in a mode.

use super::LockRequest;
use super::sealed::Request;
use crate::lock::MultiLock;
use crate::lock::guard::Guard;
use crate::mode::Mode;

/// A request for a [`MultiLock`] in a [`Mode`], for [`lock_all`](crate::lock_all).
///
/// [`MultiLock::in_mode`] returns it. The guard is [`Guard`].
///
/// # Examples
///
/// ```
/// use multilock::requests::InMode;
/// use multilock::{Mode, MultiLock, try_lock_all};
///
/// let lock = MultiLock::new();
/// let request: InMode<'_> = lock.in_mode(Mode::Exclusive);
/// let (guard,) = try_lock_all((request,)).unwrap();
/// assert_eq!(guard.mode(), Mode::Exclusive);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "the lock is not acquired: pass the request to `lock_all`"]
pub struct InMode<'a> {
    lock: &'a MultiLock,
    mode: Mode,
}

impl Request for InMode<'_> {
    fn lock(&self) -> &MultiLock {
        self.lock
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    type Record = ();
}

impl<'a> LockRequest for InMode<'a> {
    type Guard = Guard<'a>;

    unsafe fn into_guard(self, (): ()) -> Guard<'a> {
        Guard::new(self.lock, self.mode)
    }
}

impl MultiLock {
    /// Returns a request for the lock in `mode`, for [`lock_all`](crate::lock_all) and related
    /// functions. Acquires nothing.
    ///
    /// To acquire only locks without data, use [`acquire_all`](crate::acquire_all), unless each
    /// lock needs a guard of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock, RwLock, lock_all};
    ///
    /// # futures_lite::future::block_on(async {
    /// let (device, log) = (MultiLock::new(), RwLock::new(String::new()));
    /// let (mut guard, mut log) = lock_all((device.in_mode(Mode::Exclusive), log.writing())).await;
    /// log.push_str("reset");
    /// guard.downgrade(Mode::Shared);
    /// # });
    /// ```
    pub fn in_mode(&self, mode: Mode) -> InMode<'_> {
        InMode { lock: self, mode }
    }
}
