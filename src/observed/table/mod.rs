//! [`Table`]: an observer that knows which lock is held, by which line of the program, since when.

mod deadlock;
pub(super) mod entry;
#[cfg(feature = "std")]
mod order;
mod page;
pub(super) mod report;
mod slab;
#[cfg(test)]
#[cfg(all(feature = "std", not(any(loom, shuttle))))]
mod tests;

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::observed::observer::{Acquisition, LockInfo, Observer};
use crate::observed::table::entry::Entry;
use crate::observed::table::report::Report;
use crate::observed::table::slab::{Chunk, Key, Row, Slab};
use crate::observed::task::TaskId;
use crate::sync::UnmodeledMutex;

/// An observer that lists all acquisitions of its locks: those that are held, and those that wait.
///
/// Its `Display` is the page that answers why a program hangs: which lock is held, in which mode,
/// since when, by which task and which line of the program, which acquisitions wait for it, and what
/// is in the way of each.
///
/// ```text
/// #  lock      state  mode           age  task      site             in the way
/// 1  accounts  held   exclusive  1.250 s  transfer  src/bank.rs:20:17
/// 2  accounts  waits  shared     1.100 s  audit     src/bank.rs:33:17  1
/// ```
///
/// [`guide::who_holds_it`](crate::guide::who_holds_it) explains how to read it. A table is a `static`,
/// or in an [`Arc`](alloc::sync::Arc), and any number of locks may have it as their observer. With
/// `std` there is one that all locks can share,
/// [`Global`](crate::observed::Global).
///
/// A table also reports by itself what takes long, and tasks that wait for each other: see
/// [`report_to`](Self::report_to).
///
/// # Cost
///
/// An acquisition that does not wait, and its release, lock a mutex twice and read the clock once;
/// twice if there is a limit for holds. There is no look-up: the guard keeps the place of its entry.
/// On a machine where a look at the clock takes 24 ns, that is 120 ns in all, beside 4 ns of a lock
/// without an observer.
/// All locks of a table contend for its mutex, so it is a tool for a program that has a problem, or for
/// locks that are acquired some hundred thousand times a second at most. Each entry has 240 bytes (on
/// 64 bits), and memory for 64 of them is allocated when the first acquisition begins, for twice as
/// many when they are used up, and so on. It is not given back before the table is dropped, and its
/// use is bounded by the number of acquisitions at the same time.
///
/// Where there is no memory, or more than four million entries are needed, the acquisition is not
/// listed, and the page ends with the number of those that are not. The lock itself is not concerned.
/// A report and the page need memory as any vector does.
///
/// With a limit for waits, each wait looks at all entries while the mutex is locked. A named task that
/// waits while it holds a lock copies all of them, and one that acquires looks at those that are held:
/// some 6 ns for each entry.
///
/// The mutex is not locked while the clock is read, a report is made, or memory is allocated or freed.
/// With the feature `critical-section` it is a critical section. To print the page is one that is as
/// long as there are entries.
///
/// # Limitations
///
/// * A guard that is forgotten, and a handle that is dropped, are listed as long as the table exists:
///   the lock is still held. So is a future that was forgotten while it waited.
/// * An acquisition is listed shortly after it was successful, and is removed shortly after its
///   release. So two threads may be listed as holders of a lock that exclude each other, for a moment.
///
/// # Examples
///
/// ```
/// use multilock::Mode;
/// use multilock::observed::{MultiLock, Table};
///
/// static TABLE: Table = Table::new();
///
/// # futures_lite::future::block_on(async {
/// let lock = MultiLock::with_observer("log", &TABLE);
/// let guard = lock.acquire(Mode::Exclusive).await;
/// let page = TABLE.to_string();
/// let line = page.lines().find(|line| line.contains("log")).unwrap();
/// assert!(line.contains("exclusive") && line.contains(file!()));
/// drop(guard);
/// assert_eq!(TABLE.to_string(), "no lock of this table is held or waited for\n");
/// # });
/// ```
pub struct Table {
    state: UnmodeledMutex<State>,
    clock: fn() -> Duration,
    #[cfg(feature = "std")]
    order: order::Order,
}

struct State {
    slab: Slab,
    /// The number of acquisitions that have no entry.
    lost: usize,
    settings: Settings,
}

#[derive(Clone, Copy)]
struct Settings {
    report: Option<fn(&Report)>,
    wait: Duration,
    hold: Duration,
}

impl Settings {
    /// Whether a wait or a hold that has begun at that time is to be reported.
    fn is_slow(&self, row: &Row, now: Duration) -> bool {
        let limit = if row.entry.is_held() { self.hold } else { self.wait };
        self.report.is_some() && !row.is_slow && row.entry.at(now).age() > limit
    }
}

/// The place of an entry in a [`Table`].
///
/// # Examples
///
/// ```
/// use multilock::observed::{Observer, Table, TableRecord};
///
/// /// How many bytes the guards of observed locks are larger.
/// fn record<O: Observer<Record = TableRecord>>(_: &O) -> usize {
///     size_of::<O::Record>()
/// }
/// assert_eq!(record(&Table::new()), 8);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TableRecord(Option<Key>);

/// The number of locks of a task of which an order is remembered.
#[cfg(feature = "std")]
const NESTED: usize = 8;

impl Table {
    /// Creates a table. Ages are measured by [`Instant`](std::time::Instant), where that has a clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::Table;
    ///
    /// static TABLE: Table = Table::new();
    /// assert!(TABLE.entries().is_empty());
    /// ```
    #[cfg(feature = "std")]
    #[must_use]
    pub const fn new() -> Self {
        Self::with_clock(super::clock::now)
    }

    /// Creates a table whose clock is `clock`, which returns the time since a moment that is always
    /// the same.
    ///
    /// On a chip, it may read the counter of a timer. If it is always zero, so are the ages.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// use multilock::observed::Table;
    ///
    /// static TABLE: Table = Table::with_clock(|| Duration::ZERO);
    /// assert!(TABLE.entries().is_empty());
    /// ```
    #[must_use]
    pub const fn with_clock(clock: fn() -> Duration) -> Self {
        let settings = Settings { report: None, wait: Duration::MAX, hold: Duration::MAX };
        Self {
            state: UnmodeledMutex::new(State { slab: Slab::new(), lost: 0, settings }),
            clock,
            #[cfg(feature = "std")]
            order: order::Order::new(),
        }
    }

    /// Makes `report` the function that is called with what the table notices by itself.
    ///
    /// * What takes long, if [`slow_after`](Self::slow_after) has set a limit.
    /// * [Deadlocks](Report::Deadlock) of tasks that have a name: see [`Task`](super::Task). A circle of
    ///   any length is found when its last wait begins, with several locks or one: a task that waits
    ///   for itself is a circle of one. A set of locks waits for all of them.
    /// * [Orders](Report::LockOrder) in which such tasks acquire locks, and in which they could come to
    ///   wait for each other, even if they never did: a circle of any number of locks. Here, locks are
    ///   told apart by their names, or else by the lines on which they were made. So for locks that are
    ///   made on one line, as those of the rows of a table, any of them stands for all, and an order
    ///   among them is not noticed, except that one lock is acquired twice. An acquisition
    ///   that never waits, such as that of a `try_` method, has no order with what the task holds, and
    ///   all that one line acquires, such as [`lock_all`](crate::lock_all), has none among itself. An
    ///   upgrade has one if it waits. Modes make no difference: two readers do not exclude each other,
    ///   but a writer that waits in between keeps out the second one. Up to eight locks that a task
    ///   holds are taken into account.
    ///
    /// Each circle is reported once. A deadlock is a hint, not a proof: [`Task`](super::Task) says
    /// when one is wrong. So is an order that is excluded by something that the table does not know,
    /// such as another lock.
    ///
    /// The function is called by the thread that acquires or releases a lock, while no mutex of the
    /// table is locked. What it does delays that thread: it should log, count or send. It may look at the
    /// table, and acquire other locks of it. With `std`, nothing is reported of what the function itself
    /// does. If it panics, the acquisition goes on, as after any panic of an
    /// [observer](super::Observer#panics): to fail a test, count the reports and look at the number in
    /// the end, or abort.
    ///
    /// # Examples
    ///
    /// A test that fails if tasks have waited for each other, or could:
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    ///
    /// use multilock::observed::Table;
    ///
    /// static TABLE: Table = Table::new();
    /// static HINTS: AtomicUsize = AtomicUsize::new(0);
    ///
    /// TABLE.report_to(|report| {
    ///     eprintln!("{report}");
    ///     HINTS.fetch_add(1, Relaxed);
    /// });
    /// // Here the test does what it does.
    /// assert_eq!(HINTS.load(Relaxed), 0);
    /// ```
    pub fn report_to(&self, report: fn(&Report)) {
        self.state.with(|state| state.settings.report = Some(report));
    }

    /// Sets after which time a wait, and a hold, is reported as slow. [`Duration::MAX`] is no limit,
    /// as in the beginning.
    ///
    /// Each is reported once, when it ends; or before, by [`report_slow`](Self::report_slow). What is
    /// in the way of a wait is looked up among all entries when the wait begins.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// use multilock::observed::Table;
    ///
    /// static TABLE: Table = Table::new();
    ///
    /// TABLE.report_to(|report| eprintln!("{report}"));
    /// TABLE.slow_after(Duration::from_millis(100), Duration::MAX);
    /// ```
    pub fn slow_after(&self, wait: Duration, hold: Duration) {
        self.state.with(|state| {
            state.settings.wait = wait;
            state.settings.hold = hold;
        });
    }

    /// Reports the waits and holds that are over their limit now, and were not reported yet, also
    /// those that never end; and deadlocks in which such a wait takes part.
    ///
    /// Call it from time to time, in a task or thread that acquires none of the locks.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    /// use std::sync::Mutex;
    ///
    /// use multilock::Mode;
    /// use multilock::observed::{MultiLock, Table};
    ///
    /// static TABLE: Table = Table::new();
    /// static REPORTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    ///
    /// TABLE.report_to(|report| REPORTS.lock().unwrap().push(report.to_string()));
    /// TABLE.slow_after(Duration::MAX, Duration::from_millis(1));
    ///
    /// let lock = MultiLock::with_observer("log", &TABLE);
    /// let guard = lock.try_acquire(Mode::Shared);
    /// std::thread::sleep(Duration::from_millis(5));
    /// TABLE.report_slow();
    /// TABLE.report_slow();
    /// let [report] = &REPORTS.lock().unwrap()[..] else { panic!() };
    /// assert!(report.starts_with("slow hold: log, shared for 0.0"));
    /// drop(guard);
    /// ```
    pub fn report_slow(&self) {
        let (settings, now) = (self.state.with(|state| state.settings), (self.clock)());
        let Some(report) = settings.report else { return };
        let rows = self.rows();
        for (key, row) in &rows {
            // Another thread may report the same at this moment.
            let is_new = settings.is_slow(row, now)
                && self.state.with(|state| {
                    let row = state.slab.get(*key).filter(|row| !row.is_slow);
                    row.map(|row| row.is_slow = true).is_some()
                });
            if is_new {
                slow(row, now).send(report);
            }
        }
        let entries: Vec<_> = rows.iter().map(|(_, row)| row.entry.at(now)).collect();
        for (n, (_, row)) in rows.iter().enumerate() {
            if !row.entry.is_held() && row.entry.at(now).age() > settings.wait {
                self.report_deadlock(&rows, &entries, n, report);
            }
        }
    }

    /// Returns all entries: the acquisitions that are held, then those that wait, each in the order in
    /// which they began.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::{MultiLock, Table};
    ///
    /// static TABLE: Table = Table::new();
    ///
    /// let lock = MultiLock::with_observer("log", &TABLE);
    /// let guards = [Mode::Shared, Mode::Upgradable].map(|mode| lock.try_acquire(mode));
    /// assert_eq!(TABLE.entries().len(), 2);
    /// drop(guards);
    /// assert!(TABLE.entries().is_empty());
    /// ```
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let now = (self.clock)();
        self.rows().iter().map(|(_, row)| row.entry.at(now)).collect()
    }

    /// Returns the acquisitions of `lock` that are held, in the order in which they began.
    ///
    /// # Examples
    ///
    /// A time limit that names the holder:
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// use futures_timer::Delay;
    /// use multilock::Mode;
    /// use multilock::observed::{MultiLock, Table};
    ///
    /// static TABLE: Table = Table::new();
    /// static LOG: MultiLock<&Table> = MultiLock::with_observer("log", &TABLE);
    ///
    /// # futures_lite::future::block_on(async {
    /// let _guard = LOG.acquire(Mode::Exclusive).await;
    /// let limit = Delay::new(Duration::from_millis(5));
    /// let error = match LOG.acquire_or(Mode::Shared, limit).await {
    ///     Ok(_) => unreachable!(),
    ///     Err(()) => format!("too late: {:?}", TABLE.holders(LOG.info())),
    /// };
    /// assert!(error.contains("mode: Exclusive") && error.contains(file!()));
    /// # });
    /// ```
    #[must_use]
    pub fn holders(&self, lock: LockInfo<'_>) -> Vec<Entry> {
        let mut entries = self.entries();
        entries.retain(|entry| entry.is_of(lock) && entry.is_held());
        entries
    }

    /// Returns the acquisitions of `lock` that wait, in the order in which they began.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::{MultiLock, Table};
    ///
    /// static TABLE: Table = Table::new();
    ///
    /// # futures_lite::future::block_on(async {
    /// let lock = MultiLock::with_observer("log", &TABLE);
    /// let guard = lock.acquire(Mode::Exclusive).await;
    /// let mut waiter = Box::pin(lock.acquire(Mode::Shared));
    /// assert!(futures_lite::future::poll_once(&mut waiter).await.is_none());
    /// assert_eq!(TABLE.waiters(lock.info()).len(), 1);
    /// drop(guard);
    /// # });
    /// ```
    #[must_use]
    pub fn waiters(&self, lock: LockInfo<'_>) -> Vec<Entry> {
        let mut entries = self.entries();
        entries.retain(|entry| entry.is_of(lock) && !entry.is_held());
        entries
    }

    /// A copy of all rows, in memory that is allocated while the state is not locked.
    fn rows(&self) -> Vec<(Key, Row)> {
        let mut rows = Vec::new();
        loop {
            let missing = self.state.with(|state| {
                let missing = state.slab.len().saturating_sub(rows.capacity());
                if missing == 0 {
                    rows.extend(state.slab.rows().map(|(key, row)| (key, *row)));
                }
                missing
            });
            if missing == 0 {
                return rows;
            }
            // Some may begin meanwhile.
            rows.reserve(missing + 16);
        }
    }

    /// Adds an entry. `None`: it is not listed.
    fn insert(&self, entry: Entry) -> TableRecord {
        let row = Row::new(entry);
        let mut chunk = None;
        loop {
            // What another thread was quicker to add is dropped outside.
            let (inserted, _not_needed) = self.state.with(|state| {
                let not_needed = chunk.take().and_then(|chunk| state.slab.add(chunk));
                (state.slab.insert(row), not_needed)
            });
            let number = match inserted {
                Ok(key) => return TableRecord(Some(key)),
                Err(number) => number,
            };
            chunk = Chunk::new(number);
            if chunk.is_none() {
                self.state.with(|state| state.lost += 1);
                return TableRecord(None);
            }
        }
    }

    /// Removes an entry, and reports it if it has taken long.
    fn remove(&self, record: TableRecord) {
        let (row, settings) = self.state.with(|state| {
            let row = record.0.and_then(|key| state.slab.remove(key));
            if record.0.is_none() {
                state.lost = state.lost.saturating_sub(1);
            }
            (row, state.settings)
        });
        if let Some(row) = row {
            self.report_end(&row, settings);
        }
    }

    /// Puts another entry in the place of one, which is reported if it has taken long.
    fn replace(&self, record: TableRecord, entry: Entry) -> TableRecord {
        let (row, settings) = self.state.with(|state| {
            let row = record.0.and_then(|key| state.slab.replace(key, Row::new(entry)));
            if record.0.is_none() {
                state.lost = state.lost.saturating_sub(1);
            }
            (row, state.settings)
        });
        match row {
            Some(row) => self.report_end(&row, settings),
            // There may be memory now.
            None => return self.insert(entry),
        }
        record
    }

    /// Reports that an entry has taken long, when it ends.
    fn report_end(&self, row: &Row, settings: Settings) {
        let limit = if row.entry.is_held() { settings.hold } else { settings.wait };
        if let Some(report) = settings.report.filter(|_| limit != Duration::MAX) {
            let now = (self.clock)();
            if settings.is_slow(row, now) {
                slow(row, now).send(report);
            }
        }
    }

    /// Reports a circle that contains the wait `rows[start]`, unless all its waits were reported.
    fn report_deadlock(
        &self,
        rows: &[(Key, Row)],
        entries: &[Entry],
        start: usize,
        report: fn(&Report),
    ) {
        let Some(circle) = deadlock::circle(entries, start) else { return };
        // All of it is marked at once, so of two threads that have found it, one reports it.
        let is_new = self.state.with(|state| {
            let mut mark = |&(waiter, _): &(usize, usize)| {
                let row = state.slab.get(rows[waiter].0).filter(|row| !row.is_dead);
                row.map(|row| row.is_dead = true).is_some()
            };
            circle.iter().filter(|pair| mark(pair)).count() != 0
        });
        if is_new {
            let waits =
                circle.iter().map(|(waiter, of)| (entries[*waiter], entries[*of])).collect();
            Report::Deadlock { waits }.send(report);
        }
    }

    /// Looks for an order in which the task of `acquired` may wait for another one.
    #[cfg(feature = "std")]
    fn check_order(&self, acquisition: Acquisition<'_>, acquired: Entry) {
        let Some(task) = acquired.task_id().filter(|_| acquisition.may_wait()) else { return };
        let mut nested = [None; NESTED];
        let report = self.state.with(|state| {
            state.settings.report.inspect(|_| {
                let held = state.slab.held().map(|(_, row)| row.entry);
                // What one line acquires, it acquires at once, in an order of the crate's.
                let held = held.filter(|entry| {
                    entry.task_id() == Some(task)
                        && entry.site() != acquired.site()
                        && !(acquired.is_upgrade() && acquired.is_of_the_lock_of(entry))
                });
                nested.iter_mut().zip(held).for_each(|(place, entry)| *place = Some(entry));
            })
        });
        let Some(report) = report else { return };
        for held in nested.into_iter().flatten() {
            if let Some(steps) = self.order.add(held, acquired) {
                Report::LockOrder { steps }.send(report);
            }
        }
    }

    #[cfg(not(feature = "std"))]
    fn check_order(&self, _: Acquisition<'_>, _: Entry) {}
}

fn slow(row: &Row, now: Duration) -> Report {
    let entry = row.entry.at(now);
    if entry.is_held() {
        return Report::SlowHold { holder: entry };
    }
    let others = row.count.saturating_sub(1);
    Report::SlowWait { waiter: entry, in_the_way: row.first, others }
}

impl Observer for Table {
    type Record = TableRecord;

    fn waiting(&self, acquisition: Acquisition<'_>) -> TableRecord {
        let now = (self.clock)();
        let entry = Entry::new(acquisition, false, now, TaskId::current());
        self.check_order(acquisition, entry);
        let record = self.insert(entry);
        let Some(key) = record.0 else { return record };
        let (report, is_nested) = self.state.with(|state| {
            let settings = state.settings;
            if settings.report.is_some() && settings.wait != Duration::MAX {
                let entries = state.slab.rows().map(|(key, row)| (key, &row.entry));
                let mut in_the_way = page::in_the_way((key, &entry), entries);
                let first = in_the_way.next().map(|(_, first)| first.at(now));
                let count = usize::from(first.is_some()) + in_the_way.count();
                if let Some(row) = state.slab.get(key) {
                    (row.first, row.count) = (first, count);
                }
            }
            // In a circle, a task waits that holds something.
            let is_nested = entry.task_id().is_some()
                && state.slab.held().any(|(_, row)| row.entry.task_id() == entry.task_id());
            (settings.report, is_nested)
        });
        if let Some(report) = report.filter(|_| is_nested) {
            let rows = self.rows();
            let entries: Vec<_> = rows.iter().map(|(_, row)| row.entry.at(now)).collect();
            if let Some(start) = rows.iter().position(|(other, _)| *other == key) {
                self.report_deadlock(&rows, &entries, start, report);
            }
        }
        record
    }

    fn acquired(&self, acquisition: Acquisition<'_>, waited: Option<TableRecord>) -> TableRecord {
        let entry = Entry::new(acquisition, true, (self.clock)(), TaskId::current());
        match waited {
            None => self.check_order(acquisition, entry),
            Some(waited) => return self.replace(waited, entry),
        }
        self.insert(entry)
    }

    fn changed(
        &self,
        acquisition: Acquisition<'_>,
        held: TableRecord,
        waited: Option<TableRecord>,
    ) -> TableRecord {
        if let Some(waited) = waited {
            self.remove(waited);
        }
        let entry = Entry::new(acquisition, true, (self.clock)(), TaskId::current());
        self.replace(held, entry)
    }

    fn released(&self, _: Acquisition<'_>, held: TableRecord) {
        self.remove(held);
    }

    fn cancelled(&self, _: Acquisition<'_>, waited: TableRecord) {
        self.remove(waited);
    }
}

/// A table without a clock would be of little use, so this needs `std`.
#[cfg(feature = "std")]
impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows the page.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries();
        page::write(f, &entries, self.state.with(|state| state.lost))?;
        // Each deadlock once.
        let mut shown = Vec::new();
        for start in (0..entries.len()).filter(|n| !entries[*n].is_held()) {
            if shown.contains(&start) {
                continue;
            }
            let Some(circle) = deadlock::circle(&entries, start) else { continue };
            shown.extend(circle.iter().map(|(waiter, _)| *waiter));
            let waits =
                circle.iter().map(|(waiter, of)| (entries[*waiter], entries[*of])).collect();
            writeln!(f, "{}", Report::Deadlock { waits })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.entries()).finish()
    }
}
