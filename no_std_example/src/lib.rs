//! What the images of this workspace share: a board, a clock, the sweep of interrupts, and, with the
//! feature `heap`, a heap that counts.

#![no_std]

#[cfg_attr(target_arch = "arm", path = "cortex_m.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
pub mod board;
mod clock;
pub mod heap;
pub mod sweep;

pub use semihosting::println;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    board::mask();
    println!("{info}");
    sweep::report();
    board::exit(101)
}
