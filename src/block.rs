//! Waiting with a thread instead of a task.

use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

#[cfg(loom)]
use loom::thread;
#[cfg(not(loom))]
use std::thread;

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// The waker of this thread: made once for each thread, so that no wait allocates.
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
