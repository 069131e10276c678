//! Schedules of a lock with data, its conditions and its changes, as in `tests/schedules`, with steps chosen by
//! the fuzzer.

#![no_main]

#[path = "../../tests/schedules/data.rs"]
mod data;
#[path = "../../tests/support/flag.rs"]
mod flag;
#[path = "../../tests/support/random.rs"]
mod random;
#[path = "../../tests/schedules/word.rs"]
mod word;

use data::run_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    // Panics must unwind instead of aborting, so that the steps are printed.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| run_bytes(bytes)
);
