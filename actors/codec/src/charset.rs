//! Characters of a column as UTF-8.

/// A character set whose text can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    /// UTF-8 of any width, and ASCII.
    Utf8,
    /// MySQL's latin1: Windows-1252, its five gaps being control characters.
    Latin1,
    /// UCS-2 and UTF-16, big endian.
    Utf16,
    /// UTF-16, little endian.
    Utf16Le,
    /// UTF-32, big endian.
    Utf32,
}

/// What 0x80 to 0x9F are in latin1.
const LATIN1_HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

impl Charset {
    /// The set of this name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "utf8" | "utf8mb3" | "utf8mb4" | "ascii" => Self::Utf8,
            "latin1" => Self::Latin1,
            "ucs2" | "utf16" => Self::Utf16,
            "utf16le" => Self::Utf16Le,
            "utf32" => Self::Utf32,
            _ => return None,
        })
    }

    /// Hands the text to `take`, piece by piece; `None` if the bytes are not of this set. What was handed over
    /// before is then void.
    pub(crate) fn read(self, bytes: &[u8], mut take: impl FnMut(&str)) -> Option<()> {
        let mut one = [0u8; 4];
        match self {
            Self::Utf8 => take(std::str::from_utf8(bytes).ok()?),
            Self::Latin1 => {
                for &byte in bytes {
                    let high = byte
                        .checked_sub(0x80)
                        .and_then(|i| LATIN1_HIGH.get(usize::from(i)));
                    take(high.copied().unwrap_or(char::from(byte)).encode_utf8(&mut one));
                }
            }
            Self::Utf16 | Self::Utf16Le => {
                let (pairs, []) = bytes.as_chunks::<2>() else {
                    return None;
                };
                let units = pairs.iter().map(|p| match self {
                    Self::Utf16Le => u16::from_le_bytes(*p),
                    _ => u16::from_be_bytes(*p),
                });
                for c in char::decode_utf16(units) {
                    take(c.ok()?.encode_utf8(&mut one));
                }
            }
            Self::Utf32 => {
                let (fours, []) = bytes.as_chunks::<4>() else {
                    return None;
                };
                for four in fours {
                    take(char::from_u32(u32::from_be_bytes(*four))?.encode_utf8(&mut one));
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Option<String> {
        let mut text = String::new();
        Charset::find(name)?.read(bytes, |t| text.push_str(t))?;
        Some(text)
    }

    #[test]
    fn text_of_each_set() {
        assert_eq!(read("utf8mb4", "café😀".as_bytes()).as_deref(), Some("café😀"));
        assert_eq!(
            read("latin1", b"caf\xe9 \x80 \x81").as_deref(),
            Some("café € \u{81}")
        );
        assert_eq!(read("utf16", b"\x00a\xd8\x3d\xde\x00").as_deref(), Some("a😀"));
        assert_eq!(read("utf16le", b"a\x00").as_deref(), Some("a"));
        assert_eq!(read("utf32", b"\x00\x01\xf6\x00").as_deref(), Some("😀"));
        assert_eq!(read("utf8", b"\xff"), None);
        assert_eq!(read("ucs2", b"\x00"), None);
        assert_eq!(read("utf32", b"\x00\x11\x00\x00"), None);
        assert!(Charset::find("gbk").is_none());
    }
}
