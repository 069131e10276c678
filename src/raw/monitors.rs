//! Watchers of a lock, which are monitors, conditions and subscriptions: how they are counted, wait
//! for edges, and are notified of them.

#[cfg(feature = "event-listener")]
use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::pin;
use core::ptr;
use core::task::Poll;

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::edges::{Edge, EdgeCount};
#[cfg(feature = "event-listener")]
use crate::raw::list::Node;
use crate::raw::list::WaiterKind;
use crate::raw::listener::Listener;
use crate::raw::queue::{ListId, WaitQueue};
use crate::raw::state::{Transition, WaitFlag, WaitFlags};
use crate::raw::wake::{Release, notify_in_batches};
use crate::raw::wakers::{Popped, WakeAll};
use crate::sync::unmodeled::{AtomicPtr, Ordering::Relaxed};

impl RawLock {
    /// Counts one more watcher of `edge`. Returns the number of edges that the watcher has seen: if
    /// it watches for a mode that can be acquired now, one less than there were.
    pub(crate) fn watch(&self, edge: Edge) -> EdgeCount {
        let queue = self.queue();
        // ORDERING: Relaxed, both. The write of the flag, below, is a Release: a thread that sees the
        // flag sees what was stored or loaded here, or a later value. There is none. No model checks
        // that: what is stored in a `static` stays there from one schedule to the next.
        if WAKE_WATCHED.load(Relaxed).is_null() {
            WAKE_WATCHED
                .store(ptr::from_ref(&(wake_and_notify_edges as WakeWatched)).cast_mut(), Relaxed);
        }
        queue.with(|waiters| {
            // The count of edges is read before the flag is set. An edge that comes after the flag
            // is counted after this look in any case; an edge that came before may be seen once too
            // often.
            let seen = queue.edges[edge.index()].count();
            waiters.count_watcher();
            let word = self.state.set_waiting(WaitFlags::of(WaitFlag::Monitors));
            match edge {
                Edge::Acquirable(mode) if word.admits(mode) => seen.previous(),
                _ => seen,
            }
        })
    }

    /// Counts one watcher less.
    pub(crate) fn unwatch(&self) {
        self.queue().with(|waiters| {
            if waiters.uncount_watcher() {
                self.state.clear_waiting(WaitFlags::of(WaitFlag::Monitors));
            }
        });
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

/// [`wake_and_notify_edges`], once a program has watched a lock. A release finds it here, so a program that
/// watches none does not link it: some 800 bytes on Cortex-M3.
static WAKE_WATCHED: AtomicPtr<WakeWatched> = AtomicPtr::new(ptr::null_mut());

pub(super) type WakeWatched = fn(&RawLock, &WaitQueue, Transition, Release, &mut WakeAll);

/// Returns what wakes the waiters of a lock that is watched. A program that has watched a lock has it.
pub(super) fn wake_watched() -> Option<WakeWatched> {
    // ORDERING: Relaxed, as in `watch`. The caller has seen the flag, and has passed the fence.
    //
    // SAFETY: the pointer is null, or that of a constant.
    unsafe { WAKE_WATCHED.load(Relaxed).as_ref() }.copied()
}

/// Wakes the waiters of a lock that is watched, and then notifies the edges of its watchers.
#[cold]
fn wake_and_notify_edges(
    lock: &RawLock,
    queue: &WaitQueue,
    change: Transition,
    release: Release,
    wake: &mut WakeAll,
) {
    let word = change.after;
    // Edges are counted before any task is woken: the task might look at them.
    let edges = PendingEdges::count(queue, |edge| match edge {
        Edge::Acquirable(mode) => change.is_edge(mode),
        Edge::Change => {
            change.ends_exclusive()
                && word.mode() != Some(Mode::Exclusive)
                && !matches!(release, Release::Unchanged)
        }
    });
    lock.wake_waiters(queue, change, wake);
    // Monitors are notified last: no waiter depends on one.
    if let Some(edges) = edges {
        edges.notify(wake);
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
        let queue = self.queue;
        for edge in Edge::ALL {
            if self.listened[edge.index()] {
                let list = ListId::of_watchers(edge);
                #[cfg(feature = "event-listener")]
                let mut first_event = 0;
                notify_in_batches(queue, list, true, wake, |waiters, _| {
                    #[cfg(feature = "event-listener")]
                    {
                        // The listener of an event stays in the list, behind all others.
                        let first = waiters.list(list).first().map_or(0, Node::address);
                        if first == first_event {
                            return Popped::None;
                        }
                        if let Some(waker) = waiters.rotate_event(list) {
                            if first_event == 0 {
                                first_event = first;
                            }
                            // An edge that was counted before this write, and did not see the bit,
                            // came before the event is notified. A later edge sees the bit. Without
                            // it, the model `p2_an_event_is_notified_of_each_edge` fails.
                            queue.edges[edge.index()].set_listened();
                            return Popped::Next(waker);
                        }
                    }
                    waiters.list(list).pop().map_or(Popped::None, Popped::Next)
                });
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
