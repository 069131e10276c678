//! The public types: which traits each of them implements and which it does not, and which of its lifetimes
//! may be shortened. Most of this is checked at compile time.
//!
//! For each type in the tables, all of [`TRAITS`] are checked: a trait that is gained or lost is a failure. So
//! is a public type in no table, and a function in no table whose return type has no name.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::ready;
use std::hash::Hash;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::slice;
use std::sync::{Arc, MutexGuard};

use Mode::Shared;
#[cfg(feature = "defmt")]
use defmt::Format;
use futures_core::{FusedFuture, FusedStream};
use multilock::futures::{
    Read, ReadArc, UpgradableRead, UpgradableReadArc, Upgrade, UpgradeArc, Write, WriteArc,
};
use multilock::requests::{
    InMode, InModeArc, LockRequest, LockRequests, Reading, ReadingArc, Upgrading, UpgradingArc,
    Writing, WritingArc,
};
use multilock::{
    AllGuard, Changes, ChangesArc, CheckedLocks, DuplicateLock, Guard, GuardArc, Handle,
    HandleGuard, HandleId, HandleInUse, HandleLock, LockGuard, LockSet, Lockable,
    MappedRwLockWriteGuard, MappedRwLockWriteGuardArc, Mode, Monitor, MonitorArc, MultiLock,
    ReleaseError, RwLock, RwLockReadGuard, RwLockReadGuardArc, RwLockUpgradableReadGuard,
    RwLockUpgradableReadGuardArc, RwLockUpgradedGuard, RwLockWriteGuard, RwLockWriteGuardArc,
    SetGuard, ShardedRwLock, ShardedRwLockWriteGuard, Snapshot, TryAcquireError, TryLockAllError,
    UpgradeError, Wanted, acquire_all, lock_all, lock_all_or, try_acquire_all, try_lock_all,
};

#[cfg(feature = "event-listener")]
use multilock::{SharedEvent, Subscription, SubscriptionArc};

/// Asks whether `T` implements the trait with that number. Its inherent `has` takes precedence over that of
/// [`Otherwise`], but exists only if `T` implements the trait.
struct Probe<T, const TRAIT: usize>(PhantomData<T>);

trait Otherwise {
    fn has(&self) -> bool {
        false
    }
}

impl<T, const TRAIT: usize> Otherwise for Probe<T, TRAIT> {}

fn probe<T, const TRAIT: usize>(_: &[T]) -> Probe<T, TRAIT> {
    Probe(PhantomData)
}

macro_rules! probes {
    ($($(#[$cfg:meta])? $number:literal $Trait:ident)+) => {
        const TRAITS: &[&str] = &[$(stringify!($Trait)),+];

        $(
            $(#[$cfg])?
            impl<T: $Trait> Probe<T, $number> {
                fn has(&self) -> bool {
                    true
                }
            }
        )+
    };
}
probes! {
    0 Send 1 Sync 2 Unpin 3 UnwindSafe 4 RefUnwindSafe 5 Copy 6 Clone 7 Default 8 Debug 9 Display 10 Error 11 Eq
    12 Ord 13 Hash 14 FusedFuture 15 FusedStream #[cfg(feature = "defmt")] 16 Format
}

/// The names of those of [`TRAITS`] that a type implements, or that the type of a value implements. The value
/// is given in a slice.
macro_rules! traits {
    ($Type:ty) => {
        traits!(in &([] as [$Type; 0]))
    };
    (of $value:expr) => {
        traits!(in slice::from_ref(&$value))
    };
    (in $values:expr) => {
        traits!($values, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    };
    // Not a `let`, which would drop the temporaries that the value borrows.
    ($values:expr, $($number:literal)+) => {
        match $values {
            values => names([$(probe::<_, $number>(values).has()),+]),
        }
    };
}

/// The number of auto traits in [`TRAITS`]. All of them together are called `auto`.
const AUTO: usize = 5;

fn names<const COUNT: usize>(has: [bool; COUNT]) -> String {
    assert_eq!(COUNT, TRAITS.len());
    let all = has[..AUTO].iter().all(|has| *has);
    let names = TRAITS.iter().zip(has).skip(if all { AUTO } else { 0 }).filter(|has| has.1);
    let auto = all.then_some("auto");
    auto.into_iter().chain(names.map(|has| *has.0)).collect::<Vec<_>>().join(" ")
}

/// A type, the traits that it has, and those that it should have.
type Row = (&'static str, String, &'static str);

macro_rules! types {
    ($($Type:ty: $($Trait:ident)*;)+) => {
        vec![$((stringify!($Type), traits!($Type), concat!($(stringify!($Trait), " "),*))),+]
    };
}

macro_rules! values {
    ($($name:literal $value:expr => $($Trait:ident)*;)+) => {
        vec![$(($name, traits!(of $value), concat!($(stringify!($Trait), " "),*))),+]
    };
}

#[track_caller]
fn check(rows: &[Row]) {
    // `Format` follows from `Debug`, and is checked below.
    let has = |has: &str| has.replace(" Format", "");
    let wrong = rows.iter().filter(|row| has(&row.1) != row.2.trim_end());
    let wrong: Vec<_> =
        wrong.map(|(name, has, should)| format!("{name}: has {has}, not {should}")).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

type Pairs<'a> = [(&'a MultiLock, Mode); 2];

/// `Send`, but not `Sync`.
type Sent = Cell<u32>;
/// `Sync`, but not `Send`.
type Seen = MutexGuard<'static, u32>;
/// Neither.
type Kept = Rc<u32>;

fn types() -> Vec<Row> {
    let rows = types! {
        MultiLock: auto Default Debug;
        Guard<'static>: auto Debug;
        GuardArc: auto Debug;
        Handle: auto Debug Eq Ord Hash;
        HandleId: auto Copy Clone Debug Display Eq Ord Hash;
        Mode: auto Copy Clone Debug Eq Ord Hash;
        Snapshot: auto Copy Clone Debug Eq Hash;
        Changes<'static>: auto Debug FusedStream;
        ChangesArc<u32>: auto Debug FusedStream;
        ChangesArc<Sent>: Unpin;
        ChangesArc<Seen>: Unpin UnwindSafe RefUnwindSafe;
        ChangesArc<Kept>: Unpin UnwindSafe RefUnwindSafe;
        Monitor<'static>: auto Debug FusedStream;
        MonitorArc: auto Debug FusedStream;
        UpgradeError: auto Copy Clone Debug Display Error Eq Hash;
        ReleaseError: auto Debug Display Error Eq;

        HandleLock<u32>: auto Default Debug;
        HandleLock<Sent>: auto Default Debug;
        HandleLock<Seen>: Unpin UnwindSafe RefUnwindSafe Default Debug;
        HandleLock<Kept>: Unpin UnwindSafe RefUnwindSafe Default Debug;
        HandleGuard<'static, u32>: auto Debug;
        HandleGuard<'static, Sent>: auto Debug;
        HandleGuard<'static, Seen>: Unpin UnwindSafe RefUnwindSafe Debug;
        HandleGuard<'static, Kept>: Unpin UnwindSafe RefUnwindSafe Debug;
        HandleInUse<u32>: auto Copy Clone Debug Display Error Eq Hash;
        HandleInUse<Sent>: Send Unpin UnwindSafe Clone Debug Display Error Eq;
        HandleInUse<Seen>: Sync Unpin UnwindSafe RefUnwindSafe Debug Display Error;
        HandleInUse<Kept>: Unpin UnwindSafe RefUnwindSafe Clone Debug Display Error Eq Hash;
        TryAcquireError<u32>: auto Copy Clone Debug Display Error Eq Hash;
        TryAcquireError<Sent>: Send Unpin UnwindSafe Clone Debug Display Error Eq;
        TryAcquireError<Seen>: Sync Unpin UnwindSafe RefUnwindSafe Debug Display Error;
        TryAcquireError<Kept>: Unpin UnwindSafe RefUnwindSafe Clone Debug Display Error Eq Hash;

        LockSet<MultiLock>: auto Default Debug Eq Hash;
        LockSet<&'static MultiLock>: auto Clone Default Debug Eq Hash;
        LockSet<Arc<LockSet<Arc<MultiLock>>>>: auto Clone Default Debug Eq Hash;
        LockSet<Rc<MultiLock>>: Unpin UnwindSafe RefUnwindSafe;
        LockSet<Sent>: Send Unpin UnwindSafe;
        LockSet<Seen>: Sync Unpin UnwindSafe RefUnwindSafe;
        SetGuard<'static, MultiLock>: auto Debug;
        SetGuard<'static, Arc<LockSet<&'static MultiLock>>>: auto Debug;
        AllGuard<Pairs<'static>>: auto Debug;
        AllGuard<Vec<(Arc<MultiLock>, Mode)>>: auto Debug;

        InMode<'static>: auto Copy Clone Debug;
        InModeArc: auto Clone Debug;
        Reading<'static, u32>: auto Copy Clone Debug;
        Upgrading<'static, u32>: auto Copy Clone Debug;
        Writing<'static, u32>: auto Copy Clone Debug;
        ReadingArc<u32>: auto Clone Debug;
        UpgradingArc<u32>: auto Clone Debug;
        WritingArc<u32>: auto Clone Debug;
        Reading<'static, Sent>: Unpin Copy Clone Debug;
        Upgrading<'static, Sent>: Unpin Copy Clone Debug;
        Writing<'static, Sent>: Unpin Copy Clone Debug;
        ReadingArc<Sent>: Unpin Clone Debug;
        UpgradingArc<Sent>: Unpin Clone Debug;
        WritingArc<Sent>: Unpin Clone Debug;
        Reading<'static, Seen>: Unpin UnwindSafe RefUnwindSafe Copy Clone Debug;
        Upgrading<'static, Seen>: Unpin UnwindSafe RefUnwindSafe Copy Clone Debug;
        Writing<'static, Seen>: Unpin UnwindSafe RefUnwindSafe Copy Clone Debug;
        ReadingArc<Seen>: Unpin UnwindSafe RefUnwindSafe Clone Debug;
        UpgradingArc<Seen>: Unpin UnwindSafe RefUnwindSafe Clone Debug;
        WritingArc<Seen>: Unpin UnwindSafe RefUnwindSafe Clone Debug;
        Reading<'static, Kept>: Unpin UnwindSafe RefUnwindSafe Copy Clone Debug;
        Upgrading<'static, Kept>: Unpin UnwindSafe RefUnwindSafe Copy Clone Debug;
        Writing<'static, Kept>: Unpin UnwindSafe RefUnwindSafe Copy Clone Debug;
        ReadingArc<Kept>: Unpin UnwindSafe RefUnwindSafe Clone Debug;
        UpgradingArc<Kept>: Unpin UnwindSafe RefUnwindSafe Clone Debug;
        WritingArc<Kept>: Unpin UnwindSafe RefUnwindSafe Clone Debug;
        CheckedLocks<(Reading<'static, u32>, InMode<'static>)>: auto Copy Clone Debug;
        CheckedLocks<[WritingArc<u32>; 2]>: auto Clone Debug;
        CheckedLocks<[Writing<'static, Kept>; 2]>: Unpin UnwindSafe RefUnwindSafe Copy Clone Debug;
        DuplicateLock: auto Copy Clone Debug Display Error Eq Hash;
        TryLockAllError: auto Copy Clone Debug Display Error Eq Hash;

        RwLock<u32>: Send Sync Unpin UnwindSafe Default Debug;
        RwLockReadGuard<'static, u32>: auto Debug Display;
        RwLockUpgradableReadGuard<'static, u32>: auto Debug Display;
        RwLockUpgradedGuard<'static, u32>: auto Debug Display;
        RwLockWriteGuard<'static, u32>: auto Debug Display;
        MappedRwLockWriteGuard<'static, u32>: auto Debug Display;
        RwLockReadGuardArc<u32>: auto Debug Display;
        RwLockUpgradableReadGuardArc<u32>: auto Debug Display;
        RwLockWriteGuardArc<u32>: auto Debug Display;
        Read<'static, u32>: Send Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        UpgradableRead<'static, u32>: Send Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        Write<'static, u32>: Send Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        Upgrade<'static, u32>: Send Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        ReadArc<'static, u32>: Send Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        UpgradableReadArc<'static, u32>: Send Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        WriteArc<'static, u32>: Send Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        UpgradeArc<u32>: Send Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        RwLock<Sent>: Send Unpin UnwindSafe Default Debug;
        RwLockReadGuard<'static, Sent>: Unpin Debug;
        RwLockUpgradableReadGuard<'static, Sent>: Unpin Debug;
        RwLockUpgradedGuard<'static, Sent>: Send Unpin Debug;
        RwLockWriteGuard<'static, Sent>: Unpin Debug;
        MappedRwLockWriteGuard<'static, Sent>: Send Unpin Debug;
        RwLockReadGuardArc<Sent>: Unpin Debug;
        RwLockUpgradableReadGuardArc<Sent>: Unpin Debug;
        RwLockWriteGuardArc<Sent>: Unpin Debug;
        Read<'static, Sent>: Debug FusedFuture;
        UpgradableRead<'static, Sent>: Debug FusedFuture;
        Write<'static, Sent>: Debug FusedFuture;
        Upgrade<'static, Sent>: Debug FusedFuture;
        ReadArc<'static, Sent>: Debug FusedFuture;
        UpgradableReadArc<'static, Sent>: Debug FusedFuture;
        WriteArc<'static, Sent>: Debug FusedFuture;
        UpgradeArc<Sent>: Debug FusedFuture;
        RwLock<Seen>: Unpin UnwindSafe Debug;
        RwLockReadGuard<'static, Seen>: auto Debug Display;
        RwLockUpgradableReadGuard<'static, Seen>: Sync Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockUpgradedGuard<'static, Seen>: Sync Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockWriteGuard<'static, Seen>: Sync Unpin UnwindSafe RefUnwindSafe Debug Display;
        MappedRwLockWriteGuard<'static, Seen>: Sync Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockReadGuardArc<Seen>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockUpgradableReadGuardArc<Seen>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockWriteGuardArc<Seen>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        Read<'static, Seen>: Send Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        UpgradableRead<'static, Seen>: Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        Write<'static, Seen>: Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        Upgrade<'static, Seen>: Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        ReadArc<'static, Seen>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        UpgradableReadArc<'static, Seen>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        WriteArc<'static, Seen>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        UpgradeArc<Seen>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        RwLock<Kept>: Unpin UnwindSafe Default Debug;
        RwLockReadGuard<'static, Kept>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockUpgradableReadGuard<'static, Kept>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockUpgradedGuard<'static, Kept>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockWriteGuard<'static, Kept>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        MappedRwLockWriteGuard<'static, Kept>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockReadGuardArc<Kept>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockUpgradableReadGuardArc<Kept>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockWriteGuardArc<Kept>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        Read<'static, Kept>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        UpgradableRead<'static, Kept>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        Write<'static, Kept>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        Upgrade<'static, Kept>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        ReadArc<'static, Kept>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        UpgradableReadArc<'static, Kept>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        WriteArc<'static, Kept>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        UpgradeArc<Kept>: UnwindSafe RefUnwindSafe Debug FusedFuture;
        RwLockReadGuardArc<u32, u32>: auto Debug Display;
        MappedRwLockWriteGuardArc<u32, u32>: auto Debug Display;
        RwLockReadGuardArc<Sent, u32>: Unpin Debug Display;
        MappedRwLockWriteGuardArc<Sent, u32>: Unpin Debug Display;
        RwLockReadGuardArc<Seen, u32>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        MappedRwLockWriteGuardArc<Seen, u32>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockReadGuardArc<u32, Sent>: Unpin Debug;
        MappedRwLockWriteGuardArc<u32, Sent>: Send Unpin Debug;
        RwLockReadGuardArc<u32, Seen>: auto Debug Display;
        MappedRwLockWriteGuardArc<u32, Seen>: Sync Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockReadGuardArc<u32, Kept>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        MappedRwLockWriteGuardArc<u32, Kept>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockReadGuardArc<Kept, u32>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        MappedRwLockWriteGuardArc<Kept, u32>: Unpin UnwindSafe RefUnwindSafe Debug Display;

        ShardedRwLock<u32>: Send Sync Unpin UnwindSafe Default Debug;
        ShardedRwLock<u32, 2>: Send Sync Unpin UnwindSafe Default Debug;
        ShardedRwLock<Sent>: Send Unpin UnwindSafe Default Debug;
        ShardedRwLock<Seen>: Unpin UnwindSafe Debug;
        ShardedRwLock<Kept>: Unpin UnwindSafe Default Debug;
        ShardedRwLockWriteGuard<'static, u32>: auto Debug Display;
        ShardedRwLockWriteGuard<'static, Sent>: Unpin Debug;
        ShardedRwLockWriteGuard<'static, Seen>: Sync Unpin UnwindSafe RefUnwindSafe Debug Display;
        ShardedRwLockWriteGuard<'static, Kept>: Unpin UnwindSafe RefUnwindSafe Debug Display;
    };
    #[cfg(feature = "event-listener")]
    let rows = [
        rows,
        types! {
            SharedEvent: auto Clone Debug;
            Subscription<'static>: auto Debug;
            SubscriptionArc: auto Debug;
        },
    ]
    .concat();
    rows
}

/// A closure that has captured a value.
fn reads<C>(captured: C) -> impl FnOnce(&i32) {
    move |_| drop(captured)
}

fn writes<C>(captured: C) -> impl FnOnce(&mut i32) {
    move |_| drop(captured)
}

/// The return types of functions, by the file and the name of the function.
fn values() -> Vec<Row> {
    let arc = Arc::new(MultiLock::new());
    let lock: &MultiLock = &arc;
    let hold = || lock.try_acquire(Shared).unwrap();
    let set: LockSet<&MultiLock> = [lock].into_iter().collect();
    let pairs = [(lock, Shared)];
    let names: HandleLock<u32> = HandleLock::new();
    let ids: HandleLock<HandleId> = HandleLock::new();
    let sent: HandleLock<Sent> = HandleLock::new();
    let kept: HandleLock<Kept> = HandleLock::new();
    let (data, sent_data) = (Arc::new(RwLock::new(0)), RwLock::new(Cell::new(0)));
    let (numbers, kept_data) = (RwLock::new(0), RwLock::new(Rc::new(0)));
    let numbers_arc = Arc::new(RwLock::new(0));
    let (mixed, sent_cells) =
        ((numbers.reading(), lock.in_mode(Shared)), RwLock::new(Cell::new(0)));
    let mut owned = data.try_upgradable_read_arc().unwrap();
    let arc_data = data;
    let (third, sent_third) = (RwLock::new(0), RwLock::new(Cell::new(0)));
    let fourth = Arc::new(RwLock::new(0));
    let (other, sent_other) = (RwLock::new(0), RwLock::new(Cell::new(0)));
    let (sharded, sent_sharded) = (ShardedRwLock::new(0), ShardedRwLock::new(Cell::new(0)));
    let (when, sent_when) = (RwLock::new(0), RwLock::new(Cell::new(0)));
    let (mut data, mut sent_data) =
        (other.try_upgradable_read().unwrap(), sent_data.try_upgradable_read().unwrap());
    #[allow(unused_mut, clippy::let_and_return, reason = "with features there is more")]
    let mut rows = values! {
        "lock::acquire" lock.acquire(Shared) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "lock::acquire_or" lock.acquire_or(Shared, ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "lock::acquire_or" lock.acquire_or(Shared, ready(Cell::new(0))) => Send UnwindSafe FusedFuture;
        "lock::acquire_or" lock.acquire_or(Shared, ready(Rc::new(0))) => UnwindSafe RefUnwindSafe FusedFuture;
        "lock::wait" lock.wait(Shared) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "owned::acquire_arc" arc.acquire_arc(Shared) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "owned::acquire_or_arc" arc.acquire_or_arc(Shared, ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "owned::acquire_or_arc" arc.acquire_or_arc(Shared, ready(Cell::new(0))) => Send UnwindSafe FusedFuture;
        "owned::acquire_or_arc" arc.acquire_or_arc(Shared, ready(Rc::new(0))) => UnwindSafe RefUnwindSafe FusedFuture;
        "guard::upgrade" hold().upgrade() => Send Sync RefUnwindSafe;
        "guard::upgrade" arc.try_acquire_arc(Shared).unwrap().upgrade() => Send Sync RefUnwindSafe;
        "guard::upgrade_or" hold().upgrade_or(ready(())) => Send Sync RefUnwindSafe;
        "guard::upgrade_or" hold().upgrade_or(ready(Rc::new(0))) => RefUnwindSafe;
        "guard::upgrade_or" arc.try_acquire_arc(Shared).unwrap().upgrade_or(ready(())) => Send Sync RefUnwindSafe;
        "monitor::wait" lock.monitor(Shared).wait() => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "monitor::wait" arc.monitor_arc(Shared).wait() => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "named::acquire" names.acquire(Shared, 1) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "named::acquire" sent.acquire(Shared, Cell::new(1)) => Send UnwindSafe FusedFuture;
        "named::acquire" kept.acquire(Shared, Rc::new(1)) => UnwindSafe RefUnwindSafe FusedFuture;
        "named::acquire_or" names.acquire_or(Shared, 1, ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "named::acquire_or" names.acquire_or(Shared, 1, ready(Rc::new(0))) => UnwindSafe RefUnwindSafe FusedFuture;
        "named::acquire_or" sent.acquire_or(Shared, Cell::new(1), ready(())) => Send UnwindSafe FusedFuture;
        "named::acquire_or" kept.acquire_or(Shared, Rc::new(1), ready(())) => UnwindSafe RefUnwindSafe FusedFuture;
        "named::acquire_new" ids.acquire_new(Shared) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "named::context" names.context(Shared, 1) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "named::context" sent.context(Shared, Cell::new(1)) => Send UnwindSafe FusedFuture;
        "named::context" kept.context(Shared, Rc::new(1)) => UnwindSafe RefUnwindSafe FusedFuture;
        "named::context_or" names.context_or(Shared, 1, ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "named::context_or" names.context_or(Shared, 1, ready(Rc::new(0))) => UnwindSafe RefUnwindSafe FusedFuture;
        "named::context_or" sent.context_or(Shared, Cell::new(1), ready(())) => Send UnwindSafe FusedFuture;
        "named::context_or" kept.context_or(Shared, Rc::new(1), ready(())) => UnwindSafe RefUnwindSafe FusedFuture;
        "named::wait" kept.wait(Shared) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "guard::upgrade" names.try_context(Shared, 2).unwrap().upgrade() => Send Sync RefUnwindSafe;
        "guard::upgrade" sent.try_context(Shared, Cell::new(2)).unwrap().upgrade() => Send Sync RefUnwindSafe;
        "guard::upgrade" kept.try_context(Shared, Rc::new(2)).unwrap().upgrade() => RefUnwindSafe;
        "guard::upgrade_or" names.try_context(Shared, 3).unwrap().upgrade_or(ready(())) => Send Sync RefUnwindSafe;
        "guard::upgrade_or" sent.try_context(Shared, Cell::new(3)).unwrap().upgrade_or(ready(Rc::new(0))) => RefUnwindSafe;
        "lock_set::acquire" set.acquire(Shared) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "lock_set::acquire_or" set.acquire_or(Shared, ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "lock_set::acquire_or" set.acquire_or(Shared, ready(Rc::new(0))) => UnwindSafe RefUnwindSafe FusedFuture;
        "lock_set::wait" set.wait(Shared) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "lock_set::locks" set.locks() => auto;
        "acquire_all::acquire_all" acquire_all(pairs) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "acquire_all::holds" try_acquire_all(pairs).unwrap().holds() => auto;
        "lock_all::lock_all" lock_all(mixed) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "lock_all::lock_all" lock_all([numbers_arc.writing_arc()]) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "lock_all::lock_all" lock_all(vec![numbers.upgrading()]) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "lock_all::lock_all" lock_all([sent_cells.writing()]) => FusedFuture;
        "lock_all::lock_all" lock_all((numbers.writing(), kept_data.reading())) => UnwindSafe RefUnwindSafe FusedFuture;
        "lock_all::lock_all_or" lock_all_or(mixed, ready(())) => Send Sync UnwindSafe RefUnwindSafe;
        "lock_all::lock_all_or" lock_all_or(mixed, ready(Cell::new(0))) => Send UnwindSafe;
        "lock_all::lock_all_or" lock_all_or(mixed, ready(Rc::new(0))) => UnwindSafe RefUnwindSafe;
        "lock_all::lock_all_or" lock_all_or([kept_data.reading()], ready(())) => UnwindSafe RefUnwindSafe;
        "lockable::acquire" Lockable::acquire(&set, Shared) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "convert::upgrade_in_place" RwLockUpgradableReadGuard::upgrade_in_place(&mut data) => Send Sync RefUnwindSafe;
        "convert::upgrade_in_place" RwLockUpgradableReadGuardArc::upgrade_in_place(&mut owned) => Send Sync RefUnwindSafe;
        "convert::upgrade_in_place" RwLockUpgradableReadGuard::upgrade_in_place(&mut sent_data) => ;
        "convert::upgrade_in_place_or" RwLockUpgradableReadGuard::upgrade_in_place_or(&mut RwLock::new(0).try_upgradable_read().unwrap(), ready(())) => Send Sync RefUnwindSafe;
        "convert::upgrade_in_place_or" RwLockUpgradableReadGuardArc::upgrade_in_place_or(&mut Arc::new(RwLock::new(0)).try_upgradable_read_arc().unwrap(), ready(Rc::new(0))) => RefUnwindSafe;
        "convert::upgrade_in_place_or" RwLockUpgradableReadGuard::upgrade_in_place_or(&mut RwLock::new(Cell::new(0)).try_upgradable_read().unwrap(), ready(())) => ;
        "sharded::read" sharded.read() => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "sharded::read" sent_sharded.read() => FusedFuture;
        "sharded::read_or" sharded.read_or(ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "sharded::read_or" sharded.read_or(ready(Rc::new(0))) => UnwindSafe RefUnwindSafe FusedFuture;
        "sharded::write" sharded.write() => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "sharded::write" sent_sharded.write() => FusedFuture;
        "sharded::write_or" sharded.write_or(ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "sharded::with" sharded.with(reads(0)) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "sharded::with" sharded.with(reads(Rc::new(0))) => UnwindSafe RefUnwindSafe FusedFuture;
        "sharded::with_mut" sharded.with_mut(writes(0)) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "rwlock::read_or" other.read_or(ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "rwlock::read_or" other.read_or(ready(Cell::new(0))) => Send UnwindSafe FusedFuture;
        "rwlock::read_or" other.read_or(ready(Rc::new(0))) => UnwindSafe RefUnwindSafe FusedFuture;
        "rwlock::read_or" sent_other.read_or(ready(())) => FusedFuture;
        "rwlock::upgradable_read_or" other.upgradable_read_or(ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "rwlock::write_or" other.write_or(ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "rwlock::write_or" sent_other.write_or(ready(())) => FusedFuture;
        "owned::read_arc_or" arc_data.read_arc_or(ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "owned::read_arc_or" arc_data.read_arc_or(ready(Rc::new(0))) => UnwindSafe RefUnwindSafe FusedFuture;
        "owned::upgradable_read_arc_or" arc_data.upgradable_read_arc_or(ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "owned::write_arc_or" arc_data.write_arc_or(ready(())) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "rwlock::with" other.with(|_| ()) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "rwlock::with" other.with(reads(Cell::new(0))) => Send UnwindSafe FusedFuture;
        "rwlock::with" other.with(reads(Rc::new(0))) => UnwindSafe RefUnwindSafe FusedFuture;
        "rwlock::with" sent_other.with(|_| ()) => FusedFuture;
        "rwlock::with_mut" other.with_mut(|_| ()) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "rwlock::with_mut" other.with_mut(writes(Rc::new(0))) => UnwindSafe RefUnwindSafe FusedFuture;
        "rwlock::with_mut" sent_other.with_mut(|_| ()) => FusedFuture;
        "convert::upgrade_or" RwLockUpgradableReadGuard::upgrade_or(third.try_upgradable_read().unwrap(), ready(())) => Send Sync RefUnwindSafe;
        "convert::upgrade_or" RwLockUpgradableReadGuardArc::upgrade_or(fourth.try_upgradable_read_arc().unwrap(), ready(())) => Send Sync RefUnwindSafe;
        "convert::upgrade_or" RwLockUpgradableReadGuard::upgrade_or(sent_third.try_upgradable_read().unwrap(), ready(())) => ;
        "condition::read_when" when.read_when(|_| true) => Send Sync FusedFuture;
        "condition::read_when" sent_when.read_when(|_| true) => FusedFuture;
        "condition::read_when_or" when.write_when_or(|_| true, ready(())) => Send Sync FusedFuture;
        "condition::read_when_or" when.write_when_or(|_| true, ready(Rc::new(0))) => FusedFuture;
        "condition::wait" when.changes().wait() => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "condition::wait" arc_data.changes_arc().wait() => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
        "lockable::wait" Lockable::wait(&set, Shared) => Send Sync UnwindSafe RefUnwindSafe FusedFuture;
    };
    #[cfg(feature = "lock_api")]
    rows.extend(lock_api_values());
    rows
}

#[cfg(feature = "lock_api")]
fn lock_api_values() -> Vec<Row> {
    use lock_api::RwLock;
    use multilock::{lock_api_read, lock_api_upgradable_read, lock_api_upgrade, lock_api_write};

    let lock = RwLock::<MultiLock, _>::new(0);
    let sent = RwLock::<MultiLock, _>::new(Cell::new(0));
    values! {
        "lock_api::lock_api_read" lock_api_read(&lock) => Send Sync FusedFuture;
        "lock_api::lock_api_read" lock_api_read(&sent) => FusedFuture;
        "lock_api::lock_api_upgradable_read" lock_api_upgradable_read(&lock) => Send Sync FusedFuture;
        "lock_api::lock_api_write" lock_api_write(&lock) => Send Sync FusedFuture;
        "lock_api::lock_api_write" lock_api_write(&sent) => FusedFuture;
        "lock_api::lock_api_upgrade" lock_api_upgrade(lock.upgradable_read()) => Send Sync FusedFuture;
        "lock_api::lock_api_upgrade" lock_api_upgrade(sent.upgradable_read()) => FusedFuture;
    }
}

#[test]
fn types_have_these_traits_and_no_others() {
    check(&types());
}

/// The traits of the types without an observer, except `Format`.
#[cfg(feature = "observed")]
#[test]
fn observed_types_have_these_traits_and_no_others() {
    use multilock::observed::{futures, requests, *};

    check(&types! {
        MultiLock<()>: auto Default Debug;
        Guard<'static, ()>: auto Debug;
        GuardArc<()>: auto Debug;
        Told<()>: auto Copy Clone Debug;
        Handle<Told<()>>: auto Debug Eq Ord Hash;
        MonitorArc<()>: auto Debug FusedStream;
        RwLock<u32, ()>: Send Sync Unpin UnwindSafe Default Debug;
        RwLock<Sent, ()>: Send Unpin UnwindSafe Default Debug;
        RwLock<Seen, ()>: Unpin UnwindSafe Debug;
        RwLockReadGuard<'static, u32, ()>: auto Debug Display;
        RwLockReadGuard<'static, Sent, ()>: Unpin Debug;
        RwLockReadGuard<'static, Seen, ()>: auto Debug Display;
        RwLockUpgradableReadGuard<'static, u32, ()>: auto Debug Display;
        RwLockUpgradableReadGuard<'static, Sent, ()>: Unpin Debug;
        RwLockUpgradedGuard<'static, u32, ()>: auto Debug Display;
        RwLockWriteGuard<'static, u32, ()>: auto Debug Display;
        RwLockWriteGuard<'static, Kept, ()>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        MappedRwLockWriteGuard<'static, u32, ()>: auto Debug Display;
        RwLockReadGuardArc<u32, ()>: auto Debug Display;
        RwLockReadGuardArc<Seen, ()>: Unpin UnwindSafe RefUnwindSafe Debug Display;
        RwLockUpgradableReadGuardArc<u32, ()>: auto Debug Display;
        RwLockWriteGuardArc<u32, ()>: auto Debug Display;
        RwLockWriteGuardArc<Sent, ()>: Unpin Debug;
        MappedRwLockWriteGuardArc<u32, (), u32>: auto Debug Display;
        ChangesArc<u32, ()>: auto Debug FusedStream;
        futures::Read<'static, u32, ()>: Send Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        futures::Write<'static, Sent, ()>: Debug FusedFuture;
        futures::UpgradeArc<u32, ()>: Send Sync UnwindSafe RefUnwindSafe Debug FusedFuture;
        requests::InMode<'static, ()>: auto Copy Clone Debug;
        requests::Reading<'static, u32, ()>: auto Copy Clone Debug;
        requests::WritingArc<u32, ()>: auto Clone Debug;
    });
}

#[test]
fn results_without_a_name_have_these_traits_and_no_others() {
    check(&values());
}

/// Futures, requests and subscriptions have none: their `Debug` shows no state of their own.
#[cfg(feature = "defmt")]
#[test]
fn defmt_formats_what_debug_shows() {
    const OPAQUE: [&str; 6] =
        ["CheckedLocks", "InMode", "Reading", "Subscription", "Upgrading", "Writing"];
    let mut formatted = 0;
    for (name, has, _) in types() {
        let opaque = has.contains("FusedFuture")
            || name == "SharedEvent"
            || OPAQUE.iter().any(|opaque| name.starts_with(opaque));
        // `defmt` formats no other data.
        if !["Sent", "Seen", "Kept"].iter().any(|data| name.contains(data)) {
            assert_eq!(has.contains("Format"), has.contains("Debug") && !opaque, "{name}: {has}");
            formatted += usize::from(has.contains("Format"));
        }
    }
    assert!(formatted > 30);
}

/// For all type parameters, unless there is a reason.
#[test]
fn whatever_is_public_passes_where_panics_are_caught() {
    const REASONS: &[(&str, &str)] = &[
        ("RwLock", "there is no poisoning: a writer that panics leaves the data as it is"),
        ("ShardedRwLock", "there is no poisoning, as for `RwLock`"),
        ("condition::read_when", "the future borrows an `RwLock`"),
        ("lock_api::", "its locks, and so its guards and their futures, are like `RwLock`"),
        ("::upgrade", "the future has an exclusive reference to the guard"),
    ];
    let mut passes = BTreeMap::new();
    for (name, has, _) in types().into_iter().chain(values()) {
        let name = name.split('<').next().unwrap();
        let all =
            ["UnwindSafe", "RefUnwindSafe"].iter().all(|one| has.split(' ').any(|it| it == *one));
        *passes.entry(name).or_insert(false) |= all || has.starts_with("auto");
    }
    let has_reason = |name: &str| {
        REASONS.iter().any(|(of, _)| name == *of || of.contains("::") && name.contains(of))
    };
    let wrong: Vec<_> =
        passes.into_iter().filter(|(name, passes)| *passes == has_reason(name)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The same in generic code, where the type of the lock or of a name is a parameter.
#[test]
fn what_is_generic_may_be_sent() {
    fn all<T: Send + Sync>(_: T) {}
    fn sent<T: Send>(_: T) {}
    fn lockable<L: Lockable>(lock: &L) {
        all((lock, lock.acquire(Shared), lock.wait(Shared), lock.monitor(Shared)));
        all(lock.try_acquire(Shared).map(|guard| LockGuard::mode(&guard)));
    }
    fn wanted<W: Wanted + Copy>(wanted: W) {
        all((acquire_all(wanted), try_acquire_all(wanted)));
    }
    fn request<A: LockRequest<Guard: Send> + Copy + Send + Sync>(request: A) {
        sent((lock_all([request; 2]), lock_all((request, request))));
    }
    fn requests<R: LockRequests<Guards: Send> + Copy + Send + Sync>(requests: R) {
        sent(lock_all_or(requests, ready(())));
        sent(async move { drop(lock_all(requests).await) });
    }
    fn names<H: Eq + Send + Clone + From<HandleId>>(lock: &HandleLock<H>, name: H) {
        sent((
            lock,
            lock.acquire(Shared, name.clone()),
            lock.context(Shared, name.clone()),
            lock.acquire_new(Shared),
            lock.acquire_or(Shared, name.clone(), ready(())),
            lock.context_or(Shared, name.clone(), ready(())),
        ));
        sent(async move {
            let mut guard = lock.context(Shared, name.clone()).await.ok();
            if let Some(guard) = &mut guard {
                guard.upgrade().await.unwrap();
                guard.upgrade_or(ready(())).await.unwrap().unwrap();
            }
        });
    }
    let lock = MultiLock::new();
    lockable(&lock);
    wanted([(&lock, Shared)]);
    request(lock.in_mode(Shared));
    requests([lock.in_mode(Shared)]);
    names(&HandleLock::new(), lock.try_acquire(Shared).unwrap().into_handle().id());
}

#[test]
fn what_keeps_its_lock_is_static() {
    fn all<T: 'static>(_: T) {}
    let lock = Arc::new(MultiLock::new());
    all((lock.try_acquire_arc(Shared), lock.monitor_arc(Shared), lock.acquire_arc(Shared)));
    all(lock.acquire_or_arc(Shared, ready(())));
    all(lock.try_acquire_arc(Shared).unwrap().into_handle());
    let set: LockSet<_> = [lock.clone()].into_iter().collect();
    all((set, try_acquire_all([(lock, Shared)])));
    let data = Arc::new(RwLock::new(0));
    all((data.try_read_arc(), data.try_write_arc(), data.try_upgradable_read_arc()));
    all((
        data.try_upgradable_read_arc().map(RwLockUpgradableReadGuardArc::upgrade),
        data.changes_arc(),
    ));
    all(lock_all((data.reading_arc(), data.reading_arc())));
    all(try_lock_all([data.writing_arc()]));
}

macro_rules! shortens {
    ($a:lifetime: $($(#[$meta:meta])* $Long:ty => $Short:ty;)+) => {
        $($(#[$meta])* const _: () = {
            #[allow(dead_code, reason = "that it compiles is enough")]
            fn shorten<$a>(long: $Long) -> $Short {
                long
            }
        };)+
    };
}
// A longer lifetime is accepted where a shorter one is needed. Not so for the handles of a `HandleLock`: see
// `lock_outlives_handle` in `compile_fail_tests`. Nor for a future, whose type has no name; but what it borrows may be
// borrowed for less.
shortens! { 'a:
    Guard<'static> => Guard<'a>;
    Monitor<'static> => Monitor<'a>;
    #[cfg(feature = "event-listener")]
    Subscription<'static> => Subscription<'a>;
    Changes<'static> => Changes<'a>;
    HandleGuard<'static, u32> => HandleGuard<'a, u32>;
    HandleInUse<&'static str> => HandleInUse<&'a str>;
    TryAcquireError<&'static str> => TryAcquireError<&'a str>;
    LockSet<&'static MultiLock> => LockSet<&'a MultiLock>;
    SetGuard<'static, &'static MultiLock> => SetGuard<'a, &'a MultiLock>;
    AllGuard<Pairs<'static>> => AllGuard<Pairs<'a>>;
    RwLockReadGuard<'static, &'static str> => RwLockReadGuard<'a, &'a str>;
    RwLockUpgradableReadGuard<'static, u32> => RwLockUpgradableReadGuard<'a, u32>;
    RwLockUpgradedGuard<'static, u32> => RwLockUpgradedGuard<'a, u32>;
    RwLockWriteGuard<'static, u32> => RwLockWriteGuard<'a, u32>;
    ShardedRwLockWriteGuard<'static, u32> => ShardedRwLockWriteGuard<'a, u32>;
    MappedRwLockWriteGuard<'static, u32> => MappedRwLockWriteGuard<'a, u32>;
    RwLockReadGuardArc<u32, &'static str> => RwLockReadGuardArc<u32, &'a str>;
    RwLockReadGuardArc<&'static str> => RwLockReadGuardArc<&'a str>;
    Read<'static, &'static str> => Read<'a, &'a str>;
    Write<'static, u32> => Write<'a, u32>;
}

/// Compares the tables with `lib.rs`, and with all public functions in its modules.
#[cfg(not(miri))]
#[test]
fn whatever_is_public_is_in_a_table() {
    use std::fs;
    use std::path::Path;

    /// These are covered by `what_is_generic_may_be_sent`.
    const GENERIC: [&str; 5] = ["LockGuard", "LockRequest", "LockRequests", "Lockable", "Wanted"];

    let identifier = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: &Path| fs::read_to_string(path).unwrap();

    let lib = read(&src.join("lib.rs"));
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let lib = lib.lines().filter(is_code).collect::<Vec<_>>().join("\n");
    assert!(!lib.contains("::*"), "each item must be named");
    let mut names: BTreeSet<_> = lib
        .split(';')
        .filter_map(|item| item.split_once("pub use "))
        .flat_map(|(_, path)| path.split([',', '{', '}']))
        .map(|path| identifier(path.rsplit("::").next().unwrap()))
        .filter(|name| name.starts_with(char::is_uppercase))
        .collect();
    let rows = types().into_iter().map(|row| identifier(row.0));
    let known: BTreeSet<_> = rows.chain(GENERIC.map(String::from)).collect();
    if cfg!(not(feature = "event-listener")) {
        names.retain(|name| !name.contains("Subscription") && name != "SharedEvent");
    }
    assert_eq!(names, known);
    let is_guard = |name: &&String| name.contains("Guard") && *name != "LockGuard";
    let guards: Vec<_> = names.iter().filter(is_guard).collect();
    let clippy = read(&src.join("rwlock/await_holding.toml"));
    assert!(guards.iter().all(|guard| clippy.contains(&format!("\"multilock::{guard}\""))));
    assert_eq!(clippy.matches("multilock::").count(), guards.len());

    let (mut functions, mut paths) = (BTreeSet::new(), vec![src]);
    while let Some(path) = paths.pop() {
        // Its types are in a table of their own. Its functions have the names and the results of those here.
        if path.ends_with("observed") {
            continue;
        }
        if path.is_dir() {
            paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        // The name of a module: of its file, or of its folder. In `access.rs` are methods of that.
        let of_folder = path.ends_with("mod.rs") || path.ends_with("access.rs");
        let file = if of_folder { path.parent().unwrap() } else { &path };
        let module = file.file_stem().unwrap().to_str().unwrap();
        let text = read(&path);
        let mut rest = &*text;
        while let Some((line, after)) = rest.split_once('\n') {
            // The methods of a public trait are public, too.
            let public = if module == "lockable" { "" } else { "pub " };
            let item = line.trim_start().strip_prefix(public).unwrap_or("//");
            if let Some(name) = item.strip_prefix("fn ").or(item.strip_prefix("async fn ")) {
                let signature = rest.split(['{', ';']).next().unwrap_or_default();
                if item.starts_with("async ") || signature.contains("-> impl ") {
                    functions.insert(format!("{module}::{}", identifier(name)));
                }
            }
            rest = after;
        }
    }
    if cfg!(not(feature = "lock_api")) {
        functions.retain(|name| !name.starts_with("lock_api::"));
    }
    // Functions that a macro defines have no name in the source.
    const MADE: [&str; 11] = [
        "lock_api_read",
        "lock_api_upgradable_read",
        "lock_api_write",
        "read_or",
        "upgradable_read_or",
        "write_or",
        "read_arc_or",
        "upgradable_read_arc_or",
        "write_arc_or",
        "read_when",
        "read_when_or",
    ];
    let name = |row: Row| match row.0.split_once("::") {
        Some((module, name)) if MADE.contains(&name) || module == "sharded" => {
            format!("{module}::")
        }
        _ => row.0.to_string(),
    };
    let known: BTreeSet<_> = values().into_iter().map(name).collect();
    assert_eq!(functions, known);
}
