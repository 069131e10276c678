//! Fused futures: they know whether they are done.

use core::marker::PhantomData;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

/// A future that drops `F` as soon as `F` is done. `Foreign` is what `F` has from its caller: a
/// name, a lock.
pub(crate) struct Fused<F, Foreign = ()>(Option<F>, PhantomData<Foreign>);

// `F` is an async block. A panic in a poll drops all that the block has, and the block cannot be
// polled again. So the exclusive references that the block has to parts of itself do not matter.
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
    /// If the future was ready at an earlier poll.
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
