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
use crate::raw::policy::LastTurns;
use crate::sync::moment::Moment;

/// How many races a waiter loses before the lock is reserved for it.
///
/// With reservations from the first lost race on, a load of 50 tasks that hold the lock across an
/// await, half of them exclusively, takes 1.2 times as long. From the second on, the load takes as
/// long as without reservations. From the fourth on, a writer beside four busy ones waits for 12 of
/// their acquisitions instead of 9.
pub(crate) const RACES: u8 = if cfg!(any(loom, shuttle)) { 1 } else { 2 };

/// The same for a thread, which is handed the lock when it has lost one, unless the lock is reserved then.
pub(crate) const RACES_OF_THREAD: u8 = 2;

/// How many lost races count at most.
///
/// Of waiters that have lost as many, none takes a reservation over from another: so a waiter that is
/// always polled too late does not get ahead by losing more. But so many must count that no waiter that
/// joins later gets there, too, while an older one is woken and not polled yet. Beside two rivals three are
/// enough, and beside three rivals five: with four, a waiter beside three rivals starves in the model
/// (`q3_a_waiter_does_not_starve_beside_three_rivals_that_reserve_the_lock`).
const MOST_RACES: u8 = RACES + 5;

/// As a waiter that has lost so many races, a set reserves the locks at which it does not wait.
pub(crate) const SET_CLAIM: u8 = RACES + 1;

/// The races that a waiter has lost: it was woken, and did not enter. And the number of the last
/// reservation to which it has deferred after it was woken. Both are in one byte, as part of each future.
#[derive(Clone, Copy)]
pub(crate) struct Losses(u8);

impl Losses {
    pub(crate) const NONE: Self = Self(0);
    const RACES_BITS: u32 = 3;

    pub(crate) fn new(races: u8, deferred_to: u8) -> Self {
        const { assert!(MOST_RACES < 1 << Self::RACES_BITS) };
        Self(races | deferred_to << Self::RACES_BITS)
    }

    /// Returns how many races it has lost, up to [`MOST_RACES`].
    pub(crate) fn races(self) -> u8 {
        self.0 & ((1 << Self::RACES_BITS) - 1)
    }

    /// Returns the number of the reservation.
    pub(crate) fn deferred_to(self) -> u8 {
        self.0 >> Self::RACES_BITS
    }

    /// Adds a race. If those are `enough`, reserves the lock for the waiter.
    #[inline(never)]
    pub(crate) fn add(
        &mut self,
        reservation: &mut Reservation,
        waiter: usize,
        mode: Mode,
        binds_notified: bool,
        enough: u8,
    ) {
        let races = MOST_RACES.min(self.races() + 1);
        *self = Self::new(races, self.deferred_to());
        if races >= enough {
            reservation.make(waiter, mode, binds_notified, races);
        }
    }

    /// Adds a race, if that is the first time that the waiter has deferred to this reservation.
    pub(crate) fn add_deferred(
        &mut self,
        reservation: &mut Reservation,
        waiter: usize,
        mode: Mode,
        enough: u8,
    ) {
        if self.deferred_to() != reservation.number {
            *self = Self::new(self.races(), reservation.number);
            self.add(reservation, waiter, mode, true, enough);
        }
    }
}

/// An id that no waiter has.
pub(crate) const NO_WAITER: usize = 0;

/// The reservation of a lock, of which there is at most one, and what else decides which waiters go
/// before others. It is touched only with the queue locked.
pub(crate) struct Reservation {
    /// The address of the owner's node, and two flags, or [`NO_WAITER`] if there is no reservation.
    /// The address is compared, and never followed.
    pub(crate) owner: usize,
    pub(crate) moment: Moment,
    /// How many races the owner had lost when it made the reservation.
    pub(crate) claim: u8,
    /// The number of the reservation. It wraps around after [`NUMBERS`].
    pub(crate) number: u8,
    /// How many more newcomers yield one poll to waiters that were overtaken.
    pub(crate) deferrals: u8,
    pub(crate) last: LastTurns,
    /// Of the shared waiters that were woken by one release, the last that woke any, how many have not
    /// entered, waited again or left. It is never too high. It is too low if there were more than can be
    /// counted, or if waiters that were woken earlier are subtracted, too.
    pub(crate) woken_shared: Woken,
}

/// A number of woken waiters: two bytes, or one where each counts.
#[cfg(feature = "std")]
pub(crate) type Woken = u16;
#[cfg(not(feature = "std"))]
pub(crate) type Woken = u8;

/// So many reservations have numbers of their own.
const NUMBERS: u8 = 32;

/// The owner wants the lock exclusively.
const IS_EXCLUSIVE: usize = 0b01;
/// Waiters that were notified defer, too: once the owner was notified, or from the start if it waits
/// at another lock.
const BINDS_NOTIFIED: usize = 0b10;
const FLAGS: usize = IS_EXCLUSIVE | BINDS_NOTIFIED;
const _: () = assert!(align_of::<Node>() > FLAGS);

impl Reservation {
    pub(crate) const NONE: Self = Self {
        owner: NO_WAITER,
        moment: Moment::NEW,
        claim: 0,
        number: 0,
        deferrals: 0,
        last: LastTurns::NONE,
        woken_shared: 0,
    };

    #[inline]
    pub(crate) fn is_made(&self) -> bool {
        self.owner != NO_WAITER
    }

    /// Reserves the lock for `owner`, which has lost `claim` races. A reservation of another waiter goes
    /// before that, if its moment is not over and its owner had lost as many.
    ///
    /// So waiters that join later, and reserve the lock one after the other while the caller is woken
    /// and not polled yet, do not keep it out.
    pub(crate) fn make(&mut self, owner: usize, mode: Mode, binds_notified: bool, claim: u8) {
        if !self.is_made() || self.is_of(owner) || claim > self.claim || self.moment.is_over() {
            let exclusive = if mode == Mode::Exclusive { IS_EXCLUSIVE } else { 0 };
            let binds = if binds_notified { BINDS_NOTIFIED } else { 0 };
            (self.owner, self.moment) = (owner | exclusive | binds, Moment::NEW);
            (self.claim, self.number) = (claim, (self.number + 1) % NUMBERS);
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
