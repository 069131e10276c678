//! Each transition of the table in `DESIGN.md`.

use std::format;
use std::string::String;

use super::*;
use Mode::{Exclusive, Shared, Upgradable};

/// A step from the word `before` to the word `after`, and what its caller does then.
type Row = (&'static str, Step, &'static str, Then);

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire(Mode),
    AcquireNewcomer(Mode),
    AcquireNotified(Mode),
    SetWaiting(Mode),
    Release(Mode),
    Downgrade(Mode, Mode),
    Share,
    StartUpgrade(Mode),
    FinishUpgrade,
    CancelUpgrade(Mode),
}
use Step::{Acquire, AcquireNewcomer, AcquireNotified, CancelUpgrade};
use Step::{Downgrade, FinishUpgrade, Release, SetWaiting, Share, StartUpgrade};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Holds,
    Waits,
    Notifies,
    Done,
    Refused,
}
use Then::*;

/// The table of `DESIGN.md`.
const TABLE: &[Row] = &[
    ("0", Acquire(Shared), "S1", Holds),
    ("S1", Acquire(Shared), "S2", Holds),
    ("US1", Acquire(Shared), "US2", Holds),
    ("S1,x", Acquire(Shared), "S1,x", Waits),
    ("0,x", Acquire(Shared), "S1,x", Holds),
    ("S1,x", AcquireNotified(Shared), "S2,x", Holds),
    ("WS1", AcquireNotified(Shared), "WS1", Waits),
    ("X", Acquire(Shared), "X", Waits),
    ("S1", Acquire(Upgradable), "US1", Holds),
    ("U", Acquire(Upgradable), "U", Waits),
    ("0", Acquire(Exclusive), "X", Holds),
    ("S1", Acquire(Exclusive), "S1", Waits),
    ("0,o", AcquireNewcomer(Shared), "0,o", Waits),
    ("X", SetWaiting(Shared), "X,s", Waits),
    ("S1,x", SetWaiting(Exclusive), "S1,x", Waits),
    ("0,x", SetWaiting(Exclusive), "X,x", Holds),
    ("S2,x", Release(Shared), "S1,x", Notifies),
    ("S1,x", Release(Shared), "0,x", Notifies),
    ("WS1", Release(Shared), "W", Notifies),
    ("US1,u", Release(Upgradable), "S1,u", Notifies),
    ("X", Release(Exclusive), "0", Done),
    ("X,s", Release(Exclusive), "0,s", Notifies),
    ("X,s", Downgrade(Exclusive, Shared), "S1,s", Notifies),
    ("X,s", Downgrade(Exclusive, Upgradable), "U,s", Notifies),
    ("US1,u", Downgrade(Upgradable, Shared), "S2,u", Notifies),
    ("S1,x", Share, "S2,x", Holds),
    ("WS1", Share, "WS1", Waits),
    ("U", StartUpgrade(Upgradable), "X", Holds),
    ("US1", StartUpgrade(Upgradable), "WS1", Waits),
    ("S1", StartUpgrade(Shared), "X", Holds),
    ("S2", StartUpgrade(Shared), "WS1", Waits),
    ("US1", StartUpgrade(Shared), "US1", Refused),
    ("WS1", StartUpgrade(Shared), "WS1", Refused),
    ("W", FinishUpgrade, "X", Holds),
    ("WS1", FinishUpgrade, "WS1", Waits),
    ("WS1,s", CancelUpgrade(Upgradable), "US1,s", Notifies),
    ("WS1,s", CancelUpgrade(Shared), "S2,s", Notifies),
];

/// Parses a word in the notation of [`TABLE`].
fn parse(text: &str) -> usize {
    let mut bits = 0;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        bits += match c {
            'U' => UPGRADABLE,
            'W' => UPGRADING,
            'X' => EXCLUSIVE,
            'S' => ONE_SHARED * chars.next().unwrap().to_digit(10).unwrap() as usize,
            's' => WaitFlag::Shared.bit(),
            'u' => WaitFlag::Upgradable.bit(),
            'x' => WaitFlag::Exclusive.bit(),
            'o' => WaitFlag::Overtaken.bit(),
            '0' | ',' => 0,
            other => panic!("{other} in {text}"),
        };
    }
    bits
}

fn holds_if(done: bool) -> Then {
    if done { Holds } else { Waits }
}

/// Maps what a release returns. The caller that has to notify knows the word as it left it.
fn notifies_if(state: &State, left: AfterRelease) -> Then {
    match left {
        AfterRelease::Done => Done,
        AfterRelease::WakeWaiters(word) => {
            assert_eq!(word, state.load());
            Notifies
        }
    }
}

fn set_waiting(state: &State, mode: Mode) -> Attempt {
    state.enter_or_set_waiting(mode, false, WaitFlags::NONE, WaitFlags::of(WaitFlag::of(mode)))
}

fn run(state: &State, step: Step) -> Then {
    match step {
        Acquire(mode) => holds_if(state.try_acquire(mode)),
        AcquireNewcomer(mode) => holds_if(state.try_acquire_as_newcomer(mode).is_ok()),
        AcquireNotified(mode) => holds_if(state.acquire_notified(mode)),
        SetWaiting(mode) => holds_if(set_waiting(state, mode) == Attempt::Available),
        Release(mode) => notifies_if(state, state.release(Hold::new(mode))),
        Downgrade(from, to) => notifies_if(state, state.downgrade(from, to)),
        Share => holds_if(state.share()),
        StartUpgrade(from) => match state.start_upgrade(from) {
            UpgradeStep::Done => Holds,
            UpgradeStep::Waiting => Waits,
            UpgradeStep::Refused => Refused,
        },
        FinishUpgrade => holds_if(state.finish_upgrade() == UpgradeStep::Done),
        CancelUpgrade(from) => notifies_if(state, state.cancel_upgrade(from)),
    }
}

/// Runs `test` where atomics exist: under loom and shuttle, in a model.
fn with_atomics(test: impl Fn() + Send + Sync + 'static) {
    #[cfg(loom)]
    loom::model(test);
    #[cfg(shuttle)]
    shuttle::check_random(test, 1);
    #[cfg(not(any(loom, shuttle)))]
    test();
}

fn state(bits: usize) -> State {
    State(AtomicUsize::new(bits))
}

#[test]
fn every_row_of_the_table_holds() {
    with_atomics(|| {
        for &(before, step, after, then) in TABLE {
            let state = state(parse(before));
            let row = format!("{before} {step:?}");
            assert_eq!(run(&state, step), then, "{row}");
            assert_eq!(state.load(), Snapshot(parse(after)), "{row}");
        }
    });
}

/// Compares the rows of the page with those of the array, in the same order.
#[test]
fn the_table_is_the_one_in_the_design() {
    let named = |mode: Mode| format!("{mode:?}").to_lowercase();
    let rows = TABLE.iter().map(|&(before, step, after, then)| {
        let operation = match step {
            Acquire(mode) => format!("acquire {}", named(mode)),
            AcquireNewcomer(_) => "acquire, newcomer".into(),
            AcquireNotified(mode) => format!("acquire {}, notified", named(mode)),
            SetWaiting(mode) => format!("set waiting, {}", named(mode)),
            Release(mode) => format!("release {}", named(mode)),
            Downgrade(_, to) => format!("downgrade to {}", named(to)),
            Share => "share".into(),
            StartUpgrade(Upgradable) => "upgrade".into(),
            StartUpgrade(from) => format!("upgrade from {}", named(from)),
            FinishUpgrade => "finish the upgrade".into(),
            CancelUpgrade(from) => format!("cancel, was {}", named(from)),
        };
        let after = if after == before && !matches!(step, SetWaiting(_)) && then != Holds {
            String::from("same")
        } else {
            format!("`{after}`")
        };
        format!("| `{before}` | {operation} | {after} |")
    });
    let page = include_str!("../DESIGN.md");
    let mut table = page.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    for row in rows {
        let line = table.next().unwrap_or("nothing");
        assert!(line.starts_with(&row), "the page has {line}\nthe array has {row}");
    }
    assert_eq!(table.next(), Some(""), "a row that is not in the array");
}

#[test]
fn e1_holders_coexist_as_their_modes_permit() {
    with_atomics(|| {
        for held in Mode::ALL {
            for wanted in Mode::ALL {
                let state = state(unit(held));
                assert_eq!(
                    state.try_acquire(wanted),
                    !wanted.excludes(held),
                    "{held:?} {wanted:?}"
                );
            }
        }
    });
}

#[test]
fn e3_at_the_maximum_no_more_holders_enter_and_nothing_wraps() {
    const { assert!(FULL >> SHARED_SHIFT >= 1 << 24) };
    with_atomics(|| {
        for mode in Mode::ALL {
            let state = state(FULL);
            assert!(!state.try_acquire(mode) && !state.acquire_notified(mode) && !state.share());
            assert_eq!(set_waiting(&state, mode), Attempt::Unavailable);
            assert_eq!(state.load().shared_holders(), FULL >> SHARED_SHIFT);
            assert!(state.load().is_awaited(mode));
        }
        // One holder leaves: there is room for one, and the waiter is notified.
        let state = state(FULL | WaitFlag::Shared.bit());
        let AfterRelease::WakeWaiters(word) = state.release(Hold::new(Shared)) else {
            panic!("no waiter is notified")
        };
        assert!(!Transition::release(word, Hold::new(Shared)).makes_no_room());
        assert!(state.acquire_notified(Shared));
        assert!(!state.try_acquire(Shared));
    });
}

/// The one holder beside the maximum of shared ones is upgradable.
#[test]
fn e3_a_downgrade_at_the_maximum_does_not_wrap() {
    with_atomics(|| {
        let state = state(FULL - ONE_SHARED);
        assert!(state.try_acquire(Upgradable) && state.try_acquire(Shared));
        assert!(!state.try_acquire(Shared) && !state.share());
        let _ = state.downgrade(Upgradable, Shared);
        assert_eq!(state.load(), Snapshot(FULL + ONE_SHARED));
        assert!(!state.try_acquire(Shared) && !state.try_acquire(Upgradable));
        let _ = state.release(Hold::new(Shared));
        assert!(!state.try_acquire(Shared));
        let _ = state.release(Hold::new(Shared));
        assert!(state.try_acquire(Shared));
    });
}

#[test]
fn e3_a_cancelled_upgrade_at_the_maximum_does_not_wrap() {
    with_atomics(|| {
        let state = state(FULL);
        assert_eq!(state.start_upgrade(Shared), UpgradeStep::Waiting);
        assert!(!state.share() && !state.try_acquire(Shared));
        let _ = state.cancel_upgrade(Shared);
        assert_eq!(state.load(), Snapshot(FULL));
    });
}

#[test]
fn a_snapshot_shows_its_parts() {
    let shown = format!("{:?}", Snapshot(parse("US2,x")));
    for part in ["mode: Some(Upgradable)", "shared_holders: 2", "exclusive_wait: true"] {
        assert!(shown.contains(part), "{shown}");
    }
}
