//! The locks that the files of `src/set` find here: each access to one of them is a question of
//! [`set`](crate::set).

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::mode::Mode;
use crate::raw::reservation::NO_WAITER;
use crate::raw::state::{Snapshot, Transition};
use crate::set::{self, Ask};

pub(crate) struct MultiLock {
    pub(crate) raw: RawLock,
}

/// A lock, as a number.
pub(crate) struct RawLock(u8);

/// The id of each set. No set asks a lock about another one.
const ID: usize = NO_WAITER + 1;

impl MultiLock {
    pub(crate) const fn numbered(number: u8) -> Self {
        Self { raw: RawLock(number) }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        set::look(self.raw.0)
    }
}

impl RawLock {
    pub(crate) fn queue(&self) -> &Self {
        self
    }

    /// The model does not spin.
    pub(crate) fn spin(&self, _thread: bool, _attempt: impl FnMut() -> bool) -> bool {
        false
    }

    pub(crate) fn newcomer_must_yield(&self, _: Mode) -> bool {
        set::ask(Ask::MustYield(self.0)) != 0
    }

    pub(crate) fn take_deferral(&self) -> bool {
        set::ask(Ask::TakeDeferral(self.0)) != 0
    }

    pub(crate) fn may_enter(&self, waiter: usize, _: Mode, notified: bool, could: bool) -> bool {
        let newcomer = waiter == NO_WAITER;
        set::ask(Ask::MayEnter { lock: self.0, newcomer, notified, could }) != 0
    }

    pub(crate) fn is_reserved_for(&self, waiter: usize) -> bool {
        // A newcomer has no reservation. The lock says so, too.
        waiter != NO_WAITER && set::ask(Ask::IsReserved(self.0)) != 0
    }

    pub(crate) fn try_acquire_once(&self, _: Mode) -> bool {
        set::ask(Ask::TryOnce(self.0)) != 0
    }

    pub(crate) fn try_acquire(&self, _: Mode) -> bool {
        set::ask(Ask::Try(self.0)) != 0
    }

    pub(crate) fn acquire_notified(&self, _: Mode) -> bool {
        set::ask(Ask::EnterNotified(self.0)) != 0
    }

    /// A lock that is wanted twice is left out.
    pub(crate) fn share(&self) -> bool {
        unreachable!()
    }

    pub(crate) fn release(&self, _: Mode) {
        unreachable!()
    }

    pub(crate) fn leave(&self, _: Mode) -> Option<Transition> {
        set::leave(self.0)
    }

    pub(crate) fn wake(&self, _: Transition) {
        set::ask(Ask::Wake(self.0));
    }

    pub(crate) fn reserve(&self, _waiter: usize, _: Mode, new: bool) {
        set::ask(Ask::Reserve { lock: self.0, new });
    }

    pub(crate) fn end_reservation(&self, _waiter: usize) {
        set::ask(Ask::EndReservation(self.0));
    }
}

/// The waiter of a set.
pub(crate) struct Waiter<'a>(&'a RawLock);

impl<'a> Waiter<'a> {
    pub(crate) fn new(lock: &'a RawLock, _: Mode, _thread: bool) -> Self {
        set::ask(Ask::NewWaiter(lock.0));
        Self(lock)
    }

    pub(crate) fn id(&self) -> usize {
        ID
    }

    pub(crate) fn poll_notified(self: Pin<&mut Self>, _: &Context<'_>) -> Poll<bool> {
        match set::ask(Ask::PollWaiter(self.0.0)) {
            0 => Poll::Pending,
            answer => Poll::Ready(answer == 2),
        }
    }

    pub(crate) fn set_overtaken(self: Pin<&mut Self>) {
        set::ask(Ask::SetOvertaken(self.0.0));
    }

    pub(crate) fn defer(self: Pin<&mut Self>) {
        set::ask(Ask::Defer(self.0.0));
    }

    pub(crate) fn leave(self: Pin<&mut Self>) {
        set::ask(Ask::LeaveQueue(self.0.0));
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        set::ask(Ask::DropWaiter(self.0.0));
    }
}
