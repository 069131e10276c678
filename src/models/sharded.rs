//! A lock whose readers hold one of two shards.

use super::sets::Number;
use super::*;
use crate::ShardedRwLock;

type Lock = ShardedRwLock<Number, 2>;

fn lock() -> Arc<Lock> {
    Arc::new(Lock::with_shards(Number::default()))
}

/// Writes in another thread.
fn write_once(lock: &Arc<Lock>) -> JoinHandle<()> {
    let lock = lock.clone();
    spawn(move || block_on(lock.write(), None).unwrap().add_one())
}

/// Checks that the lock has no holder and no waiter, that it is biased, and that the number is
/// `expected`.
fn check(lock: &Lock, expected: u32) {
    assert_eq!(std::format!("{lock:?}"), std::format!("{:?}", Lock::default()));
    assert_eq!(lock.try_read_at(1).expect("the lock is biased").get(), expected);
}

/// The reader enters a shard, or waits for the writer.
#[test]
fn e1_a_writer_and_a_reader_at_a_shard_exclude_each_other() {
    model(|| {
        let lock = lock();
        let writer = write_once(&lock);
        match lock.try_read_at(1) {
            Some(guard) => assert!(guard.get() < 2),
            None => assert!(block_on(lock.read(), None).unwrap().get() < 2),
        }
        join([writer]);
        check(&lock, 1);
    });
}

/// As above, for a writer that does not wait.
#[test]
fn e1_a_writer_that_tries_and_a_reader_at_a_shard_exclude_each_other() {
    model(|| {
        let lock = lock();
        let other = lock.clone();
        let writer = spawn(move || {
            if let Some(mut guard) = other.try_write() {
                guard.add_one();
            }
        });
        let number = lock.try_read_at(0).map(|guard| guard.get());
        join([writer]);
        assert!(number.is_none_or(|number| number < 2));
        let written = lock.try_read_at(0).expect("the lock is biased").get();
        check(&lock, written);
    });
}

/// The last writer ends, and a reader enters a shard.
#[test]
fn e2_readers_at_a_shard_see_what_was_written() {
    model(|| {
        let lock = lock();
        let writers = [write_once(&lock), write_once(&lock)];
        if let Some(guard) = lock.try_read_at(0) {
            assert!(guard.get() < 3);
        }
        join(writers);
        check(&lock, 2);
    });
}

#[test]
fn p2_a_writer_is_woken_by_the_last_reader_at_each_shard() {
    model(|| {
        let lock = lock();
        let readers = [0, 1].map(|shard| lock.try_read_at(shard).unwrap());
        let writer = write_once(&lock);
        for reader in readers.into_iter().rev() {
            assert_eq!(reader.get(), 0);
        }
        join([writer]);
        check(&lock, 1);
    });
}

/// A writer is dropped while a reader leaves a shard, and while another writer waits.
#[test]
fn c4_a_writer_that_is_dropped_opens_the_shards() {
    model(|| {
        let lock = lock();
        let reader = lock.try_read_at(0).unwrap();
        let other = lock.clone();
        let dropped = spawn(move || drop(queued_or_not(other.write())));
        let writer = write_once(&lock);
        drop(reader);
        join([dropped, writer]);
        check(&lock, 1);
    });
}
