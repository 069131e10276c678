//! Which waiters are notified after a change of the word, when a waiter is dropped, and when one
//! joins behind a thread that is handed the lock. For a handoff waiter, `pop` also enters the lock.
//!
//! Whether a release comes here at all is decided in the word: it does if it sees a flag or an
//! upgrade.

use core::mem;
use core::task::Waker;

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::edges::Edge;
use crate::raw::list::WaitState;
use crate::raw::monitors::PendingEdges;
use crate::raw::queue::{End, ListId, WaitLists, WaitQueue};
use crate::raw::state::{Snapshot, Transition, WaitFlag, WaitFlags};
use crate::raw::wakers::{BATCH, WakeAll, WakeBatch};
use crate::sync::atomic::Ordering::Acquire;
use crate::sync::atomic::fence;

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
    pub(super) fn wake_released(&self, word: Snapshot, mode: Mode) {
        self.wake(Transition::release(word, mode));
    }

    /// Wakes waiters like [`wake_by`](Self::wake_by), after a normal release.
    #[cold]
    pub(super) fn wake(&self, change: Transition) {
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
        let word = change.after;
        let mut wake = WakeAll::new(matches!(release, Release::Fair));
        // Edges are counted before any task is woken: the task might look at them.
        let edges = if word.has(WaitFlag::Monitors) {
            PendingEdges::count(queue, |edge| match edge {
                Edge::Acquirable(mode) => change.is_edge(mode),
                Edge::Change => {
                    change.ends_exclusive()
                        && word.mode() != Some(Mode::Exclusive)
                        && !matches!(release, Release::Unchanged)
                }
            })
        } else {
            None
        };

        if word.is_upgrading() {
            if word.shared_holders() == 0 {
                self.notify_first(queue, ListId::Upgrade, None, &mut wake);
            }
        } else if word.is_awaited_in_any_mode() {
            self.notify_next(queue, change, &mut wake);
        }
        // Monitors are notified last: no waiter depends on one.
        if let Some(edges) = edges {
            edges.notify(&mut wake);
        }
    }

    /// Notifies the waiters whose turn it is.
    ///
    /// This is where shared and exclusive waiters take turns. After an exclusive hold come all
    /// shared waiters and one upgradable waiter, and after those comes one exclusive waiter. If all
    /// waiters whose turn it is were notified before, and have not entered, it is the turn of the
    /// others. Where both upgradable and exclusive waiters wait, neither kind has two turns in a row.
    ///
    /// Where a function below returns whether there was a waiter, a handoff waiter that is left in
    /// its list counts. A waiter that was notified earlier is in no list, and does not.
    #[inline]
    fn notify_next(&self, queue: &WaitQueue, change: Transition, wake: &mut WakeAll) {
        let word = change.after;
        // A shared release that leaves other holders makes room only if the lock was full. There is
        // one more case: the lock still admits an upgradable waiter, as the waiter that was notified
        // for that room has not entered.
        let made_room = !change.makes_no_room()
            || word.is_free()
            || word.has(WaitFlag::Upgradable) && word.admits(Mode::Upgradable);
        if !made_room || word.mode() == Some(Mode::Exclusive) {
            return;
        }

        if !word.has(WaitFlag::Exclusive) {
            self.notify_shared(queue, word, wake);
            self.notify_upgradable(queue, word, wake);
            return;
        }
        if word.awaits_only_exclusive() {
            if word.is_free() {
                self.notify_exclusive(queue, word, wake);
            }
            return;
        }

        let turn_of_shared = change.ends_exclusive();
        // Holders that change their modes could end each acquisition in the mode after which the
        // same waiters have their turn. So where both upgradable and exclusive waiters wait,
        // neither kind has two turns in a row.
        let last = if word.has(WaitFlag::Upgradable) { queue.last_turn() } else { None };
        let turn_of_upgradable = last.map_or(turn_of_shared, |last| last == Mode::Exclusive);

        let mut found = turn_of_shared && self.notify_shared(queue, word, wake);
        if turn_of_upgradable && (turn_of_shared || word.is_free()) {
            found |= self.notify_upgradable(queue, word, wake);
        }
        if found || !word.is_free() || self.notify_exclusive(queue, word, wake) {
            return;
        }
        // All waiters whose turn it is were notified before, and have not entered.
        if !turn_of_shared {
            self.notify_shared(queue, word, wake);
        }
        if !turn_of_upgradable {
            self.notify_upgradable(queue, word, wake);
        }
    }

    /// Notifies all shared waiters, if they fit. Returns whether there was one.
    fn notify_shared(&self, queue: &WaitQueue, word: Snapshot, wake: &mut WakeAll) -> bool {
        word.has(WaitFlag::Shared) && word.fits(Mode::Shared) && self.notify_all_shared(queue, wake)
    }

    /// Notifies the first upgradable waiter, if it fits. Returns whether there was one.
    fn notify_upgradable(&self, queue: &WaitQueue, word: Snapshot, wake: &mut WakeAll) -> bool {
        let turn = word.has(WaitFlag::Exclusive).then_some(Mode::Upgradable);
        word.has(WaitFlag::Upgradable)
            && word.fits(Mode::Upgradable)
            && self.notify_first(queue, ListId::Upgradable, turn, wake)
    }

    /// Notifies the first exclusive waiter, overtaken waiters first. Returns whether there was one.
    fn notify_exclusive(&self, queue: &WaitQueue, word: Snapshot, wake: &mut WakeAll) -> bool {
        let turn = word.has(WaitFlag::Upgradable).then_some(Mode::Exclusive);
        word.has(WaitFlag::Overtaken) && self.notify_first(queue, ListId::Overtaken, turn, wake)
            || self.notify_first(queue, ListId::Exclusive, turn, wake)
    }

    /// Notifies the first waiter of `list`, unless it is a handoff waiter and the lock is held.
    /// Returns whether there was one.
    ///
    /// If the waiter is notified and `turn` is a mode, that mode becomes the
    /// [last turn](WaitQueue::last_turn).
    fn notify_first(
        &self,
        queue: &WaitQueue,
        list: ListId,
        turn: Option<Mode>,
        wake: &mut WakeAll,
    ) -> bool {
        let mut batch = WakeBatch::<1>::EMPTY;
        let found = queue.with(|waiters| {
            let found = waiters.list(list).first().is_some();
            self.pop(waiters, list, wake.is_fair(), &mut batch);
            waiters.uncount_popped(batch.len());
            if turn.is_some() && batch.len() > 0 {
                waiters.reservation.last_turn = turn;
            }
            found
        });
        batch.wakers().for_each(|waker| wake.one(waker));
        found
    }

    /// Notifies all shared waiters, but not those that join meanwhile. Returns whether one was queued.
    ///
    /// Stops at the first handoff waiter that finds the lock held: the waiters behind that one
    /// cannot enter either.
    fn notify_all_shared(&self, queue: &WaitQueue, wake: &mut WakeAll) -> bool {
        let (mut end, mut total) = (None, 0);
        loop {
            // Made here and not moved: only what must be done is done while the queue is locked.
            let mut batch = WakeBatch::<BATCH>::EMPTY;
            let (found, is_over) = queue.with(|waiters| {
                let end = *end.get_or_insert_with(|| waiters.end_of(ListId::Shared));
                let popped = self.pop_shared(waiters, end, wake.is_fair(), &mut batch);
                waiters.uncount_popped(batch.len());
                popped
            });
            total += batch.len();
            let is_over = is_over || end.is_some_and(|end| end.is_behind(total));
            batch.wakers().for_each(|waker| wake.one(waker));
            // All are woken. The compiler would look for wakers to drop.
            mem::forget(batch);
            if is_over {
                return found || total > 0;
            }
        }
    }

    /// Notifies the next shared waiters, up to the `end` of their list. Returns whether one was queued,
    /// and whether no batch follows. The queue is locked.
    #[inline]
    fn pop_shared(
        &self,
        waiters: &mut WaitLists,
        end: End,
        fair: bool,
        batch: &mut WakeBatch<BATCH>,
    ) -> (bool, bool) {
        let mut found = false;
        while batch.len() < BATCH {
            let Some(node) = waiters.list(ListId::Shared).first() else { return (found, true) };
            found = true;
            let (is_last, notified) = (end.is_at(node), batch.len());
            let together = self.pop(waiters, ListId::Shared, fair, batch);
            if is_last || !together {
                // A handoff waiter that is left in the list begins the next batch.
                let is_over = is_last && batch.len() > notified;
                return (found, is_over || batch.len() == 0);
            }
        }
        (found, false)
    }

    /// Notifies the first waiter of `list`, and adds its waker to `batch`. Returns whether the next
    /// waiter may be notified together with it. The queue is locked.
    ///
    /// A handoff waiter is notified on its own: until it is woken, no other waiter can have what it
    /// was handed. If the lock is not free for it, it stays queued. If `fair`, a thread becomes a
    /// handoff waiter, notified or not.
    #[inline]
    fn pop<const N: usize>(
        &self,
        waiters: &mut WaitLists,
        list: ListId,
        fair: bool,
        batch: &mut WakeBatch<N>,
    ) -> bool {
        let Some(node) = waiters.list(list).first() else { return false };
        if fair {
            node.make_handoff_if_thread();
        }
        let (is_handoff, waiter) = (node.is_handoff(), node.address());
        if is_handoff && (batch.len() > 0 || !self.acquire_notified(list.mode())) {
            return false;
        }
        batch.push(waiters.list(list).pop());
        if waiters.reservation.is_of(waiter) {
            waiters.reservation.set_owner_notified();
        }
        !is_handoff
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
        let mut batch = WakeBatch::<1>::EMPTY;
        self.pop(waiters, ListId::Overtaken, false, &mut batch);
        waiters.uncount_popped(batch.len());
        batch.wakers().next()
    }

    /// Notifies the waiters that may enter after a waiter in `mode` was dropped, which was the last
    /// in the `emptied` flags.
    pub(super) fn pass_on(
        &self,
        mode: Mode,
        state: WaitState,
        emptied: WaitFlags,
        change: Transition,
    ) {
        // The last exclusive waiter may leave waiters behind that waited because of it. All shared
        // waiters are notified together, or the rest of them by the holder that keeps a handoff
        // waiter out. So only the last shared waiter has to pass the wake-up on.
        let is_last = mode != Mode::Upgradable && emptied.has(WaitFlag::of(mode));
        let passes_on = mode != Mode::Shared && state.is_notified();
        if change.has_waiters() && (is_last || passes_on) {
            self.wake(change);
        }
    }
}
