//! Implementations of the traits of other crates.

#[cfg(feature = "defmt")]
mod defmt;
#[cfg(all(feature = "lock_api", not(any(loom, shuttle, target_family = "wasm"))))]
pub(crate) mod lock_api;
#[cfg(feature = "serde")]
mod serde;
