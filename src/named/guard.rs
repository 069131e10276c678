//! The guard of an acquisition by a handle.

use core::fmt;
use core::future::poll_fn;
use core::mem::ManuallyDrop;
use core::pin::pin;

use crate::error::UpgradeError;
use crate::lock::cancel::first;
use crate::lock::guard::Guard;
use crate::mode::Mode;
use crate::named::HandleLock;
use crate::named::registry::{HandleReservation, HandleState, SlotRef};
use crate::raw::RawUpgrade;
use crate::raw::state::Hold;

/// A guard of a [`HandleLock`]: it holds the lock by a handle until it is dropped.
///
/// The guard may be kept across `.await`. It may be moved to other threads, and shared with them,
/// if the handle may be moved there.
///
/// A guard that is dropped by a panic releases the lock: there is no poisoning.
///
/// A guard that is forgotten (`mem::forget`) leaves the lock held and its handle in use forever. If
/// the future of its upgrade is forgotten while it waits, the guard is upgradable from then on, and
/// the lock is held forever, even after the guard is dropped. Neither harms another holder.
///
/// # Examples
///
/// ```
/// use multilock::{HandleGuard, HandleLock, Mode};
///
/// fn print(guard: &HandleGuard<'_, &str>) {
///     println!("{} holds the lock in {:?}", guard.handle(), guard.mode());
/// }
///
/// let lock = HandleLock::new();
/// print(&lock.try_context(Mode::Shared, "reader").unwrap());
/// assert!(lock.holders().is_empty());
/// ```
#[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
#[clippy::has_significant_drop]
pub struct HandleGuard<'a, H> {
    lock: &'a HandleLock<H>,
    slot: SlotRef<'a, H>,
    hold: Hold,
}

impl<'a, H> HandleGuard<'a, H> {
    /// Makes the guard of `lock`, which the caller has acquired in `mode`.
    pub(super) fn new(
        lock: &'a HandleLock<H>,
        reservation: HandleReservation<'a, H>,
        mode: Mode,
    ) -> Self {
        Self { lock, slot: reservation.confirm(HandleState::Guarded(mode)), hold: Hold::new(mode) }
    }

    /// Returns the mode that the lock is held in.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// let guard = lock.try_context(Mode::Shared, "reader").unwrap();
    /// assert_eq!(guard.mode(), Mode::Shared);
    /// ```
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.hold.mode()
    }

    /// Returns the lock that is held.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// let guard = lock.try_context(Mode::Shared, "reader").unwrap();
    /// assert_eq!(guard.lock().holders(), [("reader", Mode::Shared)]);
    /// ```
    #[must_use]
    pub fn lock(&self) -> &HandleLock<H> {
        self.lock
    }

    /// Returns a clone of the handle, made inside a critical section.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// let guard = lock.try_context(Mode::Shared, "reader").unwrap();
    /// assert_eq!(guard.handle(), "reader");
    /// ```
    #[must_use]
    pub fn handle(&self) -> H
    where
        H: Clone,
    {
        self.slot.handle()
    }

    /// Downgrades the guard to the weaker mode `to`, or to the same mode. Never waits.
    ///
    /// The change is one step: no other task holds the lock exclusively in between. The downgrade
    /// immediately wakes the waiters that may now acquire the lock. The handle stays in use.
    ///
    /// # Panics
    ///
    /// Panics if `to` is stronger than the mode of the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// let mut guard = lock.try_context(Mode::Exclusive, 1).unwrap();
    /// guard.downgrade(Mode::Shared);
    /// assert_eq!(lock.holders(), [(1, Mode::Shared)]);
    /// ```
    #[track_caller]
    pub fn downgrade(&mut self, to: Mode) {
        let mut guard = self.as_guard();
        // The registry changes first, so that it shows no holder in a stronger mode than the lock
        // does. If `to` is stronger, the registry keeps the mode, and the guard panics.
        self.set_mode(to.min(self.mode()));
        guard.downgrade(to);
    }

    /// Upgrades the guard to exclusive mode if there is no other holder. Never waits.
    ///
    /// An exclusive guard stays as it is. A shared or upgradable guard becomes exclusive, and no
    /// other holder has the lock in between. Waiters do not make the method fail.
    ///
    /// # Errors
    ///
    /// Returns [`UpgradeError::SharedHolders`] if there are other holders, and
    /// [`UpgradeError::Conflict`] if one of them is upgradable or is upgrading. The guard then keeps
    /// its mode.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode, UpgradeError};
    ///
    /// let lock = HandleLock::new();
    /// let mut guard = lock.try_context(Mode::Upgradable, "writer").unwrap();
    /// lock.try_acquire(Mode::Shared, "reader").unwrap();
    /// assert_eq!(guard.try_upgrade(), Err(UpgradeError::SharedHolders));
    /// lock.release("reader");
    /// assert_eq!(guard.try_upgrade(), Ok(()));
    /// ```
    pub fn try_upgrade(&mut self) -> Result<(), UpgradeError> {
        self.as_guard().try_upgrade()?;
        self.set_mode(Mode::Exclusive);
        Ok(())
    }

    /// Upgrades the guard to exclusive mode, waiting asynchronously until the other holders have
    /// left.
    ///
    /// An exclusive guard stays as it is. From the first poll of the future on, no newcomer
    /// acquires the lock, in any mode. So the upgrade waits only for holders that hold the lock at
    /// its first poll. While it waits, [`holders`](HandleLock::holders) shows the guard as
    /// upgradable.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point. The guard then keeps the mode that it had, and the
    /// waiters that waited because of the upgrade are woken.
    ///
    /// # Deadlocks
    ///
    /// The wait never ends if the task holds the same lock once more in shared mode, by whatever
    /// handle.
    ///
    /// # Errors
    ///
    /// Returns [`UpgradeError::Conflict`] at the first poll if the guard is shared, and another
    /// holder is upgradable or is upgrading: the two would wait for each other. The guard then keeps
    /// its mode.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// let mut guard = lock.context(Mode::Upgradable, "writer").await.unwrap();
    /// guard.upgrade().await.unwrap();
    /// assert_eq!(lock.holders(), [("writer", Mode::Exclusive)]);
    /// # });
    /// ```
    pub async fn upgrade(&mut self) -> Result<(), UpgradeError> {
        let from = self.mode();
        if from != Mode::Exclusive {
            let lock = self.lock;
            let mut upgrading = pin!(RawUpgrade::new(&lock.lock.raw, from));
            // Dropped before the upgrade: the registry shows no stronger mode than the lock does.
            let mut ends_as = SetModeOnDrop { guard: self, mode: from };
            let upgraded = poll_fn(|cx| {
                let poll = upgrading.as_mut().poll(cx);
                if poll.is_pending() {
                    // While the upgrade waits, the lock shows an upgradable holder. The guard says
                    // so now, in case the future is forgotten: a release in shared mode would then
                    // end the acquisition of another holder.
                    ends_as.guard.set_mode(Mode::Upgradable);
                }
                poll
            });
            if !upgraded.await {
                return Err(UpgradeError::Conflict);
            }
            ends_as.mode = Mode::Exclusive;
        }
        Ok(())
    }

    /// Upgrades the guard to exclusive mode, unless `cancel` is ready first.
    ///
    /// The outer `Result` says which of the two was ready. The inner one is that of
    /// [`upgrade`](Self::upgrade).
    ///
    /// With a timer as `cancel`, this is an upgrade with a time limit, on any runtime:
    /// [`MultiLock::acquire_or`](crate::MultiLock::acquire_or) shows the timers of some. Each poll
    /// tries to upgrade first, and polls `cancel` only if other holders are left. When `cancel` is
    /// ready, the future tries once more, like [`try_upgrade`](Self::try_upgrade). So if both are
    /// ready, the guard is upgraded.
    ///
    /// An exclusive guard stays as it is. From the first poll of the future on, no newcomer
    /// acquires the lock, in any mode, until `cancel` is ready. So the upgrade waits only for
    /// holders that hold the lock at its first poll. While it waits,
    /// [`holders`](HandleLock::holders) shows the guard as upgradable.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point, and `cancel` is dropped with it. The guard then keeps
    /// the mode that it had, and the waiters that waited because of the upgrade are woken.
    ///
    /// # Deadlocks
    ///
    /// If the task holds the same lock once more in shared mode, by whatever handle, the wait ends
    /// only when `cancel` is ready.
    ///
    /// # Errors
    ///
    /// Returns the output of `cancel` in the outer `Result`. The guard then has the mode that it
    /// had, and the waiters that waited because of the upgrade are woken.
    ///
    /// Returns [`UpgradeError::Conflict`] in the inner `Result`, at the first poll, if the guard is
    /// shared, and another holder is upgradable or is upgrading. The guard then keeps its mode.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// let mut guard = lock.context(Mode::Upgradable, "writer").await.unwrap();
    /// let timer = async {};
    /// match guard.upgrade_or(timer).await {
    ///     Ok(Ok(())) => assert_eq!(guard.mode(), Mode::Exclusive),
    ///     Ok(Err(conflict)) => println!("{conflict}"),
    ///     Err(()) => println!("too late"),
    /// }
    /// # });
    /// ```
    pub async fn upgrade_or<C: Future>(
        &mut self,
        cancel: C,
    ) -> Result<Result<(), UpgradeError>, C::Output> {
        let upgraded = first(self.upgrade(), cancel).await;
        upgraded.or_else(|output| self.try_upgrade().map(Ok).map_err(|_| output))
    }

    /// Returns the acquisition as a `Guard`, which can change its mode or release it.
    fn as_guard(&self) -> ManuallyDrop<Guard<'a>> {
        ManuallyDrop::new(Guard::new(&self.lock.lock, self.mode()))
    }

    fn set_mode(&mut self, mode: Mode) {
        if mode != self.mode() {
            self.hold = Hold::new(mode);
            self.slot.set_state(HandleState::Guarded(mode));
        }
    }
}

/// Sets the mode of a guard when its upgrade ends: refused, canceled or done.
struct SetModeOnDrop<'g, 'a, H> {
    guard: &'g mut HandleGuard<'a, H>,
    mode: Mode,
}

impl<H> Drop for SetModeOnDrop<'_, '_, H> {
    fn drop(&mut self) {
        self.guard.set_mode(self.mode);
    }
}

impl<H> Drop for HandleGuard<'_, H> {
    fn drop(&mut self) {
        // The handle is removed before the lock is free, and dropped after, as in
        // `HandleLock::release`.
        let mut released = None;
        self.slot.remove_into(&mut released);
        drop(ManuallyDrop::into_inner(self.as_guard()));
    }
}

impl<H> fmt::Debug for HandleGuard<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleGuard").field("mode", &self.mode()).finish_non_exhaustive()
    }
}
