//! Exclusion (`e`).

use super::*;

#[test]
fn e1_modes_exclude_each_other_as_the_table_says() {
    let together = [(Shared, Shared), (Shared, Upgradable), (Upgradable, Shared)];
    for held in Mode::ALL {
        for wanted in Mode::ALL {
            let lock = lock();
            let _guard = hold(&lock, held);
            let expected = together.contains(&(held, wanted));
            assert_eq!(lock.try_acquire(wanted).is_some(), expected, "{held:?}, {wanted:?}");
            assert_eq!(poll_once(lock.acquire(wanted)).is_ready(), expected);
            assert_eq!(!wanted.excludes(held), expected);
        }
    }
}

#[test]
fn e1_exclusive_waits_for_every_shared_holder() {
    let lock = lock();
    let mut holders: Vec<_> = (0..5).map(|_| hold(&lock, Shared)).collect();
    holders.push(hold(&lock, Upgradable));
    let mut exclusive = Task::queued(lock.acquire(Exclusive));
    while holders.pop().is_some() {
        assert_eq!(exclusive.woken(), holders.is_empty());
        if !holders.is_empty() {
            exclusive.waits();
        }
    }
    drop(exclusive.finish());
}

#[test]
fn e1_all_modes_wait_for_an_exclusive_holder() {
    for mode in Mode::ALL {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let mut task = Task::queued(lock.acquire(mode));
        task.waits();
        drop(guard);
        assert_eq!(task.finish().mode(), mode);
    }
}

/// Data behind a lock, with a count of the current holders.
#[derive(Default)]
struct Data {
    lock: MultiLock,
    holders: AtomicUsize,
    numbers: UnsafeCell<[u64; 2]>,
}

// SAFETY: only holders of the lock touch `numbers`, and only an exclusive holder changes it.
unsafe impl Sync for Data {}

impl Data {
    fn read(&self) {
        // SAFETY: the caller holds the lock.
        let [a, b] = unsafe { *self.numbers.get() };
        assert_eq!(a, b, "a change is half visible");
    }

    fn write(&self) {
        assert_eq!(self.holders.fetch_add(1, SeqCst), 0, "another holder is present");
        // SAFETY: the caller holds the lock exclusively.
        unsafe { (*self.numbers.get())[0] += 1 };
        thread::yield_now();
        // SAFETY: as above.
        unsafe { (*self.numbers.get())[1] += 1 };
        self.holders.fetch_sub(1, SeqCst);
    }
}

/// Without E2, Miri sees a data race. Without E1, the counts are wrong everywhere.
#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn e1_e2_threads_see_what_exclusive_holders_wrote() {
    const ROUNDS: u64 = if cfg!(miri) { 8 } else { 2000 };
    let data = Data::default();
    thread::scope(|scope| {
        for number in 0..4 {
            let data = &data;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    match (round + number) % 4 {
                        0 => {
                            let _guard = data.lock.acquire_blocking(Shared);
                            data.read();
                        }
                        1 => {
                            let _guard = data.lock.acquire_blocking(Exclusive);
                            data.write();
                        }
                        2 => {
                            let mut guard = data.lock.acquire_blocking(Upgradable);
                            data.read();
                            if guard.try_upgrade().is_ok() {
                                data.write();
                                guard.downgrade(Shared);
                                data.read();
                            }
                        }
                        _ => {
                            let mut guard =
                                data.lock.acquire_blocking_timeout(Exclusive, LONG).unwrap();
                            data.write();
                            guard.downgrade(Upgradable);
                            data.read();
                        }
                    }
                }
            });
        }
    });
    assert!(data.numbers.into_inner()[0] >= 2 * ROUNDS);
    assert_idle(&data.lock);
}
