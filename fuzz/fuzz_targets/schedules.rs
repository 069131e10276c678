//! Schedules of one lock, as in `tests/schedules`, with steps chosen by the fuzzer.

#![no_main]

#[path = "../../tests/support/flag.rs"]
mod flag;
#[path = "../../tests/schedules/lock.rs"]
mod lock;
#[path = "../../tests/support/random.rs"]
mod random;
#[path = "../../tests/schedules/word.rs"]
mod word;

use libfuzzer_sys::fuzz_target;
use lock::Schedule;

fuzz_target!(
    // Panics must unwind instead of aborting, so that the steps are printed.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| Schedule::of_bytes(bytes).run()
);
