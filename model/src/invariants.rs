//! What holds in each state. Each invariant has a name, which tests and planted defects refer to.

use crate::mode::Mode;
use crate::raw::queue::ListId;
use crate::raw::state::WaitFlag;
use crate::real::snapshot;
use crate::system::System;
use crate::world::{Agent, Fault, NONE, NodeState, Pc, Then, World};

pub type Invariant = fn(&System, &World) -> bool;

pub const EXCLUSION: &str = "e1 exclusion";
pub const WORD: &str = "the word says who holds the lock";
pub const NO_LOST_WAKE_UP: &str = "p2 no lost wake-up";
pub const FLAGS: &str = "flag and count agree";
pub const END: &str = "c4 in the end the lock is as new";
pub const HANDED_OFF: &str = "a thread that was handed the lock enters at its next poll";
pub const TURNED_AWAY: &str = "p1 no waiter is turned away from a free lock";
pub const IN_VAIN: &str = "p3 each waiter that is notified could enter";
pub const OVERTAKEN: &str = "q3 bounded overtaking";
pub const TURNS: &str = "q3 each waiter has its turn";
pub const ORDER: &str = "q3 overtaken exclusive waiters come first";
pub const ASSERTIONS: &str = "no assertion of the lock fails";
pub const WRITE_PREFERRING: &str = "q1 no waiter joins the holders while an exclusive one waits";
pub const UPGRADE_ALONE: &str = "u2 an upgrade waits only for the holders that were there";
pub const KEPT: &str = "p1 a dormant waiter delays the others for a moment";

pub const ALL: [(&str, Invariant); 15] = [
    (EXCLUSION, exclusion),
    (WORD, word_says_who_holds),
    (NO_LOST_WAKE_UP, no_lost_wake_up),
    (FLAGS, flags_and_counts),
    (END, as_new_in_the_end),
    (HANDED_OFF, |_, world| world.fault != Fault::HandedOffWaits),
    (TURNED_AWAY, |_, world| world.fault != Fault::TurnedAway),
    (IN_VAIN, |_, world| world.fault != Fault::InVain),
    (OVERTAKEN, |_, world| world.fault != Fault::Overtaken),
    (TURNS, |_, world| world.fault != Fault::PassedOver),
    (ORDER, overtaken_come_first),
    (ASSERTIONS, |_, world| world.fault != Fault::Panicked),
    (WRITE_PREFERRING, |_, world| world.fault != Fault::Barged),
    (UPGRADE_ALONE, |_, world| world.fault != Fault::JoinedUpgrade),
    (KEPT, |_, world| world.fault != Fault::Kept),
];

fn agents<'a>(system: &System, world: &'a World) -> &'a [Agent] {
    &world.agents[..system.specs.len()]
}

/// The mode in which a waiter holds the lock, if it does, and whether it upgrades.
fn hold(agent: &Agent, mode: Mode) -> Option<(Mode, bool)> {
    match agent.pc {
        Pc::Holds(mode) | Pc::HoldsLast(mode) | Pc::UpgradeBegins(mode) => Some((mode, false)),
        Pc::UpgradeCancelled(mode) => Some((mode, false)),
        Pc::UpgradeListens(_) | Pc::UpgradeLooks(..) | Pc::UpgradeWaits(_) => {
            Some((Mode::Upgradable, true))
        }
        Pc::UpgradeLeaves => Some((Mode::Exclusive, false)),
        Pc::ReleasesDropped => Some((mode, false)),
        Pc::Wakes => match agent.waking.then {
            Then::Idle => None,
            Then::HoldsLast(mode) | Then::UpgradeCancelled(mode) => Some((mode, false)),
        },
        _ if agent.node == NodeState::HandedOff => Some((mode, false)),
        _ => None,
    }
}

/// No two holders exclude each other.
fn exclusion(system: &System, world: &World) -> bool {
    let holds = system.specs.iter().zip(agents(system, world));
    let holds: Vec<_> = holds.filter_map(|(spec, agent)| hold(agent, spec.mode)).collect();
    let mut pairs = holds
        .iter()
        .enumerate()
        .flat_map(|(n, one)| holds[n + 1..].iter().map(move |other| (one.0, other.0)));
    pairs.all(|(one, other)| !one.excludes(other))
}

/// The word says who holds the lock. A section that is begun may have entered for a waiter already.
fn word_says_who_holds(system: &System, world: &World) -> bool {
    if agents(system, world).iter().any(|agent| agent.log_len > 0) {
        return true;
    }
    let word = snapshot(world.lock.word);
    let holds = || {
        let holds = system.specs.iter().zip(agents(system, world));
        holds.filter_map(|(spec, agent)| hold(agent, spec.mode))
    };
    let has = |mode| holds().any(|hold| hold.0 == mode);
    let strongest = Mode::ALL.into_iter().rev().find(|mode| has(*mode));
    word.mode() == strongest
        && word.shared_holders() == holds().filter(|hold| hold.0 == Mode::Shared).count()
        && word.is_upgrading() == holds().any(|hold| hold.1)
}

/// If a waiter sleeps that the word admits, another one is under way that enters, and wakes others when it
/// leaves, or wakes them now; or it is a waiter that is not polled any more, and was notified since the last
/// release that made room for it.
fn no_lost_wake_up(system: &System, world: &World) -> bool {
    let agents = agents(system, world);
    let called = |number| agents.iter().any(|agent| agent.wakes.contains(number));
    let on_its_way = |(number, agent): (usize, &Agent)| match agent.pc {
        Pc::Idle | Pc::Holds(_) | Pc::HoldsLast(_) => false,
        Pc::UpgradeWaits(_) => agent.woken || called(number),
        Pc::Yielded => !agent.dormant,
        Pc::Waits if agent.dormant => agent.node == NodeState::Notified && !agent.stale,
        Pc::Waits => agent.woken || called(number),
        _ => true,
    };
    if agents.iter().enumerate().any(on_its_way) {
        return true;
    }
    let word = snapshot(world.lock.word);
    let sleeps_in_vain = |(number, agent): (usize, &Agent)| match agent.pc {
        Pc::Waits if !agent.dormant => {
            agent.node != NodeState::Queued || word.admits(system.specs[number].mode)
        }
        Pc::UpgradeWaits(_) => word.shared_holders() == 0,
        _ => false,
    };
    !agents.iter().enumerate().any(sleeps_in_vain)
}

/// An overtaken exclusive waiter is in the list that is notified first.
fn overtaken_come_first(system: &System, world: &World) -> bool {
    let waiters = system.specs.iter().zip(agents(system, world)).enumerate();
    waiters.into_iter().all(|(number, (spec, agent))| {
        let overtaken = agent.flags & 1 << WaitFlag::Overtaken as usize != 0;
        let list = &world.lock.lists[ListId::Overtaken as usize];
        let is_queued = spec.mode == Mode::Exclusive && agent.node == NodeState::Queued;
        !is_queued || agent.log_len > 0 || overtaken == list.contains(number)
    })
}

/// With the queue unlocked, a flag is set if and only if its count is not zero, and the counts are right.
fn flags_and_counts(system: &System, world: &World) -> bool {
    let agents = agents(system, world);
    if agents.iter().any(|agent| agent.log_len > 0) {
        return true;
    }
    let lock = &world.lock;
    let flags = [
        WaitFlag::Shared,
        WaitFlag::Upgradable,
        WaitFlag::Exclusive,
        WaitFlag::Overtaken,
        WaitFlag::Monitors,
    ];
    flags.into_iter().enumerate().all(|(number, flag)| {
        let counted = agents.iter().filter(|agent| agent.flags & 1 << number != 0).count();
        let count = lock.counts[number] as usize;
        snapshot(lock.word).has(flag) == (count > 0) && count == counted
    }) && lock.queued as usize == lock.lists.iter().map(|list| list.len()).sum::<usize>()
        && agents.iter().enumerate().all(|(number, agent)| {
            let lists = lock.lists.iter().filter(|list| list.contains(number)).count();
            lists == (agent.node == NodeState::Queued) as usize
        })
        && lock.woken_shared as usize <= woken_shared(system, agents)
}

fn woken_shared(system: &System, agents: &[Agent]) -> usize {
    let modes = system.specs.iter().map(|spec| spec.mode);
    let woken = |(agent, mode): &(&Agent, Mode)| {
        agent.node == NodeState::Notified && *mode == Mode::Shared
    };
    agents.iter().zip(modes).filter(woken).count()
}

/// If there is no holder and no waiter, the word is zero, and nothing is counted, queued or reserved.
fn as_new_in_the_end(system: &System, world: &World) -> bool {
    let lock = &world.lock;
    agents(system, world).iter().any(|agent| agent.pc != Pc::Idle)
        || lock.word == 0
            && lock.counts == [0; 5]
            && lock.queued == 0
            && lock.woken_shared == 0
            && lock.lists.iter().all(|list| list.is_empty())
            && lock.owner == NONE
}
