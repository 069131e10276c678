//! One state for all that differ only in which of several equal waiters is which.

use crate::system::Spec;
use crate::world::{Agent, LISTS, Line, MOST, NONE, World};

/// Sorts waiters that may do the same. What each of them is in the queue is part of the order.
pub(crate) fn sort(world: &mut World, specs: &[Spec]) {
    let count = specs.len();
    let places = {
        let mut places = [[0u8; 3]; MOST];
        for (number, lock) in [&world.lock, &world.second].into_iter().enumerate() {
            for (list, line) in lock.lists.iter().enumerate() {
                for (position, who) in line.iter().enumerate() {
                    places[who][0] = 1 + 8 * (list + LISTS * number) as u8 + position as u8;
                }
            }
            if lock.owner != NONE {
                places[lock.owner as usize][1] |= 1 << number;
            }
        }
        for agent in &world.agents[..count] {
            for who in agent.wakes.iter() {
                places[who][2] += 1;
            }
        }
        places
    };
    // The references to others are not part of the key: they are numbers.
    let key = |who: usize, agent: &Agent| {
        let mut agent = *agent;
        (agent.wakes, agent.waking.end) = (Line::default(), 0);
        (places[who], agent)
    };
    let mut order: [u8; MOST] = std::array::from_fn(|who| who as u8);
    let mut first = 0;
    while first < count {
        let mut end = first + 1;
        while end < count && specs[end] == specs[first] {
            end += 1;
        }
        if end - first > 1 {
            order[first..end].sort_by_cached_key(|who| {
                let who = *who as usize;
                key(who, &world.agents[who])
            });
        }
        first = end;
    }
    if order.iter().enumerate().all(|(position, who)| position == *who as usize) {
        return;
    }
    let mut new = [0u8; MOST];
    for (position, who) in order.iter().enumerate() {
        new[*who as usize] = position as u8;
    }
    let renamed = |who: u8| if who == NONE { NONE } else { new[who as usize] };
    let old = world.agents;
    for (position, who) in order.iter().enumerate() {
        let mut agent = old[*who as usize];
        agent.wakes = agent.wakes.map(|who| new[who] as usize);
        agent.waking.end = renamed(agent.waking.end);
        world.agents[position] = agent;
    }
    for lock in [&mut world.lock, &mut world.second] {
        lock.owner = renamed(lock.owner);
        for list in &mut lock.lists {
            *list = list.map(|who| new[who] as usize);
        }
    }
}
