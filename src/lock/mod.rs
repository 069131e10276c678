//! [`MultiLock`], the reader-writer lock without data, and the future of its acquisitions.

// The first module, so that its methods are the first in the documentation.
mod access;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
#[cfg(feature = "alloc")]
#[macro_use]
pub(crate) mod boxed;
pub(crate) mod cancel;
#[macro_use]
pub(crate) mod guard;
pub(crate) mod handle;
#[macro_use]
pub(crate) mod monitor;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub(crate) mod owned;
#[cfg(feature = "event-listener")]
pub(crate) mod subscription;

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

use crate::lock::guard::Guard;
use crate::lock::handle::LockId;
use crate::mode::Mode;
use crate::raw::acquire::RawAcquire;
use crate::raw::{HasRaw, RawLock};

// A set finds the waiter where it finds the lock: `model` puts others in their place.
pub(crate) use crate::raw::Waiter;

/// A reader-writer lock with a [`Mode`] that is chosen at run time: shared, upgradable or
/// exclusive.
///
/// **The lock contains no data.** To protect a value, use [`RwLock`](crate::RwLock), a `MultiLock`
/// with data that can be reached only while it is held. Use a `MultiLock` for what is not a value: a
/// device, a file, the order of steps. Nothing in the code that follows depends on the guard then,
/// so two mistakes cause no warning by default:
///
/// * `let _guard = lock.acquire(mode);` acquires nothing: the `.await` is missing.
/// * `let _ = lock.acquire(mode).await;` holds nothing in the next line: `_` drops the guard. The
///   lint `let_underscore_drop` of the compiler finds this.
///
/// Many holders share the lock, or one holder has it exclusively. An upgradable holder shares the
/// lock, and can become exclusive with no other exclusive holder in between.
///
/// Each acquisition returns a [`Guard`], which releases the lock when it is dropped. The guard of a
/// lock in an `Arc`, [`GuardArc`](crate::GuardArc), is `'static`, and can be stored anywhere. Detach
/// a guard into a [`Handle`](crate::Handle) only where no guard can be kept.
///
/// The lock needs no async runtime. With the feature `alloc`, which `std` implies, it has three
/// words, and the first wait allocates the queue, in one piece, for the life of the lock. If two
/// waiters arrive at once, a second queue is allocated for a moment. No later wait of a task
/// allocates. Without `alloc` the queue is in the lock, which then has 21 words, and nothing ever
/// allocates. The first blocking wait of a thread also allocates the parker that the
/// thread sleeps in: about 40 bytes, for the life of the thread. Two kinds of blocking waits
/// allocate a parker for themselves: a wait in a waker that another blocking wait of the thread
/// runs, and a wait in the destructor of a thread-local. See
/// [`guide::performance`](crate::guide::performance) for what each operation costs, and
/// [`guide::firmware`](crate::guide::firmware) for use without an operating system.
///
/// # Fairness
///
/// * **Write-preferring.** While the lock is held and an exclusive waiter is queued, newcomers in
///   the other modes wait. The first newcomer or waiter that is polled takes a free lock, subject
///   to the rules below. A holder is not a newcomer. [`Guard::share`] does not wait behind waiters,
///   so holders that share again and again keep an exclusive waiter out. A holder that downgrades,
///   and upgrades again before other tasks are polled, keeps out the waiters that its downgrade has
///   woken.
/// * **Turns.** Exclusive waiters take turns with the others. The end of an exclusive acquisition
///   wakes all shared waiters together, and the first upgradable waiter. When the lock is free after
///   any other acquisition, the next exclusive waiter is woken. Holders that change their modes could
///   give each turn to one side in this way, and so could a holder that acquires the lock again at
///   once, beside waiters that are canceled and replaced. So while one side sleeps, the other has at
///   most three turns in a row at the free lock, and no further one when a waiter that was woken in
///   them has entered. Exclusive waiters that were not overtaken are woken in FIFO order.
/// * **Barging.** A release wakes a task but does not hand it the lock. The lock is free until that
///   task is polled, so a newcomer can *barge*: it takes the free lock ahead of the woken waiter. A
///   queued waiter that is polled for another reason, as in a `select!`, can barge, too. The woken
///   waiter is then *overtaken*, and is queued again. An overtaken exclusive waiter is woken before
///   the exclusive waiters that were not overtaken. After a waiter was overtaken, up to 255
///   newcomers yield one poll each before they take a free lock.
/// * **Bounded overtaking.** After a waiter was overtaken twice, it *reserves* the lock. Until this
///   owner of the reservation has acquired the lock or is dropped, other waiters that could keep it
///   out defer to it, however often they are polled: they wake themselves and try again at the next
///   poll. Waiters whose turn it was before the owner was woken do not defer. The reservation ends
///   sooner if the owner is not polled in time: when other waiters have deferred for a millisecond,
///   or, where there is no clock (without `std`, and on `wasm32-unknown-unknown`), for 1,024 polls.
///   This limit applies before the owner is woken, and anew after it is woken. The same waiter can
///   reserve the lock again after it was polled, and overtaken once more. A waiter that has lost
///   more races, of up to seven, takes over the reservation of another: it was overtaken, or had to
///   defer after it was woken. So a waiter that is polled within a millisecond after it is woken is
///   overtaken by other waiters at most twice, or four times where others reserve the lock before it.
///   Waiters that were woken before it do not count: they may enter before it each time. A task that
///   polls an acquisition for longer than a millisecond in one of its turns can overtake a waiter on
///   the same worker thread again.
/// * **Threads.** A thread that blocks in a method of this lock runs when it is woken. So it is
///   overtaken at most once: the next release at which it is the thread's turn hands it the lock,
///   unless the lock is reserved for a waiter that was woken, to which the thread then defers.
/// * **Tries.** The `try_` methods do not defer to a reservation, and they barge as often as they
///   succeed. So does the last try of an acquisition with a time limit or with a `cancel` future.
/// * **Waiters that are not polled.** An unpolled waiter never keeps a polled one out of a free
///   lock, with two exceptions: newcomers yield one poll, and other waiters defer to a reservation
///   that the unpolled waiter has made, once, until its limit. An unpolled exclusive waiter keeps
///   newcomers in the other modes out of a *held* lock. An unpolled [upgrade](Guard::upgrade)
///   belongs to a holder, and keeps out all other tasks.
///
/// See [`guide::guarantees`](crate::guide::guarantees) for all promises.
///
/// # Cancel safety
///
/// All futures of this type can be dropped at any point. They do nothing before they are polled. A
/// waiting future that is dropped leaves the queue. If it had been woken, its drop wakes the next
/// waiter in its stead. If other waiters waited only because of it, its drop wakes them, too.
///
/// A waiting future that is *forgotten* (`mem::forget`) stays an unpolled waiter forever. The
/// [`snapshot`](Self::snapshot) shows it. A forgotten exclusive waiter keeps newcomers in the other
/// modes out of the lock while the lock is held. One wake-up may be lost to a forgotten future.
///
/// See [`guide::cancellation`](crate::guide::cancellation).
///
/// # Deadlocks
///
/// A task that holds the lock and waits for it again may wait for itself. This can happen even if
/// both acquisitions are shared, as an exclusive waiter may be queued between them.
/// [`Guard::share`] does not wait. The page [`hangs`](crate::guide::hangs) says how to find such
/// causes in a program that hangs.
///
/// Two tasks can deadlock if one of them keeps a queued future, does not poll it, and waits for the
/// other task, which wants the lock. A release may have woken that unpolled future, and then the
/// other task sleeps until a later release. Drop a future that you no longer poll: its drop passes
/// the wake-up on.
///
/// # Memory ordering
///
/// The actions of an exclusive holder happen before the next holder acquires the lock. The actions
/// of a shared holder happen before the next exclusive holder acquires the lock. A change of mode
/// counts as a release and an acquisition. What only looks promises no order:
/// [`locked`](Self::locked), [`snapshot`](Self::snapshot), [`wait`](Self::wait), and a try that
/// fails.
///
/// # Wakers
///
/// The lock clones, wakes and drops wakers while no queue is locked, and outside of critical
/// sections. A waker may use the lock, and may poll. A waker may find the lock held: a set that is
/// being released wakes the waiters of four members at a time, and one that gives back the members it
/// has taken those of one, while it still holds the members before those. Also, an acquisition drops
/// the waker of an earlier poll when it already holds the lock.
///
/// If a waker polls inline, and its task releases the lock there, that release wakes the next
/// waiter from within the first waker. This takes one level of stack for each waiter. The lock does
/// not delay the inner wake-up until the outer waker has returned: the inner wake-up would be lost
/// if the outer waker waits for it. An executor that polls inline should bound the depth itself.
///
/// With `std`, a waker that panics in `wake` does not keep other waiters from being woken: the
/// panic propagates out of the call that has woken it. Without `std`, waiters that were to be woken
/// after it may not be woken.
///
/// # Limits
///
/// Where a pointer has 32 bits, there can be 2<sup>24</sup> shared holders at once. Where a pointer
/// has 64 bits, there can be 2<sup>56</sup>. There can be one upgradable holder beside them. At the
/// limit a try fails and an acquisition waits.
///
/// Without the feature `alloc`, the lock counts 65,534 waiters in each mode. If there are more at
/// once, it behaves from then on as if one of them had been [forgotten](Self#cancel-safety). With
/// `alloc`, memory is the limit.
///
/// # When not to use it
///
/// If you never hold the lock across an `.await`, use a lock of the standard library or of
/// `parking_lot`: it does less. If all holders are exclusive, use a mutex: it does less, too. See
/// [`guide::choosing`](crate::guide::choosing) for other cases.
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
///     // Other shared holders may look, too.
/// }
///
/// async fn change() {
///     let _exclusive = LOCK.acquire(Mode::Exclusive).await;
///     // There is no other holder now.
/// }
/// ```
pub struct MultiLock {
    pub(crate) raw: RawLock,
    pub(crate) id: LockId,
}

impl HasRaw for MultiLock {
    #[inline]
    fn raw(&self) -> &RawLock {
        &self.raw
    }
}

/// The future of [`MultiLock::acquire`].
pub(crate) struct AcquireFuture<'a>(RawAcquire<'a, MultiLock>);

impl<'a> AcquireFuture<'a> {
    #[inline]
    pub(crate) fn new(lock: &'a MultiLock, mode: Mode) -> Self {
        Self(RawAcquire::new(lock, mode))
    }
}

impl<'a> Future for AcquireFuture<'a> {
    type Output = Guard<'a>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Guard<'a>> {
        // SAFETY: the field is pinned with the future, and is not moved.
        let acquire = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        let (lock, mode) = (acquire.lock(), acquire.mode());
        acquire.poll(cx).map(|()| Guard::new(lock, mode))
    }
}

impl FusedFuture for AcquireFuture<'_> {
    #[inline]
    fn is_terminated(&self) -> bool {
        self.0.is_terminated()
    }
}

impl Default for MultiLock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MultiLock {
    /// Formats the [`snapshot`](Self::snapshot), and changes nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MultiLock").field(&self.snapshot()).finish()
    }
}
