//! An acquisition, as a future. It is written by hand as each call goes through it: what it is in a task
//! that does not wait is three comparisons around one attempt.

use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;

use crate::guard::Guard;
use crate::mode::Mode;
use crate::multilock::MultiLock;
use crate::raw::Waiter;

/// An acquisition of `lock`.
pub(crate) struct Acquire<'a> {
    lock: &'a MultiLock,
    mode: Mode,
    /// It is polled by a thread that does nothing else meanwhile.
    thread: bool,
    progress: Progress<'a>,
}

// It is part of each task that waits: 96 bytes where pointers have 64 bits.
const _: () =
    assert!(size_of::<Acquire<'_>>() <= 12 * size_of::<usize>() || cfg!(any(loom, shuttle)));

enum Progress<'a> {
    New,
    /// It lets one poll pass: somebody was overtaken, and goes first if it is polled now.
    StandsBack,
    /// Dropped by [`Acquire::drop`], as long as it waits. Else it has nothing to do when it goes.
    Waits(ManuallyDrop<Waiter<'a>>),
    Done,
}

impl<'a> Acquire<'a> {
    #[inline]
    pub(crate) fn new(lock: &'a MultiLock, mode: Mode) -> Self {
        Self { lock, mode, thread: false, progress: Progress::New }
    }

    /// As [`new`](Self::new), for a thread that polls it whenever it is woken, and does nothing else meanwhile:
    /// others may have to wait for that.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn for_thread(lock: &'a MultiLock, mode: Mode) -> Self {
        Self { lock, mode, thread: true, progress: Progress::New }
    }

    /// Waits until the lock is held, for who could not have it at once.
    #[cold]
    #[inline(never)]
    fn wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the place in it is not moved: it is made, polled and dropped where it is. Only when it has entered
        // is it overwritten without a drop: its node is in no list then. `Acquire` is not `Unpin`, as a place is
        // not.
        let this = unsafe { self.get_unchecked_mut() };
        let raw = &this.lock.raw;
        match this.progress {
            Progress::New if raw.is_reserved(this.mode) && raw.defers() => {
                this.progress = Progress::StandsBack;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            #[cfg(feature = "std")]
            Progress::New if raw.acquire_soon(this.mode) => {
                this.progress = Progress::Done;
                return Poll::Ready(());
            }
            Progress::New | Progress::StandsBack => {
                let place = Waiter::take(raw, this.mode, this.thread);
                this.progress = Progress::Waits(ManuallyDrop::new(place));
            }
            Progress::Waits(_) | Progress::Done => {}
        }
        let Progress::Waits(place) = &mut this.progress else {
            panic!("polled after it was ready");
        };
        // SAFETY: as above: from here on it is pinned.
        ready!(unsafe { Pin::new_unchecked(&mut **place) }.poll_enter(cx));
        this.progress = Progress::Done;
        Poll::Ready(())
    }
}

impl Drop for Acquire<'_> {
    // Not the glue that the compiler makes, which would be notified by all who never wait.
    #[inline]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn cancel(place: &mut ManuallyDrop<Waiter<'_>>) {
            // SAFETY: the future is dropped, and with it the place, where it is. Nobody touches it any more.
            unsafe { ManuallyDrop::drop(place) };
        }
        if let Progress::Waits(place) = &mut self.progress {
            cancel(place);
        }
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Guard<'a>;

    /// # Panics
    ///
    /// When the future was ready before.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Guard<'a>> {
        // SAFETY: as in `wait`; where there is a place, it is not touched here.
        let this = unsafe { self.as_mut().get_unchecked_mut() };
        let (lock, mode) = (this.lock, this.mode);
        if matches!(this.progress, Progress::New) && lock.raw.try_acquire_as_newcomer(mode) {
            this.progress = Progress::Done;
            return Poll::Ready(Guard::new(lock, mode));
        }
        self.wait(cx).map(|()| Guard::new(lock, mode))
    }
}

impl FusedFuture for Acquire<'_> {
    #[inline]
    fn is_terminated(&self) -> bool {
        matches!(self.progress, Progress::Done)
    }
}
