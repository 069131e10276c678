//! Pseudorandom numbers, the same in every run.

#![allow(dead_code, reason = "each suite uses a part")]

use std::env;
use std::thread;

use multilock::Mode;

/// Runs `run` with the usual number of seeds, with as many as `MULTILOCK_CASES` says, or with the one seed
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

/// The source of a schedule's choices.
pub(crate) trait Choices {
    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize;

    /// Whether the source is exhausted.
    fn are_over(&self) -> bool;

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn mode(&mut self) -> Mode {
        Mode::ALL[self.below(3)]
    }

    /// One of the indices of `weights`, with a probability in proportion to its weight. `None` if all
    /// weights are zero.
    fn weighted(&mut self, weights: &[usize]) -> Option<usize> {
        let mut ball = self.below(weights.iter().sum::<usize>().max(1));
        weights.iter().position(|weight| match ball.checked_sub(*weight) {
            None => true,
            Some(left) => {
                ball = left;
                false
            }
        })
    }

    /// `weights`, some of them zero and some increased: rare steps happen when others do not.
    fn without_some<const N: usize>(&mut self, weights: [usize; N]) -> [usize; N] {
        weights.map(|weight| weight * [0, 1, 1, 3][self.below(4)])
    }

    fn pick<T>(&mut self, from: impl Iterator<Item = T> + Clone) -> Option<T> {
        let len = from.clone().count();
        if len == 0 { None } else { from.clone().nth(self.below(len)) }
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
}

impl Choices for Random {
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn are_over(&self) -> bool {
        false
    }
}

/// One byte for each choice, so a fuzzer that changes a byte changes one choice. When the bytes are used
/// up, each choice is the first.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Choices for Bytes<'_> {
    fn below(&mut self, limit: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % limit
    }

    fn are_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// A random number of bytes, up to `most`.
pub(crate) fn bytes(random: &mut Random, most: usize) -> Vec<u8> {
    (0..random.below(most)).map(|_| random.next() as u8).collect()
}
