//! An observer that checks that the calls fit together.

use std::sync::{Mutex, PoisonError};

use multilock::Mode;
use multilock::observed::{Acquisition, NewObserver, Observer};

/// Checks that each record is given back once, with the mode that it was made with.
pub(crate) struct Checked;

/// How many acquisitions may be open at once, in all tests of a suite.
const MOST: usize = 1 << 15;

/// The acquisitions that wait, and those that are held. The suites count allocations, so it allocates nothing.
static OPEN: Mutex<Open> =
    Mutex::new(Open { entries: [(0, None); MOST], free: [0; MOST], freed: 0, fresh: 0 });

struct Open {
    /// How often each entry was used, and what it is now.
    entries: [(usize, Option<(bool, Mode)>); MOST],
    /// The entries that are free again, and how many of them there are.
    free: [usize; MOST],
    freed: usize,
    /// The first entry that was never used.
    fresh: usize,
}

fn open(held: bool, mode: Mode) -> usize {
    let open = &mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = match open.freed.checked_sub(1) {
        Some(freed) => {
            open.freed = freed;
            open.free[freed]
        }
        None => {
            open.fresh += 1;
            open.fresh - 1
        }
    };
    let (uses, is) = &mut open.entries[entry];
    (*uses, *is) = (*uses + 1, Some((held, mode)));
    *uses * MOST + entry
}

fn close(record: usize, held: bool, mode: Mode) {
    let open = &mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let (uses, is) = &mut open.entries[record % MOST];
    let was = is.take().filter(|_| *uses == record / MOST);
    if was != Some((held, mode)) {
        // A panic would be caught.
        eprintln!("no such acquisition: {record} {held} {mode:?}, but {was:?}");
        std::process::abort();
    }
    open.free[open.freed] = record % MOST;
    open.freed += 1;
}

impl Observer for Checked {
    type Record = usize;

    fn waiting(&self, acquisition: Acquisition<'_>) -> usize {
        open(false, acquisition.mode())
    }

    fn acquired(&self, acquisition: Acquisition<'_>, waited: Option<usize>) -> usize {
        waited.into_iter().for_each(|waited| close(waited, false, acquisition.mode()));
        open(true, acquisition.mode())
    }

    fn changed(&self, acquisition: Acquisition<'_>, held: usize, waited: Option<usize>) -> usize {
        waited.into_iter().for_each(|waited| close(waited, false, acquisition.mode()));
        close(held, true, acquisition.changed_from().unwrap());
        open(true, acquisition.mode())
    }

    fn released(&self, acquisition: Acquisition<'_>, held: usize) {
        close(held, true, acquisition.mode());
    }

    fn cancelled(&self, acquisition: Acquisition<'_>, waited: usize) {
        close(waited, false, acquisition.mode());
    }
}

impl NewObserver for Checked {
    const NEW: Self = Checked;
}
