//! The parker in which a blocked thread sleeps.

use core::task::Waker;
use std::cell::Cell;
use std::time::Duration;

use parking::Parker;

use crate::sync::once_box::may_fail;

/// A parker, in which a thread sleeps until its waker is woken.
pub(super) struct ThreadParker {
    parker: Parker,
    /// Unparks `parker`.
    waker: Waker,
}

std::thread_local! {
    /// The parker of this thread, while no wait uses it. So only the first wait allocates.
    static IDLE: Cell<Option<ThreadParker>> = const { Cell::new(None) };
}

impl ThreadParker {
    /// Allocates a parker.
    fn new() -> Self {
        may_fail();
        let parker = Parker::new();
        let waker = Waker::from(parker.unparker());
        Self { parker, waker }
    }

    /// Lends the parker of this thread to one wait.
    ///
    /// While that wait polls, it may run a foreign waker, which may block, too. Such an inner wait
    /// gets another parker. With the same parker it would consume the wake-up of the outer wait.
    pub(super) fn lend<R>(wait: impl FnOnce(&Self) -> R) -> R {
        /// Puts the parker back, even if a poll panics.
        struct Lent(Option<ThreadParker>);
        impl Drop for Lent {
            fn drop(&mut self) {
                let _ = IDLE.try_with(|idle| idle.set(self.0.take()));
            }
        }
        // The destructor of another thread-local may run after that of `IDLE`.
        let idle = IDLE.try_with(Cell::take).ok().flatten();
        let lent = Lent(Some(idle.unwrap_or_else(Self::new)));
        wait(lent.0.as_ref().expect("it is put back later"))
    }

    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Consumes a wake-up that has already come. Returns whether there was one.
    pub(super) fn was_woken(&self) -> bool {
        self.park_timeout(Duration::ZERO)
    }

    /// Sleeps until there is a wake-up, and consumes it.
    pub(super) fn park(&self) {
        self.parker.park();
    }

    /// Sleeps until there is a wake-up, but no longer than `timeout`, and consumes it. Returns
    /// whether there was one.
    pub(super) fn park_timeout(&self, timeout: Duration) -> bool {
        self.parker.park_timeout(timeout)
    }
}
