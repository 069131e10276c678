//! Small helpers for futures.

use core::future::poll_fn;
use core::marker::PhantomData;
use core::mem;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

/// A future that drops `F` as soon as `F` is done.
///
/// `F` is an async block. `Foreign` is the type of the values in `F` that come from the caller, as
/// a name or a lock: it decides whether the future is unwind safe.
pub(crate) struct Fused<F, Foreign = ()>(Option<F>, PhantomData<Foreign>);

// A panic in a poll of an async block drops the values in the block, and the block cannot be polled
// again. So the exclusive references in the block to other values in it do not matter.
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
    /// Panics if the future was ready at an earlier poll.
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

pub(crate) fn ready_if(ready: bool) -> Poll<()> {
    if ready { Poll::Ready(()) } else { Poll::Pending }
}

/// Yields one poll: every other task can be polled once meanwhile.
pub(crate) async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if !yielded {
            cx.waker().wake_by_ref();
        }
        ready_if(mem::replace(&mut yielded, true))
    })
    .await;
}
