//! The traits of `lock_api`, and functions that wait asynchronously for its guards.

use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use ::lock_api::{
    GuardSend, RawRwLock, RawRwLockDowngrade, RawRwLockFair, RawRwLockTimed, RawRwLockUpgrade,
    RawRwLockUpgradeDowngrade, RawRwLockUpgradeFair, RawRwLockUpgradeTimed, RwLock,
    RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
};
use futures_core::FusedFuture;

use crate::lock::MultiLock;
use crate::mode::Mode::{self, Exclusive, Shared, Upgradable};
use crate::raw::RawUpgrade;
use crate::raw::acquire::RawAcquire;
use crate::sync::block::block_on;
use crate::sync::future::Fused;
use crate::sync::unwind::{caught, discard};

impl MultiLock {
    /// Makes an upgradable acquisition exclusive, blocking the thread until `deadline` at the
    /// latest. Returns whether that was in time. If not, the acquisition stays upgradable.
    fn finish_upgrade(&self, deadline: Option<Instant>) -> bool {
        self.raw.try_upgrade(Upgradable).is_ok()
            || deadline.is_none_or(|deadline| Instant::now() < deadline)
                && block_on(RawUpgrade::new(&self.raw, Upgradable), deadline) == Some(true)
    }

    /// Releases the lock, held in `mode`, if there is a waiter, and blocks the thread to acquire it
    /// again.
    fn bump(&self, mode: Mode) {
        let word = self.snapshot();
        if word.is_upgrading() || Mode::ALL.into_iter().any(|mode| word.is_awaited(mode)) {
            self.release_fair_quietly(mode);
            let Err(panic) = caught(|| self.raw.acquire_blocking(mode)) else { return };
            // An allocation has failed. A guard of `lock_api` is still alive, so the lock must be
            // held.
            while !self.raw.try_acquire(mode) {
                thread::yield_now();
            }
            resume_unwind(panic);
        }
    }

    fn release_quietly(&self, mode: Mode) {
        discard_panic(|| self.raw.release(mode));
    }

    fn release_fair_quietly(&self, mode: Mode) {
        discard_panic(|| self.raw.release_fair(mode));
    }

    fn downgrade_quietly(&self, from: Mode, to: Mode) {
        discard_panic(|| self.raw.downgrade(from, to));
    }
}

/// Runs a release or a downgrade, and discards the panic of a waker.
///
/// A guard of `lock_api` changes only after `run` has returned. If `run` unwound, the guard would
/// outlive its acquisition.
fn discard_panic(run: impl FnOnce()) {
    if let Err(panic) = caught(run) {
        discard(panic);
    }
}

/// Implements the traits of `lock_api` 0.4, with the feature `lock_api`.
///
/// `lock_api::RwLock<MultiLock, T>` is a lock with data for threads and for tasks. Threads block in
/// its methods. Tasks await [`lock_api_read`], [`lock_api_upgradable_read`], [`lock_api_write`] and
/// [`lock_api_upgrade`]. Threads and tasks wait in one queue.
///
/// `is_locked` and `is_locked_exclusive` do not acquire the lock. Guards are `Send` if the data
/// permits it. See [`guide::migrating_from_parking_lot`](crate::guide::migrating_from_parking_lot)
/// for what differs from the locks of `parking_lot`.
///
/// # Limitations
///
/// * If a waker panics while a guard releases or downgrades the lock, the panic is discarded,
///   because a guard of `lock_api` cannot unwind there.
/// * `RawRwLockRecursive` is not implemented. A reader that reads once more could not enter while
///   an upgradable reader upgrades, because the upgrade waits for readers to leave.
///
/// # Examples
///
/// ```
/// use multilock::{MultiLock, lock_api_write};
///
/// static LOCK: lock_api::RwLock<MultiLock, u32> = lock_api::RwLock::new(1);
///
/// # futures_lite::future::block_on(async {
/// *lock_api_write(&LOCK).await += 1;
/// std::thread::spawn(|| assert_eq!(*LOCK.read(), 2)).join().unwrap();
/// # });
/// ```
// SAFETY: there is no other holder beside an exclusive one. A guard may be sent to another thread,
// because the lock does not depend on which task or thread holds it.
unsafe impl RawRwLock for MultiLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait asks for it")]
    const INIT: Self = Self::new();

    type GuardMarker = GuardSend;

    #[inline]
    fn lock_shared(&self) {
        self.raw.acquire_blocking(Shared);
    }

    #[inline]
    fn try_lock_shared(&self) -> bool {
        self.raw.try_acquire(Shared)
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        self.release_quietly(Shared);
    }

    #[inline]
    fn lock_exclusive(&self) {
        self.raw.acquire_blocking(Exclusive);
    }

    #[inline]
    fn try_lock_exclusive(&self) -> bool {
        self.raw.try_acquire(Exclusive)
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        self.release_quietly(Exclusive);
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.locked().is_some()
    }

    #[inline]
    fn is_locked_exclusive(&self) -> bool {
        self.locked() == Some(Exclusive)
    }
}

// SAFETY: the downgrade is one step. Before it no other holder enters, and after it only holders
// that may be beside a shared one.
unsafe impl RawRwLockDowngrade for MultiLock {
    unsafe fn downgrade(&self) {
        self.downgrade_quietly(Exclusive, Shared);
    }
}

// SAFETY: there is one upgradable holder at a time, beside shared holders only. The upgradable
// holder becomes exclusive when all shared holders have left, and no other holder enters in
// between.
unsafe impl RawRwLockUpgrade for MultiLock {
    #[inline]
    fn lock_upgradable(&self) {
        self.raw.acquire_blocking(Upgradable);
    }

    #[inline]
    fn try_lock_upgradable(&self) -> bool {
        self.raw.try_acquire(Upgradable)
    }

    #[inline]
    unsafe fn unlock_upgradable(&self) {
        self.release_quietly(Upgradable);
    }

    unsafe fn upgrade(&self) {
        let done = self.finish_upgrade(None);
        assert!(done, "the upgrade of an upgradable guard is not refused");
    }

    unsafe fn try_upgrade(&self) -> bool {
        self.raw.try_upgrade(Upgradable).is_ok()
    }
}

// SAFETY: as for `RawRwLockDowngrade`: each downgrade is one step.
unsafe impl RawRwLockUpgradeDowngrade for MultiLock {
    unsafe fn downgrade_upgradable(&self) {
        self.downgrade_quietly(Upgradable, Shared);
    }

    unsafe fn downgrade_to_upgradable(&self) {
        self.downgrade_quietly(Exclusive, Upgradable);
    }
}

// SAFETY: as for `RawRwLock`. A caller that is too late does not hold the lock.
unsafe impl RawRwLockTimed for MultiLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_shared_for(&self, timeout: Duration) -> bool {
        self.raw.acquire_blocking_timeout(Shared, timeout)
    }

    fn try_lock_shared_until(&self, deadline: Instant) -> bool {
        self.raw.acquire_blocking_deadline(Shared, deadline)
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> bool {
        self.raw.acquire_blocking_timeout(Exclusive, timeout)
    }

    fn try_lock_exclusive_until(&self, deadline: Instant) -> bool {
        self.raw.acquire_blocking_deadline(Exclusive, deadline)
    }
}

// SAFETY: as for `RawRwLockUpgrade`. A caller that is too late does not hold the lock. An upgrade
// that is too late leaves the acquisition as it was.
unsafe impl RawRwLockUpgradeTimed for MultiLock {
    fn try_lock_upgradable_for(&self, timeout: Duration) -> bool {
        self.raw.acquire_blocking_timeout(Upgradable, timeout)
    }

    fn try_lock_upgradable_until(&self, deadline: Instant) -> bool {
        self.raw.acquire_blocking_deadline(Upgradable, deadline)
    }

    unsafe fn try_upgrade_for(&self, timeout: Duration) -> bool {
        // A timeout that is too long for the clock is no limit.
        self.finish_upgrade(Instant::now().checked_add(timeout))
    }

    unsafe fn try_upgrade_until(&self, deadline: Instant) -> bool {
        self.finish_upgrade(Some(deadline))
    }
}

/// Implements fair unlocking: a handoff to threads.
///
/// A fair unlock hands the lock to the blocked threads whose turn it is: when the unlock returns,
/// these threads hold the lock. A task is never handed the lock, because it may not be polled. If
/// it is the turn of tasks only, the unlock wakes them and leaves the lock free.
///
/// The lock is free for some instructions before the handoff. If a `try_` method or a newcomer
/// acquires the lock in that moment, the thread stays queued. The next release at which it is the
/// thread's turn, fair or not, hands the lock to it.
///
/// A bump releases the lock fairly and acquires it again. It does nothing if there is no waiter. If
/// it is the turn of a task, the bump wakes the task, but may acquire the lock again before the
/// task is polled.
// SAFETY: as for `RawRwLock`: an acquisition ends before the next begins.
unsafe impl RawRwLockFair for MultiLock {
    unsafe fn unlock_shared_fair(&self) {
        self.release_fair_quietly(Shared);
    }

    unsafe fn unlock_exclusive_fair(&self) {
        self.release_fair_quietly(Exclusive);
    }

    unsafe fn bump_shared(&self) {
        self.bump(Shared);
    }

    unsafe fn bump_exclusive(&self) {
        self.bump(Exclusive);
    }
}

// SAFETY: as for `RawRwLockFair`.
unsafe impl RawRwLockUpgradeFair for MultiLock {
    unsafe fn unlock_upgradable_fair(&self) {
        self.release_fair_quietly(Upgradable);
    }

    unsafe fn bump_upgradable(&self) {
        self.bump(Upgradable);
    }
}

/// Returns the raw lock in `lock`. The callers acquire the raw lock, and create guards of their
/// acquisitions.
fn raw<T: ?Sized>(lock: &RwLock<MultiLock, T>) -> &MultiLock {
    // SAFETY: the guards release the lock, and nothing here does.
    unsafe { lock.raw() }
}

/// Defines a function that waits for a guard asynchronously.
macro_rules! acquire_function {
    ($function:ident, $mode:ident, $access:literal, $Guard:ident, $make:ident, $example:literal) => {
        #[doc = concat!("Acquires ", $access, " access to the data of a lock of `lock_api`, waiting asynchronously until it is available.")]
        ///
        /// Threads that block in a method of the lock wait in the same queue.
        /// [`MultiLock`](MultiLock#fairness) documents for which holders an acquisition waits, and
        /// the order of waiters.
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point. It then does not hold the lock, and has lost its
        /// place in the queue. If it had been woken, its drop passes the wake-up on to the next
        /// waiter.
        ///
        /// # Deadlocks
        ///
        /// The wait may never end if the task already has a guard of the same lock. This is so even
        /// if both guards are for reading, because a writer may be queued between them.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use multilock::{MultiLock, ", stringify!($function), "};")]
        ///
        /// static LOCK: lock_api::RwLock<MultiLock, u32> = lock_api::RwLock::new(1);
        ///
        /// # futures_lite::future::block_on(async {
        #[doc = $example]
        /// assert_eq!(*guard, 1);
        /// # });
        /// ```
        pub fn $function<T: ?Sized>(
            lock: &RwLock<MultiLock, T>,
        ) -> impl FusedFuture<Output = $Guard<'_, MultiLock, T>> {
            Fused::<_, &RwLock<MultiLock, T>>::new(async move {
                RawAcquire::new(raw(lock), $mode).await;
                // SAFETY: the lock has been acquired in the mode of the guard, and the guard takes
                // the acquisition over.
                unsafe { lock.$make() }
            })
        }
    };
}

acquire_function! {
    lock_api_read, Shared, "read", RwLockReadGuard, make_read_guard_unchecked,
    "let guard = lock_api_read(&LOCK).await;"
}
acquire_function! {
    lock_api_write, Exclusive, "write", RwLockWriteGuard, make_write_guard_unchecked,
    "let guard = lock_api_write(&LOCK).await;"
}
acquire_function! {
    lock_api_upgradable_read, Upgradable, "upgradable read", RwLockUpgradableReadGuard,
    make_upgradable_guard_unchecked, "let guard = lock_api_upgradable_read(&LOCK).await;"
}

/// Upgrades an upgradable guard of `lock_api` to a write guard, waiting asynchronously until the
/// other readers have left.
///
/// From the first poll on, no other task or thread acquires the lock, in any mode. So the data does
/// not change in between.
///
/// # Cancel safety
///
/// The future may be dropped at any point. It owns the guard, so its drop before it is ready drops
/// the guard, which releases the lock, and wakes the waiters that waited because of the upgrade or
/// the guard.
///
/// # Deadlocks
///
/// The wait never ends if the task keeps another read guard of the same lock meanwhile: the upgrade
/// waits for that guard.
///
/// # Examples
///
/// ```
/// use multilock::{MultiLock, lock_api_upgradable_read, lock_api_upgrade};
///
/// # futures_lite::future::block_on(async {
/// let lock = lock_api::RwLock::<MultiLock, _>::new(1);
/// let guard = lock_api_upgradable_read(&lock).await;
/// // Read beside other readers.
/// assert_eq!(*guard, 1);
/// let mut guard = lock_api_upgrade(guard).await;
/// *guard += 1;
/// drop(guard);
/// assert_eq!(lock.into_inner(), 2);
/// # });
/// ```
pub fn lock_api_upgrade<'a, T: ?Sized>(
    guard: RwLockUpgradableReadGuard<'a, MultiLock, T>,
) -> impl FusedFuture<Output = RwLockWriteGuard<'a, MultiLock, T>> {
    Fused::<_, &RwLock<MultiLock, T>>::new(async move {
        let lock = RwLockUpgradableReadGuard::rwlock(&guard);
        // If the future is dropped here, or a waker panics, the upgrade leaves the acquisition as
        // it was. Then the guard is dropped.
        let done = RawUpgrade::new(&raw(lock).raw, Upgradable).await;
        assert!(done, "the upgrade of an upgradable guard is not refused");
        core::mem::forget(guard);
        // SAFETY: the acquisition of the guard has not ended, and is exclusive.
        unsafe { lock.make_write_guard_unchecked() }
    })
}
