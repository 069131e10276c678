//! Adaptive spinning: a waiter spins before it queues only where that has recently paid off.

use crate::sync::unmodelled;

/// Decides when a waiter spins before it waits (adaptive spinning).
///
/// Spinning mostly pays off where holders run on other cores and are soon done. It never pays off
/// where holders sleep with the lock held, or wait for this core. The lock finds that out by
/// trying, and tries less and less often as spinning fails.
///
/// This is a guess and no more: an update is lost if another thread overwrites it.
#[derive(Default)]
pub(crate) struct AdaptiveSpin {
    /// How many waiters still skip the spin.
    left: unmodelled::AtomicUsize,
    /// How many waiters were to skip it, the last time.
    pause: unmodelled::AtomicUsize,
}

impl AdaptiveSpin {
    /// The most waiters that skip the spin between two that do not.
    const LONGEST: usize = 1023;

    /// Runs `look` if spinning is worthwhile. Returns whether `look` saw what it was looking for.
    pub(crate) fn try_out(&self, look: impl FnOnce() -> bool) -> bool {
        use unmodelled::Ordering::Relaxed;

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
        let spin = AdaptiveSpin::default();
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
