//! What holds in each state. Each invariant has a name, which tests and planted defects refer to.

use crate::mode::Mode;
use crate::raw::queue::ListId;
use crate::raw::state::WaitFlag;
use crate::real::{lock_of, snapshot, waits_at};
use crate::system::{Spec, System};
use crate::world::{Agent, Fault, LOCKS, Lock, NONE, NodeState, Pc, Then, World};

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
pub const ROW_ENDS: &str = "q3 a turn of one side ends the row of the other";
pub const ORDER: &str = "q3 overtaken exclusive waiters come first";
pub const ASSERTIONS: &str = "no assertion of the lock fails";
pub const WRITE_PREFERRING: &str = "q1 no waiter joins the holders while an exclusive one waits";
pub const UPGRADE_ALONE: &str = "u2 an upgrade waits only for the holders that were there";
pub const KEPT: &str = "p1 a dormant waiter delays the others for a moment";

pub const ALL_OR_NOTHING: &str = "a set that waits holds nothing";
pub const NO_CIRCLE: &str = "no two sets wait for each other";

pub const ALL: [(&str, Invariant); 18] = [
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
    (ROW_ENDS, |_, world| world.fault != Fault::RowGoesOn),
    (ORDER, overtaken_come_first),
    (ASSERTIONS, |_, world| world.fault != Fault::Panicked),
    (WRITE_PREFERRING, |_, world| world.fault != Fault::Barged),
    (UPGRADE_ALONE, |_, world| world.fault != Fault::JoinedUpgrade),
    (KEPT, |_, world| world.fault != Fault::Kept),
    (ALL_OR_NOTHING, sets_hold_nothing),
    (NO_CIRCLE, no_circle),
];

fn agents<'a>(system: &System, world: &'a World) -> &'a [Agent] {
    &world.agents[..system.specs.len()]
}

/// The mode in which a waiter holds a lock, if it does, and whether it upgrades.
fn hold(spec: &Spec, agent: &Agent, lock: usize) -> Option<(Mode, bool)> {
    let mode = spec.mode_at(lock);
    if spec.is_set() {
        return agent.set.holds(lock).then_some((mode, false));
    }
    if spec.lock as usize != lock {
        return None;
    }
    match agent.pc {
        Pc::Holds(mode) | Pc::HoldsLast(mode) | Pc::UpgradeBegins(mode) => Some((mode, false)),
        Pc::UpgradeCancelled(mode) => Some((mode, false)),
        Pc::UpgradeListens(_) | Pc::UpgradeLooks(..) | Pc::UpgradeWaits(_) => {
            Some((Mode::Upgradable, true))
        }
        Pc::UpgradeLeaves => Some((Mode::Exclusive, false)),
        Pc::ReleasesDropped => Some((mode, false)),
        Pc::Wakes => match agent.waking.then {
            Then::Idle | Then::SetGoesOn => None,
            Then::HoldsLast(mode) | Then::UpgradeCancelled(mode) => Some((mode, false)),
        },
        _ if agent.node == NodeState::HandedOff => Some((mode, false)),
        _ => None,
    }
}

/// The modes in which a lock is held, and whether the holder upgrades.
fn holds<'a>(
    system: &'a System,
    world: &'a World,
    lock: usize,
) -> impl Iterator<Item = (Mode, bool)> {
    let holds = system.specs.iter().zip(agents(system, world));
    holds.filter_map(move |(spec, agent)| hold(spec, agent, lock))
}

/// Whether a section of the lock is begun.
fn is_locked(system: &System, world: &World, lock: usize) -> bool {
    let mut agents = system.specs.iter().zip(agents(system, world));
    agents.any(|(spec, agent)| agent.log_len > 0 && lock_of(spec, agent) == lock)
}

/// No two holders exclude each other.
fn exclusion(system: &System, world: &World) -> bool {
    (0..LOCKS).all(|lock| {
        let holds: Vec<_> = holds(system, world, lock).collect();
        let mut pairs = holds
            .iter()
            .enumerate()
            .flat_map(|(n, one)| holds[n + 1..].iter().map(move |other| (one.0, other.0)));
        pairs.all(|(one, other)| !one.excludes(other))
    })
}

/// The word says who holds the lock. A section that is begun may have entered for a waiter already.
fn word_says_who_holds(system: &System, world: &World) -> bool {
    (0..LOCKS).all(|lock| {
        if is_locked(system, world, lock) {
            return true;
        }
        let word = snapshot(world.at(lock).word);
        let holds = || holds(system, world, lock);
        let has = |mode| holds().any(|hold| hold.0 == mode);
        let strongest = Mode::ALL.into_iter().rev().find(|mode| has(*mode));
        word.mode() == strongest
            && word.shared_holders() == holds().filter(|hold| hold.0 == Mode::Shared).count()
            && word.is_upgrading() == holds().any(|hold| hold.1)
    })
}

/// If a waiter sleeps that the word admits, another one is under way that enters, and wakes others when it
/// leaves, or wakes them now; or it is a waiter that is not polled any more, and was notified since the last
/// release that made room for it.
fn no_lost_wake_up(system: &System, world: &World) -> bool {
    let agents = agents(system, world);
    let called = |number| agents.iter().any(|agent| agent.wakes.contains(number));
    (0..LOCKS).all(|lock| {
        let on_its_way = |(number, (spec, agent)): (usize, (&Spec, &Agent))| {
            if spec.is_set() {
                return set_is_on_its_way(agent, lock, called(number));
            }
            spec.lock as usize == lock
                && match agent.pc {
                    Pc::Idle | Pc::Holds(_) | Pc::HoldsLast(_) => false,
                    Pc::UpgradeWaits(_) => agent.woken || called(number),
                    Pc::Yielded => !agent.dormant,
                    Pc::Waits if agent.dormant => agent.node == NodeState::Notified && !agent.stale,
                    Pc::Waits => agent.woken || called(number),
                    _ => true,
                }
        };
        let mut all = system.specs.iter().zip(agents).enumerate();
        if all.any(on_its_way) {
            return true;
        }
        let word = snapshot(world.at(lock).word);
        let sleeps_in_vain = |(number, (spec, agent)): (usize, (&Spec, &Agent))| {
            waits_at(spec, agent, lock)
                && match agent.pc {
                    Pc::Waits if spec.is_set() && (agent.woken || called(number)) => false,
                    Pc::Waits if !agent.dormant => {
                        agent.node != NodeState::Queued || word.admits(spec.mode_at(lock))
                    }
                    Pc::UpgradeWaits(_) => word.shared_holders() == 0,
                    _ => false,
                }
        };
        let mut all = system.specs.iter().zip(agents).enumerate();
        !all.any(sleeps_in_vain)
    })
}

/// Whether a set will enter a lock, or wake the waiters of it.
fn set_is_on_its_way(agent: &Agent, lock: usize, is_called: bool) -> bool {
    let set = &agent.set;
    let is_here = set.has_waiter && set.at as usize == lock;
    let is_notified = is_here && agent.node == NodeState::Notified;
    match agent.pc {
        Pc::Waits if agent.dormant => is_notified && !agent.stale,
        // It is notified, or polls itself again at the lock where it waits.
        Pc::Waits => is_here && (agent.woken || is_called),
        // It has left, and is about to wake others.
        Pc::SetRuns => is_here || set.holds(lock) || set.changes[lock] != (0, 0),
        Pc::Wakes => set.next.lock() == lock || is_here || set.changes[lock] != (0, 0),
        _ => false,
    }
}

/// An overtaken exclusive waiter is in the list that is notified first.
fn overtaken_come_first(system: &System, world: &World) -> bool {
    let waiters = system.specs.iter().zip(agents(system, world)).enumerate();
    waiters.into_iter().all(|(number, (spec, agent))| {
        let lock = if spec.is_set() { agent.set.at } else { spec.lock } as usize;
        let overtaken = agent.flags & 1 << WaitFlag::Overtaken as usize != 0;
        let list = &world.at(lock).lists[ListId::Overtaken as usize];
        let is_queued = spec.mode_at(lock) == Mode::Exclusive && agent.node == NodeState::Queued;
        !is_queued || agent.log_len > 0 || overtaken == list.contains(number)
    })
}

/// With the queue unlocked, a flag is set if and only if its count is not zero, and the counts are right.
fn flags_and_counts(system: &System, world: &World) -> bool {
    (0..LOCKS).all(|at| is_locked(system, world, at) || flags_and_counts_at(system, world, at))
}

fn flags_and_counts_at(system: &System, world: &World, at: usize) -> bool {
    let lock = world.at(at);
    let flags = [
        WaitFlag::Shared,
        WaitFlag::Upgradable,
        WaitFlag::Exclusive,
        WaitFlag::Overtaken,
        WaitFlag::Monitors,
    ];
    let agents = || system.specs.iter().zip(agents(system, world)).enumerate();
    flags.into_iter().enumerate().all(|(number, flag)| {
        let is_counted = |(_, (spec, agent)): &(usize, (&Spec, &Agent))| {
            waits_at(spec, agent, at) && agent.flags & 1 << number != 0
        };
        let reserves = |(_, (_, agent)): &(usize, (&Spec, &Agent))| {
            at == 0 && agent.set.reserves && flag == WaitFlag::Overtaken
        };
        let counted = agents().filter(is_counted).count() + agents().filter(reserves).count();
        let count = lock.counts[number] as usize;
        snapshot(lock.word).has(flag) == (count > 0) && count == counted
    }) && lock.queued as usize == lock.lists.iter().map(|list| list.len()).sum::<usize>()
        && agents().all(|(number, (spec, agent))| {
            let lists = lock.lists.iter().filter(|list| list.contains(number)).count();
            let is_queued = waits_at(spec, agent, at) && agent.node == NodeState::Queued;
            lists == is_queued as usize
        })
        && lock.woken_shared as usize
            <= agents().filter(|(_, (spec, agent))| is_woken_shared(spec, agent, at)).count()
        && (lock.last_number == 0 || others_wait(lock))
}

/// Whether a waiter is counted that is not of the side that had the last turns.
fn others_wait(lock: &Lock) -> bool {
    let of = |mode: Mode| lock.counts[mode as usize];
    match lock.last_exclusive {
        true => of(Mode::Shared) + of(Mode::Upgradable) > 0,
        false => of(Mode::Exclusive) > 0,
    }
}

fn is_woken_shared(spec: &Spec, agent: &Agent, at: usize) -> bool {
    waits_at(spec, agent, at)
        && matches!(agent.node, NodeState::Notified | NodeState::HandedOff)
        && spec.mode_at(at) == Mode::Shared
}

/// If there is no holder and no waiter, the words are zero, and nothing is counted, queued or reserved.
fn as_new_in_the_end(system: &System, world: &World) -> bool {
    agents(system, world).iter().any(|agent| agent.pc != Pc::Idle)
        || [&world.lock, &world.second].into_iter().all(|lock| {
            lock.word == 0
                && lock.counts == [0; 5]
                && lock.queued == 0
                && lock.woken_shared == 0
                && lock.last_number == 0
                && lock.lists.iter().all(|list| list.is_empty())
                && lock.owner == NONE
        })
}

/// A set holds no lock between two polls, unless it holds both and has returned.
fn sets_hold_nothing(_: &System, world: &World) -> bool {
    world.agents.iter().all(|agent| match agent.pc {
        Pc::Holds(_) => true,
        Pc::SetRuns | Pc::Wakes => true,
        _ => agent.set.held == 0,
    })
}

/// No two sets wait each at a lock that the other has reserved.
fn no_circle(system: &System, world: &World) -> bool {
    let waits_for = |who: usize| {
        let agent = &world.agents[who];
        let waits = system.specs[who].is_set() && agent.pc == Pc::Waits && agent.set.has_waiter;
        waits.then(|| world.at(agent.set.at as usize).owner).filter(|owner| *owner != NONE)
    };
    (0..system.specs.len()).all(|who| {
        let Some(other) = waits_for(who).filter(|other| *other as usize != who) else {
            return true;
        };
        waits_for(other as usize) != Some(who as u8)
    })
}
