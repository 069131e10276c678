//! What owns its lock, in an [`Arc`], and so borrows nothing: guards, futures and methods.

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::ptr::{self, NonNull};
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;

use super::guards::{FORGOTTEN, HasLock};
use super::{RwLock, RwLockUpgradedGuard};
use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::raw::acquire::RawAcquire;
use crate::raw::{RawLock, RawUpgrade};

impl<T: ?Sized> HasLock for Arc<RwLock<T>> {
    #[inline]
    fn multilock(&self) -> &MultiLock {
        &self.lock
    }
}

/// An `Arc<RwLock<T>>` for a reader, which never writes. This type is covariant in `T`; an `Arc` of
/// the lock is not, because of the cell in the lock.
pub(super) struct CovariantArc<T: ?Sized> {
    /// Points to the lock, and to a `T` in type only.
    lock: NonNull<T>,
    marker: PhantomData<T>,
}

impl<T: ?Sized> CovariantArc<T> {
    fn arc(&self) -> ManuallyDrop<Arc<RwLock<T>>> {
        // SAFETY: the pointer comes from `Arc::into_raw` and has one count. `self` is the only one
        // to make use of that count at a time.
        ManuallyDrop::new(unsafe { Arc::from_raw(self.lock.as_ptr() as *const RwLock<T>) })
    }
}

impl<T: ?Sized> From<Arc<RwLock<T>>> for CovariantArc<T> {
    #[inline]
    fn from(lock: Arc<RwLock<T>>) -> Self {
        let lock = Arc::into_raw(lock) as *mut RwLock<T> as *mut T;
        // SAFETY: the lock exists, so the pointer is not null.
        Self { lock: unsafe { NonNull::new_unchecked(lock) }, marker: PhantomData }
    }
}

impl<T: ?Sized> Clone for CovariantArc<T> {
    fn clone(&self) -> Self {
        Arc::clone(&self.arc()).into()
    }
}

impl<T: ?Sized> Drop for CovariantArc<T> {
    #[inline]
    fn drop(&mut self) {
        drop(ManuallyDrop::into_inner(self.arc()));
    }
}

impl<T: ?Sized> HasLock for CovariantArc<T> {
    #[inline]
    fn multilock(&self) -> &MultiLock {
        // SAFETY: the lock lives as long as `self`, which has a count of the `Arc`.
        unsafe { &(*(self.lock.as_ptr() as *const RwLock<T>)).lock }
    }
}

rwlock_guard! {
    /// An [`RwLockReadGuard`](crate::RwLockReadGuard) that owns the lock.
    ///
    /// `U` is the part of the data that the guard gives access to: by default, all of the data.
    RwLockReadGuardArc [T: ?Sized, U: ?Sized = T] [T: ?Sized, U: ?Sized] [T, U] => U;
    CovariantArc<T>, *const U;
    Send if T: Send + Sync, U: Sync; Sync if T: Send + Sync, U: Sync;
    ends |lock| lock.release(Mode::Shared)
}

rwlock_guard! {
    /// An [`RwLockUpgradableReadGuard`](crate::RwLockUpgradableReadGuard) that owns the lock.
    RwLockUpgradableReadGuardArc [T: ?Sized] [T: ?Sized] [T] => T;
    Arc<RwLock<T>>, *mut T;
    Send if T: Send + Sync; Sync if T: Send + Sync;
    ends |lock| lock.release(Mode::Upgradable)
}

rwlock_guard! {
    /// An [`RwLockWriteGuard`](crate::RwLockWriteGuard) that owns the lock.
    RwLockWriteGuardArc [T: ?Sized] [T: ?Sized] [T] => T;
    Arc<RwLock<T>>, *mut T;
    Send if T: Send + Sync; Sync if T: Send + Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
deref_mut!(RwLockWriteGuardArc [T: ?Sized] [T] => T);

rwlock_guard! {
    /// A [`MappedRwLockWriteGuard`](crate::MappedRwLockWriteGuard) that owns the lock.
    MappedRwLockWriteGuardArc [T: ?Sized, U: ?Sized] [T: ?Sized, U: ?Sized] [T, U] => U;
    Arc<RwLock<T>>, *mut U;
    Send if T: Send + Sync, U: Send; Sync if T: Send + Sync, U: Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
deref_mut!(MappedRwLockWriteGuardArc [T: ?Sized, U: ?Sized] [T, U] => U);

read_guard_methods!(RwLockReadGuardArc [T: ?Sized, U: ?Sized] [T, U] => U, V => RwLockReadGuardArc<T, V>, "_arc");
write_guard_methods!(RwLockWriteGuardArc [T: ?Sized] [T] => T, U => MappedRwLockWriteGuardArc<T, U>, "_arc", "Arc");
write_guard_methods!(MappedRwLockWriteGuardArc [T: ?Sized, U: ?Sized] [T, U] => U, V => MappedRwLockWriteGuardArc<T, V>, "_arc", "Arc");

guard_conversions! {
    [T: ?Sized] [T]
    RwLockReadGuardArc, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc, UpgradeArc, "_arc"
}

/// Defines a future that returns a guard that owns the lock.
macro_rules! owning_future {
    ($Future:ident, $method:literal, $mode:ident, $Guard:ident) => {
        acquire_future! {
            $Future, $method, &'a Arc<RwLock<T>>,
            |_lock, of| $Guard::new(Arc::clone(of).into(), of.data()) => $Guard<T>
        }

        impl<'a, T: ?Sized> $Future<'a, T> {
            #[inline]
            pub(super) fn new(lock: &'a Arc<RwLock<T>>) -> Self {
                Self { acquire: RawAcquire::new(&lock.lock, Mode::$mode), of: lock }
            }
        }
    };
}

owning_future!(ReadArc, "read_arc", Shared, RwLockReadGuardArc);
owning_future!(UpgradableReadArc, "upgradable_read_arc", Upgradable, RwLockUpgradableReadGuardArc);
owning_future!(WriteArc, "write_arc", Exclusive, RwLockWriteGuardArc);

upgrade_future!(UpgradeArc [T], 'static, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc);
opaque_debug!(UpgradeArc[T]);

impl<T: ?Sized> UpgradeArc<T> {
    pub(super) fn new(guard: RwLockUpgradableReadGuardArc<T>) -> Self {
        let raw: *const RawLock = &guard.lock.lock.raw;
        // SAFETY: the lock is in the `Arc` of the guard, where it is not moved. The guard stays in
        // this future as long as the upgrade does, or is dropped after the upgrade.
        let upgrading = RawUpgrade::new(unsafe { &*raw }, Mode::Upgradable);
        Self { upgrading: Some(upgrading), guard: Some(guard) }
    }
}

/// Implements `UnwindSafe` and `RefUnwindSafe` for types that own the lock. An `Arc` of the lock
/// has neither by itself, because of the cell in the lock. These types are unwind safe where types
/// that borrow the lock are: if the data is. The data stays as the panic left it.
macro_rules! unwind_safe {
    ($([$($generics:tt)*] $Type:ty;)+) => {$(
        impl<$($generics)*> ::core::panic::UnwindSafe for $Type {}
        impl<$($generics)*> ::core::panic::RefUnwindSafe for $Type {}
    )+};
}

unwind_safe! {
    [T: ?Sized + UnwindSafe + RefUnwindSafe] RwLockUpgradableReadGuardArc<T>;
    [T: ?Sized + UnwindSafe + RefUnwindSafe] RwLockWriteGuardArc<T>;
    [T: ?Sized + UnwindSafe + RefUnwindSafe, U: ?Sized + RefUnwindSafe] MappedRwLockWriteGuardArc<T, U>;
    [T: ?Sized + UnwindSafe + RefUnwindSafe] ReadArc<'_, T>;
    [T: ?Sized + UnwindSafe + RefUnwindSafe] UpgradableReadArc<'_, T>;
    [T: ?Sized + UnwindSafe + RefUnwindSafe] WriteArc<'_, T>;
}

/// Defines the methods that acquire a lock in one mode, with a guard that owns the lock.
macro_rules! acquire_arc_methods {
    (
        $mode:ident, $GuardArc:ident, $FutureArc:ident,
        $try_arc:ident as $try:ident, $wait_arc:ident as $wait:ident
    ) => {
        #[doc = concat!("As [`", stringify!($try), "`](Self::", stringify!($try), "), with a guard that owns the lock.")]
        ///
        /// The guard holds a clone of the `Arc`. Never waits, and returns `None` in the same cases.
        #[inline]
        #[must_use = "access ends as soon as the guard is dropped"]
        pub fn $try_arc(self: &Arc<Self>) -> Option<$GuardArc<T>> {
            let acquired = self.lock.raw.try_acquire(Mode::$mode);
            acquired.then(|| $GuardArc::new(self.clone().into(), self.data()))
        }

        #[doc = concat!("As [`", stringify!($wait), "`](Self::", stringify!($wait), "), with a guard that owns the lock.")]
        ///
        /// The guard holds a clone of the `Arc`.
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point. It then does not hold the lock, and its position
        /// in the queue is lost. If the future had been notified, the notification passes to the
        /// next waiter.
        ///
        /// # Deadlocks
        ///
        /// A deadlock is possible if the task has access already.
        #[inline]
        pub fn $wait_arc<'a>(self: &'a Arc<Self>) -> $FutureArc<'a, T> {
            $FutureArc::new(self)
        }
    };
}

impl<T: ?Sized> RwLock<T> {
    acquire_arc_methods! {
        Shared, RwLockReadGuardArc, ReadArc, try_read_arc as try_read, read_arc as read
    }
    acquire_arc_methods! {
        Upgradable, RwLockUpgradableReadGuardArc, UpgradableReadArc,
        try_upgradable_read_arc as try_upgradable_read, upgradable_read_arc as upgradable_read
    }
    acquire_arc_methods! {
        Exclusive, RwLockWriteGuardArc, WriteArc, try_write_arc as try_write, write_arc as write
    }
}
