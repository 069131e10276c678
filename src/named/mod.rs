//! The lock that is acquired and released by handles of the caller's choice.

mod acquire;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
pub(crate) mod error;
pub(crate) mod guard;
mod registry;

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::pin::pin;

use futures_core::FusedFuture;

use crate::lock::MultiLock;
use crate::lock::guard::Guard;
use crate::lock::handle::HandleId;
use crate::lock::monitor::Monitor;
#[cfg(feature = "event-listener")]
use crate::lock::subscription::{SharedEvent, Subscription};
use crate::mode::Mode;
use crate::named::acquire::{AcquireByHandle, AcquireByHandleOr};
use crate::named::error::{HandleInUse, TryAcquireError};
use crate::named::guard::HandleGuard;
use crate::named::registry::{HandleReservation, HandleState, Registry};
use crate::raw::acquire::RawAcquire;
use crate::raw::state::Snapshot;
use crate::sync::const_fn;
use crate::sync::future::Fused;

/// A [`MultiLock`] that is acquired and released by a handle of the caller's choice: the number of
/// a session, a string.
///
/// The caller acquires the lock by a handle, and releases it by an equal handle, from anywhere.
/// There is no guard to keep. [`holders`](Self::holders) lists the handles of all holders. To
/// release an acquisition at the end of a scope, use [`context`](Self::context), which returns a
/// guard.
///
/// A handle of this lock is a value of the type `H`. It is not a [`Handle`](crate::Handle), into
/// which the guard of a `MultiLock` is detached.
///
/// Which waiters wait for which, and what is promised to them, is documented at [`MultiLock`]. See
/// [`guide::from_python`](crate::guide::from_python) for the names that `asyncio-multilock` uses.
///
/// # Handles in use
///
/// A handle is in use from the first poll of its acquisition until the lock is released by it, or
/// until the acquisition is dropped or times out. Another acquisition by an equal handle is refused
/// at once, even if it would have to wait for the lock: the caller gets its handle back, and
/// nothing changes. A try has its handle in use, too, for as long as the try takes. A timed
/// acquisition still has its handle in use while it times out, and one with a `cancel` future while
/// it is canceled.
///
/// An acquisition that has a guard is released by the guard alone. [`release`](Self::release) does
/// nothing for the handle of such an acquisition, or of an acquisition that still waits.
///
/// A guard or a waiting acquisition that is forgotten (`mem::forget`) keeps its handle in use
/// forever.
///
/// # Foreign code
///
/// Handles are compared and cloned inside critical sections. With the feature `critical-section`,
/// interrupts are off meanwhile; without it, other threads may wait. So `Eq`, `Clone` and `Borrow`
/// of a handle should be quick, and must not use the same lock: that hangs or panics. If one of
/// them panics, the lock stays as it was.
///
/// Handles are dropped outside critical sections, and their drop may use the lock. If the drop of a
/// handle panics while the lock is dropped, the other handles are dropped all the same.
///
/// # Cost
///
/// An operation compares its handle with all handles in use, one by one: the lock is for tens of
/// holders, not for thousands. No critical section is longer than eight comparisons.
///
/// The first acquisition allocates room for eight handles. The lock allocates more room when more
/// handles are in use at once, and keeps it until the lock is dropped. Nothing else is allocated
/// for a handle.
///
/// Handles may be large. An operation needs stack for at most 6 handles, among them the one that it
/// is given and the one that it returns. In a build without optimization it needs stack for at most
/// 16. The future of an acquisition has room for one handle.
///
/// # Examples
///
/// ```
/// use multilock::{HandleInUse, HandleLock, Mode};
///
/// static SESSIONS: HandleLock<u32> = HandleLock::new();
///
/// async fn open(session: u32) -> Result<(), HandleInUse<u32>> {
///     SESSIONS.acquire(Mode::Shared, session).await
/// }
///
/// fn close(session: u32) {
///     if SESSIONS.release(&session).is_none() {
///         println!("{session} was not open");
///     }
/// }
/// ```
pub struct HandleLock<H> {
    lock: MultiLock,
    registry: Registry<H>,
}

impl<H> HandleLock<H> {
    const_fn! {
        /// Creates a lock without holders.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::HandleLock;
        ///
        /// static SESSIONS: HandleLock<u32> = HandleLock::new();
        /// assert!(SESSIONS.holders().is_empty());
        /// ```
        #[must_use]
        pub fn new() -> Self {
            Self { lock: MultiLock::new(), registry: Registry::new() }
        }
    }

    /// Returns the strongest mode that the lock is held in, or `None` if the lock is free.
    ///
    /// The result may be out of date by the time the caller looks at it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// lock.try_acquire(Mode::Shared, "reader").unwrap();
    /// assert_eq!(lock.locked(), Some(Mode::Shared));
    /// lock.release("reader");
    /// assert_eq!(lock.locked(), None);
    /// ```
    #[must_use]
    pub fn locked(&self) -> Option<Mode> {
        self.lock.locked()
    }

    /// Returns the holders and the waiters of the lock, all at one moment, and without their
    /// handles.
    ///
    /// The snapshot may be out of date by the time the caller looks at it. To list the handles, use
    /// [`holders`](Self::holders).
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// lock.try_acquire(Mode::Shared, 1).unwrap();
    /// lock.try_acquire(Mode::Shared, 2).unwrap();
    /// assert_eq!(lock.snapshot().shared_holders(), 2);
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.lock.snapshot()
    }

    /// Waits until `mode` can be acquired, without acquiring the lock and without a handle.
    ///
    /// The future does not hold the lock and has no place among the waiters, so no task waits
    /// because of it. Its result is a hint: when it is ready, the lock could be acquired, now or a
    /// moment ago, and another task may have acquired it since.
    ///
    /// # Cancel safety
    ///
    #[doc = text!(wait_cancel_safety)]
    ///
    /// # Deadlocks
    ///
    #[doc = text!(wait_deadlocks)]
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// while lock.try_acquire(Mode::Exclusive, "writer").is_err() {
    ///     lock.wait(Mode::Exclusive).await;
    /// }
    /// assert_eq!(lock.release("writer"), Some(Mode::Exclusive));
    /// # });
    /// ```
    pub fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync {
        self.lock.wait(mode)
    }

    /// Creates a monitor that reports when `mode` can be acquired, and that needs no handle.
    ///
    /// The monitor is set at once if `mode` can be acquired now, and again each time `mode` becomes
    /// acquirable: see [`Monitor`].
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// lock.try_acquire(Mode::Exclusive, "writer").unwrap();
    /// let monitor = lock.monitor(Mode::Shared);
    /// assert!(!monitor.is_set());
    /// lock.release("writer");
    /// assert!(monitor.is_set());
    /// ```
    pub fn monitor(&self, mode: Mode) -> Monitor<'_> {
        self.lock.monitor(mode)
    }

    /// Makes the lock notify `event` each time `mode` becomes acquirable, until the subscription is
    /// dropped. It needs no handle.
    ///
    /// [`MultiLock::notify`] documents what an event is notified of, how to wait for it, and what it
    /// costs.
    ///
    /// # Examples
    ///
    /// ```
    /// use event_listener::{Event, Listener};
    /// use multilock::{HandleLock, Mode};
    /// use std::sync::Arc;
    ///
    /// let (lock, event) = (HandleLock::new(), Arc::new(Event::new()));
    /// let subscription = lock.notify(Mode::Shared, &event);
    /// lock.try_acquire(Mode::Exclusive, "writer").unwrap();
    /// let listener = event.listen();
    /// lock.release("writer");
    /// listener.wait();
    /// drop(subscription);
    /// ```
    #[cfg(feature = "event-listener")]
    pub fn notify(&self, mode: Mode, event: impl Into<SharedEvent>) -> Subscription<'_> {
        self.lock.notify(mode, event)
    }

    /// Returns the handle and the mode of each holder, in the order in which the holders asked for
    /// the lock. Waiters are not included.
    ///
    /// The list is collected while other callers acquire and release the lock. A holder that keeps
    /// the lock all the time is in the list once. A holder that enters or leaves meanwhile may be
    /// in the list. A holder that leaves and enters again may be in it twice. So the listed holders
    /// need not have held the lock together.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// lock.try_acquire(Mode::Upgradable, "writer").unwrap();
    /// lock.try_acquire(Mode::Shared, "reader").unwrap();
    /// assert_eq!(lock.holders(), [("writer", Mode::Upgradable), ("reader", Mode::Shared)]);
    /// ```
    #[must_use]
    pub fn holders(&self) -> Vec<(H, Mode)>
    where
        H: Clone,
    {
        self.registry.holders()
    }
}

impl<H: Eq> HandleLock<H> {
    /// Acquires the lock in `mode` by `handle` if that is possible now. Never waits.
    ///
    /// The lock then stays held until it is [released](Self::release) by an equal handle.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::HandleInUse`] if the handle is in use, and
    /// [`TryAcquireError::WouldBlock`] in the cases in which [`MultiLock::try_acquire`] returns
    /// `None`. An error contains the handle, and changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode, TryAcquireError};
    ///
    /// let lock = HandleLock::new();
    /// lock.try_acquire(Mode::Shared, 1).unwrap();
    /// let again = lock.try_acquire(Mode::Shared, 1);
    /// assert_eq!(again, Err(TryAcquireError::HandleInUse(1)));
    /// let other = lock.try_acquire(Mode::Exclusive, 2);
    /// assert_eq!(other, Err(TryAcquireError::WouldBlock(2)));
    /// assert_eq!(lock.release(&1), Some(Mode::Shared));
    /// ```
    pub fn try_acquire(&self, mode: Mode, handle: H) -> Result<(), TryAcquireError<H>> {
        self.acquire_with(mode, handle, || self.lock.raw.try_acquire(mode))
    }

    /// Acquires the lock in `mode` by `handle`, waiting asynchronously until the lock is available.
    ///
    /// The lock then stays held until it is [released](Self::release) by an equal handle.
    ///
    #[doc = text!(waits)]
    ///
    /// The future is `Send` if `H` is, and `Sync` if `H` is both.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point before it is ready. It then does not hold the lock,
    /// and has lost its place in the queue. If it had been woken, its drop passes the wake-up on to
    /// the next waiter. The handle is dropped with the future, and is not in use any more.
    ///
    /// # Deadlocks
    ///
    /// The wait may never end if the task already holds the same lock, by whatever handle: see
    /// [`MultiLock`](MultiLock#deadlocks).
    ///
    /// # Errors
    ///
    /// Returns [`HandleInUse`] at the first poll if the handle is in use. The error contains the
    /// handle, and changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{HandleInUse, HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// lock.acquire(Mode::Exclusive, "printer").await.unwrap();
    /// let again = lock.acquire(Mode::Exclusive, "printer").await;
    /// assert_eq!(again, Err(HandleInUse("printer")));
    /// assert_eq!(lock.release("printer"), Some(Mode::Exclusive));
    /// # });
    /// ```
    pub fn acquire(
        &self,
        mode: Mode,
        handle: H,
    ) -> impl FusedFuture<Output = Result<(), HandleInUse<H>>> {
        AcquireByHandle::new(self, mode, handle, confirm_held)
    }

    /// Acquires the lock in `mode` by `handle`, unless `cancel` is ready first.
    ///
    /// The lock then stays held until it is [released](Self::release) by an equal handle.
    ///
    #[doc = text!(waits)]
    ///
    /// With a timer as `cancel`, this is an acquisition with a time limit, on any runtime:
    /// [`MultiLock::acquire_or`](MultiLock::acquire_or) shows the timers of some. Each
    /// poll tries to acquire the lock first, and polls `cancel` only if that fails. When `cancel`
    /// is ready, the future tries once more, like [`try_acquire`](Self::try_acquire). So if both are
    /// ready, the lock is acquired. The handle is in use until after that try.
    ///
    /// The outer `Result` says which of the two was ready. The inner one is that of
    /// [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point before it is ready, and `cancel` is dropped with it.
    /// It then does not hold the lock, and has lost its place in the queue. If it had been woken,
    /// its drop passes the wake-up on to the next waiter. The handle is dropped with the future,
    /// and is not in use any more.
    ///
    /// # Deadlocks
    ///
    /// If the task already holds the same lock, by whatever handle, the wait may end only when
    /// `cancel` is ready: see [`MultiLock`](MultiLock#deadlocks).
    ///
    /// # Errors
    ///
    /// Returns the handle, which is not in use any more, and the output of `cancel` in the outer
    /// `Result`. The acquisition has then lost its place in the queue, and does not hold the lock.
    ///
    /// Returns [`HandleInUse`] in the inner `Result`, at the first poll, if the handle is in use.
    /// The error contains the handle, and changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// let timer = async {};
    /// match lock.acquire_or(Mode::Exclusive, "printer", timer).await {
    ///     Ok(Ok(())) => assert_eq!(lock.release("printer"), Some(Mode::Exclusive)),
    ///     Ok(Err(error)) => println!("{error}"),
    ///     Err((name, ())) => println!("{name}: too late"),
    /// }
    /// # });
    /// ```
    pub fn acquire_or<C: Future>(
        &self,
        mode: Mode,
        handle: H,
        cancel: C,
    ) -> impl FusedFuture<Output = Result<Result<(), HandleInUse<H>>, (H, C::Output)>> {
        AcquireByHandleOr::new(self, mode, handle, self.lock.acquire_or(mode, cancel), confirm_held)
    }

    /// Acquires the lock in `mode` by a fresh handle, waiting asynchronously until the lock is
    /// available, and returns the handle.
    ///
    /// The handle is made from a [`HandleId`] at the first poll, and no other acquisition uses it.
    /// `From` should make different handles of different ids: if a handle is in use already, the
    /// lock makes another one.
    ///
    /// The lock then stays held until it is [released](Self::release) by the handle.
    ///
    #[doc = text!(waits)]
    ///
    /// The future is `Send` if `H` is, and `Sync` if `H` is both.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point before it is ready. It then does not hold the lock,
    /// and has lost its place in the queue. If it had been woken, its drop passes the wake-up on to
    /// the next waiter. The handle is not in use any more.
    ///
    /// # Deadlocks
    ///
    /// The wait may never end if the task already holds the same lock, by whatever handle: see
    /// [`MultiLock`](MultiLock#deadlocks). The first poll never returns if `From` makes nothing but
    /// handles that are in use.
    ///
    /// # Panics
    ///
    /// Panics at the first poll if `usize::MAX` locks and sets have had handles before this lock.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{HandleId, HandleLock, Mode};
    ///
    /// let lock = HandleLock::<HandleId>::new();
    /// let handle = lock.acquire_new(Mode::Exclusive).await;
    /// assert_eq!(lock.holders(), [(handle, Mode::Exclusive)]);
    /// assert_eq!(lock.release(&handle), Some(Mode::Exclusive));
    /// # });
    /// ```
    pub fn acquire_new(&self, mode: Mode) -> impl FusedFuture<Output = H>
    where
        H: From<HandleId> + Clone,
    {
        let mut handle = None;
        Fused::<_, H>::new(async move {
            // Made before the handle is reserved, and dropped after the handle is removed: a waiter
            // that is woken in place of this one may use the handle.
            let acquire = pin!(RawAcquire::new(&self.lock, mode));
            let reservation = self.reserve_new(&mut handle);
            acquire.await;
            confirm_held(self, reservation, mode);
            take_handle(&mut handle)
        })
    }

    /// Acquires the lock in `mode` by a fresh handle if that is possible now, and returns the
    /// handle. Never waits for the lock.
    ///
    /// Returns `None` in the cases in which [`MultiLock::try_acquire`] does.
    ///
    /// The handle is made from a [`HandleId`], and no other acquisition uses it. `From` should make
    /// different handles of different ids: if a handle is in use already, the lock makes another
    /// one.
    ///
    /// # Deadlocks
    ///
    /// The method never returns if `From` makes nothing but handles that are in use.
    ///
    /// # Panics
    ///
    /// Panics if `usize::MAX` locks and sets have had handles before this lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleId, HandleLock, Mode};
    ///
    /// let lock = HandleLock::<HandleId>::new();
    /// let handle = lock.try_acquire_new(Mode::Exclusive).unwrap();
    /// assert_eq!(lock.try_acquire_new(Mode::Shared), None);
    /// assert_eq!(lock.release(&handle), Some(Mode::Exclusive));
    /// ```
    #[must_use = "the lock stays held until it is released by the handle"]
    #[track_caller]
    pub fn try_acquire_new(&self, mode: Mode) -> Option<H>
    where
        H: From<HandleId> + Clone,
    {
        let mut handle = None;
        let reservation = self.reserve_new(&mut handle);
        if !self.lock.raw.try_acquire(mode) {
            return None;
        }
        confirm_held(self, reservation, mode);
        handle
    }

    /// Releases the acquisition that holds the lock by `handle`, and returns the mode that it held
    /// the lock in.
    ///
    /// Returns `None`, and changes nothing, if the handle is not in use, if its acquisition still
    /// waits, or if its acquisition has a guard.
    ///
    /// The handle may be given in a borrowed form, as to the maps of the standard library: a lock
    /// that is held by a `String` is released by a `&str`.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock: HandleLock<String> = HandleLock::new();
    /// lock.try_acquire(Mode::Exclusive, "printer".into()).unwrap();
    /// assert_eq!(lock.release("scanner"), None);
    /// assert_eq!(lock.release("printer"), Some(Mode::Exclusive));
    /// assert_eq!(lock.release("printer"), None);
    /// ```
    pub fn release<Q>(&self, handle: &Q) -> Option<Mode>
    where
        H: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        // The handle is removed before the lock is free, and dropped after: its drop is foreign
        // code.
        let mut released = None;
        let mode = self.registry.remove_held(handle, &mut released)?;
        drop(Guard::new(&self.lock, mode));
        Some(mode)
    }

    /// Acquires the lock in `mode` by `handle`, waiting asynchronously until the lock is available,
    /// and returns a guard that releases it.
    ///
    #[doc = text!(waits)]
    ///
    /// The future is `Send` if `H` is, and `Sync` if `H` is both.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point before it is ready. It then does not hold the lock,
    /// and has lost its place in the queue. If it had been woken, its drop passes the wake-up on to
    /// the next waiter. The handle is dropped with the future, and is not in use any more.
    ///
    /// # Deadlocks
    ///
    /// The wait may never end if the task already holds the same lock, by whatever handle: see
    /// [`MultiLock`](MultiLock#deadlocks).
    ///
    /// # Errors
    ///
    /// Returns [`HandleInUse`] at the first poll if the handle is in use. The error contains the
    /// handle, and changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// let guard = lock.context(Mode::Shared, 1).await.unwrap();
    /// assert_eq!(lock.holders(), [(1, Mode::Shared)]);
    /// drop(guard);
    /// assert_eq!(lock.holders(), []);
    /// # });
    /// ```
    pub fn context(
        &self,
        mode: Mode,
        handle: H,
    ) -> impl FusedFuture<Output = Result<HandleGuard<'_, H>, HandleInUse<H>>> {
        AcquireByHandle::new(self, mode, handle, HandleGuard::new)
    }

    /// Acquires the lock in `mode` by `handle`, unless `cancel` is ready first, and returns a guard
    /// that releases it.
    ///
    #[doc = text!(waits)]
    ///
    /// With a timer as `cancel`, this is an acquisition with a time limit, on any runtime:
    /// [`MultiLock::acquire_or`](MultiLock::acquire_or) shows the timers of some. Each poll tries to
    /// acquire the lock first, and polls `cancel` only if that fails. When `cancel` is ready, the
    /// future tries once more, like [`try_context`](Self::try_context). So if both are ready, the
    /// lock is acquired. The handle is in use until after that try.
    ///
    /// The outer `Result` says which of the two was ready. The inner one is that of
    /// [`context`](Self::context).
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point before it is ready, and `cancel` is dropped with it.
    /// It then does not hold the lock, and has lost its place in the queue. If it had been woken,
    /// its drop passes the wake-up on to the next waiter. The handle is dropped with the future,
    /// and is not in use any more.
    ///
    /// # Deadlocks
    ///
    /// If the task already holds the same lock, by whatever handle, the wait may end only when
    /// `cancel` is ready: see [`MultiLock`](MultiLock#deadlocks).
    ///
    /// # Errors
    ///
    /// Returns the handle, which is not in use any more, and the output of `cancel` in the outer
    /// `Result`. The acquisition has then lost its place in the queue, and does not hold the lock.
    ///
    /// Returns [`HandleInUse`] in the inner `Result`, at the first poll, if the handle is in use.
    /// The error contains the handle, and changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// let timer = async {};
    /// match lock.context_or(Mode::Shared, 1, timer).await {
    ///     Ok(Ok(guard)) => assert_eq!(guard.handle(), 1),
    ///     Ok(Err(error)) => println!("{error}"),
    ///     Err((handle, ())) => println!("{handle}: too late"),
    /// }
    /// # });
    /// ```
    #[allow(
        clippy::type_complexity,
        reason = "a name for it would not say which `Result` is which"
    )]
    pub fn context_or<C: Future>(
        &self,
        mode: Mode,
        handle: H,
        cancel: C,
    ) -> impl FusedFuture<Output = Result<Result<HandleGuard<'_, H>, HandleInUse<H>>, (H, C::Output)>>
    {
        let acquire = self.lock.acquire_or(mode, cancel);
        AcquireByHandleOr::new(self, mode, handle, acquire, HandleGuard::new)
    }

    /// Acquires the lock in `mode` by `handle` if that is possible now, and returns a guard that
    /// releases it. Never waits.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::HandleInUse`] if the handle is in use, and
    /// [`TryAcquireError::WouldBlock`] in the cases in which [`MultiLock::try_acquire`] returns
    /// `None`. An error contains the handle, and changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// let guard = lock.try_context(Mode::Exclusive, "writer").unwrap();
    /// assert_eq!(lock.release("writer"), None);
    /// drop(guard);
    /// assert_eq!(lock.locked(), None);
    /// ```
    pub fn try_context(
        &self,
        mode: Mode,
        handle: H,
    ) -> Result<HandleGuard<'_, H>, TryAcquireError<H>> {
        let acquire = || self.lock.raw.try_acquire(mode);
        self.reserve_and_acquire(handle, acquire, |reservation| {
            HandleGuard::new(self, reservation, mode)
        })
    }

    /// Reserves a fresh handle, and leaves a copy of it in `handle`, which was empty.
    #[track_caller]
    fn reserve_new<'a>(&'a self, handle: &mut Option<H>) -> HandleReservation<'a, H>
    where
        H: From<HandleId> + Clone,
    {
        loop {
            let fresh = handle.insert(HandleId::new(self.lock.id.get()).into());
            if let Some(reservation) = self.registry.reserve(&mut Some(fresh.clone())) {
                return reservation;
            }
        }
    }

    /// Reserves `handle`, and runs `acquire`, which acquires the lock in `mode` or returns `false`.
    /// The lock then stays held until it is released by an equal handle.
    fn acquire_with(
        &self,
        mode: Mode,
        handle: H,
        acquire: impl FnOnce() -> bool,
    ) -> Result<(), TryAcquireError<H>> {
        self.reserve_and_acquire(handle, acquire, |reservation| {
            confirm_held(self, reservation, mode)
        })
    }

    /// Reserves `handle`, runs `acquire`, and confirms the reservation if the lock was acquired.
    ///
    /// Handles may be large. So from here on they are not passed by value, but swapped from one
    /// place to another.
    fn reserve_and_acquire<'a, T>(
        &'a self,
        handle: H,
        acquire: impl FnOnce() -> bool,
        confirm: impl FnOnce(HandleReservation<'a, H>) -> T,
    ) -> Result<T, TryAcquireError<H>> {
        let handle = &mut Some(handle);
        let refusal = match self.registry.reserve(handle) {
            None => TryAcquireError::HandleInUse,
            Some(reservation) if acquire() => return Ok(confirm(reservation)),
            Some(reservation) => {
                reservation.cancel(handle);
                TryAcquireError::WouldBlock
            }
        };
        Err(refusal(take_handle(handle)))
    }
}

/// Takes the handle out of `handle`, where it is known to be.
fn take_handle<H>(handle: &mut Option<H>) -> H {
    handle.take().expect("there is a handle")
}

/// Confirms `reservation` for a caller that has acquired the lock in `mode`: the lock stays held
/// until it is released by an equal handle.
fn confirm_held<H>(_: &HandleLock<H>, reservation: HandleReservation<'_, H>, mode: Mode) {
    reservation.confirm(HandleState::Held(mode));
}

impl<H> Default for HandleLock<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> fmt::Debug for HandleLock<H> {
    /// Formats the [`snapshot`](Self::snapshot), and changes nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandleLock").field(&self.snapshot()).finish()
    }
}
