//! Monitors, which report when a mode can be acquired, and acquire nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::ops::Deref;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use futures_core::stream::{FusedStream, Stream};

use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::raw::edges::{Edge, EdgeCount};
use crate::sync::future::{Fused, ready_if};
use crate::sync::once_box::may_fail;
use crate::sync::unmodeled::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Watches one lock for edges of one kind. Each edge that the watcher has not seen yet sets it.
pub(crate) struct Watcher<L: Deref<Target = MultiLock>> {
    lock: L,
    edge: Edge,
    /// The number of edges that the watcher has seen. `Relaxed`: a number that matters to the
    /// watcher only.
    seen: AtomicUsize,
}

impl<L: Deref<Target = MultiLock>> Watcher<L> {
    pub(crate) fn new(lock: L, edge: Edge) -> Self {
        let seen = AtomicUsize::new(lock.raw.watch(edge).into_raw());
        Self { lock, edge, seen }
    }

    fn edges(&self) -> EdgeCount {
        self.lock.raw.edges(self.edge)
    }

    fn seen(&self) -> EdgeCount {
        EdgeCount::from_raw(self.seen.load(Relaxed))
    }

    fn is_set(&self) -> bool {
        self.edges() != self.seen()
    }

    pub(crate) fn clear(&self) {
        self.seen.store(self.edges().into_raw(), Relaxed);
    }

    /// Returns whether the mode can be acquired for which the watcher watches, if any.
    fn admits(&self) -> bool {
        match self.edge {
            Edge::Acquirable(mode) => self.lock.snapshot().admits(mode),
            Edge::Change => true,
        }
    }

    pub(crate) async fn wait(&self) {
        while !self.is_set() {
            // The closure borrows one field, because `self` as a whole may not be `Sync`.
            let seen = &self.seen;
            let look = |edges| ready_if(edges != EdgeCount::from_raw(seen.load(Relaxed)));
            self.lock.raw.listen_to_edges(self.edge, look).await;
        }
    }
}

impl<L: Deref<Target = MultiLock>> Drop for Watcher<L> {
    fn drop(&mut self) {
        self.lock.raw.unwatch();
    }
}

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
    pub(crate) fn one(lock: L, edge: Edge) -> Self {
        Self {
            watched: Watched::One(Watcher::new(lock, edge)),
            listeners: BoxedListeners::default(),
        }
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
    ($Monitor:ty) => {
        /// Yields an item each time that a poll finds the monitor set, and clears the monitor. The
        /// stream has no end.
        ///
        /// The first poll that finds the monitor unset allocates a listener for each lock. Later
        /// polls allocate only after a waker has panicked.
        impl Stream for $Monitor {
            type Item = ();

            fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
                self.0.poll_next(cx)
            }
        }

        impl FusedStream for $Monitor {
            /// Returns `false`: the stream has no end.
            fn is_terminated(&self) -> bool {
                false
            }
        }
    };
}
pub(crate) use monitor_stream;

/// Defines a monitor that borrows or owns its lock.
macro_rules! multilock_monitor {
    (
        $(#[$meta:meta])*
        $Monitor:ident $(<$lt:lifetime>)?, $Elided:ty, $MonitorInner:ty
    ) => {
        $(#[$meta])*
        #[must_use = "a monitor does nothing unless it is looked at"]
        pub struct $Monitor $(<$lt>)? ($MonitorInner, Mode);

        impl $(<$lt>)? $Monitor $(<$lt>)? {
            /// Returns the mode that is monitored.
            #[must_use]
            pub fn mode(&self) -> Mode {
                self.1
            }

            /// Returns whether the monitor is set.
            ///
            /// A monitor is set if the mode could be acquired when the monitor was created, or has
            /// become acquirable since, and the monitor was not cleared after that.
            #[must_use]
            pub fn is_set(&self) -> bool {
                self.0.is_set()
            }

            /// Clears the monitor.
            ///
            /// The monitor is set again when the mode next *becomes* acquirable. It makes no
            /// difference that the mode is acquirable now. So clear the monitor first, and then
            /// look at the lock or try to acquire it: the monitor misses no edge after the clear.
            pub fn clear(&self) {
                self.0.clear();
            }

            /// Waits asynchronously until the monitor is set. Does not clear it.
            ///
            /// The future is ready at once if the monitor is set already.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point, without an effect on any other task.
            pub fn wait(&self) -> impl FusedFuture<Output = ()> + Send + Sync {
                Fused::<_>::new(self.0.wait())
            }
        }

        monitor_stream!($Elided);

        impl fmt::Debug for $Elided {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Monitor))
                    .field("mode", &self.mode())
                    .field("is_set", &self.is_set())
                    .finish()
            }
        }
    };
}

multilock_monitor! {
    /// A monitor that reports when a mode of a lock, or of a set of locks, can be acquired.
    ///
    /// A new monitor is *set* at once if the mode can be acquired now. The monitor is set again
    /// each time the mode becomes acquirable: such a moment is an *edge*. A monitor stays set until
    /// it is [cleared](Self::clear), or until its [`Stream`] yields an item.
    ///
    /// A monitor does not hold the lock and has no place among the waiters. No task waits because
    /// of a monitor. No other task's outcome depends on when a monitor is polled, or on whether it
    /// is polled.
    ///
    /// # Limitations
    ///
    /// * A mode is *acquirable* if a [try](MultiLock::try_acquire) would succeed. While an
    ///   exclusive waiter is queued, a lock that is held is not acquirable, in any mode.
    /// * Many edges between two looks are one edge: a monitor is set or not set, and does not
    ///   count.
    /// * A monitor may be stale. When the caller looks at it, another task may have acquired the
    ///   lock already. A set monitor is a hint: try to acquire the lock. If many monitors are
    ///   notified of one edge, the first caller that tries wins.
    /// * In a race with a release, or with a waiter or monitor that is dropped at the same moment,
    ///   a monitor may be set once more for an edge that it has reported already. It misses no
    ///   edge.
    /// * A monitor of a [set of locks](crate::LockSet::monitor) sees an edge when it is looked at
    ///   or polled. It misses an edge if the set is no longer acquirable by then.
    ///
    /// # Cost
    ///
    /// An edge costs one atomic addition for each mode that has become acquirable, however many
    /// monitors there are. It also costs a wake-up for each monitor that waits. A release that is
    /// no edge checks that there are monitors, and does nothing else for them. The first monitor of
    /// a lock allocates what the first waiter would allocate.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let monitor = lock.monitor(Mode::Exclusive);
    /// assert!(monitor.is_set());
    /// monitor.clear();
    ///
    /// let guard = lock.try_acquire(Mode::Shared).unwrap();
    /// assert!(!monitor.is_set());
    /// drop(guard);
    /// assert!(monitor.is_set());
    /// ```
    ///
    /// As a stream, with the combinators of any crate that provides them:
    ///
    /// ```
    /// # use multilock::{Mode, MultiLock};
    /// # smol::block_on(async {
    /// use futures::StreamExt;
    ///
    /// let lock = MultiLock::new();
    /// let mut monitor = lock.monitor(Mode::Exclusive);
    /// // Acquires the first guard available, even if others acquire the lock between edge and try.
    /// let guard = loop {
    ///     monitor.next().await;
    ///     if let Some(guard) = lock.try_acquire(Mode::Exclusive) {
    ///         break guard;
    ///     }
    /// };
    /// # drop(guard);
    /// # });
    /// ```
    #[doc(alias = "Notify")]
    Monitor<'a>, Monitor<'_>, MonitorInner<'a, &'a MultiLock>
}

impl<'a> Monitor<'a> {
    pub(crate) fn new(lock: &'a MultiLock, mode: Mode) -> Self {
        Self(MonitorInner::one(lock, Edge::Acquirable(mode)), mode)
    }

    /// Creates a monitor of several locks, each of which must be given once.
    pub(crate) fn all(locks: impl Iterator<Item = &'a MultiLock>, mode: Mode) -> Self {
        let watchers = locks.map(|lock| {
            let watcher = Watcher::new(lock, Edge::Acquirable(mode));
            may_fail();
            watcher
        });
        let watchers = watchers.collect();
        let watched = Watched::All(SetWatcher::new(watchers));
        Self(MonitorInner { watched, listeners: BoxedListeners::default() }, mode)
    }
}
