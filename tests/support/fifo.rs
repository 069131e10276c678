//! An executor of one thread: the task that was woken first is polled first, and a task that was not woken is not
//! polled.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// The woken tasks, in the order in which they were woken.
type Woken = Arc<Mutex<VecDeque<usize>>>;

#[derive(Default)]
pub(crate) struct Fifo<'a> {
    tasks: Vec<Task<'a>>,
    woken: Woken,
}

struct Task<'a> {
    /// `None` once the task has ended.
    future: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
    alarm: Arc<Alarm>,
    waker: Waker,
}

struct Alarm {
    task: usize,
    is_woken: AtomicBool,
    since: Mutex<Option<Instant>>,
    woken: Woken,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, SeqCst) {
            *self.since.lock().unwrap() = Some(Instant::now());
            self.woken.lock().unwrap().push_back(self.task);
        }
    }
}

impl<'a> Fifo<'a> {
    /// Adds a task, which is woken for its first poll. Returns its number, counting from 0.
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'a) -> usize {
        let (task, woken) = (self.tasks.len(), self.woken.clone());
        let (is_woken, since) = (AtomicBool::new(false), Mutex::new(None));
        let alarm = Arc::new(Alarm { task, is_woken, since, woken });
        let waker = Waker::from(alarm.clone());
        self.tasks.push(Task { future: Some(Box::pin(future)), alarm, waker });
        self.wake(task);
        task
    }

    pub(crate) fn wake(&self, task: usize) {
        self.tasks[task].waker.wake_by_ref();
    }

    /// Polls one task. Returns whether any task was woken.
    pub(crate) fn turn(&mut self) -> bool {
        let Some(task) = self.woken.lock().unwrap().pop_front() else { return false };
        let Task { future, alarm, waker } = &mut self.tasks[task];
        alarm.is_woken.store(false, SeqCst);
        if let Some(running) = future {
            if running.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
                *future = None;
            }
        }
        true
    }

    /// How long ago the task was woken, if it was not polled since.
    pub(crate) fn is_woken_for(&self, task: usize) -> Option<Duration> {
        let Alarm { is_woken, since, .. } = &*self.tasks[task].alarm;
        let since = is_woken.load(SeqCst).then(|| *since.lock().unwrap())?;
        since.map(|since| since.elapsed())
    }

    pub(crate) fn is_over(&self, task: usize) -> bool {
        self.tasks[task].future.is_none()
    }

    /// The tasks that have not ended.
    pub(crate) fn left(&self) -> Vec<usize> {
        (0..self.tasks.len()).filter(|task| !self.is_over(*task)).collect()
    }
}

/// Lets the other woken tasks run, `number` times.
pub(crate) async fn turns(number: usize) {
    let mut left = number;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
