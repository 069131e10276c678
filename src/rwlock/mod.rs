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
macro_rules! acquisitions {
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
            let entered = self.lock.raw.try_acquire(Mode::$mode);
            entered.then(|| $Guard::new(&self.lock, self.data()))
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
    acquisitions! { Shared, "read", RwLockReadGuard, Read, try_read, read }
    acquisitions! {
        Upgradable, "upgradable read", RwLockUpgradableReadGuard, UpgradableRead,
        try_upgradable_read, upgradable_read
    }
    acquisitions! { Exclusive, "write", RwLockWriteGuard, Write, try_write, write }

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

/// A reference to the data cannot outlive its guard, and a guard cannot outlive its lock.
///
/// ```compile_fail,E0505
/// use multilock::RwLock;
///
/// let lock = RwLock::new(1);
/// let guard = lock.try_read().unwrap();
/// let shown: &u32 = &guard;
/// drop(guard);
/// assert_eq!(*shown, 1);
/// ```
///
/// ```compile_fail,E0597
/// use multilock::RwLock;
///
/// let guard = {
///     let lock = RwLock::new(1);
///     lock.try_write()
/// };
/// drop(guard);
/// ```
///
/// The closure of `map` cannot leak a reference to a part out of the guard.
///
/// ```compile_fail
/// use multilock::{RwLock, RwLockWriteGuard};
///
/// let lock = RwLock::new((1, 2));
/// let mut part = &mut 0;
/// drop(RwLockWriteGuard::map(lock.try_write().unwrap(), |pair| {
///     part = &mut pair.0;
///     &mut pair.1
/// }));
/// *part = 3;
/// ```
///
/// While the guard of an upgrade in place is alive, the upgradable guard beneath it cannot be
/// used.
///
/// ```compile_fail,E0502
/// use multilock::{RwLock, RwLockUpgradableReadGuard};
///
/// let lock = RwLock::new(1);
/// let mut guard = lock.try_upgradable_read().unwrap();
/// let upgraded = RwLockUpgradableReadGuard::try_upgrade_in_place(&mut guard);
/// assert_eq!(*guard, 1);
/// drop(upgraded);
/// ```
///
/// A write guard of a part cannot be downgraded: the path to the part may have led through a cell.
///
/// ```compile_fail,E0599
/// use multilock::{MappedRwLockWriteGuard, RwLock, RwLockWriteGuard};
/// use std::cell::Cell;
///
/// let lock = RwLock::new(Cell::new(1));
/// let guard = RwLockWriteGuard::map(lock.try_write().unwrap(), Cell::get_mut);
/// drop(MappedRwLockWriteGuard::downgrade(guard));
/// ```
#[cfg(doctest)]
struct GoesBeforeTheGuard;

/// A guard can be sent to another thread only where its bounds permit that. `tests/api.rs` checks
/// which types are `Send` and `Sync`. These examples show why.
///
/// A write guard could be sent to another thread and downgraded there. Two threads would then read
/// a cell that they must not share.
///
/// ```compile_fail,E0277
/// use multilock::{RwLock, RwLockWriteGuard};
/// use std::cell::Cell;
/// use std::thread;
///
/// let lock = RwLock::new(Cell::new(1));
/// let guard = lock.try_write().unwrap();
/// thread::scope(|scope| {
///     scope.spawn(move || RwLockWriteGuard::downgrade(guard).set(2));
///     while lock.try_read().is_none() {}
/// });
/// ```
///
/// The last owner of the lock would drop the data in another thread, though the data must be
/// dropped in this one.
///
/// ```compile_fail,E0277
/// use multilock::RwLock;
/// use std::sync::{Arc, Mutex};
/// use std::thread;
///
/// let mutex = Mutex::new(1);
/// let lock = Arc::new(RwLock::new(mutex.lock().unwrap()));
/// let guard = lock.try_read_arc().unwrap();
/// drop(lock);
/// thread::scope(|scope| _ = scope.spawn(move || drop(guard)));
/// ```
#[cfg(doctest)]
struct GoesWhereItMay;

/// A type that gives write access is invariant in the type of the data. Else a writer could store a
/// reference that lives for less than the type of the lock says, and the data would then contain a
/// dangling reference.
///
/// The twins below compile, and differ from these examples in nothing but the lifetime. So these
/// examples fail for this reason.
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLock<&'static str>) -> RwLock<&'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLockUpgradableReadGuard<'a, &'static str>) -> RwLockUpgradableReadGuard<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLockUpgradedGuard<'a, &'static str>) -> RwLockUpgradedGuard<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLockWriteGuard<'a, &'static str>) -> RwLockWriteGuard<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: MappedRwLockWriteGuard<'a, &'static str>) -> MappedRwLockWriteGuard<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLockUpgradableReadGuardArc<&'static str>) -> RwLockUpgradableReadGuardArc<&'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLockWriteGuardArc<&'static str>) -> RwLockWriteGuardArc<&'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: MappedRwLockWriteGuardArc<&'static str, u32>) -> MappedRwLockWriteGuardArc<&'a str, u32> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: MappedRwLockWriteGuardArc<u32, &'static str>) -> MappedRwLockWriteGuardArc<u32, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::UpgradableRead<'a, &'static str>) -> futures::UpgradableRead<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::Write<'a, &'static str>) -> futures::Write<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::Upgrade<'a, &'static str>) -> futures::Upgrade<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::UpgradeArc<&'static str>) -> futures::UpgradeArc<&'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::UpgradableReadArc<'a, &'static str>) -> futures::UpgradableReadArc<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::WriteArc<'a, &'static str>) -> futures::WriteArc<'a, &'a str> {
///     long
/// }
/// ```
#[cfg(doctest)]
struct StaysAsItIs;

#[cfg(doctest)]
impl StaysAsItIs {
    /// ```
    /// # use multilock::*;
    /// fn f0<'a>(same: RwLock<&'static str>) -> RwLock<&'static str> {
    ///     same
    /// }
    /// fn f1<'a>(same: RwLockUpgradableReadGuard<'a, &'static str>) -> RwLockUpgradableReadGuard<'a, &'static str> {
    ///     same
    /// }
    /// fn f2<'a>(same: RwLockUpgradedGuard<'a, &'static str>) -> RwLockUpgradedGuard<'a, &'static str> {
    ///     same
    /// }
    /// fn f3<'a>(same: RwLockWriteGuard<'a, &'static str>) -> RwLockWriteGuard<'a, &'static str> {
    ///     same
    /// }
    /// fn f4<'a>(same: MappedRwLockWriteGuard<'a, &'static str>) -> MappedRwLockWriteGuard<'a, &'static str> {
    ///     same
    /// }
    /// fn f5<'a>(same: RwLockUpgradableReadGuardArc<&'static str>) -> RwLockUpgradableReadGuardArc<&'static str> {
    ///     same
    /// }
    /// fn f6<'a>(same: RwLockWriteGuardArc<&'static str>) -> RwLockWriteGuardArc<&'static str> {
    ///     same
    /// }
    /// fn f7<'a>(same: MappedRwLockWriteGuardArc<&'static str, u32>) -> MappedRwLockWriteGuardArc<&'static str, u32> {
    ///     same
    /// }
    /// fn f8<'a>(same: MappedRwLockWriteGuardArc<u32, &'static str>) -> MappedRwLockWriteGuardArc<u32, &'static str> {
    ///     same
    /// }
    /// fn f9<'a>(same: futures::UpgradableRead<'a, &'static str>) -> futures::UpgradableRead<'a, &'static str> {
    ///     same
    /// }
    /// fn f10<'a>(same: futures::Write<'a, &'static str>) -> futures::Write<'a, &'static str> {
    ///     same
    /// }
    /// fn f11<'a>(same: futures::Upgrade<'a, &'static str>) -> futures::Upgrade<'a, &'static str> {
    ///     same
    /// }
    /// fn f12<'a>(same: futures::UpgradeArc<&'static str>) -> futures::UpgradeArc<&'static str> {
    ///     same
    /// }
    /// fn f13<'a>(same: futures::UpgradableReadArc<'a, &'static str>) -> futures::UpgradableReadArc<'a, &'static str> {
    ///     same
    /// }
    /// fn f14<'a>(same: futures::WriteArc<'a, &'static str>) -> futures::WriteArc<'a, &'static str> {
    ///     same
    /// }
    /// ```
    fn twins() {}
}
