//! The one conversion between public errors and gRPC status.

use oms_types::{Disposition, ErrorCode, codes};
use tonic::{Code, Status, metadata::MetadataValue};

use crate::v1::ErrorInfo;

/// Metadata key that carries the public code.
const CODE_KEY: &str = "oms-code";

/// Wraps a public error for the wire. The code travels in metadata, so that clients need not parse
/// the message.
pub fn status_of(code: ErrorCode, message: impl Into<String>) -> Status {
    let grpc = if code == codes::api::NOT_FOUND {
        Code::NotFound
    } else if code == codes::api::ALREADY_EXISTS {
        Code::AlreadyExists
    } else if code == codes::api::INVALID_ARGUMENT || code == codes::api::MALFORMED_SPEC {
        Code::InvalidArgument
    } else if code == codes::api::CONFLICT {
        Code::Aborted
    } else {
        match code.disposition() {
            Disposition::Retry => Code::Unavailable,
            Disposition::StopAndAsk => Code::FailedPrecondition,
            Disposition::Fenced => Code::Aborted,
            Disposition::Bug => Code::Internal,
        }
    };
    let mut status = Status::new(grpc, message);
    status
        .metadata_mut()
        .insert(CODE_KEY, MetadataValue::from_static(code.as_str()));
    status
}

/// The public error that a status carries; a status without one becomes `OMS-API-0009` when the
/// server could not be reached and `OMS-API-0008` otherwise.
pub fn error_of(status: &Status) -> ErrorInfo {
    let code = status
        .metadata()
        .get(CODE_KEY)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
        .unwrap_or_else(|| {
            let code = match status.code() {
                Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => codes::api::UNAVAILABLE,
                Code::Unimplemented | Code::InvalidArgument => codes::api::INVALID_ARGUMENT,
                _ => codes::api::INTERNAL,
            };
            code.as_str().to_owned()
        });
    ErrorInfo {
        code,
        message: status.message().to_owned(),
        failed_at_ms: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_the_wire() {
        for code in oms_types::catalogue() {
            let info = error_of(&status_of(code, "words"));
            assert_eq!(info.code, code.as_str());
            assert_eq!(info.message, "words");
        }
        assert_eq!(error_of(&Status::unavailable("x")).code, "OMS-API-0009");
    }
}
