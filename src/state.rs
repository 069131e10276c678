//! The word: who holds the lock, and which kinds of waiters there are. Nothing else decides who may
//! enter.
//!
//! ```text
//!  MSB ........................... 7      6           5          4        3        2      1   0
//! ┌────────────────────────────────┬───────────┬───────────┬────────┬────────┬────────┬────────┐
//! │ number of shared holders       │ MONITORED │ OVERTAKEN │ WAIT_X │ WAIT_U │ WAIT_S │ owner  │
//! └────────────────────────────────┴───────────┴───────────┴────────┴────────┴────────┴────────┘
//!  owner: 00 nobody · 01 an upgradable holder · 11 that holder, waiting to upgrade · 10 an exclusive holder
//! ```
//!
//! Every transition is one successful read-modify-write. All of them are on this word, so they stand
//! in one order, and a release and an announcement cannot miss each other.
//!
//! A failed compare-and-swap and the load before the first are `Relaxed`: only a guess at what the
//! next compare-and-swap finds.

use core::fmt;

use crate::mode::Mode;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
use crate::sync::{const_fn, relax};

/// Who holds the lock beside, or instead of, shared holders.
const OWNER_MASK: usize = 0b11;
/// An upgradable holder. Never beside an exclusive one.
const UPGRADABLE: usize = 0b01;
/// An exclusive holder. Never beside any other holder.
const EXCLUSIVE: usize = 0b10;
/// An upgradable holder that waits for the shared holders to leave. Nobody new comes in meanwhile.
const UPGRADING: usize = 0b11;

/// The first of one bit per [`WaitFlag`]: somebody is in it. Set by whoever joins, cleared by the last
/// to leave.
const FIRST_WAIT_FLAG: u32 = 2;
const WAIT_FLAGS: usize = ((1 << WaitFlag::COUNT) - 1) << FIRST_WAIT_FLAG;

/// One shared holder.
const ONE_SHARED: usize = 1 << SHARED_SHIFT;
const SHARED_SHIFT: u32 = FIRST_WAIT_FLAG + WaitFlag::COUNT as u32;

/// There are as many shared holders as there can be: the first bit of their number. One more may come of
/// an upgradable one that changes its mode.
const FULL: usize = 1 << (usize::BITS - 1);

// No bit is between, and promise E3 has room for 2^24 of them.
const _: () = assert!(OWNER_MASK | WAIT_FLAGS == ONE_SHARED - 1 && FULL / ONE_SHARED >= 1 << 24);

/// The bits of holders that leave no room for one in `mode`.
#[inline]
const fn barred_by(mode: Mode) -> usize {
    // Not a `match` of three arms, which would be a table in each caller.
    match mode {
        Mode::Exclusive => !WAIT_FLAGS,
        mode => FULL | EXCLUSIVE | mode as usize,
    }
}

/// A kind of waiters, and their bit in the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitFlag {
    Shared,
    Upgradable,
    Exclusive,
    /// WaitLists of any mode that were woken, and found that somebody else had taken the lock.
    Overtaken,
    Monitors,
}

impl WaitFlag {
    pub(crate) const COUNT: usize = 5;

    pub(crate) const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Shared => Self::Shared,
            Mode::Upgradable => Self::Upgradable,
            Mode::Exclusive => Self::Exclusive,
        }
    }

    /// The bit of the flag in the word.
    const fn bit(self) -> usize {
        1 << (FIRST_WAIT_FLAG + self as u32)
    }
}

/// Some flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitFlags(usize);

impl WaitFlags {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn of(flag: WaitFlag) -> Self {
        Self(flag.bit())
    }

    pub(crate) const fn and(self, flag: WaitFlag) -> Self {
        Self(self.0 | flag.bit())
    }

    /// And the flag of that number.
    pub(crate) const fn and_nth(self, flag: usize) -> Self {
        Self(self.0 | 1 << (FIRST_WAIT_FLAG + flag as u32))
    }

    pub(crate) const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(crate) const fn has(self, flag: WaitFlag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Runs `f` with the number of each.
    #[inline]
    pub(crate) fn each(self, mut f: impl FnMut(usize)) {
        let mut left = self.0 >> FIRST_WAIT_FLAG;
        while left != 0 {
            f(left.trailing_zeros() as usize);
            left &= left - 1;
        }
    }
}

/// What the word says of a holder in `mode`.
#[inline]
const fn unit(mode: Mode) -> usize {
    const {
        assert!(Mode::Upgradable as usize == UPGRADABLE && Mode::Exclusive as usize == EXCLUSIVE);
    }
    match mode {
        Mode::Shared => ONE_SHARED,
        owner => owner as usize,
    }
}

/// The state of a lock at one moment: all of it comes from one atomic load.
///
/// It may be out of date by the time it is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Snapshot(usize);

impl Snapshot {
    /// The strongest mode that the lock is held in.
    #[must_use]
    pub const fn mode(self) -> Option<Mode> {
        match self.0 & OWNER_MASK {
            0 if self.shared_holders() == 0 => None,
            0 => Some(Mode::Shared),
            EXCLUSIVE => Some(Mode::Exclusive),
            _ => Some(Mode::Upgradable),
        }
    }

    /// How many shared holders there are. An upgradable holder is not one of them.
    #[must_use]
    #[inline]
    pub const fn shared_holders(self) -> usize {
        self.0 >> SHARED_SHIFT
    }

    /// Whether somebody waits to acquire the lock in `mode`.
    #[must_use]
    pub const fn is_awaited(self, mode: Mode) -> bool {
        self.has(WaitFlag::of(mode))
    }

    /// Whether somebody waits to acquire the lock.
    #[inline]
    pub(crate) const fn is_awaited_in_any_mode(self) -> bool {
        let flags = WaitFlag::Shared.bit() | WaitFlag::Upgradable.bit() | WaitFlag::Exclusive.bit();
        self.0 & flags != 0
    }

    /// Whether a holder waits for the shared holders to leave, to become exclusive.
    #[must_use]
    #[inline]
    pub const fn is_upgrading(self) -> bool {
        self.0 & OWNER_MASK == UPGRADING
    }

    /// Of all who wait, nobody wants less than an exclusive hold.
    pub(crate) const fn awaits_only_exclusive(self) -> bool {
        !self.has(WaitFlag::Shared) && !self.has(WaitFlag::Upgradable)
    }

    /// Nobody holds the lock.
    #[inline]
    pub(crate) const fn is_free(self) -> bool {
        self.0 & !WAIT_FLAGS == 0
    }

    /// Nobody holds the lock in another mode than shared.
    #[inline]
    pub(crate) const fn has_no_owner(self) -> bool {
        self.0 & OWNER_MASK == 0
    }

    /// Whether an upgrade from `from`, which the caller holds, would wait for another holder that may
    /// upgrade.
    pub(crate) const fn refuses_upgrade(self, from: Mode) -> bool {
        !Self(self.0 - unit(from)).has_no_owner()
    }

    #[inline]
    pub(crate) const fn has(self, flag: WaitFlag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Somebody may have to be woken when a holder leaves.
    #[inline]
    const fn has_waiters(self) -> bool {
        // The flags are next to the owner, and of the owners none is greater.
        self.0 & (WAIT_FLAGS | OWNER_MASK) >= UPGRADING
    }

    /// The holders leave room for one in `mode`: what a waiter needs that has been notified.
    ///
    /// Nobody fits beside an upgrade: it would wait for them.
    #[inline]
    pub(crate) const fn fits(self, mode: Mode) -> bool {
        self.0 & barred_by(mode) == 0
    }

    /// Somebody who was not notified may enter in `mode`. This is where exclusive waiters are kept
    /// from starving: while one waits, nobody else joins those who hold the lock.
    #[inline]
    pub(crate) const fn admits(self, mode: Mode) -> bool {
        self.is_free() || self.0 & (barred_by(mode) | WaitFlag::Exclusive.bit()) == 0
    }

    /// A waiter may enter in `mode`: one that was woken if it [`fits`](Self::fits), any other if the word
    /// [`admits`](Self::admits) it.
    #[inline]
    pub(crate) const fn lets_in(self, mode: Mode, woken: bool) -> bool {
        if woken { self.fits(mode) } else { self.admits(mode) }
    }

    /// [`admits`](Self::admits), at once. This is where those who were woken and overtaken are kept
    /// from starving: whoever comes new stands back once for them.
    #[inline]
    pub(crate) const fn admits_newcomer(self, mode: Mode) -> bool {
        self.admits(mode) && !self.has(WaitFlag::Overtaken)
    }

    /// A newcomer could enter in `mode`, but for somebody who was overtaken.
    pub(crate) const fn is_reserved(self, mode: Mode) -> bool {
        self.admits(mode) && self.has(WaitFlag::Overtaken)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("mode", &self.mode())
            .field("shared_holders", &self.shared_holders())
            .field("upgrading", &self.is_upgrading())
            .field("shared_wait", &self.has(WaitFlag::Shared))
            .field("upgradable_wait", &self.has(WaitFlag::Upgradable))
            .field("exclusive_wait", &self.has(WaitFlag::Exclusive))
            .field("overtaken", &self.has(WaitFlag::Overtaken))
            .field("monitored", &self.has(WaitFlag::Monitors))
            .finish()
    }
}

/// What an announcement found.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// The lock was there to be had.
    Yes,
    /// The bits of the flags are set: whoever makes room from now on will see them.
    Queued,
}

/// What a write has made of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) before: Snapshot,
    pub(crate) after: Snapshot,
}

impl Transition {
    /// A hold in `mode` has ended.
    pub(crate) const fn release(after: Snapshot, mode: Mode) -> Self {
        Self { before: Snapshot(after.0.wrapping_add(unit(mode))), after }
    }

    /// A hold in mode `from` has become one in `to`.
    pub(crate) const fn downgrade(after: Snapshot, from: Mode, to: Mode) -> Self {
        let before = after.0.wrapping_sub(unit(to)).wrapping_add(unit(from));
        Self { before: Snapshot(before), after }
    }

    /// An upgrade has become again the hold in mode `from` that it was.
    pub(crate) const fn cancel_upgrade(after: Snapshot, from: Mode) -> Self {
        let before = after.0.wrapping_sub(unit(from)).wrapping_add(UPGRADING);
        Self { before: Snapshot(before), after }
    }

    /// Somebody may have to be woken.
    pub(crate) const fn has_waiters(self) -> bool {
        self.after.has_waiters()
    }

    /// An exclusive hold has ended, or has become a weaker one.
    pub(crate) const fn ends_exclusive(self) -> bool {
        self.before.0 & OWNER_MASK == EXCLUSIVE
    }

    /// A shared holder has left, and there was room for one more before.
    pub(crate) const fn makes_no_room(self) -> bool {
        self.before.0.wrapping_sub(self.after.0) == ONE_SHARED && self.before.0 & FULL == 0
    }

    /// `mode` can be acquired now, and could not before: what monitors are told of.
    pub(crate) const fn is_edge(self, mode: Mode) -> bool {
        self.after.admits(mode) && !self.before.admits(mode)
    }
}

/// What a holder left behind.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterRelease {
    /// Nobody waits.
    Done,
    /// Somebody may have to be notified. What the word is now.
    WakeWaiters(Snapshot),
}

/// Whether an upgrade is done.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpgradeStep {
    /// The hold is exclusive.
    Done,
    /// Shared holders are still there: the hold is upgradable, and the word says that it waits.
    Waiting,
    /// The hold is as it was: somebody else is upgradable, and would wait for us as we for them.
    Refused,
}

/// The word.
pub(crate) struct State(AtomicUsize);

impl State {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    /// As many shared holders as there can be.
    #[cfg(test)]
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn full() -> Self {
        Self(AtomicUsize::new(FULL))
    }

    pub(crate) fn load(&self) -> Snapshot {
        // ORDERING: Relaxed. Only looked at: whoever acts on it does so by a read-modify-write, or
        // is ordered behind what it must see by its own last write, or by the lock of the list.
        Snapshot(self.0.load(Relaxed))
    }

    /// One step of the word, if `step` allows it: says what the word was. A refusal writes nothing.
    #[inline]
    fn update(
        &self,
        ordering: Ordering,
        step: impl Fn(Snapshot) -> Option<usize>,
    ) -> Result<Snapshot, Snapshot> {
        let mut now = self.0.load(Relaxed);
        loop {
            let Some(next) = step(Snapshot(now)) else {
                return Err(Snapshot(now));
            };
            match self.0.compare_exchange_weak(now, next, ordering, Relaxed) {
                Ok(_) => return Ok(Snapshot(now)),
                Err(seen) => now = seen,
            }
            relax();
        }
    }

    #[inline]
    fn enter(&self, mode: Mode, may: impl Fn(Snapshot, Mode) -> bool) -> bool {
        // ORDERING: Acquire, both. Pairs with the Release of `release` and `downgrade`: what the holders
        // did who had to leave before us is finished. Weakened, the model
        // `e2_data_is_visible_to_the_next_holder` fails.
        //
        // Exclusive is to be had of a free lock only: there is no need to look whether it is.
        mode == Mode::Exclusive && self.0.compare_exchange(0, EXCLUSIVE, Acquire, Relaxed).is_ok()
            || self.update(Acquire, |now| may(now, mode).then(|| now.0 + unit(mode))).is_ok()
    }

    /// For a caller that does not wait, or has stood back already.
    #[inline]
    pub(crate) fn try_acquire(&self, mode: Mode) -> bool {
        self.enter(mode, Snapshot::admits)
    }

    /// For a caller that comes new and will wait if it must.
    #[inline]
    pub(crate) fn try_acquire_as_newcomer(&self, mode: Mode) -> bool {
        self.enter(mode, Snapshot::admits_newcomer)
    }

    /// For a waiter that was notified, and is still counted.
    pub(crate) fn acquire_notified(&self, mode: Mode) -> bool {
        self.enter(mode, Snapshot::fits)
    }

    /// Enters in `mode`, which empties the flags `emptied`, or else says that somebody is in `flags`.
    ///
    /// The queue is locked.
    #[inline]
    pub(crate) fn enter_or_set_waiting(
        &self,
        mode: Mode,
        notified: bool,
        emptied: WaitFlags,
        flags: WaitFlags,
    ) -> Entered {
        let may = |now: Snapshot| now.lets_in(mode, notified);
        // ORDERING: Acquire as in `enter`, and Release as in `set_waiting`. Weakened, the models
        // `e2_data_is_visible_to_the_next_holder` and `p2_the_next_waiter_is_woken` fail.
        //
        // Where nothing changes, nothing is written: a release that has seen the bit before looks for us
        // in the queue, with the queue locked: before us, and then we see it here, or after us.
        let update = self.update(AcqRel, |now| {
            let next = if may(now) { (now.0 & !emptied.0) + unit(mode) } else { now.0 | flags.0 };
            (next != now.0).then_some(next)
        });
        if update.is_ok_and(may) { Entered::Yes } else { Entered::Queued }
    }

    /// As [`enter_or_set_waiting`](Self::enter_or_set_waiting), for who does not enter, but only wants to know
    /// that it could: its way in leads over other locks, too.
    pub(crate) fn check_or_set_waiting(&self, mode: Mode, flags: WaitFlags) -> Entered {
        // ORDERING: Release, as in `set_waiting`. Weakened, the model `sets_get_in_between_single_acquisitions`
        // fails. Nothing is acquired: who is told that it could enter does so, if it does, by another step.
        let update = self.update(Release, |now| {
            let next = if now.admits(mode) { now.0 } else { now.0 | flags.0 };
            (next != now.0).then_some(next)
        });
        match update {
            Err(now) if now.admits(mode) => Entered::Yes,
            _ => Entered::Queued,
        }
    }

    /// Says that somebody is in `flags`. The queue is locked.
    pub(crate) fn set_waiting(&self, flags: WaitFlags) -> Snapshot {
        // ORDERING: Release. Pairs with the Acquire of `RawLock::wake`: who sees the bit finds the queue.
        // Weakened, the model `notify_is_set_by_an_edge_while_it_is_made` fails.
        Snapshot(self.0.fetch_or(flags.0, Release))
    }

    /// Says that nobody is in `flags`. The queue is locked.
    pub(crate) fn clear_waiting(&self, flags: WaitFlags) -> Transition {
        // ORDERING: Relaxed. Bits are read by those who go on to lock the queue, and set by those who
        // have locked it.
        let before = match flags {
            WaitFlags::NONE => self.0.load(Relaxed),
            flags => self.0.fetch_and(!flags.0, Relaxed),
        };
        Transition { before: Snapshot(before), after: Snapshot(before & !flags.0) }
    }

    /// The hold of one holder in `mode` ends.
    #[inline]
    pub(crate) fn release(&self, mode: Mode) -> AfterRelease {
        // ORDERING: Release. Pairs with the Acquire of `enter` and of `finish_upgrade`: the next
        // holder must find our work finished. Weakened, the model
        // `e2_data_is_visible_to_the_next_holder` fails.
        let before = self.0.fetch_sub(unit(mode), Release);
        debug_assert!(
            Snapshot(before).mode().is_some_and(|held| held.includes(mode)),
            "{mode:?} released from {:?}",
            Snapshot(before)
        );
        Self::left(before - unit(mode))
    }

    /// The hold of one holder changes from `from` to the weaker `to`.
    pub(crate) fn downgrade(&self, from: Mode, to: Mode) -> AfterRelease {
        let change = unit(to).wrapping_sub(unit(from));
        // ORDERING: Release, as in `release`. Weakened, the model
        // `u4_downgrade_shows_data_to_those_it_lets_in` fails.
        Self::left(self.0.fetch_add(change, Release).wrapping_add(change))
    }

    #[inline]
    fn left(after: usize) -> AfterRelease {
        if Snapshot(after).has_waiters() {
            AfterRelease::WakeWaiters(Snapshot(after))
        } else {
            AfterRelease::Done
        }
    }

    /// One more shared holder, at the request of one that is there.
    pub(crate) fn share(&self) -> bool {
        // ORDERING: Relaxed. The new holder learns what it may see from the old one, who has it.
        self.update(Relaxed, |now| now.fits(Mode::Shared).then(|| now.0 + ONE_SHARED)).is_ok()
    }

    /// Makes a hold in mode `from` exclusive if it is the only one.
    pub(crate) fn try_upgrade(&self, from: Mode) -> Result<(), Snapshot> {
        // ORDERING: Acquire, as in `enter`: the shared holders that left have finished reading.
        // Weakened, the model `u2_upgrade_starts_after_the_last_shared_holder_ends` fails.
        self.update(Acquire, |now| {
            let alone = now.0 & !WAIT_FLAGS == unit(from);
            alone.then(|| now.0 - unit(from) + EXCLUSIVE)
        })
        .map(drop)
    }

    /// Makes a hold in mode `from`, shared or upgradable, exclusive if it is the only one, and else
    /// lets it wait for the others to leave.
    pub(crate) fn start_upgrade(&self, from: Mode) -> UpgradeStep {
        let begin = |now: Snapshot| {
            let others = now.0 - unit(from);
            if Snapshot(others).is_free() {
                Some(others + EXCLUSIVE)
            } else if !now.refuses_upgrade(from) {
                Some(others + UPGRADING)
            } else {
                None
            }
        };
        // ORDERING: Acquire, as in `try_upgrade`. Nothing is released: who waits looks once more.
        match self.update(Acquire, begin) {
            Ok(before) if Snapshot(before.0 - unit(from)).is_free() => UpgradeStep::Done,
            Ok(_) => UpgradeStep::Waiting,
            Err(_) => UpgradeStep::Refused,
        }
    }

    /// Makes the waiting upgrade exclusive if the last shared holder has left.
    ///
    /// The caller's listener is in the list already.
    pub(crate) fn finish_upgrade(&self) -> UpgradeStep {
        let is_last = |now: Snapshot| now.0 & !WAIT_FLAGS == UPGRADING;
        // ORDERING: Acquire, as in `try_upgrade`, with the same model. Release: pairs with the
        // Acquire of `RawLock::wake`, which then finds our listener.
        //
        // It writes where there is nothing to change, for the same reason as an announcement does.
        let before = self.update(AcqRel, |now| {
            Some(if is_last(now) { now.0 - UPGRADING + EXCLUSIVE } else { now.0 })
        });
        if before.is_ok_and(is_last) { UpgradeStep::Done } else { UpgradeStep::Waiting }
    }

    /// Makes the waiting upgrade what it was before: a hold in mode `from`.
    pub(crate) fn cancel_upgrade(&self, from: Mode) -> AfterRelease {
        let change = unit(from).wrapping_sub(UPGRADING);
        // ORDERING: Relaxed. An upgrade that waits has changed nothing that anybody could look at.
        Self::left(self.0.fetch_add(change, Relaxed).wrapping_add(change))
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;

    use super::*;
    use Mode::{Exclusive, Shared, Upgradable};

    /// One way to leave the word `before`, `after` being what it is then.
    type Row = (&'static str, Step, &'static str, Then);

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Acquire(Mode),
        AcquireNew(Mode),
        AcquireCalled(Mode),
        Announce(Mode),
        Release(Mode),
        Downgrade(Mode, Mode),
        Share,
        StartUpgrade(Mode),
        FinishUpgrade,
        CancelUpgrade(Mode),
    }
    use Step::{Acquire, AcquireCalled, AcquireNew, Announce, CancelUpgrade};
    use Step::{Downgrade, FinishUpgrade, Release, Share, StartUpgrade};

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Then {
        Holds,
        Waits,
        Calls,
        Done,
        Told,
    }
    use Then::*;

    /// The table of `DESIGN.md`.
    const TABLE: &[Row] = &[
        ("0", Acquire(Shared), "S1", Holds),
        ("S1", Acquire(Shared), "S2", Holds),
        ("US1", Acquire(Shared), "US2", Holds),
        ("S1,x", Acquire(Shared), "S1,x", Waits),
        ("0,x", Acquire(Shared), "S1,x", Holds),
        ("S1,x", AcquireCalled(Shared), "S2,x", Holds),
        ("WS1", AcquireCalled(Shared), "WS1", Waits),
        ("X", Acquire(Shared), "X", Waits),
        ("S1", Acquire(Upgradable), "US1", Holds),
        ("U", Acquire(Upgradable), "U", Waits),
        ("0", Acquire(Exclusive), "X", Holds),
        ("S1", Acquire(Exclusive), "S1", Waits),
        ("0,o", AcquireNew(Shared), "0,o", Waits),
        ("X", Announce(Shared), "X,s", Waits),
        ("S1,x", Announce(Exclusive), "S1,x", Waits),
        ("0,x", Announce(Exclusive), "X,x", Holds),
        ("S2,x", Release(Shared), "S1,x", Calls),
        ("S1,x", Release(Shared), "0,x", Calls),
        ("WS1", Release(Shared), "W", Calls),
        ("US1,u", Release(Upgradable), "S1,u", Calls),
        ("X", Release(Exclusive), "0", Done),
        ("X,s", Release(Exclusive), "0,s", Calls),
        ("X,s", Downgrade(Exclusive, Shared), "S1,s", Calls),
        ("X,s", Downgrade(Exclusive, Upgradable), "U,s", Calls),
        ("US1,u", Downgrade(Upgradable, Shared), "S2,u", Calls),
        ("S1,x", Share, "S2,x", Holds),
        ("WS1", Share, "WS1", Waits),
        ("U", StartUpgrade(Upgradable), "X", Holds),
        ("US1", StartUpgrade(Upgradable), "WS1", Waits),
        ("S1", StartUpgrade(Shared), "X", Holds),
        ("S2", StartUpgrade(Shared), "WS1", Waits),
        ("US1", StartUpgrade(Shared), "US1", Told),
        ("WS1", StartUpgrade(Shared), "WS1", Told),
        ("W", FinishUpgrade, "X", Holds),
        ("WS1", FinishUpgrade, "WS1", Waits),
        ("WS1,s", CancelUpgrade(Upgradable), "US1,s", Calls),
        ("WS1,s", CancelUpgrade(Shared), "S2,s", Calls),
    ];

    /// As [`TABLE`] writes it.
    fn parse(text: &str) -> usize {
        let mut bits = 0;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            bits += match c {
                'U' => UPGRADABLE,
                'W' => UPGRADING,
                'X' => EXCLUSIVE,
                'S' => ONE_SHARED * chars.next().unwrap().to_digit(10).unwrap() as usize,
                's' => WaitFlag::Shared.bit(),
                'u' => WaitFlag::Upgradable.bit(),
                'x' => WaitFlag::Exclusive.bit(),
                'o' => WaitFlag::Overtaken.bit(),
                '0' | ',' => 0,
                other => panic!("{other} in {text}"),
            };
        }
        bits
    }

    fn holds_if(done: bool) -> Then {
        if done { Holds } else { Waits }
    }

    /// Whoever calls knows the word as it has left it.
    fn calls_if(state: &State, left: AfterRelease) -> Then {
        match left {
            AfterRelease::Done => Done,
            AfterRelease::WakeWaiters(word) => {
                assert_eq!(word, state.load());
                Calls
            }
        }
    }

    fn announce(state: &State, mode: Mode) -> Entered {
        state.enter_or_set_waiting(mode, false, WaitFlags::NONE, WaitFlags::of(WaitFlag::of(mode)))
    }

    fn run(state: &State, step: Step) -> Then {
        match step {
            Acquire(mode) => holds_if(state.try_acquire(mode)),
            AcquireNew(mode) => holds_if(state.try_acquire_as_newcomer(mode)),
            AcquireCalled(mode) => holds_if(state.acquire_notified(mode)),
            Announce(mode) => holds_if(announce(state, mode) == Entered::Yes),
            Release(mode) => calls_if(state, state.release(mode)),
            Downgrade(from, to) => calls_if(state, state.downgrade(from, to)),
            Share => holds_if(state.share()),
            StartUpgrade(from) => match state.start_upgrade(from) {
                UpgradeStep::Done => Holds,
                UpgradeStep::Waiting => Waits,
                UpgradeStep::Refused => Told,
            },
            FinishUpgrade => holds_if(state.finish_upgrade() == UpgradeStep::Done),
            CancelUpgrade(from) => calls_if(state, state.cancel_upgrade(from)),
        }
    }

    /// Runs `test` where atomics exist: under loom and shuttle, in a model.
    fn with_atomics(test: impl Fn() + Send + Sync + 'static) {
        #[cfg(loom)]
        loom::model(test);
        #[cfg(shuttle)]
        shuttle::check_random(test, 1);
        #[cfg(not(any(loom, shuttle)))]
        test();
    }

    fn state(bits: usize) -> State {
        State(AtomicUsize::new(bits))
    }

    #[test]
    fn every_row_of_the_table_holds() {
        with_atomics(|| {
            for &(before, step, after, then) in TABLE {
                let state = state(parse(before));
                let row = format!("{before} {step:?}");
                assert_eq!(run(&state, step), then, "{row}");
                assert_eq!(state.load(), Snapshot(parse(after)), "{row}");
            }
        });
    }

    /// The words of the page, for each row of the array, in the same order.
    #[test]
    fn the_table_is_the_one_in_the_design() {
        let named = |mode: Mode| format!("{mode:?}").to_lowercase();
        let rows = TABLE.iter().map(|&(before, step, after, then)| {
            let operation = match step {
                Acquire(mode) => format!("acquire {}", named(mode)),
                AcquireNew(_) => "acquire, new".into(),
                AcquireCalled(mode) => format!("acquire {}, notified", named(mode)),
                Announce(mode) => format!("announce {}", named(mode)),
                Release(mode) => format!("release {}", named(mode)),
                Downgrade(_, to) => format!("downgrade to {}", named(to)),
                Share => "share".into(),
                StartUpgrade(Upgradable) => "upgrade".into(),
                StartUpgrade(from) => format!("upgrade from {}", named(from)),
                FinishUpgrade => "finish the upgrade".into(),
                CancelUpgrade(from) => format!("cancel, was {}", named(from)),
            };
            let after = if after == before && !matches!(step, Announce(_)) && then != Holds {
                String::from("same")
            } else {
                format!("`{after}`")
            };
            format!("| `{before}` | {operation} | {after} |")
        });
        let page = include_str!("DESIGN.md");
        let mut table = page.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
        for row in rows {
            let line = table.next().unwrap_or("nothing");
            assert!(line.starts_with(&row), "the page has {line}\nthe array has {row}");
        }
        assert_eq!(table.next(), Some(""), "a row that is not in the array");
    }

    #[test]
    fn e1_holders_go_together_as_their_modes_say() {
        with_atomics(|| {
            for held in Mode::ALL {
                for wanted in Mode::ALL {
                    let state = state(unit(held));
                    assert_eq!(
                        state.try_acquire(wanted),
                        !wanted.excludes(held),
                        "{held:?} {wanted:?}"
                    );
                }
            }
        });
    }

    #[test]
    fn e3_at_the_maximum_nobody_more_enters_and_nothing_wraps() {
        const { assert!(FULL >> SHARED_SHIFT >= 1 << 24) };
        with_atomics(|| {
            for mode in Mode::ALL {
                let state = state(FULL);
                assert!(
                    !state.try_acquire(mode) && !state.acquire_notified(mode) && !state.share()
                );
                assert_eq!(announce(&state, mode), Entered::Queued);
                assert_eq!(state.load().shared_holders(), FULL >> SHARED_SHIFT);
                assert!(state.load().is_awaited(mode));
            }
            // One leaves: there is room for one, and whoever waits is notified.
            let state = state(FULL | WaitFlag::Shared.bit());
            let AfterRelease::WakeWaiters(word) = state.release(Shared) else {
                panic!("nobody is notified")
            };
            assert!(!Transition::release(word, Shared).makes_no_room());
            assert!(state.acquire_notified(Shared));
            assert!(!state.try_acquire(Shared));
        });
    }

    /// The one more holder that there can be is upgradable.
    #[test]
    fn e3_a_downgrade_at_the_maximum_does_not_wrap() {
        with_atomics(|| {
            let state = state(FULL - ONE_SHARED);
            assert!(state.try_acquire(Upgradable) && state.try_acquire(Shared));
            assert!(!state.try_acquire(Shared) && !state.share());
            let _ = state.downgrade(Upgradable, Shared);
            assert_eq!(state.load(), Snapshot(FULL + ONE_SHARED));
            assert!(!state.try_acquire(Shared) && !state.try_acquire(Upgradable));
            let _ = state.release(Shared);
            assert!(!state.try_acquire(Shared));
            let _ = state.release(Shared);
            assert!(state.try_acquire(Shared));
        });
    }

    #[test]
    fn e3_a_cancelled_upgrade_at_the_maximum_does_not_wrap() {
        with_atomics(|| {
            let state = state(FULL);
            assert_eq!(state.start_upgrade(Shared), UpgradeStep::Waiting);
            assert!(!state.share() && !state.try_acquire(Shared));
            let _ = state.cancel_upgrade(Shared);
            assert_eq!(state.load(), Snapshot(FULL));
        });
    }

    #[test]
    fn a_snapshot_shows_its_parts() {
        let shown = format!("{:?}", Snapshot(parse("US2,x")));
        for part in ["mode: Some(Upgradable)", "shared_holders: 2", "exclusive_wait: true"] {
            assert!(shown.contains(part), "{shown}");
        }
    }
}
