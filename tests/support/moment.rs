//! The moment for which the lock is reserved for a starving waiter.

use std::task::Poll;
use std::time::{Duration, Instant};

use crate::support::Task;

/// Whether a reservation ends by time. Otherwise it ends after a number of polls.
pub(crate) const TIMED: bool =
    cfg!(all(feature = "std", not(any(miri, all(target_family = "wasm", target_os = "unknown")))));

/// The longest moment for which the lock is reserved for a waiter that is not polled.
pub(crate) const MOMENT: Duration = Duration::from_millis(2);
const MOMENT_POLLS: usize = 2_000;

/// The moment of one reservation for a dormant waiter, as its rivals see it, or of several in succession.
pub(crate) struct Moment {
    times: usize,
    /// The end of the first pending poll: the moment has begun by then.
    start: Option<Instant>,
    polls: usize,
}

impl Default for Moment {
    fn default() -> Self {
        Self::times(1)
    }
}

impl Moment {
    pub(crate) fn times(times: usize) -> Self {
        Self { times, start: None, polls: 0 }
    }

    pub(crate) fn is_over(&self) -> bool {
        match self.start {
            Some(start) => start.elapsed() > MOMENT * self.times as u32,
            None => self.polls >= MOMENT_POLLS * self.times,
        }
    }

    /// One poll of a task that waits for a free lock. A poll that begins after the moment must be ready, unless it is the
    /// first of a newcomer, or the first of a waiter since the lock became free.
    #[track_caller]
    pub(crate) fn poll<F: Future>(&mut self, task: &mut Task<F>) -> Option<F::Output> {
        let is_over = self.is_over();
        if let Poll::Ready(output) = task.poll() {
            return Some(output);
        }
        assert!(
            !is_over || task.polls() <= 2,
            "the lock is free, and is reserved for longer than documented: {} polls",
            self.polls
        );
        assert!(task.woken(), "the lock is free, and no other task will wake this one");
        self.polls += 1;
        if TIMED {
            self.start.get_or_insert_with(Instant::now);
        }
        None
    }

    #[track_caller]
    pub(crate) fn enter<F: Future>(&mut self, task: &mut Task<F>) -> F::Output {
        loop {
            if let Some(output) = self.poll(task) {
                return output;
            }
        }
    }
}
