//! How a lock can be held, and which ways go together.

/// A way to hold a [`MultiLock`](crate::MultiLock).
///
/// | held ↓, wanted → | `Shared` | `Upgradable` | `Exclusive` |
/// |------------------|----------|--------------|-------------|
/// | `Shared`         | together | together     | waits       |
/// | `Upgradable`     | together | waits        | waits       |
/// | `Exclusive`      | waits    | waits        | waits       |
///
/// The order is the order of strength: `Shared < Upgradable < Exclusive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Held by any number of holders at once.
    Shared,
    /// Held by at most one holder, beside any number of shared ones. It can
    /// [upgrade](crate::Guard::upgrade) to exclusive with nobody else in between.
    Upgradable,
    /// Held by one holder and nobody beside it.
    Exclusive,
}

impl Mode {
    /// All modes, weakest first.
    pub const ALL: [Self; 3] = [Self::Shared, Self::Upgradable, Self::Exclusive];

    /// Whether `self` allows everything that `held` allows.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    ///
    /// assert!(Mode::Exclusive.includes(Mode::Shared));
    /// assert!(Mode::Shared.includes(Mode::Shared));
    /// assert!(!Mode::Shared.includes(Mode::Upgradable));
    /// ```
    #[must_use]
    pub const fn includes(self, held: Self) -> bool {
        self as u8 >= held as u8
    }

    /// Whether a holder in mode `self` and one in mode `held` cannot be at the same time.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::Mode;
    ///
    /// assert!(Mode::Exclusive.excludes(Mode::Shared));
    /// assert!(Mode::Upgradable.excludes(Mode::Upgradable));
    /// assert!(!Mode::Upgradable.excludes(Mode::Shared));
    /// ```
    #[must_use]
    pub const fn excludes(self, held: Self) -> bool {
        match (self, held) {
            (Self::Exclusive, _) | (_, Self::Exclusive) => true,
            (Self::Upgradable, Self::Upgradable) => true,
            (Self::Shared, _) | (_, Self::Shared) => false,
        }
    }
}
