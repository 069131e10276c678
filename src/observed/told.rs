//! What an observer was told of an acquisition, and the calls of the observer.

use core::borrow::BorrowMut;
use core::mem::{self, ManuallyDrop};
use core::panic::{Location, RefUnwindSafe, UnwindSafe};
use core::ptr;

use crate::mode::Mode;
use crate::observed::{Acquisition, LockInfo, MultiLock, Observer};
pub(super) use crate::set::told::Event;
use crate::set::told::Record;

/// What the observer of a lock was told of an acquisition: its record, the mode, and the line of the call.
///
/// The guard of an observed lock contains it, and so does its [`Handle`](crate::Handle) when the guard is detached. It
/// appears in the types of the two, and has nothing to look at.
///
/// # Examples
///
/// ```
/// use multilock::observed::{MultiLock, Told};
/// use multilock::{Handle, Mode};
///
/// let lock = MultiLock::<()>::new();
/// let handle: Handle<Told<()>> = lock.try_acquire(Mode::Shared).unwrap().into_handle();
/// lock.release(handle).unwrap();
/// ```
#[derive(Clone, Copy)]
pub struct Told<R> {
    stage: Stage<R>,
    mode: Mode,
    /// The mode before, if this is an upgrade.
    from: Option<Mode>,
    site: &'static Location<'static>,
}

#[derive(Clone, Copy)]
enum Stage<R> {
    /// The observer knows nothing of the acquisition yet.
    New,
    Waits(R),
    Held(R),
    /// The observer is not told any more: the acquisition has ended, or the observer has panicked.
    Silent,
}

impl<R> core::fmt::Debug for Told<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Told")
            .field("mode", &self.mode)
            .field("site", &format_args!("{}", self.site))
            .finish_non_exhaustive()
    }
}

impl<R: Copy> Told<R> {
    #[inline]
    pub(crate) const fn new(mode: Mode, site: &'static Location<'static>) -> Self {
        Self { stage: Stage::New, mode, from: None, site }
    }

    /// Tells `lock`'s observer what has happened.
    #[inline]
    pub(crate) fn tell<O: Observer<Record = R>>(&mut self, lock: &MultiLock<O>, event: Event) {
        // The observer may panic. If it is not caught, the observer is not told of what follows.
        let stage = mem::replace(&mut self.stage, Stage::Silent);
        let (observer, acquisition) = (&lock.observer, self.acquisition(lock));
        self.stage = match (event, stage) {
            (Event::Waits, Stage::New) => {
                call(|| observer.waiting(acquisition)).map_or(Stage::Silent, Stage::Waits)
            }
            (Event::Acquired | Event::Tried, Stage::New) => {
                let may_wait = matches!(event, Event::Acquired);
                let acquisition = Acquisition { may_wait, ..acquisition };
                call(|| observer.acquired(acquisition, None)).map_or(Stage::Silent, Stage::Held)
            }
            (Event::Acquired | Event::Tried, Stage::Waits(waited)) => {
                call(|| observer.acquired(acquisition, Some(waited)))
                    .map_or(Stage::Silent, Stage::Held)
            }
            (Event::Changed { to, site }, stage) => {
                self.stage = stage;
                return self.change(lock, to, site, None);
            }
            (Event::Ended, Stage::Waits(waited)) => {
                call(|| observer.cancelled(acquisition, waited));
                Stage::Silent
            }
            (Event::Ended, Stage::Held(held)) => {
                call(|| observer.released(acquisition, held));
                Stage::Silent
            }
            (Event::Ended, _) => Stage::Silent,
            (_, stage) => stage,
        };
    }

    /// Tells that the mode of the acquisition has changed.
    fn change<O: Observer<Record = R>>(
        &mut self,
        lock: &MultiLock<O>,
        to: Mode,
        site: &'static Location<'static>,
        waited: Option<R>,
    ) {
        let from = mem::replace(&mut self.mode, to);
        self.site = site;
        if let Stage::Held(held) = self.stage {
            self.stage = Stage::Silent;
            let acquisition = Acquisition { from: Some(from), ..self.acquisition(lock) };
            let held = call(|| lock.observer.changed(acquisition, held, waited));
            self.stage = held.map_or(Stage::Silent, Stage::Held);
        }
    }

    /// Tells that an upgrade of the acquisition was successful.
    pub(super) fn upgraded<O: Observer<Record = R>>(&mut self, lock: &MultiLock<O>, upgrade: Self) {
        if self.mode != Mode::Exclusive {
            let waited = match upgrade.stage {
                Stage::Waits(waited) => Some(waited),
                _ => None,
            };
            self.change(lock, Mode::Exclusive, upgrade.site, waited);
        }
    }

    /// Tells that an upgrade in place was taken back.
    pub(super) fn end_upgrade<O: Observer<Record = R>>(&mut self, lock: &MultiLock<O>) {
        self.change(lock, Mode::Upgradable, self.site, None);
    }

    fn acquisition<'a, O>(&self, lock: &'a MultiLock<O>) -> Acquisition<'a> {
        let lock = LockInfo { name: &lock.name, address: ptr::from_ref(lock).addr() };
        Acquisition { lock, mode: self.mode, from: self.from, may_wait: true, site: self.site }
    }
}

impl<R: Copy + Send + Sync + 'static> Record for Told<R> {
    // Without a heap there is no set of observed locks, but for those of `lock_all`.
    #[cfg(not(feature = "alloc"))]
    type All = ();
    #[cfg(feature = "alloc")]
    type All = alloc::boxed::Box<[Self]>;

    fn new(mode: Mode, site: &'static Location<'static>) -> Self {
        Self::new(mode, site)
    }

    fn silent() -> Self {
        Self { stage: Stage::Silent, ..Self::new(Mode::Shared, Location::caller()) }
    }

    #[cfg(not(feature = "alloc"))]
    fn all(_: impl Iterator<Item = Self>) {}

    #[cfg(feature = "alloc")]
    fn all(records: impl Iterator<Item = Self>) -> Self::All {
        crate::sync::once_box::may_fail();
        records.collect()
    }

    #[cfg(not(feature = "alloc"))]
    fn nth((): &(), _: usize) -> Self {
        Self::silent()
    }

    #[cfg(feature = "alloc")]
    fn nth(all: &Self::All, n: usize) -> Self {
        all[n]
    }

    #[cfg(not(feature = "alloc"))]
    fn for_each((): &mut (), _: impl FnMut(&mut Self)) {}

    #[cfg(feature = "alloc")]
    fn for_each(all: &mut Self::All, f: impl FnMut(&mut Self)) {
        all.iter_mut().for_each(f);
    }
}

/// Calls an observer, and catches its panic where that is possible.
#[inline]
fn call<T>(run: impl FnOnce() -> T) -> Option<T> {
    #[cfg(not(feature = "std"))]
    return Some(run());
    #[cfg(feature = "std")]
    crate::sync::unwind::caught(run).map_err(crate::sync::unwind::discard).ok()
}

/// A pointer to an observed lock, which a guard contains.
pub(super) trait LockPtr {
    type Record: Copy;
    type Observer: Observer<Record = Self::Record>;

    fn observed(&self) -> &MultiLock<Self::Observer>;
}

impl<O: Observer> LockPtr for &MultiLock<O> {
    type Record = O::Record;
    type Observer = O;

    #[inline]
    fn observed(&self) -> &MultiLock<O> {
        self
    }
}

/// An acquisition as its observer knows it, from before the first poll to after the release. Its drop tells the
/// observer of the end. So it is dropped after the guard or the future of the lock without an observer.
///
/// `R` is the record of the observer. A guard names it as that of its parameter `O`: as that of its pointer, it would make
/// the guard invariant in the lifetime of the lock, and in the data.
pub(super) struct Hold<P: LockPtr<Record = R>, R: Copy = <P as LockPtr>::Record> {
    pub(super) lock: P,
    pub(super) told: Told<R>,
}

// A panic of the observer does not get here.
impl<P: LockPtr> UnwindSafe for Hold<P> {}
impl<P: LockPtr> RefUnwindSafe for Hold<P> {}

impl<P: LockPtr> Hold<P> {
    #[inline]
    #[track_caller]
    pub(super) fn new(lock: P, mode: Mode) -> Self {
        Self { lock, told: Told::new(mode, Location::caller()) }
    }

    /// Tells of an acquisition that was successful, and would not have waited.
    #[inline]
    #[track_caller]
    pub(super) fn tried(lock: P, mode: Mode) -> Self {
        let mut hold = Self::new(lock, mode);
        hold.tell(Event::Tried);
        hold
    }

    #[inline]
    pub(super) fn tell(&mut self, event: Event) {
        self.told.tell(self.lock.observed(), event);
    }

    /// Tells that the acquisition was downgraded, or upgraded at once.
    #[inline]
    #[track_caller]
    pub(super) fn change(&mut self, to: Mode) {
        if self.told.mode != to {
            self.tell(Event::Changed { to, site: Location::caller() });
        }
    }

    /// Tells that an upgrade of the acquisition was successful.
    pub(super) fn upgraded(&mut self, upgrade: Told<P::Record>) {
        self.told.upgraded(self.lock.observed(), upgrade);
    }

    /// Tells that an upgrade of the acquisition has failed or has given up.
    pub(super) fn not_upgraded(&mut self, mut upgrade: Told<P::Record>) {
        upgrade.tell(self.lock.observed(), Event::Ended);
    }

    /// Keeps another pointer to the same lock.
    pub(super) fn with_pointer<Q: LockPtr<Record = P::Record> + From<P>>(self) -> Hold<Q> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the pointer comes from a reference. `this.lock` is neither used nor dropped after, so the value that is
        // read is the only one.
        Hold { lock: unsafe { ptr::read(&this.lock) }.into(), told: this.told }
    }

    /// Stops to tell the observer, of an acquisition that goes on.
    pub(super) fn detach(mut self) -> Told<P::Record> {
        let told = self.told;
        self.told.stage = Stage::Silent;
        told
    }
}

impl<P: LockPtr<Record = R>, R: Copy> Drop for Hold<P, R> {
    #[inline]
    fn drop(&mut self) {
        self.tell(Event::Ended);
    }
}

/// An upgrade of an acquisition as its observer knows it. `H` is the acquisition, or an exclusive reference to it.
pub(super) struct Upgrading<P: LockPtr, H: BorrowMut<Hold<P>>> {
    /// `None` when the upgrade has ended.
    hold: Option<H>,
    told: Told<P::Record>,
}

// As for `Hold`.
impl<P: LockPtr, H: BorrowMut<Hold<P>>> UnwindSafe for Upgrading<P, H> {}
impl<P: LockPtr, H: BorrowMut<Hold<P>>> RefUnwindSafe for Upgrading<P, H> {}

impl<P: LockPtr, H: BorrowMut<Hold<P>>> Upgrading<P, H> {
    #[track_caller]
    pub(super) fn new(hold: H) -> Self {
        let held = &hold.borrow().told;
        // An exclusive guard stays as it is. An observer that has lost the acquisition is told nothing.
        let is_told = matches!(held.stage, Stage::Held(_)) && held.mode != Mode::Exclusive;
        let stage = if is_told { Stage::New } else { Stage::Silent };
        let (mode, site) = (Mode::Exclusive, Location::caller());
        Self { told: Told { stage, mode, from: Some(held.mode), site }, hold: Some(hold) }
    }

    /// Returns the acquisition, and what the observer was told of the upgrade, which is to be told how it has ended.
    pub(super) fn into_parts(mut self) -> (H, Told<P::Record>) {
        (self.hold.take().expect("an upgrade ends once"), self.told)
    }
}

impl<P: LockPtr, H: BorrowMut<Hold<P>>> Drop for Upgrading<P, H> {
    fn drop(&mut self) {
        if let Some(hold) = &self.hold {
            self.told.tell(hold.borrow().lock.observed(), Event::Ended);
        }
    }
}

/// What tells an observer of a wait.
pub(super) trait Wait {
    fn waits(&mut self);
}

impl<P: LockPtr> Wait for Hold<P> {
    #[inline]
    fn waits(&mut self) {
        self.tell(Event::Waits);
    }
}

impl<P: LockPtr, H: BorrowMut<Hold<P>>> Wait for Upgrading<P, H> {
    fn waits(&mut self) {
        if let Some(hold) = &self.hold {
            self.told.tell(hold.borrow().lock.observed(), Event::Waits);
        }
    }
}
