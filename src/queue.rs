//! Who waits, where, and how many. It calls as many as it is told to; who may enter is not its business.

use alloc::boxed::Box;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::ptr;
use core::task::{Context, Poll, Waker};

use crate::lazy::Lazy;
use crate::list::{Kind, List, Node, ROUND, Round};
use crate::mode::Mode;
use crate::reservation::Reservation;
use crate::state::{Lane, Lanes};
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{Section, const_fn, unmodelled};

/// The queue of a lock, made when somebody waits for the first time.
pub(crate) struct LazyQueue(Lazy<Queue>);

impl LazyQueue {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self(Lazy::new())
        }
    }

    pub(crate) fn get(&self) -> Option<&Queue> {
        self.0.get()
    }

    /// The queue. Allocates if there is none yet: all that the lock will ever allocate.
    pub(crate) fn get_or_make(&self) -> &Queue {
        self.0.get_or_make(Queue::new)
    }
}

/// Where a waiter listens.
#[derive(Clone, Copy)]
pub(crate) enum Line {
    Exclusive,
    /// Exclusive waiters that were overtaken.
    Overtaken,
    /// The holder that upgrades.
    Upgrade,
    Shared,
    Upgradable,
    SharedMonitors,
    UpgradableMonitors,
    ExclusiveMonitors,
}

impl Line {
    const COUNT: usize = 8;

    pub(crate) const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Shared => Self::Shared,
            Mode::Upgradable => Self::Upgradable,
            Mode::Exclusive => Self::Exclusive,
        }
    }

    pub(crate) const fn of_monitors(mode: Mode) -> Self {
        match mode {
            Mode::Shared => Self::SharedMonitors,
            Mode::Upgradable => Self::UpgradableMonitors,
            Mode::Exclusive => Self::ExclusiveMonitors,
        }
    }
}

/// Takes for an heir what it waits for, if it can. Not a type of its own, for each of which there would be one more
/// copy of what calls it.
pub(crate) type Give<'a> = &'a dyn Fn() -> bool;

/// For lines without heirs.
pub(crate) const NOTHING: Give<'static> = &|| false;

/// The waiters and the monitors of a lock.
///
/// With `std` the fields are in an order in which a wait touches two cache lines: that of the mutex and the counts, and
/// that of its list. In the compiler's order it touches five, and tasks of two workers that contend for the lock take
/// 1.15 times as long (`cargo bench --bench locks -- short/`).
#[cfg_attr(feature = "std", repr(C, align(64)))]
pub(crate) struct Queue {
    waiters: Section<Waiters>,
    /// For each mode, what monitors look at and listen to.
    edges: [Edges; Mode::ALL.len()],
    /// How many newcomers still let one poll pass for waiters that were overtaken.
    pub(crate) deferences: unmodelled::AtomicU8,
    /// Whether to look at the lock for a moment before waiting.
    #[cfg(feature = "std")]
    pub(crate) patience: Patience,
}

/// Who waits, and how many: what is touched only with the queue locked. In the order of [`Queue`].
#[cfg_attr(feature = "std", repr(C))]
pub(crate) struct Waiters {
    /// For a waiter that is starving.
    pub(crate) reservation: Reservation,
    /// For each [`Lane`], how many waiters there are.
    counts: [u32; Lane::COUNT],
    /// See [`Queue::last_turn`].
    last_turn: Option<Mode>,
    /// For each [`Line`], who listens there, in the order of their coming.
    lists: [List; Line::COUNT],
}

impl Waiters {
    /// Counts one waiter more in each of `lanes`. So many that it panics would fill a quarter of a terabyte.
    #[inline]
    pub(crate) fn count(&mut self, lanes: Lanes) {
        lanes.each(|lane| {
            self.counts[lane] = self.counts[lane].checked_add(1).expect("fewer than 2^32 wait");
        });
    }

    /// Counts one waiter less in each of `lanes`.
    #[inline]
    pub(crate) fn uncount(&mut self, lanes: Lanes) {
        lanes.each(|lane| self.counts[lane] -= 1);
    }

    /// A waiter that was woken in `mode` has not entered.
    pub(crate) fn give_back_turn(&mut self, mode: Mode) {
        if self.last_turn == Some(mode) {
            self.last_turn = None;
        }
    }

    /// Those of `lanes` in which there is one waiter.
    #[inline]
    pub(crate) fn last_of(&self, lanes: Lanes) -> Lanes {
        let mut last = Lanes::NONE;
        lanes.each(|lane| {
            if self.counts[lane] == 1 {
                last = last.and_nth(lane);
            }
        });
        last
    }
}

impl Queue {
    fn new() -> Box<Self> {
        Box::new(Self {
            waiters: Section::new(Waiters {
                lists: [const { List::EMPTY }; Line::COUNT],
                counts: [0; Lane::COUNT],
                reservation: Reservation::NONE,
                last_turn: None,
            }),
            edges: Mode::ALL.map(|_| Edges::new()),
            deferences: unmodelled::AtomicU8::new(0),
            #[cfg(feature = "std")]
            patience: Patience::default(),
        })
    }

    /// Runs `f` with the queue locked: see [`Section::with`].
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Waiters) -> R) -> R {
        self.waiters.with(f)
    }

    /// The mode of the waiter that was woken last, of those that were woken while both upgradable and exclusive ones
    /// waited, unless it did not enter.
    #[cold]
    pub(crate) fn last_turn(&self) -> Option<Mode> {
        self.with(|waiters| waiters.last_turn)
    }

    /// Calls the first who listens in `line`. Says whether there is one.
    ///
    /// If that is an heir, it is called only if `give` takes for it what it waits for. If it is called, and `turn` is a
    /// mode, that is the [last turn](Self::last_turn).
    pub(crate) fn call_first(
        &self,
        line: Line,
        turn: Option<Mode>,
        give: Give<'_>,
        wake: &mut Wake,
    ) -> bool {
        let (called, left) = self.call_round::<1>(line, turn, give, wake);
        called + left > 0
    }

    /// Calls all who listen in `line`, but not those who come meanwhile. Says whether there are any.
    ///
    /// It ends at the first heir for which `give` cannot take what it waits for: it is taken, for all.
    pub(crate) fn call_all(&self, line: Line, give: Give<'_>, wake: &mut Wake) -> bool {
        let (mut called, mut left) = self.call_round::<ROUND>(line, None, give, wake);
        let any = called + left > 0;
        while called > 0 && left > 0 {
            called = if left < ROUND {
                self.call_round::<1>(line, None, give, wake).0
            } else {
                self.call_round::<ROUND>(line, None, give, wake).0
            };
            left -= called;
        }
        any
    }

    /// Calls the first `N`, or as many as there are. Says how many that were, and how many are left.
    fn call_round<const N: usize>(
        &self,
        line: Line,
        turn: Option<Mode>,
        give: Give<'_>,
        wake: &mut Wake,
    ) -> (usize, usize) {
        // Made here, and not moved: while the queue is locked no more is done than must be.
        let mut round = Round::<N>::EMPTY;
        let left = self.with(|waiters| {
            let list = &mut waiters.lists[line as usize];
            if list.call(&mut round, waiters.reservation.owner(), wake.is_fair(), give) {
                waiters.reservation.set_firm();
            }
            if turn.is_some() && round.len() > 0 {
                waiters.last_turn = turn;
            }
            list.len()
        });
        round.wakers().for_each(|waker| wake.one(waker));
        (round.len(), left)
    }

    /// How many edges of `mode` have been counted.
    pub(crate) fn edges(&self, mode: Mode) -> EdgeCount {
        // ORDERING: Acquire. Pairs with the Release of `Edges::count_one`: whoever sees the edge finds
        // the lock as it was then, or later. Weakened, the model
        // `notify_who_sees_the_edge_finds_the_lock` fails.
        EdgeCount(self.edges[mode as usize].0.load(Acquire) & !LISTENED)
    }

    /// Counts the edges that satisfy `is_edge`. Says whether somebody is to be told.
    pub(crate) fn count_edges(&self, is_edge: impl Fn(Mode) -> bool) -> Option<Counted<'_>> {
        let count = |mode| is_edge(mode) && self.edges[mode as usize].count_one();
        let listened = Mode::ALL.map(count);
        listened.contains(&true).then(|| Counted { queue: self, listened })
    }

    /// Listens to the edges of `mode` until `look` sees enough of them.
    ///
    /// `look` runs at every poll, the first time after the listener is in the list. After the next
    /// edge the wait is over in any case.
    pub(crate) async fn listen_to_edges(
        &self,
        mode: Mode,
        mut look: impl FnMut(EdgeCount) -> Poll<()> + Send + Sync,
    ) {
        let edges = &self.edges[mode as usize];
        let mut seat = pin!(Seat::new(self));
        // All who listen are called together: who is dropped after its call has nothing to pass on.
        poll_fn(|cx| match seat.as_mut().poll(Line::of_monitors(mode), cx) {
            Poll::Pending => look(edges.announce()),
            called => called,
        })
        .await;
    }
}

/// How often it is worth while to look at the lock for a moment before waiting: where holders run on other
/// cores and are soon done, mostly; where they sleep with their hold, or wait for this core, never. It is found
/// out by trying, less and less often as it fails.
///
/// A guess and no more: what threads write over each other is lost.
#[cfg(feature = "std")]
#[derive(Default)]
pub(crate) struct Patience {
    /// So many do not try.
    left: unmodelled::AtomicUsize,
    /// So many did not, the last time.
    pause: unmodelled::AtomicUsize,
}

#[cfg(feature = "std")]
impl Patience {
    /// The most that do not try between two that do.
    const LONGEST: usize = 1023;

    /// Runs `look`, if it is worth while, and says whether it saw what it was looking for.
    pub(crate) fn try_out(&self, look: impl FnOnce() -> bool) -> bool {
        use unmodelled::Ordering::Relaxed;

        let left = self.left.load(Relaxed);
        if left > 0 {
            self.left.store(left - 1, Relaxed);
            return false;
        }
        let seen = look();
        let pause = if seen { 0 } else { (self.pause.load(Relaxed) * 2 + 1).min(Self::LONGEST) };
        self.pause.store(pause, Relaxed);
        self.left.store(pause, Relaxed);
        seen
    }
}

/// Edges that were counted, until all who listened to them are called.
pub(crate) struct Counted<'a> {
    queue: &'a Queue,
    /// For each mode, whether somebody listens who was not called for it.
    listened: [bool; Mode::ALL.len()],
}

impl Counted<'_> {
    /// Calls them.
    pub(crate) fn tell(mut self, wake: &mut Wake) {
        for mode in Mode::ALL {
            if self.listened[mode as usize] {
                self.queue.call_all(Line::of_monitors(mode), NOTHING, wake);
                self.listened[mode as usize] = false;
            }
        }
    }
}

impl Drop for Counted<'_> {
    /// If a waker has panicked, and nobody has caught it, they still listen.
    fn drop(&mut self) {
        for mode in Mode::ALL.into_iter().filter(|mode| self.listened[*mode as usize]) {
            self.queue.edges[mode as usize].announce();
        }
    }
}

/// A mode can be acquired that could not before: these are counted, as long as there are monitors. How
/// many there were, times two, and [`LISTENED`].
struct Edges(AtomicUsize);

/// Somebody listens that was not called since.
const LISTENED: usize = 1;
const ONE_EDGE: usize = 2;

/// How many edges there were. It wraps around, so that two are only to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EdgeCount(usize);

impl EdgeCount {
    pub(crate) fn previous(self) -> Self {
        Self(self.0.wrapping_sub(ONE_EDGE))
    }

    pub(crate) fn from_raw(raw: usize) -> Self {
        Self(raw)
    }

    pub(crate) fn into_raw(self) -> usize {
        self.0
    }
}

impl Edges {
    fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// One more edge. Says whether somebody listens who was not called for one before.
    fn count_one(&self) -> bool {
        // ORDERING: Release, for `Queue::edges`.
        if self.0.fetch_add(ONE_EDGE, Release) & LISTENED == 0 {
            return false;
        }
        // ORDERING: Relaxed. Whose announcement is cleared here has come to the list before, with the queue
        // locked, and the caller locks it next.
        self.0.fetch_and(!LISTENED, Relaxed);
        true
    }

    /// Says that somebody listens, whose listener is in the list already. Gives the number of edges:
    /// whoever counts the next one will see it.
    fn announce(&self) -> EdgeCount {
        // ORDERING: Acquire, as in `Queue::edges`: of the members of a set not all are looked at again.
        // Weakened, the model `notify_of_a_free_set_misses_no_edge` fails.
        EdgeCount(self.0.fetch_or(LISTENED, Acquire) & !LISTENED)
    }
}

/// A waiter's place in a queue.
pub(crate) struct Seat<'a> {
    queue: &'a Queue,
    node: Node,
    /// Where it listens, or did before.
    line: Line,
    state: Listens,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Listens {
    No,
    /// For all that it knows. Nothing but a call, or leaving, ends that: the node may be in a list.
    Yes,
    /// It has been called, and has not answered.
    Called,
}

impl<'a> Seat<'a> {
    pub(crate) fn new(queue: &'a Queue) -> Self {
        Self { queue, node: Node::new(), line: Line::Shared, state: Listens::No }
    }

    /// What tells the waiter from all others, as long as it is pinned.
    pub(crate) fn id(self: Pin<&mut Self>) -> usize {
        self.parts().node.address()
    }

    /// It listens, or else it was called or never did.
    pub(crate) fn listens(self: Pin<&mut Self>) -> bool {
        self.parts().listens()
    }

    /// It has been called, and has not [answered](Self::answer).
    pub(crate) fn is_called(self: Pin<&mut Self>) -> bool {
        self.parts().is_called()
    }

    /// It is an heir that was called, so it has what it waits for.
    pub(crate) fn is_given(self: Pin<&mut Self>) -> bool {
        self.parts().is_given()
    }

    /// What it was called for is done, or cannot be.
    pub(crate) fn answer(self: Pin<&mut Self>) {
        self.parts().answer();
    }

    /// Says whether it has been called. If not, it listens from now on, in `line` if it did not before,
    /// and with the waker of `cx`.
    pub(crate) fn poll(mut self: Pin<&mut Self>, line: Line, cx: &Context<'_>) -> Poll<()> {
        let mut new = (!self.as_mut().listens()).then(|| cx.waker().clone());
        while !self.as_mut().is_called() {
            if self.as_mut().with(|seat| seat.listen(line, Kind::Task, cx, &mut new)) {
                return Poll::Pending;
            }
            new = Some(cx.waker().clone());
        }
        self.answer();
        Poll::Ready(())
    }

    /// Runs `f` with the queue locked: see [`Section::with`].
    #[inline]
    pub(crate) fn with<R>(self: Pin<&mut Self>, f: impl FnOnce(&mut Locked<'_>) -> R) -> R {
        let queue = self.queue;
        queue.with(|waiters| f(&mut Locked { waiters, seat: self.parts() }))
    }

    #[inline]
    fn parts(self: Pin<&mut Self>) -> Parts<'_> {
        // SAFETY: the node, which alone is pinned with the seat, is not moved: it is given out pinned, here and
        // nowhere else.
        unsafe {
            let Self { node, line, state, .. } = self.get_unchecked_mut();
            Parts { node: Pin::new_unchecked(node), line, state }
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // SAFETY: if it listens, it was pinned when it began to, and it is not moved any more. If not, the node is
        // in no list, and may as well have been moved.
        let mut seat = unsafe { Pin::new_unchecked(self) };
        if seat.as_mut().listens() {
            drop(seat.with(|seat| seat.leave()));
        }
    }
}

/// A seat, without its queue.
struct Parts<'l> {
    node: Pin<&'l Node>,
    line: &'l mut Line,
    state: &'l mut Listens,
}

impl Parts<'_> {
    #[inline]
    fn listens(&mut self) -> bool {
        if *self.state == Listens::Yes && self.node.was_called() {
            *self.state = Listens::Called;
        }
        *self.state == Listens::Yes
    }

    #[inline]
    fn is_called(&mut self) -> bool {
        self.listens();
        *self.state == Listens::Called
    }

    #[inline]
    fn is_given(&mut self) -> bool {
        self.is_called() && self.node.is_heir()
    }

    #[inline]
    fn answer(&mut self) {
        debug_assert!(*self.state != Listens::Yes, "it is in a list");
        // Who listens goes on: else it would be gone some day, and still in the list.
        if *self.state == Listens::Called {
            *self.state = Listens::No;
        }
    }
}

/// A queue, locked, and a seat of it.
pub(crate) struct Locked<'l> {
    pub(crate) waiters: &'l mut Waiters,
    seat: Parts<'l>,
}

impl Locked<'_> {
    /// It has been called, and has not answered. With the queue locked that does not come to pass any more.
    #[inline]
    pub(crate) fn is_called(&mut self) -> bool {
        self.seat.is_called()
    }

    /// It is an heir that was called, so it has what it waits for.
    #[inline]
    pub(crate) fn is_given(&mut self) -> bool {
        self.seat.is_given()
    }

    /// Whether it listens with a waker of the task of `cx`. If it does not, it will if there is a waker in
    /// `new`, in `line` if it did not listen, and there as one of that kind; what it had before is in `new` then.
    #[inline]
    pub(crate) fn listen(
        &mut self,
        line: Line,
        kind: Kind,
        cx: &Context<'_>,
        new: &mut Option<Waker>,
    ) -> bool {
        if self.seat.listens() {
            let list = &self.waiters.lists[*self.seat.line as usize];
            // SAFETY: the node is in this list, where it was put: it was not called, and with the queue locked it
            // is not.
            return unsafe { list.renew(&self.seat.node, cx.waker(), new) };
        }
        let Some(waker) = new.take() else { return false };
        *self.seat.line = line;
        *self.seat.state = Listens::Yes;
        // SAFETY:
        // * the node is ours, and in no list: it does not listen;
        // * it is pinned, so it is dropped before it goes, and then it leaves this list: the line is kept until
        //   then.
        unsafe { self.waiters.lists[line as usize].insert(self.seat.node, waker, kind) };
        true
    }

    /// It listens, and is the first of its line from now on.
    pub(crate) fn go_first(&mut self) {
        let list = &mut self.waiters.lists[*self.seat.line as usize];
        // SAFETY: the node is in this list, where it was put: it was not called, and with the queue locked it is not.
        unsafe { list.move_to_front(&self.seat.node) };
    }

    /// The next of the exclusive waiters that were overtaken is an heir, and another.
    #[inline]
    pub(crate) fn is_behind_heir(&self) -> bool {
        let first = self.waiters.lists[Line::Overtaken as usize].first();
        first.is_some_and(|node| node.is_heir() && !ptr::eq(node, &*self.seat.node))
    }

    /// Calls that one, if `give` takes for it what it waits for. Gives its waker.
    #[inline]
    pub(crate) fn call_heir(&mut self, give: Give<'_>) -> Option<Waker> {
        let mut round = Round::<1>::EMPTY;
        // An heir makes no reservation.
        self.waiters.lists[Line::Overtaken as usize].call(&mut round, 0, false, give);
        round.wakers().next()
    }

    /// What tells the waiter from all others, as long as it is pinned.
    #[inline]
    pub(crate) fn id(&self) -> usize {
        self.seat.node.address()
    }

    /// What it was called for is done.
    #[inline]
    pub(crate) fn answer(&mut self) {
        self.seat.answer();
    }

    /// It listens no more. Gives the waker that it had, to be dropped with the queue unlocked.
    #[inline]
    pub(crate) fn leave(&mut self) -> Option<Waker> {
        if !self.seat.listens() {
            return None;
        }
        *self.seat.state = Listens::No;
        // SAFETY: the node is in this list, where it was put: it was not called, and with the queue locked it is
        // not.
        unsafe { self.waiters.lists[*self.seat.line as usize].remove(&self.seat.node) }
    }
}

/// Wakes tasks. With `std`, a waker that panics keeps nobody from being woken: its panic goes on
/// when all are.
pub(crate) struct Wake {
    #[cfg(feature = "std")]
    fair: bool,
    #[cfg(feature = "std")]
    panic: Option<Box<dyn core::any::Any + Send>>,
}

impl Wake {
    /// If it is `fair`, threads are handed what they are called for.
    #[inline]
    pub(crate) fn new(fair: bool) -> Self {
        #[cfg(not(feature = "std"))]
        let _ = fair;
        Self {
            #[cfg(feature = "std")]
            fair,
            #[cfg(feature = "std")]
            panic: None,
        }
    }

    #[inline]
    fn is_fair(&self) -> bool {
        #[cfg(feature = "std")]
        return self.fair;
        #[cfg(not(feature = "std"))]
        false
    }

    pub(crate) fn one(&mut self, waker: Waker) {
        #[cfg(feature = "std")]
        if let Err(panic) = caught(|| waker.wake()) {
            match &self.panic {
                None => self.panic = Some(panic),
                Some(_) => discard(panic),
            }
        }
        #[cfg(not(feature = "std"))]
        waker.wake();
    }
}

#[cfg(feature = "std")]
impl Drop for Wake {
    #[inline]
    fn drop(&mut self) {
        if let Some(panic) = self.panic.take() {
            pass_on(panic);
        }
    }
}

/// Goes on with the panic of a waker, unless another is on its way.
#[cfg(feature = "std")]
#[cold]
fn pass_on(panic: Box<dyn core::any::Any + Send>) {
    if std::thread::panicking() {
        discard(panic);
    } else {
        std::panic::resume_unwind(panic);
    }
}

#[cfg(feature = "std")]
pub(crate) fn caught(run: impl FnOnce()) -> std::thread::Result<()> {
    std::panic::catch_unwind(core::panic::AssertUnwindSafe(run))
}

/// Drops what a waker has panicked with. It is foreign code, too: what it panics with in turn is forgotten.
#[cfg(feature = "std")]
#[cold]
pub(crate) fn discard(panic: Box<dyn core::any::Any + Send>) {
    if let Err(panic) = caught(|| drop(panic)) {
        core::mem::forget(panic);
    }
}

#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests {
    use super::*;

    #[cfg(all(feature = "std", target_pointer_width = "64"))]
    #[test]
    fn a_wait_touches_two_cache_lines() {
        use core::mem::{align_of, offset_of, size_of};

        let waiters = size_of::<Section<Waiters>>() - size_of::<Waiters>();
        let line = |offset| (offset_of!(Queue, waiters) + waiters + offset) / 64;
        let list = |of| offset_of!(Waiters, lists) + of as usize * size_of::<List>();
        let lines = |of| (line(list(of)), line(list(of) + size_of::<List>() - 1));
        assert_eq!(align_of::<Queue>(), 64);
        assert_eq!((line(0), line(offset_of!(Waiters, last_turn))), (0, 0));
        assert_eq!((lines(Line::Exclusive), lines(Line::Overtaken)), ((1, 1), (1, 1)));
        assert_eq!((lines(Line::Shared), lines(Line::Upgradable)), ((2, 2), (2, 2)));
    }

    #[test]
    #[should_panic = "fewer than 2^32 wait"]
    fn more_waiters_than_can_be_counted_are_refused() {
        Queue::new().with(|waiters| {
            waiters.counts[Lane::Shared as usize] = u32::MAX;
            waiters.count(Lanes::of(Lane::Shared));
        });
    }

    /// Whoever makes an edge that nobody listens for goes by without the queue.
    #[test]
    fn edges_are_told_once_to_who_listens() {
        let edges = Edges::new();
        let first = edges.announce();
        assert_eq!([(); 3].map(|()| edges.count_one()), [true, false, false]);
        let second = edges.announce();
        assert_eq!(second.into_raw() - first.into_raw(), 3 * ONE_EDGE);
        assert_eq!(edges.announce(), second);
        assert_eq!([(); 2].map(|()| edges.count_one()), [true, false]);
    }

    #[cfg(feature = "std")]
    #[test]
    fn patience_looks_less_often_the_less_it_sees() {
        let patience = Patience::default();
        // How many go by before the next look, which sees something or not.
        let until_look = |sees| {
            let goes_by = |_: &usize| {
                let mut looked = false;
                let seen = patience.try_out(|| {
                    looked = true;
                    sees
                });
                assert_eq!(seen, looked && sees);
                looked
            };
            (0..2000).find(goes_by).expect("it looks some time")
        };
        let in_vain = [(); 12].map(|()| until_look(false));
        assert_eq!(in_vain, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1023]);
        assert_eq!([(); 3].map(|()| until_look(true)), [1023, 0, 0]);
        assert_eq!([(); 3].map(|()| until_look(false)), [0, 1, 3]);
    }
}
