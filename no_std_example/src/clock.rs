//! The clock of `embassy-time`, which the board ticks.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

struct Clock {
    milliseconds: Mutex<Cell<u64>>,
    timers: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    milliseconds: Mutex::new(Cell::new(0)),
    timers: Mutex::new(RefCell::new(Queue::new())),
});

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|section| self.milliseconds.borrow(section).get())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // The clock ticks in any case: there is no alarm to set.
        critical_section::with(|section| {
            self.timers.borrow_ref_mut(section).schedule_wake(at, waker);
        });
    }
}

/// A millisecond has passed.
pub(crate) fn tick() {
    critical_section::with(|section| {
        let now = CLOCK.milliseconds.borrow(section).get() + 1;
        CLOCK.milliseconds.borrow(section).set(now);
        // Wakes the tasks whose time has come.
        CLOCK.timers.borrow_ref_mut(section).next_expiration(now);
    });
}
