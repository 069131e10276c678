//! The future of an acquisition.
//!
//! The future is written by hand because every asynchronous acquisition of one lock goes through it:
//! in a task that does not wait it costs three comparisons around one attempt.

use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;

use crate::mode::Mode;
use crate::raw::{HasRaw, RawLock, Waiter};

/// The future of an acquisition of `lock`. When it is ready, the caller holds the lock, and makes a
/// guard of its own. It is part of each task that waits: 88 bytes where pointers have 64 bits.
pub(crate) struct RawAcquire<'a, L> {
    lock: &'a L,
    wait: Wait<'a>,
}

/// The acquisition without its lock. It does not depend on the type of the lock, so its code is
/// compiled once.
struct Wait<'a> {
    mode: Mode,
    /// Whether a blocked thread polls the future. The thread does nothing else meanwhile.
    thread: bool,
    progress: Progress<'a>,
}

enum Progress<'a> {
    New,
    /// The newcomer yields one poll: a waiter was overtaken, and enters first if it is polled now.
    Yields,
    /// [`Wait::drop`] drops the waiter. A waiter that has entered has nothing left to drop, and is
    /// overwritten.
    Waits(ManuallyDrop<Waiter<'a>>),
    Done,
}

impl<'a, L: HasRaw> RawAcquire<'a, L> {
    #[inline]
    pub(crate) fn new(lock: &'a L, mode: Mode) -> Self {
        Self { lock, wait: Wait { mode, thread: false, progress: Progress::New } }
    }

    /// Creates an acquisition like [`new`](Self::new), but for a thread that polls it whenever it
    /// is woken, and does nothing else meanwhile. Other waiters may have to wait for that thread.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn for_thread(lock: &'a L, mode: Mode) -> Self {
        Self { lock, wait: Wait { mode, thread: true, progress: Progress::New } }
    }

    #[inline]
    pub(crate) fn lock(&self) -> &'a L {
        self.lock
    }

    #[inline]
    pub(crate) fn mode(&self) -> Mode {
        self.wait.mode
    }
}

impl<'a> Wait<'a> {
    /// Waits until the lock is held, for a caller that could not acquire it at once.
    #[cold]
    #[inline(never)]
    fn poll(self: Pin<&mut Self>, raw: &'a RawLock, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the waiter in the future is not moved: it is pinned from its first poll on, is
        // polled and dropped where it is, and is overwritten without a drop only when it has
        // entered: its node is in no list then. `Wait` is not `Unpin`, because `Waiter` is not.
        let this = unsafe { self.get_unchecked_mut() };
        if let Progress::New = this.progress {
            let entered = match raw.try_acquire_as_newcomer(this.mode) {
                Ok(()) => true,
                Err(word) if word.newcomer_must_yield(this.mode) && raw.take_deferral() => {
                    this.progress = Progress::Yields;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                #[cfg(feature = "std")]
                Err(_) => raw.spin_acquire(this.mode, false),
                #[cfg(not(feature = "std"))]
                Err(_) => false,
            };
            if entered {
                this.progress = Progress::Done;
                return Poll::Ready(());
            }
        }
        if let Progress::New | Progress::Yields = this.progress {
            this.progress =
                Progress::Waits(ManuallyDrop::new(Waiter::new(raw, this.mode, this.thread)));
        }
        let Progress::Waits(waiter) = &mut this.progress else {
            panic!("polled after it was ready");
        };
        // SAFETY: as above: from here on it is pinned.
        ready!(unsafe { Pin::new_unchecked(&mut **waiter) }.poll_enter(cx));
        this.progress = Progress::Done;
        Poll::Ready(())
    }
}

impl Drop for Wait<'_> {
    // `Drop` is written by hand: even futures that never wait would call compiler-generated glue.
    #[inline]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn cancel(waiter: &mut ManuallyDrop<Waiter<'_>>) {
            // SAFETY: the future is dropped where it is, and the waiter with it. Nothing touches
            // the waiter any more.
            unsafe { ManuallyDrop::drop(waiter) };
        }
        if let Progress::Waits(waiter) = &mut self.progress {
            cancel(waiter);
        }
    }
}

impl<L: HasRaw> Future for RawAcquire<'_, L> {
    type Output = ();

    /// # Panics
    ///
    /// Panics if the future was ready before.
    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the wait, which alone is pinned with the future, is not moved.
        let (wait, raw) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.wait), this.lock.raw())
        };
        if matches!(wait.progress, Progress::New) && raw.try_acquire_once(wait.mode) {
            // SAFETY: no waiter is moved: there is none yet.
            unsafe { wait.get_unchecked_mut() }.progress = Progress::Done;
            return Poll::Ready(());
        }
        wait.poll(raw, cx)
    }
}

impl<L: HasRaw> FusedFuture for RawAcquire<'_, L> {
    #[inline]
    fn is_terminated(&self) -> bool {
        matches!(self.wait.progress, Progress::Done)
    }
}
