//! The size of firmware that uses the lock: a task on each of two cores. It contains nothing else, not even a
//! way to print.
//!
//! The image without a lock is not to be run: there both cores use the value at the same time.

#![no_std]
#![no_main]

use core::hint::black_box;

use cost::{Lock, new, read, write};
use embassy_futures::yield_now;

/// The board, without what prints.
#[path = "../../../../two_cores/src/board.rs"]
#[allow(dead_code, reason = "what the image does not use")]
mod board;
#[path = "../../../../two_cores/src/section.rs"]
#[allow(dead_code, reason = "what is for a single core")]
mod section;

mod work {
    pub(crate) fn report() {}
}

macro_rules! println {
    ($($arg:tt)*) => {
        _ = format_args!($($arg)*)
    };
}
use println;

critical_section::set_impl!(section::SpinSection);

static LOCK: Lock = new();

#[embassy_executor::task(pool_size = board::CORES)]
async fn work_of_a_core() {
    {
        let mut guard = write(&LOCK).await;
        yield_now().await;
        guard[0] += 1;
    }
    let guard = read(&LOCK).await;
    yield_now().await;
    black_box(*guard);
}

#[board::entry]
fn main(_: usize) -> ! {
    board::start(|| ());
    board::run(|spawner| spawner.spawn(work_of_a_core().unwrap()))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
