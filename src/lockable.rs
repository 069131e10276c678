//! What a lock and a set of locks have in common.

#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;

use futures_core::FusedFuture;

use crate::error::ReleaseError;
use crate::guard::Guard;
use crate::handle::Handle;
use crate::mode::Mode;
use crate::multilock::MultiLock;
use crate::notify::Notify;

pub(crate) mod sealed {
    use crate::multilock::MultiLock;

    /// The locks that something lockable consists of. They stay where they are, and the same, as long
    /// as it is not moved; and also if it is, unless it is a lock itself.
    pub trait Locks {
        #[doc(hidden)]
        fn count(&self) -> usize;

        /// # Panics
        ///
        /// If `n` is not less than the count.
        #[doc(hidden)]
        fn nth(&self, n: usize) -> &MultiLock;
    }
}

/// Whatever can be acquired in a [`Mode`]: a [`MultiLock`], a [`LockSet`](crate::LockSet), a reference
/// to one, or an [`Arc`] of one.
///
/// It is for code that does not care which of them it is given. The methods are those of `MultiLock`,
/// which says more about each. The trait is implemented here and nowhere else.
///
/// A generic `async fn` whose future is to be sent to another thread is better written as a function that
/// returns `impl Future + Send` from an `async` block: for a borrowed lock the compiler cannot tell of
/// the `async fn` that its future is `Send`.
///
/// # Examples
///
/// ```
/// use multilock::{LockGuard, LockSet, Lockable, Mode, MultiLock};
/// use std::sync::Arc;
///
/// /// Runs `f` when nobody else is there.
/// async fn alone<L: Lockable, R>(lock: &L, f: impl FnOnce() -> R) -> R {
///     let guard = lock.acquire(Mode::Exclusive).await;
///     assert_eq!(guard.mode(), Mode::Exclusive);
///     f()
/// }
///
/// # smol::block_on(async {
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
pub trait Lockable: sealed::Locks + Send + Sync {
    /// What an acquisition is, until it is dropped.
    type Guard<'a>: LockGuard
    where
        Self: 'a;

    /// The strongest mode that it is held in. See [`MultiLock::locked`].
    #[must_use]
    fn locked(&self) -> Option<Mode>;

    /// Acquires if that is possible now. See [`MultiLock::try_acquire`].
    #[must_use = "the lock is released as soon as the guard is dropped"]
    fn try_acquire(&self, mode: Mode) -> Option<Self::Guard<'_>>;

    /// Acquires as soon as that is possible. See [`MultiLock::acquire`].
    fn acquire(&self, mode: Mode) -> impl FusedFuture<Output = Self::Guard<'_>> + Send + Sync;

    /// Acquires, and blocks the thread until it can. See [`MultiLock::acquire_blocking`].
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    #[must_use = "the lock is released as soon as the guard is dropped"]
    fn acquire_blocking(&self, mode: Mode) -> Self::Guard<'_>;

    /// Waits until `mode` can be acquired. See [`MultiLock::wait`].
    fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync;

    /// A monitor of when `mode` can be acquired. See [`MultiLock::notify`].
    fn notify(&self, mode: Mode) -> Notify<'_>;

    /// Ends the hold that `handle` stands for. See [`MultiLock::release`].
    ///
    /// # Errors
    ///
    /// If it is a hold of something else, the handle comes back and no lock changes.
    fn release(&self, handle: Handle) -> Result<(), ReleaseError>;

    /// A guard for the hold that `handle` stands for. See [`MultiLock::adopt`].
    ///
    /// # Errors
    ///
    /// As [`release`](Self::release).
    fn adopt(&self, handle: Handle) -> Result<Self::Guard<'_>, ReleaseError>;
}

/// The guards of everything [`Lockable`]. The methods are those of [`Guard`], which says more about
/// each.
pub trait LockGuard: Sized + Send + Sync {
    /// The mode that the lock is held in.
    #[must_use]
    fn mode(&self) -> Mode;

    /// Changes the hold to a weaker mode, or to the same.
    ///
    /// # Panics
    ///
    /// If `to` is stronger than the mode of the guard.
    #[track_caller]
    fn downgrade(&mut self, to: Mode);

    /// Detaches the hold from the guard.
    ///
    /// # Panics
    ///
    /// If `usize::MAX` locks and sets have had handles before this one.
    #[track_caller]
    fn into_handle(self) -> Handle;
}

impl sealed::Locks for MultiLock {
    fn count(&self) -> usize {
        1
    }

    fn nth(&self, _: usize) -> &MultiLock {
        self
    }
}

/// Implements [`LockGuard`] by the methods of the same names that the guard has.
macro_rules! lock_guard {
    ([$($generics:tt)*] $Guard:ty) => {
        impl<$($generics)*> LockGuard for $Guard {
            fn mode(&self) -> Mode {
                self.mode()
            }

            #[track_caller]
            fn downgrade(&mut self, to: Mode) {
                self.downgrade(to);
            }

            #[track_caller]
            fn into_handle(self) -> Handle {
                self.into_handle()
            }
        }
    };
}
pub(crate) use lock_guard;

lock_guard!([] Guard<'_>);

/// Implements [`Lockable`] by the methods of the same names that `$target` has.
macro_rules! lockable {
    ([$($generics:tt)*] $Type:ty, $Guard:ty, |$this:ident| $target:expr) => {
        impl<$($generics)*> Lockable for $Type {
            type Guard<'a> = $Guard where Self: 'a;

            fn locked(&self) -> Option<Mode> {
                let $this = self;
                $target.locked()
            }

            fn try_acquire(&self, mode: Mode) -> Option<Self::Guard<'_>> {
                let $this = self;
                $target.try_acquire(mode)
            }

            fn acquire(&self, mode: Mode) -> impl FusedFuture<Output = Self::Guard<'_>> + Send + Sync {
                let $this = self;
                $target.acquire(mode)
            }

            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            fn acquire_blocking(&self, mode: Mode) -> Self::Guard<'_> {
                let $this = self;
                $target.acquire_blocking(mode)
            }

            fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync {
                let $this = self;
                $target.wait(mode)
            }

            fn notify(&self, mode: Mode) -> Notify<'_> {
                let $this = self;
                $target.notify(mode)
            }

            fn release(&self, handle: Handle) -> Result<(), ReleaseError> {
                let $this = self;
                $target.release(handle)
            }

            fn adopt(&self, handle: Handle) -> Result<Self::Guard<'_>, ReleaseError> {
                let $this = self;
                $target.adopt(handle)
            }
        }
    };
}
pub(crate) use lockable;

/// Implements it for a pointer to something lockable.
macro_rules! lockable_pointer {
    ($Pointer:ty) => {
        impl<L: Lockable> sealed::Locks for $Pointer {
            fn count(&self) -> usize {
                (**self).count()
            }

            fn nth(&self, n: usize) -> &MultiLock {
                (**self).nth(n)
            }
        }

        lockable!([L: Lockable] $Pointer, L::Guard<'a>, |pointer| (**pointer));
    };
}

lockable!([] MultiLock, Guard<'a>, |lock| lock);
lockable_pointer!(&L);
#[cfg(target_has_atomic = "ptr")]
lockable_pointer!(Arc<L>);
