//! Conditions on the data of a lock, and changes of it, by hand-polled tasks.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]
#![cfg_attr(
    target_family = "wasm",
    allow(unused_imports, dead_code, reason = "no threads, no unwinding")
)]

mod support;

use std::cell::Cell;
use std::collections::VecDeque;
#[cfg(panic = "unwind")]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Waker};

use Mode::{Exclusive, Shared, Upgradable};
use futures_core::stream::Stream;
use multilock::{LockSet, Mode, RwLock, RwLockUpgradableReadGuard, RwLockWriteGuard};
use support::{
    Counting, Task, allocations, assert_idle, now, poll_once, without_a_leak, without_allocation,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `check` with a task of each kind that waits until the number is one.
fn for_each_kind(
    check: impl Fn(Mode, &Arc<RwLock<i32>>, &mut Task<Pin<Box<dyn Future<Output = ()> + '_>>>),
) {
    /// Waits, and releases the lock.
    macro_rules! waits {
        ($($mode:ident $lock:ident => $wait:expr;)+) => {$(
            let $lock = Arc::new(RwLock::new(0));
            let mut task: Task<Pin<Box<dyn Future<Output = ()> + '_>>> =
                Task::queued(Box::pin(async { drop($wait.await) }));
            check($mode, &$lock, &mut task);
            drop(task);
            assert_idle($lock.raw());
        )+};
    }
    let is_one = |number: &i32| *number == 1;
    waits! {
        Shared lock => lock.read_when(is_one);
        Upgradable lock => lock.upgradable_read_when(is_one);
        Exclusive lock => lock.write_when(is_one);
        Shared lock => lock.read_when_or(is_one, std::future::pending::<()>());
        Upgradable lock => lock.upgradable_read_when_or(is_one, std::future::pending::<()>());
        Exclusive lock => lock.write_when_or(is_one, std::future::pending::<()>());
        Shared lock => lock.read_arc_when(is_one);
        Upgradable lock => lock.upgradable_read_arc_when(is_one);
        Exclusive lock => lock.write_arc_when(is_one);
        Shared lock => lock.read_arc_when_or(is_one, std::future::pending::<()>());
        Upgradable lock => lock.upgradable_read_arc_when_or(is_one, std::future::pending::<()>());
        Exclusive lock => lock.write_arc_when_or(is_one, std::future::pending::<()>());
    }
}

#[test]
fn c5_nothing_happens_before_the_first_poll() {
    let lock = RwLock::new(0);
    let waits = lock.read_when(|_| panic!("it was not polled"));
    assert_idle(lock.raw());
    drop(waits);
}

#[test]
fn p2_a_condition_that_holds_is_not_waited_for() {
    let lock = RwLock::new(1);
    assert_eq!(*now(lock.read_when(|number| *number == 1)), 1);
    assert_eq!(*now(lock.upgradable_read_when(|number| *number == 1)), 1);
    *now(lock.write_when(|number| *number == 1)) = 2;
    assert_eq!(lock.into_inner(), 2);
}

#[test]
fn p2_the_change_that_makes_a_condition_true_wakes_its_waiter() {
    for_each_kind(|mode, lock, task| {
        assert_eq!(lock.raw().locked(), None, "{mode:?}: nothing is held meanwhile");
        *lock.try_write().unwrap() = 2;
        assert!(task.woken());
        task.waits();
        *lock.try_write().unwrap() = 1;
        assert!(task.woken());
        task.finish();
    });
}

/// A condition is about the present state: it is not noticed if it no longer holds when it is evaluated.
#[test]
fn a_condition_that_is_made_false_again_is_waited_for() {
    for_each_kind(|_, lock, task| {
        *lock.try_write().unwrap() = 1;
        *lock.try_write().unwrap() = 2;
        assert!(task.woken());
        task.waits();
        *lock.try_write().unwrap() = 1;
        task.finish();
    });
}

/// Only the end of an exclusive acquisition is a change. A reader that changes an atomic in the data makes none.
#[test]
fn what_a_reader_changes_is_not_noticed() {
    let lock = RwLock::new(AtomicBool::new(false));
    let mut task = Task::queued(lock.read_when(|ready| ready.load(Relaxed)));
    let changes = lock.changes();
    lock.try_read().unwrap().store(true, Relaxed);
    assert!(!task.woken() && !changes.is_set());
    drop(lock.try_write());
    assert!(task.woken() && changes.is_set());
    drop(task.finish());
}

/// The writer that makes the condition true comes between two looks, and changes it back later.
#[test]
fn p2_a_change_before_the_task_is_polled_again_is_not_lost() {
    for_each_kind(|_, lock, task| {
        *lock.try_write().unwrap() = 2;
        *lock.try_write().unwrap() = 1;
        task.finish();
    });
}

#[test]
fn p2_each_way_to_end_an_exclusive_acquisition_is_a_change() {
    type Change = fn(&Arc<RwLock<i32>>);
    let changes: [Change; 5] = [
        |lock| *lock.try_write().unwrap() = 1,
        |lock| *lock.try_write_arc().unwrap() = 1,
        |lock| {
            let mut guard = lock.try_write().unwrap();
            *guard = 1;
            drop(RwLockWriteGuard::downgrade_to_upgradable(guard));
        },
        |lock| {
            let mut guard = lock.try_upgradable_read().unwrap();
            *now(RwLockUpgradableReadGuard::upgrade_in_place(&mut guard)) = 1;
        },
        |lock| {
            let guard = lock.try_write().unwrap();
            *RwLockWriteGuard::map(guard, |number| number) = 1;
        },
    ];
    for change in changes {
        for_each_kind(|_, lock, task| {
            change(lock);
            assert!(task.woken());
            task.finish();
        });
    }
}

#[test]
fn u4_a_downgrade_shows_the_change_to_readers() {
    let lock = RwLock::new(0);
    let mut task = Task::queued(lock.read_when(|number| *number == 1));
    let mut writes = lock.try_write().unwrap();
    *writes = 1;
    let reads = RwLockWriteGuard::downgrade(writes);
    assert!(task.woken());
    assert_eq!(*task.finish(), *reads);
}

#[test]
fn p3_a_release_that_is_no_change_wakes_no_task() {
    for_each_kind(|_, lock, task| {
        drop(lock.try_read().unwrap());
        drop(lock.try_upgradable_read().unwrap());
        drop((lock.try_read().unwrap(), lock.try_read().unwrap()));
        assert!(!task.woken());
    });
}

/// Otherwise two tasks that wait to write would wake each other forever.
#[test]
fn p3_an_evaluation_wakes_no_other_task() {
    let lock = RwLock::new(0);
    let mut tasks: Vec<_> =
        (0..10).map(|n| Task::queued(lock.write_when(move |it| *it == n + 1))).collect();
    for task in &mut tasks {
        assert!(!task.woken());
        task.waits();
    }
    *lock.try_write().unwrap() = -1;
    let mut polls = 0;
    while let Some(task) = tasks.iter_mut().find(|task| task.woken()) {
        task.waits();
        polls += 1;
    }
    assert_eq!(polls, 10, "each evaluates its condition once");
}

#[test]
fn p3_a_change_costs_one_evaluation_for_each_waiter() {
    let number = if cfg!(miri) { 100 } else { 10_000 };
    let (lock, looks) = (RwLock::new(0), Cell::new(0));
    let never = |_: &i32| {
        looks.set(looks.get() + 1);
        false
    };
    let mut tasks: Vec<_> = (0..number).map(|_| Task::queued(lock.read_when(never))).collect();
    assert_eq!(looks.get(), number);
    *lock.try_write().unwrap() += 1;
    assert_eq!(
        tasks.iter_mut().filter(|task| task.woken()).map(|task| task.waits()).count(),
        number
    );
    assert_eq!(looks.get(), 2 * number);
}

/// Many dropped waiters leave nothing, and take no change away from the others.
#[test]
fn c2_a_dropped_waiter_takes_no_change_away_from_another() {
    for_each_kind(|_, lock, task| {
        for woken in [false, true] {
            let mut other = Task::queued(lock.read_when(|number| *number == 1));
            if woken {
                *lock.try_write().unwrap() = 2;
                assert!(other.woken());
            }
            // Also in the middle of an acquisition.
            let writes = lock.try_write().unwrap();
            _ = other.poll();
            drop(other);
            drop(writes);
        }
        *lock.try_write().unwrap() = 1;
        assert!(task.woken());
        task.finish();
    });
}

#[test]
fn c4_a_waiter_may_be_dropped_at_any_point() {
    for_each_kind(|_, lock, task| {
        *lock.try_write().unwrap() = 2;
        let guard = lock.try_write().unwrap();
        task.waits();
        drop(guard);
    });
}

#[test]
#[cfg_attr(miri, ignore = "what is forgotten is a leak")]
fn c_a_forgotten_waiter_changes_nothing_for_others() {
    let lock = RwLock::new(0);
    std::mem::forget(Task::queued(lock.write_when(|number| *number == 1)));
    let mut task = Task::queued(lock.read_when(|number| *number == 1));
    *lock.try_write().unwrap() = 1;
    assert!(task.woken());
    drop(task.finish());
}

#[cfg(panic = "unwind")]
#[test]
fn bad_use_a_panic_of_a_condition_releases_the_lock() {
    let lock = RwLock::new(0);
    let panics = |_: &i32| -> bool { panic!("on purpose") };
    assert!(
        catch_unwind(AssertUnwindSafe(|| poll_once(lock.read_when(panics)).is_ready())).is_err()
    );
    assert!(
        catch_unwind(AssertUnwindSafe(|| poll_once(lock.write_when(panics)).is_ready())).is_err()
    );
    assert_idle(lock.raw());
    assert!(lock.try_write().is_some());
}

#[test]
fn acquire_or_returns_the_output_of_cancel_unless_the_condition_holds() {
    let lock = RwLock::new(0);
    let cancelled = now(lock.write_when_or(|number| *number == 1, async { "late" }));
    assert_eq!(cancelled.unwrap_err(), "late");
    assert_idle(lock.raw());
    // One more try: `cancel` itself makes the condition true.
    let sets = async { *lock.try_write().unwrap() = 1 };
    assert!(now(lock.write_when_or(|number| *number == 1, sets)).is_ok());
    // A try that fails is no change.
    let changes = lock.changes();
    assert!(now(lock.write_when_or(|number| *number == 2, async {})).is_err());
    assert!(!changes.is_set());
}

#[test]
fn x1_a_condition_that_holds_allocates_nothing() {
    let lock = Arc::new(RwLock::new(1));
    without_allocation("true at once", || {
        drop(now(lock.read_when(|number| *number == 1)));
        drop(now(lock.upgradable_read_arc_when(|number| *number == 1)));
        drop(now(lock.write_when_or(|number| *number == 1, std::future::pending::<()>())));
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        drop(lock.write_arc_when_blocking(|number| *number == 1));
    });
}

/// Not even if it is evaluated again and again.
#[test]
fn x2_a_condition_allocates_nothing_after_the_first_wait() {
    let lock = Arc::new(RwLock::new(0));
    let is_two = |number: &i32| *number == 2;
    drop(Task::queued(lock.read_when(is_two)));
    without_allocation("waits", || {
        let mut cx = Context::from_waker(Waker::noop());
        let mut read = pin!(lock.read_when(is_two));
        let mut upgradable = pin!(lock.upgradable_read_arc_when(is_two));
        let mut write = pin!(lock.write_when_or(is_two, std::future::pending::<()>()));
        for number in 0..=2 {
            assert!(read.as_mut().poll(&mut cx).is_pending());
            assert!(upgradable.as_mut().poll(&mut cx).is_pending());
            assert!(write.as_mut().poll(&mut cx).is_pending());
            *lock.try_write().unwrap() = number;
        }
        assert!(read.poll(&mut cx).is_ready() && upgradable.poll(&mut cx).is_ready());
        assert!(write.poll(&mut cx).is_ready());
    });
}

// ------------------------------------------------------------------------------------------ Changes

/// What watches the lock is shown as such, and not as a waiter for the lock.
#[test]
fn a_snapshot_shows_whether_the_lock_is_watched() {
    let lock = RwLock::new(0);
    let raw = lock.raw();
    let set: LockSet<_> = [raw].into_iter().collect();
    let _reader = lock.try_read();
    let unwatched = format!("{raw:?}");
    let watched = unwatched.replace("monitored: false", "monitored: true");
    macro_rules! is_watched_by {
        ($($watch:expr;)+) => {$(
            let watch = $watch;
            assert_eq!(format!("{raw:?}"), watched);
            drop(watch);
            assert_eq!(format!("{raw:?}"), unwatched);
        )+};
    }
    is_watched_by! {
        raw.monitor(Shared);
        set.monitor(Exclusive);
        lock.changes();
        Task::queued(raw.wait(Exclusive));
        Task::queued(set.wait(Exclusive));
        Task::queued(lock.read_when(|number| *number == 1));
    }
}

fn poll_next(changes: &mut (impl Stream + Unpin)) -> bool {
    poll_once(std::future::poll_fn(|cx| Pin::new(&mut *changes).poll_next(cx))).is_ready()
}

/// Runs `$check` with a monitor that borrows the lock, and with one that owns it.
macro_rules! for_each_changes {
    (|$lock:ident, $changes:ident| $check:block) => {{
        for_each_changes!(changes, |$lock, $changes| $check);
        for_each_changes!(changes_arc, |$lock, $changes| $check);
    }};
    ($changes_of:ident, |$lock:ident, $changes:ident| $check:block) => {{
        let $lock = Arc::new(RwLock::new(0));
        let mut $changes = $lock.$changes_of();
        $check
        assert!(!poll_next(&mut $changes));
        drop($changes);
        assert_idle($lock.raw());
        assert_eq!(Arc::strong_count(&$lock), 1);
    }};
}

#[test]
fn changes_are_set_by_each_change_and_by_nothing_else() {
    for_each_changes!(|lock, changes| {
        assert!(!changes.is_set());
        drop(lock.try_read().unwrap());
        drop(lock.try_upgradable_read().unwrap());
        assert!(!changes.is_set());
        let guard = lock.try_write().unwrap();
        assert!(!changes.is_set(), "not before it ends");
        drop(guard);
        assert!(changes.is_set() && format!("{changes:?}").contains("is_set: true"));
        changes.clear();
        assert!(!changes.is_set());
    });
}

#[test]
fn changes_are_a_stream() {
    for_each_changes!(|lock, changes| {
        assert!(!poll_next(&mut changes));
        *lock.try_write().unwrap() = 1;
        *lock.try_write().unwrap() = 2;
        assert!(poll_next(&mut changes), "two changes between two looks are one");
        assert!(!poll_next(&mut changes));
        *lock.try_write().unwrap() = 3;
        assert!(poll_next(&mut changes));
    });
}

#[test]
fn changes_wake_the_task_that_waits_for_them() {
    for_each_changes!(|lock, changes| {
        let mut task = Task::queued(changes.wait());
        drop(lock.try_read().unwrap());
        assert!(!task.woken());
        drop(lock.try_write().unwrap());
        assert!(task.woken());
        task.finish();
        drop(task);
        changes.clear();
    });
}

#[test]
fn x2_changes_allocate_for_their_stream_and_for_nothing_else() {
    for_each_changes!(|lock, changes| {
        // The first monitor of the lock has allocated what the first waiter would allocate.
        without_allocation("more", || drop((lock.changes(), lock.changes_arc())));
        without_allocation("wait", || assert!(poll_once(changes.wait()).is_pending()));
        let (item, first) = allocations(|| poll_next(&mut changes));
        assert!(!item && (1..=2).contains(&first), "{first}");
        without_allocation("the rest", || {
            for number in 0..3 {
                *lock.try_write().unwrap() = number;
                assert!(poll_next(&mut changes) && !poll_next(&mut changes));
            }
        });
    });
}

#[test]
fn x2_what_changes_and_conditions_have_allocated_is_freed() {
    without_a_leak("conditions", || {
        let lock = RwLock::new(0);
        assert!(poll_once(lock.write_when(|number| *number == 1)).is_pending());
    });
    without_a_leak("changes", || assert!(!poll_next(&mut RwLock::new(0).changes())));
    without_a_leak("changes of an `Arc`", || {
        let mut changes = Arc::new(RwLock::new(0)).changes_arc();
        assert!(!poll_next(&mut changes));
    });
}

#[test]
fn changes_of_an_arc_keep_the_lock_alive() {
    let lock: Arc<RwLock<dyn std::fmt::Debug + Send + Sync>> = Arc::new(RwLock::new(0));
    let alive = Arc::downgrade(&lock);
    let mut changes = lock.changes_arc();
    drop(lock);
    assert!(!poll_next(&mut changes));
    drop(alive.upgrade().unwrap().try_write().unwrap());
    assert!(poll_next(&mut changes));
    drop(changes);
    assert!(alive.upgrade().is_none());
}

// ------------------------------------------------------------------------------- Against plain models

/// A queue with room for `ROOM` numbers, as in the documentation.
struct Queue(RwLock<VecDeque<usize>>);

const ROOM: usize = 3;

impl Queue {
    async fn push(&self, number: usize) {
        self.0.write_when(|queue| queue.len() < ROOM).await.push_back(number);
    }

    async fn pop(&self) -> usize {
        self.0.write_when(|queue| !queue.is_empty()).await.pop_front().unwrap()
    }
}

/// Tasks push and pop at random on a FIFO executor. Each number arrives once, in the order of its producer, the queue
/// never holds too many, and the program ends.
#[test]
fn p2_a_bounded_queue_passes_each_number_on_once() {
    const EACH: usize = if cfg!(miri) { 5 } else { 50 };
    for seed in 0..if cfg!(miri) { 2 } else { 100 } {
        let queue = Queue(RwLock::new(VecDeque::new()));
        let got = RwLock::new(Vec::new());
        let (producers, consumers) = (1 + seed % 3, 1 + seed / 3 % 4);
        let all = producers * EACH;
        let mut tasks: Vec<Task<Pin<Box<dyn Future<Output = ()> + '_>>>> = Vec::new();
        for producer in 0..producers {
            let queue = &queue;
            tasks.push(Task::new(Box::pin(async move {
                for n in 0..EACH {
                    queue.push(producer * EACH + n).await;
                }
            })));
        }
        for consumer in 0..consumers {
            let (queue, got) = (&queue, &got);
            let mine = all / consumers + usize::from(consumer < all % consumers);
            tasks.push(Task::new(Box::pin(async move {
                for _ in 0..mine {
                    let number = queue.pop().await;
                    got.write().await.push(number);
                }
            })));
        }
        let mut left: VecDeque<_> = (0..tasks.len()).collect();
        let mut started = vec![false; tasks.len()];
        let mut idle = 0;
        while let Some(n) = left.pop_front() {
            assert!(queue.0.try_read().is_none_or(|queue| queue.len() <= ROOM));
            let is_ready = if std::mem::replace(&mut started[n], true) {
                idle += usize::from(!tasks[n].woken());
                tasks[n].run().is_some()
            } else {
                tasks[n].poll().is_ready()
            };
            if is_ready {
                idle = 0;
            } else {
                idle = if tasks[n].woken() { 0 } else { idle };
                left.push_back(n);
            }
            assert!(idle <= 2 * tasks.len(), "seed {seed}: all sleep");
        }
        drop(tasks);
        let got = got.into_inner();
        for producer in 0..producers {
            let of_one = got.iter().filter(|number| *number / EACH == producer);
            assert!(of_one.copied().eq(producer * EACH..(producer + 1) * EACH), "seed {seed}");
        }
        assert!(queue.0.into_inner().is_empty());
    }
}

/// Tasks that each wait for their state of a ring of states, and make the next one.
#[test]
fn p2_a_state_machine_goes_round() {
    const STATES: usize = 5;
    const ROUNDS: usize = if cfg!(miri) { 3 } else { 100 };
    let (state, steps) = (RwLock::new(0), Cell::new(0));
    let mut tasks: Vec<_> = (0..STATES)
        .rev()
        .map(|mine| {
            let (state, steps) = (&state, &steps);
            Task::new(async move {
                for _ in 0..ROUNDS {
                    let mut guard = state.write_when(|state| *state == mine).await;
                    *guard = (mine + 1) % STATES;
                    steps.set(steps.get() + 1);
                }
            })
        })
        .collect();
    let mut left: Vec<_> =
        tasks.iter_mut().filter_map(|task| task.poll().is_pending().then_some(task)).collect();
    while !left.is_empty() {
        let before = steps.get();
        left.retain_mut(|task| task.run().is_none());
        assert!(steps.get() > before, "no task goes on");
    }
    drop(left);
    drop(tasks);
    assert_eq!((steps.get(), state.into_inner()), (STATES * ROUNDS, 0));
}

// ------------------------------------------------------------------------------------------ Threads

#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod threads {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn p2_a_blocked_thread_is_woken_by_the_change() {
        for write in [false, true] {
            let lock = Arc::new(RwLock::new(0));
            thread::scope(|scope| {
                let waits = scope.spawn(|| {
                    if write {
                        *lock.write_when_blocking(|number| *number == 3)
                    } else {
                        *lock.read_arc_when_blocking(|number| *number == 3)
                    }
                });
                for n in 1..=3 {
                    thread::sleep(Duration::from_millis(1));
                    *lock.write_blocking() = n;
                }
                assert_eq!(waits.join().unwrap(), 3);
            });
            assert_idle(lock.raw());
        }
    }

    #[test]
    fn c1_a_timeout_ends_the_wait_for_a_condition() {
        let (lock, limit) = (Arc::new(RwLock::new(0)), Duration::from_millis(20));
        let start = Instant::now();
        assert!(lock.read_when_blocking_timeout(|number| *number == 1, limit).is_none());
        assert!(
            lock.upgradable_read_arc_when_blocking_timeout(|number| *number == 1, limit).is_none()
        );
        assert!(lock.write_when_blocking_timeout(|number| *number == 1, limit).is_none());
        assert!(start.elapsed() >= 3 * limit);
        let writes = lock.try_write().unwrap();
        assert!(lock.read_when_blocking_timeout(|_| true, limit).is_none());
        drop(writes);
        assert!(lock.write_when_blocking_timeout(|number| *number == 0, Duration::ZERO).is_some());
        assert!(lock.write_when_blocking_timeout(|number| *number == 0, Duration::MAX).is_some());
        assert_idle(lock.raw());
    }

    /// Threads that block in two ways at one bounded queue.
    #[test]
    fn p2_threads_pass_each_number_on_once() {
        const EACH: usize = if cfg!(miri) { 10 } else { 2_000 };
        let queue = RwLock::new(VecDeque::new());
        let sum = RwLock::new(0);
        thread::scope(|scope| {
            for producer in 0..3 {
                let queue = &queue;
                scope.spawn(move || {
                    for n in 0..EACH {
                        let mut guard = if producer == 0 {
                            queue.write_when_blocking(|queue: &VecDeque<_>| queue.len() < ROOM)
                        } else {
                            let has_room = |queue: &VecDeque<_>| queue.len() < ROOM;
                            queue.write_when_blocking_timeout(has_room, Duration::MAX).unwrap()
                        };
                        guard.push_back(n);
                        assert!(guard.len() <= ROOM);
                    }
                });
            }
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let mut guard = queue.write_when_blocking(|queue| !queue.is_empty());
                        let number = guard.pop_front().unwrap();
                        drop(guard);
                        *sum.write_blocking() += number;
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 3 * EACH * (EACH - 1) / 2);
    }
}
