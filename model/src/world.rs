//! A state of the model: words, queues and waiters, as plain values.

use crate::mode::Mode;
use crate::set::SetState;
use crate::sync::MAX_ACCESSES;

/// How many waiters there are at most.
pub const MOST: usize = 6;
/// How many locks there are at most: two, for sets.
pub const LOCKS: usize = 2;
/// No waiter.
pub const NONE: u8 = u8::MAX;
/// The lists of [`ListId`](crate::raw::queue::ListId) that are not those of monitors.
pub const LISTS: usize = 5;

/// A sequence of waiters, four bits for each.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line(u32);

impl Line {
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn len(self) -> usize {
        (u32::BITS - self.0.leading_zeros()).div_ceil(4) as usize
    }

    pub fn push(&mut self, who: usize) {
        self.0 |= (who as u32 + 1) << (4 * self.len());
    }

    pub fn pop_front(&mut self) -> Option<usize> {
        let first = (self.0 & 15).checked_sub(1)?;
        self.0 >>= 4;
        Some(first as usize)
    }

    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self;
        std::iter::from_fn(move || rest.pop_front())
    }

    pub fn contains(self, who: usize) -> bool {
        self.iter().any(|other| other == who)
    }

    pub fn map(self, f: impl Fn(usize) -> usize) -> Self {
        let mut to = Self::default();
        self.iter().for_each(|who| to.push(f(who)));
        to
    }
}

impl FromIterator<usize> for Line {
    fn from_iter<I: IntoIterator<Item = usize>>(items: I) -> Self {
        let mut line = Self::default();
        items.into_iter().for_each(|who| line.push(who));
        line
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A lock: its word and its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lock {
    pub word: u16,
    /// The waiters that are counted in each flag.
    pub counts: [u8; 5],
    pub queued: u8,
    /// How many woken shared waiters have a turn still.
    pub woken_shared: u8,
    pub lists: [Line; LISTS],
    /// The owner of the reservation, or [`NONE`], and what the reservation is.
    pub owner: u8,
    pub owner_flags: u8,
    pub moment: u16,
    /// How many newcomers still yield.
    pub deferrals: u8,
    /// Whether exclusive waiters had the last turn, and how many turns in a row.
    pub last_exclusive: bool,
    pub last_number: u8,
    /// How many races the owner had lost.
    pub claim: u8,
}

impl Lock {
    pub const NEW: Self = Self {
        word: 0,
        counts: [0; 5],
        queued: 0,
        woken_shared: 0,
        lists: [Line(0); LISTS],
        owner: NONE,
        owner_flags: 0,
        moment: 0,
        deferrals: 0,
        last_exclusive: false,
        last_number: 0,
        claim: 0,
    };
}

/// Where the node of a waiter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeState {
    Idle,
    Queued,
    Notified,
    HandedOff,
}

/// What a waiter does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pc {
    /// It holds nothing and waits for nothing. It may acquire the lock.
    Idle,
    /// A newcomer could not enter, because of an overtaken waiter. It decides whether to yield.
    NewcomerYields,
    /// In its first poll, and could not enter.
    Joins,
    /// It has yielded its first poll.
    Yielded,
    /// It waits.
    Waits,
    /// It is polled, and a section is begun.
    Polled,
    /// It is dropped, and a section is begun.
    Dropped,
    /// It was handed the lock and is dropped: it releases the lock.
    ReleasesDropped,
    /// It holds the lock.
    Holds(Mode),
    /// It holds the lock, and does nothing more than to release it.
    HoldsLast(Mode),
    /// It upgrades: it has looked whether it is the only holder.
    UpgradeBegins(Mode),
    /// It puts its node in the list.
    UpgradeListens(Mode),
    /// It looks whether the others have left, and was notified or not.
    UpgradeLooks(Mode, bool),
    /// It sleeps until the last holder has left.
    UpgradeWaits(Mode),
    /// It takes its node out of the list, and is exclusive.
    UpgradeLeaves,
    /// Its upgrade is cancelled, and it takes its node out of the list.
    UpgradeCancelled(Mode),
    /// It has left, or become weaker, and notifies others.
    Wakes,
    /// It is a set, and does what its `run` says.
    SetRuns,
}

/// What comes after [`Pc::Wakes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Then {
    Idle,
    HoldsLast(Mode),
    UpgradeCancelled(Mode),
    /// The set goes on.
    SetGoesOn,
}

/// The answers that the decisions of `policy.rs` have got so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Waking {
    pub before: u16,
    pub after: u16,
    pub fair: bool,
    pub answers: [u8; 7],
    pub len: u8,
    /// For a notification of all shared waiters: its end, if it has begun, and how many were notified.
    pub end: u8,
    pub at_most: u8,
    pub total: u8,
    pub then: Then,
}

impl Waking {
    pub const NONE: Self = Self {
        before: 0,
        after: 0,
        fair: false,
        answers: [0; 7],
        len: 0,
        end: NONE,
        at_most: NONE,
        total: 0,
        then: Then::Idle,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Agent {
    pub pc: Pc,
    /// How often it has acquired the lock, up to what it may.
    pub rounds: u8,
    pub node: NodeState,
    /// Whether it is a handoff waiter: its node is queued, and that of a thread.
    pub handoff: bool,
    /// The flags in which it is counted, a bit for each.
    pub flags: u8,
    /// How many races it has lost, as the lock knows.
    pub lost: u8,
    /// Whether it has deferred to the reservation, or to the last one.
    pub deferred: bool,
    /// Whether its waker was called since its last poll.
    pub woken: bool,
    /// Whether it is not polled any more.
    pub dormant: bool,
    /// It is dormant and was notified, and a release has made room for it since.
    pub stale: bool,
    /// How often it was overtaken, if it counts that.
    pub overtaken: u8,
    /// How often others were notified instead, since it was notified, if it counts that.
    pub passed: u8,
    /// How often others have deferred to it since its last poll.
    pub kept: u8,
    /// The answers that a section which it has begun has got so far.
    pub log: [u16; MAX_ACCESSES],
    pub log_len: u8,
    /// Those whose wakers it is about to call.
    pub wakes: Line,
    pub waking: Waking,
    /// What it is, if it is a set.
    pub set: SetState,
}

impl Agent {
    pub const NEW: Self = Self {
        pc: Pc::Idle,
        rounds: 0,
        node: NodeState::Idle,
        handoff: false,
        flags: 0,
        lost: 0,
        deferred: false,
        woken: false,
        dormant: false,
        stale: false,
        overtaken: 0,
        passed: 0,
        kept: 0,
        log: [0; MAX_ACCESSES],
        log_len: 0,
        wakes: Line(0),
        waking: Waking::NONE,
        set: SetState::NEW,
    };

    /// Whether it waits in the queue, or is in a poll there.
    pub fn is_waiting(&self) -> bool {
        matches!(self.pc, Pc::Waits | Pc::Polled)
    }
}

/// What was seen to go wrong in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    None,
    /// A thread that was handed the lock did not enter at its next poll.
    HandedOffWaits,
    /// A waiter was polled while the lock was available to it, did not enter, and did not defer.
    TurnedAway,
    /// A waiter was notified though the holders leave it no room.
    InVain,
    /// A waiter was overtaken more often than it may.
    Overtaken,
    /// Others were notified more often than they may be while a waiter waits for its turn.
    PassedOver,
    /// Waiters were notified, and the turns of the other side before still count.
    RowGoesOn,
    /// An assertion of the lock has failed.
    Panicked,
    /// A waiter that was not notified has entered a held lock, though an exclusive waiter was counted.
    Barged,
    /// A holder has joined the holders for which an upgrade waits.
    JoinedUpgrade,
    /// Others have deferred to a waiter that is not polled for longer than they may.
    Kept,
}

impl Lock {
    /// What `MultiLock::snapshot` shows, as text.
    pub fn snapshot(&self) -> String {
        format!("{:?}", crate::real::snapshot(self.word))
    }
}

/// A state in a few lines: the lock, and what each waiter has that a new one has not.
impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for lock in [&self.lock, &self.second] {
            if lock == &self.second && *lock == Lock::NEW {
                break;
            }
            let owner = lock.owner as i8;
            write!(f, "{:?}", crate::real::snapshot(lock.word))?;
            writeln!(f, " {:?} counts {:?}", lock.lists, lock.counts)?;
            writeln!(
                f,
                "  owner {owner}/{} moment {} deferrals {} turns {} {:?}",
                lock.owner_flags, lock.moment, lock.deferrals, lock.last_number, self.fault
            )?;
        }
        for (number, agent) in self.agents.iter().enumerate().filter(|other| *other.1 != Agent::NEW)
        {
            write!(f, "  {number}: {:?} {:?}", agent.pc, agent.node)?;
            let flags = [
                (agent.woken, "woken"),
                (agent.dormant, "dormant"),
                (agent.stale, "stale"),
                (agent.handoff, "handoff"),
            ];
            flags.iter().filter(|flag| flag.0).try_for_each(|flag| write!(f, " {}", flag.1))?;
            let Agent { lost, overtaken, passed, kept, wakes, .. } = agent;
            write!(
                f,
                " lost {lost} overtaken {overtaken} passed {passed} kept {kept} wakes {wakes:?}"
            )?;
            write!(f, " log {:?}", &agent.log[..agent.log_len as usize])?;
            let SetState { stage, run, at, turned_away, next, held, .. } = agent.set;
            if agent.set == SetState::NEW {
                writeln!(f)?;
            } else {
                writeln!(
                    f,
                    " {run:?} {stage:?} at {at} turned away {turned_away} {next:?} holds {held:b}"
                )?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub lock: Lock,
    /// The second lock, for sets.
    pub second: Lock,
    pub agents: [Agent; MOST],
    pub fault: Fault,
}

impl World {
    /// Returns the lock with this number.
    pub fn at(&self, lock: usize) -> &Lock {
        if lock == 0 { &self.lock } else { &self.second }
    }

    pub fn at_mut(&mut self, lock: usize) -> &mut Lock {
        if lock == 0 { &mut self.lock } else { &mut self.second }
    }
}
