//! How records and totals are stored in sled.
//!
//! A record is `prefix key -> tag, checksum, value`. A value over [`INLINE_BYTES`] is cut into parts
//! under keys of their own: sled keeps up to 17 neighbours in one page, and a page over 128 KiB would
//! go to a separate file that sled creates and removes without syncing.

use std::path::Path;

use super::guarded;
use crate::error::{KvError, KvResult};

/// Key of the data header.
pub(super) const HEADER_KEY: &[u8] = &[0, b'h'];
/// Key of [`StoredState`].
pub(super) const STATE_KEY: &[u8] = &[0, b's'];
/// First byte of the keys of value parts.
const PARTS_SPACE: u8 = 0xfe;
/// Longest value stored in its record, and longest part.
const INLINE_BYTES: usize = 4096;

const TAG_INLINE: u8 = 0;
const TAG_PARTS: u8 = 1;

/// Totals over all records, written with every batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StoredState {
    /// Number of the last batch.
    pub(super) sequence: u64,
    /// How many records there are.
    records: u64,
    /// Sum of the digests of all records; independent of their order.
    digest: u64,
}

impl StoredState {
    pub(super) fn remember(&mut self, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_add(1);
        self.digest = self.digest.wrapping_add(digest(key, value));
    }

    pub(super) fn forget(&mut self, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_sub(1);
        self.digest = self.digest.wrapping_sub(digest(key, value));
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(28);
        for number in [self.sequence, self.records, self.digest] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, crc) = bytes.split_at_checked(24)?;
        if u32::from_be_bytes(crc.try_into().ok()?) != crc32fast::hash(body) {
            return None;
        }
        let number = |at: usize| Some(u64::from_be_bytes(body.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            sequence: number(0)?,
            records: number(8)?,
            digest: number(16)?,
        })
    }
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

fn digest(key: &[u8], value: &[u8]) -> u64 {
    (u64::from(checksum(key, value)) << 32) | u64::from(checksum(value, key))
}

/// Adds the writes that store `value` under `key`; `sequence` and `index` make part keys unique.
pub(super) fn store(writes: &mut sled::Batch, key: &[u8], value: &[u8], sequence: u64, index: usize) {
    let mut out = Vec::with_capacity(value.len().min(INLINE_BYTES) + 24);
    if value.len() <= INLINE_BYTES {
        out.push(TAG_INLINE);
        out.extend_from_slice(&checksum(key, value).to_be_bytes());
        out.extend_from_slice(value);
    } else {
        out.push(TAG_PARTS);
        out.extend_from_slice(&checksum(key, value).to_be_bytes());
        let set = PartSet {
            sequence,
            index: index as u64,
            length: value.len() as u64,
        };
        for number in [set.sequence, set.index, set.length] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for (part, bytes) in value.chunks(INLINE_BYTES).enumerate() {
            writes.insert(set.part_key(part as u64), bytes);
        }
    }
    writes.insert(key, out);
}

struct PartSet {
    sequence: u64,
    index: u64,
    length: u64,
}

impl PartSet {
    fn part_key(&self, part: u64) -> Vec<u8> {
        let mut key = vec![PARTS_SPACE];
        for number in [self.sequence, self.index, part] {
            key.extend_from_slice(&number.to_be_bytes());
        }
        key
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 24] = bytes.try_into().ok()?;
        let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            sequence: number(0)?,
            index: number(8)?,
            length: number(16)?,
        })
    }
}

/// The value of a stored record, and the keys of its parts.
pub(super) fn load(
    db: &sled::Db,
    path: &Path,
    key: &[u8],
    stored: &[u8],
) -> KvResult<(Vec<u8>, Vec<Vec<u8>>)> {
    let damaged = |detail: &str| {
        let space = key.first().copied().unwrap_or_default();
        KvError::Damaged {
            path: path.to_path_buf(),
            detail: format!("a record in key space {space} {detail}"),
        }
    };
    let (head, body) = stored
        .split_at_checked(5)
        .ok_or_else(|| damaged("is too short"))?;
    let (value, parts) = match head.first().copied() {
        Some(TAG_INLINE) => (body.to_vec(), Vec::new()),
        Some(TAG_PARTS) => {
            let set = PartSet::from_bytes(body).ok_or_else(|| damaged("does not decode"))?;
            if set.length > crate::engine::MAX_VALUE_BYTES as u64 {
                return Err(damaged("claims an impossible length"));
            }
            let mut value = Vec::new();
            let mut parts = Vec::new();
            while (value.len() as u64) < set.length {
                let part_key = set.part_key(parts.len() as u64);
                let part = guarded(path, "read", || db.get(&part_key))?
                    .filter(|part| !part.is_empty())
                    .ok_or_else(|| damaged("lacks a part"))?;
                value.extend_from_slice(&part);
                parts.push(part_key);
            }
            (value, parts)
        }
        _ => return Err(damaged("has an unknown tag")),
    };
    if head.get(1..) != Some(checksum(key, &value).to_be_bytes().as_slice()) {
        return Err(damaged("does not match its checksum"));
    }
    Ok((value, parts))
}

/// Reads everything once and compares it with the totals.
pub(super) fn verify(db: &sled::Db, path: &Path) -> KvResult<StoredState> {
    let damaged = |detail: String| KvError::Damaged {
        path: path.to_path_buf(),
        detail,
    };
    let stored = guarded(path, "read the totals", || db.get(STATE_KEY))?
        .as_deref()
        .and_then(StoredState::from_bytes)
        .ok_or_else(|| damaged("the totals are missing or do not decode".to_owned()))?;
    let mut found = StoredState {
        sequence: stored.sequence,
        ..StoredState::default()
    };
    let (mut parts, mut expected_parts) = (0usize, 0usize);
    let mut records = db.iter();
    while let Some((key, value)) = guarded(path, "read the records", || records.next().transpose())? {
        match key.first().copied() {
            Some(0) if *key == *HEADER_KEY || *key == *STATE_KEY => {}
            Some(PARTS_SPACE) => parts += 1,
            Some(1..240) => {
                let (value, own_parts) = load(db, path, &key, &value)?;
                expected_parts += own_parts.len();
                found.remember(&key, &value);
            }
            _ => return Err(damaged("there is a key of an unknown space".to_owned())),
        }
    }
    if found != stored {
        return Err(damaged(format!(
            "{} records were written, {} are there{}",
            stored.records,
            found.records,
            if found.records == stored.records {
                ", with different content"
            } else {
                ""
            }
        )));
    }
    if parts != expected_parts {
        return Err(damaged(format!(
            "{expected_parts} parts of large values were written, {parts} are there"
        )));
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_do_not_depend_on_order_and_return_to_zero() {
        let mut one = StoredState::default();
        one.remember(b"a", b"1");
        one.remember(b"b", b"2");
        let mut two = StoredState::default();
        two.remember(b"b", b"2");
        two.remember(b"a", b"1");
        assert_eq!(one, two);
        assert_eq!(StoredState::from_bytes(&one.to_bytes()), Some(one));
        one.forget(b"a", b"1");
        assert_ne!(one, two);
        one.forget(b"b", b"2");
        assert_eq!(one, StoredState::default());
    }

    #[test]
    fn swapping_the_values_of_two_keys_changes_the_digest() {
        let (mut one, mut two) = (StoredState::default(), StoredState::default());
        one.remember(b"a", b"1");
        one.remember(b"b", b"2");
        two.remember(b"a", b"2");
        two.remember(b"b", b"1");
        assert_ne!(one, two);
    }
}
