//! The cost to a caller that meets no other caller, and of a wait behind one holder, in instructions.
//!
//! `ci/instructions` runs this under callgrind, with two numbers of turns for each row of its table. The
//! difference is the cost of one turn. By hand it is
//!
//! ```text
//! instructions CASE MODE TURNS
//! ```
//!
//! where a mode is `shared`, `upgradable` or `exclusive`, or `run-time-shared` and so on. Without a case,
//! as in `cargo bench` and `cargo test --benches`, each case takes a few turns, and nothing is counted.

use std::env;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Poll, Waker};

use multilock::{Mode, MultiLock};

/// The least that a lock can do: it admits holders until it is full, and never wakes a waiter.
#[derive(Default)]
struct Floor(AtomicUsize);

struct FloorGuard<'a>(&'a Floor);

impl Floor {
    #[inline]
    fn try_acquire(&self) -> Option<FloorGuard<'_>> {
        let mut now = self.0.load(Relaxed);
        while now & 1 << (usize::BITS - 1) == 0 {
            match self.0.compare_exchange_weak(now, now + 1, Acquire, Relaxed) {
                Ok(_) => return Some(FloorGuard(self)),
                Err(seen) => now = seen,
            }
        }
        None
    }
}

impl Drop for FloorGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Release);
    }
}

/// The least that a future can do which would wait if the lock were not available.
struct FloorAcquire<'a>(&'a Floor);

impl<'a> FloorAcquire<'a> {
    #[cold]
    #[inline(never)]
    fn wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<FloorGuard<'a>> {
        black_box((self, cx));
        black_box(Poll::Pending)
    }
}

impl<'a> Future for FloorAcquire<'a> {
    type Output = FloorGuard<'a>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<FloorGuard<'a>> {
        match self.0.try_acquire() {
            Some(guard) => Poll::Ready(guard),
            None => self.wait(cx),
        }
    }
}

/// The output of `future` at its first poll.
#[inline(always)]
fn now<F: Future>(future: Pin<&mut F>) -> F::Output {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the lock has another holder"),
    }
}

/// Polls `future`, which is not ready yet.
#[inline(always)]
fn waits<F: Future>(future: Pin<&mut F>) {
    assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// Takes `turns` turns. As far as the compiler knows, each uses a different lock.
#[inline(always)]
fn repeat<L: Default>(turns: u64, mode: impl Fn() -> Mode, turn: impl Fn(&L, Mode)) {
    let lock = L::default();
    for _ in 0..turns {
        turn(black_box(&lock), mode());
    }
}

const CASES: &[&str] = &[
    "floor_try",
    "try",
    "blocking",
    "floor_acquire",
    "acquire",
    "floor_await",
    "await",
    "floor_keep",
    "keep",
    #[cfg(feature = "observed")]
    "observed_try",
    #[cfg(feature = "observed")]
    "observed_acquire",
    "floor_cancel_unpolled",
    "cancel_unpolled",
    "wait",
    "cancel",
];

/// `mode` is a closure, so that a literal mode is still a literal where it is used.
fn run(case: &str, turns: u64, mode: impl Fn() -> Mode) {
    type Lock = MultiLock;
    match case {
        "floor_try" => repeat(turns, mode, |lock: &Floor, _| drop(lock.try_acquire().unwrap())),
        "try" => repeat(turns, mode, |lock: &Lock, mode| drop(lock.try_acquire(mode).unwrap())),
        "blocking" => repeat(turns, mode, |lock: &Lock, mode| drop(lock.acquire_blocking(mode))),
        "floor_acquire" => {
            repeat(turns, mode, |lock: &Floor, _| drop(now(pin!(FloorAcquire(lock)))));
        }
        "acquire" => repeat(turns, mode, |lock: &Lock, mode| drop(now(pin!(lock.acquire(mode))))),
        "floor_await" => repeat(turns, mode, |lock: &Floor, _| {
            now(pin!(async { drop(FloorAcquire(lock).await) }));
        }),
        "await" => repeat(turns, mode, |lock: &Lock, mode| {
            now(pin!(async { drop(lock.acquire(mode).await) }));
        }),
        // The guard lives in memory, as one does that is kept across an await.
        "floor_keep" => repeat(turns, mode, |lock: &Floor, _| {
            let guard = lock.try_acquire().unwrap();
            black_box(&guard);
        }),
        "keep" => repeat(turns, mode, |lock: &Lock, mode| {
            let guard = lock.try_acquire(mode).unwrap();
            black_box(&guard);
        }),
        "floor_cancel_unpolled" => repeat(turns, mode, |lock: &Floor, _| _ = FloorAcquire(lock)),
        #[cfg(feature = "observed")]
        "observed_try" => repeat(turns, mode, |lock: &multilock::observed::MultiLock<()>, mode| {
            drop(lock.try_acquire(mode).unwrap());
        }),
        #[cfg(feature = "observed")]
        "observed_acquire" => {
            repeat(turns, mode, |lock: &multilock::observed::MultiLock<()>, mode| {
                drop(now(pin!(lock.acquire(mode))));
            });
        }
        "cancel_unpolled" => repeat(turns, mode, |lock: &Lock, mode| drop(lock.acquire(mode))),
        // Behind a holder, which is part of the turn.
        "wait" => repeat(turns, mode, |lock: &Lock, mode| {
            let held = lock.try_acquire(Mode::Exclusive).unwrap();
            let mut waiter = pin!(lock.acquire(mode));
            waits(waiter.as_mut());
            drop(held);
            drop(now(waiter));
        }),
        "cancel" => repeat(turns, mode, |lock: &Lock, mode| {
            let _held = lock.try_acquire(Mode::Exclusive).unwrap();
            waits(pin!(lock.acquire(mode)));
        }),
        _ => panic!("there is no case {case}"),
    }
}

fn run_in(mode: &str, case: &str, turns: u64) {
    let value = match mode.trim_start_matches("run-time-") {
        "shared" => Mode::Shared,
        "upgradable" => Mode::Upgradable,
        "exclusive" => Mode::Exclusive,
        _ => panic!("there is no mode {mode}"),
    };
    match mode {
        "shared" => run(case, turns, || Mode::Shared),
        "upgradable" => run(case, turns, || Mode::Upgradable),
        "exclusive" => run(case, turns, || Mode::Exclusive),
        _ => run(case, turns, || black_box(value)),
    }
}

fn main() {
    let args: Vec<_> = env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if let [case, mode, turns] = &args[..] {
        run_in(mode, case, turns.parse().expect("a number of turns"));
        return;
    }
    for case in CASES {
        for mode in ["shared", "upgradable", "exclusive"] {
            run_in(mode, case, 2);
            run_in(&format!("run-time-{mode}"), case, 2);
        }
    }
    println!("instructions: nothing is counted here; run ci/instructions");
}
