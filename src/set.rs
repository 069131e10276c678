//! Several locks as one: [`LockSet`] in one mode, [`acquire_all`] in a mode for each.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::mem;
#[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
use std::time::{Duration, Instant};

use futures_core::FusedFuture;

#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::block::block_on;
use crate::error::ReleaseError;
use crate::fused::Fused;
use crate::handle::{Handle, LockId};
use crate::lockable::{LockGuard, Lockable, lock_guard, lockable, sealed};
use crate::many::{self, AllHeld, InOrder, address};
use crate::mode::Mode;
use crate::multilock::{MultiLock, first};
use crate::notify::Notify;

/// Several locks that are acquired as one, in one [`Mode`]: all or nothing.
///
/// It is collected from anything [`Lockable`]: locks, references to locks, `Arc`s of locks, and other
/// sets. A lock that is in it twice counts once, also if it comes from another set. In which order
/// locks are named makes no difference. A set of no locks can always be acquired.
///
/// For different modes in one acquisition there is [`acquire_all`].
///
/// # Fairness
///
/// A set holds nothing while it waits. It waits in the queue of the first member that is in the way, as any waiter of
/// that member does: [overtaking is bounded](MultiLock#fairness) there. When it is woken it takes all members, or none.
/// If another member is in the way then, the set is *turned away*: it passes the wake-up on, and waits for that
/// member, in exclusive mode in front of waiters that were not overtaken. A set that was turned away six times reserves
/// the members that come before the one that it waits for, in the order of [`locks`](Self::locks): waiters of those stand
/// back for at most a millisecond, or 1,024 polls where there is no clock, each time that the set is woken and turned
/// away. So it comes to all members while they are free, if the holders of each leave within that time, and no try barges. Where
/// acquisitions of members last longer, and others follow at once, nothing bounds how long a set waits: keep them short,
/// or take the set for them, too. Sets reserve in one order, so no two sets wait for each other's reservations.
///
/// # Cancel safety
///
/// All futures of this type can be dropped at any point. No member is held then, and all are as if the
/// set had never been there. See also [`MultiLock`](MultiLock#cancel-safety).
///
/// # Deadlocks
///
/// A task that holds one member, and waits for the set, may wait for itself.
///
/// Two sets never wait for each other. A task that holds one member and waits for another that a set has reserved is
/// delayed for the moment of the reservation, and not for ever. While a set waits for a member in exclusive mode,
/// newcomers do not join the shared holders of that member, as with any exclusive waiter.
///
/// # Examples
///
/// ```
/// use multilock::{LockSet, Mode, MultiLock};
///
/// # smol::block_on(async {
/// let (a, b, c) = (MultiLock::new(), MultiLock::new(), MultiLock::new());
/// let ab: LockSet<&MultiLock> = [&a, &b].into_iter().collect();
///
/// let guard = ab.acquire(Mode::Exclusive).await;
/// assert!(a.try_acquire(Mode::Shared).is_none());
/// assert!(c.try_acquire(Mode::Shared).is_some());
/// drop(guard);
///
/// // A set of sets.
/// let bc: LockSet<&MultiLock> = [&b, &c].into_iter().collect();
/// let abc: LockSet<_> = [&ab, &bc].into_iter().collect();
/// assert_eq!(abc.len(), 3);
/// assert!(abc.try_acquire(Mode::Shared).is_some());
/// # });
/// ```
pub struct LockSet<L> {
    members: Box<[L]>,
    /// Where to find each lock, in the order of their addresses: its member, and which of the locks of
    /// that it is. A lock does not move as long as the members stay in their box.
    order: Box<[(usize, usize)]>,
    id: LockId,
}

impl<L: Lockable> FromIterator<L> for LockSet<L> {
    fn from_iter<I: IntoIterator<Item = L>>(members: I) -> Self {
        let members: Box<[L]> = members.into_iter().collect();
        let address = |&(member, n): &(usize, usize)| address(members[member].nth(n));
        let locks = |(n, member): (usize, &L)| (0..member.count()).map(move |lock| (n, lock));
        let mut order: Vec<_> = members.iter().enumerate().flat_map(locks).collect();
        order.sort_by_key(address);
        order.dedup_by_key(|at| address(at));
        let order = order.into_boxed_slice();
        Self { members, order, id: LockId::new() }
    }
}

impl<L: Lockable> LockSet<L> {
    /// How many locks are in the set, each counted once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is no lock in the set. Then it can always be acquired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The locks, each once, in the order in which they are acquired.
    #[must_use = "iterators are lazy and do nothing unless consumed"]
    pub fn locks(&self) -> impl DoubleEndedIterator<Item = &MultiLock> + ExactSizeIterator {
        (0..self.len()).map(|n| sealed::Locks::nth(self, n))
    }

    /// The strongest mode that a member is held in, or `None` if nobody holds any.
    #[must_use]
    pub fn locked(&self) -> Option<Mode> {
        self.locks().filter_map(MultiLock::locked).max()
    }

    /// Acquires all members if that is possible now, and else none. Never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    ///
    /// let one = locks[1].try_acquire(Mode::Shared).unwrap();
    /// assert!(set.try_acquire(Mode::Exclusive).is_none());
    /// assert_eq!(locks[0].locked(), None);
    /// drop(one);
    /// assert!(set.try_acquire(Mode::Exclusive).is_some());
    /// ```
    #[must_use = "the locks are released as soon as the guard is dropped"]
    pub fn try_acquire(&self, mode: Mode) -> Option<SetGuard<'_, L>> {
        many::try_acquire(Uniform { set: self, mode }).map(SetGuard)
    }

    /// Acquires all members in `mode`, waiting asynchronously until they are available together.
    ///
    /// Who waits for whom is said at [`LockSet`](Self#fairness).
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point. No member is held then, and its place is lost. A wake-up
    /// that it had got goes to the next.
    ///
    /// # Deadlocks
    ///
    /// If the task has a hold of a member already.
    pub fn acquire(&self, mode: Mode) -> impl FusedFuture<Output = SetGuard<'_, L>> + Send + Sync {
        Fused::<_, &Self>::new(
            async move { SetGuard(many::acquire(Uniform { set: self, mode }).await) },
        )
    }

    /// Acquires all members, and blocks the thread until it can.
    ///
    /// # Deadlocks
    ///
    /// As [`acquire`](Self::acquire), and as [`MultiLock::acquire_blocking`].
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub fn acquire_blocking(&self, mode: Mode) -> SetGuard<'_, L> {
        block_on(self.acquire(mode), None).expect("there is no deadline")
    }

    /// Acquires all members, and blocks the thread until it can, but no longer than `timeout`.
    ///
    /// `None` if the time is over. See [`MultiLock::acquire_timeout`].
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    #[must_use = "the locks are released as soon as the guard is dropped"]
    pub fn acquire_timeout(&self, mode: Mode, timeout: Duration) -> Option<SetGuard<'_, L>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.acquire_deadline(mode, deadline),
            None => Some(self.acquire_blocking(mode)),
        }
    }

    /// Acquires all members, and blocks the thread until it can, but no longer than until `deadline`.
    ///
    /// `None` if the time is over. If `deadline` has passed, that is one try.
    #[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
    #[must_use = "the locks are released as soon as the guard is dropped"]
    pub fn acquire_deadline(&self, mode: Mode, deadline: Instant) -> Option<SetGuard<'_, L>> {
        let in_time = Instant::now() < deadline;
        let acquired = in_time.then(|| block_on(self.acquire(mode), Some(deadline))).flatten();
        acquired.or_else(|| self.try_acquire(mode))
    }

    /// Acquires all members, unless `cancel` is ready before. See [`MultiLock::acquire_or`].
    ///
    /// # Errors
    ///
    /// What `cancel` returned. No member is held then.
    pub async fn acquire_or<C: Future>(
        &self,
        mode: Mode,
        cancel: C,
    ) -> Result<SetGuard<'_, L>, C::Output> {
        match first(self.acquire(mode), cancel).await {
            Err(output) => self.try_acquire(mode).ok_or(output),
            acquired => acquired,
        }
    }

    /// Waits until all members can be acquired in `mode`. Acquires nothing.
    ///
    /// It sleeps at one member that cannot, and then looks at all again. As the members are looked at
    /// one after the other, it is a hint, even more than it is at [one lock](MultiLock::wait).
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point, and nobody notices.
    pub fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync {
        Fused::<_, &Self>::new(many::wait(Uniform { set: self, mode }))
    }

    /// A monitor of when all members can be acquired in `mode`.
    ///
    /// See [`Notify`]. A monitor of a set looks at its members when it is looked at, or polled: if they
    /// could all be acquired for a moment and nobody looked, that edge is missed. What it has seen
    /// stays until it is cleared. Where a member cannot be acquired, it listens there alone.
    ///
    /// It allocates when it is made, and where it waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let guards = locks.each_ref().map(|lock| lock.try_acquire(Mode::Exclusive));
    ///
    /// let monitor = set.notify(Mode::Shared);
    /// let [first, second] = guards;
    /// drop(first);
    /// assert!(!monitor.is_set());
    /// drop(second);
    /// assert!(monitor.is_set());
    /// ```
    pub fn notify(&self, mode: Mode) -> Notify<'_> {
        Notify::all(self.locks(), mode)
    }

    /// Ends the hold of all members that `handle` stands for.
    ///
    /// # Errors
    ///
    /// If it is not a hold of this set, or of one that it is a clone of or that is a clone of it, the
    /// handle comes back and no lock changes. Another set of the same locks is another set.
    pub fn release(&self, handle: Handle) -> Result<(), ReleaseError> {
        self.adopt(handle).map(drop)
    }

    /// A guard for the hold that `handle` stands for.
    ///
    /// # Errors
    ///
    /// As [`release`](Self::release).
    pub fn adopt(&self, handle: Handle) -> Result<SetGuard<'_, L>, ReleaseError> {
        if handle.is_of(&self.id) {
            Ok(SetGuard(AllHeld(Uniform { set: self, mode: handle.mode() })))
        } else {
            Err(ReleaseError::new(handle))
        }
    }
}

/// A set with the same locks, for which the handles of this one are good, too.
impl<L: Lockable + Clone> Clone for LockSet<L> {
    fn clone(&self) -> Self {
        Self { members: self.members.clone(), order: self.order.clone(), id: self.id.same() }
    }
}

/// A set of no locks.
impl<L: Lockable> Default for LockSet<L> {
    fn default() -> Self {
        Self::from_iter([])
    }
}

impl<L: Lockable> fmt::Debug for LockSet<L> {
    /// Shows the snapshots of the members, and touches nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.locks()).finish()
    }
}

impl<L: Lockable> sealed::Locks for LockSet<L> {
    fn count(&self) -> usize {
        self.order.len()
    }

    fn nth(&self, n: usize) -> &MultiLock {
        let (member, n) = self.order[n];
        self.members[member].nth(n)
    }
}

lockable!([L: Lockable] LockSet<L>, SetGuard<'a, L>, |set| set);

/// A set, and the mode that is wanted of all of it.
struct Uniform<'a, L> {
    set: &'a LockSet<L>,
    mode: Mode,
}

impl<L: Lockable> InOrder for Uniform<'_, L> {
    fn in_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
        self.set.locks().map(|lock| (lock, self.mode))
    }
}

/// A hold of all locks of a [`LockSet`], until it is dropped.
///
/// It cannot be upgraded: that would be waiting for one member with a hold of the others.
#[must_use = "the locks are released as soon as the guard is dropped"]
#[clippy::has_significant_drop]
pub struct SetGuard<'a, L: Lockable>(AllHeld<Uniform<'a, L>>);

impl<'a, L: Lockable> SetGuard<'a, L> {
    /// The mode that all members are held in.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.0.0.mode
    }

    /// The set that is held.
    #[must_use]
    pub fn set(&self) -> &'a LockSet<L> {
        self.0.0.set
    }

    /// Changes the hold of each member to a weaker mode, or to the same. Never waits. See
    /// [`Guard::downgrade`](crate::Guard::downgrade).
    ///
    /// # Panics
    ///
    /// If `to` is stronger than the mode of the guard.
    #[track_caller]
    pub fn downgrade(&mut self, to: Mode) {
        let Uniform { set, mode } = &mut self.0.0;
        assert!(mode.includes(to), "cannot downgrade from {mode:?} to {to:?}");
        if to != *mode {
            let from = mem::replace(mode, to);
            many::for_each(set.locks(), |lock| lock.raw.downgrade(from, to));
        }
    }

    /// Detaches the hold from the guard. All members stay held, until the handle is given to
    /// [`LockSet::release`], or to [`LockSet::adopt`] for a guard again.
    ///
    /// The members do not know of it: keep the set, or a clone of it.
    ///
    /// # Panics
    ///
    /// If `usize::MAX` locks and sets have had handles before this one.
    #[track_caller]
    pub fn into_handle(self) -> Handle {
        let handle = Handle::new(self.set().id.get(), self.mode());
        mem::forget(self);
        handle
    }
}

lock_guard!([L: Lockable] SetGuard<'_, L>);

impl<L: Lockable> fmt::Debug for SetGuard<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetGuard").field("mode", &self.mode()).finish_non_exhaustive()
    }
}

/// Locks, and the mode that is wanted of each: an array, a slice, a vector or a box of pairs, or a
/// reference to one. For [`acquire_all`].
///
/// In a pair is anything [`Lockable`]. The trait is implemented here and nowhere else.
pub trait Wanted: InOrder {}

impl<W: InOrder + ?Sized> Wanted for W {}

impl<L: Lockable> InOrder for [(L, Mode)] {
    fn in_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
        Select { pairs: self, above: 0, below: usize::MAX }
    }
}

macro_rules! pairs {
    ($([$($generics:tt)*] $Type:ty)*) => {$(
        impl<L: Lockable, $($generics)*> InOrder for $Type {
            fn in_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
                self[..].in_order()
            }
        }
    )*};
}
pairs! { [const N: usize] [(L, Mode); N]  [] Vec<(L, Mode)>  [] Box<[(L, Mode)]> }

/// The locks of some pairs in the order of their addresses, by selection: for a few locks that is
/// quick, and it needs neither memory nor pairs that can be changed.
struct Select<'a, L> {
    pairs: &'a [(L, Mode)],
    /// What is left has addresses above and below these.
    above: usize,
    below: usize,
}

impl<'a, L: Lockable> Select<'a, L> {
    /// The lock whose address gives the smallest `key`, and the strongest mode that is wanted of it.
    fn first_by<K: Ord>(&self, key: impl Fn(usize) -> K) -> Option<(&'a MultiLock, Mode)> {
        let mut first: Option<((K, Reverse<Mode>), &'a MultiLock)> = None;
        for (locks, mode) in self.pairs {
            for lock in (0..locks.count()).map(|n| locks.nth(n)) {
                let address = address(lock);
                if self.above < address && address < self.below {
                    let key = (key(address), Reverse(*mode));
                    if first.as_ref().is_none_or(|first| key < first.0) {
                        first = Some((key, lock));
                    }
                }
            }
        }
        first.map(|((_, Reverse(mode)), lock)| (lock, mode))
    }
}

impl<'a, L: Lockable> Iterator for Select<'a, L> {
    type Item = (&'a MultiLock, Mode);

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.first_by(|address| address)?;
        self.above = address(first.0);
        Some(first)
    }
}

impl<L: Lockable> DoubleEndedIterator for Select<'_, L> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let last = self.first_by(Reverse)?;
        self.below = address(last.0);
        Some(last)
    }
}

/// Acquires several locks, each in a mode of its own: all or nothing.
///
/// It is what a [`LockSet`] does, for locks that are taken together but once, and in different modes.
/// What is said there of fairness and of deadlocks is true here. A lock that is named twice is acquired
/// once, in the stronger of the modes. Without locks it is ready at once.
///
/// It needs no memory of its own. With `n` locks it takes a time of `n`<sup>2</sup> to put them in
/// order: it is for a handful.
///
/// # Cancel safety
///
/// The future may be dropped at any point. None of the locks is held then.
///
/// # Examples
///
/// ```
/// use multilock::{Mode, MultiLock, acquire_all};
///
/// # smol::block_on(async {
/// let (from, to) = (MultiLock::new(), MultiLock::new());
/// let both = acquire_all([(&from, Mode::Shared), (&to, Mode::Exclusive)]).await;
/// assert_eq!(from.locked(), Some(Mode::Shared));
/// assert_eq!(to.locked(), Some(Mode::Exclusive));
/// # drop(both);
/// # });
/// ```
pub fn acquire_all<W: Wanted>(wanted: W) -> impl FusedFuture<Output = AllGuard<W>> + Send + Sync {
    Fused::<_, W>::new(async move { AllGuard(many::acquire(wanted).await) })
}

/// Acquires several locks, each in a mode of its own, if that is possible now, and else none.
///
/// See [`acquire_all`].
///
/// # Examples
///
/// ```
/// use multilock::{Mode, MultiLock, try_acquire_all};
///
/// let locks = [MultiLock::new(), MultiLock::new()];
/// // Named twice: the stronger mode counts.
/// let wanted = [(&locks[0], Mode::Exclusive), (&locks[1], Mode::Shared), (&locks[0], Mode::Shared)];
/// let guard = try_acquire_all(&wanted).unwrap();
/// assert_eq!(guard.mode_of(&locks[0]), Some(Mode::Exclusive));
/// assert!(try_acquire_all(&wanted[1..]).is_none());
/// ```
#[must_use = "the locks are released as soon as the guard is dropped"]
pub fn try_acquire_all<W: Wanted>(wanted: W) -> Option<AllGuard<W>> {
    many::try_acquire(wanted).map(AllGuard)
}

/// Acquires several locks, each in a mode of its own, and blocks the thread until it can.
///
/// See [`acquire_all`], and for what blocks whom [`MultiLock::acquire_blocking`].
#[cfg(all(feature = "std", not(target_family = "wasm")))]
pub fn acquire_all_blocking<W: Wanted>(wanted: W) -> AllGuard<W> {
    block_on(acquire_all(wanted), None).expect("there is no deadline")
}

/// A hold of all locks that were given to [`acquire_all`], until it is dropped.
#[must_use = "the locks are released as soon as the guard is dropped"]
#[clippy::has_significant_drop]
pub struct AllGuard<W: Wanted>(AllHeld<W>);

impl<W: Wanted> AllGuard<W> {
    /// The locks that are held, each once, and in which mode.
    pub fn holds(&self) -> impl Iterator<Item = (&MultiLock, Mode)> {
        self.0.0.in_order()
    }

    /// The mode that `lock` is held in. `None` if it is none of the locks of this guard.
    #[must_use]
    pub fn mode_of(&self, lock: &MultiLock) -> Option<Mode> {
        self.holds().find(|held| core::ptr::eq(held.0, lock)).map(|held| held.1)
    }
}

impl<W: Wanted> fmt::Debug for AllGuard<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AllGuard").field(&ListOf(|| self.holds().map(|held| held.1))).finish()
    }
}

/// Shows what an iterator gives.
struct ListOf<F>(F);

impl<I: Iterator<Item: fmt::Debug>, F: Fn() -> I> fmt::Debug for ListOf<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0()).finish()
    }
}
