//! Holds without a lifetime.

use core::cmp;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::num::NonZeroUsize;

use crate::mode::Mode;
use crate::sync::unmodelled::{AtomicUsize, Ordering::Relaxed};

/// A hold of a lock, detached from it: what [`Guard::into_handle`](crate::Guard::into_handle) gives.
///
/// It has no lifetime, so that it can be kept anywhere, sent anywhere, and released elsewhere, by
/// [`MultiLock::release`](crate::MultiLock::release) or
/// [`MultiLock::adopt`](crate::MultiLock::adopt). It is not `Clone`, so a hold is released once.
///
/// It does not know where its lock is: a handle that is dropped leaves the lock held for ever.
///
/// Handles are compared by their [`id`](Self::id).
#[must_use = "the lock stays held until the handle is released"]
pub struct Handle {
    id: HandleId,
    mode: Mode,
}

/// The name of a [`Handle`].
///
/// Unique among all handles that exist. On a 32-bit target a handle may meet its name again if it
/// stays while 2^32 others are made; its lock is told from others all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandleId {
    lock: NonZeroUsize,
    number: usize,
}

impl Handle {
    pub(crate) fn new(lock: NonZeroUsize, mode: Mode) -> Self {
        Self { id: HandleId::new(lock), mode }
    }

    /// The name of this handle.
    #[must_use]
    pub fn id(&self) -> HandleId {
        self.id
    }

    /// The mode that the lock is held in.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn is_of(&self, lock: &LockId) -> bool {
        lock.0.load(Relaxed) == self.id.lock.get()
    }
}

impl HandleId {
    /// A name that was not given before.
    pub(crate) fn new(lock: NonZeroUsize) -> Self {
        static NUMBERS: AtomicUsize = AtomicUsize::new(1);
        // ORDERING: Relaxed. A number, and nothing beside it.
        let number = NUMBERS.fetch_add(1, Relaxed);
        Self { lock, number }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("id", &self.id).field("mode", &self.mode).finish()
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Handle {}

impl PartialOrd for Handle {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Handle {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

impl Hash for Handle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Display for HandleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.lock, self.number)
    }
}

/// What a lock is known by, wherever it is moved. It has none until it needs one, and then one that
/// no other lock has had.
///
/// All its operations are `Relaxed`: they give a name, and nothing beside it.
#[derive(Debug)]
pub(crate) struct LockId(AtomicUsize);

impl LockId {
    pub(crate) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// The same name once more.
    pub(crate) fn same(&self) -> Self {
        Self(AtomicUsize::new(self.get().get()))
    }

    /// The name.
    ///
    /// # Panics
    ///
    /// When all of `usize` has been used.
    #[track_caller]
    pub(crate) fn get(&self) -> NonZeroUsize {
        if let Some(id) = NonZeroUsize::new(self.0.load(Relaxed)) {
            return id;
        }
        static LAST: AtomicUsize = AtomicUsize::new(0);
        // Not `fetch_update`, which newer compilers call `try_update`.
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
        NonZeroUsize::new(id).expect("names begin with 1")
    }
}
