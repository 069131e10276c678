//! The acquisition of a set of locks: all or nothing. The set holds nothing while it waits.
//!
//! 1. The set *looks* at all locks. If one cannot be acquired, the set leaves the others alone.
//! 2. The set *takes* the locks, in the order of their addresses. If it has lost one meanwhile, it
//!    releases the others. Two sets that try at the same time do not fail because of each other
//!    forever: the set that is furthest along in that order can lose a lock only to a holder.
//! 3. The set *waits* in the queue of the lock that was unavailable, the *blocker*, as any other
//!    waiter does. When it is woken there, it begins again, and the wake-up counts for that lock.
//!    If another lock is the blocker then, the set is *turned away*: it passes the wake-up on, and
//!    waits for that other lock.
//! 4. A set that was turned away [`TURNS`] times *reserves* the locks that come before the one that
//!    it waits for, one after the other, in the order of their addresses. Newcomers and waiters of
//!    the reserved locks defer to the set. So these locks stay free until the set has come to the
//!    last one.
//!
//! A reservation ends after a bounded moment. Otherwise a task that holds one lock, and waits for
//! another one that is reserved, would wait forever. All sets reserve in the same order. So no set
//! waits for a lock that a second set has reserved, while the first has reserved the lock that the
//! second waits for.

use core::future::poll_fn;
use core::mem;
use core::pin::{Pin, pin};
use core::ptr;
use core::task::{Context, Poll};

use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::raw::state::Snapshot;
use crate::raw::{Waiter, stand_back};
use crate::set::reservations::{NEWCOMER, Reserved, TURNS};

/// Locks to acquire as one.
pub trait InOrder: Send + Sync {
    /// Yields each lock once, in the order of the addresses, with the strongest mode wanted of it.
    #[doc(hidden)]
    fn in_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)>;
}

impl<W: InOrder + ?Sized> InOrder for &W {
    fn in_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
        (**self).in_order()
    }
}

/// Returns the position of a lock in the order of all locks.
pub(crate) fn address(lock: &MultiLock) -> usize {
    ptr::from_ref(lock).addr()
}

/// Holds all locks of `W`, and releases them when dropped.
pub(crate) struct AllHeld<W: InOrder>(pub(crate) W);

impl<W: InOrder> Drop for AllHeld<W> {
    /// Releases the last lock first. A set that waits for all of these locks waits at the first one
    /// that was unavailable, and finds the others free when it is notified.
    fn drop(&mut self) {
        for_each(self.0.in_order().rev(), |(lock, mode)| lock.raw.release(mode));
    }
}

/// Runs `f` for each item, including the items after one at which a waker panics.
pub(crate) fn for_each<I: Iterator>(items: I, f: impl FnMut(I::Item)) {
    struct FinishOnDrop<I: Iterator, F: FnMut(I::Item)>(I, F);
    impl<I: Iterator, F: FnMut(I::Item)> FinishOnDrop<I, F> {
        fn run(&mut self) {
            self.0.by_ref().for_each(&mut self.1);
        }
    }
    impl<I: Iterator, F: FnMut(I::Item)> Drop for FinishOnDrop<I, F> {
        fn drop(&mut self) {
            self.run();
        }
    }
    FinishOnDrop(items, f).run();
}

/// The lock that was unavailable, and the mode that was wanted of it.
type Blocker<'a> = (&'a MultiLock, Mode);

/// Returns the first lock that `admits` refuses.
fn in_the_way(
    wanted: &impl InOrder,
    admits: impl Fn(&MultiLock, Mode) -> bool,
) -> Option<Blocker<'_>> {
    wanted.in_order().find(|&(lock, mode)| !admits(lock, mode))
}

/// Takes all locks, or none.
///
/// `queued` is the lock at which the caller waits, and whether the caller was woken there. The
/// caller enters that lock as such a waiter, and any other lock if `admits` allows it. `waiter` is
/// the id of the caller: it defers to reservations of other waiters. With `None` it does not defer.
fn take<'a>(
    wanted: &'a impl InOrder,
    admits: impl Fn(Snapshot, Mode) -> bool,
    queued: Option<(&MultiLock, bool)>,
    waiter: Option<usize>,
) -> Result<(), Blocker<'a>> {
    let is_queued = |lock| queued.is_some_and(|(queued, _)| ptr::eq(queued, lock));
    let is_woken = |lock| queued.is_some_and(|(queued, woken)| woken && ptr::eq(queued, lock));
    let may = |lock: &MultiLock, mode| {
        let (word, woken) = (lock.snapshot(), is_woken(lock));
        let could = if is_queued(lock) { word.lets_in(mode, woken) } else { admits(word, mode) };
        waiter.map_or(could, |waiter| lock.raw.may_enter(waiter, mode, woken, could))
    };
    if let Some(stop) = in_the_way(wanted, may) {
        return Err(stop);
    }
    // A waiter that defers to a reservation does not keep out the owner of that reservation.
    let is_owner = |lock: &MultiLock| waiter.is_some_and(|waiter| lock.raw.is_reserved_for(waiter));
    let enter = |lock: &MultiLock, mode| {
        if is_woken(lock) || is_owner(lock) {
            lock.raw.acquire_notified(mode)
        } else {
            lock.raw.try_acquire(mode)
        }
    };
    match in_the_way(wanted, enter) {
        None => Ok(()),
        Some(stop) => {
            let taken = wanted.in_order().rev().skip_while(|lock| !ptr::eq(lock.0, stop.0)).skip(1);
            for_each(taken, |(lock, mode)| lock.raw.release(mode));
            Err(stop)
        }
    }
}

/// Acquires all locks if that is possible now, and otherwise none.
pub(crate) fn try_acquire<W: InOrder>(wanted: W) -> Option<AllHeld<W>> {
    take(&wanted, Snapshot::admits, None, None).is_ok().then(|| AllHeld(wanted))
}

/// Acquires all locks, waiting until they are available together.
pub(crate) async fn acquire<W: InOrder>(wanted: W) -> AllHeld<W> {
    if let Err(stop) = take(&wanted, Snapshot::admits_newcomer, None, None) {
        let mut slow = pin!(acquire_slow(&wanted, stop));
        poll_fn(|cx| poll_cold(slow.as_mut(), cx)).await;
    }
    AllHeld(wanted)
}

/// Polls a future that is seldom needed. Never inlined: its code stays out of the common path.
#[cold]
#[inline(never)]
fn poll_cold<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(cx)
}

async fn acquire_slow<W: InOrder>(wanted: &W, mut stop: Blocker<'_>) {
    // 1. Yield one poll to an overtaken waiter: it enters first if it is polled now.
    if stop.0.raw.is_reserved(stop.1) {
        if stop.0.raw.defers() {
            stand_back().await;
        }
        match take(wanted, Snapshot::admits, None, Some(NEWCOMER)) {
            Ok(()) => return,
            Err(next) => stop = next,
        }
    }
    // 2. Wait at the blocker.
    let mut reserved = Reserved { wanted, waiter: NEWCOMER, count: 0 };
    let mut turns = 0;
    let mut waiter = pin!(None);
    let taken = 'taken: loop {
        let (lock, mode) = stop;
        waiter.set(Some(Waiter::new(&lock.raw, mode, false)));
        let mut place = waiter.as_mut().as_pin_mut().expect("it was taken");
        reserved.waiter = place.id();
        if turns > 0 {
            place.as_mut().set_overtaken();
        }
        stop = loop {
            // 3. Woken, or polled while the lock happens to be free: try. If another lock is the
            // blocker, yield one poll: a waiter that was overtaken there enters first if it is
            // polled now. While no members are reserved, that lock may be free at the next poll.
            let woken = poll_fn(|cx| place.as_mut().poll_notified(cx)).await;
            let queued = Some((lock, woken));
            let admits = if turns == 0 { Snapshot::admits_newcomer } else { Snapshot::admits };
            let mut turn = take(wanted, admits, queued, Some(reserved.waiter));
            if let Err((next, wanted_mode)) = turn {
                let is_overtaken = next.raw.is_reserved(wanted_mode);
                if !ptr::eq(next, lock) && (is_overtaken || turns < TURNS) {
                    if !is_overtaken || next.raw.defers() {
                        stand_back().await;
                    }
                    turn = take(wanted, Snapshot::admits, queued, Some(reserved.waiter));
                }
            }
            match turn {
                Ok(()) => {
                    // A waker that is dropped may panic. From here on, unwinding releases all locks.
                    let taken = AllHeld(wanted);
                    place.as_mut().leave();
                    break 'taken taken;
                }
                // The set defers to a reservation here, or had to until just now. It keeps its
                // wake-up, which it may have to pass on.
                Err(next) if ptr::eq(next.0, lock) && lock.snapshot().lets_in(mode, woken) => {
                    stand_back().await;
                }
                Err(next) if ptr::eq(next.0, lock) => place.as_mut().set_overtaken(),
                Err(next) => break next,
            }
        };
        // 4. Turned away: pass the wake-up on, and wait for the other lock.
        waiter.set(None);
        turns = TURNS.min(turns + 1);
        if turns == TURNS {
            reserved.set(wanted.in_order().take_while(|lock| !ptr::eq(lock.0, stop.0)).count());
        }
    };
    // 5. Leaving the queue wakes other waiters, and their wakers may panic. Until that is done,
    // unwinding drops `taken`, which releases all locks.
    waiter.set(None);
    drop(reserved);
    mem::forget(taken);
}

/// Waits until all locks can be acquired, as far as a look at one after the other can tell.
pub(crate) async fn wait(wanted: impl InOrder) {
    while let Some((lock, mode)) = in_the_way(&wanted, |lock, mode| lock.snapshot().admits(mode)) {
        lock.wait(mode).await;
    }
}
