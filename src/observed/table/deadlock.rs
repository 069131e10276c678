//! Tasks that wait for each other.

use alloc::vec::Vec;

use crate::observed::table::entry::Entry;
use crate::observed::table::page::in_the_way;

/// Returns a circle of waits that contains the wait `start`, as pairs of a wait and what is in its
/// way. `entries` are those that are held, and then those that wait, in the order in which they began.
///
/// The circle is one of the shortest. What is in the way of a wait is held by a task, and that task
/// waits, too; or it is itself a wait, in whose way is something else.
pub(super) fn circle(entries: &[Entry], start: usize) -> Option<Vec<(usize, usize)>> {
    let task = entries[start].task_id()?;
    // Each wait once, with the step by which it was reached: the index of the wait before, and what is
    // in the way of that.
    let mut reached: Vec<(usize, Option<(usize, usize)>)> = Vec::from([(start, None)]);
    let mut next = 0;
    while let Some(&(waiter, _)) = reached.get(next) {
        for (of, entry) in in_the_way((waiter, &entries[waiter]), entries.iter().enumerate()) {
            if entry.is_held() && entry.task_id() == Some(task) {
                let mut circle = Vec::from([(waiter, of)]);
                let mut step = reached[next].1;
                while let Some((before, of)) = step {
                    circle.push((reached[before].0, of));
                    step = reached[before].1;
                }
                circle.reverse();
                return Some(circle);
            }
            let waits = |(at, other): &(usize, &Entry)| {
                !other.is_held()
                    && if entry.is_held() {
                        entry.task_id().is_some() && other.task_id() == entry.task_id()
                    } else {
                        *at == of
                    }
            };
            for (at, _) in entries.iter().enumerate().filter(waits) {
                if reached.iter().all(|(other, _)| *other != at) {
                    reached.push((at, Some((next, of))));
                }
            }
        }
        next += 1;
    }
    None
}
