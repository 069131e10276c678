//! No waiter starves, however other waiters are polled, and a waiter that is not polled blocks no other.
//!
//! Futures in a `select!`, in a `join!` or in a stream are polled for reasons of their own, any number of times while another
//! task waits for its turn. The rivals in this file are tasks of that kind: each acquires the lock, holds it for a turn of
//! the executor, and starts over. The waiter beside them is polled only when it is woken.
//!
//! A waiter *loses a race* when it was woken and finds the lock held. For a waiter that has lost some races the lock is
//! reserved until it has acquired the lock, or proves *dormant*: it is not polled.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]

#[path = "support/fifo.rs"]
mod fifo;
#[path = "support/moment.rs"]
mod moment;
#[path = "support/random.rs"]
mod random;
mod support;

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use multilock::Mode::{self, Exclusive, Shared, Upgradable};
use multilock::{
    Guard, HandleLock, LockSet, MultiLock, RwLock, RwLockUpgradableReadGuard,
    RwLockUpgradableReadGuardArc, acquire_all, lock_all,
};

use fifo::{Fifo, turns};
use moment::{Moment, TIMED};
use random::{Choices, Random, for_seeds};
use support::{Task, assert_idle, hold};

/// A waiter that is polled later says nothing about fairness: on a slow machine a round of polls may take longer than a
/// reservation lasts.
const LATE: Duration = Duration::from_micros(if TIMED { 400 } else { u64::MAX });

/// How often the rivals may acquire, at most, before the waiter does.
const BOUND: usize = 100;
/// The same for a set that waits for one of its members.
const SET_BOUND: usize = 1_000;

/// More races than a waiter must lose before the lock is reserved for it.
const LOSSES: usize = if cfg!(miri) { 5 } else { 12 };

// --------------------------------------------------------------------------------- Acquisitions

/// A guard of any type.
trait Holds {}

impl<G> Holds for G {}

/// An acquisition of any type.
type Acquisition<'a> = Pin<Box<dyn Future<Output = Box<dyn Holds + 'a>> + 'a>>;

fn boxed<'a, G: 'a>(acquisition: impl Future<Output = G> + 'a) -> Acquisition<'a> {
    Box::pin(async move { Box::new(acquisition.await) as Box<dyn Holds + 'a> })
}

type Locks<L> = fn() -> L;
type Acquires<L> = for<'a> fn(&'a L, Mode) -> Acquisition<'a>;

/// A `HandleLock`, and the next name.
#[derive(Default)]
struct Named {
    lock: HandleLock<usize>,
    next: Cell<usize>,
}

impl Named {
    fn name(&self) -> usize {
        self.next.replace(self.next.get() + 1)
    }
}

/// An acquisition, by its name.
struct ByName<'a>(&'a HandleLock<usize>, usize);

impl Drop for ByName<'_> {
    fn drop(&mut self) {
        assert!(self.0.release(&self.1).is_some());
    }
}

/// Some locks, and the set of them.
struct Several {
    locks: Vec<Arc<MultiLock>>,
    set: LockSet<Arc<MultiLock>>,
}

impl Several {
    fn new(number: usize) -> Self {
        let mut locks: Vec<_> = (0..number).map(|_| Arc::default()).collect();
        locks.sort_by_key(Arc::as_ptr);
        let set = locks.iter().cloned().collect();
        Self { locks, set }
    }
}

// --------------------------------------------------------------------------------------- Rivals

#[derive(Clone, Copy, Debug, PartialEq)]
enum Made {
    /// One acquisition is polled in each turn until it is ready, like one that is pinned outside of a loop.
    Once,
    /// An acquisition that is not ready at the end of a turn is dropped, and the next turn makes another.
    Anew,
}

#[derive(Clone, Copy, Debug)]
struct Rivals {
    number: usize,
    /// How often each rival polls its acquisition in each of its turns. With zero it polls only when it is woken.
    polls: usize,
    made: Made,
}

impl Rivals {
    fn all() -> impl Iterator<Item = Self> {
        let [numbers, polls]: [&[_]; 2] =
            if cfg!(miri) { [&[2], &[0, 3]] } else { [&[2, 3, 7], &[0, 1, 3, 130]] };
        numbers.iter().flat_map(move |&number| {
            polls.iter().flat_map(move |&polls| {
                let made = if polls == 0 { &[Made::Once][..] } else { &[Made::Once, Made::Anew] };
                made.iter().map(move |&made| Self { number, polls, made })
            })
        })
    }

    /// An acquisition that is polled for other reasons, too: in each turn, as often as the rivals do.
    async fn acquire<'a>(self, make: impl Fn() -> Acquisition<'a>) -> Box<dyn Holds + 'a> {
        if self.polls == 0 {
            return make().await;
        }
        let mut acquisition = None;
        poll_fn(|cx| {
            // The other reason.
            cx.waker().wake_by_ref();
            let current = acquisition.get_or_insert_with(&make);
            let ready = (0..self.polls).map(|_| current.as_mut().poll(cx)).find(Poll::is_ready);
            if self.made == Made::Anew {
                acquisition = None;
            }
            ready.unwrap_or(Poll::Pending)
        })
        .await
    }
}

/// The modes in which rivals acquire a lock.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Crowd {
    Exclusive,
    Upgradable,
    Shared,
    /// Alternately shared and exclusive.
    Mixed,
}

impl Crowd {
    const ALL: [Self; 4] = [Self::Exclusive, Self::Upgradable, Self::Shared, Self::Mixed];

    fn mode(self, rival: usize) -> Mode {
        match self {
            Self::Exclusive => Exclusive,
            Self::Upgradable => Upgradable,
            Self::Shared => Shared,
            Self::Mixed => [Shared, Exclusive][rival % 2],
        }
    }

    /// For how many turns a rival holds the lock. Where several rivals may hold it at once, their acquisitions overlap.
    fn holds(self, rival: usize) -> usize {
        if self.mode(rival) == Shared { 4 } else { 1 }
    }

    /// Whether a waiter in `mode` has to wait for the rivals.
    fn excludes(self, mode: Mode) -> bool {
        [0, 1].into_iter().any(|rival| self.mode(rival).excludes(mode))
    }
}

/// Counts how often `rivals` acquire between the first poll of a waiter and its acquisition: the worst of several times, or
/// `most` if the waiter has not acquired by then. Each rival has a number, and `holds` says for how many turns it holds the
/// lock.
///
/// While the waiter was woken too long ago, and is not polled, they are counted anew. Returns `None` if it is always polled
/// too late.
fn race<'a>(
    rivals: Rivals,
    most: usize,
    waiter: impl Fn() -> Acquisition<'a>,
    rival: impl Fn(usize) -> Acquisition<'a>,
    holds: impl Fn(usize) -> usize,
) -> Option<usize> {
    const TIMES: usize = if cfg!(miri) { 1 } else { 3 };
    let [all, count, worst] = [(); 3].map(|()| Cell::new(0));
    let [all, count, worst] = [&all, &count, &worst];
    let (rival, holds) = (&rival, &holds);
    let mut fifo = Fifo::default();
    for n in 0..rivals.number {
        fifo.spawn(async move {
            loop {
                let held = rivals.acquire(|| rival(n)).await;
                all.set(all.get() + 1);
                turns(holds(n)).await;
                drop(held);
            }
        });
    }
    let waiter = fifo.spawn(async {
        for time in 0..TIMES {
            // The rivals are running, each time in another state.
            turns(rivals.number + time).await;
            count.set(0);
            let held = waiter().await;
            worst.set(worst.get().max(count.get()));
            turns(1).await;
            drop(held);
        }
    });
    for turn in 0.. {
        let before = all.get();
        assert!(fifo.turn(), "all tasks sleep, and the lock is free: {rivals:?}");
        if fifo.is_over(waiter) {
            break;
        }
        match fifo.is_woken_for(waiter) {
            Some(time) if time >= LATE => count.set(0),
            _ => count.set(count.get() + all.get() - before),
        }
        if count.get() >= most {
            return Some(most);
        }
        assert!(turn < 1_000_000, "all tasks are polled, and none acquires: {rivals:?}");
        if all.get() > if cfg!(miri) { 2 } else { 5 } * most {
            return None;
        }
    }
    Some(worst.get())
}

/// The cases of one test, and the worst of them.
struct Cases {
    bound: usize,
    number: usize,
    worst: usize,
    which: String,
    beyond: Vec<String>,
}

impl Cases {
    /// After this many failures it is clear what fails: the remaining cases are skipped.
    const ENOUGH: usize = 4;

    fn new(bound: usize) -> Self {
        Self { bound, number: 0, worst: 0, which: String::new(), beyond: Vec::new() }
    }

    /// How often the rivals acquire in one case before the case ends without the waiter.
    fn most(&self) -> usize {
        2 * self.bound
    }

    fn run(&mut self, case: impl Debug, race: impl FnOnce(usize) -> Option<usize>) {
        // Under Miri this only checks that all tasks end.
        if self.beyond.len() >= Self::ENOUGH || cfg!(miri) && self.number >= 3 {
            return;
        }
        self.number += 1;
        let Some(count) = race(self.most()) else {
            println!("too slow to tell: {case:?}");
            return;
        };
        if count > self.bound {
            self.beyond.push(format!("{case:?}"));
        }
        if count >= self.worst {
            self.worst = count;
            self.which = format!("{case:?}");
        }
    }

    #[track_caller]
    fn check(&self, what: &str) {
        let Self { bound, number, worst, which, beyond } = self;
        assert!(*number > 0);
        println!(
            "{what}: at worst {worst} acquisitions by the rivals, with {which}; {number} cases"
        );
        assert!(
            beyond.is_empty(),
            "{what}: the rivals acquire more than {bound} times before the waiter does, with {beyond:#?}"
        );
    }
}

/// A waiter of each mode beside rivals in exclusive mode, all by the same kind of acquisition.
#[track_caller]
fn check<L>(what: &str, new: Locks<L>, acquire: Acquires<L>) {
    check_crowds(what, &[Crowd::Exclusive], new, acquire);
}

#[track_caller]
fn check_crowds<L>(what: &str, crowds: &[Crowd], new: Locks<L>, acquire: Acquires<L>) {
    let mut cases = Cases::new(BOUND);
    for &crowd in crowds {
        for mode in Mode::ALL.into_iter().filter(|mode| crowd.excludes(*mode)) {
            for rivals in Rivals::all() {
                let lock = new();
                let waiter = || acquire(&lock, mode);
                let rival = |n| acquire(&lock, crowd.mode(n));
                cases.run((mode, crowd, rivals), |most| {
                    race(rivals, most, waiter, rival, |n| crowd.holds(n))
                });
            }
        }
    }
    cases.check(what);
}

// ---------------------------------------------------------------------- Fairness, one lock, tasks

#[test]
fn q3_a_waiter_of_any_mode_acquires_beside_rivals_of_all_modes() {
    check_crowds("acquire", &Crowd::ALL, MultiLock::new, |lock, mode| boxed(lock.acquire(mode)));
}

#[test]
fn q3_no_waiter_starves_in_acquire_or() {
    check("acquire_or", MultiLock::new, |lock, mode| {
        boxed(async move { lock.acquire_or(mode, pending::<()>()).await.unwrap() })
    });
}

#[test]
fn q3_no_waiter_starves_for_guards_that_own_the_lock() {
    check("acquire_arc", Arc::<MultiLock>::default, |lock, mode| boxed(lock.acquire_arc(mode)));
    check("acquire_or_arc", Arc::<MultiLock>::default, |lock, mode| {
        boxed(async move { lock.acquire_or_arc(mode, pending::<()>()).await.unwrap() })
    });
}

#[test]
fn q3_no_waiter_starves_at_locks_with_data() {
    check("RwLock", RwLock::<u32>::default, |lock, mode| match mode {
        Shared => boxed(lock.read()),
        Upgradable => boxed(lock.upgradable_read()),
        Exclusive => boxed(lock.write()),
    });
}

#[test]
fn q3_no_waiter_starves_for_guards_with_data_that_own_the_lock() {
    check("RwLock in an Arc", Arc::<RwLock<u32>>::default, |lock, mode| match mode {
        Shared => boxed(lock.read_arc()),
        Upgradable => boxed(lock.upgradable_read_arc()),
        Exclusive => boxed(lock.write_arc()),
    });
}

#[test]
fn q3_no_waiter_starves_at_locks_with_data_that_may_be_canceled() {
    check("RwLock::read_or", RwLock::<u32>::default, |lock, mode| match mode {
        Shared => boxed(async { lock.read_or(pending::<()>()).await.unwrap() }),
        Upgradable => boxed(async { lock.upgradable_read_or(pending::<()>()).await.unwrap() }),
        Exclusive => boxed(async { lock.write_or(pending::<()>()).await.unwrap() }),
    });
}

#[test]
fn q3_no_waiter_starves_whose_condition_holds() {
    check("RwLock::read_when", RwLock::<u32>::default, |lock, mode| match mode {
        Shared => boxed(lock.read_when(|_| true)),
        Upgradable => boxed(lock.upgradable_read_when(|_| true)),
        Exclusive => boxed(lock.write_when(|_| true)),
    });
}

/// The rivals make it hold, and are there before the waiter learns of it.
#[test]
fn q3_no_waiter_starves_whose_condition_comes_to_hold() {
    let mut cases = Cases::new(BOUND);
    for mode in Mode::ALL {
        for rivals in Rivals::all() {
            let (lock, writes) = (&RwLock::new(0), &Cell::new(0));
            let rival = |_| {
                boxed(async {
                    let mut guard = lock.write().await;
                    *guard += 1;
                    writes.set(*guard);
                    guard
                })
            };
            let waiter = || {
                let enough = writes.get() + 5;
                let holds = move |number: &usize| *number >= enough;
                match mode {
                    Shared => boxed(lock.read_when(holds)),
                    Upgradable => boxed(lock.upgradable_read_when(holds)),
                    Exclusive => boxed(lock.write_when(holds)),
                }
            };
            cases.run((mode, rivals), |most| race(rivals, most, waiter, rival, |_| 1));
        }
    }
    cases.check("a condition that comes to hold");
}

#[test]
fn q3_no_waiter_starves_for_acquisitions_with_names() {
    check("HandleLock::acquire_or", Named::default, |named, mode| {
        let (lock, name) = (&named.lock, named.name());
        boxed(async move {
            lock.acquire_or(mode, name, pending::<()>()).await.unwrap().unwrap();
            ByName(lock, name)
        })
    });
    check("HandleLock::acquire", Named::default, |named, mode| {
        let (lock, name) = (&named.lock, named.name());
        boxed(async move {
            lock.acquire(mode, name).await.unwrap();
            ByName(lock, name)
        })
    });
}

#[test]
fn q3_no_waiter_starves_for_guards_with_names() {
    check("HandleLock::context", Named::default, |named, mode| {
        let context = named.lock.context(mode, named.name());
        boxed(async move { context.await.unwrap() })
    });
    check("HandleLock::context_or", Named::default, |named, mode| {
        let context = named.lock.context_or(mode, named.name(), pending::<()>());
        boxed(async move { context.await.unwrap().unwrap() })
    });
}

#[test]
fn q3_a_set_of_one_lock_acquires_as_soon_as_a_waiter() {
    check("acquire_all of one lock", MultiLock::new, |lock, mode| {
        boxed(acquire_all([(lock, mode)]))
    });
}

#[cfg(all(feature = "lock_api", not(target_family = "wasm")))]
#[test]
fn q3_no_waiter_starves_for_guards_of_lock_api() {
    use multilock::{lock_api_read, lock_api_upgradable_read, lock_api_write};

    type Lock = lock_api::RwLock<MultiLock, u32>;
    check("lock_api", Lock::default, |lock, mode| match mode {
        Shared => boxed(lock_api_read(lock)),
        Upgradable => boxed(lock_api_upgradable_read(lock)),
        Exclusive => boxed(lock_api_write(lock)),
    });
}

/// Waiters of all modes at once, two of each mode.
#[test]
fn q3_several_waiters_at_once_do_not_starve() {
    const WAITERS: usize = 6;
    let mut cases = Cases::new(WAITERS * BOUND);
    for rivals in Rivals::all() {
        let lock = &MultiLock::new();
        let waiter = || {
            boxed(async {
                let left = Cell::new(WAITERS);
                let left = &left;
                let mut waiters = Fifo::default();
                for n in 0..WAITERS {
                    waiters.spawn(async move {
                        drop(lock.acquire(Mode::ALL[n % 3]).await);
                        left.set(left.get() - 1);
                    });
                }
                while left.get() > 0 {
                    if !waiters.turn() {
                        turns(1).await;
                    }
                }
            })
        };
        let rival = |_| boxed(lock.acquire(Exclusive));
        cases.run(rivals, |most| race(rivals, most, waiter, rival, |_| 1));
    }
    cases.check("six waiters");
}

/// The rivals' acquisitions form a chain: the lock is never without one of them.
#[test]
fn q3_an_upgrade_waits_only_for_the_holders_that_are_present() {
    fn check<L>(what: &str, new: Locks<L>, acquire: Acquires<L>, upgrade: Upgrades<L>) {
        let mut cases = Cases::new(BOUND);
        for rivals in Rivals::all() {
            let lock = new();
            let rival = |_| acquire(&lock, Shared);
            cases.run(rivals, |most| race(rivals, most, || upgrade(&lock), rival, |n| 4 + n % 2));
        }
        cases.check(what);
    }
    type Upgrades<L> = for<'a> fn(&'a L) -> Acquisition<'a>;

    check(
        "upgrade",
        MultiLock::new,
        |lock, mode| boxed(lock.acquire(mode)),
        |lock| {
            boxed(async {
                let mut guard = lock.acquire(Upgradable).await;
                guard.upgrade().await.unwrap();
                guard
            })
        },
    );
    check(
        "upgrade from shared",
        Arc::<MultiLock>::default,
        |lock, mode| boxed(lock.acquire_arc(mode)),
        |lock| {
            boxed(async {
                let mut guard = lock.acquire_arc(Shared).await;
                guard.upgrade().await.unwrap();
                guard
            })
        },
    );
    check(
        "upgrade of a guard with data",
        RwLock::<u32>::default,
        |lock, _| boxed(lock.read()),
        |lock| {
            boxed(async { RwLockUpgradableReadGuard::upgrade(lock.upgradable_read().await).await })
        },
    );
    check(
        "upgrade in place",
        Arc::<RwLock<u32>>::default,
        |lock, _| boxed(lock.read_arc()),
        |lock| {
            boxed(async {
                let mut guard = lock.upgradable_read_arc().await;
                drop(RwLockUpgradableReadGuardArc::upgrade_in_place(&mut guard).await);
                guard
            })
        },
    );
    check(
        "upgrade of a guard with a name",
        Named::default,
        |named, mode| {
            let context = named.lock.context(mode, named.name());
            boxed(async move { context.await.unwrap() })
        },
        |named| {
            let context = named.lock.context(Upgradable, named.name());
            boxed(async move {
                let mut guard = context.await.unwrap();
                guard.upgrade().await.unwrap();
                guard
            })
        },
    );
    #[cfg(all(feature = "lock_api", not(target_family = "wasm")))]
    check(
        "upgrade of a guard of lock_api",
        lock_api::RwLock::<MultiLock, u32>::default,
        |lock, _| boxed(multilock::lock_api_read(lock)),
        |lock| {
            boxed(async {
                let guard = multilock::lock_api_upgradable_read(lock).await;
                multilock::lock_api_upgrade(guard).await
            })
        },
    );
}

/// The rivals change their modes, at once or after a turn. So which waiters are woken at the end depends on more than the
/// mode that was acquired.
#[track_caller]
fn check_changes(what: &str, applies: impl Fn(Rivals) -> bool) {
    let lives: [&[Mode]; 6] = [
        &[Upgradable, Exclusive],
        &[Exclusive, Upgradable],
        &[Exclusive, Shared],
        &[Upgradable, Exclusive, Upgradable],
        &[Upgradable, Exclusive, Shared],
        &[Exclusive, Upgradable, Exclusive],
    ];
    let mut cases = Cases::new(BOUND);
    for (life, between) in lives.into_iter().flat_map(|life| [(life, 0), (life, 1)]) {
        for mode in Mode::ALL {
            for rivals in Rivals::all().filter(|rivals| applies(*rivals)) {
                let lock = &MultiLock::new();
                let rival = |_| {
                    boxed(async {
                        let mut guard = lock.acquire(life[0]).await;
                        for &next in &life[1..] {
                            turns(between).await;
                            if guard.mode() < next {
                                guard.upgrade().await.unwrap();
                            } else {
                                guard.downgrade(next);
                            }
                        }
                        guard
                    })
                };
                let waiter = || boxed(lock.acquire(mode));
                cases.run((mode, life, between, rivals), |most| {
                    race(rivals, most, waiter, rival, |_| 1)
                });
            }
        }
    }
    cases.check(what);
}

#[test]
fn q3_no_waiter_starves_beside_rivals_that_change_their_modes() {
    // An acquisition that is made anew in each turn can only succeed if it has enough polls.
    let ends = |rivals: Rivals| rivals.made == Made::Once || rivals.polls > 3;
    check_changes("changes", |rivals| rivals.polls > 0 && ends(rivals));
}

/// No task is polled for another reason. A release wakes the waiters of one mode rather than those of another, and what those
/// do next must not repeat the same choice forever.
#[test]
fn q3_no_waiter_starves_beside_rivals_that_change_their_modes_and_are_polled_when_woken() {
    check_changes("changes, only polled when woken", |rivals| rivals.polls == 0);
}

/// Another task is slow in each of its turns, but not for as long as a reservation lasts.
#[test]
fn q3_no_waiter_starves_beside_a_task_that_takes_long() {
    let mut cases = Cases::new(BOUND);
    for mode in Mode::ALL {
        for made in [Made::Once, Made::Anew] {
            let rivals = Rivals { number: 2, polls: 3, made };
            let lock = &MultiLock::new();
            // The first rival spends the time, between the release and the waiter's poll.
            let rival = |n| {
                boxed(async move {
                    let mut acquire = Box::pin(lock.acquire(Exclusive));
                    poll_fn(|cx| {
                        let start = Instant::now();
                        while TIMED && n == 0 && start.elapsed() < Duration::from_micros(30) {}
                        acquire.as_mut().poll(cx)
                    })
                    .await
                })
            };
            let waiter = || boxed(lock.acquire(mode));
            cases.run((mode, rivals), |most| race(rivals, most, waiter, rival, |_| 1));
        }
    }
    cases.check("beside a slow task");
}

/// By hand: a newcomer queues while the lock is held. After the release it is polled before the waiter, which was woken.
#[test]
fn q3_a_woken_waiter_is_not_overtaken_forever_by_queued_ones() {
    for mode in Mode::ALL {
        for newcomers in Mode::ALL.into_iter().filter(|other| other.excludes(mode)) {
            for &polls in if cfg!(miri) { &[3][..] } else { &[1, 3, 130] } {
                let lock = MultiLock::new();
                let mut holder = hold(&lock, newcomers);
                let mut waiter = Task::queued(lock.acquire(mode));
                let (mut overtaken, mut rounds) = (0, 0);
                let entered = loop {
                    let mut newcomer = Task::queued(lock.acquire(newcomers));
                    waiter.waits();
                    let start = Instant::now();
                    drop(holder);
                    assert!(waiter.woken());
                    let quick = (0..polls).map(|_| newcomer.poll()).find(Poll::is_ready);
                    match (quick, waiter.poll()) {
                        (_, Poll::Ready(guard)) => break guard,
                        (Some(Poll::Ready(guard)), _) => holder = guard,
                        _ => panic!("the lock is free, and neither acquires it"),
                    }
                    overtaken += usize::from(start.elapsed() < LATE);
                    assert!(
                        overtaken <= BOUND,
                        "overtaken {overtaken} times: {mode:?}, {newcomers:?}, {polls}"
                    );
                    rounds += 1;
                    if rounds > if cfg!(miri) { 5 } else { 20 * BOUND } {
                        return;
                    }
                };
                drop(entered);
            }
        }
    }
}

/// A waiter that was not polled in time loses its reservation. When it is polled again, it has the same chances as any other.
#[test]
fn q3_a_waiter_that_was_dormant_acquires_when_it_is_polled_again() {
    let mut cases = Cases::new(BOUND);
    for mode in Mode::ALL {
        for rivals in Rivals::all() {
            let lock = &MultiLock::new();
            let mut dormant = boxed(lock.acquire(mode));
            let mut poll = || dormant.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let mut holder = hold(lock, Exclusive);
            for _ in 0..LOSSES {
                assert!(poll().is_pending());
                drop(holder);
                holder = hold(lock, Exclusive);
            }
            assert!(poll().is_pending());
            drop(holder);
            // Now the waiter proves dormant.
            drop(Moment::default().enter(&mut Task::new(lock.acquire(Exclusive))));
            let dormant = RefCell::new(Some(dormant));
            let waiter = || dormant.take().unwrap_or_else(|| boxed(lock.acquire(mode)));
            let rival = |_| boxed(lock.acquire(Exclusive));
            cases.run((mode, rivals), |most| race(rivals, most, waiter, rival, |_| 1));
        }
    }
    cases.check("dormant for a while");
}

// --------------------------------------------------------------------------------- Fairness, sets

/// Rivals that acquire one member of a set, each member in its turn.
fn check_sets(what: &str, acquire: Acquires<Several>) {
    let mut cases = Cases::new(SET_BOUND);
    for number in if cfg!(miri) { 2..3 } else { 2..4 } {
        for (mode, crowd) in
            [(Shared, Crowd::Exclusive), (Exclusive, Crowd::Exclusive), (Exclusive, Crowd::Shared)]
        {
            for member in [0, number - 1] {
                for rivals in Rivals::all() {
                    let several = Several::new(number);
                    let lock = &*several.locks[member];
                    let waiter = || acquire(&several, mode);
                    let rival = |n| boxed(lock.acquire(crowd.mode(n)));
                    cases.run((number, mode, crowd, member, rivals), |most| {
                        race(rivals, most, waiter, rival, |n| crowd.holds(n))
                    });
                }
            }
        }
    }
    cases.check(what);
}

#[test]
fn q3_no_set_starves_of_which_one_member_is_contended() {
    check_sets("LockSet", |several, mode| boxed(several.set.acquire(mode)));
}

#[test]
fn q3_acquire_all_does_not_starve_where_one_lock_is_contended() {
    check_sets("acquire_all", |several, mode| {
        let wanted: Vec<_> = several.locks.iter().map(|lock| (&**lock, mode)).collect();
        boxed(acquire_all(wanted))
    });
}

/// The first lock is named twice where that is allowed.
#[test]
fn q3_lock_all_does_not_starve_where_one_lock_is_contended() {
    check_sets("lock_all", |several, mode| {
        let twice = several.locks.iter().take(usize::from(mode == Shared));
        let requests = several.locks.iter().chain(twice).map(|lock| lock.in_mode(mode));
        boxed(lock_all(requests.collect::<Vec<_>>()))
    });
}

/// The rivals are sets, which must defer as single acquisitions do. The waiter's other members are free.
#[test]
fn q3_no_waiter_starves_beside_sets_that_have_a_member_in_common() {
    let mut single = Cases::new(BOUND);
    let mut sets = Cases::new(SET_BOUND);
    for mode in Mode::ALL {
        for rivals in Rivals::all() {
            for common in [0, 1] {
                let several = &Several::new(3);
                let [both, other] = if common == 0 { [[0, 1], [0, 2]] } else { [[0, 1], [1, 2]] };
                let set = |wanted: [usize; 2], mode| {
                    boxed(acquire_all(wanted.map(|n| (&*several.locks[n], mode))))
                };
                let rival = |_| set(both, Exclusive);
                let case = (mode, common, rivals);
                let waiter = || boxed(several.locks[common].acquire(mode));
                single.run(case, |most| race(rivals, most, waiter, rival, |_| 1));
                let waiter = || set(other, mode);
                sets.run(case, |most| race(rivals, most, waiter, rival, |_| 1));
            }
        }
    }
    single.check("a lock beside sets");
    sets.check("a set beside sets");
}

// ------------------------------------------------------------------------------ Progress, all tasks

/// What a task of a random schedule does: a few times it acquires the lock, holds it for some turns, and releases it. Some of
/// its acquisitions are tries, which do not defer to any waiter, and some are polled for other reasons for a while. All
/// others are polled when they are woken.
async fn wander(lock: &MultiLock, mut random: Random, cancel: &Cell<bool>) {
    for _ in 0..1 + random.below(6) {
        let mode = random.mode();
        let guard = match random.below(4) {
            0 => {
                let mut guard = None;
                for _ in 0..random.below(12) {
                    guard = lock.try_acquire(mode);
                    if guard.is_some() {
                        break;
                    }
                    turns(1).await;
                }
                guard
            }
            way => {
                let mut busy = if way == 1 { random.below(12) } else { 0 };
                let mut acquire = Box::pin(lock.acquire(mode));
                poll_fn(|cx| {
                    // Dropped instead of polled, in whatever state it is.
                    if cancel.take() {
                        return Poll::Ready(None);
                    }
                    if busy > 0 {
                        busy -= 1;
                        cx.waker().wake_by_ref();
                    }
                    acquire.as_mut().poll(cx).map(Some)
                })
                .await
            }
        };
        turns(random.below(4)).await;
        drop(guard);
    }
}

/// Checks that all tasks end, though each of them is polled only when it is woken.
fn all_come_to_their_end(seed: u64, drops: bool) {
    let lock = &MultiLock::new();
    let mut random = Random(seed);
    let number = 2 + random.below(7);
    let cancel: Vec<_> = (0..number).map(|_| Cell::new(false)).collect();
    let mut fifo = Fifo::default();
    for cancel in &cancel {
        fifo.spawn(wander(lock, Random(random.next()), cancel));
    }
    for turn in 0.. {
        if drops && random.one_in(6) {
            let task = random.below(number);
            cancel[task].set(true);
            fifo.wake(task);
        }
        if !fifo.turn() {
            break;
        }
        assert!(turn < 1_000_000, "tasks {:?} are polled forever: {lock:?}", fifo.left());
    }
    assert_eq!(fifo.left(), [], "tasks that sleep forever: {lock:?}");
    assert_idle(lock);
}

#[test]
fn p2_all_tasks_acquire_that_are_polled_when_they_are_woken() {
    for_seeds(if cfg!(miri) { 4 } else { 3_000 }, |seed| all_come_to_their_end(seed, false));
}

#[test]
fn p2_all_tasks_acquire_though_others_are_dropped_at_any_point() {
    for_seeds(if cfg!(miri) { 4 } else { 3_000 }, |seed| all_come_to_their_end(seed, true));
}

/// The waiter that the newcomer defers to acquires the lock and releases it, or is dropped. The newcomer is polled only when
/// it is woken.
#[test]
fn p2_a_newcomer_that_deferred_is_woken() {
    for_modes(|mode, newcomer| {
        for dropped in [false, true] {
            let lock = MultiLock::new();
            let mut waiter = loser(&lock, lock.acquire(mode));
            let mut task = Task::new(lock.acquire(newcomer));
            let Poll::Pending = task.poll() else { continue };
            let mut run = || (0..10).find_map(|_| task.run());
            let entered = if dropped {
                drop(waiter);
                run()
            } else {
                let guard = waiter.finish();
                let beside = run();
                assert_eq!(beside.is_none(), mode.excludes(newcomer), "{mode:?}, {newcomer:?}");
                drop(guard);
                beside.or_else(run)
            };
            assert!(entered.is_some(), "{newcomer:?} sleeps: {lock:?}");
            drop(entered);
            assert_idle(&lock);
        }
    });
}

// ------------------------------------------------------------------------- Progress, dormant waiters

/// A waiter that loses races: each time it was woken, and finds the lock held when it is polled. At the end it is woken once
/// more, and the lock is free.
#[track_caller]
fn loser<F: Future>(lock: &MultiLock, acquisition: F) -> Task<F> {
    let holder = hold(lock, Exclusive);
    let mut task = Task::queued(acquisition);
    drop(holder);
    lose(lock, &mut task);
    task
}

/// Makes a woken waiter lose some races.
#[track_caller]
fn lose<F: Future>(lock: &MultiLock, task: &mut Task<F>) {
    for _ in 0..LOSSES {
        assert!(task.woken());
        // A try does not defer.
        let holder = hold(lock, Exclusive);
        task.waits();
        drop(holder);
    }
    assert!(task.woken());
}

/// Checks that the lock is free for all newcomers and waiters, at this poll or the next.
#[track_caller]
fn assert_none_is_delayed(lock: &MultiLock) {
    for n in 0..if cfg!(miri) { 3 } else { 20 } {
        let mode = Mode::ALL[n % 3];
        drop(hold(lock, mode));
        let mut newcomer = Task::new(lock.acquire(mode));
        let entered = match newcomer.poll() {
            Poll::Ready(guard) => Some(guard),
            Poll::Pending => newcomer.run(),
        };
        assert!(entered.is_some(), "the {n}th newcomer in {mode:?} is delayed: {lock:?}");
        drop(entered);

        let holder = hold(lock, Exclusive);
        let mut queued = Task::queued(lock.acquire(mode));
        drop(holder);
        let entered = match queued.poll() {
            Poll::Ready(guard) => Some(guard),
            Poll::Pending => queued.run(),
        };
        assert!(entered.is_some(), "the {n}th waiter in {mode:?} is delayed: {lock:?}");
    }
}

/// Checks that the first poll suffices.
#[track_caller]
fn assert_free(lock: &MultiLock) {
    for mode in Mode::ALL {
        drop(Task::new(lock.acquire(mode)).finish());
    }
}

/// Newcomers of all modes, beginning with the mode `first`. Returns how many of them are delayed: a reservation may bar some
/// modes only.
#[track_caller]
fn delayed(lock: &MultiLock, first: Mode, moment: impl Fn() -> Moment) -> usize {
    let is_delayed = |mode| {
        let mut task = Task::new(lock.acquire(mode));
        drop(moment().enter(&mut task));
        task.polls() > 2
    };
    [first, Shared, Upgradable, Exclusive].map(is_delayed).into_iter().map(usize::from).sum()
}

/// Other waiters were delayed once. A dormant waiter may delay one more whose mode does not exclude theirs.
#[track_caller]
fn assert_none_but(lock: &MultiLock, dormant: Mode, others: Mode) {
    if dormant.excludes(others) {
        assert_none_is_delayed(lock);
    } else {
        assert_delayed_once(lock, Exclusive);
    }
}

#[track_caller]
fn assert_delayed_once(lock: &MultiLock, first: Mode) {
    let delayed = delayed(lock, first, Moment::default);
    assert!(delayed <= 1, "{delayed} newcomers are delayed");
    assert_none_is_delayed(lock);
}

/// Runs `test` for each mode of a dormant waiter, and for each mode of the first newcomer after it.
fn for_modes(test: impl Fn(Mode, Mode)) {
    for (n, dormant) in Mode::ALL.into_iter().enumerate() {
        for newcomer in Mode::ALL {
            // Only some of them under Miri, which is slow.
            if !cfg!(miri) || dormant.excludes(newcomer) && n % 2 == 0 {
                test(dormant, newcomer);
            }
        }
    }
}

#[test]
fn p1_a_dormant_waiter_that_lost_races_delays_the_others_once() {
    for_modes(|dormant, newcomer| {
        let lock = MultiLock::new();
        let _dormant = loser(&lock, lock.acquire(dormant));
        assert_delayed_once(&lock, newcomer);
    });
}

#[test]
fn p1_a_dormant_waiter_delays_the_others_once_more_when_it_was_polled() {
    for_modes(|dormant, newcomer| {
        let lock = MultiLock::new();
        let mut dormant = loser(&lock, lock.acquire(dormant));
        for _ in 0..3 {
            assert_delayed_once(&lock, newcomer);
            let holder = hold(&lock, Exclusive);
            dormant.waits();
            drop(holder);
        }
        drop(dormant.finish());
        assert_idle(&lock);
    });
}

/// Once in all, not once for each of them or for each of their polls.
#[test]
fn p1_a_dormant_waiter_delays_a_crowd_once() {
    for_modes(|dormant, newcomers| {
        let lock = MultiLock::new();
        let _dormant = loser(&lock, lock.acquire(dormant));
        // Half of them were queued before.
        let holder = hold(&lock, Exclusive);
        let mut crowd: Vec<_> = (0..5).map(|_| Task::queued(lock.acquire(newcomers))).collect();
        drop(holder);
        crowd.extend((0..5).map(|_| Task::new(lock.acquire(newcomers))));
        let mut moment = Moment::default();
        while !crowd.is_empty() {
            // Each releases at once: the lock is free whenever one of them is polled.
            crowd.retain_mut(|task| moment.poll(task).is_none());
        }
        assert_none_but(&lock, dormant, newcomers);
    });
}

/// As in a loop around a `select!` with an acquisition in it: each is dropped after its first poll.
#[test]
fn p1_a_dormant_waiter_delays_acquisitions_that_are_made_anew_once() {
    for_modes(|dormant, newcomers| {
        let lock = MultiLock::new();
        let _dormant = loser(&lock, lock.acquire(dormant));
        let mut moment = Moment::default();
        let mut late = 0;
        while moment.poll(&mut Task::new(lock.acquire(newcomers))).is_none() {
            late += usize::from(moment.is_over());
            assert!(late <= 2, "the lock is free, and is reserved for longer than documented");
        }
        for n in 0..20 {
            let enters = || Task::new(lock.acquire(newcomers)).poll().is_ready();
            assert!(enters() || enters(), "the {n}th is delayed");
        }
        assert_none_but(&lock, dormant, newcomers);
    });
}

#[test]
fn p1_several_dormant_waiters_delay_the_others_once_each() {
    for_modes(|dormant, newcomer| {
        let lock = MultiLock::new();
        let holder = hold(&lock, Exclusive);
        let mut waiters: Vec<_> = (0..3).map(|_| Task::queued(lock.acquire(dormant))).collect();
        drop(holder);
        for _ in 0..LOSSES {
            let holder = hold(&lock, Exclusive);
            waiters.iter_mut().for_each(Task::waits);
            drop(holder);
        }
        // The moments of several dormant waiters may follow one another.
        let delayed: usize = (0..5).map(|_| delayed(&lock, newcomer, || Moment::times(3))).sum();
        assert!(delayed <= 3, "{delayed} newcomers are delayed");
        assert_none_is_delayed(&lock);
    });
}

#[test]
fn p1_a_waiter_that_lost_races_and_is_dropped_delays_no_other() {
    for_modes(|waiter, newcomer| {
        // Before a newcomer arrives.
        let lock = MultiLock::new();
        drop(loser(&lock, lock.acquire(waiter)));
        drop(Task::new(lock.acquire(newcomer)).finish());
        assert_free(&lock);
        assert_idle(&lock);

        // While a newcomer defers.
        let dormant = loser(&lock, lock.acquire(waiter));
        let mut task = Task::new(lock.acquire(newcomer));
        let entered = task.poll();
        drop(dormant);
        let entered = if entered.is_ready() { entered } else { task.poll() };
        assert!(entered.is_ready(), "{waiter:?}, {newcomer:?}");
        drop(entered);
        assert_free(&lock);
        assert_idle(&lock);

        // After it proved dormant.
        let dormant = loser(&lock, lock.acquire(waiter));
        drop(Moment::default().enter(&mut Task::new(lock.acquire(newcomer))));
        drop(dormant);
        assert_free(&lock);
        assert_idle(&lock);
    });
}

/// Miri reports a leak for what is forgotten for good.
#[cfg(not(miri))]
#[test]
fn p1_a_waiter_that_lost_races_and_is_forgotten_delays_the_others_once() {
    for_modes(|dormant, newcomer| {
        let lock = MultiLock::new();
        std::mem::forget(loser(&lock, lock.acquire(dormant)));
        assert_delayed_once(&lock, newcomer);
    });
}

/// Beside a holder that stays: it excludes exclusive waiters only.
#[test]
fn p1_a_dormant_waiter_delays_the_others_once_beside_shared_holders() {
    for newcomer in [Shared, Upgradable] {
        let lock = MultiLock::new();
        let holder = hold(&lock, Shared);
        let upgradable = hold(&lock, Upgradable);
        let mut dormant = Task::queued(lock.acquire(Upgradable));
        drop(upgradable);
        for _ in 0..LOSSES {
            let upgradable = hold(&lock, Upgradable);
            dormant.waits();
            drop(upgradable);
        }
        for mode in [newcomer, Upgradable] {
            drop(Moment::default().enter(&mut Task::new(lock.acquire(mode))));
        }
        for n in 0..20 {
            let mut task = Task::new(lock.acquire([Shared, Upgradable][n % 2]));
            let entered = task.poll().is_ready() || task.run().is_some();
            assert!(entered, "the {n}th newcomer is delayed");
        }
        drop(holder);
        assert_none_is_delayed(&lock);
    }
}

/// Meanwhile other waiters lose races to the newcomers, and are polled: the lock is reserved for them, and they acquire it.
#[test]
fn p1_q3_a_waiter_acquires_beside_a_dormant_one() {
    let mut cases = Cases::new(BOUND);
    for mode in Mode::ALL {
        for rivals in Rivals::all() {
            let lock = &MultiLock::new();
            let _dormant = loser(lock, lock.acquire(mode));
            let waiter = || boxed(lock.acquire(mode));
            let rival = |_| boxed(lock.acquire(Exclusive));
            cases.run((mode, rivals), |most| race(rivals, most, waiter, rival, |_| 1));
        }
    }
    cases.check("beside a dormant waiter");
}

/// The ways in which a set of two loses races: at one of its members, or first at one and then at the other.
#[track_caller]
fn losing_set<'a>(
    several: &'a Several,
    mode: Mode,
    members: &[usize],
) -> Task<impl Future + use<'a>> {
    let locks = &several.locks;
    let holder = hold(&locks[members[0]], Exclusive);
    let mut task = Task::queued(several.set.acquire(mode));
    drop(holder);
    for n in 0..LOSSES * members.len() {
        let holder = hold(&locks[members[n % members.len()]], Exclusive);
        while task.woken() {
            task.waits();
        }
        drop(holder);
    }
    task
}

#[test]
fn p1_a_dormant_set_that_lost_races_delays_the_others_once() {
    for_modes(|mode, newcomer| {
        for members in [&[0][..], &[1], &[0, 1]] {
            let several = Several::new(2);
            let dormant = losing_set(&several, mode, members);
            // At each member, as both may have been reserved.
            for lock in &several.locks {
                assert_delayed_once(lock, newcomer);
            }
            several.locks.iter().for_each(|lock| assert_none_is_delayed(lock));
            drop(Moment::default().enter(&mut Task::new(several.set.acquire(newcomer))));
            drop(dormant);
            several.locks.iter().for_each(|lock| assert_free(lock));
        }
    });
}

#[test]
fn p1_a_set_that_lost_races_and_is_dropped_delays_no_other() {
    for_modes(|mode, newcomer| {
        for members in [&[0][..], &[1], &[0, 1]] {
            let several = Several::new(2);
            drop(losing_set(&several, mode, members));
            drop(Task::new(several.set.acquire(newcomer)).finish());
            for lock in &several.locks {
                assert_free(lock);
                assert_idle(lock);
            }
        }
    });
}

#[cfg(not(miri))]
#[test]
fn p1_a_set_that_lost_races_and_is_forgotten_delays_the_others_once() {
    for_modes(|mode, newcomer| {
        let several = Box::leak(Box::new(Several::new(2)));
        std::mem::forget(losing_set(several, mode, &[0, 1]));
        for lock in &several.locks {
            assert_delayed_once(lock, newcomer);
        }
    });
}

/// A set reaches a member that is reserved for a dormant waiter: it is delayed like any newcomer.
#[test]
fn p1_a_dormant_waiter_delays_a_set_once() {
    for_modes(|dormant, newcomer| {
        for member in [0, 1] {
            let several = Several::new(2);
            let lock = &several.locks[member];
            let _dormant = loser(lock, lock.acquire(dormant));
            drop(Moment::default().enter(&mut Task::new(several.set.acquire(newcomer))));
            for n in 0..20 {
                let mut task = Task::new(several.set.acquire(newcomer));
                let entered = task.poll().is_ready() || task.run().is_some();
                assert!(entered, "the {n}th set is delayed");
            }
            assert_none_but(lock, dormant, newcomer);
        }
    });
}

/// Every try acquires a free lock, whichever waiter has reserved it.
#[test]
fn p1_a_try_succeeds_whenever_the_lock_is_free() {
    for_modes(|dormant, newcomer| {
        let lock = MultiLock::new();
        let _dormant = loser(&lock, lock.acquire(dormant));
        let tries = || Mode::ALL.into_iter().for_each(|mode| drop(hold(&lock, mode)));
        tries();
        // While another waiter defers.
        let mut task = Task::new(lock.acquire(newcomer));
        let entered = task.poll();
        if entered.is_pending() {
            tries();
        }
        drop((entered, task));
        tries();

        let named = Named::default();
        let holder = named.lock.try_context(Exclusive, 0).unwrap();
        let mut dormant = Task::queued(named.lock.context(dormant, 1));
        drop(holder);
        for _ in 0..LOSSES {
            let holder = named.lock.try_context(Exclusive, 0).unwrap();
            dormant.waits();
            drop(holder);
        }
        assert!(named.lock.try_context(newcomer, 0).is_ok());
    });
    for mode in Mode::ALL {
        let data = RwLock::new(());
        let _dormant = loser(data.raw(), data.raw().acquire(mode));
        assert!(data.try_read().is_some());
        assert!(data.try_upgradable_read().is_some());
        assert!(data.try_write().is_some());
        let several = Several::new(2);
        let _dormant = losing_set(&several, mode, &[0, 1]);
        for newcomer in Mode::ALL {
            assert!(several.set.try_acquire(newcomer).is_some());
            several.locks.iter().for_each(|lock| drop(hold(lock, newcomer)));
        }
    }
}

// ------------------------------------------------------------------------------------------ Threads

#[cfg(all(feature = "std", not(any(miri, target_family = "wasm"))))]
mod threads {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::{process, thread};

    use super::*;

    /// How long a thread may be kept out: a moment, and the time that the system takes to put it to sleep and to wake it.
    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(1);

    /// Runs code that blocks this thread. If it blocks forever, the whole test run aborts instead of hanging.
    fn watch<R>(run: impl FnOnce() -> R) -> R {
        let (_done, is_done) = channel::<()>();
        let test = thread::current().name().unwrap_or_default().to_owned();
        thread::spawn(move || {
            if is_done.recv_timeout(30 * LONG) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{test} hangs");
                process::abort();
            }
        });
        run()
    }

    /// The CPU time of this thread.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn cpu_time() -> Duration {
        #[repr(C)]
        #[derive(Default)]
        struct Timespec(i64, i64);
        unsafe extern "C" {
            fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
        }
        const THREAD_CPUTIME: i32 = 3;
        let mut time = Timespec::default();
        // SAFETY: the call writes a `timespec`, which is two 64-bit numbers on these targets.
        assert_eq!(unsafe { clock_gettime(THREAD_CPUTIME, &raw mut time) }, 0);
        Duration::new(time.0 as u64, time.1 as u32)
    }

    #[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
    fn cpu_time() -> Duration {
        Duration::ZERO
    }

    /// The shortest of several runs, as the system may preempt a thread at any point.
    fn best(run: impl FnMut() -> [Duration; 3]) -> [Duration; 3] {
        let times: Vec<_> = std::iter::repeat_with(run).take(5).collect();
        [0, 1, 2].map(|n| times.iter().map(|times| times[n]).min().unwrap())
    }

    /// A thread that blocks beside a dormant waiter: how long until it acquires, how much CPU time it uses meanwhile, and how
    /// long the next twenty acquisitions take.
    #[track_caller]
    fn check(what: impl Debug, run: impl Fn(&mut dyn FnMut(&dyn Fn()))) {
        let [first, ran, others] = best(|| {
            let mut times = [Duration::ZERO; 3];
            run(&mut |block| {
                watch(|| {
                    let (start, cpu) = (Instant::now(), cpu_time());
                    block();
                    times[0] = start.elapsed();
                    times[1] = cpu_time() - cpu;
                    let start = Instant::now();
                    (0..20).for_each(|_| block());
                    times[2] = start.elapsed();
                });
            });
            times
        });
        println!(
            "{what:?}: acquired after {first:?}, ran for {ran:?}; the next twenty: {others:?}"
        );
        assert!(first < SOON, "{what:?} is kept out for {first:?}");
        assert!(
            ran < moment::MOMENT / 5,
            "{what:?} does not sleep while it is kept out: it runs for {ran:?}"
        );
        assert!(others < moment::MOMENT, "{what:?}: the next twenty are delayed, too: {others:?}");
    }

    #[test]
    fn p1_a_thread_that_blocks_is_delayed_once() {
        for_modes(|dormant, mode| {
            check(("a lock", dormant, mode), |run| {
                let lock = MultiLock::new();
                let _dormant = loser(&lock, lock.acquire(dormant));
                run(&|| drop(lock.acquire_blocking(mode)));
            });
        });
        check("a lock with data", |run| {
            let lock = RwLock::new(());
            let _dormant = loser(lock.raw(), lock.raw().acquire(Exclusive));
            run(&|| drop(lock.write_blocking()));
        });
        check("a lock with names", |run| {
            let lock = HandleLock::new();
            let holder = lock.try_context(Exclusive, 0).unwrap();
            let mut dormant = Task::queued(lock.context(Exclusive, 1));
            drop(holder);
            for _ in 0..LOSSES {
                let holder = lock.try_context(Exclusive, 0).unwrap();
                dormant.waits();
                drop(holder);
            }
            run(&|| {
                lock.acquire_blocking(Shared, 0).unwrap();
                lock.release(&0).unwrap();
            });
        });
    }

    #[test]
    fn p1_a_thread_that_blocks_for_a_set_is_delayed_once() {
        for member in [0, 1] {
            check(("a set", member), |run| {
                let several = Several::new(2);
                let lock = &several.locks[member];
                let _dormant = loser(lock, lock.acquire(Exclusive));
                run(&|| drop(several.set.acquire_blocking(Exclusive)));
            });
        }
        check("a lock of a set", |run| {
            let several = Several::new(2);
            let _dormant = losing_set(&several, Exclusive, &[0, 1]);
            run(&|| several.locks.iter().for_each(|lock| drop(lock.acquire_blocking(Shared))));
        });
    }

    /// A thread that blocks beside the rivals of an executor in another thread.
    fn is_in(lock: &MultiLock, rivals: Rivals, block: impl FnOnce()) {
        let (over, count) = (&AtomicBool::new(false), &AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut fifo = Fifo::default();
                for _ in 0..rivals.number {
                    fifo.spawn(async move {
                        loop {
                            let held = rivals.acquire(|| boxed(lock.acquire(Exclusive))).await;
                            count.fetch_add(1, SeqCst);
                            turns(1).await;
                            drop(held);
                        }
                    });
                }
                let start = Instant::now();
                while !over.load(SeqCst) && start.elapsed() < 2 * LONG {
                    fifo.turn();
                }
            });
            while count.load(SeqCst) < 10 {
                thread::yield_now();
            }
            let start = Instant::now();
            watch(block);
            let waited = start.elapsed();
            over.store(true, SeqCst);
            assert!(waited < LONG, "kept out for {waited:?}: {rivals:?}");
        });
    }

    #[test]
    fn q3_a_thread_that_blocks_acquires_beside_busy_tasks() {
        for mode in Mode::ALL {
            for rivals in Rivals::all().filter(|rivals| rivals.number != 3) {
                let lock = MultiLock::new();
                is_in(&lock, rivals, || drop(lock.acquire_blocking(mode)));
            }
        }
    }

    #[test]
    fn q3_a_thread_that_blocks_for_a_set_acquires_beside_busy_tasks() {
        for mode in [Shared, Exclusive] {
            for member in [0, 1] {
                for rivals in Rivals::all().filter(|rivals| rivals.number == 2) {
                    let several = Several::new(2);
                    let lock = &several.locks[member];
                    is_in(lock, rivals, || drop(several.set.acquire_blocking(mode)));
                }
            }
        }
    }
}

// ---------------------------------------------------------------- Polls at the worst moments

/// Acquires the lock as a newcomer that polls twice: it may have to yield one poll. Returns `None` if the lock is kept for
/// a waiter.
fn barge(lock: &MultiLock, mode: Mode) -> Option<Guard<'_>> {
    let mut task = Task::new(lock.acquire(mode));
    (0..2).find_map(|_| match task.poll() {
        Poll::Ready(guard) => Some(guard),
        Poll::Pending => None,
    })
}

/// Runs `round` until it returns `None`: then the lock is kept for the waiter.
fn until_kept(mut round: impl FnMut() -> Option<()>) {
    assert!((0..LOSSES).any(|_| round().is_none()), "the waiter is passed over again and again");
}

/// In each round a new waiter loses two races, and reserves the lock, before the first waiter is polled. That one is polled
/// once after each time that it was woken.
#[test]
fn q3_a_waiter_is_not_passed_by_new_waiters_that_reserve_the_lock() {
    let lock = MultiLock::new();
    let first_holder = hold(&lock, Exclusive);
    let mut waiter = Task::queued(lock.acquire(Exclusive));
    drop(first_holder);
    let mut holder = barge(&lock, Exclusive);
    until_kept(|| {
        let mut rival = Task::queued(lock.acquire(Exclusive));
        for _ in 0..2 {
            drop(holder.take()?);
            holder = Some(barge(&lock, Exclusive)?);
            rival.run();
        }
        waiter.run();
        drop(holder.take()?);
        drop(rival.run()?);
        holder = Some(barge(&lock, Exclusive)?);
        Some(())
    });
    drop(holder);
    drop(waiter.finish());
    assert_idle(&lock);
}

/// In each round a new waiter reserves the lock. The first waiter, which was woken, is polled only while the lock is free, and
/// defers.
#[test]
fn q3_a_woken_waiter_does_not_defer_to_one_reservation_after_the_other() {
    let lock = MultiLock::new();
    let holder = hold(&lock, Exclusive);
    let mut waiter = Task::queued(lock.acquire(Exclusive));
    drop(holder);
    assert!(waiter.woken());
    let mut entered = None;
    until_kept(|| {
        let mut rival = Task::new(lock.acquire(Exclusive));
        for _ in 0..3 {
            let holder = barge(&lock, Exclusive)?;
            assert!(rival.poll().is_pending());
            drop(holder);
        }
        entered = waiter.run();
        drop(rival.run()?);
        Some(())
    });
    drop(entered.take().unwrap_or_else(|| waiter.finish()));
    assert_idle(&lock);
}

/// In each round a holder releases the lock, and acquires it anew at once. A waiter that it has woken is canceled, and a new
/// one joins, as in a `select!` in a loop. It is canceled before it is polled, or when it was polled and overtaken, or
/// after the next one has joined.
#[test]
fn q3_no_waiter_sleeps_on_beside_waiters_that_are_canceled_again_and_again() {
    for n in 0..4 * 27 {
        let [held, wanted, canceled] = [n % 3, n / 3 % 3, n / 9 % 3].map(|n| Mode::ALL[n]);
        let [is_polled, overlaps] = [n / 27 % 2, n / 54].map(|n| n == 1);
        let lock = MultiLock::new();
        let mut holder = Some(hold(&lock, held));
        let mut waiter = Task::new(lock.acquire(wanted));
        if waiter.poll().is_ready() {
            continue;
        }
        let (mut rounds, mut last) = (0, None);
        while !waiter.woken() {
            let mut newcomer = Task::new(lock.acquire(canceled));
            let is_queued = newcomer.poll().is_pending();
            drop(holder.take());
            if !waiter.woken() {
                holder = Some(hold(&lock, held));
            }
            if is_polled && newcomer.woken() {
                // It is overtaken, or enters beside the holder.
                drop(newcomer.poll());
            }
            last = overlaps.then_some(newcomer);
            rounds += 1;
            let modes = [held, wanted, canceled];
            assert!(rounds <= 4, "sleeps on: {modes:?}, {is_polled}, {overlaps}, {is_queued}");
        }
        drop((holder, last));
        drop(waiter.finish());
        assert_idle(&lock);
    }
}

/// In each round a writer downgrades, a reader enters beside it, or is canceled, and the next writer waits.
#[test]
fn q3_an_upgradable_waiter_is_woken_beside_writers_that_downgrade_and_readers() {
    for [enters, upgrades] in [[false, false], [false, true], [true, false], [true, true]] {
        let lock = MultiLock::new();
        let mut writer = hold(&lock, Exclusive);
        let mut waiter = Task::queued(lock.acquire(Upgradable));
        for round in 0.. {
            let mut next = Task::queued(lock.acquire(Exclusive));
            let mut reader = Task::queued(lock.acquire(Shared));
            writer.downgrade(Upgradable);
            drop(enters.then(|| reader.finish()));
            drop(reader);
            if upgrades {
                writer.try_upgrade().unwrap();
            }
            drop(writer);
            if waiter.woken() {
                drop(waiter.finish());
                drop(next.finish());
                break;
            }
            assert!(round < 4, "sleeps on: {enters}, {upgrades}");
            writer = next.finish();
        }
        assert_idle(&lock);
    }
}

/// In each round a holder upgrades while it is alone, releases the lock, and acquires it anew at once. Then a reader enters
/// beside it. The writer may be polled for another reason.
#[test]
fn q3_a_writer_is_woken_beside_a_holder_that_upgrades_and_readers() {
    'polled: for is_polled in [false, true] {
        let lock = MultiLock::new();
        let mut holder = Some(hold(&lock, Upgradable));
        let mut writer = Task::queued(lock.acquire(Exclusive));
        for _ in 0..LOSSES {
            holder.as_mut().unwrap().try_upgrade().unwrap();
            let mut reader = Task::queued(lock.acquire(Shared));
            drop(holder.take());
            if writer.woken() {
                drop(writer.finish());
                drop(reader.finish());
                assert_idle(&lock);
                continue 'polled;
            }
            holder = Some(hold(&lock, Upgradable));
            drop(reader.finish());
            assert!(!is_polled || writer.poll().is_pending());
        }
        panic!("the writer sleeps on, polled: {is_polled}");
    }
}
