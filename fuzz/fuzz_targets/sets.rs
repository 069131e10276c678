//! Schedules of three locks and sets of them, as in `tests/schedules`, with steps chosen by the fuzzer.

#![no_main]

#[path = "../../tests/support/flag.rs"]
mod flag;
#[path = "../../tests/support/random.rs"]
mod random;
#[path = "../../tests/schedules/sets.rs"]
mod sets;
#[path = "../../tests/schedules/word.rs"]
mod word;

use libfuzzer_sys::fuzz_target;
use sets::run_bytes;

fuzz_target!(
    // Panics must unwind instead of aborting, so that the steps are printed.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| run_bytes(bytes)
);
