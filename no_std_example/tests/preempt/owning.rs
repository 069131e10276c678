//! What needs a heap: names, sets, and the first wait on a lock, which allocates its queue.

extern crate alloc;

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering::SeqCst};

use embassy_sync::once_lock::OnceLock;
use multilock::LockSet;
use multilock::Mode::{Exclusive, Shared};
use no_std_example::sweep::{Waiter, under_fire, wait_for_shot};
use no_std_example::wait;

use super::*;

/// [`LOCKS`], or new ones that have no queue yet.
static CURRENT: AtomicPtr<Locks> = AtomicPtr::new((&raw const LOCKS).cast_mut());

pub fn locks() -> &'static Locks {
    // SAFETY: a static, or locks of `with_new_locks`, which are not used after its end.
    unsafe { &*CURRENT.load(SeqCst) }
}

fn with_new_locks(operation: fn()) {
    let new = Box::into_raw(Box::new(Locks::new()));
    CURRENT.store(new, SeqCst);
    operation();
    wait_for_shot();
    end_turn();
    CURRENT.store((&raw const LOCKS).cast_mut(), SeqCst);
    // SAFETY: the operation and the interrupt have released everything, and have no reference any more.
    drop(unsafe { Box::from_raw(new) });
}

pub const UNCONTENDED: &[Operation] = &[("try a set", try_a_set), ("acquire a set", acquire_a_set)];

pub const CONTENDED: &[Operation] = &[
    ("first wait", || with_new_locks(|| wait_behind(Exclusive, Exclusive))),
    ("monitor, first", || with_new_locks(monitor)),
    ("adopt a handle, first", || with_new_locks(adopt_a_handle)),
    ("cancel a wait with a name", cancel_a_name),
    ("release a name", release_a_name),
    ("names", names),
    ("names of a crowd", names_of_a_crowd),
    ("holders of a crowd", holders_of_a_crowd),
    ("wait for a name", wait_for_a_name),
    ("wait for a set", wait_for_a_set),
    ("cancel a set", cancel_a_set),
    ("release a set", release_a_set),
    ("monitor of a set", monitor_of_a_set),
];

pub const INTERRUPTS: &[Operation] = &[
    ("try a set and a name", || {
        drop(set().try_acquire(Exclusive));
        let names = &locks().names;
        if RELEASES_A_NAME.load(SeqCst) && names.locked().is_none() {
            assert!(names.try_acquire(Shared, 1).is_ok());
            names.release(&1);
        }
        if names.try_acquire(Shared, 2).is_ok() {
            names.release(&2);
        }
    }),
    ("keep a name", || {
        let name = locks().names.try_acquire(Shared, 3);
        keep(name.is_ok().then_some(Hold::Name(3)));
    }),
    ("task: set", || ask(|| Job::Set)),
];

// ---- Names

fn cancel_a_name() {
    let names = &locks().names;
    names.try_acquire(Exclusive, 1).unwrap();
    put_hold(Hold::Name(1));
    under_fire(|| {
        wait!(_waiter = names.acquire(Exclusive, 2), 0);
    });
    // The name is in use if the interrupt has released the other one.
    names.release(&2);
    let_go();
}

/// Whether the interrupts that find the lock free must find the name free.
static RELEASES_A_NAME: AtomicBool = AtomicBool::new(false);

fn release_a_name() {
    let names = &locks().names;
    names.try_acquire(Exclusive, 1).unwrap();
    RELEASES_A_NAME.store(true, SeqCst);
    under_fire(|| names.release(&1));
    RELEASES_A_NAME.store(false, SeqCst);
}

fn names() {
    let names = &locks().names;
    under_fire(|| {
        let ours = [1, 2, 3].map(|name| {
            let is_ours = names.try_acquire(Shared, name).is_ok();
            assert!(!is_ours || names.try_acquire(Shared, name).is_err());
            (name, is_ours)
        });
        let mut holders = names.holders();
        holders.sort_unstable();
        assert!(holders.windows(2).all(|two| two[0].0 != two[1].0), "two holders with one name");
        for (name, _) in ours.iter().filter(|(_, is_ours)| *is_ours) {
            assert_eq!(names.release(name), Some(Shared));
        }
    });
}

/// As many names as are compared in one critical section.
fn names_of_a_crowd() {
    let names = &locks().names;
    for name in 10..17 {
        names.try_acquire(Shared, name).unwrap();
    }
    under_fire(|| {
        assert!(names.try_acquire(Shared, 16).is_err());
        names.try_acquire(Shared, 17).unwrap();
        assert_eq!(names.release(&17), Some(Shared));
    });
    for name in 10..17 {
        names.release(&name);
    }
}

/// As many names as are copied in one critical section.
fn holders_of_a_crowd() {
    let names = &locks().names;
    for name in 10..18 {
        names.try_acquire(Shared, name).unwrap();
    }
    under_fire(|| assert!(names.holders().len() >= 8));
    for name in 10..18 {
        names.release(&name);
    }
}

fn wait_for_a_name() {
    let names = &locks().names;
    names.try_acquire(Exclusive, 1).unwrap();
    put_hold(Hold::Name(1));
    under_fire(|| {
        wait!(waiter = names.acquire(Exclusive, 2), 0);
        let_go();
        waiter.finish().unwrap().unwrap();
        assert_eq!(names.release(&2), Some(Exclusive));
    });
}

// ---- Sets

pub type Set = LockSet<&'static MultiLock>;

pub fn set() -> Set {
    [other(), lock()].into_iter().collect()
}

fn try_a_set() {
    let set = set();
    under_fire(|| drop(set.try_acquire(Exclusive)));
}

fn acquire_a_set() {
    let set = set();
    under_fire(|| {
        wait!(waiter = set.acquire(Exclusive), 0);
        drop(waiter.finish().unwrap());
    });
}

fn wait_for_a_set() {
    let set = set();
    hold(Exclusive);
    under_fire(|| {
        wait!(waiter = set.acquire(Shared), 0);
        let_go();
        drop(waiter.finish().unwrap());
    });
}

fn cancel_a_set() {
    let set = set();
    hold(Exclusive);
    let future = Waiter::new(0, Box::pin(set.acquire(Exclusive)));
    wait!(second = lock().acquire(Shared), 1);
    release_hold();
    under_fire(|| drop(future));
    drop(second.finish().unwrap());
}

fn release_a_set() {
    static SET: OnceLock<Set> = OnceLock::new();
    put_hold(Hold::Set(SET.get_or_init(set).try_acquire(Exclusive).unwrap()));
    wait!(one = lock().acquire(Shared), 0);
    wait!(two = other().acquire(Exclusive), 1);
    under_fire(let_go);
    drop(one.finish().unwrap());
    drop(two.finish().unwrap());
}

fn monitor_of_a_set() {
    let set = set();
    hold(Exclusive);
    under_fire(|| {
        let monitor = set.monitor(Shared);
        wait!(waiter = monitor.wait(), 0);
        let_go();
        waiter.finish().unwrap();
    });
}
