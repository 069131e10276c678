//! The lock with data. Who waits for whom is the business of the [`MultiLock`] in it; here it is who may touch the data.

pub(crate) mod futures;
mod guards;

#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;
#[cfg(all(feature = "std", not(any(target_family = "wasm", loom))))]
use std::time::Duration;

use crate::mode::Mode;
use crate::multilock::MultiLock;
use crate::sync::const_fn;

use futures::{Read, UpgradableRead, Write};
#[cfg(target_has_atomic = "ptr")]
use futures::{ReadArc, UpgradableReadArc, WriteArc};
pub use guards::{
    MappedRwLockWriteGuard, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockUpgradedGuard,
    RwLockWriteGuard,
};
#[cfg(target_has_atomic = "ptr")]
pub use guards::{
    MappedRwLockWriteGuardArc, RwLockReadGuardArc, RwLockUpgradableReadGuardArc,
    RwLockWriteGuardArc,
};

/// A [`MultiLock`] with the data that it guards: many may read them at a time, or one may write.
///
/// Readers are shared holders of the lock, a writer is an exclusive one, and an upgradable reader reads beside
/// others and may become the writer with nobody in between. Who waits for whom, and what else the lock promises,
/// is said at [`MultiLock`](MultiLock#fairness).
///
/// It takes the place of the `RwLock` of `async-lock`: all names and signatures of that are here. What differs is in
/// the README.
///
/// # Cancel safety
///
/// All futures of this type can be dropped at any point. They do nothing before they are polled.
///
/// # Deadlocks
///
/// A task that reads and waits to read again may wait for itself: somebody may wait to write in between.
/// [`RwLockReadGuard::clone`] does not wait, nor does [`RwLockUpgradableReadGuard::share`].
///
/// # Leaks
///
/// A guard that is forgotten (`mem::forget`), or an upgrade while it waits, leaves the lock held for ever, and harms
/// nothing else. A waiting acquisition that is forgotten stays a waiter that is not polled: see
/// [`MultiLock`](crate::MultiLock#cancel-safety).
///
/// # Poisoning
///
/// There is none. A guard that is dropped by a panic ends its hold, and the data are as the panic has left them. So the lock
/// is not [`RefUnwindSafe`](core::panic::RefUnwindSafe).
///
/// # Examples
///
/// ```
/// use multilock::RwLock;
///
/// # smol::block_on(async {
/// let lock = RwLock::new(5);
///
/// // Many may read at a time.
/// let (first, second) = (lock.read().await, lock.read().await);
/// assert_eq!(*first + *second, 10);
/// drop((first, second));
///
/// // One may write.
/// *lock.write().await += 1;
/// assert_eq!(lock.into_inner(), 6);
/// # });
/// ```
#[derive(Default)]
pub struct RwLock<T: ?Sized> {
    lock: MultiLock,
    data: UnsafeCell<T>,
}

// SAFETY: what the lock gives to several threads at once are shared references, for which `T` is `Sync`; and it gives
// exclusive ones to one thread after the other, for which it is `Send`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    const_fn! {
        /// A lock that nobody holds, with `data`.
        #[must_use]
        pub fn new(data: T) -> Self {
            Self { lock: MultiLock::new(), data: UnsafeCell::new(data) }
        }
    }

    /// The data, without the lock.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

/// The ways to acquire a lock in one mode.
macro_rules! acquisitions {
    (
        $mode:ident, $access:literal, $Guard:ident, $GuardArc:ident, $Future:ident, $FutureArc:ident,
        $try:ident, $wait:ident, $block:ident, $timeout:ident,
        $try_arc:ident, $wait_arc:ident, $block_arc:ident, $timeout_arc:ident
    ) => {
        #[doc = concat!("Gives ", $access, " access if that is possible now. Never waits.")]
        ///
        /// `None` where [`MultiLock::try_acquire`] has none.
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
        /// As [`MultiLock::acquire`].
        ///
        /// # Deadlocks
        ///
        /// If the task has access already.
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

        #[doc = concat!("Waits for ", $access, " access, and blocks the thread meanwhile.")]
        ///
        /// # Deadlocks
        ///
        /// As [`MultiLock::acquire_blocking`].
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::RwLock;
        ///
        /// let lock = RwLock::new(1);
        #[doc = concat!("let guard = lock.", stringify!($block), "();")]
        /// assert_eq!(*guard, 1);
        /// ```
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        #[inline]
        pub fn $block(&self) -> $Guard<'_, T> {
            $Guard::new(self.lock.acquire_blocking(Mode::$mode).into_lock(), self.data())
        }

        #[doc = concat!("Waits for ", $access, " access, and blocks the thread meanwhile, but no longer than `timeout`.")]
        ///
        /// `None` if the time is over. If `timeout` is zero, that is one try. If it is too long for the
        /// clock, there is no limit.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::RwLock;
        /// use std::time::Duration;
        ///
        /// let lock = RwLock::new(1);
        /// let _writes = lock.write_blocking();
        #[doc = concat!("assert!(lock.", stringify!($timeout), "(Duration::from_millis(1)).is_none());")]
        /// ```
        #[cfg(all(feature = "std", not(any(target_family = "wasm", loom))))]
        #[must_use = "access ends as soon as the guard is dropped"]
        pub fn $timeout(&self, timeout: Duration) -> Option<$Guard<'_, T>> {
            let guard = self.lock.acquire_timeout(Mode::$mode, timeout)?;
            Some($Guard::new(guard.into_lock(), self.data()))
        }

        #[doc = concat!("As [`", stringify!($try), "`](Self::", stringify!($try), "), with a guard that owns the lock.")]
        #[cfg(target_has_atomic = "ptr")]
        #[inline]
        #[must_use = "access ends as soon as the guard is dropped"]
        pub fn $try_arc(self: &Arc<Self>) -> Option<$GuardArc<T>> {
            let entered = self.lock.raw.try_acquire(Mode::$mode);
            entered.then(|| $GuardArc::new(self.clone().into(), self.data()))
        }

        #[doc = concat!("As [`", stringify!($wait), "`](Self::", stringify!($wait), "), with a guard that owns the lock.")]
        #[cfg(target_has_atomic = "ptr")]
        #[inline]
        pub fn $wait_arc<'a>(self: &'a Arc<Self>) -> $FutureArc<'a, T> {
            $FutureArc::new(self)
        }

        #[doc = concat!("As [`", stringify!($block), "`](Self::", stringify!($block), "), with a guard that owns the lock.")]
        #[cfg(all(feature = "std", target_has_atomic = "ptr", not(target_family = "wasm")))]
        #[inline]
        pub fn $block_arc(self: &Arc<Self>) -> $GuardArc<T> {
            core::mem::forget(self.lock.acquire_blocking(Mode::$mode));
            $GuardArc::new(self.clone().into(), self.data())
        }

        #[doc = concat!("As [`", stringify!($timeout), "`](Self::", stringify!($timeout), "), with a guard that owns the lock.")]
        #[cfg(all(feature = "std", target_has_atomic = "ptr", not(any(target_family = "wasm", loom))))]
        #[must_use = "access ends as soon as the guard is dropped"]
        pub fn $timeout_arc(self: &Arc<Self>, timeout: Duration) -> Option<$GuardArc<T>> {
            core::mem::forget(self.lock.acquire_timeout(Mode::$mode, timeout)?);
            Some($GuardArc::new(self.clone().into(), self.data()))
        }
    };
}

impl<T: ?Sized> RwLock<T> {
    acquisitions! {
        Shared, "read", RwLockReadGuard, RwLockReadGuardArc, Read, ReadArc,
        try_read, read, read_blocking, read_timeout,
        try_read_arc, read_arc, read_arc_blocking, read_arc_timeout
    }

    acquisitions! {
        Upgradable, "upgradable read", RwLockUpgradableReadGuard, RwLockUpgradableReadGuardArc,
        UpgradableRead, UpgradableReadArc,
        try_upgradable_read, upgradable_read, upgradable_read_blocking, upgradable_read_timeout,
        try_upgradable_read_arc, upgradable_read_arc, upgradable_read_arc_blocking,
        upgradable_read_arc_timeout
    }

    acquisitions! {
        Exclusive, "write", RwLockWriteGuard, RwLockWriteGuardArc, Write, WriteArc,
        try_write, write, write_blocking, write_timeout,
        try_write_arc, write_arc, write_arc_blocking, write_arc_timeout
    }

    /// The lock without its data: to look at it, to wait until a mode can be acquired, to monitor it, or to keep others
    /// out. A hold of it gives no access to the data.
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

    /// The data: whoever has the only reference to the lock needs no hold of it.
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
        // SAFETY: there is a cell.
        unsafe { NonNull::new_unchecked(self.data.get()) }
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

/// Shows who holds the lock and who waits for it. It does not take the lock, and so it does not show the data: print a
/// guard for that.
impl<T: ?Sized> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("state", &self.lock.snapshot()).finish_non_exhaustive()
    }
}

/// What a guard shows goes before the guard does, and the guard before the lock.
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
/// Nor does what leads to a part lead out of the guard.
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
/// While there is a guard of an upgrade in place, the other waits for its end.
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
/// A writer of a part cannot let others read: it may have come to that part through a cell.
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

/// What goes to another thread is what its bounds permit: which types have `Send` and `Sync` is asked in `tests/api.rs`,
/// and here is why.
///
/// Two threads would read a cell that none of them may share: the writer was sent, and lets others read.
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
/// The last owner would drop in another thread what must be dropped in this one.
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
///
#[cfg(doctest)]
struct GoesWhereItMay;

/// What may be written is of one type, and of one lifetime: what lives for less would be there when it is gone. That these
/// fail for this reason is shown by their twins below, which differ in no more.
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
