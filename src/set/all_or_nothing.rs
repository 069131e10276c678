//! The acquisition of a set of locks: all or nothing. The set holds no lock while it waits.
//!
//! 1. The set *looks* at all locks. If one cannot be acquired, the set leaves the others alone.
//! 2. The set *acquires* the locks, in the order of their addresses. If it has lost one meanwhile,
//!    it releases those that it has acquired. Two sets that try at the same time do not fail
//!    because of each other forever: the set that is furthest along in that order can lose a lock
//!    only to a holder.
//! 3. The set *waits* in the queue of the lock that was unavailable, the *blocker*, as any other
//!    waiter does. When it is woken there, it tries again, and enters that lock as a notified
//!    waiter. If another lock is the blocker then, the set is *turned away*: it passes the wake-up
//!    on, and waits for that other lock.
//! 4. A set that was turned away [`RESERVE_AFTER`](super::retry::RESERVE_AFTER) times *reserves*
//!    the locks that come before the one that it waits for. Newcomers and waiters of the reserved
//!    locks defer to the set. So these locks stay free until the set has come to the last one.
//!
//! What happens between two tries is in [`retry`](super::retry), and the reservations are in
//! [`reservations`](super::reservations).

use core::future::poll_fn;
use core::iter;
use core::mem::{self, ManuallyDrop};
use core::panic::Location;
use core::pin::{Pin, pin};
use core::ptr;
use core::task::{Context, Poll};

use crate::lock::{MultiLock, Waiter};
use crate::mode::Mode;
use crate::raw::state::{Snapshot, Transition};
use crate::set::reservations::{NEWCOMER, Reservations};
use crate::set::retry::{Retry, RetryPolicy};
use crate::set::told::Event;
use crate::sync::future::yield_once;
use crate::sync::unwind::for_each;

/// Locks that are acquired as one. Public only as the sealed supertrait of `Wanted`.
pub trait AddressOrdered {
    /// Yields each lock once, in the order of the addresses, with the strongest mode that is wanted
    /// of it.
    #[doc(hidden)]
    fn in_address_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)>;

    /// Returns how many acquisitions of `lock` are wanted beside the first. All of them are shared.
    #[doc(hidden)]
    #[inline]
    fn shares(&self, _lock: &MultiLock) -> usize {
        0
    }

    /// What the observers of the locks are told of an acquisition.
    #[doc(hidden)]
    type Records: Send + Sync;

    /// Returns the records of an acquisition that the observers know nothing of.
    #[doc(hidden)]
    fn records(&self, site: &'static Location<'static>) -> Self::Records;

    /// Tells the observers.
    #[doc(hidden)]
    fn tell(&self, records: &mut Self::Records, event: Event);
}

impl<W: AddressOrdered + ?Sized> AddressOrdered for &W {
    type Records = W::Records;

    #[inline]
    fn records(&self, site: &'static Location<'static>) -> W::Records {
        (**self).records(site)
    }

    #[inline]
    fn tell(&self, records: &mut W::Records, event: Event) {
        (**self).tell(records, event);
    }

    fn in_address_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
        (**self).in_address_order()
    }

    #[inline]
    fn shares(&self, lock: &MultiLock) -> usize {
        (**self).shares(lock)
    }
}

/// Returns the position of a lock in the order of all locks.
pub(crate) fn address(lock: &MultiLock) -> usize {
    ptr::from_ref(lock).addr()
}

/// An acquisition of all locks of `W`, as their observers know it. Its drop tells them of the end.
///
/// `R` is what they know. As that of `W`, it would make the guard of a set invariant in the lifetime of its locks.
pub(crate) struct Acquiring<W: AddressOrdered<Records = R>, R = <W as AddressOrdered>::Records> {
    pub(crate) wanted: W,
    records: R,
}

impl<W: AddressOrdered> Acquiring<W> {
    #[inline]
    pub(crate) fn new(wanted: W, site: &'static Location<'static>) -> Self {
        let records = wanted.records(site);
        Self { wanted, records }
    }

    /// Returns an acquisition of which the observers were told before.
    #[inline]
    pub(crate) fn of_parts(wanted: W, records: W::Records) -> Self {
        Self { wanted, records }
    }

    /// Stops to tell the observers, of an acquisition that goes on.
    #[inline]
    pub(crate) fn detach(self) -> (W, W::Records) {
        let this = ManuallyDrop::new(self);
        // SAFETY: the pointers come from references. `this` is neither used nor dropped after the reads, so the values
        // that are read are the only ones.
        unsafe { (ptr::read(&this.wanted), ptr::read(&this.records)) }
    }

    #[inline]
    pub(crate) fn tell(&mut self, event: Event) {
        self.wanted.tell(&mut self.records, event);
    }
}

impl<W: AddressOrdered<Records = R>, R> Drop for Acquiring<W, R> {
    #[inline]
    fn drop(&mut self) {
        self.tell(Event::Ended);
    }
}

/// Holds all locks of `W`, and releases them when dropped.
pub(crate) struct AllHeld<W: AddressOrdered<Records = R>, R = <W as AddressOrdered>::Records>(
    pub(crate) Acquiring<W, R>,
);

impl<W: AddressOrdered> AllHeld<W> {
    /// Tells the observers that all locks were acquired.
    #[inline]
    pub(super) fn acquired(acquiring: Acquiring<W>, event: Event) -> Self {
        let mut held = Self(acquiring);
        held.0.tell(event);
        held
    }

    /// Returns the acquisition, which is not released any more.
    #[inline]
    pub(crate) fn detach(self) -> (W, W::Records) {
        let this = ManuallyDrop::new(self);
        // SAFETY: as in `Acquiring::detach`.
        unsafe { ptr::read(&this.0) }.detach()
    }
}

impl<W: AddressOrdered<Records = R>, R> Drop for AllHeld<W, R> {
    #[inline]
    fn drop(&mut self) {
        release_all(&self.0.wanted);
    }
}

/// Releases all locks of `W` when dropped, and tells no observer.
struct ReleaseOnDrop<'a, W: AddressOrdered>(&'a W);

impl<W: AddressOrdered> Drop for ReleaseOnDrop<'_, W> {
    fn drop(&mut self) {
        release_all(self.0);
    }
}

/// Releases all locks, the last one first.
#[inline]
fn release_all(wanted: &impl AddressOrdered) {
    let locks = wanted.in_address_order().rev();
    let mut left =
        locks.filter_map(|(lock, mode)| leave(wanted, lock, mode).map(|change| (lock, change)));
    if let Some(first) = left.next() {
        wake_in_batches(iter::once(first).chain(left));
    }
}

/// The waiters of how many locks a guard wakes together.
const BATCH: usize = 4;

/// Wakes the waiters of each lock that `left` yields when it has been released. This begins when all
/// are released, or so many that a batch of them has waiters. So a set that is woken finds the other
/// locks free.
///
/// In a batch, the waiters of the first lock are woken first: a set waits at the first lock that was
/// unavailable.
#[cold]
#[inline(never)]
fn wake_in_batches<'a>(mut left: impl Iterator<Item = (&'a MultiLock, Transition)>) {
    let (mut batch, mut len) = ([None; BATCH], 0);
    let next = || {
        if len == 0 {
            for change in left.by_ref().take(BATCH) {
                batch[len] = Some(change);
                len += 1;
            }
        }
        len = len.checked_sub(1)?;
        batch[len]
    };
    // If a waker panics, `for_each` goes on with the rest.
    for_each(iter::from_fn(next), |(lock, change)| lock.raw.wake(change));
}

/// Acquires `lock`, which was acquired once in shared mode, as often as it is wanted.
///
/// Another try would fail behind an exclusive waiter. A share does not, as any holder may share. It
/// fails beside an upgrade that began meanwhile, and at the limit of holders. The lock is then
/// released. One below the limit, the set tries again at each poll, until another holder leaves.
#[inline]
fn share(wanted: &impl AddressOrdered, lock: &MultiLock) -> bool {
    match (0..wanted.shares(lock)).find(|_| !lock.raw.share()) {
        None => true,
        Some(shared) => {
            for_each(0..=shared, |_| lock.raw.release(Mode::Shared));
            false
        }
    }
}

/// Releases all acquisitions of `lock`. If there is one, returns the change for which waiters may
/// have to be woken.
#[inline]
fn leave(wanted: &impl AddressOrdered, lock: &MultiLock, mode: Mode) -> Option<Transition> {
    let shares = wanted.shares(lock);
    if shares > 0 {
        for_each(0..=shares, |_| lock.raw.release(mode));
        return None;
    }
    lock.raw.leave(mode)
}

/// Releases the locks that come before `blocker`, the last one first.
#[cold]
#[inline(never)]
fn release_before(wanted: &impl AddressOrdered, blocker: &MultiLock) {
    let locks = wanted.in_address_order().rev();
    let acquired = locks.skip_while(|lock| !ptr::eq(lock.0, blocker)).skip(1);
    for_each(acquired, |(lock, mode)| {
        if let Some(change) = leave(wanted, lock, mode) {
            lock.raw.wake(change);
        }
    });
}

/// The lock that was unavailable, and the mode that was wanted of it.
pub(super) type Blocker<'a> = (&'a MultiLock, Mode);

/// Returns the first lock that `admits` refuses.
fn first_blocker(
    wanted: &impl AddressOrdered,
    admits: impl Fn(&MultiLock, Mode) -> bool,
) -> Option<Blocker<'_>> {
    wanted.in_address_order().find(|&(lock, mode)| !admits(lock, mode))
}

/// Acquires all locks, or none. Returns the lock that was unavailable if there is one.
///
/// `queued` is the lock at which the caller waits, and whether the caller was woken there. The
/// caller enters that lock as such a waiter, and any other lock if `admits` allows it. `waiter` is
/// the id of the caller: it defers to the reservations of other waiters. With `None` it does not
/// defer.
fn try_all<'a>(
    wanted: &'a impl AddressOrdered,
    admits: impl Fn(Snapshot, Mode) -> bool,
    queued: Option<(&MultiLock, bool)>,
    waiter: Option<usize>,
) -> Result<(), Blocker<'a>> {
    let is_queued = |lock| queued.is_some_and(|(queued, _)| ptr::eq(queued, lock));
    let is_woken = |lock| queued.is_some_and(|(queued, woken)| woken && ptr::eq(queued, lock));
    let may = |lock: &MultiLock, mode| {
        let (word, woken) = (lock.snapshot(), is_woken(lock));
        let could =
            if is_queued(lock) { word.admits_waiter(mode, woken) } else { admits(word, mode) };
        waiter.map_or(could, |waiter| lock.raw.may_enter(waiter, mode, woken, could))
    };
    if let Some(blocker) = first_blocker(wanted, may) {
        return Err(blocker);
    }
    // The owner of a reservation enters as a notified waiter: an exclusive waiter that defers to it
    // must not keep it out.
    let is_owner = |lock: &MultiLock| waiter.is_some_and(|waiter| lock.raw.is_reserved_for(waiter));
    let enter = |lock: &MultiLock, mode| {
        let woken = is_woken(lock);
        let entered = !woken && lock.raw.try_acquire(mode)
            || (woken || is_owner(lock)) && lock.raw.acquire_notified(mode);
        entered && share(wanted, lock)
    };
    match first_blocker(wanted, enter) {
        None => Ok(()),
        Some(blocker) => {
            release_before(wanted, blocker.0);
            Err(blocker)
        }
    }
}

/// Acquires all locks, or none, for a newcomer, by one attempt. It may fail for no reason: then
/// [`try_all`] follows.
#[inline]
pub(super) fn try_all_once(wanted: &impl AddressOrdered) -> bool {
    let may = |lock: &MultiLock, mode| lock.snapshot().admits_newcomer(mode);
    if first_blocker(wanted, may).is_some() {
        return false;
    }
    let enter = |lock: &MultiLock, mode| lock.raw.try_acquire_once(mode) && share(wanted, lock);
    let blocker = first_blocker(wanted, enter);
    if let Some((lock, _)) = blocker {
        release_before(wanted, lock);
    }
    blocker.is_none()
}

/// Acquires all locks, or none, for a newcomer.
#[cold]
#[inline(never)]
pub(super) fn try_newcomer<W: AddressOrdered>(wanted: &W) -> Result<(), Blocker<'_>> {
    try_all(wanted, Snapshot::admits_newcomer, None, None)
}

/// Spins for a moment, if that has paid off at `blocker`. Returns whether all locks were acquired.
fn spin(wanted: &impl AddressOrdered, blocker: &MultiLock) -> bool {
    #[cfg(feature = "std")]
    return blocker.raw.spin(false, || try_all_once(wanted));
    #[cfg(not(feature = "std"))]
    {
        let _ = (wanted, blocker);
        false
    }
}

/// Acquires all locks if that is possible now, and otherwise none.
pub(crate) fn try_acquire<W: AddressOrdered>(acquiring: Acquiring<W>) -> Option<AllHeld<W>> {
    let acquired = try_all(&acquiring.wanted, Snapshot::admits, None, None).is_ok();
    acquired.then(|| AllHeld::acquired(acquiring, Event::Tried))
}

/// Acquires all locks, waiting until they are available together.
pub(crate) async fn acquire<W: AddressOrdered>(mut acquiring: Acquiring<W>) -> AllHeld<W> {
    if !try_all_once(&acquiring.wanted) {
        if let Err(blocker) = try_newcomer(&acquiring.wanted) {
            acquiring.wanted.tell(&mut acquiring.records, Event::Waits);
            let mut slow = pin!(acquire_slow(&acquiring.wanted, blocker));
            poll_fn(|cx| poll_cold(slow.as_mut(), cx)).await;
        }
    }
    AllHeld::acquired(acquiring, Event::Acquired)
}

/// Polls a future that is seldom needed. The function is never inlined, so that the code of the
/// future stays out of the common path.
#[cold]
#[inline(never)]
fn poll_cold<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(cx)
}

/// Acquires all locks, for a newcomer that `blocker` has kept out.
///
/// The loop is in one function: a nested future would repeat its arguments in the future of the
/// set.
async fn acquire_slow<W: AddressOrdered>(wanted: &W, mut blocker: Blocker<'_>) {
    // A. Yield one poll if a waiter was overtaken at the blocker, and try again. Otherwise spin where
    // that has paid off at the blocker.
    if Retry::behind_overtaken(blocker).is_due().await {
        match try_all(wanted, Snapshot::admits, None, Some(NEWCOMER)) {
            Ok(()) => return,
            Err(next) => blocker = next,
        }
    } else if spin(wanted, blocker.0) {
        return;
    }
    // B. Wait at the blocker.
    let mut policy = RetryPolicy::NEW;
    let mut reservations = Reservations::none(wanted);
    let mut waiter = pin!(None);
    reservations.owner = join_queue(waiter.as_mut(), blocker, policy);
    let all = loop {
        // C. Try when woken, or when polled while the blocker happens to be free.
        let woken = poll_fn(|cx| queued(waiter.as_mut()).poll_notified(cx)).await;
        let (at, id) = (Some((blocker.0, woken)), Some(reservations.owner));
        let mut result = try_all(wanted, policy.admits(), at, id);
        if let Err(next) = result {
            if policy.retry(next, blocker.0).is_due().await {
                result = try_all(wanted, Snapshot::admits, at, id);
            }
        }
        match result {
            Ok(()) => {
                // If a waker that is dropped panics, unwinding releases all locks.
                let all = ReleaseOnDrop(wanted);
                queued(waiter.as_mut()).leave();
                break all;
            }
            Err(next) if !ptr::eq(next.0, blocker.0) => {
                // D. Turned away: pass the wake-up on, and wait at the other lock.
                waiter.set(None);
                policy.turn_away();
                if policy.reserves() {
                    reservations.reserve_before(next.0);
                }
                blocker = next;
                reservations.owner = join_queue(waiter.as_mut(), blocker, policy);
            }
            Err((lock, mode)) if lock.snapshot().admits_waiter(mode, woken) => {
                // The set defers to a reservation here, or had to until just now. It keeps its
                // wake-up, which it may have to pass on.
                if woken {
                    queued(waiter.as_mut()).defer();
                }
                yield_once().await;
            }
            // It waits on. If it was woken, it was overtaken, unless the lock is free again.
            Err(_) => {}
        }
    };
    // E. The waiter has left its queue, and the end of a reservation wakes no waiter.
    waiter.set(None);
    drop(reservations);
    mem::forget(all);
}

/// Makes the waiter of a set that waits at `blocker`, and returns its id. The waiter is queued when
/// it is polled. If the set was turned away before, an exclusive waiter is queued in front of those
/// that were not overtaken.
fn join_queue<'a>(
    mut waiter: Pin<&mut Option<Waiter<'a>>>,
    (lock, mode): Blocker<'a>,
    policy: RetryPolicy,
) -> usize {
    waiter.set(Some(Waiter::new(&lock.raw, mode, false)));
    if policy.was_turned_away() {
        queued(waiter.as_mut()).set_overtaken();
    }
    queued(waiter).id()
}

/// Returns the waiter of a set that waits.
fn queued<'p, 'a>(waiter: Pin<&'p mut Option<Waiter<'a>>>) -> Pin<&'p mut Waiter<'a>> {
    waiter.as_pin_mut().expect("the set waits at a lock")
}
