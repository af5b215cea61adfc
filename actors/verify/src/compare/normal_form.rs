//! Values in a form that both sides share, and keys in the form of the other side.

use std::borrow::Cow;

use oms_core::{CivilDateTime, ColumnType, RowBuilder, Value};

use super::{
    charsets::Charsets,
    column_rule::{Form, is_utf8_family, same_charset_family, text_charset},
    json,
};
use crate::Side;

/// First byte of a form. Values that have no form keep their encoding under a tag of their side, so
/// that they never equal one of the other side.
const NULL: u8 = 0;
const NORMAL: u8 = 1;
const RAW: u8 = 2;
const EMPTY_MEMBER: u8 = 3;

/// Appends the form of a value.
pub(super) fn push(
    form: Form,
    side: Side,
    ty: &ColumnType,
    value: Value<'_>,
    charsets: &dyn Charsets,
    out: &mut Vec<u8>,
) {
    if value.is_null() {
        out.push(NULL);
        return;
    }
    let done = match form {
        Form::Same => false,
        Form::Exact => exact(value).map(|text| put(out, text.as_bytes())).is_some(),
        Form::Real => real(value)
            .map(|v| put(out, &v.to_bits().to_le_bytes()))
            .is_some(),
        Form::Text => text(ty, value, charsets)
            .map(|t| put(out, t.as_bytes()))
            .is_some(),
        Form::Label => match (value, label(ty, value)) {
            (Value::Enum(0), _) => {
                out.push(EMPTY_MEMBER);
                true
            }
            (_, Some(label)) => {
                put(out, label.as_bytes());
                true
            }
            _ => false,
        },
        Form::Labels => match labels(ty, value) {
            Some(mut labels) => {
                labels.sort_unstable();
                out.push(NORMAL);
                for label in labels {
                    out.extend_from_slice(&(label.len() as u64).to_le_bytes());
                    out.extend_from_slice(label.as_bytes());
                }
                true
            }
            None => false,
        },
        Form::Json => text(ty, value, charsets)
            .and_then(|t| json::canonical(&t))
            .map(|c| put(out, &c))
            .is_some(),
        Form::Moment => moment(value)
            .map(|m| put_value(out, Value::DateTime(m)))
            .is_some(),
    };
    if !done {
        if form != Form::Same {
            // It has no meaning that the other side could share: equal only to itself.
            out.extend_from_slice(&[RAW, side as u8]);
        }
        put_value(out, value);
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(NORMAL);
    out.extend_from_slice(bytes);
}

fn put_value(out: &mut Vec<u8>, value: Value<'_>) {
    // A row of one value cannot fail but by size, and then nothing equal could be built either.
    if let Ok(row) = RowBuilder::build([value].into_iter()) {
        out.extend_from_slice(row.cell(0));
    }
}

/// Exact numbers without leading and trailing zeros.
fn exact(value: Value<'_>) -> Option<String> {
    let text: Cow<'_, str> = match value {
        Value::Int(v) => v.to_string().into(),
        Value::UInt(v) | Value::Bit(v) => v.to_string().into(),
        Value::Year(v) => v.to_string().into(),
        // Beyond 2^53 several integers are one double.
        Value::Double(v) if v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0 => {
            (v as i64).to_string().into()
        }
        Value::Decimal(v) => v.into(),
        _ => return None,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.as_ref()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let zero = whole.is_empty() && fraction.is_empty();
    Some(format!(
        "{}{whole}.{fraction}",
        if negative && !zero { "-" } else { "" }
    ))
}

fn real(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Float(v) => Some(f64::from(v)),
        Value::Double(v) => Some(v),
        _ => None,
    }
}

fn moment(value: Value<'_>) -> Option<CivilDateTime> {
    match value {
        Value::Date(date) => Some(CivilDateTime {
            date,
            ..CivilDateTime::default()
        }),
        Value::DateTime(v) => Some(v),
        _ => None,
    }
}

/// The characters of a value; of ENUM and SET their text.
pub(crate) fn text<'v>(
    ty: &'v ColumnType,
    value: Value<'v>,
    charsets: &dyn Charsets,
) -> Option<Cow<'v, str>> {
    match value {
        Value::Text(bytes) => {
            let charset = text_charset(ty);
            if is_utf8_family(charset) {
                std::str::from_utf8(bytes).ok().map(Cow::Borrowed)
            } else {
                charsets.decode(charset, bytes).map(Cow::Owned)
            }
        }
        Value::Json(text) => Some(Cow::Borrowed(text)),
        Value::Enum(0) => Some(Cow::Borrowed("")),
        Value::Enum(_) => label(ty, value).map(Cow::Borrowed),
        Value::Set(_) => labels(ty, value).map(|l| Cow::Owned(l.join(","))),
        _ => None,
    }
}

/// The label of a valid ENUM member.
pub(crate) fn label<'t>(ty: &'t ColumnType, value: Value<'_>) -> Option<&'t str> {
    match (ty, value) {
        (ColumnType::Enum { members, .. }, Value::Enum(n)) => {
            members.get(usize::from(n).checked_sub(1)?).map(String::as_str)
        }
        _ => None,
    }
}

/// The labels of a SET value in the order of the definition.
pub(crate) fn labels<'t>(ty: &'t ColumnType, value: Value<'_>) -> Option<Vec<&'t str>> {
    match (ty, value) {
        (ColumnType::Set { members, .. }, Value::Set(bits)) => (0..64usize)
            .filter(|bit| bits >> bit & 1 == 1)
            .map(|bit| members.get(bit).map(String::as_str))
            .collect(),
        _ => None,
    }
}

/// Appends a key value as a value of the other side's column. Texts that need it become UTF-8; the
/// definition that a lookup is made with says so (see `KeyRule`).
pub(super) fn convert(
    form: Form,
    from: &ColumnType,
    to: &ColumnType,
    value: Value<'_>,
    charsets: &dyn Charsets,
    out: &mut RowBuilder,
) -> bool {
    let converted = match form {
        Form::Same => Some(value),
        Form::Exact => match (value, to) {
            (Value::UInt(n), ColumnType::Year) => u16::try_from(n).ok().map(Value::Year),
            (Value::Int(n), ColumnType::Year) => u16::try_from(n).ok().map(Value::Year),
            (Value::Bit(n), _) => Some(Value::UInt(n)),
            (Value::Year(n), _) => Some(Value::UInt(u64::from(n))),
            (other, _) => Some(other),
        },
        Form::Real | Form::Json => None,
        Form::Text => {
            if let Value::Text(bytes) = value
                && let (Some(a), Some(b)) = (from.charset(), to.charset())
                && same_charset_family(a, b)
                && !matches!(to, ColumnType::Enum { .. } | ColumnType::Set { .. })
            {
                out.push(Value::Text(bytes));
                return true;
            }
            let Some(text) = text(from, value, charsets) else {
                return false;
            };
            match to {
                ColumnType::Enum { members, .. } => member(members, &text).map(Value::Enum),
                ColumnType::Set { members, .. } => set(members, text.split(',').filter(|l| !l.is_empty())),
                _ => {
                    out.push(Value::Text(text.as_bytes()));
                    return true;
                }
            }
        }
        Form::Label => match (value, to) {
            (Value::Enum(0), _) => Some(value),
            (_, ColumnType::Enum { members, .. }) => label(from, value)
                .and_then(|l| member(members, l))
                .map(Value::Enum),
            _ => None,
        },
        Form::Labels => match to {
            ColumnType::Set { members, .. } => labels(from, value).and_then(|l| set(members, l.into_iter())),
            _ => None,
        },
        Form::Moment => match (value, to) {
            (Value::Date(_), ColumnType::DateTime { .. }) => moment(value).map(Value::DateTime),
            (Value::DateTime(v), ColumnType::Date)
                if v == (CivilDateTime {
                    date: v.date,
                    ..Default::default()
                }) =>
            {
                Some(Value::Date(v.date))
            }
            _ => None,
        },
    };
    match converted {
        Some(value) => {
            out.push(value);
            true
        }
        None => false,
    }
}

fn member(members: &[String], label: &str) -> Option<u16> {
    members
        .iter()
        .position(|m| m == label)
        .and_then(|i| u16::try_from(i + 1).ok())
}

fn set<'l>(members: &[String], labels: impl Iterator<Item = &'l str>) -> Option<Value<'static>> {
    let mut bits = 0u64;
    for label in labels {
        let at = members.iter().position(|m| m == label).filter(|i| *i < 64)?;
        bits |= 1 << at;
    }
    Some(Value::Set(bits))
}
