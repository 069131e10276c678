//! What a table says, told of acquisitions one by one. `tests/observed_table.rs` has tests of locks.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::panic::Location;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::cell::{Cell, RefCell};

use Mode::{Exclusive, Shared, Upgradable};

use crate::mode::Mode;
use crate::observed::observer::{Acquisition, LockInfo, LockName, Observer};
use crate::observed::table::slab::Row;
use crate::observed::table::{Table, TableRecord};
use crate::observed::task::{Scope, Task, TaskId};

std::thread_local! {
    /// The clock, in milliseconds.
    static NOW: Cell<u64> = const { Cell::new(0) };
    static REPORTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn pass(milliseconds: u64) {
    NOW.set(NOW.get() + milliseconds);
}

/// A table whose reports are in [`REPORTS`].
fn table() -> Table {
    let table = Table::with_clock(|| Duration::from_millis(NOW.get()));
    table.report_to(|report| REPORTS.with_borrow_mut(|all| all.push(report.to_string())));
    table
}

/// The reports since the last call, without the folder of this file.
fn reports() -> Vec<String> {
    let all = REPORTS.take();
    all.iter().map(|report| report.replace(file!(), "x")).collect()
}

/// The page, in which the lines of this file are called `x:N`, as aligned as before.
fn page(table: &Table) -> String {
    table.to_string().replace(file!(), "x").replace(&" ".repeat(file!().len() - 1), "")
}

struct Lock {
    name: LockName,
    address: usize,
}

impl Lock {
    #[track_caller]
    fn new(name: &'static str, address: usize) -> Self {
        let name = Some(name).filter(|name| !name.is_empty());
        Self { name: LockName { name, site: Location::caller() }, address }
    }

    fn info(&self) -> LockInfo<'_> {
        LockInfo { name: &self.name, address: self.address }
    }

    #[track_caller]
    fn acquisition(&self, mode: Mode) -> Acquisition<'_> {
        let site = Location::caller();
        Acquisition { lock: self.info(), mode, from: None, may_wait: true, site }
    }

    #[track_caller]
    fn upgrade(&self) -> Acquisition<'_> {
        Acquisition { from: Some(Upgradable), ..self.acquisition(Exclusive) }
    }

    #[track_caller]
    fn hold(&self, table: &Table, mode: Mode) -> TableRecord {
        table.acquired(self.acquisition(mode), None)
    }

    #[track_caller]
    fn wait(&self, table: &Table, mode: Mode) -> TableRecord {
        table.waiting(self.acquisition(mode))
    }

    fn release(&self, table: &Table, record: TableRecord) {
        table.released(self.acquisition(Shared), record);
    }

    fn cancel(&self, table: &Table, record: TableRecord) {
        table.cancelled(self.acquisition(Shared), record);
    }
}

/// Runs `f` while `task` is polled.
fn by<R>(task: TaskId, f: impl FnOnce() -> R) -> R {
    let _scope = Scope::enter(task);
    f()
}

fn task(name: &'static str) -> TaskId {
    TaskId::new(name)
}

/// A deadlock, or an order of locks, without the sites.
fn circles() -> Vec<String> {
    let circle = |report: String| {
        let mut lines = report.lines();
        let head = lines.next().unwrap().split(':').next().unwrap().to_owned();
        let words = |line: &str| {
            let words: Vec<_> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
            let who =
                |after: &str| words[words.iter().position(|word| *word == after).unwrap() + 1];
            match &*head {
                "deadlock" => format!(" {}>{}>{}", words[0], who("for"), who("by")),
                _ => format!(" {}: {}>{}", words[0], who("held"), who("acquired")),
            }
        };
        lines.map(words).fold(head.clone(), |all, one| all + &one)
    };
    reports().into_iter().map(circle).collect()
}

#[test]
fn the_page_shows_who_holds_and_who_waits_and_what_is_in_the_way() {
    let table = table();
    assert_eq!(page(&table), "no lock of this table is held or waited for\n");
    let (log, accounts, line) = (Lock::new("", 3), Lock::new("accounts", 7), line!());
    let (transfer, audit, other) = (task("transfer"), task("audit"), task("audit"));
    log.hold(&table, Shared);
    pass(1000);
    by(transfer, || accounts.hold(&table, Upgradable));
    by(audit, || accounts.hold(&table, Shared));
    pass(100);
    by(transfer, || table.waiting(accounts.upgrade()));
    pass(50);
    by(other, || accounts.wait(&table, Shared));
    accounts.wait(&table, Exclusive);
    let lines: [u32; 7] = core::array::from_fn(|n| line + [0, 2, 4, 5, 7, 9, 10][n]);
    let expected = format!(
        "\
#  lock      state     mode            age  task       site      in the way
1  accounts  held      upgradable  0.150 s  transfer   x:{}:30
2  accounts  held      shared      0.150 s  audit      x:{}:27
3  accounts  upgrades  exclusive   0.050 s  transfer   x:{}:44  2
4  accounts  waits     shared      0.000 s  audit (2)  x:{}:27  3
5  accounts  waits     exclusive   0.000 s  -          x:{}:14  1, 2
6  x:{}:34  held      shared      1.150 s  -          x:{}:9
",
        lines[2], lines[3], lines[4], lines[5], lines[6], lines[0], lines[1]
    );
    assert_eq!(page(&table), expected);
}

/// The column "in the way" of each line that has one.
fn in_the_way(table: &Table) -> Vec<String> {
    let page = page(table);
    let at = page.find("in the way").unwrap();
    page.lines().skip(1).filter_map(|line| line.get(at..)).map(str::to_owned).collect()
}

#[test]
fn what_is_in_the_way_follows_from_the_modes() {
    let (table, lock) = (table(), Lock::new("a", 1));
    let holder = lock.hold(&table, Exclusive);
    lock.wait(&table, Shared);
    let writer = lock.wait(&table, Exclusive);
    lock.wait(&table, Upgradable);
    assert_eq!(in_the_way(&table), ["1", "1", "1"]);
    // Those that are there when the lock is free are about to acquire it.
    lock.release(&table, holder);
    assert_eq!(in_the_way(&table), ["nothing"; 3]);
    // Beside a reader, those that come after a writer wait for it.
    let readers = [(); 6].map(|()| lock.hold(&table, Shared));
    assert_eq!(in_the_way(&table), ["nothing", "1, 2, 3, 4 and 2 more", "8"]);
    lock.cancel(&table, writer);
    assert_eq!(in_the_way(&table), ["nothing"; 2]);
    for reader in readers {
        lock.release(&table, reader);
    }
    // Of two locks of one name, each has its own holders.
    let other = Lock::new("a", 2);
    other.hold(&table, Exclusive);
    assert_eq!(in_the_way(&table), ["nothing"; 2]);
    assert!(page(&table).contains("a (2)  held"));
}

#[test]
fn an_upgrade_is_an_entry_of_its_own_until_it_ends() {
    let (table, lock) = (table(), Lock::new("a", 1));
    let held = lock.hold(&table, Upgradable);
    let waited = table.waiting(lock.upgrade());
    table.cancelled(lock.upgrade(), waited);
    assert_eq!(table.entries().len(), 1);
    let waited = table.waiting(lock.upgrade());
    pass(5);
    let held = table.changed(lock.upgrade(), held, Some(waited));
    let [entry] = table.entries()[..] else { panic!() };
    assert_eq!((entry.mode(), entry.is_held(), entry.is_upgrade()), (Exclusive, true, false));
    assert_eq!(entry.age(), Duration::ZERO);
    lock.release(&table, held);
    assert!(table.entries().is_empty());
}

#[test]
fn a_record_is_of_no_use_after_the_end() {
    let (table, lock) = (table(), Lock::new("a", 1));
    let first = lock.hold(&table, Shared);
    lock.release(&table, first);
    let second = lock.hold(&table, Exclusive);
    lock.release(&table, first);
    assert_eq!(table.entries()[0].mode(), Exclusive);
    lock.release(&table, second);
    assert!(table.entries().is_empty());
}

#[test]
fn ten_thousand_entries_stay_in_order() {
    const COUNT: usize = if cfg!(miri) { 300 } else { 10_000 };
    let table = table();
    let locks: Vec<_> = (0..COUNT).map(|n| Lock::new("a", n)).collect();
    let records: Vec<_> = locks.iter().map(|lock| lock.hold(&table, Shared)).collect();
    let ids = || table.entries().iter().map(|entry| entry.lock_id()).collect::<Vec<_>>();
    assert!(ids().into_iter().eq(0..COUNT));
    for n in (0..COUNT).filter(|n| n % 3 != 1) {
        locks[n].release(&table, records[n]);
    }
    assert!(ids().into_iter().eq((0..COUNT).filter(|n| n % 3 == 1)));
    // The places of those that have ended are used again: no chunk is missing.
    for lock in &locks[..COUNT * 2 / 3] {
        lock.hold(&table, Shared);
    }
    assert_eq!(table.entries().len(), COUNT / 3 + COUNT * 2 / 3);
    let row = Row::new(table.entries()[0]);
    assert!(table.state.with(|state| state.slab.insert(row)).is_ok());
}

#[cfg(not(target_family = "wasm"))]
#[test]
fn threads_share_a_table() {
    let table = Table::new();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let table = &table;
            scope.spawn(move || {
                let lock = Lock::new("a", n);
                for _ in 0..if cfg!(miri) { 20 } else { 2000 } {
                    let records = [(); 40].map(|()| lock.hold(table, Shared));
                    assert!(table.holders(lock.info()).len() == 40);
                    records.into_iter().for_each(|record| lock.release(table, record));
                }
            });
        }
    });
    assert!(table.entries().is_empty());
}

#[test]
fn a_slow_wait_is_reported_once_with_what_was_in_the_way_when_it_began() {
    let (table, lock) = (table(), Lock::new("a", 1));
    let wait = |limit| {
        table.slow_after(limit, Duration::MAX);
        let waited = lock.wait(&table, Shared);
        pass(11);
        lock.cancel(&table, waited);
        reports().len()
    };
    let limits = [11, 10].map(Duration::from_millis);
    assert_eq!([Duration::MAX, limits[0], limits[1]].map(wait), [0, 0, 1]);

    // It ends.
    let (first, line) = (lock.hold(&table, Upgradable), line!());
    pass(1);
    let second = lock.hold(&table, Exclusive);
    let waited = lock.wait(&table, Exclusive);
    lock.release(&table, first);
    pass(11);
    let holder = table.acquired(lock.acquisition(Exclusive), Some(waited));
    let [report] = &reports()[..] else { panic!() };
    let start = format!("slow wait: a, exclusive for 0.011 s at x:{}:23; ", line + 3);
    assert!(report.starts_with(&start), "{report}");
    let end =
        format!("in the way when it began: upgradable for 0.001 s at x:{line}:31, and 1 more");
    assert!(report.ends_with(&end), "{report}");
    lock.release(&table, holder);
    lock.release(&table, second);
    table.report_slow();
    assert_eq!(reports().len(), 0);

    // It never ends; it is cancelled later.
    let waited = lock.wait(&table, Shared);
    table.report_slow();
    assert_eq!(reports().len(), 0);
    pass(11);
    table.report_slow();
    let reported = reports();
    assert!(reported[0].starts_with("slow wait: a, shared for 0.011 s at x:"), "{reported:?}");
    table.report_slow();
    lock.cancel(&table, waited);
    assert_eq!((reported.len(), reports().len()), (1, 0));
}

#[test]
fn a_slow_hold_is_reported_once() {
    let (table, lock) = (table(), Lock::new("a", 1));
    table.slow_after(Duration::MAX, Duration::from_millis(10));
    let held = lock.hold(&table, Upgradable);
    pass(10);
    lock.release(&table, held);
    assert_eq!(reports(), [""; 0], "at the limit");
    let held = lock.hold(&table, Upgradable);
    pass(11);
    table.report_slow();
    assert_eq!(reports().len(), 1);
    let held = table.changed(lock.upgrade(), held, None);
    table.report_slow();
    assert_eq!(reports().len(), 0);
    pass(12);
    let held = table.changed(
        Acquisition { from: Some(Exclusive), ..lock.acquisition(Shared) },
        held,
        None,
    );
    assert!(reports()[0].starts_with("slow hold: a, exclusive for 0.012 s at x:"));
    lock.release(&table, held);
    table.report_slow();
    assert_eq!(reports().len(), 0);
}

#[test]
fn a_task_that_waits_for_itself_is_reported_once() {
    let (table, lock) = (table(), Lock::new("a", 1));
    let task = task("t");
    for mode in [Exclusive, Upgradable] {
        let held = by(task, || lock.hold(&table, mode));
        assert_eq!(circles(), [""; 0]);
        let waited = by(task, || lock.wait(&table, Exclusive));
        assert_eq!(
            circles(),
            ["lock order t: a>a", "deadlock t>a>t"][usize::from(mode == Upgradable)..]
        );
        pass(1);
        table.slow_after(Duration::ZERO, Duration::MAX);
        table.report_slow();
        assert!(circles().iter().all(|circle| circle.starts_with("slow wait")));
        assert!(page(&table).contains("\ndeadlock: a task waits for itself\n  t waits for a"));
        lock.cancel(&table, waited);
        lock.release(&table, held);
        table.slow_after(Duration::MAX, Duration::MAX);
        reports();
    }
    // Nor for another task, nor without a name, nor beside another reader.
    by(task, || lock.hold(&table, Exclusive));
    by(self::task("u"), || lock.wait(&table, Exclusive));
    lock.wait(&table, Exclusive);
    let other = Lock::new("b", 2);
    other.hold(&table, Exclusive);
    other.wait(&table, Exclusive);
    assert_eq!(circles(), [""; 0]);
}

#[test]
fn tasks_that_wait_for_each_other_are_reported_once_with_all_sites() {
    for count in 2..6 {
        let table = table();
        let names = ["t", "u", "v", "w", "x"];
        let locks: Vec<_> = (0..count).map(|n| Lock::new("l", n)).collect();
        let tasks: Vec<_> = (0..count).map(|n| task(names[n])).collect();
        // A task that waits for one of them is not part of the circle.
        for n in 0..count {
            by(tasks[n], || locks[n].hold(&table, Exclusive));
        }
        by(task("other"), || locks[0].wait(&table, Shared));
        for n in 0..count - 1 {
            by(tasks[n], || locks[n + 1].wait(&table, Shared));
            assert_eq!(circles(), [""; 0]);
        }
        let (_, line) = (by(tasks[count - 1], || locks[0].wait(&table, Shared)), line!());
        let [report] = &reports()[..] else { panic!() };
        let lines: Vec<_> = report.lines().collect();
        assert_eq!(lines.len(), count + 1);
        assert_eq!(lines[0], format!("deadlock: {count} tasks wait for each other"));
        let last = names[count - 1];
        assert_eq!(
            lines[1],
            format!(
                "  {last} waits for l, shared, at x:{}:59; held by t, exclusive, at x:{}:38",
                line,
                line - 7
            )
        );
        assert!(lines[count].contains(&format!("; held by {last}, exclusive, at x:")));
        pass(2);
        table.slow_after(Duration::ZERO, Duration::MAX);
        table.report_slow();
        assert!(circles().iter().all(|circle| circle.starts_with("slow wait")));
        assert_eq!(page(&table).matches("deadlock").count(), 1);
    }
}

/// Two readers do not exclude each other, but each may wait behind a writer that waits for the other.
#[test]
fn readers_wait_for_each_other_if_writers_are_in_between() {
    let table = table();
    let [a, b] = [1, 2].map(|n| Lock::new(["", "a", "b"][n], n));
    let (t, u, w, x) = (task("t"), task("u"), task("w"), task("x"));
    by(t, || a.hold(&table, Shared));
    by(u, || b.hold(&table, Shared));
    by(w, || a.wait(&table, Exclusive));
    by(x, || b.wait(&table, Exclusive));
    by(t, || b.wait(&table, Shared));
    assert_eq!(circles(), [""; 0]);
    by(u, || a.wait(&table, Shared));
    assert_eq!(
        circles(),
        ["lock order u: b>a t: a>b", "deadlock u>a>w w>a>t t>b>x x>b>u"].map(str::to_owned)
    );
}

#[test]
fn a_task_that_reads_twice_with_a_writer_in_between_waits_for_itself() {
    let (table, lock) = (table(), Lock::new("a", 1));
    let t = task("t");
    by(t, || lock.hold(&table, Shared));
    lock.wait(&table, Exclusive);
    by(t, || lock.wait(&table, Shared));
    assert_eq!(circles()[1..], ["deadlock t>a>a a>a>t"]);
}

/// The upgrade waits for a reader that waits for what the upgrading task holds.
#[test]
fn an_upgrade_may_be_part_of_a_circle() {
    let table = table();
    let [a, b] = [1, 2].map(|n| Lock::new(["", "a", "b"][n], n));
    let (t, u) = (task("t"), task("u"));
    by(t, || a.hold(&table, Upgradable));
    by(u, || a.hold(&table, Shared));
    by(t, || b.hold(&table, Exclusive));
    by(u, || b.wait(&table, Exclusive));
    assert_eq!(circles(), [""; 0]);
    by(t, || table.waiting(a.upgrade()));
    assert_eq!(circles(), ["lock order t: b>a u: a>b", "deadlock t>a>u u>b>t"].map(str::to_owned));
}

/// Acquires each lock in its mode, on a line of its own, and releases all of them.
fn nest(table: &Table, task: TaskId, locks: &[(&Lock, Mode)]) {
    by(task, || {
        let hold = |(n, (lock, mode)): (usize, &(&Lock, Mode))| match n {
            0 => lock.hold(table, *mode),
            1 => lock.hold(table, *mode),
            _ => lock.hold(table, *mode),
        };
        let records: Vec<_> = locks.iter().enumerate().map(hold).collect();
        locks.iter().zip(records).for_each(|((lock, _), record)| lock.release(table, record));
    });
}

#[test]
fn an_order_that_may_become_a_circle_is_reported_once_before_anything_waits() {
    let table = table();
    let [a, b, c] = [1, 2, 3].map(|n| Lock::new(["", "a", "b", "c"][n], n));
    nest(&table, task("t"), &[(&a, Exclusive), (&b, Shared)]);
    nest(&table, task("u"), &[(&b, Shared), (&c, Shared)]);
    nest(&table, task("v"), &[(&a, Exclusive), (&c, Shared)]);
    assert_eq!(circles(), [""; 0]);
    nest(&table, task("w"), &[(&c, Shared), (&a, Shared)]);
    assert_eq!(circles(), ["lock order w: c>a v: a>c"]);
    nest(&table, task("w"), &[(&c, Exclusive), (&a, Exclusive)]);
    assert_eq!(circles(), [""; 0]);
    let d = Lock::new("d", 4);
    nest(&table, task("t"), &[(&c, Shared), (&d, Shared)]);
    assert_eq!(circles(), [""; 0]);
    nest(&table, task("x"), &[(&d, Shared), (&a, Shared)]);
    assert_eq!(circles(), ["lock order x: d>a v: a>c t: c>d"]);
    // With all that it holds, and with more than one circle.
    nest(&table, task("y"), &[(&b, Shared), (&Lock::new("e", 5), Shared), (&a, Shared)]);
    let both = ["lock order y: b>a t: a>b", "lock order y: e>a t: a>b y: b>e"];
    assert_eq!(circles(), both);
}

#[test]
fn locks_are_told_apart_by_their_names_or_else_by_their_lines() {
    let table = table();
    let made = |n| Lock::new("", n);
    let [a, b] = [1, 2].map(made);
    let c = Lock::new("", 3);
    nest(&table, task("t"), &[(&a, Exclusive), (&b, Exclusive)]);
    nest(&table, task("t"), &[(&b, Exclusive), (&a, Exclusive)]);
    assert_eq!(circles(), [""; 0], "of one line");
    nest(&table, task("t"), &[(&a, Exclusive), (&c, Exclusive)]);
    assert_eq!(circles(), [""; 0]);
    nest(&table, task("t"), &[(&c, Exclusive), (&b, Exclusive)]);
    assert_eq!(circles().len(), 1, "any of the line stands for all");
    let [x, y] = [4, 5].map(|n| Lock::new(if n == 4 { "x" } else { "y" }, n));
    nest(&table, task("t"), &[(&x, Exclusive), (&y, Exclusive)]);
    nest(&table, task("t"), &[(&y, Exclusive), (&Lock::new("x", 6), Exclusive)]);
    assert_eq!(circles(), ["lock order t: y>x t: x>y"], "of one line, with names");
}

#[test]
fn what_cannot_wait_has_no_order() {
    let table = table();
    let [a, b] = [1, 2].map(|n| Lock::new(["", "a", "b"][n], n));
    let t = task("t");
    let tries = |lock: &Lock| {
        let acquisition = Acquisition { may_wait: false, ..lock.acquisition(Exclusive) };
        by(t, || table.acquired(acquisition, None))
    };
    nest(&table, t, &[(&a, Shared), (&b, Shared)]);
    // A try, and a holder that shares its guard.
    let records = [by(t, || b.hold(&table, Shared)), tries(&b), tries(&a)];
    assert_eq!(circles(), [""; 0]);
    // But what a try has acquired may be waited for.
    let c = Lock::new("c", 3);
    by(t, || c.hold(&table, Shared));
    assert_eq!(circles(), [""; 0]);
    records.into_iter().for_each(|record| a.release(&table, record));
    by(t, || a.hold(&table, Shared));
    assert_eq!(circles(), ["lock order t: c>a t: a>c"]);
    // One line that acquires several, as `lock_all` does.
    for all in [[&a, &b], [&b, &a]] {
        let table = super::Table::with_clock(|| Duration::ZERO);
        table.report_to(|report| panic!("{report}"));
        by(t, || all.map(|lock| lock.hold(&table, Exclusive)));
    }
    // Without a name there is no task that could hold anything.
    a.hold(&table, Shared);
    b.hold(&table, Shared);
    assert_eq!(circles(), [""; 0]);
}

/// An upgrade waits for shared holders only, and not for one that is upgradable.
#[test]
fn an_upgrade_has_an_order_with_what_shares_the_lock() {
    let table = table();
    let [a, b] = [1, 2].map(|n| Lock::new(["", "a", "b"][n], n));
    let t = task("t");
    for _ in 0..2 {
        let held = by(t, || a.hold(&table, Upgradable));
        let inner = by(t, || b.hold(&table, Exclusive));
        let upgrade = by(t, || table.waiting(a.upgrade()));
        let held = by(t, || table.changed(a.upgrade(), held, Some(upgrade)));
        b.release(&table, inner);
        a.release(&table, held);
    }
    // Nor does a shared holder that becomes upgradable wait for itself.
    let held = by(t, || a.hold(&table, Shared));
    let upgrade = Acquisition { from: Some(Shared), ..a.acquisition(Exclusive) };
    let waited = by(t, || table.waiting(upgrade));
    by(t, || table.cancelled(upgrade, waited));
    a.release(&table, held);
    assert_eq!(circles(), [""; 0]);
    nest(&table, task("u"), &[(&a, Shared), (&b, Shared)]);
    assert_eq!(circles(), ["lock order u: a>b t: b>a"]);
}

/// Documented: the table takes several futures of one task for one that waits for itself.
#[test]
fn several_futures_of_one_task_may_give_a_false_hint() {
    let (table, lock) = (table(), Lock::new("a", 1));
    let t = task("t");
    let first = by(t, || lock.hold(&table, Exclusive));
    let second = by(t, || lock.wait(&table, Exclusive));
    // The first future of the task goes on, as it has what it needs.
    by(t, || lock.release(&table, first));
    by(t, || table.acquired(lock.acquisition(Exclusive), Some(second)));
    assert!(circles().contains(&"deadlock t>a>t".to_owned()));
    // With a name each, there is none.
    let (table, u) = (self::table(), task("u"));
    by(t, || lock.hold(&table, Exclusive));
    by(u, || lock.wait(&table, Exclusive));
    assert_eq!(circles(), [""; 0]);
}

#[test]
fn the_name_of_a_task_is_that_of_the_innermost_scope() {
    let name = || TaskId::current().map(TaskId::name);
    let mut polls = 0;
    let inner = Task::new(
        "inner",
        poll_fn(|_| {
            polls += 1;
            assert_eq!(name(), Some("inner"));
            if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
        }),
    );
    let mut inner = Box::pin(inner);
    let mut outer = Box::pin(Task::new(
        "outer",
        poll_fn(|cx| {
            assert_eq!(name(), Some("outer"));
            let poll = inner.as_mut().poll(cx);
            assert_eq!(name(), Some("outer"));
            poll
        }),
    ));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(outer.as_mut().poll(&mut cx).is_pending());
    assert_eq!(name(), None);
    assert!(outer.as_mut().poll(&mut cx).is_ready());
    Task::in_task("thread", || assert_eq!(name(), Some("thread")));
    assert_eq!(name(), None);
}

#[cfg(panic = "unwind")]
#[test]
fn a_panic_ends_the_scope_of_a_task() {
    let caught = std::panic::catch_unwind(|| Task::in_task("a", || panic!("on purpose")));
    assert!(caught.is_err() && TaskId::current().is_none());
    let mut task = Box::pin(Task::new("a", async { panic!("on purpose") }));
    let mut cx = Context::from_waker(Waker::noop());
    let caught = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        let _: Poll<()> = task.as_mut().poll(&mut cx);
    }));
    assert!(caught.is_err() && TaskId::current().is_none());
}
