//! Monitors and the edges that they must not miss.

use core::future::poll_fn;

use futures_core::Stream;

use super::*;
use crate::MonitorArc;
use crate::sync::unmodeled::{AtomicBool, Ordering::Relaxed};

#[test]
fn p2_a_monitor_is_notified() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let thread = {
            let data = data.clone();
            spawn(move || block_on(data.lock.wait(Exclusive), None).unwrap())
        };
        drop(guard);
        join([thread]);
        data.check(0);
    });
}

#[test]
fn monitor_that_sees_the_edge_finds_the_lock_free() {
    model(|| {
        let lock = std::sync::Arc::new(MultiLock::new());
        let guard = lock.try_acquire_arc(Exclusive).unwrap();
        let monitor = lock.monitor(Exclusive);
        let thread = spawn(move || drop(guard));
        if monitor.is_set() {
            assert_eq!(lock.locked(), None);
        }
        join([thread]);
        assert!(monitor.is_set());
    });
}

#[test]
fn monitor_is_set_by_an_edge_while_it_is_made() {
    model(|| {
        let lock = std::sync::Arc::new(MultiLock::new());
        let guard = lock.try_acquire_arc(Exclusive).unwrap();
        let thread = spawn(move || drop(guard));
        let monitor = lock.monitor(Exclusive);
        join([thread]);
        assert!(monitor.is_set());
    });
}

/// A monitor is made while the mode becomes acquirable.
#[test]
fn monitor_misses_no_edge_from_its_first_moment() {
    model(|| {
        let lock = std::sync::Arc::new(MultiLock::new());
        let guard = lock.try_acquire_arc(Exclusive).unwrap();
        let thread = {
            let lock = lock.clone();
            spawn(move || {
                block_on(lock.monitor(Exclusive).wait(), None).unwrap();
                assert!(lock.try_acquire(Exclusive).is_some());
            })
        };
        drop(guard);
        join([thread]);
        assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
    });
}

/// One monitor is dropped, another is made, and meanwhile there is an edge.
#[test]
fn monitor_that_is_dropped_hides_no_edge_from_another() {
    model_with(3, || {
        let lock = std::sync::Arc::new(MultiLock::new());
        let guard = lock.try_acquire_arc(Exclusive).unwrap();
        let first = lock.monitor_arc(Exclusive);
        let goes = spawn(move || drop(first));
        let comes = {
            let lock = lock.clone();
            spawn(move || block_on(lock.monitor(Exclusive).wait(), None).unwrap())
        };
        drop(guard);
        join([goes, comes]);
        assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
    });
}

/// The last exclusive waiter is dropped, another is queued and dropped, and the shared holder
/// releases. At the end the lock is free, and its monitor has been notified.
#[test]
fn monitor_is_notified_when_exclusive_waiters_are_dropped() {
    model_with(3, || {
        let lock = std::sync::Arc::new(MultiLock::new());
        let guard = lock.try_acquire(Shared).unwrap();
        let first = queued(lock.acquire(Exclusive));
        let monitor = lock.monitor(Shared);
        assert!(!monitor.is_set());
        let thread = {
            let lock = lock.clone();
            spawn(move || drop(queued_or_not(lock.acquire(Exclusive))))
        };
        drop(first);
        drop(guard);
        join([thread]);
        assert!(monitor.is_set());
    });
}

/// Returns a future of the next item of a stream.
fn next(monitor: &mut MonitorArc) -> impl Future<Output = Option<()>> {
    poll_fn(|cx| Pin::new(&mut *monitor).poll_next(cx))
}

/// The waiter that may be woken late has a thread of its own: loom would wake the main thread out
/// of `join`.
#[test]
fn monitor_streams_see_each_edge_that_they_wait_for() {
    model(|| {
        let lock = std::sync::Arc::new(MultiLock::new());
        let mut monitor = lock.monitor_arc(Exclusive);
        monitor.clear();
        let thread = spawn(move || {
            block_on(next(&mut monitor), None).unwrap();
        });
        drop(lock.try_acquire(Exclusive).unwrap());
        join([thread]);
    });
}

/// All members of a set are free, and each is acquired and released by another thread. The task is
/// polled once, and then woken or not: loom would wake a thread that blocks out of a mutex, too.
#[test]
fn monitor_of_a_free_set_misses_no_edge() {
    model_with(3, || {
        let locks = Arc::new([MultiLock::new(), MultiLock::new()]);
        let set: crate::LockSet<_> = locks.iter().collect();
        let monitor = set.monitor(Exclusive);
        monitor.clear();
        let threads = [0, 1].map(|n| {
            let locks = locks.clone();
            spawn(move || drop(locks[n].try_acquire(Exclusive).unwrap()))
        });
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut wait = pin!(monitor.wait());
        let ready = wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        join(threads);
        assert!(monitor.is_set());
        assert!(ready || woken.0.load(Relaxed), "asleep, and set");
    });
}

#[derive(Default)]
struct Woken(AtomicBool);

impl std::task::Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

/// One member after the other becomes free.
#[test]
fn monitor_of_a_set_misses_no_edge() {
    model(|| {
        let locks = std::sync::Arc::new([MultiLock::new(), MultiLock::new()]);
        let set: crate::LockSet<_> = locks.iter().collect();
        let guards = locks.each_ref().map(|lock| lock.try_acquire(Exclusive).unwrap());
        let handles = guards.map(Guard::into_handle);
        let thread = {
            let locks = locks.clone();
            spawn(move || {
                let [first, second] = handles;
                locks[0].release(first).unwrap();
                locks[1].release(second).unwrap();
            })
        };
        block_on(set.monitor(Exclusive).wait(), None).unwrap();
        assert!(set.try_acquire(Exclusive).is_some());
        thread.join().unwrap();
    });
}
