//! Monitors.

use super::*;

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
    // A newcomer would wait behind the exclusive waiter, and a monitor does, too.
    let lock = lock();
    let _guard = hold(&lock, Shared);
    let _exclusive = Task::queued(lock.acquire(Exclusive));
    let _monitor = Task::queued(lock.wait(Shared));
}

/// The same schedule with and without monitors that are not polled: the same wake-ups in the same
/// order.
#[test]
fn monitors_that_sleep_change_no_outcome() {
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
fn monitors_hold_nothing_and_block_no_newcomer() {
    let lock = lock();
    let shared = hold(&lock, Shared);
    let _monitor = Task::queued(lock.wait(Exclusive));
    assert!(!lock.snapshot().is_awaited(Exclusive));
    drop(hold(&lock, Shared));
    drop(shared);
    // Waiters do not defer to a monitor that was woken and is polled too late.
    drop(now(lock.acquire(Exclusive)));
}

#[test]
fn monitors_are_ready_after_an_edge_even_if_the_lock_is_held_again() {
    for mode in Mode::ALL {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let mut monitor = Task::queued(lock.wait(mode));
        drop(guard);
        let _guard = hold(&lock, Exclusive);
        monitor.finish();
    }
}

/// The first change makes the lock available to shared newcomers, but not to exclusive ones. The
/// second makes it available to both. Then the lock is acquired again.
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
    // Many edges between two checks count as one.
    drop(hold(&lock, Exclusive));
    monitors.iter_mut().for_each(|monitor| monitor.run().expect("woken"));
    assert!(monitors.iter().all(|monitor| monitor.wakes() == 1 && monitor.polls() == 2));
    assert_idle(&lock);
}

/// If the monitor passed its wake-up on, a waiter would be woken for nothing.
#[test]
fn monitors_that_are_dropped_after_an_edge_wake_no_other() {
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
