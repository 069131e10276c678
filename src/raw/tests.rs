//! `RawLock` with waiters that are polled by hand: handoff, fair releases, and the maximum of holders.

use core::mem;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::boxed::Box;
use std::eprintln;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::raw::acquire::RawAcquire;
use crate::raw::list::WaitState;
use crate::raw::waiter::ReleaseOnDrop;

#[derive(Debug, Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn e3_at_the_maximum_acquire_waits_until_one_leaves() {
    for mode in [Mode::Shared, Mode::Upgradable] {
        let lock = RawLock::full();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let cx = Context::from_waker(&waker);
        let mut waiter = pin!(Waiter::new(&lock, mode, false));
        assert!(!lock.try_acquire(mode));
        assert!(waiter.as_mut().poll_enter(&cx).is_pending());
        lock.release(Mode::Shared);
        assert_eq!(wakes.0.load(Relaxed), 1);
        assert!(waiter.as_mut().poll_enter(&cx).is_ready());
        assert!(!lock.try_acquire(mode));
    }
}

/// Creates a waiter that counts how often it is woken.
fn waiter<'a>(lock: &'a RawLock, mode: Mode, thread: bool) -> TestWaiter<'a> {
    let waiter = Box::pin(Waiter::new(lock, mode, thread));
    TestWaiter { mode, waiter, wakes: Arc::default() }
}

/// Creates a thread that was woken and found the lock held by another holder. Returns both.
fn overtaken<'a>(lock: &'a RawLock, mode: Mode) -> (TestWaiter<'a>, ReleaseOnDrop<'a>) {
    let held = || {
        assert!(lock.try_acquire(Mode::Exclusive));
        ReleaseOnDrop { lock, mode: Mode::Exclusive }
    };
    let mut thread = waiter(lock, mode, true);
    let first = held();
    assert!(thread.poll().is_pending());
    drop(first);
    let second = held();
    assert!(thread.is_woken() && thread.poll().is_pending());
    (thread, second)
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn q3_a_thread_is_overtaken_once_and_then_handed_the_lock() {
    for mode in Mode::ALL {
        let lock = RawLock::new();
        let (mut thread, held) = overtaken(&lock, mode);
        let mut task = waiter(&lock, Mode::Exclusive, false);
        drop(held);
        assert!(thread.is_woken());
        assert_eq!(lock.snapshot().mode(), Some(mode));
        assert!(!lock.try_acquire(Mode::Exclusive) && task.poll().is_pending());
        assert!(thread.poll().is_ready());
        assert!(!task.is_woken());
        lock.release(mode);
        assert!(task.is_woken() && task.poll().is_ready());
        lock.release(Mode::Exclusive);
        assert_eq!(lock.snapshot(), RawLock::new().snapshot());
    }
}

/// The new waiter arrives between a release and its notification.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn q3_a_waiter_that_finds_the_lock_free_admits_an_overtaken_thread() {
    for mode in Mode::ALL {
        let lock = RawLock::new();
        let (mut thread, held) = overtaken(&lock, Mode::Exclusive);
        mem::forget(held);
        let change = lock.leave(Mode::Exclusive).unwrap();
        let mut new = waiter(&lock, mode, false);
        assert!(new.poll().is_pending());
        assert!(thread.is_woken());
        lock.wake(change);
        assert!(!thread.is_woken() && thread.poll().is_ready());
        lock.release(Mode::Exclusive);
        assert!(new.is_woken() && new.poll().is_ready());
        lock.release(mode);
        assert_eq!(lock.snapshot(), RawLock::new().snapshot());
    }
}

/// The thread needs no handoff. It is polled between a release and its notification.
#[test]
fn q3_an_overtaken_thread_enters_at_a_spurious_poll() {
    let lock = RawLock::new();
    let (mut thread, held) = overtaken(&lock, Mode::Exclusive);
    mem::forget(held);
    let change = lock.leave(Mode::Exclusive).unwrap();
    thread.wakes = Arc::default();
    assert!(thread.poll().is_ready());
    lock.wake(change);
    assert!(!thread.is_woken() && lock.snapshot().mode() == Some(Mode::Exclusive));
    lock.release(Mode::Exclusive);
    assert_eq!(lock.snapshot(), RawLock::new().snapshot());
}

/// A waiter behind the thread is not woken either. A `try_acquire` comes between a release and
/// its notification.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn q3_an_overtaken_thread_is_not_woken_for_a_held_lock() {
    for mode in Mode::ALL {
        let lock = RawLock::new();
        let (mut thread, held) = overtaken(&lock, mode);
        let mut task = waiter(&lock, mode, false);
        let mut exclusive = waiter(&lock, Mode::Exclusive, false);
        assert!(task.poll().is_pending() && exclusive.poll().is_pending());
        mem::forget(held);
        let change = lock.leave(Mode::Exclusive).unwrap();
        assert!(lock.try_acquire(Mode::Exclusive));
        lock.wake(change);
        assert!(!thread.is_woken() && !task.is_woken() && !exclusive.is_woken());
        assert!(thread.poll().is_pending() && task.poll().is_pending());
        lock.release(Mode::Exclusive);
        assert!(thread.is_woken() && thread.poll().is_ready());
    }
}

/// In each round, a reader that waits is polled between a release and its notification.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn q3_a_thread_is_handed_the_lock_beside_readers_that_enter_before_each_notification() {
    let lock = RawLock::new();
    let (mut thread, held) = overtaken(&lock, Mode::Exclusive);
    let mut reader = waiter(&lock, Mode::Shared, false);
    assert!(reader.poll().is_pending());
    drop(held);
    assert!(reader.poll().is_ready() && !thread.is_woken());
    for entered in 0.. {
        let mut next = waiter(&lock, Mode::Shared, false);
        assert!(next.poll().is_pending());
        let change = lock.leave(Mode::Shared).unwrap();
        let enters = next.poll().is_ready();
        lock.wake(change);
        assert_ne!(enters, thread.is_woken());
        if !enters {
            assert!(thread.poll().is_ready());
            lock.release(Mode::Exclusive);
            assert!(next.poll().is_ready());
            lock.release(Mode::Shared);
            break;
        }
        assert_eq!(entered, 0, "the thread is not handed the lock");
    }
    assert_eq!(lock.snapshot(), RawLock::new().snapshot());
}

/// When it is the turn of shared waiters, no waiter lets an exclusive one in before them.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn q2_a_waiter_that_finds_the_lock_free_admits_no_thread_before_readers_whose_turn_it_is() {
    for mode in [Mode::Shared, Mode::Upgradable] {
        let lock = RawLock::new();
        let (mut thread, held) = overtaken(&lock, Mode::Exclusive);
        let mut reader = waiter(&lock, mode, false);
        assert!(reader.poll().is_pending());
        drop(held);
        assert!(reader.is_woken() && !thread.is_woken());
        assert!(waiter(&lock, Mode::Shared, false).poll().is_ready());
        assert!(reader.poll().is_ready() && !thread.is_woken());
        lock.release(mode);
        lock.release(Mode::Shared);
        assert!(thread.is_woken() && thread.poll().is_ready());
    }
}

/// A lock that was handed off must belong to a thread that runs, and not to one that waits for a
/// waker to return.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn q3_an_overtaken_thread_is_woken_before_any_other_waker_runs() {
    struct Foreign {
        lock: Arc<RawLock>,
        threads: [Arc<Wakes>; 2],
        looks: AtomicUsize,
    }
    impl Wake for Foreign {
        fn wake(self: Arc<Self>) {
            let woken = self.threads.iter().filter(|wakes| wakes.0.load(Relaxed) > 0).count();
            assert_eq!(self.lock.snapshot().shared_holders(), woken);
            self.looks.fetch_add(1, Relaxed);
        }
    }
    let lock = Arc::new(RawLock::new());
    let mut threads = [(); 2].map(|()| waiter(&lock, Mode::Shared, true));
    let wakes = threads.each_ref().map(|thread| thread.wakes.clone());
    let looks = AtomicUsize::new(0);
    let foreign = Arc::new(Foreign { lock: lock.clone(), threads: wakes, looks });
    let waker = Waker::from(foreign.clone());
    assert!(lock.try_acquire(Mode::Exclusive));
    assert!(threads.each_mut().map(TestWaiter::poll) == [Poll::Pending; 2]);
    lock.release(Mode::Exclusive);
    assert!(threads.each_ref().map(TestWaiter::is_woken) == [true; 2]);
    assert!(lock.try_acquire(Mode::Exclusive));
    // Each thread is queued behind a task.
    let mut tasks = [(); 2].map(|()| Box::pin(Waiter::new(&lock, Mode::Shared, false)));
    for (task, thread) in tasks.iter_mut().zip(&mut threads) {
        assert!(task.as_mut().poll_enter(&Context::from_waker(&waker)).is_pending());
        assert!(thread.poll().is_pending());
    }
    lock.release(Mode::Exclusive);
    assert_eq!(foreign.looks.load(Relaxed), 2);
    assert!(threads.each_ref().map(TestWaiter::is_woken) == [true; 2]);
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn c3_a_thread_that_cancels_releases_what_it_was_handed() {
    for mode in Mode::ALL {
        let lock = RawLock::new();
        let (thread, held) = overtaken(&lock, mode);
        let mut task = waiter(&lock, Mode::Exclusive, false);
        assert!(task.poll().is_pending());
        drop(held);
        assert!(thread.is_woken() && !task.is_woken());
        drop(thread);
        assert!(task.is_woken() && task.poll().is_ready());
        lock.release(Mode::Exclusive);
        assert_eq!(lock.snapshot(), RawLock::new().snapshot());
    }
}

/// Creates a waiter that has been polled once.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn waiting<'a>(lock: &'a RawLock, mode: Mode, thread: bool) -> TestWaiter<'a> {
    let mut waiter = waiter(lock, mode, thread);
    assert!(waiter.poll().is_pending());
    waiter
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn q3_a_fair_release_hands_the_lock_to_the_thread_that_is_next() {
    for (held, mode, behind) in [
        (Mode::Exclusive, Mode::Shared, Mode::Exclusive),
        (Mode::Exclusive, Mode::Upgradable, Mode::Exclusive),
        (Mode::Exclusive, Mode::Exclusive, Mode::Exclusive),
        (Mode::Upgradable, Mode::Upgradable, Mode::Upgradable),
        (Mode::Upgradable, Mode::Exclusive, Mode::Exclusive),
        (Mode::Shared, Mode::Exclusive, Mode::Exclusive),
    ] {
        let lock = RawLock::new();
        assert!(lock.try_acquire(held));
        let mut thread = waiting(&lock, mode, true);
        let mut task = waiting(&lock, behind, false);
        lock.release_fair(held);
        assert!(thread.is_woken() && !task.is_woken());
        assert_eq!(lock.snapshot().mode(), Some(mode));
        assert!(!lock.try_acquire(Mode::Exclusive));
        assert!(thread.poll().is_ready());
        lock.release(mode);
        assert!(task.is_woken() && task.poll().is_ready());
        lock.release(behind);
        assert_eq!(lock.snapshot(), RawLock::new().snapshot());
    }
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn q2_a_fair_release_hands_the_lock_to_all_threads_whose_turn_it_is() {
    let lock = RawLock::new();
    assert!(lock.try_acquire(Mode::Exclusive));
    let mut exclusive = waiting(&lock, Mode::Exclusive, true);
    // These are more waiters than one batch holds.
    let kinds = [true, false, true, true, false, true, true, true, true, true, true, true];
    let mut shared = kinds.map(|thread| (thread, waiting(&lock, Mode::Shared, thread)));
    let mut upgradable = [(); 2].map(|()| waiting(&lock, Mode::Upgradable, true));
    lock.release_fair(Mode::Exclusive);
    let word = lock.snapshot();
    assert_eq!((word.mode(), word.shared_holders()), (Some(Mode::Upgradable), 10));
    for (thread, waiter) in &mut shared {
        assert!(waiter.is_woken() && waiter.was_handed_off() == *thread);
        assert!(waiter.poll().is_ready());
        lock.release(Mode::Shared);
    }
    assert!(upgradable[0].is_woken() && upgradable[0].poll().is_ready());
    assert!(!upgradable[1].is_woken() && !exclusive.is_woken());
    lock.release_fair(Mode::Upgradable);
    assert!(exclusive.is_woken() && exclusive.was_handed_off());
}

/// A task may never run. So a thread behind it waits, too.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn p1_a_fair_release_hands_nothing_to_a_task() {
    for mode in Mode::ALL {
        let lock = RawLock::new();
        assert!(lock.try_acquire(Mode::Exclusive));
        let mut task = waiting(&lock, mode, false);
        let mut thread = waiting(&lock, Mode::Exclusive, true);
        lock.release_fair(Mode::Exclusive);
        assert!(task.is_woken() && !task.was_handed_off() && !thread.is_woken());
        assert!(lock.try_acquire(Mode::Exclusive));
        // The task is overtaken, and the next fair release finds it again.
        assert!(task.poll().is_pending());
        lock.release_fair(Mode::Exclusive);
        assert!(task.is_woken() && !task.was_handed_off() && !thread.is_woken());
        assert!(task.poll().is_ready());
        lock.release_fair(mode);
        assert!(thread.is_woken() && thread.was_handed_off());
    }
}

/// A `try_acquire` comes between a fair release and its notification.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn q3_a_thread_that_a_fair_release_misses_is_handed_the_lock_by_the_next() {
    for mode in Mode::ALL {
        let lock = RawLock::new();
        assert!(lock.try_acquire(Mode::Exclusive));
        let mut thread = waiting(&lock, mode, true);
        let change = lock.leave(Mode::Exclusive).unwrap();
        assert!(lock.try_acquire(Mode::Exclusive));
        lock.wake_by(change, Release::Fair);
        assert!(!thread.is_woken() && thread.poll().is_pending());
        lock.release(Mode::Exclusive);
        assert!(thread.is_woken() && thread.was_handed_off());
        assert_eq!(lock.snapshot().mode(), Some(mode));
    }
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn c3_a_thread_that_cancels_releases_what_a_fair_release_handed_it() {
    for mode in Mode::ALL {
        let lock = RawLock::new();
        assert!(lock.try_acquire(Mode::Exclusive));
        let thread = waiting(&lock, mode, true);
        let mut task = waiting(&lock, Mode::Exclusive, false);
        lock.release_fair(Mode::Exclusive);
        assert!(thread.is_woken() && !task.is_woken());
        drop(thread);
        assert!(task.is_woken() && task.poll().is_ready());
        lock.release(Mode::Exclusive);
        assert_eq!(lock.snapshot(), RawLock::new().snapshot());
    }
}

/// Runs random schedules in which shared holders enter and leave where there is room for a few
/// more, or for none.
///
/// Each waiter that could enter is awake, or another waiter is awake that fits. The test fails
/// if a shared holder that leaves at the maximum notifies no waiter, if `notify_shared`
/// notifies only one waiter, and if a waiter that is dropped does not pass its notification on.
#[test]
fn e3_near_the_maximum_no_waiter_sleeps_that_could_enter() {
    for seed in 0..if cfg!(miri) { 5 } else { 20_000 } {
        let mut steps = Vec::new();
        let result = catch_unwind(AssertUnwindSafe(|| near_the_maximum(seed, &mut steps)));
        result.unwrap_or_else(|panic| {
            eprintln!("seed {seed}: {steps:?}");
            resume_unwind(panic)
        });
    }
}

struct TestWaiter<'a> {
    mode: Mode,
    waiter: Pin<Box<Waiter<'a>>>,
    wakes: Arc<Wakes>,
}

impl TestWaiter<'_> {
    fn is_awake(&self) -> bool {
        self.wakes.0.load(Relaxed) > 0
    }

    /// Returns whether the waiter was woken, once, since the previous check.
    fn is_woken(&self) -> bool {
        let wakes = self.wakes.0.swap(0, Relaxed);
        assert!(wakes < 2, "woken in vain");
        wakes == 1
    }

    fn poll(&mut self) -> Poll<()> {
        let waker = Waker::from(self.wakes.clone());
        self.waiter.as_mut().poll_enter(&Context::from_waker(&waker))
    }

    fn was_handed_off(&mut self) -> bool {
        self.waiter.state() == WaitState::HandedOff
    }
}

fn near_the_maximum(seed: u64, steps: &mut Vec<(usize, usize)>) {
    let mut state = seed;
    // This is what `splitmix64` makes of the state.
    let mut below = |limit: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    };
    let lock = RawLock::full();
    let full = lock.snapshot().shared_holders();
    let (mut shared, mut upgradable) = (full, 0);
    let mut waiters: Vec<TestWaiter<'_>> = Vec::new();
    for _ in 0..60 {
        let (step, n) = (below(9), below(waiters.len().max(4)));
        steps.push((step, n));
        let mut entered = None;
        match step {
            0 | 1 if waiters.len() < 6 => {
                let modes = [Mode::Shared, Mode::Shared, Mode::Upgradable, Mode::Exclusive];
                let mode = modes[n % 4];
                if lock.try_acquire_as_newcomer(mode).is_ok() {
                    entered = Some(mode);
                } else {
                    let waiter = waiter(&lock, mode, below(2) == 0);
                    // The waiter counts as awake until it is polled.
                    waiter.wakes.0.store(1, Relaxed);
                    waiters.push(waiter);
                }
            }
            2..=4 if n < waiters.len() => {
                let waiter = &mut waiters[n];
                waiter.wakes.0.store(0, Relaxed);
                entered = waiter.poll().is_ready().then(|| waiters.swap_remove(n).mode);
            }
            5 if n < waiters.len() => drop(waiters.swap_remove(n)),
            6 if shared > full - 6 => {
                if n % 2 == 0 {
                    lock.release(Mode::Shared);
                } else {
                    lock.release_fair(Mode::Shared);
                }
                shared -= 1;
            }
            7 if upgradable > 0 => {
                if n % 2 == 0 {
                    lock.release(Mode::Upgradable);
                } else {
                    lock.downgrade(Mode::Upgradable, Mode::Shared);
                    shared += 1;
                }
                upgradable -= 1;
            }
            8 if lock.share() => shared += 1,
            _ => {}
        }
        match entered {
            Some(Mode::Shared) => shared += 1,
            Some(Mode::Upgradable) => upgradable += 1,
            Some(Mode::Exclusive) => panic!("exclusive beside shared holders"),
            None => {}
        }
        let word = lock.snapshot();
        let was_handed_off =
            |waiter: &mut TestWaiter<'_>| waiter.mode == Mode::Shared && waiter.was_handed_off();
        let given: usize =
            waiters.iter_mut().map(|waiter| usize::from(was_handed_off(waiter))).sum();
        assert_eq!(word.shared_holders(), shared + given);
        let awake = |waiter: &TestWaiter<'_>| waiter.is_awake() && word.fits(waiter.mode);
        for waiter in waiters.iter().filter(|waiter| word.admits(waiter.mode)) {
            assert!(waiters.iter().any(awake), "no waiter that fits is awake; {word:?}");
            // All shared waiters are notified together.
            assert!(waiter.mode != Mode::Shared || waiter.is_awake(), "{word:?}");
        }
    }
}

/// A waker that does something when it wakes, once.
#[derive(Default)]
struct RunsOnWake(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl RunsOnWake {
    fn set(&self, f: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(f));
    }
}

impl Wake for RunsOnWake {
    fn wake(self: Arc<Self>) {
        let f = self.0.lock().unwrap().take();
        f.into_iter().for_each(|f| f());
    }
}

type Waits = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The last waiter leaves between two batches, so the release does not find it. The next batch
/// empties the list.
#[test]
fn p3_a_release_wakes_no_waiter_that_joins_an_empty_list() {
    fn waits(lock: &Arc<RawLock>, waker: &Waker) -> Waits {
        let lock = lock.clone();
        let mut waits: Waits = Box::pin(async move { RawAcquire::new(&*lock, Mode::Shared).await });
        assert!(waits.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        waits
    }

    let lock = Arc::new(RawLock::new());
    assert!(lock.try_acquire(Mode::Exclusive));
    let [first, ninth] = [(); 2].map(|()| Arc::new(RunsOnWake::default()));
    let mut tasks: Vec<_> = vec![waits(&lock, &first.clone().into())];
    tasks.extend((0..7).map(|_| waits(&lock, Waker::noop())));
    tasks.push(waits(&lock, &ninth.clone().into()));
    let last = waits(&lock, Waker::noop());
    first.set(|| drop(last));
    let (wakes, joined) = (Arc::new(Wakes::default()), Arc::new(Mutex::new(None)));
    ninth.set({
        let (lock, waker, joined) = (lock.clone(), wakes.clone().into(), joined.clone());
        move || {
            assert!(lock.try_acquire(Mode::Exclusive));
            *joined.lock().unwrap() = Some(waits(&lock, &waker));
        }
    });
    lock.release(Mode::Exclusive);
    assert!(joined.lock().unwrap().is_some() && wakes.0.load(Relaxed) == 0);
    drop(tasks);
    lock.release(Mode::Exclusive);
    assert_eq!(wakes.0.load(Relaxed), 1);
}

/// The last listener leaves between two batches, so the release does not find the end of the list.
#[cfg(feature = "event-listener")]
#[test]
fn p3_an_edge_notifies_no_event_again_and_again() {
    use crate::raw::edges::Edge;

    let edge = Edge::Acquirable(Mode::Shared);
    let lock = Arc::new(RawLock::new());
    let listens = |waker: &Waker, is_event| {
        let lock = lock.clone();
        let mut listens: Waits = Box::pin(async move {
            if is_event {
                lock.wake_at_edges(edge).await;
            }
            lock.listen_to_edges(edge, |_| Poll::Pending).await;
        });
        assert!(listens.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        listens
    };
    assert!(lock.try_acquire(Mode::Exclusive));
    _ = lock.watch(edge);
    let mut crowd: Vec<_> = (0..100).map(|_| waiter(&lock, Mode::Exclusive, false)).collect();
    assert!(crowd.iter_mut().all(|waiter| waiter.poll().is_pending()));
    let first = Arc::new(RunsOnWake::default());
    let task = listens(&Waker::from(first.clone()), false);
    let wakes: Vec<_> = (0..8).map(|_| Arc::new(Wakes::default())).collect();
    let events: Vec<_> = wakes.iter().map(|wakes| listens(&wakes.clone().into(), true)).collect();
    let last = listens(Waker::noop(), true);
    first.set(|| drop(last));
    lock.release(Mode::Exclusive);
    assert!(wakes.iter().all(|wakes| wakes.0.load(Relaxed) == 1), "{wakes:?}");
    drop((task, events, crowd));
    lock.unwatch();
}
