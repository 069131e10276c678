//! What a table reports by itself.

use alloc::vec::Vec;
#[cfg(feature = "std")]
use core::cell::Cell;
use core::fmt;

use crate::observed::table::entry::{Entry, LockLabel, mode_name};

/// Something that a [`Table`](crate::observed::Table) has noticed, for the function that was given to
/// [`Table::report_to`](crate::observed::Table::report_to).
///
/// Each `Display` is one line, or begins with one, and begins with what it is about: `slow wait`,
/// `slow hold`, `deadlock` or `lock order`.
///
/// # Examples
///
/// ```
/// use std::sync::Mutex;
///
/// use multilock::observed::{Report, Table};
///
/// static TABLE: Table = Table::new();
/// static DEADLOCKS: Mutex<Vec<String>> = Mutex::new(Vec::new());
///
/// TABLE.report_to(|report| match report {
///     Report::Deadlock { .. } => DEADLOCKS.lock().unwrap().push(report.to_string()),
///     _ => eprintln!("{report}"),
/// });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Report {
    /// An acquisition has waited for longer than the limit of
    /// [`Table::slow_after`](crate::observed::Table::slow_after), or still waits.
    #[non_exhaustive]
    SlowWait {
        /// The acquisition, with the time that it has waited.
        waiter: Entry,
        /// What was in the way when it began to wait. If there were several, the first of them.
        in_the_way: Option<Entry>,
        /// The number of others that were in the way.
        others: usize,
    },
    /// A lock was held for longer than the limit of
    /// [`Table::slow_after`](crate::observed::Table::slow_after), or is still held.
    #[non_exhaustive]
    SlowHold {
        /// The acquisition, with the time for which the lock was held in this mode.
        holder: Entry,
    },
    /// Tasks wait for each other, or one waits for itself.
    ///
    /// Each wait stands with what is in its way, which is of the task whose wait is next. What is in
    /// the way of the last wait is of the task whose wait is the first.
    #[non_exhaustive]
    Deadlock {
        /// The waits, in a circle.
        waits: Vec<(Entry, Entry)>,
    },
    /// Tasks have acquired locks in orders in which they may come to wait for each other.
    ///
    /// Each acquisition stands with one of another lock that the task held at that time. What is
    /// acquired in one pair is what is held in the next one, and what is acquired in the last one is
    /// what is held in the first.
    #[non_exhaustive]
    LockOrder {
        /// What was held, and what was acquired in addition, in a circle.
        steps: Vec<(Entry, Entry)>,
    },
}

#[cfg(feature = "std")]
std::thread_local! {
    static IS_REPORTING: Cell<bool> = const { Cell::new(false) };
}

impl Report {
    /// Calls the function for reports, unless it is what this thread is in: what it acquires may be
    /// slow, too, and so on.
    #[cfg(feature = "std")]
    pub(super) fn send(&self, report: fn(&Self)) {
        struct EndOnDrop;

        impl Drop for EndOnDrop {
            fn drop(&mut self) {
                let _ = IS_REPORTING.try_with(|is| is.set(false));
            }
        }

        if IS_REPORTING.try_with(|is| !is.replace(true)).unwrap_or(true) {
            let _end = EndOnDrop;
            report(self);
        }
    }

    #[cfg(not(feature = "std"))]
    pub(super) fn send(&self, report: fn(&Self)) {
        report(self);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SlowWait { waiter, in_the_way, others } => {
                write!(f, "slow wait: {}, {waiter}; ", LockLabel(waiter))?;
                match in_the_way {
                    None => write!(f, "nothing was in the way when it began"),
                    Some(first) => write!(f, "in the way when it began: {first}"),
                }?;
                match others {
                    0 => Ok(()),
                    others => write!(f, ", and {others} more"),
                }
            }
            Self::SlowHold { holder } => write!(f, "slow hold: {}, {holder}", LockLabel(holder)),
            Self::Deadlock { waits } => {
                match waits.len() {
                    1 => write!(f, "deadlock: a task waits for itself")?,
                    tasks => write!(f, "deadlock: {tasks} tasks wait for each other")?,
                }
                for (waiter, in_the_way) in waits {
                    let state = if in_the_way.is_held() { "held" } else { "awaited first" };
                    write!(
                        f,
                        "\n  {} waits for {}, {}, at {}; {state} by {}, {}, at {}",
                        TaskLabel(waiter),
                        LockLabel(waiter),
                        mode_name(waiter.mode()),
                        waiter.site(),
                        TaskLabel(in_the_way),
                        mode_name(in_the_way.mode()),
                        in_the_way.site(),
                    )?;
                }
                Ok(())
            }
            Self::LockOrder { steps } => {
                match steps.len() {
                    1 => write!(f, "lock order: a task acquires a lock that it holds")?,
                    locks => write!(
                        f,
                        "lock order: {locks} locks are acquired in orders that may deadlock"
                    )?,
                }
                for (held, acquired) in steps {
                    write!(
                        f,
                        "\n  {} acquired {}, {}, at {}, and held {}, {}, since {}",
                        TaskLabel(acquired),
                        LockLabel(acquired),
                        mode_name(acquired.mode()),
                        acquired.site(),
                        LockLabel(held),
                        mode_name(held.mode()),
                        held.site(),
                    )?;
                }
                Ok(())
            }
        }
    }
}

struct TaskLabel<'a>(&'a Entry);

impl fmt::Display for TaskLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.task().unwrap_or("a task"))
    }
}
