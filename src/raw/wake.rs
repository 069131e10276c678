//! Which waiters are woken after a change of the word.

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::queue::{HandOff, ListId, NO_HANDOFF, WaitQueue};
use crate::raw::state::{Snapshot, Transition, WaitFlag};
use crate::raw::wakers::WakeAll;
use crate::sync::atomic::Ordering::Acquire;
use crate::sync::atomic::fence;

impl RawLock {
    /// Wakes waiters like [`wake`](Self::wake), after a release. What that needs beyond the word is
    /// computed in here, where few releases pass.
    #[cold]
    #[inline(never)]
    pub(super) fn wake_released(&self, word: Snapshot, mode: Mode) {
        self.wake(Transition::release(word, mode));
    }

    /// Notifies the waiters that may enter after `change`: a hold has ended or has become weaker,
    /// or a waiter has left.
    ///
    /// This is where shared and exclusive waiters take turns. After an exclusive hold come all
    /// shared waiters and one upgradable waiter, and after those comes one exclusive waiter. If all
    /// waiters whose turn it is were notified before, and have not entered, it is the turn of the
    /// others. Of upgradable and exclusive waiters neither kind has two turns while the other
    /// kind waits.
    #[cold]
    pub(super) fn wake(&self, change: Transition) {
        self.wake_by(change, false);
    }

    #[cold]
    #[inline(never)]
    pub(super) fn wake_by(&self, change: Transition, fair: bool) {
        // ORDERING: Acquire. The release was only a Release, for the sake of holders that have no
        // waiter to wake. With the fence, a waiter that set its flag in the word before that is
        // found in the queue and in its counts. Weakened, the model `p2_the_next_waiter_is_woken`
        // fails.
        fence(Acquire);
        let Some(queue) = self.queue.get() else {
            return;
        };
        let word = change.after;
        let mut wake = WakeAll::new(fair);
        // Edges are counted before any task is woken: the task might look at them.
        let edges = if word.has(WaitFlag::Monitors) {
            queue.count_edges(|mode| change.is_edge(mode))
        } else {
            None
        };

        if word.is_upgrading() {
            if word.shared_holders() == 0 {
                queue.notify_first(ListId::Upgrade, None, NO_HANDOFF, &mut wake);
            }
        } else if word.is_awaited_in_any_mode() {
            self.notify_next(queue, change, &mut wake);
        }
        // Monitors are notified last: no waiter depends on one.
        if let Some(edges) = edges {
            edges.tell(&mut wake);
        }
    }

    /// Notifies the waiters whose turn it is.
    #[inline]
    fn notify_next(&self, queue: &WaitQueue, change: Transition, wake: &mut WakeAll) {
        let word = change.after;
        // A shared release that leaves other holders makes no room, unless the lock was full. But
        // if an upgradable waiter may enter, the waiter that was notified for that room has not
        // entered.
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

        let mut notified = turn_of_shared && self.notify_shared(queue, word, wake);
        if turn_of_upgradable && (turn_of_shared || word.is_free()) {
            notified |= self.notify_upgradable(queue, word, wake);
        }
        if notified || !word.is_free() || self.notify_exclusive(queue, word, wake) {
            return;
        }
        if !turn_of_shared {
            self.notify_shared(queue, word, wake);
        }
        if !turn_of_upgradable {
            self.notify_upgradable(queue, word, wake);
        }
    }

    /// Notifies all shared waiters, if they fit. Returns whether there is one.
    fn notify_shared(&self, queue: &WaitQueue, word: Snapshot, wake: &mut WakeAll) -> bool {
        word.has(WaitFlag::Shared)
            && word.fits(Mode::Shared)
            && queue.notify_all(ListId::Shared, &|| self.acquire_notified(Mode::Shared), wake)
    }

    /// Notifies the first upgradable waiter, if it fits. Returns whether there is one.
    fn notify_upgradable(&self, queue: &WaitQueue, word: Snapshot, wake: &mut WakeAll) -> bool {
        let hand_off: HandOff<'_> = &|| self.acquire_notified(Mode::Upgradable);
        let turn = word.has(WaitFlag::Exclusive).then_some(Mode::Upgradable);
        word.has(WaitFlag::Upgradable)
            && word.fits(Mode::Upgradable)
            && queue.notify_first(ListId::Upgradable, turn, hand_off, wake)
    }

    /// Notifies the first exclusive waiter, overtaken waiters first. Returns whether there is one.
    fn notify_exclusive(&self, queue: &WaitQueue, word: Snapshot, wake: &mut WakeAll) -> bool {
        let hand_off: HandOff<'_> = &|| self.acquire_notified(Mode::Exclusive);
        let turn = word.has(WaitFlag::Upgradable).then_some(Mode::Exclusive);
        word.has(WaitFlag::Overtaken) && queue.notify_first(ListId::Overtaken, turn, hand_off, wake)
            || queue.notify_first(ListId::Exclusive, turn, hand_off, wake)
    }

    /// Notifies the waiters that may enter, after a waiter has left that no other waited for.
    pub(super) fn wake_others(&self) {
        let word = self.state.load();
        self.wake(Transition { before: word, after: word });
    }
}
