//! Which waiters may enter a lock, according to its promises.

#![allow(dead_code, reason = "each driver uses a part")]

use multilock::{Mode, Snapshot};

/// How many races a waiter loses before the lock is reserved for it.
pub(crate) const RACES: usize = 2;

/// The model of a lock.
#[derive(Debug, Default)]
pub(crate) struct Word {
    pub(crate) held: [usize; 3],
    pub(crate) upgrading: bool,
    pub(crate) exclusive_waits: bool,
}

impl Word {
    pub(crate) fn held(&self, mode: Mode) -> usize {
        self.held[mode as usize]
    }

    pub(crate) fn holders(&self) -> usize {
        self.held.iter().sum()
    }

    pub(crate) fn fits(&self, mode: Mode) -> bool {
        let excluded = |held| mode.excludes(held) && self.held(held) > 0;
        !self.upgrading && !Mode::ALL.into_iter().any(excluded)
    }

    pub(crate) fn admits(&self, mode: Mode) -> bool {
        self.fits(mode) && (self.holders() == 0 || !self.exclusive_waits)
    }
}

/// Moves the task that was polled behind the others. So a waiter that defers lets them run.
pub(crate) fn to_the_end<T>(tasks: &mut [T], was_polled: impl Fn(&T) -> bool) {
    if let Some(index) = tasks.iter().position(was_polled) {
        tasks[index..].rotate_left(1);
    }
}

/// Whether a waiter was woken and overtaken, or a set was turned away. Only `Debug` shows this.
pub(crate) fn is_overtaken(snapshot: Snapshot) -> bool {
    format!("{snapshot:?}").contains("overtaken: true")
}
