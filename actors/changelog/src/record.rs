use std::fmt;
use std::ops::BitOr;

use bytes::Bytes;
use oms_core::Position;

use crate::{EncodedPosition, LogSeq};

/// The largest payload of one record. The largest packet a MySQL-family server sends is 1 GiB.
pub const MAX_PAYLOAD: usize = 1 << 30;

/// Where a record stands in its transaction.
///
/// The log refuses an order that makes no sense: data records lie between `TXN_FIRST` and `TXN_LAST`
/// (one record may be both), transactions do not nest, and heartbeats stand between transactions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RecordFlags(u16);

impl RecordFlags {
    /// Inside a transaction, neither first nor last.
    pub const NONE: Self = Self(0);
    /// Opens a transaction.
    pub const TXN_FIRST: Self = Self(1);
    /// Ends a transaction; carries the position.
    pub const TXN_LAST: Self = Self(2);
    /// Everything since the last `TXN_FIRST` is void; the source sends it again. No payload, no position.
    pub const TXN_ABORT: Self = Self(4);
    /// The position advanced without data. No payload.
    pub const HEARTBEAT: Self = Self(8);

    const KNOWN: u16 = 15;

    /// True when all of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits as they are stored.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// The flags for stored bits; `None` for a bit this version does not know.
    pub fn from_bits(bits: u16) -> Option<Self> {
        (bits & !Self::KNOWN == 0).then_some(Self(bits))
    }
}

impl BitOr for RecordFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for RecordFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::TXN_FIRST, "FIRST"),
            (Self::TXN_LAST, "LAST"),
            (Self::TXN_ABORT, "ABORT"),
            (Self::HEARTBEAT, "HEARTBEAT"),
        ];
        f.debug_set()
            .entries(
                names
                    .iter()
                    .filter(|(flag, _)| self.contains(*flag))
                    .map(|(_, name)| name),
            )
            .finish()
    }
}

/// A record to be appended. Made by the constructors, which cannot combine flags wrongly.
#[derive(Clone)]
pub struct NewRecord {
    pub(crate) flags: RecordFlags,
    pub(crate) source_time_us: i64,
    pub(crate) position: Option<Position>,
    pub(crate) payload: Bytes,
}

impl NewRecord {
    /// The first record of a transaction that has more.
    pub fn first(source_time_us: i64, payload: Bytes) -> Self {
        Self {
            flags: RecordFlags::TXN_FIRST,
            source_time_us,
            position: None,
            payload,
        }
    }

    /// A record inside a transaction.
    pub fn middle(source_time_us: i64, payload: Bytes) -> Self {
        Self {
            flags: RecordFlags::NONE,
            source_time_us,
            position: None,
            payload,
        }
    }

    /// The last record of a transaction. A source that is asked to resume from `position` sends what follows.
    pub fn last(source_time_us: i64, position: Position, payload: Bytes) -> Self {
        Self {
            flags: RecordFlags::TXN_LAST,
            source_time_us,
            position: Some(position),
            payload,
        }
    }

    /// A transaction of one record.
    pub fn single(source_time_us: i64, position: Position, payload: Bytes) -> Self {
        let flags = RecordFlags::TXN_FIRST | RecordFlags::TXN_LAST;
        Self {
            flags,
            source_time_us,
            position: Some(position),
            payload,
        }
    }

    /// Voids the open transaction: the source was lost in the middle of it and sends it again.
    pub fn abort(source_time_us: i64) -> Self {
        Self {
            flags: RecordFlags::TXN_ABORT,
            source_time_us,
            position: None,
            payload: Bytes::new(),
        }
    }

    /// The position advanced without data.
    pub fn heartbeat(source_time_us: i64, position: Position) -> Self {
        Self {
            flags: RecordFlags::HEARTBEAT,
            source_time_us,
            position: Some(position),
            payload: Bytes::new(),
        }
    }
}

/// The payload holds row values: it is never shown.
impl fmt::Debug for NewRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRecord")
            .field("flags", &self.flags)
            .field("source_time_us", &self.source_time_us)
            .field("position", &self.position)
            .field("payload_len", &self.payload.len())
            .finish()
    }
}

/// A durable record as a reader gets it.
///
/// The payload shares the buffer it was read into (up to the read-ahead size). Who keeps single records
/// for long copies the payload, or keeps the whole buffer alive.
#[derive(Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// The record's number.
    pub seq: LogSeq,
    /// Its place in the transaction.
    pub flags: RecordFlags,
    /// The source's time of the change, microseconds since the Unix epoch.
    pub source_time_us: i64,
    /// Where to resume *after* this record; present on `TXN_LAST` and `HEARTBEAT` records only.
    pub position: Option<EncodedPosition>,
    /// The bytes as the source sent them.
    pub payload: Bytes,
}

impl LogRecord {
    /// What the record counts against a byte budget.
    pub fn size(&self) -> usize {
        self.payload.len()
            + self
                .position
                .as_ref()
                .map_or(0, |position| position.as_bytes().len())
            + crate::segment::FRAME_HEAD
    }
}

/// The payload holds row values: it is never shown.
impl fmt::Debug for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogRecord")
            .field("seq", &self.seq)
            .field("flags", &self.flags)
            .field("source_time_us", &self.source_time_us)
            .field("position", &self.position)
            .field("payload_len", &self.payload.len())
            .finish()
    }
}
