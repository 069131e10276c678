//! The modes of a lock, and which of them exclude each other.

/// The mode that a [`MultiLock`](crate::MultiLock) is held in.
///
/// | held ↓, wanted → | `Shared` | `Upgradable` | `Exclusive` |
/// |------------------|----------|--------------|-------------|
/// | `Shared`         | enters   | enters       | waits       |
/// | `Upgradable`     | enters   | waits        | waits       |
/// | `Exclusive`      | waits    | waits        | waits       |
///
/// Modes are ordered by strength: `Shared < Upgradable < Exclusive`.
///
/// # Examples
///
/// ```
/// use multilock::{Mode, MultiLock};
///
/// let (lock, writes) = (MultiLock::new(), true);
/// let mode = if writes { Mode::Exclusive } else { Mode::Shared };
/// let guard = lock.try_acquire(mode).unwrap();
/// assert!(guard.mode() > Mode::Shared);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Any number of holders hold the lock at once.
    Shared,
    /// At most one holder holds the lock in this mode, beside any number of shared holders. It can
    /// [upgrade](crate::Guard::upgrade) to exclusive mode with no other exclusive holder in
    /// between.
    Upgradable,
    /// One holder holds the lock, and there is no other holder beside it.
    Exclusive,
}

impl Mode {
    /// All modes, weakest first.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{Mode, MultiLock};
    ///
    /// let lock = MultiLock::new();
    /// assert!(Mode::ALL.into_iter().all(|mode| lock.try_acquire(mode).is_some()));
    /// ```
    pub const ALL: [Self; 3] = [Self::Shared, Self::Upgradable, Self::Exclusive];

    /// Returns whether a holder in mode `self` may do everything that a holder in mode `held` may.
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

    /// Returns whether a holder in mode `self` and a holder in mode `held` exclude each other.
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
