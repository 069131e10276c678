//! Upgrades and downgrades (`u`).

use super::*;

#[test]
fn u1_one_upgradable_holder_beside_any_number_of_shared_ones() {
    let lock = lock();
    let before = [(); 3].map(|()| hold(&lock, Shared));
    let upgradable = hold(&lock, Upgradable);
    let after = [(); 3].map(|()| now(lock.acquire(Shared)));
    assert_eq!(lock.locked(), Some(Upgradable));
    assert_eq!(lock.snapshot().shared_holders(), 6);
    assert!(lock.try_acquire(Upgradable).is_none());
    let mut second = Task::queued(lock.acquire(Upgradable));
    drop(upgradable);
    assert!(second.woken(), "it does not wait for the shared holders");
    drop((second.finish(), before, after));
}

#[test]
fn u2_an_upgrade_waits_only_for_the_shared_holders_present() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let mut holders = vec![hold(&lock, Shared), hold(&lock, Shared), hold(&lock, Shared)];
        let mut guard = hold(&lock, mode);
        let mut upgrade = Task::queued(guard.upgrade());
        assert!(lock.snapshot().is_upgrading());
        // No newcomer can prolong its wait.
        assert!(Mode::ALL.iter().all(|mode| lock.try_acquire(*mode).is_none()));
        assert!(holders[0].share().is_none());
        while holders.pop().is_some() {
            assert_eq!(upgrade.wakes(), usize::from(holders.is_empty()));
        }
        upgrade.finish().unwrap();
        assert_eq!(upgrade.polls(), 2);
        drop(upgrade);
        assert_eq!((guard.mode(), lock.locked()), (Exclusive, Some(Exclusive)));
        drop(guard);
        assert_idle(&lock);
    }
}

#[test]
fn u2_alone_it_is_ready_at_once() {
    for mode in Mode::ALL {
        let lock = lock();
        let mut guard = hold(&lock, mode);
        now(guard.upgrade()).unwrap();
        assert_eq!(guard.mode(), Exclusive);
        assert!(lock.try_acquire(Shared).is_none());
        drop(guard);
        assert_idle(&lock);
    }
}

/// What the upgrading holder has read must stay true. If the upgrade released the lock in between,
/// it would not.
#[test]
fn u2_a_queued_exclusive_waiter_does_not_enter_before_an_upgrade() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let (mut guard, shared) = (hold(&lock, mode), hold(&lock, Shared));
        let mut exclusive = Task::queued(lock.acquire(Exclusive));
        let mut upgrade = Task::queued(guard.upgrade());
        drop(shared);
        // The upgrade was woken and not polled yet: no other task enters, not even one that is
        // polled.
        exclusive.waits();
        assert!(lock.try_acquire(Exclusive).is_none());
        upgrade.run().expect("woken").unwrap();
        drop(upgrade);
        exclusive.waits();
        assert_eq!(exclusive.wakes(), 0);
        drop(guard);
        drop(exclusive.run().expect("woken"));
    }
}

#[test]
fn u2_a_dropped_upgrade_keeps_the_guard_and_admits_those_that_waited_behind_it() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let (mut guard, other) = (hold(&lock, mode), hold(&lock, Shared));
        let upgrade = Task::queued(guard.upgrade());
        let mut shared = [Task::queued(lock.acquire(Shared)), Task::queued(lock.acquire(Shared))];
        let upgradable = Task::queued(lock.acquire(Upgradable));
        drop(upgrade);
        assert_eq!(guard.mode(), mode);
        assert_eq!(woken(&shared), [true, true]);
        assert_eq!(upgradable.woken(), mode == Shared);
        drop(shared.each_mut().map(Task::finish));
        assert!(lock.try_acquire(Exclusive).is_none());
        drop((other, guard, upgradable));
        assert_idle(&lock);
    }
}

#[test]
fn u2_a_woken_upgrade_may_be_dropped() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let (mut guard, other) = (hold(&lock, mode), hold(&lock, Shared));
        let upgrade = Task::queued(guard.upgrade());
        let mut shared = Task::queued(lock.acquire(Shared));
        let mut exclusive = Task::queued(lock.acquire(Exclusive));
        drop(other);
        assert!(upgrade.woken());
        drop(upgrade);
        assert_eq!((guard.mode(), lock.locked()), (mode, Some(mode)));
        assert!(!shared.woken() && !exclusive.woken(), "an exclusive waiter is still queued");
        drop(guard);
        drop(exclusive.run().expect("woken"));
        drop(shared.run().expect("woken"));
        assert_idle(&lock);
    }
}

#[test]
fn u2_an_upgrade_or_a_cancel_future_ends_with_one_of_them() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let switch = Arc::new(Switch::default());
        let mut guard = hold(&lock, mode);
        now(guard.upgrade_or(switch.clone().wait())).unwrap().unwrap();
        assert_eq!((guard.mode(), lock.locked()), (Exclusive, Some(Exclusive)));
        // An exclusive guard stays as it is.
        now(guard.upgrade_or(switch.clone().wait())).unwrap().unwrap();
        assert_eq!(switch.polls.load(SeqCst), 0, "polled needlessly");
        guard.downgrade(mode);

        // Upgraded.
        let other = hold(&lock, Shared);
        let mut upgrade = Task::queued(guard.upgrade_or(switch.clone().wait()));
        assert!(lock.snapshot().is_upgrading());
        drop(other);
        upgrade.run().expect("woken").unwrap().unwrap();
        drop(upgrade);
        assert_eq!(guard.mode(), Exclusive);
        guard.downgrade(mode);

        // Canceled: those that waited behind it are woken before the future is dropped.
        let other = hold(&lock, Shared);
        let mut upgrade = Task::queued(guard.upgrade_or(switch.clone().wait()));
        let mut shared = Task::queued(lock.acquire(Shared));
        switch.on.store(1, SeqCst);
        assert_eq!(upgrade.finish().unwrap_err(), "cancelled");
        assert!(!lock.snapshot().is_upgrading());
        drop(shared.run().expect("woken"));
        drop(upgrade);
        assert_eq!(guard.mode(), mode);

        // Both are ready.
        switch.on.store(0, SeqCst);
        let mut upgrade = Task::queued(guard.upgrade_or(switch.clone().wait()));
        switch.on.store(1, SeqCst);
        drop(other);
        upgrade.finish().unwrap().unwrap();
        drop(upgrade);
        assert_eq!(guard.mode(), Exclusive);
        drop((guard, shared));
        assert_idle(&lock);
    }
}

/// The last holder leaves while `cancel` is polled.
#[test]
fn u2_a_canceled_upgrade_tries_once_more() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let (mut guard, mut other) = (hold(&lock, mode), Some(hold(&lock, Shared)));
        let cancel = poll_fn(|_| {
            other = None;
            Poll::Ready(())
        });
        assert_eq!(now(guard.upgrade_or(cancel)), Ok(Ok(())));
        assert_eq!(guard.mode(), Exclusive);
        drop(guard);
        assert_idle(&lock);
    }
}

#[test]
fn u2_a_dropped_upgrade_with_a_cancel_future_keeps_the_guard() {
    for mode in [Shared, Upgradable] {
        for woken in [false, true] {
            let lock = lock();
            let (mut guard, other) = (hold(&lock, mode), hold(&lock, Shared));
            let upgrade = Task::queued(guard.upgrade_or(pending::<()>()));
            let mut other = Some(other);
            if woken {
                other = None;
                assert!(upgrade.woken());
            }
            drop(upgrade);
            assert_eq!((guard.mode(), lock.locked()), (mode, Some(mode)));
            drop((guard, other));
            assert_idle(&lock);
        }
    }
}

/// The drop of `cancel` is foreign code. It runs when the guard has been upgraded.
#[cfg(panic = "unwind")]
#[test]
fn u2_an_upgrade_is_released_if_the_drop_of_cancel_panics() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let mut guard = hold(&lock, mode);
        let bomb = PanicsOnDrop;
        let cancel = async move {
            pending::<()>().await;
            drop(bomb);
        };
        let upgrade = AssertUnwindSafe(|| _ = poll_once(guard.upgrade_or(cancel)));
        assert_eq!(message(catch_unwind(upgrade).unwrap_err()), "in drop");
        assert_eq!(lock.locked(), Some(guard.mode()));
        drop(guard);
        assert_idle(&lock);
    }
}

#[test]
fn u3_the_second_of_two_upgraders_is_refused_at_once() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let (mut first, mut second) = (hold(&lock, mode), hold(&lock, Shared));
        let mut upgrade = Task::queued(first.upgrade());
        assert_eq!(now(second.upgrade()), Err(UpgradeError::Conflict));
        assert_eq!(now(second.upgrade_or(ready(()))), Ok(Err(UpgradeError::Conflict)));
        assert_eq!(second.try_upgrade(), Err(UpgradeError::Conflict));
        // The second holder keeps its guard, which still blocks the upgrade.
        assert_eq!(second.mode(), Shared);
        upgrade.waits();
        assert!(!upgrade.woken());
        drop(second);
        upgrade.run().expect("woken").unwrap();
    }
}

#[test]
fn u3_a_shared_holder_cannot_upgrade_beside_an_upgradable_one() {
    let lock = lock();
    let (mut shared, mut upgradable) = (hold(&lock, Shared), hold(&lock, Upgradable));
    assert_eq!(now(shared.upgrade()), Err(UpgradeError::Conflict));
    assert_eq!(shared.try_upgrade(), Err(UpgradeError::Conflict));
    assert_eq!(upgradable.try_upgrade(), Err(UpgradeError::SharedHolders));
    assert_eq!((shared.mode(), upgradable.mode()), (Shared, Upgradable));
    assert!(!lock.snapshot().is_upgrading());
    drop(upgradable);
    let other = hold(&lock, Shared);
    assert_eq!(shared.try_upgrade(), Err(UpgradeError::SharedHolders));
    drop(other);
    shared.try_upgrade().unwrap();
    drop(shared);
    assert_idle(&lock);
}

/// The first upgrade waits, and the second is refused. Then the first is cancelled, and the second
/// may upgrade.
#[test]
fn u3_after_the_first_was_cancelled_the_second_may_upgrade() {
    let lock = lock();
    let (mut first, mut second) = (hold(&lock, Shared), hold(&lock, Shared));
    let upgrade = Task::queued(first.upgrade());
    assert_eq!(now(second.upgrade()), Err(UpgradeError::Conflict));
    drop(upgrade);
    let mut upgrade = Task::queued(second.upgrade());
    drop(first);
    upgrade.run().expect("woken").unwrap();
}

#[test]
fn u4_downgrading_wakes_all_that_it_admits() {
    // The modes before and after, and which waiters are woken: the shared ones, the first and the
    // second upgradable one.
    let table = [
        (Exclusive, Shared, [true, true, false]),
        (Exclusive, Upgradable, [true, false, false]),
        (Upgradable, Shared, [false, true, false]),
    ];
    for (from, to, [shared_enter, first_enters, second_enters]) in table {
        let lock = lock();
        let mut guard = hold(&lock, from);
        let mut upgradable =
            [Task::queued(lock.acquire(Upgradable)), Task::queued(lock.acquire(Upgradable))];
        let mut shared: Vec<_> = (0..20)
            .map(|_| Task::new(lock.acquire(Shared)))
            .filter_map(|mut task| task.poll().is_pending().then_some(task))
            .collect();
        guard.downgrade(to);
        assert_eq!((guard.mode(), lock.locked()), (to, Some(to)));
        assert_eq!(shared.is_empty(), !shared_enter);
        let entered: Vec<_> = shared.iter_mut().map(|task| task.run().expect("woken")).collect();
        assert_eq!(woken(&upgradable), [first_enters, second_enters], "{from:?} to {to:?}");
        let entered = (entered, upgradable[0].run());
        drop((entered, guard, upgradable));
        assert_idle(&lock);
    }
}

#[test]
fn u4_an_exclusive_waiter_is_not_woken_by_a_downgrade() {
    for (from, to) in [(Exclusive, Shared), (Exclusive, Upgradable), (Upgradable, Shared)] {
        let lock = lock();
        let mut guard = hold(&lock, from);
        let mut exclusive = Task::queued(lock.acquire(Exclusive));
        guard.downgrade(to);
        assert!(!exclusive.woken());
        drop(guard);
        drop(exclusive.run().expect("woken"));
    }
}

#[test]
fn u4_an_upgrade_and_a_downgrade_make_a_round() {
    let lock = lock();
    let mut guard = hold(&lock, Upgradable);
    now(guard.upgrade()).unwrap();
    let mut shared = Task::queued(lock.acquire(Shared));
    guard.downgrade(Upgradable);
    let shared = shared.run().expect("woken");
    let mut upgrade = Task::queued(guard.upgrade());
    drop(shared);
    upgrade.run().expect("woken").unwrap();
    drop(upgrade);
    drop(guard);
    assert_idle(&lock);
}
