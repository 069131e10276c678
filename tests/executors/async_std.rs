//! async-std.

use std::pin::pin;
use std::time::Duration;

use ::async_std::{future, task};
use ::futures::future::{Either, select};

use crate::Runtime;

pub(crate) struct AsyncStd;

impl Runtime for AsyncStd {
    fn run(main: impl Future<Output = ()> + Send + 'static) {
        task::block_on(main);
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        task::spawn(task)
    }

    async fn yield_now() {
        task::yield_now().await;
    }

    async fn sleep(time: Duration) {
        task::sleep(time).await;
    }

    async fn timeout<F: Future<Output: Send> + Send>(
        limit: Duration,
        wanted: F,
    ) -> Option<F::Output> {
        future::timeout(limit, wanted).await.ok()
    }

    async fn select<A: Future<Output: Send> + Send, B: Future<Output: Send> + Send>(
        a: A,
        b: B,
    ) -> Either<A::Output, B::Output> {
        // async-std's own `select` is not stable. Both sides are polled on its executor all the
        // same.
        match select(pin!(a), pin!(b)).await {
            Either::Left((a, _)) => Either::Left(a),
            Either::Right((b, _)) => Either::Right(b),
        }
    }
}

crate::suite!(AsyncStd);
