//! Which steps there are: what each waiter may do, in which order.

use std::fmt;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use stateright::{Model, Property};

use crate::canonical;
use crate::invariants;
use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::list::WaitState;
use crate::raw::policy::{self, QueueSteps};
use crate::raw::queue::{End, ListId};
use crate::raw::reservation::NO_WAITER;
use crate::raw::state::{AfterRelease, Transition, UpgradeStep};
use crate::raw::wake::Batches;
use crate::raw::wakers::WakeAll;
use crate::real::{self, Place, lock_of, snapshot, waits_at, waker, word};
use crate::set::retry::RESERVE_AFTER;
use crate::set::{self, Ask, Next, Run, SetState, Stage};
use crate::world::{Agent, Fault, LOCKS, Lock, MOST, NONE, NodeState, Pc, Then, Waking, World};

/// What a holder does with its hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Release,
    /// It hands the lock to the threads whose turn it is.
    ReleaseFair,
    Downgrade(Mode),
    Upgrade,
}

/// Whether a waiter may stop being polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dormant {
    Never,
    /// From any point on, and it stays so: it may as well have been forgotten.
    Forever,
    /// It may also be polled again.
    Sometimes,
}

/// What a waiter may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    pub mode: Mode,
    /// The number of its lock, unless it is a set.
    pub lock: u8,
    /// The mode in which it acquires the second lock, together with the first, if it is a set.
    pub second: Option<Mode>,
    /// When it waits for the first time, it was turned away until the next time makes it reserve a lock.
    pub turned_away: bool,
    /// A thread that blocks.
    pub thread: bool,
    /// It is polled at any time, and not only when it is woken.
    pub spurious: bool,
    pub dormant: Dormant,
    /// Its future is dropped at any point.
    pub drops: bool,
    /// How often it acquires the lock, or 0 if there is no limit.
    pub rounds: u8,
    pub holds: Use,
    /// Whether it counts how often it is overtaken.
    pub counts: bool,
}

impl Spec {
    pub const fn new(mode: Mode) -> Self {
        Self {
            mode,
            lock: 0,
            second: None,
            turned_away: false,
            thread: false,
            spurious: false,
            dormant: Dormant::Never,
            drops: false,
            rounds: 1,
            holds: Use::Release,
            counts: false,
        }
    }
    /// Acquires the lock with this number.
    pub const fn at(self, lock: u8) -> Self {
        Self { lock, ..self }
    }
    /// Acquires both locks, the second one in this mode.
    pub const fn and(self, second: Mode) -> Self {
        Self { second: Some(second), ..self }
    }
    pub const fn turned_away(self) -> Self {
        Self { turned_away: true, ..self }
    }
    pub const fn is_set(&self) -> bool {
        self.second.is_some()
    }
    /// Returns the mode in which it wants a lock.
    pub fn mode_at(&self, lock: usize) -> Mode {
        if lock == 0 { self.mode } else { self.second.unwrap_or(self.mode) }
    }
    pub const fn thread(self) -> Self {
        Self { thread: true, ..self }
    }
    pub const fn spurious(self) -> Self {
        Self { spurious: true, ..self }
    }
    pub const fn dormant(self, dormant: Dormant) -> Self {
        Self { dormant, ..self }
    }
    pub const fn drops(self) -> Self {
        Self { drops: true, ..self }
    }
    pub const fn rounds(self, rounds: u8) -> Self {
        Self { rounds, ..self }
    }
    pub const fn holds(self, holds: Use) -> Self {
        Self { holds, ..self }
    }
    pub const fn counts(self) -> Self {
        Self { counts: true, ..self }
    }
}

/// A lock and its waiters.
#[derive(Clone, Debug)]
pub struct System {
    /// Those that are equal are neighbors.
    pub specs: Vec<Spec>,
    /// Whether waiters that are equal are interchangeable.
    pub symmetry: bool,
    /// How many newcomers yield after a lost race. The lock says 255.
    pub deferrals: u8,
    /// After how many polls a moment is over. The lock says 1,024 where there is no clock.
    pub polls: u16,
    /// How often a waiter may be overtaken.
    pub overtaken: u8,
    /// How often a set may be notified and not enter.
    pub failed: u8,
    /// How often others may be notified while a waiter waits that fits.
    pub passed: u8,
    /// Whether a waiter does not count how often it is overtaken while another one reserves the lock.
    pub excuses: bool,
    /// The names of invariants that are not checked.
    pub skips: Vec<String>,
}

impl System {
    pub fn new(specs: impl Into<Vec<Spec>>) -> Self {
        let specs = specs.into();
        let count = specs.len() as u8;
        // A holder that changes its mode keeps out waiters that it let in before.
        let changes = |spec: &Spec| matches!(spec.holds, Use::Upgrade | Use::Downgrade(_));
        Self {
            symmetry: true,
            deferrals: 1,
            polls: 2,
            overtaken: count.max(2) + specs.iter().any(changes) as u8,
            failed: 4,
            passed: 2 * count + specs.iter().any(changes) as u8,
            excuses: true,
            skips: Vec::new(),
            specs,
        }
    }

    pub fn init(&self) -> World {
        assert!(self.specs.len() <= MOST);
        World { lock: Lock::NEW, second: Lock::NEW, agents: [Agent::NEW; MOST], fault: Fault::None }
    }
}

/// What happens next, and to which waiter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Action {
    pub who: u8,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It goes on with what it does, or with its next acquisition.
    Go,
    /// Its future is polled.
    Poll,
    /// Its future is dropped.
    Drop,
    /// It is not polled any more.
    Sleep,
    /// It is polled again.
    Resume,
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({})", self.what, self.who)
    }
}

/// How often a waiter was overtaken at most, in all that was checked by this process.
pub static MOST_OVERTAKEN: AtomicU8 = AtomicU8::new(0);
pub static MOST_PASSED: AtomicU8 = AtomicU8::new(0);

/// A question that the decisions of `policy.rs` ask, as an atomic step.
#[derive(Clone, Copy)]
pub(crate) enum Question {
    NextTurn(bool),
    First(ListId),
    AllShared,
}

/// The answer if no waiter is queued.
pub(crate) const NO_TURN: u8 = 2;

/// Gives the answers that are known, and notes the first question that is not answered.
struct Answers<'a> {
    known: &'a Waking,
    given: usize,
    question: Option<Question>,
}

impl Answers<'_> {
    fn ask(&mut self, question: Question) -> u8 {
        if self.given < self.known.len as usize {
            self.given += 1;
            return self.known.answers[self.given - 1];
        }
        // What is decided after that is thrown away.
        self.question.get_or_insert(question);
        0
    }
}

impl QueueSteps for Answers<'_> {
    fn next_turn(&mut self, exclusive: bool) -> Option<bool> {
        match self.ask(Question::NextTurn(exclusive)) {
            NO_TURN => None,
            answer => Some(answer != 0),
        }
    }

    fn notify_first(&mut self, list: ListId) -> bool {
        self.ask(Question::First(list)) != 0
    }

    fn notify_all_shared(&mut self) -> bool {
        self.ask(Question::AllShared) != 0
    }
}

pub(crate) fn next_question(waking: &Waking) -> Option<Question> {
    let mut answers = Answers { known: waking, given: 0, question: None };
    let change = Transition { before: snapshot(waking.before), after: snapshot(waking.after) };
    policy::wake_waiters(&mut answers, change);
    answers.question
}

/// What a step of a set is given.
struct Args {
    id: usize,
    mode: Mode,
    ask: Ask,
    who: usize,
}

/// Whether the next step of a set locks a queue.
fn needs_queue(agent: &Agent) -> bool {
    if looks_first(agent) { agent.log_len > 0 } else { agent.set.next.locks() }
}

/// Whether the next step of a set looks at the word first, and then locks the queue in another step.
fn looks_first(agent: &Agent) -> bool {
    let polls_notified =
        matches!(agent.set.next, Ask::PollWaiter(_)) && agent.node == NodeState::Notified;
    agent.set.next.looks_first() || polls_notified
}

/// Saturates one above the bound.
fn count_to(count: &mut u8, bound: u8) {
    *count = count.saturating_add(1).min(bound.saturating_add(1));
}

impl System {
    /// How often others may defer to a waiter that is not polled: for a moment before it is notified,
    /// and for another one after that. The poll that finds the moment over does not.
    fn kept(&self) -> u16 {
        2 * (self.polls - 1)
    }

    /// Whether a section is begun, by another than `who`: the queue is locked.
    fn is_locked_for(&self, world: &World, who: usize) -> bool {
        let at = lock_of(&self.specs[who], &world.agents[who]);
        let mut others = self.specs.iter().zip(&world.agents).enumerate();
        others.any(|(number, (spec, agent))| {
            let has_begun = agent.log_len > 0 && lock_of(spec, agent) == at;
            number != who && has_begun && !(spec.is_set() && looks_first(agent))
        })
    }

    pub fn actions_of(&self, world: &World, actions: &mut Vec<Action>) {
        if world.fault != Fault::None {
            return;
        }
        for (number, spec) in self.specs.iter().enumerate() {
            let agent = &world.agents[number];
            let locked = self.is_locked_for(world, number);
            let mut may = |what, may: bool| {
                if may {
                    actions.push(Action { who: number as u8, what });
                }
            };
            if !agent.wakes.is_empty() {
                may(What::Go, true);
                continue;
            }
            match agent.pc {
                Pc::SetRuns => may(What::Go, !(locked && needs_queue(agent))),
                Pc::Waits if spec.is_set() => {
                    may(What::Poll, !agent.dormant && (agent.woken || spec.spurious));
                    may(What::Drop, spec.drops);
                    may(What::Sleep, !agent.dormant && spec.dormant != Dormant::Never);
                    may(What::Resume, agent.dormant && spec.dormant == Dormant::Sometimes);
                }
                Pc::Idle => may(What::Go, spec.rounds == 0 || agent.rounds < spec.rounds),
                Pc::Holds(_)
                | Pc::HoldsLast(_)
                | Pc::ReleasesDropped
                | Pc::UpgradeBegins(_)
                | Pc::UpgradeLooks(..) => may(What::Go, true),
                Pc::NewcomerYields
                | Pc::Joins
                | Pc::Polled
                | Pc::Dropped
                | Pc::UpgradeListens(_)
                | Pc::UpgradeLeaves
                | Pc::UpgradeCancelled(_)
                | Pc::Wakes => may(What::Go, !locked),
                Pc::Yielded | Pc::Waits => {
                    let awake = !agent.dormant;
                    may(What::Poll, awake && !locked && (agent.woken || spec.spurious));
                    may(What::Drop, spec.drops && !locked);
                    may(What::Sleep, awake && spec.dormant != Dormant::Never);
                    may(What::Resume, agent.dormant && spec.dormant == Dormant::Sometimes);
                }
                Pc::UpgradeWaits(_) => {
                    may(What::Poll, !locked && (agent.woken || spec.spurious));
                    may(What::Drop, spec.drops);
                }
            }
        }
    }

    /// Takes one step. This is all that happens in the model.
    pub fn step(&self, last: &World, action: Action) -> World {
        crate::sync::moment::set_polls(self.polls);
        let mut world = last.clone();
        let who = action.who as usize;
        let spec = &self.specs[who];
        let agent = &mut world.agents[who];
        if let Some(woken) = agent.wakes.pop_front() {
            world.agents[woken].woken = true;
            self.go_on_waking(&mut world, who);
            return self.finish(last, world, who);
        }
        match (action.what, agent.pc) {
            (What::Sleep, _) => agent.dormant = true,
            (What::Resume, _) => {
                (agent.dormant, agent.stale) = (false, false);
                agent.woken = true;
            }
            (What::Drop, _) if spec.is_set() => self.begin_set(&mut world, who, Run::Drops),
            (What::Poll, _) if spec.is_set() => self.begin_set(&mut world, who, Run::Polls),
            (What::Go, Pc::Idle) if spec.is_set() => self.begin_set(&mut world, who, Run::Polls),
            (What::Go, Pc::Holds(_)) if spec.is_set() => {
                self.begin_set(&mut world, who, Run::Releases);
            }
            (What::Go, Pc::SetRuns) => self.step_set(&mut world, who),
            (What::Drop, Pc::Yielded) => self.end_round(&mut world, who),
            (What::Drop, Pc::Waits) => {
                agent.pc = Pc::Dropped;
                self.drop_waiter(&mut world, who);
            }
            (What::Drop, Pc::UpgradeWaits(from)) => {
                let stepped = real::step(&mut world, &self.specs, who, |lock, _, _| {
                    match lock.state.cancel_upgrade(from) {
                        AfterRelease::WakeWaiters(word) => {
                            Some(Transition::cancel_upgrade(word, from))
                        }
                        AfterRelease::Done => None,
                    }
                });
                let change = stepped.result.expect("one step");
                self.begin_waking(&mut world, who, change, false, Then::UpgradeCancelled(from));
            }
            (What::Poll, Pc::Yielded | Pc::Waits) => {
                (agent.woken, agent.kept) = (false, 0);
                agent.pc = if agent.pc == Pc::Yielded { Pc::Joins } else { Pc::Polled };
                self.poll(&mut world, who);
            }
            (What::Poll, Pc::UpgradeWaits(from)) => {
                agent.woken = false;
                self.listen(&mut world, who, from);
            }
            (_, pc) => match pc {
                Pc::Idle => {
                    let mode = spec.mode;
                    let attempt = real::step(&mut world, &self.specs, who, |lock, _, _| {
                        lock.try_acquire_as_newcomer(mode)
                    });
                    world.agents[who].pc = match attempt.result.expect("one step") {
                        Ok(()) => Pc::Holds(mode),
                        Err(word) if word.newcomer_must_yield(mode) => Pc::NewcomerYields,
                        Err(_) => Pc::Joins,
                    };
                }
                Pc::NewcomerYields => {
                    let yields =
                        real::step(&mut world, &self.specs, who, |lock, _, _| lock.take_deferral());
                    let agent = &mut world.agents[who];
                    if yields.result.expect("no look at the word") {
                        (agent.pc, agent.woken) = (Pc::Yielded, true);
                        let lock = last.at(spec.lock as usize);
                        if lock.deferrals == 0 {
                            self.count_kept(&mut world, lock.owner);
                        }
                    } else {
                        agent.pc = Pc::Joins;
                    }
                }
                Pc::Joins | Pc::Polled => self.poll(&mut world, who),
                Pc::Dropped => self.drop_waiter(&mut world, who),
                Pc::ReleasesDropped => self.release(&mut world, who, spec.mode, false),
                Pc::Holds(mode) => match spec.holds {
                    Use::Release => self.release(&mut world, who, mode, false),
                    Use::ReleaseFair => self.release(&mut world, who, mode, true),
                    Use::Downgrade(to) => self.downgrade(&mut world, who, mode, to),
                    Use::Upgrade => self.try_upgrade(&mut world, who, mode),
                },
                Pc::HoldsLast(mode) => self.release(&mut world, who, mode, false),
                Pc::UpgradeBegins(from) => self.start_upgrade(&mut world, who, from),
                Pc::UpgradeListens(from) => self.listen(&mut world, who, from),
                Pc::UpgradeLooks(from, notified) => {
                    self.finish_upgrade(&mut world, who, from, notified)
                }
                Pc::UpgradeLeaves => self.leave_upgrade(&mut world, who, Mode::Exclusive),
                Pc::UpgradeCancelled(from) => self.leave_upgrade(&mut world, who, from),
                Pc::Wakes => self.answer(&mut world, who),
                Pc::Yielded | Pc::Waits | Pc::UpgradeWaits(_) | Pc::SetRuns => unreachable!(),
            },
        }
        self.finish(last, world, who)
    }

    /// What is checked of a step, and how its result is written.
    fn finish(&self, last: &World, mut world: World, who: usize) -> World {
        for lock in [&mut world.lock, &mut world.second] {
            lock.deferrals = lock.deferrals.min(self.deferrals);
        }
        let spec = &self.specs[who];
        let (before, after) = (&last.agents[who], world.agents[who]);
        let polled = matches!(after.pc, Pc::Waits) && !matches!(before.pc, Pc::Waits)
            || before.pc == Pc::Waits && before.woken && !after.woken && after.pc == Pc::Waits;
        if polled && before.node == NodeState::HandedOff {
            world.fault = Fault::HandedOffWaits;
        }
        // A thread is overtaken once, unless a task reserves the lock: the thread may have to defer to it. Beside
        // threads, the bound is that of threads alone.
        let is_thread = spec.thread;
        let has_threads = self.specs.iter().any(|spec| spec.thread);
        let bound = match spec.is_set() {
            true => self.failed,
            false if self.specs.iter().all(|spec| spec.thread) => 1,
            false => self.overtaken,
        };
        if after.overtaken > bound && (is_thread || !has_threads || !self.excuses) {
            world.fault = Fault::Overtaken;
        }
        let passed = world.agents.iter().map(|agent| agent.passed).max().unwrap_or(0);
        if passed > self.passed {
            world.fault = Fault::PassedOver;
        }
        MOST_OVERTAKEN.fetch_max(after.overtaken, Relaxed);
        MOST_PASSED.fetch_max(passed, Relaxed);
        for at in 0..LOCKS {
            let (word, next) = (snapshot(last.at(at).word), snapshot(world.at(at).word));
            let has_joined = next.shared_holders() > word.shared_holders();
            if has_joined && word.is_upgrading() && next.is_upgrading() {
                world.fault = Fault::JoinedUpgrade;
            }
        }
        let word = snapshot(last.at(lock_of(spec, before)).word);
        let enters =
            matches!(before.pc, Pc::Idle | Pc::Joins | Pc::Yielded | Pc::Waits | Pc::Polled)
                && matches!(after.pc, Pc::Holds(_))
                && before.node != NodeState::HandedOff;
        if enters
            && before.node != NodeState::Notified
            && !word.is_free()
            && word.is_awaited(Mode::Exclusive)
        {
            world.fault = Fault::Barged;
        }
        // The bound is for waiters that are polled in time. So all begin to count anew when the moment of
        // an owner that is not polled is over.
        for at in 0..LOCKS {
            let (owner, next) = (last.at(at).owner, world.at(at).owner);
            if owner != NONE && owner != next && owner as usize != who {
                world.agents.iter_mut().for_each(|agent| (agent.overtaken, agent.passed) = (0, 0));
            }
        }
        let may_be_kept = |_: &Spec| self.kept();
        let mut kept = self.specs.iter().zip(&world.agents);
        if kept.any(|(spec, agent)| u16::from(agent.kept) > may_be_kept(spec)) {
            world.fault = Fault::Kept;
        }
        if self.symmetry {
            canonical::sort(&mut world, &self.specs);
        }
        world
    }

    fn count_kept(&self, world: &mut World, owner: u8) {
        if owner == NONE {
            return;
        }
        // A thread runs when it is woken. Until then, each release that cannot hand it the lock reserves it anew.
        if self.specs[owner as usize].thread {
            return;
        }
        // A poll of a set takes several steps, and it is not dormant meanwhile.
        let is_polled = world.agents[owner as usize].set.run == Run::Polls;
        if self.specs[owner as usize].dormant != Dormant::Never && !is_polled {
            // A set may keep both locks.
            count_to(&mut world.agents[owner as usize].kept, 2 * self.kept() as u8);
        }
    }

    fn end_round(&self, world: &mut World, who: usize) {
        let agent = &mut world.agents[who];
        let rounds = if self.specs[who].rounds == 0 { 0 } else { agent.rounds + 1 };
        *agent = Agent { rounds, ..Agent::NEW };
    }

    /// A poll of the waiter, which locks the queue.
    fn poll(&self, world: &mut World, who: usize) {
        let spec = &self.specs[who];
        let before = world.clone();
        let poll = real::step(world, &self.specs, who, |_, place, _| {
            let waker = waker(who);
            place.waiter().poll_enter(&Context::from_waker(&waker))
        });
        let Some(result) = poll.result else { return };
        let agent = &mut world.agents[who];
        let old = &before.agents[who];
        if result == Poll::Ready(()) {
            let kept = Agent { rounds: agent.rounds, ..Agent::NEW };
            *agent = Agent { pc: Pc::Holds(spec.mode), ..kept };
            return;
        }
        agent.pc = Pc::Waits;
        agent.wakes = poll.woken.iter().filter(|woken| *woken != who).collect();
        let defers = poll.woken.contains(who);
        agent.woken |= defers;
        let is_overtaken = old.node == NodeState::Notified && agent.node == NodeState::Queued;
        let lock = before.at(spec.lock as usize);
        let other_reserves = ![NONE, who as u8].contains(&lock.owner);
        if spec.counts && is_overtaken && !(self.excuses && other_reserves) {
            count_to(&mut agent.overtaken, self.overtaken);
        }
        let hands_off = !agent.wakes.is_empty();
        if defers {
            // A waiter that finds the lock held, and in the next access free, defers once more than the
            // moment counts. Each time, a holder has left in between.
            let last_look = old.log[..old.log_len as usize].last();
            let notified = old.node == NodeState::Notified;
            if last_look.is_none_or(|word| snapshot(*word).admits_waiter(spec.mode, notified)) {
                self.count_kept(world, lock.owner);
            }
        } else if old.log_len == 0 && !hands_off {
            let notified = matches!(old.node, NodeState::Notified | NodeState::HandedOff);
            if snapshot(lock.word).admits_waiter(spec.mode, notified) {
                world.fault = Fault::TurnedAway;
            }
        }
    }

    /// The drop of a waiter, which locks the queue.
    fn drop_waiter(&self, world: &mut World, who: usize) {
        let dropped = real::step(world, &self.specs, who, |_, place, _| {
            let left = place.waiter().leave_unserved().expect("it was in the queue");
            let passes_on = policy::passes_on(left.ends_turn, left.emptied, left.change);
            (left.state, passes_on.then_some(left.change))
        });
        match dropped.result {
            None => {}
            Some((WaitState::HandedOff, _)) => {
                let agent = &mut world.agents[who];
                *agent = Agent { pc: Pc::ReleasesDropped, rounds: agent.rounds, ..Agent::NEW };
            }
            Some((_, change)) => {
                let agent = &mut world.agents[who];
                *agent = Agent { rounds: agent.rounds, ..Agent::NEW };
                self.begin_waking(world, who, change, false, Then::Idle);
            }
        }
    }

    fn release(&self, world: &mut World, who: usize, mode: Mode, fair: bool) {
        let left = real::step(world, &self.specs, who, |lock, _, _| lock.leave(mode));
        let change = left.result.expect("one step");
        self.mark_stale(world, who, change);
        self.begin_waking(world, who, change, fair, Then::Idle);
    }

    fn downgrade(&self, world: &mut World, who: usize, from: Mode, to: Mode) {
        let downgraded = real::step(world, &self.specs, who, |lock, _, _| {
            match lock.state.downgrade(from, to) {
                AfterRelease::WakeWaiters(word) => Some(Transition::downgrade(word, from, to)),
                AfterRelease::Done => None,
            }
        });
        let change = downgraded.result.expect("one step");
        self.mark_stale(world, who, change);
        self.begin_waking(world, who, change, false, Then::HoldsLast(to));
    }

    /// From a release on that makes room for it, a waiter that is notified and not polled is no reason for
    /// others to sleep.
    fn mark_stale(&self, world: &mut World, who: usize, change: Option<Transition>) {
        let Some(change) = change else { return };
        let at = lock_of(&self.specs[who], &world.agents[who]);
        for (agent, spec) in world.agents.iter_mut().zip(&self.specs) {
            let notified = agent.dormant && agent.node == NodeState::Notified;
            let is_here = waits_at(spec, agent, at);
            agent.stale |= notified && is_here && change.after.fits(spec.mode_at(at));
        }
    }

    fn begin_waking(
        &self,
        world: &mut World,
        who: usize,
        change: Option<Transition>,
        fair: bool,
        then: Then,
    ) {
        let (before, after) =
            change.map_or((0, 0), |change| (word(change.before), word(change.after)));
        let agent = &mut world.agents[who];
        agent.pc = Pc::Wakes;
        agent.waking = Waking { before, after, fair, then, ..Waking::NONE };
        self.go_on_waking(world, who);
    }

    /// Ends the waking if there is no further question.
    fn go_on_waking(&self, world: &mut World, who: usize) {
        let agent = &mut world.agents[who];
        if agent.pc != Pc::Wakes || !agent.wakes.is_empty() {
            return;
        }
        let waking = &agent.waking;
        if waking.end != NONE || next_question(waking).is_some() {
            return;
        }
        let then = waking.then;
        agent.waking = Waking::NONE;
        match then {
            Then::Idle => self.end_round(world, who),
            Then::HoldsLast(mode) => agent.pc = Pc::HoldsLast(mode),
            Then::UpgradeCancelled(mode) => agent.pc = Pc::UpgradeCancelled(mode),
            Then::SetGoesOn => {
                agent.pc = Pc::SetRuns;
                self.set_answered(world, who, 0);
            }
        }
    }

    /// Answers the next question of `policy.rs`, which locks the queue.
    fn answer(&self, world: &mut World, who: usize) {
        let waking = world.agents[who].waking;
        let question = next_question(&waking).expect("there is a question");
        let before = world.agents;
        let at = lock_of(&self.specs[who], &before[who]);
        let answered = real::step(world, &self.specs, who, |lock, _, nodes| {
            let queue = lock.queue();
            let mut wake = WakeAll::new(waking.fair);
            match question {
                Question::NextTurn(exclusive) => {
                    (Some(queue.next_turn(exclusive).map_or(NO_TURN, u8::from)), None)
                }
                Question::First(list) => {
                    (Some(lock.notify_first(queue, list, &mut wake) as u8), None)
                }
                Question::AllShared => {
                    let has_begun = waking.at_most != NONE;
                    let end =
                        End { last: nodes.address(waking.end), at_most: waking.at_most.into() };
                    let mut batches =
                        Batches { end: has_begun.then_some(end), total: waking.total.into() };
                    let list = ListId::Shared;
                    let found = lock.notify_batch(queue, list, true, &mut wake, &mut batches);
                    let end = batches.end.map(|end| (nodes.who(end.last), end.at_most as u8));
                    (found.map(u8::from), end.map(|(end, most)| (end, most, batches.total as u8)))
                }
            }
        });
        let Some((answer, batches)) = answered.result else { return };
        let notifies = !answered.woken.is_empty();
        for (number, spec) in self.specs.iter().enumerate() {
            let (old, new) = (before[number].node, world.agents[number].node);
            let fits = match question {
                Question::First(ListId::Upgrade) => true,
                _ => snapshot(waking.after).fits(spec.mode_at(at)),
            };
            let fits = fits && waits_at(spec, &before[number], at);
            if old == NodeState::Queued && new == NodeState::Notified && !fits {
                world.fault = Fault::InVain;
            }
            let agent = &mut world.agents[number];
            if old == NodeState::Queued && new != NodeState::Queued {
                agent.passed = 0;
            } else if spec.counts && old == NodeState::Queued && notifies && fits && !agent.woken {
                count_to(&mut agent.passed, self.passed);
            }
        }
        let lock = world.at(at);
        let ended = match question {
            Question::First(ListId::Exclusive | ListId::Overtaken) => Some(false),
            Question::First(ListId::Upgradable) => Some(true),
            // Those are notified after each downgrade, too.
            Question::AllShared if lock.counts[Mode::Upgradable as usize] > 0 => None,
            Question::AllShared => Some(true),
            _ => None,
        };
        if notifies && lock.last_number > 0 && ended == Some(lock.last_exclusive) {
            world.fault = Fault::RowGoesOn;
        }
        let agent = &mut world.agents[who];
        agent.wakes = answered.woken;
        let waking = &mut agent.waking;
        if let Some((end, at_most, total)) = batches {
            (waking.end, waking.at_most, waking.total) = (end, at_most, total);
        }
        if let Some(answer) = answer {
            waking.answers[waking.len as usize] = answer;
            waking.len += 1;
            (waking.end, waking.at_most, waking.total) = (NONE, NONE, 0);
        }
        self.go_on_waking(world, who);
    }

    /// Lets a set begin what it does: a poll, its drop or its release.
    fn begin_set(&self, world: &mut World, who: usize, run: Run) {
        let agent = &mut world.agents[who];
        (agent.pc, agent.set.run) = (Pc::SetRuns, run);
        if run == Run::Polls {
            (agent.woken, agent.kept) = (false, 0);
        }
        self.go_on_set(world, who);
        // To begin is not a step of its own, unless the queue is locked.
        let agent = &world.agents[who];
        if agent.pc == Pc::SetRuns && !(needs_queue(agent) && self.is_locked_for(world, who)) {
            self.step_set(world, who);
        }
    }

    /// Finds out what a set does next.
    fn go_on_set(&self, world: &mut World, who: usize) {
        let spec = &self.specs[who];
        let modes = [spec.mode_at(0), spec.mode_at(1)];
        loop {
            let agent = &mut world.agents[who];
            let set = &mut agent.set;
            match set::next(modes, set) {
                Next::Ask(Ask::NewWaiter(lock)) => {
                    set.turned_away = match set.stage {
                        Stage::New | Stage::Yields if spec.turned_away => RESERVE_AFTER - 1,
                        Stage::New | Stage::Yields => 0,
                        _ => RESERVE_AFTER.min(set.turned_away + 1),
                    };
                    (set.at, set.has_waiter) = (lock, true);
                    set.pass(Stage::Joins);
                    (agent.flags, agent.lost, agent.deferred) = (0, 0, false);
                }
                // It has left its queue.
                Next::Ask(Ask::DropWaiter(_)) if agent.flags == 0 => {
                    set.has_waiter = false;
                    set.answers.push(0);
                }
                Next::Ask(ask) => {
                    if matches!(ask, Ask::PollWaiter(_)) {
                        set.pass(Stage::Waits);
                    }
                    set.next = ask;
                    return;
                }
                Next::Stops(stage, wakes_itself) => {
                    set.pass(stage);
                    (set.run, set.next) = (Run::Rests, Ask::Nothing);
                    agent.pc = Pc::Waits;
                    agent.woken |= wakes_itself;
                    agent.kept = 0;
                    return;
                }
                Next::Done if set.run == Run::Polls => {
                    let rounds = agent.rounds;
                    let set = SetState::HOLDS;
                    *agent = Agent { pc: Pc::Holds(spec.mode), rounds, set, ..Agent::NEW };
                    return;
                }
                Next::Done => return self.end_round(world, who),
            }
        }
    }

    /// Gives a set the answer to its question.
    fn set_answered(&self, world: &mut World, who: usize, answer: u8) {
        world.agents[who].set.answers.push(answer);
        self.go_on_set(world, who);
    }

    /// Lets a set take a step at one of its locks.
    fn step_set(&self, world: &mut World, who: usize) {
        let (spec, before) = (&self.specs[who], world.agents[who]);
        let ask = before.set.next;
        let at = ask.lock();
        let mode = spec.mode_at(at);
        let (lock_before, bit) = (*world.at(at), 1 << at);
        let enters_notified = matches!(ask, Ask::EnterNotified(_));
        let take = |world: &mut World, operation: fn(&RawLock, &mut Place<'_>, Args) -> u8| {
            let stepped = real::step(world, &self.specs, who, |lock, place, nodes| {
                operation(lock, place, Args { id: nodes.address(who as u8), mode, ask, who })
            });
            let wakes_itself = stepped.woken.contains(who);
            world.agents[who].woken |= wakes_itself;
            (stepped.result, wakes_itself)
        };
        let (answer, wakes_itself) = match ask {
            Ask::Nothing | Ask::NewWaiter(_) => unreachable!(),
            Ask::Look(_) => take(world, |lock, _, args| set::seen(lock.snapshot(), args.mode)),
            Ask::MustYield(_) => {
                take(world, |lock, _, args| lock.newcomer_must_yield(args.mode) as u8)
            }
            Ask::TakeDeferral(_) => take(world, |lock, _, _| lock.take_deferral() as u8),
            Ask::MayEnter { .. } => take(world, |lock, _, args| {
                let Ask::MayEnter { newcomer, notified, could, .. } = args.ask else {
                    unreachable!()
                };
                let id = if newcomer { NO_WAITER } else { args.id };
                lock.may_enter(id, args.mode, notified, could) as u8
            }),
            Ask::IsReserved(_) => take(world, |lock, _, args| lock.is_reserved_for(args.id) as u8),
            Ask::TryOnce(_) => take(world, |lock, _, args| lock.try_acquire_once(args.mode) as u8),
            Ask::Try(_) => take(world, |lock, _, args| lock.try_acquire(args.mode) as u8),
            Ask::EnterNotified(_) => {
                take(world, |lock, _, args| lock.acquire_notified(args.mode) as u8)
            }
            Ask::Reserve { .. } => take(world, |lock, _, args| {
                let Ask::Reserve { new, .. } = args.ask else { unreachable!() };
                lock.reserve(args.id, args.mode, new);
                0
            }),
            Ask::EndReservation(_) => take(world, |lock, _, args| {
                lock.end_reservation(args.id);
                0
            }),
            Ask::PollWaiter(_) => take(world, |_, place, args| {
                let waker = waker(args.who);
                match place.waiter().poll_notified(&Context::from_waker(&waker)) {
                    Poll::Pending => 0,
                    Poll::Ready(notified) => 1 + notified as u8,
                }
            }),
            Ask::SetOvertaken(_) => take(world, |_, place, _| {
                place.waiter().set_overtaken();
                0
            }),
            Ask::Defer(_) => take(world, |_, place, _| {
                place.waiter().defer();
                0
            }),
            Ask::LeaveQueue(_) => take(world, |_, place, _| {
                place.waiter().leave();
                0
            }),
            Ask::Leave(_) => {
                let left = real::step(world, &self.specs, who, |lock, _, _| lock.leave(mode));
                let change = left.result.expect("one step");
                let set = &mut world.agents[who].set;
                set.held &= !bit;
                if let Some(change) = change {
                    set.changes[at] = (word(change.before), word(change.after));
                }
                self.mark_stale(world, who, change);
                return self.set_answered(world, who, change.is_some() as u8);
            }
            Ask::Wake(_) => {
                let (before, after) = std::mem::take(&mut world.agents[who].set.changes[at]);
                let change = Transition { before: snapshot(before), after: snapshot(after) };
                return self.begin_waking(world, who, Some(change), false, Then::SetGoesOn);
            }
            Ask::DropWaiter(_) => {
                let dropped = real::step(world, &self.specs, who, |_, place, _| {
                    let left = place.waiter().leave_unserved().expect("it is counted");
                    let passes_on = policy::passes_on(left.ends_turn, left.emptied, left.change);
                    passes_on.then_some(left.change)
                });
                let Some(change) = dropped.result else { return };
                let agent = &mut world.agents[who];
                agent.set.has_waiter = false;
                (agent.flags, agent.lost, agent.deferred) = (0, 0, false);
                let is_turned_away = agent.set.run == Run::Polls;
                if spec.counts && is_turned_away && before.node == NodeState::Notified {
                    count_to(&mut agent.overtaken, self.failed);
                }
                return self.begin_waking(world, who, change, false, Then::SetGoesOn);
            }
        };
        let Some(answer) = answer else { return };
        let agent = &mut world.agents[who];
        match ask {
            Ask::TryOnce(_) | Ask::Try(_) | Ask::EnterNotified(_) if answer != 0 => {
                agent.set.held |= bit;
                let word = snapshot(lock_before.word);
                if !enters_notified && !word.is_free() && word.is_awaited(Mode::Exclusive) {
                    world.fault = Fault::Barged;
                }
            }
            Ask::Reserve { .. } => agent.set.reserves = true,
            Ask::EndReservation(_) => agent.set.reserves = false,
            Ask::PollWaiter(_)
                if spec.counts && before.node == NodeState::Notified && answer != 2 =>
            {
                count_to(&mut agent.overtaken, self.failed);
            }
            Ask::MayEnter { could: true, .. } if answer == 0 => {
                self.count_kept(world, lock_before.owner);
            }
            Ask::TakeDeferral(_) if answer != 0 && lock_before.deferrals == 0 => {
                self.count_kept(world, lock_before.owner);
            }
            Ask::PollWaiter(_) if wakes_itself => self.count_kept(world, lock_before.owner),
            _ => {}
        }
        self.set_answered(world, who, answer);
    }

    fn try_upgrade(&self, world: &mut World, who: usize, from: Mode) {
        let tried = real::step(world, &self.specs, who, |lock, _, _| lock.try_upgrade(from));
        world.agents[who].pc = match tried.result.expect("one step") {
            Ok(()) => Pc::HoldsLast(Mode::Exclusive),
            Err(word) if word.refuses_upgrade(from) => Pc::HoldsLast(from),
            Err(_) => Pc::UpgradeBegins(from),
        };
    }

    fn start_upgrade(&self, world: &mut World, who: usize, from: Mode) {
        let started =
            real::step(world, &self.specs, who, |lock, _, _| lock.state.start_upgrade(from));
        world.agents[who].pc = match started.result.expect("one step") {
            UpgradeStep::Done => Pc::HoldsLast(Mode::Exclusive),
            UpgradeStep::Refused => Pc::HoldsLast(from),
            UpgradeStep::Waiting => Pc::UpgradeListens(from),
        };
    }

    fn listen(&self, world: &mut World, who: usize, from: Mode) {
        world.agents[who].pc = Pc::UpgradeListens(from);
        let listens = real::step(world, &self.specs, who, |_, place, _| {
            let waker = waker(who);
            let cx = Context::from_waker(&waker);
            place.listener().poll(ListId::Upgrade, crate::raw::list::WaiterKind::Task, &cx)
        });
        let notified = listens.result.expect("no look at the word").is_ready();
        world.agents[who].pc = Pc::UpgradeLooks(from, notified);
    }

    fn finish_upgrade(&self, world: &mut World, who: usize, from: Mode, notified: bool) {
        let looked = real::step(world, &self.specs, who, |lock, _, _| lock.state.finish_upgrade());
        world.agents[who].pc = match looked.result.expect("one step") {
            UpgradeStep::Done => Pc::UpgradeLeaves,
            _ if notified => Pc::UpgradeListens(from),
            _ => Pc::UpgradeWaits(from),
        };
    }

    fn leave_upgrade(&self, world: &mut World, who: usize, mode: Mode) {
        let left = real::step(world, &self.specs, who, |_, place, _| {
            _ = place.listener().with(|listener| listener.leave(listener.state()));
        });
        left.result.expect("no look at the word");
        let agent = &mut world.agents[who];
        (agent.pc, agent.woken) = (Pc::HoldsLast(mode), false);
    }
}

impl System {
    /// Takes the steps of one call: those of one waiter, until it waits, holds the lock, or has done what it
    /// was called for. No other waiter takes a step meanwhile.
    pub fn call(&self, last: &World, action: Action) -> World {
        let mut world = self.step(last, action);
        let is_over = |agent: &Agent| {
            agent.wakes.is_empty()
                && matches!(
                    agent.pc,
                    Pc::Idle
                        | Pc::Yielded
                        | Pc::Waits
                        | Pc::Holds(_)
                        | Pc::HoldsLast(_)
                        | Pc::UpgradeWaits(_)
                )
        };
        while !is_over(&world.agents[action.who as usize]) {
            world = self.step(&world, Action { what: What::Go, ..action });
        }
        world
    }
}

impl Model for System {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.init()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.actions_of(world, actions);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        // An assertion of the lock that fails is a bug, and its state is the last one.
        let step = std::panic::AssertUnwindSafe(|| self.step(last, action));
        let failed = || World { fault: Fault::Panicked, ..last.clone() };
        Some(std::panic::catch_unwind(step).unwrap_or_else(|_| failed()))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let checked = |name: &str| !self.skips.iter().any(|skipped| skipped == name);
        let all = invariants::ALL.iter().filter(|(name, _)| checked(name));
        all.map(|(name, holds)| Property::always(name, *holds)).collect()
    }
}
