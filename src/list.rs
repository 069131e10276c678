//! WaitLists in the order of their coming, in lists whose nodes are in the frames of those who wait. Who is
//! notified, and why, is not their business, nor what a handoff waiter is given.
//!
//! # Invariants
//!
//! * **L1** A node is in one list from `insert` until it is notified or removed, and until then it neither
//!   moves nor goes away.
//! * **L2** All lists of a queue have one lock. The links of a node that is in one of them are touched only by
//!   who has locked it; and so is a list. Whoever has a reference to a list has locked it.
//! * **L3** Who calls a node has taken it out of its list, and says so last: from then on all of it belongs
//!   to its owner.
//! * **L4** A node in a list is never behind a `&mut` that its owner may take for the only way to it: it is not
//!   `Unpin`, nor is whatever it is in.
//!
//! Wakers are foreign code: they are cloned, woken and dropped with the queue unlocked. So they come in here
//! by value, and leave by value.

use core::marker::PhantomPinned;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::ptr;
use core::task::Waker;

use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicBool, AtomicU8};
use crate::sync::{HAS_THREADS, UnsafeCell};

/// The ends of a list. Null if it is empty.
pub(crate) struct List {
    first: *const Node,
    last: *const Node,
    len: usize,
}

// SAFETY: what one thread has inserted another may call or remove: nodes may be reached from any thread, and by
// L1 they are there.
unsafe impl Send for List {}

/// A waiter's place in a list.
pub(crate) struct Node {
    links: UnsafeCell<Links>,
    /// It was notified, and is in no list any more.
    notified: AtomicBool,
    /// Of [`WaiterKind`].
    kind: AtomicU8,
    /// For L1, and for L4.
    _pin: PhantomPinned,
}

/// Who waits.
#[derive(Clone, Copy)]
pub(crate) enum WaiterKind {
    Task,
    /// A thread that blocks.
    Thread,
    /// A thread that is notified only if what it waits for is given to it.
    Handoff,
}

struct Links {
    previous: *const Node,
    next: *const Node,
    /// Of the task that waits, as long as the node is in a list.
    waker: Option<Waker>,
}

// SAFETY: its owner may be polled and dropped in another thread than before: what is in it are wakers, which
// may be sent, and pointers, which are followed only with the lists locked.
unsafe impl Send for Node {}
// SAFETY: while one thread owns it, another comes upon it in a list. By L2 and L3 the links are touched by one
// at a time: by who has locked the lists, or else by the owner. All else in it is atomic.
unsafe impl Sync for Node {}

// A waker that panics does so outside of the lists, or leaves them as they should be.
impl UnwindSafe for Node {}
impl RefUnwindSafe for Node {}

impl Node {
    pub(crate) fn new() -> Self {
        let links = Links { previous: ptr::null(), next: ptr::null(), waker: None };
        let (notified, kind) = (AtomicBool::new(false), AtomicU8::new(WaiterKind::Task as u8));
        Self { links: UnsafeCell::new(links), notified, kind, _pin: PhantomPinned }
    }

    /// Where it is, which tells it from all others for as long as it is pinned.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Whether it has been notified since it was inserted. Nobody asks but its owner.
    #[inline]
    pub(crate) fn was_notified(&self) -> bool {
        // ORDERING: Acquire. Pairs with the Release in `List::call`: who has notified it is done with it.
        // Weakened, the model `p1_a_waiter_may_be_polled_while_it_is_called` fails.
        let notified = self.notified.load(Acquire);
        if notified && cfg!(any(loom, shuttle, debug_assertions)) {
            // SAFETY: we are the owner, and by L3 all of it is ours. Under loom and shuttle this is where that is
            // checked.
            assert!(unsafe { self.with(|links| links.waker.is_none()) });
        }
        notified
    }

    /// Whether it is a handoff waiter. Asked with the lists locked, or by its owner, of a node that is in none. Where no
    /// thread waits there is none.
    #[inline]
    pub(crate) fn is_handoff(&self) -> bool {
        self.is(WaiterKind::Handoff)
    }

    #[inline]
    fn is(&self, kind: WaiterKind) -> bool {
        // ORDERING: Relaxed. It is written with the lists locked, and not after the node was notified.
        HAS_THREADS && self.kind.load(Relaxed) == kind as u8
    }

    /// Runs `f` on the links.
    ///
    /// # Safety
    ///
    /// The caller has locked the lists, or is the owner of a node that is in none. `f` does not come back
    /// to this node.
    #[inline]
    unsafe fn with<R>(&self, f: impl FnOnce(&mut Links) -> R) -> R {
        // SAFETY: the pointer is that of the cell. Nobody else touches the links, by L2 and L3, and `f` does not
        // make another reference to them.
        self.links.with_mut(|links| f(unsafe { &mut *links }))
    }
}

impl List {
    pub(crate) const EMPTY: Self = Self { first: ptr::null(), last: ptr::null(), len: 0 };

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts `node` at the end, as one of that kind.
    ///
    /// # Safety
    ///
    /// * The node is the caller's, and in no list.
    /// * Before it goes, it is notified, or removed from this list.
    #[inline]
    pub(crate) unsafe fn insert(&mut self, node: Pin<&Node>, waker: Waker, kind: WaiterKind) {
        let node = node.get_ref();
        // ORDERING: Relaxed, both. It is still the caller's alone.
        node.notified.store(false, Relaxed);
        if HAS_THREADS {
            node.kind.store(kind as u8, Relaxed);
        }
        // SAFETY: it is the caller's, and in no list; it comes after the last.
        unsafe { self.link(node, self.last, ptr::null(), Some(waker)) };
    }

    /// Puts `node` before all others.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    #[cold]
    pub(crate) unsafe fn move_to_front(&mut self, node: &Node) {
        // SAFETY: it is in this list, and then in none; it comes before the first.
        unsafe {
            let waker = self.remove(node);
            self.link(node, ptr::null(), self.first, waker);
        }
    }

    /// Puts `node` between two that are neighbours, or null at an end.
    ///
    /// # Safety
    ///
    /// The node is in no list, and the lists are locked. The others are null, or in this list.
    #[inline]
    unsafe fn link(
        &mut self,
        node: &Node,
        previous: *const Node,
        next: *const Node,
        waker: Option<Waker>,
    ) {
        // SAFETY: it is in no list, and the lists are locked. It has no waker there, so none is dropped here.
        unsafe { node.with(|links| *links = Links { previous, next, waker }) };
        // SAFETY: its neighbours are null, or in this list; by L2 the lists are locked.
        let linked = unsafe {
            (set(previous, |links| links.next = node), set(next, |links| links.previous = node))
        };
        if !linked.0 {
            self.first = node;
        }
        if !linked.1 {
            self.last = node;
        }
        self.len += 1;
    }

    /// Takes `node` out. Gives its waker.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    #[inline]
    pub(crate) unsafe fn remove(&mut self, node: &Node) -> Option<Waker> {
        // SAFETY: by L2 the lists are locked.
        let (previous, next, waker) =
            unsafe { node.with(|links| (links.previous, links.next, links.waker.take())) };
        // SAFETY: its neighbours are null, or in this list; by L2 the lists are locked.
        let linked = unsafe {
            (set(previous, |links| links.next = next), set(next, |links| links.previous = previous))
        };
        if !linked.0 {
            self.first = next;
        }
        if !linked.1 {
            self.last = previous;
        }
        self.len -= 1;
        waker
    }

    /// Whether `node` has a waker of the same task as `waker`. If not, it gets the one in `new`, if there is
    /// one, and its old one is in `new` then.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    pub(crate) unsafe fn renew(&self, node: &Node, waker: &Waker, new: &mut Option<Waker>) -> bool {
        let renew = |links: &mut Links| {
            let known = links.waker.as_ref().is_some_and(|known| known.will_wake(waker));
            if !known && new.is_some() {
                core::mem::swap(&mut links.waker, new);
                return true;
            }
            known
        };
        // SAFETY: by L2 the lists are locked. Whether two wakers are of one task is no foreign code's business.
        unsafe { node.with(renew) }
    }

    /// Who is notified next.
    #[inline]
    pub(crate) fn first(&self) -> Option<&Node> {
        // SAFETY: the first is null, or in this list, and by L1 it is there.
        unsafe { self.first.as_ref() }
    }

    /// Calls the first `N`, or as many as there are. Their wakers are in `batch`, which was empty, then.
    ///
    /// A handoff waiter is notified alone: what it is given nobody can have until it is woken. If `hand_off` has nothing for it,
    /// it is not notified, nor who comes after it. If it is `fair`, each thread that it comes to is a handoff waiter from then
    /// on, notified or not.
    ///
    /// Returns whether the node at the address `sought` is one of those.
    #[inline]
    pub(crate) fn call<const N: usize>(
        &mut self,
        batch: &mut WakeBatch<N>,
        sought: usize,
        fair: bool,
        hand_off: &dyn Fn() -> bool,
    ) -> bool {
        let mut found = false;
        for place in &mut batch.wakers {
            // SAFETY: the first is null, or in this list, and by L1 it is there.
            let Some(node) = (unsafe { self.first.as_ref() }) else { break };
            if fair && node.is(WaiterKind::Thread) {
                // ORDERING: Relaxed. The lists are locked, and the owner looks behind the store of `notified`.
                node.kind.store(WaiterKind::Handoff as u8, Relaxed);
            }
            let handoff = node.is_handoff();
            if handoff && (batch.len > 0 || !hand_off()) {
                break;
            }
            // SAFETY: it is in this list.
            *place = unsafe { self.remove(node) };
            batch.len += 1;
            found |= node.address() == sought;
            // ORDERING: Release, for `was_notified`. From here on the node may be gone.
            node.notified.store(true, Release);
            if handoff {
                break;
            }
        }
        found
    }
}

/// Runs `f` on the links of `node`, unless it is null. Says whether it has.
///
/// # Safety
///
/// The node is null or in a list, and the lists are locked.
#[inline]
unsafe fn set(node: *const Node, f: impl FnOnce(&mut Links)) -> bool {
    // SAFETY: if it is not null, it is in a list, and by L1 it is there; and the lists are locked.
    unsafe { node.as_ref().map(|node| node.with(f)).is_some() }
}

/// How many waiters are notified while the queue is locked, once. On a chip without `std` this bounds how
/// long interrupts are off.
pub(crate) const BATCH: usize = 8;

/// The wakers of waiters that were notified together, and have not been woken yet.
pub(crate) struct WakeBatch<const N: usize> {
    wakers: [Option<Waker>; N],
    len: usize,
}

impl<const N: usize> WakeBatch<N> {
    pub(crate) const EMPTY: Self = Self { wakers: [const { None }; N], len: 0 };

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The next one to wake, first notified first.
    pub(crate) fn wakers(&mut self) -> impl Iterator<Item = Waker> {
        self.wakers[..self.len].iter_mut().filter_map(Option::take)
    }
}

/// A waker that panics keeps nobody of its batch from being woken. With `std` its panic is caught before
/// it comes here.
#[cfg(not(feature = "std"))]
impl<const N: usize> Drop for WakeBatch<N> {
    fn drop(&mut self) {
        self.wakers.iter_mut().filter_map(Option::take).for_each(Waker::wake);
    }
}
