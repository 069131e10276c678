//! Who waits: the only file that names `event-listener`. It keeps waiters in the order in which they
//! came, and calls as many as it is told to; who may enter is not its business.

use alloc::boxed::Box;
use core::fmt;
use core::future::poll_fn;
use core::ptr;
use core::task::Poll;

use event_listener::{Event, IntoNotification, Listener, listener};

use crate::bell::{Bell, ROUND, Round};
use crate::mode::Mode;
use crate::state::{Lane, Snapshot};
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::atomic::{AtomicPtr, AtomicUsize};
use crate::sync::const_fn;

/// The queue of a lock, made when somebody waits for the first time.
pub(crate) struct LazyQueue(AtomicPtr<Queue>);

// `AtomicPtr` is `Send` and `Sync` whatever it points to, so what it points to must be.
const _: fn() = || {
    fn both<T: Send + Sync>() {}
    both::<Queue>();
};

impl LazyQueue {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self(AtomicPtr::new(ptr::null_mut()))
        }
    }

    pub(crate) fn get(&self) -> Option<&Queue> {
        // ORDERING: Acquire. Pairs with the Release in `get_or_make`: the queue is finished.
        // Weakened, the model `p2_a_release_wakes_the_waiter` fails.
        //
        // SAFETY: the pointer is null, or comes from `Box::into_raw` in `get_or_make`, and the queue
        // stays until `self` is dropped.
        unsafe { self.0.load(Acquire).as_ref() }
    }

    /// The queue. Allocates if there is none yet: all that the lock will ever allocate.
    pub(crate) fn get_or_make(&self) -> &Queue {
        if let Some(queue) = self.get() {
            return queue;
        }
        let new = Box::into_raw(Box::new(Queue::new()));
        // ORDERING: Release, for `get`. Acquire on both sides: we may find another's queue.
        match self.0.compare_exchange(ptr::null_mut(), new, AcqRel, Acquire) {
            // SAFETY: as in `get`.
            Ok(_) => unsafe { &*new },
            Err(theirs) => {
                // SAFETY: `new` is ours: it comes from `Box::into_raw`, and nobody has seen it.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: as in `get`; `theirs` is not null.
                unsafe { &*theirs }
            }
        }
    }
}

impl Drop for LazyQueue {
    fn drop(&mut self) {
        // ORDERING: Relaxed. Nobody else has the lock any more.
        let queue = self.0.load(Relaxed);
        if !queue.is_null() {
            // SAFETY: it comes from `Box::into_raw` in `get_or_make`, and this is its last use.
            drop(unsafe { Box::from_raw(queue) });
        }
    }
}

/// Waiters, by lane and in the order in which they came.
pub(crate) struct Queue {
    lanes: [Line; Lane::COUNT],
}

/// The waiters of one lane.
struct Line {
    event: Event,
    /// How many there are. At least as many as listen to `event`: counted before they listen, until
    /// after they have stopped.
    ///
    /// All its operations are `Relaxed`: a joiner announces itself on the word after it is counted,
    /// and whoever reads the count has read the word before (`State::enter_or_announce`).
    len: AtomicUsize,
}

impl Queue {
    fn new() -> Self {
        let line = |_| {
            let event = Event::new();
            // Nobody is there, but the event makes its list.
            event.notify(0.relaxed());
            Line { event, len: AtomicUsize::new(0) }
        };
        Self { lanes: [0; Lane::COUNT].map(line) }
    }

    fn line(&self, lane: Lane) -> &Line {
        &self.lanes[lane as usize]
    }

    /// Counts one more waiter in `lane`.
    pub(crate) fn join(&self, lane: Lane) {
        self.line(lane).len.fetch_add(1, Relaxed);
    }

    /// Counts one waiter in `lane` less, and says whether it was the last.
    pub(crate) fn leave(&self, lane: Lane) -> bool {
        self.line(lane).len.fetch_sub(1, Relaxed) == 1
    }

    /// How many waiters are counted in `lane`.
    pub(crate) fn len(&self, lane: Lane) -> usize {
        self.line(lane).len.load(Relaxed)
    }

    /// Listens in `lane` until it is called, or until `look` sees what it is looking for.
    ///
    /// `look` runs at every poll, the first time after the listener is in the list.
    ///
    /// # Cancel safety
    ///
    /// `called` says whether the listener was called, also after a drop. It keeps the call: nobody
    /// is called in its place.
    pub(crate) async fn listen(
        &self,
        lane: Lane,
        called: &mut Option<Call>,
        mut look: impl FnMut() -> Poll<()>,
    ) {
        let bell = Bell::new();
        listener!(self.line(lane).event => listener);
        let mut seat = Seat { listener: Some(listener), bell: &bell, called };
        poll_fn(|cx| match &mut seat.listener {
            None => Poll::Ready(()),
            Some(listener) => match bell.poll(listener, cx) {
                Poll::Ready(()) => {
                    seat.listener = None;
                    *seat.called = Some(Call(bell.rung()));
                    Poll::Ready(())
                }
                Poll::Pending => look(),
            },
        })
        .await;
    }

    /// Calls the first `n` waiters of `lane` that were not called before, `word` being the reason.
    /// Says how many were asleep.
    pub(crate) fn call(&self, lane: Lane, n: usize, word: Snapshot, wake: &mut Wake) -> usize {
        let line = self.line(lane);
        let mut left = n;
        let mut called = 0;
        let mut round = Round::new(word);
        while left > 0 {
            let now = left.min(ROUND);
            left -= now;
            called += round.collect(|| {
                // `additional`: a waiter that was called earlier, and that nobody polls, does not
                // count. `relaxed`: whoever is in the list is known by the word, not by a fence.
                line.event.notify(now.additional().relaxed());
            });
            round.wakers().for_each(|waker| wake.one(waker));
        }
        called
    }
}

impl fmt::Debug for LazyQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyQueue").finish_non_exhaustive()
    }
}

/// That a waiter was called, and with which word, unless it had not left a waker yet.
pub(crate) struct Call(Option<Snapshot>);

impl Call {
    /// Whether `mode` could be acquired when the call was made.
    pub(crate) fn lets_in(&self, mode: Mode) -> bool {
        self.0.is_some_and(|word| word.admits(mode))
    }
}

/// A listener in the list. Out of it, nobody is called in its place.
struct Seat<'a, L: Listener<()>> {
    listener: Option<L>,
    bell: &'a Bell,
    called: &'a mut Option<Call>,
}

impl<L: Listener<()>> Drop for Seat<'_, L> {
    fn drop(&mut self) {
        // Not dropped but discarded: a dropped listener passes its call on to the next of its lane,
        // whether or not that one may enter. Passing on is for `Place` to do.
        if self.listener.take().is_some_and(Listener::discard) {
            *self.called = Some(Call(self.bell.rung()));
        }
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
