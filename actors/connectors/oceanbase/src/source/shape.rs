//! What the followed tables are like: whether the rows of two moments may be compared.

use std::collections::BTreeMap;

use mysql_async::{Conn, prelude::Queryable as _};
use oms_core::{Failure, ScnPosition, TableName, codes};
use oms_mysql::connection::{Side, failure};

/// Storage of tables and of their partitions. A table that is truncated, rebuilt or made again under its name, and a
/// partition that comes, goes or is truncated, has other numbers here.
const STORAGE: &str = "SELECT OWNER, OBJECT_NAME, IFNULL(SUBOBJECT_NAME, ''), OBJECT_TYPE, \
    CONCAT(OBJECT_ID, '/', IFNULL(DATA_OBJECT_ID, 0)) FROM oceanbase.DBA_OBJECTS \
    WHERE OBJECT_TYPE IN ('TABLE', 'TABLE PARTITION', 'TABLE SUBPARTITION') AND OWNER IN ";
const COLUMNS: &str = "SELECT table_schema, table_name, column_name, column_type, is_nullable, \
    IFNULL(collation_name, ''), IFNULL(extra, '') FROM information_schema.columns WHERE table_schema IN ";
const COLUMNS_IN_ORDER: &str = " ORDER BY table_schema, table_name, ordinal_position";

/// The followed tables as they were when they were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    digest: String,
    tables: BTreeMap<TableName, TableShape>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TableShape {
    /// Name (empty: the table itself), kind and numbers, in the order of names.
    storage: BTreeMap<(String, String), String>,
    columns: Vec<[String; 5]>,
}

/// Looks at the tables.
///
/// # Errors
/// `OMS-SRC-0011` names the tables that are not there; `OMS-SRC-0005` when the dictionary may not be read.
pub(super) async fn read(conn: &mut Conn, tables: &[TableName]) -> Result<Shape, Failure> {
    let mut found: BTreeMap<TableName, TableShape> = tables
        .iter()
        .map(|t| (t.clone(), TableShape::default()))
        .collect();
    let mut databases: Vec<&str> = tables.iter().map(|t| t.database.as_str()).collect();
    databases.dedup();
    if !databases.is_empty() {
        let list: Vec<String> = databases.iter().map(|name| literal(name)).collect();
        let list = format!("({})", list.join(", "));
        let at = |e| failure(e, Side::Source).context("what the tables are like");
        let storage: Vec<(String, String, String, String, String)> =
            conn.query(format!("{STORAGE}{list}")).await.map_err(at)?;
        for (database, table, part, kind, numbers) in storage {
            if let Some(shape) = found.get_mut(&TableName::new(database, table)) {
                shape.storage.insert((part, kind), numbers);
            }
        }
        let columns: Vec<(String, String, String, String, String, String, String)> = conn
            .query(format!("{COLUMNS}{list}{COLUMNS_IN_ORDER}"))
            .await
            .map_err(at)?;
        for (database, table, name, ty, nullable, collation, extra) in columns {
            if let Some(shape) = found.get_mut(&TableName::new(database, table)) {
                shape.columns.push([name, ty, nullable, collation, extra]);
            }
        }
    }
    let missing: Vec<String> = found
        .iter()
        .filter(|(_, shape)| shape.storage.is_empty() || shape.columns.is_empty())
        .map(|(name, _)| name.to_string())
        .collect();
    if missing.is_empty() {
        Ok(Shape::of(found))
    } else {
        Err(Failure::new(codes::src::TABLE_MISSING, missing.join(", ")))
    }
}

impl Shape {
    fn of(tables: BTreeMap<TableName, TableShape>) -> Self {
        let mut digest = Digest::default();
        for (name, shape) in &tables {
            digest.add(&name.database);
            digest.add(&name.table);
            for ((part, kind), numbers) in &shape.storage {
                [part, kind, numbers].into_iter().for_each(|t| digest.add(t));
            }
            for column in &shape.columns {
                column.iter().for_each(|t| digest.add(t));
            }
        }
        Self {
            digest: digest.text(),
            tables,
        }
    }

    /// Stands for all of it in positions.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// The smallest partitions of a table, by name; none: it is not partitioned.
    pub(super) fn partitions(&self, table: &TableName) -> Vec<String> {
        let Some(shape) = self.tables.get(table) else {
            return Vec::new();
        };
        let of = |wanted: &str| -> Vec<String> {
            let all = shape.storage.keys().filter(|(_, kind)| kind == wanted);
            all.map(|(name, _)| name.clone()).collect()
        };
        let small = of("TABLE SUBPARTITION");
        if small.is_empty() {
            of("TABLE PARTITION")
        } else {
            small
        }
    }

    /// Refuses to go on from a moment at which the tables were otherwise.
    ///
    /// # Errors
    /// `OMS-SRC-0019`.
    pub(super) fn must_be(&self, then: &ScnPosition) -> Result<(), Failure> {
        if self.digest == then.shape {
            return Ok(());
        }
        let names: Vec<String> = self.tables.keys().take(20).map(TableName::to_string).collect();
        let words = format!(
            "since {then} at least one of the followed tables was redefined: {}",
            names.join(", ")
        );
        Err(Failure::new(codes::src::REDEFINED, words))
    }

    /// Refuses what lies between two looks at the tables unless nothing changed.
    ///
    /// # Errors
    /// `OMS-SRC-0019` names the tables.
    pub(super) fn must_equal(&self, then: &Self) -> Result<(), Failure> {
        if self.digest == then.digest {
            return Ok(());
        }
        let names: Vec<String> = self
            .tables
            .iter()
            .filter(|(name, shape)| then.tables.get(*name) != Some(*shape))
            .map(|(name, _)| name.to_string())
            .collect();
        Err(Failure::new(codes::src::REDEFINED, names.join(", ")))
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// FNV-1a of 128 bits: the same on every node and in every release, as positions are kept.
struct Digest(u128);

impl Default for Digest {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Digest {
    /// Adds a text and its end, which no text holds.
    fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    fn text(&self) -> String {
        format!("{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(parts: &[(&str, &str, &str)], columns: &[&str]) -> Shape {
        let one = TableShape {
            storage: parts
                .iter()
                .map(|(part, kind, numbers)| (((*part).into(), (*kind).into()), (*numbers).into()))
                .collect(),
            columns: columns
                .iter()
                .map(|c| [*c, "int(11)", "NO", "", ""].map(str::to_owned))
                .collect(),
        };
        Shape::of([(TableName::new("d", "t"), one)].into())
    }

    #[test]
    fn whatever_makes_rows_incomparable_shows() {
        let plain = shape(&[("", "TABLE", "5/200")], &["a", "b"]);
        let same = shape(&[("", "TABLE", "5/200")], &["a", "b"]);
        assert_eq!(plain.digest(), same.digest());
        same.must_equal(&plain).unwrap();
        for other in [
            shape(&[("", "TABLE", "5/201")], &["a", "b"]),
            shape(&[("", "TABLE", "6/200")], &["a", "b"]),
            shape(&[("", "TABLE", "5/200")], &["a"]),
            shape(&[("", "TABLE", "5/200")], &["b", "a"]),
            shape(
                &[("", "TABLE", "5/200"), ("p", "TABLE PARTITION", "7/8")],
                &["a", "b"],
            ),
        ] {
            let refused = other.must_equal(&plain).unwrap_err();
            assert_eq!(refused.code(), codes::src::REDEFINED);
            assert!(refused.detail().contains("`d`.`t`"), "{refused}");
            let then = ScnPosition {
                server: "s".into(),
                scn: 1,
                shape: plain.digest().to_owned(),
            };
            assert_eq!(other.must_be(&then).unwrap_err().code(), codes::src::REDEFINED);
            same.must_be(&then).unwrap();
        }
    }

    #[test]
    fn the_smallest_partitions_count() {
        let name = TableName::new("d", "t");
        assert!(
            shape(&[("", "TABLE", "1/2")], &["a"])
                .partitions(&name)
                .is_empty()
        );
        let parts = [("p1", "TABLE PARTITION", "1/2"), ("p0", "TABLE PARTITION", "3/4")];
        assert_eq!(shape(&parts, &["a"]).partitions(&name), ["p0", "p1"]);
        let both = [
            ("p0", "TABLE PARTITION", "1/0"),
            ("p0s1", "TABLE SUBPARTITION", "3/4"),
        ];
        assert_eq!(shape(&both, &["a"]).partitions(&name), ["p0s1"]);
    }

    #[test]
    fn the_digest_is_that_of_its_definition() {
        // Of no text at all: the offset basis; positions of earlier releases stay valid.
        assert_eq!(Digest::default().text(), "6c62272e07bb014262b821756295c58d");
        let mut one = Digest::default();
        one.add("ab");
        let mut two = Digest::default();
        two.add("a");
        two.add("b");
        assert_ne!(one.text(), two.text());
    }

    #[test]
    fn names_are_literals() {
        assert_eq!(literal(r"it's \ it"), r"'it''s \\ it'");
    }
}
