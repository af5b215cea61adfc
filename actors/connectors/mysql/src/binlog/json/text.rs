//! Scalars as the server prints them.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::binlog::{bytes_reader::Reader, decimal, error::EventError, table_map::storage};

/// A value without parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    String(&'a str),
    /// A value of an SQL type: its number and its bytes.
    Opaque(u8, &'a [u8]),
}

/// Appends a scalar.
pub(crate) fn write_scalar(scalar: &Scalar<'_>, out: &mut String) -> Result<(), EventError> {
    match scalar {
        Scalar::Null => out.push_str("null"),
        Scalar::Bool(true) => out.push_str("true"),
        Scalar::Bool(false) => out.push_str("false"),
        Scalar::Int(n) => {
            let _ = write!(out, "{n}");
        }
        Scalar::UInt(n) => {
            let _ = write!(out, "{n}");
        }
        Scalar::Double(n) => write_double(*n, out)?,
        Scalar::String(text) => write_string(text, out),
        Scalar::Opaque(field_type, bytes) => write_opaque(*field_type, bytes, out)?,
    }
    Ok(())
}

/// Appends a quoted string.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (i, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x0c => "\\f",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(text.get(plain..i).unwrap_or_default());
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        plain = i + 1;
    }
    out.push_str(text.get(plain..).unwrap_or_default());
    out.push('"');
}

/// The shortest digits that give the number back; with an exponent outside of 10^-15 to 10^15;
/// recognisable as no integer.
fn write_double(n: f64, out: &mut String) -> Result<(), EventError> {
    if !n.is_finite() {
        return Err(EventError::corrupt("a JSON number is not finite"));
    }
    if n == 0.0 {
        out.push_str(if n.is_sign_negative() { "-0.0" } else { "0.0" });
        return Ok(());
    }
    let text = format!("{n:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    out.push_str(sign);
    // Position of the point relative to the first digit.
    let point = exponent + 1;
    if (-14..=15).contains(&point) {
        if point <= 0 {
            out.push_str("0.");
            out.extend((point..0).map(|_| '0'));
            out.push_str(&digits);
        } else {
            let point = point as usize;
            let (whole, fraction) = digits.split_at_checked(point).unwrap_or((&digits, ""));
            out.push_str(whole);
            out.extend((whole.len()..point).map(|_| '0'));
            out.push('.');
            out.push_str(if fraction.is_empty() { "0" } else { fraction });
        }
    } else {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        let _ = write!(out, "e{exponent}");
    }
    Ok(())
}

fn write_opaque(field_type: u8, bytes: &[u8], out: &mut String) -> Result<(), EventError> {
    let mut r = Reader::new(bytes);
    match field_type {
        storage::NEWDECIMAL => {
            let (precision, scale) = (r.u8()?, r.u8()?);
            if !(1..=65).contains(&precision) || scale > precision || scale > 38 {
                return Err(EventError::corrupt("a JSON decimal is damaged"));
            }
            decimal::read(&mut r, precision, scale, out)
        }
        storage::DATE | storage::DATETIME | storage::TIMESTAMP => {
            let packed = r.u64()? as i64;
            let (whole, micros) = (packed >> 24, packed & 0xff_ffff);
            let (ymd, hms) = (whole >> 17, whole & 0x1_ffff);
            let (year, month, day) = (ymd / 32 / 13, ymd / 32 % 13, ymd % 32);
            let _ = write!(out, "\"{year:04}-{month:02}-{day:02}");
            if field_type != storage::DATE {
                let (hour, minute, second) = (hms >> 12, hms >> 6 & 63, hms & 63);
                let _ = write!(out, " {hour:02}:{minute:02}:{second:02}.{micros:06}");
            }
            out.push('"');
            Ok(())
        }
        storage::TIME => {
            let packed = r.u64()? as i64;
            let size = packed.unsigned_abs();
            let (hms, micros) = (size >> 24, size & 0xff_ffff);
            let sign = if packed < 0 { "-" } else { "" };
            let (hour, minute, second) = (hms >> 12 & 1023, hms >> 6 & 63, hms & 63);
            let _ = write!(out, "\"{sign}{hour:02}:{minute:02}:{second:02}.{micros:06}\"");
            Ok(())
        }
        _ => {
            let _ = write!(out, "\"base64:type{field_type}:");
            // The server's encoder breaks lines, and the breaks are escaped in the text.
            let encoded = STANDARD.encode(bytes);
            let mut rest = encoded.as_str();
            while let Some((line, more)) = rest.split_at_checked(76).filter(|(_, more)| !more.is_empty()) {
                out.push_str(line);
                out.push_str("\\n");
                rest = more;
            }
            out.push_str(rest);
            out.push('"');
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(n: f64) -> String {
        let mut out = String::new();
        write_double(n, &mut out).unwrap();
        out
    }

    #[test]
    fn doubles_as_the_server_prints_them() {
        let cases = [
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (123456789012345.0, "123456789012345.0"),
            (1e15, "1e15"),
            (1e20, "1e20"),
            (1.25e-7, "0.000000125"),
            (1e-20, "1e-20"),
            (1.7976931348623157e308, "1.7976931348623157e308"),
            (3.0e100, "3e100"),
        ];
        for (n, text) in cases {
            assert_eq!(double(n), text);
        }
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        write_string("a\"\\\n\t\u{1}\u{7f}ü😀/", &mut out);
        assert_eq!(out, "\"a\\\"\\\\\\n\\t\\u0001\u{7f}ü😀/\"");
    }
}
