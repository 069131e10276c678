//! Those who join a queue that others leave, and wakers that are renewed.

use super::*;

/// Behind a dormant waiter of its mode: the bit is set, and who joins writes nothing.
///
/// Fails if a waiter does not look again when it listens, if `wake` calls nobody exclusive, and if somebody
/// is called and not woken.
#[test]
fn p2_who_joins_a_lane_that_is_marked_is_found() {
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

/// A waiter gets another waker while it is called, and only that one wakes it.
///
/// Fails if `List::renew` leaves the old waker in the node.
#[test]
fn p1_a_waker_may_be_renewed_while_it_is_called() {
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

/// Fails as `p1_a_waker_may_be_renewed_while_it_is_called` does.
#[test]
fn u2_the_waker_of_an_upgrade_may_be_renewed_while_it_is_called() {
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

/// Two shared waiters go at once, perhaps called together, and a thread waits behind them.
///
/// Fails as `c2_a_dropped_shared_waiter_passes_its_call_on` does.
#[test]
fn c2_shared_waiters_that_were_called_together_may_all_go_at_once() {
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

/// Two exclusive waiters go at once, and a thread joins a shared waiter that waits because of them.
///
/// Fails as `c1_a_dropped_exclusive_waiter_lets_shared_ones_in` does.
#[test]
fn c1_the_last_exclusive_waiter_to_go_lets_in_who_joins() {
    model(|| {
        let data = Data::new();
        let guard = data.lock.try_acquire(Shared).unwrap();
        let first = queued(data.lock.acquire(Exclusive));
        let dormant = queued(data.lock.acquire(Shared));
        let thread = user(&data, Shared);
        let second = passer_by(&data, Exclusive);
        drop(first);
        // The shared holder and the dormant waiter stay: the thread must get in beside them.
        join([second, thread]);
        drop((dormant, guard));
        data.check(0);
    });
}
