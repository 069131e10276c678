//! Waiters in the order of their coming: lists whose nodes are in the frames of those who wait, and one
//! lock for all of them. Who is called, and why, is not its business.
//!
//! # Invariants
//!
//! * **L1** A node is in one list from `insert` until it is called or removed, and until then it neither
//!   moves nor goes away.
//! * **L2** The links of a node that is in a list are touched only with the lists locked.
//! * **L3** Who calls a node has taken it out of its list, and says so last: from then on all of it belongs
//!   to its owner.
//! * **L4** Wakers are foreign code. They are cloned, woken and dropped with the lists unlocked.

use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr;
use core::task::{Poll, Waker};

use crate::queue::Line;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{Section, UnsafeCell};

/// A list for each [`Line`].
pub(crate) struct Lists(Section<[List; Line::COUNT]>);

/// The ends of a list. Null if it is empty.
struct List {
    first: *const Node,
    last: *const Node,
}

// SAFETY: it is used by one thread at a time, the one that has locked the lists. What it leads to are
// nodes, which may be reached from any thread.
unsafe impl Send for List {}

/// A waiter's place in a list.
pub(crate) struct Node {
    links: UnsafeCell<Links>,
    /// It was called, and is in no list any more.
    called: AtomicBool,
    _pin: PhantomPinned,
}

struct Links {
    previous: *const Node,
    next: *const Node,
    /// Of the task that waits, as long as the node is in a list.
    waker: Option<Waker>,
}

// SAFETY: by L2 and L3 the lock of the lists guards the links, or else the owner has them alone. The wakers
// in them may be sent and shared, and the pointers are followed only with the lists locked.
unsafe impl Send for Node {}
// SAFETY: as for `Send`.
unsafe impl Sync for Node {}

impl Node {
    pub(crate) fn new() -> Self {
        let links = Links { previous: ptr::null(), next: ptr::null(), waker: None };
        Self { links: UnsafeCell::new(links), called: AtomicBool::new(false), _pin: PhantomPinned }
    }

    /// Runs `f` on the links.
    ///
    /// # Safety
    ///
    /// The caller has locked the lists, or is the owner of a node that is in none.
    unsafe fn with<R>(&self, f: impl FnOnce(&mut Links) -> R) -> R {
        // SAFETY: nobody else touches the links, by L2 and L3, and `f` gets nothing that leads to them.
        self.links.with_mut(|links| f(unsafe { &mut *links }))
    }
}

impl List {
    const EMPTY: Self = Self { first: ptr::null(), last: ptr::null() };

    /// Puts `node` at the end.
    ///
    /// # Safety
    ///
    /// The lists are locked. `node` is in none of them, and stays where it is while it is in this one.
    unsafe fn push(&mut self, node: &Node, waker: Waker) {
        // SAFETY: the lists are locked.
        let old = unsafe {
            node.with(|links| {
                links.previous = self.last;
                links.next = ptr::null();
                links.waker.replace(waker)
            })
        };
        debug_assert!(old.is_none(), "a node in no list has no waker");
        // SAFETY: by L1 the nodes of a list are there.
        match unsafe { self.last.as_ref() } {
            // SAFETY: the lists are locked.
            Some(last) => unsafe { last.with(|links| links.next = node) },
            None => self.first = node,
        }
        self.last = node;
    }

    /// Takes `node` out, and its waker.
    ///
    /// # Safety
    ///
    /// The lists are locked, and `node` is in this one.
    unsafe fn unlink(&mut self, node: &Node) -> Option<Waker> {
        // SAFETY: the lists are locked.
        let (previous, next, waker) =
            unsafe { node.with(|links| (links.previous, links.next, links.waker.take())) };
        // SAFETY: by L1 the nodes of a list are there. The lists are locked.
        match unsafe { previous.as_ref() } {
            Some(previous) => unsafe { previous.with(|links| links.next = next) },
            None => self.first = next,
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => unsafe { next.with(|links| links.previous = previous) },
            None => self.last = previous,
        }
        waker
    }
}

impl Lists {
    pub(crate) fn new() -> Self {
        Self(Section::new([const { List::EMPTY }; Line::COUNT]))
    }

    /// Puts `node` at the end of `line`.
    ///
    /// # Safety
    ///
    /// The node is in no list. Before it goes, it is called, or removed from `line`.
    pub(crate) unsafe fn insert(&self, line: Line, node: Pin<&Node>, waker: Waker) {
        // ORDERING: Relaxed. It is still the caller's alone.
        node.called.store(false, Relaxed);
        // SAFETY: the lists are locked. Pinned, the node stays where it is until it goes, and before that
        // it is out of the list.
        self.0.with(|lists| unsafe { lists[line as usize].push(node.get_ref(), waker) });
    }

    /// Whether `node`, which was inserted, has been called. If not, it now has the waker `waker`.
    pub(crate) fn poll(&self, node: Pin<&Node>, waker: &Waker) -> Poll<()> {
        if node.was_called() {
            return Poll::Ready(());
        }
        // Without a clone, first: mostly it is the same task.
        let known = self.if_listed(node, |links| {
            links.waker.as_ref().is_some_and(|known| known.will_wake(waker))
        });
        match known {
            None => Poll::Ready(()),
            Some(true) => Poll::Pending,
            Some(false) => {
                let new = waker.clone();
                // What is not wanted any more is dropped when the lists are unlocked.
                let old = self.if_listed(node, |links| links.waker.replace(new));
                if old.is_some() { Poll::Pending } else { Poll::Ready(()) }
            }
        }
    }

    /// Runs `f` on the links of `node`, which was inserted, unless it has been called.
    fn if_listed<R>(&self, node: Pin<&Node>, f: impl FnOnce(&mut Links) -> R) -> Option<R> {
        self.0.with(|_| {
            // SAFETY: the lists are locked.
            (!node.was_called()).then(|| unsafe { node.with(f) })
        })
    }

    /// Takes `node`, which was inserted into `line`, out of it. Gives its waker, or nothing if it has been
    /// called instead.
    pub(crate) fn remove(&self, line: Line, node: Pin<&Node>) -> Option<Waker> {
        if node.was_called() {
            return None;
        }
        self.0.with(|lists| {
            // SAFETY: the lists are locked, and a node that was not called is where it was put.
            if node.was_called() { None } else { unsafe { lists[line as usize].unlink(&node) } }
        })
    }

    /// Calls up to `N` of those who are in `line`, in the order of their coming. Gives their wakers.
    pub(crate) fn call<const N: usize>(&self, line: Line) -> Round<N> {
        let mut round = Round { wakers: [const { None }; N], len: 0 };
        self.0.with(|lists| {
            let list = &mut lists[line as usize];
            for place in &mut round.wakers {
                // SAFETY: by L1 the nodes of a list are there.
                let Some(node) = (unsafe { list.first.as_ref() }) else { break };
                // SAFETY: the lists are locked, and the node is the first of this one.
                *place = unsafe { list.unlink(node) };
                round.len += 1;
                // ORDERING: Release, for `was_called`. From here on the node may be gone.
                node.called.store(true, Release);
            }
        });
        round
    }
}

impl Node {
    /// It was inserted, and is in no list any more.
    fn was_called(&self) -> bool {
        // ORDERING: Acquire. Pairs with the Release in `Lists::call`: who called it is done with it.
        // Weakened, the model `p2_the_next_waiter_is_woken` fails.
        let called = self.called.load(Acquire);
        if called && cfg!(any(loom, debug_assertions)) {
            // SAFETY: by L3 all of it is the owner's. Under loom this is where that is checked.
            assert!(unsafe { self.with(|links| links.waker.is_none()) });
        }
        called
    }
}

/// How many waiters are called while the lists are locked, once. On a chip without `std` this bounds how
/// long interrupts are off.
pub(crate) const ROUND: usize = 8;

/// The wakers of waiters that were called together, and have not been woken yet.
pub(crate) struct Round<const N: usize> {
    wakers: [Option<Waker>; N],
    len: usize,
}

impl<const N: usize> Round<N> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The next one to wake, first called first.
    pub(crate) fn wakers(&mut self) -> impl Iterator<Item = Waker> {
        self.wakers[..self.len].iter_mut().filter_map(Option::take)
    }
}

/// A waker that panics keeps nobody of its round from being woken. With `std` its panic is caught before
/// it comes here.
#[cfg(not(feature = "std"))]
impl<const N: usize> Drop for Round<N> {
    fn drop(&mut self) {
        self.wakers.iter_mut().filter_map(Option::take).for_each(Waker::wake);
    }
}
