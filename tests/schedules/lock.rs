//! Random steps on one lock in one thread, beside a model that predicts their outcome.

#![allow(dead_code, reason = "each driver uses a part")]

use std::cell::Cell;
use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use Mode::{Exclusive, Shared, Upgradable};
use multilock::{GuardArc, Handle, Mode, MultiLock, UpgradeError};

use crate::flag::{Flag, until_set};
use crate::random::{Bytes, Choices, Random};
use crate::word::{RACES, to_the_end};

/// The identity of a task, of the guard that it acquires, and of the upgrade of that guard.
type Id = usize;

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire(Id, Mode),
    Wait(Id, Mode),
    /// The task of an upgrade owns the guard, and gives it back.
    Upgrade(Id),
    Poll(Id),
    PollWithNewWaker(Id),
    /// Drops a future, and the guard with it if it is an upgrade.
    Drop(Id),
    /// Drops the future of an upgrade, and keeps the guard.
    Stop(Id),
    TryAcquire(Id, Mode),
    Release(Id),
    Downgrade(Id, Mode),
    TryUpgrade(Id),
    Share(Id, Id),
    Detach(Id),
    Adopt(Id),
    /// The thread pauses for longer than the lock is reserved for a starving waiter.
    Pause,
}

/// How often each kind of step is tried, if the schedule has it at all.
const WEIGHTS: [usize; 13] = [5, 2, 2, 5, 4, 1, 2, 1, 4, 1, 1, 1, 1];

enum Done {
    Entered(GuardArc),
    Upgraded(GuardArc, Result<(), UpgradeError>),
    Stopped(GuardArc),
    Told,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Job {
    Acquire,
    Upgrade,
    Wait,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    New,
    /// It could have entered, but defers to overtaken waiters.
    Deferring,
    Waiting,
}

struct Task {
    id: Id,
    job: Job,
    /// The mode that it waits for, or, for an upgrade, the mode before.
    mode: Mode,
    future: Pin<Box<dyn Future<Output = Done>>>,
    stop: Rc<Cell<bool>>,
    flag: Arc<Flag>,
    phase: Phase,
    /// Smaller is earlier.
    place: usize,
    /// How often it was woken, and found the lock held.
    lost: usize,
    /// How often it was woken, and deferred: once for each reservation, that is a race that it has lost.
    deferred: usize,
    /// It defers to another waiter, and has woken itself to try again. The value says whether a release had woken it
    /// before, which still counts.
    retries: Option<bool>,
    /// When it was last woken, by itself or by another task.
    turn: usize,
    /// Whether it was woken before this step.
    was_woken: bool,
    /// Whether a monitor could have acquired the lock when it was woken, and at any time.
    available: bool,
    could: bool,
}

impl Task {
    fn new(id: Id, job: Job, mode: Mode, future: impl Future<Output = Done> + 'static) -> Self {
        Self {
            id,
            job,
            mode,
            future: Box::pin(future),
            stop: Rc::default(),
            flag: Flag::new(),
            phase: Phase::New,
            place: 0,
            lost: 0,
            deferred: 0,
            retries: None,
            turn: 0,
            was_woken: false,
            available: false,
            could: false,
        }
    }

    fn upgrade(id: Id, mut guard: GuardArc) -> Self {
        let stop = Rc::new(Cell::new(false));
        let stopped = stop.clone();
        let mode = guard.mode();
        let future = async move {
            if id % 2 == 0 {
                return match guard.upgrade_or(until_set(stopped)).await {
                    Ok(result) => Done::Upgraded(guard, result),
                    Err(()) => Done::Stopped(guard),
                };
            }
            let result = {
                let mut upgrade = pin!(guard.upgrade());
                poll_fn(|cx| match stopped.get() {
                    true => Poll::Ready(None),
                    false => upgrade.as_mut().poll(cx).map(Some),
                })
                .await
            };
            match result {
                Some(result) => Done::Upgraded(guard, result),
                None => Done::Stopped(guard),
            }
        };
        Self { stop, ..Self::new(id, Job::Upgrade, mode, future) }
    }

    fn waits(&self, job: Job) -> bool {
        self.job == job && self.phase == Phase::Waiting
    }

    fn is_woken(&self) -> bool {
        self.flag.count() > 0 || self.retries.is_some()
    }

    /// Whether this step has woken it.
    fn is_newly_woken(&self) -> bool {
        self.phase == Phase::Waiting && self.flag.count() > 0 && !self.was_woken
    }

    /// Whether a release woke it. Consumes the wake-up.
    fn take_wake_up(&mut self) -> bool {
        self.flag.take() > 0 || self.retries.take().unwrap_or(false)
    }

    fn is_overtaken(&self) -> bool {
        self.lost > 0
    }

    fn may_have_reserved(&self) -> bool {
        self.lost + self.deferred >= RACES
    }
}

enum Holder {
    Guard(GuardArc),
    Handle(Handle),
}

struct Hold {
    id: Id,
    mode: Mode,
    holder: Holder,
}

impl Hold {
    fn guard(&mut self) -> &mut GuardArc {
        match &mut self.holder {
            Holder::Guard(guard) => guard,
            Holder::Handle(_) => panic!("{} is detached", self.id),
        }
    }
}

/// The model: everything that decides which waiters may enter.
#[derive(Debug, Default)]
struct Word {
    held: [usize; 3],
    upgrading: bool,
    awaited: [bool; 3],
    overtaken: bool,
}

impl Word {
    fn holders(&self) -> usize {
        self.held.iter().sum()
    }

    fn held(&self, mode: Mode) -> usize {
        self.held[mode as usize]
    }

    fn fits(&self, mode: Mode) -> bool {
        let excluded = |held| mode.excludes(held) && self.held(held) > 0;
        !self.upgrading && !Mode::ALL.into_iter().any(excluded)
    }

    fn admits(&self, mode: Mode) -> bool {
        self.fits(mode) && (self.holders() == 0 || !self.awaited[Exclusive as usize])
    }
}

pub(crate) struct Schedule<C: Choices> {
    choices: C,
    /// The number of steps before the end.
    left: usize,
    /// In the end all tasks and guards are dropped. Otherwise the tasks run.
    drops: bool,
    weights: [usize; WEIGHTS.len()],
    most_tasks: usize,
    lock: Arc<MultiLock>,
    tasks: Vec<Task>,
    holds: Vec<Hold>,
    steps: Vec<Step>,
    last_id: Id,
    last_place: usize,
    /// Woken tasks are polled in the order in which they were woken. Other tasks are polled in between for other reasons.
    /// The lock is only acquired and released.
    rivals: bool,
    /// How often a waiter could be overtaken by an operation that does not defer: a try, or a holder that changes its
    /// mode.
    barged: usize,
    /// The start of the first pending poll since there were waiters that may have reserved the lock.
    reserved_since: Option<Instant>,
    /// Whether others than exclusive waiters may have had their turn: an exclusive waiter waits, and none that was woken has
    /// entered since.
    others_had_turn: bool,
    /// Which side was woken last, exclusive waiters or the others, and how often in a row at the free lock while a waiter of
    /// the other side slept.
    row: (bool, usize),
    /// Whether one side alone waited when a waiter was last woken at the free lock.
    alone: bool,
    /// The waiter that this step has dropped: its mode, and whether it was woken.
    dropped: Option<(Mode, bool)>,
    /// Wakers that must not be woken or stored any more.
    old_flags: Vec<Arc<Flag>>,
}

/// How many turns in a row exclusive waiters have at most while others sleep, and the others while exclusive ones do.
const MOST_TURNS: usize = RACES + 1;

/// How long a reservation lasts. Without a clock, and in Miri, it lasts for more polls than are made here.
const MOMENT: Duration = if cfg!(miri) { Duration::MAX } else { Duration::from_millis(1) };

/// Whether a reservation made at `since` may have ended: then newcomers need not defer any more.
fn is_over(since: Instant) -> bool {
    since.elapsed() >= MOMENT
}

/// The largest number of steps before the end.
const MOST_STEPS: usize = 80;

impl Schedule<Random> {
    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut random = Random(seed);
        let weights = random.without_some(WEIGHTS);
        let left = random.below(MOST_STEPS);
        Self::new(random, weights, left)
    }

    /// A few tasks that acquire the lock again and again.
    pub(crate) fn of_rivals(seed: u64) -> Self {
        let weights = [4, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0];
        let mut schedule = Self::new(Random(seed), weights, 400);
        schedule.rivals = true;
        schedule.most_tasks = 2 + schedule.choices.below(5);
        schedule
    }
}

impl<'a> Schedule<Bytes<'a>> {
    /// The schedule ends when the bytes do.
    pub(crate) fn of_bytes(bytes: &'a [u8]) -> Self {
        Self::new(Bytes(bytes), WEIGHTS, MOST_STEPS)
    }
}

impl<C: Choices> Schedule<C> {
    fn new(mut choices: C, weights: [usize; WEIGHTS.len()], left: usize) -> Self {
        Self {
            drops: choices.one_in(2),
            // A crowd is larger than one batch of wake-ups.
            most_tasks: if choices.one_in(20) { 24 } else { 2 + choices.below(5) },
            choices,
            left,
            weights,
            lock: Arc::default(),
            tasks: Vec::new(),
            holds: Vec::new(),
            steps: Vec::new(),
            last_id: 0,
            last_place: 0,
            rivals: false,
            barged: 0,
            reserved_since: None,
            others_had_turn: false,
            row: (false, 0),
            alone: false,
            dropped: None,
            old_flags: Vec::new(),
        }
    }

    pub(crate) fn run(mut self) {
        while self.left > 0 && !self.choices.are_over() {
            self.left -= 1;
            if let Some(step) = self.choose() {
                self.step(step);
            }
        }
        if self.drops {
            self.drop_all()
        } else {
            self.run_all()
        }
        assert_eq!(self.lock.snapshot(), MultiLock::new().snapshot());
        for flag in &self.old_flags {
            assert_eq!(flag.count(), 0, "a waker was woken after it was dropped from use");
            assert_eq!(Arc::strong_count(flag), 1, "a waker was leaked");
        }
    }

    fn drop_all(&mut self) {
        let ends = |schedule: &mut Self| {
            let tasks = schedule.tasks.iter().map(|task| Step::Drop(task.id));
            let holds = schedule.holds.iter().map(|hold| Step::Release(hold.id));
            schedule.choices.pick(tasks.chain(holds))
        };
        while let Some(step) = ends(self) {
            self.step(step);
        }
    }

    /// From here on tasks run only when they are woken, and acquisitions end.
    fn run_all(&mut self) {
        let can_proceed = |schedule: &mut Self| {
            let runs = |task: &&Task| task.phase == Phase::New || task.is_woken();
            let tasks = schedule.tasks.iter().filter(runs).map(|task| Step::Poll(task.id));
            let holds = schedule.holds.iter().map(|hold| Step::Release(hold.id));
            schedule.choices.pick(holds.chain(tasks))
        };
        let last = self.steps.len() + 500;
        while let Some(step) = can_proceed(self) {
            self.step(step);
            if let Step::Poll(id) = step {
                to_the_end(&mut self.tasks, |task| task.id == id);
            }
            assert!(self.steps.len() < last, "the schedule does not end");
        }
        assert!(self.tasks.is_empty(), "a task is left asleep");
    }

    fn choose(&mut self) -> Option<Step> {
        let (id, choices) = (self.last_id + 1, &mut self.choices);
        let is_guard = |hold: &&Hold| matches!(hold.holder, Holder::Guard(_));
        let guards = self.holds.iter().filter(is_guard);
        let has_room = self.tasks.len() < self.most_tasks;
        if self.rivals {
            return self.choose_as_rivals();
        }
        let kind = choices.weighted(&self.weights)?;
        Some(match kind {
            0 => has_room.then(|| Step::Acquire(id, choices.mode()))?,
            1 => has_room.then(|| Step::Wait(id, choices.mode()))?,
            2 => Step::Upgrade(has_room.then(|| choices.pick(guards))??.id),
            3 => Step::Poll(choices.pick(self.tasks.iter())?.id),
            4 => Step::Poll(choices.pick(self.tasks.iter().filter(|task| task.is_woken()))?.id),
            5 => Step::PollWithNewWaker(choices.pick(self.tasks.iter())?.id),
            6 => Step::Drop(choices.pick(self.tasks.iter())?.id),
            7 => Step::Stop(choices.pick(self.tasks.iter().filter(|t| t.job == Job::Upgrade))?.id),
            8 if choices.one_in(2) => Step::TryAcquire(id, choices.mode()),
            8 => Step::Release(choices.pick(self.holds.iter())?.id),
            9 => {
                let hold = choices.pick(guards)?;
                Step::Downgrade(hold.id, choices.mode().min(hold.mode))
            }
            10 => Step::TryUpgrade(choices.pick(guards)?.id),
            11 => Step::Share(choices.pick(guards)?.id, id),
            _ => match choices.pick(self.holds.iter())? {
                Hold { id, holder: Holder::Guard(_), .. } => Step::Detach(*id),
                Hold { id, holder: Holder::Handle(_), .. } => Step::Adopt(*id),
            },
        })
    }

    fn choose_as_rivals(&mut self) -> Option<Step> {
        let (id, choices) = (self.last_id + 1, &mut self.choices);
        if self.tasks.len() < self.most_tasks && choices.one_in(2) {
            return Some(Step::Acquire(id, choices.mode()));
        }
        if choices.one_in(4) {
            return Some(Step::Release(choices.pick(self.holds.iter())?.id));
        }
        if self.reserved_since.is_some() && !cfg!(miri) && choices.one_in(1_000) {
            return Some(Step::Pause);
        }
        let first = self.tasks.iter().filter(|task| task.is_woken()).min_by_key(|task| task.turn);
        match first {
            Some(first) if choices.one_in(4) => Some(Step::Poll(first.id)),
            _ => {
                let first = first.map(|task| task.id);
                let others = self.tasks.iter().filter(|task| Some(task.id) != first);
                Some(Step::Poll(choices.pick(others)?.id))
            }
        }
    }

    fn step(&mut self, step: Step) {
        self.steps.push(step);
        let ended = self.make(step);
        self.check(step, ended);
    }

    /// Makes a step, and checks its result. Returns the mode of the acquisition that ended or was downgraded, if any.
    fn make(&mut self, step: Step) -> Option<Mode> {
        let word = self.word();
        let lock = self.lock.clone();
        match step {
            Step::Acquire(id, mode) => {
                let acquire = lock.acquire_arc(mode);
                let future = async { Done::Entered(acquire.await) };
                self.spawn(Task::new(id, Job::Acquire, mode, future));
            }
            Step::Wait(id, mode) => {
                let future = async move {
                    lock.wait(mode).await;
                    Done::Told
                };
                self.spawn(Task::new(id, Job::Wait, mode, future));
            }
            Step::Upgrade(id) => match self.take_hold(id).holder {
                Holder::Guard(guard) => self.spawn(Task::upgrade(id, guard)),
                Holder::Handle(_) => unreachable!(),
            },
            Step::Poll(id) => self.poll(id, false),
            Step::PollWithNewWaker(id) => self.poll(id, true),
            Step::Drop(id) => {
                let mut task = self.take_task(id);
                let woken = task.take_wake_up();
                self.dropped = task.waits(Job::Acquire).then_some((task.mode, woken));
                return (task.job == Job::Upgrade).then_some(task.mode);
            }
            Step::Stop(id) => {
                self.task(id).stop.set(true);
                self.poll(id, false);
            }
            Step::TryAcquire(id, mode) => {
                let guard = lock.try_acquire_arc(mode);
                assert_eq!(guard.is_some(), word.admits(mode), "try_acquire");
                self.barged += usize::from(guard.is_some());
                guard.into_iter().for_each(|guard| self.hold(id, mode, guard));
            }
            Step::Release(id) => {
                let hold = self.take_hold(id);
                match hold.holder {
                    Holder::Guard(guard) => drop(guard),
                    Holder::Handle(handle) => lock.release(handle).unwrap(),
                }
                return Some(hold.mode);
            }
            Step::Downgrade(id, to) => {
                let hold = self.holds.iter_mut().find(|hold| hold.id == id).unwrap();
                hold.guard().downgrade(to);
                return Some(mem::replace(&mut hold.mode, to)).filter(|from| *from != to);
            }
            Step::TryUpgrade(id) => {
                let hold = self.holds.iter_mut().find(|hold| hold.id == id).unwrap();
                let result = hold.guard().try_upgrade();
                let expected = match hold.mode {
                    _ if word.holders() == 1 => Ok(()),
                    Shared if word.held(Upgradable) > 0 => Err(UpgradeError::Conflict),
                    _ => Err(UpgradeError::SharedHolders),
                };
                assert_eq!(result, expected, "try_upgrade");
                self.barged += usize::from(result.is_ok());
                hold.mode = if result.is_ok() { Exclusive } else { hold.mode };
            }
            Step::Share(id, new) => {
                let hold = self.holds.iter_mut().find(|hold| hold.id == id).unwrap();
                let shared = hold.guard().share();
                assert_eq!(shared.is_some(), word.fits(Shared), "share");
                shared.into_iter().for_each(|guard| self.hold(new, Shared, guard));
            }
            Step::Detach(id) => {
                let mut hold = self.take_hold(id);
                if let Holder::Guard(guard) = hold.holder {
                    hold.holder = Holder::Handle(guard.into_handle());
                }
                self.holds.push(hold);
            }
            Step::Adopt(id) => {
                let hold = self.take_hold(id);
                if let Holder::Handle(handle) = hold.holder {
                    let handle = MultiLock::new().release(handle).unwrap_err().into_handle();
                    self.hold(id, hold.mode, lock.adopt_arc(handle).unwrap());
                }
            }
            Step::Pause => thread::sleep(MOMENT),
        }
        None
    }

    fn poll(&mut self, id: Id, new_waker: bool) {
        let word = self.word();
        let task = self.tasks.iter_mut().find(|task| task.id == id).unwrap();
        let (mode, is_new) = (task.mode, task.phase == Phase::New);
        let woken = task.take_wake_up();
        task.was_woken = false;
        let others = self.tasks.iter().filter(|other| other.id != id && other.waits(Job::Acquire));
        let mut owners = others.filter(|other| other.may_have_reserved());
        let is_kept = owners.clone().next().is_some();
        let may_be_reserved = owners.any(|owner| mode != Shared || owner.mode == Exclusive);
        let task = self.tasks.iter_mut().find(|task| task.id == id).unwrap();
        if new_waker {
            self.old_flags.push(mem::replace(&mut task.flag, Flag::new()));
        }
        let stands_back = is_new && word.overtaken && word.admits(mode);
        let conflict = is_new && mode == Shared && word.held(Upgradable) > 0;
        let is_expected = match (task.job, task.phase) {
            (Job::Acquire, Phase::New) => word.admits(mode) && !stands_back,
            (Job::Acquire, Phase::Waiting) if woken => word.fits(mode),
            (Job::Acquire, _) => word.admits(mode),
            (Job::Upgrade, _) if task.stop.get() => true,
            (Job::Upgrade, Phase::New) => word.holders() == 1 || conflict,
            (Job::Upgrade, _) => word.held(Shared) == 0,
            (Job::Wait, _) => word.admits(mode) || woken && task.available,
        };
        let may_be_stale = task.job == Job::Wait && woken && task.could;

        let waker = Waker::from(task.flag.clone());
        let begin = Instant::now();
        let poll = task.future.as_mut().poll(&mut Context::from_waker(&waker));
        let is_over = self.reserved_since.is_some_and(is_over);

        let makes_room = task.job == Job::Acquire && is_expected && poll.is_pending();
        let as_expected = poll.is_ready() == is_expected
            || poll.is_ready() && may_be_stale
            || poll.is_ready() && stands_back && is_over
            || makes_room && may_be_reserved && task.flag.count() > 0;
        assert!(as_expected, "{:?} is ready: {}; {word:?}", task.job, poll.is_ready());
        if is_kept && poll.is_pending() {
            self.reserved_since.get_or_insert(begin);
        }
        self.barged += usize::from(poll.is_ready() && is_over);
        let Poll::Ready(done) = poll else {
            if task.phase != Phase::Waiting {
                task.place = self.last_place;
                self.last_place += 1;
            }
            if makes_room {
                task.flag.take();
                let is_notified = woken && task.phase == Phase::Waiting;
                task.deferred += usize::from(is_notified);
                task.retries = Some(is_notified);
                task.turn = self.steps.len();
            } else if woken && task.phase == Phase::Waiting && task.job == Job::Acquire {
                task.lost += 1;
                let most = RACES + self.barged + self.most_tasks;
                assert!(task.lost <= most, "{id} is starved; {word:?}");
            }
            let back = task.job == Job::Acquire && stands_back;
            task.phase = if back { Phase::Deferring } else { Phase::Waiting };
            (task.available, task.could) = (false, false);
            return;
        };
        let entered = self.take_task(id);
        let exclusive = mode == Exclusive;
        if woken && entered.waits(Job::Acquire) {
            self.others_had_turn = !exclusive && word.awaited[Exclusive as usize];
            if self.row.0 != exclusive {
                self.row = (exclusive, 0);
            }
        }
        drop(entered);
        match done {
            Done::Entered(guard) => self.hold(id, mode, guard),
            Done::Told => {}
            Done::Stopped(guard) => self.hold(id, mode, guard),
            Done::Upgraded(guard, result) => {
                self.barged += 1;
                assert_eq!(result, if conflict { Err(UpgradeError::Conflict) } else { Ok(()) });
                self.hold(id, if conflict { mode } else { Exclusive }, guard);
            }
        }
    }

    /// Checks what must be true after every step. `ended` is the mode of an acquisition that has ended or was downgraded.
    fn check(&mut self, step: Step, ended: Option<Mode>) {
        let (word, snapshot, tasks) = (self.word(), self.lock.snapshot(), &mut self.tasks);

        // No holder excludes another, and the lock reports its holders.
        let owners = word.held(Upgradable) + word.held(Exclusive);
        assert!(owners <= 1 && (word.held(Exclusive) == 0 || word.holders() == 1), "{word:?}");
        let strongest = Mode::ALL.into_iter().rfind(|mode| word.held(*mode) > 0);
        assert_eq!(snapshot.mode(), strongest, "{word:?}");
        assert_eq!(snapshot.shared_holders(), word.held(Shared), "{word:?}");
        assert_eq!(snapshot.is_upgrading(), word.upgrading, "{word:?}");
        assert_eq!(Mode::ALL.map(|mode| snapshot.is_awaited(mode)), word.awaited, "{word:?}");

        // No task is left asleep that could proceed.
        let waiters = || tasks.iter().filter(|task| task.waits(Job::Acquire));
        let runs = |task: &Task| task.is_woken() && word.fits(task.mode);
        if waiters().any(|task| word.admits(task.mode)) {
            assert!(waiters().any(runs), "no waiter that fits is awake; {word:?}");
        }
        for task in tasks.iter() {
            let can_proceed = match task.job {
                Job::Acquire => task.phase == Phase::Deferring,
                Job::Upgrade => task.phase == Phase::Waiting && word.held(Shared) == 0,
                Job::Wait => task.phase == Phase::Waiting && word.admits(task.mode),
            };
            assert!(task.is_woken() || !can_proceed, "{} sleeps; {word:?}", task.id);
        }
        // The end of an acquisition wakes a waiter, even if others were woken before and are not polled.
        let could = |task: &Task| word.admits(task.mode) && !task.is_woken();
        if ended.is_some() && waiters().any(could) {
            assert!(waiters().any(Task::is_newly_woken), "all sleepers sleep on; {word:?}");
        }

        // No waiter is woken for nothing, or out of turn.
        let newly_woken =
            |mode| waiters().filter(move |task| task.mode == mode && task.is_newly_woken());
        for task in tasks.iter() {
            assert!(task.flag.count() <= 1, "{} was woken twice", task.id);
        }
        for task in tasks.iter().filter(|task| task.is_newly_woken()) {
            let is_of_use = match task.job {
                Job::Acquire => word.fits(task.mode),
                Job::Upgrade => word.held(Shared) == 0,
                Job::Wait => Mode::ALL.into_iter().any(|mode| word.fits(mode)),
            };
            assert!(is_of_use, "{} was woken for nothing; {word:?}", task.id);
        }
        // The drop of an upgrade is two steps: it is cancelled, and then its guard is dropped.
        let at_once = !matches!(step, Step::Drop(_)) || ended.is_none();
        let none_woken = || !waiters().any(Task::is_newly_woken);
        if ended == Some(Shared) && at_once && word.holders() > 0 {
            // There was room before, and only an upgradable waiter can have left it unused.
            assert_eq!(
                newly_woken(Shared).count() + newly_woken(Exclusive).count(),
                0,
                "there is no new room"
            );
        }
        if let Some((mode, woken)) = self.dropped.take() {
            let others = waiters().any(|task| task.mode == mode);
            let is_of_use = woken || mode == Exclusive && !others;
            assert!(is_of_use || none_woken(), "no waiter waited because of it");
        }
        let together = newly_woken(Shared).count() + newly_woken(Upgradable).count();
        let alone = newly_woken(Exclusive).count();
        assert!(alone <= 1, "there is room for one only");
        assert!(together == 0 || alone == 0, "shared and exclusive waiters take turns");
        let room = if at_once { 1 } else { 2 };
        assert!(newly_woken(Upgradable).count() <= room, "there is room for one only");
        // Exclusive waiters and the others take turns.
        self.others_had_turn &= word.awaited[Exclusive as usize];
        if !Mode::ALL
            .iter()
            .any(|&mode| (mode == Exclusive) != self.row.0 && word.awaited[mode as usize])
        {
            self.row.1 = 0;
        }
        let turn_of_exclusive = self.others_had_turn && word.holders() == 0;
        if ended == Some(Exclusive) && !turn_of_exclusive || newly_woken(Shared).count() > 0 {
            let sleeps = |task: &Task| task.mode == Shared && !task.is_woken();
            assert!(!waiters().any(sleeps), "shared waiters are woken together");
        }
        self.others_had_turn |=
            word.awaited[Exclusive as usize] && (together > 0 || ended == Some(Exclusive));
        let exclusive = alone > 0;
        let sleeps = |task: &Task| (task.mode == Exclusive) != exclusive && !task.is_woken();
        if together + alone > 0 && !waiters().any(sleeps) {
            self.row = (exclusive, 0);
        } else if together + alone > 0 && word.holders() == 0 {
            let before = if self.row.0 == exclusive { self.row.1 } else { 0 };
            self.row = (exclusive, before + 1);
            assert!(self.row.1 <= MOST_TURNS, "it is the turn of the others");
        }
        // Where one side alone had the last turn, it follows from the hold that has ended whose turn is next.
        let both_wait = word.awaited[Exclusive as usize]
            && (word.awaited[Shared as usize] || word.awaited[Upgradable as usize]);
        if ended.is_some() && at_once && both_wait {
            let exclusive = ended != Some(Exclusive);
            let sleeps = |task: &Task| (task.mode == Exclusive) == exclusive && could(task);
            let is_theirs = self.alone && word.holders() == 0 && waiters().any(sleeps);
            let woken = if exclusive { alone } else { together };
            assert!(!is_theirs || woken > 0, "it is the turn of those that waited");
            self.alone = false;
        }
        if together + alone > 0 && word.holders() == 0 {
            // Beside an upgradable waiter that was woken before, shared ones have no turn of their own.
            let is_turn = newly_woken(Shared).count() != together + alone
                || !word.awaited[Upgradable as usize];
            self.alone = !both_wait && at_once && is_turn;
        }
        if let Some(first) = newly_woken(Exclusive).find(|task| !task.is_overtaken()) {
            let earlier = |task: &Task| task.is_overtaken() || task.place < first.place;
            let sleeps = |task: &Task| task.mode == Exclusive && !task.is_woken();
            assert!(!waiters().any(|task| sleeps(task) && earlier(task)), "FIFO");
        }

        for task in tasks {
            task.could |= word.admits(task.mode);
            // In two steps, the first may have notified a monitor of a mode that only the second makes available.
            task.available |= task.is_newly_woken() && word.admits(task.mode) && at_once;
            if task.flag.count() > 0 && !task.was_woken {
                task.turn = self.steps.len();
            }
            task.was_woken = task.flag.count() > 0;
        }
    }

    fn word(&self) -> Word {
        let mut word = Word::default();
        for hold in &self.holds {
            word.held[hold.mode as usize] += 1;
        }
        for task in &self.tasks {
            match task.job {
                Job::Upgrade if task.phase == Phase::Waiting => {
                    word.held[Upgradable as usize] += 1;
                    word.upgrading = true;
                }
                Job::Upgrade => word.held[task.mode as usize] += 1,
                Job::Acquire if task.phase == Phase::Waiting => {
                    word.awaited[task.mode as usize] = true;
                    word.overtaken |= task.is_overtaken();
                }
                Job::Acquire | Job::Wait => {}
            }
        }
        word
    }

    fn spawn(&mut self, task: Task) {
        self.last_id = self.last_id.max(task.id);
        self.tasks.push(task);
    }

    fn task(&self, id: Id) -> &Task {
        self.tasks.iter().find(|task| task.id == id).unwrap()
    }

    fn take_task(&mut self, id: Id) -> Task {
        let index = self.tasks.iter().position(|task| task.id == id).unwrap();
        let task = self.tasks.swap_remove(index);
        self.old_flags.push(task.flag.clone());
        let is_kept = self.tasks.iter().any(Task::may_have_reserved);
        if !is_kept && !self.reserved_since.is_some_and(is_over) {
            self.reserved_since = None;
        }
        task
    }

    fn hold(&mut self, id: Id, mode: Mode, guard: GuardArc) {
        assert_eq!(guard.mode(), mode);
        self.last_id = self.last_id.max(id);
        self.holds.push(Hold { id, mode, holder: Holder::Guard(guard) });
    }

    fn take_hold(&mut self, id: Id) -> Hold {
        let index = self.holds.iter().position(|hold| hold.id == id).unwrap();
        self.holds.swap_remove(index)
    }
}

impl<C: Choices> Drop for Schedule<C> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{:?}; {:?}", self.steps, self.lock);
        }
    }
}
