//! Cost (`x`).

use super::*;

#[test]
fn x1_uncontended_allocates_nothing() {
    let lock = Arc::new(lock());
    for mode in Mode::ALL {
        without_allocation(mode, || {
            drop(lock.try_acquire(mode).unwrap());
            drop(lock.try_acquire_arc(mode).unwrap());
            drop(now(lock.acquire(mode)));
            drop(now(lock.acquire_arc(mode)));
            drop(now(lock.acquire_or(mode, pending::<()>())).unwrap());
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            drop(lock.acquire_blocking(mode));
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            drop(lock.acquire_blocking_timeout(mode, LONG).unwrap());
            now(lock.wait(mode));
            let handle = hold(&lock, mode).into_handle();
            let mut guard = lock.adopt(handle).unwrap();
            now(guard.upgrade()).unwrap();
            guard.downgrade(Upgradable);
            drop(guard.share().unwrap());
            guard.try_upgrade().unwrap();
        });
    }
    assert_idle(&lock);
}

#[test]
fn x1_a_failed_try_allocates_nothing() {
    let lock = lock();
    let mut shared = [hold(&lock, Shared), hold(&lock, Shared)];
    let _upgradable = hold(&lock, Upgradable);
    without_allocation("tries", || {
        assert!(lock.try_acquire(Exclusive).is_none());
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        assert!(lock.acquire_blocking_timeout(Exclusive, Duration::ZERO).is_none());
        assert!(shared[0].try_upgrade().is_err());
        assert!(now(shared[0].upgrade()).is_err());
    });
}

#[test]
fn x2_what_a_lock_has_allocated_is_freed_with_it() {
    for mode in Mode::ALL {
        without_a_leak(mode, || {
            let lock = lock();
            let guard = hold(&lock, Exclusive);
            assert!(poll_once(lock.acquire(mode)).is_pending());
            drop(guard);
        });
    }
}

#[test]
fn x2_waiting_allocates_nothing_after_the_first_wait() {
    // More waiters than one batch wakes.
    const CROWD: usize = 20;
    let lock = Arc::new(lock());
    let wake = |alarm: &Arc<Alarm>, mode| {
        let waker = Waker::from(alarm.clone());
        let mut cx = Context::from_waker(&waker);
        let guard = hold(&lock, Exclusive);
        let mut crowd = [(); CROWD].map(|()| lock.acquire(mode));
        // SAFETY: the array does not move until it is dropped.
        let mut crowd = crowd.each_mut().map(|future| unsafe { Pin::new_unchecked(future) });
        let mut acquire_arc = pin!(lock.acquire_arc(mode));
        let mut acquire_or = pin!(lock.acquire_or(mode, pending::<()>()));
        let mut wait = pin!(lock.wait(mode));
        assert!(crowd.iter_mut().all(|future| future.as_mut().poll(&mut cx).is_pending()));
        assert!(acquire_arc.as_mut().poll(&mut cx).is_pending());
        assert!(acquire_or.as_mut().poll(&mut cx).is_pending());
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        drop(guard);
        for future in &mut crowd {
            let Poll::Ready(guard) = future.as_mut().poll(&mut cx) else { panic!("pending") };
            drop(guard);
        }
        assert!(acquire_arc.as_mut().poll(&mut cx).is_ready());
        assert!(acquire_or.as_mut().poll(&mut cx).is_ready());
        assert!(wait.as_mut().poll(&mut cx).is_ready());
    };
    let alarm = Arc::new(Alarm::default());
    let ((), first) = allocations(|| {
        let _guard = hold(&lock, Exclusive);
        assert!(poll_once(lock.acquire(Shared)).is_pending());
    });
    assert!(first > 0, "a lock that never allocates could make a stronger promise");
    for mode in Mode::ALL {
        without_allocation(mode, || wake(&alarm, mode));
    }
    assert_idle(&lock);
}

/// Firmware allocates the queue this way at boot, and not in an interrupt handler.
#[test]
fn x2_after_a_monitor_not_even_the_first_wait_allocates() {
    let lock = lock();
    let ((), first) = allocations(|| drop(lock.monitor(Shared)));
    assert!(first > 0, "the monitor allocates the queue");
    let mut guard = hold(&lock, Exclusive);
    without_allocation("waits", || {
        for mode in Mode::ALL {
            let mut acquire = pin!(lock.acquire(mode));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(acquire.as_mut().poll(&mut cx).is_pending());
        }
        guard.downgrade(Shared);
    });
}

#[test]
fn x2_an_upgrade_that_waits_allocates_nothing_after_the_first_wait() {
    let lock = lock();
    let upgrade = || {
        let (mut guard, shared) = (hold(&lock, Upgradable), hold(&lock, Shared));
        let mut cx = Context::from_waker(Waker::noop());
        let mut upgrade = pin!(guard.upgrade());
        assert!(upgrade.as_mut().poll(&mut cx).is_pending());
        drop(shared);
        assert!(upgrade.as_mut().poll(&mut cx).is_ready());
    };
    upgrade();
    without_allocation("upgrade", upgrade);
}

#[test]
fn x2_a_cancelled_wait_allocates_nothing_after_the_first_wait() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let cancel = || {
        for mode in Mode::ALL {
            assert!(poll_once(lock.acquire(mode)).is_pending());
            assert!(poll_once(lock.wait(mode)).is_pending());
        }
    };
    cancel();
    without_allocation("cancelled waits", cancel);
    drop(guard);
}

/// No operation searches the queue: neither to notify the next waiter nor to remove one. A scan would cost each of
/// ten thousand waiters a hundred times as much as each of a hundred.
#[test]
#[cfg(not(miri))]
fn ten_thousand_waiters_cost_as_much_each_as_a_hundred() {
    /// How the waiters end: after the exclusive holder released the lock, or before.
    type Ends = for<'a> fn(Vec<Task<Acquires<'a>>>, Guard<'a>);
    type Acquires<'a> = Pin<Box<dyn Future<Output = Guard<'a>> + 'a>>;
    let ends: [(Mode, Ends); 4] = [
        // One after another.
        (Exclusive, |tasks, guard| {
            drop(guard);
            tasks.into_iter().for_each(|mut task| drop(task.run().expect("woken")));
        }),
        // All at once.
        (Shared, |mut tasks, guard| {
            drop(guard);
            let guards: Vec<_> = tasks.iter_mut().map(|task| task.run().expect("woken")).collect();
            drop(guards);
        }),
        // All are cancelled, from the first to the last or from the last to the first.
        (Exclusive, |tasks, _guard| tasks.into_iter().for_each(drop)),
        (Shared, |tasks, _guard| tasks.into_iter().rev().for_each(drop)),
    ];
    for (number, (mode, end)) in ends.into_iter().enumerate() {
        let each = |count: u32| {
            let lock = lock();
            let guard = hold(&lock, Exclusive);
            let start = Instant::now();
            let acquire = |_| Task::queued(Box::pin(lock.acquire(mode)) as Acquires<'_>);
            end((0..count).map(acquire).collect(), guard);
            let each = start.elapsed() / count;
            assert_idle(&lock);
            each
        };
        // Another process may interrupt one measurement, but not all of them.
        let quickest = |count| (0..5).map(|_| each(count)).min().unwrap();
        let (few, many) = (quickest(100), quickest(10_000));
        assert!(
            many < 20 * few,
            "case {number}: {few:?} for each of a hundred, {many:?} for each of ten thousand"
        );
    }
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn x2_a_blocking_wait_allocates_nothing_after_the_first_of_its_thread() {
    const WAITS: usize = 3;
    let lock = lock();
    let locked = AtomicBool::new(false);
    let until = |value| {
        while locked.load(SeqCst) != value {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let blocked = scope.spawn(|| {
            [(); WAITS].map(|()| {
                let wait = |mode| {
                    until(true);
                    let guard = lock.acquire_blocking(mode);
                    locked.store(false, SeqCst);
                    drop(guard);
                };
                allocations(|| Mode::ALL.into_iter().for_each(wait)).1
            })
        });
        for _ in 0..WAITS {
            for mode in Mode::ALL {
                let guard = lock.acquire_blocking(Exclusive);
                locked.store(true, SeqCst);
                until_awaited(&lock, mode);
                drop(guard);
                until(false);
            }
        }
        assert_eq!(blocked.join().unwrap()[1..], [0, 0]);
    });
}

/// The thread allocates its parker, and so does each wait that a waker begins while the thread waits. On other
/// systems mutexes may allocate, too.
#[test]
#[cfg(all(feature = "std", target_os = "linux"))]
fn x2_the_first_blocking_wait_of_a_thread_allocates_once() {
    let lock = Arc::new(lock());
    let _guard = hold(&lock, Exclusive);
    let _monitor = lock.monitor(Shared);
    let theirs = lock.clone();
    let waits = move || {
        let timeout =
            || assert!(theirs.acquire_blocking_timeout(Shared, Duration::from_millis(1)).is_none());
        [(); 3].map(|()| allocations(timeout).1)
    };
    assert_eq!(thread::spawn(waits).join().unwrap(), [1, 0, 0]);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn x2_a_timeout_allocates_nothing_after_the_first_of_its_thread() {
    let lock = lock();
    let _guard = hold(&lock, Exclusive);
    let timeout =
        || assert!(lock.acquire_blocking_timeout(Shared, Duration::from_millis(1)).is_none());
    timeout();
    without_allocation("a timeout", timeout);
}
