//! Literals of the SQL text: exact, and safe for any content.
//!
//! The sessions send utf8mb4, have no NO_BACKSLASH_ESCAPES and no ANSI_QUOTES.

use oms_core::{CivilDate, CivilDateTime, Duration};

/// Appends a quoted identifier.
pub(crate) fn identifier(out: &mut Vec<u8>, name: &str) {
    out.push(b'`');
    for byte in name.bytes() {
        if byte == b'`' {
            out.push(b'`');
        }
        out.push(byte);
    }
    out.push(b'`');
}

/// Appends a UTF-8 string literal.
pub(crate) fn text(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'\'');
    escape(out, value);
    out.push(b'\'');
}

/// Appends a binary string literal. Nearly as long as the value, where `X''` is twice as long.
pub(crate) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(b"_binary");
    text(out, value);
}

/// Appends a literal of a character set by its bytes: `_gbk X'…'`. As hexadecimal digits, because the
/// server reads the statement as utf8mb4 and this value is not.
pub(crate) fn introduced(out: &mut Vec<u8>, charset: &str, value: &[u8]) {
    out.push(b'_');
    out.extend_from_slice(charset.as_bytes());
    out.push(b' ');
    hexadecimal(out, value);
}

/// Appends `X'…'`.
pub(crate) fn hexadecimal(out: &mut Vec<u8>, value: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(b"X'");
    out.reserve(value.len() * 2 + 1);
    for byte in value {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    out.push(b'\'');
}

fn escape(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    while let Some(at) = memchr::memchr3(b'\'', b'\\', 0, rest) {
        let (clean, special) = rest.split_at(at);
        out.extend_from_slice(clean);
        match special.first() {
            Some(0) => out.extend_from_slice(b"\\0"),
            Some(byte) => out.extend_from_slice(&[b'\\', *byte]),
            None => {}
        }
        rest = special.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Appends an unsigned number.
pub(crate) fn unsigned(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Appends a finite number so that it is read back with the same bits, the sign of zero included:
/// the shortest digits that restore it, with an exponent, because without one it would be a DECIMAL.
pub(crate) fn double(out: &mut Vec<u8>, value: f64) {
    let mut buffer = ryu::Buffer::new();
    let digits = buffer.format_finite(value);
    out.extend_from_slice(digits.as_bytes());
    if !digits.contains(['e', 'E']) {
        out.extend_from_slice(b"e0");
    }
}

/// Appends a finite number of single precision for a FLOAT column: the shortest digits that restore it where the
/// server, which reads them as double precision first, comes to the same bits.
///
/// A column of FLOAT(M,D) may refuse the digits of the same number as a double: 9999.999 is 9999.9990234375.
pub(crate) fn single(out: &mut Vec<u8>, value: f32) {
    let mut buffer = ryu::Buffer::new();
    let digits = buffer.format_finite(value);
    let read = digits
        .parse::<f64>()
        .ok()
        .filter(|read| read.abs() <= f64::from(f32::MAX) && (*read as f32).to_bits() == value.to_bits());
    if read.is_none() {
        return double(out, f64::from(value));
    }
    out.extend_from_slice(digits.as_bytes());
    if !digits.contains(['e', 'E']) {
        out.extend_from_slice(b"e0");
    }
}

fn two(out: &mut Vec<u8>, value: u8) {
    out.extend_from_slice(&[b'0' + value / 10 % 10, b'0' + value % 10]);
}

fn four(out: &mut Vec<u8>, value: u16) {
    two(out, (value / 100 % 100) as u8);
    two(out, (value % 100) as u8);
}

fn fraction(out: &mut Vec<u8>, micros: u32, digits: u8) {
    if digits == 0 {
        return;
    }
    let mut text = [b'0'; 6];
    let mut rest = micros;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.push(b'.');
    out.extend_from_slice(text.get(..usize::from(digits.min(6))).unwrap_or(&text));
}

/// Appends a date, without quotes like all that follow.
pub(crate) fn date(out: &mut Vec<u8>, value: CivilDate) {
    four(out, value.year);
    out.push(b'-');
    two(out, value.month);
    out.push(b'-');
    two(out, value.day);
}

/// Appends a date and time with `digits` digits of the fraction.
pub(crate) fn date_time(out: &mut Vec<u8>, value: CivilDateTime, digits: u8) {
    date(out, value.date);
    out.push(b' ');
    two(out, value.hour);
    out.push(b':');
    two(out, value.minute);
    out.push(b':');
    two(out, value.second);
    fraction(out, value.micros, digits);
}

/// Appends a span of time with `digits` digits of the fraction.
pub(crate) fn time(out: &mut Vec<u8>, value: Duration, digits: u8) {
    let micros = value.0.unsigned_abs();
    let seconds = micros / 1_000_000;
    if value.0 < 0 {
        out.push(b'-');
    }
    if seconds / 3_600 < 10 {
        out.push(b'0');
    }
    unsigned(out, seconds / 3_600);
    out.push(b':');
    two(out, (seconds / 60 % 60) as u8);
    out.push(b':');
    two(out, (seconds % 60) as u8);
    fraction(out, (micros % 1_000_000) as u32, digits);
}

/// Appends a year. Always four digits: one or two mean years of this century to the server.
pub(crate) fn year(out: &mut Vec<u8>, value: u16) {
    four(out, value);
}

/// Whether `micros` has no more than `digits` digits behind the point.
pub(crate) fn fits_fraction(micros: u32, digits: u8) -> bool {
    let unit = 10u32.pow(u32::from(6 - digits.min(6)));
    micros.is_multiple_of(unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// The server's reading of a quoted literal.
    fn unescape(quoted: &[u8]) -> Vec<u8> {
        let inner = &quoted[1..quoted.len() - 1];
        let mut out = Vec::new();
        let mut bytes = inner.iter();
        while let Some(b) = bytes.next() {
            match b {
                b'\\' => match bytes.next() {
                    Some(b'0') => out.push(0),
                    Some(other) => out.push(*other),
                    None => panic!("the quote is escaped"),
                },
                b'\'' => panic!("a bare quote"),
                other => out.push(*other),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(value in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut out = Vec::new();
            text(&mut out, &value);
            prop_assert_eq!(unescape(&out), value);
        }

        #[test]
        fn doubles_come_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let literal = made(|o| double(o, value));
            prop_assert!(literal.contains(['e', 'E']));
            prop_assert_eq!(literal.parse::<f64>().unwrap().to_bits(), bits);
        }

        #[test]
        fn singles_come_back_through_doubles(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            let widened = made(|o| double(o, f64::from(value)));
            prop_assert_eq!((widened.parse::<f64>().unwrap() as f32).to_bits(), bits);
            let literal = made(|o| single(o, value));
            prop_assert!(literal.contains(['e', 'E']) && literal.len() <= widened.len());
            let read = literal.parse::<f64>().unwrap();
            prop_assert!(read.abs() <= f64::from(f32::MAX));
            prop_assert_eq!((read as f32).to_bits(), bits);
        }

        #[test]
        fn numbers_are_decimal(b in any::<u64>()) {
            prop_assert_eq!(made(|o| unsigned(o, b)), b.to_string());
        }
    }

    #[test]
    fn shapes() {
        assert_eq!(made(|o| identifier(o, "a`b")), "`a``b`");
        assert_eq!(made(|o| double(o, -0.0)), "-0.0e0");
        assert_eq!(made(|o| single(o, -9999.999)), "-9999.999e0");
        assert_eq!(made(|o| single(o, f32::MAX)), "3.4028234663852886e38");
        assert_eq!(made(|o| introduced(o, "gbk", &[0x81, 0x5c])), "_gbk X'815C'");
        assert_eq!(made(|o| year(o, 0)), "0000");
        let time_of = |micros| made(|o| time(o, Duration(micros), 6));
        assert_eq!(time_of(-3_020_399_000_000), "-838:59:59.000000");
        assert_eq!(time_of(-1), "-00:00:00.000001");
        assert!(fits_fraction(120_000, 2) && !fits_fraction(123_000, 2) && fits_fraction(0, 0));
        let partial = CivilDateTime {
            date: CivilDate {
                year: 2024,
                month: 5,
                day: 0,
            },
            ..Default::default()
        };
        assert_eq!(made(|o| date_time(o, partial, 3)), "2024-05-00 00:00:00.000");
    }
}
