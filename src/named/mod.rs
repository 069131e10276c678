//! A lock that is acquired and released by name.

mod registry;

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::future::poll_fn;
use core::mem::ManuallyDrop;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
#[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
use std::time::{Duration, Instant};

use futures_core::FusedFuture;

use crate::error::{HandleInUse, TryAcquireError, UpgradeError};
use crate::lock::MultiLock;
use crate::lock::guard::Guard;
use crate::lock::handle::HandleId;
use crate::lock::monitor::Monitor;
use crate::mode::Mode;
use crate::named::registry::{HandleReservation, HandleState, Registry, SlotRef};
use crate::raw::RawUpgrade;
use crate::raw::acquire::RawAcquire;
use crate::raw::state::Snapshot;
use crate::sync::const_fn;
use crate::sync::fused::Fused;

/// A [`MultiLock`] that is acquired and released by a name of the caller's choice: the number of a
/// session, a string.
///
/// The caller acquires the lock by a name, and releases it by that name, from anywhere. The caller
/// keeps nothing else. [`holders`](Self::holders) lists the names that hold the lock. For an
/// acquisition that ends by itself, [`context`](Self::context) returns a guard.
///
/// Which waiters wait for which, and what is promised to them, is documented at [`MultiLock`].
///
/// # Names
///
/// A name is in use from the first poll of its acquisition until the lock is released by it, or
/// until the acquisition is dropped or times out. A caller that wants to use the name meanwhile is
/// refused at once, also if it would have to wait for the lock. The caller gets its name back, and
/// nothing changes. A try uses its name too, for the moment that the try takes. A timed acquisition
/// still uses its name while it times out.
///
/// An acquisition that has a guard is released by the guard alone. [`release`](Self::release) does
/// nothing for the name of such an acquisition, or of one that still waits.
///
/// A guard or a waiting acquisition that is forgotten (`mem::forget`) keeps its name in use
/// forever.
///
/// # Foreign code
///
/// Names are compared and cloned inside of critical sections. With the feature `critical-section`,
/// interrupts are off meanwhile; without it, other threads may wait. So `Eq`, `Clone` and `Borrow`
/// of a name should be quick, and must not use the same lock: that hangs or panics. If one of them
/// panics, the lock stays as it was.
///
/// Names are dropped outside of critical sections, and their drop may use the lock. If the drop of
/// a name panics while the lock is dropped, the other names are dropped all the same.
///
/// # Cost
///
/// An operation compares its name with all names in use, one by one: the lock is for tens of
/// holders, not for thousands. No critical section is longer than eight comparisons.
///
/// The first acquisition allocates room for eight names. The lock allocates more room when more
/// names are in use at once, and keeps it until the lock is dropped. Nothing else is allocated for
/// a name.
///
/// Names may be large. An operation needs stack for at most 6 names, among them the one that it is
/// given and the one that it returns. In a build without optimization it needs stack for at most
/// 16. The future of an acquisition has room for one name.
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
        /// Creates a lock that is not held.
        #[must_use]
        pub fn new() -> Self {
            Self { lock: MultiLock::new(), registry: Registry::new() }
        }
    }

    /// Returns the strongest mode that the lock is held in, or `None` if the lock is not held.
    ///
    /// The result may be out of date when the caller looks at it.
    #[must_use]
    pub fn locked(&self) -> Option<Mode> {
        self.lock.locked()
    }

    /// Returns the holders and the waiters of the lock, all at one moment, and without their names.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.lock.snapshot()
    }

    /// Waits until `mode` can be acquired, without acquiring it and without a name.
    ///
    /// The future is a hint: when it is ready, the lock could be acquired, now or a moment ago, and
    /// another caller may have acquired it since. No other waiter waits because of it.
    /// [`MultiLock::wait`] documents it in full.
    pub fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync {
        self.lock.wait(mode)
    }

    /// Returns a monitor that is set when `mode` can be acquired, and that needs no name.
    ///
    /// The monitor is set at once if `mode` can be acquired now, and again each time that `mode`
    /// becomes acquirable. [`MultiLock::monitor`] documents it in full.
    #[doc(alias = "notify")]
    pub fn monitor(&self, mode: Mode) -> Monitor<'_> {
        self.lock.monitor(mode)
    }

    /// Returns the name and the mode of each holder, in the order in which they asked for the lock.
    /// Waiters are not included.
    ///
    /// The list is collected while others acquire and release the lock. A holder that holds the
    /// lock all the time is in the list once. A holder that enters or leaves meanwhile may be in
    /// it, and is in it twice if it leaves and enters again. So the listed holders need not have
    /// held the lock together.
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
    /// Acquires the lock in `mode` by the name `handle` if that is possible now, without waiting.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::HandleInUse`] if the name is in use, and
    /// [`TryAcquireError::WouldBlock`] if [`MultiLock::try_acquire`] would return `None`. An error
    /// changes nothing.
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

    /// Acquires the lock in `mode` by the name `handle`, waiting asynchronously until it is
    /// available.
    ///
    /// The future is `Send` if `H` is, and `Sync` if `H` is both.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point. The acquisition then does not hold the lock, and
    /// leaves the queue. If it had been woken, the next waiter is woken in its place. The name is
    /// dropped with the future, and is not in use any more.
    ///
    /// # Deadlocks
    ///
    /// A task that already holds the same lock, by whatever name, can deadlock with itself.
    ///
    /// # Errors
    ///
    /// Returns [`HandleInUse`] at the first poll, if the name is in use. An error changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multilock::{HandleInUse, HandleLock, Mode};
    /// # async fn example(lock: &HandleLock<String>) -> Result<(), HandleInUse<String>> {
    /// lock.acquire(Mode::Exclusive, "printer".into()).await?;
    /// assert_eq!(lock.release("printer"), Some(Mode::Exclusive));
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire(
        &self,
        mode: Mode,
        handle: H,
    ) -> impl FusedFuture<Output = Result<(), HandleInUse<H>>> {
        AcquireByHandle::new(self, mode, handle, |_, reservation, mode| {
            confirm_held(reservation, mode)
        })
    }

    /// Acquires the lock in `mode` by the name `handle`, blocking the thread until it is available.
    ///
    /// # Deadlocks
    ///
    /// A caller that already holds the same lock, by whatever name, can deadlock with itself.
    /// Inside of async code, the call can also deadlock if the holder needs the blocked thread to
    /// make progress. The method waits as [`MultiLock::acquire_blocking`] does.
    ///
    /// # Errors
    ///
    /// Returns [`HandleInUse`], at once, if the name is in use. An error changes nothing.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub fn acquire_blocking(&self, mode: Mode, handle: H) -> Result<(), HandleInUse<H>> {
        let mut handle = Some(handle);
        match self.registry.reserve(&mut handle) {
            Some(reservation) => {
                self.lock.raw.acquire_blocking(mode);
                confirm_held(reservation, mode);
                Ok(())
            }
            None => Err(HandleInUse(take_handle(&mut handle))),
        }
    }

    /// Acquires the lock in `mode` by the name `handle`, blocking the thread until it is available,
    /// but no longer than `timeout`.
    ///
    /// If `timeout` is zero, the lock is tried once. If `timeout` is too long for the clock, there
    /// is no limit.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::HandleInUse`], at once, if the name is in use, and
    /// [`TryAcquireError::WouldBlock`] if the time is over. An error changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode, TryAcquireError};
    /// use std::time::Duration;
    ///
    /// let lock = HandleLock::new();
    /// lock.try_acquire(Mode::Shared, "reader").unwrap();
    /// let writer = lock.acquire_blocking_timeout(Mode::Exclusive, "writer", Duration::from_millis(1));
    /// assert_eq!(writer, Err(TryAcquireError::WouldBlock("writer")));
    /// ```
    #[doc(alias = "acquire_timeout")]
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    pub fn acquire_blocking_timeout(
        &self,
        mode: Mode,
        handle: H,
        timeout: Duration,
    ) -> Result<(), TryAcquireError<H>> {
        self.acquire_with(mode, handle, || self.lock.raw.acquire_blocking_timeout(mode, timeout))
    }

    /// Acquires the lock in `mode` by the name `handle`, blocking the thread until it is available,
    /// but no longer than until `deadline`.
    ///
    /// If `deadline` has passed, the lock is tried once.
    /// [`acquire_blocking_timeout`](Self::acquire_blocking_timeout) takes a duration instead.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::HandleInUse`], at once, if the name is in use, and
    /// [`TryAcquireError::WouldBlock`] if the time is over. An error changes nothing.
    #[doc(alias = "acquire_deadline")]
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    pub fn acquire_blocking_deadline(
        &self,
        mode: Mode,
        handle: H,
        deadline: Instant,
    ) -> Result<(), TryAcquireError<H>> {
        self.acquire_with(mode, handle, || self.lock.raw.acquire_blocking_deadline(mode, deadline))
    }

    /// Acquires the lock in `mode` by a fresh name, waiting asynchronously until it is available,
    /// and returns the name.
    ///
    /// No other acquisition uses the name. The name is made from a [`HandleId`]. `From` should make
    /// different names of different ids: the lock makes another name for as long as the name is in
    /// use.
    ///
    /// The future is `Send` if `H` is, and `Sync` if `H` is both.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point, as that of [`acquire`](Self::acquire). The
    /// acquisition then does not hold the lock, and leaves the queue. If it had been woken, the
    /// next waiter is woken in its place. The name is not in use any more.
    ///
    /// # Deadlocks
    ///
    /// A task that already holds the same lock, by whatever name, can deadlock with itself, as with
    /// [`acquire`](Self::acquire). If `From` makes nothing but names that are in use, the first
    /// poll does not return.
    ///
    /// # Panics
    ///
    /// Panics if `usize::MAX` locks have had handles before this one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multilock::{HandleId, HandleLock, Mode};
    /// # async fn example(lock: &HandleLock<HandleId>) {
    /// let name = lock.acquire_new(Mode::Exclusive).await;
    /// assert_eq!(lock.holders(), [(name, Mode::Exclusive)]);
    /// assert_eq!(lock.release(&name), Some(Mode::Exclusive));
    /// # }
    /// ```
    pub fn acquire_new(&self, mode: Mode) -> impl FusedFuture<Output = H>
    where
        H: From<HandleId> + Clone,
    {
        let mut handle = None;
        Fused::<_, H>::new(async move {
            // Made before the name is reserved, and dropped after the name is taken out: a waiter
            // that is woken in place of this one may use the name.
            let acquire = pin!(RawAcquire::new(&self.lock, mode));
            let reservation = self.reserve_new(&mut handle);
            acquire.await;
            confirm_held(reservation, mode);
            take_handle(&mut handle)
        })
    }

    /// Acquires the lock in `mode` by a fresh name if that is possible now, without waiting, and
    /// returns the name.
    ///
    /// Returns `None` if [`MultiLock::try_acquire`] would. The name is made as
    /// [`acquire_new`](Self::acquire_new) makes it: from a [`HandleId`], until one is made that is
    /// not in use.
    ///
    /// # Panics
    ///
    /// Panics if `usize::MAX` locks have had handles before this one.
    #[must_use = "the lock stays held until the name is released"]
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
        confirm_held(reservation, mode);
        handle
    }

    /// Releases the lock that is held by the name `handle`, and returns the mode that it was held
    /// in.
    ///
    /// Returns `None`, and changes nothing, if the name is not in use, if its acquisition still
    /// waits, or if its acquisition has a guard.
    ///
    /// The name may be given in a borrowed form, as to the maps of the standard library: a lock
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
        // The name is taken out before the lock is free, and dropped after: its drop is foreign
        // code.
        let mut released = None;
        let mode = self.registry.remove_held(handle, &mut released)?;
        drop(Guard::new(&self.lock, mode));
        Some(mode)
    }

    /// Acquires the lock in `mode` by the name `handle`, waiting asynchronously until it is
    /// available, and returns a guard that releases it.
    ///
    /// The future is `Send` if `H` is, and `Sync` if `H` is both.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point, as that of [`acquire`](Self::acquire). The
    /// acquisition then does not hold the lock, and leaves the queue. If it had been woken, the
    /// next waiter is woken in its place. The name is dropped with the future, and is not in use
    /// any more.
    ///
    /// # Deadlocks
    ///
    /// A task that already holds the same lock, by whatever name, can deadlock with itself, as with
    /// [`acquire`](Self::acquire).
    ///
    /// # Errors
    ///
    /// Returns [`HandleInUse`] at the first poll, if the name is in use, as
    /// [`acquire`](Self::acquire) does. An error changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multilock::{HandleInUse, HandleLock, Mode};
    /// # async fn example(lock: &HandleLock<u32>) -> Result<(), HandleInUse<u32>> {
    /// let guard = lock.context(Mode::Shared, 1).await?;
    /// assert_eq!(lock.holders(), [(1, Mode::Shared)]);
    /// drop(guard);
    /// assert_eq!(lock.holders(), []);
    /// # Ok(())
    /// # }
    /// ```
    pub fn context(
        &self,
        mode: Mode,
        handle: H,
    ) -> impl FusedFuture<Output = Result<HandleGuard<'_, H>, HandleInUse<H>>> {
        AcquireByHandle::new(self, mode, handle, HandleGuard::new)
    }

    /// Acquires the lock in `mode` by the name `handle` if that is possible now, without waiting,
    /// and returns a guard that releases it.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::HandleInUse`] if the name is in use, and
    /// [`TryAcquireError::WouldBlock`] if [`try_acquire`](Self::try_acquire) would return it. An
    /// error changes nothing.
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

    /// Reserves a fresh name, and leaves a copy of it in `handle`, which was empty.
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

    fn acquire_with(
        &self,
        mode: Mode,
        handle: H,
        acquire: impl FnOnce() -> bool,
    ) -> Result<(), TryAcquireError<H>> {
        self.reserve_and_acquire(handle, acquire, |reservation| confirm_held(reservation, mode))
    }

    /// Reserves the name in `handle`, acquires the lock by it, and confirms the reservation.
    ///
    /// Names may be large. So from here on they are not passed by value, but swapped from one place
    /// to another.
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

/// Takes the name out of `handle`.
fn take_handle<H>(handle: &mut Option<H>) -> H {
    handle.take().expect("there is a handle")
}

/// Confirms `reservation`: the lock, which the caller has acquired in `mode`, stays held until it
/// is released by the name.
fn confirm_held<H>(reservation: HandleReservation<'_, H>, mode: Mode) {
    reservation.confirm(HandleState::Held(mode));
}

impl<H> Default for HandleLock<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> fmt::Debug for HandleLock<H> {
    /// Shows the [`snapshot`](Self::snapshot), and touches nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandleLock").field(&self.snapshot()).finish()
    }
}

/// An acquisition by a name. It is written by hand: the future of an `async` block would have room
/// for a name wherever one is passed.
struct AcquireByHandle<'a, H, T> {
    lock: &'a HandleLock<H>,
    /// The name, until the first poll.
    handle: Option<H>,
    /// The reservation of the name, as long as the acquisition waits. It is dropped before
    /// `acquire`: a waiter that is woken in place of this one may use the name.
    reservation: Option<HandleReservation<'a, H>>,
    acquire: RawAcquire<'a, MultiLock>,
    confirm: fn(&'a HandleLock<H>, HandleReservation<'a, H>, Mode) -> T,
}

impl<'a, H, T> AcquireByHandle<'a, H, T> {
    fn new(
        lock: &'a HandleLock<H>,
        mode: Mode,
        handle: H,
        confirm: fn(&'a HandleLock<H>, HandleReservation<'a, H>, Mode) -> T,
    ) -> Self {
        let acquire = RawAcquire::new(&lock.lock, mode);
        Self { lock, handle: Some(handle), reservation: None, acquire, confirm }
    }
}

impl<'a, H: Eq, T> Future for AcquireByHandle<'a, H, T> {
    type Output = Result<T, HandleInUse<H>>;

    /// # Panics
    ///
    /// Panics if the future was ready before.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the acquisition, which alone is pinned with this future, is not moved.
        let (acquire, handle, reservation, lock, confirm) = unsafe {
            let this = self.get_unchecked_mut();
            let acquire = Pin::new_unchecked(&mut this.acquire);
            (acquire, &mut this.handle, &mut this.reservation, this.lock, this.confirm)
        };
        if handle.is_some() {
            *reservation = lock.registry.reserve(handle);
            if reservation.is_none() {
                return Poll::Ready(Err(HandleInUse(take_handle(handle))));
            }
        }
        assert!(reservation.is_some(), "polled after it was ready");
        let mode = acquire.mode();
        ready!(acquire.poll(cx));
        let reservation = reservation.take().expect("it is there until the acquisition is ready");
        Poll::Ready(Ok(confirm(lock, reservation, mode)))
    }
}

impl<H: Eq, T> FusedFuture for AcquireByHandle<'_, H, T> {
    fn is_terminated(&self) -> bool {
        self.handle.is_none() && self.reservation.is_none()
    }
}

/// A guard of a [`HandleLock`]: it holds the lock by a name until it is dropped.
///
/// The guard may be kept across `.await`. It may be moved to other threads, and shared with them,
/// if the name may be moved there.
///
/// A guard that is dropped by a panic releases the lock: there is no poisoning.
///
/// A guard that is forgotten (`mem::forget`) leaves the lock held and its name in use forever. If
/// the future of its upgrade is forgotten while it waits, the guard is upgradable from then on, and
/// the lock is held forever, also when the guard is dropped. Neither harms another holder.
#[must_use = "the lock is released as soon as the guard is dropped"]
#[clippy::has_significant_drop]
pub struct HandleGuard<'a, H> {
    lock: &'a HandleLock<H>,
    slot: SlotRef<'a, H>,
    mode: Mode,
}

impl<'a, H> HandleGuard<'a, H> {
    /// Makes the guard of `lock`, which the caller has acquired in `mode`.
    fn new(lock: &'a HandleLock<H>, reservation: HandleReservation<'a, H>, mode: Mode) -> Self {
        Self { lock, slot: reservation.confirm(HandleState::Guarded(mode)), mode }
    }

    /// Returns the mode that the lock is held in.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns the lock that is held.
    #[must_use]
    pub fn lock(&self) -> &HandleLock<H> {
        self.lock
    }

    /// Returns a clone of the name, made inside of a critical section.
    #[must_use]
    pub fn handle(&self) -> H
    where
        H: Clone,
    {
        self.slot.handle()
    }

    /// Downgrades the guard to a weaker mode, or to the same, without waiting, as
    /// [`Guard::downgrade`] does.
    ///
    /// # Panics
    ///
    /// Panics if `to` is stronger than the mode of the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode};
    ///
    /// let lock = HandleLock::new();
    /// let mut guard = lock.try_context(Mode::Exclusive, 1).unwrap();
    /// guard.downgrade(Mode::Shared);
    /// assert_eq!(lock.holders(), [(1, Mode::Shared)]);
    /// ```
    #[track_caller]
    pub fn downgrade(&mut self, to: Mode) {
        let mut guard = self.as_guard();
        // The registry changes first, so that it shows no holder in a stronger mode than the word.
        // If `to` is stronger, the registry keeps the mode, and the guard panics.
        self.set_mode(to.min(self.mode));
        guard.downgrade(to);
    }

    /// Upgrades the guard to exclusive mode if there is no other holder. An exclusive guard stays
    /// as it is.
    ///
    /// # Errors
    ///
    /// Returns [`UpgradeError::SharedHolders`] if there are other holders, and
    /// [`UpgradeError::Conflict`] if one of them is upgradable. The guard then keeps its mode.
    pub fn try_upgrade(&mut self) -> Result<(), UpgradeError> {
        self.as_guard().try_upgrade()?;
        self.set_mode(Mode::Exclusive);
        Ok(())
    }

    /// Upgrades the guard to exclusive mode, once the other shared holders have left, as
    /// [`Guard::upgrade`] does. An exclusive guard stays as it is.
    ///
    /// While the upgrade waits, [`holders`](HandleLock::holders) shows the guard as upgradable.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped leaves the guard in its mode, and wakes the waiters that waited
    /// because of the upgrade.
    ///
    /// # Deadlocks
    ///
    /// A task that waits for an upgrade while it holds the same lock once more in shared mode, by
    /// whatever name, waits for itself.
    ///
    /// # Errors
    ///
    /// Returns [`UpgradeError::Conflict`] at the first poll, if the guard is shared and another
    /// holder is upgradable or upgrades: the two would wait for each other. The guard then keeps
    /// its mode.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multilock::{HandleGuard, Mode, UpgradeError};
    /// # async fn example(guard: &mut HandleGuard<'_, u32>) -> Result<(), UpgradeError> {
    /// guard.upgrade().await?;
    /// assert_eq!(guard.lock().holders(), [(guard.handle(), Mode::Exclusive)]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn upgrade(&mut self) -> Result<(), UpgradeError> {
        let from = self.mode;
        if from != Mode::Exclusive {
            let lock = self.lock;
            let mut upgrading = pin!(RawUpgrade::new(&lock.lock.raw, from));
            // Dropped before the upgrade: the registry shows no stronger mode than the word.
            let mut ends_as = SetModeOnDrop { guard: self, mode: from };
            let upgraded = poll_fn(|cx| {
                let poll = upgrading.as_mut().poll(cx);
                if poll.is_pending() {
                    // While the upgrade waits, the word shows an upgradable holder. The guard says
                    // so now, in case the future is forgotten: a release in shared mode would then
                    // end the acquisition of another holder.
                    ends_as.guard.set_mode(Mode::Upgradable);
                }
                poll
            });
            if !upgraded.await {
                return Err(UpgradeError::Conflict);
            }
            ends_as.mode = Mode::Exclusive;
        }
        Ok(())
    }

    /// Returns the acquisition as a `Guard`, which can change its mode or release it.
    fn as_guard(&self) -> ManuallyDrop<Guard<'a>> {
        ManuallyDrop::new(Guard::new(&self.lock.lock, self.mode))
    }

    fn set_mode(&mut self, mode: Mode) {
        if mode != self.mode {
            self.mode = mode;
            self.slot.set_state(HandleState::Guarded(mode));
        }
    }
}

/// Sets the mode of a guard when its upgrade ends: refused, cancelled or done.
struct SetModeOnDrop<'g, 'a, H> {
    guard: &'g mut HandleGuard<'a, H>,
    mode: Mode,
}

impl<H> Drop for SetModeOnDrop<'_, '_, H> {
    fn drop(&mut self) {
        self.guard.set_mode(self.mode);
    }
}

impl<H> Drop for HandleGuard<'_, H> {
    fn drop(&mut self) {
        // The name is taken out before the lock is free, and dropped after, as in
        // `HandleLock::release`.
        let mut released = None;
        self.slot.remove_into(&mut released);
        drop(ManuallyDrop::into_inner(self.as_guard()));
    }
}

impl<H> fmt::Debug for HandleGuard<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleGuard").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// A name stays in the lock as long as the lock lives. So the lock accepts no names that live
/// shorter than those that it was made for.
///
/// ```compile_fail,E0597
/// use multilock::{HandleLock, Mode};
///
/// let lock: HandleLock<&'static str> = HandleLock::new();
/// let name = String::from("short");
/// let _ = lock.try_acquire(Mode::Shared, &name);
/// ```
///
/// ```compile_fail,E0597
/// use multilock::{HandleLock, Mode};
///
/// let lock: HandleLock<&'static str> = HandleLock::new();
/// let guard = lock.try_context(Mode::Shared, "long").unwrap();
/// let name = String::from("short");
/// let _ = guard.lock().try_acquire(Mode::Shared, &name);
/// ```
#[cfg(doctest)]
struct NamesStayAsTheyAre;
