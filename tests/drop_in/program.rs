// Not a module: this file is included where the names are those of one crate or of the other.

use std::fmt::{Debug, Display};
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

static GLOBAL: RwLock<u32> = RwLock::new(1);

fn reads(guard: impl Deref<Target = u32> + Debug + Display) -> u32 {
    assert_eq!(format!("{guard} {guard:?}"), format!("{} {}", *guard, *guard));
    *guard
}

fn adds(mut guard: impl DerefMut<Target = u32> + Debug + Display) -> u32 {
    *guard += 1;
    *guard
}

fn is_pending(future: Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn now<F: Future>(future: F) -> F::Output {
    let Poll::Ready(output) = pin!(future).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits")
    };
    output
}

/// A structure of a program may name the futures.
struct Named<'a> {
    read: Read<'a, u32>,
    read_arc: ReadArc<'a, u32>,
    upgradable: UpgradableRead<'a, u32>,
    upgradable_arc: UpgradableReadArc<'a, u32>,
    write: Write<'a, u32>,
    write_arc: WriteArc<'a, u32>,
}

fn sent<T: Send + Sync>(value: T) -> T {
    value
}

fn is_static<T: Send + 'static>(value: T) -> T {
    value
}

#[test]
fn constructors() {
    assert_eq!(RwLock::new(1).into_inner(), 1);
    assert_eq!(RwLock::from(1).into_inner(), 1);
    assert_eq!(RwLock::<u32>::default().into_inner(), 0);
    let mut lock = RwLock::new(1);
    *lock.get_mut() += 1;
    assert!(format!("{lock:?}").starts_with("RwLock"));
    assert_eq!(lock.into_inner(), 2);
    adds(GLOBAL.try_write().unwrap());
    assert_eq!(reads(GLOBAL.try_read().unwrap()), 2);
}

#[test]
fn tries() {
    let lock = Arc::new(RwLock::new(1));
    let first = lock.try_read().unwrap();
    let second = lock.try_read_arc().unwrap();
    let third = lock.try_upgradable_read().unwrap();
    assert!(lock.try_upgradable_read().is_none() && lock.try_upgradable_read_arc().is_none());
    assert!(lock.try_write().is_none() && lock.try_write_arc().is_none());
    assert_eq!(reads(first) + reads(second) + reads(third), 3);
    assert_eq!(reads(lock.try_upgradable_read_arc().unwrap()), 1);
    let guard = lock.try_write().unwrap();
    assert!(lock.try_read().is_none() && lock.try_read_arc().is_none());
    assert_eq!(adds(guard), 2);
    assert_eq!(adds(lock.try_write_arc().unwrap()), 3);
}

#[test]
fn waits() {
    let lock = Arc::new(RwLock::new(1));
    {
        let Named { read, read_arc, upgradable, upgradable_arc, write, write_arc } = sent(Named {
            read: lock.read(),
            read_arc: lock.read_arc(),
            upgradable: lock.upgradable_read(),
            upgradable_arc: lock.upgradable_read_arc(),
            write: lock.write(),
            write_arc: lock.write_arc(),
        });
        assert_eq!(reads(now(read)), 1);
        assert_eq!(reads(is_static(now(read_arc))), 1);
        assert_eq!(reads(now(upgradable)), 1);
        assert_eq!(reads(is_static(now(upgradable_arc))), 1);
        assert_eq!(adds(now(write)), 2);
        assert_eq!(adds(is_static(now(write_arc))), 3);
    }
    let guard = lock.try_write().unwrap();
    let mut read = pin!(lock.read());
    assert!(is_pending(read.as_mut()));
    drop(guard);
    let guard = now(read.as_mut());
    let mut write = pin!(lock.write());
    let mut later = pin!(lock.read());
    assert!(is_pending(write.as_mut()));
    assert!(is_pending(later.as_mut()), "a writer waits");
    drop(guard);
    assert_eq!(adds(now(write.as_mut())), 4);
    assert_eq!(reads(now(later.as_mut())), 4);
}

#[test]
fn blocks() {
    let lock = Arc::new(RwLock::new(0));
    let turn = |n: u32| match n % 4 {
        0 => adds(lock.write_blocking()),
        1 => adds(lock.write_arc_blocking()),
        2 => adds(RwLockUpgradableReadGuard::upgrade_blocking(lock.upgradable_read_blocking())),
        _ => adds(RwLockUpgradableReadGuardArc::upgrade_blocking(
            lock.upgradable_read_arc_blocking(),
        )),
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..400).for_each(|n| _ = turn(n)));
        }
        scope.spawn(|| {
            for _ in 0..400 {
                assert!(reads(lock.read_blocking()) <= reads(lock.read_arc_blocking()));
            }
        });
    });
    assert_eq!(*lock.read_blocking(), 800);
}

#[test]
fn upgrades() {
    let lock = Arc::new(RwLock::new(1));
    let reader = lock.try_read().unwrap();
    let guard =
        RwLockUpgradableReadGuard::try_upgrade(lock.try_upgradable_read().unwrap()).unwrap_err();
    let upgrade: Upgrade<'_, u32> = sent(RwLockUpgradableReadGuard::upgrade(guard));
    let mut upgrade = pin!(upgrade);
    assert!(is_pending(upgrade.as_mut()));
    assert!(lock.try_write().is_none());
    drop(reader);
    assert_eq!(adds(now(upgrade.as_mut())), 2);

    let reader = lock.try_read_arc().unwrap();
    let guard = lock.try_upgradable_read_arc().unwrap();
    let guard = RwLockUpgradableReadGuardArc::try_upgrade(guard).unwrap_err();
    let upgrade: UpgradeArc<u32> = is_static(RwLockUpgradableReadGuardArc::upgrade(guard));
    let mut upgrade = Box::pin(upgrade);
    assert!(is_pending(upgrade.as_mut()));
    drop(reader);
    assert_eq!(adds(now(upgrade.as_mut())), 3);
    drop(upgrade);

    let guard = lock.try_upgradable_read().unwrap();
    assert_eq!(adds(RwLockUpgradableReadGuard::try_upgrade(guard).unwrap()), 4);
    let guard = lock.try_upgradable_read_arc().unwrap();
    assert_eq!(adds(RwLockUpgradableReadGuardArc::try_upgrade(guard).unwrap()), 5);

    // A dropped upgrade drops its guard, too.
    let reader = lock.try_read().unwrap();
    let mut upgrade =
        Box::pin(RwLockUpgradableReadGuard::upgrade(lock.try_upgradable_read().unwrap()));
    assert!(is_pending(upgrade.as_mut()));
    drop(upgrade);
    drop(reader);
    assert!(lock.try_write().is_some());
    assert_eq!(Arc::strong_count(&lock), 1);
}

#[test]
fn downgrades() {
    let lock = Arc::new(RwLock::new(1));
    let guard = RwLockWriteGuard::downgrade_to_upgradable(lock.try_write().unwrap());
    assert!(lock.try_upgradable_read().is_none());
    assert_eq!(reads(lock.try_read().unwrap()), 1);
    let guard: RwLockReadGuard<'_, u32> = RwLockUpgradableReadGuard::downgrade(guard);
    assert!(lock.try_upgradable_read().is_some() && lock.try_write().is_none());
    assert_eq!(reads(guard), 1);
    assert_eq!(reads(RwLockWriteGuard::downgrade(lock.try_write().unwrap())), 1);

    let guard = RwLockWriteGuardArc::downgrade_to_upgradable(lock.try_write_arc().unwrap());
    assert!(lock.try_upgradable_read_arc().is_none());
    let guard: RwLockReadGuardArc<u32> = RwLockUpgradableReadGuardArc::downgrade(guard);
    assert!(lock.try_write_arc().is_none());
    assert_eq!(reads(guard), 1);
    assert_eq!(reads(RwLockWriteGuardArc::downgrade(lock.try_write_arc().unwrap())), 1);
    assert!(lock.try_write().is_some());
    assert_eq!(Arc::strong_count(&lock), 1);
}

#[test]
fn data_without_a_size() {
    let lock: Arc<RwLock<[u32]>> = Arc::new(RwLock::new([1, 2]));
    assert_eq!(lock.try_read().unwrap().len(), 2);
    lock.try_write_arc().unwrap()[0] = 3;
    let guard = RwLockUpgradableReadGuardArc::upgrade(lock.try_upgradable_read_arc().unwrap());
    assert_eq!(*now(guard), [3, 2]);
    let object: Box<RwLock<dyn Fn() -> u32 + Send + Sync>> = Box::new(RwLock::new(|| 7));
    assert_eq!((object.try_read().unwrap())(), 7);
}

/// What traits may name without a bound: compiling is the test.
#[allow(dead_code, reason = "that it compiles is enough")]
trait Names {
    type Guard;
    type Reads;
    type Writes;
}

#[allow(dead_code, reason = "that it compiles is enough")]
struct Of<'a, T>(std::marker::PhantomData<(&'a (), T)>);

impl<'a, T> Names for Of<'a, T> {
    type Guard = RwLockReadGuard<'a, T>;
    type Reads = Read<'a, T>;
    type Writes = Write<'a, T>;
}

#[test]
fn guards_pass_where_panics_are_caught() {
    let lock = Arc::new(RwLock::new(1));
    let guard = lock.try_read_arc().unwrap();
    assert!(std::panic::catch_unwind(move || *guard).is_ok());
}

/// A reader of long-lived data can be used as a reader of shorter-lived data.
#[test]
fn readers_are_covariant() {
    fn shorten_arc<'a>(
        long: RwLockReadGuardArc<&'static str>,
        _: &'a str,
    ) -> RwLockReadGuardArc<&'a str> {
        long
    }
    fn shorten<'a>(
        long: RwLockReadGuard<'a, &'static str>,
        _: &'a str,
    ) -> RwLockReadGuard<'a, &'a str> {
        long
    }
    let (lock, short) = (RwLock::new("long"), String::from("short"));
    assert_eq!(*shorten(lock.try_read().unwrap(), &short), "long");
    assert_eq!(*shorten_arc(Arc::new(lock).try_read_arc().unwrap(), &short), "long");
}
