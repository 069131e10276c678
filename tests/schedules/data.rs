//! Random steps in one thread on a lock with data: conditions, changes, closures and guards, beside a model of the
//! data and of the tasks that must learn of a change. The order of waiters is tested by the schedules of a lock without
//! data.

#![allow(dead_code, reason = "each driver uses a part")]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use Mode::{Exclusive, Shared, Upgradable};
use futures_core::stream::Stream;
use multilock::{
    Changes, Mode, MultiLock, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
};

use crate::flag::{Flag, until_set};
use crate::random::{Bytes, Choices, Random};
use crate::word::{Word, is_overtaken, to_the_end};

/// The data is one of so many numbers, and a condition waits for one of them.
const NUMBERS: usize = 3;

/// The largest number of steps before the end.
const MOST_STEPS: usize = 80;

const MOST_TASKS: usize = 7;
const MOST_MONITORS: usize = 3;

type Lock = RwLock<usize>;

/// The identity of a task, of the guard that it acquires, of the upgrade of that guard, or of a monitor of changes.
type Id = usize;

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire(Id, Mode),
    /// Acquires when the data is the number.
    When(Id, Mode, usize),
    /// A closure that reads, or that writes the number.
    With(Id, Option<usize>),
    /// The task of an upgrade owns the guard, and drops it when it is dropped.
    Upgrade(Id),
    Poll(Id),
    PollWithNewWaker(Id),
    /// Makes the `cancel` of a condition ready, and polls.
    Cancel(Id),
    Drop(Id),
    TryAcquire(Id, Mode),
    Write(Id, usize),
    Release(Id),
    Downgrade(Id, Mode),
    TryUpgrade(Id),
    Watch(Id),
    Clear(Id),
    Unwatch(Id),
    Wait(Id, Id),
    /// A task owns the monitor, and waits for an item of its stream.
    Next(Id, Id),
}

/// How often each kind of step is tried, if the schedule has it at all.
const WEIGHTS: [usize; 16] = [3, 6, 3, 4, 6, 1, 2, 1, 6, 3, 1, 1, 1, 1, 1, 1];

enum Holder<'a> {
    Read(RwLockReadGuard<'a, usize>),
    Upgradable(RwLockUpgradableReadGuard<'a, usize>),
    Write(RwLockWriteGuard<'a, usize>),
}

impl Holder<'_> {
    fn mode(&self) -> Mode {
        match self {
            Self::Read(_) => Shared,
            Self::Upgradable(_) => Upgradable,
            Self::Write(_) => Exclusive,
        }
    }

    fn number(&self) -> usize {
        match self {
            Self::Read(guard) => **guard,
            Self::Upgradable(guard) => **guard,
            Self::Write(guard) => **guard,
        }
    }
}

enum Done<'a> {
    Entered(Holder<'a>),
    /// A closure has found this number.
    Closed(usize),
    Canceled,
    Told,
    Item(Changes<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Job {
    Acquire(Mode),
    When(Mode, usize),
    With(Option<usize>),
    Upgrade,
    Wait(Id),
    Next(Id),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    New,
    /// It waits for the lock, for a change that a monitor reports, or for the end of an upgrade.
    Waiting,
    /// The condition did not hold, and it waits for a change.
    Watching,
}

type Run<'a> = Pin<Box<dyn Future<Output = Done<'a>> + 'a>>;

struct Task<'a> {
    id: Id,
    job: Job,
    future: Run<'a>,
    cancel: Rc<Cell<bool>>,
    /// What the evaluations of the condition have seen in this poll.
    seen: Rc<RefCell<Vec<usize>>>,
    flag: Arc<Flag>,
    phase: Phase,
    /// Whether the data may have changed since the condition was evaluated.
    changed: bool,
    /// A poll was pending although the lock could be acquired.
    in_vain: bool,
}

impl Task<'_> {
    fn is_woken(&self) -> bool {
        self.flag.count() > 0
    }

    /// The mode that it acquires, if it acquires the lock at its next poll.
    fn acquires(&self) -> Option<Mode> {
        match self.job {
            Job::When(..) if self.phase == Phase::Watching && !self.changed => None,
            Job::Acquire(mode) | Job::When(mode, _) => Some(mode),
            Job::With(write) => Some(if write.is_some() { Exclusive } else { Shared }),
            Job::Upgrade | Job::Wait(_) | Job::Next(_) => None,
        }
    }

    /// The mode that it waits for in the queue.
    fn queued(&self) -> Option<Mode> {
        self.acquires().filter(|_| self.phase == Phase::Waiting)
    }

    fn can_be_canceled(&self) -> bool {
        self.id % 2 == 0 && matches!(self.job, Job::When(..))
    }
}

struct Monitor<'a> {
    id: Id,
    /// `None` while a task owns the monitor.
    real: Option<Rc<Changes<'a>>>,
    set: bool,
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
    let lock = Lock::new(0);
    let drops = choices.one_in(2);
    let number = Schedule {
        lock: &lock,
        number: 0,
        choices,
        weights,
        left,
        tasks: Vec::new(),
        holds: Vec::new(),
        monitors: Vec::new(),
        steps: Vec::new(),
        last_id: 0,
        old_flags: Vec::new(),
    }
    .run(drops);
    assert_eq!(lock.raw().snapshot(), MultiLock::new().snapshot());
    assert_eq!(lock.into_inner(), number);
}

struct Schedule<'a, C: Choices> {
    lock: &'a Lock,
    /// What the data is.
    number: usize,
    choices: C,
    weights: [usize; WEIGHTS.len()],
    /// The number of steps before the end.
    left: usize,
    tasks: Vec<Task<'a>>,
    holds: Vec<(Id, Holder<'a>)>,
    monitors: Vec<Monitor<'a>>,
    steps: Vec<Step>,
    last_id: Id,
    /// Wakers that must not be woken or stored any more.
    old_flags: Vec<Arc<Flag>>,
}

impl<'a, C: Choices> Schedule<'a, C> {
    /// Returns the number at the end.
    fn run(mut self, drops: bool) -> usize {
        while self.left > 0 && !self.choices.are_over() {
            self.left -= 1;
            if let Some(step) = self.choose() {
                self.step(step);
            }
        }
        // From here on tasks run only when they are woken, or are dropped, and acquisitions end.
        let last = self.steps.len() + 500;
        loop {
            let runs = |task: &&Task<'_>| drops || task.phase == Phase::New || task.is_woken();
            let end =
                |task: &Task<'_>| if drops { Step::Drop(task.id) } else { Step::Poll(task.id) };
            let tasks = self.tasks.iter().filter(runs).map(end);
            let holds = self.holds.iter().map(|hold| Step::Release(hold.0));
            let Some(step) = self.choices.pick(tasks.chain(holds)) else { break };
            self.step(step);
            if let Step::Poll(id) = step {
                to_the_end(&mut self.tasks, |task| task.id == id);
            }
            assert!(self.steps.len() < last, "the schedule does not end");
        }
        for task in &self.tasks {
            let may_sleep = match task.job {
                Job::When(_, number) => number != self.number,
                Job::Wait(_) | Job::Next(_) => true,
                _ => false,
            };
            assert!(may_sleep, "{} is left asleep", task.id);
        }
        while let Some(id) = self.tasks.first().map(|task| task.id) {
            self.step(Step::Drop(id));
        }
        self.monitors.clear();
        for flag in &self.old_flags {
            assert_eq!(flag.count(), 0, "a waker was woken after it was dropped from use");
            assert_eq!(Arc::strong_count(flag), 1, "a waker was leaked");
        }
        self.number
    }

    fn choose(&mut self) -> Option<Step> {
        let (id, choices) = (self.last_id + 1, &mut self.choices);
        let has_room = self.tasks.len() < MOST_TASKS;
        let in_mode = |mode| self.holds.iter().filter(move |hold| hold.1.mode() == mode);
        let monitors = self.monitors.iter().filter(|monitor| monitor.real.is_some());
        let is_unused = |monitor: &&Monitor<'_>| {
            monitor.real.as_ref().is_some_and(|real| Rc::strong_count(real) == 1)
        };
        let unused = self.monitors.iter().filter(is_unused);
        let kind = choices.weighted(&self.weights)?;
        Some(match kind {
            0..=2 if !has_room => return None,
            0 => Step::Acquire(id, choices.mode()),
            1 => {
                let mode = choices.mode();
                Step::When(id, mode, choices.below(NUMBERS))
            }
            2 => Step::With(id, choices.below(NUMBERS + 1).checked_sub(1)),
            3 => Step::Poll(choices.pick(self.tasks.iter())?.id),
            4 => Step::Poll(choices.pick(self.tasks.iter().filter(|task| task.is_woken()))?.id),
            5 => Step::PollWithNewWaker(choices.pick(self.tasks.iter())?.id),
            6 => Step::Drop(choices.pick(self.tasks.iter())?.id),
            7 => {
                let can = |task: &&Task<'_>| task.can_be_canceled();
                Step::Cancel(choices.pick(self.tasks.iter().filter(can))?.id)
            }
            8 if choices.one_in(2) => Step::TryAcquire(id, choices.mode()),
            8 => Step::Release(choices.pick(self.holds.iter())?.0),
            9 => {
                let id = choices.pick(in_mode(Exclusive))?.0;
                Step::Write(id, choices.below(NUMBERS))
            }
            10 => {
                let stronger = self.holds.iter().filter(|hold| hold.1.mode() > Shared);
                let hold = choices.pick(stronger)?;
                Step::Downgrade(hold.0, Mode::ALL[choices.below(hold.1.mode() as usize)])
            }
            11 if choices.one_in(2) => Step::TryUpgrade(choices.pick(in_mode(Upgradable))?.0),
            11 => Step::Upgrade(has_room.then(|| choices.pick(in_mode(Upgradable)))??.0),
            12 => (self.monitors.len() < MOST_MONITORS).then_some(Step::Watch(id))?,
            13 => Step::Clear(choices.pick(monitors)?.id),
            14 => Step::Wait(id, has_room.then(|| choices.pick(monitors))??.id),
            _ if choices.one_in(2) => Step::Unwatch(choices.pick(unused)?.id),
            _ => Step::Next(id, has_room.then(|| choices.pick(unused))??.id),
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
            Step::Acquire(id, mode) => {
                let acquire: Run<'a> = match mode {
                    Shared => Box::pin(async { Done::Entered(Holder::Read(lock.read().await)) }),
                    Upgradable => Box::pin(async {
                        Done::Entered(Holder::Upgradable(lock.upgradable_read().await))
                    }),
                    Exclusive => {
                        Box::pin(async { Done::Entered(Holder::Write(lock.write().await)) })
                    }
                };
                self.spawn(id, Job::Acquire(mode), acquire);
            }
            Step::When(id, mode, number) => self.spawn_condition(id, mode, number),
            Step::With(id, write) => {
                let with: Run<'a> = match write {
                    None => Box::pin(async { Done::Closed(lock.with(|data| *data).await) }),
                    Some(new) => Box::pin(async move {
                        Done::Closed(lock.with_mut(|data| mem::replace(data, new)).await)
                    }),
                };
                self.spawn(id, Job::With(write), with);
            }
            Step::Upgrade(id) => {
                let Holder::Upgradable(guard) = self.take_hold(id) else { unreachable!() };
                let upgrade = RwLockUpgradableReadGuard::upgrade(guard);
                let upgrade = async { Done::Entered(Holder::Write(upgrade.await)) };
                self.spawn(id, Job::Upgrade, Box::pin(upgrade));
            }
            Step::Poll(id) => self.poll(id, false),
            Step::PollWithNewWaker(id) => self.poll(id, true),
            Step::Cancel(id) => {
                self.tasks.iter().find(|task| task.id == id).unwrap().cancel.set(true);
                self.poll(id, false);
            }
            Step::Drop(id) => {
                let task = self.take_task(id);
                task.flag.take();
                if let Job::Next(monitor) = task.job {
                    self.monitors.retain(|other| other.id != monitor);
                }
            }
            Step::TryAcquire(id, mode) => {
                let holder = match mode {
                    Shared => lock.try_read().map(Holder::Read),
                    Upgradable => lock.try_upgradable_read().map(Holder::Upgradable),
                    Exclusive => lock.try_write().map(Holder::Write),
                };
                assert_eq!(holder.is_some(), word.admits(mode), "try_acquire");
                holder.into_iter().for_each(|holder| self.hold(id, mode, holder));
            }
            Step::Write(id, number) => {
                let hold = self.holds.iter_mut().find(|hold| hold.0 == id).unwrap();
                let Holder::Write(guard) = &mut hold.1 else { unreachable!() };
                **guard = number;
                self.number = number;
            }
            Step::Release(id) => {
                let holder = self.take_hold(id);
                let changed = holder.mode() == Exclusive;
                drop(holder);
                self.changed(changed);
            }
            Step::Downgrade(id, to) => {
                let holder = self.take_hold(id);
                let changed = holder.mode() == Exclusive;
                let holder = match (holder, to) {
                    (Holder::Write(guard), Shared) => Holder::Read(downgrade(id, guard)),
                    (Holder::Write(guard), _) => {
                        Holder::Upgradable(RwLockWriteGuard::downgrade_to_upgradable(guard))
                    }
                    (Holder::Upgradable(guard), _) => {
                        Holder::Read(RwLockUpgradableReadGuard::downgrade(guard))
                    }
                    (Holder::Read(_), _) => unreachable!(),
                };
                self.hold(id, to, holder);
                self.changed(changed);
            }
            Step::TryUpgrade(id) => {
                let Holder::Upgradable(guard) = self.take_hold(id) else { unreachable!() };
                let result = RwLockUpgradableReadGuard::try_upgrade(guard);
                assert_eq!(result.is_ok(), word.holders() == 1, "try_upgrade");
                match result {
                    Ok(guard) => self.hold(id, Exclusive, Holder::Write(guard)),
                    Err(guard) => self.hold(id, Upgradable, Holder::Upgradable(guard)),
                }
            }
            Step::Watch(id) => {
                self.last_id = id;
                let real = Some(Rc::new(lock.changes()));
                self.monitors.push(Monitor { id, real, set: false });
            }
            Step::Clear(id) => {
                let monitor = self.monitor(id);
                monitor.real.as_ref().unwrap().clear();
                monitor.set = false;
            }
            Step::Unwatch(id) => self.monitors.retain(|monitor| monitor.id != id),
            Step::Wait(id, monitor) => {
                let real = self.monitor(monitor).real.clone().unwrap();
                let wait = async move {
                    real.wait().await;
                    Done::Told
                };
                self.spawn(id, Job::Wait(monitor), Box::pin(wait));
            }
            Step::Next(id, monitor) => {
                let real = self.monitor(monitor).real.take().unwrap();
                let Ok(mut real) = Rc::try_unwrap(real) else { unreachable!() };
                let next = async move {
                    let item = poll_fn(|cx| Pin::new(&mut real).poll_next(cx)).await;
                    assert_eq!(item, Some(()), "the stream has no end");
                    Done::Item(real)
                };
                self.spawn(id, Job::Next(monitor), Box::pin(next));
            }
        }
    }

    fn spawn_condition(&mut self, id: Id, mode: Mode, number: usize) {
        /// The future of a method, or of the method that can be canceled.
        macro_rules! when {
            ($Holder:ident, $when:ident, $when_or:ident) => {
                |lock: &'a Lock, condition, cancel| -> Run<'a> {
                    match cancel {
                        None => Box::pin(async move {
                            Done::Entered(Holder::$Holder(lock.$when(condition).await))
                        }),
                        Some(cancel) => Box::pin(async move {
                            let result = lock.$when_or(condition, until_set(cancel)).await;
                            result.map_or(Done::Canceled, |g| Done::Entered(Holder::$Holder(g)))
                        }),
                    }
                }
            };
        }
        let (cancel, seen) = (Rc::new(Cell::new(false)), Rc::<RefCell<Vec<_>>>::default());
        let sees = seen.clone();
        let condition = move |data: &usize| {
            let mut sees = sees.borrow_mut();
            // The second is the last try of `cancel`.
            assert!(sees.len() < 2, "the condition is evaluated again without a change");
            sees.push(*data);
            *data == number
        };
        let spawn = match mode {
            Shared => when!(Read, read_when, read_when_or),
            Upgradable => when!(Upgradable, upgradable_read_when, upgradable_read_when_or),
            Exclusive => when!(Write, write_when, write_when_or),
        };
        let future = spawn(self.lock, condition, (id % 2 == 0).then(|| cancel.clone()));
        self.spawn(id, Job::When(mode, number), future);
        let task = self.tasks.last_mut().unwrap();
        (task.cancel, task.seen) = (cancel, seen);
    }

    fn poll(&mut self, id: Id, new_waker: bool) {
        let word = self.word();
        let overtaken = is_overtaken(self.lock.raw().snapshot());
        let task = self.tasks.iter_mut().find(|task| task.id == id).unwrap();
        let (job, mode) = (task.job, task.acquires());
        task.flag.take();
        if new_waker {
            self.old_flags.push(mem::replace(&mut task.flag, Flag::new()));
        }
        let (is_new, is_canceled) = (task.phase == Phase::New, task.cancel.get());
        // Whether it acquires the lock. `None`: at this poll or the next.
        let enters = match mode {
            None => Some(false),
            Some(mode) if !word.fits(mode) => Some(false),
            Some(mode) if word.admits(mode) && (!overtaken || task.in_vain) => Some(true),
            Some(_) => None,
        };
        let is_set = |id| self.monitors.iter().find(|monitor| monitor.id == id).unwrap().set;

        let waker = Waker::from(task.flag.clone());
        let poll = task.future.as_mut().poll(&mut Context::from_waker(&waker));
        drop(waker);

        let seen = mem::take(&mut *task.seen.borrow_mut());
        assert!(seen.iter().all(|seen| *seen == self.number), "{seen:?}; {}", self.number);
        let entered = match job {
            Job::When(..) => !seen.is_empty(),
            _ => poll.is_ready(),
        };
        let is_expected = match job {
            // One more try.
            Job::When(..) if is_canceled => poll.is_ready() && seen.len() <= 2,
            Job::When(_, number) => {
                seen.len() <= 1 && poll.is_ready() == (entered && number == self.number)
            }
            Job::Upgrade if is_new => poll.is_ready() == (word.holders() == 1),
            Job::Upgrade => poll.is_ready() == (word.held(Shared) == 0),
            Job::Wait(monitor) | Job::Next(monitor) => poll.is_ready() == is_set(monitor),
            Job::Acquire(_) | Job::With(_) => true,
        };
        assert!(is_expected, "{job:?} is ready: {}; {seen:?}; {word:?}", poll.is_ready());
        // The waiter defers to one that has lost races, and wakes itself.
        let defers = overtaken && !entered && task.is_woken();
        let is_acquisition = mode.is_some() && !is_canceled;
        assert!(
            !is_acquisition || defers || enters.is_none_or(|enters| enters == entered),
            "{job:?} acquires: {entered}; {word:?}"
        );
        task.in_vain = !entered && mode.is_some_and(|mode| word.admits(mode));
        match job {
            Job::When(..) if entered => (task.phase, task.changed) = (Phase::Watching, false),
            Job::When(..) if mode.is_none() => {}
            _ => task.phase = Phase::Waiting,
        }
        let Poll::Ready(done) = poll else { return };
        let task = self.take_task(id);
        if is_canceled {
            // It may have deferred before, and woken itself.
            task.flag.take();
        }
        drop(task);
        match (done, job) {
            (Done::Entered(holder), Job::When(mode, number)) => {
                assert_eq!(number, self.number);
                self.hold(id, mode, holder);
            }
            (Done::Entered(holder), _) => self.hold(id, mode.unwrap_or(Exclusive), holder),
            (Done::Closed(found), Job::With(write)) => {
                assert_eq!(found, self.number, "another writer was there");
                self.number = write.unwrap_or(found);
                self.changed(write.is_some());
            }
            // It has left its queue, and has tried once more.
            (Done::Canceled, Job::When(mode, number)) => {
                let holds = number == self.number && self.word().admits(mode);
                assert!(!holds, "canceled, and the condition holds; {word:?}");
            }
            (Done::Item(real), Job::Next(monitor)) => {
                let monitor = self.monitor(monitor);
                (monitor.real, monitor.set) = (Some(Rc::new(real)), false);
            }
            (Done::Told, _) => {}
            _ => unreachable!(),
        }
    }

    /// An exclusive acquisition has ended, or has become weaker.
    fn changed(&mut self, changed: bool) {
        self.monitors.iter_mut().for_each(|monitor| monitor.set |= changed);
        let watching = self.tasks.iter_mut().filter(|task| task.phase == Phase::Watching);
        watching.for_each(|task| task.changed |= changed);
    }

    /// Checks what must be true after every step.
    fn check(&self) {
        let (word, snapshot) = (self.word(), self.lock.raw().snapshot());

        // No holder excludes another, and the lock reports its holders.
        let owners = word.held(Upgradable) + word.held(Exclusive);
        assert!(owners <= 1 && (word.held(Exclusive) == 0 || word.holders() == 1), "{word:?}");
        let strongest = Mode::ALL.into_iter().rfind(|mode| word.held(*mode) > 0);
        assert_eq!(snapshot.mode(), strongest, "{word:?}");
        assert_eq!(snapshot.shared_holders(), word.held(Shared), "{word:?}");
        for mode in Mode::ALL {
            let is_awaited = self.tasks.iter().any(|task| task.queued() == Some(mode));
            assert!(!snapshot.is_awaited(mode) || is_awaited, "{snapshot:?}");
        }
        for (_, holder) in &self.holds {
            assert_eq!(holder.number(), self.number, "{:?}", holder.mode());
        }

        // Monitors report changes, and nothing else.
        for monitor in &self.monitors {
            let is_set = monitor.real.as_ref().map(|real| real.is_set());
            assert!(is_set.is_none_or(|set| set == monitor.set), "{} is {is_set:?}", monitor.id);
        }

        // No task is left asleep that could proceed, and a change alone wakes one that waits for a condition.
        let fits =
            |task: &Task<'_>| task.is_woken() && task.queued().is_some_and(|mode| word.fits(mode));
        let is_awake = self.tasks.iter().any(fits);
        let is_set = |id| self.monitors.iter().any(|monitor| monitor.id == id && monitor.set);
        for task in self.tasks.iter().filter(|task| task.phase != Phase::New) {
            let can_proceed = match task.job {
                Job::Upgrade => word.held(Shared) == 0,
                Job::Wait(monitor) | Job::Next(monitor) => is_set(monitor),
                Job::When(..) if task.phase == Phase::Watching => {
                    assert!(task.changed || !task.is_woken(), "{} is woken for nothing", task.id);
                    task.changed
                }
                _ => !is_awake && task.queued().is_some_and(|mode| word.admits(mode)),
            };
            assert!(task.is_woken() || !can_proceed, "{} sleeps; {word:?}", task.id);
        }
    }

    fn word(&self) -> Word {
        let exclusive_waits = self.lock.raw().snapshot().is_awaited(Exclusive);
        let mut word = Word { exclusive_waits, ..Word::default() };
        self.holds.iter().for_each(|hold| word.held[hold.1.mode() as usize] += 1);
        for task in self.tasks.iter().filter(|task| task.job == Job::Upgrade) {
            word.held[Upgradable as usize] += 1;
            word.upgrading = task.phase == Phase::Waiting;
        }
        word
    }

    fn spawn(&mut self, id: Id, job: Job, future: Run<'a>) {
        self.last_id = self.last_id.max(id);
        self.tasks.push(Task {
            id,
            job,
            future,
            cancel: Rc::default(),
            seen: Rc::default(),
            flag: Flag::new(),
            phase: Phase::New,
            changed: false,
            in_vain: false,
        });
    }

    fn take_task(&mut self, id: Id) -> Task<'a> {
        let index = self.tasks.iter().position(|task| task.id == id).unwrap();
        let task = self.tasks.swap_remove(index);
        self.old_flags.push(task.flag.clone());
        task
    }

    fn hold(&mut self, id: Id, mode: Mode, holder: Holder<'a>) {
        assert_eq!(holder.mode(), mode);
        self.last_id = self.last_id.max(id);
        self.holds.push((id, holder));
    }

    fn take_hold(&mut self, id: Id) -> Holder<'a> {
        let index = self.holds.iter().position(|hold| hold.0 == id).unwrap();
        self.holds.swap_remove(index).1
    }

    fn monitor(&mut self, id: Id) -> &mut Monitor<'a> {
        self.monitors.iter_mut().find(|monitor| monitor.id == id).unwrap()
    }
}

impl<C: Choices> Drop for Schedule<'_, C> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{:?}; {:?}", self.steps, self.lock);
        }
    }
}

/// Downgrades in one of three ways. The whole data is the part.
fn downgrade(id: Id, guard: RwLockWriteGuard<'_, usize>) -> RwLockReadGuard<'_, usize> {
    match id % 3 {
        0 => RwLockWriteGuard::downgrade(guard),
        1 => RwLockWriteGuard::downgrade_map(guard, |data| data),
        _ => {
            // Without a part it stays a write guard.
            let guard = RwLockWriteGuard::try_downgrade_map(guard, |_| None::<&usize>).unwrap_err();
            RwLockWriteGuard::try_downgrade_map(guard, |data| Some(data)).ok().unwrap()
        }
    }
}
