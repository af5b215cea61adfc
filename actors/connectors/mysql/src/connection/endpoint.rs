//! Where a server is and how to log in.

use std::fmt;

/// A server's address and account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User, for OceanBase with tenant and cluster (`root@tenant#cluster`).
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Whether and how the connection is encrypted.
    pub tls: TlsMode,
    /// PEM certificates that sign the server's, for [`TlsMode::Verify`]; empty: the built-in roots.
    pub tls_ca_pem: String,
}

/// Whether and how a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    #[default]
    Disable,
    /// If the server offers it; its certificate is not checked.
    Prefer,
    /// Always; the certificate is not checked.
    Require,
    /// Always; certificate and host name are checked.
    Verify,
}

/// Which end of a project a connection is for: decides the area of its error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Reads.
    Source,
    /// Writes.
    Destination,
}

/// A text that must not be shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
