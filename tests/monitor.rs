//! Monitors, by hand-polled tasks.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]
#![cfg_attr(
    target_family = "wasm",
    allow(unused_imports, dead_code, reason = "no threads, no unwinding")
)]

mod support;

use std::future::Future;
#[cfg(panic = "unwind")]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use Mode::{Exclusive, Shared, Upgradable};
use futures_core::stream::{FusedStream, Stream};
use multilock::{LockSet, Mode, Monitor, MultiLock};
use support::{
    Alarm, Counting, Hooks, Inline, Task, allocations, assert_idle, hold, now, poll_once,
    without_allocation,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The next item of a stream.
fn next<S: Stream<Item = ()> + Unpin>(stream: &mut S) -> impl Future<Output = ()> + '_ {
    std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx).map(|item| item.unwrap()))
}

/// A cleared monitor for each mode.
fn monitors(lock: &MultiLock) -> [Monitor<'_>; 3] {
    let monitors = Mode::ALL.map(|mode| lock.monitor(mode));
    monitors.iter().for_each(Monitor::clear);
    monitors
}

/// Which of the monitors were set. Clears them all.
fn take_set(monitors: &[Monitor<'_>; 3]) -> Vec<Mode> {
    let set = monitors.iter().filter(|monitor| monitor.is_set()).map(Monitor::mode).collect();
    monitors.iter().for_each(Monitor::clear);
    set
}

// -------------------------------------------------------------------------------------------- Set

#[test]
fn monitor_is_set_at_once_if_the_mode_can_be_acquired_and_else_not() {
    for mode in Mode::ALL {
        let lock = MultiLock::new();
        assert!(lock.monitor(mode).is_set());
        for held in Mode::ALL {
            let guard = hold(&lock, held);
            assert_eq!(
                lock.monitor(mode).is_set(),
                !mode.excludes(held),
                "{mode:?} beside {held:?}"
            );
            drop(guard);
        }
        assert_idle(&lock);
    }
}

#[test]
fn monitor_is_set_at_each_change_to_acquirable_and_by_nothing_else() {
    let lock = MultiLock::new();
    let monitors = monitors(&lock);
    assert_eq!(take_set(&monitors), []);

    // Acquisitions set no monitor.
    let exclusive = hold(&lock, Exclusive);
    assert_eq!(take_set(&monitors), []);
    drop(exclusive);
    assert_eq!(take_set(&monitors), [Shared, Upgradable, Exclusive]);

    // A shared acquisition begins and ends: that changes nothing for modes other than exclusive.
    let first = hold(&lock, Shared);
    let second = hold(&lock, Shared);
    drop(first);
    assert_eq!(take_set(&monitors), []);
    drop(second);
    assert_eq!(take_set(&monitors), [Exclusive]);

    let shared = hold(&lock, Shared);
    let upgradable = hold(&lock, Upgradable);
    drop(upgradable);
    assert_eq!(take_set(&monitors), [Upgradable]);
    drop(shared);
    assert_eq!(take_set(&monitors), [Exclusive]);
}

#[test]
fn monitor_is_set_by_each_downgrade_that_makes_room() {
    let lock = MultiLock::new();
    let monitors = monitors(&lock);
    let mut guard = hold(&lock, Exclusive);
    guard.downgrade(Upgradable);
    assert_eq!(take_set(&monitors), [Shared]);
    guard.downgrade(Shared);
    assert_eq!(take_set(&monitors), [Upgradable]);
    now(guard.upgrade()).unwrap();
    assert_eq!(take_set(&monitors), []);
    guard.downgrade(Shared);
    assert_eq!(take_set(&monitors), [Shared, Upgradable]);
}

#[test]
fn monitor_is_set_by_a_cancelled_upgrade() {
    for (from, to_be_set) in [(Shared, &[Shared, Upgradable][..]), (Upgradable, &[Shared])] {
        let lock = MultiLock::new();
        let other = hold(&lock, Shared);
        let mut guard = hold(&lock, from);
        let monitors = monitors(&lock);
        let upgrade = Task::queued(guard.upgrade());
        assert_eq!(take_set(&monitors), []);
        drop(upgrade);
        assert_eq!(take_set(&monitors), to_be_set);
        drop((guard, other));
    }
}

/// An exclusive waiter keeps newcomers out, and admits them when it is dropped.
#[test]
fn monitor_is_set_by_an_exclusive_waiter_that_is_dropped() {
    let lock = MultiLock::new();
    let guard = hold(&lock, Shared);
    let monitors = monitors(&lock);
    let first = Task::queued(lock.acquire(Exclusive));
    let second = Task::queued(lock.acquire(Exclusive));
    assert!(!lock.monitor(Shared).is_set());
    drop(first);
    assert_eq!(take_set(&monitors), []);
    drop(second);
    assert_eq!(take_set(&monitors), [Shared, Upgradable]);
    drop(guard);
}

/// An acquisition ends, but an exclusive waiter still keeps newcomers out.
#[test]
fn monitor_is_not_set_beside_an_exclusive_waiter_while_the_lock_is_held() {
    let lock = MultiLock::new();
    let mut guard = hold(&lock, Exclusive);
    let monitors = monitors(&lock);
    let waiter = Task::queued(lock.acquire(Exclusive));
    guard.downgrade(Shared);
    assert_eq!(take_set(&monitors), []);
    drop(guard);
    assert_eq!(take_set(&monitors), [Shared, Upgradable, Exclusive]);
    drop(waiter);
}

#[test]
fn monitor_many_edges_between_two_looks_are_one() {
    let lock = MultiLock::new();
    let mut monitor = lock.monitor(Exclusive);
    for _ in 0..5 {
        drop(hold(&lock, Exclusive));
    }
    assert!(monitor.is_set());
    monitor.clear();
    assert!(!monitor.is_set());
    for _ in 0..5 {
        drop(hold(&lock, Exclusive));
    }
    now(next(&mut monitor));
    assert!(poll_once(next(&mut monitor)).is_pending());
}

#[test]
fn monitor_stays_set_until_it_is_cleared_even_if_the_lock_is_held_again() {
    let lock = MultiLock::new();
    let monitor = lock.monitor(Exclusive);
    let guard = hold(&lock, Exclusive);
    assert!(monitor.is_set());
    now(monitor.wait());
    now(monitor.wait());
    assert!(monitor.is_set());
    monitor.clear();
    assert!(!monitor.is_set());
    drop(guard);
    assert!(monitor.is_set());
}

/// A monitor that is cleared while the mode is available waits for a change.
#[test]
fn monitor_clear_waits_for_the_next_change() {
    let lock = MultiLock::new();
    let monitor = lock.monitor(Shared);
    monitor.clear();
    assert!(!monitor.is_set());
    let mut wait = Task::queued(monitor.wait());
    drop(hold(&lock, Shared));
    assert!(!wait.woken());
    drop(hold(&lock, Exclusive));
    wait.run().unwrap();
}

// ----------------------------------------------------------------------------------------- Waiting

#[test]
fn monitor_wakes_a_waiting_task_once_and_at_the_edge() {
    let lock = MultiLock::new();
    let guards = [hold(&lock, Shared), hold(&lock, Shared)];
    let monitor = lock.monitor(Exclusive);
    let mut waits = [Task::queued(monitor.wait()), Task::queued(monitor.wait())];
    let [first, second] = guards;
    drop(first);
    assert!(waits.iter().all(|wait| wait.wakes() == 0));
    drop(second);
    for wait in &mut waits {
        assert_eq!(wait.wakes(), 1);
        wait.run().unwrap();
        assert_eq!(wait.polls(), 2);
    }
}

/// The bug of the original: every release woke every waiter.
#[test]
fn seed_a_release_does_not_wake_waiters_that_it_does_not_concern() {
    let lock = MultiLock::new();
    let shared = [hold(&lock, Shared), hold(&lock, Shared), hold(&lock, Shared)];
    let monitor = lock.monitor(Exclusive);
    let mut wait = Task::queued(monitor.wait());
    let mut stream = lock.monitor(Exclusive);
    let mut item = Task::queued(next(&mut stream));
    let [first, second, third] = shared;
    drop(first);
    drop(second);
    assert_eq!((wait.wakes(), item.wakes()), (0, 0));
    drop(third);
    assert_eq!((wait.wakes(), item.wakes()), (1, 1));
    wait.run().unwrap();
    item.run().unwrap();
}

#[test]
fn monitor_is_a_stream_of_edges() {
    let lock = MultiLock::new();
    let mut monitor = lock.monitor(Exclusive);
    now(next(&mut monitor));
    for _ in 0..3 {
        let guard = hold(&lock, Exclusive);
        let mut item = Task::queued(next(&mut monitor));
        item.waits();
        drop(guard);
        item.run().unwrap();
        drop(item);
        assert!(!monitor.is_set());
        assert!(!monitor.is_terminated());
    }
}

/// A stream that was woken, and was not polled since, is not woken again.
#[test]
fn monitor_a_stream_that_is_not_polled_is_woken_once() {
    let lock = MultiLock::new();
    let mut monitor = lock.monitor(Exclusive);
    monitor.clear();
    let alarm = Arc::new(Alarm::default());
    let waker = Waker::from(alarm.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut monitor).poll_next(&mut cx).is_pending());
    for _ in 0..3 {
        drop(hold(&lock, Exclusive));
    }
    assert_eq!(alarm.wakes(), 1);
    assert!(Pin::new(&mut monitor).poll_next(&mut cx).is_ready());
    drop(hold(&lock, Exclusive));
    assert_eq!(alarm.wakes(), 1);
    assert!(Pin::new(&mut monitor).poll_next(&mut cx).is_ready());
}

#[test]
fn monitor_wakes_the_last_waker_that_it_was_polled_with() {
    let lock = MultiLock::new();
    let guard = hold(&lock, Exclusive);
    let mut monitor = lock.monitor(Exclusive);
    let [first, second] = [Arc::new(Alarm::default()), Arc::new(Alarm::default())];
    for alarm in [&first, &second] {
        let waker = Waker::from(alarm.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut monitor).poll_next(&mut cx).is_pending());
    }
    drop(guard);
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
}

#[test]
fn monitor_wait_may_be_dropped_at_any_point() {
    let lock = MultiLock::new();
    let guard = hold(&lock, Exclusive);
    let monitor = lock.monitor(Exclusive);
    drop(monitor.wait());
    let dropped = Task::queued(monitor.wait());
    let woken = Task::queued(monitor.wait());
    let mut stays = Task::queued(monitor.wait());
    drop(dropped);
    drop(guard);
    assert!(woken.woken());
    drop(woken);
    assert!(monitor.is_set());
    stays.run().unwrap();
    drop(stays);
    drop(monitor);
    assert_idle(&lock);
}

#[test]
fn monitor_that_is_dropped_leaves_nothing_behind() {
    let lock = MultiLock::new();
    for mode in Mode::ALL {
        let guard = hold(&lock, Exclusive);
        let mut monitors = [lock.monitor(mode), lock.monitor(mode), lock.monitor(Shared)];
        assert!(poll_once(next(&mut monitors[0])).is_pending());
        drop(guard);
        let [first, second, third] = monitors;
        drop(second);
        drop(first);
        assert_ne!(lock.snapshot(), MultiLock::new().snapshot());
        drop(third);
        assert_idle(&lock);
    }
}

// ------------------------------------------------------------------- Monitors change no outcome

/// Waiters fare the same with and without monitors, polled or not.
#[test]
fn monitor_takes_no_place_in_any_queue_and_changes_no_outcome() {
    fn outcome(lock: &MultiLock) -> Vec<(bool, usize)> {
        let guard = hold(lock, Exclusive);
        let mut tasks: Vec<_> = [Exclusive, Shared, Upgradable, Exclusive, Shared]
            .map(|mode| Task::queued(lock.acquire(mode)))
            .into();
        drop(guard);
        let mut log = vec![];
        for _ in 0..4 {
            let mut guards: Vec<_> = tasks.iter_mut().map(Task::run).collect();
            log.extend(
                guards.iter().map(|guard| guard.is_some()).zip(tasks.iter().map(Task::polls)),
            );
            let mut entered = guards.iter().map(|guard| guard.is_some());
            tasks.retain(|_| !entered.next().unwrap());
            guards.retain(|guard| guard.is_some());
            drop(guards);
        }
        log
    }

    let expected = outcome(&MultiLock::new());
    let lock = MultiLock::new();
    let monitors: Vec<_> =
        Mode::ALL.into_iter().cycle().take(9).map(|mode| lock.monitor(mode)).collect();
    monitors[..6].iter().for_each(Monitor::clear);
    let waits: Vec<_> = monitors.iter().map(|monitor| poll_twice(monitor.wait())).collect();
    assert_eq!(outcome(&lock), expected);
    drop(waits);
    drop(monitors);
    assert_idle(&lock);
}

/// A future that was polled, by a task that never runs again.
fn poll_twice<'a>(future: impl Future<Output = ()> + 'a) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    let mut future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(future);
    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    future
}

#[test]
fn monitor_ten_thousand_cost_nothing_to_a_release_that_wakes_none() {
    let number = if cfg!(miri) { 50 } else { 10_000 };
    let lock = MultiLock::new();
    let others = [hold(&lock, Shared), hold(&lock, Shared)];
    let monitors: Vec<_> = (0..number).map(|_| lock.monitor(Exclusive)).collect();
    let waits: Vec<_> = monitors.iter().map(|monitor| Task::queued(monitor.wait())).collect();
    without_allocation("a release that is no edge", || drop(hold(&lock, Shared)));
    assert!(waits.iter().all(|wait| wait.wakes() == 0 && wait.polls() == 1));

    // No task waits for an edge any more: not even an edge wakes one.
    drop(waits);
    without_allocation("an edge that no task awaits", || drop(others));
    assert!(monitors.iter().all(Monitor::is_set));
}

#[test]
fn monitor_an_edge_wakes_all_that_await_it_and_no_others() {
    let number = if cfg!(miri) { 30 } else { 1000 };
    let lock = MultiLock::new();
    let guard = hold(&lock, Exclusive);
    let idle: Vec<_> = (0..number).map(|_| lock.monitor(Exclusive)).collect();
    let monitor = lock.monitor(Shared);
    let waits: Vec<_> = (0..number).map(|_| Task::queued(monitor.wait())).collect();
    drop(guard);
    assert!(waits.iter().all(|wait| wait.wakes() == 1));
    assert!(idle.iter().all(Monitor::is_set));
}

#[test]
fn x2_a_monitor_allocates_for_its_stream_and_for_nothing_else() {
    let lock = MultiLock::new();
    drop(lock.monitor(Shared));
    let guard = hold(&lock, Exclusive);
    let monitor = without_allocation("monitor", || lock.monitor(Shared));
    without_allocation("wait", || assert!(poll_once(monitor.wait()).is_pending()));
    without_allocation("MultiLock::wait", || assert!(poll_once(lock.wait(Shared)).is_pending()));

    let mut stream = lock.monitor(Shared);
    let ((), first) = allocations(|| assert!(poll_once(next(&mut stream)).is_pending()));
    assert!((1..=2).contains(&first), "{first}");
    without_allocation("an edge", || drop(guard));
    without_allocation("the rest", || {
        now(next(&mut stream));
        for _ in 0..3 {
            let guard = hold(&lock, Exclusive);
            assert!(poll_once(next(&mut stream)).is_pending());
            drop(guard);
            now(next(&mut stream));
        }
        drop(monitor);
    });
}

// ------------------------------------------------------------------------------------------ Others

#[test]
fn monitor_arc_keeps_the_lock() {
    let lock = Arc::new(MultiLock::new());
    let guard = lock.try_acquire_arc(Exclusive).unwrap();
    let mut monitor = lock.monitor_arc(Shared);
    drop(lock);
    let mut item = Task::queued(next(&mut monitor));
    drop(guard);
    item.run().unwrap();
    drop(item);
    monitor.clear();
    assert!(!monitor.is_set());
    assert_eq!(format!("{monitor:?}"), "MonitorArc { mode: Shared, is_set: false }");
}

#[test]
fn monitor_wakers_may_use_the_lock_and_the_monitor() {
    let lock = Arc::new(MultiLock::new());
    let monitor = Arc::new(lock.monitor_arc(Exclusive));
    let guard = lock.try_acquire_arc(Exclusive).unwrap();
    monitor.clear();
    let woken = Arc::new(AtomicUsize::new(0));
    let on_wake = {
        let (lock, monitor, woken) = (lock.clone(), monitor.clone(), woken.clone());
        move || {
            woken.fetch_add(1, SeqCst);
            assert!(monitor.is_set());
            monitor.clear();
            drop(lock.try_acquire(Exclusive).unwrap());
            assert!(monitor.is_set());
            drop(lock.monitor(Shared));
        }
    };
    let waker = Hooks { on_wake: Box::new(on_wake), ..Hooks::default() }.waker();
    let mut wait = pin!(monitor.wait());
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(guard);
    assert_eq!(woken.load(SeqCst), 1);
    assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

#[test]
fn monitor_may_be_polled_inside_of_wake() {
    let lock = Arc::new(MultiLock::new());
    let edges = Arc::new(AtomicUsize::new(0));
    let (mut monitor, counted) = (lock.monitor_arc(Exclusive), edges.clone());
    Inline::spawn(async move {
        for _ in 0..4 {
            next(&mut monitor).await;
            counted.fetch_add(1, SeqCst);
        }
    });
    for n in 1..4 {
        assert_eq!(edges.load(SeqCst), n);
        drop(hold(&lock, Exclusive));
    }
    assert_eq!(edges.load(SeqCst), 4);
    assert_idle(&lock);
}

/// Tasks that wait in the same batch are woken all the same.
#[test]
#[cfg(panic = "unwind")]
fn monitor_wakers_that_panic_when_they_are_woken_keep_no_other_asleep() {
    let lock = MultiLock::new();
    let guard = hold(&lock, Exclusive);
    let monitor = lock.monitor(Shared);
    let panics = Hooks { on_wake: Box::new(|| panic!("wake")), ..Hooks::default() }.waker();
    let mut first = Task::new(monitor.wait());
    assert!(first.poll_with(&panics).is_pending());
    let mut second = Task::queued(monitor.wait());
    let release = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(guard)));
    assert!(release.is_err());
    if cfg!(not(feature = "std")) {
        // The panic interrupted the wake-ups. The next edge wakes the rest.
        drop(hold(&lock, Exclusive));
    }
    second.run().unwrap();
    assert_eq!(lock.locked(), None);
}

/// Monitors are woken after the waiters.
#[test]
#[cfg(panic = "unwind")]
fn monitor_is_woken_though_the_waker_of_a_waiter_has_panicked() {
    let lock = MultiLock::new();
    let guard = hold(&lock, Exclusive);
    let panics = Hooks { on_wake: Box::new(|| panic!("wake")), ..Hooks::default() }.waker();
    let mut waiter = Task::new(lock.acquire(Shared));
    assert!(waiter.poll_with(&panics).is_pending());
    let mut wait = Task::queued(lock.wait(Exclusive));
    let release = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(guard)));
    assert!(release.is_err());
    drop(waiter);
    if cfg!(not(feature = "std")) {
        // The panic interrupted the wake-ups. The next edge wakes the rest.
        drop(hold(&lock, Exclusive));
    }
    wait.run().unwrap();
}

/// After the poll of a stream has panicked, the next poll queues it. A stream is unwind safe.
#[test]
#[cfg(panic = "unwind")]
fn monitor_is_queued_again_after_a_waker_has_panicked() {
    let locks = [MultiLock::new(), MultiLock::new()];
    let set: LockSet<&MultiLock> = locks.iter().collect();
    for mut monitor in [locks[0].monitor(Exclusive), set.monitor(Exclusive)] {
        monitor.clear();
        let guard = hold(&locks[0], Exclusive);
        let panics = Hooks { on_clone: Box::new(|| panic!("clone")), ..Hooks::default() }.waker();
        let poll = move || {
            assert!(
                Pin::new(&mut monitor)
                    .poll_next(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
            let panics = AssertUnwindSafe(|| {
                _ = Pin::new(&mut monitor).poll_next(&mut Context::from_waker(&panics));
            });
            assert!(catch_unwind(panics).is_err());
            monitor
        };
        let mut monitor = catch_unwind(poll).expect("the panic is caught inside");
        let mut next = Task::queued(next(&mut monitor));
        drop(guard);
        next.run().expect("the monitor is set");
    }
}

/// A future that is ready must not be polled again.
#[test]
fn monitor_wait_is_fused() {
    let lock = MultiLock::new();
    let monitor = lock.monitor(Shared);
    let mut wait = pin!(monitor.wait());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(!futures_core::FusedFuture::is_terminated(&*wait));
    assert_eq!(wait.as_mut().poll(&mut cx), Poll::Ready(()));
    assert!(futures_core::FusedFuture::is_terminated(&*wait));
}
