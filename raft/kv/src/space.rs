//! Key spaces: numbered, separately ordered sets of keys in one engine.

use std::ops::{Bound, RangeBounds};

/// Number of a key space. The number is stored with every key, so it never changes once released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceId(u8);

impl SpaceId {
    /// Space `number`.
    ///
    /// # Panics
    /// At compile time when used in a constant: 0 and everything from 240 belong to the engines.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        assert!(number > 0 && number < 240, "key space numbers are 1..=239");
        Self(number)
    }

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A kind of record: which space it lives in, and how keys and values are encoded.
pub trait KeySpace {
    /// Where the records live.
    const ID: SpaceId;
    /// Name for error texts.
    const NAME: &'static str;
    /// The key; its encoding orders like the key itself.
    type Key: KeyCodec;
    /// The value.
    type Value;

    /// Bytes of a value.
    fn encode(value: &Self::Value) -> Vec<u8>;
    /// A value from its bytes, or what is wrong with them (without quoting them).
    fn decode(bytes: &[u8]) -> Result<Self::Value, String>;
}

/// A key whose encoded bytes sort exactly as the key does.
pub trait KeyCodec: Sized {
    /// The ordered encoding.
    fn encode(&self) -> Vec<u8>;
    /// The key from its encoding; `None` when the bytes are no such key.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// The only key of a space that holds one record.
impl KeyCodec for () {
    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.is_empty().then_some(())
    }
}

impl KeyCodec for u64 {
    fn encode(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u64::from_be_bytes)
    }
}

impl KeyCodec for (u64, u32) {
    fn encode(&self) -> Vec<u8> {
        let mut out = self.0.to_be_bytes().to_vec();
        out.extend_from_slice(&self.1.to_be_bytes());
        out
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (high, low) = bytes.split_at_checked(8)?;
        Some((
            u64::from_be_bytes(high.try_into().ok()?),
            u32::from_be_bytes(low.try_into().ok()?),
        ))
    }
}

impl KeyCodec for String {
    fn encode(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }
}

/// A range of encoded keys inside one space. An empty or inverted range holds no key; it is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it starts.
    pub start: Bound<Vec<u8>>,
    /// Where it ends.
    pub end: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Every key of the space.
    #[must_use]
    pub fn all() -> Self {
        Self {
            start: Bound::Unbounded,
            end: Bound::Unbounded,
        }
    }

    /// The encoded form of a range of typed keys.
    pub fn of<K: KeyCodec>(range: impl RangeBounds<K>) -> Self {
        Self {
            start: range.start_bound().map(K::encode),
            end: range.end_bound().map(K::encode),
        }
    }

    /// True when no key can be inside, judged by the bounds alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
            | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
            _ => false,
        }
    }

    /// True when `key` is inside.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        let after = match &self.start {
            Bound::Included(start) => key >= start.as_slice(),
            Bound::Excluded(start) => key > start.as_slice(),
            Bound::Unbounded => true,
        };
        let before = match &self.end {
            Bound::Included(end) => key <= end.as_slice(),
            Bound::Excluded(end) => key < end.as_slice(),
            Bound::Unbounded => true,
        };
        after && before
    }

    /// The same range over keys prefixed with the number of `space`.
    pub(crate) fn in_space(&self, space: SpaceId) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let with = |key: &Vec<u8>| prefixed(space, key);
        let start = match &self.start {
            Bound::Included(key) => Bound::Included(with(key)),
            Bound::Excluded(key) => Bound::Excluded(with(key)),
            Bound::Unbounded => Bound::Included(vec![space.number()]),
        };
        let end = match &self.end {
            Bound::Included(key) => Bound::Included(with(key)),
            Bound::Excluded(key) => Bound::Excluded(with(key)),
            Bound::Unbounded => Bound::Excluded(vec![space.number().saturating_add(1)]),
        };
        (start, end)
    }
}

/// The key as every engine stores it: space number, then the key.
pub(crate) fn prefixed(space: SpaceId, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 1);
    out.push(space.number());
    out.extend_from_slice(key);
    out
}
