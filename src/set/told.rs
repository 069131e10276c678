//! What sets tell the observers of their locks.
//!
//! A lock without an observer is told nothing, and its record is `()`: what is here then costs nothing, in a future, in a
//! guard or at run time.

use core::panic::Location;

use crate::mode::Mode;

/// What happens to an acquisition.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "observed"), allow(dead_code, reason = "there is no observer"))]
pub enum Event {
    /// It waits. The observer is told the first time.
    Waits,
    Acquired,
    /// It was acquired by a call that never waits.
    Tried,
    /// It was downgraded.
    Changed {
        to: Mode,
        site: &'static Location<'static>,
    },
    /// It ends: it is released if it was acquired, and else has waited in vain.
    Ended,
}

/// What the observer of a lock was told of an acquisition. Public only as a part of sealed traits.
pub trait Record: Copy + Send + Sync + 'static {
    /// The records of several locks.
    type All: Send + Sync;

    /// Returns the record of an acquisition that the observer knows nothing of.
    #[doc(hidden)]
    fn new(mode: Mode, site: &'static Location<'static>) -> Self;

    /// Returns the record of an acquisition that the observer is told nothing of.
    #[doc(hidden)]
    fn silent() -> Self;

    #[doc(hidden)]
    fn all(records: impl Iterator<Item = Self>) -> Self::All;

    #[doc(hidden)]
    fn nth(all: &Self::All, n: usize) -> Self;

    #[doc(hidden)]
    fn for_each(all: &mut Self::All, f: impl FnMut(&mut Self));
}

impl Record for () {
    type All = ();

    #[inline]
    fn new(_: Mode, _: &'static Location<'static>) {}

    #[inline]
    fn silent() {}

    #[inline]
    fn all(_: impl Iterator<Item = ()>) {}

    #[inline]
    fn nth((): &(), _: usize) {}

    #[inline]
    fn for_each((): &mut (), _: impl FnMut(&mut ())) {}
}
