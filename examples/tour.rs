//! What the locks do, call by call: first `RwLock`, which has the data inside, then `MultiLock`, whose mode is chosen at run
//! time.
//!
//! ```text
//! cargo run --example tour
//! ```
//!
//! Each line that it prints is a call and its result. All tasks run in one thread, on the smallest of executors. Any other
//! executor would do.

use std::time::Duration;

use futures_lite::future::{block_on, zip};
use futures_timer::Delay;
use multilock::{Mode, MultiLock, RwLock, RwLockUpgradableReadGuard, RwLockWriteGuard, lock_all};

/// Makes a call, and prints it, with its result and what that means. The result is kept.
macro_rules! keep {
    ($call:expr, $meaning:literal) => {{
        let result = $call;
        println!("{} -> {result:?}: {}", stringify!($call), $meaning);
        result
    }};
}

/// The same, and drops the result: if that is a guard, the lock is released.
macro_rules! show {
    ($call:expr, $meaning:literal) => {
        _ = keep!($call, $meaning)
    };
}

async fn readers_and_writers() {
    println!("# Readers share the lock, a writer is alone:");
    let lock = RwLock::new(70);

    let reader = keep!(lock.read().await, "the guard reads the data");
    let another = keep!(lock.try_read(), "readers share the lock");
    show!(lock.try_write(), "a reader holds the lock");
    let timer = Delay::new(Duration::from_millis(10));
    show!(lock.write_or(timer).await, "the timer is first; any future may limit a wait");
    drop((reader, another));

    let mut writer = keep!(lock.write().await, "all readers have dropped their guards");
    *writer += 5;
    show!(lock.try_read(), "a writer holds the lock");
    let reader = keep!(RwLockWriteGuard::downgrade(writer), "no other writer was in between");
    show!(lock.try_read(), "other readers share the lock again");
    drop(reader);
}

async fn upgrade() {
    println!("# An upgradable reader reads beside others, and may become a writer:");
    let lock = RwLock::new(75);

    let reader = keep!(lock.upgradable_read().await, "one upgradable reader at a time");
    let other = keep!(lock.try_read(), "other readers share the lock");
    show!(lock.try_write(), "no writer can change what was read");
    // Two tasks: the first waits for the second.
    let upgrades = async {
        let mut writer = keep!(RwLockUpgradableReadGuard::upgrade(reader).await, "it is alone");
        *writer += 5;
    };
    let leaves = async {
        show!(lock.try_read(), "no other reader enters while an upgrade waits");
        show!(drop(other), "the upgrade waits no longer");
    };
    zip(upgrades, leaves).await;
}

async fn condition() {
    println!("# A task waits for the data, not only for the lock:");
    let lock = RwLock::new(80);

    let buys = async {
        let mut guard = keep!(lock.write_when(|data| *data >= 100).await, "the condition is true");
        *guard -= 100;
    };
    let earns = async {
        show!(lock.with_mut(|data| *data += 30).await, "the write wakes the task that waits");
    };
    zip(buys, earns).await;
    show!(lock.into_inner(), "what is left");
}

async fn several() {
    println!("# Several locks are acquired together, in any order, without a deadlock:");
    let (from, to) = (RwLock::new(10), RwLock::new(0));

    let (mut a, mut b) = keep!(lock_all((from.writing(), to.writing())).await, "both, or none");
    (*a, *b) = (*a - 4, *b + 4);
    drop((a, b));
    show!(lock_all([to.reading(), from.reading()]).await, "nothing was lost");
}

async fn modes() {
    println!("# A MultiLock has no data, and its mode is a value:");
    static LOCK: MultiLock = MultiLock::new();

    for mode in [Mode::Shared, Mode::Upgradable, Mode::Exclusive] {
        show!(LOCK.acquire(mode).await, "the guard releases the lock when it is dropped");
    }
    let mut guard = keep!(LOCK.acquire(Mode::Upgradable).await, "it is kept");
    show!(LOCK.try_acquire(Mode::Upgradable), "one at a time");
    show!(LOCK.try_acquire(Mode::Shared), "shared holders may be there, too");
    show!(guard.upgrade().await, "the mode of the guard changes in place");
    show!(LOCK.try_acquire(Mode::Shared), "it is alone");
    show!(guard.downgrade(Mode::Shared), "others may share the lock again");
    show!(LOCK.locked(), "the strongest mode that is held");
}

async fn handles() {
    println!("# A handle is a guard without a lifetime: another task releases it:");
    static LOCK: MultiLock = MultiLock::new();

    let handle = LOCK.acquire(Mode::Exclusive).await.into_handle();
    let waits = async { show!(LOCK.wait(Mode::Shared).await, "shared mode is possible") };
    let releases = async { show!(LOCK.release(handle), "a wrong lock would return the handle") };
    zip(waits, releases).await;
    show!(LOCK.locked(), "no holder is left");
}

fn main() {
    block_on(async {
        readers_and_writers().await;
        upgrade().await;
        condition().await;
        several().await;
        modes().await;
        handles().await;
    });
}
