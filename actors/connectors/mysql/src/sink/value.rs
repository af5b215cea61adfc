//! Values as literals of a destination column: exactly, or not at all.

use std::borrow::Cow;

use oms_core::{CivilDate, CivilDateTime, ColumnType, Value};

use super::{
    form::{Form, Literal},
    literal,
    plan::{ColumnPlan, TextPath},
};

/// Why a value cannot be written. Never holds the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit(pub(crate) &'static str);

const KIND: Unfit = Unfit("values of the source column's type have no exact form in the destination's type");
const RANGE: Unfit = Unfit("out of the range of the destination's type");
const DIGITS: Unfit = Unfit("more digits than the destination's type holds");
const LONG: Unfit = Unfit("longer than the destination's type allows");
const MEMBER: Unfit = Unfit("not a member of the destination's ENUM or SET");
const CHARACTER: Unfit = Unfit("bytes that are no characters of the source column's character set");
const PADDING: Unfit = Unfit("the destination's fixed length would change trailing spaces or zeros");

/// Appends the literal of a value. Returns whether strict mode would refuse it although it is exact
/// (the empty value 0 of an ENUM).
pub(crate) fn write(out: &mut Vec<u8>, column: &ColumnPlan, value: Value<'_>) -> Result<bool, Unfit> {
    write_as::<Literal>(out, column, value)
}

/// Appends a value in either form. As [`write`] otherwise; after an error something may have been appended.
pub(crate) fn write_as<F: Form>(
    out: &mut Vec<u8>,
    column: &ColumnPlan,
    value: Value<'_>,
) -> Result<bool, Unfit> {
    match (value, &column.to) {
        (Value::Null, _) => F::null(out),
        (Value::Absent, _) => return Err(Unfit("absent in the row image")),
        (Value::Int(v), to) => integer::<F>(out, i128::from(v), to)?,
        (Value::UInt(v), to) => integer::<F>(out, i128::from(v), to)?,
        (Value::Bit(v), to @ (ColumnType::Bit { .. } | ColumnType::Integer { .. })) => {
            integer::<F>(out, i128::from(v), to)?
        }
        (Value::Year(v), ColumnType::Year) if v == 0 || (1901..=2155).contains(&v) => {
            F::moment(out, |out| literal::year(out, v))
        }
        (Value::Year(_), ColumnType::Year) => return Err(RANGE),
        (Value::Year(v), to @ ColumnType::Integer { .. }) => integer::<F>(out, i128::from(v), to)?,
        (Value::Float(v), to) => float(out, f64::from(v), to, column.negative_zero)?,
        (Value::Double(v), to) => float(out, v, to, column.negative_zero)?,
        (
            Value::Decimal(v),
            ColumnType::Decimal {
                precision,
                scale,
                unsigned,
            },
        ) => {
            decimal(out, v, *precision, *scale, *unsigned)?;
        }
        (Value::Date(v), ColumnType::Date) => {
            let date = checked_date(v)?;
            F::moment(out, |out| literal::date(out, date));
        }
        (Value::Date(v), ColumnType::DateTime { fraction }) => {
            let midnight = CivilDateTime {
                date: checked_date(v)?,
                ..CivilDateTime::default()
            };
            F::moment(out, |out| literal::date_time(out, midnight, *fraction));
        }
        (Value::DateTime(v), ColumnType::DateTime { fraction }) => {
            checked_date(v.date)?;
            if v.hour > 23 || v.minute > 59 || v.second > 59 {
                return Err(RANGE);
            }
            date_time::<F>(out, v, *fraction)?;
        }
        (Value::Timestamp(v), ColumnType::Timestamp { fraction }) => {
            let civil = match v {
                0 => CivilDateTime::default(),
                other => CivilDateTime::from_epoch_micros(other).ok_or(RANGE)?,
            };
            date_time::<F>(out, civil, *fraction)?;
        }
        (Value::Time(v), ColumnType::Time { fraction }) => {
            let micros = (v.0.unsigned_abs() % 1_000_000) as u32;
            if !literal::fits_fraction(micros, *fraction) {
                return Err(DIGITS);
            }
            F::moment(out, |out| literal::time(out, v, *fraction));
        }
        (Value::Text(v), _) => text::<F>(out, column, v)?,
        (Value::Bytes(v), to) => binary::<F>(out, v, to)?,
        (Value::Json(v), ColumnType::Json) => F::text(out, v.as_bytes()),
        (Value::Json(v), ColumnType::Text { tier, .. }) => {
            fits_tier(v.len(), *tier)?;
            F::text(out, v.as_bytes());
        }
        (Value::Enum(v), _) => return member::<F>(out, column, v),
        (Value::Set(v), _) => members::<F>(out, column, v)?,
        (Value::Geometry(v), ColumnType::Geometry { .. }) => F::bytes(out, v),
        _ => return Err(KIND),
    }
    Ok(false)
}

/// Longer values go beside their statement: as they are, without a literal of twice their length.
const LONG_FROM: usize = 1 << 20;

/// The bytes of a long value that can be given beside the statement and mean there what their literal would mean;
/// characters are UTF-8. `None`: it is not long, or has another form.
pub(crate) fn long<'v>(column: &ColumnPlan, value: Value<'v>) -> Result<Option<&'v [u8]>, Unfit> {
    match (value, &column.to) {
        (Value::Bytes(v), ColumnType::Blob { tier }) if v.len() >= LONG_FROM => {
            fits_tier(v.len(), *tier)?;
            Ok(Some(v))
        }
        (Value::Text(v), ColumnType::Text { .. })
            if v.len() >= LONG_FROM && matches!(column.text, TextPath::Utf8) =>
        {
            check_length(column, v)?;
            std::str::from_utf8(v).map_err(|_| CHARACTER)?;
            Ok(Some(v))
        }
        _ => Ok(None),
    }
}

/// Appends the literal of a value's beginning, and gives the literals of what has to be appended to
/// it, if the value is longer than `longest`. As [`write`] otherwise.
pub(crate) fn write_beginning(
    out: &mut Vec<u8>,
    column: &ColumnPlan,
    value: Value<'_>,
    longest: Option<usize>,
) -> Result<(bool, Vec<Vec<u8>>), Unfit> {
    let bytes: Cow<'_, [u8]> = match (value, &column.to, longest) {
        (Value::Bytes(v), ColumnType::Blob { tier }, Some(most)) if v.len() > most => {
            fits_tier(v.len(), *tier)?;
            Cow::Borrowed(v)
        }
        (Value::Text(v), ColumnType::Text { tier, charset, .. }, Some(most))
            if v.len() > most && is_utf8(charset) =>
        {
            let text = as_utf8(column, v)?.into_bytes();
            fits_tier(text.len(), *tier)?;
            Cow::Owned(text)
        }
        _ => return write(out, column, value).map(|relaxed| (relaxed, Vec::new())),
    };
    let is_text = matches!(value, Value::Text(_));
    let most = longest.unwrap_or(usize::MAX).max(16);
    let mut pieces = Vec::new();
    let mut rest: &[u8] = &bytes;
    while !rest.is_empty() {
        let mut end = most.min(rest.len());
        // A piece of text ends between characters.
        while is_text && rest.get(end).is_some_and(|b| b & 0xC0 == 0x80) {
            end -= 1;
        }
        let (piece, later) = rest.split_at(end);
        let mut made = Vec::new();
        if is_text {
            literal::text(&mut made, piece)
        } else {
            literal::bytes(&mut made, piece)
        }
        pieces.push(made);
        rest = later;
    }
    out.extend_from_slice(&pieces.remove(0));
    Ok((false, pieces))
}

fn integer<F: Form>(out: &mut Vec<u8>, value: i128, to: &ColumnType) -> Result<(), Unfit> {
    let (low, high) = match to {
        ColumnType::Integer { bytes, unsigned } => {
            let bits = u32::from(*bytes).min(8) * 8;
            if *unsigned {
                (0, (1i128 << bits) - 1)
            } else {
                (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
            }
        }
        ColumnType::Bit { bits } => (0, (1i128 << (*bits).min(64)) - 1),
        ColumnType::Decimal {
            precision,
            scale,
            unsigned,
        } => {
            let digits = u32::from(precision.saturating_sub(*scale)).min(37);
            let high = 10i128.pow(digits) - 1;
            (if *unsigned { 0 } else { -high }, high)
        }
        ColumnType::Double => (-(1i128 << 53), 1i128 << 53),
        _ => return Err(KIND),
    };
    if !(low..=high).contains(&value) {
        return Err(RANGE);
    }
    let magnitude = u64::try_from(value.unsigned_abs()).map_err(|_| RANGE)?;
    if matches!(to, ColumnType::Bit { .. }) {
        F::bits(out, magnitude);
        return Ok(());
    }
    if value < 0 {
        out.push(b'-');
    }
    literal::unsigned(out, magnitude);
    Ok(())
}

fn float(out: &mut Vec<u8>, value: f64, to: &ColumnType, negative_zero: bool) -> Result<(), Unfit> {
    if !value.is_finite() {
        return Err(Unfit("NaN and infinities have no literal"));
    }
    match to {
        ColumnType::Double => {}
        ColumnType::Float if f64::from(value as f32).to_bits() == value.to_bits() => {}
        ColumnType::Float => return Err(DIGITS),
        _ => return Err(KIND),
    }
    if value == 0.0 && value.is_sign_negative() && !negative_zero {
        return Err(Unfit("the destination does not keep the sign of negative zero"));
    }
    match to {
        ColumnType::Float => literal::single(out, value as f32),
        _ => literal::double(out, value),
    }
    Ok(())
}

fn decimal(out: &mut Vec<u8>, value: &str, precision: u8, scale: u8, unsigned: bool) -> Result<(), Unfit> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !numeric(whole) || !numeric(behind) {
        return Err(Unfit("not a decimal number"));
    }
    let significant = whole.trim_start_matches('0');
    if significant.len() > usize::from(precision.saturating_sub(scale)) {
        return Err(RANGE);
    }
    if behind.trim_end_matches('0').len() > usize::from(scale) {
        return Err(DIGITS);
    }
    let negative = value.len() > digits.len();
    if unsigned && negative && !(significant.is_empty() && behind.bytes().all(|b| b == b'0')) {
        return Err(RANGE);
    }
    out.extend_from_slice(value.as_bytes());
    Ok(())
}

fn checked_date(date: CivilDate) -> Result<CivilDate, Unfit> {
    if date.year <= 9_999 && date.month <= 12 && date.day <= 31 {
        Ok(date)
    } else {
        Err(RANGE)
    }
}

fn date_time<F: Form>(out: &mut Vec<u8>, value: CivilDateTime, digits: u8) -> Result<(), Unfit> {
    if !literal::fits_fraction(value.micros, digits) {
        return Err(DIGITS);
    }
    F::moment(out, |out| literal::date_time(out, value, digits));
    Ok(())
}

fn fits_tier(length: usize, tier: u8) -> Result<(), Unfit> {
    let most = (1u64 << (u32::from(tier).clamp(1, 4) * 8)) - 1;
    if length as u64 <= most { Ok(()) } else { Err(LONG) }
}

fn is_utf8(charset: &str) -> bool {
    charset.starts_with("utf8")
}

fn text<F: Form>(out: &mut Vec<u8>, column: &ColumnPlan, value: &[u8]) -> Result<(), Unfit> {
    match &column.to {
        ColumnType::Char { .. } | ColumnType::VarChar { .. } | ColumnType::Text { .. } => {}
        ColumnType::Json | ColumnType::Uuid | ColumnType::Inet4 | ColumnType::Inet6 => {}
        ColumnType::Enum { members, .. } => {
            // The number of the member: a label would be compared by collation.
            let label = as_utf8(column, value)?;
            let number = members.iter().position(|m| *m == label).ok_or(MEMBER)?;
            literal::unsigned(out, number as u64 + 1);
            return Ok(());
        }
        _ => return Err(KIND),
    }
    check_length(column, value)?;
    match &column.text {
        TextPath::Utf8 => {
            std::str::from_utf8(value).map_err(|_| CHARACTER)?;
            F::text(out, value);
        }
        TextPath::Introducer(_, true) if value.is_ascii() => F::text(out, value),
        TextPath::Introducer(charset, _) => F::introduced(out, charset, value),
        TextPath::Decode(decoder) => {
            let converted = decoder.decode(value).map_err(|_| CHARACTER)?;
            if let ColumnType::Text { tier, charset, .. } = &column.to
                && is_utf8(charset)
            {
                fits_tier(converted.len(), *tier)?;
            }
            F::text(out, converted.as_bytes());
        }
    }
    Ok(())
}

fn as_utf8(column: &ColumnPlan, value: &[u8]) -> Result<String, Unfit> {
    let decoder = match &column.text {
        TextPath::Decode(decoder) => Some(decoder.clone()),
        TextPath::Introducer(charset, _) => super::charset::Decoder::find(charset),
        TextPath::Utf8 => super::charset::Decoder::find("utf8mb4"),
    };
    decoder.and_then(|d| d.decode(value).ok()).ok_or(CHARACTER)
}

/// Strict mode refuses text that is too long, except where only spaces would be cut, which it cuts
/// silently. So only trailing spaces need care here.
fn check_length(column: &ColumnPlan, value: &[u8]) -> Result<(), Unfit> {
    let wide = matches!(&column.text, TextPath::Introducer(name, _) if matches!(name.as_str(), "ucs2" | "utf16" | "utf16le" | "utf32"))
        || matches!(&column.text, TextPath::Decode(d) if !d.is_ascii_compatible());
    let spaces_at_end = if wide {
        value.ends_with(b" ") || value.ends_with(b" \0")
    } else {
        value.ends_with(b" ")
    };
    if !spaces_at_end {
        return Ok(());
    }
    match &column.to {
        ColumnType::Char { .. } => Err(PADDING),
        ColumnType::VarChar { length, .. } => {
            if value.len() <= *length as usize {
                return Ok(());
            }
            let characters = as_utf8(column, value)?.chars().count();
            if characters as u64 <= u64::from(*length) {
                Ok(())
            } else {
                Err(LONG)
            }
        }
        ColumnType::Text { tier, charset, .. } => {
            if is_utf8(charset) {
                fits_tier(as_utf8(column, value)?.len(), *tier)
            } else {
                // No character set of these servers needs more than four bytes for a character.
                let most = as_utf8(column, value)?
                    .chars()
                    .count()
                    .saturating_mul(4)
                    .max(value.len());
                fits_tier(most, *tier)
            }
        }
        _ => Ok(()),
    }
}

fn binary<F: Form>(out: &mut Vec<u8>, value: &[u8], to: &ColumnType) -> Result<(), Unfit> {
    match to {
        ColumnType::Binary { length } => {
            if value.len() > *length as usize {
                return Err(LONG);
            }
            if value.len() < *length as usize {
                return Err(PADDING);
            }
        }
        ColumnType::VarBinary { length } if value.len() > *length as usize => return Err(LONG),
        ColumnType::Blob { tier } => fits_tier(value.len(), *tier)?,
        ColumnType::VarBinary { .. } => {}
        _ => return Err(KIND),
    }
    F::bytes(out, value);
    Ok(())
}

fn member<F: Form>(out: &mut Vec<u8>, column: &ColumnPlan, value: u16) -> Result<bool, Unfit> {
    if let Some(numbers) = &column.members {
        if value == 0 {
            out.push(b'0');
            return Ok(true);
        }
        let number = numbers
            .get(usize::from(value) - 1)
            .copied()
            .flatten()
            .ok_or(MEMBER)?;
        literal::unsigned(out, u64::from(number));
        return Ok(false);
    }
    let label = enum_label(column, value)?;
    match &column.to {
        ColumnType::Char { .. } | ColumnType::VarChar { .. } | ColumnType::Text { .. } => {
            F::text(out, label.as_bytes());
            Ok(false)
        }
        _ => Err(KIND),
    }
}

fn enum_label(column: &ColumnPlan, value: u16) -> Result<&str, Unfit> {
    match &column.from {
        ColumnType::Enum { members, .. } if value > 0 => members
            .get(usize::from(value) - 1)
            .map(String::as_str)
            .ok_or(MEMBER),
        ColumnType::Enum { .. } => Err(Unfit("the empty ENUM value has no label")),
        _ => Err(KIND),
    }
}

fn members<F: Form>(out: &mut Vec<u8>, column: &ColumnPlan, value: u64) -> Result<(), Unfit> {
    let chosen = (0..64u32).filter(|bit| value >> bit & 1 == 1);
    if let Some(numbers) = &column.members {
        let mut bits = 0u64;
        for bit in chosen {
            let number = numbers
                .get(bit as usize)
                .copied()
                .flatten()
                .filter(|n| *n <= 64)
                .ok_or(MEMBER)?;
            bits |= 1 << (number - 1);
        }
        F::set(out, bits);
        return Ok(());
    }
    let ColumnType::Set { members, .. } = &column.from else {
        return Err(KIND);
    };
    let labels: Option<Vec<&str>> = chosen
        .map(|b| members.get(b as usize).map(String::as_str))
        .collect();
    let labels = labels.ok_or(MEMBER)?.join(",");
    match &column.to {
        ColumnType::Char { .. } | ColumnType::VarChar { .. } | ColumnType::Text { .. } => {
            F::text(out, labels.as_bytes());
            Ok(())
        }
        _ => Err(KIND),
    }
}

/// Appends a condition that holds for a key column of exactly this value, usable by an index.
pub(crate) fn equals(out: &mut Vec<u8>, column: &ColumnPlan, value: Value<'_>) -> Result<(), Unfit> {
    out.extend_from_slice(&column.name);
    out.push(b'=');
    key_literal(out, column, value)
}

/// Appends a value as key columns are compared with it. ENUM and SET by label: by number the index
/// would not be used.
pub(crate) fn key_literal(out: &mut Vec<u8>, column: &ColumnPlan, value: Value<'_>) -> Result<(), Unfit> {
    let labels = match (&column.to, value) {
        (ColumnType::Enum { .. }, Value::Enum(0)) => Some(String::new()),
        (ColumnType::Enum { .. }, Value::Enum(v)) => Some(enum_label(column, v)?.to_owned()),
        (ColumnType::Set { .. }, Value::Set(v)) => match &column.from {
            ColumnType::Set { members, .. } => {
                let chosen = (0..64usize).filter(|bit| v >> bit & 1 == 1);
                let labels: Option<Vec<&str>> = chosen.map(|b| members.get(b).map(String::as_str)).collect();
                Some(labels.ok_or(MEMBER)?.join(","))
            }
            _ => return Err(KIND),
        },
        _ => None,
    };
    match labels {
        Some(labels) => literal::text(out, labels.as_bytes()),
        None => compared(out, column, value)?,
    }
    Ok(())
}

/// Appends a value as the server compares a column with it: a FLOAT column is widened, so the literal is too.
fn compared(out: &mut Vec<u8>, column: &ColumnPlan, value: Value<'_>) -> Result<(), Unfit> {
    let start = out.len();
    write(out, column, value)?;
    let wide = match (&column.to, value) {
        (ColumnType::Float, Value::Float(v)) => f64::from(v),
        (ColumnType::Float, Value::Double(v)) => v,
        _ => return Ok(()),
    };
    out.truncate(start);
    literal::double(out, wide);
    Ok(())
}

/// Appends a condition that holds for exactly this value and nothing that merely compares as equal:
/// other case, accents or trailing spaces, the other zero, another form of a JSON document.
pub(crate) fn identical(out: &mut Vec<u8>, column: &ColumnPlan, value: Value<'_>) -> Result<(), Unfit> {
    let name = &column.name;
    if value.is_null() {
        out.extend_from_slice(name);
        // IS NULL also finds the zero date of a NOT NULL column.
        out.extend_from_slice(b"<=>NULL");
        return Ok(());
    }
    match &column.to {
        ColumnType::Char { charset, .. }
        | ColumnType::VarChar { charset, .. }
        | ColumnType::Text { charset, .. } => {
            out.extend_from_slice(b"CAST(");
            out.extend_from_slice(name);
            out.extend_from_slice(b" AS BINARY)<=>CAST(CONVERT(");
            write(out, column, value)?;
            out.extend_from_slice(b" USING ");
            let plain = charset.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            out.extend_from_slice(if plain { charset.as_bytes() } else { b"utf8mb4" });
            out.extend_from_slice(b") AS BINARY)");
        }
        ColumnType::Json => {
            out.extend_from_slice(b"CAST(CAST(");
            out.extend_from_slice(name);
            out.extend_from_slice(b" AS CHAR) AS BINARY)<=>CAST(CAST(CAST(");
            write(out, column, value)?;
            out.extend_from_slice(b" AS JSON) AS CHAR) AS BINARY)");
        }
        ColumnType::Geometry { .. } => {
            out.extend_from_slice(b"CAST(");
            out.extend_from_slice(name);
            out.extend_from_slice(b" AS BINARY)<=>");
            write(out, column, value)?;
        }
        ColumnType::Float | ColumnType::Double => {
            out.extend_from_slice(name);
            out.extend_from_slice(b"<=>");
            compared(out, column, value)?;
            let zero = match value {
                Value::Float(v) if v == 0.0 => Some(v.is_sign_negative()),
                Value::Double(v) if v == 0.0 => Some(v.is_sign_negative()),
                _ => None,
            };
            if let (Some(negative), true) = (zero, column.negative_zero) {
                // The angle of (-1, ±0) is ±π.
                out.extend_from_slice(b" AND ATAN2(");
                out.extend_from_slice(name);
                out.extend_from_slice(if negative { b",-1)<0" } else { b",-1)>0" });
            }
        }
        ColumnType::Enum { .. } | ColumnType::Set { .. } | ColumnType::Bit { .. } => {
            out.extend_from_slice(name);
            out.extend_from_slice(b"+0<=>");
            write(out, column, value)?;
        }
        _ => {
            out.extend_from_slice(name);
            out.extend_from_slice(b"<=>");
            write(out, column, value)?;
        }
    }
    Ok(())
}
