//! The engine interface.

use std::ops::RangeBounds;

use crate::batch::WriteBatch;
use crate::error::{KvError, KvResult};
use crate::header::DataHeader;
use crate::space::{KeyCodec, KeyRange, KeySpace, SpaceId};

/// Longest key any engine accepts, in bytes.
pub const MAX_KEY_BYTES: usize = 512;
/// Longest value any engine accepts, in bytes.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

/// What a write promises when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The batch, and every batch written before it, survives loss of power.
    Durable,
    /// The batch is visible to readers; a crash of the machine may lose it, but only together with
    /// every batch written after it. A crash of the process alone may lose it too.
    Buffered,
}

/// Direction of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

/// Where a scan stops early. At least one record is returned whenever the range holds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimit {
    /// Most records to return.
    pub records: usize,
    /// Stop once keys and values together reach this many bytes.
    pub bytes: usize,
}

impl ScanLimit {
    /// No limit: only for ranges known to be small.
    pub const NONE: Self = Self {
        records: usize::MAX,
        bytes: usize::MAX,
    };

    /// At most this many records.
    #[must_use]
    pub const fn records(records: usize) -> Self {
        Self {
            records,
            bytes: usize::MAX,
        }
    }
}

/// An encoded key (without its space) and its value.
pub type Record = (Vec<u8>, Vec<u8>);

/// An ordered key-value store with atomic batches.
///
/// # Contract
/// - **Atomic.** A batch takes effect entirely or not at all, for readers and across crashes.
/// - **Ordered.** Batches take effect in the order their `write` calls took effect for readers; what
///   survives a crash is always a prefix of that order. There is never a hole.
/// - **Durable.** After `write(_, Durable)` or `sync` returned `Ok`, the state at that moment survives
///   loss of power. Concurrent durable writers may share one disk sync.
/// - **Visible before durable.** A reader may see a batch whose durable write has not returned yet.
/// - **Consistent scans.** One `scan` sees one state: no batch is half visible in its result.
/// - **Fail-stop.** Once a write or sync failed, every later write and sync fails with
///   [`KvError::Stopped`]; only opening the engine again tells what is stored.
/// - **Blocking.** Calls may block on the disk. Call from a thread that may block. A call runs to its
///   end; there is nothing to cancel.
///
/// Repeating a batch is harmless as far as its operations are (puts and deletes are idempotent).
pub trait KvEngine: Send + Sync + 'static {
    /// The value under a key, if there is one.
    fn get(&self, space: SpaceId, key: &[u8]) -> KvResult<Option<Vec<u8>>>;

    /// Records in a range, in the order asked for, until the limit.
    fn scan(&self, space: SpaceId, range: &KeyRange, order: Order, limit: ScanLimit)
    -> KvResult<Vec<Record>>;

    /// Applies a batch. An error other than [`KvError::TooLarge`] leaves it unknown whether the batch
    /// took effect.
    fn write(&self, batch: &WriteBatch, durability: Durability) -> KvResult<()>;

    /// Makes everything written so far durable.
    fn sync(&self) -> KvResult<()>;

    /// What the store says about itself.
    fn header(&self) -> DataHeader;
}

/// Typed reads over any engine.
pub trait TypedKv {
    /// The record under `key`.
    fn read<S: KeySpace>(&self, key: &S::Key) -> KvResult<Option<S::Value>>;
    /// The records in a range, smallest key first, until the limit.
    fn read_range<S: KeySpace>(
        &self,
        range: impl RangeBounds<S::Key>,
        limit: ScanLimit,
    ) -> KvResult<Vec<(S::Key, S::Value)>>;
    /// The record with the smallest key.
    fn first<S: KeySpace>(&self) -> KvResult<Option<(S::Key, S::Value)>>;
    /// The record with the largest key.
    fn last<S: KeySpace>(&self) -> KvResult<Option<(S::Key, S::Value)>>;
}

impl<E: KvEngine + ?Sized> TypedKv for E {
    fn read<S: KeySpace>(&self, key: &S::Key) -> KvResult<Option<S::Value>> {
        self.get(S::ID, &key.encode())?
            .map(|value| decode_value::<S>(&value))
            .transpose()
    }

    fn read_range<S: KeySpace>(
        &self,
        range: impl RangeBounds<S::Key>,
        limit: ScanLimit,
    ) -> KvResult<Vec<(S::Key, S::Value)>> {
        let records = self.scan(S::ID, &KeyRange::of(range), Order::Ascending, limit)?;
        records.iter().map(decode_record::<S>).collect()
    }

    fn first<S: KeySpace>(&self) -> KvResult<Option<(S::Key, S::Value)>> {
        edge::<S, E>(self, Order::Ascending)
    }

    fn last<S: KeySpace>(&self) -> KvResult<Option<(S::Key, S::Value)>> {
        edge::<S, E>(self, Order::Descending)
    }
}

fn edge<S: KeySpace, E: KvEngine + ?Sized>(engine: &E, order: Order) -> KvResult<Option<(S::Key, S::Value)>> {
    let records = engine.scan(S::ID, &KeyRange::all(), order, ScanLimit::records(1))?;
    records.first().map(decode_record::<S>).transpose()
}

fn decode_record<S: KeySpace>(record: &Record) -> KvResult<(S::Key, S::Value)> {
    let key = S::Key::decode(&record.0).ok_or_else(|| KvError::Undecodable {
        space: S::NAME,
        detail: "the key is malformed".to_owned(),
    })?;
    Ok((key, decode_value::<S>(&record.1)?))
}

fn decode_value<S: KeySpace>(bytes: &[u8]) -> KvResult<S::Value> {
    S::decode(bytes).map_err(|detail| KvError::Undecodable {
        space: S::NAME,
        detail,
    })
}
