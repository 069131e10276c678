//! Waiting with a thread instead of a task.

#[cfg(not(any(loom, shuttle)))]
mod parker;

use core::pin::pin;
#[cfg(any(loom, shuttle))]
use core::task::Waker;
use core::task::{Context, Poll};
#[cfg(loom)]
use std::sync::Arc;
#[cfg(loom)]
use std::task::Wake;
use std::time::Instant;

#[cfg(not(any(loom, shuttle)))]
use self::parker::ThreadParker;
#[cfg(shuttle)]
use crate::sync;
#[cfg(loom)]
use crate::sync::thread;

/// Polls `future` until it is ready or, at the latest, `deadline` has come.
///
/// The thread does not sleep in [`std::thread::park`]: the token of that is the caller's, and another thread may set it for
/// a reason of the caller's at any time.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn block_on<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    ThreadParker::lend(|parker| {
        let mut future = pin!(future);
        let mut cx = Context::from_waker(parker.waker());
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return Some(output);
            }
            match deadline {
                None => parker.park(),
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => parker.park_timeout(left),
                    _ => return None,
                },
            }
        }
    })
}

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

#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests {
    use core::future::poll_fn;
    use core::task::Waker;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::mode::Mode;
    use crate::multilock::MultiLock;

    const LONG: Duration = Duration::from_secs(60);

    fn soon(time: Duration) -> Option<Instant> {
        Instant::now().checked_add(time)
    }

    fn wake_by_another_thread(waker: &Waker) {
        let waker = waker.clone();
        thread::spawn(|| waker.wake()).join().unwrap();
    }

    /// A poll of the outer wait runs a waker, which blocks. Meanwhile another thread wakes the outer wait.
    #[test]
    fn p2_a_wait_within_a_wait_leaves_it_its_wake_up() {
        let lock = MultiLock::new();
        let _guard = lock.try_acquire(Mode::Exclusive).unwrap();
        for inner_waits in 1..3 {
            let mut polls = 0;
            let wait = poll_fn(|cx| {
                polls += 1;
                if polls > 1 {
                    return Poll::Ready(());
                }
                wake_by_another_thread(cx.waker());
                for _ in 0..inner_waits {
                    let millisecond = Duration::from_millis(1);
                    assert!(lock.acquire_timeout(Mode::Shared, millisecond).is_none());
                }
                Poll::Pending
            });
            assert_eq!(block_on(wait, soon(LONG)), Some(()), "the outer wait is not woken");
        }
    }

    #[test]
    fn p2_a_wait_after_a_panic_is_woken() {
        let panics = poll_fn(|_| -> Poll<()> { panic!("as it shall") });
        let caught = catch_unwind(AssertUnwindSafe(|| block_on(panics, None)));
        assert!(caught.is_err());
        let mut polls = 0;
        let wait = poll_fn(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls > 1 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert_eq!(block_on(wait, soon(LONG)), Some(()));
    }
}
