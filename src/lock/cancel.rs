//! Futures that end when a `cancel` future is ready.
//!
//! They are written by hand. An `async` block would have room for each future twice: where it is
//! passed, and where it is polled.

use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;

/// Returns the output of `wanted`, or that of `cancel` if `cancel` is ready first. Each poll polls
/// `wanted` first.
pub(crate) fn first<W: Future, C: Future>(wanted: W, cancel: C) -> First<W, C> {
    First(Some((wanted, cancel)))
}

/// The future of [`first`]. Both futures are pinned with it.
pub(crate) struct First<W, C>(Option<(W, C)>);

impl<W: Future, C: Future> Future for First<W, C> {
    type Output = Result<W::Output, C::Output>;

    /// # Panics
    ///
    /// Panics if the future was ready before.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the futures, which are pinned with this one, are not moved. They are dropped where
        // they are.
        let both = unsafe { &mut self.get_unchecked_mut().0 };
        let (wanted, cancel) = both.as_mut().expect("polled after it was ready");
        // SAFETY: as above.
        let (wanted, cancel) = unsafe { (Pin::new_unchecked(wanted), Pin::new_unchecked(cancel)) };
        let result = match wanted.poll(cx) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => Err(ready!(cancel.poll(cx))),
        };
        // `cancel` is foreign, and its drop may panic. Then the result is dropped, and a guard in it
        // releases the lock. A result that is being returned already would be leaked.
        *both = None;
        Poll::Ready(result)
    }
}

/// Returns the output of `acquire`, which acquires a lock, unless `cancel` is ready first. Then
/// calls `last_try`, when the waiter has left the queue, and returns the output of `cancel` if that
/// fails, too.
pub(crate) fn acquire_or<A: Future, C: Future>(
    acquire: A,
    cancel: C,
    last_try: impl FnOnce() -> Option<A::Output>,
) -> impl FusedFuture<Output = Result<A::Output, C::Output>> {
    AcquireOr { first: first(acquire, cancel), last_try: Some(last_try) }
}

/// The future of [`acquire_or`].
struct AcquireOr<A, C, L> {
    first: First<A, C>,
    last_try: Option<L>,
}

// `last_try` is called once, at the end. A panic before leaves it as it was.
impl<A: UnwindSafe, C: UnwindSafe, L> UnwindSafe for AcquireOr<A, C, L> {}
impl<A: RefUnwindSafe, C: RefUnwindSafe, L> RefUnwindSafe for AcquireOr<A, C, L> {}

impl<A: Future, C: Future, L: FnOnce() -> Option<A::Output>> Future for AcquireOr<A, C, L> {
    type Output = Result<A::Output, C::Output>;

    /// # Panics
    ///
    /// Panics if the future was ready before.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `first`, which alone is pinned with this future, is not moved.
        let (first, last_try) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.first), &mut this.last_try)
        };
        let output = match ready!(first.poll(cx)) {
            Err(output) => output,
            acquired => return Poll::Ready(acquired),
        };
        let last_try = last_try.take().expect("called once");
        Poll::Ready(match last_try() {
            Some(acquired) => {
                // The drop may panic: see `First`.
                drop(output);
                Ok(acquired)
            }
            None => Err(output),
        })
    }
}

impl<A: Future, C: Future, L: FnOnce() -> Option<A::Output>> FusedFuture for AcquireOr<A, C, L> {
    fn is_terminated(&self) -> bool {
        self.first.0.is_none()
    }
}
