//! [`RwLock`], the reader-writer lock with data.
//!
//! The [`MultiLock`] in it decides which waiter acquires the lock. This module decides what a guard
//! may do with the data.

/// Expands to the documentation of when a method that does not wait returns `None`.
macro_rules! fails_if {
    (Shared) => {
        "Returns `None` in these cases:\n\n\
        * A writer holds the lock, or a reader is upgrading.\n\
        * The lock is held, and a writer is queued.\n\
        * The lock is at its [limit](crate::MultiLock#limits) of readers."
    };
    (Upgradable) => {
        "Returns `None` in these cases:\n\n\
        * A writer or another upgradable reader holds the lock, or a reader is upgrading.\n\
        * The lock is held, and a writer is queued.\n\
        * The lock is at its [limit](crate::MultiLock#limits) of readers."
    };
    (Exclusive) => {
        "Returns `None` if there is any holder: a reader, an upgradable reader or a writer."
    };
}

/// Expands to the documentation of which holders and waiters an acquisition waits for.
macro_rules! waits_while {
    (Shared) => {
        "A reader waits while a writer holds the lock or a reader is upgrading. A new reader also \
        waits while the lock is held and a writer is queued. \
        [`MultiLock`](crate::MultiLock#fairness) documents the order of waiters."
    };
    (Upgradable) => {
        "An upgradable reader waits while a writer or another upgradable reader holds the lock, or \
        a reader is upgrading. A new upgradable reader also waits while the lock is held and a \
        writer is queued. [`MultiLock`](crate::MultiLock#fairness) documents the order of waiters."
    };
    (Exclusive) => {
        "A writer waits while there is any holder: a reader, an upgradable reader or a writer. \
        While the lock is held and the writer is queued, new readers wait. \
        [`MultiLock`](crate::MultiLock#fairness) documents the order of waiters."
    };
}

/// Expands to the documentation of how a task or thread waits for itself.
macro_rules! deadlocks {
    (Shared, $caller:literal) => {
        concat!(
            "The wait may never end if the ", $caller, " already holds the same lock. This is so \
            even if it only reads, because a writer may be queued between the two reads. To read \
            once more, use `share` of the guard, which does not wait."
        )
    };
    ($mode:ident, $caller:literal) => {
        concat!(
            "The wait may never end if the ", $caller, " already holds the same lock. To write \
            after reading, upgrade an upgradable guard."
        )
    };
}

#[cfg(feature = "observed")]
pub(crate) use {deadlocks, fails_if, waits_while};

// The first module, so that its methods are the first in the documentation.
mod access;
pub(crate) mod condition;
#[macro_use]
mod guards;
#[macro_use]
mod convert;
#[macro_use]
pub(crate) mod futures;
#[macro_use]
pub(crate) mod requests;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub(crate) mod owned;
pub(crate) mod sharded;
#[cfg(test)]
#[cfg(all(feature = "alloc", not(any(loom, shuttle))))]
mod tests;

use core::cell::UnsafeCell;
use core::fmt;

use crate::lock::MultiLock;

pub use condition::Changes;
pub use guards::{
    MappedRwLockWriteGuard, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockUpgradedGuard,
    RwLockWriteGuard,
};

/// An async reader-writer lock: a [`MultiLock`] with the data that it protects.
///
/// Many readers may read the data at a time, or one writer may write. An upgradable reader reads
/// beside other readers, and can become the writer with no other writer in between.
///
/// Readers hold the [`MultiLock`] in shared mode, upgradable readers in upgradable mode, and
/// writers in exclusive mode. The lock is write-preferring, and bounds how often a waiter is
/// overtaken: [`MultiLock`](MultiLock#fairness) documents the order of waiters, memory ordering,
/// wakers and limits. To lock without data, use [`MultiLock`] itself.
///
/// This type replaces the `RwLock` of `async-lock`: it has all names and signatures of that type.
/// The guide lists what differs from [async-lock](crate::guide::migrating_from_async_lock), from
/// [tokio](crate::guide::migrating_from_tokio), and from [`parking_lot` and
/// std](crate::guide::migrating_from_parking_lot).
///
/// # Without guards
///
/// A guard may be kept across an `.await`. If the task is canceled there, the guard is dropped, and
/// other tasks see the data as it is at that moment: perhaps half changed. While the task is not
/// polled, its guard keeps others out. [`with`](Self::with) and [`with_mut`](Self::with_mut) have
/// neither problem, because they give access to a closure that is not async. Use them for all
/// sections without an `.await`, and guards for the others: to hold the lock across an `.await`, to
/// upgrade or downgrade, or to return a guard. See [`guide::choosing`](crate::guide::choosing) for
/// the other choices.
///
/// For a team that forbids guards across an `.await`, Clippy finds them with the lint
/// `await_holding_invalid_type`, which warns by default. It finds a guard in a variable, and not
/// one in an `Option` or a struct. It needs these lines in `clippy.toml`:
///
/// ```toml
#[doc = include_str!("await_holding.toml")]
/// ```
///
/// # Cancel safety
///
/// All futures of this type can be dropped at any point. They do nothing before they are polled. A
/// waiting future that is dropped leaves the queue. If it had been woken, its drop wakes the next
/// waiter in its stead. See [`guide::cancellation`](crate::guide::cancellation).
///
/// # Deadlocks
///
/// A task that holds the lock and waits for it again may wait for itself. This can happen even if
/// the task only reads, because a writer may be queued between the two reads.
/// [`RwLockReadGuard::share`] and [`RwLockUpgradableReadGuard::share`] do not wait. The module
/// [`hangs`](crate::guide::hangs) says how to find such causes in a program that hangs.
///
/// # Leaks
///
/// A guard that is forgotten (`mem::forget`) leaves the lock held forever, and harms nothing else.
/// So does an upgrade that is forgotten while it waits. A waiting acquisition that is forgotten
/// stays a waiter that is not polled: see [`MultiLock`](MultiLock#cancel-safety).
///
/// # Poisoning
///
/// The lock does not poison. A guard that is dropped by a panic releases the lock, and the data
/// stays as the panic left it. So the lock is not [`RefUnwindSafe`](core::panic::RefUnwindSafe).
///
/// # Examples
///
/// ```
/// use multilock::RwLock;
///
/// # futures_lite::future::block_on(async {
/// let lock = RwLock::new(5);
///
/// // Many readers may read at a time.
/// let (first, second) = (lock.read().await, lock.read().await);
/// assert_eq!(*first + *second, 10);
/// drop((first, second));
///
/// // One writer may write.
/// *lock.write().await += 1;
/// assert_eq!(lock.into_inner(), 6);
/// # });
/// ```
#[derive(Default)]
pub struct RwLock<T: ?Sized> {
    lock: MultiLock,
    data: UnsafeCell<T>,
}

// SAFETY: the lock gives shared references to several threads at once, for which `T` is `Sync`. It
// gives exclusive references to one thread after the other, for which `T` is `Send`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> From<T> for RwLock<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

/// Shows the holders and the waiters of the lock.
///
/// Formatting does not acquire the lock, so it does not show the data. To show the data, acquire a
/// guard and format the guard.
impl<T: ?Sized> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("state", &self.lock.snapshot()).finish_non_exhaustive()
    }
}
