//! Programs that must not compile, as doctests of empty functions.
//!
//! Some of them are followed by a twin that compiles. It differs from them in nothing but the reason
//! for which they are rejected.

/// A guard that is dropped as soon as it is made causes a warning. The warning does not depend on
/// whether the guard is in an `Option`, or on whether the type of the lock is known. A future that
/// is not awaited causes a warning, too.
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// # let lock = MultiLock::new();
/// lock.try_acquire(Mode::Shared);
/// ```
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// # let lock = MultiLock::new();
/// lock.acquire(Mode::Shared);
/// ```
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// fn share(guard: &Guard<'_>) {
///     guard.share();
/// }
/// ```
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// fn enter(lock: &impl Lockable) {
///     lock.acquire_blocking(Mode::Shared);
/// }
/// ```
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// # let lock = RwLock::new(1);
/// lock.try_read();
/// ```
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// # let lock = RwLock::new(1);
/// lock_all((lock.reading(),));
/// ```
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// # let lock = RwLock::new(1);
/// lock_all_blocking((lock.reading(),));
/// ```
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// # let lock = RwLock::new(1);
/// lock.writing();
/// ```
fn guard_dropped_at_once() {}

/// The lint `let_underscore_drop` finds a guard that `_` drops.
///
/// ```compile_fail
/// # #![deny(let_underscore_drop)]
/// # use multilock::*;
/// async fn change(lock: &MultiLock) {
///     let _ = lock.acquire(Mode::Exclusive).await;
/// }
/// ```
///
/// ```
/// # #![deny(let_underscore_drop)]
/// # use multilock::*;
/// async fn change(lock: &MultiLock) {
///     let _guard = lock.acquire(Mode::Exclusive).await;
/// }
/// ```
fn guard_dropped_by_underscore() {}

/// A glob import hides a crate that is called `futures`. An absolute path finds that crate.
///
/// ```compile_fail
/// # #![allow(unused)]
/// # extern crate futures_lite as futures;
/// use futures::StreamExt;
/// use multilock::*;
/// ```
///
/// ```standalone_crate
/// # #![allow(unused)]
/// # extern crate futures_lite as futures;
/// use ::futures::StreamExt;
/// use multilock::*;
/// ```
///
/// ```standalone_crate
/// # #![allow(unused)]
/// # extern crate futures_lite as futures;
/// use futures::StreamExt;
/// use multilock::{Mode, MultiLock};
/// ```
fn crate_hidden_by_glob() {}

/// The twin of [`guard_dropped_at_once`].
///
/// ```
/// # #![deny(unused_must_use)]
/// # use multilock::*;
/// # let lock = MultiLock::new();
/// let _ = lock.try_acquire(Mode::Shared);
/// let _ = lock.acquire(Mode::Shared);
/// fn share(guard: &Guard<'_>) {
///     let _ = guard.share();
/// }
/// fn enter(lock: &impl Lockable) {
///     let _ = lock.acquire_blocking(Mode::Shared);
/// }
/// # let lock = RwLock::new(1);
/// let _ = lock.try_read();
/// let _ = lock_all((lock.reading(),));
/// let _ = lock_all_blocking((lock.reading(),));
/// let _ = lock.writing();
/// ```
fn guard_dropped_on_purpose() {}

/// An acquisition, a guard or a monitor cannot outlive its lock.
///
/// ```compile_fail,E0597
/// use multilock::{Mode, MultiLock};
///
/// let guard = {
///     let lock = MultiLock::new();
///     lock.try_acquire(Mode::Shared)
/// };
/// drop(guard);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{Mode, MultiLock};
///
/// let lock = MultiLock::new();
/// let acquire = lock.acquire(Mode::Shared);
/// drop(lock);
/// drop(acquire);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{Mode, MultiLock};
///
/// let lock = MultiLock::new();
/// let monitor = lock.monitor(Mode::Shared);
/// drop(lock);
/// drop(monitor);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{HandleLock, Mode};
///
/// let lock: HandleLock<u32> = HandleLock::new();
/// let guard = lock.try_context(Mode::Shared, 1);
/// drop(lock);
/// drop(guard);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{LockSet, Mode, MultiLock};
///
/// let set: LockSet<MultiLock> = [MultiLock::new()].into_iter().collect();
/// let guard = set.try_acquire(Mode::Shared);
/// drop(set);
/// drop(guard);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{Mode, MultiLock, try_acquire_all};
///
/// let lock = MultiLock::new();
/// let guard = try_acquire_all([(&lock, Mode::Shared)]);
/// drop(lock);
/// drop(guard);
/// ```
///
/// ```compile_fail,E0597
/// use multilock::RwLock;
///
/// let guard = {
///     let lock = RwLock::new(1);
///     lock.try_write()
/// };
/// drop(guard);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{RwLock, try_lock_all};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let guards = try_lock_all((a.reading(), b.writing()));
/// drop(b);
/// drop(guards);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{RwLock, lock_all};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let acquire = lock_all((a.reading(), b.writing()));
/// drop(b);
/// drop(acquire);
/// ```
///
/// ```compile_fail,E0505
/// use multilock::{CheckedLocks, RwLock};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let checked = CheckedLocks::new([a.reading(), b.reading()]);
/// drop(b);
/// drop(checked);
/// ```
fn guard_outlives_lock() {}

/// A reference to the data cannot outlive its guard.
///
/// ```compile_fail,E0505
/// use multilock::RwLock;
///
/// let lock = RwLock::new(1);
/// let guard = lock.try_read().unwrap();
/// let shown: &u32 = &guard;
/// drop(guard);
/// assert_eq!(*shown, 1);
/// ```
fn reference_outlives_guard() {}

/// The closure of `map` cannot leak a reference to a part of the data.
///
/// ```compile_fail
/// use multilock::{RwLock, RwLockWriteGuard};
///
/// let lock = RwLock::new((1, 2));
/// let mut part = &mut 0;
/// drop(RwLockWriteGuard::map(lock.try_write().unwrap(), |pair| {
///     part = &mut pair.0;
///     &mut pair.1
/// }));
/// *part = 3;
/// ```
fn reference_escapes_map() {}

/// While the guard of an upgrade in place is alive, the upgradable guard beneath it cannot be used.
///
/// ```compile_fail,E0502
/// use multilock::{RwLock, RwLockUpgradableReadGuard};
///
/// let lock = RwLock::new(1);
/// let mut guard = lock.try_upgradable_read().unwrap();
/// let upgraded = RwLockUpgradableReadGuard::try_upgrade_in_place(&mut guard);
/// assert_eq!(*guard, 1);
/// drop(upgraded);
/// ```
fn upgraded_guard_used() {}

/// A write guard of a part cannot be downgraded: the path to the part may have led through a cell.
///
/// ```compile_fail,E0599
/// use multilock::{MappedRwLockWriteGuard, RwLock, RwLockWriteGuard};
/// use std::cell::Cell;
///
/// let lock = RwLock::new(Cell::new(1));
/// let guard = RwLockWriteGuard::map(lock.try_write().unwrap(), Cell::get_mut);
/// drop(MappedRwLockWriteGuard::downgrade(guard));
/// ```
///
/// ```compile_fail,E0599
/// use multilock::{MappedRwLockWriteGuard, RwLock, RwLockWriteGuard};
/// use std::cell::Cell;
///
/// let lock = RwLock::new(Cell::new(1));
/// let guard = RwLockWriteGuard::map(lock.try_write().unwrap(), Cell::get_mut);
/// drop(MappedRwLockWriteGuard::downgrade_map(guard, |part| part));
/// ```
fn mapped_guard_downgraded() {}

/// The closure of `downgrade_map` gets a shared reference. It cannot reach the inside of a cell,
/// which other readers could change.
///
/// ```compile_fail,E0596
/// use multilock::{RwLock, RwLockWriteGuard};
/// use std::cell::Cell;
///
/// let lock = RwLock::new(Cell::new(1));
/// let guard = lock.try_write().unwrap();
/// let part = RwLockWriteGuard::downgrade_map(guard, |cell| &*cell.get_mut());
/// lock.try_read().unwrap().set(2);
/// assert_eq!(*part, 1);
/// ```
///
/// Nor can it return a reference that it has from elsewhere, and that ends sooner than the guard.
///
/// ```compile_fail,E0597
/// use multilock::{RwLock, RwLockWriteGuard};
///
/// let lock = RwLock::new(1);
/// let part = {
///     let short = 2;
///     RwLockWriteGuard::downgrade_map(lock.try_write().unwrap(), |_| &short)
/// };
/// assert_eq!(*part, 2);
/// ```
fn cell_reached_by_downgrade_map() {}

/// The twin of [`cell_reached_by_downgrade_map`].
///
/// ```
/// use multilock::{RwLock, RwLockWriteGuard};
/// use std::cell::Cell;
///
/// let lock = RwLock::new(Cell::new(1));
/// let guard = lock.try_write().unwrap();
/// let part = RwLockWriteGuard::downgrade_map(guard, |cell| &*cell);
/// lock.try_read().unwrap().set(2);
/// assert_eq!(part.get(), 2);
/// ```
fn cell_mapped_whole() {}

/// A write guard of a `Cell` cannot be sent to another thread. If it were downgraded there, two
/// threads would read a cell that they must not share.
///
/// `tests/api.rs` checks which types are `Send` and `Sync`. This program, and the next, show why.
///
/// ```compile_fail,E0277
/// use multilock::{RwLock, RwLockWriteGuard};
/// use std::cell::Cell;
/// use std::thread;
///
/// let lock = RwLock::new(Cell::new(1));
/// let guard = lock.try_write().unwrap();
/// thread::scope(|scope| {
///     scope.spawn(move || RwLockWriteGuard::downgrade(guard).set(2));
///     while lock.try_read().is_none() {}
/// });
/// ```
fn cell_guard_sent() {}

/// Neither guards nor futures of `lock_all` can be sent if the data of one of the locks cannot.
///
/// ```compile_fail,E0277
/// use multilock::{RwLock, try_lock_all};
/// use std::cell::Cell;
/// use std::thread;
///
/// let (a, b) = (RwLock::new(1), RwLock::new(Cell::new(2)));
/// let guards = try_lock_all((a.writing(), b.writing())).unwrap();
/// thread::scope(|scope| _ = scope.spawn(move || drop(guards)));
/// ```
///
/// ```compile_fail,E0277
/// use multilock::{RwLock, lock_all};
/// use std::rc::Rc;
/// use std::sync::Arc;
///
/// fn spawn(_: impl Future + Send + 'static) {}
///
/// let (a, b) = (Arc::new(RwLock::new(1)), Arc::new(RwLock::new(Rc::new(2))));
/// spawn(lock_all((a.reading_arc(), b.reading_arc())));
/// ```
fn cell_sent_with_others() {}

/// The twin of [`cell_sent_with_others`].
///
/// ```
/// use multilock::{RwLock, lock_all, try_lock_all};
/// use std::sync::Arc;
/// use std::sync::atomic::AtomicU32;
/// use std::thread;
///
/// let (a, b) = (RwLock::new(1), RwLock::new(AtomicU32::new(2)));
/// let guards = try_lock_all((a.writing(), b.writing())).unwrap();
/// thread::scope(|scope| _ = scope.spawn(move || drop(guards)));
///
/// fn spawn(_: impl Future + Send + 'static) {}
///
/// let (a, b) = (Arc::new(RwLock::new(1)), Arc::new(RwLock::new(AtomicU32::new(2))));
/// spawn(lock_all((a.reading_arc(), b.reading_arc())));
/// ```
fn atomic_sent_with_others() {}

/// A guard of a reading or upgrading request gives no mutable access, and a writing one gives it to
/// one reference at a time.
///
/// ```compile_fail,E0596
/// use multilock::{RwLock, try_lock_all};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let (mut first, second) = try_lock_all((a.reading(), b.writing())).unwrap();
/// let shown: &mut i32 = &mut *second;
/// ```
///
/// ```compile_fail,E0594
/// use multilock::{RwLock, try_lock_all};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let (mut first, second) = try_lock_all((a.reading(), b.writing())).unwrap();
/// *first += 1;
/// ```
///
/// ```compile_fail,E0594
/// use multilock::{RwLock, try_lock_all};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let (mut first, second) = try_lock_all((a.upgrading(), b.writing())).unwrap();
/// *first += 1;
/// ```
///
/// ```compile_fail,E0499
/// use multilock::{RwLock, try_lock_all};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let (first, mut second) = try_lock_all((a.reading(), b.writing())).unwrap();
/// let (one, other): (&mut i32, &mut i32) = (&mut *second, &mut *second);
/// *one += *other;
/// ```
fn reader_writes() {}

/// A request is neither a lock nor a pair of a lock and a mode, and a lock alone is no request.
///
/// ```compile_fail,E0277
/// use multilock::{RwLock, acquire_all};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// drop(acquire_all([a.reading(), b.reading()]));
/// ```
///
/// ```compile_fail,E0277
/// use multilock::{RwLock, lock_all};
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// drop(lock_all((&a, b.reading())));
/// ```
///
/// ```compile_fail,E0277
/// use multilock::{RwLock, lock_all};
///
/// let a = RwLock::new(1);
/// drop(lock_all(a.reading()));
/// ```
fn no_request() {}

/// Only this crate implements the traits of requests, and only it makes a guard of one.
///
/// ```compile_fail,E0277
/// use multilock::{RwLock, requests::LockRequest};
///
/// struct Mine;
///
/// impl LockRequest for Mine {
///     type Guard = ();
///     unsafe fn into_guard(self) {}
/// }
/// ```
///
/// ```compile_fail,E0133
/// use multilock::requests::LockRequest;
///
/// fn steal<R: LockRequest>(request: R, record: R::Record) -> R::Guard {
///     request.into_guard(record)
/// }
/// ```
fn request_implemented() {}

/// A guard that owns the lock cannot be sent if the data cannot. The last owner of the lock drops
/// the data, which must be dropped in this thread.
///
/// ```compile_fail,E0277
/// use multilock::RwLock;
/// use std::sync::{Arc, Mutex};
/// use std::thread;
///
/// let mutex = Mutex::new(1);
/// let lock = Arc::new(RwLock::new(mutex.lock().unwrap()));
/// let guard = lock.try_read_arc().unwrap();
/// drop(lock);
/// thread::scope(|scope| _ = scope.spawn(move || drop(guard)));
/// ```
fn mutex_guard_sent() {}

/// A type that gives write access is invariant in the type of the data. Otherwise a writer could
/// store a reference that lives for less than the type of the lock says, and the data would then
/// contain a dangling reference.
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLock<&'static str>) -> RwLock<&'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLockUpgradableReadGuard<'a, &'static str>) -> RwLockUpgradableReadGuard<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLockUpgradedGuard<'a, &'static str>) -> RwLockUpgradedGuard<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLockWriteGuard<'a, &'static str>) -> RwLockWriteGuard<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: MappedRwLockWriteGuard<'a, &'static str>) -> MappedRwLockWriteGuard<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLockUpgradableReadGuardArc<&'static str>) -> RwLockUpgradableReadGuardArc<&'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: RwLockWriteGuardArc<&'static str>) -> RwLockWriteGuardArc<&'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: MappedRwLockWriteGuardArc<&'static str, u32>) -> MappedRwLockWriteGuardArc<&'a str, u32> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: MappedRwLockWriteGuardArc<u32, &'static str>) -> MappedRwLockWriteGuardArc<u32, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::UpgradableRead<'a, &'static str>) -> futures::UpgradableRead<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::Write<'a, &'static str>) -> futures::Write<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::Upgrade<'a, &'static str>) -> futures::Upgrade<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::UpgradeArc<&'static str>) -> futures::UpgradeArc<&'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::UpgradableReadArc<'a, &'static str>) -> futures::UpgradableReadArc<'a, &'a str> {
///     long
/// }
/// ```
///
/// ```compile_fail
/// # use multilock::*;
/// fn shorten<'a>(long: futures::WriteArc<'a, &'static str>) -> futures::WriteArc<'a, &'a str> {
///     long
/// }
/// ```
fn lifetime_shortened() {}

/// The twin of [`lifetime_shortened`].
///
/// ```
/// # use multilock::*;
/// fn f0<'a>(same: RwLock<&'static str>) -> RwLock<&'static str> {
///     same
/// }
/// fn f1<'a>(same: RwLockUpgradableReadGuard<'a, &'static str>) -> RwLockUpgradableReadGuard<'a, &'static str> {
///     same
/// }
/// fn f2<'a>(same: RwLockUpgradedGuard<'a, &'static str>) -> RwLockUpgradedGuard<'a, &'static str> {
///     same
/// }
/// fn f3<'a>(same: RwLockWriteGuard<'a, &'static str>) -> RwLockWriteGuard<'a, &'static str> {
///     same
/// }
/// fn f4<'a>(same: MappedRwLockWriteGuard<'a, &'static str>) -> MappedRwLockWriteGuard<'a, &'static str> {
///     same
/// }
/// fn f5<'a>(same: RwLockUpgradableReadGuardArc<&'static str>) -> RwLockUpgradableReadGuardArc<&'static str> {
///     same
/// }
/// fn f6<'a>(same: RwLockWriteGuardArc<&'static str>) -> RwLockWriteGuardArc<&'static str> {
///     same
/// }
/// fn f7<'a>(same: MappedRwLockWriteGuardArc<&'static str, u32>) -> MappedRwLockWriteGuardArc<&'static str, u32> {
///     same
/// }
/// fn f8<'a>(same: MappedRwLockWriteGuardArc<u32, &'static str>) -> MappedRwLockWriteGuardArc<u32, &'static str> {
///     same
/// }
/// fn f9<'a>(same: futures::UpgradableRead<'a, &'static str>) -> futures::UpgradableRead<'a, &'static str> {
///     same
/// }
/// fn f10<'a>(same: futures::Write<'a, &'static str>) -> futures::Write<'a, &'static str> {
///     same
/// }
/// fn f11<'a>(same: futures::Upgrade<'a, &'static str>) -> futures::Upgrade<'a, &'static str> {
///     same
/// }
/// fn f12<'a>(same: futures::UpgradeArc<&'static str>) -> futures::UpgradeArc<&'static str> {
///     same
/// }
/// fn f13<'a>(same: futures::UpgradableReadArc<'a, &'static str>) -> futures::UpgradableReadArc<'a, &'static str> {
///     same
/// }
/// fn f14<'a>(same: futures::WriteArc<'a, &'static str>) -> futures::WriteArc<'a, &'static str> {
///     same
/// }
/// ```
fn lifetime_kept() {}

/// A handle may stay in the lock as long as the lock lives. So the lock accepts no handle with a
/// shorter lifetime than that of its type `H`.
///
/// ```compile_fail,E0597
/// use multilock::{HandleLock, Mode};
///
/// let lock: HandleLock<&'static str> = HandleLock::new();
/// let handle = String::from("short");
/// let _ = lock.try_acquire(Mode::Shared, &handle);
/// ```
///
/// ```compile_fail,E0597
/// use multilock::{HandleLock, Mode};
///
/// let lock: HandleLock<&'static str> = HandleLock::new();
/// let guard = lock.try_context(Mode::Shared, "long").unwrap();
/// let handle = String::from("short");
/// let _ = guard.lock().try_acquire(Mode::Shared, &handle);
/// ```
fn lock_outlives_handle() {}
