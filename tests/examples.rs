//! What the examples of the crate print.

#![cfg(not(any(loom, shuttle, miri, target_family = "wasm")))]

#[path = "support/program.rs"]
mod program;

use std::path::Path;

use program::{run, stderr, stdout};

#[test]
fn tour_prints_what_each_call_returns() {
    let output = run("tour", &[], Path::new("."));
    let said = "\
# Readers share the lock, a writer is alone:
lock.read().await -> 70: the guard reads the data
lock.try_read() -> Some(70): readers share the lock
lock.try_write() -> None: a reader holds the lock
lock.write_or(timer).await -> Err(()): the timer is first; any future may limit a wait
lock.write().await -> 70: all readers have dropped their guards
lock.try_read() -> None: a writer holds the lock
RwLockWriteGuard::downgrade(writer) -> 75: no other writer was in between
lock.try_read() -> Some(75): other readers share the lock again
# An upgradable reader reads beside others, and may become a writer:
lock.upgradable_read().await -> 75: one upgradable reader at a time
lock.try_read() -> Some(75): other readers share the lock
lock.try_write() -> None: no writer can change what was read
lock.try_read() -> None: no other reader enters while an upgrade waits
drop(other) -> (): the upgrade waits no longer
RwLockUpgradableReadGuard::upgrade(reader).await -> 75: it is alone
# A task waits for the data, not only for the lock:
lock.with_mut(|data| *data += 30).await -> (): the write wakes the task that waits
lock.write_when(|data| *data >= 100).await -> 110: the condition is true
lock.into_inner() -> 10: what is left
# Several locks are acquired together, in any order, without a deadlock:
lock_all((from.writing(), to.writing())).await -> (10, 0): both, or none
lock_all([to.reading(), from.reading()]).await -> [4, 6]: nothing was lost
# A MultiLock has no data, and its mode is a value:
LOCK.acquire(mode).await -> Guard { mode: Shared, .. }: the guard releases the lock when it is dropped
LOCK.acquire(mode).await -> Guard { mode: Upgradable, .. }: the guard releases the lock when it is dropped
LOCK.acquire(mode).await -> Guard { mode: Exclusive, .. }: the guard releases the lock when it is dropped
LOCK.acquire(Mode::Upgradable).await -> Guard { mode: Upgradable, .. }: it is kept
LOCK.try_acquire(Mode::Upgradable) -> None: one at a time
LOCK.try_acquire(Mode::Shared) -> Some(Guard { mode: Shared, .. }): shared holders may be there, too
guard.upgrade().await -> Ok(()): the mode of the guard changes in place
LOCK.try_acquire(Mode::Shared) -> None: it is alone
guard.downgrade(Mode::Shared) -> (): others may share the lock again
LOCK.locked() -> Some(Shared): the strongest mode that is held
# A handle is a guard without a lifetime: another task releases it:
LOCK.release(handle) -> Ok(()): a wrong lock would return the handle
LOCK.wait(Mode::Shared).await -> (): shared mode is possible
LOCK.locked() -> None: no holder is left
";
    for (line, expected) in stdout(&output).lines().zip(said.lines()) {
        assert_eq!(line, expected);
    }
    assert_eq!((stdout(&output), stderr(&output)), (said, ""));
    assert_eq!(output.status.code(), Some(0));
}

/// The same text with each age, and nothing else, as `T.TTT s`.
#[cfg(feature = "observed")]
fn without_ages(text: &str) -> String {
    let is_age = |word: &str| word.len() == 5 && word.parse::<f64>().is_ok();
    text.split(' ')
        .map(|word| if is_age(word) { "T.TTT" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(feature = "observed")]
#[test]
fn who_holds_it_prints_the_page_and_the_hints() {
    let output = run("who_holds_it", &[], Path::new("."));
    let text = without_ages(stdout(&output)).replace('\\', "/");
    // On a busy machine, all may be slow.
    let (slow, said): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("slow"));
    let expected = "\
# One after the other:
lock order: 2 locks are acquired in orders that may deadlock
  audit acquired accounts, shared, at examples/who_holds_it.rs:36:29, and held log, exclusive, since examples/who_holds_it.rs:34:23
  transfer acquired log, exclusive, at examples/who_holds_it.rs:29:9, and held accounts, exclusive, since examples/who_holds_it.rs:25:33
# A slow task:
# Both at the same time:
deadlock: 2 tasks wait for each other
  audit waits for accounts, shared, at examples/who_holds_it.rs:36:29; held by transfer, exclusive, at examples/who_holds_it.rs:25:33
  transfer waits for log, exclusive, at examples/who_holds_it.rs:29:9; held by audit, exclusive, at examples/who_holds_it.rs:34:23
no statement: accounts is held, exclusive for T.TTT s by transfer at examples/who_holds_it.rs:25:33
# All that is held and awaited:
#  lock      state  mode           age  task      site                            in the way
1  accounts  held   exclusive  T.TTT s  transfer  examples/who_holds_it.rs:25:33
2  accounts  waits  shared     T.TTT s  audit     examples/who_holds_it.rs:36:29  1
3  log       held   exclusive  T.TTT s  audit     examples/who_holds_it.rs:34:23
4  log       waits  exclusive  T.TTT s  transfer  examples/who_holds_it.rs:29:9   3
deadlock: 2 tasks wait for each other
  transfer waits for log, exclusive, at examples/who_holds_it.rs:29:9; held by audit, exclusive, at examples/who_holds_it.rs:34:23
  audit waits for accounts, shared, at examples/who_holds_it.rs:36:29; held by transfer, exclusive, at examples/who_holds_it.rs:25:33
# In the end:
no lock of this table is held or waited for";
    for (line, expected) in said.iter().zip(expected.lines()) {
        assert_eq!(*line, expected);
    }
    assert_eq!(said.len(), expected.lines().count());
    for expected in [
        "slow hold: accounts, shared for T.TTT s by backup at examples/who_holds_it.rs:42:30",
        "slow wait: accounts, exclusive for T.TTT s by transfer at examples/who_holds_it.rs:25:33; in the way when it \
         began: shared for T.TTT s by backup at examples/who_holds_it.rs:42:30",
        "slow hold: log, exclusive for T.TTT s by audit at examples/who_holds_it.rs:34:23",
        "slow wait: log, exclusive for T.TTT s by transfer at examples/who_holds_it.rs:29:9; in the way when it began: \
         exclusive for T.TTT s by audit at examples/who_holds_it.rs:34:23",
    ] {
        // Each wait and each hold is reported once.
        assert_eq!(slow.iter().filter(|line| **line == expected).count(), 1, "{expected}");
    }
    assert_eq!((stderr(&output), output.status.code()), ("", Some(0)));
}
