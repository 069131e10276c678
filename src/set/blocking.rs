//! Sets that are acquired by blocked threads.

use core::panic::Location;
#[cfg(not(loom))]
use std::time::Duration;
use std::time::Instant;

use crate::mode::Mode;
use crate::set::acquire_all::{AllGuard, Wanted};
use crate::set::all_or_nothing::{
    self, Acquiring, AddressOrdered, AllHeld, try_all_once, try_newcomer,
};
use crate::set::lock_all::{LockRequests, assert_no_duplicate, guards_if_acquired};
use crate::set::lock_set::{LockSet, RecordsOf, SetGuard, Uniform};
use crate::set::lockable::Lockable;
use crate::set::told::Event;
use crate::sync::block::block_on;

/// Acquires all locks, blocking the thread until they are available together, or until `deadline`.
fn acquire<W: AddressOrdered>(
    acquiring: Acquiring<W>,
    deadline: Option<Instant>,
) -> Option<AllHeld<W>> {
    let wanted = &acquiring.wanted;
    if try_all_once(wanted) || spin_or_yield(wanted, deadline.is_none()) {
        return Some(AllHeld::acquired(acquiring, Event::Acquired));
    }
    block_on(all_or_nothing::acquire(acquiring), deadline)
}

/// Acquires all locks if they become available sooner than a thread could be put to sleep and woken.
#[cold]
fn spin_or_yield(wanted: &impl AddressOrdered, yields: bool) -> bool {
    match try_newcomer(wanted) {
        Ok(()) => true,
        Err((lock, mode)) => lock.raw.spin_or_yield(mode, yields, || try_all_once(wanted)),
    }
}

/// Acquires all locks in time. At `deadline`, tries once more.
#[cfg(not(loom))]
fn acquire_in_time<W: AddressOrdered + Copy>(
    wanted: W,
    site: &'static Location<'static>,
    deadline: Instant,
) -> Option<AllHeld<W>> {
    let acquired = match Instant::now() < deadline {
        true => acquire(Acquiring::new(wanted, site), Some(deadline)),
        false => None,
    };
    acquired.or_else(|| all_or_nothing::try_acquire(Acquiring::new(wanted, site)))
}

impl<L: Lockable> LockSet<L> {
    /// Acquires all members in `mode`, blocking the thread until they are available together.
    ///
    #[doc = text!(set_waits)]
    ///
    #[doc = text!(set_blocks)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(set_blocking_deadlocks)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let guard = set.acquire_blocking(Mode::Exclusive);
    /// assert!(locks.iter().all(|lock| lock.locked() == Some(Mode::Exclusive)));
    /// drop(guard);
    /// ```
    #[track_caller]
    pub fn acquire_blocking(&self, mode: Mode) -> SetGuard<'_, L, RecordsOf<L>> {
        let acquiring = Acquiring::new(Uniform::new(self, mode), Location::caller());
        SetGuard(acquire(acquiring, None).expect("there is no deadline"))
    }
}

#[cfg(not(loom))]
impl<L: Lockable> LockSet<L> {
    /// Acquires all members in `mode`, blocking the thread until they are available together, but
    /// no longer than `timeout`.
    ///
    /// Returns `None` if the time is over; then no member is held. A `timeout` of zero makes one
    /// try. If `timeout` is too long for the clock, there is no limit.
    ///
    #[doc = text!(set_waits)]
    ///
    #[doc = text!(set_blocks)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(set_deadlocks_in_time)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    /// use std::time::Duration;
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let member = locks[1].try_acquire(Mode::Shared);
    /// let limit = Duration::from_millis(1);
    /// assert!(set.acquire_blocking_timeout(Mode::Exclusive, limit).is_none());
    /// drop(member);
    /// assert!(set.acquire_blocking_timeout(Mode::Exclusive, limit).is_some());
    /// ```
    #[doc(alias = "acquire_timeout")]
    #[must_use = "the locks are released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    #[track_caller]
    pub fn acquire_blocking_timeout(
        &self,
        mode: Mode,
        timeout: Duration,
    ) -> Option<SetGuard<'_, L, RecordsOf<L>>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.acquire_blocking_deadline(mode, deadline),
            None => Some(self.acquire_blocking(mode)),
        }
    }

    /// Acquires all members in `mode`, blocking the thread until they are available together, but
    /// no longer than until `deadline`.
    ///
    /// Returns `None` if the time is over; then no member is held. If `deadline` has already
    /// passed, the method makes one try.
    ///
    #[doc = text!(set_waits)]
    ///
    #[doc = text!(set_blocks)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(set_deadlocks_in_time)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    /// use std::time::{Duration, Instant};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// let guard = set.acquire_blocking_deadline(Mode::Shared, deadline).unwrap();
    /// assert!(set.acquire_blocking_deadline(Mode::Exclusive, deadline).is_none());
    /// drop(guard);
    /// ```
    #[doc(alias = "acquire_deadline")]
    #[must_use = "the locks are released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    #[track_caller]
    pub fn acquire_blocking_deadline(
        &self,
        mode: Mode,
        deadline: Instant,
    ) -> Option<SetGuard<'_, L, RecordsOf<L>>> {
        acquire_in_time(Uniform::new(self, mode), Location::caller(), deadline).map(SetGuard)
    }
}

/// Acquires several locks, each in a mode of its own, blocking the thread until they are available
/// together.
///
/// A lock that is given twice is acquired once, in the stronger of the modes.
///
#[doc = text!(set_waits)]
///
#[doc = text!(set_blocks)]
///
/// # Deadlocks
///
#[doc = text!(set_blocking_deadlocks)]
///
/// # Examples
///
/// ```
/// use multilock::{Mode, MultiLock, acquire_all_blocking};
///
/// let (from, to) = (MultiLock::new(), MultiLock::new());
/// let both = acquire_all_blocking([(&from, Mode::Shared), (&to, Mode::Exclusive)]);
/// assert_eq!(from.locked(), Some(Mode::Shared));
/// assert_eq!(to.locked(), Some(Mode::Exclusive));
/// drop(both);
/// ```
#[track_caller]
pub fn acquire_all_blocking<W: Wanted>(wanted: W) -> AllGuard<W, W::Records> {
    let acquiring = Acquiring::new(wanted, Location::caller());
    AllGuard(acquire(acquiring, None).expect("there is no deadline"))
}

/// Acquires several locks, each in a mode of its own, blocking the thread until they are available
/// together: all or nothing. Returns one guard for each lock, which gives access to its data.
///
#[doc = text!(requests)]
///
#[doc = text!(set_waits)]
///
#[doc = text!(set_blocks)]
///
/// # Deadlocks
///
/// Threads that acquire all of their locks in one call do not wait for each other in a circle, in
/// whatever order they name the locks, unless they upgrade: see [`lock_all`](crate::lock_all). The wait may never
/// end if the thread already holds one of the locks: see [`LockSet`](LockSet#deadlocks). A call
/// from async code deadlocks if a holder needs the blocked thread in order to go on.
///
/// # Panics
///
/// Panics if two requests name the same lock, unless both are shared. To get an error instead,
/// check the requests with [`CheckedLocks::new`](crate::CheckedLocks::new).
///
/// # Examples
///
/// ```
/// use multilock::{RwLock, lock_all_blocking};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let [mut first, mut second] = lock_all_blocking([a.writing(), b.writing()]);
/// std::mem::swap(&mut *first, &mut *second);
/// assert_eq!((*first, *second), (2, 1));
/// ```
#[track_caller]
#[must_use = "the locks are released when the guards are dropped: keep them with `let _guards =`, not with `let _ =`"]
pub fn lock_all_blocking<R: LockRequests>(requests: R) -> R::Guards {
    assert_no_duplicate(&requests);
    let site = Location::caller();
    let guards = guards_if_acquired(requests, site, |acquiring| acquire(acquiring, None));
    guards.expect("there is no deadline")
}

/// Acquires several locks, each in a mode of its own, blocking the thread until they are available
/// together, but no longer than `timeout`: all or nothing. Returns one guard for each lock.
///
/// Returns `None` if the locks were not available in time; then none of them is held. At the end of
/// `timeout` the function tries once more, like [`try_lock_all`](crate::try_lock_all). If `timeout`
/// is zero, the function does not block. If `timeout` is too long for the clock, there is no limit.
///
#[doc = text!(requests)]
///
#[doc = text!(set_waits)]
///
#[doc = text!(set_blocks)]
///
/// # Deadlocks
///
#[doc = text!(set_deadlocks_in_time)]
///
/// # Panics
///
/// Panics if two requests name the same lock, unless both are shared. To get an error instead,
/// check the requests with [`CheckedLocks::new`](crate::CheckedLocks::new).
///
/// # Examples
///
/// ```
/// use multilock::{RwLock, lock_all_blocking_timeout};
/// use std::time::Duration;
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let reader = b.try_read();
/// let limit = Duration::from_millis(1);
/// assert!(lock_all_blocking_timeout((a.writing(), b.writing()), limit).is_none());
/// drop(reader);
/// let (mut first, second) = lock_all_blocking_timeout((a.writing(), b.reading()), limit).unwrap();
/// *first += *second;
/// ```
#[cfg(not(loom))]
#[track_caller]
#[must_use = "the locks are released when the guards are dropped: keep them with `let _guards =`, not with `let _ =`"]
pub fn lock_all_blocking_timeout<R: LockRequests>(
    requests: R,
    timeout: Duration,
) -> Option<R::Guards> {
    match Instant::now().checked_add(timeout) {
        Some(deadline) => lock_all_blocking_deadline(requests, deadline),
        None => Some(lock_all_blocking(requests)),
    }
}

/// Acquires several locks, each in a mode of its own, blocking the thread until they are available
/// together, but no longer than until `deadline`: all or nothing. Returns one guard for each lock.
///
/// Returns `None` if the locks were not available in time; then none of them is held. At `deadline`
/// the function tries once more, like [`try_lock_all`](crate::try_lock_all). If `deadline` has
/// already passed, the function does not block.
///
#[doc = text!(requests)]
///
#[doc = text!(set_waits)]
///
#[doc = text!(set_blocks)]
///
/// # Deadlocks
///
#[doc = text!(set_deadlocks_in_time)]
///
/// # Panics
///
/// Panics if two requests name the same lock, unless both are shared. To get an error instead,
/// check the requests with [`CheckedLocks::new`](crate::CheckedLocks::new).
///
/// # Examples
///
/// ```
/// use multilock::{Mode, MultiLock, RwLock, lock_all_blocking_deadline};
/// use std::time::{Duration, Instant};
///
/// let (order, data) = (MultiLock::new(), RwLock::new(2));
/// let deadline = Instant::now() + Duration::from_secs(1);
/// let requests = (order.in_mode(Mode::Exclusive), data.writing());
/// let (_alone, mut number) = lock_all_blocking_deadline(requests, deadline).expect("in time");
/// *number += 1;
/// ```
#[cfg(not(loom))]
#[track_caller]
#[must_use = "the locks are released when the guards are dropped: keep them with `let _guards =`, not with `let _ =`"]
pub fn lock_all_blocking_deadline<R: LockRequests>(
    requests: R,
    deadline: Instant,
) -> Option<R::Guards> {
    assert_no_duplicate(&requests);
    let site = Location::caller();
    guards_if_acquired(requests, site, |acquiring| {
        let (wanted, _) = acquiring.detach();
        acquire_in_time(wanted, site, deadline)
    })
}
