//! Requests of a number that is known at run time, whose guards are in a vector.

use alloc::vec::Vec;

use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::set::address_order::AsGiven;
use crate::set::lock_all::requests::given_by_slice;
use crate::set::lock_all::{LockRequest, LockRequests};
use crate::sync::once_box::may_fail;

given_by_slice! { [] &[R]  [] Vec<R> }

fn room_for<G>(len: usize) -> Vec<G> {
    may_fail();
    Vec::with_capacity(len)
}

impl<R: LockRequest + Clone> LockRequests for &[R] {
    type Guards = Vec<R::Guard>;
    type Room = Vec<R::Guard>;

    fn room(&self) -> Vec<R::Guard> {
        room_for(self.len())
    }

    unsafe fn into_guards(self, mut room: Vec<R::Guard>) -> Self::Guards {
        // SAFETY: as the caller promises, for each of the requests.
        room.extend(self.iter().map(|request| unsafe { request.clone().into_guard() }));
        room
    }
}

impl<R: LockRequest> LockRequests for Vec<R> {
    type Guards = Vec<R::Guard>;
    type Room = Vec<R::Guard>;

    fn room(&self) -> Vec<R::Guard> {
        room_for(self.len())
    }

    unsafe fn into_guards(self, mut room: Vec<R::Guard>) -> Self::Guards {
        // SAFETY: as the caller promises, for each of the requests.
        room.extend(self.into_iter().map(|request| unsafe { request.into_guard() }));
        room
    }
}
