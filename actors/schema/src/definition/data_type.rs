//! Column types with everything that was written with them.

use std::fmt;

use oms_core::ColumnType;
use serde::{Deserialize, Serialize};

use crate::syntax;

/// A width of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegerKind {
    /// 1 byte.
    TinyInt,
    /// 2 bytes.
    SmallInt,
    /// 3 bytes.
    MediumInt,
    /// 4 bytes.
    Int,
    /// 8 bytes.
    BigInt,
}

impl IntegerKind {
    fn word(self) -> &'static str {
        match self {
            Self::TinyInt => "tinyint",
            Self::SmallInt => "smallint",
            Self::MediumInt => "mediumint",
            Self::Int => "int",
            Self::BigInt => "bigint",
        }
    }

    fn bytes(self) -> u8 {
        match self {
            Self::TinyInt => 1,
            Self::SmallInt => 2,
            Self::MediumInt => 3,
            Self::Int => 4,
            Self::BigInt => 8,
        }
    }
}

/// The type of a column as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// TINYINT to BIGINT.
    Integer {
        /// Its width.
        kind: IntegerKind,
        /// Display width.
        width: Option<u32>,
        /// UNSIGNED.
        unsigned: bool,
        /// ZEROFILL.
        zerofill: bool,
    },
    /// DECIMAL(p,s).
    Decimal {
        /// Total digits.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
        /// UNSIGNED.
        unsigned: bool,
        /// ZEROFILL.
        zerofill: bool,
    },
    /// FLOAT or DOUBLE.
    Real {
        /// Whether it is DOUBLE.
        double: bool,
        /// `(digits, digits behind the point)`.
        digits: Option<(u32, u32)>,
        /// UNSIGNED.
        unsigned: bool,
        /// ZEROFILL.
        zerofill: bool,
    },
    /// BIT(n).
    Bit(u8),
    /// YEAR.
    Year,
    /// DATE.
    Date,
    /// TIME(f).
    Time(u8),
    /// DATETIME(f).
    DateTime(u8),
    /// TIMESTAMP(f).
    Timestamp(u8),
    /// CHAR(n).
    Char(u32),
    /// VARCHAR(n).
    VarChar(u32),
    /// TINYTEXT to LONGTEXT: bytes of the length prefix.
    Text(u8),
    /// BINARY(n).
    Binary(u32),
    /// VARBINARY(n).
    VarBinary(u32),
    /// TINYBLOB to LONGBLOB: bytes of the length prefix.
    Blob(u8),
    /// ENUM.
    Enum(Vec<String>),
    /// SET.
    Set(Vec<String>),
    /// JSON as a type of its own.
    Json,
    /// GEOMETRY and its subtypes, by name; GEOMETRYCOLLECTION also where the server says GEOMCOLLECTION.
    Geometry(String),
    /// VECTOR(n).
    Vector(u32),
    /// UUID.
    Uuid,
    /// INET4.
    Inet4,
    /// INET6.
    Inet6,
}

const TIERS: [&str; 4] = ["tiny", "", "medium", "long"];

fn tier(n: u8) -> &'static str {
    TIERS
        .get(usize::from(n).saturating_sub(1))
        .copied()
        .unwrap_or("long")
}

impl DataType {
    /// Whether values are characters (ENUM and SET included).
    pub fn is_character(&self) -> bool {
        matches!(
            self,
            Self::Char(_) | Self::VarChar(_) | Self::Text(_) | Self::Enum(_) | Self::Set(_)
        )
    }

    /// Whether it is stored outside of the row and refuses literal defaults on most servers.
    pub fn is_large(&self) -> bool {
        matches!(
            self,
            Self::Text(_) | Self::Blob(_) | Self::Json | Self::Geometry(_) | Self::Vector(_)
        )
    }

    /// Digits of the fraction, of types that have a time of day and a date.
    pub fn instant_fraction(&self) -> Option<u8> {
        match self {
            Self::DateTime(f) | Self::Timestamp(f) => Some(*f),
            _ => None,
        }
    }

    /// What moving rows needs to know of it. `None` for a type that no row can carry (VECTOR).
    pub fn to_column_type(&self, charset: &str, collation: &str) -> Option<ColumnType> {
        let (charset, collation) = (charset.to_owned(), collation.to_owned());
        Some(match self {
            Self::Integer { kind, unsigned, .. } => ColumnType::Integer {
                bytes: kind.bytes(),
                unsigned: *unsigned,
            },
            Self::Decimal {
                precision,
                scale,
                unsigned,
                ..
            } => ColumnType::Decimal {
                precision: *precision,
                scale: *scale,
                unsigned: *unsigned,
            },
            Self::Real { double: false, .. } => ColumnType::Float,
            Self::Real { double: true, .. } => ColumnType::Double,
            Self::Bit(bits) => ColumnType::Bit { bits: *bits },
            Self::Year => ColumnType::Year,
            Self::Date => ColumnType::Date,
            Self::Time(fraction) => ColumnType::Time { fraction: *fraction },
            Self::DateTime(fraction) => ColumnType::DateTime { fraction: *fraction },
            Self::Timestamp(fraction) => ColumnType::Timestamp { fraction: *fraction },
            Self::Char(length) => ColumnType::Char {
                length: *length,
                charset,
                collation,
            },
            Self::VarChar(length) => ColumnType::VarChar {
                length: *length,
                charset,
                collation,
            },
            Self::Text(tier) => ColumnType::Text {
                tier: *tier,
                charset,
                collation,
            },
            Self::Binary(length) => ColumnType::Binary { length: *length },
            Self::VarBinary(length) => ColumnType::VarBinary { length: *length },
            Self::Blob(tier) => ColumnType::Blob { tier: *tier },
            Self::Enum(members) => ColumnType::Enum {
                members: members.clone(),
                charset,
                collation,
            },
            Self::Set(members) => ColumnType::Set {
                members: members.clone(),
                charset,
                collation,
            },
            Self::Json => ColumnType::Json,
            Self::Geometry(kind) => ColumnType::Geometry { kind: kind.clone() },
            Self::Vector(_) => return None,
            Self::Uuid => ColumnType::Uuid,
            Self::Inet4 => ColumnType::Inet4,
            Self::Inet6 => ColumnType::Inet6,
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |f: &mut fmt::Formatter<'_>, unsigned: bool, zerofill: bool| {
            if unsigned {
                f.write_str(" unsigned")?;
            }
            if zerofill {
                f.write_str(" zerofill")?;
            }
            Ok(())
        };
        let fraction = |f: &mut fmt::Formatter<'_>, word: &str, digits: u8| match digits {
            0 => f.write_str(word),
            n => write!(f, "{word}({n})"),
        };
        let members = |f: &mut fmt::Formatter<'_>, word: &str, members: &[String]| {
            let list: Vec<_> = members.iter().map(|m| syntax::text(m)).collect();
            write!(f, "{word}({})", list.join(","))
        };
        match self {
            Self::Integer {
                kind,
                width,
                unsigned,
                zerofill,
            } => {
                f.write_str(kind.word())?;
                if let Some(width) = width {
                    write!(f, "({width})")?;
                }
                sign(f, *unsigned, *zerofill)
            }
            Self::Decimal {
                precision,
                scale,
                unsigned,
                zerofill,
            } => {
                write!(f, "decimal({precision},{scale})")?;
                sign(f, *unsigned, *zerofill)
            }
            Self::Real {
                double,
                digits,
                unsigned,
                zerofill,
            } => {
                f.write_str(if *double { "double" } else { "float" })?;
                if let Some((m, d)) = digits {
                    write!(f, "({m},{d})")?;
                }
                sign(f, *unsigned, *zerofill)
            }
            Self::Bit(n) => write!(f, "bit({n})"),
            Self::Year => f.write_str("year"),
            Self::Date => f.write_str("date"),
            Self::Time(n) => fraction(f, "time", *n),
            Self::DateTime(n) => fraction(f, "datetime", *n),
            Self::Timestamp(n) => fraction(f, "timestamp", *n),
            Self::Char(n) => write!(f, "char({n})"),
            Self::VarChar(n) => write!(f, "varchar({n})"),
            Self::Text(n) => write!(f, "{}text", tier(*n)),
            Self::Binary(n) => write!(f, "binary({n})"),
            Self::VarBinary(n) => write!(f, "varbinary({n})"),
            Self::Blob(n) => write!(f, "{}blob", tier(*n)),
            Self::Enum(m) => members(f, "enum", m),
            Self::Set(m) => members(f, "set", m),
            Self::Json => f.write_str("json"),
            Self::Geometry(kind) => f.write_str(kind),
            Self::Vector(n) => write!(f, "vector({n})"),
            Self::Uuid => f.write_str("uuid"),
            Self::Inet4 => f.write_str("inet4"),
            Self::Inet6 => f.write_str("inet6"),
        }
    }
}
