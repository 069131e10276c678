//! The guards, which give access to the data until they are dropped.
//!
//! # Bounds
//!
//! A guard that is sent to another thread gives that thread access to the data:
//!
//! | guard | what the other thread can do | `Send` if |
//! |---|---|---|
//! | read | read while this thread reads | `T: Sync` |
//! | upgradable, write | write, and so move the data out; downgrade, and read while this thread reads | `T: Send + Sync` |
//! | upgraded in place, mapped write | write, and so move the data out | `T: Send` |
//! | a guard that owns the lock | also drop the data, as the last owner | `T: Send + Sync` |
//!
//! A guard of a part gives access to only that part. So `U` needs the bounds that a reference to
//! the part needs. The bounds of `Sync` follow from what a reference to the guard gives: read
//! access to the data, and, from a read guard, a second guard.

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::raw::RawLock;

/// A reference to a lock, which is borrowed or owned.
pub(super) trait HasLock {
    fn multilock(&self) -> &MultiLock;
}

impl HasLock for &MultiLock {
    #[inline]
    fn multilock(&self) -> &MultiLock {
        self
    }
}

/// The only reason why the upgrade of an upgradable guard is refused.
pub(super) const FORGOTTEN: &str = "an earlier upgrade in place was forgotten";

/// Defines a guard. A guard borrows or owns its lock. While the guard is alive, no other guard
/// gives an access to the data that the mode excludes.
macro_rules! rwlock_guard {
    (
        $(#[$meta:meta])*
        $Guard:ident [$($defaults:tt)*] [$($generics:tt)*] [$($args:tt)*] => $Target:ident;
        $Lock:ty, $Marker:ty;
        Send if $($send:ident: $Send:ident $(+ $More:ident)?),+; Sync if $($sync:ident: $Sync:ident $(+ $SyncMore:ident)?),+;
        ends $end:expr
    ) => {
        $(#[$meta])*
        #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        #[clippy::has_significant_drop]
        pub struct $Guard<$($defaults)*> {
            pub(super) lock: $Lock,
            /// Not a reference: a reference would have to be valid until the end of a call that
            /// releases the lock.
            pub(super) data: NonNull<$Target>,
            marker: PhantomData<$Marker>,
        }

        // SAFETY: the bounds follow from the access that the guard gives to the other thread: see
        // `Bounds` at the head of this file.
        unsafe impl<$($generics)*> Send for $Guard<$($args)*>
        where
            $($send: $Send $(+ $More)?),+
        {
        }

        // SAFETY: as for `Send`, for the access that a reference to the guard gives.
        unsafe impl<$($generics)*> Sync for $Guard<$($args)*>
        where
            $($sync: $Sync $(+ $SyncMore)?),+
        {
        }

        impl<$($generics)*> $Guard<$($args)*> {
            /// Creates a guard. The caller has acquired the lock in the mode of the guard.
            #[inline]
            pub(crate) fn new(lock: $Lock, data: NonNull<$Target>) -> Self {
                Self { lock, data, marker: PhantomData }
            }

            /// Takes the guard apart without releasing the lock. The caller takes over the
            /// acquisition.
            #[inline]
            #[allow(dead_code, reason = "not all guards become another one")]
            pub(crate) fn into_parts(self) -> ($Lock, NonNull<$Target>) {
                let this = ManuallyDrop::new(self);
                // SAFETY: the pointer comes from a reference. `this.lock` is neither used nor
                // dropped after, so the value that is read is the only one.
                (unsafe { ptr::read(&this.lock) }, this.data)
            }
        }

        impl<$($generics)*> Drop for $Guard<$($args)*> {
            #[inline]
            fn drop(&mut self) {
                let end: fn(&RawLock) = $end;
                end(&self.lock.multilock().raw);
            }
        }

        impl<$($generics)*> Deref for $Guard<$($args)*> {
            type Target = $Target;

            #[inline]
            fn deref(&self) -> &$Target {
                // SAFETY: the lock contains the data and lives as long as the guard, which is
                // borrowed. While the guard lives, the data is written only through this guard.
                unsafe { self.data.as_ref() }
            }
        }

        impl<$($generics)*> fmt::Debug for $Guard<$($args)*>
        where
            $Target: fmt::Debug,
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<$($generics)*> fmt::Display for $Guard<$($args)*>
        where
            $Target: fmt::Display,
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}

/// Implements `DerefMut` for a guard that is the only way to the data.
macro_rules! deref_mut {
    ($Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Target:ident) => {
        impl<$($generics)*> DerefMut for $Guard<$($args)*> {
            #[inline]
            fn deref_mut(&mut self) -> &mut $Target {
                // SAFETY: the lock contains the data and lives as long as the guard, which is
                // borrowed. While the guard lives, the data is read and written only through this
                // guard.
                unsafe { self.data.as_mut() }
            }
        }
    };
}

rwlock_guard! {
    /// An RAII guard that gives read access to the data of an [`RwLock`](crate::RwLock), beside
    /// other readers.
    ///
    /// Access ends when the guard is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{RwLock, RwLockReadGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let guard: RwLockReadGuard<'_, i32> = lock.try_read().unwrap();
    /// assert_eq!(*guard, 1);
    /// assert!(lock.try_read().is_some() && lock.try_write().is_none());
    /// ```
    RwLockReadGuard ['a, T: ?Sized] ['a, T: ?Sized] ['a, T] => T;
    &'a MultiLock, (&'a (), *const T);
    Send if T: Sync; Sync if T: Sync;
    ends |lock| lock.release(Mode::Shared)
}

rwlock_guard! {
    /// An RAII guard that gives read access to the data of an [`RwLock`](crate::RwLock), and can be
    /// upgraded to write access.
    ///
    /// The guard reads beside other readers. It can become a write guard with no other writer in
    /// between. There is at most one upgradable guard at a time. Access ends when the guard is
    /// dropped.
    ///
    /// # Deadlocks
    ///
    /// While a writer is queued, new readers wait. So a task that keeps this guard must not read the
    /// lock again: not by a second call, which is easily overlooked behind an `if` that upgrades the
    /// guard in one branch only. Nor may it wait for another task that wants to read. Read through
    /// this guard, or make another one with [`share`](Self::share), which does not wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{RwLock, RwLockUpgradableReadGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let guard: RwLockUpgradableReadGuard<'_, i32> = lock.try_upgradable_read().unwrap();
    /// assert_eq!(*guard, 1);
    /// assert!(lock.try_read().is_some() && lock.try_upgradable_read().is_none());
    /// ```
    RwLockUpgradableReadGuard ['a, T: ?Sized] ['a, T: ?Sized] ['a, T] => T;
    &'a MultiLock, (&'a (), *mut T);
    Send if T: Send + Sync; Sync if T: Sync;
    ends |lock| lock.release(Mode::Upgradable)
}

rwlock_guard! {
    /// An RAII guard that gives write access to the data of an [`RwLock`](crate::RwLock).
    ///
    /// Access ends when the guard is dropped.
    ///
    /// The guard is `Send` if the data is `Send` and `Sync`. `Sync` is necessary because the other
    /// thread can [downgrade](Self::downgrade) the guard, and read while this thread reads.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut guard: RwLockWriteGuard<'_, i32> = lock.try_write().unwrap();
    /// *guard += 1;
    /// assert!(lock.try_read().is_none());
    /// ```
    RwLockWriteGuard ['a, T: ?Sized] ['a, T: ?Sized] ['a, T] => T;
    &'a MultiLock, (&'a (), *mut T);
    Send if T: Send + Sync; Sync if T: Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
deref_mut!(RwLockWriteGuard ['a, T: ?Sized] ['a, T] => T);

impl<T: ?Sized> RwLockWriteGuard<'_, T> {
    /// Releases the lock after a look at the data that has changed nothing.
    pub(crate) fn release_unchanged(guard: Self) {
        guard.into_parts().0.raw.release_unchanged();
    }
}

rwlock_guard! {
    /// An RAII guard that gives write access to a part of the data of an [`RwLock`](crate::RwLock).
    ///
    /// [`RwLockWriteGuard::map`] returns this guard. Access ends when the guard is dropped.
    ///
    /// The guard cannot be downgraded: the path to the part may lead through a cell, which readers
    /// could change. [`RwLockWriteGuard::downgrade_map`] returns a read guard of a part.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{MappedRwLockWriteGuard, RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new((1, 2));
    /// let guard = lock.try_write().unwrap();
    /// let mut first: MappedRwLockWriteGuard<'_, u8> =
    ///     RwLockWriteGuard::map(guard, |pair| &mut pair.0);
    /// *first += 1;
    /// ```
    MappedRwLockWriteGuard ['a, U: ?Sized] ['a, U: ?Sized] ['a, U] => U;
    &'a MultiLock, (&'a (), *mut U);
    Send if U: Send; Sync if U: Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
deref_mut!(MappedRwLockWriteGuard ['a, U: ?Sized] ['a, U] => U);

rwlock_guard! {
    /// An RAII guard that gives an upgradable reader write access for a while.
    ///
    /// [`RwLockUpgradableReadGuard::upgrade_in_place`] returns this guard. When the guard is
    /// dropped, the upgradable reader reads again, and other readers can read beside it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{RwLock, RwLockUpgradableReadGuard, RwLockUpgradedGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut reader = lock.try_upgradable_read().unwrap();
    /// let mut writer: RwLockUpgradedGuard<'_, i32> =
    ///     RwLockUpgradableReadGuard::try_upgrade_in_place(&mut reader).unwrap();
    /// *writer += 1;
    /// drop(writer);
    /// assert_eq!(*reader, 2);
    /// ```
    RwLockUpgradedGuard ['g, T: ?Sized] ['g, T: ?Sized] ['g, T] => T;
    &'g MultiLock, (&'g (), *mut T);
    Send if T: Send; Sync if T: Sync;
    ends |lock| lock.downgrade(Mode::Exclusive, Mode::Upgradable)
}
deref_mut!(RwLockUpgradedGuard ['g, T: ?Sized] ['g, T] => T);
