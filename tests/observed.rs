//! What the observer of a lock is told, of each way to acquire it, to change its mode and to end.

#![cfg(feature = "observed")]
#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]
#![cfg_attr(
    any(not(feature = "std"), target_family = "wasm", not(panic = "unwind")),
    allow(unused_imports, dead_code, reason = "no threads that block, no unwinding")
)]
#![allow(dropping_copy_types, reason = "a macro drops any value")]

#[path = "support/observer.rs"]
mod observer;
mod support;

use std::future::{pending, ready};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use multilock::Mode::{self, Exclusive, Shared, Upgradable};
use multilock::observed::{
    self, Guard, GuardArc, MappedRwLockWriteGuard, RwLockReadGuard, RwLockReadGuardArc,
    RwLockUpgradableReadGuard, RwLockUpgradableReadGuardArc, RwLockWriteGuard, RwLockWriteGuardArc,
};
use multilock::{
    LockGuard, LockSet, Lockable, UpgradeError, acquire_all, lock_all, lock_all_or,
    try_acquire_all, try_lock_all,
};
use observer::Log;
use support::{Counting, Task, now};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type MultiLock = observed::MultiLock<&'static Log>;
type RwLock<T> = observed::RwLock<T, &'static Log>;

fn log() -> &'static Log {
    Box::leak(Box::default())
}

/// A lock, and what its observer is told.
fn lock() -> (Arc<MultiLock>, &'static Log) {
    let log = log();
    (Arc::new(MultiLock::with_observer("lock", log)), log)
}

fn data() -> (Arc<RwLock<(u32, u32)>>, &'static Log) {
    let log = log();
    (Arc::new(RwLock::with_observer("data", (1, 2), log)), log)
}

/// Checks that the lock has no holder and no waiter.
#[track_caller]
fn assert_idle(lock: &MultiLock) {
    assert_eq!(lock.snapshot(), multilock::MultiLock::new().snapshot());
}

const LETTERS: [(Mode, char); 3] = [(Shared, 'S'), (Upgradable, 'U'), (Exclusive, 'E')];
const LONG: Duration = Duration::from_secs(60);

// --------------------------------------------------------------------------------- The lock without data

#[test]
fn an_acquisition_at_its_first_poll_does_not_wait() {
    let (lock, log) = lock();
    for (mode, m) in LETTERS {
        let check = |told: &str| assert_eq!(log.take(), told.replace('?', &m.to_string()));
        drop(lock.try_acquire(mode).unwrap());
        check("a?0 r?0");
        drop(lock.try_acquire_arc(mode).unwrap());
        check("a?0 r?0");
        drop(now(lock.acquire(mode)));
        check("a?0 r?0");
        drop(now(lock.acquire_arc(mode)));
        check("a?0 r?0");
        drop(now(lock.acquire_or(mode, pending::<()>())).unwrap());
        check("a?0 r?0");
        drop(now(lock.acquire_or_arc(mode, pending::<()>())).unwrap());
        check("a?0 r?0");
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        {
            drop(lock.acquire_blocking(mode));
            check("a?0 r?0");
            drop(lock.acquire_blocking_arc(mode));
            check("a?0 r?0");
            drop(lock.acquire_blocking_timeout(mode, LONG).unwrap());
            check("a?0 r?0");
            drop(lock.acquire_blocking_timeout_arc(mode, Duration::ZERO).unwrap());
            check("a?0 r?0");
            drop(lock.acquire_blocking_deadline(mode, Instant::now()).unwrap());
            check("a?0 r?0");
            drop(lock.acquire_blocking_deadline_arc(mode, Instant::now() + LONG).unwrap());
            check("a?0 r?0");
        }
    }
    assert_idle(&lock);
}

#[test]
fn an_acquisition_that_waits_is_told_so_once() {
    let (lock, log) = lock();
    for (mode, m) in LETTERS {
        let guard = lock.try_acquire(Exclusive).unwrap();
        let (mut first, mut second) =
            (Task::new(lock.acquire(mode)), Task::new(lock.acquire_arc(mode)));
        let mut third = Task::new(lock.acquire_or(mode, pending::<()>()));
        let mut fourth = Task::new(lock.acquire_or_arc(mode, pending::<()>()));
        assert_eq!(log.take(), "aE0");
        for _ in 0..3 {
            first.waits();
        }
        assert_eq!(log.take(), format!("w{m}0"));
        drop(guard);
        assert_eq!(log.take(), "rE0");
        drop(first.finish());
        assert_eq!(log.take(), format!("a{m}0>0 r{m}0"));
        // With the records of before.
        let guard = lock.try_acquire(Exclusive).unwrap();
        second.waits();
        third.waits();
        fourth.waits();
        drop(guard);
        drop(second.finish());
        drop(third.finish());
        drop(fourth.finish());
        let told = "aE0 w?1 w?2 w?3 rE0 a?1>4 r?4 a?2>5 r?5 a?3>6 r?6";
        assert_eq!(log.take(), told.replace('?', &m.to_string()));
    }
    assert_idle(&lock);
}

/// Nothing is told before the first poll. The end of a wait is told, and a forgotten one does not end.
#[test]
fn a_wait_that_is_dropped_is_cancelled() {
    let (lock, log) = lock();
    for (mode, m) in LETTERS {
        log.take();
        drop((lock.acquire(mode), lock.acquire_arc(mode)));
        drop((lock.acquire_or(mode, pending::<()>()), lock.acquire_or_arc(mode, ready(()))));
        mem::forget(lock.acquire(mode));
        assert_eq!(log.take(), "");
        let _guard = lock.try_acquire(Exclusive).unwrap();
        log.take();
        drop(Task::queued(lock.acquire(mode)));
        drop(Task::queued(lock.acquire_arc(mode)));
        drop(Task::queued(lock.acquire_or(mode, pending::<()>())));
        drop(Task::queued(lock.acquire_or_arc(mode, pending::<()>())));
        assert_eq!(log.take(), "w?0 x?0 w?1 x?1 w?2 x?2 w?3 x?3".replace('?', &m.to_string()));
    }
    let guard = lock.try_acquire(Exclusive).unwrap();
    log.take();
    let forgotten = Box::leak(Box::new(Task::queued(lock.acquire(Shared))));
    assert!(forgotten.polls() == 1);
    drop(guard);
    assert_eq!(log.take(), "wS0 rE0");
}

#[test]
fn an_acquisition_that_gives_up_is_told_as_one() {
    let (lock, log) = lock();
    let guard = lock.try_acquire(Exclusive).unwrap();
    log.take();
    // It gives up before it waits.
    now(lock.acquire_or(Shared, ready(()))).unwrap_err();
    now(lock.acquire_or_arc(Shared, ready(()))).unwrap_err();
    assert_eq!(log.take(), "");
    // It gives up after a wait.
    let (send, cancel) = futures_channel();
    let mut task = Task::queued(lock.acquire_or(Shared, cancel));
    send();
    task.finish().unwrap_err();
    assert_eq!(log.take(), "wS0 xS0");
    drop(task);
    assert_eq!(log.take(), "");
    // It succeeds at its last try, and has waited all the same.
    let mut guard = Some(guard);
    let mut polls = 0;
    let cancel = std::future::poll_fn(|_| {
        polls += 1;
        if polls == 1 {
            return std::task::Poll::Pending;
        }
        guard = None;
        std::task::Poll::Ready(())
    });
    let mut task = Task::queued(lock.acquire_or(Shared, cancel));
    drop(task.finish().unwrap());
    assert_eq!(log.take(), "wS0 rE0 aS0>1 rS1");
}

/// A future that is ready when the function was called.
fn futures_channel() -> (impl FnOnce(), impl Future<Output = ()>) {
    let (send, called) = (Arc::new(AtomicUsize::new(0)), ());
    let cancel = send.clone();
    let cancel = std::future::poll_fn(move |_| match cancel.load(Relaxed) {
        0 => std::task::Poll::Pending,
        _ => std::task::Poll::Ready(called),
    });
    (move || send.store(1, Relaxed), cancel)
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn a_blocking_acquisition_is_told_as_one() {
    let (lock, log) = lock();
    let guard = lock.try_acquire(Exclusive).unwrap();
    log.take();
    let short = Duration::from_millis(5);
    assert!(lock.acquire_blocking_timeout(Shared, short).is_none());
    assert!(lock.acquire_blocking_timeout_arc(Shared, short).is_none());
    assert!(lock.acquire_blocking_deadline(Shared, Instant::now() + short).is_none());
    assert!(lock.acquire_blocking_deadline_arc(Shared, Instant::now() + short).is_none());
    assert_eq!(log.take(), "wS0 xS0 wS1 xS1 wS2 xS2 wS3 xS3");
    assert!(lock.acquire_blocking_timeout(Shared, Duration::ZERO).is_none());
    assert!(lock.acquire_blocking_deadline(Shared, Instant::now()).is_none());
    assert_eq!(log.take(), "");
    drop(guard);
    type Block = fn(&Arc<MultiLock>) -> Box<dyn Send>;
    let blocks: [Block; 4] = [
        |lock| Box::new(lock.acquire_blocking_arc(Upgradable)),
        |lock| Box::new(lock.acquire_blocking_timeout_arc(Upgradable, LONG).unwrap()),
        |lock| {
            drop(lock.acquire_blocking(Upgradable));
            Box::new(())
        },
        |lock| {
            drop(lock.acquire_blocking_timeout(Upgradable, LONG).unwrap());
            Box::new(())
        },
    ];
    for block in blocks {
        let guard = lock.try_acquire(Exclusive).unwrap();
        log.take();
        thread::scope(|scope| {
            scope.spawn(|| drop(block(&lock)));
            while !lock.snapshot().is_awaited(Upgradable) || log.lines().is_empty() {
                thread::yield_now();
            }
            drop(guard);
        });
        // Handed to the thread, which may run before this one tells of the release.
        let told = log.take();
        let mut words: Vec<_> = told.split(' ').collect();
        words.sort_unstable();
        assert_eq!(words, ["aU0>1", "rE0", "rU1", "wU0"], "{told}");
    }
    assert_idle(&lock);
}

#[test]
fn a_forgotten_guard_does_not_end() {
    let (lock, log) = lock();
    mem::forget(lock.try_acquire(Shared));
    mem::forget(lock.try_acquire_arc(Shared));
    assert_eq!(log.take(), "aS0 aS1");
    assert_eq!(lock.snapshot().shared_holders(), 2);
}

/// The record travels with the handle.
#[test]
fn a_handle_goes_on_with_the_acquisition() {
    let (lock, log) = lock();
    let handle = lock.try_acquire(Upgradable).unwrap().into_handle();
    assert_eq!(log.take(), "aU0");
    lock.release(handle).unwrap();
    assert_eq!(log.take(), "rU0");
    let _other = lock.try_acquire(Shared).unwrap();
    let handle = lock.try_acquire_arc(Upgradable).unwrap().into_handle();
    assert_eq!(log.take(), "aS0 aU1");
    let other = self::lock().0;
    let handle = other.release(handle).unwrap_err().into_handle();
    let mut guard = lock.adopt(handle).unwrap();
    guard.downgrade(Shared);
    let handle = guard.into_handle();
    assert_eq!(log.take(), "cU>S1>0");
    let guard = lock.adopt_arc(handle).unwrap();
    assert_eq!(log.take(), "");
    drop(guard);
    assert_eq!(log.take(), "rS0");
    let _forgotten = lock.try_acquire(Shared).unwrap().into_handle();
    assert_eq!(log.take(), "aS0");
}

#[test]
fn a_share_is_an_acquisition() {
    let (lock, log) = lock();
    let guard = lock.try_acquire(Upgradable).unwrap();
    let more = guard.share().unwrap();
    drop(guard);
    drop(more.share());
    drop(more);
    assert_eq!(log.take(), "aU0 aS1 rU0 aS2 rS2 rS1");
    let guard = lock.try_acquire_arc(Exclusive).unwrap();
    assert!(guard.share().is_none());
    drop(guard);
    assert_eq!(log.take(), "aE0 rE0");
}

#[test]
fn a_downgrade_and_an_upgrade_are_changes() {
    let (lock, log) = lock();
    let mut guard = lock.try_acquire(Exclusive).unwrap();
    guard.downgrade(Exclusive);
    assert_eq!(log.take(), "aE0");
    guard.downgrade(Upgradable);
    guard.try_upgrade().unwrap();
    guard.try_upgrade().unwrap();
    guard.downgrade(Shared);
    now(guard.upgrade()).unwrap();
    now(guard.upgrade()).unwrap();
    assert_eq!(log.take(), "cE>U0>0 cU>E0>1 cE>S1>2 cS>E2>3");
    guard.downgrade(Upgradable);
    log.take();
    // An upgrade that waits.
    let reader = lock.try_acquire(Shared).unwrap();
    assert_eq!(guard.try_upgrade(), Err(UpgradeError::SharedHolders));
    assert_eq!(log.take(), "aS0");
    drop(guard.upgrade());
    assert_eq!(log.take(), "");
    {
        let mut upgrade = Task::queued(guard.upgrade());
        upgrade.waits();
        assert_eq!(log.take(), "wU>E0");
    }
    assert_eq!(log.take(), "xU>E0");
    // It gives up.
    let (send, cancel) = futures_channel();
    let mut upgrade = Task::queued(guard.upgrade_or(cancel));
    send();
    upgrade.finish().unwrap_err();
    drop(upgrade);
    assert_eq!(log.take(), "wU>E0 xU>E0");
    // The acquisition goes on after both, and the upgrade is successful at last.
    let mut upgrade = Task::queued(guard.upgrade());
    drop(reader);
    upgrade.finish().unwrap();
    drop(upgrade);
    drop(guard);
    assert_eq!(log.take(), "wU>E0 rS0 cU>E0+0>1 rE1");
    // A conflict.
    let mut guard = lock.try_acquire(Shared).unwrap();
    let _other = lock.try_acquire(Upgradable).unwrap();
    log.take();
    assert_eq!(now(guard.upgrade()), Err(UpgradeError::Conflict));
    assert_eq!(log.take(), "");
}

/// Each call comes with the line of the user, also where the lock is behind a pointer or a type parameter.
#[test]
fn each_call_site_is_the_line_of_the_caller() {
    let (lock, log) = lock();
    let (data, of_data) = data();
    macro_rules! site {
        ($log:ident, $e:expr) => {{
            $log.take();
            let line = (line!(), drop($e)).0;
            let lines = $log.lines();
            assert!(!lines.is_empty() && lines.iter().all(|of| *of == line), "{line} {lines:?}");
        }};
    }
    assert_eq!(lock.observer().take(), "");
    site!(log, lock.try_acquire(Shared));
    site!(log, lock.try_acquire_arc(Shared));
    site!(log, now(lock.acquire(Shared)));
    site!(log, now(lock.acquire_arc(Shared)));
    site!(log, now(lock.acquire_or(Shared, pending::<()>())));
    site!(log, now(lock.acquire_or_arc(Shared, pending::<()>())));
    site!(log, lock.try_acquire(Shared).unwrap().share());
    site!(log, Lockable::try_acquire(&lock, Shared));
    site!(log, now(Lockable::acquire(&&*lock, Shared)));
    site!(log, now(Lockable::acquire(&lock, Shared)));
    let set: LockSet<_> = [&*lock, data.raw()].into_iter().collect();
    site!(log, set.try_acquire(Shared));
    site!(log, now(set.acquire(Shared)));
    site!(log, now(set.acquire_or(Shared, pending::<()>())));
    site!(log, now(Lockable::acquire(&&set, Shared)));
    site!(log, try_acquire_all([(&lock, Shared)]));
    site!(log, now(acquire_all([(&lock, Shared)])));
    site!(log, try_lock_all((lock.in_mode(Shared), data.reading())));
    site!(of_data, now(lock_all([data.reading_arc(), data.reading_arc()])));
    site!(of_data, now(lock_all_or(vec![data.writing()], pending::<()>())));
    site!(of_data, data.try_read());
    site!(of_data, data.try_write_arc());
    site!(of_data, now(data.upgradable_read()));
    site!(of_data, now(data.write_arc()));
    site!(of_data, now(data.read_or(pending::<()>())));
    site!(of_data, now(data.with(|_| ())));
    site!(of_data, now(data.with_mut(|_| ())));
    site!(of_data, now(data.read_when(|_| true)));
    site!(of_data, now(data.write_arc_when_or(|_| true, pending::<()>())));
    site!(of_data, RwLockReadGuard::share(&data.try_read().unwrap()));
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    {
        site!(log, lock.acquire_blocking(Shared));
        site!(log, lock.acquire_blocking_timeout_arc(Shared, LONG));
        site!(log, lock.acquire_blocking_deadline(Shared, Instant::now()));
        site!(log, Lockable::acquire_blocking(&lock, Shared));
        site!(log, set.acquire_blocking(Shared));
        site!(log, set.acquire_blocking_timeout(Shared, LONG));
        site!(log, multilock::acquire_all_blocking([(&lock, Shared)]));
        site!(log, multilock::lock_all_blocking([lock.in_mode(Shared)]));
        site!(log, multilock::lock_all_blocking_timeout([lock.in_mode_arc(Shared)], LONG));
        site!(of_data, data.read_blocking());
        site!(of_data, data.write_arc_blocking_timeout(LONG));
        site!(of_data, data.with_mut_blocking(|_| ()));
        site!(of_data, data.read_when_blocking(|_| true));
        site!(of_data, data.write_when_blocking_timeout(|_| true, LONG));
    }
    // Waits, upgrades, changes and ends of waits.
    let guard = lock.try_acquire(Exclusive).unwrap();
    site!(log, Task::queued(lock.acquire(Shared)));
    drop(guard);
    let mut guard = lock.try_acquire(Mode::Upgradable).unwrap();
    let reader = lock.try_acquire(Shared).unwrap();
    site!(log, Task::queued(guard.upgrade()));
    site!(log, Task::queued(guard.upgrade_or(pending::<()>())));
    drop(reader);
    site!(log, now(guard.upgrade()).unwrap());
    site!(log, guard.downgrade(Mode::Upgradable));
    site!(log, guard.try_upgrade());
    site!(log, guard.downgrade(Shared));
    use RwLockUpgradableReadGuard as Upgradable;
    let mut guard = data.try_upgradable_read().unwrap();
    site!(of_data, Upgradable::try_upgrade_in_place(&mut guard));
    site!(of_data, now(Upgradable::upgrade_in_place(&mut guard)));
    site!(of_data, now(Upgradable::upgrade_in_place_or(&mut guard, pending::<()>())));
    let guard = {
        of_data.take();
        let line = line!() + 1;
        let guard = now(RwLockUpgradableReadGuard::upgrade(guard));
        assert_eq!(of_data.lines(), [line]);
        guard
    };
    let line = line!() + 1;
    let guard = RwLockWriteGuard::downgrade_to_upgradable(guard);
    assert_eq!(of_data.lines(), [line]);
    site!(of_data, RwLockUpgradableReadGuard::downgrade(guard));
}

#[test]
fn a_lock_knows_where_it_was_made() {
    struct Names(std::sync::Mutex<Vec<String>>);
    impl observed::Observer for Names {
        type Record = ();

        fn waiting(&self, _: observed::Acquisition<'_>) {}

        fn acquired(&self, acquisition: observed::Acquisition<'_>, _: Option<()>) {
            let lock = acquisition.lock();
            self.0.lock().unwrap().push(format!("{lock} {}", lock.site().line()));
        }

        fn released(&self, _: observed::Acquisition<'_>, (): ()) {}

        fn cancelled(&self, _: observed::Acquisition<'_>, (): ()) {}
    }
    static NAMES: Names = Names(std::sync::Mutex::new(Vec::new()));
    struct New;
    impl observed::Observer for New {
        type Record = ();

        fn waiting(&self, _: observed::Acquisition<'_>) {}

        fn acquired(&self, acquisition: observed::Acquisition<'_>, waited: Option<()>) {
            NAMES.acquired(acquisition, waited);
        }

        fn released(&self, _: observed::Acquisition<'_>, (): ()) {}

        fn cancelled(&self, _: observed::Acquisition<'_>, (): ()) {}
    }
    impl observed::NewObserver for New {
        const NEW: Self = New;
    }
    static STATIC: observed::MultiLock<New> = observed::MultiLock::new();
    let line = line!() - 1;
    let check = |name: &str, line: u32| {
        assert_eq!(NAMES.0.lock().unwrap().pop().unwrap(), format!("{name} {line}"));
    };
    let made = |line| format!("the lock of {}:{line}", file!());
    drop(STATIC.try_acquire(Shared));
    let told = NAMES.0.lock().unwrap().pop().unwrap();
    assert!(told.starts_with(&made(line)) && told.ends_with(&format!(" {line}")), "{told}");
    drop(observed::MultiLock::<New>::named("a").try_acquire(Shared));
    check("a", line!() - 1);
    drop(observed::MultiLock::with_observer("b", &NAMES).try_acquire(Shared));
    check("b", line!() - 1);
    drop(observed::RwLock::<_, New>::named("c", 1).try_read());
    check("c", line!() - 1);
    drop(observed::RwLock::with_observer("d", 1, &NAMES).try_write());
    check("d", line!() - 1);
    let locks =
        [observed::RwLock::<u8, New>::new(1), observed::RwLock::from(1), Default::default()];
    let line = line!() - 1;
    for lock in locks {
        drop(lock.try_read());
        let told = NAMES.0.lock().unwrap().pop().unwrap();
        assert!(told.starts_with(&made(line)), "{told}");
    }
    drop(observed::MultiLock::<New>::default().try_acquire(Shared));
    let told = NAMES.0.lock().unwrap().pop().unwrap();
    assert!(told.starts_with(&made(line!() - 2)), "{told}");
}

// -------------------------------------------------------------------------------------- The lock with data

/// Of each mode, and of guards that borrow or own the lock.
#[test]
fn access_is_told_as_an_acquisition() {
    let (data, log) = data();
    macro_rules! checks {
        ($m:literal: $($e:expr),+) => {$(
            drop($e);
            assert_eq!(log.take(), concat!("a", $m, "0 r", $m, "0"), stringify!($e));
        )+};
    }
    checks!("S": data.try_read().unwrap(), data.try_read_arc().unwrap(), now(data.read()), now(data.read_arc()));
    checks!("S": now(data.read_or(pending::<()>())), now(data.read_arc_or(pending::<()>())), now(data.with(|_| ())));
    checks!("U": data.try_upgradable_read().unwrap(), data.try_upgradable_read_arc().unwrap());
    checks!("U": now(data.upgradable_read()), now(data.upgradable_read_arc()));
    checks!("U": now(data.upgradable_read_or(pending::<()>())), now(data.upgradable_read_arc_or(pending::<()>())));
    checks!("E": data.try_write().unwrap(), data.try_write_arc().unwrap(), now(data.write()), now(data.write_arc()));
    checks!("E": now(data.write_or(pending::<()>())), now(data.write_arc_or(pending::<()>())), now(data.with_mut(|_| ())));
    checks!("S": now(data.read_when(|_| true)), now(data.read_arc_when(|_| true)));
    checks!("U": now(data.upgradable_read_when(|_| true)), now(data.upgradable_read_arc_when(|_| true)));
    checks!("E": now(data.write_when(|_| true)), now(data.write_arc_when(|_| true)));
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    {
        checks!("S": data.read_blocking(), data.read_arc_blocking(), data.read_blocking_timeout(LONG));
        checks!("S": data.read_arc_blocking_timeout(LONG), data.with_blocking(|_| ()));
        checks!("U": data.upgradable_read_blocking(), data.upgradable_read_arc_blocking());
        checks!("U": data.upgradable_read_blocking_timeout(LONG), data.upgradable_read_arc_blocking_timeout(LONG));
        checks!("E": data.write_blocking(), data.write_arc_blocking(), data.write_blocking_timeout(LONG));
        checks!("E": data.write_arc_blocking_timeout(LONG), data.with_mut_blocking(|_| ()));
        checks!("S": data.read_when_blocking(|_| true), data.read_arc_when_blocking_timeout(|_| true, LONG));
        checks!("E": data.write_when_blocking(|_| true), data.write_arc_when_blocking_timeout(|_| true, LONG));
    }
    // What takes no lock tells nothing.
    drop((data.changes(), data.changes_arc(), data.raw().monitor(Shared), format!("{data:?}")));
    now(data.raw().wait(Shared));
    assert_eq!(log.take(), "");
}

#[test]
fn access_that_waits_is_told_so() {
    let (data, log) = data();
    macro_rules! checks {
        ($m:literal: $($e:expr),+) => {$(
            let guard = data.try_write().unwrap();
            let mut task = Task::queued($e);
            drop(guard);
            drop(task.finish());
            let told = "aE0 w?1 rE0 a?1>2 r?2".replace('?', $m);
            assert_eq!(log.take(), told, stringify!($e));
            let guard = data.try_write().unwrap();
            log.take();
            drop(Task::queued($e));
            assert_eq!(log.take(), "w?0 x?0".replace('?', $m), stringify!($e));
            drop(guard);
            log.take();
        )+};
    }
    checks!("S": data.read(), data.read_arc(), data.read_or(pending::<()>()), data.read_arc_or(pending::<()>()));
    checks!("S": data.with(|_| ()), data.read_when(|_| true), data.read_arc_when(|_| true));
    checks!("U": data.upgradable_read(), data.upgradable_read_arc(), data.upgradable_read_when(|_| true));
    checks!("E": data.write(), data.write_arc(), data.with_mut(|_| ()), data.write_when(|_| true));
    checks!("E": data.write_when_or(|_| true, pending::<()>()), data.write_arc_when_or(|_| true, pending::<()>()));
}

/// One acquisition, from when the condition holds on. The evaluations before are a part of the wait.
#[test]
fn a_condition_is_told_as_one_acquisition() {
    let (data, log) = data();
    let mut seen = 0;
    let mut task = Task::queued(data.write_when(|pair| {
        seen += 1;
        pair.0 == 3
    }));
    assert_eq!(log.take(), "wE0");
    for n in 2..4 {
        data.try_write().unwrap().0 = n;
        log.take();
        if n == 2 {
            task.waits();
            assert_eq!(log.take(), "");
        }
    }
    drop(task.finish());
    drop(task);
    assert_eq!(log.take(), "aE0>0 rE0");
    assert_eq!(seen, 3);
    // It gives up, with and without a wait.
    now(data.read_when_or(|_| false, ready(()))).unwrap_err();
    assert_eq!(log.take(), "");
    let (send, cancel) = futures_channel();
    let mut task = Task::queued(data.read_arc_when_or(|_| false, cancel));
    send();
    task.finish().unwrap_err();
    assert_eq!(log.take(), "wS0 xS0");
    drop(task);
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    {
        let short = Duration::from_millis(5);
        assert!(data.read_when_blocking_timeout(|_| false, short).is_none());
        assert!(data.write_arc_when_blocking_timeout(|_| false, short).is_none());
        assert_eq!(log.take(), "wS0 xS0 wE1 xE1");
    }
    assert_idle(data.raw());
}

#[test]
fn the_functions_of_guards_are_told() {
    let (data, log) = data();
    // Shared, mapped, and mapped in vain.
    let guard = data.try_read().unwrap();
    let more = RwLockReadGuard::share(&guard).unwrap();
    let part = RwLockReadGuard::map(guard, |pair| &pair.1);
    let part = RwLockReadGuard::try_map(part, |_| None::<&u32>).unwrap_err();
    drop(RwLockReadGuard::try_map(part, |part| Some(part)).unwrap());
    drop(more);
    assert_eq!(log.take(), "aS0 aS1 rS0 rS1");
    let guard = data.try_write().unwrap();
    let part = RwLockWriteGuard::map(guard, |pair| &mut pair.1);
    let part = MappedRwLockWriteGuard::try_map(part, |_| None::<&mut u32>).unwrap_err();
    drop(MappedRwLockWriteGuard::map(part, |part| part));
    assert_eq!(log.take(), "aE0 rE0");
    // Downgraded.
    let guard = RwLockWriteGuard::downgrade_to_upgradable(data.try_write().unwrap());
    let more = RwLockUpgradableReadGuard::share(&guard).unwrap();
    drop(RwLockUpgradableReadGuard::downgrade(guard));
    drop(more);
    assert_eq!(log.take(), "aE0 cE>U0>1 aS2 cU>S1>3 rS3 rS2");
    drop(RwLockWriteGuard::downgrade(data.try_write().unwrap()));
    drop(RwLockWriteGuard::downgrade_map(data.try_write().unwrap(), |pair| &pair.0));
    let guard = RwLockWriteGuard::try_downgrade_map(data.try_write().unwrap(), |_| None::<&u8>);
    drop(RwLockWriteGuard::try_downgrade_map(guard.unwrap_err(), |pair| Some(&pair.0)));
    assert_eq!(log.take(), "aE0 cE>S0>1 rS1 aE2 cE>S2>3 rS3 aE4 cE>S4>5 rS5");
    // Upgraded.
    let guard = data.try_upgradable_read().unwrap();
    let reader = data.try_read().unwrap();
    let guard = RwLockUpgradableReadGuard::try_upgrade(guard).unwrap_err();
    drop(reader);
    drop(RwLockUpgradableReadGuard::try_upgrade(guard).unwrap());
    assert_eq!(log.take(), "aU0 aS1 rS1 cU>E0>2 rE2");
    drop(now(RwLockUpgradableReadGuard::upgrade(data.try_upgradable_read().unwrap())));
    assert_eq!(log.take(), "aU0 cU>E0>1 rE1");
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    {
        drop(RwLockUpgradableReadGuard::upgrade_blocking(data.try_upgradable_read().unwrap()));
        assert_eq!(log.take(), "aU0 cU>E0>1 rE1");
    }
    assert_idle(data.raw());
}

#[test]
fn an_upgrade_that_owns_the_guard_is_told() {
    let (data, log) = data();
    let reader = data.try_read().unwrap();
    // Successful after a wait.
    let mut upgrade =
        Task::queued(RwLockUpgradableReadGuard::upgrade(data.try_upgradable_read().unwrap()));
    drop(reader);
    drop(upgrade.finish());
    assert_eq!(log.take(), "aS0 aU1 wU>E2 rS0 cU>E1+2>3 rE3");
    // Dropped while it waits, and before.
    let reader = data.try_read().unwrap();
    drop(Task::queued(RwLockUpgradableReadGuard::upgrade(data.try_upgradable_read().unwrap())));
    assert_eq!(log.take(), "aS0 aU1 wU>E2 xU>E2 rU1");
    drop(RwLockUpgradableReadGuardArc::upgrade(data.try_upgradable_read_arc().unwrap()));
    assert_eq!(log.take(), "aU0 rU0");
    drop(Task::queued(RwLockUpgradableReadGuardArc::upgrade(
        data.try_upgradable_read_arc().unwrap(),
    )));
    assert_eq!(log.take(), "aU0 wU>E1 xU>E1 rU0");
    // It gives up, and returns the guard.
    let (send, cancel) = futures_channel();
    let guard = data.try_upgradable_read().unwrap();
    let mut upgrade = Task::queued(RwLockUpgradableReadGuard::upgrade_or(guard, cancel));
    send();
    let (guard, ()) = upgrade.finish().unwrap_err();
    assert_eq!(log.take(), "aU0 wU>E1 xU>E1");
    drop(reader);
    drop(now(RwLockUpgradableReadGuard::upgrade_or(guard, pending::<()>())).unwrap());
    assert_eq!(log.take(), "rS0 cU>E0>0 rE0");
    assert_idle(data.raw());
}

#[test]
fn an_upgrade_in_place_is_told() {
    let (data, log) = data();
    let mut guard = data.try_upgradable_read_arc().unwrap();
    let upgraded = now(RwLockUpgradableReadGuardArc::upgrade_in_place(&mut guard));
    drop(upgraded);
    let upgraded = RwLockUpgradableReadGuardArc::try_upgrade_in_place(&mut guard).unwrap();
    drop(upgraded);
    assert_eq!(log.take(), "aU0 cU>E0>1 cE>U1>2 cU>E2>3 cE>U3>4");
    let reader = data.try_read().unwrap();
    assert!(RwLockUpgradableReadGuardArc::try_upgrade_in_place(&mut guard).is_none());
    drop(Task::queued(RwLockUpgradableReadGuardArc::upgrade_in_place(&mut guard)));
    let (send, cancel) = futures_channel();
    let mut upgrade =
        Task::queued(RwLockUpgradableReadGuardArc::upgrade_in_place_or(&mut guard, cancel));
    send();
    assert!(upgrade.finish().is_err());
    drop(upgrade);
    assert_eq!(log.take(), "aS0 wU>E1 xU>E1 wU>E2 xU>E2");
    let mut upgrade = Task::queued(RwLockUpgradableReadGuardArc::upgrade_in_place(&mut guard));
    drop(reader);
    drop(upgrade.finish());
    drop(upgrade);
    drop(guard);
    assert_eq!(log.take(), "wU>E0 rS0 cU>E4+0>1 cE>U1>2 rU2");
    // A forgotten guard in place: the acquisition ends as it is.
    let mut guard = data.try_upgradable_read().unwrap();
    mem::forget(RwLockUpgradableReadGuard::try_upgrade_in_place(&mut guard));
    drop(guard);
    assert_eq!(log.take(), "aU0 cU>E0>1 rE1");
}

// ------------------------------------------------------------------------------------------ Several locks

#[test]
fn a_set_tells_of_each_member() {
    let (a, log) = lock();
    let (b, of_b) = lock();
    let both = || (log.take(), of_b.take());
    let same = |told: &str| (told.to_owned(), told.to_owned());
    let set: LockSet<_> = [&*a, &*b, &*a].into_iter().collect();
    let mut guard = set.try_acquire(Exclusive).unwrap();
    guard.downgrade(Exclusive);
    guard.downgrade(Upgradable);
    drop(guard);
    assert_eq!(both(), same("aE0 cE>U0>1 rU1"));
    // It waits for both while one is held, and is cancelled.
    let guard = b.try_acquire(Exclusive).unwrap();
    both();
    assert!(set.try_acquire(Shared).is_none());
    drop(set.acquire(Shared));
    now(set.acquire_or(Shared, ready(()))).unwrap_err();
    both();
    let mut task = Task::queued(set.acquire(Shared));
    task.waits();
    assert_eq!(both(), same("wS0"));
    drop(task);
    assert_eq!(both(), same("xS0"));
    // It waits, and is successful.
    let mut task = Task::queued(set.acquire(Shared));
    drop(guard);
    drop(task.finish());
    assert_eq!(both(), ("wS0 aS0>1 rS1".into(), "wS0 rE0 aS0>1 rS1".into()));
    // Its handle keeps the records.
    let handle = set.try_acquire(Shared).unwrap().into_handle();
    assert_eq!(both(), same("aS0"));
    let guard = set.adopt(handle).unwrap();
    set.release(LockGuard::into_handle(guard)).unwrap();
    assert_eq!(both(), same("rS0"));
    mem::forget(set.try_acquire(Shared));
    assert_eq!(both(), same("aS0"));
}

#[test]
fn a_set_of_sets_tells_of_each_lock() {
    let (a, log) = lock();
    let (b, of_b) = lock();
    let sets: LockSet<LockSet<Arc<MultiLock>>> =
        [LockSet::from_iter([a.clone(), b.clone()]), LockSet::from_iter([a])].into_iter().collect();
    assert_eq!(sets.len(), 2);
    drop(now(Lockable::acquire(&sets, Shared)));
    assert_eq!((log.take(), of_b.take()), ("aS0 rS0".into(), "aS0 rS0".into()));
}

#[test]
fn locks_that_are_acquired_together_are_told_each() {
    let (a, log) = lock();
    let (b, of_b) = lock();
    let wanted = [(&a, Shared), (&b, Upgradable), (&a, Exclusive), (&a, Shared)];
    drop(try_acquire_all(wanted).unwrap());
    drop(now(acquire_all(&wanted[..])));
    drop(now(acquire_all(wanted.to_vec())));
    assert_eq!(log.take(), "aE0 rE0 aE1 rE1 aE2 rE2");
    assert_eq!(of_b.take(), "aU0 rU0 aU1 rU1 aU2 rU2");
    let guard = a.try_acquire(Shared).unwrap();
    log.take();
    let mut task = Task::queued(acquire_all(wanted));
    assert_eq!((log.take(), of_b.take()), ("wE0".into(), "wU0".into()));
    drop(guard);
    drop(task.finish());
    assert_eq!((log.take(), of_b.take()), ("rS0 aE0>0 rE0".into(), "aU0>0 rU0".into()));
    let _guard = a.try_acquire(Shared).unwrap();
    log.take();
    drop(Task::queued(acquire_all(wanted)));
    assert_eq!((log.take(), of_b.take()), ("wE0 xE0".into(), "wU0 xU0".into()));
}

/// Of each kind of request, beside locks without an observer.
#[test]
fn requests_are_told_each() {
    let (lock, log) = lock();
    let (data, of_data) = data();
    let plain = multilock::RwLock::new(1);
    let both = || (log.take(), of_data.take());
    let told = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let (guard, read, _) =
        try_lock_all((lock.in_mode(Upgradable), data.reading(), plain.writing())).unwrap();
    drop(read);
    assert_eq!(both(), told("aU0", "aS0 rS0"));
    drop(guard);
    assert_eq!(both(), told("rU0", ""));
    drop(now(lock_all((lock.in_mode_arc(Exclusive), data.upgrading_arc()))));
    assert_eq!(both(), told("aE0 rE0", "aU0 rU0"));
    drop(now(lock_all([data.writing_arc()])));
    drop(now(lock_all(vec![data.writing()])));
    drop(now(lock_all(&[data.upgrading()][..])));
    drop(now(lock_all_or((data.reading_arc(),), pending::<()>())));
    assert_eq!(both(), told("", "aE0 rE0 aE1 rE1 aU2 rU2 aS3 rS3"));
    // The same lock twice.
    drop(try_lock_all([data.reading(), data.reading()]).unwrap());
    assert_eq!(both(), told("", "aS0 aS1 rS0 rS1"));
    // In vain, with a wait, and canceled.
    let guard = lock.try_acquire(Exclusive).unwrap();
    both();
    assert!(try_lock_all((lock.in_mode(Shared), data.reading())).is_err());
    drop(lock_all((lock.in_mode(Shared), data.reading())));
    assert_eq!(both(), told("", ""));
    drop(Task::queued(lock_all((lock.in_mode(Shared), data.reading()))));
    assert_eq!(both(), told("wS0 xS0", "wS0 xS0"));
    let (send, cancel) = futures_channel();
    let mut task = Task::queued(lock_all_or((lock.in_mode(Shared), data.reading()), cancel));
    send();
    task.finish().unwrap_err();
    drop(task);
    assert_eq!(both(), told("wS0 xS0", "wS0 xS0"));
    let mut task = Task::queued(lock_all((lock.in_mode(Shared), data.writing())));
    drop(guard);
    let (guard, mut data) = task.finish();
    data.0 += 1;
    drop((guard, data));
    assert_eq!(both(), told("wS0 rE0 aS0>1 rS1", "wE0 aE0>1 rE1"));
}

// ------------------------------------------------------------------------------------- Where and when

/// Another thread can acquire the lock while the observer is told.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn the_end_is_told_after_the_release() {
    let (data, log) = data();
    let (of_hook, results) = (data.clone(), Arc::new(Mutex::new(Vec::new())));
    let (of_test, is_busy) = (results.clone(), AtomicBool::new(false));
    let hook = move |call: &str| {
        let mode = match call {
            "released" => Exclusive,
            "changed" | "cancelled" => Shared,
            _ => return,
        };
        // The other thread calls this, too.
        if is_busy.swap(true, Relaxed) {
            return;
        }
        let acquires = || of_hook.raw().acquire_blocking_timeout(mode, LONG).is_some();
        let acquired = thread::scope(|scope| scope.spawn(acquires).join().unwrap());
        results.lock().unwrap().push((call.to_owned(), acquired));
        is_busy.store(false, Relaxed);
    };
    *log.hook.lock().unwrap() = Some(Arc::new(hook));
    let check = |call: &str| {
        assert_eq!(mem::take(&mut *of_test.lock().unwrap()), [(call.to_owned(), true)]);
    };
    drop(data.try_read());
    check("released");
    drop(data.try_write_arc());
    check("released");
    drop(data.raw().try_acquire(Upgradable));
    check("released");
    data.raw().release(data.raw().try_acquire(Exclusive).unwrap().into_handle()).unwrap();
    check("released");
    now(data.with_mut(|pair| pair.0 = 3));
    check("released");
    drop(now(lock_all([data.writing()])));
    check("released");
    drop(LockSet::from_iter([data.raw()]).try_acquire(Exclusive));
    check("released");
    drop(try_acquire_all([(data.raw(), Exclusive)]));
    check("released");
    let guard = RwLockWriteGuard::downgrade(data.try_write().unwrap());
    check("changed");
    // The waiter is no longer in the queue, where it kept readers out.
    drop(Task::queued(data.write()));
    check("cancelled");
    drop(guard);
    check("released");
    let mut guard = data.try_upgradable_read().unwrap();
    let hook = log.hook.lock().unwrap().take();
    let writer = RwLockUpgradableReadGuard::try_upgrade_in_place(&mut guard);
    *log.hook.lock().unwrap() = hook;
    drop(writer);
    check("changed");
}

#[cfg(panic = "unwind")]
#[test]
fn a_guard_that_unwinding_drops_is_told() {
    let (lock, log) = lock();
    let (data, of_data) = data();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.try_acquire(Exclusive);
        let _part = RwLockWriteGuard::map(data.try_write().unwrap(), |_| -> &mut u32 {
            panic!("in `map`")
        });
    }));
    assert!(unwound.is_err());
    assert_eq!((log.take(), of_data.take()), ("aE0 rE0".into(), "aE0 rE0".into()));
    let panics = |_: &mut (u32, u32)| panic!("in `with_mut`");
    assert!(catch_unwind(AssertUnwindSafe(|| now(data.with_mut(panics)))).is_err());
    assert_eq!(of_data.take(), "aE0 rE0");
    let panics = |_: &(u32, u32)| panic!("in a condition");
    assert!(catch_unwind(AssertUnwindSafe(|| now(data.read_when(panics)))).is_err());
    assert_eq!(of_data.take(), "");
    assert_idle(data.raw());
}

/// With `std` the panic is caught, and without it the state of the lock is right. The rest of the acquisition is not told.
#[cfg(panic = "unwind")]
#[test]
fn an_observer_that_panics_changes_nothing() {
    /// Runs `scenario` with an observer that panics in `call`, the `nth` time.
    #[track_caller]
    fn check(
        call: &'static str,
        nth: usize,
        told: &str,
        scenario: impl FnOnce(&Arc<MultiLock>, &Arc<RwLock<(u32, u32)>>),
    ) {
        let log = log();
        let lock = Arc::new(MultiLock::with_observer("lock", log));
        let data = Arc::new(RwLock::with_observer("data", (1, 2), log));
        let left = AtomicUsize::new(nth);
        *log.hook.lock().unwrap() = Some(Arc::new(move |it: &str| {
            if it == call && left.fetch_sub(1, Relaxed) == 1 {
                panic!("an observer panics, as it should");
            }
        }));
        let result = catch_unwind(AssertUnwindSafe(|| scenario(&lock, &data)));
        if cfg!(feature = "std") {
            assert!(result.is_ok());
            assert_eq!(log.take(), told);
        } else {
            assert!(result.is_err());
        }
        assert_idle(&lock);
        assert_idle(data.raw());
    }

    // `acquired`: the acquisition is not told to its end, and others are.
    check("acquired", 1, "aS0 rS0", |lock, _| {
        drop(lock.try_acquire(Exclusive).unwrap());
        drop(lock.try_acquire(Shared).unwrap());
    });
    for call in [0, 1, 2, 3] {
        check("acquired", 1, "", |lock, data| match call {
            0 => drop(now(lock.acquire_arc(Exclusive))),
            1 => drop(now(data.write_arc())),
            2 => now(data.with(|_| ())),
            _ => {
                let mut guard = lock.try_acquire(Exclusive).unwrap();
                guard.downgrade(Upgradable);
                now(guard.upgrade()).unwrap();
                let handle = guard.into_handle();
                lock.release(handle).unwrap();
            }
        });
    }
    // Of a set: one of two members is told.
    check("acquired", 1, "aE0 rE0", |lock, data| {
        drop(now(lock_all((lock.in_mode(Exclusive), data.writing()))));
    });
    check("acquired", 2, "aE0 rE0", |lock, data| {
        drop(LockSet::from_iter([&**lock, data.raw()]).try_acquire(Exclusive).unwrap());
    });
    // `waiting`: neither the wait nor the acquisition is told to its end.
    check("waiting", 1, "aE0 rE0", |lock, _| {
        let guard = lock.try_acquire(Exclusive).unwrap();
        let mut task = Task::queued(lock.acquire_arc(Shared));
        drop(guard);
        drop(task.finish());
    });
    check("waiting", 1, "aE0 rE0", |_, data| {
        let _guard = data.try_write().unwrap();
        drop(Task::queued(data.read()));
    });
    check("waiting", 1, "aE0 wE0 xE0 rE0".replace("wE0 xE0", "wE1 xE1").as_str(), |lock, data| {
        let _guard = lock.try_acquire(Exclusive).unwrap();
        drop(Task::queued(lock_all((lock.in_mode(Exclusive), data.writing()))));
    });
    // `waiting` of an upgrade: the acquisition goes on, and its change is told.
    check("waiting", 1, "aS0 aU1 rS0 cU>E1>2 rE2", |lock, _| {
        let reader = lock.try_acquire(Shared).unwrap();
        let mut guard = lock.try_acquire(Upgradable).unwrap();
        let mut upgrade = Task::queued(guard.upgrade());
        drop(reader);
        upgrade.finish().unwrap();
    });
    // `changed`, by a downgrade and by an upgrade.
    check("changed", 1, "aE0", |lock, _| lock.try_acquire(Exclusive).unwrap().downgrade(Shared));
    check("changed", 1, "aE0", |_, data| {
        drop(RwLockWriteGuard::downgrade(data.try_write().unwrap()))
    });
    check("changed", 1, "aU0", |_, data| {
        let guard = data.try_upgradable_read_arc().unwrap();
        drop(now(RwLockUpgradableReadGuardArc::upgrade(guard)));
    });
    check("changed", 1, "aU0", |_, data| {
        let mut guard = data.try_upgradable_read_arc().unwrap();
        drop(now(RwLockUpgradableReadGuardArc::upgrade_in_place(&mut guard)));
        drop(RwLockUpgradableReadGuardArc::try_upgrade_in_place(&mut guard));
    });
    check("changed", 2, "aU0 cU>E0>1", |_, data| {
        let mut guard = data.try_upgradable_read().unwrap();
        drop(now(RwLockUpgradableReadGuard::upgrade_in_place(&mut guard)));
    });
    // `released` and `cancelled`: all has happened.
    check("released", 1, "aE0", |lock, _| drop(lock.try_acquire(Exclusive)));
    check("released", 1, "aE0", |_, data| drop(data.try_write_arc()));
    check("released", 2, "aE0 aE1 rE0", |lock, data| {
        drop(now(lock_all((lock.in_mode(Exclusive), data.writing()))));
    });
    check("released", 2, "aE0 aE1 rE0", |lock, data| {
        drop(try_acquire_all([(&**lock, Exclusive), (data.raw(), Exclusive)]));
    });
    check("cancelled", 1, "aE0 wS1 rE0", |lock, _| {
        let _guard = lock.try_acquire(Exclusive).unwrap();
        drop(Task::queued(lock.acquire(Shared)));
    });
    check("cancelled", 1, "aS0 aU1 wU>E2 rU1 rS0", |_, data| {
        let _reader = data.try_read().unwrap();
        let guard = data.try_upgradable_read_arc().unwrap();
        drop(Task::queued(RwLockUpgradableReadGuardArc::upgrade(guard)));
    });
    check("cancelled", 1, "aS0 aU1 wU>E2 rU1 rS0", |_, data| {
        let _reader = data.try_read().unwrap();
        let guard = data.try_upgradable_read_arc().unwrap();
        let (send, cancel) = futures_channel();
        let mut upgrade = Task::queued(RwLockUpgradableReadGuardArc::upgrade_or(guard, cancel));
        send();
        drop(upgrade.finish().unwrap_err());
    });
}

/// It never aborts the process: what unwinds goes on to unwind.
#[cfg(all(panic = "unwind", feature = "std"))]
#[test]
fn an_observer_may_panic_while_the_caller_unwinds() {
    let (data, log) = data();
    *log.hook.lock().unwrap() = Some(Arc::new(|call: &str| {
        if call != "acquired" {
            panic!("an observer panics, as it should");
        }
    }));
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _guard = data.try_read_arc().unwrap();
        let _waits = Task::queued(data.write());
        let _sets = data.raw().try_acquire(Shared);
        panic!("of the caller");
    }));
    assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"of the caller"));
    assert_idle(data.raw());
}

/// Each of its calls may use the lock, and the observer.
#[test]
fn an_observer_may_acquire_another_lock() {
    let (data, log) = data();
    let other = Arc::new(multilock::MultiLock::new());
    let of_hook = other.clone();
    *log.hook.lock().unwrap() =
        Some(Arc::new(move |_: &str| drop(of_hook.try_acquire(Exclusive).unwrap())));
    now(data.with_mut(|pair| pair.0 = 2));
    assert_eq!(log.take(), "aE0 rE0");
    assert!(other.locked().is_none());
}

/// The record is in futures and guards: neither an acquisition nor a wait allocates.
#[test]
fn an_observed_lock_allocates_nothing_per_acquisition() {
    let lock = Arc::new(observed::MultiLock::<()>::new());
    let data = Arc::new(observed::RwLock::<_, ()>::new(1));
    // The queue of each lock.
    for raw in [&*lock, data.raw()] {
        let _guard = raw.try_acquire(Exclusive).unwrap();
        drop(Task::queued(raw.acquire(Shared)));
    }
    support::without_allocation("observed", || {
        drop(lock.try_acquire(Shared).unwrap().share());
        drop(now(lock.acquire(Exclusive)));
        drop(lock.try_acquire_arc(Exclusive).unwrap());
        lock.release(lock.try_acquire(Shared).unwrap().into_handle()).unwrap();
        let guard = now(data.write_arc());
        assert!(support::poll_once(data.read()).is_pending());
        assert!(
            support::poll_once(lock_all((lock.in_mode(Exclusive), data.reading()))).is_pending()
        );
        drop(RwLockWriteGuardArc::downgrade_to_upgradable(guard));
        drop(now(lock_all((lock.in_mode(Exclusive), data.writing()))));
    });
}

/// The observer without a state, and the record without one, take no room beside the line of the caller and the mode.
#[test]
fn the_sizes_of_observed_locks_and_guards() {
    const WORD: usize = size_of::<usize>();
    // The name, and the line where it was made.
    assert_eq!(size_of::<observed::MultiLock<()>>(), size_of::<multilock::MultiLock>() + 3 * WORD);
    assert_eq!(
        size_of::<observed::RwLock<usize, ()>>(),
        size_of::<observed::MultiLock<()>>() + WORD
    );
    // The lock, and the line and the mode of the acquisition.
    assert_eq!(size_of::<Guard<'_, ()>>(), size_of::<multilock::Guard<'_>>() + 3 * WORD);
    assert_eq!(size_of::<GuardArc<()>>(), size_of::<multilock::GuardArc>() + 3 * WORD);
    assert_eq!(size_of::<RwLockReadGuard<'_, u8, ()>>(), 5 * WORD);
    assert_eq!(size_of::<RwLockReadGuardArc<u8, ()>>(), 5 * WORD);
}

/// A longer lifetime is accepted where a shorter one is needed, as with guards of locks without an observer.
#[allow(dead_code, clippy::type_complexity, reason = "that it compiles is enough")]
fn guards_are_covariant<'a>(
    guard: Guard<'static, ()>,
    read: RwLockReadGuard<'static, &'static str, ()>,
    write: RwLockWriteGuard<'static, u32, ()>,
    arc: RwLockReadGuardArc<u32, (), &'static str>,
    future: observed::futures::Read<'static, &'static str, ()>,
) -> (
    Guard<'a, ()>,
    RwLockReadGuard<'a, &'a str, ()>,
    RwLockWriteGuard<'a, u32, ()>,
    RwLockReadGuardArc<u32, (), &'a str>,
    observed::futures::Read<'a, &'a str, ()>,
) {
    (guard, read, write, arc, future)
}
