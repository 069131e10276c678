//! RAII guards: each stands for an acquisition, and releases the lock when it is dropped.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr;

use crate::error::UpgradeError;
use crate::lock::MultiLock;
use crate::lock::cancel::first;
use crate::lock::handle::Handle;
use crate::mode::Mode;
use crate::raw::RawUpgrade;
use crate::raw::state::Hold;

/// An acquisition of the lock behind `L`, which is released on drop.
pub(super) struct Acquisition<L: Deref<Target = MultiLock>> {
    pub(super) lock: L,
    pub(super) hold: Hold,
}

impl<L: Deref<Target = MultiLock>> Acquisition<L> {
    #[inline]
    pub(super) fn new(lock: L, mode: Mode) -> Self {
        Self { lock, hold: Hold::new(mode) }
    }

    #[track_caller]
    pub(super) fn downgrade(&mut self, to: Mode) {
        let from = self.hold.mode();
        assert!(from.includes(to), "cannot downgrade from {from:?} to {to:?}");
        if to != from {
            self.hold = Hold::new(to);
            self.lock.raw.downgrade(from, to);
        }
    }

    pub(super) fn try_upgrade(&mut self) -> Result<(), UpgradeError> {
        let from = self.hold.mode();
        if from != Mode::Exclusive {
            if let Err(word) = self.lock.raw.try_upgrade(from) {
                return Err(if from == Mode::Upgradable || word.has_no_owner() {
                    UpgradeError::SharedHolders
                } else {
                    UpgradeError::Conflict
                });
            }
            self.hold = Hold::new(Mode::Exclusive);
        }
        Ok(())
    }

    pub(super) async fn upgrade(&mut self) -> Result<(), UpgradeError> {
        let from = self.hold.mode();
        if from != Mode::Exclusive {
            // While the upgrade waits, the word shows an upgradable holder. The mode says so from
            // now on, in case the future is leaked.
            self.hold = Hold::new(Mode::Upgradable);
            let mut ends_as = SetModeOnDrop { current: &mut self.hold, mode: from };
            if !RawUpgrade::new(&self.lock.raw, from).await {
                return Err(UpgradeError::Conflict);
            }
            ends_as.mode = Mode::Exclusive;
        }
        Ok(())
    }

    pub(super) async fn upgrade_or<C: Future>(
        &mut self,
        cancel: C,
    ) -> Result<Result<(), UpgradeError>, C::Output> {
        let upgraded = first(self.upgrade(), cancel).await;
        upgraded.or_else(|output| self.try_upgrade().map(Ok).map_err(|_| output))
    }

    pub(super) fn share(&self) -> Option<Self>
    where
        L: Clone,
    {
        let shared = self.hold.mode() != Mode::Exclusive && self.lock.raw.share();
        shared.then(|| Self::new(self.lock.clone(), Mode::Shared))
    }

    #[track_caller]
    pub(super) fn into_handle(self) -> Handle {
        let handle = Handle::new(self.lock.id.get(), self.hold.mode(), ());
        let this = ManuallyDrop::new(self);
        // SAFETY: The pointer comes from a reference. `this` is neither used nor dropped after the
        // read, so the value that is read is the only one.
        drop(unsafe { ptr::read(&this.lock) });
        handle
    }
}

/// Sets the mode of an acquisition when its upgrade succeeds, fails or is dropped.
struct SetModeOnDrop<'a> {
    current: &'a mut Hold,
    mode: Mode,
}

impl Drop for SetModeOnDrop<'_> {
    fn drop(&mut self) {
        *self.current = Hold::new(self.mode);
    }
}

impl<L: Deref<Target = MultiLock>> Drop for Acquisition<L> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.release_hold(self.hold);
    }
}

/// Expands to the first lines of an example, in which `guard` has acquired `lock`.
macro_rules! guard_example {
    ($mode:literal, "" $(, $mut:literal)?) => {
        concat!(
            "use multilock::{Mode, MultiLock};\n\nlet lock = MultiLock::new();\nlet ", $($mut,)?
            "guard = lock.try_acquire(Mode::", $mode, ").unwrap();"
        )
    };
    ($mode:literal, "_arc" $(, $mut:literal)?) => {
        concat!(
            "use multilock::{Mode, MultiLock};\nuse std::sync::Arc;\n\n",
            "let lock = Arc::new(MultiLock::new());\nlet ", $($mut,)?
            "guard = lock.try_acquire_arc(Mode::", $mode, ").unwrap();"
        )
    };
}

/// Defines a guard that borrows or owns its lock.
macro_rules! multilock_guard {
    (
        $(#[$meta:meta])*
        $Guard:ident $(<$lt:lifetime>)?, $Elided:ty, $Lock:ty, $arc:tt
    ) => {
        $(#[$meta])*
        #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        #[clippy::has_significant_drop]
        pub struct $Guard $(<$lt>)? (Acquisition<$Lock>);

        impl $(<$lt>)? $Guard $(<$lt>)? {
            /// Makes the guard of `lock`, which the caller has acquired in `mode`.
            #[inline]
            pub(crate) fn new(lock: $Lock, mode: Mode) -> Self {
                Self(Acquisition::new(lock, mode))
            }

            /// Returns the mode that the lock is held in.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = guard_example!("Exclusive", $arc)]
            /// assert_eq!(guard.mode(), Mode::Exclusive);
            /// ```
            #[must_use]
            pub fn mode(&self) -> Mode {
                self.0.hold.mode()
            }

            /// Returns the lock that is held.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = guard_example!("Exclusive", $arc)]
            /// assert_eq!(guard.lock().locked(), Some(Mode::Exclusive));
            /// ```
            #[must_use]
            pub fn lock(&self) -> &MultiLock {
                &self.0.lock
            }

            /// Downgrades the guard to the weaker mode `to`, or keeps the mode if `to` is the same.
            /// Never waits.
            ///
            /// The change is one step: no other task holds the lock exclusively in between. The
            /// downgrade immediately wakes the waiters that may now acquire the lock.
            ///
            /// The downgrade of an exclusive guard wakes all shared waiters, even if an exclusive
            /// waiter is queued. If the guard becomes shared, the downgrade also wakes the first
            /// upgradable waiter, unless an exclusive waiter is queued, whose
            /// [turn](crate::MultiLock#fairness) it is. Newcomers that arrive later wait as long as the lock is
            /// held and that exclusive waiter is queued.
            ///
            /// # Panics
            ///
            /// Panics if `to` is stronger than the mode of the guard.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = guard_example!("Exclusive", $arc, "mut ")]
            /// guard.downgrade(Mode::Shared);
            /// assert!(lock.try_acquire(Mode::Shared).is_some());
            /// ```
            #[track_caller]
            pub fn downgrade(&mut self, to: Mode) {
                self.0.downgrade(to);
            }

            /// Upgrades the guard to exclusive mode if there is no other holder. Never waits.
            ///
            /// An exclusive guard stays as it is. A shared or upgradable guard becomes exclusive,
            /// and no other holder has the lock in between. Waiters do not make the method fail.
            ///
            /// # Errors
            ///
            /// Returns [`UpgradeError::SharedHolders`] if there are other holders, and
            /// [`UpgradeError::Conflict`] if one of them is upgradable or is upgrading. The guard then
            /// keeps its mode.
            ///
            /// # Examples
            ///
            /// ```
            /// use multilock::UpgradeError;
            #[doc = guard_example!("Upgradable", $arc, "mut ")]
            /// let other = lock.try_acquire(Mode::Shared).unwrap();
            /// assert_eq!(guard.try_upgrade(), Err(UpgradeError::SharedHolders));
            /// drop(other);
            /// assert_eq!(guard.try_upgrade(), Ok(()));
            /// assert_eq!(guard.mode(), Mode::Exclusive);
            /// ```
            pub fn try_upgrade(&mut self) -> Result<(), UpgradeError> {
                self.0.try_upgrade()
            }

            /// Upgrades the guard to exclusive mode, waiting asynchronously until the other shared
            /// holders have left.
            ///
            /// An exclusive guard stays as it is. A shared guard can be upgraded, too, unless
            /// another holder is upgradable. From the first poll of the future on, no other task
            /// acquires the lock, in any mode. So no other holder is exclusive between the old mode
            /// and the new one, and the upgrade waits only for holders that hold the lock at its
            /// first poll.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point. If it has waited, its drop leaves the guard
            /// in its old mode, and wakes the waiters that waited because of the upgrade.
            ///
            /// # Deadlocks
            ///
            /// The wait never ends if the task keeps another shared guard of the same lock
            /// meanwhile: the upgrade waits for that guard.
            ///
            /// # Errors
            ///
            /// Returns [`UpgradeError::Conflict`] at the first poll, if the guard is shared and
            /// another holder is upgradable or is upgrading: the two would wait for each other. The
            /// guard then keeps its mode.
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = guard_example!("Upgradable", $arc, "mut ")]
            /// // Look at the data, beside shared holders.
            /// guard.upgrade().await.unwrap();
            /// // Change the data: it is still what it was.
            /// guard.downgrade(Mode::Shared);
            /// # });
            /// ```
            pub async fn upgrade(&mut self) -> Result<(), UpgradeError> {
                self.0.upgrade().await
            }

            /// Upgrades the guard to exclusive mode, unless `cancel` is ready first.
            ///
            /// The outer `Result` says which of the two was ready. The inner one is that of
            /// [`upgrade`](Self::upgrade).
            ///
            /// With a timer as `cancel`, this is an upgrade with a time limit, on any runtime:
            /// [`MultiLock::acquire_or`](MultiLock::acquire_or) shows the timers of some.
            /// Each poll tries to upgrade first, and polls `cancel` only if other holders are left.
            /// When `cancel` is ready, the future tries once more, like
            /// [`try_upgrade`](Self::try_upgrade). So if both are ready, the guard is upgraded.
            ///
            /// An exclusive guard stays as it is. A shared guard can be upgraded, too, unless
            /// another holder is upgradable. From the first poll of the future on, no other task
            /// acquires the lock, in any mode, until `cancel` is ready. So no other holder is
            /// exclusive between the old mode and the new one, and the upgrade waits only for
            /// holders that hold the lock at its first poll.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point, and `cancel` is dropped with it. If it has
            /// waited, its drop leaves the guard in its old mode, and wakes the waiters that waited
            /// because of the upgrade.
            ///
            /// # Deadlocks
            ///
            /// If the task keeps another shared guard of the same lock meanwhile, the wait ends
            /// only when `cancel` is ready.
            ///
            /// # Errors
            ///
            /// Returns the output of `cancel` in the outer `Result`. The guard is then in its old
            /// mode, and the waiters that waited because of the upgrade are woken.
            ///
            /// Returns [`UpgradeError::Conflict`] in the inner `Result`, at the first poll, if the
            /// guard is shared and another holder is upgradable or upgrades. The guard then keeps
            /// its mode.
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = guard_example!("Upgradable", $arc, "mut ")]
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
                self.0.upgrade_or(cancel).await
            }

            /// Acquires the lock once more, in shared mode, and returns a second guard. Never
            /// waits.
            ///
            /// The method succeeds even if an exclusive waiter is queued, because the lock is
            /// shared already. So a function that a holder calls can acquire the lock without a
            /// deadlock. It returns `None` in these cases:
            ///
            /// * The guard is exclusive.
            /// * A holder is upgrading. An upgrade waits only for the holders that held the lock when
            ///   it began.
            /// * The lock is at its limit of holders.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = guard_example!("Shared", $arc)]
            /// let more = guard.share().unwrap();
            /// drop(guard);
            /// assert_eq!(more.mode(), Mode::Shared);
            /// ```
            #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
            pub fn share(&self) -> Option<Self> {
                self.0.share().map(Self)
            }

            /// Detaches the guard into a handle, which does not release the lock when it is dropped.
            ///
            /// A [`GuardArc`](crate::GuardArc) is usually what is wanted: it is `'static`, too, and
            /// its drop releases the lock. Use a handle where no guard can be kept.
            ///
            /// The lock stays held until the handle is passed to [`MultiLock::release`], or until
            /// the guard that [`MultiLock::adopt`] returns for it is dropped. A handle that is
            /// dropped leaves the lock held forever.
            ///
            /// # Panics
            ///
            /// Panics if `usize::MAX` locks have had handles before this one.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = guard_example!("Shared", $arc)]
            /// let handle = guard.into_handle();
            /// assert_eq!(lock.locked(), Some(Mode::Shared));
            /// lock.release(handle).unwrap();
            /// assert_eq!(lock.locked(), None);
            /// ```
            #[track_caller]
            pub fn into_handle(self) -> Handle {
                self.0.into_handle()
            }
        }

        impl fmt::Debug for $Elided {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Guard)).field("mode", &self.mode()).finish_non_exhaustive()
            }
        }
    };
}

multilock_guard! {
    /// An RAII guard of a [`MultiLock`]: it releases the lock when it is dropped.
    ///
    /// A guard may be kept across `.await`, and may be moved to other threads and shared with them.
    /// [`GuardArc`](crate::GuardArc) is the guard that owns its lock.
    ///
    /// A guard that is forgotten (`mem::forget`) leaves the lock held forever, and harms nothing
    /// else. So does the future of an upgrade that is forgotten while it waits. A guard that is
    /// dropped by a panic releases the lock: there is no poisoning.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Guard, Mode, MultiLock};
    ///
    /// fn work(_proof: &Guard<'_>) {
    ///     println!("the lock is held");
    /// }
    ///
    /// let lock = MultiLock::new();
    /// if let Some(guard) = lock.try_acquire(Mode::Exclusive) {
    ///     work(&guard);
    /// }
    /// ```
    Guard<'a>, Guard<'_>, &'a MultiLock, ""
}
