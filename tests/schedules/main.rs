//! Random schedules in one thread: random steps on a lock, on a lock with data, on sets of locks, and on a lock
//! whose acquisitions have names, beside a model that predicts their outcome. And schedules with threads, where
//! only the data can show an error.
//!
//! A failure prints its seed and its steps. `MULTILOCK_SEED=<seed>` runs that sequence alone, and
//! `MULTILOCK_CASES=<number>` sets the number of sequences.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]

mod data;
#[path = "../support/flag.rs"]
mod flag;
mod lock;
mod names;
#[path = "../support/random.rs"]
mod random;
mod sets;
mod word;

use lock::Schedule;
use random::{Random, bytes, for_seeds};

#[test]
fn every_step_of_random_schedules_is_as_promised() {
    for_seeds(if cfg!(miri) { 20 } else { 50_000 }, |seed| Schedule::of_seed(seed).run());
}

/// The waiters are polled when they are woken, beside others that are polled for other reasons, too.
#[test]
fn q3_no_waiter_of_random_rivals_is_starved() {
    for_seeds(if cfg!(miri) { 1 } else { 3_000 }, |seed| Schedule::of_rivals(seed).run());
}

/// As a fuzzer supplies them.
#[test]
fn every_step_of_schedules_made_of_bytes_is_as_promised() {
    for_seeds(if cfg!(miri) { 3 } else { 8_000 }, |seed| {
        Schedule::of_bytes(&bytes(&mut Random(seed), 200)).run();
    });
}

#[test]
fn every_step_of_random_schedules_of_sets_is_as_promised() {
    for_seeds(if cfg!(miri) { 2 } else { 10_000 }, sets::run_seed);
}

#[test]
fn every_step_of_schedules_of_sets_made_of_bytes_is_as_promised() {
    for_seeds(if cfg!(miri) { 1 } else { 1_000 }, |seed| {
        sets::run_bytes(&bytes(&mut Random(seed), 300));
    });
}

#[test]
fn every_step_of_random_schedules_of_names_is_as_promised() {
    for_seeds(if cfg!(miri) { 3 } else { 8_000 }, names::run_seed);
}

#[test]
fn every_step_of_schedules_of_names_made_of_bytes_is_as_promised() {
    for_seeds(if cfg!(miri) { 1 } else { 3_000 }, |seed| {
        names::run_bytes(&bytes(&mut Random(seed), 250));
    });
}

#[test]
fn every_step_of_random_schedules_of_data_is_as_promised() {
    for_seeds(if cfg!(miri) { 3 } else { 10_000 }, data::run_seed);
}

#[test]
fn every_step_of_schedules_of_data_made_of_bytes_is_as_promised() {
    for_seeds(if cfg!(miri) { 1 } else { 3_000 }, |seed| {
        data::run_bytes(&bytes(&mut Random(seed), 250));
    });
}

/// The inputs that a fuzzer has kept, because each reaches code that no other reaches. The package does not
/// contain them.
#[test]
#[cfg(not(any(miri, target_family = "wasm")))]
fn every_step_of_schedules_that_a_fuzzer_has_kept_is_as_promised() {
    type Run = fn(&[u8]);
    let kinds: [(&str, Run); 4] = [
        ("schedules", |bytes| Schedule::of_bytes(bytes).run()),
        ("sets", sets::run_bytes),
        ("names", names::run_bytes),
        ("data", data::run_bytes),
    ];
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (kind, run) in kinds.into_iter().filter(|_| corpus.exists()) {
        for file in corpus.join(kind).read_dir().unwrap() {
            let file = file.unwrap().path();
            println!("{}", file.display());
            run(&std::fs::read(file).unwrap());
        }
    }
}

/// Threads. A shared holder finds both numbers equal, and an exclusive holder keeps them so.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod stress {
    use std::cell::UnsafeCell;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::{self, Thread};
    use std::time::{Duration, Instant};

    use Mode::{Exclusive, Shared};
    use multilock::{Guard, Mode, MultiLock};

    use crate::random::{Choices, Random};

    const THREADS: u64 = if cfg!(miri) { 3 } else { 4 };
    const TIME: Duration = Duration::from_secs(2);
    const ROUNDS: usize = 25;
    const HANG: Duration = Duration::from_secs(if cfg!(miri) { 600 } else { 30 });

    struct Data {
        lock: MultiLock,
        numbers: [UnsafeCell<u64>; 2],
    }

    // SAFETY: `read` and `add_one` take a guard that permits them.
    unsafe impl Sync for Data {}

    impl Data {
        fn read(&self, _: &Guard<'_>) -> u64 {
            // SAFETY: the guard excludes exclusive holders.
            let [one, other] = [0, 1].map(|i| unsafe { *self.numbers[i].get() });
            assert_eq!(one, other, "an exclusive holder is present, too");
            one
        }

        fn add_one(&self, guard: &Guard<'_>) {
            assert_eq!(guard.mode(), Exclusive);
            for number in &self.numbers {
                // SAFETY: the guard excludes all other holders.
                unsafe { *number.get() += 1 };
                std::hint::black_box(number);
            }
        }
    }

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Polls `future` until it is ready, or drops it after it has slept `patience` times.
    fn block_on<F: Future>(future: F, patience: usize) -> Option<F::Output> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = pin!(future);
        for slept in 0.. {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(output);
            }
            if slept == patience {
                break;
            }
            thread::park();
        }
        None
    }

    /// One acquisition, and random operations on its guard. Returns the number of writes.
    fn round(data: &Data, random: &mut Random) -> u64 {
        let (lock, mode) = (&data.lock, random.mode());
        let patience = [0, 1, 2, usize::MAX][random.below(4)];
        let way = random.below(6);
        // A dormant waiter in the queue. Not where this thread may sleep behind it: the very last release may
        // wake the dormant waiter, and only the next one would wake this thread.
        let may_sleep = way == 2 || way > 2 && patience > 0;
        let mut dormant = pin!(lock.acquire(random.mode()));
        if !may_sleep && random.one_in(2) {
            let _ = dormant.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        let guard = match way {
            0 => lock.try_acquire(mode),
            1 => {
                lock.acquire_blocking_timeout(mode, Duration::from_micros(random.below(100) as u64))
            }
            2 => Some(lock.acquire_blocking(mode)),
            3 => {
                block_on(lock.wait(mode), patience);
                lock.try_acquire(mode)
            }
            _ => block_on(lock.acquire(mode), patience),
        };
        let Some(mut guard) = guard else { return 0 };
        let before = data.read(&guard);
        if random.one_in(2) {
            let upgraded = match random.below(3) {
                0 => guard.try_upgrade() == Ok(()),
                _ => block_on(guard.upgrade(), patience) == Some(Ok(())),
            };
            assert_eq!(guard.mode(), if upgraded { Exclusive } else { mode });
            assert_eq!(
                data.read(&guard),
                before,
                "another writer entered before the upgrade was done"
            );
        }
        let writes = u64::from(guard.mode() == Exclusive);
        if guard.mode() == Exclusive {
            data.add_one(&guard);
        }
        if random.one_in(3) {
            guard.downgrade(random.mode().min(guard.mode()));
        }
        let more = guard.share();
        if random.one_in(3) {
            thread::yield_now();
        }
        if random.one_in(3) {
            guard = lock.adopt(guard.into_handle()).unwrap();
        }
        assert_eq!(data.read(&guard), before + writes);
        drop(guard);
        more.iter().for_each(|more| assert_eq!(data.read(more), before + writes));
        writes
    }

    /// A few threads for a few rounds. Returns the number of writes.
    fn run(data: &Arc<Data>, seed: u64) -> u64 {
        let (running, ended) = channel::<()>();
        let worker = |thread| {
            let (data, running) = (data.clone(), running.clone());
            thread::spawn(move || {
                let mut random = Random(seed * THREADS + thread);
                let writes = (0..ROUNDS).map(|_| round(&data, &mut random)).sum::<u64>();
                drop(running);
                writes
            })
        };
        let threads: Vec<_> = (0..THREADS).map(worker).collect();
        drop(running);
        let end = ended.recv_timeout(HANG);
        assert_eq!(end, Err(RecvTimeoutError::Disconnected), "the threads hang: {:?}", data.lock);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    }

    /// Many short runs: as long as a thread releases the lock, it wakes waiters that another release has
    /// missed.
    #[test]
    fn threads_leave_the_lock_as_it_was() {
        let numbers = [UnsafeCell::new(0), UnsafeCell::new(0)];
        let data = Arc::new(Data { lock: MultiLock::new(), numbers });
        let start = Instant::now();
        let mut writes = 0;
        for seed in 0.. {
            writes += run(&data, seed);
            assert_eq!(data.lock.snapshot(), MultiLock::new().snapshot());
            assert_eq!(data.read(&data.lock.try_acquire(Shared).unwrap()), writes);
            if cfg!(miri) || start.elapsed() > TIME {
                break;
            }
        }
    }
}
