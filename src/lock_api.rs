//! The traits of `lock_api`, and the futures that it has no place for.

use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use ::lock_api::{
    GuardSend, RawRwLock, RawRwLockDowngrade, RawRwLockFair, RawRwLockTimed, RawRwLockUpgrade,
    RawRwLockUpgradeDowngrade, RawRwLockUpgradeFair, RawRwLockUpgradeTimed, RwLock,
    RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
};
use futures_core::FusedFuture;

use crate::acquire::Acquire;
use crate::block::block_on;
use crate::fused::Fused;
use crate::mode::Mode::{self, Exclusive, Shared, Upgradable};
use crate::multilock::MultiLock;
use crate::queue::{caught, discard};
use crate::raw::RawUpgrade;

impl MultiLock {
    fn enter(&self, mode: Mode) {
        self.acquire_blocking(mode).into_lock();
    }

    fn enter_for(&self, mode: Mode, timeout: Duration) -> bool {
        self.acquire_timeout(mode, timeout).map(|guard| guard.into_lock()).is_some()
    }

    fn enter_until(&self, mode: Mode, deadline: Instant) -> bool {
        self.acquire_deadline(mode, deadline).map(|guard| guard.into_lock()).is_some()
    }

    /// Makes an upgradable hold exclusive. Says whether that was in time: if not, it is as it was.
    fn finish_upgrade(&self, deadline: Option<Instant>) -> bool {
        self.raw.try_upgrade(Upgradable).is_ok()
            || deadline.is_none_or(|deadline| Instant::now() < deadline)
                && block_on(RawUpgrade::new(&self.raw, Upgradable), deadline) == Some(true)
    }

    /// Lets others have a hold in `mode`, and waits to have it again.
    fn bump(&self, mode: Mode) {
        let word = self.snapshot();
        if word.is_upgrading() || Mode::ALL.into_iter().any(|mode| word.is_awaited(mode)) {
            self.end_fairly(mode);
            let Err(panic) = caught(|| self.enter(mode)) else { return };
            // An allocation has failed. There is a guard of `lock_api`, for which the lock must be held.
            while !self.raw.try_acquire(mode) {
                thread::yield_now();
            }
            resume_unwind(panic);
        }
    }

    fn end(&self, mode: Mode) {
        quietly(|| self.raw.release(mode));
    }

    fn end_fairly(&self, mode: Mode) {
        quietly(|| self.raw.release_fair(mode));
    }

    fn weaken(&self, from: Mode, to: Mode) {
        quietly(|| self.raw.downgrade(from, to));
    }
}

/// Runs what ends a hold or makes it a weaker one, and discards the panic of a waker. Until that has returned a guard of
/// `lock_api` is as it was: if it unwound, there would be a guard for a hold that has ended.
fn quietly(run: impl FnOnce()) {
    if let Err(panic) = caught(run) {
        discard(panic);
    }
}

/// With the feature `lock_api`. `lock_api::RwLock<MultiLock, T>`, of version 0.4, is a lock with data for threads, which
/// block in its methods, and for tasks, which await [`lock_api_read`],
/// [`lock_api_upgradable_read`], [`lock_api_write`] and
/// [`lock_api_upgrade`]. They wait in one queue.
///
/// To look whether it is locked does not take the lock. Guards are `Send` if the data permit it. Where a guard ends, or
/// becomes a weaker one, the panic of a waker is discarded: `lock_api` is not made for one.
///
/// There is no `RawRwLockRecursive`: who reads already, and wants to read once more, could not be let in while an
/// upgradable reader upgrades, as that one waits for readers to leave.
///
/// # Examples
///
/// ```
/// use multilock::{MultiLock, lock_api_write};
///
/// static LOCK: lock_api::RwLock<MultiLock, u32> = lock_api::RwLock::new(1);
///
/// # smol::block_on(async {
/// *lock_api_write(&LOCK).await += 1;
/// std::thread::spawn(|| assert_eq!(*LOCK.read(), 2)).join().unwrap();
/// # });
/// ```
// SAFETY: by promise of the lock nobody is beside an exclusive holder, and a guard may go to another thread: who holds
// it, or in which thread, the lock does not know.
unsafe impl RawRwLock for MultiLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait asks for it")]
    const INIT: Self = Self::new();

    type GuardMarker = GuardSend;

    #[inline]
    fn lock_shared(&self) {
        self.enter(Shared);
    }

    #[inline]
    fn try_lock_shared(&self) -> bool {
        self.raw.try_acquire(Shared)
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        self.end(Shared);
    }

    #[inline]
    fn lock_exclusive(&self) {
        self.enter(Exclusive);
    }

    #[inline]
    fn try_lock_exclusive(&self) -> bool {
        self.raw.try_acquire(Exclusive)
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        self.end(Exclusive);
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

// SAFETY: what was an exclusive hold, others may be beside from that step on, and none before.
unsafe impl RawRwLockDowngrade for MultiLock {
    unsafe fn downgrade(&self) {
        self.weaken(Exclusive, Shared);
    }
}

// SAFETY: there is one upgradable holder at a time, beside shared ones only. It is exclusive when all those have left,
// and nobody enters in between.
unsafe impl RawRwLockUpgrade for MultiLock {
    #[inline]
    fn lock_upgradable(&self) {
        self.enter(Upgradable);
    }

    #[inline]
    fn try_lock_upgradable(&self) -> bool {
        self.raw.try_acquire(Upgradable)
    }

    #[inline]
    unsafe fn unlock_upgradable(&self) {
        self.end(Upgradable);
    }

    unsafe fn upgrade(&self) {
        let done = self.finish_upgrade(None);
        assert!(done, "an upgradable hold is not refused an upgrade");
    }

    unsafe fn try_upgrade(&self) -> bool {
        self.raw.try_upgrade(Upgradable).is_ok()
    }
}

// SAFETY: as for `RawRwLockDowngrade`: each is one step.
unsafe impl RawRwLockUpgradeDowngrade for MultiLock {
    unsafe fn downgrade_upgradable(&self) {
        self.weaken(Upgradable, Shared);
    }

    unsafe fn downgrade_to_upgradable(&self) {
        self.weaken(Exclusive, Upgradable);
    }
}

// SAFETY: as for `RawRwLock`. Who comes too late has no hold.
unsafe impl RawRwLockTimed for MultiLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_shared_for(&self, timeout: Duration) -> bool {
        self.enter_for(Shared, timeout)
    }

    fn try_lock_shared_until(&self, deadline: Instant) -> bool {
        self.enter_until(Shared, deadline)
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> bool {
        self.enter_for(Exclusive, timeout)
    }

    fn try_lock_exclusive_until(&self, deadline: Instant) -> bool {
        self.enter_until(Exclusive, deadline)
    }
}

// SAFETY: as for `RawRwLockUpgrade`. Who comes too late has no hold, and who upgrades too late has the one that it had.
unsafe impl RawRwLockUpgradeTimed for MultiLock {
    fn try_lock_upgradable_for(&self, timeout: Duration) -> bool {
        self.enter_for(Upgradable, timeout)
    }

    fn try_lock_upgradable_until(&self, deadline: Instant) -> bool {
        self.enter_until(Upgradable, deadline)
    }

    unsafe fn try_upgrade_for(&self, timeout: Duration) -> bool {
        // Too long for the clock is no limit.
        self.finish_upgrade(Instant::now().checked_add(timeout))
    }

    unsafe fn try_upgrade_until(&self, deadline: Instant) -> bool {
        self.finish_upgrade(Some(deadline))
    }
}

/// A fair unlock hands the lock to the threads that block in a method of it and whose turn it is: when it returns they hold
/// it. A task is woken as always, as it may not run: if it is its turn, and that of no thread, nobody is handed anything.
///
/// The lock is free for some instructions in between. If somebody is quicker who tries, or who comes new, the thread is
/// handed the lock when its turn comes next, by whoever releases it then, fairly or not.
///
/// A bump does nothing if nobody waits. If it is the turn of a task, that is woken, and may come too late.
// SAFETY: as for `RawRwLock`: a hold ends before the next begins.
unsafe impl RawRwLockFair for MultiLock {
    unsafe fn unlock_shared_fair(&self) {
        self.end_fairly(Shared);
    }

    unsafe fn unlock_exclusive_fair(&self) {
        self.end_fairly(Exclusive);
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
        self.end_fairly(Upgradable);
    }

    unsafe fn bump_upgradable(&self) {
        self.bump(Upgradable);
    }
}

/// The lock of `lock`: to acquire it, and to make guards of what was acquired.
fn raw<T: ?Sized>(lock: &RwLock<MultiLock, T>) -> &MultiLock {
    // SAFETY: it is not released here, but by the guards.
    unsafe { lock.raw() }
}

/// A function that waits for a guard.
macro_rules! waits {
    ($function:ident, $mode:ident, $access:literal, $Guard:ident, $make:ident, $example:literal) => {
        #[doc = concat!("Waits for ", $access, " access to the data of a lock of `lock_api`, as a task.")]
        ///
        /// Threads that block in a method of the lock wait in the same queue. Who waits for whom is said at
        /// [`MultiLock`](MultiLock#fairness).
        ///
        /// # Cancel safety
        ///
        /// As [`MultiLock::acquire`].
        ///
        /// # Deadlocks
        ///
        /// If the task has a guard of the same lock already.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use multilock::{MultiLock, ", stringify!($function), "};")]
        ///
        /// static LOCK: lock_api::RwLock<MultiLock, u32> = lock_api::RwLock::new(1);
        ///
        /// # smol::block_on(async {
        #[doc = $example]
        /// assert_eq!(*guard, 1);
        /// # });
        /// ```
        pub fn $function<T: ?Sized>(
            lock: &RwLock<MultiLock, T>,
        ) -> impl FusedFuture<Output = $Guard<'_, MultiLock, T>> {
            Fused::<_, &RwLock<MultiLock, T>>::new(async move {
                Acquire::new(raw(lock), $mode).await.into_lock();
                // SAFETY: it has been acquired in the mode of the guard, whose the hold is now.
                unsafe { lock.$make() }
            })
        }
    };
}

waits! {
    lock_api_read, Shared, "read", RwLockReadGuard, make_read_guard_unchecked,
    "let guard = lock_api_read(&LOCK).await;"
}
waits! {
    lock_api_write, Exclusive, "write", RwLockWriteGuard, make_write_guard_unchecked,
    "let guard = lock_api_write(&LOCK).await;"
}
waits! {
    lock_api_upgradable_read, Upgradable, "upgradable read", RwLockUpgradableReadGuard,
    make_upgradable_guard_unchecked, "let guard = lock_api_upgradable_read(&LOCK).await;"
}

/// Makes an upgradable guard of `lock_api` one that writes, once the readers that are there now have left.
///
/// From the first poll on nobody new enters, in any mode: the data do not change in between.
///
/// # Cancel safety
///
/// The guard is part of the future. Dropped before it is ready, the future drops the guard, and with it the hold; who
/// waited because of either is woken.
///
/// # Deadlocks
///
/// If the task has another guard of the same lock, that reads.
///
/// # Examples
///
/// ```
/// use multilock::{MultiLock, lock_api_upgradable_read, lock_api_upgrade};
///
/// # smol::block_on(async {
/// let lock = lock_api::RwLock::<MultiLock, _>::new(1);
/// let guard = lock_api_upgradable_read(&lock).await;
/// // Look, with others beside.
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
        // Dropped here, or if a waker panics, it leaves the hold as it was, and then the guard is dropped.
        let done = RawUpgrade::new(&raw(lock).raw, Upgradable).await;
        assert!(done, "an upgradable hold is not refused an upgrade");
        core::mem::forget(guard);
        // SAFETY: the hold of the guard, which has not ended, is exclusive.
        unsafe { lock.make_write_guard_unchecked() }
    })
}
