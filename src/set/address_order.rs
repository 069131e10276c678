//! Locks in the order of their addresses, without memory for a sorted copy.

use core::cmp::Reverse;

use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::set::all_or_nothing::address;

/// Locks, and the mode that is wanted of each, in the order in which the caller has given them.
pub trait AsGiven {
    /// Passes each lock to `f`, and the mode that is wanted of it.
    #[doc(hidden)]
    fn for_each_given<'a>(&'a self, f: impl FnMut(&'a MultiLock, Mode));
}

/// Yields each lock once, in the order of the addresses, with the strongest mode that is wanted of
/// it.
pub(super) fn in_address_order<G: AsGiven + ?Sized>(
    given: &G,
) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
    Select { given, above: 0, below: usize::MAX }
}

/// The locks in the order of their addresses, by selection. That is quick for a few locks, and
/// needs neither memory nor mutable access.
struct Select<'a, G: ?Sized> {
    given: &'a G,
    /// The locks that are left have addresses above `above` and below `below`.
    above: usize,
    below: usize,
}

impl<'a, G: AsGiven + ?Sized> Select<'a, G> {
    /// Returns the lock whose address has the smallest `key`, and the strongest mode wanted of it.
    fn first_by<K: Ord>(&self, key: impl Fn(usize) -> K) -> Option<(&'a MultiLock, Mode)> {
        let mut first: Option<((K, Reverse<Mode>), &'a MultiLock)> = None;
        self.given.for_each_given(|lock, mode| {
            let address = address(lock);
            if self.above < address && address < self.below {
                let key = (key(address), Reverse(mode));
                if first.as_ref().is_none_or(|first| key < first.0) {
                    first = Some((key, lock));
                }
            }
        });
        first.map(|((_, Reverse(mode)), lock)| (lock, mode))
    }
}

impl<'a, G: AsGiven + ?Sized> Iterator for Select<'a, G> {
    type Item = (&'a MultiLock, Mode);

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.first_by(|address| address)?;
        self.above = address(first.0);
        Some(first)
    }
}

impl<G: AsGiven + ?Sized> DoubleEndedIterator for Select<'_, G> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let last = self.first_by(Reverse)?;
        self.below = address(last.0);
        Some(last)
    }
}
