//! One line of the page.

use core::fmt;
use core::panic::Location;
use core::time::Duration;

use crate::mode::Mode;
use crate::observed::observer::{Acquisition, LockInfo};
use crate::observed::task::TaskId;

/// An acquisition in a [`Table`](crate::observed::Table): one that is held, or one that waits.
///
/// It is a copy, and stays as it was when the table was asked.
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
/// let guard = lock.try_acquire(Mode::Shared);
/// let [entry] = TABLE.entries()[..] else { panic!() };
/// assert!(entry.is_held());
/// assert_eq!((entry.mode(), entry.site().file()), (Mode::Shared, file!()));
/// drop(guard);
/// ```
#[derive(Clone, Copy)]
pub struct Entry {
    name: Option<&'static str>,
    lock_site: &'static Location<'static>,
    lock_id: usize,
    mode: Mode,
    from: Option<Mode>,
    held: bool,
    site: &'static Location<'static>,
    task: Option<TaskId>,
    since: Duration,
    seen: Duration,
}

impl Entry {
    pub(super) const fn new(
        acquisition: Acquisition<'_>,
        held: bool,
        since: Duration,
        task: Option<TaskId>,
    ) -> Self {
        let lock = acquisition.lock();
        Self {
            name: lock.name(),
            lock_site: lock.site(),
            lock_id: lock.id(),
            mode: acquisition.mode(),
            // What was held before an upgrade or a downgrade is of no use afterwards.
            from: if held { None } else { acquisition.changed_from() },
            held,
            site: acquisition.site(),
            task,
            since,
            seen: since,
        }
    }

    /// The same, at the moment `now`.
    pub(super) fn at(self, now: Duration) -> Self {
        Self { seen: now.max(self.since), ..self }
    }

    pub(super) const fn task_id(&self) -> Option<TaskId> {
        self.task
    }

    /// Whether both are acquisitions of the same lock.
    pub(super) const fn is_of_the_lock_of(&self, other: &Self) -> bool {
        self.lock_id == other.lock_id
    }

    /// Whether this is an acquisition of `lock`.
    pub(super) fn is_of(&self, lock: LockInfo<'_>) -> bool {
        self.lock_id == lock.id()
    }

    /// What locks are told apart by where there may be several of one name or line.
    pub(super) const fn lock_id(&self) -> usize {
        self.lock_id
    }

    /// Returns the name that the lock was made with, if it has one.
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
    /// let guard = lock.try_acquire(Mode::Shared);
    /// assert_eq!(TABLE.entries()[0].lock_name(), Some("log"));
    /// drop(guard);
    /// ```
    #[must_use]
    pub const fn lock_name(&self) -> Option<&'static str> {
        self.name
    }

    /// Returns the line on which the lock was made.
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
    /// let guard = lock.try_acquire(Mode::Shared);
    /// assert_eq!(TABLE.entries()[0].lock_site().file(), file!());
    /// drop(guard);
    /// ```
    #[must_use]
    pub const fn lock_site(&self) -> &'static Location<'static> {
        self.lock_site
    }

    /// Returns the mode that is held or wanted.
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
    /// let guard = lock.try_acquire(Mode::Exclusive);
    /// assert_eq!(TABLE.entries()[0].mode(), Mode::Exclusive);
    /// drop(guard);
    /// ```
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns whether the lock is held. Otherwise the acquisition, or the upgrade, waits.
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
    /// let [holder, waiter] = TABLE.entries()[..] else { panic!() };
    /// assert!(holder.is_held() && !waiter.is_held());
    /// drop(guard);
    /// # });
    /// ```
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.held
    }

    /// Returns whether a holder waits for a stronger mode. In the meantime it is a holder in its
    /// mode before, with an entry of its own.
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
    /// let reader = lock.acquire(Mode::Shared).await;
    /// let mut guard = lock.acquire(Mode::Upgradable).await;
    /// let mut upgrade = Box::pin(guard.upgrade());
    /// assert!(futures_lite::future::poll_once(&mut upgrade).await.is_none());
    /// let [_reader, holder, upgrade] = TABLE.entries()[..] else { panic!() };
    /// assert!(!holder.is_upgrade() && upgrade.is_upgrade());
    /// drop(reader);
    /// # });
    /// ```
    #[must_use]
    pub const fn is_upgrade(&self) -> bool {
        self.from.is_some()
    }

    /// The mode that an upgrade started from.
    pub(super) const fn from(&self) -> Option<Mode> {
        self.from
    }

    /// Returns the line of the call that acquires the lock, or that has changed the mode last.
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
    /// let guard = lock.try_acquire(Mode::Shared);
    /// assert_eq!(TABLE.entries()[0].site().file(), file!());
    /// drop(guard);
    /// ```
    #[must_use]
    pub const fn site(&self) -> &'static Location<'static> {
        self.site
    }

    /// Returns for how long the lock was held in this mode, or waited for, when the table was
    /// asked.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// use multilock::Mode;
    /// use multilock::observed::{MultiLock, Table};
    ///
    /// static TABLE: Table = Table::new();
    ///
    /// let lock = MultiLock::with_observer("log", &TABLE);
    /// let guard = lock.try_acquire(Mode::Shared);
    /// std::thread::sleep(Duration::from_millis(1));
    /// assert!(TABLE.entries()[0].age() >= Duration::from_millis(1));
    /// drop(guard);
    /// ```
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.seen.saturating_sub(self.since)
    }

    /// Returns the name of the [task](crate::observed::Task) that holds the lock, or waits for it.
    /// `None`: the task has no name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    /// use multilock::observed::{MultiLock, Table, Task};
    ///
    /// static TABLE: Table = Table::new();
    ///
    /// # futures_lite::future::block_on(async {
    /// let lock = MultiLock::with_observer("log", &TABLE);
    /// let _guard = Task::new("reader", lock.acquire(Mode::Shared)).await;
    /// assert_eq!(TABLE.entries()[0].task(), Some("reader"));
    /// # });
    /// ```
    #[must_use]
    pub const fn task(&self) -> Option<&'static str> {
        match self.task {
            Some(task) => Some(task.name()),
            None => None,
        }
    }
}

/// Shows for example `exclusive for 1.250 s by transfer at src/main.rs:20:17`.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", mode_name(self.mode), Seconds(self.age()))?;
        if let Some(task) = self.task() {
            write!(f, " by {task}")?;
        }
        write!(f, " at {}", self.site)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("lock", &format_args!("{}", LockLabel(self)))
            .field("mode", &self.mode)
            .field("changed_from", &self.from)
            .field("is_held", &self.held)
            .field("age", &self.age())
            .field("task", &self.task())
            .field("site", &format_args!("{}", self.site))
            .finish()
    }
}

/// The name of the lock of an entry, or else the line on which the lock was made.
pub(super) struct LockLabel<'a>(pub(super) &'a Entry);

impl fmt::Display for LockLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.name {
            Some(name) => f.write_str(name),
            None => self.0.lock_site.fmt(f),
        }
    }
}

/// All ages have one unit, so that a column of them can be compared and sorted.
pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0.as_secs(), self.0.subsec_millis())
    }
}

pub(super) const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Shared => "shared",
        Mode::Upgradable => "upgradable",
        Mode::Exclusive => "exclusive",
    }
}
