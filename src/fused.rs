//! Futures that know that they are done.

use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

/// `F`, dropped as soon as it is done.
pub(crate) struct Fused<F>(Option<F>);

impl<F> Fused<F> {
    pub(crate) const fn new(future: F) -> Self {
        Self(Some(future))
    }
}

impl<F: Future> Future for Fused<F> {
    type Output = F::Output;

    /// # Panics
    ///
    /// When the future was ready before.
    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the field is pinned with `self`: it is only polled, and dropped where it is.
        // `Fused` has no `Drop`, and is `Unpin` only if `F` is.
        let mut inner = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        let poll = inner.as_mut().as_pin_mut().expect("polled after it was ready").poll(cx);
        if poll.is_ready() {
            inner.set(None);
        }
        poll
    }
}

impl<F: Future> FusedFuture for Fused<F> {
    fn is_terminated(&self) -> bool {
        self.0.is_none()
    }
}
