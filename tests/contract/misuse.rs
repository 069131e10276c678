//! Misuse.

use super::*;

#[test]
fn bad_use_errors_name_the_conflicting_holder() {
    let lock = lock();
    let (mut first, mut second) = (hold(&lock, Shared), hold(&lock, Shared));
    let refused = first.try_upgrade().unwrap_err();
    assert_eq!(refused.to_string(), "the lock has other shared holders");
    let _upgrade = Task::queued(first.upgrade());
    let refused = now(second.upgrade()).unwrap_err();
    assert_eq!(refused.to_string(), "another holder of the lock may upgrade first");
}

#[test]
fn bad_use_a_handle_of_another_lock_is_returned() {
    for mode in Mode::ALL {
        // Two fresh locks, and two whose handles already have an identity.
        let (lock, other) = (Arc::new(lock()), Arc::new(lock()));
        for _ in 0..2 {
            let handle = hold(&lock, mode).into_handle();
            let id = handle.id();
            let words = (lock.snapshot(), other.snapshot());
            let error = other.release(handle).unwrap_err();
            assert!(error.to_string().contains(&id.to_string()));
            let handle = other.adopt(error.into_handle()).unwrap_err().into_handle();
            let handle = other.adopt_arc(handle).unwrap_err().into_handle();
            assert_eq!((handle.id(), handle.mode()), (id, mode));
            assert_eq!((lock.snapshot(), other.snapshot()), words);
            lock.release(handle).unwrap();
            assert_idle(&lock);
            other.release(hold(&other, mode).into_handle()).unwrap();
        }
    }
}

/// If a lock recognized its handles by its address, this one would end an acquisition that it never
/// made.
#[test]
fn bad_use_a_handle_of_a_dropped_lock_is_returned() {
    let mut place = Box::new(lock());
    let address = ptr::from_ref(&*place);
    let handle = hold(&place, Exclusive).into_handle();
    *place = lock();
    assert_eq!(ptr::from_ref(&*place), address);
    let handle = place.release(handle).unwrap_err().into_handle();
    assert_idle(&place);
    // The same when the new lock has handles, and is held.
    let new = hold(&place, Exclusive).into_handle();
    assert_ne!(new.id(), handle.id());
    place.release(handle).unwrap_err();
    assert_eq!(place.locked(), Some(Exclusive));
    place.release(new).unwrap();
    drop(place);
}

#[test]
fn bad_use_a_lock_may_be_moved_between_acquisition_and_release() {
    let here = lock();
    // The same with a queue.
    let guard = hold(&here, Exclusive);
    drop(Task::queued(here.acquire(Shared)));
    let handle = guard.into_handle();
    let mut there = Box::new(here);
    assert_eq!(there.locked(), Some(Exclusive));
    let mut other = lock();
    mem::swap(&mut *there, &mut other);
    let handle = there.release(handle).unwrap_err().into_handle();
    let mut task = Task::queued(other.acquire(Shared));
    other.release(handle).unwrap();
    drop(task.run().expect("woken"));
}

#[test]
fn bad_use_a_forgotten_guard_leaves_the_lock_held_and_nothing_else() {
    let lock = lock();
    mem::forget(hold(&lock, Shared));
    drop(hold(&lock, Shared));
    assert!(lock.try_acquire(Exclusive).is_none());
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    assert!(lock.acquire_blocking_timeout(Exclusive, Duration::from_millis(1)).is_none());
    drop(Task::queued(lock.acquire(Exclusive)));
    assert_eq!((lock.locked(), lock.snapshot().shared_holders()), (Some(Shared), 1));
    // The lock can be moved, and dropped.
    let moved = lock;
    assert_eq!(moved.locked(), Some(Shared));
}

/// Everything that a test forgets for good is reachable from here, so Miri reports no leak.
static FORGOTTEN: [AtomicPtr<()>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];

/// The forgotten future stays in the queue, and is a dormant waiter like any other. The lock may be
/// dropped before it: the node is not accessed any more.
#[test]
fn bad_use_a_forgotten_future_is_a_dormant_waiter() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    for (place, mode) in FORGOTTEN.iter().zip([Exclusive, Shared]) {
        let task = Task::queued(lock.acquire(mode));
        place.store(Box::into_raw(Box::new(task)).cast(), SeqCst);
    }
    let mut task = Task::queued(lock.acquire(Exclusive));
    drop(guard);
    drop(now(lock.acquire(Exclusive)));
    drop(now(lock.acquire(Shared)));
    drop(task.run().expect("woken at the latest now"));
    assert_eq!(lock.locked(), None);
    drop(task);
    drop(lock);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn bad_use_a_zero_timeout_is_one_try() {
    let lock = lock();
    for mode in Mode::ALL {
        drop(lock.acquire_blocking_timeout(mode, Duration::ZERO).expect("free"));
    }
    let _guard = hold(&lock, Shared);
    let word = lock.snapshot();
    assert!(lock.acquire_blocking_timeout(Exclusive, Duration::ZERO).is_none());
    assert!(lock.acquire_blocking_timeout(Shared, Duration::ZERO).is_some());
    assert_eq!(lock.snapshot(), word);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn bad_use_a_deadline_in_the_past_is_one_try() {
    let lock = lock();
    let past = Instant::now();
    while Instant::now() == past {
        thread::yield_now();
    }
    for mode in Mode::ALL {
        drop(lock.acquire_blocking_deadline(mode, past).expect("free"));
    }
    let _guard = hold(&lock, Shared);
    let word = lock.snapshot();
    assert!(lock.acquire_blocking_deadline(Exclusive, past).is_none());
    assert_eq!(lock.snapshot(), word);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn bad_use_the_longest_timeout_is_no_limit() {
    let lock = lock();
    drop(lock.acquire_blocking_timeout(Exclusive, Duration::MAX).unwrap());
    let guard = hold(&lock, Exclusive);
    thread::scope(|scope| {
        let blocked =
            scope.spawn(|| lock.acquire_blocking_timeout(Exclusive, Duration::MAX).is_some());
        until_awaited(&lock, Exclusive);
        drop(guard);
        assert!(blocked.join().unwrap());
    });
}

#[test]
#[cfg(panic = "unwind")]
fn bad_use_a_panic_inside_the_critical_section_releases() {
    let lock = lock();
    let mut waiter = None;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _guard = hold(&lock, Exclusive);
        waiter = Some(Task::queued(lock.acquire(Exclusive)));
        panic!("inside");
    }));
    assert_eq!(message(panic.unwrap_err()), "inside");
    drop(waiter.unwrap().run().expect("woken"));
    assert_idle(&lock);
}

#[test]
#[cfg(panic = "unwind")]
fn bad_use_downgrading_to_a_stronger_mode_panics_and_keeps_the_hold() {
    for (held, to) in [(Shared, Upgradable), (Shared, Exclusive), (Upgradable, Exclusive)] {
        let lock = lock();
        let mut guard = hold(&lock, held);
        let panic = catch_unwind(AssertUnwindSafe(|| guard.downgrade(to))).unwrap_err();
        assert_eq!(message(panic), format!("cannot downgrade from {held:?} to {to:?}"));
        assert_eq!((guard.mode(), lock.locked()), (held, Some(held)));
        guard.downgrade(held);
        drop(guard);
        assert_idle(&lock);
    }
}

#[test]
#[cfg(panic = "unwind")]
fn bad_use_a_future_that_is_done_says_so_and_panics_when_it_is_polled() {
    fn check<F: FusedFuture>(future: F) {
        let mut task = Task::new(future);
        assert!(!task.future().is_terminated());
        drop(task.finish());
        assert!(task.future().is_terminated());
        let panic = catch_unwind(AssertUnwindSafe(|| drop(task.poll()))).unwrap_err();
        assert_eq!(message(panic), "polled after it was ready");
        assert!(task.future().is_terminated());
    }
    let lock = Arc::new(lock());
    for mode in Mode::ALL {
        check(lock.acquire(mode));
        check(lock.acquire_arc(mode));
        check(lock.wait(mode));
        assert_idle(&lock);
    }
    let _guard = hold(&lock, Exclusive);
    assert!(!Task::queued(lock.acquire(Shared)).future().is_terminated());
}
