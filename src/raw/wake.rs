//! Which waiters are notified after a change of the word, when a waiter is dropped, and when one
//! joins behind a thread that is handed the lock. For a handoff waiter, `pop` also enters the lock.
//!
//! Whether a release comes here at all is decided in the word: it does if it sees a flag or an
//! upgrade.

use core::mem;
use core::task::Waker;

use crate::mode::Mode;
use crate::raw::list::{Node, WaitState};
use crate::raw::queue::{ListId, WaitLists, WaitQueue};
use crate::raw::reservation::NO_WAITER;
use crate::raw::state::{Hold, Snapshot, Transition, WaitFlag, WaitFlags};
use crate::raw::wakers::{Popped, WakeAll, WakeBatch};
use crate::raw::{RawLock, monitors};
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
    pub(super) fn wake_released(&self, word: Snapshot, hold: Hold) {
        self.wake(Transition::release(word, hold));
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
        let word = change.after;
        if word.is_upgrading() {
            if word.shared_holders() == 0 {
                self.notify_first(queue, ListId::Upgrade, Mode::Shared, wake);
            }
        } else if word.is_awaited_in_any_mode() {
            self.notify_next(queue, change, wake);
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
        // A shared release makes room for shared waiters only if the lock was full, and for others if
        // it leaves no holder. So where only shared waiters are counted, all of them were notified
        // before: when what kept them out has ended. There is one more case: the lock still admits
        // an upgradable waiter, as the waiter that was notified for that room has not entered.
        let made_room = !change.makes_no_room()
            || word.is_free() && !word.awaits_only_shared()
            || word.has(WaitFlag::Upgradable) && word.admits(Mode::Upgradable);
        if !made_room || word.mode() == Some(Mode::Exclusive) {
            return;
        }

        let exclusive_waits = word.has(WaitFlag::Exclusive);
        if cfg!(feature = "std") && exclusive_waits && word.awaits_only_exclusive() {
            // The rules below lead to the same, by more steps.
            if word.is_free() {
                self.notify_exclusive(queue, word, wake);
            }
            return;
        }
        let turn_of_shared = change.ends_exclusive() || !exclusive_waits;
        // Holders that change their modes could end each acquisition in the mode after which the
        // same waiters have their turn. So where both upgradable and exclusive waiters wait,
        // neither kind has two turns in a row.
        let both_wait = exclusive_waits && word.has(WaitFlag::Upgradable);
        let last = if both_wait { queue.last_turn() } else { Mode::Shared };
        let turn_of_upgradable = match last {
            Mode::Shared => turn_of_shared,
            last => last == Mode::Exclusive,
        };

        let mut found = turn_of_shared && self.notify_shared(queue, word, wake);
        if turn_of_upgradable && (turn_of_shared || word.is_free()) {
            found |= self.notify_upgradable(queue, word, wake);
        }
        found |= !exclusive_waits || !word.is_free();
        if found || self.notify_exclusive(queue, word, wake) {
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
        let turn = if word.has(WaitFlag::Exclusive) { Mode::Upgradable } else { Mode::Shared };
        word.has(WaitFlag::Upgradable)
            && word.fits(Mode::Upgradable)
            && self.notify_first(queue, ListId::Upgradable, turn, wake)
    }

    /// Notifies the first exclusive waiter, overtaken waiters first. Returns whether there was one.
    fn notify_exclusive(&self, queue: &WaitQueue, word: Snapshot, wake: &mut WakeAll) -> bool {
        let turn = if word.has(WaitFlag::Upgradable) { Mode::Exclusive } else { Mode::Shared };
        word.has(WaitFlag::Overtaken) && self.notify_first(queue, ListId::Overtaken, turn, wake)
            || self.notify_first(queue, ListId::Exclusive, turn, wake)
    }

    /// Notifies the first waiter of `list`, unless it is a handoff waiter and the lock is held.
    /// Returns whether there was one. If it is notified and `turn` is not shared, that becomes the
    /// [last turn](WaitQueue::last_turn).
    fn notify_first(
        &self,
        queue: &WaitQueue,
        list: ListId,
        turn: Mode,
        wake: &mut WakeAll,
    ) -> bool {
        // Without `std`, the code is there once for one and for all: 150 bytes less, and 70
        // instructions more.
        if cfg!(not(feature = "std")) {
            return self.notify(queue, list, false, turn, wake);
        }
        let (found, popped) = queue.with(|waiters| {
            let first = waiters.list(list).first().map_or(NO_WAITER, Node::address);
            let popped = self.pop(waiters, list, wake.is_fair(), true);
            if !matches!(popped, Popped::None) {
                waiters.uncount_popped(1);
                if waiters.reservation.is_of(first) {
                    waiters.reservation.set_owner_notified();
                }
                if turn != Mode::Shared {
                    waiters.reservation.last_turn = turn;
                }
            }
            (first != NO_WAITER, popped)
        });
        if let Popped::Next(waker) | Popped::Last(waker) = popped {
            wake.one(waker);
        }
        found
    }

    /// Notifies all shared waiters, but not those that join meanwhile. Returns whether one was queued.
    ///
    /// Stops at the first handoff waiter that finds the lock held: the waiters behind that one
    /// cannot enter either.
    fn notify_all_shared(&self, queue: &WaitQueue, wake: &mut WakeAll) -> bool {
        self.notify(queue, ListId::Shared, true, Mode::Shared, wake)
    }

    /// Notifies the first waiter of `list`, or `all` of them: see the two methods above.
    #[inline(never)]
    fn notify(
        &self,
        queue: &WaitQueue,
        list: ListId,
        all: bool,
        turn: Mode,
        wake: &mut WakeAll,
    ) -> bool {
        let fair = wake.is_fair();
        notify_in_batches(queue, list, all, wake, |waiters, is_first| {
            let popped = self.pop(waiters, list, fair, is_first);
            if turn != Mode::Shared && !matches!(popped, Popped::None) {
                waiters.reservation.last_turn = turn;
            }
            popped
        })
    }

    /// Notifies the first waiter of `list`, if there is one. The queue is locked.
    ///
    /// A handoff waiter is notified on its own: until it is woken, no other waiter can have what it
    /// was handed. If it is not the first of its batch, or the lock is not free for it, it stays
    /// queued. If `fair`, a thread becomes a handoff waiter, notified or not.
    #[inline]
    fn pop(&self, waiters: &mut WaitLists, list: ListId, fair: bool, is_first: bool) -> Popped {
        let Some(node) = waiters.list(list).first() else { return Popped::None };
        if fair {
            node.make_handoff_if_thread();
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
        waiters.uncount_popped(1);
        Some(waker)
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
    let (mut end, mut total) = (None, 0);
    loop {
        // Made here and not moved: only what must be done is done while the queue is locked.
        let mut batch = WakeBatch::new();
        let (end, mut is_over) = queue.with(|waiters| {
            let end = *end.get_or_insert_with(|| waiters.end_of(list, all));
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
            waiters.uncount_popped(batch.len());
            (end, is_over || batch.len() == 0)
        });
        total += batch.len();
        is_over |= end.is_behind(total);
        for waker in batch.by_ref() {
            wake.one(waker);
        }
        // All are woken. The compiler would look for wakers that are left.
        mem::forget(batch);
        if is_over {
            return end.had_listeners();
        }
    }
}
