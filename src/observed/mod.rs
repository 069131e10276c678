//! Locks that tell an observer who acquires them: where, in which mode, and for how long.

#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
#[macro_use]
mod guard;
pub mod futures;
mod lock;
mod names;
mod observer;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod owned;
pub mod requests;
mod rwlock;
// The records of a set are on the heap.
#[cfg(feature = "alloc")]
mod sets;
mod told;
mod wait;

pub use guard::Guard;
pub use lock::MultiLock;
pub use names::locks;
pub use observer::{Acquisition, LockInfo, NewObserver, Observer};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr", feature = "event-listener"))]
pub use owned::SubscriptionArc;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use owned::{GuardArc, MonitorArc};
pub use rwlock::RwLock;
pub use rwlock::guards::{
    MappedRwLockWriteGuard, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockUpgradedGuard,
    RwLockWriteGuard,
};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use rwlock::owned::{
    ChangesArc, MappedRwLockWriteGuardArc, RwLockReadGuardArc, RwLockUpgradableReadGuardArc,
    RwLockWriteGuardArc,
};
pub use told::Told;
