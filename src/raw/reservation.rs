//! The reservation of a lock for a starving waiter, which bounds how often a waiter is overtaken.
//!
//! A release wakes the next waiter but does not hand it the lock. So a newcomer, or a queued waiter
//! that is polled for another reason, can *barge*: it takes the free lock ahead of the woken
//! waiter, which is then *overtaken*. A waiter that was overtaken [`RACES`] times reserves the lock
//! and is the *owner* of the reservation. Until the owner has entered, every other waiter that
//! would exclude it *defers* to it: that waiter does not enter, wakes itself, and tries again.
//!
//! The owner may never be polled again. So the reservation also ends when the other waiters have
//! deferred for a bounded moment, by the clock or by a number of polls ([`Moment`]). The same owner
//! can reserve the lock again only after it was polled, and overtaken, once more.

use self::moment::Moment;
use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::queue::WaitLists;
use crate::raw::state::{WaitFlag, WaitFlags};
use crate::sync::unmodeled::Ordering::Relaxed;

/// How many races a waiter loses before the lock is reserved for it.
///
/// With reservations from the first lost race on, a load of 50 tasks that hold the lock across an
/// await, half of them exclusively, takes 1.2 times as long. From the second on, the load takes as
/// long as without reservations. From the fourth on, a writer beside four busy ones waits for 12 of
/// their acquisitions instead of 9.
pub(crate) const RACES: u8 = if cfg!(any(loom, shuttle)) { 1 } else { 2 };

/// The reservation of a lock, of which there is at most one. It is touched only with the queue
/// locked.
pub(crate) struct Reservation {
    /// The address of the owner's node, or zero if there is no reservation. The address is
    /// compared, and never followed.
    owner: usize,
    mode: Mode,
    /// Whether woken waiters defer, too: the owner was woken itself, or waits at another lock.
    firm: bool,
    moment: Moment,
}

impl Reservation {
    pub(crate) const NONE: Self =
        Self { owner: 0, mode: Mode::Shared, firm: false, moment: Moment::NEW };

    #[inline]
    pub(crate) fn is_made(&self) -> bool {
        self.owner != 0
    }

    /// Reserves the lock for `owner`, unless another waiter has a reservation whose moment is not
    /// over.
    pub(crate) fn make(&mut self, owner: usize, mode: Mode, firm: bool) {
        if !self.is_made() || self.owner == owner || self.moment.is_over() {
            *self = Self { owner, mode, firm, moment: Moment::NEW };
        }
    }

    pub(crate) fn end(&mut self) {
        self.owner = 0;
    }

    #[inline]
    pub(crate) fn is_of(&self, waiter: usize) -> bool {
        self.is_made() && self.owner == waiter
    }

    /// Records that the owner was woken: its moment begins anew.
    pub(crate) fn set_firm(&mut self) {
        (self.firm, self.moment) = (true, Moment::NEW);
    }

    /// Returns whether `waiter`, in `mode` and `woken` or not, has to defer to the owner.
    ///
    /// Only shared waiters enter beside the owner. An upgradable waiter could enter beside a shared
    /// owner, too, but it may upgrade before that owner is polled.
    #[inline]
    pub(crate) fn bars(&self, waiter: usize, mode: Mode, woken: bool) -> bool {
        self.is_made()
            && self.owner != waiter
            && (mode != Mode::Shared || self.mode == Mode::Exclusive)
            && (self.firm || !woken)
    }

    /// Returns whether a waiter that could enter defers. Once the moment is over, the waiter does
    /// not defer, and the reservation ends.
    #[cold]
    #[inline(never)]
    pub(crate) fn makes_stand_back(&mut self) -> bool {
        let is_over = self.moment.is_over();
        if is_over {
            self.end();
        }
        !is_over
    }
}

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
const DEFERENCES: u8 = u8::MAX;

impl RawLock {
    /// Decides whether a newcomer yields one poll, where a waiter
    /// [was overtaken](Self::is_reserved).
    ///
    /// That waiter may never be polled again, and newcomers may be created anew for each poll. So
    /// only [`DEFERENCES`] newcomers yield, until a waiter is overtaken again. Where the lock is
    /// reserved, newcomers yield until the reservation ends.
    #[cold]
    #[inline(never)]
    pub(crate) fn defers(&self) -> bool {
        let queue = self.queue();
        let left = queue.deferences.load(Relaxed);
        if left > 0 {
            // Newcomers may overwrite each other's stores: then a few more of them yield.
            queue.deferences.store(left - 1, Relaxed);
            return true;
        }
        queue
            .with(|waiters| waiters.reservation.is_made() && waiters.reservation.makes_stand_back())
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
        } else if !self.state.load().lets_in(mode, woken) {
            Bar::Closed
        } else if reservation.makes_stand_back() {
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
                || could && !(bars && reservation.makes_stand_back())
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
            self.queue().deferences.store(0, Relaxed);
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
            self.queue().deferences.store(DEFERENCES, Relaxed);
        }
    }

    /// Records that `waiter` was woken and overtaken, for which it has `lost` races before. If that
    /// was too often, and it `reserves`, it reserves the lock. Returns how many races it has lost.
    /// The queue is locked.
    #[cold]
    #[inline(never)]
    pub(super) fn lose(
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
        let deferences = if waiters.reservation.is_made() { 0 } else { DEFERENCES };
        self.queue().deferences.store(deferences, Relaxed);
        lost
    }
}

/// How long waiters defer to an owner that may never be polled again: until a millisecond after the
/// first of them deferred.
#[cfg(all(
    feature = "std",
    not(any(loom, shuttle, miri, all(target_family = "wasm", target_os = "unknown")))
))]
mod moment {
    use std::time::{Duration, Instant};

    pub(super) struct Moment(Option<Instant>);

    impl Moment {
        pub(super) const NEW: Self = Self(None);

        pub(super) fn is_over(&mut self) -> bool {
            self.0.get_or_insert_with(Instant::now).elapsed() >= Duration::from_millis(1)
        }
    }
}

/// The same bound where there is no clock, or where the clock advances with each step, as in Miri:
/// a number of polls, counted over all waiters that defer.
#[cfg(not(all(
    feature = "std",
    not(any(loom, shuttle, miri, all(target_family = "wasm", target_os = "unknown")))
)))]
mod moment {
    pub(super) struct Moment(u16);

    impl Moment {
        /// A FIFO executor of one thread polls each of seven rivals 130 times before it polls the
        /// woken waiter.
        pub(super) const NEW: Self = Self(if cfg!(any(loom, shuttle)) {
            3
        } else if cfg!(miri) {
            64
        } else {
            1024
        });

        pub(super) fn is_over(&mut self) -> bool {
            self.0 = self.0.saturating_sub(1);
            self.0 == 0
        }
    }
}
