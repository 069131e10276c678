//! Firmware with a table of measurements: two tasks read it, one revises it, a more urgent one corrects
//! it now and then, and an interrupt adds to it each millisecond if it can.
//!
//! It works on the table for a while, reports, and checks its report.

#![no_std]
#![no_main]

use core::future::poll_fn;
use core::pin::pin;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use embassy_executor::{SendSpawner, Spawner};
use embassy_futures::yield_now;
use embassy_time::{Duration, Timer, with_timeout};
use multilock::Mode::{Exclusive, Shared, Upgradable};
use multilock::{Guard, MultiLock};
use no_std_example::{board, heap, println};

// ---- The table

/// All cells are equal while there is no writer. A writer changes them one after another.
struct Table {
    lock: MultiLock,
    cells: [AtomicU32; 8],
}

static TABLE: Table = Table { lock: MultiLock::new(), cells: [const { AtomicU32::new(0) }; 8] };

impl Table {
    /// The value in all cells. The caller holds the lock.
    fn value(&self, hold: &Guard<'_>) -> u32 {
        assert!(core::ptr::eq(hold.lock(), &self.lock));
        let value = self.cells[0].load(SeqCst);
        if self.cells.iter().any(|cell| cell.load(SeqCst) != value) {
            TORN.add_one();
        }
        value
    }

    /// Writes the next value at once, where waiting is impossible.
    fn add_one(&self, hold: &Guard<'_>) {
        assert_eq!(hold.mode(), Exclusive);
        let next = self.value(hold) + 1;
        self.cells.iter().for_each(|cell| cell.store(next, SeqCst));
    }

    /// Writes the next value, and yields to other tasks in between.
    async fn add_one_slowly(&self, hold: &Guard<'_>) {
        assert_eq!(hold.mode(), Exclusive);
        let next = self.value(hold) + 1;
        for cell in &self.cells {
            cell.store(next, SeqCst);
            yield_now().await;
        }
    }
}

// ---- What is counted

/// Counts in tasks and in interrupts.
struct Counter(AtomicU32);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    fn add_one(&self) {
        critical_section::with(|_| self.0.store(self.get() + 1, SeqCst));
    }

    fn get(&self) -> u32 {
        self.0.load(SeqCst)
    }
}

static TORN: Counter = Counter::new();
static READS: Counter = Counter::new();
static REVISIONS: Counter = Counter::new();
static LOOKS: Counter = Counter::new();
static CORRECTIONS: Counter = Counter::new();
static TIMEOUTS: Counter = Counter::new();
static MEASUREMENTS: Counter = Counter::new();
static MISSED: Counter = Counter::new();
/// Tasks that have ended.
static ENDED: Counter = Counter::new();

async fn until_ended(tasks: u32) {
    while ENDED.get() < tasks {
        Timer::after_millis(1).await;
    }
}

// ---- The work

const ROUNDS: u32 = 100;

/// Reads the table, and holds the lock for a while.
#[embassy_executor::task(pool_size = 2)]
async fn reader() {
    for round in 0..ROUNDS {
        let hold = TABLE.lock.acquire(Shared).await;
        let before = TABLE.value(&hold);
        Timer::after_millis(if round % 4 == 0 { 5 } else { 1 }).await;
        assert_eq!(TABLE.value(&hold), before);
        READS.add_one();
        drop(hold);
        yield_now().await;
    }
    ENDED.add_one();
}

/// Reads beside the readers whether there is something to revise, and only then excludes them.
#[embassy_executor::task]
async fn writer() {
    for round in 0..ROUNDS {
        let mut hold = TABLE.lock.acquire(Upgradable).await;
        let seen = TABLE.value(&hold);
        if round % 3 == 0 {
            hold.upgrade().await.unwrap();
            assert_eq!(TABLE.value(&hold), seen, "no writer enters before an upgrade");
            TABLE.add_one_slowly(&hold).await;
            hold.downgrade(Shared);
            assert_eq!(TABLE.value(&hold), seen + 1, "no writer enters at a downgrade");
            REVISIONS.add_one();
        } else {
            LOOKS.add_one();
        }
        drop(hold);
        Timer::after_millis(1).await;
    }
    ENDED.add_one();
}

/// Preempts the other tasks, and cancels if a wait takes too long.
#[embassy_executor::task]
async fn corrector() {
    for round in 0..ROUNDS {
        let patience = Duration::from_millis(if round % 2 == 0 { 2 } else { 20 });
        match with_timeout(patience, TABLE.lock.acquire(Exclusive)).await {
            Ok(hold) => {
                TABLE.add_one_slowly(&hold).await;
                CORRECTIONS.add_one();
            }
            Err(_) => TIMEOUTS.add_one(),
        }
        Timer::after_millis(2).await;
    }
    ENDED.add_one();
}

/// Runs each millisecond, in an interrupt, and does not wait.
fn measure() {
    match TABLE.lock.try_acquire(Exclusive) {
        Some(hold) => {
            TABLE.add_one(&hold);
            MEASUREMENTS.add_one();
        }
        None => MISSED.add_one(),
    }
}

// ---- A long hold

/// The waiters in the order of service, and the number of polls of each.
static SERVED: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
static POLLS: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
static NEXT: Counter = Counter::new();

async fn queue_up(arrival: u32) {
    Timer::after_millis(arrival.into()).await;
    let mut polls = 0;
    let mut acquire = pin!(TABLE.lock.acquire(Exclusive));
    let hold = poll_fn(|cx| {
        polls += 1;
        acquire.as_mut().poll(cx)
    })
    .await;
    SERVED[NEXT.get() as usize].store(arrival, SeqCst);
    POLLS[NEXT.get() as usize].store(polls, SeqCst);
    NEXT.add_one();
    // So that each of the others would find the lock held, if it acquired too early.
    Timer::after_millis(1).await;
    drop(hold);
    ENDED.add_one();
}

#[embassy_executor::task(pool_size = 2)]
async fn waiter(arrival: u32) {
    queue_up(arrival).await;
}

#[embassy_executor::task]
async fn urgent_waiter(arrival: u32) {
    queue_up(arrival).await;
}

// ---- All of it

#[embassy_executor::task]
async fn supervisor(tasks: Spawner, urgent: SendSpawner) {
    println!("machine    {}", board::NAME);

    // 1. Without contention.
    let at_first = heap::stats();
    for _ in 0..100 {
        for mode in [Shared, Upgradable, Exclusive] {
            TABLE.value(&TABLE.lock.acquire(mode).await);
        }
        if let Some(mut hold) = TABLE.lock.try_acquire(Upgradable) {
            hold.try_upgrade().unwrap();
        }
    }
    println!("at first   400 holds");
    assert_eq!(heap::stats(), at_first, "an acquisition without contention allocates");

    // 2. A long acquisition, and three waiters.
    let hold = TABLE.lock.acquire(Exclusive).await;
    // At the beginning of a millisecond, so that they arrive in different ones.
    Timer::after_millis(1).await;
    tasks.spawn(waiter(1).unwrap());
    urgent.spawn(urgent_waiter(2).unwrap());
    tasks.spawn(waiter(3).unwrap());
    Timer::after_millis(10).await;
    let in_vain = with_timeout(Duration::from_millis(10), TABLE.lock.acquire(Shared)).await;
    assert!(in_vain.is_err());
    drop(hold);
    until_ended(3).await;
    let queue = heap::stats();
    println!("long hold  served {SERVED:?}, with {POLLS:?} polls");
    assert_eq!(SERVED.each_ref().map(|served| served.load(SeqCst)), [1, 2, 3]);
    assert!(POLLS.iter().all(|polls| polls.load(SeqCst) <= 2));

    // 3. All tasks work.
    tasks.spawn(reader().unwrap());
    tasks.spawn(reader().unwrap());
    tasks.spawn(writer().unwrap());
    urgent.spawn(corrector().unwrap());
    until_ended(7).await;
    println!(
        "work       {} reads, {} looks and {} revisions, {} corrections and {} time-outs",
        READS.get(),
        LOOKS.get(),
        REVISIONS.get(),
        CORRECTIONS.get(),
        TIMEOUTS.get(),
    );
    println!(
        "interrupt  {} measurements, {} missed as the table was in use",
        MEASUREMENTS.get(),
        MISSED.get()
    );
    println!("checks     {} torn reads", TORN.get());
    assert_eq!(TORN.get(), 0);
    assert_eq!(READS.get(), 2 * ROUNDS);
    assert_eq!(CORRECTIONS.get() + TIMEOUTS.get(), ROUNDS);
    // Each of these has happened, so each has been tested.
    for counter in [&REVISIONS, &LOOKS, &CORRECTIONS, &TIMEOUTS, &MEASUREMENTS, &MISSED] {
        assert!(counter.get() > 0);
    }

    // 4. The end.
    let hold = TABLE.lock.try_acquire(Shared).unwrap();
    let writes = REVISIONS.get() + CORRECTIONS.get() + MEASUREMENTS.get();
    assert_eq!(TABLE.value(&hold), writes, "no write is lost");
    drop(hold);

    // 5. Memory.
    let size = size_of::<MultiLock>();
    assert!(size_of_val(&MultiLock::new().acquire(Shared)) <= 11 * size_of::<usize>());
    let [pieces, bytes] = [queue.allocations - at_first.allocations, queue.bytes - at_first.bytes];
    println!("memory     the lock has {size} bytes");
    if cfg!(feature = "heap") {
        let all = heap::stats().allocations - queue.allocations;
        println!(
            "heap       {pieces} allocation, {bytes} bytes, for the queue; {all} for all waits"
        );
        assert_eq!((size, pieces, bytes, all), (12, 1, 88, 0), "the README says so");
        // Since the table is not dropped.
        let before = heap::stats().bytes;
        drop(MultiLock::new().monitor(Shared));
        assert_eq!(heap::stats().bytes, before, "a lock that is dropped frees its queue");
    } else {
        assert_eq!(size, 84, "the README says so");
    }
    board::exit(0)
}

#[board::entry]
fn main() -> ! {
    board::init();
    let urgent = board::start_interrupt_executor();
    board::start_clock(measure);
    board::run(|tasks| tasks.spawn(supervisor(tasks, urgent).unwrap()))
}
