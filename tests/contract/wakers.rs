//! Wakers.

use super::*;

/// A task that uses the lock again from inside its own waker, in every possible way. If the lock kept a
/// mutex locked while it runs a waker, each of them would hang.
struct ReEntry {
    lock: Arc<MultiLock>,
    hold: Mutex<Option<GuardArc>>,
    queued: Mutex<Option<Pin<Box<dyn Future<Output = GuardArc> + Send>>>>,
    runs: AtomicUsize,
}

impl ReEntry {
    fn run(&self) {
        self.runs.fetch_add(1, SeqCst);
        for mode in Mode::ALL {
            drop(self.lock.try_acquire(mode));
            drop(Task::new(self.lock.acquire(mode)).poll());
            let _ = Task::new(self.lock.wait(mode)).poll();
        }
        drop(self.hold.lock().unwrap().take());
        drop(self.queued.lock().unwrap().take());
    }
}

#[test]
fn wakers_may_use_the_lock_when_they_are_cloned_woken_and_dropped() {
    for place in ["clone", "wake", "replace", "drop"] {
        let lock = Arc::new(lock());
        let holder = hold(&lock, Upgradable);
        let re_entry = Arc::new(ReEntry {
            lock: lock.clone(),
            hold: Mutex::new(lock.try_acquire_arc(Shared)),
            queued: Mutex::new(None),
            runs: AtomicUsize::new(0),
        });
        let run = {
            let re_entry = re_entry.clone();
            Box::new(move || re_entry.run())
        };
        let hooks = match place {
            "clone" => Hooks { on_clone: run, ..Hooks::default() },
            "wake" => Hooks { on_wake: run, ..Hooks::default() },
            _ => Hooks { on_drop: run, ..Hooks::default() },
        };
        let waker = hooks.waker();
        // One list contains the task, a waiter that its waker drops, and a waiter that stays.
        let queue = || -> Pin<Box<dyn Future<Output = GuardArc> + Send>> {
            let mut queued = Box::pin(lock.acquire_arc(Upgradable));
            assert!(poll_once(&mut queued).is_pending());
            queued
        };
        let mut task = Task::new(lock.acquire(Upgradable));
        if place == "clone" {
            *re_entry.queued.lock().unwrap() = Some(queue());
        }
        assert!(task.poll_with(&waker).is_pending());
        if place != "clone" {
            *re_entry.queued.lock().unwrap() = Some(queue());
        }
        let mut other = Task::queued(lock.acquire(Upgradable));
        let mut monitor = Task::queued(lock.wait(Exclusive));

        match place {
            "replace" => task.waits(),
            "drop" => task = Task::new(lock.acquire(Upgradable)),
            _ => {}
        }
        drop(holder);
        assert_eq!(re_entry.runs.load(SeqCst), 1, "{place}");
        assert!(re_entry.hold.lock().unwrap().is_none());
        assert!(re_entry.queued.lock().unwrap().is_none());
        monitor.run().expect("woken");
        drop(task.finish());
        drop(other.run().expect("woken"));
        drop(task);
        assert_idle(&lock);
    }
}

/// The release runs the next holder's task, whose release runs the next one's, and so on.
#[test]
fn wakers_may_poll_their_future_inline() {
    const COUNT: usize = 10;
    for mode in Mode::ALL {
        let lock = Arc::new(lock());
        let entered = Arc::new(AtomicUsize::new(0));
        let guard = hold(&lock, Exclusive);
        for number in 0..COUNT {
            let (lock, entered) = (lock.clone(), entered.clone());
            Inline::spawn(async move {
                let mode = if number % 2 == 0 { mode } else { Exclusive };
                let mut guard = lock.acquire(mode).await;
                entered.fetch_add(1, SeqCst);
                guard.downgrade(Shared);
                drop(guard);
                // Once more: acquired while the lock happens to be free, or after a poll or two.
                drop(lock.acquire(mode).await);
                lock.wait(Shared).await;
                entered.fetch_add(1, SeqCst);
            });
        }
        assert_eq!(entered.load(SeqCst), 0);
        drop(guard);
        assert_eq!(entered.load(SeqCst), 2 * COUNT, "{mode:?}");
        assert_idle(&lock);
        // Every task has ended, and dropped its waker.
        assert_eq!(Arc::strong_count(&lock), 1);
    }
}

fn panics_in_wake() -> Waker {
    Hooks { on_wake: Box::new(|| panic!("in wake")), ..Hooks::default() }.waker()
}

/// The others are woken, and the panic reaches the caller that released the lock.
#[test]
#[cfg(all(feature = "std", panic = "unwind"))]
fn wakers_that_panic_keep_no_other_asleep() {
    for place in [0, 5, 19] {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let mut tasks: Vec<_> = (0..20).map(|_| Task::new(lock.acquire(Shared))).collect();
        for (i, task) in tasks.iter_mut().enumerate() {
            let waker = if i == place { panics_in_wake() } else { Waker::noop().clone() };
            assert!(if i == place { task.poll_with(&waker) } else { task.poll() }.is_pending());
        }
        let panic = catch_unwind(AssertUnwindSafe(|| drop(guard))).unwrap_err();
        assert_eq!(message(panic), "in wake");
        assert!(tasks.iter().enumerate().all(|(i, task)| task.wakes() == usize::from(i != place)));
        drop(tasks.iter_mut().map(Task::finish).collect::<Vec<_>>());
        assert_idle(&lock);
        // The lock works as before.
        let guard = hold(&lock, Exclusive);
        let mut task = Task::queued(lock.acquire(Exclusive));
        drop(guard);
        drop(task.run().expect("woken"));
    }
}

/// Nothing catches the panic of a waker, but all tasks in the same batch are woken.
#[test]
#[cfg(all(not(feature = "std"), panic = "unwind"))]
fn wakers_that_panic_keep_no_other_of_their_batch_asleep() {
    for place in [0, 4, 7] {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let mut tasks: Vec<_> = (0..8).map(|_| Task::new(lock.acquire(Shared))).collect();
        for (i, task) in tasks.iter_mut().enumerate() {
            let waker = panics_in_wake();
            assert!(if i == place { task.poll_with(&waker) } else { task.poll() }.is_pending());
        }
        let panic = catch_unwind(AssertUnwindSafe(|| drop(guard))).unwrap_err();
        assert_eq!(message(panic), "in wake");
        assert!(tasks.iter().enumerate().all(|(i, task)| task.wakes() == usize::from(i != place)));
        drop(tasks);
        assert_idle(&lock);
    }
}

/// The payload of the panic is foreign code, too: only the first payload is reported, and the others are
/// dropped.
#[test]
#[cfg(all(feature = "std", panic = "unwind"))]
fn wakers_that_panic_with_a_payload_that_panics_keep_no_other_asleep() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            // Zero-sized: a payload that cannot be dropped is forgotten.
            panic_any(());
        }
    }
    for panicking in [false, true] {
        let lock = lock();
        let mut tasks: Vec<_> = (0..20).map(|_| Task::new(lock.acquire(Shared))).collect();
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _guard = hold(&lock, Exclusive);
            for (i, task) in tasks.iter_mut().enumerate() {
                let on_wake = Box::new(|| panic_any(Bomb));
                let hooked = Hooks { on_wake, ..Hooks::default() }.waker();
                assert!(if i < 2 { task.poll_with(&hooked) } else { task.poll() }.is_pending());
            }
            assert!(!panicking, "inside");
        }));
        let panic = panic.unwrap_err();
        match panic.downcast::<Bomb>() {
            Ok(bomb) => mem::forget(bomb),
            Err(panic) => assert_eq!(message(panic), "inside"),
        }
        assert!(tasks.iter().skip(2).all(Task::woken), "{panicking}");
        drop(tasks);
        assert_idle(&lock);
    }
}

/// The panic propagates from whichever call woke the task.
#[test]
#[cfg(panic = "unwind")]
fn wakers_that_panic_propagate_out_of_a_downgrade_and_a_handles_release() {
    type Cause = fn(&MultiLock, Guard<'_>);
    let causes: [Cause; 2] = [
        |_, mut guard| guard.downgrade(Shared),
        |lock, guard| lock.release(guard.into_handle()).unwrap(),
    ];
    for cause in causes {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let mut first = Task::new(lock.acquire(Shared));
        assert!(first.poll_with(&panics_in_wake()).is_pending());
        let second = Task::queued(lock.acquire(Shared));
        let panic = catch_unwind(AssertUnwindSafe(|| cause(&lock, guard))).unwrap_err();
        assert_eq!(message(panic), "in wake");
        assert!(second.woken());
        drop((first, second));
        assert_idle(&lock);
    }
}

#[test]
#[cfg(panic = "unwind")]
fn wakers_that_panic_propagate_out_of_a_cancellation() {
    let lock = lock();
    let guard = hold(&lock, Shared);
    let exclusive = Task::queued(lock.acquire(Exclusive));
    let mut first = Task::new(lock.acquire(Shared));
    assert!(first.poll_with(&panics_in_wake()).is_pending());
    let second = Task::queued(lock.acquire(Shared));
    let panic = catch_unwind(AssertUnwindSafe(|| drop(exclusive))).unwrap_err();
    assert_eq!(message(panic), "in wake");
    assert!(second.woken());
    drop((guard, first, second));
    assert_idle(&lock);
}

/// A second panic while unwinding would abort the process.
#[test]
#[cfg(all(feature = "std", panic = "unwind"))]
fn wakers_that_panic_during_a_panic_do_not_abort() {
    let lock = lock();
    let mut shared = Task::new(lock.acquire(Shared));
    let mut other = Task::new(lock.acquire(Shared));
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _guard = hold(&lock, Exclusive);
        assert!(shared.poll_with(&panics_in_wake()).is_pending());
        other.waits();
        panic!("inside");
    }));
    assert_eq!(message(panic.unwrap_err()), "inside");
    assert!(other.woken());
    drop((shared, other));
    assert_idle(&lock);
}

#[test]
#[cfg(panic = "unwind")]
fn wakers_that_panic_when_they_are_cloned_harm_only_their_own_poll() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let waker = Hooks { on_clone: Box::new(|| panic!("in clone")), ..Hooks::default() }.waker();
    let mut task = Task::new(lock.acquire(Exclusive));
    let panic = catch_unwind(AssertUnwindSafe(|| drop(task.poll_with(&waker)))).unwrap_err();
    assert_eq!(message(panic), "in clone");
    let mut other = Task::queued(lock.acquire(Exclusive));
    drop(guard);
    drop(task);
    drop(other.run().expect("woken"));
    assert_idle(&lock);
}

/// The hooks of a waker that panics in its destructor when the lock drops it.
fn panics_in_drop(armed: &Arc<AtomicBool>) -> Hooks {
    let armed = armed.clone();
    let on_drop = Box::new(move || assert!(!armed.swap(false, SeqCst), "in drop"));
    Hooks { on_drop, ..Hooks::default() }
}

/// The acquisition has entered when its waker is dropped.
#[test]
#[cfg(panic = "unwind")]
fn wakers_that_panic_when_they_are_dropped_leave_no_hold() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    // Another waiter is notified, so the waker is still stored when the task happens to find
    // the lock free, and enters.
    let notified = Task::queued(lock.acquire(Exclusive));
    let armed = Arc::new(AtomicBool::new(false));
    let waker = panics_in_drop(&armed).waker();
    let mut task = Task::new(lock.acquire(Exclusive));
    assert!(task.poll_with(&waker).is_pending());
    drop(guard);
    armed.store(true, SeqCst);
    let poll = catch_unwind(AssertUnwindSafe(|| drop(task.poll_with(&waker))));
    assert_eq!(message(poll.unwrap_err()), "in drop");
    assert_eq!(lock.locked(), None);
    drop((task, notified));
    assert_idle(&lock);
}

#[test]
#[cfg(panic = "unwind")]
fn wakers_that_panic_when_they_are_dropped_leave_an_upgrade_undone() {
    for mode in [Shared, Upgradable] {
        let lock = Arc::new(lock());
        let other = Mutex::new(lock.try_acquire_arc(Shared));
        let mut guard = hold(&lock, mode);
        let armed = Arc::new(AtomicBool::new(false));
        // The other holder releases as the upgrade is about to be queued, so it finishes while it has a
        // waker.
        let leaves = armed.clone();
        let on_clone =
            Box::new(move || leaves.store(other.lock().unwrap().take().is_some(), SeqCst));
        let waker = Hooks { on_clone, ..panics_in_drop(&armed) }.waker();
        let mut task = Task::new(guard.upgrade());
        let poll = catch_unwind(AssertUnwindSafe(|| task.poll_with(&waker)));
        drop(task);
        assert!(poll.is_err());
        assert_eq!((guard.mode(), lock.locked()), (mode, Some(mode)));
        drop(guard);
        assert_idle(&lock);
    }
}

/// The waiter was notified and entered, and the waker that it no longer needed panicked. That released the
/// lock and consumed the notification, so from then on it waits like any other.
#[test]
#[cfg(panic = "unwind")]
fn q1_a_notification_is_consumed_even_if_a_waker_panics() {
    let lock = Arc::new(lock());
    let guard = hold(&lock, Exclusive);
    let mut task = Task::queued(lock.acquire(Shared));
    drop(guard);
    assert!(task.woken());
    // There is another holder when the task is polled. It releases while the task clones its waker.
    let other = Mutex::new(lock.try_acquire_arc(Exclusive));
    let armed = Arc::new(AtomicBool::new(false));
    let leaves = armed.clone();
    let on_clone = Box::new(move || leaves.store(other.lock().unwrap().take().is_some(), SeqCst));
    let waker = Hooks { on_clone, ..panics_in_drop(&armed) }.waker();
    let poll = catch_unwind(AssertUnwindSafe(|| drop(task.poll_with(&waker))));
    assert_eq!(message(poll.unwrap_err()), "in drop");
    assert_eq!(lock.locked(), None);
    let shared = hold(&lock, Shared);
    let exclusive = Task::queued(lock.acquire(Exclusive));
    assert!(task.poll().is_pending(), "it joins shared holders past an exclusive waiter");
    drop((exclusive, shared, task));
    assert_idle(&lock);
}

/// Two wakers of different tasks at the same address are different wakers.
#[test]
fn wakers_are_not_known_by_where_they_are_borrowed_from() {
    static BORROWED: RawWakerVTable = RawWakerVTable::new(
        |place| {
            // SAFETY: the data pointers of this test's wakers point to a place with an alarm.
            let alarm = unsafe { (*place.cast::<Arc<Alarm>>()).clone() };
            let waker = mem::ManuallyDrop::new(Waker::from(alarm));
            RawWaker::new(waker.data(), waker.vtable())
        },
        |_| unreachable!("a borrowed waker is not woken"),
        |_| unreachable!("a borrowed waker is not woken"),
        |_| {},
    );
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let alarms = [(); 2].map(|()| Arc::new(Alarm::default()));
    let mut task = Task::new(lock.acquire(Exclusive));
    let mut place = alarms[0].clone();
    for alarm in &alarms {
        place.clone_from(alarm);
        // SAFETY: the functions of `BORROWED` keep the contract of a waker while `place` is alive.
        let waker = unsafe { Waker::new(ptr::from_ref(&place).cast(), &BORROWED) };
        assert!(task.poll_with(&waker).is_pending());
    }
    drop(guard);
    assert_eq!(alarms.each_ref().map(|alarm| alarm.wakes()), [0, 1]);
}

#[test]
fn wakers_the_last_one_registered_is_the_one_woken() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let alarms = [(); 3].map(|()| Arc::new(Alarm::default()));
    let mut task = Task::new(lock.acquire(Exclusive));
    for alarm in &alarms {
        assert!(task.poll_with(&Waker::from(alarm.clone())).is_pending());
    }
    // The old wakers were dropped: code that waits for their drop does not wait for the lock.
    assert_eq!(alarms.each_ref().map(Arc::strong_count), [1, 1, 2]);
    drop(guard);
    assert_eq!(alarms.each_ref().map(|alarm| alarm.wakes()), [0, 0, 1]);
    assert_eq!(alarms.each_ref().map(Arc::strong_count), [1; 3]);
    drop(task.finish());
}

#[test]
fn wakers_the_same_one_is_kept() {
    let (clones, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counter = |count: &Arc<AtomicUsize>| {
        let count = count.clone();
        Box::new(move || _ = count.fetch_add(1, SeqCst))
    };
    let waker =
        Hooks { on_clone: counter(&clones), on_drop: counter(&drops), ..Hooks::default() }.waker();
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut task = Task::new(lock.acquire(Exclusive));
    for _ in 0..5 {
        assert!(task.poll_with(&waker).is_pending());
    }
    // Without `std`, each poll clones the waker before the queue is locked, and drops a clone that it does not need.
    let spare = if cfg!(feature = "std") { 0 } else { 4 };
    assert_eq!(clones.load(SeqCst), 1 + spare);
    assert_eq!(drops.load(SeqCst), spare);
    drop(task);
    assert_eq!(drops.load(SeqCst), 1 + spare, "a dropped future keeps no waker");
    drop(guard);
}
