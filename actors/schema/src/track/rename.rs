//! Renaming tables, and what refers to them.

use oms_core::TableName;

use super::{Result, SchemaTracker, not_followed};
use crate::TableDefinition;

impl SchemaTracker {
    pub(super) fn rename_tables(&mut self, pairs: &[(TableName, TableName)], if_exists: bool) -> Result<()> {
        for (from, to) in pairs {
            self.rename_table(from, to, if_exists)?;
        }
        Ok(())
    }

    fn rename_table(&mut self, from: &TableName, to: &TableName, if_exists: bool) -> Result<()> {
        let is_view = self
            .databases
            .get_mut(&from.database)
            .is_some_and(|d| d.views.remove(&from.table));
        if is_view {
            if let Some(database) = self.databases.get_mut(&to.database) {
                database.views.insert(to.table.clone());
            }
            return Ok(());
        }
        let Some(mut table) = self.take(from) else {
            return match (self.follows(&from.database), self.follows(&to.database)) {
                (true, _) if if_exists => Ok(()),
                (false, false) => Ok(()),
                _ => not_followed(from, format!("it becomes {to} and was not known")),
            };
        };
        self.end_change(from, to);
        generated_names(&mut table.definition, &from.table, &to.table);
        for key in &mut table.definition.foreign_keys {
            // A reference to the old database stays one.
            let database = key.database.clone().unwrap_or_else(|| from.database.clone());
            key.database = (database != to.database).then_some(database);
        }
        self.put(to, table);
        self.refer_to(from, to);
        Ok(())
    }

    /// Foreign keys of all tables that refer to a table refer to its new name.
    fn refer_to(&mut self, from: &TableName, to: &TableName) {
        for (database, tracked) in &mut self.databases {
            for table in tracked.tables.values_mut() {
                for key in &mut table.definition.foreign_keys {
                    let of = key.database.as_deref().unwrap_or(database);
                    if of == from.database && key.table == from.table {
                        key.table.clone_from(&to.table);
                        key.database = (to.database != *database).then(|| to.database.clone());
                    }
                }
            }
        }
    }

    /// Foreign keys that refer to renamed columns of a table name the new ones.
    pub(super) fn rename_references(&mut self, name: &TableName, renamed: &[(String, String)]) {
        for (database, tracked) in &mut self.databases {
            for table in tracked.tables.values_mut() {
                rename_referenced(name, database, &mut table.definition, renamed);
            }
        }
    }
}

fn rename_referenced(
    name: &TableName,
    database: &str,
    definition: &mut TableDefinition,
    renamed: &[(String, String)],
) {
    for key in &mut definition.foreign_keys {
        let of = key.database.as_deref().unwrap_or(database);
        if of != name.database || key.table != name.table {
            continue;
        }
        for column in &mut key.referenced {
            let new = renamed
                .iter()
                .find(|(old, _)| old.to_lowercase() == column.to_lowercase());
            if let Some((_, new)) = new {
                column.clone_from(new);
            }
        }
    }
}

/// Names that the server made from the table's name follow it.
pub(crate) fn generated_names(table: &mut TableDefinition, from: &str, to: &str) {
    let renamed = |name: &str, mark: &str| {
        let number = name.strip_prefix(from)?.strip_prefix(mark)?;
        number
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| format!("{to}{mark}{number}"))
    };
    for key in &mut table.foreign_keys {
        if let Some(new) = renamed(&key.name, "_ibfk_") {
            key.name = new;
        }
    }
    for check in &mut table.checks {
        if let Some(name) = &mut check.name
            && let Some(new) = renamed(name, "_chk_")
        {
            *name = new;
        }
    }
}

/// Checks of a copied table that were named by the server are numbered anew.
pub(super) fn renumber_checks(table: &mut TableDefinition, name: &str) {
    let start = format!("{name}_chk_");
    let number = |check: &crate::CheckDefinition| -> Option<u64> {
        check.name.as_deref()?.strip_prefix(start.as_str())?.parse().ok()
    };
    let mut numbers: Vec<u64> = table.checks.iter().filter_map(number).collect();
    numbers.sort_unstable();
    for check in &mut table.checks {
        if let Some(old) = number(check)
            && let Some(at) = numbers.iter().position(|n| *n == old)
        {
            check.name = Some(format!("{start}{}", at + 1));
        }
    }
}
