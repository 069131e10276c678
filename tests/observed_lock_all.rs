//! The suite `lock_all` on observed locks. Only the names are others: code for locks without an observer compiles for observed
//! ones, and does the same.

#![cfg(feature = "observed")]
#![cfg(all(feature = "std", not(any(loom, shuttle, target_family = "wasm"))))]
#![allow(unused_imports, dead_code, reason = "what the suite leaves")]

// In the suite, `multilock` is the module below.
extern crate multilock as real;
extern crate self as multilock;

#[path = "support/checked.rs"]
mod checked;

real::observed::locks!(pub crate::checked::Checked);

#[path = "lock_all.rs"]
mod suite;
