//! Types of added columns, from their SQL.

use oms_core::ColumnType;

/// Character set of added columns.
pub(super) const CHARSET: &str = "utf8mb4";
/// Collation under which their values are compared here: by bytes.
const COLLATION: &str = "utf8mb4_bin";

/// Reads a type: `BIGINT`, `INT UNSIGNED`, `DECIMAL(10,2)`, `VARCHAR(20)`, `TEXT`, `DATETIME(3)` and the like.
///
/// # Errors
/// What is wrong with it, in words.
pub fn added_column_type(text: &str) -> Result<ColumnType, String> {
    let upper = text.trim().to_ascii_uppercase();
    let wrong = || {
        format!(
            "{text:?} is not a type of an added column; there are TINYINT to BIGINT (UNSIGNED), DECIMAL(p,s), CHAR(n), VARCHAR(n), TINYTEXT to LONGTEXT, DATE, TIME(f), DATETIME(f) and TIMESTAMP(f)"
        )
    };
    let (upper, unsigned) = match upper.strip_suffix("UNSIGNED") {
        Some(rest) => (rest.trim().to_owned(), true),
        None => (upper, false),
    };
    let (name, sizes) = match upper.split_once('(') {
        None => (upper.as_str(), Vec::new()),
        Some((name, rest)) => {
            let inner = rest.strip_suffix(')').ok_or_else(wrong)?;
            let sizes = inner.split(',').map(|n| n.trim().parse::<u32>());
            (
                name.trim(),
                sizes.collect::<Result<Vec<_>, _>>().map_err(|_| wrong())?,
            )
        }
    };
    let number = matches!(name, "DECIMAL" | "NUMERIC" | "DEC") || name.ends_with("INT") || name == "INTEGER";
    if unsigned && !number {
        return Err(wrong());
    }
    let integer = |bytes| ColumnType::Integer { bytes, unsigned };
    let text_of = |tier| ColumnType::Text {
        tier,
        charset: CHARSET.to_owned(),
        collation: COLLATION.to_owned(),
    };
    let (charset, collation) = (CHARSET.to_owned(), COLLATION.to_owned());
    let fraction = |sizes: &[u32]| match sizes {
        [] => Some(0),
        [digits @ 0..=6] => u8::try_from(*digits).ok(),
        _ => None,
    };
    Ok(match (name, sizes.as_slice()) {
        ("TINYINT", [] | [_]) => integer(1),
        ("SMALLINT", [] | [_]) => integer(2),
        ("MEDIUMINT", [] | [_]) => integer(3),
        ("INT" | "INTEGER", [] | [_]) => integer(4),
        ("BIGINT", [] | [_]) => integer(8),
        ("DECIMAL" | "NUMERIC" | "DEC", sizes) => {
            let (precision, scale) = match sizes {
                [] => (10, 0),
                [precision] => (*precision, 0),
                [precision, scale] => (*precision, *scale),
                _ => return Err(wrong()),
            };
            let fits = (1..=65).contains(&precision) && scale <= 30 && scale <= precision;
            let (Some(precision), Some(scale), true) =
                (u8::try_from(precision).ok(), u8::try_from(scale).ok(), fits)
            else {
                return Err(wrong());
            };
            ColumnType::Decimal {
                precision,
                scale,
                unsigned,
            }
        }
        ("CHAR", [length @ 1..=255]) => ColumnType::Char {
            length: *length,
            charset,
            collation,
        },
        ("VARCHAR", [length @ 1..=16_383]) => ColumnType::VarChar {
            length: *length,
            charset,
            collation,
        },
        ("TINYTEXT", []) => text_of(1),
        ("TEXT", []) => text_of(2),
        ("MEDIUMTEXT", []) => text_of(3),
        ("LONGTEXT", []) => text_of(4),
        ("DATE", []) => ColumnType::Date,
        ("TIME", sizes) => ColumnType::Time {
            fraction: fraction(sizes).ok_or_else(wrong)?,
        },
        ("DATETIME", sizes) => ColumnType::DateTime {
            fraction: fraction(sizes).ok_or_else(wrong)?,
        },
        ("TIMESTAMP", sizes) => ColumnType::Timestamp {
            fraction: fraction(sizes).ok_or_else(wrong)?,
        },
        _ => return Err(wrong()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_or_refused() {
        assert_eq!(
            added_column_type("int unsigned"),
            Ok(ColumnType::Integer {
                bytes: 4,
                unsigned: true
            })
        );
        assert_eq!(
            added_column_type(" decimal( 10 , 2 ) "),
            Ok(ColumnType::Decimal {
                precision: 10,
                scale: 2,
                unsigned: false
            })
        );
        for bad in [
            "",
            "VARCHAR",
            "VARCHAR(0)",
            "CHAR(256)",
            "DECIMAL(2,3)",
            "DECIMAL(66)",
            "JSON",
            "DATETIME(7)",
            "TEXT UNSIGNED",
            "INT(",
            "ENUM('a')",
            "DOUBLE",
        ] {
            assert!(added_column_type(bad).is_err(), "{bad}");
        }
    }
}
