//! Which task is polled: what a lock cannot know, since it depends on no executor.

#[cfg(feature = "std")]
use core::cell::Cell;
#[cfg(feature = "std")]
use core::fmt;
#[cfg(feature = "std")]
use core::future::Future;
#[cfg(feature = "std")]
use core::pin::Pin;
#[cfg(feature = "std")]
use core::task::{Context, Poll};

#[cfg(feature = "std")]
use futures_core::FusedFuture;

#[cfg(feature = "std")]
use crate::sync::unmodeled::{AtomicUsize, Ordering::Relaxed};

/// A task that has a name. Several may have the same name, but not the same number.
#[derive(Clone, Copy)]
pub(super) struct TaskId {
    number: usize,
    name: &'static str,
}

impl PartialEq for TaskId {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl TaskId {
    #[cfg(feature = "std")]
    pub(super) fn new(name: &'static str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self { number: NEXT.fetch_add(1, Relaxed), name }
    }

    pub(super) const fn number(self) -> usize {
        self.number
    }

    pub(super) const fn name(self) -> &'static str {
        self.name
    }

    /// The task that this thread polls, if it has a name.
    pub(super) fn current() -> Option<Self> {
        // While a thread exits, its guards are dropped without a name.
        #[cfg(feature = "std")]
        return CURRENT.try_with(Cell::get).unwrap_or(None);
        #[cfg(not(feature = "std"))]
        None
    }
}

#[cfg(feature = "std")]
std::thread_local! {
    static CURRENT: Cell<Option<TaskId>> = const { Cell::new(None) };
}

/// Makes a task the current one of this thread, until it is dropped. Also if a poll panics, the
/// task before is the current one again.
#[cfg(feature = "std")]
pub(super) struct Scope(Option<TaskId>);

#[cfg(feature = "std")]
impl Scope {
    pub(super) fn enter(task: TaskId) -> Self {
        Self(CURRENT.try_with(|current| current.replace(Some(task))).unwrap_or(None))
    }
}

#[cfg(feature = "std")]
impl Drop for Scope {
    fn drop(&mut self) {
        // It can only fail if `enter` has failed, too.
        let _ = CURRENT.try_with(|current| current.set(self.0));
    }
}

/// A future with a name, by which a [`Table`](crate::observed::Table) knows which task holds a lock,
/// and which task waits.
///
/// Wrap what you spawn: `spawn(Task::new("transfer", transfer(from, to)))`. What is acquired, or
/// waited for, while the future is polled, is attributed to it. That is how the table finds tasks that
/// [wait for each other](crate::observed::Report::Deadlock). Within a `Task`, another one replaces the
/// name for its own polls. For code that is not async, there is [`in_task`](Self::in_task).
///
/// A poll costs two accesses of a thread-local variable more.
///
/// # Limitations
///
/// * What several futures of one task acquire, as in `join!` or `select!`, is all attributed to that
///   task. One of them may hold a lock that another one waits for, and go on: the table takes that for
///   a task that waits for itself. Give each of them a `Task`.
/// * A guard that is moved to another task is still attributed to the one that acquired it. A
///   [handle](crate::Handle) is attributed to the task that has adopted it, if it was adopted.
///
/// # Cancel safety
///
/// The future can be dropped as the one that is in it.
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
/// let guard = Task::new("report", lock.acquire(Mode::Shared)).await;
/// assert_eq!(TABLE.entries()[0].task(), Some("report"));
/// drop(guard);
/// # });
/// ```
#[cfg(feature = "std")]
#[must_use = "futures do nothing unless polled"]
pub struct Task<F: ?Sized> {
    task: TaskId,
    future: F,
}

#[cfg(feature = "std")]
impl<F> Task<F> {
    /// Gives a future a name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::observed::Task;
    ///
    /// # futures_lite::future::block_on(async {
    /// assert_eq!(Task::new("answer", async { 42 }).await, 42);
    /// # });
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub fn new(name: &'static str, future: F) -> Self {
        Self { task: TaskId::new(name), future }
    }
}

#[cfg(feature = "std")]
impl Task<()> {
    /// Calls `f`, and attributes to a task called `name` what it acquires and waits for: for threads
    /// that block.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    ///
    /// use multilock::Mode;
    /// use multilock::observed::{MultiLock, Table, Task};
    ///
    /// static TABLE: Table = Table::new();
    /// static LOCK: MultiLock<&Table> = MultiLock::with_observer("log", &TABLE);
    ///
    /// let writer = || drop(LOCK.acquire_blocking(Mode::Exclusive));
    /// thread::spawn(move || Task::in_task("writer", writer)).join().unwrap();
    /// assert!(TABLE.entries().is_empty());
    /// ```
    pub fn in_task<R>(name: &'static str, f: impl FnOnce() -> R) -> R {
        let _scope = Scope::enter(TaskId::new(name));
        f()
    }
}

#[cfg(feature = "std")]
impl<F: Future + ?Sized> Future for Task<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _scope = Scope::enter(self.task);
        // SAFETY: the future is pinned as long as the task is: nothing moves it out of the task, the
        // task has no `Drop`, and is `Unpin` only if the future is.
        unsafe { self.map_unchecked_mut(|task| &mut task.future) }.poll(cx)
    }
}

/// It is terminated when the future in it is.
#[cfg(feature = "std")]
impl<F: FusedFuture + ?Sized> FusedFuture for Task<F> {
    fn is_terminated(&self) -> bool {
        self.future.is_terminated()
    }
}

#[cfg(feature = "std")]
impl<F: ?Sized> fmt::Debug for Task<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("name", &self.task.name).finish_non_exhaustive()
    }
}
