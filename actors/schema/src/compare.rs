//! Comparing tables of both sides.

use std::fmt;

use oms_core::{Column, ColumnType, Key, TableSchema};
use serde::{Deserialize, Serialize};

/// A reason why two tables do not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The column or key; empty for the table itself.
    pub object: String,
    /// What differs, with both sides.
    pub reason: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.object.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "{}: {}", self.object, self.reason)
        }
    }
}

fn difference(object: impl Into<String>, reason: impl Into<String>) -> Difference {
    Difference {
        object: object.into(),
        reason: reason.into(),
    }
}

/// Whether every row of the source table fits into the destination table: every column that is not
/// generated is there, and its type holds every value of the source's type. Empty: it fits.
///
/// Used where the schema is not migrated. Definitions alone decide; values are not looked at.
pub fn compatible(source: &TableSchema, destination: &TableSchema) -> Vec<Difference> {
    let mut list = Vec::new();
    for column in source.columns.iter().filter(|c| c.generated.is_none()) {
        let Some(other) = destination
            .column_index(&column.name)
            .and_then(|i| destination.columns.get(i))
        else {
            list.push(difference(&column.name, "is missing at the destination"));
            continue;
        };
        if other.generated.is_some() {
            list.push(difference(&column.name, "is generated at the destination only"));
            continue;
        }
        if column.nullable && !other.nullable {
            list.push(difference(
                &column.name,
                "may be NULL at the source and not at the destination",
            ));
        }
        if let Err(why) = holds(&column.ty, &other.ty) {
            list.push(difference(&column.name, why));
        }
    }
    list
}

/// What makes an existing destination table another one than the wanted one: columns by name and
/// order, types, NULL, generated or not, primary and unique keys. Empty: they are the same.
pub fn differences(wanted: &TableSchema, existing: &TableSchema) -> Vec<Difference> {
    let mut list = Vec::new();
    let same_name = |a: &Column, b: &Column| a.name.to_lowercase() == b.name.to_lowercase();
    for column in &wanted.columns {
        match existing.columns.iter().find(|c| same_name(c, column)) {
            None => list.push(difference(&column.name, "is missing")),
            Some(other) => column_differences(column, other, &mut list),
        }
    }
    for column in &existing.columns {
        if !wanted.columns.iter().any(|c| same_name(c, column)) {
            list.push(difference(&column.name, "is not wanted"));
        }
    }
    if list.is_empty()
        && !wanted
            .columns
            .iter()
            .zip(&existing.columns)
            .all(|(a, b)| same_name(a, b))
    {
        list.push(difference("", "the columns have another order"));
    }
    let missing = wanted.keys.iter().filter(|key| !has_key(wanted, key, existing));
    list.extend(
        missing.map(|key| difference(&key.name, format!("no unique key over ({})", shown(wanted, key)))),
    );
    let extra = existing.keys.iter().filter(|key| !has_key(existing, key, wanted));
    list.extend(extra.map(|key| {
        difference(
            &key.name,
            format!("an extra unique key over ({})", shown(existing, key)),
        )
    }));
    list
}

fn column_differences(wanted: &Column, existing: &Column, list: &mut Vec<Difference>) {
    let (a, b) = (normal(&wanted.ty), normal(&existing.ty));
    if a != b {
        list.push(difference(&wanted.name, format!("{b:?} instead of {a:?}")));
    }
    if wanted.nullable != existing.nullable {
        let words = |nullable| if nullable { "NULL" } else { "NOT NULL" };
        let reason = format!(
            "{} instead of {}",
            words(existing.nullable),
            words(wanted.nullable)
        );
        list.push(difference(&wanted.name, reason));
    }
    if wanted.generated != existing.generated {
        let reason = format!(
            "generated {:?} instead of {:?}",
            existing.generated, wanted.generated
        );
        list.push(difference(&wanted.name, reason));
    }
}

/// With one name for `utf8` and `utf8mb3`, and for the two names of geometry collections.
fn normal(ty: &ColumnType) -> ColumnType {
    let mut ty = ty.clone();
    match &mut ty {
        ColumnType::Char {
            charset, collation, ..
        }
        | ColumnType::VarChar {
            charset, collation, ..
        }
        | ColumnType::Text {
            charset, collation, ..
        }
        | ColumnType::Enum {
            charset, collation, ..
        }
        | ColumnType::Set {
            charset, collation, ..
        } => {
            if charset == "utf8" {
                *charset = "utf8mb3".to_owned();
            }
            if let Some(rest) = collation.strip_prefix("utf8_") {
                *collation = format!("utf8mb3_{rest}");
            }
        }
        ColumnType::Geometry { kind } if kind.eq_ignore_ascii_case("geomcollection") => {
            *kind = "geometrycollection".to_owned();
        }
        ColumnType::Geometry { kind } => *kind = kind.to_ascii_lowercase(),
        _ => {}
    }
    ty
}

fn parts(table: &TableSchema, key: &Key) -> Vec<(Option<String>, Option<u32>)> {
    let name = |index: usize| table.columns.get(index).map(|c| c.name.to_lowercase());
    let mut list: Vec<_> = key
        .parts
        .iter()
        .map(|p| (p.column.and_then(name), p.prefix))
        .collect();
    list.sort();
    list
}

fn has_key(table: &TableSchema, key: &Key, other: &TableSchema) -> bool {
    let wanted = parts(table, key);
    other.keys.iter().any(|k| parts(other, k) == wanted)
}

fn shown(table: &TableSchema, key: &Key) -> String {
    let words: Vec<_> = parts(table, key)
        .into_iter()
        .map(|(name, prefix)| {
            let name = name.unwrap_or_else(|| "an expression".to_owned());
            prefix.map_or(name.clone(), |n| format!("{name}({n})"))
        })
        .collect();
    words.join(", ")
}

/// Bytes that a TEXT or BLOB of this tier holds.
fn tier_bytes(tier: u8) -> u64 {
    1u64.checked_shl(u32::from(tier) * 8).unwrap_or(u64::MAX) - 1
}

/// Most bytes of a character.
fn character_bytes(charset: &str) -> u64 {
    match charset {
        "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" | "gb18030_2022" => 4,
        "utf8" | "utf8mb3" | "ujis" | "eucjpms" => 3,
        "gbk" | "gb2312" | "big5" | "sjis" | "cp932" | "euckr" | "ucs2" | "hkscs" | "hkscs31" => 2,
        _ => 1,
    }
}

/// Fewest bytes of a character.
fn least_character_bytes(charset: &str) -> u64 {
    match charset {
        "utf32" => 4,
        "utf16" | "utf16le" | "ucs2" => 2,
        _ => 1,
    }
}

fn holds_charset(from: &str, to: &str) -> bool {
    let unify = |c: &str| {
        if c == "utf8" {
            "utf8mb3".to_owned()
        } else {
            c.to_owned()
        }
    };
    let (from, to) = (unify(from), unify(to));
    let all_of_unicode = matches!(to.as_str(), "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030");
    let basic_plane_only = !matches!(
        from.as_str(),
        "utf8mb4"
            | "utf16"
            | "utf16le"
            | "utf32"
            | "gb18030"
            | "gb18030_2022"
            | "big5"
            | "hkscs"
            | "hkscs31"
            | "binary"
    );
    from == to
        || from != "binary" && all_of_unicode
        || from == "ascii" && to != "swe7"
        || basic_plane_only && matches!(to.as_str(), "utf8mb3" | "ucs2")
}

/// Characters of a type and its character set; `None` for no character type.
fn characters(ty: &ColumnType) -> Option<(u64, &str)> {
    match ty {
        ColumnType::Char { length, charset, .. } | ColumnType::VarChar { length, charset, .. } => {
            Some((u64::from(*length), charset))
        }
        ColumnType::Text { tier, charset, .. } => {
            Some((tier_bytes(*tier) / least_character_bytes(charset), charset))
        }
        ColumnType::Json => Some((tier_bytes(4), "utf8mb4")),
        ColumnType::Uuid => Some((36, "ascii")),
        ColumnType::Inet4 => Some((15, "ascii")),
        ColumnType::Inet6 => Some((39, "ascii")),
        _ => None,
    }
}

fn holds(from: &ColumnType, to: &ColumnType) -> Result<(), String> {
    use ColumnType::*;
    let fits = |condition: bool, what: &str| {
        if condition {
            Ok(())
        } else {
            Err(format!("{what}: {} does not fit into {}", name(from), name(to)))
        }
    };
    match (from, to) {
        (
            Integer {
                bytes: a,
                unsigned: u,
            },
            Integer {
                bytes: b,
                unsigned: v,
            },
        ) => fits(
            match (u, v) {
                (false, true) => false,
                (true, false) => b > a,
                _ => b >= a,
            },
            "range",
        ),
        (
            Integer { bytes, unsigned },
            Decimal {
                precision,
                scale,
                unsigned: v,
            },
        ) => {
            let digits = match bytes {
                1 => 3,
                2 => 5,
                3 => {
                    if *unsigned {
                        8
                    } else {
                        7
                    }
                }
                4 => 10,
                _ => {
                    if *unsigned {
                        20
                    } else {
                        19
                    }
                }
            };
            fits(
                precision.saturating_sub(*scale) >= digits && (*unsigned || !v),
                "range",
            )
        }
        (
            Decimal {
                precision: p,
                scale: s,
                unsigned: u,
            },
            Decimal {
                precision: q,
                scale: t,
                unsigned: v,
            },
        ) => fits(
            t >= s && q.saturating_sub(*t) >= p.saturating_sub(*s) && (*u || !v),
            "precision",
        ),
        (Float, Float | Double) | (Double, Double) | (Year, Year) | (Date, Date) | (Json, Json) => Ok(()),
        (Uuid, Uuid) | (Inet4, Inet4) | (Inet6, Inet6) => Ok(()),
        (Bit { bits: a }, Bit { bits: b }) => fits(b >= a, "length"),
        (Time { fraction: a }, Time { fraction: b })
        | (DateTime { fraction: a }, DateTime { fraction: b })
        | (Timestamp { fraction: a }, Timestamp { fraction: b }) => fits(b >= a, "digits of the fraction"),
        (Binary { length: a }, Binary { length: b }) => fits(a == b, "length"),
        (Binary { length: a } | VarBinary { length: a }, VarBinary { length: b }) => fits(b >= a, "length"),
        (Binary { length: a } | VarBinary { length: a }, Blob { tier }) => {
            fits(u64::from(*a) <= tier_bytes(*tier), "length")
        }
        (Blob { tier: a }, Blob { tier: b }) => fits(b >= a, "length"),
        (Blob { tier }, VarBinary { length }) => fits(tier_bytes(*tier) <= u64::from(*length), "length"),
        (Enum { members: a, .. }, Enum { members: b, .. })
        | (Set { members: a, .. }, Set { members: b, .. }) => fits(b.starts_with(a), "members"),
        (Geometry { kind: a }, Geometry { kind: b }) => {
            let lower = |kind: &str| {
                kind.to_ascii_lowercase()
                    .replace("geometrycollection", "geomcollection")
            };
            fits(lower(b) == "geometry" || lower(a) == lower(b), "kind")
        }
        // Trailing spaces of a VARCHAR or TEXT are cut off by a CHAR.
        (VarChar { .. } | Text { .. }, Char { .. }) => fits(false, "trailing spaces"),
        (_, Char { .. } | VarChar { .. } | Text { .. }) => {
            let (Some((length, charset)), Some((room, other))) = (characters(from), characters(to)) else {
                return fits(false, "type");
            };
            if !holds_charset(charset, other) {
                return fits(false, "character set");
            }
            match to {
                Text { tier, .. } => {
                    let same_bytes = character_bytes(charset) >= character_bytes(other)
                        || charset.starts_with("utf8") && other.starts_with("utf8");
                    let needed = match from {
                        Text { tier: source, .. } if same_bytes || charset == "ascii" => tier_bytes(*source),
                        Json => tier_bytes(4),
                        _ => length.saturating_mul(character_bytes(other)),
                    };
                    // No type is larger than the largest.
                    fits(needed <= tier_bytes(*tier) || *tier == 4, "length")
                }
                _ => fits(length <= room, "length"),
            }
        }
        _ => fits(false, "type"),
    }
}

/// A type for people.
fn name(ty: &ColumnType) -> String {
    match ty {
        ColumnType::Integer { bytes, unsigned } => {
            format!(
                "a {bytes}-byte {}integer",
                if *unsigned { "unsigned " } else { "" }
            )
        }
        ColumnType::Decimal {
            precision,
            scale,
            unsigned,
        } => {
            format!(
                "DECIMAL({precision},{scale}){}",
                if *unsigned { " UNSIGNED" } else { "" }
            )
        }
        ColumnType::Bit { bits } => format!("BIT({bits})"),
        ColumnType::Time { fraction } => format!("TIME({fraction})"),
        ColumnType::DateTime { fraction } => format!("DATETIME({fraction})"),
        ColumnType::Timestamp { fraction } => format!("TIMESTAMP({fraction})"),
        ColumnType::Char { length, charset, .. } => format!("CHAR({length}) of {charset}"),
        ColumnType::VarChar { length, charset, .. } => format!("VARCHAR({length}) of {charset}"),
        ColumnType::Text { tier, charset, .. } => format!("TEXT of {} bytes of {charset}", tier_bytes(*tier)),
        ColumnType::Binary { length } => format!("BINARY({length})"),
        ColumnType::VarBinary { length } => format!("VARBINARY({length})"),
        ColumnType::Blob { tier } => format!("BLOB of {} bytes", tier_bytes(*tier)),
        ColumnType::Enum { .. } => "ENUM".to_owned(),
        ColumnType::Set { .. } => "SET".to_owned(),
        ColumnType::Geometry { kind } => kind.to_ascii_uppercase(),
        other => format!("{other:?}").to_ascii_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use oms_core::{KeyPart, TableName};

    use super::*;

    fn varchar(length: u32, charset: &str) -> ColumnType {
        ColumnType::VarChar {
            length,
            charset: charset.into(),
            collation: format!("{charset}_bin"),
        }
    }
    fn text(tier: u8, charset: &str) -> ColumnType {
        ColumnType::Text {
            tier,
            charset: charset.into(),
            collation: format!("{charset}_bin"),
        }
    }
    fn int(bytes: u8, unsigned: bool) -> ColumnType {
        ColumnType::Integer { bytes, unsigned }
    }
    fn decimal(precision: u8, scale: u8) -> ColumnType {
        ColumnType::Decimal {
            precision,
            scale,
            unsigned: false,
        }
    }

    #[test]
    fn what_holds_what() {
        let members = |m: &[&str]| ColumnType::Enum {
            members: m.iter().map(|s| (*s).to_owned()).collect(),
            charset: "utf8mb4".into(),
            collation: "utf8mb4_bin".into(),
        };
        for (from, to, expected) in [
            (int(4, false), int(8, false), true),
            (int(4, true), int(4, false), false),
            (int(4, true), int(8, false), true),
            (int(4, false), int(8, true), false),
            (int(8, true), decimal(20, 0), true),
            (int(8, true), decimal(20, 1), false),
            (decimal(10, 2), decimal(12, 4), true),
            (decimal(10, 2), decimal(11, 4), false),
            (ColumnType::Float, ColumnType::Double, true),
            (ColumnType::Double, ColumnType::Float, false),
            (varchar(10, "latin1"), varchar(10, "utf8mb4"), true),
            (varchar(10, "utf8mb4"), varchar(10, "latin1"), false),
            (varchar(10, "utf8mb4"), varchar(10, "utf8mb3"), false),
            (varchar(10, "utf8mb4"), varchar(9, "utf8mb4"), false),
            (varchar(63, "latin1"), text(1, "utf8mb4"), true),
            (varchar(64, "latin1"), text(1, "utf8mb4"), false),
            (text(2, "latin1"), text(2, "latin1"), true),
            (text(2, "latin1"), text(2, "utf8mb4"), false),
            (text(2, "utf8mb3"), text(2, "utf8mb4"), true),
            (text(2, "latin1"), text(3, "utf8mb4"), true),
            (
                varchar(36, "utf8mb4"),
                ColumnType::Char {
                    length: 36,
                    charset: "utf8mb4".into(),
                    collation: "x".into(),
                },
                false,
            ),
            (ColumnType::Uuid, varchar(36, "utf8mb4"), true),
            (ColumnType::Json, text(4, "utf8mb4"), true),
            (text(4, "utf8mb4"), ColumnType::Json, false),
            (
                ColumnType::Binary { length: 4 },
                ColumnType::Binary { length: 5 },
                false,
            ),
            (
                ColumnType::VarBinary { length: 4 },
                ColumnType::Blob { tier: 1 },
                true,
            ),
            (
                ColumnType::DateTime { fraction: 6 },
                ColumnType::DateTime { fraction: 3 },
                false,
            ),
            (
                ColumnType::Timestamp { fraction: 0 },
                ColumnType::DateTime { fraction: 0 },
                false,
            ),
            (members(&["a", "b"]), members(&["a", "b", "c"]), true),
            (members(&["a", "b"]), members(&["b", "a"]), false),
        ] {
            assert_eq!(holds(&from, &to).is_ok(), expected, "{from:?} into {to:?}");
        }
    }

    fn table(columns: &[(&str, ColumnType, bool)], keys: &[&[usize]]) -> TableSchema {
        TableSchema {
            name: TableName::new("d", "t"),
            engine: String::new(),
            columns: columns
                .iter()
                .map(|(name, ty, nullable)| Column {
                    name: (*name).to_owned(),
                    ty: ty.clone(),
                    nullable: *nullable,
                    generated: None,
                    invisible: false,
                })
                .collect(),
            keys: keys
                .iter()
                .map(|parts| Key {
                    name: "k".into(),
                    primary: false,
                    parts: parts
                        .iter()
                        .map(|c| KeyPart {
                            column: Some(*c),
                            prefix: None,
                        })
                        .collect(),
                })
                .collect(),
            estimated_rows: 0,
            estimated_bytes: 0,
        }
    }

    #[test]
    fn differences_are_named() {
        let wanted = table(
            &[("a", int(4, false), false), ("b", int(8, false), true)],
            &[&[0]],
        );
        assert_eq!(differences(&wanted, &wanted), []);
        let other = table(&[("A", int(8, false), true), ("c", int(8, false), true)], &[&[1]]);
        let texts: Vec<_> = differences(&wanted, &other)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(texts.len(), 6, "{texts:?}");
        assert!(
            texts.contains(&"b: is missing".to_owned()) && texts.contains(&"c: is not wanted".to_owned())
        );
        let swapped = table(
            &[("b", int(8, false), true), ("a", int(4, false), false)],
            &[&[1]],
        );
        assert_eq!(differences(&wanted, &swapped).len(), 1);
        assert_eq!(compatible(&wanted, &swapped), []);
        assert_eq!(compatible(&wanted, &other).len(), 1);
    }
}
