//! The bounded moment for which waiters defer to the owner of a reservation, which may never be polled
//! again.

#[cfg(all(
    feature = "std",
    not(any(loom, shuttle, miri, all(target_family = "wasm", target_os = "unknown")))
))]
mod clock {
    use std::time::{Duration, Instant};

    /// A moment that is over a millisecond after the first look.
    pub(crate) struct Moment(Option<Instant>);

    impl Moment {
        pub(crate) const NEW: Self = Self(None);

        pub(crate) fn is_over(&mut self) -> bool {
            // The first look begins the moment, and never ends it: the thread may be paused between
            // two readings of the clock.
            match self.0 {
                Some(start) => start.elapsed() >= Duration::from_millis(1),
                None => {
                    self.0 = Some(Instant::now());
                    false
                }
            }
        }
    }
}
#[cfg(all(
    feature = "std",
    not(any(loom, shuttle, miri, all(target_family = "wasm", target_os = "unknown")))
))]
pub(crate) use clock::Moment;

#[cfg(not(all(
    feature = "std",
    not(any(loom, shuttle, miri, all(target_family = "wasm", target_os = "unknown")))
)))]
mod polls {
    /// The same bound where there is no clock, or where the clock advances with each step, as in Miri:
    /// a number of polls, counted over all waiters that defer.
    pub(crate) struct Moment(u16);

    impl Moment {
        /// It counts up from zero, so that a static lock is all zeros.
        pub(crate) const NEW: Self = Self(0);

        /// More than 910: an executor of one thread may poll each of seven rivals 130 times before it polls the
        /// notified waiter.
        const POLLS: u16 = if cfg!(any(loom, shuttle)) {
            3
        } else if cfg!(miri) {
            64
        } else {
            1024
        };

        pub(crate) fn is_over(&mut self) -> bool {
            if self.0 < Self::POLLS {
                self.0 += 1;
            }
            self.0 == Self::POLLS
        }
    }
}
#[cfg(not(all(
    feature = "std",
    not(any(loom, shuttle, miri, all(target_family = "wasm", target_os = "unknown")))
)))]
pub(crate) use polls::Moment;
