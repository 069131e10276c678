//! The lock beside its rivals: the same body for each, measured in turns.
//!
//! ```text
//! cargo bench --bench locks [-- [--quick] [--save] [part of the name of a case]]
//! ```
//!
//! All contestants of a case take turns in short rounds, so that whatever else the computer does
//! meets all of them. A cell is the median over the rounds in relation to ours, above 1 the rival is
//! slower, and the median itself, in nanoseconds per operation unless another unit is named.
//!
//! `floor` is what would be left with the least of locks. Without contention that is one
//! compare-and-swap and one read-modify-write, and with contention the same work with no lock at all.
//!
//! A run of all cases is written down in `benches/results`; with `--quick`, or of some cases, only if
//! `--save` is said. Without `--bench`, as in `cargo test --benches`, each body runs once, and nothing
//! is measured.

mod about;
mod contestants;
mod counts;
mod executor;
mod harness;
mod lone;
mod monitors;
mod queues;
mod report;
mod sets;
mod tasks;
mod threads;
mod uncontended;

use std::path::Path;
use std::time::Duration;
use std::{env, io};

use crate::harness::{Case, Harness};

/// How long all rounds of a case take.
const CASE: Duration = Duration::from_millis(7000);
const QUICK_CASE: Duration = Duration::from_millis(500);

fn cases() -> Vec<Case> {
    let of = [
        uncontended::cases,
        threads::cases,
        tasks::cases,
        queues::cases,
        lone::cases,
        sets::cases,
        monitors::cases,
        counts::cases,
    ];
    of.into_iter().flat_map(|cases| cases()).collect()
}

fn main() -> io::Result<()> {
    let is = |flag| env::args().any(|arg| arg == flag);
    let filter = env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let cases: Vec<_> = cases().into_iter().filter(|case| case.name.contains(&filter)).collect();
    harness::watch();
    if !is("--bench") {
        harness::try_out(cases);
        return Ok(());
    }
    let quick = is("--quick");
    let harness = Harness { case: if quick { QUICK_CASE } else { CASE } };
    let rows = harness.measure(cases);
    if is("--save") || filter.is_empty() && !quick {
        let about = about::about(quick, harness.about());
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
        report::write(&dir, &about, &rows)?;
    }
    Ok(())
}
