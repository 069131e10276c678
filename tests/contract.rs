//! The contract: what the lock promises, with futures that are polled by hand. No runtime; nothing
//! here waits for anything but a test's next line, except where a test is about threads.
//!
//! The letters are those of the promises: Exclusion, Progress (`f`: with a waiter that sleeps on),
//! fairness (`q`), Cancellation, Upgrade and downgrade, cost (`x`).

#![cfg(not(any(loom, shuttle)))]
#![cfg_attr(
    any(not(feature = "std"), target_family = "wasm"),
    allow(unused_imports, dead_code, reason = "no threads that block, no unwinding")
)]

mod support;

use std::cell::UnsafeCell;
use std::collections::HashSet;
use std::future::{pending, poll_fn, ready};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::mem::{self, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_core::FusedFuture;
use multilock::Mode::{self, Exclusive, Shared, Upgradable};
use multilock::{Guard, GuardArc, Handle, HandleId, MultiLock, ReleaseError, UpgradeError};

use support::{
    Alarm, Counting, Hooks, Inline, Task, allocations, assert_idle, message, now, overtakes,
    poll_once, until_awaited, without_a_leak, without_allocation,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LONG: Duration = Duration::from_secs(60);

fn lock() -> MultiLock {
    MultiLock::new()
}

fn hold(lock: &MultiLock, mode: Mode) -> Guard<'_> {
    lock.try_acquire(mode).expect("the lock can be acquired")
}

/// Who of some tasks was woken since it was polled last.
fn woken<F: Future>(tasks: &[Task<F>]) -> Vec<bool> {
    tasks.iter().map(Task::woken).collect()
}

// ------------------------------------------------------------------------------------ Exclusion

#[test]
fn e1_modes_exclude_each_other_as_the_table_says() {
    let together = [(Shared, Shared), (Shared, Upgradable), (Upgradable, Shared)];
    for held in Mode::ALL {
        for wanted in Mode::ALL {
            let lock = lock();
            let _guard = hold(&lock, held);
            let expected = together.contains(&(held, wanted));
            assert_eq!(lock.try_acquire(wanted).is_some(), expected, "{held:?}, {wanted:?}");
            assert_eq!(poll_once(lock.acquire(wanted)).is_ready(), expected);
            assert_eq!(!wanted.excludes(held), expected);
        }
    }
}

#[test]
fn e1_exclusive_waits_for_every_shared_holder() {
    let lock = lock();
    let mut holders: Vec<_> = (0..5).map(|_| hold(&lock, Shared)).collect();
    holders.push(hold(&lock, Upgradable));
    let mut exclusive = Task::queued(lock.acquire(Exclusive));
    while holders.pop().is_some() {
        assert_eq!(exclusive.woken(), holders.is_empty());
        if !holders.is_empty() {
            exclusive.waits();
        }
    }
    drop(exclusive.finish());
}

#[test]
fn e1_everybody_waits_for_an_exclusive_holder() {
    for mode in Mode::ALL {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let mut task = Task::queued(lock.acquire(mode));
        task.waits();
        drop(guard);
        assert_eq!(task.finish().mode(), mode);
    }
}

/// Data behind a lock, with a count of who is at it.
#[derive(Default)]
struct Data {
    lock: MultiLock,
    holders: AtomicUsize,
    numbers: UnsafeCell<[u64; 2]>,
}

// SAFETY: `numbers` is touched by who holds the lock: to change it, exclusively.
unsafe impl Sync for Data {}

impl Data {
    fn read(&self) {
        // SAFETY: the caller holds the lock.
        let [a, b] = unsafe { *self.numbers.get() };
        assert_eq!(a, b, "a change is visible by half");
    }

    fn write(&self) {
        assert_eq!(self.holders.fetch_add(1, SeqCst), 0, "not alone");
        // SAFETY: the caller holds the lock exclusively.
        unsafe { (*self.numbers.get())[0] += 1 };
        thread::yield_now();
        // SAFETY: as above.
        unsafe { (*self.numbers.get())[1] += 1 };
        self.holders.fetch_sub(1, SeqCst);
    }
}

/// Without E2, Miri sees a data race; without E1, the counts are wrong everywhere.
#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn e1_e2_threads_see_what_exclusive_holders_wrote() {
    const ROUNDS: u64 = if cfg!(miri) { 8 } else { 2000 };
    let data = Data::default();
    thread::scope(|scope| {
        for number in 0..4 {
            let data = &data;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    match (round + number) % 4 {
                        0 => {
                            let _guard = data.lock.acquire_blocking(Shared);
                            data.read();
                        }
                        1 => {
                            let _guard = data.lock.acquire_blocking(Exclusive);
                            data.write();
                        }
                        2 => {
                            let mut guard = data.lock.acquire_blocking(Upgradable);
                            data.read();
                            if guard.try_upgrade().is_ok() {
                                data.write();
                                guard.downgrade(Shared);
                                data.read();
                            }
                        }
                        _ => {
                            let mut guard = data.lock.acquire_timeout(Exclusive, LONG).unwrap();
                            data.write();
                            guard.downgrade(Upgradable);
                            data.read();
                        }
                    }
                }
            });
        }
    });
    assert!(data.numbers.into_inner()[0] >= 2 * ROUNDS);
    assert_idle(&data.lock);
}

// ------------------------------------------------------------------------------------- Progress

/// Two dormant waiters of any modes, one of them woken: nobody who is polled waits for them.
#[test]
fn p1_a_polled_waiter_gets_a_free_lock_whatever_others_do() {
    for first in Mode::ALL {
        for second in Mode::ALL {
            for mode in Mode::ALL {
                let lock = lock();
                let guard = hold(&lock, Exclusive);
                let _dormant =
                    [Task::queued(lock.acquire(first)), Task::queued(lock.acquire(second))];
                let mut polled = Task::queued(lock.acquire(mode));
                drop(guard);
                assert!(polled.poll().is_ready(), "{first:?}, {second:?}, {mode:?}");
            }
        }
    }
}

/// As before, and one of the dormant waiters has been overtaken: a newcomer may stand back for it,
/// but not for more than a poll.
#[test]
fn p1_an_overtaken_waiter_that_sleeps_costs_a_newcomer_one_poll() {
    for dormant in Mode::ALL {
        for mode in Mode::ALL {
            let lock = lock();
            let guard = hold(&lock, Exclusive);
            let mut dormant = Task::queued(lock.acquire(dormant));
            drop(guard);
            let overtaker = hold(&lock, Exclusive);
            dormant.waits();
            drop(overtaker);
            let mut newcomer = Task::new(lock.acquire(mode));
            newcomer.waits();
            assert!(newcomer.woken(), "nobody else will wake it");
            drop(newcomer.finish());
        }
    }
}

/// The waiter before it was woken, and sleeps on: the release that woke it woke nobody else.
fn dormant<'a>(lock: &'a MultiLock, mode: Mode) -> Task<impl Future<Output = Guard<'a>>> {
    let guard = hold(lock, Exclusive);
    let task = Task::queued(lock.acquire(mode));
    drop(guard);
    assert!(task.woken());
    task
}

#[test]
fn f1_a_fresh_acquire_in_the_same_task_succeeds() {
    for first in Mode::ALL {
        for mode in Mode::ALL {
            let lock = lock();
            let mut first = dormant(&lock, first);
            // In the same task: with the same waker, while the first future is alive.
            let guard = now(lock.acquire(mode));
            drop(guard);
            drop(first.finish());
        }
    }
}

#[test]
fn f2_a_second_waiter_that_is_polled_succeeds() {
    for first in Mode::ALL {
        for second in Mode::ALL {
            let lock = lock();
            let guard = hold(&lock, Exclusive);
            let _dormant = Task::queued(lock.acquire(first));
            let mut second = Task::queued(lock.acquire(second));
            drop(guard);
            drop(second.finish());
            assert_eq!(second.polls(), 2);
        }
    }
}

/// An implementation that counts a woken sleeper as "somebody is on the way" wakes nobody here.
#[test]
fn f2_prime_second_waiter_is_woken_by_the_next_release() {
    for first in Mode::ALL {
        for second in Mode::ALL {
            for between in Mode::ALL {
                let lock = lock();
                let guard = hold(&lock, Exclusive);
                let _dormant = Task::queued(lock.acquire(first));
                let mut second = Task::queued(lock.acquire(second));
                drop(guard);
                drop(hold(&lock, between));
                assert!(second.woken(), "{first:?}, {between:?}");
                drop(second.finish());
            }
        }
    }
}

/// The dormant waiter has been overtaken before, and is called first for that.
#[test]
fn f2_prime_also_behind_an_overtaken_waiter() {
    for mode in Mode::ALL {
        let lock = lock();
        let mut first = dormant(&lock, Exclusive);
        let overtaker = hold(&lock, Exclusive);
        first.waits();
        let second = Task::queued(lock.acquire(mode));
        drop(overtaker);
        drop(hold(&lock, Shared));
        assert!(second.woken(), "{mode:?}");
    }
}

/// Beside shared holders, where a release need not make the lock free to let somebody in.
#[test]
fn f2_prime_also_for_upgradable_waiters_beside_shared_holders() {
    let lock = lock();
    let (one, _another) = (hold(&lock, Shared), hold(&lock, Shared));
    let guard = hold(&lock, Upgradable);
    let tasks = [(); 2].map(|()| Task::queued(lock.acquire(Upgradable)));
    drop(guard);
    assert_eq!(woken(&tasks), [true, false]);
    drop(one);
    assert_eq!(woken(&tasks), [true, true]);
}

#[test]
fn f3_all_waiting_shared_are_woken_together() {
    const CROWD: usize = 50;
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut crowd: Vec<_> = (0..CROWD).map(|_| Task::queued(lock.acquire(Shared))).collect();
    drop(guard);
    // Nobody has been polled: one does not wake the other.
    assert!(crowd.iter().all(|task| task.wakes() == 1));
    let guards: Vec<_> = crowd.iter_mut().rev().map(Task::finish).collect();
    assert_eq!(lock.snapshot().shared_holders(), CROWD);
    drop(guards);
    assert!(crowd.iter().all(|task| task.wakes() == 1 && task.polls() == 2));
}

#[test]
fn f4_a_newcomer_gets_past_a_dormant_exclusive_waiter() {
    for mode in Mode::ALL {
        let lock = lock();
        let shared = hold(&lock, Shared);
        let _dormant = Task::queued(lock.acquire(Exclusive));
        drop(shared);
        drop(hold(&lock, mode));
        drop(now(lock.acquire(mode)));
    }
}

#[test]
fn p2_the_last_holder_wakes_a_waiter_that_fits() {
    for held in Mode::ALL {
        for mode in Mode::ALL {
            let lock = lock();
            let holders = [hold(&lock, held)];
            if poll_once(lock.acquire(mode)).is_ready() {
                continue;
            }
            let mut task = Task::queued(lock.acquire(mode));
            drop(holders);
            assert_eq!(task.wakes(), 1, "{held:?}, {mode:?}");
            drop(task.finish());
        }
    }
}

#[test]
fn p2_the_last_of_many_holders_wakes_whoever_is_left() {
    let lock = lock();
    let holders = [hold(&lock, Shared), hold(&lock, Upgradable), hold(&lock, Shared)];
    let mut exclusive = Task::queued(lock.acquire(Exclusive));
    let mut shared = Task::queued(lock.acquire(Shared));
    drop(holders);
    drop(exclusive.run().expect("exclusive"));
    drop(shared.run().expect("shared"));
    assert_idle(&lock);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn p2_a_blocked_thread_is_woken() {
    for mode in Mode::ALL {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        thread::scope(|scope| {
            let blocked = scope.spawn(|| lock.acquire_blocking(mode).mode());
            until_awaited(&lock, mode);
            drop(guard);
            assert_eq!(blocked.join().unwrap(), mode);
        });
        assert_idle(&lock);
    }
}

#[test]
fn p3_k_shared_and_one_exclusive_cost_2k_plus_2_polls() {
    for k in (1..=40).step_by(if cfg!(miri) { 13 } else { 1 }) {
        // The exclusive one comes first, in the middle, or last.
        for place in [0, k / 2, k] {
            let lock = lock();
            let guard = hold(&lock, Exclusive);
            let mut tasks: Vec<_> = (0..=k)
                .map(|i| Task::queued(lock.acquire(if i == place { Exclusive } else { Shared })))
                .collect();
            drop(guard);
            // An executor that polls whom it must, until nobody is left; holds last for a round.
            let mut done = 0;
            while done <= k {
                let guards: Vec<_> = tasks.iter_mut().filter_map(Task::run).collect();
                assert!(!guards.is_empty(), "stuck");
                done += guards.len();
            }
            assert_eq!(tasks.iter().map(Task::polls).sum::<usize>(), 2 * k + 2);
            assert_eq!(tasks.iter().map(Task::wakes).sum::<usize>(), k + 1);
            assert_idle(&lock);
        }
    }
}

#[test]
fn p3_a_release_that_lets_nobody_in_wakes_nobody() {
    let lock = lock();
    let mut holders = vec![
        hold(&lock, Shared),
        hold(&lock, Upgradable),
        hold(&lock, Shared),
        hold(&lock, Shared),
    ];
    let tasks = [
        Task::queued(lock.acquire(Exclusive)),
        Task::queued(lock.acquire(Shared)),
        Task::queued(lock.acquire(Upgradable)),
    ];
    while holders.len() > 1 {
        drop(holders.remove(0));
        assert_eq!(woken(&tasks), [false; 3]);
    }
    drop(holders);
    assert_eq!(woken(&tasks), [true, false, false]);
}

/// A crowd that is polled where it is woken, one by one, and finds the lock taken: each is woken once, and not
/// again as it has come back to the queue meanwhile.
#[test]
fn p3_who_comes_back_while_a_crowd_is_woken_is_not_woken_again() {
    for crowd in [1, 8, 9, 20] {
        let lock = Arc::new(lock());
        let guard = lock.try_acquire_arc(Exclusive).unwrap();
        let thief = Arc::new(Mutex::new(None));
        let polls: Vec<_> = (0..crowd).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        for polls in &polls {
            let (lock, thief, polls) = (lock.clone(), thief.clone(), polls.clone());
            Inline::spawn(async move {
                let mut acquire = pin!(lock.acquire(Shared));
                let entered = poll_fn(|cx| {
                    // From the second poll on the lock is held again. Woken without end, it would never be
                    // polled for the last time.
                    match polls.fetch_add(1, SeqCst) {
                        0 => {}
                        1..3 => {
                            let mut thief = thief.lock().unwrap();
                            *thief = thief.take().or_else(|| lock.try_acquire_arc(Exclusive));
                        }
                        _ => return Poll::Ready(None),
                    }
                    acquire.as_mut().poll(cx).map(Some)
                });
                drop(entered.await);
            });
        }
        drop(guard);
        for count in [2, 3, 4] {
            let polls: Vec<_> = polls.iter().map(|polls| polls.load(SeqCst)).collect();
            assert_eq!(polls, vec![count; crowd]);
            let hold = thief.lock().unwrap().take();
            assert_eq!(hold.is_some(), count < 4);
        }
        // All are gone.
        assert_eq!((Arc::strong_count(&lock), lock.snapshot()), (1, MultiLock::new().snapshot()));
    }
}

#[test]
fn p3_a_downgrade_that_lets_nobody_in_wakes_nobody() {
    let lock = lock();
    let mut guard = hold(&lock, Upgradable);
    let tasks = [
        Task::queued(lock.acquire(Exclusive)),
        Task::queued(lock.acquire(Shared)),
        Task::queued(lock.acquire(Upgradable)),
    ];
    guard.downgrade(Shared);
    assert_eq!(woken(&tasks), [false; 3]);
}

#[test]
fn p3_one_upgradable_waiter_is_woken_at_a_time() {
    let lock = lock();
    let guard = hold(&lock, Upgradable);
    let mut tasks: Vec<_> = (0..3).map(|_| Task::queued(lock.acquire(Upgradable))).collect();
    drop(guard);
    for next in 0..3 {
        let guard = tasks[next].run().expect("first come, first served");
        drop(guard);
        let wakes = tasks.iter().map(Task::wakes);
        assert!(wakes.eq((0..3).map(|i| usize::from(i <= next + 1))));
    }
}

#[test]
fn p3_a_shared_release_that_leaves_others_wakes_no_monitor() {
    let lock = lock();
    let (first, second) = (hold(&lock, Shared), hold(&lock, Shared));
    let monitor = Task::queued(lock.wait(Exclusive));
    drop(first);
    assert!(!monitor.woken());
    drop(second);
    assert_eq!(monitor.wakes(), 1);
}

/// A monitor that waits for a free lock, and a release that leaves holders.
#[test]
fn p3_a_release_that_lets_nobody_in_wakes_no_monitor() {
    let lock = lock();
    let (shared, upgradable) = (hold(&lock, Shared), hold(&lock, Upgradable));
    let monitor = Task::queued(lock.wait(Exclusive));
    drop(upgradable);
    assert!(!monitor.woken());
    drop(shared);
    assert!(monitor.woken());
}

/// Of two that have been overtaken, one can enter.
#[test]
fn p3_one_overtaken_exclusive_waiter_is_woken_at_a_time() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut tasks = [Task::queued(lock.acquire(Exclusive)), Task::queued(lock.acquire(Exclusive))];
    // Twice a release calls one, and somebody is quicker.
    drop(guard);
    drop(hold(&lock, Exclusive));
    let overtaker = hold(&lock, Exclusive);
    tasks.iter_mut().for_each(Task::waits);
    drop(overtaker);
    assert_eq!(woken(&tasks), [true, false]);
    drop(tasks[0].finish());
    drop(tasks[1].run().expect("woken by the first"));
}

/// The end of a shared hold lets an upgrade go on, and nobody else.
#[test]
fn p3_an_overtaken_waiter_is_not_woken_for_an_upgrade() {
    let lock = lock();
    let mut overtaken = dormant(&lock, Exclusive);
    let mut guard = hold(&lock, Upgradable);
    let shared = guard.share().unwrap();
    overtaken.waits();
    let upgrade = Task::queued(guard.upgrade());
    drop(shared);
    assert!(upgrade.woken());
    assert!(!overtaken.woken());
}

// ------------------------------------------------------------------------------------- Fairness

#[test]
fn q1_a_newcomer_waits_behind_an_exclusive_waiter() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let holder = hold(&lock, Shared);
        let mut exclusive = Task::queued(lock.acquire(Exclusive));
        assert!(lock.try_acquire(mode).is_none(), "a stream of {mode:?} would starve it");
        let mut newcomer = Task::queued(lock.acquire(mode));
        drop(holder);
        assert!(exclusive.woken() && !newcomer.woken());
        drop(exclusive.finish());
        drop(newcomer.run().expect("woken"));
    }
}

#[test]
fn q1_a_newcomer_waits_behind_an_upgrade() {
    for mode in Mode::ALL {
        let lock = lock();
        let (mut upgradable, shared) = (hold(&lock, Upgradable), hold(&lock, Shared));
        let mut upgrade = Task::queued(upgradable.upgrade());
        assert!(lock.try_acquire(mode).is_none());
        let newcomer = Task::queued(lock.acquire(mode));
        drop(shared);
        assert!(upgrade.woken() && !newcomer.woken());
        upgrade.finish().unwrap();
    }
}

#[test]
fn q1_a_shared_holder_may_share_past_an_exclusive_waiter() {
    // Else a holder that needs another hold would wait for a waiter that waits for it.
    let lock = lock();
    let holder = hold(&lock, Shared);
    let mut exclusive = Task::queued(lock.acquire(Exclusive));
    let more = holder.share().expect("shared is held already");
    drop(holder);
    assert!(!exclusive.woken());
    drop(more);
    drop(exclusive.run().expect("woken by the last"));
}

#[test]
fn q2_shared_waiters_get_in_before_the_next_exclusive_one() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut before = Task::queued(lock.acquire(Shared));
    let mut exclusive = Task::queued(lock.acquire(Exclusive));
    let mut after = Task::queued(lock.acquire(Shared));
    drop(guard);
    assert!(before.woken() && after.woken() && !exclusive.woken());

    let first = before.finish();
    // The exclusive waiter keeps newcomers out, but not those whose turn it is.
    let newcomer = Task::queued(lock.acquire(Shared));
    let second = after.finish();
    drop(first);
    assert!(!exclusive.woken());
    drop(second);
    assert!(exclusive.woken() && !newcomer.woken());

    drop(exclusive.finish());
    assert!(newcomer.woken());
    assert_eq!(exclusive.wakes(), 1);
}

#[test]
fn q2_also_after_a_downgrade() {
    for to in [Shared, Upgradable] {
        let lock = lock();
        let mut guard = hold(&lock, Exclusive);
        let mut exclusive = Task::queued(lock.acquire(Exclusive));
        let mut shared = Task::queued(lock.acquire(Shared));
        guard.downgrade(to);
        drop(shared.run().expect("its turn"));
        assert!(!exclusive.woken());
        drop(guard);
        drop(exclusive.run().expect("its turn"));
    }
}

#[test]
fn q3_exclusive_waiters_are_woken_first_come_first_served() {
    const COUNT: usize = 6;
    let lock = lock();
    let mut guard = hold(&lock, Exclusive);
    let mut tasks: Vec<_> = (0..COUNT).map(|_| Task::queued(lock.acquire(Exclusive))).collect();
    for next in 0..COUNT {
        drop(guard);
        let wakes = tasks.iter().map(Task::wakes);
        assert!(wakes.eq((0..COUNT).map(|i| usize::from(i <= next))));
        guard = tasks[next].finish();
    }
}

/// The order is that of the first polls, not that in which the futures were made.
#[test]
fn q3_a_place_is_taken_at_the_first_poll() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let (mut second, mut first) =
        (Task::new(lock.acquire(Exclusive)), Task::new(lock.acquire(Exclusive)));
    first.waits();
    second.waits();
    drop(guard);
    assert!(first.woken() && !second.woken());
}

/// Who polls without need does not go to the end of the queue.
#[test]
fn q3_a_place_is_kept_over_polls() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut first = Task::queued(lock.acquire(Exclusive));
    let second = Task::queued(lock.acquire(Exclusive));
    first.waits();
    first.waits();
    drop(guard);
    assert!(first.woken() && !second.woken());
}

#[test]
fn q3_an_overtaken_exclusive_waiter_is_woken_first_again() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut first = Task::queued(lock.acquire(Exclusive));
    let second = Task::queued(lock.acquire(Exclusive));
    drop(guard);
    let overtaker = hold(&lock, Exclusive);
    first.waits();
    drop(overtaker);
    assert_eq!((first.wakes(), second.wakes()), (2, 0));
    drop(first.finish());
    assert_eq!(second.wakes(), 1);
}

/// The number of Q3: a waiter that is polled when it is woken is overtaken once.
#[test]
fn q3_a_waiter_that_is_polled_when_woken_is_overtaken_once() {
    for mode in Mode::ALL {
        let lock = lock();
        let mut waiter = dormant(&lock, mode);
        let mut overtaken = 0;
        let mut entered = None;
        while entered.is_none() {
            // Somebody new comes between the release and the waiter's poll, every time.
            let mut newcomer = Task::new(lock.acquire(Exclusive));
            let quick = newcomer.poll();
            overtaken += usize::from(quick.is_ready());
            assert!(overtaken <= 1);
            entered = waiter.run();
        }
        assert_eq!(overtaken, 1, "otherwise this test is about nothing");
    }
}

/// The number of Q3 for a thread that blocks: overtaken once, it is given the lock by who leaves it, and nobody
/// new comes in between.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn q3_a_thread_that_blocks_is_overtaken_once() {
    let cases = [(Shared, false), (Upgradable, true), (Exclusive, false), (Exclusive, true)];
    for (mode, timed) in cases {
        // A thread that is woken may run at once, instead of who wakes it, and then it is not overtaken.
        let start = Instant::now();
        while !overtakes_a_thread(mode, timed) {
            assert!(start.elapsed() < LONG, "it is never overtaken: this test is about nothing");
        }
    }
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn overtakes_a_thread(mode: Mode, timed: bool) -> bool {
    let lock = lock();
    let blocks = |end: &Barrier| {
        let _guard = if timed {
            lock.acquire_timeout(mode, LONG).expect("in time")
        } else {
            lock.acquire_blocking(mode)
        };
        end.wait();
    };
    overtakes(&lock, mode, blocks, || {
        let mut newcomer = Task::new(lock.acquire(Exclusive));
        let enters = newcomer.poll().is_ready() || newcomer.poll().is_ready();
        lock.locked() == Some(mode) && !enters
    })
}

#[test]
fn q3_a_newcomer_stands_back_exactly_one_poll() {
    for mode in Mode::ALL {
        let lock = lock();
        let mut overtaken = dormant(&lock, Exclusive);
        let guard = hold(&lock, Exclusive);
        overtaken.waits();
        drop(guard);

        let mut newcomer = Task::new(lock.acquire(mode));
        newcomer.waits();
        assert_eq!(newcomer.wakes(), 1, "it wakes itself: it waits for no release");
        drop(newcomer.finish());

        // If the one it stood back for was polled meanwhile, it queues.
        let mut newcomer = Task::queued(lock.acquire(mode));
        let guard = overtaken.finish();
        newcomer.waits();
        assert_eq!(newcomer.wakes(), 1);
        drop(guard);
        assert_eq!(newcomer.wakes(), 2);
        drop(newcomer.finish());

        // And once the overtaken one is through, nobody stands back any more.
        drop(now(lock.acquire(mode)));
    }
}

#[test]
fn q3_who_only_tries_does_not_stand_back() {
    let lock = lock();
    let mut overtaken = dormant(&lock, Exclusive);
    let guard = hold(&lock, Exclusive);
    overtaken.waits();
    drop(guard);
    for mode in Mode::ALL {
        drop(hold(&lock, mode));
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        drop(lock.acquire_timeout(mode, Duration::ZERO).expect("it is one try"));
    }
}

// --------------------------------------------------------------------------------- Cancellation

/// Nobody enters any more, and those who are there leave as ever. Miri would say that it is a leak, as it is.
#[cfg(not(miri))]
#[test]
fn bad_use_an_upgrade_that_is_forgotten_harms_no_other_holder() {
    for from in [Shared, Upgradable] {
        for end in 0..4 {
            let lock = lock();
            let other = hold(&lock, Shared);
            let mut guard = hold(&lock, from);
            let mut upgrade = Task::new(guard.upgrade());
            upgrade.waits();
            mem::forget(upgrade);
            assert!(guard.try_upgrade().is_err() && guard.share().is_none());
            match end {
                0 => drop(guard),
                1 => lock.release(guard.into_handle()).unwrap(),
                2 => guard.downgrade(Shared),
                _ => assert_eq!(now(guard.upgrade()), Err(UpgradeError::Conflict)),
            }
            drop(other);
            for mode in Mode::ALL {
                assert!(lock.try_acquire(mode).is_none());
            }
            assert!(lock.snapshot().shared_holders() < 2);
        }
    }
}

#[test]
fn c1_a_dropped_exclusive_waiter_lets_in_who_waited_because_of_it() {
    let lock = lock();
    let holder = hold(&lock, Shared);
    let exclusive = Task::queued(lock.acquire(Exclusive));
    let mut shared = [Task::queued(lock.acquire(Shared)), Task::queued(lock.acquire(Shared))];
    let mut upgradable =
        [Task::queued(lock.acquire(Upgradable)), Task::queued(lock.acquire(Upgradable))];
    drop(exclusive);
    assert_eq!(woken(&shared), [true, true]);
    assert_eq!(woken(&upgradable), [true, false], "one can enter");
    let _in = (shared.each_mut().map(Task::finish), upgradable[0].finish());
    drop(holder);
}

#[test]
fn c1_while_another_exclusive_waiter_is_left_shared_stays_asleep() {
    for dropped in [0, 1] {
        let lock = lock();
        let holder = hold(&lock, Shared);
        let mut exclusive =
            vec![Task::queued(lock.acquire(Exclusive)), Task::queued(lock.acquire(Exclusive))];
        let mut shared = Task::queued(lock.acquire(Shared));
        drop(exclusive.remove(dropped));
        assert!(!shared.woken());
        shared.waits();
        drop(exclusive);
        assert_eq!(shared.wakes(), 1);
        drop(shared.finish());
        drop(holder);
    }
}

/// The end of the wait, and not the drop of the future, is what lets others in.
#[test]
fn c1_holds_for_an_acquisition_that_was_cancelled() {
    let lock = lock();
    let holder = hold(&lock, Shared);
    let switch = Arc::new(Switch::default());
    let mut exclusive = Task::queued(lock.acquire_or(Exclusive, switch.clone().wait()));
    let mut shared = Task::queued(lock.acquire(Shared));
    switch.on.store(1, SeqCst);
    assert_eq!(exclusive.finish().unwrap_err(), "cancelled");
    drop(shared.run().expect("woken"));
    drop(holder);
    assert_idle(&lock);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn c1_holds_for_a_timeout() {
    let lock = lock();
    let holder = hold(&lock, Shared);
    let timeout = Duration::from_millis(if cfg!(miri) { 1000 } else { 50 });
    thread::scope(|scope| {
        let exclusive = scope.spawn(|| lock.acquire_timeout(Exclusive, timeout).is_none());
        while !lock.snapshot().is_awaited(Exclusive) && !exclusive.is_finished() {
            thread::yield_now();
        }
        // Nobody leaves: only the end of the time can let it in.
        drop(lock.acquire_timeout(Shared, LONG).expect("woken"));
        assert!(exclusive.join().unwrap());
    });
    drop(holder);
    assert_idle(&lock);
}

#[test]
fn c2_a_woken_shared_waiter_that_is_dropped_passes_it_on() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let first = Task::queued(lock.acquire(Shared));
    let mut exclusive = Task::queued(lock.acquire(Exclusive));
    let second = Task::queued(lock.acquire(Shared));
    drop(guard);
    drop(first);
    // The second was called with the first, and is on its way.
    assert!(second.woken() && !exclusive.woken());
    drop(second);
    assert_eq!(exclusive.wakes(), 1, "nobody else will ever wake it");
    drop(exclusive.finish());
}

#[test]
fn c2_a_woken_upgradable_waiter_that_is_dropped_passes_it_on() {
    for next in [Upgradable, Exclusive] {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let first = Task::queued(lock.acquire(Upgradable));
        let mut second = Task::queued(lock.acquire(next));
        drop(guard);
        assert!(first.woken() && !second.woken());
        drop(first);
        assert_eq!(second.wakes(), 1);
        drop(second.finish());
    }
}

#[test]
fn c3_a_woken_exclusive_waiter_that_is_dropped_passes_it_on() {
    for next in Mode::ALL {
        let lock = lock();
        let holder = hold(&lock, Shared);
        let first = Task::queued(lock.acquire(Exclusive));
        let mut second = Task::queued(lock.acquire(next));
        drop(holder);
        assert!(first.woken() && !second.woken());
        drop(first);
        assert_eq!(second.wakes(), 1, "{next:?}");
        drop(second.finish());
    }
}

/// It was polled after its wake-up, lost the race, and was woken again.
#[test]
fn c3_also_after_it_was_overtaken() {
    for next in Mode::ALL {
        let lock = lock();
        let mut first = dormant(&lock, Exclusive);
        let overtaker = hold(&lock, Exclusive);
        first.waits();
        drop(overtaker);
        // This one is upgradable: its end is not the turn of the shared ones.
        let overtaker = hold(&lock, Upgradable);
        first.waits();
        let mut second = Task::queued(lock.acquire(Exclusive));
        let mut third = Task::queued(lock.acquire(next));
        drop(overtaker);
        assert!(first.woken() && !second.woken() && !third.woken());
        drop(first);
        drop(second.run().expect("the next one"));
        drop(third.run().expect("the last one"));
        assert_idle(&lock);
    }
}

/// What a waiter of the schedules does.
#[derive(Clone, Copy, Debug)]
enum Script {
    Acquire(Mode),
    Upgrade(Mode),
}

const SCRIPTS: [Script; 5] = [
    Script::Acquire(Shared),
    Script::Acquire(Upgradable),
    Script::Acquire(Exclusive),
    Script::Upgrade(Shared),
    Script::Upgrade(Upgradable),
];

async fn play(lock: &MultiLock, script: Script) -> Guard<'_> {
    match script {
        Script::Acquire(mode) => lock.acquire(mode).await,
        Script::Upgrade(mode) => {
            let mut guard = lock.acquire(mode).await;
            // Refused or not, there is a hold.
            let result = guard.upgrade().await;
            assert_eq!(guard.mode(), if result.is_ok() { Exclusive } else { mode });
            guard
        }
    }
}

enum Player<'a, F> {
    Waits(Task<F>),
    Holds(Guard<'a>),
    Gone,
}

impl<'a, F: Future<Output = Guard<'a>>> Player<'a, F> {
    fn poll(&mut self) {
        if let Self::Waits(task) = self {
            if let Poll::Ready(guard) = task.poll() {
                *self = Self::Holds(guard);
            }
        }
    }

    fn sleeps(&self) -> bool {
        matches!(self, Self::Waits(task) if task.polls() > 0 && !task.woken())
    }

    fn is_on_its_way(&self) -> bool {
        matches!(self, Self::Waits(task) if task.woken())
    }
}

/// Plays one schedule, whose steps are the digits of `code`: the first holder leaves, or one of
/// the players is polled or dropped. E1 and P2 are looked at after every step, C4 at the end.
fn play_schedule(held: Mode, scripts: &[Script], steps: usize, mut code: usize) {
    let lock = lock();
    let mut holder = Some(hold(&lock, held));
    let mut players: Vec<_> =
        scripts.iter().map(|script| Player::Waits(Task::new(play(&lock, *script)))).collect();
    let choices = 1 + 2 * players.len();
    for _ in 0..steps {
        match code % choices {
            0 => drop(holder.take()),
            step if step % 2 == 1 => players[step / 2].poll(),
            step => players[step / 2 - 1] = Player::Gone,
        }
        code /= choices;

        let holds = || {
            let players = players.iter().filter_map(|player| match player {
                Player::Holds(guard) => Some(guard),
                _ => None,
            });
            players.chain(&holder)
        };
        for (i, a) in holds().enumerate() {
            assert!(holds().take(i).all(|b| !a.mode().excludes(b.mode())), "E1");
        }
        let word = lock.snapshot();
        let nobody_is_left = lock.locked().is_none();
        let upgrade_is_alone = word.is_upgrading() && word.shared_holders() == 0;
        if nobody_is_left || upgrade_is_alone {
            let sleepers = players.iter().any(Player::sleeps);
            assert!(!sleepers || players.iter().any(Player::is_on_its_way), "P2: {word:?}");
        }
        let shared_may_enter = lock.locked() != Some(Exclusive) && !word.is_upgrading();
        if shared_may_enter && !word.is_awaited(Exclusive) {
            let asleep = players.iter().zip(scripts).any(|(player, script)| {
                matches!(script, Script::Acquire(Shared)) && player.sleeps()
            });
            assert!(!asleep, "C1, F3, U4: {word:?}");
        }
    }
    drop(players);
    drop(holder);
    assert_idle(&lock);
}

#[test]
fn c4_after_every_schedule_of_two_the_word_is_back_to_zero() {
    const STEPS: u32 = 5;
    for held in Mode::ALL {
        for a in SCRIPTS {
            for b in SCRIPTS {
                for code in (0..5_usize.pow(STEPS)).step_by(if cfg!(miri) { 619 } else { 1 }) {
                    play_schedule(held, &[a, b], STEPS as usize, code);
                }
            }
        }
    }
}

#[test]
fn c4_after_schedules_of_four_the_word_is_back_to_zero() {
    const STEPS: u32 = 14;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as usize % below
    };
    for _ in 0..if cfg!(miri) { 60 } else { 40_000 } {
        let held = Mode::ALL[next(3)];
        let scripts = [(); 4].map(|()| SCRIPTS[next(5)]);
        // 32 bits have room for 9^10, so the code is made of what a usize can hold.
        let steps = if usize::BITS >= 64 { STEPS } else { 10 };
        let code = next(9_usize.pow(steps));
        play_schedule(held, &scripts, steps as usize, code);
    }
}

#[test]
fn c4_monitors_and_those_who_stand_back_leave_nothing_behind() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    drop(Task::queued(lock.wait(Shared)));
    drop(Task::queued(lock.acquire_or(Exclusive, pending::<()>())));
    let mut overtaken = Task::queued(lock.acquire(Exclusive));
    drop(guard);
    let overtaker = hold(&lock, Exclusive);
    overtaken.waits();
    drop(overtaker);
    let stands_back = Task::queued(lock.acquire(Exclusive));
    drop(overtaken);
    drop(stands_back);
    assert_idle(&lock);
}

/// Whoever gives up takes its own wait out of the word, and not that of another.
#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn c4_a_timeout_leaves_word_of_those_who_still_wait() {
    for mode in Mode::ALL {
        let lock = lock();
        let mut guard = hold(&lock, Exclusive);
        let waiter = Task::queued(lock.acquire(mode));
        assert!(lock.acquire_timeout(mode, Duration::from_millis(1)).is_none());
        assert!(lock.snapshot().is_awaited(mode));
        guard.downgrade(Shared);
        assert_eq!(lock.try_acquire(Shared).is_some(), mode != Exclusive);
        drop(guard);
        assert_eq!(waiter.wakes(), 1, "{mode:?}");
    }
}

/// Whatever waits, and however that ends: no waker stays with the lock, and (says Miri) nothing that is gone
/// stays in a list.
#[test]
fn c4_whoever_goes_leaves_no_waker_behind() {
    type Wait<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
    type Kind = for<'a> fn(&'a MultiLock, Option<&'a mut Guard<'_>>) -> Wait<'a>;
    let kinds: [Kind; 4] = [
        |lock, _| Box::pin(async { drop(lock.acquire(Exclusive).await) }),
        |lock, _| Box::pin(async { drop(lock.acquire_or(Exclusive, pending::<()>()).await) }),
        |lock, _| Box::pin(lock.wait(Exclusive)),
        |_, upgradable| Box::pin(async { upgradable.unwrap().upgrade().await.unwrap() }),
    ];
    for (number, wait) in kinds.into_iter().enumerate() {
        // Who comes next would come upon what stays in a list.
        let lock = lock();
        // How often it is polled, each time with another waker, whether it is called, and whether it then
        // comes.
        for (polls, is_called, comes) in [
            (1, false, false),
            (2, false, false),
            (1, true, false),
            (1, true, true),
            (2, true, true),
        ] {
            let mut upgradable = (number == 3).then(|| hold(&lock, Upgradable));
            let shared = hold(&lock, Shared);
            let alarms = [(); 2].map(|()| Arc::new(Alarm::default()));
            let mut task = Task::new(wait(&lock, upgradable.as_mut()));
            for alarm in &alarms[..polls] {
                assert!(task.poll_with(&Waker::from(alarm.clone())).is_pending());
            }
            if is_called {
                drop(shared);
            }
            if comes {
                task.finish();
            }
            drop(task);
            assert_eq!(alarms.each_ref().map(Arc::strong_count), [1; 2], "{number}, {polls}");
        }
    }
}

#[test]
fn c5_nothing_happens_before_the_first_poll() {
    let lock = Arc::new(lock());
    let mut shared = [hold(&lock, Shared), hold(&lock, Shared)];
    let before = lock.snapshot();
    let acquire = lock.acquire(Exclusive);
    let acquire_arc = lock.acquire_arc(Shared);
    let acquire_or = lock.acquire_or(Exclusive, ready(()));
    let acquire_or_arc = lock.acquire_or_arc(Exclusive, ready(()));
    let wait = lock.wait(Exclusive);
    let upgrade = shared[0].upgrade();
    assert_eq!(lock.snapshot(), before);
    drop((acquire, acquire_arc, acquire_or, acquire_or_arc, wait, upgrade));
    assert_eq!(lock.snapshot(), before);
    drop(shared);
    assert_idle(&lock);
    assert_eq!(Arc::strong_count(&lock), 1);
}

/// Nor is a free lock taken for a future that is never polled.
#[test]
fn c5_a_free_lock_stays_free_until_the_first_poll() {
    let lock = Arc::new(lock());
    for mode in Mode::ALL {
        let acquire = lock.acquire(mode);
        let acquire_arc = lock.acquire_arc(mode);
        let acquire_or = lock.acquire_or(mode, ready(()));
        let acquire_or_arc = lock.acquire_or_arc(mode, ready(()));
        assert_idle(&lock);
        drop(hold(&lock, Exclusive));
        drop((acquire, acquire_arc, acquire_or, acquire_or_arc));
        assert_idle(&lock);
    }
    assert_eq!(Arc::strong_count(&lock), 1);
}

// ------------------------------------------------------------------------- Upgrade and downgrade

#[test]
fn u1_one_upgradable_holder_beside_any_number_of_shared_ones() {
    let lock = lock();
    let before = [(); 3].map(|()| hold(&lock, Shared));
    let upgradable = hold(&lock, Upgradable);
    let after = [(); 3].map(|()| now(lock.acquire(Shared)));
    assert_eq!(lock.locked(), Some(Upgradable));
    assert_eq!(lock.snapshot().shared_holders(), 6);
    assert!(lock.try_acquire(Upgradable).is_none());
    let mut second = Task::queued(lock.acquire(Upgradable));
    drop(upgradable);
    assert!(second.woken(), "it need not wait for the shared ones");
    drop((second.finish(), before, after));
}

#[test]
fn u2_an_upgrade_waits_only_for_the_shared_holders_present() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let mut holders = vec![hold(&lock, Shared), hold(&lock, Shared), hold(&lock, Shared)];
        let mut guard = hold(&lock, mode);
        let mut upgrade = Task::queued(guard.upgrade());
        assert!(lock.snapshot().is_upgrading());
        // Nobody new makes it wait longer.
        assert!(Mode::ALL.iter().all(|mode| lock.try_acquire(*mode).is_none()));
        assert!(holders[0].share().is_none());
        while holders.pop().is_some() {
            assert_eq!(upgrade.wakes(), usize::from(holders.is_empty()));
        }
        upgrade.finish().unwrap();
        assert_eq!(upgrade.polls(), 2);
        drop(upgrade);
        assert_eq!((guard.mode(), lock.locked()), (Exclusive, Some(Exclusive)));
        drop(guard);
        assert_idle(&lock);
    }
}

#[test]
fn u2_alone_it_is_ready_at_once() {
    for mode in Mode::ALL {
        let lock = lock();
        let mut guard = hold(&lock, mode);
        now(guard.upgrade()).unwrap();
        assert_eq!(guard.mode(), Exclusive);
        assert!(lock.try_acquire(Shared).is_none());
        drop(guard);
        assert_idle(&lock);
    }
}

/// What the upgrader has seen must stay true: with a release in between it would not.
#[test]
fn u2_a_queued_exclusive_waiter_does_not_slip_in() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let (mut guard, shared) = (hold(&lock, mode), hold(&lock, Shared));
        let mut exclusive = Task::queued(lock.acquire(Exclusive));
        let mut upgrade = Task::queued(guard.upgrade());
        drop(shared);
        // The upgrade is woken and not polled yet: nobody else gets in, not even one that is polled.
        exclusive.waits();
        assert!(lock.try_acquire(Exclusive).is_none());
        upgrade.run().expect("woken").unwrap();
        drop(upgrade);
        exclusive.waits();
        assert_eq!(exclusive.wakes(), 0);
        drop(guard);
        drop(exclusive.run().expect("woken"));
    }
}

#[test]
fn u2_a_dropped_upgrade_keeps_the_hold_and_lets_in_who_waited_for_it() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let (mut guard, other) = (hold(&lock, mode), hold(&lock, Shared));
        let upgrade = Task::queued(guard.upgrade());
        let mut shared = [Task::queued(lock.acquire(Shared)), Task::queued(lock.acquire(Shared))];
        let upgradable = Task::queued(lock.acquire(Upgradable));
        drop(upgrade);
        assert_eq!(guard.mode(), mode);
        assert_eq!(woken(&shared), [true, true]);
        assert_eq!(upgradable.woken(), mode == Shared);
        drop(shared.each_mut().map(Task::finish));
        assert!(lock.try_acquire(Exclusive).is_none());
        drop((other, guard, upgradable));
        assert_idle(&lock);
    }
}

#[test]
fn u2_a_woken_upgrade_may_be_dropped() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let (mut guard, other) = (hold(&lock, mode), hold(&lock, Shared));
        let upgrade = Task::queued(guard.upgrade());
        let mut shared = Task::queued(lock.acquire(Shared));
        let mut exclusive = Task::queued(lock.acquire(Exclusive));
        drop(other);
        assert!(upgrade.woken());
        drop(upgrade);
        assert_eq!((guard.mode(), lock.locked()), (mode, Some(mode)));
        assert!(!shared.woken() && !exclusive.woken(), "an exclusive one still waits");
        drop(guard);
        drop(exclusive.run().expect("woken"));
        drop(shared.run().expect("woken"));
        assert_idle(&lock);
    }
}

#[test]
fn u3_the_second_of_two_upgraders_is_told_at_once() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let (mut first, mut second) = (hold(&lock, mode), hold(&lock, Shared));
        let mut upgrade = Task::queued(first.upgrade());
        assert_eq!(now(second.upgrade()), Err(UpgradeError::Conflict));
        assert_eq!(second.try_upgrade(), Err(UpgradeError::Conflict));
        // Its hold is intact, and still in the way.
        assert_eq!(second.mode(), Shared);
        upgrade.waits();
        assert!(!upgrade.woken());
        drop(second);
        upgrade.run().expect("woken").unwrap();
    }
}

#[test]
fn u3_a_shared_holder_cannot_upgrade_beside_an_upgradable_one() {
    let lock = lock();
    let (mut shared, mut upgradable) = (hold(&lock, Shared), hold(&lock, Upgradable));
    assert_eq!(now(shared.upgrade()), Err(UpgradeError::Conflict));
    assert_eq!(shared.try_upgrade(), Err(UpgradeError::Conflict));
    assert_eq!(upgradable.try_upgrade(), Err(UpgradeError::SharedHolders));
    assert_eq!((shared.mode(), upgradable.mode()), (Shared, Upgradable));
    assert!(!lock.snapshot().is_upgrading());
    drop(upgradable);
    let other = hold(&lock, Shared);
    assert_eq!(shared.try_upgrade(), Err(UpgradeError::SharedHolders));
    drop(other);
    shared.try_upgrade().unwrap();
    drop(shared);
    assert_idle(&lock);
}

/// The first waits, the second is refused; then the first gives up, and it is the second's turn.
#[test]
fn u3_after_the_first_gave_up_the_second_may_upgrade() {
    let lock = lock();
    let (mut first, mut second) = (hold(&lock, Shared), hold(&lock, Shared));
    let upgrade = Task::queued(first.upgrade());
    assert_eq!(now(second.upgrade()), Err(UpgradeError::Conflict));
    drop(upgrade);
    let mut upgrade = Task::queued(second.upgrade());
    drop(first);
    upgrade.run().expect("woken").unwrap();
}

#[test]
fn u4_downgrading_wakes_everyone_it_lets_in() {
    // From, to; then who is woken: the shared ones, the first and the second upgradable one.
    let table = [
        (Exclusive, Shared, [true, true, false]),
        (Exclusive, Upgradable, [true, false, false]),
        (Upgradable, Shared, [false, true, false]),
    ];
    for (from, to, [shared_enter, first_enters, second_enters]) in table {
        let lock = lock();
        let mut guard = hold(&lock, from);
        let mut upgradable =
            [Task::queued(lock.acquire(Upgradable)), Task::queued(lock.acquire(Upgradable))];
        let mut shared: Vec<_> = (0..20)
            .map(|_| Task::new(lock.acquire(Shared)))
            .filter_map(|mut task| task.poll().is_pending().then_some(task))
            .collect();
        guard.downgrade(to);
        assert_eq!((guard.mode(), lock.locked()), (to, Some(to)));
        assert_eq!(shared.is_empty(), !shared_enter);
        let entered: Vec<_> = shared.iter_mut().map(|task| task.run().expect("woken")).collect();
        assert_eq!(woken(&upgradable), [first_enters, second_enters], "{from:?} to {to:?}");
        let entered = (entered, upgradable[0].run());
        drop((entered, guard, upgradable));
        assert_idle(&lock);
    }
}

#[test]
fn u4_an_exclusive_waiter_is_not_woken_by_a_downgrade() {
    for (from, to) in [(Exclusive, Shared), (Exclusive, Upgradable), (Upgradable, Shared)] {
        let lock = lock();
        let mut guard = hold(&lock, from);
        let mut exclusive = Task::queued(lock.acquire(Exclusive));
        guard.downgrade(to);
        assert!(!exclusive.woken());
        drop(guard);
        drop(exclusive.run().expect("woken"));
    }
}

#[test]
fn u4_an_upgrade_and_a_downgrade_make_a_round() {
    let lock = lock();
    let mut guard = hold(&lock, Upgradable);
    now(guard.upgrade()).unwrap();
    let mut shared = Task::queued(lock.acquire(Shared));
    guard.downgrade(Upgradable);
    let shared = shared.run().expect("woken");
    let mut upgrade = Task::queued(guard.upgrade());
    drop(shared);
    upgrade.run().expect("woken").unwrap();
    drop(upgrade);
    drop(guard);
    assert_idle(&lock);
}

// ----------------------------------------------------------------------------------------- Cost

#[test]
fn x1_uncontended_allocates_nothing() {
    let lock = Arc::new(lock());
    for mode in Mode::ALL {
        without_allocation(mode, || {
            drop(lock.try_acquire(mode).unwrap());
            drop(lock.try_acquire_arc(mode).unwrap());
            drop(now(lock.acquire(mode)));
            drop(now(lock.acquire_arc(mode)));
            drop(now(lock.acquire_or(mode, pending::<()>())).unwrap());
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            drop(lock.acquire_blocking(mode));
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            drop(lock.acquire_timeout(mode, LONG).unwrap());
            now(lock.wait(mode));
            let handle = hold(&lock, mode).into_handle();
            let mut guard = lock.adopt(handle).unwrap();
            now(guard.upgrade()).unwrap();
            guard.downgrade(Upgradable);
            drop(guard.share().unwrap());
            guard.try_upgrade().unwrap();
        });
    }
    assert_idle(&lock);
}

#[test]
fn x1_a_failed_try_allocates_nothing() {
    let lock = lock();
    let mut shared = [hold(&lock, Shared), hold(&lock, Shared)];
    let _upgradable = hold(&lock, Upgradable);
    without_allocation("tries", || {
        assert!(lock.try_acquire(Exclusive).is_none());
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        assert!(lock.acquire_timeout(Exclusive, Duration::ZERO).is_none());
        assert!(shared[0].try_upgrade().is_err());
        assert!(now(shared[0].upgrade()).is_err());
    });
}

#[test]
fn x2_what_a_lock_has_allocated_goes_with_it() {
    for mode in Mode::ALL {
        without_a_leak(mode, || {
            let lock = lock();
            let guard = hold(&lock, Exclusive);
            assert!(poll_once(lock.acquire(mode)).is_pending());
            drop(guard);
        });
    }
}

#[test]
fn x2_waiting_allocates_nothing_after_the_first_wait() {
    // More than are woken in one round.
    const CROWD: usize = 20;
    let lock = Arc::new(lock());
    let wake = |alarm: &Arc<Alarm>, mode| {
        let waker = Waker::from(alarm.clone());
        let mut cx = Context::from_waker(&waker);
        let guard = hold(&lock, Exclusive);
        let mut crowd = [(); CROWD].map(|()| lock.acquire(mode));
        // SAFETY: the array does not move until it is dropped.
        let mut crowd = crowd.each_mut().map(|future| unsafe { Pin::new_unchecked(future) });
        let mut acquire_arc = pin!(lock.acquire_arc(mode));
        let mut acquire_or = pin!(lock.acquire_or(mode, pending::<()>()));
        let mut wait = pin!(lock.wait(mode));
        assert!(crowd.iter_mut().all(|future| future.as_mut().poll(&mut cx).is_pending()));
        assert!(acquire_arc.as_mut().poll(&mut cx).is_pending());
        assert!(acquire_or.as_mut().poll(&mut cx).is_pending());
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        drop(guard);
        for future in &mut crowd {
            let Poll::Ready(guard) = future.as_mut().poll(&mut cx) else { panic!("pending") };
            drop(guard);
        }
        assert!(acquire_arc.as_mut().poll(&mut cx).is_ready());
        assert!(acquire_or.as_mut().poll(&mut cx).is_ready());
        assert!(wait.as_mut().poll(&mut cx).is_ready());
    };
    let alarm = Arc::new(Alarm::default());
    let ((), first) = allocations(|| {
        let _guard = hold(&lock, Exclusive);
        assert!(poll_once(lock.acquire(Shared)).is_pending());
    });
    assert!(first > 0, "a lock that never allocates could promise more");
    for mode in Mode::ALL {
        without_allocation(mode, || wake(&alarm, mode));
    }
    assert_idle(&lock);
}

/// How firmware has the queue made at boot, and not in an interrupt handler.
#[test]
fn x2_after_a_monitor_not_even_the_first_wait_allocates() {
    let lock = lock();
    let ((), first) = allocations(|| drop(lock.notify(Shared)));
    assert!(first > 0, "it is the monitor that allocates");
    let mut guard = hold(&lock, Exclusive);
    without_allocation("waits", || {
        for mode in Mode::ALL {
            let mut acquire = pin!(lock.acquire(mode));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(acquire.as_mut().poll(&mut cx).is_pending());
        }
        guard.downgrade(Shared);
    });
}

#[test]
fn x2_an_upgrade_that_waits_allocates_nothing_after_the_first_wait() {
    let lock = lock();
    let upgrade = || {
        let (mut guard, shared) = (hold(&lock, Upgradable), hold(&lock, Shared));
        let mut cx = Context::from_waker(Waker::noop());
        let mut upgrade = pin!(guard.upgrade());
        assert!(upgrade.as_mut().poll(&mut cx).is_pending());
        drop(shared);
        assert!(upgrade.as_mut().poll(&mut cx).is_ready());
    };
    upgrade();
    without_allocation("upgrade", upgrade);
}

#[test]
fn x2_a_cancelled_wait_allocates_nothing_after_the_first_wait() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let cancel = || {
        for mode in Mode::ALL {
            assert!(poll_once(lock.acquire(mode)).is_pending());
            assert!(poll_once(lock.wait(mode)).is_pending());
        }
    };
    cancel();
    without_allocation("cancelled waits", cancel);
    drop(guard);
}

/// Nobody is looked for among those who wait: not who is called next, nor who goes. A look at all of them would
/// take each of ten thousand a hundred times as long as each of a hundred.
#[test]
#[cfg(not(miri))]
fn ten_thousand_waiters_cost_as_much_each_as_a_hundred() {
    /// What becomes of them, when the exclusive holder they wait for is gone or before.
    type Ends = for<'a> fn(Vec<Task<Acquires<'a>>>, Guard<'a>);
    type Acquires<'a> = Pin<Box<dyn Future<Output = Guard<'a>> + 'a>>;
    let ends: [(Mode, Ends); 4] = [
        // One after the other.
        (Exclusive, |tasks, guard| {
            drop(guard);
            tasks.into_iter().for_each(|mut task| drop(task.run().expect("woken")));
        }),
        // All at once.
        (Shared, |mut tasks, guard| {
            drop(guard);
            let guards: Vec<_> = tasks.iter_mut().map(|task| task.run().expect("woken")).collect();
            drop(guards);
        }),
        // None: they go, from the first to the last, and from the last to the first.
        (Exclusive, |tasks, _guard| tasks.into_iter().for_each(drop)),
        (Shared, |tasks, _guard| tasks.into_iter().rev().for_each(drop)),
    ];
    for (number, (mode, end)) in ends.into_iter().enumerate() {
        let each = |count: u32| {
            let lock = lock();
            let guard = hold(&lock, Exclusive);
            let start = Instant::now();
            let acquire = |_| Task::queued(Box::pin(lock.acquire(mode)) as Acquires<'_>);
            end((0..count).map(acquire).collect(), guard);
            let each = start.elapsed() / count;
            assert_idle(&lock);
            each
        };
        // Something else may come in between, but not each time.
        let quickest = |count| (0..5).map(|_| each(count)).min().unwrap();
        let (few, many) = (quickest(100), quickest(10_000));
        assert!(
            many < 20 * few,
            "case {number}: {few:?} each of a hundred, {many:?} of ten thousand"
        );
    }
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn x2_a_blocking_wait_allocates_nothing_after_the_first_of_its_thread() {
    const WAITS: usize = 3;
    let lock = lock();
    let locked = AtomicBool::new(false);
    let until = |value| {
        while locked.load(SeqCst) != value {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let blocked = scope.spawn(|| {
            [(); WAITS].map(|()| {
                let wait = |mode| {
                    until(true);
                    let guard = lock.acquire_blocking(mode);
                    locked.store(false, SeqCst);
                    drop(guard);
                };
                allocations(|| Mode::ALL.into_iter().for_each(wait)).1
            })
        });
        for _ in 0..WAITS {
            for mode in Mode::ALL {
                let guard = lock.acquire_blocking(Exclusive);
                locked.store(true, SeqCst);
                until_awaited(&lock, mode);
                drop(guard);
                until(false);
            }
        }
        assert_eq!(blocked.join().unwrap()[1..], [0, 0]);
    });
}

/// Its parker, and so does each wait that a waker begins while the thread waits. Elsewhere mutexes may allocate, too.
#[test]
#[cfg(all(feature = "std", target_os = "linux"))]
fn x2_the_first_blocking_wait_of_a_thread_allocates_once() {
    let lock = Arc::new(lock());
    let _guard = hold(&lock, Exclusive);
    let _monitor = lock.notify(Shared);
    let theirs = lock.clone();
    let waits = move || {
        let timeout =
            || assert!(theirs.acquire_timeout(Shared, Duration::from_millis(1)).is_none());
        [(); 3].map(|()| allocations(timeout).1)
    };
    assert_eq!(thread::spawn(waits).join().unwrap(), [1, 0, 0]);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn x2_a_timeout_allocates_nothing_after_the_first_of_its_thread() {
    let lock = lock();
    let _guard = hold(&lock, Exclusive);
    let timeout = || assert!(lock.acquire_timeout(Shared, Duration::from_millis(1)).is_none());
    timeout();
    without_allocation("a timeout", timeout);
}

#[test]
fn x3_size() {
    assert!(size_of::<MultiLock>() <= 3 * size_of::<usize>());
    assert_eq!(size_of::<Guard<'_>>(), size_of::<Option<Guard<'_>>>());
}

// -------------------------------------------------------------------------------------- Bad use

#[test]
fn bad_use_errors_say_who_is_in_the_way() {
    let lock = lock();
    let (mut first, mut second) = (hold(&lock, Shared), hold(&lock, Shared));
    let refused = first.try_upgrade().unwrap_err();
    assert_eq!(refused.to_string(), "the lock has other shared holders");
    let _upgrade = Task::queued(first.upgrade());
    let refused = now(second.upgrade()).unwrap_err();
    assert_eq!(refused.to_string(), "another holder of the lock may upgrade first");
}

#[test]
fn bad_use_a_handle_of_another_lock_comes_back() {
    for mode in Mode::ALL {
        // Two fresh locks, and two that have names already.
        let (lock, other) = (Arc::new(lock()), Arc::new(lock()));
        for _ in 0..2 {
            let handle = hold(&lock, mode).into_handle();
            let id = handle.id();
            let words = (lock.snapshot(), other.snapshot());
            let error = other.release(handle).unwrap_err();
            assert!(error.to_string().contains(&id.to_string()));
            let handle = other.adopt(error.into_handle()).unwrap_err().into_handle();
            let handle = other.adopt_arc(handle).unwrap_err().into_handle();
            assert_eq!((handle.id(), handle.mode()), (id, mode));
            assert_eq!((lock.snapshot(), other.snapshot()), words);
            lock.release(handle).unwrap();
            assert_idle(&lock);
            other.release(hold(&other, mode).into_handle()).unwrap();
        }
    }
}

/// A lock that knew its handles by its address would release a hold that it does not have.
#[test]
fn bad_use_a_handle_of_a_lock_that_is_gone_comes_back() {
    let mut place = Box::new(lock());
    let address = ptr::from_ref(&*place);
    let handle = hold(&place, Exclusive).into_handle();
    *place = lock();
    assert_eq!(ptr::from_ref(&*place), address);
    let handle = place.release(handle).unwrap_err().into_handle();
    assert_idle(&place);
    // Also when the new lock has handles, and is held.
    let new = hold(&place, Exclusive).into_handle();
    assert_ne!(new.id(), handle.id());
    place.release(handle).unwrap_err();
    assert_eq!(place.locked(), Some(Exclusive));
    place.release(new).unwrap();
    drop(place);
}

#[test]
fn bad_use_a_lock_may_be_moved_between_acquisition_and_release() {
    let here = lock();
    // With a queue, too.
    let guard = hold(&here, Exclusive);
    drop(Task::queued(here.acquire(Shared)));
    let handle = guard.into_handle();
    let mut there = Box::new(here);
    assert_eq!(there.locked(), Some(Exclusive));
    let mut other = lock();
    mem::swap(&mut *there, &mut other);
    let handle = there.release(handle).unwrap_err().into_handle();
    let mut task = Task::queued(other.acquire(Shared));
    other.release(handle).unwrap();
    drop(task.run().expect("woken"));
}

#[test]
fn bad_use_a_forgotten_guard_leaves_the_lock_held_and_nothing_else() {
    let lock = lock();
    mem::forget(hold(&lock, Shared));
    drop(hold(&lock, Shared));
    assert!(lock.try_acquire(Exclusive).is_none());
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    assert!(lock.acquire_timeout(Exclusive, Duration::from_millis(1)).is_none());
    drop(Task::queued(lock.acquire(Exclusive)));
    assert_eq!((lock.locked(), lock.snapshot().shared_holders()), (Some(Shared), 1));
    // It can be moved, and dropped.
    let moved = lock;
    assert_eq!(moved.locked(), Some(Shared));
}

/// What tests have forgotten for good: here, and so no leak for Miri.
static FORGOTTEN: [AtomicPtr<()>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];

/// Its place in the queue stays, and it is a dormant waiter like any other. The lock may go before
/// it: it is not looked at any more.
#[test]
fn bad_use_a_forgotten_future_is_a_dormant_waiter() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    for (place, mode) in FORGOTTEN.iter().zip([Exclusive, Shared]) {
        let task = Task::queued(lock.acquire(mode));
        place.store(Box::into_raw(Box::new(task)).cast(), SeqCst);
    }
    let mut task = Task::queued(lock.acquire(Exclusive));
    drop(guard);
    drop(now(lock.acquire(Exclusive)));
    drop(now(lock.acquire(Shared)));
    drop(task.run().expect("woken at the latest now"));
    assert_eq!(lock.locked(), None);
    drop(task);
    drop(lock);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn bad_use_a_zero_timeout_is_one_try() {
    let lock = lock();
    for mode in Mode::ALL {
        drop(lock.acquire_timeout(mode, Duration::ZERO).expect("free"));
    }
    let _guard = hold(&lock, Shared);
    let word = lock.snapshot();
    assert!(lock.acquire_timeout(Exclusive, Duration::ZERO).is_none());
    assert!(lock.acquire_timeout(Shared, Duration::ZERO).is_some());
    assert_eq!(lock.snapshot(), word);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn bad_use_a_deadline_in_the_past_is_one_try() {
    let lock = lock();
    let past = Instant::now();
    while Instant::now() == past {
        thread::yield_now();
    }
    for mode in Mode::ALL {
        drop(lock.acquire_deadline(mode, past).expect("free"));
    }
    let _guard = hold(&lock, Shared);
    let word = lock.snapshot();
    assert!(lock.acquire_deadline(Exclusive, past).is_none());
    assert_eq!(lock.snapshot(), word);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn bad_use_the_longest_timeout_is_no_limit() {
    let lock = lock();
    drop(lock.acquire_timeout(Exclusive, Duration::MAX).unwrap());
    let guard = hold(&lock, Exclusive);
    thread::scope(|scope| {
        let blocked = scope.spawn(|| lock.acquire_timeout(Exclusive, Duration::MAX).is_some());
        until_awaited(&lock, Exclusive);
        drop(guard);
        assert!(blocked.join().unwrap());
    });
}

#[test]
#[cfg(panic = "unwind")]
fn bad_use_a_panic_inside_the_critical_section_releases() {
    let lock = lock();
    let mut waiter = None;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _guard = hold(&lock, Exclusive);
        waiter = Some(Task::queued(lock.acquire(Exclusive)));
        panic!("inside");
    }));
    assert_eq!(message(panic.unwrap_err()), "inside");
    drop(waiter.unwrap().run().expect("woken"));
    assert_idle(&lock);
}

#[test]
#[cfg(panic = "unwind")]
fn bad_use_downgrading_to_a_stronger_mode_panics_and_keeps_the_hold() {
    for (held, to) in [(Shared, Upgradable), (Shared, Exclusive), (Upgradable, Exclusive)] {
        let lock = lock();
        let mut guard = hold(&lock, held);
        let panic = catch_unwind(AssertUnwindSafe(|| guard.downgrade(to))).unwrap_err();
        assert_eq!(message(panic), format!("cannot downgrade from {held:?} to {to:?}"));
        assert_eq!((guard.mode(), lock.locked()), (held, Some(held)));
        guard.downgrade(held);
        drop(guard);
        assert_idle(&lock);
    }
}

#[test]
#[cfg(panic = "unwind")]
fn bad_use_a_future_that_is_done_says_so_and_panics_when_it_is_polled() {
    fn check<F: FusedFuture>(future: F) {
        let mut task = Task::new(future);
        assert!(!task.future().is_terminated());
        drop(task.finish());
        assert!(task.future().is_terminated());
        let panic = catch_unwind(AssertUnwindSafe(|| drop(task.poll()))).unwrap_err();
        assert_eq!(message(panic), "polled after it was ready");
        assert!(task.future().is_terminated());
    }
    let lock = Arc::new(lock());
    for mode in Mode::ALL {
        check(lock.acquire(mode));
        check(lock.acquire_arc(mode));
        check(lock.wait(mode));
        assert_idle(&lock);
    }
    let _guard = hold(&lock, Exclusive);
    assert!(!Task::queued(lock.acquire(Shared)).future().is_terminated());
}

// --------------------------------------------------------------------------------------- Wakers

/// One task that comes back to the lock from inside of its waker, in all ways there are. With a
/// lock held around the call of the waker, each of them would hang.
struct ReEntry {
    lock: Arc<MultiLock>,
    hold: Mutex<Option<GuardArc>>,
    queued: Mutex<Option<Pin<Box<dyn Future<Output = GuardArc> + Send>>>>,
    runs: AtomicUsize,
}

impl ReEntry {
    fn run(&self) {
        self.runs.fetch_add(1, SeqCst);
        for mode in Mode::ALL {
            drop(self.lock.try_acquire(mode));
            drop(Task::new(self.lock.acquire(mode)).poll());
            let _ = Task::new(self.lock.wait(mode)).poll();
        }
        drop(self.hold.lock().unwrap().take());
        drop(self.queued.lock().unwrap().take());
    }
}

#[test]
fn wakers_may_use_the_lock_when_they_are_cloned_woken_and_dropped() {
    for place in ["clone", "wake", "replace", "drop"] {
        let lock = Arc::new(lock());
        let holder = hold(&lock, Upgradable);
        let re_entry = Arc::new(ReEntry {
            lock: lock.clone(),
            hold: Mutex::new(lock.try_acquire_arc(Shared)),
            queued: Mutex::new(None),
            runs: AtomicUsize::new(0),
        });
        let run = {
            let re_entry = re_entry.clone();
            Box::new(move || re_entry.run())
        };
        let hooks = match place {
            "clone" => Hooks { on_clone: run, ..Hooks::default() },
            "wake" => Hooks { on_wake: run, ..Hooks::default() },
            _ => Hooks { on_drop: run, ..Hooks::default() },
        };
        let waker = hooks.waker();
        // The same list of waiters has the task, one that its waker drops, and one that stays.
        let queue = || -> Pin<Box<dyn Future<Output = GuardArc> + Send>> {
            let mut queued = Box::pin(lock.acquire_arc(Upgradable));
            assert!(poll_once(&mut queued).is_pending());
            queued
        };
        let mut task = Task::new(lock.acquire(Upgradable));
        if place == "clone" {
            *re_entry.queued.lock().unwrap() = Some(queue());
        }
        assert!(task.poll_with(&waker).is_pending());
        if place != "clone" {
            *re_entry.queued.lock().unwrap() = Some(queue());
        }
        let mut other = Task::queued(lock.acquire(Upgradable));
        let mut monitor = Task::queued(lock.wait(Exclusive));

        match place {
            "replace" => task.waits(),
            "drop" => task = Task::new(lock.acquire(Upgradable)),
            _ => {}
        }
        drop(holder);
        assert_eq!(re_entry.runs.load(SeqCst), 1, "{place}");
        assert!(re_entry.hold.lock().unwrap().is_none());
        assert!(re_entry.queued.lock().unwrap().is_none());
        monitor.run().expect("woken");
        drop(task.finish());
        drop(other.run().expect("woken"));
        drop(task);
        assert_idle(&lock);
    }
}

/// The release runs the next holder's task, whose release runs the next one's, and so on.
#[test]
fn wakers_may_poll_their_future_inline() {
    const COUNT: usize = 10;
    for mode in Mode::ALL {
        let lock = Arc::new(lock());
        let entered = Arc::new(AtomicUsize::new(0));
        let guard = hold(&lock, Exclusive);
        for number in 0..COUNT {
            let (lock, entered) = (lock.clone(), entered.clone());
            Inline::spawn(async move {
                let mode = if number % 2 == 0 { mode } else { Exclusive };
                let mut guard = lock.acquire(mode).await;
                entered.fetch_add(1, SeqCst);
                guard.downgrade(Shared);
                drop(guard);
                // Once more: with luck, and with a poll or two in between.
                drop(lock.acquire(mode).await);
                lock.wait(Shared).await;
                entered.fetch_add(1, SeqCst);
            });
        }
        assert_eq!(entered.load(SeqCst), 0);
        drop(guard);
        assert_eq!(entered.load(SeqCst), 2 * COUNT, "{mode:?}");
        assert_idle(&lock);
        // Every task is gone, and its waker with it.
        assert_eq!(Arc::strong_count(&lock), 1);
    }
}

fn panics_in_wake() -> Waker {
    Hooks { on_wake: Box::new(|| panic!("in wake")), ..Hooks::default() }.waker()
}

/// The others are woken, and whoever has released hears of it.
#[test]
#[cfg(all(feature = "std", panic = "unwind"))]
fn wakers_that_panic_keep_nobody_asleep() {
    for place in [0, 5, 19] {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let mut tasks: Vec<_> = (0..20).map(|_| Task::new(lock.acquire(Shared))).collect();
        for (i, task) in tasks.iter_mut().enumerate() {
            let waker = if i == place { panics_in_wake() } else { Waker::noop().clone() };
            assert!(if i == place { task.poll_with(&waker) } else { task.poll() }.is_pending());
        }
        let panic = catch_unwind(AssertUnwindSafe(|| drop(guard))).unwrap_err();
        assert_eq!(message(panic), "in wake");
        assert!(tasks.iter().enumerate().all(|(i, task)| task.wakes() == usize::from(i != place)));
        drop(tasks.iter_mut().map(Task::finish).collect::<Vec<_>>());
        assert_idle(&lock);
        // The lock works as before.
        let guard = hold(&lock, Exclusive);
        let mut task = Task::queued(lock.acquire(Exclusive));
        drop(guard);
        drop(task.run().expect("woken"));
    }
}

/// Nothing catches the panic of a waker, but those who were called together with its task are woken.
#[test]
#[cfg(all(not(feature = "std"), panic = "unwind"))]
fn wakers_that_panic_keep_nobody_asleep_who_was_called_with_them() {
    for place in [0, 4, 7] {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let mut tasks: Vec<_> = (0..8).map(|_| Task::new(lock.acquire(Shared))).collect();
        for (i, task) in tasks.iter_mut().enumerate() {
            let waker = panics_in_wake();
            assert!(if i == place { task.poll_with(&waker) } else { task.poll() }.is_pending());
        }
        let panic = catch_unwind(AssertUnwindSafe(|| drop(guard))).unwrap_err();
        assert_eq!(message(panic), "in wake");
        assert!(tasks.iter().enumerate().all(|(i, task)| task.wakes() == usize::from(i != place)));
        drop(tasks);
        assert_idle(&lock);
    }
}

/// What they panic with is foreign code, too: only the first is heard, and the others are dropped.
#[test]
#[cfg(all(feature = "std", panic = "unwind"))]
fn wakers_that_panic_with_what_panics_in_its_drop_keep_nobody_asleep() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            // Of no size: what nobody can drop is forgotten.
            panic_any(());
        }
    }
    for panicking in [false, true] {
        let lock = lock();
        let mut tasks: Vec<_> = (0..20).map(|_| Task::new(lock.acquire(Shared))).collect();
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _guard = hold(&lock, Exclusive);
            for (i, task) in tasks.iter_mut().enumerate() {
                let on_wake = Box::new(|| panic_any(Bomb));
                let hooked = Hooks { on_wake, ..Hooks::default() }.waker();
                assert!(if i < 2 { task.poll_with(&hooked) } else { task.poll() }.is_pending());
            }
            assert!(!panicking, "inside");
        }));
        let panic = panic.unwrap_err();
        match panic.downcast::<Bomb>() {
            Ok(bomb) => mem::forget(bomb),
            Err(panic) => assert_eq!(message(panic), "inside"),
        }
        assert!(tasks.iter().skip(2).all(Task::woken), "{panicking}");
        drop(tasks);
        assert_idle(&lock);
    }
}

/// Its panic comes out of whatever call has woken it.
#[test]
#[cfg(panic = "unwind")]
fn wakers_that_panic_are_heard_by_a_downgrade_and_by_a_handles_release() {
    type Cause = fn(&MultiLock, Guard<'_>);
    let causes: [Cause; 2] = [
        |_, mut guard| guard.downgrade(Shared),
        |lock, guard| lock.release(guard.into_handle()).unwrap(),
    ];
    for cause in causes {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let mut first = Task::new(lock.acquire(Shared));
        assert!(first.poll_with(&panics_in_wake()).is_pending());
        let second = Task::queued(lock.acquire(Shared));
        let panic = catch_unwind(AssertUnwindSafe(|| cause(&lock, guard))).unwrap_err();
        assert_eq!(message(panic), "in wake");
        assert!(second.woken());
        drop((first, second));
        assert_idle(&lock);
    }
}

#[test]
#[cfg(panic = "unwind")]
fn wakers_that_panic_are_heard_by_a_cancellation() {
    let lock = lock();
    let guard = hold(&lock, Shared);
    let exclusive = Task::queued(lock.acquire(Exclusive));
    let mut first = Task::new(lock.acquire(Shared));
    assert!(first.poll_with(&panics_in_wake()).is_pending());
    let second = Task::queued(lock.acquire(Shared));
    let panic = catch_unwind(AssertUnwindSafe(|| drop(exclusive))).unwrap_err();
    assert_eq!(message(panic), "in wake");
    assert!(second.woken());
    drop((guard, first, second));
    assert_idle(&lock);
}

/// A second panic while one is under way would end the process.
#[test]
#[cfg(all(feature = "std", panic = "unwind"))]
fn wakers_that_panic_during_a_panic_do_not_abort() {
    let lock = lock();
    let mut shared = Task::new(lock.acquire(Shared));
    let mut other = Task::new(lock.acquire(Shared));
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _guard = hold(&lock, Exclusive);
        assert!(shared.poll_with(&panics_in_wake()).is_pending());
        other.waits();
        panic!("inside");
    }));
    assert_eq!(message(panic.unwrap_err()), "inside");
    assert!(other.woken());
    drop((shared, other));
    assert_idle(&lock);
}

#[test]
#[cfg(panic = "unwind")]
fn wakers_that_panic_when_they_are_cloned_harm_only_their_own_poll() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let waker = Hooks { on_clone: Box::new(|| panic!("in clone")), ..Hooks::default() }.waker();
    let mut task = Task::new(lock.acquire(Exclusive));
    let panic = catch_unwind(AssertUnwindSafe(|| drop(task.poll_with(&waker)))).unwrap_err();
    assert_eq!(message(panic), "in clone");
    let mut other = Task::queued(lock.acquire(Exclusive));
    drop(guard);
    drop(task);
    drop(other.run().expect("woken"));
    assert_idle(&lock);
}

/// What a waker does that is dropped as the lock lets go of it, and panics.
fn panics_in_drop(armed: &Arc<AtomicBool>) -> Hooks {
    let armed = armed.clone();
    let on_drop = Box::new(move || assert!(!armed.swap(false, SeqCst), "in drop"));
    Hooks { on_drop, ..Hooks::default() }
}

/// The acquisition has entered when its waker goes.
#[test]
#[cfg(panic = "unwind")]
fn wakers_that_panic_when_they_are_dropped_leave_no_hold() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    // Somebody else is called, so that the waker is still there when the task enters by luck.
    let called = Task::queued(lock.acquire(Exclusive));
    let armed = Arc::new(AtomicBool::new(false));
    let waker = panics_in_drop(&armed).waker();
    let mut task = Task::new(lock.acquire(Exclusive));
    assert!(task.poll_with(&waker).is_pending());
    drop(guard);
    armed.store(true, SeqCst);
    let poll = catch_unwind(AssertUnwindSafe(|| drop(task.poll_with(&waker))));
    assert_eq!(message(poll.unwrap_err()), "in drop");
    assert_eq!(lock.locked(), None);
    drop((task, called));
    assert_idle(&lock);
}

#[test]
#[cfg(panic = "unwind")]
fn wakers_that_panic_when_they_are_dropped_leave_an_upgrade_undone() {
    for mode in [Shared, Upgradable] {
        let lock = Arc::new(lock());
        let other = Mutex::new(lock.try_acquire_arc(Shared));
        let mut guard = hold(&lock, mode);
        let armed = Arc::new(AtomicBool::new(false));
        // The other leaves when the upgrade is about to listen: so it is done while it has a waker.
        let leaves = armed.clone();
        let on_clone =
            Box::new(move || leaves.store(other.lock().unwrap().take().is_some(), SeqCst));
        let waker = Hooks { on_clone, ..panics_in_drop(&armed) }.waker();
        let mut task = Task::new(guard.upgrade());
        let poll = catch_unwind(AssertUnwindSafe(|| task.poll_with(&waker)));
        drop(task);
        assert!(poll.is_err());
        assert_eq!((guard.mode(), lock.locked()), (mode, Some(mode)));
        drop(guard);
        assert_idle(&lock);
    }
}

/// It was called and entered, and the waker that it did not need panicked: the hold is gone, and with it the
/// call. From then on it waits as anybody does.
#[test]
#[cfg(panic = "unwind")]
fn q1_a_call_is_used_up_even_if_a_waker_panics() {
    let lock = Arc::new(lock());
    let guard = hold(&lock, Exclusive);
    let mut task = Task::queued(lock.acquire(Shared));
    drop(guard);
    assert!(task.woken());
    // Somebody is there when it is polled, and leaves while it clones its waker.
    let other = Mutex::new(lock.try_acquire_arc(Exclusive));
    let armed = Arc::new(AtomicBool::new(false));
    let leaves = armed.clone();
    let on_clone = Box::new(move || leaves.store(other.lock().unwrap().take().is_some(), SeqCst));
    let waker = Hooks { on_clone, ..panics_in_drop(&armed) }.waker();
    let poll = catch_unwind(AssertUnwindSafe(|| drop(task.poll_with(&waker))));
    assert_eq!(message(poll.unwrap_err()), "in drop");
    assert_eq!(lock.locked(), None);
    let shared = hold(&lock, Shared);
    let exclusive = Task::queued(lock.acquire(Exclusive));
    assert!(task.poll().is_pending(), "it joins shared holders past an exclusive waiter");
    drop((exclusive, shared, task));
    assert_idle(&lock);
}

/// A waker that lives where the one of another task has lived before is another's all the same.
#[test]
fn wakers_are_not_known_by_where_they_are_borrowed_from() {
    static BORROWED: RawWakerVTable = RawWakerVTable::new(
        |place| {
            // SAFETY: the wakers of this test are made of a place with an alarm.
            let alarm = unsafe { (*place.cast::<Arc<Alarm>>()).clone() };
            let waker = mem::ManuallyDrop::new(Waker::from(alarm));
            RawWaker::new(waker.data(), waker.vtable())
        },
        |_| unreachable!("a borrowed waker is not woken"),
        |_| unreachable!("a borrowed waker is not woken"),
        |_| {},
    );
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let alarms = [(); 2].map(|()| Arc::new(Alarm::default()));
    let mut task = Task::new(lock.acquire(Exclusive));
    let mut place = alarms[0].clone();
    for alarm in &alarms {
        place.clone_from(alarm);
        // SAFETY: the functions of `BORROWED` keep the contract of a waker as long as `place` is there.
        let waker = unsafe { Waker::new(ptr::from_ref(&place).cast(), &BORROWED) };
        assert!(task.poll_with(&waker).is_pending());
    }
    drop(guard);
    assert_eq!(alarms.each_ref().map(|alarm| alarm.wakes()), [0, 1]);
}

#[test]
fn wakers_the_last_one_registered_is_the_one_woken() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let alarms = [(); 3].map(|()| Arc::new(Alarm::default()));
    let mut task = Task::new(lock.acquire(Exclusive));
    for alarm in &alarms {
        assert!(task.poll_with(&Waker::from(alarm.clone())).is_pending());
    }
    // The old ones are dropped: whoever waits for them to go does not wait for the lock.
    assert_eq!(alarms.each_ref().map(Arc::strong_count), [1, 1, 2]);
    drop(guard);
    assert_eq!(alarms.each_ref().map(|alarm| alarm.wakes()), [0, 0, 1]);
    assert_eq!(alarms.each_ref().map(Arc::strong_count), [1; 3]);
    drop(task.finish());
}

#[test]
fn wakers_the_same_one_is_not_cloned_again() {
    let (clones, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counter = |count: &Arc<AtomicUsize>| {
        let count = count.clone();
        Box::new(move || _ = count.fetch_add(1, SeqCst))
    };
    let waker =
        Hooks { on_clone: counter(&clones), on_drop: counter(&drops), ..Hooks::default() }.waker();
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut task = Task::new(lock.acquire(Exclusive));
    for _ in 0..5 {
        assert!(task.poll_with(&waker).is_pending());
    }
    assert_eq!(clones.load(SeqCst), 1);
    assert_eq!(drops.load(SeqCst), 0);
    drop(task);
    assert_eq!(drops.load(SeqCst), 1, "a dropped future keeps no waker");
    drop(guard);
}

// ------------------------------------------------------------------------------------- Monitors

#[test]
fn monitors_are_ready_at_once_if_the_mode_can_be_acquired() {
    for held in Mode::ALL {
        for mode in Mode::ALL {
            let lock = lock();
            now(lock.wait(mode));
            let _guard = hold(&lock, held);
            let ready = poll_once(lock.wait(mode)).is_ready();
            assert_eq!(ready, lock.try_acquire(mode).is_some(), "{held:?}, {mode:?}");
        }
    }
    // A newcomer would wait for the exclusive one, and so does a monitor.
    let lock = lock();
    let _guard = hold(&lock, Shared);
    let _exclusive = Task::queued(lock.acquire(Exclusive));
    let _monitor = Task::queued(lock.wait(Shared));
}

/// The same schedule with and without monitors that nobody polls: the same wake-ups in the same
/// order.
#[test]
fn monitors_that_sleep_change_nobodys_outcome() {
    let run = |monitors: usize| {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let monitors: Vec<_> =
            (0..monitors).map(|i| Task::queued(lock.wait(Mode::ALL[i % 3]))).collect();
        let mut tasks = [Exclusive, Shared, Upgradable, Exclusive, Shared]
            .map(|mode| Task::queued(lock.acquire(mode)));
        drop(guard);
        let mut history = Vec::new();
        for _ in 0..8 {
            history.push(woken(&tasks));
            let guards = tasks.each_mut().map(Task::run);
            history.push(guards.each_ref().map(Option::is_some).to_vec());
        }
        assert!(tasks.iter().all(|task| task.polls() == 2));
        assert!(monitors.iter().all(Task::woken));
        assert!(lock.try_acquire(Exclusive).is_some());
        history
    };
    assert_eq!(run(0), run(7));
}

#[test]
fn monitors_hold_nothing_and_keep_nobody_out() {
    let lock = lock();
    let shared = hold(&lock, Shared);
    let _monitor = Task::queued(lock.wait(Exclusive));
    assert!(!lock.snapshot().is_awaited(Exclusive));
    drop(hold(&lock, Shared));
    drop(shared);
    // Nobody stands back for a monitor that was woken and comes too late.
    drop(now(lock.acquire(Exclusive)));
}

#[test]
fn monitors_are_ready_after_an_edge_even_if_the_lock_was_taken_again() {
    for mode in Mode::ALL {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let mut monitor = Task::queued(lock.wait(mode));
        drop(guard);
        let _guard = hold(&lock, Exclusive);
        monitor.finish();
    }
}

/// The first change lets a shared one in, and no exclusive one; the second lets both in. Then the
/// lock is taken again.
#[test]
fn monitors_do_not_miss_an_edge_behind_another_modes() {
    let lock = lock();
    let mut guard = hold(&lock, Exclusive);
    let mut monitor = Task::queued(lock.wait(Exclusive));
    guard.downgrade(Shared);
    drop(guard);
    let _guard = hold(&lock, Exclusive);
    assert!(monitor.woken());
    monitor.finish();
}

#[test]
fn monitors_are_woken_by_a_downgrade() {
    for (from, to, mode) in [
        (Exclusive, Shared, Shared),
        (Exclusive, Shared, Upgradable),
        (Exclusive, Upgradable, Shared),
        (Upgradable, Shared, Upgradable),
    ] {
        let lock = lock();
        let mut guard = hold(&lock, from);
        let mut monitor = Task::queued(lock.wait(mode));
        guard.downgrade(to);
        monitor.run().expect("woken");
        assert_eq!(monitor.wakes(), 1);
    }
}

#[test]
fn monitors_are_woken_by_a_cancellation() {
    let lock = lock();
    let _guard = hold(&lock, Shared);
    let exclusive = Task::queued(lock.acquire(Exclusive));
    let mut monitor = Task::queued(lock.wait(Shared));
    drop(exclusive);
    monitor.run().expect("woken");

    for mode in [Shared, Upgradable] {
        let lock = self::lock();
        let (mut guard, _shared) = (hold(&lock, mode), hold(&lock, Shared));
        let upgrade = Task::queued(guard.upgrade());
        let mut monitor = Task::queued(lock.wait(Shared));
        drop(upgrade);
        monitor.run().expect("woken");
    }
}

#[test]
fn monitors_are_all_woken_by_a_release_and_once() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut monitors: Vec<_> = (0..30).map(|i| Task::queued(lock.wait(Mode::ALL[i % 3]))).collect();
    drop(guard);
    // Many edges between two looks are one.
    drop(hold(&lock, Exclusive));
    monitors.iter_mut().for_each(|monitor| monitor.run().expect("woken"));
    assert!(monitors.iter().all(|monitor| monitor.wakes() == 1 && monitor.polls() == 2));
    assert_idle(&lock);
}

/// If it passed its wake-up on, somebody would be woken for nothing.
#[test]
fn monitors_that_are_dropped_after_an_edge_wake_nobody() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let monitors = [Task::queued(lock.wait(Shared)), Task::queued(lock.wait(Shared))];
    drop(guard);
    let _guard = hold(&lock, Exclusive);
    let late = [Task::queued(lock.wait(Shared)), Task::queued(lock.wait(Shared))];
    let waiter = Task::queued(lock.acquire(Shared));
    drop(monitors);
    assert_eq!(woken(&late), [false, false]);
    assert!(!waiter.woken());
}

// -------------------------------------------------------------------------------------- Handles

#[test]
fn handles_have_names_that_are_their_own() {
    let locks = [(); 3].map(|()| lock());
    let mut handles: Vec<_> =
        locks.iter().flat_map(|lock| [(); 4].map(|()| hold(lock, Shared).into_handle())).collect();
    let ids: HashSet<HandleId> = handles.iter().map(Handle::id).collect();
    let names: HashSet<String> = handles.iter().map(|handle| handle.id().to_string()).collect();
    assert_eq!((ids.len(), names.len()), (12, 12));

    handles.sort();
    assert!(handles.is_sorted_by_key(Handle::id));
    assert!(handles.windows(2).all(|pair| pair[0] < pair[1] && pair[0] != pair[1]));
    assert!(handles.iter().all(|handle| handle.eq(handle)));
    let hash = |handle| BuildHasherDefault::<DefaultHasher>::default().hash_one(handle);
    assert_eq!(handles.iter().map(hash).collect::<HashSet<u64>>().len(), 12);
    assert!(format!("{:?}", handles[0]).contains("Shared"));
    let handles: HashSet<Handle> = handles.into_iter().collect();
    assert_eq!(handles.len(), 12);
    for handle in handles {
        let mut left = Some(handle);
        for lock in &locks {
            let Some(handle) = left.take() else { break };
            left = lock.release(handle).err().map(ReleaseError::into_handle);
        }
        assert!(left.is_none(), "of no lock");
    }
    locks.iter().for_each(assert_idle);
}

#[test]
fn handles_become_guards_again() {
    for mode in Mode::ALL {
        let lock = Arc::new(lock());
        let handle = hold(&lock, mode).into_handle();
        assert_eq!((handle.mode(), lock.locked()), (mode, Some(mode)));
        let guard = lock.adopt(handle).unwrap();
        assert!(ptr::eq(guard.lock(), &*lock));
        let guard = lock.adopt_arc(guard.into_handle()).unwrap();
        assert_eq!((guard.mode(), lock.locked()), (mode, Some(mode)));
        drop(guard);
        assert_idle(&lock);
    }
}

#[test]
#[cfg(not(target_family = "wasm"))]
fn handles_may_be_released_from_another_thread() {
    for mode in Mode::ALL {
        let lock = lock();
        let handle = hold(&lock, mode).into_handle();
        let mut waiter = Task::queued(lock.acquire(Exclusive));
        thread::scope(|scope| drop(scope.spawn(|| lock.release(handle).unwrap())));
        drop(waiter.run().expect("woken"));
    }
}

#[test]
fn handles_keep_no_lock_alive() {
    let lock = Arc::new(lock());
    let handle = lock.try_acquire_arc(Exclusive).unwrap().into_handle();
    assert_eq!(Arc::strong_count(&lock), 1);
    let guard = lock.adopt_arc(handle).unwrap();
    assert_eq!(Arc::strong_count(&lock), 2);
    lock.release(guard.into_handle()).unwrap();
    assert_eq!(Arc::strong_count(&lock), 1);
    assert_idle(&lock);
}

// ----------------------------------------------------------------------------------- acquire_or

/// A future that is ready when a test says so, and counts its polls.
#[derive(Default)]
struct Switch {
    on: AtomicUsize,
    polls: AtomicUsize,
}

impl Switch {
    async fn wait(self: Arc<Self>) -> &'static str {
        std::future::poll_fn(|_| {
            self.polls.fetch_add(1, SeqCst);
            match self.on.load(SeqCst) {
                0 => Poll::Pending,
                _ => Poll::Ready("cancelled"),
            }
        })
        .await
    }
}

#[test]
fn acquire_or_gives_the_guard_or_what_cancelled_it() {
    for mode in Mode::ALL {
        let lock = Arc::new(lock());
        let switch = Arc::new(Switch::default());
        let guard = hold(&lock, Exclusive);
        let mut task = Task::queued(lock.acquire_or(mode, switch.clone().wait()));
        let mut task_arc = Task::queued(lock.acquire_or_arc(mode, switch.clone().wait()));
        drop(guard);
        assert_eq!(task.finish().expect("acquired").mode(), mode);
        assert_eq!(task_arc.finish().expect("acquired").mode(), mode);

        let guard = hold(&lock, Exclusive);
        let mut task = Task::queued(lock.acquire_or(mode, switch.clone().wait()));
        let mut task_arc = Task::queued(lock.acquire_or_arc(mode, switch.clone().wait()));
        switch.on.store(1, SeqCst);
        assert_eq!(task.finish().unwrap_err(), "cancelled");
        assert_eq!(task_arc.finish().unwrap_err(), "cancelled");
        // Its place is given up before the future is dropped.
        assert!(!lock.snapshot().is_awaited(mode));
        drop(guard);
        assert_idle(&lock);
    }
}

#[test]
fn acquire_or_acquires_if_both_are_ready() {
    let lock = lock();
    let switch = Arc::new(Switch::default());
    switch.on.store(1, SeqCst);
    drop(now(lock.acquire_or(Exclusive, switch.clone().wait())).expect("the lock is free"));
    assert_eq!(switch.polls.load(SeqCst), 0, "polled without need");

    switch.on.store(0, SeqCst);
    let guard = hold(&lock, Exclusive);
    let mut task = Task::queued(lock.acquire_or(Exclusive, switch.clone().wait()));
    switch.on.store(1, SeqCst);
    drop(guard);
    drop(task.finish().expect("both are ready"));
}

/// Also where it would stand back, for somebody who does not come.
#[test]
fn acquire_or_acquires_a_free_lock_if_there_is_no_more_time() {
    let lock = Arc::new(lock());
    let mut overtaken = dormant(&lock, Exclusive);
    let overtaker = hold(&lock, Exclusive);
    overtaken.waits();
    drop(overtaker);
    drop(now(lock.acquire_or(Exclusive, ready(()))).expect("the lock is free"));
    drop(now(lock.acquire_or_arc(Exclusive, ready(()))).expect("the lock is free"));
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    drop(lock.acquire_deadline(Exclusive, Instant::now()).expect("the lock is free"));
}

#[test]
fn acquire_or_wakes_the_next_if_it_is_cancelled_after_its_wake_up() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let first = Task::queued(lock.acquire_or(Exclusive, pending::<()>()));
    let mut second = Task::queued(lock.acquire(Exclusive));
    drop(guard);
    assert!(first.woken() && !second.woken());
    drop(first);
    drop(second.run().expect("woken"));
}

// ----------------------------------------------------------------------------- Arc and statics

#[test]
fn arc_forms_acquire_and_keep_the_lock_alive() {
    for mode in Mode::ALL {
        let lock = Arc::new(lock());
        let deadline = Instant::now() + LONG;
        type Form = fn(&Arc<MultiLock>, Mode, Instant) -> GuardArc;
        let forms: &[Form] = &[
            |lock, mode, _| lock.try_acquire_arc(mode).unwrap(),
            |lock, mode, _| now(lock.acquire_arc(mode)),
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            |lock, mode, _| lock.acquire_blocking_arc(mode),
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            |lock, mode, _| lock.acquire_timeout_arc(mode, LONG).unwrap(),
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            |lock, mode, deadline| lock.acquire_deadline_arc(mode, deadline).unwrap(),
            |lock, mode, _| now(lock.acquire_or_arc(mode, pending::<()>())).unwrap(),
        ];
        for acquire in forms {
            let guard = acquire(&lock, mode, deadline);
            assert_eq!((guard.mode(), lock.locked()), (mode, Some(mode)));
            assert_eq!(Arc::strong_count(&lock), 2);
            drop(guard);
            assert_eq!(Arc::strong_count(&lock), 1);
            assert_idle(&lock);
        }
        let guard = lock.try_acquire_arc(mode).unwrap();
        drop(lock);
        assert_eq!(guard.lock().locked(), Some(mode));
    }
}

#[test]
fn arc_forms_fail_and_wait_as_the_others_do() {
    let lock = Arc::new(lock());
    let guard = lock.try_acquire_arc(Exclusive).unwrap();
    assert!(lock.try_acquire_arc(Shared).is_none());
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    assert!(lock.acquire_timeout_arc(Shared, Duration::from_millis(1)).is_none());
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    assert!(lock.acquire_deadline_arc(Shared, Instant::now()).is_none());
    let mut task = Task::queued(lock.acquire_arc(Shared));
    let dropped = Task::queued(lock.acquire_arc(Exclusive));
    drop(guard);
    drop(dropped);
    let mut guard = task.run().expect("woken");
    assert_eq!(Arc::strong_count(&lock), 2);
    let more = guard.share().unwrap();
    assert_eq!((Arc::strong_count(&lock), lock.snapshot().shared_holders()), (3, 2));
    let mut upgrade = Task::queued(guard.upgrade());
    drop(more);
    upgrade.run().expect("woken").unwrap();
    drop(upgrade);
    guard.downgrade(Upgradable);
    guard.try_upgrade().unwrap();
    drop(guard);
    assert_eq!(Arc::strong_count(&lock), 1);
    assert_idle(&lock);
}

#[test]
#[cfg(not(target_family = "wasm"))]
fn arc_guards_and_futures_are_static_and_may_be_sent() {
    fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
        thread::spawn(|| now(future)).join().unwrap()
    }
    let lock = Arc::new(lock());
    let guard: GuardArc = spawn(lock.acquire_arc(Shared));
    let mut other: GuardArc = spawn(lock.acquire_or_arc(Shared, ready(()))).unwrap();
    drop(guard);
    let guard = spawn(async move {
        other.upgrade().await.unwrap();
        other
    });
    assert_eq!(guard.mode(), Exclusive);
    drop(guard);
    assert_idle(&lock);
}

#[test]
fn a_static_lock_needs_no_initialization() {
    static LOCK: MultiLock = MultiLock::new();
    static GUARD: Mutex<Option<Guard<'static>>> = Mutex::new(None);
    *GUARD.lock().unwrap() = Some(hold(&LOCK, Exclusive));
    let release = || drop(GUARD.lock().unwrap().take());
    if cfg!(target_family = "wasm") {
        release();
    } else {
        thread::spawn(release).join().unwrap();
    }
    assert_idle(&LOCK);
    assert_idle(&MultiLock::default());
}

#[test]
fn debug_shows_the_word_and_blocks_nobody() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let _waiter = Task::queued(lock.acquire(Shared));
    let word = "mode: Some(Exclusive), shared_holders: 0, upgrading: false, shared_wait: true, \
                upgradable_wait: false, exclusive_wait: false, overtaken: false, monitored: false";
    let shown = format!("{lock:?} {guard:?}");
    for part in [word, "Guard { mode: Exclusive"] {
        assert!(shown.contains(part), "{shown}");
    }
}
