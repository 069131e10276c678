//! The wait queue of a lock: its waiters, the lists that they are in, and how many there are.
//!
//! The queue notifies as many waiters as its caller asks for. It does not decide which may enter.

use alloc::boxed::Box;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll, Waker};

use crate::mode::Mode;
use crate::raw::edges::Edges;
use crate::raw::list::{List, Node, WaiterKind};
use crate::raw::reservation::Reservation;
#[cfg(feature = "std")]
use crate::raw::spin::AdaptiveSpin;
use crate::raw::state::{WaitFlag, WaitFlags};
use crate::raw::wakers::{BATCH, WakeAll, WakeBatch};
use crate::sync::once_box::OnceBox;
use crate::sync::{Mutex, const_fn, unmodelled};

/// The queue of a lock, made at the first wait, or with the first monitor.
pub(crate) struct LazyQueue(OnceBox<WaitQueue>);

impl LazyQueue {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self(OnceBox::new())
        }
    }

    pub(crate) fn get(&self) -> Option<&WaitQueue> {
        self.0.get()
    }

    /// Returns the queue. Allocates it if there is none yet: all that the lock will ever allocate.
    pub(crate) fn get_or_make(&self) -> &WaitQueue {
        self.0.get_or_make(WaitQueue::new)
    }
}

/// A list of the queue, in which a waiter is queued.
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
}

impl ListId {
    const COUNT: usize = 8;

    pub(crate) const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Shared => Self::Shared,
            Mode::Upgradable => Self::Upgradable,
            Mode::Exclusive => Self::Exclusive,
        }
    }

    pub(crate) const fn of_monitors(mode: Mode) -> Self {
        match mode {
            Mode::Shared => Self::SharedMonitors,
            Mode::Upgradable => Self::UpgradableMonitors,
            Mode::Exclusive => Self::ExclusiveMonitors,
        }
    }
}

/// Acquires the lock on behalf of a handoff waiter, if that is possible.
///
/// `dyn`, and not a type parameter: each type would add one more copy of the code that takes it.
pub(crate) type HandOff<'a> = &'a dyn Fn() -> bool;

/// For lists without handoff waiters.
pub(crate) const NO_HANDOFF: HandOff<'static> = &|| false;

/// The waiters and the monitors of a lock.
///
/// With `std`, the order of the fields makes a wait touch two cache lines: that of the mutex and
/// the counts, and that of the waiter's list. In the compiler's order a wait touches five, and
/// tasks of two workers that contend for the lock take 1.15 times as long
/// (`cargo bench --bench locks -- short/`).
#[cfg_attr(feature = "std", repr(C, align(64)))]
pub(crate) struct WaitQueue {
    waiters: Mutex<WaitLists>,
    /// For each mode, the edges that monitors look at and wait for.
    pub(super) edges: [Edges; Mode::ALL.len()],
    /// How many newcomers still let one poll pass for waiters that were overtaken.
    pub(crate) deferences: unmodelled::AtomicU8,
    /// Whether to spin for a moment before waiting.
    #[cfg(feature = "std")]
    pub(crate) spin: AdaptiveSpin,
}

/// The waiters and their counts: what is touched only with the queue locked. For the order of the
/// fields, see [`WaitQueue`].
#[cfg_attr(feature = "std", repr(C))]
pub(crate) struct WaitLists {
    /// The reservation for a starving waiter.
    pub(crate) reservation: Reservation,
    /// For each [`WaitFlag`], the number of its waiters.
    counts: [u32; WaitFlag::COUNT],
    /// See [`WaitQueue::last_turn`].
    last_turn: Option<Mode>,
    /// For each [`ListId`], the waiters that are queued there, the next to be notified first.
    lists: [List; ListId::COUNT],
}

impl WaitLists {
    /// Counts one more waiter in each of `flags`. Panics if a count overflows: so many waiters
    /// would fill a quarter of a terabyte.
    #[inline]
    pub(crate) fn count(&mut self, flags: WaitFlags) {
        flags.each(|flag| {
            self.counts[flag] = self.counts[flag].checked_add(1).expect("fewer than 2^32 wait");
        });
    }

    /// Counts one waiter fewer in each of `flags`.
    #[inline]
    pub(crate) fn uncount(&mut self, flags: WaitFlags) {
        flags.each(|flag| self.counts[flag] -= 1);
    }

    /// Takes back the turn of a waiter that was woken in `mode` and has not entered.
    pub(crate) fn give_back_turn(&mut self, mode: Mode) {
        if self.last_turn == Some(mode) {
            self.last_turn = None;
        }
    }

    /// Returns those of `flags` in which there is exactly one waiter.
    #[inline]
    pub(crate) fn sole_in(&self, flags: WaitFlags) -> WaitFlags {
        let mut last = WaitFlags::NONE;
        flags.each(|flag| {
            if self.counts[flag] == 1 {
                last = last.and_nth(flag);
            }
        });
        last
    }
}

impl WaitQueue {
    fn new() -> Box<Self> {
        Box::new(Self {
            waiters: Mutex::new(WaitLists {
                lists: [const { List::EMPTY }; ListId::COUNT],
                counts: [0; WaitFlag::COUNT],
                reservation: Reservation::NONE,
                last_turn: None,
            }),
            edges: Mode::ALL.map(|_| Edges::new()),
            deferences: unmodelled::AtomicU8::new(0),
            #[cfg(feature = "std")]
            spin: AdaptiveSpin::default(),
        })
    }

    /// Runs `f` with the queue locked: see [`Mutex::with`].
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut WaitLists) -> R) -> R {
        self.waiters.with(f)
    }

    /// Returns the mode of the last waiter that was woken while both upgradable and exclusive ones
    /// waited, unless that waiter did not enter.
    #[cold]
    pub(crate) fn last_turn(&self) -> Option<Mode> {
        self.with(|waiters| waiters.last_turn)
    }

    /// Notifies the first waiter that is queued in `line`. Returns whether there is one.
    ///
    /// A handoff waiter is notified only if `hand_off` acquires the lock for it. If the waiter is
    /// notified and `turn` is a mode, that mode becomes the [last turn](Self::last_turn).
    pub(crate) fn notify_first(
        &self,
        line: ListId,
        turn: Option<Mode>,
        hand_off: HandOff<'_>,
        wake: &mut WakeAll,
    ) -> bool {
        let (notified, left) = self.notify_batch::<1>(line, turn, hand_off, wake);
        notified + left > 0
    }

    /// Notifies all waiters that are queued in `line`, but not those that join meanwhile. Returns
    /// whether there are any.
    ///
    /// Stops at the first handoff waiter for which `hand_off` fails: the lock is taken, so the
    /// waiters behind that one cannot enter either.
    pub(crate) fn notify_all(
        &self,
        line: ListId,
        hand_off: HandOff<'_>,
        wake: &mut WakeAll,
    ) -> bool {
        let (mut notified, mut left) = self.notify_batch::<BATCH>(line, None, hand_off, wake);
        let any = notified + left > 0;
        while notified > 0 && left > 0 {
            notified = if left < BATCH {
                self.notify_batch::<1>(line, None, hand_off, wake).0
            } else {
                self.notify_batch::<BATCH>(line, None, hand_off, wake).0
            };
            left -= notified;
        }
        any
    }

    /// Notifies the first `N` waiters, or as many as there are. Returns how many it has notified,
    /// and how many are left.
    fn notify_batch<const N: usize>(
        &self,
        line: ListId,
        turn: Option<Mode>,
        hand_off: HandOff<'_>,
        wake: &mut WakeAll,
    ) -> (usize, usize) {
        // Made here and not moved: only what must be done is done while the queue is locked.
        let mut batch = WakeBatch::<N>::EMPTY;
        let left = self.with(|waiters| {
            let list = &mut waiters.lists[line as usize];
            if list.notify(&mut batch, waiters.reservation.owner(), wake.is_fair(), hand_off) {
                waiters.reservation.set_firm();
            }
            if turn.is_some() && batch.len() > 0 {
                waiters.last_turn = turn;
            }
            list.len()
        });
        batch.wakers().for_each(|waker| wake.one(waker));
        (batch.len(), left)
    }
}

/// A waiter's registration with a queue. Dropped, it leaves its list.
pub(crate) struct Listener<'a> {
    queue: &'a WaitQueue,
    node: Node,
    /// The list in which the listener is queued, or was before.
    line: ListId,
    state: ListenerState,
}

/// What has become of a listener.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListenerState {
    No,
    /// The node is in a list, as far as its owner knows: it may have been notified. Only a
    /// notification or [`leave`](LockedListener::leave) ends this state.
    Yes,
    /// The listener was notified, and its owner has not consumed the notification.
    Called,
}

impl<'a> Listener<'a> {
    pub(crate) fn new(queue: &'a WaitQueue) -> Self {
        Self { queue, node: Node::new(), line: ListId::Shared, state: ListenerState::No }
    }

    /// Returns a number that no other waiter has, as long as this one is pinned.
    pub(crate) fn id(self: Pin<&mut Self>) -> usize {
        self.parts().node.address()
    }

    /// Returns whether the listener is queued, as far as its owner knows.
    pub(crate) fn is_queued(self: Pin<&mut Self>) -> bool {
        self.parts().is_queued()
    }

    /// Returns whether the listener was notified and has not [consumed](Self::consume) that.
    pub(crate) fn is_notified(self: Pin<&mut Self>) -> bool {
        self.parts().is_notified()
    }

    /// Returns whether this is a handoff waiter that was notified. Then it has what it waits for.
    pub(crate) fn was_handed_off(self: Pin<&mut Self>) -> bool {
        self.parts().was_handed_off()
    }

    /// Consumes a notification: the waiter has done what it was notified for, or cannot do it.
    pub(crate) fn consume(self: Pin<&mut Self>) {
        self.parts().consume();
    }

    /// Consumes a notification, if there is one, and is ready. Otherwise the listener is queued
    /// from now on with the waker of `cx`: in `line`, unless it was queued before.
    pub(crate) fn poll(mut self: Pin<&mut Self>, line: ListId, cx: &Context<'_>) -> Poll<()> {
        let mut new = (!self.as_mut().is_queued()).then(|| cx.waker().clone());
        while !self.as_mut().is_notified() {
            if self.as_mut().with(|listener| listener.listen(line, WaiterKind::Task, cx, &mut new))
            {
                return Poll::Pending;
            }
            new = Some(cx.waker().clone());
        }
        self.consume();
        Poll::Ready(())
    }

    /// Runs `f` with the queue locked: see [`Mutex::with`].
    #[inline]
    pub(crate) fn with<R>(self: Pin<&mut Self>, f: impl FnOnce(&mut LockedListener<'_>) -> R) -> R {
        let queue = self.queue;
        queue.with(|waiters| f(&mut LockedListener { waiters, listener: self.parts() }))
    }

    #[inline]
    fn parts(self: Pin<&mut Self>) -> ListenerParts<'_> {
        // SAFETY: only the node is pinned with the listener, and it is not moved: it is handed out
        // pinned, here and nowhere else.
        unsafe {
            let Self { node, line, state, .. } = self.get_unchecked_mut();
            ListenerParts { node: Pin::new_unchecked(node), line, state }
        }
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        // SAFETY: if the listener is queued, it was pinned when it joined the list, and it is not
        // moved any more. If not, the node is in no list, and may as well have been moved.
        let mut listener = unsafe { Pin::new_unchecked(self) };
        if listener.as_mut().is_queued() {
            drop(listener.with(|listener| listener.leave()));
        }
    }
}

/// The parts of a listener, without its queue.
struct ListenerParts<'l> {
    node: Pin<&'l Node>,
    line: &'l mut ListId,
    state: &'l mut ListenerState,
}

impl ListenerParts<'_> {
    #[inline]
    fn is_queued(&mut self) -> bool {
        if *self.state == ListenerState::Yes && self.node.was_notified() {
            *self.state = ListenerState::Called;
        }
        *self.state == ListenerState::Yes
    }

    #[inline]
    fn is_notified(&mut self) -> bool {
        self.is_queued();
        *self.state == ListenerState::Called
    }

    #[inline]
    fn was_handed_off(&mut self) -> bool {
        self.is_notified() && self.node.is_handoff()
    }

    #[inline]
    fn consume(&mut self) {
        debug_assert!(*self.state != ListenerState::Yes, "it is in a list");
        // A queued node stays `Yes`. Otherwise it could be freed while it is still in the list.
        if *self.state == ListenerState::Called {
            *self.state = ListenerState::No;
        }
    }
}

/// A locked queue, and a listener of it.
pub(crate) struct LockedListener<'l> {
    pub(crate) waiters: &'l mut WaitLists,
    listener: ListenerParts<'l>,
}

impl LockedListener<'_> {
    /// Returns whether the listener was notified and has not consumed that. This cannot become true
    /// while the queue is locked.
    #[inline]
    pub(crate) fn is_notified(&mut self) -> bool {
        self.listener.is_notified()
    }

    /// Returns whether this is a handoff waiter that was notified. Then it has what it waits for.
    #[inline]
    pub(crate) fn was_handed_off(&mut self) -> bool {
        self.listener.was_handed_off()
    }

    /// Makes sure that the listener is queued with a waker of the task of `cx`, if it can. Returns
    /// whether it is.
    ///
    /// A listener that is not queued joins `line`, as a waiter of this `kind`, with the waker in
    /// `new`. A listener that is queued with a waker of another task swaps that one for the waker
    /// in `new`. If `new` is needed and empty, nothing changes.
    #[inline]
    pub(crate) fn listen(
        &mut self,
        line: ListId,
        kind: WaiterKind,
        cx: &Context<'_>,
        new: &mut Option<Waker>,
    ) -> bool {
        if self.listener.is_queued() {
            let list = &self.waiters.lists[*self.listener.line as usize];
            // SAFETY: the node is still in the list that it was put in: it was not notified, and
            // with the queue locked it is not.
            return unsafe { list.renew(&self.listener.node, cx.waker(), new) };
        }
        let Some(waker) = new.take() else { return false };
        *self.listener.line = line;
        *self.listener.state = ListenerState::Yes;
        // SAFETY:
        // * the node is ours, and in no list: it is not queued;
        // * the node is pinned, so it is dropped before its memory is reused. The drop takes it out
        //   of this list: `line` is kept until then.
        unsafe { self.waiters.lists[line as usize].insert(self.listener.node, waker, kind) };
        true
    }

    /// Moves the listener, which is queued, to the front of its list.
    pub(crate) fn go_first(&mut self) {
        let list = &mut self.waiters.lists[*self.listener.line as usize];
        // SAFETY: the node is still in the list that it was put in: it was not notified, and with
        // the queue locked it is not.
        unsafe { list.move_to_front(&self.listener.node) };
    }

    /// Returns whether the first of the overtaken exclusive waiters is a handoff waiter, and not
    /// this one.
    #[inline]
    pub(crate) fn is_behind_handoff(&self) -> bool {
        let first = self.waiters.lists[ListId::Overtaken as usize].first();
        first.is_some_and(|node| node.is_handoff() && !ptr::eq(node, &*self.listener.node))
    }

    /// Notifies that handoff waiter, if `hand_off` acquires the lock for it. Returns its waker.
    #[inline]
    pub(crate) fn notify_handoff(&mut self, hand_off: HandOff<'_>) -> Option<Waker> {
        let mut batch = WakeBatch::<1>::EMPTY;
        // No owner is sought: a handoff waiter makes no reservation.
        self.waiters.lists[ListId::Overtaken as usize].notify(&mut batch, 0, false, hand_off);
        batch.wakers().next()
    }

    /// Returns a number that no other waiter has, as long as this one is pinned.
    #[inline]
    pub(crate) fn id(&self) -> usize {
        self.listener.node.address()
    }

    /// Consumes a notification: the waiter has done what it was notified for.
    #[inline]
    pub(crate) fn consume(&mut self) {
        self.listener.consume();
    }

    /// Takes the listener out of its list, if it is queued. Returns its waker, to be dropped with
    /// the queue unlocked.
    #[inline]
    pub(crate) fn leave(&mut self) -> Option<Waker> {
        if !self.listener.is_queued() {
            return None;
        }
        *self.listener.state = ListenerState::No;
        // SAFETY: the node is still in the list that it was put in: it was not notified, and with
        // the queue locked it is not.
        unsafe { self.waiters.lists[*self.listener.line as usize].remove(&self.listener.node) }
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

        let waiters = size_of::<Mutex<WaitLists>>() - size_of::<WaitLists>();
        let line = |offset| (offset_of!(WaitQueue, waiters) + waiters + offset) / 64;
        let list = |of| offset_of!(WaitLists, lists) + of as usize * size_of::<List>();
        let lines = |of| (line(list(of)), line(list(of) + size_of::<List>() - 1));
        assert_eq!(align_of::<WaitQueue>(), 64);
        assert_eq!((line(0), line(offset_of!(WaitLists, last_turn))), (0, 0));
        assert_eq!((lines(ListId::Exclusive), lines(ListId::Overtaken)), ((1, 1), (1, 1)));
        assert_eq!((lines(ListId::Shared), lines(ListId::Upgradable)), ((2, 2), (2, 2)));
    }

    #[test]
    #[should_panic = "fewer than 2^32 wait"]
    fn more_waiters_than_can_be_counted_are_refused() {
        WaitQueue::new().with(|waiters| {
            waiters.counts[WaitFlag::Shared as usize] = u32::MAX;
            waiters.count(WaitFlags::of(WaitFlag::Shared));
        });
    }
}
