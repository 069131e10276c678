//! An observer that logs each wait and each acquisition with `defmt`. The times are those of the log, if it has any.
//!
//! Without the feature `observed` it is the same program without an observer, so that the two can be compared.

#![no_std]
#![no_main]

use core::pin::pin;
use core::task::{Context, Poll, Waker};

use defmt_semihosting as _;
use no_std_example::board;

#[cfg(feature = "observed")]
use log::RwLock;
#[cfg(not(feature = "observed"))]
use multilock::RwLock;

#[cfg(feature = "observed")]
mod log {
    use multilock::observed::{self, Acquisition, NewObserver, Observer};

    pub type RwLock<T> = observed::RwLock<T, Log>;

    /// A line of the log has some ten bytes: what it says is in the debug information, and only the numbers are sent. The
    /// number of a line tells which one it is, if all locks are used in one file. Add `it.site().file()` otherwise.
    pub struct Log;

    impl NewObserver for Log {
        const NEW: Self = Self;
    }

    fn name(it: Acquisition<'_>) -> &'static str {
        it.lock().name().unwrap_or("a lock")
    }

    impl Observer for Log {
        type Record = ();

        fn waiting(&self, it: Acquisition<'_>) {
            defmt::println!("line {} waits for {=str}, {}", it.site().line(), name(it), it.mode());
        }

        fn acquired(&self, it: Acquisition<'_>, _: Option<()>) {
            defmt::println!("line {} acquired {=str}, {}", it.site().line(), name(it), it.mode());
        }

        fn released(&self, it: Acquisition<'_>, (): ()) {
            defmt::println!("line {} released {=str}, {}", it.site().line(), name(it), it.mode());
        }

        fn cancelled(&self, it: Acquisition<'_>, (): ()) {
            defmt::println!("line {} gave up {=str}, {}", it.site().line(), name(it), it.mode());
        }
    }
}

#[cfg(feature = "observed")]
static TABLE: RwLock<[u16; 4]> = RwLock::named("table", [0; 4]);
#[cfg(not(feature = "observed"))]
static TABLE: RwLock<[u16; 4]> = RwLock::new([0; 4]);

#[board::entry]
fn main() -> ! {
    board::init();
    let mut cx = Context::from_waker(Waker::noop());
    let reader = TABLE.try_read();
    let mut writer = pin!(TABLE.write());
    assert!(writer.as_mut().poll(&mut cx).is_pending());
    {
        let mut late = pin!(TABLE.upgradable_read());
        assert!(late.as_mut().poll(&mut cx).is_pending());
    }
    drop(reader);
    let Poll::Ready(mut guard) = writer.as_mut().poll(&mut cx) else { panic!("it is its turn") };
    guard[0] = 1;
    drop(guard);
    assert_eq!(TABLE.try_read().map(|data| data[0]), Some(1));
    board::exit(0)
}
