//! A waiter: how it is queued, enters, and is dropped.

use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::deferral::Bar;
use crate::raw::list::{WaitState, WaiterKind};
use crate::raw::listener::{Listener, LockedListener};
use crate::raw::queue::ListId;
use crate::raw::state::{Entered, WaitFlag, WaitFlags};
use crate::raw::wakers::WakeAll;

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
    listener: Listener<'a>,
    /// The flags in which the waiter is counted. None before the first wait, and after the last.
    flags: WaitFlags,
    mode: Mode,
    /// Whether the waiter is a blocked thread. A blocked thread is certain to run once it is
    /// notified, so others may wait for it. A task gives no such guarantee.
    thread: bool,
    /// How often the waiter was woken and overtaken.
    lost: u8,
}

/// What a look at the lock, with the queue locked, has led to.
enum Look {
    /// The waiter may enter, or has entered. The waker is the one with which it was queued.
    Ready(Option<Waker>),
    /// The waiter waits for a notification.
    Waits,
    /// The waiter could enter, but defers to the owner of a reservation, and looks again.
    Defers,
    /// The waiter waits, and has handed the lock to a waiter with this waker.
    HandedOff(Option<Waker>),
}

impl<'a> Waiter<'a> {
    /// Creates the waiter of a `thread` or of a task. A thread that was overtaken is a handoff
    /// waiter.
    pub(crate) fn new(lock: &'a RawLock, mode: Mode, thread: bool) -> Self {
        let listener = Listener::new(lock.queue());
        Self { lock, listener, flags: WaitFlags::NONE, mode, thread, lost: 0 }
    }

    /// Polls until the waiter holds the lock, and is not counted any more. The hold is the
    /// caller's.
    pub(crate) fn poll_enter(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<()> {
        let (lock, mode, thread) = (self.lock, self.mode, self.thread);
        let state = self.listener.state();
        // A waiter that is sure to be queued needs a waker: each, but for one that is queued
        // already, or was notified and can enter.
        let is_new = match state {
            WaitState::Idle => true,
            WaitState::Notified => !lock.state.load().fits(mode),
            WaitState::Queued | WaitState::HandedOff => false,
        };
        let (flags, lost, listener) = self.parts();
        let (look, spare) = listener.with_waker(is_new, cx, |listener, new| {
            let state = listener.state();
            let (id, notified) = (listener.id(), state.is_notified());
            let sole = listener.waiters.sole_in(*flags);
            if state == WaitState::HandedOff {
                lock.state.clear_waiting(sole);
                return Some(Look::Ready(has_entered(lock, listener, flags)));
            }
            let bar = lock.bar(listener.waiters, id, mode, notified);
            if bar == Bar::Defers && notified {
                // The waiter stays notified: if it is dropped, it passes the wake-up on.
                return Some(Look::Defers);
            }

            let mut counted = flags.and(WaitFlag::of(mode));
            if notified {
                counted = counted.and(WaitFlag::Overtaken);
            }
            // Without a waker in hand the waiter may not be queued, and sets no flags.
            let announced = if new.is_some() { counted } else { WaitFlags::NONE };
            let mut hands_off = false;
            let look = if bar != Bar::Open {
                look_when_barred(lock, mode, notified, announced)
            } else if !notified
                && listener.is_behind_handoff()
                && lock.state.load().awaits_only_exclusive()
            {
                // If the lock is free, a release is about to hand it to the handoff waiter, and
                // this waiter must not be quicker: it hands the lock over itself. It sets its
                // flags first: if the lock is not free now, the release of its holder sees them.
                lock.state.set_waiting(announced);
                hands_off = true;
                Look::Waits
            } else if lock.state.enter_or_set_waiting(mode, notified, sole, announced)
                == Entered::Yes
            {
                return Some(Look::Ready(has_entered(lock, listener, flags)));
            } else {
                Look::Waits
            };

            let kind = match thread {
                false => WaiterKind::Task,
                true if counted.has(WaitFlag::Overtaken) => WaiterKind::Handoff,
                true => WaiterKind::Thread,
            };
            if !queue(listener, flags, counted, mode, kind, cx, new) {
                return None;
            }
            if notified {
                if mode == Mode::Upgradable {
                    // The waiter keeps its position: it was the first when it was notified.
                    listener.move_to_front();
                }
                // A thread makes no reservation: it is handed the lock instead.
                *lost = lock.record_overtaken(listener.waiters, id, mode, *lost, !thread);
            }
            if hands_off {
                return Some(Look::HandedOff(lock.hand_off(listener.waiters)));
            }
            Some(look)
        });
        match look {
            Look::Ready(old) => {
                // A waker that is dropped may panic. Until that is over, unwinding ends the hold.
                let hold = ReleaseOnDrop { lock, mode };
                drop((old, spare));
                mem::forget(hold);
                return Poll::Ready(());
            }
            Look::Waits => {}
            Look::Defers => cx.waker().wake_by_ref(),
            Look::HandedOff(waker) => {
                waker.into_iter().for_each(|waker| WakeAll::new(false).one(waker))
            }
        }
        Poll::Pending
    }

    /// Waits until notified, or until the lock happens to be available, without acquiring it.
    ///
    /// The caller then reports the outcome: with [`leave`](Self::leave), with
    /// [`set_overtaken`](Self::set_overtaken), or by dropping the waiter.
    ///
    /// Returns whether the waiter was notified. If not, it could have entered as any caller can.
    pub(crate) fn poll_notified(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<bool> {
        let (lock, mode) = (self.lock, self.mode);
        let is_new = self.listener.state() == WaitState::Idle;
        let mut notified = false;
        let (flags, _, listener) = self.parts();
        let (look, _spare) = listener.with_waker(is_new, cx, |listener, new| {
            notified = listener.state().is_notified();
            let id = listener.id();
            let bar = lock.bar(listener.waiters, id, mode, notified);
            if notified {
                // A waiter that defers stays notified: if it is dropped, it passes the wake-up on.
                return Some(if bar == Bar::Defers { Look::Defers } else { Look::Ready(None) });
            }

            let counted = flags.and(WaitFlag::of(mode));
            // As in `poll_enter`.
            let announced = if new.is_some() { counted } else { WaitFlags::NONE };
            let look = if bar != Bar::Open {
                look_when_barred(lock, mode, notified, announced)
            } else if lock.state.check_or_set_waiting(mode, announced) == Entered::Yes {
                return Some(Look::Ready(listener.leave()));
            } else {
                Look::Waits
            };

            queue(listener, flags, counted, mode, WaiterKind::Task, cx, new).then_some(look)
        });
        match look {
            Look::Ready(_old) => return Poll::Ready(notified),
            Look::Defers => cx.waker().wake_by_ref(),
            Look::Waits | Look::HandedOff(_) => {}
        }
        Poll::Pending
    }

    fn parts(self: Pin<&mut Self>) -> (&mut WaitFlags, &mut u8, Pin<&mut Listener<'a>>) {
        // SAFETY: the listener, which alone is pinned with the waiter, is not moved.
        unsafe {
            let Self { flags, lost, listener, .. } = self.get_unchecked_mut();
            (flags, lost, Pin::new_unchecked(listener))
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
        let lock = self.lock;
        let (flags, _, listener) = self.parts();
        let _waker = listener.with(|listener| {
            lock.state.clear_waiting(listener.waiters.sole_in(*flags));
            has_entered(lock, listener, flags)
        });
    }

    /// Records that the waiter was woken and overtaken.
    pub(crate) fn set_overtaken(self: Pin<&mut Self>) {
        let (lock, mode) = (self.lock, self.mode);
        let (flags, lost, listener) = self.parts();
        listener.consume();
        listener.with(|listener| {
            if !flags.has(WaitFlag::Overtaken) {
                lock.add_flags(listener.waiters, WaitFlags::of(WaitFlag::Overtaken));
                *flags = flags.and(WaitFlag::Overtaken);
            }
            let id = listener.id();
            *lost = lock.record_overtaken(listener.waiters, id, mode, *lost, true);
        });
    }
}

/// Looks at the lock for a waiter that a reservation bars, and sets the `announced` flags.
#[inline]
fn look_when_barred(lock: &RawLock, mode: Mode, notified: bool, announced: WaitFlags) -> Look {
    // The write that sets the flags also checks the word: no other release reports the room that a
    // release before it has made.
    let could = lock.state.set_waiting(announced).admits_waiter(mode, notified);
    if could { Look::Defers } else { Look::Waits }
}

/// Makes sure that the waiter is queued and `counted`, if it can. Returns whether it is: it is not
/// if it lacks a waker.
#[inline]
fn queue(
    listener: &mut LockedListener<'_>,
    flags: &mut WaitFlags,
    counted: WaitFlags,
    mode: Mode,
    kind: WaiterKind,
    cx: &Context<'_>,
    new: &mut Option<Waker>,
) -> bool {
    let list = match mode {
        // An overtaken exclusive waiter keeps its position: it moves to the list that is notified
        // before the others. All shared waiters are notified together anyway.
        Mode::Exclusive if counted.has(WaitFlag::Overtaken) => ListId::Overtaken,
        mode => ListId::of(mode),
    };
    if !listener.listen(list, kind, cx, new) {
        return false;
    }
    listener.waiters.count(counted.without(*flags));
    *flags = counted;
    true
}

/// Ends the wait of a waiter that has entered. Returns the waker with which it was queued. The
/// word has its flags no more.
#[inline]
fn has_entered(
    lock: &RawLock,
    listener: &mut LockedListener<'_>,
    flags: &mut WaitFlags,
) -> Option<Waker> {
    listener.waiters.uncount(mem::replace(flags, WaitFlags::NONE));
    let id = listener.id();
    lock.end_reservation_of(listener.waiters, id);
    listener.leave()
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let (lock, mode) = (self.lock, self.mode);
        // SAFETY: if the waiter was pinned, it is not moved any more. If not, its listener was
        // never queued.
        let (flags, _, listener) = unsafe { Pin::new_unchecked(self) }.parts();
        if *flags == WaitFlags::NONE {
            return;
        }
        let (state, _waker, (emptied, change)) = listener.with(|listener| {
            let (id, state) = (listener.id(), listener.state());
            lock.end_reservation_of(listener.waiters, id);
            if state.is_notified() {
                listener.waiters.give_back_turn(mode);
            }
            (state, listener.leave(), lock.remove_flags(listener.waiters, *flags))
        });
        // Wakers may panic, both when they wake and when they are dropped: that comes last.
        match state {
            WaitState::HandedOff => lock.release(mode),
            _ if !change.has_waiters() => {}
            // The last exclusive waiter leaves shared waiters behind that waited because of it.
            _ if emptied.has(WaitFlag::of(mode)) && mode != Mode::Upgradable => lock.wake(change),
            // All shared waiters are notified together, or the rest of them by the holder that
            // keeps a handoff waiter out. So only the last shared waiter has to pass the wake-up
            // on.
            WaitState::Notified if mode != Mode::Shared => lock.wake_others(),
            WaitState::Notified | WaitState::Queued | WaitState::Idle => {}
        }
    }
}
