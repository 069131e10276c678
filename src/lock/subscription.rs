//! Subscriptions, by which a lock notifies an event of `event-listener`.
//!
//! A subscription is a watcher of the lock with a listener that stays in its list. The waker of the
//! listener notifies the event, where a task's waker would wake the task.

#[cfg(target_has_atomic = "ptr")]
use alloc::{sync::Arc, task::Wake};
use core::fmt;
use core::ops::Deref;
use core::ptr;
use core::task::{Context, RawWaker, RawWakerVTable, Waker};

use event_listener::{Event, IntoNotification};

use crate::lock::MultiLock;
use crate::lock::boxed::BoxedListener;
use crate::lock::monitor::Watcher;
use crate::mode::Mode;
use crate::raw::edges::Edge;
use crate::sync::once_box::may_fail;

/// An [`Event`] that lives as long as it is needed: one in an [`Arc`], or a `static`.
///
/// [`MultiLock::notify`] takes whatever can be turned into it.
///
/// # Examples
///
/// ```
/// use event_listener::Event;
/// use multilock::{Mode, MultiLock, SharedEvent};
/// use std::sync::Arc;
///
/// static STATIC: Event = Event::new();
///
/// let lock = MultiLock::new();
/// let events: [SharedEvent; 2] = [Arc::new(Event::new()).into(), (&STATIC).into()];
/// let subscriptions = events.map(|event| lock.notify(Mode::Exclusive, event));
/// drop(subscriptions);
/// ```
#[derive(Clone)]
pub struct SharedEvent(Waker);

impl fmt::Debug for SharedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedEvent").finish_non_exhaustive()
    }
}

impl From<&'static Event> for SharedEvent {
    fn from(event: &'static Event) -> Self {
        allocate(event);
        // SAFETY: the functions of the table may be called from any thread. They take `event` for
        // what it is.
        Self(unsafe { Waker::from_raw(raw_waker(ptr::from_ref(event).cast())) })
    }
}

#[cfg(target_has_atomic = "ptr")]
impl From<Arc<Event>> for SharedEvent {
    fn from(event: Arc<Event>) -> Self {
        allocate(&event);
        may_fail();
        Self(Waker::from(Arc::new(OwnedEvent(event))))
    }
}

#[cfg(target_has_atomic = "ptr")]
impl From<&Arc<Event>> for SharedEvent {
    fn from(event: &Arc<Event>) -> Self {
        Self::from(event.clone())
    }
}

/// Makes the event allocate what it needs: a release must not.
fn allocate(event: &Event) {
    may_fail();
    event.notify(0.relaxed());
}

/// The waker of an event in an `Arc`.
#[cfg(target_has_atomic = "ptr")]
struct OwnedEvent(Arc<Event>);

#[cfg(target_has_atomic = "ptr")]
impl Wake for OwnedEvent {
    fn wake(self: Arc<Self>) {
        notify_all(&self.0);
    }
}

/// The waker of a static event.
fn raw_waker(event: *const ()) -> RawWaker {
    const TABLE: RawWakerVTable = RawWakerVTable::new(raw_waker, wake, wake, |_| {});

    fn wake(event: *const ()) {
        // SAFETY: all wakers with this table are made from a static event.
        notify_all(unsafe { &*event.cast::<Event>() });
    }

    RawWaker::new(event, &TABLE)
}

/// Notifies all listeners of an event, but not those that join meanwhile.
#[cfg(not(feature = "critical-section"))]
fn notify_all(event: &Event) {
    event.notify(usize::MAX);
}

/// Notifies all listeners of an event, in batches: interrupts are off while a batch is notified.
///
/// A listener that joins meanwhile may be notified, too. It comes behind `last`, so tasks that
/// listen again and again do not keep this function from its end.
#[cfg(feature = "critical-section")]
fn notify_all(event: &Event) {
    use core::pin::Pin;

    use crate::raw::wakers::BATCH;

    if event.notify_additional(BATCH) < BATCH {
        return;
    }
    event_listener::listener!(event => last);
    while event.notify_additional(BATCH) == BATCH {
        if Pin::new(&mut last).poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            // If it was another caller that notified `last`, that was meant for a listener.
            event.notify_additional(1);
            return;
        }
    }
}

/// The parts of a subscription. The listener is dropped first.
pub(crate) struct Parts<'a, L: Deref<Target = MultiLock>> {
    _listener: BoxedListener<'a>,
    _watcher: Watcher<L>,
    pub(crate) mode: Mode,
}

impl<'a, L: Deref<Target = MultiLock> + Clone + Send + Sync + 'a> Parts<'a, L> {
    pub(crate) fn new(lock: L, mode: Mode, event: &SharedEvent) -> Self {
        let edge = Edge::Acquirable(mode);
        let watcher = Watcher::new(lock.clone(), edge);
        let mut listener = BoxedListener::of_event(lock, edge);
        listener.listen(&mut Context::from_waker(&event.0));
        Self { _listener: listener, _watcher: watcher, mode }
    }
}

/// Expands to the first lines of an example, in which `subscription` is one of `Shared`.
macro_rules! subscription_example {
    ($notify:literal) => {
        concat!(
            "use event_listener::Event;\nuse multilock::{Mode, MultiLock};\nuse std::sync::Arc;\n\n",
            "let lock = Arc::new(MultiLock::new());\n",
            "let subscription = lock.", $notify, "(Mode::Shared, Arc::new(Event::new()));"
        )
    };
}

/// Defines a subscription that borrows or owns its lock.
macro_rules! subscription {
    (
        $(#[$meta:meta])*
        $Subscription:ident [$($generics:tt)*] [$($bounded:tt)*] [$($args:tt)*], $Parts:ty, $example:expr
    ) => {
        $(#[$meta])*
        #[must_use = "the subscription ends when it is dropped: keep it with `let _subscription =`, not with `let _ =`"]
        pub struct $Subscription<$($generics)*>(pub(crate) $Parts);

        impl<$($bounded)*> $Subscription<$($args)*> {
            /// Returns the mode that the event is notified of.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $example]
            /// assert_eq!(subscription.mode(), Mode::Shared);
            /// ```
            #[must_use]
            pub fn mode(&self) -> Mode {
                self.0.mode
            }
        }

        impl<$($bounded)*> fmt::Debug for $Subscription<$($args)*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Subscription))
                    .field("mode", &self.mode())
                    .finish_non_exhaustive()
            }
        }
    };
}

#[cfg(all(feature = "observed", target_has_atomic = "ptr"))]
pub(crate) use subscription;

subscription! {
    /// A subscription of an event: until it is dropped, the lock notifies the event each time a
    /// mode becomes acquirable.
    ///
    /// [`MultiLock::notify`] creates one. A subscription does not hold the lock and has no place
    /// among the waiters. If it is forgotten, the lock notifies the event for as long as the lock
    /// lives.
    ///
    /// # Examples
    ///
    /// ```
    /// use event_listener::{Event, Listener};
    /// use multilock::{Mode, MultiLock, Subscription};
    /// use std::sync::Arc;
    ///
    /// let (lock, event) = (Arc::new(MultiLock::new()), Arc::new(Event::new()));
    /// let subscription: Subscription<'_> = lock.notify(Mode::Shared, &event);
    /// let listener = event.listen();
    /// drop(lock.try_acquire(Mode::Exclusive));
    /// listener.wait();
    /// drop(subscription);
    /// ```
    Subscription ['a] ['a] ['a], Parts<'a, &'a MultiLock>, subscription_example!("notify")
}

#[cfg(target_has_atomic = "ptr")]
subscription! {
    /// A subscription of an event that owns a clone of the [`Arc`] of the lock, and is `'static`.
    ///
    /// [`MultiLock::notify_arc`] creates one. [`Subscription`] is the one that borrows the lock.
    /// If it is forgotten, the lock lives forever.
    ///
    /// # Examples
    ///
    /// ```
    /// use event_listener::{Event, Listener};
    /// use multilock::{Mode, MultiLock, SubscriptionArc};
    /// use std::sync::Arc;
    ///
    /// let (lock, event) = (Arc::new(MultiLock::new()), Arc::new(Event::new()));
    /// let subscription: SubscriptionArc = lock.notify_arc(Mode::Shared, &event);
    /// let listener = event.listen();
    /// drop(lock.try_acquire(Mode::Exclusive));
    /// listener.wait();
    /// drop(subscription);
    /// ```
    SubscriptionArc [] [] [], Parts<'static, Arc<MultiLock>>, subscription_example!("notify_arc")
}

impl MultiLock {
    /// Makes the lock notify `event` each time `mode` becomes acquirable, until the subscription is
    /// dropped.
    ///
    /// `event` is an `Arc<Event>`, a reference to one, or a `&'static Event`. One event may be given
    /// to several locks, and for several modes: it then tells when *any* of them can be acquired. A
    /// [monitor of a set](crate::LockSet::monitor) tells when *all* of its locks can be. The event
    /// has all that events of `event-listener` have: listeners for tasks, for threads and with time
    /// limits, and other causes to notify it.
    ///
    /// A notification reaches only those that listen at that moment. So listen first, then try to
    /// acquire the lock, and then wait: no notification is lost in between. The event is not
    /// notified because `mode` can be acquired when this method is called.
    ///
    /// The lock calls `event.notify(usize::MAX)`: all listeners are notified, and the first caller
    /// that tries wins. A listener is notified once for many moments, and perhaps once more for a
    /// moment before it listened.
    ///
    /// The calls come from a release, or whatever else makes `mode` acquirable, while no lock and no
    /// critical section of this crate is held. `event-listener` wakes the listeners in a mutex of
    /// its own, or in its critical section. So their wakers must use neither the event nor a lock
    /// that notifies it, which wakers otherwise may: those of runtimes do not. With the feature
    /// `critical-section`, eight listeners are woken in each critical section. A waker that panics
    /// breaks its own event: `event-listener` then counts its listeners wrongly. With `std`, it
    /// keeps no other event from its notification.
    ///
    /// # Cost
    ///
    /// While there is a subscription, a release that makes its mode acquirable locks the queue of
    /// the lock, and the mutex of each event, even if none listens. Other releases pay what they pay
    /// for a [`Monitor`](crate::Monitor). A subscription allocates what the first waiter of the lock
    /// would allocate, a listener, and what the event needs. A notification allocates nothing.
    ///
    /// # Examples
    ///
    /// Acquires one of two locks, whichever is available first:
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use event_listener::Event;
    /// use multilock::{Mode, MultiLock};
    /// use std::sync::Arc;
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let event = Arc::new(Event::new());
    /// let _subscriptions = locks.each_ref().map(|lock| lock.notify(Mode::Exclusive, &event));
    /// let guard = loop {
    ///     let listener = event.listen();
    ///     if let Some(guard) = locks.iter().find_map(|lock| lock.try_acquire(Mode::Exclusive)) {
    ///         break guard;
    ///     }
    ///     listener.await;
    /// };
    /// assert_eq!(guard.mode(), Mode::Exclusive);
    /// # });
    /// ```
    pub fn notify(&self, mode: Mode, event: impl Into<SharedEvent>) -> Subscription<'_> {
        Subscription(Parts::new(self, mode, &event.into()))
    }

    /// Makes the lock notify `event` each time `mode` becomes acquirable, until the subscription,
    /// which is `'static`, is dropped.
    ///
    /// The subscription owns a clone of the `Arc`. [`notify`](Self::notify) documents what an event
    /// is notified of, how to wait for it, and what it costs.
    ///
    /// # Examples
    ///
    /// ```
    /// use event_listener::{Event, Listener};
    /// use multilock::{Mode, MultiLock};
    /// use std::sync::Arc;
    ///
    /// let (lock, event) = (Arc::new(MultiLock::new()), Arc::new(Event::new()));
    /// let subscription = lock.notify_arc(Mode::Exclusive, &event);
    /// let guard = lock.try_acquire_arc(Mode::Exclusive);
    /// let listener = event.listen();
    /// drop(guard);
    /// listener.wait();
    /// drop(subscription);
    /// ```
    #[cfg(target_has_atomic = "ptr")]
    pub fn notify_arc(
        self: &Arc<Self>,
        mode: Mode,
        event: impl Into<SharedEvent>,
    ) -> SubscriptionArc {
        SubscriptionArc(Parts::new(self.clone(), mode, &event.into()))
    }
}
