//! My program hangs: how to find out why, with what a lock shows of itself. This module contains
//! documentation alone.
//!
//! # How to print the lock
//!
//! All locks implement `Debug`, which acquires nothing and waits for nothing. A
//! [`MultiLock`](crate::MultiLock), an [`RwLock`](crate::RwLock) and a
//! [`HandleLock`](crate::HandleLock) show their [`Snapshot`](crate::Snapshot), and a
//! [`LockSet`](crate::LockSet) shows its locks, in the order of [`locks`](crate::LockSet::locks).
//!
//! Print the lock from a place that still runs: another thread, or a time limit around the task
//! that hangs. Print it several times. A lock that once shows something else is in use. One that
//! shows the same for seconds is most likely stuck, or is not used. Then drop the task, as a time
//! limit does, and print the lock once more. Here the task waits for itself:
//!
//! ```
//! # smol::block_on(async {
//! use std::time::Duration;
//!
//! use multilock::{Mode, MultiLock};
//! use smol::{Timer, future::or};
//!
//! let lock = MultiLock::new();
//! let task = async {
//!     let _guard = lock.acquire(Mode::Exclusive).await;
//!     lock.acquire(Mode::Shared).await;
//!     "done"
//! };
//! let limit = async {
//!     Timer::after(Duration::from_millis(10)).await;
//!     eprintln!("{lock:?}");
//! #   assert_eq!(
//! #       format!("{lock:?}"),
//! #       "MultiLock(Snapshot { mode: Some(Exclusive), shared_holders: 0, upgrading: false, \
//! #        shared_wait: true, upgradable_wait: false, exclusive_wait: false, overtaken: false, \
//! #        monitored: false })"
//! #   );
//!     "too late"
//! };
//! // `or` drops the task when the limit is over.
//! assert_eq!(or(task, limit).await, "too late");
//! eprintln!("without the task: {lock:?}");
//! assert_eq!(lock.locked(), None);
//! # });
//! ```
//!
//! # What the lock shows
//!
//! | field | method | meaning |
//! |---|---|---|
//! | `mode` | [`mode`](crate::Snapshot::mode) | The strongest mode of a holder. `None`: the lock is free. |
//! | `shared_holders` | [`shared_holders`](crate::Snapshot::shared_holders) | The number of shared guards, handles and names. An upgradable holder is not counted. |
//! | `upgrading` | [`is_upgrading`](crate::Snapshot::is_upgrading) | An upgrade waits for the shared holders to leave, and keeps all others out. `mode` is `Some(Upgradable)` then. |
//! | `shared_wait`, `upgradable_wait`, `exclusive_wait` | [`is_awaited`](crate::Snapshot::is_awaited) | At least one acquisition in that mode is queued. One that was woken counts until it is polled and acquires the lock, or is dropped. A set is queued at one lock at a time. |
//! | `overtaken` | | A woken waiter has found the lock taken again, or a set has found another lock taken. The lock is contended. |
//! | `monitored` | | There is a monitor, a stream of changes, a subscription of an event, or a task that waits with `wait` or for a condition. None of them keeps a task out. |
//!
//! The lock knows neither which tasks hold it, nor which tasks wait, nor how many wait. If the
//! acquisitions have names, a [`HandleLock`](crate::HandleLock) lists its
//! [`holders`](crate::HandleLock::holders).
//!
//! # What to conclude
//!
//! | what stays the same | cause |
//! |---|---|
//! | `mode: None`, and an acquisition is queued | A woken waiter is not polled: [a future that is kept](#a-future-that-is-kept-and-not-polled). |
//! | `upgrading: true`, `shared_holders: 0` | The same: the upgrade can go on, and is not polled. |
//! | `mode: Some(..)`, and an acquisition is queued, or `upgrading: true`; the lock is free without the task that waits | The task waits for itself: [a second acquisition](#a-second-acquisition-in-the-same-task), or [a guard in a `match`](#a-guard-in-a-match). |
//! | the same, but the lock stays held without that task | Another task holds the lock, and does not go on. If no task does, it was [a forgotten guard or a dropped handle](#a-forgotten-guard-or-a-dropped-handle). |
//! | no acquisition is queued, `upgrading: false` | No task waits for this lock. Look at other locks, at monitors and at conditions. |
//!
//! Where the lock is held, the snapshot alone does not tell the causes apart: hence the second
//! look, without the task.
//!
//! In the programs below, `run_until_stalled` returns when no task can go on.
//!
//! # A second acquisition in the same task
//!
//! A task that holds the lock exclusively, and waits for it again, always hangs. A task that shares
//! the lock twice hangs if an exclusive waiter is queued in between, because newcomers wait behind
//! that waiter:
//!
//! ```
//! use futures::{executor::LocalPool, task::LocalSpawnExt};
//! use multilock::{Mode, MultiLock};
//! use smol::future::yield_now;
//!
//! static LOCK: MultiLock = MultiLock::new();
//!
//! let mut pool = LocalPool::new();
//! let reader = async {
//!     let _first = LOCK.acquire(Mode::Shared).await;
//!     yield_now().await;
//!     let _second = LOCK.acquire(Mode::Shared).await;
//! };
//! let writer = async {
//!     let _guard = LOCK.acquire(Mode::Exclusive).await;
//! };
//! pool.spawner().spawn_local(reader).unwrap();
//! pool.spawner().spawn_local(writer).unwrap();
//! pool.run_until_stalled();
//! assert_eq!(
//!     format!("{LOCK:?}"),
//!     "MultiLock(Snapshot { mode: Some(Shared), shared_holders: 1, upgrading: false, \
//!      shared_wait: true, upgradable_wait: false, exclusive_wait: true, overtaken: false, \
//!      monitored: false })"
//! );
//! // Without the tasks.
//! drop(pool);
//! assert_eq!(LOCK.locked(), None);
//! ```
//!
//! The cure is one acquisition. Pass the guard on by reference, or drop it before the task acquires
//! the lock again. A holder may also share the lock without waiting, with
//! [`Guard::share`](crate::Guard::share) or
//! [`RwLockReadGuard::share`](crate::RwLockReadGuard::share). To read first and then write, acquire
//! the lock in upgradable mode, and upgrade the guard.
//!
//! # A guard in a `match`
//!
//! A guard without a name, in the expression after `match`, lives to the end of the `match`. So
//! this task acquires the lock twice:
//!
//! ```
//! use futures::{executor::LocalPool, task::LocalSpawnExt};
//! use multilock::RwLock;
//!
//! static LOCK: RwLock<Option<u32>> = RwLock::new(None);
//!
//! let mut pool = LocalPool::new();
//! let task = async {
//!     match *LOCK.read().await {
//!         Some(number) => println!("{number}"),
//!         None => *LOCK.write().await = Some(1),
//!     }
//! };
//! pool.spawner().spawn_local(task).unwrap();
//! pool.run_until_stalled();
//! assert_eq!(
//!     format!("{LOCK:?}"),
//!     "RwLock { state: Snapshot { mode: Some(Shared), shared_holders: 1, upgrading: false, \
//!      shared_wait: false, upgradable_wait: false, exclusive_wait: true, overtaken: false, \
//!      monitored: false }, .. }"
//! );
//! // Without the task.
//! drop(pool);
//! assert_eq!(LOCK.raw().locked(), None);
//!
//! // The cure: a statement of its own, at the end of which the guard is dropped.
//! let mut pool = LocalPool::new();
//! pool.run_until(async {
//!     let value = *LOCK.read().await;
//!     match value {
//!         Some(number) => println!("{number}"),
//!         None => *LOCK.write().await = Some(1),
//!     }
//! });
//! ```
//!
//! Clippy finds such a `match` with `#![warn(clippy::significant_drop_in_scrutinee)]`.
//!
//! A guard in an `if let` or `while let` lives through the body, too. Since edition 2024, that of
//! an `if let` is dropped before `else`:
//!
//! ```
//! # use futures::{executor::LocalPool, task::LocalSpawnExt};
//! # use multilock::RwLock;
//! # static LOCK: RwLock<Option<u32>> = RwLock::new(None);
//! # let mut pool = LocalPool::new();
//! // Ends.
//! pool.run_until(async {
//!     if let Some(number) = *LOCK.read().await {
//!         println!("{number}");
//!     } else {
//!         *LOCK.write().await = Some(1);
//!     }
//! });
//! // Hangs.
//! let task = async {
//!     if let Some(number) = *LOCK.read().await {
//!         *LOCK.write().await = Some(number + 1);
//!     }
//! };
//! # pool.spawner().spawn_local(task).unwrap();
//! # pool.run_until_stalled();
//! # assert_eq!(LOCK.raw().snapshot().shared_holders(), 1);
//! # assert!(LOCK.raw().snapshot().is_awaited(multilock::Mode::Exclusive));
//! ```
//!
//! # A future that is kept and not polled
//!
//! A release wakes the task of the waiter whose turn it is. If that task keeps the future of its
//! acquisition, but waits for something else, the next waiter may sleep until the next release:
//!
//! ```
//! use futures::executor::{LocalPool, LocalSpawner};
//! use futures::{future, select_biased, task::LocalSpawnExt};
//! use multilock::{Mode, MultiLock};
//!
//! static LOCK: MultiLock = MultiLock::new();
//!
//! async fn task(spawner: LocalSpawner, cured: bool) {
//!     let mut kept = Box::pin(LOCK.acquire(Mode::Exclusive));
//!     select_biased! {
//!         _ = kept.as_mut() => unreachable!("the lock is held"),
//!         () = future::ready(()) => {}
//!     }
//!     if cured {
//!         drop(kept);
//!     }
//!     let other = spawner.spawn_local_with_handle(LOCK.acquire(Mode::Exclusive)).unwrap();
//!     drop(other.await);
//! }
//!
//! for cured in [false, true] {
//!     let mut pool = LocalPool::new();
//!     let guard = LOCK.try_acquire(Mode::Exclusive).unwrap();
//!     pool.spawner().spawn_local(task(pool.spawner(), cured)).unwrap();
//!     pool.run_until_stalled();
//!     drop(guard);
//!     pool.run_until_stalled();
//!     if !cured {
//!         assert_eq!(
//!             format!("{LOCK:?}"),
//!             "MultiLock(Snapshot { mode: None, shared_holders: 0, upgrading: false, \
//!              shared_wait: false, upgradable_wait: false, exclusive_wait: true, \
//!              overtaken: false, monitored: false })"
//!         );
//!     }
//!     assert_eq!(LOCK.snapshot().is_awaited(Mode::Exclusive), !cured);
//! }
//! ```
//!
//! The cure is to drop a future that the task no longer polls: let `select!` own it, or limit it to
//! a block. If it must live, spawn it as a task, or poll it together with the others, as `join!`
//! does.
//!
//! An upgrade that is kept shows itself. It keeps all other tasks out:
//!
//! ```
//! use futures::FutureExt;
//! use multilock::{Mode, MultiLock};
//!
//! let lock = MultiLock::new();
//! let reader = lock.try_acquire(Mode::Shared).unwrap();
//! let mut guard = lock.try_acquire(Mode::Upgradable).unwrap();
//! let mut kept = Box::pin(guard.upgrade());
//! assert!(kept.as_mut().now_or_never().is_none());
//! drop(reader);
//! assert!(lock.try_acquire(Mode::Shared).is_none());
//! assert_eq!(
//!     format!("{lock:?}"),
//!     "MultiLock(Snapshot { mode: Some(Upgradable), shared_holders: 0, upgrading: true, \
//!      shared_wait: false, upgradable_wait: false, exclusive_wait: false, overtaken: false, \
//!      monitored: false })"
//! );
//! ```
//!
//! A future that is kept may also *hold* the lock, if it has acquired a guard and waits for
//! something else, as in a buffered stream that is not polled. The lock then shows its `mode`, as
//! with any holder that does not go on.
//!
//! # A forgotten guard or a dropped handle
//!
//! The drop of a [`Handle`](crate::Handle) releases nothing, and a guard that is forgotten
//! (`mem::forget`, a leaked box, a cycle of `Rc`s) is never dropped. The lock stays held, even
//! without any task:
//!
//! ```
//! use futures::{executor::LocalPool, task::LocalSpawnExt};
//! use multilock::{Mode, MultiLock};
//!
//! static LOCK: MultiLock = MultiLock::new();
//!
//! let mut pool = LocalPool::new();
//! let task = async {
//!     let handle = LOCK.acquire(Mode::Exclusive).await.into_handle();
//!     drop(handle);
//!     let _guard = LOCK.acquire(Mode::Shared).await;
//! };
//! pool.spawner().spawn_local(task).unwrap();
//! pool.run_until_stalled();
//! assert_eq!(
//!     format!("{LOCK:?}"),
//!     "MultiLock(Snapshot { mode: Some(Exclusive), shared_holders: 0, upgrading: false, \
//!      shared_wait: true, upgradable_wait: false, exclusive_wait: false, overtaken: false, \
//!      monitored: false })"
//! );
//! // Without the task.
//! drop(pool);
//! assert_eq!(LOCK.locked(), Some(Mode::Exclusive));
//! ```
//!
//! The cure is to [release](crate::MultiLock::release) each handle, or to
//! [adopt](crate::MultiLock::adopt) it, which makes it a guard again. To find the acquisition, give
//! it a name. A [`HandleLock`](crate::HandleLock) lists the holder even if its guard was forgotten:
//!
//! ```
//! use multilock::{HandleLock, Mode};
//!
//! let lock = HandleLock::new();
//! std::mem::forget(lock.try_context(Mode::Shared, "report").unwrap());
//! lock.try_acquire(Mode::Shared, "backup").unwrap();
//! assert_eq!(lock.holders(), [("report", Mode::Shared), ("backup", Mode::Shared)]);
//! ```
//!
//! # Other causes
//!
//! * Two tasks hold one lock each, and each waits for the lock of the other. Both locks show a
//!   mode and a queued acquisition. Acquire both at once, with [`lock_all`](crate::lock_all).
//! * A task blocks the thread that the holder needs in order to go on, with a method whose name
//!   contains `blocking`, or with another lock. The lock shows a mode.
