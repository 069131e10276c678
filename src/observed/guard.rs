//! The guards of the lock without data.

use core::fmt;

use crate::error::UpgradeError;
use crate::lock::guard::Guard as Plain;
use crate::lock::handle::Handle;
use crate::mode::Mode;
use crate::observed::told::{Event, Hold, Told, Upgrading};
use crate::observed::wait::{FromPlain, Observing};
use crate::observed::{MultiLock, Observer};

/// Expands to the first lines of an example, in which `guard` has acquired `lock`.
macro_rules! guard_example {
    ($mode:literal, "" $(, $mut:literal)?) => {
        concat!(
            "use multilock::Mode;\nuse multilock::observed::MultiLock;\n\nlet lock = MultiLock::<()>::new();\nlet ",
            $($mut,)? "guard = lock.try_acquire(Mode::", $mode, ").unwrap();"
        )
    };
    ($mode:literal, "_arc" $(, $mut:literal)?) => {
        concat!(
            "use multilock::Mode;\nuse multilock::observed::MultiLock;\nuse std::sync::Arc;\n\n",
            "let lock = Arc::new(MultiLock::<()>::new());\nlet ", $($mut,)?
            "guard = lock.try_acquire_arc(Mode::", $mode, ").unwrap();"
        )
    };
}

/// Defines the guard of an observed lock, which borrows or owns the lock.
macro_rules! observed_guard {
    (
        $(#[$meta:meta])*
        $Guard:ident [$($lt:lifetime)?] [$($elided:lifetime)?], $Plain:ty, $Lock:ty, $arc:tt
    ) => {
        $(#[$meta])*
        #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        #[clippy::has_significant_drop]
        pub struct $Guard<$($lt,)? O: Observer> {
            // The first field is dropped first: the observer is told when the lock has been released.
            pub(super) plain: $Plain,
            pub(super) hold: Hold<$Lock, <O as Observer>::Record>,
        }

        impl<$($lt,)? O: Observer> FromPlain<$Plain, Hold<$Lock>> for $Guard<$($lt,)? O> {
            #[inline]
            fn from_plain(plain: $Plain, hold: Hold<$Lock>) -> Self {
                let mut guard = Self { plain, hold };
                guard.hold.tell(Event::Acquired);
                guard
            }
        }

        impl<$($lt,)? O: Observer> $Guard<$($lt,)? O> {
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
                self.plain.mode()
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
            pub fn lock(&self) -> &MultiLock<O> {
                &self.hold.lock
            }

            /// Downgrades the guard to the weaker mode `to`, or keeps the mode if `to` is the same. Never waits.
            ///
            /// The change is one step, and immediately wakes the waiters that may now acquire the lock. The observer is
            /// told of a change after that.
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
                self.plain.downgrade(to);
                self.hold.change(to);
            }

            /// Upgrades the guard to exclusive mode if there is no other holder. Never waits.
            ///
            /// An exclusive guard stays as it is. Waiters do not make the method fail.
            ///
            /// # Errors
            ///
            /// Returns [`UpgradeError::SharedHolders`] if there are other holders, and [`UpgradeError::Conflict`] if one
            /// of them is upgradable or is upgrading. The guard then keeps its mode.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = guard_example!("Upgradable", $arc, "mut ")]
            /// guard.try_upgrade().unwrap();
            /// assert_eq!(guard.mode(), Mode::Exclusive);
            /// ```
            #[track_caller]
            pub fn try_upgrade(&mut self) -> Result<(), UpgradeError> {
                self.plain.try_upgrade()?;
                self.hold.change(Mode::Exclusive);
                Ok(())
            }

            /// Upgrades the guard to exclusive mode, waiting asynchronously until the other shared holders have left.
            ///
            /// An exclusive guard stays as it is. From the first poll of the future on, no other task acquires the lock,
            /// in any mode.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point. If it has waited, its drop leaves the guard in its old mode, and
            /// wakes the waiters that waited because of the upgrade.
            ///
            /// # Deadlocks
            ///
            /// The wait never ends if the task keeps another shared guard of the same lock meanwhile: the upgrade waits
            /// for that guard.
            ///
            /// # Errors
            ///
            /// Returns [`UpgradeError::Conflict`] at the first poll, if the guard is shared and another holder is
            /// upgradable or is upgrading. The guard then keeps its mode.
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = guard_example!("Upgradable", $arc, "mut ")]
            /// guard.upgrade().await.unwrap();
            /// assert_eq!(guard.mode(), Mode::Exclusive);
            /// # });
            /// ```
            #[track_caller]
            pub fn upgrade(&mut self) -> impl Future<Output = Result<(), UpgradeError>> {
                Observing::new(self.plain.upgrade(), Upgrading::new(&mut self.hold))
            }

            /// Upgrades the guard to exclusive mode, unless `cancel` is ready first.
            ///
            /// The outer `Result` says which of the two was ready. The inner one is that of [`upgrade`](Self::upgrade).
            /// Each poll tries to upgrade first, and polls `cancel` only if other holders are left. When `cancel` is
            /// ready, the future tries once more.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point, and `cancel` is dropped with it. If it has waited, its drop leaves
            /// the guard in its old mode, and wakes the waiters that waited because of the upgrade.
            ///
            /// # Deadlocks
            ///
            /// If the task keeps another shared guard of the same lock meanwhile, the wait ends only when `cancel` is
            /// ready.
            ///
            /// # Errors
            ///
            /// Returns the output of `cancel` in the outer `Result`, and [`UpgradeError::Conflict`] in the inner one as
            /// `upgrade` does. The guard is then in its old mode.
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = guard_example!("Upgradable", $arc, "mut ")]
            /// let reader = lock.try_acquire(Mode::Shared);
            /// assert!(guard.upgrade_or(async {}).await.is_err());
            /// drop(reader);
            /// # });
            /// ```
            #[track_caller]
            pub fn upgrade_or<C: Future>(
                &mut self,
                cancel: C,
            ) -> impl Future<Output = Result<Result<(), UpgradeError>, C::Output>> {
                Observing::new(self.plain.upgrade_or(cancel), Upgrading::new(&mut self.hold))
            }

            /// Acquires the lock once more, in shared mode, and returns a second guard. Never waits.
            ///
            /// Returns `None` if the guard is exclusive, if a holder is upgrading, or at the limit of holders. For the
            /// observer, the second guard is an acquisition of its own.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = guard_example!("Shared", $arc)]
            /// let more = guard.share().unwrap();
            /// drop(guard);
            /// assert_eq!(more.mode(), Mode::Shared);
            /// ```
            #[track_caller]
            #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
            pub fn share(&self) -> Option<Self> {
                let plain = self.plain.share()?;
                Some(Self::from_plain(plain, Hold::tried(self.hold.lock.clone(), Mode::Shared)))
            }

            /// Detaches the guard into a handle, which does not release the lock when it is dropped.
            ///
            /// The handle keeps what the observer was told. So the acquisition ends, and the observer is told so, when
            /// the handle is passed to [`MultiLock::release`], or when the guard that [`MultiLock::adopt`] returns for it
            /// is dropped.
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
            /// ```
            #[track_caller]
            pub fn into_handle(self) -> Handle<Told<O::Record>> {
                self.plain.into_handle().with_record(self.hold.detach())
            }
        }

        impl<O: Observer> fmt::Debug for $Guard<$($elided,)? O> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Guard)).field("mode", &self.mode()).finish_non_exhaustive()
            }
        }
    };
}

observed_guard! {
    /// The guard of an observed [`MultiLock`]: it releases the lock when it is dropped, and tells the observer.
    ///
    /// A guard may be kept across `.await`, and may be moved to other threads and shared with them. The observer is told
    /// after the release. A guard that is forgotten leaves the lock held forever, and for the observer, too.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::{Guard, MultiLock};
    ///
    /// fn work(_proof: &Guard<'_, ()>) {
    ///     println!("the lock is held");
    /// }
    ///
    /// let lock = MultiLock::new();
    /// if let Some(guard) = lock.try_acquire(Mode::Exclusive) {
    ///     work(&guard);
    /// }
    /// ```
    Guard ['a] ['_], Plain<'a>, &'a MultiLock<O>, ""
}
