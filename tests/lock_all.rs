//! Several locks and their data at once, with `lock_all`, by hand-polled tasks.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]
#![cfg_attr(
    target_family = "wasm",
    allow(unused_imports, dead_code, reason = "no threads, no unwinding")
)]

mod support;

use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use Mode::{Exclusive, Shared, Upgradable};
use multilock::requests::{InMode, LockRequest, LockRequests, Reading, Writing};
use multilock::{
    CheckedLocks, DuplicateLock, Mode, MultiLock, RwLock, RwLockReadGuard, RwLockReadGuardArc,
    RwLockUpgradableReadGuard, RwLockWriteGuard, TryLockAllError, lock_all, lock_all_or,
    try_lock_all,
};
#[cfg(all(feature = "std", panic = "unwind"))]
use support::Hooks;
use support::{
    Counting, Task, allocations, assert_all_idle, assert_idle, hold, locks, message, modes, now,
    without_allocation,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn cells<const N: usize>() -> [RwLock<u32>; N] {
    std::array::from_fn(|n| RwLock::new(n as u32))
}

fn in_mode(locks: &[MultiLock; 3], mode: Mode) -> [InMode<'_>; 3] {
    locks.each_ref().map(|lock| lock.in_mode(mode))
}

/// The locks in the order of their addresses, in which they are acquired.
fn in_order<const N: usize>(locks: &[MultiLock; N]) -> [&MultiLock; N] {
    let mut sorted = locks.each_ref();
    sorted.sort_by_key(|lock| std::ptr::from_ref(*lock).addr());
    sorted
}

// ------------------------------------------------------------------------------------------- Access

#[test]
fn e1_each_lock_is_held_in_its_mode() {
    let (a, b, c) = (RwLock::new(1), RwLock::new(String::from("b")), RwLock::new([2, 3]));
    let check = |(a_guard, mut b_guard, c_guard): (
        RwLockReadGuard<'_, i32>,
        RwLockWriteGuard<'_, String>,
        RwLockUpgradableReadGuard<'_, [i32; 2]>,
    )| {
        assert_eq!(
            [a.raw(), b.raw(), c.raw()].map(MultiLock::locked),
            Mode::ALL.map(|mode| match mode {
                Shared => Some(Shared),
                Upgradable => Some(Exclusive),
                Exclusive => Some(Upgradable),
            })
        );
        assert!(a.try_read().is_some() && a.try_write().is_none());
        assert!(b.try_read().is_none());
        assert!(c.try_read().is_some() && c.try_upgradable_read().is_none());
        b_guard.push('!');
        assert_eq!((*a_guard, c_guard[1]), (1, 3));
    };
    let requests = (a.reading(), b.writing(), c.upgrading());
    check(now(lock_all(requests)));
    check(try_lock_all(requests).unwrap());
    check(now(lock_all_or(requests, pending::<()>())).unwrap());
    check(now(lock_all(CheckedLocks::new(requests).unwrap())));
    assert_eq!(b.into_inner(), "b!!!!");
    [a.raw(), c.raw()].into_iter().for_each(assert_idle);
}

#[test]
fn e1_a_guard_of_several_excludes_as_a_single_one_does() {
    for wanted in Mode::ALL {
        for other in Mode::ALL {
            let locks = locks::<3>();
            let [first, ..] = now(lock_all(in_mode(&locks, wanted)));
            assert_eq!(first.mode(), wanted);
            assert_eq!(locks[0].try_acquire(other).is_some(), !wanted.excludes(other));
            assert_eq!(modes(&locks), [Some(wanted), None, None], "the others were dropped");
        }
    }
}

#[test]
fn u_the_guards_are_the_ordinary_ones() {
    let (a, b, c) = (RwLock::new((1, 2)), RwLock::new(3), RwLock::new((4, 5)));
    let (reader, upgradable, writer) = now(lock_all((a.reading(), b.upgrading(), c.writing())));
    let reader = RwLockReadGuard::map(reader, |pair| &pair.1);
    let more = RwLockReadGuard::share(&reader).unwrap();
    let mut upgraded = now(RwLockUpgradableReadGuard::upgrade(upgradable));
    *upgraded += *reader + *more;
    let part = RwLockWriteGuard::map(writer, |pair| &mut pair.0);
    assert_eq!(*part, 4);
    drop(part);
    let again = RwLockWriteGuard::downgrade(upgraded);
    assert_eq!(*again, 7);
    drop((reader, more, again));
    [a.raw(), b.raw(), c.raw()].into_iter().for_each(assert_idle);
}

#[test]
fn e1_up_to_twelve_locks_of_different_types() {
    let cells = cells::<9>();
    let [a, b, c, d, e, f, g, h, i] = &cells;
    let (text, flag, raw) = (RwLock::new("text"), RwLock::new(false), MultiLock::new());
    let guards = now(lock_all((
        a.writing(),
        b.reading(),
        c.upgrading(),
        d.writing(),
        e.reading(),
        f.upgrading(),
        g.writing(),
        h.reading(),
        i.upgrading(),
        text.reading(),
        flag.writing(),
        raw.in_mode(Upgradable),
    )));
    assert_eq!((*guards.0, *guards.4, *guards.8, *guards.9), (0, 4, 8, "text"));
    assert!(!*guards.10);
    assert_eq!(guards.11.mode(), Upgradable);
    let expected = [Exclusive, Shared, Upgradable].map(Some);
    for (n, cell) in cells.iter().enumerate() {
        assert_eq!(cell.raw().locked(), expected[n % 3]);
    }
    drop(guards);
    cells.iter().map(RwLock::raw).chain([text.raw(), flag.raw(), &raw]).for_each(assert_idle);
}

/// Every smaller tuple, too: each guard belongs to the lock at its position.
#[test]
fn e1_tuples_of_every_length_keep_the_order() {
    let cells = cells::<12>();
    macro_rules! check {
        ($($n:tt)+) => {{
            let guards = now(lock_all(($(cells[$n].writing(),)+)));
            let numbers = [$(*guards.$n),+];
            assert!(numbers.iter().enumerate().all(|(n, number)| n as u32 == *number));
            let held = cells.iter().filter(|cell| cell.raw().locked() == Some(Exclusive)).count();
            assert_eq!(held, numbers.len());
            drop(guards);
            cells.iter().for_each(|cell| assert_idle(cell.raw()));
        }};
    }
    check!(0);
    check!(0 1);
    check!(0 1 2);
    check!(0 1 2 3);
    check!(0 1 2 3 4);
    check!(0 1 2 3 4 5);
    check!(0 1 2 3 4 5 6);
    check!(0 1 2 3 4 5 6 7);
    check!(0 1 2 3 4 5 6 7 8);
    check!(0 1 2 3 4 5 6 7 8 9);
    check!(0 1 2 3 4 5 6 7 8 9 10);
    check!(0 1 2 3 4 5 6 7 8 9 10 11);
}

#[test]
fn e1_arrays_slices_and_vectors_keep_the_order() {
    let cells = cells::<5>();
    // In an order that is not that of the addresses.
    let order = [3, 0, 4, 1, 2];
    let numbers = order.map(|n| n as u32);
    let array: [Writing<'_, u32>; 5] = order.map(|n| cells[n].writing());
    let guards: [RwLockWriteGuard<'_, u32>; 5] = now(lock_all(array));
    assert_eq!(guards.map(|guard| *guard), numbers);
    let guards: Vec<RwLockWriteGuard<'_, u32>> = now(lock_all(&array[..]));
    assert!(guards.iter().map(|guard| **guard).eq(numbers));
    drop(guards);
    let guards: Vec<RwLockWriteGuard<'_, u32>> = try_lock_all(array.to_vec()).unwrap();
    assert!(guards.iter().map(|guard| **guard).eq(numbers));
    assert_eq!(guards.capacity(), 5);
    drop(guards);
    let checked = CheckedLocks::new(&array[1..3]).unwrap();
    assert_eq!(now(lock_all(checked)).len(), 2);
    cells.iter().for_each(|cell| assert_idle(cell.raw()));
}

#[test]
fn bad_use_no_locks_are_always_acquired() {
    let none: [Reading<'_, u32>; 0] = [];
    assert_eq!(now(lock_all(none)).len(), 0);
    assert_eq!(now(lock_all(&none[..])).len(), 0);
    assert_eq!(try_lock_all(Vec::from(none)).unwrap().len(), 0);
    assert_eq!(now(lock_all_or(none, ready(()))).unwrap().len(), 0);
}

/// Data that cannot be sent can be locked in its own thread.
#[test]
fn e1_data_of_one_thread() {
    let (a, b) = (RwLock::new(Rc::new(Cell::new(1))), RwLock::new(Cell::new(2)));
    let (first, mut second) = now(lock_all((a.reading(), b.writing())));
    first.set(second.get());
    *second.get_mut() = 3;
    drop((first, second));
    assert_eq!((a.into_inner().get(), b.into_inner().get()), (2, 3));
}

#[test]
fn e1_data_without_a_size() {
    let text: Arc<RwLock<dyn ToString>> = Arc::new(RwLock::new(5));
    let list: Box<RwLock<[u32]>> = Box::new(RwLock::new([1, 2]));
    let (first, mut second) = now(lock_all((text.reading(), list.writing())));
    second[0] = 3;
    assert_eq!((first.to_string(), second.len()), (String::from("5"), 2));
    drop(first);
    let (first,) = now(lock_all((text.reading_arc(),)));
    assert_eq!(first.to_string(), "5");
}

// ----------------------------------------------------------------------------------- All or nothing

#[test]
fn e1_all_or_nothing_at_each_position() {
    for wanted in Mode::ALL {
        for held in Mode::ALL {
            for barred in 0..3 {
                let locks = locks::<3>();
                let guard = hold(&locks[barred], held);
                let acquired = try_lock_all(in_mode(&locks, wanted));
                assert_eq!(acquired.is_ok(), !wanted.excludes(held));
                match acquired {
                    Ok(acquired) => {
                        drop(guard);
                        assert_eq!(modes(&locks), [Some(wanted); 3]);
                        drop(acquired);
                    }
                    Err(error) => {
                        assert_eq!(error, TryLockAllError::WouldBlock);
                        let mut expected = [None; 3];
                        expected[barred] = Some(held);
                        assert_eq!(modes(&locks), expected);
                        drop(guard);
                    }
                }
                assert_all_idle(&locks);
            }
        }
    }
}

#[test]
fn e1_nothing_is_held_while_it_waits() {
    for mode in Mode::ALL {
        for barred in 0..3 {
            let locks = locks::<3>();
            let guard = hold(&locks[barred], Exclusive);
            let mut task = Task::queued(lock_all(in_mode(&locks, mode)));
            for (n, lock) in locks.iter().enumerate() {
                assert_eq!(lock.locked().is_some(), n == barred);
                assert_eq!(lock.try_acquire(Exclusive).is_some(), n != barred);
            }
            drop(guard);
            let guards = task.run().unwrap();
            assert_eq!(modes(&locks), [Some(mode); 3]);
            drop(guards);
            assert_all_idle(&locks);
        }
    }
}

/// The first locks are free, and the last is lost between the look and the acquisition: another
/// thread acquires and releases it.
#[test]
#[cfg(not(target_family = "wasm"))]
fn e1_a_failed_try_releases_all_that_it_had_acquired() {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    let locks = locks::<3>();
    let stop = AtomicBool::new(false);
    let last = in_order(&locks)[2];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                drop(last.try_acquire(Exclusive));
            }
        });
        let [a, b, c] = locks.each_ref();
        // The first lock is named twice.
        let [first, middle, _] = in_order(&locks);
        let requests = (
            first.in_mode(Shared),
            c.in_mode(Shared),
            middle.in_mode(Shared),
            first.in_mode(Shared),
        );
        let (mut acquired, mut failed) = (0, 0);
        let enough = if cfg!(miri) { 20 } else { 20_000 };
        while acquired < enough || failed < enough / 100 {
            match try_lock_all(requests) {
                Ok(guards) => {
                    acquired += 1;
                    drop(guards);
                }
                Err(_) => failed += 1,
            }
            assert!([a, b, c].iter().filter(|lock| lock.locked().is_some()).count() <= 1);
        }
        stop.store(true, SeqCst);
    });
    assert_all_idle(&locks);
}

#[test]
fn p2_two_tasks_name_the_locks_in_opposite_orders() {
    let cells = cells::<2>();
    let [a, b] = &cells;
    let blocker = a.try_write().unwrap();
    let mut forth = Task::queued(lock_all((a.writing(), b.writing())));
    let mut back = Task::queued(lock_all((b.writing(), a.writing())));
    drop(blocker);
    let (mut first, _second) = forth.run().unwrap();
    *first += 1;
    assert!(back.run().is_none());
    drop((first, _second));
    let (_second, first) = back.run().unwrap();
    assert_eq!(*first, 1);
    drop((first, _second));
    cells.iter().for_each(|cell| assert_idle(cell.raw()));
}

#[test]
fn p2_a_wake_up_that_is_not_used_is_passed_on() {
    let locks = locks::<2>();
    let [first, second] = in_order(&locks);
    let guard = hold(first, Exclusive);
    let mut task = Task::queued(lock_all((second.in_mode(Exclusive), first.in_mode(Exclusive))));
    let mut next = Task::queued(first.acquire(Exclusive));
    let other = hold(second, Exclusive);
    drop(guard);
    assert!(task.woken() && !next.woken());
    while task.woken() {
        task.waits();
    }
    drop(next.run().expect("the wake-up is passed on"));
    drop(other);
    drop(task.run().unwrap());
    assert_all_idle(&locks);
}

#[test]
fn p1_an_acquisition_that_is_not_polled_blocks_no_other() {
    for mode in Mode::ALL {
        let locks = locks::<3>();
        let guard = hold(&locks[1], Exclusive);
        let dormant = Task::queued(lock_all(in_mode(&locks, mode)));
        drop(guard);
        assert!(dormant.woken());
        for lock in &locks {
            drop(Task::new(lock.acquire(Exclusive)).finish());
        }
        let mut other = Task::new(lock_all(in_mode(&locks, Exclusive)));
        drop(other.finish());
        drop(dormant);
        assert_all_idle(&locks);
    }
}

#[test]
fn q1_newcomers_wait_behind_a_writer_of_several() {
    let (a, b) = (RwLock::new(1), RwLock::new(2));
    let reader = a.try_read().unwrap();
    let mut writes = Task::queued(lock_all((a.writing(), b.writing())));
    assert!(a.try_read().is_none() && b.try_read().is_some());
    drop(reader);
    drop(writes.run().unwrap());
    assert!(a.try_read().is_some());
}

// ----------------------------------------------------------------------------------------- Cancelled

#[test]
fn c5_nothing_happens_before_the_first_poll() {
    let locks = locks::<3>();
    let requests = in_mode(&locks, Exclusive);
    let (acquire, or) = (lock_all(requests), lock_all_or(requests, ready(())));
    assert_all_idle(&locks);
    let guard = hold(&locks[0], Exclusive);
    drop((acquire, or));
    drop(guard);
    assert_all_idle(&locks);
}

/// The locks are taken and given back in turns, so that the acquisition waits at one after the other
/// and is turned away. It is dropped after any number of polls.
#[test]
fn c4_the_future_may_be_dropped_at_any_point() {
    for mode in Mode::ALL {
        for twice in [false, true] {
            for turns in 0..if cfg!(miri) { 6 } else { 40 } {
                let locks = locks::<3>();
                let [first, middle, last] = in_order(&locks);
                let again = if twice { first } else { last };
                let requests = [last, first, again].map(|lock| lock.in_mode(Shared));
                let request = middle.in_mode(mode);
                let mut task = Task::new(lock_all((requests[0], request, requests[1])));
                let mut guards = Vec::new();
                for turn in 0..turns {
                    match turn % 4 {
                        0 => guards.extend(locks[turn / 4 % 3].try_acquire(Exclusive)),
                        2 if guards.len() > 1 => drop(guards.remove(0)),
                        _ if task.poll().is_ready() => break,
                        _ => {}
                    }
                }
                drop(guards);
                drop(task);
                assert_all_idle(&locks);
            }
        }
    }
}

#[test]
fn c2_c3_a_woken_acquisition_that_is_dropped_wakes_the_next() {
    for mode in Mode::ALL {
        let locks = locks::<3>();
        let first = in_order(&locks)[0];
        let guard = hold(first, Exclusive);
        let task = Task::queued(lock_all(in_mode(&locks, mode)));
        let mut next = Task::queued(first.acquire(Exclusive));
        drop(guard);
        assert!(task.woken());
        drop(task);
        drop(next.run().unwrap());
        assert_all_idle(&locks);
    }
}

#[test]
fn c1_a_dropped_writer_admits_those_that_waited_behind_it() {
    let (a, b) = (RwLock::new(1), RwLock::new(2));
    let reader = a.try_read().unwrap();
    let writes = Task::queued(lock_all((a.writing(), b.writing())));
    let mut reads = Task::queued(a.read());
    drop(writes);
    drop(reads.run().unwrap());
    drop(reader);
    [a.raw(), b.raw()].into_iter().for_each(assert_idle);
}

#[test]
fn c_lock_all_or_gives_up_when_cancel_is_ready() {
    let locks = locks::<3>();
    let requests = in_mode(&locks, Exclusive);
    let guard = hold(&locks[1], Exclusive);
    assert_eq!(now(lock_all_or(requests, ready(7))).unwrap_err(), 7);
    let mut task = Task::queued(lock_all_or(requests, pending::<()>()));
    drop(guard);
    let guards = task.run().unwrap().unwrap();
    assert_eq!(modes(&locks), [Some(Exclusive); 3]);
    drop(guards);
    assert_all_idle(&locks);
}

/// The locks become free while `cancel` is polled.
#[test]
fn c_lock_all_or_acquires_if_both_are_ready() {
    let locks = locks::<3>();
    let mut guard = Some(hold(&locks[1], Exclusive));
    let cancel = std::future::poll_fn(|_| {
        guard = None;
        std::task::Poll::Ready(())
    });
    drop(now(lock_all_or(in_mode(&locks, Exclusive), cancel)).unwrap());
    assert_all_idle(&locks);
}

#[test]
fn c3_lock_all_or_passes_its_wake_up_on() {
    let locks = locks::<3>();
    let first = in_order(&locks)[0];
    let guard = hold(first, Exclusive);
    let cancel = Rc::new(Cell::new(false));
    let is_cancelled = cancel.clone();
    let other = hold(in_order(&locks)[1], Shared);
    let mut task = Task::queued(lock_all_or(
        in_mode(&locks, Exclusive),
        std::future::poll_fn(move |_| match is_cancelled.get() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }),
    ));
    let mut next = Task::queued(first.acquire(Exclusive));
    drop(guard);
    assert!(task.woken() && !next.woken());
    cancel.set(true);
    assert!(task.finish().is_err());
    drop(next.run().unwrap());
    drop(other);
    assert_all_idle(&locks);
}

/// An old waker that is dropped may panic when all locks are held: the panic releases them.
#[test]
#[cfg(all(feature = "std", panic = "unwind"))]
#[cfg_attr(miri, ignore = "the waker whose drop panics is a leak")]
fn w_a_waker_that_panics_leaves_no_lock_held() {
    let locks = locks::<3>();
    let [first, middle, last] = in_order(&locks);
    for twice in in_order(&locks) {
        let reader = hold(middle, Shared);
        let mut writer = Task::queued(middle.acquire(Exclusive));
        let requests = [first, middle, last, twice].map(|lock| lock.in_mode(Shared));
        let mut task = Task::new(lock_all(requests));
        let panics = Hooks { on_drop: Box::new(|| panic!("drop")), ..Hooks::default() }.waker();
        assert!(task.poll_with(&panics).is_pending());
        std::mem::forget(panics);
        // The release wakes the writer only, so the waker is dropped when the task enters.
        drop(reader);
        assert_eq!(
            message(catch_unwind(AssertUnwindSafe(|| task.poll().is_ready())).unwrap_err()),
            "drop"
        );
        assert_eq!(modes(&locks), [None; 3]);
        drop(task);
        drop(writer.run().unwrap());
        assert_all_idle(&locks);
    }
}

// ---------------------------------------------------------------------------------------- Duplicates

#[test]
fn e1_a_lock_that_is_named_twice_is_shared_twice() {
    let (a, b) = (RwLock::new(1), RwLock::new(2));
    let check = |(first, mut b_guard, second): (
        RwLockReadGuard<'_, i32>,
        RwLockWriteGuard<'_, i32>,
        RwLockReadGuard<'_, i32>,
    )| {
        assert_eq!(a.raw().snapshot().shared_holders(), 2);
        *b_guard += *first + *second;
        drop(first);
        assert!(a.try_write().is_none());
        drop(second);
        assert!(a.try_write().is_some());
        drop(b_guard);
    };
    let requests = (a.reading(), b.writing(), a.reading());
    check(now(lock_all(requests)));
    check(try_lock_all(requests).unwrap());
    check(now(lock_all_or(requests, ready(()))).unwrap());
    assert_eq!(now(lock_all([a.reading(); 5])).len(), 5);
    // By the lock with data, and by the lock in it.
    let (guard, reader) = now(lock_all((a.raw().in_mode(Shared), a.reading())));
    assert_eq!((guard.mode(), *reader), (Shared, 1));
    assert_eq!(a.raw().snapshot().shared_holders(), 2);
    drop((guard, reader));
    [a.raw(), b.raw()].into_iter().for_each(assert_idle);
}

/// A writer is queued at the lock, so a second *try* would fail behind it.
#[test]
fn p2_a_lock_that_is_named_twice_is_shared_while_a_writer_waits() {
    let (a, b) = (RwLock::new(1), RwLock::new(2));
    // The writer is queued and the lock is free: a newcomer barges.
    let guard = a.try_write().unwrap();
    let mut writer = Task::queued(a.write());
    drop(guard);
    assert!(writer.woken());
    drop(try_lock_all((a.reading(), b.reading(), a.reading())).unwrap());
    drop(now(lock_all((a.reading(), b.reading(), a.reading()))));
    drop(writer.run().unwrap());

    // All wait for one writer, and another writer is queued behind it.
    let guard = a.try_write().unwrap();
    let mut both = Task::queued(lock_all((a.reading(), a.reading())));
    let mut writer = Task::queued(a.write());
    drop(guard);
    let guards = both.run().expect("readers enter after a writer");
    assert!(!writer.woken());
    assert_eq!(a.raw().snapshot().shared_holders(), 2);
    drop(guards);
    drop(writer.run().unwrap());
    [a.raw(), b.raw()].into_iter().for_each(assert_idle);
}

#[test]
fn p2_a_lock_that_is_named_twice_waits_as_one_waiter() {
    let a = RwLock::new(1);
    let guard = a.try_read().unwrap();
    let mut writer = Task::queued(a.write());
    let mut both = Task::queued(lock_all([a.reading(), a.reading()]));
    assert_eq!(try_lock_all([a.reading(), a.reading()]).unwrap_err(), TryLockAllError::WouldBlock);
    drop(guard);
    drop(writer.run().unwrap());
    drop(both.run().unwrap());
    assert_eq!(both.polls(), 2);
    assert_idle(a.raw());
}

/// Beside an upgrade no reader enters.
#[test]
fn u2_a_lock_that_is_named_twice_waits_for_an_upgrade() {
    let a = RwLock::new(1);
    let (reader, guard) = (a.try_read().unwrap(), a.try_upgradable_read().unwrap());
    let mut upgrade = Task::queued(RwLockUpgradableReadGuard::upgrade(guard));
    let mut both = Task::queued(lock_all([a.reading(), a.reading()]));
    drop(reader);
    let mut guard = upgrade.run().unwrap();
    *guard += 1;
    assert!(!both.woken());
    drop(guard);
    assert_eq!(both.run().unwrap().map(|guard| *guard), [2, 2]);
    assert_idle(a.raw());
}

#[test]
fn bad_use_a_lock_that_is_named_twice_is_an_error_of_a_try() {
    let (a, b) = (MultiLock::new(), MultiLock::new());
    for first_mode in Mode::ALL {
        for second_mode in Mode::ALL {
            let requests = (
                a.in_mode(first_mode),
                b.in_mode(Shared),
                a.in_mode(second_mode),
                b.in_mode(Shared),
            );
            if first_mode == Shared && second_mode == Shared {
                assert!(try_lock_all(requests).is_ok() && CheckedLocks::new(requests).is_ok());
                continue;
            }
            let error = CheckedLocks::new(requests).unwrap_err();
            let DuplicateLock { first, second, .. } = error;
            assert_eq!((first, second), (0, 2));
            assert_eq!((error.first_mode, error.second_mode), (first_mode, second_mode));
            assert_eq!(try_lock_all(requests).unwrap_err(), TryLockAllError::DuplicateLock(error));
            assert_eq!(
                error.to_string(),
                format!(
                    "requests 0 ({first_mode:?}) and 2 ({second_mode:?}) name the same lock, which \
                     works only if both are Shared"
                )
            );
            assert_eq!(TryLockAllError::from(error).to_string(), error.to_string());
        }
    }
    [&a, &b].into_iter().for_each(assert_idle);
}

#[test]
fn bad_use_the_first_duplicate_is_reported() {
    let [a, b] = &cells::<2>();
    let check = |modes: &[InMode<'_>], expected| {
        let error = CheckedLocks::new(modes).unwrap_err();
        assert_eq!((error.first, error.second), expected);
    };
    let [a, b] = [a.raw(), b.raw()];
    let (reads, writes) = (a.in_mode(Shared), a.in_mode(Exclusive));
    check(&[reads, reads, writes], (0, 2));
    check(&[b.in_mode(Shared), writes, reads, writes], (1, 2));
    check(&[writes, b.in_mode(Exclusive), b.in_mode(Upgradable), writes], (1, 2));
    // Several data in one structure have several locks, and so has each owner of one `Arc` the same.
    let arc = Arc::new(RwLock::new(1));
    assert!(CheckedLocks::new((arc.writing_arc(), arc.clone().reading_arc())).is_err());
    assert!(CheckedLocks::new((arc.reading(), arc.reading_arc())).is_ok());
}

/// At the call, and not at the first poll.
#[test]
#[cfg(panic = "unwind")]
fn bad_use_a_lock_that_is_named_twice_panics_at_once() {
    let (a, b) = (RwLock::new(1), RwLock::new(2));
    let requests = (a.reading(), b.reading(), a.writing());
    let mut calls: Vec<Box<dyn Fn() + '_>> = vec![
        Box::new(|| drop(lock_all(requests))),
        Box::new(|| drop(lock_all_or(requests, ready(())))),
    ];
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    {
        use std::time::{Duration, Instant};

        use multilock::{lock_all_blocking, lock_all_blocking_deadline, lock_all_blocking_timeout};

        calls.push(Box::new(|| drop(lock_all_blocking(requests))));
        calls.push(Box::new(|| drop(lock_all_blocking_timeout(requests, Duration::MAX))));
        calls.push(Box::new(|| drop(lock_all_blocking_timeout(requests, Duration::ZERO))));
        calls.push(Box::new(|| drop(lock_all_blocking_deadline(requests, Instant::now()))));
    }
    for call in calls.drain(..) {
        let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
        assert_eq!(
            message(panic),
            "requests 0 (Shared) and 2 (Exclusive) name the same lock, which works only if both \
             are Shared"
        );
    }
    [a.raw(), b.raw()].into_iter().for_each(assert_idle);
}

// ---------------------------------------------------------------------------------------------- Cost

#[test]
fn x1_tuples_and_arrays_allocate_nothing() {
    let cells = cells::<4>();
    let [a, b, c, d] = &cells;
    without_allocation("uncontended", || {
        drop(now(lock_all((a.reading(), b.writing(), c.upgrading(), d.raw().in_mode(Shared)))));
        drop(try_lock_all((a.reading(), b.writing(), a.reading())).unwrap());
        drop(now(lock_all(cells.each_ref().map(RwLock::writing))));
        drop(now(lock_all_or([a.reading(); 3], ready(()))).unwrap());
        let checked = CheckedLocks::new([a.writing(), b.writing()]).unwrap();
        drop(now(lock_all(checked)));
        assert!(try_lock_all([a.writing(), a.writing()]).is_err());
    });
    let arcs = [1, 2].map(|n| Arc::new(RwLock::new(n)));
    without_allocation("guards that own the lock", || {
        drop(now(lock_all(arcs.each_ref().map(RwLock::writing_arc))));
    });
}

#[test]
fn x2_a_wait_allocates_nothing_after_the_first() {
    let cells = cells::<2>();
    let [first, second] = &cells;
    let run = || {
        let guard = first.try_write().unwrap();
        let mut task = pin!(lock_all((second.writing(), first.writing())));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(task.as_mut().poll(&mut cx).is_pending());
        let other = second.try_write().unwrap();
        drop(guard);
        assert!(task.as_mut().poll(&mut cx).is_pending());
        assert!(task.as_mut().poll(&mut cx).is_pending());
        drop(other);
        drop(now(task));
    };
    let ((), first_wait) = allocations(run);
    assert!(first_wait > 0);
    without_allocation("waits and is turned away", run);
}

// -------------------------------------------------------------------------------------- Owning forms

#[test]
fn e1_guards_that_own_their_locks() {
    fn is_static<F: Future + Send + 'static>(future: F) -> F {
        future
    }
    let (a, b, c) =
        (Arc::new(RwLock::new(1)), Arc::new(RwLock::new(2)), Arc::<RwLock<i32>>::default());
    let raw = Arc::new(MultiLock::new());
    let requests =
        (a.reading_arc(), b.upgrading_arc(), c.writing_arc(), raw.in_mode_arc(Exclusive));
    let acquire = is_static(lock_all(requests.clone()));
    let weak = (Arc::downgrade(&a), Arc::downgrade(&raw));
    drop((a, raw));
    let (a, b_guard, mut c_guard, raw) = now(acquire);
    assert_eq!((*a, *b_guard), (1, 2));
    *c_guard += *a;
    assert_eq!(raw.mode(), Exclusive);
    let part: RwLockReadGuardArc<i32, i32> = RwLockReadGuardArc::map(a, |number| number);
    drop(requests);
    assert!(weak.0.upgrade().is_some(), "the guard owns the lock");
    drop((part, raw));
    assert!(weak.0.upgrade().is_none() && weak.1.upgrade().is_none());
    drop((b_guard, c_guard));
    assert_eq!(*c.try_read().unwrap(), 1);
    [b.raw(), c.raw()].into_iter().for_each(assert_idle);
}

#[test]
fn c_an_acquisition_that_owns_its_locks_frees_them_when_it_is_dropped() {
    let lock = Arc::new(RwLock::new(1));
    let guard = lock.try_write_arc();
    let task = Task::queued(lock_all([lock.reading_arc(), lock.reading_arc()]));
    assert_eq!(Arc::strong_count(&lock), 4);
    drop(task);
    drop(guard);
    assert_eq!(Arc::strong_count(&lock), 1);
    assert_idle(lock.raw());
}

// ------------------------------------------------------------------------------------------ Generic

/// Sends a future of requests whose types are parameters.
#[test]
fn e1_generic_requests() {
    fn sent<R: LockRequests<Guards: Send> + Send + Sync>(
        requests: R,
    ) -> impl Future<Output = R::Guards> {
        lock_all(requests)
    }
    async fn both<A: LockRequest, B: LockRequest>(a: A, b: B) -> (A::Guard, B::Guard) {
        lock_all((a, b)).await
    }
    let (a, b) = (RwLock::new(1), MultiLock::new());
    drop(now(sent((a.reading(), b.in_mode(Shared)))));
    let (first, second) = now(both(a.writing(), b.in_mode(Exclusive)));
    assert_eq!((*first, second.mode()), (1, Exclusive));
}

#[test]
fn requests_show_their_lock() {
    let (a, b) = (Arc::new(RwLock::new(1)), Arc::new(MultiLock::new()));
    let shown = format!("{:?}", (a.reading(), a.writing_arc(), b.in_mode(Shared)));
    assert!(shown.contains("Reading(RwLock") && shown.contains("WritingArc(RwLock"), "{shown}");
    assert!(shown.contains("mode: Shared"), "{shown}");
    assert!(format!("{:?}", CheckedLocks::new([a.reading()])).contains("CheckedLocks"));
}

// ------------------------------------------------------------------------------------------ Blocking

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn e2_threads_transfer_in_opposite_directions() {
    let accounts = [RwLock::new(1_000_u32), RwLock::new(1_000)];
    let rounds = if cfg!(miri) { 10 } else { 2_000 };
    std::thread::scope(|scope| {
        for (from, to) in [(0, 1), (1, 0)] {
            let accounts = &accounts;
            scope.spawn(move || {
                for _ in 0..rounds {
                    let (mut from, mut to) = multilock::lock_all_blocking((
                        accounts[from].writing(),
                        accounts[to].writing(),
                    ));
                    let amount = (*from).min(3);
                    *from -= amount;
                    *to += amount;
                }
            });
        }
        for _ in 0..rounds {
            let guards = multilock::lock_all_blocking(accounts.each_ref().map(RwLock::reading));
            assert_eq!(guards.iter().map(|guard| **guard).sum::<u32>(), 2_000);
        }
    });
    accounts.iter().for_each(|account| assert_idle(account.raw()));
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn e1_a_limit_for_a_thread_acquires_all_or_nothing() {
    use std::time::{Duration, Instant};

    use multilock::{lock_all_blocking_deadline, lock_all_blocking_timeout};

    let (a, b) = (RwLock::new(1), Arc::new(RwLock::new(2)));
    let reader = b.try_read().unwrap();
    for limit in [Duration::ZERO, Duration::from_millis(2)] {
        let start = Instant::now();
        assert!(lock_all_blocking_timeout((a.writing(), b.writing()), limit).is_none());
        assert!(lock_all_blocking_deadline([b.writing_arc()], start + limit * 2).is_none());
        assert!(start.elapsed() >= limit * 2);
        // What it could acquire is free, and it waits in no queue.
        assert_idle(a.raw());
        assert!(!Mode::ALL.into_iter().any(|mode| b.raw().snapshot().is_awaited(mode)));
    }
    let writes_and_reads = (a.writing(), b.reading());
    for limit in [Duration::ZERO, Duration::from_secs(60), Duration::MAX] {
        let (mut first, second) = lock_all_blocking_timeout(writes_and_reads, limit).unwrap();
        *first += *second;
    }
    // A deadline that is over makes one try.
    let over = Instant::now();
    let (first, _) = lock_all_blocking_deadline(writes_and_reads, over).unwrap();
    assert_eq!(*first, 7);
    drop(first);
    // The locks become available in time.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            support::until_awaited(b.raw(), Exclusive);
            drop(reader);
        });
        let limit = Duration::from_secs(60);
        assert!(lock_all_blocking_timeout((a.reading(), b.writing()), limit).is_some());
    });
    [a.raw(), b.raw()].into_iter().for_each(assert_idle);
}
