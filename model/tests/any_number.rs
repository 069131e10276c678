//! Any number of waiters: `docs/any_number.md`.

use multilock_model::any_number::{Defect, EXCLUSION, NO_LOST_WAKE_UP, Rules, explore, simulate};
use multilock_model::mode::Mode::{self, Exclusive, Shared, Upgradable};
use multilock_model::system::{Dormant, Spec, System, Use};

/// Visits all states with these rules.
fn holds(rules: Rules) {
    let shown = explore(&rules);
    println!("{rules:?}: {} states", shown.states);
    assert!(shown.broken.is_none(), "{shown:#?}");
}

#[test]
fn no_two_holders_exclude_each_other_and_no_wake_up_is_lost() {
    holds(Rules { modes: &[Shared, Exclusive], ..Rules::ALL });
    holds(Rules { modes: &[Upgradable, Exclusive], ..Rules::ALL });
    holds(Rules { modes: &[Shared, Upgradable], ..Rules::ALL });
    holds(Rules { defer: false, upgrade: false, ..Rules::ALL });
}

#[test]
#[ignore = "takes a minute: `ci/deep/model` runs it"]
fn the_same_with_all_modes_and_upgrades_and_no_reservations() {
    holds(Rules { defer: false, ..Rules::ALL });
}

#[test]
#[ignore = "takes minutes and gigabytes: `ci/deep/model` runs it"]
fn the_same_with_all_modes_and_reservations_and_no_upgrades() {
    holds(Rules { upgrade: false, ..Rules::ALL });
}

#[test]
fn each_rule_that_is_left_out_breaks_an_invariant() {
    for (defect, broken) in [
        (Defect::DropsWakeUp, NO_LOST_WAKE_UP),
        (Defect::LastLeaves, NO_LOST_WAKE_UP),
        (Defect::LastShared, NO_LOST_WAKE_UP),
        (Defect::LooksFirst, NO_LOST_WAKE_UP),
        (Defect::OneBatch, NO_LOST_WAKE_UP),
        (Defect::NoLook, EXCLUSION),
        (Defect::SleepsOn, NO_LOST_WAKE_UP),
        (Defect::Downgrade, NO_LOST_WAKE_UP),
        (Defect::Cancel, NO_LOST_WAKE_UP),
    ] {
        let shown = explore(&Rules { defect, ..Rules::ALL });
        let (what, path) = shown.broken.unwrap_or_else(|| panic!("{defect:?}"));
        println!("{defect:?}: {what}, after {} steps, {} states", path.len() - 1, shown.states);
        assert_eq!(what, broken, "{defect:?}: {path:#?}");
    }
}

fn spec(mode: Mode) -> Spec {
    Spec::new(mode).spurious().drops().dormant(Dormant::Forever)
}

/// The steps of a few waiters are those of the lock's own code.
#[test]
fn each_step_of_a_few_waiters_is_one_of_any_number() {
    // At how many states of each set no new ones are taken.
    let most = std::env::var("MULTILOCK_STATES").map_or(8_000, |most| most.parse().unwrap());
    for specs in [
        vec![spec(Shared).rounds(2), spec(Shared), spec(Exclusive).rounds(2)],
        vec![spec(Exclusive).rounds(2), spec(Exclusive).rounds(2), spec(Upgradable)],
        vec![spec(Shared), spec(Upgradable).holds(Use::Upgrade), spec(Exclusive)],
        vec![spec(Shared), spec(Upgradable), spec(Exclusive).holds(Use::Downgrade(Shared))],
        vec![spec(Shared).holds(Use::Upgrade), spec(Shared), spec(Shared)],
        vec![spec(Shared), spec(Shared), spec(Upgradable), spec(Exclusive)],
    ] {
        let waiters = specs.len();
        let steps = simulate(System::new(specs), most).unwrap_or_else(|why| panic!("{why}"));
        println!("{waiters} waiters: {steps} steps");
    }
}
