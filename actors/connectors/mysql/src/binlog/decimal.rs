//! Exact numbers: groups of nine digits in four bytes, big endian, complemented when negative, the
//! sign in the top bit (`decimal2bin` of the servers).

use super::{bytes_reader::Reader, error::EventError};

/// Bytes of so many digits that do not fill a group.
const PARTIAL: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

fn partial(digits: usize) -> usize {
    PARTIAL.get(digits).copied().unwrap_or_default()
}

/// Bytes of a number.
pub(crate) fn stored_length(precision: u8, scale: u8) -> usize {
    let whole = usize::from(precision.saturating_sub(scale));
    let scale = usize::from(scale);
    whole / 9 * 4 + partial(whole % 9) + scale / 9 * 4 + partial(scale % 9)
}

/// Appends the canonical text of a number to `out`.
pub(crate) fn read(r: &mut Reader<'_>, precision: u8, scale: u8, out: &mut String) -> Result<(), EventError> {
    let whole = usize::from(precision.saturating_sub(scale));
    let scale = usize::from(scale);
    let mut buffer = [0u8; 40];
    let stored = r.take(stored_length(precision, scale as u8))?;
    let Some(bytes) = buffer.get_mut(..stored.len()) else {
        return Err(EventError::corrupt("a decimal is too long"));
    };
    bytes.copy_from_slice(stored);
    let Some(first) = bytes.first_mut() else {
        return Err(EventError::corrupt("a decimal without digits"));
    };
    let negative = *first & 0x80 == 0;
    *first ^= 0x80;
    if negative {
        bytes.iter_mut().for_each(|b| *b = !*b);
        out.push('-');
    }
    let mut r = Reader::new(bytes);
    let start = out.len();
    // Leading zeros are left out, but one digit stays in front of the point.
    let group = |r: &mut Reader<'_>, digits: usize, out: &mut String| -> Result<(), EventError> {
        let length = if digits == 9 { 4 } else { partial(digits) };
        let n = r.uint_be(length)?;
        if n >= 10u64.pow(digits as u32) {
            return Err(EventError::corrupt("a decimal has a digit group out of range"));
        }
        push_digits(out, n as u32, digits);
        Ok(())
    };
    if whole % 9 != 0 {
        group(&mut r, whole % 9, out)?;
    }
    for _ in 0..whole / 9 {
        group(&mut r, 9, out)?;
    }
    let zeros = out
        .get(start..)
        .unwrap_or_default()
        .bytes()
        .take_while(|b| *b == b'0')
        .count();
    if zeros == whole {
        out.truncate(start);
        out.push('0');
    } else if zeros > 0 {
        out.drain(start..start + zeros);
    }
    if scale > 0 {
        out.push('.');
        for _ in 0..scale / 9 {
            group(&mut r, 9, out)?;
        }
        if scale % 9 != 0 {
            group(&mut r, scale % 9, out)?;
        }
    }
    Ok(())
}

fn push_digits(out: &mut String, mut n: u32, digits: usize) {
    let mut text = [b'0'; 9];
    for slot in text.iter_mut().take(digits).rev() {
        *slot = b'0' + (n % 10) as u8;
        n /= 10;
    }
    let text = text.get(..digits).unwrap_or_default();
    out.push_str(std::str::from_utf8(text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], precision: u8, scale: u8) -> String {
        let mut out = String::new();
        read(&mut Reader::new(bytes), precision, scale, &mut out).unwrap();
        out
    }

    #[test]
    fn the_example_of_the_servers_source() {
        // 1234567890.1234 in DECIMAL(14,4).
        assert_eq!(
            text(&[0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2], 14, 4),
            "1234567890.1234"
        );
        assert_eq!(
            text(&[0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d], 14, 4),
            "-1234567890.1234"
        );
    }

    #[test]
    fn zeros_and_small_numbers() {
        assert_eq!(text(&[0x80, 0], 3, 1), "0.0");
        assert_eq!(text(&[0x80], 2, 0), "0");
        assert_eq!(text(&[0x80 | 5], 2, 2), "0.05");
        assert_eq!(text(&[0x80, 0, 0, 0, 0x07], 10, 0), "7");
    }

    #[test]
    fn impossible_digits_are_refused() {
        let mut out = String::new();
        assert!(read(&mut Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff]), 10, 0, &mut out).is_err());
        assert!(read(&mut Reader::new(&[0x80]), 65, 30, &mut out).is_err());
    }
}
