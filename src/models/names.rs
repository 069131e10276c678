//! Two callers that use one name.

use super::*;
use crate::HandleLock;

/// Spawns a thread that tries to acquire the lock by `name`, and returns whether it did.
fn claimer(lock: &Arc<HandleLock<u32>>, name: u32) -> JoinHandle<bool> {
    let lock = lock.clone();
    spawn(move || lock.try_acquire(Shared, name).is_ok())
}

/// Returns a lock with as many names as fill the first chunk of its registry.
fn full_chunk() -> Arc<HandleLock<u32>> {
    let lock = Arc::new(HandleLock::new());
    (0..8).for_each(|name| lock.try_acquire(Shared, name).unwrap());
    lock
}

#[test]
fn names_are_used_by_one_at_a_time() {
    model(|| {
        let lock = Arc::new(HandleLock::new());
        let thread = claimer(&lock, 7);
        let ours = lock.try_acquire(Shared, 7).is_ok();
        assert!(ours != thread.join().unwrap(), "one of two gets the name");
        assert_eq!(lock.holders(), [(7, Shared)]);
        assert_eq!(lock.release(&7), Some(Shared));
        assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
    });
}

/// One thread may find room in the first chunk, while the other is on its way to a second.
#[test]
fn names_are_used_by_one_at_a_time_in_all_chunks() {
    model(|| {
        let lock = full_chunk();
        let thread = claimer(&lock, 8);
        assert_eq!(lock.release(&0), Some(Shared));
        let ours = lock.try_acquire(Shared, 8).is_ok();
        assert!(ours != thread.join().unwrap(), "one of two gets the name");
        assert_eq!(lock.holders().len(), 8);
    });
}

/// A caller is refused for a name that is in use, not for another attempt that is refused.
#[test]
fn names_are_free_when_they_are_released() {
    model(|| {
        let lock = Arc::new(HandleLock::new());
        lock.try_acquire(Shared, 7).unwrap();
        let thread = claimer(&lock, 7);
        assert_eq!(lock.release(&7), Some(Shared));
        let ours = lock.try_acquire(Shared, 7).is_ok();
        assert!(ours != thread.join().unwrap(), "the name is free, and one of two gets it");
    });
}

#[test]
fn names_that_differ_do_not_conflict() {
    model(|| {
        let lock = Arc::new(HandleLock::new());
        let thread = claimer(&lock, 7);
        assert!(lock.try_acquire(Shared, 8).is_ok());
        assert!(thread.join().unwrap());
    });
}

#[test]
fn names_of_holders_are_never_beside_those_they_exclude() {
    model(|| {
        let lock = Arc::new(HandleLock::new());
        let use_guard = |lock: &HandleLock<u32>, name| {
            let guard = block_on(lock.context(Exclusive, name), None).unwrap().unwrap();
            assert_eq!(lock.holders(), [(name, Exclusive)]);
            drop(guard);
        };
        let thread = {
            let lock = lock.clone();
            spawn(move || use_guard(&lock, 1))
        };
        use_guard(&lock, 2);
        thread.join().unwrap();
        assert_eq!(lock.holders(), []);
    });
}

#[test]
fn names_of_holders_follow_a_downgrade() {
    model(|| {
        let lock = Arc::new(HandleLock::new());
        let mut guard = lock.try_context(Exclusive, 1).unwrap();
        let thread = {
            let lock = lock.clone();
            spawn(move || {
                let _guard = block_on(lock.context(Shared, 2), None).unwrap().unwrap();
                assert_eq!(lock.holders(), [(1, Shared), (2, Shared)]);
            })
        };
        guard.downgrade(Shared);
        join([thread]);
    });
}

/// The registry shows an upgradable holder beside a shared one, and never beside another upgradable
/// one.
#[test]
fn names_of_holders_follow_a_cancelled_upgrade() {
    model(|| {
        let lock = Arc::new(HandleLock::new());
        let mut guard = lock.try_context(Shared, 1).unwrap();
        let other = lock.try_context(Shared, 2).unwrap();
        let thread = {
            let lock = lock.clone();
            spawn(move || {
                if let Ok(_guard) = lock.try_context(Upgradable, 3) {
                    assert!(!lock.holders().contains(&(1, Upgradable)));
                }
            })
        };
        let mut upgrade = Box::pin(guard.upgrade());
        let poll = upgrade.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(upgrade);
        assert!(poll.is_pending() || poll == Poll::Ready(Err(UpgradeError::Conflict)));
        assert_eq!(guard.mode(), Shared);
        thread.join().unwrap();
        drop((guard, other));
    });
}
