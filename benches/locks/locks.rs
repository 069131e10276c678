//! The lock beside its peers: the same body for each, measured in turns.
//!
//! ```text
//! cargo bench --bench locks [-- [--quick] [--save] [--csv] [--list] [--exact]
//!                              [--only=contestant,...] [part of the name of a case]...]
//! ```
//!
//! All contestants of a case take turns in short rounds, so that other load on the machine affects
//! all of them. The time of a case has parts, each with a median. A cell is the median over the parts
//! in relation to ours, where above 1 the peer is slower, and the median itself, in nanoseconds per
//! operation unless another unit is named. A row is decided if all parts agree which contestant is
//! faster. `~` marks a ratio that is undecided: the spread is larger than the difference. The table in
//! `results` begins with the rows in which a peer is faster. The run says how many cores it had.
//!
//! Each guard is in memory (`black_box(&guard)`), where a guard is that is held across an await, passed
//! on, or part of a `struct`. The compiler sees neither the lock nor the mode of `multilock`.
//!
//! `floor` is the cost with a minimal lock. Without contention that is one compare-and-swap and one
//! read-modify-write, and with contention the same work with no lock at all.
//!
//! A run of all cases is saved in `results`; a run with `--quick`, or of some cases or
//! contestants, only with `--save`. Without `--bench`, as in `cargo test --benches`, each body runs
//! once, and nothing is measured.
//!
//! For scripts that compare two versions: `--list` prints the names of the cases and measures
//! nothing, `--exact` takes whole names, and `--csv` prints all values with all digits.

mod about;
mod busy;
mod contestants;
mod counts;
mod executor;
mod harness;
mod lone;
mod monitors;
#[cfg(feature = "observed")]
mod observed;
mod queues;
mod realistic;
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
const CASE: Duration = Duration::from_millis(4000);
const QUICK_CASE: Duration = Duration::from_millis(500);
/// The limit after which individually measured waits are cut off.
const LIMIT: Duration = Duration::from_millis(1000);
const QUICK_LIMIT: Duration = Duration::from_millis(300);

fn cases() -> Vec<Case> {
    let of = [
        uncontended::cases,
        threads::cases,
        tasks::cases,
        queues::cases,
        lone::cases,
        busy::cases,
        realistic::cases,
        sets::cases,
        monitors::cases,
        counts::cases,
    ];
    let cases = of.into_iter().flat_map(|cases| cases());
    #[cfg(feature = "observed")]
    let cases = cases.chain(observed::cases());
    cases.collect()
}

fn main() -> io::Result<()> {
    let args: Vec<_> = env::args().skip(1).collect();
    let is = |flag| args.iter().any(|arg| arg == flag);
    let only = args.iter().find_map(|arg| arg.strip_prefix("--only="));
    let filters: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let is_exact = is("--exact");
    let fits =
        |name: &str, filter: &str| if is_exact { name == filter } else { name.contains(filter) };
    let mut cases = cases();
    cases.retain(|case| filters.is_empty() || filters.iter().any(|part| fits(&case.name, part)));
    if let Some(only) = only {
        let only: Vec<_> = only.split(',').collect();
        cases.retain_mut(|case| case.retain(|contestant| only.contains(&contestant)));
    }
    if is("--list") {
        cases.iter().for_each(|case| println!("{}", case.name));
        return Ok(());
    }
    harness::watch();
    if !is("--bench") {
        harness::try_out(cases);
        return Ok(());
    }
    let quick = is("--quick");
    let (case, limit) = if quick { (QUICK_CASE, QUICK_LIMIT) } else { (CASE, LIMIT) };
    let harness = Harness { case, limit };
    let cores = about::cores();
    eprintln!("{cores}; {} cases take about {:.0?}", cases.len(), harness.estimate(&cases));
    let is_csv = is("--csv");
    let rows = harness.measure(cases, !is_csv);
    let cores = format!("{cores} before the run, and {} after it", about::cores_had());
    eprintln!("{cores}");
    let about = about::about(quick, harness.about(), cores);
    if is_csv {
        report::write_data(&mut io::stdout(), &about, &rows)?;
    }
    if is("--save") || filters.is_empty() && only.is_none() && !quick {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results");
        report::write(&dir, &about, &rows)?;
    }
    Ok(())
}
