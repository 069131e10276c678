//! What an `observed::Table` says of real locks: who holds them, who waits, what takes long, and which tasks wait for
//! each other.

#![cfg(all(feature = "observed", feature = "std"))]
#![cfg(not(any(loom, shuttle)))]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::mem::forget;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use Mode::{Exclusive, Shared, Upgradable};
use multilock::observed::{Entry, MultiLock, RwLock, RwLockReadGuard, Table, Task as Named};
use multilock::{LockSet, Mode, acquire_all, lock_all, try_lock_all};
use support::Task;

type Lock = MultiLock<Arc<Table>>;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
    static REPORTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// Whether this thread has no memory left.
    static IS_FULL: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which may fail.
struct Failing;

// SAFETY: `System` does everything, or there is no memory.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        if IS_FULL.try_with(Cell::get).unwrap_or(false) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

fn pass(milliseconds: u64) {
    NOW.set(NOW.get() + milliseconds);
}

/// A table whose reports are in [`REPORTS`].
fn table() -> Arc<Table> {
    let table = Table::with_clock(|| Duration::from_millis(NOW.get()));
    table.report_to(|report| REPORTS.with_borrow_mut(|all| all.push(report.to_string())));
    Arc::new(table)
}

fn locks<const N: usize>(table: &Arc<Table>) -> [Lock; N] {
    let mut names = ["a", "b", "c", "d"].into_iter();
    [(); N].map(|()| MultiLock::with_observer(names.next().unwrap(), table.clone()))
}

/// The first lines of the reports since the last call.
fn reports() -> Vec<String> {
    REPORTS.take().iter().map(|report| report.lines().next().unwrap().to_owned()).collect()
}

/// Who does what: mode, and name of the lock.
fn said(entries: &[Entry]) -> Vec<(bool, Mode, &'static str)> {
    entries.iter().map(|e| (e.is_held(), e.mode(), e.lock_name().unwrap())).collect()
}

#[test]
fn the_holders_of_a_lock_are_those_of_its_guards() {
    let table = table();
    let [a, b] = locks(&table);
    let data = RwLock::with_observer("data", 5, table.clone());
    let (guard, line) = (a.try_acquire(Upgradable).unwrap(), line!());
    let other = b.try_acquire(Shared).unwrap();
    let read = data.try_read().unwrap();
    let [holder] = table.holders(a.info())[..] else { panic!() };
    assert_eq!((holder.site().file(), holder.site().line()), (file!(), line));
    assert_eq!(said(&table.holders(data.raw().info())), [(true, Shared, "data")]);
    let mut waiter = Task::queued(a.acquire(Exclusive));
    assert_eq!(said(&table.waiters(a.info())), [(false, Exclusive, "a")]);
    assert_eq!((table.waiters(b.info()).len(), table.entries().len()), (0, 4));
    // A guard that is shared is a second one.
    let more = RwLockReadGuard::share(&read).unwrap();
    assert_eq!(table.holders(data.raw().info()).len(), 2);
    drop((guard, other, read, more));
    drop(waiter.finish());
    assert!(table.entries().is_empty());
}

/// Its holder is in the message, as there is a table.
#[test]
fn a_time_limit_may_name_the_holder() {
    let table = table();
    let [lock] = locks(&table);
    let mut holder = Task::new(Named::new("slow", async {
        let _guard = lock.acquire(Exclusive).await;
        pending::<()>().await;
    }));
    holder.waits();
    pass(250);
    let mut late = Task::new(async {
        let result = lock.acquire_or(Shared, async {}).await.map(drop);
        result.map_err(|()| table.holders(lock.info())[0].to_string())
    });
    let error = late.finish().unwrap_err();
    assert!(error.starts_with("exclusive for 0.250 s by slow at "), "{error}");
    assert_eq!(table.entries().len(), 1);
}

#[test]
fn what_is_forgotten_stays_and_what_is_detached_is_released_by_its_handle() {
    let table = table();
    let [a, b, c] = locks(&table);
    forget(a.try_acquire(Shared));
    let handle = b.try_acquire(Upgradable).unwrap().into_handle();
    let guard = c.try_acquire(Exclusive);
    let mut waiter = Box::pin(c.acquire(Shared));
    assert!(support::poll_once(poll_fn(|cx| waiter.as_mut().poll(cx))).is_pending());
    // The table cannot know whether it will be polled again.
    drop(guard);
    let left = [(true, Shared, "a"), (true, Upgradable, "b"), (false, Shared, "c")];
    assert_eq!(said(&table.entries()), left);
    b.release(handle).unwrap();
    assert_eq!(said(&table.entries()), [left[0], left[2]]);
}

/// Nothing is looked up, so nothing is allocated, however many there were.
#[test]
fn after_the_first_an_acquisition_allocates_nothing() {
    let table = table();
    let [lock] = locks(&table);
    let hold = || [(); 64].map(|()| lock.try_acquire(Shared).unwrap());
    drop(hold());
    let before = ALLOCATIONS.get();
    for _ in 0..if cfg!(miri) { 2 } else { 100 } {
        drop(hold());
        let guard = lock.try_acquire(Exclusive).unwrap();
        let mut waiter = pin!(lock.acquire(Shared));
        let _ = support::poll_once(poll_fn(|cx| waiter.as_mut().poll(cx)));
        drop(guard);
    }
    // The queue of the lock.
    assert_eq!(ALLOCATIONS.get() - before, 1);
    let all = hold();
    let more = lock.try_acquire(Shared);
    assert_eq!(ALLOCATIONS.get() - before, 2);
    drop((all, more));
}

#[test]
fn what_there_is_no_memory_for_is_counted_and_not_listed() {
    let table = table();
    let [lock] = locks(&table);
    IS_FULL.set(true);
    let [first, second] = [(); 2].map(|()| lock.try_acquire(Shared).unwrap());
    IS_FULL.set(false);
    assert_eq!(table.to_string(), "not listed, because there was no memory: 2\n");
    // The next one has memory again, and those that are not listed end.
    let mut guard = lock.try_acquire(Upgradable).unwrap();
    assert_eq!(said(&table.entries()), [(true, Upgradable, "a")]);
    drop(first);
    assert!(table.to_string().ends_with("\nnot listed, because there was no memory: 1\n"));
    let mut upgrade = Task::queued(guard.upgrade());
    assert_eq!(table.entries().len(), 2);
    drop(second);
    upgrade.finish().unwrap();
    drop(upgrade);
    drop(guard);
    assert_eq!(table.to_string(), "no lock of this table is held or waited for\n");
}

/// A wait that was not listed is an acquisition that is.
#[test]
fn what_was_not_listed_is_listed_when_it_changes() {
    let table = table();
    let [lock] = locks(&table);
    // Without a queue of its own, the lock needs memory for the waiter.
    let guard = lock.try_acquire(Exclusive);
    drop(Task::queued(lock.acquire(Shared)));
    drop(guard);
    let guards = [(); 64].map(|()| lock.try_acquire(Shared).unwrap());
    let mut waiter = Task::new(lock.acquire(Exclusive));
    IS_FULL.set(true);
    let poll = waiter.poll();
    IS_FULL.set(false);
    assert!(poll.is_pending());
    assert!(table.to_string().ends_with("\nnot listed, because there was no memory: 1\n"));
    drop(guards);
    let mut guard = waiter.finish();
    assert_eq!(said(&table.entries()), [(true, Exclusive, "a")]);
    guard.downgrade(Shared);
    assert_eq!(said(&table.entries()), [(true, Shared, "a")]);
    drop(guard);
    assert_eq!(table.to_string(), "no lock of this table is held or waited for\n");
}

/// Two tasks, each of which acquires the first lock, and then waits for the second. Returns the reports of the second
/// wait.
fn cross<'a>(
    first: impl Future<Output = ()> + 'a,
    second: impl Future<Output = ()> + 'a,
) -> Vec<String> {
    let mut first = Task::new(Named::new("first", first));
    let mut second = Task::new(Named::new("second", second));
    for _ in 0..2 {
        first.waits();
        second.waits();
    }
    reports()
}

/// Lets other tasks run once.
async fn pause() {
    let mut is_second = false;
    poll_fn(
        |_| if std::mem::replace(&mut is_second, true) { Poll::Ready(()) } else { Poll::Pending },
    )
    .await;
}

const DEADLOCK: &str = "deadlock: 2 tasks wait for each other";
const ORDER: &str = "lock order: 2 locks are acquired in orders that may deadlock";

#[test]
fn tasks_that_wait_for_each_other_are_reported() {
    let table = table();
    let [a, b] = locks(&table);
    let one = |first: &'static str, a, b| async move {
        let (a, b): (&Lock, &Lock) = (a, b);
        assert_eq!(a.info().name(), Some(first));
        let _first = a.acquire(Exclusive).await;
        pause().await;
        let _second = b.acquire(Shared).await;
    };
    assert_eq!(cross(one("a", &a, &b), one("b", &b, &a)), [ORDER, DEADLOCK]);
}

/// A set holds nothing while it waits, but its task may.
#[test]
fn a_set_may_be_part_of_a_deadlock() {
    let table = table();
    let [a, b, c] = locks(&table);
    let set: LockSet<&Lock> = [&b, &c].into_iter().collect();
    let (a, b, c) = (&a, &b, &c);
    let takes_a = |set| async move {
        let _first = a.acquire(Exclusive).await;
        pause().await;
        match set {
            None => {
                let all = [b.in_mode(Exclusive), c.in_mode(Exclusive)];
                drop(lock_all(all).await);
            }
            Some(set) => {
                let set: &LockSet<&Lock> = set;
                drop(set.acquire(Exclusive).await);
            }
        };
    };
    for set in [None, Some(&set)] {
        let takes_c = async {
            let _first = c.acquire(Exclusive).await;
            pause().await;
            let _second = a.acquire(Exclusive).await;
        };
        let reports = cross(takes_a(set), takes_c);
        assert_eq!(reports.iter().filter(|line| **line == DEADLOCK).count(), 1, "{reports:?}");
    }
    assert!(table.entries().is_empty());
}

/// Neither in the order in which they are named, nor in that of the tasks.
#[test]
fn locks_that_are_acquired_at_once_have_no_order() {
    let table = table();
    let [a, b, c] = locks(&table);
    let set: LockSet<&Lock> = [&b, &a].into_iter().collect();
    let mut task = Task::new(Named::new("task", async {
        drop(lock_all((a.in_mode(Exclusive), b.in_mode(Shared))).await);
        drop(lock_all((b.in_mode(Exclusive), a.in_mode(Shared))).await);
        drop(acquire_all([(&b, Shared), (&a, Exclusive)]).await);
        drop(set.acquire(Exclusive).await);
        // But what else the task holds has an order with them.
        let _c = c.acquire(Shared).await;
        drop(set.acquire(Exclusive).await);
    }));
    task.finish();
    assert_eq!(reports(), [""; 0]);
    let mut task = Task::new(Named::new("task", async {
        let _a = a.acquire(Shared).await;
        let _c = c.acquire(Shared).await;
    }));
    task.finish();
    assert_eq!(reports(), [ORDER]);
}

#[test]
fn what_never_waits_has_no_order() {
    let table = table();
    let [a, b] = locks(&table);
    let data = RwLock::with_observer("data", 5, table.clone());
    let mut task = Task::new(Named::new("task", async {
        {
            let _a = a.acquire(Shared).await;
            let _b = b.acquire(Shared).await;
        }
        let b_guard = b.acquire(Shared).await;
        let _more = b_guard.share();
        drop(a.try_acquire(Exclusive).unwrap());
        drop(try_lock_all((a.in_mode(Exclusive), data.writing())).unwrap());
        let read = data.read().await;
        let _more = RwLockReadGuard::share(&read);
        assert!(data.try_read().is_some());
    }));
    task.finish();
    assert_eq!(reports(), [""; 0]);
    let mut again = Task::new(Named::new("task", async {
        let _read = data.read().await;
        let _again = data.read().await;
    }));
    again.finish();
    assert_eq!(reports(), ["lock order: a task acquires a lock that it holds"]);
}

/// Threads that block are tasks, too, if they are told to be.
#[test]
fn threads_that_wait_for_each_other_are_reported() {
    static TABLE: Table = Table::new();
    static A: MultiLock<&Table> = MultiLock::with_observer("a", &TABLE);
    static B: MultiLock<&Table> = MultiLock::with_observer("b", &TABLE);
    static DEADLOCKS: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    TABLE.report_to(|report| DEADLOCKS.lock().unwrap().push(report.to_string()));
    let both = &std::sync::Barrier::new(2);
    let cross = |first: &'static MultiLock<&Table>, second: &'static MultiLock<&Table>| {
        let _first = first.acquire_blocking(Exclusive);
        both.wait();
        // Both wait until then. In Miri, time passes with each step.
        let limit = Duration::from_secs(if cfg!(miri) { 60 } else { 1 });
        let _ = second.acquire_blocking_timeout(Exclusive, limit).map(drop);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| Named::in_task("one", || cross(&A, &B)));
        scope.spawn(|| Named::in_task("two", || cross(&B, &A)));
    });
    let reported = DEADLOCKS.lock().unwrap();
    let deadlocks: Vec<_> =
        reported.iter().filter(|report| report.starts_with("deadlock")).collect();
    assert_eq!(deadlocks.len(), 1, "{reported:?}");
    assert!(deadlocks[0].contains("one waits for b") && deadlocks[0].contains("two waits for a"));
    assert!(TABLE.entries().is_empty());
}

/// What it acquires is slow, too, and is not reported.
#[test]
fn the_function_for_reports_may_use_locks_of_the_table() {
    static TABLE: Table = Table::with_clock(|| {
        pass(1);
        Duration::from_millis(NOW.get())
    });
    static LOG: MultiLock<&Table> = MultiLock::with_observer("log", &TABLE);
    TABLE.report_to(|report| {
        let _guard = LOG.try_acquire(Shared);
        REPORTS.with_borrow_mut(|all| all.push(format!("{} {report}", TABLE.entries().len())));
    });
    TABLE.slow_after(Duration::MAX, Duration::ZERO);
    for _ in 0..2 {
        drop(LOG.try_acquire(Shared));
        let [report] = &reports()[..] else { panic!() };
        assert!(report.starts_with("1 slow hold: log, shared for 0.001 s at "), "{report}");
    }
}

#[cfg(panic = "unwind")]
#[test]
fn a_panic_of_the_function_for_reports_changes_nothing() {
    let table = table();
    table.report_to(|_| panic!("on purpose"));
    table.slow_after(Duration::MAX, Duration::ZERO);
    let [a, b] = locks(&table);
    for _ in 0..2 {
        let guard = a.try_acquire(Exclusive).unwrap();
        pass(1);
        drop(guard);
    }
    assert!(table.entries().is_empty() && b.locked().is_none() && a.locked().is_none());
    let mut task = Task::new(Named::new("task", async {
        let _guard = a.acquire(Exclusive).await;
        pending::<()>().await;
    }));
    task.waits();
    drop(task);
    assert_eq!((a.locked(), table.entries().len()), (None, 0));
}

/// The alias is all that a program needs.
#[test]
fn locks_without_an_observer_of_their_own_share_a_table() {
    type RwLock<T> = multilock::observed::RwLock<T>;
    static NAMED: RwLock<u32> = RwLock::named("the only one", 5);
    let lock = Arc::new(RwLock::new(5));
    let _read = NAMED.try_read();
    let _write = lock.try_write_arc();
    let page = multilock::observed::table().to_string();
    assert!(
        page.lines().any(|line| line.contains("the only one  ") && line.contains("shared")),
        "{page}"
    );
    let here = |line: &&str| line.split_whitespace().nth(1).unwrap().starts_with(file!());
    assert!(page.lines().find(here).unwrap().contains("exclusive"), "{page}");
}

#[test]
fn what_observes_may_be_sent_and_shared() {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    fn all<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    fn copy<T: Copy>() {}
    all::<Table>();
    all::<multilock::observed::Times>();
    all::<multilock::observed::Global>();
    all::<(Entry, multilock::observed::Report, multilock::observed::Summary)>();
    copy::<(Entry, multilock::observed::Summary, multilock::observed::TableRecord)>();
    all::<Named<std::future::Ready<()>>>();
    let task: std::pin::Pin<Box<Named<dyn Future<Output = u32>>>> =
        Box::pin(Named::new("not sized", async { 5 }));
    assert_eq!(support::now(task), 5);
}
