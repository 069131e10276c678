//! Forgets futures (`mem::forget`) of every public function that returns one, at every point. The other holders release,
//! and the other waiters acquire, as beside a future that is no longer polled.

#![cfg(feature = "alloc")]
#![cfg(not(any(loom, shuttle)))]

#[path = "support/moment.rs"]
mod moment;
#[path = "support/random.rs"]
mod random;
mod support;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;

use futures_core::Stream;
use moment::Moment;
use multilock::Mode::{self, Exclusive, Shared, Upgradable};
use multilock::requests::InMode;
use multilock::{
    Changes, ChangesArc, Guard, GuardArc, Handle, HandleGuard, HandleId, HandleLock, LockSet,
    Lockable, Monitor, MonitorArc, MultiLock, RwLock, RwLockUpgradableReadGuard,
    RwLockUpgradableReadGuardArc, ShardedRwLock, Snapshot, UpgradeError, acquire_all, lock_all,
    lock_all_or,
};
use random::{Choices, Random};
use support::Task;

#[cfg(feature = "lock_api")]
type ApiLock = lock_api::RwLock<MultiLock, u32>;

/// The number of random schedules for each function and mode.
const SCHEDULES: u64 = if cfg!(miri) { 1 } else { 400 };

/// Forgets `value`. Its memory stays reachable forever: other waiters of a queue may still point to it, and Miri does not
/// report a leak.
fn forget<T>(value: T) {
    static FORGOTTEN: Mutex<Vec<AtomicPtr<()>>> = Mutex::new(Vec::new());
    let value = Box::into_raw(Box::new(value));
    FORGOTTEN.lock().unwrap().push(AtomicPtr::new(value.cast()));
}

// ------------------------------------------------------------------------------- All types of locks

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Given(u32),
    Fresh(HandleId),
}

impl From<HandleId> for Name {
    fn from(id: HandleId) -> Self {
        Self::Fresh(id)
    }
}

/// The lock of [`Locks`] that a future belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Lock,
    Data,
    Names,
    Set,
    #[cfg(feature = "lock_api")]
    Api,
}

struct Locks {
    lock: Arc<MultiLock>,
    data: Arc<RwLock<u32>>,
    names: HandleLock<Name>,
    set: LockSet<Arc<MultiLock>>,
    members: [Arc<MultiLock>; 3],
    #[cfg(feature = "lock_api")]
    api: ApiLock,
    last_name: Cell<u32>,
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A guard of any type.
trait Held {}
impl<T> Held for T {}
type Hold<'a> = Box<dyn Held + 'a>;

fn boxed<'a, T: 'a>(hold: T) -> Hold<'a> {
    Box::new(hold)
}

/// An acquisition that is released by its name.
struct Named<'a>(&'a HandleLock<Name>, Name);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        assert!(self.0.release(&self.1).is_some());
    }
}

/// An acquisition that is released by its handle.
struct Detached<'a>(&'a LockSet<Arc<MultiLock>>, Option<Handle>);

impl Drop for Detached<'_> {
    fn drop(&mut self) {
        self.0.release(self.1.take().unwrap()).unwrap();
    }
}

impl Locks {
    fn new() -> Self {
        let members: [Arc<MultiLock>; 3] = Default::default();
        Self {
            lock: Arc::default(),
            data: Arc::default(),
            names: HandleLock::new(),
            set: members.iter().cloned().collect(),
            members,
            #[cfg(feature = "lock_api")]
            api: ApiLock::new(0),
            last_name: Cell::new(0),
        }
    }

    fn name(&self) -> Name {
        self.last_name.set(self.last_name.get() + 1);
        Name::Given(self.last_name.get())
    }

    /// The number of locks in the part.
    fn count(&self, part: Part) -> usize {
        if part == Part::Set { self.members.len() } else { 1 }
    }

    /// The underlying lock, where the type exposes it. A [`HandleLock`] does not.
    fn raw(&self, part: Part, n: usize) -> Option<&MultiLock> {
        match part {
            Part::Lock => Some(&self.lock),
            Part::Data => Some(self.data.raw()),
            Part::Names => None,
            Part::Set => Some(&self.members[n]),
            // SAFETY: nothing is released that belongs to a guard.
            #[cfg(feature = "lock_api")]
            Part::Api => Some(unsafe { self.api.raw() }),
        }
    }

    fn word(&self, part: Part, n: usize) -> Snapshot {
        self.raw(part, n).map_or_else(|| self.names.snapshot(), MultiLock::snapshot)
    }

    fn monitor(&self, part: Part, n: usize, mode: Mode) -> Monitor<'_> {
        match self.raw(part, n) {
            Some(lock) => lock.monitor(mode),
            None => self.names.monitor(mode),
        }
    }

    /// A try, by the type's own function.
    fn hold(&self, part: Part, n: usize, mode: Mode) -> Option<Hold<'_>> {
        match (part, mode) {
            (Part::Lock | Part::Set, mode) => self.raw(part, n)?.try_acquire(mode).map(boxed),
            (Part::Data, Shared) => self.data.try_read().map(boxed),
            (Part::Data, Upgradable) => self.data.try_upgradable_read_arc().map(boxed),
            (Part::Data, Exclusive) => self.data.try_write().map(boxed),
            (Part::Names, mode) => self.names.try_context(mode, self.name()).ok().map(boxed),
            #[cfg(feature = "lock_api")]
            (Part::Api, Shared) => self.api.try_read().map(boxed),
            #[cfg(feature = "lock_api")]
            (Part::Api, Upgradable) => self.api.try_upgradable_read().map(boxed),
            #[cfg(feature = "lock_api")]
            (Part::Api, Exclusive) => self.api.try_write().map(boxed),
        }
    }

    /// A waiter, by the type's own function.
    fn acquire(&self, part: Part, n: usize, mode: Mode) -> BoxFuture<'_, Hold<'_>> {
        match (part, mode) {
            (Part::Lock | Part::Set, mode) => {
                let acquire = self.raw(part, n).unwrap().acquire(mode);
                Box::pin(async { boxed(acquire.await) })
            }
            (Part::Data, Shared) => Box::pin(async { boxed(self.data.read_arc().await) }),
            (Part::Data, Upgradable) => {
                Box::pin(async { boxed(self.data.upgradable_read().await) })
            }
            (Part::Data, Exclusive) => Box::pin(async { boxed(self.data.write_arc().await) }),
            (Part::Names, mode) => {
                let context = self.names.context(mode, self.name());
                Box::pin(async { boxed(context.await.unwrap()) })
            }
            #[cfg(feature = "lock_api")]
            (Part::Api, Shared) => {
                Box::pin(async { boxed(multilock::lock_api_read(&self.api).await) })
            }
            #[cfg(feature = "lock_api")]
            (Part::Api, Upgradable) => {
                Box::pin(async { boxed(multilock::lock_api_upgradable_read(&self.api).await) })
            }
            #[cfg(feature = "lock_api")]
            (Part::Api, Exclusive) => {
                Box::pin(async { boxed(multilock::lock_api_write(&self.api).await) })
            }
        }
    }
}

// ----------------------------------------------------------------------------- Holders and waiters

/// What the forgotten future leaves at its lock.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Adds {
    Nothing,
    Holder(Mode),
    /// An upgrade that waits.
    Upgrade,
    /// What remains of an upgrade that was forgotten while it waited, after its guard was dropped, too.
    HeldForever,
}

struct Holder<'a> {
    /// The index of the lock, or `None` for all locks in the part.
    n: Option<usize>,
    mode: Mode,
    _hold: Hold<'a>,
}

struct Waiter<'a> {
    n: usize,
    mode: Mode,
    task: Task<BoxFuture<'a, Hold<'a>>>,
}

/// The other holders and waiters of a part, which are tracked in a list.
struct Others<'a> {
    locks: &'a Locks,
    part: Part,
    holders: Vec<Holder<'a>>,
    waiters: Vec<Waiter<'a>>,
    adds: Adds,
    random: Random,
}

impl<'a> Others<'a> {
    fn new(locks: &'a Locks, part: Part, seed: u64) -> Self {
        let (holders, waiters) = (Vec::new(), Vec::new());
        Self { locks, part, holders, waiters, adds: Adds::Nothing, random: Random(seed) }
    }

    fn any_lock(&mut self) -> usize {
        self.random.below(self.locks.count(self.part))
    }

    fn hold(&mut self, n: usize, mode: Mode) -> bool {
        let Some(_hold) = self.locks.hold(self.part, n, mode) else { return false };
        self.holders.push(Holder { n: Some(n), mode, _hold });
        true
    }

    fn leave(&mut self) {
        if !self.holders.is_empty() {
            let at = self.random.below(self.holders.len());
            drop(self.holders.remove(at));
        }
    }

    fn wait(&mut self, n: usize, mode: Mode) {
        let task = Task::new(self.locks.acquire(self.part, n, mode));
        self.waiters.push(Waiter { n, mode, task });
        self.poll(self.waiters.len() - 1);
    }

    /// Returns whether the waiter has acquired the lock.
    fn poll(&mut self, at: usize) -> bool {
        let Waiter { n, mode, task } = &mut self.waiters[at];
        let Poll::Ready(_hold) = task.poll() else { return false };
        self.holders.push(Holder { n: Some(*n), mode: *mode, _hold });
        self.waiters.remove(at);
        true
    }

    /// The lock can be acquired, but it may be reserved for up to four other waiters, and for the forgotten one.
    #[track_caller]
    fn enter(&mut self, at: usize) {
        let Waiter { n, mode, mut task } = self.waiters.remove(at);
        let _hold = Moment::times(5).enter(&mut task);
        self.holders.push(Holder { n: Some(n), mode, _hold });
    }

    /// A waiter is woken and loses the race, so newcomers defer to it.
    fn overtake(&mut self) {
        let n = self.any_lock();
        let mode = self.random.mode();
        if self.hold(n, Exclusive) {
            self.wait(n, mode);
            self.holders.pop();
            if self.hold(n, Exclusive) {
                let last = self.waiters.len() - 1;
                assert!(!self.poll(last));
                self.holders.pop();
            }
        }
    }

    fn step(&mut self) {
        let n = self.any_lock();
        let mode = self.random.mode();
        match self.random.below(12) {
            0 | 1 => _ = self.hold(n, mode),
            2 | 3 => _ = self.hold(n, Exclusive),
            4..=7 => self.leave(),
            8 if self.waiters.len() < 4 => self.wait(n, mode),
            9 | 10 if !self.waiters.is_empty() => {
                let at = self.random.below(self.waiters.len());
                self.poll(at);
            }
            11 if !self.waiters.is_empty() => {
                let at = self.random.below(self.waiters.len());
                drop(self.waiters.remove(at));
            }
            _ => {}
        }
        self.check();
    }

    /// Checks that the lock counts its holders, and no others.
    #[track_caller]
    fn check(&self) {
        for n in 0..self.locks.count(self.part) {
            let word = self.locks.word(self.part, n);
            let mut modes: Vec<Mode> = self
                .holders
                .iter()
                .filter(|it| it.n.is_none_or(|it| it == n))
                .map(|it| it.mode)
                .collect();
            match self.adds {
                Adds::Holder(mode) => modes.push(mode),
                Adds::Upgrade => modes.push(Upgradable),
                Adds::Nothing | Adds::HeldForever => {}
            }
            modes.sort();
            let shared = modes.iter().filter(|mode| **mode == Shared).count();
            assert_eq!(word.shared_holders(), shared, "{:?} and {modes:?}: {word:?}", self.adds);
            if self.adds == Adds::HeldForever {
                assert!(word.mode().is_some_and(|mode| mode != Shared), "{word:?}");
            } else {
                assert_eq!(word.mode(), modes.last().copied(), "{:?}: {word:?}", self.adds);
            }
            assert_eq!(word.is_upgrading(), self.adds == Adds::Upgrade);
            if self.part == Part::Names {
                let mut shown: Vec<_> = self.locks.names.holders().iter().map(|it| it.1).collect();
                shown.sort();
                assert_eq!(shown, modes, "the table agrees with the lock: {word:?}");
            }
        }
    }

    /// Checks that the lock can be acquired: polled waiters enter, and so do newcomers.
    fn check_progress(mut self) {
        while !self.holders.is_empty() {
            self.leave();
            self.check();
        }
        while !self.waiters.is_empty() {
            let at = self.random.below(self.waiters.len());
            self.enter(at);
            self.check();
            self.holders.clear();
            self.check();
        }
        // Miri is slow, and checks one lock of a set.
        for n in 0..if cfg!(miri) { 1 } else { self.locks.count(self.part) } {
            for mode in Mode::ALL {
                assert!(self.hold(n, mode), "{mode:?} cannot acquire a free lock");
                self.check();
                self.holders.clear();
                self.wait(n, mode);
                assert!(self.waiters.is_empty() || self.poll(0), "a newcomer cannot enter");
                self.holders.clear();
            }
            let monitor = self.locks.monitor(self.part, n, Exclusive);
            monitor.clear();
            assert!(self.hold(n, Exclusive) && !monitor.is_set());
            self.holders.clear();
            assert!(monitor.is_set(), "a monitor misses an edge");
            // One wake-up may be lost to the forgotten future, and no more.
            let mode = self.random.mode();
            assert!(self.hold(n, Exclusive));
            self.wait(n, mode);
            self.holders.clear();
            if !self.waiters[0].task.woken() {
                assert!(self.hold(n, Exclusive));
                self.holders.clear();
            }
            assert!(self.waiters[0].task.woken(), "two wake-ups are lost");
            self.enter(0);
            self.holders.clear();
        }
    }
}

// ------------------------------------------------------------------------ Acquisitions and monitors

/// A public function that returns a future.
struct Function {
    name: &'static str,
    part: Part,
    modes: &'static [Mode],
    acquires: bool,
    make: for<'a> fn(&'a Locks, Mode) -> BoxFuture<'a, Option<Hold<'a>>>,
}

macro_rules! acquires {
    ($name:literal, $part:ident, $modes:expr, |$locks:ident, $mode:ident| $acquire:expr) => {
        acquires!($name, $part, $modes, |$locks, $mode| $acquire, |acquired| acquired)
    };
    (
        $name:literal, $part:ident, $modes:expr, |$locks:ident, $mode:ident| $acquire:expr,
        |$acquired:ident| $hold:expr
    ) => {
        Function {
            name: $name,
            part: Part::$part,
            modes: $modes,
            acquires: true,
            make: |$locks, $mode| {
                let acquire = $acquire;
                let hold = |$acquired| boxed($hold);
                Box::pin(async move { Some(hold(acquire.await)) })
            },
        }
    };
}

macro_rules! waits {
    ($name:literal, $part:ident, |$locks:ident, $mode:ident| $wait:expr) => {
        Function {
            name: $name,
            part: Part::$part,
            modes: &Mode::ALL,
            acquires: false,
            make: |$locks, $mode| {
                let wait = $wait;
                Box::pin(async move {
                    wait.await;
                    None
                })
            },
        }
    };
}

/// An acquisition that ends before its future is ready.
macro_rules! visits {
    ($name:literal, $modes:expr, |$locks:ident| $visit:expr) => {
        Function {
            name: $name,
            part: Part::Data,
            modes: $modes,
            acquires: true,
            make: |$locks, _| {
                let visit = $visit;
                Box::pin(async move {
                    visit.await;
                    None
                })
            },
        }
    };
}

fn ok<T, E: fmt::Debug>(result: Result<T, E>) -> T {
    result.unwrap()
}

/// As generic code calls it.
fn acquire<L: Lockable>(lock: &L, mode: Mode) -> impl Future<Output = L::Guard<'_>> {
    Lockable::acquire(lock, mode)
}

fn wait<L: Lockable>(lock: &L, mode: Mode) -> impl Future<Output = ()> {
    Lockable::wait(lock, mode)
}

/// Waits for an edge with a monitor that it owns.
async fn monitor(monitor: Monitor<'_>) {
    monitor.clear();
    monitor.wait().await;
}

async fn changes(changes: Changes<'_>) {
    changes.wait().await;
}

async fn changes_arc(changes: ChangesArc<u32>) {
    changes.wait().await;
}

async fn monitor_arc(monitor: MonitorArc) {
    monitor.clear();
    monitor.wait().await;
}

async fn next(mut stream: impl Stream + Unpin) {
    poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await;
}

fn next_edge<'a>(monitor: Monitor<'a>) -> impl Future<Output = ()> + use<'a> {
    monitor.clear();
    next(monitor)
}

fn next_edge_arc(monitor: MonitorArc) -> impl Future<Output = ()> {
    monitor.clear();
    next(monitor)
}

fn pairs(locks: &Locks, mode: Mode) -> [(&MultiLock, Mode); 3] {
    locks.members.each_ref().map(|lock| (&**lock, mode))
}

fn requests(locks: &Locks, mode: Mode) -> [InMode<'_>; 3] {
    locks.members.each_ref().map(|lock| lock.in_mode(mode))
}

fn functions() -> Vec<Function> {
    let all = &Mode::ALL;
    vec![
        acquires!("MultiLock::acquire", Lock, all, |locks, mode| locks.lock.acquire(mode)),
        acquires!("MultiLock::acquire_arc", Lock, all, |locks, mode| locks.lock.acquire_arc(mode)),
        acquires!(
            "MultiLock::acquire_or",
            Lock,
            all,
            |locks, mode| locks.lock.acquire_or(mode, pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!(
            "MultiLock::acquire_or_arc",
            Lock,
            all,
            |locks, mode| locks.lock.acquire_or_arc(mode, pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!("Lockable::acquire", Lock, all, |locks, mode| acquire::<MultiLock>(
            &locks.lock,
            mode
        )),
        acquires!("alloc::sync::Arc::acquire", Lock, all, |locks, mode| acquire(&locks.lock, mode)),
        acquires!("&L::acquire", Set, all, |locks, mode| {
            let set = &locks.set;
            async move { Detached(set, Some(acquire(&set, mode).await.into_handle())) }
        }),
        acquires!("LockSet::acquire", Set, all, |locks, mode| locks.set.acquire(mode)),
        acquires!(
            "LockSet::acquire_or",
            Set,
            all,
            |locks, mode| locks.set.acquire_or(mode, pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!("acquire_all", Set, all, |locks, mode| acquire_all(pairs(locks, mode))),
        acquires!("lock_all", Set, all, |locks, mode| lock_all(requests(locks, mode))),
        acquires!(
            "lock_all_or",
            Set,
            all,
            |locks, mode| lock_all_or(requests(locks, mode), pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!(
            "HandleLock::acquire",
            Names,
            all,
            |locks, mode| {
                let name = locks.name();
                let acquire = locks.names.acquire(mode, name);
                async move { acquire.await.map(|()| Named(&locks.names, name)) }
            },
            |acquired| ok(acquired)
        ),
        acquires!(
            "HandleLock::acquire_or",
            Names,
            all,
            |locks, mode| {
                let name = locks.name();
                let acquire = locks.names.acquire_or(mode, name, pending::<()>());
                async move { acquire.await.unwrap().map(|()| Named(&locks.names, name)) }
            },
            |acquired| ok(acquired)
        ),
        acquires!("HandleLock::acquire_new", Names, all, |locks, mode| {
            let acquire = locks.names.acquire_new(mode);
            async move { Named(&locks.names, acquire.await) }
        }),
        acquires!(
            "HandleLock::context",
            Names,
            all,
            |locks, mode| locks.names.context(mode, locks.name()),
            |acquired| ok(acquired)
        ),
        acquires!(
            "HandleLock::context_or",
            Names,
            all,
            |locks, mode| locks.names.context_or(mode, locks.name(), pending::<()>()),
            |acquired| ok(ok(acquired))
        ),
        acquires!("RwLock::read", Data, &[Shared], |locks, _mode| locks.data.read()),
        acquires!("RwLock::read_arc", Data, &[Shared], |locks, _mode| locks.data.read_arc()),
        acquires!("RwLock::upgradable_read", Data, &[Upgradable], |locks, _mode| {
            locks.data.upgradable_read()
        }),
        acquires!("RwLock::upgradable_read_arc", Data, &[Upgradable], |locks, _mode| {
            locks.data.upgradable_read_arc()
        }),
        acquires!("RwLock::write", Data, &[Exclusive], |locks, _mode| locks.data.write()),
        acquires!("RwLock::write_arc", Data, &[Exclusive], |locks, _mode| locks.data.write_arc()),
        acquires!(
            "RwLock::read_or",
            Data,
            &[Shared],
            |locks, _mode| locks.data.read_or(pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!(
            "RwLock::read_arc_or",
            Data,
            &[Shared],
            |locks, _mode| locks.data.read_arc_or(pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!(
            "RwLock::upgradable_read_or",
            Data,
            &[Upgradable],
            |locks, _mode| locks.data.upgradable_read_or(pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!(
            "RwLock::upgradable_read_arc_or",
            Data,
            &[Upgradable],
            |locks, _mode| locks.data.upgradable_read_arc_or(pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!(
            "RwLock::write_or",
            Data,
            &[Exclusive],
            |locks, _mode| locks.data.write_or(pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!(
            "RwLock::write_arc_or",
            Data,
            &[Exclusive],
            |locks, _mode| locks.data.write_arc_or(pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!("RwLock::read_when", Data, &[Shared], |locks, _mode| locks
            .data
            .read_when(|_| true)),
        acquires!(
            "RwLock::read_when_or",
            Data,
            &[Shared],
            |locks, _mode| locks.data.read_when_or(|_| true, pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!("RwLock::read_arc_when", Data, &[Shared], |locks, _mode| locks
            .data
            .read_arc_when(|_| true)),
        acquires!(
            "RwLock::read_arc_when_or",
            Data,
            &[Shared],
            |locks, _mode| locks.data.read_arc_when_or(|_| true, pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!("RwLock::upgradable_read_when", Data, &[Upgradable], |locks, _mode| locks
            .data
            .upgradable_read_when(|_| true)),
        acquires!(
            "RwLock::upgradable_read_when_or",
            Data,
            &[Upgradable],
            |locks, _mode| locks.data.upgradable_read_when_or(|_| true, pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!("RwLock::upgradable_read_arc_when", Data, &[Upgradable], |locks, _mode| locks
            .data
            .upgradable_read_arc_when(|_| true)),
        acquires!(
            "RwLock::upgradable_read_arc_when_or",
            Data,
            &[Upgradable],
            |locks, _mode| locks.data.upgradable_read_arc_when_or(|_| true, pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!("RwLock::write_when", Data, &[Exclusive], |locks, _mode| locks
            .data
            .write_when(|_| true)),
        acquires!(
            "RwLock::write_when_or",
            Data,
            &[Exclusive],
            |locks, _mode| locks.data.write_when_or(|_| true, pending::<()>()),
            |acquired| ok(acquired)
        ),
        acquires!("RwLock::write_arc_when", Data, &[Exclusive], |locks, _mode| locks
            .data
            .write_arc_when(|_| true)),
        acquires!(
            "RwLock::write_arc_when_or",
            Data,
            &[Exclusive],
            |locks, _mode| locks.data.write_arc_when_or(|_| true, pending::<()>()),
            |acquired| ok(acquired)
        ),
        visits!("RwLock::with", &[Shared], |locks| locks.data.with(|_| ())),
        visits!("RwLock::with_mut", &[Exclusive], |locks| locks.data.with_mut(|_| ())),
        #[cfg(feature = "lock_api")]
        acquires!("lock_api_read", Api, &[Shared], |locks, _mode| {
            multilock::lock_api_read(&locks.api)
        }),
        #[cfg(feature = "lock_api")]
        acquires!("lock_api_upgradable_read", Api, &[Upgradable], |locks, _mode| {
            multilock::lock_api_upgradable_read(&locks.api)
        }),
        #[cfg(feature = "lock_api")]
        acquires!("lock_api_write", Api, &[Exclusive], |locks, _mode| {
            multilock::lock_api_write(&locks.api)
        }),
        waits!("MultiLock::wait", Lock, |locks, mode| locks.lock.wait(mode)),
        waits!("Lockable::wait", Lock, |locks, mode| wait::<MultiLock>(&locks.lock, mode)),
        waits!("alloc::sync::Arc::wait", Lock, |locks, mode| wait(&locks.lock, mode)),
        waits!("&L::wait", Set, |locks, mode| wait(&locks.set, mode)),
        waits!("HandleLock::wait", Names, |locks, mode| locks.names.wait(mode)),
        waits!("LockSet::wait", Set, |locks, mode| locks.set.wait(mode)),
        waits!("Monitor::wait", Lock, |locks, mode| monitor(locks.lock.monitor(mode))),
        waits!("Monitor::wait, of a set", Set, |locks, mode| monitor(locks.set.monitor(mode))),
        waits!("Monitor::wait, of names", Names, |locks, mode| monitor(locks.names.monitor(mode))),
        waits!("MonitorArc::wait", Lock, |locks, mode| monitor_arc(locks.lock.monitor_arc(mode))),
        waits!("Changes::wait", Data, |locks, _mode| changes(locks.data.changes())),
        waits!("ChangesArc::wait", Data, |locks, _mode| changes_arc(locks.data.changes_arc())),
        waits!("Changes as a stream", Data, |locks, _mode| next(locks.data.changes())),
        waits!("ChangesArc as a stream", Data, |locks, _mode| next(locks.data.changes_arc())),
        waits!("Monitor as a stream", Lock, |locks, mode| next_edge(locks.lock.monitor(mode))),
        waits!("Monitor as a stream, of a set", Set, |locks, mode| next_edge(
            locks.set.monitor(mode)
        )),
        waits!("MonitorArc as a stream", Lock, |locks, mode| next_edge_arc(
            locks.lock.monitor_arc(mode)
        )),
    ]
}

/// The progress of a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    New,
    Yields,
    Waits,
    /// Woken, and not polled since.
    Woken,
    /// Woken, and polled when the lock was held again.
    Overtaken,
    Done,
}

/// Forgets a future of `function` at a random point, and lets the others continue. Returns the stage that the future had
/// reached.
fn forget_somewhere(function: &Function, mode: Mode, seed: u64) -> Stage {
    let (locks, part) = (Locks::new(), function.part);
    let mut others = Others::new(&locks, part, seed);
    let mut task = Task::new((function.make)(&locks, mode));
    let mut stage = Stage::New;
    // Some schedules begin with a waiter that lost a race, and in some the future loses one.
    let (is_behind, loses) = (others.random.one_in(3), others.random.one_in(4));
    if is_behind && !loses {
        others.overtake();
    }
    for turn in 0..others.random.below(if loses { 8 } else { 14 }) {
        let polls = match turn {
            0..5 if loses => turn % 3 == 1,
            _ => others.random.one_in(3),
        };
        match turn {
            _ if polls && stage == Stage::Done => {}
            _ if polls => {
                if others.random.one_in(4) {
                    task.renew_waker();
                }
                let was_woken = stage == Stage::Woken;
                stage = match task.poll() {
                    Poll::Ready(hold) => {
                        let n = (part != Part::Set).then_some(0);
                        others.holders.extend(hold.map(|_hold| Holder { n, mode, _hold }));
                        Stage::Done
                    }
                    Poll::Pending if task.woken() => Stage::Yields,
                    Poll::Pending if was_woken => Stage::Overtaken,
                    Poll::Pending => Stage::Waits,
                };
            }
            0 | 3 if loses => _ = others.hold(0, Exclusive),
            2 if loses => others.leave(),
            _ => others.step(),
        }
        others.check();
        if matches!(stage, Stage::Waits | Stage::Overtaken) && task.woken() {
            stage = Stage::Woken;
        }
    }
    forget(task);
    for _ in 0..others.random.below(6) {
        others.step();
    }
    others.check_progress();

    // Of an acquisition, the flag of its mode stays set. Of a monitor, nothing stays that others could see.
    for n in 0..locks.count(part) {
        let word = locks.word(part, n);
        let waited = function.acquires && !matches!(stage, Stage::New | Stage::Done);
        for awaited in Mode::ALL.into_iter().filter(|mode| word.is_awaited(*mode)) {
            assert!(waited && awaited == mode, "{stage:?}: {word:?}");
        }
        if waited && part != Part::Set && stage != Stage::Yields {
            assert!(word.is_awaited(mode), "{stage:?}: {word:?}");
        }
        // An exclusive waiter keeps newcomers out of a held lock. Waiters in other modes do not.
        let shared = locks.hold(part, n, Shared).expect("the lock is free");
        for newcomer in [Shared, Upgradable] {
            let admitted = locks.hold(part, n, newcomer).is_some();
            assert_eq!(admitted, !word.is_awaited(Exclusive), "{stage:?}: {word:?}");
        }
        drop(shared);
    }
    stage
}

/// The modes that a function is tried in. Miri, which is slow, uses one for each.
fn some(modes: &[Mode]) -> &[Mode] {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let turn = TURN.fetch_add(1, Relaxed) % modes.len();
    if cfg!(miri) { &modes[turn..=turn] } else { modes }
}

/// Runs random schedules of a function, each of which returns the stage that its future had reached. Together they must
/// reach all of `stages`.
fn for_schedules(name: &str, mode: Mode, stages: &[Stage], schedule: impl Fn(u64) -> Stage) {
    /// Prints which function a failure belongs to.
    struct Report<'a>(&'a str, Mode);
    impl Drop for Report<'_> {
        fn drop(&mut self) {
            if thread::panicking() {
                eprintln!("{} in mode {:?}", self.0, self.1);
            }
        }
    }
    let _report = Report(name, mode);
    let reached = RefCell::new(Vec::new());
    // Where each function has one schedule only, functions use different seeds.
    let first = 1000 * (name.len() as u64 + mode as u64);
    random::for_seeds(SCHEDULES, |seed| reached.borrow_mut().push(schedule(first + seed)));
    let reached = reached.take();
    for stage in stages {
        // A few schedules need not reach all stages.
        assert!(reached.len() < 100 || reached.contains(stage), "{name} does not reach {stage:?}");
    }
}

#[test]
fn c_a_forgotten_acquisition_keeps_out_only_newcomers_of_a_held_lock() {
    use Stage::{Done, New, Overtaken, Waits, Woken, Yields};
    for function in functions().into_iter().filter(|function| function.acquires) {
        for &mode in some(function.modes) {
            let stages = [New, Yields, Waits, Woken, Overtaken, Done];
            for_schedules(function.name, mode, &stages, |seed| {
                forget_somewhere(&function, mode, seed)
            });
        }
    }
}

#[test]
fn c_a_forgotten_monitor_changes_nothing_for_others() {
    use Stage::{Done, New, Waits, Woken};
    for function in functions().into_iter().filter(|function| !function.acquires) {
        for &mode in some(function.modes) {
            for_schedules(function.name, mode, &[New, Waits, Woken, Done], |seed| {
                forget_somewhere(&function, mode, seed)
            });
        }
    }
}

/// The monitor is dropped, and then the lock. The forgotten future is still in the list.
#[test]
fn c_a_monitor_may_be_dropped_before_its_forgotten_future() {
    for mode in Mode::ALL {
        let locks = Locks::new();
        let held = [Part::Lock, Part::Names, Part::Set].map(|part| locks.hold(part, 0, Exclusive));
        let monitors =
            [locks.lock.monitor(mode), locks.names.monitor(mode), locks.set.monitor(mode)];
        for monitor in &monitors {
            monitor.clear();
            forget(Task::queued(monitor.wait()));
        }
        drop(monitors);
        drop(held);
        for part in [Part::Lock, Part::Names, Part::Set] {
            Others::new(&locks, part, 0).check_progress();
            assert_eq!(locks.word(part, 0), MultiLock::new().snapshot());
        }
    }
}

// --------------------------------------------------------------------------------------- Upgrades

/// A guard that can be upgraded.
trait Upgrades {
    /// Upgrades, and returns what is to be dropped before the guard.
    fn upgrade(&mut self) -> BoxFuture<'_, Result<Hold<'_>, UpgradeError>>;

    /// The mode that the guard reports. `None` if the guard is in the future.
    fn mode(&self) -> Option<Mode>;
}

macro_rules! upgrades {
    ($Guard:ty) => {
        impl Upgrades for $Guard {
            fn upgrade(&mut self) -> BoxFuture<'_, Result<Hold<'_>, UpgradeError>> {
                let upgrade = self.upgrade();
                Box::pin(async { upgrade.await.map(boxed) })
            }

            fn mode(&self) -> Option<Mode> {
                Some(self.mode())
            }
        }
    };
    ($Guard:ident<$($args:tt),+>, in place) => {
        impl Upgrades for $Guard<$($args),+> {
            fn upgrade(&mut self) -> BoxFuture<'_, Result<Hold<'_>, UpgradeError>> {
                let upgrade = $Guard::upgrade_in_place(self);
                Box::pin(async { Ok(boxed(upgrade.await)) })
            }

            fn mode(&self) -> Option<Mode> {
                Some(Upgradable)
            }
        }
    };
}
upgrades!(Guard<'_>);
upgrades!(GuardArc);
upgrades!(HandleGuard<'_, Name>);
upgrades!(RwLockUpgradableReadGuard<'_, u32>, in place);
upgrades!(RwLockUpgradableReadGuardArc<u32>, in place);

/// A guard that is upgraded with a `cancel` future.
struct Or<G>(G);

macro_rules! upgrades_or {
    ($($Guard:ty),+) => {$(
        impl Upgrades for Or<$Guard> {
            fn upgrade(&mut self) -> BoxFuture<'_, Result<Hold<'_>, UpgradeError>> {
                let upgrade = self.0.upgrade_or(pending::<()>());
                Box::pin(async { upgrade.await.unwrap().map(boxed) })
            }

            fn mode(&self) -> Option<Mode> {
                Some(self.0.mode())
            }
        }
    )+};
}
upgrades_or!(Guard<'_>, GuardArc, HandleGuard<'_, Name>);

macro_rules! upgrades_in_place_or {
    ($($Guard:ident<$($args:tt),+>),+) => {$(
        impl Upgrades for Or<$Guard<$($args),+>> {
            fn upgrade(&mut self) -> BoxFuture<'_, Result<Hold<'_>, UpgradeError>> {
                let upgrade = $Guard::upgrade_in_place_or(&mut self.0, pending::<()>());
                Box::pin(async { Ok(boxed(upgrade.await.unwrap())) })
            }

            fn mode(&self) -> Option<Mode> {
                Some(Upgradable)
            }
        }
    )+};
}
upgrades_in_place_or!(RwLockUpgradableReadGuard<'_, u32>, RwLockUpgradableReadGuardArc<u32>);

/// The guard is moved into the future.
struct ByValue<G, F>(Option<G>, fn(G) -> F);

impl<G, F: Future> Upgrades for ByValue<G, F> {
    fn upgrade(&mut self) -> BoxFuture<'_, Result<Hold<'_>, UpgradeError>> {
        let upgrade = self.1(self.0.take().unwrap());
        Box::pin(async { Ok(boxed(upgrade.await)) })
    }

    fn mode(&self) -> Option<Mode> {
        None
    }
}

struct Upgrade {
    name: &'static str,
    part: Part,
    modes: &'static [Mode],
    guard: for<'a> fn(&'a Locks, Mode) -> Box<dyn Upgrades + 'a>,
}

fn upgrades() -> Vec<Upgrade> {
    let (both, upgradable) = (&[Shared, Upgradable], &[Upgradable]);
    vec![
        Upgrade {
            name: "Guard::upgrade",
            part: Part::Lock,
            modes: both,
            guard: |locks, mode| Box::new(locks.lock.try_acquire(mode).unwrap()),
        },
        Upgrade {
            name: "GuardArc::upgrade",
            part: Part::Lock,
            modes: both,
            guard: |locks, mode| Box::new(locks.lock.try_acquire_arc(mode).unwrap()),
        },
        Upgrade {
            name: "Guard::upgrade_or",
            part: Part::Lock,
            modes: both,
            guard: |locks, mode| Box::new(Or(locks.lock.try_acquire(mode).unwrap())),
        },
        Upgrade {
            name: "GuardArc::upgrade_or",
            part: Part::Lock,
            modes: both,
            guard: |locks, mode| Box::new(Or(locks.lock.try_acquire_arc(mode).unwrap())),
        },
        Upgrade {
            name: "HandleGuard::upgrade",
            part: Part::Names,
            modes: both,
            guard: |locks, mode| Box::new(locks.names.try_context(mode, locks.name()).unwrap()),
        },
        Upgrade {
            name: "HandleGuard::upgrade_or",
            part: Part::Names,
            modes: both,
            guard: |locks, mode| Box::new(Or(locks.names.try_context(mode, locks.name()).unwrap())),
        },
        Upgrade {
            name: "RwLockUpgradableReadGuard::upgrade_in_place",
            part: Part::Data,
            modes: upgradable,
            guard: |locks, _| Box::new(locks.data.try_upgradable_read().unwrap()),
        },
        Upgrade {
            name: "RwLockUpgradableReadGuardArc::upgrade_in_place",
            part: Part::Data,
            modes: upgradable,
            guard: |locks, _| Box::new(locks.data.try_upgradable_read_arc().unwrap()),
        },
        Upgrade {
            name: "RwLockUpgradableReadGuard::upgrade_in_place_or",
            part: Part::Data,
            modes: upgradable,
            guard: |locks, _| Box::new(Or(locks.data.try_upgradable_read().unwrap())),
        },
        Upgrade {
            name: "RwLockUpgradableReadGuardArc::upgrade_in_place_or",
            part: Part::Data,
            modes: upgradable,
            guard: |locks, _| Box::new(Or(locks.data.try_upgradable_read_arc().unwrap())),
        },
        Upgrade {
            name: "RwLockUpgradableReadGuard::upgrade",
            part: Part::Data,
            modes: upgradable,
            guard: |locks, _| {
                let guard = locks.data.try_upgradable_read();
                Box::new(ByValue(guard, RwLockUpgradableReadGuard::upgrade))
            },
        },
        Upgrade {
            name: "RwLockUpgradableReadGuardArc::upgrade",
            part: Part::Data,
            modes: upgradable,
            guard: |locks, _| {
                let guard = locks.data.try_upgradable_read_arc();
                Box::new(ByValue(guard, RwLockUpgradableReadGuardArc::upgrade))
            },
        },
        Upgrade {
            name: "RwLockUpgradableReadGuard::upgrade_or",
            part: Part::Data,
            modes: upgradable,
            guard: |locks, _| {
                let guard = locks.data.try_upgradable_read();
                Box::new(ByValue(guard, |guard| {
                    RwLockUpgradableReadGuard::upgrade_or(guard, pending::<()>())
                }))
            },
        },
        Upgrade {
            name: "RwLockUpgradableReadGuardArc::upgrade_or",
            part: Part::Data,
            modes: upgradable,
            guard: |locks, _| {
                let guard = locks.data.try_upgradable_read_arc();
                Box::new(ByValue(guard, |guard| {
                    RwLockUpgradableReadGuardArc::upgrade_or(guard, pending::<()>())
                }))
            },
        },
        #[cfg(feature = "lock_api")]
        Upgrade {
            name: "lock_api_upgrade",
            part: Part::Api,
            modes: upgradable,
            guard: |locks, _| {
                let guard = locks.api.try_upgradable_read();
                Box::new(ByValue(guard, multilock::lock_api_upgrade))
            },
        },
    ]
}

/// Forgets an upgrade from `from` at a random point, and lets the others continue. Returns the stage that it had reached.
fn forget_an_upgrade_somewhere(upgrade: &Upgrade, from: Mode, seed: u64) -> Stage {
    let locks = Locks::new();
    let mut others = Others::new(&locks, upgrade.part, seed);
    let mut guard = (upgrade.guard)(&locks, from);
    let by_value = guard.mode().is_none();
    others.adds = Adds::Holder(from);
    for _ in 0..others.random.below(4) {
        assert!(others.hold(0, Shared));
    }
    let stage = {
        let mut task = Task::new(guard.upgrade());
        let mut stage = Stage::New;
        for _ in 0..others.random.below(12) {
            if stage != Stage::Done && others.random.one_in(3) {
                if others.random.one_in(4) {
                    task.renew_waker();
                }
                let poll = task.poll();
                others.adds = match &poll {
                    Poll::Ready(Ok(_)) => Adds::Holder(Exclusive),
                    Poll::Ready(Err(UpgradeError::Conflict)) => Adds::Holder(from),
                    Poll::Ready(Err(error)) => panic!("{error}"),
                    Poll::Pending => Adds::Upgrade,
                };
                stage = if poll.is_ready() { Stage::Done } else { Stage::Waits };
                others.check();
                if by_value && poll.is_ready() {
                    others.adds = Adds::Nothing;
                } else if from == Upgradable && upgrade.part == Part::Data && poll.is_ready() {
                    others.adds = Adds::Holder(Upgradable);
                }
                drop(poll);
                others.check();
            } else {
                others.step();
            }
            if stage == Stage::Waits && task.woken() {
                stage = Stage::Woken;
            }
        }
        forget(task);
        stage
    };

    let is_forever = matches!(stage, Stage::Waits | Stage::Woken);
    if let Some(mode) = guard.mode() {
        let expected = match others.adds {
            Adds::Holder(mode) => mode,
            _ => Upgradable,
        };
        assert_eq!(mode, expected, "{stage:?}");
    }
    let mut guard = Some(guard);
    for _ in 0..others.random.below(8) {
        others.step();
        if others.random.one_in(4) && guard.is_some() && !by_value {
            guard = None;
            others.adds = if is_forever { Adds::HeldForever } else { Adds::Nothing };
            others.check();
        }
    }
    drop(guard);
    match stage {
        _ if by_value && stage != Stage::Done => {}
        _ if is_forever => others.adds = Adds::HeldForever,
        _ => others.adds = Adds::Nothing,
    }
    others.check();
    if others.adds == Adds::Nothing {
        others.check_progress();
        assert_eq!(locks.word(upgrade.part, 0), MultiLock::new().snapshot());
        return stage;
    }
    // The lock is held forever. The others release as usual.
    while !others.holders.is_empty() {
        others.leave();
        others.check();
    }
    if is_forever {
        for mode in Mode::ALL {
            assert!(!others.hold(0, mode), "{mode:?} beside an upgrade");
        }
        (0..others.waiters.len()).for_each(|at| assert!(!others.poll(at)));
    } else {
        // A future that was never polled is forgotten together with its guard.
        assert_eq!(others.adds, Adds::Holder(Upgradable));
    }
    others.waiters.clear();
    others.check();
    assert_eq!(locks.word(upgrade.part, 0).shared_holders(), 0);
    stage
}

#[test]
fn c_a_forgotten_upgrade_leaves_the_lock_held_and_harms_no_other_holder() {
    use Stage::{Done, New, Waits, Woken};
    for upgrade in upgrades() {
        for &from in some(upgrade.modes) {
            for_schedules(upgrade.name, from, &[New, Waits, Woken, Done], |seed| {
                forget_an_upgrade_somewhere(&upgrade, from, seed)
            });
        }
    }
}

// ------------------------------------------------------------------------------- A lock with shards

type Sharded = ShardedRwLock<u32, 2>;
type ShardedFunction = (&'static str, for<'a> fn(&'a Sharded) -> BoxFuture<'a, Hold<'a>>);

fn sharded_functions() -> [ShardedFunction; 6] {
    [
        ("ShardedRwLock::read", |lock| Box::pin(async { boxed(lock.read().await) })),
        ("ShardedRwLock::read_or", |lock| {
            Box::pin(async { boxed(lock.read_or(pending::<()>()).await.unwrap()) })
        }),
        ("ShardedRwLock::with", |lock| Box::pin(async { boxed(lock.with(|it| *it).await) })),
        ("ShardedRwLock::write", |lock| Box::pin(async { boxed(lock.write().await) })),
        ("ShardedRwLock::write_or", |lock| {
            Box::pin(async { boxed(lock.write_or(pending::<()>()).await.unwrap()) })
        }),
        ("ShardedRwLock::with_mut", |lock| {
            Box::pin(async { boxed(lock.with_mut(|it| *it).await) })
        }),
    ]
}

/// Forgets a future of a function, for which readers at shards, readers of the inner lock and writers come and go.
#[test]
fn c_a_forgotten_access_of_a_sharded_lock_keeps_no_other_out_of_a_free_lock() {
    for (name, make) in sharded_functions() {
        random::for_seeds(SCHEDULES, |seed| {
            let mut random = Random(seed);
            let lock = Sharded::default();
            let mut holders: Vec<Hold<'_>> = Vec::new();
            let mut task = Some(Task::new(make(&lock)));
            for _ in 0..random.below(12) {
                match random.below(5) {
                    0 => holders.extend(lock.try_read().map(boxed)),
                    1 => holders.extend(lock.try_write().map(boxed)),
                    2 if !holders.is_empty() => {
                        _ = holders.swap_remove(random.below(holders.len()))
                    }
                    _ => {
                        if let Some(Poll::Ready(hold)) = task.as_mut().map(Task::poll) {
                            holders.push(hold);
                            forget(task.take());
                        }
                    }
                }
            }
            forget(task);
            holders.clear();
            for _ in 0..3 {
                drop(Moment::times(5).enter(&mut Task::new(lock.read())));
                drop(Moment::times(5).enter(&mut Task::new(lock.write())));
                assert!(
                    lock.try_read().is_some() && lock.try_write().is_some(),
                    "{name}: {lock:?}"
                );
            }
        });
    }
}

// ----------------------------------------------------------------------------------- Completeness

/// The list of all public functions names each that returns a future.
#[cfg(not(miri))]
#[test]
fn every_function_that_returns_a_future_is_forgotten_here() {
    use std::collections::BTreeSet;

    let plain = |path: &str| {
        let mut depth = 0;
        let mut keep = |c: char| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            depth == 0 && c != '>'
        };
        path.chars().filter(|&c| keep(c)).collect::<String>().replace("multilock::", "")
    };
    let returns = |line: &str| {
        line.contains(" async fn ")
            || [
                "impl futures_core::future::FusedFuture",
                "impl core::future::future::Future",
                "multilock::futures::",
            ]
            .iter()
            .any(|output| line.contains(&format!("-> {output}")))
    };
    let public: BTreeSet<_> = include_str!("public-api.txt")
        .lines()
        .filter(|line| returns(line))
        .filter_map(|line| line.split_once(" fn "))
        .map(|(_, rest)| plain(rest.split('(').next().unwrap()))
        .filter(|path| cfg!(feature = "lock_api") || !path.starts_with("lock_api"))
        // Those of observed locks are these, and tell of themselves: `tests/observed.rs` forgets them.
        .filter(|path| !path.starts_with("observed::"))
        .collect();
    assert!(public.len() > 30);
    let forgotten = functions()
        .iter()
        .map(|function| function.name)
        .chain(upgrades().iter().map(|it| it.name))
        .chain(sharded_functions().map(|it| it.0))
        .map(String::from)
        .collect::<BTreeSet<_>>();
    let missing: Vec<_> = public.difference(&forgotten).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
