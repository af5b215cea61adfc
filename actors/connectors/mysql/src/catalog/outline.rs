//! Names of the parts of a table.

use mysql_async::{Conn, prelude::Queryable as _};
use oms_core::{Failure, TableName};

use crate::connection::{Side, failure};

/// Names of the parts of a table: what every server of the family tells alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Columns in their order.
    pub columns: Vec<String>,
    /// Keys.
    pub indexes: Vec<OutlineIndex>,
    /// Names of foreign keys.
    pub foreign_keys: Vec<String>,
    /// Names of checks and, where the server tells them, their conditions.
    pub checks: Vec<(String, String)>,
    /// Names of partitions.
    pub partitions: Vec<String>,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineIndex {
    /// Its name; `PRIMARY` for the primary key.
    pub name: String,
    /// Whether it is unique.
    pub unique: bool,
    /// Its columns; an expression is an empty name.
    pub columns: Vec<String>,
}

/// Asks for the parts of a table; `None` if there is no such table.
pub async fn outline(conn: &mut Conn, side: Side, name: &TableName) -> Result<Option<Outline>, Failure> {
    let map = |e| failure(e, side).context(name);
    let names = (name.database.as_str(), name.table.as_str());
    let of = |what: &str, from: &str, rest: &str| {
        format!(
            "SELECT {what} FROM information_schema.{from} WHERE table_schema = ? AND table_name = ?{rest}"
        )
    };
    let there: Option<u8> = conn.exec_first(of("1", "tables", ""), names).await.map_err(map)?;
    if there.is_none() {
        return Ok(None);
    }
    let mut table = Outline {
        columns: conn
            .exec(of("column_name", "columns", " ORDER BY ordinal_position"), names)
            .await
            .map_err(map)?,
        ..Outline::default()
    };
    let parts: Vec<(String, u64, Option<String>)> = conn
        .exec(
            of(
                "index_name, non_unique, column_name",
                "statistics",
                " ORDER BY index_name, seq_in_index",
            ),
            names,
        )
        .await
        .map_err(map)?;
    for (index, non_unique, column) in parts {
        let column = column.unwrap_or_default();
        match table.indexes.last_mut() {
            Some(last) if last.name == index => last.columns.push(column),
            _ => table.indexes.push(OutlineIndex {
                name: index,
                unique: non_unique == 0,
                columns: vec![column],
            }),
        }
    }
    let constraints: Vec<(String, String)> = conn
        .exec(
            of("constraint_name, constraint_type", "table_constraints", ""),
            names,
        )
        .await
        .map_err(map)?;
    for (constraint, kind) in constraints {
        match kind.as_str() {
            "FOREIGN KEY" => table.foreign_keys.push(constraint),
            "CHECK" => table.checks.push((constraint, String::new())),
            _ => {}
        }
    }
    if !table.checks.is_empty() {
        // Names are unique in the database, on MariaDB in the table only.
        let conditions = "SELECT constraint_name, check_clause FROM information_schema.check_constraints \
                          WHERE constraint_schema = ?";
        let of_table = format!("{conditions} AND table_name = ?");
        let found: Vec<(String, String)> = match conn.exec(of_table, names).await {
            Ok(found) => found,
            Err(mysql_async::Error::Server(_)) => conn.exec(conditions, (names.0,)).await.map_err(map)?,
            Err(error) => return Err(map(error)),
        };
        for (check, condition) in &mut table.checks {
            if let Some((_, clause)) = found.iter().find(|(name, _)| name == check) {
                condition.clone_from(clause);
            }
        }
    }
    table.partitions = conn
        .exec(
            of(
                "DISTINCT partition_name",
                "partitions",
                " AND partition_name IS NOT NULL",
            ),
            names,
        )
        .await
        .map_err(map)?;
    Ok(Some(table))
}
