//! One suite of scenarios, on one runtime after another. The lock only needs a runtime to poll. What
//! the suite needs is in the trait `Runtime`.
//!
//! A test is named by its runtime and its scenario: `cargo test --test executors smol`.

#![cfg(feature = "alloc")]
#![cfg(all(
    any(feature = "std", feature = "critical-section"),
    not(any(loom, shuttle, miri, target_family = "wasm"))
))]

mod actors;
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

use scenarios::{Table, Tables};

/// How long a scenario may take. All of them together take a fraction of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A runtime, by its own means: the suite does nothing for it that it can do itself.
///
/// It is a type without values. Where several executors are possible, `run` tells the other functions
/// which one is meant.
trait Runtime: 'static {
    /// Runs `main` to completion.
    fn run(main: impl Future<Output = ()> + Send + 'static);

    /// Spawns `task` beside the calling task. The result must be awaited.
    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static;

    /// Lets other tasks run.
    fn yield_now() -> impl Future<Output = ()> + Send;

    /// Lets time pass.
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;

    /// Drops `wanted` and returns `None` if it takes longer than `limit`.
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
            a_cancelled_waiter_admits_others
            many_waiters_are_cancelled
            a_queued_future_that_is_not_polled_blocks_no_waiter
            data_with_limits
            no_writer_enters_between_read_and_upgrade
            a_cancelled_upgrade_keeps_the_guard
            a_downgrade_admits_other_waiters
            a_handle_is_released_by_another_task
            a_monitor_is_woken_by_a_release
            monitors_report_each_edge
            a_monitor_moves_from_task_to_task
            a_monitor_of_a_set_is_woken_by_the_last_edge
            monitors_of_sets_while_others_acquire_and_release
            sets_that_overlap
            a_set_enters_between_single_acquisitions
            a_cancelled_set_leaves_nothing_behind
            many_sets_are_cancelled
            a_handle_of_a_set_is_released_by_another_task
            acquisitions_with_names
            a_mode_for_each_lock
            locks_with_data_at_once
            a_bounded_queue_by_conditions
            tasks_take_turns_by_conditions
            changes_drive_tasks
            one_function_for_all_that_is_lockable
        }
        #[cfg(feature = "event-listener")]
        crate::suite! {
            $Runtime:
            one_event_for_two_locks
        }
        #[cfg(feature = "std")]
        crate::suite! {
            $Runtime:
            threads_that_block_beside_tasks
            threads_that_block_for_sets_beside_tasks
            threads_that_block_for_data_beside_tasks
            threads_that_block_for_conditions_beside_tasks
        }
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

/// Runs `scenario` on a thread of its own. Propagates a panic of it, and panics if it hangs.
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
            std::panic::resume_unwind(runner.join().expect_err("the scenario has not finished"))
        }
    }
}

/// Runs a scenario on all runtimes at once, each with a thread of its own and a number.
macro_rules! on_all_runtimes {
    ($scenario:ident($shared:expr)) => {
        on_all_runtimes! {
            $scenario($shared)
            0: tokio::CurrentThread
            1: tokio::MultiThread
            2: async_std::AsyncStd
            3: smol::Smol
            4: futures::LocalPool
            5: futures::ThreadPool
            6: embassy::Embassy
        }
    };
    ($scenario:ident($shared:expr) $($number:literal: $Runtime:ty)*) => {
        let runners = [$({
            let shared = $shared.clone();
            let main = async move { scenarios::$scenario::<$Runtime>(&shared, $number).await };
            thread::spawn(|| <$Runtime as Runtime>::run(main))
        }),*];
        runners.into_iter().for_each(|runner| runner.join().unwrap());
    };
}

#[test]
fn all_runtimes_at_one_lock() {
    watch(|| {
        let table = Arc::<Table>::default();
        on_all_runtimes!(contend(table));
        table.assert_total();
    });
}

#[test]
fn all_runtimes_at_sets_that_overlap() {
    watch(|| {
        let tables = Arc::<Tables>::default();
        on_all_runtimes!(philosophers(tables));
        tables.iter().for_each(Table::assert_total);
    });
}
