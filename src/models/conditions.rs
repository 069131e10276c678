//! Conditions on the data, and the changes that they must not miss.

use super::*;
use crate::RwLock;

type Number = std::sync::Arc<RwLock<u32>>;

/// A thread that writes what `next` makes of the number.
fn writer(lock: &Number, next: fn(u32) -> u32) -> JoinHandle<()> {
    let lock = lock.clone();
    spawn(move || {
        let mut number = block_on(lock.write(), None).unwrap();
        *number = next(*number);
    })
}

/// Fails if an exclusive release is no change, and if the watcher of a condition begins to watch
/// after the lock is released.
#[test]
fn p2_the_change_after_a_look_is_not_lost() {
    model(|| {
        let lock = Number::default();
        let thread = writer(&lock, |_| 1);
        assert_eq!(*block_on(lock.read_when(|number| *number == 1), None).unwrap(), 1);
        join([thread]);
    });
}

/// Fails if the release after a look that changed nothing is a change: then the two wake each other
/// without end.
#[test]
fn p3_two_conditions_do_not_wake_each_other() {
    model(|| {
        let lock = Number::default();
        let thread = {
            let lock = lock.clone();
            spawn(move || *block_on(lock.write_when(|number| *number == 1), None).unwrap() = 2)
        };
        let second = writer(&lock, |number| number + 1);
        assert_eq!(*block_on(lock.write_when(|number| *number == 2), None).unwrap(), 2);
        join([thread, second]);
    });
}

/// A task passes a number to another, through a queue with room for one.
///
/// Fails as `p2_the_change_after_a_look_is_not_lost` does.
#[test]
fn p2_a_queue_with_room_for_one_passes_all_on() {
    model(|| {
        let lock = Number::default();
        let thread = {
            let lock = lock.clone();
            spawn(move || {
                for number in 1..=2 {
                    *block_on(lock.write_when(|it| *it == 0), None).unwrap() = number;
                }
            })
        };
        for number in 1..=2 {
            let mut guard = block_on(lock.write_when(|it| *it != 0), None).unwrap();
            assert_eq!(core::mem::take(&mut *guard), number);
        }
        join([thread]);
    });
}
