//! The suites of the locks without an observer, on observed locks. Only the names are others: code for the former compiles
//! for the latter, and does the same.

#![cfg(feature = "observed")]
#![cfg(all(feature = "std", not(any(loom, shuttle, target_family = "wasm"))))]
#![allow(unused_imports, dead_code, reason = "what the suites leave")]

// In the suites, `multilock` is the module below.
extern crate multilock as real;
extern crate self as multilock;

#[path = "support/checked.rs"]
mod checked;

real::observed::locks!(pub crate::checked::Checked);

#[path = "rwlock.rs"]
mod data;
