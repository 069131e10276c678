//! Numbers without a pattern, the same in every run.

#![allow(dead_code, reason = "each suite uses a part")]

use std::env;
use std::thread;

use multilock::Mode;

/// Runs `run` with as many seeds as usual, or as `MULTILOCK_CASES` says, or with the one that is
/// `MULTILOCK_SEED`. A failure prints its seed.
pub(crate) fn for_seeds(usual: u64, run: impl Fn(u64)) {
    struct Seed(u64);
    impl Drop for Seed {
        fn drop(&mut self) {
            if thread::panicking() {
                eprintln!("MULTILOCK_SEED={}", self.0);
            }
        }
    }
    let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().expect(name));
    let seeds = match number("MULTILOCK_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MULTILOCK_CASES").unwrap_or(usual),
    };
    for seed in seeds {
        let seed = Seed(seed);
        run(seed.0);
    }
}

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
