//! Several locks as one, by hand-polled tasks.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]
#![cfg_attr(
    target_family = "wasm",
    allow(unused_imports, dead_code, reason = "no threads, no unwinding")
)]

#[path = "support/random.rs"]
mod random;
mod support;

use std::collections::VecDeque;
use std::future::{Future, poll_fn, ready};
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
#[cfg(feature = "std")]
use std::time::{Duration, Instant};

use Mode::{Exclusive, Shared, Upgradable};
use multilock::{
    AllGuard, Guard, LockGuard, LockSet, Lockable, Mode, MultiLock, SetGuard, acquire_all,
    try_acquire_all,
};
use random::{Choices, Random};
#[cfg(feature = "std")]
use support::Hooks;
use support::{
    Alarm, Counting, Task, allocations, assert_all_idle, assert_idle, hold, locks, message, modes,
    now, poll_once, without_allocation,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Set<'a> = LockSet<&'a MultiLock>;

fn set<'a>(locks: impl IntoIterator<Item = &'a MultiLock>) -> Set<'a> {
    locks.into_iter().collect()
}

// ----------------------------------------------------------------------------------- All or nothing

#[test]
fn sets_are_acquired_whole_or_not_at_all() {
    for wanted in Mode::ALL {
        for held in Mode::ALL {
            for barred in 0..3 {
                let locks = locks::<3>();
                let set = set(&locks);
                let guard = hold(&locks[barred], held);
                let acquired = set.try_acquire(wanted);
                assert_eq!(acquired.is_some(), !wanted.excludes(held));
                if let Some(acquired) = acquired {
                    assert_eq!(acquired.mode(), wanted);
                    drop(guard);
                    assert_eq!(modes(&locks), [Some(wanted); 3]);
                    continue;
                }
                let mut expected = [None; 3];
                expected[barred] = Some(held);
                assert_eq!(modes(&locks), expected);
                drop(guard);
                assert_all_idle(&locks);
            }
        }
    }
}

/// The bug of the original: when the last of several locks could not be acquired, only one of the already acquired ones was
/// released. Here all are checked beforehand, so it takes a waker to interfere in between.
#[test]
#[cfg(not(target_family = "wasm"))]
fn seed_a_failed_try_releases_all_that_it_had_acquired() {
    // Another thread acquires and releases the last of four locks.
    let locks = Arc::new(locks::<4>());
    let stop = Arc::new(AtomicBool::new(false));
    let passer_by = {
        let (locks, stop) = (locks.clone(), stop.clone());
        std::thread::spawn(move || {
            let last = locks.iter().max_by_key(|lock| std::ptr::from_ref(*lock).addr()).unwrap();
            while !stop.load(SeqCst) {
                drop(last.try_acquire(Exclusive));
            }
        })
    };
    let set = set(locks.iter());
    let (mut acquired, mut failed) = (0, 0);
    let enough = if cfg!(miri) { 20 } else { 50_000 };
    while acquired < enough || failed < enough / 100 {
        match set.try_acquire(Exclusive) {
            Some(guard) => {
                acquired += 1;
                drop(guard);
            }
            None => failed += 1,
        }
        assert!(locks[..].iter().filter(|lock| lock.locked().is_some()).count() <= 1);
    }
    stop.store(true, SeqCst);
    passer_by.join().unwrap();
    assert_all_idle(locks.iter());
}

#[test]
fn sets_hold_nothing_while_they_wait() {
    for mode in Mode::ALL {
        for barred in 0..3 {
            let locks = locks::<3>();
            let set = set(&locks);
            let guard = hold(&locks[barred], Exclusive);
            let mut task = Task::queued(set.acquire(mode));
            for (n, lock) in locks.iter().enumerate() {
                assert_eq!(lock.locked().is_some(), n == barred);
                assert_eq!(lock.try_acquire(Exclusive).is_some(), n != barred);
            }
            drop(guard);
            let guard = task.run().unwrap();
            assert_eq!(modes(&locks), [Some(mode); 3]);
            drop(guard);
            assert_all_idle(&locks);
        }
    }
}

#[test]
fn sets_wait_for_one_member_after_the_other() {
    let locks = locks::<3>();
    let set = set(&locks);
    let mut guards: Vec<_> = locks.iter().map(|lock| hold(lock, Exclusive)).collect();
    let mut task = Task::queued(set.acquire(Shared));
    while let Some(guard) = guards.pop() {
        let modes_before = modes(&locks);
        drop(guard);
        let acquired = task.run();
        assert_eq!(acquired.is_some(), guards.is_empty());
        if acquired.is_none() {
            let held = modes_before.iter().filter(|mode| mode.is_some()).count();
            assert_eq!(modes(&locks).iter().filter(|mode| mode.is_some()).count(), held - 1);
        }
    }
    // The set waits for the first member that it finds held; releases of the others do not wake it.
    assert!(task.polls() <= 4, "{}", task.polls());
}

#[test]
fn p3_a_set_is_woken_by_the_member_that_is_in_the_way() {
    let locks = locks::<2>();
    let set = set(&locks);
    let mut in_order = set.locks();
    let (first, second) = (in_order.next().unwrap(), in_order.next().unwrap());
    let guards = (hold(first, Exclusive), hold(second, Exclusive));
    let mut task = Task::queued(set.acquire(Exclusive));
    drop(guards.1);
    assert_eq!(task.wakes(), 0);
    drop(guards.0);
    assert_eq!(task.wakes(), 1);
    drop(task.run().unwrap());
    assert_eq!(task.polls(), 2);
}

#[test]
fn sets_count_a_lock_that_is_named_twice_once() {
    let locks = locks::<2>();
    let [a, b] = &locks;
    let set = set([a, b, a, a, b]);
    assert_eq!(set.len(), 2);
    for mode in Mode::ALL {
        let guard = set.try_acquire(mode).unwrap();
        assert_eq!(a.snapshot().shared_holders(), usize::from(mode == Shared));
        drop(guard);
    }
    drop(now(set.acquire(Exclusive)));
    assert_all_idle(&locks);
}

#[test]
fn bad_use_an_empty_set_can_always_be_acquired() {
    let set = Set::default();
    assert!(set.is_empty());
    assert_eq!((set.len(), set.locked()), (0, None));
    let guards = (set.try_acquire(Exclusive).unwrap(), now(set.acquire(Exclusive)));
    now(set.wait(Exclusive));
    let monitor = set.monitor(Exclusive);
    assert!(monitor.is_set());
    monitor.clear();
    assert!(!monitor.is_set());
    assert!(poll_once(monitor.wait()).is_pending());
    let handle = guards.0.into_handle();
    set.release(handle).unwrap();
    assert!(try_acquire_all::<[(&MultiLock, Mode); 0]>([]).is_some());
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    assert!(set.acquire_blocking_timeout(Exclusive, Duration::ZERO).is_some());
}

/// Two tasks name the same locks in opposite orders, and each holds them across polls.
#[test]
fn sets_may_be_named_in_any_order() {
    let locks = locks::<4>();
    let forwards = set(&locks);
    let backwards = set(locks.iter().rev());
    assert!(forwards.locks().map(std::ptr::from_ref).eq(backwards.locks().map(std::ptr::from_ref)));
    let guard = now(forwards.acquire(Exclusive));
    let mut task = Task::queued(backwards.acquire(Exclusive));
    let mut next = Task::queued(forwards.acquire(Exclusive));
    drop(guard);
    drop(task.run().unwrap());
    drop(next.run().unwrap());
    assert_all_idle(&locks);
}

/// A set that is polled while the lock where it waits is free may try again at its next poll, and stays queued.
#[test]
fn sets_are_woken_by_the_waker_of_their_last_poll() {
    let locks = locks::<2>();
    let set = set(&locks);
    let second = hold(&locks[1], Exclusive);
    let mut writer = Task::queued(locks[1].acquire(Exclusive));
    let mut both = Task::queued(set.acquire(Exclusive));
    let first = hold(&locks[0], Exclusive);
    drop(second);
    assert!(writer.woken() && !both.woken());
    let last = Arc::new(Alarm::default());
    assert!(both.poll_with(&last.clone().into()).is_pending());
    assert_eq!(last.wakes(), 1);
    drop(writer.finish());
    assert_eq!((both.wakes(), last.wakes()), (0, 2));
    drop(first);
    drop(both.finish());
    assert_all_idle(&locks);
}

#[test]
fn sets_show_the_strongest_mode() {
    let locks = locks::<3>();
    let set = set(&locks);
    assert_eq!(set.locked(), None);
    let shared = hold(&locks[0], Shared);
    assert_eq!(set.locked(), Some(Shared));
    let upgradable = hold(&locks[1], Upgradable);
    assert_eq!(set.locked(), Some(Upgradable));
    let exclusive = hold(&locks[2], Exclusive);
    assert_eq!(set.locked(), Some(Exclusive));
    drop((shared, upgradable, exclusive));
    assert!(format!("{set:?}").contains("mode: None"));
    assert_eq!(format!("{:?}", set.try_acquire(Shared).unwrap()), "SetGuard { mode: Shared, .. }");
}

#[test]
fn sets_are_made_of_locks_references_arcs_and_sets() {
    let owned: LockSet<MultiLock> = locks::<3>().into_iter().collect();
    let all = owned.try_acquire(Exclusive).unwrap();
    assert!(owned.locks().all(|lock| lock.locked() == Some(Exclusive)));
    // The guard may be moved, as nothing borrows it.
    let handle = all.into_handle();
    let owned = Box::new(owned);
    owned.release(handle).unwrap();

    let arcs: LockSet<Arc<MultiLock>> = locks::<2>().map(Arc::new).into_iter().collect();
    let nested: LockSet<&LockSet<Arc<MultiLock>>> = [&arcs, &arcs].into_iter().collect();
    assert_eq!(nested.len(), 2);
    let shared = Arc::new(arcs);
    let of_arcs: LockSet<Arc<LockSet<Arc<MultiLock>>>> = [shared.clone()].into_iter().collect();
    let deep: LockSet<LockSet<Arc<LockSet<Arc<MultiLock>>>>> =
        [of_arcs.clone(), of_arcs].into_iter().collect();
    assert_eq!(deep.len(), 2);

    let guard = deep.try_acquire(Exclusive).unwrap();
    assert!(shared.locks().all(|lock| lock.locked() == Some(Exclusive)));
    assert!(shared.try_acquire(Shared).is_none());
    drop(guard);
    assert_all_idle(shared.locks());

    // From a lock and a set, by their locks.
    let (one, some) = (MultiLock::new(), locks::<2>());
    let pair = set(&some);
    let both: Set<'_> = pair.locks().chain([&one, &some[0]]).collect();
    assert_eq!(both.len(), 3);
}

/// Whatever the order, the types of the members, and the state of the locks.
#[test]
fn sets_are_equal_if_they_contain_the_same_locks() {
    let arcs = locks::<4>().map(Arc::new);
    let all: Set<'_> = arcs.iter().map(|lock| &**lock).collect();
    let backwards: LockSet<Arc<MultiLock>> = arcs.iter().rev().cloned().collect();
    let halves: [Set<'_>; 2] = [set([&*arcs[3], &arcs[0], &arcs[3]]), set([&*arcs[1], &arcs[2]])];
    let nested: LockSet<&Set<'_>> = halves.iter().collect();
    let _guard = halves[0].try_acquire(Exclusive);
    assert_eq!(all, backwards);
    assert_eq!(backwards, nested);
    assert_eq!(all, all.clone());
    assert_eq!(Set::default(), LockSet::<MultiLock>::default());

    // Fewer locks, more locks, and as many others.
    assert_ne!(all, halves[0]);
    assert_ne!(halves[0], all);
    assert_ne!(halves[0], halves[1]);
    let (owned, other): (LockSet<MultiLock>, LockSet<MultiLock>) =
        (locks::<4>().into_iter().collect(), locks::<4>().into_iter().collect());
    assert_ne!(owned, other);
    assert_ne!(all, owned);

    let hasher = RandomState::new();
    let hash = hasher.hash_one(&all);
    assert_eq!([hasher.hash_one(&backwards), hasher.hash_one(&nested)], [hash; 2]);
    assert_ne!(hasher.hash_one(&halves[0]), hasher.hash_one(&halves[1]));
    // The locks of a set that is moved stay in their places.
    let hash = hasher.hash_one(&owned);
    assert_eq!(hasher.hash_one(Box::new(owned)), hash);
}

#[test]
fn sets_contain_the_locks_of_their_members() {
    let locks = locks::<6>();
    for wanted in 0..1 << locks.len() {
        let wanted = |n: &usize| wanted & 1 << n != 0;
        let flat = set((0..locks.len()).rev().filter(wanted).map(|n| &locks[n]));
        let in_pairs: Vec<&MultiLock> = flat.locks().collect();
        let nested: LockSet<Set<'_>> =
            in_pairs.chunks(2).map(|pair| set(pair.iter().copied())).collect();
        for (n, lock) in locks.iter().enumerate() {
            assert_eq!(flat.contains(lock), wanted(&n));
            assert_eq!(nested.contains(lock), wanted(&n));
        }
    }
}

// -------------------------------------------------------------------------------- Progress, members

/// A set that is not polled, in whatever state, keeps no waiter from a free lock for longer than one poll, or, at each member
/// that it reserved after it was turned away, for one bounded moment.
#[test]
fn p1_a_dormant_set_blocks_no_waiter() {
    for mode in Mode::ALL {
        for turned_away in [false, true] {
            for newcomer in Mode::ALL {
                let locks = locks::<2>();
                let set = set(&locks);
                let guard = hold(&locks[1], Exclusive);
                let mut dormant = Task::queued(set.acquire(mode));
                drop(guard);
                if turned_away {
                    turn_away(&mut dormant, &set);
                }
                for lock in &locks {
                    assert!(lock.try_acquire(newcomer).is_some());
                    let mut task = Task::new(lock.acquire(newcomer));
                    let (guard, polls) = run_until_ready(&mut task);
                    assert!(turned_away || polls <= 2, "the waiter enters at its second poll");
                    let mut behind = Task::queued(lock.acquire(Exclusive));
                    drop(guard);
                    // Woken by this release, or by the next.
                    if !behind.woken() {
                        drop(hold(lock, Exclusive));
                    }
                    assert!(behind.woken());
                    // Shared newcomers do not defer to a shared set.
                    let (guard, polls) = run_until_ready(&mut behind);
                    assert!(turned_away && !mode.excludes(newcomer) || polls == 1);
                    drop(guard);
                }
                drop(dormant);
                assert_all_idle(&locks);
            }
        }
    }
}

/// Polls a task whenever it is woken, until it is ready. Returns the number of polls, too.
fn run_until_ready<F: Future>(task: &mut Task<F>) -> (F::Output, usize) {
    for polls in 1.. {
        match task.poll() {
            Poll::Ready(output) => return (output, polls),
            Poll::Pending => assert!(task.woken(), "it tries again"),
        }
    }
    unreachable!()
}

fn poll_until_it_sleeps<F: Future>(task: &mut Task<F>) {
    while task.woken() {
        task.waits();
    }
}

/// The task that waits for a set of two locks is woken at one of them and finds the other held, again and again: it is turned
/// away until it has reserved the first. At the end both locks are free, and the set has not entered.
fn turn_away<F: Future>(task: &mut Task<F>, set: &Set<'_>) {
    let [first, second] = [0, 1].map(|n| set.locks().nth(n).unwrap());
    for _ in 0..12 {
        for lock in [first, second] {
            let guard = hold(lock, Exclusive);
            poll_until_it_sleeps(task);
            drop(guard);
        }
    }
    let overtaken = |lock: &MultiLock| format!("{lock:?}").contains("overtaken: true");
    assert!(overtaken(first) && overtaken(second), "it was not turned away: {set:?}");
}

#[test]
fn p2_a_set_that_is_turned_away_passes_its_wake_up_on() {
    let locks = locks::<2>();
    let set = set(&locks);
    let [first, second] = [0, 1].map(|n| set.locks().nth(n).unwrap());
    let guard = hold(first, Exclusive);
    let mut task = Task::queued(set.acquire(Exclusive));
    let mut next = Task::queued(first.acquire(Exclusive));
    let mut shared = Task::queued(first.acquire(Shared));
    let other = hold(second, Exclusive);
    drop(guard);
    drop(shared.run().unwrap());
    assert!(task.woken() && !next.woken());
    poll_until_it_sleeps(&mut task);
    drop(next.run().unwrap());
    drop(other);
    drop(task.run().unwrap());
    assert_all_idle(&locks);
}

/// While other tasks contend for one member only, the set acquires it as a waiter of that member would.
#[test]
fn q3_newcomers_to_one_member_keep_a_set_out_once() {
    let locks = locks::<3>();
    let set = set(&locks);
    for lock in &locks {
        let guard = hold(lock, Exclusive);
        let mut task = Task::queued(set.acquire(Exclusive));
        drop(guard);
        let mut newcomer = Task::new(lock.acquire(Exclusive));
        let guard = newcomer.finish();
        task.waits();
        drop(guard);
        // The set was overtaken once. From now on newcomers yield one poll.
        let mut newcomer = Task::queued(lock.acquire(Exclusive));
        let guard = task.run().unwrap();
        newcomer.waits();
        drop(guard);
        drop(newcomer.run().unwrap());
    }
    assert_all_idle(&locks);
}

/// A set that was woken at one member defers to waiters that were overtaken at another.
#[test]
fn q3_a_set_defers_to_waiters_overtaken_at_another_member() {
    for mode in Mode::ALL {
        let locks = locks::<2>();
        let set = set(&locks);
        let [first, second] = [0, 1].map(|n| set.locks().nth(n).unwrap());
        let mut guard = set.try_acquire(Exclusive).unwrap();
        let mut single = Task::queued(second.acquire(mode));
        let mut rounds = 0;
        loop {
            let mut next = Task::queued(set.acquire(Exclusive));
            drop(guard);
            assert!(single.woken() && next.woken());
            match next.run() {
                // The set is polled first, and overtakes the single waiter.
                Some(acquired) => guard = acquired,
                None => {
                    drop(single.run().expect("it is its turn"));
                    break drop(next.run().unwrap());
                }
            }
            assert!(single.run().is_none());
            rounds += 1;
            assert!(rounds < 3, "overtaken again and again");
        }
        assert!(first.snapshot() == second.snapshot());
        assert_all_idle(&locks);
    }
}

/// A newly created set does so, too.
#[test]
fn q3_a_new_set_defers_to_waiters_overtaken_at_a_member() {
    let locks = locks::<2>();
    let set = set(&locks);
    let guard = hold(&locks[1], Exclusive);
    let mut single = Task::queued(locks[1].acquire(Exclusive));
    drop(guard);
    let guard = hold(&locks[1], Exclusive);
    single.waits();
    drop(guard);
    let mut new = Task::queued(set.acquire(Exclusive));
    drop(single.run().unwrap());
    drop(new.run().unwrap());
    assert_all_idle(&locks);
}

/// A set that was woken as one of the shared waiters enters beside the others, even if an exclusive waiter is queued.
#[test]
fn q2_a_shared_set_enters_with_the_other_shared_waiters() {
    let locks = locks::<2>();
    let set = set(&locks);
    let guard = hold(&locks[0], Exclusive);
    let mut other = Task::queued(locks[0].acquire(Shared));
    let mut task = Task::queued(set.acquire(Shared));
    let exclusive = Task::queued(locks[0].acquire(Exclusive));
    drop(guard);
    let other = other.run().unwrap();
    let acquired = task.run().unwrap();
    assert_eq!(locks[0].snapshot().shared_holders(), 2);
    drop((other, acquired, exclusive));
    assert_all_idle(&locks);
}

/// The other members do not show that the set was tried.
#[test]
fn sets_leave_members_alone_if_another_is_in_the_way() {
    let locks = locks::<3>();
    let set = set(&locks);
    for barred in 0..3 {
        let guard = hold(&locks[barred], Exclusive);
        let monitors = locks.each_ref().map(|lock| lock.monitor(Exclusive));
        monitors.iter().for_each(multilock::Monitor::clear);
        assert!(set.try_acquire(Exclusive).is_none());
        drop(Task::queued(set.acquire(Exclusive)));
        assert!(monitors.iter().all(|monitor| !monitor.is_set()));
        drop(guard);
    }
}

/// All members are released before a waiter is woken. So a waiter for the same set, or for a part of it, finds them free even
/// if it is polled inside its waker.
#[test]
fn p3_a_set_is_released_before_a_waiter_is_woken() {
    let locks: Arc<LockSet<MultiLock>> = Arc::new(locks::<3>().into_iter().collect());
    let guard = locks.try_acquire(Exclusive).unwrap();
    let polls = Arc::new(AtomicUsize::new(0));
    let task = {
        let (locks, polls) = (locks.clone(), polls.clone());
        async move {
            let mut acquire = std::pin::pin!(locks.acquire(Exclusive));
            let guard = poll_fn(|cx| {
                polls.fetch_add(1, SeqCst);
                acquire.as_mut().poll(cx)
            });
            drop(guard.await);
        }
    };
    support::Inline::spawn(task);
    drop(guard);
    assert_eq!(polls.load(SeqCst), 2);
    assert_all_idle(locks.locks());
}

/// A set that was turned away at a member is queued there ahead of exclusive waiters that were not overtaken.
#[test]
fn q3_a_set_that_was_turned_away_is_woken_before_the_others() {
    let locks = locks::<2>();
    let set = set(&locks);
    let [first, second] = [0, 1].map(|n| set.locks().nth(n).unwrap());
    let guard = hold(first, Exclusive);
    let mut task = Task::queued(set.acquire(Exclusive));
    let other = hold(second, Exclusive);
    let mut single = Task::queued(second.acquire(Exclusive));
    drop(guard);
    poll_until_it_sleeps(&mut task);
    drop(other);
    assert!(task.woken() && !single.woken());
    drop(task.run().unwrap());
    drop(single.run().unwrap());
    assert_all_idle(&locks);
}

/// A set that was turned away reserves the first member: newcomers defer there while it waits for the second, for a bounded
/// moment. Tries succeed all the same.
#[test]
fn q3_a_set_that_was_turned_away_reserves_members() {
    for newcomer in Mode::ALL {
        let locks = locks::<2>();
        let set = set(&locks);
        let guard = hold(&locks[0], Exclusive);
        let mut task = Task::queued(set.acquire(Exclusive));
        drop(guard);
        turn_away(&mut task, &set);
        let [first, second] = [0, 1].map(|n| set.locks().nth(n).unwrap());
        let guard = hold(second, Exclusive);
        poll_until_it_sleeps(&mut task);
        drop(hold(first, newcomer));
        let mut behind = Task::new(first.acquire(newcomer));
        for _ in 0..3 {
            behind.waits();
            assert!(behind.woken(), "it tries again");
        }
        drop(guard);
        // The member was free, and is available as soon as the other is.
        let Poll::Ready(guard) = task.poll() else { panic!("the member was not reserved") };
        behind.waits();
        drop(guard);
        drop(behind.run().unwrap());
        assert_all_idle(&locks);
    }
}

/// The task waits for the third lock, which `third` holds, and is turned away at the second, and then at the third again.
fn turn_away_again<'a, F: Future>(
    locks: &'a [MultiLock],
    task: &mut Task<F>,
    third: Guard<'a>,
) -> Guard<'a> {
    let second = hold(&locks[1], Exclusive);
    drop(third);
    poll_until_it_sleeps(task);
    let third = hold(&locks[2], Exclusive);
    drop(second);
    poll_until_it_sleeps(task);
    third
}

/// An acquisition of all three locks that has reserved the first two and waits for the third, which is held.
fn with_reservations<'a, F: Future>(
    locks: &'a [MultiLock],
    acquisition: F,
) -> (Task<F>, Guard<'a>) {
    let mut third = hold(&locks[2], Exclusive);
    let mut task = Task::queued(acquisition);
    for _ in 0..4 {
        third = turn_away_again(locks, &mut task, third);
    }
    (task, third)
}

/// A set that is turned away again and again does not prolong the reservation of a member that is free all the time.
#[test]
fn p1_a_set_that_is_turned_away_again_keeps_a_member_no_longer() {
    let locks = [(); 3].map(|()| MultiLock::new());
    let all = acquire_all(locks.each_ref().map(|lock| (lock, Exclusive)));
    let (mut task, mut third) = with_reservations(&locks, all);
    let mut newcomer = Task::new(locks[0].acquire(Exclusive));
    let (start, mut polls) = (std::time::Instant::now(), 0);
    while newcomer.poll().is_pending() {
        polls += 1;
        let is_late = start.elapsed() > std::time::Duration::from_millis(50) && polls > 2_000;
        assert!(!is_late, "the member is free, and reserved forever");
        if polls % 20 == 0 {
            third = turn_away_again(&locks, &mut task, third);
        }
    }
}

/// A set that is woken at a member, and finds that member reserved for another set when it tries, still passes the wake-up
/// on.
#[test]
fn c3_a_set_that_defers_keeps_its_wake_up() {
    let locks = [(); 4].map(|()| MultiLock::new());
    let second = hold(&locks[1], Exclusive);
    let pair = acquire_all([(&locks[0], Upgradable), (&locks[1], Upgradable)]);
    let mut task = Task::queued(pair);
    let mut behind = Task::queued(locks[1].acquire(Upgradable));
    drop(second);
    assert!(task.woken() && !behind.woken());
    // Another member is held, for one poll.
    let first = hold(&locks[0], Exclusive);
    task.waits();
    let all = [1, 2, 3].map(|n| (&locks[n], Exclusive));
    let (reserves, third) = with_reservations(&locks[1..], acquire_all(all));
    drop(first);
    task.waits();
    assert!(task.woken() && !behind.woken());
    let _first = hold(&locks[0], Exclusive);
    drop((reserves, third));
    poll_until_it_sleeps(&mut task);
    assert!(behind.woken(), "the member is free, and all waiters sleep");
    drop(behind.run().unwrap());
}

/// A member that is reserved in shared mode can be acquired, though a writer that defers waits beside a reader.
#[test]
fn q3_a_set_enters_where_a_writer_defers_to_it() {
    for mode in [Shared, Upgradable] {
        let locks = [(); 3].map(|()| MultiLock::new());
        let wanted = [(&locks[0], Exclusive), (&locks[1], mode), (&locks[2], Exclusive)];
        let (mut task, third) = with_reservations(&locks, acquire_all(wanted));
        let mut writer = Task::queued(locks[1].acquire(Exclusive));
        writer.waits();
        let mut reader = Task::queued(locks[1].acquire(Shared));
        let Poll::Ready(reads) = reader.poll() else { panic!("it does not defer") };
        drop(third);
        assert!(task.woken() && task.poll().is_ready(), "{mode:?}");
        drop(reads);
        drop(writer);
        assert_all_idle(&locks);
    }
}

/// A new set has no reservation, and no waiter has one either: the set does not join readers past a waiting writer.
#[test]
fn q1_a_new_set_does_not_join_readers_past_a_writer_that_was_overtaken() {
    let locks = locks::<2>();
    let set = set(&locks);
    let [first, second] = [0, 1].map(|n| set.locks().nth(n).unwrap());
    let mut writers = [first, second].map(|lock| {
        let guard = hold(lock, Exclusive);
        let mut task = Task::queued(lock.acquire(Exclusive));
        drop(guard);
        let guard = hold(lock, Exclusive);
        task.waits();
        drop(guard);
        task
    });
    let reads = hold(second, Shared);
    writers[1].waits();
    let mut task = Task::new(set.acquire(Shared));
    for _ in 0..4 {
        task.waits();
    }
    drop(reads);
    drop(writers);
    drop(task.run().unwrap());
    assert_all_idle(&locks);
}

/// The set that has reserved a member is dropped: other waiters acquire it at once.
#[test]
fn c1_a_dropped_set_ends_its_reservations() {
    for newcomer in Mode::ALL {
        let locks = locks::<2>();
        let set = set(&locks);
        let guard = hold(&locks[0], Exclusive);
        let mut task = Task::queued(set.acquire(Exclusive));
        drop(guard);
        turn_away(&mut task, &set);
        drop(task);
        assert_all_idle(&locks);
        for lock in &locks {
            assert!(Task::new(lock.acquire(newcomer)).poll().is_ready());
        }
    }
}

// ------------------------------------------------------------------------------------- Starvation

/// An executor with one thread that runs tasks in FIFO order.
struct Fifo {
    queue: Mutex<VecDeque<usize>>,
    queued: Vec<AtomicBool>,
}

struct FifoWaker(Arc<Fifo>, usize);

impl Wake for FifoWaker {
    fn wake(self: Arc<Self>) {
        if !self.0.queued[self.1].swap(true, SeqCst) {
            self.0.queue.lock().unwrap().push_back(self.1);
        }
    }
}

type Job<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs tasks until `enough` of them have ended, and returns the number of polls. Fails if all tasks sleep, or after far too
/// many polls.
#[track_caller]
fn polls_until_the_end(jobs: Vec<Job<'_>>, mut enough: usize) -> usize {
    let queued = jobs.iter().map(|_| AtomicBool::new(false)).collect();
    let fifo = Arc::new(Fifo { queue: Mutex::default(), queued });
    let wakers: Vec<_> = (0..jobs.len()).map(|n| Arc::new(FifoWaker(fifo.clone(), n))).collect();
    wakers.iter().for_each(|waker| waker.clone().wake());
    let wakers: Vec<_> = wakers.into_iter().map(Waker::from).collect();
    let mut jobs: Vec<_> = jobs.into_iter().map(Some).collect();
    for polls in 1..200_000 {
        let next = fifo.queue.lock().unwrap().pop_front();
        let n = next.expect("all tasks sleep");
        fifo.queued[n].store(false, SeqCst);
        let Some(job) = &mut jobs[n] else { continue };
        if job.as_mut().poll(&mut Context::from_waker(&wakers[n])).is_ready() {
            jobs[n] = None;
            enough -= 1;
            if enough == 0 {
                return polls;
            }
        }
    }
    panic!("starved");
}

async fn yield_times(times: usize) {
    for _ in 0..times {
        let mut yielded = false;
        poll_fn(|cx| match std::mem::replace(&mut yielded, true) {
            true => Poll::Ready(()),
            false => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
    }
}

/// Tasks that acquire one lock in a loop: `tasks` of them, each holding it for `polls` polls.
fn loops<'a>(
    lock: &'a MultiLock,
    mode: Mode,
    tasks: usize,
    polls: usize,
    pause: usize,
) -> impl Iterator<Item = Job<'a>> {
    (0..tasks).map(move |task| {
        Box::pin(async move {
            yield_times(task * (polls / tasks).max(1)).await;
            for _ in 0..usize::MAX {
                let guard = lock.acquire(mode).await;
                yield_times(polls).await;
                drop(guard);
                yield_times(pause).await;
            }
        }) as Job<'a>
    })
}

/// Tasks that hold one member each, alternately and at a regular pace, so that often both are never free at the same moment.
#[test]
fn sets_are_not_starved_by_single_acquisitions_of_their_members() {
    let numbers: &[usize] = if cfg!(miri) { &[2] } else { &[1, 2, 3, 4, 5, 7, 8, 10, 24] };
    let crowds: &[_] = if cfg!(miri) { &[[1, 1]] } else { &[[1, 1], [2, 2], [3, 1]] };
    let mut most = 0;
    for (single, wanted) in [(Exclusive, Exclusive), (Shared, Exclusive), (Exclusive, Shared)] {
        for tasks in crowds {
            for (pause, polls) in [0, 1].into_iter().flat_map(|pause| pairs(numbers, pause)) {
                let locks = locks::<2>();
                let set = set(&locks);
                let mut jobs: Vec<_> = (0..2)
                    .flat_map(|n| loops(&locks[n], single, tasks[n], polls[n], pause))
                    .collect();
                jobs.push(Box::pin(async {
                    yield_times(3).await;
                    drop(set.acquire(wanted).await);
                }));
                most = most.max(polls_until_the_end(jobs, 1));
            }
        }
    }
    assert!(most > 100 || cfg!(miri), "too easy: {most}");
}

fn pairs(numbers: &[usize], pause: usize) -> impl Iterator<Item = (usize, [usize; 2])> {
    numbers.iter().flat_map(move |&a| numbers.iter().map(move |&b| (pause, [a, b])))
}

/// Sets in a ring, each of two neighbors, and one of all locks: all in loops, and held across polls. All of them make
/// progress.
#[test]
fn sets_that_overlap_all_make_progress() {
    const ROUNDS: usize = if cfg!(miri) { 2 } else { 300 };
    for polls in if cfg!(miri) { 1..2 } else { 0..4 } {
        let locks = locks::<5>();
        let sets: Vec<_> = (0..5).map(|n| set([&locks[n], &locks[(n + 1) % 5]])).collect();
        let all = set(&locks);
        let jobs = sets.iter().chain([&all]).map(|set| {
            Box::pin(async move {
                for round in 0..ROUNDS {
                    let guard = set.acquire([Exclusive, Shared][round % 2]).await;
                    yield_times(polls).await;
                    drop(guard);
                }
            }) as Job<'_>
        });
        polls_until_the_end(jobs.collect(), 6);
        assert_all_idle(&locks);
    }
}

// ------------------------------------------------------------------------------------ Cancellation

/// A set that is polled a given number of times, whether or not it is woken, and dropped at its next turn, while others
/// contend for its members: all others acquire.
#[test]
fn c4_a_set_may_be_dropped_at_any_point() {
    for mode in Mode::ALL {
        for polls in 0..if cfg!(miri) { 4 } else { 12 } {
            let locks = locks::<2>();
            let set = set(&locks);
            let singles = [Exclusive, Shared, Exclusive];
            let mut jobs: Vec<_> = locks
                .iter()
                .flat_map(|lock| singles.map(|single| (lock, single)))
                .map(|(lock, single)| {
                    Box::pin(async move {
                        for round in 0..4 {
                            let guard = lock.acquire(single).await;
                            yield_times(1 + round % 2).await;
                            drop(guard);
                        }
                    }) as Job<'_>
                })
                .collect();
            jobs.push(Box::pin(async {
                let mut acquire = std::pin::pin!(set.acquire(mode));
                for _ in 0..polls {
                    let once =
                        poll_fn(|cx| Poll::Ready(acquire.as_mut().poll(cx).is_ready())).await;
                    if once {
                        break;
                    }
                    yield_times(1).await;
                }
            }));
            polls_until_the_end(jobs, 7);
            assert_all_idle(&locks);
        }
    }
}

#[test]
fn c2_c3_a_woken_set_that_is_dropped_wakes_the_next() {
    for mode in Mode::ALL {
        let locks = locks::<2>();
        let set = set(&locks);
        let [first, _] = [0, 1].map(|n| set.locks().nth(n).unwrap());
        let guard = hold(first, Exclusive);
        let task = Task::queued(set.acquire(mode));
        let mut next = Task::queued(first.acquire(Exclusive));
        drop(guard);
        assert!(task.woken());
        drop(task);
        drop(next.run().unwrap());
        assert_all_idle(&locks);
    }
}

#[test]
fn c5_a_set_does_nothing_before_the_first_poll() {
    let locks = locks::<2>();
    let set = set(&locks);
    let (acquire, wait) = (set.acquire(Exclusive), set.wait(Exclusive));
    assert_all_idle(&locks);
    let guard = hold(&locks[0], Exclusive);
    drop((acquire, wait));
    drop(guard);
    assert_all_idle(&locks);
}

/// Random schedules of single waiters and sets. After each, woken tasks are polled until no task is woken any more. Then no
/// task may be asleep that could enter.
#[test]
fn p2_c4_random_schedules_leave_no_task_asleep_and_nothing_behind() {
    let cases = if cfg!(miri) { 5 } else { 6_000 };
    for seed in 0..cases {
        schedule(seed);
    }
}

enum Held<'a> {
    One(Guard<'a>),
    Set(SetGuard<'a, &'a MultiLock>),
    All(AllGuard<Vec<(&'a MultiLock, Mode)>>),
}

fn schedule(seed: u64) {
    let mut dice = Random(seed);
    let mut random = |below| dice.below(below);
    let locks = locks::<3>();
    let sets = [set(&locks), set(&locks[..2]), set(&locks[1..]), set([&locks[0], &locks[2]])];
    let (locks, sets) = (&locks, &sets);
    type Wait<'a> = Pin<Box<dyn Future<Output = Held<'a>> + 'a>>;
    // What the task waits for, as a try that must fail while the task sleeps.
    type Try<'a> = Box<dyn Fn() -> bool + 'a>;
    let mut tasks: Vec<(Task<Wait<'_>>, Try<'_>)> = vec![];
    let mut held: Vec<Held<'_>> = vec![];
    for _ in 0..40 {
        let mode = Mode::ALL[random(3)];
        match random(10) {
            0 | 1 if tasks.len() < 6 => {
                let set = &sets[random(sets.len())];
                let wait: Wait<'_> = Box::pin(async move { Held::Set(set.acquire(mode).await) });
                tasks.push((Task::new(wait), Box::new(move || set.try_acquire(mode).is_some())));
            }
            2 if tasks.len() < 6 => {
                let lock = &locks[random(3)];
                let wait: Wait<'_> = Box::pin(async move { Held::One(lock.acquire(mode).await) });
                tasks.push((Task::new(wait), Box::new(move || lock.try_acquire(mode).is_some())));
            }
            3 if tasks.len() < 6 => {
                let other = Mode::ALL[random(3)];
                let wanted = vec![(&locks[random(3)], mode), (&locks[random(3)], other)];
                let again = wanted.clone();
                let wait: Wait<'_> = Box::pin(async move { Held::All(acquire_all(wanted).await) });
                tasks.push((Task::new(wait), Box::new(move || try_acquire_all(&again).is_some())));
            }
            4 | 5 if !tasks.is_empty() => {
                let n = random(tasks.len());
                if let Poll::Ready(guard) = tasks[n].0.poll() {
                    held.push(guard);
                    drop(tasks.swap_remove(n));
                }
            }
            6 if !tasks.is_empty() => drop(tasks.swap_remove(random(tasks.len()))),
            7 => {
                if let Some(guard) = locks[random(3)].try_acquire(mode) {
                    held.push(Held::One(guard));
                }
            }
            8 if !held.is_empty() => {
                let n = random(held.len());
                match &mut held[n] {
                    Held::One(guard) if guard.mode().includes(mode) => guard.downgrade(mode),
                    Held::Set(guard) if guard.mode().includes(mode) => guard.downgrade(mode),
                    _ => {}
                }
            }
            _ if !held.is_empty() => drop(held.swap_remove(random(held.len()))),
            _ => {}
        }
        check(&held, locks, seed);
    }
    loop {
        // Poll until all tasks sleep.
        while let Some(n) = tasks.iter().position(|(task, _)| task.woken() || task.polls() == 0) {
            if let Poll::Ready(guard) = tasks[n].0.poll() {
                held.push(guard);
                drop(tasks.swap_remove(n));
            }
            check(&held, locks, seed);
        }
        assert!(tasks.iter().all(|(_, could_enter)| !could_enter()), "asleep: seed {seed}");
        match held.pop() {
            Some(guard) => drop(guard),
            None => break,
        }
    }
    assert!(tasks.is_empty(), "seed {seed}");
    assert_all_idle(locks);
}

/// Checks E1, and that the words agree with the guards.
fn check(held: &[Held<'_>], locks: &[MultiLock], seed: u64) {
    for lock in locks {
        let modes: Vec<_> = held
            .iter()
            .filter_map(|held| match held {
                Held::One(guard) => std::ptr::eq(guard.lock(), lock).then(|| guard.mode()),
                Held::Set(guard) => {
                    let is_member = guard.set().locks().any(|member| std::ptr::eq(member, lock));
                    is_member.then(|| guard.mode())
                }
                Held::All(guard) => guard.mode_of(lock),
            })
            .collect();
        let owners = modes.iter().filter(|mode| **mode != Shared).count();
        assert!(owners <= 1 && (modes.len() <= 1 || !modes.contains(&Exclusive)), "seed {seed}");
        assert_eq!(lock.locked(), modes.iter().max().copied(), "seed {seed}");
        assert_eq!(lock.snapshot().shared_holders(), modes.len() - owners, "seed {seed}");
    }
}

// ---------------------------------------------------------------------------- Wait, monitors

/// The bug of the original: a wait for a set of which some members were free polled forever.
#[test]
fn seed_a_wait_for_a_set_of_which_a_part_is_free_sleeps() {
    let locks = locks::<3>();
    let set = set(&locks);
    for barred in &locks {
        let guard = hold(barred, Exclusive);
        let monitor = set.monitor(Shared);
        let mut stream = set.monitor(Shared);
        let mut tasks: [Task<Pin<Box<dyn Future<Output = ()>>>>; 3] = [
            Task::queued(Box::pin(set.wait(Shared))),
            Task::queued(Box::pin(monitor.wait())),
            Task::queued(Box::pin(async { next(&mut stream).await.unwrap() })),
        ];
        // The other members are acquired and released, and the wait sleeps on.
        for lock in locks.iter().filter(|lock| !std::ptr::eq(*lock, barred)) {
            for mode in Mode::ALL {
                drop(hold(lock, mode));
            }
        }
        assert!(tasks.iter().all(|task| task.wakes() == 0 && task.polls() == 1));
        drop(guard);
        for task in &mut tasks {
            task.run().unwrap();
            assert_eq!(task.polls(), 2);
        }
    }
    assert_all_idle(&locks);
}

async fn next(stream: &mut multilock::Monitor<'_>) -> Option<()> {
    use futures_core::Stream;
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

#[test]
fn sets_are_waited_for_until_all_members_can_be_acquired() {
    let locks = locks::<3>();
    let set = set(&locks);
    now(set.wait(Exclusive));
    let mut guards: Vec<_> = locks.iter().map(|lock| hold(lock, Shared)).collect();
    now(set.wait(Shared));
    // In both orders: the wait sleeps at one member after the other.
    for _ in 0..2 {
        let mut wait = Task::queued(set.wait(Exclusive));
        while let Some(guard) = guards.pop() {
            drop(guard);
            assert_eq!(wait.run().is_some(), guards.is_empty());
        }
        guards = locks.iter().rev().map(|lock| hold(lock, Shared)).collect();
    }
    drop(guards);
    assert_all_idle(&locks);
}

#[test]
fn monitor_of_a_set_is_set_when_all_members_become_acquirable() {
    let locks = locks::<2>();
    let [a, b] = &locks;
    let set = set(&locks);
    let monitor = set.monitor(Exclusive);
    assert!(monitor.is_set());
    monitor.clear();
    assert!(!monitor.is_set());

    // One member changes, while the other was available all the time.
    drop(hold(a, Shared));
    assert!(monitor.is_set());
    monitor.clear();

    // Both members change, one after the other: only the last change makes the whole set available.
    let guards = (hold(a, Shared), hold(b, Shared));
    drop(guards.0);
    assert!(!monitor.is_set());
    drop(guards.1);
    assert!(monitor.is_set());

    // A monitor stays set.
    let guard = hold(a, Shared);
    assert!(monitor.is_set());
    monitor.clear();
    assert!(!monitor.is_set());
    drop(guard);
    assert!(monitor.is_set());
    drop(monitor);
    assert_all_idle(&locks);
}

/// All members are available, so the monitor is not set: it listens to all of them.
#[test]
fn monitor_of_a_free_set_is_woken_by_each_member() {
    let locks = locks::<3>();
    let set = set(&locks);
    let mut monitor = set.monitor(Exclusive);
    for lock in &locks {
        monitor.clear();
        let mut wait = Task::queued(monitor.wait());
        drop(hold(lock, Exclusive));
        wait.run().unwrap();
    }
    monitor.clear();
    for lock in &locks {
        let mut item = Task::queued(next(&mut monitor));
        drop(hold(lock, Exclusive));
        item.run().unwrap();
    }
    drop(monitor);
    assert_all_idle(&locks);
}

#[test]
fn monitor_of_a_set_follows_the_member_that_is_in_the_way() {
    let locks = locks::<2>();
    let set = set(&locks);
    let [first, second] = [0, 1].map(|n| set.locks().nth(n).unwrap());
    let guards = (hold(first, Exclusive), hold(second, Exclusive));
    let monitor = set.monitor(Shared);
    let mut wait = Task::queued(monitor.wait());
    drop(guards.0);
    assert!(wait.run().is_none());
    let guard = hold(first, Exclusive);
    drop(guards.1);
    assert!(wait.run().is_none());
    drop(guard);
    wait.run().unwrap();
}

// ----------------------------------------------------------------------------------- Guards, handles

#[test]
fn u4_a_downgrade_of_a_set_wakes_all_that_it_admits() {
    for to in [Shared, Upgradable] {
        let locks = locks::<2>();
        let set = set(&locks);
        let mut guard = set.try_acquire(Exclusive).unwrap();
        let mut tasks = locks.each_ref().map(|lock| Task::queued(lock.acquire(Shared)));
        guard.downgrade(to);
        assert_eq!(guard.mode(), to);
        tasks.iter_mut().for_each(|task| drop(task.run().unwrap()));
        assert_eq!(modes(&locks), [Some(to); 2]);
        drop(guard);
        assert_all_idle(&locks);
    }
}

#[test]
#[cfg(panic = "unwind")]
fn bad_use_a_set_is_not_downgraded_to_a_stronger_mode() {
    let locks = locks::<2>();
    let set = set(&locks);
    let mut guard = set.try_acquire(Shared).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| guard.downgrade(Exclusive))).unwrap_err();
    assert!(message(panic).contains("cannot downgrade from Shared to Exclusive"));
    assert_eq!(modes(&locks), [Some(Shared); 2]);
}

#[test]
fn handles_of_a_set_are_released_by_the_set_and_its_clones() {
    let locks = locks::<2>();
    let first = set(&locks);
    let handle = first.try_acquire(Exclusive).unwrap().into_handle();
    assert_eq!((handle.mode(), first.locked()), (Exclusive, Some(Exclusive)));

    // Neither a member, nor another set of the same locks.
    let handle = locks[0].release(handle).unwrap_err().into_handle();
    let other = set(&locks);
    let handle = other.release(handle).unwrap_err().into_handle();
    let handle = first.adopt(handle).unwrap().into_handle();
    assert_eq!(modes(&locks), [Some(Exclusive); 2]);

    // The clone may outlive the set.
    let clone = first.clone();
    drop(first);
    let guard = clone.adopt(handle).unwrap();
    assert_eq!(guard.mode(), Exclusive);
    drop(guard);
    assert_all_idle(&locks);

    // A set does not accept the handle of a member.
    let handle = locks[0].try_acquire(Shared).unwrap().into_handle();
    let handle = clone.release(handle).unwrap_err().into_handle();
    locks[0].release(handle).unwrap();
    assert_all_idle(&locks);
}

#[test]
fn bad_use_the_handle_of_a_dropped_set_is_returned() {
    let locks = locks::<2>();
    let gone = set(&locks);
    let handle = gone.try_acquire(Shared).unwrap().into_handle();
    drop(gone);
    let handle = set(&locks).release(handle).unwrap_err().into_handle();
    assert_eq!(handle.mode(), Shared);
    assert_eq!(modes(&locks), [Some(Shared); 2]);
}

/// A waker panics when one member is released: the other members are released, and all waiters are woken.
#[test]
#[cfg(all(feature = "std", panic = "unwind"))]
fn wakers_that_panic_keep_no_member_of_a_set_held() {
    for last in [false, true] {
        let locks = locks::<3>();
        let set = set(&locks);
        let guard = set.try_acquire(Exclusive).unwrap();
        let panics = || Hooks { on_wake: Box::new(|| panic!("wake")), ..Hooks::default() }.waker();
        let barred = set.locks().nth(if last { 2 } else { 1 }).unwrap();
        let mut bad = Task::new(barred.acquire(Shared));
        assert!(bad.poll_with(&panics()).is_pending());
        let mut good: Vec<_> =
            locks.iter().map(|lock| Task::queued(lock.acquire(Shared))).collect();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(guard))).is_err());
        assert_eq!(set.locked(), None);
        good.iter_mut().for_each(|task| drop(task.run().unwrap()));
        drop((bad, good));
        assert_all_idle(&locks);
    }
}

// ------------------------------------------------------------------------------------------ At once

#[test]
fn x1_an_uncontended_set_allocates_nothing() {
    let locks = locks::<4>();
    let set = set(&locks);
    for mode in Mode::ALL {
        without_allocation(mode, || {
            drop(set.try_acquire(mode).unwrap());
            drop(now(set.acquire(mode)));
            now(set.wait(mode));
            let wanted = [(&locks[0], mode), (&locks[1], Shared), (&locks[2], Upgradable)];
            drop(try_acquire_all(wanted).unwrap());
            drop(now(acquire_all(wanted)));
            drop(try_acquire_all(&wanted[1..]).unwrap());
        });
    }
}

#[test]
fn x2_a_set_that_waits_allocates_nothing_after_the_first_wait() {
    let locks = locks::<2>();
    let set = set(&locks);
    let run = || {
        let [first, second] = [0, 1].map(|n| set.locks().nth(n).unwrap());
        let guard = hold(first, Exclusive);
        let mut task = std::pin::pin!(set.acquire(Exclusive));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(task.as_mut().poll(&mut cx).is_pending());
        let other = hold(second, Exclusive);
        drop(guard);
        assert!(task.as_mut().poll(&mut cx).is_pending());
        assert!(task.as_mut().poll(&mut cx).is_pending());
        drop(other);
        drop(now(task));
    };
    let ((), first) = allocations(run);
    assert!(first > 0);
    without_allocation("waits and is turned away", run);
    assert_all_idle(&locks);
}

// -------------------------------------------------------------------------------------- acquire_all

#[test]
fn all_acquires_each_lock_in_its_mode() {
    let locks = locks::<3>();
    let [a, b, c] = &locks;
    let wanted = [(a, Shared), (b, Exclusive), (c, Upgradable)];
    for at_once in [false, true] {
        let guard =
            if at_once { try_acquire_all(wanted).unwrap() } else { now(acquire_all(wanted)) };
        assert_eq!(modes(&locks), [Some(Shared), Some(Exclusive), Some(Upgradable)]);
        assert_eq!(guard.mode_of(b), Some(Exclusive));
        assert_eq!(guard.mode_of(&MultiLock::new()), None);
        assert_eq!(guard.holds().count(), 3);
        assert!(a.try_acquire(Shared).is_some());
        drop(guard);
        assert_all_idle(&locks);
    }
}

#[test]
fn all_acquires_a_lock_that_is_named_twice_once_in_the_stronger_mode() {
    for first in Mode::ALL {
        for second in Mode::ALL {
            let locks = locks::<2>();
            let [a, b] = &locks;
            let guard = try_acquire_all([(a, first), (b, Shared), (a, second)]).unwrap();
            assert_eq!(guard.mode_of(a), Some(first.max(second)));
            assert_eq!(guard.holds().count(), 2);
            assert!(a.snapshot().shared_holders() <= 1);
            drop(guard);
            assert_all_idle(&locks);
        }
    }
}

#[test]
fn all_takes_arrays_slices_vectors_and_references() {
    let locks = locks::<5>();
    let pairs: Vec<_> = locks.iter().rev().zip(Mode::ALL.into_iter().cycle()).collect();
    let expect = |guard: &dyn Fn() -> usize| assert_eq!(guard(), 5);
    expect(&|| now(acquire_all(&pairs[..])).holds().count());
    expect(&|| now(acquire_all(&pairs)).holds().count());
    expect(&|| now(acquire_all(pairs.clone())).holds().count());
    expect(&|| now(acquire_all(pairs.clone().into_boxed_slice())).holds().count());
    let array: [_; 5] = pairs.clone().try_into().unwrap();
    expect(&|| now(acquire_all(&array)).holds().count());
    expect(&|| now(acquire_all(array)).holds().count());
    assert_all_idle(&locks);

    // The future and the guard can be sent, as their contents can.
    fn sent<T: Send + 'static>(value: T) -> T {
        value
    }
    let owned = [(Arc::new(MultiLock::new()), Shared), (Arc::new(MultiLock::new()), Exclusive)];
    let guard = now(sent(acquire_all(owned.clone())));
    drop(sent(guard));
    owned.iter().for_each(|(lock, _)| assert_idle(lock));

    // A set in the place of a lock.
    let set = set(&locks[..2]);
    let wanted = [(&set, Shared), (&set, Exclusive)];
    assert_eq!(try_acquire_all(wanted).unwrap().holds().count(), 2);
}

#[test]
fn all_waits_for_what_is_in_the_way_in_its_mode() {
    let locks = locks::<2>();
    let [a, b] = &locks;
    let guards = (hold(a, Shared), hold(b, Shared));
    let mut task = Task::queued(acquire_all([(a, Shared), (b, Exclusive)]));
    drop(guards.0);
    assert!(!task.woken());
    drop(guards.1);
    let guard = task.run().unwrap();
    assert_eq!(modes(&locks), [Some(Shared), Some(Exclusive)]);
    assert!(
        ["AllGuard([Shared, Exclusive])", "AllGuard([Exclusive, Shared])"]
            .contains(&&*format!("{guard:?}"))
    );
    drop(guard);
    assert_all_idle(&locks);
}

// ----------------------------------------------------------------------------------------- Blocking

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn sets_may_be_waited_for_with_a_thread_and_a_limit() {
    let locks = locks::<2>();
    let set = set(&locks);
    assert!(!set.is_empty());
    drop(set.acquire_blocking(Exclusive));
    let guard = hold(&locks[1], Shared);
    assert!(set.acquire_blocking_timeout(Exclusive, Duration::ZERO).is_none());
    assert!(set.acquire_blocking_timeout(Exclusive, Duration::from_millis(2)).is_none());
    assert!(set.acquire_blocking_deadline(Exclusive, Instant::now()).is_none());
    assert!(set.acquire_blocking_timeout(Shared, Duration::ZERO).is_some());
    assert!(set.acquire_blocking_timeout(Shared, Duration::MAX).is_some());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| drop(set.acquire_blocking(Exclusive)));
        let all = scope.spawn(|| {
            drop(multilock::acquire_all_blocking([(&locks[0], Shared), (&locks[1], Exclusive)]));
        });
        support::until_awaited(&locks[1], Exclusive);
        drop(guard);
        waiter.join().unwrap();
        all.join().unwrap();
    });
    // In time.
    let guard = hold(&locks[1], Shared);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            support::until_awaited(&locks[1], Exclusive);
            drop(guard);
        });
        let acquired =
            set.acquire_blocking_deadline(Exclusive, Instant::now() + Duration::from_secs(60));
        // Otherwise the thread would wait for the other task to queue.
        let _waits = acquired.is_none().then(|| Task::queued(set.acquire(Exclusive)));
        assert!(acquired.is_some());
    });
    assert_all_idle(&locks);
}

#[test]
fn acquire_or_of_a_set_returns_the_guard_or_the_output_of_cancel() {
    let locks = locks::<2>();
    let set = set(&locks);
    drop(now(set.acquire_or(Exclusive, ready(1))).unwrap());
    let guard = hold(&locks[0], Shared);
    assert_eq!(now(set.acquire_or(Exclusive, ready(2))).unwrap_err(), 2);
    assert!(now(set.acquire_or(Shared, ready(3))).is_ok());
    drop(guard);
    assert_all_idle(&locks);
}

// ----------------------------------------------------------------------------------------- Lockable

#[test]
fn lockable_is_what_locks_sets_and_pointers_to_them_share() {
    fn use_all<L: Lockable<Record = ()>>(it: L) {
        assert_eq!(it.locked(), None);
        for mode in Mode::ALL {
            let guard = it.try_acquire(mode).unwrap();
            assert_eq!((guard.mode(), it.locked()), (mode, Some(mode)));
            drop(guard);
            let mut guard = now(it.acquire(Exclusive));
            assert!(it.try_acquire(mode).is_none());
            let monitor = it.monitor(mode);
            assert!(!monitor.is_set());
            let mut wait = Task::queued(it.wait(mode));
            guard.downgrade(Shared);
            let handle = guard.into_handle();
            let guard = it.adopt(handle).unwrap();
            it.release(guard.into_handle()).unwrap();
            assert!(monitor.is_set());
            wait.run().unwrap();
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            drop(it.acquire_blocking(mode));
        }
        assert_eq!(it.locked(), None);
        let foreign = MultiLock::new().try_acquire(Shared).unwrap().into_handle();
        assert!(it.release(foreign).is_err());
    }

    let locks = locks::<2>();
    use_all(&locks[0]);
    use_all(MultiLock::new());
    use_all(Arc::new(MultiLock::new()));
    let pair = set(&locks);
    use_all(&pair);
    use_all(pair.clone());
    use_all(Arc::new(set(&locks)));
    use_all([set(&locks), set(&locks[..1])].into_iter().collect::<LockSet<_>>());
    assert_all_idle(&locks);
}
