//! An executable specification of the lock, which cannot drift from it: a model whose transitions are
//! the functions of the lock.
//!
//! `raw` and `mode` are the files of the lock. They find other atomics and another mutex in [`sync`]:
//! there one access to the word is one step. [`set`]
//! has the files of sets of locks, whose steps are those of the locks in [`lock`]. [`real`] puts a state of the model into a lock, lets one
//! waiter take one step of the lock's code, and reads the state back. [`system`] says which steps there
//! are, and [`invariants`] what holds in each state.

extern crate alloc;

#[path = "../../src/mode.rs"]
pub mod mode;
#[allow(dead_code, unused_imports, rustdoc::broken_intra_doc_links, clippy::all)]
#[path = "../../src/raw/mod.rs"]
pub(crate) mod raw;
#[allow(dead_code)]
pub(crate) mod sync;

pub mod any_number;
pub(crate) mod canonical;
pub mod invariants;
#[allow(dead_code)]
pub(crate) mod lock;
pub(crate) mod real;
#[allow(dead_code, rustdoc::broken_intra_doc_links)]
pub mod set;
pub mod system;
pub mod text;
pub mod world;
