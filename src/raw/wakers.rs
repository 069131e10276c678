//! Wakers that leave the queue together, and are woken when it is unlocked again.

#[cfg(feature = "std")]
use alloc::boxed::Box;
use core::mem::MaybeUninit;
use core::task::Waker;

#[cfg(feature = "std")]
use crate::sync::unwind::{caught, discard};

/// How many waiters are notified at most each time that the queue is locked. On a chip without
/// `std` this bounds how long interrupts are off.
pub(crate) const BATCH: usize = 8;

/// What has become of the first listener of a list.
pub(crate) enum Popped {
    /// It was notified. The next may be notified together with it.
    Next(Waker),
    /// It was notified, as the last of its batch.
    Last(Waker),
    /// There is none, or it was left in the list.
    None,
}

impl Popped {
    /// Makes the listener the last of its batch.
    #[inline]
    pub(crate) fn last(self) -> Self {
        match self {
            Self::Next(waker) => Self::Last(waker),
            other => other,
        }
    }
}

/// The wakers of waiters that were notified together, and have not been woken yet.
pub(crate) struct WakeBatch {
    /// Those from `woken` to `len` are initialized. The array is not: most batches are small.
    wakers: [MaybeUninit<Waker>; BATCH],
    woken: usize,
    len: usize,
}

impl WakeBatch {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { wakers: [const { MaybeUninit::uninit() }; BATCH], woken: 0, len: 0 }
    }

    /// Returns how many waiters were notified together.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds the wakers that `next` returns, which is told how many there are, until it ends the batch
    /// or the batch is full. The batch is empty.
    #[inline]
    pub(crate) fn fill(&mut self, mut next: impl FnMut(usize) -> Popped) {
        for slot in &mut self.wakers {
            let (waker, is_last) = match next(self.len) {
                Popped::Next(waker) => (waker, false),
                Popped::Last(waker) => (waker, true),
                Popped::None => break,
            };
            slot.write(waker);
            self.len += 1;
            if is_last {
                break;
            }
        }
    }
}

/// Returns the wakers in the order in which their waiters were notified.
impl Iterator for WakeBatch {
    type Item = Waker;

    #[inline]
    fn next(&mut self) -> Option<Waker> {
        if self.woken == self.len {
            return None;
        }
        let waker = self.wakers.get(self.woken)?;
        self.woken += 1;
        // SAFETY: it was initialized, and is read once: `woken` is behind it now.
        Some(unsafe { waker.assume_init_read() })
    }
}

/// Wakes the rest of the batch if a waker panics. With `std` the panic is caught before it gets
/// here.
impl Drop for WakeBatch {
    #[inline]
    fn drop(&mut self) {
        self.for_each(Waker::wake);
    }
}

/// Wakes tasks. With `std`, a waker that panics does not keep the other tasks from being woken: the
/// panic resumes when all are.
pub(crate) struct WakeAll {
    #[cfg(feature = "std")]
    fair: bool,
    #[cfg(feature = "std")]
    panic: Option<Box<dyn core::any::Any + Send>>,
}

impl WakeAll {
    /// Returns a `WakeAll`. If it is `fair`, threads are handed what they are notified for.
    #[inline]
    pub(crate) fn new(fair: bool) -> Self {
        #[cfg(not(feature = "std"))]
        let _ = fair;
        Self {
            #[cfg(feature = "std")]
            fair,
            #[cfg(feature = "std")]
            panic: None,
        }
    }

    #[inline]
    pub(super) fn is_fair(&self) -> bool {
        #[cfg(feature = "std")]
        return self.fair;
        #[cfg(not(feature = "std"))]
        false
    }

    pub(crate) fn one(&mut self, waker: Waker) {
        #[cfg(feature = "std")]
        if let Err(panic) = caught(|| waker.wake()) {
            match &self.panic {
                None => self.panic = Some(panic),
                Some(_) => discard(panic),
            }
        }
        #[cfg(not(feature = "std"))]
        waker.wake();
    }
}

#[cfg(feature = "std")]
impl Drop for WakeAll {
    #[inline]
    fn drop(&mut self) {
        if let Some(panic) = self.panic.take() {
            pass_on(panic);
        }
    }
}

/// Resumes the panic of a waker, unless the thread is panicking already.
#[cfg(feature = "std")]
#[cold]
fn pass_on(panic: Box<dyn core::any::Any + Send>) {
    if std::thread::panicking() {
        discard(panic);
    } else {
        std::panic::resume_unwind(panic);
    }
}
