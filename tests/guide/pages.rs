//! Each module is a page.

#[path = "../../src/guide/mod.rs"]
pub mod guide;

#[doc = include_str!("../../README.md")]
pub mod readme {}
