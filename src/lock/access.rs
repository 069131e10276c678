//! The methods that most users need. The module is the first one, so they are the first in the documentation.

use futures_core::FusedFuture;

use crate::error::ReleaseError;
use crate::lock::cancel::acquire_or;
use crate::lock::guard::Guard;
use crate::lock::handle::{Handle, LockId};
use crate::lock::monitor::{Monitor, Watcher};
use crate::lock::{AcquireFuture, MultiLock};
use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::edges::Edge;
use crate::raw::state::Snapshot;
use crate::sync::const_fn;
use crate::sync::future::Fused;

impl MultiLock {
    const_fn! {
        /// Creates a lock without holders.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::MultiLock;
        ///
        /// static LOCK: MultiLock = MultiLock::new();
        /// assert_eq!(LOCK.locked(), None);
        /// ```
        #[must_use]
        pub fn new() -> Self {
            Self { raw: RawLock::new(), id: LockId::new() }
        }
    }

    /// Returns the strongest mode that the lock is held in, or `None` if the lock is free.
    ///
    /// The result may be out of date by the time the caller looks at it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let guard = lock.try_acquire(Mode::Shared);
    /// assert_eq!(lock.locked(), Some(Mode::Shared));
    /// drop(guard);
    /// assert_eq!(lock.locked(), None);
    /// ```
    #[must_use]
    pub fn locked(&self) -> Option<Mode> {
        self.snapshot().mode()
    }

    /// Returns a snapshot of the lock: its holders and its waiters, all at one moment.
    ///
    /// The snapshot may be out of date by the time the caller looks at it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let guards = [Mode::Upgradable, Mode::Shared].map(|mode| lock.try_acquire(mode));
    /// let snapshot = lock.snapshot();
    /// assert_eq!(snapshot.mode(), Some(Mode::Upgradable));
    /// assert_eq!(snapshot.shared_holders(), 1);
    /// assert!(!snapshot.is_awaited(Mode::Exclusive) && !snapshot.is_upgrading());
    /// drop(guards);
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.raw.snapshot()
    }

    /// Acquires the lock in `mode` if that is possible now. Never waits.
    ///
    /// The method has no spurious failures: it fails only because of a holder or a waiter. It
    /// returns `None` in these cases:
    ///
    /// * A holder excludes `mode`, or is upgrading.
    /// * `mode` is not exclusive, the lock is held, and an exclusive waiter is queued.
    /// * The lock is at its limit of holders.
    ///
    /// A reservation does not make the method fail.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let shared = lock.try_acquire(Mode::Shared).unwrap();
    /// assert!(lock.try_acquire(Mode::Exclusive).is_none());
    /// drop(shared);
    /// assert!(lock.try_acquire(Mode::Exclusive).is_some());
    /// ```
    #[inline]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn try_acquire(&self, mode: Mode) -> Option<Guard<'_>> {
        self.raw.try_acquire(mode).then(|| Guard::new(self, mode))
    }

    /// Acquires the lock in `mode`, waiting asynchronously until it is available.
    ///
    #[doc = text!(waits)]
    ///
    /// With `std`, the first poll may spin, for up to 340 pauses of the processor (some 10 us), before
    /// the waiter is queued. It spins mostly where that has recently paid off: where tasks of several
    /// threads hold the lock for a moment.
    ///
    /// # Cancel safety
    ///
    #[doc = text!(cancel_safety)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(deadlocks)]
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let guard = lock.acquire(Mode::Exclusive).await;
    /// assert_eq!(lock.locked(), Some(Mode::Exclusive));
    /// drop(guard);
    /// # });
    /// ```
    #[inline]
    pub fn acquire(&self, mode: Mode) -> impl FusedFuture<Output = Guard<'_>> + Send + Sync {
        AcquireFuture::new(self, mode)
    }

    /// Acquires the lock in `mode`, unless `cancel` is ready first.
    ///
    #[doc = text!(waits)]
    ///
    /// Each poll tries to acquire the lock first, and polls `cancel` only if that fails. When
    /// `cancel` is ready, the future tries once more, like [`try_acquire`](Self::try_acquire). So if
    /// both are ready, the lock is acquired.
    ///
    /// With a timer as `cancel`, this is an acquisition with a time limit, on any runtime. Other
    /// methods whose names end in `_or` take the same timers:
    ///
    /// | runtime | `cancel` |
    /// |---|---|
    /// | tokio | `tokio::time::sleep(limit)` |
    /// | smol | `smol::Timer::after(limit)` |
    /// | any, with `async-io` | `async_io::Timer::after(limit)` |
    /// | async-std | `async_std::task::sleep(limit)` |
    /// | embassy | `embassy_time::Timer::after(limit)` |
    ///
    /// The time limits of the runtimes, such as `tokio::time::timeout(limit, lock.acquire(mode))`,
    /// are as safe. They drop the acquisition when the time is over, without a last try.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point, and `cancel` is dropped with it. It then does not
    /// hold the lock, and has lost its place in the queue. If it had been woken, its drop passes
    /// the wake-up on to the next waiter.
    ///
    /// # Deadlocks
    ///
    #[doc = text!(deadlocks_or)]
    ///
    /// # Errors
    ///
    /// Returns the output of `cancel`. The acquisition has then lost its place in the queue, and
    /// does not hold the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{Mode, MultiLock};
    /// use std::future::{pending, ready};
    ///
    /// let lock = MultiLock::new();
    /// let shared = lock.acquire_or(Mode::Shared, pending::<()>()).await.unwrap();
    /// // In a program, `cancel` may be a timer, or the signal to shut down.
    /// let late = lock.acquire_or(Mode::Exclusive, ready("too late")).await;
    /// assert_eq!(late.unwrap_err(), "too late");
    /// drop(shared);
    /// # });
    /// ```
    pub fn acquire_or<C: Future>(
        &self,
        mode: Mode,
        cancel: C,
    ) -> impl FusedFuture<Output = Result<Guard<'_>, C::Output>> {
        acquire_or(self.acquire(mode), cancel, move || self.try_acquire(mode))
    }

    /// Waits until `mode` can be acquired, without acquiring the lock.
    ///
    /// The future does not hold the lock and has no place among the waiters, so no task waits
    /// because of it. Its result is a hint: when it is ready, the lock could be acquired, now or a
    /// moment ago, and another task may have acquired it since.
    ///
    /// To be notified more than once, create a monitor with [`monitor`](Self::monitor).
    ///
    /// # Cancel safety
    ///
    #[doc = text!(wait_cancel_safety)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(wait_deadlocks)]
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let guard = loop {
    ///     lock.wait(Mode::Exclusive).await;
    ///     if let Some(guard) = lock.try_acquire(Mode::Exclusive) {
    ///         break guard;
    ///     }
    /// };
    /// assert_eq!(guard.mode(), Mode::Exclusive);
    /// # });
    /// ```
    ///
    /// In a race with another future, which may be a timer:
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{Mode, MultiLock};
    /// use futures_lite::future::or;
    ///
    /// let lock = MultiLock::new();
    /// let guard = lock.try_acquire(Mode::Exclusive);
    /// let is_free = async {
    ///     lock.wait(Mode::Shared).await;
    ///     true
    /// };
    /// let stop = async { false };
    /// assert!(!or(is_free, stop).await);
    /// drop(guard);
    /// # });
    /// ```
    pub fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync {
        Fused::<_>::new(async move {
            if !self.snapshot().admits(mode) {
                Watcher::new(self, Edge::Acquirable(mode)).wait().await;
            }
        })
    }

    /// Creates a monitor that reports when `mode` can be acquired.
    ///
    /// The monitor is set at once if `mode` can be acquired now, and again each time `mode` becomes
    /// acquirable: see [`Monitor`].
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// /// Prints each moment at which the lock can be shared.
    /// async fn watch(lock: &MultiLock) {
    ///     let monitor = lock.monitor(Mode::Shared);
    ///     loop {
    ///         monitor.wait().await;
    ///         println!("shared can be acquired");
    ///         monitor.clear();
    ///     }
    /// }
    /// ```
    pub fn monitor(&self, mode: Mode) -> Monitor<'_> {
        Monitor::new(self, mode)
    }

    /// Releases the acquisition that `handle` stands for.
    ///
    /// # Errors
    ///
    #[doc = text!(adopt_errors)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let (lock, other) = (MultiLock::new(), MultiLock::new());
    /// let handle = lock.try_acquire(Mode::Exclusive).unwrap().into_handle();
    ///
    /// let handle = other.release(handle).unwrap_err().into_handle();
    /// assert_eq!(lock.locked(), Some(Mode::Exclusive));
    ///
    /// lock.release(handle).unwrap();
    /// assert_eq!(lock.locked(), None);
    /// ```
    pub fn release(&self, handle: Handle) -> Result<(), ReleaseError> {
        self.adopt(handle).map(drop)
    }

    /// Turns `handle` back into a guard.
    ///
    /// The guard has the mode of the handle. The lock stays held throughout.
    ///
    /// # Errors
    ///
    #[doc = text!(adopt_errors)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let handle = lock.try_acquire(Mode::Exclusive).unwrap().into_handle();
    /// let mut guard = lock.adopt(handle).unwrap();
    /// guard.downgrade(Mode::Shared);
    /// drop(guard);
    /// assert_eq!(lock.locked(), None);
    /// ```
    pub fn adopt(&self, handle: Handle) -> Result<Guard<'_>, ReleaseError> {
        self.parts_of(handle).map(|(mode, ())| Guard::new(self, mode))
    }

    /// Takes over the acquisition that `handle` stands for. Returns its mode and its record.
    pub(crate) fn parts_of<R>(&self, handle: Handle<R>) -> Result<(Mode, R), ReleaseError<R>> {
        if handle.is_of(&self.id) {
            Ok((handle.mode(), handle.into_record()))
        } else {
            Err(ReleaseError::new(handle))
        }
    }
}
