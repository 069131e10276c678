// A package in `tests/guide` has the executors that the examples of pages need, and tests them.
#![cfg_attr(not(doctest), doc = include_str!("../README.md"))]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The documentation shows which feature and which target an item needs, and no models.
#![cfg_attr(docsrs, doc(auto_cfg(hide(loom, shuttle))))]
// An example that a reader copies compiles without warnings.
#![doc(test(attr(deny(unused), allow(dead_code))))]

// The layers, lowest first. A module uses those above it in this list, and nothing of its own row
// (but `lock` and `error` use each other).
//
//   sync                           atomics, cells, mutexes, blocking: of `std` or of a model checker
//   mode                           the three modes
//   raw                            the lock without guards: it alone touches the word and the queue
//   lock, error                    `MultiLock`, its guards, handles and monitors
//   set · named                    `LockSet`, `lock_all` · `HandleLock`
//   rwlock · interop               `RwLock`, which `lock_all` can lock · traits of other crates

#[cfg(any(feature = "alloc", test))]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

#[cfg(not(any(feature = "std", feature = "critical-section", feature = "single-threaded")))]
compile_error!(
    "multilock needs to know how to guard its wake-ups: enable the feature `std`, or `critical-section`, \
     or, for a program without threads and interrupts, `single-threaded`"
);

#[macro_use]
mod text;

#[cfg(doctest)]
mod compile_fail_tests;
mod error;
#[cfg(all(doc, not(doctest)))]
pub mod guide;
mod interop;
mod lock;
mod mode;
#[cfg(test)]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod models;
#[cfg(feature = "alloc")]
mod named;
#[cfg(test)]
#[cfg(all(feature = "alloc", panic = "unwind", not(any(loom, shuttle))))]
mod out_of_memory;
mod raw;
mod rwlock;
mod set;
mod sync;

pub use error::{DuplicateLock, ReleaseError, TryLockAllError, UpgradeError};
#[cfg(all(feature = "lock_api", not(target_family = "wasm"), not(any(loom, shuttle))))]
pub use interop::lock_api::{
    lock_api_read, lock_api_upgradable_read, lock_api_upgrade, lock_api_write,
};
pub use lock::MultiLock;
pub use lock::guard::Guard;
pub use lock::handle::{Handle, HandleId};
pub use lock::monitor::Monitor;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use lock::owned::{GuardArc, MonitorArc};
#[cfg(all(feature = "event-listener", target_has_atomic = "ptr"))]
pub use lock::subscription::SubscriptionArc;
#[cfg(feature = "event-listener")]
pub use lock::subscription::{SharedEvent, Subscription};
pub use mode::Mode;
#[cfg(feature = "alloc")]
pub use named::HandleLock;
#[cfg(feature = "alloc")]
pub use named::error::{HandleInUse, TryAcquireError};
#[cfg(feature = "alloc")]
pub use named::guard::HandleGuard;
pub use raw::state::Snapshot;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use rwlock::owned::{
    ChangesArc, MappedRwLockWriteGuardArc, RwLockReadGuardArc, RwLockUpgradableReadGuardArc,
    RwLockWriteGuardArc,
};
pub use rwlock::{
    Changes, MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockUpgradedGuard, RwLockWriteGuard,
};
pub use set::acquire_all::{AllGuard, Wanted, acquire_all, try_acquire_all};
#[cfg(all(feature = "std", not(target_family = "wasm")))]
pub use set::blocking::{acquire_all_blocking, lock_all_blocking};
#[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
pub use set::blocking::{lock_all_blocking_deadline, lock_all_blocking_timeout};
pub use set::lock_all::{CheckedLocks, lock_all, lock_all_or, try_lock_all};
#[cfg(feature = "alloc")]
pub use set::lock_set::{LockSet, SetGuard};
pub use set::lockable::{LockGuard, Lockable};

/// The futures of [`RwLock`], as named types.
///
/// Each future contains the node that queues it, so a wait allocates nothing but the queue of the
/// lock, once. For that reason the futures are not [`Unpin`]: to poll one by reference,
/// [`pin!`](core::pin::pin) it.
///
/// # Glob imports
///
/// This module is called as in `async-lock`, and so is a crate. After `use multilock::*;`,
/// `futures::StreamExt` is an error: `futures` is this module, or ambiguous. Import the names that
/// you need, or write `::futures` for the crate:
///
/// ```standalone_crate
/// # extern crate futures_lite as futures;
/// use ::futures::StreamExt;
/// use multilock::*;
///
/// /// Waits until the lock can be shared.
/// async fn room(lock: &MultiLock) {
///     lock.monitor(Mode::Shared).next().await;
/// }
/// ```
pub mod futures {
    pub use crate::rwlock::futures::{Read, UpgradableRead, Upgrade, Write};
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub use crate::rwlock::owned::{ReadArc, UpgradableReadArc, UpgradeArc, WriteArc};
}

/// What [`lock_all`] and related functions take: requests, which name a lock and a mode.
///
/// Methods of [`RwLock`] and [`MultiLock`] return the requests. Their types have names, so that a
/// structure or a signature can contain them.
pub mod requests {
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub use crate::rwlock::owned::{ReadingArc, UpgradingArc, WritingArc};
    pub use crate::rwlock::requests::{Reading, Upgrading, Writing};
    pub use crate::set::lock_all::in_mode::InMode;
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub use crate::set::lock_all::in_mode_arc::InModeArc;
    pub use crate::set::lock_all::{LockRequest, LockRequests};
}
