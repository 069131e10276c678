//! Several locks at once: ours as a set, and all others one after another, in a fixed order.

use std::array;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use happylock::{LockCollection, Mutex, ThreadKey};
use multilock::{LockSet, Mode, MultiLock, acquire_all};

use crate::contestants::{AsyncLock, Guarded, Lock, NoLock, Word, awaits, blocks};
use crate::executor::{Runtime, now, yield_now};
use crate::harness::{Body, Case, times, times_of_several};
use crate::threads::{in_threads, interrupt};

const WORKLOAD: &str = "several locks at once";
/// The number of turns of each task at once, as in other cases.
const TURNS: u64 = 8;
/// Two of four locks, each time another two, in an order that all agree on.
const PAIRS: [[usize; 2]; 6] = [[0, 1], [2, 3], [0, 2], [1, 3], [0, 3], [1, 2]];

/// Some locks that are acquired exclusively.
trait Several<const N: usize>: Send + Sync + 'static {
    type Lock: Lock;

    fn of(locks: [Arc<Self::Lock>; N]) -> Self;
    fn exclusive(&self) -> impl Future<Output = impl Send> + Send;
}

/// A [`LockSet`].
struct Set(LockSet<Arc<MultiLock>>);

impl<const N: usize> Several<N> for Set {
    type Lock = MultiLock;

    fn of(locks: [Arc<MultiLock>; N]) -> Self {
        Self(locks.into_iter().collect())
    }

    #[inline]
    fn exclusive(&self) -> impl Future<Output = impl Send> + Send {
        self.0.acquire(black_box(Mode::Exclusive))
    }
}

/// By [`acquire_all`].
struct All<const N: usize>([(Arc<MultiLock>, Mode); N]);

impl<const N: usize> Several<N> for All<N> {
    type Lock = MultiLock;

    fn of(locks: [Arc<MultiLock>; N]) -> Self {
        Self(locks.map(|lock| (lock, black_box(Mode::Exclusive))))
    }

    #[inline]
    fn exclusive(&self) -> impl Future<Output = impl Send> + Send {
        acquire_all(&self.0)
    }
}

/// One after another.
struct InOrder<L, const N: usize>([Arc<L>; N]);

impl<L: AsyncLock, const N: usize> Several<N> for InOrder<L, N> {
    type Lock = L;

    fn of(locks: [Arc<L>; N]) -> Self {
        Self(locks)
    }

    #[inline]
    async fn exclusive(&self) -> impl Send {
        let mut guards = array::from_fn::<_, N, _>(|_| None);
        for (guard, lock) in guards.iter_mut().zip(&self.0) {
            *guard = Some(lock.exclusive().await);
        }
        guards
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, bodies| times(WORKLOAD, name, 1, bodies);
    let contended = |name, bodies| times_of_several(WORKLOAD, name, 16 * TURNS, bodies);
    let two = || awaits!(Word, |L| alone::<InOrder<L, 2>, 2>);
    let four = || awaits!(Word, |L| alone::<InOrder<L, 4>, 4>);
    let two_of_four = || awaits!(NoLock, |L| pairs::<InOrder<L, 2>>);
    let mut of_threads = with_ours(threads_set, blocks!(NoLock, |L| threads_in_order::<L>));
    of_threads.push(("happylock", Box::new(threads_happylock)));
    vec![
        case("sets/2/LockSet", with_ours(alone::<Set, 2>, two())),
        case("sets/2/acquire_all", with_ours(alone::<All<2>, 2>, two())),
        case("sets/4/LockSet", with_ours(alone::<Set, 4>, four())),
        case("sets/4/acquire_all", with_ours(alone::<All<4>, 4>, four())),
        contended("sets/tokio/16 tasks/2 of 4/LockSet", with_ours(pairs::<Set>, two_of_four())),
        contended(
            "sets/tokio/16 tasks/2 of 4/acquire_all",
            with_ours(pairs::<All<2>>, two_of_four()),
        ),
        times_of_several(WORKLOAD, "sets/2 threads/2 of 4/LockSet", 2, of_threads),
    ]
}

/// The columns, ours first.
fn with_ours(
    ours: fn(u64) -> Duration,
    mut columns: Vec<(&'static str, Body)>,
) -> Vec<(&'static str, Body)> {
    columns[0].1 = Box::new(ours);
    columns
}

/// No other task uses the locks.
fn alone<S: Several<N>, const N: usize>(times: u64) -> Duration {
    let locks: [Arc<S::Lock>; N] = array::from_fn(|_| Arc::default());
    let (several, guarded) = (S::of(locks.clone()), Guarded::default());
    let start = Instant::now();
    for _ in 0..times {
        let guard = now(pin!(black_box(&several).exclusive()));
        black_box(&guard);
        guarded.change::<S::Lock>();
    }
    let time = start.elapsed();
    assert_eq!(guarded.changes(), times);
    assert!(locks.iter().all(|lock| lock.try_exclusive().is_some()), "all locks are released");
    time
}

/// Tasks hold two of four locks while others are polled, each time another two.
fn pairs<S: Several<2>>(times: u64) -> Duration {
    let (tasks, turns) = (16, times * TURNS);
    let locks: [Arc<S::Lock>; 4] = array::from_fn(|_| Arc::default());
    let pairs = PAIRS.map(|pair| (pair, S::of(pair.map(|n| locks[n].clone()))));
    let shared = Arc::new((pairs, [(); 4].map(|()| Guarded::default())));
    let time = Runtime::Tokio.run(tasks, |id| {
        let shared = shared.clone();
        async move {
            let (pairs, guarded) = &*shared;
            for turn in 0..turns {
                let (members, pair) = &pairs[(id + turn) as usize % PAIRS.len()];
                let guard = pair.exclusive().await;
                black_box(&guard);
                members.iter().for_each(|n| guarded[*n].begin::<S::Lock>());
                yield_now().await;
                members.iter().for_each(|n| guarded[*n].end::<S::Lock>());
            }
        }
    });
    let changes: u64 = shared.1.iter().map(Guarded::changes).sum();
    assert_eq!(changes, 2 * tasks * turns);
    time
}

/// Threads that hold two of four locks, each time another two.
fn threads_of_pairs<L: Lock, G>(times: u64, exclusive: impl Fn(usize) -> G + Sync) -> Duration {
    let guarded = [(); 4].map(|()| Guarded::default());
    let time = in_threads::<2>(times, |id, turn| {
        let pair = (id + turn as usize) % PAIRS.len();
        let guards = exclusive(pair);
        black_box(&guards);
        PAIRS[pair].iter().for_each(|n| guarded[*n].change::<L>());
        interrupt(turn);
    });
    assert_eq!(guarded.iter().map(Guarded::changes).sum::<u64>(), 4 * times);
    time
}

fn threads_set(times: u64) -> Duration {
    let locks = [(); 4].map(|()| Arc::new(MultiLock::new()));
    let sets = PAIRS.map(|pair| pair.map(|n| locks[n].clone()).into_iter().collect());
    let sets: [LockSet<Arc<MultiLock>>; 6] = sets;
    threads_of_pairs::<MultiLock, _>(times, |n| {
        sets[n].acquire_blocking(black_box(Mode::Exclusive))
    })
}

fn threads_in_order<L: Lock>(times: u64) -> Duration {
    let locks = [(); 4].map(|()| L::default());
    threads_of_pairs::<L, _>(times, |n| PAIRS[n].map(|n| locks[n].exclusive_blocking()))
}

/// It has no data, and no more than one guard in each thread, which the key of the thread shows.
fn threads_happylock(times: u64) -> Duration {
    let locks = [(); 4].map(|()| Mutex::new(()));
    let pairs = PAIRS.map(|pair| {
        LockCollection::try_new(pair.map(|n| &locks[n])).expect("a pair is of different locks")
    });
    threads_of_pairs::<MultiLock, _>(times, |n| {
        pairs[n].lock(ThreadKey::get().expect("the last guard was dropped"))
    })
}
