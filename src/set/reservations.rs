//! Reservations of the members of a set that was turned away too often.
//!
//! A set reserves all members that come before the one that it waits for, in the order of their
//! addresses. A reservation ends after a bounded moment. Otherwise a task that holds one lock, and
//! waits for another one that is reserved, would wait forever. All sets reserve in the same order.
//! So no set waits for a lock that a second set has reserved, while the first has reserved the lock
//! that the second waits for.

use core::ptr;

use crate::lock::MultiLock;
use crate::raw::reservation::NO_WAITER;
use crate::set::all_or_nothing::AddressOrdered;

/// A newcomer has no reservation.
pub(crate) const NEWCOMER: usize = NO_WAITER;

/// Reservations of the first `count` locks, for a set that waits for the next lock. They end when
/// this is dropped.
pub(super) struct Reservations<'a, W: AddressOrdered> {
    wanted: &'a W,
    /// The id of the waiter of the set. The waiter is made anew at each lock, in the same pinned
    /// place, so its id stays the same.
    pub(super) owner: usize,
    count: usize,
}

impl<'a, W: AddressOrdered> Reservations<'a, W> {
    /// Makes no reservations yet, for a set whose waiter has no id yet.
    pub(super) fn none(wanted: &'a W) -> Self {
        Self { wanted, owner: NEWCOMER, count: 0 }
    }

    /// Reserves the locks that come before `lock`, and no others.
    pub(super) fn reserve_before(&mut self, lock: &MultiLock) {
        let before = self.wanted.in_address_order().take_while(|other| !ptr::eq(other.0, lock));
        self.reserve_first(before.count());
    }

    /// Reserves the first `count` locks, and no others. A lock whose reservation has ended is
    /// reserved anew. A reservation that has not ended continues.
    fn reserve_first(&mut self, count: usize) {
        // An allocation may panic. The queues come first, and nothing below allocates.
        self.wanted.in_address_order().take(count).for_each(|(lock, _)| _ = lock.raw.queue());
        for (n, (lock, mode)) in self.wanted.in_address_order().enumerate() {
            if n < count {
                lock.raw.reserve(self.owner, mode, n >= self.count);
            } else if n < self.count {
                lock.raw.end_reservation(self.owner);
            }
        }
        self.count = count;
    }
}

impl<W: AddressOrdered> Drop for Reservations<'_, W> {
    fn drop(&mut self) {
        self.reserve_first(0);
    }
}
