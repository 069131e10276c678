//! Guards that own an observed lock with data, in an [`Arc`].

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use futures_core::stream::{FusedStream, Stream};

use super::RwLock;
use crate::lock::boxed::{MonitorInner, monitor_stream};
use crate::observed::owned::{PlainOf, outliving};
use crate::observed::told::{Event, Hold, LockPtr};
use crate::observed::wait::FromPlain;
use crate::observed::{MultiLock, Observer};
use crate::raw::edges::Edge;
use crate::rwlock::condition::changes_monitor;
use crate::rwlock::owned::covariant_arc;
use crate::rwlock::{
    MappedRwLockWriteGuard as PlainMapped, RwLockReadGuard as PlainRead,
    RwLockUpgradableReadGuard as PlainUpgradable, RwLockWriteGuard as PlainWrite,
};
use crate::sync::future::Fused;

impl<T: ?Sized, O: Observer> LockPtr for Arc<RwLock<T, O>> {
    type Record = O::Record;
    type Observer = O;

    #[inline]
    fn observed(&self) -> &MultiLock<O> {
        self.raw()
    }
}

covariant_arc!(CovariantArc [T: ?Sized, O: Observer] [T, O], RwLock<T, O>, (MultiLock<O>, T));

// SAFETY: it is an `Arc` of the lock, which is `Send` and `Sync` if the data and the observer are. The thread that drops it last
// drops the data, and a reference to it gives access to the lock.
unsafe impl<T: ?Sized + Send + Sync, O: Observer> Send for CovariantArc<T, O> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send + Sync, O: Observer> Sync for CovariantArc<T, O> {}

impl<T: ?Sized, O: Observer> LockPtr for CovariantArc<T, O> {
    type Record = O::Record;
    type Observer = O;

    #[inline]
    fn observed(&self) -> &MultiLock<O> {
        self.get().raw()
    }
}

/// A future borrows the `Arc`, and its guard owns a clone.
impl<T: ?Sized, O: Observer> LockPtr for &Arc<RwLock<T, O>> {
    type Record = O::Record;
    type Observer = O;

    #[inline]
    fn observed(&self) -> &MultiLock<O> {
        self.raw()
    }
}

observed_data_guard! {
    /// The guard of read access to the data, or to a part of the data, of an observed [`RwLock`] in an [`Arc`].
    ///
    /// The guard owns a clone of the `Arc`, so it is `'static` if the data is.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::{RwLock, RwLockReadGuardArc};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let guard: RwLockReadGuardArc<i32, ()> = lock.try_read_arc().unwrap();
    /// drop(lock);
    /// assert_eq!(*guard, 1);
    /// ```
    RwLockReadGuardArc [T: ?Sized, O: Observer, U: ?Sized = T] [T: ?Sized, O: Observer, U: ?Sized] [T, O, U] => U;
    PlainRead<'static, U>, Hold<CovariantArc<T, O>, <O as Observer>::Record>
}

observed_data_guard! {
    /// The guard of upgradable read access to the data of an observed [`RwLock`] in an [`Arc`].
    ///
    /// The guard owns a clone of the `Arc`, so it is `'static` if the data is.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::{RwLock, RwLockUpgradableReadGuardArc};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let guard: RwLockUpgradableReadGuardArc<i32, ()> = lock.try_upgradable_read_arc().unwrap();
    /// drop(lock);
    /// assert_eq!(*guard, 1);
    /// ```
    RwLockUpgradableReadGuardArc [T: ?Sized, O: Observer] [T: ?Sized, O: Observer] [T, O] => T;
    PlainUpgradable<'static, T>, Hold<Arc<RwLock<T, O>>>
}

observed_data_guard! {
    /// The guard of write access to the data of an observed [`RwLock`] in an [`Arc`].
    ///
    /// The guard owns a clone of the `Arc`, so it is `'static` if the data is.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::{RwLock, RwLockWriteGuardArc};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let mut guard: RwLockWriteGuardArc<i32, ()> = lock.try_write_arc().unwrap();
    /// drop(lock);
    /// *guard += 1;
    /// ```
    RwLockWriteGuardArc [T: ?Sized, O: Observer] [T: ?Sized, O: Observer] [T, O] => T;
    PlainWrite<'static, T>, Hold<Arc<RwLock<T, O>>>
}
observed_deref_mut!(RwLockWriteGuardArc [T: ?Sized, O: Observer] [T, O] => T);

observed_data_guard! {
    /// The guard of write access to a part of the data of an observed [`RwLock`] in an [`Arc`].
    ///
    /// [`RwLockWriteGuardArc::map`] returns it. For the observer, the acquisition goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::{MappedRwLockWriteGuardArc, RwLock, RwLockWriteGuardArc};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new((1, 2)));
    /// let guard = lock.try_write_arc().unwrap();
    /// let mut part: MappedRwLockWriteGuardArc<(i32, i32), (), i32> =
    ///     RwLockWriteGuardArc::map(guard, |pair| &mut pair.1);
    /// *part += 1;
    /// ```
    MappedRwLockWriteGuardArc [T: ?Sized, O: Observer, U: ?Sized] [T: ?Sized, O: Observer, U: ?Sized] [T, O, U] => U;
    PlainMapped<'static, U>, Hold<Arc<RwLock<T, O>>>
}
observed_deref_mut!(MappedRwLockWriteGuardArc [T: ?Sized, O: Observer, U: ?Sized] [T, O, U] => U);

/// Makes guards that own the lock of those of the lock without an observer, which borrow it.
macro_rules! acquired_as_owner {
    ($($Guard:ident $Plain:ident)*) => {$(
        impl<'a, T: ?Sized, O: Observer> FromPlain<$Plain<'a, T>, Hold<&'a Arc<RwLock<T, O>>>> for $Guard<T, O> {
            #[inline]
            fn from_plain(plain: $Plain<'a, T>, hold: Hold<&'a Arc<RwLock<T, O>>>) -> Self {
                let lock = hold.lock.clone().into();
                let hold = Hold { lock, told: hold.detach() };
                let (_, data) = plain.into_parts();
                // SAFETY: the guard contains a clone of the `Arc`, which is dropped after the rest.
                Self::acquired($Plain::new(unsafe { outliving(&hold.lock) }, data), hold)
            }
        }
    )*};
}

acquired_as_owner! {
    RwLockReadGuardArc PlainRead
    RwLockUpgradableReadGuardArc PlainUpgradable
    RwLockWriteGuardArc PlainWrite
}

changes_monitor! {
    /// A monitor that reports that the data of an observed [`RwLock`] in an [`Arc`] may have changed.
    ///
    /// The monitor owns a clone of the `Arc`, so it is `'static`. It does not hold the lock, and the observer is told
    /// nothing. [`Changes`](crate::Changes) says when a monitor is set, and what the limitations are.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::{ChangesArc, RwLock};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let changes: ChangesArc<i32, ()> = lock.changes_arc();
    /// *lock.try_write().unwrap() = 2;
    /// assert!(changes.is_set());
    /// ```
    ChangesArc [T: ?Sized, O: Observer] [T: ?Sized + Send + Sync + 'static, O: Observer + 'static] [T, O],
    MonitorInner<'static, PlainOf<Arc<RwLock<T, O>>>>,
    "use multilock::observed::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::<_, ()>::new(1));\n\
    let changes = lock.changes_arc();\n*lock.try_write().unwrap() = 2;"
}

impl<T: ?Sized + Send + Sync + 'static, O: Observer + 'static> RwLock<T, O> {
    /// Creates a stream of changes of the data that is `'static`. The observer is not told.
    ///
    /// The stream owns a clone of the `Arc`: see [`ChangesArc`]. A change is the end of an exclusive acquisition, or its
    /// downgrade: the data may have changed. A new `ChangesArc` is not set. So create it first, and then read the data.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::RwLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::<_, ()>::new(1));
    /// let changes = lock.changes_arc();
    /// assert!(!changes.is_set());
    /// ```
    pub fn changes_arc(self: &Arc<Self>) -> ChangesArc<T, O> {
        ChangesArc(MonitorInner::new(PlainOf(self.clone()), Edge::Change))
    }
}

// As for the lock without an observer: the data stays as a panic left it, as with a guard that borrows the lock.
macro_rules! unwind_safe {
    ($([$($generics:tt)*] $Type:ty;)+) => {$(
        impl<$($generics)*> UnwindSafe for $Type {}
        impl<$($generics)*> RefUnwindSafe for $Type {}
    )+};
}

unwind_safe! {
    [T: ?Sized + UnwindSafe + RefUnwindSafe, O: Observer] ChangesArc<T, O>;
}
