#![doc = include_str!("DESIGN.md")]

pub(crate) mod acquire;
#[cfg(feature = "std")]
mod adaptive_spin;
pub(crate) mod edges;
pub(crate) mod list;
pub(crate) mod queue;
pub(crate) mod reservation;
pub(crate) mod state;
pub(crate) mod wakers;

use core::future::poll_fn;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

#[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
use std::time::Duration;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use std::time::Instant;

use crate::mode::Mode;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::raw::acquire::RawAcquire;
use crate::raw::edges::EdgeCount;
use crate::raw::list::WaiterKind;
use crate::raw::queue::{
    HandOff, LazyQueue, ListId, Listener, LockedListener, NO_HANDOFF, WaitLists, WaitQueue,
};
use crate::raw::reservation::RACES;
use crate::raw::state::{
    AfterRelease, Entered, Snapshot, State, Transition, UpgradeStep, WaitFlag, WaitFlags,
};
use crate::raw::wakers::WakeAll;
use crate::sync::atomic::Ordering::Acquire;
use crate::sync::atomic::fence;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::sync::block::block_on;
use crate::sync::const_fn;
#[cfg(feature = "std")]
use crate::sync::relax;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::sync::thread;
use crate::sync::unmodelled::Ordering::Relaxed;

/// How many attempts a spinning caller makes: one each after 2, 4, 8 and 16 pauses, which together
/// take less than a microsecond. Under loom, which decides when its threads run, there are none.
/// Under shuttle, whose threads run during a pause, there is one.
#[cfg(feature = "std")]
const SPIN_ROUNDS: u32 = if cfg!(loom) {
    0
} else if cfg!(shuttle) {
    1
} else {
    4
};

/// How many newcomers yield one poll, each time that a waiter was overtaken.
const DEFERENCES: u8 = u8::MAX;

/// How many times a blocking thread yields to other threads, after it has spun and before it
/// sleeps.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
const YIELD_ROUNDS: u32 = if cfg!(loom) {
    0
} else if cfg!(shuttle) {
    1
} else {
    6
};

/// A lock that has a raw lock. So a future that acquires it borrows one thing.
pub(crate) trait HasRaw {
    fn raw(&self) -> &RawLock;
}

impl HasRaw for RawLock {
    #[inline]
    fn raw(&self) -> &RawLock {
        self
    }
}

/// The lock without guards: the caller that acquires it must release it.
pub(crate) struct RawLock {
    state: State,
    queue: LazyQueue,
}

impl RawLock {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self { state: State::new(), queue: LazyQueue::new() }
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state.load()
    }

    #[inline]
    pub(crate) fn try_acquire(&self, mode: Mode) -> bool {
        self.state.try_acquire(mode)
    }

    /// Acquires the lock at once, unless that would barge past a waiter that was overtaken before.
    #[inline]
    pub(crate) fn try_acquire_as_newcomer(&self, mode: Mode) -> bool {
        self.state.try_acquire_as_newcomer(mode)
    }

    /// Spins for a moment, if that has paid off at this lock, and acquires the lock if it becomes
    /// available.
    #[cfg(feature = "std")]
    pub(crate) fn acquire_soon(&self, mode: Mode) -> bool {
        self.queue.get().is_some_and(|queue| queue.spin.try_out(|| self.spin(mode)))
    }

    /// Spins for a moment, and acquires the lock if it becomes available.
    #[cfg(feature = "std")]
    pub(crate) fn spin(&self, mode: Mode) -> bool {
        (1..=SPIN_ROUNDS).any(|look| {
            (0..1 << look).for_each(|_| relax());
            self.acquire_if_admitted(mode)
        })
    }

    /// Acquires the lock like [`try_acquire_as_newcomer`](Self::try_acquire_as_newcomer), but looks
    /// at it first: an attempt that fails there writes nothing.
    #[cfg(feature = "std")]
    pub(crate) fn acquire_if_admitted(&self, mode: Mode) -> bool {
        self.state.load().admits_newcomer(mode) && self.try_acquire_as_newcomer(mode)
    }

    /// Acquires the lock in `mode`, and blocks the thread until it is available.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    #[inline]
    pub(crate) fn acquire_blocking(&self, mode: Mode) {
        if !self.try_acquire_as_newcomer(mode) {
            self.block(mode, None);
        }
    }

    /// Acquires the lock like [`acquire_blocking`](Self::acquire_blocking), but blocks the thread no
    /// longer than `timeout`. Returns whether the lock is held. If `timeout` is too long for the
    /// clock, there is no limit.
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    pub(crate) fn acquire_timeout(&self, mode: Mode, timeout: Duration) -> bool {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.acquire_deadline(mode, deadline),
            None => {
                self.acquire_blocking(mode);
                true
            }
        }
    }

    /// Acquires the lock like [`acquire_blocking`](Self::acquire_blocking), but blocks the thread no
    /// longer than until `deadline`. Returns whether the lock is held.
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    pub(crate) fn acquire_deadline(&self, mode: Mode, deadline: Instant) -> bool {
        let in_time = Instant::now() < deadline;
        self.try_acquire_as_newcomer(mode)
            || in_time && self.block(mode, Some(deadline))
            || self.try_acquire(mode)
    }

    /// Blocks the thread until the lock is held. Returns `false` if `deadline` passed before that.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    #[cold]
    #[inline(never)]
    fn block(&self, mode: Mode, deadline: Option<Instant>) -> bool {
        self.spin_or_yield(mode, deadline.is_none())
            || block_on(RawAcquire::for_thread(self, mode), deadline).is_some()
    }

    /// Acquires the lock if it becomes available sooner than a thread could be put to sleep and
    /// woken.
    ///
    /// The caller is not queued meanwhile. With `yields`, other threads run for an unknown time, so
    /// a caller with a deadline passes `false`. The yields stop where the lock is free but an
    /// overtaken waiter wants it: there a newcomer yields one poll only.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    fn spin_or_yield(&self, mode: Mode, yields: bool) -> bool {
        self.spin(mode)
            || yields
                && (0..YIELD_ROUNDS).take_while(|_| !self.is_reserved(mode)).any(|_| {
                    thread::yield_now();
                    self.acquire_if_admitted(mode)
                })
    }

    /// Decides whether a newcomer yields one poll, where a waiter
    /// [was overtaken](Self::is_reserved).
    ///
    /// That waiter may never be polled again, and newcomers may be created anew for each poll. So
    /// only [`DEFERENCES`] newcomers yield, until a waiter is overtaken again. Where the lock is
    /// reserved, newcomers yield until the reservation ends.
    #[cold]
    #[inline(never)]
    pub(crate) fn defers(&self) -> bool {
        let queue = self.queue();
        let left = queue.deferences.load(Relaxed);
        if left > 0 {
            // Newcomers may overwrite each other's stores: then a few more of them yield.
            queue.deferences.store(left - 1, Relaxed);
            return true;
        }
        queue
            .with(|waiters| waiters.reservation.is_made() && waiters.reservation.makes_stand_back())
    }

    /// Returns whether newcomers to `mode` could enter, but for a waiter that was overtaken.
    #[inline]
    pub(crate) fn is_reserved(&self, mode: Mode) -> bool {
        self.state.load().is_reserved(mode)
    }

    /// Acquires the lock in `mode` if a notified waiter may.
    pub(crate) fn acquire_notified(&self, mode: Mode) -> bool {
        self.state.acquire_notified(mode)
    }

    /// Counts one more monitor of `mode`. Returns the number of edges that the monitor has seen: if
    /// `mode` can be acquired now, one less than there were.
    pub(crate) fn monitor(&self, mode: Mode) -> EdgeCount {
        let queue = self.queue.get_or_make();
        queue.with(|waiters| {
            // The count of edges is read before the flag is set. An edge that comes after the flag
            // is counted after this look in any case; an edge that came before may be seen once too
            // often.
            let seen = queue.edges(mode);
            let acquirable =
                self.add_flags(waiters, WaitFlags::of(WaitFlag::Monitors)).admits(mode);
            if acquirable { seen.previous() } else { seen }
        })
    }

    /// Returns the wait queue, which is created on first use.
    pub(crate) fn queue(&self) -> &WaitQueue {
        self.queue.get_or_make()
    }

    /// Counts one monitor less.
    pub(crate) fn unmonitor(&self) {
        let flags = WaitFlags::of(WaitFlag::Monitors);
        self.queue.get_or_make().with(|waiters| _ = self.remove_flags(waiters, flags));
    }

    /// Ends the caller's hold in `mode`.
    #[inline]
    pub(crate) fn release(&self, mode: Mode) {
        if let AfterRelease::WakeWaiters(word) = self.state.release(mode) {
            self.wake_released(word, mode);
        }
    }

    /// Ends the caller's hold in `mode`, and hands the lock to the blocked threads whose turn it
    /// is.
    ///
    /// [`release`](Self::release) only notifies them, except for those that were overtaken. Tasks
    /// are only notified here, too, since a task may never run.
    ///
    /// If a `try_acquire` gets in first, those threads are handed the lock on their next turn.
    #[cfg(any(test, all(feature = "lock_api", not(any(loom, shuttle, target_family = "wasm")))))]
    pub(crate) fn release_fair(&self, mode: Mode) {
        if let AfterRelease::WakeWaiters(word) = self.state.release(mode) {
            self.wake_by(Transition::release(word, mode), true);
        }
    }

    /// Changes a hold in mode `from` into one in the weaker mode `to`.
    pub(crate) fn downgrade(&self, from: Mode, to: Mode) {
        if let AfterRelease::WakeWaiters(word) = self.state.downgrade(from, to) {
            self.wake(Transition::downgrade(word, from, to));
        }
    }

    /// Adds one shared hold beside the caller's. Returns whether it was added.
    pub(crate) fn share(&self) -> bool {
        self.state.share()
    }

    /// Makes a hold in mode `from` exclusive, unless there is another holder.
    pub(crate) fn try_upgrade(&self, from: Mode) -> Result<(), Snapshot> {
        self.state.try_upgrade(from)
    }

    /// Wakes waiters like [`wake`](Self::wake), after a release. What that needs beyond the word is
    /// computed in here, where few releases pass.
    #[cold]
    #[inline(never)]
    fn wake_released(&self, word: Snapshot, mode: Mode) {
        self.wake(Transition::release(word, mode));
    }

    /// Notifies the waiters that may enter after `change`: a hold has ended or has become weaker,
    /// or a waiter has left.
    ///
    /// This is where shared and exclusive waiters take turns. After an exclusive hold come all
    /// shared waiters and one upgradable waiter, and after those comes one exclusive waiter. If all
    /// waiters whose turn it is were notified before, and have not entered, it is the turn of the
    /// others. Of upgradable and exclusive waiters neither kind has two turns while the other
    /// kind waits.
    #[cold]
    fn wake(&self, change: Transition) {
        self.wake_by(change, false);
    }

    #[cold]
    #[inline(never)]
    fn wake_by(&self, change: Transition, fair: bool) {
        // ORDERING: Acquire. The release was only a Release, for the sake of holders that have no
        // waiter to wake. With the fence, a waiter that set its flag in the word before that is
        // found in the queue and in its counts. Weakened, the model `p2_the_next_waiter_is_woken`
        // fails.
        fence(Acquire);
        let Some(queue) = self.queue.get() else {
            return;
        };
        let word = change.after;
        let mut wake = WakeAll::new(fair);
        // Edges are counted before any task is woken: the task might look at them.
        let edges = if word.has(WaitFlag::Monitors) {
            queue.count_edges(|mode| change.is_edge(mode))
        } else {
            None
        };

        if word.is_upgrading() {
            if word.shared_holders() == 0 {
                queue.notify_first(ListId::Upgrade, None, NO_HANDOFF, &mut wake);
            }
        } else if word.is_awaited_in_any_mode() {
            self.notify_next(queue, change, &mut wake);
        }
        // Monitors are notified last: no waiter depends on one.
        if let Some(edges) = edges {
            edges.tell(&mut wake);
        }
    }

    /// Notifies the waiters whose turn it is.
    #[inline]
    fn notify_next(&self, queue: &WaitQueue, change: Transition, wake: &mut WakeAll) {
        let word = change.after;
        // A shared release that leaves other holders makes no room, unless the lock was full. But
        // if an upgradable waiter may enter, the waiter that was notified for that room has not
        // entered.
        let made_room = !change.makes_no_room()
            || word.is_free()
            || word.has(WaitFlag::Upgradable) && word.admits(Mode::Upgradable);
        if !made_room || word.mode() == Some(Mode::Exclusive) {
            return;
        }

        if !word.has(WaitFlag::Exclusive) {
            self.notify_shared(queue, word, wake);
            self.notify_upgradable(queue, word, wake);
            return;
        }
        if word.awaits_only_exclusive() {
            if word.is_free() {
                self.notify_exclusive(queue, word, wake);
            }
            return;
        }

        let turn_of_shared = change.ends_exclusive();
        // Holders that change their modes could end each acquisition in the mode after which the
        // same waiters have their turn. So where both upgradable and exclusive waiters wait,
        // neither kind has two turns in a row.
        let last = if word.has(WaitFlag::Upgradable) { queue.last_turn() } else { None };
        let turn_of_upgradable = last.map_or(turn_of_shared, |last| last == Mode::Exclusive);

        let mut notified = turn_of_shared && self.notify_shared(queue, word, wake);
        if turn_of_upgradable && (turn_of_shared || word.is_free()) {
            notified |= self.notify_upgradable(queue, word, wake);
        }
        if notified || !word.is_free() || self.notify_exclusive(queue, word, wake) {
            return;
        }
        if !turn_of_shared {
            self.notify_shared(queue, word, wake);
        }
        if !turn_of_upgradable {
            self.notify_upgradable(queue, word, wake);
        }
    }

    /// Notifies all shared waiters, if they fit. Returns whether there is one.
    fn notify_shared(&self, queue: &WaitQueue, word: Snapshot, wake: &mut WakeAll) -> bool {
        word.has(WaitFlag::Shared)
            && word.fits(Mode::Shared)
            && queue.notify_all(ListId::Shared, &|| self.acquire_notified(Mode::Shared), wake)
    }

    /// Notifies the first upgradable waiter, if it fits. Returns whether there is one.
    fn notify_upgradable(&self, queue: &WaitQueue, word: Snapshot, wake: &mut WakeAll) -> bool {
        let hand_off: HandOff<'_> = &|| self.acquire_notified(Mode::Upgradable);
        let turn = word.has(WaitFlag::Exclusive).then_some(Mode::Upgradable);
        word.has(WaitFlag::Upgradable)
            && word.fits(Mode::Upgradable)
            && queue.notify_first(ListId::Upgradable, turn, hand_off, wake)
    }

    /// Notifies the first exclusive waiter, overtaken waiters first. Returns whether there is one.
    fn notify_exclusive(&self, queue: &WaitQueue, word: Snapshot, wake: &mut WakeAll) -> bool {
        let hand_off: HandOff<'_> = &|| self.acquire_notified(Mode::Exclusive);
        let turn = word.has(WaitFlag::Upgradable).then_some(Mode::Exclusive);
        word.has(WaitFlag::Overtaken) && queue.notify_first(ListId::Overtaken, turn, hand_off, wake)
            || queue.notify_first(ListId::Exclusive, turn, hand_off, wake)
    }

    /// Notifies the waiters that may enter, after a waiter has left that no other waited for.
    fn wake_others(&self) {
        let word = self.state.load();
        self.wake(Transition { before: word, after: word });
    }

    /// Returns two things: whether the reservation of another waiter bars this waiter in `mode`,
    /// and whether this waiter could enter otherwise, and so defers to the owner. The queue is
    /// locked.
    #[cold]
    #[inline(never)]
    fn is_barred(
        &self,
        listener: &mut LockedListener<'_>,
        mode: Mode,
        woken: bool,
    ) -> (bool, bool) {
        let id = listener.id();
        let reservation = &mut listener.waiters.reservation;
        if !reservation.bars(id, mode, woken) {
            return (false, false);
        }
        let stands_back = self.state.load().lets_in(mode, woken);
        let barred = !stands_back || reservation.makes_stand_back();
        (barred, barred && stands_back)
    }

    /// Returns whether `waiter` may enter in `mode`. Without reservations it may if it `could`.
    ///
    /// A waiter may not enter while it has to defer to the owner of a reservation. The owner itself
    /// may enter as if it was `woken`.
    pub(crate) fn may_enter(&self, waiter: usize, mode: Mode, woken: bool, could: bool) -> bool {
        let word = self.snapshot();
        // The owner of a reservation was overtaken, or is counted as overtaken.
        if !word.has(WaitFlag::Overtaken) {
            return could;
        }
        self.queue().with(|waiters| {
            let reservation = &mut waiters.reservation;
            let bars = reservation.bars(waiter, mode, woken);
            reservation.is_of(waiter) && word.fits(mode)
                || could && !(bars && reservation.makes_stand_back())
        })
    }

    /// Returns whether `waiter` has a reservation.
    pub(crate) fn is_reserved_for(&self, waiter: usize) -> bool {
        self.snapshot().has(WaitFlag::Overtaken)
            && self.queue().with(|waiters| waiters.reservation.is_of(waiter))
    }

    /// Reserves the lock for `waiter`, which waits at another lock.
    ///
    /// If `waiter` has the reservation already, the moment of the reservation continues. A `new`
    /// reservation sets the overtaken flag: this tells newcomers to look for the reservation, until
    /// it is [ended](Self::end_reservation).
    pub(crate) fn reserve(&self, waiter: usize, mode: Mode, new: bool) {
        self.queue().with(|waiters| {
            if new {
                self.add_flags(waiters, WaitFlags::of(WaitFlag::Overtaken));
            }
            if !waiters.reservation.is_of(waiter) {
                waiters.reservation.make(waiter, mode, true);
            }
            self.queue().deferences.store(0, Relaxed);
        });
    }

    /// Ends what [`reserve`](Self::reserve) began. This wakes no waiter: the wake-up for the free
    /// lock has been passed on.
    pub(crate) fn end_reservation(&self, waiter: usize) {
        self.queue().with(|waiters| {
            self.end_reservation_of(waiters, waiter);
            _ = self.remove_flags(waiters, WaitFlags::of(WaitFlag::Overtaken));
        });
    }

    /// Ends the reservation of `waiter`, if it has one: newcomers then yield to other waiters that
    /// were overtaken.
    #[inline]
    fn end_reservation_of(&self, waiters: &mut WaitLists, waiter: usize) {
        if waiters.reservation.is_of(waiter) {
            waiters.reservation.end();
            self.queue().deferences.store(DEFERENCES, Relaxed);
        }
    }

    /// Counts one more waiter or monitor in `flags`. Returns what the word was.
    fn add_flags(&self, waiters: &mut WaitLists, flags: WaitFlags) -> Snapshot {
        waiters.count(flags);
        self.state.set_waiting(flags)
    }

    /// Counts one waiter or monitor less in `flags`. Returns which of the flags are empty now, and
    /// how that changed the word.
    fn remove_flags(&self, waiters: &mut WaitLists, flags: WaitFlags) -> (WaitFlags, Transition) {
        let emptied = waiters.sole_in(flags);
        waiters.uncount(flags);
        (emptied, self.state.clear_waiting(emptied))
    }
}

/// A hold that ends when this is dropped.
struct ReleaseOnDrop<'a> {
    lock: &'a RawLock,
    mode: Mode,
}

impl Drop for ReleaseOnDrop<'_> {
    fn drop(&mut self) {
        self.lock.release(self.mode);
    }
}

/// A waiter for the lock, from its first wait until it holds the lock or is dropped.
pub(crate) struct Waiter<'a> {
    lock: &'a RawLock,
    listener: Listener<'a>,
    /// The flags in which the waiter is counted.
    flags: WaitFlags,
    mode: Mode,
    /// Whether the waiter is a blocked thread. A blocked thread is certain to run once it is
    /// notified, so others may wait for it. A task gives no such guarantee.
    thread: bool,
    /// Whether a set, which acquires its members by a way of its own, has acquired the lock.
    entered: bool,
    /// How often the waiter was woken and overtaken.
    lost: u8,
}

impl<'a> Waiter<'a> {
    /// Creates the waiter of a `thread` or of a task. A thread that was overtaken is a handoff
    /// waiter.
    pub(crate) fn take(lock: &'a RawLock, mode: Mode, thread: bool) -> Self {
        let listener = Listener::new(lock.queue.get_or_make());
        Self { lock, listener, flags: WaitFlags::NONE, mode, thread, entered: false, lost: 0 }
    }

    /// Polls until the waiter holds the lock, and is not counted any more. The hold is the
    /// caller's.
    pub(crate) fn poll_enter(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<()> {
        let (lock, mode) = (self.lock, self.mode);
        let (there, wakers) = self.wait::<true>(cx);
        // A waker that is dropped may panic. Until that is over, unwinding ends the hold.
        let hold = there.is_ready().then(|| ReleaseOnDrop { lock, mode });
        drop(wakers);
        mem::forget(hold);
        there
    }

    /// Waits until notified, or until the lock happens to be available, without acquiring it.
    ///
    /// The caller then reports the outcome: with [`set_entered`](Self::set_entered), with
    /// [`set_overtaken`](Self::set_overtaken), or by dropping the waiter.
    ///
    /// Returns whether the waiter was notified. If not, it could have entered as any caller can.
    pub(crate) fn poll_notified(mut self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<bool> {
        let (there, _wakers) = self.as_mut().wait::<false>(cx);
        there.map(|()| self.parts().2.is_notified())
    }

    /// Waits until the waiter has entered or, if it is not to `ENTER`, until it could enter.
    ///
    /// Returns the wakers that are left over. They are foreign code, and the caller drops them when
    /// all is done.
    #[inline]
    fn wait<const ENTER: bool>(
        mut self: Pin<&mut Self>,
        cx: &Context<'_>,
    ) -> (Poll<()>, [Option<Waker>; 2]) {
        let (lock, mode, thread) = (self.lock, self.mode, self.thread);
        let (flags, lost, mut listener) = self.as_mut().parts();
        // Unless it was notified and can enter, the waiter must be queued: a new waiter is here
        // because it found the lock taken.
        let is_queued = listener.as_mut().is_queued();
        let can_enter = listener.as_mut().was_handed_off()
            || listener.as_mut().is_notified() && lock.state.load().fits(mode);
        let mut new = (!is_queued && !can_enter).then(|| cx.waker().clone());
        let (mut old, mut handoff) = (None, None);
        loop {
            let mut stands_back = false;
            let there = listener.as_mut().with(|listener| {
                let notified = listener.is_notified();
                let mut next = flags.and(WaitFlag::of(mode));
                if notified && ENTER {
                    next = next.and(WaitFlag::Overtaken);
                }
                let announced = if new.is_some() { next } else { WaitFlags::NONE };
                let mut barred = false;
                if listener.waiters.reservation.is_made() && !listener.was_handed_off() {
                    (barred, stands_back) = lock.is_barred(listener, mode, notified);
                    if stands_back && notified {
                        // The waiter stays notified: if it is dropped, it passes the wake-up on.
                        return Some(Poll::Pending);
                    }
                }
                let found = if listener.was_handed_off() {
                    lock.state.clear_waiting(listener.waiters.sole_in(*flags));
                    Entered::Yes
                } else if barred && (ENTER || !notified) {
                    // The write that sets the flags also checks the word: no other release reports
                    // the room that a release before it has made.
                    stands_back = lock.state.set_waiting(announced).lets_in(mode, notified);
                    Entered::Queued
                } else if ENTER
                    && !notified
                    && listener.is_behind_handoff()
                    && lock.state.load().awaits_only_exclusive()
                {
                    // If the lock is free, a release is about to hand it to the handoff waiter, and
                    // this waiter must not be quicker: it hands the lock over itself. It sets its
                    // flags first: if the lock is not free now, the release of its holder sees
                    // them.
                    lock.state.set_waiting(announced);
                    handoff = listener.notify_handoff(&|| lock.acquire_notified(Mode::Exclusive));
                    Entered::Queued
                } else if ENTER {
                    let emptied = listener.waiters.sole_in(*flags);
                    lock.state.enter_or_set_waiting(mode, notified, emptied, announced)
                } else if notified {
                    Entered::Yes
                } else {
                    lock.state.check_or_set_waiting(mode, announced)
                };
                match found {
                    Entered::Yes => {
                        old = listener.leave();
                        if ENTER {
                            listener.consume();
                            listener.waiters.uncount(*flags);
                            lock.end_reservation_of(listener.waiters, listener.id());
                            *flags = WaitFlags::NONE;
                        }
                        Some(Poll::Ready(()))
                    }
                    Entered::Queued => {
                        let line = match mode {
                            // An overtaken exclusive waiter keeps its position: it moves to the
                            // list that is notified before the others. All shared waiters are
                            // notified together anyway.
                            Mode::Exclusive if next.has(WaitFlag::Overtaken) => ListId::Overtaken,
                            mode => ListId::of(mode),
                        };
                        let kind = match thread {
                            false => WaiterKind::Task,
                            true if next.has(WaitFlag::Overtaken) => WaiterKind::Handoff,
                            true => WaiterKind::Thread,
                        };
                        if !listener.listen(line, kind, cx, &mut new) {
                            return None;
                        }
                        listener.waiters.count(next.without(*flags));
                        *flags = next;
                        if notified && ENTER {
                            if mode == Mode::Upgradable {
                                // The waiter keeps its position: it was the first when it was
                                // notified.
                                listener.go_first();
                            }
                            // A thread makes no reservation: it is handed the lock instead.
                            lose(lock, listener, mode, lost, !thread);
                        }
                        Some(Poll::Pending)
                    }
                }
            });
            if let Some(handoff) = handoff.take() {
                WakeAll::new(false).one(handoff);
            }
            if stands_back && there.is_some() {
                cx.waker().wake_by_ref();
            }
            match there {
                Some(there) => return (there, [old, new]),
                None => new = Some(cx.waker().clone()),
            }
        }
    }

    fn parts(self: Pin<&mut Self>) -> (&mut WaitFlags, &mut u8, Pin<&mut Listener<'a>>) {
        // SAFETY: the listener, which alone is pinned with the waiter, is not moved.
        unsafe {
            let Self { flags, lost, listener, .. } = self.get_unchecked_mut();
            (flags, lost, Pin::new_unchecked(listener))
        }
    }

    /// Returns a number that tells the waiter from all others as long as it is pinned.
    pub(crate) fn id(self: Pin<&mut Self>) -> usize {
        self.parts().2.id()
    }

    /// Records that the caller has acquired the lock by a way of its own.
    pub(crate) fn set_entered(mut self: Pin<&mut Self>) {
        self.as_mut().parts().2.consume();
        // SAFETY: nothing is moved.
        unsafe { self.get_unchecked_mut() }.entered = true;
    }

    /// Records that the waiter was woken and overtaken.
    pub(crate) fn set_overtaken(self: Pin<&mut Self>) {
        let (lock, mode) = (self.lock, self.mode);
        let (flags, lost, mut listener) = self.parts();
        listener.as_mut().consume();
        listener.with(|listener| {
            if !flags.has(WaitFlag::Overtaken) {
                lock.add_flags(listener.waiters, WaitFlags::of(WaitFlag::Overtaken));
                *flags = flags.and(WaitFlag::Overtaken);
            }
            lose(lock, listener, mode, lost, true);
        });
    }
}

/// Records that a waiter was woken and overtaken, once more than `lost` says. If that was too
/// often, and the waiter `reserves`, it reserves the lock. The queue is locked.
#[cold]
#[inline(never)]
fn lose(
    lock: &RawLock,
    listener: &mut LockedListener<'_>,
    mode: Mode,
    lost: &mut u8,
    reserves: bool,
) {
    let id = listener.id();
    let waiters = &mut listener.waiters;
    waiters.give_back_turn(mode);
    *lost = lost.saturating_add(1);
    if *lost >= RACES && reserves {
        waiters.reservation.make(id, mode, false);
    }
    let deferences = if waiters.reservation.is_made() { 0 } else { DEFERENCES };
    lock.queue().deferences.store(deferences, Relaxed);
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let (lock, mode, entered) = (self.lock, self.mode, self.entered);
        // SAFETY: if the waiter was pinned, it is not moved any more. If not, its listener was
        // never queued.
        let (flags, _, listener) = unsafe { Pin::new_unchecked(self) }.parts();
        if *flags == WaitFlags::NONE {
            return;
        }
        let (notified, given, _waker, (emptied, change)) = listener.with(|listener| {
            lock.end_reservation_of(listener.waiters, listener.id());
            let (notified, given) = (listener.is_notified(), listener.was_handed_off());
            if notified && !entered {
                listener.waiters.give_back_turn(mode);
            }
            (notified, given, listener.leave(), lock.remove_flags(listener.waiters, *flags))
        });
        if given {
            return lock.release(mode);
        }
        if entered || !change.has_waiters() {
            return;
        }
        // Wakers may panic, both when they wake and when they are dropped: that comes last.
        if emptied.has(WaitFlag::of(mode)) && mode != Mode::Upgradable {
            // The last exclusive waiter leaves shared waiters behind that waited because of it.
            lock.wake(change);
        } else if notified && mode != Mode::Shared {
            // All shared waiters are notified together, or the rest of them by the holder that
            // keeps a handoff waiter out. So only the last shared waiter has to pass the wake-up
            // on.
            lock.wake_others();
        }
    }
}

/// The future of an upgrade of a hold in mode `from`, shared or upgradable.
///
/// Its output says whether the hold is exclusive then. The upgrade is refused at the first poll, or
/// never. A future that is dropped before it is ready leaves the hold as it was.
pub(crate) struct RawUpgrade<'a> {
    lock: &'a RawLock,
    from: Mode,
    /// `Some` as long as the upgrade waits.
    listener: Option<Listener<'a>>,
}

impl<'a> RawUpgrade<'a> {
    pub(crate) fn new(lock: &'a RawLock, from: Mode) -> Self {
        Self { lock, from, listener: None }
    }

    fn listener(self: Pin<&mut Self>) -> Option<Pin<&mut Listener<'a>>> {
        // SAFETY: the listener, which alone is pinned with the upgrade, is not moved: it is made
        // where it is, and it is in no list when it is freed.
        unsafe {
            self.get_unchecked_mut().listener.as_mut().map(|listener| Pin::new_unchecked(listener))
        }
    }

    /// Removes the listener from the queue. Returns the waker that it had.
    fn leave(mut self: Pin<&mut Self>) -> Option<Waker> {
        let waker = self.as_mut().listener()?.with(|listener| {
            let waker = listener.leave();
            listener.consume();
            waker
        });
        // SAFETY: the listener is in no list: it may as well have been moved.
        unsafe { self.get_unchecked_mut() }.listener = None;
        waker
    }
}

impl Future for RawUpgrade<'_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let (lock, from) = (self.lock, self.from);
        if self.listener.is_none() {
            // An upgrade that is done or refused at once allocates nothing.
            match lock.state.try_upgrade(from) {
                Ok(()) => return Poll::Ready(true),
                Err(word) if word.refuses_upgrade(from) => return Poll::Ready(false),
                Err(_) => {}
            }
            // An allocation may fail with a panic. The word does not say yet that the holder
            // upgrades.
            let listener = Listener::new(lock.queue());
            match lock.state.start_upgrade(from) {
                UpgradeStep::Done => return Poll::Ready(true),
                UpgradeStep::Refused => return Poll::Ready(false),
                UpgradeStep::Waiting => {}
            }
            // SAFETY: nothing is moved.
            unsafe { self.as_mut().get_unchecked_mut() }.listener = Some(listener);
        }
        while let Some(listener) = self.as_mut().listener() {
            let notified = listener.poll(ListId::Upgrade, cx);
            if lock.state.finish_upgrade() == UpgradeStep::Done {
                break;
            }
            if notified.is_pending() {
                return Poll::Pending;
            }
        }
        // A waker that is dropped may panic. Until that is over, unwinding restores the mode that
        // the guard has.
        let undone = DowngradeOnDrop { lock, from };
        drop(self.leave());
        mem::forget(undone);
        Poll::Ready(true)
    }
}

impl Drop for RawUpgrade<'_> {
    /// Cancels the upgrade if it still waits.
    ///
    /// The listener is dropped after this. That is early enough: the next upgrade also waits for
    /// this hold.
    fn drop(&mut self) {
        if self.listener.is_some() {
            if let AfterRelease::WakeWaiters(word) = self.lock.state.cancel_upgrade(self.from) {
                self.lock.wake(Transition::cancel_upgrade(word, self.from));
            }
        }
    }
}

/// A finished upgrade, which is undone when this is dropped.
struct DowngradeOnDrop<'a> {
    lock: &'a RawLock,
    from: Mode,
}

impl Drop for DowngradeOnDrop<'_> {
    fn drop(&mut self) {
        self.lock.downgrade(Mode::Exclusive, self.from);
    }
}

pub(crate) fn ready_if(ready: bool) -> Poll<()> {
    if ready { Poll::Ready(()) } else { Poll::Pending }
}

/// Yields one poll: every other task can be polled once meanwhile.
pub(crate) async fn stand_back() {
    let mut stood = false;
    poll_fn(|cx| {
        if !stood {
            cx.waker().wake_by_ref();
        }
        ready_if(mem::replace(&mut stood, true))
    })
    .await;
}

#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests;
