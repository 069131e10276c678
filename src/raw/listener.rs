//! A listener: a node that is registered with a queue, and leaves its list when it is dropped.

use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::raw::list::{Node, WaitState, WaiterKind};
use crate::raw::queue::{ListId, WaitLists, WaitQueue};

/// Whether a waker is cloned at each poll. Without `std`, a waker is most often a pointer, and the code
/// for a second attempt would be 100 bytes.
pub(crate) const CLONES_ALWAYS: bool = cfg!(not(feature = "std"));

/// A waiter's registration with a queue. Dropping the listener takes it out of its list.
pub(crate) struct Listener<'a> {
    queue: &'a WaitQueue,
    node: Node,
    /// The list in which the node is queued, or was before.
    list: ListId,
}

impl<'a> Listener<'a> {
    pub(crate) fn new(queue: &'a WaitQueue) -> Self {
        Self { queue, node: Node::new(), list: ListId::Shared }
    }

    /// Returns a number that no other waiter has, as long as this one is pinned.
    #[inline]
    pub(crate) fn id(&self) -> usize {
        self.node.address()
    }

    #[inline]
    pub(crate) fn state(&self) -> WaitState {
        self.node.state()
    }

    /// Consumes a notification: the waiter has done what it was notified for, or cannot do it. The
    /// listener is not queued.
    #[inline]
    pub(crate) fn consume(&self) {
        self.node.consume();
    }

    /// Consumes a notification, if there is one, and is ready. Otherwise the listener is queued
    /// from now on with the waker of `cx`: in `list`, as of this `kind`, unless it was queued before.
    pub(crate) fn poll(
        mut self: Pin<&mut Self>,
        list: ListId,
        kind: WaiterKind,
        cx: &Context<'_>,
    ) -> Poll<()> {
        let state = self.state();
        if !state.is_notified() {
            let clone_first = CLONES_ALWAYS || state == WaitState::Idle;
            let (is_queued, _spare) = self.as_mut().with_waker(clone_first, cx, |listener, new| {
                if listener.state().is_notified() {
                    return Some(false);
                }
                listener.listen(list, kind, false, cx, new).then_some(true)
            });
            if is_queued {
                return Poll::Pending;
            }
        }
        self.consume();
        Poll::Ready(())
    }

    /// Runs `attempt` with the queue locked. Runs it again with a new waker in hand, if it returns
    /// `None` because it lacks one: wakers are cloned with the queue unlocked.
    ///
    /// Returns a waker that is left over, to be dropped when all else is done: wakers are foreign
    /// code. If `clone_first`, the first attempt has a new waker.
    #[inline]
    pub(crate) fn with_waker<R>(
        mut self: Pin<&mut Self>,
        clone_first: bool,
        cx: &Context<'_>,
        mut attempt: impl FnMut(&mut LockedListener<'_>, &mut Option<Waker>) -> Option<R>,
    ) -> (R, Option<Waker>) {
        let mut new = clone_first.then(|| cx.waker().clone());
        loop {
            if let Some(done) = self.as_mut().with(|listener| attempt(listener, &mut new)) {
                return (done, new);
            }
            new = Some(cx.waker().clone());
        }
    }

    /// Runs `f` with the queue locked: see [`Mutex::with`](crate::sync::Mutex::with).
    #[inline]
    pub(crate) fn with<R>(self: Pin<&mut Self>, f: impl FnOnce(&mut LockedListener<'_>) -> R) -> R {
        let queue = self.queue;
        // SAFETY: only the node is pinned with the listener, and it is not moved: it is handed out
        // pinned, here and nowhere else.
        let (node, list) = unsafe {
            let Self { node, list, .. } = self.get_unchecked_mut();
            (Pin::new_unchecked(&*node), list)
        };
        queue.with(|waiters| f(&mut LockedListener { waiters, node, list }))
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        if self.state() == WaitState::Queued {
            // SAFETY: the listener is queued, so it was pinned when it joined the list, and it is
            // not moved any more.
            let listener = unsafe { Pin::new_unchecked(self) };
            drop(listener.with(|listener| listener.leave(listener.state())));
        }
    }
}

/// A listener whose queue is locked.
pub(crate) struct LockedListener<'l> {
    pub(crate) waiters: &'l mut WaitLists,
    node: Pin<&'l Node>,
    list: &'l mut ListId,
}

impl LockedListener<'_> {
    /// Returns the state of the waiter, which does not change while the queue is locked.
    #[inline]
    pub(crate) fn state(&self) -> WaitState {
        self.node.state()
    }

    /// Returns a number that no other waiter has, as long as this one is pinned.
    #[inline]
    pub(crate) fn id(&self) -> usize {
        self.node.address()
    }

    /// Makes sure that the listener is queued with a waker of the task of `cx`, if it can. Returns
    /// whether it is.
    ///
    /// A listener that is not queued joins `list`, as a waiter of this `kind`, with the waker in
    /// `new`: before all others if `first`, or else behind them. A listener that is queued with a waker
    /// of another task swaps that one for the waker in `new`. If `new` is needed and empty, nothing
    /// changes.
    #[inline]
    pub(crate) fn listen(
        &mut self,
        list: ListId,
        kind: WaiterKind,
        first: bool,
        cx: &Context<'_>,
        new: &mut Option<Waker>,
    ) -> bool {
        if self.state() == WaitState::Queued {
            return self.renew(cx, new);
        }
        let Some(waker) = new.take() else { return false };
        *self.list = list;
        // SAFETY:
        // * the node is ours, and in no list: it is not queued;
        // * the node is pinned, so it is dropped before its memory is reused. The drop takes it out
        //   of this list: `list` is kept until then.
        unsafe { self.waiters.push(list, self.node, waker, kind, first) };
        true
    }

    /// Swaps the waker of a listener that is queued, as [`listen`](Self::listen) does.
    #[inline]
    pub(crate) fn renew(&mut self, cx: &Context<'_>, new: &mut Option<Waker>) -> bool {
        let list = self.waiters.list(*self.list);
        // SAFETY: the node is in the list that it was put in.
        unsafe { list.renew(&self.node, cx.waker(), new) }
    }

    /// Takes the listener, which is in `state`, out of its list, if it is queued, and consumes a
    /// notification, if there is one. Returns the listener's waker, to be dropped with the queue
    /// unlocked.
    #[inline]
    pub(crate) fn leave(&mut self, state: WaitState) -> Option<Waker> {
        match state {
            // SAFETY: the node is in the list that it was put in.
            WaitState::Queued => Some(unsafe { self.waiters.remove(*self.list, &self.node) }),
            state => {
                self.node.consume_in(state);
                None
            }
        }
    }
}
