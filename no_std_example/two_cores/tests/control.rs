//! Checks that the work of two cores finds an implementation for a single core: the program succeeds if one
//! of its checks fails, or if its cores wait forever.

#![no_std]
#![no_main]

use two_cores::{board, work};

#[cfg(not(feature = "atomics-single-core"))]
critical_section::set_impl!(two_cores::section::MaskOnly);
// Here it is the atomics that are for a single core.
#[cfg(feature = "atomics-single-core")]
critical_section::set_impl!(two_cores::section::SpinSection);

#[board::entry]
fn main(core: usize) -> ! {
    work::main(core, true)
}
