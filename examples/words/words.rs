//! For the author of a program with tasks and threads, here on smol: both wait for conditions on the same data.
//!
//! It counts the words in files. Tasks read the files, and threads count: between them is a queue with room for a few
//! lines.
//!
//! ```text
//! cargo run --example words -- PATH...
//! ```
//!
//! It shows how to wait for a condition on the data, without a condition variable. Nothing is signaled: a wait ends when
//! a writer has made its condition true.
//! * `write_when`: a task waits until the queue has room.
//! * `write_when_blocking`: a thread waits until the queue has a line, or is at its end.
//! * `read_when`: a task waits until the program has left a state.
//! * `changes`: a task follows the state of the program.

use std::collections::{HashMap, VecDeque};
use std::process::ExitCode;
use std::{env, io, thread};

use futures::future::{join, join_all};
use multilock::RwLock;
use smol::fs::File;
use smol::io::{AsyncBufReadExt, BufReader};
use smol::stream::StreamExt;

/// The lines that the queue has room for.
const ROOM: usize = 16;
/// The words that are printed.
const SHOWN: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// So many files must still be opened. Nothing is read before that.
    Opening(usize),
    Ready,
    /// A file could not be opened. Nothing is counted.
    Failed,
    Counted,
}

impl State {
    fn after_open(self, success: bool) -> Self {
        match self {
            Self::Opening(1) if success => Self::Ready,
            Self::Opening(left) if success => Self::Opening(left - 1),
            _ => Self::Failed,
        }
    }
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<String>,
    /// The number of tasks that may still put lines into the queue.
    readers: usize,
    /// The highest number of lines so far.
    peak: usize,
}

type Counts = HashMap<String, usize>;

struct Shared {
    state: RwLock<State>,
    queue: RwLock<Queue>,
    counts: RwLock<Counts>,
}

/// Opens a file, waits until all files are open, and puts the lines into the queue.
async fn read(shared: &Shared, path: &str) -> io::Result<()> {
    let file = File::open(path).await;
    shared.state.with_mut(|state| *state = state.after_open(file.is_ok())).await;
    let mut lines = BufReader::new(file?).lines();
    let is_decided = |state: &State| !matches!(state, State::Opening(_));
    // The guard is dropped at the end of the statement.
    if *shared.state.read_when(is_decided).await == State::Failed {
        return Ok(());
    }
    while let Some(line) = lines.next().await {
        let line = line?;
        let mut queue = shared.queue.write_when(|queue| queue.lines.len() < ROOM).await;
        queue.lines.push_back(line);
        queue.peak = queue.peak.max(queue.lines.len());
    }
    Ok(())
}

/// Reads a file, and then leaves. Returns whether that was possible.
async fn reader(shared: &Shared, path: &str) -> bool {
    let result = read(shared, path).await;
    shared.queue.with_mut(|queue| queue.readers -= 1).await;
    result.inspect_err(|error| eprintln!("words: {path}: {error}")).is_ok()
}

/// Takes lines out of the queue and counts their words, on a thread.
fn count(shared: &Shared) {
    let mut counts = Counts::new();
    let has_line_or_end = |queue: &Queue| !queue.lines.is_empty() || queue.readers == 0;
    loop {
        // The lock is released at the end of the statement, and not held while the line is counted.
        let line = shared.queue.write_when_blocking(has_line_or_end).lines.pop_front();
        let Some(line) = line else { break };
        for word in line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
    }
    shared.counts.with_mut_blocking(|all| {
        counts.into_iter().for_each(|(word, count)| *all.entry(word).or_default() += count);
    });
}

/// Reports each state, until the last one. States that follow each other at once may be reported as one.
async fn report(state: &RwLock<State>) {
    let mut changes = state.changes();
    loop {
        let now = *state.read().await;
        eprintln!("{now:?}");
        if matches!(now, State::Failed | State::Counted) {
            break;
        }
        changes.next().await;
    }
}

fn main() -> ExitCode {
    let paths: Vec<String> = env::args().skip(1).collect();
    if paths.is_empty() {
        eprintln!("usage: words PATH...");
        return ExitCode::from(2);
    }
    let shared = Shared {
        state: RwLock::new(State::Opening(paths.len())),
        queue: RwLock::new(Queue { readers: paths.len(), ..Queue::default() }),
        counts: RwLock::default(),
    };
    let success = thread::scope(|scope| {
        let readers = paths.iter().map(|path| reader(&shared, path));
        let all = join(join_all(readers), report(&shared.state));
        let tasks = scope.spawn(|| smol::block_on(all));
        let jobs = thread::available_parallelism().map_or(1, |jobs| jobs.get());
        let counters: Vec<_> = (0..jobs).map(|_| scope.spawn(|| count(&shared))).collect();
        counters.into_iter().for_each(|counter| counter.join().unwrap());
        shared.state.with_mut_blocking(|state| {
            if *state == State::Ready {
                *state = State::Counted;
            }
        });
        let (read, ()) = tasks.join().unwrap();
        read.into_iter().all(|success| success)
    });
    let mut words: Vec<_> = shared.counts.into_inner().into_iter().collect();
    words.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
    words.iter().take(SHOWN).for_each(|(word, count)| println!("{count:6} {word}"));
    let total: usize = words.iter().map(|(_, count)| count).sum();
    println!("{total} words, {} different ones", words.len());
    eprintln!("the queue held {} of {ROOM} lines at most", shared.queue.into_inner().peak);
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
