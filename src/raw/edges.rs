//! Edges: the writes after which a mode can be acquired, and before which it could not, and those
//! after which the data may have changed. Watchers compare counts of edges, as in edge-triggered
//! readiness.

use crate::mode::Mode;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::const_fn;

/// What watchers of a lock wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// The mode has become acquirable.
    Acquirable(Mode),
    /// An exclusive acquisition has ended, or has become weaker: the data may have changed.
    Change,
}

impl Edge {
    pub(super) const COUNT: usize = Mode::ALL.len() + 1;
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Acquirable(Mode::Shared),
        Self::Acquirable(Mode::Upgradable),
        Self::Acquirable(Mode::Exclusive),
        Self::Change,
    ];

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Acquirable(mode) => mode as usize,
            Self::Change => Mode::ALL.len(),
        }
    }
}

/// Twice the number of edges of one kind while there were watchers, plus [`LISTENED`].
pub(super) struct Edges(AtomicUsize);

/// The bit that says that a listener was queued, and that no edge has notified it since.
const LISTENED: usize = 1;

const ONE_EDGE: usize = 2;

/// A number of edges. It wraps around, so two of them may only be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EdgeCount(usize);

impl EdgeCount {
    pub(crate) fn previous(self) -> Self {
        Self(self.0.wrapping_sub(ONE_EDGE))
    }

    pub(crate) fn from_raw(raw: usize) -> Self {
        Self(raw)
    }

    pub(crate) fn into_raw(self) -> usize {
        self.0
    }
}

impl Edges {
    const_fn! {
        pub(super) fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    /// Returns how many edges have been counted.
    pub(super) fn count(&self) -> EdgeCount {
        // ORDERING: Acquire. Pairs with the Release of `count_one`: a thread that sees the edge
        // finds the lock as it was then, or later. Weakened, the model
        // `monitor_that_sees_the_edge_finds_the_lock_free` fails.
        EdgeCount(self.0.load(Acquire) & !LISTENED)
    }

    /// Counts one more edge. Returns whether a listener is queued that was not notified of an edge
    /// before.
    pub(super) fn count_one(&self) -> bool {
        // ORDERING: Release, for `count`.
        if self.0.fetch_add(ONE_EDGE, Release) & LISTENED == 0 {
            return false;
        }
        // ORDERING: Relaxed. The listener whose bit is cleared here has joined the list before, with
        // the queue locked, and the caller locks the queue next.
        self.0.fetch_and(!LISTENED, Relaxed);
        true
    }

    /// Sets the bit for a listener that is in the list already. Returns the number of
    /// edges: the thread that counts the next one sees the bit.
    pub(super) fn set_listened(&self) -> EdgeCount {
        // ORDERING: Acquire, as in `count`: a monitor of a set does not look at all
        // members again. Weakened, the model `monitor_of_a_free_set_misses_no_edge` fails.
        EdgeCount(self.0.fetch_or(LISTENED, Acquire) & !LISTENED)
    }
}

#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests {
    use super::*;

    /// A thread that makes an edge for which no waiter is queued does not lock the queue.
    #[test]
    fn edges_wake_each_awaited_monitor_once() {
        let edges = Edges::new();
        let first = edges.set_listened();
        assert_eq!([(); 3].map(|()| edges.count_one()), [true, false, false]);
        let second = edges.set_listened();
        assert_eq!(second.into_raw() - first.into_raw(), 3 * ONE_EDGE);
        assert_eq!(edges.set_listened(), second);
        assert_eq!([(); 2].map(|()| edges.count_one()), [true, false]);
    }
}
