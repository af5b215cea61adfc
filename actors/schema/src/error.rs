//! Why a definition could not be read.

use oms_core::{ErrorCode, Failure, codes};
use thiserror::Error;

/// A definition that the parser refuses. It never guesses and never leaves a construct out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// The text holds something that is not known at this place.
    #[error("not understood: {construct} at offset {offset}")]
    NotUnderstood {
        /// What was found, and where that helps what was expected.
        construct: String,
        /// Bytes from the start of the text.
        offset: usize,
    },
    /// A statement of the log does not fit the schema that was followed, or what it leaves behind
    /// cannot be known from its text.
    #[error("cannot follow the definition of {object}: {reason}")]
    NotFollowed {
        /// The table, database or view.
        object: String,
        /// Why not.
        reason: String,
    },
    /// The text is understood, but it cannot be said with other object names.
    #[error("cannot be renamed: {reason}")]
    NotRenamable {
        /// Why not.
        reason: String,
    },
}

impl SchemaError {
    /// The public code: `OMS-SCHEMA-0004` for all, because the way out is the same.
    pub fn code(&self) -> ErrorCode {
        codes::schema::STATEMENT_NOT_UNDERSTOOD
    }

    /// The failure that names the object.
    pub fn into_failure(self, object: impl std::fmt::Display) -> Failure {
        Failure::new(self.code(), self.to_string()).context(object)
    }
}
