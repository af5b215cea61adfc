//! Why an event could not be used.

use std::borrow::Cow;

use oms_core::{ErrorCode, Failure, codes};
use thiserror::Error;

use super::bytes_reader::Short;

/// What is wrong with an event: a public code and the cause. The place in the log is put in front
/// by whoever knows it.
#[derive(Debug, Error)]
#[error("{detail}")]
pub(crate) struct EventError {
    code: ErrorCode,
    detail: Cow<'static, str>,
}

impl EventError {
    /// The bytes break the format.
    #[cold]
    pub(crate) fn corrupt(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::of(codes::src::CORRUPT_EVENT, detail)
    }

    /// The bytes may be right, but their meaning is not known.
    #[cold]
    pub(crate) fn unknown(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::of(codes::src::UNKNOWN_EVENT, detail)
    }

    /// The event does not fit the definition of its table.
    #[cold]
    pub(crate) fn definition(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::of(codes::schema::DEFINITION_DIFFERS, detail)
    }

    /// An error with any code.
    #[cold]
    pub(crate) fn of(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }

    /// Says where it happened.
    #[cold]
    pub(crate) fn at(self, place: impl std::fmt::Display) -> Failure {
        Failure::new(self.code, self.detail).context(place)
    }

    /// Puts words in front.
    #[cold]
    pub(crate) fn context(mut self, words: impl std::fmt::Display) -> Self {
        self.detail = format!("{words}: {}", self.detail).into();
        self
    }
}

impl From<Short> for EventError {
    fn from(_: Short) -> Self {
        Self::corrupt("the event ends too early")
    }
}
