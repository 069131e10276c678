//! Cancellation (`c`).

use super::*;

/// No task can acquire the lock any more, and the remaining holders release it as usual. Miri would report
/// the leak, which is real.
#[cfg(not(miri))]
#[test]
fn bad_use_an_upgrade_that_is_forgotten_harms_no_other_holder() {
    for from in [Shared, Upgradable] {
        for end in 0..4 {
            let lock = lock();
            let other = hold(&lock, Shared);
            let mut guard = hold(&lock, from);
            let mut upgrade = Task::new(guard.upgrade());
            upgrade.waits();
            mem::forget(upgrade);
            assert!(guard.try_upgrade().is_err() && guard.share().is_none());
            match end {
                0 => drop(guard),
                1 => lock.release(guard.into_handle()).unwrap(),
                2 => guard.downgrade(Shared),
                _ => assert_eq!(now(guard.upgrade()), Err(UpgradeError::Conflict)),
            }
            drop(other);
            for mode in Mode::ALL {
                assert!(lock.try_acquire(mode).is_none());
            }
            assert!(lock.snapshot().shared_holders() < 2);
        }
    }
}

#[test]
fn c1_a_dropped_exclusive_waiter_admits_those_that_waited_behind_it() {
    let lock = lock();
    let holder = hold(&lock, Shared);
    let exclusive = Task::queued(lock.acquire(Exclusive));
    let mut shared = [Task::queued(lock.acquire(Shared)), Task::queued(lock.acquire(Shared))];
    let mut upgradable =
        [Task::queued(lock.acquire(Upgradable)), Task::queued(lock.acquire(Upgradable))];
    drop(exclusive);
    assert_eq!(woken(&shared), [true, true]);
    assert_eq!(woken(&upgradable), [true, false], "one can enter");
    let _in = (shared.each_mut().map(Task::finish), upgradable[0].finish());
    drop(holder);
}

#[test]
fn c1_while_another_exclusive_waiter_is_left_shared_stays_asleep() {
    for dropped in [0, 1] {
        let lock = lock();
        let holder = hold(&lock, Shared);
        let mut exclusive =
            vec![Task::queued(lock.acquire(Exclusive)), Task::queued(lock.acquire(Exclusive))];
        let mut shared = Task::queued(lock.acquire(Shared));
        drop(exclusive.remove(dropped));
        assert!(!shared.woken());
        shared.waits();
        drop(exclusive);
        assert_eq!(shared.wakes(), 1);
        drop(shared.finish());
        drop(holder);
    }
}

/// The cancellation itself admits other waiters, even before the future is dropped.
#[test]
fn c1_holds_for_an_acquisition_that_was_cancelled() {
    let lock = lock();
    let holder = hold(&lock, Shared);
    let switch = Arc::new(Switch::default());
    let mut exclusive = Task::queued(lock.acquire_or(Exclusive, switch.clone().wait()));
    let mut shared = Task::queued(lock.acquire(Shared));
    switch.on.store(1, SeqCst);
    assert_eq!(exclusive.finish().unwrap_err(), "cancelled");
    drop(shared.run().expect("woken"));
    drop(holder);
    assert_idle(&lock);
}

#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn c1_holds_for_a_timeout() {
    let lock = lock();
    let holder = hold(&lock, Shared);
    let timeout = Duration::from_millis(if cfg!(miri) { 1000 } else { 50 });
    thread::scope(|scope| {
        let exclusive = scope.spawn(|| lock.acquire_blocking_timeout(Exclusive, timeout).is_none());
        while !lock.snapshot().is_awaited(Exclusive) && !exclusive.is_finished() {
            thread::yield_now();
        }
        // No holder releases the lock: only the end of the timeout can admit this thread.
        drop(lock.acquire_blocking_timeout(Shared, LONG).expect("woken"));
        assert!(exclusive.join().unwrap());
    });
    drop(holder);
    assert_idle(&lock);
}

#[test]
fn c2_a_woken_shared_waiter_that_is_dropped_passes_it_on() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    let first = Task::queued(lock.acquire(Shared));
    let mut exclusive = Task::queued(lock.acquire(Exclusive));
    let second = Task::queued(lock.acquire(Shared));
    drop(guard);
    drop(first);
    // The second was woken together with the first, and is about to enter.
    assert!(second.woken() && !exclusive.woken());
    drop(second);
    assert_eq!(exclusive.wakes(), 1, "no other task will ever wake it");
    drop(exclusive.finish());
}

/// Waiters that were woken in an earlier turn, and are not polled, do not count.
#[test]
fn c2_of_shared_waiters_that_were_woken_together_the_last_that_is_dropped_passes_it_on() {
    for together in [1, 2, 9, 20] {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let dormant = Task::queued(lock.acquire(Shared));
        let mut exclusive = Task::queued(lock.acquire(Exclusive));
        drop(guard);
        assert!(dormant.woken() && !exclusive.woken());

        let newcomer = hold(&lock, Exclusive);
        let mut woken = Vec::from_iter((0..together).map(|_| Task::queued(lock.acquire(Shared))));
        drop(newcomer);
        while let Some(shared) = woken.pop() {
            assert!(shared.woken() && !exclusive.woken(), "it is the turn of shared waiters");
            drop(shared);
        }
        assert_eq!(exclusive.wakes(), 1, "of {together}");
        drop(exclusive.finish());
        drop(dormant);
    }
}

#[test]
fn c2_a_woken_upgradable_waiter_that_is_dropped_passes_it_on() {
    for next in [Upgradable, Exclusive] {
        let lock = lock();
        let guard = hold(&lock, Exclusive);
        let first = Task::queued(lock.acquire(Upgradable));
        let mut second = Task::queued(lock.acquire(next));
        drop(guard);
        assert!(first.woken() && !second.woken());
        drop(first);
        assert_eq!(second.wakes(), 1);
        drop(second.finish());
    }
}

#[test]
fn c3_a_woken_exclusive_waiter_that_is_dropped_passes_it_on() {
    for next in Mode::ALL {
        let lock = lock();
        let holder = hold(&lock, Shared);
        let first = Task::queued(lock.acquire(Exclusive));
        let mut second = Task::queued(lock.acquire(next));
        drop(holder);
        assert!(first.woken() && !second.woken());
        drop(first);
        assert_eq!(second.wakes(), 1, "{next:?}");
        drop(second.finish());
    }
}

/// After its wake-up the waiter was polled, lost the race, and was woken again.
#[test]
fn c3_also_after_it_was_overtaken() {
    for next in Mode::ALL {
        let lock = lock();
        let mut first = dormant(&lock, Exclusive);
        let overtaker = hold(&lock, Exclusive);
        first.waits();
        drop(overtaker);
        // This holder is upgradable, so its release starts the turn of exclusive waiters.
        let overtaker = hold(&lock, Upgradable);
        first.waits();
        let mut second = Task::queued(lock.acquire(Exclusive));
        let mut third = Task::queued(lock.acquire(next));
        drop(overtaker);
        assert!(first.woken() && !second.woken() && !third.woken());
        drop(first);
        assert!(second.woken() && !third.woken(), "{next:?}");
        drop(second.finish());
        drop(third.finish());
        assert_idle(&lock);
    }
}

/// What a waiter does in the schedules.
#[derive(Clone, Copy, Debug)]
enum Script {
    Acquire(Mode),
    Upgrade(Mode),
}

const SCRIPTS: [Script; 5] = [
    Script::Acquire(Shared),
    Script::Acquire(Upgradable),
    Script::Acquire(Exclusive),
    Script::Upgrade(Shared),
    Script::Upgrade(Upgradable),
];

async fn play(lock: &MultiLock, script: Script) -> Guard<'_> {
    match script {
        Script::Acquire(mode) => lock.acquire(mode).await,
        Script::Upgrade(mode) => {
            let mut guard = lock.acquire(mode).await;
            // Whether or not the upgrade is refused, the guard holds the lock.
            let result = guard.upgrade().await;
            assert_eq!(guard.mode(), if result.is_ok() { Exclusive } else { mode });
            guard
        }
    }
}

enum Player<'a, F> {
    Waits(Task<F>),
    Holds(Guard<'a>),
    Gone,
}

impl<'a, F: Future<Output = Guard<'a>>> Player<'a, F> {
    fn poll(&mut self) {
        if let Self::Waits(task) = self {
            if let Poll::Ready(guard) = task.poll() {
                *self = Self::Holds(guard);
            }
        }
    }

    fn sleeps(&self) -> bool {
        matches!(self, Self::Waits(task) if task.polls() > 0 && !task.woken())
    }

    fn is_on_its_way(&self) -> bool {
        matches!(self, Self::Waits(task) if task.woken())
    }
}

/// Plays one schedule, whose steps are the digits of `code`: the first holder releases, or one of the players
/// is polled or dropped. E1 and P2 are checked after every step, C4 at the end.
fn play_schedule(held: Mode, scripts: &[Script], steps: usize, mut code: usize) {
    let lock = lock();
    let mut holder = Some(hold(&lock, held));
    let mut players: Vec<_> =
        scripts.iter().map(|script| Player::Waits(Task::new(play(&lock, *script)))).collect();
    let choices = 1 + 2 * players.len();
    for _ in 0..steps {
        match code % choices {
            0 => drop(holder.take()),
            step if step % 2 == 1 => players[step / 2].poll(),
            step => players[step / 2 - 1] = Player::Gone,
        }
        code /= choices;

        let holds = || {
            let players = players.iter().filter_map(|player| match player {
                Player::Holds(guard) => Some(guard),
                _ => None,
            });
            players.chain(&holder)
        };
        for (i, a) in holds().enumerate() {
            assert!(holds().take(i).all(|b| !a.mode().excludes(b.mode())), "E1");
        }
        let word = lock.snapshot();
        let nobody_is_left = lock.locked().is_none();
        let upgrade_is_alone = word.is_upgrading() && word.shared_holders() == 0;
        if nobody_is_left || upgrade_is_alone {
            let sleepers = players.iter().any(Player::sleeps);
            assert!(!sleepers || players.iter().any(Player::is_on_its_way), "P2: {word:?}");
        }
        let shared_may_enter = lock.locked() != Some(Exclusive) && !word.is_upgrading();
        if shared_may_enter && !word.is_awaited(Exclusive) {
            let asleep = players.iter().zip(scripts).any(|(player, script)| {
                matches!(script, Script::Acquire(Shared)) && player.sleeps()
            });
            assert!(!asleep, "C1, F3, U4: {word:?}");
        }
    }
    drop(players);
    drop(holder);
    assert_idle(&lock);
}

#[test]
fn c4_after_every_schedule_of_two_the_word_is_back_to_zero() {
    const STEPS: u32 = 5;
    for held in Mode::ALL {
        for a in SCRIPTS {
            for b in SCRIPTS {
                for code in (0..5_usize.pow(STEPS)).step_by(if cfg!(miri) { 619 } else { 1 }) {
                    play_schedule(held, &[a, b], STEPS as usize, code);
                }
            }
        }
    }
}

#[test]
fn c4_after_schedules_of_four_the_word_is_back_to_zero() {
    const STEPS: u32 = 14;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as usize % below
    };
    for _ in 0..if cfg!(miri) { 60 } else { 40_000 } {
        let held = Mode::ALL[next(3)];
        let scripts = [(); 4].map(|()| SCRIPTS[next(5)]);
        // 9^10 fits in 32 bits, so the code has as many steps as fit in a usize.
        let steps = if usize::BITS >= 64 { STEPS } else { 10 };
        let code = next(9_usize.pow(steps));
        play_schedule(held, &scripts, steps as usize, code);
    }
}

#[test]
fn c4_monitors_and_deferring_waiters_leave_nothing_behind() {
    let lock = lock();
    let guard = hold(&lock, Exclusive);
    drop(Task::queued(lock.wait(Shared)));
    drop(Task::queued(lock.acquire_or(Exclusive, pending::<()>())));
    let mut overtaken = Task::queued(lock.acquire(Exclusive));
    drop(guard);
    let overtaker = hold(&lock, Exclusive);
    overtaken.waits();
    drop(overtaker);
    let deferring = Task::queued(lock.acquire(Exclusive));
    drop(overtaken);
    drop(deferring);
    assert_idle(&lock);
}

/// A waiter that times out removes its own flag from the word, and not another waiter's.
#[test]
#[cfg(all(feature = "std", not(target_family = "wasm")))]
fn c4_a_timeout_keeps_the_flag_of_the_remaining_waiters() {
    for mode in Mode::ALL {
        let lock = lock();
        let mut guard = hold(&lock, Exclusive);
        let waiter = Task::queued(lock.acquire(mode));
        assert!(lock.acquire_blocking_timeout(mode, Duration::from_millis(1)).is_none());
        assert!(lock.snapshot().is_awaited(mode));
        guard.downgrade(Shared);
        assert_eq!(lock.try_acquire(Shared).is_some(), mode != Exclusive);
        drop(guard);
        assert_eq!(waiter.wakes(), 1, "{mode:?}");
    }
}

/// Whatever a waiter waits for, and however its wait ends, the lock keeps no waker. Miri also checks that no
/// freed node stays in a list.
#[test]
fn c4_a_dropped_future_leaves_no_waker_behind() {
    type Wait<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
    type Kind = for<'a> fn(&'a MultiLock, Option<&'a mut Guard<'_>>) -> Wait<'a>;
    let kinds: [Kind; 4] = [
        |lock, _| Box::pin(async { drop(lock.acquire(Exclusive).await) }),
        |lock, _| Box::pin(async { drop(lock.acquire_or(Exclusive, pending::<()>()).await) }),
        |lock, _| Box::pin(lock.wait(Exclusive)),
        |_, upgradable| Box::pin(async { upgradable.unwrap().upgrade().await.unwrap() }),
    ];
    for (number, wait) in kinds.into_iter().enumerate() {
        // The next waiter would touch any node that stayed in a list.
        let lock = lock();
        // How often the waiter is polled, each time with another waker, whether it is notified, and whether
        // it then enters.
        for (polls, is_notified, enters) in [
            (1, false, false),
            (2, false, false),
            (1, true, false),
            (1, true, true),
            (2, true, true),
        ] {
            let mut upgradable = (number == 3).then(|| hold(&lock, Upgradable));
            let shared = hold(&lock, Shared);
            let alarms = [(); 2].map(|()| Arc::new(Alarm::default()));
            let mut task = Task::new(wait(&lock, upgradable.as_mut()));
            for alarm in &alarms[..polls] {
                assert!(task.poll_with(&Waker::from(alarm.clone())).is_pending());
            }
            if is_notified {
                drop(shared);
            }
            if enters {
                task.finish();
            }
            drop(task);
            assert_eq!(alarms.each_ref().map(Arc::strong_count), [1; 2], "{number}, {polls}");
        }
    }
}

#[test]
fn c5_nothing_happens_before_the_first_poll() {
    let lock = Arc::new(lock());
    let mut shared = [hold(&lock, Shared), hold(&lock, Shared)];
    let before = lock.snapshot();
    let acquire = lock.acquire(Exclusive);
    let acquire_arc = lock.acquire_arc(Shared);
    let acquire_or = lock.acquire_or(Exclusive, ready(()));
    let acquire_or_arc = lock.acquire_or_arc(Exclusive, ready(()));
    let wait = lock.wait(Exclusive);
    let upgrade = shared[0].upgrade();
    assert_eq!(lock.snapshot(), before);
    drop((acquire, acquire_arc, acquire_or, acquire_or_arc, wait, upgrade));
    assert_eq!(lock.snapshot(), before);
    drop(shared);
    assert_idle(&lock);
    assert_eq!(Arc::strong_count(&lock), 1);
}

/// A free lock is not acquired for a future that is never polled.
#[test]
fn c5_a_free_lock_stays_free_until_the_first_poll() {
    let lock = Arc::new(lock());
    for mode in Mode::ALL {
        let acquire = lock.acquire(mode);
        let acquire_arc = lock.acquire_arc(mode);
        let acquire_or = lock.acquire_or(mode, ready(()));
        let acquire_or_arc = lock.acquire_or_arc(mode, ready(()));
        assert_idle(&lock);
        drop(hold(&lock, Exclusive));
        drop((acquire, acquire_arc, acquire_or, acquire_or_arc));
        assert_idle(&lock);
    }
    assert_eq!(Arc::strong_count(&lock), 1);
}
