#![doc = include_str!("DESIGN.md")]

// To be read in this order:
//
//   state                  the word. Each way to enter and to leave is one of its methods
//   list, listener, queue  nodes, their registration, and the lists: they decide nothing
//   acquire, waiter        an acquisition, from its first poll until it holds the lock or is dropped;
//                          it defers as `deferral` says
//   policy, wake, wakers   which waiters are notified, and how; their wakers run with the queue unlocked
//   reservation, deferral  which waiters defer to one that starves
//   upgrade                the future of an upgrade
//   spin, blocking         what comes before the queue, and may enter; threads
//   edges, monitors        monitors, conditions, subscriptions: what a release counts for them
//
// Only `state` writes the word. Its methods are called here (and through here by acquire, spin and
// blocking), in waiter and upgrade, in wake for a handoff, and in deferral and monitors for a flag.
// Only `listener`, `wake` and `monitors` touch the lists: a listener pushes and removes its own node,
// and the others pop. Wakers run in `wakers`, or where a waiter wakes itself: in acquire and waiter.

pub(crate) mod acquire;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
mod deferral;
pub(crate) mod edges;
pub(crate) mod list;
pub(crate) mod listener;
mod monitors;
pub(crate) mod policy;
pub(crate) mod queue;
pub(crate) mod reservation;
#[cfg(feature = "std")]
mod spin;
pub(crate) mod state;
mod upgrade;
mod waiter;
pub(crate) mod wake;
pub(crate) mod wakers;

pub(crate) use upgrade::RawUpgrade;
pub(crate) use waiter::Waiter;

use crate::mode::Mode;
use crate::raw::queue::{LazyQueue, WaitLists, WaitQueue};
use crate::raw::state::{AfterRelease, Hold, Snapshot, State, Transition, WaitFlags};
use crate::raw::wake::Release;
use crate::sync::const_fn;

/// A lock that has a raw lock. So a future that acquires it borrows one thing.
pub(crate) trait HasRaw {
    fn raw(&self) -> &RawLock;
}

impl HasRaw for RawLock {
    #[inline]
    fn raw(&self) -> &RawLock {
        self
    }
}

/// The lock without guards: the caller that acquires it must release it.
///
/// The word is the first field: its address is that of the lock.
#[repr(C)]
pub(crate) struct RawLock {
    pub(crate) state: State,
    queue: LazyQueue,
}

impl RawLock {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self { state: State::new(), queue: LazyQueue::new() }
        }
    }

    /// Creates a lock with as many shared holders as can enter.
    #[cfg(test)]
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn full() -> Self {
        Self { state: State::full(), queue: LazyQueue::new() }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state.load()
    }

    /// Returns the state, in order with all that enter: see [`State::load_in_order`].
    pub(crate) fn load_in_order(&self) -> Snapshot {
        self.state.load_in_order()
    }

    #[inline]
    pub(crate) fn try_acquire(&self, mode: Mode) -> bool {
        self.state.try_acquire(mode)
    }

    /// Acquires the lock like [`try_acquire_as_newcomer`](Self::try_acquire_as_newcomer), which is to
    /// be called if this fails.
    #[inline]
    pub(crate) fn try_acquire_once(&self, mode: Mode) -> bool {
        self.state.try_acquire_once(mode)
    }

    /// Acquires the lock at once, unless that would barge past a waiter that was overtaken before.
    #[inline]
    pub(crate) fn try_acquire_as_newcomer(&self, mode: Mode) -> Result<(), Snapshot> {
        self.state.try_acquire_as_newcomer(mode)
    }

    /// Returns whether newcomers to `mode` could enter, but for a waiter that was overtaken.
    #[inline]
    pub(crate) fn newcomer_must_yield(&self, mode: Mode) -> bool {
        self.state.load().newcomer_must_yield(mode)
    }

    /// Acquires the lock in `mode` if a notified waiter may.
    pub(crate) fn acquire_notified(&self, mode: Mode) -> bool {
        self.state.acquire_notified(mode)
    }

    /// Returns the wait queue. With `alloc`, the first wait or the first monitor allocates it: all
    /// that the lock will ever allocate.
    pub(crate) fn queue(&self) -> &WaitQueue {
        self.queue.get_or_make()
    }

    /// Ends the caller's hold in `mode`.
    #[inline]
    pub(crate) fn release(&self, mode: Mode) {
        self.release_hold(Hold::new(mode));
    }

    /// Ends the caller's hold.
    #[inline]
    pub(crate) fn release_hold(&self, hold: Hold) {
        if let AfterRelease::WakeWaiters(word) = self.state.release(hold) {
            self.wake_released(word, hold);
        }
    }

    /// Ends the caller's hold in `mode`, and wakes no waiter. If there may be waiters to wake, returns
    /// the transition: the caller then calls [`wake`](Self::wake) or [`wake_by`](Self::wake_by) with it.
    #[inline]
    pub(crate) fn leave(&self, mode: Mode) -> Option<Transition> {
        let hold = Hold::new(mode);
        match self.state.release(hold) {
            AfterRelease::Done => None,
            AfterRelease::WakeWaiters(word) => Some(Transition::release(word, hold)),
        }
    }

    /// Ends the caller's hold in `mode`, and hands the lock to the blocked threads whose turn it
    /// is.
    ///
    /// [`release`](Self::release) only notifies them, except for those that were overtaken. Tasks
    /// are only notified here, too, since a task may never run.
    ///
    /// If a `try_acquire` gets in first, those threads are handed the lock on their next turn.
    #[cfg(any(test, all(feature = "lock_api", not(any(loom, shuttle, target_family = "wasm")))))]
    pub(crate) fn release_fair(&self, mode: Mode) {
        if let Some(change) = self.leave(mode) {
            self.wake_by(change, Release::Fair);
        }
    }

    /// Ends the caller's exclusive hold, during which the data was not changed: those that wait for
    /// a change go on waiting.
    pub(crate) fn release_unchanged(&self) {
        if let Some(change) = self.leave(Mode::Exclusive) {
            self.wake_by(change, Release::Unchanged);
        }
    }

    /// Changes a hold in mode `from` into one in the weaker mode `to`.
    pub(crate) fn downgrade(&self, from: Mode, to: Mode) {
        if let AfterRelease::WakeWaiters(word) = self.state.downgrade(from, to) {
            self.wake(Transition::downgrade(word, from, to));
        }
    }

    /// Adds one shared hold beside the caller's. Returns whether it was added.
    pub(crate) fn share(&self) -> bool {
        self.state.share()
    }

    /// Makes a hold in mode `from` exclusive, unless there is another holder.
    pub(crate) fn try_upgrade(&self, from: Mode) -> Result<(), Snapshot> {
        self.state.try_upgrade(from)
    }

    /// Counts one more waiter in `flags`. Returns what the word was.
    pub(super) fn count_in(&self, waiters: &mut WaitLists, flags: WaitFlags) -> Snapshot {
        waiters.count(flags);
        self.state.set_waiting(flags)
    }

    /// Counts one waiter less in `flags`. Returns which of the flags are empty now, and
    /// how that changed the word.
    pub(super) fn uncount_from(
        &self,
        waiters: &mut WaitLists,
        flags: WaitFlags,
    ) -> (WaitFlags, Transition) {
        let emptied = waiters.uncount(flags);
        waiters.record_left();
        (emptied, self.state.clear_waiting(emptied))
    }
}

#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests;
