//! The heap, which counts.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::mem::MaybeUninit;

use critical_section::Mutex;
use embedded_alloc::LlffHeap;

const SIZE: usize = 4 * 1024;
static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];

/// What the heap has done, and holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// How often it has been asked for memory.
    pub allocations: usize,
    /// How many bytes are in use, as they were asked for.
    pub bytes: usize,
}

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

// SAFETY: it is `LlffHeap` that allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count(|stats| {
            stats.allocations += 1;
            stats.bytes += layout.size();
        });
        // SAFETY: the caller's promises are the callee's conditions.
        unsafe { self.heap.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        self.count(|stats| stats.bytes -= layout.size());
        // SAFETY: as above.
        unsafe { self.heap.dealloc(memory, layout) }
    }
}

/// Gives the heap its memory: once, before anything is allocated.
pub(crate) fn init() {
    // SAFETY: nobody else uses the memory, and it is as long as it says.
    unsafe { HEAP.heap.init(&raw mut MEMORY as usize, SIZE) }
}

pub fn stats() -> Stats {
    critical_section::with(|section| HEAP.stats.borrow(section).get())
}
