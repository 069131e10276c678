//! How the benchmark measures: contestants take turns, in short rounds.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use crate::contestants::{CONTESTANTS, Lock};
use crate::report::{Goal, Row};

/// Runs its operations that many times, and returns how long that took.
pub(crate) type Body = Box<dyn Fn(u64) -> Duration>;
/// Waits that often, and returns how long each wait took. Stops when all waits together have reached
/// the limit.
pub(crate) type Waits = Box<dyn Fn(usize, Duration) -> Waited>;
/// Counts something.
pub(crate) type Count = Box<dyn Fn() -> f64>;

type Columns<T> = Vec<(&'static str, T)>;

/// How long each wait of a task took.
#[derive(Default)]
pub(crate) struct Waited {
    pub(crate) waits: Vec<Duration>,
    /// The last wait was cut off: it would have taken longer.
    pub(crate) is_last_unfinished: bool,
}

/// A line of the table, or three: what each contestant does there.
pub(crate) struct Case {
    workload: &'static str,
    pub(crate) name: String,
    kind: Kind,
}

enum Kind {
    /// The number of operations that a body runs each time, and the length of a round.
    Times {
        operations: u64,
        round: Duration,
        bodies: Columns<Body>,
    },
    Waits {
        /// `None`: as many as fit in the time of a case.
        count: Option<usize>,
        goals: &'static [(&'static str, Goal)],
        bodies: Columns<Waits>,
    },
    Counts {
        unit: &'static str,
        counts: Columns<Count>,
    },
}

impl Case {
    /// Drops all other contestants. Returns whether any is left.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&str) -> bool) -> bool {
        fn retain<T>(columns: &mut Columns<T>, is_kept: impl Fn(&str) -> bool) -> bool {
            columns.retain(|(contestant, _)| is_kept(contestant));
            !columns.is_empty()
        }
        match &mut self.kind {
            Kind::Times { bodies, .. } => retain(bodies, is_kept),
            Kind::Waits { bodies, .. } => retain(bodies, is_kept),
            Kind::Counts { counts, .. } => retain(counts, is_kept),
        }
    }
}

/// Most rounds of this length end before the scheduler interrupts them.
const SHORT: Duration = Duration::from_millis(1);
/// For rounds of several threads, which take a while to begin together, and do not always meet.
const LONG: Duration = Duration::from_millis(10);
/// A contestant that takes longer than this for one round is left out.
const TOO_LONG: Duration = Duration::from_secs(2);
/// A contestant that takes longer than this is considered hung.
const HANGS: Duration = Duration::from_secs(60);
/// The most operations of a round of several threads for a contestant whose waits spin: one round of it
/// may take a thousand times as long as another.
const SPINNING: u64 = 2000;
/// The acquisitions of a round in which each wait is measured, if their number is not given.
const WAITS: usize = 500;
/// The number of rounds, if the number of waits in a round is given. If the machine pauses for four
/// milliseconds, that affects only one of them.
const ROUNDS_OF_WAITS: usize = 5;
/// The limit of waits when nothing is measured.
const TINY_LIMIT: Duration = Duration::from_millis(20);

/// Bodies that run `operations` operations each time.
pub(crate) fn times(
    workload: &'static str,
    name: impl Into<String>,
    operations: u64,
    bodies: Columns<Body>,
) -> Case {
    Case { workload, name: name.into(), kind: Kind::Times { operations, round: SHORT, bodies } }
}

/// The same for bodies of several threads.
pub(crate) fn times_of_several(
    workload: &'static str,
    name: impl Into<String>,
    operations: u64,
    bodies: Columns<Body>,
) -> Case {
    Case { workload, name: name.into(), kind: Kind::Times { operations, round: LONG, bodies } }
}

pub(crate) fn waits(
    workload: &'static str,
    name: impl Into<String>,
    waits: Columns<Waits>,
) -> Case {
    Case {
        workload,
        name: name.into(),
        kind: Kind::Waits { count: None, goals: &[], bodies: waits },
    }
}

/// The same for a given number of waits, and with a goal for some of `p50`, `p99` and `worst`.
pub(crate) fn waits_with_goals(
    workload: &'static str,
    name: impl Into<String>,
    count: usize,
    goals: &'static [(&'static str, Goal)],
    bodies: Columns<Waits>,
) -> Case {
    Case { workload, name: name.into(), kind: Kind::Waits { count: Some(count), goals, bodies } }
}

pub(crate) fn counts(
    workload: &'static str,
    name: impl Into<String>,
    unit: &'static str,
    counts: Columns<Count>,
) -> Case {
    Case { workload, name: name.into(), kind: Kind::Counts { unit, counts } }
}

static TINY: AtomicBool = AtomicBool::new(false);

/// `count`, or a few when nothing is measured.
pub(crate) fn many(count: usize) -> usize {
    if TINY.load(Relaxed) { count.min(16) } else { count }
}

pub(crate) struct Harness {
    /// How long all rounds of a case take.
    pub(crate) case: Duration,
    /// How long the waits of a round may take before they are cut off.
    pub(crate) limit: Duration,
}

impl Harness {
    /// A description of the measurement.
    pub(crate) fn about(&self) -> String {
        let Self { case, limit } = self;
        format!(
            "{case:?} for each line, in rounds of {SHORT:?}, of several threads {LONG:?}: medians; \
             waits are cut off after {limit:?}"
        )
    }

    /// Measures all cases, and returns their rows. Prints each line as soon as it is measured, if
    /// `prints`.
    pub(crate) fn measure(&self, cases: Vec<Case>, prints: bool) -> Vec<Row> {
        if prints {
            print_head();
        }
        let (count, start) = (cases.len(), Instant::now());
        let mut rows = Vec::new();
        for (n, case) in cases.into_iter().enumerate() {
            eprintln!("[{}/{count}, {:.0?}] {} ...", n + 1, start.elapsed(), case.name);
            for row in self.rows(case) {
                if prints {
                    print(&row);
                }
                rows.push(row);
            }
        }
        rows
    }

    fn rows(&self, case: Case) -> Vec<Row> {
        let Case { workload, name, kind } = case;
        match kind {
            Kind::Times { operations, round, bodies } => {
                let cells = self.times(&name, operations, round, &bodies);
                vec![row(workload, name, "ns", cells)]
            }
            Kind::Waits { count, goals, bodies } => {
                let mut samples = self.samples(&name, count, &bodies);
                let sort = |waits: &mut Vec<f64>| waits.sort_by(f64::total_cmp);
                samples
                    .iter_mut()
                    .for_each(|(_, samples)| samples.rounds.iter_mut().for_each(sort));
                let parts = [("p50", 0.5), ("p99", 0.99), ("worst", 1.0)];
                let rows = parts.into_iter().map(|(part, at)| {
                    let wait_of = |waits: &Vec<f64>| {
                        let last = waits.len().saturating_sub(1);
                        waits.get((last as f64 * at).round() as usize).copied().unwrap_or(f64::NAN)
                    };
                    let wait =
                        |samples: &Samples| median(samples.rounds.iter().map(wait_of).collect());
                    let cells =
                        samples.iter().map(|(contestant, samples)| (*contestant, wait(samples)));
                    // More waits might include a longer one.
                    let cut_off = samples.iter().filter(|(_, samples)| {
                        samples.unfinished == Some(wait(samples))
                            || samples.is_cut_off && part == "worst"
                    });
                    Row {
                        at_least: cut_off.map(|(contestant, _)| *contestant).collect(),
                        goal: goals.iter().find(|goal| goal.0 == part).map(|goal| goal.1),
                        ..row(workload, format!("{name}/{part}"), "us", cells.collect())
                    }
                });
                rows.collect()
            }
            Kind::Counts { unit, counts } => {
                let count = |(contestant, count): (_, Count)| {
                    (contestant, watched(&name, contestant, count))
                };
                let cells = counts.into_iter().map(count).collect();
                vec![row(workload, name, unit, cells)]
            }
        }
    }

    /// The median time of each contestant, in nanoseconds per operation.
    fn times(
        &self,
        name: &str,
        operations: u64,
        round: Duration,
        bodies: &Columns<Body>,
    ) -> Columns<f64> {
        // A slow contestant has one round, or a few, and leaves the time to the others.
        let share = 2 * self.case / bodies.len() as u32;
        let nanoseconds =
            |time: Duration, times| time.as_secs_f64() * 1e9 / (times * operations) as f64;
        let mut taking_part = Vec::new();
        for (contestant, body) in bodies {
            let spins = *contestant == saa::Lock::NAME && round == LONG;
            let most = if spins { (SPINNING / operations).max(1) } else { u64::MAX };
            match times_in_a_round(name, contestant, body, round, most) {
                (_, time) if time > TOO_LONG => {
                    eprintln!("{name}: {contestant} takes {time:.1?}, and is left out");
                }
                (times, time) if time > share => {
                    taking_part.push((
                        *contestant,
                        body,
                        times,
                        time,
                        vec![nanoseconds(time, times)],
                    ));
                }
                (times, _) => taking_part.push((*contestant, body, times, Duration::ZERO, vec![])),
            }
        }
        let (start, ran) = (Instant::now(), processor_time());
        while start.elapsed() < self.case {
            for (contestant, body, times, used, rounds) in &mut taking_part {
                if *used < share {
                    let time = watched(name, contestant, || body(*times));
                    *used += time;
                    rounds.push(nanoseconds(time, *times));
                }
            }
        }
        if round == LONG {
            say_cores(name, start, ran);
        }
        taking_part
            .into_iter()
            .map(|(contestant, .., rounds)| (contestant, median(rounds)))
            .collect()
    }

    /// All waits of each contestant, by rounds if the number of waits in a round is given. A contestant
    /// that reaches the limit with less than half of its waits takes no part in later rounds.
    fn samples(
        &self,
        name: &str,
        count: Option<usize>,
        bodies: &Columns<Waits>,
    ) -> Columns<Samples> {
        let in_a_round = count.unwrap_or(WAITS);
        let mut samples: Columns<Samples> =
            bodies.iter().map(|(contestant, _)| (*contestant, Samples::default())).collect();
        let (start, ran, mut rounds) = (Instant::now(), processor_time(), 0);
        let continues = |rounds| match count {
            Some(_) => rounds < ROUNDS_OF_WAITS,
            None => start.elapsed() < self.case || rounds < 2,
        };
        while continues(rounds) {
            rounds += 1;
            for ((contestant, body), (_, samples)) in bodies.iter().zip(&mut samples) {
                if samples.is_out {
                    continue;
                }
                let waited = watched(name, contestant, || body(in_a_round, self.limit));
                if count.is_some() || samples.rounds.is_empty() {
                    samples.rounds.push(Vec::new());
                }
                if samples.add(&waited, in_a_round) {
                    let of = count.map_or(String::new(), |count| format!(" of {count}"));
                    let last = samples.unfinished.map_or(String::new(), |wait| {
                        format!(", the last of which had not ended after {wait:.0} us")
                    });
                    let waits =
                        format!("{}{of} waits in {:?}{last}", waited.waits.len(), self.limit);
                    eprintln!("{name}: {contestant} is cut off: {waits}");
                }
            }
        }
        say_cores(name, start, ran);
        samples
    }
}

/// The measured waits of a contestant.
#[derive(Default)]
struct Samples {
    /// In microseconds: the quantiles of each round are taken, and then the median of those.
    rounds: Vec<Vec<f64>>,
    /// The length so far of a wait that has not ended.
    unfinished: Option<f64>,
    is_cut_off: bool,
    is_out: bool,
}

impl Samples {
    /// Returns whether the round was cut off.
    fn add(&mut self, waited: &Waited, count: usize) -> bool {
        let waits = waited.waits.iter().map(|wait| wait.as_secs_f64() * 1e6);
        if waited.is_last_unfinished {
            self.unfinished = waits.clone().next_back();
        }
        self.rounds.last_mut().expect("a round has begun").extend(waits);
        let is_cut_off = waited.is_last_unfinished || waited.waits.len() < count;
        self.is_cut_off |= is_cut_off;
        self.is_out = waited.waits.len() < count / 2;
        is_cut_off
    }
}

/// Runs each body once, and measures nothing.
pub(crate) fn try_out(cases: Vec<Case>) {
    TINY.store(true, Relaxed);
    for Case { name, kind, .. } in cases {
        match kind {
            Kind::Times { bodies, .. } => bodies.iter().for_each(|(contestant, body)| {
                watched(&name, contestant, || body(8));
            }),
            Kind::Waits { bodies, .. } => bodies.iter().for_each(|(contestant, body)| {
                watched(&name, contestant, || body(8, TINY_LIMIT));
            }),
            Kind::Counts { counts, .. } => counts.iter().for_each(|(contestant, count)| {
                watched(&name, contestant, count);
            }),
        }
    }
}

/// How often a body runs its operations in a round, and how long that takes.
fn times_in_a_round(
    name: &str,
    contestant: &str,
    body: &Body,
    round: Duration,
    most: u64,
) -> (u64, Duration) {
    let mut times = 1;
    loop {
        let run = || watched(name, contestant, || body(times));
        let mut time = run();
        if time > 4 * round {
            return (times, time);
        }
        // The best of a few: a run that was interrupted says nothing.
        time = time.min([(); 4].map(|()| run()).into_iter().min().expect("there are four runs"));
        if time > round / 4 {
            let fitting = times as f64 * round.as_secs_f64() / time.as_secs_f64();
            return ((fitting as u64).clamp(1, most), round);
        }
        if times >= most {
            return (most, time);
        }
        times = most.min(times * if time > round / 64 { 2 } else { 8 });
    }
}

/// The CPU time of all threads of the process in seconds, where the system reports it.
fn processor_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // After the name of the process, which may contain anything: user time, then system time.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

/// If this is far below the number of threads, the machine was busy, and there was less contention than
/// it seems.
fn say_cores(name: &str, start: Instant, ran: Option<f64>) {
    if let Some((before, after)) = ran.zip(processor_time()) {
        let cores = (after - before) / start.elapsed().as_secs_f64();
        eprintln!("{name}: ran on {cores:.1} cores");
    }
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// The contestant that is running, and since when.
static RUNNING: Mutex<Option<(String, Instant)>> = Mutex::new(None);

fn running() -> MutexGuard<'static, Option<(String, Instant)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process if `run` hangs.
fn watched<T>(name: &str, contestant: &str, run: impl FnOnce() -> T) -> T {
    *running() = Some((format!("{name}: {contestant}"), Instant::now()));
    let output = run();
    *running() = None;
    output
}

/// Checks from time to time whether the watched contestant hangs.
pub(crate) fn watch() {
    thread::spawn(|| {
        loop {
            thread::sleep(Duration::from_secs(1));
            if let Some((what, since)) = &*running() {
                if since.elapsed() > HANGS {
                    eprintln!("{what} hangs");
                    process::exit(3);
                }
            }
        }
    });
}

fn row(workload: &'static str, name: String, unit: &'static str, cells: Columns<f64>) -> Row {
    let value = |contestant| cells.iter().find(|cell| cell.0 == contestant).map(|cell| cell.1);
    // A contestant that never waited has no value.
    let value = |contestant| value(contestant).filter(|value| !value.is_nan());
    let cells = CONTESTANTS.map(|contestant| (contestant, value(contestant))).to_vec();
    Row { workload, name, unit, cells, at_least: vec![], goal: None }
}

fn print_head() {
    print!("{:<48}", "ratio to ours, and ns/op or the unit");
    CONTESTANTS.iter().for_each(|name| print!("{name:>17}"));
    println!();
}

fn print(row: &Row) {
    let unit = if row.unit == "ns" { String::new() } else { format!(" ({})", row.unit) };
    print!("{:<48}", row.name.clone() + &unit);
    let ours = row.cells.first().and_then(|cell| cell.1);
    for (n, (contestant, value)) in row.cells.iter().enumerate() {
        let ratio = ours.zip(*value).map(|(ours, value)| value / ours);
        let brief = |value| row.mark(contestant).to_owned() + &brief(value);
        let cell = match (value, ratio) {
            (None, _) => "-".to_owned(),
            (Some(value), Some(ratio)) if n > 0 && ratio.is_finite() => {
                let digits = if ratio < 0.1 { 3 } else { 2 - 2 * usize::from(ratio > 100.0) };
                format!("x{ratio:.digits$} {:>8}", brief(*value))
            }
            (Some(value), _) => brief(*value),
        };
        print!("{cell:>17}");
    }
    println!("{}", row.verdict().map_or(String::new(), |verdict| format!("   {verdict}")));
    io::stdout().flush().expect("there is an output");
}

fn brief(value: f64) -> String {
    let digits = match value {
        _ if value.fract() == 0.0 => 0,
        ..10.0 => 2,
        ..1000.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}
