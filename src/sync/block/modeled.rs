//! Waiting in the models, where loom or shuttle runs the threads.

use core::pin::pin;
use core::task::{Context, Poll, Waker};
#[cfg(loom)]
use std::sync::Arc;
#[cfg(loom)]
use std::task::Wake;
use std::time::Instant;

#[cfg(shuttle)]
use crate::sync;
#[cfg(loom)]
use crate::sync::thread;

/// Wakes a thread of the model.
#[cfg(loom)]
struct Unpark(thread::Thread);

#[cfg(loom)]
impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls `future` until it is ready. Nothing else in a model parks a thread.
#[cfg(loom)]
pub(crate) fn block_on<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    assert!(deadline.is_none(), "timed acquisition is not built under loom");
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        thread::park();
    }
}

/// Polls `future` until it is ready or, if there is a `deadline`, until that has passed. With a
/// deadline the thread does not wait to be woken in between: each further poll is spurious.
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
