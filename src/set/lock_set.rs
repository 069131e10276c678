//! [`LockSet`]: several locks as one, in one mode for all.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::panic::Location;

use futures_core::FusedFuture;

use crate::error::ReleaseError;
use crate::lock::MultiLock;
use crate::lock::cancel::acquire_or;
use crate::lock::handle::{Handle, LockId};
use crate::lock::monitor::Monitor;
use crate::mode::Mode;
use crate::raw::state::Hold;
use crate::set::all_or_nothing::{self, Acquiring, AddressOrdered, AllHeld, address};
use crate::set::lockable::{LockGuard, Lockable, lock_guard, lockable, sealed};
use crate::set::told::{Event, Record};
use crate::sync::future::Fused;
use crate::sync::unwind::for_each;

/// Several locks that are acquired as one, in one [`Mode`]: all or nothing.
///
/// Collect a set from anything [`Lockable`]: locks, references to locks, `Arc`s of locks, and other
/// sets. A lock that occurs twice counts once, even if it comes from another set. The order in
/// which the locks are given makes no difference. A set of no locks can always be acquired.
///
/// Two sets are equal if they contain the same locks, whatever the types of their members. The
/// state of the locks makes no difference, so a set can be the key of a map, although Clippy's
/// `mutable_key_type` warns about that. Only a set and its clones accept each other's handles.
///
/// To acquire several locks in different modes, use [`acquire_all`](crate::acquire_all). See
/// [`guide::several_locks`](crate::guide::several_locks).
///
/// # Fairness
///
/// A set holds no member while it waits. It waits in the queue of the first member that is
/// unavailable, as any waiter of that member does: [overtaking is bounded](MultiLock#fairness)
/// there. When the set is woken, it acquires all members, or none. If another member is unavailable
/// then, the set is *turned away*: it passes the wake-up on, and waits for that other member. In
/// exclusive mode, it waits there in front of the waiters that were not overtaken.
///
/// A set that was turned away six times *reserves* the members that come before the one that it
/// waits for, in the order of [`locks`](Self::locks). Waiters of the reserved members defer to the
/// set for at most a millisecond, or 1,024 polls where there is no clock, each time that the set is
/// turned away. So the set comes to all members while they are free, if the holders of each member
/// leave within that time, and no `try_` method barges. Sets reserve in one order, so no two sets
/// wait for each other's reservations.
///
/// If acquisitions of members last longer, and others follow at once, nothing bounds how long a set
/// waits. Keep such acquisitions short, or acquire the set for them, too.
///
/// # Cancel safety
///
/// All futures of this type can be dropped at any point. They do nothing before they are polled. A
/// future that is dropped before it is ready holds no member, and all members are as if the set had
/// never been there. If the set had been woken, the drop wakes the next waiter in its stead. See
/// also [`MultiLock`](MultiLock#cancel-safety).
///
/// # Deadlocks
///
/// A task that holds one member, and waits for the set, may wait for itself.
///
/// Two sets that wait cannot deadlock with each other, since neither of them holds a member. A task
/// may hold one member and wait for another member that a set has reserved: the reservation delays
/// the task for a bounded moment, and not forever. While a set waits for a member in exclusive
/// mode, newcomers do not join the shared holders of that member, as with any exclusive waiter.
///
/// # Examples
///
/// ```
/// use multilock::{LockSet, Mode, MultiLock};
///
/// # futures_lite::future::block_on(async {
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
    /// The position of each lock, in the order of the addresses: the index of its member, and its
    /// index among the locks of that member. No lock moves while the members stay in their box.
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
    /// Returns the number of locks in the set, each counted once.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// assert_eq!(set.len(), 2);
    /// let twice: LockSet<_> = [&set, &set].into_iter().collect();
    /// assert_eq!(twice.len(), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Returns whether the set contains no locks. Such a set can always be acquired.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let set = LockSet::<MultiLock>::default();
    /// assert!(set.is_empty() && set.try_acquire(Mode::Exclusive).is_some());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns whether `lock` is one of the [locks](Self::locks) of the set.
    ///
    /// # Examples
    ///
    /// The locks of two sets, and those that the sets have in common:
    ///
    /// ```
    /// use multilock::{LockSet, MultiLock};
    ///
    /// let [a, b, c] = [const { MultiLock::new() }; 3];
    /// let ab: LockSet<&MultiLock> = [&a, &b].into_iter().collect();
    /// let bc: LockSet<&MultiLock> = [&b, &c].into_iter().collect();
    /// assert!(ab.contains(&a) && !bc.contains(&a));
    ///
    /// let union: LockSet<&MultiLock> = ab.locks().chain(bc.locks()).collect();
    /// assert_eq!(union, [&a, &b, &c].into_iter().collect::<LockSet<_>>());
    /// let common: LockSet<&MultiLock> = ab.locks().filter(|lock| bc.contains(lock)).collect();
    /// assert_eq!(common, [&b].into_iter().collect::<LockSet<_>>());
    /// ```
    #[must_use]
    pub fn contains(&self, lock: &MultiLock) -> bool {
        let address_at = |&(member, n): &(usize, usize)| address(self.members[member].nth(n));
        self.order.binary_search_by_key(&address(lock), address_at).is_ok()
    }

    /// Returns an iterator over the locks, each once, in the order in which the set acquires them.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// assert!(set.locks().all(|lock| lock.locked().is_none()));
    /// ```
    #[must_use = "iterators are lazy and do nothing unless consumed"]
    pub fn locks(&self) -> impl DoubleEndedIterator<Item = &MultiLock> + ExactSizeIterator {
        (0..self.len()).map(|n| sealed::Locks::nth(self, n))
    }

    /// Returns the strongest mode that a member is held in, or `None` if no member is held.
    ///
    /// The method looks at one member after the other. The result may be out of date by the time
    /// the caller looks at it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let member = locks[1].try_acquire(Mode::Shared);
    /// assert_eq!(set.locked(), Some(Mode::Shared));
    /// drop(member);
    /// ```
    #[must_use]
    pub fn locked(&self) -> Option<Mode> {
        self.locks().filter_map(MultiLock::locked).max()
    }

    /// Acquires all members in `mode` if that is possible now, and otherwise none. Never waits.
    ///
    /// Returns `None` if a member cannot be acquired in `mode`: [`MultiLock::try_acquire`] lists
    /// the reasons. A reservation does not make the method fail.
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
    #[must_use = "the locks are released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
    #[track_caller]
    pub fn try_acquire(&self, mode: Mode) -> Option<SetGuard<'_, L, RecordsOf<L>>> {
        let acquiring = Acquiring::new(Uniform::new(self, mode), Location::caller());
        all_or_nothing::try_acquire(acquiring).map(SetGuard)
    }

    /// Acquires all members in `mode`, waiting asynchronously until they are available together.
    ///
    #[doc = text!(set_waits)]
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
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let guard = set.acquire(Mode::Exclusive).await;
    /// assert!(set.locks().all(|lock| lock.locked() == Some(Mode::Exclusive)));
    /// drop(guard);
    /// # });
    /// ```
    #[track_caller]
    pub fn acquire(
        &self,
        mode: Mode,
    ) -> impl FusedFuture<Output = SetGuard<'_, L, RecordsOf<L>>> + Send + Sync {
        let records = Uniform::new(self, mode).records(Location::caller());
        Fused::<_, &Self>::new(async move {
            let acquiring = Acquiring::of_parts(Uniform::new(self, mode), records);
            SetGuard(all_or_nothing::acquire(acquiring).await)
        })
    }

    /// Acquires all members in `mode`, unless `cancel` is ready first.
    ///
    /// With a timer as `cancel`, this is an acquisition with a time limit, on any runtime:
    /// [`MultiLock::acquire_or`](MultiLock::acquire_or) shows the timers of some. A poll
    /// of the future polls `cancel` only if the acquisition still waits. If both are ready, the
    /// members are acquired: when `cancel` is ready, the future tries once more.
    ///
    #[doc = text!(set_waits)]
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point, and `cancel` is dropped with it. It then holds no
    /// member, and has lost its place in the queue. If it had been woken, its drop passes the
    /// wake-up on to the next waiter.
    ///
    /// # Deadlocks
    ///
    /// The wait lasts until `cancel` is ready if the task holds a member in a mode that excludes
    /// `mode`.
    ///
    /// # Errors
    ///
    /// Returns the output of `cancel` if the members were not acquired. The acquisition has then
    /// lost its place in the queue, and holds no member.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{LockSet, Mode, MultiLock};
    /// use std::future::ready;
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let member = locks[1].try_acquire(Mode::Shared);
    /// let late = set.acquire_or(Mode::Exclusive, ready("too late")).await;
    /// assert_eq!(late.unwrap_err(), "too late");
    /// drop(member);
    /// # });
    /// ```
    #[track_caller]
    pub fn acquire_or<C: Future>(
        &self,
        mode: Mode,
        cancel: C,
    ) -> impl FusedFuture<Output = Result<SetGuard<'_, L, RecordsOf<L>>, C::Output>> {
        let acquiring = Acquiring::new(Uniform::new(self, mode), Location::caller());
        let last_try = || all_or_nothing::try_acquire(acquiring).map(SetGuard);
        acquire_or(self.acquire(mode), cancel, last_try)
    }

    /// Waits until all members can be acquired in `mode`, without acquiring them.
    ///
    /// The future sleeps at one member that cannot be acquired, and then looks at all members
    /// again, one after the other. So its result is a hint, even more than that of
    /// [`MultiLock::wait`]: another task may have acquired a member since the future has looked at
    /// it. The future holds no member and has no place among the waiters, so no task waits because
    /// of it.
    ///
    /// # Cancel safety
    ///
    #[doc = text!(wait_cancel_safety)]
    ///
    /// # Deadlocks
    ///
    /// The wait does not end while the task itself holds a member in a mode that excludes `mode`.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let guard = loop {
    ///     set.wait(Mode::Exclusive).await;
    ///     if let Some(guard) = set.try_acquire(Mode::Exclusive) {
    ///         break guard;
    ///     }
    /// };
    /// assert_eq!(guard.mode(), Mode::Exclusive);
    /// # });
    /// ```
    pub fn wait(&self, mode: Mode) -> impl FusedFuture<Output = ()> + Send + Sync {
        Fused::<_, &Self>::new(async move {
            while let Some(lock) = self.locks().find(|lock| !lock.snapshot().admits(mode)) {
                lock.wait(mode).await;
            }
        })
    }

    /// Creates a monitor that reports when all members can be acquired in `mode`.
    ///
    /// The monitor of a set looks at the members only when it is read or polled: see [`Monitor`].
    /// If all members can be acquired for a moment, and the monitor is neither read nor polled
    /// meanwhile, it misses that moment. What the monitor has seen stays until it is cleared. While
    /// a member cannot be acquired, the monitor waits at that member alone.
    ///
    /// The monitor allocates when it is made, and when it waits.
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
    /// let monitor = set.monitor(Mode::Shared);
    /// let [first, second] = guards;
    /// drop(first);
    /// assert!(!monitor.is_set());
    /// drop(second);
    /// assert!(monitor.is_set());
    /// ```
    pub fn monitor(&self, mode: Mode) -> Monitor<'_> {
        Monitor::all(self.locks(), mode)
    }

    /// Releases the acquisition that `handle` stands for, and with it all members.
    ///
    /// # Errors
    ///
    #[doc = text!(set_adopt_errors)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let handle = set.try_acquire(Mode::Exclusive).unwrap().into_handle();
    ///
    /// // Another set of the same locks.
    /// let other: LockSet<&MultiLock> = locks.iter().collect();
    /// let handle = other.release(handle).unwrap_err().into_handle();
    /// assert_eq!(set.locked(), Some(Mode::Exclusive));
    ///
    /// set.clone().release(handle).unwrap();
    /// assert_eq!(set.locked(), None);
    /// ```
    pub fn release(&self, handle: Handle<RecordsOf<L>>) -> Result<(), ReleaseError<RecordsOf<L>>> {
        self.adopt(handle).map(drop)
    }

    /// Turns `handle` back into a guard of the acquisition that it stands for.
    ///
    /// # Errors
    ///
    #[doc = text!(set_adopt_errors)]
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let handle = set.try_acquire(Mode::Exclusive).unwrap().into_handle();
    /// let guard = set.adopt(handle).unwrap();
    /// drop(guard);
    /// assert_eq!(set.locked(), None);
    /// ```
    pub fn adopt(
        &self,
        handle: Handle<RecordsOf<L>>,
    ) -> Result<SetGuard<'_, L, RecordsOf<L>>, ReleaseError<RecordsOf<L>>> {
        if handle.is_of(&self.id) {
            let wanted = Uniform::new(self, handle.mode());
            Ok(SetGuard(AllHeld(Acquiring::of_parts(wanted, handle.into_record()))))
        } else {
            Err(ReleaseError::new(handle))
        }
    }
}

/// Creates a set with the same locks. The two sets accept each other's handles.
impl<L: Lockable + Clone> Clone for LockSet<L> {
    fn clone(&self) -> Self {
        Self { members: self.members.clone(), order: self.order.clone(), id: self.id.same() }
    }
}

/// Creates a set of no locks.
impl<L: Lockable> Default for LockSet<L> {
    fn default() -> Self {
        Self::from_iter([])
    }
}

/// Sets are equal if they contain the same locks, in whatever state.
impl<L: Lockable, M: Lockable> PartialEq<LockSet<M>> for LockSet<L> {
    fn eq(&self, other: &LockSet<M>) -> bool {
        self.locks().map(address).eq(other.locks().map(address))
    }
}

impl<L: Lockable> Eq for LockSet<L> {}

impl<L: Lockable> Hash for LockSet<L> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.locks().for_each(|lock| address(lock).hash(state));
    }
}

impl<L: Lockable> fmt::Debug for LockSet<L> {
    /// Formats the snapshots of the members, and changes nothing.
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

    type Record = <L as sealed::Locks>::Record;

    #[inline]
    fn tell(&self, n: usize, record: &mut Self::Record, event: Event) {
        let (member, n) = self.order[n];
        self.members[member].tell(n, record, event);
    }
}

/// What the observers of the locks of a set are told of an acquisition.
pub(crate) type RecordsOf<L> = <LockSet<L> as Lockable>::Record;

lockable! {
    [L: Lockable] LockSet<L>, SetGuard<'a, L, RecordsOf<L>>, <<L as sealed::Locks>::Record as Record>::All, |set| set
}

/// A set, and the one mode that is wanted of all its locks.
pub(super) struct Uniform<'a, L> {
    set: &'a LockSet<L>,
    hold: Hold,
}

impl<L> Clone for Uniform<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Uniform<'_, L> {}

impl<'a, L> Uniform<'a, L> {
    pub(super) fn new(set: &'a LockSet<L>, mode: Mode) -> Self {
        Self { set, hold: Hold::new(mode) }
    }
}

impl<L: Lockable> AddressOrdered for Uniform<'_, L> {
    fn in_address_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
        let mode = self.hold.mode();
        self.set.locks().map(move |lock| (lock, mode))
    }

    type Records = RecordsOf<L>;

    #[inline]
    fn records(&self, site: &'static Location<'static>) -> RecordsOf<L> {
        let mode = self.hold.mode();
        Record::all(
            (0..self.set.len()).map(|_| <<L as sealed::Locks>::Record as Record>::new(mode, site)),
        )
    }

    #[inline]
    fn tell(&self, records: &mut RecordsOf<L>, event: Event) {
        let mut n = 0;
        <<L as sealed::Locks>::Record as Record>::for_each(records, |record| {
            sealed::Locks::tell(self.set, n, record, event);
            n += 1;
        });
    }
}

/// A guard that holds all locks of a [`LockSet`], and releases them when dropped.
///
/// The guard cannot be upgraded: an upgrade would wait for one member while holding the others.
///
/// A guard that is dropped by a panic releases the members: there is no poisoning. A guard that is
/// forgotten (`mem::forget`) leaves them held forever.
///
/// # Examples
///
/// ```
/// use multilock::{LockSet, Mode, MultiLock, SetGuard};
///
/// let locks = [MultiLock::new(), MultiLock::new()];
/// let set: LockSet<&MultiLock> = locks.iter().collect();
/// let guard: SetGuard<'_, _> = set.try_acquire(Mode::Exclusive).unwrap();
/// assert!(locks.iter().all(|lock| lock.locked().is_some()));
/// drop(guard);
/// assert!(locks.iter().all(|lock| lock.locked().is_none()));
/// ```
#[must_use = "the locks are released when the guard is dropped: keep it with `let _guard =`, not with `let _ =`"]
#[clippy::has_significant_drop]
pub struct SetGuard<'a, L: Lockable, R = ()>(pub(super) AllHeld<Uniform<'a, L>, R>)
where
    LockSet<L>: Lockable<Record = R>;

impl<'a, L: Lockable, R> SetGuard<'a, L, R>
where
    LockSet<L>: Lockable<Record = R>,
{
    /// Returns the mode that all members are held in.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let guard = set.try_acquire(Mode::Shared).unwrap();
    /// assert_eq!(guard.mode(), Mode::Shared);
    /// ```
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.0.0.wanted.hold.mode()
    }

    /// Returns the set that is held.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let guard = set.try_acquire(Mode::Shared).unwrap();
    /// assert_eq!(guard.set().len(), 2);
    /// ```
    #[must_use]
    pub fn set(&self) -> &'a LockSet<L> {
        self.0.0.wanted.set
    }

    /// Downgrades the guard to the weaker mode `to`, or to the same mode. Never waits.
    ///
    /// All members are held in that mode afterwards. The downgrade immediately wakes the waiters
    /// that may now acquire a member. No other task holds a member exclusively in between.
    ///
    /// # Panics
    ///
    /// Panics if `to` is stronger than the mode of the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let mut guard = set.try_acquire(Mode::Exclusive).unwrap();
    /// guard.downgrade(Mode::Shared);
    /// assert_eq!(set.locked(), Some(Mode::Shared));
    /// ```
    #[track_caller]
    pub fn downgrade(&mut self, to: Mode) {
        let Uniform { set, hold } = &mut self.0.0.wanted;
        let from = hold.mode();
        assert!(from.includes(to), "cannot downgrade from {from:?} to {to:?}");
        if to != from {
            *hold = Hold::new(to);
            for_each(set.locks(), |lock| lock.raw.downgrade(from, to));
            self.0.0.tell(Event::Changed { to, site: Location::caller() });
        }
    }

    /// Detaches the guard into a [`Handle`], which does not release the members when it is dropped.
    ///
    /// All members stay held until the handle is passed to [`LockSet::release`], or until
    /// [`LockSet::adopt`] turns the handle back into a guard and that guard is dropped. The members
    /// do not accept the handle: keep the set, or a clone of it. A handle that is dropped leaves all
    /// members held forever.
    ///
    /// # Panics
    ///
    /// Panics if `usize::MAX` locks and sets have had handles before this set.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{LockSet, Mode, MultiLock};
    ///
    /// let locks = [MultiLock::new(), MultiLock::new()];
    /// let set: LockSet<&MultiLock> = locks.iter().collect();
    /// let handle = set.try_acquire(Mode::Exclusive).unwrap().into_handle();
    /// assert_eq!(set.locked(), Some(Mode::Exclusive));
    /// set.release(handle).unwrap();
    /// assert_eq!(set.locked(), None);
    /// ```
    #[track_caller]
    pub fn into_handle(self) -> Handle<R> {
        let (id, mode) = (self.set().id.get(), self.mode());
        Handle::new(id, mode, self.0.detach().1)
    }
}

lock_guard!([L: Lockable] SetGuard<'_, L, RecordsOf<L>>, RecordsOf<L>);

impl<L: Lockable, R> fmt::Debug for SetGuard<'_, L, R>
where
    LockSet<L>: Lockable<Record = R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetGuard").field("mode", &self.mode()).finish_non_exhaustive()
    }
}
