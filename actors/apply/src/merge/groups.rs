//! Which tables are one, and what they must have in common.

use std::collections::{BTreeMap, BTreeSet};

use oms_core::{ColumnType, Key, TableName, TableSchema};

/// Tables of a source that go to one table of the destination. The first of them stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergedTables {
    groups: BTreeMap<TableName, Vec<TableName>>,
    /// Those that others stand for.
    hidden: BTreeSet<TableName>,
}

impl MergedTables {
    /// From tables and where they go. Tables that go somewhere alone are not among them.
    pub fn of<'t>(mappings: impl IntoIterator<Item = (&'t TableName, &'t TableName)>) -> Self {
        let mut by_destination: BTreeMap<&TableName, Vec<TableName>> = BTreeMap::new();
        for (source, destination) in mappings {
            by_destination
                .entry(destination)
                .or_default()
                .push(source.clone());
        }
        let mut merged = Self::default();
        for members in by_destination.into_values().filter(|m| m.len() > 1) {
            merged.hidden.extend(members.iter().skip(1).cloned());
            if let Some(first) = members.first().cloned() {
                merged.groups.insert(first, members);
            }
        }
        merged
    }

    /// Whether every table goes somewhere alone.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All tables that this one stands for, itself first; `None`: it does not stand for others.
    pub fn members(&self, name: &TableName) -> Option<&[TableName]> {
        self.groups.get(name).map(Vec::as_slice)
    }

    /// Whether another table stands for this one.
    pub fn is_hidden(&self, name: &TableName) -> bool {
        self.hidden.contains(name)
    }

    /// Each table that stands for others, and all that it stands for.
    pub fn iter(&self) -> impl Iterator<Item = (&TableName, &[TableName])> {
        self.groups.iter().map(|(first, all)| (first, all.as_slice()))
    }
}

/// Why these tables cannot be one, all reasons at once; the first is what the others are compared with.
///
/// They must have the same columns in the same order and the same unique keys, whatever the keys' names, and a key whose
/// equality the bytes of its values tell: else a key that is in several of them could not be found.
pub fn merge_problems(tables: &[TableSchema]) -> Vec<String> {
    let mut problems = Vec::new();
    let Some((first, others)) = tables.split_first() else {
        return problems;
    };
    match first.row_key_columns() {
        None => problems.push(format!(
            "{}: has no key; tables without a key cannot be merged",
            first.name
        )),
        Some(columns) => {
            for column in columns.iter().filter_map(|i| first.columns.get(*i)) {
                if !is_exact(&column.ty) {
                    problems.push(format!(
                        "{}: the key's column `{}` is compared by a collation or not exactly; merged tables need a key of \
                         integers, decimals, times, bytes, or texts with a `_bin` collation of utf8mb4, utf8mb3, latin1 or \
                         ascii",
                        first.name, column.name
                    ));
                }
            }
        }
    }
    for other in others {
        problems.extend(
            differences(first, other)
                .into_iter()
                .map(|d| format!("{}: {d}", other.name)),
        );
    }
    problems
}

/// Whether equal values of the type have equal bytes, but for the spaces that texts may end with.
fn is_exact(ty: &ColumnType) -> bool {
    match ty {
        ColumnType::Integer { .. }
        | ColumnType::Decimal { .. }
        | ColumnType::Bit { .. }
        | ColumnType::Year
        | ColumnType::Date
        | ColumnType::Time { .. }
        | ColumnType::DateTime { .. }
        | ColumnType::Timestamp { .. }
        | ColumnType::Binary { .. }
        | ColumnType::VarBinary { .. }
        | ColumnType::Uuid
        | ColumnType::Inet4
        | ColumnType::Inet6 => true,
        ColumnType::Char {
            charset, collation, ..
        }
        | ColumnType::VarChar {
            charset, collation, ..
        } => {
            collation.ends_with("_bin")
                && matches!(
                    charset.as_str(),
                    "utf8mb4" | "utf8mb3" | "utf8" | "latin1" | "ascii"
                )
        }
        ColumnType::Float
        | ColumnType::Double
        | ColumnType::Text { .. }
        | ColumnType::Blob { .. }
        | ColumnType::Enum { .. }
        | ColumnType::Set { .. }
        | ColumnType::Json
        | ColumnType::Geometry { .. } => false,
    }
}

/// What of another table is not as the first has it.
fn differences(first: &TableSchema, other: &TableSchema) -> Vec<String> {
    let mut found = Vec::new();
    for (place, column) in first.columns.iter().enumerate() {
        match other.columns.get(place) {
            Some(there) if there == column => {}
            Some(there) if there.name == column.name => found.push(format!(
                "column `{}` is defined otherwise than in {}",
                column.name, first.name
            )),
            _ if other.columns.iter().any(|c| c.name == column.name) => found.push(format!(
                "column `{}` is at another place than in {}",
                column.name, first.name
            )),
            _ => found.push(format!(
                "has no column `{}`, which {} has",
                column.name, first.name
            )),
        }
    }
    for column in &other.columns {
        if !first.columns.iter().any(|c| c.name == column.name) {
            found.push(format!(
                "has a column `{}`, which {} has not",
                column.name, first.name
            ));
        }
    }
    if found.is_empty() && keys(first) != keys(other) {
        found.push(format!("has other unique keys than {}", first.name));
    }
    found
}

fn keys(table: &TableSchema) -> Vec<(bool, &[oms_core::KeyPart])> {
    let of = |key: &'_ Key| key.primary;
    table.keys.iter().map(|k| (of(k), k.parts.as_slice())).collect()
}

#[cfg(test)]
mod tests {
    use oms_core::{Column, KeyPart};

    use super::*;

    fn name(table: &str) -> TableName {
        TableName::new("d", table)
    }

    fn column(name: &str, ty: ColumnType) -> Column {
        Column {
            name: name.into(),
            ty,
            nullable: false,
            generated: None,
            invisible: false,
        }
    }

    fn int() -> ColumnType {
        ColumnType::Integer {
            bytes: 4,
            unsigned: false,
        }
    }

    fn table(table: &str, columns: Vec<Column>, keyed: bool) -> TableSchema {
        let key = Key {
            name: "PRIMARY".into(),
            primary: true,
            parts: vec![KeyPart {
                column: Some(0),
                prefix: None,
            }],
        };
        TableSchema {
            name: name(table),
            engine: "InnoDB".into(),
            columns,
            keys: if keyed { vec![key] } else { Vec::new() },
            estimated_rows: 1,
            estimated_bytes: 1,
        }
    }

    #[test]
    fn the_first_of_a_destination_stands_for_all() {
        let (a, b, c, x, y) = (name("a"), name("b"), name("c"), name("x"), name("y"));
        let merged = MergedTables::of([(&a, &x), (&b, &y), (&c, &x)]);
        assert_eq!(merged.members(&a), Some([a.clone(), c.clone()].as_slice()));
        assert!(merged.members(&b).is_none() && merged.is_hidden(&c) && !merged.is_hidden(&a));
        assert!(MergedTables::of([(&a, &x), (&b, &y)]).is_empty());
    }

    #[test]
    fn all_that_differs_is_told_at_once() {
        let text = |collation: &str| ColumnType::VarChar {
            length: 9,
            charset: "utf8mb4".into(),
            collation: collation.into(),
        };
        let tables = [
            table("a", vec![column("id", int()), column("v", int())], true),
            table("b", vec![column("id", int()), column("v", text("x"))], true),
            table("c", vec![column("v", int()), column("id", int())], true),
            table("e", vec![column("id", int()), column("w", int())], true),
            table("f", vec![column("id", int()), column("v", int())], false),
        ];
        let told = merge_problems(&tables).join("\n");
        for part in [
            "`b`: column `v` is defined otherwise",
            "`c`: column `id` is at another place",
            "`e`: has no column `v`",
            "`e`: has a column `w`",
            "`f`: has other unique keys",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(merge_problems(&tables[..1]), [] as [String; 0]);
        let keyless = [
            table("a", vec![column("id", int())], false),
            table("b", vec![column("id", int())], false),
        ];
        assert!(merge_problems(&keyless)[0].contains("has no key"));
        let folded = |collation: &str| {
            [
                table("a", vec![column("id", text(collation))], true),
                table("b", vec![column("id", text(collation))], true),
            ]
        };
        assert!(merge_problems(&folded("utf8mb4_general_ci"))[0].contains("by a collation"));
        assert!(merge_problems(&folded("utf8mb4_bin")).is_empty());
    }
}
