//! What databases hold.

use std::collections::{BTreeMap, BTreeSet};

use oms_core::{Failure, TableName};

use super::{Catalog, number, optional_text, text};

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Default character set.
    pub charset: String,
    /// Default collation.
    pub collation: String,
    /// Whether it belongs to the server itself and is never migrated.
    pub system: bool,
}

/// What an entry of a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectType {
    /// A base table.
    Table,
    /// A view.
    View,
    /// Anything else, in the server's words (`SEQUENCE`, `SYSTEM VERSIONED`, ...).
    Other(String),
}

/// A table, view or similar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: TableName,
    /// What it is.
    pub object_type: ObjectType,
    /// Storage engine; empty for views.
    pub engine: String,
    /// The server's estimate of the number of rows.
    pub estimated_rows: u64,
    /// The server's estimate of the bytes of data.
    pub estimated_bytes: u64,
    /// Default collation; empty for views.
    pub collation: String,
    /// Options as the server lists them, for example `partitioned`.
    pub options: String,
    /// Comment.
    pub comment: String,
}

/// What happens to referring rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKeyRule {
    /// RESTRICT or NO ACTION.
    Restrict,
    /// CASCADE, SET NULL or SET DEFAULT: the server changes rows that no log event of its own names.
    Changes,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// The referring table.
    pub table: TableName,
    /// The referring columns in order.
    pub columns: Vec<String>,
    /// The table referred to.
    pub referenced: TableName,
    /// The columns referred to, in order.
    pub referenced_columns: Vec<String>,
    /// On update.
    pub on_update: ForeignKeyRule,
    /// On delete.
    pub on_delete: ForeignKeyRule,
}

/// A trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// Its table.
    pub table: TableName,
    /// `INSERT`, `UPDATE` or `DELETE`.
    pub event: String,
}

/// How a table is partitioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partitioning {
    /// `RANGE`, `LIST COLUMNS`, `HASH`, ... in the server's words.
    pub method: String,
    /// The expression.
    pub expression: String,
    /// The method of subpartitions, if there are any.
    pub submethod: Option<String>,
    /// Names of the partitions in order.
    pub partitions: Vec<String>,
}

/// Databases that belong to a server of the family.
const SYSTEM_DATABASES: [&str; 8] = [
    "mysql",
    "information_schema",
    "performance_schema",
    "sys",
    "oceanbase",
    "lbacsys",
    "oraauditor",
    "metrics_schema",
];

impl Database {
    /// Whether a database of this name belongs to the server.
    pub fn is_system(name: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        SYSTEM_DATABASES.contains(&lower.as_str()) || lower.starts_with("__")
    }
}

impl Catalog<'_> {
    /// All databases that the account sees, by name.
    pub async fn databases(&mut self) -> Result<Vec<Database>, Failure> {
        let query = "SELECT schema_name AS a, default_character_set_name AS b, default_collation_name AS c \
                     FROM information_schema.schemata ORDER BY schema_name";
        let rows = self.rows(query, ()).await?;
        Ok(rows
            .iter()
            .map(|row| {
                let name = text(row, 0);
                Database {
                    system: Database::is_system(&name),
                    name,
                    charset: text(row, 1),
                    collation: text(row, 2),
                }
            })
            .collect())
    }

    /// All tables and views of a database, by name. Internal tables of OceanBase are left out.
    pub async fn objects(&mut self, database: &str) -> Result<Vec<Object>, Failure> {
        let query = "SELECT table_name AS a, table_type AS b, engine AS c, table_rows AS d, data_length AS e, \
                     table_collation AS f, create_options AS g, table_comment AS h, table_schema AS i \
                     FROM information_schema.tables WHERE table_schema = ? ORDER BY table_name";
        let rows = self.rows(query, (database,)).await?;
        Ok(rows
            .iter()
            .filter(|row| {
                let name = text(row, 0);
                !name.starts_with("mlog$_") && !name.starts_with("__mv_container_")
            })
            .map(|row| {
                let object_type = match text(row, 1).as_str() {
                    "BASE TABLE" => ObjectType::Table,
                    "VIEW" | "SYSTEM VIEW" => ObjectType::View,
                    other => ObjectType::Other(other.to_owned()),
                };
                let view = object_type == ObjectType::View;
                Object {
                    name: TableName::new(text(row, 8), text(row, 0)),
                    object_type,
                    engine: text(row, 2),
                    estimated_rows: number(row, 3).unwrap_or(0),
                    estimated_bytes: number(row, 4).unwrap_or(0),
                    collation: text(row, 5),
                    options: text(row, 6),
                    // Of a view the server says "VIEW".
                    comment: if view { String::new() } else { text(row, 7) },
                }
            })
            .collect())
    }

    /// All foreign keys of the tables of a database, by table and name.
    pub async fn foreign_keys(&mut self, database: &str) -> Result<Vec<ForeignKey>, Failure> {
        let rules = "SELECT constraint_name AS a, table_name AS b, update_rule AS c, delete_rule AS d \
                     FROM information_schema.referential_constraints WHERE constraint_schema = ?";
        let rule = |text: String| match text.as_str() {
            "RESTRICT" | "NO ACTION" => ForeignKeyRule::Restrict,
            _ => ForeignKeyRule::Changes,
        };
        let mut by_name = BTreeMap::new();
        for row in self.rows(rules, (database,)).await? {
            by_name.insert(
                (text(&row, 1), text(&row, 0)),
                (rule(text(&row, 2)), rule(text(&row, 3))),
            );
        }
        let usage = "SELECT table_name AS a, constraint_name AS b, column_name AS c, \
                     referenced_table_schema AS d, referenced_table_name AS e, referenced_column_name AS f, \
                     table_schema AS g \
                     FROM information_schema.key_column_usage \
                     WHERE table_schema = ? AND referenced_table_name IS NOT NULL \
                     ORDER BY table_name, constraint_name, ordinal_position";
        let mut keys: Vec<ForeignKey> = Vec::new();
        for row in self.rows(usage, (database,)).await? {
            let table = TableName::new(text(&row, 6), text(&row, 0));
            let name = text(&row, 1);
            let same = keys.last_mut().filter(|k| k.table == table && k.name == name);
            if let Some(key) = same {
                key.columns.push(text(&row, 2));
                key.referenced_columns.push(text(&row, 5));
                continue;
            }
            let (on_update, on_delete) = by_name
                .get(&(table.table.clone(), name.clone()))
                .copied()
                .unwrap_or((ForeignKeyRule::Restrict, ForeignKeyRule::Restrict));
            keys.push(ForeignKey {
                name,
                table,
                columns: vec![text(&row, 2)],
                referenced: TableName::new(text(&row, 3), text(&row, 4)),
                referenced_columns: vec![text(&row, 5)],
                on_update,
                on_delete,
            });
        }
        Ok(keys)
    }

    /// All triggers of a database that the account sees (TRIGGER privilege).
    pub async fn triggers(&mut self, database: &str) -> Result<Vec<Trigger>, Failure> {
        let query = "SELECT trigger_name AS a, event_object_table AS b, event_manipulation AS c, \
                     event_object_schema AS d FROM information_schema.triggers \
                     WHERE event_object_schema = ? ORDER BY trigger_name";
        let rows = self.rows(query, (database,)).await?;
        Ok(rows
            .iter()
            .map(|row| Trigger {
                name: text(row, 0),
                table: TableName::new(text(row, 3), text(row, 1)),
                event: text(row, 2),
            })
            .collect())
    }

    /// All checks of the tables of a database as (table, check), by name. Empty on servers that know none.
    pub async fn checks(&mut self, database: &str) -> Result<Vec<(String, String)>, Failure> {
        let query = "SELECT table_name AS a, constraint_name AS b FROM information_schema.table_constraints \
                     WHERE table_schema = ? AND constraint_type = 'CHECK' ORDER BY a, b";
        let rows = self.rows(query, (database,)).await?;
        Ok(rows.iter().map(|row| (text(row, 0), text(row, 1))).collect())
    }

    /// All indexes of the tables of a database as (table, index), by name.
    pub async fn indexes(&mut self, database: &str) -> Result<Vec<(String, String)>, Failure> {
        let query = "SELECT DISTINCT table_name AS a, index_name AS b FROM information_schema.statistics \
                     WHERE table_schema = ? ORDER BY a, b";
        let rows = self.rows(query, (database,)).await?;
        Ok(rows.iter().map(|row| (text(row, 0), text(row, 1))).collect())
    }

    /// How the table is partitioned; `None`: it is not.
    pub async fn partitioning(&mut self, name: &TableName) -> Result<Option<Partitioning>, Failure> {
        let query = "SELECT partition_name AS a, partition_method AS b, partition_expression AS c, \
                     subpartition_method AS d FROM information_schema.partitions \
                     WHERE table_schema = ? AND table_name = ? AND partition_name IS NOT NULL \
                     ORDER BY partition_ordinal_position, subpartition_ordinal_position";
        let rows = self.rows(query, (&name.database, &name.table)).await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let mut partitions: Vec<String> = rows.iter().map(|r| text(r, 0)).collect();
        partitions.dedup();
        Ok(Some(Partitioning {
            method: text(first, 1),
            expression: text(first, 2),
            submethod: optional_text(first, 3),
            partitions,
        }))
    }

    /// Comments of a table's columns that have one, in table order.
    pub async fn column_comments(&mut self, name: &TableName) -> Result<Vec<(String, String)>, Failure> {
        let query = "SELECT column_name AS a, column_comment AS b FROM information_schema.columns \
                     WHERE table_schema = ? AND table_name = ? AND column_comment <> '' \
                     ORDER BY ordinal_position";
        let rows = self.rows(query, (&name.database, &name.table)).await?;
        Ok(rows.iter().map(|r| (text(r, 0), text(r, 1))).collect())
    }

    /// The tables and views that a view reads: every `` `a`.`b` `` of its definition that names an
    /// existing object of the given databases. Servers print definitions fully qualified. An alias
    /// that equals a database's name may add an object that is not read; none is ever left out.
    pub async fn view_dependencies(
        &mut self,
        view: &TableName,
        existing: &BTreeSet<TableName>,
    ) -> Result<BTreeSet<TableName>, Failure> {
        let definition = self.create_view(view).await?;
        Ok(qualified_names(&definition.statement)
            .into_iter()
            .filter(|name| name != view && existing.contains(name))
            .collect())
    }
}

/// Every pair of adjacent quoted names joined by a dot, strings and comments left out.
fn qualified_names(statement: &str) -> BTreeSet<TableName> {
    let mut found = BTreeSet::new();
    let mut chars = statement.chars().peekable();
    let mut previous: Option<String> = None;
    let mut dotted = false;
    while let Some(c) = chars.next() {
        match c {
            '`' => {
                let mut name = String::new();
                while let Some(c) = chars.next() {
                    if c == '`' {
                        if chars.peek() != Some(&'`') {
                            break;
                        }
                        chars.next();
                    }
                    name.push(c);
                }
                if let Some(database) = previous.take().filter(|_| dotted) {
                    found.insert(TableName::new(database, name.clone()));
                }
                previous = Some(name);
                dotted = false;
            }
            '\'' | '"' => {
                while let Some(inner) = chars.next() {
                    match inner {
                        '\\' => drop(chars.next()),
                        _ if inner == c => break,
                        _ => {}
                    }
                }
                previous = None;
            }
            '.' if previous.is_some() => dotted = true,
            _ => {
                previous = None;
                dotted = false;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualified_names_are_found_outside_strings() {
        let got = qualified_names(
            "CREATE VIEW `d`.`v` AS select `d`.`t``1`.`a` AS `a`,'`x`.`y`' AS `b` from (`d`.`t``1` join `e`.`u`)",
        );
        let names: Vec<_> = got
            .iter()
            .map(|n| (n.database.as_str(), n.table.as_str()))
            .collect();
        assert_eq!(names, [("d", "t`1"), ("d", "v"), ("e", "u"), ("t`1", "a")]);
    }

    #[test]
    fn server_databases_are_known() {
        assert!(
            Database::is_system("MySQL") && Database::is_system("oceanbase") && !Database::is_system("shop")
        );
    }
}
