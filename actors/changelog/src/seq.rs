use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a record in one change log: dense, starting at 1, in the order of the source.
///
/// A number is final once the record is durable. Records that were never acknowledged may be lost, and
/// their numbers are then given to other records: keep a *position*, not a number, as a lasting mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogSeq(pub u64);

impl LogSeq {
    /// The number of the first record of every log.
    pub const FIRST: Self = Self(1);
    /// Before the first record: what an empty log reports as its last number.
    pub const NONE: Self = Self(0);

    /// The following number.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for LogSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
