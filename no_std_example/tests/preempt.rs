//! Each operation of the lock, with an interrupt between any two of its instructions that uses the lock,
//! too: nothing hangs, no waiter is forgotten, and at the end all locks are as they were.

#![no_std]
#![no_main]

use core::array;
use core::cell::RefCell;
use core::future::ready;
use core::pin::pin;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};

use critical_section::Mutex;
use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use multilock::Mode::{Exclusive, Shared, Upgradable};
use multilock::{Guard, Handle, Mode, MultiLock, RwLock};
use multilock::{acquire_all, lock_all, try_lock_all};
use no_std_example::sweep::{
    Placed, Waiter, give_back_with, sweep, under_fire, wait_for_shot, wakers, wakers_run_unmasked,
};
use no_std_example::{board, heap, println, wait};

/// Names, sets, and the first wait on a lock, which need a heap.
#[cfg(feature = "heap")]
#[path = "preempt/owning.rs"]
mod owning;

#[cfg(not(feature = "heap"))]
mod owning {
    use super::Operation;

    pub const UNCONTENDED: &[Operation] = &[];
    pub const CONTENDED: &[Operation] = &[];
    pub const INTERRUPTS: &[Operation] = &[];
}

/// The name of what an operation of the thread does, or an interrupt.
type Operation = (&'static str, fn());

const MODES: [Mode; 3] = [Shared, Upgradable, Exclusive];

/// Everything that operations and interrupts use.
struct Locks {
    data: RwLock<u32>,
    other: MultiLock,
    #[cfg(feature = "heap")]
    names: multilock::HandleLock<u32>,
}

impl Locks {
    const fn new() -> Self {
        Self {
            data: RwLock::new(0),
            other: MultiLock::new(),
            #[cfg(feature = "heap")]
            names: multilock::HandleLock::new(),
        }
    }

    fn assert_unused(&self) {
        for lock in [self.data.raw(), &self.other] {
            // The whole word: no waiter was overtaken, and there are no monitors.
            assert_eq!(lock.snapshot(), MultiLock::new().snapshot());
        }
        #[cfg(feature = "heap")]
        assert_eq!(self.names.snapshot(), MultiLock::new().snapshot());
        assert_eq!(wakers(), 0, "wakers were leaked, or dropped twice");
    }
}

static LOCKS: Locks = Locks::new();

fn locks() -> &'static Locks {
    #[cfg(feature = "heap")]
    return owning::locks();
    #[cfg(not(feature = "heap"))]
    &LOCKS
}

fn data() -> &'static RwLock<u32> {
    &locks().data
}

fn lock() -> &'static MultiLock {
    data().raw()
}

fn other() -> &'static MultiLock {
    &locks().other
}

// ---- What the thread holds, and an interrupt may release

enum Hold {
    Guard(Guard<'static>),
    Handle(Handle),
    #[cfg(feature = "heap")]
    Name(u32),
    #[cfg(feature = "heap")]
    Set(multilock::SetGuard<'static, &'static MultiLock>),
}

static HOLD: Mutex<RefCell<Option<Hold>>> = Mutex::new(RefCell::new(None));

fn put_hold(hold: Hold) {
    critical_section::with(|section| HOLD.replace(section, Some(hold)));
}

fn release_hold() {
    let hold = critical_section::with(|section| HOLD.take(section));
    hold.into_iter().for_each(release);
}

fn release(hold: Hold) {
    match hold {
        Hold::Guard(guard) => drop(guard),
        Hold::Handle(handle) => lock().release(handle).unwrap(),
        #[cfg(feature = "heap")]
        Hold::Name(name) => assert!(locks().names.release(&name).is_some()),
        #[cfg(feature = "heap")]
        Hold::Set(guard) => drop(guard),
    }
}

/// Acquires the lock for the thread.
fn hold(mode: Mode) {
    put_hold(Hold::Guard(lock().try_acquire(mode).unwrap()));
}

/// Releases the lock. If the interrupt is to release it, waits for the interrupt first.
fn let_go() {
    if RELEASES.load(SeqCst) {
        wait_for_shot();
    }
    release_hold();
}

/// A future of the thread that waits for the lock, and that an interrupt may drop.
type Going = Waiter<Placed<'static, Guard<'static>>>;

static GOING: Mutex<RefCell<Option<Going>>> = Mutex::new(RefCell::new(None));

fn put_going(mode: Mode) {
    let going: Going = Waiter::new(12, Placed::pin(lock().acquire(mode)));
    assert!(going.is_pending());
    critical_section::with(|section| GOING.replace(section, Some(going)));
}

fn drop_going() {
    drop(critical_section::with(|section| GOING.take(section)));
}

/// Whether the task of the interrupt waits: then shared newcomers wait behind it, and it waits for all
/// holders.
fn is_awaited_by_task() -> bool {
    lock().snapshot().is_awaited(Exclusive) || lock().snapshot().is_upgrading()
}

/// The mode in which the lock is certainly held: its place in [`MODES`], or else [`NONE`]. It is read
/// under fire, so it is not in a critical section.
struct Inside(AtomicUsize);

const NONE: usize = usize::MAX;

/// The mode in which the thread holds the lock while it is under fire.
static THREAD: Inside = Inside(AtomicUsize::new(NONE));
/// The mode in which an interrupt holds the lock.
static INTERRUPT: Inside = Inside(AtomicUsize::new(NONE));

impl Inside {
    fn set(&self, mode: Option<Mode>) {
        self.0.store(mode.map_or(NONE, |mode| mode as usize), SeqCst);
    }

    /// Checks that the holder of `guard` is compatible with this one.
    fn allows(&self, guard: &Guard<'_>) {
        let excludes = |inside: &Mode| inside.excludes(guard.mode());
        assert!(
            !MODES.get(self.0.load(SeqCst)).is_some_and(excludes),
            "two holders exclude each other"
        );
    }
}

/// Runs `part` while the thread holds the lock in `mode` at least.
fn holding<R>(mode: Mode, part: impl FnOnce() -> R) -> R {
    THREAD.set(Some(mode));
    let result = part();
    THREAD.set(None);
    result
}

/// Whether the interrupt releases the lock.
static RELEASES: AtomicBool = AtomicBool::new(false);

// ---- The operations

/// Only the interrupt interferes with these operations.
const UNCONTENDED: &[Operation] = &[
    ("try_acquire shared", || try_acquire(Shared)),
    ("try_acquire upgradable", || try_acquire(Upgradable)),
    ("try_acquire exclusive", || try_acquire(Exclusive)),
    ("acquire shared", || acquire(Shared)),
    ("acquire upgradable", || acquire(Upgradable)),
    ("acquire exclusive", || acquire(Exclusive)),
    ("try_upgrade", try_upgrade),
    ("share", share),
    ("adopt a handle", adopt_a_handle),
    ("try_lock_all", try_lock_all_locks),
];

const CONTENDED: &[Operation] = &[
    ("wait shared", || wait_behind(Exclusive, Shared)),
    ("wait upgradable", || wait_behind(Upgradable, Upgradable)),
    ("wait exclusive", || wait_behind(Shared, Exclusive)),
    ("release to one", release_to_one),
    ("release to one of two", release_to_one_of_two),
    ("release to a crowd", release_to_a_crowd),
    ("release to a cancelled one", release_to_a_cancelled_one),
    ("wait beside a cancelled one", wait_beside_a_cancelled_one),
    ("wait because of a cancelled one", wait_because_of_a_cancelled_one),
    ("cancel a waiter", cancel_a_waiter),
    ("cancel one of two", cancel_one_of_two),
    ("cancel an exclusive waiter", cancel_an_exclusive_waiter),
    ("cancel a woken waiter", cancel_a_woken_waiter),
    ("upgrade", || upgrade(Upgradable)),
    ("upgrade from shared", || upgrade(Shared)),
    ("cancel an upgrade", cancel_an_upgrade),
    ("downgrade", downgrade),
    ("acquire_or", acquire_or),
    ("wait for a mode", wait_for_a_mode),
    ("monitor", monitor),
    ("drop a monitor", drop_a_monitor),
    ("poll with another waker", poll_with_another_waker),
    ("poll a monitor with another", poll_a_monitor_with_another_waker),
    ("release by handle", release_by_handle),
    ("acquire_all", acquire_all_waits),
    ("lock_all", lock_all_waits),
    ("with_mut", with_mut),
    ("write_when and with_mut", wait_for_a_condition),
];

fn try_acquire(mode: Mode) {
    under_fire(|| drop(lock().try_acquire(mode).inspect(|guard| INTERRUPT.allows(guard))));
}

fn acquire(mode: Mode) {
    under_fire(|| {
        wait!(waiter = lock().acquire(mode), 0);
        let guard = waiter.finish().unwrap();
        INTERRUPT.allows(&guard);
        assert_eq!(guard.mode(), mode);
    });
}

fn wait_behind(holder: Mode, mode: Mode) {
    hold(holder);
    under_fire(|| {
        wait!(waiter = lock().acquire(mode), 0);
        assert!(waiter.is_pending() || RELEASES.load(SeqCst));
        let_go();
        INTERRUPT.allows(&waiter.finish().unwrap());
    });
}

fn release_to_one() {
    hold(Exclusive);
    wait!(waiter = lock().acquire(Exclusive), 0);
    under_fire(let_go);
    drop(waiter.finish().unwrap());
}

/// The interrupt may have woken the first waiter already.
fn release_to_one_of_two() {
    hold(Exclusive);
    wait!(first = lock().acquire(Exclusive), 0);
    wait!(second = lock().acquire(Exclusive), 1);
    under_fire(let_go);
    drop(first.finish().unwrap());
    drop(second.finish().unwrap());
}

/// More waiters than one critical section wakes. The interrupt may drop the first.
fn release_to_a_crowd() {
    hold(Exclusive);
    put_going(Shared);
    let crowd: [_; 9] =
        array::from_fn(|task| Waiter::new(task, Placed::pin(lock().acquire(Shared))));
    under_fire(let_go);
    for guard in crowd.map(|waiter| waiter.finish().unwrap()) {
        assert_eq!(guard.mode(), Shared);
    }
    drop_going();
}

fn release_to_a_cancelled_one() {
    hold(Exclusive);
    put_going(Exclusive);
    wait!(second = lock().acquire(Exclusive), 0);
    under_fire(let_go);
    drop_going();
    drop(second.finish().unwrap());
}

fn wait_beside_a_cancelled_one() {
    hold(Exclusive);
    put_going(Exclusive);
    under_fire(|| {
        wait!(waiter = lock().acquire(Exclusive), 0);
        drop_going();
        let_go();
        INTERRUPT.allows(&waiter.finish().unwrap());
    });
}

fn wait_because_of_a_cancelled_one() {
    hold(Shared);
    put_going(Exclusive);
    let future = pin!(lock().acquire(Shared));
    let waiter = under_fire(|| {
        let waiter = Waiter::new(0, future);
        drop_going();
        waiter
    });
    if is_awaited_by_task() {
        let_go();
    }
    drop(waiter.finish().unwrap());
    let_go();
}

fn cancel_a_waiter() {
    hold(Exclusive);
    under_fire(|| {
        wait!(waiter = lock().acquire(Exclusive), 0);
        drop(waiter);
    });
    let_go();
}

/// The interrupt may wake the waiter that is dropped.
fn cancel_one_of_two() {
    hold(Exclusive);
    let first = Waiter::new(0, Placed::pin(lock().acquire(Exclusive)));
    wait!(second = lock().acquire(Exclusive), 1);
    under_fire(|| drop(first));
    let_go();
    drop(second.finish().unwrap());
}

fn cancel_an_exclusive_waiter() {
    hold(Shared);
    let exclusive = Waiter::new(0, Placed::pin(lock().acquire(Exclusive)));
    wait!(shared = lock().acquire(Shared), 1);
    under_fire(|| drop(exclusive));
    if is_awaited_by_task() {
        let_go();
    }
    drop(shared.finish().unwrap());
    let_go();
}

fn cancel_a_woken_waiter() {
    hold(Exclusive);
    let first = Waiter::new(0, Placed::pin(lock().acquire(Exclusive)));
    wait!(second = lock().acquire(Exclusive), 1);
    release_hold();
    under_fire(|| drop(first));
    drop(second.finish().unwrap());
}

fn upgrade(from: Mode) {
    hold(Shared);
    let mut guard = lock().try_acquire(from).unwrap();
    let upgraded = holding(from, || {
        under_fire(|| {
            wait!(upgrade = guard.upgrade(), 0);
            let_go();
            upgrade.finish().unwrap().is_ok()
        })
    });
    // Another holder may upgrade first, but not before an upgradable one.
    assert!(upgraded || from == Shared);
    assert_eq!(guard.mode(), if upgraded { Exclusive } else { from });
}

fn try_upgrade() {
    let mut guard = lock().try_acquire(Upgradable).unwrap();
    holding(Upgradable, || {
        under_fire(|| {
            let upgraded = guard.try_upgrade().is_ok();
            assert_eq!(guard.mode(), if upgraded { Exclusive } else { Upgradable });
        })
    });
}

fn cancel_an_upgrade() {
    hold(Shared);
    let mut guard = lock().try_acquire(Upgradable).unwrap();
    let upgrade = Waiter::new(0, Placed::pin(guard.upgrade()));
    assert!(upgrade.is_pending());
    wait!(kept_out = lock().acquire(Shared), 1);
    assert!(kept_out.is_pending());
    holding(Upgradable, || under_fire(|| drop(upgrade)));
    assert_eq!(guard.mode(), Upgradable);
    if is_awaited_by_task() {
        drop(guard);
        let_go();
        drop(kept_out.finish().unwrap());
    } else {
        drop(kept_out.finish().unwrap());
        drop(guard);
        let_go();
    }
}

fn downgrade() {
    let mut guard = lock().try_acquire(Exclusive).unwrap();
    wait!(shared = lock().acquire(Shared), 0);
    wait!(upgradable = lock().acquire(Upgradable), 1);
    holding(Shared, || {
        under_fire(|| {
            guard.downgrade(Upgradable);
            guard.downgrade(Shared);
        })
    });
    if is_awaited_by_task() {
        drop(guard);
        drop(shared.finish().unwrap());
    } else {
        drop(shared.finish().unwrap());
        drop(guard);
    }
    drop(upgradable.finish().unwrap());
}

fn share() {
    let guard = lock().try_acquire(Shared).unwrap();
    under_fire(|| {
        let more = guard.share();
        // Not while another holder upgrades.
        assert!(more.is_none_or(|guard| guard.mode() == Shared));
    });
}

fn acquire_or() {
    hold(Exclusive);
    under_fire(|| {
        wait!(waiter = lock().acquire_or(Exclusive, ready(())), 0);
        drop(waiter.finish().unwrap());
    });
    let_go();
}

fn wait_for_a_mode() {
    hold(Exclusive);
    under_fire(|| {
        wait!(waiter = lock().wait(Shared), 0);
        let_go();
        waiter.finish().unwrap();
    });
}

fn monitor() {
    hold(Exclusive);
    under_fire(|| {
        let monitor = lock().monitor(Exclusive);
        wait!(waiter = monitor.wait(), 0);
        let_go();
        waiter.finish().unwrap();
        monitor.clear();
    });
}

fn drop_a_monitor() {
    hold(Exclusive);
    let monitor = lock().monitor(Exclusive);
    under_fire(|| drop(monitor));
    let_go();
}

fn poll_with_another_waker() {
    hold(Exclusive);
    wait!(waiter = lock().acquire(Shared), 0);
    let waiter = under_fire(|| waiter.poll_as(1));
    let_go();
    drop(waiter.finish().unwrap());
}

fn poll_a_monitor_with_another_waker() {
    hold(Exclusive);
    let monitor = lock().monitor(Exclusive);
    wait!(waiter = monitor.wait(), 0);
    let waiter = under_fire(|| waiter.poll_as(1));
    let_go();
    waiter.finish().unwrap();
}

fn release_by_handle() {
    let guard = lock().try_acquire(Exclusive).unwrap();
    put_hold(Hold::Handle(guard.into_handle()));
    wait!(waiter = lock().acquire(Shared), 0);
    under_fire(let_go);
    drop(waiter.finish().unwrap());
}

fn adopt_a_handle() {
    let guard = lock().try_acquire(Shared).unwrap();
    under_fire(|| {
        let handle = guard.into_handle();
        let handle = other().release(handle).unwrap_err().into_handle();
        drop(lock().adopt(handle).unwrap());
    });
}

fn acquire_all_waits() {
    hold(Exclusive);
    under_fire(|| {
        wait!(waiter = acquire_all([(lock(), Shared), (other(), Exclusive)]), 0);
        let_go();
        drop(waiter.finish().unwrap());
    });
}

fn try_lock_all_locks() {
    under_fire(|| drop(try_lock_all((data().reading(), other().in_mode(Exclusive)))));
}

fn lock_all_waits() {
    hold(Exclusive);
    under_fire(|| {
        wait!(waiter = lock_all((data().writing(), other().in_mode(Shared))), 0);
        let_go();
        drop(waiter.finish().unwrap());
    });
}

fn with_mut() {
    hold(Shared);
    under_fire(|| {
        wait!(change = data().with_mut(|number| *number += 1), 0);
        let_go();
        change.finish().unwrap();
    });
}

/// Whether the task of the interrupt makes the condition true.
static CHANGES: AtomicBool = AtomicBool::new(false);

/// The interrupt may hold the lock when the condition is first evaluated, and when it becomes true.
fn wait_for_a_condition() {
    data().try_write().map(|mut number| *number = 0).unwrap();
    under_fire(|| {
        let waits = data().write_when(|number| *number == 1);
        let changes = async {
            if !CHANGES.load(SeqCst) {
                data().with_mut(|number| *number = 1).await;
            }
        };
        // In one task: a waiter that is not polled would keep the other asleep.
        wait!(both = join(waits, changes), 0);
        if CHANGES.load(SeqCst) {
            wait_for_shot();
        }
        let (number, ()) = both.finish().unwrap();
        assert_eq!(*number, 1);
    });
}

// ---- The interrupts

const INTERRUPTS: &[Operation] = &[
    ("try and release", || {
        for mode in MODES {
            drop(enter(mode));
        }
    }),
    ("all that does not wait", || {
        let monitor = lock().monitor(Exclusive);
        assert!(!monitor.is_set() || lock().locked().is_none());
        monitor.clear();
        if let Some(mut guard) = enter(Exclusive) {
            guard.downgrade(Upgradable);
            let shared = guard.share().unwrap();
            assert!(guard.try_upgrade().is_err());
            drop(shared);
            assert!(guard.try_upgrade().is_ok());
            let guard = lock().adopt(guard.into_handle()).unwrap();
            assert_eq!(lock().snapshot().mode(), Some(Exclusive));
            lock().release(guard.into_handle()).unwrap();
        }
    }),
    ("acquire once and cancel", || {
        for (task, mode) in (9..).zip(MODES) {
            wait!(waiter = lock().acquire(mode), task);
            drop(waiter);
        }
    }),
    (RELEASE, release_hold),
    ("drop a future", drop_going),
    ("keep shared", || keep(enter(Shared).map(Hold::Guard))),
    ("keep exclusive", || keep(enter(Exclusive).map(Hold::Guard))),
    ("keep a handle", || keep(enter(Shared).map(|guard| Hold::Handle(guard.into_handle())))),
    ("keep the other", || keep(other().try_acquire(Exclusive).map(Hold::Guard))),
    ("keep exclusive, task: exclusive", || {
        keep(enter(Exclusive).map(Hold::Guard));
        ask(|| Job::Acquire(Exclusive));
    }),
    ("keep exclusive, task: monitor", || {
        keep(enter(Exclusive).map(Hold::Guard));
        ask(|| Job::Monitor);
    }),
    ("task: shared", || ask(|| Job::Acquire(Shared))),
    ("task: exclusive", || ask(|| Job::Acquire(Exclusive))),
    (CHANGE, || ask(|| Job::Change)),
    ("task: upgrade", || ask(|| Job::Upgrade)),
    ("task: monitor", || ask(|| Job::Monitor)),
];

fn enter(mode: Mode) -> Option<Guard<'static>> {
    lock().try_acquire(mode).inspect(|guard| THREAD.allows(guard))
}

/// What an interrupt has acquired and keeps, until a waiter of the thread is stuck, or the turn ends.
static KEPT: Mutex<RefCell<Option<Hold>>> = Mutex::new(RefCell::new(None));

fn keep(hold: Option<Hold>) {
    match &hold {
        Some(Hold::Guard(guard)) if ptr::eq(guard.lock(), lock()) => {
            INTERRUPT.set(Some(guard.mode()))
        }
        _ => {}
    }
    critical_section::with(|section| KEPT.replace(section, hold));
}

fn give_back() -> bool {
    INTERRUPT.set(None);
    let hold = critical_section::with(|section| KEPT.take(section));
    let kept = hold.is_some();
    hold.into_iter().for_each(release);
    kept
}

const RELEASE: &str = "release the hold";
const CHANGE: &str = "task: change";

/// What the task on the interrupt executor does: it preempts the interrupt that asks for it, or runs
/// after that interrupt has ended, before the thread.
enum Job {
    Acquire(Mode),
    Change,
    Upgrade,
    #[cfg(feature = "heap")]
    Set,
    Monitor,
}

static JOBS: Channel<CriticalSectionRawMutex, Job, 1> = Channel::new();
static ASKED: AtomicU32 = AtomicU32::new(0);
static DONE: AtomicU32 = AtomicU32::new(0);

fn ask(job: fn() -> Job) {
    ASKED.store(ASKED.load(SeqCst) + 1, SeqCst);
    assert!(JOBS.try_send(job()).is_ok());
}

#[embassy_executor::task]
async fn urgent() {
    loop {
        match JOBS.receive().await {
            Job::Acquire(mode) => THREAD.allows(&lock().acquire(mode).await),
            Job::Change => data().with_mut(|number| *number = 1).await,
            Job::Upgrade => {
                let mut guard = lock().acquire(Upgradable).await;
                guard.upgrade().await.unwrap();
                THREAD.allows(&guard);
                guard.downgrade(Shared);
            }
            #[cfg(feature = "heap")]
            Job::Set => drop(owning::set().acquire(Exclusive).await),
            Job::Monitor => lock().monitor(Exclusive).wait().await,
        }
        DONE.store(DONE.load(SeqCst) + 1, SeqCst);
    }
}

/// Releases everything, and checks that all is as it was.
fn end_turn() {
    give_back();
    assert_eq!(ASKED.load(SeqCst), DONE.load(SeqCst), "the task has not proceeded");
    locks().assert_unused();
}

fn nops() {
    // SAFETY: the instructions do nothing.
    unsafe { core::arch::asm!(".rept 32", "nop", ".endr") }
}

/// For how many instructions an operation of the lock may mask interrupts: see "In firmware" in the
/// documentation of the crate. The longest is to wake eight waiters of a crowd, or to copy eight names.
const MASKED: u32 = if cfg!(not(target_has_atomic = "ptr")) {
    510
} else if cfg!(target_arch = "riscv32") {
    // This target saves and restores each register with an instruction of its own.
    300
} else {
    340
};

/// The same without contention: none, where there is a compare-and-swap.
const MASKED_BY_AN_ATOMIC: u32 = if cfg!(target_has_atomic = "ptr") { 0 } else { 16 };

#[board::entry]
fn main() -> ! {
    board::init();
    board::start_interrupt_executor().spawn(urgent().unwrap());
    give_back_with(give_back);
    wakers_run_unmasked();
    let on_time = sweep(("nothing", || under_fire(nops)), ("nothing", || {}), || {}).late;
    let mut preemptions = 0;
    let uncontended = UNCONTENDED.iter().chain(owning::UNCONTENDED);
    let contended = CONTENDED.iter().chain(owning::CONTENDED);
    let operations = uncontended.map(|operation| (operation, MASKED_BY_AN_ATOMIC));
    for (&operation, may_mask) in operations.chain(contended.map(|one| (one, MASKED))) {
        let mut places = 0;
        let mut late = 0;
        for &interrupt in INTERRUPTS.iter().chain(owning::INTERRUPTS) {
            RELEASES.store(interrupt.0 == RELEASE, SeqCst);
            CHANGES.store(interrupt.0 == CHANGE, SeqCst);
            let swept = sweep(operation, interrupt, end_turn);
            preemptions += swept.preemptions;
            places = places.max(swept.places);
            // Less by a fraction of an instruction, if few arrived.
            late = late.max(swept.late.saturating_sub(on_time));
        }
        println!(
            "{:30} {places:5} places, interrupts masked for {late:3} instructions",
            operation.0
        );
        assert!(late <= may_mask, "more than {may_mask}");
        // The shortest operation, the drop of a monitor, has 15 on RISC-V.
        assert!(places >= 12, "hardly any instruction was under fire");
    }
    println!("{}: {preemptions} preemptions, {} runs of the task", board::NAME, DONE.load(SeqCst));
    if cfg!(feature = "heap") {
        println!("{:?}", heap::stats());
    }
    assert!(
        preemptions > 100_000,
        "the machine does not count instructions: start it with -icount"
    );
    board::exit(0)
}
