//! Watchers of a lock, which are monitors, conditions and subscriptions: how they are counted, wait
//! for edges, and are notified of them.

#[cfg(feature = "event-listener")]
use core::convert::Infallible;
use core::future::poll_fn;
use core::mem;
use core::pin::pin;
use core::task::Poll;

use crate::raw::RawLock;
use crate::raw::edges::{Edge, EdgeCount};
use crate::raw::list::WaiterKind;
use crate::raw::listener::Listener;
use crate::raw::queue::{End, ListId, WaitLists, WaitQueue};
use crate::raw::state::{WaitFlag, WaitFlags};
use crate::raw::wakers::{BATCH, WakeAll, WakeBatch};

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
        let (queue, list) = (self.queue(), ListId::of_watchers(edge));
        let mut listener = pin!(Listener::new(queue));
        // All queued listeners are notified together. So a listener that is dropped after it was
        // notified has nothing to pass on.
        poll_fn(|cx| match listener.as_mut().poll(list, WaiterKind::Task, cx) {
            Poll::Pending => look(queue.edges[edge.index()].set_listened()),
            notified => notified,
        })
        .await;
    }

    /// Wakes the task at each edge of a kind, from the first poll until the future is dropped. The
    /// waker is one of this crate: it may be cloned with the queue locked.
    #[cfg(feature = "event-listener")]
    pub(crate) async fn wake_at_edges(&self, edge: Edge) -> Infallible {
        let (queue, list) = (self.queue(), ListId::of_watchers(edge));
        let mut listener = pin!(Listener::new(queue));
        poll_fn(|cx| {
            _ = listener.as_mut().poll(list, WaiterKind::Event, cx);
            queue.edges[edge.index()].set_listened();
            Poll::Pending
        })
        .await
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

    /// Notifies all listeners that are queued for the edges, but not those that join meanwhile.
    pub(super) fn notify(mut self, wake: &mut WakeAll) {
        for edge in Edge::ALL {
            if self.listened[edge.index()] {
                let (mut end, mut total) = (None, 0);
                loop {
                    let mut batch = WakeBatch::<BATCH>::EMPTY;
                    let mut is_over = self
                        .queue
                        .with(|waiters| self.pop_batch(waiters, edge, &mut end, &mut batch));
                    total += batch.len();
                    is_over |= end.is_some_and(|end| end.is_behind(total));
                    batch.wakers().for_each(|waker| wake.one(waker));
                    // All are woken. The compiler would look for wakers to drop.
                    mem::forget(batch);
                    if is_over {
                        break;
                    }
                }
                self.listened[edge.index()] = false;
            }
        }
    }

    /// Notifies the next listeners of `edge`, up to the `end` of their list. Returns whether that was
    /// reached. The queue is locked.
    #[inline]
    fn pop_batch(
        &self,
        waiters: &mut WaitLists,
        edge: Edge,
        end: &mut Option<End>,
        batch: &mut WakeBatch<BATCH>,
    ) -> bool {
        let list = ListId::of_watchers(edge);
        let end = end.get_or_insert_with(|| waiters.end_of(list));
        while batch.len() < BATCH {
            let Some(node) = waiters.list(list).first() else { return true };
            let is_last = end.is_at(node);
            #[cfg(feature = "event-listener")]
            let address = node.address();
            #[cfg(feature = "event-listener")]
            if address == end.event {
                return true;
            }
            #[cfg(feature = "event-listener")]
            let event = waiters.list(list).rotate_event().inspect(|_| {
                if end.event == 0 {
                    end.event = address;
                }
                // An edge that was counted before this write, and did not see the bit, came before
                // the event is notified. A later edge sees the bit. Without it, the model
                // `p2_an_event_is_notified_of_each_edge` fails.
                self.queue.edges[edge.index()].set_listened();
            });
            #[cfg(not(feature = "event-listener"))]
            let event = None;
            batch.push(event.or_else(|| {
                waiters.uncount_popped(1);
                waiters.list(list).pop()
            }));
            if is_last {
                return true;
            }
        }
        false
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
