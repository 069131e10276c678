//! The future of an upgrade.

use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::mode::Mode;
use crate::raw::RawLock;
use crate::raw::list::WaiterKind;
use crate::raw::listener::Listener;
use crate::raw::queue::ListId;
use crate::raw::state::{AfterRelease, Transition, UpgradeStep};

/// The future of an upgrade of a hold in mode `from`, shared or upgradable.
///
/// Its output says whether the hold is exclusive then. The upgrade is refused at the first poll, or
/// never. A future that is dropped before it is ready leaves the hold as it was.
pub(crate) struct RawUpgrade<'a> {
    lock: &'a RawLock,
    from: Mode,
    /// `Some` as long as the upgrade waits.
    listener: Option<Listener<'a>>,
}

impl<'a> RawUpgrade<'a> {
    pub(crate) fn new(lock: &'a RawLock, from: Mode) -> Self {
        Self { lock, from, listener: None }
    }

    fn listener(self: Pin<&mut Self>) -> Option<Pin<&mut Listener<'a>>> {
        // SAFETY: the listener, which alone is pinned with the upgrade, is not moved: it is made
        // where it is, and it is in no list when it is freed.
        unsafe {
            self.get_unchecked_mut().listener.as_mut().map(|listener| Pin::new_unchecked(listener))
        }
    }

    /// Removes the listener from the queue. Returns the waker that it had.
    fn leave(mut self: Pin<&mut Self>) -> Option<Waker> {
        let waker = self.as_mut().listener()?.with(|listener| listener.leave(listener.state()));
        // SAFETY: the listener is in no list: it may as well have been moved.
        unsafe { self.get_unchecked_mut() }.listener = None;
        waker
    }
}

impl Future for RawUpgrade<'_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let (lock, from) = (self.lock, self.from);
        if self.listener.is_none() {
            // An upgrade that is done or refused at once allocates nothing.
            match lock.state.try_upgrade(from) {
                Ok(()) => return Poll::Ready(true),
                Err(word) if word.refuses_upgrade(from) => return Poll::Ready(false),
                Err(_) => {}
            }
            // An allocation may fail with a panic. The word does not say yet that the holder
            // upgrades.
            let listener = Listener::new(lock.queue());
            match lock.state.start_upgrade(from) {
                UpgradeStep::Done => return Poll::Ready(true),
                UpgradeStep::Refused => return Poll::Ready(false),
                UpgradeStep::Waiting => {}
            }
            // SAFETY: nothing is moved.
            unsafe { self.as_mut().get_unchecked_mut() }.listener = Some(listener);
        }
        while let Some(listener) = self.as_mut().listener() {
            // The listener is queued first, and the word is checked after that. So the release of
            // the last shared holder is either seen here, or notifies the listener.
            let notified = listener.poll(ListId::Upgrade, WaiterKind::Task, cx);
            if lock.state.finish_upgrade() == UpgradeStep::Done {
                break;
            }
            if notified.is_pending() {
                return Poll::Pending;
            }
        }
        // A waker that is dropped may panic. Until that is over, unwinding restores the mode that
        // the guard has.
        let undone = DowngradeOnDrop { lock, from };
        drop(self.leave());
        mem::forget(undone);
        Poll::Ready(true)
    }
}

impl Drop for RawUpgrade<'_> {
    /// Cancels the upgrade if it still waits.
    ///
    /// The listener is dropped after this. That is early enough: the next upgrade also waits for
    /// this hold.
    fn drop(&mut self) {
        if self.listener.is_some() {
            if let AfterRelease::WakeWaiters(word) = self.lock.state.cancel_upgrade(self.from) {
                self.lock.wake(Transition::cancel_upgrade(word, self.from));
            }
        }
    }
}

/// A finished upgrade, which is undone when this is dropped.
struct DowngradeOnDrop<'a> {
    lock: &'a RawLock,
    from: Mode,
}

impl Drop for DowngradeOnDrop<'_> {
    fn drop(&mut self) {
        self.lock.downgrade(Mode::Exclusive, self.from);
    }
}
