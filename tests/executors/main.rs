//! One suite of scenarios, on one runtime after the other. What the lock needs of a runtime is that it
//! polls; what the suite needs of one is in the trait `Runtime`.
//!
//! A test is named by its runtime and its scenario: `cargo test --test executors smol`.

#![cfg(all(any(feature = "std", feature = "critical-section"), not(any(loom, miri))))]

mod scenarios;

mod async_std;
mod embassy;
mod futures;
mod smol;
mod tokio;

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use ::futures::future::Either;

use scenarios::Table;

/// How long a scenario may take. All of them together take a fraction of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A runtime, by its own means: nothing here is done for it that it can do itself.
///
/// There are no values of it. Where a runtime must be told which of its executors is meant, `run`
/// says so to the rest.
trait Runtime: 'static {
    /// Runs `main` to its end.
    fn run(main: impl Future<Output = ()> + Send + 'static);

    /// Runs `task` beside the task that calls. What it returns is to be awaited.
    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static;

    /// Lets other tasks run.
    fn yield_now() -> impl Future<Output = ()> + Send;

    /// Lets time pass.
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;

    /// Drops `wanted` and gives `None` if it takes longer than `limit`.
    fn timeout<F: Future<Output: Send> + Send>(
        limit: Duration,
        wanted: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// Polls both until one of them is ready, and drops the other.
    fn select<A: Future<Output: Send> + Send, B: Future<Output: Send> + Send>(
        a: A,
        b: B,
    ) -> impl Future<Output = Either<A::Output, B::Output>> + Send;
}

/// The whole suite on one runtime.
macro_rules! suite {
    ($Runtime:ty) => {
        crate::suite! {
            $Runtime:
            all_modes_in_contention
            a_waiter_that_gives_up_lets_others_in
            many_waiters_give_up
            a_queued_future_that_is_not_polled_stops_nobody
            nobody_comes_between_look_and_change
            an_upgrade_that_gives_up_keeps_the_hold
            a_downgrade_lets_others_in
            a_handle_is_released_by_another_task
            a_monitor_is_told
        }
        #[cfg(feature = "std")]
        crate::suite! { $Runtime: threads_that_block_beside_tasks }
    };
    ($Runtime:ty: $($scenario:ident)*) => {$(
        #[test]
        fn $scenario() {
            crate::watch(|| {
                <$Runtime as crate::Runtime>::run(crate::scenarios::$scenario::<$Runtime>())
            });
        }
    )*};
}
use suite;

/// Runs `scenario` on a thread of its own. A panic there is one here, and so is a hang.
fn watch(scenario: impl FnOnce() + Send + 'static) {
    let (done, is_done) = channel();
    let runner = thread::spawn(move || {
        scenario();
        let _ = done.send(());
    });
    match is_done.recv_timeout(PATIENCE) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("the scenario hangs"),
        Err(RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(runner.join().expect_err("it has not come to its end"))
        }
    }
}

/// The tasks of all runtimes at one lock, each runtime with a thread of its own.
#[test]
fn all_runtimes_at_one_lock() {
    fn on<R: Runtime>(table: &Arc<Table>, number: usize) -> thread::JoinHandle<usize> {
        let table = table.clone();
        thread::spawn(move || {
            let (done, changes) = channel();
            R::run(async move {
                let _ = done.send(scenarios::contend::<R>(&table, number).await);
            });
            changes.recv().expect("`run` returns when `main` is at its end")
        })
    }

    watch(|| {
        let table = Arc::<Table>::default();
        let runners = [
            on::<tokio::CurrentThread>(&table, 0),
            on::<tokio::MultiThread>(&table, 1),
            on::<async_std::AsyncStd>(&table, 2),
            on::<smol::Smol>(&table, 3),
            on::<futures::LocalPool>(&table, 4),
            on::<futures::ThreadPool>(&table, 5),
            on::<embassy::Embassy>(&table, 6),
        ];
        let changes = runners.map(|runner| runner.join().unwrap()).iter().sum();
        table.assert_total(changes);
    });
}
