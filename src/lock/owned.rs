//! Guards, futures, monitors and requests that own their lock, in an [`Arc`], and so are `'static`.

use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use futures_core::stream::{FusedStream, Stream};

use crate::error::{ReleaseError, UpgradeError};
use crate::lock::MultiLock;
use crate::lock::boxed::MonitorInner;
use crate::lock::cancel::acquire_or;
use crate::lock::guard::Acquisition;
use crate::lock::handle::Handle;
use crate::mode::Mode;
use crate::raw::acquire::RawAcquire;
use crate::raw::edges::Edge;
use crate::sync::future::Fused;

multilock_guard! {
    /// An RAII guard of a [`MultiLock`] in an [`Arc`]: it releases the lock when it is dropped.
    ///
    /// The guard owns a clone of the `Arc`, so it is `'static`, and the lock lives at least as long
    /// as the guard. It may be kept across `.await`, and may be moved to other threads and shared
    /// with them. [`Guard`](crate::Guard) is the guard that borrows the lock.
    ///
    /// A guard that is forgotten (`mem::forget`) leaves the lock held forever, and harms nothing
    /// else. So does the future of an upgrade that is forgotten while it waits. A guard that is
    /// dropped by a panic releases the lock: there is no poisoning.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{GuardArc, Mode, MultiLock};
    /// use std::sync::Arc;
    ///
    /// /// Something that may happen only while the lock is held.
    /// struct Transaction {
    ///     guard: GuardArc,
    /// }
    ///
    /// let lock = Arc::new(MultiLock::new());
    /// let guard = lock.try_acquire_arc(Mode::Exclusive).unwrap();
    /// let transaction = Transaction { guard };
    /// assert!(lock.try_acquire(Mode::Shared).is_none());
    /// drop(transaction);
    /// assert!(lock.try_acquire(Mode::Shared).is_some());
    /// ```
    GuardArc, GuardArc, Arc<MultiLock>, "_arc"
}

multilock_monitor! {
    /// A monitor of a [`MultiLock`] in an [`Arc`]: it reports when a mode can be acquired.
    ///
    /// The monitor owns a clone of the `Arc`, so it is `'static`. It does not hold the lock, and
    /// has no place among the waiters. [`Monitor`](crate::Monitor) is the monitor that borrows the
    /// lock. Its documentation says when a monitor is set, and what the limitations and costs are.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MonitorArc, MultiLock};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::new());
    /// let guard = lock.try_acquire_arc(Mode::Exclusive);
    /// let monitor: MonitorArc = lock.monitor_arc(Mode::Shared);
    /// assert!(!monitor.is_set());
    /// drop(guard);
    /// assert!(monitor.is_set());
    /// ```
    #[doc(alias = "NotifyArc")]
    MonitorArc [] [] [], MonitorInner<'static, Arc<MultiLock>>, monitor_example!("_arc")
}

impl MonitorArc {
    pub(crate) fn new(lock: Arc<MultiLock>, mode: Mode) -> Self {
        Self(MonitorInner::new(lock, Edge::Acquirable(mode)), mode)
    }
}

impl MultiLock {
    /// Acquires the lock in `mode` if that is possible now. Returns a guard that is `'static`.
    /// Never waits.
    ///
    /// The guard owns a clone of the `Arc`.
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
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::new());
    /// let shared = lock.try_acquire_arc(Mode::Shared).unwrap();
    /// assert!(lock.try_acquire_arc(Mode::Exclusive).is_none());
    /// drop(shared);
    /// ```
    #[inline]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn try_acquire_arc(self: &Arc<Self>, mode: Mode) -> Option<GuardArc> {
        self.raw.try_acquire(mode).then(|| GuardArc::new(self.clone(), mode))
    }

    /// Acquires the lock in `mode`, waiting asynchronously until it is available. Returns a future
    /// and a guard that are `'static`.
    ///
    /// The future and the guard own a clone of the `Arc`.
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
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::new());
    /// let acquire = lock.acquire_arc(Mode::Shared);
    /// drop(lock);
    /// assert_eq!(acquire.await.mode(), Mode::Shared);
    /// # });
    /// ```
    #[inline]
    pub fn acquire_arc(
        self: &Arc<Self>,
        mode: Mode,
    ) -> impl FusedFuture<Output = GuardArc> + Send + Sync + use<> {
        let lock = self.clone();
        Fused::<_>::new(async move {
            RawAcquire::new(&*lock, mode).await;
            GuardArc::new(lock, mode)
        })
    }

    /// Acquires the lock in `mode`, unless `cancel` is ready first. Returns a guard that is
    /// `'static`. The future is `'static` if `cancel` is.
    ///
    /// The future and the guard own a clone of the `Arc`.
    ///
    #[doc = text!(waits)]
    ///
    /// With a timer as `cancel`, this is an acquisition with a time limit, on any runtime:
    /// [`acquire_or`](Self::acquire_or) shows the timers of some. Each poll tries to
    /// acquire the lock first, and polls `cancel` only if that fails. When `cancel` is ready, the
    /// future tries once more, like [`try_acquire_arc`](Self::try_acquire_arc). So if both are
    /// ready, the lock is acquired.
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
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::new());
    /// let guard = lock.acquire_or_arc(Mode::Exclusive, pending::<()>()).await.unwrap();
    /// let late = lock.acquire_or_arc(Mode::Shared, ready("too late")).await;
    /// assert_eq!(late.unwrap_err(), "too late");
    /// drop(guard);
    /// # });
    /// ```
    pub fn acquire_or_arc<C: Future>(
        self: &Arc<Self>,
        mode: Mode,
        cancel: C,
    ) -> impl FusedFuture<Output = Result<GuardArc, C::Output>> + use<C> {
        let lock = self.clone();
        acquire_or(self.acquire_arc(mode), cancel, move || lock.try_acquire_arc(mode))
    }

    /// Creates a monitor that reports when `mode` can be acquired, and that is `'static`.
    ///
    /// The monitor owns a clone of the `Arc`. It is set at once if `mode` can be acquired now, and
    /// again each time `mode` becomes acquirable: see [`Monitor`](crate::Monitor).
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::new());
    /// let monitor = lock.monitor_arc(Mode::Exclusive);
    /// drop(lock);
    /// assert!(monitor.is_set());
    /// ```
    pub fn monitor_arc(self: &Arc<Self>, mode: Mode) -> MonitorArc {
        MonitorArc::new(self.clone(), mode)
    }

    /// Turns `handle` back into a guard, one that is `'static`.
    ///
    /// The guard owns a clone of the `Arc`.
    ///
    /// # Errors
    ///
    #[doc = text!(adopt_errors)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::new());
    /// let handle = lock.try_acquire(Mode::Shared).unwrap().into_handle();
    /// let guard = lock.adopt_arc(handle).unwrap();
    /// assert_eq!(guard.mode(), Mode::Shared);
    /// ```
    pub fn adopt_arc(self: &Arc<Self>, handle: Handle) -> Result<GuardArc, ReleaseError> {
        self.parts_of(handle).map(|(mode, ())| GuardArc::new(self.clone(), mode))
    }
}
