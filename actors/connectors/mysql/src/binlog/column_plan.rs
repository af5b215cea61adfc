//! How a column's bytes in row events are to be read: its definition checked against its storage
//! type.

use oms_core::{Column, ColumnType};

use super::{
    error::EventError,
    table_map::{StorageType, storage},
};

/// How to read a value of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnPlan {
    Signed {
        bytes: u8,
    },
    Unsigned {
        bytes: u8,
    },
    Decimal {
        precision: u8,
        scale: u8,
    },
    Float,
    Double,
    Bit {
        bytes: u8,
    },
    Year,
    Date,
    Time {
        fraction: u8,
    },
    OldTime,
    /// MariaDB's format with fractions before it took over MySQL's.
    MariaDbTime {
        fraction: u8,
    },
    DateTime {
        fraction: u8,
    },
    OldDateTime,
    MariaDbDateTime {
        fraction: u8,
    },
    Timestamp {
        fraction: u8,
    },
    OldTimestamp,
    MariaDbTimestamp {
        fraction: u8,
    },
    /// Characters behind a length of 1 to 4 bytes.
    Text {
        prefix: u8,
    },
    Bytes {
        prefix: u8,
    },
    /// BINARY(n): the log leaves out trailing zeros.
    Padded {
        prefix: u8,
        length: u16,
    },
    /// MariaDB's compressed columns.
    CompressedText {
        prefix: u8,
    },
    CompressedBytes {
        prefix: u8,
    },
    Json,
    Geometry {
        prefix: u8,
    },
    Enum {
        bytes: u8,
        members: u16,
    },
    Set {
        bytes: u8,
    },
    Uuid,
    Inet4,
    Inet6,
}

impl ColumnPlan {
    /// Plans a column, if definition and storage type fit.
    pub(crate) fn new(column: &Column, stored: StorageType) -> Result<Self, EventError> {
        Self::fit(&column.ty, stored).ok_or_else(|| {
            EventError::definition(format!(
                "column `{}` was read as {}, but the log stores it as type {} with {:#06x}",
                column.name,
                kind_name(&column.ty),
                stored.number,
                stored.metadata
            ))
        })
    }

    fn fit(ty: &ColumnType, stored: StorageType) -> Option<Self> {
        let meta = stored.metadata;
        let [low, high] = meta.to_le_bytes();
        let number = stored.number;
        Some(match ty {
            ColumnType::Integer { bytes, unsigned } => {
                let wanted = match bytes {
                    1 => storage::TINY,
                    2 => storage::SHORT,
                    3 => storage::INT24,
                    4 => storage::LONG,
                    8 => storage::LONGLONG,
                    _ => return None,
                };
                if number != wanted {
                    return None;
                }
                match unsigned {
                    true => Self::Unsigned { bytes: *bytes },
                    false => Self::Signed { bytes: *bytes },
                }
            }
            ColumnType::Decimal { precision, scale, .. }
                if number == storage::NEWDECIMAL && (low, high) == (*precision, *scale) =>
            {
                let sane = (1..=65).contains(precision) && scale <= precision && *scale <= 38;
                return sane.then_some(Self::Decimal {
                    precision: *precision,
                    scale: *scale,
                });
            }
            ColumnType::Float if number == storage::FLOAT && low == 4 => Self::Float,
            // FLOAT(25) and above is DOUBLE.
            ColumnType::Double if number == storage::DOUBLE && low == 8 => Self::Double,
            ColumnType::Bit { bits } if number == storage::BIT => {
                if u32::from(high) * 8 + u32::from(low) != u32::from(*bits) || !(1..=64).contains(bits) {
                    return None;
                }
                Self::Bit {
                    bytes: bits.div_ceil(8),
                }
            }
            ColumnType::Year if number == storage::YEAR => Self::Year,
            ColumnType::Date if matches!(number, storage::DATE | storage::NEWDATE) => Self::Date,
            ColumnType::Time { fraction } => match number {
                storage::TIME2 if low == *fraction && low <= 6 => Self::Time { fraction: low },
                storage::TIME if *fraction == 0 => Self::OldTime,
                storage::TIME if *fraction <= 6 => Self::MariaDbTime { fraction: *fraction },
                _ => return None,
            },
            ColumnType::DateTime { fraction } => match number {
                storage::DATETIME2 if low == *fraction && low <= 6 => Self::DateTime { fraction: low },
                storage::DATETIME if *fraction == 0 => Self::OldDateTime,
                storage::DATETIME if *fraction <= 6 => Self::MariaDbDateTime { fraction: *fraction },
                _ => return None,
            },
            ColumnType::Timestamp { fraction } => match number {
                storage::TIMESTAMP2 if low == *fraction && low <= 6 => Self::Timestamp { fraction: low },
                storage::TIMESTAMP if *fraction == 0 => Self::OldTimestamp,
                storage::TIMESTAMP if *fraction <= 6 => Self::MariaDbTimestamp { fraction: *fraction },
                _ => return None,
            },
            ColumnType::Char { length, charset, .. } => {
                let bytes = fixed_length(low, high, storage::STRING, number)?;
                fits(*length, charset, bytes)?;
                Self::Text {
                    prefix: prefix(bytes),
                }
            }
            ColumnType::VarChar { length, charset, .. } => match number {
                storage::VARCHAR | storage::VAR_STRING => {
                    fits(*length, charset, u32::from(meta))?;
                    Self::Text {
                        prefix: prefix(u32::from(meta)),
                    }
                }
                storage::VARCHAR_COMPRESSED => Self::CompressedText {
                    prefix: prefix(u32::from(meta)),
                },
                _ => return None,
            },
            ColumnType::Text { tier, .. } if low == *tier && (1..=4).contains(&low) => match number {
                storage::BLOB => Self::Text { prefix: low },
                storage::BLOB_COMPRESSED => Self::CompressedText { prefix: low },
                _ => return None,
            },
            ColumnType::Blob { tier } if low == *tier && (1..=4).contains(&low) => match number {
                storage::BLOB => Self::Bytes { prefix: low },
                storage::BLOB_COMPRESSED => Self::CompressedBytes { prefix: low },
                _ => return None,
            },
            ColumnType::Binary { length } => {
                let bytes = fixed_length(low, high, storage::STRING, number)?;
                if bytes != *length {
                    return None;
                }
                Self::Padded {
                    prefix: prefix(bytes),
                    length: u16::try_from(bytes).ok()?,
                }
            }
            ColumnType::VarBinary { length } => match number {
                storage::VARCHAR | storage::VAR_STRING if u32::from(meta) == *length => Self::Bytes {
                    prefix: prefix(u32::from(meta)),
                },
                storage::VARCHAR_COMPRESSED => Self::CompressedBytes {
                    prefix: prefix(u32::from(meta)),
                },
                _ => return None,
            },
            ColumnType::Enum { members, .. } => {
                let bytes = pack_length(low, high, storage::ENUM, number)?;
                let members = u16::try_from(members.len()).ok()?;
                if bytes != if members > 255 { 2 } else { 1 } {
                    return None;
                }
                Self::Enum { bytes, members }
            }
            ColumnType::Set { members, .. } => {
                let bytes = pack_length(low, high, storage::SET, number)?;
                let wanted = match members.len() {
                    0..=8 => 1,
                    9..=16 => 2,
                    17..=24 => 3,
                    25..=32 => 4,
                    33..=64 => 8,
                    _ => return None,
                };
                if bytes != wanted {
                    return None;
                }
                Self::Set { bytes }
            }
            ColumnType::Json if number == storage::JSON && low == 4 => Self::Json,
            ColumnType::Geometry { .. } if number == storage::GEOMETRY && (1..=4).contains(&low) => {
                Self::Geometry { prefix: low }
            }
            ColumnType::Uuid if fixed_length(low, high, storage::STRING, number)? == 16 => Self::Uuid,
            ColumnType::Inet6 if fixed_length(low, high, storage::STRING, number)? == 16 => Self::Inet6,
            ColumnType::Inet4 if fixed_length(low, high, storage::STRING, number)? == 4 => Self::Inet4,
            _ => return None,
        })
    }
}

fn prefix(bytes: u32) -> u8 {
    if bytes > 255 { 2 } else { 1 }
}

/// Length in bytes of a fixed-length column. Its two upper bits are mixed into the type's number.
fn fixed_length(real: u8, length: u8, wanted: u8, number: u8) -> Option<u32> {
    if number != storage::STRING || real | 0x30 != wanted {
        return None;
    }
    Some(u32::from(length) | u32::from((real & 0x30) ^ 0x30) << 4)
}

/// Bytes of an ENUM or SET.
fn pack_length(real: u8, length: u8, wanted: u8, number: u8) -> Option<u8> {
    ((number == storage::STRING || number == wanted) && real == wanted).then_some(length)
}

/// Whether `bytes` hold `length` characters, as far as the character set is known.
fn fits(length: u32, charset: &str, bytes: u32) -> Option<()> {
    match max_bytes(charset) {
        Some(n) if length.checked_mul(n)? != bytes => None,
        _ => Some(()),
    }
}

/// Bytes of the longest character.
fn max_bytes(charset: &str) -> Option<u32> {
    Some(match charset {
        "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => 4,
        "utf8" | "utf8mb3" | "eucjpms" | "ujis" => 3,
        "gbk" | "big5" | "sjis" | "cp932" | "euckr" | "gb2312" | "ucs2" => 2,
        "latin1" | "latin2" | "latin5" | "latin7" | "ascii" | "binary" | "cp1250" | "cp1251" | "cp1256"
        | "cp1257" | "cp850" | "cp852" | "cp866" | "koi8r" | "koi8u" | "greek" | "hebrew" | "hp8"
        | "tis620" | "swe7" | "dec8" | "keybcs2" | "macce" | "macroman" | "armscii8" | "geostd8" => 1,
        _ => return None,
    })
}

fn kind_name(ty: &ColumnType) -> String {
    match ty {
        ColumnType::Enum { members, .. } => format!("ENUM of {} members", members.len()),
        ColumnType::Set { members, .. } => format!("SET of {} members", members.len()),
        other => format!("{other:?}"),
    }
}
