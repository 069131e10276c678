//! For the author of a command-line tool, here on smol: many tasks write one index, and others read it meanwhile.
//!
//! It finds files with equal content. Tasks hash files in parallel and put the results into the index, while another task
//! reads it again and again to show the totals beside a progress bar.
//!
//! ```text
//! cargo run --release --example duplicates -- PATH...
//! cargo run --release --example duplicates -- --help
//! ```
//!
//! It shows these uses of the lock:
//! * an upgradable read guard, to look and then insert, with no other writer in between;
//! * a write guard, held as short as possible: the slow part, reading the file, is done before;
//! * a read guard beside these, which always sees a consistent index: for the progress, and for questions that are
//!   asked meanwhile.
//!
//! The tasks run on several threads, and borrow the index. Ctrl-C ends the program at any point.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fmt, thread};

use indicatif::{ProgressBar, ProgressStyle};
use multilock::{RwLock, RwLockUpgradableReadGuard};
use sha2::{Digest, Sha256};
use smol::channel::{Receiver, Sender, bounded, unbounded};
use smol::io::{AsyncBufReadExt, BufReader};
use smol::stream::StreamExt;
use smol::{Executor, Timer, Unblock, future};

const HELP: &str = "\
Finds files with equal content, and prints them in groups.

usage: duplicates [OPTION]... PATH...

  -j, --jobs N          hash N files at a time (as many as there are cores)
  -m, --min-size BYTES  leave out smaller files (1: empty ones are left out)
  -q, --queries         answer questions, also while files are hashed: for each line
                        of the input, the groups so far that have it in a name
  -h, --help            print this

Symbolic links are not followed, but for a PATH. A file that has several names
is looked at once.

Exit code: 0; 1 if something could not be read; 2 if nothing was done, as an
option or a PATH is wrong.
";

#[derive(Clone)]
struct Options {
    jobs: usize,
    min_size: u64,
    queries: bool,
    roots: Vec<PathBuf>,
}

impl Options {
    /// `None` if the options ask for help.
    fn parse(args: impl Iterator<Item = OsString>) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;

        let jobs = thread::available_parallelism().map_or(1, |cores| cores.get());
        let mut options = Self { jobs, min_size: 1, queries: false, roots: Vec::new() };
        let mut parser = lexopt::Parser::from_iter(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Short('j') | Long("jobs") => options.jobs = parser.value()?.parse()?,
                Short('m') | Long("min-size") => options.min_size = parser.value()?.parse()?,
                Short('q') | Long("queries") => options.queries = true,
                Short('h') | Long("help") => return Ok(None),
                Value(root) => options.roots.push(root.into()),
                _ => return Err(arg.unexpected()),
            }
        }
        if !(1..=256).contains(&options.jobs) {
            return Err("--jobs is a number from 1 to 256".into());
        }
        if options.roots.is_empty() {
            return Err("no PATH".into());
        }
        for root in &options.roots {
            fs::metadata(root).map_err(|error| format!("{root:?}: {error}"))?;
        }
        Ok(Some(options))
    }
}

type Hash = [u8; 32];

/// What all tasks share.
#[derive(Default)]
struct Index {
    /// The files that a task has hashed, or is about to.
    claimed: HashSet<FileId>,
    contents: HashMap<Hash, Content>,
    /// The totals of `contents`, and the number of unreadable files.
    totals: Totals,
}

struct Content {
    size: u64,
    paths: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Totals {
    files: u64,
    bytes: u64,
    duplicates: u64,
    duplicate_bytes: u64,
    unreadable: u64,
}

impl Index {
    fn add(&mut self, path: PathBuf, hash: Hash, size: u64) {
        let content = self.contents.entry(hash).or_insert(Content { size, paths: Vec::new() });
        content.paths.push(path);
        self.totals.files += 1;
        self.totals.bytes += size;
        if content.paths.len() > 1 {
            self.totals.duplicates += 1;
            self.totals.duplicate_bytes += size;
        }
    }

    fn totals(&self) -> Totals {
        debug_assert_eq!(self.totals, self.count(), "a writer was in the middle of a change");
        self.totals
    }

    /// The groups of equal files with `text` in one of their paths, largest savings first.
    fn groups(&self, text: &str) -> Vec<&Content> {
        let has_text = |path: &PathBuf| path.to_string_lossy().contains(text);
        let is_group = |it: &&Content| it.paths.len() > 1 && it.paths.iter().any(has_text);
        let mut groups: Vec<_> = self.contents.values().filter(is_group).collect();
        let spare = |group: &Content| group.size * (group.paths.len() as u64 - 1);
        groups.sort_by(|a, b| spare(b).cmp(&spare(a)).then_with(|| a.paths.cmp(&b.paths)));
        groups
    }

    fn count(&self) -> Totals {
        let mut totals = Totals { unreadable: self.totals.unreadable, ..Totals::default() };
        for Content { size, paths } in self.contents.values() {
            let files = paths.len() as u64;
            totals.files += files;
            totals.bytes += files * size;
            totals.duplicates += files - 1;
            totals.duplicate_bytes += (files - 1) * size;
        }
        totals
    }
}

/// The identity that all names of a file share.
#[cfg(unix)]
type FileId = (u64, u64);
#[cfg(unix)]
fn file_id(_: &Path, metadata: &Metadata) -> io::Result<FileId> {
    use std::os::unix::fs::MetadataExt;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
type FileId = PathBuf;
#[cfg(not(unix))]
fn file_id(path: &Path, _: &Metadata) -> io::Result<FileId> {
    fs::canonicalize(path)
}

/// A file, or an error about a path.
type Found = Result<(PathBuf, FileId), (PathBuf, io::Error)>;

/// Sends all files that it finds, ahead of the tasks, so that the bar soon has its length. Blocks.
fn walk(options: &Options, found: &Sender<Found>, bar: &ProgressBar) {
    let send = |it| {
        bar.inc_length(1);
        // Fails if the tasks have panicked, which is reported elsewhere.
        let _ = found.try_send(it);
    };
    let mut directories = Vec::new();
    let visit = |path, metadata: io::Result<Metadata>, directories: &mut Vec<PathBuf>| {
        match metadata {
            Ok(metadata) if metadata.is_dir() => directories.push(path),
            Ok(metadata) if metadata.is_file() && metadata.len() >= options.min_size => {
                send(match file_id(&path, &metadata) {
                    Ok(id) => Ok((path, id)),
                    Err(error) => Err((path, error)),
                });
            }
            // Too small; or a link, which may lead in a circle; or a pipe, which may never end.
            Ok(_) => {}
            Err(error) => send(Err((path, error))),
        }
    };
    for root in &options.roots {
        visit(root.clone(), fs::metadata(root), &mut directories);
    }
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                send(Err((directory, error)));
                continue;
            }
        };
        for entry in entries {
            match entry {
                Ok(entry) => visit(entry.path(), entry.metadata(), &mut directories),
                Err(error) => send(Err((directory.clone(), error))),
            }
        }
    }
}

/// Returns the hash and the size of the content, read in pieces. Blocks.
fn hash_file(path: &Path) -> io::Result<(Hash, u64)> {
    let mut file = File::open(path)?;
    let (mut hasher, mut size, mut piece) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok((hasher.finalize().into(), size)),
            Ok(read) => {
                hasher.update(&piece[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns whether the file is new. If so, the caller must hash it.
async fn claim(index: &RwLock<Index>, id: FileId) -> bool {
    // Readers may hold the lock beside this guard, but there is no writer, and no other task can claim.
    let index = index.upgradable_read().await;
    if index.claimed.contains(&id) {
        return false;
    }
    // Waits for the readers. What this task has seen is still true then.
    RwLockUpgradableReadGuard::upgrade(index).await.claimed.insert(id)
}

/// Hashes files one after another, as they are found.
async fn work(index: &RwLock<Index>, found: Receiver<Found>, bar: &ProgressBar) {
    while let Ok(found) = found.recv().await {
        if let Err((path, error)) = add(index, found).await {
            index.write().await.totals.unreadable += 1;
            bar.suspend(|| eprintln!("duplicates: {path:?}: {error}"));
        }
        bar.inc(1);
    }
}

/// Hashes a file, unless that was done before.
async fn add(index: &RwLock<Index>, found: Found) -> Result<(), (PathBuf, io::Error)> {
    let (path, id) = found?;
    if claim(index, id).await {
        // On a thread that may block, and without the lock meanwhile.
        let (path, hashed) = smol::unblock(move || {
            let hashed = hash_file(&path);
            (path, hashed)
        })
        .await;
        let (hash, size) = hashed.map_err(|error| (path.clone(), error))?;
        index.write().await.add(path, hash, size);
    }
    Ok(())
}

/// Shows the totals beside the bar, until it is dropped.
async fn watch(index: &RwLock<Index>, bar: &ProgressBar) {
    loop {
        // The guard is dropped at the end of the statement, because drawing may take long.
        let totals = index.read().await.totals();
        bar.set_message(totals.to_string());
        Timer::after(Duration::from_millis(100)).await;
    }
}

/// Answers questions one after another, until there are no more.
async fn answer(index: &RwLock<Index>, bar: &ProgressBar) {
    let mut questions = BufReader::new(Unblock::new(io::stdin())).lines();
    while let Some(Ok(question)) = questions.next().await {
        let answer = {
            let index = index.read().await;
            let groups = index.groups(&question);
            let shown: String = groups.iter().take(10).map(|group| group.to_string()).collect();
            let totals = index.totals();
            format!("{question:?}: {} groups so far, of {totals}\n{shown}", groups.len())
        };
        bar.suspend(|| eprint!("{answer}"));
    }
}

fn run(options: &Options) -> Index {
    let index = RwLock::default();
    // On the standard error, and only if that is a terminal.
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len}\n{msg}").unwrap();
    let bar = ProgressBar::new(0).with_style(style);
    let executor = Executor::new();
    thread::scope(|scope| {
        // On a thread of its own. After a panic no task waits for it.
        let (send, found) = unbounded();
        let owned = (options.clone(), bar.clone());
        let walk = smol::unblock(move || walk(&owned.0, &send, &owned.1));

        // The threads end when this is dropped, even by a panic.
        let (_run, ended) = bounded::<()>(1);
        for _ in 0..options.jobs {
            let (executor, ended) = (&executor, ended.clone());
            scope.spawn(move || smol::block_on(executor.run(ended.recv())));
        }

        let work = |_| executor.spawn(work(&index, found.clone(), &bar));
        let tasks: Vec<_> = (0..options.jobs).map(work).collect();
        drop(found);
        let all = async {
            for task in tasks {
                task.await;
            }
            walk.await;
        };
        let answers = async {
            if options.queries {
                answer(&index, &bar).await;
            }
        };
        let all = async { _ = future::zip(all, answers).await };
        smol::block_on(future::or(all, watch(&index, &bar)));
        bar.finish_and_clear();
    });
    drop(executor);
    index.into_inner()
}

/// Prints all groups, and the totals.
fn print(mut index: Index) -> io::Result<()> {
    for content in index.contents.values_mut() {
        content.paths.sort();
    }
    let mut out = BufWriter::new(io::stdout().lock());
    for group in index.groups("") {
        write!(out, "{group}")?;
    }
    writeln!(out, "{}", index.totals())?;
    out.flush()
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} files of {} bytes:", self.paths.len(), self.size)?;
        // Quoted, because a name may contain any bytes.
        self.paths.iter().try_for_each(|path| writeln!(f, "  {path:?}"))
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, bytes, duplicates, duplicate_bytes, unreadable } = self;
        write!(f, "{files} files of {bytes} bytes, {duplicates} duplicates of ")?;
        write!(f, "{duplicate_bytes} bytes, {unreadable} unreadable")
    }
}

fn main() -> ExitCode {
    let options = match Options::parse(env::args_os()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("duplicates: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    let index = run(&options);
    let unreadable = index.totals.unreadable;
    match print(index) {
        // As with `| head`.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("duplicates: {error}");
            ExitCode::FAILURE
        }
        _ if unreadable > 0 => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
