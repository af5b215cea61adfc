//! Atomic writes.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use crate::engine::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use crate::error::{KvError, KvResult};
use crate::space::{KeyCodec, KeyRange, KeySpace, SpaceId, prefixed};

/// One change inside a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Insert or replace.
    Put {
        /// Where.
        space: SpaceId,
        /// Encoded key.
        key: Vec<u8>,
        /// Value.
        value: Vec<u8>,
    },
    /// Remove; no error when absent.
    Delete {
        /// Where.
        space: SpaceId,
        /// Encoded key.
        key: Vec<u8>,
    },
    /// Remove every key in a range, including keys put earlier in the same batch.
    DeleteRange {
        /// Where.
        space: SpaceId,
        /// Which keys.
        range: KeyRange,
    },
}

/// Changes that take effect together or not at all, also across a crash. Later operations see and
/// override earlier ones of the same batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteBatch {
    operations: Vec<Operation>,
}

impl WriteBatch {
    /// An empty batch. Writing it changes nothing (a durable empty batch still syncs what came before).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Inserts or replaces a record.
    pub fn put<S: KeySpace>(&mut self, key: &S::Key, value: &S::Value) -> &mut Self {
        self.push(Operation::Put {
            space: S::ID,
            key: key.encode(),
            value: S::encode(value),
        })
    }

    /// Removes a record.
    pub fn delete<S: KeySpace>(&mut self, key: &S::Key) -> &mut Self {
        self.push(Operation::Delete {
            space: S::ID,
            key: key.encode(),
        })
    }

    /// Removes every record in a range of keys.
    pub fn delete_range<S: KeySpace>(&mut self, range: impl RangeBounds<S::Key>) -> &mut Self {
        self.push(Operation::DeleteRange {
            space: S::ID,
            range: KeyRange::of(range),
        })
    }

    /// Adds an already encoded operation.
    pub fn push(&mut self, operation: Operation) -> &mut Self {
        self.operations.push(operation);
        self
    }

    /// The operations in order.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Refuses a batch no engine may accept, so that all engines refuse alike.
    pub(crate) fn check(&self) -> KvResult<()> {
        for operation in &self.operations {
            let (space, key, value) = match operation {
                Operation::Put { space, key, value } => (space, key.len(), value.len()),
                Operation::Delete { space, key } => (space, key.len(), 0),
                Operation::DeleteRange { .. } => continue,
            };
            for (what, size, limit) in [("key", key, MAX_KEY_BYTES), ("value", value, MAX_VALUE_BYTES)] {
                if size > limit {
                    return Err(KvError::TooLarge {
                        what,
                        space: space.number(),
                        size,
                        limit,
                    });
                }
            }
        }
        Ok(())
    }

    /// The net effect: for each stored key (with space prefix) its new value, or `None` for removed.
    /// `existing` lists the stored keys inside a range.
    pub(crate) fn net_effect(
        &self,
        mut existing: impl FnMut(SpaceId, &KeyRange) -> KvResult<Vec<Vec<u8>>>,
    ) -> KvResult<BTreeMap<Vec<u8>, Option<&[u8]>>> {
        let mut net = BTreeMap::new();
        for operation in &self.operations {
            match operation {
                Operation::Put { space, key, value } => {
                    net.insert(prefixed(*space, key), Some(value.as_slice()));
                }
                Operation::Delete { space, key } => {
                    net.insert(prefixed(*space, key), None);
                }
                Operation::DeleteRange { space, range } => {
                    if range.is_empty() {
                        continue;
                    }
                    for (_, value) in net.range_mut(range.in_space(*space)) {
                        *value = None;
                    }
                    for key in existing(*space, range)? {
                        net.insert(key, None);
                    }
                }
            }
        }
        Ok(net)
    }
}
