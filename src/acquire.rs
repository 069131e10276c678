//! An acquisition, as a future. It is written by hand as each call goes through it: what it is in a task
//! that does not wait is three comparisons around one attempt.

use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

use crate::guard::Guard;
use crate::mode::Mode;
use crate::multilock::MultiLock;
use crate::raw::RawLock;

/// An acquisition of `lock`: at once, if that is possible, and else by the future that `start` makes.
pub(crate) struct Acquire<'a, S, F> {
    lock: &'a MultiLock,
    mode: Mode,
    start: S,
    progress: Progress<F>,
}

enum Progress<F> {
    New,
    Waiting(F),
    Done,
}

impl<'a, S, F> Acquire<'a, S, F>
where
    S: Fn(&'a RawLock, Mode) -> F,
    F: Future<Output = ()>,
{
    #[inline]
    pub(crate) fn new(lock: &'a MultiLock, mode: Mode, start: S) -> Self {
        Self { lock, mode, start, progress: Progress::New }
    }

    /// Waits until the lock is held, for who could not have it at once.
    #[cold]
    #[inline(never)]
    fn wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the future in it is not moved: it is made, polled and dropped where it is. `Acquire` has
        // no `Drop`, and is `Unpin` only if the future is.
        let this = unsafe { self.get_unchecked_mut() };
        if let Progress::New = this.progress {
            this.progress = Progress::Waiting((this.start)(&this.lock.raw, this.mode));
        }
        let Progress::Waiting(future) = &mut this.progress else {
            panic!("polled after it was ready");
        };
        // SAFETY: as above.
        let poll = unsafe { Pin::new_unchecked(future) }.poll(cx);
        if poll.is_ready() {
            this.progress = Progress::Done;
        }
        poll
    }
}

impl<'a, S, F> Future for Acquire<'a, S, F>
where
    S: Fn(&'a RawLock, Mode) -> F,
    F: Future<Output = ()>,
{
    type Output = Guard<'a>;

    /// # Panics
    ///
    /// When the future was ready before.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Guard<'a>> {
        // SAFETY: as in `wait`; where there is a future, it is not touched here.
        let this = unsafe { self.as_mut().get_unchecked_mut() };
        let (lock, mode) = (this.lock, this.mode);
        if matches!(this.progress, Progress::New) && lock.raw.acquire_at_once(mode) {
            this.progress = Progress::Done;
            return Poll::Ready(Guard::new(lock, mode));
        }
        self.wait(cx).map(|()| Guard::new(lock, mode))
    }
}

impl<'a, S, F> FusedFuture for Acquire<'a, S, F>
where
    S: Fn(&'a RawLock, Mode) -> F,
    F: Future<Output = ()>,
{
    #[inline]
    fn is_terminated(&self) -> bool {
        matches!(self.progress, Progress::Done)
    }
}
