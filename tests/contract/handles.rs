//! Handles.

use super::*;

#[test]
fn handles_have_names_that_are_their_own() {
    let locks = [(); 3].map(|()| lock());
    let mut handles: Vec<_> =
        locks.iter().flat_map(|lock| [(); 4].map(|()| hold(lock, Shared).into_handle())).collect();
    let ids: HashSet<HandleId> = handles.iter().map(Handle::id).collect();
    let names: HashSet<String> = handles.iter().map(|handle| handle.id().to_string()).collect();
    assert_eq!((ids.len(), names.len()), (12, 12));

    handles.sort();
    assert!(handles.is_sorted_by_key(Handle::id));
    assert!(handles.windows(2).all(|pair| pair[0] < pair[1] && pair[0] != pair[1]));
    assert!(handles.iter().all(|handle| handle.eq(handle)));
    let hash = |handle| BuildHasherDefault::<DefaultHasher>::default().hash_one(handle);
    assert_eq!(handles.iter().map(hash).collect::<HashSet<u64>>().len(), 12);
    assert!(format!("{:?}", handles[0]).contains("Shared"));
    let handles: HashSet<Handle> = handles.into_iter().collect();
    assert_eq!(handles.len(), 12);
    for handle in handles {
        let mut left = Some(handle);
        for lock in &locks {
            let Some(handle) = left.take() else { break };
            left = lock.release(handle).err().map(ReleaseError::into_handle);
        }
        assert!(left.is_none(), "not of any lock");
    }
    locks.iter().for_each(assert_idle);
}

#[test]
fn handles_become_guards_again() {
    for mode in Mode::ALL {
        let lock = Arc::new(lock());
        let handle = hold(&lock, mode).into_handle();
        assert_eq!((handle.mode(), lock.locked()), (mode, Some(mode)));
        let guard = lock.adopt(handle).unwrap();
        assert!(ptr::eq(guard.lock(), &*lock));
        let guard = lock.adopt_arc(guard.into_handle()).unwrap();
        assert_eq!((guard.mode(), lock.locked()), (mode, Some(mode)));
        drop(guard);
        assert_idle(&lock);
    }
}

#[test]
#[cfg(not(target_family = "wasm"))]
fn handles_may_be_released_from_another_thread() {
    for mode in Mode::ALL {
        let lock = lock();
        let handle = hold(&lock, mode).into_handle();
        let mut waiter = Task::queued(lock.acquire(Exclusive));
        thread::scope(|scope| drop(scope.spawn(|| lock.release(handle).unwrap())));
        drop(waiter.run().expect("woken"));
    }
}

#[test]
fn handles_keep_no_lock_alive() {
    let lock = Arc::new(lock());
    let handle = lock.try_acquire_arc(Exclusive).unwrap().into_handle();
    assert_eq!(Arc::strong_count(&lock), 1);
    let guard = lock.adopt_arc(handle).unwrap();
    assert_eq!(Arc::strong_count(&lock), 2);
    lock.release(guard.into_handle()).unwrap();
    assert_eq!(Arc::strong_count(&lock), 1);
    assert_idle(&lock);
}
