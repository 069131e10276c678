//! Any number of waiters. Those that want one mode and are in one place are interchangeable, so a
//! state says only whether there are any: see `docs/any_number.md`.
//!
//! The predicates of the word and the decisions of `policy.rs` are those of the lock. What a poll
//! and a drop do is written once more, and the test `any_number` compares it with the model of a
//! few waiters.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::mode::Mode;
use crate::raw::policy;
use crate::raw::queue::ListId;
use crate::raw::state::{Hold, Snapshot, Transition, WaitFlag, WaitFlags};
use crate::real::{snapshot, word};
use crate::system::{NO_TURN, Question, Spec, System, next_question};
use crate::world::{Fault, Line, MOST, NONE, NodeState, Pc, Waking, World};

const OWNER: u16 = 0b11;
const UPGRADING: u16 = 0b11;
const FIRST_FLAG: u16 = 2;
const FLAGS: u16 = 0x7c;
const SHARED: u16 = 7;
/// This many shared holders, or more.
const MANY: u16 = 2;

/// Where a waiter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is in a list, and was not woken.
    Asleep,
    /// It is in a list, and has deferred since the last release that made room: it has woken
    /// itself.
    Deferring,
    /// The same two, in the list of overtaken exclusive waiters.
    OvertakenAsleep,
    OvertakenDeferring,
    /// It was notified after the last release that made room.
    Fresh,
    /// It was notified before that.
    Stale,
    /// It is in the list, and shared: the release that notifies all of them has still to come to
    /// it.
    Next,
}
use Place::{Asleep, Deferring, Fresh, Next, OvertakenAsleep, OvertakenDeferring, Stale};

const QUEUED: [Place; 5] = [Asleep, Deferring, OvertakenAsleep, OvertakenDeferring, Next];
const SLEEPING: [Place; 3] = [Asleep, OvertakenAsleep, Next];
const NOTIFIED: [Place; 2] = [Fresh, Stale];

/// Where a holder is that waits for the others to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Upgrade {
    None,
    /// It puts its node in the list, or looks at the word, or was notified.
    Awake,
    Asleep,
}

/// The notification that the last write has to make that made room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Duty {
    /// The word, with no more than [`MANY`] shared holders after the write.
    pub before: u16,
    pub after: u16,
    /// What the decisions have been told so far.
    pub answers: [u8; 7],
    pub len: u8,
    /// A notification of all shared waiters has begun.
    pub batches: bool,
}

impl Duty {
    pub(crate) fn new(change: Transition) -> Self {
        let (before, after) = (word(change.before), word(change.after));
        // Flags that the write has cleared decide nothing.
        let before = before & !FLAGS | after & FLAGS;
        let fewer = (after >> SHARED).saturating_sub(MANY) << SHARED;
        Self {
            before: before - fewer,
            after: after - fewer,
            answers: [0; 7],
            len: 0,
            batches: false,
        }
    }

    fn question(&self) -> Option<Question> {
        let Self { before, after, answers, len, .. } = *self;
        next_question(&Waking { before, after, answers, len, ..Waking::NONE })
    }
}

/// A lock and any number of waiters and holders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Crowd {
    /// The owner bits of the word.
    pub owner: u16,
    /// The number of shared holders, up to [`MANY`].
    pub shared: u16,
    /// A bit for each place in each mode: whether there are waiters.
    places: u32,
    pub upgrade: Upgrade,
    pub duty: Option<Duty>,
    /// A holder has entered beside one that it excludes.
    pub excluded: bool,
    /// Shared waiters may be counted in the last turn that were woken in an earlier one.
    pub overcounted: bool,
}

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    None,
    /// A waiter that was notified and is dropped wakes no other.
    DropsWakeUp,
    /// The last exclusive waiter leaves, and wakes none that waited because of it.
    LastLeaves,
    /// A waiter looks at the word, and sets its flag in another step.
    LooksFirst,
    /// A notification of all shared waiters ends after the first batch.
    OneBatch,
    /// A waiter that was notified enters without a look.
    NoLook,
    /// A release wakes no waiter if an exclusive one is counted.
    SleepsOn,
    /// A downgrade wakes no waiter.
    Downgrade,
    /// A canceled upgrade wakes no waiter.
    Cancel,
    /// The last shared waiter of a turn that is dropped wakes no other, if one of an earlier turn is left.
    LastShared,
}

/// Which waiters there are, and the rules.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub modes: &'static [Mode],
    /// Waiters may defer: there are reservations.
    pub defer: bool,
    pub upgrade: bool,
    pub defect: Defect,
}

impl Rules {
    pub const ALL: Self =
        Self { modes: &Mode::ALL, defer: true, upgrade: true, defect: Defect::None };
}

impl Crowd {
    pub const NEW: Self = Self {
        owner: 0,
        shared: 0,
        places: 0,
        upgrade: Upgrade::None,
        duty: None,
        excluded: false,
        overcounted: false,
    };

    fn bit(mode: Mode, place: Place) -> u32 {
        1 << (8 * mode as u32 + place as u32)
    }

    pub fn has(&self, mode: Mode, place: Place) -> bool {
        self.places & Self::bit(mode, place) != 0
    }

    pub fn put(&mut self, mode: Mode, place: Place) {
        self.places |= Self::bit(mode, place);
    }

    fn clear(&mut self, mode: Mode, place: Place) {
        self.places &= !Self::bit(mode, place);
    }

    fn waits(&self, mode: Mode) -> bool {
        self.places >> (8 * mode as u32) & 0xff != 0
    }

    /// Whether a waiter is in the list of overtaken ones.
    fn lists_overtaken(&self) -> bool {
        [OvertakenAsleep, OvertakenDeferring]
            .map(|at| self.has(Mode::Exclusive, at))
            .contains(&true)
    }

    /// The word. Whether waiters of other lists count as overtaken is left open: only `flagged`
    /// words say that they do.
    fn word_as(&self, flagged: bool) -> Snapshot {
        let mut bits = self.owner | self.shared << SHARED;
        for mode in Mode::ALL {
            bits |= (self.waits(mode) as u16) << (FIRST_FLAG + mode as u16);
        }
        let flagged = (flagged && self.places != 0) || self.lists_overtaken();
        snapshot(bits | (flagged as u16) << (FIRST_FLAG + WaitFlag::Overtaken as u16))
    }

    pub fn word(&self) -> Snapshot {
        self.word_as(false)
    }

    /// The states after one waiter has left a place: it was the last one there, or not.
    fn without(&self, mode: Mode, place: Place) -> [Self; 2] {
        let mut last = *self;
        last.clear(mode, place);
        [*self, last]
    }

    fn moved(&self, mode: Mode, from: Place, to: Place) -> [Self; 2] {
        let mut last = *self;
        last.clear(mode, from);
        let mut both = [*self, last];
        both.iter_mut().for_each(|state| state.put(mode, to));
        both
    }

    fn enter(mut self, mode: Mode) -> Self {
        let held = Self { places: 0, ..self }.word();
        self.excluded |= !held.fits(mode);
        match mode {
            Mode::Shared => self.shared = MANY.min(self.shared + 1),
            owner => self.owner = owner as u16,
        }
        self
    }

    /// A write that made room, or a waiter that passes its notification on, notifies others next.
    fn owes(&mut self, change: Transition, makes_room: bool) {
        let duty = Duty::new(change);
        if duty.question().is_none() {
            // It made no room for those that are counted.
            return;
        }
        self.owes_no_more();
        for mode in Mode::ALL.into_iter().filter(|_| makes_room) {
            if change.after.fits(mode) {
                self.overcounted |= mode == Mode::Shared && self.has(mode, Fresh);
                self.shift(mode, Fresh, Stale);
            }
            self.shift(mode, Deferring, Asleep);
            self.shift(mode, OvertakenDeferring, OvertakenAsleep);
        }
        self.duty = Some(duty);
    }

    /// The states after a holder has left, or has become weaker.
    fn write(
        &self,
        owner: u16,
        shared: u16,
        change: impl Fn(Snapshot) -> Transition,
        wakes: bool,
    ) -> [Self; 2] {
        let mut state = Self { owner, shared, ..*self };
        if owner != UPGRADING {
            state.upgrade = Upgrade::None;
        }
        [false, true].map(|flagged| {
            let (mut state, change) = (state, change(state.word_as(flagged)));
            if change.has_waiters() && wakes {
                state.owes(change, true);
            }
            state
        })
    }

    /// The numbers of shared holders after one of them has left.
    fn fewer(&self) -> Vec<u16> {
        if self.shared == MANY { vec![1, MANY] } else { vec![self.shared - 1] }
    }

    /// Returns each state that may follow.
    pub fn next(&self, rules: &Rules) -> Vec<Self> {
        let mut next = Vec::new();
        self.polls(rules, &mut next);
        self.drops(rules.defect, &mut next);
        self.holders(rules, &mut next);
        self.notifies(rules.defect, &mut next);
        self.older_releases(&mut next);
        next
    }

    fn polls(&self, rules: &Rules, next: &mut Vec<Self>) {
        let (now, defect) = (self.word(), rules.defect);
        for mode in rules.modes.iter().copied() {
            // A newcomer, a try, or a set that acquires its members.
            if now.admits(mode) {
                next.push(self.enter(mode));
            }
            let mut joins = *self;
            if !now.admits(mode) || defect == Defect::LooksFirst {
                joins.put(mode, Asleep);
                next.push(joins);
            } else if rules.defer {
                joins.put(mode, Deferring);
                next.push(joins);
            }
            for place in QUEUED.into_iter().filter(|place| self.has(mode, *place)) {
                let (awake, asleep) = match place {
                    OvertakenAsleep | OvertakenDeferring => (OvertakenDeferring, OvertakenAsleep),
                    Next => (Next, Next),
                    _ => (Deferring, Asleep),
                };
                if now.admits(mode) {
                    next.extend(
                        self.without(mode, place).into_iter().map(|state| state.enter(mode)),
                    );
                    if rules.defer {
                        next.extend(self.moved(mode, place, awake));
                    }
                } else {
                    next.extend(self.moved(mode, place, asleep));
                }
            }
            for place in NOTIFIED.into_iter().filter(|place| self.has(mode, *place)) {
                if now.fits(mode) || defect == Defect::NoLook {
                    // Or it defers, and stays where it is.
                    next.extend(
                        self.without(mode, place).into_iter().map(|state| state.enter(mode)),
                    );
                    // Or it has found no room, and in its next access some. The queue was locked
                    // meanwhile, so the release that made the room has not begun to notify others.
                    let is_owed = self.duty.is_some_and(|duty| duty.len == 0 && !duty.batches);
                    if rules.defer && (is_owed || !now.admits(mode)) {
                        let to =
                            if mode == Mode::Exclusive { OvertakenDeferring } else { Deferring };
                        next.extend(self.moved(mode, place, to));
                    }
                } else {
                    let to = if mode == Mode::Exclusive { OvertakenAsleep } else { Asleep };
                    next.extend(self.moved(mode, place, to));
                }
            }
        }
    }

    fn drops(&self, defect: Defect, next: &mut Vec<Self>) {
        for mode in Mode::ALL {
            let all = QUEUED.into_iter().chain(NOTIFIED);
            for place in all.filter(|place| self.has(mode, *place)) {
                let notified = NOTIFIED.contains(&place);
                let left = self.without(mode, place).map(|state| [(state, false), (state, true)]);
                for (state, flagged) in left.into_iter().flatten() {
                    let (before, after) = (self.word_as(flagged), state.word_as(flagged));
                    let is_last = !state.waits(mode);
                    let flag = WaitFlags::of(WaitFlag::of(mode));
                    let emptied = if is_last { flag } else { WaitFlags::NONE };
                    let change = Transition { before, after };
                    let forgets = match defect {
                        Defect::DropsWakeUp => notified,
                        Defect::LastLeaves => is_last && mode == Mode::Exclusive && !notified,
                        Defect::LastShared => notified && mode == Mode::Shared && !is_last,
                        _ => false,
                    };
                    // The count of the last turn may be too low. It is too high only as long as one of an
                    // earlier turn is in it.
                    let others = state.has(mode, Fresh) || self.overcounted || place == Stale;
                    let ends: &[bool] = match mode {
                        _ if !notified => &[false],
                        Mode::Shared if others => &[true, false],
                        _ => &[true],
                    };
                    for ends_turn in ends {
                        let mut state = state;
                        if policy::passes_on(*ends_turn, emptied, change) && !forgets {
                            state.owes(change, false);
                        }
                        next.push(state);
                    }
                }
            }
        }
    }

    fn holders(&self, rules: &Rules, next: &mut Vec<Self>) {
        let Self { owner, shared, .. } = *self;
        let defect = rules.defect;
        let release = |mode| move |after| Transition::release(after, Hold::new(mode));
        let downgrade = |from, to| move |after| Transition::downgrade(after, from, to);
        let wakes = defect != Defect::SleepsOn || !self.waits(Mode::Exclusive);
        let downgrades = defect != Defect::Downgrade;
        let more = MANY.min(shared + 1);
        if shared > 0 {
            for fewer in self.fewer() {
                next.extend(self.write(owner, fewer, release(Mode::Shared), wakes));
                // An upgrade from a shared hold.
                if owner == 0 && fewer > 0 && rules.upgrade {
                    next.push(Self {
                        owner: UPGRADING,
                        shared: fewer,
                        upgrade: Upgrade::Awake,
                        ..*self
                    });
                }
                if owner == 0 && fewer == 0 && rules.upgrade {
                    next.push(Self { shared: 0, ..*self }.enter(Mode::Exclusive));
                }
            }
            if self.word().fits(Mode::Shared) {
                // A holder shares.
                next.push(Self { shared: more, ..*self });
            }
        }
        if owner == Mode::Upgradable as u16 {
            next.extend(self.write(0, shared, release(Mode::Upgradable), wakes));
            next.extend(self.write(0, more, downgrade(Mode::Upgradable, Mode::Shared), downgrades));
            if shared > 0 && rules.upgrade {
                next.push(Self { owner: UPGRADING, upgrade: Upgrade::Awake, ..*self });
            } else if shared == 0 && rules.upgrade {
                next.push(Self { owner: 0, ..*self }.enter(Mode::Exclusive));
            }
        }
        if owner == Mode::Exclusive as u16 {
            next.extend(self.write(0, 0, release(Mode::Exclusive), wakes));
            next.extend(self.write(0, 1, downgrade(Mode::Exclusive, Mode::Shared), downgrades));
            let to = Mode::Upgradable;
            next.extend(self.write(to as u16, 0, downgrade(Mode::Exclusive, to), downgrades));
        }
        if owner == UPGRADING {
            let exclusive = Self { owner: 0, upgrade: Upgrade::None, ..*self };
            let goes_on = |upgrade| Self { upgrade, ..*self };
            match self.upgrade {
                Upgrade::None => unreachable!(),
                Upgrade::Awake if shared > 0 => next.push(goes_on(Upgrade::Asleep)),
                Upgrade::Awake => {}
                Upgrade::Asleep => next.push(goes_on(Upgrade::Awake)),
            }
            if shared == 0 && self.upgrade == Upgrade::Awake {
                next.push(exclusive.enter(Mode::Exclusive));
            }
            for (owner, shared, from) in
                [(Mode::Upgradable as u16, shared, Mode::Upgradable), (0, more, Mode::Shared)]
            {
                let change = |after| Transition::cancel_upgrade(after, from);
                next.extend(self.write(owner, shared, change, defect != Defect::Cancel));
            }
        }
    }

    /// The last write that made room notifies others: one critical section.
    fn notifies(&self, defect: Defect, next: &mut Vec<Self>) {
        let Some(duty) = self.duty else { return };
        let answered = |mut state: Self, answer: u8| {
            let mut duty = duty;
            duty.answers[duty.len as usize] = answer;
            (duty.len, duty.batches) = (duty.len + 1, false);
            state.duty = duty.question().is_some().then_some(duty);
            state
        };
        match duty.question() {
            None => next.push(Self { duty: None, ..*self }),
            Some(Question::NextTurn(_)) => {
                // It may be that of either side, and is that of neither if no waiter is queued.
                next.extend([0, 1].map(|exclusive| answered(*self, exclusive)));
                let is_queued = |mode| QUEUED.iter().any(|place| self.has(mode, *place));
                if !Mode::ALL.into_iter().any(is_queued) {
                    next.push(answered(*self, NO_TURN));
                }
            }
            Some(Question::First(ListId::Upgrade)) => match self.upgrade {
                Upgrade::Asleep => {
                    next.push(answered(Self { upgrade: Upgrade::Awake, ..*self }, 1));
                }
                // Its node may be in the list, also if the upgrade has ended.
                _ => next.extend([0, 1].map(|found| answered(*self, found))),
            },
            Some(Question::First(list)) => {
                let mode = if matches!(list, ListId::Upgradable) {
                    Mode::Upgradable
                } else {
                    Mode::Exclusive
                };
                let places = match list {
                    ListId::Overtaken => [OvertakenAsleep, OvertakenDeferring],
                    _ => [Asleep, Deferring],
                };
                let states = self.first_of(mode, places, Fresh);
                if states.is_empty() {
                    next.push(answered(*self, 0));
                }
                next.extend(states.into_iter().map(|state| answered(state, 1)));
            }
            Some(Question::AllShared) => {
                let mut begun = *self;
                if !duty.batches {
                    begun.overcounted = false;
                    begun.shift(Mode::Shared, Asleep, Next);
                    begun.shift(Mode::Shared, Deferring, Next);
                    if !begun.has(Mode::Shared, Next) {
                        return next.push(answered(begun, 0));
                    }
                    begun.duty = Some(Duty { batches: true, ..duty });
                }
                let waiting = [Next, Asleep, Deferring];
                for left in 0..1 << waiting.len() {
                    let mut state = begun;
                    for (number, place) in waiting.into_iter().enumerate() {
                        if left & 1 << number == 0 {
                            state.shift(Mode::Shared, place, Fresh);
                        }
                    }
                    let is_done = !state.has(Mode::Shared, Next);
                    // Of those in one place, some may have been notified, and others not.
                    let mut some = state;
                    some.put(Mode::Shared, Fresh);
                    if is_done {
                        next.extend([state, some].map(|state| answered(state, 1)));
                    } else if defect == Defect::OneBatch {
                        some.owes_no_more();
                        next.push(answered(some, 1));
                    } else {
                        next.push(some);
                    }
                }
            }
        }
    }

    fn owes_no_more(&mut self) {
        self.shift(Mode::Shared, Next, Asleep);
    }

    /// Those in one place are in another from now on.
    fn shift(&mut self, mode: Mode, from: Place, to: Place) {
        if self.has(mode, from) {
            self.clear(mode, from);
            self.put(mode, to);
        }
    }

    /// The states after one waiter was notified that is in one of the places. Of those in a list,
    /// any may be the first.
    fn first_of(
        &self,
        mode: Mode,
        places: impl IntoIterator<Item = Place>,
        to: Place,
    ) -> Vec<Self> {
        let present = places.into_iter().filter(|place| self.has(mode, *place));
        present.flat_map(|place| self.moved(mode, place, to)).collect()
    }

    /// Releases before the last one may still notify any waiter.
    fn older_releases(&self, next: &mut Vec<Self>) {
        for mode in Mode::ALL {
            next.extend(self.first_of(mode, QUEUED, Fresh));
        }
        if self.upgrade == Upgrade::Asleep {
            next.push(Self { upgrade: Upgrade::Awake, ..*self });
        }
    }

    /// No two holders exclude each other.
    pub fn is_exclusive(&self) -> bool {
        !self.excluded && (self.owner != Mode::Exclusive as u16 || self.shared == 0)
    }

    /// If a waiter sleeps that the word admits, the last write that made room has still to notify
    /// others, or has notified one that has not been polled since.
    pub fn loses_no_wake_up(&self) -> bool {
        let now = self.word();
        let sleeps = |mode| SLEEPING.iter().any(|place| self.has(mode, *place));
        let in_vain = Mode::ALL.into_iter().any(|mode| sleeps(mode) && now.admits(mode));
        let upgrade = self.upgrade == Upgrade::Asleep && self.shared == 0;
        let awake = [Fresh, Deferring, OvertakenDeferring];
        let others = |mode| awake.iter().any(|place| self.has(mode, *place));
        self.duty.is_some() || !upgrade && (!in_vain || Mode::ALL.into_iter().any(others))
    }
}

/// What all states have shown.
#[derive(Debug)]
pub struct Shown {
    pub states: usize,
    /// An invariant that does not hold, and the states on the way to one where it does not.
    pub broken: Option<(&'static str, Vec<Crowd>)>,
}

pub const EXCLUSION: &str = "e1 exclusion";
pub const NO_LOST_WAKE_UP: &str = "p2 no lost wake-up";

/// Visits all states.
pub fn explore(rules: &Rules) -> Shown {
    let new = Crowd::NEW.packed();
    let mut from = HashMap::<u64, u64, Spread>::from_iter([(new, new)]);
    let mut queue = VecDeque::from([Crowd::NEW]);
    while let Some(state) = queue.pop_front() {
        let broken = match () {
            _ if !state.is_exclusive() => EXCLUSION,
            _ if !state.loses_no_wake_up() => NO_LOST_WAKE_UP,
            _ => {
                for next in state.next(rules) {
                    from.entry(next.packed()).or_insert_with(|| {
                        queue.push_back(next);
                        state.packed()
                    });
                }
                continue;
            }
        };
        let mut path = vec![state.packed()];
        while path[path.len() - 1] != new {
            path.push(from[&path[path.len() - 1]]);
        }
        let mut states = vec![Crowd::NEW];
        for packed in path.into_iter().rev().skip(1) {
            let next = states[states.len() - 1].next(rules);
            states.extend(next.into_iter().find(|state| state.packed() == packed));
        }
        return Shown { states: from.len(), broken: Some((broken, states)) };
    }
    Shown { states: from.len(), broken: None }
}

impl Crowd {
    /// The state in one number.
    fn packed(&self) -> u64 {
        let mut all = 0;
        let mut add = |value: u64, bits: u32| {
            assert!(value < 1 << bits);
            all = all << bits | value;
        };
        add(self.owner.into(), 2);
        add(self.shared.into(), 2);
        add(self.places.into(), 23);
        add(self.upgrade as u64, 2);
        add(self.excluded.into(), 1);
        add(self.overcounted.into(), 1);
        let Some(duty) = self.duty else { return all << 33 };
        // The flags of both words are the same.
        add(1, 1);
        add((duty.after & OWNER).into(), 2);
        add(u64::from(duty.after & FLAGS) >> FIRST_FLAG, 4);
        add((duty.after >> SHARED).into(), 2);
        add((duty.before & OWNER).into(), 2);
        add((duty.before >> SHARED).into(), 2);
        add(duty.batches.into(), 1);
        add(duty.len.into(), 3);
        // Whose turn was last is asked first, if at all.
        duty.answers
            .iter()
            .zip(0..)
            .for_each(|(answer, n)| add((*answer).into(), 2 + (n == 0) as u32));
        all << 1
    }
}

/// Spreads packed states, which are all different.
type Spread = std::hash::BuildHasherDefault<Spreading>;

#[derive(Default)]
struct Spreading(u64);

impl std::hash::Hasher for Spreading {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!()
    }

    fn write_u64(&mut self, packed: u64) {
        let mixed = (packed ^ packed >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 29;
    }
}

/// What a state of a few waiters does not say, but what has happened before it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct History {
    /// The waiter whose write was the last that made room, until it has notified others.
    last: Option<u8>,
    /// Waiters, a bit for each, by the places that have these names.
    fresh: u8,
    deferring: u8,
    next: u8,
}

impl History {
    fn then(self, system: &System, before: &World, who: usize, after: &World) -> Self {
        let mut to = self;
        let (old, new) = (&before.agents[who], &after.agents[who]);
        let bit = 1 << who;
        // The notification of all shared waiters is for those that are queued when it begins.
        let is_last = self.last == Some(who as u8) && old.pc == Pc::Wakes && old.wakes.is_empty();
        if is_last && matches!(next_question(&old.waking), Some(Question::AllShared)) {
            if old.waking.at_most == NONE {
                to.next = shared_list(before).iter().fold(0, |all, who| all | 1 << who);
            }
            if new.waking.len > old.waking.len || new.pc != Pc::Wakes {
                to.next = 0;
            }
        }
        if to.last == Some(who as u8) && new.pc != Pc::Wakes {
            (to.last, to.next) = (None, 0);
        }
        if new.pc == Pc::Waits
            && new.node == NodeState::Queued
            && old.is_waiting() | (old.pc == Pc::Joins)
        {
            // Its waker may have been called since, for another reason.
            let was_notified = old.node == NodeState::Notified;
            let could =
                snapshot(before.lock.word).admits_waiter(system.specs[who].mode, was_notified);
            to.deferring = if could { to.deferring | bit } else { to.deferring & !bit };
        }
        if old.pc != Pc::Wakes && new.pc == Pc::Wakes && next_question(&new.waking).is_some() {
            (to.last, to.next) = (Some(who as u8), 0);
            if !matches!(old.pc, Pc::Waits | Pc::Dropped) {
                let fits = |spec: &Spec| snapshot(new.waking.after).fits(spec.mode);
                let kept = system.specs.iter().enumerate().filter(|(_, spec)| !fits(spec));
                to.fresh &= kept.fold(0, |all, (number, _)| all | 1 << number);
                to.deferring = 0;
            }
        }
        for (number, (old, new)) in before.agents.iter().zip(&after.agents).enumerate() {
            let bit = 1 << number;
            if new.node == NodeState::Notified && old.node == NodeState::Queued {
                to.fresh |= bit;
            }
            if new.node != NodeState::Notified {
                to.fresh &= !bit;
            }
            if new.node != NodeState::Queued {
                (to.deferring, to.next) = (to.deferring & !bit, to.next & !bit);
            }
        }
        to
    }
}

fn shared_list(world: &World) -> Line {
    world.lock.lists[ListId::Shared as usize]
}

impl Crowd {
    /// Returns the state that stands for a state of a few waiters.
    fn of(system: &System, world: &World, history: &History) -> Self {
        let bits = word(snapshot(world.lock.word));
        let mut state = Self { owner: bits & OWNER, shared: MANY.min(bits >> SHARED), ..Self::NEW };
        let mut fresh_shared = 0;
        for (number, (agent, spec)) in world.agents.iter().zip(&system.specs).enumerate() {
            let is = |mask: u8| mask & 1 << number != 0;
            let listed = world.lock.lists[ListId::Overtaken as usize].contains(number);
            let counted = agent.flags & 1 << spec.mode as u8 != 0;
            let upgrade = match (agent.pc, agent.node) {
                (Pc::UpgradeWaits(_), NodeState::Queued) => Upgrade::Asleep,
                (Pc::UpgradeListens(_) | Pc::UpgradeLooks(..) | Pc::UpgradeWaits(_), _) => {
                    Upgrade::Awake
                }
                _ => Upgrade::None,
            };
            if upgrade != Upgrade::None {
                state.upgrade = upgrade;
            }
            let place = match agent.node {
                _ if !counted => continue,
                NodeState::Queued if listed && is(history.deferring) => OvertakenDeferring,
                NodeState::Queued if listed => OvertakenAsleep,
                NodeState::Queued if is(history.next) => Next,
                NodeState::Queued if is(history.deferring) => Deferring,
                NodeState::Queued => Asleep,
                NodeState::Notified if is(history.fresh) => Fresh,
                NodeState::Notified => Stale,
                NodeState::Idle | NodeState::HandedOff => unreachable!("{agent:?}"),
            };
            state.put(spec.mode, place);
            fresh_shared += (spec.mode == Mode::Shared && place == Fresh) as u8;
        }
        state.overcounted = world.lock.woken_shared > fresh_shared;
        let waking = history.last.map(|who| &world.agents[who as usize].waking);
        state.duty = waking.and_then(|waking| {
            let Waking { before, after, answers, len, .. } = *waking;
            let change = Transition { before: snapshot(before), after: snapshot(after) };
            let duty = Duty { answers, len, batches: waking.at_most != NONE, ..Duty::new(change) };
            duty.question().is_some().then_some(duty)
        });
        state
    }

    /// Whether `to` may follow: by no step, by one, or by steps of older releases, of which each
    /// notifies one waiter.
    fn leads_to(&self, to: &Self) -> bool {
        // All that may happen while the turn is not overcounted may happen while it is.
        let is_to = |state: &Self| {
            let Self { overcounted, .. } = *to;
            state.overcounted >= overcounted && Self { overcounted, ..*state } == *to
        };
        if is_to(self) || self.next(&Rules::ALL).iter().any(is_to) {
            return true;
        }
        let mut notified = vec![*self];
        for _ in 0..MOST {
            let before = std::mem::take(&mut notified);
            before.iter().for_each(|state| state.older_releases(&mut notified));
            if notified.iter().any(is_to) {
                return true;
            }
        }
        false
    }
}

/// Takes each step of a few waiters, none of which is a thread, and checks that any number may take
/// it, too. Returns the number of steps.
pub fn simulate(mut system: System, most: usize) -> Result<usize, String> {
    system.symmetry = false;
    let start = (system.init(), History::default());
    let mut known = HashSet::from([start.clone()]);
    let mut queue = VecDeque::from([start]);
    let mut steps = 0;
    while let Some((world, history)) = queue.pop_front() {
        let from = Crowd::of(&system, &world, &history);
        let mut actions = Vec::new();
        system.actions_of(&world, &mut actions);
        for action in actions {
            let mut after = system.step(&world, action);
            after.fault = Fault::None;
            let then = history.then(&system, &world, action.who as usize, &after);
            let to = Crowd::of(&system, &after, &then);
            steps += 1;
            if !from.leads_to(&to) {
                return Err(format!("{action:?}\n{world}{from:?}\n{after}{to:?}"));
            }
            if known.len() < most && known.insert((after.clone(), then)) {
                queue.push_back((after, then));
            }
        }
    }
    Ok(steps)
}
