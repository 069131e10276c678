//! Numbers without a pattern, the same in every run.

#![allow(dead_code, reason = "each suite uses a part")]

use multilock::Mode;

/// `splitmix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn mode(&mut self) -> Mode {
        Mode::ALL[self.below(3)]
    }

    pub(crate) fn pick<T>(&mut self, from: impl Iterator<Item = T> + Clone) -> Option<T> {
        let len = from.clone().count();
        if len == 0 { None } else { from.clone().nth(self.below(len)) }
    }
}
