//! Serializes and deserializes the data of a lock as if there were no lock.

use serde::ser::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rwlock::{
    MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockUpgradedGuard, RwLockWriteGuard,
};

/// Serializes the data, if read access is possible now. Never waits.
///
/// # Errors
///
/// Returns an error if [`try_read`](RwLock::try_read) fails: if a writer holds the lock, if a
/// writer or an upgrade waits while readers read, or if the lock is at its limit of readers. To
/// wait instead, acquire a guard and serialize the guard.
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

/// Implements `Serialize` for guards.
macro_rules! serialize_guards {
    ($([$($generics:tt)*] $Guard:ty => $Target:ident;)+) => {$(
        /// Serializes the data that the guard gives access to.
        impl<$($generics)*> Serialize for $Guard
        where
            $Target: Serialize,
        {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                (**self).serialize(serializer)
            }
        }
    )+};
}

serialize_guards! {
    [T: ?Sized] RwLockReadGuard<'_, T> => T;
    [T: ?Sized] RwLockUpgradableReadGuard<'_, T> => T;
    [T: ?Sized] RwLockUpgradedGuard<'_, T> => T;
    [T: ?Sized] RwLockWriteGuard<'_, T> => T;
    [U: ?Sized] MappedRwLockWriteGuard<'_, U> => U;
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod owned {
    use serde::{Serialize, Serializer};

    use crate::rwlock::owned::{
        MappedRwLockWriteGuardArc, RwLockReadGuardArc, RwLockUpgradableReadGuardArc,
        RwLockWriteGuardArc,
    };

    serialize_guards! {
        [T: ?Sized, U: ?Sized] RwLockReadGuardArc<T, U> => U;
        [T: ?Sized] RwLockUpgradableReadGuardArc<T> => T;
        [T: ?Sized] RwLockWriteGuardArc<T> => T;
        [T: ?Sized, U: ?Sized] MappedRwLockWriteGuardArc<T, U> => U;
    }
}
