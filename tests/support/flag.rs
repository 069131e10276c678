//! The waker of a task that is polled by hand, and what cancels such a task.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Poll, Wake};

/// Counts the wake-ups of one waker.
pub(crate) struct Flag(AtomicUsize);

impl Flag {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(0)))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Relaxed)
    }

    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Is ready when it is polled after `flag` was set.
pub(crate) fn until_set(flag: Rc<Cell<bool>>) -> impl Future<Output = ()> {
    poll_fn(move |_| if flag.get() { Poll::Ready(()) } else { Poll::Pending })
}
