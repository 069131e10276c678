//! Wakers that leave the queue together, and are woken when it is unlocked again.

#[cfg(feature = "std")]
use alloc::boxed::Box;
use core::task::Waker;

#[cfg(feature = "std")]
use crate::sync::unwind::{caught, discard};

/// How many waiters are notified at most each time that the queue is locked. On a chip without
/// `std` this bounds how long interrupts are off.
pub(crate) const BATCH: usize = 8;

/// The wakers of waiters that were notified together, and have not been woken yet.
pub(crate) struct WakeBatch<const N: usize> {
    wakers: [Option<Waker>; N],
    len: usize,
}

impl<const N: usize> WakeBatch<N> {
    pub(crate) const EMPTY: Self = Self { wakers: [const { None }; N], len: 0 };

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds the waker of the next waiter. The batch is not full.
    #[inline]
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        self.wakers[self.len] = waker;
        self.len += 1;
    }

    /// Returns the wakers in the order in which their waiters were notified.
    pub(crate) fn wakers(&mut self) -> impl Iterator<Item = Waker> {
        self.wakers[..self.len].iter_mut().filter_map(Option::take)
    }
}

/// Wakes the rest of the batch if a waker panics. With `std` the panic is caught before it gets
/// here.
#[cfg(not(feature = "std"))]
impl<const N: usize> Drop for WakeBatch<N> {
    fn drop(&mut self) {
        self.wakers.iter_mut().filter_map(Option::take).for_each(Waker::wake);
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
