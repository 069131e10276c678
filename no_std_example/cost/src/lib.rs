//! The compared locks, all with the same names: [`Lock`], `new`, `read`, `write`, `try_read` and
//! `try_write`.

#![no_std]

/// The data behind the locks.
pub type Value = [u32; 4];

/// The output of a future that does not wait, and is not moved.
#[macro_export]
macro_rules! now {
    ($future:expr) => {{
        let future = core::pin::pin!($future);
        match future.poll(&mut core::task::Context::from_waker(core::task::Waker::noop())) {
            core::task::Poll::Ready(output) => output,
            core::task::Poll::Pending => panic!("it waits"),
        }
    }};
}

#[cfg(feature = "unlocked")]
mod lock {
    //! No lock: the cost of the tasks without one.

    use core::cell::UnsafeCell;
    use core::future::{Ready, ready};
    use core::ops::{Deref, DerefMut};

    use crate::Value;

    pub struct Lock(UnsafeCell<Value>);

    // SAFETY: in the image `size` the task of the interrupt never waits, so it ends before those of the
    // thread begin. These do not keep a reference to the value across an `.await`.
    unsafe impl Sync for Lock {}

    pub struct Guard(&'static Lock);

    pub const fn new() -> Lock {
        Lock(UnsafeCell::new([0; 4]))
    }

    pub fn write(lock: &'static Lock) -> Ready<Guard> {
        ready(Guard(lock))
    }

    pub use write as read;

    impl Deref for Guard {
        type Target = Value;

        fn deref(&self) -> &Value {
            // SAFETY: see `Lock`.
            unsafe { &*self.0.0.get() }
        }
    }

    impl DerefMut for Guard {
        fn deref_mut(&mut self) -> &mut Value {
            // SAFETY: see `Lock`.
            unsafe { &mut *self.0.0.get() }
        }
    }
}

#[cfg(any(feature = "multilock", feature = "multilock-inline"))]
mod lock {
    //! `MultiLock` has no data: this module adds some.

    use core::cell::UnsafeCell;
    use core::ops::{Deref, DerefMut};

    use multilock::{Guard, Mode, MultiLock};

    use crate::Value;

    pub struct Lock {
        lock: MultiLock,
        value: UnsafeCell<Value>,
    }

    // SAFETY: only holders of the lock touch the value: an exclusive holder writes it, and any holder
    // reads it.
    unsafe impl Sync for Lock {}

    pub struct ReadGuard {
        _guard: Guard<'static>,
        value: &'static Value,
    }

    pub struct WriteGuard {
        _guard: Guard<'static>,
        value: &'static mut Value,
    }

    impl Lock {
        /// `guard` must belong to this lock.
        fn reader(&'static self, guard: Guard<'static>) -> ReadGuard {
            // SAFETY: while the guard is alive, there is no writer.
            ReadGuard { _guard: guard, value: unsafe { &*self.value.get() } }
        }

        /// `guard` must belong to this lock, in exclusive mode.
        fn writer(&'static self, guard: Guard<'static>) -> WriteGuard {
            // SAFETY: while the guard is alive, there is no other reader or writer.
            WriteGuard { _guard: guard, value: unsafe { &mut *self.value.get() } }
        }
    }

    pub const fn new() -> Lock {
        Lock { lock: MultiLock::new(), value: UnsafeCell::new([0; 4]) }
    }

    pub async fn read(lock: &'static Lock) -> ReadGuard {
        lock.reader(lock.lock.acquire(Mode::Shared).await)
    }

    pub async fn write(lock: &'static Lock) -> WriteGuard {
        lock.writer(lock.lock.acquire(Mode::Exclusive).await)
    }

    pub fn try_read(lock: &'static Lock) -> Option<ReadGuard> {
        Some(lock.reader(lock.lock.try_acquire(Mode::Shared)?))
    }

    pub fn try_write(lock: &'static Lock) -> Option<WriteGuard> {
        Some(lock.writer(lock.lock.try_acquire(Mode::Exclusive)?))
    }

    impl Deref for ReadGuard {
        type Target = Value;

        fn deref(&self) -> &Value {
            self.value
        }
    }

    impl Deref for WriteGuard {
        type Target = Value;

        fn deref(&self) -> &Value {
            self.value
        }
    }

    impl DerefMut for WriteGuard {
        fn deref_mut(&mut self) -> &mut Value {
            self.value
        }
    }
}

#[cfg(feature = "embassy-rwlock")]
mod lock {
    use core::ops::{Deref, DerefMut};

    use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
    use embassy_sync::rwlock::RwLock;

    use crate::Value;

    pub type Lock = RwLock<CriticalSectionRawMutex, Value>;

    pub const fn new() -> Lock {
        RwLock::new([0; 4])
    }

    pub fn read(lock: &'static Lock) -> impl Future<Output: Deref<Target = Value>> {
        lock.read()
    }

    pub fn write(lock: &'static Lock) -> impl Future<Output: DerefMut<Target = Value>> {
        lock.write()
    }

    pub fn try_read(lock: &'static Lock) -> Option<impl Deref<Target = Value>> {
        lock.try_read().ok()
    }

    pub fn try_write(lock: &'static Lock) -> Option<impl DerefMut<Target = Value>> {
        lock.try_write().ok()
    }
}

#[cfg(feature = "embassy-mutex")]
mod lock {
    use core::ops::DerefMut;

    use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
    use embassy_sync::mutex::Mutex;

    use crate::Value;

    pub type Lock = Mutex<CriticalSectionRawMutex, Value>;

    pub const fn new() -> Lock {
        Mutex::new([0; 4])
    }

    pub fn write(lock: &'static Lock) -> impl Future<Output: DerefMut<Target = Value>> {
        lock.lock()
    }

    pub fn try_write(lock: &'static Lock) -> Option<impl DerefMut<Target = Value>> {
        lock.try_lock().ok()
    }

    pub use {try_write as try_read, write as read};
}

#[cfg(any(feature = "maitake", feature = "async-lock"))]
mod lock {
    use core::ops::{Deref, DerefMut};

    #[cfg(feature = "async-lock")]
    use async_lock::RwLock;
    // Only the feature of this crate is needed.
    #[cfg(feature = "async-lock")]
    use event_listener as _;
    #[cfg(feature = "maitake")]
    use maitake_sync::RwLock;

    use crate::Value;

    pub type Lock = RwLock<Value>;

    pub const fn new() -> Lock {
        RwLock::new([0; 4])
    }

    pub fn read(lock: &'static Lock) -> impl Future<Output: Deref<Target = Value>> {
        lock.read()
    }

    pub fn write(lock: &'static Lock) -> impl Future<Output: DerefMut<Target = Value>> {
        lock.write()
    }

    pub fn try_read(lock: &'static Lock) -> Option<impl Deref<Target = Value>> {
        lock.try_read()
    }

    pub fn try_write(lock: &'static Lock) -> Option<impl DerefMut<Target = Value>> {
        lock.try_write()
    }
}

pub use lock::*;
