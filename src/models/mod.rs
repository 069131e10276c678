//! Models: every interleaving of a few threads on the real code, under loom. A lost wake-up shows as a deadlock,
//! and a missing ordering as a race on the cell that the lock guards.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib models` runs them, with at most `LOOM_MAX_PREEMPTIONS` (2 by
//! default) involuntary switches, for at most `LOOM_MAX_DURATION` seconds each (unlimited by default). With `--
//! --nocapture` each prints how many schedules it has run, and whether those were all. With `--cfg shuttle` they
//! run with switches at random, and so do the models in `crowds`, which are too large for loom: see [`explore`].
//! Without either cfg they run on plain threads, a few times each.
//!
//! The defects that each model finds are in `ci/defects/models`: a line `Found-by` in the header of a patch names
//! each model that fails with the defect.

mod conditions;
#[cfg(not(loom))]
mod crowds;
// `event-listener` wakes in a mutex of its own, and shuttle knows of none but its own.
#[cfg(all(feature = "event-listener", not(shuttle)))]
mod events;
mod monitors;
mod names;
mod queue;
mod reservations;
mod sets;
mod sharded;

use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::boxed::Box;

use crate::sync::UnsafeCell;
use crate::sync::block::block_on;
use crate::sync::once_box::OnceBox;
use crate::{Guard, Mode, MultiLock, UpgradeError};
use Mode::{Exclusive, Shared, Upgradable};

#[cfg(loom)]
use crate::sync::unmodeled::{AtomicUsize, Ordering::Relaxed};
#[cfg(loom)]
use loom::{sync::Arc, thread::JoinHandle, thread::spawn};
#[cfg(shuttle)]
use shuttle::{thread::JoinHandle, thread::spawn};
#[cfg(not(loom))]
use std::sync::Arc;
#[cfg(loom)]
use std::time::Instant;
#[cfg(not(any(loom, shuttle)))]
use std::{thread::JoinHandle, thread::spawn};

fn model(run: impl Fn() + Send + Sync + 'static) {
    model_with(2, run);
}

/// A model that needs more than two involuntary switches to show its errors.
#[cfg(loom)]
fn model_with(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 20_000;
    let (limit, switches) = (builder.max_duration, builder.preemption_bound.unwrap_or_default());
    let (start, schedules) = (Instant::now(), std::sync::Arc::new(AtomicUsize::new(0)));
    let count = schedules.clone();
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        run();
    });
    let all = if limit.is_some_and(|limit| start.elapsed() >= limit) { "not all" } else { "all" };
    std::eprintln!(
        "{}: {} schedules, {all} with {switches} switches, {:.1?}",
        std::thread::current().name().unwrap_or_default(),
        schedules.load(Relaxed),
        start.elapsed()
    );
}

#[cfg(shuttle)]
fn model_with(_: usize, run: impl Fn() + Send + Sync + 'static) {
    explore(1_000, run);
}

#[cfg(not(any(loom, shuttle)))]
fn model_with(_: usize, run: impl Fn() + Send + Sync + 'static) {
    for _ in 0..if cfg!(miri) { 3 } else { 300 } {
        run();
    }
}

/// Runs `run` under shuttle: the given number of times with a switch to any thread at each step (`random`), and as
/// often with few switches at a time (`pct`), or as often as `MULTILOCK_CASES` says. The switches are the same in
/// each run, unless `MULTILOCK_SEED` is set. `MULTILOCK_SCHEDULER` selects one of the two.
///
/// All atomics are sequentially consistent here, and no weak compare-and-swap fails spuriously.
#[cfg(shuttle)]
fn explore(usual: usize, run: impl Fn() + Send + Sync + 'static) {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
    use std::env::var;

    /// Prints the failing case.
    struct Case(&'static str, Arc<AtomicUsize>);
    impl Drop for Case {
        fn drop(&mut self) {
            if std::thread::panicking() {
                std::eprintln!("scheduler {}, case {}", self.0, self.1.load(Relaxed));
            }
        }
    }

    fn with(
        name: &'static str,
        scheduler: impl Scheduler + 'static,
        run: impl Fn() + Send + Sync + 'static,
    ) {
        if let Ok(only) = var("MULTILOCK_SCHEDULER") {
            assert!(["random", "pct"].contains(&&*only), "there is no scheduler {only}");
            if only != name {
                return;
            }
        }
        let case = Case(name, Arc::default());
        let number = case.1.clone();
        let mut config = shuttle::Config::new();
        config.silence_warnings = true;
        shuttle::Runner::new(scheduler, config).run(move || {
            number.fetch_add(1, Relaxed);
            run();
        });
    }

    let number = |name| var(name).ok().map(|value| value.parse::<u64>().expect(name));
    let cases = number("MULTILOCK_CASES").map_or(usual, |cases| cases as usize);
    let seed = number("MULTILOCK_SEED").unwrap_or(0);
    let run = Arc::new(run);
    let again = run.clone();
    with("random", RandomScheduler::new_from_seed(seed, cases), move || run());
    with("pct", PctScheduler::new_from_seed(seed, 4, cases), move || again());
}

/// A number that is not atomic, and the lock that makes it safe.
struct Data {
    lock: MultiLock,
    number: UnsafeCell<u32>,
}

// SAFETY: `read` and `write` take a guard that permits them.
unsafe impl Send for Data {}
// SAFETY: as for `Send`.
unsafe impl Sync for Data {}

impl Data {
    fn new() -> Arc<Self> {
        Arc::new(Self { lock: MultiLock::new(), number: UnsafeCell::new(0) })
    }

    fn read(&self, _: &Guard<'_>) -> u32 {
        // SAFETY: the guard excludes exclusive holders.
        self.number.with(|number| unsafe { *number })
    }

    fn add_one(&self, guard: &Guard<'_>) {
        assert_eq!(guard.mode(), Exclusive);
        // SAFETY: the guard excludes all other holders.
        self.number.with_mut(|number| unsafe { *number += 1 });
    }

    fn acquire(&self, mode: Mode) -> Guard<'_> {
        block_on(self.lock.acquire(mode), None).unwrap()
    }

    /// Checks that the lock has no holder and no waiter, and that the number is `expected`.
    fn check(&self, expected: u32) {
        assert_eq!(self.lock.snapshot(), MultiLock::new().snapshot());
        let guard = self.lock.try_acquire(Shared).unwrap();
        assert_eq!(self.read(&guard), expected);
    }
}

/// A thread that acquires, reads or adds one, and releases.
fn user(data: &Arc<Data>, mode: Mode) -> JoinHandle<()> {
    let data = data.clone();
    spawn(move || {
        let guard = data.acquire(mode);
        if mode == Exclusive {
            data.add_one(&guard);
        } else {
            data.read(&guard);
        }
    })
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A future that has been polled once, by a task that never runs again.
fn queued<'a, F: Future + 'a>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    future
}

/// The mutex of the queue, of which the other models use one of loom.
#[cfg(not(any(shuttle, feature = "critical-section")))]
#[test]
fn the_mutex_of_the_queue_makes_each_section_visible_to_the_next() {
    use crate::sync::SpinMutex;

    model(|| {
        let mutex = Arc::new(SpinMutex::new(UnsafeCell::new(0)));
        let add = |mutex: &SpinMutex<UnsafeCell<u32>>| {
            // SAFETY: the section does not lock the mutex, and the cell has no other user in it.
            unsafe { mutex.with(|cell| cell.with_mut(|number| *number += 1)) }
        };
        let other = {
            let mutex = mutex.clone();
            spawn(move || add(&mutex))
        };
        add(&mutex);
        other.join().unwrap();
        // SAFETY: as above.
        unsafe { mutex.with(|cell| cell.with_mut(|number| assert_eq!(*number, 2))) };
    });
}

#[test]
fn e2_data_is_visible_to_the_next_holder() {
    model(|| {
        let data = Data::new();
        let threads = [user(&data, Exclusive), user(&data, Shared)];
        data.add_one(&data.acquire(Exclusive));
        join(threads);
        data.check(2);
    });
}

#[test]
fn p2_the_next_waiter_is_woken() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let threads = [user(&data, Exclusive), user(&data, Exclusive)];
        drop(guard);
        join(threads);
        data.check(2);
    });
}

/// Two shared holders wait for each other to enter: both must be woken.
#[test]
fn f3_all_shared_waiters_are_woken() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let mut dormant = queued(data.lock.acquire(Shared));
        let thread = user(&data, Shared);
        data.add_one(&guard);
        drop(guard);
        join([thread]);
        let waker = Waker::noop();
        assert!(dormant.as_mut().poll(&mut Context::from_waker(waker)).is_ready());
        drop(dormant);
        data.check(1);
    });
}

/// A dormant shared waiter does not keep the next release from notifying others.
#[test]
fn f2_a_notified_waiter_that_sleeps_on_blocks_no_other() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let dormant = queued(data.lock.acquire(Shared));
        let thread = user(&data, Exclusive);
        drop(guard);
        drop(data.lock.try_acquire(Exclusive));
        join([thread]);
        drop(dormant);
        data.check(1);
    });
}

#[test]
fn q2_shared_and_exclusive_waiters_take_turns() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let threads = [user(&data, Shared), user(&data, Exclusive)];
        drop(guard);
        join(threads);
        data.check(1);
    });
}

/// A newcomer takes the lock ahead of a woken waiter. The waiter is notified again.
#[test]
fn q3_an_overtaken_waiter_is_woken_again() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let threads = [user(&data, Exclusive)];
        drop(guard);
        let mut more = 0;
        for _ in 0..2 {
            if let Some(guard) = data.lock.try_acquire(Exclusive) {
                data.add_one(&guard);
                more += 1;
            }
        }
        join(threads);
        data.check(1 + more);
    });
}

/// An exclusive waiter is dropped, while another thread waits because of it.
#[test]
fn c1_a_dropped_exclusive_waiter_admits_shared_waiters() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Shared).unwrap();
        let exclusive = queued(data.lock.acquire(Exclusive));
        let thread = user(&data, Shared);
        drop(exclusive);
        // The shared holder stays: the thread must enter beside it.
        join([thread]);
        drop(guard);
        data.check(0);
    });
}

/// A waiter in the mode `dropped` is notified and dropped, and another waits behind it.
fn pass_on(dropped: Mode, waiting: Mode) {
    model(move || {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let first = queued(data.lock.acquire(dropped));
        let thread = user(&data, waiting);
        drop(guard);
        drop(first);
        join([thread]);
        data.check(u32::from(waiting == Exclusive));
    });
}

#[test]
fn c2_a_dropped_shared_waiter_passes_its_notification_on() {
    pass_on(Shared, Exclusive);
}

#[test]
fn c3_a_dropped_exclusive_waiter_passes_its_notification_on() {
    pass_on(Exclusive, Exclusive);
    pass_on(Exclusive, Shared);
}

/// As C3, but the drop may come at any time.
#[test]
fn c3_a_waiter_may_be_dropped_while_it_is_notified() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let dropped = {
            let data = data.clone();
            spawn(move || {
                let mut acquire = pin!(data.lock.acquire(Exclusive));
                let mut cx = Context::from_waker(Waker::noop());
                if let Poll::Ready(guard) = acquire.as_mut().poll(&mut cx) {
                    drop(guard);
                }
            })
        };
        let thread = user(&data, Exclusive);
        drop(guard);
        join([dropped, thread]);
        data.check(1);
    });
}

/// Two threads need a value that does not exist yet.
#[test]
fn p2_a_lazily_made_value_is_complete() {
    struct Value(UnsafeCell<u32>);
    // SAFETY: the value is written before it is shared.
    unsafe impl Send for Value {}
    // SAFETY: as for `Send`.
    unsafe impl Sync for Value {}

    model(|| {
        let lazy = Arc::new(OnceBox::new());
        let make = || {
            let value = Box::new(Value(UnsafeCell::new(0)));
            // SAFETY: no other thread has it yet.
            value.0.with_mut(|value| unsafe { *value = 1 });
            value
        };
        // SAFETY: it is not written any more.
        let read = |value: &Value| value.0.with(|value| unsafe { *value });
        let thread = {
            let lazy = lazy.clone();
            spawn(move || assert_eq!(read(lazy.get_or_make(make)), 1))
        };
        assert!(lazy.get().is_none_or(|value| read(value) == 1));
        assert_eq!(read(lazy.get_or_make(make)), 1);
        join([thread]);
    });
}

/// A waiter is polled for no reason, while it is notified.
#[test]
fn p1_a_waiter_may_be_polled_while_it_is_notified() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let thread = {
            let data = data.clone();
            spawn(move || {
                let mut acquire = pin!(data.lock.acquire(Exclusive));
                let mut cx = Context::from_waker(Waker::noop());
                for _ in 0..3 {
                    if let Poll::Ready(guard) = acquire.as_mut().poll(&mut cx) {
                        data.add_one(&guard);
                        return 1;
                    }
                }
                0
            })
        };
        drop(guard);
        let entered = thread.join().unwrap();
        data.check(entered);
    });
}

/// A waiter leaves a flag while another joins it.
#[test]
fn c4_the_last_waiter_to_leave_does_not_erase_one_that_joins() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Shared).unwrap();
        let first = queued(data.lock.acquire(Exclusive));
        let thread = user(&data, Exclusive);
        drop(first);
        drop(guard);
        join([thread]);
        data.check(1);
    });
}

/// An overtaken waiter leaves while another is overtaken.
#[test]
fn c4_the_last_overtaken_waiter_to_leave_does_not_erase_the_next() {
    model_with(3, || {
        let lock = std::sync::Arc::new(MultiLock::new());
        let guard = lock.try_acquire(Exclusive).unwrap();
        let mut first = queued(lock.acquire(Exclusive));
        let second = queued(lock.acquire_arc(Exclusive));
        // The first is notified, finds the lock held, and is notified once more. Then the second is.
        drop(guard);
        let guard = lock.try_acquire(Exclusive).unwrap();
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(guard);
        drop(lock.try_acquire(Exclusive).unwrap());
        let guard = lock.try_acquire(Exclusive).unwrap();
        let thread = spawn(move || drop(block_on(second, None)));
        drop(first);
        drop(guard);
        join([thread]);
        assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
    });
}

/// A release happens while one waiter leaves a flag, and another joins it.
#[test]
fn c4_a_release_while_a_waiter_leaves_a_flag_sees_one_that_joins() {
    model_with(3, || {
        let data = Data::new();
        let guard = data.lock.try_acquire(Shared).unwrap();
        let passer_by = passer_by(&data, Exclusive);
        let thread = user(&data, Exclusive);
        drop(guard);
        join([passer_by, thread]);
        data.check(1);
    });
}

/// A waiter leaves a flag while another joins it and leaves it, too.
#[test]
fn c4_no_bit_stays_behind() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let first = queued(data.lock.acquire(Exclusive));
        let thread = passer_by(&data, Exclusive);
        drop(first);
        join([thread]);
        drop(guard);
        data.check(0);
    });
}

/// As [`queued`], for a future that may be ready.
fn queued_or_not<'a, F: Future + 'a>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    future
}

/// A thread that queues a waiter, unless it acquires at once, and drops it.
fn passer_by(data: &Arc<Data>, mode: Mode) -> JoinHandle<()> {
    let data = data.clone();
    spawn(move || drop(queued_or_not(data.lock.acquire(mode))))
}

#[test]
fn u2_upgrade_starts_after_the_last_shared_holder_ends() {
    model(|| {
        let data = Data::new();
        let mut guard = data.lock.try_acquire(Upgradable).unwrap();
        let threads = [reader(&data), reader(&data)];
        block_on(guard.upgrade(), None).unwrap().unwrap();
        data.add_one(&guard);
        join(threads);
        drop(guard);
        data.check(1);
    });
}

/// A thread that holds the lock in shared mode, and finds the number unchanged.
fn reader(data: &Arc<Data>) -> JoinHandle<()> {
    let handle = data.lock.try_acquire(Shared).unwrap().into_handle();
    let data = data.clone();
    spawn(move || {
        let guard = data.lock.adopt(handle).unwrap();
        assert_eq!(data.read(&guard), 0);
    })
}

#[test]
fn u2_a_try_starts_after_the_last_shared_holder_ends() {
    model(|| {
        let data = Data::new();
        let mut guard = data.lock.try_acquire(Upgradable).unwrap();
        let thread = reader(&data);
        if guard.try_upgrade().is_ok() {
            data.add_one(&guard);
        }
        join([thread]);
    });
}

/// Two shared holders upgrade. One of them is refused, and releases, so the other can upgrade.
#[test]
fn u3_of_two_shared_holders_one_upgrades() {
    model(|| {
        let data = Data::new();
        let ours = data.lock.try_acquire(Shared).unwrap();
        let theirs = data.lock.try_acquire(Shared).unwrap().into_handle();
        let upgrade = |mut guard: Guard<'_>, data: &Data| match block_on(guard.upgrade(), None) {
            Some(Ok(())) => data.add_one(&guard),
            refused => assert_eq!(refused, Some(Err(UpgradeError::Conflict))),
        };
        let thread = {
            let data = data.clone();
            spawn(move || upgrade(data.lock.adopt(theirs).unwrap(), &data))
        };
        upgrade(ours, &data);
        join([thread]);
        let number = data.read(&data.lock.try_acquire(Shared).unwrap());
        assert!(number == 1 || number == 2, "one of them upgraded");
        data.check(number);
    });
}

#[test]
fn u2_a_dropped_upgrade_admits_shared_waiters() {
    for mode in [Shared, Upgradable] {
        model(move || {
            let data = Data::new();
            let other = data.lock.try_acquire(Shared).unwrap();
            let mut guard = data.lock.try_acquire(mode).unwrap();
            let upgrade = queued(guard.upgrade());
            let thread = user(&data, Shared);
            drop(upgrade);
            join([thread]);
            assert_eq!(guard.mode(), mode);
            drop((guard, other));
            data.check(0);
        });
    }
}

#[test]
fn u4_downgrade_makes_data_visible_to_those_that_it_admits() {
    for to in [Shared, Upgradable] {
        model(move || {
            let data = Data::new();
            let mut guard = data.lock.try_acquire(Exclusive).unwrap();
            let thread = user(&data, Shared);
            data.add_one(&guard);
            guard.downgrade(to);
            join([thread]);
            drop(guard);
            data.check(1);
        });
    }
}
