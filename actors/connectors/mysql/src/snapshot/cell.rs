//! From the binary protocol's values to canonical ones.

use mysql_async::Value as Wire;
use oms_core::{CivilDate, CivilDateTime, Column, ColumnType, Duration, RowBuilder, Value};

/// Appends a column's value to the row under construction.
///
/// The result is what the log decoder builds from the same stored value. The schema decides the
/// type, not the result's metadata: flags of OceanBase's are not reliable, and ENUM and SET are
/// selected as numbers.
///
/// # Errors
/// What was expected, when the wire value is of another form. Never the value.
pub(super) fn push(row: &mut RowBuilder, column: &Column, value: &Wire) -> Result<(), &'static str> {
    let canonical = match (&column.ty, value) {
        (_, Wire::NULL) => Value::Null,
        (ColumnType::Integer { bytes, unsigned }, _) => {
            integer(*bytes, *unsigned, value).ok_or("an integer")?
        }
        (ColumnType::Float, Wire::Float(v)) => Value::Float(*v),
        (ColumnType::Double, Wire::Double(v)) => Value::Double(*v),
        (ColumnType::Decimal { scale, .. }, Wire::Bytes(text)) => {
            let text = decimal(text, usize::from(*scale)).ok_or("a decimal")?;
            row.push(Value::Decimal(&text));
            return Ok(());
        }
        (ColumnType::Bit { .. }, Wire::Bytes(bytes)) if bytes.len() <= 8 => {
            Value::Bit(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
        }
        (ColumnType::Year, _) => {
            let year = unsigned(value).and_then(|n| u16::try_from(n).ok());
            Value::Year(year.ok_or("a year")?)
        }
        (ColumnType::Date, Wire::Date(year, month, day, ..)) => Value::Date(CivilDate {
            year: *year,
            month: *month,
            day: *day,
        }),
        (ColumnType::DateTime { .. }, Wire::Date(..)) => Value::DateTime(civil(value).ok_or("a datetime")?),
        (ColumnType::Timestamp { .. }, Wire::Date(..)) => {
            let civil = civil(value).ok_or("a timestamp")?;
            if civil == CivilDateTime::default() {
                Value::Timestamp(0)
            } else {
                Value::Timestamp(civil.to_epoch_micros().ok_or("a timestamp")?)
            }
        }
        (ColumnType::Time { .. }, Wire::Time(negative, days, hours, minutes, seconds, micros)) => {
            let seconds = ((i64::from(*days) * 24 + i64::from(*hours)) * 60 + i64::from(*minutes)) * 60
                + i64::from(*seconds);
            let span = seconds * 1_000_000 + i64::from(*micros);
            Value::Time(Duration(if *negative { -span } else { span }))
        }
        (
            ColumnType::Char { .. }
            | ColumnType::VarChar { .. }
            | ColumnType::Text { .. }
            | ColumnType::Uuid
            | ColumnType::Inet4
            | ColumnType::Inet6,
            Wire::Bytes(bytes),
        ) => Value::Text(bytes),
        (ColumnType::Binary { length }, Wire::Bytes(bytes)) => {
            let length = *length as usize;
            if bytes.len() < length {
                let mut padded = bytes.clone();
                padded.resize(length, 0);
                row.push(Value::Bytes(&padded));
                return Ok(());
            }
            Value::Bytes(bytes)
        }
        (ColumnType::VarBinary { .. } | ColumnType::Blob { .. }, Wire::Bytes(bytes)) => Value::Bytes(bytes),
        (ColumnType::Enum { .. }, _) => {
            let member = unsigned(value).and_then(|n| u16::try_from(n).ok());
            Value::Enum(member.ok_or("the number of an ENUM member")?)
        }
        (ColumnType::Set { .. }, _) => Value::Set(unsigned(value).ok_or("the bit map of a SET")?),
        (ColumnType::Json, Wire::Bytes(bytes)) => {
            Value::Json(std::str::from_utf8(bytes).map_err(|_| "UTF-8 JSON")?)
        }
        (ColumnType::Geometry { .. }, Wire::Bytes(bytes)) => Value::Geometry(bytes),
        _ => return Err("a value of the column's type"),
    };
    row.push(canonical);
    Ok(())
}

fn unsigned(value: &Wire) -> Option<u64> {
    match value {
        Wire::UInt(n) => Some(*n),
        Wire::Int(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

/// Whatever signedness the metadata claimed, the low bytes are right.
fn integer(bytes: u8, is_unsigned: bool, value: &Wire) -> Option<Value<'static>> {
    let raw = match value {
        Wire::Int(n) => *n as u64,
        Wire::UInt(n) => *n,
        _ => return None,
    };
    let unused = 64u32.checked_sub(u32::from(bytes) * 8)?;
    let top = raw.checked_shl(unused)?;
    Some(if is_unsigned {
        Value::UInt(top >> unused)
    } else {
        Value::Int(top as i64 >> unused)
    })
}

fn civil(value: &Wire) -> Option<CivilDateTime> {
    match value {
        Wire::Date(year, month, day, hour, minute, second, micros) => Some(CivilDateTime {
            date: CivilDate {
                year: *year,
                month: *month,
                day: *day,
            },
            hour: *hour,
            minute: *minute,
            second: *second,
            micros: *micros,
        }),
        _ => None,
    }
}

/// The canonical text: ZEROFILL's leading zeros go, a zero has no sign, the fraction has exactly the
/// column's digits.
fn decimal(text: &[u8], scale: usize) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > scale || digits.is_empty() {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let is_zero = whole.is_empty() && fraction.bytes().all(|b| b == b'0');
    let mut out = String::with_capacity(digits.len() + 2);
    if negative && !is_zero {
        out.push('-');
    }
    out.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        out.push('.');
        out.push_str(fraction);
        out.extend(std::iter::repeat_n('0', scale - fraction.len()));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_canonical() {
        let is = |text: &str, scale, want: Option<&str>| {
            assert_eq!(decimal(text.as_bytes(), scale).as_deref(), want, "{text}");
        };
        is("000123.40", 2, Some("123.40"));
        is("-0.50", 2, Some("-0.50"));
        is("-0.00", 2, Some("0.00"));
        is(".5", 1, Some("0.5"));
        is("7", 3, Some("7.000"));
        is("00", 0, Some("0"));
        is("1.234", 2, None);
        is("1e3", 0, None);
        is("", 0, None);
    }

    #[test]
    fn integers_follow_the_schema_not_the_flags() {
        assert_eq!(integer(1, true, &Wire::Int(-1)), Some(Value::UInt(255)));
        assert_eq!(integer(1, false, &Wire::UInt(255)), Some(Value::Int(-1)));
        assert_eq!(
            integer(3, false, &Wire::Int(-8_388_608)),
            Some(Value::Int(-8_388_608))
        );
        assert_eq!(integer(8, true, &Wire::Int(-1)), Some(Value::UInt(u64::MAX)));
        assert_eq!(
            integer(8, false, &Wire::Int(i64::MIN)),
            Some(Value::Int(i64::MIN))
        );
        assert_eq!(integer(4, false, &Wire::Double(1.0)), None);
    }
}
