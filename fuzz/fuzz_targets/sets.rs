//! Schedules of three locks and sets of them, as `tests/schedules.rs` has them, with steps that the fuzzer
//! chooses.

#![no_main]

#[path = "../../tests/support/flag.rs"]
mod flag;
#[path = "../../tests/support/random.rs"]
mod random;
#[path = "../../tests/support/set_schedule.rs"]
mod set_schedule;
#[path = "../../tests/support/word.rs"]
mod word;

use libfuzzer_sys::fuzz_target;
use set_schedule::run_bytes;

fuzz_target!(
    // A panic is to unwind, and not to end all at once: then the steps are printed.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| run_bytes(bytes)
);
