//! Waiting with a thread instead of a task.

use core::pin::pin;
use core::task::{Context, Poll, Waker};
#[cfg(not(shuttle))]
use std::sync::Arc;
#[cfg(not(shuttle))]
use std::task::Wake;
use std::time::Instant;

#[cfg(shuttle)]
use crate::sync;
#[cfg(not(shuttle))]
use crate::sync::thread;

#[cfg(not(shuttle))]
struct Unpark(thread::Thread);

#[cfg(not(shuttle))]
impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// The waker of this thread: made once for each thread, so that no wait allocates.
#[cfg(not(shuttle))]
fn waker() -> Waker {
    fn new() -> Waker {
        Waker::from(Arc::new(Unpark(thread::current())))
    }
    #[cfg(not(loom))]
    std::thread_local! {
        static WAKER: Waker = new();
    }
    // In the destructor of another thread-local there may be none any more.
    #[cfg(not(loom))]
    return WAKER.try_with(Waker::clone).unwrap_or_else(|_| new());
    #[cfg(loom)]
    new()
}

/// Polls `future` until it is ready or, at the latest, `deadline` has come.
#[cfg(not(shuttle))]
pub(crate) fn block_on<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    let waker = waker();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        match deadline {
            None => thread::park(),
            #[cfg(loom)]
            Some(_) => unreachable!("timed acquisition is not built under loom"),
            #[cfg(not(loom))]
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => thread::park_timeout(left),
                _ => return None,
            },
        }
    }
}

/// Polls `future` until it is ready or, if there is a `deadline`, is too late. Then it does not wait to be woken
/// in between: whoever has a deadline is polled for no reason.
#[cfg(shuttle)]
pub(crate) fn block_on<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    if deadline.is_none() {
        return Some(sync::block_on(future));
    }
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
        if sync::is_too_late() {
            return None;
        }
    }
}
