//! An observer that checks that the calls fit together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use multilock::Mode;
use multilock::observed::{Acquisition, NewObserver, Observer};

/// Checks that each record is given back once, with the mode that it was made with.
pub(crate) struct Checked;

/// The acquisitions that wait, and those that are held.
static OPEN: Mutex<BTreeMap<usize, (bool, Mode)>> = Mutex::new(BTreeMap::new());
static RECORDS: AtomicUsize = AtomicUsize::new(0);

fn open(held: bool, mode: Mode) -> usize {
    let record = RECORDS.fetch_add(1, Relaxed);
    OPEN.lock().unwrap_or_else(PoisonError::into_inner).insert(record, (held, mode));
    record
}

fn close(record: usize, held: bool, mode: Mode) {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&record);
    if open != Some((held, mode)) {
        // A panic would be caught.
        eprintln!("no such acquisition: {record} {held} {mode:?}, but {open:?}");
        std::process::abort();
    }
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
