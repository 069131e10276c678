//! What polls the workers: threads, a pool of threads, and runtimes.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};

use super::*;

/// What the tests need of a runtime, or what each runtime does in its own way.
pub(crate) trait Runtime: Send + 'static {
    /// Whether a task may block its thread.
    const BLOCKS: bool = false;

    /// Drops `wanted` and returns `None` if it takes longer than `limit`. Where there is no timer, the
    /// limit is a number of polls.
    fn timeout<F: Future<Output: Send> + Send>(
        limit: Duration,
        wanted: F,
    ) -> impl Future<Output = Option<F::Output>> + Send {
        within_polls(1 + limit.as_micros() as usize / 500, wanted)
    }

    /// The same with a limit of zero: `wanted` must be ready at once.
    fn at_once<F: Future<Output: Send> + Send>(
        wanted: F,
    ) -> impl Future<Output = Option<F::Output>> + Send {
        within_polls(1, wanted)
    }
}

/// A thread for each task.
pub(crate) struct Threads;

impl Threads {
    pub(crate) fn block_on(task: impl Future<Output = ()>) {
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
    const BLOCKS: bool = cfg!(feature = "std");
}

/// A few threads that take turns: a task is polled by one thread and then by another, with another waker
/// each time. The old wakers wake no task.
pub(crate) struct Pool(Sender<Arc<Task>>);

struct Task {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    /// How often the task was woken.
    wakes: AtomicUsize,
    woken: Sender<Arc<Task>>,
}

/// Wakes a task, unless it was woken already since that waker was made.
struct WakeOnce(Arc<Task>, usize);

impl Wake for WakeOnce {
    fn wake(self: Arc<Self>) {
        let WakeOnce(task, wakes) = &*self;
        if task.wakes.compare_exchange(*wakes, wakes + 1, Relaxed, Relaxed).is_ok() {
            let _ = task.woken.send(task.clone());
        }
    }
}

impl Pool {
    pub(crate) fn new(threads: usize) -> Self {
        let (woken, tasks) = channel();
        let tasks = Arc::new(Mutex::new(tasks));
        for _ in 0..threads {
            let tasks = tasks.clone();
            thread::spawn(move || while Self::poll_one(&tasks) {});
        }
        Self(woken)
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let future = Mutex::new(Some(Box::pin(task) as Pin<Box<dyn Future<Output = ()> + Send>>));
        let task = Task { future, wakes: AtomicUsize::new(0), woken: self.0.clone() };
        self.0.send(Arc::new(task)).unwrap();
    }

    /// Polls the next woken task. Returns whether there will be more.
    fn poll_one(tasks: &Mutex<Receiver<Arc<Task>>>) -> bool {
        let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = next else { return false };
        let wakes = task.wakes.load(Relaxed);
        let waker = Waker::from(Arc::new(WakeOnce(task.clone(), wakes)));
        // Another thread may be about to finish the last poll.
        let mut future = task.future.lock().unwrap_or_else(PoisonError::into_inner);
        let end = future.as_mut().map(|task| task.as_mut().poll(&mut Context::from_waker(&waker)));
        if end.is_some_and(|end| end.is_ready()) {
            *future = None;
        }
        true
    }
}

impl Runtime for Pool {}

#[cfg(not(miri))]
pub(crate) use with_timers::Runtimes;

#[cfg(not(miri))]
mod with_timers {
    use futures::future::{Either, ready, select};

    use super::*;

    /// For each runtime except async-std, which chooses for itself.
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
            // Begins with either branch.
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

    struct AsyncStd;

    impl Runtime for AsyncStd {
        async fn timeout<F: Future<Output: Send> + Send>(
            limit: Duration,
            wanted: F,
        ) -> Option<F::Output> {
            async_std::future::timeout(limit, wanted).await.ok()
        }
    }

    /// All three runtimes. Those that use threads of ours keep them until they are dropped. Where a test fails, a
    /// thread may hang: then they are left behind.
    pub(crate) struct Runtimes {
        tokio: tokio::runtime::Handle,
        smol: Arc<smol::Executor<'static>>,
        stop: smol::channel::Sender<()>,
        threads: Vec<thread::JoinHandle<()>>,
    }

    impl Runtimes {
        pub(crate) fn new() -> Self {
            let (stop, stopped) = smol::channel::bounded::<()>(1);
            let mut tokio = tokio::runtime::Builder::new_multi_thread();
            let tokio = tokio.worker_threads(THREADS).enable_time().build().unwrap();
            let handle = tokio.handle().clone();
            let smol = Arc::new(smol::Executor::new());
            let mut threads = Vec::new();
            for _ in 0..THREADS {
                let (smol, stopped) = (smol.clone(), stopped.clone());
                threads.push(thread::spawn(move || {
                    let _ = smol::block_on(smol.run(stopped.recv()));
                }));
            }
            threads.push(thread::spawn(move || {
                let _ = tokio.block_on(stopped.recv());
            }));
            Self { tokio: handle, smol, stop, threads }
        }

        /// Spawns the worker on the next runtime.
        pub(crate) fn spawn(&self, worker: Worker) {
            match worker.number % 3 {
                0 => drop(self.tokio.spawn(worker.run::<Tokio>())),
                1 => self.smol.spawn(worker.run::<Smol>()).detach(),
                _ => drop(async_std::task::spawn(worker.run::<AsyncStd>())),
            }
        }
    }

    impl Drop for Runtimes {
        fn drop(&mut self) {
            self.stop.close();
            if !thread::panicking() {
                self.threads.drain(..).for_each(|thread| thread.join().unwrap());
            }
        }
    }
}
