//! The size of firmware that uses the lock: two tasks in the thread, and one in an interrupt. It
//! contains nothing else, not even a way to print.

#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m::interrupt::InterruptNumber;
use cortex_m_rt::{entry, exception};
use cost::{Lock, new, read, write};
use embassy_executor::{Executor, InterruptExecutor};
use embassy_futures::yield_now;
use static_cell::StaticCell;

static LOCK: Lock = new();

async fn work() {
    {
        let mut guard = write(&LOCK).await;
        yield_now().await;
        guard[0] += 1;
    }
    let guard = read(&LOCK).await;
    yield_now().await;
    black_box(*guard);
}

#[embassy_executor::task(pool_size = 2)]
async fn thread() {
    work().await;
}

#[embassy_executor::task]
async fn urgent() {
    work().await;
}

static INTERRUPT_EXECUTOR: InterruptExecutor = InterruptExecutor::new();
static THREAD_EXECUTOR: StaticCell<Executor> = StaticCell::new();

/// An interrupt that no device uses.
#[derive(Clone, Copy)]
struct Irq;

// SAFETY: this is the number of an interrupt that both machines have.
unsafe impl InterruptNumber for Irq {
    fn number(self) -> u16 {
        20
    }
}

#[exception]
unsafe fn DefaultHandler(_: i16) {
    // SAFETY: there is no other interrupt, and the executor was started with this one.
    unsafe { INTERRUPT_EXECUTOR.on_interrupt() }
}

#[cfg(feature = "heap")]
mod heap {
    extern crate alloc;

    use alloc::boxed::Box;
    use core::hint::black_box;
    use core::mem::MaybeUninit;

    use embedded_alloc::LlffHeap;

    const SIZE: usize = 1024;
    static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];

    #[global_allocator]
    static HEAP: LlffHeap = LlffHeap::empty();

    pub(crate) fn init() {
        // SAFETY: the memory is used for nothing else, has the given size, and this runs once.
        unsafe { HEAP.init(&raw mut MEMORY as usize, SIZE) }
        // This keeps the allocator in the image even where no lock uses it.
        drop(black_box(Box::new(0)));
    }
}

#[entry]
fn main() -> ! {
    #[cfg(feature = "heap")]
    heap::init();
    // The executor unmasks the interrupt, whose priority is the highest from the start.
    INTERRUPT_EXECUTOR.start(Irq).spawn(urgent().unwrap());
    THREAD_EXECUTOR.init(Executor::new()).run(|spawner| {
        spawner.spawn(thread().unwrap());
        spawner.spawn(thread().unwrap());
    })
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
