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

use std::env;
use std::future::poll_fn;
use std::hint::black_box;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use multilock::{Mode, MultiLock};

/// How long all rounds of a case take.
const CASE: Duration = Duration::from_millis(2400);
/// How long a round of one contestant takes: most are over before the scheduler has other ideas.
const ROUND: Duration = Duration::from_millis(1);
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
            methods! { $lock;
                try_shared: Option<impl Sized> = $try_shared;
                try_exclusive: Option<impl Sized> = $try_exclusive;
                shared_blocking: impl Sized = $shared_blocking;
                exclusive_blocking: impl Sized = $exclusive_blocking;
            }
        }
        $(impl AsyncLock for $Lock {
            methods! { $lock;
                shared: impl Future<Output = impl Sized> = $shared;
                exclusive: impl Future<Output = impl Sized> = $exclusive;
            }
        })?
    };
}

macro_rules! methods {
    ($lock:ident; $($name:ident: $Output:ty = $body:expr;)*) => {$(
        #[inline]
        fn $name(&self) -> $Output {
            let $lock = self;
            $body
        }
    )*};
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

/// The columns of the table. A case that awaits has only the first three.
const CONTESTANTS: [&str; 5] = ["multilock", "async-lock", "tokio", "parking_lot", "std"];

/// Does its operations so many times, and says how long that took.
type Body = fn(u64) -> Duration;

struct Case {
    name: &'static str,
    /// How many operations the body does each time.
    operations: u64,
    /// In the order of the columns.
    bodies: Vec<Body>,
}

macro_rules! case {
    ($name:literal, $operations:expr, awaits: |$L:ident| $body:expr) => {
        case!($name, $operations, $L, $body, [
            MultiLock, async_lock::RwLock<()>, tokio::sync::RwLock<()>,
        ])
    };
    ($name:literal, $operations:expr, blocks: |$L:ident| $body:expr) => {
        case!($name, $operations, $L, $body, [
            MultiLock, async_lock::RwLock<()>, tokio::sync::RwLock<()>,
            parking_lot::RwLock<()>, std::sync::RwLock<()>,
        ])
    };
    ($name:literal, $operations:expr, $L:ident, $body:expr, [$($Lock:ty,)*]) => {
        Case { name: $name, operations: $operations, bodies: vec![$({ type $L = $Lock; $body },)*] }
    };
}

fn cases() -> Vec<Case> {
    vec![
        case!("uncontended/try/shared", 1, blocks: |L| try_shared::<L>),
        case!("uncontended/try/exclusive", 1, blocks: |L| try_exclusive::<L>),
        case!("uncontended/await/shared", 1, awaits: |L| await_shared::<L>),
        case!("uncontended/await/exclusive", 1, awaits: |L| await_exclusive::<L>),
        case!("uncontended/block/shared", 1, blocks: |L| block_shared::<L>),
        case!("uncontended/block/exclusive", 1, blocks: |L| block_exclusive::<L>),
        case!("threads/shared/2", 2, blocks: |L| threads::<L, 2, NEVER>),
        case!("threads/exclusive/2", 2, blocks: |L| threads::<L, 2, 1>),
        case!("threads/mixed/2", 2, blocks: |L| threads::<L, 2, 8>),
        case!("threads/mixed/4", 4, blocks: |L| threads::<L, 4, 8>),
        case!("tasks/exclusive/64", TASKS, awaits: |L| tasks::<L, 1>),
        case!("tasks/mixed/64", TASKS, awaits: |L| tasks::<L, 8>),
        case!("cancel/exclusive", 1, awaits: |L| cancel::<L>),
        case!("hand-over/8+1", 1, awaits: |L| hand_over::<L>),
    ]
}

/// Turns are shared, but for one in so many.
const NEVER: u64 = u64::MAX;

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
    await_shared: AsyncLock, |lock| now(pin!(lock.shared()));
    await_exclusive: AsyncLock, |lock| now(pin!(lock.exclusive()));
    block_shared: Lock, |lock| lock.shared_blocking();
    block_exclusive: Lock, |lock| lock.exclusive_blocking();
}

/// What an exclusive holder does. It loses counts if it is not alone.
#[inline]
fn touch(count: &AtomicU64) {
    count.store(count.load(Relaxed) + 1, Relaxed);
}

/// `N` threads acquire and release, each time with a little to do inside and outside.
///
/// Now and then a holder lets other threads run, so that they meet also where cores are scarce.
fn threads<L: Lock, const N: usize, const ONE_IN: u64>(times: u64) -> Duration {
    let (lock, count, ready) = (L::default(), AtomicU64::new(0), AtomicUsize::new(0));
    let thread = || {
        // Awake, so that they begin together.
        ready.fetch_add(1, Relaxed);
        while ready.load(Relaxed) < N {
            thread::yield_now();
        }
        let start = Instant::now();
        for turn in 1..=times {
            if turn % ONE_IN == 0 {
                let _guard = lock.exclusive_blocking();
                touch(&count);
                interrupt(turn);
            } else {
                let _guard = lock.shared_blocking();
                black_box(count.load(Relaxed));
                interrupt(turn);
            }
            (0..16).for_each(|step| _ = black_box(step));
        }
        (start, Instant::now())
    };
    let spans = thread::scope(|scope| {
        let threads = [(); N].map(|()| scope.spawn(thread));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(count.into_inner(), times / ONE_IN * N as u64);
    let first = spans.iter().map(|span| span.0).min();
    let last = spans.iter().map(|span| span.1).max();
    last.zip(first).map(|(last, first)| last - first).expect("there are threads")
}

fn interrupt(turn: u64) {
    if turn % 64 == 0 {
        thread::yield_now();
    }
}

/// Tasks of one thread that hold the lock while the others are polled.
fn tasks<L: AsyncLock, const ONE_IN: u64>(times: u64) -> Duration {
    let (lock, count) = (&L::default(), &AtomicU64::new(0));
    let task = |id| async move {
        for turn in 1..=times {
            if (turn + id) % ONE_IN == 0 {
                let _guard = lock.exclusive().await;
                yield_now().await;
                touch(count);
            } else {
                let _guard = lock.shared().await;
                yield_now().await;
                black_box(count.load(Relaxed));
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
    let _held = now(pin!(lock.shared()));
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
    let (lock, count) = (&L::default(), &AtomicU64::new(0));
    let waiter = |id| async move {
        if id == SHARED_WAITERS {
            let _guard = lock.exclusive().await;
            touch(count);
        } else {
            let _guard = lock.shared().await;
            black_box(count.load(Relaxed));
        }
    };
    let mut waiters: Vec<_> = (0..=SHARED_WAITERS).map(waiter).map(Task::new).collect();
    let start = Instant::now();
    for _ in 0..times {
        let holder = now(pin!(lock.exclusive()));
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

#[inline]
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What `future` gives at its first poll.
#[inline]
fn now<F: Future>(future: Pin<&mut F>) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nobody else has the lock"),
    }
}

/// Lets the other tasks be polled.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut yielded, true) {
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
                let mut cx = Context::from_waker(&task.waker);
                task.done = task.future.as_mut().poll(&mut cx).is_ready();
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
        // The best of a few: one that was interrupted says nothing.
        let time = [(); 5].map(|()| body(times)).into_iter().min().expect("there are some");
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
        cases.flat_map(|case| case.bodies).for_each(|body| _ = body(8));
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
