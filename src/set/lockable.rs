//! The traits that a lock and a set of locks have in common.

use futures_core::FusedFuture;

use crate::error::ReleaseError;
use crate::lock::MultiLock;
use crate::lock::guard::Guard;
use crate::lock::handle::Handle;
use crate::lock::monitor::Monitor;
use crate::mode::Mode;
use crate::set::told::Event;

pub(crate) mod sealed {
    use crate::lock::MultiLock;
    use crate::set::told::{Event, Record};

    /// The locks that a lockable value consists of.
    ///
    /// They stay the same, and stay at the same addresses, as long as the value is not moved. If
    /// the value is not a lock itself, they do so even when it is moved.
    pub trait Locks {
        /// Returns the number of locks.
        #[doc(hidden)]
        fn count(&self) -> usize;

        /// Returns the `n`th lock, counted from zero.
        ///
        /// # Panics
        ///
        /// Panics if `n` is not less than the count.
        #[doc(hidden)]
        fn nth(&self, n: usize) -> &MultiLock;

        /// What the observer of a lock is told of an acquisition.
        #[doc(hidden)]
        type Record: Record;

        /// Tells the observer of the `n`th lock.
        #[doc(hidden)]
        #[inline]
        fn tell(&self, _n: usize, _record: &mut <Self as Locks>::Record, _event: Event) {}
    }

    /// [`Locks`] by the name that the documentation shows.
    pub trait Sealed: Locks {}

    impl<L: Locks> Sealed for L {}
}

/// A type that can be acquired in a [`Mode`]: a [`MultiLock`], a [`LockSet`](crate::LockSet), a
/// reference to one, or an [`Arc`](alloc::sync::Arc) of one.
///
/// Use this trait in code that works with any of these types. The methods are those of `MultiLock`
/// and `LockSet`, whose documentation says more about each. Only this crate implements the trait.
///
/// If another thread is to run the future of a generic `async fn`, write that function as one that
/// returns `impl Future + Send` from an `async` block. For a borrowed lock, the compiler cannot
/// prove that the future of the `async fn` is `Send`.
///
/// # Examples
///
/// ```
/// use multilock::{LockGuard, LockSet, Lockable, Mode, MultiLock};
/// use std::sync::Arc;
///
/// /// Runs `f` while no other task or thread holds the lock.
/// async fn alone<L: Lockable, R>(lock: &L, f: impl FnOnce() -> R) -> R {
///     let guard = lock.acquire(Mode::Exclusive).await;
///     assert_eq!(guard.mode(), Mode::Exclusive);
///     f()
/// }
///
/// # futures_lite::future::block_on(async {
/// let lock = MultiLock::new();
/// assert_eq!(alone(&lock, || 1).await, 1);
///
/// let shared = Arc::new(MultiLock::new());
/// assert_eq!(alone(&shared, || 2).await, 2);
///
/// let set: LockSet<&MultiLock> = [&lock, &shared].into_iter().collect();
/// assert_eq!(alone(&set, || 3).await, 3);
/// # });
/// ```
pub trait Lockable: sealed::Sealed + Send + Sync {
    /// What a handle keeps for the observer of the lock. It is `()` for locks that have none.
    type Record: Send + Sync;

    /// The guard of an acquisition, which releases the lock, or all locks of the set, when dropped.
    type Guard<'a>: LockGuard<Record = <Self as Lockable>::Record>
    where
        Self: 'a;

    /// Returns the strongest mode that the lock, or a lock of the set, is held in, or `None` if
    /// there is no holder.
    ///
    /// The result may be out of date by the time the caller looks at it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Lockable, MultiLock};
    ///
    /// fn is_free(lock: &impl Lockable) -> bool {
    ///     lock.locked().is_none()
    /// }
    /// assert!(is_free(&MultiLock::new()));
    /// ```
    #[must_use]
    fn locked(&self) -> Option<Mode>;

    /// Acquires the lock, or all locks of the set, in `mode` if that is possible now. Never waits.
    ///
    /// Returns `None` if the acquisition is not possible; then no lock is held.
    /// [`MultiLock::try_acquire`] lists the reasons.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Lockable, Mode, MultiLock};
    ///
    /// /// Runs `f` if no other task or thread holds the lock.
    /// fn try_alone(lock: &impl Lockable, f: impl FnOnce()) -> bool {
    ///     let guard = lock.try_acquire(Mode::Exclusive);
    ///     guard.is_some_and(|_guard| {
    ///         f();
    ///         true
    ///     })
    /// }
    /// assert!(try_alone(&MultiLock::new(), || println!("alone")));
    /// ```
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    fn try_acquire(&self, mode: Mode) -> Option<Self::Guard<'_>>;

    /// Acquires the lock, or all locks of the set, in `mode`, waiting asynchronously until that is
    /// possible.
    ///
    /// The acquisition waits while a holder of the lock, or of a lock of the set, excludes `mode` or
    /// is upgrading. In a mode that is not exclusive, it also waits while such a lock is held and an
    /// exclusive waiter is queued. The order among waiters is described at
    /// [`MultiLock`](MultiLock#fairness) and at [`LockSet`](crate::LockSet#fairness).
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point. It then holds no lock, and has lost its place in the
    /// queue. If it had been woken, its drop passes the wake-up on to the next waiter.
    ///
    /// # Deadlocks
    ///
    /// The wait may never end if the task already holds the lock, or a lock of the set: see
    /// [`MultiLock`](MultiLock#deadlocks).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{Lockable, Mode, MultiLock};
    ///
    /// async fn alone<R>(lock: &impl Lockable, f: impl FnOnce() -> R) -> R {
    ///     let _guard = lock.acquire(Mode::Exclusive).await;
    ///     f()
    /// }
    /// assert_eq!(alone(&MultiLock::new(), || 1).await, 1);
    /// # });
    /// ```
    fn acquire(&self, mode: Mode) -> impl FusedFuture<Output = Self::Guard<'_>> + Send + Sync;

    /// Acquires the lock, or all locks of the set, in `mode`, blocking the thread until that is
    /// possible.
    ///
    /// How a thread blocks is described at [`MultiLock::acquire_blocking`] and at
    /// [`LockSet::acquire_blocking`](crate::LockSet::acquire_blocking).
    ///
    /// # Deadlocks
    ///
    /// The wait may never end if the thread already holds the lock, or a lock of the set: see
    /// [`MultiLock`](MultiLock#deadlocks). A call from async code deadlocks if a holder needs the
    /// blocked thread in order to go on.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Lockable, Mode, MultiLock};
    ///
    /// fn alone<R>(lock: &impl Lockable, f: impl FnOnce() -> R) -> R {
    ///     let _guard = lock.acquire_blocking(Mode::Exclusive);
    ///     f()
    /// }
    /// assert_eq!(alone(&MultiLock::new(), || 1), 1);
    /// ```
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    #[must_use = "the lock is released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    fn acquire_blocking(&self, mode: Mode) -> Self::Guard<'_>;

    /// Waits until `mode` can be acquired, without acquiring the lock or any lock of the set.
    ///
    /// The result is a hint: another task may have acquired the lock, or a lock of the set, since.
    /// No task waits because of the future.
    ///
    /// # Cancel safety
    ///
    #[doc = text!(wait_cancel_safety)]
    ///
    /// # Deadlocks
    ///
    /// The wait does not end while the task itself holds the lock, or a lock of the set, in a mode
    /// that excludes `mode`.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{Lockable, Mode, MultiLock};
    ///
    /// async fn print_when_free(lock: &impl Lockable) {
    ///     lock.wait(Mode::Exclusive).await;
    ///     println!("the lock was free a moment ago");
    /// }
    /// print_when_free(&MultiLock::new()).await;
    /// # });
    /// ```
    fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync;

    /// Creates a monitor that reports when `mode` can be acquired: see [`Monitor`].
    ///
    /// The monitor of a set looks at the locks only when it is read or polled: see
    /// [`LockSet::monitor`](crate::LockSet::monitor).
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Lockable, Mode, MultiLock};
    ///
    /// fn was_free(lock: &impl Lockable) -> bool {
    ///     lock.monitor(Mode::Exclusive).is_set()
    /// }
    /// assert!(was_free(&MultiLock::new()));
    /// ```
    fn monitor(&self, mode: Mode) -> Monitor<'_>;

    /// Releases the acquisition that `handle` stands for.
    ///
    /// # Errors
    ///
    /// If `handle` belongs to another lock or set, the error contains the handle, and no lock
    /// changes. A set accepts the handles of its clones.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Lockable, LockGuard, Mode, MultiLock};
    ///
    /// fn acquire_and_release(lock: &impl Lockable) {
    ///     let handle = lock.try_acquire(Mode::Shared).unwrap().into_handle();
    ///     lock.release(handle).unwrap();
    /// }
    /// acquire_and_release(&MultiLock::new());
    /// ```
    fn release(
        &self,
        handle: Handle<<Self as Lockable>::Record>,
    ) -> Result<(), ReleaseError<<Self as Lockable>::Record>>;

    /// Turns `handle` back into a guard of the acquisition that it stands for.
    ///
    /// # Errors
    ///
    /// If `handle` belongs to another lock or set, the error contains the handle, and no lock
    /// changes. A set accepts the handles of its clones.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Lockable, LockGuard, Mode, MultiLock};
    ///
    /// fn acquire_and_adopt(lock: &impl Lockable) {
    ///     let handle = lock.try_acquire(Mode::Shared).unwrap().into_handle();
    ///     let guard = lock.adopt(handle).unwrap();
    ///     assert_eq!(guard.mode(), Mode::Shared);
    /// }
    /// acquire_and_adopt(&MultiLock::new());
    /// ```
    fn adopt(
        &self,
        handle: Handle<<Self as Lockable>::Record>,
    ) -> Result<Self::Guard<'_>, ReleaseError<<Self as Lockable>::Record>>;
}

/// A guard of a [`Lockable`] type, which releases the lock, or all locks of the set, when dropped.
///
/// The methods are those of [`Guard`] and [`SetGuard`](crate::SetGuard), whose documentation says
/// more about each.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use multilock::{LockGuard, Lockable, Mode, MultiLock};
///
/// /// Writes alone, and then reads beside others.
/// async fn write_and_read(lock: &impl Lockable) {
///     let mut guard = lock.acquire(Mode::Exclusive).await;
///     guard.downgrade(Mode::Shared);
///     assert_eq!(lock.locked(), Some(Mode::Shared));
/// }
///
/// write_and_read(&MultiLock::new()).await;
/// # });
/// ```
pub trait LockGuard: Sized + Send + Sync {
    /// What a handle keeps for the observer of the lock. It is `()` for locks that have none.
    type Record: Send + Sync;

    /// Returns the mode that the lock, or each lock of the set, is held in.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockGuard, Mode, MultiLock};
    ///
    /// fn may_write(guard: &impl LockGuard) -> bool {
    ///     guard.mode() == Mode::Exclusive
    /// }
    /// assert!(!may_write(&MultiLock::new().try_acquire(Mode::Shared).unwrap()));
    /// ```
    #[must_use]
    fn mode(&self) -> Mode;

    /// Downgrades the guard to the weaker mode `to`, or to the same mode. Never waits.
    ///
    /// No other task holds the lock, or a lock of the set, exclusively in between. The downgrade
    /// immediately wakes the waiters that may now acquire it.
    ///
    /// # Panics
    ///
    /// Panics if `to` is stronger than the mode of the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockGuard, Mode, MultiLock};
    ///
    /// fn begin_to_share(guard: &mut impl LockGuard) {
    ///     guard.downgrade(Mode::Shared);
    /// }
    /// let lock = MultiLock::new();
    /// begin_to_share(&mut lock.try_acquire(Mode::Exclusive).unwrap());
    /// ```
    #[track_caller]
    fn downgrade(&mut self, to: Mode);

    /// Detaches the guard into a [`Handle`], which releases nothing when it is dropped. The lock, or
    /// each lock of the set, stays held until the handle is released.
    ///
    /// # Panics
    ///
    /// Panics if `usize::MAX` locks and sets have had handles before this lock or set.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Handle, LockGuard, Mode, MultiLock};
    ///
    /// fn detach<G: LockGuard>(guard: G) -> Handle<G::Record> {
    ///     guard.into_handle()
    /// }
    /// let lock = MultiLock::new();
    /// let handle = detach(lock.try_acquire(Mode::Shared).unwrap());
    /// lock.release(handle).unwrap();
    /// ```
    #[track_caller]
    fn into_handle(self) -> Handle<Self::Record>;
}

impl sealed::Locks for MultiLock {
    type Record = ();

    fn count(&self) -> usize {
        1
    }

    fn nth(&self, _: usize) -> &MultiLock {
        self
    }
}

/// Implements [`LockGuard`] with the inherent methods of the guard, which have the same names.
macro_rules! lock_guard {
    ([$($generics:tt)*] $Guard:ty, $Record:ty) => {
        impl<$($generics)*> LockGuard for $Guard {
            type Record = $Record;

            fn mode(&self) -> Mode {
                self.mode()
            }

            #[track_caller]
            fn downgrade(&mut self, to: Mode) {
                self.downgrade(to);
            }

            #[track_caller]
            fn into_handle(self) -> Handle<$Record> {
                self.into_handle()
            }
        }
    };
}
#[cfg(feature = "alloc")]
pub(crate) use lock_guard;

lock_guard!([] Guard<'_>, ());

/// Implements [`Lockable`] with the methods of `$target`, which have the same names.
macro_rules! lockable {
    ([$($generics:tt)*] $Type:ty, $Guard:ty, $Record:ty, |$this:ident| $target:expr) => {
        impl<$($generics)*> Lockable for $Type {
            type Record = $Record;
            type Guard<'a> = $Guard where Self: 'a;

            fn locked(&self) -> Option<Mode> {
                let $this = self;
                $target.locked()
            }

            #[track_caller]
            fn try_acquire(&self, mode: Mode) -> Option<Self::Guard<'_>> {
                let $this = self;
                $target.try_acquire(mode)
            }

            #[track_caller]
            fn acquire(&self, mode: Mode) -> impl FusedFuture<Output = Self::Guard<'_>> + Send + Sync {
                let $this = self;
                $target.acquire(mode)
            }

            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            #[track_caller]
            fn acquire_blocking(&self, mode: Mode) -> Self::Guard<'_> {
                let $this = self;
                $target.acquire_blocking(mode)
            }

            fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync {
                let $this = self;
                $target.wait(mode)
            }

            fn monitor(&self, mode: Mode) -> Monitor<'_> {
                let $this = self;
                $target.monitor(mode)
            }

            fn release(&self, handle: Handle<$Record>) -> Result<(), ReleaseError<$Record>> {
                let $this = self;
                $target.release(handle)
            }

            fn adopt(
                &self,
                handle: Handle<$Record>,
            ) -> Result<Self::Guard<'_>, ReleaseError<$Record>> {
                let $this = self;
                $target.adopt(handle)
            }
        }
    };
}
#[cfg(feature = "alloc")]
pub(crate) use lockable;

/// Implements [`Lockable`] for a pointer to a lockable type.
macro_rules! lockable_pointer {
    ($Pointer:ty) => {
        impl<L: Lockable> sealed::Locks for $Pointer {
            type Record = <L as sealed::Locks>::Record;

            fn count(&self) -> usize {
                (**self).count()
            }

            fn nth(&self, n: usize) -> &MultiLock {
                (**self).nth(n)
            }

            #[inline]
            fn tell(&self, n: usize, record: &mut Self::Record, event: Event) {
                (**self).tell(n, record, event);
            }
        }

        lockable!([L: Lockable] $Pointer, L::Guard<'a>, <L as Lockable>::Record, |pointer| (**pointer));
    };
}

lockable!([] MultiLock, Guard<'a>, (), |lock| lock);
lockable_pointer!(&L);
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
lockable_pointer!(alloc::sync::Arc<L>);
