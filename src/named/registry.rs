//! The handles of the holders and the waiters of a [`HandleLock`](crate::HandleLock).
//!
//! ```text
//! ┌───────┐    ┌─────────────────┐    ┌─────────────────┐
//! │ first ├───►│ slots  │ next ──┼───►│ slots  │ next   │
//! └───────┘    └─────────────────┘    └─────────────────┘
//! ```
//!
//! The registry is a list of chunks that only grows. A handle stays in the slot into which it was
//! inserted until it is removed, and a [`SlotRef`] says which slot that is.
//!
//! The slots of a chunk and their handles are touched only while the [`Mutex`] of the chunk is
//! locked. Under that mutex at most [`CHUNK_SLOTS`] handles are compared or cloned; no handle is
//! dropped, no waiter is woken, and nothing is allocated. So each critical section is short,
//! however many handles there are. The mutex of the ticket is the only one that is locked while
//! another is.
//!
//! # Why no two callers use one handle
//!
//! A caller that wants a handle
//!
//! 1. reads the next ticket,
//! 2. looks for the handle in one chunk after the other, and is refused if an equal handle is
//!    there,
//! 3. locks a chunk with a free slot, inserts the handle, and uses the ticket in that same critical
//!    section. If the ticket was used meanwhile, the caller begins again.
//!
//! Say that callers A and B insert equal handles, that A has the smaller ticket, and that A's
//! handle is still in its slot. B used the ticket that it had read in its step 1. A's ticket is
//! smaller, so A had used it before that read. A used its ticket with the mutex of its chunk
//! locked, and unlocked that mutex only after the handle was in the slot. B locked that mutex in
//! step 2, so after A had unlocked it, and saw the handle. B saw the chunk itself, too: A had found
//! the chunk before A used its ticket.
//!
//! Step 2 finds only handles that were inserted and not removed, so no caller is refused for a
//! handle that is free. Step 3 fails only if another handle was inserted meanwhile: of the callers
//! that come at once, one makes progress. The next look is only at the handles that were inserted
//! since: the others have been seen.
//!
//! Tickets have 64 bits on every target. Not every target has an atomic of that size, so the ticket
//! has a mutex of its own.
//!
//! # Large handles
//!
//! A handle may be so large that several of them do not fit on the stack. So a chunk is made in
//! place, on the heap. A handle is swapped between a slot and an `Option` of the caller, which each
//! function takes by reference: a handle that is passed or returned by value is one more handle on
//! the stack, in each function that it passes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cell::UnsafeCell;
use core::iter;
use core::mem;
use core::panic::{RefUnwindSafe, UnwindSafe};

use crate::mode::Mode;
use crate::sync::once_box::OnceBox;
use crate::sync::unwind::for_each;
use crate::sync::{Mutex, const_fn};

/// The number of slots in a chunk, and so the most handles that are compared in one critical
/// section.
const CHUNK_SLOTS: usize = 8;

pub(crate) struct Registry<H> {
    /// The ticket that is used next: the number of handles that have been inserted, ever.
    next_ticket: Mutex<u64>,
    first: OnceBox<Chunk<H>>,
}

struct Chunk<H> {
    slots: Mutex<Slots>,
    handles: Handles<H>,
    next: OnceBox<Self>,
}

/// The data beside the handles of a chunk. It means nothing in a slot without a handle.
struct Slots {
    tickets: [u64; CHUNK_SLOTS],
    states: [HandleState; CHUNK_SLOTS],
}

/// The handles of a chunk. The content of a `Mutex` is made on the stack and moved, so the handles,
/// which may be large, are beside it.
struct Handles<H>(UnsafeCell<[Option<H>; CHUNK_SLOTS]>);

// SAFETY: through a reference to it, one thread at a time reaches the handles, with the mutex of
// their chunk locked. So they only have to be `Send`, as for a mutex.
unsafe impl<H: Send> Sync for Handles<H> {}

// The handles are unwind safe as the content of a `Mutex` is.
impl<H> UnwindSafe for Handles<H> {}
impl<H> RefUnwindSafe for Handles<H> {}

/// What a handle is used for.
#[derive(Clone, Copy)]
pub(crate) enum HandleState {
    /// The acquisition waits, or is about to: its [`HandleReservation`] removes the handle.
    Waiting,
    /// The lock is held, until it is released by this handle.
    Held(Mode),
    /// The lock is held by a guard, and the guard removes the handle.
    Guarded(Mode),
}

impl HandleState {
    fn mode(self) -> Option<Mode> {
        match self {
            Self::Waiting => None,
            Self::Held(mode) | Self::Guarded(mode) => Some(mode),
        }
    }
}

impl<H> Registry<H> {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self { next_ticket: Mutex::new(0), first: OnceBox::new() }
        }
    }

    fn chunks(&self) -> impl Iterator<Item = &Chunk<H>> {
        iter::successors(self.first.get(), |chunk| chunk.next.get())
    }

    /// Inserts the handle in `handle` as that of a waiter, or leaves it in `handle` if an equal one
    /// is in use.
    pub(crate) fn reserve(&self, handle: &mut Option<H>) -> Option<HandleReservation<'_, H>>
    where
        H: Eq,
    {
        let mut since = 0;
        loop {
            let ticket = self.next_ticket.with(|next| *next);
            let wanted = handle.as_ref().expect("there is a handle");
            if self.chunks().any(|chunk| chunk.contains(wanted, since)) {
                return None;
            }
            if let Some(slot) = self.insert(handle, ticket) {
                return Some(HandleReservation(slot));
            }
            since = ticket;
        }
    }

    /// Moves the handle in `handle` into a slot, with `ticket`, or leaves it in `handle` if
    /// `ticket` is not the next.
    fn insert(&self, handle: &mut Option<H>, ticket: u64) -> Option<SlotRef<'_, H>> {
        let mut chunk = self.first.get_or_make(Chunk::new);
        loop {
            let index = chunk.with(|slots, handles| {
                let index = handles.iter().position(Option::is_none)?;
                if self.try_use_ticket(ticket) {
                    slots.tickets[index] = ticket;
                    slots.states[index] = HandleState::Waiting;
                    mem::swap(&mut handles[index], handle);
                }
                Some(index)
            });
            match index {
                Some(index) => return handle.is_none().then_some(SlotRef { chunk, index }),
                None => chunk = chunk.next.get_or_make(Chunk::new),
            }
        }
    }

    /// Uses `ticket` if it is the next. Returns whether it is.
    fn try_use_ticket(&self, ticket: u64) -> bool {
        self.next_ticket.with(|next| {
            let is_next = *next == ticket;
            *next += u64::from(is_next);
            is_next
        })
    }

    /// Removes the handle by which the lock is held, unless a guard holds it, and leaves it in
    /// `to`, which was empty.
    pub(crate) fn remove_held<Q>(&self, handle: &Q, to: &mut Option<H>) -> Option<Mode>
    where
        H: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.chunks().find_map(|chunk| {
            chunk.with(|slots, handles| {
                handles.iter_mut().zip(&slots.states).find_map(|(slot, state)| {
                    let HandleState::Held(mode) = *state else { return None };
                    if slot.as_ref()?.borrow() != handle {
                        return None;
                    }
                    mem::swap(slot, to);
                    Some(mode)
                })
            })
        })
    }

    /// Returns the handles by which the lock is held, in the order of their tickets. Handles from
    /// different chunks may be from different moments.
    pub(crate) fn holders(&self) -> Vec<(H, Mode)>
    where
        H: Clone,
    {
        let (mut holders, mut order) = (Vec::new(), Vec::new());
        for chunk in self.chunks() {
            // Nothing is allocated while the chunk is locked.
            holders.reserve(CHUNK_SLOTS);
            let (mut tickets, number) = ([None; CHUNK_SLOTS], order.len());
            chunk.with(|slots, handles| {
                for (index, handle) in handles.iter().enumerate() {
                    if let (Some(handle), Some(mode)) = (handle, slots.states[index].mode()) {
                        holders.push((handle.clone(), mode));
                        tickets[index] = Some(slots.tickets[index]);
                    }
                }
            });
            order.extend(tickets.into_iter().flatten().zip(number..));
        }
        order.sort_unstable();
        // Each handle is swapped to its place: a sort would have several handles on the stack.
        for to in 0..order.len() {
            let mut from = order[to].1;
            while from < to {
                from = order[from].1;
            }
            holders.swap(from, to);
        }
        holders
    }
}

impl<H> Drop for Registry<H> {
    /// Drops one chunk after the other, and not one inside of the other, since there may be many.
    /// That is so even if the drop of a handle panics.
    fn drop(&mut self) {
        let mut next = self.first.take();
        let chunks = iter::from_fn(|| {
            let mut chunk = next.take()?;
            next = chunk.next.take();
            Some(chunk)
        });
        for_each(chunks, drop);
    }
}

impl<H> Chunk<H> {
    /// Makes a chunk in place: the stack may have no room for so many handles.
    fn new() -> Box<Self> {
        let mut chunk = Box::<Self>::new_uninit();
        let at = chunk.as_mut_ptr();
        let slots =
            Slots { tickets: [0; CHUNK_SLOTS], states: [HandleState::Waiting; CHUNK_SLOTS] };
        // SAFETY: the pointers are to the fields in the box, and all of the fields are written.
        unsafe {
            (&raw mut (*at).slots).write(Mutex::new(slots));
            (&raw mut (*at).next).write(OnceBox::new());
            let handles = UnsafeCell::raw_get(&raw const (*at).handles.0).cast::<Option<H>>();
            (0..CHUNK_SLOTS).for_each(|index| handles.add(index).write(None));
            chunk.assume_init()
        }
    }

    /// Runs `f` on the slots and their handles, with the mutex of the chunk locked.
    fn with<R>(&self, f: impl FnOnce(&mut Slots, &mut [Option<H>; CHUNK_SLOTS]) -> R) -> R {
        self.slots.with(|slots| {
            // SAFETY: the handles are touched here only, and the mutex lets one thread in at a
            // time.
            f(slots, unsafe { &mut *self.handles.0.get() })
        })
    }

    /// Returns whether an equal handle is in this chunk, with the ticket `since` or a later one.
    fn contains(&self, handle: &H, since: u64) -> bool
    where
        H: Eq,
    {
        self.with(|slots, handles| {
            let entries = handles.iter().zip(&slots.tickets);
            entries.filter(|entry| *entry.1 >= since).any(|entry| entry.0.as_ref() == Some(handle))
        })
    }
}

/// The slot of a handle that is in use. Only the owner of the `SlotRef` may remove the handle.
pub(crate) struct SlotRef<'a, H> {
    chunk: &'a Chunk<H>,
    index: usize,
}

impl<H> SlotRef<'_, H> {
    pub(crate) fn set_state(&self, state: HandleState) {
        self.chunk.with(|slots, _| slots.states[self.index] = state);
    }

    pub(crate) fn handle(&self) -> H
    where
        H: Clone,
    {
        let mut copy = None;
        self.chunk.with(|_, handles| copy = handles[self.index].clone());
        copy.expect(OWNED)
    }

    /// Removes the handle, and leaves it in `to`, which was empty. The owner does so once.
    pub(crate) fn remove_into(&self, to: &mut Option<H>) {
        self.chunk.with(|_, handles| mem::swap(&mut handles[self.index], to));
        assert!(to.is_some(), "{OWNED}");
    }
}

const OWNED: &str = "only the owner of a slot removes its handle";

/// A handle that is in use by an acquisition that does not hold the lock yet. Its drop removes the
/// handle.
pub(crate) struct HandleReservation<'a, H>(SlotRef<'a, H>);

impl<'a, H> HandleReservation<'a, H> {
    /// Records that the lock has been acquired by this handle.
    pub(crate) fn confirm(self, state: HandleState) -> SlotRef<'a, H> {
        self.0.set_state(state);
        self.into_slot()
    }

    /// Removes the handle, and leaves it in `to`, which was empty.
    pub(crate) fn cancel(self, to: &mut Option<H>) {
        self.into_slot().remove_into(to);
    }

    fn into_slot(self) -> SlotRef<'a, H> {
        let Self(SlotRef { chunk, index }) = self;
        mem::forget(self);
        SlotRef { chunk, index }
    }
}

impl<H> Drop for HandleReservation<'_, H> {
    fn drop(&mut self) {
        // The handle is dropped after the mutex is unlocked: its drop is foreign code.
        let mut handle = None;
        self.0.remove_into(&mut handle);
    }
}

#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests {
    use core::ptr;
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use super::*;

    /// Makes so many chunks that they would fill the stack if each was dropped inside of the one
    /// before. Returns the last.
    fn long<H>(registry: &Registry<H>) -> &Chunk<H> {
        let mut last = registry.first.get_or_make(Chunk::new);
        for _ in 0..if cfg!(miri) { 100 } else { 100_000 } {
            last = last.next.get_or_make(Chunk::new);
        }
        last
    }

    #[test]
    fn a_long_registry_is_dropped() {
        let registry = Registry::<u8>::new();
        long(&registry);
        drop(registry);
    }

    #[test]
    #[cfg(panic = "unwind")]
    fn a_long_registry_is_dropped_also_if_the_drop_of_a_handle_panics() {
        struct Token<'a>(&'a Cell<u32>, bool);
        impl Drop for Token<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
                if self.1 {
                    resume_unwind(Box::new(()));
                }
            }
        }
        let dropped = Cell::new(0);
        let registry = Registry::new();
        let last = long(&registry);
        for chunk in [registry.first.get().unwrap(), last] {
            chunk.with(|_, handles| {
                for (index, handle) in handles.iter_mut().enumerate() {
                    *handle = Some(Token(&dropped, index == 3 && !ptr::eq(chunk, last)));
                }
            });
        }
        catch_unwind(AssertUnwindSafe(|| drop(registry))).unwrap_err();
        assert_eq!(dropped.get(), 16);
    }
}
