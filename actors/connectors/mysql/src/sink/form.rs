//! The two forms in which values reach the server.

use super::literal;

/// How a value is written that is known to fit.
pub(crate) trait Form {
    /// Appends NULL.
    fn null(out: &mut Vec<u8>);
    /// Appends characters, in UTF-8.
    fn text(out: &mut Vec<u8>, value: &[u8]);
    /// Appends bytes.
    fn bytes(out: &mut Vec<u8>, value: &[u8]);
    /// Appends characters of another character set.
    fn introduced(out: &mut Vec<u8>, charset: &str, value: &[u8]);
    /// Appends the value of a BIT column.
    fn bits(out: &mut Vec<u8>, value: u64);
    /// Appends the number of a SET.
    fn set(out: &mut Vec<u8>, value: u64);
    /// Appends a date or time that `plain` writes.
    fn moment(out: &mut Vec<u8>, plain: impl FnOnce(&mut Vec<u8>));
}

/// As a literal of a statement.
#[derive(Debug)]
pub(crate) enum Literal {}

impl Form for Literal {
    fn null(out: &mut Vec<u8>) {
        out.extend_from_slice(b"NULL");
    }

    fn text(out: &mut Vec<u8>, value: &[u8]) {
        literal::text(out, value);
    }

    fn bytes(out: &mut Vec<u8>, value: &[u8]) {
        literal::bytes(out, value);
    }

    fn introduced(out: &mut Vec<u8>, charset: &str, value: &[u8]) {
        literal::introduced(out, charset, value);
    }

    fn bits(out: &mut Vec<u8>, value: u64) {
        literal::unsigned(out, value);
    }

    fn set(out: &mut Vec<u8>, value: u64) {
        literal::unsigned(out, value);
    }

    fn moment(out: &mut Vec<u8>, plain: impl FnOnce(&mut Vec<u8>)) {
        out.push(b'\'');
        plain(out);
        out.push(b'\'');
    }
}

/// As a field of the text of `LOAD DATA … CHARACTER SET binary FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES
/// TERMINATED BY '\n'`. The server takes the bytes as they are: characters must be in the column's own set.
#[derive(Debug)]
pub(crate) enum Field {}

impl Form for Field {
    fn null(out: &mut Vec<u8>) {
        out.extend_from_slice(b"\\N");
    }

    fn text(out: &mut Vec<u8>, value: &[u8]) {
        let mut rest = value;
        while let Some(at) = memchr::memchr3(b'\t', b'\n', b'\\', rest) {
            let (clean, special) = rest.split_at(at);
            out.extend_from_slice(clean);
            match special.first() {
                Some(b'\t') => out.extend_from_slice(b"\\t"),
                Some(b'\n') => out.extend_from_slice(b"\\n"),
                _ => out.extend_from_slice(b"\\\\"),
            }
            rest = special.get(1..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
    }

    fn bytes(out: &mut Vec<u8>, value: &[u8]) {
        Self::text(out, value);
    }

    fn introduced(out: &mut Vec<u8>, _charset: &str, value: &[u8]) {
        Self::text(out, value);
    }

    /// BIT takes the bytes of a number; digits would be taken for such.
    fn bits(out: &mut Vec<u8>, value: u64) {
        let bytes = value.to_be_bytes();
        let zeros = (value.leading_zeros() / 8).min(7) as usize;
        Self::text(out, bytes.get(zeros..).unwrap_or(&bytes));
    }

    /// Numbers are understood, except 0.
    fn set(out: &mut Vec<u8>, value: u64) {
        if value != 0 {
            literal::unsigned(out, value);
        }
    }

    fn moment(out: &mut Vec<u8>, plain: impl FnOnce(&mut Vec<u8>)) {
        plain(out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The server's reading of a field.
    fn read(field: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut bytes = field.iter();
        while let Some(b) = bytes.next() {
            match b {
                b'\\' => match bytes.next() {
                    Some(b't') => out.push(b'\t'),
                    Some(b'n') => out.push(b'\n'),
                    Some(b'\\') => out.push(b'\\'),
                    other => panic!("an escape that was not meant: {other:?}"),
                },
                b'\t' | b'\n' => panic!("the field ends early"),
                other => out.push(*other),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(value in prop::collection::vec(any::<u8>(), 0..80), special in prop::collection::vec(0usize..80, 0..9)) {
            let mut value = value;
            for (i, at) in special.into_iter().enumerate() {
                if let Some(b) = value.get_mut(at) {
                    *b = b"\t\n\\"[i % 3];
                }
            }
            let mut out = Vec::new();
            Field::text(&mut out, &value);
            prop_assert_eq!(read(&out), value);
        }

        #[test]
        fn bits_are_the_bytes_of_the_number(value in any::<u64>(), shift in 0u32..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            Field::bits(&mut out, value);
            let bytes = read(&out);
            prop_assert!(!bytes.is_empty() && bytes.len() <= 8);
            prop_assert_eq!(bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)), value);
        }
    }
}
