//! A write-preferring reader-writer lock for async code, with shared, upgradable and exclusive modes.
//!
//! The lock depends on no executor. One lock serves tasks of any runtime, threads that block, and
//! interrupt handlers. It works with `std` and without, with a heap and without.
//!
//! ```
//! use multilock::{RwLock, RwLockUpgradableReadGuard};
//!
//! # futures_lite::future::block_on(async {
//! let names = RwLock::new(vec!["a"]);
//! assert_eq!(names.read().await.len(), 1);
//!
//! // Beside other readers; then alone, with no other writer in between.
//! let guard = names.upgradable_read().await;
//! assert!(!guard.contains(&"b"));
//! RwLockUpgradableReadGuard::upgrade(guard).await.push("b");
//! assert_eq!(*names.read().await, ["a", "b"]);
//! # });
//! ```
//!
//! # Where to begin
//!
//! | you want | take |
//! |---|---|
//! | a lock that contains its data | [`RwLock`] |
//! | the same for readers on many cores, and few writers | [`ShardedRwLock`] |
//! | a lock without data, whose mode is chosen at run time | [`MultiLock`] |
//! | several locks and their data at once, without a deadlock | [`lock_all`] |
//! | the same locks again and again, or sets of sets | [`LockSet`], [`acquire_all`] |
//! | a condition on the data | [`RwLock::read_when`], [`RwLock::changes`] |
//! | to be told when a mode becomes available | [`MultiLock::wait`], [`Monitor`], [`MultiLock::notify`] |
//! | acquisitions with names | [`HandleLock`] |
//! | to see who holds a lock, where, and for how long | `observed::MultiLock`, `observed::RwLock` |
//! | code that takes any of these locks | [`Lockable`] |
//!
//! The [guide] answers questions: [which lock](crate::guide::choosing) to choose, what it
//! [guarantees](crate::guide::guarantees), what happens on [cancellation](crate::guide::cancellation),
//! why a program [hangs](crate::guide::hangs), and how to come from
//! [async-lock](crate::guide::migrating_from_async_lock), [tokio](crate::guide::migrating_from_tokio),
//! [parking_lot](crate::guide::migrating_from_parking_lot) or
//! [Python](crate::guide::from_python).
//!
//! # What the names say
//!
//! A method whose name says nothing about waiting is async, or returns at once. `try_` never waits.
//! `_blocking` blocks the thread, and `_blocking_timeout` does so for a limited time, as does
//! `_blocking_deadline` (not of [`RwLock`]). `_or` takes a future, and gives up when that is ready.
//! The guards of `_arc` own the lock.
//!
//! # Features
//!
//! | name | default | effect |
//! |---|---|---|
//! | `std` | yes | Blocking and timed acquisition. A mutex whose waiters yield and sleep guards the wait queue. |
//! | `alloc` | with `std` | What owns memory: guards in an `Arc`, [`LockSet`], [`HandleLock`], monitors as streams, [`lock_all`] of vectors. The wait queue is in a box that the first wait allocates. Without it, the queue is in the lock, and nothing allocates. |
//! | `event-listener` | yes | [`MultiLock::notify`], for events of the crate `event-listener`, version 5. It implies `alloc`. |
//! | `critical-section` | no | A critical section guards the wait queue: the lock may be used in interrupt handlers. The program needs an implementation of `critical-section`. |
//! | `portable-atomic` | no | For chips without compare-and-swap. |
//! | `single-threaded` | no | A spin lock guards the wait queue: for programs without threads, and without interrupt handlers that use a lock. |
//! | `lock_api` | no | The raw-lock traits of `lock_api` for [`MultiLock`]; with `std`. |
//! | `serde` | no | `Serialize` and `Deserialize` of [`RwLock`], and `Serialize` of its guards. |
//! | `observed` | no | The module `observed`: locks that tell an observer who acquires them. The other locks are the same with it. |
//! | `defmt` | no | `Format` of all types that implement `Debug` and have a state to show. |
//!
//! One of `std`, `critical-section` and `single-threaded` is needed. [`guide::firmware`]
//! has a complete program for a chip.
//!
//! # Limitations
//!
//! * There is no poisoning, and no order among woken waiters.
//! * A task that holds the lock and waits for it again may wait for itself. To read twice, share the
//!   guard.
//! * A try barges: it may overtake a woken waiter any number of times.
//! * There is one counter of holders: shared holders on many cores contend for it, but for those of a
//!   [`ShardedRwLock`].
//!
//! [`guide::guarantees`] says what is not bounded.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The documentation shows which feature and which target an item needs, and no models.
#![cfg_attr(docsrs, doc(auto_cfg(hide(loom, shuttle))))]
// A link to an item that the features or the target leave out cannot resolve. docs.rs leaves out
// none.
#![cfg_attr(
    not(all(
        feature = "std",
        feature = "event-listener",
        feature = "observed",
        not(target_family = "wasm")
    )),
    allow(rustdoc::broken_intra_doc_links)
)]
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
//   observed                       all of these with an observer

#[cfg(any(feature = "alloc", test))]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

#[cfg(not(any(feature = "std", feature = "critical-section", feature = "single-threaded")))]
compile_error!(
    "multilock needs to know how to guard its wake-ups: enable the feature `std`, or `critical-section`, \
     or, for a program without threads and interrupts, `single-threaded`"
);

#[cfg(not(any(target_has_atomic = "ptr", feature = "portable-atomic")))]
compile_error!(
    "multilock needs compare-and-swap, which this chip does not have: enable the feature `portable-atomic`, and \
     choose a back-end of that crate in the application, such as its feature `critical-section`"
);

#[macro_use]
mod text;

#[cfg(doctest)]
mod compile_fail_tests;
mod error;
// A package in `tests/guide` has the executors that the examples of pages need, and tests them.
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
#[cfg(feature = "observed")]
pub mod observed;
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
pub use rwlock::sharded::{ShardedRwLock, ShardedRwLockWriteGuard};
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
