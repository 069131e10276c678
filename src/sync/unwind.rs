//! Foreign code that panics.

#[cfg(feature = "std")]
use alloc::boxed::Box;

/// Runs `f` for each item, even for those that come after an item at which a waker panics.
pub(crate) fn for_each<I: Iterator>(items: I, f: impl FnMut(I::Item)) {
    struct FinishOnDrop<I: Iterator, F: FnMut(I::Item)>(I, F);
    impl<I: Iterator, F: FnMut(I::Item)> FinishOnDrop<I, F> {
        fn run(&mut self) {
            self.0.by_ref().for_each(&mut self.1);
        }
    }
    impl<I: Iterator, F: FnMut(I::Item)> Drop for FinishOnDrop<I, F> {
        fn drop(&mut self) {
            self.run();
        }
    }
    FinishOnDrop(items, f).run();
}

#[cfg(feature = "std")]
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> std::thread::Result<T> {
    std::panic::catch_unwind(core::panic::AssertUnwindSafe(run))
}

/// Drops the payload of a waker's panic. Its destructor is foreign code, too: if that panics in
/// turn, the new payload is forgotten.
#[cfg(feature = "std")]
#[cold]
pub(crate) fn discard(panic: Box<dyn core::any::Any + Send>) {
    if let Err(panic) = caught(|| drop(panic)) {
        core::mem::forget(panic);
    }
}
