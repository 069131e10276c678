//! The lock beside its rivals: the same body for each, measured in turns.
//!
//! ```text
//! cargo bench --bench locks [-- part of the name of a case]
//! ```
//!
//! All contestants of a case take turns in short rounds, so that whatever else the computer does
//! meets all of them. A cell is the median over the rounds in nanoseconds per operation, and the
//! median in relation to ours: above 1 the rival is slower.
//!
//! Without `--bench`, as in `cargo test --benches`, each body runs once, and nothing is measured.

use std::cell::Cell;
use std::env;
use std::future::poll_fn;
use std::hint::{black_box, spin_loop};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use multilock::{Mode, MultiLock};

/// How long all rounds of a case take.
const CASE: Duration = Duration::from_millis(2400);
/// How long a round of one contestant takes: less than the scheduler's patience.
const ROUND: Duration = Duration::from_millis(2);
/// The tasks that share a thread.
const TASKS: u64 = 64;
/// The shared waiters of a hand-over. Behind them waits one exclusive.
const SHARED_WAITERS: usize = 8;

/// What a lock without data and without async can do.
trait Lock: Default + Sync {
    fn try_shared(&self) -> Option<impl Sized>;
    fn try_exclusive(&self) -> Option<impl Sized>;
    fn shared_blocking(&self) -> impl Sized;
    fn exclusive_blocking(&self) -> impl Sized;
}

trait AsyncLock: Lock {
    fn shared(&self) -> impl Future<Output = impl Sized>;
    fn exclusive(&self) -> impl Future<Output = impl Sized>;
}

/// How a contestant acquires: shared, exclusive.
macro_rules! contestant {
    ($lock:ident: $Lock:ty {
        tries: $try_shared:expr, $try_exclusive:expr;
        blocks: $shared_blocking:expr, $exclusive_blocking:expr;
        $(awaits: $shared:expr, $exclusive:expr;)?
    }) => {
        impl Lock for $Lock {
            #[inline]
            fn try_shared(&self) -> Option<impl Sized> {
                let $lock = self;
                $try_shared
            }
            #[inline]
            fn try_exclusive(&self) -> Option<impl Sized> {
                let $lock = self;
                $try_exclusive
            }
            #[inline]
            fn shared_blocking(&self) -> impl Sized {
                let $lock = self;
                $shared_blocking
            }
            #[inline]
            fn exclusive_blocking(&self) -> impl Sized {
                let $lock = self;
                $exclusive_blocking
            }
        }
        $(impl AsyncLock for $Lock {
            #[inline]
            fn shared(&self) -> impl Future<Output = impl Sized> {
                let $lock = self;
                $shared
            }
            #[inline]
            fn exclusive(&self) -> impl Future<Output = impl Sized> {
                let $lock = self;
                $exclusive
            }
        })?
    };
}

contestant!(lock: MultiLock {
    tries: lock.try_acquire(Mode::Shared), lock.try_acquire(Mode::Exclusive);
    blocks: lock.acquire_blocking(Mode::Shared), lock.acquire_blocking(Mode::Exclusive);
    awaits: lock.acquire(Mode::Shared), lock.acquire(Mode::Exclusive);
});
contestant!(lock: async_lock::RwLock<()> {
    tries: lock.try_read(), lock.try_write();
    blocks: block_on(lock.read()), block_on(lock.write());
    awaits: lock.read(), lock.write();
});
contestant!(lock: tokio::sync::RwLock<()> {
    tries: lock.try_read().ok(), lock.try_write().ok();
    blocks: block_on(lock.read()), block_on(lock.write());
    awaits: lock.read(), lock.write();
});
contestant!(lock: parking_lot::RwLock<()> {
    tries: lock.try_read(), lock.try_write();
    blocks: lock.read(), lock.write();
});
contestant!(lock: std::sync::RwLock<()> {
    tries: lock.try_read().ok(), lock.try_write().ok();
    blocks: lock.read().unwrap(), lock.write().unwrap();
});

/// The columns of the table: ours is the first.
const CONTESTANTS: [&str; 5] = ["multilock", "async-lock", "tokio", "parking_lot", "std"];

/// Does its operations so many times, and says how long that took.
type Body = fn(u64) -> Duration;

struct Case {
    name: &'static str,
    /// How many operations the body does each time.
    operations: u64,
    /// One for each of the first contestants.
    bodies: Vec<Body>,
}

macro_rules! case {
    ($name:literal, $operations:expr, awaits: $body:ident) => {
        Case {
            name: $name,
            operations: $operations,
            bodies: vec![
                $body::<MultiLock>,
                $body::<async_lock::RwLock<()>>,
                $body::<tokio::sync::RwLock<()>>,
            ],
        }
    };
    ($name:literal, $operations:expr, blocks: $body:ident $(<$n:literal>)?) => {
        Case {
            name: $name,
            operations: $operations,
            bodies: vec![
                $body::<MultiLock $(, $n)?>,
                $body::<async_lock::RwLock<()> $(, $n)?>,
                $body::<tokio::sync::RwLock<()> $(, $n)?>,
                $body::<parking_lot::RwLock<()> $(, $n)?>,
                $body::<std::sync::RwLock<()> $(, $n)?>,
            ],
        }
    };
}

fn cases() -> Vec<Case> {
    vec![
        case!("uncontended/try/shared", 1, blocks: try_shared),
        case!("uncontended/try/exclusive", 1, blocks: try_exclusive),
        case!("uncontended/await/shared", 1, awaits: await_shared),
        case!("uncontended/await/exclusive", 1, awaits: await_exclusive),
        case!("uncontended/block/shared", 1, blocks: block_shared),
        case!("uncontended/block/exclusive", 1, blocks: block_exclusive),
        case!("threads/shared/2", 2, blocks: threads_shared<2>),
        case!("threads/exclusive/2", 2, blocks: threads_exclusive<2>),
        case!("threads/mixed/2", 2, blocks: threads_mixed<2>),
        case!("threads/mixed/4", 4, blocks: threads_mixed<4>),
        case!("tasks/exclusive/64", TASKS, awaits: tasks_exclusive),
        case!("tasks/mixed/64", TASKS, awaits: tasks_mixed),
        case!("cancel/exclusive", 1, awaits: cancel),
        case!("hand-over/8+1", 1, awaits: hand_over),
    ]
}

/// A body that does `$op` again and again with a lock that nobody else has.
macro_rules! uncontended {
    ($($name:ident: $Lock:ident, |$lock:ident| $op:expr;)*) => {$(
        fn $name<L: $Lock>(times: u64) -> Duration {
            let (mut lock, count) = (L::default(), AtomicU64::new(0));
            let start = Instant::now();
            for _ in 0..times {
                let $lock = black_box(&mut lock);
                let _guard = $op;
                touch(&count);
            }
            let time = start.elapsed();
            assert_eq!(count.into_inner(), times);
            time
        }
    )*};
}

uncontended! {
    try_shared: Lock, |lock| lock.try_shared().expect("nobody is exclusive");
    try_exclusive: Lock, |lock| lock.try_exclusive().expect("nobody holds it");
    await_shared: AsyncLock, |lock| now(lock.shared());
    await_exclusive: AsyncLock, |lock| now(lock.exclusive());
    block_shared: Lock, |lock| lock.shared_blocking();
    block_exclusive: Lock, |lock| lock.exclusive_blocking();
}

/// What an exclusive holder does. It loses counts if it is not alone.
#[inline]
fn touch(count: &AtomicU64) {
    count.store(count.load(Relaxed) + 1, Relaxed);
}

fn threads_shared<L: Lock, const N: usize>(times: u64) -> Duration {
    threads::<L, N>(times, |_| false)
}

fn threads_exclusive<L: Lock, const N: usize>(times: u64) -> Duration {
    threads::<L, N>(times, |_| true)
}

fn threads_mixed<L: Lock, const N: usize>(times: u64) -> Duration {
    threads::<L, N>(times, one_in_eight)
}

fn one_in_eight(turn: u64) -> bool {
    turn % 8 == 7
}

/// `N` threads acquire and release, each time with a little to do inside and outside.
fn threads<L: Lock, const N: usize>(times: u64, exclusive: fn(u64) -> bool) -> Duration {
    let (lock, count, barrier) = (L::default(), AtomicU64::new(0), Barrier::new(N));
    let thread = |seed: u64| {
        barrier.wait();
        let start = Instant::now();
        for turn in 0..times {
            if exclusive(turn + seed) {
                let _guard = lock.exclusive_blocking();
                touch(&count);
            } else {
                let _guard = lock.shared_blocking();
                black_box(count.load(Relaxed));
            }
            // Something to do without the lock.
            (0..4).for_each(|_| spin_loop());
        }
        start.elapsed()
    };
    let time = thread::scope(|scope| {
        let threads = [const { () }; N].map(|()| scope.spawn(|| thread(0)));
        threads.map(|thread| thread.join().unwrap()).into_iter().max()
    });
    let expected = (0..times).filter(|turn| exclusive(*turn)).count() * N;
    assert_eq!(count.into_inner(), expected as u64);
    time.expect("there are threads")
}

fn tasks_exclusive<L: AsyncLock>(times: u64) -> Duration {
    tasks::<L>(times, |_| true)
}

fn tasks_mixed<L: AsyncLock>(times: u64) -> Duration {
    tasks::<L>(times, one_in_eight)
}

/// Tasks of one thread that hold the lock while the others are polled.
fn tasks<L: AsyncLock>(times: u64, exclusive: fn(u64) -> bool) -> Duration {
    let (lock, count) = (L::default(), AtomicU64::new(0));
    let task = |id| {
        let (lock, count) = (&lock, &count);
        async move {
            for turn in 0..times {
                if exclusive(turn + id) {
                    let _guard = lock.exclusive().await;
                    yield_now().await;
                    touch(count);
                } else {
                    let _guard = lock.shared().await;
                    yield_now().await;
                    black_box(count.load(Relaxed));
                }
            }
        }
    };
    let mut tasks: Vec<_> = (0..TASKS).map(task).map(Task::new).collect();
    let start = Instant::now();
    run(&mut tasks);
    let time = start.elapsed();
    assert!(tasks.iter().all(|task| task.done), "everybody had the lock");
    time
}

/// Waits for a lock that is held, and gives up.
fn cancel<L: AsyncLock>(times: u64) -> Duration {
    let lock = L::default();
    let _held = now(lock.shared());
    let start = Instant::now();
    for _ in 0..times {
        let waiter = pin!(black_box(&lock).exclusive());
        assert!(poll(waiter).is_pending());
    }
    start.elapsed()
}

/// An exclusive holder leaves, and all who wait have their turn: one operation is all of that, and
/// how they came to wait.
fn hand_over<L: AsyncLock>(times: u64) -> Duration {
    let (lock, count) = (L::default(), AtomicU64::new(0));
    let waiter = |id| {
        let (lock, count) = (&lock, &count);
        async move {
            if id == SHARED_WAITERS {
                let _guard = lock.exclusive().await;
                touch(count);
            } else {
                let _guard = lock.shared().await;
                black_box(count.load(Relaxed));
            }
        }
    };
    let mut waiters: Vec<_> = (0..=SHARED_WAITERS).map(waiter).map(Task::new).collect();
    let start = Instant::now();
    for _ in 0..times {
        let holder = now(lock.exclusive());
        for (id, task) in waiters.iter_mut().enumerate() {
            task.restart(waiter(id));
        }
        run(&mut waiters);
        assert!(waiters.iter().all(|waiter| !waiter.done), "everybody waits");
        drop(holder);
        run(&mut waiters);
        assert!(waiters.iter().all(|waiter| waiter.done), "nobody waits");
    }
    let time = start.elapsed();
    assert_eq!(count.load(Relaxed), times);
    time
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What `future` gives at its first poll.
#[inline]
fn now<F: Future>(future: F) -> F::Output {
    match poll(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nobody else has the lock"),
    }
}

/// Lets the other tasks be polled.
async fn yield_now() {
    let yielded = Cell::new(false);
    poll_fn(|cx| {
        if yielded.replace(true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What a blocked thread waits with if its lock has nothing for that.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    thread_local! {
        static WAKER: Waker = Arc::new(Unpark(thread::current())).into();
    }
    WAKER.with(|waker| {
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    })
}

struct Task<F> {
    future: Pin<Box<F>>,
    done: bool,
    woken: Arc<Woken>,
    waker: Waker,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl<F: Future<Output = ()>> Task<F> {
    fn new(future: F) -> Self {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = woken.clone().into();
        Self { future: Box::pin(future), done: false, woken, waker }
    }

    fn restart(&mut self, future: F) {
        self.future.set(future);
        self.done = false;
        self.woken.0.store(true, Relaxed);
    }
}

/// Polls in turn the tasks that are woken, until none is.
fn run<F: Future<Output = ()>>(tasks: &mut [Task<F>]) {
    let mut idle = false;
    while !idle {
        idle = true;
        for task in tasks.iter_mut().filter(|task| task.woken.0.load(Relaxed)) {
            task.woken.0.store(false, Relaxed);
            if !task.done {
                idle = false;
                task.done =
                    task.future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready();
            }
        }
    }
}

/// The median time of each body, in nanoseconds per operation.
fn measure(case: &Case) -> Vec<f64> {
    let times: Vec<_> = case.bodies.iter().map(|body| times_in_a_round(*body)).collect();
    let mut rounds = vec![Vec::new(); times.len()];
    let start = Instant::now();
    while start.elapsed() < CASE {
        for ((body, times), rounds) in case.bodies.iter().zip(&times).zip(&mut rounds) {
            let time = body(*times).as_secs_f64() * 1e9;
            rounds.push(time / (times * case.operations) as f64);
        }
    }
    let median = |mut rounds: Vec<f64>| {
        rounds.sort_by(f64::total_cmp);
        rounds[rounds.len() / 2]
    };
    rounds.into_iter().map(median).collect()
}

fn times_in_a_round(body: Body) -> u64 {
    let mut times = 1;
    loop {
        let time = body(times);
        if time > ROUND / 4 {
            let fitting = times as f64 * ROUND.as_secs_f64() / time.as_secs_f64();
            return (fitting as u64).max(1);
        }
        times *= 2;
    }
}

fn main() {
    let is_bench = env::args().any(|arg| arg == "--bench");
    let filter = env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let cases = cases().into_iter().filter(|case| case.name.contains(&filter));
    if !is_bench {
        // Eight times: in mixed bodies one of these is exclusive.
        cases.for_each(|case| case.bodies.iter().for_each(|body| drop(body(8))));
        return;
    }
    print!("{:<28}", "ns/op, ratio to ours");
    CONTESTANTS.iter().for_each(|name| print!("{name:>19}"));
    println!();
    for case in cases {
        let medians = measure(&case);
        print!("{:<28}", case.name);
        for median in &medians {
            print!("{median:>11.1} x{:<6.2}", median / medians[0]);
        }
        println!();
    }
}
