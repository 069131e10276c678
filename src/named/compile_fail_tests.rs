//! Examples that must not compile.

/// A name stays in the lock as long as the lock lives. So the lock accepts no names that live
/// shorter than those that it was made for.
///
/// ```compile_fail,E0597
/// use multilock::{HandleLock, Mode};
///
/// let lock: HandleLock<&'static str> = HandleLock::new();
/// let name = String::from("short");
/// let _ = lock.try_acquire(Mode::Shared, &name);
/// ```
///
/// ```compile_fail,E0597
/// use multilock::{HandleLock, Mode};
///
/// let lock: HandleLock<&'static str> = HandleLock::new();
/// let guard = lock.try_context(Mode::Shared, "long").unwrap();
/// let name = String::from("short");
/// let _ = guard.lock().try_acquire(Mode::Shared, &name);
/// ```
#[cfg(doctest)]
struct HandlesOutliveTheLock;
