//! Several locks as one: [`LockSet`](crate::LockSet) in one mode for all, [`acquire_all`](crate::acquire_all) in a
//! mode for each, and [`lock_all`](crate::lock_all) with a mode and a guard for each.

pub(crate) mod acquire_all;
mod address_order;
pub(crate) mod all_or_nothing;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
pub(crate) mod blocking;
pub(crate) mod lock_all;
#[cfg(feature = "alloc")]
pub(crate) mod lock_set;
pub(crate) mod lockable;
pub(crate) mod reservations;
pub(crate) mod retry;
pub(crate) mod told;
