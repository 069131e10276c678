//! Schedules of one lock, as `tests/schedules` has them, with steps that the fuzzer chooses.

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
    // A panic is to unwind, and not to end all at once: then the steps are printed.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| Schedule::of_bytes(bytes).run()
);
