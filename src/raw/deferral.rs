//! How newcomers and waiters defer to a waiter that was overtaken: which of them look for a
//! [reservation](crate::raw::reservation), and where one is made and ended.

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::queue::WaitLists;
use crate::raw::reservation::{Losses, Reservation, SET_CLAIM};
use crate::raw::state::{WaitFlag, WaitFlags};

/// What the reservation of another waiter requires of a waiter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deference {
    /// Nothing: the waiter may enter if it can.
    None,
    /// The waiter may not enter. It could not enter without the reservation, either.
    NoRoom,
    /// The waiter could enter, but defers to the owner of the reservation.
    Defers,
}

/// How many newcomers yield one poll, each time that a waiter was overtaken.
const DEFERRALS: u8 = u8::MAX;

impl RawLock {
    /// Decides whether a newcomer that [must yield](Self::newcomer_must_yield) to an overtaken
    /// waiter does so, and counts it. Ends a reservation whose moment is over.
    ///
    /// That waiter may never be polled again, and newcomers may be created anew for each poll. So
    /// only [`DEFERRALS`] newcomers yield, until a waiter is overtaken again. Where the lock is
    /// reserved, newcomers yield until the reservation ends.
    #[cold]
    #[inline(never)]
    pub(crate) fn take_deferral(&self) -> bool {
        self.queue().with(|waiters| {
            let reservation = &mut waiters.reservation;
            if let Some(left) = reservation.deferrals.checked_sub(1) {
                reservation.deferrals = left;
                return true;
            }
            reservation.is_made() && reservation.defer_or_end()
        })
    }

    /// Returns what the reservation of another waiter, if there is one, requires of a waiter in
    /// `mode`, `notified` or not. Ends a reservation whose moment is over. The queue is locked.
    #[inline]
    pub(super) fn deference(
        &self,
        waiters: &mut WaitLists,
        waiter: usize,
        mode: Mode,
        notified: bool,
    ) -> Deference {
        if waiters.reservation.is_made() {
            self.deference_to(&mut waiters.reservation, waiter, mode, notified)
        } else {
            Deference::None
        }
    }

    #[cold]
    #[inline(never)]
    fn deference_to(
        &self,
        reservation: &mut Reservation,
        waiter: usize,
        mode: Mode,
        notified: bool,
    ) -> Deference {
        if !reservation.applies_to(waiter, mode, notified) {
            Deference::None
        } else if !self.state.load().admits_waiter(mode, notified) {
            Deference::NoRoom
        } else if reservation.defer_or_end() {
            Deference::Defers
        } else {
            Deference::None
        }
    }

    /// Returns whether the waiter of a set may enter in `mode`, where it `could` if there were no
    /// reservations. Ends a reservation whose moment is over.
    ///
    /// The owner of a reservation may enter as if it had been notified. Any other waiter may not
    /// while it has to defer to the owner.
    pub(crate) fn may_enter(&self, waiter: usize, mode: Mode, notified: bool, could: bool) -> bool {
        let word = self.snapshot();
        // The owner of a reservation was overtaken, or is counted as overtaken.
        if !word.has(WaitFlag::Overtaken) || !could && !word.fits(mode) {
            return could;
        }
        self.queue().with(|waiters| {
            let reservation = &mut waiters.reservation;
            let applies = reservation.applies_to(waiter, mode, notified);
            reservation.is_of(waiter) && word.fits(mode)
                || could && !(applies && reservation.defer_or_end())
        })
    }

    /// Returns whether `waiter` has a reservation.
    pub(crate) fn is_reserved_for(&self, waiter: usize) -> bool {
        self.snapshot().has(WaitFlag::Overtaken)
            && self.queue().with(|waiters| waiters.reservation.is_of(waiter))
    }

    /// Reserves the lock for `waiter`, which waits at another lock.
    ///
    /// If `waiter` has the reservation already, the moment of the reservation continues. A `new`
    /// reservation sets the overtaken flag: this tells newcomers to look for the reservation, until
    /// it is [ended](Self::end_reservation).
    pub(crate) fn reserve(&self, waiter: usize, mode: Mode, new: bool) {
        self.queue().with(|waiters| {
            if new {
                self.count_in(waiters, WaitFlags::of(WaitFlag::Overtaken));
            }
            if !waiters.reservation.is_of(waiter) {
                waiters.reservation.make(waiter, mode, true, SET_CLAIM);
            }
            waiters.reservation.deferrals = 0;
        });
    }

    /// Ends what [`reserve`](Self::reserve) began. This wakes no waiter: the wake-up for the free
    /// lock has been passed on.
    pub(crate) fn end_reservation(&self, waiter: usize) {
        self.queue().with(|waiters| {
            self.end_reservation_of(waiters, waiter);
            _ = self.uncount_from(waiters, WaitFlags::of(WaitFlag::Overtaken));
        });
    }

    /// Ends the reservation of `waiter`, if it has one: newcomers then yield to other waiters that
    /// were overtaken.
    #[inline]
    pub(super) fn end_reservation_of(&self, waiters: &mut WaitLists, waiter: usize) {
        #[cold]
        #[inline(never)]
        fn end(reservation: &mut Reservation) {
            reservation.end();
            reservation.deferrals = DEFERRALS;
        }
        if waiters.reservation.is_of(waiter) {
            end(&mut waiters.reservation);
        }
    }

    /// Records that `waiter` was notified and overtaken. If it has lost `enough` races now, the lock is
    /// reserved for it. The queue is locked.
    #[cold]
    #[inline(never)]
    pub(super) fn record_overtaken(
        &self,
        waiters: &mut WaitLists,
        waiter: usize,
        mode: Mode,
        losses: &mut Losses,
        enough: u8,
    ) {
        waiters.uncount_woken(mode);
        let reservation = &mut waiters.reservation;
        losses.add(reservation, waiter, mode, false, enough);
        reservation.deferrals = if reservation.is_made() { 0 } else { DEFERRALS };
    }

    /// Records that `waiter` was notified and defers. To defer to a reservation is to lose a race, once
    /// for each reservation: otherwise a waiter that is only polled at such times would lose none. The
    /// queue is locked.
    #[cold]
    #[inline(never)]
    pub(super) fn record_deferred(
        &self,
        waiters: &mut WaitLists,
        waiter: usize,
        mode: Mode,
        losses: &mut Losses,
        enough: u8,
    ) {
        losses.add_deferred(&mut waiters.reservation, waiter, mode, enough);
    }
}
