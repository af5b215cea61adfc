//! Where a Kafka cluster is and how it is reached.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a Kafka cluster is, how it is reached, and how omsnode's own topic there is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaSettings {
    /// `host:port` of some brokers, separated by commas.
    pub bootstrap: String,
    /// Encryption; `None`: none.
    pub tls: Option<Tls>,
    /// Who we are; `None`: nobody asks.
    pub sasl: Option<Sasl>,
    /// Copies of the topics that hold positions; `None`: as the brokers are set.
    pub position_replication: Option<u32>,
    /// After how many milliseconds a transaction that nobody ends is ended by the brokers.
    pub transaction_timeout_ms: u32,
}

/// Encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Certificates of the authorities to trust, as PEM; `None`: the system's.
    pub ca_pem: Option<String>,
    /// Whether the broker's name need not be in its certificate.
    pub any_host: bool,
    /// Whether anybody's certificate will do: encryption only.
    pub unchecked: bool,
}

/// Who we are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sasl {
    /// How the password is shown.
    pub mechanism: Mechanism,
    /// The account.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Sasl {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sasl({:?}, {})", self.mechanism, self.user)
    }
}

/// How the password is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// As it is.
    #[serde(rename = "PLAIN")]
    Plain,
    /// By a challenge. Needs the feature `tls`, whose library computes it.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// By a challenge. Needs the feature `tls`, whose library computes it.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl KafkaSettings {
    /// Brokers that ask nothing.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            tls: None,
            sasl: None,
            position_replication: None,
            transaction_timeout_ms: 60_000,
        }
    }
}
