//! States of an object.

use serde::{Deserialize, Serialize};

/// Where an object is in the schema step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectState {
    /// Its definition is not read yet.
    Initializing,
    /// Its definition is read and not converted yet.
    Obtained,
    /// Its statement is known.
    Ready,
    /// Its statement is being executed.
    Creating,
    /// It is at the destination as it is at the source.
    Completed,
    /// It is at the destination with changes.
    CompletedWithConversion,
    /// The user takes care of it.
    Skipped,
    /// The user took it out of the project.
    Removed,
    /// The destination refused it.
    Failed,
    /// Its definition could not be read.
    FailedToObtain,
    /// The destination has nothing like it.
    NotSupported,
}

/// What a user may do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectOperation {
    /// Show definition and statement.
    View,
    /// Try again.
    Retry,
    /// Leave it to the user: it is taken to be at the destination.
    Skip,
    /// Take it out of the project.
    Remove,
    /// Replace its statement.
    Edit,
}

impl ObjectState {
    /// What may be done in this state. `edited` says whether the user replaced the statement, which
    /// is what makes trying again worthwhile for an object that is not supported.
    pub fn operations(self, edited: bool) -> Vec<ObjectOperation> {
        use ObjectOperation::*;
        match self {
            Self::Initializing => Vec::new(),
            Self::Obtained | Self::Ready | Self::Creating | Self::Removed => vec![View],
            Self::Completed | Self::CompletedWithConversion | Self::Skipped => vec![View, Remove],
            Self::Failed | Self::FailedToObtain => vec![View, Retry, Skip, Remove, Edit],
            Self::NotSupported if edited => vec![View, Retry, Skip, Remove, Edit],
            Self::NotSupported => vec![View, Skip, Remove, Edit],
        }
    }

    /// Whether nothing more is to be done for it: the schema step can end.
    pub fn is_settled(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::CompletedWithConversion | Self::Skipped | Self::Removed
        )
    }

    /// Whether the user has to decide something.
    pub fn needs_decision(self) -> bool {
        matches!(self, Self::Failed | Self::FailedToObtain | Self::NotSupported)
    }
}
