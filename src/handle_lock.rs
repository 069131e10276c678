//! The lock whose holds have names.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::future::poll_fn;
use core::mem::{self, ManuallyDrop};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
#[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
use std::time::{Duration, Instant};

use futures_core::FusedFuture;

use crate::acquire::Acquire;
use crate::error::{HandleInUse, TryAcquireError, UpgradeError};
use crate::fused::Fused;
use crate::guard::Guard;
use crate::handle::HandleId;
use crate::mode::Mode;
use crate::multilock::MultiLock;
use crate::notify::Notify;
use crate::raw::RawUpgrade;
use crate::state::Snapshot;
use crate::sync::const_fn;
use crate::table::{Claim, Spot, Stage, Table};

/// A [`MultiLock`] whose holds have names of the caller's choice: the number of a session, a string.
///
/// A hold is acquired by a name, and released by that name, from anywhere. Nothing else has to be kept
/// for it; [`holders`](Self::holders) tells who has the lock. For a hold that ends by itself there is a
/// guard: [`context`](Self::context).
///
/// Who waits for whom, and what is promised to waiters, is said at [`MultiLock`].
///
/// # Names
///
/// A name is in use from the first poll of its acquisition until it is released, or until the
/// acquisition is dropped or gives up. Who wants to use it meanwhile is told at once, also if it would
/// have to wait for the lock: it gets its name back, and nothing changes. That holds for tries too,
/// for the moment that they take, and for timed acquisitions while they give up.
///
/// A hold that has a guard is ended by the guard alone. To [`release`](Self::release) its name, or
/// that of an acquisition which still waits, does nothing.
///
/// A guard or a waiting acquisition that is forgotten (`mem::forget`) keeps its name in use for ever.
///
/// # Foreign code
///
/// Names are compared and cloned inside of critical sections. With the feature `critical-section`
/// interrupts are off meanwhile, and else other threads may wait. So `Eq`, `Clone` and `Borrow` of a name
/// should be quick, and must not use the same lock: that hangs or panics. If they panic, the lock
/// stays as it was. Names are dropped outside of critical sections, and may use the lock when they are. When the
/// lock is dropped and the drop of a name panics, the other names are dropped all the same.
///
/// # Cost
///
/// A name is looked for among all that are in use, one by one: this is for tens of holders, not for
/// thousands. No critical section is longer than eight comparisons.
///
/// The first acquisition allocates room for eight names. More is allocated when more are in use at
/// once, and stays until the lock is dropped. Nothing else is allocated for a name.
///
/// Names may be large. An operation needs stack for at most 6 names, the one that it is given and the one that it
/// returns among them, and for at most 16 in a build without optimization. The future of an acquisition has room for
/// one name.
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
    table: Table<H>,
}

impl<H> HandleLock<H> {
    const_fn! {
        /// A lock that nobody holds.
        #[must_use]
        pub fn new() -> Self {
            Self { lock: MultiLock::new(), table: Table::new() }
        }
    }

    /// The strongest mode that the lock is held in, or `None` if nobody holds it.
    ///
    /// It may be out of date when you look at it.
    #[must_use]
    pub fn locked(&self) -> Option<Mode> {
        self.lock.locked()
    }

    /// Who holds the lock and who waits for it, all at one moment, and without their names.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.lock.snapshot()
    }

    /// Waits until `mode` can be acquired. Acquires nothing, and needs no name.
    ///
    /// As [`MultiLock::wait`].
    pub fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync {
        self.lock.wait(mode)
    }

    /// Monitors when `mode` can be acquired, and needs no name.
    ///
    /// As [`MultiLock::notify`].
    pub fn notify(&self, mode: Mode) -> Notify<'_> {
        self.lock.notify(mode)
    }

    /// Who holds the lock, and in which mode, in the order in which they asked for it. Not those who
    /// wait.
    ///
    /// It is put together while others come and go. Who holds the lock all the time is in it once; who
    /// comes or leaves meanwhile may be in it, and twice if it leaves and comes again. So those in it
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
        self.table.holders()
    }
}

impl<H: Eq> HandleLock<H> {
    /// Acquires the lock by the name `handle`, if that is possible now. Never waits.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::HandleInUse`] if the name is in use. [`TryAcquireError::WouldBlock`] where
    /// [`MultiLock::try_acquire`] gives `None`. Nothing has changed.
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
        self.enter(&mut Some(handle), || self.lock.try_acquire(mode))
    }

    /// Acquires the lock in `mode` by the name `handle`, waiting asynchronously until it is available.
    ///
    /// The future is `Send` if `H` is, and `Sync` if `H` is both.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point. It then has no hold, its place is lost, a wake-up that it
    /// had got goes to the next, and its name, which is dropped with it, is not in use any more.
    ///
    /// # Deadlocks
    ///
    /// If the task has a hold of the same lock already, by whatever name.
    ///
    /// # Errors
    ///
    /// [`HandleInUse`] at the first poll, if the name is in use. Nothing has changed.
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
        AcquireNamed::new(self, mode, handle, |_, claim, guard| keep(claim, guard))
    }

    /// Acquires the lock by the name `handle`, and blocks the thread until it can.
    ///
    /// # Deadlocks
    ///
    /// As [`MultiLock::acquire_blocking`].
    ///
    /// # Errors
    ///
    /// [`HandleInUse`], at once, if the name is in use. Nothing has changed.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub fn acquire_blocking(&self, mode: Mode, handle: H) -> Result<(), HandleInUse<H>> {
        let mut handle = Some(handle);
        match self.table.claim(&mut handle) {
            Some(claim) => {
                keep(claim, self.lock.acquire_blocking(mode));
                Ok(())
            }
            None => Err(HandleInUse(back(&mut handle))),
        }
    }

    /// Acquires the lock by the name `handle`, and blocks the thread until it can, but no longer than
    /// `timeout`.
    ///
    /// If `timeout` is zero, that is one try. If it is too long for the clock, there is no limit.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::HandleInUse`], at once, if the name is in use.
    /// [`TryAcquireError::WouldBlock`] if the time is over. Nothing has changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{HandleLock, Mode, TryAcquireError};
    /// use std::time::Duration;
    ///
    /// let lock = HandleLock::new();
    /// lock.try_acquire(Mode::Shared, "reader").unwrap();
    /// let writer = lock.acquire_timeout(Mode::Exclusive, "writer", Duration::from_millis(1));
    /// assert_eq!(writer, Err(TryAcquireError::WouldBlock("writer")));
    /// ```
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    pub fn acquire_timeout(
        &self,
        mode: Mode,
        handle: H,
        timeout: Duration,
    ) -> Result<(), TryAcquireError<H>> {
        self.enter(&mut Some(handle), || self.lock.acquire_timeout(mode, timeout))
    }

    /// Acquires the lock by the name `handle`, and blocks the thread until it can, but no longer than
    /// until `deadline`. If that has passed, it is one try.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout).
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    pub fn acquire_deadline(
        &self,
        mode: Mode,
        handle: H,
        deadline: Instant,
    ) -> Result<(), TryAcquireError<H>> {
        self.enter(&mut Some(handle), || self.lock.acquire_deadline(mode, deadline))
    }

    /// Acquires the lock in `mode` by a fresh name, waiting asynchronously until it is available, and gives the name.
    ///
    /// The name is not in use by anybody else. It is made from a [`HandleId`], and `From` should make
    /// different names of different ids: it is asked again as long as the name is in use.
    ///
    /// The future is `Send` if `H` is, and `Sync` if `H` is both.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Deadlocks
    ///
    /// As [`acquire`](Self::acquire). If `From` makes nothing but names that are in use, the first poll
    /// does not return.
    ///
    /// # Panics
    ///
    /// If `usize::MAX` locks have had handles before this one.
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
            // Made before the name is claimed, and dropped after it has been taken out: a waiter that is woken in
            // its stead may use the name.
            let acquire = pin!(self.lock.acquire(mode));
            let claim = self.claim_new(&mut handle);
            keep(claim, acquire.await);
            back(&mut handle)
        })
    }

    /// Acquires the lock by a fresh name, if that is possible now, and gives the name. Never waits.
    ///
    /// `None` where [`MultiLock::try_acquire`] gives it. The name is as in
    /// [`acquire_new`](Self::acquire_new).
    ///
    /// # Panics
    ///
    /// As [`acquire_new`](Self::acquire_new).
    #[must_use = "the lock stays held until the name is released"]
    #[track_caller]
    pub fn try_acquire_new(&self, mode: Mode) -> Option<H>
    where
        H: From<HandleId> + Clone,
    {
        let mut handle = None;
        let claim = self.claim_new(&mut handle);
        let guard = self.lock.try_acquire(mode)?;
        keep(claim, guard);
        handle
    }

    /// Ends the hold that has the name `handle`, and says which mode it was in.
    ///
    /// `None` if there is none: nobody uses the name, or it still waits, or its hold has a guard.
    /// Nothing has changed then.
    ///
    /// The name may be given in a borrowed form, as to the maps of the standard library: a hold by a
    /// `String` is released by a `&str`.
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
        // The name is out before the lock is free, and is dropped after: its drop is foreign code.
        let mut name = None;
        let mode = self.table.take(handle, &mut name)?;
        drop(Guard::new(&self.lock, mode));
        Some(mode)
    }

    /// Acquires the lock in `mode` by the name `handle`, waiting asynchronously until it is available. with a guard that
    /// ends the hold.
    ///
    /// The future is `Send` if `H` is, and `Sync` if `H` is both.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Deadlocks
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
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
        AcquireNamed::new(self, mode, handle, HandleGuard::new)
    }

    /// Acquires the lock by the name `handle`, if that is possible now, with a guard that ends the
    /// hold. Never waits.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
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
        let settle = |claim, guard| HandleGuard::new(self, claim, guard);
        self.claim_and(&mut Some(handle), || self.lock.try_acquire(mode), settle)
    }

    /// Puts a fresh name in. There is a copy of it in `handle` then, which was empty.
    #[track_caller]
    fn claim_new<'a>(&'a self, handle: &mut Option<H>) -> Claim<'a, H>
    where
        H: From<HandleId> + Clone,
    {
        loop {
            let fresh = handle.insert(HandleId::new(self.lock.id.get()).into());
            if let Some(claim) = self.table.claim(&mut Some(fresh.clone())) {
                return claim;
            }
        }
    }

    fn enter<'a>(
        &'a self,
        handle: &mut Option<H>,
        acquire: impl FnOnce() -> Option<Guard<'a>>,
    ) -> Result<(), TryAcquireError<H>> {
        self.claim_and(handle, acquire, keep)
    }

    /// Acquires by the name in `handle`, and settles that.
    ///
    /// Names may be large. So from here on they are not passed by value, but swapped from one place to another.
    fn claim_and<'a, T>(
        &'a self,
        handle: &mut Option<H>,
        acquire: impl FnOnce() -> Option<Guard<'a>>,
        settle: impl FnOnce(Claim<'a, H>, Guard<'a>) -> T,
    ) -> Result<T, TryAcquireError<H>> {
        let refusal = match self.table.claim(handle) {
            None => TryAcquireError::HandleInUse,
            Some(claim) => match acquire() {
                Some(guard) => return Ok(settle(claim, guard)),
                None => {
                    claim.give_up(handle);
                    TryAcquireError::WouldBlock
                }
            },
        };
        Err(refusal(back(handle)))
    }
}

/// The name in `handle`.
fn back<H>(handle: &mut Option<H>) -> H {
    handle.take().expect("there is a name")
}

/// Leaves the hold of `guard` to whoever releases it by the name of `claim`.
fn keep<H>(claim: Claim<'_, H>, guard: Guard<'_>) {
    claim.settle(Stage::Held(guard.mode()));
    mem::forget(guard);
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

/// An acquisition by a name. It is written by hand: of an `async` block the future has room for a name wherever one
/// passes by.
struct AcquireNamed<'a, H, T> {
    lock: &'a HandleLock<H>,
    /// Until the first poll.
    handle: Option<H>,
    /// As long as it waits. Dropped before `acquire`: a waiter that is woken in its stead may use the name.
    claim: Option<Claim<'a, H>>,
    acquire: Acquire<'a>,
    settle: fn(&'a HandleLock<H>, Claim<'a, H>, Guard<'a>) -> T,
}

impl<'a, H, T> AcquireNamed<'a, H, T> {
    fn new(
        lock: &'a HandleLock<H>,
        mode: Mode,
        handle: H,
        settle: fn(&'a HandleLock<H>, Claim<'a, H>, Guard<'a>) -> T,
    ) -> Self {
        let acquire = Acquire::new(&lock.lock, mode);
        Self { lock, handle: Some(handle), claim: None, acquire, settle }
    }
}

impl<'a, H: Eq, T> Future for AcquireNamed<'a, H, T> {
    type Output = Result<T, HandleInUse<H>>;

    /// # Panics
    ///
    /// When the future was ready before.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the acquisition, which alone is pinned with this, is not moved.
        let (acquire, handle, claim, lock, settle) = unsafe {
            let this = self.get_unchecked_mut();
            let acquire = Pin::new_unchecked(&mut this.acquire);
            (acquire, &mut this.handle, &mut this.claim, this.lock, this.settle)
        };
        if handle.is_some() {
            *claim = lock.table.claim(handle);
            if claim.is_none() {
                return Poll::Ready(Err(HandleInUse(back(handle))));
            }
        }
        assert!(claim.is_some(), "polled after it was ready");
        let guard = ready!(acquire.poll(cx));
        let claim = claim.take().expect("it is there until the acquisition is ready");
        Poll::Ready(Ok(settle(lock, claim, guard)))
    }
}

impl<H: Eq, T> FusedFuture for AcquireNamed<'_, H, T> {
    fn is_terminated(&self) -> bool {
        self.handle.is_none() && self.claim.is_none()
    }
}

/// A hold of a [`HandleLock`] and its name, until it is dropped.
///
/// It may be kept across `.await`, and moved to and shared with other threads if the name may be moved
/// there.
///
/// One that is dropped by a panic releases the lock: there is no poisoning.
///
/// A guard that is forgotten (`mem::forget`) leaves the lock held and its name in use for ever. If the future of its
/// upgrade is forgotten while it waits, the guard is upgradable from then on, and the lock is held for ever, also
/// when the guard is dropped. Neither harms another holder.
#[must_use = "the lock is released as soon as the guard is dropped"]
#[clippy::has_significant_drop]
pub struct HandleGuard<'a, H> {
    lock: &'a HandleLock<H>,
    spot: Spot<'a, H>,
    mode: Mode,
}

impl<'a, H> HandleGuard<'a, H> {
    fn new(lock: &'a HandleLock<H>, claim: Claim<'a, H>, guard: Guard<'a>) -> Self {
        let mode = guard.mode();
        let spot = claim.settle(Stage::Guarded(mode));
        mem::forget(guard);
        Self { lock, spot, mode }
    }

    /// The mode that the lock is held in.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The lock that is held.
    #[must_use]
    pub fn lock(&self) -> &HandleLock<H> {
        self.lock
    }

    /// The name of the hold, cloned inside of a critical section.
    #[must_use]
    pub fn handle(&self) -> H
    where
        H: Clone,
    {
        self.spot.name()
    }

    /// Changes the hold to a weaker mode, or to the same, as [`Guard::downgrade`] does. Never waits.
    ///
    /// # Panics
    ///
    /// If `to` is stronger than the mode of the guard.
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
        let mut hold = self.hold();
        // The table first: no holder is shown there in a mode that it has not. If `to` is stronger,
        // the mode stays, and the guard panics.
        self.set(to.min(self.mode));
        hold.downgrade(to);
    }

    /// Makes the hold exclusive if there is no other holder. An exclusive one stays as it is.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::SharedHolders`] if there are other holders, [`UpgradeError::Conflict`] if one of
    /// them is upgradable. The hold is what it was.
    pub fn try_upgrade(&mut self) -> Result<(), UpgradeError> {
        self.hold().try_upgrade()?;
        self.set(Mode::Exclusive);
        Ok(())
    }

    /// Makes the hold exclusive, once the other shared holders have left, as [`Guard::upgrade`] does.
    /// An exclusive one stays as it is. While the upgrade waits, [`holders`](HandleLock::holders) shows it as
    /// upgradable.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped leaves the hold as it was, and wakes those who waited because of the
    /// upgrade.
    ///
    /// # Deadlocks
    ///
    /// If a task waits for an upgrade while it has another shared hold of the same lock, by whatever
    /// name.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::Conflict`] at the first poll, if the hold is shared and another one is
    /// upgradable or upgrades: they would wait for each other. The hold is what it was.
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
            // Dropped before the upgrade: the table does not show a stronger mode than the word.
            let mut ends_as = SetModeOnDrop { guard: self, mode: from };
            let upgraded = poll_fn(|cx| {
                let poll = upgrading.as_mut().poll(cx);
                if poll.is_pending() {
                    // What the word says while the upgrade waits. If the future is forgotten, the guard is left
                    // with that: to release a shared acquisition would take away another holder's.
                    ends_as.guard.set(Mode::Upgradable);
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

    /// The hold as it is, for a change of its mode.
    fn hold(&self) -> ManuallyDrop<Guard<'a>> {
        ManuallyDrop::new(Guard::new(&self.lock.lock, self.mode))
    }

    fn set(&mut self, mode: Mode) {
        if mode != self.mode {
            self.mode = mode;
            self.spot.set(Stage::Guarded(mode));
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
        self.guard.set(self.mode);
    }
}

impl<H> Drop for HandleGuard<'_, H> {
    fn drop(&mut self) {
        // As in `HandleLock::release`.
        let mut name = None;
        self.spot.take(&mut name);
        drop(ManuallyDrop::into_inner(self.hold()));
    }
}

impl<H> fmt::Debug for HandleGuard<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleGuard").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// A name stays as long as the lock does, so the lock is not to be had for names that live shorter than those
/// that it was made for.
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
