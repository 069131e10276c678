//! The sizes of locks, guards and futures, and what sets allocate, where no lock has an observer.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]

mod support;

use std::future::pending;
use std::mem::{size_of, size_of_val};
use std::sync::Arc;

use multilock::{
    Guard, Handle, LockSet, Mode, MultiLock, RwLock, RwLockReadGuard, RwLockWriteGuard,
    RwLockWriteGuardArc, SetGuard, acquire_all, lock_all, try_acquire_all, try_lock_all,
};
use support::{Counting, allocations, now};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WORD: usize = size_of::<usize>();

#[test]
fn x3_a_lock_has_at_most_three_words() {
    assert!(size_of::<MultiLock>() <= 3 * WORD);
    assert_eq!(size_of::<Guard<'_>>(), 2 * WORD);
    assert_eq!(size_of::<Guard<'_>>(), size_of::<Option<Guard<'_>>>());
    // The identifier, and the mode.
    assert_eq!(size_of::<Handle>(), 3 * WORD);
}

#[test]
fn x3_the_future_of_an_acquisition_has_at_most_11_words() {
    let lock = Arc::new(MultiLock::new());
    assert!(size_of_val(&lock.acquire(Mode::Shared)) <= 11 * WORD);
    assert!(size_of_val(&lock.acquire_arc(Mode::Shared)) <= 14 * WORD);
}

#[test]
fn x3_a_lock_with_data_has_the_data_beside() {
    assert_eq!(size_of::<RwLock<()>>(), size_of::<MultiLock>());
    assert_eq!(size_of::<RwLock<usize>>(), size_of::<MultiLock>() + WORD);
    assert_eq!(size_of::<RwLockReadGuard<'_, u8>>(), 2 * WORD);
    assert_eq!(size_of::<RwLockWriteGuard<'_, u8>>(), 2 * WORD);
    assert_eq!(size_of::<RwLockWriteGuardArc<u8>>(), 2 * WORD);
    let lock = Arc::new(RwLock::new(1));
    assert!(size_of_val(&lock.read()) <= 13 * WORD);
    assert!(size_of_val(&lock.write_arc()) <= 13 * WORD);
    // That of the acquisition, and the lock.
    assert!(size_of_val(&lock.with(|_| ())) <= 16 * WORD);
    assert!(size_of_val(&lock.read_or(pending::<()>())) <= 16 * WORD);
    assert!(size_of_val(&lock.write_arc_or(pending::<()>())) <= 16 * WORD);
    assert!(size_of_val(&lock.with_mut(|_| ())) <= 16 * WORD);
}

/// What observers of the members would have to remember takes no room where there are none.
#[test]
fn x3_a_set_has_no_room_for_observers() {
    let lock = MultiLock::new();
    let set: LockSet<_> = [&lock].into_iter().collect();
    assert_eq!(size_of::<SetGuard<'_, &MultiLock>>(), 2 * WORD);
    let pairs = [(&lock, Mode::Shared)];
    assert_eq!(size_of_val(&try_acquire_all(pairs)), size_of_val(&pairs));
    if cfg!(target_pointer_width = "64") {
        assert!(size_of_val(&set.acquire(Mode::Shared)) <= 39 * WORD);
        assert!(size_of_val(&acquire_all(pairs)) <= 40 * WORD);
        assert!(size_of_val(&lock_all([lock.in_mode(Mode::Shared)])) <= 40 * WORD);
    }
}

/// The future is that of `acquire_all`, and no larger but for the requests themselves.
#[test]
fn x3_the_future_is_as_large_as_that_of_acquire_all() {
    let locks = [(); 3].map(|()| MultiLock::new());
    let pairs = locks.each_ref().map(|lock| (lock, Mode::Exclusive));
    let ours = size_of_val(&lock_all(locks.each_ref().map(|lock| lock.in_mode(Mode::Exclusive))));
    let theirs = size_of_val(&acquire_all(pairs));
    assert!(ours <= theirs, "{ours}, {theirs}");
}

#[test]
fn x1_slices_and_vectors_allocate_their_guards_once() {
    let cells = [1, 2, 3, 4].map(RwLock::new);
    let requests: Vec<_> = cells.iter().map(RwLock::writing).collect();
    let (guards, count) = allocations(|| now(lock_all(&requests[..])));
    assert_eq!((guards.len(), count), (4, 1));
    drop(guards);
    let (guards, count) = allocations(|| try_lock_all(requests).unwrap());
    assert_eq!((guards.len(), count), (4, 1));
}
