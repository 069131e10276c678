//! What a person reads when a program hangs.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::mode::Mode;
use crate::observed::table::entry::{Entry, LockLabel, Seconds, mode_name};

/// Returns those of `entries` that keep `waiter` waiting. `entries` are those that are held, and
/// then those that wait, each in the order in which they began, and `waiter` is one of them.
///
/// A waiter waits for holders that exclude it. If there is none, but the lock is held, then a
/// waiter that is not exclusive is queued behind one that is. If the lock is free, nothing is in
/// the way: the waiter was woken, or is about to be.
pub(super) fn in_the_way<'a, K: Copy + PartialEq + 'a>(
    waiter: (K, &'a Entry),
    entries: impl Iterator<Item = (K, &'a Entry)> + Clone,
) -> impl Iterator<Item = (K, &'a Entry)> + Clone {
    let (key, waiter) = waiter;
    let of_the_lock = entries.filter(move |(_, entry)| entry.is_of_the_lock_of(waiter));
    let held = of_the_lock.clone().take_while(|(_, entry)| entry.is_held());
    // What an upgrade is an upgrade of is not in its way.
    let own = waiter.from().and_then(|mode| {
        let mut before = held.clone().filter(|(_, entry)| entry.mode() == mode);
        let of_task = before.clone().find(|(_, entry)| entry.task_id() == waiter.task_id());
        of_task.or_else(|| before.next()).map(|(own, _)| own)
    });
    let excludes =
        move |entry: &Entry, of: K| waiter.mode().excludes(entry.mode()) && own != Some(of);
    let is_excluded = held.clone().any(|(of, entry)| excludes(entry, of));
    let is_behind =
        !is_excluded && held.clone().next().is_some() && waiter.mode() != Mode::Exclusive;
    of_the_lock.take_while(move |(of, _)| *of != key).filter(move |(of, entry)| {
        if entry.is_held() {
            is_excluded && excludes(entry, *of)
        } else {
            is_behind && entry.mode() == Mode::Exclusive
        }
    })
}

/// Names of locks, or of tasks, that are told apart by a number. Where several have one name, all
/// but the first show which they are.
fn labels(names: impl Iterator<Item = Option<(usize, String)>>) -> Vec<String> {
    let mut seen: Vec<(usize, String)> = Vec::new();
    let label = |name: Option<(usize, String)>| {
        let Some((id, name)) = name else { return "-".to_owned() };
        let number = match seen.iter().position(|(seen, _)| *seen == id) {
            Some(at) => seen[..at].iter().filter(|(_, seen)| *seen == name).count(),
            None => {
                let number = seen.iter().filter(|(_, seen)| *seen == name).count();
                seen.push((id, name.clone()));
                number
            }
        };
        if number == 0 { name } else { format!("{name} ({})", number + 1) }
    };
    names.map(label).collect()
}

/// The number of lines that one line refers to.
const REFERENCES: usize = 4;

/// Writes one line for each entry. The entries of a lock stand together, those that are held first.
/// Locks that are waited for come before the others.
pub(super) fn write(f: &mut fmt::Formatter<'_>, entries: &[Entry], lost: usize) -> fmt::Result {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_cached_key(|at| {
        let of_the_lock = |entry: &&Entry| entry.is_of_the_lock_of(&entries[*at]);
        let is_awaited = entries.iter().filter(of_the_lock).any(|entry| !entry.is_held());
        (!is_awaited, entries.iter().position(|entry| of_the_lock(&entry)))
    });
    let mut line_of = alloc::vec![0; entries.len()];
    order.iter().enumerate().for_each(|(n, at)| line_of[*at] = n + 1);

    let numbered = || order.iter().map(|at| &entries[*at]);
    let tasks =
        labels(numbered().map(|e| e.task_id().map(|task| (task.number(), task.name().to_owned()))));
    let locks = labels(numbered().map(|e| Some((e.lock_id(), LockLabel(e).to_string()))));

    let head = ["#", "lock", "state", "mode", "age", "task", "site", "in the way"];
    let mut lines = alloc::vec![head.map(str::to_owned)];
    for ((at, task), lock) in order.iter().zip(tasks).zip(locks) {
        let entry = &entries[*at];
        let (state, in_the_way) = match entry {
            _ if entry.is_held() => ("held", String::new()),
            _ => {
                let blockers = in_the_way((*at, entry), entries.iter().enumerate());
                let mut lines = blockers.clone().take(REFERENCES).map(|(of, _)| line_of[of]);
                let mut text = match lines.next() {
                    Some(first) => first.to_string(),
                    None => "nothing".to_owned(),
                };
                lines.try_for_each(|line| write!(text, ", {line}"))?;
                match blockers.count().saturating_sub(REFERENCES) {
                    0 => {}
                    more => write!(text, " and {more} more")?,
                }
                (if entry.is_upgrade() { "upgrades" } else { "waits" }, text)
            }
        };
        lines.push([
            line_of[*at].to_string(),
            lock,
            state.to_owned(),
            mode_name(entry.mode()).to_owned(),
            Seconds(entry.age()).to_string(),
            task,
            entry.site().to_string(),
            in_the_way,
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: [usize; 8] = core::array::from_fn(|column| width(column).unwrap_or(0));
    for line in lines.iter().filter(|_| !entries.is_empty()) {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Numbers are aligned on the right.
            match column {
                0 | 4 => write!(text, "{cell:>width$}  ")?,
                _ => write!(text, "{cell:<width$}  ")?,
            }
        }
        writeln!(f, "{}", text.trim_end())?;
    }
    match (entries.len(), lost) {
        (0, 0) => writeln!(f, "no lock of this table is held or waited for"),
        (_, 0) => Ok(()),
        (_, lost) => writeln!(f, "not listed, because there was no memory: {lost}"),
    }
}
