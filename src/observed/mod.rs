//! Locks that tell an observer who acquires them: where, in which mode, and for how long.

mod observer;

pub use observer::{Acquisition, LockInfo, NewObserver, Observer};
