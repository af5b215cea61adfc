use bytes::Bytes;
use oms_core::Position;

use crate::{ChangeLogError, Result};

/// The largest encoded position a record may carry (a GTID set of many thousand servers is far smaller).
pub(crate) const MAX_POSITION: usize = 16 << 20;

/// A position as the log keeps it.
///
/// Decoding a GTID set costs more than reading the record that carries it, and most readers look at one
/// position per batch, so it stays encoded until somebody asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedPosition(Bytes);

impl EncodedPosition {
    /// Encodes a position. Fails with [`ChangeLogError::PositionCodec`] when it is too large to be kept.
    pub fn encode(position: &Position) -> Result<Self> {
        let bytes = serde_json::to_vec(position).map_err(|error| ChangeLogError::PositionCodec {
            reason: error.to_string(),
        })?;
        if bytes.len() > MAX_POSITION {
            return Err(ChangeLogError::PositionCodec {
                reason: format!("{} bytes are too many", bytes.len()),
            });
        }
        Ok(Self(Bytes::from(bytes)))
    }

    /// Decodes the position.
    pub fn decode(&self) -> Result<Position> {
        serde_json::from_slice(&self.0).map_err(|error| ChangeLogError::PositionCodec {
            reason: error.to_string(),
        })
    }

    /// A position as another log or node encoded it; looked at only when it is decoded.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The encoded bytes, for passing the record on as it is.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}
