//! Formats for `defmt` what `Debug` shows, in the same words.

use ::defmt::{Format, Formatter, write};

use crate::error::{DuplicateLock, ReleaseError, TryLockAllError, UpgradeError};
use crate::lock::MultiLock;
use crate::lock::guard::Guard;
use crate::lock::handle::{Handle, HandleId};
use crate::lock::monitor::Monitor;
use crate::mode::Mode;
use crate::raw::state::{Snapshot, WaitFlag};
use crate::rwlock::{
    Changes, MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockUpgradedGuard, RwLockWriteGuard,
    sharded::{ShardedRwLock, ShardedRwLockWriteGuard},
};
use crate::set::acquire_all::{AllGuard, Wanted};

/// Implements `Format` for types that one line shows.
macro_rules! format {
    ($([$($generics:tt)*] $Type:ty, |$this:ident| $line:literal $(, $value:expr)*;)+) => {$(
        impl<$($generics)*> Format for $Type {
            fn format(&self, f: Formatter<'_>) {
                let $this = self;
                write!(f, $line $(, $value)*);
            }
        }
    )+};
}

/// Implements `Format` for guards of data.
macro_rules! format_data {
    ($([$($generics:tt)*] $Guard:ty => $Target:ident;)+) => {$(
        /// Formats the data that the guard gives access to.
        impl<$($generics)*> Format for $Guard
        where
            $Target: Format,
        {
            fn format(&self, f: Formatter<'_>) {
                (**self).format(f);
            }
        }
    )+};
}

impl Format for Mode {
    fn format(&self, f: Formatter<'_>) {
        match self {
            Self::Shared => write!(f, "Shared"),
            Self::Upgradable => write!(f, "Upgradable"),
            Self::Exclusive => write!(f, "Exclusive"),
        }
    }
}

impl Format for UpgradeError {
    fn format(&self, f: Formatter<'_>) {
        match self {
            Self::SharedHolders => write!(f, "SharedHolders"),
            Self::Conflict => write!(f, "Conflict"),
        }
    }
}

impl Format for TryLockAllError {
    fn format(&self, f: Formatter<'_>) {
        match self {
            Self::WouldBlock => write!(f, "WouldBlock"),
            Self::DuplicateLock(error) => write!(f, "DuplicateLock({})", error),
        }
    }
}

format! {
    [] Snapshot, |word| "Snapshot {{ mode: {}, shared_holders: {=usize}, upgrading: {=bool}, \
        shared_wait: {=bool}, upgradable_wait: {=bool}, exclusive_wait: {=bool}, \
        overtaken: {=bool}, monitored: {=bool} }}",
        word.mode(), word.shared_holders(), word.is_upgrading(),
        word.has(WaitFlag::Shared), word.has(WaitFlag::Upgradable), word.has(WaitFlag::Exclusive),
        word.has(WaitFlag::Overtaken), word.has(WaitFlag::Monitors);
    [] MultiLock, |lock| "MultiLock({})", lock.snapshot();
    // Like `Debug`, it does not acquire the lock.
    [T: ?Sized] RwLock<T>, |lock| "RwLock {{ state: {}, .. }}", lock.raw().snapshot();
    [T: ?Sized, const N: usize] ShardedRwLock<T, N>, |lock|
        "ShardedRwLock {{ inner: {}, writers: {=usize}, shards: {}, .. }}",
        lock.state().0, lock.state().1, lock.state().2;

    [] HandleId, |id| "HandleId {{ lock: {=usize}, number: {=usize} }}", id.lock.get(), id.number;
    [R] Handle<R>, |handle| "Handle {{ id: {}, mode: {} }}", handle.id(), handle.mode();
    [] Guard<'_>, |guard| "Guard {{ mode: {}, .. }}", guard.mode();
    [] Monitor<'_>, |monitor|
        "Monitor {{ mode: {}, is_set: {=bool} }}", monitor.mode(), monitor.is_set();
    [] Changes<'_>, |changes| "Changes {{ is_set: {=bool}, .. }}", changes.is_set();

    [R] ReleaseError<R>, |error| "ReleaseError {{ handle: {} }}", error.handle;
    [] DuplicateLock, |error| "DuplicateLock {{ first: {=usize}, first_mode: {}, \
        second: {=usize}, second_mode: {} }}",
        error.first, error.first_mode, error.second, error.second_mode;
}

impl<W: Wanted<Records = R>, R> Format for AllGuard<W, R> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "AllGuard([");
        for (n, (_, mode)) in self.holds().enumerate() {
            write!(f, "{=str}{}", if n == 0 { "" } else { ", " }, mode);
        }
        write!(f, "])");
    }
}

format_data! {
    [T: ?Sized] RwLockReadGuard<'_, T> => T;
    [T: ?Sized] RwLockUpgradableReadGuard<'_, T> => T;
    [T: ?Sized] RwLockUpgradedGuard<'_, T> => T;
    [T: ?Sized] RwLockWriteGuard<'_, T> => T;
    [U: ?Sized] MappedRwLockWriteGuard<'_, U> => U;
    [T: ?Sized] ShardedRwLockWriteGuard<'_, T> => T;
}

#[cfg(feature = "alloc")]
mod heap {
    use ::defmt::{Format, Formatter, write};

    use crate::named::HandleLock;
    use crate::named::error::{HandleInUse, TryAcquireError};
    use crate::named::guard::HandleGuard;
    use crate::set::lock_set::{LockSet, SetGuard};
    use crate::set::lockable::Lockable;

    format! {
        [H] HandleLock<H>, |lock| "HandleLock({})", lock.snapshot();
        [H] HandleGuard<'_, H>, |guard| "HandleGuard {{ mode: {}, .. }}", guard.mode();
        [H: Format] HandleInUse<H>, |error| "HandleInUse({})", error.0;
    }

    impl<L: Lockable, R> Format for SetGuard<'_, L, R>
    where
        LockSet<L>: Lockable<Record = R>,
    {
        fn format(&self, f: Formatter<'_>) {
            write!(f, "SetGuard {{ mode: {}, .. }}", self.mode());
        }
    }

    impl<H: Format> Format for TryAcquireError<H> {
        fn format(&self, f: Formatter<'_>) {
            match self {
                Self::HandleInUse(handle) => write!(f, "HandleInUse({})", handle),
                Self::WouldBlock(handle) => write!(f, "WouldBlock({})", handle),
            }
        }
    }

    impl<L: Lockable> Format for LockSet<L> {
        fn format(&self, f: Formatter<'_>) {
            write!(f, "{{");
            for (n, lock) in self.locks().enumerate() {
                write!(f, "{=str}{}", if n == 0 { "" } else { ", " }, lock);
            }
            write!(f, "}}");
        }
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod owned {
    use ::defmt::{Format, Formatter, write};

    use crate::lock::owned::{GuardArc, MonitorArc};
    use crate::rwlock::owned::{
        ChangesArc, MappedRwLockWriteGuardArc, RwLockReadGuardArc, RwLockUpgradableReadGuardArc,
        RwLockWriteGuardArc,
    };

    format! {
        [] GuardArc, |guard| "GuardArc {{ mode: {}, .. }}", guard.mode();
        [] MonitorArc, |monitor|
            "MonitorArc {{ mode: {}, is_set: {=bool} }}", monitor.mode(), monitor.is_set();
        [T: ?Sized + Send + Sync + 'static] ChangesArc<T>, |changes|
            "ChangesArc {{ is_set: {=bool}, .. }}", changes.is_set();
    }
    format_data! {
        [T: ?Sized, U: ?Sized] RwLockReadGuardArc<T, U> => U;
        [T: ?Sized] RwLockUpgradableReadGuardArc<T> => T;
        [T: ?Sized] RwLockWriteGuardArc<T> => T;
        [T: ?Sized, U: ?Sized] MappedRwLockWriteGuardArc<T, U> => U;
    }
}
