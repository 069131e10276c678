//! The lock with data, and its observer.

// The guards come first, because the others use their macros.
#[macro_use]
pub(super) mod guards;
mod access;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub(super) mod owned;

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;

use crate::lock::MultiLock as Plain;
use crate::observed::global::Global;
use crate::observed::{MultiLock, NewObserver};
use crate::rwlock::Changes;
use crate::sync::const_fn;

/// A [`RwLock`](crate::RwLock) that tells an observer who acquires it, where, and for how long.
///
/// The methods are those of the lock without an observer, and so are the promises: who waits for whom, what a dropped
/// future leaves behind, and what never allocates. [`observed`](crate::observed) says what an observer is told.
///
/// # Examples
///
/// ```
/// use multilock::observed;
///
/// // In place of `use multilock::RwLock`, with the observer of your choice.
/// type RwLock<T> = observed::RwLock<T, ()>;
///
/// # futures_lite::future::block_on(async {
/// let lock = RwLock::new(5);
/// assert_eq!(*lock.read().await, 5);
/// *lock.write().await += 1;
/// assert_eq!(lock.into_inner(), 6);
/// # });
/// ```
pub struct RwLock<T: ?Sized, O = Global> {
    lock: MultiLock<O>,
    data: UnsafeCell<T>,
}

// SAFETY: as for the lock without an observer. It gives shared references to several threads at once, for which `T` is
// `Sync`, and exclusive references to one thread after the other, for which `T` is `Send`. The observer is `Sync`.
unsafe impl<T: ?Sized + Send + Sync, O: Sync> Sync for RwLock<T, O> {}

impl<T, O> RwLock<T, O> {
    const_fn! {
        /// Creates an unlocked lock that contains `data`, with a name and an observer.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::observed::RwLock;
        ///
        /// static NAMES: RwLock<Vec<String>, ()> = RwLock::with_observer("the names", Vec::new(), ());
        /// assert!(NAMES.try_read().unwrap().is_empty());
        /// ```
        #[must_use]
        #[track_caller]
        pub fn with_observer(name: &'static str, data: T, observer: O) -> Self {
            Self { lock: MultiLock::of_parts(Some(name), observer), data: UnsafeCell::new(data) }
        }
    }

    /// Consumes the lock and returns the data.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::RwLock;
    ///
    /// let lock = RwLock::<_, ()>::new(1);
    /// *lock.try_write().unwrap() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[must_use]
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T, O: NewObserver> RwLock<T, O> {
    const_fn! {
        /// Creates an unlocked lock that contains `data`. The observer calls it by the line of this call.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::observed::RwLock;
        ///
        /// static NAMES: RwLock<Vec<String>, ()> = RwLock::new(Vec::new());
        /// assert!(NAMES.try_read().unwrap().is_empty());
        /// ```
        #[must_use]
        #[track_caller]
        pub fn new(data: T) -> Self {
            Self { lock: MultiLock::of_parts(None, O::NEW), data: UnsafeCell::new(data) }
        }
    }

    const_fn! {
        /// Creates an unlocked lock that contains `data`, with a name.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::observed::RwLock;
        ///
        /// static NAMES: RwLock<Vec<String>, ()> = RwLock::named("the names", Vec::new());
        /// assert!(NAMES.try_read().unwrap().is_empty());
        /// ```
        #[must_use]
        #[track_caller]
        pub fn named(name: &'static str, data: T) -> Self {
            Self { lock: MultiLock::of_parts(Some(name), O::NEW), data: UnsafeCell::new(data) }
        }
    }
}

impl<T: ?Sized, O> RwLock<T, O> {
    /// Returns the observer of the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::RwLock;
    ///
    /// let lock = RwLock::<_, ()>::new(1);
    /// assert_eq!(lock.observer(), &());
    /// ```
    #[must_use]
    pub const fn observer(&self) -> &O {
        &self.lock.observer
    }

    /// Returns the [`MultiLock`] that protects the data, which has the same observer.
    ///
    /// Use it to inspect the lock, to wait until a mode can be acquired, to monitor the lock, in a set of locks, or to keep
    /// other tasks and threads out. A guard of the `MultiLock` gives no access to the data.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::RwLock;
    ///
    /// let lock = RwLock::<_, ()>::new(1);
    /// let read = lock.try_read().unwrap();
    /// assert_eq!(lock.raw().locked(), Some(Mode::Shared));
    /// drop(read);
    /// ```
    #[must_use]
    pub const fn raw(&self) -> &MultiLock<O> {
        &self.lock
    }

    /// Returns an exclusive reference to the data, without locking. The observer is not told.
    ///
    /// The exclusive reference to the lock proves that there is no holder, except for acquisitions that were forgotten.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::RwLock;
    ///
    /// let mut lock = RwLock::<_, ()>::new(1);
    /// *lock.get_mut() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    /// Creates a stream of changes of the data. The observer is not told.
    ///
    /// See [`Changes`]. A change is the end of an exclusive acquisition, or its downgrade: the data may have changed. A new
    /// `Changes` is not set. So create it first, and then read the data.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::RwLock;
    ///
    /// let lock = RwLock::<_, ()>::new(1);
    /// let changes = lock.changes();
    /// *lock.try_write().unwrap() = 2;
    /// assert!(changes.is_set());
    /// ```
    pub fn changes(&self) -> Changes<'_> {
        Changes::new(self.plain())
    }

    /// Returns the lock without an observer.
    #[inline]
    fn plain(&self) -> &Plain {
        &self.lock.lock
    }

    #[inline]
    pub(super) fn data(&self) -> NonNull<T> {
        // SAFETY: the cell exists, so the pointer to its content is not null.
        unsafe { NonNull::new_unchecked(self.data.get()) }
    }
}

impl<T, O: NewObserver> From<T> for RwLock<T, O> {
    #[track_caller]
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

impl<T: Default, O: NewObserver> Default for RwLock<T, O> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// Shows the holders and the waiters of the lock, and does not acquire it.
impl<T: ?Sized, O> fmt::Debug for RwLock<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("state", &self.lock.snapshot()).finish_non_exhaustive()
    }
}
