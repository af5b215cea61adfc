//! One column value, borrowed from its row.

use crate::{CivilDate, CivilDateTime, Duration};

/// A value of a row, canonical: equal contents have equal values however they were read.
///
/// `PartialEq` compares floats by their bits, so that `NaN` equals itself and `0.0` differs from `-0.0`.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// The log did not carry this column (partial row image). Never in a snapshot row.
    Absent,
    /// A signed integer of any width.
    Int(i64),
    /// An unsigned integer of any width.
    UInt(u64),
    /// A single-precision number.
    Float(f32),
    /// A double-precision number.
    Double(f64),
    /// An exact number as the server prints it: `-` if negative, at least one digit before the
    /// point, exactly as many digits behind it as the column's scale, no exponent.
    Decimal(&'a str),
    /// A bit field, its bits in the low end.
    Bit(u64),
    /// A year; 0 is `0000`.
    Year(u16),
    /// A date.
    Date(CivilDate),
    /// A date and time without a zone.
    DateTime(CivilDateTime),
    /// An instant, in microseconds since 1970-01-01T00:00:00Z. 0 is the zero timestamp
    /// `0000-00-00 00:00:00`, because the type does not hold the epoch itself.
    Timestamp(i64),
    /// A signed span of time.
    Time(Duration),
    /// Characters, as bytes of the *column's* character set. CHAR carries no trailing spaces.
    Text(&'a [u8]),
    /// Bytes. BINARY(n) carries all n of them, with trailing zeros.
    Bytes(&'a [u8]),
    /// A JSON document, in the source's own text form, UTF-8.
    Json(&'a str),
    /// Number of an ENUM member; 0 is the invalid empty value.
    Enum(u16),
    /// Bit map of SET members.
    Set(u64),
    /// A geometry: 4-byte little-endian SRID, then WKB.
    Geometry(&'a [u8]),
}

/// The kind of a value, for messages that must not hold the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ValueKind {
    /// See [`Value::Null`].
    Null = 0,
    /// See [`Value::Absent`].
    Absent = 1,
    /// See [`Value::Int`].
    Int = 2,
    /// See [`Value::UInt`].
    UInt = 3,
    /// See [`Value::Float`].
    Float = 4,
    /// See [`Value::Double`].
    Double = 5,
    /// See [`Value::Decimal`].
    Decimal = 6,
    /// See [`Value::Date`].
    Date = 7,
    /// See [`Value::DateTime`].
    DateTime = 8,
    /// See [`Value::Timestamp`].
    Timestamp = 9,
    /// See [`Value::Time`].
    Time = 10,
    /// See [`Value::Year`].
    Year = 11,
    /// See [`Value::Text`].
    Text = 12,
    /// See [`Value::Bytes`].
    Bytes = 13,
    /// See [`Value::Json`].
    Json = 14,
    /// See [`Value::Enum`].
    Enum = 15,
    /// See [`Value::Set`].
    Set = 16,
    /// See [`Value::Bit`].
    Bit = 17,
    /// See [`Value::Geometry`].
    Geometry = 18,
}

impl ValueKind {
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        use ValueKind::*;
        const KINDS: [ValueKind; 19] = [
            Null, Absent, Int, UInt, Float, Double, Decimal, Date, DateTime, Timestamp, Time, Year, Text,
            Bytes, Json, Enum, Set, Bit, Geometry,
        ];
        KINDS.get(usize::from(tag)).copied()
    }
}

impl Value<'_> {
    /// The value's kind.
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::Null => ValueKind::Null,
            Self::Absent => ValueKind::Absent,
            Self::Int(_) => ValueKind::Int,
            Self::UInt(_) => ValueKind::UInt,
            Self::Float(_) => ValueKind::Float,
            Self::Double(_) => ValueKind::Double,
            Self::Decimal(_) => ValueKind::Decimal,
            Self::Bit(_) => ValueKind::Bit,
            Self::Year(_) => ValueKind::Year,
            Self::Date(_) => ValueKind::Date,
            Self::DateTime(_) => ValueKind::DateTime,
            Self::Timestamp(_) => ValueKind::Timestamp,
            Self::Time(_) => ValueKind::Time,
            Self::Text(_) => ValueKind::Text,
            Self::Bytes(_) => ValueKind::Bytes,
            Self::Json(_) => ValueKind::Json,
            Self::Enum(_) => ValueKind::Enum,
            Self::Set(_) => ValueKind::Set,
            Self::Geometry(_) => ValueKind::Geometry,
        }
    }

    /// Whether it is SQL NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether the log did not carry it.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) | (Self::Absent, Self::Absent) => true,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::UInt(a), Self::UInt(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Double(a), Self::Double(b)) => a.to_bits() == b.to_bits(),
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::Bit(a), Self::Bit(b)) => a == b,
            (Self::Year(a), Self::Year(b)) => a == b,
            (Self::Date(a), Self::Date(b)) => a == b,
            (Self::DateTime(a), Self::DateTime(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Json(a), Self::Json(b)) => a == b,
            (Self::Enum(a), Self::Enum(b)) => a == b,
            (Self::Set(a), Self::Set(b)) => a == b,
            (Self::Geometry(a), Self::Geometry(b)) => a == b,
            _ => false,
        }
    }
}
impl Eq for Value<'_> {}
