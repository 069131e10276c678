//! Monitors: who wants to know when a mode can be acquired, and acquires nothing.

use alloc::boxed::Box;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
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

use crate::fused::Fused;
use crate::lazy::may_fail;
use crate::mode::Mode;
use crate::multilock::MultiLock;
use crate::queue::EdgeCount;
use crate::raw::ready_if;
use crate::sync::unmodelled::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// A monitor of one lock: it is set by each edge after those that it has seen.
pub(crate) struct Monitor<L: Deref<Target = MultiLock>> {
    lock: L,
    mode: Mode,
    /// The edges that it has seen. `Relaxed`: a number that nobody but the monitor cares for.
    seen: AtomicUsize,
}

impl<L: Deref<Target = MultiLock>> Monitor<L> {
    pub(crate) fn new(lock: L, mode: Mode) -> Self {
        let seen = AtomicUsize::new(lock.raw.monitor(mode).into_raw());
        Self { lock, mode, seen }
    }

    fn edges(&self) -> EdgeCount {
        self.lock.raw.queue().edges(self.mode)
    }

    fn seen(&self) -> EdgeCount {
        EdgeCount::from_raw(self.seen.load(Relaxed))
    }

    fn is_set(&self) -> bool {
        self.edges() != self.seen()
    }

    fn clear(&self) {
        self.seen.store(self.edges().into_raw(), Relaxed);
    }

    fn admits(&self) -> bool {
        self.lock.snapshot().admits(self.mode)
    }

    pub(crate) async fn wait(&self) {
        while !self.is_set() {
            // Not of all of `self`, which may not be for all threads.
            let seen = &self.seen;
            let look = |edges| ready_if(edges != EdgeCount::from_raw(seen.load(Relaxed)));
            self.lock.raw.queue().listen_to_edges(self.mode, look).await;
        }
    }
}

impl<L: Deref<Target = MultiLock>> Drop for Monitor<L> {
    fn drop(&mut self) {
        self.lock.raw.unmonitor();
    }
}

/// An ear at a lock. Polled, it is in the list, with the waker of whoever polls; told of an edge, it
/// is out of the list until it is polled again. It is for monitors that are polled as what they are
/// and cannot hold a future that borrows them; it is allocated once.
struct Ear<'a>(Pin<Box<dyn Future<Output = Infallible> + Send + Sync + 'a>>);

// All that is in there is a place in a list. One that has panicked is not polled again.
impl UnwindSafe for Ear<'_> {}
impl RefUnwindSafe for Ear<'_> {}

impl<'a> Ear<'a> {
    fn at<L: Deref<Target = MultiLock> + Send + Sync + 'a>(lock: L, mode: Mode) -> Self {
        may_fail();
        Self(Box::pin(async move {
            loop {
                lock.raw.queue().listen_to_edges(mode, |_| Poll::Pending).await;
            }
        }))
    }

    fn listen(&mut self, cx: &mut Context<'_>) {
        let Poll::Pending = self.0.as_mut().poll(cx);
    }
}

/// Ears, each made when it is needed.
#[derive(Default)]
struct Ears<'a>(Vec<Option<Ear<'a>>>);

impl<'a> Ears<'a> {
    /// Listens at the `n`th of some monitors.
    fn listen<L>(&mut self, monitors: &[Monitor<L>], n: usize, cx: &mut Context<'_>)
    where
        L: Deref<Target = MultiLock> + Clone + Send + Sync + 'a,
    {
        if self.0.is_empty() {
            may_fail();
            self.0.resize_with(monitors.len(), || None);
        }
        let new = || Ear::at(monitors[n].lock.clone(), monitors[n].mode);
        // If the waker panics, the ear is gone, and the next poll makes a new one.
        let mut ear = self.0[n].take().unwrap_or_else(new);
        ear.listen(cx);
        self.0[n] = Some(ear);
    }
}

/// A monitor of several locks: it is set when all of them can be acquired, and one of them could not
/// be before.
struct MonitorAll<L: Deref<Target = MultiLock>> {
    monitors: Box<[Monitor<L>]>,
    /// It was set when it was last looked at. `Relaxed`, as `seen` is.
    set: AtomicBool,
}

impl<L: Deref<Target = MultiLock> + Clone + Send + Sync> MonitorAll<L> {
    fn new(monitors: Box<[Monitor<L>]>) -> Self {
        let set = monitors.iter().all(Monitor::is_set);
        Self { monitors, set: AtomicBool::new(set) }
    }

    /// Since the last `clear` there was an edge of a member, and now there is room at all of them: so
    /// there was an edge of the whole. If there was no room at the time of `clear`, it is the edge
    /// that has made it; and if there was, some member has lost it before its edge.
    fn is_set(&self) -> bool {
        let is_edge = || self.monitors.iter().any(Monitor::is_set);
        let set = self.set.load(Relaxed) || is_edge() && self.blocked().is_none();
        if set {
            self.set.store(true, Relaxed);
        }
        set
    }

    fn clear(&self) {
        self.monitors.iter().for_each(Monitor::clear);
        self.set.store(false, Relaxed);
    }

    /// The first member that cannot be acquired.
    fn blocked(&self) -> Option<usize> {
        self.monitors.iter().position(|monitor| !monitor.admits())
    }

    /// Listens where the next edge is to be expected: at a member that cannot be acquired. Where all
    /// can, at each of them.
    fn poll<'a>(&self, ears: &mut Ears<'a>, cx: &mut Context<'_>) -> Poll<()>
    where
        L: 'a,
    {
        loop {
            if self.is_set() {
                return Poll::Ready(());
            }
            let before = self.blocked().map(|n| (n, self.monitors[n].edges()));
            match before {
                // Still blocked, as it was before the count: or else the next edge was not heard.
                Some((n, edges)) if !self.monitors[n].admits() => {
                    ears.listen(&self.monitors, n, cx);
                    if self.monitors[n].edges() == edges {
                        return Poll::Pending;
                    }
                }
                Some(_) => {}
                None => {
                    (0..self.monitors.len()).for_each(|n| ears.listen(&self.monitors, n, cx));
                    return ready_if(self.is_set());
                }
            }
        }
    }

    async fn wait(&self) {
        let mut ears = Ears::default();
        poll_fn(|cx| self.poll(&mut ears, cx)).await;
    }
}

enum Source<L: Deref<Target = MultiLock>> {
    One(Monitor<L>),
    All(MonitorAll<L>),
}

/// What a monitor is made of.
struct Watch<'a, L: Deref<Target = MultiLock>> {
    source: Source<L>,
    mode: Mode,
    /// For the stream.
    ears: Ears<'a>,
}

impl<'a, L: Deref<Target = MultiLock> + Clone + Send + Sync + 'a> Watch<'a, L> {
    fn one(lock: L, mode: Mode) -> Self {
        Self { source: Source::One(Monitor::new(lock, mode)), mode, ears: Ears::default() }
    }

    fn is_set(&self) -> bool {
        match &self.source {
            Source::One(monitor) => monitor.is_set(),
            Source::All(monitors) => monitors.is_set(),
        }
    }

    fn clear(&self) {
        match &self.source {
            Source::One(monitor) => monitor.clear(),
            Source::All(monitors) => monitors.clear(),
        }
    }

    async fn wait(&self) {
        match &self.source {
            Source::One(monitor) => monitor.wait().await,
            Source::All(monitors) => monitors.wait().await,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let ready = match &self.source {
            Source::One(monitor) => {
                if !monitor.is_set() {
                    self.ears.listen(core::slice::from_ref(monitor), 0, cx);
                }
                ready_if(monitor.is_set())
            }
            Source::All(monitors) => monitors.poll(&mut self.ears, cx),
        };
        ready.map(|()| {
            self.clear();
            Some(())
        })
    }
}

macro_rules! notify {
    (
        $(#[$meta:meta])*
        $Notify:ident $(<$lt:lifetime>)?, $Elided:ty, $Watch:ty
    ) => {
        $(#[$meta])*
        #[must_use = "a monitor does nothing unless it is looked at"]
        pub struct $Notify $(<$lt>)? ($Watch);

        impl $(<$lt>)? $Notify $(<$lt>)? {
            /// The mode that is monitored.
            #[must_use]
            pub fn mode(&self) -> Mode {
                self.0.mode
            }

            /// Whether the monitor is set: the mode could be acquired when the monitor was made, or has
            /// become acquirable since, and the monitor was not cleared after that.
            #[must_use]
            pub fn is_set(&self) -> bool {
                self.0.is_set()
            }

            /// Clears the monitor. It is set again when the mode next *becomes* acquirable; that it is
            /// so now does not count.
            ///
            /// So clear first, and then look, or try: what comes after is not missed.
            pub fn clear(&self) {
                self.0.clear();
            }

            /// Waits until the monitor is set. Does not clear it.
            ///
            /// # Cancel safety
            ///
            /// The future may be dropped at any point, and nobody notices.
            pub fn wait(&self) -> impl FusedFuture<Output = ()> + Send + Sync {
                Fused::<_>::new(self.0.wait())
            }
        }

        /// An item for each time that the monitor is found set, which is cleared by that. The stream has
        /// no end.
        ///
        /// The first poll that finds nothing allocates a place to listen from. No later one does.
        impl Stream for $Elided {
            type Item = ();

            fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
                self.0.poll_next(cx)
            }
        }

        impl FusedStream for $Elided {
            /// Never.
            fn is_terminated(&self) -> bool {
                false
            }
        }

        impl fmt::Debug for $Elided {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Notify))
                    .field("mode", &self.mode())
                    .field("is_set", &self.is_set())
                    .finish()
            }
        }
    };
}

notify! {
    /// A monitor: it tells when a mode of a lock, or of a set of locks, can be acquired.
    ///
    /// It is *set* at once if the mode can be acquired now, and again each time it becomes so. It stays
    /// set until it is [cleared](Self::clear), or taken as an item of the [`Stream`] that it is.
    ///
    /// It holds nothing and stands in no queue. Nobody waits because of it, and nobody's outcome
    /// depends on when it is polled, or whether it is.
    ///
    /// # What it says, and what not
    ///
    /// * *Acquirable* is what a [try](MultiLock::try_acquire) would find. While somebody waits in
    ///   exclusive mode, a lock that is held is not acquirable for others, whatever the holder's mode.
    /// * Many edges between two looks are one: a monitor is set or not, and does not count.
    /// * It may be stale. When you look, somebody may have acquired the lock already. A set monitor is a
    ///   hint: try to acquire. Among many monitors that are told of one edge the first to try wins.
    /// * In a race with a release, or with a waiter or monitor that goes at the same moment, it may be
    ///   set once more for what it has been told already. No edge is missed.
    /// * A monitor of a [set of locks](crate::LockSet::notify) sees an edge when it is looked at or
    ///   polled: one that is over by then is missed.
    ///
    /// # Cost
    ///
    /// An edge costs one atomic addition for each mode that has become acquirable, however many monitors there are, and a wake-up for each
    /// that waits. A release that is no edge does nothing for them; it notices that there are some. The
    /// first monitor of a lock allocates what the first waiter would.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let monitor = lock.notify(Mode::Exclusive);
    /// assert!(monitor.is_set());
    /// monitor.clear();
    ///
    /// let guard = lock.try_acquire(Mode::Shared).unwrap();
    /// assert!(!monitor.is_set());
    /// drop(guard);
    /// assert!(monitor.is_set());
    /// ```
    ///
    /// As a stream, with the combinators of any crate that has some:
    ///
    /// ```
    /// # use multilock::{Mode, MultiLock};
    /// # smol::block_on(async {
    /// use futures::StreamExt;
    ///
    /// let lock = MultiLock::new();
    /// let mut monitor = lock.notify(Mode::Exclusive);
    /// // The first guard that can be had, even if others come between the edge and the try.
    /// let guard = loop {
    ///     monitor.next().await;
    ///     if let Some(guard) = lock.try_acquire(Mode::Exclusive) {
    ///         break guard;
    ///     }
    /// };
    /// # drop(guard);
    /// # });
    /// ```
    Notify<'a>, Notify<'_>, Watch<'a, &'a MultiLock>
}

impl<'a> Notify<'a> {
    pub(crate) fn new(lock: &'a MultiLock, mode: Mode) -> Self {
        Self(Watch::one(lock, mode))
    }

    /// A monitor of several locks, each named once.
    pub(crate) fn all(locks: impl Iterator<Item = &'a MultiLock>, mode: Mode) -> Self {
        let monitors = locks.map(|lock| {
            let monitor = Monitor::new(lock, mode);
            may_fail();
            monitor
        });
        let monitors = monitors.collect();
        Self(Watch { source: Source::All(MonitorAll::new(monitors)), mode, ears: Ears::default() })
    }
}

#[cfg(target_has_atomic = "ptr")]
notify! {
    /// A monitor of a [`MultiLock`] in an [`Arc`]. It is `'static`; else it is a [`Notify`].
    NotifyArc, NotifyArc, Watch<'static, Arc<MultiLock>>
}

#[cfg(target_has_atomic = "ptr")]
impl NotifyArc {
    pub(crate) fn new(lock: Arc<MultiLock>, mode: Mode) -> Self {
        Self(Watch::one(lock, mode))
    }
}
