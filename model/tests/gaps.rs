//! What the lock did not promise before the model showed it: these sets of waiters broke an invariant.

use multilock_model::system::System;
use multilock_model::text;
use stateright::{Checker, HasDiscoveries, Model};

/// Returns the names of the invariants that do not hold, where each time counts that a waiter is overtaken or passed
/// over, also while another one has the reservation.
fn broken(waiters: &str, overtaken: u8) -> Vec<&'static str> {
    let mut system = System::new(text::specs(waiters));
    (system.excuses, system.overtaken) = (false, overtaken);
    system.skips.clear();
    let until = HasDiscoveries::AnyFailures;
    let checker = system.checker().threads(2).finish_when(until).spawn_bfs().join();
    checker.discoveries().into_keys().collect()
}

/// New rivals reserve the lock one after the other, each time between the wake-up of a waiter and its poll.
#[test]
fn q3_a_waiter_is_overtaken_four_times_at_most_by_rivals_that_reserve_the_lock() {
    assert!(broken("Xv 2X0", 4).is_empty());
    assert!(!broken("Xv 2X0", 3).is_empty());
}

/// Three rivals do the same, and each loses as many races as a waiter that is woken and polled late, if only four count.
#[test]
fn q3_a_waiter_does_not_starve_beside_three_rivals_that_reserve_the_lock() {
    assert!(broken("Xv 3X0", 7).is_empty());
}

/// A set that was overtaken would be queued again in a later step than the one in which it finds that out: a release
/// in between wakes none.
#[test]
fn q3_a_set_is_notified_in_vain_four_times_at_most_beside_an_exclusive_and_a_shared_waiter() {
    assert!(broken("S+Sv X0 S0", 4).is_empty());
}

/// A thread that is handed the lock would defer to no reservation.
#[test]
fn q3_a_task_is_not_overtaken_by_each_handoff_to_a_thread() {
    assert!(broken("Sv S0 Xt0", 4).is_empty());
}

/// A holder that upgrades ends each acquisition exclusively. If it acquires anew before the readers whose turn that is
/// have left, the lock is not free when they leave.
#[test]
fn q3_an_exclusive_waiter_has_its_turn_beside_upgrades_and_shared_waiters() {
    assert!(broken("Xv U0>X S0", 4).is_empty());
}

/// The same for a thread: a release that cannot hand it the lock leaves it its turn.
#[test]
fn q3_a_thread_has_its_turn_beside_upgrades_and_shared_waiters() {
    assert!(broken("Sv0 Uv0>X Xtv0", 4).is_empty());
}
