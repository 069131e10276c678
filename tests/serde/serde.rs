//! `Serialize` and `Deserialize` of a lock with data, and `Serialize` of its guards.

#![cfg(not(any(loom, shuttle, miri, target_family = "wasm")))]

use std::sync::Arc;

use multilock::{
    RwLock, RwLockReadGuardArc, RwLockUpgradableReadGuard, RwLockWriteGuard, RwLockWriteGuardArc,
};

#[test]
fn serde_writes_and_reads_the_data() {
    fn json(value: &impl serde::Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }
    let lock: Arc<RwLock<Vec<u32>>> = Arc::new(serde_json::from_str("[1,2]").unwrap());
    assert_eq!(json(&*lock), "[1,2]");
    assert!(serde_json::from_str::<RwLock<Vec<u32>>>("{").is_err());
    assert_eq!(json(&lock.try_read()), "[1,2]");
    let reads = lock.try_read_arc().unwrap();
    assert_eq!(json(&RwLockReadGuardArc::map(reads, |data| &data[1..])), "[2]");
    assert_eq!(json(&lock.try_upgradable_read_arc()), "[1,2]");
    let mut guard = lock.try_upgradable_read().unwrap();
    assert_eq!(json(&guard), "[1,2]");
    assert_eq!(json(&RwLockUpgradableReadGuard::try_upgrade_in_place(&mut guard)), "[1,2]");
    drop(guard);
    let writes = lock.try_write_arc().unwrap();
    assert_eq!(json(&RwLockWriteGuardArc::map(writes, |data| &mut data[0])), "1");
    assert_eq!(json(&lock.try_write_arc()), "[1,2]");
    let guard = lock.try_write().unwrap();
    assert_eq!(json(&guard), "[1,2]");
    let error = serde_json::to_string(&*lock).unwrap_err();
    assert_eq!(error.to_string(), "the lock cannot be read without waiting");
    assert_eq!(json(&RwLockWriteGuard::map(guard, |data| &mut data[0])), "1");
    assert_eq!(lock.raw().locked(), None);
    assert_eq!(Arc::strong_count(&lock), 1);
}
