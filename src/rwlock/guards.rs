//! Access to the data, until it is dropped.
//!
//! # Bounds
//!
//! What a guard takes to another thread:
//!
//! | guard | what may be done there | `Send` if |
//! |---|---|---|
//! | read | look, while others look here; the clone of one that is shared is the same | `T: Sync` |
//! | upgradable, write | write, so take the data along; and, downgraded, look while others look here | `T: Send + Sync` |
//! | upgraded in place, mapped write | write | `T: Send` |
//! | those that own the lock | and drop the data, with the last owner | `T: Send + Sync` |
//!
//! Of a part, what is reached in the other thread is the part alone: `U`, as a reference to it would. `Sync` is what
//! a reference to the guard gives: a look at the data, and of a reader, a clone.

#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
#[cfg(target_has_atomic = "ptr")]
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr::{self, NonNull};

#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::block::block_on;
use crate::mode::Mode;
use crate::multilock::MultiLock;
use crate::raw::{RawLock, RawUpgrade};
#[cfg(target_has_atomic = "ptr")]
use crate::rwlock::RwLock;
use crate::rwlock::futures::Upgrade;
#[cfg(target_has_atomic = "ptr")]
use crate::rwlock::futures::UpgradeArc;

/// What a guard has of its lock.
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

/// An `Arc<RwLock<T>>` for who reads and never writes: covariant in `T`, which the cell in it is not.
#[cfg(target_has_atomic = "ptr")]
pub(super) struct ArcToRead<T: ?Sized> {
    /// Where the lock is: a `T` in type only.
    lock: NonNull<T>,
    marker: PhantomData<T>,
}

#[cfg(target_has_atomic = "ptr")]
impl<T: ?Sized> ArcToRead<T> {
    fn arc(&self) -> ManuallyDrop<Arc<RwLock<T>>> {
        // SAFETY: it comes from `Arc::into_raw`, and has one count, of which this is the only one to make use at a time.
        ManuallyDrop::new(unsafe { Arc::from_raw(self.lock.as_ptr() as *const RwLock<T>) })
    }
}

#[cfg(target_has_atomic = "ptr")]
impl<T: ?Sized> From<Arc<RwLock<T>>> for ArcToRead<T> {
    #[inline]
    fn from(lock: Arc<RwLock<T>>) -> Self {
        let lock = Arc::into_raw(lock) as *mut RwLock<T> as *mut T;
        // SAFETY: there is a lock.
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
        // SAFETY: the lock is there as long as this is.
        unsafe { &(*(self.lock.as_ptr() as *const RwLock<T>)).lock }
    }
}

/// Why an upgrade is refused, which it never is but for this.
pub(super) const FORGOTTEN: &str = "an earlier upgrade in place was forgotten";

/// A guard: of a lock that it keeps, and of data which, as long as it is there, nobody else has in a way that the
/// mode excludes.
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
            /// Not a reference: it would have to be valid until the end of a call that ends the hold.
            data: NonNull<$Data>,
            marker: PhantomData<$Marker>,
        }

        // SAFETY: what comes with the guard to another thread is what its bounds ask for: see `Bounds`.
        unsafe impl<$($generics)*> Send for $Guard<$($args)*>
        where
            $($send: $Send $(+ $More)?),+
        {
        }

        // SAFETY: as for `Send`.
        unsafe impl<$($generics)*> Sync for $Guard<$($args)*>
        where
            $($sync: $Sync $(+ $SyncMore)?),+
        {
        }

        impl<$($generics)*> $Guard<$($args)*> {
            /// The caller has entered in the mode of the guard.
            #[inline]
            pub(super) fn new(lock: $Lock, data: NonNull<$Data>) -> Self {
                Self { lock, data, marker: PhantomData }
            }

            /// The hold goes on: it is the caller's.
            #[inline]
            #[allow(dead_code, reason = "not all guards become another one")]
            pub(super) fn into_parts(self) -> ($Lock, NonNull<$Data>) {
                let this = ManuallyDrop::new(self);
                // SAFETY: it comes from a reference, and `this` is neither used nor dropped after: what is read is
                // the only one.
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
                // SAFETY: the lock keeps the data, and is there as long as the guard, which is borrowed. Until then
                // nobody writes but by way of this guard.
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

/// The guard is the only way to the data.
macro_rules! writes {
    ($Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Data:ident) => {
        impl<$($generics)*> DerefMut for $Guard<$($args)*> {
            #[inline]
            fn deref_mut(&mut self) -> &mut $Data {
                // SAFETY: the lock keeps the data, and is there as long as the guard, which is borrowed. Until then
                // nobody reads or writes but by way of this guard.
                unsafe { self.data.as_mut() }
            }
        }
    };
}

guard! {
    /// Read access to the data of an [`RwLock`], beside other readers, until it is dropped.
    RwLockReadGuard ['a, T: ?Sized] ['a, T: ?Sized] ['a, T] => T;
    &'a MultiLock, (&'a (), *const T);
    Send if T: Sync; Sync if T: Sync;
    ends |lock| lock.release(Mode::Shared)
}

guard! {
    /// Read access to the data of an [`RwLock`], beside other readers, that may become write access with nobody in
    /// between. One at a time. Until it is dropped.
    ///
    /// # Deadlocks
    ///
    /// If the task waits for somebody who comes new to read: a writer that waits keeps newcomers out. For that there is
    /// [`share`](Self::share).
    RwLockUpgradableReadGuard ['a, T: ?Sized] ['a, T: ?Sized] ['a, T] => T;
    &'a MultiLock, (&'a (), *mut T);
    Send if T: Send + Sync; Sync if T: Sync;
    ends |lock| lock.release(Mode::Upgradable)
}

guard! {
    /// Write access to the data of an [`RwLock`], until it is dropped.
    ///
    /// It is `Send` if the data are `Send` and `Sync`: in the other thread it may be
    /// [downgraded](Self::downgrade), while this one reads, too.
    RwLockWriteGuard ['a, T: ?Sized] ['a, T: ?Sized] ['a, T] => T;
    &'a MultiLock, (&'a (), *mut T);
    Send if T: Send + Sync; Sync if T: Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
writes!(RwLockWriteGuard ['a, T: ?Sized] ['a, T] => T);

guard! {
    /// Write access to a part of the data of an [`RwLock`], until it is dropped: see [`RwLockWriteGuard::map`].
    ///
    /// It cannot be downgraded: the way to the part may lead through a cell, which readers could change.
    MappedRwLockWriteGuard ['a, U: ?Sized] ['a, U: ?Sized] ['a, U] => U;
    &'a MultiLock, (&'a (), *mut U);
    Send if U: Send; Sync if U: Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
writes!(MappedRwLockWriteGuard ['a, U: ?Sized] ['a, U] => U);

guard! {
    /// Write access that an upgradable reader has until this is dropped: then it reads again, and others beside it. See
    /// [`RwLockUpgradableReadGuard::upgrade_in_place`].
    RwLockUpgradedGuard ['g, T: ?Sized] ['g, T: ?Sized] ['g, T] => T;
    &'g MultiLock, (&'g (), *mut T);
    Send if T: Send; Sync if T: Sync;
    ends |lock| lock.downgrade(Mode::Exclusive, Mode::Upgradable)
}
writes!(RwLockUpgradedGuard ['g, T: ?Sized] ['g, T] => T);

#[cfg(target_has_atomic = "ptr")]
guard! {
    /// A [`RwLockReadGuard`] that owns the lock. `U` is the part of the data that it gives access to: by itself, all of
    /// them.
    RwLockReadGuardArc [T: ?Sized, U: ?Sized = T] [T: ?Sized, U: ?Sized] [T, U] => U;
    ArcToRead<T>, *const U;
    Send if T: Send + Sync, U: Sync; Sync if T: Send + Sync, U: Sync;
    ends |lock| lock.release(Mode::Shared)
}

#[cfg(target_has_atomic = "ptr")]
guard! {
    /// A [`RwLockUpgradableReadGuard`] that owns the lock.
    RwLockUpgradableReadGuardArc [T: ?Sized] [T: ?Sized] [T] => T;
    Arc<RwLock<T>>, *mut T;
    Send if T: Send + Sync; Sync if T: Send + Sync;
    ends |lock| lock.release(Mode::Upgradable)
}

#[cfg(target_has_atomic = "ptr")]
guard! {
    /// A [`RwLockWriteGuard`] that owns the lock.
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

/// Of an `Arc` of a lock it counts that there is a cell in it. What has one passes where panics are caught as what borrows
/// the lock does: if the data do, which are as the panic has left them.
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

/// The beginning of each example.
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

/// What a reader can do.
macro_rules! reads {
    (
        $Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Data:ident, $Part:ident => $Mapped:ty, $arc:literal
    ) => {
        impl<$($generics)*> $Guard<$($args)*> {
            /// One more guard of the same data, without waiting, even if somebody waits to write: there is a reader
            /// already. So what is called by a reader can read, too, without a deadlock.
            ///
            /// `None` if an upgradable reader waits to write: it waits only for the readers that were there when
            /// it began. Also at the maximum of readers.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_read", $arc)]
            #[doc = concat!("let more = ", stringify!($Guard), "::clone(&guard).unwrap();")]
            /// assert_eq!((guard.0, more.1), (1, 2));
            /// ```
            #[must_use = "access ends as soon as the guard is dropped"]
            #[allow(clippy::should_implement_trait, reason = "it may fail, and as for `Arc` it is not for the data")]
            pub fn clone(guard: &Self) -> Option<Self> {
                let shared = guard.lock.multilock().raw.share();
                shared.then(|| Self::new(guard.lock.clone(), guard.data))
            }

            /// A guard of a part of the data. If `f` panics, access ends.
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

            /// A guard of a part of the data, if there is that part. If `f` panics, access ends.
            ///
            /// # Errors
            ///
            /// If there is not, the guard that it was.
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

/// What a writer can do with a part of the data.
macro_rules! maps_write {
    (
        $Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Data:ident, $Part:ident => $Mapped:ty, $arc:literal, $Arc:literal
    ) => {
        impl<$($generics)*> $Guard<$($args)*> {
            /// A guard of a part of the data. If `f` panics, access ends.
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

            /// A guard of a part of the data, if there is that part. If `f` panics, access ends.
            ///
            /// # Errors
            ///
            /// If there is not, the guard that it was.
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

/// How readers and writers become one another.
macro_rules! changes {
    (
        [$($generics:tt)*] [$($args:tt)*] $Read:ident, $Upgradable:ident, $Write:ident, $Upgrade:ident, $arc:literal
    ) => {
        impl<$($generics)*> $Upgradable<$($args)*> {
            /// Reads on, as any reader. Never waits.
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
                // Made before others are woken, whose wakers may panic.
                let guard = $Read::new(lock.into(), data);
                guard.lock.multilock().raw.downgrade(Mode::Upgradable, Mode::Shared);
                guard
            }

            /// A reader beside this guard, without waiting, even if somebody waits to write.
            ///
            /// `None` at the maximum of readers.
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

            /// Gives write access if there is no other reader. Never waits.
            ///
            /// # Errors
            ///
            /// If there is one, the guard that it was.
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

            /// Waits for write access: until the other readers have left.
            ///
            /// From its first poll on nobody new enters. So the data are what this guard has read.
            ///
            /// # Cancel safety
            ///
            /// A future that is dropped takes the guard along. To keep that, there is
            /// [`upgrade_in_place`](Self::upgrade_in_place).
            ///
            /// # Deadlocks
            ///
            /// If the task reads by another guard, too.
            ///
            /// # Panics
            ///
            /// If an earlier [`upgrade_in_place`](Self::upgrade_in_place), or the guard of one, was forgotten
            /// (`mem::forget`).
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

            /// As [`upgrade`](Self::upgrade), but blocks the thread.
            ///
            /// # Deadlocks
            ///
            /// If the thread, or whoever waits for it, reads by another guard.
            ///
            /// # Panics
            ///
            /// As [`upgrade`](Self::upgrade).
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            #[track_caller]
            pub fn upgrade_blocking(guard: Self) -> $Write<$($args)*> {
                let upgrading = RawUpgrade::new(&guard.lock.multilock().raw, Mode::Upgradable);
                assert!(block_on(upgrading, None) == Some(true), "{FORGOTTEN}");
                let (lock, data) = guard.into_parts();
                $Write::new(lock, data)
            }

            /// Waits for write access, which ends when the guard of that is dropped. Then this one reads on, with
            /// nobody in between.
            ///
            /// # Cancel safety
            ///
            /// A future that is dropped leaves the guard as it was, and wakes those who waited because of the
            /// upgrade.
            ///
            /// # Deadlocks
            ///
            /// If the task reads by another guard, too.
            ///
            /// # Panics
            ///
            /// If an earlier upgrade in place, or the [`RwLockUpgradedGuard`] of one, was forgotten (`mem::forget`).
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

            /// Gives write access if there is no other reader, until the guard of that is dropped. Then this one reads
            /// on, with nobody in between. Never waits.
            #[must_use = "access ends as soon as the guard is dropped"]
            pub fn try_upgrade_in_place(guard: &mut Self) -> Option<RwLockUpgradedGuard<'_, T>> {
                let lock = guard.lock.multilock();
                let upgraded = lock.raw.try_upgrade(Mode::Upgradable).is_ok();
                upgraded.then(|| RwLockUpgradedGuard::new(lock, guard.data))
            }
        }

        impl<$($generics)*> $Write<$($args)*> {
            /// Reads on, with nobody in between. All who wait to read are woken, also if somebody waits to write; those who
            /// come later wait behind that one. Never waits.
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

            /// As [`downgrade`](Self::downgrade), and it may become the writer again.
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
