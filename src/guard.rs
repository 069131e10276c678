//! Holds that end when they are dropped.

#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr;

use crate::error::UpgradeError;
use crate::handle::Handle;
use crate::mode::Mode;
use crate::multilock::MultiLock;
use crate::raw::RawUpgrade;

/// A hold of the lock behind `L`.
struct Hold<L: Deref<Target = MultiLock>> {
    lock: L,
    mode: Mode,
}

impl<L: Deref<Target = MultiLock>> Hold<L> {
    #[track_caller]
    fn downgrade(&mut self, to: Mode) {
        assert!(self.mode.includes(to), "cannot downgrade from {:?} to {to:?}", self.mode);
        if to != self.mode {
            let from = core::mem::replace(&mut self.mode, to);
            self.lock.raw.downgrade(from, to);
        }
    }

    fn try_upgrade(&mut self) -> Result<(), UpgradeError> {
        if self.mode != Mode::Exclusive {
            if let Err(word) = self.lock.raw.try_upgrade(self.mode) {
                return Err(if self.mode == Mode::Upgradable || word.has_no_owner() {
                    UpgradeError::SharedHolders
                } else {
                    UpgradeError::Conflict
                });
            }
            self.mode = Mode::Exclusive;
        }
        Ok(())
    }

    async fn upgrade(&mut self) -> Result<(), UpgradeError> {
        let from = self.mode;
        if from != Mode::Exclusive {
            // What the word says while it waits. If the future is forgotten the guard is left with that.
            self.mode = Mode::Upgradable;
            let mut ends_as = SetModeOnDrop { hold: &mut self.mode, mode: from };
            if !RawUpgrade::new(&self.lock.raw, from).await {
                return Err(UpgradeError::Conflict);
            }
            ends_as.mode = Mode::Exclusive;
        }
        Ok(())
    }

    fn share(&self) -> Option<Self>
    where
        L: Clone,
    {
        let shared = self.mode != Mode::Exclusive && self.lock.raw.share();
        shared.then(|| Self { lock: self.lock.clone(), mode: Mode::Shared })
    }

    #[track_caller]
    fn into_handle(self) -> Handle {
        let handle = Handle::new(self.lock.id.get(), self.mode);
        let this = ManuallyDrop::new(self);
        // SAFETY: it comes from a reference, and `this` is neither used nor dropped after: what is read is the only
        // one.
        drop(unsafe { ptr::read(&this.lock) });
        handle
    }
}

/// What a hold is when an upgrade has ended.
struct SetModeOnDrop<'a> {
    hold: &'a mut Mode,
    mode: Mode,
}

impl Drop for SetModeOnDrop<'_> {
    fn drop(&mut self) {
        *self.hold = self.mode;
    }
}

impl<L: Deref<Target = MultiLock>> Drop for Hold<L> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.release(self.mode);
    }
}

macro_rules! guard {
    (
        $(#[$meta:meta])*
        $Guard:ident $(<$lt:lifetime>)?, $Elided:ty, $Lock:ty
    ) => {
        $(#[$meta])*
        #[must_use = "the lock is released as soon as the guard is dropped"]
        #[clippy::has_significant_drop]
        pub struct $Guard $(<$lt>)? (Hold<$Lock>);

        impl $(<$lt>)? $Guard $(<$lt>)? {
            /// The caller has entered `lock` in `mode`.
            #[inline]
            pub(crate) fn new(lock: $Lock, mode: Mode) -> Self {
                Self(Hold { lock, mode })
            }

            /// The mode that the lock is held in.
            #[must_use]
            pub fn mode(&self) -> Mode {
                self.0.mode
            }

            /// The lock that is held.
            #[must_use]
            pub fn lock(&self) -> &MultiLock {
                &self.0.lock
            }

            /// Changes the hold to a weaker mode, or to the same. Never waits.
            ///
            /// It is one step: nobody is exclusive in between. Whoever may now enter is woken at once.
            /// After an exclusive hold these are all who wait in shared mode, also if somebody waits
            /// in exclusive mode; those who come later wait behind that one.
            ///
            /// # Panics
            ///
            /// If `to` is stronger than the mode of the guard.
            ///
            /// # Examples
            ///
            /// ```
            /// use multilock::{Mode, MultiLock};
            ///
            /// let lock = MultiLock::new();
            /// let mut guard = lock.try_acquire(Mode::Exclusive).unwrap();
            /// guard.downgrade(Mode::Shared);
            /// assert!(lock.try_acquire(Mode::Shared).is_some());
            /// ```
            #[track_caller]
            pub fn downgrade(&mut self, to: Mode) {
                self.0.downgrade(to);
            }

            /// Makes the hold exclusive if there is no other holder. An exclusive one stays as it is.
            ///
            /// # Errors
            ///
            /// [`UpgradeError::SharedHolders`] if there are other holders,
            /// [`UpgradeError::Conflict`] if one of them is upgradable. The hold is what it was.
            ///
            /// # Examples
            ///
            /// ```
            /// use multilock::{Mode, MultiLock, UpgradeError};
            ///
            /// let lock = MultiLock::new();
            /// let mut guard = lock.try_acquire(Mode::Upgradable).unwrap();
            /// let other = lock.try_acquire(Mode::Shared).unwrap();
            /// assert_eq!(guard.try_upgrade(), Err(UpgradeError::SharedHolders));
            /// drop(other);
            /// assert_eq!(guard.try_upgrade(), Ok(()));
            /// assert_eq!(guard.mode(), Mode::Exclusive);
            /// ```
            pub fn try_upgrade(&mut self) -> Result<(), UpgradeError> {
                self.0.try_upgrade()
            }

            /// Makes the hold exclusive, once the other shared holders have left. An exclusive one
            /// stays as it is.
            ///
            /// From its first poll on nobody new enters, in any mode. So nothing changes under the
            /// guard between its old mode and the new one, and it waits only for holders that are
            /// there now. A shared hold upgrades too, unless another holder is upgradable.
            ///
            /// # Cancel safety
            ///
            /// A future that is dropped leaves the hold as it was, and wakes those who waited because
            /// of the upgrade.
            ///
            /// # Deadlocks
            ///
            /// If a task waits for an upgrade while it has another shared hold of the same lock.
            ///
            /// # Errors
            ///
            /// [`UpgradeError::Conflict`] at the first poll, if the hold is shared and another one is
            /// upgradable or upgrades: they would wait for each other. The hold is what it was.
            ///
            /// # Examples
            ///
            /// ```
            /// # use multilock::{Mode, MultiLock, UpgradeError};
            /// # async fn example(lock: &MultiLock) -> Result<(), UpgradeError> {
            /// let mut guard = lock.acquire(Mode::Upgradable).await;
            /// // Look, with others beside.
            /// guard.upgrade().await?;
            /// // Change what was looked at: it is still the same.
            /// guard.downgrade(Mode::Shared);
            /// # Ok(())
            /// # }
            /// ```
            pub async fn upgrade(&mut self) -> Result<(), UpgradeError> {
                self.0.upgrade().await
            }

            /// One more shared hold, without waiting, even if somebody waits in exclusive mode: the
            /// lock is shared already.
            ///
            /// `None` if the guard is exclusive, if a holder upgrades (it waits only for those who
            /// were there when it began), or at the maximum of holders.
            ///
            /// # Examples
            ///
            /// ```
            /// use multilock::{Mode, MultiLock};
            ///
            /// let lock = MultiLock::new();
            /// let guard = lock.try_acquire(Mode::Shared).unwrap();
            /// let more = guard.share().unwrap();
            /// assert_eq!(lock.snapshot().shared_holders(), 2);
            /// # drop(more);
            /// ```
            #[must_use = "the lock is released as soon as the guard is dropped"]
            pub fn share(&self) -> Option<Self> {
                self.0.share().map(Self)
            }

            /// Detaches the hold from the guard. The lock stays held, until the handle is given to
            /// [`MultiLock::release`], or to [`MultiLock::adopt`] for a guard again.
            ///
            /// # Panics
            ///
            /// If `usize::MAX` locks have had handles before this one.
            ///
            /// # Examples
            ///
            /// ```
            /// use multilock::{Mode, MultiLock};
            ///
            /// let lock = MultiLock::new();
            /// let handle = lock.try_acquire(Mode::Shared).unwrap().into_handle();
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

guard! {
    /// A hold of a [`MultiLock`], until it is dropped.
    ///
    /// It may be kept across `.await`, and moved to and shared with other threads.
    ///
    /// A guard that is forgotten (`mem::forget`), or the future of its upgrade while it waits, leaves the lock
    /// held for ever, and harms nothing else. One that is dropped by a panic releases the lock: there is no poisoning.
    Guard<'a>, Guard<'_>, &'a MultiLock
}

impl<'a> Guard<'a> {
    /// The hold is the caller's.
    #[inline]
    pub(crate) fn into_lock(self) -> &'a MultiLock {
        ManuallyDrop::new(self).0.lock
    }

    /// The same hold, with a guard that keeps `lock`, which is the one that is held.
    #[cfg(target_has_atomic = "ptr")]
    pub(crate) fn keep(self, lock: &Arc<MultiLock>) -> GuardArc {
        let this = ManuallyDrop::new(self);
        GuardArc::new(lock.clone(), this.0.mode)
    }
}

#[cfg(target_has_atomic = "ptr")]
guard! {
    /// A hold of a [`MultiLock`] in an [`Arc`], until it is dropped. It is `'static`; else it is a
    /// [`Guard`].
    GuardArc, GuardArc, Arc<MultiLock>
}

/// A guard that is dropped as soon as it is there is warned of, also in an `Option`, and where the type of the lock is not
/// known; and so is a future that is not awaited. That these fail for this reason is shown by their twins below.
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// # let lock = MultiLock::new();
/// lock.try_acquire(Mode::Shared);
/// ```
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// # let lock = MultiLock::new();
/// lock.acquire(Mode::Shared);
/// ```
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// fn share(guard: &Guard<'_>) {
///     guard.share();
/// }
/// ```
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// fn enter(lock: &impl Lockable) {
///     lock.acquire_blocking(Mode::Shared);
/// }
/// ```
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// # let lock = RwLock::new(1);
/// lock.try_read();
/// ```
#[cfg(doctest)]
struct IsNotDropped;

#[cfg(doctest)]
impl IsNotDropped {
    /// ```
    /// # #![deny(unused_must_use)]
    /// # use multilock::*;
    /// # let lock = MultiLock::new();
    /// let _ = lock.try_acquire(Mode::Shared);
    /// let _ = lock.acquire(Mode::Shared);
    /// fn share(guard: &Guard<'_>) {
    ///     let _ = guard.share();
    /// }
    /// fn enter(lock: &impl Lockable) {
    ///     let _ = lock.acquire_blocking(Mode::Shared);
    /// }
    /// # let lock = RwLock::new(1);
    /// let _ = lock.try_read();
    /// ```
    fn twins() {}
}

/// Whatever acquires a lock, holds or watches it goes before the lock does.
///
/// ```compile_fail,E0597
/// use multilock::{Mode, MultiLock};
///
/// let guard = {
///     let lock = MultiLock::new();
///     lock.try_acquire(Mode::Shared)
/// };
/// drop(guard);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{Mode, MultiLock};
///
/// let lock = MultiLock::new();
/// let acquire = lock.acquire(Mode::Shared);
/// drop(lock);
/// drop(acquire);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{Mode, MultiLock};
///
/// let lock = MultiLock::new();
/// let monitor = lock.notify(Mode::Shared);
/// drop(lock);
/// drop(monitor);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{HandleLock, Mode};
///
/// let lock: HandleLock<u32> = HandleLock::new();
/// let guard = lock.try_context(Mode::Shared, 1);
/// drop(lock);
/// drop(guard);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{LockSet, Mode, MultiLock};
///
/// let set: LockSet<MultiLock> = [MultiLock::new()].into_iter().collect();
/// let guard = set.try_acquire(Mode::Shared);
/// drop(set);
/// drop(guard);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{Mode, MultiLock, try_acquire_all};
///
/// let lock = MultiLock::new();
/// let guard = try_acquire_all([(&lock, Mode::Shared)]);
/// drop(lock);
/// drop(guard);
/// ```
#[cfg(doctest)]
struct GoesBeforeTheLock;
