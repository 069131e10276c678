//! The methods that acquire an observed lock with data.

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use alloc::sync::Arc;
use core::ops::Deref;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use std::time::Duration;

use futures_core::FusedFuture;

use super::RwLock;
use super::guards::{RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use super::owned::{RwLockReadGuardArc, RwLockUpgradableReadGuardArc, RwLockWriteGuardArc};
use crate::lock::MultiLock as Plain;
use crate::lock::cancel::{acquire_or, first};
use crate::mode::Mode;
use crate::observed::Observer;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::observed::blocking::{after, when_blocking};
use crate::observed::futures::{Read, UpgradableRead, Write};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use crate::observed::futures::{ReadArc, UpgradableReadArc, WriteArc};
use crate::observed::told::Hold;
use crate::observed::wait::{FromPlain, Observing};
use crate::rwlock::condition::{check, when_text};
use crate::rwlock::futures::{
    Read as PlainRead, UpgradableRead as PlainUpgradableRead, Write as PlainWrite,
};
use crate::rwlock::{
    RwLockReadGuard as PlainReadGuard, RwLockUpgradableReadGuard as PlainUpgradableGuard,
    RwLockWriteGuard as PlainWriteGuard, deadlocks, fails_if, waits_while,
};
use crate::sync::future::Fused;

/// Acquires a lock without an observer as often as it takes, until `condition` holds.
async fn when<F: Future<Output: Deref>>(
    lock: &Plain,
    acquire: impl Fn() -> F,
    condition: &mut impl FnMut(&<F::Output as Deref>::Target) -> bool,
    release: fn(F::Output),
) -> F::Output {
    let mut watcher = None;
    loop {
        let guard = acquire().await;
        if let Some(guard) = check(lock, guard, condition, &mut watcher, release) {
            return guard;
        }
        if let Some(watcher) = &watcher {
            watcher.wait().await;
        }
    }
}

/// Defines the methods that acquire the lock in one mode, with a guard that borrows or owns it.
macro_rules! observed_methods {
    (
        $mode:ident, $access:literal, $self:ident [$($this:tt)*], $lock:expr, $Guard:ty, $owns:literal, $new:literal, $close:literal,
        $Future:ty, $PlainFuture:ident, $PlainGuard:ident, $release:expr,
        $try:ident, $wait:ident, $or:ident, $block:ident, $timeout:ident,
        $when:ident, $when_or:ident, $when_block:ident, $when_timeout:ident
    ) => {
        #[doc = concat!("Acquires ", $access, " access if that is possible now. Never waits.")]
        ///
        #[doc = fails_if!($mode)]
        ///
        #[doc = $owns]
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!($new, "(1", $close)]
        #[doc = concat!("let guard = lock.", stringify!($try), "().unwrap();")]
        /// assert_eq!(*guard, 1);
        /// assert!(lock.try_write().is_none());
        /// ```
        #[inline]
        #[track_caller]
        #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        pub fn $try($($this)*) -> Option<$Guard> {
            let acquired = $self.plain().raw.try_acquire(Mode::$mode);
            let plain = acquired.then(|| $PlainGuard::new($self.plain(), $self.data()))?;
            Some(<$Guard>::from_plain(plain, Hold::tried($lock, Mode::$mode)))
        }

        #[doc = concat!("Acquires ", $access, " access, waiting asynchronously until it is available.")]
        ///
        #[doc = waits_while!($mode)]
        ///
        #[doc = $owns]
        ///
        /// # Cancel safety
        ///
        #[doc = text!(cancel_safety)]
        ///
        /// # Deadlocks
        ///
        #[doc = deadlocks!($mode, "task")]
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        #[doc = concat!($new, "(1", $close)]
        #[doc = concat!("let guard = lock.", stringify!($wait), "().await;")]
        /// assert_eq!(*guard, 1);
        /// # });
        /// ```
        #[inline]
        #[track_caller]
        pub fn $wait($($this)*) -> $Future {
            let plain = $PlainFuture::new($self.plain(), $self.data());
            <$Future>::new(plain, Hold::new($lock, Mode::$mode))
        }

        #[doc = concat!("Acquires ", $access, " access, unless `cancel` is ready first.")]
        ///
        /// Each poll tries to acquire the lock first, and polls `cancel` only if that fails. When `cancel` is ready, the
        /// future tries once more. The observer is told of one acquisition.
        ///
        #[doc = waits_while!($mode)]
        ///
        #[doc = $owns]
        ///
        /// # Cancel safety
        ///
        #[doc = text!(cancel_safety)]
        ///
        /// # Deadlocks
        ///
        /// If the task already holds the same lock, the wait may end only when `cancel` is ready.
        ///
        /// # Errors
        ///
        /// Returns the output of `cancel`. The acquisition has then lost its place in the queue, and does not hold the
        /// lock.
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        #[doc = concat!($new, "(1", $close)]
        #[doc = concat!("let guard = lock.", stringify!($or), "(async {}).await.unwrap();")]
        /// assert!(lock.write_or(async {}).await.is_err());
        /// drop(guard);
        /// # });
        /// ```
        #[track_caller]
        pub fn $or<C: Future>($($this)*, cancel: C) -> impl FusedFuture<Output = Result<$Guard, C::Output>> {
            let last_try = || {
                let acquired = $self.plain().raw.try_acquire(Mode::$mode);
                acquired.then(|| $PlainGuard::new($self.plain(), $self.data()))
            };
            let plain = $PlainFuture::new($self.plain(), $self.data());
            Observing::new(acquire_or(plain, cancel, last_try), Hold::new($lock, Mode::$mode))
        }

        #[doc = concat!("Acquires ", $access, " access, blocking the thread until it is available.")]
        ///
        #[doc = waits_while!($mode)]
        ///
        #[doc = text!(blocks)]
        /// The observer is told of a wait when the thread enters the queue.
        ///
        #[doc = $owns]
        ///
        /// # Deadlocks
        ///
        #[doc = deadlocks!($mode, "thread")]
        /// A call from async code deadlocks if the holder needs the blocked thread in order to go on.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!($new, "(1", $close)]
        #[doc = concat!("let guard = lock.", stringify!($block), "();")]
        /// assert_eq!(*guard, 1);
        /// ```
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        #[inline]
        #[track_caller]
        pub fn $block($($this)*) -> $Guard {
            let mut hold = Hold::new($lock, Mode::$mode);
            hold.block(Mode::$mode, None);
            <$Guard>::from_plain($PlainGuard::new($self.plain(), $self.data()), hold)
        }

        #[doc = concat!("Acquires ", $access, " access, blocking the thread until it is available, but no longer than `timeout`.")]
        ///
        /// Returns `None` if the lock was not available in time. At the end of `timeout` the method tries once more. If
        /// `timeout` is zero, the method does not block. If `timeout` is too long for the clock, there is no limit.
        ///
        #[doc = waits_while!($mode)]
        ///
        #[doc = text!(blocks_in_time)]
        ///
        #[doc = $owns]
        ///
        /// # Deadlocks
        ///
        #[doc = text!(deadlocks_in_time)]
        ///
        /// # Examples
        ///
        /// ```
        /// use std::time::Duration;
        #[doc = concat!($new, "(1", $close)]
        #[doc = concat!("let guard = lock.", stringify!($timeout), "(Duration::from_millis(1)).unwrap();")]
        /// assert_eq!(*guard, 1);
        /// ```
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        #[track_caller]
        #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        pub fn $timeout($($this)*, timeout: Duration) -> Option<$Guard> {
            let mut hold = Hold::new($lock, Mode::$mode);
            let acquired = hold.block(Mode::$mode, after(timeout));
            acquired.then(|| {
                <$Guard>::from_plain($PlainGuard::new($self.plain(), $self.data()), hold)
            })
        }

        #[doc = concat!("Acquires ", $access, " access when `condition` holds for the data, waiting asynchronously.")]
        ///
        #[doc = when_text!(condition)]
        ///
        /// The observer is told of one acquisition, from when the condition holds on. Until then it waits, also while the
        /// condition is evaluated.
        ///
        #[doc = when_text!(must_not)]
        ///
        #[doc = $owns]
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point. It then does not hold the lock, and no change is lost for another task:
        /// a change wakes all that wait for one.
        ///
        /// # Deadlocks
        ///
        /// The wait never ends if the condition does not hold, and no other task or thread makes it true. While the task
        /// already holds the lock, none can.
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        #[doc = concat!($new, "(true", $close)]
        #[doc = concat!("let guard = lock.", stringify!($when), "(|ready: &bool| *ready).await;")]
        /// assert!(*guard);
        /// # });
        /// ```
        #[track_caller]
        pub fn $when<C: FnMut(&T) -> bool>($($this)*, mut condition: C) -> impl FusedFuture<Output = $Guard> {
            let hold = Hold::new($lock, Mode::$mode);
            let plain = Fused::<_, (C, &Self)>::new(async move {
                let acquire = || $PlainFuture::new($self.plain(), $self.data());
                when($self.plain(), acquire, &mut condition, $release).await
            });
            Observing::new(plain, hold)
        }

        #[doc = concat!("Acquires ", $access, " access when `condition` holds for the data, unless `cancel` is ready first.")]
        ///
        #[doc = when_text!(condition)]
        ///
        /// Each poll tries to acquire the lock first, and polls `cancel` only while the future waits. When `cancel` is
        /// ready, the future tries once more, and evaluates the condition if that succeeds. The observer is told of one
        /// acquisition, from when the condition holds on.
        ///
        #[doc = when_text!(must_not)]
        ///
        #[doc = $owns]
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point, and `cancel` is dropped with it. It then does not hold the lock, and no
        /// change is lost for another task: a change wakes all that wait for one.
        ///
        /// # Deadlocks
        ///
        /// If the condition does not hold, and no other task or thread makes it true, the wait ends only when `cancel` is
        /// ready. While the task already holds the lock, none can.
        ///
        /// # Errors
        ///
        /// Returns the output of `cancel`, if that was ready before the lock was available and the condition held. The
        /// lock is then not held.
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        #[doc = concat!($new, "(false", $close)]
        #[doc = concat!("let late = lock.", stringify!($when_or), "(|ready: &bool| *ready, async {}).await;")]
        /// assert!(late.is_err());
        /// # });
        /// ```
        #[track_caller]
        pub fn $when_or<C: FnMut(&T) -> bool, D: Future>(
            $($this)*,
            mut condition: C,
            cancel: D,
        ) -> impl FusedFuture<Output = Result<$Guard, D::Output>> {
            let hold = Hold::new($lock, Mode::$mode);
            let plain = Fused::<_, (C, D, &Self)>::new(async move {
                let acquire = || $PlainFuture::new($self.plain(), $self.data());
                let held = when($self.plain(), acquire, &mut condition, $release);
                let output = match first(held, cancel).await {
                    Ok(guard) => return Ok(guard),
                    Err(output) => output,
                };
                if !$self.plain().raw.try_acquire(Mode::$mode) {
                    return Err(output);
                }
                let guard = $PlainGuard::new($self.plain(), $self.data());
                if condition(&guard) {
                    // The drop may panic. Until that is over, unwinding drops the guard.
                    drop(output);
                    return Ok(guard);
                }
                let release: fn(_) = $release;
                release(guard);
                Err(output)
            });
            Observing::new(plain, hold)
        }

        #[doc = concat!("Acquires ", $access, " access when `condition` holds for the data, blocking the thread until then.")]
        ///
        #[doc = when_text!(condition)]
        ///
        /// The observer is told of one acquisition, from when the condition holds on.
        ///
        #[doc = when_text!(must_not)]
        ///
        #[doc = $owns]
        ///
        /// # Deadlocks
        ///
        /// The thread blocks forever if the condition does not hold, and no other task or thread makes it true. While the
        /// thread already holds the lock, none can.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!($new, "(true", $close)]
        #[doc = concat!("assert!(*lock.", stringify!($when_block), "(|ready: &bool| *ready));")]
        /// ```
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        #[track_caller]
        pub fn $when_block<C: FnMut(&T) -> bool>($($this)*, mut condition: C) -> $Guard {
            let mut hold = Hold::new($lock, Mode::$mode);
            let new = || $PlainGuard::new($self.plain(), $self.data());
            let plain = when_blocking(
                &mut hold, Mode::$mode, None, $self.plain(), new, &mut condition, $release,
            );
            <$Guard>::from_plain(plain.expect("there is no limit"), hold)
        }

        #[doc = concat!("Acquires ", $access, " access when `condition` holds for the data, blocking the thread until then, but no longer than `timeout`.")]
        ///
        /// Returns `None` if the condition did not hold in time. At the end of `timeout` the method evaluates it once more,
        /// if the lock is available. If `timeout` is too long for the clock, there is no limit.
        ///
        #[doc = when_text!(condition)]
        ///
        /// The observer is told of one acquisition, from when the condition holds on.
        ///
        #[doc = when_text!(must_not)]
        ///
        #[doc = $owns]
        ///
        /// # Deadlocks
        ///
        /// The thread blocks until its time is over if the condition does not hold, and no other task or thread makes it
        /// true. While the thread already holds the lock, none can.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::time::Duration;
        #[doc = concat!($new, "(false", $close)]
        /// let limit = Duration::from_millis(1);
        #[doc = concat!("assert!(lock.", stringify!($when_timeout), "(|ready: &bool| *ready, limit).is_none());")]
        /// ```
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        #[track_caller]
        #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        pub fn $when_timeout<C: FnMut(&T) -> bool>(
            $($this)*,
            mut condition: C,
            timeout: Duration,
        ) -> Option<$Guard> {
            let mut hold = Hold::new($lock, Mode::$mode);
            let new = || $PlainGuard::new($self.plain(), $self.data());
            let limit = after(timeout);
            let plain = when_blocking(
                &mut hold, Mode::$mode, limit, $self.plain(), new, &mut condition, $release,
            );
            plain.map(|plain| <$Guard>::from_plain(plain, hold))
        }
    };
}

impl<T: ?Sized, O: Observer> RwLock<T, O> {
    observed_methods! {
        Shared, "read", self [&self], &self.lock, RwLockReadGuard<'_, T, O>, "The guard borrows the lock.",
        "use multilock::observed::RwLock;\n\nlet lock = RwLock::<_, ()>::new", ");",
        Read<'_, T, O>, PlainRead, PlainReadGuard, drop,
        try_read, read, read_or, read_blocking, read_blocking_timeout,
        read_when, read_when_or, read_when_blocking, read_when_blocking_timeout
    }
    observed_methods! {
        Upgradable, "upgradable read", self [&self], &self.lock, RwLockUpgradableReadGuard<'_, T, O>,
        "The guard borrows the lock.", "use multilock::observed::RwLock;\n\nlet lock = RwLock::<_, ()>::new", ");",
        UpgradableRead<'_, T, O>, PlainUpgradableRead, PlainUpgradableGuard, drop,
        try_upgradable_read, upgradable_read, upgradable_read_or,
        upgradable_read_blocking, upgradable_read_blocking_timeout,
        upgradable_read_when, upgradable_read_when_or, upgradable_read_when_blocking,
        upgradable_read_when_blocking_timeout
    }
    observed_methods! {
        Exclusive, "write", self [&self], &self.lock, RwLockWriteGuard<'_, T, O>, "The guard borrows the lock.",
        "use multilock::observed::RwLock;\n\nlet lock = RwLock::<_, ()>::new", ");",
        Write<'_, T, O>, PlainWrite, PlainWriteGuard, PlainWriteGuard::release_unchanged,
        try_write, write, write_or, write_blocking, write_blocking_timeout,
        write_when, write_when_or, write_when_blocking, write_when_blocking_timeout
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<T: ?Sized, O: Observer> RwLock<T, O> {
    observed_methods! {
        Shared, "read", self [self: &Arc<Self>], self, RwLockReadGuardArc<T, O>,
        "The guard owns a clone of the `Arc`, and is `'static` if the data is.",
        "use multilock::observed::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::<_, ()>::new", "));",
        ReadArc<'_, T, O>, PlainRead, PlainReadGuard, drop,
        try_read_arc, read_arc, read_arc_or, read_arc_blocking, read_arc_blocking_timeout,
        read_arc_when, read_arc_when_or, read_arc_when_blocking, read_arc_when_blocking_timeout
    }
    observed_methods! {
        Upgradable, "upgradable read", self [self: &Arc<Self>], self, RwLockUpgradableReadGuardArc<T, O>,
        "The guard owns a clone of the `Arc`, and is `'static` if the data is.",
        "use multilock::observed::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::<_, ()>::new", "));",
        UpgradableReadArc<'_, T, O>, PlainUpgradableRead, PlainUpgradableGuard, drop,
        try_upgradable_read_arc, upgradable_read_arc, upgradable_read_arc_or,
        upgradable_read_arc_blocking, upgradable_read_arc_blocking_timeout,
        upgradable_read_arc_when, upgradable_read_arc_when_or, upgradable_read_arc_when_blocking,
        upgradable_read_arc_when_blocking_timeout
    }
    observed_methods! {
        Exclusive, "write", self [self: &Arc<Self>], self, RwLockWriteGuardArc<T, O>,
        "The guard owns a clone of the `Arc`, and is `'static` if the data is.",
        "use multilock::observed::RwLock;\nuse std::sync::Arc;\n\nlet lock = Arc::new(RwLock::<_, ()>::new", "));",
        WriteArc<'_, T, O>, PlainWrite, PlainWriteGuard, PlainWriteGuard::release_unchanged,
        try_write_arc, write_arc, write_arc_or, write_arc_blocking, write_arc_blocking_timeout,
        write_arc_when, write_arc_when_or, write_arc_when_blocking, write_arc_when_blocking_timeout
    }
}

/// Defines the methods that give access to a closure.
macro_rules! observed_with {
    ($mode:ident, $with:ident, $with_blocking:ident, $Ref:ty, $access:literal, $Read:ident, $read:ident, $read_blocking:ident, $f:literal, $($mut:tt)?) => {
        #[doc = concat!("Calls `f` with ", $access, " access to the data, waiting asynchronously until it is available.")]
        ///
        /// Returns what `f` returns. `f` is not async, so the access does not last across an `.await`.
        ///
        #[doc = waits_while!($mode)]
        ///
        /// If `f` panics, access ends, and the panic propagates out of the poll.
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point. `f` runs to its end within one poll, so it runs completely or not at
        /// all.
        ///
        /// # Deadlocks
        ///
        #[doc = deadlocks!($mode, "task")]
        /// A blocking call in `f` blocks the executor, too.
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        /// use multilock::observed::RwLock;
        ///
        /// let lock = RwLock::<_, ()>::new(1);
        #[doc = concat!("lock.", stringify!($with), "(", $f, ").await;")]
        /// # });
        /// ```
        #[track_caller]
        pub fn $with<F: FnOnce($Ref) -> R, R>(&self, f: F) -> impl FusedFuture<Output = R> {
            let acquire = self.$read();
            Fused::<_, ($Read<'_, T, O>, F)>::new(async move {
                let $($mut)? guard = acquire.await;
                let output = f(& $($mut)? guard);
                // Not when the output is being returned: it would be leaked if a waker panics.
                drop(guard);
                output
            })
        }

        #[doc = concat!("Calls `f` with ", $access, " access to the data, blocking the thread until it is available.")]
        ///
        /// Returns what `f` returns.
        ///
        #[doc = waits_while!($mode)]
        ///
        #[doc = text!(blocks)]
        ///
        /// # Deadlocks
        ///
        #[doc = deadlocks!($mode, "thread")]
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::observed::RwLock;
        ///
        /// let lock = RwLock::<_, ()>::new(1);
        #[doc = concat!("lock.", stringify!($with_blocking), "(", $f, ");")]
        /// ```
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        #[track_caller]
        pub fn $with_blocking<F: FnOnce($Ref) -> R, R>(&self, f: F) -> R {
            let $($mut)? guard = self.$read_blocking();
            let output = f(& $($mut)? guard);
            // Not when the output is being returned: it would be leaked if a waker panics.
            drop(guard);
            output
        }
    };
}

impl<T: ?Sized, O: Observer> RwLock<T, O> {
    observed_with! {
        Shared, with, with_blocking, &T, "read", Read, read, read_blocking, "|data| assert_eq!(*data, 1)",
    }
    observed_with! {
        Exclusive, with_mut, with_mut_blocking, &mut T, "write", Write, write, write_blocking, "|data| *data += 1", mut
    }
}
