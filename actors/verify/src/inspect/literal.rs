//! Values as SQL literals, exact for every type.

use std::fmt::Write as _;

use oms_core::{CivilDate, CivilDateTime, ColumnType, Value};

use crate::compare::{Charsets, label, labels, text};

/// The literal of a value of a column of type `from`, for a column of type `to` (or for people,
/// with both the same).
///
/// Text is quoted where every server reads it alike, else it is hexadecimal with an introducer.
/// Times are in UTC; see [`super::PREAMBLE`].
///
/// # Errors
/// What has no exact literal, and why. Never with the value.
pub(super) fn literal(
    from: &ColumnType,
    to: &ColumnType,
    value: Value<'_>,
    charsets: &dyn Charsets,
) -> Result<String, &'static str> {
    Ok(match value {
        Value::Null => "NULL".into(),
        Value::Absent => return Err("the column was not read"),
        Value::Int(v) => v.to_string(),
        Value::UInt(v) => v.to_string(),
        Value::Bit(v) if matches!(to, ColumnType::Bit { .. }) => format!("b'{v:b}'"),
        Value::Bit(v) => v.to_string(),
        // One or two digits would be years of this century.
        Value::Year(v) if matches!(to, ColumnType::Year) => format!("'{v:04}'"),
        Value::Year(v) => v.to_string(),
        Value::Float(v) => real(f64::from(v))?,
        Value::Double(v) => real(v)?,
        Value::Decimal(v) => v.to_owned(),
        Value::Date(v) => format!("'{}'", date(v)),
        Value::DateTime(v) => date_time(v),
        Value::Timestamp(0) => "'0000-00-00 00:00:00'".into(),
        Value::Timestamp(v) => date_time(CivilDateTime::from_epoch_micros(v).ok_or("a time out of range")?),
        Value::Time(v) => {
            let micros = v.0.unsigned_abs();
            let seconds = micros / 1_000_000;
            let sign = if v.0 < 0 { "-" } else { "" };
            let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            format!(
                "'{sign}{hours:02}:{minutes:02}:{seconds:02}{}'",
                fraction(micros % 1_000_000)
            )
        }
        Value::Text(bytes) => match text(from, value, charsets) {
            Some(text) => quoted(&text),
            None => {
                let charset = from.charset().unwrap_or("utf8mb4");
                if !charset.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                    return Err("the name of a character set cannot be written");
                }
                format!("_{charset} {}", hexadecimal(bytes))
            }
        },
        Value::Json(text) => quoted(text),
        // An empty text would be refused or be another member.
        Value::Enum(0) => "0".into(),
        Value::Enum(_) => quoted(label(from, value).ok_or("a number that is no member")?),
        Value::Set(_) => quoted(&labels(from, value).ok_or("bits that are no members")?.join(",")),
        Value::Bytes(bytes) | Value::Geometry(bytes) => hexadecimal(bytes),
    })
}

/// Shortest digits that give the same bits. With an exponent: without one it would be a DECIMAL.
fn real(value: f64) -> Result<String, &'static str> {
    if !value.is_finite() {
        return Err("NaN and infinities have no literal");
    }
    Ok(format!("{value:e}"))
}

fn date(v: CivilDate) -> String {
    format!("{:04}-{:02}-{:02}", v.year, v.month, v.day)
}

fn date_time(v: CivilDateTime) -> String {
    let micros = fraction(u64::from(v.micros));
    format!(
        "'{} {:02}:{:02}:{:02}{micros}'",
        date(v.date),
        v.hour,
        v.minute,
        v.second
    )
}

fn fraction(micros: u64) -> String {
    if micros == 0 {
        String::new()
    } else {
        format!(".{micros:06}")
    }
}

/// `'…'`, or hexadecimal when a server's SQL mode or a terminal could change it.
fn quoted(text: &str) -> String {
    if text.chars().any(|c| c == '\\' || c.is_control()) {
        return format!("_utf8mb4 {}", hexadecimal(text.as_bytes()));
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// `X'…'`.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2 + 3);
    out.push_str("X'");
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02X}");
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use oms_core::Duration;

    use super::*;
    use crate::Utf8Charsets;

    fn of(ty: &ColumnType, value: Value<'_>) -> String {
        literal(ty, ty, value, &Utf8Charsets).unwrap()
    }

    #[test]
    fn every_kind_has_an_exact_literal() {
        let text = ColumnType::VarChar {
            length: 9,
            charset: "utf8mb4".into(),
            collation: "utf8mb4_bin".into(),
        };
        let gbk = ColumnType::VarChar {
            length: 9,
            charset: "gbk".into(),
            collation: "gbk_bin".into(),
        };
        assert_eq!(of(&text, Value::Text("it's é".as_bytes())), "'it''s é'");
        assert_eq!(of(&text, Value::Text(b"a\\b")), "_utf8mb4 X'615C62'");
        assert_eq!(of(&text, Value::Text(b"\xff")), "_utf8mb4 X'FF'");
        assert_eq!(of(&gbk, Value::Text(b"\xd6\xd0")), "_gbk X'D6D0'");
        assert_eq!(of(&ColumnType::Double, Value::Double(-0.0)), "-0e0");
        assert_eq!(of(&ColumnType::Double, Value::Double(0.1)), "1e-1");
        assert!(
            literal(
                &ColumnType::Double,
                &ColumnType::Double,
                Value::Double(f64::NAN),
                &Utf8Charsets
            )
            .is_err()
        );
        assert_eq!(of(&ColumnType::Year, Value::Year(5)), "'0005'");
        assert_eq!(of(&ColumnType::Bit { bits: 3 }, Value::Bit(5)), "b'101'");
        assert_eq!(
            of(&ColumnType::Time { fraction: 6 }, Value::Time(Duration(-1))),
            "'-00:00:00.000001'"
        );
        assert_eq!(
            of(&ColumnType::Timestamp { fraction: 0 }, Value::Timestamp(0)),
            "'0000-00-00 00:00:00'"
        );
        assert_eq!(
            of(
                &ColumnType::Timestamp { fraction: 0 },
                Value::Timestamp(951_782_400_000_000)
            ),
            "'2000-02-29 00:00:00'"
        );
        assert_eq!(of(&ColumnType::Blob { tier: 1 }, Value::Bytes(b"")), "X''");
    }

    #[test]
    fn reals_come_back_with_the_same_bits() {
        for v in [0.1, 1e308, 5e-324, -123_456.789, 1.0, f64::from(0.1f32)] {
            assert_eq!(real(v).unwrap().parse::<f64>().unwrap().to_bits(), v.to_bits());
        }
    }
}
