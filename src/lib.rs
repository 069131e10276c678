#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

#[cfg(not(any(feature = "std", feature = "critical-section", feature = "single-threaded")))]
compile_error!(
    "multilock needs to know how to guard its wake-ups: enable the feature `std`, or `critical-section`, \
     or, for a program without threads and interrupts, `single-threaded`"
);

mod acquire;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod block;
mod error;
mod fused;
mod guard;
mod handle;
mod handle_lock;
mod lazy;
mod list;
#[cfg(all(feature = "lock_api", not(any(loom, shuttle, target_family = "wasm"))))]
mod lock_api;
mod lockable;
mod many;
mod mode;
#[cfg(test)]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod models;
mod multilock;
mod notify;
#[cfg(test)]
#[cfg(all(panic = "unwind", not(any(loom, shuttle))))]
mod out_of_memory;
mod queue;
mod raw;
mod reservation;
mod rwlock;
#[cfg(feature = "serde")]
mod serde;
mod set;
mod state;
mod sync;
mod table;

#[cfg(all(feature = "lock_api", not(any(loom, shuttle, target_family = "wasm"))))]
pub use self::lock_api::{
    lock_api_read, lock_api_upgradable_read, lock_api_upgrade, lock_api_write,
};
pub use error::{HandleInUse, ReleaseError, TryAcquireError, UpgradeError};
pub use guard::Guard;
#[cfg(target_has_atomic = "ptr")]
pub use guard::GuardArc;
pub use handle::{Handle, HandleId};
pub use handle_lock::{HandleGuard, HandleLock};
pub use lockable::{LockGuard, Lockable};
pub use mode::Mode;
pub use multilock::MultiLock;
pub use notify::Notify;
#[cfg(target_has_atomic = "ptr")]
pub use notify::NotifyArc;
pub use rwlock::{
    MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockUpgradedGuard, RwLockWriteGuard,
};
#[cfg(target_has_atomic = "ptr")]
pub use rwlock::{
    MappedRwLockWriteGuardArc, RwLockReadGuardArc, RwLockUpgradableReadGuardArc,
    RwLockWriteGuardArc,
};
#[cfg(all(feature = "std", not(target_family = "wasm")))]
pub use set::acquire_all_blocking;
pub use set::{AllGuard, LockSet, SetGuard, Wanted, acquire_all, try_acquire_all};
pub use state::Snapshot;

/// The futures of [`RwLock`], as named types.
///
/// A wait with one of these futures allocates nothing but the queue of the lock, once. For that
/// reason they are not [`Unpin`]: to poll one by reference, [`pin!`](core::pin::pin) it.
pub mod futures {
    pub use crate::rwlock::futures::{Read, UpgradableRead, Upgrade, Write};
    #[cfg(target_has_atomic = "ptr")]
    pub use crate::rwlock::futures::{ReadArc, UpgradableReadArc, UpgradeArc, WriteArc};
}
