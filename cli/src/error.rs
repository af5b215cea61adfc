//! Why a command failed.

use std::io;

use oms_config::ConfigError;
use oms_proto::{error_of, v1::ErrorInfo};
use oms_types::{ErrorCode, codes};
use thiserror::Error;
use tonic::{Code, Status};

use crate::{exit::Exit, object_list::ObjectListError, spec::SpecError, statements::StatementError};

/// Every way in which a command can fail.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// The daemon refused.
    #[error("{}", .0.message)]
    Api(ErrorInfo),
    /// Nobody answers, or nobody who speaks our protocol.
    #[error("no omsnode answers on {server}: {cause}")]
    Unreachable { server: String, cause: String },
    /// The spec file.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A list of objects.
    #[error(transparent)]
    ObjectList(#[from] ObjectListError),
    /// A file of statements.
    #[error("{name}: {error}")]
    Statements { name: String, error: StatementError },
    /// The node's configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The daemon did not start or ended by itself.
    #[cfg(feature = "daemon")]
    #[error("{message}")]
    Daemon { code: ErrorCode, message: String },
    /// A project that is waited for failed.
    #[error("project {name:?} failed: {}", .error.message)]
    ProjectFailed { name: String, error: ErrorInfo },
    /// The arguments do not fit together, or a confirmation is missing.
    #[error("{0}")]
    Usage(String),
    /// The user did not confirm.
    #[error("not confirmed: nothing was changed")]
    Declined,
    /// `--timeout` is over.
    #[error("{0}")]
    TimedOut(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// A file or stream.
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    /// Standard output.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

impl CliError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// The error behind a gRPC status from the daemon at `server`.
    pub(crate) fn from_status(server: &str, status: &Status) -> Self {
        // A status of the daemon has come over the wire and so has no source; one that the transport made has.
        let made_here = std::error::Error::source(status).is_some();
        let lost = matches!(
            status.code(),
            Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled
        );
        if made_here && lost {
            return Self::Unreachable {
                server: server.to_owned(),
                cause: innermost(status),
            };
        }
        Self::Api(error_of(status))
    }

    /// Whether the daemon was lost, so that asking again may help.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Api(info) => info.code == codes::api::UNAVAILABLE.as_str(),
            _ => false,
        }
    }

    /// The public code, if there is one.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Api(info) => Some(info.code.as_str()),
            Self::ProjectFailed { error, .. } => Some(error.code.as_str()),
            Self::Unreachable { .. } => Some(codes::api::UNAVAILABLE.as_str()),
            Self::Spec(_) | Self::ObjectList(_) => Some(codes::api::MALFORMED_SPEC.as_str()),
            Self::Statements { .. } => Some(codes::api::INVALID_ARGUMENT.as_str()),
            Self::Config(error) => Some(error.code().as_str()),
            #[cfg(feature = "daemon")]
            Self::Daemon { code, .. } => Some(code.as_str()),
            Self::Usage(_)
            | Self::Declined
            | Self::TimedOut(_)
            | Self::Interrupted
            | Self::Io { .. }
            | Self::Output(_) => None,
        }
        .filter(|code| !code.is_empty())
    }

    /// What to do about it.
    pub(crate) fn action(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } => Some(
                "Start one with `omsnode start`, or name another with --server HOST:PORT or OMSNODE_SERVER."
                    .to_owned(),
            ),
            _ => self
                .code()
                .and_then(ErrorCode::find)
                .map(|code| code.action().to_owned()),
        }
    }

    /// How the command ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::TimedOut(_) => Exit::TimedOut,
            Self::Interrupted => Exit::Interrupted,
            // Whoever read our output has seen enough of it.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            _ => Exit::Failure,
        }
    }
}

/// The innermost cause of an error: what the operating system or the protocol said.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
