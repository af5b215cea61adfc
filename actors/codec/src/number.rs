//! Numbers as Java writes them. Exact ones are copied digit by digit, never through a float.

use std::io::Write;

/// Appends an integer.
pub(crate) fn signed(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(value.unsigned_abs(), out);
}

/// Appends an integer.
pub(crate) fn unsigned(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// How an exact number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notation {
    /// As `BigDecimal.toString`: with an exponent where it is below a millionth.
    Java,
    /// As `BigDecimal.toPlainString`: never with an exponent.
    Plain,
}

/// Appends an exact number in the canonical text of [`oms_core::Value::Decimal`]. All digits of the scale are kept.
pub(crate) fn decimal(text: &str, notation: Notation, out: &mut Vec<u8>) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let leading = whole.trim_start_matches('0');
    let behind = fraction.trim_start_matches('0');
    let zero = leading.is_empty() && behind.is_empty();
    if negative && !zero {
        out.push(b'-');
    }
    let precision = if leading.is_empty() {
        behind.len().max(1)
    } else {
        leading.len() + fraction.len()
    };
    let below = fraction.len() + 1 - precision.min(fraction.len() + 1);
    if notation == Notation::Plain || below <= 6 {
        out.extend_from_slice(if leading.is_empty() {
            b"0"
        } else {
            leading.as_bytes()
        });
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction.as_bytes());
        }
        return;
    }
    scientific(if zero { "0" } else { behind }, -(below as i64), true, out);
}

/// `d[.ddd]E±n`.
fn scientific(digits: &str, exponent: i64, plus: bool, out: &mut Vec<u8>) {
    let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
    out.extend_from_slice(first.as_bytes());
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest.as_bytes());
    }
    out.push(b'E');
    if plus && exponent >= 0 {
        out.push(b'+');
    }
    signed(exponent, out);
}

/// Significant digits of FLOAT in OMS's formats.
pub(crate) const FLOAT_DIGITS: usize = 7;
/// Significant digits of DOUBLE in OMS's formats.
pub(crate) const DOUBLE_DIGITS: usize = 16;

/// Appends a float rounded (half to even) to so many significant digits, without zeros at the end of its
/// fraction. Whole numbers of no more digits have neither point nor exponent. `false`: it is not finite.
pub(crate) fn significant(value: f64, digits: usize, notation: Notation, out: &mut Vec<u8>) -> bool {
    if !value.is_finite() {
        return false;
    }
    let mut buffer = [0u8; 48];
    let mut rest = &mut buffer[..];
    if write!(rest, "{:.*e}", digits.saturating_sub(1), value.abs()).is_err() {
        return false;
    }
    let free = rest.len();
    let used = buffer.len() - free;
    let Some((mantissa, exponent)) = parts(&buffer[..used]) else {
        return false;
    };
    let text = mantissa.text();
    let text = text.trim_end_matches('0');
    if text.is_empty() {
        out.push(b'0');
        return true;
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let whole = exponent >= text.len() as i64 - 1;
    let plain = notation == Notation::Plain
        || if whole {
            exponent < digits as i64
        } else {
            exponent >= -6
        };
    if plain {
        place(text, exponent, out);
    } else {
        scientific(text, exponent, true, out);
    }
    true
}

/// Appends a float as `Double.toString` and `Float.toString` do: the fewest digits that mean it, always a
/// fraction, an exponent below a thousandth and from ten millions on. `false`: it is not finite.
pub(crate) fn shortest(value: Shortest, out: &mut Vec<u8>) -> bool {
    let mut buffer = [0u8; 48];
    let mut rest = &mut buffer[..];
    let (written, finite, negative) = match value {
        Shortest::Single(v) => (write!(rest, "{:e}", v.abs()), v.is_finite(), v.is_sign_negative()),
        Shortest::Double(v) => (write!(rest, "{:e}", v.abs()), v.is_finite(), v.is_sign_negative()),
    };
    if written.is_err() || !finite {
        return false;
    }
    let free = rest.len();
    let used = buffer.len() - free;
    let Some((mantissa, exponent)) = parts(&buffer[..used]) else {
        return false;
    };
    if negative {
        out.push(b'-');
    }
    let text = mantissa.text();
    if text.bytes().all(|b| b == b'0') {
        out.extend_from_slice(b"0.0");
    } else if (-3..7).contains(&exponent) {
        place(text, exponent, out);
        if exponent >= text.len() as i64 - 1 {
            out.extend_from_slice(b".0");
        }
    } else {
        let (first, rest) = text.split_at_checked(1).unwrap_or((text, ""));
        out.extend_from_slice(first.as_bytes());
        out.push(b'.');
        out.extend_from_slice(if rest.is_empty() { b"0" } else { rest.as_bytes() });
        out.push(b'E');
        signed(exponent, out);
    }
    true
}

/// A float, of either width.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shortest {
    /// FLOAT.
    Single(f32),
    /// DOUBLE.
    Double(f64),
}

/// The digits of a mantissa without their point.
struct Mantissa {
    digits: [u8; 24],
    len: usize,
}

impl Mantissa {
    fn text(&self) -> &str {
        self.digits
            .get(..self.len)
            .and_then(|d| std::str::from_utf8(d).ok())
            .unwrap_or_default()
    }
}

/// Takes `d.ddde-x` apart.
fn parts(text: &[u8]) -> Option<(Mantissa, i64)> {
    let text = std::str::from_utf8(text).ok()?;
    let (mantissa, exponent) = text.split_once('e')?;
    let mut digits = [0u8; 24];
    let mut len = 0;
    for byte in mantissa.bytes().filter(u8::is_ascii_digit) {
        *digits.get_mut(len)? = byte;
        len += 1;
    }
    Some((Mantissa { digits, len }, exponent.parse().ok()?))
}

/// Writes `d.ddd × 10^exponent` without an exponent.
fn place(digits: &str, exponent: i64, out: &mut Vec<u8>) {
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        out.extend_from_slice(digits.as_bytes());
        return;
    }
    let whole = exponent as usize + 1;
    match digits.split_at_checked(whole) {
        Some((front, "")) => out.extend_from_slice(front.as_bytes()),
        Some((front, behind)) => {
            out.extend_from_slice(front.as_bytes());
            out.push(b'.');
            out.extend_from_slice(behind.as_bytes());
        }
        None => {
            out.extend_from_slice(digits.as_bytes());
            out.extend(std::iter::repeat_n(b'0', whole - digits.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_are_those_of_java() {
        // Results of BigDecimal(x).toString() and toPlainString().
        for (given, java, plain) in [
            ("12.5000", "12.5000", "12.5000"),
            ("0.0000", "0.0000", "0.0000"),
            ("0.00000000", "0E-8", "0.00000000"),
            ("0.000000", "0.000000", "0.000000"),
            ("0.0000000", "0E-7", "0.0000000"),
            ("-0.00000012", "-1.2E-7", "-0.00000012"),
            ("0.00000123", "0.00000123", "0.00000123"),
            ("0.000000123", "1.23E-7", "0.000000123"),
            ("-0.00", "0.00", "0.00"),
            ("0", "0", "0"),
            (
                "18446744073709551615.0000000001",
                "18446744073709551615.0000000001",
                "18446744073709551615.0000000001",
            ),
            (
                "-99999999999999999999999999999999999999",
                "-99999999999999999999999999999999999999",
                "-99999999999999999999999999999999999999",
            ),
        ] {
            assert_eq!(text(|o| decimal(given, Notation::Java, o)), java);
            assert_eq!(text(|o| decimal(given, Notation::Plain, o)), plain);
        }
    }

    #[test]
    fn floats_have_their_significant_digits() {
        let f = |v: f64, d, n| text(|o| assert!(significant(v, d, n, o)));
        assert_eq!(f(f64::from(0.1f32), 7, Notation::Java), "0.1");
        assert_eq!(f(f64::from(4_194_304.5f32), 7, Notation::Java), "4194304");
        assert_eq!(f(f64::from(4_194_305.5f32), 7, Notation::Java), "4194306");
        assert_eq!(f(0.1 + 0.2, 16, Notation::Java), "0.3");
        assert_eq!(
            f("9.999999999999999e-308".parse().unwrap(), 16, Notation::Java),
            "9.999999999999999E-308"
        );
        assert_eq!(f(-0.0, 16, Notation::Java), "0");
        assert_eq!(f(100.0, 16, Notation::Java), "100");
        assert_eq!(f(1e15, 16, Notation::Java), "1000000000000000");
        assert_eq!(f(1e16, 16, Notation::Java), "1E+16");
        assert_eq!(f(-1.5e20, 16, Notation::Java), "-1.5E+20");
        assert_eq!(f(-1.5e20, 16, Notation::Plain), "-150000000000000000000");
        assert_eq!(f(1.5e-7, 16, Notation::Java), "1.5E-7");
        assert_eq!(f(1.5e-7, 16, Notation::Plain), "0.00000015");
        assert_eq!(f(1.5e-6, 16, Notation::Java), "0.0000015");
        assert!(!significant(f64::NAN, 16, Notation::Java, &mut Vec::new()));
    }

    #[test]
    fn shortest_floats_are_those_of_java() {
        let f = |v| text(|o| assert!(shortest(Shortest::Double(v), o)));
        for (v, java) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.00099, "9.9E-4"),
            (9_999_999.5, "9999999.5"),
            (1e7, "1.0E7"),
            (1.25e-10, "1.25E-10"),
            (123.456, "123.456"),
            (f64::MAX, "1.7976931348623157E308"),
        ] {
            assert_eq!(f(v), java);
        }
        assert_eq!(text(|o| assert!(shortest(Shortest::Single(0.1), o))), "0.1");
    }

    proptest! {
        #[test]
        fn sixteen_digits_come_back_near(v in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let out = text(|o| assert!(significant(v, 16, Notation::Java, o)));
            let back: f64 = out.parse().unwrap();
            prop_assert!((back - v).abs() <= v.abs() * 1e-15 || back == v);
        }

        #[test]
        fn shortest_comes_back(v in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let out = text(|o| assert!(shortest(Shortest::Double(v), o)));
            prop_assert_eq!(out.parse::<f64>().unwrap().to_bits(), v.to_bits());
        }

        #[test]
        fn integers_are_exact(v in any::<i64>(), u in any::<u64>()) {
            prop_assert_eq!(text(|o| signed(v, o)), v.to_string());
            prop_assert_eq!(text(|o| unsigned(u, o)), u.to_string());
        }
    }
}
