//! Waiters that join a queue while others leave it, and wakers that are replaced.

use super::*;
use crate::lock::AcquireFuture;

/// A waiter joins behind a dormant waiter of its mode. The bit of their flag is set already, so the
/// joining waiter writes nothing.
#[test]
fn p2_a_waiter_that_joins_a_set_flag_is_found() {
    for mode in [Shared, Upgradable, Exclusive] {
        model_with(3, move || {
            let data = Data::new();
            let guard = data.lock.try_acquire(Exclusive).unwrap();
            let dormant = queued(data.lock.acquire(mode));
            let thread = user(&data, mode);
            drop(guard);
            let mut number = u32::from(mode == Exclusive);
            if let Some(guard) = data.lock.try_acquire(Exclusive) {
                data.add_one(&guard);
                number += 1;
            }
            join([thread]);
            drop(dormant);
            data.check(number);
        });
    }
}

/// A waiter gets another waker while it is notified, and only the new waker wakes it.
#[test]
fn p1_a_waker_may_be_replaced_while_it_is_woken() {
    for mode in [Shared, Exclusive] {
        model_with(3, move || {
            let data = Data::new();
            let guard = data.lock.try_acquire(Exclusive).unwrap();
            let thread = {
                let data = data.clone();
                spawn(move || {
                    let mut acquire = Box::pin(data.lock.acquire(mode));
                    let mut cx = Context::from_waker(Waker::noop());
                    let guard = match acquire.as_mut().poll(&mut cx) {
                        Poll::Ready(guard) => guard,
                        Poll::Pending => block_on(acquire, None).unwrap(),
                    };
                    data.read(&guard);
                })
            };
            data.add_one(&guard);
            drop(guard);
            join([thread]);
            data.check(1);
        });
    }
}

/// A waiter is overtaken. The next release notifies it again, and not the waiter that joined behind
/// it, which sleeps on.
#[test]
fn q3_an_overtaken_waiter_keeps_its_position() {
    for mode in [Upgradable, Exclusive] {
        model(move || {
            let lock = std::sync::Arc::new(MultiLock::new());
            let guard = lock.try_acquire(Exclusive).unwrap();
            let mut first = queued(lock.acquire_arc(mode));
            let dormant = queued(lock.acquire(mode));
            drop(guard);
            let guard = lock.try_acquire(Exclusive).unwrap();
            assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let thread = spawn(move || drop(block_on(first, None)));
            drop(guard);
            join([thread]);
            drop(dormant);
            assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
        });
    }
}

#[test]
fn u2_the_waker_of_an_upgrade_may_be_replaced_while_it_is_woken() {
    model_with(3, || {
        let data = Data::new();
        let mut guard = data.lock.try_acquire(Upgradable).unwrap();
        let thread = reader(&data);
        {
            let mut upgrade = Box::pin(guard.upgrade());
            let poll = upgrade.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if poll.is_pending() {
                block_on(upgrade, None).unwrap().unwrap();
            }
        }
        data.add_one(&guard);
        join([thread]);
        drop(guard);
        data.check(1);
    });
}

/// Two shared waiters are dropped at once, perhaps notified together, and a thread waits behind
/// them.
#[test]
fn c2_shared_waiters_notified_together_may_all_be_dropped_at_once() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let first = queued(data.lock.acquire(Shared));
        let second = passer_by(&data, Shared);
        let thread = user(&data, Exclusive);
        drop(guard);
        drop(first);
        join([second, thread]);
        data.check(1);
    });
}

/// Two exclusive waiters are dropped at once, and a thread joins a shared waiter that waits because
/// of them.
#[test]
fn c1_the_last_exclusive_waiter_to_leave_admits_a_joining_waiter() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Shared).unwrap();
        let first = queued(data.lock.acquire(Exclusive));
        let dormant = queued(data.lock.acquire(Shared));
        let thread = user(&data, Shared);
        let second = passer_by(&data, Exclusive);
        drop(first);
        // The shared holder and the dormant waiter stay: the thread must enter beside them.
        join([second, thread]);
        drop((dormant, guard));
        data.check(0);
    });
}

/// Returns the acquisition of a thread that was overtaken, and the guard of another holder. A
/// release of the guard hands the lock to the thread.
fn overtaken<'a>(data: &'a Data, mode: Mode) -> (Pin<Box<AcquireFuture<'a>>>, Guard<'a>) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut thread = Box::pin(AcquireFuture::for_thread(&data.lock, mode));
    let guard = data.lock.try_acquire(Exclusive).unwrap();
    assert!(thread.as_mut().poll(&mut cx).is_pending());
    drop(guard);
    let guard = data.lock.try_acquire(Exclusive).unwrap();
    assert!(thread.as_mut().poll(&mut cx).is_pending());
    (thread, guard)
}

/// Spawns a thread that takes over `guard`, adds one, and releases.
fn releases(data: &Arc<Data>, guard: Guard<'_>) -> JoinHandle<()> {
    let (data, handle) = (data.clone(), guard.into_handle());
    spawn(move || data.add_one(&data.lock.adopt(handle).unwrap()))
}

/// Spawns a thread that adds one if it can acquire the lock by a try.
fn tries(data: &Arc<Data>) -> JoinHandle<()> {
    let data = data.clone();
    spawn(move || {
        if let Some(guard) = data.lock.try_acquire(Exclusive) {
            data.add_one(&guard);
        }
    })
}

/// What a holder did is visible to the thread that it hands the lock to, and to the next holders.
/// That is so also if another waiter comes in between and hands the lock over.
#[test]
fn q3_an_overtaken_thread_is_handed_the_lock() {
    for mode in [Shared, Exclusive] {
        model(move || {
            let data = Data::new();
            let (thread, guard) = overtaken(&data, Exclusive);
            let threads = [user(&data, mode)];
            data.add_one(&guard);
            drop(guard);
            data.add_one(&block_on(thread, None).unwrap());
            join(threads);
            data.check(2 + u32::from(mode == Exclusive));
        });
    }
}

/// The holder is another thread than the one that is handed the lock.
#[test]
fn q3_a_thread_is_handed_the_lock_by_another() {
    model(|| {
        let data = Data::new();
        let (thread, guard) = overtaken(&data, Exclusive);
        let threads = [releases(&data, guard), user(&data, Exclusive)];
        data.add_one(&block_on(thread, None).unwrap());
        join(threads);
        data.check(3);
    });
}

/// It is first the turn of other waiters, which sleep on.
#[test]
fn q3_a_waiter_that_joins_behind_an_overtaken_thread_is_notified_with_its_mode() {
    model(|| {
        let data = Data::new();
        let (thread, guard) = overtaken(&data, Exclusive);
        let dormant = queued(data.lock.acquire(Upgradable));
        let threads = [releases(&data, guard), user(&data, Shared)];
        data.add_one(&block_on(thread, None).unwrap());
        join(threads);
        drop(dormant);
        data.check(2);
    });
}

/// A thread cancels its wait beside a writer that was woken and sleeps on. The writer keeps readers
/// out as the thread did.
#[test]
fn q3_a_waiter_that_joins_behind_a_cancelled_thread_is_notified() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let dormant = queued(data.lock.acquire(Exclusive));
        drop(guard);
        let (thread, guard) = overtaken(&data, Exclusive);
        let threads = [releases(&data, guard), user(&data, Shared)];
        drop(thread);
        join(threads);
        drop(dormant);
        data.check(1);
    });
}

#[test]
fn q3_a_thread_is_not_handed_what_another_has_acquired() {
    model(|| {
        let data = Data::new();
        let (thread, guard) = overtaken(&data, Exclusive);
        let threads = [releases(&data, guard), tries(&data)];
        data.add_one(&block_on(thread, None).unwrap());
        join(threads);
        assert!(data.lock.try_acquire(Exclusive).is_some());
    });
}

#[test]
fn c3_a_thread_may_cancel_while_it_is_handed_the_lock() {
    for mode in [Shared, Exclusive] {
        model(move || {
            let data = Data::new();
            let (thread, guard) = overtaken(&data, mode);
            let threads = [releases(&data, guard), user(&data, Exclusive)];
            drop(thread);
            join(threads);
            data.check(2);
        });
    }
}

/// Spawns a thread as [`releases`] does, but the thread releases fairly.
fn releases_fairly(data: &Arc<Data>, guard: Guard<'_>) -> JoinHandle<()> {
    let (data, handle) = (data.clone(), guard.into_handle());
    spawn(move || {
        let guard = data.lock.adopt(handle).unwrap();
        data.add_one(&guard);
        core::mem::forget(guard);
        data.lock.raw.release_fair(Exclusive);
    })
}

/// The thread was not overtaken. Another thread may acquire the lock by a try first; then the
/// release of that one hands the lock to the thread.
#[test]
fn q3_a_fair_release_hands_the_lock_to_a_thread() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let thread = queued(AcquireFuture::for_thread(&data.lock, Exclusive));
        let threads = [releases_fairly(&data, guard), tries(&data)];
        data.add_one(&block_on(thread, None).unwrap());
        join(threads);
        assert!(data.lock.try_acquire(Exclusive).is_some());
    });
}

#[test]
fn c3_a_thread_may_cancel_while_a_fair_release_hands_it_the_lock() {
    for mode in [Shared, Exclusive] {
        model(move || {
            let data = Data::new();
            let guard = data.lock.try_acquire(Exclusive).unwrap();
            let thread = queued(AcquireFuture::for_thread(&data.lock, mode));
            let threads = [releases_fairly(&data, guard), user(&data, Exclusive)];
            drop(thread);
            join(threads);
            data.check(2);
        });
    }
}
