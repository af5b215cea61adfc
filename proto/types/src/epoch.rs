//! Fencing numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of an assignment of a component to a node.
///
/// Every assignment and reassignment raises it by compare-and-set in the metadata, so of two
/// owners the one with the smaller epoch is the former one. Zero is never assigned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch that follows this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a claim within one epoch.
///
/// An owner that reconnects to a destination claims again; sessions of its earlier claim that the
/// server has not noticed to be dead yet carry the smaller number and can no longer commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimNumber(pub u64);

impl fmt::Display for ClaimNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
