//! Each operation of the lock, with an interrupt between any two of its instructions that uses the lock,
//! too: nothing hangs, nobody who waits is forgotten, and at the end all locks are as they were.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use core::array;
use core::cell::RefCell;
use core::future::ready;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::SeqCst};

use critical_section::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::once_lock::OnceLock;
use multilock::Mode::{Exclusive, Shared, Upgradable};
use multilock::{Guard, Handle, HandleLock, LockSet, Mode, MultiLock, SetGuard, acquire_all};
use no_std_example::sweep::{Waiter, sweep, under_fire, wait_for_shot};
use no_std_example::{board, heap, println, wait};

const MODES: [Mode; 3] = [Shared, Upgradable, Exclusive];

/// All that operations and interrupts use.
struct Locks {
    lock: MultiLock,
    other: MultiLock,
    names: HandleLock<u32>,
}

impl Locks {
    const fn new() -> Self {
        Self { lock: MultiLock::new(), other: MultiLock::new(), names: HandleLock::new() }
    }

    fn assert_unused(&self) {
        for lock in [&self.lock, &self.other] {
            assert_eq!(lock.locked(), None);
            assert!(!MODES.iter().any(|&mode| lock.snapshot().is_awaited(mode)));
        }
        assert_eq!(self.names.locked(), None);
    }
}

static LOCKS: Locks = Locks::new();
/// [`LOCKS`], or new ones that nobody has waited for yet.
static CURRENT: AtomicPtr<Locks> = AtomicPtr::new((&raw const LOCKS).cast_mut());

fn locks() -> &'static Locks {
    // SAFETY: a static, or what `with_new_locks` has made, where nobody uses it at the end.
    unsafe { &*CURRENT.load(SeqCst) }
}

fn lock() -> &'static MultiLock {
    &locks().lock
}

fn other() -> &'static MultiLock {
    &locks().other
}

type Set = LockSet<&'static MultiLock>;

fn set() -> Set {
    [other(), lock()].into_iter().collect()
}

fn with_new_locks(operation: fn()) {
    let new = Box::into_raw(Box::new(Locks::new()));
    CURRENT.store(new, SeqCst);
    operation();
    wait_for_shot();
    assert_eq!(ASKED.load(SeqCst), DONE.load(SeqCst));
    locks().assert_unused();
    CURRENT.store((&raw const LOCKS).cast_mut(), SeqCst);
    // SAFETY: the operation and the interrupt have released all, and have no reference any more.
    drop(unsafe { Box::from_raw(new) });
}

// ---- What the thread holds, and an interrupt may release

enum Hold {
    Guard(Guard<'static>),
    Handle(Handle),
    Named(u32),
    Set(SetGuard<'static, &'static MultiLock>),
}

static HOLD: Mutex<RefCell<Option<Hold>>> = Mutex::new(RefCell::new(None));

fn put_hold(hold: Hold) {
    critical_section::with(|section| HOLD.borrow_ref_mut(section).replace(hold));
}

fn release_hold() {
    match critical_section::with(|section| HOLD.borrow_ref_mut(section).take()) {
        Some(Hold::Guard(guard)) => drop(guard),
        Some(Hold::Handle(handle)) => lock().release(handle).unwrap(),
        Some(Hold::Named(name)) => assert!(locks().names.release(&name).is_some()),
        Some(Hold::Set(guard)) => drop(guard),
        None => {}
    }
}

/// Somebody holds the lock.
fn hold(mode: Mode) {
    put_hold(Hold::Guard(lock().try_acquire(mode).unwrap()));
}

/// Whoever holds it releases it: the interrupt, if that is what it does.
fn let_go() {
    if RELEASES.load(SeqCst) {
        wait_for_shot();
    }
    release_hold();
}

/// The task of the interrupt waits: who comes in shared mode waits for it, and that for all holds.
fn is_awaited_by_task() -> bool {
    lock().snapshot().is_awaited(Exclusive) || lock().snapshot().is_upgrading()
}

/// Whether the interrupt releases the hold.
static RELEASES: AtomicBool = AtomicBool::new(false);

// ---- The operations

/// Nobody is in their way, but for the interrupt.
const UNCONTENDED: &[(&str, fn())] = &[
    ("try_acquire shared", || try_acquire(Shared)),
    ("try_acquire upgradable", || try_acquire(Upgradable)),
    ("try_acquire exclusive", || try_acquire(Exclusive)),
    ("acquire shared", || acquire(Shared)),
    ("acquire upgradable", || acquire(Upgradable)),
    ("acquire exclusive", || acquire(Exclusive)),
    ("try_upgrade", try_upgrade),
    ("share", share),
    ("adopt a handle", adopt_a_handle),
    ("try a set", try_a_set),
    ("acquire a set", acquire_a_set),
];

const CONTENDED: &[(&str, fn())] = &[
    ("wait shared", || wait_behind(Exclusive, Shared)),
    ("wait upgradable", || wait_behind(Upgradable, Upgradable)),
    ("wait exclusive", || wait_behind(Shared, Exclusive)),
    ("first wait", || with_new_locks(|| wait_behind(Exclusive, Exclusive))),
    ("release to one", release_to_one),
    ("release to a crowd", release_to_a_crowd),
    ("cancel a waiter", cancel_a_waiter),
    ("cancel who keeps others out", cancel_who_keeps_others_out),
    ("cancel who was called", cancel_who_was_called),
    ("upgrade", || upgrade(Upgradable)),
    ("upgrade from shared", || upgrade(Shared)),
    ("cancel an upgrade", cancel_an_upgrade),
    ("downgrade", downgrade),
    ("acquire_or", acquire_or),
    ("wait for a mode", wait_for_a_mode),
    ("notify", notify),
    ("notify, first", || with_new_locks(notify)),
    ("release by handle", release_by_handle),
    ("names", names),
    ("wait for a name", wait_for_a_name),
    ("wait for a set", wait_for_a_set),
    ("cancel a set", cancel_a_set),
    ("release a set", release_a_set),
    ("acquire_all", acquire_all_waits),
    ("notify of a set", notify_of_a_set),
];

fn try_acquire(mode: Mode) {
    under_fire(|| drop(lock().try_acquire(mode)));
}

fn acquire(mode: Mode) {
    under_fire(|| {
        wait!(waiter = lock().acquire(mode), 0);
        assert_eq!(waiter.finish().unwrap().mode(), mode);
    });
}

fn wait_behind(holder: Mode, mode: Mode) {
    hold(holder);
    under_fire(|| {
        wait!(waiter = lock().acquire(mode), 0);
        let_go();
        drop(waiter.finish().unwrap());
    });
}

fn release_to_one() {
    hold(Exclusive);
    wait!(waiter = lock().acquire(Exclusive), 0);
    under_fire(let_go);
    drop(waiter.finish().unwrap());
}

/// Of more than are woken in one critical section.
fn release_to_a_crowd() {
    hold(Exclusive);
    let crowd: [_; 9] = array::from_fn(|task| Waiter::new(task, Box::pin(lock().acquire(Shared))));
    under_fire(let_go);
    for guard in crowd.map(|waiter| waiter.finish().unwrap()) {
        assert_eq!(guard.mode(), Shared);
    }
}

fn cancel_a_waiter() {
    hold(Exclusive);
    under_fire(|| {
        wait!(waiter = lock().acquire(Exclusive), 0);
        drop(waiter);
    });
    let_go();
}

fn cancel_who_keeps_others_out() {
    hold(Shared);
    let exclusive = Waiter::new(0, Box::pin(lock().acquire(Exclusive)));
    wait!(shared = lock().acquire(Shared), 1);
    under_fire(|| drop(exclusive));
    if is_awaited_by_task() {
        let_go();
    }
    drop(shared.finish().unwrap());
    let_go();
}

fn cancel_who_was_called() {
    hold(Exclusive);
    let first = Waiter::new(0, Box::pin(lock().acquire(Exclusive)));
    wait!(second = lock().acquire(Exclusive), 1);
    release_hold();
    under_fire(|| drop(first));
    drop(second.finish().unwrap());
}

fn upgrade(from: Mode) {
    hold(Shared);
    let mut guard = lock().try_acquire(from).unwrap();
    let upgraded = under_fire(|| {
        wait!(upgrade = guard.upgrade(), 0);
        let_go();
        upgrade.finish().unwrap().is_ok()
    });
    // Another may upgrade, but not before one that is upgradable.
    assert!(upgraded || from == Shared);
    assert_eq!(guard.mode(), if upgraded { Exclusive } else { from });
}

fn try_upgrade() {
    let mut guard = lock().try_acquire(Upgradable).unwrap();
    under_fire(|| {
        let upgraded = guard.try_upgrade().is_ok();
        assert_eq!(guard.mode(), if upgraded { Exclusive } else { Upgradable });
    });
}

fn cancel_an_upgrade() {
    hold(Shared);
    let mut guard = lock().try_acquire(Upgradable).unwrap();
    let upgrade = Waiter::new(0, Box::pin(guard.upgrade()));
    assert!(upgrade.is_pending());
    wait!(kept_out = lock().acquire(Shared), 1);
    assert!(kept_out.is_pending());
    under_fire(|| drop(upgrade));
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
    under_fire(|| {
        guard.downgrade(Upgradable);
        guard.downgrade(Shared);
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
        // Not while somebody upgrades.
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

fn notify() {
    hold(Exclusive);
    under_fire(|| {
        let monitor = lock().notify(Exclusive);
        wait!(waiter = monitor.wait(), 0);
        let_go();
        waiter.finish().unwrap();
        monitor.clear();
    });
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

fn names() {
    let names = &locks().names;
    under_fire(|| {
        for name in [1, 2] {
            if names.try_acquire(Shared, name).is_ok() {
                assert!(names.try_acquire(Shared, name).is_err());
            }
        }
        for name in [1, 2] {
            names.release(&name);
        }
    });
}

fn wait_for_a_name() {
    let names = &locks().names;
    names.try_acquire(Exclusive, 1).unwrap();
    put_hold(Hold::Named(1));
    under_fire(|| {
        wait!(waiter = names.acquire(Exclusive, 2), 0);
        let_go();
        waiter.finish().unwrap().unwrap();
        assert_eq!(names.release(&2), Some(Exclusive));
    });
}

fn try_a_set() {
    let set = set();
    under_fire(|| drop(set.try_acquire(Exclusive)));
}

fn acquire_a_set() {
    let set = set();
    under_fire(|| {
        wait!(waiter = set.acquire(Exclusive), 0);
        drop(waiter.finish().unwrap());
    });
}

fn wait_for_a_set() {
    let set = set();
    hold(Exclusive);
    under_fire(|| {
        wait!(waiter = set.acquire(Shared), 0);
        let_go();
        drop(waiter.finish().unwrap());
    });
}

fn cancel_a_set() {
    let set = set();
    hold(Exclusive);
    let future = Waiter::new(0, Box::pin(set.acquire(Exclusive)));
    wait!(second = lock().acquire(Shared), 1);
    release_hold();
    under_fire(|| drop(future));
    drop(second.finish().unwrap());
}

fn release_a_set() {
    static SET: OnceLock<Set> = OnceLock::new();
    put_hold(Hold::Set(SET.get_or_init(set).try_acquire(Exclusive).unwrap()));
    wait!(one = lock().acquire(Shared), 0);
    wait!(two = other().acquire(Exclusive), 1);
    under_fire(let_go);
    drop(one.finish().unwrap());
    drop(two.finish().unwrap());
}

fn acquire_all_waits() {
    hold(Exclusive);
    under_fire(|| {
        wait!(waiter = acquire_all([(lock(), Shared), (other(), Exclusive)]), 0);
        let_go();
        drop(waiter.finish().unwrap());
    });
}

fn notify_of_a_set() {
    let set = set();
    hold(Exclusive);
    under_fire(|| {
        let monitor = set.notify(Shared);
        wait!(waiter = monitor.wait(), 0);
        let_go();
        waiter.finish().unwrap();
    });
}

// ---- The interrupts

const INTERRUPTS: &[(&str, fn())] = &[
    ("try and release", || {
        for mode in MODES {
            drop(lock().try_acquire(mode));
        }
        if let Some(guard) = lock().try_acquire(Upgradable) {
            lock().release(guard.into_handle()).unwrap();
        }
    }),
    ("try a set and a name", || {
        drop(set().try_acquire(Exclusive));
        if locks().names.try_acquire(Shared, 2).is_ok() {
            locks().names.release(&2);
        }
    }),
    ("acquire once and cancel", || {
        for (task, mode) in (9..).zip(MODES) {
            wait!(waiter = lock().acquire(mode), task);
            drop(waiter);
        }
    }),
    (RELEASE, release_hold),
    ("task: shared", || ask(|| Job::Acquire(Shared))),
    ("task: exclusive", || ask(|| Job::Acquire(Exclusive))),
    ("task: upgrade", || ask(|| Job::Upgrade)),
    ("task: set", || ask(|| Job::Set)),
    ("task: monitor", || ask(|| Job::Monitor)),
];
const RELEASE: &str = "release the hold";

/// What the task on the interrupt executor is to do: it preempts the interrupt that asks for it, or runs
/// when that has ended, before the thread.
enum Job {
    Acquire(Mode),
    Upgrade,
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
            Job::Acquire(mode) => drop(lock().acquire(mode).await),
            Job::Upgrade => {
                let mut guard = lock().acquire(Upgradable).await;
                guard.upgrade().await.unwrap();
                guard.downgrade(Shared);
            }
            Job::Set => drop(set().acquire(Exclusive).await),
            Job::Monitor => lock().notify(Exclusive).wait().await,
        }
        DONE.store(DONE.load(SeqCst) + 1, SeqCst);
    }
}

fn nops() {
    // SAFETY: they do nothing.
    unsafe { core::arch::asm!(".rept 32", "nop", ".endr") }
}

/// For how many instructions an operation of the lock may mask interrupts: see "Interrupts" in the
/// documentation of the crate. The longest is to wake eight waiters of a crowd.
const MASKED: u32 = if cfg!(not(target_has_atomic = "ptr")) {
    550
} else if cfg!(target_arch = "riscv32") {
    // It saves and restores each register with an instruction of its own.
    510
} else {
    420
};

/// The same without contention: nothing, where there is a compare-and-swap.
const MASKED_BY_AN_ATOMIC: u32 = if cfg!(target_has_atomic = "ptr") { 0 } else { 16 };

#[board::entry]
fn main() -> ! {
    board::init();
    board::start_interrupt_executor().spawn(urgent().unwrap());
    let on_time = sweep(("nothing", || under_fire(nops)), ("nothing", || {}), || {}).late;
    let mut preemptions = 0;
    let operations = UNCONTENDED.iter().map(|operation| (operation, MASKED_BY_AN_ATOMIC));
    for (&operation, may_mask) in operations.chain(CONTENDED.iter().map(|one| (one, MASKED))) {
        let mut places = 0;
        let mut late = 0;
        for &interrupt in INTERRUPTS {
            RELEASES.store(interrupt.0 == RELEASE, SeqCst);
            let swept = sweep(operation, interrupt, || {
                assert_eq!(ASKED.load(SeqCst), DONE.load(SeqCst), "the task has not gone on");
                locks().assert_unused();
            });
            preemptions += swept.preemptions;
            places = places.max(swept.places);
            // Less by a fraction of an instruction, if few came.
            late = late.max(swept.late.saturating_sub(on_time));
        }
        println!(
            "{:30} {places:5} places, interrupts masked for {late:3} instructions",
            operation.0
        );
        assert!(late <= may_mask, "more than {may_mask}");
    }
    println!(
        "{}: {preemptions} preemptions, {} runs of the task, {:?}",
        board::NAME,
        DONE.load(SeqCst),
        heap::stats()
    );
    assert!(
        preemptions > 100_000,
        "the machine does not count instructions: start it with -icount"
    );
    board::exit(0)
}
