//! For the author of a library: a cache that depends on no executor, so it is the same on tokio, smol and async-std.
//!
//! It loads each value once, however many tasks ask for it at the same time. There is a program for each executor:
//!
//! ```text
//! cargo run --example tokio
//! cargo run --example smol
//! cargo run --example async_std
//! ```
//!
//! It shows these uses of the lock:
//! * a read guard, for all tasks that find a value in the cache;
//! * an upgradable read guard, for the one task that loads a value, beside readers of the old value; and the upgrade
//!   to store the new one. These guards are held across an await;
//! * a future that may be dropped at any point: if the loading task is dropped, another one loads the value.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use multilock::{RwLock, RwLockUpgradableReadGuard};

/// Values by their keys, which are loaded on demand.
///
/// Values are cloned: put large ones in an [`Arc`]. The number of keys is not limited, but keys that no task has
/// asked for between two calls of [`expire`](Self::expire) are removed.
pub struct Cache<K, V> {
    /// Locked only for a moment, to find a slot.
    slots: RwLock<Slots<K, V>>,
    hits: AtomicU64,
    loads: AtomicU64,
    failures: AtomicU64,
}

struct Slots<K, V> {
    /// How often all values have expired.
    generation: u64,
    by_key: HashMap<K, Arc<Slot<V>>>,
}

/// Each slot has its own lock, so the load of one value does not block the others.
type Slot<V> = RwLock<Option<Entry<V>>>;

struct Entry<V> {
    generation: u64,
    value: V,
}

/// The contents of a cache, and what it has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The number of keys with a slot, including those whose values have expired or are being loaded.
    pub keys: usize,
    /// How often a value was in the cache.
    pub hits: u64,
    /// The number of values that were loaded.
    pub loads: u64,
    /// The number of loads that failed.
    pub failures: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// Creates an empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: RwLock::new(Slots { generation: 0, by_key: HashMap::new() }),
            hits: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// Returns the value of `key`. If there is none, polls `load`, which returns it. If several tasks ask for it at
    /// the same time, one of them loads it, and the others wait.
    ///
    /// # Errors
    ///
    /// If `load` fails. Nothing is stored then: the next task that asks for the value, or waits for it, loads it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, so is `load`, and one of the waiting tasks loads the value.
    ///
    /// # Deadlocks
    ///
    /// If `load` asks for the same value.
    pub async fn get_or_load<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let (generation, slot) = self.slot(key).await;

        // A hit: many tasks read at a time.
        if let Some(value) = fresh(&*slot.read().await, generation) {
            return Ok(self.hit(value));
        }

        // A miss: one task at a time is upgradable. The previous one may have loaded the value.
        let entry = slot.upgradable_read().await;
        if let Some(value) = fresh(&entry, generation) {
            return Ok(self.hit(value));
        }
        // The old value can be read meanwhile. Nothing is changed before the new one is there, so there is nothing to
        // undo, whatever becomes of `load`.
        let value = load.await.inspect_err(|_| count(&self.failures))?;
        count(&self.loads);
        // Waits for the readers.
        let mut entry = RwLockUpgradableReadGuard::upgrade(entry).await;
        *entry = Some(Entry { generation, value: value.clone() });
        Ok(value)
    }

    /// Returns the value of `key` if there is one, even if it has expired. Does not wait for loads.
    pub async fn get_stale(&self, key: &K) -> Option<V> {
        let slot = self.slots.read().await.by_key.get(key)?.clone();
        slot.read().await.as_ref().map(|entry| entry.value.clone())
    }

    /// Expires all values: from now on no caller gets a value that is in the cache, or that is being loaded, at this
    /// moment. Does not wait for loads.
    pub async fn expire(&self) {
        let mut slots = self.slots.write().await;
        let ended = slots.generation;
        slots.generation += 1;
        // A value that was not loaded in the generation that ends was not asked for in it. If a task still uses that
        // slot, the slot stays alive until the task is done.
        slots
            .by_key
            .retain(|_, slot| slot.try_read().is_none_or(|entry| fresh(&entry, ended).is_some()));
    }

    /// Returns the contents of the cache, and what it has done.
    pub async fn stats(&self) -> Stats {
        Stats {
            keys: self.slots.read().await.by_key.len(),
            hits: self.hits.load(Relaxed),
            loads: self.loads.load(Relaxed),
            failures: self.failures.load(Relaxed),
        }
    }

    /// The slot of `key`, and the generation that its value must have.
    async fn slot(&self, key: &K) -> (u64, Arc<Slot<V>>) {
        let slots = self.slots.read().await;
        if let Some(slot) = slots.by_key.get(key) {
            return (slots.generation, slot.clone());
        }
        // Otherwise the task would wait for itself.
        drop(slots);
        let mut slots = self.slots.write().await;
        let slot = slots.by_key.entry(key.clone()).or_default().clone();
        (slots.generation, slot)
    }

    fn hit(&self, value: V) -> V {
        count(&self.hits);
        value
    }
}

/// The value, unless it has expired.
fn fresh<V: Clone>(entry: &Option<Entry<V>>, generation: u64) -> Option<V> {
    entry.as_ref().filter(|entry| entry.generation >= generation).map(|entry| entry.value.clone())
}

/// Adds one to a number that orders nothing.
fn count(number: &AtomicU64) {
    number.fetch_add(1, Relaxed);
}

impl<K: Clone + Eq + Hash, V: Clone> Default for Cache<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows the state of the lock around the keys, and no values.
impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("slots", &self.slots).finish_non_exhaustive()
    }
}
