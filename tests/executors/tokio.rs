//! tokio, with one thread and with several. Tests are `tokio::current_thread::..` and
//! `tokio::multi_thread::..`.

use std::time::Duration;

use ::futures::future::Either;
use ::tokio::runtime::Builder;
use ::tokio::{select, task, time};

use crate::Runtime;

/// Runs everything on the calling thread if `THREADS` is zero.
pub(crate) struct Tokio<const THREADS: usize>;

pub(crate) type CurrentThread = Tokio<0>;
pub(crate) type MultiThread = Tokio<4>;

impl<const THREADS: usize> Runtime for Tokio<THREADS> {
    fn run(main: impl Future<Output = ()> + Send + 'static) {
        let mut builder = match THREADS {
            0 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        let runtime = builder.worker_threads(THREADS.max(1)).enable_time().build().unwrap();
        // In a task: the thread that calls `block_on` is not one of the workers.
        runtime.block_on(async { task::spawn(main).await.unwrap() });
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        let task = task::spawn(task);
        async { task.await.unwrap() }
    }

    async fn yield_now() {
        task::yield_now().await;
    }

    async fn sleep(time: Duration) {
        time::sleep(time).await;
    }

    async fn timeout<F: Future<Output: Send> + Send>(
        limit: Duration,
        wanted: F,
    ) -> Option<F::Output> {
        time::timeout(limit, wanted).await.ok()
    }

    async fn select<A: Future<Output: Send> + Send, B: Future<Output: Send> + Send>(
        a: A,
        b: B,
    ) -> Either<A::Output, B::Output> {
        select! {
            a = a => Either::Left(a),
            b = b => Either::Right(b),
        }
    }
}

mod current_thread {
    crate::suite!(super::CurrentThread);
}

mod multi_thread {
    crate::suite!(super::MultiThread);
}
