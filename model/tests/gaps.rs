//! What the lock does not promise, and the model shows: where these tests fail, a gap is closed, and the model
//! has to check one thing more.

use multilock_model::invariants::{OVERTAKEN, TURNS};
use multilock_model::system::System;
use multilock_model::text;
use stateright::{Checker, HasDiscoveries, Model};

/// Returns the names of the invariants that do not hold.
fn broken(system: System) -> Vec<&'static str> {
    let until = HasDiscoveries::AnyFailures;
    let checker = system.checker().threads(2).finish_when(until).spawn_bfs().join();
    checker.discoveries().into_keys().collect()
}

fn system(waiters: &str) -> System {
    System::new(text::specs(waiters))
}

/// A waiter is overtaken as often as a rival reserves the lock before it, and rivals that come later may. The
/// reservation goes to the first that is polled after it was overtaken for the second time.
#[test]
fn q3_a_waiter_may_be_overtaken_whenever_another_one_reserves_the_lock() {
    let mut gap = system("Xv 2X0");
    (gap.excuses, gap.overtaken) = (false, 50);
    assert_eq!(broken(gap), [OVERTAKEN]);
    assert!(broken(system("Xv 2X0")).is_empty());
}

/// A thread that is handed the lock defers to no reservation, however often.
#[test]
fn q3_a_task_may_be_overtaken_by_each_handoff_to_a_thread() {
    let mut gap = system("Sv S0 Xt0");
    (gap.excuses, gap.overtaken) = (false, 50);
    assert_eq!(broken(gap), [OVERTAKEN]);
    let mut without_threads = system("Sv S0 X0");
    without_threads.excuses = true;
    assert!(broken(without_threads).is_empty());
}

/// A holder that upgrades ends each acquisition exclusively: then it is the turn of shared waiters, and if it
/// acquires anew before those have left, the lock is not free when they leave.
#[test]
fn q3_an_exclusive_waiter_may_have_no_turn_beside_upgrades_and_shared_waiters() {
    let mut gap = system("Xv U0>X S0");
    gap.skips.clear();
    gap.passed = 50;
    assert_eq!(broken(gap), [TURNS]);
    assert!(broken(system("Xv U0>X X0")).is_empty());
}
