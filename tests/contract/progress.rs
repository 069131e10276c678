//! Progress (`p`; `f`: while a woken waiter is not polled).

use super::*;

/// Two dormant waiters of any modes, one of them woken: no polled waiter waits for them.
#[test]
fn p1_a_polled_waiter_gets_a_free_lock_whatever_others_do() {
    for first in Mode::ALL {
        for second in Mode::ALL {
            for mode in Mode::ALL {
                let lock = lock();
                let guard = hold(&lock, Exclusive);
                let _dormant =
                    [Task::queued(lock.acquire(first)), Task::queued(lock.acquire(second))];
                let mut polled = Task::queued(lock.acquire(mode));
                drop(guard);
                assert!(polled.poll().is_ready(), "{first:?}, {second:?}, {mode:?}");
            }
        }
    }
}

/// As above, but one of the dormant waiters was overtaken: a newcomer may defer to it, but for one poll at
/// most.
#[test]
fn p1_an_overtaken_waiter_that_sleeps_costs_a_newcomer_one_poll() {
    for dormant in Mode::ALL {
        for mode in Mode::ALL {
            let lock = lock();
            let guard = hold(&lock, Exclusive);
            let mut dormant = Task::queued(lock.acquire(dormant));
            drop(guard);
            let overtaker = hold(&lock, Exclusive);
            dormant.waits();
            drop(overtaker);
            let mut newcomer = Task::new(lock.acquire(mode));
            newcomer.waits();
            assert!(newcomer.woken(), "no other task will wake it");
            drop(newcomer.finish());
        }
    }
}

#[test]
fn f1_a_fresh_acquire_in_the_same_task_succeeds() {
    for first in Mode::ALL {
        for mode in Mode::ALL {
            let lock = lock();
            let mut first = dormant(&lock, first);
            // In the same task: with the same waker, while the first future is alive.
            let guard = now(lock.acquire(mode));
            drop(guard);
            drop(first.finish());
        }
    }
}

#[test]
fn f2_a_second_waiter_that_is_polled_succeeds() {
    for first in Mode::ALL {
        for second in Mode::ALL {
            let lock = lock();
            let guard = hold(&lock, Exclusive);
            let _dormant = Task::queued(lock.acquire(first));
            let mut second = Task::queued(lock.acquire(second));
            drop(guard);
            drop(second.finish());
            assert_eq!(second.polls(), 2);
        }
    }
}

/// An implementation that assumes that a woken waiter will enter wakes no other waiter here.
#[test]
fn f2_prime_second_waiter_is_woken_by_the_next_release() {
    for first in Mode::ALL {
        for second in Mode::ALL {
            for between in Mode::ALL {
                let lock = lock();
                let guard = hold(&lock, Exclusive);
                let _dormant = Task::queued(lock.acquire(first));
                let mut second = Task::queued(lock.acquire(second));
                drop(guard);
                drop(hold(&lock, between));
                assert!(second.woken(), "{first:?}, {between:?}");
                drop(second.finish());
            }
        }
    }
}

/// The dormant waiter was overtaken before, so it is woken first.
#[test]
fn f2_prime_also_behind_an_overtaken_waiter() {
    for mode in Mode::ALL {
        let lock = lock();
        let mut first = dormant(&lock, Exclusive);
        let overtaker = hold(&lock, Exclusive);
        first.waits();
        let second = Task::queued(lock.acquire(mode));
        drop(overtaker);
        drop(hold(&lock, Shared));
        assert!(second.woken(), "{mode:?}");
    }
}

/// Beside shared holders, where a release can admit a waiter without freeing the lock.
#[test]
fn f2_prime_also_for_upgradable_waiters_beside_shared_holders() {
    let lock = lock();
    let (one, _another) = (hold(&lock, Shared), hold(&lock, Shared));
    let guard = hold(&lock, Upgradable);
    let tasks = [(); 2].map(|()| Task::queued(lock.acquire(Upgradable)));
    drop(guard);
    assert_eq!(woken(&tasks), [true, false]);
    drop(one);
    assert_eq!(woken(&tasks), [true, true]);
}

#[test]
fn f3_all_waiting_shared_are_woken_together() {
    const CROWD: usize = 50;
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut crowd: Vec<_> = (0..CROWD).map(|_| Task::queued(lock.acquire(Shared))).collect();
    drop(guard);
    // No waiter has been polled: none of them wakes another.
    assert!(crowd.iter().all(|task| task.wakes() == 1));
    let guards: Vec<_> = crowd.iter_mut().rev().map(Task::finish).collect();
    assert_eq!(lock.snapshot().shared_holders(), CROWD);
    drop(guards);
    assert!(crowd.iter().all(|task| task.wakes() == 1 && task.polls() == 2));
}

/// Waits behind a writer, and makes another one wait each time that one is woken.
fn join(lock: &Arc<MultiLock>, joined: &Arc<Mutex<Joined>>) {
    let waker = Hooks {
        on_wake: {
            let (lock, joined) = (lock.clone(), joined.clone());
            Box::new(move || join(&lock, &joined))
        },
        ..Hooks::default()
    }
    .waker();
    let mut newcomer = Task::new(Box::pin(lock.acquire_arc(Shared)) as Pin<Box<dyn Wait>>);
    assert!(newcomer.poll_with(&waker).is_pending());
    let mut joined = joined.lock().unwrap();
    assert!(joined.len() < 100, "a release does not end");
    joined.push(newcomer);
}

type Joined = Vec<Task<Pin<Box<dyn Wait>>>>;
trait Wait: Future<Output = GuardArc> + Send {}
impl<F: Future<Output = GuardArc> + Send> Wait for F {}

/// A reader enters while the others are woken, and newcomers join behind the writer. A release knows
/// by the last waiter where to stop, and if that one leaves meanwhile, by their number.
#[test]
fn f3_all_waiting_shared_are_woken_though_others_join_and_leave_meanwhile() {
    for leaves in [false, true] {
        let lock = Arc::new(lock());
        let guard = hold(&lock, Exclusive);
        let writer = Task::queued(lock.acquire(Exclusive));
        // Its memory stays, so no newcomer is at the same address.
        let last = Arc::new(Mutex::new(Box::pin(None)));
        let (reader, joined) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
        let waker = Hooks {
            on_wake: {
                let (lock, last) = (lock.clone(), last.clone());
                let (reader, joined) = (reader.clone(), joined.clone());
                Box::new(move || {
                    *reader.lock().unwrap() = lock.try_acquire_arc(Shared);
                    if leaves {
                        last.lock().unwrap().as_mut().set(None);
                    }
                    // More than a batch.
                    (0..10).for_each(|_| join(&lock, &joined));
                })
            },
            ..Hooks::default()
        }
        .waker();
        let mut first = Task::new(lock.acquire(Shared));
        assert!(first.poll_with(&waker).is_pending());
        let mut crowd: Vec<_> = (0..20).map(|_| Task::queued(lock.acquire(Shared))).collect();
        {
            let mut last = last.lock().unwrap();
            last.set(Some(lock.acquire_arc(Shared)));
            assert!(poll_once(last.as_mut().as_pin_mut().unwrap()).is_pending());
        }
        drop(guard);
        assert!(crowd.iter().all(|task| task.wakes() == 1));
        assert!(leaves || joined.lock().unwrap().len() == 10, "a newcomer was woken");
        joined.lock().unwrap().clear();
        drop((crowd.iter_mut().map(Task::finish).collect::<Vec<_>>(), first.finish(), writer));
    }
}

#[test]
fn f4_a_newcomer_barges_past_a_dormant_exclusive_waiter() {
    for mode in Mode::ALL {
        let lock = lock();
        let shared = hold(&lock, Shared);
        let _dormant = Task::queued(lock.acquire(Exclusive));
        drop(shared);
        drop(hold(&lock, mode));
        drop(now(lock.acquire(mode)));
    }
}

#[test]
fn p2_the_last_holder_wakes_a_waiter_that_fits() {
    for held in Mode::ALL {
        for mode in Mode::ALL {
            let lock = lock();
            let holders = [hold(&lock, held)];
            if poll_once(lock.acquire(mode)).is_ready() {
                continue;
            }
            let mut task = Task::queued(lock.acquire(mode));
            drop(holders);
            assert_eq!(task.wakes(), 1, "{held:?}, {mode:?}");
            drop(task.finish());
        }
    }
}

#[test]
fn p2_the_last_of_many_holders_wakes_a_remaining_waiter() {
    let lock = lock();
    let holders = [hold(&lock, Shared), hold(&lock, Upgradable), hold(&lock, Shared)];
    let mut exclusive = Task::queued(lock.acquire(Exclusive));
    let mut shared = Task::queued(lock.acquire(Shared));
    drop(holders);
    drop(exclusive.run().expect("exclusive"));
    drop(shared.run().expect("shared"));
    assert_idle(&lock);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn p2_a_blocked_thread_is_woken() {
    for mode in Mode::ALL {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        thread::scope(|scope| {
            let blocked = scope.spawn(|| lock.acquire_blocking(mode).mode());
            until_awaited(&lock, mode);
            drop(guard);
            assert_eq!(blocked.join().unwrap(), mode);
        });
        assert_idle(&lock);
    }
}

#[test]
fn p3_k_shared_and_one_exclusive_cost_2k_plus_2_polls() {
    for k in (1..=40).step_by(if cfg!(miri) { 13 } else { 1 }) {
        // The exclusive waiter comes first, in the middle, or last.
        for place in [0, k / 2, k] {
            let lock = lock();
            let guard = hold(&lock, Exclusive);
            let mut tasks: Vec<_> = (0..=k)
                .map(|i| Task::queued(lock.acquire(if i == place { Exclusive } else { Shared })))
                .collect();
            drop(guard);
            // The loop polls only woken tasks until all are done. A guard is held for one round.
            let mut done = 0;
            while done <= k {
                let guards: Vec<_> = tasks.iter_mut().filter_map(Task::run).collect();
                assert!(!guards.is_empty(), "stuck");
                done += guards.len();
            }
            assert_eq!(tasks.iter().map(Task::polls).sum::<usize>(), 2 * k + 2);
            assert_eq!(tasks.iter().map(Task::wakes).sum::<usize>(), k + 1);
            assert_idle(&lock);
        }
    }
}

#[test]
fn p3_a_release_that_admits_no_waiter_wakes_none() {
    let lock = lock();
    let mut holders = vec![
        hold(&lock, Shared),
        hold(&lock, Upgradable),
        hold(&lock, Shared),
        hold(&lock, Shared),
    ];
    let tasks = [
        Task::queued(lock.acquire(Exclusive)),
        Task::queued(lock.acquire(Shared)),
        Task::queued(lock.acquire(Upgradable)),
    ];
    while holders.len() > 1 {
        drop(holders.remove(0));
        assert_eq!(woken(&tasks), [false; 3]);
    }
    drop(holders);
    assert_eq!(woken(&tasks), [true, false, false]);
}

/// Each waiter of a crowd is polled inside its waker, one by one, and finds the lock held. Each is woken once,
/// and not again although it was queued again in the meantime.
#[test]
fn p3_a_waiter_queued_again_while_a_crowd_is_woken_is_not_woken_again() {
    for crowd in [1, 8, 9, 20] {
        let lock = Arc::new(lock());
        let guard = lock.try_acquire_arc(Exclusive).unwrap();
        let thief = Arc::new(Mutex::new(None));
        let polls: Vec<_> = (0..crowd).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        for polls in &polls {
            let (lock, thief, polls) = (lock.clone(), thief.clone(), polls.clone());
            Inline::spawn(async move {
                let mut acquire = pin!(lock.acquire(Shared));
                let entered = poll_fn(|cx| {
                    // From the second poll on the lock is held again. If the waiter were woken forever, it
                    // would never be polled for the last time.
                    match polls.fetch_add(1, SeqCst) {
                        0 => {}
                        1..3 => {
                            let mut thief = thief.lock().unwrap();
                            *thief = thief.take().or_else(|| lock.try_acquire_arc(Exclusive));
                        }
                        _ => return Poll::Ready(None),
                    }
                    acquire.as_mut().poll(cx).map(Some)
                });
                drop(entered.await);
            });
        }
        drop(guard);
        for count in [2, 3, 4] {
            let polls: Vec<_> = polls.iter().map(|polls| polls.load(SeqCst)).collect();
            assert_eq!(polls, vec![count; crowd]);
            let hold = thief.lock().unwrap().take();
            assert_eq!(hold.is_some(), count < 4);
        }
        // All tasks have ended.
        assert_eq!((Arc::strong_count(&lock), lock.snapshot()), (1, MultiLock::new().snapshot()));
    }
}

#[test]
fn p3_a_downgrade_that_admits_no_waiter_wakes_none() {
    let lock = lock();
    let mut guard = hold(&lock, Upgradable);
    let tasks = [
        Task::queued(lock.acquire(Exclusive)),
        Task::queued(lock.acquire(Shared)),
        Task::queued(lock.acquire(Upgradable)),
    ];
    guard.downgrade(Shared);
    assert_eq!(woken(&tasks), [false; 3]);
}

#[test]
fn p3_one_upgradable_waiter_is_woken_at_a_time() {
    let lock = lock();
    let guard = hold(&lock, Upgradable);
    let mut tasks: Vec<_> = (0..3).map(|_| Task::queued(lock.acquire(Upgradable))).collect();
    drop(guard);
    for next in 0..3 {
        let guard = tasks[next].run().expect("first come, first served");
        drop(guard);
        let wakes = tasks.iter().map(Task::wakes);
        assert!(wakes.eq((0..3).map(|i| usize::from(i <= next + 1))));
    }
}

#[test]
fn p3_a_shared_release_that_leaves_others_wakes_no_monitor() {
    let lock = lock();
    let (first, second) = (hold(&lock, Shared), hold(&lock, Shared));
    let monitor = Task::queued(lock.wait(Exclusive));
    drop(first);
    assert!(!monitor.woken());
    drop(second);
    assert_eq!(monitor.wakes(), 1);
}

/// A monitor waits for a free lock, and a release leaves other holders.
#[test]
fn p3_a_release_that_admits_no_waiter_wakes_no_monitor() {
    let lock = lock();
    let (shared, upgradable) = (hold(&lock, Shared), hold(&lock, Upgradable));
    let monitor = Task::queued(lock.wait(Exclusive));
    drop(upgradable);
    assert!(!monitor.woken());
    drop(shared);
    assert!(monitor.woken());
}

/// Of two overtaken waiters, one can enter.
#[test]
fn p3_one_overtaken_exclusive_waiter_is_woken_at_a_time() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut tasks = [Task::queued(lock.acquire(Exclusive)), Task::queued(lock.acquire(Exclusive))];
    // Twice a release wakes one waiter, and a newcomer barges in.
    drop(guard);
    drop(hold(&lock, Exclusive));
    let overtaker = hold(&lock, Exclusive);
    tasks.iter_mut().for_each(Task::waits);
    drop(overtaker);
    assert_eq!(woken(&tasks), [true, false]);
    drop(tasks[0].finish());
    drop(tasks[1].run().expect("woken by the first"));
}

/// The end of a shared acquisition lets an upgrade proceed, and admits no waiter.
#[test]
fn p3_an_overtaken_waiter_is_not_woken_for_an_upgrade() {
    let lock = lock();
    let mut overtaken = dormant(&lock, Exclusive);
    let mut guard = hold(&lock, Upgradable);
    let shared = guard.share().unwrap();
    overtaken.waits();
    let upgrade = Task::queued(guard.upgrade());
    drop(shared);
    assert!(upgrade.woken());
    assert!(!overtaken.woken());
}
