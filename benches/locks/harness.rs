//! How the benchmark measures: contestants take turns, in short rounds. The time of a row has parts, and
//! what is true in each of them is decided.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use multilock::MultiLock;

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

/// How long each wait took.
#[derive(Default)]
pub(crate) struct Waited {
    pub(crate) waits: Vec<Duration>,
    /// The longest wait that was cut off: it would have taken longer.
    pub(crate) unfinished: Option<Duration>,
    /// How long all operations took, and how many there were. `None` if only waits are of interest.
    pub(crate) operations: Option<(Duration, u64)>,
}

/// A line of the table, or a few: what each contestant does there.
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
        /// The number of waits in a round.
        count: usize,
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
const TOO_LONG: Duration = Duration::from_secs(3);
/// A contestant that takes longer than this is considered hung.
const HANGS: Duration = Duration::from_secs(60);
/// The most operations of a round of several threads for a contestant whose waits spin: one round of it
/// may take a thousand times as long as another.
const SPINNING: u64 = 2000;
/// The parts of the time of a row. Two contestants that are as fast are in the same order in all parts
/// once in 64 rows: where one lock was two contestants, 2 rows of 82 were decided.
const PARTS: usize = 7;
/// What a case takes beside its time: the search for the length of a round, or long rounds.
const SEARCH: Duration = Duration::from_millis(400);
const ROUNDS: Duration = Duration::from_millis(1000);
/// About the time of two looks at the clock: a wait that is no longer is none.
const CLOCK: Duration = Duration::from_nanos(50);
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

/// Bodies that wait `count` times in a round, if they are not cut off, with a goal for some of `p50`,
/// `p99` and `worst`.
pub(crate) fn waits(
    workload: &'static str,
    name: impl Into<String>,
    count: usize,
    goals: &'static [(&'static str, Goal)],
    bodies: Columns<Waits>,
) -> Case {
    Case { workload, name: name.into(), kind: Kind::Waits { count, goals, bodies } }
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
            "{case:?} for each line. Contestants take turns, there and back, in rounds of {SHORT:?}, \
             of several threads {LONG:?}. The time has {PARTS} parts: a cell is the median of their \
             medians (or of their worst waits). Waits are cut off after {limit:?}"
        )
    }

    /// About how long the cases take.
    pub(crate) fn estimate(&self, cases: &[Case]) -> Duration {
        let time = |case: &Case| match case.kind {
            Kind::Times { .. } => self.case + SEARCH,
            // Some are cut off, and each part has a round, however long that is.
            Kind::Waits { .. } => self.case + 2 * self.limit + ROUNDS,
            Kind::Counts { .. } => Duration::ZERO,
        };
        cases.iter().map(time).sum()
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
                let samples = self.samples(&name, count, &bodies);
                let cells = |of: &dyn Fn(&Samples) -> Vec<f64>| {
                    samples.iter().map(|(contestant, samples)| (*contestant, of(samples))).collect()
                };
                let cut_off = |is: &dyn Fn(&Samples) -> bool| {
                    let cut_off = samples.iter().filter(|(_, samples)| is(samples));
                    cut_off.map(|(contestant, _)| *contestant).collect()
                };
                let mut rows = Vec::new();
                let time: Columns<Vec<f64>> = cells(&|samples| by_parts(&samples.times, 0.5));
                if time.iter().any(|(_, time)| !time.is_empty()) {
                    rows.push(Row {
                        // It did not do all of the work.
                        at_least: cut_off(&|samples| samples.is_cut_off),
                        ..row(workload, format!("{name}/time"), "ns", time)
                    });
                }
                for (part, at) in [("p50", 0.5), ("p99", 0.99), ("worst", 1.0)] {
                    let wait = |samples: &Samples| by_parts(&samples.waits, at);
                    rows.push(Row {
                        // More waits might include a longer one.
                        at_least: cut_off(&|samples| {
                            let unfinished = samples.unfinished.zip(median(wait(samples)));
                            samples.is_cut_off && part == "worst"
                                || unfinished.is_some_and(|(unfinished, wait)| unfinished <= wait)
                        }),
                        goal: goals.iter().find(|goal| goal.0 == part).map(|goal| goal.1),
                        ..row(workload, format!("{name}/{part}"), "us", cells(&wait))
                    });
                }
                rows
            }
            Kind::Counts { unit, counts } => {
                let count = |(contestant, count): (_, Count)| {
                    (contestant, vec![watched(&name, contestant, count)])
                };
                let cells = counts.into_iter().map(count).collect();
                vec![row(workload, name, unit, cells)]
            }
        }
    }

    /// The time of each contestant in each part, in nanoseconds per operation.
    fn times(
        &self,
        name: &str,
        operations: u64,
        round: Duration,
        bodies: &Columns<Body>,
    ) -> Columns<Vec<f64>> {
        // A slow contestant has one round, or a few, and leaves the time to the others.
        let share = 2 * self.case / bodies.len() as u32;
        let nanoseconds =
            |time: Duration, times| time.as_secs_f64() * 1e9 / (times * operations) as f64;
        let mut taking_part = Vec::new();
        for (contestant, body) in bodies {
            let spins = *contestant == saa::Lock::NAME && round == LONG;
            let most = if spins { (SPINNING / operations).max(1) } else { u64::MAX };
            let (times, time) = times_in_a_round(name, contestant, body, round, most);
            let (mut parts, mut used) = (Parts::default(), Duration::ZERO);
            if time > TOO_LONG {
                eprintln!("{name}: {contestant} takes {time:.1?}, and is left out");
                continue;
            } else if time > share {
                parts[0].push(nanoseconds(time, times));
                used = time;
            }
            taking_part.push((*contestant, body, times, used, parts));
        }
        let (start, ran) = (Instant::now(), processor_time());
        self.take_turns(&mut taking_part, |(contestant, body, times, used, parts), part| {
            if *used < share * (part as u32 + 1) / PARTS as u32 {
                let time = watched(name, contestant, || body(*times));
                *used += time;
                parts[part].push(nanoseconds(time, *times));
            }
        });
        if round == LONG {
            say_cores(name, start, ran);
        }
        let parts = taking_part.into_iter();
        parts.map(|(contestant, .., parts)| (contestant, by_parts(&parts, 0.5))).collect()
    }

    /// All waits of each contestant. A contestant that reaches the limit with less than half of its
    /// waits takes no part in later rounds.
    fn samples(&self, name: &str, count: usize, bodies: &Columns<Waits>) -> Columns<Samples> {
        let samples = |(contestant, body)| (contestant, body, Samples::default());
        let mut samples: Vec<_> =
            bodies.iter().map(|(name, body)| samples((*name, body))).collect();
        let (start, ran) = (Instant::now(), processor_time());
        self.take_turns(&mut samples, |(contestant, body, samples), part| {
            if samples.is_out {
                return;
            }
            let waited = watched(name, contestant, || body(count, self.limit));
            if samples.add(&waited, count, part) {
                let last = samples.unfinished.map_or(String::new(), |wait| {
                    format!(", one of which had not ended after {wait:.0} us")
                });
                let waits =
                    format!("{} of {count} waits in {:?}{last}", waited.waits.len(), self.limit);
                eprintln!("{name}: {contestant} is cut off: {waits}");
            }
        });
        say_cores(name, start, ran);
        samples.into_iter().map(|(contestant, _, samples)| (contestant, samples)).collect()
    }

    /// Lets all have rounds for the time of a case, and at least one in each part. They take turns there
    /// and back, so that none always follows the same one.
    fn take_turns<C>(&self, contestants: &mut [C], mut round: impl FnMut(&mut C, usize)) {
        let start = Instant::now();
        for part in 0..PARTS {
            loop {
                contestants.iter_mut().for_each(|contestant| round(contestant, part));
                contestants.reverse();
                if start.elapsed() >= self.case * (part as u32 + 1) / PARTS as u32 {
                    break;
                }
            }
        }
    }
}

/// What was measured in each part.
type Parts = [Vec<f64>; PARTS];

/// The quantile of each part. A part without rounds has the median of the others, and all are empty if
/// nothing was measured.
fn by_parts(parts: &Parts, at: f64) -> Vec<f64> {
    let quantiles = parts.each_ref().map(|part| quantile(part.clone(), at));
    let known = median(quantiles.iter().flatten().copied().collect());
    quantiles.into_iter().filter_map(|part| part.or(known)).collect()
}

/// The measured waits of a contestant.
#[derive(Default)]
struct Samples {
    /// In microseconds.
    waits: Parts,
    /// In nanoseconds per operation.
    times: Parts,
    /// The length so far of a wait that has not ended.
    unfinished: Option<f64>,
    is_cut_off: bool,
    is_out: bool,
}

impl Samples {
    /// Returns whether the round was cut off.
    fn add(&mut self, waited: &Waited, count: usize, part: usize) -> bool {
        let microseconds = |wait: &Duration| CLOCK.max(*wait).as_secs_f64() * 1e6;
        self.waits[part].extend(waited.waits.iter().map(microseconds));
        let time = waited.operations.map(|(time, count)| time.as_secs_f64() * 1e9 / count as f64);
        self.times[part].extend(time);
        let unfinished = waited.unfinished.iter().map(microseconds);
        self.unfinished = unfinished.chain(self.unfinished).reduce(f64::min);
        let is_cut_off = waited.unfinished.is_some() || waited.waits.len() < count;
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

/// The value at this part of the sorted values.
fn quantile(mut values: Vec<f64>, at: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get((values.len().saturating_sub(1) as f64 * at).round() as usize).copied()
}

pub(crate) fn median(values: Vec<f64>) -> Option<f64> {
    quantile(values, 0.5)
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

fn row(
    workload: &'static str,
    name: String,
    unit: &'static str,
    mut cells: Columns<Vec<f64>>,
) -> Row {
    // A contestant that never waited has no value.
    cells.retain(|(_, parts)| !parts.is_empty());
    cells.sort_by_key(|(contestant, _)| CONTESTANTS.iter().position(|name| name == contestant));
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
    for contestant in CONTESTANTS {
        let brief = |value| row.mark(contestant).to_owned() + &brief(value);
        let cell = match (row.value(contestant), row.ratio(contestant)) {
            (None, _) => "-".to_owned(),
            (Some(value), Some(ratio)) if contestant != MultiLock::NAME => {
                let digits = if ratio < 0.1 { 3 } else { 2 - 2 * usize::from(ratio > 100.0) };
                let sign = row.sign(contestant);
                format!("{sign}x{ratio:.digits$} {:>8}", brief(value))
            }
            (Some(value), _) => brief(value),
        };
        print!("{cell:>17}");
    }
    println!("   {}   {}", row.standing(), row.verdict().unwrap_or_default());
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
