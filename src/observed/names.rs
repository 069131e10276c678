//! The names of the crate for locks with one observer.

/// Defines the names of the whole crate, for locks that have the same observer. So another `use` line turns the
/// observation on, and off.
///
/// The macro takes a visibility and the type of the observer, and stands in a module of its own. In the module,
/// `MultiLock`, `RwLock`, their guards, futures and requests are those of [`observed`](crate::observed), and all else is
/// what the crate has. The observer must implement [`NewObserver`](crate::observed::NewObserver), if `new` is to be called.
///
/// # Examples
///
/// ```
/// mod locks {
///     # use multilock::observed::{Acquisition, NewObserver, Observer};
///     # pub struct Log;
///     # impl Observer for Log {
///     #     type Record = ();
///     #     fn waiting(&self, _: Acquisition<'_>) {}
///     #     fn acquired(&self, _: Acquisition<'_>, _: Option<()>) {}
///     #     fn released(&self, _: Acquisition<'_>, (): ()) {}
///     #     fn cancelled(&self, _: Acquisition<'_>, (): ()) {}
///     # }
///     # impl NewObserver for Log {
///     #     const NEW: Self = Log;
///     # }
///     multilock::observed::locks!(pub Log);
/// }
///
/// // In place of `use multilock::{..}`.
/// use locks::{Mode, MultiLock, RwLock, RwLockReadGuard, lock_all};
///
/// fn sum(values: &RwLockReadGuard<'_, Vec<u32>>) -> u32 {
///     values.iter().sum()
/// }
///
/// # futures_lite::future::block_on(async {
/// static STEPS: MultiLock = MultiLock::new();
/// let values = RwLock::new(vec![1, 2]);
/// let (_step, values) = lock_all((STEPS.in_mode(Mode::Exclusive), values.reading())).await;
/// assert_eq!(sum(&values), 3);
/// # });
/// ```
#[doc(inline)]
pub use crate::__observed_locks as locks;

#[doc(hidden)]
#[macro_export]
macro_rules! __observed_locks {
    ($vis:vis $Observer:ty) => {
        $vis use $crate::*;

        #[allow(missing_docs)]
        $vis type MultiLock = $crate::observed::MultiLock<$Observer>;
        #[allow(missing_docs)]
        $vis type Guard<'a> = $crate::observed::Guard<'a, $Observer>;
        #[allow(missing_docs)]
        $vis type Handle = $crate::Handle<
            $crate::observed::Told<<$Observer as $crate::observed::Observer>::Record>,
        >;
        #[allow(missing_docs)]
        $vis type ReleaseError = $crate::ReleaseError<
            $crate::observed::Told<<$Observer as $crate::observed::Observer>::Record>,
        >;
        #[allow(missing_docs)]
        $vis type RwLock<T> = $crate::observed::RwLock<T, $Observer>;
        #[allow(missing_docs)]
        $vis type RwLockReadGuard<'a, T> = $crate::observed::RwLockReadGuard<'a, T, $Observer>;
        #[allow(missing_docs)]
        $vis type RwLockUpgradableReadGuard<'a, T> =
            $crate::observed::RwLockUpgradableReadGuard<'a, T, $Observer>;
        #[allow(missing_docs)]
        $vis type RwLockUpgradedGuard<'g, T> =
            $crate::observed::RwLockUpgradedGuard<'g, T, $Observer>;
        #[allow(missing_docs)]
        $vis type RwLockWriteGuard<'a, T> = $crate::observed::RwLockWriteGuard<'a, T, $Observer>;
        #[allow(missing_docs)]
        $vis type MappedRwLockWriteGuard<'a, U> =
            $crate::observed::MappedRwLockWriteGuard<'a, U, $Observer>;

        #[allow(missing_docs)]
        $vis mod futures {
            #[allow(unused_imports)]
            use super::*;

            #[allow(missing_docs)]
            pub type Read<'a, T> = $crate::observed::futures::Read<'a, T, $Observer>;
            #[allow(missing_docs)]
            pub type UpgradableRead<'a, T> =
                $crate::observed::futures::UpgradableRead<'a, T, $Observer>;
            #[allow(missing_docs)]
            pub type Write<'a, T> = $crate::observed::futures::Write<'a, T, $Observer>;
            #[allow(missing_docs)]
            pub type Upgrade<'a, T> = $crate::observed::futures::Upgrade<'a, T, $Observer>;
            $crate::__observed_owning_futures!($Observer);
        }

        #[allow(missing_docs)]
        $vis mod requests {
            #[allow(unused_imports)]
            use super::*;

            pub use $crate::requests::{LockRequest, LockRequests};

            #[allow(missing_docs)]
            pub type InMode<'a> = $crate::observed::requests::InMode<'a, $Observer>;
            #[allow(missing_docs)]
            pub type Reading<'a, T> = $crate::observed::requests::Reading<'a, T, $Observer>;
            #[allow(missing_docs)]
            pub type Upgrading<'a, T> = $crate::observed::requests::Upgrading<'a, T, $Observer>;
            #[allow(missing_docs)]
            pub type Writing<'a, T> = $crate::observed::requests::Writing<'a, T, $Observer>;
            $crate::__observed_owning_requests!($Observer);
        }

        $crate::__observed_owning!($vis $Observer);
        $crate::__observed_events!($vis $Observer);
    };
}

// The features of the crate decide here what there is. A `cfg` in a macro would ask for those of the crate that calls it.

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __observed_owning {
    ($vis:vis $Observer:ty) => {
        #[allow(missing_docs)]
        $vis type GuardArc = $crate::observed::GuardArc<$Observer>;
        #[allow(missing_docs)]
        $vis type MonitorArc = $crate::observed::MonitorArc<$Observer>;
        #[allow(missing_docs)]
        $vis type RwLockReadGuardArc<T, U = T> =
            $crate::observed::RwLockReadGuardArc<T, $Observer, U>;
        #[allow(missing_docs)]
        $vis type RwLockUpgradableReadGuardArc<T> =
            $crate::observed::RwLockUpgradableReadGuardArc<T, $Observer>;
        #[allow(missing_docs)]
        $vis type RwLockWriteGuardArc<T> = $crate::observed::RwLockWriteGuardArc<T, $Observer>;
        #[allow(missing_docs)]
        $vis type MappedRwLockWriteGuardArc<T, U> =
            $crate::observed::MappedRwLockWriteGuardArc<T, $Observer, U>;
        #[allow(missing_docs)]
        $vis type ChangesArc<T> = $crate::observed::ChangesArc<T, $Observer>;
    };
}

#[cfg(not(all(feature = "alloc", target_has_atomic = "ptr")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __observed_owning {
    ($vis:vis $Observer:ty) => {};
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __observed_owning_futures {
    ($Observer:ty) => {
        #[allow(missing_docs)]
        pub type ReadArc<'a, T> = $crate::observed::futures::ReadArc<'a, T, $Observer>;
        #[allow(missing_docs)]
        pub type UpgradableReadArc<'a, T> =
            $crate::observed::futures::UpgradableReadArc<'a, T, $Observer>;
        #[allow(missing_docs)]
        pub type WriteArc<'a, T> = $crate::observed::futures::WriteArc<'a, T, $Observer>;
        #[allow(missing_docs)]
        pub type UpgradeArc<T> = $crate::observed::futures::UpgradeArc<T, $Observer>;
    };
}

#[cfg(not(all(feature = "alloc", target_has_atomic = "ptr")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __observed_owning_futures {
    ($Observer:ty) => {};
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __observed_owning_requests {
    ($Observer:ty) => {
        #[allow(missing_docs)]
        pub type InModeArc = $crate::observed::requests::InModeArc<$Observer>;
        #[allow(missing_docs)]
        pub type ReadingArc<T> = $crate::observed::requests::ReadingArc<T, $Observer>;
        #[allow(missing_docs)]
        pub type UpgradingArc<T> = $crate::observed::requests::UpgradingArc<T, $Observer>;
        #[allow(missing_docs)]
        pub type WritingArc<T> = $crate::observed::requests::WritingArc<T, $Observer>;
    };
}

#[cfg(not(all(feature = "alloc", target_has_atomic = "ptr")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __observed_owning_requests {
    ($Observer:ty) => {};
}

#[cfg(all(feature = "event-listener", target_has_atomic = "ptr"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __observed_events {
    ($vis:vis $Observer:ty) => {
        #[allow(missing_docs)]
        $vis type SubscriptionArc = $crate::observed::SubscriptionArc<$Observer>;
    };
}

#[cfg(not(all(feature = "event-listener", target_has_atomic = "ptr")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __observed_events {
    ($vis:vis $Observer:ty) => {};
}
