//! The guide: how to choose a lock, what this one guarantees, and how to use it well.
//!
//! These modules contain documentation alone. Each is a page of questions and answers. Its examples
//! are compiled and run with the tests of the crate. They are bodies of async functions, and some use
//! the crates `futures`, `smol`, `tokio` or `event-listener` (5).
//!
//! | page | answers |
//! |---|---|
//! | [`choosing`] | Which lock, and which type of this crate, fits a program? |
//! | [`guarantees`] | What is promised, and with which bounds? |
//! | [`cancellation`] | What happens when a future is dropped, or is not polled? |
//! | [`several_locks`] | How are several locks acquired without a deadlock? |
//! | [`conditions`] | How does a task wait for the data, or for a lock to become available? |
//! | [`hangs`] | The program hangs: why? |
//! | [`who_holds_it`] | Who holds the lock, since when, and who waits? |
//! | [`firmware`] | What does the lock need and cost without an operating system? |
//! | [`migrating_from_async_lock`], [`migrating_from_tokio`], [`migrating_from_parking_lot`] | What is another name, and what behaves differently? |
//! | [`from_python`] | Which name of `asyncio-multilock` is which here? |
//! | [`performance`] | What does the lock cost, and when? |
//! | [`many_readers`] | Readers on many cores are slow: what helps, and at how many writes? |
//! | [`testing`] | How is code that uses the lock tested, and how is the lock itself? |

#![allow(rustdoc::redundant_explicit_links, reason = "the pages spell out what they link to")]

macro_rules! pages {
    ($($name:ident)*) => {$(
        #[doc = include_str!(concat!(stringify!($name), ".md"))]
        pub mod $name {}
    )*};
}

pages! {
    choosing guarantees cancellation several_locks conditions hangs who_holds_it firmware
    migrating_from_async_lock migrating_from_tokio migrating_from_parking_lot from_python many_readers
    testing
}

// Its last heading is that of the chart, which a `div` without empty lines makes a block of HTML.
#[doc = include_str!("performance.md")]
/// <div style="overflow-x: auto">
#[doc = include_str!("../../benches/results/chart.svg")]
/// </div>
pub mod performance {}
