//! The lock with data.
//!
//! The [`MultiLock`] in it decides which waiter acquires the lock. This module decides what a guard
//! may do with the data.

#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
#[macro_use]
mod guards;
#[macro_use]
mod convert;
#[macro_use]
pub(crate) mod futures;
#[cfg(target_has_atomic = "ptr")]
pub(crate) mod owned;

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;

use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::sync::const_fn;

use futures::{Read, UpgradableRead, Write};
pub use guards::{
    MappedRwLockWriteGuard, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockUpgradedGuard,
    RwLockWriteGuard,
};

/// An async reader-writer lock: a [`MultiLock`] with the data that it protects.
///
/// Many readers may read the data at a time, or one writer may write. An upgradable reader reads
/// beside other readers, and can become the writer with no other holder in between.
///
/// Readers hold the [`MultiLock`] in shared mode, upgradable readers in upgradable mode, and
/// writers in exclusive mode. [`MultiLock`](MultiLock#fairness) documents the order of waiters, and
/// what else the lock promises.
///
/// This type replaces the `RwLock` of `async-lock`: it has all names and signatures of that type.
/// The README lists what differs.
///
/// # Cancel safety
///
/// All futures of this type can be dropped at any point. They do nothing before they are polled.
///
/// # Deadlocks
///
/// A task that reads and waits to read again may wait for itself, because a writer may be queued
/// between the two reads. [`RwLockReadGuard::share`] and [`RwLockUpgradableReadGuard::share`] do
/// not wait.
///
/// # Leaks
///
/// A guard that is forgotten (`mem::forget`) leaves the lock held forever, and harms nothing else.
/// So does an upgrade that is forgotten while it waits. A waiting acquisition that is forgotten
/// stays a waiter that is not polled: see [`MultiLock`](crate::MultiLock#cancel-safety).
///
/// # Poisoning
///
/// The lock does not poison. A guard that is dropped by a panic releases the lock, and the data
/// stays as the panic left it. So the lock is not [`RefUnwindSafe`](core::panic::RefUnwindSafe).
///
/// # Examples
///
/// ```
/// use multilock::RwLock;
///
/// # smol::block_on(async {
/// let lock = RwLock::new(5);
///
/// // Many readers may read at a time.
/// let (first, second) = (lock.read().await, lock.read().await);
/// assert_eq!(*first + *second, 10);
/// drop((first, second));
///
/// // One writer may write.
/// *lock.write().await += 1;
/// assert_eq!(lock.into_inner(), 6);
/// # });
/// ```
#[derive(Default)]
pub struct RwLock<T: ?Sized> {
    lock: MultiLock,
    data: UnsafeCell<T>,
}

// SAFETY: the lock gives shared references to several threads at once, for which `T` is `Sync`. It
// gives exclusive references to one thread after the other, for which `T` is `Send`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    const_fn! {
        /// Creates an unlocked lock that contains `data`.
        #[must_use]
        pub fn new(data: T) -> Self {
            Self { lock: MultiLock::new(), data: UnsafeCell::new(data) }
        }
    }

    /// Consumes the lock and returns the data.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

/// Defines the methods that acquire a lock in one mode.
macro_rules! acquire_methods {
    (
        $mode:ident, $access:literal, $Guard:ident, $Future:ident, $try:ident, $wait:ident
    ) => {
        #[doc = concat!("Gives ", $access, " access if that is possible now. Never waits.")]
        ///
        /// Returns `None` where [`MultiLock::try_acquire`] does: if a holder excludes this access
        /// or is upgrading, or at the limit of holders. Read access and upgradable read access are
        /// also refused while the lock is held and a writer is queued. A reservation does not hold
        /// the method back.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::RwLock;
        ///
        /// let lock = RwLock::new(1);
        #[doc = concat!("let guard = lock.", stringify!($try), "().unwrap();")]
        /// assert_eq!(*guard, 1);
        /// assert!(lock.try_write().is_none());
        /// ```
        #[inline]
        #[must_use = "access ends as soon as the guard is dropped"]
        pub fn $try(&self) -> Option<$Guard<'_, T>> {
            let acquired = self.lock.raw.try_acquire(Mode::$mode);
            acquired.then(|| $Guard::new(&self.lock, self.data()))
        }

        #[doc = concat!("Waits for ", $access, " access.")]
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point. It then does not hold the lock, and its position
        /// in the queue is lost. If the future had been notified, the notification passes to the
        /// next waiter. See also [`MultiLock::acquire`].
        ///
        /// # Deadlocks
        ///
        /// A deadlock is possible if the task has access already.
        ///
        /// # Examples
        ///
        /// ```
        /// # smol::block_on(async {
        /// use multilock::RwLock;
        ///
        /// let lock = RwLock::new(1);
        #[doc = concat!("let guard = lock.", stringify!($wait), "().await;")]
        /// assert_eq!(*guard, 1);
        /// # });
        /// ```
        #[inline]
        pub fn $wait(&self) -> $Future<'_, T> {
            $Future::new(&self.lock, self.data())
        }
    };
}

impl<T: ?Sized> RwLock<T> {
    acquire_methods! { Shared, "read", RwLockReadGuard, Read, try_read, read }
    acquire_methods! {
        Upgradable, "upgradable read", RwLockUpgradableReadGuard, UpgradableRead,
        try_upgradable_read, upgradable_read
    }
    acquire_methods! { Exclusive, "write", RwLockWriteGuard, Write, try_write, write }

    /// Returns the [`MultiLock`] that protects the data.
    ///
    /// Use it to inspect the lock, to wait until a mode can be acquired, to monitor the lock, or to
    /// keep other tasks and threads out. A guard of the `MultiLock` gives no access to the data.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, RwLock};
    ///
    /// let lock = RwLock::new(1);
    /// let read = lock.try_read().unwrap();
    /// assert_eq!(lock.raw().locked(), Some(Mode::Shared));
    /// assert_eq!(lock.raw().snapshot().shared_holders(), 1);
    /// # drop(read);
    /// ```
    #[must_use]
    pub fn raw(&self) -> &MultiLock {
        &self.lock
    }

    /// Returns a mutable reference to the data.
    ///
    /// The caller has the only reference to the lock, so no guard is needed.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::RwLock;
    ///
    /// let mut lock = RwLock::new(1);
    /// *lock.get_mut() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    fn data(&self) -> NonNull<T> {
        // SAFETY: the cell exists, so the pointer to its content is not null.
        unsafe { NonNull::new_unchecked(self.data.get()) }
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

/// Shows the holders and the waiters of the lock.
///
/// Formatting does not acquire the lock, and so does not show the data. To show the data, print a
/// guard.
impl<T: ?Sized> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("state", &self.lock.snapshot()).finish_non_exhaustive()
    }
}
