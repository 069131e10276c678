//! A cache for async programs that loads each value once, however many ask for it at the same time.
//!
//! It is an example of how to write a library with the locks of `multilock`: it depends on no executor, so
//! it is the same on tokio, smol and async-std. There is a program for each:
//!
//! ```text
//! cargo run --example tokio
//! cargo run --example smol
//! cargo run --example async_std
//! ```
//!
//! Of the lock it shows:
//! * a read, by all who want a value that is there;
//! * an upgradable read, by the one who loads a value, with those who read the old one beside it; and the upgrade
//!   to store it. Guards are held across an await;
//! * that a future may be dropped at any point: when whoever loads is gone, another one does.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use multilock::{RwLock, RwLockUpgradableReadGuard};

/// Values by their keys, which are loaded when somebody wants them.
///
/// Values are cloned: large ones belong in an [`Arc`]. There is no limit to the number of keys, but those that nobody
/// has wanted between two calls of [`expire`](Self::expire) go.
pub struct Cache<K, V> {
    /// Held for a moment only, to find a slot.
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

/// Each slot has its own lock, so that to load one value keeps nobody from another one.
type Slot<V> = RwLock<Option<Entry<V>>>;

struct Entry<V> {
    generation: u64,
    value: V,
}

/// What a cache has, and what it has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// How many keys have a place, also of values that have expired or are loaded just now.
    pub keys: usize,
    /// How often there was a value for who wanted it.
    pub hits: u64,
    /// How many values were loaded.
    pub loads: u64,
    /// How many could not be loaded.
    pub failures: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// A cache with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: RwLock::new(Slots { generation: 0, by_key: HashMap::new() }),
            hits: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// The value of `key`. If there is none, `load` is polled, and gives it. Of several who want it at the same time
    /// one loads it, and the others wait for that one.
    ///
    /// # Errors
    ///
    /// If `load` fails. Nothing is stored then: the next one who wants the value, or waits for it, loads it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, so is `load`, and one of those who wait for the value loads it.
    ///
    /// # Deadlocks
    ///
    /// If `load` wants the same value.
    pub async fn get_or_load<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let (generation, slot) = self.slot(key).await;

        // A hit: many read at a time.
        if let Some(value) = fresh(&*slot.read().await, generation) {
            return Ok(self.hit(value));
        }

        // A miss: one at a time is upgradable. The one before may have loaded it.
        let entry = slot.upgradable_read().await;
        if let Some(value) = fresh(&entry, generation) {
            return Ok(self.hit(value));
        }
        // The old value can be read meanwhile. Nothing is changed before the new one is there, so there is nothing
        // to undo, whatever becomes of `load`.
        let value = load.await.inspect_err(|_| count(&self.failures))?;
        count(&self.loads);
        // Waits for those who read.
        let mut entry = RwLockUpgradableReadGuard::upgrade(entry).await;
        *entry = Some(Entry { generation, value: value.clone() });
        Ok(value)
    }

    /// The value of `key`, be it an old one, if there is one. It waits for nobody who loads.
    pub async fn get_stale(&self, key: &K) -> Option<V> {
        let slot = self.slots.read().await.by_key.get(key)?.clone();
        slot.read().await.as_ref().map(|entry| entry.value.clone())
    }

    /// Who comes from now on gets no value that is there now, nor one that is being loaded now. It waits for nobody
    /// who loads.
    pub async fn expire(&self) {
        let mut slots = self.slots.write().await;
        let ended = slots.generation;
        slots.generation += 1;
        // A value that was not loaded in the generation that ends was not wanted in it. If somebody is in that
        // slot all the same, the slot is there until that one has left.
        slots
            .by_key
            .retain(|_, slot| slot.try_read().is_none_or(|entry| fresh(&entry, ended).is_some()));
    }

    /// What the cache has, and what it has done.
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
        // Else the task would wait for itself.
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

/// A number that orders nothing.
fn count(number: &AtomicU64) {
    number.fetch_add(1, Relaxed);
}

impl<K: Clone + Eq + Hash, V: Clone> Default for Cache<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows who holds the lock of the keys, and no values.
impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("slots", &self.slots).finish_non_exhaustive()
    }
}
