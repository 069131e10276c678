//! Visits all states of a few waiters, and prints how many there are. Fails if an invariant does not hold in
//! one of them, or if not all were visited in time.
//!
//! ```text
//! usage: explore WAITERS              the waiters, as `text.rs` says: "2Xs0 Sd"
//!        explore --each N KINDS       each set of N waiters of these kinds: "S U>X Xd"
//!
//!        --with LETTERS       adds letters to each kind: sDc0
//!        --overtaken N        how often a waiter may be overtaken
//!        --failed N           how often a set may be notified and not enter
//!        --passed N           how often others may be notified instead of a waiter
//!        --deferrals N        how many newcomers yield after a race that was lost
//!        --no-excuse          counts also while another waiter reserves the lock
//!        --skip NAME          leaves an invariant out
//!        --minutes N          for each set: 60 if there is none
//!        --no-symmetry        visits all states that differ only in which of several equal waiters is which
//!        --trace              prints the states on the way to one in which an invariant does not hold
//! ```

use std::process::ExitCode;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use multilock_model::system::{MOST_OVERTAKEN, MOST_PASSED, System};
use multilock_model::text;
use stateright::{Checker, HasDiscoveries, Model};

#[derive(Default)]
struct Options {
    with: String,
    overtaken: Option<u8>,
    failed: Option<u8>,
    passed: Option<u8>,
    deferrals: Option<u8>,
    counts_all: bool,
    skips: Vec<String>,
    minutes: u64,
    no_symmetry: bool,
    trace: bool,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mut options = Options { minutes: 60, ..Options::default() };
    let (mut sets, mut each) = (Vec::new(), None);
    while let Some(option) = args.next() {
        let mut next = || args.next().unwrap_or_else(|| panic!("{option} lacks its value"));
        let number = |text: String| text.parse::<u64>().expect("a number");
        match &*option {
            "--each" => each = Some((number(next()) as usize, next())),
            "--with" => options.with = next(),
            "--overtaken" => options.overtaken = Some(number(next()) as u8),
            "--failed" => options.failed = Some(number(next()) as u8),
            "--passed" => options.passed = Some(number(next()) as u8),
            "--deferrals" => options.deferrals = Some(number(next()) as u8),
            "--no-excuse" => options.counts_all = true,
            "--skip" => options.skips.push(next()),
            "--minutes" => options.minutes = number(next()),
            "--no-symmetry" => options.no_symmetry = true,
            "--trace" => options.trace = true,
            waiters => sets.push(waiters.to_owned()),
        }
    }
    if let Some((count, kinds)) = &each {
        let kinds: Vec<_> = kinds.split_whitespace().collect();
        add_sets(&mut sets, &kinds, *count, String::new());
    }
    let start = Instant::now();
    let (mut states, mut most, mut failed) = (0, 0, 0);
    for waiters in &sets {
        let found = check(waiters, &options, each.is_none());
        (states, most) = (states + found.states, most.max(found.states));
        failed += usize::from(found.failed);
    }
    let most_of = |count: &AtomicU8| count.load(Relaxed);
    println!(
        "{} sets, {states} states, {most} of one set, overtaken {} times, passed over {} times, {:.0} s",
        sets.len(),
        most_of(&MOST_OVERTAKEN),
        most_of(&MOST_PASSED),
        start.elapsed().as_secs_f32()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Adds each set of `count` waiters of these kinds, in the order of the kinds.
fn add_sets(sets: &mut Vec<String>, kinds: &[&str], count: usize, set: String) {
    if count == 0 {
        sets.push(set);
        return;
    }
    for (number, kind) in kinds.iter().enumerate() {
        add_sets(sets, &kinds[number..], count - 1, format!("{set} {kind}"));
    }
}

/// Returns the waiters with more letters, before what they do with the lock.
fn with(waiters: &str, letters: &str) -> String {
    let words = waiters.split_whitespace().map(|word| match word.split_once('>') {
        Some((kind, to)) => format!("{kind}{letters}>{to}"),
        None => format!("{word}{letters}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

struct Found {
    states: usize,
    failed: bool,
}

fn check(waiters: &str, options: &Options, prints: bool) -> Found {
    let waiters = with(waiters, &options.with);
    let mut system = System::new(text::specs(&waiters));
    system.overtaken = options.overtaken.unwrap_or(system.overtaken);
    system.failed = options.failed.unwrap_or(system.failed);
    system.passed = options.passed.unwrap_or(system.passed);
    system.deferrals = options.deferrals.unwrap_or(system.deferrals);
    system.excuses = !options.counts_all;
    system.symmetry = !options.no_symmetry;
    system.skips.extend(options.skips.iter().cloned());
    let (start, limit) = (Instant::now(), Duration::from_secs(60 * options.minutes));
    let checker = system
        .checker()
        .threads(2)
        .timeout(limit)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let discoveries = checker.discoveries();
    let is_late = start.elapsed() >= limit;
    let failed = is_late || !discoveries.is_empty();
    let states = checker.unique_state_count();
    if prints || failed {
        println!(
            "{waiters}: {states} states, {} steps, depth {}, {:.1} s{}",
            checker.state_count(),
            checker.max_depth(),
            start.elapsed().as_secs_f32(),
            if is_late { ", NOT ALL" } else { "" }
        );
    }
    for (name, path) in discoveries {
        println!("FAILS: {name}");
        for (state, action) in path.into_vec() {
            if options.trace {
                print!("{state}");
            }
            match action {
                Some(action) => println!("    {action:?}"),
                None if !options.trace => print!("{state}"),
                None => {}
            }
        }
    }
    Found { states, failed }
}
