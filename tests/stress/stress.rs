//! Very many acquisitions by every method, by threads and by tasks of several runtimes at the same locks,
//! with futures that are dropped at any point. The errors in question come from the interleaving of threads:
//! torn data, lost updates, stale flags, and tasks that are never woken.
//!
//! The tests run in short episodes, because during a long one other releases would wake a missed waiter by
//! chance. Each test takes a few seconds; `MULTILOCK_SECONDS=<number>` sets the time for each.
//!
//! A failure prints the seed of its episode, and the full state of each lock: see `watch`.
//! `MULTILOCK_SEED=<seed>` begins with that episode, which does not make the threads meet in the same way
//! again.

#![cfg(feature = "alloc")]
#![cfg(all(
    any(feature = "std", feature = "critical-section"),
    not(any(loom, shuttle, target_family = "wasm"))
))]

#[path = "../support/random.rs"]
mod random;
mod runtimes;
mod watch;
mod worker;

use std::array;
use std::cell::UnsafeCell;
use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::fmt;
use std::future::poll_fn;
use std::iter;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use Mode::{Exclusive, Shared, Upgradable};
use multilock::{HandleId, HandleLock, Mode, MultiLock, RwLock, Snapshot};
use random::{Choices, Random};
#[cfg(not(miri))]
use runtimes::Runtimes;
use runtimes::{Pool, Runtime, Threads};
use watch::{Desk, PATIENCE};
use worker::{Habits, Way, Worker, within_polls};

const LOCKS: usize = 6;
/// After those comes one lock whose acquisitions have names, and then the locks with data.
const NAMED: usize = LOCKS;
const QUEUE: usize = NAMED + 1;
const FIRST_ACCOUNT: usize = QUEUE + 1;
const ACCOUNTS: usize = 3;
const ALL_LOCKS: usize = FIRST_ACCOUNT + ACCOUNTS;

/// How many numbers the queue has room for.
const ROOM: usize = 2;

/// The number of names that are reused.
const NAMES: usize = 6;

/// A lock by its number, and the mode in which it is held.
type Hold = (usize, Mode);

/// How often each method has acquired, and how often it has not.
type Tally = BTreeMap<&'static str, [usize; 2]>;

/// The data behind a lock. It is atomic, so that a failure of the lock fails the test without undefined
/// behavior: every change is a load and, later, a store.
#[derive(Default)]
struct Data {
    /// All equal while no holder changes them.
    cells: [AtomicUsize; 3],
    /// The same number without an atomic, for tools that detect data races.
    plain: UnsafeCell<usize>,
    /// The current holders: a digit for each mode.
    present: AtomicUsize,
    /// The number of changes to the cells. It needs no lock.
    changes: AtomicUsize,
}

// SAFETY: `plain` is touched only in `touch`, by a holder.
unsafe impl Sync for Data {}

impl Data {
    /// Registers a holder, and checks that no holder is present that `mode` excludes.
    fn enter(&self, mode: Mode) -> impl Drop {
        struct Present<'a>(&'a AtomicUsize, usize);
        impl Drop for Present<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(self.1, Relaxed);
            }
        }
        const BITS: usize = usize::BITS as usize / Mode::ALL.len();
        let unit = |mode| 1 << (BITS * mode as usize);
        let others = self.present.fetch_add(unit(mode), Relaxed);
        let present = Present(&self.present, unit(mode));
        for other in Mode::ALL.into_iter().filter(|&other| mode.excludes(other)) {
            let count = others / unit(other) % (1 << BITS);
            assert_eq!(count, 0, "{mode:?} beside {other:?}");
        }
        present
    }

    /// The value of the cells.
    fn number(&self) -> usize {
        self.cells[0].load(Relaxed)
    }

    /// Changes the plain number as the cells were changed. They had the value `first`.
    fn touch(&self, first: usize, mode: Mode) {
        let plain = self.plain.get();
        // SAFETY: the caller holds the lock in `mode`: no other holder writes meanwhile, and none reads if
        // the mode is exclusive.
        unsafe {
            assert_eq!(*plain, first, "a holder's change is not visible");
            if mode == Exclusive {
                *plain = first + 1;
            }
        }
    }

    fn assert_total(&self) {
        let changes = self.changes.load(Relaxed);
        assert_eq!(self.cells.each_ref().map(|cell| cell.load(Relaxed)), [changes; 3]);
        self.touch(changes, Shared);
        assert_eq!(self.present.load(Relaxed), 0);
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, after {:?} changes", self.cells, self.changes)
    }
}

/// A reused name, or a name that only one task uses.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Number(usize),
    Fresh(HandleId),
}

impl From<HandleId> for Name {
    fn from(id: HandleId) -> Self {
        Self::Fresh(id)
    }
}

/// What all tasks of an episode share.
struct World {
    locks: [Arc<MultiLock>; LOCKS],
    named: HandleLock<Name>,
    /// Workers wait until it has room, and until it has a number.
    queue: RwLock<VecDeque<usize>>,
    /// The sum of the numbers in the queue.
    queued: AtomicUsize,
    /// The total is zero while no worker transfers.
    accounts: [RwLock<i64>; ACCOUNTS],
    /// One for each lock.
    data: [Data; ALL_LOCKS],
    /// The number of tasks that use each name.
    users: [AtomicUsize; NAMES],
    desks: Vec<Desk>,
    /// The number of acquisitions on their way to another thread.
    on_the_way: AtomicUsize,
}

impl World {
    fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            locks: Default::default(),
            named: HandleLock::new(),
            queue: RwLock::default(),
            queued: AtomicUsize::new(0),
            accounts: Default::default(),
            data: Default::default(),
            users: Default::default(),
            desks: iter::repeat_with(Desk::default).take(workers).collect(),
            on_the_way: AtomicUsize::new(0),
        })
    }

    /// The number of tasks that use `name`, if it is one of the reused names.
    fn users(&self, name: &Name) -> Option<&AtomicUsize> {
        match name {
            Name::Number(number) => Some(&self.users[*number]),
            Name::Fresh(_) => None,
        }
    }

    /// The word of the `n`th lock.
    fn word(&self, n: usize) -> Snapshot {
        match n {
            NAMED => self.named.snapshot(),
            QUEUE => self.queue.raw().snapshot(),
            FIRST_ACCOUNT.. => self.accounts[n - FIRST_ACCOUNT].raw().snapshot(),
            _ => self.locks[n].snapshot(),
        }
    }

    fn assert_total(&self) {
        for n in 0..ALL_LOCKS {
            self.data[n].assert_total();
            assert_eq!(self.word(n), MultiLock::new().snapshot(), "of lock {n}");
        }
        assert_eq!(self.named.holders(), []);
        assert_eq!(self.on_the_way.load(Relaxed), 0);
        assert_eq!(self.queue.try_read().unwrap().len(), 0);
        assert_eq!(self.queued.load(Relaxed), 0, "a number was lost or came twice");
        let total = self.accounts.iter().map(|account| *account.try_read().unwrap());
        assert_eq!(total.sum::<i64>(), 0);
    }
}

impl Random {
    /// `count` of the first `among` locks, or all of them, in random order.
    fn seats(&mut self, count: usize, among: usize) -> Vec<usize> {
        let mut all: [usize; LOCKS] = array::from_fn(|n| n);
        let count = count.min(among);
        for n in 0..count {
            all.swap(n, n + self.below(among - n));
        }
        all[..count].to_vec()
    }
}

/// The parameters of an episode.
struct Plan {
    /// The number of tasks: one of these.
    tasks: &'static [usize],
    ways: &'static [Way],
    /// Each episode leaves out some of the ways, and other things.
    leaves_out_some: bool,
    /// The number of locks in use: each of these in turn.
    among: &'static [usize],
    /// How often each task tries to acquire something: one of these. A missed waiter shows at the end of an
    /// episode, so there are short ones.
    turns: &'static [usize],
    /// No task may acquire before all have begun.
    is_gated: bool,
    /// The duration in seconds.
    time: u64,
    /// The methods that must have acquired at least once.
    needs: &'static [&'static str],
}

impl Plan {
    const LONG: Self = Self {
        tasks: &[],
        ways: Way::ALL,
        // Under Miri there is one episode.
        leaves_out_some: !cfg!(miri),
        among: if cfg!(miri) { &[2] } else { &[1, 2, LOCKS] },
        turns: if cfg!(miri) { &[8] } else { &[1, 3, 20] },
        is_gated: false,
        time: if cfg!(miri) { 0 } else { 3 },
        needs: if cfg!(miri) { &[] } else { WAYS },
    };

    /// Runs episodes one after another.
    fn run(self, spawn: impl Fn(Worker)) {
        let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().expect(name));
        let time = Duration::from_secs(number("MULTILOCK_SECONDS").unwrap_or(self.time));
        let (start, mut episodes, mut tally) = (Instant::now(), 0, Tally::new());
        for seed in number("MULTILOCK_SEED").unwrap_or(0).. {
            for (way, [acquired, in_vain]) in self.episode(seed, &spawn).into_iter().flatten() {
                let total = tally.entry(way).or_default();
                *total = [total[0] + acquired, total[1] + in_vain];
            }
            episodes += 1;
            let is_missing = |way: &&&str| tally.get(*way).is_none_or(|counts| counts[0] == 0);
            let missing = self.needs.iter().find(is_missing);
            let spent = start.elapsed();
            if episodes >= self.among.len() && spent >= time {
                match missing {
                    Some(way) => assert!(spent < time + PATIENCE, "never: {way}"),
                    None => break,
                }
            }
        }
        eprintln!("{episodes} episodes: {tally:?}");
    }

    fn episode(&self, seed: u64, spawn: impl Fn(Worker)) -> Vec<Tally> {
        let mut random = Random(seed << 32);
        let tasks = self.tasks[random.below(self.tasks.len())];
        let turns = self.turns[random.below(self.turns.len())];
        let among = self.among[seed as usize % self.among.len()];
        let habits = if self.leaves_out_some {
            Habits::some(among, self.ways, &mut random)
        } else {
            Habits::all(among, self.ways)
        };
        let world = World::new(tasks + 1);
        let _seed = Seed(seed, &world);

        let ((end, ended), (left, left_by_others)) = (channel(), channel());
        let worker = |number| Worker {
            world: world.clone(),
            number,
            random: Random((seed << 32) + 1 + number as u64),
            end: end.clone(),
            left: Some(left.clone()),
            turns,
            habits: habits.clone(),
            tally: Tally::new(),
        };
        let janitor = worker(tasks);
        thread::spawn(move || Threads::block_on(janitor.run_janitor(left_by_others)));
        let gate = self.is_gated.then(|| {
            world.locks.each_ref().map(|lock| lock.try_acquire(Exclusive).expect("it is new"))
        });
        (0..tasks).map(worker).for_each(spawn);
        drop((end, left));
        if gate.is_some() {
            watch::until_all_have_begun(&world);
        }
        drop(gate);
        let tallies = watch::watch(&world, ended);
        world.assert_total();
        tallies
    }
}

/// Prints the episode if it fails.
struct Seed<'a>(u64, &'a World);

impl Drop for Seed<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("MULTILOCK_SEED={}", self.0);
            watch::print(self.1);
        }
    }
}

const WAYS: &[&str] = &[
    "try",
    "wait",
    "acquire_or",
    "acquire",
    "all",
    "each",
    "transfer",
    "queue",
    "upgrade",
    "monitor",
    "monitor of a set",
    "name",
    "left to another",
    "dropped when woken",
];

/// Of threads.
const BLOCKING: &[&str] =
    if cfg!(any(miri, not(feature = "std"))) { &[] } else { &["block", "timeout", "deadline"] };

/// Far more threads than cores, all of which block.
#[test]
fn threads_at_the_same_locks() {
    let tasks: &[usize] = if cfg!(miri) { &[3] } else { &[2, 3, 4, 8, 48] };
    let needs = BLOCKING;
    Plan { tasks, needs, ..Plan::LONG }.run(|worker| {
        thread::spawn(|| Threads::block_on(worker.run::<Threads>()));
    });
}

#[test]
fn tasks_that_move_from_thread_to_thread() {
    let tasks: &[usize] = if cfg!(miri) { &[4] } else { &[3, 8, 32] };
    let pool = Pool::new(3);
    Plan { tasks, ..Plan::LONG }.run(|worker| pool.spawn(worker.run::<Pool>()));
}

/// With threads beside the tasks.
#[cfg(not(miri))]
#[test]
fn tasks_of_three_runtimes_at_the_same_locks() {
    let runtimes = Runtimes::new();
    Plan { tasks: &[4, 16, 64], ..Plan::LONG }.run(|worker| {
        if worker.number % 4 == 3 {
            thread::spawn(|| Threads::block_on(worker.run::<Threads>()));
        } else {
            runtimes.spawn(worker);
        }
    });
}

#[cfg(not(miri))]
#[test]
fn ten_thousand_tasks_of_three_runtimes() {
    let runtimes = Runtimes::new();
    let plan = Plan {
        tasks: &[10_000],
        ways: Way::FEW_WAKE_UPS,
        leaves_out_some: false,
        among: &[1, LOCKS],
        turns: &[1],
        is_gated: true,
        needs: &[],
        ..Plan::LONG
    };
    plan.run(|worker| runtimes.spawn(worker));
}
