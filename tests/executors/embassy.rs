//! embassy, with the executor that runs on a thread of the operating system.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use ::futures::channel::oneshot;
use ::futures::future::Either;
use embassy_executor::{Executor, Spawner};
use embassy_time::{Timer, with_timeout};

use crate::Runtime;

pub(crate) struct Embassy;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tasks of embassy are not generic, and their number is fixed. It suffices for all tests that run
/// at once.
#[embassy_executor::task(pool_size = 256)]
async fn run(job: Job) {
    job.await;
}

thread_local! {
    /// The executor that runs on this thread.
    static SPAWNER: Cell<Option<Spawner>> = const { Cell::new(None) };
}

fn spawn(job: Job) {
    let spawner = SPAWNER.get().expect("it is called from a task");
    spawner.spawn(run(job).expect("the pool is large enough"));
}

fn ticks(time: Duration) -> embassy_time::Duration {
    time.try_into().expect("it is short")
}

impl Runtime for Embassy {
    fn run(main: impl Future<Output = ()> + Send + 'static) {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = done.clone();
        let main = async move {
            main.await;
            done.store(true, SeqCst);
        };
        let executor = Box::leak(Box::new(Executor::new()));
        executor.run_until(
            |spawner| {
                SPAWNER.set(Some(spawner));
                spawn(Box::pin(main));
            },
            || is_done.load(SeqCst),
        );
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        let (done, output) = oneshot::channel();
        spawn(Box::pin(async move {
            let _ = done.send(task.await);
        }));
        async { output.await.expect("the task comes to its end") }
    }

    async fn yield_now() {
        embassy_futures::yield_now().await;
    }

    async fn sleep(time: Duration) {
        Timer::after(ticks(time)).await;
    }

    async fn timeout<F: Future<Output: Send> + Send>(
        limit: Duration,
        wanted: F,
    ) -> Option<F::Output> {
        with_timeout(ticks(limit), wanted).await.ok()
    }

    async fn select<A: Future<Output: Send> + Send, B: Future<Output: Send> + Send>(
        a: A,
        b: B,
    ) -> Either<A::Output, B::Output> {
        match embassy_futures::select::select(a, b).await {
            embassy_futures::select::Either::First(a) => Either::Left(a),
            embassy_futures::select::Either::Second(b) => Either::Right(b),
        }
    }
}

crate::suite!(Embassy);
