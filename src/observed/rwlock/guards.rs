//! The guards of observed data, and the functions that turn one into another.

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::panic::{RefUnwindSafe, UnwindSafe};

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use super::owned::{
    MappedRwLockWriteGuardArc, RwLockReadGuardArc, RwLockUpgradableReadGuardArc,
    RwLockWriteGuardArc,
};
use crate::mode::Mode;
use crate::observed::futures::Upgrade;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use crate::observed::futures::UpgradeArc;
use crate::observed::told::{Event, Hold, LockPtr, Told, Upgrading};
use crate::observed::wait::{FromPlain, Observing};
use crate::observed::{MultiLock, Observer};
use crate::rwlock::{
    MappedRwLockWriteGuard as PlainMapped, RwLockReadGuard as PlainRead,
    RwLockUpgradableReadGuard as PlainUpgradable, RwLockUpgradedGuard as PlainUpgraded,
    RwLockWriteGuard as PlainWrite,
};

/// Expands to the first lines of an example, in which `guard` is a guard of a pair.
macro_rules! data_example {
    ($try:literal, "", $Guard:ident $(, $mut:literal)?) => {
        concat!(
            "use multilock::observed::{RwLock, ", stringify!($Guard), "};\n\n",
            "let lock = RwLock::<_, ()>::new((1, 2));\nlet ", $($mut,)? "guard = lock.", $try, "().unwrap();"
        )
    };
    ($try:literal, "_arc", $Guard:ident $(, $mut:literal)?) => {
        concat!(
            "use multilock::observed::{RwLock, ", stringify!($Guard), "};\nuse std::sync::Arc;\n\n",
            "let lock = Arc::new(RwLock::<_, ()>::new((1, 2)));\n",
            "let ", $($mut,)? "guard = lock.", $try, "_arc().unwrap();"
        )
    };
}

/// Expands to the first lines of an example, in which `guard` is the guard of a part, a pair.
macro_rules! part_example {
    ($arc:tt, $Write:ident, $Mapped:ident) => {
        concat!(
            "use multilock::observed::{RwLock, ",
            stringify!($Mapped),
            ", ",
            stringify!($Write),
            "};\nuse std::sync::Arc;\n\n",
            "let lock = Arc::new(RwLock::<_, ()>::new(((1, 2), 3)));\nlet guard = lock.try_write",
            $arc,
            "().unwrap();\n",
            "let guard = ",
            stringify!($Write),
            "::map(guard, |all| &mut all.0);"
        )
    };
}

/// Defines a guard of observed data.
macro_rules! observed_data_guard {
    (
        $(#[$meta:meta])*
        $Guard:ident [$($defaults:tt)*] [$($generics:tt)*] [$($args:tt)*] => $Target:ident;
        $Plain:ty, $Hold:ty
    ) => {
        $(#[$meta])*
        #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        #[clippy::has_significant_drop]
        pub struct $Guard<$($defaults)*> {
            // The first field is dropped first: the observer is told when the lock has been released.
            pub(super) plain: $Plain,
            pub(super) hold: $Hold,
        }

        #[allow(dead_code, reason = "a guard of a part is not acquired")]
        impl<$($generics)*> $Guard<$($args)*> {
            #[inline]
            pub(in crate::observed) fn of_parts(plain: $Plain, hold: $Hold) -> Self {
                Self { plain, hold }
            }

            /// Tells the observer that the lock was acquired.
            #[inline]
            pub(super) fn acquired(plain: $Plain, hold: $Hold) -> Self {
                let mut guard = Self::of_parts(plain, hold);
                guard.hold.tell(Event::Acquired);
                guard
            }
        }

        impl<$($generics)*> Deref for $Guard<$($args)*> {
            type Target = $Target;

            #[inline]
            fn deref(&self) -> &$Target {
                &self.plain
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

/// Implements `DerefMut` for a guard that may write.
macro_rules! observed_deref_mut {
    ($Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Target:ident) => {
        impl<$($generics)*> DerefMut for $Guard<$($args)*> {
            #[inline]
            fn deref_mut(&mut self) -> &mut $Target {
                &mut self.plain
            }
        }
    };
}

/// Makes guards that borrow the lock of those of the lock without an observer.
macro_rules! acquired_as {
    ($($Guard:ident $Plain:ident)*) => {$(
        impl<'a, T: ?Sized, O: Observer> FromPlain<$Plain<'a, T>, Hold<&'a MultiLock<O>>> for $Guard<'a, T, O> {
            #[inline]
            fn from_plain(plain: $Plain<'a, T>, hold: Hold<&'a MultiLock<O>>) -> Self {
                Self::acquired(plain, hold)
            }
        }
    )*};
}

observed_data_guard! {
    /// The guard of read access to the data of an observed [`RwLock`](crate::observed::RwLock).
    ///
    /// The functions that change or share the guard are associated functions, as the data may have methods of these names.
    /// The observer is told after the release.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::{RwLock, RwLockReadGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let guard: RwLockReadGuard<'_, i32, ()> = lock.try_read().unwrap();
    /// assert_eq!(*guard, 1);
    /// ```
    RwLockReadGuard ['a, T: ?Sized, O: Observer] ['a, T: ?Sized, O: Observer] ['a, T, O] => T;
    PlainRead<'a, T>, Hold<&'a MultiLock<O>, <O as Observer>::Record>
}

observed_data_guard! {
    /// The guard of upgradable read access to the data of an observed [`RwLock`](crate::observed::RwLock).
    ///
    /// The functions that change or share the guard are associated functions, as the data may have methods of these names.
    /// The observer is told after the release.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::{RwLock, RwLockUpgradableReadGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let guard: RwLockUpgradableReadGuard<'_, i32, ()> = lock.try_upgradable_read().unwrap();
    /// assert_eq!(*guard, 1);
    /// ```
    RwLockUpgradableReadGuard ['a, T: ?Sized, O: Observer] ['a, T: ?Sized, O: Observer] ['a, T, O] => T;
    PlainUpgradable<'a, T>, Hold<&'a MultiLock<O>, <O as Observer>::Record>
}

observed_data_guard! {
    /// The guard of write access to the data of an observed [`RwLock`](crate::observed::RwLock).
    ///
    /// The functions that change the guard are associated functions, as the data may have methods of these names. The
    /// observer is told after the release.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut guard: RwLockWriteGuard<'_, i32, ()> = lock.try_write().unwrap();
    /// *guard += 1;
    /// ```
    RwLockWriteGuard ['a, T: ?Sized, O: Observer] ['a, T: ?Sized, O: Observer] ['a, T, O] => T;
    PlainWrite<'a, T>, Hold<&'a MultiLock<O>, <O as Observer>::Record>
}
observed_deref_mut!(RwLockWriteGuard ['a, T: ?Sized, O: Observer] ['a, T, O] => T);

observed_data_guard! {
    /// The guard of write access to a part of the data of an observed [`RwLock`](crate::observed::RwLock).
    ///
    /// [`RwLockWriteGuard::map`] returns it. For the observer, the acquisition goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::{MappedRwLockWriteGuard, RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new((1, 2));
    /// let guard = lock.try_write().unwrap();
    /// let mut part: MappedRwLockWriteGuard<'_, i32, ()> = RwLockWriteGuard::map(guard, |pair| &mut pair.1);
    /// *part += 1;
    /// ```
    MappedRwLockWriteGuard ['a, U: ?Sized, O: Observer] ['a, U: ?Sized, O: Observer] ['a, U, O] => U;
    PlainMapped<'a, U>, Hold<&'a MultiLock<O>, <O as Observer>::Record>
}
observed_deref_mut!(MappedRwLockWriteGuard ['a, U: ?Sized, O: Observer] ['a, U, O] => U);

acquired_as! {
    RwLockReadGuard PlainRead
    RwLockUpgradableReadGuard PlainUpgradable
    RwLockWriteGuard PlainWrite
}

/// The guard of write access that is upgraded in place, from an upgradable guard that stays.
///
/// When it is dropped, the lock is downgraded, and the observer is told so after that. The upgradable guard can be used
/// again then.
///
/// # Examples
///
/// ```
/// use multilock::observed::{RwLock, RwLockUpgradableReadGuard, RwLockUpgradedGuard};
///
/// let lock = RwLock::new(1);
/// let mut guard = lock.try_upgradable_read().unwrap();
/// let mut writer: RwLockUpgradedGuard<'_, i32, ()> =
///     RwLockUpgradableReadGuard::try_upgrade_in_place(&mut guard).unwrap();
/// *writer += 1;
/// drop(writer);
/// assert_eq!(*guard, 2);
/// ```
#[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
#[clippy::has_significant_drop]
pub struct RwLockUpgradedGuard<'g, T: ?Sized, O: Observer> {
    // The first field is dropped first: the observer is told when the lock was downgraded.
    plain: PlainUpgraded<'g, T>,
    downgrade: DowngradeOnDrop<'g, O>,
}

/// Tells the observer that an upgrade in place has ended.
struct DowngradeOnDrop<'g, O: Observer> {
    lock: &'g MultiLock<O>,
    told: &'g mut Told<O::Record>,
}

// As for `Hold`.
impl<O: Observer> UnwindSafe for DowngradeOnDrop<'_, O> {}
impl<O: Observer> RefUnwindSafe for DowngradeOnDrop<'_, O> {}

impl<O: Observer> Drop for DowngradeOnDrop<'_, O> {
    fn drop(&mut self) {
        self.told.end_upgrade(self.lock);
    }
}

impl<'g, T: ?Sized, O: Observer> RwLockUpgradedGuard<'g, T, O> {
    fn new<P: LockPtr<Observer = O, Record = O::Record>>(
        plain: PlainUpgraded<'g, T>,
        hold: &'g mut Hold<P>,
    ) -> Self {
        let Hold { lock, told } = hold;
        Self { plain, downgrade: DowngradeOnDrop { lock: lock.observed(), told } }
    }
}

impl<'g, T: ?Sized, O: Observer, P: LockPtr<Observer = O, Record = O::Record>>
    FromPlain<PlainUpgraded<'g, T>, Upgrading<P, &'g mut Hold<P>>>
    for RwLockUpgradedGuard<'g, T, O>
{
    fn from_plain(plain: PlainUpgraded<'g, T>, wait: Upgrading<P, &'g mut Hold<P>>) -> Self {
        let (hold, upgrade) = wait.into_parts();
        let guard = Self::new(plain, hold);
        guard.downgrade.told.upgraded(guard.downgrade.lock, upgrade);
        guard
    }
}

impl<T: ?Sized, O: Observer> Deref for RwLockUpgradedGuard<'_, T, O> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.plain
    }
}

impl<T: ?Sized, O: Observer> DerefMut for RwLockUpgradedGuard<'_, T, O> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.plain
    }
}

impl<T: ?Sized + fmt::Debug, O: Observer> fmt::Debug for RwLockUpgradedGuard<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display, O: Observer> fmt::Display for RwLockUpgradedGuard<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Defines the functions by which a read guard is shared, or becomes a guard of a part of the data.
macro_rules! observed_read_guard {
    (
        $Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Target:ident, $Part:ident => $Mapped:ident<$($mapped:tt), *>, $arc:tt
    ) => {
        impl<$($generics)*> $Guard<$($args)*> {
            /// Acquires read access once more, and returns a second guard of the same data. Never waits.
            ///
            /// Returns `None` if a reader is upgrading, or at the limit of readers. For the observer, the second guard is
            /// an acquisition of its own.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = data_example!("try_read", $arc, $Guard)]
            #[doc = concat!("let more = ", stringify!($Guard), "::share(&guard).unwrap();")]
            /// assert_eq!((guard.0, more.1), (1, 2));
            /// ```
            #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
            #[track_caller]
            pub fn share(guard: &Self) -> Option<Self> {
                let plain = PlainRead::share(&guard.plain)?;
                Some(Self::acquired(plain, Hold::tried(guard.hold.lock.clone(), Mode::Shared)))
            }

            /// Turns the guard into a guard of a part of the data. Never waits. For the observer, the acquisition goes
            /// on.
            ///
            /// If `f` panics, the guard is dropped, and access ends.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = data_example!("try_read", $arc, $Guard)]
            #[doc = concat!("let second = ", stringify!($Guard), "::map(guard, |pair| &pair.1);")]
            /// assert_eq!(*second, 2);
            /// ```
            pub fn map<$Part: ?Sized>(
                guard: Self,
                f: impl FnOnce(&$Target) -> &$Part,
            ) -> $Mapped<$($mapped),*> {
                let Self { plain, hold } = guard;
                $Mapped { plain: PlainRead::map(plain, f), hold }
            }

            /// Turns the guard into a guard of a part of the data, if `f` returns that part. Never waits. For the
            /// observer, the acquisition goes on.
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
            #[doc = data_example!("try_read", $arc, $Guard)]
            #[doc = concat!("let second = ", stringify!($Guard), "::try_map(guard, |pair| Some(&pair.1));")]
            /// assert_eq!(*second.unwrap(), 2);
            /// ```
            pub fn try_map<$Part: ?Sized>(
                guard: Self,
                f: impl FnOnce(&$Target) -> Option<&$Part>,
            ) -> Result<$Mapped<$($mapped),*>, Self> {
                let Self { plain, hold } = guard;
                match PlainRead::try_map(plain, f) {
                    Ok(plain) => Ok($Mapped { plain, hold }),
                    Err(plain) => Err(Self { plain, hold }),
                }
            }
        }
    };
}

observed_read_guard! {
    RwLockReadGuard ['a, T: ?Sized, O: Observer] ['a, T, O] => T, U => RwLockReadGuard<'a, U, O>, ""
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
observed_read_guard! {
    RwLockReadGuardArc [T: ?Sized, O: Observer, U: ?Sized] [T, O, U] => U, V => RwLockReadGuardArc<T, O, V>, "_arc"
}

/// Defines the functions by which a write guard becomes a guard of a part of the data.
macro_rules! observed_write_guard {
    (
        $Guard:ident [$($generics:tt)*] [$($args:tt)*] => $Target:ident, $Part:ident => $Mapped:ident<$($mapped:tt), *>,
        $Plain:ident, $example:expr
    ) => {
        impl<$($generics)*> $Guard<$($args)*> {
            /// Turns the guard into a guard of a part of the data. Never waits. For the observer, the acquisition goes
            /// on.
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
                guard: Self,
                f: impl FnOnce(&mut $Target) -> &mut $Part,
            ) -> $Mapped<$($mapped),*> {
                let Self { plain, hold } = guard;
                $Mapped { plain: $Plain::map(plain, f), hold }
            }

            /// Turns the guard into a guard of a part of the data, if `f` returns that part. Never waits. For the
            /// observer, the acquisition goes on.
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
            #[doc = concat!("let second = ", stringify!($Guard), "::try_map(guard, |pair| Some(&mut pair.1));")]
            /// *second.unwrap() += 1;
            /// ```
            pub fn try_map<$Part: ?Sized>(
                guard: Self,
                f: impl FnOnce(&mut $Target) -> Option<&mut $Part>,
            ) -> Result<$Mapped<$($mapped),*>, Self> {
                let Self { plain, hold } = guard;
                match $Plain::try_map(plain, f) {
                    Ok(plain) => Ok($Mapped { plain, hold }),
                    Err(plain) => Err(Self { plain, hold }),
                }
            }
        }
    };
}

observed_write_guard! {
    RwLockWriteGuard ['a, T: ?Sized, O: Observer] ['a, T, O] => T, U => MappedRwLockWriteGuard<'a, U, O>,
    PlainWrite, data_example!("try_write", "", RwLockWriteGuard)
}
observed_write_guard! {
    MappedRwLockWriteGuard ['a, U: ?Sized, O: Observer] ['a, U, O] => U, V => MappedRwLockWriteGuard<'a, V, O>,
    PlainMapped, part_example!("", RwLockWriteGuard, MappedRwLockWriteGuard)
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
observed_write_guard! {
    RwLockWriteGuardArc [T: ?Sized, O: Observer] [T, O] => T, U => MappedRwLockWriteGuardArc<T, O, U>,
    PlainWrite, data_example!("try_write", "_arc", RwLockWriteGuardArc)
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
observed_write_guard! {
    MappedRwLockWriteGuardArc [T: ?Sized, O: Observer, U: ?Sized] [T, O, U] => U, V => MappedRwLockWriteGuardArc<T, O, V>,
    PlainMapped, part_example!("_arc", RwLockWriteGuardArc, MappedRwLockWriteGuardArc)
}

/// Defines the functions by which read guards and write guards become one another.
macro_rules! observed_conversions {
    (
        [$($generics:tt)*] [$($args:tt)*] $Read:ident, $Upgradable:ident, $Write:ident, $Upgrade:ident,
        $Part:ident => $ReadOfPart:ident<$($of_part:tt), *>, $arc:tt
    ) => {
        impl<$($generics)*> $Upgradable<$($args)*> {
            /// Turns the guard into a read guard, which is no longer upgradable. Never waits.
            ///
            /// No writer has access in between. The observer is told of a change.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = data_example!("try_upgradable_read", $arc, $Upgradable)]
            #[doc = concat!("let guard = ", stringify!($Upgradable), "::downgrade(guard);")]
            /// assert_eq!(guard.0, 1);
            /// assert!(lock.try_upgradable_read().is_some());
            /// ```
            #[track_caller]
            pub fn downgrade(guard: Self) -> $Read<$($args)*> {
                let Self { plain, hold } = guard;
                let plain = PlainUpgradable::downgrade(plain);
                let mut guard = $Read { plain, hold: hold.with_pointer() };
                guard.hold.change(Mode::Shared);
                guard
            }

            /// Acquires read access once more, and returns a read guard beside this guard. Never waits.
            ///
            /// Returns `None` at the limit of readers, and after an upgrade in place that was forgotten. For the observer,
            /// the read guard is an acquisition of its own.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = data_example!("try_upgradable_read", $arc, $Upgradable)]
            #[doc = concat!("let reader = ", stringify!($Upgradable), "::share(&guard).unwrap();")]
            /// assert_eq!((guard.0, reader.1), (1, 2));
            /// ```
            #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
            #[track_caller]
            pub fn share(guard: &Self) -> Option<$Read<$($args)*>> {
                let plain = PlainUpgradable::share(&guard.plain)?;
                Some($Read::acquired(
                    plain,
                    Hold::tried(guard.hold.lock.clone().into(), Mode::Shared),
                ))
            }

            /// Upgrades the guard to a write guard if there is no other reader. Never waits.
            ///
            /// No other writer has access in between. The observer is told of a change.
            ///
            /// # Errors
            ///
            /// Returns the original guard if there is another reader, or after an upgrade in place that was forgotten.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = data_example!("try_upgradable_read", $arc, $Upgradable)]
            #[doc = concat!("let mut guard = ", stringify!($Upgradable), "::try_upgrade(guard).unwrap();")]
            /// guard.0 += 1;
            /// ```
            #[track_caller]
            pub fn try_upgrade(guard: Self) -> Result<$Write<$($args)*>, Self> {
                let Self { plain, hold } = guard;
                match PlainUpgradable::try_upgrade(plain) {
                    Ok(plain) => {
                        let mut guard = $Write { plain, hold };
                        guard.hold.change(Mode::Exclusive);
                        Ok(guard)
                    }
                    Err(plain) => Err(Self { plain, hold }),
                }
            }

            /// Upgrades the guard to a write guard, waiting asynchronously until the other readers have left.
            ///
            /// From the first poll on, no other task acquires the lock, in any mode. The observer is told of a wait, and of
            /// a change.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point. It owns the guard, so its drop drops the guard, which ends the
            /// access. To keep the guard, use [`upgrade_in_place`](Self::upgrade_in_place).
            ///
            /// # Deadlocks
            ///
            /// The wait never ends if the task keeps another read guard of the same lock meanwhile: the upgrade waits for
            /// that guard.
            ///
            /// # Panics
            ///
            /// Panics if an earlier [`upgrade_in_place`](Self::upgrade_in_place), or the guard of one, was forgotten
            /// (`mem::forget`).
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = data_example!("try_upgradable_read", $arc, $Upgradable)]
            #[doc = concat!("let mut guard = ", stringify!($Upgradable), "::upgrade(guard).await;")]
            /// guard.0 += 1;
            /// # });
            /// ```
            #[track_caller]
            pub fn upgrade(guard: Self) -> $Upgrade<$($args)*> {
                let Self { plain, hold } = guard;
                $Upgrade::new(PlainUpgradable::upgrade(plain), Upgrading::new(hold))
            }

            /// Upgrades the guard to a write guard, unless `cancel` is ready first.
            ///
            /// Each poll tries to upgrade first, and polls `cancel` only if other readers are left. When `cancel` is ready,
            /// the future tries once more.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point, and `cancel` is dropped with it. The future owns the guard, so its
            /// drop drops the guard, which ends the access.
            ///
            /// # Deadlocks
            ///
            /// If the task keeps another read guard of the same lock meanwhile, the wait ends only when `cancel` is ready.
            ///
            /// # Panics
            ///
            /// Panics as [`upgrade`](Self::upgrade) does.
            ///
            /// # Errors
            ///
            /// Returns the original guard and the output of `cancel`. The guard is upgradable as before.
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = data_example!("try_upgradable_read", $arc, $Upgradable)]
            #[doc = concat!("let late = ", stringify!($Upgradable), "::upgrade_or(guard, async {}).await;")]
            /// assert!(late.is_ok());
            /// # });
            /// ```
            #[track_caller]
            pub fn upgrade_or<C: Future>(
                guard: Self,
                cancel: C,
            ) -> impl Future<Output = Result<$Write<$($args)*>, (Self, C::Output)>> {
                let Self { plain, hold } = guard;
                Observing::new(PlainUpgradable::upgrade_or(plain, cancel), Upgrading::new(hold))
            }

            /// Upgrades the guard to a write guard, blocking the thread until the other readers have left.
            ///
            /// From the beginning of the wait on, no other task or thread acquires the lock, in any mode.
            ///
            /// # Deadlocks
            ///
            /// The wait never ends if the thread keeps another read guard of the same lock meanwhile. A call from async
            /// code deadlocks if a reader needs the blocked thread in order to go on.
            ///
            /// # Panics
            ///
            /// Panics as [`upgrade`](Self::upgrade) does.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = data_example!("try_upgradable_read", $arc, $Upgradable)]
            #[doc = concat!("let mut guard = ", stringify!($Upgradable), "::upgrade_blocking(guard);")]
            /// guard.0 += 1;
            /// ```
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            #[track_caller]
            pub fn upgrade_blocking(guard: Self) -> $Write<$($args)*> {
                crate::sync::block::block_on(Self::upgrade(guard), None).expect("there is no deadline")
            }

            /// Upgrades the guard in place, waiting asynchronously until the other readers have left. The guard that is
            /// returned writes, and this guard is upgradable again when that one is dropped.
            ///
            /// From the first poll on, no other task acquires the lock, in any mode. The observer is told of a wait, of a
            /// change to exclusive mode, and of one back.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point. The guard is then upgradable as before.
            ///
            /// # Deadlocks
            ///
            /// The wait never ends if the task keeps another read guard of the same lock meanwhile: the upgrade waits for
            /// that guard.
            ///
            /// # Panics
            ///
            /// Panics if an earlier upgrade in place, or the guard of one, was forgotten (`mem::forget`).
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = data_example!("try_upgradable_read", $arc, $Upgradable, "mut ")]
            #[doc = concat!(stringify!($Upgradable), "::upgrade_in_place(&mut guard).await.0 += 1;")]
            /// assert_eq!(guard.0, 2);
            /// # });
            /// ```
            #[track_caller]
            pub fn upgrade_in_place(
                guard: &mut Self,
            ) -> impl Future<Output = RwLockUpgradedGuard<'_, T, O>> {
                let Self { plain, hold } = guard;
                Observing::new(PlainUpgradable::upgrade_in_place(plain), Upgrading::new(hold))
            }

            /// Upgrades the guard in place, unless `cancel` is ready first.
            ///
            /// Each poll tries to upgrade first, and polls `cancel` only if other readers are left. When `cancel` is ready,
            /// the future tries once more.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point, and `cancel` is dropped with it. The guard is then upgradable as
            /// before.
            ///
            /// # Deadlocks
            ///
            /// If the task keeps another read guard of the same lock meanwhile, the wait ends only when `cancel` is ready.
            ///
            /// # Panics
            ///
            /// Panics as [`upgrade_in_place`](Self::upgrade_in_place) does.
            ///
            /// # Errors
            ///
            /// Returns the output of `cancel`. The guard is then upgradable as before.
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = data_example!("try_upgradable_read", $arc, $Upgradable, "mut ")]
            #[doc = concat!("let late = ", stringify!($Upgradable), "::upgrade_in_place_or(&mut guard, async {}).await;")]
            /// late.unwrap().0 += 1;
            /// # });
            /// ```
            #[track_caller]
            pub fn upgrade_in_place_or<C: Future>(
                guard: &mut Self,
                cancel: C,
            ) -> impl Future<Output = Result<RwLockUpgradedGuard<'_, T, O>, C::Output>> {
                let Self { plain, hold } = guard;
                Observing::new(PlainUpgradable::upgrade_in_place_or(plain, cancel), Upgrading::new(hold))
            }

            /// Upgrades the guard in place if there is no other reader. Never waits.
            ///
            /// Returns `None` if there is another reader, or after an earlier upgrade in place that was forgotten.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = data_example!("try_upgradable_read", $arc, $Upgradable, "mut ")]
            #[doc = concat!("let mut writer = ", stringify!($Upgradable), "::try_upgrade_in_place(&mut guard).unwrap();")]
            /// writer.0 += 1;
            /// ```
            #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
            #[track_caller]
            pub fn try_upgrade_in_place(guard: &mut Self) -> Option<RwLockUpgradedGuard<'_, T, O>> {
                let Self { plain, hold } = guard;
                let plain = PlainUpgradable::try_upgrade_in_place(plain)?;
                hold.change(Mode::Exclusive);
                Some(RwLockUpgradedGuard::new(plain, hold))
            }
        }

        impl<$($generics)*> $Write<$($args)*> {
            /// Turns the guard into a read guard. Never waits.
            ///
            /// No other writer has access in between. The observer is told of a change.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = data_example!("try_write", $arc, $Write)]
            #[doc = concat!("let guard = ", stringify!($Write), "::downgrade(guard);")]
            /// assert_eq!(guard.0, 1);
            /// assert!(lock.try_read().is_some());
            /// ```
            #[track_caller]
            pub fn downgrade(guard: Self) -> $Read<$($args)*> {
                let Self { plain, hold } = guard;
                let plain = PlainWrite::downgrade(plain);
                let mut guard = $Read { plain, hold: hold.with_pointer() };
                guard.hold.change(Mode::Shared);
                guard
            }

            /// Turns the guard into a read guard of a part of the data. Never waits.
            ///
            /// If `f` panics, the guard is dropped, and access ends. The observer is told of a change.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = data_example!("try_write", $arc, $Write, "mut ")]
            /// guard.1 += 1;
            #[doc = concat!("let second = ", stringify!($Write), "::downgrade_map(guard, |pair| &pair.1);")]
            /// assert_eq!(*second, 3);
            /// ```
            #[track_caller]
            pub fn downgrade_map<$Part: ?Sized>(
                guard: Self,
                f: impl FnOnce(&T) -> &$Part,
            ) -> $ReadOfPart<$($of_part),*> {
                let Self { plain, hold } = guard;
                let plain = PlainWrite::downgrade_map(plain, f);
                let mut guard = $ReadOfPart { plain, hold: hold.with_pointer() };
                guard.hold.change(Mode::Shared);
                guard
            }

            /// Turns the guard into a read guard of a part of the data, if `f` returns that part. Never waits.
            ///
            /// If `f` panics, the guard is dropped, and access ends. The observer is told of a change.
            ///
            /// # Errors
            ///
            /// Returns the original guard if `f` returns `None`.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = data_example!("try_write", $arc, $Write)]
            #[doc = concat!("let first = ", stringify!($Write), "::try_downgrade_map(guard, |pair| Some(&pair.0));")]
            /// assert_eq!(*first.unwrap(), 1);
            /// ```
            #[track_caller]
            pub fn try_downgrade_map<$Part: ?Sized>(
                guard: Self,
                f: impl FnOnce(&T) -> Option<&$Part>,
            ) -> Result<$ReadOfPart<$($of_part),*>, Self> {
                let Self { plain, hold } = guard;
                match PlainWrite::try_downgrade_map(plain, f) {
                    Ok(plain) => {
                        let mut guard = $ReadOfPart { plain, hold: hold.with_pointer() };
                        guard.hold.change(Mode::Shared);
                        Ok(guard)
                    }
                    Err(plain) => Err(Self { plain, hold }),
                }
            }

            /// Turns the guard into an upgradable read guard. Never waits.
            ///
            /// No other writer has access in between. The observer is told of a change.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = data_example!("try_write", $arc, $Write)]
            #[doc = concat!("let guard = ", stringify!($Write), "::downgrade_to_upgradable(guard);")]
            /// assert!(lock.try_read().is_some() && lock.try_upgradable_read().is_none());
            /// drop(guard);
            /// ```
            #[track_caller]
            pub fn downgrade_to_upgradable(guard: Self) -> $Upgradable<$($args)*> {
                let Self { plain, hold } = guard;
                let plain = PlainWrite::downgrade_to_upgradable(plain);
                let mut guard = $Upgradable { plain, hold };
                guard.hold.change(Mode::Upgradable);
                guard
            }
        }
    };
}

observed_conversions! {
    ['a, T: ?Sized, O: Observer] ['a, T, O]
    RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard, Upgrade,
    U => RwLockReadGuard<'a, U, O>, ""
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
observed_conversions! {
    [T: ?Sized, O: Observer] [T, O]
    RwLockReadGuardArc, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc, UpgradeArc,
    U => RwLockReadGuardArc<T, O, U>, "_arc"
}

/// Makes the results of an upgrade, of a guard that borrows or owns its lock.
macro_rules! upgraded_as {
    ([$($generics:tt)*] [$($args:tt)*] $Upgradable:ident, $Write:ident, $lt:lifetime, $Lock:ty) => {
        impl<$($generics)*> FromPlain<PlainWrite<$lt, T>, Upgrading<$Lock, Hold<$Lock>>>
            for $Write<$($args)*>
        {
            fn from_plain(plain: PlainWrite<$lt, T>, wait: Upgrading<$Lock, Hold<$Lock>>) -> Self {
                let (hold, upgrade) = wait.into_parts();
                let mut guard = Self { plain, hold };
                guard.hold.upgraded(upgrade);
                guard
            }
        }

        impl<$($generics)*, C>
            FromPlain<
                Result<PlainWrite<$lt, T>, (PlainUpgradable<$lt, T>, C)>,
                Upgrading<$Lock, Hold<$Lock>>,
            > for Result<$Write<$($args)*>, ($Upgradable<$($args)*>, C)>
        {
            fn from_plain(
                plain: Result<PlainWrite<$lt, T>, (PlainUpgradable<$lt, T>, C)>,
                wait: Upgrading<$Lock, Hold<$Lock>>,
            ) -> Self {
                match plain {
                    Ok(plain) => Ok($Write::from_plain(plain, wait)),
                    Err((plain, output)) => {
                        let (hold, upgrade) = wait.into_parts();
                        let mut guard = $Upgradable { plain, hold };
                        guard.hold.not_upgraded(upgrade);
                        Err((guard, output))
                    }
                }
            }
        }
    };
}

upgraded_as! {
    ['a, T: ?Sized, O: Observer] ['a, T, O] RwLockUpgradableReadGuard, RwLockWriteGuard, 'a, &'a MultiLock<O>
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
upgraded_as! {
    [T: ?Sized, O: Observer] [T, O]
    RwLockUpgradableReadGuardArc, RwLockWriteGuardArc, 'static, alloc::sync::Arc<crate::observed::RwLock<T, O>>
}
