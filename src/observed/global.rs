//! The table of the process.

#[cfg(feature = "std")]
use crate::observed::observer::{Acquisition, NewObserver, Observer};
#[cfg(feature = "std")]
use crate::observed::table::{Table, TableRecord};

/// The observer that stands for the [table of the process](table), which all locks share.
///
/// It has no size, and is what observed locks have if no other observer is named. So an alias is all
/// that a program needs to have the page:
///
/// ```
/// type RwLock<T> = multilock::observed::RwLock<T>;
///
/// static NAMES: RwLock<Vec<&str>> = RwLock::new(Vec::new());
///
/// # futures_lite::future::block_on(async {
/// let names = NAMES.read().await;
/// eprintln!("{}", multilock::observed::table());
/// # drop(names);
/// # });
/// ```
///
/// It needs `std`, for a clock. Without, it observes nothing, and locks need another observer.
///
/// # Examples
///
/// ```
/// use multilock::Mode;
/// use multilock::observed::{Global, MultiLock, table};
///
/// static LOCK: MultiLock<Global> = MultiLock::named("log");
///
/// let guard = LOCK.try_acquire(Mode::Shared);
/// assert!(table().to_string().contains("log"));
/// drop(guard);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Global;

/// Returns the table of the process, of all locks whose observer is [`Global`].
///
/// # Examples
///
/// ```
/// use multilock::observed::table;
///
/// table().report_to(|report| eprintln!("{report}"));
/// ```
#[cfg(feature = "std")]
#[must_use]
pub fn table() -> &'static Table {
    static TABLE: Table = Table::new();
    &TABLE
}

#[cfg(feature = "std")]
impl NewObserver for Global {
    const NEW: Self = Self;
}

#[cfg(feature = "std")]
impl Observer for Global {
    type Record = TableRecord;

    fn waiting(&self, acquisition: Acquisition<'_>) -> TableRecord {
        table().waiting(acquisition)
    }

    fn acquired(&self, acquisition: Acquisition<'_>, waited: Option<TableRecord>) -> TableRecord {
        table().acquired(acquisition, waited)
    }

    fn changed(
        &self,
        acquisition: Acquisition<'_>,
        held: TableRecord,
        waited: Option<TableRecord>,
    ) -> TableRecord {
        table().changed(acquisition, held, waited)
    }

    fn released(&self, acquisition: Acquisition<'_>, held: TableRecord) {
        table().released(acquisition, held);
    }

    fn cancelled(&self, acquisition: Acquisition<'_>, waited: TableRecord) {
        table().cancelled(acquisition, waited);
    }
}
