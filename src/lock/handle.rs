//! Handles, which stand for an acquisition and have no lifetime.

use core::cmp;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::num::NonZeroUsize;

use crate::mode::Mode;
use crate::sync::unmodeled::{AtomicUsize, Ordering::Relaxed};

/// An acquisition that is detached from its guard, and that ends only when it is released.
///
/// A guard that owns its lock, [`GuardArc`](crate::GuardArc), is usually what is wanted: it can be
/// stored anywhere, too, and it releases the lock when it is dropped. **A handle that is dropped
/// leaves the lock held forever**, because it does not know where its lock is. Use a handle where no
/// guard can be kept, and where code that always runs releases it.
///
/// [`Guard::into_handle`](crate::Guard::into_handle) returns a handle.
/// [`MultiLock::release`](crate::MultiLock::release) releases its acquisition, and
/// [`MultiLock::adopt`](crate::MultiLock::adopt) turns it back into a guard. A handle has no
/// lifetime, and can be sent to other threads. It is not `Clone`, so an acquisition is released at
/// most once. Handles are compared by their [`id`](Self::id).
///
/// `R` is what the handle keeps for the observer of the lock: nothing, unless the lock is one of the module `observed`.
///
/// # Examples
///
/// ```
/// use multilock::{Handle, Mode, MultiLock};
///
/// static LOCK: MultiLock = MultiLock::new();
///
/// fn begin() -> Option<Handle> {
///     Some(LOCK.try_acquire(Mode::Exclusive)?.into_handle())
/// }
///
/// let handle = begin().unwrap();
/// assert!(begin().is_none());
/// LOCK.release(handle).unwrap();
/// assert_eq!(LOCK.locked(), None);
/// ```
#[must_use = "a dropped handle leaves the lock held forever: pass it to `release` or `adopt`"]
pub struct Handle<R = ()> {
    id: HandleId,
    mode: Mode,
    record: R,
}

/// The identifier of a [`Handle`].
///
/// No two handles that exist have the same identifier. There is one exception, on 32-bit targets: a
/// handle may get the identifier of an earlier handle that still exists, if 2<sup>32</sup> others
/// were made in between. Even then, handles of different locks have different identifiers.
///
/// # Examples
///
/// ```
/// use multilock::{Handle, HandleId, Mode, MultiLock};
/// use std::collections::HashMap;
///
/// let lock = MultiLock::new();
/// let handle = lock.try_acquire(Mode::Shared).unwrap().into_handle();
/// let mut handles: HashMap<HandleId, Handle> = HashMap::new();
/// let id = handle.id();
/// handles.insert(id, handle);
/// lock.release(handles.remove(&id).unwrap()).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandleId {
    pub(crate) lock: NonZeroUsize,
    pub(crate) number: usize,
}

impl<R> Handle<R> {
    pub(crate) fn new(lock: NonZeroUsize, mode: Mode, record: R) -> Self {
        Self { id: HandleId::new(lock), mode, record }
    }

    pub(crate) fn into_record(self) -> R {
        self.record
    }

    #[cfg(feature = "observed")]
    pub(crate) fn with_record<S>(self, record: S) -> Handle<S> {
        Handle { id: self.id, mode: self.mode, record }
    }

    /// Returns the identifier of this handle.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let handles = [(); 2].map(|()| lock.try_acquire(Mode::Shared).unwrap().into_handle());
    /// assert_ne!(handles[0].id(), handles[1].id());
    /// for handle in handles {
    ///     lock.release(handle).unwrap();
    /// }
    /// ```
    #[must_use]
    pub fn id(&self) -> HandleId {
        self.id
    }

    /// Returns the mode that the lock is held in.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let handle = lock.try_acquire(Mode::Shared).unwrap().into_handle();
    /// assert_eq!(handle.mode(), Mode::Shared);
    /// lock.release(handle).unwrap();
    /// ```
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns whether this is the handle of an acquisition of `lock`.
    pub(crate) fn is_of(&self, lock: &LockId) -> bool {
        lock.0.load(Relaxed) == self.id.lock.get()
    }
}

impl HandleId {
    /// Creates an identifier that was not used before.
    pub(crate) fn new(lock: NonZeroUsize) -> Self {
        static NUMBERS: AtomicUsize = AtomicUsize::new(1);
        // ORDERING: Relaxed. The counter gives a number, and orders no other memory access.
        let number = NUMBERS.fetch_add(1, Relaxed);
        Self { lock, number }
    }
}

impl<R> fmt::Debug for Handle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("id", &self.id).field("mode", &self.mode).finish()
    }
}

impl<R> PartialEq for Handle<R> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<R> Eq for Handle<R> {}

impl<R> PartialOrd for Handle<R> {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> Ord for Handle<R> {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

impl<R> Hash for Handle<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Display for HandleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.lock, self.number)
    }
}

/// The identity of a lock, which stays the same when the lock is moved.
///
/// A lock has none until it first needs one. It then gets one that no other lock has had.
///
/// All operations are `Relaxed`: they assign a number, and order no other memory access.
#[derive(Debug)]
pub(crate) struct LockId(AtomicUsize);

impl LockId {
    pub(crate) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Creates a second `LockId` with the same identity.
    #[cfg(feature = "alloc")]
    pub(crate) fn same(&self) -> Self {
        Self(AtomicUsize::new(self.get().get()))
    }

    /// Returns the identity, after assigning one if the lock has none yet.
    ///
    /// # Panics
    ///
    /// Panics when all values of `usize` have been used.
    #[track_caller]
    pub(crate) fn get(&self) -> NonZeroUsize {
        if let Some(id) = NonZeroUsize::new(self.0.load(Relaxed)) {
            return id;
        }
        static LAST: AtomicUsize = AtomicUsize::new(0);
        // `fetch_update` is not used, because newer compilers call that method `try_update`.
        let mut last = LAST.load(Relaxed);
        let new = loop {
            let next = last.checked_add(1);
            let next = next.expect("no more than `usize::MAX` locks can have had handles");
            match LAST.compare_exchange_weak(last, next, Relaxed, Relaxed) {
                Ok(_) => break next,
                Err(now) => last = now,
            }
        };
        let id = match self.0.compare_exchange(0, new, Relaxed, Relaxed) {
            Ok(_) => new,
            Err(theirs) => theirs,
        };
        NonZeroUsize::new(id).expect("identities begin with 1")
    }
}
