//! Guards, futures and requests of a lock in an [`Arc`], and the methods that return them.

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
use futures_core::stream::{FusedStream, Stream};

use super::condition::{changes_monitor, check, when_methods, when_text};
use super::guards::{FORGOTTEN, HasLock};
use super::{RwLock, RwLockUpgradedGuard};
use crate::lock::MultiLock;
use crate::lock::boxed::{MonitorInner, monitor_stream};
use crate::lock::cancel::{acquire_or, first};
use crate::mode::Mode;
use crate::raw::acquire::RawAcquire;
use crate::raw::edges::Edge;
use crate::raw::{RawLock, RawUpgrade};
use crate::set::lock_all::LockRequest;
use crate::set::lock_all::sealed::Request;
use crate::sync::future::Fused;

impl<T: ?Sized> HasLock for Arc<RwLock<T>> {
    #[inline]
    fn multilock(&self) -> &MultiLock {
        &self.lock
    }
}

/// Defines an `Arc<RwLock<T>>` that is covariant in `T`, for the read guard.
///
/// A read guard of `&'static str` is also a read guard of `&'a str`, as a shared reference would
/// be. An `Arc<RwLock<T>>` in the guard would prevent that: it is invariant in `T`, because of the
/// cell in the lock. A read guard never writes, so covariance is sound.
macro_rules! covariant_arc {
    ($Arc:ident [$($generics:tt)*] [$($args:tt)*], $Lock:ty, $Marker:ty) => {
        pub(crate) struct $Arc<$($generics)*> {
            /// Comes from `Arc::into_raw`. It points to the lock, and to a `T` only in its type.
            lock: NonNull<T>,
            marker: PhantomData<$Marker>,
        }

        impl<$($generics)*> $Arc<$($args)*> {
            fn arc(&self) -> ManuallyDrop<Arc<$Lock>> {
                // SAFETY: the pointer comes from `Arc::into_raw`, and `self` has one reference
                // count. The `ManuallyDrop` does not give that count up.
                ManuallyDrop::new(unsafe { Arc::from_raw(self.lock.as_ptr() as *const $Lock) })
            }

            #[inline]
            fn get(&self) -> &$Lock {
                // SAFETY: the lock lives as long as `self`, which has a reference count of the
                // `Arc`.
                unsafe { &*(self.lock.as_ptr() as *const $Lock) }
            }
        }

        impl<$($generics)*> From<Arc<$Lock>> for $Arc<$($args)*> {
            #[inline]
            fn from(lock: Arc<$Lock>) -> Self {
                let lock = Arc::into_raw(lock) as *mut $Lock as *mut T;
                // SAFETY: the lock exists, so the pointer is not null.
                Self { lock: unsafe { NonNull::new_unchecked(lock) }, marker: PhantomData }
            }
        }

        impl<$($generics)*> Clone for $Arc<$($args)*> {
            fn clone(&self) -> Self {
                Arc::clone(&self.arc()).into()
            }
        }

        impl<$($generics)*> Drop for $Arc<$($args)*> {
            #[inline]
            fn drop(&mut self) {
                drop(ManuallyDrop::into_inner(self.arc()));
            }
        }
    };
}
#[cfg(feature = "observed")]
pub(crate) use covariant_arc;

covariant_arc!(CovariantArc [T: ?Sized] [T], RwLock<T>, T);

impl<T: ?Sized> HasLock for CovariantArc<T> {
    #[inline]
    fn multilock(&self) -> &MultiLock {
        &self.get().lock
    }
}

rwlock_guard! {
    /// An RAII guard that gives read access to the data of an [`RwLock`] in an [`Arc`], beside
    /// other readers.
    ///
    /// The guard owns a clone of the `Arc`, so the lock lives at least as long as the guard. Access
    /// ends when the guard is dropped. [`RwLockReadGuard`](crate::RwLockReadGuard) is the guard
    /// that borrows the lock.
    ///
    /// `U` is the part of the data that the guard gives access to: by default, all of the data.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{RwLock, RwLockReadGuardArc};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let guard: RwLockReadGuardArc<i32> = lock.try_read_arc().unwrap();
    /// assert_eq!(*guard, 1);
    /// assert!(lock.try_read().is_some() && lock.try_write().is_none());
    /// ```
    RwLockReadGuardArc [T: ?Sized, U: ?Sized = T] [T: ?Sized, U: ?Sized] [T, U] => U;
    CovariantArc<T>, *const U;
    Send if T: Send + Sync, U: Sync; Sync if T: Send + Sync, U: Sync;
    ends |lock| lock.release(Mode::Shared)
}

rwlock_guard! {
    /// An RAII guard that gives read access to the data of an [`RwLock`] in an [`Arc`], and can be
    /// upgraded to write access.
    ///
    /// The guard reads beside other readers. It can become a write guard with no other writer in
    /// between. There is at most one upgradable guard at a time. Access ends when the guard is
    /// dropped.
    ///
    /// The guard owns a clone of the `Arc`, so the lock lives at least as long as the guard.
    /// [`RwLockUpgradableReadGuard`](crate::RwLockUpgradableReadGuard) is the guard that borrows
    /// the lock.
    ///
    /// # Deadlocks
    ///
    /// A deadlock is possible if the task waits for another task that wants to read: while a writer
    /// is queued, new readers wait. Give the other task a guard of [`share`](Self::share) instead,
    /// which does not wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{RwLock, RwLockUpgradableReadGuardArc};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let guard: RwLockUpgradableReadGuardArc<i32> = lock.try_upgradable_read_arc().unwrap();
    /// assert_eq!(*guard, 1);
    /// assert!(lock.try_read().is_some() && lock.try_upgradable_read().is_none());
    /// ```
    RwLockUpgradableReadGuardArc [T: ?Sized] [T: ?Sized] [T] => T;
    Arc<RwLock<T>>, *mut T;
    Send if T: Send + Sync; Sync if T: Send + Sync;
    ends |lock| lock.release(Mode::Upgradable)
}

rwlock_guard! {
    /// An RAII guard that gives write access to the data of an [`RwLock`] in an [`Arc`].
    ///
    /// The guard owns a clone of the `Arc`, so the lock lives at least as long as the guard. Access
    /// ends when the guard is dropped. [`RwLockWriteGuard`](crate::RwLockWriteGuard) is the guard
    /// that borrows the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{RwLock, RwLockWriteGuardArc};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let mut guard: RwLockWriteGuardArc<i32> = lock.try_write_arc().unwrap();
    /// *guard += 1;
    /// assert!(lock.try_read().is_none());
    /// ```
    RwLockWriteGuardArc [T: ?Sized] [T: ?Sized] [T] => T;
    Arc<RwLock<T>>, *mut T;
    Send if T: Send + Sync; Sync if T: Send + Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
deref_mut!(RwLockWriteGuardArc [T: ?Sized] [T] => T);

rwlock_guard! {
    /// An RAII guard that gives write access to a part of the data of an [`RwLock`] in an [`Arc`].
    ///
    /// [`RwLockWriteGuardArc::map`] returns this guard. The guard owns a clone of the `Arc`, so the
    /// lock lives at least as long as the guard. Access ends when the guard is dropped.
    /// [`MappedRwLockWriteGuard`](crate::MappedRwLockWriteGuard) is the guard that borrows the
    /// lock.
    ///
    /// The guard cannot be downgraded: the path to the part may lead through a cell, which readers
    /// could change. [`RwLockWriteGuardArc::downgrade_map`] returns a read guard of a part.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{MappedRwLockWriteGuardArc, RwLock, RwLockWriteGuardArc};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new((1, 2)));
    /// let guard = lock.try_write_arc().unwrap();
    /// let mut first: MappedRwLockWriteGuardArc<(u8, u8), u8> =
    ///     RwLockWriteGuardArc::map(guard, |pair| &mut pair.0);
    /// *first += 1;
    /// ```
    MappedRwLockWriteGuardArc [T: ?Sized, U: ?Sized] [T: ?Sized, U: ?Sized] [T, U] => U;
    Arc<RwLock<T>>, *mut U;
    Send if T: Send + Sync, U: Send; Sync if T: Send + Sync, U: Sync;
    ends |lock| lock.release(Mode::Exclusive)
}
deref_mut!(MappedRwLockWriteGuardArc [T: ?Sized, U: ?Sized] [T, U] => U);

read_guard_methods!(RwLockReadGuardArc [T: ?Sized, U: ?Sized] [T, U] => U, V => RwLockReadGuardArc<T, V>, "_arc");
write_guard_methods! {
    RwLockWriteGuardArc [T: ?Sized] [T] => T, U => MappedRwLockWriteGuardArc<T, U>,
    example!("try_write", "_arc", RwLockWriteGuardArc)
}
write_guard_methods! {
    MappedRwLockWriteGuardArc [T: ?Sized, U: ?Sized] [T, U] => U, V => MappedRwLockWriteGuardArc<T, V>,
    example_of_part!("_arc", RwLockWriteGuardArc, MappedRwLockWriteGuardArc)
}

guard_conversions! {
    [T: ?Sized] [T]
    RwLockReadGuardArc, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc, UpgradeArc,
    U => RwLockReadGuardArc<T, U>, "_arc"
}

/// Defines a future that returns a guard that owns the lock.
macro_rules! owning_future {
    ($Future:ident, $method:literal, $mode:ident, $Guard:ident) => {
        acquire_future! {
            $Future, $method, &'a Arc<RwLock<T>>,
            "use multilock::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(1));",
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

upgrade_future! {
    UpgradeArc [T], 'static, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc,
    example!("try_upgradable_read", "_arc", RwLockUpgradableReadGuardArc)
}
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

/// Defines a request that owns the lock, and the method that returns it.
macro_rules! owning_request {
    ($mode:ident, $access:literal, $Request:ident, $method:ident, $Guard:ident) => {
        #[doc = concat!("A request for ", $access, " access to the data of an [`RwLock`] in an [`Arc`], for [`lock_all`](crate::lock_all).")]
        ///
        #[doc = concat!("[`RwLock::", stringify!($method), "`] returns it. The request owns a clone of the `Arc`, which becomes that of the guard, [`", stringify!($Guard), "`].")]
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use multilock::requests::", stringify!($Request), ";")]
        /// use multilock::{RwLock, try_lock_all};
        /// use std::sync::Arc;
        ///
        /// let lock = Arc::new(RwLock::new(1));
        #[doc = concat!("let request: ", stringify!($Request), "<_> = lock.", stringify!($method), "();")]
        /// let (guard,) = try_lock_all((request,)).unwrap();
        /// assert_eq!(*guard, 1);
        /// ```
        #[must_use = "the lock is not acquired: pass the request to `lock_all`"]
        pub struct $Request<T: ?Sized>(Arc<RwLock<T>>);

        impl<T: ?Sized> Clone for $Request<T> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        lock_request! {
            $Request [] $mode, |lock| {
                let data = lock.data();
                $Guard::new(lock.into(), data)
            } => $Guard<T>
        }

        impl<T: ?Sized> RwLock<T> {
            #[doc = concat!("Returns a request for ", $access, " access, for [`lock_all`](crate::lock_all) and related functions. Acquires nothing.")]
            ///
            /// The request owns a clone of the `Arc`, and so does the guard.
            ///
            /// # Examples
            ///
            /// ```
            /// use multilock::{RwLock, lock_all};
            /// use std::sync::Arc;
            ///
            /// # futures_lite::future::block_on(async {
            /// let (a, b) = (Arc::new(RwLock::new(1)), RwLock::new("b"));
            #[doc = concat!("let (first, second) = lock_all((a.", stringify!($method), "(), b.reading())).await;")]
            /// drop(a);
            /// assert_eq!((*first, *second), (1, "b"));
            /// # });
            /// ```
            pub fn $method(self: &Arc<Self>) -> $Request<T> {
                $Request(self.clone())
            }
        }
    };
}

owning_request!(Shared, "read", ReadingArc, reading_arc, RwLockReadGuardArc);
owning_request! {
    Upgradable, "upgradable read", UpgradingArc, upgrading_arc, RwLockUpgradableReadGuardArc
}
owning_request!(Exclusive, "write", WritingArc, writing_arc, RwLockWriteGuardArc);

/// Implements `UnwindSafe` and `RefUnwindSafe` for types that own the lock. An `Arc` of the lock
/// has neither by itself, because of the cell in the lock. The types that borrow the lock are
/// unwind safe if the data is, and so are these types. The data stays as the panic left it.
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
    [T: ?Sized + UnwindSafe + RefUnwindSafe] ReadingArc<T>;
    [T: ?Sized + UnwindSafe + RefUnwindSafe] UpgradingArc<T>;
    [T: ?Sized + UnwindSafe + RefUnwindSafe] WritingArc<T>;
    [T: ?Sized + UnwindSafe + RefUnwindSafe] ChangesArc<T>;
}

/// Defines the asynchronous methods that acquire the lock in one mode, with a guard that owns it.
macro_rules! acquire_arc_methods {
    (
        $mode:ident, $access:literal, $GuardArc:ident, $FutureArc:ident, $try:ident, $wait:ident, $or:ident
    ) => {
        #[doc = concat!("Acquires ", $access, " access if that is possible now. Returns a guard that owns the lock. Never waits.")]
        ///
        /// The guard owns a clone of the `Arc`.
        ///
        #[doc = fails_if!($mode)]
        ///
        /// The method has no spurious failures. A [reservation](crate::MultiLock#fairness) does not
        /// make it fail.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::RwLock;
        /// use std::sync::Arc;
        ///
        /// let lock = Arc::new(RwLock::new(1));
        #[doc = concat!("let guard = lock.", stringify!($try), "().unwrap();")]
        /// drop(lock);
        /// assert_eq!(*guard, 1);
        /// ```
        #[inline]
        #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        pub fn $try(self: &Arc<Self>) -> Option<$GuardArc<T>> {
            let acquired = self.lock.raw.try_acquire(Mode::$mode);
            acquired.then(|| $GuardArc::new(self.clone().into(), self.data()))
        }

        #[doc = concat!("Acquires ", $access, " access, waiting asynchronously until it is available. Returns a guard that owns the lock.")]
        ///
        /// The guard owns a clone of the `Arc`. The future borrows the `Arc`.
        ///
        #[doc = waits_while!($mode)]
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point. It then does not hold the lock, and has lost its
        /// place in the queue. If it had been woken, its drop passes the wake-up on to the next
        /// waiter.
        ///
        /// # Deadlocks
        ///
        #[doc = deadlocks!($mode, "task")]
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        /// use multilock::RwLock;
        /// use std::sync::Arc;
        ///
        /// let lock = Arc::new(RwLock::new(1));
        #[doc = concat!("let guard = lock.", stringify!($wait), "().await;")]
        /// drop(lock);
        /// assert_eq!(*guard, 1);
        /// # });
        /// ```
        #[inline]
        pub fn $wait<'a>(self: &'a Arc<Self>) -> $FutureArc<'a, T> {
            $FutureArc::new(self)
        }

        #[doc = concat!("Acquires ", $access, " access, unless `cancel` is ready first. Returns a guard that owns the lock.")]
        ///
        /// The guard owns a clone of the `Arc`. The future borrows the `Arc`.
        ///
        /// With a timer as `cancel`, this is an acquisition with a time limit, on any runtime:
        /// [`MultiLock::acquire_or`](crate::MultiLock::acquire_or) shows the timers of
        /// some. Each poll tries to acquire the lock first, and polls `cancel` only if that fails.
        #[doc = concat!("When `cancel` is ready, the future tries once more, like [`", stringify!($try), "`](Self::", stringify!($try), ").")]
        /// So if both are ready, the lock is acquired.
        ///
        #[doc = waits_while!($mode)]
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point, and `cancel` is dropped with it. It then does
        /// not hold the lock, and has lost its place in the queue. If it had been woken, its drop
        /// passes the wake-up on to the next waiter.
        ///
        /// # Deadlocks
        ///
        /// If the task already holds the same lock, the wait may end only when `cancel` is ready.
        ///
        /// # Errors
        ///
        /// Returns the output of `cancel`. The acquisition has then lost its place in the queue,
        /// and does not hold the lock. A wake-up that it had not used is passed on.
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        /// use multilock::RwLock;
        /// use std::future::{pending, ready};
        /// use std::sync::Arc;
        ///
        /// let lock = Arc::new(RwLock::new(1));
        #[doc = concat!("let guard = lock.", stringify!($or), "(pending::<()>()).await.unwrap();")]
        /// // In a program, `cancel` may be a timer, or the signal to shut down.
        /// let late = lock.write_arc_or(ready("too late")).await;
        /// assert_eq!(late.unwrap_err(), "too late");
        /// drop(guard);
        /// # });
        /// ```
        pub fn $or<C: Future>(
            self: &Arc<Self>,
            cancel: C,
        ) -> impl FusedFuture<Output = Result<$GuardArc<T>, C::Output>> {
            acquire_or(self.$wait(), cancel, || self.$try())
        }
    };
}

impl<T: ?Sized> RwLock<T> {
    acquire_arc_methods! {
        Shared, "read", RwLockReadGuardArc, ReadArc, try_read_arc, read_arc, read_arc_or
    }
    acquire_arc_methods! {
        Upgradable, "upgradable read", RwLockUpgradableReadGuardArc, UpgradableReadArc,
        try_upgradable_read_arc, upgradable_read_arc, upgradable_read_arc_or
    }
    acquire_arc_methods! {
        Exclusive, "write", RwLockWriteGuardArc, WriteArc, try_write_arc, write_arc, write_arc_or
    }
}

impl<T: ?Sized> RwLock<T> {
    when_methods! {
        "read", RwLockReadGuardArc<T>, self [self: &Arc<Self>], read_arc, try_read_arc, drop,
        read_arc_when, read_arc_when_or,
        "The guard owns a clone of the `Arc`. Many tasks evaluate their conditions at a time, and none \
        of them keeps another reader out.",
        "use multilock::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(false))"
    }

    when_methods! {
        "upgradable read", RwLockUpgradableReadGuardArc<T>, self [self: &Arc<Self>],
        upgradable_read_arc, try_upgradable_read_arc, drop,
        upgradable_read_arc_when, upgradable_read_arc_when_or,
        "The guard owns a clone of the `Arc`. The tasks that wait this way evaluate their conditions \
        one after the other, beside readers.",
        "use multilock::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(false))"
    }

    when_methods! {
        "write", RwLockWriteGuardArc<T>, self [self: &Arc<Self>], write_arc, try_write_arc,
        RwLockWriteGuardArc::release_unchanged,
        write_arc_when, write_arc_when_or,
        "The guard owns a clone of the `Arc`. The tasks that wait this way evaluate their conditions \
        one after the other. An evaluation is no change: it wakes no other task that waits for a \
        condition.",
        "use multilock::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(false))"
    }
}

/// The `MultiLock` of a lock with data, in the `Arc` of that lock.
pub(crate) struct MultiLockOf<T: ?Sized>(Arc<RwLock<T>>);

impl<T: ?Sized> Clone for MultiLockOf<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for MultiLockOf<T> {
    type Target = MultiLock;

    fn deref(&self) -> &MultiLock {
        &self.0.lock
    }
}

changes_monitor! {
    /// A monitor that reports that the data of an [`RwLock`] in an [`Arc`] may have changed.
    ///
    /// The monitor owns a clone of the `Arc`, so it is `'static`. It does not hold the lock, and
    /// has no place among the waiters. [`Changes`](crate::Changes) is the monitor that borrows the
    /// lock. Its documentation says when a monitor is set, and what the limitations are.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{ChangesArc, RwLock};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let changes: ChangesArc<i32> = lock.changes_arc();
    /// *lock.try_write().unwrap() = 2;
    /// assert!(changes.is_set());
    /// ```
    ChangesArc [T: ?Sized] [T: ?Sized + Send + Sync + 'static] [T],
    MonitorInner<'static, MultiLockOf<T>>,
    "use multilock::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(1));\n\
    let changes = lock.changes_arc();\n*lock.try_write().unwrap() = 2;"
}

impl<T: ?Sized + Send + Sync + 'static> RwLock<T> {
    /// Creates a stream of changes of the data that is `'static`.
    ///
    /// The stream owns a clone of the `Arc`: see [`ChangesArc`]. A change is the end of an exclusive
    /// acquisition, or its downgrade: the data may have changed. A new `ChangesArc` is not set. So
    /// create it first, and then read the data.
    ///
    /// # Examples
    ///
    /// A task that reacts to each change, and is not bound to the scope of the lock:
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::RwLock;
    /// use futures_lite::{StreamExt, future::zip};
    /// use std::sync::Arc;
    ///
    /// let limit = Arc::new(RwLock::new(1));
    /// let mut changes = limit.changes_arc();
    /// let reads = limit.clone();
    /// let task = async move {
    ///     changes.next().await;
    ///     *reads.read().await
    /// };
    /// let ((), seen) = zip(async { *limit.write().await = 2 }, task).await;
    /// assert_eq!(seen, 2);
    /// # });
    /// ```
    pub fn changes_arc(self: &Arc<Self>) -> ChangesArc<T> {
        ChangesArc(MonitorInner::new(MultiLockOf(self.clone()), Edge::Change))
    }
}

impl<T: ?Sized> RwLockWriteGuardArc<T> {
    /// Releases the lock after a look at the data that has changed nothing.
    pub(super) fn release_unchanged(guard: Self) {
        guard.into_parts().0.lock.raw.release_unchanged();
    }
}
