//! Types and values while a condition is evaluated.

use std::{borrow::Cow, cmp::Ordering};

use oms_core::{CivilDate, CivilDateTime};

/// What kind of values an expression has. Every one may also be NULL, except truths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ty {
    /// Only NULL.
    Null,
    /// True or false.
    Truth,
    /// An integer from -2^63 to 2^64-1.
    Integer,
    /// An exact number.
    Decimal,
    /// Characters.
    Text,
    /// Bytes.
    Bytes,
    /// A date.
    Date,
    /// A date and time without a zone.
    DateTime,
    /// A span of time.
    Time,
    /// A moment: TIMESTAMP.
    Instant,
    /// Values that can only be tested for NULL.
    Opaque,
}

impl Ty {
    /// The kind in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Truth => "a condition",
            Self::Integer => "an integer",
            Self::Decimal => "a decimal number",
            Self::Text => "a text",
            Self::Bytes => "bytes",
            Self::Date => "a date",
            Self::DateTime => "a DATETIME",
            Self::Time => "a TIME",
            Self::Instant => "a TIMESTAMP",
            Self::Opaque => "a value that can only be tested for NULL",
        }
    }
}

/// A value, borrowed from the row or the condition where possible.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val<'v> {
    Null,
    Truth(bool),
    Integer(i128),
    Decimal(Cow<'v, str>),
    Text(Cow<'v, str>),
    Bytes(Cow<'v, [u8]>),
    Date(CivilDate),
    DateTime(CivilDateTime),
    Time(i64),
    Instant(i64),
    /// Something that is there and cannot be looked at.
    Opaque,
}

impl Val<'_> {
    /// The same value, borrowed.
    pub(super) fn borrowed(&self) -> Val<'_> {
        match self {
            Val::Decimal(v) => Val::Decimal(Cow::Borrowed(v)),
            Val::Text(v) => Val::Text(Cow::Borrowed(v)),
            Val::Bytes(v) => Val::Bytes(Cow::Borrowed(v)),
            Val::Null => Val::Null,
            Val::Truth(v) => Val::Truth(*v),
            Val::Integer(v) => Val::Integer(*v),
            Val::Date(v) => Val::Date(*v),
            Val::DateTime(v) => Val::DateTime(*v),
            Val::Time(v) => Val::Time(*v),
            Val::Instant(v) => Val::Instant(*v),
            Val::Opaque => Val::Opaque,
        }
    }

    /// The order of two values of one kind. `None`: one is NULL (or they are of two kinds, which the check excludes).
    pub(super) fn order(&self, other: &Val<'_>) -> Option<Ordering> {
        Some(match (self, other) {
            (Val::Truth(a), Val::Truth(b)) => a.cmp(b),
            (Val::Integer(a), Val::Integer(b)) => a.cmp(b),
            (Val::Decimal(a), Val::Decimal(b)) => super::decimal::compare(a, b),
            // Trailing spaces do not count; the order of UTF-8 bytes is that of code points.
            (Val::Text(a), Val::Text(b)) => a.trim_end_matches(' ').cmp(b.trim_end_matches(' ')),
            (Val::Bytes(a), Val::Bytes(b)) => a.cmp(b),
            (Val::Date(a), Val::Date(b)) => a.cmp(b),
            (Val::DateTime(a), Val::DateTime(b)) => a.cmp(b),
            (Val::Time(a), Val::Time(b)) | (Val::Instant(a), Val::Instant(b)) => a.cmp(b),
            _ => return None,
        })
    }

    /// Whether it is true: NULL is not, numbers are if they are not zero.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Val::Truth(truth) => *truth,
            Val::Integer(n) => *n != 0,
            _ => false,
        }
    }
}
