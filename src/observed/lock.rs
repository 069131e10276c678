//! The lock without data, and its observer.

use core::fmt;
use core::panic::Location;

use futures_core::FusedFuture;

use crate::error::ReleaseError;
use crate::lock::MultiLock as Plain;
use crate::lock::guard::Guard as PlainGuard;
use crate::lock::handle::Handle;
use crate::lock::monitor::Monitor;
#[cfg(feature = "event-listener")]
use crate::lock::subscription::{SharedEvent, Subscription};
use crate::mode::Mode;
use crate::observed::global::Global;
use crate::observed::guard::Guard;
use crate::observed::observer::LockName;
use crate::observed::requests::InMode;
use crate::observed::told::{Hold, Told};
use crate::observed::wait::{FromPlain, Observing};
use crate::observed::{NewObserver, Observer};
use crate::raw::state::Snapshot;
use crate::sync::const_fn;

/// A [`MultiLock`](crate::MultiLock) that tells an observer who acquires it, where, and for how long.
///
/// The methods are those of the lock without an observer, and so are the promises: who waits for whom, what a dropped
/// future leaves behind, and what never allocates. [`observed`](crate::observed) says what an observer is told.
///
/// # Examples
///
/// ```
/// use multilock::Mode;
/// use multilock::observed::{Acquisition, MultiLock, Observer};
///
/// /// Prints who acquires the lock.
/// struct Print;
///
/// impl Observer for Print {
///     type Record = ();
///
///     fn waiting(&self, _: Acquisition<'_>) {}
///     fn acquired(&self, acquisition: Acquisition<'_>, _: Option<()>) {
///         println!("{} acquires {}", acquisition.site(), acquisition.lock());
///     }
///     fn released(&self, _: Acquisition<'_>, (): ()) {}
///     fn cancelled(&self, _: Acquisition<'_>, (): ()) {}
/// }
///
/// let lock = MultiLock::with_observer("the printer", Print);
/// let _guard = lock.try_acquire(Mode::Exclusive);
/// ```
pub struct MultiLock<O = Global> {
    pub(crate) lock: Plain,
    pub(crate) name: LockName,
    pub(crate) observer: O,
}

impl<O> MultiLock<O> {
    const_fn! {
        /// Creates an unlocked lock with a name and an observer.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::observed::MultiLock;
        ///
        /// static PRINTER: MultiLock<()> = MultiLock::with_observer("the printer", ());
        /// assert!(PRINTER.locked().is_none());
        /// ```
        #[must_use]
        #[track_caller]
        pub fn with_observer(name: &'static str, observer: O) -> Self {
            Self::of_parts(Some(name), observer)
        }
    }

    const_fn! {
        #[track_caller]
        pub(super) fn of_parts(name: Option<&'static str>, observer: O) -> Self {
            let name = LockName { name, site: Location::caller() };
            Self { lock: Plain::new(), name, observer }
        }
    }

    /// Returns the observer of the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::MultiLock;
    ///
    /// let lock = MultiLock::<()>::new();
    /// assert_eq!(lock.observer(), &());
    /// ```
    #[must_use]
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// Returns the lock without the observer.
    ///
    /// Use it where a function takes a [`MultiLock`](crate::MultiLock), as for the locks of a set. The observer is not told
    /// of acquisitions that are made with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::LockSet;
    /// use multilock::observed::MultiLock;
    ///
    /// let lock = MultiLock::<()>::new();
    /// let set: LockSet<_> = [&lock].into_iter().collect();
    /// assert!(set.contains(lock.unobserved()));
    /// ```
    #[must_use]
    pub const fn unobserved(&self) -> &Plain {
        &self.lock
    }

    /// Returns the strongest mode that the lock is held in, or `None` if there is no holder.
    ///
    /// The result may be out of date by the time the caller looks at it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    ///
    /// let lock = MultiLock::<()>::new();
    /// let _guard = lock.try_acquire(Mode::Shared);
    /// assert_eq!(lock.locked(), Some(Mode::Shared));
    /// ```
    #[must_use]
    pub fn locked(&self) -> Option<Mode> {
        self.lock.locked()
    }

    /// Returns the holders and the waiters of the lock, at one moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    ///
    /// let lock = MultiLock::<()>::new();
    /// let _guard = lock.try_acquire(Mode::Shared);
    /// assert_eq!(lock.snapshot().shared_holders(), 1);
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.lock.snapshot()
    }

    /// Waits asynchronously until `mode` can be acquired, without acquiring the lock. The observer is not told.
    ///
    /// The result is a hint: another task may have acquired the lock since. No task waits because of the future.
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
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    ///
    /// let lock = MultiLock::<()>::new();
    /// lock.wait(Mode::Exclusive).await;
    /// # });
    /// ```
    pub fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync + use<'_, O> {
        self.lock.wait(mode)
    }

    /// Creates a monitor that reports when `mode` can be acquired: see [`Monitor`]. The observer is not told.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    ///
    /// let lock = MultiLock::<()>::new();
    /// assert!(lock.monitor(Mode::Exclusive).is_set());
    /// ```
    pub fn monitor(&self, mode: Mode) -> Monitor<'_> {
        self.lock.monitor(mode)
    }

    /// Notifies `event` each time `mode` becomes acquirable: see [`Subscription`].
    ///
    /// # Examples
    ///
    /// ```
    /// use event_listener::Event;
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::sync::Arc;
    ///
    /// let lock = MultiLock::<()>::new();
    /// let event = Arc::new(Event::new());
    /// let _subscription = lock.notify(Mode::Exclusive, &event);
    /// ```
    #[cfg(feature = "event-listener")]
    pub fn notify(&self, mode: Mode, event: impl Into<SharedEvent>) -> Subscription<'_> {
        self.lock.notify(mode, event)
    }

    /// Returns a request for the lock in `mode`, for [`lock_all`](crate::lock_all) and related functions. Acquires
    /// nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::{MultiLock, RwLock};
    /// use multilock::{Mode, try_lock_all};
    ///
    /// let (lock, data) = (MultiLock::<()>::new(), RwLock::<_, ()>::new(1));
    /// let (_guard, data) = try_lock_all((lock.in_mode(Mode::Shared), data.reading())).unwrap();
    /// assert_eq!(*data, 1);
    /// ```
    pub fn in_mode(&self, mode: Mode) -> InMode<'_, O> {
        InMode { lock: self, mode }
    }
}

impl<O: NewObserver> MultiLock<O> {
    const_fn! {
        /// Creates an unlocked lock. The observer calls it by the line of this call.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::observed::MultiLock;
        ///
        /// static LOCK: MultiLock<()> = MultiLock::new();
        /// assert!(LOCK.locked().is_none());
        /// ```
        #[must_use]
        #[track_caller]
        pub fn new() -> Self {
            Self::of_parts(None, O::NEW)
        }
    }

    const_fn! {
        /// Creates an unlocked lock with a name.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::observed::MultiLock;
        ///
        /// static LOCK: MultiLock<()> = MultiLock::named("the printer");
        /// assert!(LOCK.locked().is_none());
        /// ```
        #[must_use]
        #[track_caller]
        pub fn named(name: &'static str) -> Self {
            Self::of_parts(Some(name), O::NEW)
        }
    }
}

impl<O: Observer> MultiLock<O> {
    /// Acquires the lock in `mode` if that is possible now. Never waits.
    ///
    /// Returns `None` if a holder excludes `mode` or is upgrading, if `mode` is not exclusive, the lock is held and an
    /// exclusive waiter is queued, or at the limit of holders. The observer is told of a success only.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    ///
    /// let lock = MultiLock::<()>::new();
    /// let _shared = lock.try_acquire(Mode::Shared).unwrap();
    /// assert!(lock.try_acquire(Mode::Exclusive).is_none());
    /// ```
    #[inline]
    #[track_caller]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn try_acquire(&self, mode: Mode) -> Option<Guard<'_, O>> {
        let plain = self.lock.try_acquire(mode)?;
        Some(Guard::from_plain(plain, Hold::tried(self, mode)))
    }

    /// Acquires the lock in `mode`, waiting asynchronously until it is available.
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
    ///
    /// let lock = MultiLock::<()>::new();
    /// let guard = lock.acquire(Mode::Shared).await;
    /// assert_eq!(guard.mode(), Mode::Shared);
    /// # });
    /// ```
    #[inline]
    #[track_caller]
    pub fn acquire(&self, mode: Mode) -> impl FusedFuture<Output = Guard<'_, O>> + Send + Sync {
        Observing::new(self.lock.acquire(mode), Hold::new(self, mode))
    }

    /// Acquires the lock in `mode`, unless `cancel` is ready first.
    ///
    #[doc = text!(waits)]
    ///
    /// Each poll tries to acquire the lock first, and polls `cancel` only if that fails. When `cancel` is ready, the
    /// future tries once more. The observer is told of one acquisition.
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
    ///
    /// let lock = MultiLock::<()>::new();
    /// let _guard = lock.acquire(Mode::Exclusive).await;
    /// let late = lock.acquire_or(Mode::Shared, ready("too late")).await;
    /// assert_eq!(late.unwrap_err(), "too late");
    /// # });
    /// ```
    #[track_caller]
    pub fn acquire_or<C: Future>(
        &self,
        mode: Mode,
        cancel: C,
    ) -> impl FusedFuture<Output = Result<Guard<'_, O>, C::Output>> {
        Observing::new(self.lock.acquire_or(mode, cancel), Hold::new(self, mode))
    }

    /// Releases the acquisition that `handle` stands for, and tells the observer so.
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
    ///
    /// let lock = MultiLock::<()>::new();
    /// let handle = lock.try_acquire(Mode::Shared).unwrap().into_handle();
    /// lock.release(handle).unwrap();
    /// ```
    pub fn release(
        &self,
        handle: Handle<Told<O::Record>>,
    ) -> Result<(), ReleaseError<Told<O::Record>>> {
        self.adopt(handle).map(drop)
    }

    /// Turns `handle` back into a guard, with which the acquisition goes on.
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
    ///
    /// let lock = MultiLock::<()>::new();
    /// let handle = lock.try_acquire(Mode::Shared).unwrap().into_handle();
    /// assert_eq!(lock.adopt(handle).unwrap().mode(), Mode::Shared);
    /// ```
    pub fn adopt(
        &self,
        handle: Handle<Told<O::Record>>,
    ) -> Result<Guard<'_, O>, ReleaseError<Told<O::Record>>> {
        let (mode, told) = self.lock.parts_of(handle)?;
        Ok(Guard { plain: PlainGuard::new(&self.lock, mode), hold: Hold { lock: self, told } })
    }
}

impl<O: NewObserver> Default for MultiLock<O> {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<O> fmt::Debug for MultiLock<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MultiLock").field(&self.snapshot()).finish()
    }
}
