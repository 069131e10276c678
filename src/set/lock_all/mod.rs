//! Several locks and their data, each in a mode of its own, with the ordinary guards.

pub(crate) mod in_mode;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub(crate) mod in_mode_arc;
mod requests;
#[cfg(feature = "alloc")]
mod vectors;

pub(crate) use requests::sealed;
pub use requests::{CheckedLocks, LockRequest, LockRequests};

use core::future::Future;
use core::panic::Location;

use futures_core::FusedFuture;

use crate::error::TryLockAllError;
use crate::lock::MultiLock;
use crate::lock::cancel::first;
use crate::mode::Mode;
use crate::set::address_order::in_address_order;
use crate::set::all_or_nothing::{self, Acquiring, AddressOrdered, AllHeld};
use crate::set::told::Event;
use crate::sync::future::Fused;

/// Acquires several locks, each in a mode of its own, waiting asynchronously until they are
/// available together: all or nothing. Returns one guard for each lock, which gives access to its
/// data.
///
/// A request names a lock and a mode: [`RwLock::reading`](crate::RwLock::reading),
/// [`upgrading`](crate::RwLock::upgrading) and [`writing`](crate::RwLock::writing), and
/// [`MultiLock::in_mode`]. The forms with `_arc` return guards that own their lock. `requests` is
/// one of these:
///
/// * a tuple of up to twelve requests, which may differ in the type of the data and in the mode;
///   the output is a tuple of guards
/// * an array of requests of one type; the output is an array
/// * a slice or a vector of requests of one type; the output is a vector
///
/// The guards are the ordinary ones, and independent of each other: each of them can be mapped,
/// downgraded, upgraded and dropped by itself. To hold several locks without their data, use
/// [`acquire_all`](crate::acquire_all); to acquire the same locks again and again in one mode, use
/// a [`LockSet`](crate::LockSet). See [`guide::several_locks`](crate::guide::several_locks).
///
/// The acquisition waits while one of the locks has a holder that excludes the requested mode, or
/// a holder that upgrades. It holds none of the locks while it waits. While it waits for a lock in
/// exclusive mode, and that lock is held, newcomers to that lock wait, too. The notes on
/// [fairness](crate::LockSet#fairness) of `LockSet` apply here. The order of the requests makes no
/// difference. Without requests, the future is ready at its first poll.
///
/// Tuples and arrays allocate nothing. For a slice or a vector, the vector of guards is allocated.
/// To put `n` locks in order, and to look for duplicates, takes time in proportion to
/// `n`<sup>2</sup>, so use this function for a handful of locks.
///
/// # Cancel safety
///
/// The future may be dropped at any point. It then holds none of the locks, and has lost its place
/// in the queue. If it had been woken, its drop passes the wake-up on to the next waiter.
///
/// # Deadlocks
///
/// Tasks that acquire all of their locks in one call do not wait for each other in a circle, in
/// whatever order they name the locks. The wait may never end if the task already holds one of the
/// locks: see [`LockSet`](crate::LockSet#deadlocks).
///
/// An upgrade waits for the readers of its lock while the task holds the other locks. So two tasks
/// deadlock if each upgrades a lock that the other reads. Request write access instead.
///
/// # Panics
///
/// Panics at once, and not at the first poll, if two requests name the same lock, unless both are
/// shared. The message says at which positions they are, and in which modes. To get an error
/// instead, check the requests with [`CheckedLocks::new`]. If both are shared, the lock is acquired
/// twice, and each guard stands for one of the two acquisitions.
///
/// # Examples
///
/// A transfer between two accounts. Another task may transfer in the opposite direction.
///
/// ```
/// use multilock::{RwLock, lock_all};
///
/// async fn transfer(from: &RwLock<u64>, to: &RwLock<u64>, amount: u64) -> bool {
///     let (mut from, mut to) = lock_all((from.writing(), to.writing())).await;
///     let Some(rest) = from.checked_sub(amount) else { return false };
///     *from = rest;
///     *to += amount;
///     true
/// }
///
/// # futures_lite::future::block_on(async {
/// let (checking, savings) = (RwLock::new(100), RwLock::new(50));
/// assert!(transfer(&savings, &checking, 20).await);
/// assert!(!transfer(&savings, &checking, 40).await);
///
/// let total: u64 = lock_all([checking.reading(), savings.reading()]).await.iter().map(|it| **it).sum();
/// assert_eq!(total, 150);
/// # });
/// ```
///
/// Different data in different modes:
///
/// ```
/// use multilock::{RwLock, RwLockUpgradableReadGuard, lock_all};
///
/// # futures_lite::future::block_on(async {
/// let (limit, names, log) = (RwLock::new(1), RwLock::new(vec!["a"]), RwLock::new(String::new()));
/// let (limit, names, mut log) =
///     lock_all((limit.reading(), names.upgrading(), log.writing())).await;
/// if names.len() <= *limit {
///     log.push_str("b is added");
///     RwLockUpgradableReadGuard::upgrade(names).await.push("b");
/// }
/// # });
/// ```
#[track_caller]
pub fn lock_all<R: LockRequests>(requests: R) -> impl FusedFuture<Output = R::Guards> {
    assert_no_duplicate(&requests);
    let records = requests.records(Location::caller());
    Fused::<_, R>::new(async move {
        let requested = Requested(requests);
        let held = all_or_nothing::acquire(Acquiring::of_parts(&requested, records)).await;
        let (room, records) = detach(held);
        // SAFETY: the locks have been acquired, and nothing else releases them.
        unsafe { requested.0.into_guards(room, records) }
    })
}

/// Acquires several locks, each in a mode of its own, if that is possible now, and otherwise none.
/// Returns one guard for each lock. Never waits.
///
#[doc = text!(requests)]
///
/// # Errors
///
/// Returns [`TryLockAllError::WouldBlock`] if a lock cannot be acquired in its mode:
/// [`MultiLock::try_acquire`] lists the reasons. A reservation does not make the function fail.
///
/// Returns [`TryLockAllError::DuplicateLock`] if two requests name the same lock, unless both are
/// shared: such a call never succeeds.
///
/// No lock has changed in either case.
///
/// # Examples
///
/// ```
/// use multilock::{RwLock, TryLockAllError, try_lock_all};
///
/// let (a, b) = (RwLock::new(1), RwLock::new("b"));
/// let reader = b.try_read();
/// assert_eq!(try_lock_all((a.writing(), b.writing())).unwrap_err(), TryLockAllError::WouldBlock);
/// let (mut first, second) = try_lock_all((a.writing(), b.reading())).unwrap();
/// *first += second.len();
/// drop(reader);
/// ```
#[track_caller]
pub fn try_lock_all<R: LockRequests>(requests: R) -> Result<R::Guards, TryLockAllError> {
    requests.check()?;
    let acquired = guards_if_acquired(requests, Location::caller(), |acquiring| {
        all_or_nothing::try_acquire(acquiring)
    });
    acquired.ok_or(TryLockAllError::WouldBlock)
}

/// Acquires several locks, each in a mode of its own, unless `cancel` is ready first: all or
/// nothing. Returns one guard for each lock.
///
#[doc = text!(requests)]
///
#[doc = text!(set_waits)]
///
/// With a timer as `cancel`, this is an acquisition with a time limit, on any runtime. Each poll
/// tries to acquire the locks first, and polls `cancel` only if that fails. When `cancel` is ready,
/// the future tries once more, like [`try_lock_all`]. So if both are ready, the locks are acquired.
///
/// # Cancel safety
///
/// The future may be dropped at any point, and `cancel` is dropped with it. It then holds none of
/// the locks, and has lost its place in the queue. If it had been woken, its drop passes the
/// wake-up on to the next waiter.
///
/// # Deadlocks
///
/// If the task already holds one of the locks, the wait may end only when `cancel` is ready: see
/// [`LockSet`](crate::LockSet#deadlocks).
///
/// # Panics
///
/// Panics at once, and not at the first poll, if two requests name the same lock, unless both are
/// shared. To get an error instead, check the requests with [`CheckedLocks::new`].
///
/// # Errors
///
/// Returns the output of `cancel`. The acquisition has then lost its place in the queue, and holds
/// none of the locks.
///
/// # Examples
///
/// ```
/// use multilock::{RwLock, lock_all_or};
///
/// async fn swap(a: &RwLock<u32>, b: &RwLock<u32>, timer: impl Future<Output = ()>) {
///     match lock_all_or((a.writing(), b.writing()), timer).await {
///         Ok((mut a, mut b)) => std::mem::swap(&mut *a, &mut *b),
///         Err(()) => println!("too late"),
///     }
/// }
/// ```
#[track_caller]
pub fn lock_all_or<R: LockRequests, C: Future>(
    requests: R,
    cancel: C,
) -> impl Future<Output = Result<R::Guards, C::Output>> {
    assert_no_duplicate(&requests);
    let site = Location::caller();
    let (records, of_last_try) = (requests.records(site), requests.records(site));
    async move {
        let requested = Requested(requests);
        let acquiring = Acquiring::of_parts(&requested, records);
        let acquire = Fused::<_, &R>::new(all_or_nothing::acquire(acquiring));
        let held = match first(acquire, cancel).await {
            Err(output) => {
                let acquiring = Acquiring::of_parts(&requested, of_last_try);
                all_or_nothing::try_acquire(acquiring).ok_or(output)?
            }
            Ok(held) => held,
        };
        let (room, records) = detach(held);
        // SAFETY: the locks have been acquired, and nothing else releases them.
        Ok(unsafe { requested.0.into_guards(room, records) })
    }
}

#[track_caller]
pub(super) fn assert_no_duplicate(requests: &impl LockRequests) {
    if let Err(error) = requests.check() {
        panic!("{error}");
    }
}

/// Returns the guards of `requests`, which have no duplicates, if `acquire` acquires the locks.
pub(super) fn guards_if_acquired<R: LockRequests>(
    requests: R,
    site: &'static Location<'static>,
    acquire: impl FnOnce(Acquiring<&Requested<R>>) -> Option<AllHeld<&Requested<R>>>,
) -> Option<R::Guards> {
    let requested = Requested(requests);
    let (room, records) = detach(acquire(Acquiring::new(&requested, site))?);
    // SAFETY: the locks have been acquired, and nothing else releases them.
    Some(unsafe { requested.0.into_guards(room, records) })
}

/// Requests without duplicates.
pub(super) struct Requested<R>(R);

/// Makes room for the guards. From then on, the guards stand for the acquisitions of `held`.
///
/// An allocation may panic. Until that is over, unwinding releases all locks.
fn detach<R: LockRequests>(held: AllHeld<&Requested<R>>) -> (R::Room, R::Records) {
    let room = held.0.wanted.0.room();
    (room, held.detach().1)
}

impl<R: LockRequests> AddressOrdered for Requested<R> {
    fn in_address_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
        in_address_order(&self.0)
    }

    fn shares(&self, lock: &MultiLock) -> usize {
        let mut count = 0;
        self.0.for_each_given(|other, _| count += usize::from(core::ptr::eq(other, lock)));
        count - 1
    }

    type Records = R::Records;

    #[inline]
    fn records(&self, site: &'static Location<'static>) -> R::Records {
        self.0.records(site)
    }

    #[inline]
    fn tell(&self, records: &mut R::Records, event: Event) {
        self.0.tell(records, event);
    }
}
