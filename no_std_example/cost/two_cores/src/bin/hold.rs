//! How often three tasks of one core are polled while the other core holds the lock for a while.

#![no_std]
#![no_main]

use core::future::poll_fn;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use cost::{Lock, new, try_write, write};
use two_cores::section::SpinSection;
use two_cores::{board, println};

critical_section::set_impl!(SpinSection);

const WAITERS: usize = 3;
const HOLD_IN_TICKS: u64 = 20_000 * board::TICKS_PER_MICROSECOND;

static LOCK: Lock = new();
static HELD: AtomicBool = AtomicBool::new(true);
static ENDED: AtomicUsize = AtomicUsize::new(0);

#[embassy_executor::task(pool_size = WAITERS)]
async fn waiter(n: usize) {
    let mut polls_of_held = 0;
    let mut polls = 0;
    let mut future = pin!(write(&LOCK));
    let guard = poll_fn(|cx| {
        polls += 1;
        polls_of_held += u32::from(HELD.load(SeqCst));
        future.as_mut().poll(cx)
    })
    .await;
    drop(guard);
    println!("polls_held_{n} {polls_of_held}\npolls_{n} {polls}");
    ENDED.store(ENDED.load(SeqCst) + 1, SeqCst);
    if ENDED.load(SeqCst) == WAITERS {
        board::succeed();
    }
}

#[board::entry]
fn main(core: usize) -> ! {
    let guard = board::start(|| try_write(&LOCK).unwrap());
    if core == 1 {
        board::run(|spawner| {
            for n in 1..=WAITERS {
                spawner.spawn(waiter(n).unwrap());
            }
        })
    }
    if guard.is_some() {
        // Interrupts are masked, so the alarm only ends `wfi`.
        let end = board::time() + HOLD_IN_TICKS;
        board::set_alarm(HOLD_IN_TICKS);
        while board::time() < end {
            riscv::asm::wfi();
        }
        board::set_alarm_at(u64::MAX);
        HELD.store(false, SeqCst);
        drop(guard);
    }
    loop {
        riscv::asm::wfi();
    }
}
