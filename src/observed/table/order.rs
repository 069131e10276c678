//! The orders in which tasks acquire several locks.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use std::sync::{Mutex, PoisonError};

use crate::mode::Mode;
use crate::observed::table::entry::Entry;

/// What locks are told apart by: their name, or else the line on which they were made.
type Kind = (&'static str, u32, u32);

/// A task has held a lock of one kind and has acquired, or waited for, one of another kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    held: Kind,
    held_mode: Mode,
    acquired: Kind,
    /// The mode from which the lock was upgraded.
    from: Option<Mode>,
}

pub(super) struct Order(Mutex<Graph>);

struct Graph {
    /// With the first acquisitions that were seen to make each of them.
    steps: BTreeMap<Step, (Entry, Entry)>,
    /// The circles that were reported. In other modes, each is the same.
    known: BTreeSet<Vec<(Kind, Kind)>>,
}

impl Order {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Graph { steps: BTreeMap::new(), known: BTreeSet::new() }))
    }

    /// Remembers that a task has acquired a lock while it held another one. Returns a circle that
    /// this closes: pairs of what was held and what was acquired. No circle is returned twice.
    pub(super) fn add(&self, held: Entry, acquired: Entry) -> Option<Vec<(Entry, Entry)>> {
        let step = Step {
            held: kind(&held),
            held_mode: held.mode(),
            acquired: kind(&acquired),
            from: acquired.from(),
        };
        // Several locks of one kind may have an order of their own, such as that of their addresses.
        if step.held == step.acquired && !held.is_of_the_lock_of(&acquired) {
            return None;
        }
        let mut graph = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if graph.steps.contains_key(&step) {
            return None;
        }
        graph.steps.insert(step, (held, acquired));
        let circle = circle(&graph.steps, step)?;
        let mut kinds: Vec<_> = circle.iter().map(|step| (step.held, step.acquired)).collect();
        kinds.sort();
        let is_new = graph.known.insert(kinds);
        is_new.then(|| circle.iter().map(|step| graph.steps[step]).collect())
    }
}

fn kind(entry: &Entry) -> Kind {
    let site = entry.lock_site();
    match entry.lock_name() {
        Some(name) => (name, 0, 0),
        // A line is at least 1.
        None => (site.file(), site.line(), site.column()),
    }
}

impl Step {
    /// Whether a task that makes this step may wait for one that makes the `next` step.
    ///
    /// Any mode may keep out any other: two readers do not exclude each other, but a writer that
    /// waits in between keeps the second one out. Only an upgrade waits for nothing but the shared
    /// holders that are there.
    fn waits_for(&self, next: &Self) -> bool {
        self.acquired == next.held && (self.from.is_none() || next.held_mode == Mode::Shared)
    }
}

/// The shortest circle of steps that begins with `start`.
fn circle(steps: &BTreeMap<Step, (Entry, Entry)>, start: Step) -> Option<Vec<Step>> {
    let mut before: BTreeMap<Step, Option<Step>> = BTreeMap::from([(start, None)]);
    let mut reached = VecDeque::from([start]);
    while let Some(last) = reached.pop_front() {
        if last.waits_for(&start) {
            let mut circle = Vec::new();
            let mut step = Some(last);
            while let Some(one) = step {
                circle.push(one);
                step = before[&one];
            }
            circle.reverse();
            return Some(circle);
        }
        let first =
            Step { held: last.acquired, held_mode: Mode::Shared, acquired: ("", 0, 0), from: None };
        for (next, _) in steps.range(first..).take_while(|(next, _)| next.held == last.acquired) {
            if last.waits_for(next) && !before.contains_key(next) {
                before.insert(*next, Some(last));
                reached.push_back(*next);
            }
        }
    }
    None
}
