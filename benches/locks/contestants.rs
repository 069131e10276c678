//! The contestants: what each can do, by its own means where it has them.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::thread;

use multilock::{Mode, MultiLock};

use crate::executor::{block_on, yield_now};

/// The columns of the table. `happylock` blocks threads and acquires by a key that each thread has once,
/// and `lockable` has only locks with keys: each is in the one row that it is made for.
pub(crate) const CONTESTANTS: [&str; 10] = [
    MultiLock::NAME,
    async_lock::RwLock::<()>::NAME,
    tokio::sync::RwLock::<()>::NAME,
    maitake_sync::RwLock::<()>::NAME,
    asyncband::rwlock::RwLock::<()>::NAME,
    saa::Lock::NAME,
    "happylock",
    "lockable",
    parking_lot::RwLock::<()>::NAME,
    NoLock::NAME,
];

/// What a lock without data and without async can do.
pub(crate) trait Lock: Default + Send + Sync + 'static {
    const NAME: &'static str;
    /// Whether an exclusive holder excludes all others.
    const EXCLUDES: bool = true;

    fn try_shared(&self) -> Option<impl Sized>;
    fn try_exclusive(&self) -> Option<impl Sized>;
    fn shared_blocking(&self) -> impl Sized;
    fn exclusive_blocking(&self) -> impl Sized;
}

pub(crate) trait AsyncLock: Lock {
    fn shared(&self) -> impl Future<Output = impl Send> + Send;
    fn exclusive(&self) -> impl Future<Output = impl Send> + Send;
}

/// A lock with a mode that can become exclusive later.
pub(crate) trait Upgradable: Lock {
    fn try_upgradable(&self) -> Option<impl Sized>;
    fn upgradable_blocking(&self) -> impl Sized;
}

pub(crate) trait AsyncUpgradable: Upgradable {
    fn upgradable(&self) -> impl Future<Output = impl Send> + Send;
}

/// How a contestant acquires: shared, exclusive, and upgradable if it has that mode.
macro_rules! contestant {
    ($name:literal, $lock:ident: $Lock:ty {
        $(excludes: $excludes:literal;)?
        tries: $try_shared:expr, $try_exclusive:expr $(, $try_upgradable:expr)?;
        blocks: $shared_blocking:expr, $exclusive_blocking:expr $(, $upgradable_blocking:expr)?;
        $(awaits: $shared:expr, $exclusive:expr $(, $upgradable:expr)?;)?
    }) => {
        impl Lock for $Lock {
            const NAME: &'static str = $name;
            $(const EXCLUDES: bool = $excludes;)?

            methods! { $lock;
                try_shared: Option<impl Sized> = $try_shared;
                try_exclusive: Option<impl Sized> = $try_exclusive;
                shared_blocking: impl Sized = $shared_blocking;
                exclusive_blocking: impl Sized = $exclusive_blocking;
            }
        }
        $(impl AsyncLock for $Lock {
            methods! { $lock;
                shared: impl Future<Output = impl Send> + Send = $shared;
                exclusive: impl Future<Output = impl Send> + Send = $exclusive;
            }
        }
        $(impl AsyncUpgradable for $Lock {
            methods! { $lock; upgradable: impl Future<Output = impl Send> + Send = $upgradable; }
        })?)?
        $(impl Upgradable for $Lock {
            methods! { $lock;
                try_upgradable: Option<impl Sized> = $try_upgradable;
                upgradable_blocking: impl Sized = $upgradable_blocking;
            }
        })?
    };
}

macro_rules! methods {
    ($lock:ident; $($name:ident: $Output:ty = $body:expr;)*) => {$(
        #[inline]
        fn $name(&self) -> $Output {
            let $lock = self;
            $body
        }
    )*};
}

/// A mode that the compiler cannot see, as in a program that chooses it at run time. The weight of a
/// floor is treated alike.
#[inline]
pub(crate) fn run_time<T>(mode: T) -> T {
    black_box(mode)
}

contestant!("multilock", lock: MultiLock {
    tries: lock.try_acquire(run_time(Mode::Shared)), lock.try_acquire(run_time(Mode::Exclusive)),
        lock.try_acquire(run_time(Mode::Upgradable));
    blocks: lock.acquire_blocking(run_time(Mode::Shared)), lock.acquire_blocking(run_time(Mode::Exclusive)),
        lock.acquire_blocking(run_time(Mode::Upgradable));
    awaits: lock.acquire(run_time(Mode::Shared)), lock.acquire(run_time(Mode::Exclusive)),
        lock.acquire(run_time(Mode::Upgradable));
});
contestant!("async-lock", lock: async_lock::RwLock<()> {
    tries: lock.try_read(), lock.try_write(), lock.try_upgradable_read();
    blocks: lock.read_blocking(), lock.write_blocking(), lock.upgradable_read_blocking();
    awaits: lock.read(), lock.write(), lock.upgradable_read();
});
contestant!("tokio", lock: tokio::sync::RwLock<()> {
    tries: lock.try_read().ok(), lock.try_write().ok();
    blocks: lock.blocking_read(), lock.blocking_write();
    awaits: lock.read(), lock.write();
});
contestant!("maitake-sync", lock: maitake_sync::RwLock<()> {
    tries: lock.try_read(), lock.try_write();
    blocks: block_on(lock.read()), block_on(lock.write());
    awaits: lock.read(), lock.write();
});
contestant!("asyncband", lock: asyncband::rwlock::RwLock<()> {
    tries: lock.try_read(), lock.try_write();
    blocks: block_on(lock.read()), block_on(lock.write());
    awaits: lock.read(), lock.write();
});
contestant!("saa", lock: saa::Lock {
    tries: lock.try_share().ok().map(|()| Shares(lock)), lock.try_lock().ok().map(|()| Locks(lock));
    blocks: Shares::after(lock, lock.share_sync()), Locks::after(lock, lock.lock_sync());
    awaits: async { Shares::after(lock, lock.share_async().await) },
        async { Locks::after(lock, lock.lock_async().await) };
});
contestant!("parking_lot", lock: parking_lot::RwLock<()> {
    tries: lock.try_read(), lock.try_write(), lock.try_upgradable_read();
    blocks: lock.read(), lock.write(), lock.upgradable_read();
});
contestant!("floor", lock: Word {
    tries: lock.enter(run_time(1)), lock.enter(run_time(ALL)), lock.enter(run_time(1));
    blocks: lock.block(run_time(1)), lock.block(run_time(ALL)), lock.block(run_time(1));
    awaits: lock.wait(run_time(1)), lock.wait(run_time(ALL)), lock.wait(run_time(1));
});
contestant!("floor", lock: NoLock {
    excludes: false;
    tries: Some(lock.enter()), Some(lock.enter());
    blocks: lock.enter(), lock.enter();
    awaits: async { lock.enter() }, async { lock.enter() };
});

/// The floor without contention: one compare-and-swap, and one read-modify-write. There is no queue.
#[derive(Default)]
pub(crate) struct Word(AtomicUsize);

/// What an exclusive holder adds. Shared and upgradable holders add one.
const ALL: usize = usize::MAX / 2;

struct Left<'a>(&'a Word, usize);

impl Word {
    #[inline]
    fn enter(&self, weight: usize) -> Option<Left<'_>> {
        let mut holders = self.0.load(Relaxed);
        while holders.saturating_add(weight) <= ALL {
            match self.0.compare_exchange_weak(holders, holders + weight, Acquire, Relaxed) {
                Ok(_) => return Some(Left(self, weight)),
                Err(now) => holders = now,
            }
        }
        None
    }

    #[inline]
    fn block(&self, weight: usize) -> Left<'_> {
        loop {
            if let Some(hold) = self.enter(weight) {
                return hold;
            }
            thread::yield_now();
        }
    }

    #[inline]
    async fn wait(&self, weight: usize) -> Left<'_> {
        loop {
            if let Some(hold) = self.enter(weight) {
                return hold;
            }
            yield_now().await;
        }
    }
}

impl Drop for Left<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.0.fetch_sub(self.1, Release);
    }
}

/// The floor with contention: the cost of the work without a lock.
#[derive(Default)]
pub(crate) struct NoLock;

struct Nothing;

impl NoLock {
    #[inline]
    fn enter(&self) -> Nothing {
        Nothing
    }
}

impl Drop for Nothing {
    #[inline]
    fn drop(&mut self) {}
}

/// Guards for a lock that has none.
macro_rules! raw_guard {
    ($Guard:ident, $release:ident) => {
        struct $Guard<'a>(&'a saa::Lock);

        impl<'a> $Guard<'a> {
            #[inline]
            fn after(lock: &'a saa::Lock, acquired: bool) -> Self {
                assert!(acquired, "the lock is never poisoned");
                Self(lock)
            }
        }

        impl Drop for $Guard<'_> {
            #[inline]
            fn drop(&mut self) {
                self.0.$release();
            }
        }
    };
}

raw_guard!(Shares, release_share);
raw_guard!(Locks, release_lock);

/// For each lock of a list, its name and a value made for it.
macro_rules! each {
    (|$L:ident| $body:expr, $($Lock:ty),*) => {
        vec![$({
            type $L = $Lock;
            (<$L as $crate::contestants::Lock>::NAME, Box::new($body) as Box<_>)
        }),*]
    };
}

/// For the async locks, and more.
macro_rules! each_async {
    (|$L:ident| $body:expr, $($More:ty),*) => {
        $crate::contestants::each!(
            |$L| $body,
            multilock::MultiLock,
            async_lock::RwLock<()>,
            tokio::sync::RwLock<()>,
            maitake_sync::RwLock<()>,
            asyncband::rwlock::RwLock<()>,
            saa::Lock,
            $($More),*
        )
    };
}

/// For the async locks, and a floor.
macro_rules! awaits {
    ($Floor:ty, |$L:ident| $body:expr) => {
        $crate::contestants::each_async!(|$L| $body, $Floor)
    };
}

/// For the blocking locks, and a floor.
macro_rules! blocks {
    ($Floor:ty, |$L:ident| $body:expr) => {
        $crate::contestants::each_async!(|$L| $body, parking_lot::RwLock<()>, $Floor)
    };
}

pub(crate) use {awaits, blocks, each, each_async};
#[cfg(feature = "observed")]
pub(crate) use {contestant, methods};

/// The data behind the lock. It loses counts if exclusive holders are not alone.
#[derive(Default)]
pub(crate) struct Guarded {
    first: AtomicU64,
    second: AtomicU64,
}

impl Guarded {
    /// The first half of an exclusive section.
    #[inline]
    pub(crate) fn begin<L: Lock>(&self) {
        add::<L>(&self.first);
    }

    /// The second half.
    #[inline]
    pub(crate) fn end<L: Lock>(&self) {
        add::<L>(&self.second);
    }

    #[inline]
    pub(crate) fn change<L: Lock>(&self) {
        self.begin::<L>();
        self.end::<L>();
    }

    /// A shared section: no exclusive holder is halfway.
    #[inline]
    pub(crate) fn look<L: Lock>(&self) {
        let (first, second) = (self.first.load(Relaxed), self.second.load(Relaxed));
        assert!(first == second || !L::EXCLUDES, "an exclusive holder is present, too");
    }

    /// The number of exclusive sections.
    pub(crate) fn changes(&self) -> u64 {
        let (first, second) = (self.first.load(Relaxed), self.second.load(Relaxed));
        assert_eq!(first, second, "all sections have ended");
        first
    }
}

/// Holds the lock while other tasks are polled. `entered` is called at the beginning.
#[inline]
pub(crate) async fn hold<L: AsyncLock>(
    lock: &L,
    guarded: &Guarded,
    is_exclusive: bool,
    entered: impl FnOnce() + Send,
) {
    if is_exclusive {
        let guard = lock.exclusive().await;
        black_box(&guard);
        entered();
        guarded.begin::<L>();
        yield_now().await;
        guarded.end::<L>();
    } else {
        let guard = lock.shared().await;
        black_box(&guard);
        entered();
        guarded.look::<L>();
        yield_now().await;
        guarded.look::<L>();
    }
}

#[inline]
fn add<L: Lock>(count: &AtomicU64) {
    if L::EXCLUDES {
        count.store(count.load(Relaxed) + 1, Relaxed);
    } else {
        count.fetch_add(1, Relaxed);
    }
}

/// Whether the `turn`th turn of a task is exclusive, where `percent` of a hundred turns are: spread
/// evenly over its turns, and at each turn over the tasks.
#[inline]
pub(crate) fn is_exclusive(task: u64, turn: u64, percent: u64) -> bool {
    (turn + 37 * task) * percent % 100 + percent >= 100
}

/// The number of exclusive turns of all tasks.
pub(crate) fn exclusive_turns(tasks: u64, turns: u64, percent: u64) -> u64 {
    let of_task = |task| (0..turns).filter(move |turn| is_exclusive(task, *turn, percent)).count();
    (0..tasks).map(of_task).sum::<usize>() as u64
}
