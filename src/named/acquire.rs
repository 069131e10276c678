//! The future of an acquisition by a handle.

use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;

use crate::error::HandleInUse;
use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::named::registry::HandleReservation;
use crate::named::{HandleLock, take_handle};
use crate::raw::acquire::RawAcquire;

/// An acquisition by a handle. The future is written by hand: that of an `async` block would have
/// room for a handle wherever one is passed.
pub(super) struct AcquireByHandle<'a, H, T> {
    lock: &'a HandleLock<H>,
    /// The handle, until the first poll.
    handle: Option<H>,
    /// The reservation of the handle, while the acquisition waits. It is dropped before `acquire`:
    /// a waiter that is woken in place of this one may use the handle.
    reservation: Option<HandleReservation<'a, H>>,
    acquire: RawAcquire<'a, MultiLock>,
    confirm: fn(&'a HandleLock<H>, HandleReservation<'a, H>, Mode) -> T,
}

impl<'a, H, T> AcquireByHandle<'a, H, T> {
    pub(super) fn new(
        lock: &'a HandleLock<H>,
        mode: Mode,
        handle: H,
        confirm: fn(&'a HandleLock<H>, HandleReservation<'a, H>, Mode) -> T,
    ) -> Self {
        let acquire = RawAcquire::new(&lock.lock, mode);
        Self { lock, handle: Some(handle), reservation: None, acquire, confirm }
    }
}

impl<'a, H: Eq, T> Future for AcquireByHandle<'a, H, T> {
    type Output = Result<T, HandleInUse<H>>;

    /// # Panics
    ///
    /// Panics if the future was ready before.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the acquisition, which alone is pinned with this future, is not moved.
        let (acquire, handle, reservation, lock, confirm) = unsafe {
            let this = self.get_unchecked_mut();
            let acquire = Pin::new_unchecked(&mut this.acquire);
            (acquire, &mut this.handle, &mut this.reservation, this.lock, this.confirm)
        };
        if handle.is_some() {
            *reservation = lock.registry.reserve(handle);
            if reservation.is_none() {
                return Poll::Ready(Err(HandleInUse(take_handle(handle))));
            }
        }
        assert!(reservation.is_some(), "polled after it was ready");
        let mode = acquire.mode();
        ready!(acquire.poll(cx));
        let reservation = reservation.take().expect("the handle is reserved");
        Poll::Ready(Ok(confirm(lock, reservation, mode)))
    }
}

impl<H: Eq, T> FusedFuture for AcquireByHandle<'_, H, T> {
    fn is_terminated(&self) -> bool {
        self.handle.is_none() && self.reservation.is_none()
    }
}
