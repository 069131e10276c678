//! Several locks taken as one: all or nothing, and nothing is held while it waits.
//!
//! 1. *Look* at all. If one cannot be acquired, the others are left alone.
//! 2. *Take* them, in the order of their addresses. If one has been lost meanwhile, release the others.
//!    Two sets that try at once do not fail because of each other for ever: the one that has come
//!    furthest in that order loses a lock to a holder, or to no one.
//! 3. *Wait* in the queue of the lock that was in the way, as any other waiter. Woken there, begin
//!    again; the wake-up counts for that lock. If another lock is in the way then, the set is *turned
//!    away*: it passes the wake-up on, and waits for that other lock.
//! 4. A set that was turned away [`TURNS`] times *reserves* the locks that come before the one that it
//!    waits for, one after the other, in the order of their addresses. Newcomers and waiters of those
//!    stand back, so that they stay free until the set has come to the last of them.
//!
//! A reservation ends after a bounded moment: else a task that holds one lock and waits for another that is
//! reserved would wait for ever. As the order is the same for all sets, none waits for a lock that another has
//! reserved while it has reserved what that one waits for.

use core::future::poll_fn;
use core::mem;
use core::pin::{Pin, pin};
use core::ptr;
use core::task::{Context, Poll};

use crate::mode::Mode;
use crate::multilock::MultiLock;
use crate::raw::{Waiter, stand_back};
use crate::state::Snapshot;

/// Locks that are to be taken as one.
pub trait InOrder: Send + Sync {
    /// Each lock once, in the order of the addresses, with the strongest mode that is wanted of it.
    #[doc(hidden)]
    fn in_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)>;
}

impl<W: InOrder + ?Sized> InOrder for &W {
    fn in_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
        (**self).in_order()
    }
}

/// Where a lock stands in the order.
pub(crate) fn address(lock: &MultiLock) -> usize {
    ptr::from_ref(lock).addr()
}

/// Holds of all locks, until it is dropped.
pub(crate) struct AllHeld<W: InOrder>(pub(crate) W);

impl<W: InOrder> Drop for AllHeld<W> {
    /// The last is released first: whoever waits for all of them waits for the first that was in the
    /// way, and finds the others free when it is notified.
    fn drop(&mut self) {
        for_each(self.0.in_order().rev(), |(lock, mode)| lock.raw.release(mode));
    }
}

/// Runs `f` for each item, also for those after one where a waker panics.
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

/// The lock that was in the way.
type Blocker<'a> = (&'a MultiLock, Mode);

/// The first lock that cannot be acquired now.
fn in_the_way(
    wanted: &impl InOrder,
    admits: impl Fn(&MultiLock, Mode) -> bool,
) -> Option<Blocker<'_>> {
    wanted.in_order().find(|&(lock, mode)| !admits(lock, mode))
}

/// Takes all, or none.
///
/// `queued` is the lock where the caller waits, and whether it was woken there: so it enters there as such a waiter, and
/// at all others if `admits` says so. The caller is the `waiter` that stands back where a lock is reserved for another,
/// or none that does.
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
    // A waiter that stands back for a reservation is not in the way of its owner.
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

pub(crate) fn try_acquire<W: InOrder>(wanted: W) -> Option<AllHeld<W>> {
    take(&wanted, Snapshot::admits, None, None).is_ok().then(|| AllHeld(wanted))
}

pub(crate) async fn acquire<W: InOrder>(wanted: W) -> AllHeld<W> {
    if let Err(stop) = take(&wanted, Snapshot::admits_newcomer, None, None) {
        let mut slow = pin!(acquire_slow(&wanted, stop));
        poll_fn(|cx| poll_cold(slow.as_mut(), cx)).await;
    }
    AllHeld(wanted)
}

/// Polls what is seldom needed, out of the way of what is.
#[cold]
#[inline(never)]
fn poll_cold<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(cx)
}

/// How often a set is turned away before it reserves members. In a load of 16 tasks that take two of four locks, each
/// for one poll, a turn takes 1.5 to 1.9 times as long with reservations from the second time on; from the sixth, no
/// longer than without any.
pub(crate) const TURNS: u8 = if cfg!(any(loom, shuttle)) { 1 } else { 6 };

async fn acquire_slow<W: InOrder>(wanted: &W, mut stop: Blocker<'_>) {
    // 1. A waiter that was overtaken goes first, if it is polled now.
    if stop.0.raw.is_reserved(stop.1) {
        if stop.0.raw.defers() {
            stand_back().await;
        }
        match take(wanted, Snapshot::admits, None, Some(NEWCOMER)) {
            Ok(()) => return,
            Err(next) => stop = next,
        }
    }
    // 2. Wait where the way is barred.
    let mut reserved = Reserved { wanted, waiter: NEWCOMER, count: 0 };
    let mut turns = 0;
    let mut waiter = pin!(None);
    let taken = 'taken: loop {
        let (lock, mode) = stop;
        waiter.set(Some(Waiter::take(&lock.raw, mode, false)));
        let mut place = waiter.as_mut().as_pin_mut().expect("it was taken");
        reserved.waiter = place.as_mut().id();
        if turns > 0 {
            place.as_mut().set_overtaken();
        }
        stop = loop {
            // 3. Woken, or by luck: try. A waiter that was overtaken at another lock goes first, if it is polled now. And
            // where members are not reserved, another lock that is in the way may be free at the next poll.
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
                    place.as_mut().set_entered();
                    break 'taken AllHeld(wanted);
                }
                // It stands back, or that is over already: it keeps its wake-up, which it may have to pass on.
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
    // 5. To go wakes others, and wakers may panic: until then the acquisitions end with `taken`.
    waiter.set(None);
    drop(reserved);
    mem::forget(taken);
}

/// No waiter of any lock, and so none that has a reservation.
pub(crate) const NEWCOMER: usize = 0;

/// The first `count` locks, which are reserved for a set that waits for the next one. Dropped, it ends that.
struct Reserved<'a, W: InOrder> {
    wanted: &'a W,
    waiter: usize,
    count: usize,
}

impl<W: InOrder> Reserved<'_, W> {
    /// Reserves the first `count` locks, and no others. Those whose reservation has ended are reserved anew; what a waiter
    /// stands back for goes on.
    fn set(&mut self, count: usize) {
        // An allocation may fail, by a panic: no lock is reserved yet, and nothing that follows allocates.
        self.wanted.in_order().take(count).for_each(|(lock, _)| _ = lock.raw.queue());
        for (n, (lock, mode)) in self.wanted.in_order().enumerate() {
            if n < count {
                lock.raw.reserve(self.waiter, mode, n >= self.count);
            } else if n < self.count {
                lock.raw.end_reservation(self.waiter);
            }
        }
        self.count = count;
    }
}

impl<W: InOrder> Drop for Reserved<'_, W> {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Waits until all can be acquired, as far as one look after the other can tell.
pub(crate) async fn wait(wanted: impl InOrder) {
    while let Some((lock, mode)) = in_the_way(&wanted, |lock, mode| lock.snapshot().admits(mode)) {
        lock.wait(mode).await;
    }
}
