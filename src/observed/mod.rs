//! Locks that tell an observer who acquires them: where, in which mode, and for how long.

#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
#[macro_use]
mod guard;
mod lock;
mod observer;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod owned;
pub mod requests;
mod told;
mod wait;

pub use guard::Guard;
pub use lock::MultiLock;
pub use observer::{Acquisition, LockInfo, NewObserver, Observer};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr", feature = "event-listener"))]
pub use owned::SubscriptionArc;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use owned::{GuardArc, MonitorArc};
pub use told::Told;
