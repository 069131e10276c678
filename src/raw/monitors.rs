//! Monitors of a lock: how they are counted, wait for edges, and are notified of them.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::edges::EdgeCount;
use crate::raw::listener::Listener;
use crate::raw::queue::{ListId, WaitQueue};
use crate::raw::state::{WaitFlag, WaitFlags};
use crate::raw::wakers::WakeAll;

impl RawLock {
    /// Counts one more monitor of `mode`. Returns the number of edges that the monitor has seen: if
    /// `mode` can be acquired now, one less than there were.
    pub(crate) fn monitor(&self, mode: Mode) -> EdgeCount {
        let queue = self.queue();
        queue.with(|waiters| {
            // The count of edges is read before the flag is set. An edge that comes after the flag
            // is counted after this look in any case; an edge that came before may be seen once too
            // often.
            let seen = queue.edges[mode as usize].count();
            let acquirable = self.count_in(waiters, WaitFlags::of(WaitFlag::Monitors)).admits(mode);
            if acquirable { seen.previous() } else { seen }
        })
    }

    /// Counts one monitor less.
    pub(crate) fn unmonitor(&self) {
        let flags = WaitFlags::of(WaitFlag::Monitors);
        self.queue().with(|waiters| _ = self.uncount_from(waiters, flags));
    }

    /// Returns how many edges of `mode` have been counted.
    pub(crate) fn edges(&self, mode: Mode) -> EdgeCount {
        self.queue().edges[mode as usize].count()
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
        let queue = self.queue();
        let mut listener = pin!(Listener::new(queue));
        // All queued listeners are notified together. So a listener that is dropped after it was
        // notified has nothing to pass on.
        poll_fn(|cx| match listener.as_mut().poll(ListId::of_monitors(mode), cx) {
            Poll::Pending => look(queue.edges[mode as usize].set_listened()),
            notified => notified,
        })
        .await;
    }
}

/// Edges that were counted, until all listeners that were queued for them are notified.
pub(super) struct PendingEdges<'a> {
    queue: &'a WaitQueue,
    /// For each mode, whether a listener is queued that was not notified of the edge.
    listened: [bool; Mode::ALL.len()],
}

impl<'a> PendingEdges<'a> {
    /// Counts an edge for each mode that satisfies `is_edge`. Returns the edges whose listeners must
    /// still be notified, if there are any.
    #[inline]
    pub(super) fn count(queue: &'a WaitQueue, is_edge: impl Fn(Mode) -> bool) -> Option<Self> {
        let count = |mode| is_edge(mode) && queue.edges[mode as usize].count_one();
        let listened = Mode::ALL.map(count);
        if listened.contains(&true) { Some(Self { queue, listened }) } else { None }
    }

    /// Notifies all listeners that are queued for the edges of `lock`.
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
    /// Sets the bits again of the listeners that are still queued. There are some if a waker has
    /// panicked and the panic was not caught.
    fn drop(&mut self) {
        for mode in Mode::ALL.into_iter().filter(|mode| self.listened[*mode as usize]) {
            self.queue.edges[mode as usize].set_listened();
        }
    }
}
