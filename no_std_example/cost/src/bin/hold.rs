//! How often three waiting tasks are polled while another task holds the lock for a while, and in which
//! order they acquire it.

#![no_std]
#![no_main]

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::pin;

use cost::{Lock, new, write};
use critical_section::Mutex;
use embassy_time::Timer;
use no_std_example::{board, println};

const WAITERS: usize = 3;

static LOCK: Lock = new();
static HELD: Mutex<Cell<bool>> = Mutex::new(Cell::new(true));
static ORDER: Mutex<Cell<usize>> = Mutex::new(Cell::new(0));

#[embassy_executor::task]
async fn holder() {
    let guard = write(&LOCK).await;
    Timer::after_millis(20).await;
    critical_section::with(|section| HELD.borrow(section).set(false));
    drop(guard);
}

#[embassy_executor::task(pool_size = WAITERS)]
async fn waiter(n: usize) {
    Timer::after_millis(n as u64).await;
    let mut polls_of_held = 0;
    let mut polls = 0;
    let mut future = pin!(write(&LOCK));
    let guard = poll_fn(|cx| {
        polls += 1;
        polls_of_held += u32::from(critical_section::with(|section| HELD.borrow(section).get()));
        future.as_mut().poll(cx)
    })
    .await;
    let order = critical_section::with(|section| {
        let order = ORDER.borrow(section).get() * 10 + n;
        ORDER.borrow(section).set(order);
        order
    });
    drop(guard);
    println!("polls_held_{n} {polls_of_held}\npolls_{n} {polls}");
    if order >= 100 {
        println!("order {order}");
        board::exit(0);
    }
}

#[board::entry]
fn main() -> ! {
    board::init();
    board::start_clock(|| {});
    board::run(|spawner| {
        spawner.spawn(holder().unwrap());
        for n in 1..=WAITERS {
            spawner.spawn(waiter(n).unwrap());
        }
    })
}
