//! The guards, which give access to the data until they are dropped.
//!
//! # Bounds
//!
//! What a guard takes to another thread:
//!
//! | guard | what the other thread may do | `Send` if |
//! |---|---|---|
//! | read | read while readers here read; a clone of a shared guard does the same | `T: Sync` |
//! | upgradable, write | write, so move it; downgraded, read while readers here read | `T: Send + Sync` |
//! | upgraded in place, mapped write | write | `T: Send` |
//! | those that own the lock | also drop the data, with the last owner | `T: Send + Sync` |
//!
//! A guard of a part reaches only that part in the other thread. So `U` needs the bounds that a
//! reference to the part needs. The bounds of `Sync` are for what a reference to the guard gives:
//! read access to the data, and a clone of a read guard.

#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
#[cfg(target_has_atomic = "ptr")]
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr::{self, NonNull};

use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::raw::{RawLock, RawUpgrade};
#[cfg(target_has_atomic = "ptr")]
use crate::rwlock::RwLock;
use crate::rwlock::futures::Upgrade;
#[cfg(target_has_atomic = "ptr")]
use crate::rwlock::futures::UpgradeArc;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::sync::block::block_on;

/// Gives a guard access to its lock, which the guard borrows or owns.
pub(super) trait Keeps {
    fn multilock(&self) -> &MultiLock;
}

impl Keeps for &MultiLock {
    #[inline]
    fn multilock(&self) -> &MultiLock {
        self
    }
}

#[cfg(target_has_atomic = "ptr")]
impl<T: ?Sized> Keeps for Arc<RwLock<T>> {
    #[inline]
    fn multilock(&self) -> &MultiLock {
        &self.lock
    }
}

/// An `Arc<RwLock<T>>` for a reader, which never writes. This type is covariant in `T`; an `Arc` of
/// the lock is not, because of the cell in the lock.
#[cfg(target_has_atomic = "ptr")]
pub(super) struct ArcToRead<T: ?Sized> {
    /// Points to the lock, and to a `T` in type only.
    lock: NonNull<T>,
    marker: PhantomData<T>,
}

#[cfg(target_has_atomic = "ptr")]
impl<T: ?Sized> ArcToRead<T> {
    fn arc(&self) -> ManuallyDrop<Arc<RwLock<T>>> {
        // SAFETY: the pointer comes from `Arc::into_raw` and has one count. `self` is the only one
        // to make use of that count at a time.
        ManuallyDrop::new(unsafe { Arc::from_raw(self.lock.as_ptr() as *const RwLock<T>) })
    }
}

#[cfg(target_has_atomic = "ptr")]
impl<T: ?Sized> From<Arc<RwLock<T>>> for ArcToRead<T> {
    #[inline]
    fn from(lock: Arc<RwLock<T>>) -> Self {
        let lock = Arc::into_raw(lock) as *mut RwLock<T> as *mut T;
        // SAFETY: the lock exists, so the pointer is not null.
        Self { lock: unsafe { NonNull::new_unchecked(lock) }, marker: PhantomData }
    }
}

#[cfg(target_has_atomic = "ptr")]
impl<T: ?Sized> Clone for ArcToRead<T> {
    fn clone(&self) -> Self {
        Arc::clone(&self.arc()).into()
    }
}

#[cfg(target_has_atomic = "ptr")]
impl<T: ?Sized> Drop for ArcToRead<T> {
    #[inline]
    fn drop(&mut self) {
        drop(ManuallyDrop::into_inner(self.arc()));
    }
}

#[cfg(target_has_atomic = "ptr")]
impl<T: ?Sized> Keeps for ArcToRead<T> {
    #[inline]
    fn multilock(&self) -> &MultiLock {
        // SAFETY: the lock lives as long as `self`, which has a count of the `Arc`.
        unsafe { &(*(self.lock.as_ptr() as *const RwLock<T>)).lock }
    }
}

/// The only reason for which an upgrade is refused.
pub(super) const FORGOTTEN: &str = "an earlier upgrade in place was forgotten";

/// Defines a guard. A guard borrows or owns its lock. While the guard is alive, no other guard gives
/// an access to the data that the mode excludes.
macro_rules! guard {
    (
        $(#[$meta:meta])*
        $Guard:ident [$($defaults:tt)*] [$($generics:tt)*] [$($args:tt)*] => $Data:ident;
        $Lock:ty, $Marker:ty;
        Send if $($send:ident: $Send:ident $(+ $More:ident)?),+; Sync if $($sync:ident: $Sync:ident $(+ $SyncMore:ident)?),+;
        ends $end:expr
    ) => {
        $(#[$meta])*
        #[must_use = "access ends as soon as the guard is dropped"]
        #[clippy::has_significant_drop]
        pub struct $Guard<$($defaults)*> {
            lock: $Lock,
            /// Not a reference: a reference would have to be valid until the end of a call that
            /// releases the lock.
            data: NonNull<$Data>,
            marker: PhantomData<$Marker>,
        }

        // SAFETY: the bounds ask for what the guard takes to another thread: see `Bounds`.
        unsafe impl<$($generics)*> Send for $Guard<$($args)*>
        where
            $($send: $Send $(+ $More)?),+
        {
        }

        // SAFETY: as for `Send`, with what a reference to the guard gives.
        unsafe impl<$($generics)*> Sync for $Guard<$($args)*>
        where
            $($sync: $Sync $(+ $SyncMore)?),+
        {
        }

        impl<$($generics)*> $Guard<$($args)*> {
            /// Makes a guard. The caller has acquired the lock in the mode of the guard.
            #[inline]
            pub(super) fn new(lock: $Lock, data: NonNull<$Data>) -> Self {
                Self { lock, data, marker: PhantomData }
            }

            /// Takes the guard apart. The lock stays held, and the caller takes the acquisition
            /// over.
            #[inline]
            #[allow(dead_code, reason = "not all guards become another one")]
            pub(super) fn into_parts(self) -> ($Lock, NonNull<$Data>) {
                let this = ManuallyDrop::new(self);
                // SAFETY: the pointer comes from a reference. `this.lock` is neither used nor
                // dropped after, so what is read is the only copy.
                (unsafe { ptr::read(&this.lock) }, this.data)
            }

            #[inline]
            #[allow(dead_code, reason = "not all guards become another one")]
            pub(super) fn lock(&self) -> &$Lock {
                &self.lock
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
            type Target = $Data;

            #[inline]
            fn deref(&self) -> &$Data {
                // SAFETY: the lock contains the data and lives as long as the guard, which is
                // borrowed. While the guard lives, the data is written only through this guard.
                unsafe { self.data.as_ref() }
            }
        }

        impl<$($generics)*> fmt::Debug for $Guard<$($args)*>
        where
            $Data: fmt::Debug,
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<$($generics)*> fmt::Display for $Guard<$($args)*>
        where
            $Data: fmt::Display,
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}

/// Implements `DerefMut` for a guard that is the only way to the data.
macro_rules! writes {
    ($Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Data:ident) => {
        impl<$($generics)*> DerefMut for $Guard<$($args)*> {
            #[inline]
            fn deref_mut(&mut self) -> &mut $Data {
                // SAFETY: the lock contains the data and lives as long as the guard, which is
                // borrowed. While the guard lives, the data is read and written only through this
                // guard.
                unsafe { self.data.as_mut() }
            }
        }
    };
}

guard! {
    /// An RAII guard that gives read access to the data of an [`RwLock`], beside other readers.
    ///
    /// Access ends when the guard is dropped.
    RwLockReadGuard ['a, T: ?Sized] ['a, T: ?Sized] ['a, T] => T;
    &'a MultiLock, (&'a (), *const T);
    Send if T: Sync; Sync if T: Sync;
    ends |lock| lock.release(Mode::Shared)
}

guard! {
    /// An RAII guard that gives read access to the data of an [`RwLock`], and can be upgraded to
    /// write access.
    ///
    /// The guard reads beside other readers. It can become a write guard with no other holder in
    /// between. There is at most one upgradable guard at a time. Access ends when the guard is
    /// dropped.
    ///
    /// # Deadlocks
    ///
    /// A deadlock is possible if the task waits for a newcomer that wants to read: a queued writer
    /// keeps newcomers out. Use [`share`](Self::share) instead, which does not wait.
    RwLockUpgradableReadGuard ['a, T: ?Sized] ['a, T: ?Sized] ['a, T] => T;
    &'a MultiLock, (&'a (), *mut T);
    Send if T: Send + Sync; Sync if T: Sync;
    ends |lock| lock.release(Mode::Upgradable)
}

guard! {
    /// An RAII guard that gives write access to the data of an [`RwLock`].
    ///
    /// Access ends when the guard is dropped.
    ///
    /// The guard is `Send` if the data is `Send` and `Sync`. The other thread may
    /// [downgrade](Self::downgrade) the guard, and read while this thread reads, too.
    RwLockWriteGuard ['a, T: ?Sized] ['a, T: ?Sized] ['a, T] => T;
    &'a MultiLock, (&'a (), *mut T);
    Send if T: Send + Sync; Sync if T: Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
writes!(RwLockWriteGuard ['a, T: ?Sized] ['a, T] => T);

guard! {
    /// An RAII guard that gives write access to a part of the data of an [`RwLock`].
    ///
    /// [`RwLockWriteGuard::map`] makes this guard. Access ends when the guard is dropped.
    ///
    /// The guard cannot be downgraded: the path to the part may lead through a cell, which readers
    /// could change.
    MappedRwLockWriteGuard ['a, U: ?Sized] ['a, U: ?Sized] ['a, U] => U;
    &'a MultiLock, (&'a (), *mut U);
    Send if U: Send; Sync if U: Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
writes!(MappedRwLockWriteGuard ['a, U: ?Sized] ['a, U] => U);

guard! {
    /// An RAII guard that gives an upgradable reader write access for a while.
    ///
    /// [`RwLockUpgradableReadGuard::upgrade_in_place`] makes this guard. When the guard is dropped,
    /// the upgradable reader reads again, and other readers can read beside it.
    RwLockUpgradedGuard ['g, T: ?Sized] ['g, T: ?Sized] ['g, T] => T;
    &'g MultiLock, (&'g (), *mut T);
    Send if T: Send; Sync if T: Sync;
    ends |lock| lock.downgrade(Mode::Exclusive, Mode::Upgradable)
}
writes!(RwLockUpgradedGuard ['g, T: ?Sized] ['g, T] => T);

#[cfg(target_has_atomic = "ptr")]
guard! {
    /// An [`RwLockReadGuard`] that owns the lock.
    ///
    /// `U` is the part of the data that the guard gives access to: by default, all of the data.
    RwLockReadGuardArc [T: ?Sized, U: ?Sized = T] [T: ?Sized, U: ?Sized] [T, U] => U;
    ArcToRead<T>, *const U;
    Send if T: Send + Sync, U: Sync; Sync if T: Send + Sync, U: Sync;
    ends |lock| lock.release(Mode::Shared)
}

#[cfg(target_has_atomic = "ptr")]
guard! {
    /// An [`RwLockUpgradableReadGuard`] that owns the lock.
    RwLockUpgradableReadGuardArc [T: ?Sized] [T: ?Sized] [T] => T;
    Arc<RwLock<T>>, *mut T;
    Send if T: Send + Sync; Sync if T: Send + Sync;
    ends |lock| lock.release(Mode::Upgradable)
}

#[cfg(target_has_atomic = "ptr")]
guard! {
    /// An [`RwLockWriteGuard`] that owns the lock.
    RwLockWriteGuardArc [T: ?Sized] [T: ?Sized] [T] => T;
    Arc<RwLock<T>>, *mut T;
    Send if T: Send + Sync; Sync if T: Send + Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
#[cfg(target_has_atomic = "ptr")]
writes!(RwLockWriteGuardArc [T: ?Sized] [T] => T);

#[cfg(target_has_atomic = "ptr")]
guard! {
    /// A [`MappedRwLockWriteGuard`] that owns the lock.
    MappedRwLockWriteGuardArc [T: ?Sized, U: ?Sized] [T: ?Sized, U: ?Sized] [T, U] => U;
    Arc<RwLock<T>>, *mut U;
    Send if T: Send + Sync, U: Send; Sync if T: Send + Sync, U: Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
#[cfg(target_has_atomic = "ptr")]
writes!(MappedRwLockWriteGuardArc [T: ?Sized, U: ?Sized] [T, U] => U);

/// Implements `UnwindSafe` and `RefUnwindSafe` for types that own the lock. An `Arc` of the lock
/// has neither by itself, because of the cell in the lock. These types are unwind safe where types
/// that borrow the lock are: if the data is. The data stays as the panic left it.
#[cfg(target_has_atomic = "ptr")]
macro_rules! unwinds {
    ($([$($generics:tt)*] $Type:ty;)+) => {$(
        impl<$($generics)*> ::core::panic::UnwindSafe for $Type {}
        impl<$($generics)*> ::core::panic::RefUnwindSafe for $Type {}
    )+};
}
#[cfg(target_has_atomic = "ptr")]
pub(super) use unwinds;

#[cfg(target_has_atomic = "ptr")]
unwinds! {
    [T: ?Sized + UnwindSafe + RefUnwindSafe] RwLockUpgradableReadGuardArc<T>;
    [T: ?Sized + UnwindSafe + RefUnwindSafe] RwLockWriteGuardArc<T>;
    [T: ?Sized + UnwindSafe + RefUnwindSafe, U: ?Sized + RefUnwindSafe] MappedRwLockWriteGuardArc<T, U>;
}

/// Expands to the first lines of an example.
macro_rules! example {
    ($try:literal, $arc:literal) => {
        concat!(
            "# use multilock::*;\n# use std::sync::Arc;\n",
            "let lock = Arc::new(RwLock::new((1, 2)));\n",
            "let mut guard = lock.",
            $try,
            $arc,
            "().unwrap();\n# let _ = &mut guard;"
        )
    };
}

/// Defines what a read guard can do.
macro_rules! reads {
    (
        $Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Data:ident, $Part:ident => $Mapped:ty, $arc:literal
    ) => {
        impl<$($generics)*> $Guard<$($args)*> {
            /// Returns one more guard of the same data, without waiting.
            ///
            /// This works even if a writer is queued, because this guard reads already. So a
            /// function that a reader calls can read, too, without a deadlock.
            ///
            /// Returns `None` if an upgradable reader waits for its upgrade: the upgrade waits only
            /// for the readers that held the lock when it began. Also returns `None` at the maximum
            /// number of readers.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_read", $arc)]
            #[doc = concat!("let more = ", stringify!($Guard), "::share(&guard).unwrap();")]
            /// assert_eq!((guard.0, more.1), (1, 2));
            /// ```
            #[must_use = "access ends as soon as the guard is dropped"]
            #[doc(alias = "clone")]
            pub fn share(guard: &Self) -> Option<Self> {
                let shared = guard.lock.multilock().raw.share();
                shared.then(|| Self::new(guard.lock.clone(), guard.data))
            }

            /// Turns the guard into a guard of a part of the data.
            ///
            /// If `f` panics, access ends.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_read", $arc)]
            #[doc = concat!("let second = ", stringify!($Guard), "::map(guard, |pair| &pair.1);")]
            /// assert_eq!(*second, 2);
            /// ```
            pub fn map<$Part: ?Sized>(guard: Self, f: impl FnOnce(&$Data) -> &$Part) -> $Mapped {
                let part = NonNull::from(f(&guard));
                let (lock, _) = guard.into_parts();
                <$Mapped>::new(lock, part)
            }

            /// Turns the guard into a guard of a part of the data, if `f` returns that part.
            ///
            /// If `f` panics, access ends.
            ///
            /// # Errors
            ///
            /// Returns the original guard if `f` returns `None`.
            pub fn try_map<$Part: ?Sized>(
                guard: Self,
                f: impl FnOnce(&$Data) -> Option<&$Part>,
            ) -> Result<$Mapped, Self> {
                let Some(part) = f(&guard).map(NonNull::from) else {
                    return Err(guard);
                };
                let (lock, _) = guard.into_parts();
                Ok(<$Mapped>::new(lock, part))
            }
        }
    };
}

reads!(RwLockReadGuard ['a, T: ?Sized] ['a, T] => T, U => RwLockReadGuard<'a, U>, "");
#[cfg(target_has_atomic = "ptr")]
reads!(RwLockReadGuardArc [T: ?Sized, U: ?Sized] [T, U] => U, V => RwLockReadGuardArc<T, V>, "_arc");

/// Defines how a write guard becomes a guard of a part of the data.
macro_rules! maps_write {
    (
        $Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Data:ident, $Part:ident => $Mapped:ty, $arc:literal, $Arc:literal
    ) => {
        impl<$($generics)*> $Guard<$($args)*> {
            /// Turns the guard into a guard of a part of the data.
            ///
            /// If `f` panics, access ends.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_write", $arc)]
            #[doc = concat!("let mut second = RwLockWriteGuard", $Arc, "::map(guard, |pair| &mut pair.1);")]
            /// *second += 1;
            /// drop(second);
            /// assert_eq!(lock.try_read().unwrap().1, 3);
            /// ```
            pub fn map<$Part: ?Sized>(
                mut guard: Self,
                f: impl FnOnce(&mut $Data) -> &mut $Part,
            ) -> $Mapped {
                let part = NonNull::from(f(&mut guard));
                let (lock, _) = guard.into_parts();
                <$Mapped>::new(lock, part)
            }

            /// Turns the guard into a guard of a part of the data, if `f` returns that part.
            ///
            /// If `f` panics, access ends.
            ///
            /// # Errors
            ///
            /// Returns the original guard if `f` returns `None`.
            pub fn try_map<$Part: ?Sized>(
                mut guard: Self,
                f: impl FnOnce(&mut $Data) -> Option<&mut $Part>,
            ) -> Result<$Mapped, Self> {
                let Some(part) = f(&mut guard).map(NonNull::from) else {
                    return Err(guard);
                };
                let (lock, _) = guard.into_parts();
                Ok(<$Mapped>::new(lock, part))
            }
        }
    };
}

maps_write!(RwLockWriteGuard ['a, T: ?Sized] ['a, T] => T, U => MappedRwLockWriteGuard<'a, U>, "", "");
maps_write!(MappedRwLockWriteGuard ['a, U: ?Sized] ['a, U] => U, V => MappedRwLockWriteGuard<'a, V>, "", "");
#[cfg(target_has_atomic = "ptr")]
maps_write!(RwLockWriteGuardArc [T: ?Sized] [T] => T, U => MappedRwLockWriteGuardArc<T, U>, "_arc", "Arc");
#[cfg(target_has_atomic = "ptr")]
maps_write!(MappedRwLockWriteGuardArc [T: ?Sized, U: ?Sized] [T, U] => U, V => MappedRwLockWriteGuardArc<T, V>, "_arc", "Arc");

/// Defines how read guards and write guards become one another.
macro_rules! changes {
    (
        [$($generics:tt)*] [$($args:tt)*] $Read:ident, $Upgradable:ident, $Write:ident, $Upgrade:ident, $arc:literal
    ) => {
        impl<$($generics)*> $Upgradable<$($args)*> {
            /// Turns the guard into a read guard, which is no longer upgradable. Never waits.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_upgradable_read", $arc)]
            #[doc = concat!("let guard = ", stringify!($Upgradable), "::downgrade(guard);")]
            /// assert_eq!(guard.0, 1);
            /// assert!(lock.try_upgradable_read().is_some());
            /// ```
            pub fn downgrade(guard: Self) -> $Read<$($args)*> {
                let (lock, data) = guard.into_parts();
                // The new guard exists before other waiters are woken, because a waker may panic.
                let guard = $Read::new(lock.into(), data);
                guard.lock.multilock().raw.downgrade(Mode::Upgradable, Mode::Shared);
                guard
            }

            /// Returns a read guard beside this guard, without waiting, even if a writer is queued.
            ///
            /// Returns `None` at the maximum number of readers.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_upgradable_read", $arc)]
            #[doc = concat!("let reader = ", stringify!($Upgradable), "::share(&guard).unwrap();")]
            /// assert_eq!((guard.0, reader.1), (1, 2));
            /// ```
            #[must_use = "access ends as soon as the guard is dropped"]
            pub fn share(guard: &Self) -> Option<$Read<$($args)*>> {
                let shared = guard.lock.multilock().raw.share();
                shared.then(|| $Read::new(guard.lock.clone().into(), guard.data))
            }

            /// Upgrades the guard to a write guard if there is no other reader. Never waits.
            ///
            /// # Errors
            ///
            /// Returns the original guard if there is another reader.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_upgradable_read", $arc)]
            #[doc = concat!("let mut guard = ", stringify!($Upgradable), "::try_upgrade(guard).unwrap();")]
            /// guard.0 += 1;
            /// ```
            pub fn try_upgrade(guard: Self) -> Result<$Write<$($args)*>, Self> {
                if guard.lock.multilock().raw.try_upgrade(Mode::Upgradable).is_err() {
                    return Err(guard);
                }
                let (lock, data) = guard.into_parts();
                Ok($Write::new(lock, data))
            }

            /// Upgrades the guard to a write guard, waiting asynchronously until the other readers
            /// have left.
            ///
            /// From the first poll on, the lock admits no new holder. So the data is what this
            /// guard has read.
            ///
            /// # Cancel safety
            ///
            /// A future that is dropped also drops the guard. To keep the guard, use
            /// [`upgrade_in_place`](Self::upgrade_in_place).
            ///
            /// # Deadlocks
            ///
            /// A deadlock occurs if the task also reads through another guard.
            ///
            /// # Panics
            ///
            /// Panics if an earlier [`upgrade_in_place`](Self::upgrade_in_place), or the guard of
            /// one, was forgotten (`mem::forget`).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_upgradable_read", $arc)]
            /// # smol::block_on(async {
            #[doc = concat!("let mut guard = ", stringify!($Upgradable), "::upgrade(guard).await;")]
            /// guard.0 += 1;
            /// # });
            /// ```
            pub fn upgrade(guard: Self) -> $Upgrade<$($args)*> {
                $Upgrade::new(guard)
            }

            /// Upgrades the guard to a write guard, and blocks the thread until the other readers
            /// have left.
            ///
            /// Meanwhile the lock admits no new holder, as with [`upgrade`](Self::upgrade). So the
            /// data is what this guard has read.
            ///
            /// # Deadlocks
            ///
            /// A deadlock occurs if the thread, or a task or thread that waits for it, reads
            /// through another guard.
            ///
            /// # Panics
            ///
            /// Panics if an earlier [`upgrade_in_place`](Self::upgrade_in_place), or the guard of
            /// one, was forgotten (`mem::forget`).
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            #[track_caller]
            pub fn upgrade_blocking(guard: Self) -> $Write<$($args)*> {
                let upgrading = RawUpgrade::new(&guard.lock.multilock().raw, Mode::Upgradable);
                assert!(block_on(upgrading, None) == Some(true), "{FORGOTTEN}");
                let (lock, data) = guard.into_parts();
                $Write::new(lock, data)
            }

            /// Upgrades to write access in place, waiting asynchronously until the other readers
            /// have left.
            ///
            /// Write access ends when the returned guard is dropped. Then this guard reads again,
            /// with no other holder in between.
            ///
            /// # Cancel safety
            ///
            /// A future that is dropped leaves the guard as it was, and wakes the waiters that
            /// waited because of the upgrade.
            ///
            /// # Deadlocks
            ///
            /// A deadlock occurs if the task also reads through another guard.
            ///
            /// # Panics
            ///
            /// Panics if an earlier upgrade in place, or the [`RwLockUpgradedGuard`] of one, was
            /// forgotten (`mem::forget`).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_upgradable_read", $arc)]
            /// # smol::block_on(async {
            #[doc = concat!(stringify!($Upgradable), "::upgrade_in_place(&mut guard).await.0 += 1;")]
            /// assert_eq!(guard.0, 2);
            /// assert!(lock.try_read().is_some());
            /// # });
            /// ```
            pub async fn upgrade_in_place(guard: &mut Self) -> RwLockUpgradedGuard<'_, T> {
                let lock = guard.lock.multilock();
                let upgraded = RawUpgrade::new(&lock.raw, Mode::Upgradable).await;
                assert!(upgraded, "{FORGOTTEN}");
                RwLockUpgradedGuard::new(lock, guard.data)
            }

            /// Upgrades to write access in place if there is no other reader. Never waits.
            ///
            /// Write access ends when the returned guard is dropped. Then this guard reads again,
            /// with no other holder in between.
            #[must_use = "access ends as soon as the guard is dropped"]
            pub fn try_upgrade_in_place(guard: &mut Self) -> Option<RwLockUpgradedGuard<'_, T>> {
                let lock = guard.lock.multilock();
                let upgraded = lock.raw.try_upgrade(Mode::Upgradable).is_ok();
                upgraded.then(|| RwLockUpgradedGuard::new(lock, guard.data))
            }
        }

        impl<$($generics)*> $Write<$($args)*> {
            /// Turns the guard into a read guard, with no other holder in between. Never waits.
            ///
            /// All waiting readers are woken, even if a writer is queued. Readers that arrive later
            /// wait behind that writer.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_write", $arc)]
            #[doc = concat!("let guard = ", stringify!($Write), "::downgrade(guard);")]
            /// assert_eq!(guard.0, 1);
            /// assert!(lock.try_read().is_some());
            /// ```
            pub fn downgrade(guard: Self) -> $Read<$($args)*> {
                let (lock, data) = guard.into_parts();
                let guard = $Read::new(lock.into(), data);
                guard.lock.multilock().raw.downgrade(Mode::Exclusive, Mode::Shared);
                guard
            }

            /// Turns the guard into an upgradable read guard, with no other holder in between.
            /// Never waits.
            ///
            /// All waiting readers are woken, as by [`downgrade`](Self::downgrade). The upgradable
            /// guard can become a write guard again.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_write", $arc)]
            #[doc = concat!("let guard = ", stringify!($Write), "::downgrade_to_upgradable(guard);")]
            /// assert_eq!(guard.0, 1);
            /// assert!(lock.try_read().is_some() && lock.try_upgradable_read().is_none());
            /// ```
            pub fn downgrade_to_upgradable(guard: Self) -> $Upgradable<$($args)*> {
                let (lock, data) = guard.into_parts();
                let guard = $Upgradable::new(lock, data);
                guard.lock.multilock().raw.downgrade(Mode::Exclusive, Mode::Upgradable);
                guard
            }
        }
    };
}

changes! {
    ['a, T: ?Sized] ['a, T]
    RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard, Upgrade, ""
}
#[cfg(target_has_atomic = "ptr")]
changes! {
    [T: ?Sized] [T]
    RwLockReadGuardArc, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc, UpgradeArc, "_arc"
}
