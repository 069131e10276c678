//! Events that the lock notifies.

use core::slice::from_ref;

use event_listener::{Event, Listener};

use super::*;

type Lock = std::sync::Arc<MultiLock>;

/// Listens, tries and waits, until one of the locks is acquired.
fn acquire_by(locks: &[Lock], event: &Event) {
    loop {
        let listener = event.listen();
        if locks.iter().any(|lock| lock.try_acquire(Exclusive).is_some()) {
            return;
        }
        listener.wait();
    }
}

/// Fails if the subscription is counted after its listener is queued, or is not counted at all.
#[test]
fn p2_an_event_is_notified_of_an_edge() {
    model(|| {
        let (lock, event) = (Lock::default(), std::sync::Arc::new(Event::new()));
        let guard = lock.try_acquire_arc(Exclusive).unwrap();
        let thread = spawn(move || drop(guard));
        let subscription = lock.notify(Exclusive, &event);
        acquire_by(from_ref(&lock), &event);
        drop(subscription);
        join([thread]);
        assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
    });
}

/// An edge is counted while another is about to notify the event.
#[test]
fn p2_an_event_is_notified_of_each_edge() {
    model_with(3, || {
        let (lock, event) = (Lock::default(), std::sync::Arc::new(Event::new()));
        let guard = lock.try_acquire_arc(Exclusive).unwrap();
        let subscription = lock.notify(Exclusive, &event);
        let first = spawn(move || drop(guard));
        let second = {
            let lock = lock.clone();
            spawn(move || drop(lock.try_acquire(Exclusive)))
        };
        acquire_by(from_ref(&lock), &event);
        drop(subscription);
        join([first, second]);
        assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
    });
}

/// One event tells when any of two locks can be acquired.
#[test]
fn p2_an_event_of_two_locks_is_notified_by_either() {
    model(|| {
        let (locks, event) = ([(); 2].map(|()| Lock::default()), std::sync::Arc::new(Event::new()));
        let guards = locks.each_ref().map(|lock| lock.try_acquire_arc(Exclusive).unwrap());
        let subscriptions = locks.each_ref().map(|lock| lock.notify_arc(Exclusive, &event));
        let [first, second] = guards;
        let thread = spawn(move || drop(first));
        acquire_by(&locks, &event);
        drop((subscriptions, second));
        join([thread]);
    });
}

/// A subscription is dropped while its lock notifies its event, beside one that stays.
#[test]
fn p2_a_dropped_subscription_hides_no_edge_from_another() {
    model(|| {
        let (lock, event) = (Lock::default(), std::sync::Arc::new(Event::new()));
        // It outlives the threads: loom does not see that the last one to drop an `Arc` of `std` is.
        let other_event = std::sync::Arc::new(Event::new());
        let guard = lock.try_acquire_arc(Exclusive).unwrap();
        let other = lock.notify_arc(Exclusive, &other_event);
        let subscription = lock.notify(Exclusive, &event);
        let threads = [spawn(move || drop(guard)), spawn(move || drop(other))];
        acquire_by(from_ref(&lock), &event);
        drop(subscription);
        join(threads);
        assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
    });
}
