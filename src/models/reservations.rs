//! Waiters that were overtaken, and waiters that defer to them. In the models one lost race is
//! enough for a reservation, which ends at the third look of a waiter that would have to defer.

use super::*;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::lock::AcquireFuture;
use crate::raw::reservation::RACES;

/// Returns a waiter that was overtaken so often that it has reserved the lock, and the guard of the
/// last newcomer that overtook it.
fn starving(data: &Data, mode: Mode) -> (Pin<Box<AcquireFuture<'_>>>, Guard<'_>) {
    let mut guard = data.lock.try_acquire(Exclusive).unwrap();
    let mut waiter = queued(AcquireFuture::new(&data.lock, mode));
    for _ in 0..RACES {
        drop(guard);
        guard = data.lock.try_acquire(Exclusive).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiter.as_mut().poll(&mut cx).is_pending());
    }
    (waiter, guard)
}

/// A rival is polled twice. Its first poll comes while the lock is held, or when it is free.
/// Neither a queued waiter that was not woken nor a newcomer enters before the starving waiter.
#[test]
fn q3_nothing_overtakes_a_starving_waiter() {
    // On plain threads a reservation ends by the clock.
    if cfg!(not(any(loom, shuttle))) {
        return;
    }
    model(|| {
        let data = Data::new();
        let (waiter, guard) = starving(&data, Exclusive);
        let is_in = Arc::new(AtomicBool::new(false));
        let rival = {
            let (data, is_in) = (data.clone(), is_in.clone());
            spawn(move || {
                let mut acquire = Box::pin(data.lock.acquire(Exclusive));
                // The table of a clone is that of each clone of it. If the rival had to be queued with
                // another waker, it would look twice.
                let waker = Waker::noop().clone();
                let mut cx = Context::from_waker(&waker);
                if (0..2).any(|_| acquire.as_mut().poll(&mut cx).is_ready()) {
                    assert!(is_in.load(SeqCst), "the waiter was overtaken again");
                }
            })
        };
        drop(guard);
        let guard = block_on(waiter, None).unwrap();
        is_in.store(true, SeqCst);
        data.add_one(&guard);
        drop(guard);
        join([rival]);
        data.check(1);
    });
}

/// A writer that was woken after the starving waiter defers to it.
#[test]
fn q3_a_woken_waiter_does_not_overtake_a_woken_starving_waiter() {
    for mode in [Shared, Exclusive] {
        model(move || {
            let data = Data::new();
            let (waiter, guard) = starving(&data, mode);
            let mut rival = queued(data.lock.acquire(Exclusive));
            drop(guard);
            // It is the turn of the rival when the thread releases.
            let thread = {
                let data = data.clone();
                spawn(move || drop(data.lock.try_acquire(Exclusive)))
            };
            let is_ready = rival.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            assert!(!is_ready, "the waiter was overtaken again");
            data.read(&block_on(waiter, None).unwrap());
            join([thread]);
            drop(rival);
            data.check(0);
        });
    }
}

/// The lock is not reserved forever for a waiter that is not polled.
#[test]
fn p1_a_starving_waiter_that_sleeps_on_blocks_no_other() {
    for mode in [Shared, Exclusive] {
        model(move || {
            let data = Data::new();
            let (dormant, guard) = starving(&data, Exclusive);
            // The release wakes the dormant waiter. So the wake-up of this release is lost to the
            // waiters that are queued already.
            drop(guard);
            // Another thread changes the word and locks the queue meanwhile.
            let monitors = {
                let data = data.clone();
                spawn(move || drop(data.lock.monitor(Shared)))
            };
            join([user(&data, mode), monitors]);
            drop(dormant);
            data.check(u32::from(mode == Exclusive));
        });
    }
}

/// The starving waiter is dropped while another waiter defers to it, or is about to.
#[test]
fn c1_a_dropped_starving_waiter_leaves_no_reservation() {
    model(|| {
        let data = Data::new();
        let (waiter, guard) = starving(&data, Exclusive);
        // It is made before the other is freed: it does not get the address of the other.
        let mut last = Box::pin(data.lock.acquire(Exclusive));
        let rivals = [user(&data, Exclusive)];
        drop(guard);
        drop(waiter);
        join(rivals);
        let guard = data.lock.try_acquire(Exclusive).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(last.as_mut().poll(&mut cx).is_pending());
        drop(guard);
        let is_ready = last.as_mut().poll(&mut cx).is_ready();
        assert!(is_ready, "it defers to a waiter that was dropped");
        drop(last);
        data.check(1);
    });
}

/// A woken waiter defers to another, and is dropped: the wake-up is not lost.
#[test]
fn c3_a_waiter_that_defers_passes_its_wake_up_on() {
    model(|| {
        let data = Data::new();
        let (dormant, guard) = starving(&data, Exclusive);
        let mut notified = queued(data.lock.acquire(Exclusive));
        let next = user(&data, Exclusive);
        // The first release wakes the starving waiter, and the second the next in the queue.
        drop(guard);
        drop(data.lock.try_acquire(Exclusive));
        let _ = notified.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(notified);
        join([next]);
        drop(dormant);
        data.check(1);
    });
}
