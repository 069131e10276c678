//! The entries of a table: chunks that never move, and two lists through them.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use crate::observed::table::entry::Entry;

/// The number of entries of the first chunk. Each further one has room for twice as many.
const FIRST: usize = 64;
/// With so many chunks there is room for four million entries.
const CHUNKS: usize = 16;
/// No index.
const NONE: u32 = u32::MAX;

/// Where an entry is. An index of another generation is that of an entry that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    index: u32,
    generation: NonZeroU32,
}

/// What the table remembers of an acquisition.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) entry: Entry,
    /// What was in the way when the acquisition began to wait, if the table was to look: one of
    /// the entries, and the number of all.
    pub(super) first: Option<Entry>,
    pub(super) count: usize,
    /// Whether it was reported that this takes long.
    pub(super) is_slow: bool,
    /// Whether the row was part of a deadlock that was reported.
    pub(super) is_dead: bool,
}

impl Row {
    pub(super) const fn new(entry: Entry) -> Self {
        Self { entry, first: None, count: 0, is_slow: false, is_dead: false }
    }
}

struct Slot {
    /// `None`: the slot is free, and `next` is the next free one.
    row: Option<Row>,
    generation: NonZeroU32,
    next: u32,
    previous: u32,
}

/// The first and the last slot of a list.
struct List {
    first: u32,
    last: u32,
}

/// Memory for more entries.
pub(super) struct Chunk {
    number: usize,
    slots: Vec<Slot>,
}

pub(super) struct Slab {
    chunks: [Vec<Slot>; CHUNKS],
    free: u32,
    held: List,
    waiting: List,
    len: usize,
}

impl Chunk {
    /// Allocates a chunk. `None`: there is no memory, or there are too many entries.
    pub(super) fn new(number: usize) -> Option<Self> {
        let (len, mut slots) = (FIRST << number, Vec::new());
        if number == CHUNKS || slots.try_reserve_exact(len).is_err() {
            return None;
        }
        let first = len - FIRST;
        slots.extend((1..=len).map(|n| Slot {
            row: None,
            generation: NonZeroU32::MIN,
            next: if n == len { NONE } else { (first + n) as u32 },
            previous: NONE,
        }));
        Some(Self { number, slots })
    }
}

impl Slab {
    pub(super) const fn new() -> Self {
        const NO_LIST: List = List { first: NONE, last: NONE };
        Self {
            chunks: [const { Vec::new() }; CHUNKS],
            free: NONE,
            held: NO_LIST,
            waiting: NO_LIST,
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds a row at the end of its list, or returns the number of the chunk that is missing.
    pub(super) fn insert(&mut self, row: Row) -> Result<Key, usize> {
        let index = self.free;
        if index == NONE {
            return Err(self.chunks.iter().take_while(|chunk| !chunk.is_empty()).count());
        }
        let slot = self.slot(index);
        slot.row = Some(row);
        let (generation, next) = (slot.generation, slot.next);
        self.free = next;
        self.len += 1;
        self.push(index, row.entry.is_held());
        Ok(Key { index, generation })
    }

    /// Adds the chunk that [`insert`](Self::insert) asks for. If another thread was quicker, the
    /// chunk comes back, so that the caller drops it.
    pub(super) fn add(&mut self, chunk: Chunk) -> Option<Chunk> {
        let Chunk { number, slots } = chunk;
        if !self.chunks[number].is_empty() {
            return Some(Chunk { number, slots });
        }
        let (first, last) = ((FIRST << number) - FIRST, (FIRST << number << 1) - FIRST - 1);
        self.chunks[number] = slots;
        self.slot(last as u32).next = self.free;
        self.free = first as u32;
        None
    }

    pub(super) fn get(&mut self, key: Key) -> Option<&mut Row> {
        let (number, n) = place(key.index);
        let slot = self.chunks[number].get_mut(n)?;
        slot.row.as_mut().filter(|_| slot.generation == key.generation)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Row> {
        let row = *self.get(key)?;
        self.unlink(key.index, row.entry.is_held());
        let free = self.free;
        let slot = self.slot(key.index);
        slot.row = None;
        slot.next = free;
        slot.generation = slot.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.free = key.index;
        self.len -= 1;
        Some(row)
    }

    /// Puts a row in the place of another one, at the end of its list. Returns the row before.
    pub(super) fn replace(&mut self, key: Key, row: Row) -> Option<Row> {
        let before = core::mem::replace(self.get(key)?, row);
        self.unlink(key.index, before.entry.is_held());
        self.push(key.index, row.entry.is_held());
        Some(before)
    }

    /// The acquisitions, then the waits, each in the order in which they began.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Key, &Row)> + Clone {
        self.list(&self.held).chain(self.list(&self.waiting))
    }

    /// The acquisitions alone.
    pub(super) fn held(&self) -> impl Iterator<Item = (Key, &Row)> + Clone {
        self.list(&self.held)
    }

    fn list(&self, list: &List) -> impl Iterator<Item = (Key, &Row)> + Clone {
        let mut index = list.first;
        core::iter::from_fn(move || {
            let (number, n) = place(index);
            let slot = self.chunks.get(number)?.get(n)?;
            let key = Key { index, generation: slot.generation };
            index = slot.next;
            Some((key, slot.row.as_ref()?))
        })
    }

    /// A slot that exists.
    fn slot(&mut self, index: u32) -> &mut Slot {
        let (number, n) = place(index);
        &mut self.chunks[number][n]
    }

    fn of(&mut self, held: bool) -> &mut List {
        if held { &mut self.held } else { &mut self.waiting }
    }

    fn push(&mut self, index: u32, held: bool) {
        let last = core::mem::replace(&mut self.of(held).last, index);
        let slot = self.slot(index);
        (slot.previous, slot.next) = (last, NONE);
        match last {
            NONE => self.of(held).first = index,
            last => self.slot(last).next = index,
        }
    }

    fn unlink(&mut self, index: u32, held: bool) {
        let slot = self.slot(index);
        let (previous, next) = (slot.previous, slot.next);
        match previous {
            NONE => self.of(held).first = next,
            previous => self.slot(previous).next = next,
        }
        match next {
            NONE => self.of(held).last = previous,
            next => self.slot(next).previous = previous,
        }
    }
}

/// The chunk of an index, and the index in it. That of no index is beyond the last chunk.
const fn place(index: u32) -> (usize, usize) {
    let index = index as u64 + FIRST as u64;
    let number = index.ilog2() - FIRST.ilog2();
    (number as usize, (index - ((FIRST as u64) << number)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn x3_an_entry_has_240_bytes() {
        assert_eq!((size_of::<Slot>(), size_of::<Option<Key>>()), (240, 8));
    }

    #[test]
    fn each_index_has_a_place_of_its_own() {
        assert_eq!(place(0), (0, 0));
        assert_eq!((place(63), place(64)), ((0, 63), (1, 0)));
        assert_eq!((place(191), place(192)), ((1, 127), (2, 0)));
        assert!(place(NONE).0 >= CHUNKS);
    }
}
