//! A box that is allocated when its value is needed for the first time.

use alloc::boxed::Box;
use core::marker::PhantomData;
use core::ptr;

use crate::sync::atomic::AtomicPtr;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::const_fn;

/// Marks an allocation. In a test it panics when the test says that the allocation fails.
#[inline(always)]
pub(crate) fn may_fail() {
    #[cfg(all(test, panic = "unwind", not(any(loom, shuttle))))]
    crate::out_of_memory::may_fail();
}

/// A box that is empty until it is initialized, once.
pub(crate) struct OnceBox<T>(AtomicPtr<T>, PhantomData<*mut T>);

// SAFETY: an `OnceBox` owns its value, like a `Box`, so sending it sends the value.
unsafe impl<T: Send> Send for OnceBox<T> {}
// SAFETY: `&OnceBox` gives `&T` to many threads at once (needs `Sync`), and one thread may create
// the value that another thread drops (needs `Send`).
unsafe impl<T: Send + Sync> Sync for OnceBox<T> {}

impl<T> OnceBox<T> {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self(AtomicPtr::new(ptr::null_mut()), PhantomData)
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // ORDERING: Acquire. Pairs with the Release in `get_or_make`: the value is complete.
        // Weakened, the model `p2_a_lazily_made_value_is_complete` fails.
        //
        // SAFETY: the pointer is null, or comes from `Box::into_raw` in `get_or_make`. The value
        // stays, and is not borrowed mutably, until `self` is borrowed mutably.
        unsafe { self.0.load(Acquire).as_ref() }
    }

    /// Returns the value, after allocating it if there is none yet. If two threads allocate at
    /// once, one of the two values is dropped.
    #[inline]
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> Box<T>) -> &T {
        self.get().unwrap_or_else(|| self.make(make))
    }

    #[cold]
    #[inline(never)]
    fn make(&self, make: impl FnOnce() -> Box<T>) -> &T {
        may_fail();
        let new = Box::into_raw(make());
        // ORDERING: Release, for `get`. Acquire, as in `get`, if it fails: it has found the value of
        // another thread. Weakened, the model `p2_a_lazily_made_value_is_complete` fails.
        match self.0.compare_exchange(ptr::null_mut(), new, Release, Acquire) {
            // SAFETY: as in `get`.
            Ok(_) => unsafe { &*new },
            Err(theirs) => {
                // SAFETY: `new` is ours: it comes from `Box::into_raw`, and no other thread has
                // seen it.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: as in `get`; `theirs` is not null.
                unsafe { &*theirs }
            }
        }
    }

    /// Takes the value out, if there is one.
    pub(crate) fn take(&mut self) -> Option<Box<T>> {
        // ORDERING: Relaxed, both. No other thread has the box now.
        let value = self.0.load(Relaxed);
        self.0.store(ptr::null_mut(), Relaxed);
        // SAFETY: the pointer comes from `Box::into_raw` in `get_or_make`. Nothing points to the
        // value any more: `self` does not, and a borrow of the value is a borrow of `self`.
        (!value.is_null()).then(|| unsafe { Box::from_raw(value) })
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}
