//! The future of an acquisition by a handle.

use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;

use crate::lock::MultiLock;
use crate::lock::guard::Guard;
use crate::mode::Mode;
use crate::named::error::HandleInUse;
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
        if let Err(in_use) = reserve_once(lock, handle, reservation) {
            return Poll::Ready(Err(in_use));
        }
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

/// Reserves the handle at the first poll of an acquisition. Returns it if it is in use.
///
/// # Panics
///
/// Panics if there is neither a handle nor a reservation: the future was ready before.
#[inline]
fn reserve_once<'a, H: Eq>(
    lock: &'a HandleLock<H>,
    handle: &mut Option<H>,
    reservation: &mut Option<HandleReservation<'a, H>>,
) -> Result<(), HandleInUse<H>> {
    if handle.is_some() {
        *reservation = lock.registry.reserve(handle);
        if reservation.is_none() {
            return Err(HandleInUse(take_handle(handle)));
        }
    }
    assert!(reservation.is_some(), "polled after it was ready");
    Ok(())
}

/// An acquisition by a handle that may be canceled. Written by hand for the same reason.
pub(super) struct AcquireByHandleOr<'a, H, A, T> {
    lock: &'a HandleLock<H>,
    mode: Mode,
    /// The handle, until the first poll.
    handle: Option<H>,
    /// The reservation of the handle, while the acquisition waits. It is dropped before `acquire`:
    /// a waiter that is woken in place of this one may use the handle.
    reservation: Option<HandleReservation<'a, H>>,
    /// Acquires the lock in `mode`, or is canceled.
    acquire: A,
    confirm: fn(&'a HandleLock<H>, HandleReservation<'a, H>, Mode) -> T,
}

impl<'a, H, A, T> AcquireByHandleOr<'a, H, A, T> {
    pub(super) fn new(
        lock: &'a HandleLock<H>,
        mode: Mode,
        handle: H,
        acquire: A,
        confirm: fn(&'a HandleLock<H>, HandleReservation<'a, H>, Mode) -> T,
    ) -> Self {
        Self { lock, mode, handle: Some(handle), reservation: None, acquire, confirm }
    }
}

impl<'a, H, A, T, O> Future for AcquireByHandleOr<'a, H, A, T>
where
    H: Eq,
    A: Future<Output = Result<Guard<'a>, O>>,
{
    type Output = Result<Result<T, HandleInUse<H>>, (H, O)>;

    /// # Panics
    ///
    /// Panics if the future was ready before.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the acquisition, which alone is pinned with this future, is not moved.
        let (acquire, handle, reservation, lock, mode, confirm) = unsafe {
            let this = self.get_unchecked_mut();
            let acquire = Pin::new_unchecked(&mut this.acquire);
            (acquire, &mut this.handle, &mut this.reservation, this.lock, this.mode, this.confirm)
        };
        if let Err(in_use) = reserve_once(lock, handle, reservation) {
            return Poll::Ready(Ok(Err(in_use)));
        }
        let acquired = ready!(acquire.poll(cx));
        let reservation = reservation.take().expect("the handle is reserved");
        Poll::Ready(match acquired {
            Ok(guard) => {
                let held = confirm(lock, reservation, mode);
                mem::forget(guard);
                Ok(Ok(held))
            }
            Err(output) => {
                reservation.cancel(handle);
                Err((take_handle(handle), output))
            }
        })
    }
}

impl<'a, H, A, T, O> FusedFuture for AcquireByHandleOr<'a, H, A, T>
where
    H: Eq,
    A: Future<Output = Result<Guard<'a>, O>>,
{
    fn is_terminated(&self) -> bool {
        self.handle.is_none() && self.reservation.is_none()
    }
}
