//! Very many acquisitions of sets that overlap, by tasks of several runtimes at the same locks, with
//! futures that are dropped at any point. What is looked for comes from the interleaving of threads:
//! torn data, lost changes, bits that stay behind, and tasks that nobody wakes.
//!
//! A failure prints its seed. `MULTILOCK_SEED=<seed>` takes another, and `MULTILOCK_ROUNDS=<number>`
//! acquires that often, or nearly, instead of the usual number.

#![cfg(all(
    any(feature = "std", feature = "critical-section"),
    not(any(loom, shuttle, target_family = "wasm"))
))]

#[path = "support/random.rs"]
mod random;

use std::array;
use std::env;
use std::future::poll_fn;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use Mode::Exclusive;
use multilock::{LockGuard, LockSet, Lockable, Mode, MultiLock};
use multilock::{acquire_all, try_acquire_all};
use random::{Choices, Random};

const LOCKS: usize = 6;

/// How often a task acquires from its beginning to its end.
const ROUNDS: usize = 20;

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(if cfg!(miri) { 600 } else { 20 });

/// A lock and what it guards. Atomics, so that a lock that fails is a failed test and no more: every
/// change is a load and, later, a store.
#[derive(Default)]
struct Seat {
    lock: MultiLock,
    /// Equal whenever nobody changes them.
    cells: [AtomicUsize; 3],
    /// Who is here: a digit for each mode.
    present: AtomicUsize,
    /// How often the cells were changed. It needs no lock.
    changes: AtomicUsize,
}

impl Seat {
    /// Comes as a holder, and finds nobody whom `mode` excludes.
    fn enter(&self, mode: Mode) -> impl Drop {
        struct Present<'a>(&'a AtomicUsize, usize);
        impl Drop for Present<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(self.1, Relaxed);
            }
        }
        const BITS: usize = 8;
        let unit = |mode| 1 << (BITS * mode as usize);
        let others = self.present.fetch_add(unit(mode), Relaxed);
        let present = Present(&self.present, unit(mode));
        for other in Mode::ALL.into_iter().filter(|&other| mode.excludes(other)) {
            let count = others / unit(other) % (1 << BITS);
            assert_eq!(count, 0, "{mode:?} beside {other:?}");
        }
        present
    }

    fn assert_total(&self) {
        let changes = self.changes.load(Relaxed);
        assert_eq!(self.cells.each_ref().map(|cell| cell.load(Relaxed)), [changes; 3]);
        assert_eq!(self.lock.snapshot(), MultiLock::new().snapshot());
    }
}

/// What all tasks share.
struct World {
    seats: [Seat; LOCKS],
    /// How often each task has acquired.
    acquired: Vec<AtomicUsize>,
    /// How often each has got nothing, as it gave up or only tried.
    in_vain: Vec<AtomicUsize>,
    /// How many futures were dropped when they were woken, and not polled yet.
    dropped_woken: AtomicUsize,
}

impl World {
    fn new(tasks: usize) -> Arc<Self> {
        let counts = || iter::repeat_with(AtomicUsize::default).take(tasks).collect();
        Arc::new(Self {
            seats: Default::default(),
            acquired: counts(),
            in_vain: counts(),
            dropped_woken: AtomicUsize::new(0),
        })
    }

    /// All that has happened up to now.
    fn events(&self) -> usize {
        self.acquired.iter().chain(&self.in_vain).map(|count| count.load(Relaxed)).sum()
    }

    fn print(&self) {
        for seat in &self.seats {
            eprintln!("{:?} {:?}, changes {:?}", seat.lock, seat.cells, seat.changes);
        }
        eprintln!("acquired: {:?}", self.acquired);
        eprintln!("in vain: {:?}", self.in_vain);
        eprintln!("dropped when woken: {:?}", self.dropped_woken);
    }
}

impl Random {
    /// So many seats, in any order.
    fn seats(&mut self, count: usize) -> Vec<usize> {
        let mut all: [usize; LOCKS] = array::from_fn(|n| n);
        for n in 0..count {
            all.swap(n, n + self.below(LOCKS - n));
        }
        all[..count].to_vec()
    }
}

/// What it takes a runtime for, or what each has ways of its own for.
trait Runtime: Send + 'static {
    /// Drops `wanted` and gives `None` if it takes longer than `limit`.
    fn timeout<F: Future<Output: Send> + Send>(
        limit: Duration,
        wanted: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// The same if it is not ready at once.
    fn at_once<F: Future<Output: Send> + Send>(
        wanted: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;
}

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if !yielded {
            cx.waker().wake_by_ref();
        }
        if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Polls `wanted` whenever it is woken, and drops it after so many polls in vain.
async fn within_polls<F: Future>(mut polls: usize, wanted: F) -> Option<F::Output> {
    let mut wanted = pin!(wanted);
    poll_fn(|cx| {
        polls -= 1;
        match wanted.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Polls `wanted` once, and drops it if it is not ready: when it is woken, or a little later if it is
/// not. Says whether it was.
async fn until_woken<F: Future>(wanted: F) -> Result<F::Output, bool> {
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let mut wanted = pin!(wanted);
    let waker = Waker::from(flag.clone());
    if let Poll::Ready(output) = wanted.as_mut().poll(&mut Context::from_waker(&waker)) {
        return Ok(output);
    }
    for _ in 0..8 {
        yield_now().await;
        if flag.0.load(Relaxed) {
            return Err(true);
        }
    }
    Err(false)
}

/// A panic of `task` is its output.
async fn caught<F: Future>(task: F) -> thread::Result<F::Output> {
    let mut task = pin!(task);
    poll_fn(|cx| {
        let poll = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx)));
        poll.map_or_else(|panic| Poll::Ready(Err(panic)), |poll| poll.map(Ok))
    })
    .await
}

/// One of the tasks.
struct Worker {
    world: Arc<World>,
    number: usize,
    random: Random,
    end: Sender<thread::Result<()>>,
}

impl Worker {
    /// Acquires a few times, and gives up in between. A panic is what it sends at its end.
    async fn run<R: Runtime>(mut self) {
        let end = caught(async {
            let mut acquired = 0;
            while acquired < ROUNDS {
                let is_acquired = self.round::<R>().await;
                acquired += usize::from(is_acquired);
                let world = &self.world;
                let count = if is_acquired { &world.acquired } else { &world.in_vain };
                count[self.number].fetch_add(1, Relaxed);
            }
            self.give_up().await;
        });
        let end = end.await;
        let _ = self.end.send(end);
    }

    /// Tries to acquire something in some way. Says whether it did.
    async fn round<R: Runtime>(&mut self) -> bool {
        let world = self.world.clone();
        let lock = |n: usize| &world.seats[n].lock;
        match self.random.below(8) {
            0 => {
                let named = self.random.seats(1);
                self.alike::<R, _>(lock(named[0]), &named).await
            }
            1 => {
                let n = self.random.below(LOCKS);
                self.upgrade::<R>(n).await
            }
            2..=4 => {
                let count = 2 + self.random.below(3);
                let named = self.random.seats(count);
                // One is named twice.
                let twice = if self.random.one_in(8) { &named[..1] } else { &[] };
                let set: LockSet<&MultiLock> =
                    named.iter().chain(twice).map(|&n| lock(n)).collect();
                self.alike::<R, _>(&set, &named).await
            }
            _ => {
                let count = 2 + self.random.below(3);
                let named = self.random.seats(count);
                let wanted: Vec<_> = named.iter().map(|&n| (n, self.random.mode())).collect();
                let mut pairs: Vec<_> = wanted.iter().map(|&(n, mode)| (lock(n), mode)).collect();
                // One is named twice, and the stronger mode counts.
                if self.random.one_in(8) {
                    let (lock, mode) = pairs[0];
                    pairs.push((lock, mode.min(self.random.mode())));
                }
                let guard = if self.random.one_in(8) {
                    try_acquire_all(pairs)
                } else {
                    self.patient::<R, _>(acquire_all(pairs)).await
                };
                let Some(_guard) = guard else { return false };
                self.visit(&wanted).await;
                true
            }
        }
    }

    /// Acquires all in the same mode.
    #[expect(
        clippy::manual_async_fn,
        reason = "it promises `Send`, which the compiler cannot see of an `async fn` where `L` has a reference"
    )]
    fn alike<R: Runtime, L: Lockable>(
        &mut self,
        lock: L,
        named: &[usize],
    ) -> impl Future<Output = bool> + Send {
        async move {
            let mode = self.random.mode();
            let guard = match self.random.below(16) {
                0 | 1 => lock.try_acquire(mode),
                2 => self
                    .patient::<R, _>(lock.wait(mode))
                    .await
                    .and_then(|()| lock.try_acquire(mode)),
                3 => {
                    let monitor = lock.notify(mode);
                    self.patient::<R, _>(monitor.wait()).await.and_then(|()| lock.try_acquire(mode))
                }
                _ => self.patient::<R, _>(lock.acquire(mode)).await,
            };
            let Some(mut guard) = guard else { return false };
            let in_mode = |mode| named.iter().map(|&n| (n, mode)).collect::<Vec<_>>();
            self.visit(&in_mode(mode)).await;
            if self.random.one_in(4) {
                let weaker = mode.min(self.random.mode());
                guard.downgrade(weaker);
                self.visit(&in_mode(weaker)).await;
            }
            if self.random.one_in(4) {
                guard = lock.adopt(guard.into_handle()).unwrap();
                self.visit(&in_mode(guard.mode())).await;
            }
            true
        }
    }

    /// Acquires one, and makes the hold exclusive. Nobody comes in between.
    async fn upgrade<R: Runtime>(&mut self, n: usize) -> bool {
        let world = self.world.clone();
        let (seat, mode) = (&world.seats[n], self.random.mode());
        let acquired = self.patient::<R, _>(seat.lock.acquire(mode)).await;
        let Some(mut guard) = acquired else { return false };
        self.visit(&[(n, mode)]).await;
        let before = seat.cells[0].load(Relaxed);
        match self.random.below(3) {
            0 => drop(guard.try_upgrade()),
            _ => drop(self.patient::<R, _>(guard.upgrade()).await),
        }
        assert_eq!(
            seat.cells[0].load(Relaxed),
            before,
            "somebody came before the upgrade was done"
        );
        self.visit(&[(n, guard.mode())]).await;
        true
    }

    /// The last that it does: after it, it wakes nobody by chance whom it has forgotten.
    async fn give_up(&mut self) {
        let world = self.world.clone();
        for _ in 0..3 {
            let (count, mode) = (1 + self.random.below(2), self.random.mode());
            let named = self.random.seats(count);
            let set: LockSet<&MultiLock> = named.iter().map(|&n| &world.seats[n].lock).collect();
            match self.random.below(3) {
                0 => drop(within_polls(1 + self.random.below(2), set.acquire(mode)).await),
                _ => drop(until_woken(set.acquire(mode)).await),
            }
        }
    }

    /// Waits for `wanted`, or drops it at some point.
    async fn patient<R: Runtime, F>(&mut self, wanted: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send,
    {
        match self.random.below(32) {
            0..=3 => within_polls(1 + self.random.below(3), wanted).await,
            4..=5 => match until_woken(wanted).await {
                Ok(output) => Some(output),
                Err(woken) => {
                    self.world.dropped_woken.fetch_add(usize::from(woken), Relaxed);
                    None
                }
            },
            6 => R::at_once(wanted).await,
            7 if self.random.one_in(8) => {
                R::timeout(Duration::from_micros(self.random.below(2000) as u64), wanted).await
            }
            _ => Some(wanted.await),
        }
    }

    /// What a holder does: all are there, and stay what they are or change as one.
    async fn visit(&mut self, holds: &[(usize, Mode)]) {
        let seats = || holds.iter().map(|&(n, mode)| (&self.world.seats[n], mode));
        let _present: Vec<_> = seats().map(|(seat, mode)| seat.enter(mode)).collect();
        for (seat, mode) in seats() {
            let pause = self.random.below(32);
            let first = seat.cells[0].load(Relaxed);
            for (n, cell) in seat.cells.iter().enumerate() {
                if n == pause {
                    yield_now().await;
                }
                assert_eq!(cell.load(Relaxed), first, "somebody changes it");
                if mode == Exclusive {
                    cell.store(first + 1, Relaxed);
                }
            }
            seat.changes.fetch_add(usize::from(mode == Exclusive), Relaxed);
        }
    }
}

/// The tasks of one test.
struct Run {
    seed: u64,
    world: Arc<World>,
}

impl Run {
    /// Runs so many tasks at once, again and again, until they have acquired often enough. They are
    /// short, as one that was forgotten is woken by chance while there are others that go on.
    fn run(tasks: usize, rounds: usize, spawn: impl Fn(Worker)) {
        let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().expect(name));
        let seed = number("MULTILOCK_SEED").unwrap_or(0);
        let rounds = number("MULTILOCK_ROUNDS").map_or(rounds, |rounds| rounds as usize);
        let run = Self { seed, world: World::new(tasks) };
        let times = rounds.div_ceil(tasks * ROUNDS);
        for time in 0..times {
            let (end, ended) = channel();
            for number in 0..tasks {
                let random = Random((seed << 32) + (time * tasks + number) as u64);
                spawn(Worker { world: run.world.clone(), number, random, end: end.clone() });
            }
            drop(end);
            run.watch(ended);
            run.world.seats.iter().for_each(Seat::assert_total);
        }
        let acquired = run.world.acquired.iter().map(|count| count.load(Relaxed)).sum::<usize>();
        assert_eq!(acquired, times * tasks * ROUNDS);
    }

    /// Waits for the end of all tasks. Fails with the first that fails, and if nothing happens.
    fn watch(&self, ended: Receiver<thread::Result<()>>) {
        let (mut events, mut since) = (0, Instant::now());
        loop {
            match ended.recv_timeout(PATIENCE / 20) {
                Ok(end) => end.unwrap_or_else(|panic| resume_unwind(panic)),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.world.events();
            if now != events {
                (events, since) = (now, Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "nothing happens any more");
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("MULTILOCK_SEED={}", self.seed);
            self.world.print();
        }
    }
}

/// A thread for each task.
struct Threads;

impl Threads {
    fn block_on(task: impl Future<Output = ()>) {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut task = pin!(task);
        while task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            thread::park();
        }
    }
}

impl Runtime for Threads {
    /// There is no timer: it is a number of polls.
    async fn timeout<F: Future<Output: Send> + Send>(
        limit: Duration,
        wanted: F,
    ) -> Option<F::Output> {
        within_polls(1 + limit.as_micros() as usize / 500, wanted).await
    }

    async fn at_once<F: Future<Output: Send> + Send>(wanted: F) -> Option<F::Output> {
        within_polls(1, wanted).await
    }
}

#[test]
fn threads_at_the_same_locks() {
    let (tasks, rounds) = if cfg!(miri) { (3, 60) } else { (4, 40_000) };
    Run::run(tasks, rounds, |worker| {
        thread::spawn(|| Threads::block_on(worker.run::<Threads>()));
    });
}

#[cfg(not(miri))]
mod runtimes {
    use futures::future::{Either, ready, select};

    use super::*;

    const TASKS: usize = 16;
    /// Of each runtime.
    const THREADS: usize = 2;

    struct Tokio;

    impl Runtime for Tokio {
        async fn timeout<F: Future<Output: Send> + Send>(
            limit: Duration,
            wanted: F,
        ) -> Option<F::Output> {
            tokio::time::timeout(limit, wanted).await.ok()
        }

        async fn at_once<F: Future<Output: Send> + Send>(wanted: F) -> Option<F::Output> {
            // Begins with any of them.
            tokio::select! {
                output = wanted => Some(output),
                () = ready(()) => None,
            }
        }
    }

    struct Smol;

    impl Runtime for Smol {
        async fn timeout<F: Future<Output: Send> + Send>(
            limit: Duration,
            wanted: F,
        ) -> Option<F::Output> {
            let late = async {
                smol::Timer::after(limit).await;
                None
            };
            smol::future::or(async { Some(wanted.await) }, late).await
        }

        async fn at_once<F: Future<Output: Send> + Send>(wanted: F) -> Option<F::Output> {
            match select(pin!(wanted), ready(())).await {
                Either::Left((output, _)) => Some(output),
                Either::Right(_) => None,
            }
        }
    }

    #[test]
    fn tasks_of_two_runtimes_at_the_same_locks() {
        // Both on threads of their own: one that hangs is left behind.
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let mut tokio = tokio::runtime::Builder::new_multi_thread();
        let tokio = tokio.worker_threads(THREADS).enable_time().build().unwrap();
        let spawner = tokio.handle().clone();
        let smol = Arc::new(smol::Executor::new());
        for _ in 0..THREADS {
            let (smol, stopped) = (smol.clone(), stopped.clone());
            thread::spawn(move || smol::block_on(smol.run(stopped.recv())));
        }
        thread::spawn(move || tokio.block_on(stopped.recv()));

        Run::run(TASKS, 1_000_000, |worker| {
            if worker.number % 2 == 0 {
                drop(spawner.spawn(worker.run::<Tokio>()));
            } else {
                smol.spawn(worker.run::<Smol>()).detach();
            }
        });
        drop(stop);
    }
}
