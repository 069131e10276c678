//! The trait of observers, and what they are told.

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use alloc::sync::Arc;
use core::fmt;
use core::panic::Location;

use crate::mode::Mode;

/// Is told of each acquisition of the [observed](crate::observed) locks.
///
/// The lock calls the observer when an acquisition begins to wait, when it is successful, when its mode changes, when
/// it ends, and when it is canceled. What the observer has to remember of an acquisition it returns as a
/// [`Record`](Self::Record): the guard keeps it, and the observer gets it back with the next call for the same
/// acquisition. So an observer that measures time needs no table and no lock: its record is the time at which the wait
/// or the acquisition began, by a clock of its own.
///
/// Each call comes from the task or thread that acquires or releases, while no lock of this crate is locked for it but
/// those that it holds. [`released`](Self::released) comes after the release: what it does delays no waiter.
///
/// # Panics
///
/// With `std`, a panic of an observer is caught, and the acquisition goes on. The observer is not told of the rest of
/// that acquisition if it has returned no record. If that was the wait of an upgrade, it is told of the acquisition that is
/// upgraded. Without `std` the panic unwinds through the caller, if there is unwinding, and the acquisition that was to be
/// reported is released.
///
/// # Examples
///
/// An observer that counts those who wait. [`observed`](crate::observed) has one that measures time.
///
/// ```
/// use multilock::Mode;
/// use multilock::observed::{Acquisition, MultiLock, Observer};
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
///
/// #[derive(Default)]
/// struct Waiting(AtomicUsize);
///
/// impl Observer for Waiting {
///     type Record = ();
///
///     fn waiting(&self, acquisition: Acquisition<'_>) {
///         self.0.fetch_add(1, Relaxed);
///         println!("{} waits for {} in {:?}", acquisition.site(), acquisition.lock(), acquisition.mode());
///     }
///
///     fn acquired(&self, _: Acquisition<'_>, waited: Option<()>) {
///         waited.map(|()| self.0.fetch_sub(1, Relaxed));
///     }
///
///     fn changed(&self, acquisition: Acquisition<'_>, (): (), waited: Option<()>) {
///         assert!(acquisition.changed_from().is_some());
///         waited.map(|()| self.0.fetch_sub(1, Relaxed));
///     }
///
///     fn released(&self, _: Acquisition<'_>, (): ()) {}
///
///     fn cancelled(&self, _: Acquisition<'_>, (): ()) {
///         self.0.fetch_sub(1, Relaxed);
///     }
/// }
///
/// # futures_lite::future::block_on(async {
/// let lock = MultiLock::with_observer("the lock", Waiting::default());
/// let guard = lock.acquire(Mode::Exclusive).await;
/// let mut waits = Box::pin(lock.acquire(Mode::Shared));
/// assert!(futures_lite::future::poll_once(&mut waits).await.is_none());
/// assert_eq!(lock.observer().0.load(Relaxed), 1);
/// drop(guard);
/// drop(waits.await);
/// assert_eq!(lock.observer().0.load(Relaxed), 0);
/// # });
/// ```
pub trait Observer: Send + Sync {
    /// What the observer remembers of an acquisition. A time, the number of an entry, or `()`.
    type Record: Copy + Send + Sync + 'static;

    /// An acquisition, or an upgrade, begins to wait. An acquisition that succeeds at its first poll does not wait.
    fn waiting(&self, acquisition: Acquisition<'_>) -> Self::Record;

    /// The lock was acquired. `waited` is what [`waiting`](Self::waiting) has returned, or `None` if the acquisition
    /// has not waited.
    fn acquired(&self, acquisition: Acquisition<'_>, waited: Option<Self::Record>) -> Self::Record;

    /// The mode of an acquisition has changed: it was downgraded, or upgraded. `held` is the record of the acquisition
    /// in its mode before, which is [`acquisition.changed_from()`](Acquisition::changed_from). `waited` is that of an
    /// upgrade that has waited.
    ///
    /// By default, the acquisition in the mode before ends, and one in the new mode begins.
    fn changed(
        &self,
        acquisition: Acquisition<'_>,
        held: Self::Record,
        waited: Option<Self::Record>,
    ) -> Self::Record {
        let before = Acquisition {
            mode: acquisition.from.unwrap_or(acquisition.mode),
            from: None,
            ..acquisition
        };
        self.released(before, held);
        self.acquired(acquisition, waited)
    }

    /// The acquisition has ended. `held` is what [`acquired`](Self::acquired) or [`changed`](Self::changed) has
    /// returned.
    fn released(&self, acquisition: Acquisition<'_>, held: Self::Record);

    /// An acquisition, or an upgrade, that waited was dropped or has given up. `waited` is what
    /// [`waiting`](Self::waiting) has returned.
    fn cancelled(&self, acquisition: Acquisition<'_>, waited: Self::Record);
}

/// An observer that is made without an argument.
///
/// The `new` of an observed lock needs it, so that the lock is made as one that is not observed, also in a `static`.
///
/// # Examples
///
/// ```
/// use multilock::observed::{Acquisition, NewObserver, Observer, RwLock};
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
///
/// /// Counts the acquisitions of all locks.
/// struct Count;
///
/// static COUNT: AtomicUsize = AtomicUsize::new(0);
///
/// impl Observer for Count {
///     type Record = ();
///
///     fn waiting(&self, _: Acquisition<'_>) {}
///     fn acquired(&self, _: Acquisition<'_>, _: Option<()>) {
///         COUNT.fetch_add(1, Relaxed);
///     }
///     fn released(&self, _: Acquisition<'_>, (): ()) {}
///     fn cancelled(&self, _: Acquisition<'_>, (): ()) {}
/// }
///
/// impl NewObserver for Count {
///     const NEW: Self = Count;
/// }
///
/// static LOCK: RwLock<u32, Count> = RwLock::new(1);
/// assert_eq!(*LOCK.try_read().unwrap(), 1);
/// assert_eq!(COUNT.load(Relaxed), 1);
/// ```
pub trait NewObserver: Observer {
    /// The observer of a new lock. Most often it has no size, and stands for a `static`.
    const NEW: Self;
}

/// An acquisition that waits, is held, or has ended, as an [`Observer`] sees it.
///
/// # Examples
///
/// ```
/// use multilock::observed::Acquisition;
///
/// /// A line of a log.
/// fn line(event: &str, acquisition: Acquisition<'_>) -> String {
///     format!("{event} {} {:?} {}", acquisition.lock(), acquisition.mode(), acquisition.site())
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Acquisition<'a> {
    pub(crate) lock: LockInfo<'a>,
    pub(crate) mode: Mode,
    pub(crate) from: Option<Mode>,
    pub(crate) may_wait: bool,
    pub(crate) site: &'static Location<'static>,
}

impl<'a> Acquisition<'a> {
    /// Returns the lock.
    #[must_use]
    pub const fn lock(self) -> LockInfo<'a> {
        self.lock
    }

    /// Returns the mode that is wanted, held, or was held.
    #[must_use]
    pub const fn mode(self) -> Mode {
        self.mode
    }

    /// Returns the mode before, if this is about an upgrade or a downgrade.
    #[must_use]
    pub const fn changed_from(self) -> Option<Mode> {
        self.from
    }

    /// Returns whether the call waits if it has to. Those of `try_` methods never do, and no holder
    /// waits that shares its guard or downgrades it.
    #[must_use]
    pub const fn may_wait(self) -> bool {
        self.may_wait
    }

    /// Returns the line of the call that acquires the lock, or that has changed its mode.
    #[must_use]
    pub const fn site(self) -> &'static Location<'static> {
        self.site
    }
}

/// An observed lock, as an [`Observer`] sees it.
///
/// # Examples
///
/// ```
/// use multilock::observed::LockInfo;
///
/// /// The name of the lock, or the file in which it was made.
/// fn label(lock: LockInfo<'_>) -> &'static str {
///     lock.name().unwrap_or(lock.site().file())
/// }
/// ```
#[derive(Clone, Copy)]
pub struct LockInfo<'a> {
    pub(crate) name: &'a LockName,
    pub(crate) address: usize,
}

/// What a lock is called. It is part of the lock.
pub(crate) struct LockName {
    pub(crate) name: Option<&'static str>,
    pub(crate) site: &'static Location<'static>,
}

impl LockInfo<'_> {
    /// Returns the name that the lock was made with, if it has one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        self.name.name
    }

    /// Returns the line on which the lock was made.
    #[must_use]
    pub const fn site(self) -> &'static Location<'static> {
        self.name.site
    }

    /// Returns a number that no other lock has as long as this one is held or waited for.
    #[must_use]
    pub const fn id(self) -> usize {
        self.address
    }
}

/// Shows the name, or else the line on which the lock was made.
impl fmt::Display for LockInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "the lock of {}", self.site()),
        }
    }
}

impl fmt::Debug for LockInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockInfo")
            .field("name", &self.name())
            .field("site", &format_args!("{}", self.site()))
            .field("id", &format_args!("{:#x}", self.id()))
            .finish()
    }
}

impl fmt::Debug for Acquisition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquisition")
            .field("lock", &self.lock)
            .field("mode", &self.mode)
            .field("changed_from", &self.from)
            .field("site", &format_args!("{}", self.site))
            .finish()
    }
}

/// Implements `Observer` for a pointer to one, or, as here, for what dereferences to one.
macro_rules! observer_behind {
    ($($generics:tt)*) => {
        impl $($generics)* {
            type Record = O::Record;

            fn waiting(&self, acquisition: Acquisition<'_>) -> O::Record {
                (**self).waiting(acquisition)
            }

            fn acquired(
                &self,
                acquisition: Acquisition<'_>,
                waited: Option<O::Record>,
            ) -> O::Record {
                (**self).acquired(acquisition, waited)
            }

            fn changed(
                &self,
                acquisition: Acquisition<'_>,
                held: O::Record,
                waited: Option<O::Record>,
            ) -> O::Record {
                (**self).changed(acquisition, held, waited)
            }

            fn released(&self, acquisition: Acquisition<'_>, held: O::Record) {
                (**self).released(acquisition, held);
            }

            fn cancelled(&self, acquisition: Acquisition<'_>, waited: O::Record) {
                (**self).cancelled(acquisition, waited);
            }
        }
    };
}

observer_behind!(<O: Observer + ?Sized> Observer for &O);
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
observer_behind!(<O: Observer + ?Sized> Observer for Arc<O>);

/// Observes nothing: for a program that turns the observation off, and for a measurement of what it costs.
impl Observer for () {
    type Record = ();

    #[inline]
    fn waiting(&self, _: Acquisition<'_>) {}

    #[inline]
    fn acquired(&self, _: Acquisition<'_>, _: Option<()>) {}

    #[inline]
    fn changed(&self, _: Acquisition<'_>, (): (), _: Option<()>) {}

    #[inline]
    fn released(&self, _: Acquisition<'_>, (): ()) {}

    #[inline]
    fn cancelled(&self, _: Acquisition<'_>, (): ()) {}
}

impl NewObserver for () {
    const NEW: Self = ();
}

/// Two observers of one lock.
impl<A: Observer, B: Observer> Observer for (A, B) {
    type Record = (A::Record, B::Record);

    fn waiting(&self, acquisition: Acquisition<'_>) -> Self::Record {
        (self.0.waiting(acquisition), self.1.waiting(acquisition))
    }

    fn acquired(&self, acquisition: Acquisition<'_>, waited: Option<Self::Record>) -> Self::Record {
        let (a, b) = waited.unzip();
        (self.0.acquired(acquisition, a), self.1.acquired(acquisition, b))
    }

    fn changed(
        &self,
        acquisition: Acquisition<'_>,
        held: Self::Record,
        waited: Option<Self::Record>,
    ) -> Self::Record {
        let (a, b) = waited.unzip();
        (self.0.changed(acquisition, held.0, a), self.1.changed(acquisition, held.1, b))
    }

    fn released(&self, acquisition: Acquisition<'_>, held: Self::Record) {
        self.0.released(acquisition, held.0);
        self.1.released(acquisition, held.1);
    }

    fn cancelled(&self, acquisition: Acquisition<'_>, waited: Self::Record) {
        self.0.cancelled(acquisition, waited.0);
        self.1.cancelled(acquisition, waited.1);
    }
}

impl<A: NewObserver, B: NewObserver> NewObserver for (A, B) {
    const NEW: Self = (A::NEW, B::NEW);
}
