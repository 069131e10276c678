//! The methods that turn one guard into another: share, map, downgrade and upgrade.

use core::ptr::NonNull;

use super::futures::Upgrade;
use super::guards::{FORGOTTEN, HasLock};
use super::{
    MappedRwLockWriteGuard, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockUpgradedGuard,
    RwLockWriteGuard,
};
use crate::lock::cancel::first;
use crate::mode::Mode;
use crate::raw::RawUpgrade;

/// Expands to the first lines of an example, in which `guard` is a guard of a pair.
macro_rules! example {
    ($try:literal, "", $Guard:ident $(, $mut:literal)?) => {
        concat!(
            "use multilock::{RwLock, ", stringify!($Guard), "};\n\nlet lock = RwLock::new((1, 2));\n",
            "let ", $($mut,)? "guard = lock.", $try, "().unwrap();"
        )
    };
    ($try:literal, "_arc", $Guard:ident $(, $mut:literal)?) => {
        concat!(
            "use multilock::{RwLock, ", stringify!($Guard), "};\nuse std::sync::Arc;\n\n",
            "let lock = Arc::new(RwLock::new((1, 2)));\n",
            "let ", $($mut,)? "guard = lock.", $try, "_arc().unwrap();"
        )
    };
}

/// Expands to the first lines of an example, in which `guard` is the guard of a part, a pair.
macro_rules! example_of_part {
    ("", $Write:ident, $Mapped:ident) => {
        concat!(
            "use multilock::{",
            stringify!($Mapped),
            ", RwLock, ",
            stringify!($Write),
            "};\n\n",
            "let lock = RwLock::new(((1, 2), 3));\nlet guard = lock.try_write().unwrap();\n",
            "let guard = ",
            stringify!($Write),
            "::map(guard, |all| &mut all.0);"
        )
    };
    ("_arc", $Write:ident, $Mapped:ident) => {
        concat!(
            "use multilock::{",
            stringify!($Mapped),
            ", RwLock, ",
            stringify!($Write),
            "};\n",
            "use std::sync::Arc;\n\nlet lock = Arc::new(RwLock::new(((1, 2), 3)));\n",
            "let guard = lock.try_write_arc().unwrap();\n",
            "let guard = ",
            stringify!($Write),
            "::map(guard, |all| &mut all.0);"
        )
    };
}

/// Defines the methods by which a read guard is shared, or becomes a guard of a part of the data.
macro_rules! read_guard_methods {
    (
        $Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Target:ident, $Part:ident => $Mapped:ty, $arc:tt
    ) => {
        impl<$($generics)*> $Guard<$($args)*> {
            /// Acquires read access once more, and returns a second guard of the same data. Never
            /// waits.
            ///
            /// The function succeeds even if a writer is queued, because this guard reads already.
            /// So a function that a reader calls can read without a deadlock. It returns `None` in
            /// these cases:
            ///
            /// * A reader is upgrading. An upgrade waits only for the readers that held the lock
            ///   when it began.
            /// * The lock is at its [limit](crate::MultiLock#limits) of readers.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_read", $arc, $Guard)]
            #[doc = concat!("let more = ", stringify!($Guard), "::share(&guard).unwrap();")]
            /// assert_eq!((guard.0, more.1), (1, 2));
            /// ```
            #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
            #[doc(alias = "clone")]
            pub fn share(guard: &Self) -> Option<Self> {
                let shared = guard.lock.multilock().raw.share();
                shared.then(|| Self::new(guard.lock.clone(), guard.data))
            }

            /// Turns the guard into a guard of a part of the data. Never waits.
            ///
            /// If `f` panics, the guard is dropped, and access ends.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_read", $arc, $Guard)]
            #[doc = concat!("let second = ", stringify!($Guard), "::map(guard, |pair| &pair.1);")]
            /// assert_eq!(*second, 2);
            /// ```
            pub fn map<$Part: ?Sized>(guard: Self, f: impl FnOnce(&$Target) -> &$Part) -> $Mapped {
                let part = NonNull::from(f(&guard));
                let (lock, _) = guard.into_parts();
                <$Mapped>::new(lock, part)
            }

            /// Turns the guard into a guard of a part of the data, if `f` returns that part. Never
            /// waits.
            ///
            /// If `f` panics, the guard is dropped, and access ends.
            ///
            /// # Errors
            ///
            /// Returns the original guard if `f` returns `None`.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_read", $arc, $Guard)]
            #[doc = concat!("let none = ", stringify!($Guard), "::try_map(guard, |_| None::<&i32>);")]
            /// let guard = none.unwrap_err();
            #[doc = concat!("let second = ", stringify!($Guard), "::try_map(guard, |pair| Some(&pair.1));")]
            /// assert_eq!(*second.unwrap(), 2);
            /// ```
            pub fn try_map<$Part: ?Sized>(
                guard: Self,
                f: impl FnOnce(&$Target) -> Option<&$Part>,
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

read_guard_methods!(RwLockReadGuard ['a, T: ?Sized] ['a, T] => T, U => RwLockReadGuard<'a, U>, "");

/// Defines the methods by which a write guard becomes a guard of a part of the data.
macro_rules! write_guard_methods {
    (
        $Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Target:ident, $Part:ident => $Mapped:ty, $example:expr
    ) => {
        impl<$($generics)*> $Guard<$($args)*> {
            /// Turns the guard into a guard of a part of the data. Never waits.
            ///
            /// If `f` panics, the guard is dropped, and access ends.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $example]
            #[doc = concat!("let mut second = ", stringify!($Guard), "::map(guard, |pair| &mut pair.1);")]
            /// *second += 1;
            /// assert_eq!(*second, 3);
            /// ```
            pub fn map<$Part: ?Sized>(
                mut guard: Self,
                f: impl FnOnce(&mut $Target) -> &mut $Part,
            ) -> $Mapped {
                let part = NonNull::from(f(&mut guard));
                let (lock, _) = guard.into_parts();
                <$Mapped>::new(lock, part)
            }

            /// Turns the guard into a guard of a part of the data, if `f` returns that part. Never
            /// waits.
            ///
            /// If `f` panics, the guard is dropped, and access ends.
            ///
            /// # Errors
            ///
            /// Returns the original guard if `f` returns `None`.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $example]
            #[doc = concat!("let none = ", stringify!($Guard), "::try_map(guard, |_| None::<&mut i32>);")]
            /// let guard = none.unwrap_err();
            #[doc = concat!("let second = ", stringify!($Guard), "::try_map(guard, |pair| Some(&mut pair.1));")]
            /// *second.unwrap() += 1;
            /// ```
            pub fn try_map<$Part: ?Sized>(
                mut guard: Self,
                f: impl FnOnce(&mut $Target) -> Option<&mut $Part>,
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

write_guard_methods! {
    RwLockWriteGuard ['a, T: ?Sized] ['a, T] => T, U => MappedRwLockWriteGuard<'a, U>,
    example!("try_write", "", RwLockWriteGuard)
}
write_guard_methods! {
    MappedRwLockWriteGuard ['a, U: ?Sized] ['a, U] => U, V => MappedRwLockWriteGuard<'a, V>,
    example_of_part!("", RwLockWriteGuard, MappedRwLockWriteGuard)
}

/// Defines the methods by which read guards and write guards become one another.
macro_rules! guard_conversions {
    (
        [$($generics:tt)*] [$($args:tt)*] $Read:ident, $Upgradable:ident, $Write:ident, $Upgrade:ident,
        $Part:ident => $ReadOfPart:ty, $arc:tt
    ) => {
        impl<$($generics)*> $Upgradable<$($args)*> {
            /// Turns the guard into a read guard, which is no longer upgradable. Never waits.
            ///
            /// No writer has access in between. The downgrade wakes the next upgradable reader that
            /// waits, if that reader may enter.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_upgradable_read", $arc, $Upgradable)]
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

            /// Acquires read access once more, and returns a read guard beside this guard. Never
            /// waits.
            ///
            /// The function succeeds even if a writer is queued, because this guard reads already.
            /// It returns `None` in these cases:
            ///
            /// * The lock is at its [limit](crate::MultiLock#limits) of readers.
            /// * An earlier [`upgrade_in_place`](Self::upgrade_in_place), or the guard of one, was
            ///   forgotten (`mem::forget`).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_upgradable_read", $arc, $Upgradable)]
            #[doc = concat!("let reader = ", stringify!($Upgradable), "::share(&guard).unwrap();")]
            /// assert_eq!((guard.0, reader.1), (1, 2));
            /// ```
            #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
            pub fn share(guard: &Self) -> Option<$Read<$($args)*>> {
                let shared = guard.lock.multilock().raw.share();
                shared.then(|| $Read::new(guard.lock.clone().into(), guard.data))
            }

            /// Upgrades the guard to a write guard if there is no other reader. Never waits.
            ///
            /// No other writer has access in between, even if one is queued. So the data has not
            /// changed since this guard read it.
            ///
            /// # Errors
            ///
            /// Returns the original guard if there is another reader, or if an earlier
            /// [`upgrade_in_place`](Self::upgrade_in_place), or the guard of one, was forgotten
            /// (`mem::forget`).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_upgradable_read", $arc, $Upgradable)]
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
            /// From the first poll on, no other task acquires the lock, in any mode. So the data
            /// has not changed since this guard read it.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point. It owns the guard, so its drop drops the
            /// guard, which ends the access. To keep the guard, use
            /// [`upgrade_in_place`](Self::upgrade_in_place).
            ///
            /// # Deadlocks
            ///
            /// The wait never ends if the task keeps another read guard of the same lock meanwhile:
            /// the upgrade waits for that guard.
            ///
            /// # Panics
            ///
            /// Panics if an earlier [`upgrade_in_place`](Self::upgrade_in_place), or the guard of
            /// one, was forgotten (`mem::forget`).
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = example!("try_upgradable_read", $arc, $Upgradable)]
            #[doc = concat!("let mut guard = ", stringify!($Upgradable), "::upgrade(guard).await;")]
            /// guard.0 += 1;
            /// # });
            /// ```
            pub fn upgrade(guard: Self) -> $Upgrade<$($args)*> {
                $Upgrade::new(guard)
            }

            /// Upgrades the guard to a write guard, unless `cancel` is ready first.
            ///
            /// With a timer as `cancel`, this is an upgrade with a time limit, on any runtime:
            /// [`MultiLock::acquire_or`](crate::MultiLock::acquire_or) shows the timers of
            /// some. Each poll tries to upgrade first, and polls `cancel` only if other readers are
            /// left. When `cancel` is ready, the future tries once more, like
            /// [`try_upgrade`](Self::try_upgrade). So if both are ready, the guard is upgraded.
            ///
            /// From the first poll on, no other task acquires the lock, in any mode, until `cancel`
            /// is ready. So the data has not changed since this guard read it.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point, and `cancel` is dropped with it. The future
            /// owns the guard, so its drop drops the guard, which ends the access. To keep the
            /// guard, end the wait with `cancel`, or use
            /// [`upgrade_in_place`](Self::upgrade_in_place).
            ///
            /// # Deadlocks
            ///
            /// If the task keeps another read guard of the same lock meanwhile, the wait ends only
            /// when `cancel` is ready.
            ///
            /// # Panics
            ///
            /// Panics if an earlier [`upgrade_in_place`](Self::upgrade_in_place), or the guard of
            /// one, was forgotten (`mem::forget`).
            ///
            /// # Errors
            ///
            /// Returns the guard as it was, and the output of `cancel`. Other readers can read
            /// beside the guard again, and those that waited because of the upgrade are woken.
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = example!("try_upgradable_read", $arc, $Upgradable)]
            /// let reader = lock.read().await;
            /// // In a program, `cancel` may be a timer, or the signal to shut down.
            /// let cancel = async {};
            #[doc = concat!("let late = ", stringify!($Upgradable), "::upgrade_or(guard, cancel).await;")]
            /// let (guard, ()) = late.unwrap_err();
            /// assert_eq!(guard.0, reader.0);
            /// # });
            /// ```
            pub async fn upgrade_or<C: Future>(
                mut guard: Self,
                cancel: C,
            ) -> Result<$Write<$($args)*>, (Self, C::Output)> {
                // The guard in place is forgotten, so the lock stays upgraded.
                let upgraded = Self::upgrade_in_place_or(&mut guard, cancel).await;
                match upgraded.map(core::mem::forget) {
                    Ok(()) => {
                        let (lock, data) = guard.into_parts();
                        Ok($Write::new(lock, data))
                    }
                    Err(output) => Err((guard, output)),
                }
            }

            /// Upgrades to write access in place, waiting asynchronously until the other readers
            /// have left.
            ///
            /// From the first poll on, no other task acquires the lock, in any mode. So the data
            /// has not changed since this guard read it. Write access ends when the returned guard
            /// is dropped. Then this guard reads again, with no other writer in between.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point. If it has waited, its drop leaves the guard
            /// as it was, and wakes the waiters that waited because of the upgrade.
            ///
            /// # Deadlocks
            ///
            /// The wait never ends if the task keeps another read guard of the same lock meanwhile:
            /// the upgrade waits for that guard.
            ///
            /// # Panics
            ///
            /// Panics if an earlier upgrade in place, or the [`RwLockUpgradedGuard`] of one, was
            /// forgotten (`mem::forget`).
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = example!("try_upgradable_read", $arc, $Upgradable, "mut ")]
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

            /// Upgrades to write access in place, unless `cancel` is ready first.
            ///
            /// With a timer as `cancel`, this is an upgrade with a time limit, on any runtime:
            /// [`MultiLock::acquire_or`](crate::MultiLock::acquire_or) shows the timers of
            /// some. Each poll tries to upgrade first, and polls `cancel` only if other readers are
            /// left. When `cancel` is ready, the future tries once more, like
            /// [`try_upgrade_in_place`](Self::try_upgrade_in_place). So if both are ready, the guard
            /// is upgraded.
            ///
            /// From the first poll on, no other task acquires the lock, in any mode, until `cancel`
            /// is ready. So the data has not changed since this guard read it. Write access ends
            /// when the returned guard is dropped. Then this guard reads again, with no other writer
            /// in between.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point, and `cancel` is dropped with it. If it has
            /// waited, its drop leaves the guard as it was, and wakes the waiters that waited
            /// because of the upgrade.
            ///
            /// # Deadlocks
            ///
            /// If the task keeps another read guard of the same lock meanwhile, the wait ends only
            /// when `cancel` is ready.
            ///
            /// # Panics
            ///
            /// Panics if an earlier upgrade in place, or the [`RwLockUpgradedGuard`] of one, was
            /// forgotten (`mem::forget`).
            ///
            /// # Errors
            ///
            /// Returns the output of `cancel`. This guard is then as it was. Other readers can read
            /// beside it again, and those that waited because of the upgrade are woken.
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = example!("try_upgradable_read", $arc, $Upgradable, "mut ")]
            /// let reader = lock.read().await;
            /// // In a program, `cancel` may be a timer, or the signal to shut down.
            /// let cancel = async {};
            #[doc = concat!("let late = ", stringify!($Upgradable), "::upgrade_in_place_or(&mut guard, cancel).await;")]
            /// assert!(late.is_err());
            /// drop(late);
            /// assert_eq!(guard.0, reader.0);
            /// # });
            /// ```
            pub async fn upgrade_in_place_or<C: Future>(
                guard: &mut Self,
                cancel: C,
            ) -> Result<RwLockUpgradedGuard<'_, T>, C::Output> {
                // The guard is forgotten and made anew: otherwise it would borrow `guard` during the
                // last try, as far as the compiler knows.
                let upgraded = first(Self::upgrade_in_place(guard), cancel).await;
                match upgraded.map(core::mem::forget) {
                    Ok(()) => Ok(RwLockUpgradedGuard::new(guard.lock.multilock(), guard.data)),
                    Err(output) => match Self::try_upgrade_in_place(guard) {
                        Some(guard) => {
                            // The drop may panic, and then drops the guard: see `First`.
                            drop(output);
                            Ok(guard)
                        }
                        None => Err(output),
                    },
                }
            }

            /// Upgrades to write access in place if there is no other reader. Never waits.
            ///
            /// Write access ends when the returned guard is dropped. Then this guard reads again,
            /// with no other writer in between.
            ///
            /// Returns `None` if there is another reader, or if an earlier upgrade in place, or the
            /// [`RwLockUpgradedGuard`] of one, was forgotten (`mem::forget`).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_upgradable_read", $arc, $Upgradable, "mut ")]
            #[doc = concat!("let mut writer = ", stringify!($Upgradable), "::try_upgrade_in_place(&mut guard).unwrap();")]
            /// writer.0 += 1;
            /// drop(writer);
            /// assert_eq!(guard.0, 2);
            /// ```
            #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
            pub fn try_upgrade_in_place(guard: &mut Self) -> Option<RwLockUpgradedGuard<'_, T>> {
                let lock = guard.lock.multilock();
                let upgraded = lock.raw.try_upgrade(Mode::Upgradable).is_ok();
                upgraded.then(|| RwLockUpgradedGuard::new(lock, guard.data))
            }
        }

        impl<$($generics)*> $Write<$($args)*> {
            /// Turns the guard into a read guard, with no other writer in between. Never waits.
            ///
            /// The downgrade wakes all waiting readers, even if a writer is queued. Readers that
            /// arrive later wait as long as the lock is held and that writer is queued.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_write", $arc, $Write)]
            #[doc = concat!("let guard = ", stringify!($Write), "::downgrade(guard);")]
            /// assert_eq!(guard.0, 1);
            /// assert!(lock.try_read().is_some());
            /// ```
            pub fn downgrade(guard: Self) -> $Read<$($args)*> {
                let data = guard.data;
                Self::downgrade_to_part(guard, data)
            }

            /// Turns the guard into a read guard of a part of the data, with no other writer in
            /// between. Never waits.
            ///
            /// `f` gets a shared reference to the data, and returns a reference to the part. It runs
            /// before the downgrade, while nothing else has access. To write a part of the data, use
            /// [`map`](Self::map), whose guard cannot be downgraded.
            ///
            /// The downgrade wakes all waiting readers, even if a writer is queued. Readers that
            /// arrive later wait as long as the lock is held and that writer is queued.
            ///
            /// If `f` panics, the guard is dropped, and access ends. There is no poisoning: the data
            /// stays as it is.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_write", $arc, $Write, "mut ")]
            /// guard.1 += 1;
            #[doc = concat!("let second = ", stringify!($Write), "::downgrade_map(guard, |pair| &pair.1);")]
            /// assert_eq!(*second, 3);
            /// assert!(lock.try_read().is_some());
            /// ```
            pub fn downgrade_map<$Part: ?Sized>(
                guard: Self,
                f: impl FnOnce(&T) -> &$Part,
            ) -> $ReadOfPart {
                let part = NonNull::from(f(&guard));
                Self::downgrade_to_part(guard, part)
            }

            /// Turns the guard into a read guard of a part of the data, if `f` returns that part,
            /// with no other writer in between. Never waits.
            ///
            /// `f` gets a shared reference to the data. It runs before the downgrade, while nothing
            /// else has access.
            ///
            /// The downgrade wakes all waiting readers, even if a writer is queued. Readers that
            /// arrive later wait as long as the lock is held and that writer is queued.
            ///
            /// If `f` panics, the guard is dropped, and access ends. There is no poisoning: the data
            /// stays as it is.
            ///
            /// # Errors
            ///
            /// Returns the original write guard if `f` returns `None`. Nothing is downgraded then.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_write", $arc, $Write)]
            #[doc = concat!("let none = ", stringify!($Write), "::try_downgrade_map(guard, |_| None::<&u8>);")]
            /// let mut guard = none.unwrap_err();
            /// guard.0 += 1;
            #[doc = concat!("let first = ", stringify!($Write), "::try_downgrade_map(guard, |pair| Some(&pair.0));")]
            /// assert_eq!(*first.unwrap(), 2);
            /// ```
            pub fn try_downgrade_map<$Part: ?Sized>(
                guard: Self,
                f: impl FnOnce(&T) -> Option<&$Part>,
            ) -> Result<$ReadOfPart, Self> {
                match f(&guard).map(NonNull::from) {
                    Some(part) => Ok(Self::downgrade_to_part(guard, part)),
                    None => Err(guard),
                }
            }

            /// Downgrades the guard to a read guard of `part`, which was reached through a shared
            /// reference to the data.
            ///
            /// Another reader also has only a shared reference to the data, so it cannot change the
            /// part, unless the part is itself a cell. A path through `&mut` may have led into a
            /// cell, by `Cell::get_mut`, and another reader could write to that cell. For that
            /// reason the guard of [`map`](Self::map) is not downgraded.
            fn downgrade_to_part<$Part: ?Sized>(guard: Self, part: NonNull<$Part>) -> $ReadOfPart {
                let (lock, _) = guard.into_parts();
                // The new guard exists before waiters are woken, because a waker may panic.
                let guard = <$ReadOfPart>::new(lock.into(), part);
                guard.lock.multilock().raw.downgrade(Mode::Exclusive, Mode::Shared);
                guard
            }

            /// Turns the guard into an upgradable read guard, with no other writer in between.
            /// Never waits.
            ///
            /// The upgradable guard can become a write guard again. The downgrade wakes all waiting
            /// readers, even if a writer is queued. Readers that arrive later wait as long as the
            /// lock is held and that writer is queued.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = example!("try_write", $arc, $Write)]
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

guard_conversions! {
    ['a, T: ?Sized] ['a, T]
    RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard, Upgrade,
    U => RwLockReadGuard<'a, U>, ""
}
