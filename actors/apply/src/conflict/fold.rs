//! Folding of values: values that the destination may treat as equal fold equally.

use oms_core::{ColumnType, Value, ValueKind};

use super::hash::KeyHash;

/// How the values of a column are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    /// By their canonical bytes.
    Exact,
    /// Floating point: the two zeros are equal.
    Float,
    /// Bytes: trailing zeros do not count (BINARY pads).
    Bytes,
    /// Characters compared by their codes: trailing spaces do not count (PAD SPACE).
    Binary {
        /// Whether the bytes are UTF-8, which prefixes need.
        utf8: bool,
    },
    /// Characters under a known case-insensitive collation.
    Caseless {
        /// Whether the bytes are UTF-8.
        utf8: bool,
    },
    /// Nothing is known: the column is left out.
    Constant,
}

/// What folding a value gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// It went into the hash.
    Hashed,
    /// It is NULL.
    Null,
    /// It may be equal to any other value of the column.
    Wild,
    /// The log does not carry it.
    Absent,
}

impl Fold {
    /// The rule for a column of the source that is written to a column of the destination.
    pub(super) fn between(source: &ColumnType, destination: &ColumnType) -> Self {
        use ColumnType as T;
        match (source, destination) {
            (T::Integer { .. }, T::Integer { .. })
            | (T::Bit { .. }, T::Bit { .. })
            | (T::Year, T::Year)
            | (T::Date, T::Date)
            | (T::Uuid, T::Uuid)
            | (T::Inet4, T::Inet4)
            | (T::Inet6, T::Inet6) => Self::Exact,
            (T::Decimal { scale: a, .. }, T::Decimal { scale: b, .. }) if a <= b => Self::Exact,
            (T::Time { fraction: a }, T::Time { fraction: b })
            | (T::DateTime { fraction: a }, T::DateTime { fraction: b })
            | (T::Timestamp { fraction: a }, T::Timestamp { fraction: b })
                if a <= b =>
            {
                Self::Exact
            }
            (T::Enum { members: a, .. }, T::Enum { members: b, .. })
            | (T::Set { members: a, .. }, T::Set { members: b, .. })
                if b.starts_with(a) =>
            {
                Self::Exact
            }
            (T::Float, T::Float | T::Double) | (T::Double, T::Double) => Self::Float,
            (
                T::Binary { .. } | T::VarBinary { .. } | T::Blob { .. },
                T::Binary { .. } | T::VarBinary { .. } | T::Blob { .. },
            ) => Self::Bytes,
            (
                T::Char { .. } | T::VarChar { .. } | T::Text { .. },
                T::Char { .. } | T::VarChar { .. } | T::Text { .. },
            ) => Self::characters(source, destination),
            // MariaDB's types whose values are ASCII text, where the destination has only text.
            (T::Uuid | T::Inet4 | T::Inet6, T::Char { .. } | T::VarChar { .. }) => {
                let known = |order: &str| is_binary_order(order) || is_known_order(order);
                if destination.charset().is_some_and(extends_ascii)
                    && destination.collation().is_some_and(known)
                {
                    Self::Caseless { utf8: false }
                } else {
                    Self::Constant
                }
            }
            _ => Self::Constant,
        }
    }

    fn characters(source: &ColumnType, destination: &ColumnType) -> Self {
        let (Some(from), Some(to), Some(from_order), Some(to_order)) = (
            source.charset(),
            destination.charset(),
            source.collation(),
            destination.collation(),
        ) else {
            return Self::Constant;
        };
        let utf8 = is_utf8(from) && is_utf8(to);
        let binary = is_binary_order;
        if binary(from_order) && binary(to_order) && (from.eq_ignore_ascii_case(to) || utf8) {
            return Self::Binary { utf8 };
        }
        let known = |order: &str| binary(order) || is_known_order(order);
        if extends_ascii(from) && extends_ascii(to) && known(from_order) && known(to_order) {
            Self::Caseless { utf8 }
        } else {
            Self::Constant
        }
    }

    /// Adds a value to the hash. `prefix` is the number of characters (bytes of byte strings)
    /// that count.
    pub(super) fn add(
        self,
        cell: &[u8],
        value: Value<'_>,
        prefix: Option<u32>,
        hash: &mut KeyHash,
    ) -> Folded {
        let limit = prefix.map_or(usize::MAX, |p| p as usize);
        match (self, value) {
            (_, Value::Absent) => Folded::Absent,
            (_, Value::Null) => Folded::Null,
            (Self::Constant, _) => Folded::Wild,
            (Self::Float, Value::Float(v)) => {
                hash.number(f64::from(v + 0.0).to_bits());
                Folded::Hashed
            }
            (Self::Float, Value::Double(v)) => {
                hash.number((v + 0.0).to_bits());
                Folded::Hashed
            }
            (Self::Bytes, Value::Bytes(v) | Value::Text(v)) => {
                let v = v.get(..limit.min(v.len())).unwrap_or(v);
                hash.bytes(trim(v, 0));
                Folded::Hashed
            }
            (Self::Binary { utf8 }, Value::Text(v)) => {
                if let Some(v) = first_characters(v, limit, utf8) {
                    hash.bytes(trim(v, b' '));
                    Folded::Hashed
                } else {
                    Folded::Wild
                }
            }
            (Self::Caseless { utf8 }, Value::Text(v)) => match first_characters(v, limit, utf8) {
                Some(v) => caseless(v, utf8, hash),
                None => Folded::Wild,
            },
            // One number has several encodings where tables of different signedness or scale meet.
            (Self::Exact, Value::Int(v)) => {
                hash.number(v as u64);
                Folded::Hashed
            }
            (Self::Exact, Value::UInt(v)) => {
                hash.number(v);
                Folded::Hashed
            }
            (Self::Exact, Value::Decimal(v)) => {
                let digits = if v.contains('.') {
                    v.trim_end_matches('0').trim_end_matches('.')
                } else {
                    v
                };
                hash.bytes(digits.as_bytes());
                Folded::Hashed
            }
            // Everything else by its canonical bytes.
            (Self::Exact, _) if prefix.is_none() && value.kind() != ValueKind::Json => {
                hash.bytes(cell);
                Folded::Hashed
            }
            _ => Folded::Wild,
        }
    }

    /// Whether some values of the column may be [`Folded::Wild`] and others not.
    pub(super) fn has_wild_values(self, prefix: Option<u32>) -> bool {
        match self {
            Self::Caseless { .. } => true,
            Self::Binary { utf8 } => prefix.is_some() && !utf8,
            Self::Exact | Self::Float | Self::Bytes | Self::Constant => false,
        }
    }
}

fn trim(bytes: &[u8], padding: u8) -> &[u8] {
    let end = bytes.iter().rposition(|b| *b != padding).map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or(bytes)
}

/// The first characters of a text; `None` where they cannot be told.
fn first_characters(bytes: &[u8], limit: usize, utf8: bool) -> Option<&[u8]> {
    if bytes.len() <= limit {
        return Some(bytes);
    }
    let head = bytes.get(..limit)?;
    if head.is_ascii() {
        return Some(head);
    }
    if !utf8 {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let end = text.char_indices().nth(limit).map_or(text.len(), |(at, _)| at);
    bytes.get(..end)
}

fn caseless(bytes: &[u8], utf8: bool, hash: &mut KeyHash) -> Folded {
    // 64 bytes hold nearly every key; longer ones go to the heap.
    let mut folded: smallvec::SmallVec<[u8; 64]> = smallvec::SmallVec::new();
    if bytes.is_ascii() {
        folded.extend(
            bytes
                .iter()
                .filter(|b| !is_ignorable(**b))
                .map(u8::to_ascii_lowercase),
        );
    } else {
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| utf8) else {
            return Folded::Wild;
        };
        let mut buffer = [0u8; 4];
        for c in text.chars() {
            match c {
                '\u{4E00}'..='\u{9FA5}' => folded.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
                c if c.is_ascii() => {
                    let b = c as u8;
                    if !is_ignorable(b) {
                        folded.push(b.to_ascii_lowercase());
                    }
                }
                _ => return Folded::Wild,
            }
        }
    }
    hash.bytes(trim(&folded, b' '));
    Folded::Hashed
}

/// Control characters that the Unicode collation algorithm ignores (all but TAB to CR).
fn is_ignorable(byte: u8) -> bool {
    matches!(byte, 0..=0x08 | 0x0E..=0x1F | 0x7F)
}

fn is_binary_order(collation: &str) -> bool {
    collation == "binary" || collation.ends_with("_bin")
}

fn is_utf8(charset: &str) -> bool {
    ["utf8mb4", "utf8mb3", "utf8"]
        .iter()
        .any(|c| charset.eq_ignore_ascii_case(c))
}

/// Character sets in which bytes below 128 are ASCII characters wherever a text holds no others.
fn extends_ascii(charset: &str) -> bool {
    is_utf8(charset)
        || ["latin1", "ascii", "gbk", "gb18030", "gb2312", "big5", "binary"]
            .iter()
            .any(|c| charset.eq_ignore_ascii_case(c))
}

/// Collations without rules of a single language. Others have letters that are equal although
/// they differ in more than case, even within ASCII: `v` and `u` in Roman, `ch` and `c` in Lithuanian,
/// `ccs` and `cscs` in Hungarian.
fn is_known_order(collation: &str) -> bool {
    const KNOWN: &[&str] = &[
        "ascii_general_ci",
        "latin1_swedish_ci",
        "latin1_general_ci",
        "latin1_general_cs",
        "gbk_chinese_ci",
        "gb2312_chinese_ci",
        "gb18030_chinese_ci",
        "big5_chinese_ci",
        "utf8mb4_0900_ai_ci",
        "utf8mb4_0900_as_ci",
        "utf8mb4_0900_as_cs",
        "utf8mb4_zh_0900_as_cs",
        "utf8mb4_uca1400_ai_ci",
        "utf8mb4_uca1400_as_ci",
        "utf8mb4_uca1400_as_cs",
        "utf8mb3_uca1400_ai_ci",
        "uca1400_ai_ci",
        "uca1400_as_ci",
        "uca1400_as_cs",
    ];
    const UTF8_FORMS: &[&str] = &[
        "general_ci",
        "general_nopad_ci",
        "general_mysql500_ci",
        "unicode_ci",
        "unicode_nopad_ci",
        "unicode_520_ci",
        "unicode_520_nopad_ci",
    ];
    let name = collation.to_ascii_lowercase();
    KNOWN.contains(&name.as_str())
        || name
            .split_once('_')
            .is_some_and(|(charset, form)| is_utf8(charset) && UTF8_FORMS.contains(&form))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(charset: &str, collation: &str) -> ColumnType {
        ColumnType::VarChar {
            length: 30,
            charset: charset.into(),
            collation: collation.into(),
        }
    }

    fn fold(rule: Fold, value: &str, prefix: Option<u32>) -> (Folded, u64) {
        let mut hash = KeyHash::new(1);
        let folded = rule.add(value.as_bytes(), Value::Text(value.as_bytes()), prefix, &mut hash);
        (folded, hash.finish())
    }

    #[test]
    fn case_padding_and_ignorable_characters_do_not_count() {
        let t = text("utf8mb4", "utf8mb4_0900_ai_ci");
        let rule = Fold::between(&t, &t);
        assert_eq!(rule, Fold::Caseless { utf8: true });
        for same in ["ABC", "abc  ", "a\u{1}bC"] {
            assert_eq!(fold(rule, "abc", None), fold(rule, same, None));
        }
        assert_ne!(fold(rule, "abc", None), fold(rule, "abd", None));
        assert_ne!(fold(rule, "中文", None), fold(rule, "中国", None));
        assert_eq!(fold(rule, "中文A", None), fold(rule, "中文a ", None));
        for wild in ["ä", "½", "é", "㊀", "ａ"] {
            assert_eq!(fold(rule, wild, None).0, Folded::Wild, "{wild}");
        }
    }

    #[test]
    fn prefixes_count_characters() {
        let t = text("utf8mb4", "utf8mb4_bin");
        let rule = Fold::between(&t, &t);
        assert_eq!(fold(rule, "äbc", Some(2)), fold(rule, "äbd", Some(2)));
        assert_ne!(fold(rule, "äbc", Some(3)), fold(rule, "äbd", Some(3)));
        assert_ne!(fold(rule, "a", None), fold(rule, "A", None));
    }

    #[test]
    fn unknown_orders_and_other_types_are_left_out() {
        let lt = text("utf8mb4", "utf8mb4_lithuanian_ci");
        let plain = text("utf8mb4", "utf8mb4_general_ci");
        let wide = text("utf16", "utf16_general_ci");
        let int = ColumnType::Integer {
            bytes: 8,
            unsigned: false,
        };
        for (a, b) in [
            (&lt, &plain),
            (&plain, &lt),
            (&wide, &plain),
            (&int, &plain),
            (&plain, &int),
        ] {
            assert_eq!(Fold::between(a, b), Fold::Constant);
        }
        assert_eq!(
            Fold::between(&ColumnType::Uuid, &plain),
            Fold::Caseless { utf8: false }
        );
        assert_eq!(Fold::between(&ColumnType::Uuid, &lt), Fold::Constant);
        let latin = text("latin1", "latin1_bin");
        let bin = text("utf8mb4", "utf8mb4_bin");
        assert_eq!(Fold::between(&latin, &bin), Fold::Caseless { utf8: false });
    }

    #[test]
    fn the_two_zeros_are_one() {
        let mut a = KeyHash::new(1);
        let mut b = KeyHash::new(1);
        assert_eq!(
            Fold::Float.add(&[], Value::Double(-0.0), None, &mut a),
            Folded::Hashed
        );
        assert_eq!(
            Fold::Float.add(&[], Value::Float(0.0), None, &mut b),
            Folded::Hashed
        );
        assert_eq!(a.finish(), b.finish());
    }
}
