//! The machine and the versions that were measured.

use std::hint::black_box;
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use crate::harness::median;
use crate::report::About;

const LOCK_FILE: &str = include_str!("../../Cargo.lock");
/// The packages whose versions matter.
const PACKAGES: [&str; 10] = [
    "multilock",
    "async-lock",
    "tokio",
    "maitake-sync",
    "asyncband",
    "saa",
    "happylock",
    "lockable",
    "parking_lot",
    "smol",
];

pub(crate) fn about(quick: bool, rounds: String, cores: String) -> About {
    About {
        date: output("date", &["-u", "+%F"]),
        machine: machine(),
        cores,
        system: format!("{} {}", env::consts::OS, env::consts::ARCH),
        rustc: output("rustc", &["-V"]),
        versions: PACKAGES.map(|name| (name, version(name))).to_vec(),
        quick,
        rounds,
    }
}

/// How many cores there are, and how many of them two busy threads really have: a machine may be shared,
/// and a core may be half of one.
pub(crate) fn cores() -> String {
    let available = thread::available_parallelism().map_or(1, usize::from);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let affinity = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let affinity = affinity.map_or(String::new(), |list| format!(" (affinity {})", list.trim()));
    let plural = if available == 1 { "" } else { "s" };
    format!("{available} core{plural}{affinity}, of which two spinning threads had {}", cores_had())
}

/// The work of two threads that spin, in relation to that of one.
pub(crate) fn cores_had() -> String {
    let one = (0..SPINS).map(|_| spin(1)).fold(0.0, f64::max);
    let had = median((0..SPINS).map(|_| spin(2) / one).collect());
    format!("{:.2}", had.unwrap_or_default())
}

/// How often each number of threads spins, and for how long.
const SPINS: usize = 3;
const SPIN: Duration = Duration::from_millis(60);

/// The work that threads do per second while all of them spin.
fn spin(threads: usize) -> f64 {
    let together = Barrier::new(threads);
    let work = || {
        together.wait();
        let (start, mut work) = (Instant::now(), 0);
        while start.elapsed() < SPIN {
            work = (work..work + 1000).fold(0, |_, step| black_box(step)) + 1;
        }
        work as f64 / start.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).sum()
    })
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".to_owned())
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown", |(_, name)| name).to_owned()
}

/// The newest version of a package in the lock file.
fn version(name: &str) -> String {
    let head = format!("name = \"{name}\"\nversion = \"");
    let versions = LOCK_FILE.split(&head).skip(1).filter_map(|rest| rest.split('"').next());
    versions.last().unwrap_or("unknown").to_owned()
}
