//! Several locks taken as one: all or nothing, and nothing is held while it waits.
//!
//! 1. *Look* at all. If one cannot be acquired, the others are left alone.
//! 2. *Take* them, in the order of their addresses. If one has been lost meanwhile, give the others
//!    back. Who loses one to somebody who only tries, too, and gives it back, lost it to one who had
//!    come further in that order; the one who has come furthest loses it to a holder, or to nobody.
//!    So of those who try at the same time one gets all, unless somebody holds what it wants.
//! 3. *Wait* in the queue of the lock that was in the way, as any other waiter. Called there, begin
//!    again; the call counts for that lock. If another lock is in the way then, pass the call on, lay
//!    *claims*, and wait for that one. A claim is a place of an overtaken waiter in which nobody
//!    waits: whoever comes new to the free lock lets one poll pass, and where the claim is exclusive,
//!    nobody new joins shared holders.
//!
//! A claim reserves nothing: a free lock is for whoever comes. If it did, a task that holds one member
//! and waits for another would wait for ever.

use core::future::poll_fn;
use core::mem;
use core::pin::{Pin, pin};
use core::ptr;
use core::task::{Context, Poll};

use crate::mode::Mode;
use crate::multilock::MultiLock;
use crate::raw::{Claim, Place, stand_back};
use crate::state::Snapshot;

/// Locks that are to be taken as one.
pub trait InOrder: Send + Sync {
    /// Each lock once, in the order of the addresses, with the strongest mode that is wanted of it.
    #[doc(hidden)]
    fn in_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)>;
}

impl<W: InOrder + ?Sized> InOrder for &W {
    fn in_order(&self) -> impl DoubleEndedIterator<Item = (&MultiLock, Mode)> {
        (**self).in_order()
    }
}

/// Where a lock stands in the order.
pub(crate) fn address(lock: &MultiLock) -> usize {
    ptr::from_ref(lock).addr()
}

/// Holds of all locks, until it is dropped.
pub(crate) struct Taken<W: InOrder>(pub(crate) W);

impl<W: InOrder> Drop for Taken<W> {
    /// The last is released first: whoever waits for all of them waits for the first that was in the
    /// way, and finds the others free when it is called.
    fn drop(&mut self) {
        for_each(self.0.in_order().rev(), |(lock, mode)| lock.raw.release(mode));
    }
}

/// Runs `f` for each item, also for those after one where a waker panics.
pub(crate) fn for_each<I: Iterator>(items: I, f: impl FnMut(I::Item)) {
    struct Rest<I: Iterator, F: FnMut(I::Item)>(I, F);
    impl<I: Iterator, F: FnMut(I::Item)> Rest<I, F> {
        fn run(&mut self) {
            self.0.by_ref().for_each(&mut self.1);
        }
    }
    impl<I: Iterator, F: FnMut(I::Item)> Drop for Rest<I, F> {
        fn drop(&mut self) {
            self.run();
        }
    }
    Rest(items, f).run();
}

/// The lock that was in the way.
type Stop<'a> = (&'a MultiLock, Mode);

/// The first lock that cannot be acquired now.
fn in_the_way(
    wanted: &impl InOrder,
    admits: impl Fn(&MultiLock, Mode) -> bool,
) -> Option<Stop<'_>> {
    wanted.in_order().find(|&(lock, mode)| !admits(lock, mode))
}

/// Takes all, or none.
///
/// `called` is the lock where the caller was called: there it may enter like one that was.
fn take<'a>(
    wanted: &'a impl InOrder,
    admits: impl Fn(Snapshot, Mode) -> bool,
    called: Option<&MultiLock>,
) -> Result<(), Stop<'a>> {
    let is_called = |lock| called.is_some_and(|called| ptr::eq(called, lock));
    let may = |lock: &MultiLock, mode| {
        if is_called(lock) { lock.snapshot().fits(mode) } else { admits(lock.snapshot(), mode) }
    };
    if let Some(stop) = in_the_way(wanted, may) {
        return Err(stop);
    }
    let enter = |lock: &MultiLock, mode| {
        if is_called(lock) { lock.raw.acquire_called(mode) } else { lock.raw.try_acquire(mode) }
    };
    match in_the_way(wanted, enter) {
        None => Ok(()),
        Some(stop) => {
            let taken = wanted.in_order().rev().skip_while(|lock| !ptr::eq(lock.0, stop.0)).skip(1);
            for_each(taken, |(lock, mode)| lock.raw.release(mode));
            Err(stop)
        }
    }
}

pub(crate) fn try_acquire<W: InOrder>(wanted: W) -> Option<Taken<W>> {
    take(&wanted, Snapshot::admits, None).is_ok().then(|| Taken(wanted))
}

pub(crate) async fn acquire<W: InOrder>(wanted: W) -> Taken<W> {
    if let Err(stop) = take(&wanted, Snapshot::admits_newcomer, None) {
        let mut slow = pin!(acquire_slow(&wanted, stop));
        poll_fn(|cx| poll_cold(slow.as_mut(), cx)).await;
    }
    Taken(wanted)
}

/// Polls what is seldom needed, out of the way of what is.
#[cold]
#[inline(never)]
fn poll_cold<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(cx)
}

async fn acquire_slow<W: InOrder>(wanted: &W, mut stop: Stop<'_>) {
    // 1. Whoever was overtaken goes first, if it is polled now.
    if stop.0.raw.is_reserved(stop.1) {
        stand_back().await;
        match take(wanted, Snapshot::admits, None) {
            Ok(()) => return,
            Err(next) => stop = next,
        }
    }
    // 2. Wait where the way is barred.
    let mut claims = None;
    let mut waiter = pin!(None);
    let taken = 'taken: loop {
        let (lock, mode) = stop;
        waiter.set(Some(Place::take(&lock.raw, mode, false)));
        let mut place = waiter.as_mut().as_pin_mut().expect("it was taken");
        if claims.is_some() {
            place.as_mut().set_overtaken();
        }
        stop = loop {
            // 3. Called, or by luck: try. Here, too, whoever was overtaken elsewhere goes first.
            let called = poll_fn(|cx| place.as_mut().poll_turn(cx)).await.then_some(lock);
            let admits =
                if claims.is_none() { Snapshot::admits_newcomer } else { Snapshot::admits };
            let mut turn = take(wanted, admits, called);
            let mut turned_away = turn.is_err_and(|next| !ptr::eq(next.0, lock));
            if claims.is_none() && turn.is_err_and(|next| next.0.raw.is_reserved(next.1)) {
                stand_back().await;
                turn = take(wanted, Snapshot::admits, called);
                turned_away = turn.is_err();
            }
            // 4. Turned away by another: perhaps once more at the next poll.
            if turned_away {
                let claims = claims.get_or_insert_with(|| Claims::lay(wanted));
                claims.draw();
                if claims.dice.has(Dice::PATIENT) {
                    stand_back().await;
                    turn = take(wanted, Snapshot::admits, called).map_err(|next| claims.pick(next));
                }
            }
            match turn {
                Ok(()) => {
                    place.as_mut().set_entered();
                    break 'taken Taken(wanted);
                }
                Err(next) if ptr::eq(next.0, lock) => place.as_mut().set_overtaken(),
                Err(next) => break next,
            }
        };
        waiter.set(None);
    };
    // 5. Going wakes, and wakers may panic: until then the holds end with `taken`.
    waiter.set(None);
    drop(claims);
    mem::forget(taken);
}

/// Claims to the locks, as the dice have it, until it is dropped.
struct Claims<'a, W: InOrder> {
    wanted: &'a W,
    dice: Dice,
}

impl<'a, W: InOrder> Claims<'a, W> {
    /// Lays a claim to each lock.
    fn lay(wanted: &'a W) -> Self {
        let dice = Dice::new();
        Self::change(wanted, |_| false, |n| dice.claims(n));
        Self { wanted, dice }
    }

    /// Throws the dice, unless the last throw is to stand.
    fn draw(&mut self) {
        let before = self.dice;
        self.dice.throw();
        Self::change(self.wanted, |n| before.claims(n), |n| self.dice.claims(n));
    }

    /// Lays claims and takes them back, from those that there were to those that there shall be. They
    /// are forgotten where they stand, and made anew from nothing to be dropped.
    fn change(wanted: &W, before: impl Fn(usize) -> bool, after: impl Fn(usize) -> bool) {
        for_each(wanted.in_order().enumerate(), |(n, (lock, mode))| match (before(n), after(n)) {
            (false, true) => mem::forget(Claim::lay(&lock.raw, mode)),
            (true, false) => drop(Claim::laid(&lock.raw, mode)),
            _ => {}
        });
    }

    /// Of all the locks that are in the way the first, which is `first`, or the last.
    fn pick(&self, first: Stop<'a>) -> Stop<'a> {
        let barred = |&(lock, mode): &Stop<'_>| !lock.snapshot().admits(mode);
        let last = self.wanted.in_order().rev().find(barred);
        last.filter(|_| self.dice.has(Dice::LAST)).unwrap_or(first)
    }
}

impl<W: InOrder> Drop for Claims<'_, W> {
    fn drop(&mut self) {
        Self::change(self.wanted, |n| self.dice.claims(n), |_| false);
    }
}

/// What a set that was turned away leaves to chance. Tasks that hold the members in turns, at a regular
/// pace, could keep it out for ever if its own pace were as regular.
///
/// A throw stands for 1, 2, 1, 4, 1, 2, 1, 8 turns and so on. While it stands, the paces of the members
/// shift against each other by as much at each turn, and no shift takes longer than some throw stands;
/// and if with this throw they do not shift, or from one bad moment to the next, there is another.
#[derive(Clone, Copy)]
struct Dice {
    bits: u32,
    throws: u32,
    /// How many turns the last throw is to stand.
    left: u32,
}

impl Dice {
    /// Look once more at the next poll before the call is passed on.
    const PATIENT: u32 = 1 << 31;
    /// Of those in the way wait for the last, not for the first.
    const LAST: u32 = 1 << 30;

    /// Not thrown yet: all bits.
    fn new() -> Self {
        Self { bits: u32::MAX, throws: 0, left: 0 }
    }

    fn has(self, bit: u32) -> bool {
        self.bits & bit != 0
    }

    /// Whether there is a claim to the `n`th lock.
    fn claims(self, n: usize) -> bool {
        self.has(1 << (n % 30))
    }

    fn throw(&mut self) {
        if self.left > 0 {
            self.left -= 1;
            return;
        }
        self.throws = self.throws.wrapping_add(1);
        self.left = (1 << self.throws.trailing_zeros().min(30)) - 1;
        // Marsaglia's xorshift, which comes around after 2^32 - 1.
        self.bits ^= self.bits << 13;
        self.bits ^= self.bits >> 17;
        self.bits ^= self.bits << 5;
    }
}

/// Waits until all can be acquired, as far as one look after the other can tell.
pub(crate) async fn wait(wanted: impl InOrder) {
    while let Some((lock, mode)) = in_the_way(&wanted, |lock, mode| lock.snapshot().admits(mode)) {
        lock.wait(mode).await;
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn dice_stand_for_longer_and_longer() {
        let mut dice = Dice::new();
        assert!((0..70).all(|n| dice.claims(n)));
        let mut turns = Vec::new();
        for turn in 0..1 << 10 {
            let before = dice.bits;
            dice.throw();
            assert!(turn > 0 || dice.bits != before);
            if dice.bits != before { turns.push(1) } else { *turns.last_mut().unwrap() += 1 }
        }
        assert_eq!(turns[..15], [1, 2, 1, 4, 1, 2, 1, 8, 1, 2, 1, 4, 1, 2, 1]);
    }

    /// The numbers are those of another program.
    #[test]
    fn dice_fall_as_they_should() {
        let mut dice = Dice::new();
        let mut throws = Vec::new();
        while throws.len() < 4 {
            dice.left = 0;
            dice.throw();
            throws.push(dice.bits);
        }
        assert_eq!(throws, [0x3e01f, 0xfc07_fdff, 0x74bb_9843, 0xf1cc_88da]);
        // Bits of 30 locks, and again the same for the next.
        let claims = |n| dice.claims(n);
        assert_eq!([0, 1, 2, 3, 4].map(claims), [false, true, false, true, true]);
        assert!((0..30).all(|n| claims(n) == claims(n + 30) && claims(n) == claims(n + 60)));
        assert!(dice.has(Dice::PATIENT) && dice.has(Dice::LAST));
    }
}
