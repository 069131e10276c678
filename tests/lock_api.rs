//! The traits of `lock_api`, through its own lock, and the functions that wait for its guards.

#![cfg(all(feature = "lock_api", not(any(loom, shuttle)), not(target_family = "wasm")))]

mod support;

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use futures_core::FusedFuture;
use lock_api::{RawRwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use multilock::{
    Mode, MultiLock, lock_api_read, lock_api_upgradable_read, lock_api_upgrade, lock_api_write,
};

use support::{Hooks, Task, assert_idle, message};

type Lock<T> = lock_api::RwLock<MultiLock, T>;
type Upgradable<'a, T> = RwLockUpgradableReadGuard<'a, MultiLock, T>;
type Write<'a, T> = RwLockWriteGuard<'a, MultiLock, T>;

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(60);

fn raw<T: ?Sized>(lock: &Lock<T>) -> &MultiLock {
    // SAFETY: nothing is released that belongs to a guard.
    unsafe { lock.raw() }
}

fn soon() -> Instant {
    Instant::now() + SHORT
}

fn later() -> Instant {
    Instant::now() + LONG
}

/// Runs `wait` in a thread, and `then` in this thread once the other one waits in `mode`.
fn while_waiting<T: Sync, R: Send>(
    lock: &Lock<T>,
    mode: Mode,
    wait: impl FnOnce() -> R + Send,
    then: impl FnOnce(),
) -> R {
    thread::scope(|scope| {
        let thread = scope.spawn(wait);
        until(&thread, || raw(lock).snapshot().is_awaited(mode));
        then();
        thread.join().unwrap()
    })
}

/// Waits for `has_done`, which must become true before the end of `thread`.
#[track_caller]
fn until<R>(thread: &ScopedJoinHandle<'_, R>, has_done: impl Fn() -> bool) {
    while !has_done() {
        assert!(!thread.is_finished(), "the thread does not wait");
        thread::yield_now();
    }
}

/// Polls a future until it is ready.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

// ------------------------------------------------------------------------------------ Blocking

#[test]
fn locks_are_made_where_constants_are() {
    static NEW: Lock<u32> = Lock::new(1);
    static FROM_RAW: Lock<u32> = Lock::from_raw(MultiLock::new(), 2);
    static CONST_NEW: Lock<u32> = Lock::const_new(MultiLock::INIT, 3);
    for (lock, number) in [(&NEW, 1), (&FROM_RAW, 2), (&CONST_NEW, 3)] {
        *lock.write() += 1;
        assert_eq!(*lock.read(), number + 1);
        assert_idle(raw(lock));
    }
}

#[test]
fn e1_guards_exclude_each_other_as_modes_do() {
    let lock = Lock::new(());
    // Whether the lock can be read, read upgradably, and written.
    let room = || {
        let read = lock.try_read().is_some();
        let upgradable = lock.try_upgradable_read().is_some();
        [read, upgradable, lock.try_write().is_some()]
    };
    let locked = || (lock.is_locked(), lock.is_locked_exclusive());
    assert_eq!((room(), locked()), ([true, true, true], (false, false)));
    let guard = lock.read();
    assert_eq!((room(), locked()), ([true, true, false], (true, false)));
    drop(guard);
    let guard = lock.upgradable_read();
    assert_eq!((room(), locked()), ([true, false, false], (true, false)));
    drop(guard);
    let guard = lock.write();
    assert_eq!((room(), locked()), ([false, false, false], (true, true)));
    drop(guard);
    assert_idle(raw(&lock));
}

/// A monitor would see it if these functions acquired the lock and released it.
#[test]
fn is_locked_does_not_acquire() {
    let lock = Lock::new(());
    let monitor = raw(&lock).monitor(Mode::Exclusive);
    monitor.clear();
    assert!(!lock.is_locked() && !lock.is_locked_exclusive());
    assert!(!monitor.is_set());
    drop(lock.write());
    assert!(monitor.is_set());
}

#[test]
fn blocking_calls_acquire_when_the_lock_is_available() {
    let lock = Lock::new(1);
    let guard = Cell::new(Some(lock.write()));
    let free = || {
        let mut guard = guard.take().unwrap();
        *guard += 1;
    };
    while_waiting(&lock, Mode::Shared, || assert_eq!(*lock.read(), 2), free);
    guard.set(Some(lock.write()));
    while_waiting(&lock, Mode::Upgradable, || assert_eq!(*lock.upgradable_read(), 3), free);
    guard.set(Some(lock.write()));
    while_waiting(&lock, Mode::Exclusive, || assert_eq!(*lock.write(), 4), free);
    assert_idle(raw(&lock));
}

#[test]
fn timed_calls_that_time_out_acquire_nothing() {
    let lock = Lock::new(());
    let guard = lock.write();
    let start = Instant::now();
    assert!(lock.try_read_for(SHORT).is_none());
    assert!(lock.try_read_until(soon()).is_none());
    assert!(lock.try_upgradable_read_for(SHORT).is_none());
    assert!(lock.try_upgradable_read_until(soon()).is_none());
    assert!(lock.try_write_for(SHORT).is_none());
    assert!(lock.try_write_until(soon()).is_none());
    assert!(start.elapsed() >= 6 * SHORT);
    assert!(lock.try_write_for(Duration::ZERO).is_none());
    assert!(lock.try_write_until(start).is_none());
    drop(guard);
    assert_idle(raw(&lock));

    // A free lock is acquired at once, even when no time is left.
    assert!(lock.try_read_for(Duration::ZERO).is_some() && lock.try_read_until(start).is_some());
    assert!(lock.try_write_for(Duration::ZERO).is_some() && lock.try_write_until(start).is_some());
    assert!(lock.try_upgradable_read_for(Duration::ZERO).is_some());
    assert!(lock.try_upgradable_read_until(start).is_some());
    assert_idle(raw(&lock));
}

#[test]
fn timed_calls_acquire_when_the_lock_is_available() {
    let lock = Lock::new(());
    let check = |mode, wait: &(dyn Fn() -> Option<Mode> + Sync)| {
        let guard = lock.write();
        assert_eq!(while_waiting(&lock, mode, wait, || drop(guard)), Some(mode));
        assert_idle(raw(&lock));
    };
    let held = || raw(&lock).locked();
    check(Mode::Shared, &|| lock.try_read_for(LONG).and_then(|_guard| held()));
    check(Mode::Shared, &|| lock.try_read_until(later()).and_then(|_guard| held()));
    check(Mode::Upgradable, &|| lock.try_upgradable_read_for(LONG).and_then(|_guard| held()));
    check(Mode::Upgradable, &|| lock.try_upgradable_read_until(later()).and_then(|_guard| held()));
    check(Mode::Exclusive, &|| lock.try_write_for(LONG).and_then(|_guard| held()));
    check(Mode::Exclusive, &|| lock.try_write_until(later()).and_then(|_guard| held()));
    // Too long for the clock.
    check(Mode::Exclusive, &|| lock.try_write_for(Duration::MAX).and_then(|_guard| held()));
}

// ------------------------------------------------------------------------- Upgrade and downgrade

fn upgrades_in_time(upgrade: impl Fn(Upgradable<'_, u32>) -> Write<'_, u32> + Sync) {
    let lock = Lock::new(0);
    let (reads, more) = (lock.read(), lock.read());
    let upgradable = lock.upgradable_read();
    let mut writes = Task::new(lock_api_write(&lock));
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut guard = upgrade(upgradable);
            assert!(lock.is_locked_exclusive() && *guard == 0);
            *guard += 1;
        });
        until(&thread, || raw(&lock).snapshot().is_upgrading());
        // No other writer enters in between.
        writes.waits();
        drop(reads);
        assert!(raw(&lock).snapshot().is_upgrading());
        assert!(lock.try_read().is_none() && !writes.woken());
        drop(more);
        thread.join().unwrap();
    });
    assert!(writes.woken());
    assert_eq!(*writes.finish(), 1);
    assert_idle(raw(&lock));
}

#[test]
fn u2_an_upgrade_waits_for_readers_only() {
    upgrades_in_time(|guard| RwLockUpgradableReadGuard::upgrade(guard));
    upgrades_in_time(|guard| {
        RwLockUpgradableReadGuard::try_upgrade_for(guard, LONG).expect("in time")
    });
    upgrades_in_time(|guard| {
        RwLockUpgradableReadGuard::try_upgrade_for(guard, Duration::MAX).expect("in time")
    });
    upgrades_in_time(|guard| {
        RwLockUpgradableReadGuard::try_upgrade_until(guard, later()).expect("in time")
    });
    upgrades_in_time(|guard| block_on(lock_api_upgrade(guard)));
}

type Tried<'a> = Result<Write<'a, u32>, Upgradable<'a, u32>>;

#[test]
fn u2_an_upgrade_that_is_too_late_leaves_the_hold_as_it_was() {
    let tries: [fn(Upgradable<'_, u32>) -> Tried<'_>; 5] = [
        |guard| RwLockUpgradableReadGuard::try_upgrade(guard),
        |guard| RwLockUpgradableReadGuard::try_upgrade_for(guard, Duration::ZERO),
        |guard| RwLockUpgradableReadGuard::try_upgrade_for(guard, SHORT),
        |guard| RwLockUpgradableReadGuard::try_upgrade_until(guard, Instant::now()),
        |guard| RwLockUpgradableReadGuard::try_upgrade_until(guard, soon()),
    ];
    for try_upgrade in tries {
        let lock = Lock::new(0);
        let reads = lock.read();
        let guard = lock.upgradable_read();
        let before = raw(&lock).snapshot();
        let guard = try_upgrade(guard).unwrap_err();
        assert_eq!(raw(&lock).snapshot(), before);
        // Others may read again.
        assert!(lock.try_read().is_some() && lock.try_upgradable_read().is_none());
        drop(reads);
        let guard = try_upgrade(guard).unwrap_or_else(|_| panic!("no other holder is in the way"));
        assert!(lock.is_locked_exclusive() && lock.try_read().is_none());
        drop(guard);
        assert_idle(raw(&lock));
    }
}

/// Readers that arrived during the upgrade waited because of it.
#[test]
fn u2_an_upgrade_that_is_too_late_admits_readers() {
    let lock = Lock::new(0);
    let came_meanwhile = || {
        let (reads, guard) = (lock.read(), lock.upgradable_read());
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                while !raw(&lock).snapshot().is_upgrading() && !over.load(SeqCst) {
                    thread::yield_now();
                }
                let mut reader = Task::new(lock_api_read(&lock));
                reader.poll().is_pending().then_some(reader)
            });
            let late = Duration::from_millis(20);
            let guard = RwLockUpgradableReadGuard::try_upgrade_for(guard, late).unwrap_err();
            over.store(true, SeqCst);
            let reader = thread.join().unwrap().map(|mut reader| {
                assert!(reader.woken());
                drop(reader.finish());
            });
            drop((guard, reads));
            reader.is_some()
        })
    };
    while !came_meanwhile() {}
    assert_idle(raw(&lock));
}

#[test]
fn u4_a_downgrade_admits_readers_at_once() {
    let lock = Lock::new(0);
    let readers = || [(); 2].map(|()| Task::queued(lock_api_read(&lock)));
    fn enter<F: Future, const N: usize>(mut tasks: [Task<F>; N]) {
        let guards = tasks.each_mut().map(|task| {
            assert!(task.woken());
            task.finish()
        });
        drop(guards);
    }

    let guard = lock.write();
    let tasks = readers();
    let guard = RwLockWriteGuard::downgrade(guard);
    enter(tasks);
    assert!(lock.try_upgradable_read().is_some() && lock.try_write().is_none());
    drop(guard);
    assert_idle(raw(&lock));

    let guard = lock.write();
    let tasks = readers();
    let guard = RwLockWriteGuard::downgrade_to_upgradable(guard);
    enter(tasks);
    assert!(lock.try_upgradable_read().is_none());
    let upgradable = [Task::queued(lock_api_upgradable_read(&lock))];
    let guard = RwLockUpgradableReadGuard::downgrade(guard);
    enter(upgradable);
    assert!(lock.try_read().is_some() && lock.try_write().is_none());
    drop(guard);
    assert_idle(raw(&lock));
}

// ---------------------------------------------------------------------------------------- Fair

/// A thread waits to write. Then `unlock` runs, and the thread has the lock before it runs again.
fn handed_over(lock: &Lock<u32>, unlock: impl FnOnce()) {
    thread::scope(|scope| {
        let (proceed, wait) = mpsc::channel();
        let thread = scope.spawn(move || {
            let mut guard = lock.write();
            wait.recv().unwrap();
            *guard += 1;
        });
        until(&thread, || raw(lock).snapshot().is_awaited(Mode::Exclusive));
        unlock();
        assert!(lock.is_locked_exclusive());
        assert!(lock.try_write().is_none() && lock.try_read().is_none());
        proceed.send(()).unwrap();
        thread.join().unwrap();
    });
    assert_idle(raw(lock));
}

#[test]
fn q3_a_fair_unlock_hands_the_lock_to_a_thread() {
    // Repeated, so that it cannot happen by chance.
    for _ in 0..if cfg!(miri) { 2 } else { 50 } {
        let lock = Lock::new(0);
        let guard = lock.write();
        handed_over(&lock, || RwLockWriteGuard::unlock_fair(guard));
        let guard = lock.upgradable_read();
        handed_over(&lock, || RwLockUpgradableReadGuard::unlock_fair(guard));
        let guard = lock.read();
        handed_over(&lock, || RwLockReadGuard::unlock_fair(guard));
        // The release of the last reader hands the lock over.
        let (guard, last) = (lock.read(), lock.read());
        handed_over(&lock, || {
            RwLockReadGuard::unlock_fair(guard);
            assert!(!lock.is_locked_exclusive());
            RwLockReadGuard::unlock_fair(last);
        });
        assert_eq!(*lock.read(), 4);
    }
}

#[test]
fn q3_a_fair_unlock_hands_the_lock_to_readers() {
    let lock = &Lock::new(());
    for _ in 0..if cfg!(miri) { 2 } else { 50 } {
        let guard = lock.write();
        thread::scope(|scope| {
            let (proceed, wait) = mpsc::channel();
            let thread = scope.spawn(move || {
                let _guard = lock.upgradable_read();
                wait.recv().unwrap();
            });
            until(&thread, || raw(lock).snapshot().is_awaited(Mode::Upgradable));
            RwLockWriteGuard::unlock_fair(guard);
            assert!(lock.try_upgradable_read().is_none() && lock.try_write().is_none());
            assert!(lock.try_read().is_some());
            proceed.send(()).unwrap();
        });
        assert_idle(raw(lock));
    }
}

/// The task may never run.
#[test]
fn p1_a_fair_unlock_hands_nothing_to_a_task() {
    let lock = Lock::new(());
    let guard = lock.write();
    let mut task = Task::queued(lock_api_write(&lock));
    RwLockWriteGuard::unlock_fair(guard);
    assert!(task.woken() && !lock.is_locked());
    drop(lock.try_write().unwrap());
    drop(task.finish());
    assert_idle(raw(&lock));
}

/// A thread writes while a guard is bumped.
fn bumped<G>(lock: &Lock<u32>, guard: G, bump: impl FnOnce(&mut G), read: impl Fn(&G) -> u32) {
    let write = || *lock.write() += 1;
    while_waiting(lock, Mode::Exclusive, write, move || {
        let (mut guard, held) = (guard, raw(lock).locked());
        let before = read(&guard);
        bump(&mut guard);
        assert_eq!(read(&guard), before + 1);
        assert_eq!(raw(lock).locked(), held);
    });
    assert_idle(raw(lock));
}

#[test]
fn q3_a_bump_admits_a_waiting_thread_first() {
    let lock = Lock::new(0);
    for _ in 0..if cfg!(miri) { 2 } else { 50 } {
        bumped(&lock, lock.write(), RwLockWriteGuard::bump, |guard| **guard);
        bumped(&lock, lock.read(), RwLockReadGuard::bump, |guard| **guard);
        bumped(&lock, lock.upgradable_read(), RwLockUpgradableReadGuard::bump, |guard| **guard);
    }
}

#[test]
fn u2_a_bump_admits_a_waiting_upgrade_first() {
    let lock = Lock::new(0);
    thread::scope(|scope| {
        let (mut reads, upgradable) = (lock.read(), lock.upgradable_read());
        let upgrade = || *RwLockUpgradableReadGuard::upgrade(upgradable) += 1;
        let thread = scope.spawn(upgrade);
        until(&thread, || raw(&lock).snapshot().is_upgrading());
        RwLockReadGuard::bump(&mut reads);
        assert_eq!(*reads, 1);
    });
    assert_idle(raw(&lock));
}

/// Not even a monitor notices.
#[test]
fn a_bump_does_nothing_if_there_is_no_waiter() {
    let lock = Lock::new(());
    let mut writes = lock.write();
    let monitor = raw(&lock).monitor(Mode::Shared);
    assert!(!monitor.is_set());
    RwLockWriteGuard::bump(&mut writes);
    assert!(!monitor.is_set());
    drop(writes);

    let monitor = raw(&lock).monitor(Mode::Exclusive);
    let mut reads = lock.read();
    monitor.clear();
    RwLockReadGuard::bump(&mut reads);
    assert!(!monitor.is_set());
    drop(reads);
    let mut upgradable = lock.upgradable_read();
    monitor.clear();
    RwLockUpgradableReadGuard::bump(&mut upgradable);
    assert!(!monitor.is_set());
}

/// The task is woken, and if it does not run, the holder acquires the lock again.
#[test]
fn p1_a_bump_does_not_wait_for_a_task() {
    let lock = Lock::new(());
    let mut guard = lock.write();
    let mut task = Task::queued(lock_api_read(&lock));
    RwLockWriteGuard::bump(&mut guard);
    assert!(task.woken() && lock.is_locked_exclusive());
    task.waits();
    drop(guard);
    drop(task.finish());
    assert_idle(raw(&lock));
}

// ------------------------------------------------------------------------------------- Awaited

fn add_one(mut guard: Write<'_, [usize; 2]>) -> Write<'_, [usize; 2]> {
    guard[0] += 1;
    if guard[0] % 7 == 0 {
        thread::yield_now();
    }
    guard[1] += 1;
    guard
}

#[test]
fn e2_threads_and_tasks_share_a_lock() {
    let (threads, turns) = if cfg!(miri) { (1, 3) } else { (2, 500) };
    let lock = Lock::new([0; 2]);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for turn in 0..turns {
                    let guard = add_one(lock.write());
                    match turn % 4 {
                        0 => drop(guard),
                        1 => RwLockWriteGuard::unlock_fair(guard),
                        2 => RwLockReadGuard::unlock_fair(RwLockWriteGuard::downgrade(guard)),
                        _ => drop(RwLockWriteGuard::downgrade_to_upgradable(guard)),
                    }
                }
            });
            scope.spawn(|| {
                for turn in 0..turns {
                    let guard = lock.upgradable_read();
                    let before = *guard;
                    let guard = if turn % 2 == 0 {
                        RwLockUpgradableReadGuard::upgrade(guard)
                    } else {
                        match RwLockUpgradableReadGuard::try_upgrade_for(guard, LONG) {
                            Ok(guard) => guard,
                            Err(_) => panic!("too late"),
                        }
                    };
                    assert_eq!(*guard, before);
                    let mut guard = add_one(guard);
                    if turn % 16 == 0 {
                        RwLockWriteGuard::bump(&mut guard);
                    }
                }
            });
            scope.spawn(|| {
                block_on(async {
                    for _ in 0..turns {
                        drop(add_one(lock_api_write(&lock).await));
                        let guard = lock_api_read(&lock).await;
                        assert_eq!(guard[0], guard[1]);
                    }
                });
            });
            scope.spawn(|| {
                block_on(async {
                    for _ in 0..turns {
                        let guard = lock_api_upgradable_read(&lock).await;
                        let before = *guard;
                        let guard = lock_api_upgrade(guard).await;
                        assert_eq!(*guard, before);
                        drop(add_one(guard));
                    }
                });
            });
        }
    });
    assert_idle(raw(&lock));
    assert_eq!(lock.into_inner(), [4 * threads * turns; 2]);
}

/// `acquire` is dropped before its first poll, while it waits, and after it was woken.
fn dropped_at_each_point<F: Future>(lock: &Lock<u32>, acquire: impl Fn() -> F) {
    drop(acquire());
    assert_idle(raw(lock));
    let guard = lock.write();
    let before = raw(lock).snapshot();
    let waits = Task::queued(acquire());
    assert_ne!(raw(lock).snapshot(), before);
    drop(waits);
    assert_eq!(raw(lock).snapshot(), before);
    let notified = Task::queued(acquire());
    let mut next = Task::queued(lock_api_write(lock));
    drop(guard);
    assert!(notified.woken() && !next.woken());
    drop(notified);
    assert!(next.woken());
    drop(next.finish());
    assert_idle(raw(lock));
}

#[test]
fn c3_what_is_awaited_may_be_dropped_at_any_point() {
    let lock = Lock::new(0);
    dropped_at_each_point(&lock, || lock_api_read(&lock));
    dropped_at_each_point(&lock, || lock_api_upgradable_read(&lock));
    dropped_at_each_point(&lock, || lock_api_write(&lock));
}

#[test]
fn c3_a_dropped_upgrade_drops_its_guard() {
    let lock = Lock::new(0);
    // Not polled.
    drop(lock_api_upgrade(lock.upgradable_read()));
    assert_idle(raw(&lock));

    // The upgrade waits, and others wait because of it.
    let reads = lock.read();
    let upgrade = Task::queued(lock_api_upgrade(lock.upgradable_read()));
    let mut reader = Task::queued(lock_api_read(&lock));
    let mut upgradable = Task::queued(lock_api_upgradable_read(&lock));
    drop(upgrade);
    assert!(reader.woken() && upgradable.woken());
    drop((reader.finish(), upgradable.finish(), reads));
    assert_idle(raw(&lock));

    // The last reader has released the lock.
    let reads = lock.read();
    let upgrade = Task::queued(lock_api_upgrade(lock.upgradable_read()));
    let mut writer = Task::queued(lock_api_write(&lock));
    drop(reads);
    assert!(upgrade.woken() && !writer.woken());
    drop(upgrade);
    assert!(writer.woken());
    drop(writer.finish());
    assert_idle(raw(&lock));
}

#[test]
fn lock_api_futures_are_fused() {
    fn run<F: FusedFuture>(future: F) -> F::Output {
        let mut task = Task::new(future);
        assert!(!task.future().is_terminated());
        let output = task.finish();
        assert!(task.future().is_terminated());
        output
    }
    // With data of unknown size.
    let lock: &Lock<[u32]> = &Lock::new([1, 2]);
    assert_eq!(run(lock_api_read(lock))[..], [1, 2]);
    run(lock_api_write(lock))[1] = 3;
    let mut guard = run(lock_api_upgrade(run(lock_api_upgradable_read(lock))));
    guard[0] = 2;
    assert_eq!(guard[..], [2, 3]);
    drop(guard);
    assert_idle(raw(lock));
}

/// `future` is polled with a waker that panics in its destructor, and then `before` runs. The next poll drops the
/// waker, and nothing of the future is left afterwards.
fn panics<F: Future>(future: F, before: impl FnOnce()) {
    let panics = Arc::new(AtomicBool::new(false));
    let on_drop = {
        let panics = panics.clone();
        move || {
            if panics.swap(false, SeqCst) {
                panic!("dropped");
            }
        }
    };
    let waker = Hooks { on_drop: Box::new(on_drop), ..Hooks::default() }.waker();
    let mut task = Task::new(future);
    assert!(task.poll_with(&waker).is_pending());
    drop(waker);
    panics.store(true, SeqCst);
    before();
    let panic = catch_unwind(AssertUnwindSafe(|| drop(task.poll()))).unwrap_err();
    assert_eq!(message(panic), "dropped");
}

#[test]
fn a_waker_that_panics_leaves_no_hold_and_no_waiter() {
    fn check<F: Future>(lock: &Lock<u32>, acquire: impl Fn() -> F) {
        // The waker is replaced.
        let guard = lock.write();
        panics(acquire(), || {});
        drop(guard);
        assert_idle(raw(lock));
        // Another waiter was notified, and this one enters.
        let guard = lock.read();
        let mut notified = Task::queued(lock_api_write(lock));
        panics(acquire(), || drop(guard));
        assert!(!lock.is_locked());
        drop(notified.finish());
        assert_idle(raw(lock));
    }
    let lock = Lock::new(0);
    check(&lock, || lock_api_read(&lock));
    check(&lock, || lock_api_upgradable_read(&lock));
    check(&lock, || lock_api_write(&lock));
    let reads = lock.read();
    panics(lock_api_upgrade(lock.upgradable_read()), || {});
    drop(reads);
    assert_idle(raw(&lock));
}

#[test]
fn what_is_awaited_may_be_sent() {
    fn sent<T: Send>(value: T) -> T {
        value
    }
    fn shared<T: Sync>(value: T) -> T {
        value
    }
    let lock = shared(sent(Lock::new(String::new())));
    drop(sent(block_on(sent(shared(lock_api_read(&lock))))));
    drop(sent(block_on(sent(shared(lock_api_write(&lock))))));
    let guard = sent(block_on(sent(shared(lock_api_upgradable_read(&lock)))));
    let mut guard = sent(block_on(sent(shared(lock_api_upgrade(guard)))));
    // The guard is used in another thread.
    thread::scope(|scope| {
        scope.spawn(move || guard.push('x'));
    });
    assert_idle(raw(&lock));
    assert_eq!(lock.into_inner(), "x");
}

/// Calls that release the lock or weaken the mode: otherwise there would be a guard without its lock held.
#[test]
fn e1_a_waker_that_panics_leaves_no_guard_without_a_hold() {
    fn panics() -> Waker {
        Hooks { on_wake: Box::new(|| panic!("in wake")), ..Hooks::default() }.waker()
    }
    let lock = Lock::new(0);
    let waits = |future: Pin<&mut dyn Future<Output = ()>>| {
        assert!(future.poll(&mut Context::from_waker(&panics())).is_pending());
    };
    let read = || Box::pin(async { drop(lock_api_read(&lock).await) });
    let upgradable = || Box::pin(async { drop(lock_api_upgradable_read(&lock).await) });

    let mut guard = lock.write();
    for way in 0..2 {
        let mut waiter = read();
        waits(waiter.as_mut());
        match way {
            0 => RwLockWriteGuard::bump(&mut guard),
            _ => RwLockWriteGuard::unlocked(&mut guard, || ()),
        }
        assert!(lock.is_locked_exclusive() && lock.try_read().is_none());
        *guard += 1;
        drop(waiter);
    }
    let mut waiter = read();
    waits(waiter.as_mut());
    let guard = RwLockWriteGuard::downgrade_to_upgradable(guard);
    drop(waiter);
    let mut waiter = upgradable();
    waits(waiter.as_mut());
    let guard = RwLockUpgradableReadGuard::downgrade(guard);
    drop(waiter);
    assert_eq!(
        (raw(&lock).locked(), raw(&lock).snapshot().shared_holders()),
        (Some(Mode::Shared), 1)
    );
    drop(guard);
    assert_idle(raw(&lock));

    for way in 0..4 {
        let guard = lock.write();
        let mut waiter = read();
        waits(waiter.as_mut());
        match way {
            0 => drop(RwLockWriteGuard::downgrade(guard)),
            1 => RwLockWriteGuard::unlock_fair(guard),
            2 => drop(guard),
            _ => {
                let guard = RwLockWriteGuard::downgrade_to_upgradable(guard);
                RwLockUpgradableReadGuard::unlock_fair(guard);
            }
        }
        drop(waiter);
        assert_idle(raw(&lock));
    }
}

/// Here the guard does not match the way the lock is held. It writes nothing, in any build.
#[test]
fn e1_an_upgrade_that_is_refused_does_not_go_on() {
    let lock = Lock::new(0);
    let refused = |upgrade: &dyn Fn(Upgradable<'_, i32>)| {
        std::mem::forget(lock.write());
        // SAFETY: broken on purpose. The lock should be held in upgradable mode without a guard, and is held in
        // exclusive mode. The data is not touched.
        let guard = unsafe { lock.make_upgradable_guard_unchecked() };
        let panic = catch_unwind(AssertUnwindSafe(|| upgrade(guard))).expect_err("it is refused");
        assert!(message(panic).contains("is not refused"));
        // SAFETY: the drop of the wrong guard has left the lock held in upgradable mode, without a guard.
        drop(unsafe { lock.make_upgradable_guard_unchecked() });
        assert_idle(raw(&lock));
    };
    refused(&|guard| drop(Upgradable::upgrade(guard)));
    refused(&|guard| drop(Task::new(lock_api_upgrade(guard)).poll()));
}
