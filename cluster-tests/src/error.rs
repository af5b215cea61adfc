//! What can go wrong in the testbed.

use std::path::PathBuf;

/// Why a server, a client or a load of the testbed failed. Tests show it as it is, so every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// The server's program is not on this machine.
    #[error("{kind} is not installed ({path} is missing): run deploy/servers {argument}")]
    NotInstalled {
        /// The server's name.
        kind: &'static str,
        /// Where it was looked for.
        path: String,
        /// The name by which `deploy/servers` knows it.
        argument: &'static str,
    },
    /// A program could not be run, or ended with an error.
    #[error("{what}: {detail}")]
    Program {
        /// What was being done.
        what: String,
        /// The error, with the end of the program's own output.
        detail: String,
    },
    /// The server did not answer, or did not end, in the time it was given.
    #[error("{what} did not happen within {seconds} s; end of its log:\n{log}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// The bound.
        seconds: u64,
        /// The end of the server's log.
        log: String,
    },
    /// A call that needs a running server came when it was down.
    #[error("the server is not running")]
    NotRunning,
    /// No port of the testbed's range is free.
    #[error("no free port between {0} and {1}")]
    NoPort(u16, u16),
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A statement failed.
    #[error("{statement}: {source}")]
    Query {
        /// The statement, shortened.
        statement: String,
        /// The client's error.
        source: mysql_async::Error,
    },
    /// A table or a value that the content checksum cannot judge.
    #[error("content checksum of {object}: {detail}")]
    Checksum {
        /// Table, or table and column.
        object: String,
        /// Why.
        detail: String,
    },
}

/// Result of the testbed.
pub type Result<T, E = TestbedError> = std::result::Result<T, E>;

impl TestbedError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    pub(crate) fn program(what: impl Into<String>, detail: impl ToString) -> Self {
        Self::Program {
            what: what.into(),
            detail: detail.to_string(),
        }
    }

    /// The server's error number when a statement was refused by it.
    pub fn server_code(&self) -> Option<u16> {
        match self {
            Self::Query {
                source: mysql_async::Error::Server(error),
                ..
            } => Some(error.code),
            _ => None,
        }
    }
}
