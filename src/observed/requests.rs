//! Requests for an observed lock, for [`lock_all`](crate::lock_all).

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use alloc::sync::Arc;

use crate::mode::Mode;
use crate::observed::MultiLock;

pub struct InMode<'a, O> {
    pub(super) lock: &'a MultiLock<O>,
    pub(super) mode: Mode,
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub struct InModeArc<O> {
    pub(super) lock: Arc<MultiLock<O>>,
    pub(super) mode: Mode,
}
