//! Character sets that a destination may not know, converted to UTF-8 exactly as the servers of the
//! MySQL family define them.
//!
//! `latin1` is cp1252 with its five holes filled by C1 controls, `sjis` is not `cp932`, and so on:
//! general-purpose converters disagree in places. The tables in `tables.bin` were read from the
//! servers themselves (`tests/charset_tables.rs` reads them again and compares). A byte sequence on
//! which MySQL and MariaDB do not agree is in no table and is refused.

mod tables;

use std::{collections::BTreeMap, sync::Arc};

pub use tables::{pack, unpack};

/// A byte sequence that is no character of its character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable;

/// Converts the bytes of one character set to UTF-8.
#[derive(Clone)]
pub struct Decoder {
    name: String,
    form: Form,
}

#[derive(Clone)]
enum Form {
    Utf8,
    Utf16 {
        little: bool,
        surrogates: bool,
    },
    Utf32,
    Table {
        codes: Arc<BTreeMap<u32, char>>,
        ascii: bool,
        gb18030: bool,
    },
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder({})", self.name)
    }
}

impl Decoder {
    /// The decoder of a character set by the server's name of it; `None` when it is not known.
    pub fn find(charset: &str) -> Option<Self> {
        let name = charset.to_ascii_lowercase();
        let form = match name.as_str() {
            "utf8" | "utf8mb3" | "utf8mb4" | "ascii" => Form::Utf8,
            "ucs2" => Form::Utf16 {
                little: false,
                surrogates: false,
            },
            "utf16" => Form::Utf16 {
                little: false,
                surrogates: true,
            },
            "utf16le" => Form::Utf16 {
                little: true,
                surrogates: true,
            },
            "utf32" => Form::Utf32,
            other => {
                let codes = tables::find(other)?;
                let ascii = (0..128u8).all(|b| codes.get(&u32::from(b)) == Some(&char::from(b)));
                Form::Table {
                    codes: Arc::new(codes),
                    ascii,
                    gb18030: other == "gb18030",
                }
            }
        };
        Some(Self { name, form })
    }

    /// Whether bytes below 128 are ASCII characters.
    pub fn is_ascii_compatible(&self) -> bool {
        match &self.form {
            Form::Utf8 => true,
            Form::Utf16 { .. } | Form::Utf32 => false,
            Form::Table { ascii, .. } => *ascii,
        }
    }

    /// Converts to UTF-8.
    ///
    /// # Errors
    /// When any part is no character of the set; nothing is ever replaced.
    pub fn decode(&self, bytes: &[u8]) -> Result<String, Undecodable> {
        match &self.form {
            Form::Utf8 => std::str::from_utf8(bytes)
                .map(str::to_owned)
                .map_err(|_| Undecodable),
            Form::Utf16 { little, surrogates } => utf16(bytes, *little, *surrogates),
            Form::Utf32 => {
                let (quads, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(Undecodable);
                }
                let chars = quads.iter().map(|q| char::from_u32(u32::from_be_bytes(*q)));
                chars.collect::<Option<String>>().ok_or(Undecodable)
            }
            Form::Table { ascii: true, .. } if bytes.is_ascii() => std::str::from_utf8(bytes)
                .map(str::to_owned)
                .map_err(|_| Undecodable),
            Form::Table { codes, gb18030, .. } => by_table(bytes, codes, *gb18030),
        }
    }
}

fn utf16(bytes: &[u8], little: bool, surrogates: bool) -> Result<String, Undecodable> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Undecodable);
    }
    let units = pairs.iter().map(|p| {
        if little {
            u16::from_le_bytes(*p)
        } else {
            u16::from_be_bytes(*p)
        }
    });
    if surrogates {
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .map_err(|_| Undecodable)
    } else {
        let chars = units.map(|u| char::from_u32(u32::from(u)));
        chars.collect::<Option<String>>().ok_or(Undecodable)
    }
}

fn by_table(bytes: &[u8], codes: &BTreeMap<u32, char>, gb18030: bool) -> Result<String, Undecodable> {
    let mut out = String::with_capacity(bytes.len() * 2);
    let mut rest = bytes;
    'next: while !rest.is_empty() {
        let mut code = 0u32;
        // No sequence is the beginning of another, so the shortest that is found is the one.
        for (index, byte) in rest.iter().take(4).enumerate() {
            code = code << 8 | u32::from(*byte);
            // A code of several bytes never starts with 0, so the number alone identifies it.
            if (index == 0 || code >> (8 * index) != 0)
                && let Some(c) = codes.get(&code)
            {
                out.push(*c);
                rest = rest.get(index + 1..).unwrap_or_default();
                continue 'next;
            }
        }
        match rest
            .first_chunk::<4>()
            .filter(|_| gb18030)
            .and_then(supplementary)
        {
            Some(c) => {
                out.push(c);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => return Err(Undecodable),
        }
    }
    Ok(out)
}

/// The four-byte codes of GB 18030 beyond the basic plane count upwards from 0x90308130.
fn supplementary(code: &[u8; 4]) -> Option<char> {
    let [a, b, c, d] = *code;
    let in_range =
        (0x90..=0xE3).contains(&a) && b.is_ascii_digit() && (0x81..=0xFE).contains(&c) && d.is_ascii_digit();
    if !in_range {
        return None;
    }
    let part = |byte: u8, base: u8| u32::from(byte - base);
    let linear = ((part(a, 0x90) * 10 + part(b, 0x30)) * 126 + part(c, 0x81)) * 10 + part(d, 0x30);
    char::from_u32(0x1_0000 + linear)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(charset: &str, bytes: &[u8]) -> Option<String> {
        Decoder::find(charset).unwrap().decode(bytes).ok()
    }

    #[test]
    fn latin1_is_the_servers_latin1() {
        assert_eq!(
            decode("latin1", b"caf\xE9 \x80\x81").as_deref(),
            Some("café €\u{81}")
        );
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode("latin1", &all).unwrap().chars().count(), 256);
    }

    #[test]
    fn multi_byte_sets() {
        assert_eq!(
            decode("gbk", &[0xD6, 0xD0, b'a', 0x81, 0x5C]).as_deref(),
            Some("中a乗")
        );
        assert_eq!(decode("big5", &[0xA4, 0xA4]).as_deref(), Some("中"));
        assert_eq!(decode("sjis", &[0x83, 0x5C, 0xB1]).as_deref(), Some("ソｱ"));
        assert_eq!(decode("ujis", &[0x8E, 0xB1, 0xA4, 0xA2]).as_deref(), Some("ｱあ"));
        assert_eq!(
            decode("gb18030", &[0x90, 0x30, 0x81, 0x30, b'x']).as_deref(),
            Some("\u{10000}x")
        );
        assert_eq!(
            decode("gb18030", &[0x94, 0x39, 0xDA, 0x33]).as_deref(),
            Some("💩")
        );
    }

    #[test]
    fn nothing_is_replaced() {
        assert_eq!(decode("gbk", &[0xD6]), None);
        assert_eq!(decode("utf8", &[0xFF]), None);
        assert_eq!(decode("ucs2", &[0xD8, 0x00]), None);
        assert_eq!(decode("utf16", &[0xD8, 0x3D, 0xDC, 0xA9]).as_deref(), Some("💩"));
        assert_eq!(decode("utf32", &[0, 1, 0xF4, 0xA9]).as_deref(), Some("💩"));
        assert_eq!(decode("utf32", &[0, 1, 0xF4]), None);
        assert!(Decoder::find("klingon").is_none());
    }

    #[test]
    fn tables_pack_and_unpack() {
        let table = BTreeMap::from([(0u32, '\0'), (65, 'A'), (0x8140, '丂'), (0x8130_8130, '\u{80}')]);
        let mut bytes = Vec::new();
        pack("x", &table, &mut bytes);
        pack("y", &BTreeMap::new(), &mut bytes);
        let all = unpack(&bytes).unwrap();
        assert_eq!(all.get("x"), Some(&table));
        assert_eq!(all.get("y").map(BTreeMap::len), Some(0));
        assert!(unpack(&bytes[..bytes.len() - 4]).is_none());
    }
}
