//! A waiter of the lock: how it is queued, enters, and is dropped.
//!
//! | the waiter                           | is counted in      | its node is |
//! |--------------------------------------|--------------------|-------------|
//! | has not waited yet                   | nothing            | idle        |
//! | waits                                | its mode           | queued      |
//! | was woken, and not polled yet        | as before          | notified    |
//! | was overtaken, and waits again       | mode and overtaken | queued      |
//! | of a set was overtaken elsewhere     | overtaken, too     | idle        |
//! | is a thread that was handed the lock | as before          | handed off  |
//! | has entered, or has left             | nothing            | idle        |

use core::mem::{self, ManuallyDrop};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::deferral::Deference;
use crate::raw::list::{WaitState, WaiterKind};
use crate::raw::listener::{CLONES_ALWAYS, Listener, LockedListener};
use crate::raw::queue::ListId;
use crate::raw::reservation::{Losses, RACES, RACES_OF_THREAD};
use crate::raw::state::{Attempt, Transition, WaitFlag, WaitFlags};
use crate::raw::wakers::WakeAll;
use crate::sync::HAS_THREADS;

/// A hold that ends when this is dropped.
pub(super) struct ReleaseOnDrop<'a> {
    pub(super) lock: &'a RawLock,
    pub(super) mode: Mode,
}

impl Drop for ReleaseOnDrop<'_> {
    fn drop(&mut self) {
        self.lock.release(self.mode);
    }
}

/// A waiter for the lock, from its first wait until it holds the lock or is dropped.
pub(crate) struct Waiter<'a> {
    lock: &'a RawLock,
    /// Idle if the waiter is counted in no flag. Otherwise the drop of the waiter makes it so.
    pub(crate) listener: ManuallyDrop<Listener<'a>>,
    /// The flags in which the waiter is counted: none before the first wait, but for the overtaken
    /// flag of a set that was turned away, and none after the last.
    pub(crate) flags: WaitFlags,
    mode: Mode,
    /// Whether the waiter is a blocked thread. A blocked thread is certain to run once it is
    /// notified, so others may wait for it. A task gives no such guarantee.
    thread: bool,
    pub(crate) losses: Losses,
}

const IDLE: u8 = WaitState::Idle as u8;
const NOTIFIED: u8 = WaitState::Notified as u8;
/// The state of a waiter, not known before it is read.
const ANY: u8 = u8::MAX;

/// What a poll, with the queue locked, has led to.
enum Outcome {
    /// The waiter has entered, or may enter. The waker is the one with which it was queued.
    Ready(Option<Waker>),
    /// The waiter waits for a notification.
    Waits,
    /// The waiter could enter, but defers to the owner of a reservation, and tries again.
    Defers,
    /// The waiter waits. If it has handed the lock to a thread, this is the waker of the thread.
    HandsOff(Option<Waker>),
}

impl<'a> Waiter<'a> {
    /// Creates the waiter of a task or of a thread, which becomes a handoff waiter when it is
    /// overtaken.
    pub(crate) fn new(lock: &'a RawLock, mode: Mode, thread: bool) -> Self {
        let listener = ManuallyDrop::new(Listener::new(lock.queue()));
        Self { lock, listener, flags: WaitFlags::NONE, mode, thread, losses: Losses::NONE }
    }

    /// Polls until the waiter holds the lock, and is not counted any more. The hold is the
    /// caller's.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn poll_enter(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<()> {
        match self.listener.state() {
            WaitState::Idle if cfg!(feature = "std") => self.poll_enter_in::<IDLE>(cx),
            WaitState::Notified if cfg!(feature = "std") => self.poll_enter_in::<NOTIFIED>(cx),
            _ => self.poll_enter_in::<ANY>(cx),
        }
    }

    /// Polls a waiter whose state is `STATE`, or is [`ANY`]. Only one that is queued changes its state
    /// without its owner. So with `std` the poll is compiled for either of the others, too, without what
    /// does not happen there, and all of it into the one function that calls it: see `wait` and `cancel`
    /// in `ci/instructions`.
    #[cfg_attr(feature = "std", inline(always))]
    fn poll_enter_in<const STATE: u8>(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<()> {
        let state_of = |listener: WaitState| match STATE {
            IDLE => WaitState::Idle,
            NOTIFIED => WaitState::Notified,
            _ => listener,
        };
        let (lock, mode, thread) = (self.lock, self.mode, self.thread);
        // The waker is cloned before the queue is locked, unless the waiter probably needs none: it
        // is queued already, or was notified and fits.
        let clone_first = CLONES_ALWAYS
            || match state_of(self.listener.state()) {
                WaitState::Idle => true,
                WaitState::Notified => !lock.state.load().fits(mode),
                WaitState::Queued | WaitState::HandedOff => false,
            };
        let enough = if thread { RACES_OF_THREAD } else { RACES };
        let (flags, losses, listener) = self.parts();
        let (outcome, spare) = listener.with_waker(clone_first, cx, |listener, new_waker| {
            let state = state_of(listener.state());
            let (id, notified) = (listener.id(), state.is_notified());

            // 1. The lock was acquired for this waiter.
            if HAS_THREADS && state == WaitState::HandedOff {
                listener.waiters.record_entered(mode);
                lock.uncount_from(listener.waiters, mem::replace(flags, WaitFlags::NONE));
                return Some(Outcome::Ready(end_wait(lock, listener, state)));
            }

            // 2. A notified waiter that defers stays notified: if it is dropped, it passes the
            // wake-up on.
            let deference = lock.deference(listener.waiters, id, mode, notified);
            if deference == Deference::Defers && notified {
                lock.record_deferred(listener.waiters, id, mode, losses, enough);
                return Some(Outcome::Defers);
            }

            // 3. Try to enter, or else set the flags. Without a new waker in hand the waiter may not
            // be queued, and sets none.
            let mut counted = flags.and(WaitFlag::of(mode));
            if notified {
                counted = counted.and(WaitFlag::Overtaken);
            }
            let can_queue = CLONES_ALWAYS || new_waker.is_some();
            let flags_to_set = if can_queue { counted } else { WaitFlags::NONE };
            // Unless it enters, it is counted again below.
            let emptied = match *flags {
                WaitFlags::NONE => WaitFlags::NONE,
                before => listener.waiters.uncount(before),
            };
            let mut hands_off = false;
            let outcome = if deference != Deference::None {
                wait_deferring(lock, mode, notified, flags_to_set)
            } else if !notified && lock.hands_off_first(listener.waiters, id) {
                // The flags come first: if the lock is held, the release of its holder sees them.
                lock.state.set_waiting(flags_to_set);
                hands_off = true;
                Outcome::Waits
            } else if lock.state.enter_or_set_waiting(mode, notified, emptied, flags_to_set)
                == Attempt::Available
            {
                *flags = WaitFlags::NONE;
                listener.waiters.record_left();
                if notified {
                    listener.waiters.record_entered(mode);
                }
                return Some(Outcome::Ready(end_wait(lock, listener, state)));
            } else {
                Outcome::Waits
            };

            // 4. Make sure that the waiter is queued, and counted.
            let kind = match thread {
                false => WaiterKind::Task,
                true if counted.has(WaitFlag::Overtaken) => WaiterKind::Handoff,
                true => WaiterKind::Thread,
            };
            let is_queued = ensure_queued(listener, counted, mode, kind, notified, cx, new_waker);
            if !is_queued {
                if !CLONES_ALWAYS {
                    listener.waiters.count(*flags);
                }
                return None;
            }
            *flags = counted;
            listener.waiters.count_waiter(mode, counted.has(WaitFlag::Overtaken));

            // 5. The rest of what must be done with the queue locked.
            if notified {
                lock.record_overtaken(listener.waiters, id, mode, losses, enough);
            }
            if hands_off {
                return Some(Outcome::HandsOff(lock.hand_off_first(listener.waiters)));
            }
            Some(outcome)
        });
        match outcome {
            Outcome::Ready(old) => {
                // A waker that is dropped may panic. Until that is over, unwinding ends the hold.
                let hold = ReleaseOnDrop { lock, mode };
                drop((old, spare));
                mem::forget(hold);
                return Poll::Ready(());
            }
            Outcome::Waits => {}
            Outcome::Defers => cx.waker().wake_by_ref(),
            Outcome::HandsOff(waker) => {
                waker.into_iter().for_each(|waker| WakeAll::new(false).one(waker))
            }
        }
        Poll::Pending
    }

    /// Waits until notified, or until the lock happens to be available, without acquiring it. A notified
    /// waiter that finds no room was overtaken, and waits again.
    ///
    /// The caller then calls [`leave`](Self::leave), drops the waiter, or polls it again. Until then a
    /// notified waiter stays notified, and one that is queued stays queued, and may be notified.
    ///
    /// Returns whether the waiter was notified. If not, it could have entered as any caller can. A
    /// notified waiter may have to defer to a reservation: the set finds that out when it tries.
    pub(crate) fn poll_notified(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<bool> {
        let (lock, mode) = (self.lock, self.mode);
        let state = self.listener.state();
        let mut notified = state.is_notified();
        if notified && lock.snapshot().fits(mode) {
            return Poll::Ready(true);
        }
        let clone_first = CLONES_ALWAYS || state != WaitState::Queued;
        let (flags, losses, listener) = self.parts();
        let (outcome, _spare) = listener.with_waker(clone_first, cx, |listener, new_waker| {
            let id = listener.id();
            notified = listener.state().is_notified();
            let deference = match notified {
                false => lock.deference(listener.waiters, id, mode, false),
                true => Deference::None,
            };
            let mut counted = flags.and(WaitFlag::of(mode));
            if notified {
                counted = counted.and(WaitFlag::Overtaken);
            }
            let flags_to_set = if new_waker.is_some() { counted } else { WaitFlags::NONE };
            let outcome = if deference != Deference::None {
                wait_deferring(lock, mode, false, flags_to_set)
            } else if lock.state.check_or_set_waiting(mode, notified, flags_to_set)
                == Attempt::Available
            {
                // It may stay queued, and is notified by the waker of its last poll then.
                let is_queued = listener.state() == WaitState::Queued;
                if is_queued && !listener.renew(cx, new_waker) {
                    return None;
                }
                return Some(Outcome::Ready(None));
            } else {
                Outcome::Waits
            };
            if !ensure_queued(listener, counted, mode, WaiterKind::Task, notified, cx, new_waker) {
                return None;
            }
            listener.waiters.count(counted.without(*flags));
            *flags = counted;
            if notified {
                lock.record_overtaken(listener.waiters, id, mode, losses, RACES);
            }
            Some(outcome)
        });
        match outcome {
            Outcome::Ready(_) => return Poll::Ready(notified),
            Outcome::Defers => cx.waker().wake_by_ref(),
            Outcome::Waits | Outcome::HandsOff(_) => {}
        }
        Poll::Pending
    }

    /// Leaves the queue, for a waiter that is dropped. What that leaves to be done is for the caller,
    /// which does not use the waiter again. `None` if the waiter was in no queue.
    #[inline]
    pub(crate) fn leave_unserved(self: Pin<&mut Self>) -> Option<Left> {
        let (lock, mode) = (self.lock, self.mode);
        let (flags, _, listener) = self.parts();
        if *flags == WaitFlags::NONE {
            return None;
        }
        Some(listener.with(|listener| {
            let state = listener.state();
            let ends_turn = state.is_notified() && listener.waiters.uncount_woken(mode);
            let _waker = end_wait(lock, listener, state);
            let (emptied, change) = lock.uncount_from(listener.waiters, *flags);
            Left { state, ends_turn, emptied, change, _waker }
        }))
    }

    fn parts(self: Pin<&mut Self>) -> (&mut WaitFlags, &mut Losses, Pin<&mut Listener<'a>>) {
        // SAFETY: the listener, which alone is pinned with the waiter, is not moved.
        unsafe {
            let Self { flags, losses, listener, .. } = self.get_unchecked_mut();
            (flags, losses, Pin::new_unchecked(&mut **listener))
        }
    }

    /// Returns a number that tells the waiter from all others as long as it is pinned.
    pub(crate) fn id(&self) -> usize {
        self.listener.id()
    }

    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(super) fn state(&self) -> WaitState {
        self.listener.state()
    }

    /// Leaves the queue, after the caller has acquired the lock by a way of its own: a notification
    /// is not passed on. From then on the drop of the waiter has nothing to do.
    pub(crate) fn leave(self: Pin<&mut Self>) {
        let (lock, mode) = (self.lock, self.mode);
        let (flags, _, listener) = self.parts();
        let _waker = listener.with(|listener| {
            let state = listener.state();
            if state.is_notified() {
                listener.waiters.record_entered(mode);
            }
            lock.uncount_from(listener.waiters, mem::replace(flags, WaitFlags::NONE));
            end_wait(lock, listener, state)
        });
    }

    /// Records that the waiter of a set was notified, and defers to a reservation.
    pub(crate) fn defer(self: Pin<&mut Self>) {
        let (lock, mode) = (self.lock, self.mode);
        let (_, losses, listener) = self.parts();
        listener.with(|listener| {
            let id = listener.id();
            if lock.deference(listener.waiters, id, mode, true) == Deference::Defers {
                lock.record_deferred(listener.waiters, id, mode, losses, RACES);
            }
        });
    }

    /// Counts the waiter of a set, which is not queued yet, as overtaken: the set was turned away
    /// elsewhere.
    pub(crate) fn set_overtaken(self: Pin<&mut Self>) {
        let (lock, mode) = (self.lock, self.mode);
        let (flags, losses, listener) = self.parts();
        listener.with(|listener| {
            lock.count_in(listener.waiters, WaitFlags::of(WaitFlag::Overtaken));
            *flags = flags.and(WaitFlag::Overtaken);
            let id = listener.id();
            lock.record_overtaken(listener.waiters, id, mode, losses, RACES);
        });
    }
}

/// How a waiter was dropped.
pub(crate) struct Left {
    pub(crate) state: WaitState,
    /// Whether it was woken, and is the last of the shared waiters that were woken together, or is not shared.
    pub(crate) ends_turn: bool,
    /// The flags in which it was the last.
    pub(crate) emptied: WaitFlags,
    pub(crate) change: Transition,
    _waker: Option<Waker>,
}

/// Sets the flags of a waiter that may not enter because of a reservation.
#[inline]
fn wait_deferring(lock: &RawLock, mode: Mode, notified: bool, flags_to_set: WaitFlags) -> Outcome {
    // The write that sets the flags also checks the word: no other release reports the room that a
    // release before it has made.
    let could_enter = lock.state.set_waiting(flags_to_set).admits_waiter(mode, notified);
    if could_enter { Outcome::Defers } else { Outcome::Waits }
}

/// Makes sure that the waiter is queued, as one that is `counted` in these flags. Returns `false` if it
/// needs a new waker for that, and there is none.
#[inline]
fn ensure_queued(
    listener: &mut LockedListener<'_>,
    counted: WaitFlags,
    mode: Mode,
    kind: WaiterKind,
    was_notified: bool,
    cx: &Context<'_>,
    new_waker: &mut Option<Waker>,
) -> bool {
    let list = match mode {
        // An overtaken exclusive waiter keeps its position: it moves to the list that is notified
        // before the others. All shared waiters are notified together anyway.
        Mode::Exclusive if counted.has(WaitFlag::Overtaken) => ListId::Overtaken,
        mode => ListId::of(mode),
    };
    // So does an overtaken upgradable waiter: it was the first when it was notified.
    let first = was_notified && mode == Mode::Upgradable;
    listener.listen(list, kind, first, cx, new_waker)
}

/// Ends the wait of a waiter in `state` that is not counted any more. Returns the waker with which it was
/// queued.
#[cfg_attr(feature = "std", inline)]
#[cfg_attr(not(feature = "std"), inline(never))]
fn end_wait(lock: &RawLock, listener: &mut LockedListener<'_>, state: WaitState) -> Option<Waker> {
    let id = listener.id();
    lock.end_reservation_of(listener.waiters, id);
    listener.leave(state)
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let (lock, mode) = (self.lock, self.mode);
        // SAFETY: if the waiter was pinned, it is not moved any more. If not, its listener was
        // never queued.
        let left = unsafe { Pin::new_unchecked(self) }.leave_unserved();
        let Some(left) = left else { return };
        // Wakers may panic, both when they wake and when they are dropped: that comes last.
        match left.state {
            WaitState::HandedOff => lock.release(mode),
            _ => lock.pass_on(left.ends_turn, left.emptied, left.change),
        }
    }
}
