//! Futures that know that they are done.

use core::marker::PhantomData;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

/// `F`, dropped as soon as it is done. `Foreign` is what `F` has of its caller's: a name, a lock.
pub(crate) struct Fused<F, Foreign = ()>(Option<F>, PhantomData<Foreign>);

// A panic in a poll drops all that `F` has, as it is an async block, which cannot be polled again. So it does not matter
// that the block has exclusive references to parts of itself.
impl<F, Foreign: UnwindSafe> UnwindSafe for Fused<F, Foreign> {}
impl<F, Foreign: RefUnwindSafe> RefUnwindSafe for Fused<F, Foreign> {}

impl<F, Foreign> Fused<F, Foreign> {
    pub(crate) const fn new(future: F) -> Self {
        Self(Some(future), PhantomData)
    }
}

impl<F: Future, Foreign> Future for Fused<F, Foreign> {
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

impl<F: Future, Foreign> FusedFuture for Fused<F, Foreign> {
    fn is_terminated(&self) -> bool {
        self.0.is_none()
    }
}
