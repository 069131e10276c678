//! A lock that is acquired and released by name.

mod acquire;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
#[cfg(doctest)]
mod compile_fail_tests;
pub(crate) mod guard;
mod registry;

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::pin::pin;

use futures_core::FusedFuture;

use crate::error::{HandleInUse, TryAcquireError};
use crate::lock::MultiLock;
use crate::lock::guard::Guard;
use crate::lock::handle::HandleId;
use crate::lock::monitor::Monitor;
use crate::mode::Mode;
use crate::named::acquire::AcquireByHandle;
use crate::named::guard::HandleGuard;
use crate::named::registry::{HandleReservation, HandleState, Registry};
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
