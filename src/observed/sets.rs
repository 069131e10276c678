//! Observed locks in generic code, and in sets.

use futures_core::FusedFuture;

use crate::error::ReleaseError;
use crate::lock::MultiLock as Plain;
use crate::lock::handle::Handle;
use crate::lock::monitor::Monitor;
use crate::mode::Mode;
use crate::observed::told::{Event, Told};
use crate::observed::{Guard, MultiLock, Observer};
use crate::set::lockable::{LockGuard, Lockable, lock_guard, lockable, sealed};

impl<O: Observer> sealed::Locks for MultiLock<O> {
    fn count(&self) -> usize {
        1
    }

    fn nth(&self, _: usize) -> &Plain {
        &self.lock
    }

    type Record = Told<O::Record>;

    fn tell(&self, _: usize, told: &mut Self::Record, event: Event) {
        told.tell(self, event);
    }
}

lockable!([O: Observer] MultiLock<O>, Guard<'a, O>, Told<O::Record>, |lock| lock);
lock_guard!([O: Observer] Guard<'_, O>, Told<O::Record>);
