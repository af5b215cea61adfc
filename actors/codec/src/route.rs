//! Keys and partitions.

use oms_core::Row;
use serde::{Deserialize, Serialize};

use crate::{
    Change, CodecError, TablePlan,
    format::Images,
    value::{Form, sheet},
};

/// The key of heartbeats.
pub const HEARTBEAT_KEY: &str = "__heartbeat";

/// How changes are spread over a topic's partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mode")]
pub enum PartitionRule {
    /// By the values of the sharding columns: those chosen, else the key's. Order holds for each value.
    Hash,
    /// By the table's name: order holds for each table.
    Table,
    /// All to one partition: order holds for everything.
    One {
        /// The partition, from 0.
        partition: u32,
    },
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To this partition.
    One(u32),
    /// To every partition of the topic.
    Every,
}

/// Makes the keys of messages and chooses their partitions.
#[derive(Clone, Copy, Debug)]
pub struct Router {
    rule: PartitionRule,
    split_key_change: bool,
}

impl Router {
    /// A router by a rule. With `split_key_change`, an update of sharding columns becomes a delete and an insert.
    pub fn new(rule: PartitionRule, split_key_change: bool) -> Self {
        Self {
            rule,
            split_key_change,
        }
    }

    /// The delete and the insert that are sent instead of an update that changes sharding columns, if that is wanted.
    pub fn split<'a>(&self, change: &Change<'a>) -> Option<[Change<'a>; 2]> {
        let Change::Update { table, before, after } = *change else {
            return None;
        };
        let moved = table.sharding.iter().any(|i| before.cell(*i) != after.cell(*i));
        (self.split_key_change && moved)
            .then_some([Change::Delete { table, before }, Change::Insert { table, after }])
    }

    /// Appends the key of a change's message to `key` and chooses among so many partitions (at least one).
    ///
    /// Updates and deletes go by the row before the change, so that all changes of one key value stay in order.
    ///
    /// # Errors
    /// A key column that the log does not carry or whose value its type does not have. `key` is then as it was.
    pub fn route(
        &self,
        change: &Change<'_>,
        partitions: u32,
        key: &mut Vec<u8>,
    ) -> Result<Target, CodecError> {
        let start = key.len();
        let partitions = partitions.max(1);
        let done = self.key(change, key);
        if let Err(error) = done {
            key.truncate(start);
            return Err(error);
        }
        let by = |bytes: &[u8]| Target::One((murmur2(bytes) & 0x7fff_ffff) % partitions);
        let written = key.get(start..).unwrap_or_default();
        Ok(match (self.rule, change) {
            (PartitionRule::One { partition }, _) => Target::One(partition),
            (_, Change::Heartbeat) | (PartitionRule::Hash, Change::Ddl(_)) => Target::Every,
            (PartitionRule::Table, Change::Ddl(ddl)) if ddl.table.is_none() => Target::Every,
            _ => by(written),
        })
    }

    fn key(&self, change: &Change<'_>, key: &mut Vec<u8>) -> Result<(), CodecError> {
        let Some(images) = Images::of(change) else {
            match change {
                Change::Ddl(ddl) => {
                    key.extend_from_slice(ddl.database.as_bytes());
                    if let Some(table) = ddl.table {
                        key.push(b'.');
                        key.extend_from_slice(table.as_bytes());
                    }
                }
                _ => key.extend_from_slice(HEARTBEAT_KEY.as_bytes()),
            }
            return Ok(());
        };
        let table = images.table;
        // Rows without a key have no order among themselves that a partition could keep, but the table's.
        if self.rule == PartitionRule::Table || table.sharding.is_empty() {
            let name = table.name();
            key.extend_from_slice(name.database.as_bytes());
            key.push(b'.');
            key.extend_from_slice(name.table.as_bytes());
            return Ok(());
        }
        match images.before.or(images.after) {
            Some(row) => values(table, row, key),
            None => Ok(()),
        }
    }
}

/// The sharding values of a row as text, joined by U+0001.
fn values(table: &TablePlan, row: &Row, key: &mut Vec<u8>) -> Result<(), CodecError> {
    for (i, &index) in table.sharding.iter().enumerate() {
        let Some(column) = table.columns.get(index) else {
            continue;
        };
        if i > 0 {
            key.push(1);
        }
        let value = row.get(index);
        if value.is_absent() {
            return Err(CodecError::KeyAbsent {
                table: table.name().clone(),
                column: column.column.name.clone(),
            });
        }
        // A bit field reads the same in full and incremental messages, or its row would change partitions.
        sheet(table, column, value, Form::Text { full: false }, key)?;
    }
    Ok(())
}

/// Kafka's hash of keys: what the Java producer takes for a key's bytes.
///
/// Source: `org.apache.kafka.common.utils.Utils.murmur2`, with its test values.
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c ^ data.len() as u32;
    let (fours, tail) = data.as_chunks::<4>();
    for four in fours {
        let mut k = u32::from_le_bytes(*four).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_kafkas() {
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }
}
