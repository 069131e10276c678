//! One task that waits beside actors with full mailboxes.

use std::hint::black_box;
use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::contestants::{AsyncLock, Guarded, NoLock, awaits};
use crate::executor::{Runtime, yield_now};
use crate::harness::{Case, Waited, waits};
use crate::report::Goal;

/// The waits of each contestant in a round.
const WAITS: usize = 1000;
/// The capacity of a mailbox.
const CAPACITY: usize = 32;
/// About how often each actor has written before the first wait.
const BEFORE: u64 = 16;
/// The turns of the longest pause between two waits, after the actors have written again. Pauses
/// differ, so that waits begin at different points of the actors' work.
const PAUSE: usize = 8;

/// In microseconds. A part without a goal is only reported.
const GOALS: [(&str, Goal); 2] =
    [("p50", Goal { value: 20.0, times: 5.0 }), ("worst", Goal { value: 500.0, times: 3.0 })];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (waiter, is_writer) in [("reader", false), ("writer", true)] {
        for runtime in Runtime::OF_ONE_OR_TWO {
            for actors in [1, 2, 4] {
                let plural = if actors == 1 { "" } else { "s" };
                let name =
                    format!("busy/{waiter}/{}/{actors} actor{plural}", runtime.name_with_workers());
                cases.push(waits(
                    "waits beside busy actors",
                    name,
                    WAITS,
                    &GOALS,
                    awaits!(NoLock, |L| move |count, limit| {
                        beside::<L>(runtime, actors, is_writer, count, limit)
                    }),
                ));
            }
        }
    }
    cases
}

#[derive(Default)]
struct Shared<L> {
    lock: L,
    guarded: Guarded,
    /// The number of writes by the actors.
    writes: AtomicU64,
    is_over: AtomicBool,
    waited: Mutex<Waited>,
}

impl<L> Shared<L> {
    /// Waits until the actors have written `more` times: their worker may sleep, or be interrupted.
    async fn others_write(&self, more: u64) {
        let until = self.writes.load(Relaxed) + more;
        while self.writes.load(Relaxed) < until && !self.is_over.load(Relaxed) {
            yield_now().await;
        }
    }
}

/// The role of a task.
enum Role {
    Waits,
    Acts(Mailbox),
    Sends(Sender),
}

/// Measures the waits of a task, while actors write again and again and read their messages
/// meanwhile.
fn beside<L: AsyncLock>(
    runtime: Runtime,
    actors: usize,
    is_writer: bool,
    count: usize,
    limit: Duration,
) -> Waited {
    let shared = Arc::new(Shared::<L>::default());
    let mut roles = vec![Role::Waits];
    for _ in 0..actors {
        let (sender, mailbox) = mailbox(runtime);
        roles.extend([Role::Acts(mailbox), Role::Sends(sender)]);
    }
    let tasks = roles.len() as u64;
    let roles = Mutex::new(roles);
    let time = runtime.run(tasks, |_| {
        let shared = shared.clone();
        let role = roles.lock().expect("no task panics").pop().expect("each task has a role");
        async move {
            match role {
                Role::Waits => {
                    shared.others_write(BEFORE * actors as u64).await;
                    wait_often(&shared, is_writer, count, limit).await;
                }
                Role::Acts(mailbox) => act(&shared, mailbox, limit).await,
                // Ends with the mailbox.
                Role::Sends(sender) => while sender.send(1).await {},
            }
        }
    });
    let waited = mem::take(&mut *shared.waited.lock().expect("no task panics"));
    let (own, writes) = (waited.waits.len() as u64, shared.writes.load(Relaxed));
    assert_eq!(shared.guarded.changes(), writes + if is_writer { own } else { 0 });
    Waited { operations: Some((time, writes + own)), ..waited }
}

async fn wait_often<L: AsyncLock>(
    shared: &Shared<L>,
    is_writer: bool,
    count: usize,
    limit: Duration,
) {
    let (start, mut waited) = (Instant::now(), Waited::default());
    for turn in 0..count {
        // A wait without the actors says nothing.
        if shared.is_over.load(Relaxed) {
            break;
        }
        let asked = Instant::now();
        let wait = wait(shared, is_writer, asked).await;
        waited.waits.push(wait);
        // At the limit the actors stop. Otherwise the wait would have been longer.
        waited.unfinished = shared.is_over.load(Relaxed).then_some(wait);
        if waited.unfinished.is_some() || start.elapsed() > limit {
            break;
        }
        shared.others_write(1).await;
        for _ in 0..turn % PAUSE {
            yield_now().await;
        }
    }
    shared.is_over.store(true, Relaxed);
    *shared.waited.lock().expect("no task panics") = waited;
}

async fn wait<L: AsyncLock>(shared: &Shared<L>, is_writer: bool, asked: Instant) -> Duration {
    if is_writer {
        let guard = shared.lock.exclusive().await;
        black_box(&guard);
        let wait = asked.elapsed();
        shared.guarded.change::<L>();
        wait
    } else {
        let guard = shared.lock.shared().await;
        black_box(&guard);
        let wait = asked.elapsed();
        shared.guarded.look::<L>();
        wait
    }
}

/// Waits for the lock beside its messages, which cause that wait to be polled again and again.
async fn act<L: AsyncLock>(shared: &Shared<L>, mut mailbox: Mailbox, limit: Duration) {
    let (start, mut seen) = (Instant::now(), 0_u64);
    while !shared.is_over.load(Relaxed) {
        let mut write = pin!(shared.lock.exclusive());
        let guard = loop {
            tokio::select! {
                biased;
                guard = &mut write => break guard,
                message = mailbox.receive() => seen += message,
            }
        };
        shared.guarded.begin::<L>();
        yield_now().await;
        shared.guarded.end::<L>();
        shared.writes.fetch_add(1, Relaxed);
        drop(guard);
        if start.elapsed() > limit {
            shared.is_over.store(true, Relaxed);
        }
    }
    black_box(seen);
}

/// The runtime's own channel, as in most programs.
enum Mailbox {
    Tokio(tokio::sync::mpsc::Receiver<u64>),
    Smol(smol::channel::Receiver<u64>),
}

enum Sender {
    Tokio(tokio::sync::mpsc::Sender<u64>),
    Smol(smol::channel::Sender<u64>),
}

fn mailbox(runtime: Runtime) -> (Sender, Mailbox) {
    if runtime.is_tokio() {
        let (sender, receiver) = tokio::sync::mpsc::channel(CAPACITY);
        (Sender::Tokio(sender), Mailbox::Tokio(receiver))
    } else {
        let (sender, receiver) = smol::channel::bounded(CAPACITY);
        (Sender::Smol(sender), Mailbox::Smol(receiver))
    }
}

impl Mailbox {
    async fn receive(&mut self) -> u64 {
        let message = match self {
            Self::Tokio(receiver) => receiver.recv().await,
            Self::Smol(receiver) => receiver.recv().await.ok(),
        };
        message.expect("the sender outlives the mailbox")
    }
}

impl Sender {
    /// Returns whether the mailbox is still open.
    async fn send(&self, message: u64) -> bool {
        match self {
            Self::Tokio(sender) => sender.send(message).await.is_ok(),
            Self::Smol(sender) => sender.send(message).await.is_ok(),
        }
    }
}
