//! What owns its lock, in an [`Arc`], and so is `'static`: guards, futures and monitors.

use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use futures_core::stream::{FusedStream, Stream};

use crate::error::{ReleaseError, UpgradeError};
use crate::lock::guard::Acquisition;
use crate::lock::handle::Handle;
use crate::lock::monitor::MonitorInner;
use crate::lock::{MultiLock, first};
use crate::mode::Mode;
use crate::raw::acquire::RawAcquire;
use crate::sync::fused::Fused;

multilock_guard! {
    /// A guard of a [`MultiLock`] in an [`Arc`], which releases the lock when it is dropped.
    ///
    /// The guard owns the `Arc`, so it is `'static`. In all other respects it is a [`Guard`](crate::Guard).
    GuardArc, GuardArc, Arc<MultiLock>
}

multilock_monitor! {
    /// A monitor of a [`MultiLock`] in an [`Arc`], which reports when a mode can be acquired.
    ///
    /// The monitor owns the `Arc`, so it is `'static`. In all other respects it is a [`Monitor`](crate::Monitor).
    #[doc(alias = "NotifyArc")]
    MonitorArc, MonitorArc, MonitorInner<'static, Arc<MultiLock>>
}

impl MonitorArc {
    pub(crate) fn new(lock: Arc<MultiLock>, mode: Mode) -> Self {
        Self(MonitorInner::one(lock, mode))
    }
}

impl MultiLock {
    /// Acquires the lock in `mode` if that is possible now, with a guard that is `'static`. Never
    /// waits.
    ///
    /// Returns `None` in the same cases as [`try_acquire`](Self::try_acquire).
    #[inline]
    #[must_use = "the lock is released as soon as the guard is dropped"]
    pub fn try_acquire_arc(self: &Arc<Self>, mode: Mode) -> Option<GuardArc> {
        self.raw.try_acquire(mode).then(|| GuardArc::new(self.clone(), mode))
    }

    /// Acquires the lock in `mode`, waiting asynchronously until it is available, with a future and
    /// a guard that are `'static`.
    ///
    /// In all other respects this is [`acquire`](Self::acquire), with the same cancel safety and
    /// deadlocks.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multilock::{Mode, MultiLock};
    /// # use std::sync::Arc;
    /// # fn spawn(_: impl Future<Output = ()> + Send + 'static) {}
    /// let lock = Arc::new(MultiLock::new());
    /// let acquire = lock.acquire_arc(Mode::Shared);
    /// spawn(async move {
    ///     let _guard = acquire.await;
    /// });
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

    /// Acquires the lock in `mode`, unless `cancel` is ready first, with a guard that is `'static`.
    /// The future is `'static` if `cancel` is.
    ///
    /// In all other respects this is [`acquire_or`](Self::acquire_or), with the same cancel safety.
    ///
    /// # Errors
    ///
    /// Returns the output of `cancel`. The acquisition has then lost its place in the queue, and
    /// does not hold the lock.
    pub fn acquire_or_arc<C: Future>(
        self: &Arc<Self>,
        mode: Mode,
        cancel: C,
    ) -> impl Future<Output = Result<GuardArc, C::Output>> + use<C> {
        let lock = self.clone();
        async move {
            match first(lock.acquire_arc(mode), cancel).await {
                Err(output) => lock.try_acquire_arc(mode).ok_or(output),
                entered => entered,
            }
        }
    }

    /// Creates a monitor that reports when `mode` can be acquired, and that is `'static`.
    ///
    /// In all other respects this is [`monitor`](Self::monitor).
    #[doc(alias = "notify_arc")]
    pub fn monitor_arc(self: &Arc<Self>, mode: Mode) -> MonitorArc {
        MonitorArc::new(self.clone(), mode)
    }

    /// Turns `handle` back into a guard, one that is `'static`.
    ///
    /// # Errors
    ///
    /// If `handle` belongs to another lock, or to a lock that no longer exists, the error contains
    /// the handle, and no lock changes.
    pub fn adopt_arc(self: &Arc<Self>, handle: Handle) -> Result<GuardArc, ReleaseError> {
        self.mode_of(handle).map(|mode| GuardArc::new(self.clone(), mode))
    }
}
