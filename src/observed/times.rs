//! [`Times`]: how long a lock is waited for, and held.

use core::fmt;
use core::time::Duration;

#[cfg(feature = "std")]
use crate::observed::observer::NewObserver;
use crate::observed::observer::{Acquisition, Observer};
use crate::sync::unmodeled::{AtomicUsize, Ordering::Relaxed};

/// The number of classes of durations.
const CLASSES: usize = 32;
/// The first class ends at `2^FIRST` nanoseconds, and each further one at twice as much.
const FIRST: u32 = 7;

/// An observer that measures how long a lock is waited for, and held: sums, maxima and a histogram.
///
/// Each lock has its own, and contains it. It consists of atomic integers, so it needs neither a heap
/// nor `std`, nor integers of 64 bits on a chip that has none. A [`summary`](Self::summary) can be
/// taken at any time, and be printed or sent to a monitoring system.
///
/// What is measured is what is complete: a wait counts when it ends, and a hold counts when the lock
/// was released. The release itself comes first, so nothing here delays a waiter. An acquisition that
/// does not wait has waited for no time, and is no wait. A downgrade or an upgrade ends one hold and
/// begins another one.
///
/// # Cost
///
/// An acquisition reads the clock, and adds to one integer. Its end reads the clock, and adds to two
/// integers, and so does that of a wait. Holders on several cores contend for them, as for the lock. On a machine where a look at the clock takes 24 ns, an
/// acquisition and its end take 80 ns, beside 4 ns of a lock without an observer. On 64 bits, the
/// observer has 568 bytes, and what a guard keeps for it has 8.
///
/// On chips of 32 bits, each number is one of 32 bits, except that the sums are exact to 2^64
/// nanoseconds: numbers of acquisitions wrap at four thousand million. The maxima are exact to one
/// microsecond, and end at 71 minutes.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use std::thread;
///
/// use multilock::Mode;
/// use multilock::observed::{MultiLock, Times};
///
/// static LOCK: MultiLock<Times> = MultiLock::named("log");
///
/// let guard = LOCK.try_acquire(Mode::Exclusive);
/// thread::sleep(Duration::from_millis(2));
/// drop(guard);
///
/// let summary = LOCK.observer().summary();
/// assert_eq!((summary.acquisitions(), summary.waits()), (1, 0));
/// assert!(summary.held().maximum() >= Duration::from_millis(2));
/// assert_eq!(summary.held().mean(), Some(summary.held().sum()));
/// println!("{summary}");
/// ```
pub struct Times {
    clock: fn() -> Duration,
    acquisitions: AtomicUsize,
    cancellations: AtomicUsize,
    waited: Measured,
    held: Measured,
}

/// The time at which a wait or a hold has begun, for [`Times`].
///
/// # Examples
///
/// ```
/// use multilock::observed::{Observer, Times, TimesRecord};
///
/// fn record<O: Observer<Record = TimesRecord>>(_: &O) -> usize {
///     size_of::<O::Record>()
/// }
/// assert_eq!(record(&Times::new()), 8);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimesRecord(u64);

/// Durations that were measured.
struct Measured {
    sum: Sum,
    maximum: Maximum,
    classes: [AtomicUsize; CLASSES],
}

impl Measured {
    const fn new() -> Self {
        let classes = [const { AtomicUsize::new(0) }; CLASSES];
        Self { sum: Sum::new(), maximum: Maximum::new(), classes }
    }

    fn add(&self, nanoseconds: u64) {
        self.sum.add(nanoseconds);
        self.maximum.add(nanoseconds);
        self.classes[class(nanoseconds)].fetch_add(1, Relaxed);
    }

    fn get(&self) -> Durations {
        // Relaxed, here and in `add`: each number is right by itself, and that they belong
        // together is not promised.
        let classes = core::array::from_fn(|class| self.classes[class].load(Relaxed));
        Durations { classes, sum: self.sum.get(), maximum: self.maximum.get() }
    }
}

/// The first class is for what is shorter than `2^FIRST` nanoseconds.
const fn class(nanoseconds: u64) -> usize {
    let class = (u64::BITS - nanoseconds.leading_zeros()).saturating_sub(FIRST) as usize;
    if class < CLASSES { class } else { CLASSES - 1 }
}

#[cfg(not(target_pointer_width = "64"))]
use halves::{Maximum, Sum};
#[cfg(target_pointer_width = "64")]
use word::{Maximum, Sum};

#[cfg(target_pointer_width = "64")]
mod word {
    use core::time::Duration;

    use crate::sync::unmodeled::{AtomicUsize, Ordering::Relaxed};

    pub(super) struct Sum(AtomicUsize);

    impl Sum {
        pub(super) const fn new() -> Self {
            Self(AtomicUsize::new(0))
        }

        pub(super) fn add(&self, nanoseconds: u64) {
            self.0.fetch_add(nanoseconds as usize, Relaxed);
        }

        pub(super) fn get(&self) -> Duration {
            Duration::from_nanos(self.0.load(Relaxed) as u64)
        }
    }

    pub(super) struct Maximum(AtomicUsize);

    impl Maximum {
        pub(super) const fn new() -> Self {
            Self(AtomicUsize::new(0))
        }

        pub(super) fn add(&self, nanoseconds: u64) {
            let nanoseconds = nanoseconds as usize;
            // Mostly it is no new maximum, and then the cache line stays shared.
            if self.0.load(Relaxed) < nanoseconds {
                self.0.fetch_max(nanoseconds, Relaxed);
            }
        }

        pub(super) fn get(&self) -> Duration {
            Duration::from_nanos(self.0.load(Relaxed) as u64)
        }
    }
}

#[cfg(any(test, not(target_pointer_width = "64")))]
mod halves {
    use core::time::Duration;

    use crate::sync::unmodeled::{AtomicU32, Ordering::Relaxed};

    /// The low half and the high one.
    pub(super) struct Sum(AtomicU32, AtomicU32);

    impl Sum {
        pub(super) const fn new() -> Self {
            Self(AtomicU32::new(0), AtomicU32::new(0))
        }

        pub(super) fn add(&self, nanoseconds: u64) {
            let low = nanoseconds as u32;
            let (_, carry) = self.0.fetch_add(low, Relaxed).overflowing_add(low);
            let high = (nanoseconds >> 32) as u32 + u32::from(carry);
            if high != 0 {
                self.1.fetch_add(high, Relaxed);
            }
        }

        pub(super) fn get(&self) -> Duration {
            loop {
                let high = self.1.load(Relaxed);
                let low = self.0.load(Relaxed);
                if self.1.load(Relaxed) == high {
                    return Duration::from_nanos(u64::from(high) << 32 | u64::from(low));
                }
            }
        }
    }

    /// In microseconds, rounded up.
    pub(super) struct Maximum(AtomicU32);

    impl Maximum {
        pub(super) const fn new() -> Self {
            Self(AtomicU32::new(0))
        }

        pub(super) fn add(&self, nanoseconds: u64) {
            let microseconds = u32::try_from(nanoseconds.div_ceil(1000)).unwrap_or(u32::MAX);
            if self.0.load(Relaxed) < microseconds {
                self.0.fetch_max(microseconds, Relaxed);
            }
        }

        pub(super) fn get(&self) -> Duration {
            Duration::from_micros(self.0.load(Relaxed).into())
        }
    }
}

impl Times {
    /// Creates an observer that has measured nothing, with [`Instant`](std::time::Instant) as its
    /// clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::{MultiLock, Times};
    ///
    /// static LOCK: MultiLock<Times> = MultiLock::with_observer("log", Times::new());
    /// assert_eq!(LOCK.observer().summary().acquisitions(), 0);
    /// ```
    #[cfg(feature = "std")]
    #[must_use]
    pub const fn new() -> Self {
        Self::with_clock(super::clock::now)
    }

    /// Creates an observer with a clock, which returns the time since a moment that is always the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// use multilock::observed::{MultiLock, Times};
    ///
    /// /// The counter of a timer.
    /// fn now() -> Duration {
    ///     Duration::ZERO
    /// }
    /// static LOCK: MultiLock<Times> = MultiLock::with_observer("log", Times::with_clock(now));
    /// assert_eq!(LOCK.observer().summary().acquisitions(), 0);
    /// ```
    #[must_use]
    pub const fn with_clock(clock: fn() -> Duration) -> Self {
        Self {
            clock,
            acquisitions: AtomicUsize::new(0),
            cancellations: AtomicUsize::new(0),
            waited: Measured::new(),
            held: Measured::new(),
        }
    }

    /// Returns what was measured up to now.
    ///
    /// Each number is right, but they are read one after the other. What ends in the meantime may be in
    /// one of them and not yet in another. On 32 bits, a sum that is read while another core adds to it
    /// may be 4.3 seconds too small.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::{MultiLock, Times};
    ///
    /// let lock = MultiLock::with_observer("log", Times::new());
    /// let guard = lock.try_acquire(Mode::Shared);
    /// let summary = lock.observer().summary();
    /// assert_eq!((summary.acquisitions(), summary.held().count()), (1, 0));
    /// drop(guard);
    /// assert_eq!(lock.observer().summary().held().count(), 1);
    /// ```
    #[must_use]
    pub fn summary(&self) -> Summary {
        // What was measured is read before what was counted, so it is not more than that.
        let (held, waited) = (self.held.get(), self.waited.get());
        let acquisitions = self.acquisitions.load(Relaxed);
        Summary { acquisitions, cancellations: self.cancellations.load(Relaxed), waited, held }
    }

    fn now(&self) -> u64 {
        u64::try_from((self.clock)().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The nanoseconds since then.
    fn since(&self, TimesRecord(then): TimesRecord) -> u64 {
        self.now().saturating_sub(then)
    }
}

#[cfg(feature = "std")]
impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "std")]
impl NewObserver for Times {
    const NEW: Self = Self::new();
}

impl Observer for Times {
    type Record = TimesRecord;

    fn waiting(&self, _: Acquisition<'_>) -> TimesRecord {
        TimesRecord(self.now())
    }

    fn acquired(&self, _: Acquisition<'_>, waited: Option<TimesRecord>) -> TimesRecord {
        let now = self.now();
        self.acquisitions.fetch_add(1, Relaxed);
        if let Some(TimesRecord(then)) = waited {
            self.waited.add(now.saturating_sub(then));
        }
        TimesRecord(now)
    }

    fn changed(
        &self,
        _: Acquisition<'_>,
        TimesRecord(held): TimesRecord,
        waited: Option<TimesRecord>,
    ) -> TimesRecord {
        let now = self.now();
        if let Some(TimesRecord(then)) = waited {
            self.waited.add(now.saturating_sub(then));
        }
        self.held.add(now.saturating_sub(held));
        TimesRecord(now)
    }

    fn released(&self, _: Acquisition<'_>, held: TimesRecord) {
        self.held.add(self.since(held));
    }

    fn cancelled(&self, _: Acquisition<'_>, _: TimesRecord) {
        self.cancellations.fetch_add(1, Relaxed);
    }
}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Times").field(&self.summary()).finish()
    }
}

/// What [`Times`] has measured up to a moment.
///
/// Its `Display` is three lines.
///
/// # Examples
///
/// ```
/// use multilock::observed::Times;
///
/// let summary = Times::new().summary();
/// assert_eq!(
///     summary.to_string(),
///     "acquired 0 times, 0 of them after a wait; 0 waits were cancelled\n\
///      waited: never\n\
///      held: never"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    acquisitions: usize,
    cancellations: usize,
    waited: Durations,
    held: Durations,
}

impl Summary {
    /// Returns the number of successful acquisitions, also of those that are not complete.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::Times;
    ///
    /// assert_eq!(Times::new().summary().acquisitions(), 0);
    /// ```
    #[must_use]
    pub const fn acquisitions(&self) -> usize {
        self.acquisitions
    }

    /// Returns the number of waits that have ended in success, of acquisitions and of upgrades.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::Times;
    ///
    /// assert_eq!(Times::new().summary().waits(), 0);
    /// ```
    #[must_use]
    pub const fn waits(&self) -> usize {
        self.waited.count()
    }

    /// Returns the number of waits that have ended without success. Their time is not in
    /// [`waited`](Self::waited).
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::Times;
    ///
    /// assert_eq!(Times::new().summary().cancellations(), 0);
    /// ```
    #[must_use]
    pub const fn cancellations(&self) -> usize {
        self.cancellations
    }

    /// Returns the times of the waits that have ended in success.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::Times;
    ///
    /// assert_eq!(Times::new().summary().waited().mean(), None);
    /// ```
    #[must_use]
    pub const fn waited(&self) -> Durations {
        self.waited
    }

    /// Returns for how long the lock was held, of acquisitions that are complete.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::Times;
    ///
    /// assert_eq!(Times::new().summary().held().mean(), None);
    /// ```
    #[must_use]
    pub const fn held(&self) -> Durations {
        self.held
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "acquired {} times, {} of them after a wait; {} waits were cancelled\n\
             waited: {}\nheld: {}",
            self.acquisitions,
            self.waits(),
            self.cancellations,
            self.waited,
            self.held
        )
    }
}

/// Durations that [`Times`] has measured: their sum, their maximum, and a histogram.
///
/// # Examples
///
/// ```
/// use multilock::observed::Times;
///
/// let held = Times::new().summary().held();
/// assert_eq!((held.count(), held.to_string().as_str()), (0, "never"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations {
    sum: Duration,
    maximum: Duration,
    classes: [usize; CLASSES],
}

impl Durations {
    /// Returns how many there are.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::Times;
    ///
    /// assert_eq!(Times::new().summary().held().count(), 0);
    /// ```
    #[must_use]
    pub const fn count(&self) -> usize {
        let (mut count, mut class) = (0_usize, 0);
        while class < CLASSES {
            count = count.wrapping_add(self.classes[class]);
            class += 1;
        }
        count
    }

    /// Returns their sum.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// use multilock::observed::Times;
    ///
    /// assert_eq!(Times::new().summary().held().sum(), Duration::ZERO);
    /// ```
    #[must_use]
    pub const fn sum(&self) -> Duration {
        self.sum
    }

    /// Returns the longest of them. On 32 bits, it is rounded up to microseconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// use multilock::observed::Times;
    ///
    /// assert_eq!(Times::new().summary().held().maximum(), Duration::ZERO);
    /// ```
    #[must_use]
    pub const fn maximum(&self) -> Duration {
        self.maximum
    }

    /// Returns the mean, or `None` if there is nothing to divide by.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::Times;
    ///
    /// assert_eq!(Times::new().summary().held().mean(), None);
    /// ```
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let mean = self.sum.as_nanos().checked_div(self.count() as u128)?;
        Some(Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)))
    }

    /// Returns the histogram: pairs of a duration, and of how many were shorter than that and not
    /// shorter than the one before.
    ///
    /// The first duration is 128 nanoseconds, and each further one is twice as long. In the last pair
    /// it is [`Duration::MAX`], and in the pair before 137 seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// use multilock::observed::Times;
    ///
    /// let held = Times::new().summary().held();
    /// assert_eq!(held.histogram()[0], (Duration::from_nanos(128), 0));
    /// ```
    #[must_use]
    pub fn histogram(&self) -> [(Duration, usize); 32] {
        core::array::from_fn(|class| {
            let end = match class {
                class if class == CLASSES - 1 => Duration::MAX,
                class => Duration::from_nanos(1_u64 << (FIRST as usize + class)),
            };
            (end, self.classes[class])
        })
    }
}

impl fmt::Display for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(mean) = self.mean() else { return f.write_str("never") };
        let (sum, maximum) = (self.sum, self.maximum);
        write!(f, "{sum:?} in all, {mean:.1?} at the mean, {maximum:?} at most")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_ends_at_twice_the_end_of_the_one_before() {
        assert_eq!((class(0), class(127), class(128)), (0, 0, 1));
        assert_eq!((class((1 << 20) - 1), class(1 << 20)), (13, 14));
        assert_eq!((class((1 << 37) - 1), class(1 << 37), class(u64::MAX)), (30, 31, 31));
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn x3_an_observer_has_568_bytes() {
        assert_eq!((size_of::<Times>(), size_of::<TimesRecord>()), (568, 8));
    }

    /// As on chips of 32 bits.
    #[test]
    fn halves_of_a_sum_carry() {
        let sum = halves::Sum::new();
        let mut expected = 0;
        for n in [1, u64::from(u32::MAX), 1, 5 << 32, u64::from(u32::MAX), 1 << 31, 1 << 31] {
            sum.add(n);
            expected += n;
            assert_eq!(sum.get(), Duration::from_nanos(expected));
        }
        let maximum = halves::Maximum::new();
        for (n, expected) in [(1, 1), (1000, 1), (1001, 2), (5, 2), (u64::MAX, u32::MAX.into())] {
            maximum.add(n);
            assert_eq!(maximum.get(), Duration::from_micros(expected));
        }
    }
}
