//! The order of keys where it is the same on both sides.

use std::cmp::Ordering;

use oms_core::{ColumnType, Value};

use super::column_rule::{ColumnRule, Form, same_charset_family};

/// How a key column is ordered on both sides alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Numbers, times, bytes.
    Natural,
    /// Bytes of text, the shorter one filled up with spaces.
    Padded,
}

/// The common order of a key column; `None` when there is none or it is not known to be one.
///
/// Text needs a `_bin` collation of a character set whose byte order is its code order, with equal
/// padding on both sides. MariaDB's UUID is ordered by rearranged bytes, its INETs by address.
pub(super) fn common(rule: &ColumnRule) -> Option<Order> {
    let (a, b) = (&rule.source_type, &rule.destination_type);
    match rule.form {
        Form::Same | Form::Exact | Form::Moment => {}
        _ => return None,
    }
    match a {
        ColumnType::Char { .. } | ColumnType::VarChar { .. } | ColumnType::Text { .. } => {
            let (x, y) = (binary_text(a)?, binary_text(b)?);
            (x == y && same_charset_family(a.charset()?, b.charset()?)).then_some(x)
        }
        ColumnType::Uuid | ColumnType::Inet4 | ColumnType::Inet6 => None,
        ColumnType::Float | ColumnType::Double | ColumnType::Json | ColumnType::Geometry { .. } => None,
        _ if matches!(b, ColumnType::Double) => None,
        _ => Some(Order::Natural),
    }
}

fn binary_text(ty: &ColumnType) -> Option<Order> {
    let charset = ty.charset()?.to_ascii_lowercase();
    let collation = ty.collation()?.to_ascii_lowercase();
    if !matches!(
        charset.as_str(),
        "utf8" | "utf8mb3" | "utf8mb4" | "ascii" | "latin1"
    ) || !collation.ends_with("_bin")
    {
        return None;
    }
    let unpadded = collation.contains("_0900_") || collation.contains("nopad");
    Some(if unpadded { Order::Natural } else { Order::Padded })
}

/// Compares two values of a key column, of either side. `None`: they have no order, so the caller
/// must not rely on one.
pub(super) fn compare(order: Order, a: Value<'_>, b: Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Text(x), Value::Text(y)) if order == Order::Padded => Some(padded(x, y)),
        (Value::Text(x), Value::Text(y)) | (Value::Bytes(x), Value::Bytes(y)) => Some(x.cmp(y)),
        (Value::Date(x), Value::Date(y)) => Some(x.cmp(&y)),
        (Value::DateTime(x), Value::DateTime(y)) => Some(x.cmp(&y)),
        (Value::Date(x), Value::DateTime(y)) => Some(x.cmp(&y.date).then(
            if y == (oms_core::CivilDateTime {
                date: y.date,
                ..Default::default()
            }) {
                Ordering::Equal
            } else {
                Ordering::Less
            },
        )),
        (Value::DateTime(_), Value::Date(_)) => compare(order, b, a).map(Ordering::reverse),
        (Value::Timestamp(x), Value::Timestamp(y)) => Some(x.cmp(&y)),
        (Value::Time(x), Value::Time(y)) => Some(x.cmp(&y)),
        (Value::Decimal(x), Value::Decimal(y)) => Some(decimals(x, y)),
        (Value::Decimal(x), y) => Some(decimals(x, &integer(y)?.to_string())),
        (x, Value::Decimal(y)) => Some(decimals(&integer(x)?.to_string(), y)),
        _ => Some(integer(a)?.cmp(&integer(b)?)),
    }
}

fn integer(value: Value<'_>) -> Option<i128> {
    match value {
        Value::Int(v) => Some(v.into()),
        Value::UInt(v) | Value::Bit(v) | Value::Set(v) => Some(v.into()),
        Value::Year(v) | Value::Enum(v) => Some(v.into()),
        _ => None,
    }
}

fn padded(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.len().min(b.len());
    let (a_head, a_tail) = a.split_at(common);
    let (b_head, b_tail) = b.split_at(common);
    let with_spaces = |tail: &[u8]| {
        let other = tail.iter().find(|byte| **byte != b' ');
        other.map_or(Ordering::Equal, |byte| byte.cmp(&b' '))
    };
    a_head
        .cmp(b_head)
        .then_with(|| with_spaces(a_tail).then(with_spaces(b_tail).reverse()))
}

fn decimals(a: &str, b: &str) -> Ordering {
    fn parts(text: &str) -> (bool, &str, &str) {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        (
            negative,
            whole.trim_start_matches('0'),
            fraction.trim_end_matches('0'),
        )
    }
    let ((an, aw, af), (bn, bw, bf)) = (parts(a), parts(b));
    let magnitude = aw
        .len()
        .cmp(&bw.len())
        .then_with(|| aw.cmp(bw))
        .then_with(|| af.cmp(bf));
    let zero = |whole: &str, fraction: &str| whole.is_empty() && fraction.is_empty();
    let (an, bn) = (an && !zero(aw, af), bn && !zero(bw, bf));
    match (an, bn) {
        (true, true) => magnitude.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => magnitude,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decimals_are_ordered_as_numbers(a in -99_999i64..99_999, b in -99_999i64..99_999) {
            let text = |n: i64| format!("{}{}.{:02}", if n < 0 { "-" } else { "" }, n.abs() / 100, n.abs() % 100);
            prop_assert_eq!(decimals(&text(a), &text(b)), a.cmp(&b));
        }

        #[test]
        fn padding_is_as_if_spaces_were_there(a in "[a \t]{0,5}", b in "[a \t]{0,5}") {
            let full = |t: &str| format!("{t:<9}");
            prop_assert_eq!(padded(a.as_bytes(), b.as_bytes()), full(&a).as_bytes().cmp(full(&b).as_bytes()));
        }
    }

    #[test]
    fn mixed_kinds_compare_as_numbers() {
        let less = |a, b| assert_eq!(compare(Order::Natural, a, b), Some(Ordering::Less));
        less(Value::Int(-1), Value::UInt(u64::MAX));
        less(Value::Decimal("1.50"), Value::Int(2));
        less(Value::Bit(3), Value::Decimal("3.1"));
        assert_eq!(compare(Order::Natural, Value::Int(1), Value::Text(b"1")), None);
    }
}
