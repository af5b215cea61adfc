//! A form of JSON documents that is equal for equal documents.
//!
//! Servers print one document in several ways: spaces, order of members, `2.50` or `2.5`, escapes.
//! Members are sorted and of a repeated one the last counts (as MySQL 8 stores it); numbers are
//! compared as exact decimals, not as floats, because JSON columns may hold DECIMALs.

use std::collections::BTreeMap;

/// Deeper documents are no JSON to us; servers allow 32 to 100 levels.
const MAX_DEPTH: usize = 256;

/// The canonical form; `None` when the text is no JSON document.
pub(super) fn canonical(text: &str) -> Option<Vec<u8>> {
    let mut parser = Parser {
        rest: text.as_bytes(),
    };
    let mut out = Vec::with_capacity(text.len());
    parser.value(&mut out, 0)?;
    parser.space();
    parser.rest.is_empty().then_some(out)
}

struct Parser<'t> {
    rest: &'t [u8],
}

impl Parser<'_> {
    fn space(&mut self) {
        while let Some((b' ' | b'\t' | b'\n' | b'\r', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word.as_bytes())?;
        Some(())
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.rest.first()? {
            b'{' => self.object(out, depth),
            b'[' => self.array(out, depth),
            b'"' => {
                let text = self.string()?;
                put_string(out, &text);
                Some(())
            }
            b't' => {
                out.push(b't');
                self.word("true")
            }
            b'f' => {
                out.push(b'f');
                self.word("false")
            }
            b'n' => {
                out.push(b'n');
                self.word("null")
            }
            _ => self.number(out),
        }
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        self.take(b'{');
        let mut members: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        self.space();
        if !self.take(b'}') {
            loop {
                self.space();
                let name = self.string()?;
                self.space();
                if !self.take(b':') {
                    return None;
                }
                let mut value = Vec::new();
                self.value(&mut value, depth + 1)?;
                members.insert(name, value);
                self.space();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return None;
                }
            }
        }
        out.push(b'{');
        for (name, value) in members {
            put_string(out, &name);
            out.extend_from_slice(&value);
        }
        out.push(b'}');
        Some(())
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        self.take(b'[');
        out.push(b'[');
        self.space();
        if !self.take(b']') {
            loop {
                self.value(out, depth + 1)?;
                self.space();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return None;
                }
            }
        }
        out.push(b']');
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        if !self.take(b'"') {
            return None;
        }
        let mut bytes = Vec::new();
        loop {
            let end = self
                .rest
                .iter()
                .position(|b| matches!(b, b'"' | b'\\') || *b < 0x20)?;
            let (plain, rest) = self.rest.split_at(end);
            bytes.extend_from_slice(plain);
            let (stop, rest) = rest.split_first()?;
            self.rest = rest;
            match stop {
                b'"' => return String::from_utf8(bytes).ok(),
                b'\\' => {
                    let (kind, rest) = self.rest.split_first()?;
                    self.rest = rest;
                    let c = match kind {
                        b'"' | b'\\' | b'/' => char::from(*kind),
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => self.escaped()?,
                        _ => return None,
                    };
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return None,
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let first = self.four()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first);
        }
        self.word("\\u")?;
        let second = self.four()?;
        if !(0xDC00..0xE000).contains(&second) {
            return None;
        }
        char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    }

    fn four(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        digits
            .iter()
            .try_fold(0, |n, b| Some(n << 4 | char::from(*b).to_digit(16)?))
    }

    fn digits(&mut self) -> &[u8] {
        let end = self
            .rest
            .iter()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits
    }

    /// `0.<digits> * 10^exponent` without leading or trailing zeros.
    fn number(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let negative = self.take(b'-');
        let mut digits = self.digits().to_vec();
        if digits.is_empty() {
            return None;
        }
        let mut exponent = i64::try_from(digits.len()).ok()?;
        if self.take(b'.') {
            let fraction = self.digits();
            if fraction.is_empty() {
                return None;
            }
            digits.extend_from_slice(fraction);
        }
        if self.take(b'e') || self.take(b'E') {
            let down = self.take(b'-');
            if !down {
                self.take(b'+');
            }
            let power: i64 = std::str::from_utf8(self.digits()).ok()?.parse().ok()?;
            exponent = exponent.checked_add(if down { -power } else { power })?;
        }
        let zeros = digits.iter().position(|d| *d != b'0').unwrap_or(digits.len());
        digits.drain(..zeros);
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        exponent -= i64::try_from(zeros).ok()?;
        out.push(b'#');
        if !digits.is_empty() {
            out.push(if negative { b'-' } else { b'+' });
            out.extend_from_slice(&digits);
            out.push(b'e');
            out.extend_from_slice(exponent.to_string().as_bytes());
        }
        out.push(b';');
        Some(())
    }
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (canonical(a), canonical(b));
        a.is_some() && a == b
    }

    #[test]
    fn prints_of_one_document_are_equal() {
        assert!(same(
            r#"{"b": 1, "a": [true, null]}"#,
            "{ \"a\":[true,null],\n\"b\":1.0 }"
        ));
        assert!(same("2.50", "25e-1"));
        assert!(same("0", "-0.0e5"));
        assert!(same(r#""\u00e9\ud83d\udca9\/""#, "\"é💩/\""));
        assert!(same(r#"{"a":1,"a":2}"#, r#"{"a":2}"#));
        assert!(same("100", "1E2"));
    }

    #[test]
    fn different_documents_differ() {
        for (a, b) in [
            ("1", "-1"),
            ("1", "\"1\""),
            ("[1,2]", "[2,1]"),
            ("[[]]", "[]"),
            ("null", "\"null\""),
            ("1.00000000000000000001", "1"),
            ("9007199254740993", "9007199254740992"),
            ("{\"a\":{}}", "{\"a\":[]}"),
            ("[12,3]", "[1,23]"),
            ("10", "1"),
        ] {
            assert!(canonical(a).is_some() && canonical(b).is_some());
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_json_has_no_form() {
        for text in [
            "",
            "{",
            "[1,]",
            "tru",
            "1 2",
            "\"\\x\"",
            "01x",
            "\"\\ud800\"",
            "1.",
            "-",
            "{1:2}",
            "\"a\nb\"",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
        assert_eq!(canonical(&"[".repeat(100_000)), None);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,60}") {
            let _ = canonical(&text);
        }

        #[test]
        fn integers_compare_exactly(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(same(&a.to_string(), &format!("{b}.0")), a == b);
        }
    }
}
