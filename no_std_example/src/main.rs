#![no_std]
#![no_main]
use no_std_example::board;
#[board::entry]
fn main() -> ! {
    board::exit(0)
}
