//! Guards at the maximum of readers, which a test cannot reach by holding so many.

use std::sync::Arc;

use super::*;
use crate::lock::guard::Guard;
use crate::lock::handle::LockId;
use crate::lock::owned::GuardArc;
use crate::mode::Mode;
use crate::raw::RawLock;
use crate::rwlock::owned::{RwLockReadGuardArc, RwLockUpgradableReadGuardArc};

fn full() -> MultiLock {
    MultiLock { raw: RawLock::full(), id: LockId::new() }
}

#[test]
fn e3_at_the_maximum_no_guard_shares() {
    let lock = Arc::new(full());
    // Each stands for one of the holders that are counted.
    let guards = (Guard::new(&lock, Mode::Shared), GuardArc::new(lock.clone(), Mode::Shared));
    assert!(guards.0.share().is_none() && guards.1.share().is_none());
    // Another one leaves.
    lock.raw.release(Mode::Shared);
    let more = guards.0.share().unwrap();
    assert!(more.share().is_none() && guards.1.share().is_none());
}

#[test]
fn e3_at_the_maximum_no_reader_shares() {
    macro_rules! check {
        (|$lock:ident| $of:expr, $Read:ident, $Upgradable:ident, $upgradable_read:ident) => {
            let $lock = Arc::new(RwLock { lock: full(), data: UnsafeCell::new(1) });
            let reader = $Read::new($of, $lock.data());
            assert!($Read::share(&reader).is_none() && $lock.$upgradable_read().is_none());
            $lock.lock.raw.release(Mode::Shared);
            let upgradable = $lock.$upgradable_read().unwrap();
            let more = $Read::share(&reader).unwrap();
            assert_eq!((*reader, *more), (1, 1));
            assert!($Read::share(&more).is_none() && $Upgradable::share(&upgradable).is_none());
            drop(more);
            let _more = $Upgradable::share(&upgradable).unwrap();
            assert!($Read::share(&reader).is_none() && $lock.try_read().is_none());
        };
    }
    check!(|lock| &lock.lock, RwLockReadGuard, RwLockUpgradableReadGuard, try_upgradable_read);
    check! {
        |lock| lock.clone().into(), RwLockReadGuardArc, RwLockUpgradableReadGuardArc,
        try_upgradable_read_arc
    }
}
