//! Monitors, which report when a mode can be acquired, and acquire nothing.

use core::fmt;
use core::ops::Deref;
#[cfg(feature = "alloc")]
use core::pin::Pin;
#[cfg(feature = "alloc")]
use core::task::{Context, Poll};

use futures_core::FusedFuture;
#[cfg(feature = "alloc")]
use futures_core::stream::{FusedStream, Stream};

use crate::lock::MultiLock;
#[cfg(feature = "alloc")]
use crate::lock::boxed::MonitorInner;
use crate::mode::Mode;
use crate::raw::edges::{Edge, EdgeCount};
use crate::sync::future::{Fused, ready_if};
use crate::sync::unmodeled::{AtomicUsize, Ordering::Relaxed};

/// The parts of a monitor. Without `alloc` a monitor is neither a stream, nor one of several locks.
#[cfg(not(feature = "alloc"))]
pub(crate) type MonitorInner<'a, L> = Watcher<L>;

/// Watches one lock for edges of one kind. Each edge that the watcher has not seen yet sets it.
pub(crate) struct Watcher<L: Deref<Target = MultiLock>> {
    pub(super) lock: L,
    pub(super) edge: Edge,
    /// The number of edges that the watcher has seen. `Relaxed`: a number that matters to the
    /// watcher only.
    seen: AtomicUsize,
}

impl<L: Deref<Target = MultiLock>> Watcher<L> {
    pub(crate) fn new(lock: L, edge: Edge) -> Self {
        let seen = AtomicUsize::new(lock.raw.watch(edge).into_raw());
        Self { lock, edge, seen }
    }

    pub(super) fn edges(&self) -> EdgeCount {
        self.lock.raw.edges(self.edge)
    }

    fn seen(&self) -> EdgeCount {
        EdgeCount::from_raw(self.seen.load(Relaxed))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.edges() != self.seen()
    }

    pub(crate) fn clear(&self) {
        self.seen.store(self.edges().into_raw(), Relaxed);
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

/// Expands to the first lines of an example, in which `monitor` monitors `lock`.
macro_rules! monitor_example {
    ("") => {
        "use multilock::{Mode, MultiLock};\n\n\
        let lock = MultiLock::new();\nlet monitor = lock.monitor(Mode::Exclusive);"
    };
    ("_arc") => {
        "use multilock::{Mode, MultiLock};\nuse std::sync::Arc;\n\n\
        let lock = Arc::new(MultiLock::new());\nlet monitor = lock.monitor_arc(Mode::Exclusive);"
    };
}

/// Defines a monitor that borrows or owns its lock.
macro_rules! multilock_monitor {
    (
        $(#[$meta:meta])*
        $Monitor:ident [$($generics:tt)*] [$($bounded:tt)*] [$($args:tt)*], $MonitorInner:ty, $example:expr
    ) => {
        $(#[$meta])*
        #[must_use = "a monitor does nothing unless it is looked at: `wait` for it, or poll it as a stream"]
        pub struct $Monitor<$($generics)*>(pub(crate) $MonitorInner, pub(crate) Mode);

        impl<$($bounded)*> $Monitor<$($args)*> {
            /// Returns the mode that is monitored.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $example]
            /// assert_eq!(monitor.mode(), Mode::Exclusive);
            /// ```
            #[must_use]
            pub fn mode(&self) -> Mode {
                self.1
            }

            /// Returns whether the monitor is set.
            ///
            /// A monitor is set if the mode could be acquired when the monitor was created, or has
            /// become acquirable since, and the monitor was not cleared after that.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $example]
            /// assert!(monitor.is_set());
            /// ```
            #[must_use]
            pub fn is_set(&self) -> bool {
                self.0.is_set()
            }

            /// Clears the monitor.
            ///
            /// The monitor is set again when the mode next *becomes* acquirable. It makes no
            /// difference that the mode is acquirable now. So clear the monitor first, and then
            /// look at the lock or try to acquire it: the monitor misses no edge after the clear.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $example]
            /// monitor.clear();
            /// assert!(!monitor.is_set());
            /// drop(lock.try_acquire(Mode::Exclusive));
            /// assert!(monitor.is_set());
            /// ```
            pub fn clear(&self) {
                self.0.clear();
            }

            /// Waits asynchronously until the monitor is set. Does not clear it.
            ///
            /// The future is ready at once if the monitor is set already.
            ///
            /// # Cancel safety
            ///
            #[doc = text!(wait_cancel_safety)]
            ///
            /// # Deadlocks
            ///
            /// If the monitor is not set, the wait does not end while the task itself holds the lock
            /// in a mode that excludes the monitored one.
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = $example]
            /// monitor.wait().await;
            /// assert!(monitor.is_set());
            /// # });
            /// ```
            pub fn wait(&self) -> impl FusedFuture<Output = ()> + Send + Sync {
                Fused::<_>::new(self.0.wait())
            }
        }

        #[cfg(feature = "alloc")]
        monitor_stream!([$($bounded)*] $Monitor<$($args)*>);

        impl<$($bounded)*> fmt::Debug for $Monitor<$($args)*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Monitor))
                    .field("mode", &self.mode())
                    .field("is_set", &self.is_set())
                    .finish()
            }
        }
    };
}

#[cfg(all(feature = "observed", feature = "alloc", target_has_atomic = "ptr"))]
pub(crate) use multilock_monitor;

multilock_monitor! {
    /// A monitor that reports when a mode of a lock, or of a set of locks, can be acquired.
    ///
    /// A new monitor is *set* at once if the mode can be acquired now. The monitor is set again
    /// each time the mode becomes acquirable: such a moment is an *edge*. A monitor stays set until
    /// it is [cleared](Self::clear), or until its [`Stream`] yields an item.
    ///
    /// A monitor does not hold the lock and has no place among the waiters. No task waits because
    /// of a monitor. No other task's outcome depends on when a monitor is polled, or on whether it
    /// is polled. See [`guide::conditions`](crate::guide::conditions) for what else a task can wait
    /// for.
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
    /// # futures_lite::future::block_on(async {
    /// use multilock::{Mode, MultiLock};
    /// use futures_lite::StreamExt;
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
    /// assert_eq!(guard.mode(), Mode::Exclusive);
    /// # });
    /// ```
    #[doc(alias = "Notify")]
    Monitor ['a] ['a] ['a], MonitorInner<'a, &'a MultiLock>, monitor_example!("")
}

impl<'a> Monitor<'a> {
    pub(crate) fn new(lock: &'a MultiLock, mode: Mode) -> Self {
        Self(MonitorInner::new(lock, Edge::Acquirable(mode)), mode)
    }

    /// Creates a monitor of several locks, each of which must be given once.
    #[cfg(feature = "alloc")]
    pub(crate) fn all(locks: impl Iterator<Item = &'a MultiLock>, mode: Mode) -> Self {
        Self(MonitorInner::all(locks, mode), mode)
    }
}
