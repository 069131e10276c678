//! `acquire_or`.

use super::*;

#[test]
fn acquire_or_returns_the_guard_or_the_output_of_cancel() {
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
        // The acquisition leaves the queue before its future is dropped.
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
    assert_eq!(switch.polls.load(SeqCst), 0, "polled needlessly");

    switch.on.store(0, SeqCst);
    let guard = hold(&lock, Exclusive);
    let mut task = Task::queued(lock.acquire_or(Exclusive, switch.clone().wait()));
    switch.on.store(1, SeqCst);
    drop(guard);
    drop(task.finish().expect("both are ready"));
}

/// Even where the acquisition would defer to an overtaken waiter that is never polled.
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
    drop(lock.acquire_blocking_deadline(Exclusive, Instant::now()).expect("the lock is free"));
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

/// The drops of `cancel` and of its output are foreign code. They run when the lock has been acquired.
#[cfg(panic = "unwind")]
#[test]
fn acquire_or_releases_the_lock_if_a_drop_panics() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    fn panics<T>(acquire: impl Future<Output = T>) {
        let acquires = AssertUnwindSafe(|| drop(poll_once(acquire)));
        assert_eq!(message(catch_unwind(acquires).unwrap_err()), "in drop");
    }
    for mode in Mode::ALL {
        let lock = Arc::new(lock());
        let cancel = |bomb| async move {
            pending::<()>().await;
            drop(bomb);
        };
        panics(lock.acquire_or(mode, cancel(PanicsOnDrop)));
        assert_idle(&lock);
        panics(lock.acquire_or_arc(mode, cancel(PanicsOnDrop)));
        assert_idle(&lock);
    }
    // The acquisition defers to a waiter that was overtaken, and the last try does not.
    let lock = Arc::new(lock());
    let mut overtaken = dormant(&lock, Exclusive);
    let overtaker = hold(&lock, Exclusive);
    overtaken.waits();
    drop(overtaker);
    panics(lock.acquire_or(Exclusive, ready(PanicsOnDrop)));
    panics(lock.acquire_or_arc(Exclusive, ready(PanicsOnDrop)));
    assert_eq!(lock.locked(), None);
}
