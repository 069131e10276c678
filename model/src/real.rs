//! One step of the lock's own code, in a state of the model.
//!
//! The state is put into a lock: the word, and each waiter with its node in its list, by the functions
//! with which the lock does that. Then the lock takes the step, and the state is read back. The lock
//! and the waiters are thrown away.

use std::mem::{self, ManuallyDrop};
use std::pin::Pin;
use std::ptr;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use crate::raw::list::{Node, WaitState, WaiterKind};
use crate::raw::listener::Listener;
use crate::raw::policy::LastTurns;
use crate::raw::queue::{ListId, WaitQueue};
use crate::raw::reservation::{Losses, Reservation};
use crate::raw::state::{Snapshot, WaitFlags};
use crate::raw::{RawLock, Waiter};
use crate::sync::{self, MAX_ACCESSES, moment::Moment};
use crate::system::Spec;
use crate::world::{Agent, LISTS, Line, Lock, MOST, NONE, NodeState, Pc, World};

/// The lists, in the order of their numbers.
const LIST_IDS: [ListId; LISTS] =
    [ListId::Exclusive, ListId::Overtaken, ListId::Upgrade, ListId::Shared, ListId::Upgradable];
const _: () = {
    let mut number = 0;
    while number < LISTS {
        assert!(LIST_IDS[number] as usize == number);
        number += 1;
    }
};
/// The number of the reservation before a step: it matters only whether that of a waiter is the same.
const NUMBER: u8 = 1;
/// The flags of a reservation, in the bits of its owner's address.
const OWNER_FLAGS: usize = 3;

/// Returns the word as the lock sees it.
pub(crate) fn snapshot(word: u16) -> Snapshot {
    // SAFETY: a snapshot is an integer, and nothing else.
    unsafe { mem::transmute::<usize, Snapshot>(word as usize) }
}

pub(crate) fn word(snapshot: Snapshot) -> u16 {
    // SAFETY: as above.
    unsafe { mem::transmute::<Snapshot, usize>(snapshot) as u16 }
}

fn wait_flags(bits: u8) -> WaitFlags {
    (0..5).filter(|flag| bits & 1 << flag != 0).fold(WaitFlags::NONE, |flags, n| flags.and_nth(n))
}

fn flag_bits(flags: WaitFlags) -> u8 {
    let mut bits = 0;
    flags.each(|flag| bits |= 1 << flag);
    bits
}

/// What a waiter has in the queue.
pub(crate) enum Place<'a> {
    None,
    Waiter(Waiter<'a>),
    /// The node of an upgrade.
    Listener(Listener<'a>),
}

impl<'a> Place<'a> {
    pub(crate) fn waiter(&mut self) -> Pin<&mut Waiter<'a>> {
        let Place::Waiter(waiter) = self else { unreachable!() };
        // SAFETY: places are moved before the first node is queued, and not dropped.
        unsafe { Pin::new_unchecked(waiter) }
    }

    pub(crate) fn listener(&mut self) -> Pin<&mut Listener<'a>> {
        let listener = match self {
            Place::Waiter(waiter) => &mut *waiter.listener,
            Place::Listener(listener) => listener,
            Place::None => unreachable!(),
        };
        // SAFETY: as above.
        unsafe { Pin::new_unchecked(listener) }
    }
}

/// What a step has led to.
pub(crate) struct Stepped<R> {
    /// What the operation has returned, if it is done. Otherwise it has only changed the word.
    pub(crate) result: Option<R>,
    /// Those whose wakers it calls now.
    pub(crate) woken: Line,
}

/// Returns the lock of which a waiter takes a step, or of which it has begun a section.
pub(crate) fn lock_of(spec: &Spec, agent: &Agent) -> usize {
    if spec.is_set() { agent.set.next.lock() } else { spec.lock as usize }
}

/// Returns whether what an agent says of a node is about this lock.
pub(crate) fn waits_at(spec: &Spec, agent: &Agent, lock: usize) -> bool {
    let at = if spec.is_set() { agent.set.at } else { spec.lock };
    at as usize == lock
}

/// Lets waiter `who` take one step of `operation` in `world`.
pub(crate) fn step<R>(
    world: &mut World,
    specs: &[Spec],
    who: usize,
    operation: impl FnOnce(&RawLock, &mut Place<'_>, &mut Nodes) -> R,
) -> Stepped<R> {
    let at = lock_of(&specs[who], &world.agents[who]);
    let lock = RawLock::new();
    let mut places = ManuallyDrop::new([const { Place::None }; MOST]);
    let mut nodes = Nodes { addresses: [0; MOST] };

    // 1. Put the waiters into the lock.
    let needs_place = |number: usize, agent: &Agent| {
        let waits = waits_at(&specs[number], agent, at)
            && (agent.node != NodeState::Idle || agent.set.has_waiter);
        number == who || waits || world.at(at).owner as usize == number
    };
    for (number, spec) in specs.iter().enumerate() {
        let agent = &world.agents[number];
        if needs_place(number, agent) {
            places[number] = match waits_at(spec, agent, at) {
                true => make_place(&lock, spec, agent, at),
                // The owner of a reservation, which waits at the other lock.
                false => Place::Waiter(Waiter::new(&lock, spec.mode_at(at), false)),
            };
            nodes.addresses[number] = places[number].listener().id();
        }
    }
    for (number, spec) in specs.iter().enumerate() {
        let agent = &world.agents[number];
        if matches!(agent.node, NodeState::Notified | NodeState::HandedOff)
            && waits_at(spec, agent, at)
        {
            let kind = match agent.node {
                NodeState::HandedOff => WaiterKind::Handoff,
                _ => kind(spec, agent),
            };
            let list = ListId::of(spec.mode_at(at));
            queue_in(places[number].listener(), number, list, kind, true);
        }
    }
    for (list, line) in LIST_IDS.into_iter().zip(world.at(at).lists) {
        for number in line.iter() {
            let kind = kind(&specs[number], &world.agents[number]);
            queue_in(places[number].listener(), number, list, kind, false);
        }
    }
    put_queue(lock.queue(), world.at(at), &nodes);

    // 2. Take the step.
    let agent = &world.agents[who];
    let splits = agent.pc == Pc::SetRuns && agent.set.next.looks_first();
    sync::begin(&agent.log[..agent.log_len as usize], [world.at(at).word as usize, 0], splits);
    let result = operation(&lock, &mut places[who], &mut nodes);
    let ended = sync::end();
    let woken = sync::take_woken();

    // 3. Read the state back.
    world.at_mut(at).word = ended.words[0] as u16;
    let agent = &mut world.agents[who];
    if !ended.is_done {
        (agent.log, agent.log_len) = (ended.answers, ended.len as u8);
        return Stepped { result: None, woken: Line::default() };
    }
    (agent.log, agent.log_len) = ([0; MAX_ACCESSES], 0);
    let mut deferred_to = [NUMBER - 1; MOST];
    for (number, place) in places.iter_mut().enumerate() {
        let agent = &mut world.agents[number];
        if matches!(place, Place::None) || !waits_at(&specs[number], agent, at) {
            continue;
        }
        agent.handoff = false;
        agent.node = match place.listener().state() {
            WaitState::Idle => NodeState::Idle,
            WaitState::Queued => NodeState::Queued,
            WaitState::Notified => NodeState::Notified,
            WaitState::HandedOff => NodeState::HandedOff,
        };
        if let Place::Waiter(waiter) = place {
            deferred_to[number] = waiter.losses.deferred_to();
            (agent.flags, agent.lost) = (flag_bits(waiter.flags), waiter.losses.races());
        }
    }
    let number = get_queue(lock.queue(), world, at, &nodes);
    for (n, spec) in specs.iter().enumerate() {
        let agent = &mut world.agents[n];
        if waits_at(spec, agent, at) {
            agent.deferred = deferred_to[n] == number;
        }
    }
    Stepped { result: Some(result), woken: woken.into_iter().collect() }
}

/// The addresses of the nodes.
pub(crate) struct Nodes {
    addresses: [usize; MOST],
}

impl Nodes {
    /// Returns the address of the node of a waiter.
    pub(crate) fn address(&self, who: u8) -> usize {
        if who == NONE { 0 } else { self.address_of(who as usize) }
    }

    /// A waiter that has no node now had one that is not in memory any more.
    fn address_of(&self, who: usize) -> usize {
        if self.addresses[who] == 0 { 8 * (who + 1) } else { self.addresses[who] }
    }

    /// Returns the waiter whose node has the address.
    pub(crate) fn who(&self, address: usize) -> u8 {
        let position = || (0..MOST).position(|who| self.address_of(who) == address);
        if address == 0 { NONE } else { position().expect("a known node") as u8 }
    }
}

fn make_place<'a>(lock: &'a RawLock, spec: &Spec, agent: &Agent, at: usize) -> Place<'a> {
    if matches!(
        agent.pc,
        Pc::UpgradeBegins(_)
            | Pc::UpgradeListens(_)
            | Pc::UpgradeLooks(..)
            | Pc::UpgradeWaits(_)
            | Pc::UpgradeLeaves
            | Pc::UpgradeCancelled(_)
    ) || agent.pc == Pc::Wakes
        && matches!(agent.waking.then, crate::world::Then::UpgradeCancelled(_))
    {
        return Place::Listener(Listener::new(lock.queue()));
    }
    let mut waiter = Waiter::new(lock, spec.mode_at(at), spec.thread);
    let deferred_to = if agent.deferred { NUMBER } else { NUMBER - 1 };
    (waiter.flags, waiter.losses) = (wait_flags(agent.flags), Losses::new(agent.lost, deferred_to));
    Place::Waiter(waiter)
}

fn kind(spec: &Spec, agent: &Agent) -> WaiterKind {
    match (spec.thread, agent.handoff) {
        (false, _) => WaiterKind::Task,
        (true, false) => WaiterKind::Thread,
        (true, true) => WaiterKind::Handoff,
    }
}

/// Puts a node into a list, and notifies it if it `was_notified`.
fn queue_in(
    listener: Pin<&mut Listener<'_>>,
    number: usize,
    list: ListId,
    kind: WaiterKind,
    was_notified: bool,
) {
    let waker = waker(number);
    let cx = Context::from_waker(&waker);
    listener.with_waker(true, &cx, |listener, new| {
        assert!(listener.listen(list, kind, false, &cx, new));
        if was_notified {
            assert!(listener.waiters.list(list).pop().is_some());
        }
        Some(())
    });
}

fn put_queue(queue: &WaitQueue, from: &Lock, nodes: &Nodes) {
    queue.with(|waiters| {
        waiters.counts = from.counts.map(Into::into);
        waiters.queued = from.queued.into();
        waiters.reservation = Reservation {
            owner: nodes.address(from.owner) | from.owner_flags as usize,
            moment: Moment(from.moment),
            deferrals: from.deferrals,
            last: LastTurns { exclusive: from.last_exclusive, number: from.last_number },
            claim: from.claim,
            number: NUMBER,
            woken_shared: from.woken_shared.into(),
        };
    });
}

/// Returns the number of the reservation.
fn get_queue(queue: &WaitQueue, world: &mut World, at: usize, nodes: &Nodes) -> u8 {
    let World { lock, second, agents, .. } = world;
    let to = if at == 0 { lock } else { second };
    queue.with(|waiters| {
        to.counts = waiters.counts.map(|count| count as u8);
        to.queued = waiters.queued as u8;
        let reservation = &waiters.reservation;
        to.owner = nodes.who(reservation.owner());
        to.owner_flags = if to.owner == NONE { 0 } else { (reservation.owner & OWNER_FLAGS) as u8 };
        to.moment = if to.owner == NONE { 0 } else { reservation.moment.0 };
        to.deferrals = reservation.deferrals;
        to.woken_shared = reservation.woken_shared as u8;
        (to.last_exclusive, to.last_number) = (reservation.last.exclusive, reservation.last.number);
        to.claim = if to.owner == NONE { 0 } else { reservation.claim };
        let reservation_number = reservation.number;
        for (number, list) in LIST_IDS.into_iter().enumerate() {
            let list = waiters.list(list);
            to.lists[number] = std::iter::from_fn(|| {
                let first = list.first()?;
                let who = nodes.who(Node::address(first)) as usize;
                agents[who].handoff = first.is_handoff();
                assert!(list.pop().is_some());
                Some(who)
            })
            .collect();
        }
        reservation_number
    })
}

/// Returns the waker of a waiter: it records that it was woken.
pub(crate) fn waker(number: usize) -> Waker {
    const VTABLE: RawWakerVTable = RawWakerVTable::new(
        |data| RawWaker::new(data, &VTABLE),
        |data| sync::record_woken(data.addr()),
        |data| sync::record_woken(data.addr()),
        |_| (),
    );
    // SAFETY: the data is a number.
    unsafe { Waker::from_raw(RawWaker::new(ptr::without_provenance(number), &VTABLE)) }
}
