//! Text that the documentation of several methods shares.

/// Expands to a paragraph of documentation.
macro_rules! text {
    (waits) => {
        "The acquisition waits while a holder excludes `mode` or is upgrading. In a mode that is not \
        exclusive, it also waits while the lock is held and an exclusive waiter is queued. \
        [`MultiLock`](crate::MultiLock#fairness) documents the order of waiters."
    };
    (set_waits) => {
        "The acquisition waits while one of the locks cannot be acquired, and holds none of them \
        meanwhile. [`LockSet`](crate::LockSet#fairness) documents the order among sets and other \
        waiters."
    };
    (cancel_safety) => {
        "The future may be dropped at any point. It then does not hold the lock, and has lost its \
        place in the queue. If it had been woken, its drop passes the wake-up on to the next waiter."
    };
    (requests) => {
        "`requests` is a tuple of up to twelve requests, or an array, a slice or a vector of requests \
        of one type, such as `(a.reading(), b.writing())`. [`lock_all`](crate::lock_all) lists the \
        methods that return them."
    };
    (set_cancel_safety) => {
        "The future may be dropped at any point. It then holds none of the locks, and has lost its \
        place in the queue. If it had been woken, its drop passes the wake-up on to the next waiter."
    };
    (wait_cancel_safety) => {
        "The future may be dropped at any point, without an effect on any other task."
    };
    (deadlocks) => {
        "The wait may never end if the task already holds the same lock: see \
        [`MultiLock`](crate::MultiLock#deadlocks)."
    };
    (deadlocks_or) => {
        "If the task already holds the same lock, the wait may end only when `cancel` is ready: see \
        [`MultiLock`](crate::MultiLock#deadlocks)."
    };
    (wait_deadlocks) => {
        "The wait does not end while the task itself holds the lock in a mode that excludes `mode`."
    };
    (set_deadlocks) => {
        "The wait may never end if the task already holds one of the locks: see \
        [`LockSet`](crate::LockSet#deadlocks)."
    };
    (blocks) => {
        "If the lock is not available at once, the thread spins for a moment, yields to other threads \
        a few times, and then waits in the queue as a task would. If the woken thread finds the lock \
        taken, the next release at which it is the thread's turn hands the lock to it. The call \
        leaves the token of [`std::thread::park`] as it was."
    };
    (blocks_in_time) => {
        "If the lock is not available at once, the thread spins for a moment, and then waits in the \
        queue as a task would. If the woken thread finds the lock taken, the next release at which \
        it is the thread's turn hands the lock to it. The call leaves the token of \
        [`std::thread::park`] as it was."
    };
    (set_blocks) => {
        "If the locks are not available at once, the thread spins for a moment, yields to other threads \
        a few times unless its time is limited, and then waits in the queue of one lock after the \
        other, as a task would. No release hands a lock to the thread. The call leaves the token of \
        [`std::thread::park`] as it was."
    };
    (blocking_deadlocks) => {
        "The wait may never end if the thread already holds the same lock: see \
        [`MultiLock`](crate::MultiLock#deadlocks). A call from async code deadlocks if the holder \
        needs the blocked thread in order to go on."
    };
    (set_blocking_deadlocks) => {
        "The wait may never end if the thread already holds one of the locks: see \
        [`LockSet`](crate::LockSet#deadlocks). A call from async code deadlocks if a holder needs the \
        blocked thread in order to go on."
    };
    (deadlocks_in_time) => {
        "The thread blocks until its time is over if it already holds the lock in a mode that \
        excludes the acquisition, or if a holder needs the blocked thread in order to go on."
    };
    (set_deadlocks_in_time) => {
        "The thread blocks until its time is over if it already holds one of the locks in a mode that \
        excludes the acquisition, or if a holder needs the blocked thread in order to go on."
    };
    (adopt_errors) => {
        "If `handle` belongs to another lock, or to a lock that no longer exists, the error contains \
        the handle, and no lock changes."
    };
    (set_adopt_errors) => {
        "If `handle` belongs to another lock or set, the error contains the handle, and no lock \
        changes. A set that was collected from the same locks is another set, and a clone is not: a \
        set and all its clones accept the same handles."
    };
}
