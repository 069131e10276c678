//! Random steps in one thread on three locks that are acquired singly, in sets, in different modes, and with
//! a guard for each, beside a model of the holders.
//!
//! The model cannot know at which member a set waits. So it reads from the words which modes are awaited,
//! and predicts the outcome from that.

#![allow(dead_code, reason = "each driver uses a part")]

use std::cell::Cell;
use std::fmt::Debug;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use Mode::{Exclusive, Shared, Upgradable};
use futures_core::stream::Stream;
use multilock::requests::InMode;
use multilock::{
    AllGuard, Guard, Handle, LockSet, Mode, Monitor, MultiLock, SetGuard, UpgradeError,
    acquire_all, lock_all, lock_all_or, try_acquire_all, try_lock_all,
};

use crate::flag::{Flag, until_set};
use crate::random::{Bytes, Choices, Random};
use crate::word::{Word, is_overtaken, to_the_end};

const LOCKS: usize = 3;
/// The members of each set.
const SETS: [&[usize]; 4] = [&[0, 1, 2], &[0, 1], &[1, 2], &[2, 0]];

/// The largest number of steps before the end.
const MOST_STEPS: usize = 80;

const MOST_MONITORS: usize = 6;

type Locks = [MultiLock; LOCKS];
type Set<'a> = LockSet<&'a MultiLock>;

/// The identity of a task, of the guard that it acquires, of the upgrade of that guard, or of a monitor.
type Id = usize;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Lock(usize),
    Set(usize),
}

impl Place {
    fn members(&self) -> &[usize] {
        match self {
            Self::Lock(n) => std::slice::from_ref(n),
            Self::Set(n) => SETS[*n],
        }
    }
}

/// Two or three requests. The last may name the first lock once more.
type Each = [Option<(usize, Mode)>; LOCKS];

#[derive(Clone, Copy, Debug)]
enum Wanted {
    At(Place, Mode),
    Both([(usize, Mode); 2]),
    /// By `lock_all`, which makes a guard for each that is named.
    Each(Each),
}

impl Wanted {
    fn is_one(&self) -> bool {
        matches!(self, Self::At(Place::Lock(_), _))
    }

    /// For each lock, the mode in which it is wanted.
    fn modes(&self) -> [Option<Mode>; LOCKS] {
        let mut modes = [None; LOCKS];
        match self {
            Self::At(place, mode) => place.members().iter().for_each(|n| modes[*n] = Some(*mode)),
            // A lock that is named twice is acquired once, in the stronger mode.
            Self::Both(both) => {
                both.iter().for_each(|(n, mode)| modes[*n] = modes[*n].max(Some(*mode)))
            }
            // Here it is shared twice.
            Self::Each(each) => each.iter().flatten().for_each(|(n, mode)| modes[*n] = Some(*mode)),
        }
        modes
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire(Id, Wanted),
    TryAcquire(Id, Wanted),
    Wait(Id, Place, Mode),
    /// The task of an upgrade owns the guard, and drops it when it is dropped.
    Upgrade(Id),
    Poll(Id),
    PollWithNewWaker(Id),
    /// Makes the `cancel` of `lock_all_or` ready, and polls.
    Cancel(Id),
    Drop(Id),
    Release(Id),
    Downgrade(Id, Mode),
    Share(Id, Id),
    Detach(Id),
    Adopt(Id),
    Monitor(Id, Place, Mode),
    Clear(Id),
    Look(Id),
    Unmonitor(Id),
    WaitForMonitor(Id, Id),
    /// A task owns the monitor, and waits for an item of its stream.
    Next(Id, Id),
}

/// How often each kind of step is tried, if the schedule has it at all.
const WEIGHTS: [usize; 17] = [6, 4, 5, 2, 2, 1, 2, 4, 2, 1, 1, 1, 1, 1, 1, 1, 1];

enum Holder<'a> {
    One(Guard<'a>),
    Set(SetGuard<'a, &'a MultiLock>),
    All(AllGuard<Vec<(&'a MultiLock, Mode)>>),
    Handle(Place, Handle),
}

struct Hold<'a> {
    id: Id,
    modes: [Option<Mode>; LOCKS],
    holder: Holder<'a>,
}

enum Done<'a> {
    Entered(Holder<'a>),
    EnteredEach(Vec<Guard<'a>>),
    Canceled,
    Upgraded(Guard<'a>, Result<(), UpgradeError>),
    Told,
    Item(Monitor<'a>),
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Acquire(Wanted),
    Upgrade(usize, Mode),
    Wait(Place, Mode),
    Monitor(Id),
    Next(Id),
}

type Run<'a> = Pin<Box<dyn Future<Output = Done<'a>> + 'a>>;

struct Task<'a> {
    id: Id,
    job: Job,
    future: Run<'a>,
    cancel: Rc<Cell<bool>>,
    flag: Arc<Flag>,
    polled: bool,
    /// A poll was pending although all locks could be acquired.
    in_vain: bool,
}

impl Task<'_> {
    fn is_woken(&self) -> bool {
        self.flag.count() > 0
    }

    fn sleeps(&self) -> bool {
        self.polled && !self.is_woken()
    }

    fn wanted(&self) -> Option<Wanted> {
        match self.job {
            Job::Acquire(wanted) => Some(wanted),
            _ => None,
        }
    }

    fn can_be_canceled(&self) -> bool {
        self.id % 2 == 0 && matches!(self.job, Job::Acquire(Wanted::Each(_)))
    }
}

/// Whether something has happened. The model does not see what sets do within a step.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Happened {
    No,
    Perhaps,
    Yes,
}

impl From<bool> for Happened {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// An event that the lock of a monitor notifies of the same edges.
#[cfg(feature = "event-listener")]
struct Subscribed<'a> {
    _subscription: multilock::Subscription<'a>,
    event: std::sync::Arc<event_listener::Event>,
    listener: event_listener::EventListener,
}

#[cfg(feature = "event-listener")]
impl<'a> Subscribed<'a> {
    fn new(lock: &'a MultiLock, mode: Mode) -> Self {
        let event = std::sync::Arc::new(event_listener::Event::new());
        Self { _subscription: lock.notify(mode, &event), listener: event.listen(), event }
    }

    /// Whether the event was notified since the last look.
    fn is_notified(&mut self) -> bool {
        let listener = std::mem::replace(&mut self.listener, self.event.listen());
        event_listener::Listener::discard(listener)
    }
}

struct MonitorModel<'a> {
    #[cfg(feature = "event-listener")]
    subscribed: Option<Subscribed<'a>>,
    id: Id,
    place: Place,
    mode: Mode,
    /// `None` while a task owns the monitor.
    real: Option<Rc<Monitor<'a>>>,
    /// For each member, whether there was an edge since the monitor was cleared.
    edges: [Happened; LOCKS],
    /// Whether the monitor was found set.
    set: Happened,
    /// Whether the monitor is checked after each step. If not, it misses changes that are over before the
    /// next check.
    is_watched: bool,
}

impl MonitorModel<'_> {
    /// Whether no task waits for the monitor.
    fn is_unused(&self) -> bool {
        self.real.as_ref().is_some_and(|real| Rc::strong_count(real) == 1)
    }

    /// Whether the monitor is set, given what `admits` says about the locks.
    fn is_set(&self, admits: &Admits) -> Happened {
        let all = self.place.members().iter().all(|n| admits[*n][self.mode as usize]);
        let edge = self.edges.into_iter().fold(Happened::No, |a, b| if a < b { b } else { a });
        match self.place {
            Place::Lock(_) => edge,
            Place::Set(_) if all && edge > self.set => edge,
            Place::Set(_) => self.set,
        }
    }

    fn cleared(&mut self) {
        (self.edges, self.set) = ([Happened::No; LOCKS], Happened::No);
    }

    /// The monitor was checked, and found set or not.
    fn found(&mut self, set: bool) {
        self.set = set.into();
        if let Place::Lock(n) = self.place {
            self.edges[n] = set.into();
        }
    }
}

/// For each lock and mode, whether a try would succeed.
type Admits = [[bool; 3]; LOCKS];

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
    let locks = Locks::default();
    let sets = SETS.map(|members| members.iter().map(|n| &locks[*n]).collect());
    let drops = choices.one_in(2);
    let most_tasks = if choices.one_in(20) { 16 } else { 2 + choices.below(5) };
    Schedule {
        locks: &locks,
        sets: &sets,
        choices,
        weights,
        most_tasks,
        left,
        tasks: Vec::new(),
        holds: Vec::new(),
        monitors: Vec::new(),
        steps: Vec::new(),
        last_id: 0,
        old_flags: Vec::new(),
    }
    .run(drops);
    for lock in &locks {
        assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
    }
}

struct Schedule<'a, C: Choices> {
    locks: &'a Locks,
    sets: &'a [Set<'a>; SETS.len()],
    choices: C,
    weights: [usize; WEIGHTS.len()],
    most_tasks: usize,
    /// The number of steps before the end.
    left: usize,
    tasks: Vec<Task<'a>>,
    holds: Vec<Hold<'a>>,
    monitors: Vec<MonitorModel<'a>>,
    steps: Vec<Step>,
    last_id: Id,
    /// Wakers that must not be woken or stored any more, and the jobs that they belonged to.
    old_flags: Vec<(Arc<Flag>, Job)>,
}

impl<'a, C: Choices> Schedule<'a, C> {
    fn run(mut self, drops: bool) {
        while self.left > 0 && !self.choices.are_over() {
            self.left -= 1;
            if let Some(step) = self.choose() {
                self.step(step);
            }
        }
        if drops {
            self.until_the_end(|task| Some(Step::Drop(task.id)));
        } else {
            // From here on tasks run only when they are woken, and acquisitions end.
            self.until_the_end(|task| (!task.sleeps()).then_some(Step::Poll(task.id)));
        }
        let waits_for_an_edge =
            |task: &Task<'_>| matches!(task.job, Job::Monitor(_) | Job::Next(_));
        assert!(self.tasks.iter().all(waits_for_an_edge), "a task is left asleep");
        while let Some(id) = self.tasks.first().map(|task| task.id) {
            self.step(Step::Drop(id));
        }
        while let Some(id) = self.monitors.first().map(|monitor| monitor.id) {
            self.step(Step::Unmonitor(id));
        }
        for (flag, job) in &self.old_flags {
            // A wait for a monitor of a set may have left its waker at another member before.
            let is_out_of_use = !matches!(job, Job::Monitor(_) | Job::Next(_));
            assert!(
                !is_out_of_use || flag.count() == 0,
                "a waker was woken after it was dropped from use"
            );
            assert_eq!(Arc::strong_count(flag), 1, "a waker was leaked");
        }
    }

    /// Ends acquisitions, and makes the steps that `next` returns for tasks, until there is none left.
    fn until_the_end(&mut self, next: impl Fn(&Task<'_>) -> Option<Step>) {
        let last = self.steps.len() + 1_000;
        loop {
            let tasks = self.tasks.iter().filter_map(&next);
            let holds = self.holds.iter().map(|hold| Step::Release(hold.id));
            let Some(step) = self.choices.pick(holds.chain(tasks)) else { break };
            self.step(step);
            if let Step::Poll(id) = step {
                to_the_end(&mut self.tasks, |task| task.id == id);
            }
            assert!(self.steps.len() < last, "the schedule does not end");
        }
    }

    fn choose(&mut self) -> Option<Step> {
        let (id, choices) = (self.last_id + 1, &mut self.choices);
        let has_room = self.tasks.len() < self.most_tasks;
        let kind = choices.weighted(&self.weights)?;
        let one = |hold: &&Hold<'_>| matches!(hold.holder, Holder::One(_));
        let ones = self.holds.iter().filter(one);
        let monitors = self.monitors.iter().filter(|monitor| monitor.real.is_some());
        let unused = monitors.clone().filter(|monitor| monitor.is_unused());
        Some(match kind {
            0 => Step::Acquire(id, has_room.then(|| wanted(choices))?),
            1 => Step::Poll(choices.pick(self.tasks.iter())?.id),
            2 => Step::Poll(choices.pick(self.tasks.iter().filter(|task| task.is_woken()))?.id),
            3 => Step::TryAcquire(id, wanted(choices)),
            4 => Step::Drop(choices.pick(self.tasks.iter())?.id),
            5 => Step::PollWithNewWaker(choices.pick(self.tasks.iter())?.id),
            6 => Step::Upgrade(has_room.then(|| choices.pick(ones))??.id),
            7 => Step::Release(choices.pick(self.holds.iter())?.id),
            8 => {
                let is_uniform = |hold: &&Hold<'_>| hold.can_downgrade();
                let hold = choices.pick(self.holds.iter().filter(is_uniform))?;
                Step::Downgrade(hold.id, choices.mode().min(hold.mode()))
            }
            9 => Step::Share(choices.pick(ones)?.id, id),
            10 => match choices.pick(self.holds.iter())? {
                Hold { holder: Holder::All(_), .. } => return None,
                Hold { id, holder: Holder::Handle(..), .. } => Step::Adopt(*id),
                Hold { id, .. } => Step::Detach(*id),
            },
            11 => {
                let place = place(choices);
                has_room.then(|| Step::Wait(id, place, choices.mode()))?
            }
            12 if self.monitors.len() == MOST_MONITORS => return None,
            12 => {
                let place = place(choices);
                Step::Monitor(id, place, choices.mode())
            }
            13 => match choices.below(3) {
                0 => Step::Look(choices.pick(monitors)?.id),
                _ => Step::Clear(choices.pick(monitors)?.id),
            },
            14 => Step::WaitForMonitor(id, has_room.then(|| choices.pick(monitors))??.id),
            16 => {
                let can = |task: &&Task<'_>| task.can_be_canceled();
                Step::Cancel(choices.pick(self.tasks.iter().filter(can))?.id)
            }
            _ if choices.one_in(2) => Step::Unmonitor(choices.pick(unused)?.id),
            _ => Step::Next(id, has_room.then(|| choices.pick(unused))??.id),
        })
    }

    fn step(&mut self, step: Step) {
        self.steps.push(step);
        let before = self.admits();
        let is_seen = self.make(step);
        self.check(&before, is_seen);
    }

    /// Makes a step, and checks its result. Returns whether each lock has changed once at most.
    fn make(&mut self, step: Step) -> bool {
        let (locks, sets) = (self.locks, self.sets);
        match step {
            Step::Acquire(id, wanted) => {
                let cancel = Rc::new(Cell::new(false));
                let acquire: Run<'a> =
                    match wanted {
                        Wanted::At(Place::Lock(n), mode) => Box::pin(async move {
                            Done::Entered(Holder::One(locks[n].acquire(mode).await))
                        }),
                        Wanted::At(Place::Set(n), mode) => Box::pin(async move {
                            Done::Entered(Holder::Set(sets[n].acquire(mode).await))
                        }),
                        Wanted::Both(both) => {
                            let both = both.map(|(n, mode)| (&locks[n], mode)).to_vec();
                            Box::pin(
                                async move { Done::Entered(Holder::All(acquire_all(both).await)) },
                            )
                        }
                        Wanted::Each(each) if id % 2 == 0 => {
                            let all = lock_all_or(requests(locks, each), until_set(cancel.clone()));
                            let done =
                                |all: Result<_, _>| all.map_or(Done::Canceled, Done::EnteredEach);
                            Box::pin(async move { done(all.await) })
                        }
                        Wanted::Each(each) => {
                            let all = lock_all(requests(locks, each));
                            Box::pin(async { Done::EnteredEach(all.await) })
                        }
                    };
                self.spawn(id, Job::Acquire(wanted), acquire);
                self.tasks.last_mut().unwrap().cancel = cancel;
            }
            Step::TryAcquire(id, wanted) => {
                let expected = self.can(wanted, Word::admits);
                let holder = match wanted {
                    Wanted::At(Place::Lock(n), mode) => locks[n].try_acquire(mode).map(Holder::One),
                    Wanted::At(Place::Set(n), mode) => sets[n].try_acquire(mode).map(Holder::Set),
                    Wanted::Both(both) => {
                        try_acquire_all(both.map(|(n, mode)| (&locks[n], mode)).to_vec())
                            .map(Holder::All)
                    }
                    Wanted::Each(each) => {
                        let guards = try_lock_all(requests(locks, each)).ok();
                        assert_eq!(guards.is_some(), expected, "try_lock_all");
                        guards.into_iter().for_each(|guards| self.hold_each(each, guards));
                        return false;
                    }
                };
                assert_eq!(holder.is_some(), expected, "try_acquire");
                holder.into_iter().for_each(|holder| self.hold(id, wanted.modes(), holder));
            }
            Step::Wait(id, place, mode) => {
                let wait: Run<'a> = match place {
                    Place::Lock(n) => Box::pin(locks[n].wait(mode).told()),
                    Place::Set(n) => Box::pin(sets[n].wait(mode).told()),
                };
                self.spawn(id, Job::Wait(place, mode), wait);
            }
            Step::Upgrade(id) => {
                let hold = self.take_hold(id);
                let job =
                    Job::Upgrade(hold.modes.iter().position(Option::is_some).unwrap(), hold.mode());
                let Holder::One(mut guard) = hold.holder else { unreachable!() };
                let upgrade = async move {
                    let result = guard.upgrade().await;
                    Done::Upgraded(guard, result)
                };
                self.spawn(id, job, Box::pin(upgrade));
            }
            Step::Poll(id) => return self.poll(id, false),
            Step::PollWithNewWaker(id) => return self.poll(id, true),
            Step::Cancel(id) => {
                self.tasks.iter().find(|task| task.id == id).unwrap().cancel.set(true);
                return self.poll(id, false);
            }
            Step::Drop(id) => {
                let task = self.take_task(id);
                task.flag.take();
                if let Job::Next(monitor) = task.job {
                    self.monitors.retain(|other| other.id != monitor);
                }
                return task.wanted().is_some_and(|wanted| wanted.is_one());
            }
            Step::Release(id) => match self.take_hold(id).holder {
                Holder::Handle(Place::Lock(n), handle) => locks[n].release(handle).unwrap(),
                Holder::Handle(Place::Set(n), handle) => sets[n].release(handle).unwrap(),
                holder => drop(holder),
            },
            Step::Downgrade(id, to) => {
                let hold = self.holds.iter_mut().find(|hold| hold.id == id).unwrap();
                match &mut hold.holder {
                    Holder::One(guard) => guard.downgrade(to),
                    Holder::Set(guard) => guard.downgrade(to),
                    Holder::All(_) | Holder::Handle(..) => unreachable!(),
                }
                hold.modes.iter_mut().flatten().for_each(|mode| *mode = to);
            }
            Step::Share(id, new) => {
                let hold = self.holds.iter().find(|hold| hold.id == id).unwrap();
                let n = hold.modes.iter().position(Option::is_some).unwrap();
                let Holder::One(guard) = &hold.holder else { unreachable!() };
                // The guard that is shared stays in this thread, so it may be dropped first.
                let shared =
                    guard.share().map(|shared| locks[n].adopt(shared.into_handle()).unwrap());
                assert_eq!(shared.is_some(), self.words()[n].fits(Shared), "share");
                let mut modes = [None; LOCKS];
                modes[n] = Some(Shared);
                shared.into_iter().for_each(|guard| self.hold(new, modes, Holder::One(guard)));
            }
            Step::Detach(id) => {
                let mut hold = self.take_hold(id);
                hold.holder = match hold.holder {
                    Holder::One(guard) => {
                        let n = hold.modes.iter().position(Option::is_some).unwrap();
                        Holder::Handle(Place::Lock(n), guard.into_handle())
                    }
                    Holder::Set(guard) => {
                        let n = sets.iter().position(|set| std::ptr::eq(set, guard.set())).unwrap();
                        Holder::Handle(Place::Set(n), guard.into_handle())
                    }
                    holder => holder,
                };
                self.holds.push(hold);
            }
            Step::Adopt(id) => {
                let mut hold = self.take_hold(id);
                let Holder::Handle(place, handle) = hold.holder else { unreachable!() };
                hold.holder = match place {
                    Place::Lock(n) => {
                        let handle =
                            locks[(n + 1) % LOCKS].release(handle).unwrap_err().into_handle();
                        Holder::One(locks[n].adopt(handle).unwrap())
                    }
                    Place::Set(n) => {
                        let other = &sets[(n + 1) % SETS.len()];
                        let handle = other.adopt(handle).unwrap_err().into_handle();
                        Holder::Set(sets[n].adopt(handle).unwrap())
                    }
                };
                self.holds.push(hold);
            }
            Step::Monitor(id, place, mode) => {
                let real = match place {
                    Place::Lock(n) => locks[n].monitor(mode),
                    Place::Set(n) => sets[n].monitor(mode),
                };
                let admits = self.admits();
                let mut edges = [Happened::No; LOCKS];
                place.members().iter().for_each(|n| edges[*n] = admits[*n][mode as usize].into());
                let set = place.members().iter().all(|n| edges[*n] == Happened::Yes).into();
                let (real, is_watched) = (Some(Rc::new(real)), self.choices.one_in(2));
                self.last_id = self.last_id.max(id);
                self.monitors.push(MonitorModel {
                    #[cfg(feature = "event-listener")]
                    subscribed: match place {
                        Place::Lock(n) => Some(Subscribed::new(&locks[n], mode)),
                        Place::Set(_) => None,
                    },
                    id,
                    place,
                    mode,
                    real,
                    edges,
                    set,
                    is_watched,
                });
            }
            Step::Clear(id) => {
                let monitor = self.monitor(id);
                monitor.real.as_ref().unwrap().clear();
                monitor.cleared();
            }
            Step::Look(id) => self.look(|monitor| monitor.id == id),
            Step::Unmonitor(id) => self.monitors.retain(|monitor| monitor.id != id),
            Step::WaitForMonitor(id, monitor) => {
                let real = self.monitor(monitor).real.clone().unwrap();
                let wait = async move {
                    real.wait().await;
                    Done::Told
                };
                self.spawn(id, Job::Monitor(monitor), Box::pin(wait));
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
        true
    }

    fn poll(&mut self, id: Id, new_waker: bool) -> bool {
        let (words, admits) = (self.words(), self.admits());
        let task = self.tasks.iter_mut().find(|task| task.id == id).unwrap();
        let (job, is_new) = (task.job, !task.polled);
        let woken = task.flag.take() > 0;
        if new_waker {
            self.old_flags.push((mem::replace(&mut task.flag, Flag::new()), job));
        }
        let all =
            |place: Place, mode: Mode| place.members().iter().all(|n| admits[*n][mode as usize]);
        let find = |id| self.monitors.iter().find(|monitor| monitor.id == id).unwrap();
        let mut conflict = false;
        let is_canceled = task.cancel.get();
        let expected = match job {
            Job::Acquire(_) if is_canceled => Happened::Yes,
            Job::Acquire(wanted) if !can(&words, wanted, Word::fits) => Happened::No,
            // At this poll or the next.
            Job::Acquire(wanted) if can(&words, wanted, Word::admits) && task.in_vain => {
                Happened::Yes
            }
            Job::Acquire(_) => Happened::Perhaps,
            Job::Upgrade(n, from) if is_new => {
                conflict = from == Shared && words[n].held(Upgradable) > 0;
                (words[n].holders() == 1 || conflict).into()
            }
            Job::Upgrade(n, _) => (words[n].held(Shared) == 0).into(),
            Job::Wait(place @ Place::Lock(_), mode) => (all(place, mode) || woken).into(),
            Job::Wait(place, mode) => all(place, mode).into(),
            Job::Monitor(monitor) | Job::Next(monitor) => find(monitor).is_set(&admits),
        };

        let waker = Waker::from(task.flag.clone());
        let poll = task.future.as_mut().poll(&mut Context::from_waker(&waker));
        drop(waker);

        // The waiter defers to one that has lost races, and tries again.
        let defers = || match job {
            Job::Acquire(wanted) => {
                poll.is_pending()
                    && task.is_woken()
                    && self
                        .locks
                        .iter()
                        .zip(wanted.modes())
                        .any(|(lock, mode)| mode.is_some() && is_overtaken(lock.snapshot()))
            }
            _ => false,
        };
        let as_expected = expected == Happened::Perhaps
            || Happened::from(poll.is_ready()) == expected
            || defers();
        assert!(as_expected, "{job:?} is ready: {}; {words:?}", poll.is_ready());
        task.polled = true;
        task.in_vain = matches!(job, Job::Acquire(wanted) if can(&words, wanted, Word::admits));
        if let Job::Monitor(monitor) | Job::Next(monitor) = job {
            self.monitor(monitor).found(poll.is_ready());
        }
        let is_seen = !matches!(job, Job::Acquire(wanted) if !wanted.is_one());
        let Poll::Ready(done) = poll else { return is_seen };
        let task = self.take_task(id);
        if is_canceled {
            // It may have deferred before, and woken itself.
            task.flag.take();
        }
        drop(task);
        match (done, job) {
            (Done::Entered(holder), Job::Acquire(wanted)) => self.hold(id, wanted.modes(), holder),
            (Done::EnteredEach(guards), Job::Acquire(Wanted::Each(each))) => {
                self.hold_each(each, guards);
            }
            // It has left its queue, and has tried once more.
            (Done::Canceled, Job::Acquire(wanted)) => {
                assert!(!self.can(wanted, Word::admits), "canceled; {words:?}");
            }
            (Done::Upgraded(guard, result), Job::Upgrade(n, from)) => {
                assert_eq!(result, if conflict { Err(UpgradeError::Conflict) } else { Ok(()) });
                let mut modes = [None; LOCKS];
                modes[n] = Some(if conflict { from } else { Exclusive });
                self.hold(id, modes, Holder::One(guard));
            }
            (Done::Item(real), Job::Next(monitor)) => {
                let monitor = self.monitor(monitor);
                monitor.real = Some(Rc::new(real));
                monitor.cleared();
            }
            (Done::Told, _) => {}
            _ => unreachable!(),
        }
        is_seen
    }

    /// Checks what monitors report.
    fn look(&mut self, at: impl Fn(&MonitorModel<'_>) -> bool) {
        let admits = self.admits();
        for monitor in self.monitors.iter_mut().filter(|monitor| at(monitor)) {
            let Some(real) = &monitor.real else { continue };
            let (expected, set) = (monitor.is_set(&admits), real.is_set());
            let as_expected = expected == Happened::Perhaps || expected == set.into();
            assert!(as_expected, "monitor {} is set: {set}; {admits:?}", monitor.id);
            monitor.found(set);
        }
    }

    /// Checks what must be true after every step. `before` is what the locks admitted before it.
    fn check(&mut self, before: &Admits, is_seen: bool) {
        let (words, admits) = (self.words(), self.admits());

        // No holder excludes another, and the locks report their holders.
        for (n, word) in words.iter().enumerate() {
            let snapshot = self.locks[n].snapshot();
            let owners = word.held(Upgradable) + word.held(Exclusive);
            assert!(owners <= 1 && (word.held(Exclusive) == 0 || word.holders() == 1), "{words:?}");
            let strongest = Mode::ALL.into_iter().rfind(|mode| word.held(*mode) > 0);
            assert_eq!(snapshot.mode(), strongest, "{n}: {words:?}");
            assert_eq!(snapshot.shared_holders(), word.held(Shared), "{n}: {words:?}");
            assert_eq!(snapshot.is_upgrading(), word.upgrading, "{n}: {words:?}");
            // Sets wait at one of their members.
            for mode in Mode::ALL {
                let wants = |task: &Task<'_>| {
                    task.polled
                        && task.wanted().is_some_and(|wanted| wanted.modes()[n] == Some(mode))
                };
                let is_awaited = snapshot.is_awaited(mode);
                assert!(
                    !is_awaited || self.tasks.iter().any(wants),
                    "{n}: there is no such waiter: {snapshot:?}"
                );
            }
        }

        // The edges that can be seen.
        for monitor in &mut self.monitors {
            for n in monitor.place.members() {
                let [before, after] =
                    [before, &admits].map(|admits| admits[*n][monitor.mode as usize]);
                let edge = match (after && !before, is_seen) {
                    (true, _) => Happened::Yes,
                    (false, true) => Happened::No,
                    (false, false) => Happened::Perhaps,
                };
                if edge > monitor.edges[*n] {
                    monitor.edges[*n] = edge;
                }
                #[cfg(feature = "event-listener")]
                if let Some(subscribed) = &mut monitor.subscribed {
                    let notified = Happened::from(subscribed.is_notified());
                    let id = monitor.id;
                    assert!(
                        edge == Happened::Perhaps || notified == edge,
                        "the event of {id} was notified: {notified:?}, edge: {edge:?}"
                    );
                }
            }
        }
        self.look(|monitor| monitor.is_watched);

        // No task is left asleep that could proceed.
        for task in self.tasks.iter().filter(|task| task.sleeps()) {
            let can_proceed = match task.job {
                Job::Acquire(wanted) => {
                    can(&words, wanted, Word::admits) && !self.is_awake_beside(wanted)
                }
                Job::Upgrade(n, _) => words[n].held(Shared) == 0,
                Job::Wait(place, mode) => place.members().iter().all(|n| admits[*n][mode as usize]),
                Job::Monitor(monitor) | Job::Next(monitor) => {
                    let monitor = self.monitors.iter().find(|other| other.id == monitor).unwrap();
                    monitor.is_set(&admits) == Happened::Yes
                }
            };
            assert!(!can_proceed, "{} sleeps; {words:?}", task.id);
        }
    }

    /// Whether a waiter for one of the locks is awake: it enters, or passes its wake-up on.
    fn is_awake_beside(&self, wanted: Wanted) -> bool {
        let mine = wanted.modes();
        let is_beside =
            |other: Wanted| mine.iter().zip(other.modes()).any(|(a, b)| a.is_some() && b.is_some());
        self.tasks.iter().any(|task| task.is_woken() && task.wanted().is_some_and(is_beside))
    }

    fn words(&self) -> [Word; LOCKS] {
        let mut words = <[Word; LOCKS]>::default();
        for (n, word) in words.iter_mut().enumerate() {
            word.exclusive_waits = self.locks[n].snapshot().is_awaited(Exclusive);
            self.holds
                .iter()
                .filter_map(|hold| hold.modes[n])
                .for_each(|mode| word.held[mode as usize] += 1);
        }
        for task in &self.tasks {
            match task.job {
                Job::Upgrade(n, _) if task.polled => {
                    words[n].held[Upgradable as usize] += 1;
                    words[n].upgrading = true;
                }
                Job::Upgrade(n, from) => words[n].held[from as usize] += 1,
                _ => {}
            }
        }
        words
    }

    fn admits(&self) -> Admits {
        self.words().map(|word| Mode::ALL.map(|mode| word.admits(mode)))
    }

    fn can(&self, wanted: Wanted, may: impl Fn(&Word, Mode) -> bool) -> bool {
        can(&self.words(), wanted, may)
    }

    fn spawn(&mut self, id: Id, job: Job, future: Run<'a>) {
        self.last_id = self.last_id.max(id);
        self.tasks.push(Task {
            id,
            job,
            future,
            cancel: Rc::default(),
            flag: Flag::new(),
            polled: false,
            in_vain: false,
        });
    }

    fn take_task(&mut self, id: Id) -> Task<'a> {
        let index = self.tasks.iter().position(|task| task.id == id).unwrap();
        let task = self.tasks.swap_remove(index);
        self.old_flags.push((task.flag.clone(), task.job));
        task
    }

    fn hold(&mut self, id: Id, modes: [Option<Mode>; LOCKS], holder: Holder<'a>) {
        self.last_id = self.last_id.max(id);
        self.holds.push(Hold { id, modes, holder });
    }

    /// From here on each of the guards is released on its own.
    fn hold_each(&mut self, each: Each, guards: Vec<Guard<'a>>) {
        assert_eq!(guards.len(), each.iter().flatten().count());
        for ((n, mode), guard) in each.into_iter().flatten().zip(guards) {
            assert_eq!(guard.mode(), mode);
            let mut modes = [None; LOCKS];
            modes[n] = Some(mode);
            self.hold(self.last_id + 1, modes, Holder::One(guard));
        }
    }

    fn take_hold(&mut self, id: Id) -> Hold<'a> {
        let index = self.holds.iter().position(|hold| hold.id == id).unwrap();
        self.holds.swap_remove(index)
    }

    fn monitor(&mut self, id: Id) -> &mut MonitorModel<'a> {
        self.monitors.iter_mut().find(|monitor| monitor.id == id).unwrap()
    }
}

impl<C: Choices> Drop for Schedule<'_, C> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{:?}; {:?}", self.steps, self.locks);
        }
    }
}

impl Hold<'_> {
    /// The strongest of the modes.
    fn mode(&self) -> Mode {
        self.modes.into_iter().flatten().max().unwrap()
    }

    fn can_downgrade(&self) -> bool {
        matches!(self.holder, Holder::One(_) | Holder::Set(_))
    }
}

/// Whether `may` is true for all of the wanted locks.
fn can(words: &[Word; LOCKS], wanted: Wanted, may: impl Fn(&Word, Mode) -> bool) -> bool {
    words.iter().zip(wanted.modes()).all(|(word, mode)| mode.is_none_or(|mode| may(word, mode)))
}

fn place(choices: &mut impl Choices) -> Place {
    match choices.below(LOCKS + SETS.len()) {
        n if n < LOCKS => Place::Lock(n),
        n => Place::Set(n - LOCKS),
    }
}

fn wanted(choices: &mut impl Choices) -> Wanted {
    match choices.below(5) {
        0 => Wanted::Both([(); 2].map(|()| (choices.below(LOCKS), choices.mode()))),
        4 => {
            let first = choices.below(LOCKS);
            let mut each = [0, 1, 2].map(|k| Some(((first + k) % LOCKS, choices.mode())));
            match choices.below(3) {
                0 => {}
                1 => each[2] = None,
                _ => (each[0], each[2]) = (Some((first, Shared)), Some((first, Shared))),
            }
            Wanted::Each(each)
        }
        _ => {
            let place = place(choices);
            Wanted::At(place, choices.mode())
        }
    }
}

fn requests(locks: &Locks, each: Each) -> Vec<InMode<'_>> {
    each.into_iter().flatten().map(|(n, mode)| locks[n].in_mode(mode)).collect()
}

trait Told: Future<Output = ()> + Sized {
    async fn told<'a>(self) -> Done<'a> {
        self.await;
        Done::Told
    }
}

impl<F: Future<Output = ()>> Told for F {}
