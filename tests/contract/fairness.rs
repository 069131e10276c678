//! Fairness (`q`).

use super::*;

#[test]
fn q1_a_newcomer_waits_behind_an_exclusive_waiter() {
    for mode in [Shared, Upgradable] {
        let lock = lock();
        let holder = hold(&lock, Shared);
        let mut exclusive = Task::queued(lock.acquire(Exclusive));
        assert!(lock.try_acquire(mode).is_none(), "a stream of {mode:?} would starve it");
        let mut newcomer = Task::queued(lock.acquire(mode));
        drop(holder);
        assert!(exclusive.woken() && !newcomer.woken());
        drop(exclusive.finish());
        drop(newcomer.run().expect("woken"));
    }
}

#[test]
fn q1_a_newcomer_waits_behind_an_upgrade() {
    for mode in Mode::ALL {
        let lock = lock();
        let (mut upgradable, shared) = (hold(&lock, Upgradable), hold(&lock, Shared));
        let mut upgrade = Task::queued(upgradable.upgrade());
        assert!(lock.try_acquire(mode).is_none());
        let newcomer = Task::queued(lock.acquire(mode));
        drop(shared);
        assert!(upgrade.woken() && !newcomer.woken());
        upgrade.finish().unwrap();
    }
}

#[test]
fn q1_a_shared_holder_may_share_past_an_exclusive_waiter() {
    // Otherwise a holder that acquires the lock again would wait for a waiter that waits for this holder.
    let lock = lock();
    let holder = hold(&lock, Shared);
    let mut exclusive = Task::queued(lock.acquire(Exclusive));
    let more = holder.share().expect("shared is held already");
    drop(holder);
    assert!(!exclusive.woken());
    drop(more);
    drop(exclusive.run().expect("woken by the last"));
}

#[test]
fn q2_shared_waiters_enter_before_the_next_exclusive_one() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut before = Task::queued(lock.acquire(Shared));
    let mut exclusive = Task::queued(lock.acquire(Exclusive));
    let mut after = Task::queued(lock.acquire(Shared));
    drop(guard);
    assert!(before.woken() && after.woken() && !exclusive.woken());

    let first = before.finish();
    // The exclusive waiter blocks newcomers, but not the waiters whose turn it is.
    let newcomer = Task::queued(lock.acquire(Shared));
    let second = after.finish();
    drop(first);
    assert!(!exclusive.woken());
    drop(second);
    assert!(exclusive.woken() && !newcomer.woken());

    drop(exclusive.finish());
    assert!(newcomer.woken());
    assert_eq!(exclusive.wakes(), 1);
}

/// Readers have had a turn, and no reader waits when a writer is woken. That one enters, or a newcomer `barges`.
#[track_caller]
fn readers_come_before_the_second_writer(barges: bool) {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut first = Task::queued(lock.acquire(Shared));
    let mut writers = [(); 2].map(|()| Task::queued(lock.acquire(Exclusive)));
    drop(guard);
    drop(first.finish());
    assert!(writers[0].woken());
    let writing = if barges { hold(&lock, Exclusive) } else { writers[0].finish() };
    let mut second = Task::queued(lock.acquire(Shared));
    drop(writing);
    assert!(second.woken() && !writers[1].woken());
    if barges {
        drop(writers[0].finish());
    }
    drop(second.finish());
    drop(writers[1].finish());
    assert_idle(&lock);
}

#[test]
fn q2_also_after_readers_and_a_writer_have_had_turns() {
    readers_come_before_the_second_writer(false);
}

#[test]
fn q2_also_where_a_woken_writer_is_not_polled() {
    readers_come_before_the_second_writer(true);
}

/// Though the writer before it had the last turn that was counted: when that ended, only readers waited.
#[test]
fn q3_a_writer_comes_before_readers_that_joined_after_it() {
    for late in [Shared, Upgradable] {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let mut reader = Task::queued(lock.acquire(Shared));
        let mut writer = Task::queued(lock.acquire(Exclusive));
        drop(guard);
        let reading = reader.finish();
        let mut present = Task::queued(lock.acquire(Shared));
        let mut unpolled = Task::queued(lock.acquire(late));
        drop(reading);
        drop(writer.finish());
        let reading = present.finish();
        let mut writer = Task::queued(lock.acquire(Exclusive));
        let mut newcomers = [Shared, Upgradable].map(|mode| Task::queued(lock.acquire(mode)));
        drop(reading);
        assert!(writer.woken() && newcomers.iter().all(|newcomer| !newcomer.woken()));
        drop(unpolled.finish());
        drop(writer.finish());
        newcomers.iter_mut().for_each(|newcomer| drop(newcomer.finish()));
        assert_idle(&lock);
    }
}

#[test]
fn q2_also_after_a_downgrade() {
    for to in [Shared, Upgradable] {
        let lock = lock();
        let mut guard = hold(&lock, Exclusive);
        let mut exclusive = Task::queued(lock.acquire(Exclusive));
        let mut shared = Task::queued(lock.acquire(Shared));
        guard.downgrade(to);
        drop(shared.run().expect("its turn"));
        assert!(!exclusive.woken());
        drop(guard);
        drop(exclusive.run().expect("its turn"));
    }
}

#[test]
fn q3_exclusive_waiters_are_woken_in_fifo_order() {
    const COUNT: usize = 6;
    let lock = lock();
    let mut guard = hold(&lock, Exclusive);
    let mut tasks: Vec<_> = (0..COUNT).map(|_| Task::queued(lock.acquire(Exclusive))).collect();
    for next in 0..COUNT {
        drop(guard);
        let wakes = tasks.iter().map(Task::wakes);
        assert!(wakes.eq((0..COUNT).map(|i| usize::from(i <= next))));
        guard = tasks[next].finish();
    }
}

/// The queue is ordered by first polls, not by when the futures were made.
#[test]
fn q3_a_waiter_is_queued_at_the_first_poll() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let (mut second, mut first) =
        (Task::new(lock.acquire(Exclusive)), Task::new(lock.acquire(Exclusive)));
    first.waits();
    second.waits();
    drop(guard);
    assert!(first.woken() && !second.woken());
}

/// A waiter that is polled needlessly does not move to the end of the queue.
#[test]
fn q3_a_waiter_keeps_its_place_over_polls() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut first = Task::queued(lock.acquire(Exclusive));
    let second = Task::queued(lock.acquire(Exclusive));
    first.waits();
    first.waits();
    drop(guard);
    assert!(first.woken() && !second.woken());
}

#[test]
fn q3_an_overtaken_exclusive_waiter_is_woken_first_again() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let mut first = Task::queued(lock.acquire(Exclusive));
    let second = Task::queued(lock.acquire(Exclusive));
    drop(guard);
    let overtaker = hold(&lock, Exclusive);
    first.waits();
    drop(overtaker);
    assert_eq!((first.wakes(), second.wakes()), (2, 0));
    drop(first.finish());
    assert_eq!(second.wakes(), 1);
}

/// The bound of Q3: a waiter that is polled when it is woken is overtaken once.
#[test]
fn q3_a_waiter_that_is_polled_when_woken_is_overtaken_once() {
    for mode in Mode::ALL {
        let lock = lock();
        let mut waiter = dormant(&lock, mode);
        let mut overtaken = 0;
        let mut entered = None;
        while entered.is_none() {
            // Each time, a newcomer arrives between the release and the waiter's poll.
            let mut newcomer = Task::new(lock.acquire(Exclusive));
            let quick = newcomer.poll();
            overtaken += usize::from(quick.is_ready());
            assert!(overtaken <= 1);
            entered = waiter.run();
        }
        assert_eq!(overtaken, 1, "otherwise this test proves nothing");
    }
}

/// The bound of Q3 for a thread that blocks: once it was overtaken, the next release hands it the lock, and no
/// newcomer can barge.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[test]
fn q3_a_thread_that_blocks_is_overtaken_once() {
    let cases = [(Shared, false), (Upgradable, true), (Exclusive, false), (Exclusive, true)];
    for (mode, timed) in cases {
        // A woken thread may run at once, in place of the thread that woke it. Then it is not overtaken.
        let start = Instant::now();
        while !overtakes_a_thread(mode, timed) {
            assert!(
                start.elapsed() < LONG,
                "the thread is never overtaken: this test proves nothing"
            );
        }
    }
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn overtakes_a_thread(mode: Mode, timed: bool) -> bool {
    let lock = lock();
    let blocks = |end: &Barrier| {
        let _guard = if timed {
            lock.acquire_blocking_timeout(mode, LONG).expect("in time")
        } else {
            lock.acquire_blocking(mode)
        };
        end.wait();
    };
    overtakes(&lock, mode, blocks, || {
        let mut newcomer = Task::new(lock.acquire(Exclusive));
        let enters = newcomer.poll().is_ready() || newcomer.poll().is_ready();
        lock.locked() == Some(mode) && !enters
    })
}

#[test]
fn q3_a_newcomer_defers_for_exactly_one_poll() {
    for mode in Mode::ALL {
        let lock = lock();
        let mut overtaken = dormant(&lock, Exclusive);
        let guard = hold(&lock, Exclusive);
        overtaken.waits();
        drop(guard);

        let mut newcomer = Task::new(lock.acquire(mode));
        newcomer.waits();
        assert_eq!(newcomer.wakes(), 1, "it wakes itself: it does not wait for a release");
        drop(newcomer.finish());

        // If the waiter that it defers to was polled in the meantime, the newcomer queues.
        let mut newcomer = Task::queued(lock.acquire(mode));
        let guard = overtaken.finish();
        newcomer.waits();
        assert_eq!(newcomer.wakes(), 1);
        drop(guard);
        assert_eq!(newcomer.wakes(), 2);
        drop(newcomer.finish());

        // Once the overtaken waiter has acquired the lock, newcomers no longer defer.
        drop(now(lock.acquire(mode)));
    }
}

#[test]
fn q3_a_try_does_not_defer_to_an_overtaken_waiter() {
    let lock = lock();
    let mut overtaken = dormant(&lock, Exclusive);
    let guard = hold(&lock, Exclusive);
    overtaken.waits();
    drop(guard);
    for mode in Mode::ALL {
        drop(hold(&lock, mode));
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        drop(lock.acquire_blocking_timeout(mode, Duration::ZERO).expect("it is one try"));
    }
}
