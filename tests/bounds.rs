//! Promises with a bound, which a short program would refute if they had none. Each test shows how far the promise
//! reaches, and what is beyond it.
//!
//! The letters are those of the contract. `w` stands for what wakers may do and may expect.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]
#![cfg_attr(
    any(not(feature = "std"), target_family = "wasm"),
    allow(unused_imports, dead_code, reason = "no threads that block")
)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use multilock::Mode::{self, Exclusive, Shared, Upgradable};
use multilock::{
    HandleLock, LockSet, MultiLock, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
};
use support::{
    Counting, Hooks, Inline, Task, allocations, assert_idle, hold, now, poll_once,
    without_allocation,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// No wait of these tests takes that long, even on a slow machine.
const LONG: Duration = Duration::from_secs(20);

/// Effectively forever: more polls than a reservation lasts where there is no clock.
const MANY: usize = if cfg!(miri) { 20 } else { 1100 };

// ------------------------------------------------------------------------- Waiters that are not polled

/// A dormant writer blocks readers and upgradable readers of a held lock for as long as it is queued. It blocks no waiter
/// from a free lock. A dormant reader blocks no waiter.
#[test]
fn p1_a_dormant_waiter_keeps_newcomers_out_of_a_held_lock_only() {
    for dormant in Mode::ALL {
        let lock = MultiLock::new();
        let (holder, owner) = (hold(&lock, Shared), hold(&lock, Upgradable));
        let mut sleeper = Task::new(lock.acquire(dormant));
        if dormant == Shared {
            drop(sleeper.finish());
            continue;
        }
        sleeper.waits();
        let is_writer = dormant == Exclusive;
        drop(owner);
        for mode in [Shared, Upgradable] {
            let mut newcomer = Task::new(lock.acquire(mode));
            if is_writer {
                assert!((0..MANY).all(|_| newcomer.poll().is_pending()), "{mode:?}");
                assert!(lock.try_acquire(mode).is_none());
                assert_eq!(newcomer.wakes(), 0);
            } else {
                drop(newcomer.finish());
            }
        }
        drop(holder);
        for mode in Mode::ALL {
            drop(hold(&lock, mode));
            drop(now(lock.acquire(mode)));
        }
    }
}

/// The dormant writer blocks them as long as the lock is never free, and until it is dropped.
#[test]
fn p1_a_dormant_writer_that_is_dropped_admits_the_readers() {
    let lock = MultiLock::new();
    let holder = hold(&lock, Shared);
    let dormant = Task::queued(lock.acquire(Exclusive));
    let mut reader = Task::queued(lock.acquire(Shared));
    drop(dormant);
    assert!(reader.woken());
    drop((reader.finish(), holder));
    assert_idle(&lock);
}

/// A dormant waiter keeps its wake-up, and each release passes over those that were woken before. So behind `n` of them a
/// waiter sleeps until the release after `n` others. Dormant readers are woken together, by one.
#[test]
fn f2_prime_a_waiter_behind_n_dormant_ones_is_woken_after_n_releases_at_the_latest() {
    for n in 1..=if cfg!(miri) { 1 } else { 3 } {
        for number in 0..3_usize.pow(n) {
            let dormant: Vec<_> = (0..n).map(|k| Mode::ALL[number / 3_usize.pow(k) % 3]).collect();
            for (last, between) in
                Mode::ALL.into_iter().flat_map(|last| Mode::ALL.map(|it| (last, it)))
            {
                let lock = MultiLock::new();
                let guard = hold(&lock, Exclusive);
                let _dormant = dormant
                    .iter()
                    .map(|mode| Task::queued(lock.acquire(*mode)))
                    .collect::<Vec<_>>();
                let mut waiter = Task::queued(lock.acquire(last));
                drop(guard);
                let releases = (0..n).take_while(|_| {
                    let sleeps = !waiter.woken();
                    if sleeps {
                        drop(hold(&lock, between));
                    }
                    sleeps
                });
                let releases = releases.count();
                assert!(waiter.woken(), "{dormant:?}, {last:?}, {between:?}");
                if last == Exclusive && dormant.iter().all(|mode| *mode == Exclusive) {
                    assert_eq!(releases, dormant.len());
                }
                drop(waiter.finish());
            }
        }
    }
}

/// An upgrade that waits is a holder. While it is not polled, it keeps all others out, even when the other holders have
/// left, until it is polled or dropped.
#[test]
fn q1_a_dormant_upgrade_keeps_all_others_out() {
    for drops in [false, true] {
        let lock = MultiLock::new();
        let mut owner = hold(&lock, Upgradable);
        let reader = hold(&lock, Shared);
        let mut upgrade = Task::queued(owner.upgrade());
        assert!(reader.share().is_none());
        drop(reader);
        assert!(upgrade.woken());
        let mut others = Mode::ALL.map(|mode| Task::queued(lock.acquire(mode)));
        for (other, mode) in others.iter_mut().zip(Mode::ALL) {
            assert!((0..MANY).all(|_| other.poll().is_pending()) && other.wakes() == 0);
            assert!(lock.try_acquire(mode).is_none());
        }
        if drops {
            drop(upgrade);
        } else {
            upgrade.finish().unwrap();
            drop(upgrade);
        }
        drop(owner);
        // Each release wakes the next waiter.
        for _ in 0..others.len() {
            let ready = others.iter_mut().filter_map(Task::run).count();
            assert!(ready > 0 || others.iter().all(|other| other.polls() > MANY + 1));
        }
        assert_idle(&lock);
    }
}

// --------------------------------------------------------------------------------------- Overtaking

/// A waiting writer blocks newcomers, but not holders: a chain of clones, at least one of which is always alive, keeps
/// the writer out as long as it continues, and no longer.
#[test]
fn q1_holders_that_share_pass_a_waiting_writer() {
    fn keeps_out<G>(raw: &MultiLock, first: G, next: impl Fn(&G) -> G) {
        let mut writer = Task::queued(raw.acquire(Exclusive));
        let mut guard = first;
        for _ in 0..MANY {
            guard = next(&guard);
            writer.waits();
            assert!(raw.try_acquire(Shared).is_none(), "a newcomer waits");
        }
        assert_eq!(writer.wakes(), 0);
        drop(guard);
        assert!(writer.woken());
        drop(writer.finish());
        assert_idle(raw);
    }
    let lock = MultiLock::new();
    keeps_out(&lock, hold(&lock, Shared), |guard| guard.share().unwrap());
    let data = RwLock::new(());
    keeps_out(data.raw(), data.try_read().unwrap(), |guard| RwLockReadGuard::share(guard).unwrap());
    let upgradable = data.try_upgradable_read().unwrap();
    let reader = RwLockUpgradableReadGuard::share(&upgradable);
    drop(upgradable);
    keeps_out(data.raw(), reader.unwrap(), |guard| RwLockReadGuard::share(guard).unwrap());
}

/// A holder that downgrades, and upgrades again before the others are polled, never releases the lock. It keeps them out,
/// and wakes each of them once each time. As soon as one of them is polled in between, that one enters.
#[test]
fn u4_a_holder_that_upgrades_again_keeps_out_those_that_it_has_woken() {
    let lock = MultiLock::new();
    let mut holder = hold(&lock, Exclusive);
    let mut readers = [(); 3].map(|()| Task::queued(lock.acquire(Shared)));
    for n in 1..=100 {
        holder.downgrade(Upgradable);
        assert!(readers.iter().all(|reader| reader.wakes() == n));
        holder.try_upgrade().unwrap();
        readers.iter_mut().for_each(Task::waits);
    }
    holder.downgrade(Upgradable);
    let inside = readers.each_mut().map(|reader| reader.run().expect("a poll in between"));
    assert!(holder.try_upgrade().is_err());
    drop((inside, holder));
    assert_idle(&lock);
}

/// When an exclusive holder releases the lock, the waiting readers are woken together. A newcomer may barge before they
/// are polled, as often as it arrives between a wake-up and the poll. A waiting writer is woken only after the readers
/// have held the lock, or were woken three times: those that are canceled, and replaced by others, would keep it out forever.
#[test]
fn q2_a_newcomer_may_barge_before_woken_readers_and_a_waiting_writer_is_woken_after_them() {
    for barges in 0..=3 {
        let lock = MultiLock::new();
        let mut holder = hold(&lock, Exclusive);
        let mut readers = [(); 3].map(|()| Task::queued(lock.acquire(Shared)));
        let mut writer = Task::queued(lock.acquire(Exclusive));
        for n in 1..=barges {
            drop(holder);
            assert!(readers.iter().all(|reader| reader.wakes() == n), "together");
            // Before the readers have lost a race, a newcomer that awaits the lock enters as quickly as one that only tries.
            holder = if n == 1 { now(lock.acquire(Exclusive)) } else { hold(&lock, Exclusive) };
            readers.iter_mut().for_each(Task::waits);
            assert_eq!(writer.wakes(), 0);
        }
        drop(holder);
        let writer_is_next = barges == 3;
        assert_eq!(writer.woken(), writer_is_next, "{barges}");
        if writer_is_next {
            drop(writer.finish());
        }
        drop(readers.each_mut().map(|reader| reader.run().expect("all readers")));
        if !writer_is_next {
            drop(writer.finish());
        }
        assert_idle(&lock);
    }
}

/// A waiter that was overtaken twice reserves the lock, which ends sooner if waiters that were woken before it are not polled
/// in time. It is overtaken once more then.
#[test]
fn q3_a_waiter_is_overtaken_once_more_where_one_that_was_woken_before_it_is_not_polled() {
    /// Polls a newcomer until it barges.
    fn barge(lock: &MultiLock) -> multilock::Guard<'_> {
        let mut newcomer = Task::new(lock.acquire(Exclusive));
        loop {
            if let std::task::Poll::Ready(guard) = newcomer.poll() {
                break guard;
            }
        }
    }
    for dormant_reader in [false, true] {
        let lock = MultiLock::new();
        let mut holder = hold(&lock, Exclusive);
        let mut waiter = Task::queued(lock.acquire(Exclusive));
        for n in 1..=2 {
            drop(holder);
            assert_eq!(waiter.wakes(), n);
            holder = barge(&lock);
            waiter.waits();
        }
        let reader = dormant_reader.then(|| Task::queued(lock.acquire(Shared)));
        drop(holder);
        if let Some(reader) = &reader {
            assert!(reader.woken() && !waiter.woken());
            // The newcomer defers until the reservation ends. It has overtaken the reader only.
            drop(barge(&lock));
            holder = barge(&lock);
            waiter.waits();
            drop(holder);
        } else {
            let start = Instant::now();
            let mut newcomer = Task::new(lock.acquire(Exclusive));
            let defers = (0..2).all(|_| newcomer.poll().is_pending());
            assert!(defers || start.elapsed() >= Duration::from_millis(1));
        }
        drop(waiter.finish());
        drop(reader);
        assert_idle(&lock);
    }
}

/// A release wakes only waiters that can enter at that moment: whichever is polled first enters. It wakes at most one
/// upgradable and at most one exclusive waiter, but does not know whether another one is already awake.
#[test]
fn p3_each_waiter_that_a_release_wakes_could_enter() {
    let held: [&[Mode]; 7] = [
        &[Exclusive],
        &[Shared],
        &[Shared, Shared],
        &[Upgradable],
        &[Upgradable, Shared],
        &[Shared, Upgradable],
        &[Upgradable, Shared, Shared],
    ];
    let mut woken_in_all = 0;
    for held in held {
        for number in (0..3_usize.pow(4)).step_by(if cfg!(miri) { 31 } else { 1 }) {
            let modes = [1, 3, 9, 27].map(|digit| Mode::ALL[number / digit % 3]);
            // The same waiters are woken each time.
            for first in 0..modes.len() {
                let lock = MultiLock::new();
                let mut holders: Vec<_> = held.iter().map(|mode| hold(&lock, *mode)).collect();
                let mut waiters = modes.map(|mode| (mode, Task::new(lock.acquire(mode))));
                let mut inside = Vec::new();
                for (_, waiter) in &mut waiters {
                    if let std::task::Poll::Ready(guard) = waiter.poll() {
                        inside.push(guard);
                    }
                }
                drop(holders.remove(0));
                for mode in [Upgradable, Exclusive] {
                    let woken = waiters.iter().filter(|it| it.0 == mode && it.1.woken());
                    assert!(woken.count() <= 1, "{mode:?} of {modes:?} behind {held:?}");
                }
                let (mode, waiter) = &mut waiters[first];
                if waiter.woken() {
                    woken_in_all += 1;
                    assert!(waiter.run().is_some(), "{mode:?} of {modes:?} behind {held:?}");
                }
            }
        }
    }
    assert!(woken_in_all > if cfg!(miri) { 5 } else { 200 }, "{woken_in_all}");

    // Two waiters are awake where only one fits: the second release cannot tell that the first one is about to enter.
    let lock = MultiLock::new();
    let holder = hold(&lock, Exclusive);
    let mut waiters = [(); 2].map(|()| Task::queued(lock.acquire(Upgradable)));
    drop(holder);
    let (reader, other) = (hold(&lock, Shared), hold(&lock, Shared));
    drop(reader);
    assert!(waiters.iter().all(|waiter| waiter.wakes() == 1));
    let guard = waiters[0].finish();
    waiters[1].waits();
    drop((guard, other));
    assert!(waiters[1].woken());
}

/// The end of an exclusive acquisition wakes the first upgradable waiter with the shared ones, unless an exclusive waiter
/// is queued, too, and one of the others has entered since it was woken: those two sides take turns.
#[test]
fn q2_upgradable_and_exclusive_waiters_take_turns_where_both_wait() {
    let lock = MultiLock::new();
    let holder = hold(&lock, Exclusive);
    let mut upgradable = [(); 2].map(|()| Task::queued(lock.acquire(Upgradable)));
    let mut reader = Task::queued(lock.acquire(Shared));
    let mut writer = Task::queued(lock.acquire(Exclusive));
    drop(holder);
    assert!(reader.woken() && upgradable[0].woken());
    // It was upgraded, so an exclusive acquisition ends, although an upgradable waiter had the turn.
    let mut owner = upgradable[0].finish();
    drop(reader.finish());
    owner.try_upgrade().unwrap();
    // A reader has entered since, so the writer is next, and not the readers again.
    let mut reader = Task::queued(lock.acquire(Shared));
    drop(owner);
    assert!(writer.woken() && !upgradable[1].woken() && !reader.woken());
    drop(writer.finish());
    assert!(upgradable[1].woken() && reader.woken());
    drop((reader.finish(), upgradable[1].finish()));
    assert_idle(&lock);
}

/// A set is woken when the member that it waits for becomes free. It may then find another member held: that release
/// admitted no waiter.
#[test]
fn p3_a_set_may_be_woken_though_another_member_is_held() {
    let locks = [MultiLock::new(), MultiLock::new()];
    let set: LockSet<&MultiLock> = locks.iter().collect();
    let [first, second] = [0, 1].map(|n| set.locks().nth(n).unwrap());
    let (one, other) = (hold(first, Exclusive), hold(second, Exclusive));
    let mut task = Task::queued(set.acquire(Exclusive));
    drop(one);
    assert_eq!(task.wakes(), 1);
    // The set yields one poll, as the other member may become free, and then sleeps there.
    while task.woken() {
        task.waits();
        assert!(task.polls() <= 3);
    }
    drop(other);
    assert!(task.woken());
    drop(task.finish());
    locks.iter().for_each(assert_idle);
}

/// Where a waiter was overtaken, newcomers yield one poll. They see this by a flag that a dormant waiter leaves set, so
/// only some of them yield: at most 255 each time that a waiter was overtaken.
#[test]
fn p1_a_dormant_waiter_that_was_overtaken_costs_255_newcomers_a_poll() {
    let lock = MultiLock::new();
    let holder = hold(&lock, Exclusive);
    let mut dormant = Task::queued(lock.acquire(Exclusive));
    drop(holder);
    let holder = hold(&lock, Exclusive);
    dormant.waits();
    drop(holder);
    let waits = (0..300).filter(|_| poll_once(lock.acquire(Exclusive)).is_pending()).count();
    assert_eq!(waits, 255);
    drop(dormant);
    assert_idle(&lock);
}

/// Dropping the future of an upgrade keeps a borrowed guard, and drops a guard that was moved into the future.
#[test]
fn u2_a_dropped_upgrade_keeps_the_guard_that_it_borrows_and_no_other() {
    let lock = MultiLock::new();
    let (mut owner, reader) = (hold(&lock, Upgradable), hold(&lock, Shared));
    drop(Task::queued(owner.upgrade()));
    assert_eq!((owner.mode(), lock.snapshot().is_upgrading()), (Upgradable, false));
    drop((owner, reader));
    assert_idle(&lock);

    let names = HandleLock::new();
    let mut owner = names.try_context(Upgradable, 1).unwrap();
    let reader = names.try_context(Shared, 2).unwrap();
    drop(Task::queued(owner.upgrade()));
    assert_eq!(names.holders(), [(1, Upgradable), (2, Shared)]);
    drop((owner, reader));

    let data = RwLock::new(1);
    let mut owner = data.try_upgradable_read().unwrap();
    let reader = data.try_read().unwrap();
    drop(Task::queued(RwLockUpgradableReadGuard::upgrade_in_place(&mut owner)));
    assert_eq!((*owner, data.raw().locked()), (1, Some(Upgradable)));
    drop(Task::queued(RwLockUpgradableReadGuard::upgrade(owner)));
    assert_eq!(data.raw().locked(), Some(Shared));
    drop(reader);
    assert_idle(data.raw());

    let data = Arc::new(RwLock::new(1));
    let owner = data.try_upgradable_read_arc().unwrap();
    let reader = data.try_read().unwrap();
    drop(Task::queued(multilock::RwLockUpgradableReadGuardArc::upgrade(owner)));
    assert_eq!(data.raw().locked(), Some(Shared));
    drop(reader);
    assert_idle(data.raw());
}

// -------------------------------------------------------------------------------- Cost

/// A thread allocates its parker when it first blocks, for any lock. A later wait allocates nothing, at any lock, except
/// the queue of a lock that never had a waiter.
#[test]
#[cfg(all(feature = "std", target_os = "linux", not(miri)))]
fn x2_a_thread_allocates_one_parker_for_all_locks() {
    // Long enough for a thread that the system interrupts to block in time.
    const SHORT: Duration = Duration::from_millis(20);
    let (lock, data) = (MultiLock::new(), RwLock::new(()));
    let names = HandleLock::new();
    names.try_acquire(Exclusive, 0).unwrap();
    let _holds = (hold(&lock, Exclusive), data.try_write().unwrap());
    let set: LockSet<&MultiLock> = [&lock, data.raw()].into_iter().collect();
    let _queues = (lock.monitor(Shared), data.raw().monitor(Shared), names.monitor(Shared));
    let waits: [&(dyn Fn() + Sync); 5] = [
        &|| assert!(lock.acquire_blocking_timeout(Shared, SHORT).is_none()),
        &|| assert!(data.read_blocking_timeout(SHORT).is_none()),
        &|| assert!(names.acquire_blocking_timeout(Shared, 1, SHORT).is_err()),
        &|| assert!(set.acquire_blocking_timeout(Shared, SHORT).is_none()),
        &|| assert!(lock.acquire_blocking_timeout(Exclusive, SHORT).is_none()),
    ];
    for first in 0..waits.len() {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let counts = (0..waits.len())
                    .map(|n| allocations(waits[(first + n) % waits.len()]).1)
                    .collect::<Vec<_>>();
                assert_eq!(counts, [1, 0, 0, 0, 0], "beginning with {first}");
            });
            thread.join().unwrap();
        });
    }
}

/// Where no task awaits a monitor, an edge does the same work beside one as beside ten thousand: it counts. A test in
/// `interrupts.rs` shows that it enters no critical section.
#[test]
fn x1_an_edge_costs_the_same_beside_ten_thousand_monitors() {
    let (number, rounds) = if cfg!(miri) { (50, 3) } else { (10_000, 2_000) };
    let lock = MultiLock::new();
    // The quickest of several runs: other processes use the machine, too.
    let time = || {
        let run = || {
            let start = Instant::now();
            for _ in 0..rounds {
                drop(hold(&lock, Exclusive));
            }
            start.elapsed()
        };
        (0..20).map(|_| run()).min().unwrap()
    };
    let one = [Shared, Upgradable, Exclusive].map(|mode| lock.monitor(mode));
    let beside_one = time();
    let many: Vec<_> = (0..number).map(|n| lock.monitor(Mode::ALL[n % 3])).collect();
    let beside_many = time();
    without_allocation("an edge", || drop(hold(&lock, Exclusive)));
    assert!(one.iter().chain(&many).all(|monitor| monitor.is_set()));
    if !cfg!(miri) {
        assert!(beside_many < 10 * beside_one, "{beside_many:?} and {beside_one:?}");
    }
}

// -------------------------------------------------------------------------------- Wakers

/// A waker runs with no queue locked. A set is released from the last member to the first, and wakes the waiters of four
/// members at a time: while the first of their wakers runs, only the members before them are held.
#[test]
fn w_a_waker_runs_while_a_set_holds_the_members_before_a_batch() {
    let locks: Arc<[MultiLock; 6]> = Arc::default();
    let set: LockSet<&MultiLock> = locks.iter().collect();
    let guard = set.try_acquire(Exclusive).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut waiters: Vec<_> = locks.iter().map(|lock| Task::new(lock.acquire(Exclusive))).collect();
    for waiter in &mut waiters {
        let (locks, seen) = (locks.clone(), seen.clone());
        let on_wake = move || {
            let held = locks.each_ref().map(|lock| lock.locked().is_some());
            seen.lock().unwrap().push(held);
            // This needs the queue of each member.
            for (lock, held) in locks.iter().zip(held) {
                assert_eq!(poll_once(lock.acquire(Exclusive)).is_pending(), held);
            }
        };
        let waker = Hooks { on_wake: Box::new(on_wake), ..Hooks::default() }.waker();
        assert!(waiter.poll_with(&waker).is_pending());
    }
    drop(guard);
    let seen = seen.lock().unwrap();
    let while_two_are_held = [true, true, false, false, false, false];
    assert_eq!(seen[..], [&[while_two_are_held; 4][..], &[[false; 6]; 2]].concat());
}

/// A waiter that was not woken, and happens to find the lock free, drops its stored waker when it already holds the lock,
/// with no queue locked. A set drops it before that.
#[test]
fn w_a_new_holder_drops_its_old_waker_while_it_holds_the_lock() {
    let lock = Arc::new(MultiLock::new());
    let found = Arc::new(Mutex::new(Vec::new()));
    let waker = || {
        let (lock, found) = (lock.clone(), found.clone());
        let on_drop = move || {
            found.lock().unwrap().push(lock.locked());
            // With the queue locked this would hang.
            drop(lock.monitor(Shared));
        };
        Hooks { on_drop: Box::new(on_drop), ..Hooks::default() }.waker()
    };
    let set: LockSet<&MultiLock> = [&*lock].into_iter().collect();
    for of_a_set in [false, true] {
        let holder = hold(&lock, Exclusive);
        // The release wakes this waiter instead.
        let first = Task::queued(lock.acquire(Exclusive));
        let lent = waker();
        let mut one = Task::new(lock.acquire(Exclusive));
        let mut all = Task::new(set.acquire(Exclusive));
        let waits = if of_a_set {
            all.poll_with(&lent).is_pending()
        } else {
            one.poll_with(&lent).is_pending()
        };
        assert!(waits);
        drop(lent);
        found.lock().unwrap().clear();
        drop(holder);
        if of_a_set {
            drop(all.finish());
        } else {
            drop(one.finish());
        }
        let held = if of_a_set { None } else { Some(Exclusive) };
        assert_eq!(found.lock().unwrap()[..], [held]);
        drop(first);
    }
    assert_idle(&lock);
}

/// A waker polls inline, and its task releases the lock there, which wakes the next waiter from within: one level of
/// nesting for each waiter, and no more.
#[test]
#[cfg(not(target_family = "wasm"))]
fn w_wakers_that_poll_inline_nest_once_for_each_waiter() {
    let count = if cfg!(miri) { 20 } else { 1000 };
    let nest = move || {
        for mode in [Exclusive, Upgradable] {
            let lock = Arc::new(MultiLock::new());
            let [depth, deepest, entered] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
            let guard = hold(&lock, Exclusive);
            for _ in 0..count {
                let (lock, depth) = (lock.clone(), depth.clone());
                let (deepest, entered) = (deepest.clone(), entered.clone());
                Inline::spawn(async move {
                    let guard = lock.acquire(mode).await;
                    deepest.fetch_max(depth.fetch_add(1, SeqCst) + 1, SeqCst);
                    // Wakes the next waiter, which is polled before this call returns.
                    drop(guard);
                    depth.fetch_sub(1, SeqCst);
                    entered.fetch_add(1, SeqCst);
                });
            }
            drop(guard);
            assert_eq!(entered.load(SeqCst), count, "{mode:?}");
            assert_eq!(deepest.load(SeqCst), count, "{mode:?}");
            assert_idle(&lock);
        }
    };
    thread::Builder::new().stack_size(8 << 20).spawn(nest).unwrap().join().unwrap();
}

/// Why the next wake-up is not deferred until the outer waker returns: the outer waker may wait for it. Here the task
/// that a waker polls releases the lock, and waits for the next thread or task.
#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn w_a_waker_that_waits_for_the_next_waiter_does_not_block_it() {
    for by_thread in [false, true] {
        let lock = Arc::new(MultiLock::new());
        let guard = hold(&lock, Exclusive);
        let (is_in, next_is_in) = mpsc::channel();
        let in_time = Arc::new(AtomicUsize::new(0));
        let (first, count) = (lock.clone(), in_time.clone());
        Inline::spawn(async move {
            drop(first.acquire(Exclusive).await);
            // Still inside the waker.
            if next_is_in.recv_timeout(LONG).is_ok() {
                count.fetch_add(1, SeqCst);
            }
        });
        let next = lock.clone();
        let thread = if by_thread {
            let thread = thread::spawn(move || {
                let _guard = next.acquire_blocking(Exclusive);
                is_in.send(()).unwrap();
            });
            // If the thread is not queued yet, it finds the lock free, which is just as good.
            thread::sleep(Duration::from_millis(10));
            Some(thread)
        } else {
            Inline::spawn(async move {
                let _guard = next.acquire(Exclusive).await;
                is_in.send(()).unwrap();
            });
            None
        };
        drop(guard);
        if let Some(thread) = thread {
            thread.join().unwrap();
        }
        assert_eq!(in_time.load(SeqCst), 1, "the next waiter was not woken from within");
        assert_idle(&lock);
    }
}
