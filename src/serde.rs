//! Data behind a lock, written and read as if there were no lock.

use serde::ser::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rwlock::{
    MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockUpgradedGuard, RwLockWriteGuard,
};
#[cfg(target_has_atomic = "ptr")]
use crate::rwlock::{
    MappedRwLockWriteGuardArc, RwLockReadGuardArc, RwLockUpgradableReadGuardArc,
    RwLockWriteGuardArc,
};

/// As the data. It reads them if that is possible now: nobody waits, neither a task nor a thread.
///
/// # Errors
///
/// If somebody writes, or waits to write while others read. To wait for that, acquire a guard, and serialize it.
impl<T: ?Sized + Serialize> Serialize for RwLock<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.try_read() {
            Some(guard) => guard.serialize(serializer),
            None => Err(S::Error::custom("the lock cannot be read without waiting")),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for RwLock<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

macro_rules! as_data {
    ($($(#[$meta:meta])* [$($generics:tt)*] $Guard:ty => $Data:ident;)+) => {$(
        /// As the data that it gives access to.
        $(#[$meta])*
        impl<$($generics)*> Serialize for $Guard
        where
            $Data: Serialize,
        {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                (**self).serialize(serializer)
            }
        }
    )+};
}

as_data! {
    [T: ?Sized] RwLockReadGuard<'_, T> => T;
    [T: ?Sized] RwLockUpgradableReadGuard<'_, T> => T;
    [T: ?Sized] RwLockUpgradedGuard<'_, T> => T;
    [T: ?Sized] RwLockWriteGuard<'_, T> => T;
    [U: ?Sized] MappedRwLockWriteGuard<'_, U> => U;
    #[cfg(target_has_atomic = "ptr")]
    [T: ?Sized, U: ?Sized] RwLockReadGuardArc<T, U> => U;
    #[cfg(target_has_atomic = "ptr")]
    [T: ?Sized] RwLockUpgradableReadGuardArc<T> => T;
    #[cfg(target_has_atomic = "ptr")]
    [T: ?Sized] RwLockWriteGuardArc<T> => T;
    #[cfg(target_has_atomic = "ptr")]
    [T: ?Sized, U: ?Sized] MappedRwLockWriteGuardArc<T, U> => U;
}
