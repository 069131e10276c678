//! Spinning. A newcomer task spins before it is queued only where that has recently paid off. A
//! thread that blocks always spins.

use crate::mode::Mode;
use crate::raw::RawLock;
#[cfg(not(target_family = "wasm"))]
use crate::sync::thread;
use crate::sync::{relax, unmodeled};

/// How many attempts a spinning caller makes: one each after 4, 16, 64 and 256 pauses, which together
/// take some 8 us. An attempt takes the cache line from the holder, so the fewer there are, the
/// faster the holder is done. Under loom, which decides when its threads run, there are none. Under
/// shuttle, whose threads run during a pause, there is one.
const SPIN_ROUNDS: u32 = if cfg!(loom) {
    0
} else if cfg!(shuttle) {
    1
} else {
    4
};

/// How many of these attempts a waiter makes where the last one that spun was in vain.
const TRIAL_ROUNDS: u32 = if SPIN_ROUNDS < 2 { SPIN_ROUNDS } else { 2 };

/// How many times a blocking thread yields to other threads, after it has spun and before it
/// sleeps.
#[cfg(not(target_family = "wasm"))]
const YIELD_ROUNDS: u32 = if cfg!(loom) {
    0
} else if cfg!(shuttle) {
    1
} else {
    6
};

impl RawLock {
    /// Spins for a moment, if the caller is a `thread` or if that has paid off at this lock, and
    /// acquires the lock if it becomes available.
    #[inline]
    pub(super) fn spin_acquire(&self, mode: Mode, thread: bool) -> bool {
        self.spin(thread, || self.try_acquire_as_newcomer(mode).is_ok())
    }

    /// Spins for a moment, if the caller is a `thread` or if that has paid off at this lock, until an
    /// `attempt` is successful. Returns whether one was.
    #[inline]
    pub(crate) fn spin(&self, thread: bool, mut attempt: impl FnMut() -> bool) -> bool {
        let mut spin = |rounds| {
            (0..rounds).any(|round: u32| {
                (0..4 << (2 * round)).for_each(|_| relax());
                attempt()
            })
        };
        match self.queue.get() {
            Some(queue) => queue.spin.try_out(thread, spin),
            None => thread && spin(SPIN_ROUNDS),
        }
    }

    /// Makes attempts until one is successful, or for as long as it takes to put a thread to sleep and
    /// to wake it. Returns whether one was successful.
    ///
    /// The caller, which wants this lock in `mode`, is not queued meanwhile. With `yields`, other
    /// threads run for an unknown time, so a caller with a deadline passes `false`. The yields stop
    /// where the lock is free but an overtaken waiter wants it: there a newcomer yields one poll only.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn spin_or_yield(
        &self,
        mode: Mode,
        yields: bool,
        mut attempt: impl FnMut() -> bool,
    ) -> bool {
        self.spin(true, &mut attempt)
            || yields
                && (0..YIELD_ROUNDS).take_while(|_| !self.newcomer_must_yield(mode)).any(|_| {
                    thread::yield_now();
                    attempt()
                })
    }
}

/// Decides when a waiter spins before it waits (adaptive spinning).
///
/// Spinning mostly pays off where holders run on other cores and are soon done. It never pays off
/// where holders sleep with the lock held, or wait for this core. The lock finds that out by
/// trying. After a failure the next waiter tries for a shorter time, and then waiters try less and
/// less often as spinning fails.
///
/// This is a guess and no more: an update is lost if another thread overwrites it.
pub(crate) struct AdaptiveSpin {
    /// How many waiters still skip the spin.
    left: unmodeled::AtomicUsize,
    /// How many waiters in a row have spun in vain, up to [`MOST_FAILURES`](Self::MOST_FAILURES).
    failures: unmodeled::AtomicUsize,
}

impl AdaptiveSpin {
    /// After so many failures, 1,023 waiters skip the spin between two that do not.
    const MOST_FAILURES: usize = 10;

    pub(crate) const fn new() -> Self {
        Self { left: unmodeled::AtomicUsize::new(0), failures: unmodeled::AtomicUsize::new(0) }
    }

    /// Runs `look` if spinning is worthwhile, or `always`, with the number of rounds to spin. Returns
    /// whether `look` saw what it was looking for.
    #[inline]
    pub(crate) fn try_out(&self, always: bool, look: impl FnOnce(u32) -> bool) -> bool {
        use unmodeled::Ordering::Relaxed;

        let left = self.left.load(Relaxed);
        if left > 0 && !always {
            self.left.store(left - 1, Relaxed);
            return false;
        }
        self.look(look)
    }

    /// Runs `look` with the number of rounds to spin, and remembers whether that was in vain.
    #[inline(never)]
    fn look(&self, look: impl FnOnce(u32) -> bool) -> bool {
        use unmodeled::Ordering::Relaxed;

        let failures = self.failures.load(Relaxed);
        let seen = look(if failures == 0 { SPIN_ROUNDS } else { TRIAL_ROUNDS });
        let (failures, left) = if seen {
            (0, 0)
        } else {
            ((failures + 1).min(Self::MOST_FAILURES), (1 << failures) - 1)
        };
        self.failures.store(failures, Relaxed);
        self.left.store(left, Relaxed);
        seen
    }
}

#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn it_spins_less_often_the_less_it_pays() {
        let spin = AdaptiveSpin::new();
        // How many waiters skip the spin before the next one spins, and sees something or not; and how
        // many rounds that one spins.
        let until_look = |sees| {
            let mut looked = None;
            let goes_by = |_: &usize| {
                let seen = spin.try_out(false, |rounds| {
                    looked = Some(rounds);
                    sees
                });
                assert_eq!(seen, looked.is_some() && sees);
                looked.is_some()
            };
            let skipped = (0..2000).find(goes_by).expect("it looks some time");
            (skipped, looked)
        };
        let skips = |sees| until_look(sees).0;
        let in_vain = [(); 13].map(|()| skips(false));
        assert_eq!(in_vain, [0, 0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1023]);
        assert_eq!([(); 3].map(|()| skips(true)), [1023, 0, 0]);
        assert_eq!([(); 3].map(|()| skips(false)), [0, 0, 1]);
        // A waiter spins for long only where the last one did not spin in vain.
        const { assert!(TRIAL_ROUNDS < SPIN_ROUNDS) };
        assert_eq!(
            [true, true, false, false].map(|sees| until_look(sees).1),
            [Some(TRIAL_ROUNDS), Some(SPIN_ROUNDS), Some(SPIN_ROUNDS), Some(TRIAL_ROUNDS),]
        );
    }
}
