//! The future of an acquisition.
//!
//! The future is written by hand because every acquisition goes through it: in a task that does not
//! wait it costs three comparisons around one attempt.

use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;

use crate::lock::MultiLock;
use crate::lock::guard::Guard;
use crate::mode::Mode;
use crate::raw::Waiter;

/// The future of an acquisition of `lock` in `mode`.
pub(crate) struct Acquire<'a> {
    lock: &'a MultiLock,
    mode: Mode,
    /// Whether a blocked thread polls the future. The thread does nothing else meanwhile.
    thread: bool,
    progress: Progress<'a>,
}

// The future is part of each task that waits: 96 bytes where pointers have 64 bits.
const _: () =
    assert!(size_of::<Acquire<'_>>() <= 12 * size_of::<usize>() || cfg!(any(loom, shuttle)));

enum Progress<'a> {
    New,
    /// The newcomer yields one poll: a waiter was overtaken, and enters first if it is polled now.
    StandsBack,
    /// [`Acquire::drop`] drops the waiter as long as it waits. Otherwise the waiter has nothing to
    /// do when it is dropped.
    Waits(ManuallyDrop<Waiter<'a>>),
    Done,
}

impl<'a> Acquire<'a> {
    #[inline]
    pub(crate) fn new(lock: &'a MultiLock, mode: Mode) -> Self {
        Self { lock, mode, thread: false, progress: Progress::New }
    }

    /// Creates an acquisition like [`new`](Self::new), but for a thread that polls it whenever it
    /// is woken, and does nothing else meanwhile. Other waiters may have to wait for that thread.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn for_thread(lock: &'a MultiLock, mode: Mode) -> Self {
        Self { lock, mode, thread: true, progress: Progress::New }
    }

    /// Waits until the lock is held, for a caller that could not acquire it at once.
    #[cold]
    #[inline(never)]
    fn wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the waiter in the future is not moved: it is made, polled and dropped where it
        // is. It is overwritten without a drop only when it has entered: its node is in no list
        // then. `Acquire` is not `Unpin`, because `Waiter` is not.
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
        // SAFETY: as above. From here on the waiter is pinned.
        ready!(unsafe { Pin::new_unchecked(&mut **place) }.poll_enter(cx));
        this.progress = Progress::Done;
        Poll::Ready(())
    }
}

impl Drop for Acquire<'_> {
    // `Drop` is written by hand: even futures that never wait would call compiler-generated glue.
    #[inline]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn cancel(place: &mut ManuallyDrop<Waiter<'_>>) {
            // SAFETY: the future is dropped where it is, and the waiter with it. Nothing touches
            // the waiter any more.
            unsafe { ManuallyDrop::drop(place) };
        }
        if let Progress::Waits(place) = &mut self.progress {
            cancel(place);
        }
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Guard<'a>;

    /// Polls the acquisition.
    ///
    /// # Panics
    ///
    /// Panics if the future was ready before.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Guard<'a>> {
        // SAFETY: as in `wait`. If there is a waiter, it is not touched here.
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
