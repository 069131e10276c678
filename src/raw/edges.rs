//! Edges: the writes after which a mode can be acquired, and before which it could not. Monitors
//! compare counts of edges, as in edge-triggered readiness.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::listener::Listener;
use crate::raw::queue::{ListId, WaitQueue};
use crate::raw::wakers::WakeAll;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Edges that were counted, until all waiters that were queued for them are notified.
pub(crate) struct PendingEdges<'a> {
    queue: &'a WaitQueue,
    /// For each mode, whether a waiter is queued that was not notified of the edge.
    listened: [bool; Mode::ALL.len()],
}

impl PendingEdges<'_> {
    /// Notifies all waiters that are queued for the edges of `lock`.
    pub(super) fn notify(mut self, lock: &RawLock, wake: &mut WakeAll) {
        for mode in Mode::ALL {
            if self.listened[mode as usize] {
                lock.notify_all(self.queue, ListId::of_monitors(mode), wake);
                self.listened[mode as usize] = false;
            }
        }
    }
}

impl Drop for PendingEdges<'_> {
    /// Sets the bits again of the waiters that are still queued. There are some if a waker has
    /// panicked and the panic was not caught.
    fn drop(&mut self) {
        for mode in Mode::ALL.into_iter().filter(|mode| self.listened[*mode as usize]) {
            self.queue.edges[mode as usize].announce();
        }
    }
}

/// Twice the number of times that a mode has become acquirable while there were monitors, plus
/// [`LISTENED`].
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
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Counts one more edge. Returns whether a waiter is queued that was not notified of an edge
    /// before.
    fn count_one(&self) -> bool {
        // ORDERING: Release, for `WaitQueue::edges`.
        if self.0.fetch_add(ONE_EDGE, Release) & LISTENED == 0 {
            return false;
        }
        // ORDERING: Relaxed. The waiter whose bit is cleared here has joined the list before, with
        // the queue locked, and the caller locks the queue next.
        self.0.fetch_and(!LISTENED, Relaxed);
        true
    }

    /// Sets the bit for a waiter whose listener is in the list already. Returns the number of
    /// edges: the thread that counts the next one sees the bit.
    fn announce(&self) -> EdgeCount {
        // ORDERING: Acquire, as in `WaitQueue::edges`: a monitor of a set does not look at all
        // members again. Weakened, the model `monitor_of_a_free_set_misses_no_edge` fails.
        EdgeCount(self.0.fetch_or(LISTENED, Acquire) & !LISTENED)
    }
}

impl WaitQueue {
    /// Returns how many edges of `mode` have been counted.
    pub(crate) fn edges(&self, mode: Mode) -> EdgeCount {
        // ORDERING: Acquire. Pairs with the Release of `Edges::count_one`: a thread that sees the
        // edge finds the lock as it was then, or later. Weakened, the model
        // `monitor_who_sees_the_edge_finds_the_lock` fails.
        EdgeCount(self.edges[mode as usize].0.load(Acquire) & !LISTENED)
    }

    /// Counts an edge for each mode that satisfies `is_edge`. Returns the edges whose waiters must
    /// still be notified, if there are any.
    pub(crate) fn count_edges(&self, is_edge: impl Fn(Mode) -> bool) -> Option<PendingEdges<'_>> {
        let count = |mode| is_edge(mode) && self.edges[mode as usize].count_one();
        let listened = Mode::ALL.map(count);
        listened.contains(&true).then(|| PendingEdges { queue: self, listened })
    }

    /// Waits for edges of `mode` until `look` sees enough of them.
    ///
    /// `look` runs at every poll, for the first time after the listener is in the list. After the
    /// next edge the wait is over in any case.
    pub(crate) async fn listen_to_edges(
        &self,
        mode: Mode,
        mut look: impl FnMut(EdgeCount) -> Poll<()> + Send + Sync,
    ) {
        let edges = &self.edges[mode as usize];
        let mut listener = pin!(Listener::new(self));
        // All queued listeners are notified together. So a listener that is dropped after it was
        // notified has nothing to pass on.
        poll_fn(|cx| match listener.as_mut().poll(ListId::of_monitors(mode), cx) {
            Poll::Pending => look(edges.announce()),
            notified => notified,
        })
        .await;
    }
}

#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests {
    use super::*;

    /// A thread that makes an edge for which no waiter is queued does not lock the queue.
    #[test]
    fn edges_are_told_once_to_who_listens() {
        let edges = Edges::new();
        let first = edges.announce();
        assert_eq!([(); 3].map(|()| edges.count_one()), [true, false, false]);
        let second = edges.announce();
        assert_eq!(second.into_raw() - first.into_raw(), 3 * ONE_EDGE);
        assert_eq!(edges.announce(), second);
        assert_eq!([(); 2].map(|()| edges.count_one()), [true, false]);
    }
}
