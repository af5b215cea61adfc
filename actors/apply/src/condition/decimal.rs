//! Exact decimal numbers as texts: an optional sign, digits, and maybe a point with digits behind it.

use std::cmp::Ordering;

/// Sign, digits before the point without leading zeros, digits behind it without trailing zeros. Zero has no sign.
fn parts(text: &str) -> (bool, &str, &str) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    (
        negative && !(whole.is_empty() && fraction.is_empty()),
        whole,
        fraction,
    )
}

/// Compares two numbers.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let ((a_negative, a_whole, a_fraction), (b_negative, b_whole, b_fraction)) = (parts(a), parts(b));
    match (a_negative, b_negative) {
        (false, true) => return Ordering::Greater,
        (true, false) => return Ordering::Less,
        _ => {}
    }
    let size = (a_whole.len(), a_whole, a_fraction).cmp(&(b_whole.len(), b_whole, b_fraction));
    if a_negative { size.reverse() } else { size }
}

/// The number that a text is; `None` if it is none.
pub(super) fn read(text: &str) -> Option<&str> {
    let text = text.trim_matches(' ');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let some = !whole.is_empty() || !fraction.is_empty();
    (some && is_digits(whole) && is_digits(fraction)).then_some(text)
}

/// The number with exactly `scale` digits behind the point, rounded half away from zero. `None`: it needs more than
/// `precision` digits.
pub(super) fn fit(text: &str, precision: u8, scale: u8) -> Option<String> {
    let (negative, whole, fraction) = parts(text);
    let scale = usize::from(scale);
    let mut digits: Vec<u8> = whole.bytes().collect();
    let kept = fraction.get(..scale.min(fraction.len())).unwrap_or(fraction);
    digits.extend(kept.bytes());
    digits.resize(whole.len() + scale, b'0');
    let up = fraction.as_bytes().get(scale).is_some_and(|d| *d >= b'5');
    if up {
        let mut carry = true;
        for digit in digits.iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                carry = false;
                break;
            }
        }
        if carry {
            digits.insert(0, b'1');
        }
    }
    let all: String = digits.into_iter().map(char::from).collect();
    let (whole, fraction) = all.split_at_checked(all.len() - scale)?;
    let whole = whole.trim_start_matches('0');
    if whole.len() + scale > usize::from(precision) {
        return None;
    }
    let is_zero = whole.is_empty() && fraction.bytes().all(|b| b == b'0');
    let sign = if negative && !is_zero { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    })
}

/// The nearest whole number, half away from zero. `None` if it has too many digits.
pub(super) fn whole(text: &str) -> Option<i128> {
    fit(text, 38, 0)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rounding_and_bounds() {
        for (text, precision, scale, expected) in [
            ("1.005", 10, 2, Some("1.01")),
            ("-1.005", 10, 2, Some("-1.01")),
            ("-0.004", 10, 2, Some("0.00")),
            ("99.95", 3, 1, None),
            ("99.94", 3, 1, Some("99.9")),
            ("9.5", 2, 0, Some("10")),
            ("007.50", 3, 2, Some("7.50")),
            ("0", 1, 0, Some("0")),
            ("0.5", 2, 2, Some("0.50")),
        ] {
            assert_eq!(fit(text, precision, scale).as_deref(), expected, "{text}");
        }
        for (text, is) in [
            ("", false),
            (".", false),
            ("-.5", true),
            ("5.", true),
            (" 7 ", true),
            ("1e3", false),
            ("--1", false),
        ] {
            assert_eq!(read(text).is_some(), is, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn ordered_as_numbers(a in -100_000i64..100_000, b in -100_000i64..100_000) {
            let text = |n: i64| format!("{}{}.{:03}", if n < 0 { "-" } else { "" }, n.abs() / 1000, n.abs() % 1000);
            prop_assert_eq!(compare(&text(a), &text(b)), a.cmp(&b));
        }
    }
}
