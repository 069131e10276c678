//! The reservation of a lock for a starving waiter, which bounds how often a waiter is overtaken.
//!
//! A release wakes the next waiter but does not hand it the lock. So a newcomer, or a queued waiter
//! that is polled for another reason, can *barge*: it takes the free lock ahead of the notified
//! waiter, which is then *overtaken*. The waiter of a task that was overtaken [`RACES`] times
//! reserves the lock, and is the *owner* of the reservation; a thread is handed the lock instead. A
//! set that was turned away often reserves the locks before the one that it waits for.
//!
//! Until the owner has entered, other waiters that could keep it out *defer* to it: they do not
//! enter, wake themselves, and try again. Waiters that were notified defer, too, once the owner was
//! notified.
//!
//! The owner may never be polled again. So the reservation also ends when the other waiters have
//! deferred for a bounded moment, by the clock or by a number of polls ([`Moment`]). A waiter of one
//! lock can reserve it again only after it was polled, and overtaken, once more.

use crate::mode::Mode;
use crate::raw::list::Node;
use crate::sync::moment::Moment;

/// How many races a waiter loses before the lock is reserved for it.
///
/// With reservations from the first lost race on, a load of 50 tasks that hold the lock across an
/// await, half of them exclusively, takes 1.2 times as long. From the second on, the load takes as
/// long as without reservations. From the fourth on, a writer beside four busy ones waits for 12 of
/// their acquisitions instead of 9.
pub(crate) const RACES: u8 = if cfg!(any(loom, shuttle)) { 1 } else { 2 };

/// An id that no waiter has.
pub(crate) const NO_WAITER: usize = 0;

/// The reservation of a lock, of which there is at most one, and what else decides which waiters go
/// before others. It is touched only with the queue locked.
pub(crate) struct Reservation {
    /// The address of the owner's node, and two flags, or [`NO_WAITER`] if there is no reservation.
    /// The address is compared, and never followed.
    pub(crate) owner: usize,
    pub(crate) moment: Moment,
    /// How many more newcomers yield one poll to waiters that were overtaken.
    pub(crate) deferrals: u8,
    /// The mode of the last waiter that was woken while both upgradable and exclusive ones waited,
    /// unless that waiter did not enter. Otherwise `Shared`: a new lock is all zeros.
    pub(crate) last_turn: Mode,
}

/// The owner wants the lock exclusively.
const IS_EXCLUSIVE: usize = 0b01;
/// Waiters that were notified defer, too: once the owner was notified, or from the start if it waits
/// at another lock.
const BINDS_NOTIFIED: usize = 0b10;
const FLAGS: usize = IS_EXCLUSIVE | BINDS_NOTIFIED;
const _: () = assert!(align_of::<Node>() > FLAGS);

impl Reservation {
    pub(crate) const NONE: Self =
        Self { owner: NO_WAITER, moment: Moment::NEW, deferrals: 0, last_turn: Mode::Shared };

    #[inline]
    pub(crate) fn is_made(&self) -> bool {
        self.owner != NO_WAITER
    }

    /// Reserves the lock for `owner`, unless another waiter has a reservation whose moment is not
    /// over.
    pub(crate) fn make(&mut self, owner: usize, mode: Mode, binds_notified: bool) {
        if !self.is_made() || self.is_of(owner) || self.moment.is_over() {
            let exclusive = if mode == Mode::Exclusive { IS_EXCLUSIVE } else { 0 };
            let binds = if binds_notified { BINDS_NOTIFIED } else { 0 };
            (self.owner, self.moment) = (owner | exclusive | binds, Moment::NEW);
        }
    }

    pub(crate) fn end(&mut self) {
        self.owner = NO_WAITER;
    }

    /// Returns the id of the owner, or [`NO_WAITER`].
    #[inline]
    pub(crate) fn owner(&self) -> usize {
        self.owner & !FLAGS
    }

    #[inline]
    pub(crate) fn is_of(&self, waiter: usize) -> bool {
        self.is_made() && self.owner() == waiter
    }

    /// Records that the owner was notified: its moment begins anew.
    #[cold]
    #[inline(never)]
    pub(crate) fn set_owner_notified(&mut self) {
        self.owner |= BINDS_NOTIFIED;
        self.moment = Moment::NEW;
    }

    /// Returns whether `waiter`, in `mode` and `notified` or not, has to defer to the owner.
    ///
    /// Only shared waiters enter beside the owner. An upgradable waiter could enter beside a shared
    /// owner, too, but it may upgrade before that owner is polled.
    #[inline]
    pub(crate) fn applies_to(&self, waiter: usize, mode: Mode, notified: bool) -> bool {
        self.is_made()
            && !self.is_of(waiter)
            && (mode != Mode::Shared || self.owner & IS_EXCLUSIVE != 0)
            && (self.owner & BINDS_NOTIFIED != 0 || !notified)
    }

    /// Returns whether a waiter that could enter defers. Once the moment is over, the waiter does
    /// not defer, and the reservation ends.
    #[cold]
    #[inline(never)]
    pub(crate) fn defer_or_end(&mut self) -> bool {
        let is_over = self.moment.is_over();
        if is_over {
            self.end();
        }
        !is_over
    }
}
