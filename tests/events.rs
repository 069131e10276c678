//! Events that a lock notifies, by hand-polled tasks and by threads.

#![cfg(not(any(loom, shuttle)))]
#![cfg(feature = "event-listener")]
#![cfg_attr(
    any(target_family = "wasm", not(feature = "std")),
    allow(unused_imports, dead_code, reason = "no threads, no unwinding")
)]

mod support;

#[cfg(panic = "unwind")]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::task::Context;

use Mode::{Exclusive, Shared, Upgradable};
use event_listener::{Event, EventListener, Listener};
use multilock::{HandleLock, Mode, MultiLock, Subscription};
use support::{
    Counting, Hooks, Task, allocations, assert_all_idle, assert_idle, hold, locks, now,
    without_a_leak, without_allocation,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An event for each mode, and what listens to it.
struct Events {
    events: [Arc<Event>; 3],
    listeners: [EventListener; 3],
}

impl Events {
    fn new() -> Self {
        let events = Mode::ALL.map(|_| Arc::new(Event::new()));
        let listeners = events.each_ref().map(|event| event.listen());
        Self { events, listeners }
    }

    fn subscribe<'a>(&self, lock: &'a MultiLock) -> [Subscription<'a>; 3] {
        Mode::ALL.map(|mode| lock.notify(mode, &self.events[mode as usize]))
    }

    /// Which of the events were notified since the last look.
    fn notified(&mut self) -> Vec<Mode> {
        let notified = |mode: &Mode| {
            let listener = std::mem::replace(
                &mut self.listeners[*mode as usize],
                self.events[*mode as usize].listen(),
            );
            is_notified(listener)
        };
        Mode::ALL.into_iter().filter(notified).collect()
    }
}

fn is_notified(listener: EventListener) -> bool {
    listener.discard()
}

/// Listens, tries and waits, until one of the locks is acquired. Returns its index.
async fn acquire_any(locks: &[MultiLock], mode: Mode, event: &Event) -> usize {
    loop {
        let listener = event.listen();
        if let Some(index) = locks.iter().position(|lock| lock.try_acquire(mode).is_some()) {
            return index;
        }
        listener.await;
    }
}

// ----------------------------------------------------------------------- When an event is notified

#[test]
fn p2_an_event_is_notified_each_time_its_mode_becomes_acquirable_and_else_not() {
    let lock = MultiLock::new();
    let mut events = Events::new();
    let subscriptions = events.subscribe(&lock);
    assert_eq!(subscriptions.each_ref().map(Subscription::mode), Mode::ALL);
    // Neither because the modes can be acquired now, nor because one is acquired.
    let exclusive = hold(&lock, Exclusive);
    assert_eq!(events.notified(), []);
    drop(exclusive);
    assert_eq!(events.notified(), Mode::ALL);

    let (first, second) = (hold(&lock, Shared), hold(&lock, Shared));
    drop(first);
    assert_eq!(events.notified(), []);
    drop(second);
    assert_eq!(events.notified(), [Exclusive]);

    let shared = hold(&lock, Shared);
    drop(hold(&lock, Upgradable));
    assert_eq!(events.notified(), [Upgradable]);
    drop(shared);
    assert_eq!(events.notified(), [Exclusive]);

    drop(subscriptions);
    drop(hold(&lock, Exclusive));
    assert_eq!(events.notified(), []);
    assert_idle(&lock);
}

#[test]
fn u4_an_event_is_notified_of_a_downgrade_and_of_a_canceled_upgrade() {
    let lock = MultiLock::new();
    let mut events = Events::new();
    let _subscriptions = events.subscribe(&lock);
    let mut guard = hold(&lock, Exclusive);
    guard.downgrade(Upgradable);
    assert_eq!(events.notified(), [Shared]);
    let other = hold(&lock, Shared);
    drop(Task::queued(guard.upgrade()));
    assert_eq!(events.notified(), [Shared]);
    drop(other);
    assert_eq!(events.notified(), []);
    guard.downgrade(Shared);
    assert_eq!(events.notified(), [Upgradable]);
}

#[test]
fn c1_an_event_is_notified_of_an_exclusive_waiter_that_is_dropped() {
    let lock = MultiLock::new();
    let mut events = Events::new();
    let _subscriptions = events.subscribe(&lock);
    let _guard = hold(&lock, Shared);
    let waiter = Task::queued(lock.acquire(Exclusive));
    assert_eq!(events.notified(), []);
    drop(waiter);
    assert_eq!(events.notified(), [Shared, Upgradable]);
}

/// The monitors and the events of a mode are in one list.
#[test]
fn p2_monitors_and_events_are_notified_beside_each_other() {
    let lock = MultiLock::new();
    let mut events = Events::new();
    let before = events.subscribe(&lock);
    let monitor = lock.monitor(Exclusive);
    monitor.clear();
    for _ in 0..3 {
        let guard = hold(&lock, Exclusive);
        let mut waits = Task::queued(monitor.wait());
        let _after = events.subscribe(&lock);
        drop(guard);
        assert_eq!((waits.wakes(), events.notified()), (1, Mode::ALL.to_vec()));
        waits.finish();
        monitor.clear();
    }
    drop((before, monitor));
    assert_idle(&lock);
}

#[test]
fn p3_a_task_is_woken_once_however_often_its_event_is_notified() {
    let lock = MultiLock::new();
    let event = Arc::new(Event::new());
    let _subscriptions = [(); 5].map(|()| lock.notify(Exclusive, &event));
    let mut task = Task::queued(event.listen());
    drop(hold(&lock, Exclusive));
    drop(hold(&lock, Exclusive));
    assert_eq!(task.wakes(), 1);
    task.finish();
}

#[test]
fn p2_an_event_is_notified_by_a_lock_with_handles() {
    let lock = HandleLock::new();
    let event = Arc::new(Event::new());
    let subscription = lock.notify(Exclusive, &event);
    lock.try_acquire(Exclusive, "one").unwrap();
    let listener = event.listen();
    lock.release(&"one").unwrap();
    assert!(is_notified(listener));
    drop(subscription);
    assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
}

// ---------------------------------------------------------------------------------- Several locks

#[test]
fn p2_one_event_of_two_locks_is_notified_by_either() {
    let locks = locks::<2>();
    let event = Arc::new(Event::new());
    for released in [0, 1] {
        let mut guards = locks.each_ref().map(|lock| Some(hold(lock, Exclusive)));
        let subscriptions = locks.each_ref().map(|lock| lock.notify(Exclusive, &event));
        let mut task = Task::queued(acquire_any(&locks, Exclusive, &event));
        guards[released] = None;
        assert_eq!((task.wakes(), task.finish()), (1, released));
        drop(subscriptions);
    }
    assert_all_idle(&locks);
}

/// Threads that block contend for either of two locks, and count what they acquire.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn e1_p2_threads_acquire_either_of_two_locks_by_one_event() {
    const THREADS: usize = 4;
    let rounds = if cfg!(miri) { 20 } else { 2_000 };
    let locks = locks::<2>();
    let counts = [const { AtomicUsize::new(0) }; 2];
    let event = Arc::new(Event::new());
    let subscriptions = locks.each_ref().map(|lock| lock.notify(Exclusive, &event));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let (index, _guard) = loop {
                        let listener = event.listen();
                        let tries = locks.iter().map(|lock| lock.try_acquire(Exclusive));
                        if let Some(acquired) =
                            tries.enumerate().find_map(|(index, guard)| Some((index, guard?)))
                        {
                            break acquired;
                        }
                        listener.wait();
                    };
                    // Neither atomic nor a race: the lock excludes all others.
                    let count = counts[index].load(SeqCst);
                    std::thread::yield_now();
                    counts[index].store(count + 1, SeqCst);
                }
            });
        }
    });
    let total = counts.iter().map(|count| count.load(SeqCst)).sum::<usize>();
    assert_eq!(total, THREADS * rounds);
    drop(subscriptions);
    assert_all_idle(&locks);
}

// ------------------------------------------------------------------------------------- Lifetimes

#[test]
fn an_event_may_be_static_or_in_an_arc() {
    static EVENT: Event = Event::new();
    let lock = Arc::new(MultiLock::new());
    let event = Arc::new(Event::new());
    let subscriptions = [
        lock.notify_arc(Exclusive, &EVENT),
        lock.notify_arc(Exclusive, &event),
        lock.notify_arc(Exclusive, event.clone()),
    ];
    let listeners = [EVENT.listen(), event.listen()];
    drop(hold(&lock, Exclusive));
    assert!(listeners.into_iter().all(is_notified));
    assert!(subscriptions.iter().all(|subscription| subscription.mode() == Exclusive));
    assert_eq!((Arc::strong_count(&event), Arc::strong_count(&lock)), (3, 7));
    drop(subscriptions);
    assert_eq!((Arc::strong_count(&event), Arc::strong_count(&lock)), (1, 1));
    assert_idle(&lock);
}

#[test]
fn an_event_may_be_dropped_before_its_subscription() {
    let lock = MultiLock::new();
    let event = Arc::new(Event::new());
    let subscription = lock.notify(Exclusive, &event);
    let listener = event.listen();
    drop(event);
    drop(hold(&lock, Exclusive));
    assert!(is_notified(listener));
    drop(subscription);
    assert_idle(&lock);
}

#[test]
fn a_subscription_that_owns_its_lock_keeps_it() {
    let lock = Arc::new(MultiLock::new());
    let event = Arc::new(Event::new());
    let subscription = lock.notify_arc(Shared, &event);
    let guard = lock.try_acquire_arc(Exclusive).unwrap();
    drop(lock);
    let listener = event.listen();
    drop(guard);
    assert!(is_notified(listener));
    drop(subscription);
    assert_eq!(Arc::strong_count(&event), 1);
}

/// Miri knows whether the lock leaves its queue alone, in which the subscription is still.
#[test]
fn bad_use_a_forgotten_subscription_ends_with_its_lock() {
    /// Miri takes what nothing points to for a leak.
    static FORGOTTEN: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());
    let event = Arc::new(Event::new());
    let lock = MultiLock::new();
    let subscription = Box::new(lock.notify(Exclusive, &event));
    FORGOTTEN.store(Box::into_raw(subscription).cast(), SeqCst);
    let listener = event.listen();
    drop(hold(&lock, Exclusive));
    assert!(is_notified(listener));
    drop(lock);
}

// ------------------------------------------------------------------------------------------- Many

#[test]
fn p2_ten_thousand_subscriptions_are_notified_and_dropped_in_any_order() {
    let count = if cfg!(miri) { 50 } else { 10_000 };
    let lock = MultiLock::new();
    let events: Vec<_> = (0..count).map(|_| Arc::new(Event::new())).collect();
    let mut subscriptions: Vec<_> =
        events.iter().map(|event| Some(lock.notify(Exclusive, event))).collect();
    let notified = || {
        let listeners: Vec<_> = events.iter().map(|event| event.listen()).collect();
        drop(hold(&lock, Exclusive));
        listeners.into_iter().map(is_notified).collect::<Vec<_>>()
    };
    assert!(notified().into_iter().all(|it| it));
    // Every third is dropped, from the middle on.
    for index in 0..count {
        let index = (count / 2 + index) % count;
        if index % 3 == 0 {
            subscriptions[index] = None;
        }
    }
    assert!(notified().into_iter().enumerate().all(|(index, it)| it == (index % 3 != 0)));
    drop(subscriptions);
    assert!(!notified().into_iter().any(|it| it));
    assert_idle(&lock);
}

#[test]
fn p2_all_listeners_of_an_event_are_notified() {
    const COUNT: usize = 100;
    let lock = MultiLock::new();
    let event = Arc::new(Event::new());
    let subscription = lock.notify(Exclusive, &event);
    let mut tasks: Vec<_> = (0..COUNT).map(|_| Task::queued(event.listen())).collect();
    drop(hold(&lock, Exclusive));
    assert!(tasks.iter_mut().all(|task| task.run().is_some()));
    drop(subscription);
}

/// A thread listens again and again, and does not wait.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn p1_a_release_ends_while_listeners_come_and_go() {
    let lock = MultiLock::new();
    let event = Arc::new(Event::new());
    let _subscription = lock.notify(Exclusive, &event);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(SeqCst) {
                let listeners: Vec<_> = (0..20).map(|_| event.listen()).collect();
                drop(listeners);
            }
        });
        for _ in 0..if cfg!(miri) { 10 } else { 1_000 } {
            drop(hold(&lock, Exclusive));
        }
        ended.store(true, SeqCst);
    });
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn c4_subscriptions_come_and_go_while_their_lock_is_released() {
    let rounds = if cfg!(miri) { 20 } else { 2_000 };
    let lock = MultiLock::new();
    let event = Arc::new(Event::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let subscriptions = Mode::ALL.map(|mode| lock.notify(mode, &event));
                    drop(lock.try_acquire(Exclusive));
                    let [first, second, third] = subscriptions;
                    drop((second, first, third));
                }
            });
        }
        scope.spawn(|| (0..rounds).for_each(|_| drop(lock.try_acquire(Exclusive))));
    });
    assert_idle(&lock);
    assert_eq!(Arc::strong_count(&event), 1);
}

// --------------------------------------------------------------------------------------- The cost

#[test]
fn x2_a_subscription_allocates_and_no_notification_does() {
    let lock = MultiLock::new();
    let event = Arc::new(Event::new());
    without_a_leak("a subscription", || {
        drop(MultiLock::new().notify(Exclusive, Arc::new(Event::new())));
    });
    let subscription = lock.notify(Exclusive, &event);
    without_allocation("a release that no task listens for", || drop(hold(&lock, Exclusive)));
    let listener = event.listen();
    without_allocation("a notification", || drop(hold(&lock, Exclusive)));
    assert!(is_notified(listener));
    drop(subscription);

    // The queue, what the event needs, its waker and the listener.
    let (lock, event) = (MultiLock::new(), Arc::new(Event::new()));
    assert_eq!(allocations(|| drop(lock.notify(Exclusive, &event))).1, 4);
    assert_eq!(allocations(|| drop(lock.notify(Exclusive, &event))).1, 2);
    static EVENT: Event = Event::new();
    assert_eq!(allocations(|| drop(lock.notify(Exclusive, &EVENT))).1, 2);
    assert_eq!(allocations(|| drop(lock.notify(Exclusive, &EVENT))).1, 1);
}

// -------------------------------------------------------------------------------------- The wakers

/// The wakers run while no lock of this crate is held: they may use another lock, and the queue of
/// this one.
#[test]
fn w_a_waker_of_a_listener_may_use_the_lock() {
    let lock = Arc::new(MultiLock::new());
    let event = Arc::new(Event::new());
    let subscription = lock.notify(Exclusive, &event);
    let mut listener = event.listen();
    let waker = Hooks {
        on_wake: {
            let lock = lock.clone();
            Box::new(move || {
                drop(lock.monitor(Shared));
                drop(now(lock.acquire(Shared)));
                drop(lock.notify(Upgradable, Arc::new(Event::new())));
            })
        },
        ..Hooks::default()
    }
    .waker();
    let mut cx = Context::from_waker(&waker);
    // The waker's shared release must not notify the event that wakes it.
    let other = hold(&lock, Shared);
    let guard = hold(&lock, Upgradable);
    assert!(std::pin::Pin::new(&mut listener).poll(&mut cx).is_pending());
    drop(subscription);
    let _subscription = lock.notify(Upgradable, &event);
    drop(guard);
    assert!(std::pin::Pin::new(&mut listener).poll(&mut cx).is_ready());
    drop(other);
}

/// The listener is a leak: see below. Miri would complain.
#[cfg(all(panic = "unwind", feature = "std", not(miri)))]
#[test]
fn w_a_waker_that_panics_keeps_no_other_event_from_its_notification() {
    let lock = MultiLock::new();
    let panics = Arc::new(Event::new());
    let mut events = Events::new();
    let subscription = lock.notify(Exclusive, &panics);
    let _subscriptions = events.subscribe(&lock);
    let mut listener = panics.listen();
    let waker =
        Hooks { on_wake: Box::new(|| panic!("the waker panics")), ..Hooks::default() }.waker();
    assert!(std::pin::Pin::new(&mut listener).poll(&mut Context::from_waker(&waker)).is_pending());
    let guard = hold(&lock, Exclusive);
    catch_unwind(AssertUnwindSafe(|| drop(guard))).unwrap_err();
    assert_eq!(events.notified(), Mode::ALL);
    // A waker that panics leaves the counts of its event wrong: `event-listener` panics in this drop.
    std::mem::forget(listener);
    drop(subscription);
    drop(hold(&lock, Exclusive));
    assert_eq!(events.notified(), Mode::ALL);
}
