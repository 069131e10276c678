//! What the images of this workspace share: a board with two cores and a watchdog, critical sections for
//! them, and the work that both do with the same locks. There is no allocator.

#![no_std]

pub mod board;
pub mod section;
pub mod work;

pub use semihosting::println;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    board::mask();
    board::fail(101, format_args!("{info}"))
}
