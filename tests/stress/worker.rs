//! What a worker does: it acquires something by some method, holds it for a while, and releases it in some
//! way.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, Sender};
use std::task::{Context, Wake, Waker};

use futures_core::Stream;
use multilock::{Guard, GuardArc, Handle, LockGuard, LockSet, Lockable, Monitor};
use multilock::{Snapshot, acquire_all, lock_all, lock_all_or, try_acquire_all, try_lock_all};

use super::*;

/// One of the tasks.
pub(crate) struct Worker {
    pub(crate) world: Arc<World>,
    pub(crate) number: usize,
    pub(crate) random: Random,
    pub(crate) end: Sender<thread::Result<Tally>>,
    /// Sends acquisitions to the janitor, which ends them for other workers.
    pub(crate) left: Option<Sender<Left>>,
    /// How often it tries to acquire something.
    pub(crate) turns: usize,
    pub(crate) habits: Habits,
    pub(crate) tally: Tally,
}

/// A method of acquisition.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    One,
    Set,
    All,
    Each,
    Transfer,
    Queue,
    Upgrade,
    Monitor,
    MonitorOfSet,
    Name,
    Leave,
}

impl Way {
    pub(crate) const ALL: &[Self] = &[
        Self::One,
        Self::Set,
        Self::All,
        Self::Each,
        Self::Transfer,
        Self::Queue,
        Self::Upgrade,
        Self::Monitor,
        Self::MonitorOfSet,
        Self::Name,
        Self::Leave,
    ];

    /// Methods that do not wake all waiters each time, as ten thousand waiters would be woken ten thousand
    /// times.
    #[cfg(not(miri))]
    pub(crate) const FEW_WAKE_UPS: &[Self] =
        &[Self::One, Self::All, Self::Each, Self::Transfer, Self::Upgrade, Self::Name];
}

/// What the workers of an episode have in common. Each episode leaves out some of the methods, as one may
/// hide the effect of another: a worker that cancels often wakes waiters that other releases have missed.
#[derive(Clone)]
pub(crate) struct Habits {
    /// The number of locks in use.
    among: usize,
    ways: Vec<Way>,
    /// The modes in which they acquire.
    modes: &'static [Mode],
    /// Whether they never drop a wait.
    are_patient: bool,
}

impl Habits {
    /// All methods.
    pub(crate) fn all(among: usize, ways: &[Way]) -> Self {
        Self { among, ways: ways.to_vec(), modes: &Mode::ALL, are_patient: false }
    }

    /// Some of the methods.
    pub(crate) fn some(among: usize, ways: &[Way], random: &mut Random) -> Self {
        let (count, mut ways) = (1 + random.below(ways.len()), ways.to_vec());
        while ways.len() > count {
            ways.swap_remove(random.below(ways.len()));
        }
        let modes: [&[Mode]; 4] = [
            &Mode::ALL,
            &[Shared, Exclusive],
            &[Shared, Upgradable],
            &[Shared, Shared, Upgradable],
        ];
        Self { among, ways, modes: modes[random.below(4)], are_patient: random.one_in(4) }
    }

    fn mode(&self, random: &mut Random) -> Mode {
        self.modes[random.below(self.modes.len())]
    }

    fn way(&self, random: &mut Random) -> Way {
        self.ways[random.below(self.ways.len())]
    }
}

/// An acquisition that another thread ends, with its lock.
pub(crate) enum Left {
    Guard(Hold, GuardArc),
    Handle(Hold, Handle),
    Name(Hold, Name),
}

/// How long a thread blocks.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "std"), expect(dead_code, reason = "no thread blocks"))]
pub(crate) enum Limit {
    None,
    Timeout(Duration),
    Deadline(Instant),
}

/// A lockable on which a thread or a task can wait with a limit. Where threads cannot wait, a thread tries
/// once.
pub(crate) trait Limited: Lockable {
    fn block(&self, mode: Mode, limit: Limit) -> Option<Self::Guard<'_>>;

    fn acquire_or(
        &self,
        mode: Mode,
        polls: usize,
    ) -> impl Future<Output = Option<Self::Guard<'_>>> + Send;
}

macro_rules! limited {
    ($($Type:ty),*) => {$(
        impl Limited for $Type {
            #[cfg(feature = "std")]
            fn block(&self, mode: Mode, limit: Limit) -> Option<Self::Guard<'_>> {
                match limit {
                    Limit::None => Some((**self).acquire_blocking(mode)),
                    Limit::Timeout(limit) => self.acquire_blocking_timeout(mode, limit),
                    Limit::Deadline(deadline) => self.acquire_blocking_deadline(mode, deadline),
                }
            }

            #[cfg(not(feature = "std"))]
            fn block(&self, mode: Mode, _: Limit) -> Option<Self::Guard<'_>> {
                self.try_acquire(mode)
            }

            async fn acquire_or(&self, mode: Mode, polls: usize) -> Option<Self::Guard<'_>> {
                (**self).acquire_or(mode, countdown(polls)).await.ok()
            }
        }
    )*};
}
limited!(&MultiLock, &LockSet<&MultiLock>);

pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if !yielded {
            cx.waker().wake_by_ref();
        }
        if mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Polls `wanted` whenever it is woken, and drops it after `polls` pending polls.
pub(crate) async fn within_polls<F: Future>(mut polls: usize, wanted: F) -> Option<F::Output> {
    let mut wanted = pin!(wanted);
    poll_fn(|cx| {
        polls -= 1;
        match wanted.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Polls `wanted` once, and drops it if it is not ready: when it is woken, or a little later if it is not.
/// Returns whether it was woken.
async fn until_woken<F: Future>(wanted: F) -> Result<F::Output, bool> {
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let mut wanted = pin!(wanted);
    let waker = Waker::from(flag.clone());
    if let Poll::Ready(output) = wanted.as_mut().poll(&mut Context::from_waker(&waker)) {
        return Ok(output);
    }
    for _ in 0..8 {
        yield_now().await;
        if flag.0.load(Relaxed) {
            return Err(true);
        }
    }
    Err(false)
}

/// Polls `wanted` `more` times without a wake-up, each time with another waker. Only the last waker wakes the
/// task.
async fn with_other_wakers<F: Future>(mut more: usize, wanted: F) -> F::Output {
    struct Call {
        number: usize,
        last: Arc<AtomicUsize>,
        task: Waker,
    }
    impl Wake for Call {
        fn wake(self: Arc<Self>) {
            if self.last.load(SeqCst) == self.number {
                self.task.wake_by_ref();
            }
        }
    }
    let last = Arc::new(AtomicUsize::new(0));
    let mut wanted = pin!(wanted);
    poll_fn(|cx| {
        let number = last.fetch_add(1, SeqCst) + 1;
        let call = Call { number, last: last.clone(), task: cx.waker().clone() };
        let poll = wanted.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(call))));
        if poll.is_pending() && more > 0 {
            more -= 1;
            cx.waker().wake_by_ref();
        }
        poll
    })
    .await
}

/// Is ready at the poll of that number, without being woken before.
async fn countdown(polls: usize) {
    for _ in 0..polls {
        yield_now().await;
    }
}

/// Returns the panic of `task`, if any, as its output.
async fn caught<F: Future>(task: F) -> thread::Result<F::Output> {
    let mut task = pin!(task);
    poll_fn(|cx| {
        let poll = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx)));
        poll.map_or_else(|panic| Poll::Ready(Err(panic)), |poll| poll.map(Ok))
    })
    .await
}

impl Worker {
    /// Takes `turns` turns, and cancels some waits in between. At the end it sends its tally, or its panic.
    pub(crate) async fn run<R: Runtime>(mut self) {
        let bell = self.desk().bell();
        let work = caught(async {
            for _ in 0..self.turns {
                self.turn::<R>().await;
            }
            self.give_up().await;
        });
        let end = bell.watch(work).await;
        self.send(end);
    }

    /// Ends the acquisitions that other workers leave, as long as there may be some.
    pub(crate) async fn run_janitor(mut self, left: Receiver<Left>) {
        // With a sender of its own it would wait forever.
        self.left = None;
        let bell = self.desk().bell();
        let work = caught(async {
            self.desk().does("waits for holds to end");
            for left in left {
                self.world.on_the_way.fetch_sub(1, Relaxed);
                self.end_hold(left).await;
                self.desk().holds(&[]);
            }
        });
        let end = bell.watch(work).await;
        self.send(end);
    }

    fn send(mut self, end: thread::Result<()>) {
        self.desk().does("done");
        let tally = mem::take(&mut self.tally);
        let _ = self.end.send(end.map(|()| tally));
    }

    fn desk(&self) -> &Desk {
        &self.world.desks[self.number]
    }

    /// Tries to acquire something by a random method.
    async fn turn<R: Runtime>(&mut self) {
        let (way, acquired) = self.round::<R>().await;
        self.desk().holds(&[]);
        self.tally.entry(way).or_default()[usize::from(!acquired)] += 1;
        match self.random.below(32) {
            0 | 1 => thread::yield_now(),
            2 | 3 => yield_now().await,
            4 if R::BLOCKS => {
                thread::sleep(Duration::from_micros(self.random.below(100) as u64));
            }
            _ => {}
        }
    }

    /// Returns the method, and whether it has acquired.
    async fn round<R: Runtime>(&mut self) -> (&'static str, bool) {
        let world = self.world.clone();
        let lock = |n: usize| &*world.locks[n];
        let set = |named: &[usize]| named.iter().map(|&n| lock(n)).collect::<LockSet<_>>();
        match self.habits.way(&mut self.random) {
            Way::One => {
                let named = self.seats(1);
                self.alike::<R, _>(lock(named[0]), &named).await
            }
            Way::Set => {
                let named = self.some_seats();
                // One lock is named twice.
                let twice = if self.random.one_in(8) { &named[..1] } else { &[] };
                self.alike::<R, _>(&set(&[&named, twice].concat()), &named).await
            }
            Way::All => ("all", self.all::<R>().await),
            Way::Each => ("each", self.each::<R>().await),
            Way::Transfer => ("transfer", self.transfer::<R>().await),
            Way::Queue => ("queue", self.queue::<R>().await),
            Way::Upgrade => ("upgrade", self.upgrade::<R>().await),
            Way::Monitor => {
                let named = self.seats(1);
                ("monitor", self.monitor::<R, _>(lock(named[0]), &named).await)
            }
            Way::MonitorOfSet => {
                let named = self.some_seats();
                ("monitor of a set", self.monitor::<R, _>(&set(&named), &named).await)
            }
            Way::Name => ("name", self.name::<R>().await),
            Way::Leave => ("left to another", self.leave::<R>().await),
        }
    }

    fn seats(&mut self, count: usize) -> Vec<usize> {
        self.random.seats(count, self.habits.among)
    }

    fn some_seats(&mut self) -> Vec<usize> {
        let count = 2 + self.random.below(3);
        self.seats(count)
    }

    /// Acquires all in the same mode.
    #[expect(
        clippy::manual_async_fn,
        reason = "it promises `Send`, which the compiler cannot see of an `async fn` where `L` has a reference"
    )]
    fn alike<R: Runtime, L: Limited>(
        &mut self,
        lock: L,
        named: &[usize],
    ) -> impl Future<Output = (&'static str, bool)> + Send {
        async move {
            let mode = self.habits.mode(&mut self.random);
            let in_mode = |mode| named.iter().map(|&n| (n, mode)).collect::<Vec<_>>();
            let way = match self.random.below(if R::BLOCKS { 24 } else { 16 }) {
                0 | 1 => "try",
                2 => "wait",
                3 => "acquire_or",
                4..=15 => "acquire",
                16..=19 => "block",
                20 | 21 => "timeout",
                _ => "deadline",
            };
            self.desk().wants(way, &in_mode(mode));
            let limit = Duration::from_micros(self.random.below(500) as u64);
            let guard = match way {
                "try" => lock.try_acquire(mode),
                "wait" => {
                    let woken = self.patient::<R, _>(lock.wait(mode)).await;
                    woken.and_then(|()| lock.try_acquire(mode))
                }
                "acquire_or" => lock.acquire_or(mode, self.random.below(8)).await,
                "acquire" => self.patient::<R, _>(lock.acquire(mode)).await,
                "block" => lock.block(mode, Limit::None),
                "timeout" => lock.block(mode, Limit::Timeout(limit)),
                _ => lock.block(mode, Limit::Deadline(Instant::now() + limit)),
            };
            let Some(mut guard) = guard else { return (way, false) };
            self.visit(&in_mode(mode)).await;
            if self.random.one_in(4) {
                let weaker = mode.min(self.habits.mode(&mut self.random));
                guard.downgrade(weaker);
                self.visit(&in_mode(weaker)).await;
            }
            if self.random.one_in(4) {
                guard = lock.adopt(guard.into_handle()).unwrap();
                self.visit(&in_mode(guard.mode())).await;
            }
            (way, true)
        }
    }

    /// Acquires several locks, each in a mode of its own.
    async fn all<R: Runtime>(&mut self) -> bool {
        let world = self.world.clone();
        let lock = |n: usize| &*world.locks[n];
        let named = self.some_seats();
        let wanted: Vec<_> =
            named.into_iter().map(|n| (n, self.habits.mode(&mut self.random))).collect();
        let mut pairs: Vec<_> = wanted.iter().map(|&(n, mode)| (lock(n), mode)).collect();
        // One lock is named twice, and the stronger mode counts.
        if self.random.one_in(8) {
            let (lock, mode) = pairs[0];
            pairs.push((lock, mode.min(self.habits.mode(&mut self.random))));
        }
        self.desk().wants("acquires all", &wanted);
        let guard = match self.random.below(8) {
            0 => try_acquire_all(pairs),
            #[cfg(feature = "std")]
            1 | 2 if R::BLOCKS => Some(multilock::acquire_all_blocking(pairs)),
            _ => self.patient::<R, _>(acquire_all(pairs)).await,
        };
        let Some(_guard) = guard else { return false };
        self.visit(&wanted).await;
        true
    }

    /// Acquires several locks, each in a mode of its own, and releases them one by one.
    async fn each<R: Runtime>(&mut self) -> bool {
        let world = self.world.clone();
        let named = self.some_seats();
        let wanted: Vec<_> =
            named.into_iter().map(|n| (n, self.habits.mode(&mut self.random))).collect();
        let mut requests: Vec<_> =
            wanted.iter().map(|&(n, mode)| world.locks[n].in_mode(mode)).collect();
        // One lock is shared twice.
        if wanted[0].1 == Shared && self.random.one_in(2) {
            requests.push(requests[0]);
        }
        self.desk().wants("locks each", &wanted);
        let guards = match self.random.below(8) {
            0 => try_lock_all(requests).ok(),
            1 => lock_all_or(requests, countdown(self.random.below(8))).await.ok(),
            #[cfg(feature = "std")]
            2 | 3 if R::BLOCKS => Some(multilock::lock_all_blocking(requests)),
            _ => self.patient::<R, _>(lock_all(requests)).await,
        };
        let Some(mut guards) = guards else { return false };
        self.visit(&wanted).await;
        guards.truncate(1);
        self.visit(&wanted[..1]).await;
        true
    }

    /// Transfers from one account to another, or adds up all accounts.
    async fn transfer<R: Runtime>(&mut self) -> bool {
        let world = self.world.clone();
        let hold = |mode| move |n| (FIRST_ACCOUNT + n, mode);
        if self.random.one_in(4) {
            let all: [Hold; ACCOUNTS] = array::from_fn(hold(Shared));
            self.desk().wants("adds up", &all);
            let readings = world.accounts.each_ref().map(RwLock::reading);
            let guards = self.patient::<R, _>(lock_all(readings)).await;
            let Some(guards) = guards else { return false };
            let total = || guards.iter().map(|guard| **guard).sum::<i64>();
            assert_eq!(total(), 0);
            self.visit(&all).await;
            assert_eq!(total(), 0, "another worker transfers");
            return true;
        }
        let named = self.random.seats(2, ACCOUNTS);
        let both = [named[0], named[1]];
        self.desk().wants("transfers", &both.map(hold(Exclusive)));
        let writings = both.map(|n| world.accounts[n].writing());
        let guards = match self.random.below(8) {
            0 => try_lock_all(writings).ok(),
            1 => lock_all_or(writings, countdown(self.random.below(8))).await.ok(),
            #[cfg(feature = "std")]
            2 | 3 if R::BLOCKS => Some(multilock::lock_all_blocking(writings)),
            _ => self.patient::<R, _>(lock_all(writings)).await,
        };
        let Some([mut from, mut to]) = guards else { return false };
        *from -= 1;
        self.visit(&both.map(hold(Exclusive))).await;
        *to += 1;
        true
    }

    /// Pushes a number when the queue has room, and pops one when there is one.
    async fn queue<R: Runtime>(&mut self) -> bool {
        let (world, hold) = (self.world.clone(), [(QUEUE, Exclusive)]);
        let has_room = |queue: &VecDeque<usize>| queue.len() < ROOM;
        let is_filled = |queue: &VecDeque<usize>| !queue.is_empty();
        self.desk().wants("pushes", &hold);
        let guard = match self.random.below(8) {
            0 => world.queue.write_when_or(has_room, countdown(self.random.below(8))).await.ok(),
            #[cfg(feature = "std")]
            1 | 2 if R::BLOCKS => Some(world.queue.write_when_blocking(has_room)),
            #[cfg(feature = "std")]
            3 if R::BLOCKS => {
                world.queue.write_when_blocking_timeout(has_room, Duration::from_micros(200))
            }
            _ => self.patient::<R, _>(world.queue.write_when(has_room)).await,
        };
        let Some(mut guard) = guard else { return false };
        guard.push_back(self.number);
        assert!(guard.len() <= ROOM);
        world.queued.fetch_add(self.number, Relaxed);
        self.visit(&hold).await;
        drop(guard);
        self.desk().holds(&[]);

        // Each worker that has pushed a number pops one, so the others do not wait forever.
        self.desk().wants("pops", &hold);
        let mut guard = loop {
            let guard = match self.random.below(8) {
                #[cfg(feature = "std")]
                0 if R::BLOCKS => Some(world.queue.write_when_blocking(is_filled)),
                _ => self.patient::<R, _>(world.queue.write_when(is_filled)).await,
            };
            match guard {
                Some(guard) => break guard,
                None => self.desk().does("pops again"),
            }
        };
        let number = guard.pop_front().expect("it is filled");
        world.queued.fetch_sub(number, Relaxed);
        self.visit(&hold).await;
        true
    }

    /// Acquires one lock, and upgrades. No other writer enters in between. Then the guard may be shared.
    async fn upgrade<R: Runtime>(&mut self) -> bool {
        let world = self.world.clone();
        let (n, mode) = (self.seats(1)[0], self.habits.mode(&mut self.random));
        let (lock, data) = (&world.locks[n], &world.data[n]);
        self.desk().wants("acquires, to upgrade", &[(n, mode)]);
        let acquired = self.patient::<R, _>(lock.acquire(mode)).await;
        let Some(mut guard) = acquired else { return false };
        self.visit(&[(n, mode)]).await;
        let before = data.number();
        self.desk().wants("upgrades", &[(n, Exclusive)]);
        match self.random.below(3) {
            0 => drop(guard.try_upgrade()),
            _ => drop(self.patient::<R, _>(guard.upgrade()).await),
        }
        assert_eq!(data.number(), before, "another writer entered before the upgrade was done");
        self.visit(&[(n, guard.mode())]).await;
        if self.random.one_in(3) {
            let weaker = guard.mode().min(self.habits.mode(&mut self.random));
            guard.downgrade(weaker);
        }
        if let Some(more) = guard.share() {
            assert_ne!(guard.mode(), Exclusive, "a second guard beside an exclusive one");
            drop::<Guard<'_>>(guard);
            self.visit(&[(n, more.mode())]).await;
        }
        true
    }

    /// Waits for the edges of a monitor, until a try succeeds after one of them.
    #[expect(clippy::manual_async_fn, reason = "as for `alike`")]
    fn monitor<R: Runtime, L: Lockable>(
        &mut self,
        lock: L,
        named: &[usize],
    ) -> impl Future<Output = bool> + Send {
        async move {
            let (mode, is_stream) = (self.habits.mode(&mut self.random), self.random.one_in(2));
            let wanted: Vec<_> = named.iter().map(|&n| (n, mode)).collect();
            let mut monitor = lock.monitor(mode);
            self.desk().wants(if is_stream { "streams" } else { "monitors" }, &wanted);
            let guard = loop {
                // Cleared before the try: the monitor reports any edge after that.
                if !is_stream {
                    monitor.clear();
                }
                if let Some(guard) = lock.try_acquire(mode) {
                    break guard;
                }
                let woken = if is_stream {
                    self.patient::<R, _>(next(&mut monitor)).await
                } else {
                    self.patient::<R, _>(monitor.wait()).await
                };
                if woken.is_none() {
                    return false;
                }
            };
            self.visit(&wanted).await;
            drop(guard);
            true
        }
    }

    /// Acquires by a name.
    async fn name<R: Runtime>(&mut self) -> bool {
        let world = self.world.clone();
        let (lock, mode) = (&world.named, self.habits.mode(&mut self.random));
        let (mut name, mut context) = (Name::Number(self.random.below(NAMES)), None);
        #[cfg(feature = "std")]
        let limit = Duration::from_micros(200);
        self.desk().wants("acquires by a name", &[(NAMED, mode)]);
        let acquired = match self.random.below(8) {
            0 => lock.try_acquire(mode, name.clone()).is_ok(),
            1 | 2 => {
                let wanted = self.patient::<R, _>(lock.context(mode, name.clone())).await;
                context = wanted.and_then(Result::ok);
                context.is_some()
            }
            3 => match self.patient::<R, _>(lock.acquire_new(mode)).await {
                Some(new) => {
                    name = new;
                    true
                }
                None => false,
            },
            #[cfg(feature = "std")]
            4 if R::BLOCKS => lock.acquire_blocking(mode, name.clone()).is_ok(),
            #[cfg(feature = "std")]
            5 if R::BLOCKS => lock.acquire_blocking_timeout(mode, name.clone(), limit).is_ok(),
            #[cfg(feature = "std")]
            6 if R::BLOCKS => {
                lock.acquire_blocking_deadline(mode, name.clone(), Instant::now() + limit).is_ok()
            }
            _ => {
                let wanted = self.patient::<R, _>(lock.acquire(mode, name.clone())).await;
                wanted.is_some_and(|acquired| acquired.is_ok())
            }
        };
        if !acquired {
            return false;
        }
        let users = world.users(&name);
        let others = users.map_or(0, |users| users.fetch_add(1, Relaxed));
        assert_eq!(others, 0, "{name:?} is used twice");
        self.visit(&[(NAMED, mode)]).await;
        let holders = lock.holders();
        let (mine, others): (Vec<_>, Vec<_>) = holders.iter().partition(|holder| holder.0 == name);
        assert!(mine.iter().map(|holder| holder.1).eq([mode]), "{name:?} is not in {holders:?}");
        assert!(others.iter().all(|holder| !mode.excludes(holder.1)), "{name:?} in {holders:?}");
        users.map(|users| users.fetch_sub(1, Relaxed));
        if context.is_some() {
            assert_eq!(lock.release(&name), None, "{name:?} has a guard");
        } else if self.random.one_in(2) {
            self.leave_behind(Left::Name((NAMED, mode), name));
        } else {
            assert_eq!(lock.release(&name), Some(mode), "{name:?} was released before");
        }
        true
    }

    /// Acquires one lock, and leaves it to another thread to end the acquisition.
    async fn leave<R: Runtime>(&mut self) -> bool {
        let world = self.world.clone();
        let (n, mode) = (self.seats(1)[0], self.habits.mode(&mut self.random));
        let lock = &world.locks[n];
        self.desk().wants("acquires, to leave it to another", &[(n, mode)]);
        let Some(guard) = self.patient::<R, _>(lock.acquire_arc(mode)).await else { return false };
        self.visit(&[(n, mode)]).await;
        let left = if self.random.one_in(2) {
            Left::Guard((n, mode), guard)
        } else {
            Left::Handle((n, mode), guard.into_handle())
        };
        self.leave_behind(left);
        true
    }

    fn leave_behind(&self, left: Left) {
        self.world.on_the_way.fetch_add(1, Relaxed);
        self.left.as_ref().and_then(|janitor| janitor.send(left).ok()).expect("the janitor waits");
    }

    async fn end_hold(&mut self, left: Left) {
        let world = self.world.clone();
        match left {
            Left::Guard((n, mode), mut guard) => {
                self.visit(&[(n, mode)]).await;
                guard.downgrade(mode.min(self.habits.mode(&mut self.random)));
                self.visit(&[(n, guard.mode())]).await;
            }
            Left::Handle((n, mode), handle) => {
                self.visit(&[(n, mode)]).await;
                world.locks[n].release(handle).unwrap();
            }
            Left::Name((n, mode), name) => {
                self.visit(&[(n, mode)]).await;
                assert_eq!(world.named.release(&name), Some(mode), "{name:?} was released before");
            }
        }
    }

    /// The last step of a worker: after it, the worker wakes no missed waiter by chance.
    async fn give_up(&mut self) {
        let world = self.world.clone();
        for _ in 0..3 {
            let (count, mode) = (1 + self.random.below(2), self.habits.mode(&mut self.random));
            let named = self.seats(count);
            let wanted: Vec<_> = named.iter().map(|&n| (n, mode)).collect();
            self.desk().wants("gives up", &wanted);
            let set: LockSet<&MultiLock> = named.iter().map(|&n| &*world.locks[n]).collect();
            match self.random.below(3) {
                0 => drop(within_polls(1 + self.random.below(2), set.acquire(mode)).await),
                _ => drop(until_woken(set.acquire(mode)).await),
            }
            self.desk().holds(&[]);
        }
    }

    /// Waits for `wanted`, or drops it at some point.
    async fn patient<R: Runtime, F>(&mut self, wanted: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send,
    {
        if self.habits.are_patient {
            return Some(wanted.await);
        }
        match self.random.below(32) {
            0..=3 => within_polls(1 + self.random.below(3), wanted).await,
            4..=5 => match until_woken(wanted).await {
                Ok(output) => Some(output),
                Err(woken) => {
                    let count = self.tally.entry("dropped when woken").or_default();
                    count[usize::from(!woken)] += 1;
                    None
                }
            },
            6 => R::at_once(wanted).await,
            7 if self.random.one_in(8) => {
                R::timeout(Duration::from_micros(self.random.below(2000) as u64), wanted).await
            }
            8..=10 => Some(with_other_wakers(self.random.below(4), wanted).await),
            _ => Some(wanted.await),
        }
    }

    /// What a holder does: it checks that the data is consistent and stays unchanged, or changes it all at
    /// once.
    async fn visit(&mut self, holds: &[Hold]) {
        self.desk().holds(holds);
        let world = self.world.clone();
        let seats = || holds.iter().map(|&(n, mode)| (&world.data[n], mode));
        let _present: Vec<_> = seats().map(|(data, mode)| data.enter(mode)).collect();
        for (data, mode) in seats() {
            let pause = self.random.below(32);
            let first = data.number();
            for (n, cell) in data.cells.iter().enumerate() {
                if n == pause {
                    yield_now().await;
                } else if n + 8 == pause {
                    thread::yield_now();
                }
                assert_eq!(cell.load(Relaxed), first, "another holder changes it");
                if mode == Exclusive {
                    cell.store(first + 1, Relaxed);
                }
            }
            data.touch(first, mode);
            data.changes.fetch_add(usize::from(mode == Exclusive), Relaxed);
        }
        if let &[(n, mode)] = holds {
            if mode != Exclusive && self.random.one_in(4) {
                self.desk().does("lets others join it");
                while is_left_out(world.word(n)) {
                    thread::yield_now();
                    yield_now().await;
                }
            }
        }
    }
}

/// A waiter fits beside the holders, and nothing bars it. This may last only for a moment, because such a
/// waiter was notified. If a holder stays until it is over, no later release wakes the waiters that were
/// missed.
fn is_left_out(word: Snapshot) -> bool {
    let waits = match word.mode() {
        Some(Shared) => word.is_awaited(Shared) || word.is_awaited(Upgradable),
        Some(Upgradable) => word.is_awaited(Shared),
        _ => false,
    };
    waits && !word.is_upgrading() && !word.is_awaited(Exclusive)
}

/// The next item of the stream `monitor`.
fn next(monitor: &mut Monitor<'_>) -> impl Future<Output = ()> + Send {
    poll_fn(|cx| Pin::new(&mut *monitor).poll_next(cx).map(|item| item.expect("it has no end")))
}
