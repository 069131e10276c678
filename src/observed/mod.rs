//! Locks that tell an observer who acquires them: where, in which mode, and for how long.
//!
//! Use them to find out who holds a lock, why a task waits, or which call holds a lock for too long. The module needs the
//! feature `observed`. The other locks of the crate are the same with the feature and without it.
//!
//! [`MultiLock`] and [`RwLock`] have the methods of the locks without an observer, and each has an [`Observer`]: a log, a
//! histogram, a table of holders. The lock calls it when an acquisition begins to wait, is successful, changes its mode, is
//! released, and is canceled while it waits. Each call names the lock, the mode, and the line of the program that has called
//! the lock.
//!
//! # The observers of the crate
//!
//! | you want to know | take |
//! |---|---|
//! | who holds which lock, since when, and who waits; which tasks wait for each other | [`Global`], the observer of locks that name no other, and [`table`](table()); or a [`Table`] of your own |
//! | which task that is | [`Task`], which gives a future a name |
//! | how long a lock is waited for, and held | [`Times`] |
//! | nothing, for now | `()` |
//!
//! [`guide::who_holds_it`](crate::guide::who_holds_it) shows them at work. Two observers of one lock are a pair.
//!
//! # An observer of your own
//!
//! What an observer remembers of an acquisition is its [`Record`](Observer::Record), which the guard keeps. So an observer
//! that measures time needs no table, and no lock of its own:
//!
//! ```
//! /// The names of the crate, for locks that have an observer.
//! mod observed {
//!     use multilock::observed::{Acquisition, NewObserver, Observer};
//!     use std::time::{Duration, Instant};
//!
//!     multilock::observed::locks!(pub SlowHolders);
//!
//!     /// Prints who has held a lock for a long time.
//!     pub struct SlowHolders;
//!
//!     impl Observer for SlowHolders {
//!         type Record = Instant;
//!
//!         fn waiting(&self, _: Acquisition<'_>) -> Instant {
//!             Instant::now()
//!         }
//!
//!         fn acquired(&self, _: Acquisition<'_>, _waited_since: Option<Instant>) -> Instant {
//!             Instant::now()
//!         }
//!
//!         fn released(&self, acquisition: Acquisition<'_>, since: Instant) {
//!             let (held, mode) = (since.elapsed(), acquisition.mode());
//!             if held > Duration::from_millis(20) {
//!                 println!("{} was held for {held:?}, {mode:?}, by {}", acquisition.lock(), acquisition.site());
//!             }
//!         }
//!
//!         fn cancelled(&self, _: Acquisition<'_>, _waited_since: Instant) {}
//!     }
//!
//!     impl NewObserver for SlowHolders {
//!         const NEW: Self = SlowHolders;
//!     }
//! }
//!
//! // In place of `use multilock::RwLock`.
//! use observed::RwLock;
//!
//! # futures_lite::future::block_on(async {
//! static NAMES: RwLock<Vec<&str>> = RwLock::named("the names", Vec::new());
//! NAMES.write().await.push("a");
//! # });
//! ```
//!
//! [`locks`] defines all names of the crate for one observer, so a program that was written for the other locks compiles with
//! another `use` line. For one type, `type RwLock<T> = multilock::observed::RwLock<T, SlowHolders>` is enough.
//!
//! # What is told
//!
//! | event | call |
//! |---|---|
//! | a future has not acquired the lock at its first poll; a thread enters the queue | [`waiting`](Observer::waiting) |
//! | the lock was acquired, at once or after a wait | [`acquired`](Observer::acquired) |
//! | a future that waits is dropped; an acquisition that has waited gives up | [`cancelled`](Observer::cancelled) |
//! | a guard was downgraded or upgraded | [`changed`](Observer::changed) |
//! | the lock was released | [`released`](Observer::released) |
//!
//! * An acquisition that fails, or is dropped, before it has waited is not told. So a `try_` method that fails tells nothing.
//! * With `_or` and a time limit, there is one acquisition: if the last try is successful after a wait, it has waited. The last
//!   try of a *set* of locks is an acquisition of its own.
//! * An upgrade that waits is a wait of its own. If it is canceled, the acquisition goes on in its old mode.
//! * A guard that is mapped to a part of the data, and one that is detached to a handle, go on with the acquisition. A handle
//!   that is released, or whose guard is dropped, ends it. A share is an acquisition of its own.
//! * A guard or a handle that is forgotten (`mem::forget`) does not end, for the lock and for the observer. So it is with a
//!   future that is forgotten while it waits.
//! * `read_when` and the like are one acquisition, which begins when the condition holds. Until then it waits, also while the
//!   condition is evaluated.
//! * Each lock of [`lock_all`](crate::lock_all), [`acquire_all`](crate::acquire_all) and a [`LockSet`](crate::LockSet) is told
//!   of an acquisition. A set begins to wait when it finds a lock that it cannot acquire, and waits for all its locks then.
//! * Monitors and `wait` acquire nothing, and tell nothing.
//!
//! The observer is told of a release, a downgrade and a canceled wait after it has happened: what the observer does delays no
//! other waiter. A thread that was woken may tell of its acquisition before this release is told.
//!
//! # Cost
//!
//! An observed lock is larger than another one by three words and its observer, and a guard by three words and the record.
//! Each acquisition calls the observer twice, or three times if it waits. With `std`, each call is guarded against a panic. What
//! else it costs is what the observer does. Nothing is allocated, looked up or locked for an acquisition: the records are in
//! futures and guards. There is one exception: the records of a `LockSet`, of `acquire_all` and of a vector or slice of requests
//! are in a box, unless a record has no size.
//!
//! # Limitations
//!
//! * There is no observed [`HandleLock`](crate::HandleLock), and no observed [`ShardedRwLock`](crate::ShardedRwLock). The traits
//!   of `lock_api`, `serde` and `defmt` are not implemented for observed locks and their guards.
//! * What names the locks of a set, such as [`LockSet::contains`](crate::LockSet::contains), names the lock without an observer,
//!   which [`MultiLock::unobserved`] returns.
//! * A function that is generic over locks names the record of the lock where it names a handle:
//!   `Handle<L::Record>`, for an `L` that is [`Lockable`](crate::Lockable). A `LockSet` returns a `SetGuard` with a third parameter.
//! * Without `alloc`, observed locks are not `Lockable`. [`lock_all`](crate::lock_all) takes them in tuples and arrays.
//! * In generic code, the line of the caller is the line of that code.
//! * An observer must not acquire the lock that calls it: it would be called again, or wait for itself.

#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
#[macro_use]
mod guard;
pub mod futures;
mod lock;
mod names;
mod observer;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod owned;
pub mod requests;
mod rwlock;
// The records of a set are on the heap.
#[cfg(feature = "alloc")]
mod sets;
mod told;
mod wait;

pub use guard::Guard;
pub use lock::MultiLock;
pub use names::locks;
pub use observer::{Acquisition, LockInfo, NewObserver, Observer};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr", feature = "event-listener"))]
pub use owned::SubscriptionArc;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use owned::{GuardArc, MonitorArc};
pub use rwlock::RwLock;
pub use rwlock::guards::{
    MappedRwLockWriteGuard, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockUpgradedGuard,
    RwLockWriteGuard,
};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use rwlock::owned::{
    ChangesArc, MappedRwLockWriteGuardArc, RwLockReadGuardArc, RwLockUpgradableReadGuardArc,
    RwLockWriteGuardArc,
};
pub use told::Told;

mod info;

// The observers of the crate.

#[cfg(feature = "std")]
mod clock;
mod global;
#[cfg(feature = "alloc")]
mod table;
#[cfg(feature = "alloc")]
mod task;
mod times;

pub use global::Global;
#[cfg(feature = "std")]
pub use global::table;
#[cfg(feature = "alloc")]
pub use table::entry::Entry;
#[cfg(feature = "alloc")]
pub use table::report::Report;
#[cfg(feature = "alloc")]
pub use table::{Table, TableRecord};
#[cfg(feature = "std")]
pub use task::Task;
pub use times::{Durations, Summary, Times, TimesRecord};
