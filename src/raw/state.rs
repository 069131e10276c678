//! The word: which holders the lock has, and which kinds of waiters. Reservations and handoff
//! apart, which are in the queue, it alone decides whether a waiter may enter.
//!
//! ```text
//!  MSB ........................... 7      6           5          4        3        2      1   0
//! ┌────────────────────────────────┬───────────┬───────────┬────────┬────────┬────────┬────────┐
//! │ number of shared holders       │ MONITORED │ OVERTAKEN │ WAIT_X │ WAIT_U │ WAIT_S │ owner  │
//! └────────────────────────────────┴───────────┴───────────┴────────┴────────┴────────┴────────┘
//!  owner: 00 none · 01 an upgradable holder · 11 a holder that upgrades · 10 an exclusive holder
//! ```
//!
//! To *enter* is to become a holder. A *newcomer* tries to enter without having waited. A waiter is
//! *overtaken* if it was notified, and found that another task or thread had taken the lock first.
//!
//! Every transition is one successful read-modify-write of this word. So all transitions are in one
//! total order, and a release and the setting of a waiting flag cannot miss each other.
//!
//! What each ordering is for, which shape of a litmus test it closes, and which hardware could show
//! that it lacks, is in `docs/orderings.md`.

use core::fmt;

use crate::mode::Mode;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
use crate::sync::{const_fn, relax};

/// The holder beside, or instead of, shared holders.
const OWNER_MASK: usize = 0b11;
/// An upgradable holder. Never beside an exclusive one.
const UPGRADABLE: usize = 0b01;
/// An exclusive holder. Never beside any other holder.
const EXCLUSIVE: usize = 0b10;
/// A holder that waits for the shared holders to leave. No other task enters meanwhile.
const UPGRADING: usize = 0b11;

/// The position of the first flag. There is one bit per [`WaitFlag`]: a waiter that joins sets the
/// bit, and the last one to leave clears it.
const FIRST_WAIT_FLAG: u32 = 2;
const WAIT_FLAGS: usize = ((1 << WaitFlag::COUNT) - 1) << FIRST_WAIT_FLAG;
/// The flags of the waiters in each mode. Shifted right once more than to the first position, one of
/// them is the number of the mode.
const MODE_FLAGS: usize = 0b111 << FIRST_WAIT_FLAG;

/// One shared holder.
const ONE_SHARED: usize = 1 << SHARED_SHIFT;
const SHARED_SHIFT: u32 = FIRST_WAIT_FLAG + WaitFlag::COUNT as u32;

/// The most significant bit of the number of shared holders. At this number no holder can enter.
/// One more shared holder may come of an upgradable one that changes its mode.
const FULL: usize = 1 << (usize::BITS - 1);

// No bit lies between the fields. There is room for the 2^24 shared holders that
// `MultiLock` promises.
const _: () = assert!(OWNER_MASK | WAIT_FLAGS == ONE_SHARED - 1 && FULL / ONE_SHARED >= 1 << 24);

/// Returns the bits of the holders that leave no room for a holder in `mode`.
#[inline]
const fn conflicting_bits(mode: Mode) -> usize {
    // A `match` with three arms would become a table in each caller.
    match mode {
        Mode::Exclusive => !WAIT_FLAGS,
        mode => FULL | EXCLUSIVE | mode as usize,
    }
}

/// A flag of the word, which is set while a waiter or monitor of that kind is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitFlag {
    Shared,
    Upgradable,
    Exclusive,
    /// Waiters of any mode that were notified and overtaken: each found the lock taken. A set counts
    /// here, too, while it has a reservation or after it was turned away.
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

    /// Returns the bit of this flag in the word.
    const fn bit(self) -> usize {
        1 << (FIRST_WAIT_FLAG + self as u32)
    }
}

/// A set of [`WaitFlag`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitFlags(u8);

impl WaitFlags {
    pub(crate) const NONE: Self = Self(0);

    /// Returns the bits of the flags in the word.
    #[inline]
    const fn bits(self) -> usize {
        self.0 as usize
    }

    pub(crate) const fn of(flag: WaitFlag) -> Self {
        Self(flag.bit() as u8)
    }

    pub(crate) const fn and(self, flag: WaitFlag) -> Self {
        Self(self.0 | flag.bit() as u8)
    }

    /// Adds the flag with the number `flag`.
    pub(crate) const fn and_nth(self, flag: usize) -> Self {
        Self(self.0 | 1 << (FIRST_WAIT_FLAG + flag as u32))
    }

    pub(crate) const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(crate) const fn has(self, flag: WaitFlag) -> bool {
        self.bits() & flag.bit() != 0
    }

    /// Runs `f` with the number of each flag of a waiter: of its mode, and whether it was overtaken.
    #[inline]
    pub(crate) fn each(self, mut f: impl FnMut(usize)) {
        let modes = (self.bits() & MODE_FLAGS) >> FIRST_WAIT_FLAG;
        if modes != 0 {
            f(modes >> 1);
        }
        if self.has(WaitFlag::Overtaken) {
            f(WaitFlag::Overtaken as usize);
        }
    }
}

/// Returns what one holder in `mode` adds to the word.
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

/// What one holder adds to the word, and takes out of it when it leaves.
///
/// A guard keeps this, and not the mode, because it is as wide as a register. A mode is stored as
/// one byte and may be loaded as several: a load that is wider than the store before it has to wait
/// until the store has left the processor's store buffer. Nor does a release have to look up what
/// to take out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hold(usize);

impl Hold {
    #[inline]
    pub(crate) const fn new(mode: Mode) -> Self {
        Self(unit(mode))
    }

    #[inline]
    pub(crate) const fn mode(self) -> Mode {
        match self.0 {
            UPGRADABLE => Mode::Upgradable,
            EXCLUSIVE => Mode::Exclusive,
            _ => Mode::Shared,
        }
    }
}

/// The state of a lock at one moment: all of it comes from one atomic load.
///
/// A snapshot may be out of date by the time the caller looks at it. The module
/// [`hangs`](crate::guide::hangs) explains what `Debug` shows, and
/// [`testing`](crate::guide::testing) how a test finds a guard that was forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Snapshot(usize);

impl Snapshot {
    /// Returns the strongest mode that the lock is held in, or `None` if there is no holder.
    #[must_use]
    pub const fn mode(self) -> Option<Mode> {
        match self.0 & OWNER_MASK {
            0 if self.shared_holders() == 0 => None,
            0 => Some(Mode::Shared),
            EXCLUSIVE => Some(Mode::Exclusive),
            _ => Some(Mode::Upgradable),
        }
    }

    /// Returns the number of shared holders. An upgradable holder is not one of them.
    #[must_use]
    #[inline]
    pub const fn shared_holders(self) -> usize {
        self.0 >> SHARED_SHIFT
    }

    /// Returns whether a waiter waits to acquire the lock in `mode`.
    #[must_use]
    pub const fn is_awaited(self, mode: Mode) -> bool {
        self.has(WaitFlag::of(mode))
    }

    /// Returns whether a waiter waits to acquire the lock.
    #[inline]
    pub(crate) const fn is_awaited_in_any_mode(self) -> bool {
        self.0 & MODE_FLAGS != 0
    }

    /// Returns whether a holder is upgrading: it waits for the shared holders to leave, and becomes
    /// exclusive then.
    #[must_use]
    #[inline]
    pub const fn is_upgrading(self) -> bool {
        self.0 & OWNER_MASK == UPGRADING
    }

    /// Returns whether no waiter waits for a mode weaker than exclusive.
    pub(crate) const fn awaits_only_exclusive(self) -> bool {
        !self.has(WaitFlag::Shared) && !self.has(WaitFlag::Upgradable)
    }

    /// Returns whether no waiter waits for a mode stronger than shared, and none was overtaken.
    pub(crate) const fn awaits_only_shared(self) -> bool {
        let others =
            WaitFlag::Upgradable.bit() | WaitFlag::Exclusive.bit() | WaitFlag::Overtaken.bit();
        self.0 & others == 0
    }

    /// Returns whether the lock has no holder.
    #[inline]
    pub(crate) const fn is_free(self) -> bool {
        self.0 & !WAIT_FLAGS == 0
    }

    /// Returns whether the lock has no holder in a mode other than shared.
    #[inline]
    pub(crate) const fn has_no_owner(self) -> bool {
        self.0 & OWNER_MASK == 0
    }

    /// Returns whether an upgrade from `from`, the mode of the caller, would wait for another
    /// holder that may upgrade.
    pub(crate) const fn refuses_upgrade(self, from: Mode) -> bool {
        !Self(self.0 - unit(from)).has_no_owner()
    }

    #[inline]
    pub(crate) const fn has(self, flag: WaitFlag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Returns whether a waiter may have to be notified when a holder leaves.
    #[inline]
    const fn has_waiters(self) -> bool {
        // The flags lie next to the owner bits, of which no value is greater than `UPGRADING`.
        self.0 & (WAIT_FLAGS | OWNER_MASK) >= UPGRADING
    }

    /// Returns whether the holders leave room for one in `mode`. A notified waiter needs no more.
    ///
    /// No waiter fits beside an upgrade, which would have to wait for that waiter.
    #[inline]
    pub(crate) const fn fits(self, mode: Mode) -> bool {
        self.0 & conflicting_bits(mode) == 0
    }

    /// Returns whether a try, a newcomer that has yielded, or a waiter that was not notified may
    /// enter in `mode`, but for reservations and handoff.
    ///
    /// This rule keeps exclusive waiters from starving: while one waits, it lets no other waiter
    /// and no newcomer join the holders.
    #[inline]
    pub(crate) const fn admits(self, mode: Mode) -> bool {
        self.is_free() || self.0 & (conflicting_bits(mode) | WaitFlag::Exclusive.bit()) == 0
    }

    /// Returns whether a waiter may enter in `mode`: a notified one if it [`fits`](Self::fits), any
    /// other if the word [`admits`](Self::admits) it.
    #[inline]
    pub(crate) const fn admits_waiter(self, mode: Mode, notified: bool) -> bool {
        if notified { self.fits(mode) } else { self.admits(mode) }
    }

    /// Returns whether the word [`admits`](Self::admits) a newcomer at once.
    ///
    /// This rule keeps overtaken waiters from starving: a newcomer defers to them once.
    #[inline]
    pub(crate) const fn admits_newcomer(self, mode: Mode) -> bool {
        self.admits(mode) && !self.has(WaitFlag::Overtaken)
    }

    /// Returns whether a newcomer could enter in `mode` if there were no overtaken waiter.
    pub(crate) const fn newcomer_must_yield(self, mode: Mode) -> bool {
        self.has(WaitFlag::Overtaken) && self.admits(mode)
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

/// What an attempt has found.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The mode was available.
    Available,
    /// The mode was not available. The flags that were given are set: each later transition that
    /// makes room sees them.
    Unavailable,
}

/// The word before and after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) before: Snapshot,
    pub(crate) after: Snapshot,
}

impl Transition {
    /// Returns the transition by which the holder of `hold` left.
    pub(crate) const fn release(after: Snapshot, hold: Hold) -> Self {
        Self { before: Snapshot(after.0.wrapping_add(hold.0)), after }
    }

    /// Returns the transition by which a holder in mode `from` became one in mode `to`.
    pub(crate) const fn downgrade(after: Snapshot, from: Mode, to: Mode) -> Self {
        let before = after.0.wrapping_sub(unit(to)).wrapping_add(unit(from));
        Self { before: Snapshot(before), after }
    }

    /// Returns the transition by which an upgrading holder became one in mode `from` again.
    pub(crate) const fn cancel_upgrade(after: Snapshot, from: Mode) -> Self {
        let before = after.0.wrapping_sub(unit(from)).wrapping_add(UPGRADING);
        Self { before: Snapshot(before), after }
    }

    /// Returns whether a waiter may have to be notified.
    pub(crate) const fn has_waiters(self) -> bool {
        self.after.has_waiters()
    }

    /// Returns whether an exclusive holder has left, or has changed to a weaker mode.
    pub(crate) const fn ends_exclusive(self) -> bool {
        self.before.0 & OWNER_MASK == EXCLUSIVE
    }

    /// Returns whether a shared holder has left a lock that had room for one more. That makes no room
    /// for another shared or upgradable holder. It may free the lock.
    pub(crate) const fn makes_no_room(self) -> bool {
        self.before.0.wrapping_sub(self.after.0) == ONE_SHARED && self.before.0 & FULL == 0
    }

    /// Returns whether this is an *edge* of `mode`: the mode can be acquired now, and could not
    /// before. Monitors are told of edges.
    pub(crate) const fn is_edge(self, mode: Mode) -> bool {
        self.after.admits(mode) && !self.before.admits(mode)
    }
}

/// What a holder has to do after it has left, or has changed to a weaker mode.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterRelease {
    /// Nothing: there is no waiter, no monitor and no upgrade.
    Done,
    /// A waiter may have to be notified. The snapshot is the word after the write.
    WakeWaiters(Snapshot),
}

/// Whether an upgrade is done.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpgradeStep {
    /// The holder is exclusive.
    Done,
    /// There are still shared holders. The holder is upgradable, and the word says that it waits.
    Waiting,
    /// The holder is as it was. Another holder is upgradable, and the two would wait for each
    /// other.
    Refused,
}

/// The word of a lock. Each method that changes it is one transition.
pub(crate) struct State(AtomicUsize);

impl State {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    /// Returns a word with as many shared holders as can enter.
    #[cfg(test)]
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn full() -> Self {
        Self(AtomicUsize::new(FULL))
    }

    pub(crate) fn load(&self) -> Snapshot {
        // ORDERING: Relaxed. The caller only looks. A caller that acts on the value does so by a
        // read-modify-write, or is ordered after what it must see: by its own last write, or by the
        // mutex of the queue.
        Snapshot(self.0.load(Relaxed))
    }

    /// Returns the word, by a read-modify-write that changes nothing. A holder that has entered
    /// before is in it. One that enters later sees what the caller did before.
    pub(crate) fn load_in_order(&self) -> Snapshot {
        // ORDERING: Acquire, as in `enter`: the holders that have left have finished their work.
        // Release pairs with the Acquire of `enter`. Without either, a model of `models::sharded`
        // fails.
        Snapshot(self.0.fetch_or(0, AcqRel))
    }

    /// Writes the word that `step` returns for the present one, and returns what the word was. If
    /// `step` refuses, nothing is written.
    #[inline]
    fn update(
        &self,
        ordering: Ordering,
        mut step: impl FnMut(Snapshot) -> Option<usize>,
    ) -> Result<Snapshot, Snapshot> {
        // ORDERING: Relaxed, both: the load and a compare-and-swap that fails only guess what the next
        // one finds. One that succeeds has the ordering of the caller.
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

    /// Adds a holder in `mode`, if `may` allows it.
    #[inline]
    fn enter(&self, mode: Mode, may: impl Fn(Snapshot, Mode) -> bool) -> bool {
        // ORDERING: Acquire, both. Pairs with the Release of `release` and `downgrade`: the holders
        // that had to leave before this one have finished their work. With a weaker ordering, the
        // model `q3_an_overtaken_waiter_is_woken_again` fails.
        //
        // Only a free lock can be acquired in exclusive mode, so there is no need to load it first.
        mode == Mode::Exclusive && self.0.compare_exchange(0, EXCLUSIVE, Acquire, Relaxed).is_ok()
            || self.update(Acquire, |now| may(now, mode).then(|| now.0 + unit(mode))).is_ok()
    }

    /// Acquires the lock, for a caller that does not wait or has deferred already.
    #[inline]
    pub(crate) fn try_acquire(&self, mode: Mode) -> bool {
        self.enter(mode, Snapshot::admits)
    }

    /// Acquires the lock, for a newcomer, by one attempt. It may fail for no reason: then
    /// [`try_acquire_as_newcomer`](Self::try_acquire_as_newcomer) follows. This is all that is
    /// compiled into each task.
    #[inline]
    pub(crate) fn try_acquire_once(&self, mode: Mode) -> bool {
        // Only a free lock can be acquired in exclusive mode. That is looked at first: most waits begin
        // here, and a compare-and-swap that fails takes as long as one that does not. Without `std` a
        // look may take a critical section, and loom tries all that a look may see: there it is a
        // guess, and what follows a wrong one is what follows a failure.
        //
        // ORDERING: Relaxed, as in `update`.
        let is_guess = cfg!(any(loom, not(feature = "std"))) && mode == Mode::Exclusive;
        let now = if is_guess { 0 } else { self.0.load(Relaxed) };
        // ORDERING: Acquire, both, as in `enter`. With a weaker ordering, the model
        // `e2_data_is_visible_to_the_next_holder` fails.
        if mode == Mode::Exclusive {
            return now == 0
                && self.0.compare_exchange_weak(0, EXCLUSIVE, Acquire, Relaxed).is_ok();
        }
        Snapshot(now).admits_newcomer(mode)
            && self.0.compare_exchange_weak(now, now + unit(mode), Acquire, Relaxed).is_ok()
    }

    /// Acquires the lock, for a newcomer that waits if it must. An attempt that fails writes nothing,
    /// and returns what it has found.
    #[inline]
    pub(crate) fn try_acquire_as_newcomer(&self, mode: Mode) -> Result<(), Snapshot> {
        // ORDERING: Acquire, as in `enter`. With a weaker ordering, the model
        // `e2_data_is_visible_to_the_next_holder` fails.
        let may = |now: Snapshot| now.admits_newcomer(mode);
        self.update(Acquire, |now| may(now).then(|| now.0 + unit(mode))).map(drop)
    }

    /// Acquires the lock if the mode fits: on behalf of a handoff waiter that is notified next, or for
    /// a set that was notified or has reserved the lock.
    pub(crate) fn acquire_notified(&self, mode: Mode) -> bool {
        self.enter(mode, Snapshot::fits)
    }

    /// Enters in `mode` and clears the flags in `emptied`, or else sets those in `flags`.
    ///
    /// The caller has locked the queue.
    #[inline]
    pub(crate) fn enter_or_set_waiting(
        &self,
        mode: Mode,
        notified: bool,
        emptied: WaitFlags,
        flags: WaitFlags,
    ) -> Attempt {
        let mut enters = false;
        // ORDERING: Acquire as in `enter`, and Release as in `set_waiting`. With a weaker ordering,
        // the models `e2_data_is_visible_to_the_next_holder` and `p2_the_next_waiter_is_woken`
        // fail.
        //
        // If nothing changes, nothing is written. A release that has seen the bit already looks for
        // this waiter in the queue, and locks the queue for that: either before this waiter, which
        // then sees the release here, or after it, and then finds it there.
        let update = self.update(AcqRel, |now| {
            enters = now.admits_waiter(mode, notified);
            let next =
                if enters { (now.0 & !emptied.bits()) + unit(mode) } else { now.0 | flags.bits() };
            (next != now.0).then_some(next)
        });
        if update.is_ok() && enters { Attempt::Available } else { Attempt::Unavailable }
    }

    /// Sets `flags`, unless a waiter in `mode`, `notified` or not, could enter.
    ///
    /// Never acquires, unlike [`enter_or_set_waiting`](Self::enter_or_set_waiting): the waiter
    /// waits for a set, which has to acquire other locks, too.
    pub(crate) fn check_or_set_waiting(
        &self,
        mode: Mode,
        notified: bool,
        flags: WaitFlags,
    ) -> Attempt {
        // ORDERING: Release, as in `set_waiting`. With a weaker ordering, the model
        // `sets_enter_between_single_acquisitions` fails. Nothing is acquired: a waiter that could
        // enter does so, if at all, by another step.
        let mut could_enter = false;
        let update = self.update(Release, |now| {
            could_enter = now.admits_waiter(mode, notified);
            let next = if could_enter { now.0 } else { now.0 | flags.bits() };
            (next != now.0).then_some(next)
        });
        if update.is_err() && could_enter { Attempt::Available } else { Attempt::Unavailable }
    }

    /// Sets `flags`, and returns what the word was. The caller has locked the queue.
    pub(crate) fn set_waiting(&self, flags: WaitFlags) -> Snapshot {
        // ORDERING: Release. Pairs with the Acquire of `RawLock::wake`: a thread that sees the bit
        // finds the queue. With a weaker ordering, the model
        // `monitor_is_set_by_an_edge_while_it_is_made` fails.
        Snapshot(self.0.fetch_or(flags.bits(), Release))
    }

    /// Clears `flags`. The caller has locked the queue.
    pub(crate) fn clear_waiting(&self, flags: WaitFlags) -> Transition {
        // ORDERING: Relaxed. A thread that reads the bits locks the queue next, and a thread that
        // sets them has locked it.
        let before = match flags {
            WaitFlags::NONE => self.0.load(Relaxed),
            flags => self.0.fetch_and(!flags.bits(), Relaxed),
        };
        Transition { before: Snapshot(before), after: Snapshot(before & !flags.bits()) }
    }

    /// Removes the holder of `hold`.
    #[inline]
    pub(crate) fn release(&self, hold: Hold) -> AfterRelease {
        // ORDERING: Release. Pairs with the Acquire of `enter` and of `finish_upgrade`: the next
        // holder must find the work of this one finished. With a weaker ordering, the model
        // `e2_data_is_visible_to_the_next_holder` fails.
        let before = self.0.fetch_sub(hold.0, Release);
        debug_assert!(
            Snapshot(before).mode().is_some_and(|held| held.includes(hold.mode())),
            "{:?} released from {:?}",
            hold.mode(),
            Snapshot(before)
        );
        Self::left(before - hold.0)
    }

    /// Changes the mode of one holder from `from` to the weaker `to`.
    pub(crate) fn downgrade(&self, from: Mode, to: Mode) -> AfterRelease {
        let change = unit(to).wrapping_sub(unit(from));
        // ORDERING: Release, as in `release`. With a weaker ordering, the model
        // `u4_downgrade_makes_data_visible_to_those_that_it_admits` fails.
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

    /// Adds one shared holder, at the request of a present holder.
    pub(crate) fn share(&self) -> bool {
        // ORDERING: Relaxed. The new holder learns what it may see from the old one, which has seen
        // it.
        self.update(Relaxed, |now| now.fits(Mode::Shared).then(|| now.0 + ONE_SHARED)).is_ok()
    }

    /// Makes a holder in mode `from` exclusive if it is the only one.
    pub(crate) fn try_upgrade(&self, from: Mode) -> Result<(), Snapshot> {
        // ORDERING: Acquire, as in `enter`: the shared holders that left have finished reading.
        // With a weaker ordering, the model `u2_upgrade_starts_after_the_last_shared_holder_ends`
        // fails.
        self.update(Acquire, |now| {
            let alone = now.0 & !WAIT_FLAGS == unit(from);
            alone.then(|| now.0 - unit(from) + EXCLUSIVE)
        })
        .map(drop)
    }

    /// Makes a holder in mode `from`, shared or upgradable, exclusive if it is the only one.
    /// Otherwise makes it wait for the others to leave, unless one of those may upgrade itself.
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
        // ORDERING: Acquire, as in `try_upgrade`. Nothing is released: a holder that has to wait
        // looks at the word once more.
        match self.update(Acquire, begin) {
            Ok(before) if Snapshot(before.0 - unit(from)).is_free() => UpgradeStep::Done,
            Ok(_) => UpgradeStep::Waiting,
            Err(_) => UpgradeStep::Refused,
        }
    }

    /// Makes the upgrading holder exclusive if the last shared holder has left.
    ///
    /// The caller's listener is in the list, or was notified. In the latter case a caller that has to
    /// wait on queues it, and calls again.
    pub(crate) fn finish_upgrade(&self) -> UpgradeStep {
        let is_last = |now: Snapshot| now.0 & !WAIT_FLAGS == UPGRADING;
        // ORDERING: Acquire, as in `try_upgrade`, with the same model. Release: pairs with the
        // fence in `RawLock::wake_by`, which then finds the listener.
        //
        // This writes even if nothing changes. So it is ordered with each release: either it sees
        // that the last shared holder has left, or the release of that holder sees this write, and
        // finds the listener.
        let before = self.update(AcqRel, |now| {
            Some(if is_last(now) { now.0 - UPGRADING + EXCLUSIVE } else { now.0 })
        });
        if before.is_ok_and(is_last) { UpgradeStep::Done } else { UpgradeStep::Waiting }
    }

    /// Makes the upgrading holder what it was before: a holder in mode `from`.
    pub(crate) fn cancel_upgrade(&self, from: Mode) -> AfterRelease {
        let change = unit(from).wrapping_sub(UPGRADING);
        // ORDERING: Relaxed. An upgrade that waits has written no data.
        Self::left(self.0.fetch_add(change, Relaxed).wrapping_add(change))
    }
}

#[cfg(test)]
mod tests;
