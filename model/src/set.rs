//! Sets of two locks: the files of the lock that acquire them, as steps.
//!
//! `all_or_nothing` is the lock's own file, and so are those beside it. They find locks in
//! [`lock`](crate::lock) of which each access is a question. A set is in the state of the model as the
//! point at which its future has stopped, in [`Stage`], and the answers that it has got since. To take a
//! step, a new future is led to that point by answers that are made up, and is given those that it got. The
//! next question is the next step. What the future does after that is thrown away.

#[path = "../../src/set/all_or_nothing.rs"]
pub(crate) mod all_or_nothing;
#[path = "../../src/set/reservations.rs"]
mod reservations;
#[path = "../../src/set/retry.rs"]
pub(crate) mod retry;
#[path = "../../src/set/told.rs"]
mod told;

use std::cell::RefCell;
use std::panic::Location;
use std::task::{Context, Poll, Waker};

use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::raw::state::{Snapshot, Transition};
use crate::real::snapshot;
use crate::set::all_or_nothing::{Acquiring, AddressOrdered, acquire};
use crate::set::retry::RESERVE_AFTER;
use crate::set::told::Event;
use crate::world::LOCKS;

/// A point at which the future of a set has stopped, or that it has passed. With the lock at which the set
/// waits, and how often it was turned away, this is all that the future is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Before its first poll.
    New,
    /// It has yielded its first poll.
    Yields,
    /// It has made a waiter, which is not queued yet.
    Joins,
    /// It waits for a notification.
    Waits,
    /// Before it waits at another lock, it yields a poll and tries again. It was notified or not.
    Retries(bool),
    /// It defers to a reservation.
    Defers,
    /// It has acquired the locks.
    Holds,
}

/// What a set does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Run {
    /// Nothing.
    Rests,
    Polls,
    Drops,
    Releases,
}

/// What a set does with a lock, as an atomic step, or as one section of its queue. The lock is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ask {
    Nothing,
    Look(u8),
    MustYield(u8),
    TakeDeferral(u8),
    MayEnter { lock: u8, newcomer: bool, notified: bool, could: bool },
    IsReserved(u8),
    TryOnce(u8),
    Try(u8),
    EnterNotified(u8),
    Leave(u8),
    Wake(u8),
    Reserve { lock: u8, new: bool },
    EndReservation(u8),
    NewWaiter(u8),
    PollWaiter(u8),
    SetOvertaken(u8),
    Defer(u8),
    LeaveQueue(u8),
    DropWaiter(u8),
}

impl Ask {
    pub fn lock(self) -> usize {
        use Ask::*;
        match self {
            Nothing => 0,
            MayEnter { lock, .. } | Reserve { lock, .. } => lock as usize,
            Look(lock) | MustYield(lock) | TakeDeferral(lock) | IsReserved(lock)
            | TryOnce(lock) | Try(lock) | EnterNotified(lock) | Leave(lock) | Wake(lock)
            | EndReservation(lock) | NewWaiter(lock) | PollWaiter(lock) | SetOvertaken(lock)
            | Defer(lock) | LeaveQueue(lock) | DropWaiter(lock) => lock as usize,
        }
    }

    /// Whether it looks at the word first, and then locks the queue in another step.
    pub fn looks_first(self) -> bool {
        matches!(self, Self::MayEnter { .. } | Self::IsReserved(_))
    }

    /// Whether it locks the queue at its first step.
    pub fn locks(self) -> bool {
        use Ask::*;
        matches!(
            self,
            TakeDeferral(_)
                | Reserve { .. }
                | EndReservation(_)
                | PollWaiter(_)
                | SetOvertaken(_)
                | Defer(_)
                | LeaveQueue(_)
                | DropWaiter(_)
        )
    }
}

/// The answers that a future has got since it has passed a [`Stage`], four bits for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Answers {
    bits: u128,
    len: u8,
}

impl Answers {
    pub const NONE: Self = Self { bits: 0, len: 0 };

    fn get(self, number: u8) -> Option<u8> {
        (number < self.len).then(|| (self.bits >> (4 * number)) as u8 & 15)
    }

    pub fn push(&mut self, answer: u8) {
        assert!(self.len < 32 && answer < 16, "more answers than there is room for");
        self.bits |= u128::from(answer) << (4 * self.len);
        self.len += 1;
    }
}

/// A set that acquires both locks, or has acquired them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetState {
    pub stage: Stage,
    pub run: Run,
    /// The lock of its waiter.
    pub at: u8,
    pub has_waiter: bool,
    /// How often it was turned away, up to [`RESERVE_AFTER`].
    pub turned_away: u8,
    pub answers: Answers,
    /// The next step, unless it rests.
    pub next: Ask,
    /// The words before and after it has left a lock, until it wakes others.
    pub changes: [(u16, u16); LOCKS],
    /// The locks that it holds, a bit for each.
    pub held: u8,
    /// Whether it is counted at the first lock for a reservation there.
    pub reserves: bool,
}

impl SetState {
    pub const NEW: Self = Self {
        stage: Stage::New,
        run: Run::Rests,
        at: 0,
        has_waiter: false,
        turned_away: 0,
        answers: Answers::NONE,
        next: Ask::Nothing,
        changes: [(0, 0); LOCKS],
        held: 0,
        reserves: false,
    };
    pub const HOLDS: Self = Self { stage: Stage::Holds, held: 3, ..Self::NEW };

    pub fn holds(&self, lock: usize) -> bool {
        self.held & 1 << lock != 0
    }

    /// Makes this the point from which the future is led on.
    pub fn pass(&mut self, stage: Stage) {
        (self.stage, self.answers) = (stage, Answers::NONE);
    }
}

/// What a look at the word tells a set in this mode: whether it fits, whether the word admits it, and whether a
/// waiter was overtaken.
pub(crate) fn seen(word: Snapshot, mode: Mode) -> u8 {
    use crate::raw::state::WaitFlag::Overtaken;
    word.fits(mode) as u8 | (word.admits(mode) as u8) << 1 | (word.has(Overtaken) as u8) << 2
}

const FREE: u8 = 0b011;
const HELD: u8 = 0b000;

/// Returns a word that tells that.
fn word_seen(seen: u8) -> Snapshot {
    // An exclusive holder; none; or a shared one, and an exclusive waiter.
    let word = match seen & 0b011 {
        0b000 => 0b10,
        0b011 => 0,
        _ => 1 << 7 | 1 << 4,
    };
    snapshot(word | if seen & 0b100 != 0 { 1 << 5 } else { 0 })
}

/// How the future is led to a stage.
#[derive(Clone, Copy)]
struct Lead {
    stage: Stage,
    /// The lock that is held, if one is.
    blocker: Option<u8>,
    /// How often it still has to be turned away.
    turns: u8,
    at: u8,
    stops: bool,
    has_waiter: bool,
    /// It stops at the end of this poll.
    has_arrived: bool,
}

/// What the next question finds.
struct Script {
    lead: Option<Lead>,
    answers: Answers,
    given: u8,
    question: Option<Ask>,
    is_muted: bool,
    changes: [(u16, u16); LOCKS],
    last: Ask,
    has_yielded: bool,
}

thread_local! {
    static SCRIPT: RefCell<Script> = const { RefCell::new(Script {
        lead: None,
        answers: Answers::NONE,
        given: 0,
        question: None,
        is_muted: true,
        changes: [(0, 0); LOCKS],
        last: Ask::Nothing,
        has_yielded: false,
    }) };
}

impl Lead {
    /// Returns what is made up, or `None` if the question is the first one behind the stage.
    fn answer(&mut self, ask: Ask) -> Option<u8> {
        let is_last = self.has_waiter && self.turns == 0;
        Some(match ask {
            Ask::Look(lock) => {
                if self.blocker == Some(lock) {
                    HELD
                } else {
                    FREE
                }
            }
            Ask::MayEnter { lock, could, .. } => {
                (could && !(is_last && self.stage == Stage::Defers && lock == self.at)) as u8
            }
            Ask::MustYield(_) => {
                let retries = is_last && matches!(self.stage, Stage::Retries(_));
                (retries || self.stage == Stage::Yields) as u8
            }
            Ask::TakeDeferral(_) | Ask::Defer(_) => {
                self.has_arrived = true;
                1
            }
            Ask::TryOnce(_) | Ask::Try(_) | Ask::EnterNotified(_) => 1,
            Ask::PollWaiter(_) => match self.stage {
                _ if !is_last => 2,
                Stage::Waits if self.stops => {
                    self.has_arrived = true;
                    0
                }
                Stage::Retries(notified) => 1 + notified as u8,
                Stage::Defers => 2,
                _ => return None,
            },
            Ask::NewWaiter(lock) => {
                self.turns -= self.has_waiter as u8;
                self.has_waiter = true;
                self.blocker = match self.stage {
                    Stage::Defers if self.turns == 0 => None,
                    _ => Some(1 - lock),
                };
                0
            }
            _ => 0,
        })
    }

    /// Whether the next question is behind the stage, though the future has not stopped.
    fn is_over(&self, ask: Ask) -> bool {
        let joins = self.stage == Stage::Joins && matches!(ask, Ask::NewWaiter(_));
        joins && self.turns == 0
    }
}

/// Asks a question. What it returns if it is not answered yet lets the future come to an end.
pub(crate) fn ask(ask: Ask) -> u8 {
    SCRIPT.with_borrow_mut(|script| {
        if script.is_muted {
            return 0;
        }
        if let Some(lead) = &mut script.lead {
            if let Some(answer) = lead.answer(ask) {
                if lead.is_over(ask) {
                    script.lead = None;
                }
                return answer;
            }
            script.lead = None;
        }
        if script.question.is_some() {
            return 0;
        }
        let Some(answer) = script.answers.get(script.given) else {
            script.question = Some(ask);
            return 0;
        };
        script.given += 1;
        script.last = ask;
        answer
    })
}

pub(crate) fn look(lock: u8) -> Snapshot {
    word_seen(ask(Ask::Look(lock)))
}

pub(crate) fn leave(lock: u8) -> Option<Transition> {
    let has_change = ask(Ask::Leave(lock)) != 0;
    let (before, after) = SCRIPT.with_borrow(|script| script.changes[lock as usize]);
    has_change.then(|| Transition { before: snapshot(before), after: snapshot(after) })
}

/// Records that the future yields a poll.
pub(crate) fn record_yield() {
    SCRIPT.with_borrow_mut(|script| script.has_yielded = true);
}

/// What a set does next.
pub(crate) enum Next {
    Ask(Ask),
    /// It stops at this stage, and wakes itself or not.
    Stops(Stage, bool),
    Done,
}

/// Both locks, in these modes.
struct Both {
    locks: [MultiLock; LOCKS],
    modes: [Mode; LOCKS],
}

impl AddressOrdered for Both {
    fn in_address_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
        self.locks.iter().zip(self.modes)
    }

    type Records = ();

    fn records(&self, _: &'static Location<'static>) {}

    fn tell(&self, (): &mut (), _: Event) {}
}

/// Returns what a set in these modes does next.
pub(crate) fn next(modes: [Mode; LOCKS], set: &SetState) -> Next {
    let both = Both { locks: [MultiLock::numbered(0), MultiLock::numbered(1)], modes };
    let turns = set.turned_away.min(RESERVE_AFTER);
    let lead = Lead {
        stage: set.stage,
        blocker: (set.stage != Stage::Holds).then_some(set.at ^ (turns & 1)),
        turns,
        at: set.at,
        stops: set.run == Run::Drops,
        has_waiter: false,
        has_arrived: false,
    };
    SCRIPT.set(Script {
        lead: (set.stage != Stage::New).then_some(lead),
        answers: set.answers,
        given: 0,
        question: None,
        is_muted: false,
        changes: set.changes,
        last: Ask::Nothing,
        has_yielded: false,
    });
    let mut future = Box::pin(acquire(Acquiring::new(&both, Location::caller())));
    let mut cx = Context::from_waker(Waker::noop());
    // Dropped at the end of all, unless the set releases it: nothing is asked then.
    let mut held = Vec::new();
    // 1. Lead the future to its stage. There may be no poll between that and what comes next.
    let mut poll = Poll::Pending;
    while SCRIPT.with_borrow(|script| script.lead.is_some()) {
        SCRIPT.with_borrow_mut(|script| script.has_yielded = false);
        poll = future.as_mut().poll(&mut cx).map(|all| held.push(all));
        SCRIPT.with_borrow_mut(|script| {
            let has_arrived = script.lead.is_some_and(|lead| lead.has_arrived);
            if has_arrived || poll.is_ready() {
                script.lead = None;
                script.has_yielded = false;
            }
        });
    }
    // 2. Let it do what it does next.
    let has_passed = matches!(set.stage, Stage::Joins | Stage::Waits);
    match set.run {
        Run::Drops => drop(future),
        Run::Releases => held.clear(),
        _ if has_passed => {}
        _ => poll = future.as_mut().poll(&mut cx).map(|all| held.push(all)),
    }
    SCRIPT.with_borrow_mut(|script| {
        script.is_muted = true;
        match (script.question, poll) {
            (Some(ask), _) => Next::Ask(ask),
            (None, _) if set.run != Run::Polls => Next::Done,
            (None, Poll::Ready(())) => Next::Done,
            (None, Poll::Pending) if !script.has_yielded => Next::Stops(Stage::Waits, false),
            (None, Poll::Pending) => match script.last {
                Ask::MustYield(_) | Ask::TakeDeferral(_) if !set.has_waiter => {
                    Next::Stops(Stage::Yields, true)
                }
                Ask::MustYield(_) | Ask::TakeDeferral(_) => {
                    // The first answer since it was notified, or since it has tried before.
                    let notified = match set.stage {
                        Stage::Retries(notified) => notified,
                        _ => set.answers.get(0) == Some(2),
                    };
                    Next::Stops(Stage::Retries(notified), true)
                }
                _ => Next::Stops(Stage::Defers, true),
            },
        }
    })
}
