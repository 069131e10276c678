//! What firmware relies on, as far as it can be checked without an interrupt. The implementation of `critical-section`
//! for `std` is one mutex for all threads: if another thread can lock it, no thread is in a critical section.

#![cfg(feature = "alloc")]
#![cfg(all(feature = "critical-section", not(feature = "std")))]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Wake, Waker};

use multilock::{HandleId, HandleLock, LockSet, Mode, MultiLock};

/// Another thread enters a critical section, and would wait forever if this thread were in one.
fn assert_interrupts_are_on() {
    let (entered, is_entered) = std::sync::mpsc::channel();
    std::thread::spawn(move || critical_section::with(|_| entered.send(()).unwrap()));
    is_entered
        .recv_timeout(std::time::Duration::from_secs(20))
        .expect("interrupts are off while foreign code runs");
}

/// Counts its wake-ups, and checks in each that it may do what an interrupt handler does.
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

/// More waiters than are woken in one critical section.
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
fn b2_a_crowd_of_monitors_is_woken_with_interrupts_on() {
    let lock = MultiLock::new();
    let guard = lock.try_acquire(Mode::Exclusive).unwrap();
    let checks = Arc::new(Checks::default());
    let monitor = lock.monitor(Mode::Shared);
    let mut crowd: Vec<_> = (0..20).map(|_| Box::pin(monitor.wait())).collect();
    crowd.iter_mut().for_each(|waiter| poll_pending(waiter.as_mut(), checks.clone()));
    drop(guard);
    assert_eq!(checks.0.load(Relaxed), crowd.len());
}

/// An edge that no monitor waits for is counted without a critical section: another thread is in one all the time.
#[test]
fn x1_an_edge_that_no_monitor_waits_for_masks_nothing() {
    let lock = Arc::new(MultiLock::new());
    let monitors = Mode::ALL.map(|mode| lock.monitor_arc(mode));
    let (entered, is_entered) = std::sync::mpsc::channel();
    let (leave, may_leave) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || {
        critical_section::with(|_| {
            entered.send(()).unwrap();
            _ = may_leave.recv();
        });
    });
    is_entered.recv().unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    let edges = std::thread::spawn(move || {
        monitors.iter().for_each(|monitor| monitor.clear());
        drop(lock.try_acquire(Mode::Exclusive).unwrap());
        done.send(monitors.iter().all(|monitor| monitor.is_set())).unwrap();
        monitors
    });
    let are_set = is_done.recv_timeout(std::time::Duration::from_secs(20));
    drop(leave);
    other.join().unwrap();
    drop(edges.join().unwrap());
    assert_eq!(are_set, Ok(true), "an edge enters a critical section");
}

/// A handler interrupts at an arbitrary moment: it tries a set, and releases one.
#[test]
fn b2_a_set_may_be_tried_and_released_where_interrupts_are_off() {
    let locks = [MultiLock::new(), MultiLock::new()];
    let set: LockSet<&MultiLock> = locks.iter().collect();
    let guard = set.try_acquire(Mode::Exclusive).unwrap();
    let mut waiter = pin!(set.acquire(Mode::Shared));
    let woken = Arc::new(AtomicUsize::new(0));
    struct Count(Arc<AtomicUsize>);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let waker = Waker::from(Arc::new(Count(woken.clone())));
    let mut cx = Context::from_waker(&waker);
    assert!(waiter.as_mut().poll(&mut cx).is_pending());
    critical_section::with(|_| {
        assert!(set.try_acquire(Mode::Shared).is_none());
        drop(guard);
        assert!(set.try_acquire(Mode::Shared).is_some());
    });
    assert!(woken.load(Relaxed) > 0);
    assert!(waiter.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn b2_a_waker_is_replaced_and_dropped_with_interrupts_on() {
    let lock = MultiLock::new();
    let guard = lock.try_acquire(Mode::Exclusive).unwrap();
    let mut waiter = pin!(lock.acquire(Mode::Exclusive));
    poll_pending(waiter.as_mut(), Arc::new(Checks::default()));
    // The second waker replaces the first, which is dropped. The second is dropped once it was woken.
    let last = Arc::new(Checks::default());
    poll_pending(waiter.as_mut(), last.clone());
    drop(guard);
    assert_eq!(last.0.load(Relaxed), 1);
}

/// A name that must not be dropped while interrupts are off.
#[derive(PartialEq, Eq)]
struct Name(u32);

impl Drop for Name {
    fn drop(&mut self) {
        assert_interrupts_are_on();
    }
}

#[test]
fn b2_names_are_dropped_with_interrupts_on() {
    let lock = HandleLock::new();
    // More names than fit in one chunk.
    for number in 0..10 {
        assert!(lock.try_acquire(Mode::Shared, Name(number)).is_ok());
    }
    // One name each is released, refused, cancelled, waiting and dropped, and used by a guard.
    assert_eq!(lock.release(&Name(3)), Some(Mode::Shared));
    assert!(lock.try_acquire(Mode::Shared, Name(9)).is_err());
    assert!(lock.try_acquire(Mode::Exclusive, Name(10)).is_err());
    let mut waiter = Box::pin(lock.acquire(Mode::Exclusive, Name(11)));
    poll_pending(waiter.as_mut(), Arc::new(Checks::default()));
    drop(waiter);
    drop(lock.try_context(Mode::Shared, Name(12)));
    // The other names are dropped with the lock.
}

#[test]
fn b2_a_named_release_wakes_with_interrupts_on() {
    let lock = HandleLock::new();
    assert_eq!(lock.try_acquire(Mode::Exclusive, 0), Ok(()));
    let checks = Arc::new(Checks::default());
    let mut crowd: Vec<_> =
        (1..20).map(|name| Box::pin(lock.context(Mode::Shared, name))).collect();
    crowd.iter_mut().for_each(|waiter| poll_pending(waiter.as_mut(), checks.clone()));
    assert_eq!(lock.release(&0), Some(Mode::Exclusive));
    assert_eq!(checks.0.load(Relaxed), crowd.len());
    drop(crowd);
    let guard = lock.try_context(Mode::Exclusive, 0).unwrap();
    let mut waiter = pin!(lock.acquire(Mode::Shared, 1));
    poll_pending(waiter.as_mut(), checks.clone());
    drop(guard);
    assert_eq!(checks.0.load(Relaxed), 20);
}

/// What an interrupt handler does on a chip with one core: it runs while no other code is in a critical section, and
/// must not block.
#[test]
fn b2_named_holds_may_be_used_inside_of_a_critical_section() {
    static LOCK: HandleLock<HandleId> = HandleLock::new();
    critical_section::with(|_| {
        let name = LOCK.try_acquire_new(Mode::Shared).unwrap();
        let other = LOCK.try_acquire_new(Mode::Shared).unwrap();
        assert!(LOCK.try_acquire(Mode::Shared, name).is_err());
        assert_eq!(LOCK.holders(), [(name, Mode::Shared), (other, Mode::Shared)]);
        assert_eq!(LOCK.release(&other), Some(Mode::Shared));
        let mut guard = LOCK.try_context(Mode::Shared, other).unwrap();
        assert!(guard.try_upgrade().is_err());
        assert_eq!(LOCK.release(&name), Some(Mode::Shared));
        assert!(guard.try_upgrade().is_ok());
        guard.downgrade(Mode::Shared);
        assert_eq!(guard.handle(), other);
    });
    assert_eq!(LOCK.locked(), None);
}
