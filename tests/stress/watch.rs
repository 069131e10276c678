//! What each worker does, as it reports itself, and the output when no worker makes progress any more.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::*;

/// How long the workers may make no progress.
pub(crate) const PATIENCE: Duration = Duration::from_secs(if cfg!(miri) { 600 } else { 20 });

/// This many workers are listed for each lock, and the rest are counted.
const LISTED: usize = 12;

/// The state of a worker. It causes no synchronization between workers: each writes to its own desk, and
/// only the watchdog reads it.
#[derive(Default)]
pub(crate) struct Desk {
    /// The number of reports.
    events: AtomicUsize,
    says: Mutex<Says>,
    bell: Arc<Bell>,
}

struct Says {
    doing: &'static str,
    holds: Vec<Hold>,
    held_since: Instant,
    wants: Vec<Hold>,
    wanted_since: Instant,
}

impl Default for Says {
    fn default() -> Self {
        let now = Instant::now();
        Self { doing: "", holds: vec![], held_since: now, wants: vec![], wanted_since: now }
    }
}

impl Desk {
    fn says(&self) -> MutexGuard<'_, Says> {
        self.events.fetch_add(1, Relaxed);
        self.look()
    }

    fn look(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker continues with something else, and keeps what it holds.
    pub(crate) fn does(&self, what: &'static str) {
        self.says().doing = what;
    }

    /// The worker waits for `wanted`, and keeps what it holds.
    pub(crate) fn wants(&self, what: &'static str, wanted: &[Hold]) {
        let mut says = self.says();
        says.doing = what;
        says.wanted_since = Instant::now();
        says.wants.extend_from_slice(wanted);
    }

    /// The worker holds these, and waits for nothing.
    pub(crate) fn holds(&self, held: &[Hold]) {
        let mut says = self.says();
        says.doing = if held.is_empty() { "between two turns" } else { "holds" };
        if says.holds.is_empty() {
            says.held_since = Instant::now();
        }
        says.wants.clear();
        says.holds.clear();
        says.holds.extend_from_slice(held);
    }

    pub(crate) fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }
}

/// The state of a worker's task, as its wakers see it.
#[derive(Default)]
pub(crate) struct Bell(AtomicUsize);

/// A waker of a worker: that of its task, with a new one for each of the task's wakers.
struct Ring(Arc<Bell>, Waker);

const NEW: usize = 0;
const POLLED: usize = 1;
const ASLEEP: usize = 2;
const WOKEN: usize = 3;
const DONE: usize = 4;

impl Bell {
    /// Runs `task`, and records when it is polled and when it is woken.
    pub(crate) async fn watch<F: Future>(self: Arc<Self>, task: F) -> F::Output {
        let mut task = pin!(task);
        let mut known: Option<(Waker, Waker)> = None;
        poll_fn(|cx| {
            // Not one for all: the lock must see a new waker where the task has a new one.
            let new = || {
                let ring = Ring(self.clone(), cx.waker().clone());
                (cx.waker().clone(), Waker::from(Arc::new(ring)))
            };
            let known = match &mut known {
                Some(known) if known.0.will_wake(cx.waker()) => known,
                known => known.insert(new()),
            };
            self.0.store(POLLED, Relaxed);
            let poll = task.as_mut().poll(&mut Context::from_waker(&known.1));
            if poll.is_ready() {
                self.0.store(DONE, Relaxed);
            } else {
                // This fails if the task was woken meanwhile.
                let _ = self.0.compare_exchange(POLLED, ASLEEP, Relaxed, Relaxed);
            }
            poll
        })
        .await
    }

    fn is_done(&self) -> bool {
        self.0.load(Relaxed) == DONE
    }
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Self(bell, task) = &**self;
        let mut now = bell.0.load(Relaxed);
        while now != DONE {
            match bell.0.compare_exchange_weak(now, WOKEN, Relaxed, Relaxed) {
                Ok(_) => break,
                Err(seen) => now = seen,
            }
        }
        task.wake_by_ref();
    }
}

impl fmt::Display for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.load(Relaxed) {
            NEW => "never polled",
            // A thread that blocks counts as being polled, too.
            POLLED => "in a poll",
            ASLEEP => "polled and asleep",
            WOKEN => "woken and not polled",
            _ => "done",
        })
    }
}

/// Waits until each worker has reported something.
pub(crate) fn until_all_have_begun(world: &World) {
    let start = Instant::now();
    while !world.desks.iter().all(|desk| desk.events.load(Relaxed) > 0) {
        assert!(start.elapsed() < PATIENCE, "not all workers have begun");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until all workers have ended, and returns the result of each. Fails with the first failure, and if
/// there is no progress.
pub(crate) fn watch(world: &World, ended: Receiver<thread::Result<Tally>>) -> Vec<Tally> {
    let (mut tallies, mut events, mut since) = (vec![], 0, Instant::now());
    loop {
        match ended.recv_timeout(PATIENCE / 20) {
            Ok(end) => {
                tallies.push(end.unwrap_or_else(|panic| resume_unwind(panic)));
                since = Instant::now();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return tallies,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = world.desks.iter().map(|desk| desk.events.load(Relaxed)).sum();
        if now != events {
            (events, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "no worker makes progress any more");
    }
}

/// Prints each lock: its word, its data, its holders and its waiters.
pub(crate) fn print(world: &World) {
    let says: Vec<_> = world.desks.iter().map(Desk::look).collect();
    for n in 0..ALL_LOCKS {
        let named = match n {
            NAMED => ", the named one",
            QUEUE => ", the queue",
            FIRST_ACCOUNT.. => ", an account",
            _ => "",
        };
        let word = world.word(n);
        if word == MultiLock::new().snapshot() {
            eprintln!("lock {n}{named}: free; guards {:?}", world.data[n]);
        } else {
            eprintln!("lock {n}{named}: {word:?}; guards {:?}", world.data[n]);
        }
        let of_this = |holds: &[Hold]| holds.iter().find(|hold| hold.0 == n).map(|hold| hold.1);
        let rows = says.iter().zip(&world.desks).enumerate();
        let holders = rows.clone().filter_map(|(worker, (says, desk))| {
            let (mode, since) = (of_this(&says.holds)?, says.held_since.elapsed().as_millis());
            Some(format!(
                "worker {worker}: {mode:?}, for {since} ms; {}: {}",
                says.doing, desk.bell
            ))
        });
        print_some("held by", holders);
        let waiters = rows.filter_map(|(worker, (says, desk))| {
            let (mode, since) = (of_this(&says.wants)?, says.wanted_since.elapsed().as_millis());
            let all = &says.wants;
            let whole = if all.len() > 1 { format!(" of {all:?}") } else { String::new() };
            Some(format!(
                "worker {worker}: {mode:?}{whole}, for {since} ms; {}: {}",
                says.doing, desk.bell
            ))
        });
        print_some("wanted by", waiters);
    }
    let idle = |says: &Says| says.holds.is_empty() && says.wants.is_empty();
    let others = says.iter().zip(&world.desks).enumerate().filter_map(|(worker, (says, desk))| {
        let shown = idle(says) && !desk.bell.is_done();
        shown.then(|| format!("worker {worker}: {}: {}", says.doing, desk.bell))
    });
    print_some("elsewhere", others);
    let done = world.desks.iter().filter(|desk| desk.bell.is_done()).count();
    eprintln!("{done} of {} workers are done", world.desks.len());
    eprintln!("holds on their way to another thread: {:?}", world.on_the_way);
}

fn print_some(what: &str, mut rows: impl Iterator<Item = String>) {
    rows.by_ref().take(LISTED).for_each(|row| eprintln!("  {what} {row}"));
    let more = rows.count();
    if more > 0 {
        eprintln!("  {what} {more} more");
    }
}
