//! Random schedules with wakers that panic, and that use the locks, when they are cloned, woken and
//! dropped. At the end all wakers behave. Then no task may be left asleep, and nothing may be left
//! behind.
//!
//! A failure prints its seed and its steps. `MULTILOCK_SEED=<seed>` runs that sequence alone, and
//! `MULTILOCK_CASES=<number>` sets the number of sequences.

#![cfg(all(feature = "std", panic = "unwind", not(any(loom, shuttle))))]

#[path = "support/random.rs"]
mod random;
mod support;

use std::any::Any;
use std::cell::RefCell;
use std::future::poll_fn;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use multilock::{AllGuard, Guard, Mode, MultiLock, RwLock, acquire_all, lock_all};
use random::{Choices, Random, for_seeds};
use support::{Alarm, Hooks, assert_idle};

#[test]
fn wakers_that_misbehave_leave_no_task_asleep_and_nothing_behind() {
    for_seeds(if cfg!(miri) { 4 } else { 4_000 }, run);
}

/// After each schedule the locks are as they were before. Their addresses do not change, because the
/// order in which a set acquires them depends on the addresses.
static LOCKS: [RwLock<usize>; 2] = [const { RwLock::new(0) }; 2];

/// The data is one of so many numbers, and a condition waits for one of them.
const NUMBERS: usize = 3;

const MOST_TASKS: usize = 40;

/// How deeply wakers may nest that use the locks.
const DEPTH: usize = 3;

enum Hold {
    One(usize, Guard<'static>),
    Both(AllGuard<[(&'static MultiLock, Mode); 2]>),
    /// A guard with data.
    Data(usize, Mode, #[expect(dead_code, reason = "it is dropped")] Box<dyn Any>),
}

impl Hold {
    fn mode_at(&self, at: usize) -> Option<Mode> {
        match self {
            Self::One(place, guard) => (*place == at).then(|| guard.mode()),
            Self::Both(guard) => guard.mode_of(LOCKS[at].raw()),
            Self::Data(place, mode, _) => (*place == at).then_some(*mode),
        }
    }
}

/// The index of a task, in the order of creation.
type Id = usize;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// May be polled again after a panic.
    Acquire,
    /// The task holds that lock while it waits.
    Upgrade(usize),
    Other,
}

struct Task {
    kind: Kind,
    future: Pin<Box<dyn Future<Output = Vec<Hold>>>>,
    alarm: Arc<Alarm>,
    waker: Waker,
    wakes_answered: usize,
}

impl Task {
    fn is_woken(&self) -> bool {
        self.alarm.wakes() > self.wakes_answered
    }
}

struct World {
    random: Random,
    /// `None` if the task has ended, or is being polled.
    tasks: Vec<Option<Task>>,
    holds: Vec<Hold>,
    /// One for each waker that was ever created.
    alarms: Vec<Arc<Alarm>>,
    misbehaves: bool,
    depth: usize,
    /// A failure that could not be raised where it happened.
    failure: Option<Box<dyn Any + Send>>,
    steps: Vec<String>,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Runs `f`, which uses no lock.
#[track_caller]
fn world<R>(f: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(|world| f(world.as_mut().unwrap()))
}

fn log(step: String) {
    world(|w| w.steps.push(step));
}

/// The panic of a waker.
struct Planned;

/// What a waker does: nothing, a panic, or a step of the schedule.
fn misbehave(hook: &str, id: Id) {
    let way = world(|w| if w.misbehaves { w.random.below(10) } else { usize::MAX });
    match way {
        0 | 1 if !thread::panicking() => {
            log(format!("panic in {hook} of {id}"));
            resume_unwind(Box::new(Planned));
        }
        2..=4 if world(|w| w.depth < DEPTH) => {
            log(format!("in {hook} of {id} ("));
            world(|w| w.depth += 1);
            let result = catch_unwind(step);
            world(|w| w.depth -= 1);
            log(")".into());
            match result {
                Ok(()) => {}
                // A second panic would abort the process.
                Err(panic) if thread::panicking() => world(|w| w.failure = Some(panic)),
                Err(panic) => resume_unwind(panic),
            }
        }
        _ => {}
    }
}

/// Runs `f`, and catches the panic of a waker.
fn calmly(f: impl FnOnce()) {
    match catch_unwind(AssertUnwindSafe(f)) {
        Err(panic) if !panic.is::<Planned>() => resume_unwind(panic),
        _ => {}
    }
}

fn new_waker(id: Id) -> (Arc<Alarm>, Waker) {
    let alarm = Arc::<Alarm>::default();
    world(|w| w.alarms.push(alarm.clone()));
    let woken = alarm.clone();
    let hooks = Hooks {
        on_clone: Box::new(move || misbehave("clone", id)),
        on_wake: Box::new(move || {
            woken.wake_by_ref();
            misbehave("wake", id);
        }),
        on_drop: Box::new(move || misbehave("drop", id)),
    };
    (alarm, hooks.waker())
}

/// A task, polled once.
fn spawn(what: &str, kind: Kind, future: impl Future<Output = Vec<Hold>> + 'static) {
    let id = world(|w| w.tasks.len());
    if id == MOST_TASKS {
        return;
    }
    log(format!("{id}: {what}"));
    let (alarm, waker) = new_waker(id);
    let task = Task { kind, future: Box::pin(future), alarm, waker, wakes_answered: 0 };
    world(|w| w.tasks.push(Some(task)));
    poll(id);
}

fn poll(id: Id) {
    let Some(mut task) = world(|w| w.tasks.get_mut(id)?.take()) else { return };
    log(format!("poll {id}"));
    let result = catch_unwind(AssertUnwindSafe(|| {
        if world(|w| w.random.one_in(2)) {
            // From here on a wake-up of the old waker does not count.
            let (alarm, waker) = new_waker(id);
            (task.alarm, task.wakes_answered) = (alarm, 0);
            drop(mem::replace(&mut task.waker, waker));
        }
        task.wakes_answered = task.alarm.wakes();
        task.future.as_mut().poll(&mut Context::from_waker(&task.waker))
    }));
    match result {
        Ok(Poll::Pending) => world(|w| w.tasks[id] = Some(task)),
        Ok(Poll::Ready(holds)) => {
            log(format!("{id} is ready"));
            holds.into_iter().for_each(enter);
        }
        Err(panic) if panic.is::<Planned>() => {
            if task.kind == Kind::Acquire && world(|w| w.random.one_in(2)) {
                task.alarm.wake_by_ref();
                world(|w| w.tasks[id] = Some(task));
            } else {
                calmly(|| drop(task));
            }
            if world(|w| w.random.one_in(2)) {
                resume_unwind(panic);
            }
        }
        Err(panic) => resume_unwind(panic),
    }
}

/// Records a holder, which must not exclude any other.
fn enter(hold: Hold) {
    for at in 0..LOCKS.len() {
        let Some(mode) = hold.mode_at(at) else { continue };
        let held = |w: &mut World| w.holds.iter().filter_map(|hold| hold.mode_at(at)).collect();
        let others: Vec<Mode> = world(held);
        let fits = !others.iter().any(|other| mode.excludes(*other));
        assert!(fits, "{mode:?} beside {others:?} of lock {at}");
    }
    world(|w| w.holds.push(hold));
}

fn take_guard() -> Option<(usize, Guard<'static>)> {
    world(|w| {
        let index = w.holds.iter().position(|hold| matches!(hold, Hold::One(..)))?;
        match w.holds.swap_remove(index) {
            Hold::One(at, guard) => Some((at, guard)),
            _ => unreachable!(),
        }
    })
}

fn step() {
    let (kind, n, at, modes) = world(|w| {
        let random = &mut w.random;
        let at = usize::from(random.one_in(3));
        (random.below(20), random.below(MOST_TASKS), at, [random.mode(), random.mode()])
    });
    let (data, lock, mode) = (&LOCKS[at], LOCKS[at].raw(), modes[0]);
    match kind {
        0..=2 => {
            let mut acquire = Box::pin(lock.acquire(mode));
            let hold = poll_fn(move |cx| {
                acquire.as_mut().poll(cx).map(|guard| vec![Hold::One(at, guard)])
            });
            spawn(&format!("acquire {at} {mode:?}"), Kind::Acquire, hold);
        }
        3 => {
            let wanted = [(LOCKS[0].raw(), modes[0]), (LOCKS[1].raw(), modes[1])];
            let hold = async move { vec![Hold::Both(acquire_all(wanted).await)] };
            spawn(&format!("acquire all {modes:?}"), Kind::Other, hold);
        }
        4 => {
            let wait = async move {
                lock.wait(mode).await;
                vec![]
            };
            spawn(&format!("wait {at} {mode:?}"), Kind::Other, wait);
        }
        5 => {
            if let Some((at, mut guard)) = take_guard() {
                let upgrade = async move {
                    let _ = guard.upgrade().await;
                    vec![Hold::One(at, guard)]
                };
                spawn(&format!("upgrade {at}"), Kind::Upgrade(at), upgrade);
            }
        }
        6..=8 => poll(world(|w| n % w.tasks.len().max(1))),
        9 => {
            let is_woken = |task: &Option<Task>| task.as_ref().is_some_and(Task::is_woken);
            world(|w| w.tasks.iter().position(is_woken)).into_iter().for_each(poll);
        }
        10 => {
            let id = world(|w| n % w.tasks.len().max(1));
            log(format!("drop {id}"));
            drop(world(|w| w.tasks.get_mut(id)?.take()));
        }
        11 => {
            if let Some(guard) = lock.try_acquire(mode) {
                log(format!("try {at} {mode:?}"));
                enter(Hold::One(at, guard));
            }
        }
        12 => {
            if let Some((at, mut guard)) = take_guard() {
                let to = mode.min(guard.mode());
                log(format!("downgrade {at} from {:?} to {to:?}", guard.mode()));
                let result = catch_unwind(AssertUnwindSafe(|| guard.downgrade(to)));
                world(|w| w.holds.push(Hold::One(at, guard)));
                result.unwrap_or_else(|panic| resume_unwind(panic));
            }
        }
        13 => {
            let requests = [0, 1].map(|at| LOCKS[at].raw().in_mode(modes[at]));
            let holds = async move {
                let [first, second] = lock_all(requests).await;
                vec![Hold::One(0, first), Hold::One(1, second)]
            };
            spawn(&format!("lock all {modes:?}"), Kind::Other, holds);
        }
        14 | 15 => {
            let is_n = move |number: &usize| *number == n % NUMBERS;
            let hold = async move {
                let guard: Box<dyn Any> = match mode {
                    Mode::Shared => Box::new(data.read_when(is_n).await),
                    Mode::Upgradable => Box::new(data.upgradable_read_when(is_n).await),
                    Mode::Exclusive => Box::new(data.write_when(is_n).await),
                };
                vec![Hold::Data(at, mode, guard)]
            };
            spawn(&format!("when {at} is {} {mode:?}", n % NUMBERS), Kind::Other, hold);
        }
        16 if n % 2 == 0 => {
            let changes = data.changes();
            let wait = async move {
                changes.wait().await;
                vec![]
            };
            spawn(&format!("changes of {at}"), Kind::Other, wait);
        }
        16 => {
            let write = async move {
                data.with_mut(|number| *number = n % NUMBERS).await;
                vec![]
            };
            spawn(&format!("write {} to {at}", n % NUMBERS), Kind::Other, write);
        }
        _ => release(world(|w| n % w.holds.len().max(1))),
    }
}

fn release(index: usize) {
    log(format!("release {index}"));
    drop(world(|w| (index < w.holds.len()).then(|| w.holds.swap_remove(index))));
}

/// Runs `f` outside of any waker, and checks what must be true afterwards.
fn outermost(f: impl FnOnce()) {
    calmly(f);
    world(|w| {
        if let Some(panic) = w.failure.take() {
            resume_unwind(panic);
        }
        for (at, lock) in LOCKS.iter().enumerate() {
            let upgrades = |task: &&Task| task.kind == Kind::Upgrade(at);
            let upgrading = w.tasks.iter().flatten().filter(upgrades).count();
            let held: Vec<_> = w.holds.iter().filter_map(|hold| hold.mode_at(at)).collect();
            let shared = held.iter().filter(|mode| **mode == Mode::Shared).count();
            assert_eq!(
                lock.raw().locked().is_some(),
                upgrading > 0 || !held.is_empty(),
                "lock {at}"
            );
            let found = lock.raw().snapshot().shared_holders();
            assert!((shared..=shared + upgrading).contains(&found), "lock {at}: {held:?}");
        }
    });
}

/// From here on wakers behave, tasks run only when they are woken, acquisitions end, and each condition holds once.
fn run_all() {
    log("all behave".into());
    world(|w| w.misbehaves = false);
    run_woken();
    for number in 0..NUMBERS {
        log(format!("write {number}"));
        LOCKS.iter().for_each(|lock| *lock.try_write().expect("it is free") = number);
        run_woken();
    }
    world(|w| assert!(w.tasks.iter().flatten().next().is_none(), "a task is left asleep"));
}

fn run_woken() {
    let next = |w: &mut World| {
        let World { random, tasks, holds, .. } = w;
        let is_woken = |id: &Id| tasks[*id].as_ref().is_some_and(Task::is_woken);
        let woken = (0..tasks.len()).filter(is_woken).map(Ok);
        random.pick(woken.chain((0..holds.len()).map(Err)))
    };
    while let Some(next) = world(next) {
        outermost(|| next.map_or_else(release, poll));
        assert!(world(|w| w.steps.len()) < 5_000, "the schedule does not end");
    }
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let steps = 5 + random.below(90);
    WORLD.set(Some(World {
        random,
        tasks: Vec::new(),
        holds: Vec::new(),
        alarms: Vec::new(),
        misbehaves: true,
        depth: 0,
        failure: None,
        steps: Vec::new(),
    }));
    let report = Report;
    for _ in 0..steps {
        outermost(step);
    }
    run_all();
    LOCKS.iter().for_each(|lock| assert_idle(lock.raw()));
    for alarm in world(|w| mem::take(&mut w.alarms)) {
        assert_eq!(Arc::strong_count(&alarm), 1, "a waker was leaked");
    }
    drop(report);
}

/// Ends the world, and prints its steps if it failed.
struct Report;

impl Drop for Report {
    fn drop(&mut self) {
        let world = WORLD.take().unwrap();
        if thread::panicking() {
            eprintln!("{}; {LOCKS:?}", world.steps.join(", "));
            // The rest of the world would misbehave.
            mem::forget(world);
        }
    }
}
