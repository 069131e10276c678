//! The lock without data.

use core::fmt;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
#[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
use std::time::Duration;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use std::time::Instant;

#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use futures_core::FusedFuture;

use crate::acquire::Acquire;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::block::block_on;
use crate::error::ReleaseError;
use crate::fused::Fused;
use crate::guard::Guard;
#[cfg(target_has_atomic = "ptr")]
use crate::guard::GuardArc;
use crate::handle::{Handle, LockId};
use crate::mode::Mode;
#[cfg(target_has_atomic = "ptr")]
use crate::notify::NotifyArc;
use crate::notify::{Monitor, Notify};
use crate::raw::RawLock;
use crate::state::Snapshot;
use crate::sync::const_fn;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::sync::thread;

/// A lock that is held in a [`Mode`]: shared by many, or exclusive, or upgradable from the one to
/// the other.
///
/// It has no data: it guards whatever you say it guards. An acquisition is a [`Guard`], which
/// releases it when dropped, or a [`Handle`], which can be released from anywhere.
///
/// The lock needs no runtime. It allocates when somebody waits for the first time: a queue, for the life
/// of the lock, in one piece (and for a moment another, if two waiters come at once). No later wait of a task allocates. The first blocking wait of a thread also
/// allocates the parker that the thread sleeps in: about 40 bytes, for the life of the thread. Two kinds of
/// blocking waits allocate one for themselves: a wait in a waker that another blocking wait of the thread
/// runs, and a wait in the destructor of a thread-local.
///
/// # Fairness
///
/// * **Write-preferring.** While the lock is held and a waiter for exclusive mode is queued, newcomers in the other
///   modes wait. A free lock is for the first that is polled, but for the rules below. A holder is no newcomer: [`Guard::share`] goes past
///   waiters, so holders that share again and again keep an exclusive waiter out, and a holder that downgrades and
///   upgrades before others are polled keeps those out that it has woken.
/// * **Turns.** The end of an exclusive acquisition wakes all shared waiters together, and with them the first
///   upgradable one, unless an exclusive waiter is queued and the last turn was an upgradable one's. The next exclusive
///   waiter is woken when the lock is free again. Exclusive waiters that were not overtaken are woken in FIFO order.
/// * **Barging.** A release wakes a task but does not hand it the lock. Until that task is polled, the lock is free, and
///   a newcomer can *barge*: it takes the lock first. So can a queued waiter that is polled for another reason, as in a
///   `select!`. The woken waiter is then *overtaken*, and queued again; an exclusive one is woken before those that were
///   not overtaken. After a waiter was overtaken, newcomers, up to 255 of them, let one poll pass before they take a free
///   lock.
/// * **Bounded overtaking.** After a waiter was overtaken twice, it *reserves* the lock. Until it has entered
///   or is dropped, other waiters that could keep it out stand back, however often they are polled: they wake themselves and
///   look again. Those whose turn it was before the owner was woken do not. The reservation ends sooner if the owner is not
///   polled in time, before it is woken and once more after: when others have stood back for a
///   millisecond, or, where there is no clock (without `std`, and on `wasm32-unknown-unknown`), at 1,024 polls.
///   The same waiter can reserve the lock again after it was polled, and overtaken once more.
///   So a waiter that is polled within a millisecond after it is woken is overtaken by waiters at most twice, and a few
///   times more where other starving waiters reserve the lock before it. A task that polls an acquisition for longer than a
///   millisecond in one of its turns can overtake a waiter on the same worker thread again.
/// * **Threads.** A thread that blocks in a method of this lock runs when it is woken. So it is overtaken at most once:
///   the next release whose turn it is hands it the lock.
/// * **Tries.** `try_` methods do not stand back, and barge as often as they succeed. So does the last try of
///   acquisitions with a limit.
/// * **Waiters that are not polled.** An unpolled waiter never keeps a polled one out of a free lock, beyond the one
///   poll that newcomers let pass, and a reservation that it has made: once, for that moment. An unpolled exclusive waiter keeps newcomers in the other
///   modes out of a *held* lock, and an unpolled [upgrade](Guard::upgrade), which is a holder, keeps out all.
///
/// # Cancel safety
///
/// All futures of this type can be dropped at any point. They do nothing before they are polled. A waiting future that is
/// dropped leaves the queue; if it had been woken, the next waiter is woken in its stead; if others waited only because
/// of it, they are woken, too.
///
/// A waiting future that is *forgotten* (`mem::forget`) stays a waiter that is not polled, for ever: the
/// [`snapshot`](Self::snapshot) shows it, an exclusive one keeps newcomers in the other modes out of the lock while it is
/// held, and one wake-up may be lost to it.
///
/// # Deadlocks
///
/// A task that holds the lock and waits for it again may wait for itself; also if both acquisitions are shared, as a
/// waiter for exclusive mode may be queued between them. [`Guard::share`] does not wait.
///
/// A task that keeps a queued future, does not poll it, and waits for another task that wants the lock: the wake-up may
/// have gone to that future, and the other task sleeps until the next release. Drop a future that you do not poll any
/// more; that passes its wake-up on.
///
/// # Memory ordering
///
/// What an exclusive holder does happens before the next holder enters, and what a shared holder does
/// before the next exclusive one enters. A change of mode counts as leaving and entering.
///
/// # Wakers
///
/// Wakers are cloned, woken and dropped while no queue is locked, and outside of critical sections. They may use the
/// lock, and poll. They may find it held: a set that is being released, or that gives back what it has taken, wakes waiters
/// of one member while it still holds those before it, and an acquisition drops the waker of an earlier poll when it has
/// entered.
///
/// A waker that polls inline, and whose task releases the lock there, wakes the next waiter from within: one level of
/// stack for each waiter. The inner wake-up is not put off until the outer waker has returned, as it would be lost if
/// that waker waits for it. An executor that polls inline should bound the depth itself.
///
/// With `std`, a waker that panics in `wake` does not keep others from being woken: its panic comes out of the call that
/// has woken it. Without `std`, waiters that were to be woken after it may not be.
///
/// # Limits
///
/// There can be 2<sup>24</sup> shared holders at once where a pointer has 32 bits, and 2<sup>56</sup>
/// where it has 64, and one upgradable beside them. At the limit a try fails and an acquisition waits.
///
/// # When not to use it
///
/// If it is never held across an `.await`, a lock of the standard library or of `parking_lot` does
/// less. If all holders are exclusive, so does a mutex.
///
/// # Examples
///
/// ```
/// use multilock::{Mode, MultiLock};
///
/// static LOCK: MultiLock = MultiLock::new();
///
/// async fn look() {
///     let _shared = LOCK.acquire(Mode::Shared).await;
///     // Others may look, too.
/// }
///
/// async fn change() {
///     let _exclusive = LOCK.acquire(Mode::Exclusive).await;
///     // Nobody else is here.
/// }
/// ```
pub struct MultiLock {
    pub(crate) raw: RawLock,
    pub(crate) id: LockId,
}

/// How often a thread lets others run before it goes to sleep, having looked a few times.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
const YIELD_ROUNDS: u32 = if cfg!(loom) {
    0
} else if cfg!(shuttle) {
    1
} else {
    6
};

const _: () = assert!(size_of::<MultiLock>() <= 3 * size_of::<usize>() || cfg!(any(loom, shuttle)));

impl MultiLock {
    const_fn! {
        /// A lock that nobody holds.
        #[must_use]
        pub fn new() -> Self {
            Self { raw: RawLock::new(), id: LockId::new() }
        }
    }

    /// The strongest mode that the lock is held in, or `None` if nobody holds it.
    ///
    /// It may be out of date when you look at it.
    #[must_use]
    pub fn locked(&self) -> Option<Mode> {
        self.snapshot().mode()
    }

    /// Who holds the lock and who waits for it, all at one moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.raw.snapshot()
    }

    /// Acquires the lock if that is possible now. Never waits, and never fails for another reason
    /// than a holder or waiter that is there.
    ///
    /// `None` if a holder excludes `mode`, or upgrades; if `mode` is not exclusive, the lock is held, and a
    /// waiter for exclusive mode is queued; or at the limit of holders. A reservation does not hold it back.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// let shared = lock.try_acquire(Mode::Shared).unwrap();
    /// assert!(lock.try_acquire(Mode::Exclusive).is_none());
    /// drop(shared);
    /// assert!(lock.try_acquire(Mode::Exclusive).is_some());
    /// ```
    #[inline]
    #[must_use = "the lock is released as soon as the guard is dropped"]
    pub fn try_acquire(&self, mode: Mode) -> Option<Guard<'_>> {
        self.raw.try_acquire(mode).then(|| Guard::new(self, mode))
    }

    /// Acquires the lock in `mode`, waiting asynchronously until it is available.
    ///
    /// Who waits for whom is said at [`MultiLock`](Self#fairness).
    ///
    /// With `std`, a poll that cannot enter looks at the lock for less than a microsecond before it waits, if
    /// that has been worth while at this lock: where tasks of several threads hold it for a moment.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point. It then has no hold, and its place is lost. A wake-up
    /// that it had got goes to the next.
    ///
    /// # Deadlocks
    ///
    /// If the task has a hold of the same lock already.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multilock::{Mode, MultiLock};
    /// # async fn example(lock: &MultiLock) {
    /// let guard = lock.acquire(Mode::Exclusive).await;
    /// assert_eq!(lock.locked(), Some(Mode::Exclusive));
    /// drop(guard);
    /// # }
    /// ```
    #[inline]
    pub fn acquire(&self, mode: Mode) -> impl FusedFuture<Output = Guard<'_>> + Send + Sync {
        Acquire::new(self, mode)
    }

    /// Acquires the lock, and blocks the thread until it can: it looks for a moment, lets other threads run a
    /// few times, and then waits as a task would. If it finds the lock taken when it is woken, it is
    /// handed the lock the next time.
    ///
    /// # Deadlocks
    ///
    /// As [`acquire`](Self::acquire). Also inside of async code, if the thread that blocks is the one
    /// that the holder needs to go on.
    ///
    /// # The token of the thread
    ///
    /// No blocking call of this crate uses [`std::thread::park`]: if another thread unparks this one
    /// meanwhile, the next `park` of the caller returns at once. Nor does one leave a token behind.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    #[inline]
    pub fn acquire_blocking(&self, mode: Mode) -> Guard<'_> {
        if !self.raw.try_acquire_as_newcomer(mode) {
            self.block(mode, None);
        }
        Guard::new(self, mode)
    }

    /// Blocks the thread until the lock is held. Says whether that was in time.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    #[cold]
    #[inline(never)]
    fn block(&self, mode: Mode, deadline: Option<Instant>) -> bool {
        self.spin(mode, deadline.is_none())
            || block_on(Acquire::for_thread(self, mode), deadline).map(core::mem::forget).is_some()
    }

    /// Acquires the lock if that is possible soon: sooner than a thread is put to sleep and woken. It is no
    /// waiter meanwhile. If it `yields`, other threads may run for a while, so not if there is a deadline; nor where
    /// the lock is free, and only one poll is let pass.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    fn spin(&self, mode: Mode, yields: bool) -> bool {
        self.raw.spin(mode)
            || yields
                && (0..YIELD_ROUNDS).take_while(|_| !self.raw.is_reserved(mode)).any(|_| {
                    thread::yield_now();
                    self.raw.acquire_if_admitted(mode)
                })
    }

    /// Acquires the lock, and blocks the thread until it can, but no longer than `timeout`.
    ///
    /// `None` if the time is over. If `timeout` is zero, that is one try. If it is too long for the
    /// clock, there is no limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    /// use std::time::Duration;
    ///
    /// let lock = MultiLock::new();
    /// let _shared = lock.acquire_blocking(Mode::Shared);
    /// assert!(lock.acquire_timeout(Mode::Exclusive, Duration::from_millis(1)).is_none());
    /// ```
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    #[must_use = "the lock is released as soon as the guard is dropped"]
    pub fn acquire_timeout(&self, mode: Mode, timeout: Duration) -> Option<Guard<'_>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.acquire_deadline(mode, deadline),
            None => Some(self.acquire_blocking(mode)),
        }
    }

    /// Acquires the lock, and blocks the thread until it can, but no longer than until `deadline`.
    ///
    /// `None` if the time is over. If `deadline` has passed, that is one try.
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    #[must_use = "the lock is released as soon as the guard is dropped"]
    pub fn acquire_deadline(&self, mode: Mode, deadline: Instant) -> Option<Guard<'_>> {
        let in_time = Instant::now() < deadline;
        let entered = self.raw.try_acquire_as_newcomer(mode)
            || in_time && self.block(mode, Some(deadline))
            || self.raw.try_acquire(mode);
        entered.then(|| Guard::new(self, mode))
    }

    /// Acquires the lock, unless `cancel` is ready before: a limit in time, in the terms of any
    /// runtime.
    ///
    /// If both are ready, the lock is acquired: when `cancel` is ready there is one more try.
    /// `cancel` is polled only while the lock is not there.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire), and `cancel` is dropped with the future.
    ///
    /// # Errors
    ///
    /// What `cancel` returned. The acquisition has then lost its place, and has no hold.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multilock::{Mode, MultiLock};
    /// # async fn example(lock: &MultiLock, sleep: impl Future<Output = ()>) {
    /// match lock.acquire_or(Mode::Exclusive, sleep).await {
    ///     Ok(guard) => drop(guard),
    ///     Err(()) => println!("too late"),
    /// }
    /// # }
    /// ```
    pub async fn acquire_or<C: Future>(
        &self,
        mode: Mode,
        cancel: C,
    ) -> Result<Guard<'_>, C::Output> {
        match first(self.acquire(mode), cancel).await {
            Err(output) => self.try_acquire(mode).ok_or(output),
            entered => entered,
        }
    }

    /// Waits until `mode` can be acquired. Acquires nothing.
    ///
    /// It holds nothing and stands in no queue: nobody waits because of it. It is a hint. When it is
    /// ready the lock could be acquired, now or a moment ago, and somebody may have done it.
    ///
    /// To be told more than once, make a monitor: [`notify`](Self::notify).
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point, and nobody notices.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multilock::{Mode, MultiLock, Guard};
    /// # async fn example(lock: &MultiLock) -> Guard<'_> {
    /// loop {
    ///     lock.wait(Mode::Exclusive).await;
    ///     if let Some(guard) = lock.try_acquire(Mode::Exclusive) {
    ///         break guard;
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// In a race with something else:
    ///
    /// ```
    /// # use multilock::{Mode, MultiLock};
    /// # smol::block_on(async {
    /// # let lock = MultiLock::new();
    /// # let _guard = lock.try_acquire(Mode::Exclusive);
    /// # let mut order = std::future::ready("stop");
    /// futures::select! {
    ///     () = lock.wait(Mode::Shared) => println!("there is room"),
    ///     order = futures::FutureExt::fuse(&mut order) => println!("{order}"),
    /// }
    /// # });
    /// ```
    ///
    /// With a limit in time, of each runtime. For an acquisition with a limit there is
    /// [`acquire_or`](Self::acquire_or), which takes any of their timers.
    ///
    /// ```
    /// # use multilock::{Mode, MultiLock};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # static LOCK: MultiLock = MultiLock::new();
    /// # let _guard = LOCK.try_acquire(Mode::Exclusive);
    /// # let limit = Duration::from_millis(1);
    /// // tokio
    /// # let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// # tokio.block_on(async {
    /// let in_time = tokio::time::timeout(limit, LOCK.wait(Mode::Shared)).await.is_ok();
    /// # assert!(!in_time);
    /// # });
    ///
    /// // async-std
    /// # async_std::task::block_on(async {
    /// let in_time = async_std::future::timeout(limit, LOCK.wait(Mode::Shared)).await.is_ok();
    /// # assert!(!in_time);
    /// # });
    ///
    /// // smol
    /// # smol::block_on(async {
    /// let wait = async { LOCK.wait(Mode::Shared).await; true };
    /// let timer = async { smol::Timer::after(limit).await; false };
    /// let in_time = smol::future::or(wait, timer).await;
    /// # assert!(!in_time);
    /// # });
    ///
    /// // embassy, in one of its tasks
    /// # async fn task(limit: embassy_time::Duration) {
    /// let in_time = embassy_time::with_timeout(limit, LOCK.wait(Mode::Shared)).await.is_ok();
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// From a combinator of streams: here the first two moments at which shared can be acquired.
    ///
    /// ```
    /// # use multilock::{Mode, MultiLock};
    /// # smol::block_on(async {
    /// use futures::{StreamExt, stream};
    ///
    /// # let lock = MultiLock::new();
    /// let moments = stream::repeat(Mode::Shared).then(|mode| lock.wait(mode));
    /// moments.take(2).for_each(async |()| println!("there is room")).await;
    /// # });
    /// ```
    pub fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync {
        Fused::<_>::new(async move {
            if !self.snapshot().admits(mode) {
                Monitor::new(self, mode).wait().await;
            }
        })
    }

    /// A monitor of when `mode` can be acquired.
    ///
    /// It is set at once if that is now, and again each time it becomes so: see [`Notify`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use multilock::{Mode, MultiLock};
    /// # async fn example(lock: &MultiLock) {
    /// let monitor = lock.notify(Mode::Shared);
    /// loop {
    ///     monitor.wait().await;
    ///     println!("shared can be acquired");
    ///     monitor.clear();
    /// }
    /// # }
    /// ```
    pub fn notify(&self, mode: Mode) -> Notify<'_> {
        Notify::new(self, mode)
    }

    /// Ends the hold that `handle` stands for.
    ///
    /// # Errors
    ///
    /// If it is a hold of another lock, or of one that is gone, the handle comes back and no lock
    /// changes.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let (lock, other) = (MultiLock::new(), MultiLock::new());
    /// let handle = lock.try_acquire(Mode::Exclusive).unwrap().into_handle();
    ///
    /// let handle = other.release(handle).unwrap_err().into_handle();
    /// assert_eq!(lock.locked(), Some(Mode::Exclusive));
    ///
    /// lock.release(handle).unwrap();
    /// assert_eq!(lock.locked(), None);
    /// ```
    pub fn release(&self, handle: Handle) -> Result<(), ReleaseError> {
        self.adopt(handle).map(drop)
    }

    /// A guard for the hold that `handle` stands for.
    ///
    /// # Errors
    ///
    /// As [`release`](Self::release).
    pub fn adopt(&self, handle: Handle) -> Result<Guard<'_>, ReleaseError> {
        if handle.is_of(&self.id) {
            Ok(Guard::new(self, handle.mode()))
        } else {
            Err(ReleaseError::new(handle))
        }
    }
}

/// The same with guards that keep the lock alive, and borrow nothing. Not there on targets without
/// compare-and-swap, which have no [`Arc`].
#[cfg(target_has_atomic = "ptr")]
impl MultiLock {
    /// As [`try_acquire`](Self::try_acquire), with a guard that is `'static`.
    #[inline]
    #[must_use = "the lock is released as soon as the guard is dropped"]
    pub fn try_acquire_arc(self: &Arc<Self>, mode: Mode) -> Option<GuardArc> {
        self.raw.try_acquire(mode).then(|| GuardArc::new(self.clone(), mode))
    }

    /// As [`acquire`](Self::acquire), with a future and a guard that are `'static`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multilock::{Mode, MultiLock};
    /// # use std::sync::Arc;
    /// # fn spawn(_: impl Future<Output = ()> + Send + 'static) {}
    /// let lock = Arc::new(MultiLock::new());
    /// let acquire = lock.acquire_arc(Mode::Shared);
    /// spawn(async move {
    ///     let _guard = acquire.await;
    /// });
    /// ```
    #[inline]
    pub fn acquire_arc(
        self: &Arc<Self>,
        mode: Mode,
    ) -> impl FusedFuture<Output = GuardArc> + Send + Sync + use<> {
        let lock = self.clone();
        Fused::<_>::new(async move {
            core::mem::forget(lock.acquire(mode).await);
            GuardArc::new(lock, mode)
        })
    }

    /// As [`acquire_blocking`](Self::acquire_blocking), with a guard that is `'static`.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    #[inline]
    pub fn acquire_blocking_arc(self: &Arc<Self>, mode: Mode) -> GuardArc {
        self.acquire_blocking(mode).keep(self)
    }

    /// As [`acquire_timeout`](Self::acquire_timeout), with a guard that is `'static`.
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    #[must_use = "the lock is released as soon as the guard is dropped"]
    pub fn acquire_timeout_arc(
        self: &Arc<Self>,
        mode: Mode,
        timeout: Duration,
    ) -> Option<GuardArc> {
        self.acquire_timeout(mode, timeout).map(|guard| guard.keep(self))
    }

    /// As [`acquire_deadline`](Self::acquire_deadline), with a guard that is `'static`.
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    #[must_use = "the lock is released as soon as the guard is dropped"]
    pub fn acquire_deadline_arc(
        self: &Arc<Self>,
        mode: Mode,
        deadline: Instant,
    ) -> Option<GuardArc> {
        self.acquire_deadline(mode, deadline).map(|guard| guard.keep(self))
    }

    /// As [`acquire_or`](Self::acquire_or), with a guard that is `'static`, and a future that is so
    /// if `cancel` is.
    ///
    /// # Errors
    ///
    /// As `acquire_or`.
    pub fn acquire_or_arc<C: Future>(
        self: &Arc<Self>,
        mode: Mode,
        cancel: C,
    ) -> impl Future<Output = Result<GuardArc, C::Output>> + use<C> {
        let lock = self.clone();
        async move {
            let acquired = lock.acquire_or(mode, cancel).await;
            acquired.map(|guard| guard.keep(&lock))
        }
    }

    /// As [`notify`](Self::notify), with a monitor that is `'static`.
    pub fn notify_arc(self: &Arc<Self>, mode: Mode) -> NotifyArc {
        NotifyArc::new(self.clone(), mode)
    }

    /// As [`adopt`](Self::adopt), with a guard that is `'static`.
    ///
    /// # Errors
    ///
    /// As [`release`](Self::release).
    pub fn adopt_arc(self: &Arc<Self>, handle: Handle) -> Result<GuardArc, ReleaseError> {
        self.adopt(handle).map(|guard| guard.keep(self))
    }
}

/// What `wanted` gives, or what `cancel` gives if it is ready before.
pub(crate) fn first<W: Future, C: Future>(
    wanted: W,
    cancel: C,
) -> impl Future<Output = Result<W::Output, C::Output>> {
    Fused::<_, (W, C)>::new(async move {
        let mut wanted = pin!(wanted);
        let mut cancel = pin!(cancel);
        poll_fn(|cx| match wanted.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => cancel.as_mut().poll(cx).map(Err),
        })
        .await
    })
}

impl Default for MultiLock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MultiLock {
    /// Shows the [`snapshot`](Self::snapshot), and touches nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MultiLock").field(&self.snapshot()).finish()
    }
}
