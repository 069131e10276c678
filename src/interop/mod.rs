//! Implementations of the traits of other crates.

#[cfg(all(feature = "lock_api", not(any(loom, shuttle, target_family = "wasm"))))]
pub(crate) mod lock_api;
#[cfg(feature = "serde")]
mod serde;
