//! Guards that own the lock, and static locks.

use super::*;

#[test]
fn arc_forms_acquire_and_keep_the_lock_alive() {
    for mode in Mode::ALL {
        let lock = Arc::new(lock());
        let deadline = Instant::now() + LONG;
        type Form = fn(&Arc<MultiLock>, Mode, Instant) -> GuardArc;
        let forms: &[Form] = &[
            |lock, mode, _| lock.try_acquire_arc(mode).unwrap(),
            |lock, mode, _| now(lock.acquire_arc(mode)),
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            |lock, mode, _| lock.acquire_blocking_arc(mode),
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            |lock, mode, _| lock.acquire_blocking_timeout_arc(mode, LONG).unwrap(),
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            |lock, mode, deadline| lock.acquire_blocking_deadline_arc(mode, deadline).unwrap(),
            |lock, mode, _| now(lock.acquire_or_arc(mode, pending::<()>())).unwrap(),
        ];
        for acquire in forms {
            let guard = acquire(&lock, mode, deadline);
            assert_eq!((guard.mode(), lock.locked()), (mode, Some(mode)));
            assert_eq!(Arc::strong_count(&lock), 2);
            drop(guard);
            assert_eq!(Arc::strong_count(&lock), 1);
            assert_idle(&lock);
        }
        let guard = lock.try_acquire_arc(mode).unwrap();
        drop(lock);
        assert_eq!(guard.lock().locked(), Some(mode));
    }
}

#[test]
fn arc_forms_fail_and_wait_as_the_others_do() {
    let lock = Arc::new(lock());
    let guard = lock.try_acquire_arc(Exclusive).unwrap();
    assert!(lock.try_acquire_arc(Shared).is_none());
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    assert!(lock.acquire_blocking_timeout_arc(Shared, Duration::from_millis(1)).is_none());
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    assert!(lock.acquire_blocking_deadline_arc(Shared, Instant::now()).is_none());
    let mut task = Task::queued(lock.acquire_arc(Shared));
    let dropped = Task::queued(lock.acquire_arc(Exclusive));
    drop(guard);
    drop(dropped);
    let mut guard = task.run().expect("woken");
    assert_eq!(Arc::strong_count(&lock), 2);
    let more = guard.share().unwrap();
    assert_eq!((Arc::strong_count(&lock), lock.snapshot().shared_holders()), (3, 2));
    let mut upgrade = Task::queued(guard.upgrade());
    drop(more);
    upgrade.run().expect("woken").unwrap();
    drop(upgrade);
    guard.downgrade(Upgradable);
    guard.try_upgrade().unwrap();
    drop(guard);
    assert_eq!(Arc::strong_count(&lock), 1);
    assert_idle(&lock);
}

#[test]
#[cfg(not(target_family = "wasm"))]
fn arc_guards_and_futures_are_static_and_may_be_sent() {
    fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
        thread::spawn(|| now(future)).join().unwrap()
    }
    let lock = Arc::new(lock());
    let guard: GuardArc = spawn(lock.acquire_arc(Shared));
    let mut other: GuardArc = spawn(lock.acquire_or_arc(Shared, ready(()))).unwrap();
    drop(guard);
    let guard = spawn(async move {
        other.upgrade().await.unwrap();
        other
    });
    assert_eq!(guard.mode(), Exclusive);
    drop(guard);
    assert_idle(&lock);
}

#[test]
fn a_static_lock_needs_no_initialization() {
    static LOCK: MultiLock = MultiLock::new();
    static GUARD: Mutex<Option<Guard<'static>>> = Mutex::new(None);
    *GUARD.lock().unwrap() = Some(hold(&LOCK, Exclusive));
    let release = || drop(GUARD.lock().unwrap().take());
    if cfg!(target_family = "wasm") {
        release();
    } else {
        thread::spawn(release).join().unwrap();
    }
    assert_idle(&LOCK);
    assert_idle(&MultiLock::default());
}

#[test]
fn debug_shows_the_word_and_never_blocks() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let _waiter = Task::queued(lock.acquire(Shared));
    let word = "mode: Some(Exclusive), shared_holders: 0, upgrading: false, shared_wait: true, \
                upgradable_wait: false, exclusive_wait: false, overtaken: false, monitored: false";
    let shown = format!("{lock:?} {guard:?}");
    for part in [word, "Guard { mode: Exclusive"] {
        assert!(shown.contains(part), "{shown}");
    }
}
