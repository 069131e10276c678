//! Who waits, where, and how many. It calls as many as it is told to; who may enter is not its business.

use alloc::boxed::Box;
use core::fmt;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use crate::lazy::Lazy;
use crate::list::{Lists, Node, ROUND};
use crate::mode::Mode;
use crate::state::Lane;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::const_fn;

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
    Shared,
    Upgradable,
    Exclusive,
    /// Exclusive waiters that were overtaken.
    Overtaken,
    /// The holder that upgrades.
    Upgrade,
    SharedMonitors,
    UpgradableMonitors,
    ExclusiveMonitors,
}

impl Line {
    pub(crate) const COUNT: usize = 8;

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

/// The waiters of a lock.
pub(crate) struct Queue {
    /// For each [`Line`], who listens there, in the order of their coming.
    lists: Lists,
    /// For each [`Lane`], how many waiters there are: counted before they listen, and until after
    /// they have stopped.
    ///
    /// All operations are `Relaxed`: who joins announces itself on the word after it is counted, and
    /// who reads a count has read the word before (`State::enter_or_announce`).
    counts: [AtomicUsize; Lane::COUNT],
    /// For each mode, what monitors look at and listen to.
    edges: [Edges; Mode::ALL.len()],
}

impl Queue {
    fn new() -> Box<Self> {
        Box::new(Self {
            lists: Lists::new(),
            counts: [0; Lane::COUNT].map(AtomicUsize::new),
            edges: Mode::ALL.map(|_| Edges::new()),
        })
    }

    /// Counts one more waiter in `lane`.
    pub(crate) fn join(&self, lane: Lane) {
        self.counts[lane as usize].fetch_add(1, Relaxed);
    }

    /// Counts one waiter in `lane` less, and says whether it was the last.
    pub(crate) fn leave(&self, lane: Lane) -> bool {
        self.counts[lane as usize].fetch_sub(1, Relaxed) == 1
    }

    /// How many waiters are counted in `lane`.
    pub(crate) fn len(&self, lane: Lane) -> usize {
        self.counts[lane as usize].load(Relaxed)
    }

    /// Calls the first `n` waiters of `line`. Says how many there were.
    pub(crate) fn call(&self, line: Line, n: usize, wake: &mut Wake) -> usize {
        let mut called = 0;
        while called < n {
            let (now, most) = match n - called {
                ..ROUND => (self.call_round::<1>(line, wake), 1),
                _ => (self.call_round::<ROUND>(line, wake), ROUND),
            };
            called += now;
            if now < most {
                break;
            }
        }
        called
    }

    fn call_round<const N: usize>(&self, line: Line, wake: &mut Wake) -> usize {
        let mut round = self.lists.call::<N>(line);
        round.wakers().for_each(|waker| wake.one(waker));
        round.len()
    }

    /// How many edges of `mode` have been counted.
    pub(crate) fn edges(&self, mode: Mode) -> EdgeCount {
        // ORDERING: Acquire. Pairs with the Release of `Edges::count_one`: whoever sees the edge finds
        // the lock as it was then, or later. Weakened, the model
        // `notify_who_sees_the_edge_finds_the_lock` fails.
        EdgeCount(self.edges[mode as usize].count.load(Acquire) & !LISTENED)
    }

    /// Counts the edges that satisfy `is_edge`. Says how many listeners are to be [told](Self::tell) for
    /// each mode.
    pub(crate) fn count_edges(&self, is_edge: impl Fn(Mode) -> bool) -> [usize; Mode::ALL.len()] {
        Mode::ALL.map(|mode| if is_edge(mode) { self.edges[mode as usize].count_one() } else { 0 })
    }

    /// Calls those who listen to edges that were counted.
    pub(crate) fn tell(&self, listeners: [usize; Mode::ALL.len()], wake: &mut Wake) {
        /// Until all are called, somebody still listens: also if a waker panics and nobody catches it.
        struct StillListened<'a>(&'a Edges);
        impl Drop for StillListened<'_> {
            fn drop(&mut self) {
                self.0.announce();
            }
        }
        for mode in Mode::ALL {
            let (edges, listeners) = (&self.edges[mode as usize], listeners[mode as usize]);
            if listeners > 0 {
                let still = StillListened(edges);
                self.call(Line::of_monitors(mode), listeners, wake);
                core::mem::forget(still);
            }
        }
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
        // All who listen are called together: who is dropped after its call has nothing to pass on.
        let listening = Listening::to(&self.edges[mode as usize]);
        let mut seat = pin!(Seat::new(self));
        poll_fn(|cx| match seat.as_mut().poll(Line::of_monitors(mode), cx) {
            Poll::Pending => look(listening.0.announce()),
            called => called,
        })
        .await;
    }
}

/// Who listens to edges, and is counted as such.
struct Listening<'a>(&'a Edges);

impl<'a> Listening<'a> {
    fn to(edges: &'a Edges) -> Self {
        edges.listeners.fetch_add(1, Relaxed);
        Self(edges)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Relaxed);
    }
}

/// A mode can be acquired that could not before: these are counted, as long as there are monitors.
struct Edges {
    /// How many there were, times two, and [`LISTENED`].
    count: AtomicUsize,
    /// How many listen: counted before they do, and until after they have stopped. Read and written
    /// as the counts of the lanes are, `count` being the word.
    listeners: AtomicUsize,
}

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
        Self { count: AtomicUsize::new(0), listeners: AtomicUsize::new(0) }
    }

    /// One more edge. Says how many are to be called for it: all who listen, if there are some that were
    /// not called for one before.
    fn count_one(&self) -> usize {
        // ORDERING: Release, for `Queue::edges`.
        if self.count.fetch_add(ONE_EDGE, Release) & LISTENED == 0 {
            return 0;
        }
        // ORDERING: Acquire. Pairs with the Release of `announce`: who has announced itself before the
        // bit is cleared is counted, and in the list, and so it is called. Weakened, the model
        // `notify_misses_no_edge_from_its_first_moment` fails.
        self.count.fetch_and(!LISTENED, Acquire);
        self.listeners.load(Relaxed)
    }

    /// Says that somebody listens, whose listener is in the list already. Gives the number of edges:
    /// whoever counts the next one will see it.
    fn announce(&self) -> EdgeCount {
        // ORDERING: Release, for `count_one`, with the same model. Acquire as in `Queue::edges`: of the
        // members of a set not all are looked at again. Weakened, the model
        // `notify_of_a_free_set_misses_no_edge` fails.
        EdgeCount(self.count.fetch_or(LISTENED, AcqRel) & !LISTENED)
    }
}

impl fmt::Debug for LazyQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyQueue").finish_non_exhaustive()
    }
}

/// A waiter's place in the queue: empty, until the waiter listens.
pub(crate) struct Seat<'a> {
    queue: &'a Queue,
    node: Node,
    /// Where it listens, or did before.
    line: Line,
    /// It listens, for all that it knows.
    listed: bool,
}

impl<'a> Seat<'a> {
    pub(crate) fn new(queue: &'a Queue) -> Self {
        Self { queue, node: Node::new(), line: Line::Shared, listed: false }
    }

    pub(crate) fn queue(&self) -> &'a Queue {
        self.queue
    }

    /// Says whether it has been called. If not, it listens from now on, in `line` if it did not before,
    /// and with the waker of `cx`. Called, it does not listen any more.
    pub(crate) fn poll(self: Pin<&mut Self>, line: Line, cx: &Context<'_>) -> Poll<()> {
        // SAFETY: the node, which must not be moved, is not.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as the seat is pinned, so is its node.
        let node = unsafe { Pin::new_unchecked(&this.node) };
        if this.listed {
            let called = this.queue.lists.poll(node, cx.waker());
            this.listed = called.is_pending();
            return called;
        }
        let waker = cx.waker().clone();
        this.line = line;
        this.listed = true;
        // SAFETY: the node is in no list: it does not listen. Before it goes, the seat leaves.
        unsafe { this.queue.lists.insert(line, node, waker) };
        Poll::Pending
    }

    /// It listens no more. Says whether it has been called, and did not know it, and gives what it has
    /// kept of its task: to be dropped when all else is done, as that is foreign code.
    pub(crate) fn leave(self: Pin<&mut Self>) -> (bool, Option<Waker>) {
        // SAFETY: the node, which must not be moved, is not.
        let this = unsafe { self.get_unchecked_mut() };
        if !core::mem::take(&mut this.listed) {
            return (false, None);
        }
        // SAFETY: as the seat is pinned, so is its node.
        let node = unsafe { Pin::new_unchecked(&this.node) };
        let waker = this.queue.lists.remove(this.line, node);
        (waker.is_none(), waker)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // SAFETY: if it listens, it is pinned, and it is not moved any more.
        unsafe { Pin::new_unchecked(self) }.leave();
    }
}

/// Wakes tasks. With `std`, a waker that panics keeps nobody from being woken: its panic goes on
/// when all are.
#[derive(Default)]
pub(crate) struct Wake {
    #[cfg(feature = "std")]
    panic: Option<Box<dyn core::any::Any + Send>>,
}

impl Wake {
    fn one(&mut self, waker: core::task::Waker) {
        #[cfg(feature = "std")]
        if let Err(panic) = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| waker.wake()))
        {
            self.panic.get_or_insert(panic);
        }
        #[cfg(not(feature = "std"))]
        waker.wake();
    }
}

#[cfg(feature = "std")]
impl Drop for Wake {
    fn drop(&mut self) {
        if let Some(panic) = self.panic.take() {
            if !std::thread::panicking() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}
