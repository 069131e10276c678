//! Requests of a number that is known at run time, whose guards are in a vector.

use alloc::vec::Vec;
use core::panic::Location;

use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::set::address_order::AsGiven;
use crate::set::lock_all::requests::given_by_slice;
use crate::set::lock_all::{LockRequest, LockRequests};
use crate::set::told::{Event, Record};
use crate::sync::once_box::may_fail;

given_by_slice! { [] &[R]  [] Vec<R> }

/// Defines what of [`LockRequests`] is about observers, for what has a slice of requests.
macro_rules! records_of_slice {
    () => {
        type Records = <R::Record as Record>::All;

        #[inline]
        fn records(&self, site: &'static Location<'static>) -> Self::Records {
            Record::all(self.iter().map(|request| R::Record::new(request.mode(), site)))
        }

        #[inline]
        fn tell(&self, records: &mut Self::Records, event: Event) {
            let mut requests = self.iter();
            R::Record::for_each(records, |record| {
                if let Some(request) = requests.next() {
                    request.tell(record, event);
                }
            });
        }
    };
}

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

    unsafe fn into_guards(self, mut room: Vec<R::Guard>, records: Self::Records) -> Self::Guards {
        let record = |n| R::Record::nth(&records, n);
        // SAFETY: as the caller promises, for each of the requests.
        let guard = |(n, request): (usize, &R)| unsafe { request.clone().into_guard(record(n)) };
        room.extend(self.iter().enumerate().map(guard));
        room
    }

    records_of_slice! {}
}

impl<R: LockRequest> LockRequests for Vec<R> {
    type Guards = Vec<R::Guard>;
    type Room = Vec<R::Guard>;

    fn room(&self) -> Vec<R::Guard> {
        room_for(self.len())
    }

    unsafe fn into_guards(self, mut room: Vec<R::Guard>, records: Self::Records) -> Self::Guards {
        let record = |n| R::Record::nth(&records, n);
        // SAFETY: as the caller promises, for each of the requests.
        let guard = |(n, request): (usize, R)| unsafe { request.into_guard(record(n)) };
        room.extend(self.into_iter().enumerate().map(guard));
        room
    }

    records_of_slice! {}
}
