//! What of a monitor is boxed: the listeners of its stream, and the watchers of several locks.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::future::poll_fn;
use core::ops::Deref;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::lock::MultiLock;
use crate::lock::monitor::Watcher;
use crate::mode::Mode;
use crate::raw::edges::Edge;
use crate::sync::future::ready_if;
use crate::sync::once_box::may_fail;
use crate::sync::unmodeled::{AtomicBool, Ordering::Relaxed};

/// A boxed listener for the edges of a lock. It is allocated once.
///
/// A monitor that is polled as a stream cannot contain a future that borrows it, so it contains
/// this listener. Each poll queues the listener with the waker of the polling task. An edge takes
/// it out of the list until its next poll.
pub(super) struct BoxedListener<'a>(Pin<Box<dyn Future<Output = Infallible> + Send + Sync + 'a>>);

// The future contains only a listener. A `BoxedListener` whose poll has panicked is not polled
// again.
impl UnwindSafe for BoxedListener<'_> {}
impl RefUnwindSafe for BoxedListener<'_> {}

impl<'a> BoxedListener<'a> {
    fn new<L: Deref<Target = MultiLock> + Send + Sync + 'a>(lock: L, edge: Edge) -> Self {
        may_fail();
        Self(Box::pin(async move {
            loop {
                lock.raw.listen_to_edges(edge, |_| Poll::Pending).await;
            }
        }))
    }

    /// Wakes the task at each edge of a kind, from the first `listen` until this is dropped.
    #[cfg(feature = "event-listener")]
    pub(super) fn of_event<L: Deref<Target = MultiLock> + Send + Sync + 'a>(
        lock: L,
        edge: Edge,
    ) -> Self {
        may_fail();
        Self(Box::pin(async move { lock.raw.wake_at_edges(edge).await }))
    }

    pub(super) fn listen(&mut self, cx: &mut Context<'_>) {
        let Poll::Pending = self.0.as_mut().poll(cx);
    }
}

/// Boxed listeners, one for each watcher. Each is made when it is first needed.
#[derive(Default)]
struct BoxedListeners<'a>(Vec<Option<BoxedListener<'a>>>);

impl<'a> BoxedListeners<'a> {
    /// Listens for the edges of the watcher at index `n`.
    fn listen<L>(&mut self, watchers: &[Watcher<L>], n: usize, cx: &mut Context<'_>)
    where
        L: Deref<Target = MultiLock> + Clone + Send + Sync + 'a,
    {
        if self.0.is_empty() {
            may_fail();
            self.0.resize_with(watchers.len(), || None);
        }
        let new = || BoxedListener::new(watchers[n].lock.clone(), watchers[n].edge);
        // If the waker panics, the listener is dropped, and the next poll makes a new one.
        let mut listener = self.0[n].take().unwrap_or_else(new);
        listener.listen(cx);
        self.0[n] = Some(listener);
    }
}

impl<L: Deref<Target = MultiLock>> Watcher<L> {
    /// Returns whether the mode can be acquired for which the watcher watches, if any.
    fn admits(&self) -> bool {
        match self.edge {
            Edge::Acquirable(mode) => self.lock.snapshot().admits(mode),
            Edge::Change => true,
        }
    }
}

/// Watches several locks for a monitor. The monitor is set when all of them can be acquired, and one
/// of them could not be acquired before.
struct SetWatcher<L: Deref<Target = MultiLock>> {
    watchers: Box<[Watcher<L>]>,
    /// Whether the watcher was set when it was last looked at. `Relaxed`, as `seen` is.
    set: AtomicBool,
}

impl<L: Deref<Target = MultiLock> + Clone + Send + Sync> SetWatcher<L> {
    fn new(watchers: Box<[Watcher<L>]>) -> Self {
        let set = watchers.iter().all(Watcher::is_set);
        Self { watchers, set: AtomicBool::new(set) }
    }

    /// Returns whether the set of locks has had an edge since the last `clear`.
    ///
    /// If a member has had an edge since then, and all members have room now, the set has had an
    /// edge. If the set had no room at the time of `clear`, an edge of a member has made the room.
    /// If the set had room, some member has lost it before its edge.
    fn is_set(&self) -> bool {
        let is_edge = || self.watchers.iter().any(Watcher::is_set);
        let set = self.set.load(Relaxed) || is_edge() && self.blocked().is_none();
        if set {
            self.set.store(true, Relaxed);
        }
        set
    }

    fn clear(&self) {
        self.watchers.iter().for_each(Watcher::clear);
        self.set.store(false, Relaxed);
    }

    /// Returns the first member that cannot be acquired.
    fn blocked(&self) -> Option<usize> {
        self.watchers.iter().position(|watcher| !watcher.admits())
    }

    /// Polls until the set of locks has had an edge.
    ///
    /// The next edge of the set needs an edge of each member that cannot be acquired, so this
    /// listens at one of those. If all members can be acquired, it listens at each of them.
    fn poll<'a>(&self, listeners: &mut BoxedListeners<'a>, cx: &mut Context<'_>) -> Poll<()>
    where
        L: 'a,
    {
        loop {
            if self.is_set() {
                return Poll::Ready(());
            }
            let before = self.blocked().map(|n| (n, self.watchers[n].edges()));
            match before {
                // The member must still be blocked after its edges were counted. Otherwise the
                // count may include the edge that this poll is to wait for.
                Some((n, edges)) if !self.watchers[n].admits() => {
                    listeners.listen(&self.watchers, n, cx);
                    if self.watchers[n].edges() == edges {
                        return Poll::Pending;
                    }
                }
                Some(_) => {}
                None => {
                    (0..self.watchers.len()).for_each(|n| listeners.listen(&self.watchers, n, cx));
                    return ready_if(self.is_set());
                }
            }
        }
    }

    async fn wait(&self) {
        let mut listeners = BoxedListeners::default();
        poll_fn(|cx| self.poll(&mut listeners, cx)).await;
    }
}

enum Watched<L: Deref<Target = MultiLock>> {
    One(Watcher<L>),
    All(SetWatcher<L>),
}

/// The parts of a monitor, of one lock or of several.
pub(crate) struct MonitorInner<'a, L: Deref<Target = MultiLock>> {
    watched: Watched<L>,
    /// The listeners of the stream.
    listeners: BoxedListeners<'a>,
}

impl<'a, L: Deref<Target = MultiLock> + Clone + Send + Sync + 'a> MonitorInner<'a, L> {
    pub(crate) fn new(lock: L, edge: Edge) -> Self {
        Self {
            watched: Watched::One(Watcher::new(lock, edge)),
            listeners: BoxedListeners::default(),
        }
    }

    /// Watches several locks, each of which must be given once.
    pub(crate) fn all(locks: impl Iterator<Item = L>, mode: Mode) -> Self {
        let watchers = locks.map(|lock| {
            let watcher = Watcher::new(lock, Edge::Acquirable(mode));
            may_fail();
            watcher
        });
        let watched = Watched::All(SetWatcher::new(watchers.collect()));
        Self { watched, listeners: BoxedListeners::default() }
    }

    pub(crate) fn is_set(&self) -> bool {
        match &self.watched {
            Watched::One(watcher) => watcher.is_set(),
            Watched::All(watchers) => watchers.is_set(),
        }
    }

    pub(crate) fn clear(&self) {
        match &self.watched {
            Watched::One(watcher) => watcher.clear(),
            Watched::All(watchers) => watchers.clear(),
        }
    }

    pub(crate) async fn wait(&self) {
        match &self.watched {
            Watched::One(watcher) => watcher.wait().await,
            Watched::All(watchers) => watchers.wait().await,
        }
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let ready = match &self.watched {
            Watched::One(watcher) => {
                if !watcher.is_set() {
                    self.listeners.listen(core::slice::from_ref(watcher), 0, cx);
                }
                ready_if(watcher.is_set())
            }
            Watched::All(watchers) => watchers.poll(&mut self.listeners, cx),
        };
        ready.map(|()| {
            self.clear();
            Some(())
        })
    }
}

/// Makes a stream of a type that contains a [`MonitorInner`].
macro_rules! monitor_stream {
    ([$($generics:tt)*] $Monitor:ty) => {
        /// Yields an item each time that a poll finds the monitor set, and clears the monitor. The
        /// stream has no end.
        ///
        /// The first poll that finds the monitor unset allocates a listener for each lock. Later
        /// polls allocate only after a waker has panicked.
        impl<$($generics)*> Stream for $Monitor {
            type Item = ();

            fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
                self.0.poll_next(cx)
            }
        }

        impl<$($generics)*> FusedStream for $Monitor {
            /// Returns `false`: the stream has no end.
            fn is_terminated(&self) -> bool {
                false
            }
        }
    };
}
pub(crate) use monitor_stream;
