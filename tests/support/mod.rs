//! Tasks that are polled by hand, wakers that misbehave, and an allocator that counts.

#![allow(dead_code, reason = "each suite uses a part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Debug;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread::LocalKey;

use multilock::{Guard, Mode, MultiLock};

/// Counts its wake-ups.
#[derive(Debug, Default)]
pub(crate) struct Alarm(AtomicUsize);

impl Alarm {
    pub(crate) fn wakes(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A future that runs only when a test says so.
pub(crate) struct Task<F> {
    future: Pin<Box<F>>,
    alarm: Arc<Alarm>,
    waker: Waker,
    polls: usize,
    wakes_answered: usize,
}

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F) -> Self {
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(alarm.clone());
        Self { future: Box::pin(future), alarm, waker, polls: 0, wakes_answered: 0 }
    }

    /// A task that was polled once and waits.
    #[track_caller]
    pub(crate) fn queued(future: F) -> Self {
        let mut task = Self::new(future);
        task.waits();
        task
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        let waker = self.waker.clone();
        self.poll_with(&waker)
    }

    /// One poll with the waker of another task.
    pub(crate) fn poll_with(&mut self, waker: &Waker) -> Poll<F::Output> {
        self.polls += 1;
        self.wakes_answered = self.wakes();
        self.future.as_mut().poll(&mut Context::from_waker(waker))
    }

    /// From here on only a new waker wakes the task. The future learns of it at its next poll.
    pub(crate) fn renew_waker(&mut self) {
        self.alarm = Arc::default();
        self.waker = Waker::from(self.alarm.clone());
        self.wakes_answered = 0;
    }

    /// One poll, which must be pending.
    #[track_caller]
    pub(crate) fn waits(&mut self) {
        assert!(self.poll().is_pending(), "ready too early");
    }

    /// One poll, which must be ready.
    #[track_caller]
    pub(crate) fn finish(&mut self) -> F::Output {
        let Poll::Ready(output) = self.poll() else { panic!("still pending") };
        output
    }

    /// What an executor does: polls the task if it was woken, and otherwise does nothing.
    pub(crate) fn run(&mut self) -> Option<F::Output> {
        if !self.woken() {
            return None;
        }
        match self.poll() {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    /// Whether the task was woken since its last poll.
    pub(crate) fn woken(&self) -> bool {
        self.wakes() > self.wakes_answered
    }

    /// How often the task was woken.
    pub(crate) fn wakes(&self) -> usize {
        self.alarm.wakes()
    }

    /// How often the task was polled.
    pub(crate) fn polls(&self) -> usize {
        self.polls
    }

    pub(crate) fn future(&self) -> &F {
        &self.future
    }
}

/// Polls once, with a waker that does nothing and a future on the stack: allocates nothing itself.
pub(crate) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The output of a future that does not wait.
#[track_caller]
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    let Poll::Ready(output) = poll_once(future) else { panic!("still pending") };
    output
}

/// Acquires a lock that is available.
#[track_caller]
pub(crate) fn hold(lock: &MultiLock, mode: Mode) -> Guard<'_> {
    lock.try_acquire(mode).expect("the lock can be acquired")
}

pub(crate) fn locks<const N: usize>() -> [MultiLock; N] {
    std::array::from_fn(|_| MultiLock::new())
}

/// The mode in which each lock is held.
pub(crate) fn modes(locks: &[MultiLock]) -> Vec<Option<Mode>> {
    locks.iter().map(MultiLock::locked).collect()
}

/// Checks that the lock has no holder, no waiter, no monitor and no overtaken waiter.
#[track_caller]
pub(crate) fn assert_idle(lock: &MultiLock) {
    assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
}

#[track_caller]
pub(crate) fn assert_all_idle<'a>(locks: impl IntoIterator<Item = &'a MultiLock>) {
    locks.into_iter().for_each(assert_idle);
}

/// Returns when another thread waits for `mode`.
pub(crate) fn until_awaited(lock: &MultiLock, mode: Mode) {
    while !lock.snapshot().is_awaited(mode) {
        std::thread::yield_now();
    }
}

/// Makes a thread wait for `lock` in `mode`, and hold it until the barrier. Acquires the lock before that thread runs,
/// if possible, and returns whether it did. If so, `is_handed` says whether the next release handed the lock over.
pub(crate) fn overtakes(
    lock: &MultiLock,
    mode: Mode,
    blocks: impl FnOnce(&Barrier) + Send,
    is_handed: impl FnOnce() -> bool,
) -> bool {
    let end = &Barrier::new(2);
    std::thread::scope(|scope| {
        let guard = lock.try_acquire(Mode::Exclusive).unwrap();
        scope.spawn(move || blocks(end));
        until_awaited(lock, mode);
        drop(guard);
        let overtaker = lock.try_acquire(Mode::Exclusive);
        let overtakes = overtaker.is_some();
        while overtakes && !format!("{:?}", lock.snapshot()).contains("overtaken: true") {
            std::thread::yield_now();
        }
        drop(overtaker);
        let handed = !overtakes || is_handed();
        // Before the test fails: otherwise the thread would wait forever.
        end.wait();
        assert!(handed, "{mode:?}: the thread has not been handed the lock, or not alone");
        overtakes
    })
}

pub(crate) type Action = Box<dyn Fn() + Send + Sync>;

/// A waker that does something when it is cloned, woken or dropped.
pub(crate) struct Hooks {
    pub(crate) on_clone: Action,
    pub(crate) on_wake: Action,
    pub(crate) on_drop: Action,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { on_clone: Box::new(|| {}), on_wake: Box::new(|| {}), on_drop: Box::new(|| {}) }
    }
}

impl Hooks {
    pub(crate) fn waker(self) -> Waker {
        // SAFETY: the functions of `HOOKED` keep the contract of a waker: each waker owns one count
        // of an `Arc<Hooks>`, which is `Send` and `Sync`.
        unsafe { Waker::new(Arc::into_raw(Arc::new(self)).cast(), &HOOKED) }
    }
}

static HOOKED: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: `data` comes from `Arc::into_raw`, and the waker that is cloned keeps it alive.
        unsafe { ((*data.cast::<Hooks>()).on_clone)() };
        // SAFETY: as above.
        unsafe { Arc::increment_strong_count(data.cast::<Hooks>()) };
        RawWaker::new(data, &HOOKED)
    },
    |data| {
        // SAFETY: this takes over the reference count of the waker, which is consumed.
        let hooks = unsafe { Arc::from_raw(data.cast::<Hooks>()) };
        (hooks.on_wake)();
    },
    |data| {
        // SAFETY: `data` comes from `Arc::into_raw`, and the waker that is woken keeps it alive.
        unsafe { ((*data.cast::<Hooks>()).on_wake)() };
    },
    |data| {
        // SAFETY: this takes over the reference count of the waker, which is dropped.
        let hooks = unsafe { Arc::from_raw(data.cast::<Hooks>()) };
        (hooks.on_drop)();
    },
);

/// A task whose waker polls it inline, inside the call that wakes it.
pub(crate) struct Inline {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    woken: AtomicBool,
}

impl Inline {
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        let future = Mutex::new(Some(Box::pin(future) as _));
        Waker::from(Arc::new(Self { future, woken: AtomicBool::new(false) })).wake();
    }
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        let waker = Waker::from(self.clone());
        // If the slot is locked, the thread that polls checks `woken` again.
        while let Ok(mut slot) = self.future.try_lock() {
            if !self.woken.swap(false, SeqCst) {
                return;
            }
            if let Some(future) = slot.as_mut() {
                if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    *slot = None;
                }
            }
        }
    }
}

/// The system's allocator, with counts for each thread.
pub(crate) struct Counting;

std::thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// The number of deallocations.
    static RETURNED: Cell<usize> = const { Cell::new(0) };
}

fn count(what: &'static LocalKey<Cell<usize>>) {
    // The last allocations of a thread may follow the destruction of its thread-locals.
    let _ = what.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: `System` does everything; the count does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATIONS);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATIONS);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(&ALLOCATIONS);
        count(&RETURNED);
        // SAFETY: the caller upholds the contract.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        count(&RETURNED);
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(old, layout) }
    }
}

/// Returns the output of `run`, and how often this thread allocated meanwhile.
pub(crate) fn allocations<R>(run: impl FnOnce() -> R) -> (R, usize) {
    let before = ALLOCATIONS.get();
    let output = run();
    (output, ALLOCATIONS.get() - before)
}

/// Fails if `run` does not free everything that it allocates.
#[track_caller]
pub(crate) fn without_a_leak(what: impl Debug, run: impl FnOnce()) {
    let returned = RETURNED.get();
    let ((), allocated) = allocations(run);
    assert_eq!(RETURNED.get() - returned, allocated, "deallocations of {what:?}");
    assert!(allocated > 0, "{what:?} allocates nothing");
}

/// Fails if `run` allocates.
#[track_caller]
pub(crate) fn without_allocation<R>(what: impl Debug, run: impl FnOnce() -> R) -> R {
    let (output, count) = allocations(run);
    assert_eq!(count, 0, "allocations in {what:?}");
    output
}

/// The message of a panic.
pub(crate) fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<&str>() {
        Ok(text) => (*text).into(),
        Err(panic) => *panic.downcast::<String>().unwrap(),
    }
}
