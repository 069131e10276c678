//! Implementations of the traits of other crates.

#[cfg(feature = "defmt")]
mod defmt;
#[cfg(all(feature = "lock_api", not(target_family = "wasm"), not(any(loom, shuttle))))]
pub(crate) mod lock_api;
#[cfg(feature = "serde")]
mod serde;
