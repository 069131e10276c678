//! Guards, futures, monitors and requests that own an observed lock, in an [`Arc`], and so are `'static`.

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use futures_core::stream::{FusedStream, Stream};

use crate::error::{ReleaseError, UpgradeError};
use crate::lock::MultiLock as Plain;
use crate::lock::boxed::{MonitorInner, monitor_stream};
use crate::lock::guard::Guard as PlainGuard;
use crate::lock::handle::Handle;
use crate::lock::monitor::multilock_monitor;
#[cfg(feature = "event-listener")]
use crate::lock::subscription::{Parts, SharedEvent, subscription};
use crate::mode::Mode;
use crate::observed::requests::InModeArc;
use crate::observed::told::{Event, Hold, LockPtr, Told, Upgrading};
use crate::observed::wait::{FromPlain, Observing};
use crate::observed::{MultiLock, Observer};
use crate::raw::edges::Edge;
use crate::sync::future::Fused;

impl<O: Observer> LockPtr for Arc<MultiLock<O>> {
    type Record = O::Record;
    type Observer = O;

    #[inline]
    fn observed(&self) -> &MultiLock<O> {
        self
    }
}

/// The lock without an observer, in the lock that `P` points to.
pub(crate) struct PlainOf<P>(pub(super) P);

impl<P: Clone> Clone for PlainOf<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: LockPtr> Deref for PlainOf<P> {
    type Target = Plain;

    fn deref(&self) -> &Plain {
        &self.0.observed().lock
    }
}

/// Returns a reference to the lock without an observer that outlives the borrow of `lock`.
///
/// # Safety
///
/// The caller keeps a clone of `lock` longer than the reference, and than what contains it.
#[inline]
pub(super) unsafe fn outliving<P: LockPtr>(lock: &P) -> &'static Plain {
    let plain: *const Plain = &lock.observed().lock;
    // SAFETY: the lock is in an `Arc`, where it is not moved. As the caller promises, it lives longer.
    unsafe { &*plain }
}

observed_guard! {
    /// The guard of an observed [`MultiLock`] in an [`Arc`]: it releases the lock when it is dropped, and tells the
    /// observer.
    ///
    /// The guard owns a clone of the `Arc`, so it is `'static`. [`Guard`](crate::observed::Guard) is the guard that borrows
    /// the lock. The observer is told after the release. A guard that is forgotten leaves the lock held forever, and for
    /// the observer, too.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::{GuardArc, MultiLock};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let guard: GuardArc<()> = lock.try_acquire_arc(Mode::Exclusive).unwrap();
    /// drop(lock);
    /// assert_eq!(guard.lock().locked(), Some(Mode::Exclusive));
    /// ```
    GuardArc [] [], PlainGuard<'static>, Arc<MultiLock<O>>, "_arc"
}

multilock_monitor! {
    /// A monitor of an observed [`MultiLock`] in an [`Arc`]: it reports when a mode can be acquired.
    ///
    /// The monitor owns a clone of the `Arc`, so it is `'static`. It does not hold the lock, and the observer is told
    /// nothing. [`Monitor`](crate::Monitor) says when a monitor is set, and what the limitations and costs are.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::{MonitorArc, MultiLock};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let monitor: MonitorArc<()> = lock.monitor_arc(Mode::Shared);
    /// assert!(monitor.is_set());
    /// ```
    MonitorArc [O: Observer] [O: Observer + 'static] [O],
    MonitorInner<'static, PlainOf<Arc<MultiLock<O>>>>,
    "use multilock::Mode;\nuse multilock::observed::MultiLock;\nuse std::sync::Arc;\n\n\
    let lock = Arc::new(MultiLock::<()>::new());\nlet monitor = lock.monitor_arc(Mode::Exclusive);"
}

#[cfg(feature = "event-listener")]
subscription! {
    /// A subscription of an event of an observed [`MultiLock`] in an [`Arc`]: until it is dropped, the lock notifies the
    /// event each time a mode becomes acquirable.
    ///
    /// The subscription owns a clone of the `Arc`, so it is `'static`. The observer is told nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use event_listener::Event;
    /// use multilock::Mode;
    /// use multilock::observed::{MultiLock, SubscriptionArc};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let event = Arc::new(Event::new());
    /// let _subscription: SubscriptionArc<()> = lock.notify_arc(Mode::Shared, &event);
    /// ```
    SubscriptionArc [O: Observer] [O: Observer] [O], Parts<'static, PlainOf<Arc<MultiLock<O>>>>,
    "use event_listener::Event;\nuse multilock::Mode;\nuse multilock::observed::MultiLock;\nuse std::sync::Arc;\n\n\
    let lock = Arc::new(MultiLock::<()>::new());\n\
    let subscription = lock.notify_arc(Mode::Shared, Arc::new(Event::new()));"
}

impl<O: Observer> MultiLock<O> {
    /// Acquires the lock in `mode` if that is possible now. Returns a guard that is `'static`. Never waits.
    ///
    /// The guard owns a clone of the `Arc`. The method fails as [`try_acquire`](Self::try_acquire) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let shared = lock.try_acquire_arc(Mode::Shared).unwrap();
    /// assert!(lock.try_acquire_arc(Mode::Exclusive).is_none());
    /// drop(shared);
    /// ```
    #[inline]
    #[track_caller]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn try_acquire_arc(self: &Arc<Self>, mode: Mode) -> Option<GuardArc<O>> {
        // SAFETY: the guard contains a clone of the `Arc`, which is dropped after the rest.
        let plain = unsafe { outliving(self) }.try_acquire(mode)?;
        Some(GuardArc::from_plain(plain, Hold::tried(self.clone(), mode)))
    }

    /// Acquires the lock in `mode`, waiting asynchronously until it is available. Returns a future and a guard that are
    /// `'static`.
    ///
    /// The future and the guard own a clone of the `Arc`.
    ///
    #[doc = text!(waits)]
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
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let acquire = lock.acquire_arc(Mode::Shared);
    /// drop(lock);
    /// assert_eq!(acquire.await.mode(), Mode::Shared);
    /// # });
    /// ```
    #[inline]
    #[track_caller]
    pub fn acquire_arc(
        self: &Arc<Self>,
        mode: Mode,
    ) -> impl FusedFuture<Output = GuardArc<O>> + Send + Sync + use<O> {
        // SAFETY: the future contains a clone of the `Arc`, which is dropped after the rest, or moved into the guard
        // after the future of the lock without an observer was dropped.
        Observing::new(unsafe { outliving(self) }.acquire(mode), Hold::new(self.clone(), mode))
    }

    /// Acquires the lock in `mode`, unless `cancel` is ready first. Returns a guard that is `'static`. The future is
    /// `'static` if `cancel` is.
    ///
    /// The future and the guard own a clone of the `Arc`. [`acquire_or`](Self::acquire_or) says when `cancel` is polled.
    ///
    #[doc = text!(waits)]
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point, and `cancel` is dropped with it. It then does not hold the lock, and has
    /// lost its place in the queue. If it had been woken, its drop passes the wake-up on to the next waiter.
    ///
    /// # Deadlocks
    ///
    #[doc = text!(deadlocks_or)]
    ///
    /// # Errors
    ///
    /// Returns the output of `cancel`. The acquisition has then lost its place in the queue, and does not hold the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::future::ready;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let _guard = lock.acquire_arc(Mode::Exclusive).await;
    /// let late = lock.acquire_or_arc(Mode::Shared, ready("too late")).await;
    /// assert_eq!(late.unwrap_err(), "too late");
    /// # });
    /// ```
    #[track_caller]
    pub fn acquire_or_arc<C: Future>(
        self: &Arc<Self>,
        mode: Mode,
        cancel: C,
    ) -> impl FusedFuture<Output = Result<GuardArc<O>, C::Output>> + use<O, C> {
        // SAFETY: as for `acquire_arc`.
        let plain = unsafe { outliving(self) }.acquire_or(mode, cancel);
        Observing::new(plain, Hold::new(self.clone(), mode))
    }

    /// Creates a monitor that reports when `mode` can be acquired, and that is `'static`. The observer is not told.
    ///
    /// The monitor owns a clone of the `Arc`. It is set at once if `mode` can be acquired now, and again each time `mode`
    /// becomes acquirable: see [`Monitor`](crate::Monitor).
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let monitor = lock.monitor_arc(Mode::Exclusive);
    /// drop(lock);
    /// assert!(monitor.is_set());
    /// ```
    pub fn monitor_arc(self: &Arc<Self>, mode: Mode) -> MonitorArc<O>
    where
        O: 'static,
    {
        MonitorArc(MonitorInner::new(PlainOf(self.clone()), Edge::Acquirable(mode)), mode)
    }

    /// Notifies `event` each time `mode` becomes acquirable. Returns a subscription that is `'static`. The observer is not
    /// told.
    ///
    /// The subscription owns a clone of the `Arc`: see [`Subscription`](crate::Subscription).
    ///
    /// # Examples
    ///
    /// ```
    /// use event_listener::Event;
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let event = Arc::new(Event::new());
    /// let _subscription = lock.notify_arc(Mode::Exclusive, &event);
    /// ```
    #[cfg(feature = "event-listener")]
    pub fn notify_arc(
        self: &Arc<Self>,
        mode: Mode,
        event: impl Into<SharedEvent>,
    ) -> SubscriptionArc<O>
    where
        O: 'static,
    {
        SubscriptionArc(Parts::new(PlainOf(self.clone()), mode, &event.into()))
    }

    /// Turns `handle` back into a guard, one that is `'static`, with which the acquisition goes on.
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
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let handle = lock.try_acquire(Mode::Shared).unwrap().into_handle();
    /// assert_eq!(lock.adopt_arc(handle).unwrap().mode(), Mode::Shared);
    /// ```
    pub fn adopt_arc(
        self: &Arc<Self>,
        handle: Handle<Told<O::Record>>,
    ) -> Result<GuardArc<O>, ReleaseError<Told<O::Record>>> {
        let (mode, told) = self.lock.parts_of(handle)?;
        // SAFETY: as for `try_acquire_arc`.
        let plain = PlainGuard::new(unsafe { outliving(self) }, mode);
        Ok(GuardArc { plain, hold: Hold { lock: self.clone(), told } })
    }

    /// Returns a request for the lock in `mode`, for [`lock_all`](crate::lock_all) and related functions. Acquires
    /// nothing.
    ///
    /// The request owns a clone of the `Arc`, and so does the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::MultiLock;
    /// use multilock::{Mode, try_lock_all};
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let (guard,) = try_lock_all((lock.in_mode_arc(Mode::Shared),)).unwrap();
    /// assert_eq!(guard.mode(), Mode::Shared);
    /// ```
    pub fn in_mode_arc(self: &Arc<Self>, mode: Mode) -> InModeArc<O> {
        InModeArc { lock: self.clone(), mode }
    }
}
