//! smol, with its global executor.

use std::time::Duration;

use ::futures::future::Either;
use ::smol::Timer;
use ::smol::future::{self, or};

use crate::Runtime;

pub(crate) struct Smol;

impl Runtime for Smol {
    fn run(main: impl Future<Output = ()> + Send + 'static) {
        ::smol::block_on(main);
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        ::smol::spawn(task)
    }

    async fn yield_now() {
        future::yield_now().await;
    }

    async fn sleep(time: Duration) {
        Timer::after(time).await;
    }

    async fn timeout<F: Future<Output: Send> + Send>(
        limit: Duration,
        wanted: F,
    ) -> Option<F::Output> {
        let late = async {
            Timer::after(limit).await;
            None
        };
        or(async { Some(wanted.await) }, late).await
    }

    async fn select<A: Future<Output: Send> + Send, B: Future<Output: Send> + Send>(
        a: A,
        b: B,
    ) -> Either<A::Output, B::Output> {
        or(async { Either::Left(a.await) }, async { Either::Right(b.await) }).await
    }
}

crate::suite!(Smol);
