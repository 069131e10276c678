//! The work of two cores with the same locks, with a critical section for several cores.

#![no_std]
#![no_main]

use two_cores::section::SpinSection;
use two_cores::{board, work};

critical_section::set_impl!(SpinSection);

#[board::entry]
fn main(core: usize) -> ! {
    work::main(core, false)
}
