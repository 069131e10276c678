//! Who holds the lock, and why does the program hang? A table of all acquisitions answers.
//!
//! ```text
//! cargo run --example who_holds_it --features observed
//! ```
//!
//! Two tasks acquire two locks in opposite orders. As long as one comes after the other, nothing happens, but the table
//! already warns. Then they come at the same time, and wait for each other. A third task is slow. The time limits end
//! the program.

use std::time::Duration;

use futures_lite::future::{block_on, or, zip};
use futures_timer::Delay;
use multilock::observed::{Task, table};

// The only line that differs from a program with `use multilock::RwLock`.
type RwLock<T> = multilock::observed::RwLock<T>;

static ACCOUNTS: RwLock<[i64; 2]> = RwLock::named("accounts", [100, 0]);
static LOG: RwLock<Vec<String>> = RwLock::named("log", Vec::new());

/// Holds the accounts while it waits for the log.
async fn transfer() {
    let mut accounts = ACCOUNTS.write().await;
    accounts[0] -= 10;
    accounts[1] += 10;
    sleep(10).await;
    LOG.write().await.push(format!("transferred: {accounts:?}"));
}

/// Holds the log while it waits for the accounts.
async fn audit() {
    let mut log = LOG.write().await;
    sleep(10).await;
    let accounts = ACCOUNTS.read().await;
    log.push(format!("found: {accounts:?}"));
}

/// Keeps others waiting.
async fn backup() {
    let _accounts = ACCOUNTS.read().await;
    sleep(60).await;
}

/// Gives up after a while, and says who is in the way.
async fn statement() {
    match ACCOUNTS.read_or(Delay::new(Duration::from_millis(30))).await {
        Ok(accounts) => println!("statement: {accounts:?}"),
        Err(()) => {
            for holder in table().holders(ACCOUNTS.raw().info()) {
                println!("no statement: accounts is held, {holder}");
            }
        }
    }
}

async fn sleep(milliseconds: u64) {
    Delay::new(Duration::from_millis(milliseconds)).await;
}

/// Prints what waits for longer than it should, and at last everything, and ends.
async fn watch() {
    for _ in 0..5 {
        sleep(20).await;
        table().report_slow();
    }
    println!("# All that is held and awaited:");
    print!("{}", table());
}

fn main() {
    table().report_to(|report| println!("{report}"));
    block_on(async {
        println!("# One after the other:");
        Task::new("transfer", transfer()).await;
        Task::new("audit", audit()).await;

        println!("# A slow task:");
        table().slow_after(Duration::from_millis(50), Duration::from_millis(50));
        zip(Task::new("backup", backup()), Task::new("transfer", transfer())).await;

        println!("# Both at the same time:");
        let tasks = zip(Task::new("transfer", transfer()), Task::new("audit", audit()));
        let late = async {
            sleep(20).await;
            Task::new("statement", statement()).await;
        };
        let all = async {
            zip(tasks, late).await;
        };
        // The time limit drops the tasks, which release what they hold.
        or(all, watch()).await;
    });
    println!("# In the end:");
    print!("{}", table());
}
