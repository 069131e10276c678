//! How waiters are notified after a change of the word, when a waiter is dropped, and when one
//! joins behind a thread that is handed the lock. For a handoff waiter, `pop` also enters the lock.
//! Which of them are notified is decided in [`policy`].
//!
//! Whether a release comes here at all is decided in the word: it does if it sees a flag or an
//! upgrade.

use core::mem;
use core::task::Waker;

use crate::raw::list::Node;
use crate::raw::policy::{self, QueueSteps};
use crate::raw::queue::{End, ListId, WaitLists, WaitQueue};
use crate::raw::reservation::{NO_WAITER, RACES_OF_THREAD};
use crate::raw::state::{Hold, Snapshot, Transition, WaitFlag, WaitFlags};
use crate::raw::wakers::{Popped, WakeAll, WakeBatch};
use crate::raw::{RawLock, monitors};
use crate::sync::HAS_THREADS;
use crate::sync::atomic::Ordering::Acquire;
use crate::sync::atomic::fence;

/// Waiters that the decisions of [`policy`] notify, and where their wakers run.
struct Notifies<'a> {
    lock: &'a RawLock,
    queue: &'a WaitQueue,
    wake: &'a mut WakeAll,
}

impl QueueSteps for Notifies<'_> {
    #[inline]
    fn next_turn(&mut self, exclusive: bool) -> Option<bool> {
        self.queue.next_turn(exclusive)
    }

    #[inline]
    fn notify_first(&mut self, list: ListId) -> bool {
        self.lock.notify_first(self.queue, list, self.wake)
    }

    #[inline]
    fn notify_all_shared(&mut self) -> bool {
        self.lock.notify_all_shared(self.queue, self.wake)
    }
}

/// How a holder leaves, or becomes weaker.
#[derive(Clone, Copy)]
pub(super) enum Release {
    Normal,
    /// Blocked threads whose turn it is are handed the lock.
    #[allow(dead_code, reason = "only `lock_api` has a fair release")]
    Fair,
    /// An exclusive holder has not changed the data.
    Unchanged,
}

impl RawLock {
    /// Wakes waiters like [`wake`](Self::wake), after a release. What that needs beyond the word is
    /// computed in here, where few releases pass.
    #[cold]
    #[inline(never)]
    pub(super) fn wake_released(&self, word: Snapshot, hold: Hold) {
        let change = Transition::release(word, hold);
        // Most readers that have entered one after the other leave others behind that were notified with
        // them.
        if cfg!(feature = "std")
            && change.makes_no_room()
            && !policy::makes_room(change)
            && !word.is_upgrading()
            && !word.has(WaitFlag::Monitors)
        {
            return;
        }
        self.wake(change);
    }

    /// Wakes waiters like [`wake_by`](Self::wake_by), after a normal release.
    #[cold]
    pub(crate) fn wake(&self, change: Transition) {
        self.wake_by(change, Release::Normal);
    }

    /// Notifies the waiters that may enter after `change`: a hold has ended or has become weaker,
    /// or a waiter has left. Then the edges of monitors are notified.
    #[cold]
    #[inline(never)]
    pub(super) fn wake_by(&self, change: Transition, release: Release) {
        // ORDERING: Acquire. The release was only a Release, for the sake of holders that have no
        // waiter to wake. With the fence, a waiter that set its flag in the word before that is
        // found in the queue and in its counts. Weakened, the model `p2_the_next_waiter_is_woken`
        // fails.
        fence(Acquire);
        let Some(queue) = self.queue.get() else {
            // The release has seen an upgrade that has only started, and not its queue. The upgrade
            // looks at the word once more: see `finish_upgrade`.
            return;
        };
        let mut wake = WakeAll::new(matches!(release, Release::Fair));
        let watched = change.after.has(WaitFlag::Monitors);
        match watched.then(monitors::wake_watched).flatten() {
            Some(wake_watched) => wake_watched(self, queue, change, release, &mut wake),
            None => self.wake_waiters(queue, change, &mut wake),
        }
    }

    /// Notifies the waiters that may enter after `change`.
    #[inline]
    pub(super) fn wake_waiters(&self, queue: &WaitQueue, change: Transition, wake: &mut WakeAll) {
        policy::wake_waiters(&mut Notifies { lock: self, queue, wake }, change);
    }

    /// See [`QueueSteps::notify_first`].
    pub(crate) fn notify_first(&self, queue: &WaitQueue, list: ListId, wake: &mut WakeAll) -> bool {
        // Without `std`, the code is there once for one and for all: 150 bytes less, and 70
        // instructions more.
        if cfg!(not(feature = "std")) {
            return self.notify(queue, list, false, wake);
        }
        let (found, popped) = queue.with(|waiters| {
            let first = waiters.list(list).first().map_or(NO_WAITER, Node::address);
            let popped = self.pop(waiters, list, wake.is_fair(), true);
            if matches!(popped, Popped::None) {
                reserve_for_handoff(waiters, list);
            } else {
                waiters.record_popped(list, 1);
                if waiters.reservation.is_of(first) {
                    waiters.reservation.set_owner_notified();
                }
            }
            (first != NO_WAITER, popped)
        });
        if let Popped::Next(waker) | Popped::Last(waker) = popped {
            wake.one(waker);
        }
        found
    }

    /// See [`QueueSteps::notify_all_shared`].
    pub(crate) fn notify_all_shared(&self, queue: &WaitQueue, wake: &mut WakeAll) -> bool {
        self.notify(queue, ListId::Shared, true, wake)
    }

    /// Notifies the first waiter of `list`, or `all` of them: see the two methods above.
    #[inline(never)]
    fn notify(&self, queue: &WaitQueue, list: ListId, all: bool, wake: &mut WakeAll) -> bool {
        let mut batches = Batches::NONE;
        loop {
            if let Some(found) = self.notify_batch(queue, list, all, wake, &mut batches) {
                return found;
            }
        }
    }

    /// Notifies the next batch of these waiters. Returns whether one was queued, when it is the last.
    #[inline]
    pub(crate) fn notify_batch(
        &self,
        queue: &WaitQueue,
        list: ListId,
        all: bool,
        wake: &mut WakeAll,
        batches: &mut Batches,
    ) -> Option<bool> {
        let fair = wake.is_fair();
        batches.next(queue, list, all, wake, |waiters, is_first| {
            let popped = self.pop(waiters, list, fair, is_first);
            if is_first && matches!(popped, Popped::None) {
                reserve_for_handoff(waiters, list);
            }
            popped
        })
    }

    /// Notifies the first waiter of `list`, if there is one. The queue is locked.
    ///
    /// A handoff waiter is notified on its own: until it is woken, no other waiter can have what it
    /// was handed. If it is not the first of its batch, or the lock is not free for it, it stays
    /// queued. If `fair`, a thread becomes a handoff waiter, notified or not.
    ///
    /// A thread that has to defer to the owner of a reservation is handed nothing: it is notified as a
    /// task is.
    #[inline]
    fn pop(&self, waiters: &mut WaitLists, list: ListId, fair: bool, is_first: bool) -> Popped {
        let Some(first) = waiters.list(list).first().map(Node::address) else {
            return Popped::None;
        };
        let defers = HAS_THREADS && waiters.reservation.applies_to(first, list.mode(), true);
        let Some(node) = waiters.list(list).first() else { return Popped::None };
        if fair {
            node.make_handoff_if_thread();
        }
        if defers {
            node.make_thread_if_handoff();
        }
        let is_handoff = node.is_handoff();
        if is_handoff && !(is_first && self.acquire_notified(list.mode())) {
            return Popped::None;
        }
        match waiters.list(list).pop() {
            Some(waker) if is_handoff => Popped::Last(waker),
            Some(waker) => Popped::Next(waker),
            None => Popped::None,
        }
    }

    /// Returns whether `waiter`, which joins or was not notified, hands the lock to a thread instead
    /// of entering: to the first of the overtaken exclusive waiters, if that is a handoff waiter.
    ///
    /// If the lock is free, a release is about to hand it to that thread. The waiter must not barge
    /// ahead, and does it itself. While waiters of other modes are counted, too, it may be their
    /// turn.
    #[inline]
    pub(super) fn hands_off_first(&self, waiters: &mut WaitLists, waiter: usize) -> bool {
        let first = waiters.list(ListId::Overtaken).first();
        first.is_some_and(|node| node.is_handoff() && node.address() != waiter)
            && self.state.load().awaits_only_exclusive()
    }

    /// Hands the lock, if it is free, to that thread. Returns its waker. The queue is locked.
    pub(super) fn hand_off_first(&self, waiters: &mut WaitLists) -> Option<Waker> {
        let (Popped::Next(waker) | Popped::Last(waker)) =
            self.pop(waiters, ListId::Overtaken, false, true)
        else {
            return None;
        };
        waiters.record_popped(ListId::Overtaken, 1);
        Some(waker)
    }

    /// Notifies the waiters that may enter after a waiter was dropped: see
    /// [`policy::passes_on`].
    pub(super) fn pass_on(&self, ends_turn: bool, emptied: WaitFlags, change: Transition) {
        if policy::passes_on(ends_turn, emptied, change) {
            self.wake(change);
        }
    }
}

/// Reserves the lock for the first waiter of `list`, if that is a handoff waiter: a release has not found the
/// lock free for it, as a waiter that was not notified has entered meanwhile. That could happen at each.
#[inline]
fn reserve_for_handoff(waiters: &mut WaitLists, list: ListId) {
    if !HAS_THREADS {
        return;
    }
    let Some(first) = waiters.list(list).first().filter(|node| node.is_handoff()) else { return };
    let first = first.address();
    waiters.reservation.make(first, list.mode(), true, RACES_OF_THREAD);
    waiters.reservation.deferrals = 0;
}

/// Notifies the first listener of `list`, or `all` that are queued there, but not those that join
/// meanwhile, unless the last one has left. Returns whether one was queued.
///
/// `pop`, with the queue locked, takes the first listener out, and is told whether that is the first of
/// a batch. A handoff waiter that it leaves in the list begins the next batch. Any other is the end.
#[inline]
pub(super) fn notify_in_batches(
    queue: &WaitQueue,
    list: ListId,
    all: bool,
    wake: &mut WakeAll,
    mut pop: impl FnMut(&mut WaitLists, bool) -> Popped,
) -> bool {
    let mut batches = Batches::NONE;
    loop {
        if let Some(found) = batches.next(queue, list, all, wake, &mut pop) {
            return found;
        }
    }
}

/// The batches of a notification that were notified so far.
pub(crate) struct Batches {
    /// The end, from the first batch on.
    pub(crate) end: Option<End>,
    /// How many listeners were notified.
    pub(crate) total: usize,
}

impl Batches {
    pub(crate) const NONE: Self = Self { end: None, total: 0 };

    /// Notifies one more batch, and wakes it: see [`notify_in_batches`]. Returns whether a listener was
    /// queued, when this is the last one.
    #[inline]
    fn next(
        &mut self,
        queue: &WaitQueue,
        list: ListId,
        all: bool,
        wake: &mut WakeAll,
        mut pop: impl FnMut(&mut WaitLists, bool) -> Popped,
    ) -> Option<bool> {
        // Made here and not moved: only what must be done is done while the queue is locked.
        let mut batch = WakeBatch::new();
        let (end, mut is_over) = queue.with(|waiters| {
            let end = *self.end.get_or_insert_with(|| waiters.end_of(list, all));
            let owner = waiters.reservation.owner();
            let mut is_over = false;
            batch.fill(|len| {
                let address = waiters.list(list).first().map_or(NO_WAITER, Node::address);
                let popped = pop(waiters, len == 0);
                if matches!(popped, Popped::None) {
                    is_over = !waiters.list(list).first().is_some_and(Node::is_handoff);
                    return popped;
                }
                if address == owner {
                    waiters.reservation.set_owner_notified();
                }
                is_over = end.is_at(address);
                if is_over { popped.last() } else { popped }
            });
            waiters.record_popped(list, batch.len());
            if matches!(list, ListId::Shared) {
                // With the first batch a turn begins, also if none is queued.
                waiters.count_woken_shared(self.total == 0, batch.len());
            }
            (end, is_over || batch.len() == 0)
        });
        self.total += batch.len();
        is_over |= end.is_behind(self.total);
        for waker in batch.by_ref() {
            wake.one(waker);
        }
        // All are woken. The compiler would look for wakers that are left.
        mem::forget(batch);
        is_over.then(|| end.had_listeners())
    }
}
