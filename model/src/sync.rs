//! What the lock's files find in place of `src/sync`: atomics of which each access is a step of the
//! model, a mutex that is known to be free, and a moment of a few polls.
//!
//! A critical section may access the word several times, and other threads access it in between. The
//! model takes one step at a time. So a section that is not over is run again from its start: it finds
//! the answers that it was given before, takes one more step, and what it does after that is thrown
//! away. See [`Run`].

use std::cell::RefCell;

/// How often a run can look at a word or write it.
pub const MAX_ACCESSES: usize = 6;

/// One run of an operation of the lock.
#[derive(Default)]
struct Run {
    /// The answers that earlier steps of this operation got, and then those of this step.
    answers: [usize; MAX_ACCESSES],
    len: usize,
    /// How many of the answers were given in this run.
    given: usize,
    /// How many of them are answers of this step, and whether all of these were attempts that failed or,
    /// before a compare-and-swap, looks.
    live: usize,
    only_failed: bool,
    only_looked: bool,
    /// Whether what comes before a section is a step of its own.
    splits: bool,
    /// The words of the locks after this step, if the run went on without them.
    words_at_end: Option<[usize; 2]>,
    words: [usize; 2],
}

thread_local! {
    static RUN: RefCell<Run> = RefCell::default();
    static WOKEN: RefCell<Vec<usize>> = RefCell::default();
}

/// Begins a run, whose earlier steps got these answers, at locks with these words.
pub(crate) fn begin(answers: &[u16], words: [usize; 2], splits: bool) {
    RUN.with_borrow_mut(|run| {
        *run = Run { words, only_failed: true, only_looked: true, splits, ..Run::default() };
        for answer in answers {
            run.answers[run.len] = *answer as usize;
            run.len += 1;
        }
    });
    WOKEN.with_borrow_mut(Vec::clear);
}

/// Begins a section. What comes before may be a step of its own.
fn begin_section() {
    RUN.with_borrow_mut(|run| {
        if run.splits && run.live > 0 && run.words_at_end.is_none() {
            run.words_at_end = Some(run.words);
        }
    });
}

/// What a run has come to.
pub(crate) struct Ended {
    /// The words after the step.
    pub(crate) words: [usize; 2],
    /// Whether the operation is done. Otherwise the answers are those for the next run of it.
    pub(crate) is_done: bool,
    pub(crate) answers: [u16; MAX_ACCESSES],
    pub(crate) len: usize,
}

pub(crate) fn end() -> Ended {
    RUN.with_borrow(|run| Ended {
        words: run.words_at_end.unwrap_or(run.words),
        is_done: run.words_at_end.is_none(),
        answers: run.answers.map(|answer| answer as u16),
        len: run.len,
    })
}

/// Records that the waker with this number was woken.
pub(crate) fn record_woken(waker: usize) {
    WOKEN.with_borrow_mut(|woken| woken.push(waker));
}

/// Returns the wakers that were woken in this run.
pub(crate) fn take_woken() -> Vec<usize> {
    WOKEN.with_borrow_mut(std::mem::take)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Look,
    Write,
    /// A compare-and-swap of this value.
    Swap(usize),
}

/// One access to the word with this number. Returns what the word was.
fn access(word: usize, kind: Kind, write: impl FnOnce(usize) -> usize) -> usize {
    RUN.with_borrow_mut(|run| {
        // 1. An earlier step has done this.
        if run.given < run.len - run.live {
            run.given += 1;
            return run.answers[run.given - 1];
        }
        // 2. One step is one write, or one look. A look, or an attempt that fails, is one step with the
        // compare-and-swap behind it, which finds out if the word has changed.
        let is_swap = matches!(kind, Kind::Swap(_));
        let continues = run.only_failed || is_swap && run.only_looked;
        if run.words_at_end.is_none() && !continues {
            run.words_at_end = Some(run.words);
        }
        let before = run.words[word];
        run.words[word] = write(before);
        if run.words_at_end.is_none() {
            let failed = matches!(kind, Kind::Swap(expected) if expected != before);
            run.only_failed &= failed;
            run.only_looked &= failed || kind == Kind::Look;
            run.answers[run.len] = before;
            (run.len, run.live, run.given) = (run.len + 1, run.live + 1, run.given + 1);
        }
        before
    })
}

pub(crate) mod atomic {
    use std::cell::Cell;

    pub(crate) use core::sync::atomic::Ordering;

    use super::{Kind, access};

    /// All accesses are in one order, so a fence does nothing.
    pub(crate) fn fence(_: Ordering) {}

    /// The word of the lock. The value is in the run, so this is the number of the word.
    pub(crate) struct AtomicUsize(Cell<usize>);

    // SAFETY: the model uses a lock in one thread.
    unsafe impl Sync for AtomicUsize {}

    impl AtomicUsize {
        pub(crate) const fn new(value: usize) -> Self {
            Self(Cell::new(value))
        }

        /// Makes this the word with this number.
        pub(crate) fn set_number(&self, number: usize) {
            self.0.set(number);
        }

        pub(crate) fn load(&self, _: Ordering) -> usize {
            access(self.0.get(), Kind::Look, |now| now)
        }

        pub(crate) fn fetch_add(&self, value: usize, _: Ordering) -> usize {
            access(self.0.get(), Kind::Write, |now| now.wrapping_add(value))
        }

        pub(crate) fn fetch_sub(&self, value: usize, _: Ordering) -> usize {
            access(self.0.get(), Kind::Write, |now| now.wrapping_sub(value))
        }

        pub(crate) fn fetch_or(&self, value: usize, _: Ordering) -> usize {
            access(self.0.get(), Kind::Write, |now| now | value)
        }

        pub(crate) fn fetch_and(&self, value: usize, _: Ordering) -> usize {
            access(self.0.get(), Kind::Write, |now| now & value)
        }

        pub(crate) fn compare_exchange(
            &self,
            expected: usize,
            new: usize,
            _: Ordering,
            _: Ordering,
        ) -> Result<usize, usize> {
            let swap = |now| if now == expected { new } else { now };
            let before = access(self.0.get(), Kind::Swap(expected), swap);
            if before == expected { Ok(before) } else { Err(before) }
        }

        /// It fails for no reason only as far as another attempt follows at once: that changes nothing.
        pub(crate) fn compare_exchange_weak(
            &self,
            expected: usize,
            new: usize,
            success: Ordering,
            failure: Ordering,
        ) -> Result<usize, usize> {
            self.compare_exchange(expected, new, success, failure)
        }
    }

    /// The state of a node, which only changes with the queue locked, or by its owner.
    pub(crate) struct AtomicU8(Cell<u8>);

    // SAFETY: the model uses a lock in one thread.
    unsafe impl Sync for AtomicU8 {}

    impl AtomicU8 {
        pub(crate) const fn new(value: u8) -> Self {
            Self(Cell::new(value))
        }

        pub(crate) fn load(&self, _: Ordering) -> u8 {
            self.0.get()
        }

        pub(crate) fn store(&self, value: u8, _: Ordering) {
            self.0.set(value);
        }
    }
}

pub(crate) use core::sync::atomic as unmodeled;

/// Threads block: a waiter may be one.
pub(crate) const HAS_THREADS: bool = true;

pub(crate) fn relax() {}

pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// The mutex of a queue. The model runs a section only while no other section of that queue is begun.
pub(crate) struct LeafMutex<T>(core::cell::RefCell<T>);

impl<T> LeafMutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::RefCell::new(value))
    }

    pub(crate) unsafe fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        begin_section();
        f(&mut self.0.borrow_mut())
    }
}

pub(crate) mod moment {
    use std::cell::Cell;

    thread_local! {
        static POLLS: Cell<u16> = const { Cell::new(0) };
    }

    /// Sets how many polls a moment has.
    pub(crate) fn set_polls(polls: u16) {
        POLLS.set(polls);
    }

    /// A moment that is over after some polls.
    pub(crate) struct Moment(pub(crate) u16);

    impl Moment {
        pub(crate) const NEW: Self = Self(0);

        pub(crate) fn is_over(&mut self) -> bool {
            if self.0 < POLLS.get() {
                self.0 += 1;
            }
            self.0 == POLLS.get()
        }
    }
}

/// What sets need of futures.
pub(crate) mod future {
    use std::future::poll_fn;
    use std::mem;
    use std::task::Poll;

    pub(crate) async fn yield_once() {
        let mut yielded = false;
        poll_fn(|_| {
            if mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            crate::set::record_yield();
            Poll::Pending
        })
        .await;
    }
}

/// Nothing panics in the model, unless it has found a bug.
pub(crate) mod unwind {
    pub(crate) fn for_each<I: Iterator>(items: I, f: impl FnMut(I::Item)) {
        items.for_each(f);
    }

    pub(crate) fn caught(run: impl FnOnce()) -> Result<(), Box<dyn core::any::Any + Send>> {
        run();
        Ok(())
    }

    pub(crate) fn discard(_: Box<dyn core::any::Any + Send>) {}
}

/// The model has no executor and no clock: its steps are those of `Waiter`.
#[cfg(feature = "std")]
pub(crate) mod block {
    pub(crate) fn block_on<F: Future>(_: F, _: Option<std::time::Instant>) -> Option<F::Output> {
        unreachable!()
    }
}

#[cfg(feature = "std")]
pub(crate) mod thread {
    pub(crate) fn yield_now() {
        unreachable!()
    }
}

/// Declares functions that are `const`.
macro_rules! const_fn {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$T:ident>)? ($($args:tt)*) -> $ret:ty $body:block
    )*) => {$(
        $(#[$meta])*
        $vis const fn $name $(<$T>)? ($($args)*) -> $ret $body
    )*};
}
pub(crate) use const_fn;
