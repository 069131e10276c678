//! Loads as in programs: how long an operation takes, and how long a task waits for its lock.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::UdpSocket as StdSocket;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use std::{array, mem};

use lockable::LockPool;
use multilock::MultiLock;
use tokio::net::UdpSocket;

use crate::contestants::{AsyncLock, Guarded, Lock, NoLock, Word, awaits, hold, is_exclusive};
use crate::executor::{Runtime, now, yield_now};
use crate::harness::{Case, Waited, Waits, many, times, waits};

/// The locks of a start-up.
const LOCKS: usize = 1_000_000;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, count, bodies| waits("as in programs", name, count, &[], bodies);
    let without_saa = |mut bodies: Vec<(&'static str, Waits)>| {
        // It spins for a tenth of a millisecond before each wait.
        bodies.retain(|(contestant, _)| *contestant != saa::Lock::NAME);
        bodies
    };
    let mut keyed: Vec<(_, Waits)> = awaits!(NoLock, |L| load::<Keyed<Map<L>>>);
    keyed.push(("lockable", Box::new(load::<Keyed<LockPool<u64>>>)));
    vec![
        case("cache/16 tasks/5 % exclusive", 2000, awaits!(NoLock, |L| load::<Cache<L>>)),
        case("pool/16 tasks/4 connections", 2000, awaits!(NoLock, |L| load::<Pool<L>>)),
        case("keys/16 tasks/1000 keys", 2000, keyed),
        case("timer/tokio/8 tasks/25 % exclusive", 64, awaits!(NoLock, |L| load::<Sleep<L, true>>)),
        case(
            "timer/smol/8 tasks/25 % exclusive",
            256,
            awaits!(NoLock, |L| load::<Sleep<L, false>>),
        ),
        case("socket/8 tasks", 400, awaits!(NoLock, |L| load::<Socket<L>>)),
        case(
            "crowd/10000 tasks/1 hot lock",
            40_000,
            without_saa(awaits!(NoLock, |L| load::<Crowd<L, 1>>)),
        ),
        case(
            "crowd/10000 tasks/1000 cold locks",
            40_000,
            without_saa(awaits!(NoLock, |L| load::<Crowd<L, 1000>>)),
        ),
        times("as in programs", "start/1000000 locks", LOCKS as u64, awaits!(Word, |L| start::<L>)),
    ]
}

/// What the tasks of a program share, and do again and again.
trait Load: Default + Send + Sync + 'static {
    const RUNTIME: Runtime = Runtime::Tokio;
    const TASKS: usize;
    /// Each turn of this many has its wait measured: a look at the clock takes as long as some turns.
    const EVERY: u64 = 1;

    /// Returns how long it waited for its lock, if that is measured.
    fn turn(&self, task: u64, turn: u64) -> impl Future<Output = Option<Duration>> + Send;

    /// Panics if the turns did not do their work.
    fn check(&self, turns: u64);
}

struct Shared<T> {
    load: T,
    /// How many measured turns have begun.
    begun: AtomicU64,
    is_over: AtomicBool,
    waited: Mutex<Waited>,
}

/// Tasks that take turns until `count` waits are measured, or the limit is reached. All tasks take part
/// until then: none has turns of its own that are left over.
fn load<T: Load>(count: usize, limit: Duration) -> Waited {
    let tasks = many(T::TASKS) as u64;
    let shared = Arc::new(Shared {
        load: T::default(),
        begun: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        waited: Mutex::default(),
    });
    let time = T::RUNTIME.run(tasks, |task| {
        let shared = shared.clone();
        async move { take_turns(&shared, task, count as u64, limit).await }
    });
    let mut waited = mem::take(&mut *shared.waited.lock().expect("no task panics"));
    let turns = waited.operations.map_or(0, |(_, turns)| turns);
    shared.load.check(turns);
    waited.operations = Some((time, turns));
    waited
}

async fn take_turns<T: Load>(shared: &Shared<T>, task: u64, count: u64, limit: Duration) {
    let (start, mut turn, mut waits, mut unfinished) = (Instant::now(), 0, vec![], None);
    while !shared.is_over.load(Relaxed) && shared.begun.fetch_add(1, Relaxed) < count {
        let mut wait = None;
        for _ in 0..T::EVERY {
            wait = wait.max(shared.load.turn(task, turn).await);
            turn += 1;
        }
        waits.extend(wait);
        // At the limit the others stop. Otherwise the wait would have been longer.
        if shared.is_over.load(Relaxed) {
            unfinished = wait;
        } else if start.elapsed() > limit {
            shared.is_over.store(true, Relaxed);
        }
        // A program does something else between two turns.
        yield_now().await;
    }
    let mut waited = shared.waited.lock().expect("no task panics");
    waited.waits.append(&mut waits);
    waited.unfinished = waited.unfinished.max(unfinished);
    let others = waited.operations.map_or(0, |(_, turns)| turns);
    waited.operations = Some((Duration::ZERO, others + turn));
}

/// A number that looks like a random one.
fn random(task: u64, turn: u64) -> u64 {
    let mixed = (task << 32 | turn).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

/// Keys below `KEYS`, drawn by Zipf's law: the `n`th key is asked for `n` times more seldom than the
/// first.
const KEYS: usize = 1000;

fn zipf(random: u64) -> usize {
    static DRAWS: LazyLock<Vec<u16>> = LazyLock::new(|| {
        let sum = |keys| (1..=keys).map(|key| 1.0 / key as f64).sum::<f64>();
        let (all, mut key, mut below) = (sum(KEYS), 0, 1.0);
        let draw = |n| {
            while below < all * n as f64 / 65536.0 && key + 1 < KEYS as u16 {
                key += 1;
                below += 1.0 / f64::from(key + 1);
            }
            key
        };
        (0..65536).map(draw).collect()
    });
    DRAWS[random as usize % DRAWS.len()].into()
}

/// The words of an entry of a cache: to look at all takes about 200 ns.
const WORDS: usize = 112;

/// A cache in which each entry is looked at, and some are replaced, without an await.
struct Cache<L> {
    lock: L,
    guarded: Guarded,
    entries: Box<[[AtomicU64; WORDS]]>,
    writes: AtomicU64,
}

impl<L: Default> Default for Cache<L> {
    fn default() -> Self {
        let entry = |_| array::from_fn(|_| AtomicU64::new(0));
        let entries = (0..KEYS).map(entry).collect();
        Self { lock: L::default(), guarded: Guarded::default(), entries, writes: AtomicU64::new(0) }
    }
}

impl<L: AsyncLock> Load for Cache<L> {
    const TASKS: usize = 16;
    const EVERY: u64 = 8;

    async fn turn(&self, task: u64, turn: u64) -> Option<Duration> {
        let entry = &self.entries[zipf(random(task, turn))];
        let asked = (turn % Self::EVERY == 0).then(Instant::now);
        if is_exclusive(task, turn, 5) {
            let guard = self.lock.exclusive().await;
            black_box(&guard);
            let wait = asked.map(|asked| asked.elapsed());
            self.guarded.begin::<L>();
            entry.iter().for_each(|word| word.store(turn, Relaxed));
            self.guarded.end::<L>();
            self.writes.fetch_add(1, Relaxed);
            wait
        } else {
            let guard = self.lock.shared().await;
            black_box(&guard);
            let wait = asked.map(|asked| asked.elapsed());
            self.guarded.look::<L>();
            let mix = |sum: u64, word: &AtomicU64| {
                (sum.rotate_left(5) ^ word.load(Relaxed)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            };
            black_box(entry.iter().fold(0, mix));
            let [first, last] = [0, WORDS - 1].map(|n| entry[n].load(Relaxed));
            assert!(first == last || !L::EXCLUDES, "no entry is half replaced");
            wait
        }
    }

    fn check(&self, turns: u64) {
        let writes = self.writes.load(Relaxed);
        assert_eq!(self.guarded.changes(), writes);
        assert!(writes <= turns);
    }
}

/// A pool of connections. A task waits for all of them, takes the first, and cancels the other waits.
#[derive(Default)]
struct Pool<L>([Connection<L>; 4]);

#[derive(Default)]
struct Connection<L> {
    lock: L,
    guarded: Guarded,
}

impl<L: AsyncLock> Load for Pool<L> {
    const TASKS: usize = 16;

    async fn turn(&self, _: u64, _: u64) -> Option<Duration> {
        let asked = Instant::now();
        let [first, second, third, fourth] = &self.0;
        // It polls them in a random order, as long as none is ready.
        let (connection, guard) = tokio::select! {
            guard = first.lock.exclusive() => (first, guard),
            guard = second.lock.exclusive() => (second, guard),
            guard = third.lock.exclusive() => (third, guard),
            guard = fourth.lock.exclusive() => (fourth, guard),
        };
        let wait = asked.elapsed();
        connection.guarded.begin::<L>();
        yield_now().await;
        connection.guarded.end::<L>();
        drop(guard);
        Some(wait)
    }

    fn check(&self, turns: u64) {
        let changes: u64 = self.0.iter().map(|connection| connection.guarded.changes()).sum();
        assert_eq!(changes, turns);
    }
}

/// Locks that are known by keys, and exist while they are used.
trait KeyedLocks: Default + Send + Sync + 'static {
    /// Holds the lock of a key while other tasks are polled, as [`hold`] does.
    fn hold(
        &self,
        key: u64,
        guarded: &Guarded,
        entered: impl FnOnce() + Send,
    ) -> impl Future<Output = ()> + Send;
}

/// A map of locks, as one writes it oneself.
#[derive(Default)]
struct Map<L>(Mutex<HashMap<u64, Arc<L>>>);

impl<L: AsyncLock> KeyedLocks for Map<L> {
    async fn hold(&self, key: u64, guarded: &Guarded, entered: impl FnOnce() + Send) {
        let lock = self.0.lock().expect("no task panics").entry(key).or_default().clone();
        hold(&*lock, guarded, true, entered).await;
        let mut locks = self.0.lock().expect("no task panics");
        // That of the map, and this one.
        if Arc::strong_count(&lock) == 2 {
            locks.remove(&key);
        }
    }
}

impl KeyedLocks for LockPool<u64> {
    async fn hold(&self, key: u64, guarded: &Guarded, entered: impl FnOnce() + Send) {
        let guard = self.async_lock(key).await;
        entered();
        guarded.begin::<MultiLock>();
        yield_now().await;
        guarded.end::<MultiLock>();
        drop(guard);
    }
}

struct Keyed<T> {
    locks: T,
    guarded: [Guarded; KEYS],
}

impl<T: Default> Default for Keyed<T> {
    fn default() -> Self {
        Self { locks: T::default(), guarded: array::from_fn(|_| Guarded::default()) }
    }
}

impl<T: KeyedLocks> Load for Keyed<T> {
    const TASKS: usize = 16;

    async fn turn(&self, task: u64, turn: u64) -> Option<Duration> {
        let key = zipf(random(task, turn));
        let (asked, mut wait) = (Instant::now(), Duration::ZERO);
        let entered = || wait = asked.elapsed();
        self.locks.hold(key as u64, &self.guarded[key], entered).await;
        Some(wait)
    }

    fn check(&self, turns: u64) {
        assert_eq!(self.guarded.iter().map(Guarded::changes).sum::<u64>(), turns);
    }
}

/// A guard that is held while a timer of the runtime runs.
#[derive(Default)]
struct Sleep<L, const TOKIO: bool> {
    lock: L,
    guarded: Guarded,
    writes: AtomicU64,
}

impl<L: AsyncLock, const TOKIO: bool> Sleep<L, TOKIO> {
    async fn sleep(&self) {
        // The timer of tokio counts milliseconds.
        if TOKIO {
            tokio::time::sleep(Duration::from_millis(1)).await;
        } else {
            smol::Timer::after(Duration::from_micros(100)).await;
        }
    }
}

impl<L: AsyncLock, const TOKIO: bool> Load for Sleep<L, TOKIO> {
    const RUNTIME: Runtime = if TOKIO { Runtime::Tokio } else { Runtime::Smol };
    const TASKS: usize = 8;

    async fn turn(&self, task: u64, turn: u64) -> Option<Duration> {
        let asked = Instant::now();
        if is_exclusive(task, turn, 25) {
            let guard = self.lock.exclusive().await;
            let wait = asked.elapsed();
            self.guarded.begin::<L>();
            self.sleep().await;
            self.guarded.end::<L>();
            self.writes.fetch_add(1, Relaxed);
            drop(guard);
            Some(wait)
        } else {
            let guard = self.lock.shared().await;
            let wait = asked.elapsed();
            self.guarded.look::<L>();
            self.sleep().await;
            self.guarded.look::<L>();
            drop(guard);
            Some(wait)
        }
    }

    fn check(&self, turns: u64) {
        let writes = self.writes.load(Relaxed);
        assert_eq!(self.guarded.changes(), writes);
        assert!(writes <= turns);
    }
}

/// A guard that is held while a packet goes to a server and back.
#[derive(Default)]
struct Socket<L> {
    lock: L,
    guarded: Guarded,
}

/// A socket for each task, connected to a server that sends each packet back.
static SOCKETS: LazyLock<[UdpSocket; 8]> = LazyLock::new(|| {
    let socket = || {
        let socket = StdSocket::bind("127.0.0.1:0").expect("there is a loopback interface");
        socket.set_nonblocking(true).expect("a socket can be polled");
        UdpSocket::from_std(socket).expect("a runtime polls it")
    };
    let server = socket();
    let address = server.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut packet = [0; 64];
        while let Ok((length, from)) = server.recv_from(&mut packet).await {
            server.send_to(&packet[..length], from).await.expect("the task waits for it");
        }
    });
    array::from_fn(|_| {
        let client = socket();
        now(pin!(client.connect(address))).expect("the server is local");
        client
    })
});

impl<L: AsyncLock> Load for Socket<L> {
    const TASKS: usize = 8;

    async fn turn(&self, task: u64, turn: u64) -> Option<Duration> {
        let socket = &SOCKETS[task as usize];
        let (asked, mut packet) = (Instant::now(), [0; 64]);
        let guard = self.lock.exclusive().await;
        let wait = asked.elapsed();
        self.guarded.begin::<L>();
        packet[..8].copy_from_slice(&turn.to_le_bytes());
        socket.send(&packet).await.expect("the server is local");
        packet = [0; 64];
        let length = socket.recv(&mut packet).await.expect("the server answers");
        assert!(length == 64 && packet[..8] == turn.to_le_bytes(), "it is the answer to that");
        self.guarded.end::<L>();
        drop(guard);
        Some(wait)
    }

    fn check(&self, turns: u64) {
        assert_eq!(self.guarded.changes(), turns);
    }
}

/// Many tasks on one lock, or on many, a tenth of them exclusive.
struct Crowd<L, const LOCKS: usize> {
    locks: [(L, Guarded); LOCKS],
    writes: AtomicU64,
}

impl<L: Default, const LOCKS: usize> Default for Crowd<L, LOCKS> {
    fn default() -> Self {
        Self { locks: array::from_fn(|_| Default::default()), writes: AtomicU64::new(0) }
    }
}

impl<L: AsyncLock, const LOCKS: usize> Load for Crowd<L, LOCKS> {
    const TASKS: usize = 10_000;

    async fn turn(&self, task: u64, turn: u64) -> Option<Duration> {
        let (lock, guarded) = &self.locks[random(task, turn) as usize % LOCKS];
        let is_exclusive = is_exclusive(task, turn, 10);
        let (asked, mut wait) = (Instant::now(), Duration::ZERO);
        hold(lock, guarded, is_exclusive, || wait = asked.elapsed()).await;
        if is_exclusive {
            self.writes.fetch_add(1, Relaxed);
        }
        Some(wait)
    }

    fn check(&self, turns: u64) {
        let changes: u64 = self.locks.iter().map(|(_, guarded)| guarded.changes()).sum();
        assert!(changes == self.writes.load(Relaxed) && changes <= turns);
    }
}

/// Creates locks, and acquires each for the first time.
fn start<L: AsyncLock>(times: u64) -> Duration {
    let count = many(LOCKS);
    // In memory that was used before: to get some from the system is a matter of size alone.
    let mut locks: Vec<_> = (0..count).map(|_| L::default()).collect();
    let mut time = Duration::ZERO;
    for _ in 0..times {
        locks.clear();
        let start = Instant::now();
        locks.extend((0..count).map(|_| L::default()));
        for lock in black_box(&locks) {
            let guard = now(pin!(lock.exclusive()));
            black_box(&guard);
        }
        time += start.elapsed();
        assert!(locks.iter().all(|lock| lock.try_exclusive().is_some()), "all are released");
    }
    time
}
