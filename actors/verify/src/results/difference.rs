//! One row that differs.

use bytes::Bytes;
use oms_core::Row;
use serde::{Deserialize, Serialize};

use crate::Side;

/// How the sides differ in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The row is at the source only (without a key: more often at the source).
    SourceOnly,
    /// The row is at the destination only (without a key: more often at the destination).
    DestinationOnly,
    /// The row is on both sides with different values.
    Mismatched,
}

/// Which row differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub enum DifferenceKey {
    /// The row with this key, in the columns of the side.
    Key {
        /// Whose columns the values are of.
        side: Side,
        /// The values of the key's columns, in key order.
        key: Row,
    },
    /// In a table without a key: rows with this digest of all values.
    Digest([u8; 32]),
}

/// A difference that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// How.
    pub kind: DifferenceKind,
    /// Which row.
    pub key: DifferenceKey,
    /// Whether it was proven. `false`: the source row changed in every round, so that the rounds
    /// ended without a proof; verify the differences again when the row is quieter.
    pub settled: bool,
    /// How often the row is at the source: 0 or 1 in tables with a key.
    pub source_count: u64,
    /// How often the row is at the destination.
    pub destination_count: u64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Source(String),
    Destination(String),
    Digest(String),
}

impl From<DifferenceKey> for Stored {
    fn from(key: DifferenceKey) -> Self {
        match key {
            DifferenceKey::Key {
                side: Side::Source,
                key,
            } => Self::Source(hex::encode(key.as_bytes())),
            DifferenceKey::Key {
                side: Side::Destination,
                key,
            } => Self::Destination(hex::encode(key.as_bytes())),
            DifferenceKey::Digest(digest) => Self::Digest(hex::encode(digest)),
        }
    }
}

impl TryFrom<Stored> for DifferenceKey {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        Ok(match stored {
            Stored::Source(text) => Self::Key {
                side: Side::Source,
                key: row(&text)?,
            },
            Stored::Destination(text) => Self::Key {
                side: Side::Destination,
                key: row(&text)?,
            },
            Stored::Digest(text) => {
                let mut digest = [0; 32];
                hex::decode_to_slice(text, &mut digest).map_err(|e| e.to_string())?;
                Self::Digest(digest)
            }
        })
    }
}

fn row(text: &str) -> Result<Row, String> {
    let bytes = hex::decode(text).map_err(|e| e.to_string())?;
    Row::from_bytes(Bytes::from(bytes)).map_err(|e| e.to_string())
}

/// Rows of keys as text.
pub(super) mod key_text {
    use oms_core::Row;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::results) fn serialize<S: Serializer>(row: &Option<Row>, s: S) -> Result<S::Ok, S::Error> {
        match row {
            None => s.serialize_none(),
            Some(row) => s.serialize_some(&hex::encode(row.as_bytes())),
        }
    }

    pub(in crate::results) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Row>, D::Error> {
        match Option::<String>::deserialize(d)? {
            None => Ok(None),
            Some(text) => super::row(&text).map(Some).map_err(D::Error::custom),
        }
    }
}
