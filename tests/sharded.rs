//! The lock whose readers hold one of several shards, with futures that are polled by hand.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]
#![cfg_attr(
    any(not(feature = "std"), target_family = "wasm"),
    allow(unused_imports, reason = "no threads that block")
)]

mod support;

use std::future::{pending, ready};
use std::mem::{align_of, size_of};
use std::thread;
use std::time::Duration;

use multilock::{RwLockReadGuard, ShardedRwLock, ShardedRwLockWriteGuard};
use support::{Counting, Task, allocations, now, without_allocation};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Lock = ShardedRwLock<u32, 3>;

/// Checks that the lock has no holder and no waiter, and that readers enter the shards.
#[track_caller]
fn assert_unused(lock: &Lock) {
    assert_eq!(format!("{lock:?}"), format!("{:?}", Lock::default()));
}

/// Reads in a thread of its own: at another shard than the last such thread, if no test ran beside.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn reads(lock: &Lock) -> RwLockReadGuard<'_, u32> {
    thread::scope(|scope| scope.spawn(|| lock.try_read().unwrap()).join().unwrap())
}
#[cfg(not(all(feature = "std", not(target_family = "wasm"))))]
fn reads(lock: &Lock) -> RwLockReadGuard<'_, u32> {
    lock.try_read().unwrap()
}

/// A writer that waits for a reader at a shard, and then for one that came later.
struct Queued<'a, F> {
    writer: Task<F>,
    later: RwLockReadGuard<'a, u32>,
}

fn queued_at_the_inner_lock(
    lock: &Lock,
) -> Queued<'_, impl Future<Output = ShardedRwLockWriteGuard<'_, u32>>> {
    let reader = reads(lock);
    let mut writer = Task::queued(lock.write());
    let later = lock.try_read().unwrap();
    drop(reader);
    assert!(writer.run().is_none());
    Queued { writer, later }
}

#[test]
fn e1_many_readers_or_one_writer() {
    let lock = Lock::default();
    let readers = [(); 5].map(|()| reads(&lock));
    assert!(lock.try_write().is_none());
    let mut writer = Task::queued(lock.write());
    drop(readers);
    let mut guard = writer.run().expect("the writer was woken");
    *guard += 1;
    assert!(lock.try_read().is_none() && lock.try_write().is_none());
    let mut waiting = [(); 3].map(|()| Task::queued(lock.read()));
    let mut second = Task::queued(lock.write());
    drop(guard);
    let read = waiting.each_mut().map(|reader| reader.run().expect("the reader was woken"));
    assert!(read.iter().all(|number| **number == 1));
    drop(read);
    *second.run().expect("the writer was woken") += 1;
    assert_unused(&lock);
    assert_eq!(*lock.try_read().unwrap(), 2);
}

/// Readers and writers in threads: a reader finds both numbers equal.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn e2_readers_see_what_was_written() {
    let turns = if cfg!(miri) { 20 } else { 20_000 };
    let lock: ShardedRwLock<_, 2> = ShardedRwLock::with_shards([0_u32; 2]);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..turns {
                    let [first, second] = *lock.read_blocking();
                    assert_eq!(first, second);
                }
            });
        }
        for _ in 0..turns / 10 {
            let mut guard = lock.write_blocking();
            guard[0] += 1;
            guard[1] += 1;
        }
    });
    assert_eq!(lock.into_inner(), [turns / 10; 2]);
}

/// Of the readers at the shards, a writer waits only for those that were there before it. Then it
/// waits at the inner lock, where it blocks newcomers.
#[test]
fn q1_a_writer_waits_for_readers_that_were_there_and_blocks_newcomers() {
    let lock = Lock::default();
    let Queued { mut writer, later } = queued_at_the_inner_lock(&lock);
    assert!(lock.try_read().is_none());
    let mut reader = Task::queued(lock.read());
    drop(later);
    let guard = writer.run().expect("the writer was woken");
    reader.waits();
    drop(guard);
    assert!(reader.run().is_some());
}

/// At each moment, six readers hold the lock: one comes before the oldest leaves.
#[test]
fn q3_a_writer_among_readers_that_overlap_enters_within_two_rounds() {
    const ROUND: usize = 6;
    let lock = Lock::default();
    let mut readers: std::collections::VecDeque<_> = (0..ROUND).map(|_| reads(&lock)).collect();
    let mut writer = Task::queued(lock.write());
    let enters = (0..10 * ROUND).find(|_| {
        readers.extend(lock.try_read());
        readers.pop_front();
        writer.run().is_some()
    });
    assert!(enters.is_some_and(|turn| turn <= 2 * ROUND), "{enters:?}");
}

/// The writer waits for the readers of one shard after those of another.
#[test]
fn p3_a_writer_is_polled_once_for_each_shard() {
    let lock = Lock::default();
    let readers = [(); 20].map(|()| reads(&lock));
    let mut writer = Task::queued(lock.write());
    let enters = readers.into_iter().map(|reader| {
        drop(reader);
        writer.run().is_some()
    });
    assert_eq!(enters.filter(|enters| *enters).count(), 1);
    assert!(writer.polls() <= 4, "{} polls", writer.polls());
}

/// A writer that was woken is not polled. Other readers and writers come, in the same task, too.
#[test]
fn p1_a_writer_that_is_not_polled_blocks_no_other() {
    fn others_enter(lock: &Lock) {
        for _ in 0..5 {
            let mut reader = Task::new(lock.read());
            assert!((0..2).any(|_| reader.poll().is_ready()));
            let mut writer = Task::new(lock.write());
            assert!((0..2).any(|_| writer.poll().is_ready()));
            assert!(lock.try_read().is_some() && lock.try_write().is_some());
        }
    }
    let lock = Lock::default();
    let reader = reads(&lock);
    let dormant = Task::queued(lock.write());
    drop(reader);
    assert!(dormant.woken());
    others_enter(&lock);
    drop(dormant);

    let Queued { writer: dormant, later } = queued_at_the_inner_lock(&lock);
    drop(later);
    assert!(dormant.woken());
    others_enter(&lock);
    drop(dormant);
    assert_unused(&lock);
}

#[test]
fn c4_a_writer_may_be_dropped_at_any_point() {
    let lock = Lock::default();
    drop(Task::new(lock.write()));
    assert_unused(&lock);
    for woken in [false, true] {
        let reader = reads(&lock);
        let writer = Task::queued(lock.write());
        let kept = (!woken).then_some(reader);
        assert_eq!(writer.woken(), woken);
        drop(writer);
        drop(kept);
        assert_unused(&lock);

        let Queued { writer, later } = queued_at_the_inner_lock(&lock);
        let mut reader = Task::queued(lock.read());
        let kept = (!woken).then_some(later);
        drop(writer);
        // C1: the reader waited only because of the writer.
        assert!(reader.run().is_some());
        drop((kept, reader));
        assert_unused(&lock);
    }
    let reader = reads(&lock);
    assert_eq!(now(lock.write_or(ready("late"))).unwrap_err(), "late");
    drop(reader);
    assert_unused(&lock);
    drop(now(lock.write_or(pending::<()>())));
    drop(now(lock.read_or(pending::<()>())));
    assert_unused(&lock);
}

#[test]
fn u4_a_downgrade_wakes_the_readers_and_opens_the_shards() {
    let lock = Lock::default();
    let guard = lock.try_write().unwrap();
    let mut readers = [(); 2].map(|()| Task::queued(lock.read()));
    let guard = ShardedRwLockWriteGuard::downgrade(guard);
    assert!(readers.iter_mut().all(|reader| reader.run().is_some()));
    assert!(lock.try_write().is_none());
    let reader = reads(&lock);
    assert!(format!("{lock:?}").contains("writers: 0, shards: ["));
    assert!(!format!("{lock:?}").contains("shards: [0, 0, 0]"));
    drop((guard, reader));
    assert_unused(&lock);
}

#[test]
fn x2_only_the_first_wait_at_each_lock_allocates() {
    let lock = Lock::default();
    without_allocation("a lock without a contender", || {
        assert_eq!(*now(lock.read()), 0);
        *now(lock.write()) += 1;
        now(lock.with_mut(|number| *number += 1));
        assert_eq!(now(lock.with(|number| *number)), 2);
        drop((lock.try_read(), lock.try_write()));
    });
    let wait = || {
        let reader = lock.try_read().unwrap();
        let waits = std::pin::pin!(lock.write());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waits.poll(&mut cx).is_pending());
        drop(reader);
    };
    assert_eq!(allocations(wait).1, 1);
    without_allocation("a later wait", wait);
}

#[test]
fn each_shard_has_cache_lines_of_its_own() {
    let line = align_of::<Lock>();
    assert!(line >= 64);
    // More than one for each where the queue is in the lock.
    let lines = (size_of::<ShardedRwLock<u32, 8>>() - size_of::<Lock>()) / line;
    assert!(lines >= 5 && lines % 5 == 0, "{lines}");
}

#[test]
fn the_data_may_be_unsized() {
    let lock: &mut ShardedRwLock<[u32]> = &mut ShardedRwLock::new([1, 2]);
    lock.get_mut()[1] += 1;
    lock.try_write().unwrap()[0] += 1;
    assert_eq!(*lock.try_read().unwrap(), [2, 3]);
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn a_thread_waits_no_longer_than_its_timeout() {
    const SHORT: Duration = Duration::from_millis(1);
    let lock = Lock::default();
    for timeout in [Duration::ZERO, SHORT, Duration::MAX] {
        let reader = lock.read_blocking_timeout(timeout).unwrap();
        assert!(lock.write_blocking_timeout(SHORT).is_none());
        drop(reader);
        let writer = lock.write_blocking_timeout(timeout).unwrap();
        assert!(lock.read_blocking_timeout(SHORT).is_none());
        assert!(lock.write_blocking_timeout(SHORT).is_none());
        drop(writer);
        assert_unused(&lock);
    }
}

/// One thread waits at a shard, and then another at the inner lock.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn p2_a_thread_that_blocks_is_woken() {
    let lock = &Lock::default();
    thread::scope(|scope| {
        let reader = lock.read_blocking();
        scope.spawn(|| *lock.write_blocking() += 1);
        while !format!("{lock:?}").contains("writers: 1") {
            thread::yield_now();
        }
        drop(reader);
    });
    thread::scope(|scope| {
        let writer = lock.write_blocking();
        scope.spawn(|| assert_eq!(*lock.read_blocking(), 1));
        while !format!("{lock:?}").contains("shared_wait: true") {
            thread::yield_now();
        }
        drop(writer);
    });
    assert_unused(lock);
}
