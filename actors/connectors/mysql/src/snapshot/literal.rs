//! Key values as SQL literals.

use std::fmt::Write as _;

use oms_core::{CivilDateTime, Column, ColumnType, Failure, Value, codes};

/// Appends a key column's value as a literal that compares by the column's own rules.
///
/// Texts are hexadecimal with the introducer of the *column's* character set, so that the bytes are
/// compared by the column's collation and are never converted. A parameter could not do that: it is
/// always in the connection's character set.
///
/// # Errors
/// `OMS-IMPORT-0003` for types whose order is not reliable.
pub(super) fn push(sql: &mut String, column: &Column, value: Value<'_>) -> Result<(), Failure> {
    let unusable = || {
        Failure::new(
            codes::import::KEY_NOT_USABLE,
            format!("column `{}` cannot bound a chunk", column.name),
        )
    };
    // Writing into a String cannot fail.
    let _ = match (&column.ty, value) {
        (_, Value::Int(n)) => write!(sql, "{n}"),
        (_, Value::UInt(n) | Value::Set(n)) => write!(sql, "{n}"),
        (_, Value::Enum(n)) => write!(sql, "{n}"),
        (_, Value::Decimal(text)) => write!(sql, "{text}"),
        (_, Value::Bit(n)) => write!(sql, "b'{n:b}'"),
        // As text: a number below 100 would be taken for a year of two digits.
        (_, Value::Year(n)) => write!(sql, "'{n:04}'"),
        (_, Value::Date(d)) => write!(sql, "'{:04}-{:02}-{:02}'", d.year, d.month, d.day),
        (_, Value::DateTime(t)) => date_time(sql, t),
        (_, Value::Timestamp(0)) => write!(sql, "'0000-00-00 00:00:00'"),
        // The session's zone is +00:00.
        (_, Value::Timestamp(n)) => date_time(sql, CivilDateTime::from_epoch_micros(n).ok_or_else(unusable)?),
        (_, Value::Time(d)) => {
            let (sign, n) = (if d.0 < 0 { "-" } else { "" }, d.0.unsigned_abs());
            let (seconds, micros) = (n / 1_000_000, n % 1_000_000);
            let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
            write!(
                sql,
                "'{sign}{hours:02}:{minutes:02}:{:02}.{micros:06}'",
                seconds % 60
            )
        }
        (ColumnType::Uuid | ColumnType::Inet4 | ColumnType::Inet6, Value::Text(bytes)) => {
            let text = std::str::from_utf8(bytes).map_err(|_| unusable())?;
            let plain = text
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || matches!(b, b'-' | b'.' | b':'));
            if !plain {
                return Err(unusable());
            }
            write!(sql, "'{text}'")
        }
        (ty, Value::Text(bytes)) => {
            let charset = ty.charset().ok_or_else(unusable)?;
            write!(sql, "_{charset} X'{}'", hex::encode(bytes))
        }
        (_, Value::Bytes(bytes)) => write!(sql, "X'{}'", hex::encode(bytes)),
        (_, Value::Float(_) | Value::Double(_) | Value::Json(_) | Value::Geometry(_)) => {
            return Err(unusable());
        }
        (_, Value::Null | Value::Absent) => return Err(unusable()),
    };
    Ok(())
}

fn date_time(sql: &mut String, t: CivilDateTime) -> std::fmt::Result {
    let (date, fraction) = (t.date, t.micros);
    write!(
        sql,
        "'{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{fraction:06}'",
        date.year, date.month, date.day, t.hour, t.minute, t.second
    )
}
