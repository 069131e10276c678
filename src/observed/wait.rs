//! Waiting for a lock, and telling its observer.

use core::borrow::BorrowMut;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

use crate::observed::told::{Hold, LockPtr, Upgrading, Wait};

/// What an operation on an observed lock returns: made of what the lock without an observer has returned, and of what
/// tells the observer.
pub(super) trait FromPlain<P, W> {
    fn from_plain(plain: P, wait: W) -> Self;
}

/// An acquisition that may be in vain.
impl<P, W, E, G: FromPlain<P, W>> FromPlain<Result<P, E>, W> for Result<G, E> {
    fn from_plain(plain: Result<P, E>, wait: W) -> Self {
        plain.map(|plain| G::from_plain(plain, wait))
    }
}

/// An upgrade in place of the guard of a lock without data.
impl<P: LockPtr, H: BorrowMut<Hold<P>>> FromPlain<(), Upgrading<P, H>> for () {
    fn from_plain((): (), wait: Upgrading<P, H>) {
        let (mut hold, upgrade) = wait.into_parts();
        hold.borrow_mut().upgraded(upgrade);
    }
}

/// A future of a lock, which tells the observer of the lock.
///
/// The future itself is dropped first, so the observer is told when the waiter has left the queue.
#[must_use = "a future does nothing unless it is polled: `.await` it"]
pub(super) struct Observing<F, W, G> {
    plain: Option<F>,
    wait: Option<W>,
    output: PhantomData<fn() -> G>,
}

impl<F, W, G> Observing<F, W, G> {
    #[inline]
    pub(super) fn new(plain: F, wait: W) -> Self {
        Self { plain: Some(plain), wait: Some(wait), output: PhantomData }
    }
}

impl<F: Future, W: Wait, G: FromPlain<F::Output, W>> Future for Observing<F, W, G> {
    type Output = G;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<G> {
        // SAFETY: `plain`, which alone is pinned with this future, is polled and dropped where it is.
        let (mut plain, wait) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.plain), &mut this.wait)
        };
        let future = plain.as_mut().as_pin_mut().expect("polled after it was ready");
        let output = match future.poll(cx) {
            Poll::Ready(output) => output,
            Poll::Pending => {
                wait.as_mut().expect("it is there as long as the future is").waits();
                return Poll::Pending;
            }
        };
        plain.set(None);
        let wait = wait.take().expect("it is there as long as the future is");
        Poll::Ready(G::from_plain(output, wait))
    }
}

impl<F: Future, W: Wait, G: FromPlain<F::Output, W>> FusedFuture for Observing<F, W, G> {
    #[inline]
    fn is_terminated(&self) -> bool {
        self.plain.is_none()
    }
}
