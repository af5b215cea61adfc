//! The schema of the source at a place of its log: definition before + statement = definition after.

mod alter;
mod column;
mod compare;
mod create;
mod key;
mod online;
mod partition;
mod rename;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use oms_core::TableName;
use serde::{Deserialize, Serialize};

pub(crate) use column::rename as rename_columns;
pub use compare::layout_differences;
pub use online::{OnlineChange, OnlineTable};
pub(crate) use rename::generated_names;
pub use rules::TrackerRules;

use crate::{
    CreateView, DatabaseDefinition, DatabaseOptions, DdlStatement, SchemaError, StatementContext,
    TableDefinition,
};

type Result<T> = std::result::Result<T, SchemaError>;

/// Databases with their tables as they are at one place of a log.
///
/// It is filled from what the source shows once ([`SchemaTracker::load_database`],
/// [`SchemaTracker::load_table`]) and then follows the statements of the log in order, without
/// asking the source. Only databases that were loaded or created are followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaTracker {
    rules: TrackerRules,
    databases: BTreeMap<String, TrackedDatabase>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TrackedDatabase {
    definition: DatabaseDefinition,
    tables: BTreeMap<String, TrackedTable>,
    views: BTreeSet<String>,
    /// Online changes by the name of the table that is being filled.
    changes: BTreeMap<String, OnlineChange>,
    /// Tables that the tools of such changes made, and the table that each is for.
    online: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TrackedTable {
    definition: TableDefinition,
    /// Indexes that the server made for a foreign key, and gives up when another serves as well.
    generated: BTreeSet<String>,
}

fn not_followed<T>(object: impl ToString, reason: impl Into<String>) -> Result<T> {
    Err(SchemaError::NotFollowed {
        object: object.to_string(),
        reason: reason.into(),
    })
}

impl SchemaTracker {
    /// Without any database.
    pub fn new(rules: TrackerRules) -> Self {
        Self {
            rules,
            databases: BTreeMap::new(),
        }
    }

    /// The rules it goes by.
    pub fn rules(&self) -> &TrackerRules {
        &self.rules
    }

    /// Follows a database from now on; `shown` is what `SHOW CREATE DATABASE` says.
    pub fn load_database(&mut self, shown: &DatabaseDefinition) {
        self.databases.insert(
            shown.name.clone(),
            TrackedDatabase {
                definition: shown.clone(),
                tables: BTreeMap::new(),
                views: BTreeSet::new(),
                changes: BTreeMap::new(),
                online: BTreeMap::new(),
            },
        );
    }

    /// Takes over a table from what `SHOW CREATE TABLE` says. Its database must have been loaded.
    ///
    /// # Errors
    /// If the database is not followed.
    pub fn load_table(&mut self, database: &str, shown: &TableDefinition) -> Result<()> {
        let mut definition = shown.clone();
        self.say_charsets(&mut definition);
        let name = definition.name.clone();
        let table = TrackedTable {
            definition,
            generated: BTreeSet::new(),
        };
        match self.databases.get_mut(database) {
            Some(tracked) => {
                tracked.tables.insert(name, table);
                Ok(())
            }
            None => not_followed(TableName::new(database, name), "its database is not followed"),
        }
    }

    /// Writes the character sets of the table and of all its columns out, so that a later change of
    /// a default does not change them.
    fn say_charsets(&self, table: &mut TableDefinition) {
        let rules = &self.rules;
        let default = |charset: &str| rules.default_collation(charset);
        let (charset, collation) = table.effective_charset(&default);
        let around = (rules.utf8(&charset), rules.utf8(&collation));
        for column in &mut table.columns {
            if column.ty.is_character() {
                let (charset, collation) =
                    rules.charset(column.charset.as_deref(), column.collation.as_deref(), &around);
                (column.charset, column.collation) = (Some(charset), Some(collation));
            }
        }
        (table.options.charset, table.options.collation) = (Some(around.0), Some(around.1));
    }

    /// Takes over the name of a view. Its database must have been loaded.
    pub fn load_view(&mut self, name: &TableName) {
        if let Some(database) = self.databases.get_mut(&name.database) {
            database.views.insert(name.table.clone());
        }
    }

    /// A table as it is now. Character columns say their character set and collation.
    pub fn table(&self, name: &TableName) -> Option<&TableDefinition> {
        self.tracked(name).map(|table| &table.definition)
    }

    /// All tables in the order of their names.
    pub fn tables(&self) -> impl Iterator<Item = (TableName, &TableDefinition)> {
        self.databases.iter().flat_map(|(database, tracked)| {
            tracked
                .tables
                .iter()
                .map(move |(table, t)| (TableName::new(database, table), &t.definition))
        })
    }

    /// A database as it is now.
    pub fn database(&self, name: &str) -> Option<&DatabaseDefinition> {
        self.databases.get(name).map(|tracked| &tracked.definition)
    }

    /// Whether a view of this name is known.
    pub fn has_view(&self, name: &TableName) -> bool {
        self.databases
            .get(&name.database)
            .is_some_and(|d| d.views.contains(&name.table))
    }

    /// Knows nothing of a table any more: what a statement left behind could not be told.
    pub fn forget(&mut self, name: &TableName) {
        if let Some(database) = self.databases.get_mut(&name.database) {
            database.tables.remove(&name.table);
            database.changes.remove(&name.table);
            database.online.remove(&name.table);
        }
    }

    /// Whether statements about a database are followed.
    pub fn follows_database(&self, name: &str) -> bool {
        self.follows(name)
    }

    fn tracked(&self, name: &TableName) -> Option<&TrackedTable> {
        self.databases.get(&name.database)?.tables.get(&name.table)
    }

    fn follows(&self, database: &str) -> bool {
        self.databases.contains_key(database)
    }

    fn take(&mut self, name: &TableName) -> Option<TrackedTable> {
        self.databases.get_mut(&name.database)?.tables.remove(&name.table)
    }

    fn put(&mut self, name: &TableName, mut table: TrackedTable) {
        table.definition.name.clone_from(&name.table);
        if let Some(database) = self.databases.get_mut(&name.database) {
            database.tables.insert(name.table.clone(), table);
        }
    }

    /// Follows a statement that the source has executed. Statements about databases that are not
    /// followed, about temporary tables and about other things than tables change nothing.
    ///
    /// # Errors
    /// When the statement does not fit what was followed, or what it leaves behind cannot be known
    /// from its text. The tracker is then as it was.
    pub fn apply(&mut self, statement: &DdlStatement, context: &StatementContext) -> Result<()> {
        let mut next = self.clone();
        next.apply_in_place(statement, context)?;
        *self = next;
        Ok(())
    }

    fn apply_in_place(&mut self, statement: &DdlStatement, context: &StatementContext) -> Result<()> {
        match statement {
            DdlStatement::CreateTable(create) => self.create_table(create, context),
            DdlStatement::CreateTableLike(create) => self.create_like(create),
            DdlStatement::AlterTable(alter) => self.alter_table(alter, context),
            DdlStatement::DropTable {
                tables,
                temporary,
                if_exists,
            } => self.drop_tables(tables, *temporary, *if_exists),
            DdlStatement::RenameTable { pairs, if_exists } => self.rename_tables(pairs, *if_exists),
            DdlStatement::TruncateTable { table } => self.truncate(table),
            DdlStatement::CreateIndex {
                table,
                index,
                if_not_exists,
                or_replace,
            } => self.create_index(table, index, *if_not_exists, *or_replace, context),
            DdlStatement::DropIndex {
                table,
                name,
                if_exists,
            } => self.drop_index(table, name, *if_exists, context),
            DdlStatement::CreateDatabase {
                name,
                if_not_exists,
                options,
                ..
            } => {
                if !(*if_not_exists && self.follows(name)) {
                    let around = context
                        .server_charset
                        .clone()
                        .unwrap_or_else(|| ("utf8mb4".to_owned(), self.rules.default_collation("utf8mb4")));
                    self.load_database(&self.new_database(name, options, &around));
                }
                Ok(())
            }
            DdlStatement::AlterDatabase { name, options } => {
                if let Some(old) = self.database(name).cloned() {
                    let around = self.database_charset(&old);
                    let mut new = self.new_database(name, options, &around);
                    if options.comment.is_none() {
                        new.comment = old.comment;
                    }
                    new.encrypted = options.encrypted.unwrap_or(old.encrypted);
                    if let Some(database) = self.databases.get_mut(name) {
                        database.definition = new;
                    }
                }
                Ok(())
            }
            DdlStatement::DropDatabase { name, .. } => {
                self.databases.remove(name);
                Ok(())
            }
            DdlStatement::CreateView(create) => self.create_view(create),
            DdlStatement::DropView { views, .. } => {
                for view in views {
                    if let Some(database) = self.databases.get_mut(&view.database) {
                        database.views.remove(&view.table);
                    }
                }
                Ok(())
            }
            DdlStatement::Sequence { .. } | DdlStatement::Other(_) => Ok(()),
        }
    }

    fn new_database(
        &self,
        name: &str,
        options: &DatabaseOptions,
        around: &(String, String),
    ) -> DatabaseDefinition {
        let (charset, collation) =
            self.rules
                .charset(options.charset.as_deref(), options.collation.as_deref(), around);
        DatabaseDefinition {
            name: name.to_owned(),
            charset: Some(charset),
            collation: Some(collation),
            comment: options.comment.clone().unwrap_or_default(),
            encrypted: options.encrypted.unwrap_or(false),
        }
    }

    fn database_charset(&self, database: &DatabaseDefinition) -> (String, String) {
        let latin = ("utf8mb4".to_owned(), self.rules.default_collation("utf8mb4"));
        self.rules
            .charset(database.charset.as_deref(), database.collation.as_deref(), &latin)
    }

    fn create_view(&mut self, create: &CreateView) -> Result<()> {
        if let Some(database) = self.databases.get_mut(&create.name.database) {
            database.views.insert(create.name.table.clone());
        }
        Ok(())
    }

    fn truncate(&mut self, table: &TableName) -> Result<()> {
        if let Some(mut tracked) = self.take(table) {
            tracked.definition.options.auto_increment = None;
            self.put(table, tracked);
        }
        Ok(())
    }

    fn drop_tables(&mut self, tables: &[TableName], temporary: bool, if_exists: bool) -> Result<()> {
        for table in tables {
            if temporary || !self.follows(&table.database) {
                continue;
            }
            if let Some(database) = self.databases.get_mut(&table.database) {
                database.changes.remove(&table.table);
                database.online.remove(&table.table);
            }
            if self.take(table).is_none() && !if_exists {
                return not_followed(table, "it is dropped and was not known");
            }
        }
        Ok(())
    }
}
