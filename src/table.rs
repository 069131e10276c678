//! The names of those who hold a [`HandleLock`](crate::HandleLock), or wait for it.
//!
//! ```text
//! ┌───────┐    ┌─────────────────┐    ┌─────────────────┐
//! │ first ├───►│ slots  │ next ──┼───►│ slots  │ next   │
//! └───────┘    └─────────────────┘    └─────────────────┘
//! ```
//!
//! A list of chunks that only grows: an entry stays where it was put until it is taken out, and a
//! [`Spot`] says where that is.
//!
//! The slots of a chunk are touched inside of its [`Section`] only. There at most [`ROOM`] names are
//! compared or cloned; none is dropped, nobody is woken, and nothing is allocated. So a section is
//! short, however many names there are. The section of the ticket is the only one that is entered
//! inside of another.
//!
//! # Why no two use one name
//!
//! Whoever wants a name
//!
//! 1. looks at the next ticket,
//! 2. looks for the name, one chunk after the other, and is refused if it is there,
//! 3. puts it in, in the section of a chunk with room, and takes the ticket in that same section; but
//!    begins again if the ticket has been taken.
//!
//! Say that A and B put in equal names, A with the smaller ticket, and that A's is still in. B took the
//! ticket that it had seen in its step 1, and A's is smaller, so A had taken its own before that look. A
//! was in the section of its chunk then, and did not leave it before its name was in. B came to that
//! section in step 2, so after A had left it, and saw the name. That there is such a chunk B saw too: A
//! had found it before it took its ticket.
//!
//! Step 2 finds only what has been put in and not been taken out, so nobody is refused for a name that
//! is free. Step 3 is in vain only if another name was put in meanwhile: of those who come at once one
//! gets on. The next look is only at the names that have come since: the others have been seen.
//!
//! Tickets have 64 bits everywhere, for which not every target has an atomic: hence their own section.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::iter;
use core::mem;

use crate::lazy::Lazy;
use crate::mode::Mode;
use crate::sync::{Section, const_fn};

/// How many names there are in a chunk, and so how many are compared in one section.
const ROOM: usize = 8;

pub(crate) struct Table<H> {
    /// The ticket that is taken next: how many names have been put in, ever.
    next_ticket: Section<u64>,
    first: Lazy<Chunk<H>>,
}

struct Chunk<H> {
    slots: Section<[Option<Entry<H>>; ROOM]>,
    next: Lazy<Self>,
}

struct Entry<H> {
    name: H,
    ticket: u64,
    stage: Stage,
}

/// What is done by a name.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    /// Somebody waits, or is about to: its [`Claim`] takes the entry out.
    Waiting,
    /// The lock is held, until somebody releases it by this name.
    Held(Mode),
    /// The lock is held by a guard, and the guard takes the entry out.
    Guarded(Mode),
}

impl Stage {
    fn mode(self) -> Option<Mode> {
        match self {
            Self::Waiting => None,
            Self::Held(mode) | Self::Guarded(mode) => Some(mode),
        }
    }
}

impl<H> Table<H> {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self { next_ticket: Section::new(0), first: Lazy::new() }
        }
    }

    fn chunks(&self) -> impl Iterator<Item = &Chunk<H>> {
        iter::successors(self.first.get(), |chunk| chunk.next.get())
    }

    /// Puts `name` in, or gives it back if it is there.
    pub(crate) fn claim(&self, mut name: H) -> Result<Claim<'_, H>, H>
    where
        H: Eq,
    {
        let mut new = 0;
        loop {
            let ticket = self.next_ticket.with(|next| *next);
            if self.chunks().any(|chunk| chunk.has(&name, new)) {
                return Err(name);
            }
            match self.put(name, ticket) {
                Ok(spot) => return Ok(Claim(spot)),
                Err(back) => name = back,
            }
            new = ticket;
        }
    }

    /// Puts `name` in with `ticket`, or gives it back if that is not the next.
    fn put(&self, name: H, ticket: u64) -> Result<Spot<'_, H>, H> {
        let mut entry = Some(Entry { name, ticket, stage: Stage::Waiting });
        let mut chunk = self.first.get_or_make(Chunk::new);
        loop {
            let index = chunk.slots.with(|slots| {
                let index = slots.iter().position(Option::is_none)?;
                if self.take_ticket(ticket) {
                    slots[index] = entry.take();
                }
                Some(index)
            });
            match (index, entry) {
                (Some(index), None) => return Ok(Spot { chunk, index }),
                (Some(_), Some(entry)) => return Err(entry.name),
                (None, full) => entry = full,
            }
            chunk = chunk.next.get_or_make(Chunk::new);
        }
    }

    fn take_ticket(&self, ticket: u64) -> bool {
        self.next_ticket.with(|next| {
            let is_next = *next == ticket;
            *next += u64::from(is_next);
            is_next
        })
    }

    /// Takes out the name by which the lock is held, unless by a guard.
    pub(crate) fn take<Q>(&self, name: &Q) -> Option<(H, Mode)>
    where
        H: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.chunks().find_map(|chunk| {
            chunk.slots.with(|slots| {
                slots.iter_mut().find_map(|slot| {
                    let Stage::Held(mode) = slot.as_ref()?.stage else { return None };
                    let entry = slot.take_if(|entry| entry.name.borrow() == name)?;
                    Some((entry.name, mode))
                })
            })
        })
    }

    /// The names by which the lock is held, first come, first. Not all from one moment, unless they
    /// are in one chunk.
    pub(crate) fn holders(&self) -> Vec<(H, Mode)>
    where
        H: Clone,
    {
        let mut holders = Vec::new();
        for chunk in self.chunks() {
            let mut copies = [const { None }; ROOM];
            chunk.slots.with(|slots| {
                let entries = slots.iter().flatten();
                let held = entries.filter_map(|entry| Some((entry, entry.stage.mode()?)));
                for ((entry, mode), copy) in held.zip(&mut copies) {
                    *copy = Some((entry.ticket, entry.name.clone(), mode));
                }
            });
            holders.extend(copies.into_iter().flatten());
        }
        holders.sort_unstable_by_key(|&(ticket, ..)| ticket);
        holders.into_iter().map(|(_, name, mode)| (name, mode)).collect()
    }
}

impl<H> Drop for Table<H> {
    /// One chunk after the other, and not one inside of the other: there may be many.
    fn drop(&mut self) {
        let mut chunk = self.first.take();
        while let Some(mut now) = chunk {
            chunk = now.next.take();
        }
    }
}

impl<H> Chunk<H> {
    fn new() -> Box<Self> {
        Box::new(Self { slots: Section::new([const { None }; ROOM]), next: Lazy::new() })
    }

    /// Whether `name` is here, with the ticket `new` or a later one.
    fn has(&self, name: &H, new: u64) -> bool
    where
        H: Eq,
    {
        self.slots.with(|slots| {
            slots.iter().flatten().any(|entry| entry.ticket >= new && entry.name == *name)
        })
    }
}

/// Where an entry is, for the one who alone may take it out.
pub(crate) struct Spot<'a, H> {
    chunk: &'a Chunk<H>,
    index: usize,
}

impl<H> Spot<'_, H> {
    fn with<R>(&self, f: impl FnOnce(&mut Entry<H>) -> R) -> R {
        self.chunk.slots.with(|slots| f(slots[self.index].as_mut().expect(OURS)))
    }

    pub(crate) fn set(&self, stage: Stage) {
        self.with(|entry| entry.stage = stage);
    }

    pub(crate) fn name(&self) -> H
    where
        H: Clone,
    {
        self.with(|entry| entry.name.clone())
    }

    /// Takes the entry out. To be done once.
    pub(crate) fn take(&self) -> H {
        self.chunk.slots.with(|slots| slots[self.index].take()).expect(OURS).name
    }
}

const OURS: &str = "nobody else takes the entry out";

/// A name that is in use, and by which nobody holds the lock yet. Taken out again if it is dropped.
pub(crate) struct Claim<'a, H>(Spot<'a, H>);

impl<'a, H> Claim<'a, H> {
    /// The lock has been acquired by this name.
    pub(crate) fn settle(self, stage: Stage) -> Spot<'a, H> {
        self.0.set(stage);
        self.into_spot()
    }

    /// Takes the name out.
    pub(crate) fn give_up(self) -> H {
        self.into_spot().take()
    }

    fn into_spot(self) -> Spot<'a, H> {
        let Self(Spot { chunk, index }) = self;
        mem::forget(self);
        Spot { chunk, index }
    }
}

impl<H> Drop for Claim<'_, H> {
    fn drop(&mut self) {
        // Out of the section: the drop of a name is foreign code.
        drop(self.0.take());
    }
}

#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests {
    use super::*;

    /// As many chunks as would fill the stack if each was dropped inside of the one before.
    #[test]
    fn a_long_table_is_dropped() {
        let table = Table::<u8>::new();
        let mut last = table.first.get_or_make(Chunk::new);
        for _ in 0..if cfg!(miri) { 100 } else { 100_000 } {
            last = last.next.get_or_make(Chunk::new);
        }
        drop(table);
    }
}
