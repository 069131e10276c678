//! Spinning. A newcomer task spins before it is queued only where that has recently paid off. A
//! thread that blocks for one lock always spins.

use crate::mode::Mode;
use crate::raw::RawLock;
#[cfg(not(target_family = "wasm"))]
use crate::sync::thread;
use crate::sync::{relax, unmodeled};

/// How many attempts a spinning caller makes: one each after 2, 4, 8 and 16 pauses, which together
/// take less than a microsecond. Under loom, which decides when its threads run, there are none.
/// Under shuttle, whose threads run during a pause, there is one.
const SPIN_ROUNDS: u32 = if cfg!(loom) {
    0
} else if cfg!(shuttle) {
    1
} else {
    4
};

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
    /// Spins for a moment, if that has paid off at this lock, and acquires the lock if it becomes
    /// available.
    pub(crate) fn spin_acquire(&self, mode: Mode) -> bool {
        self.queue.get().is_some_and(|queue| queue.spin.try_out(|| self.spin(mode)))
    }

    /// Spins for a moment, and acquires the lock if it becomes available.
    pub(crate) fn spin(&self, mode: Mode) -> bool {
        (1..=SPIN_ROUNDS).any(|look| {
            (0..1 << look).for_each(|_| relax());
            self.try_acquire_as_newcomer(mode).is_ok()
        })
    }

    /// Acquires the lock if it becomes available sooner than a thread could be put to sleep and
    /// woken.
    ///
    /// The caller is not queued meanwhile. With `yields`, other threads run for an unknown time, so
    /// a caller with a deadline passes `false`. The yields stop where the lock is free but an
    /// overtaken waiter wants it: there a newcomer yields one poll only.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn spin_or_yield(&self, mode: Mode, yields: bool) -> bool {
        self.spin(mode)
            || yields
                && (0..YIELD_ROUNDS).take_while(|_| !self.newcomer_must_yield(mode)).any(|_| {
                    thread::yield_now();
                    self.try_acquire_as_newcomer(mode).is_ok()
                })
    }
}

/// Decides when a waiter spins before it waits (adaptive spinning).
///
/// Spinning mostly pays off where holders run on other cores and are soon done. It never pays off
/// where holders sleep with the lock held, or wait for this core. The lock finds that out by
/// trying, and tries less and less often as spinning fails.
///
/// This is a guess and no more: an update is lost if another thread overwrites it.
pub(crate) struct AdaptiveSpin {
    /// How many waiters still skip the spin.
    left: unmodeled::AtomicUsize,
    /// How many waiters were to skip it, the last time.
    pause: unmodeled::AtomicUsize,
}

impl AdaptiveSpin {
    /// The most waiters that skip the spin between two that do not.
    const LONGEST: usize = 1023;

    pub(crate) const fn new() -> Self {
        Self { left: unmodeled::AtomicUsize::new(0), pause: unmodeled::AtomicUsize::new(0) }
    }

    /// Runs `look` if spinning is worthwhile. Returns whether `look` saw what it was looking for.
    pub(crate) fn try_out(&self, look: impl FnOnce() -> bool) -> bool {
        use unmodeled::Ordering::Relaxed;

        let left = self.left.load(Relaxed);
        if left > 0 {
            self.left.store(left - 1, Relaxed);
            return false;
        }
        let seen = look();
        let pause = if seen { 0 } else { (self.pause.load(Relaxed) * 2 + 1).min(Self::LONGEST) };
        self.pause.store(pause, Relaxed);
        self.left.store(pause, Relaxed);
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
        // How many waiters skip the spin before the next one spins, and sees something or not.
        let until_look = |sees| {
            let goes_by = |_: &usize| {
                let mut looked = false;
                let seen = spin.try_out(|| {
                    looked = true;
                    sees
                });
                assert_eq!(seen, looked && sees);
                looked
            };
            (0..2000).find(goes_by).expect("it looks some time")
        };
        let in_vain = [(); 12].map(|()| until_look(false));
        assert_eq!(in_vain, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1023]);
        assert_eq!([(); 3].map(|()| until_look(true)), [1023, 0, 0]);
        assert_eq!([(); 3].map(|()| until_look(false)), [0, 1, 3]);
    }
}
