//! What a set does when it has failed to acquire all of its locks.

use core::ptr;

use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::raw::state::Snapshot;
use crate::set::all_or_nothing::Blocker;
use crate::sync::future::yield_once;

/// How often a set is turned away before it reserves members.
///
/// In a load of 16 tasks that take two of four locks, each for one poll, a turn takes 1.5 to 1.9
/// times as long if sets reserve from the second time on. If they reserve from the sixth time on, a
/// turn takes no longer than without reservations.
pub(crate) const RESERVE_AFTER: u8 = if cfg!(any(loom, shuttle)) { 1 } else { 6 };

/// What a set does after a failed attempt. That depends on how often it was turned away.
#[derive(Clone, Copy)]
pub(super) struct RetryPolicy {
    /// How often the set was turned away, and [`RESERVE_AFTER`] if more often.
    turned_away: u8,
}

impl RetryPolicy {
    pub(super) const NEW: Self = Self { turned_away: 0 };

    pub(super) fn turn_away(&mut self) {
        self.turned_away = RESERVE_AFTER.min(self.turned_away + 1);
    }

    pub(super) fn was_turned_away(self) -> bool {
        self.turned_away > 0
    }

    /// Returns whether the set reserves the locks before the one that it waits for.
    pub(super) fn reserves(self) -> bool {
        self.turned_away == RESERVE_AFTER
    }

    /// Returns the condition on which the set enters the locks at which it does not wait.
    ///
    /// Until the set is turned away, it is a newcomer to these locks, and yields one poll where
    /// waiters were overtaken. Otherwise two tasks that acquire one set in a loop could keep a
    /// waiter of a member out forever, if they are polled before it.
    pub(super) fn admits(self) -> fn(Snapshot, Mode) -> bool {
        if self.was_turned_away() { Snapshot::admits } else { Snapshot::admits_newcomer }
    }

    /// Returns when a set that waits at the lock `queued`, and has failed because of `blocker`,
    /// tries once more before it waits at `blocker` instead.
    ///
    /// While the set reserves no locks, `blocker` may be free at the next poll: to move on to
    /// another queue takes longer than most holders take.
    pub(super) fn retry(self, blocker: Blocker<'_>, queued: &MultiLock) -> Retry {
        if ptr::eq(blocker.0, queued) {
            return Retry::Never;
        }
        match Retry::behind_overtaken(blocker) {
            Retry::Never if !self.reserves() => Retry::AtNextPoll,
            retry => retry,
        }
    }
}

/// When a set that has failed tries once more before it waits at another lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    AtOnce,
    AtNextPoll,
}

impl Retry {
    /// A waiter that was overtaken at `blocker` enters first, if it is polled while the set yields
    /// one poll. The set does not yield where [enough others](crate::raw::RawLock::take_deferral) have.
    pub(super) fn behind_overtaken((lock, mode): Blocker<'_>) -> Self {
        if !lock.raw.newcomer_must_yield(mode) {
            Self::Never
        } else if lock.raw.take_deferral() {
            Self::AtNextPoll
        } else {
            Self::AtOnce
        }
    }

    /// Waits until it is time to try once more, and returns whether the set does so at all.
    pub(super) async fn is_due(self) -> bool {
        if self == Self::AtNextPoll {
            yield_once().await;
        }
        self != Self::Never
    }
}
