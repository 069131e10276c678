//! Several locks, each in a mode of its own, without a set.

#[cfg(feature = "alloc")]
use alloc::{boxed::Box, vec::Vec};
use core::fmt;
use core::panic::Location;
use core::ptr;

use futures_core::FusedFuture;

use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::set::address_order::{AsGiven, in_address_order};
use crate::set::all_or_nothing::{self, Acquiring, AddressOrdered, AllHeld};
use crate::set::lockable::Lockable;
use crate::set::lockable::sealed::Locks;
use crate::set::told::{Event, Record};
use crate::sync::future::Fused;

/// Locks, and the mode that is wanted of each, for [`acquire_all`]: an array, a slice, a vector or
/// a boxed slice of pairs, or a reference to one.
///
/// The first item of a pair is anything [`Lockable`]. Only this crate implements the trait.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use multilock::{Mode, MultiLock, Wanted, acquire_all};
///
/// /// Runs `f` while no other task or thread holds one of the locks in a mode that excludes it.
/// async fn with_all<R>(wanted: impl Wanted, f: impl FnOnce() -> R) -> R {
///     let _guard = acquire_all(wanted).await;
///     f()
/// }
///
/// let (a, b) = (MultiLock::new(), MultiLock::new());
/// assert_eq!(with_all([(&a, Mode::Shared), (&b, Mode::Exclusive)], || 1).await, 1);
/// # });
/// ```
pub trait Wanted: Sealed + Send + Sync {}

impl<W: Sealed + Send + Sync + ?Sized> Wanted for W {}

/// [`AddressOrdered`] by the name that the documentation shows.
pub trait Sealed: AddressOrdered {}

impl<W: AddressOrdered + ?Sized> Sealed for W {}

impl<L: Lockable> AsGiven for [(L, Mode)] {
    fn for_each_given<'a>(&'a self, mut f: impl FnMut(&'a MultiLock, Mode)) {
        for (locks, mode) in self {
            (0..locks.count()).for_each(|n| f(locks.nth(n), *mode));
        }
    }
}

impl<L: Lockable> AddressOrdered for [(L, Mode)] {
    fn in_address_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
        in_address_order(self)
    }

    type Records = <<L as Locks>::Record as Record>::All;

    /// The observer of a lock that is given twice is told of one acquisition, in the stronger mode.
    #[inline]
    fn records(&self, site: &'static Location<'static>) -> Self::Records {
        Record::all(given(self).map(|(locks, n, mode)| {
            let lock = locks.nth(n);
            let same = given(self).filter(|(locks, n, _)| ptr::eq(locks.nth(*n), lock));
            let strongest = same.max_by_key(|given| given.2);
            // The last of several that are equally strong.
            if strongest.is_some_and(|(other, m, _)| ptr::eq(other, locks) && m == n) {
                <<L as Locks>::Record as Record>::new(mode, site)
            } else {
                <<L as Locks>::Record as Record>::silent()
            }
        }))
    }

    #[inline]
    fn tell(&self, records: &mut Self::Records, event: Event) {
        let mut given = given(self);
        <<L as Locks>::Record as Record>::for_each(records, |record| {
            if let Some((locks, n, _)) = given.next() {
                locks.tell(n, record, event);
            }
        });
    }
}

/// Yields each lock that is given, by the value that has it and its number there.
fn given<L: Lockable>(all: &[(L, Mode)]) -> impl Iterator<Item = (&L, usize, Mode)> {
    all.iter().flat_map(|(locks, mode)| (0..locks.count()).map(move |n| (locks, n, *mode)))
}

macro_rules! pairs {
    ($([$($generics:tt)*] $Type:ty)*) => {$(
        impl<L: Lockable, $($generics)*> AddressOrdered for $Type {
            fn in_address_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
                self[..].in_address_order()
            }

            type Records = <[(L, Mode)] as AddressOrdered>::Records;

            #[inline]
            fn records(&self, site: &'static Location<'static>) -> Self::Records {
                self[..].records(site)
            }

            #[inline]
            fn tell(&self, records: &mut Self::Records, event: Event) {
                self[..].tell(records, event);
            }
        }
    )*};
}
pairs! { [const N: usize] [(L, Mode); N] }
#[cfg(feature = "alloc")]
pairs! { [] Vec<(L, Mode)>  [] Box<[(L, Mode)]> }

/// Acquires several locks, each in a mode of its own, waiting asynchronously until they are
/// available together: all or nothing.
///
/// Use this function for locks that are acquired together only once, or in different modes.
/// Otherwise use a [`LockSet`](crate::LockSet).
///
#[doc = text!(set_waits)]
///
/// A lock that is given twice is acquired once, in the stronger of the
/// modes. Without locks, the future is ready at its first poll. See
/// [`guide::several_locks`](crate::guide::several_locks).
///
/// The future allocates no memory of its own. To put `n` locks in order takes time in proportion to
/// `n`<sup>2</sup>, so use this function for a handful of locks.
///
/// # Cancel safety
///
#[doc = text!(set_cancel_safety)]
///
/// # Deadlocks
///
#[doc = text!(set_deadlocks)]
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use multilock::{Mode, MultiLock, acquire_all};
///
/// let (from, to) = (MultiLock::new(), MultiLock::new());
/// let both = acquire_all([(&from, Mode::Shared), (&to, Mode::Exclusive)]).await;
/// assert_eq!(from.locked(), Some(Mode::Shared));
/// assert_eq!(to.locked(), Some(Mode::Exclusive));
/// drop(both);
/// # });
/// ```
#[track_caller]
pub fn acquire_all<W: Wanted>(
    wanted: W,
) -> impl FusedFuture<Output = AllGuard<W, W::Records>> + Send + Sync {
    let acquiring = Acquiring::new(wanted, Location::caller());
    Fused::<_, W>::new(async move { AllGuard(all_or_nothing::acquire(acquiring).await) })
}

/// Acquires several locks, each in a mode of its own, if that is possible now, and otherwise none.
/// Never waits.
///
/// Returns `None` if a lock cannot be acquired in its mode: [`MultiLock::try_acquire`] lists the
/// reasons. A lock that is given twice is acquired once, in the stronger of the modes. To wait for
/// the locks, use [`acquire_all`].
///
/// # Examples
///
/// ```
/// use multilock::{Mode, MultiLock, try_acquire_all};
///
/// let locks = [MultiLock::new(), MultiLock::new()];
/// // Given twice: the stronger mode counts.
/// let wanted = [(&locks[0], Mode::Exclusive), (&locks[1], Mode::Shared), (&locks[0], Mode::Shared)];
/// let guard = try_acquire_all(&wanted).unwrap();
/// assert_eq!(guard.mode_of(&locks[0]), Some(Mode::Exclusive));
/// assert!(try_acquire_all(&wanted[1..]).is_none());
/// ```
#[must_use = "the locks are released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
#[track_caller]
pub fn try_acquire_all<W: Wanted>(wanted: W) -> Option<AllGuard<W, W::Records>> {
    all_or_nothing::try_acquire(Acquiring::new(wanted, Location::caller())).map(AllGuard)
}

/// A guard that holds all locks passed to [`acquire_all`], and releases them when dropped.
///
/// The guard has one mode for each lock, and keeps it: it can be neither downgraded nor upgraded.
///
/// # Examples
///
/// ```
/// use multilock::{Mode, MultiLock, try_acquire_all};
///
/// let (a, b) = (MultiLock::new(), MultiLock::new());
/// let guard = try_acquire_all([(&a, Mode::Shared), (&b, Mode::Exclusive)]);
/// assert_eq!((a.locked(), b.locked()), (Some(Mode::Shared), Some(Mode::Exclusive)));
/// drop(guard);
/// assert_eq!((a.locked(), b.locked()), (None, None));
/// ```
#[must_use = "the locks are released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
#[clippy::has_significant_drop]
pub struct AllGuard<W: Wanted<Records = R>, R = ()>(pub(super) AllHeld<W, R>);

impl<W: Wanted<Records = R>, R> AllGuard<W, R> {
    /// Returns an iterator over the held locks, each once, with the mode that it is held in.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock, try_acquire_all};
    ///
    /// let (a, b) = (MultiLock::new(), MultiLock::new());
    /// let guard = try_acquire_all([(&a, Mode::Shared), (&b, Mode::Exclusive)]).unwrap();
    /// assert!(guard.holds().all(|(lock, mode)| lock.locked() == Some(mode)));
    /// ```
    pub fn holds(&self) -> impl Iterator<Item = (&MultiLock, Mode)> {
        self.0.0.wanted.in_address_order()
    }

    /// Returns the mode that `lock` is held in, or `None` if this guard does not hold `lock`.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock, try_acquire_all};
    ///
    /// let (a, b) = (MultiLock::new(), MultiLock::new());
    /// let guard = try_acquire_all([(&a, Mode::Shared)]).unwrap();
    /// assert_eq!(guard.mode_of(&a), Some(Mode::Shared));
    /// assert_eq!(guard.mode_of(&b), None);
    /// ```
    #[must_use]
    pub fn mode_of(&self, lock: &MultiLock) -> Option<Mode> {
        self.holds().find(|held| ptr::eq(held.0, lock)).map(|held| held.1)
    }
}

impl<W: Wanted<Records = R>, R> fmt::Debug for AllGuard<W, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AllGuard").field(&ListOf(|| self.holds().map(|held| held.1))).finish()
    }
}

/// Formats the items of an iterator as a list.
struct ListOf<F>(F);

impl<I: Iterator<Item: fmt::Debug>, F: Fn() -> I> fmt::Debug for ListOf<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0()).finish()
    }
}
