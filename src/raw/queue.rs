//! The wait queue of a lock, in the lock or in one allocation: the lists and counts of its waiters, the reservation,
//! whose turn was last, how many newcomers still yield, and what monitors and spinning remember.
//!
//! The queue decides nothing: `waiter.rs` decides which waiter is queued and where, `policy.rs` which
//! is taken out and woken.

#[cfg(all(feature = "alloc", not(multilock_inline_queue)))]
use alloc::boxed::Box;
use core::pin::Pin;
use core::task::Waker;

use crate::mode::Mode;
use crate::raw::edges::{Edge, Edges};
use crate::raw::list::{List, Node, WaiterKind};
use crate::raw::policy::LastTurns;
use crate::raw::reservation::{Reservation, Woken};
#[cfg(feature = "std")]
use crate::raw::spin::AdaptiveSpin;
use crate::raw::state::{WaitFlag, WaitFlags};
#[cfg(all(feature = "alloc", not(multilock_inline_queue)))]
use crate::sync::once_box::OnceBox;
use crate::sync::{LeafMutex, const_fn};

/// A list of the queue, in which a waiter is queued. The order puts the lists of exclusive waiters on
/// one cache line: see [`WaitQueue`].
#[derive(Clone, Copy)]
pub(crate) enum ListId {
    Exclusive,
    /// Exclusive waiters that were overtaken.
    Overtaken,
    /// The holder that upgrades.
    Upgrade,
    Shared,
    Upgradable,
    SharedMonitors,
    UpgradableMonitors,
    ExclusiveMonitors,
    /// Those that wait for a change of the data.
    ChangeWatchers,
}

impl ListId {
    pub(crate) const COUNT: usize = 9;

    pub(crate) const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Shared => Self::Shared,
            Mode::Upgradable => Self::Upgradable,
            Mode::Exclusive => Self::Exclusive,
        }
    }

    /// Returns the mode that the waiters of the list want. Monitors want nothing, and an upgrade is
    /// to an exclusive acquisition.
    pub(crate) const fn mode(self) -> Mode {
        match self {
            Self::Shared | Self::SharedMonitors => Mode::Shared,
            Self::Upgradable | Self::UpgradableMonitors => Mode::Upgradable,
            Self::Exclusive
            | Self::Overtaken
            | Self::Upgrade
            | Self::ExclusiveMonitors
            | Self::ChangeWatchers => Mode::Exclusive,
        }
    }

    pub(crate) const fn of_watchers(edge: Edge) -> Self {
        match edge {
            Edge::Acquirable(Mode::Shared) => Self::SharedMonitors,
            Edge::Acquirable(Mode::Upgradable) => Self::UpgradableMonitors,
            Edge::Acquirable(Mode::Exclusive) => Self::ExclusiveMonitors,
            Edge::Change => Self::ChangeWatchers,
        }
    }
}

/// The waiters and the monitors of a lock.
///
/// With `std`, the order of the fields makes a wait touch two cache lines: that of the mutex and
/// the counts, and that of the waiter's list. In the compiler's order a wait touches five, and
/// tasks of two workers that contend for the lock take 1.15 times as long
/// (`cargo bench --bench locks -- short/`).
#[cfg_attr(feature = "std", repr(C, align(64)))]
pub(crate) struct WaitQueue {
    waiters: LeafMutex<WaitLists>,
    /// For each kind of edge, the edges that watchers look at and wait for.
    pub(super) edges: [Edges; Edge::COUNT],
    /// Whether to spin for a moment before waiting.
    #[cfg(feature = "std")]
    pub(crate) spin: AdaptiveSpin,
}

/// A number of waiters, or of monitors.
#[cfg(feature = "alloc")]
pub(crate) type Count = usize;
/// A number of waiters, or of monitors: a chip without a heap has no room for more.
#[cfg(not(feature = "alloc"))]
pub(crate) type Count = u16;

/// A count that is this large stays so: of what comes after, it is not known whether it has left. A
/// flag then stays set, as if a waiter was forgotten.
const FULL: Count = Count::MAX;

/// The waiters and their counts: what is touched only with the queue locked. For the order of the
/// fields, see [`WaitQueue`].
#[cfg_attr(feature = "std", repr(C))]
pub(crate) struct WaitLists {
    /// The reservation for a starving waiter, and whose turn it is.
    pub(crate) reservation: Reservation,
    /// For each [`WaitFlag`], the number of its waiters.
    pub(crate) counts: [Count; WaitFlag::COUNT],
    /// The number of listeners in all lists.
    pub(crate) queued: Count,
    /// For each [`ListId`], the waiters that are queued there, the next to be notified first.
    lists: [List; ListId::COUNT],
}

/// The end of what a release notifies in a list: the listeners that were queued when it began.
#[derive(Clone, Copy)]
pub(crate) struct End {
    /// The address of the last of them. It may leave before its turn.
    pub(crate) last: usize,
    /// How many there are at most.
    pub(crate) at_most: Count,
}

impl End {
    /// Returns whether `listener`, by its address, is the last.
    #[inline]
    pub(super) fn is_at(self, listener: usize) -> bool {
        listener == self.last
    }

    /// Returns whether there was a listener at all.
    #[inline]
    pub(super) fn had_listeners(self) -> bool {
        self.last != 0
    }

    /// Returns whether so many listeners were notified that none can be left.
    #[inline]
    pub(super) fn is_behind(self, notified: usize) -> bool {
        (!CAN_BE_FULL || self.at_most != FULL) && notified as u64 >= self.at_most as u64
    }
}

/// Whether the number of waiters can get to [`FULL`]. Each of them is in memory that is pinned, and is
/// not reused before the waiter has left, even if it was forgotten.
const CAN_BE_FULL: bool = Count::BITS < usize::BITS;

#[inline]
fn count_up(count: &mut Count) {
    if !CAN_BE_FULL || *count != FULL {
        *count += 1;
    }
}

#[inline]
fn count_down(count: &mut Count, by: usize) {
    if !CAN_BE_FULL || *count != FULL {
        *count -= by as Count;
    }
}

impl WaitLists {
    /// Counts one more waiter in each of `flags`.
    #[inline]
    pub(crate) fn count(&mut self, flags: WaitFlags) {
        flags.each(|flag| count_up(&mut self.counts[flag]));
    }

    /// Counts one more waiter in `mode`, which was `overtaken` or not.
    #[inline]
    pub(crate) fn count_waiter(&mut self, mode: Mode, overtaken: bool) {
        count_up(&mut self.counts[mode as usize]);
        if overtaken {
            count_up(&mut self.counts[WaitFlag::Overtaken as usize]);
        }
    }

    /// Counts one waiter fewer in each of `flags`. Returns those in which there is none now.
    #[cfg_attr(feature = "std", inline)]
    #[cfg_attr(not(feature = "std"), inline(never))]
    pub(crate) fn uncount(&mut self, flags: WaitFlags) -> WaitFlags {
        let mut emptied = WaitFlags::NONE;
        flags.each(|flag| {
            count_down(&mut self.counts[flag], 1);
            if self.counts[flag] == 0 {
                emptied = emptied.and_nth(flag);
            }
        });
        emptied
    }

    /// Records that waiters have entered or left. Turns count as long as a waiter of the other side waits.
    #[inline]
    pub(crate) fn record_left(&mut self) {
        let last = self.reservation.last;
        if last.number != 0 && !self.other_side_waits(last.exclusive) {
            self.reservation.last = LastTurns::NONE;
        }
    }

    /// Returns whether a waiter of the other side is counted: the others, if `exclusive`.
    #[inline]
    fn other_side_waits(&self, exclusive: bool) -> bool {
        match exclusive {
            true => {
                self.counts[WaitFlag::Shared as usize] | self.counts[WaitFlag::Upgradable as usize]
                    != 0
            }
            false => self.counts[WaitFlag::Exclusive as usize] != 0,
        }
    }

    /// Counts one more watcher. Those that were forgotten take no memory, so they can be any number.
    pub(super) fn count_watcher(&mut self) {
        let count = &mut self.counts[WaitFlag::Monitors as usize];
        *count = count.saturating_add(1);
    }

    /// Counts one watcher less. Returns whether it was the last.
    pub(super) fn uncount_watcher(&mut self) -> bool {
        let count = &mut self.counts[WaitFlag::Monitors as usize];
        if *count != FULL {
            *count -= 1;
        }
        *count == 0
    }

    /// Returns the end of a notification that begins now: of the first listener in a list, or of
    /// `all`.
    #[inline]
    pub(super) fn end_of(&mut self, list: ListId, all: bool) -> End {
        let at_most = self.queued;
        let list = self.list(list);
        let last = if all { list.last_address() } else { list.first().map_or(0, Node::address) };
        End { last, at_most }
    }

    /// Puts `node` into a list, as that of a waiter of this `kind`: before all others if `first`, or
    /// else behind them.
    ///
    /// # Safety
    ///
    /// * The node is the caller's, and in no list.
    /// * Before the node is dropped, it is notified, or removed from this list.
    #[inline]
    pub(super) unsafe fn push(
        &mut self,
        list: ListId,
        node: Pin<&Node>,
        waker: Waker,
        kind: WaiterKind,
        first: bool,
    ) {
        count_up(&mut self.queued);
        // SAFETY: the caller upholds the contract.
        unsafe { self.list(list).push(node, waker, kind, first) };
    }

    /// Takes `node`, which its owner queued, out of a list. Returns its waker.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    #[inline]
    pub(super) unsafe fn remove(&mut self, list: ListId, node: &Node) -> Waker {
        count_down(&mut self.queued, 1);
        // SAFETY: the caller upholds the contract.
        unsafe { self.list(list).remove(node) }
    }

    /// Moves the first listener of a list behind all others, if it is that of an event. Returns its
    /// waker.
    #[cfg(feature = "event-listener")]
    #[inline]
    pub(super) fn rotate_event(&mut self, list: ListId) -> Option<Waker> {
        let waker = self.list(list).rotate_event()?;
        // The caller takes it for one that was popped.
        count_up(&mut self.queued);
        Some(waker)
    }

    /// Records that `count` listeners were taken out of `list` by [`List::pop`].
    ///
    /// Waiters that are woken end the row of turns of the other side. But shared ones do not while an
    /// upgradable one is counted: they are woken after each downgrade, too, while that one sleeps.
    #[inline]
    pub(super) fn record_popped(&mut self, list: ListId, count: usize) {
        count_down(&mut self.queued, count);
        let ended = match list {
            ListId::Exclusive | ListId::Overtaken => false,
            ListId::Upgradable => true,
            ListId::Shared if self.counts[WaitFlag::Upgradable as usize] == 0 => true,
            _ => return,
        };
        if self.reservation.last.exclusive == ended && count != 0 {
            self.reservation.last.number = 0;
        }
    }

    /// Returns the waiters that are queued in a list, the next to be notified first.
    #[inline]
    pub(crate) fn list(&mut self, id: ListId) -> &mut List {
        &mut self.lists[id as usize]
    }

    /// Counts `woken` shared waiters. If their turn `begins`, those of older ones do not count.
    #[inline]
    pub(super) fn count_woken_shared(&mut self, begins: bool, woken: usize) {
        let before = if begins { 0 } else { self.reservation.woken_shared };
        self.reservation.woken_shared = before.saturating_add(woken as Woken);
    }

    /// Records that a waiter that was woken in `mode` has entered, waits again, or is dropped. Returns whether
    /// it is the last of the shared waiters that were woken together, or is not shared.
    pub(crate) fn uncount_woken(&mut self, mode: Mode) -> bool {
        if mode != Mode::Shared {
            return true;
        }
        let woken = &mut self.reservation.woken_shared;
        *woken = woken.saturating_sub(1);
        *woken == 0
    }

    /// Records that a waiter that was woken in `mode` has entered. If its side had the last turn, it has had
    /// its turns. If not, those of the other side are no longer the last, unless the waiter is shared: those
    /// enter after a downgrade, too.
    pub(crate) fn record_entered(&mut self, mode: Mode) {
        let last = &mut self.reservation.last;
        if last.number != 0 {
            if last.exclusive == (mode == Mode::Exclusive) {
                last.number = LastTurns::MOST;
            } else if mode != Mode::Shared {
                last.number = 0;
            }
        }
        self.uncount_woken(mode);
    }
}

/// The wait queue of a lock, in a box that the first wait makes.
#[cfg(all(feature = "alloc", not(multilock_inline_queue)))]
pub(super) struct LazyQueue(OnceBox<WaitQueue>);

#[cfg(all(feature = "alloc", not(multilock_inline_queue)))]
impl LazyQueue {
    const_fn! {
        pub(super) fn new() -> Self {
            Self(OnceBox::new())
        }
    }

    /// Returns the queue, if there is one.
    #[inline]
    pub(super) fn get(&self) -> Option<&WaitQueue> {
        self.0.get()
    }

    #[inline]
    pub(super) fn get_or_make(&self) -> &WaitQueue {
        self.0.get_or_make(|| Box::new(WaitQueue::new()))
    }
}

/// The wait queue of a lock, in the lock. Nothing points to it but what borrows the lock, so the lock
/// may be moved.
#[cfg(not(all(feature = "alloc", not(multilock_inline_queue))))]
pub(super) struct LazyQueue(WaitQueue);

#[cfg(not(all(feature = "alloc", not(multilock_inline_queue))))]
impl LazyQueue {
    const_fn! {
        pub(super) fn new() -> Self {
            Self(WaitQueue::new())
        }
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&WaitQueue> {
        Some(&self.0)
    }

    #[inline]
    pub(super) fn get_or_make(&self) -> &WaitQueue {
        &self.0
    }
}

impl WaitQueue {
    const_fn! {
        fn new() -> Self {
            Self {
                waiters: LeafMutex::new(WaitLists {
                    lists: [const { List::EMPTY }; ListId::COUNT],
                    counts: [0; WaitFlag::COUNT],
                    reservation: Reservation::NONE,
                    queued: 0,
                }),
                edges: [Edges::new(), Edges::new(), Edges::new(), Edges::new()],
                #[cfg(feature = "std")]
                spin: AdaptiveSpin::new(),
            }
        }
    }

    /// Runs `f` with the queue locked: see [`Mutex::with`](crate::sync::Mutex::with).
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut WaitLists) -> R) -> R {
        // SAFETY: each `f` is in this folder. None locks the queue, and none runs foreign code: it
        // moves wakers, and does not clone, wake or drop one that is not of this crate.
        unsafe { self.waiters.with(f) }
    }

    /// Begins the next turn: see [`QueueSteps::next_turn`](crate::raw::policy::QueueSteps::next_turn).
    #[cold]
    pub(crate) fn next_turn(&self, exclusive: bool) -> Option<bool> {
        self.with(|waiters| {
            if waiters.queued == 0 {
                return None;
            }
            let next = waiters.reservation.last.next(exclusive);
            waiters.reservation.last = next;
            // Since the release has looked, those of the other side may have left.
            waiters.record_left();
            Some(next.exclusive)
        })
    }
}

#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests {
    use super::*;

    #[cfg(all(feature = "std", target_pointer_width = "64", not(miri)))]
    #[test]
    fn a_wait_touches_two_cache_lines() {
        use core::mem::{align_of, offset_of, size_of};

        let waiters = size_of::<LeafMutex<WaitLists>>() - size_of::<WaitLists>();
        let line = |offset| (offset_of!(WaitQueue, waiters) + waiters + offset) / 64;
        let list = |of| offset_of!(WaitLists, lists) + of as usize * size_of::<List>();
        assert_eq!(align_of::<WaitQueue>(), 64);
        assert_eq!((line(0), line(offset_of!(WaitLists, counts))), (0, 0));
        for of in [ListId::Exclusive, ListId::Overtaken, ListId::Shared, ListId::Upgradable] {
            assert!(line(list(of) + size_of::<List>() - 1) <= 1);
        }
    }

    /// A count at its limit stays there, and nothing panics with the queue locked.
    #[test]
    fn more_waiters_than_can_be_counted_leave_a_flag_set() {
        let mut count = FULL - 1;
        if CAN_BE_FULL {
            (0..3).for_each(|_| count_up(&mut count));
            (0..3).for_each(|_| count_down(&mut count, 1));
            assert_eq!(count, FULL);
        }
        WaitQueue::new().with(|waiters| {
            waiters.counts = [FULL - 1; WaitFlag::COUNT];
            (0..3).for_each(|_| waiters.count_watcher());
            assert!((0..3).all(|_| !waiters.uncount_watcher()));
            assert_eq!(waiters.counts[WaitFlag::Monitors as usize], FULL);
        });
    }
}
