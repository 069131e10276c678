#![doc = include_str!("DESIGN.md")]

use core::fmt;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};

use crate::mode::Mode;
use crate::queue::{EdgeCount, LazyQueue, Line, Queue, Seat, Wake};
use crate::state::{Announced, Change, Lane, Left, Snapshot, State, Upgrade};
use crate::sync::atomic::Ordering::Acquire;
use crate::sync::atomic::fence;
use crate::sync::const_fn;

/// The lock without guards: whoever acquires must release.
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

    /// Acquires at once, unless that would overtake somebody who was overtaken before.
    #[inline]
    pub(crate) fn acquire_at_once(&self, mode: Mode) -> bool {
        self.state.acquire_as_newcomer(mode)
    }

    /// Whether a newcomer to `mode` has to [stand back](stand_back) once.
    pub(crate) fn is_reserved(&self, mode: Mode) -> bool {
        self.state.load().is_reserved(mode)
    }

    /// Acquires in `mode` if a waiter that was called may.
    pub(crate) fn acquire_called(&self, mode: Mode) -> bool {
        self.state.acquire_called(mode)
    }

    /// Counts one more monitor of `mode`. Gives the number of edges that it has seen: one less than
    /// there were if `mode` can be acquired now.
    pub(crate) fn monitor(&self, mode: Mode) -> EdgeCount {
        let queue = self.queue.get_or_make();
        queue.join(Lane::Monitors);
        // Counted before the mark. An edge that comes after the mark is counted in any case after it;
        // one that came before it may be seen once too often.
        let seen = queue.edges(mode);
        let acquirable = self.state.mark(Lane::Monitors).admits(mode);
        if acquirable { seen.previous() } else { seen }
    }

    /// The queue, for who is counted in it already.
    pub(crate) fn queue(&self) -> &Queue {
        self.queue.get_or_make()
    }

    /// A monitor goes.
    pub(crate) fn unmonitor(&self) {
        let queue = self.queue.get_or_make();
        if self.leave(queue, Lane::Monitors) == Gone::Missed {
            self.make_good(queue);
        }
    }

    /// Ends a hold in `mode`. The caller has one, and gives it up.
    #[inline]
    pub(crate) fn release(&self, mode: Mode) {
        if let Left::Waiters(word) = self.state.release(mode) {
            self.wake_released(word, mode);
        }
    }

    /// Changes a hold in mode `from` into one in the weaker mode `to`.
    pub(crate) fn downgrade(&self, from: Mode, to: Mode) {
        if let Left::Waiters(word) = self.state.downgrade(from, to) {
            self.wake(Change::downgrade(word, from, to));
        }
    }

    /// One more shared hold beside the caller's.
    pub(crate) fn share(&self) -> bool {
        self.state.share()
    }

    /// Makes a hold in mode `from` exclusive, unless somebody else holds the lock too.
    pub(crate) fn try_upgrade(&self, from: Mode) -> Result<(), Snapshot> {
        self.state.try_upgrade(from)
    }

    /// Makes a hold in mode `from`, shared or upgradable, exclusive, and says whether it could: it is
    /// refused at once or never. Dropped before it is ready, it leaves the hold as it was.
    pub(crate) async fn upgrade(&self, from: Mode) -> bool {
        match self.state.start_upgrade(from) {
            Upgrade::Done => return true,
            Upgrade::Refused => return false,
            Upgrade::Waiting => {}
        }
        let mut upgrading = Upgrading { lock: self, from, done: false };
        let mut seat = pin!(Seat::new(self.queue.get_or_make()));
        poll_fn(|cx| {
            loop {
                let called = seat.as_mut().poll(Line::Upgrade, cx);
                upgrading.done = self.state.finish_upgrade() == Upgrade::Done;
                if upgrading.done || called.is_pending() {
                    return ready_if(upgrading.done);
                }
            }
        })
        .await;
        // A waker that is dropped may panic: until then the guard has what it had.
        drop(seat.leave());
        core::mem::forget(upgrading);
        true
    }

    /// As [`wake`](Self::wake), after a release: what it needs beyond the word is worked out in here,
    /// where few come by.
    #[cold]
    #[inline(never)]
    fn wake_released(&self, word: Snapshot, mode: Mode) {
        self.wake(Change::release(word, mode));
    }

    /// Calls whoever may enter after `change`: a hold has ended or become a weaker one, or a waiter has
    /// gone.
    ///
    /// This is where shared and exclusive waiters take turns: after an exclusive hold come all shared
    /// waiters and one upgradable, and after those one exclusive. If those whose turn it is have all
    /// been called before, and have not come, it is the turn of the others.
    #[cold]
    #[inline(never)]
    fn wake(&self, change: Change) {
        // ORDERING: Acquire. The release was a Release and no more, for the sake of those who have
        // nobody to wake. With the fence, whoever announced itself on the word before is found in
        // the queue and in its counts. Weakened, the model
        // `p2_the_next_waiter_is_woken` fails.
        fence(Acquire);
        let Some(queue) = self.queue.get() else {
            return;
        };
        let word = change.after;
        let mut wake = Wake::default();
        // Before anybody is woken, who might look.
        let edges = if word.has(Lane::Monitors) {
            queue.count_edges(|mode| change.is_edge(mode))
        } else {
            [0; 3]
        };

        if word.is_upgrading() {
            if word.shared_holders() == 0 {
                queue.call(Line::Upgrade, 1, &mut wake);
            }
            return;
        }
        // A shared holder that leaves others behind makes no room, unless there was none at all. But
        // if there is room, for an upgradable one, then whoever was called for it has not come.
        let made_room = !change.makes_no_room()
            || word.is_free()
            || word.has(Lane::Upgradable) && word.admits(Mode::Upgradable);
        if !made_room || word.mode() == Some(Mode::Exclusive) {
            return;
        }

        let turn_of_shared = change.ends_exclusive() || !word.has(Lane::Exclusive);
        let mut called = 0;
        if turn_of_shared {
            called = call_shared(queue, word, &mut wake);
        }
        if called == 0 && word.is_free() && word.has(Lane::Exclusive) {
            called = call_exclusive(queue, word, &mut wake);
        }
        if called == 0 && word.is_free() && !turn_of_shared {
            call_shared(queue, word, &mut wake);
        }
        // Last: no waiter depends on a monitor.
        queue.tell(edges, &mut wake);
    }

    /// Calls whoever may enter, after a waiter has gone that others did not wait for.
    fn wake_others(&self) {
        let word = self.state.load();
        self.wake(Change { before: word, after: word });
    }

    /// Somebody is in `lane` who does not announce itself.
    fn enter_lane(&self, queue: &Queue, lane: Lane) {
        queue.join(lane);
        self.state.mark(lane);
    }

    /// A waiter of `lane` goes, in whatever way. The last one clears the bit of the lane.
    fn leave(&self, queue: &Queue, lane: Lane) -> Gone {
        if !queue.leave(lane) {
            return Gone::Others;
        }
        let change = self.state.unmark(lane);
        if queue.len(lane) == 0 {
            return Gone::Last(change);
        }
        loop {
            // Somebody has joined meanwhile, and may have announced itself before our clearing.
            self.state.mark(lane);
            if queue.len(lane) != 0 {
                return Gone::Missed;
            }
            self.state.unmark(lane);
            if queue.len(lane) == 0 {
                return Gone::Missed;
            }
        }
    }

    /// Leaves the overtaken, if it is one of them, and then the lane where it waits. Nobody waits
    /// because of an overtaken one: what it leaves behind there is not worth a word.
    fn leave_both(&self, queue: &Queue, overtaken: bool, lane: Option<Lane>) -> Gone {
        let missed = overtaken && self.leave(queue, Lane::Overtaken) == Gone::Missed;
        match lane.map_or(Gone::Others, |lane| self.leave(queue, lane)) {
            _ if missed => Gone::Missed,
            gone => gone,
        }
    }

    /// Calls whoever may enter, and tells all monitors: a bit was missing for a while that a release
    /// in between should have seen.
    fn make_good(&self, queue: &Queue) {
        let edges = queue.count_edges(|_| true);
        let mut wake = Wake::default();
        queue.tell(edges, &mut wake);
        self.wake_others();
    }
}

/// What a waiter that goes leaves in its lane.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// Others.
    Others,
    /// Nobody, and a clear bit.
    Last(Change),
    /// A bit that is right again, but was not for a while: see [`make_good`](RawLock::make_good).
    Missed,
}

impl fmt::Debug for RawLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

/// Calls all shared waiters, and the first upgradable one.
fn call_shared(queue: &Queue, word: Snapshot, wake: &mut Wake) -> usize {
    let mut called = 0;
    if word.has(Lane::Shared) && word.fits(Mode::Shared) {
        called += queue.call(Line::Shared, queue.len(Lane::Shared), wake);
    }
    if word.has(Lane::Upgradable) && word.fits(Mode::Upgradable) {
        called += queue.call(Line::Upgradable, 1, wake);
    }
    called
}

/// Calls the first exclusive waiter, one that was overtaken before all others.
fn call_exclusive(queue: &Queue, word: Snapshot, wake: &mut Wake) -> usize {
    let mut called = 0;
    if word.has(Lane::Overtaken) {
        called = queue.call(Line::Overtaken, 1, wake);
    }
    if called == 0 {
        called = queue.call(Line::Exclusive, 1, wake);
    }
    called
}

/// A hold that ends if it is dropped.
pub(crate) struct Held<'a> {
    lock: &'a RawLock,
    mode: Mode,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.lock.release(self.mode);
    }
}

/// A waiter for a hold, from its first wait until it has it or is dropped.
pub(crate) struct Place<'a> {
    lock: &'a RawLock,
    mode: Mode,
    now: Standing,
    seat: Seat<'a>,
}

/// What has become of a waiter so far.
#[derive(Default)]
struct Standing {
    /// It was called, and has not answered.
    called: bool,
    /// It was called once, and found the lock taken.
    overtaken: bool,
    entered: bool,
    /// It has a hold, which ends with it.
    holds: bool,
}

impl<'a> Place<'a> {
    pub(crate) fn take(lock: &'a RawLock, mode: Mode) -> Self {
        let queue = lock.queue.get_or_make();
        queue.join(Lane::of(mode));
        Self { lock, mode, now: Standing::default(), seat: Seat::new(queue) }
    }

    fn parts(self: Pin<&mut Self>) -> (&mut Standing, Pin<&mut Seat<'a>>) {
        // SAFETY: the seat, which alone is pinned with the place, is not moved.
        unsafe {
            let this = self.get_unchecked_mut();
            (&mut this.now, Pin::new_unchecked(&mut this.seat))
        }
    }

    /// Waits until it holds the lock.
    pub(crate) fn poll_enter(mut self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<()> {
        loop {
            let called = self.as_mut().listen(cx);
            let state = &self.lock.state;
            let entered = match called {
                Poll::Ready(()) => state.acquire_called(self.mode),
                Poll::Pending => state.acquire_or_announce(self.mode) == Announced::Acquired,
            };
            if entered {
                self.as_mut().parts().0.holds = true;
                self.set_entered();
                return Poll::Ready(());
            }
            ready!(called);
            self.as_mut().set_overtaken();
        }
    }

    /// Waits for a call, or for luck, and does not enter. Whoever waits says what came of it: with
    /// [`set_entered`](Self::set_entered), with [`set_overtaken`](Self::set_overtaken), or by going.
    ///
    /// Says whether it was called. If not, it could have entered as anybody can.
    pub(crate) fn poll_turn(mut self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<bool> {
        if self.as_mut().listen(cx).is_ready() {
            return Poll::Ready(true);
        }
        let lucky = self.lock.state.look_or_announce(self.mode) == Announced::Acquired;
        ready!(ready_if(lucky));
        let (now, seat) = self.parts();
        let (called, _waker) = seat.leave();
        now.called |= called;
        Poll::Ready(now.called)
    }

    /// Whether it has been called. If not, it listens from now on.
    fn listen(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<()> {
        let line = match self.mode {
            // An exclusive waiter that was overtaken keeps its place by going where it is called before
            // the others. All shared ones are called together anyway.
            Mode::Exclusive if self.now.overtaken => Line::Overtaken,
            mode => Line::of(mode),
        };
        let (now, seat) = self.parts();
        let called = seat.poll(line, cx);
        now.called |= called.is_ready();
        called
    }

    /// Its hold stays when it goes: from now on that is the caller's.
    pub(crate) fn give_hold(self: Pin<&mut Self>) -> Held<'a> {
        let hold = Held { lock: self.lock, mode: self.mode };
        self.parts().0.holds = false;
        hold
    }

    pub(crate) fn set_entered(self: Pin<&mut Self>) {
        let now = self.parts().0;
        now.called = false;
        now.entered = true;
    }

    pub(crate) fn set_overtaken(self: Pin<&mut Self>) {
        let lock = self.lock;
        let (now, seat) = self.parts();
        now.called = false;
        if !now.overtaken {
            now.overtaken = true;
            lock.enter_lane(seat.queue(), Lane::Overtaken);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // SAFETY: it is not moved any more.
        let (now, seat) = unsafe { Pin::new_unchecked(&mut *self) }.parts();
        // Wakers may panic, when they are dropped and when they wake: that comes last.
        let queue = seat.queue();
        let (called, _waker) = seat.leave();
        let (called, entered, overtaken) = (now.called || called, now.entered, now.overtaken);
        let _hold = now.holds.then(|| Held { lock: self.lock, mode: self.mode });
        match self.lock.leave_both(queue, overtaken, Some(Lane::of(self.mode))) {
            Gone::Missed => self.lock.make_good(queue),
            _ if entered => {}
            // The last exclusive one leaves shared ones behind that waited because of it.
            Gone::Last(change) if self.mode != Mode::Upgradable => self.lock.wake(change),
            // All shared waiters are called together: only the last has to pass it on.
            _ if called && self.mode != Mode::Shared => self.lock.wake_others(),
            _ => {}
        }
    }
}

/// What keeps others back as an overtaken waiter does, where nobody waits: until it is dropped, whoever
/// comes new to the free lock lets one poll pass, and nobody joins shared holders if the claim is an
/// exclusive one.
///
/// A claim in another mode is in no lane of that mode: those who wait there would take it for one who
/// was called with them.
pub(crate) struct Claim<'a> {
    lock: &'a RawLock,
    queue: &'a Queue,
    exclusive: bool,
}

impl<'a> Claim<'a> {
    pub(crate) fn lay(lock: &'a RawLock, mode: Mode) -> Self {
        let claim = Self::laid(lock, mode);
        if claim.exclusive {
            lock.enter_lane(claim.queue, Lane::Exclusive);
        }
        lock.enter_lane(claim.queue, Lane::Overtaken);
        claim
    }

    /// A claim that was laid in `mode`, and forgotten.
    pub(crate) fn laid(lock: &'a RawLock, mode: Mode) -> Self {
        Self { lock, queue: lock.queue.get_or_make(), exclusive: mode == Mode::Exclusive }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let lane = self.exclusive.then_some(Lane::Exclusive);
        match self.lock.leave_both(self.queue, true, lane) {
            Gone::Others => {}
            Gone::Last(change) => self.lock.wake(change),
            Gone::Missed => self.lock.make_good(self.queue),
        }
    }
}

/// An upgrade, until the guard knows of it.
struct Upgrading<'a> {
    lock: &'a RawLock,
    from: Mode,
    done: bool,
}

impl Drop for Upgrading<'_> {
    fn drop(&mut self) {
        if self.done {
            // A waker has panicked: the guard is left with what it had.
            self.lock.downgrade(Mode::Exclusive, self.from);
        } else if let Left::Waiters(word) = self.lock.state.cancel_upgrade(self.from) {
            self.lock.wake(Change::cancel_upgrade(word, self.from));
        }
    }
}

pub(crate) fn ready_if(ready: bool) -> Poll<()> {
    if ready { Poll::Ready(()) } else { Poll::Pending }
}

/// Lets everybody else be polled once.
pub(crate) async fn stand_back() {
    let mut stood = false;
    poll_fn(|cx| {
        if !stood {
            cx.waker().wake_by_ref();
        }
        ready_if(core::mem::replace(&mut stood, true))
    })
    .await;
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::pin::pin;
    use core::task::{Context, Waker};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn e3_at_the_maximum_acquire_waits_until_one_leaves() {
        for mode in [Mode::Shared, Mode::Upgradable] {
            let lock = RawLock { state: State::full(), queue: LazyQueue::new() };
            let wakes = Arc::new(Wakes::default());
            let waker = Waker::from(wakes.clone());
            let cx = Context::from_waker(&waker);
            let mut place = pin!(Place::take(&lock, mode));
            assert!(!lock.try_acquire(mode));
            assert!(place.as_mut().poll_enter(&cx).is_pending());
            lock.release(Mode::Shared);
            assert_eq!(wakes.0.load(Relaxed), 1);
            assert!(place.as_mut().poll_enter(&cx).is_ready());
            assert!(!lock.try_acquire(mode));
        }
    }
}
