//! Schedules of three locks and sets of them, as `tests/schedules` has them, with steps that the fuzzer
//! chooses.

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
    // A panic is to unwind, and not to end all at once: then the steps are printed.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| run_bytes(bytes)
);
