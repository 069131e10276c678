//! The model and the lock take the same calls: futures of the lock are polled by hand, and after each call
//! both say who holds the lock, who was woken, and what the word is.
//!
//! In the lock a call runs to its end. So the steps of the model that belong to it come one after another.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use multilock::{Guard, MultiLock};
use multilock_model::mode::Mode;
use multilock_model::system::{Action, System, Use, What};
use multilock_model::text;
use multilock_model::world::{Pc, World};

/// The modes of the lock are not those of the model: each has compiled `mode.rs` for itself.
fn mode(mode: Mode) -> multilock::Mode {
    multilock::Mode::ALL[mode as usize]
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// What a task of the lock is at.
enum Stage {
    Idle,
    Acquires(Boxed<Guard<'static>>),
    Holds(Guard<'static>),
    /// It has used its guard as it is to be used, and releases it next.
    HoldsLast(Guard<'static>),
    Upgrades(Boxed<Guard<'static>>, Arc<std::sync::Mutex<Option<Guard<'static>>>>),
}

struct Task {
    stage: Stage,
    woken: Arc<Flag>,
}

struct Lock<'a> {
    lock: &'static MultiLock,
    tasks: Vec<Task>,
    system: &'a System,
}

impl<'a> Lock<'a> {
    fn new(system: &'a System) -> Self {
        let task = |_| Task { stage: Stage::Idle, woken: Arc::new(Flag(AtomicBool::new(false))) };
        Self {
            lock: Box::leak(Box::new(MultiLock::new())),
            tasks: (0..system.specs.len()).map(task).collect(),
            system,
        }
    }

    fn call(&mut self, action: Action) {
        let spec = self.system.specs[action.who as usize];
        let task = &mut self.tasks[action.who as usize];
        let waker = Waker::from(task.woken.clone());
        let mut cx = Context::from_waker(&waker);
        let stage = std::mem::replace(&mut task.stage, Stage::Idle);
        if !matches!(action.what, What::Sleep | What::Resume) {
            task.woken.0.store(false, SeqCst);
        }
        task.stage = match (action.what, stage) {
            (What::Go, Stage::Idle) => poll(Box::pin(self.lock.acquire(mode(spec.mode))), &mut cx),
            (What::Go, Stage::Holds(mut guard)) => match spec.holds {
                Use::Release => {
                    drop(guard);
                    Stage::Idle
                }
                Use::Downgrade(to) => {
                    guard.downgrade(mode(to));
                    Stage::HoldsLast(guard)
                }
                Use::Upgrade => {
                    let kept = Arc::new(std::sync::Mutex::new(None));
                    upgrade(Box::pin(upgraded(guard, kept.clone())), kept, &mut cx)
                }
                Use::ReleaseFair => unreachable!("threads are not replayed"),
            },
            (What::Go, Stage::HoldsLast(guard)) => {
                drop(guard);
                Stage::Idle
            }
            (What::Poll, stage) => match stage {
                Stage::Acquires(future) => poll(future, &mut cx),
                Stage::Upgrades(future, kept) => upgrade(future, kept, &mut cx),
                _ => unreachable!(),
            },
            (What::Drop, Stage::Upgrades(future, kept)) => {
                drop(future);
                Stage::HoldsLast(kept.lock().unwrap().take().expect("the guard"))
            }
            (What::Drop, stage) => {
                drop(stage);
                Stage::Idle
            }
            (_, stage) => stage,
        };
    }

    /// What both can say: the word, and for each task what it is at and whether it was woken.
    fn says(&self) -> (String, Vec<(&'static str, bool)>) {
        let task = |task: &Task| match &task.stage {
            Stage::Idle => ("idle", false),
            Stage::Acquires(_) => ("waits", task.woken.0.load(SeqCst)),
            Stage::Holds(_) | Stage::HoldsLast(_) => ("holds", false),
            Stage::Upgrades(..) => ("upgrades", task.woken.0.load(SeqCst)),
        };
        (format!("{:?}", self.lock.snapshot()), self.tasks.iter().map(task).collect())
    }
}

/// Upgrades a guard that is returned, also if the future is dropped.
async fn upgraded(
    guard: Guard<'static>,
    kept: Arc<std::sync::Mutex<Option<Guard<'static>>>>,
) -> Guard<'static> {
    struct Keep(Option<Guard<'static>>, Arc<std::sync::Mutex<Option<Guard<'static>>>>);
    impl Drop for Keep {
        fn drop(&mut self) {
            *self.1.lock().unwrap() = self.0.take();
        }
    }
    let mut keep = Keep(Some(guard), kept);
    _ = keep.0.as_mut().unwrap().upgrade().await;
    keep.0.take().unwrap()
}

fn poll(mut future: Boxed<Guard<'static>>, cx: &mut Context<'_>) -> Stage {
    match future.as_mut().poll(cx) {
        Poll::Ready(guard) => Stage::Holds(guard),
        Poll::Pending => Stage::Acquires(future),
    }
}

fn upgrade(
    mut future: Boxed<Guard<'static>>,
    kept: Arc<std::sync::Mutex<Option<Guard<'static>>>>,
    cx: &mut Context<'_>,
) -> Stage {
    match future.as_mut().poll(cx) {
        Poll::Ready(guard) => Stage::HoldsLast(guard),
        Poll::Pending => Stage::Upgrades(future, kept),
    }
}

fn model_says(system: &System, world: &World) -> (String, Vec<(&'static str, bool)>) {
    let agents = world.agents[..system.specs.len()].iter().map(|agent| match agent.pc {
        Pc::Idle => ("idle", false),
        Pc::Yielded | Pc::Waits => ("waits", agent.woken),
        Pc::Holds(_) | Pc::HoldsLast(_) => ("holds", false),
        Pc::UpgradeWaits(_) => ("upgrades", agent.woken),
        other => panic!("a call is not over: {other:?}"),
    });
    (world.lock.snapshot(), agents.collect())
}

/// The model with the numbers of the lock.
fn system(waiters: &str) -> System {
    let mut system = System::new(text::specs(waiters));
    (system.symmetry, system.deferrals, system.polls) = (false, u8::MAX, 1024);
    system
}

fn actions(system: &System, world: &World) -> Vec<Action> {
    let mut actions = Vec::new();
    system.actions_of(world, &mut actions);
    actions
}

/// Takes the calls in both, and returns where the model is then.
fn replay(system: &System, calls: &[Action]) -> World {
    let (mut world, mut lock) = (system.init(), Lock::new(system));
    for (number, action) in calls.iter().enumerate() {
        world = system.call(&world, *action);
        lock.call(*action);
        let (model, real) = (model_says(system, &world), lock.says());
        assert_eq!(model, real, "the model and the lock, after {:?}", &calls[..=number]);
    }
    world
}

/// A small generator of numbers: `xorshift64`.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

/// All kinds of tasks. Each is polled when it is woken and at other times, and is dropped at any point.
const KINDS: [&str; 6] = ["Ssc0", "Usc0", "Xsc0", "Usc0>X", "Ssc0>X", "Xsc0>U"];

#[test]
fn random_calls_lead_to_the_same_in_the_model_and_in_the_lock() {
    let mut random = Random(0x9e3779b97f4a7c15);
    let (mut calls_in_all, mut overtaken, mut reserved, mut upgrades) = (0, 0, 0, 0);
    for _ in 0..3000 {
        let count = 2 + random.below(5);
        let mut kinds: Vec<_> = (0..count).map(|_| KINDS[random.below(KINDS.len())]).collect();
        kinds.sort_unstable();
        let system = system(&kinds.join(" "));
        let (mut world, mut lock) = (system.init(), Lock::new(&system));
        let mut calls = Vec::new();
        // Drops are few, or no waiter comes far.
        for _ in 0..100 {
            let all = actions(&system, &world);
            let seldom = |action: &&Action| action.what != What::Drop || calls.len() % 8 == 0;
            let all: Vec<_> = all.iter().filter(seldom).collect();
            let Some(action) = (!all.is_empty()).then(|| *all[random.below(all.len())]) else {
                continue;
            };
            calls.push(action);
            world = system.call(&world, action);
            lock.call(action);
            assert_eq!(model_says(&system, &world), lock.says(), "{kinds:?}: {calls:?}");
            overtaken += usize::from(world.agents.iter().any(|agent| agent.lost > 0));
            reserved += usize::from(world.lock.owner != multilock_model::world::NONE);
            upgrades +=
                usize::from(matches!(world.agents[action.who as usize].pc, Pc::UpgradeWaits(_)));
        }
        calls_in_all += calls.len();
    }
    // The calls have come to what is rare.
    assert!(calls_in_all > 200_000, "{calls_in_all}");
    assert!(
        overtaken > 10_000 && reserved > 1000 && upgrades > 1000,
        "{overtaken} {reserved} {upgrades}"
    );
}

/// Random traces of the lock are accepted by the model: here the lock says what may be called next.
#[test]
fn the_model_accepts_what_the_lock_does() {
    let mut random = Random(0x2545f4914f6cdd1d);
    for _ in 0..2000 {
        let count = 2 + random.below(5);
        let mut kinds: Vec<_> = (0..count).map(|_| KINDS[random.below(KINDS.len())]).collect();
        kinds.sort_unstable();
        let system = system(&kinds.join(" "));
        let (mut world, mut lock) = (system.init(), Lock::new(&system));
        for _ in 0..100 {
            let who = random.below(count);
            let what = match &lock.tasks[who].stage {
                Stage::Idle | Stage::Holds(_) | Stage::HoldsLast(_) => What::Go,
                Stage::Acquires(_) if random.below(8) == 0 => What::Drop,
                Stage::Upgrades(..) if random.below(3) == 0 => What::Drop,
                Stage::Acquires(_) | Stage::Upgrades(..) => What::Poll,
            };
            let action = Action { who: who as u8, what };
            assert!(actions(&system, &world).contains(&action), "{kinds:?}: {action:?} in {world}");
            lock.call(action);
            world = system.call(&world, action);
            assert_eq!(lock.says(), model_says(&system, &world), "{kinds:?}: {action:?}, {world}");
        }
    }
}

/// Each call that three tasks can make in any state that calls lead to, by the shortest way there.
#[test]
fn each_call_of_three_tasks_leads_to_the_same() {
    let mut calls_in_all = 0;
    for (number, first) in KINDS.iter().enumerate() {
        for (more, second) in KINDS[number..].iter().enumerate() {
            for third in &KINDS[number + more..] {
                // Once each: a task that has acquired the lock is done.
                let waiters = [first, second, third].map(|kind| kind.replace('0', "1")).join(" ");
                let system = system(&waiters);
                let mut ways = HashMap::from([(system.init(), Vec::new())]);
                let mut queue = VecDeque::from([system.init()]);
                while let Some(world) = queue.pop_front() {
                    let way: Vec<Action> = ways[&world].clone();
                    for action in actions(&system, &world) {
                        let mut way = way.clone();
                        way.push(action);
                        calls_in_all += 1;
                        let next = replay(&system, &way);
                        if !ways.contains_key(&next) {
                            ways.insert(next.clone(), way);
                            queue.push_back(next);
                        }
                    }
                }
            }
        }
    }
    assert!(calls_in_all > 10_000, "{calls_in_all}");
}
