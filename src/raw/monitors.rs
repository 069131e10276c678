//! Watchers of a lock, which are monitors and conditions: how they are counted, wait for edges, and
//! are notified of them.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use crate::raw::RawLock;
use crate::raw::edges::{Edge, EdgeCount};
use crate::raw::listener::Listener;
use crate::raw::queue::{ListId, WaitQueue};
use crate::raw::state::{WaitFlag, WaitFlags};
use crate::raw::wakers::WakeAll;

impl RawLock {
    /// Counts one more watcher of `edge`. Returns the number of edges that the watcher has seen: if
    /// it watches for a mode that can be acquired now, one less than there were.
    pub(crate) fn watch(&self, edge: Edge) -> EdgeCount {
        let queue = self.queue();
        queue.with(|waiters| {
            // The count of edges is read before the flag is set. An edge that comes after the flag
            // is counted after this look in any case; an edge that came before may be seen once too
            // often.
            let seen = queue.edges[edge.index()].count();
            let word = self.count_in(waiters, WaitFlags::of(WaitFlag::Monitors));
            match edge {
                Edge::Acquirable(mode) if word.admits(mode) => seen.previous(),
                _ => seen,
            }
        })
    }

    /// Counts one watcher less.
    pub(crate) fn unwatch(&self) {
        let flags = WaitFlags::of(WaitFlag::Monitors);
        self.queue().with(|waiters| _ = self.uncount_from(waiters, flags));
    }

    /// Returns how many edges of a kind have been counted.
    pub(crate) fn edges(&self, edge: Edge) -> EdgeCount {
        self.queue().edges[edge.index()].count()
    }

    /// Waits for edges of a kind until `look` sees enough of them.
    ///
    /// `look` runs at every poll, for the first time after the listener is in the list. After the
    /// next edge the wait is over in any case.
    pub(crate) async fn listen_to_edges(
        &self,
        edge: Edge,
        mut look: impl FnMut(EdgeCount) -> Poll<()> + Send + Sync,
    ) {
        let queue = self.queue();
        let mut listener = pin!(Listener::new(queue));
        // All queued listeners are notified together. So a listener that is dropped after it was
        // notified has nothing to pass on.
        poll_fn(|cx| match listener.as_mut().poll(ListId::of_watchers(edge), cx) {
            Poll::Pending => look(queue.edges[edge.index()].set_listened()),
            notified => notified,
        })
        .await;
    }
}

/// Edges that were counted, until all listeners that were queued for them are notified.
pub(super) struct PendingEdges<'a> {
    queue: &'a WaitQueue,
    /// For each kind of edge, whether a listener is queued that was not notified of the edge.
    listened: [bool; Edge::COUNT],
}

impl<'a> PendingEdges<'a> {
    /// Counts an edge of each kind that satisfies `is_edge`. Returns the edges whose listeners must
    /// still be notified, if there are any.
    #[inline]
    pub(super) fn count(queue: &'a WaitQueue, is_edge: impl Fn(Edge) -> bool) -> Option<Self> {
        let listened = Edge::ALL.map(|edge| is_edge(edge) && queue.edges[edge.index()].count_one());
        if listened.contains(&true) { Some(Self { queue, listened }) } else { None }
    }

    /// Notifies all listeners that are queued for the edges of `lock`.
    pub(super) fn notify(mut self, lock: &RawLock, wake: &mut WakeAll) {
        for edge in Edge::ALL {
            if self.listened[edge.index()] {
                lock.notify_all(self.queue, ListId::of_watchers(edge), wake);
                self.listened[edge.index()] = false;
            }
        }
    }
}

impl Drop for PendingEdges<'_> {
    /// Sets the bits again of the listeners that are still queued. There are some if a waker has
    /// panicked and the panic was not caught.
    fn drop(&mut self) {
        for edge in Edge::ALL.into_iter().filter(|edge| self.listened[edge.index()]) {
            self.queue.edges[edge.index()].set_listened();
        }
    }
}
