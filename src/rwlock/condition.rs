//! Waiting for a condition on the data, and for changes of the data.
//!
//! No holder signals a condition: the end of each exclusive acquisition wakes all that wait for
//! one. A change cannot be missed. A task looks at the data with the lock held, and starts to watch
//! for changes before it releases the lock. So an exclusive acquisition that ends after the look is
//! an edge that the watcher has not seen.

use core::fmt;
use core::ops::Deref;
#[cfg(feature = "alloc")]
use core::pin::Pin;
#[cfg(feature = "alloc")]
use core::task::{Context, Poll};

use futures_core::FusedFuture;
#[cfg(feature = "alloc")]
use futures_core::stream::{FusedStream, Stream};

use super::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::lock::MultiLock;
#[cfg(feature = "alloc")]
use crate::lock::boxed::{MonitorInner, monitor_stream};
use crate::lock::cancel::first;
#[cfg(not(feature = "alloc"))]
use crate::lock::monitor::MonitorInner;
use crate::lock::monitor::Watcher;
use crate::raw::edges::Edge;
use crate::sync::future::Fused;

/// What watches one lock for changes of its data.
pub(crate) type ChangeWatcher<'a> = Watcher<&'a MultiLock>;

/// Evaluates `condition` with `guard`, and returns the guard if it holds. If not, `release` releases
/// the lock, and `watcher` has seen all changes up to the evaluation.
pub(crate) fn check<'a, G: Deref>(
    lock: &'a MultiLock,
    guard: G,
    condition: &mut impl FnMut(&G::Target) -> bool,
    watcher: &mut Option<ChangeWatcher<'a>>,
    release: impl FnOnce(G),
) -> Option<G> {
    if condition(&guard) {
        return Some(guard);
    }
    // The guard keeps exclusive holders out: no change comes between the evaluation and this.
    watcher.get_or_insert_with(|| Watcher::new(lock, Edge::Change)).clear();
    release(guard);
    None
}

/// Expands to a paragraph of the documentation of a condition.
macro_rules! when_text {
    (condition) => {
        "The condition is evaluated with the lock held, and holds while the guard that is returned \
        lives and nothing is written. If it does not hold, the lock is released, and the condition \
        is evaluated again when an exclusive acquisition has ended or was downgraded: a holder does \
        not signal anything, and no such change is lost. A panic in the condition releases the lock."
    };
    (must_not) => {
        "The condition runs while the lock is held. It must not wait, and must not acquire the same \
        lock."
    };
}
#[cfg(any(feature = "observed", all(feature = "alloc", target_has_atomic = "ptr")))]
pub(crate) use when_text;

/// Defines the asynchronous methods that acquire the lock in one mode when a condition holds.
macro_rules! when_methods {
    (
        $(#[$meta:meta])*
        $access:literal, $Guard:ty, $self:ident [$($this:tt)*], $wait:ident, $try:ident, $release:expr,
        $when:ident, $when_or:ident, $holds_lock:literal, $new:literal
    ) => {
        #[doc = concat!("Acquires ", $access, " access when `condition` holds for the data, waiting asynchronously.")]
        ///
        #[doc = when_text!(condition)]
        ///
        /// A condition that another task has made false again, before this one evaluates it, is not
        /// noticed. Nor is what a reader changes, through a cell or an atomic in the data. See
        /// [`guide::conditions`](crate::guide::conditions).
        ///
        #[doc = $holds_lock]
        ///
        #[doc = when_text!(must_not)]
        ///
        /// # Cost
        ///
        /// Each end of an exclusive acquisition wakes all tasks that wait for a condition. Each of
        /// them acquires the lock and evaluates its condition: with ten thousand of them, that is
        /// ten thousand evaluations. While a task waits for a condition, each release looks for
        /// watchers. A lock with no such task pays nothing.
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point. It then does not hold the lock, and no change is
        /// lost for another task: a change wakes all that wait for one.
        ///
        /// # Deadlocks
        ///
        /// The wait never ends if the condition does not hold, and no other task or thread makes it
        /// true. While the task already holds the lock, none can.
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        /// use futures_lite::future::zip;
        #[doc = concat!($new, ";")]
        #[doc = concat!("let waits = lock.", stringify!($when), "(|ready: &bool| *ready);")]
        /// let writes = async { *lock.write().await = true };
        /// let (guard, ()) = zip(waits, writes).await;
        /// assert!(*guard);
        /// # });
        /// ```
        $(#[$meta])*
        pub fn $when<C: FnMut(&T) -> bool>(
            $($this)*,
            mut condition: C,
        ) -> impl FusedFuture<Output = $Guard> {
            Fused::<_, (C, &Self)>::new(async move {
                let mut watcher = None;
                loop {
                    let guard = $self.$wait().await;
                    if let Some(guard) =
                        check(&$self.lock, guard, &mut condition, &mut watcher, $release)
                    {
                        break guard;
                    }
                    if let Some(watcher) = &watcher {
                        watcher.wait().await;
                    }
                }
            })
        }

        #[doc = concat!("Acquires ", $access, " access when `condition` holds for the data, unless `cancel` is ready first.")]
        ///
        /// With a timer as `cancel`, this is an acquisition with a time limit, on any runtime:
        /// [`MultiLock::acquire_or`](crate::MultiLock::acquire_or) shows the timers of some. Each
        /// poll tries to acquire the lock first, and polls `cancel` only while the future waits.
        /// When `cancel` is ready, the future tries once more, and evaluates the condition if that
        /// succeeds.
        ///
        #[doc = when_text!(condition)]
        ///
        #[doc = $holds_lock]
        ///
        #[doc = when_text!(must_not)]
        ///
        #[doc = concat!("[`", stringify!($when), "`](Self::", stringify!($when), ") documents what a condition costs.")]
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point, and `cancel` is dropped with it. It then does not
        /// hold the lock, and no such change is lost for another task: a change wakes all that wait for
        /// one.
        ///
        /// # Deadlocks
        ///
        /// If the condition does not hold, and no other task or thread makes it true, the wait ends
        /// only when `cancel` is ready. While the task already holds the lock, none can.
        ///
        /// # Errors
        ///
        /// Returns the output of `cancel`, if that was ready before the lock was available and the
        /// condition held. The lock is then not held.
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        /// use std::future::ready;
        #[doc = concat!($new, ";")]
        #[doc = concat!("let late = lock.", stringify!($when_or), "(|ready: &bool| *ready, ready(\"too late\")).await;")]
        /// assert_eq!(late.unwrap_err(), "too late");
        /// # });
        /// ```
        $(#[$meta])*
        pub fn $when_or<C: FnMut(&T) -> bool, D: Future>(
            $($this)*,
            mut condition: C,
            cancel: D,
        ) -> impl FusedFuture<Output = Result<$Guard, D::Output>> {
            Fused::<_, (C, D, &Self)>::new(async move {
                let output = match first($self.$when(&mut condition), cancel).await {
                    Ok(guard) => return Ok(guard),
                    Err(output) => output,
                };
                match $self.$try() {
                    Some(guard) if condition(&guard) => {
                        // The drop may panic. Until that is over, unwinding drops the guard.
                        drop(output);
                        Ok(guard)
                    }
                    Some(guard) => {
                        $release(guard);
                        Err(output)
                    }
                    None => Err(output),
                }
            })
        }
    };
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub(super) use when_methods;

impl<T: ?Sized> RwLock<T> {
    when_methods! {
        "read", RwLockReadGuard<'_, T>, self [&self], read, try_read, drop,
        read_when, read_when_or,
        "Many tasks evaluate their conditions at a time, and none of them keeps another reader out.",
        "use multilock::RwLock;\n\nlet lock = RwLock::new(false)"
    }

    when_methods! {
        "upgradable read", RwLockUpgradableReadGuard<'_, T>, self [&self],
        upgradable_read, try_upgradable_read, drop,
        upgradable_read_when, upgradable_read_when_or,
        "The tasks that wait this way evaluate their conditions one after the other, beside readers.",
        "use multilock::RwLock;\n\nlet lock = RwLock::new(false)"
    }

    when_methods! {
        "write", RwLockWriteGuard<'_, T>, self [&self], write, try_write, RwLockWriteGuard::release_unchanged,
        write_when, write_when_or,
        "The tasks that wait this way evaluate their conditions one after the other. An evaluation is \
        no change: it wakes no other task that waits for a condition.",
        "use multilock::RwLock;\n\nlet lock = RwLock::new(false)"
    }

    /// Creates a stream of changes of the data.
    ///
    /// See [`Changes`]. A change is the end of an exclusive acquisition, or its downgrade: the data
    /// may have changed. A new `Changes` is not set. So create it first, and then read the data.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::RwLock;
    /// use futures_lite::StreamExt;
    ///
    /// let lock = RwLock::new(1);
    /// let mut changes = lock.changes();
    /// *lock.write().await = 2;
    /// changes.next().await;
    /// assert_eq!(*lock.read().await, 2);
    /// # });
    /// ```
    pub fn changes(&self) -> Changes<'_> {
        Changes::new(&self.lock)
    }
}

impl<'a> Changes<'a> {
    pub(crate) fn new(lock: &'a MultiLock) -> Self {
        Self(MonitorInner::new(lock, Edge::Change))
    }
}

/// Defines a monitor of changes that borrows or owns its lock.
macro_rules! changes_monitor {
    (
        $(#[$meta:meta])*
        $Changes:ident [$($generics:tt)*] [$($bounded:tt)*] [$($args:tt)*], $Inner:ty, $example:expr
    ) => {
        $(#[$meta])*
        #[must_use = "a monitor does nothing unless it is looked at: `wait` for it, or poll it as a stream"]
        pub struct $Changes<$($generics)*>(pub(crate) $Inner);

        impl<$($bounded)*> $Changes<$($args)*> {
            /// Returns whether the data may have changed since the monitor was created or cleared.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $example]
            /// assert!(changes.is_set());
            /// ```
            #[must_use]
            pub fn is_set(&self) -> bool {
                self.0.is_set()
            }

            /// Clears the monitor. So clear it first, and then read the data: it misses no change
            /// after the clear.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $example]
            /// changes.clear();
            /// assert_eq!(*lock.try_read().unwrap(), 2);
            /// assert!(!changes.is_set());
            /// ```
            pub fn clear(&self) {
                self.0.clear();
            }

            /// Waits asynchronously until the monitor is set. Does not clear it.
            ///
            /// # Cancel safety
            ///
            #[doc = text!(wait_cancel_safety)]
            ///
            /// # Deadlocks
            ///
            /// If the monitor is not set, the wait does not end before another task or thread
            /// changes the data. A task that keeps a guard of the same lock meanwhile prevents that.
            ///
            /// # Examples
            ///
            /// ```
            /// # futures_lite::future::block_on(async {
            #[doc = $example]
            /// changes.wait().await;
            /// assert_eq!(*lock.read().await, 2);
            /// # });
            /// ```
            pub fn wait(&self) -> impl FusedFuture<Output = ()> + Send + Sync {
                Fused::<_>::new(self.0.wait())
            }
        }

        #[cfg(feature = "alloc")]
        monitor_stream!([$($bounded)*] $Changes<$($args)*>);

        impl<$($bounded)*> fmt::Debug for $Changes<$($args)*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Changes))
                    .field("is_set", &self.is_set())
                    .finish_non_exhaustive()
            }
        }
    };
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub(crate) use changes_monitor;

changes_monitor! {
    /// A monitor that reports that the data of an [`RwLock`] may have changed.
    ///
    /// It is *set* by each end of an exclusive acquisition, and by its downgrade, until it is
    /// [cleared](Self::clear) or its [`Stream`] yields an item. It is not set when it is created.
    ///
    /// It does not hold the lock and has no place among the waiters. No task waits because of it. See
    /// [`guide::conditions`](crate::guide::conditions).
    ///
    /// # Limitations
    ///
    /// * Many changes between two looks are one: it does not count.
    /// * What a reader changes, through a cell or an atomic in the data, is no change.
    /// * An exclusive acquisition that writes nothing is a change, too, except the look of
    ///   [`write_when`](RwLock::write_when).
    /// * It may be set once more for a change that it has reported already, if it is cleared while an
    ///   exclusive holder releases the lock. It misses no change.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::RwLock;
    ///
    /// let lock = RwLock::new(1);
    /// let changes = lock.changes();
    /// assert!(!changes.is_set());
    /// *lock.try_write().unwrap() = 2;
    /// assert!(changes.is_set());
    /// ```
    Changes ['a] ['a] ['a], MonitorInner<'a, &'a MultiLock>,
    "use multilock::RwLock;\n\nlet lock = RwLock::new(1);\nlet changes = lock.changes();\n\
    *lock.try_write().unwrap() = 2;"
}
