//! The clock of observers, where none is given.

use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

/// The time since the first call. Where there is no clock, that is zero.
pub(super) fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    // On this target, `Instant::now` panics.
    if cfg!(all(target_family = "wasm", target_os = "unknown")) {
        return Duration::ZERO;
    }
    START.get_or_init(Instant::now).elapsed()
}
