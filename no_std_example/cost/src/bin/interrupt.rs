//! Whether an interrupt may use the lock at any time. If not, the program never ends, and the watchdog
//! reports that.

#![no_std]
#![no_main]

use cost::{Lock, new, read, try_read, try_write, write};
use no_std_example::sweep::{sweep, under_fire};
use no_std_example::{board, println, wait};

static LOCK: Lock = new();

const OPERATIONS: [(&str, fn()); 3] = [
    ("exclusive", || {
        under_fire(|| {
            wait!(waiter = write(&LOCK), 0);
            drop(waiter.finish().unwrap());
        });
    }),
    ("shared", || {
        under_fire(|| {
            wait!(waiter = read(&LOCK), 0);
            drop(waiter.finish().unwrap());
        });
    }),
    ("wait", || {
        let guard = try_write(&LOCK).unwrap();
        under_fire(|| {
            wait!(waiter = write(&LOCK), 0);
            drop(guard);
            drop(waiter.finish().unwrap());
        });
    }),
];

const INTERRUPTS: [(&str, fn()); 2] = [
    ("try", || {
        drop(try_read(&LOCK));
        drop(try_write(&LOCK));
    }),
    ("acquire once and cancel", || {
        wait!(waiter = write(&LOCK), 1);
        drop(waiter);
    }),
];

#[board::entry]
fn main() -> ! {
    board::init();
    let mut preemptions = 0;
    for operation in OPERATIONS {
        for interrupt in INTERRUPTS {
            let free = || assert!(try_write(&LOCK).is_some());
            preemptions += sweep(operation, interrupt, free).preemptions;
        }
    }
    println!("preemptions {preemptions}");
    board::exit(0)
}
