//! The contract: what the lock promises, with futures that are polled by hand. There is no runtime,
//! so a test decides when each future is polled. Only tests of threads block.
//!
//! The name of a test of a lettered promise begins with its letter and number: Exclusion, Progress
//! (`f`: while a woken waiter is not polled), fairness (`q`), Cancellation, Upgrade and downgrade,
//! cost (`x`). Other names are plain sentences.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]
#![cfg_attr(
    any(not(feature = "std"), target_family = "wasm"),
    allow(unused_imports, dead_code, reason = "no threads that block, no unwinding")
)]

mod acquire_or;
mod cancellation;
mod cost;
mod exclusion;
mod fairness;
mod handles;
mod misuse;
mod monitors;
mod owned;
mod progress;
#[path = "../support/mod.rs"]
mod support;
mod upgrade;
mod wakers;

use std::cell::UnsafeCell;
use std::collections::HashSet;
use std::future::{pending, poll_fn, ready};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_core::FusedFuture;
use multilock::Mode::{self, Exclusive, Shared, Upgradable};
use multilock::{Guard, GuardArc, Handle, HandleId, MultiLock, ReleaseError, UpgradeError};

use support::{
    Alarm, Counting, Hooks, Inline, Task, allocations, assert_idle, hold, message, now, overtakes,
    poll_once, until_awaited, without_a_leak, without_allocation,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LONG: Duration = Duration::from_secs(60);

fn lock() -> MultiLock {
    MultiLock::new()
}

/// For each of `tasks`, whether it was woken since its last poll.
fn woken<F: Future>(tasks: &[Task<F>]) -> Vec<bool> {
    tasks.iter().map(Task::woken).collect()
}

/// A *dormant* waiter: it was woken, and is not polled. The release that woke it woke no other
/// waiter.
fn dormant<'a>(lock: &'a MultiLock, mode: Mode) -> Task<impl Future<Output = Guard<'a>>> {
    let guard = hold(lock, Exclusive);
    let task = Task::queued(lock.acquire(mode));
    drop(guard);
    assert!(task.woken());
    task
}

/// A future that is ready when a test says so, and counts its polls.
#[derive(Default)]
struct Switch {
    on: AtomicUsize,
    polls: AtomicUsize,
}

impl Switch {
    async fn wait(self: Arc<Self>) -> &'static str {
        std::future::poll_fn(|_| {
            self.polls.fetch_add(1, SeqCst);
            match self.on.load(SeqCst) {
                0 => Poll::Pending,
                _ => Poll::Ready("cancelled"),
            }
        })
        .await
    }
}
