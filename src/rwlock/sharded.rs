//! [`ShardedRwLock`], whose readers do not share a cache line.
//!
//! The scheme is the reader bias of BRAVO (Dice and Kogan, 2019). While there is no writer, the lock
//! is *biased*: a reader holds one of the shards, and leaves the inner lock alone. A writer
//! *revokes* the bias, waits until each shard was free once, and acquires the inner lock. Until the
//! last writer is gone, readers acquire the inner lock, too. In BRAVO a writer holds the lock while
//! it waits for the shards. Here it holds nothing, so a writer that is not polled takes the bias
//! from the readers, and does not block them.

use core::fmt;
use core::ops::{Deref, DerefMut};

use futures_core::FusedFuture;

use crate::lock::MultiLock;
use crate::lock::cancel::acquire_or;
use crate::mode::Mode;
use crate::raw::state::Snapshot;
use crate::rwlock::futures::{Read, Write};
use crate::rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::const_fn;
use crate::sync::future::Fused;

/// A lock on cache lines of its own. Readers hold it, and writers only look at it.
///
/// Processors that fetch lines in pairs need 128 bytes.
#[cfg_attr(
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "powerpc64"),
    repr(align(128))
)]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "powerpc64")),
    repr(align(64))
)]
struct Shard(MultiLock);

/// A reader-writer lock with data, for many readers on many cores and few writers.
///
/// Each reader of an [`RwLock`] writes the same cache line, and a line can be written by one core at
/// a time. Here a reader writes one of `N` shards, each of which is on a line of its own. So readers
/// on different cores do not slow each other down. To make room for itself, a writer looks at all
/// shards.
///
/// **It pays** where cores read all the time, for a moment each, and few accesses are writes: on two
/// cores fewer than one in ten, and on 16 cores, as far as a model says, fewer than one in twenty. The
/// page [`many_readers`](crate::guide::many_readers) has the model, and measurements. Otherwise an
/// `RwLock` is as quick or quicker, and smaller. Readers that can do with the value of a moment ago
/// need no lock: take the crate `arc-swap`.
///
/// **It costs** a cache line of 64 or 128 bytes for each shard, 1 KiB for the 8 shards that are the
/// default, and about 5 ns for each shard when a writer acquires it. With `alloc`, each shard
/// allocates its queue when a writer waits for a reader there for the first time. Without `alloc`
/// the queue is in the shard, which then has two lines or three.
///
/// With `std`, threads are numbered as they read for the first time, and a thread reads at the shard
/// of its number modulo `N`. Without `std`, the address of the stack selects the shard. A task may
/// move to another thread with its guard.
///
/// # Fairness
///
/// While a writer holds the lock or waits for it, the shards are closed, and readers use one inner
/// [`RwLock`], as quickly or slowly as those of any `RwLock`.
///
/// * A writer waits for the readers that were at the shards at its first poll, until each shard was
///   free once. No reader that comes later is among them. Meanwhile, newcomers read by the inner
///   lock.
/// * Then the writer waits for the inner lock, under the rules of [`MultiLock`](MultiLock#fairness):
///   it blocks newcomers, and how often it is overtaken is bounded. Writers are in FIFO order from
///   here on.
/// * A writer that is not polled blocks readers no more than one of an `RwLock` does. Until it is
///   dropped, the shards stay closed.
/// * Readers that [share](RwLockReadGuard::share) their guard again and again keep writers out.
///
/// # Cancel safety
///
/// All futures of this type can be dropped at any point. They do nothing before they are polled. A
/// writer that is dropped opens the shards, unless there is another one. If it is *forgotten*
/// (`mem::forget`), the shards stay closed.
///
/// # Deadlocks
///
/// A task that holds the lock and waits for it again may wait for itself, as with
/// [`RwLock`](RwLock#deadlocks).
///
/// # Limitations
///
/// The lock cannot be held by an upgradable reader, or by a guard that owns the lock. It has no
/// conditions, changes or monitors, and [`lock_all`](crate::lock_all) does not take it.
///
/// # Examples
///
/// ```
/// use multilock::ShardedRwLock;
///
/// static LIMITS: ShardedRwLock<Vec<u32>> = ShardedRwLock::new(Vec::new());
///
/// # futures_lite::future::block_on(async {
/// LIMITS.write().await.push(10);
/// assert!(LIMITS.read().await.iter().all(|limit| *limit > 5));
/// # });
/// ```
#[doc(alias = "ShardedLock")]
pub struct ShardedRwLock<T: ?Sized, const N: usize = 8> {
    shards: [Shard; N],
    /// The number of writers that wait or write. The lock is biased while it is zero.
    writers: AtomicUsize,
    inner: RwLock<T>,
}

#[cfg(not(loom))]
const fn shards<const N: usize>() -> [Shard; N] {
    [const { Shard(MultiLock::new()) }; N]
}
#[cfg(loom)]
fn shards<const N: usize>() -> [Shard; N] {
    core::array::from_fn(|_| Shard(MultiLock::new()))
}

impl<T> ShardedRwLock<T> {
    const_fn! {
        /// Creates an unlocked lock that contains `data`, with 8 shards.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::ShardedRwLock;
        ///
        /// let lock = ShardedRwLock::new(1);
        /// assert_eq!(*lock.try_read().unwrap(), 1);
        /// ```
        #[must_use]
        pub fn new(data: T) -> Self {
            Self::with_shards(data)
        }
    }
}

impl<T, const N: usize> ShardedRwLock<T, N> {
    const_fn! {
        /// Creates an unlocked lock that contains `data`, with `N` shards. The code does not compile
        /// if `N` is zero.
        ///
        /// As many shards as there are cores are enough.
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::ShardedRwLock;
        ///
        /// let lock: ShardedRwLock<_, 16> = ShardedRwLock::with_shards(1);
        /// assert_eq!(*lock.try_read().unwrap(), 1);
        /// ```
        #[must_use]
        pub fn with_shards(data: T) -> Self {
            const { assert!(N > 0, "a lock needs a shard") };
            Self { shards: shards(), writers: AtomicUsize::new(0), inner: RwLock::new(data) }
        }
    }

    /// Consumes the lock and returns the data.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::ShardedRwLock;
    ///
    /// let lock = ShardedRwLock::new(1);
    /// *lock.try_write().unwrap() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

/// A writer that waits or writes. The bias is revoked as long as it exists.
struct Revoked<'a>(&'a AtomicUsize);

impl Drop for Revoked<'_> {
    fn drop(&mut self) {
        // ORDERING: Release. Pairs with the Acquire of `try_read_at`: a reader at a shard sees what
        // the writer wrote. With a weaker ordering, the model
        // `e2_readers_at_a_shard_see_what_was_written` fails.
        self.0.fetch_sub(1, Release);
    }
}

/// Defines the methods that give access by one kind of guard.
macro_rules! access_methods {
    (
        $access:literal, $waits:literal, $Guard:ident, $Future:ident, $try:ident, $acquire:ident, $or:ident, $with:ident,
        |$this:ident| $try_now:expr, $wait:expr,
        |$guard:ident: $Data:ty| $data:expr
    ) => {
        #[doc = concat!("Acquires ", $access, " access if that is possible now. Never waits.")]
        ///
        #[doc = concat!("Returns `None` ", $waits, ".")]
        ///
        /// # Examples
        ///
        /// ```
        /// use multilock::ShardedRwLock;
        ///
        /// let lock = ShardedRwLock::new(1);
        #[doc = concat!("let guard = lock.", stringify!($try), "().unwrap();")]
        /// assert!(*guard == 1 && lock.try_write().is_none());
        /// ```
        #[inline]
        #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
        pub fn $try(&self) -> Option<$Guard<'_, T>> {
            let $this = self;
            $try_now
        }

        #[doc = concat!("Acquires ", $access, " access, waiting asynchronously until it is available.")]
        ///
        #[doc = concat!("The acquisition waits ", $waits, ": see [fairness](Self#fairness).")]
        ///
        /// # Cancel safety
        ///
        #[doc = text!(cancel_safety)]
        ///
        /// # Deadlocks
        ///
        /// The wait may never end if the task already holds the same lock.
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        /// use multilock::ShardedRwLock;
        ///
        /// let lock = ShardedRwLock::new(1);
        #[doc = concat!("assert_eq!(*lock.", stringify!($acquire), "().await, 1);")]
        /// # });
        /// ```
        #[inline]
        pub fn $acquire(&self) -> impl FusedFuture<Output = $Guard<'_, T>> {
            let $this = self;
            Fused::<_, $Future<'_, T>>::new(async move { $wait })
        }

        #[doc = concat!("Acquires ", $access, " access, unless `cancel` is ready first.")]
        ///
        /// Each poll tries to acquire the lock first, and polls `cancel` only if that fails. When
        /// `cancel` is ready, the future tries once more.
        #[doc = concat!("The acquisition waits ", $waits, ": see [fairness](Self#fairness).")]
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
        /// Returns the output of `cancel`. The acquisition has then lost its place in the queue,
        /// and does not hold the lock.
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        /// use multilock::ShardedRwLock;
        /// use std::future::ready;
        ///
        /// let lock = ShardedRwLock::new(1);
        #[doc = concat!("let guard = lock.", stringify!($or), "(ready(())).await.unwrap();")]
        /// assert_eq!(lock.write_or(ready("late")).await.unwrap_err(), "late");
        /// drop(guard);
        /// # });
        /// ```
        pub fn $or<C: Future>(
            &self,
            cancel: C,
        ) -> impl FusedFuture<Output = Result<$Guard<'_, T>, C::Output>> {
            acquire_or(self.$acquire(), cancel, || self.$try())
        }

        #[doc = concat!("Calls `f` with ", $access, " access to the data, waiting asynchronously until it is available.")]
        ///
        /// Returns what `f` returns. `f` is not async, so the lock is never held across an `.await`.
        /// If `f` panics, access ends, and the panic propagates out of the poll.
        #[doc = concat!("The acquisition waits ", $waits, ": see [fairness](Self#fairness).")]
        ///
        /// # Cancel safety
        ///
        /// The future may be dropped at any point. `f` runs completely or not at all.
        ///
        /// # Deadlocks
        ///
        /// The wait may never end if the task already holds the same lock.
        ///
        /// # Examples
        ///
        /// ```
        /// # futures_lite::future::block_on(async {
        /// use multilock::ShardedRwLock;
        ///
        /// let lock = ShardedRwLock::new(1);
        #[doc = concat!("assert_eq!(lock.", stringify!($with), "(|number| *number).await, 1);")]
        /// # });
        /// ```
        pub fn $with<F: FnOnce($Data) -> R, R>(&self, f: F) -> impl FusedFuture<Output = R> {
            Fused::<_, ($Future<'_, T>, F)>::new(async move {
                #[allow(unused_mut, reason = "a reader does not write")]
                let mut $guard = self.$acquire().await;
                let output = f($data);
                // Not when the output is being returned: it would be leaked if a waker panics.
                drop($guard);
                output
            })
        }
    };
}

impl<T: ?Sized, const N: usize> ShardedRwLock<T, N> {
    access_methods! {
        "read", "while a writer holds the lock, or waits for other readers of the inner lock",
        RwLockReadGuard, Read, try_read, read, read_or, with,
        |this| this.try_read_biased().or_else(|| this.inner.try_read()),
        match this.try_read_biased() {
            Some(guard) => guard,
            None => this.inner.read().await,
        },
        |guard: &T| &guard
    }
    access_methods! {
        "write", "while there is any holder",
        ShardedRwLockWriteGuard, Write, try_write, write, write_or, with_mut,
        |this| {
            let revoked = this.revoke();
            let guard = this.were_free().then(|| this.inner.try_write()).flatten()?;
            Some(ShardedRwLockWriteGuard { guard, revoked })
        },
        {
            let revoked = this.revoke();
            this.drain().await;
            ShardedRwLockWriteGuard { guard: this.inner.write().await, revoked }
        },
        |guard: &mut T| &mut guard
    }

    /// Returns a mutable reference to the data.
    ///
    /// The caller has the only reference to the lock, so no guard is needed.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::ShardedRwLock;
    ///
    /// let mut lock = ShardedRwLock::new(1);
    /// *lock.get_mut() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    #[inline]
    fn try_read_biased(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.try_read_at(shard_number())
    }

    /// Gives read access at a shard, while the lock is biased.
    #[inline]
    pub(crate) fn try_read_at(&self, shard: usize) -> Option<RwLockReadGuard<'_, T>> {
        let shard = &self.shards[shard % N].0;
        // ORDERING: Relaxed. The look keeps readers away from the shards, which a writer waits for.
        // The next look decides.
        if self.writers.load(Relaxed) != 0 || !shard.raw.try_acquire(Mode::Shared) {
            return None;
        }
        // Until the next look, the guard only stands for the shard.
        let guard = RwLockReadGuard::new(shard, self.inner.data());
        // ORDERING: Acquire. Pairs with the Release in `Revoked`. The look comes after the shard is
        // held: a writer that finds the shard free before that is seen here, see
        // `State::load_in_order`. Without this look, the model
        // `e1_a_writer_and_a_reader_at_a_shard_exclude_each_other` fails.
        (self.writers.load(Acquire) == 0).then_some(guard)
    }

    /// Revokes the bias. From then on, all shards need to be free once.
    fn revoke(&self) -> Revoked<'_> {
        // ORDERING: Relaxed. A reader sees this by way of its shard: see `State::load_in_order`.
        self.writers.fetch_add(1, Relaxed);
        Revoked(&self.writers)
    }

    fn were_free(&self) -> bool {
        self.shards.iter().all(Shard::was_free)
    }

    /// Waits until each shard was free once.
    async fn drain(&self) {
        for shard in &self.shards {
            while !shard.was_free() {
                shard.0.wait(Mode::Exclusive).await;
            }
        }
    }
}

impl Shard {
    /// Returns whether the shard is free. If so, a reader that enters it later sees that the bias is
    /// revoked.
    fn was_free(&self) -> bool {
        self.0.raw.load_in_order().is_free()
    }
}

/// Returns a number that differs between the threads that read at the same time, or may do so.
#[cfg(feature = "std")]
#[inline]
fn shard_number() -> usize {
    use core::cell::Cell;

    use crate::sync::unmodeled;

    static THREADS: unmodeled::AtomicUsize = unmodeled::AtomicUsize::new(0);
    std::thread_local! {
        /// The number of the thread plus one, or zero if it has none yet.
        static NUMBER: Cell<usize> = const { Cell::new(0) };
    }
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(THREADS.fetch_add(1, unmodeled::Ordering::Relaxed).wrapping_add(1));
        }
        number.get()
    })
}

/// Returns the number of the page in which the stack ends: cores do not share a stack.
#[cfg(not(feature = "std"))]
#[inline]
fn shard_number() -> usize {
    let on_stack = 0_u8;
    core::ptr::from_ref(&on_stack).addr() >> 12
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking {
    #[cfg(not(loom))]
    use std::time::{Duration, Instant};

    use super::{RwLockReadGuard, ShardedRwLock, ShardedRwLockWriteGuard};
    use crate::sync::block::block_on;

    /// Defines the methods that block the thread.
    macro_rules! blocking_methods {
        (
            $access:literal, $Guard:ident, $block:ident, $timeout:ident,
            |$this:ident| $wait:expr, |$deadline:ident| $in_time:expr
        ) => {
            #[doc = concat!("Acquires ", $access, " access, blocking the thread until it is available.")]
            ///
            /// The thread waits as a task would: see [fairness](Self#fairness). The call leaves the
            /// token of [`std::thread::park`] as it was.
            ///
            /// # Deadlocks
            ///
            /// The wait may never end if the thread already holds the same lock. A call from async
            /// code deadlocks if the holder needs the blocked thread in order to go on.
            ///
            /// # Examples
            ///
            /// ```
            /// use multilock::ShardedRwLock;
            ///
            /// let lock = ShardedRwLock::new(1);
            #[doc = concat!("assert_eq!(*lock.", stringify!($block), "(), 1);")]
            /// ```
            #[inline]
            pub fn $block(&self) -> $Guard<'_, T> {
                let $this = self;
                $wait
            }

            #[doc = concat!("Acquires ", $access, " access, blocking the thread until it is available, but no longer than `timeout`.")]
            ///
            /// Returns `None` if the lock was not available in time. At the end of `timeout` the
            /// method tries once more. If `timeout` is too long for the clock, there is no limit.
            /// The call leaves the token of [`std::thread::park`] as it was.
            ///
            /// # Deadlocks
            ///
            #[doc = text!(deadlocks_in_time)]
            ///
            /// # Examples
            ///
            /// ```
            /// use multilock::ShardedRwLock;
            /// use std::time::Duration;
            ///
            /// let lock = ShardedRwLock::new(1);
            /// let _writes = lock.write_blocking();
            #[doc = concat!("assert!(lock.", stringify!($timeout), "(Duration::from_millis(1)).is_none());")]
            /// ```
            #[cfg(not(loom))]
            #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
            pub fn $timeout(&self, timeout: Duration) -> Option<$Guard<'_, T>> {
                let $this = self;
                let Some($deadline) = Instant::now().checked_add(timeout) else {
                    return Some(self.$block());
                };
                $in_time
            }
        };
    }

    impl<T: ?Sized, const N: usize> ShardedRwLock<T, N> {
        blocking_methods! {
            "read", RwLockReadGuard, read_blocking, read_blocking_timeout,
            |this| match this.try_read_biased() {
                Some(guard) => guard,
                None => this.inner.read_blocking(),
            },
            |deadline| match this.try_read_biased() {
                None => this.inner.read_blocking_timeout(deadline.saturating_duration_since(Instant::now())),
                guard => guard,
            }
        }
        blocking_methods! {
            "write", ShardedRwLockWriteGuard, write_blocking, write_blocking_timeout,
            |this| {
                let revoked = this.revoke();
                if !this.were_free() {
                    block_on(this.drain(), None);
                }
                ShardedRwLockWriteGuard { guard: this.inner.write_blocking(), revoked }
            },
            |deadline| {
                let revoked = this.revoke();
                if !this.were_free() && block_on(this.drain(), Some(deadline)).is_none() {
                    return this.try_write();
                }
                let left = deadline.saturating_duration_since(Instant::now());
                let guard = this.inner.write_blocking_timeout(left)?;
                Some(ShardedRwLockWriteGuard { guard, revoked })
            }
        }
    }
}

impl<T: Default, const N: usize> Default for ShardedRwLock<T, N> {
    fn default() -> Self {
        Self::with_shards(T::default())
    }
}

impl<T: ?Sized, const N: usize> ShardedRwLock<T, N> {
    /// Returns what `Debug` shows: the state of the inner lock, the number of writers, and the
    /// number of readers at each shard.
    pub(crate) fn state(&self) -> (Snapshot, usize, [usize; N]) {
        let readers = self.shards.each_ref().map(|shard| shard.0.snapshot().shared_holders());
        // ORDERING: Relaxed. The caller only shows it.
        (self.inner.raw().snapshot(), self.writers.load(Relaxed), readers)
    }
}

/// Shows the holders and the waiters of the inner lock, the number of writers that wait or write, and
/// the number of readers at each shard.
///
/// Formatting does not acquire the lock, so it does not show the data.
impl<T: ?Sized, const N: usize> fmt::Debug for ShardedRwLock<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (inner, writers, shards) = self.state();
        f.debug_struct("ShardedRwLock")
            .field("inner", &inner)
            .field("writers", &writers)
            .field("shards", &shards)
            .finish_non_exhaustive()
    }
}

/// An RAII guard that gives write access to the data of a [`ShardedRwLock`].
///
/// Access ends when the guard is dropped.
///
/// # Examples
///
/// ```
/// use multilock::{ShardedRwLock, ShardedRwLockWriteGuard};
///
/// let lock = ShardedRwLock::new(1);
/// let mut guard: ShardedRwLockWriteGuard<'_, i32> = lock.try_write().unwrap();
/// *guard += 1;
/// assert!(lock.try_read().is_none());
/// ```
#[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
#[clippy::has_significant_drop]
pub struct ShardedRwLockWriteGuard<'a, T: ?Sized> {
    guard: RwLockWriteGuard<'a, T>,
    /// The bias comes back when the inner lock is released already, even if a waker panics there.
    revoked: Revoked<'a>,
}

impl<'a, T: ?Sized> ShardedRwLockWriteGuard<'a, T> {
    /// Turns the guard into a read guard. Never waits.
    ///
    /// No other writer has access in between. The downgrade wakes all waiting readers.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{ShardedRwLock, ShardedRwLockWriteGuard};
    ///
    /// let lock = ShardedRwLock::new(1);
    /// let guard = ShardedRwLockWriteGuard::downgrade(lock.try_write().unwrap());
    /// assert!(*guard == 1 && lock.try_read().is_some() && lock.try_write().is_none());
    /// ```
    #[must_use = "access ends when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        let Self { guard, revoked: _revoked } = guard;
        RwLockWriteGuard::downgrade(guard)
    }
}

impl<T: ?Sized> Deref for ShardedRwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T: ?Sized> DerefMut for ShardedRwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ShardedRwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.guard.fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for ShardedRwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.guard.fmt(f)
    }
}
