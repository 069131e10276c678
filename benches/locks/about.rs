//! The machine and the versions that were measured.

use std::process::Command;
use std::{env, fs, thread};

use crate::report::About;

const LOCK_FILE: &str = include_str!("../../Cargo.lock");
/// The packages whose versions matter.
const PACKAGES: [&str; 8] =
    ["multilock", "async-lock", "tokio", "maitake-sync", "asyncband", "saa", "parking_lot", "smol"];

pub(crate) fn about(quick: bool, rounds: String) -> About {
    let cores = thread::available_parallelism().map_or(1, usize::from);
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
