//! Why a run halts.

use std::sync::{Mutex, PoisonError};

use oms_core::Failure;

/// The first failure of any lane.
///
/// It is kept before the gate closes: lanes that leave because the gate is closed may be noticed
/// before the lane that failed has reported, and must not hide the reason.
#[derive(Debug, Default)]
pub(super) struct Reason(Mutex<Option<Failure>>);

impl Reason {
    /// Keeps the failure, unless there is one already.
    pub(super) fn keep(&self, failure: Failure) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failure);
    }

    /// Takes the failure out.
    pub(super) fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
