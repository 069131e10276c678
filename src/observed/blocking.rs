//! Acquisitions that block the thread.

use core::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lock::MultiLock as Plain;
use crate::lock::guard::Guard as PlainGuard;
use crate::mode::Mode;
use crate::observed::owned::outliving;
use crate::observed::told::{Event, Hold, LockPtr};
use crate::observed::wait::FromPlain;
use crate::observed::{Guard, GuardArc, MultiLock, Observer};
use crate::rwlock::condition::check;
use crate::sync::block::block_on;

/// When to give up. `None` is never.
pub(super) type Limit = Option<Instant>;

/// Returns the limit of a wait. A timeout that is too long for the clock is none.
pub(super) fn after(timeout: Duration) -> Limit {
    Instant::now().checked_add(timeout)
}

impl<P: LockPtr> Hold<P> {
    /// Acquires the lock without an observer, blocking the thread, and tells the observer of a wait.
    pub(super) fn block(&mut self, mode: Mode, limit: Limit) -> bool {
        let Self { lock, told } = self;
        let lock = lock.observed();
        lock.lock.raw.acquire_blocking_observed(mode, limit, || told.tell(lock, Event::Waits))
    }
}

/// Acquires the lock without an observer as often as it takes, until `condition` holds.
pub(super) fn when_blocking<P: LockPtr, G: Deref>(
    hold: &mut Hold<P>,
    mode: Mode,
    limit: Limit,
    lock: &Plain,
    new: impl Fn() -> G,
    condition: &mut impl FnMut(&G::Target) -> bool,
    release: fn(G),
) -> Option<G> {
    let (mut watcher, mut in_time) = (None, true);
    loop {
        if !hold.block(mode, limit) {
            return None;
        }
        let guard = check(lock, new(), condition, &mut watcher, release);
        if guard.is_some() || !in_time {
            return guard;
        }
        if let Some(watcher) = &watcher {
            hold.tell(Event::Waits);
            in_time = block_on(watcher.wait(), limit).is_some();
        }
    }
}

impl<O: Observer> MultiLock<O> {
    /// Acquires the lock in `mode`, blocking the thread until the lock is available.
    ///
    #[doc = text!(waits)]
    ///
    #[doc = text!(blocks)]
    ///
    /// The observer is told of a wait when the thread enters the queue.
    ///
    /// # Deadlocks
    ///
    #[doc = text!(blocking_deadlocks)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    ///
    /// let lock = MultiLock::<()>::new();
    /// let guard = lock.acquire_blocking(Mode::Shared);
    /// assert_eq!(guard.mode(), Mode::Shared);
    /// ```
    #[inline]
    #[track_caller]
    pub fn acquire_blocking(&self, mode: Mode) -> Guard<'_, O> {
        let mut hold = Hold::new(self, mode);
        hold.block(mode, None);
        Guard::from_plain(PlainGuard::new(&self.lock, mode), hold)
    }

    /// Acquires the lock in `mode`, blocking the thread until the lock is available, but no longer than `timeout`.
    ///
    /// Returns `None` if the lock was not available in time. At the end of `timeout` the method tries once more. If
    /// `timeout` is zero, the method does not block. If `timeout` is too long for the clock, there is no limit. The
    /// observer is told of one acquisition.
    ///
    #[doc = text!(waits)]
    ///
    #[doc = text!(blocks_in_time)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(deadlocks_in_time)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::time::Duration;
    ///
    /// let lock = MultiLock::<()>::new();
    /// let _shared = lock.acquire_blocking(Mode::Shared);
    /// assert!(lock.acquire_blocking_timeout(Mode::Exclusive, Duration::from_millis(1)).is_none());
    /// ```
    #[track_caller]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn acquire_blocking_timeout(&self, mode: Mode, timeout: Duration) -> Option<Guard<'_, O>> {
        let mut hold = Hold::new(self, mode);
        let acquired = hold.block(mode, after(timeout));
        acquired.then(|| Guard::from_plain(PlainGuard::new(&self.lock, mode), hold))
    }

    /// Acquires the lock in `mode`, blocking the thread until the lock is available, but no longer than until `deadline`.
    ///
    /// Returns `None` if the lock was not available in time. At `deadline` the method tries once more. If `deadline` has
    /// already passed, the method does not block. The observer is told of one acquisition.
    ///
    #[doc = text!(waits)]
    ///
    #[doc = text!(blocks_in_time)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(deadlocks_in_time)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::time::{Duration, Instant};
    ///
    /// let lock = MultiLock::<()>::new();
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// let _shared = lock.acquire_blocking(Mode::Shared);
    /// assert!(lock.acquire_blocking_deadline(Mode::Exclusive, deadline).is_none());
    /// ```
    #[track_caller]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn acquire_blocking_deadline(&self, mode: Mode, deadline: Instant) -> Option<Guard<'_, O>> {
        let mut hold = Hold::new(self, mode);
        let acquired = hold.block(mode, Some(deadline));
        acquired.then(|| Guard::from_plain(PlainGuard::new(&self.lock, mode), hold))
    }

    /// Acquires the lock in `mode`, blocking the thread until the lock is available. Returns a guard that is `'static`.
    ///
    /// The guard owns a clone of the `Arc`.
    ///
    #[doc = text!(waits)]
    ///
    #[doc = text!(blocks)]
    ///
    /// The observer is told of a wait when the thread enters the queue.
    ///
    /// # Deadlocks
    ///
    #[doc = text!(blocking_deadlocks)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let guard = lock.acquire_blocking_arc(Mode::Shared);
    /// assert_eq!(guard.mode(), Mode::Shared);
    /// ```
    #[inline]
    #[track_caller]
    pub fn acquire_blocking_arc(self: &Arc<Self>, mode: Mode) -> GuardArc<O> {
        let mut hold = Hold::new(self.clone(), mode);
        hold.block(mode, None);
        // SAFETY: the guard contains a clone of the `Arc`, which is dropped after the rest.
        GuardArc::from_plain(PlainGuard::new(unsafe { outliving(self) }, mode), hold)
    }

    /// Acquires the lock in `mode`, blocking the thread until the lock is available, but no longer than `timeout`. Returns a guard that is `'static`.
    ///
    /// The guard owns a clone of the `Arc`.
    ///
    /// Returns `None` if the lock was not available in time. At the end of `timeout` the method tries once more. If
    /// `timeout` is zero, the method does not block. If `timeout` is too long for the clock, there is no limit. The
    /// observer is told of one acquisition.
    ///
    #[doc = text!(waits)]
    ///
    #[doc = text!(blocks_in_time)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(deadlocks_in_time)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let _shared = lock.acquire_blocking_arc(Mode::Shared);
    /// assert!(lock.acquire_blocking_timeout_arc(Mode::Exclusive, Duration::from_millis(1)).is_none());
    /// ```
    #[track_caller]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn acquire_blocking_timeout_arc(
        self: &Arc<Self>,
        mode: Mode,
        timeout: Duration,
    ) -> Option<GuardArc<O>> {
        let mut hold = Hold::new(self.clone(), mode);
        let acquired = hold.block(mode, after(timeout));
        // SAFETY: the guard contains a clone of the `Arc`, which is dropped after the rest.
        acquired
            .then(|| GuardArc::from_plain(PlainGuard::new(unsafe { outliving(self) }, mode), hold))
    }

    /// Acquires the lock in `mode`, blocking the thread until the lock is available, but no longer than until `deadline`. Returns a guard that is `'static`.
    ///
    /// The guard owns a clone of the `Arc`.
    ///
    /// Returns `None` if the lock was not available in time. At `deadline` the method tries once more. If `deadline` has
    /// already passed, the method does not block. The observer is told of one acquisition.
    ///
    #[doc = text!(waits)]
    ///
    #[doc = text!(blocks_in_time)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(deadlocks_in_time)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::MultiLock;
    /// use std::sync::Arc;
    /// use std::time::{Duration, Instant};
    ///
    /// let lock = Arc::new(MultiLock::<()>::new());
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// let _shared = lock.acquire_blocking_arc(Mode::Shared);
    /// assert!(lock.acquire_blocking_deadline_arc(Mode::Exclusive, deadline).is_none());
    /// ```
    #[track_caller]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn acquire_blocking_deadline_arc(
        self: &Arc<Self>,
        mode: Mode,
        deadline: Instant,
    ) -> Option<GuardArc<O>> {
        let mut hold = Hold::new(self.clone(), mode);
        let acquired = hold.block(mode, Some(deadline));
        // SAFETY: the guard contains a clone of the `Arc`, which is dropped after the rest.
        acquired
            .then(|| GuardArc::from_plain(PlainGuard::new(unsafe { outliving(self) }, mode), hold))
    }
}
