//! An interrupt at every instruction of an operation.
//!
//! The machine counts time in instructions. So if the timer is armed for one tick more in each turn, its
//! interrupt arrives once at each place of the operation, between any two instructions.

use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use critical_section::Mutex;

use crate::{board, println};

/// The result of a [`sweep`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Swept {
    /// How often the interrupt arrived while the part [under fire](under_fire) ran.
    pub preemptions: u32,
    /// How many of these arrived at another instruction than the one before.
    pub places: u32,
    /// The largest delay of the interrupt, in instructions.
    pub late: u32,
}

/// The position of a sweep.
#[derive(Clone, Copy)]
struct Turn {
    operation: &'static str,
    interrupt: &'static str,
    ticks: u32,
}

static TURN: Mutex<Cell<Option<Turn>>> = Mutex::new(Cell::new(None));
static ON_SHOT: Mutex<Cell<fn()>> = Mutex::new(Cell::new(|| {}));
static UNDER_FIRE: AtomicBool = AtomicBool::new(false);
/// The interrupt has arrived.
static SHOT: AtomicBool = AtomicBool::new(false);
/// It arrived while the part under fire ran, and did not wait for it.
static HIT: AtomicBool = AtomicBool::new(false);
static TICKS: AtomicU32 = AtomicU32::new(0);

/// Runs `operation` in turns, with an interrupt that arrives a tick later in each, until it arrives after
/// the part of the operation that is [under fire](under_fire). After each turn it runs `check`.
pub fn sweep(
    operation: (&'static str, impl Fn()),
    interrupt: (&'static str, fn()),
    check: impl Fn(),
) -> Swept {
    critical_section::with(|section| ON_SHOT.borrow(section).set(interrupt.1));
    board::start_shots(|| {
        HIT.store(UNDER_FIRE.load(SeqCst), SeqCst);
        SHOT.store(true, SeqCst);
        critical_section::with(|section| ON_SHOT.borrow(section).get())();
    });
    let mut swept = Swept::default();
    let mut place = 0;
    let mut late = 0;
    // As many ticks as fit in an instruction, but no more.
    for ticks in (1..).step_by(board::TICKS_PER_1000_INSTRUCTIONS as usize / 1000) {
        let turn = Turn { operation: operation.0, interrupt: interrupt.0, ticks };
        critical_section::with(|section| TURN.borrow(section).set(Some(turn)));
        board::feed_watchdog();
        TICKS.store(ticks, SeqCst);
        SHOT.store(false, SeqCst);
        HIT.store(false, SeqCst);
        operation.1();
        wait_for_shot();
        check();
        if !HIT.load(SeqCst) {
            break;
        }
        swept.preemptions += 1;
        swept.places += u32::from(place != board::preempted());
        place = board::preempted();
        late = late.max(board::late());
    }
    swept.late = late * 1000 / board::TICKS_PER_1000_INSTRUCTIONS;
    critical_section::with(|section| TURN.borrow(section).set(None));
    swept
}

/// Runs the part of an operation that the interrupt is to hit. Once in each turn.
#[inline(always)]
pub fn under_fire<R>(part: impl FnOnce() -> R) -> R {
    let ticks = TICKS.load(SeqCst);
    UNDER_FIRE.store(true, SeqCst);
    board::arm(ticks);
    let result = part();
    UNDER_FIRE.store(false, SeqCst);
    result
}

/// Waits until the interrupt has arrived. An interrupt that the operation waits for does not count as one
/// between two of its instructions.
pub fn wait_for_shot() {
    UNDER_FIRE.store(false, SeqCst);
    while !SHOT.load(SeqCst) {
        core::hint::spin_loop();
    }
}

/// Prints the position of the sweep, if there is one.
pub(crate) fn report() {
    let turn = critical_section::with(|section| TURN.borrow(section).get());
    if let Some(Turn { operation, interrupt, ticks }) = turn {
        let place = board::preempted();
        println!("{operation} x {interrupt}: interrupted after {ticks} ticks, at {place:#x}");
    }
}

/// Called when the watchdog was not fed.
pub fn stuck() -> ! {
    println!("DEADLOCK");
    report();
    board::exit(3)
}

/// A future that is polled by hand, as the task with a number.
pub struct Waiter<P: DerefMut<Target: Future>> {
    future: Pin<P>,
    task: usize,
    output: Option<<P::Target as Future>::Output>,
}

/// The number of tasks.
const TASKS: usize = 33;
static WOKEN: [AtomicBool; TASKS] = [const { AtomicBool::new(false) }; TASKS];

/// Releases what an interrupt has kept, and returns whether there was anything.
static GIVE_BACK: Mutex<Cell<fn() -> bool>> = Mutex::new(Cell::new(|| false));

/// Interrupts keep what they have acquired until a [`Waiter`] is stuck because of it. Then `give_back`
/// releases it, and returns whether there was anything.
pub fn give_back_with(give_back: fn() -> bool) {
    critical_section::with(|section| GIVE_BACK.borrow(section).set(give_back));
}

/// A task waits, and was not woken although it could proceed.
#[derive(Debug)]
pub struct LostWakeUp;

impl<P: DerefMut<Target: Future>> Waiter<P> {
    /// Polls `future` once, as the task number `task`.
    pub fn new(task: usize, future: Pin<P>) -> Self {
        let mut waiter = Self { future, task, output: None };
        waiter.poll();
        waiter
    }

    fn poll(&mut self) {
        let woken = &WOKEN[self.task];
        woken.store(false, SeqCst);
        if let Poll::Ready(output) =
            self.future.as_mut().poll(&mut Context::from_waker(&waker(woken)))
        {
            self.output = Some(output);
        }
    }

    /// Polls once more, as another task.
    pub fn poll_as(mut self, task: usize) -> Self {
        self.task = task;
        if self.is_pending() {
            self.poll();
        }
        self
    }

    pub fn is_pending(&self) -> bool {
        self.output.is_none()
    }

    /// Polls until the future is ready, as often as it was woken. Only what an interrupt has
    /// [kept](give_back_with) can still block it: so it has been woken, or is ready already.
    pub fn finish(mut self) -> Result<<P::Target as Future>::Output, LostWakeUp> {
        loop {
            if let Some(output) = self.output.take() {
                return Ok(output);
            }
            if !WOKEN[self.task].load(SeqCst) {
                let give_back = critical_section::with(|section| GIVE_BACK.borrow(section).get());
                if give_back() {
                    // That should have woken the waiter.
                    continue;
                }
                return Err(LostWakeUp);
            }
            self.poll();
        }
    }
}

/// A future in one of a few places in static memory: a box that needs no heap.
pub struct Placed<'a, T> {
    future: &'a mut (dyn Future<Output = T> + Send + 'a),
    place: &'static Place,
}

/// Room for a future.
struct Place {
    is_used: AtomicBool,
    memory: UnsafeCell<MaybeUninit<[u64; 12]>>,
}

// SAFETY: only the one `Placed` that has set `is_used` touches the memory.
unsafe impl Sync for Place {}

static PLACES: [Place; 10] = [const {
    Place { is_used: AtomicBool::new(false), memory: UnsafeCell::new(MaybeUninit::uninit()) }
}; 10];

impl<'a, T> Placed<'a, T> {
    pub fn pin<F: Future<Output = T> + Send + 'a>(future: F) -> Pin<Self> {
        const {
            assert!(size_of::<F>() <= size_of::<[u64; 12]>());
            assert!(align_of::<F>() <= align_of::<u64>());
        }
        let find = || {
            let place = PLACES.iter().find(|place| !place.is_used.load(SeqCst))?;
            place.is_used.store(true, SeqCst);
            Some(place)
        };
        let place = critical_section::with(|_| find()).expect("a free place");
        let memory = place.memory.get().cast::<F>();
        // SAFETY: the place was free, and has room for the future. The future stays there until it is
        // dropped, which frees the place.
        unsafe {
            memory.write(future);
            Pin::new_unchecked(Self { future: &mut *memory, place })
        }
    }
}

impl<'a, T> Deref for Placed<'a, T> {
    type Target = dyn Future<Output = T> + Send + 'a;

    fn deref(&self) -> &Self::Target {
        self.future
    }
}

impl<T> DerefMut for Placed<'_, T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.future
    }
}

impl<T> Drop for Placed<'_, T> {
    fn drop(&mut self) {
        // SAFETY: nothing uses the future after that, and the place is not free yet. What still uses it
        // by mistake does not find what was there.
        unsafe {
            core::ptr::drop_in_place(self.future);
            self.place.memory.get().write_bytes(0, 1);
        }
        self.place.is_used.store(false, SeqCst);
    }
}

/// `wait!(name = future, task)`: a [`Waiter`] in the caller's stack frame.
#[macro_export]
macro_rules! wait {
    ($name:ident = $future:expr, $task:expr) => {
        let future = core::pin::pin!($future);
        let $name = $crate::sweep::Waiter::new($task, future);
    };
}

/// The number of wakers.
static WAKERS: AtomicU32 = AtomicU32::new(0);

/// The number of live wakers of all tasks. They are counted, and own nothing.
pub fn wakers() -> u32 {
    WAKERS.load(SeqCst)
}

fn waker(woken: &'static AtomicBool) -> Waker {
    count_wakers(1);
    // SAFETY: the functions of the table keep the contract of a waker, and the flag is static.
    unsafe { Waker::new((&raw const *woken).cast(), &WAKER) }
}

static WAKER: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, count_down);

fn clone(woken: *const ()) -> RawWaker {
    count_wakers(1);
    RawWaker::new(woken, &WAKER)
}

/// # Safety
///
/// `woken` points to a static flag.
unsafe fn wake(woken: *const ()) {
    // SAFETY: the caller upholds the contract.
    unsafe { wake_by_ref(woken) };
    count_down(woken);
}

/// # Safety
///
/// `woken` points to a static flag.
unsafe fn wake_by_ref(woken: *const ()) {
    assert_unmasked();
    // SAFETY: the caller upholds the contract.
    unsafe { (*woken.cast::<AtomicBool>()).store(true, SeqCst) }
}

fn count_down(_: *const ()) {
    count_wakers(u32::MAX);
}

static UNMASKED: AtomicBool = AtomicBool::new(false);

/// From now on each use of a waker within a critical section fails: wakers are foreign code.
pub fn wakers_run_unmasked() {
    UNMASKED.store(true, SeqCst);
}

fn assert_unmasked() {
    if UNMASKED.load(SeqCst) {
        board::assert_not_masked();
    }
}

fn count_wakers(change: u32) {
    assert_unmasked();
    // Not in a critical section, if possible: the sweep measures how long the lock masks interrupts.
    #[cfg(target_has_atomic = "ptr")]
    WAKERS.fetch_add(change, SeqCst);
    #[cfg(not(target_has_atomic = "ptr"))]
    critical_section::with(|_| WAKERS.store(WAKERS.load(SeqCst).wrapping_add(change), SeqCst));
}
