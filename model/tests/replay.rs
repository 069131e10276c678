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

use multilock::{AllGuard, Guard, MultiLock, acquire_all};
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

/// Both locks, in the order in which the caller names them.
type Both = [(&'static MultiLock, multilock::Mode); 2];

/// The words of the locks, and what each task is at.
type Said = ([String; 2], Vec<(&'static str, bool)>);

/// What a task of the lock is at.
enum Stage {
    Idle,
    Acquires(Boxed<Guard<'static>>),
    Holds(Guard<'static>),
    /// It has used its guard as it is to be used, and releases it next.
    HoldsLast(Guard<'static>),
    AcquiresBoth(Boxed<AllGuard<Both>>),
    HoldsBoth(AllGuard<Both>),
    Upgrades(Boxed<Guard<'static>>, Arc<std::sync::Mutex<Option<Guard<'static>>>>),
}

struct Task {
    stage: Stage,
    woken: Arc<Flag>,
}

struct Lock<'a> {
    locks: &'static [MultiLock; 2],
    tasks: Vec<Task>,
    system: &'a System,
}

impl<'a> Lock<'a> {
    fn new(system: &'a System) -> Self {
        let task = |_| Task { stage: Stage::Idle, woken: Arc::new(Flag(AtomicBool::new(false))) };
        Self {
            locks: Box::leak(Box::new([MultiLock::new(), MultiLock::new()])),
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
            (What::Go, Stage::Idle) if spec.is_set() => {
                let mut both = [0, 1].map(|n| (&self.locks[n], mode(spec.mode_at(n))));
                // The order makes no difference.
                if action.who % 2 == 0 {
                    both.reverse();
                }
                poll_both(Box::pin(acquire_all(both)), &mut cx)
            }
            (What::Go, Stage::Idle) => {
                let lock = &self.locks[spec.lock as usize];
                poll(Box::pin(lock.acquire(mode(spec.mode))), &mut cx)
            }
            (What::Go, Stage::HoldsBoth(guard)) => {
                drop(guard);
                Stage::Idle
            }
            (What::Poll, Stage::AcquiresBoth(future)) => poll_both(future, &mut cx),
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
    fn says(&self) -> Said {
        let task = |task: &Task| match &task.stage {
            Stage::Idle => ("idle", false),
            Stage::Acquires(_) | Stage::AcquiresBoth(_) => ("waits", task.woken.0.load(SeqCst)),
            Stage::Holds(_) | Stage::HoldsLast(_) | Stage::HoldsBoth(_) => ("holds", false),
            Stage::Upgrades(..) => ("upgrades", task.woken.0.load(SeqCst)),
        };
        let words = self.locks.each_ref().map(|lock| format!("{:?}", lock.snapshot()));
        (words, self.tasks.iter().map(task).collect())
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

fn poll_both(mut future: Boxed<AllGuard<Both>>, cx: &mut Context<'_>) -> Stage {
    match future.as_mut().poll(cx) {
        Poll::Ready(guard) => Stage::HoldsBoth(guard),
        Poll::Pending => Stage::AcquiresBoth(future),
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

fn model_says(system: &System, world: &World) -> Said {
    let agents = world.agents[..system.specs.len()].iter().map(|agent| match agent.pc {
        Pc::Idle => ("idle", false),
        Pc::Yielded | Pc::Waits => ("waits", agent.woken),
        Pc::Holds(_) | Pc::HoldsLast(_) => ("holds", false),
        Pc::UpgradeWaits(_) => ("upgrades", agent.woken),
        other => panic!("a call is not over: {other:?}"),
    });
    ([world.lock.snapshot(), world.second.snapshot()], agents.collect())
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

const KINDS_WITH_SETS: [&str; 8] =
    ["X+Xsc0", "X+Ssc0", "S+Xsc0", "U+Usc0", "Xsc0", "XBsc0", "SBsc0", "Usc0"];

#[test]
fn random_calls_lead_to_the_same_in_the_model_and_in_the_lock() {
    let [calls, overtaken, reserved, upgrades, _] = random_calls(&KINDS, 3000);
    // The calls have come to what is rare.
    assert!(calls > 200_000, "{calls}");
    assert!(
        overtaken > 10_000 && reserved > 1000 && upgrades > 1000,
        "{overtaken} {reserved} {upgrades}"
    );
}

#[test]
fn random_calls_lead_to_the_same_for_sets() {
    let [calls, overtaken, reserved, _, turned_away] = random_calls(&KINDS_WITH_SETS, 3000);
    assert!(calls > 200_000, "{calls}");
    assert!(
        overtaken > 10_000 && reserved > 1000 && turned_away > 1000,
        "{overtaken} {reserved} {turned_away}"
    );
}

/// Returns how many calls there were, and after how many of them a waiter had lost a race, had reserved a lock, upgrades,
/// or is a set that was turned away twice.
fn random_calls(all_kinds: &[&'static str], runs: usize) -> [usize; 5] {
    let mut random = Random(0x9e3779b97f4a7c15);
    let (mut calls_in_all, mut overtaken, mut reserved, mut upgrades) = (0, 0, 0, 0);
    let mut turned_away = 0;
    for _ in 0..runs {
        let count = 2 + random.below(5);
        let mut kinds: Vec<_> =
            (0..count).map(|_| all_kinds[random.below(all_kinds.len())]).collect();
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
            turned_away += usize::from(world.agents.iter().any(|agent| agent.set.turned_away > 1));
            upgrades +=
                usize::from(matches!(world.agents[action.who as usize].pc, Pc::UpgradeWaits(_)));
        }
        calls_in_all += calls.len();
    }
    [calls_in_all, overtaken, reserved, upgrades, turned_away]
}

/// Random traces of the lock are accepted by the model: here the lock says what may be called next.
#[test]
fn the_model_accepts_what_the_lock_does() {
    accepts(&KINDS);
}

#[test]
fn the_model_accepts_what_sets_do() {
    accepts(&KINDS_WITH_SETS);
}

fn accepts(all_kinds: &[&'static str]) {
    let mut random = Random(0x2545f4914f6cdd1d);
    for _ in 0..2000 {
        let count = 2 + random.below(5);
        let mut kinds: Vec<_> =
            (0..count).map(|_| all_kinds[random.below(all_kinds.len())]).collect();
        kinds.sort_unstable();
        let system = system(&kinds.join(" "));
        let (mut world, mut lock) = (system.init(), Lock::new(&system));
        for _ in 0..100 {
            let who = random.below(count);
            let what = match &lock.tasks[who].stage {
                Stage::Idle | Stage::Holds(_) | Stage::HoldsLast(_) | Stage::HoldsBoth(_) => {
                    What::Go
                }
                Stage::Acquires(_) | Stage::AcquiresBoth(_) if random.below(8) == 0 => What::Drop,
                Stage::Upgrades(..) if random.below(3) == 0 => What::Drop,
                Stage::Acquires(_) | Stage::AcquiresBoth(_) | Stage::Upgrades(..) => What::Poll,
            };
            let action = Action { who: who as u8, what };
            assert!(actions(&system, &world).contains(&action), "{kinds:?}: {action:?} in {world}");
            lock.call(action);
            world = system.call(&world, action);
            assert_eq!(lock.says(), model_says(&system, &world), "{kinds:?}: {action:?}, {world}");
        }
    }
}

/// Before each poll of the set, the lock at which it waits becomes free, and the other one is held.
#[test]
fn a_set_that_is_turned_away_again_and_again_reserves_the_first_lock_in_both() {
    let system = system("X+Xs0 X0 XB0");
    let (mut world, mut calls, mut reserved) = (system.init(), Vec::new(), 0);
    let mut call = |who, what, world: &mut World| {
        let action = Action { who, what };
        assert!(actions(&system, world).contains(&action), "{action:?} in {world}");
        calls.push(action);
        *world = replay(&system, &calls);
    };
    call(1, What::Go, &mut world);
    call(0, What::Go, &mut world);
    for turn in 1..10 {
        let at = world.agents[0].set.at;
        assert_eq!(at, (turn + 1) % 2, "{turn}");
        // Since the set has reserved the first lock, its holder yields before it acquires it.
        call(2 - at, What::Go, &mut world);
        while world.agents[usize::from(2 - at)].pc == Pc::Yielded {
            if reserved > 0 {
                return;
            }
            call(2 - at, What::Poll, &mut world);
        }
        call(1 + at, What::Go, &mut world);
        while world.agents[0].set.at == at {
            call(0, What::Poll, &mut world);
        }
        assert_eq!(world.agents[0].set.turned_away, turn.min(6));
        reserved += usize::from(world.agents[0].set.reserves);
    }
    panic!("the set reserves no lock");
}

/// Each call that three tasks can make in any state that calls lead to, by the shortest way there.
#[test]
fn each_call_of_three_tasks_leads_to_the_same() {
    let calls = each_call(&KINDS);
    assert!(calls > 10_000, "{calls}");
}

#[test]
fn each_call_beside_sets_leads_to_the_same() {
    let calls = each_call(&KINDS_WITH_SETS);
    assert!(calls > 10_000, "{calls}");
}

fn each_call(kinds: &[&str]) -> usize {
    let mut calls_in_all = 0;
    for (number, first) in kinds.iter().enumerate() {
        for (more, second) in kinds[number..].iter().enumerate() {
            for third in &kinds[number + more..] {
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
    calls_in_all
}
