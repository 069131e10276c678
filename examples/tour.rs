//! A bank in one process: many tasks, ten accounts, one lock.
//!
//! ```text
//! cargo run --example tour
//! ```
//!
//! Tellers and auditors work from the beginning to the end. Meanwhile visitors show, one after
//! another, what else the lock can do. The executor is smol's; any other would do.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use multilock::{Guard, Mode, MultiLock};
use smol::Timer;
use smol::channel::bounded;
use smol::future::yield_now;

const ACCOUNTS: usize = 10;
const TOTAL: u64 = 10_000;

/// What is shared. The lock has no data: that it guards the accounts is expressed by methods that
/// take a guard.
struct Bank {
    lock: MultiLock,
    /// Atomics need no `unsafe` to be shared. `Relaxed` is enough: the order comes from the lock.
    accounts: [AtomicU64; ACCOUNTS],
}

static BANK: Bank = Bank {
    lock: MultiLock::new(),
    accounts: [const { AtomicU64::new(TOTAL / ACCOUNTS as u64) }; ACCOUNTS],
};

impl Bank {
    fn balance(&self, guard: &Guard<'_>, account: usize) -> u64 {
        assert!(std::ptr::eq(guard.lock(), &self.lock));
        self.accounts[account].load(Relaxed)
    }

    fn set_balance(&self, guard: &Guard<'_>, account: usize, balance: u64) {
        assert!(std::ptr::eq(guard.lock(), &self.lock));
        assert_eq!(guard.mode(), Mode::Exclusive);
        self.accounts[account].store(balance, Relaxed);
    }

    /// Takes money out of one account and puts it into another. In between other tasks run, and
    /// some of the money is in neither.
    async fn transfer(&self, guard: &Guard<'_>, from: usize, to: usize, amount: u64) {
        let amount = amount.min(self.balance(guard, from));
        self.set_balance(guard, from, self.balance(guard, from) - amount);
        yield_now().await;
        self.set_balance(guard, to, self.balance(guard, to) + amount);
    }

    /// Adds up all accounts, and yields to other tasks after each.
    async fn sum(&self, guard: &Guard<'_>) -> u64 {
        let mut sum = 0;
        for account in 0..ACCOUNTS {
            sum += self.balance(guard, account);
            yield_now().await;
        }
        sum
    }
}

/// Exclusive: transfers.
async fn teller(number: usize) -> usize {
    const TRANSFERS: usize = 60;
    let name = format!("teller {number}");
    for n in 1..=TRANSFERS {
        let from = (7 * number + 3 * n) % ACCOUNTS;
        let to = (from + 1 + n % (ACCOUNTS - 1)) % ACCOUNTS;
        {
            let guard = BANK.lock.acquire(Mode::Exclusive).await;
            BANK.transfer(&guard, from, to, (10 * number + n) as u64).await;
        } // The lock is released here.
        if (n + 4 * number) % 20 == 0 {
            say(&name, format_args!("has made {n} transfers"));
        }
        pause(3 + (5 * number + n) % 9).await;
    }
    TRANSFERS
}

/// Shared: whatever the tellers do, the sum is the same.
async fn auditor(number: usize) {
    let name = format!("auditor {number}");
    for _ in 0..4 {
        pause(110 + 10 * number).await;
        let guard = BANK.lock.acquire(Mode::Shared).await;
        pause(25).await;
        let inside = BANK.lock.snapshot().shared_holders();
        let sum = BANK.sum(&guard).await;
        say(&name, format_args!("sum {sum}, shared holders: {inside}"));
        assert_eq!(sum, TOTAL);
    }
}

/// Tries, and does not wait.
async fn passer_by() {
    let guard = BANK.lock.acquire(Mode::Shared).await;
    match BANK.lock.try_acquire(Mode::Exclusive) {
        Some(_) => unreachable!("there is a shared holder"),
        None => say("passer-by", format_args!("tries exclusive beside a shared holder: no")),
    }
    drop(guard);
}

/// Waits, but not forever. For `acquire_or` any future is a limit, of any runtime.
async fn client() {
    let guard = BANK.lock.acquire(Mode::Shared).await;
    let (leave, left) = bounded::<()>(1);
    let reader = smol::spawn(async move {
        let _ = left.recv().await;
        drop(guard);
    });

    let limit = Timer::after(Duration::from_millis(30));
    match BANK.lock.acquire_or(Mode::Exclusive, limit).await {
        Ok(_) => unreachable!("there is a shared holder"),
        Err(_) => say("client", format_args!("has waited 30 ms for exclusive, and gives up")),
    }
    leave.close();
    reader.await;

    let limit = Timer::after(Duration::from_secs(10));
    match BANK.lock.acquire_or(Mode::Exclusive, limit).await {
        Ok(guard) => say("client", format_args!("tries again, and acquires: {:?}", guard.mode())),
        Err(_) => unreachable!("no holder keeps the lock that long"),
    }
}

/// Reads beside other readers, writes with no other writer in between, and reads again.
async fn inspector() {
    let mut guard = BANK.lock.acquire(Mode::Upgradable).await;
    let beside = guard.share().expect("an upgradable hold lets shared ones in");
    let trainee = smol::spawn(async move {
        pause(40).await;
        say("trainee", format_args!("has looked over the inspector's shoulder, and releases"));
        drop(beside);
    });

    let balance = |&account: &usize| BANK.balance(&guard, account);
    let rich = (0..ACCOUNTS).max_by_key(balance).unwrap();
    let poor = (0..ACCOUNTS).min_by_key(balance).unwrap();
    let (from, to) = (balance(&rich), balance(&poor));
    say("inspector", format_args!("sees {from} in account {rich}, and {to} in account {poor}"));

    // Waits for the trainee. No teller can enter meanwhile, so what was seen is still true.
    guard.upgrade().await.expect("an upgradable holder may always upgrade");
    assert_eq!((BANK.balance(&guard, rich), BANK.balance(&guard, poor)), (from, to));
    BANK.transfer(&guard, rich, poor, (from - to) / 2).await;
    say("inspector", format_args!("is alone, and moves {}", (from - to) / 2));

    // No other task has held it exclusively in between.
    guard.downgrade(Mode::Shared);
    let (from, to) = (BANK.balance(&guard, rich), BANK.balance(&guard, poor));
    say("inspector", format_args!("shares again, and sees {from} and {to}"));
    trainee.await;
}

/// Detaches a guard into a handle. Another task releases it.
async fn manager() {
    static VAULT: MultiLock = MultiLock::new();

    let (send, receive) = bounded(1);
    let porter = smol::spawn(async move {
        let handle = receive.recv().await.expect("the manager sends one");
        pause(40).await;
        let error = VAULT.release(handle).expect_err("the handle belongs to another lock");
        say("porter", format_args!("tries the handle at the vault: {error}"));
        // The handle is not lost: the error returns it.
        say("porter", format_args!("opens the bank"));
        BANK.lock.release(error.into_handle()).expect("the handle belongs to this lock");
    });

    let handle = BANK.lock.acquire(Mode::Exclusive).await.into_handle();
    say("manager", format_args!("has closed the bank, and sends handle {}", handle.id()));
    let monitor = smol::spawn(async {
        say("monitor", format_args!("sees the bank held: {:?}", BANK.lock.locked()));
        BANK.lock.wait(Mode::Exclusive).await;
        say("monitor", format_args!("is woken when exclusive is possible; holds nothing"));
    });
    pause(20).await;
    send.send(handle).await.expect("the porter is there");
    porter.await;
    monitor.await;
}

fn main() {
    smol::block_on(async {
        say("bank", format_args!("opens: {ACCOUNTS} accounts, {TOTAL} in all"));
        let tellers: Vec<_> = (1..=5).map(|number| smol::spawn(teller(number))).collect();
        let auditors: Vec<_> = (1..=3).map(|number| smol::spawn(auditor(number))).collect();

        pause(60).await;
        passer_by().await;
        pause(60).await;
        client().await;
        pause(60).await;
        inspector().await;
        pause(60).await;
        manager().await;

        let mut transfers = 0;
        for teller in tellers {
            transfers += teller.await;
        }
        for auditor in auditors {
            auditor.await;
        }
        say("bank", format_args!("closes after {transfers} transfers"));

        let guard =
            BANK.lock.try_acquire(Mode::Exclusive).expect("all tasks have released the lock");
        let sum = BANK.sum(&guard).await;
        drop(guard);
        assert_eq!(sum, TOTAL);
        assert_eq!(BANK.lock.locked(), None);
        say("bank", format_args!("total {sum} = {TOTAL}: ok, and the lock is free"));
    });
}

/// Prints what a task does, and when.
fn say(name: &str, what: std::fmt::Arguments<'_>) {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    println!("{:>5} ms  {name:<11}{what}", START.elapsed().as_millis());
}

async fn pause(milliseconds: usize) {
    Timer::after(Duration::from_millis(milliseconds as u64)).await;
}
