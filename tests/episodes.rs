//! Threads acquire, poll, drop and release at random for a short while, at the same two locks. Then one
//! thread runs the remaining tasks, by wake-ups alone: no task may be left asleep that only another
//! thread would have woken.
//!
//! A failure prints its seed. `MULTILOCK_SEED=<seed>` runs that episode alone, which does not make the
//! threads meet in the same way again. `MULTILOCK_CASES=<number>` sets the number of episodes.

#![cfg(all(feature = "std", not(target_family = "wasm"), not(any(loom, shuttle))))]

#[path = "support/random.rs"]
mod random;
mod support;

use std::pin::Pin;
use std::sync::Barrier;
use std::task::Poll;
use std::thread;

use multilock::{AllGuard, Guard, Mode, MultiLock, acquire_all};
use random::{Choices, Random, for_seeds};
use support::{Task, assert_idle};

const THREADS: u64 = 3;
const STEPS: usize = 40;

#[test]
fn after_every_episode_no_task_is_left_asleep() {
    for_seeds(if cfg!(miri) { 2 } else { 1_000 }, episode);
}

type Locks = [MultiLock; 2];

enum Done<'a> {
    One(Guard<'a>),
    Both(AllGuard<[(&'a MultiLock, Mode); 2]>),
    Told,
}

type Wait<'a> = Pin<Box<dyn Future<Output = Done<'a>> + Send + 'a>>;

/// The guards and tasks of one thread.
#[derive(Default)]
struct Mine<'a> {
    tasks: Vec<(String, Task<Wait<'a>>)>,
    guards: Vec<Guard<'a>>,
    sets: Vec<AllGuard<[(&'a MultiLock, Mode); 2]>>,
}

impl<'a> Mine<'a> {
    fn spawn(&mut self, what: String, wait: impl Future<Output = Done<'a>> + Send + 'a) {
        self.tasks.push((what, Task::new(Box::pin(wait) as Wait<'a>)));
        self.poll(self.tasks.len() - 1);
    }

    fn poll(&mut self, n: usize) {
        let Poll::Ready(done) = self.tasks[n].1.poll() else { return };
        drop(self.tasks.swap_remove(n));
        match done {
            Done::One(guard) => self.guards.push(guard),
            Done::Both(guard) => self.sets.push(guard),
            Done::Told => {}
        }
    }

    fn step(&mut self, locks: &'a Locks, random: &mut Random) {
        let at = usize::from(random.one_in(4));
        let (lock, mode, other) = (&locks[at], random.mode(), random.mode());
        match random.below(14) {
            0..=3 => {
                let acquire = async move { Done::One(lock.acquire(mode).await) };
                self.spawn(format!("acquire {at} {mode:?}"), acquire);
            }
            4 => {
                let wanted = [(&locks[0], mode), (&locks[1], other)];
                let acquire = async move { Done::Both(acquire_all(wanted).await) };
                self.spawn(format!("acquire all {mode:?} {other:?}"), acquire);
            }
            5 => {
                let wait = async move {
                    lock.wait(mode).await;
                    Done::Told
                };
                self.spawn(format!("wait {at} {mode:?}"), wait);
            }
            6 => {
                let Some(mut guard) = self.guards.pop() else { return };
                let upgrade = async move {
                    let _ = guard.upgrade().await;
                    Done::One(guard)
                };
                self.spawn("upgrade".into(), upgrade);
            }
            7..=8 if !self.tasks.is_empty() => {
                let n = random.below(self.tasks.len());
                if random.one_in(3) {
                    self.tasks[n].1.renew_waker();
                }
                self.poll(n);
            }
            9 if !self.tasks.is_empty() => {
                drop(self.tasks.swap_remove(random.below(self.tasks.len())));
            }
            10 => self.guards.extend(lock.try_acquire(mode)),
            11 if random.one_in(2) => {
                let Some(guard) = self.guards.last_mut() else { return };
                guard.downgrade(mode.min(guard.mode()));
            }
            12 => drop(self.sets.pop()),
            _ if !self.guards.is_empty() => {
                drop(self.guards.swap_remove(random.below(self.guards.len())));
            }
            _ => {}
        }
    }

    /// From here on tasks run only when they are woken, and acquisitions end.
    fn run_all(&mut self, random: &mut Random) {
        loop {
            let is_woken = |n: &usize| self.tasks[*n].1.woken();
            let woken: Vec<_> = (0..self.tasks.len()).filter(is_woken).collect();
            let guards = woken.len() + self.guards.len();
            match random.below((guards + self.sets.len()).max(1)) {
                n if n < woken.len() => self.poll(woken[n]),
                n if n < guards => drop(self.guards.swap_remove(n - woken.len())),
                _ if self.sets.pop().is_none() => return,
                _ => {}
            }
        }
    }
}

fn episode(seed: u64) {
    let locks = Locks::default();
    let start = Barrier::new(THREADS as usize);
    let run = |thread| {
        let mut random = Random(seed * THREADS + thread);
        let mut mine = Mine::default();
        start.wait();
        for _ in 0..STEPS {
            mine.step(&locks, &mut random);
            if random.one_in(8) {
                thread::yield_now();
            }
        }
        mine
    };
    let mut all = Mine::default();
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || run(n))).collect();
        for thread in threads {
            let mine = thread.join().unwrap();
            all.tasks.extend(mine.tasks);
            all.guards.extend(mine.guards);
            all.sets.extend(mine.sets);
        }
    });
    all.run_all(&mut Random(seed));
    let asleep: Vec<_> = all.tasks.iter().map(|task| &task.0).collect();
    assert!(asleep.is_empty(), "left asleep: {asleep:?}; {locks:?}");
    locks.iter().for_each(assert_idle);
}
