//! The futures of an observed [`RwLock`], as named types.
//!
//! They are those of [`futures`](crate::futures), and tell the observer.

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

use crate::observed::told::{Hold, Upgrading};
use crate::observed::wait::Observing;
use crate::observed::{
    MultiLock, Observer, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use crate::observed::{
    RwLock, RwLockReadGuardArc, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc,
};
use crate::rwlock::futures::{
    Read as PlainRead, UpgradableRead as PlainUpgradableRead, Upgrade as PlainUpgrade,
    Write as PlainWrite,
};

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
type UpgradingArc<T, O> = Upgrading<Arc<RwLock<T, O>>, Hold<Arc<RwLock<T, O>>>>;

/// Defines the named future of an acquisition or of an upgrade.
macro_rules! observed_future {
    (
        $Future:ident [$($lt:lifetime)?] [$($elided:lifetime)?], $of:literal, $plain:ty, $wait:ty, $Guard:ty,
        $example:literal
    ) => {
        #[doc = concat!("The future of [`", $of, "`](crate::observed::", $of, ").")]
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use multilock::observed::futures::", stringify!($Future), ";")]
        #[doc = $example]
        /// drop(future);
        /// ```
        #[must_use = "a future does nothing unless it is polled: `.await` it"]
        pub struct $Future<$($lt,)? T: ?Sized, O: Observer>(Observing<$plain, $wait, $Guard>);

        impl<$($lt,)? T: ?Sized, O: Observer> $Future<$($lt,)? T, O> {
            #[inline]
            pub(super) fn new(plain: $plain, wait: $wait) -> Self {
                Self(Observing::new(plain, wait))
            }
        }

        impl<$($lt,)? T: ?Sized, O: Observer> Future for $Future<$($lt,)? T, O> {
            type Output = $Guard;

            #[inline]
            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<$Guard> {
                // SAFETY: the field is pinned with this future, and is not moved.
                unsafe { self.map_unchecked_mut(|this| &mut this.0) }.poll(cx)
            }
        }

        impl<$($lt,)? T: ?Sized, O: Observer> FusedFuture for $Future<$($lt,)? T, O> {
            #[inline]
            fn is_terminated(&self) -> bool {
                self.0.is_terminated()
            }
        }

        impl<T: ?Sized, O: Observer> fmt::Debug for $Future<$($elided,)? T, O> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Future)).finish_non_exhaustive()
            }
        }
    };
}

observed_future! {
    Read ['a] ['_], "RwLock::read", PlainRead<'a, T>, Hold<&'a MultiLock<O>, <O as Observer>::Record>, RwLockReadGuard<'a, T, O>,
    "use multilock::observed::RwLock;\n\nlet lock = RwLock::new(1);\nlet future: Read<'_, i32, ()> = lock.read();"
}
observed_future! {
    UpgradableRead ['a] ['_], "RwLock::upgradable_read", PlainUpgradableRead<'a, T>, Hold<&'a MultiLock<O>, <O as Observer>::Record>,
    RwLockUpgradableReadGuard<'a, T, O>,
    "use multilock::observed::RwLock;\n\nlet lock = RwLock::new(1);\n\
    let future: UpgradableRead<'_, i32, ()> = lock.upgradable_read();"
}
observed_future! {
    Write ['a] ['_], "RwLock::write", PlainWrite<'a, T>, Hold<&'a MultiLock<O>, <O as Observer>::Record>, RwLockWriteGuard<'a, T, O>,
    "use multilock::observed::RwLock;\n\nlet lock = RwLock::new(1);\nlet future: Write<'_, i32, ()> = lock.write();"
}
observed_future! {
    Upgrade ['a] ['_], "RwLockUpgradableReadGuard::upgrade", PlainUpgrade<'a, T>,
    Upgrading<&'a MultiLock<O>, Hold<&'a MultiLock<O>>>, RwLockWriteGuard<'a, T, O>,
    "use multilock::observed::{RwLock, RwLockUpgradableReadGuard};\n\nlet lock = RwLock::new(1);\n\
    let guard = lock.try_upgradable_read().unwrap();\n\
    let future: Upgrade<'_, i32, ()> = RwLockUpgradableReadGuard::upgrade(guard);"
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
observed_future! {
    ReadArc ['a] ['_], "RwLock::read_arc", PlainRead<'a, T>, Hold<&'a Arc<RwLock<T, O>>>, RwLockReadGuardArc<T, O>,
    "use multilock::observed::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(1));\n\
    let future: ReadArc<'_, i32, ()> = lock.read_arc();"
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
observed_future! {
    UpgradableReadArc ['a] ['_], "RwLock::upgradable_read_arc", PlainUpgradableRead<'a, T>,
    Hold<&'a Arc<RwLock<T, O>>>, RwLockUpgradableReadGuardArc<T, O>,
    "use multilock::observed::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(1));\n\
    let future: UpgradableReadArc<'_, i32, ()> = lock.upgradable_read_arc();"
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
observed_future! {
    WriteArc ['a] ['_], "RwLock::write_arc", PlainWrite<'a, T>, Hold<&'a Arc<RwLock<T, O>>>, RwLockWriteGuardArc<T, O>,
    "use multilock::observed::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(1));\n\
    let future: WriteArc<'_, i32, ()> = lock.write_arc();"
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
observed_future! {
    UpgradeArc [] [], "RwLockUpgradableReadGuardArc::upgrade", PlainUpgrade<'static, T>,
    UpgradingArc<T, O>, RwLockWriteGuardArc<T, O>,
    "use multilock::observed::{RwLock, RwLockUpgradableReadGuardArc};\nuse std::sync::Arc;\n\n\
    let lock = Arc::new(RwLock::new(1));\nlet guard = lock.try_upgradable_read_arc().unwrap();\n\
    let future: UpgradeArc<i32, ()> = RwLockUpgradableReadGuardArc::upgrade(guard);"
}
