//! The locks that a starving set reserves.

use crate::set::all_or_nothing::AddressOrdered;

/// How often a set is turned away before it reserves members.
///
/// In a load of 16 tasks that take two of four locks, each for one poll, a turn takes 1.5 to 1.9
/// times as long if sets reserve from the second time on. If they reserve from the sixth time on, a
/// turn takes no longer than without reservations.
pub(crate) const RESERVE_AFTER: u8 = if cfg!(any(loom, shuttle)) { 1 } else { 6 };

/// The id of no waiter of any lock, and so of none that has a reservation.
pub(crate) const NEWCOMER: usize = 0;

/// Reservations of the first `count` locks, for a set that waits for the next lock. They end when
/// this is dropped.
pub(super) struct Reservations<'a, W: AddressOrdered> {
    pub(super) wanted: &'a W,
    pub(super) waiter: usize,
    pub(super) count: usize,
}

impl<W: AddressOrdered> Reservations<'_, W> {
    /// Reserves the first `count` locks, and no others. A lock whose reservation has ended is
    /// reserved anew. A reservation that has not ended continues.
    pub(super) fn reserve_first(&mut self, count: usize) {
        // An allocation may panic. The queues come first, and nothing below allocates.
        self.wanted.in_address_order().take(count).for_each(|(lock, _)| _ = lock.raw.queue());
        for (n, (lock, mode)) in self.wanted.in_address_order().enumerate() {
            if n < count {
                lock.raw.reserve(self.waiter, mode, n >= self.count);
            } else if n < self.count {
                lock.raw.end_reservation(self.waiter);
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
