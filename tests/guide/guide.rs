//! The examples of the guide and of the README. The crate itself does not test them: it would need all their runtimes.

// There is nothing to build for a chip.
#![no_std]
#![doc(test(attr(deny(unused), allow(dead_code))))]

#[cfg(all(doctest, feature = "default"))]
mod pages;
