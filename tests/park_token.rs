//! A blocking call leaves the token of [`std::thread::park`] as it was: the token belongs to the caller.

#![cfg(all(feature = "std", not(any(loom, shuttle)), not(target_family = "wasm")))]

mod support;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use multilock::Mode::{self, Exclusive, Shared, Upgradable};
use multilock::{
    HandleLock, LockSet, Lockable, MultiLock, RwLock, RwLockUpgradableReadGuard,
    RwLockUpgradableReadGuardArc, acquire_all_blocking, lock_all_blocking,
    lock_all_blocking_deadline, lock_all_blocking_timeout,
};

use support::{Hooks, until_awaited};

#[cfg(feature = "lock_api")]
use lock_api::{RwLockReadGuard, RwLockUpgradableReadGuard as Upgrades, RwLockWriteGuard};

/// A call that ends in time waits for less than this.
const LONG: Duration = Duration::from_secs(60);
/// A call that times out waits for longer than this.
const SHORT: Duration = Duration::from_millis(50);

/// One lock of each type.
#[derive(Default)]
struct Locks {
    lock: Arc<MultiLock>,
    data: Arc<RwLock<u32>>,
    named: HandleLock<&'static str>,
    #[cfg(feature = "lock_api")]
    api: lock_api::RwLock<MultiLock, u32>,
}

impl Locks {
    #[cfg(feature = "lock_api")]
    fn raw_api(&self) -> &MultiLock {
        // SAFETY: nothing is released that belongs to a guard.
        unsafe { self.api.raw() }
    }

    fn is_any_awaited(&self) -> bool {
        let snapshots = [
            self.lock.snapshot(),
            self.data.raw().snapshot(),
            self.named.snapshot(),
            #[cfg(feature = "lock_api")]
            self.raw_api().snapshot(),
        ];
        snapshots.iter().any(|word| {
            word.is_upgrading()
                || Mode::ALL.into_iter().any(|mode| word.is_awaited(mode))
                || format!("{word:?}").contains("monitored: true")
        })
    }

    /// Holds all of the locks.
    fn hold(&self, mode: Mode) -> impl Sized {
        self.named.try_acquire(mode, "in the way").unwrap();
        struct Named<'a>(&'a HandleLock<&'static str>);
        impl Drop for Named<'_> {
            fn drop(&mut self) {
                self.0.release("in the way").unwrap();
            }
        }
        let held = [&*self.lock, self.data.raw()].map(|lock| lock.try_acquire(mode).unwrap());
        #[cfg(feature = "lock_api")]
        let held = (held, self.raw_api().try_acquire(mode).unwrap());
        (held, Named(&self.named))
    }

    fn set(&self) -> LockSet<&MultiLock> {
        [&*self.lock, self.data.raw()].into_iter().collect()
    }
}

/// What a blocking call waits for.
#[derive(Clone, Copy)]
enum Obstacle {
    /// Another thread holds all locks in this mode, and releases them.
    Hold(Mode),
    /// A condition does not hold, and another thread makes it true.
    Condition,
    /// The call hands the lock to a thread that waits for it.
    #[cfg(feature = "lock_api")]
    Writer,
}
use Obstacle::Hold;

/// A function that blocks.
struct Call {
    name: &'static str,
    obstacle: Obstacle,
    /// Whether the call ends when its time is over.
    timed: bool,
    /// Returns whether it acquired in time.
    run: fn(&Locks, Duration) -> bool,
}

macro_rules! calls {
    ($calls:ident, $obstacle:expr, $timed:literal: $($name:literal: |$locks:ident, $time:pat_param| $run:expr;)*) => {
        $calls.extend([$(Call {
            name: $name,
            obstacle: $obstacle,
            timed: $timed,
            run: |$locks, $time| $run,
        }),*])
    };
}

fn calls() -> Vec<Call> {
    fn at(time: Duration) -> Instant {
        Instant::now() + time
    }
    fn done<G>(_: G) -> bool {
        true
    }
    let mut calls = Vec::new();
    calls! { calls, Hold(Exclusive), false:
        "MultiLock::acquire_blocking, shared": |l, _| done(l.lock.acquire_blocking(Shared));
        "MultiLock::acquire_blocking, upgradable": |l, _| done(l.lock.acquire_blocking(Upgradable));
        "MultiLock::acquire_blocking, exclusive": |l, _| done(l.lock.acquire_blocking(Exclusive));
        "MultiLock::acquire_blocking_arc": |l, _| done(l.lock.acquire_blocking_arc(Exclusive));
        "Lockable::acquire_blocking": |l, _| done(Lockable::acquire_blocking(&l.lock, Exclusive));
        "RwLock::read_blocking": |l, _| done(l.data.read_blocking());
        "RwLock::read_arc_blocking": |l, _| done(l.data.read_arc_blocking());
        "RwLock::with_blocking": |l, _| l.data.with_blocking(|_| true);
        "RwLock::with_mut_blocking": |l, _| l.data.with_mut_blocking(|_| true);
        "RwLock::upgradable_read_blocking": |l, _| done(l.data.upgradable_read_blocking());
        "RwLock::upgradable_read_arc_blocking": |l, _| done(l.data.upgradable_read_arc_blocking());
        "RwLock::write_blocking": |l, _| done(l.data.write_blocking());
        "RwLock::write_arc_blocking": |l, _| done(l.data.write_arc_blocking());
        "LockSet::acquire_blocking": |l, _| done(l.set().acquire_blocking(Exclusive));
        "acquire_all_blocking": |l, _| done(acquire_all_blocking([(&*l.lock, Shared), (l.data.raw(), Exclusive)]));
        "lock_all_blocking": |l, _| done(lock_all_blocking((l.lock.in_mode(Shared), l.data.writing())));
        "HandleLock::acquire_blocking": |l, _| {
            l.named.acquire_blocking(Exclusive, "waits").unwrap();
            l.named.release("waits").is_some()
        };
    };
    calls! { calls, Hold(Shared), false:
        "RwLockUpgradableReadGuard::upgrade_blocking": |l, _| {
            let guard = l.data.try_upgradable_read().unwrap();
            done(RwLockUpgradableReadGuard::upgrade_blocking(guard))
        };
        "RwLockUpgradableReadGuardArc::upgrade_blocking": |l, _| {
            let guard = l.data.try_upgradable_read_arc().unwrap();
            done(RwLockUpgradableReadGuardArc::upgrade_blocking(guard))
        };
    };
    calls! { calls, Hold(Exclusive), true:
        "MultiLock::acquire_blocking_timeout, shared": |l, t| l.lock.acquire_blocking_timeout(Shared, t).is_some();
        "MultiLock::acquire_blocking_timeout, upgradable": |l, t| l.lock.acquire_blocking_timeout(Upgradable, t).is_some();
        "MultiLock::acquire_blocking_timeout, exclusive": |l, t| l.lock.acquire_blocking_timeout(Exclusive, t).is_some();
        "MultiLock::acquire_blocking_deadline": |l, t| l.lock.acquire_blocking_deadline(Exclusive, at(t)).is_some();
        "MultiLock::acquire_blocking_timeout_arc": |l, t| l.lock.acquire_blocking_timeout_arc(Exclusive, t).is_some();
        "MultiLock::acquire_blocking_deadline_arc": |l, t| l.lock.acquire_blocking_deadline_arc(Exclusive, at(t)).is_some();
        "RwLock::read_blocking_timeout": |l, t| l.data.read_blocking_timeout(t).is_some();
        "RwLock::read_arc_blocking_timeout": |l, t| l.data.read_arc_blocking_timeout(t).is_some();
        "RwLock::upgradable_read_blocking_timeout": |l, t| l.data.upgradable_read_blocking_timeout(t).is_some();
        "RwLock::upgradable_read_arc_blocking_timeout": |l, t| l.data.upgradable_read_arc_blocking_timeout(t).is_some();
        "RwLock::write_blocking_timeout": |l, t| l.data.write_blocking_timeout(t).is_some();
        "RwLock::write_arc_blocking_timeout": |l, t| l.data.write_arc_blocking_timeout(t).is_some();
        "LockSet::acquire_blocking_timeout": |l, t| l.set().acquire_blocking_timeout(Exclusive, t).is_some();
        "LockSet::acquire_blocking_deadline": |l, t| l.set().acquire_blocking_deadline(Exclusive, at(t)).is_some();
        "lock_all_blocking_timeout": |l, t| lock_all_blocking_timeout((l.lock.in_mode(Shared), l.data.writing()), t).is_some();
        "lock_all_blocking_deadline": |l, t| lock_all_blocking_deadline([l.data.writing_arc()], at(t)).is_some();
        "HandleLock::acquire_blocking_timeout": |l, t| {
            l.named.acquire_blocking_timeout(Exclusive, "waits", t).is_ok() && l.named.release("waits").is_some()
        };
        "HandleLock::acquire_blocking_deadline": |l, t| {
            l.named.acquire_blocking_deadline(Exclusive, "waits", at(t)).is_ok() && l.named.release("waits").is_some()
        };
    };
    fn is_one(number: &u32) -> bool {
        *number == 1
    }
    calls! { calls, Obstacle::Condition, false:
        "RwLock::read_when_blocking": |l, _| done(l.data.read_when_blocking(is_one));
        "RwLock::read_arc_when_blocking": |l, _| done(l.data.read_arc_when_blocking(is_one));
        "RwLock::upgradable_read_when_blocking": |l, _| done(l.data.upgradable_read_when_blocking(is_one));
        "RwLock::upgradable_read_arc_when_blocking": |l, _| done(l.data.upgradable_read_arc_when_blocking(is_one));
        "RwLock::write_when_blocking": |l, _| done(l.data.write_when_blocking(is_one));
        "RwLock::write_arc_when_blocking": |l, _| done(l.data.write_arc_when_blocking(is_one));
    };
    calls! { calls, Obstacle::Condition, true:
        "RwLock::read_when_blocking_timeout": |l, t| l.data.read_when_blocking_timeout(is_one, t).is_some();
        "RwLock::read_arc_when_blocking_timeout": |l, t| l.data.read_arc_when_blocking_timeout(is_one, t).is_some();
        "RwLock::upgradable_read_when_blocking_timeout": |l, t| l.data.upgradable_read_when_blocking_timeout(is_one, t).is_some();
        "RwLock::upgradable_read_arc_when_blocking_timeout": |l, t| l.data.upgradable_read_arc_when_blocking_timeout(is_one, t).is_some();
        "RwLock::write_when_blocking_timeout": |l, t| l.data.write_when_blocking_timeout(is_one, t).is_some();
        "RwLock::write_arc_when_blocking_timeout": |l, t| l.data.write_arc_when_blocking_timeout(is_one, t).is_some();
    };
    calls! { calls, Hold(Exclusive), true:
        "RwLock::write_when_blocking_timeout, held": |l, t| l.data.write_when_blocking_timeout(|_| true, t).is_some();
    };
    #[cfg(feature = "lock_api")]
    calls! { calls, Hold(Exclusive), false:
        "lock_api::RwLock::read": |l, _| done(l.api.read());
        "lock_api::RwLock::upgradable_read": |l, _| done(l.api.upgradable_read());
        "lock_api::RwLock::write": |l, _| done(l.api.write());
    };
    #[cfg(feature = "lock_api")]
    calls! { calls, Hold(Exclusive), true:
        "lock_api::RwLock::try_read_for": |l, t| l.api.try_read_for(t).is_some();
        "lock_api::RwLock::try_read_until": |l, t| l.api.try_read_until(at(t)).is_some();
        "lock_api::RwLock::try_upgradable_read_for": |l, t| l.api.try_upgradable_read_for(t).is_some();
        "lock_api::RwLock::try_upgradable_read_until": |l, t| l.api.try_upgradable_read_until(at(t)).is_some();
        "lock_api::RwLock::try_write_for": |l, t| l.api.try_write_for(t).is_some();
        "lock_api::RwLock::try_write_until": |l, t| l.api.try_write_until(at(t)).is_some();
    };
    #[cfg(feature = "lock_api")]
    calls! { calls, Hold(Shared), false:
        "lock_api::RwLockUpgradableReadGuard::upgrade": |l, _| {
            done(Upgrades::upgrade(l.api.try_upgradable_read().unwrap()))
        };
        "lock_api::RwLockUpgradableReadGuard::with_upgraded": |l, _| {
            l.api.try_upgradable_read().unwrap().with_upgraded(|_| true)
        };
    };
    #[cfg(feature = "lock_api")]
    calls! { calls, Hold(Shared), true:
        "lock_api::RwLockUpgradableReadGuard::try_upgrade_for": |l, t| {
            Upgrades::try_upgrade_for(l.api.try_upgradable_read().unwrap(), t).is_ok()
        };
        "lock_api::RwLockUpgradableReadGuard::try_upgrade_until": |l, t| {
            Upgrades::try_upgrade_until(l.api.try_upgradable_read().unwrap(), at(t)).is_ok()
        };
        "lock_api::RwLockUpgradableReadGuard::try_with_upgraded_for": |l, t| {
            l.api.try_upgradable_read().unwrap().try_with_upgraded_for(t, |_| ()).is_some()
        };
    };
    #[cfg(feature = "lock_api")]
    {
        fn bump<G>(locks: &Locks, mut guard: G, bump: fn(&mut G)) -> bool {
            until_awaited(locks.raw_api(), Exclusive);
            bump(&mut guard);
            true
        }
        calls! { calls, Obstacle::Writer, false:
            "lock_api::RwLockReadGuard::bump": |l, _| bump(l, l.api.read(), RwLockReadGuard::bump);
            "lock_api::RwLockUpgradableReadGuard::bump": |l, _| bump(l, l.api.upgradable_read(), Upgrades::bump);
            "lock_api::RwLockWriteGuard::bump": |l, _| bump(l, l.api.write(), RwLockWriteGuard::bump);
        };
    }
    calls
}

/// Whether the thread has a token of [`thread::park`]. It has none afterwards.
fn has_token(patience: Duration) -> bool {
    let start = Instant::now();
    thread::park_timeout(patience);
    start.elapsed() < patience
}

/// The result of a call.
#[derive(Debug, PartialEq)]
struct Outcome {
    in_time: bool,
    /// Whether the thread had a token afterwards.
    token: bool,
}

/// Runs `call` in a thread of its own, and unparks that thread once or never while the call waits.
fn outcome(call: &Call, time: Duration, unparks: bool) -> Outcome {
    let locks = Locks::default();
    let (begin, done) = (Barrier::new(2), AtomicBool::new(false));
    // If no token is expected, the check waits for a while.
    let patience = if unparks { Duration::from_secs(2) } else { Duration::from_millis(20) };
    thread::scope(|scope| {
        let run = || {
            // Neither thread waits with `thread::park`.
            begin.wait();
            let in_time = (call.run)(&locks, time);
            done.store(true, SeqCst);
            Outcome { in_time, token: has_token(patience) }
        };
        let held = match call.obstacle {
            Hold(mode) => Some(locks.hold(mode)),
            Obstacle::Condition => None,
            #[cfg(feature = "lock_api")]
            Obstacle::Writer => None,
        };
        let thread = scope.spawn(run);
        begin.wait();
        #[cfg(feature = "lock_api")]
        let held = (
            held,
            matches!(call.obstacle, Obstacle::Writer).then(|| {
                while locks.raw_api().locked().is_none() {
                    thread::yield_now();
                }
                locks.api.write()
            }),
        );
        while !locks.is_any_awaited() && !done.load(SeqCst) {
            thread::yield_now();
        }
        if unparks {
            thread.thread().unpark();
        }
        if time == LONG {
            drop(held);
            if matches!(call.obstacle, Obstacle::Condition) {
                *locks.data.write_blocking() = 1;
            }
            return thread.join().unwrap();
        }
        let outcome = thread.join().unwrap();
        drop(held);
        outcome
    })
}

/// Runs all calls that `are_meant`, and lists those with another outcome.
#[track_caller]
fn all(are_meant: impl Fn(&Call) -> bool, time: Duration, unparks: bool, outcome_of_each: Outcome) {
    let calls = calls().into_iter().filter(are_meant);
    let differs = |call: &Call| outcome(call, time, unparks) != outcome_of_each;
    let others: Vec<_> = calls.filter(differs).map(|call| call.name).collect();
    assert!(others.is_empty(), "not {outcome_of_each:?}: {others:#?}");
}

#[test]
fn x4_a_call_that_acquires_keeps_the_token() {
    all(|_| true, LONG, true, Outcome { in_time: true, token: true });
}

#[test]
fn x4_a_call_that_times_out_keeps_the_token() {
    all(|call| call.timed, SHORT, true, Outcome { in_time: false, token: true });
}

#[test]
fn x4_a_call_that_acquires_leaves_no_token() {
    all(|_| true, LONG, false, Outcome { in_time: true, token: false });
}

#[test]
fn x4_a_call_that_times_out_leaves_no_token() {
    all(|call| call.timed, SHORT, false, Outcome { in_time: false, token: false });
}

/// A thread may be woken after its call has returned: another waiter is woken before it, and that takes a while.
#[test]
fn x4_a_late_wake_up_leaves_no_token() {
    // On a busy machine the time may be over before the lock is released.
    assert!((0..20).any(|_| wakes_late()), "each call has timed out");
}

/// Returns whether the call acquired the lock. The thread has no token in any case.
fn wakes_late() -> bool {
    let lock = MultiLock::new();
    let returned = Arc::new(AtomicBool::new(false));
    let (begin, end) = (Barrier::new(2), Barrier::new(2));
    let guard = lock.try_acquire(Exclusive).unwrap();
    let waits = returned.clone();
    let hooks = Hooks {
        on_wake: Box::new(move || {
            while !waits.load(SeqCst) {
                thread::yield_now();
            }
        }),
        ..Hooks::default()
    };
    let mut first = pin!(lock.acquire(Shared));
    assert!(first.as_mut().poll(&mut Context::from_waker(&hooks.waker())).is_pending());
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            begin.wait();
            let acquired = lock.acquire_blocking_timeout(Shared, 4 * SHORT).is_some();
            returned.store(true, SeqCst);
            end.wait();
            (acquired, has_token(SHORT))
        });
        begin.wait();
        // The thread waits by now, certainly if the machine is not busy. The release wakes both, and the thread second.
        thread::sleep(SHORT);
        drop(guard);
        end.wait();
        let (acquired, has_token) = thread.join().unwrap();
        assert!(!has_token);
        acquired
    })
}

/// A future of the same task is woken while the thread is blocked.
#[test]
fn x4_an_executor_that_parks_its_thread_wakes_up() {
    /// The executor in the docs of [`Wake`].
    fn block_on<F: Future>(future: F) -> F::Output {
        struct ThreadWaker(thread::Thread);
        impl Wake for ThreadWaker {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }
    let lock = Arc::new(RwLock::new(0));
    let event = Arc::new(Mutex::new((false, None::<Waker>)));
    let (says_done, done) = mpsc::channel();
    let guard = lock.try_write().unwrap();
    let (theirs, their_event) = (lock.clone(), event.clone());
    thread::spawn(move || {
        let event = poll_fn(move |cx| {
            let (set, waker) = &mut *their_event.lock().unwrap();
            *waker = Some(cx.waker().clone());
            if *set { Poll::Ready(()) } else { Poll::Pending }
        });
        let blocks = async move { *theirs.write_blocking() += 1 };
        // Both at once, the event first.
        let (mut event, mut blocks) = (pin!(event), pin!(blocks));
        let mut blocked = false;
        block_on(poll_fn(|cx| {
            let set = event.as_mut().poll(cx);
            if !blocked {
                blocked = blocks.as_mut().poll(cx).is_ready();
            }
            set
        }));
        says_done.send(()).unwrap();
    });
    until_awaited(lock.raw(), Exclusive);
    let waker = {
        let (set, waker) = &mut *event.lock().unwrap();
        *set = true;
        waker.take().unwrap()
    };
    waker.wake();
    drop(guard);
    assert!(done.recv_timeout(Duration::from_secs(10)).is_ok(), "the executor sleeps");
    assert_eq!(*lock.read_blocking(), 1);
}

/// A thread-local of this crate is destroyed already, or not yet, depending on which of the two was used first.
#[test]
fn x4_a_thread_that_ends_may_block() {
    struct Last(Option<Box<dyn FnOnce()>>);
    impl Drop for Last {
        fn drop(&mut self) {
            if let Some(last) = self.0.take() {
                last();
            }
        }
    }
    thread_local! {
        static BEFORE: RefCell<Last> = const { RefCell::new(Last(None)) };
        static AFTER: RefCell<Last> = const { RefCell::new(Last(None)) };
    }
    let lock = Arc::new(MultiLock::new());
    let guard = lock.try_acquire(Exclusive).unwrap();
    let (says, said) = mpsc::channel();
    let blocks = {
        let lock = lock.clone();
        move || {
            let mut outcomes = Vec::new();
            for _ in 0..2 {
                thread::current().unpark();
                let in_time = lock.acquire_blocking_timeout(Shared, SHORT / 10).is_some();
                let token = has_token(Duration::from_secs(2));
                outcomes.push(Outcome { in_time, token });
            }
            says.send(outcomes).unwrap();
        }
    };
    let thread = thread::spawn(move || {
        let last = || Last(Some(Box::new(blocks.clone())));
        BEFORE.set(last());
        blocks();
        AFTER.set(last());
    });
    thread.join().unwrap();
    let expected = || Outcome { in_time: false, token: true };
    for outcomes in [(); 3].map(|()| said.recv().unwrap()) {
        assert_eq!(outcomes, [expected(), expected()]);
    }
    drop(guard);
}

/// The waker is woken by a thread that waits for a set, and finds only one lock free.
#[test]
fn w_a_waker_may_block_in_a_thread_that_blocks() {
    let locks = [MultiLock::new(), MultiLock::new()];
    let other = Arc::new(MultiLock::new());
    let [first, second] = locks.each_ref().map(|lock| lock.try_acquire(Exclusive).unwrap());
    let guard = other.try_acquire(Exclusive).unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            drop(acquire_all_blocking(locks.each_ref().map(|lock| (lock, Exclusive))));
            has_token(Duration::from_secs(2))
        });
        until_awaited(&locks[0], Exclusive);
        let blocks = other.clone();
        let on_wake = Box::new(move || drop(blocks.acquire_blocking(Shared)));
        let waker = Hooks { on_wake, ..Hooks::default() }.waker();
        let mut behind = Box::pin(locks[0].acquire(Exclusive));
        assert!(behind.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        // The thread is woken, and passes the wake-up on.
        drop(first);
        until_awaited(&other, Shared);
        thread.thread().unpark();
        drop(guard);
        until_awaited(&locks[1], Exclusive);
        drop(behind);
        drop(second);
        assert!(thread.join().unwrap());
    });
}
