//! Intrusive lists of waiters, the next to be notified first. The nodes are in the futures of the waiters.
//!
//! A list links nodes, and writes the state of a node that is queued, notified or removed. It decides
//! nothing: `waiter.rs` decides which waiter is queued and where, `policy.rs` which is taken out and
//! woken.
//!
//! # Invariants
//!
//! * **L1** A node is in one list from `push` until it is notified or removed. Until then it is
//!   neither moved nor dropped.
//! * **L2** All lists of a queue have one lock. Only a thread that has locked it touches a list, or
//!   the links of a node that is in one. A thread that has a reference to a list has locked it.
//! * **L3** A thread that notifies a node takes it out of its list first, and writes the new state
//!   last. From then on the whole node belongs to its owner.
//! * **L4** A node in a list is never behind a `&mut` that its owner may take for the only way to
//!   it: the node is not `Unpin`, nor is any type that contains it.
//!
//! Wakers are foreign code: they are cloned, woken and dropped with the queue unlocked. So the
//! lists take wakers by value, and return them by value.

use core::marker::PhantomPinned;
use core::mem::{self, MaybeUninit};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::ptr;
use core::task::Waker;

use crate::sync::atomic::AtomicU8;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{HAS_THREADS, UnsafeCell};

/// The first node of a list, or null if it is empty.
///
/// Nodes do not point to the list, so a list may be moved while there are nodes in it: those of
/// futures that were forgotten.
pub(crate) struct List(*const Node);

// SAFETY: one thread may notify or remove a node that another has pushed: nodes may be reached
// from any thread, and by L1 they still exist.
unsafe impl Send for List {}

/// A waiter's entry in a list.
pub(crate) struct Node {
    /// Initialized as long as the node is in a list.
    links: UnsafeCell<MaybeUninit<Links>>,
    /// A [`WaitState`].
    state: AtomicU8,
    /// A [`WaiterKind`].
    kind: AtomicU8,
    /// For L1, and for L4.
    _pin: PhantomPinned,
}

/// Where a waiter is in its wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WaitState {
    /// The node is in no list, and belongs to its owner. The waiter may still be counted.
    Idle,
    /// The node is in a list, which may be touched by each thread that has locked it. The drop of
    /// the owner takes the node out.
    Queued,
    /// The node was taken out of its list, and the waiter is woken. It belongs to its owner. What
    /// its drop passes on is for `RawLock::pass_on` to decide.
    Notified,
    /// As `Notified`, and the lock was acquired for the waiter. The drop of the owner releases it.
    HandedOff,
}

impl WaitState {
    /// Returns whether the waiter was notified, with or without the lock.
    #[inline]
    pub(crate) fn is_notified(self) -> bool {
        matches!(self, Self::Notified | Self::HandedOff)
    }
}

/// What kind of waiter a node belongs to.
#[derive(Clone, Copy)]
pub(crate) enum WaiterKind {
    Task,
    /// A thread that blocks.
    Thread,
    /// A thread that is notified only if what it waits for is handed to it.
    Handoff,
    /// No waiter, but an event. It is notified again and again, and stays in its list.
    #[cfg(feature = "event-listener")]
    Event,
}

/// Whether a node must know its kind.
const HAS_KINDS: bool = HAS_THREADS || cfg!(feature = "event-listener");

struct Links {
    /// The previous node. For the first node of a list, the last one.
    previous: *const Node,
    /// The next node, or null for the last one.
    next: *const Node,
    /// The waker of the waiting task.
    waker: Waker,
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
        Self {
            links: UnsafeCell::new(MaybeUninit::uninit()),
            state: AtomicU8::new(WaitState::Idle as u8),
            kind: AtomicU8::new(WaiterKind::Task as u8),
            _pin: PhantomPinned,
        }
    }

    /// Returns the node's address, which no other node has as long as this one is pinned.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Returns the state of the waiter. Only the owner of the node asks.
    ///
    /// A node that is queued may be notified at any time while the lists are not locked. No other
    /// state ends without its owner.
    #[inline]
    pub(crate) fn state(&self) -> WaitState {
        const QUEUED: u8 = WaitState::Queued as u8;
        const NOTIFIED: u8 = WaitState::Notified as u8;
        const HANDED_OFF: u8 = WaitState::HandedOff as u8;
        // ORDERING: Acquire. Pairs with the Release in `List::pop`: the thread that has notified
        // the node is done with it. Weakened, the model
        // `p1_a_waiter_may_be_polled_while_it_is_notified` fails.
        let state = match self.state.load(Acquire) {
            QUEUED => WaitState::Queued,
            NOTIFIED => WaitState::Notified,
            HANDED_OFF if HAS_THREADS => WaitState::HandedOff,
            _ => WaitState::Idle,
        };
        if state.is_notified() && cfg!(any(loom, shuttle)) {
            // The caller is the owner, and by L3 the whole node belongs to it. Under loom and shuttle
            // this is where that is checked.
            self.links.with_mut(|_| ());
        }
        state
    }

    /// Consumes the notification of a waiter that has done what it was notified for, or cannot do
    /// it. Only the owner of the node does this. A node that is queued stays queued: otherwise it
    /// could be freed while it is in a list.
    #[inline]
    pub(crate) fn consume(&self) {
        self.consume_in(self.state());
    }

    /// [Consumes](Self::consume) a notification, if the state of the waiter, which the caller knows, is
    /// that of one.
    #[inline]
    pub(crate) fn consume_in(&self, state: WaitState) {
        debug_assert!(state != WaitState::Queued, "the node is in a list");
        if state.is_notified() {
            // ORDERING: Relaxed. The node belongs to its owner alone.
            self.state.store(WaitState::Idle as u8, Relaxed);
        }
    }

    /// Returns whether the node, which is in a locked list, is that of a handoff waiter. There are
    /// none where no thread waits.
    #[inline]
    pub(crate) fn is_handoff(&self) -> bool {
        HAS_THREADS && self.is(WaiterKind::Handoff)
    }

    /// Makes a handoff waiter of a thread. The node is in a locked list.
    #[inline]
    pub(crate) fn make_handoff_if_thread(&self) {
        if HAS_THREADS && self.is(WaiterKind::Thread) {
            // ORDERING: Relaxed, as in `is`.
            self.kind.store(WaiterKind::Handoff as u8, Relaxed);
        }
    }

    /// Makes a handoff waiter a thread that is only notified. The node is in a locked list.
    #[inline]
    pub(crate) fn make_thread_if_handoff(&self) {
        if self.is_handoff() {
            // ORDERING: Relaxed, as in `is`.
            self.kind.store(WaiterKind::Thread as u8, Relaxed);
        }
    }

    #[inline]
    fn is(&self, kind: WaiterKind) -> bool {
        // ORDERING: Relaxed. The kind is read and written with the lists locked.
        self.kind.load(Relaxed) == kind as u8
    }

    /// Runs `f` on the links.
    ///
    /// # Safety
    ///
    /// The node is in a list, and the lists are locked. `f` does not access this node again.
    #[inline]
    unsafe fn with<R>(&self, f: impl FnOnce(&mut Links) -> R) -> R {
        // SAFETY: the pointer is that of the cell, which `link` has initialized. By L2 nothing else
        // touches the links, and `f` does not make another reference to them.
        self.links.with_mut(|links| f(unsafe { (*links).assume_init_mut() }))
    }
}

impl List {
    pub(crate) const EMPTY: Self = Self(ptr::null());

    /// Returns the address of the last node, or 0 if there is none.
    pub(crate) fn last_address(&self) -> usize {
        // SAFETY: the first node is null, or in this list, and by L1 it still exists. The lists are
        // locked.
        unsafe { self.0.as_ref().map_or(0, |first| first.with(|links| links.previous.addr())) }
    }

    /// Puts `node` into the list, as a waiter of this `kind`: before all others if `first`, or else
    /// behind them.
    ///
    /// # Safety
    ///
    /// * The node is the caller's, and in no list.
    /// * Before the node is dropped, it is notified, or removed from this list.
    #[inline]
    pub(crate) unsafe fn push(
        &mut self,
        node: Pin<&Node>,
        waker: Waker,
        kind: WaiterKind,
        first: bool,
    ) {
        let node = node.get_ref();
        // ORDERING: Relaxed, both. The node still belongs to the caller alone.
        node.state.store(WaitState::Queued as u8, Relaxed);
        if HAS_KINDS {
            node.kind.store(kind as u8, Relaxed);
        }
        // SAFETY: the node is the caller's, and in no list.
        unsafe { self.link(node, waker, first) };
    }

    /// Links `node` before all others if `first`, or else behind them.
    ///
    /// # Safety
    ///
    /// The node is in no list, and the lists are locked.
    #[inline]
    unsafe fn link(&mut self, node: &Node, waker: Waker, first: bool) {
        let (mut previous, mut next) = (ptr::from_ref(node), ptr::null());
        // SAFETY: the first node is null, or in this list, and so is the last one; by L2 the lists
        // are locked.
        unsafe {
            let is_empty = !set(self.0, |links| mem::swap(&mut links.previous, &mut previous));
            if first || is_empty {
                next = mem::replace(&mut self.0, node);
            } else {
                set(previous, |links| links.next = node);
            }
        }
        // SAFETY: the pointer is that of the cell. The node is in no list, so by L3 nothing else touches
        // its links, and they contain no waker.
        node.links.with_mut(|links| unsafe { (*links).write(Links { previous, next, waker }) });
    }

    /// Takes `node`, which its owner queued, out of the list. Returns its waker.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    #[inline]
    pub(crate) unsafe fn remove(&mut self, node: &Node) -> Waker {
        // SAFETY: the node is in this list.
        let waker = unsafe { self.unlink(node) };
        // ORDERING: Relaxed. The node belongs to its owner alone again.
        node.state.store(WaitState::Idle as u8, Relaxed);
        waker
    }

    /// Takes the first node out of the list and notifies its waiter. Returns the waker of the
    /// waiter, or `None` if the list is empty.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Waker> {
        // SAFETY: the first node is null, or in this list, and by L1 it still exists.
        let node = unsafe { self.0.as_ref() }?;
        let state = if node.is_handoff() { WaitState::HandedOff } else { WaitState::Notified };
        // SAFETY: the node is in this list.
        let waker = unsafe { self.unlink(node) };
        // ORDERING: Release, for `Node::state`. From here on the node may no longer exist.
        node.state.store(state as u8, Release);
        Some(waker)
    }

    /// Moves the first node to the end of the list, if it is that of an event. Returns a clone of
    /// its waker, which is of this crate: the lists may be locked when it is cloned.
    #[cfg(feature = "event-listener")]
    pub(crate) fn rotate_event(&mut self) -> Option<Waker> {
        // SAFETY: the first node is null, or in this list, and by L1 it still exists.
        let node = unsafe { self.0.as_ref() }.filter(|node| node.is(WaiterKind::Event))?;
        // SAFETY: the node is in this list, and after `unlink` in none.
        unsafe {
            let waker = self.unlink(node);
            let clone = waker.clone();
            self.link(node, waker, false);
            Some(clone)
        }
    }

    /// Unlinks `node`. Returns its waker.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    #[inline]
    unsafe fn unlink(&mut self, node: &Node) -> Waker {
        // SAFETY: the node is in this list, so its links are initialized; by L2 the lists are locked. From
        // here on the node is in no list, and its links are not read again.
        let Links { previous, next, waker } =
            node.links.with_mut(|links| unsafe { (*links).assume_init_read() });
        // SAFETY: the other nodes are in this list; by L2 the lists are locked.
        unsafe {
            if ptr::eq(self.0, node) {
                self.0 = next;
            } else {
                set(previous, |links| links.next = next);
            }
            // Behind the last node comes the first.
            let following = if next.is_null() { self.0 } else { next };
            set(following, |links| links.previous = previous);
        }
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
            if links.waker.will_wake(waker) {
                return true;
            }
            let Some(new) = new else { return false };
            mem::swap(&mut links.waker, new);
            true
        };
        // SAFETY: by L2 the lists are locked. To compare two wakers runs no foreign code.
        unsafe { node.with(renew) }
    }

    /// Returns the node that is notified next.
    #[inline]
    pub(crate) fn first(&self) -> Option<&Node> {
        // SAFETY: the first node is null, or in this list, and by L1 it still exists.
        unsafe { self.0.as_ref() }
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
