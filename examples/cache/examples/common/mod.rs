//! What the three programs share, which is everything except the executor.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use cache_example::Cache;

pub const CLIENTS: usize = 20;
pub const ROUNDS: usize = 2;
const KEYS: usize = 5;

/// A cache of values from a slow source, which counts its loads.
#[derive(Default)]
pub struct Demo {
    cache: Cache<usize, String>,
    asked: [AtomicUsize; KEYS],
}

impl Demo {
    /// Asks for all values, beginning with another one than its neighbors. `sleep` is that of the
    /// executor.
    pub async fn client<S: Future>(&self, number: usize, sleep: impl Fn(Duration) -> S) {
        for key in (0..KEYS).map(|n| (number + n) % KEYS) {
            let load = async {
                let round = self.asked[key].fetch_add(1, Relaxed) + 1;
                println!("client {number:>2} loads value {key}");
                sleep(Duration::from_millis(50)).await;
                Ok::<_, Infallible>(format!("value {key} of round {round}"))
            };
            let Ok(value) = self.cache.get_or_load(&key, load).await;
            assert!(value.starts_with(&format!("value {key} ")), "{value:?} is not that of {key}");
        }
    }

    /// Called when all clients are done. Each value was loaded once in each round.
    pub async fn end_of_round(&self, round: usize) {
        for (key, asked) in self.asked.iter().enumerate() {
            assert_eq!(asked.load(Relaxed), round, "how often value {key} was loaded");
        }
        let stats = self.cache.stats().await;
        assert_eq!(stats.loads as usize, round * KEYS);
        assert_eq!((stats.hits + stats.loads) as usize, round * CLIENTS * KEYS);
        println!("round {round}: each of {KEYS} values was loaded once; {stats:?}");
        self.cache.expire().await;
    }
}
