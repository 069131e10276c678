//! What is written down of a run.

use std::io;
use std::path::Path;

/// One line of the table.
pub(crate) struct Row {
    pub(crate) workload: &'static str,
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) cells: Vec<(&'static str, Option<f64>)>,
}

/// What was measured, on what.
pub(crate) struct About {
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
    pub(crate) rustc: String,
    pub(crate) versions: Vec<(&'static str, String)>,
    pub(crate) quick: bool,
    pub(crate) rounds: String,
}

pub(crate) fn write(dir: &Path, about: &About, rows: &[Row]) -> io::Result<()> {
    let About { date, machine, cores, system, rustc, versions, quick, rounds } = about;
    eprintln!("{date}, {machine}, {cores} cores, {system}, {rustc}, quick: {quick}, {rounds}");
    eprintln!("{versions:?}");
    eprintln!(
        "{} rows of {:?} would be in {}",
        rows.len(),
        rows.first().map(|row| row.workload),
        dir.display()
    );
    Ok(())
}
