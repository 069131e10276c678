//! How newcomers and waiters defer to a waiter that was overtaken, and to the owner of a
//! [reservation](crate::raw::reservation).

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::queue::WaitLists;
use crate::raw::reservation::{RACES, Reservation};
use crate::raw::state::{WaitFlag, WaitFlags};
use crate::sync::unmodeled::Ordering::Relaxed;

/// Whether the reservation of another waiter bars a waiter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bar {
    /// The waiter may enter, if it can.
    Open,
    /// The waiter may not enter. It could not enter without the reservation, either.
    Closed,
    /// The waiter could enter, but defers to the owner of the reservation.
    Defers,
}

/// How many newcomers yield one poll, each time that a waiter was overtaken.
const DEFERRALS: u8 = u8::MAX;

impl RawLock {
    /// Decides whether a newcomer yields one poll, where a waiter
    /// [was overtaken](Self::is_reserved).
    ///
    /// That waiter may never be polled again, and newcomers may be created anew for each poll. So
    /// only [`DEFERRALS`] newcomers yield, until a waiter is overtaken again. Where the lock is
    /// reserved, newcomers yield until the reservation ends.
    #[cold]
    #[inline(never)]
    pub(crate) fn defers(&self) -> bool {
        let queue = self.queue();
        let left = queue.deferrals.load(Relaxed);
        if left > 0 {
            // Newcomers may overwrite each other's stores: then a few more of them yield.
            queue.deferrals.store(left - 1, Relaxed);
            return true;
        }
        queue.with(|waiters| waiters.reservation.is_made() && waiters.reservation.makes_defer())
    }

    /// Returns what the reservation of another waiter, if there is one, requires of a waiter in
    /// `mode`, `woken` or not. The queue is locked.
    #[inline]
    pub(super) fn bar(
        &self,
        waiters: &mut WaitLists,
        waiter: usize,
        mode: Mode,
        woken: bool,
    ) -> Bar {
        if waiters.reservation.is_made() {
            self.bar_of(&mut waiters.reservation, waiter, mode, woken)
        } else {
            Bar::Open
        }
    }

    #[cold]
    #[inline(never)]
    fn bar_of(&self, reservation: &mut Reservation, waiter: usize, mode: Mode, woken: bool) -> Bar {
        if !reservation.bars(waiter, mode, woken) {
            Bar::Open
        } else if !self.state.load().admits_waiter(mode, woken) {
            Bar::Closed
        } else if reservation.makes_defer() {
            Bar::Defers
        } else {
            Bar::Open
        }
    }

    /// Returns whether `waiter` may enter in `mode`. Without reservations it may if it `could`.
    ///
    /// A waiter may not enter while it has to defer to the owner of a reservation. The owner itself
    /// may enter as if it was `woken`.
    pub(crate) fn may_enter(&self, waiter: usize, mode: Mode, woken: bool, could: bool) -> bool {
        let word = self.snapshot();
        // The owner of a reservation was overtaken, or is counted as overtaken.
        if !word.has(WaitFlag::Overtaken) {
            return could;
        }
        self.queue().with(|waiters| {
            let reservation = &mut waiters.reservation;
            let bars = reservation.bars(waiter, mode, woken);
            reservation.is_of(waiter) && word.fits(mode)
                || could && !(bars && reservation.makes_defer())
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
                self.add_flags(waiters, WaitFlags::of(WaitFlag::Overtaken));
            }
            if !waiters.reservation.is_of(waiter) {
                waiters.reservation.make(waiter, mode, true);
            }
            self.queue().deferrals.store(0, Relaxed);
        });
    }

    /// Ends what [`reserve`](Self::reserve) began. This wakes no waiter: the wake-up for the free
    /// lock has been passed on.
    pub(crate) fn end_reservation(&self, waiter: usize) {
        self.queue().with(|waiters| {
            self.end_reservation_of(waiters, waiter);
            _ = self.remove_flags(waiters, WaitFlags::of(WaitFlag::Overtaken));
        });
    }

    /// Ends the reservation of `waiter`, if it has one: newcomers then yield to other waiters that
    /// were overtaken.
    #[inline]
    pub(super) fn end_reservation_of(&self, waiters: &mut WaitLists, waiter: usize) {
        if waiters.reservation.is_of(waiter) {
            waiters.reservation.end();
            self.queue().deferrals.store(DEFERRALS, Relaxed);
        }
    }

    /// Records that `waiter` was woken and overtaken, for which it has `lost` races before. If that
    /// was too often, and it `reserves`, it reserves the lock. Returns how many races it has lost.
    /// The queue is locked.
    #[cold]
    #[inline(never)]
    pub(super) fn record_overtaken(
        &self,
        waiters: &mut WaitLists,
        waiter: usize,
        mode: Mode,
        lost: u8,
        reserves: bool,
    ) -> u8 {
        waiters.give_back_turn(mode);
        let lost = lost.saturating_add(1);
        if lost >= RACES && reserves {
            waiters.reservation.make(waiter, mode, false);
        }
        let deferrals = if waiters.reservation.is_made() { 0 } else { DEFERRALS };
        self.queue().deferrals.store(deferrals, Relaxed);
        lost
    }
}
