//! What drives futures: polls by hand, blocking, and two runtimes.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use std::{array, mem};

use async_task::Runnable;
use smol::channel::Sender;

#[inline]
pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The output of `future` at its first poll.
#[inline]
pub(crate) fn now<F: Future>(future: Pin<&mut F>) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the lock has another holder"),
    }
}

/// Yields to the other tasks.
pub(crate) async fn yield_now() {
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

/// How a thread blocks if its lock has no method for that.
#[inline]
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
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

/// Tasks of one thread, which are polled in the order in which they are woken.
pub(crate) struct Tasks<F> {
    tasks: Vec<Task<F>>,
    woken: Arc<Woken>,
    /// The number of tasks that have not ended.
    pub(crate) left: usize,
    pub(crate) polls: u64,
}

struct Task<F> {
    future: Pin<Box<Option<F>>>,
    ring: Arc<Ring>,
    waker: Waker,
}

#[derive(Default)]
struct Woken {
    queue: Mutex<VecDeque<usize>>,
    wakes: AtomicU64,
}

/// Wakes the task of that number.
struct Ring {
    id: usize,
    is_queued: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // There is one thread, so this is no read-modify-write, which would be most of the
        // executor's cost.
        self.woken.wakes.store(self.woken.wakes.load(Relaxed) + 1, Relaxed);
        if !self.is_queued.load(Relaxed) {
            self.is_queued.store(true, Relaxed);
            self.woken.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.id);
        }
    }
}

impl<F: Future<Output = ()>> Tasks<F> {
    /// Creates an executor for `count` tasks.
    pub(crate) fn new(count: usize) -> Self {
        let woken = Arc::new(Woken::default());
        woken.queue.lock().unwrap_or_else(PoisonError::into_inner).reserve(count);
        let task = |id| {
            let ring = Ring { id, is_queued: AtomicBool::new(false), woken: woken.clone() };
            let ring = Arc::new(ring);
            Task { future: Box::pin(None), waker: ring.clone().into(), ring }
        };
        Self { tasks: (0..count).map(task).collect(), woken, left: 0, polls: 0 }
    }

    /// Sets the future of each task.
    pub(crate) fn start(&mut self, future: impl Fn(usize) -> F) {
        self.left = self.tasks.len();
        for (id, task) in self.tasks.iter_mut().enumerate() {
            task.future.set(Some(future(id)));
            task.ring.wake_by_ref();
        }
    }

    /// Polls woken tasks until no task is woken.
    pub(crate) fn run(&mut self) {
        while let Some(id) = self.next() {
            let task = &mut self.tasks[id];
            task.ring.is_queued.store(false, Relaxed);
            if let Some(future) = task.future.as_mut().as_pin_mut() {
                self.polls += 1;
                if future.poll(&mut Context::from_waker(&task.waker)).is_ready() {
                    task.future.set(None);
                    self.left -= 1;
                }
            }
        }
    }

    fn next(&self) -> Option<usize> {
        self.woken.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(crate) fn wakes(&self) -> u64 {
        self.woken.wakes.load(Relaxed)
    }
}

/// The threads of each runtime.
pub(crate) const WORKERS: usize = 2;

/// A runtime with several threads, or with the calling thread only. In `Moving`, each poll of a task is
/// by another thread than the one that woke it, so a task that yields moves. Each is created once, for all
/// contestants.
#[derive(Clone, Copy)]
pub(crate) enum Runtime {
    Tokio,
    Smol,
    TokioOfOne,
    SmolOfOne,
    Moving,
}

static TOKIO: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(WORKERS).enable_all().build().expect("there are threads")
});

static SMOL: LazyLock<smol::Executor> = LazyLock::new(|| {
    for _ in 0..WORKERS {
        // These threads wait for tasks until the process ends.
        thread::spawn(|| smol::future::block_on(SMOL.run(pending::<()>())));
    }
    smol::Executor::new()
});

static MOVING: LazyLock<[Sender<Runnable>; WORKERS]> = LazyLock::new(|| {
    array::from_fn(|worker| {
        let (sender, woken) = smol::channel::unbounded::<Runnable>();
        thread::spawn(move || {
            WORKER.set(Some(worker));
            while let Ok(task) = woken.recv_blocking() {
                task.run();
            }
        });
        sender
    })
});

thread_local! {
    static WORKER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The worker of `Moving` that polls the calling task.
pub(crate) fn worker() -> Option<usize> {
    WORKER.get()
}

fn spawn_moving<F: Future<Output = ()> + Send + 'static>(task: F) -> smol::Task<()> {
    let (first, task) = async_task::spawn(task, |task| {
        let other = worker().map_or(0, |worker| (worker + 1) % WORKERS);
        MOVING[other].try_send(task).expect("the workers run");
    });
    first.schedule();
    task
}

static TOKIO_OF_ONE: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread().build().expect("there is a thread")
});

static SMOL_OF_ONE: smol::Executor = smol::Executor::new();

impl Runtime {
    /// The runtimes with several threads.
    pub(crate) const ALL: [Self; 2] = [Self::Tokio, Self::Smol];
    pub(crate) const OF_ONE_OR_TWO: [Self; 4] =
        [Self::TokioOfOne, Self::Tokio, Self::SmolOfOne, Self::Smol];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tokio | Self::TokioOfOne => "tokio",
            Self::Smol | Self::SmolOfOne => "smol",
            Self::Moving => "moving",
        }
    }

    pub(crate) fn name_with_workers(self) -> String {
        match self {
            Self::TokioOfOne | Self::SmolOfOne => format!("{}/1 worker", self.name()),
            Self::Tokio | Self::Smol | Self::Moving => format!("{}/{WORKERS} workers", self.name()),
        }
    }

    pub(crate) fn is_tokio(self) -> bool {
        matches!(self, Self::Tokio | Self::TokioOfOne)
    }

    /// Runs tasks that begin together. Returns the time until the last one ends.
    pub(crate) fn run<F>(self, count: u64, task: impl Fn(u64) -> F) -> Duration
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let gate = &Arc::new(Gate::new(count));
        let tasks = (0..count).map(|id| {
            let (gate, task) = (gate.clone(), task(id));
            // Boxed, so that each runtime is compiled for one type.
            let task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
                let _leave = Leave(&gate);
                gate.pass().await;
                task.await;
            });
            task
        });
        match self {
            Self::Tokio => {
                let tasks: Vec<_> = tasks.map(|task| TOKIO.spawn(task)).collect();
                gate.wait();
                tasks.into_iter().for_each(|task| block_on(task).expect("it does not panic"));
            }
            Self::Smol => {
                let tasks: Vec<_> = tasks.map(|task| SMOL.spawn(task)).collect();
                gate.wait();
                tasks.into_iter().for_each(block_on);
            }
            Self::Moving => {
                let tasks: Vec<_> = tasks.map(spawn_moving).collect();
                gate.wait();
                tasks.into_iter().for_each(block_on);
            }
            Self::TokioOfOne => {
                let tasks: Vec<_> = tasks.map(|task| TOKIO_OF_ONE.spawn(task)).collect();
                TOKIO_OF_ONE.block_on(async {
                    for task in tasks {
                        task.await.expect("it does not panic");
                    }
                });
            }
            Self::SmolOfOne => {
                let tasks: Vec<_> = tasks.map(|task| SMOL_OF_ONE.spawn(task)).collect();
                smol::future::block_on(SMOL_OF_ONE.run(async {
                    for task in tasks {
                        task.await;
                    }
                }));
            }
        }
        gate.time()
    }
}

/// Lets tasks begin together, and notices when the last has ended.
struct Gate {
    count: u64,
    arrived: Mutex<Vec<Waker>>,
    first: OnceLock<Instant>,
    left: AtomicUsize,
    last: OnceLock<Instant>,
    main: Thread,
}

impl Gate {
    fn new(count: u64) -> Self {
        Self {
            count,
            arrived: Mutex::new(Vec::with_capacity(count as usize)),
            first: OnceLock::new(),
            left: AtomicUsize::new(count as usize),
            last: OnceLock::new(),
            main: thread::current(),
        }
    }

    /// Waits until all tasks have arrived. The last one to arrive wakes the others. It is never
    /// polled without a wake-up.
    async fn pass(&self) {
        poll_fn(|cx| {
            if self.first.get().is_some() {
                return Poll::Ready(());
            }
            let mut arrived = self.arrived.lock().expect("no thread panics");
            if arrived.len() as u64 + 1 < self.count {
                arrived.push(cx.waker().clone());
                return Poll::Pending;
            }
            self.first.get_or_init(Instant::now);
            arrived.drain(..).for_each(Waker::wake);
            Poll::Ready(())
        })
        .await;
    }

    fn wait(&self) {
        while self.last.get().is_none() {
            thread::park();
        }
    }

    fn time(&self) -> Duration {
        *self.last.get().expect("it is over") - *self.first.get().expect("it has begun")
    }
}

/// Leaves when it is dropped, even by a panic.
struct Leave<'a>(&'a Gate);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.0.left.fetch_sub(1, AcqRel) == 1 {
            self.0.last.get_or_init(Instant::now);
            self.0.main.unpark();
        }
    }
}
