//! Schedules of a lock whose acquisitions have names, as in `tests/schedules`, with steps chosen by the
//! fuzzer.

#![no_main]

#[path = "../../tests/support/flag.rs"]
mod flag;
#[path = "../../tests/schedules/names.rs"]
mod names;
#[path = "../../tests/support/random.rs"]
mod random;
#[path = "../../tests/schedules/word.rs"]
mod word;

use libfuzzer_sys::fuzz_target;
use names::run_bytes;

fuzz_target!(
    // Panics must unwind instead of aborting, so that the steps are printed.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| run_bytes(bytes)
);
