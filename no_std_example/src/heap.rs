//! The heap, which counts. Without the feature `heap` there is none.

/// The statistics of the heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The number of allocations.
    pub allocations: usize,
    /// The number of allocated bytes, as requested.
    pub bytes: usize,
}

#[cfg(feature = "heap")]
mod counting {
    use core::alloc::{GlobalAlloc, Layout};
    use core::cell::Cell;
    use core::mem::MaybeUninit;

    use critical_section::Mutex;
    use embedded_alloc::LlffHeap;

    use super::Stats;

    const SIZE: usize = 4 * 1024;
    static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];

    struct Counting {
        heap: LlffHeap,
        stats: Mutex<Cell<Stats>>,
    }

    #[global_allocator]
    static HEAP: Counting = Counting {
        heap: LlffHeap::empty(),
        stats: Mutex::new(Cell::new(Stats { allocations: 0, bytes: 0 })),
    };

    impl Counting {
        fn count(&self, change: impl FnOnce(&mut Stats)) {
            critical_section::with(|section| {
                let mut stats = self.stats.borrow(section).get();
                change(&mut stats);
                self.stats.borrow(section).set(stats);
            });
        }
    }

    // SAFETY: `LlffHeap` does the allocation.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.count(|stats| {
                stats.allocations += 1;
                stats.bytes += layout.size();
            });
            // SAFETY: the caller upholds the contract.
            unsafe { self.heap.alloc(layout) }
        }

        unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
            self.count(|stats| stats.bytes -= layout.size());
            // SAFETY: as above.
            unsafe { self.heap.dealloc(memory, layout) }
        }
    }

    pub(crate) fn init() {
        // SAFETY: the memory is used for nothing else, and has the given size.
        unsafe { HEAP.heap.init(&raw mut MEMORY as usize, SIZE) }
    }

    pub(crate) fn stats() -> Stats {
        critical_section::with(|section| HEAP.stats.borrow(section).get())
    }
}

/// Initializes the heap's memory: once, before anything is allocated.
pub(crate) fn init() {
    #[cfg(feature = "heap")]
    counting::init();
}

/// The statistics at this moment. All are zero without a heap.
pub fn stats() -> Stats {
    #[cfg(feature = "heap")]
    return counting::stats();
    #[cfg(not(feature = "heap"))]
    Stats::default()
}
