//! A waiter: how it is queued, enters, and is dropped.

use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::list::WaiterKind;
use crate::raw::queue::{ListId, Listener};
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
                    let id = listener.id();
                    (barred, stands_back) = lock.is_barred(listener.waiters, id, mode, notified);
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
                            let id = listener.id();
                            *lost = lock.lose(listener.waiters, id, mode, *lost, !thread);
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

    pub(super) fn parts(self: Pin<&mut Self>) -> (&mut WaitFlags, &mut u8, Pin<&mut Listener<'a>>) {
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
            let id = listener.id();
            *lost = lock.lose(listener.waiters, id, mode, *lost, true);
        });
    }
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
