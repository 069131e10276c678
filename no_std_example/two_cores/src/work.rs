//! The work of both cores with the same locks: tasks that hold a lock, change its mode, give up, wait for
//! several, and wake each other, and an interrupt on each core that does what may be done there.

use core::future::poll_fn;
use core::hint::spin_loop;
use core::pin::pin;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::task::{Context, Poll, Waker};

use embassy_executor::Spawner;
use embassy_futures::yield_now;
use multilock::Mode::{Exclusive, Shared, Upgradable};
use multilock::{
    Guard, Handle, Mode, MultiLock, RwLock, RwLockUpgradableReadGuard, RwLockWriteGuard,
    acquire_all, lock_all, lock_all_or,
};

use crate::board::{self, CORES};
use crate::println;

const MODES: [Mode; 3] = [Shared, Upgradable, Exclusive];

/// The number of workers on each core.
const WORKERS: usize = 4;
/// How many operations each of them does. If each atomic step is a critical section, there are fewer: when the
/// host stops the core that is in one, the other core waits.
const ROUNDS: u32 = if cfg!(any(target_has_atomic = "ptr", feature = "atomics-single-core")) {
    30_000
} else {
    2_000
};
/// How often the turn passes from one core to the other.
const TURNS: u32 = if cfg!(target_has_atomic = "ptr") { 15_000 } else { 1_000 };
/// How often one core lets go of what the other one waits for, and nothing else happens.
const DUELS: u32 = TURNS / 2;

// ---- What is locked

/// Two numbers that are equal while there is no writer. A writer loads each, adds one and stores it: if
/// there are two writers, a number is lost.
struct Pair {
    first: AtomicU32,
    second: AtomicU32,
}

impl Pair {
    const fn new() -> Self {
        Self { first: AtomicU32::new(0), second: AtomicU32::new(0) }
    }

    /// The number. The caller holds the lock.
    fn value(&self) -> u32 {
        let value = self.first.load(Relaxed);
        for number in [&self.second, &self.first] {
            assert_eq!(number.load(Relaxed), value, "two holders exclude each other");
        }
        value
    }

    /// Adds one. The caller holds the lock exclusively.
    fn add_one(&self) {
        let value = self.value();
        self.first.store(value + 1, Relaxed);
        spin(4);
        assert_eq!(self.second.load(Relaxed), value, "two holders exclude each other");
        self.second.store(value + 1, Relaxed);
    }
}

struct Table {
    lock: MultiLock,
    pair: Pair,
}

static TABLES: [Table; 2] = [const { Table { lock: MultiLock::new(), pair: Pair::new() } }; 2];
/// The same with the data inside, which are no atomics.
static DATA: RwLock<[u32; 2]> = RwLock::new([0; 2]);
/// Whose turn it is: that of core 0 if it is even.
static TURN: RwLock<u32> = RwLock::new(0);
/// The locks of the duels.
static DUEL: [MultiLock; 2] = [const { MultiLock::new() }; 2];
/// What the courier of each core is to do.
static MAIL: [RwLock<Option<Letter>>; CORES] = [const { RwLock::new(None) }; CORES];
/// Held until the workers may begin.
static GATE: MultiLock = MultiLock::new();
/// How many tasks have ended.
static ENDED: RwLock<usize> = RwLock::new(0);

enum Letter {
    Release(&'static MultiLock, Handle),
    End,
}

/// All of these locks, and their names.
fn locks() -> [(&'static str, &'static MultiLock); 10] {
    let [one, two] = TABLES.each_ref().map(|table| &table.lock);
    let [mail_0, mail_1] = MAIL.each_ref().map(RwLock::raw);
    [
        ("table 0", one),
        ("table 1", two),
        ("data", DATA.raw()),
        ("turn", TURN.raw()),
        ("duel 0", &DUEL[0]),
        ("duel 1", &DUEL[1]),
        ("mail 0", mail_0),
        ("mail 1", mail_1),
        ("gate", &GATE),
        ("ended", ENDED.raw()),
    ]
}

fn value(data: &[u32; 2]) -> u32 {
    assert_eq!(data[0], data[1], "two holders exclude each other");
    data[0]
}

fn add_one(data: &mut [u32; 2]) {
    for number in 0..2 {
        data[number] += 1;
        // So that the numbers are in memory in between.
        core::hint::black_box(&mut *data);
        spin(4);
    }
}

fn spin(rounds: u32) {
    (0..rounds).for_each(|_| spin_loop());
}

// ---- What is counted

/// What a task, or the interrupt of a core, counts.
#[derive(Clone, Copy)]
enum Event {
    /// It has added one to a table or to the data.
    Write,
    /// It has held a lock.
    Acquisition,
    /// A poll was pending.
    Pending,
    /// It has dropped a future that was not ready.
    Cancelled,
    Upgrade,
    Set,
    /// It has waited for a monitor.
    Monitor,
    /// The other core has got a handle to release.
    Handle,
}
use Event::{Acquisition, Cancelled, Monitor, Pending, Set, Upgrade, Write};

/// The counters of one task, or of the interrupt of one core: no other one adds to them.
struct Counters([AtomicU32; Event::Handle as usize + 1]);

impl Counters {
    const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; Event::Handle as usize + 1])
    }

    fn get(&self, event: Event) -> u32 {
        self.0[event as usize].load(Relaxed)
    }

    fn count(&self, event: Event) {
        self.0[event as usize].store(self.get(event) + 1, Relaxed);
    }

    /// Waits for `future`, and counts.
    async fn wait<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let poll = future.as_mut().poll(cx);
            if poll.is_pending() {
                self.count(Pending);
            }
            poll
        })
        .await
    }

    /// Waits for a future that may be cancelled, and counts.
    async fn wait_or<T>(&self, future: impl Future<Output = Result<T, ()>>) -> Option<T> {
        let output = self.wait(future).await.ok();
        if output.is_none() {
            self.count(Cancelled);
        }
        output
    }
}

static WORKER: [[Counters; WORKERS]; CORES] =
    [const { [const { Counters::new() }; WORKERS] }; CORES];
static PLAYER: [Counters; CORES] = [const { Counters::new() }; CORES];
static INTERRUPT: [Counters; CORES] = [const { Counters::new() }; CORES];

/// How often all tasks and interrupts together have counted `event`.
fn total(event: Event) -> u32 {
    let all = WORKER.as_flattened().iter().chain(&PLAYER).chain(&INTERRUPT);
    all.map(|counters| counters.get(event)).sum()
}

/// A number that changes while a task proceeds.
fn progress() -> u32 {
    let tasks = WORKER.iter().flatten().chain(&PLAYER);
    tasks.map(|counters| counters.get(Acquisition) + counters.get(Cancelled)).sum()
}

struct Random(u32);

impl Random {
    /// A number below `end`.
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % end
    }

    fn mode(&mut self) -> Mode {
        MODES[self.below(3) as usize]
    }

    fn table(&mut self) -> &'static Table {
        &TABLES[self.below(2) as usize]
    }

    /// A future that is ready after a few polls, between which other tasks are polled.
    fn soon(&mut self) -> impl Future<Output = ()> + use<> {
        let mut polls = self.below(4);
        poll_fn(move |cx| {
            if polls == 0 {
                return Poll::Ready(());
            }
            polls -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

// ---- The tasks

/// First waits for its turn, and passes it on to the other core: each wake-up is one across cores. Then
/// takes part in the duels.
#[embassy_executor::task(pool_size = CORES)]
async fn player(core: usize) {
    let counters = &PLAYER[core];
    loop {
        let is_mine = |turn: &u32| *turn as usize % CORES == core || *turn == TURNS;
        let mut turn = counters.wait(TURN.write_when(is_mine)).await;
        counters.count(Acquisition);
        if *turn == TURNS {
            break;
        }
        *turn += 1;
    }
    *ENDED.write().await += 1;

    let mut duel = Duel { core, counters, random: Random(core as u32 + 1), meetings: 0 };
    for round in 0..DUELS {
        let action = Action::ALL[round as usize % Action::ALL.len()];
        if (core as u32 + round).is_multiple_of(2) {
            duel.let_go(action);
        } else {
            duel.wait(action).await;
        }
    }
    *ENDED.write().await += 1;
}

/// What one core does when the other one lets go of the locks of the duels.
#[derive(Clone, Copy)]
enum Action {
    Acquire,
    AcquireBoth,
    /// Waits behind a future that it drops.
    Cancel,
    Upgrade,
    EnterADowngraded,
    Watch,
}

impl Action {
    const ALL: [Self; 6] = [
        Self::Acquire,
        Self::AcquireBoth,
        Self::Cancel,
        Self::Upgrade,
        Self::EnterADowngraded,
        Self::Watch,
    ];
}

/// A core lets go while the other one begins to wait, or gives up. There is no other task that would wake
/// the waiter later, if it is not woken now.
struct Duel {
    core: usize,
    counters: &'static Counters,
    random: Random,
    meetings: u32,
}

impl Duel {
    /// Waits until the other core has come, too. It spins, so that both leave at the same time.
    fn meet(&mut self) {
        static MEETINGS: [AtomicU32; CORES] = [const { AtomicU32::new(0) }; CORES];
        self.meetings += 1;
        MEETINGS[self.core].store(self.meetings, SeqCst);
        while MEETINGS[(self.core + 1) % CORES].load(SeqCst) < self.meetings {
            spin_loop();
        }
    }

    /// Spins for a random time, so that the cores meet at another point in each round.
    fn aim(&mut self, end: u32) {
        spin(self.random.below(end));
    }

    fn let_go(&mut self, action: Action) {
        let mode = if let Action::Upgrade = action { Shared } else { Exclusive };
        let [one, mut two] = DUEL.each_ref().map(|lock| lock.try_acquire(mode).unwrap());
        self.meet();
        self.aim(300);
        if let Action::EnterADowngraded = action {
            two.downgrade(Shared);
            self.meet();
        }
        drop(two);
        self.aim(300);
        drop(one);
        self.meet();
    }

    async fn wait(&mut self, action: Action) {
        let ([one, two], counters, mode) = (&DUEL, self.counters, self.random.mode());
        self.meet();
        self.aim(50);
        match action {
            Action::Acquire => drop(counters.wait(two.acquire(mode)).await),
            Action::AcquireBoth => {
                let both = [(one, mode), (two, self.random.mode())];
                drop(counters.wait(acquire_all(both)).await);
            }
            Action::Cancel => {
                let mut first = pin!(Some(two.acquire(mode)));
                let mut second = pin!(two.acquire(self.random.mode()));
                let second = poll_fn(|cx| {
                    if let Some(first) = first.as_mut().as_pin_mut() {
                        // If it acquires the lock already, the guard is dropped. It wakes another task
                        // than the second.
                        _ = first.poll(&mut Context::from_waker(Waker::noop()));
                        self.aim(50);
                    }
                    let poll = second.as_mut().poll(cx);
                    if first.is_some() {
                        self.aim(50);
                        first.set(None);
                    }
                    poll
                });
                drop(counters.wait(second).await);
            }
            Action::Upgrade => {
                let mut guard = two.acquire(Upgradable).await;
                counters.wait(guard.upgrade()).await.unwrap();
            }
            Action::EnterADowngraded => {
                drop(counters.wait(two.acquire(Shared)).await);
                self.meet();
            }
            Action::Watch => {
                let monitor = two.monitor(Exclusive);
                if two.try_acquire(Exclusive).is_none() {
                    counters.wait(monitor.wait()).await;
                }
            }
        }
        counters.count(Acquisition);
        self.meet();
    }
}

/// Releases the handles that the other core sends.
#[embassy_executor::task(pool_size = CORES)]
async fn courier(core: usize) {
    loop {
        let mut mail = MAIL[core].write_when(Option::is_some).await;
        let letter = mail.take();
        drop(mail);
        match letter.unwrap() {
            Letter::Release(lock, handle) => lock.release(handle).unwrap(),
            Letter::End => break,
        }
    }
    *ENDED.write().await += 1;
}

#[embassy_executor::task(pool_size = CORES * WORKERS)]
async fn worker(core: usize, number: usize) {
    drop(GATE.acquire(Shared).await);
    let counters = &WORKER[core][number];
    let random = Random(0x9e37_79b9_u32.wrapping_mul((core * WORKERS + number + 1) as u32));
    let mut worker = Worker { core, counters, random };
    for _ in 0..ROUNDS {
        match worker.random.below(10) {
            0 | 1 => worker.hold().await,
            2 => worker.upgrade().await,
            3 => worker.hold_data().await,
            4 => worker.cancel().await,
            5 => worker.abandon().await,
            6 => worker.hold_all().await,
            7 => worker.lock_all().await,
            8 => worker.monitor().await,
            _ => worker.send_a_handle().await,
        }
    }
    *ENDED.write().await += 1;
}

struct Worker {
    core: usize,
    counters: &'static Counters,
    random: Random,
}

impl Worker {
    /// Works on a table that is held in `mode`.
    async fn work(&mut self, pair: &Pair, mode: Mode) {
        self.counters.count(Acquisition);
        let before = pair.value();
        if mode == Exclusive {
            pair.add_one();
            self.counters.count(Write);
        }
        match self.random.below(8) {
            0 => yield_now().await,
            rounds => spin(8 * rounds),
        }
        assert_eq!(pair.value(), before + u32::from(mode == Exclusive), "a writer was inside");
    }

    async fn hold(&mut self) {
        let (table, mode) = (self.random.table(), self.random.mode());
        let mut guard = self.counters.wait(table.lock.acquire(mode)).await;
        self.work(&table.pair, mode).await;
        if self.random.below(2) == 0 {
            let written = table.pair.value();
            guard.downgrade(if mode == Exclusive { self.random.mode() } else { Shared });
            assert_eq!(table.pair.value(), written, "a writer entered at a downgrade");
            let shared = guard.share();
            drop(guard);
            spin(8);
            drop(shared);
        }
    }

    async fn upgrade(&mut self) {
        let table = self.random.table();
        let mut guard = self.counters.wait(table.lock.acquire(Upgradable)).await;
        let seen = table.pair.value();
        let cancel = self.random.soon();
        let upgraded = if self.random.below(2) == 0 {
            self.counters.wait_or(guard.upgrade_or(cancel)).await
        } else {
            Some(self.counters.wait(guard.upgrade()).await)
        };
        assert_eq!(table.pair.value(), seen, "a writer entered before an upgrade");
        if let Some(upgraded) = upgraded {
            upgraded.expect("there is one upgradable holder");
            self.counters.count(Upgrade);
        }
        self.work(&table.pair, guard.mode()).await;
    }

    async fn hold_data(&mut self) {
        if self.random.below(2) == 0 {
            let guard = self.counters.wait(DATA.read()).await;
            self.counters.count(Acquisition);
            let seen = value(&guard);
            spin(8 * self.random.below(8));
            assert_eq!(value(&guard), seen, "a writer was inside");
            return;
        }
        let guard = self.counters.wait(DATA.upgradable_read()).await;
        self.counters.count(Acquisition);
        let seen = value(&guard);
        let upgrade = RwLockUpgradableReadGuard::upgrade(guard);
        let mut guard = self.counters.wait(upgrade).await;
        assert_eq!(value(&guard), seen, "a writer entered before an upgrade");
        add_one(&mut guard);
        self.counters.count(Write);
        self.counters.count(Upgrade);
        let guard = RwLockWriteGuard::downgrade(guard);
        yield_now().await;
        assert_eq!(value(&guard), seen + 1, "a writer entered at a downgrade");
    }

    /// Waits for a while. Other tasks are polled meanwhile, and this one, too.
    async fn cancel(&mut self) {
        let (table, mode) = (self.random.table(), self.random.mode());
        let acquire = table.lock.acquire_or(mode, self.random.soon());
        if let Some(_guard) = self.counters.wait_or(acquire).await {
            self.work(&table.pair, mode).await;
        }
    }

    /// Drops a future that is queued, and perhaps notified.
    async fn abandon(&mut self) {
        let (table, mode) = (self.random.table(), self.random.mode());
        let mut acquire = pin!(table.lock.acquire(mode));
        match poll_fn(|cx| Poll::Ready(acquire.as_mut().poll(cx))).await {
            Poll::Ready(_guard) => self.work(&table.pair, mode).await,
            Poll::Pending => {
                self.counters.count(Pending);
                match self.random.below(4) {
                    0 => yield_now().await,
                    rounds => spin(32 * rounds),
                }
                self.counters.count(Cancelled);
            }
        }
    }

    async fn hold_all(&mut self) {
        let modes = [self.random.mode(), self.random.mode()];
        let [one, two] = &TABLES;
        // They are given in any order.
        let (first, second) = ((&one.lock, modes[0]), (&two.lock, modes[1]));
        let wanted = if self.random.below(2) == 0 { [first, second] } else { [second, first] };
        let _guard = self.counters.wait(acquire_all(wanted)).await;
        self.counters.count(Set);
        self.work(&one.pair, modes[0]).await;
        self.work(&two.pair, modes[1]).await;
    }

    async fn lock_all(&mut self) {
        let (table, mode) = (self.random.table(), self.random.mode());
        let wanted = (table.lock.in_mode(mode), DATA.writing());
        let both = if self.random.below(2) == 0 {
            let cancel = self.random.soon();
            self.counters.wait_or(lock_all_or(wanted, cancel)).await
        } else {
            Some(self.counters.wait(lock_all(wanted)).await)
        };
        if let Some((_guard, mut data)) = both {
            self.counters.count(Set);
            add_one(&mut data);
            self.counters.count(Write);
            self.work(&table.pair, mode).await;
            value(&data);
        }
    }

    /// Waits until the lock could be acquired, again and again, until that works.
    async fn monitor(&mut self) {
        let (table, mode) = (self.random.table(), self.random.mode());
        let monitor = table.lock.monitor(mode);
        loop {
            if let Some(_guard) = table.lock.try_acquire(mode) {
                return self.work(&table.pair, mode).await;
            }
            self.counters.wait(monitor.wait()).await;
            self.counters.count(Monitor);
            monitor.clear();
        }
    }

    /// Has the other core release what this one has acquired.
    async fn send_a_handle(&mut self) {
        let (table, mode) = (self.random.table(), self.random.mode());
        let guard = self.counters.wait(table.lock.acquire(mode)).await;
        self.work(&table.pair, mode).await;
        let handle = guard.into_handle();
        let mail = &MAIL[(self.core + 1) % CORES];
        let mut mail = self.counters.wait(mail.write_when(Option::is_none)).await;
        *mail = Some(Letter::Release(&table.lock, handle));
        self.counters.count(Event::Handle);
    }
}

// ---- The interrupts

/// The interrupts of the core have ended.
static QUIET: [AtomicU32; CORES] = [const { AtomicU32::new(0) }; CORES];
static BE_QUIET: AtomicU32 = AtomicU32::new(0);

/// Does what may be done in an interrupt, and sets the next one.
fn on_alarm(core: usize) {
    static RANDOM: [AtomicU32; CORES] = [AtomicU32::new(1), AtomicU32::new(2)];
    let mut random = Random(RANDOM[core].load(Relaxed));
    let counters = &INTERRUPT[core];
    let (table, mode) = (random.table(), random.mode());
    let acquire = pin!(table.lock.acquire(mode));
    let guard = match random.below(2) {
        0 => table.lock.try_acquire(mode),
        // The drop of the future removes the waiter.
        _ => match acquire.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(guard) => Some(guard),
            Poll::Pending => {
                counters.count(Cancelled);
                None
            }
        },
    };
    if let Some(guard) = guard {
        counters.count(Acquisition);
        if guard.mode() == Exclusive {
            table.pair.add_one();
            counters.count(Write);
        }
        table.pair.value();
    }
    if BE_QUIET.load(SeqCst) == 0 {
        board::set_alarm(u64::from(20 + random.below(80)) * board::TICKS_PER_MICROSECOND);
    } else {
        QUIET[core].store(1, SeqCst);
    }
    RANDOM[core].store(random.0, Relaxed);
}

// ---- All of it

/// Starts the tasks, waits until they have ended, and checks what they have left.
#[embassy_executor::task]
async fn supervisor(gate: Guard<'static>) {
    // First the players are alone: then a core sleeps until the other one wakes it.
    wait_for(CORES).await;
    println!(
        "turns      {TURNS}, {} wake-ups across cores, {} polls in vain",
        board::wake_ups_across(),
        total(Pending)
    );
    assert!(board::wake_ups_across() > TURNS / 10, "the cores did not wait for each other");
    let before_duels = total(Pending);
    wait_for(2 * CORES).await;
    let waits = total(Pending) - before_duels;
    println!("duels      {DUELS}, {waits} polls in vain");
    assert!(waits > DUELS / 20, "the waiters always came too late");
    drop(gate);
    wait_for(2 * CORES + CORES * WORKERS).await;
    for mail in &MAIL {
        *mail.write_when(Option::is_none).await = Some(Letter::End);
    }
    wait_for(3 * CORES + CORES * WORKERS).await;
    BE_QUIET.store(1, SeqCst);
    while QUIET.iter().any(|core| core.load(SeqCst) == 0) {
        yield_now().await;
    }

    println!(
        "work       {} acquisitions, {} polls in vain, {} cancelled, {} wake-ups across cores",
        total(Acquisition),
        total(Pending),
        total(Cancelled),
        board::wake_ups_across(),
    );
    println!(
        "           {} writes, {} upgrades, {} sets, {} waits for monitors, {} handles released by the other core",
        total(Write),
        total(Upgrade),
        total(Set),
        total(Monitor),
        total(Event::Handle),
    );
    let in_interrupts = INTERRUPT.each_ref().map(|counters| counters.get(Acquisition));
    println!("interrupts {in_interrupts:?} acquisitions");
    // Each of these has happened often, so each has been tested.
    assert!(total(Acquisition) > 2 * ROUNDS * (CORES * WORKERS) as u32 / 3);
    for worker in WORKER.as_flattened() {
        for event in [Pending, Cancelled, Upgrade, Set, Monitor, Event::Handle] {
            assert!(worker.get(event) > ROUNDS / 100);
        }
    }
    assert!(in_interrupts.iter().all(|&acquisitions| acquisitions > 100));

    let written = TABLES.iter().map(|table| table.pair.value()).sum::<u32>()
        + value(&DATA.try_read().unwrap());
    assert_eq!(written, total(Write), "a write was lost");
    for (name, lock) in locks() {
        // The whole word: no holder, no waiter, no monitor.
        assert_eq!(lock.snapshot(), MultiLock::new().snapshot(), "{name}");
    }
    board::succeed()
}

/// Waits until as many tasks have ended.
async fn wait_for(tasks: usize) {
    drop(ENDED.read_when(|&ended| ended >= tasks).await);
}

/// Prints how far the work has come.
pub(crate) fn report() {
    for (core, workers) in WORKER.iter().enumerate() {
        let ended = workers.each_ref().map(|counters| counters.get(Acquisition));
        println!(
            "core {core}: {ended:?} acquisitions of its workers, {} of its player, {} of its interrupt",
            PLAYER[core].get(Acquisition),
            INTERRUPT[core].get(Acquisition)
        );
    }
    for (name, lock) in locks() {
        if lock.snapshot() != MultiLock::new().snapshot() {
            println!("{name}: {lock:?}");
        }
    }
}

/// The program of each core. If `must_fail`, it is its success that a check fails.
pub fn main(core: usize, must_fail: bool) -> ! {
    let gate = board::start(|| {
        if must_fail {
            board::must_fail();
        }
        board::on_alarm(on_alarm);
        GATE.try_acquire(Exclusive).unwrap()
    });
    if core == board::WATCHDOG {
        board::watch(progress);
    }
    board::run(|tasks: Spawner| {
        if let Some(gate) = gate {
            tasks.spawn(supervisor(gate).unwrap());
        }
        tasks.spawn(player(core).unwrap());
        tasks.spawn(courier(core).unwrap());
        for number in 0..WORKERS {
            tasks.spawn(worker(core, number).unwrap());
        }
        board::set_alarm(1);
    })
}
