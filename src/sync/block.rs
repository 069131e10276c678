//! Blocking a thread until a future is ready.

#[cfg(any(loom, shuttle))]
mod modeled;
#[cfg(not(any(loom, shuttle)))]
mod parker;

#[cfg(not(any(loom, shuttle)))]
use core::pin::pin;
#[cfg(not(any(loom, shuttle)))]
use core::task::{Context, Poll};
#[cfg(not(any(loom, shuttle)))]
use std::time::{Duration, Instant};

#[cfg(any(loom, shuttle))]
pub(crate) use self::modeled::block_on;
#[cfg(not(any(loom, shuttle)))]
use self::parker::ThreadParker;
#[cfg(not(any(loom, shuttle)))]
use crate::sync::thread;

/// How many polls in a row may be woken before they return, until the thread sleeps between two
/// polls.
#[cfg(not(any(loom, shuttle)))]
const POLLS_WITHOUT_SLEEP: u32 = 3;

/// How long the thread sleeps between two such polls, unless it is woken again.
#[cfg(not(any(loom, shuttle)))]
const NAP: Duration = Duration::from_micros(100);

/// Polls `future` until it is ready or, at the latest, `deadline` has passed.
///
/// The thread does not sleep in [`std::thread::park`]: the token of `park` belongs to the caller,
/// and another thread may set it at any time.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn block_on<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    ThreadParker::lend(|parker| {
        let mut future = pin!(future);
        let mut cx = Context::from_waker(parker.waker());
        let mut woken_polls = 0;
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return Some(output);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            if !parker.was_woken() {
                woken_polls = 0;
                match left {
                    None => parker.park(),
                    Some(left) => _ = parker.park_timeout(left),
                }
                continue;
            }
            // The wake-up came during the poll: from another thread, or from the future itself.
            // Such a future is not queued and waits for other tasks or threads, which need time.
            woken_polls += 1;
            match woken_polls {
                // Most futures wake themselves once. A yield each time would make them slower.
                1 => {}
                // With a deadline there is no yield: another thread may run past the deadline.
                2..=POLLS_WITHOUT_SLEEP if left.is_none() => thread::yield_now(),
                2..=POLLS_WITHOUT_SLEEP => {}
                _ => _ = parker.park_timeout(left.map_or(NAP, |left| left.min(NAP))),
            }
        }
    })
}

#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests {
    use core::future::poll_fn;
    use core::task::Waker;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::lock::MultiLock;
    use crate::mode::Mode;

    const LONG: Duration = Duration::from_secs(60);

    fn soon(time: Duration) -> Option<Instant> {
        Instant::now().checked_add(time)
    }

    fn wake_by_another_thread(waker: &Waker) {
        let waker = waker.clone();
        thread::spawn(|| waker.wake()).join().unwrap();
    }

    /// A poll of the outer wait runs a waker, which blocks. Meanwhile another thread wakes the
    /// outer wait.
    #[test]
    fn p2_a_wait_within_a_wait_leaves_it_its_wake_up() {
        let lock = MultiLock::new();
        let _guard = lock.try_acquire(Mode::Exclusive).unwrap();
        for inner_waits in 1..3 {
            let mut polls = 0;
            let wait = poll_fn(|cx| {
                polls += 1;
                if polls > 1 {
                    return Poll::Ready(());
                }
                wake_by_another_thread(cx.waker());
                for _ in 0..inner_waits {
                    let millisecond = Duration::from_millis(1);
                    assert!(lock.acquire_blocking_timeout(Mode::Shared, millisecond).is_none());
                }
                Poll::Pending
            });
            assert_eq!(block_on(wait, soon(LONG)), Some(()), "the outer wait is not woken");
        }
    }

    /// How often `block_on` polls a future that wakes itself at each poll, until `time` is over.
    fn polls_in(time: Duration, deadline: Option<Instant>) -> u32 {
        let (mut polls, start) = (0, Instant::now());
        let output = block_on(
            poll_fn(|cx| {
                polls += 1;
                cx.waker().wake_by_ref();
                if start.elapsed() < time { Poll::Pending } else { Poll::Ready(()) }
            }),
            deadline,
        );
        assert_eq!(output, Some(()));
        polls
    }

    #[test]
    fn p1_a_wait_that_wakes_itself_keeps_no_core_busy() {
        for deadline in [None, soon(LONG)] {
            let polls = polls_in(Duration::from_millis(20), deadline);
            assert!(polls <= 300, "{polls} polls");
        }
    }

    /// The wait wakes itself at its first polls, and then no more.
    #[test]
    #[cfg(not(miri))]
    fn p1_a_wait_that_wakes_itself_meets_its_deadline() {
        for naps in [1, 3, 5, 1000] {
            let late_by = || {
                let mut polls = 0;
                let deadline = Instant::now() + Duration::from_millis(10);
                let wakes_itself = poll_fn(|cx| {
                    polls += 1;
                    if polls <= naps {
                        cx.waker().wake_by_ref();
                    }
                    Poll::<()>::Pending
                });
                assert_eq!(block_on(wakes_itself, Some(deadline)), None);
                // The wait does not end before its deadline.
                Instant::now().checked_duration_since(deadline).expect("it gave up too early")
            };
            // Other threads may run first, but not each time.
            let quickest = (0..10).map(|_| late_by()).min().unwrap();
            assert!(quickest < Duration::from_millis(2), "after {naps}: {quickest:?}");
        }
    }

    /// After each of the first few wake-ups the future is polled without a sleep: they may come
    /// from other threads. The test has two runs of these, with a sleep in between that a wake-up
    /// ends.
    #[test]
    #[cfg(not(miri))]
    fn p2_a_wake_up_during_a_poll_leads_to_another_poll_soon() {
        const FEW: usize = POLLS_WITHOUT_SLEEP as usize;
        for deadline in [None, soon(LONG)] {
            let mut quickest = [LONG; 2 * FEW + 1];
            for _ in 0..10 {
                let (mut polls, mut pending) = (0, Instant::now());
                let wait = poll_fn(|cx| {
                    if let Some(before) = usize::checked_sub(polls, 1) {
                        quickest[before] = quickest[before].min(pending.elapsed());
                    }
                    if polls == quickest.len() {
                        return Poll::Ready(());
                    }
                    if polls == FEW {
                        // The clock is read before the other thread begins to sleep: this thread
                        // may be stopped as soon as the other one does.
                        pending = Instant::now();
                        let waker = cx.waker().clone();
                        thread::spawn(|| {
                            thread::sleep(20 * NAP);
                            waker.wake();
                        });
                    } else {
                        wake_by_another_thread(cx.waker());
                        pending = Instant::now();
                    }
                    polls += 1;
                    Poll::Pending
                });
                assert_eq!(block_on(wait, deadline), Some(()));
            }
            assert!(quickest[FEW] > 10 * NAP);
            quickest[FEW] = Duration::ZERO;
            assert!(quickest.iter().all(|&time| time < NAP / 2), "{quickest:?}");
        }
    }

    /// The wait is polled first, and again when its time is over, unless it is over already.
    #[test]
    fn p3_a_wait_that_nothing_wakes_is_polled_twice() {
        let mut polls = 0;
        let sleeps = poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        });
        assert_eq!(block_on(sleeps, soon(20 * NAP)), None);
        assert!(polls <= 2, "{polls} polls");
    }

    #[test]
    fn p2_a_wait_after_a_panic_is_woken() {
        let panics = poll_fn(|_| -> Poll<()> { panic!("as it shall") });
        let caught = catch_unwind(AssertUnwindSafe(|| block_on(panics, None)));
        assert!(caught.is_err());
        let mut polls = 0;
        let wait = poll_fn(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls > 1 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert_eq!(block_on(wait, soon(LONG)), Some(()));
    }
}
