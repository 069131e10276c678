//! What a lock is called, from outside.

use core::ptr;

use crate::observed::lock::MultiLock;
use crate::observed::observer::LockInfo;

impl<O> MultiLock<O> {
    /// Returns what the lock is called, as its observer sees it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::MultiLock;
    ///
    /// let lock = MultiLock::with_observer("log", ());
    /// assert_eq!(lock.info().name(), Some("log"));
    /// assert_eq!(lock.info().site().file(), file!());
    /// ```
    #[must_use]
    pub fn info(&self) -> LockInfo<'_> {
        LockInfo { name: &self.name, address: ptr::from_ref(self).addr() }
    }
}
