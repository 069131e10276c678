//! Examples that must not compile.

/// A handle may stay in the lock as long as the lock lives. So the lock accepts no handle with a
/// shorter lifetime than that of its type `H`.
///
/// ```compile_fail,E0597
/// use multilock::{HandleLock, Mode};
///
/// let lock: HandleLock<&'static str> = HandleLock::new();
/// let handle = String::from("short");
/// let _ = lock.try_acquire(Mode::Shared, &handle);
/// ```
///
/// ```compile_fail,E0597
/// use multilock::{HandleLock, Mode};
///
/// let lock: HandleLock<&'static str> = HandleLock::new();
/// let guard = lock.try_context(Mode::Shared, "long").unwrap();
/// let handle = String::from("short");
/// let _ = guard.lock().try_acquire(Mode::Shared, &handle);
/// ```
#[cfg(doctest)]
struct HandlesOutliveTheLock;
