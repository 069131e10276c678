//! Intrusive lists of waiters, the next to be notified first. The nodes are in the futures of the waiters.
//!
//! A list does not decide which waiters are notified, nor why, nor what a handoff waiter is handed.
//!
//! # Invariants
//!
//! * **L1** A node is in one list from `insert` until it is notified or removed. Until then it is
//!   neither moved nor dropped.
//! * **L2** All lists of a queue have one lock. Only a thread that has locked it touches a list, or
//!   the links of a node that is in one. A thread that has a reference to a list has locked it.
//! * **L3** A thread that notifies a node takes it out of its list first, and sets `notified` last.
//!   From then on the whole node belongs to its owner.
//! * **L4** A node in a list is never behind a `&mut` that its owner may take for the only way to
//!   it: the node is not `Unpin`, nor is any type that contains it.
//!
//! Wakers are foreign code: they are cloned, woken and dropped with the queue unlocked. So the
//! lists take wakers by value, and return them by value.

use core::marker::PhantomPinned;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::ptr;
use core::task::Waker;

use crate::raw::wakers::WakeBatch;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicBool, AtomicU8};
use crate::sync::{HAS_THREADS, UnsafeCell};

/// The ends of a list. Both are null if it is empty.
pub(crate) struct List {
    first: *const Node,
    last: *const Node,
    len: usize,
}

// SAFETY: one thread may notify or remove a node that another has inserted: nodes may be reached
// from any thread, and by L1 they still exist.
unsafe impl Send for List {}

/// A waiter's entry in a list.
pub(crate) struct Node {
    links: UnsafeCell<Links>,
    /// The node was notified, and is in no list any more.
    notified: AtomicBool,
    /// A [`WaiterKind`].
    kind: AtomicU8,
    /// For L1, and for L4.
    _pin: PhantomPinned,
}

/// What kind of waiter a node belongs to.
#[derive(Clone, Copy)]
pub(crate) enum WaiterKind {
    Task,
    /// A thread that blocks.
    Thread,
    /// A thread that is notified only if what it waits for is handed to it.
    Handoff,
}

struct Links {
    previous: *const Node,
    next: *const Node,
    /// The waker of the waiting task, as long as the node is in a list.
    waker: Option<Waker>,
}

// SAFETY: the owner of a node may be polled and dropped on another thread than before. The node
// contains wakers, which may be sent, and pointers, which are followed only with the lists locked.
unsafe impl Send for Node {}
// SAFETY: while one thread owns the node, another may reach it through a list. By L2 and L3 one
// thread at a time touches the links: one that has locked the lists, or else the owner. All else is
// atomic.
unsafe impl Sync for Node {}

// A waker that panics does so outside of the lists, or leaves them consistent.
impl UnwindSafe for Node {}
impl RefUnwindSafe for Node {}

impl Node {
    pub(crate) fn new() -> Self {
        let links = Links { previous: ptr::null(), next: ptr::null(), waker: None };
        let (notified, kind) = (AtomicBool::new(false), AtomicU8::new(WaiterKind::Task as u8));
        Self { links: UnsafeCell::new(links), notified, kind, _pin: PhantomPinned }
    }

    /// Returns the node's address, which no other node has as long as this one is pinned.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Returns whether the node was notified since it was inserted. Only its owner asks.
    #[inline]
    pub(crate) fn was_notified(&self) -> bool {
        // ORDERING: Acquire. Pairs with the Release in `List::notify`: the thread that has notified
        // the node is done with it. Weakened, the model
        // `p1_a_waiter_may_be_polled_while_it_is_called` fails.
        let notified = self.notified.load(Acquire);
        if notified && cfg!(any(loom, shuttle, debug_assertions)) {
            // SAFETY: the caller is the owner, and by L3 the whole node belongs to it. Under loom
            // and shuttle this is where that is checked.
            assert!(unsafe { self.with(|links| links.waker.is_none()) });
        }
        notified
    }

    /// Returns whether the node is that of a handoff waiter. The caller has locked the lists, or
    /// owns the node, which is in none. There are no handoff waiters where no thread waits.
    #[inline]
    pub(crate) fn is_handoff(&self) -> bool {
        self.is(WaiterKind::Handoff)
    }

    #[inline]
    fn is(&self, kind: WaiterKind) -> bool {
        // ORDERING: Relaxed. The kind is written with the lists locked, and not after the node was
        // notified.
        HAS_THREADS && self.kind.load(Relaxed) == kind as u8
    }

    /// Runs `f` on the links.
    ///
    /// # Safety
    ///
    /// The caller has locked the lists, or is the owner of a node that is in none. `f` does not
    /// access this node again.
    #[inline]
    unsafe fn with<R>(&self, f: impl FnOnce(&mut Links) -> R) -> R {
        // SAFETY: the pointer is that of the cell. By L2 and L3 nothing else touches the links, and
        // `f` does not make another reference to them.
        self.links.with_mut(|links| f(unsafe { &mut *links }))
    }
}

impl List {
    pub(crate) const EMPTY: Self = Self { first: ptr::null(), last: ptr::null(), len: 0 };

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts `node` at the end of the list, as a waiter of this `kind`.
    ///
    /// # Safety
    ///
    /// * The node is the caller's, and in no list.
    /// * Before the node is dropped, it is notified, or removed from this list.
    #[inline]
    pub(crate) unsafe fn insert(&mut self, node: Pin<&Node>, waker: Waker, kind: WaiterKind) {
        let node = node.get_ref();
        // ORDERING: Relaxed, both. The node still belongs to the caller alone.
        node.notified.store(false, Relaxed);
        if HAS_THREADS {
            node.kind.store(kind as u8, Relaxed);
        }
        // SAFETY: the node is the caller's, and in no list. It is linked after the last one.
        unsafe { self.link(node, self.last, ptr::null(), Some(waker)) };
    }

    /// Moves `node` before all others.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    #[cold]
    pub(crate) unsafe fn move_to_front(&mut self, node: &Node) {
        // SAFETY: the node is in this list, and after `remove` in none. It is linked before the
        // first.
        unsafe {
            let waker = self.remove(node);
            self.link(node, ptr::null(), self.first, waker);
        }
    }

    /// Links `node` between two neighbors. Either is null at an end of the list.
    ///
    /// # Safety
    ///
    /// The node is in no list, and the lists are locked. The neighbors are null, or in this list.
    #[inline]
    unsafe fn link(
        &mut self,
        node: &Node,
        previous: *const Node,
        next: *const Node,
        waker: Option<Waker>,
    ) {
        // SAFETY: the node is in no list, and the lists are locked. The node has no waker then, so
        // none is dropped here.
        unsafe { node.with(|links| *links = Links { previous, next, waker }) };
        // SAFETY: the neighbors are null, or in this list; by L2 the lists are locked.
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

    /// Takes `node` out of the list. Returns its waker.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    #[inline]
    pub(crate) unsafe fn remove(&mut self, node: &Node) -> Option<Waker> {
        // SAFETY: by L2 the lists are locked.
        let (previous, next, waker) =
            unsafe { node.with(|links| (links.previous, links.next, links.waker.take())) };
        // SAFETY: the neighbors are null, or in this list; by L2 the lists are locked.
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

    /// Makes sure that `node` has a waker of the same task as `waker`, if it can. Returns whether
    /// it has.
    ///
    /// A node with a waker of another task swaps that one for the waker in `new`, if there is one.
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
        // SAFETY: by L2 the lists are locked. To compare two wakers runs no foreign code.
        unsafe { node.with(renew) }
    }

    /// Returns the node that is notified next.
    #[inline]
    pub(crate) fn first(&self) -> Option<&Node> {
        // SAFETY: the first node is null, or in this list, and by L1 it still exists.
        unsafe { self.first.as_ref() }
    }

    /// Notifies the first `N` waiters, or as many as there are. Their wakers are in `batch` then,
    /// which was empty.
    ///
    /// A handoff waiter is notified on its own: until it is woken, no other waiter can have what it
    /// was handed. If `hand_off` fails, neither that waiter nor any behind it is notified. If
    /// `fair`, each thread that is reached becomes a handoff waiter, notified or not.
    ///
    /// Returns whether the node at the address `sought` was notified.
    #[inline]
    pub(crate) fn notify<const N: usize>(
        &mut self,
        batch: &mut WakeBatch<N>,
        sought: usize,
        fair: bool,
        hand_off: &dyn Fn() -> bool,
    ) -> bool {
        let mut found = false;
        for place in &mut batch.wakers {
            // SAFETY: the first node is null, or in this list, and by L1 it still exists.
            let Some(node) = (unsafe { self.first.as_ref() }) else { break };
            if fair && node.is(WaiterKind::Thread) {
                // ORDERING: Relaxed. The lists are locked, and the owner reads the kind only after
                // it has seen the store of `notified`.
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
            // ORDERING: Release, for `was_notified`. From here on the node may no longer exist.
            node.notified.store(true, Release);
            if handoff {
                break;
            }
        }
        found
    }
}

/// Runs `f` on the links of `node`, unless `node` is null. Returns whether it did.
///
/// # Safety
///
/// The node is null or in a list, and the lists are locked.
#[inline]
unsafe fn set(node: *const Node, f: impl FnOnce(&mut Links)) -> bool {
    // SAFETY: if the node is not null, it is in a list, and by L1 it still exists. The lists are
    // locked.
    unsafe { node.as_ref().map(|node| node.with(f)).is_some() }
}
