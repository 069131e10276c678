//! Random steps in one thread on a lock whose acquisitions have names, beside a list of the holders of each
//! name. The order of waiters is tested by the schedules of a lock without names.

#![allow(dead_code, reason = "each driver uses a part")]

use std::future::pending;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use Mode::{Exclusive, Shared, Upgradable};
use multilock::TryAcquireError::{HandleInUse, WouldBlock};
use multilock::{HandleGuard, HandleId, HandleLock, Mode, TryAcquireError, UpgradeError};

use crate::flag::Flag;
use crate::random::{Bytes, Choices, Random};
use crate::word::{RACES, Word, to_the_end};

/// More names than a lock has room for at first.
const NAMES: usize = 12;

/// The largest number of steps before the end.
const MOST_STEPS: usize = 80;

const MOST_TASKS: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Name {
    Given(usize),
    Fresh(HandleId),
}

impl Eq for Name {}

impl From<HandleId> for Name {
    fn from(id: HandleId) -> Self {
        Self::Fresh(id)
    }
}

type Lock = HandleLock<Name>;

type Id = usize;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Acquire,
    AcquireNew,
    Context,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire(Id, Form, Mode, Name),
    Poll(Id),
    PollWithNewWaker(Id),
    Drop(Id),
    TryAcquire(Mode, Name),
    TryAcquireNew(Mode),
    TryContext(Mode, Name),
    Release(Name),
    /// Here and below, a step on a name applies to the guard that uses it.
    DropGuard(Name),
    Downgrade(Name, Mode),
    TryUpgrade(Name),
    /// The task of an upgrade owns the guard, and drops it when it is dropped.
    Upgrade(Id, Name),
}

/// How often each kind of step is tried, if the schedule has it at all.
const WEIGHTS: [usize; 12] = [5, 4, 4, 1, 2, 3, 1, 2, 3, 2, 1, 2];

/// What a name is used for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Waits(Id, Mode),
    Held(Mode),
    Guarded(Mode),
}

impl Stage {
    fn held(self) -> Option<Mode> {
        match self {
            Self::Held(mode) | Self::Guarded(mode) => Some(mode),
            Self::Waits(..) => None,
        }
    }
}

enum Done<'a> {
    Entered(Result<(), Name>),
    Named(Name),
    Guarded(Result<HandleGuard<'a, Name>, Name>),
    Upgraded(HandleGuard<'a, Name>, Result<(), UpgradeError>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Job {
    Acquire(Form, Mode, Name),
    Upgrade(Mode, Name),
}

type Run<'a> = Pin<Box<dyn Future<Output = Done<'a>> + 'a>>;

struct Task<'a> {
    id: Id,
    job: Job,
    future: Run<'a>,
    flag: Arc<Flag>,
    polled: bool,
    /// A poll was pending although the lock could be acquired.
    in_vain: bool,
    /// The races that it may have lost.
    lost: usize,
}

impl Task<'_> {
    fn is_woken(&self) -> bool {
        self.flag.count() > 0
    }

    /// The mode that it waits for, unless it is an upgrade.
    fn acquires(&self) -> Option<Mode> {
        match self.job {
            Job::Acquire(_, mode, _) => Some(mode),
            Job::Upgrade(..) => None,
        }
    }
}

/// Runs a schedule whose choices come from `seed`.
pub(crate) fn run_seed(seed: u64) {
    let mut random = Random(seed);
    let weights = random.without_some(WEIGHTS);
    let left = random.below(MOST_STEPS);
    run(random, weights, left);
}

/// Runs a schedule whose choices are `bytes`, and which ends when they do.
pub(crate) fn run_bytes(bytes: &[u8]) {
    run(Bytes(bytes), WEIGHTS, MOST_STEPS);
}

fn run(mut choices: impl Choices, weights: [usize; WEIGHTS.len()], left: usize) {
    let lock = Lock::new();
    let drops = choices.one_in(2);
    Schedule {
        lock: &lock,
        choices,
        weights,
        left,
        names: Vec::new(),
        tasks: Vec::new(),
        guards: Vec::new(),
        steps: Vec::new(),
        last_id: 0,
        old_flags: Vec::new(),
    }
    .run(drops);
}

struct Schedule<'a, C: Choices> {
    lock: &'a Lock,
    choices: C,
    weights: [usize; WEIGHTS.len()],
    /// The number of steps before the end.
    left: usize,
    /// The names in use, in the order of their first use.
    names: Vec<(Name, Stage)>,
    tasks: Vec<Task<'a>>,
    guards: Vec<HandleGuard<'a, Name>>,
    steps: Vec<Step>,
    last_id: Id,
    /// Wakers that must not be woken or stored any more.
    old_flags: Vec<Arc<Flag>>,
}

impl<'a, C: Choices> Schedule<'a, C> {
    fn run(mut self, drops: bool) {
        while self.left > 0 && !self.choices.are_over() {
            self.left -= 1;
            if let Some(step) = self.choose() {
                self.step(step);
            }
        }
        // From here on tasks run only when they are woken, or are dropped, and acquisitions end.
        let last = self.steps.len() + 500;
        loop {
            let runs = |task: &&Task<'_>| drops || !task.polled || task.is_woken();
            let end =
                |task: &Task<'_>| if drops { Step::Drop(task.id) } else { Step::Poll(task.id) };
            let tasks = self.tasks.iter().filter(runs).map(end);
            let guards = self.guards.iter().map(|guard| Step::DropGuard(guard.handle()));
            let is_held = |used: &&(Name, Stage)| matches!(used.1, Stage::Held(_));
            let held = self.names.iter().filter(is_held).map(|used| Step::Release(used.0));
            let Some(step) = self.choices.pick(tasks.chain(guards).chain(held)) else { break };
            self.step(step);
            if let Step::Poll(id) = step {
                to_the_end(&mut self.tasks, |task| task.id == id);
            }
            assert!(self.steps.len() < last, "the schedule does not end");
        }
        assert!(self.tasks.is_empty(), "a task is left asleep");
        assert!(self.names.is_empty(), "a name is left");
        assert_eq!(self.lock.snapshot(), Lock::new().snapshot());
        for flag in &self.old_flags {
            assert_eq!(flag.count(), 0, "a waker was woken after it was dropped from use");
            assert_eq!(Arc::strong_count(flag), 1, "a waker was leaked");
        }
    }

    fn choose(&mut self) -> Option<Step> {
        let (id, choices) = (self.last_id + 1, &mut self.choices);
        let has_room = self.tasks.len() < MOST_TASKS;
        let guards = self.guards.iter().map(HandleGuard::handle);
        let kind = choices.weighted(&self.weights)?;
        Some(match kind {
            0 if !has_room => return None,
            0 => {
                let form = [Form::Acquire, Form::Context, Form::AcquireNew][choices.below(3)];
                Step::Acquire(id, form, choices.mode(), name(choices))
            }
            1 => Step::Poll(choices.pick(self.tasks.iter())?.id),
            2 => Step::Poll(choices.pick(self.tasks.iter().filter(|task| task.is_woken()))?.id),
            3 => Step::PollWithNewWaker(choices.pick(self.tasks.iter())?.id),
            4 => Step::Drop(choices.pick(self.tasks.iter())?.id),
            5 => Step::TryAcquire(choices.mode(), name(choices)),
            6 => Step::TryAcquireNew(choices.mode()),
            7 => Step::TryContext(choices.mode(), name(choices)),
            // Any name, whether or not it is in use.
            8 if choices.one_in(4) => Step::Release(name(choices)),
            8 => Step::Release(choices.pick(self.names.iter())?.0),
            9 => Step::DropGuard(choices.pick(guards)?),
            10 => {
                let guard = choices.pick(self.guards.iter())?;
                Step::Downgrade(guard.handle(), choices.mode().min(guard.mode()))
            }
            _ if choices.one_in(2) => Step::TryUpgrade(choices.pick(guards)?),
            _ => Step::Upgrade(id, has_room.then(|| choices.pick(guards))??),
        })
    }

    fn step(&mut self, step: Step) {
        self.steps.push(step);
        self.make(step);
        self.check();
    }

    /// Makes a step, and checks its result.
    fn make(&mut self, step: Step) {
        let (lock, word) = (self.lock, self.word());
        match step {
            Step::Acquire(id, form, mode, name) => {
                let acquire: Run<'a> = match form {
                    Form::Acquire if id % 2 == 0 => Box::pin(async move {
                        let acquire = lock.acquire_or(mode, name, pending::<()>());
                        let result = acquire.await.unwrap();
                        Done::Entered(result.map_err(multilock::HandleInUse::into_handle))
                    }),
                    Form::Acquire => Box::pin(async move {
                        let result = lock.acquire(mode, name).await;
                        Done::Entered(result.map_err(multilock::HandleInUse::into_handle))
                    }),
                    Form::AcquireNew => {
                        Box::pin(async move { Done::Named(lock.acquire_new(mode).await) })
                    }
                    Form::Context if id % 2 == 0 => Box::pin(async move {
                        let result = lock.context_or(mode, name, pending::<()>()).await.unwrap();
                        Done::Guarded(result.map_err(multilock::HandleInUse::into_handle))
                    }),
                    Form::Context => Box::pin(async move {
                        let result = lock.context(mode, name).await;
                        Done::Guarded(result.map_err(multilock::HandleInUse::into_handle))
                    }),
                };
                self.spawn(id, Job::Acquire(form, mode, name), acquire);
            }
            Step::Poll(id) => self.poll(id, false),
            Step::PollWithNewWaker(id) => self.poll(id, true),
            Step::Drop(id) => {
                let task = self.take_task(id);
                task.flag.take();
                match task.job {
                    Job::Acquire(..) => self.names.retain(
                        |(_, stage)| !matches!(stage, Stage::Waits(waits, _) if *waits == id),
                    ),
                    Job::Upgrade(_, name) => self.forget(name),
                }
            }
            Step::TryAcquire(mode, name) => {
                let result = lock.try_acquire(mode, name);
                assert_eq!(result, self.may_use(&word, mode, name), "try_acquire");
                self.names.extend(result.is_ok().then_some((name, Stage::Held(mode))));
            }
            Step::TryAcquireNew(mode) => {
                let name = lock.try_acquire_new(mode);
                assert_eq!(name.is_some(), word.admits(mode), "try_acquire_new");
                if let Some(name) = name {
                    assert!(self.find(name).is_none(), "{name:?} is in use");
                    self.names.push((name, Stage::Held(mode)));
                }
            }
            Step::TryContext(mode, name) => {
                let result = lock.try_context(mode, name).map(|guard| self.guards.push(guard));
                assert_eq!(result, self.may_use(&word, mode, name), "try_context");
                self.names.extend(result.is_ok().then_some((name, Stage::Guarded(mode))));
            }
            Step::Release(name) => {
                let expected = match self.find(name) {
                    Some(Stage::Held(mode)) => Some(mode),
                    _ => None,
                };
                assert_eq!(lock.release(&name), expected, "release");
                if expected.is_some() {
                    self.forget(name);
                }
            }
            Step::DropGuard(name) => {
                drop(self.take_guard(name));
                self.forget(name);
            }
            Step::Downgrade(name, to) => {
                let at = self.guard(name).unwrap();
                self.guards[at].downgrade(to);
                self.set(name, Stage::Guarded(to));
            }
            Step::TryUpgrade(name) => {
                let at = self.guard(name).unwrap();
                let from = self.guards[at].mode();
                let result = self.guards[at].try_upgrade();
                assert_eq!(result.is_ok(), word.holders() == 1, "try_upgrade");
                let mode = if result.is_ok() { Exclusive } else { from };
                assert_eq!(self.guards[at].mode(), mode);
                self.set(name, Stage::Guarded(mode));
            }
            Step::Upgrade(id, name) => {
                let mut guard = self.take_guard(name);
                let job = Job::Upgrade(guard.mode(), name);
                let upgrade = async move {
                    let result = guard.upgrade().await;
                    Done::Upgraded(guard, result)
                };
                self.spawn(id, job, Box::pin(upgrade));
            }
        }
    }

    fn poll(&mut self, id: Id, new_waker: bool) {
        let word = self.word();
        let task = self.tasks.iter().find(|task| task.id == id).unwrap();
        let mut others = self.tasks.iter().filter(|other| other.id != id && other.lost >= RACES);
        // As in `Reservation::bars`.
        let may_be_reserved = task.acquires().is_some_and(|mode| {
            others.any(|o| o.acquires().is_some_and(|it| mode != Shared || it == Exclusive))
        });
        let task = self.tasks.iter_mut().find(|task| task.id == id).unwrap();
        let (job, is_new) = (task.job, !task.polled);
        let woken = task.flag.take() > 0;
        if new_waker {
            self.old_flags.push(mem::replace(&mut task.flag, Flag::new()));
        }
        let is_used = |name| self.names.iter().any(|used| used.0 == name);
        let refused = match job {
            Job::Acquire(form, _, name) => is_new && form != Form::AcquireNew && is_used(name),
            Job::Upgrade(from, _) => is_new && from == Shared && word.held(Upgradable) > 0,
        };
        // `None`: at this poll or the next.
        let expected = match job {
            _ if refused => Some(true),
            Job::Acquire(_, mode, _) if !word.fits(mode) => Some(false),
            Job::Acquire(_, mode, _) => (task.in_vain && word.admits(mode)).then_some(true),
            Job::Upgrade(..) if is_new => Some(word.holders() == 1),
            Job::Upgrade(..) => Some(word.held(Shared) == 0),
        };
        let waker = Waker::from(task.flag.clone());
        let poll = task.future.as_mut().poll(&mut Context::from_waker(&waker));
        drop(waker);

        // The waiter defers, and wakes itself.
        let defers = may_be_reserved && poll.is_pending() && task.is_woken();
        let as_expected = expected.is_none_or(|expected| expected == poll.is_ready());
        assert!(as_expected || defers, "{job:?} is ready: {}; {word:?}", poll.is_ready());
        task.polled = true;
        task.lost += usize::from(woken && !is_new);
        task.in_vain = task.acquires().is_some_and(|mode| word.admits(mode));
        if let (Job::Acquire(form, mode, name), true, false) = (job, is_new, refused) {
            // A fresh name is known once it is returned.
            let name = if form == Form::AcquireNew { Name::Given(NAMES + id) } else { name };
            self.names.push((name, Stage::Waits(id, mode)));
        }
        let Poll::Ready(done) = poll else {
            if let Job::Upgrade(_, name) = job {
                self.set(name, Stage::Guarded(Upgradable));
            }
            return;
        };
        drop(self.take_task(id));
        match (done, job) {
            (Done::Entered(result), Job::Acquire(_, mode, name)) => {
                assert_eq!(result, if refused { Err(name) } else { Ok(()) });
                self.enter(id, name, Stage::Held(mode));
            }
            (Done::Named(name), Job::Acquire(_, mode, _)) => {
                assert!(self.find(name).is_none(), "{name:?} is in use");
                self.enter(id, name, Stage::Held(mode));
            }
            (Done::Guarded(result), Job::Acquire(_, mode, name)) => {
                let result = result.map(|guard| self.guards.push(guard));
                assert_eq!(result, if refused { Err(name) } else { Ok(()) });
                self.enter(id, name, Stage::Guarded(mode));
            }
            (Done::Upgraded(guard, result), Job::Upgrade(from, name)) => {
                assert_eq!(result, if refused { Err(UpgradeError::Conflict) } else { Ok(()) });
                self.set(name, Stage::Guarded(if refused { from } else { Exclusive }));
                self.guards.push(guard);
            }
            _ => unreachable!(),
        }
    }

    /// Checks what must be true after every step.
    fn check(&self) {
        let (word, snapshot) = (self.word(), self.lock.snapshot());
        let held = |used: &(Name, Stage)| used.1.held().map(|mode| (used.0, mode));
        assert_eq!(self.lock.holders(), self.names.iter().filter_map(held).collect::<Vec<_>>());
        for guard in &self.guards {
            assert_eq!(self.find(guard.handle()), Some(Stage::Guarded(guard.mode())));
        }

        // No holder excludes another, and the lock reports its holders.
        let owners = word.held(Upgradable) + word.held(Exclusive);
        assert!(owners <= 1 && (word.held(Exclusive) == 0 || word.holders() == 1), "{word:?}");
        let strongest = Mode::ALL.into_iter().rfind(|mode| word.held(*mode) > 0);
        assert_eq!(snapshot.mode(), strongest, "{word:?}");
        assert_eq!(snapshot.shared_holders(), word.held(Shared), "{word:?}");
        for mode in Mode::ALL {
            let waits = |used: &(Name, Stage)| matches!(used.1, Stage::Waits(_, it) if it == mode);
            assert!(!snapshot.is_awaited(mode) || self.names.iter().any(waits), "{snapshot:?}");
        }

        // No task is left asleep that could proceed.
        let fits = |task: &Task<'_>| {
            task.is_woken() && task.acquires().is_some_and(|mode| word.fits(mode))
        };
        let is_awake = self.tasks.iter().any(fits);
        for task in self.tasks.iter().filter(|task| task.polled && !task.is_woken()) {
            let can_proceed = match task.job {
                Job::Acquire(_, mode, _) => word.admits(mode) && !is_awake,
                Job::Upgrade(..) => word.held(Shared) == 0,
            };
            assert!(!can_proceed, "{} sleeps; {word:?}", task.id);
        }
    }

    fn word(&self) -> Word {
        let snapshot = self.lock.snapshot();
        let mut word = Word { exclusive_waits: snapshot.is_awaited(Exclusive), ..Word::default() };
        for (name, stage) in &self.names {
            let upgrades = |task: &Task<'_>| {
                task.polled && matches!(task.job, Job::Upgrade(_, it) if it == *name)
            };
            if self.tasks.iter().any(upgrades) {
                word.held[Upgradable as usize] += 1;
                word.upgrading = true;
            } else if let Some(mode) = stage.held() {
                word.held[mode as usize] += 1;
            }
        }
        word
    }

    /// The result that a try must have.
    fn may_use(&self, word: &Word, mode: Mode, name: Name) -> Result<(), TryAcquireError<Name>> {
        match self.find(name) {
            Some(_) => Err(HandleInUse(name)),
            None if !word.admits(mode) => Err(WouldBlock(name)),
            None => Ok(()),
        }
    }

    fn find(&self, name: Name) -> Option<Stage> {
        self.names.iter().find(|used| used.0 == name).map(|used| used.1)
    }

    fn set(&mut self, name: Name, stage: Stage) {
        self.names.iter_mut().find(|used| used.0 == name).unwrap().1 = stage;
    }

    /// The task has acquired what it waited for, unless it was refused.
    fn enter(&mut self, id: Id, name: Name, stage: Stage) {
        let mine = |used: &&mut (Name, Stage)| matches!(used.1, Stage::Waits(it, _) if it == id);
        if let Some(used) = self.names.iter_mut().find(mine) {
            *used = (name, stage);
        }
    }

    fn forget(&mut self, name: Name) {
        self.names.retain(|used| used.0 != name);
    }

    fn spawn(&mut self, id: Id, job: Job, future: Run<'a>) {
        self.last_id = id;
        self.tasks.push(Task {
            id,
            job,
            future,
            flag: Flag::new(),
            polled: false,
            in_vain: false,
            lost: 0,
        });
    }

    fn take_task(&mut self, id: Id) -> Task<'a> {
        let index = self.tasks.iter().position(|task| task.id == id).unwrap();
        let task = self.tasks.swap_remove(index);
        self.old_flags.push(task.flag.clone());
        task
    }

    fn guard(&self, name: Name) -> Option<usize> {
        self.guards.iter().position(|guard| guard.handle() == name)
    }

    fn take_guard(&mut self, name: Name) -> HandleGuard<'a, Name> {
        let at = self.guard(name).unwrap();
        self.guards.swap_remove(at)
    }
}

impl<C: Choices> Drop for Schedule<'_, C> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{:?}; {:?}", self.steps, self.lock);
        }
    }
}

fn name(choices: &mut impl Choices) -> Name {
    Name::Given(choices.below(NAMES))
}
