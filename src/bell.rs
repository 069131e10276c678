//! Wakers, kept away from the lock of the list.
//!
//! `event-listener` clones, wakes and drops wakers while its list is locked, so a waker that comes
//! back to the lock from there would hang, and one that panics would spoil the list. Therefore it
//! never sees a waker of a task. A waiter puts that into a [`Bell`] in its own frame, and hands the
//! list a stand-in: a pointer to the bell, whose clone and drop do nothing, and whose `wake` moves
//! the real waker to the [`Round`] of whoever is calling. The caller wakes it when the list is
//! unlocked again.
//!
//! # Invariants
//!
//! * **B1** The list holds at most one stand-in of a bell, for the slot `active`. It holds it only
//!   while the waiter's listener is in the list.
//! * **B2** A stand-in is used only by the list, and with the list locked.
//! * **B3** A bell outlives its listener: they are locals of one pinned future, the bell the first.
//!
//! So the list's lock guards the active slot, and the other one belongs to the waiter.

use core::cell::Cell;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::sync::UnsafeCell;

/// Where a waiter leaves the waker of its task.
pub(crate) struct Bell {
    slots: [Slot; 2],
    active: Cell<usize>,
    /// What the waker in the active slot is made of: enough to know it again without touching it.
    known: Cell<(*const (), *const RawWakerVTable)>,
}

struct Slot(UnsafeCell<Option<Waker>>);

// SAFETY: `active` and `known` are touched by `Bell`'s methods only, and those are called by the one
// who polls the future that the bell is in, and has it exclusively. A slot is touched by these
// methods while it is not active, and else, by B1 and B2, under the lock of the list. Wakers may
// be sent and shared.
unsafe impl Send for Bell {}
// SAFETY: as for `Send`; a shared reference to a bell is held only inside the future that it is in.
unsafe impl Sync for Bell {}

impl Bell {
    pub(crate) fn new() -> Self {
        let slot = || Slot(UnsafeCell::new(None));
        Self {
            slots: [slot(), slot()],
            active: Cell::new(0),
            known: Cell::new((ptr::null(), ptr::null())),
        }
    }

    /// Polls `listener` in the name of the task of `cx`.
    pub(crate) fn poll<L>(&self, listener: &mut L, cx: &Context<'_>) -> Poll<()>
    where
        L: Future<Output = ()> + Unpin,
    {
        let waker = cx.waker();
        let parts = |waker: &Waker| (waker.data(), ptr::from_ref(waker.vtable()));
        let mut known = parts(waker);
        let mut slot = self.active.get();
        if self.known.get() != known {
            let waker = waker.clone();
            // Known is the waker that stays, not the one that it was cloned from: the memory of that
            // may soon be another's.
            known = parts(&waker);
            slot ^= 1;
            self.put(slot, Some(waker));
        }
        let stand_in = self.slots[slot].stand_in();
        let poll = Pin::new(listener).poll(&mut Context::from_waker(&stand_in));
        if slot != self.active.get() {
            // The list has seen the new stand-in, or has let go of the listener: by B1 the slot that
            // was active is ours.
            self.active.set(slot);
            self.known.set(known);
            self.put(slot ^ 1, None);
        }
        poll
    }

    // Not in each of its callers: firmware is small.
    #[inline(never)]
    fn put(&self, slot: usize, waker: Option<Waker>) {
        // SAFETY: the caller says that the slot is ours.
        let old = self.slots[slot]
            .0
            .with_mut(|content| unsafe { core::mem::replace(&mut *content, waker) });
        // A waker is foreign code: it is dropped when the cell is no longer borrowed.
        drop(old);
    }
}

impl Slot {
    fn stand_in(&self) -> Waker {
        // SAFETY: the functions of `STAND_IN` keep the contract of a waker as far as the list uses
        // it: clone and drop do nothing, and `wake` may be called from any thread (B2), as long as
        // the slot is there (B3).
        unsafe { Waker::new(ptr::from_ref(self).cast(), &STAND_IN) }
    }
}

static STAND_IN: RawWakerVTable =
    RawWakerVTable::new(|slot| RawWaker::new(slot, &STAND_IN), ring, ring, |_| {});

/// Moves the waker from the slot to the round that is under way.
///
/// # Safety
///
/// * `slot` points to a [`Slot`] that is alive.
/// * The list that the slot's listener is in is locked by the caller.
unsafe fn ring(slot: *const ()) {
    // SAFETY: the slot is alive, by the first clause.
    let slot = unsafe { &*slot.cast::<Slot>() };
    let round = current::get();
    // SAFETY: by the second clause nobody else touches the slot. The round, if there is one, is the
    // one that locked the list, in this thread, and it waits for us.
    let stray = slot.0.with_mut(|content| unsafe {
        let waker = (*content).take();
        match round.as_mut() {
            Some(round) => round.add(waker),
            None => waker,
        }
    });
    debug_assert!(stray.is_none(), "a bell was rung outside of a round, or the round is full");
    // Better under the lock than not at all.
    if let Some(waker) = stray {
        waker.wake();
    }
}

/// How many wakers are taken while the list is locked, once. On a chip without `std` this bounds how
/// long interrupts are off.
pub(crate) const ROUND: usize = 8;

/// The wakers of waiters that were called and not yet woken.
pub(crate) struct Round {
    wakers: [Option<Waker>; ROUND],
    len: usize,
    called: usize,
}

impl Round {
    pub(crate) fn new() -> Self {
        Self { wakers: [const { None }; ROUND], len: 0, called: 0 }
    }

    /// Runs `notify`, which notifies at most [`ROUND`] listeners of a list, and collects their
    /// wakers. Says how many waiters were called. The round is empty when it begins.
    pub(crate) fn collect(&mut self, notify: impl FnOnce()) -> usize {
        self.called = 0;
        current::with(self, notify);
        self.called
    }

    /// Takes `waker` unless there is no room.
    fn add(&mut self, waker: Option<Waker>) -> Option<Waker> {
        let Some(place) = self.wakers.get_mut(self.len) else { return waker };
        self.called += 1;
        self.len += usize::from(waker.is_some());
        *place = waker;
        None
    }

    /// The next one to wake, first called first.
    pub(crate) fn wakers(&mut self) -> impl Iterator<Item = Waker> {
        let len = core::mem::take(&mut self.len);
        self.wakers[..len].iter_mut().filter_map(Option::take)
    }
}

/// A waker that panics keeps nobody of its round from being woken. With `std` its panic is caught before
/// it comes here.
#[cfg(not(feature = "std"))]
impl Drop for Round {
    fn drop(&mut self) {
        self.wakers.iter_mut().filter_map(Option::take).for_each(Waker::wake);
    }
}

/// The round that is under way where the code runs: it is how [`ring`], which gets nothing but a
/// pointer to a slot, finds whom it works for.
#[cfg(feature = "std")]
mod current {
    use core::cell::Cell;
    use core::ptr;

    use super::Round;

    #[cfg(loom)]
    loom::thread_local! {
        static CURRENT: Cell<*mut Round> = Cell::new(ptr::null_mut());
    }
    #[cfg(not(loom))]
    std::thread_local! {
        static CURRENT: Cell<*mut Round> = const { Cell::new(ptr::null_mut()) };
    }

    /// Rounds nest where an interrupt comes in between.
    pub(super) fn with(round: &mut Round, f: impl FnOnce()) {
        let outer = CURRENT.with(|current| current.replace(round));
        f();
        CURRENT.with(|current| current.set(outer));
    }

    pub(super) fn get() -> *mut Round {
        CURRENT.with(Cell::get)
    }
}

/// One for all: it is used with interrupts off on every core.
#[cfg(all(not(feature = "std"), feature = "critical-section"))]
mod current {
    use core::ptr;

    use super::Round;
    use crate::sync::unmodelled::{AtomicPtr, Ordering::Relaxed};

    static CURRENT: AtomicPtr<Round> = AtomicPtr::new(ptr::null_mut());

    pub(super) fn with(round: &mut Round, f: impl FnOnce()) {
        critical_section::with(|_| {
            CURRENT.store(round, Relaxed);
            f();
            CURRENT.store(ptr::null_mut(), Relaxed);
        });
    }

    pub(super) fn get() -> *mut Round {
        CURRENT.load(Relaxed)
    }
}

/// One for all, behind a spin lock: an interrupt that comes in between must not use any lock.
#[cfg(not(any(feature = "std", feature = "critical-section")))]
mod current {
    use core::ptr;

    use super::Round;
    use crate::sync::unmodelled::{AtomicPtr, Ordering::Relaxed};

    static GATE: spin::Mutex<()> = spin::Mutex::new(());
    static CURRENT: AtomicPtr<Round> = AtomicPtr::new(ptr::null_mut());

    pub(super) fn with(round: &mut Round, f: impl FnOnce()) {
        let _open = GATE.lock();
        CURRENT.store(round, Relaxed);
        f();
        CURRENT.store(ptr::null_mut(), Relaxed);
    }

    pub(super) fn get() -> *mut Round {
        CURRENT.load(Relaxed)
    }
}
