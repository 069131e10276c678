//! What firmware relies on, as far as it can be seen without an interrupt. The implementation of
//! `critical-section` for `std` is one mutex for all threads: whoever can take it on another thread
//! knows that nobody is in a critical section.

#![cfg(all(feature = "critical-section", not(feature = "std")))]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Wake, Waker};

use multilock::{Mode, MultiLock};

/// Another thread enters a critical section, and would wait for ever if this one were in it.
fn assert_interrupts_are_on() {
    let (entered, is_entered) = std::sync::mpsc::channel();
    std::thread::spawn(move || critical_section::with(|_| entered.send(()).unwrap()));
    is_entered
        .recv_timeout(std::time::Duration::from_secs(20))
        .expect("interrupts are off while a waker runs");
}

/// Counts how often it is woken, and checks that it may do what an interrupt handler does.
#[derive(Default)]
struct Checks(AtomicUsize);

impl Wake for Checks {
    fn wake(self: Arc<Self>) {
        assert_interrupts_are_on();
        self.0.fetch_add(1, Relaxed);
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        assert_interrupts_are_on();
    }
}

fn poll_pending<F: Future>(future: Pin<&mut F>, checks: Arc<Checks>) {
    let waker = Waker::from(checks);
    assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
}

#[test]
fn b1_a_lock_can_be_static() {
    static LOCK: MultiLock = MultiLock::new();
    assert!(LOCK.try_acquire(Mode::Exclusive).is_some());
}

/// More waiters than are called in one critical section.
#[test]
fn b2_a_crowd_is_woken_with_interrupts_on() {
    let lock = MultiLock::new();
    let guard = lock.try_acquire(Mode::Exclusive).unwrap();
    let checks = Arc::new(Checks::default());
    let mut crowd: Vec<_> = (0..20).map(|_| Box::pin(lock.acquire(Mode::Shared))).collect();
    crowd.iter_mut().for_each(|waiter| poll_pending(waiter.as_mut(), checks.clone()));
    drop(guard);
    assert_eq!(checks.0.load(Relaxed), crowd.len());
}

#[test]
fn b2_a_waker_is_replaced_and_dropped_with_interrupts_on() {
    let lock = MultiLock::new();
    let guard = lock.try_acquire(Mode::Exclusive).unwrap();
    let mut waiter = pin!(lock.acquire(Mode::Exclusive));
    poll_pending(waiter.as_mut(), Arc::new(Checks::default()));
    // The first waker is dropped for the second, and that one when it has been woken.
    let last = Arc::new(Checks::default());
    poll_pending(waiter.as_mut(), last.clone());
    drop(guard);
    assert_eq!(last.0.load(Relaxed), 1);
}
