//! The executors of `futures`: `LocalPool`, which is one thread, and `ThreadPool`. The tests are
//! `futures::local_pool::..` and `futures::thread_pool::..`.
//!
//! They have no timers. A sleep is a thread that sleeps, and a limit is a number of polls.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use ::futures::channel::oneshot;
use ::futures::executor::{self, LocalSpawner};
use ::futures::future::{self, Either, FutureExt};
use ::futures::task::SpawnExt;

use crate::Runtime;

/// How often other tasks run before a limit is over.
const POLLS: usize = 100;

async fn yield_now() {
    let mut yielded = false;
    future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

async fn sleep(time: Duration) {
    let (wake, woken) = oneshot::channel();
    thread::spawn(move || {
        thread::sleep(time);
        wake.send(())
    });
    let _ = woken.await;
}

async fn limit() {
    for _ in 0..POLLS {
        yield_now().await;
    }
}

pub(crate) struct LocalPool;

thread_local! {
    /// The pool that runs on this thread.
    static LOCAL: RefCell<Option<LocalSpawner>> = const { RefCell::new(None) };
}

impl Runtime for LocalPool {
    fn run(main: impl Future<Output = ()> + Send + 'static) {
        let mut pool = executor::LocalPool::new();
        LOCAL.set(Some(pool.spawner()));
        pool.run_until(main);
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        LOCAL.with_borrow(|pool| pool.as_ref().unwrap().spawn_with_handle(task).unwrap())
    }

    async fn yield_now() {
        yield_now().await;
    }

    async fn sleep(time: Duration) {
        sleep(time).await;
    }

    async fn timeout<F: Future<Output: Send> + Send>(_: Duration, wanted: F) -> Option<F::Output> {
        ::futures::select! {
            output = pin!(wanted.fuse()) => Some(output),
            () = pin!(limit().fuse()) => None,
        }
    }

    async fn select<A: Future<Output: Send> + Send, B: Future<Output: Send> + Send>(
        a: A,
        b: B,
    ) -> Either<A::Output, B::Output> {
        ::futures::select! {
            a = pin!(a.fuse()) => Either::Left(a),
            b = pin!(b.fuse()) => Either::Right(b),
        }
    }
}

pub(crate) struct ThreadPool;

static POOL: LazyLock<executor::ThreadPool> =
    LazyLock::new(|| executor::ThreadPool::builder().pool_size(4).create().unwrap());

impl Runtime for ThreadPool {
    fn run(main: impl Future<Output = ()> + Send + 'static) {
        executor::block_on(Self::spawn(main));
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        POOL.spawn_with_handle(task).unwrap()
    }

    async fn yield_now() {
        yield_now().await;
    }

    async fn sleep(time: Duration) {
        sleep(time).await;
    }

    async fn timeout<F: Future<Output: Send> + Send>(_: Duration, wanted: F) -> Option<F::Output> {
        match future::select(pin!(wanted), pin!(limit())).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(((), _)) => None,
        }
    }

    async fn select<A: Future<Output: Send> + Send, B: Future<Output: Send> + Send>(
        a: A,
        b: B,
    ) -> Either<A::Output, B::Output> {
        match future::select(pin!(a), pin!(b)).await {
            Either::Left((a, _)) => Either::Left(a),
            Either::Right((b, _)) => Either::Right(b),
        }
    }
}

mod local_pool {
    use std::pin::pin;

    use ::futures::future::FusedFuture;
    use multilock::{Mode, MultiLock};

    crate::suite!(super::LocalPool);

    /// `select!` in a loop requires futures that report whether they are done.
    #[test]
    fn acquisitions_are_fused_already() {
        let (lock, other) = (MultiLock::new(), MultiLock::new());
        ::futures::executor::block_on(async {
            let mut one = pin!(lock.acquire(Mode::Exclusive));
            let mut two = pin!(other.acquire(Mode::Shared));
            let mut edge = pin!(lock.wait(Mode::Shared));
            let mut entered = Vec::new();
            loop {
                ::futures::select! {
                    guard = one => entered.push(guard.mode()),
                    guard = two => entered.push(guard.mode()),
                    () = edge => {}
                    complete => break,
                }
            }
            entered.sort();
            assert_eq!(entered, [Mode::Shared, Mode::Exclusive]);
            assert!(one.is_terminated() && two.is_terminated() && edge.is_terminated());
        });
    }
}

mod thread_pool {
    crate::suite!(super::ThreadPool);
}
