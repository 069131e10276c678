//! Which waiters are notified after a change of the word, and which of them passes a notification on:
//! the decisions alone. What happens with the queue locked is in `wake.rs`.
//!
//! The model in `model` runs this file, too, on a queue of which it takes one step at a time.

use crate::mode::Mode;
use crate::raw::queue::ListId;
use crate::raw::reservation::RACES;
use crate::raw::state::{Snapshot, Transition, WaitFlag, WaitFlags};

/// Whose turn was last: that of exclusive waiters, or that of the others.
#[derive(Clone, Copy)]
pub(crate) struct LastTurns {
    pub(crate) exclusive: bool,
    /// How many turns in a row those have had while the others waited: since one of them entered, the most.
    pub(crate) number: u8,
}

impl LastTurns {
    pub(crate) const NONE: Self = Self { exclusive: false, number: 0 };

    /// How many turns in a row waiters have at most while the others sleep: as many as one needs that is
    /// overtaken each time, until the lock is reserved for it.
    pub(crate) const MOST: u8 = RACES + 1;

    /// Returns the last turns after the next one, which is that of the `exclusive` waiters, or of the others,
    /// unless they have had theirs.
    #[inline]
    pub(crate) fn next(self, exclusive: bool) -> Self {
        match self.number {
            number if self.exclusive != exclusive || number == 0 => Self { exclusive, number: 1 },
            Self::MOST => Self { exclusive: !exclusive, number: 1 },
            number => Self { exclusive, number: number + 1 },
        }
    }
}

/// What a notification asks of the queue. Each method locks the queue for itself, and the wakers of
/// those that it has notified run before it returns. Other threads run in between.
pub(crate) trait QueueSteps {
    /// Begins the next turn, where both sides wait: that of the `exclusive` waiters, or of the others, unless
    /// they have had theirs. Returns whether it is that of exclusive waiters. If no waiter is queued, there is no
    /// turn.
    fn next_turn(&mut self, exclusive: bool) -> Option<bool>;

    /// Notifies the first waiter of `list`, unless it is a handoff waiter and the lock is held.
    /// Returns whether there was one.
    fn notify_first(&mut self, list: ListId) -> bool;

    /// Notifies all shared waiters, but not those that join meanwhile. Returns whether one was queued.
    ///
    /// Stops at the first handoff waiter that finds the lock held: the waiters behind that one
    /// cannot enter either.
    fn notify_all_shared(&mut self) -> bool;
}

/// Notifies the waiters that may enter after `change`.
#[inline]
pub(crate) fn wake_waiters(queue: &mut impl QueueSteps, change: Transition) {
    let word = change.after;
    if word.is_upgrading() {
        if word.shared_holders() == 0 {
            queue.notify_first(ListId::Upgrade);
        }
    } else if makes_room(change) {
        notify_next(queue, change);
    }
}

/// Returns whether `change` made room for a waiter other than an upgrade.
///
/// A shared release makes room for shared waiters only if the lock was full, and for others if it
/// leaves no holder. So where only shared waiters are counted, all of them were notified before: when
/// what kept them out has ended. There is one more case: the lock still admits an upgradable waiter, as
/// the waiter that was notified for that room has not entered.
#[inline]
pub(crate) fn makes_room(change: Transition) -> bool {
    let word = change.after;
    let made_room = !change.makes_no_room()
        || word.is_free() && !word.awaits_only_shared()
        || word.has(WaitFlag::Upgradable) && word.admits(Mode::Upgradable);
    made_room && word.is_awaited_in_any_mode() && word.mode() != Some(Mode::Exclusive)
}

/// Notifies the waiters whose turn it is.
///
/// This is where exclusive waiters and the others take turns. After an exclusive hold come all
/// shared waiters and one upgradable waiter, and after those comes one exclusive waiter. If all
/// waiters whose turn it is were notified before, and have not entered, it is the turn of the
/// others.
///
/// Where a function below returns whether there was a waiter, a handoff waiter that is left in
/// its list counts. A waiter that was notified earlier is in no list, and does not.
#[inline]
fn notify_next(queue: &mut impl QueueSteps, change: Transition) {
    let word = change.after;
    let exclusive_waits = word.has(WaitFlag::Exclusive);
    let after_exclusive = change.ends_exclusive();
    if exclusive_waits && !word.is_free() && !after_exclusive {
        return;
    }
    if cfg!(feature = "std") && exclusive_waits && word.awaits_only_exclusive() {
        // The rules below lead to the same, by more steps.
        if word.is_free() {
            notify_exclusive(queue, word);
        }
        return;
    }
    // Holders that change their modes could end each hold in the mode after which the same waiters have
    // their turn. And newcomers could overtake waiters in each of their turns, which are canceled then, and
    // replaced by others. So those that sleep have their turn, too. A downgrade after which no upgradable
    // waiter fits lets shared ones in at any time, and that is no turn.
    let both_wait = exclusive_waits && !word.awaits_only_exclusive();
    let turn_of_exclusive = match both_wait && (word.is_free() || word.fits(Mode::Upgradable)) {
        true => {
            let Some(exclusive) = queue.next_turn(!after_exclusive) else { return };
            exclusive
        }
        false => exclusive_waits && !after_exclusive,
    };

    let mut found = (!turn_of_exclusive || !word.is_free()) && notify_shared(queue, word);
    found |= !turn_of_exclusive && notify_upgradable(queue, word);
    if found || !exclusive_waits || !word.is_free() || notify_exclusive(queue, word) {
        return;
    }
    // All waiters whose turn it is were notified before, and have not entered.
    if turn_of_exclusive {
        notify_shared(queue, word);
        notify_upgradable(queue, word);
    }
}

/// Notifies all shared waiters, if they fit. Returns whether there was one.
fn notify_shared(queue: &mut impl QueueSteps, word: Snapshot) -> bool {
    word.has(WaitFlag::Shared) && word.fits(Mode::Shared) && queue.notify_all_shared()
}

/// Notifies the first upgradable waiter, if it fits. Returns whether there was one.
fn notify_upgradable(queue: &mut impl QueueSteps, word: Snapshot) -> bool {
    word.has(WaitFlag::Upgradable)
        && word.fits(Mode::Upgradable)
        && queue.notify_first(ListId::Upgradable)
}

/// Notifies the first exclusive waiter, overtaken waiters first. Returns whether there was one.
#[inline]
fn notify_exclusive(queue: &mut impl QueueSteps, word: Snapshot) -> bool {
    word.has(WaitFlag::Overtaken) && queue.notify_first(ListId::Overtaken)
        || queue.notify_first(ListId::Exclusive)
}

/// Returns whether a waiter that was dropped wakes those that may enter after it has left. It was the last
/// in the `emptied` flags. If it `ends_turn`, it was woken, and is the last of those shared ones that were
/// woken together, or is not shared.
#[inline]
pub(crate) fn passes_on(ends_turn: bool, emptied: WaitFlags, change: Transition) -> bool {
    // The last exclusive waiter may leave waiters behind that waited because of it. Of shared waiters that
    // were woken together, the last passes the wake-up on.
    change.has_waiters() && (ends_turn || emptied.has(WaitFlag::Exclusive))
}
