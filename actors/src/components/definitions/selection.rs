//! Which tables are followed, and where they go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use oms_core::TableName;
use oms_schema::DdlSelection;

/// Where a table goes that did not exist when the project was created, if it is selected.
pub type NewTables = Arc<dyn Fn(&TableName) -> Option<TableName> + Send + Sync>;

/// Which tables are followed, and where they go.
#[derive(Clone)]
pub struct FollowedSelection {
    /// Tables and views that are selected, and their names at the destination.
    pub named: BTreeMap<TableName, TableName>,
    /// Those that the user removed from the project.
    pub removed: BTreeSet<TableName>,
    /// What rules say of a table that did not exist when the project was created.
    pub new_tables: NewTables,
    /// Databases of which something is selected, and their names at the destination.
    pub databases: BTreeMap<String, String>,
}

impl std::fmt::Debug for FollowedSelection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FollowedSelection")
            .field("named", &self.named)
            .field("removed", &self.removed)
            .field("databases", &self.databases)
            .finish_non_exhaustive()
    }
}

/// The selection in front of one statement.
pub(super) struct SelectionNow<'a> {
    pub(super) selection: &'a FollowedSelection,
    /// Tables that existed when definitions were read first and that no selection names.
    pub(super) excluded: &'a BTreeSet<TableName>,
    /// Tables that are no longer followed, because what a skipped statement left of them is not known.
    pub(super) left_out: &'a BTreeSet<TableName>,
    /// Which table of the source goes to which of the destination now, by the destination's name.
    pub(super) taken: &'a BTreeMap<TableName, TableName>,
}

impl DdlSelection for SelectionNow<'_> {
    fn destination(&self, table: &TableName) -> Option<TableName> {
        let selection = self.selection;
        if selection.removed.contains(table) || self.left_out.contains(table) {
            return None;
        }
        if let Some(to) = selection.named.get(table) {
            return Some(to.clone());
        }
        if self.excluded.contains(table) {
            return None;
        }
        (selection.new_tables)(table)
    }

    fn database(&self, name: &str) -> Option<String> {
        self.selection.databases.get(name).cloned()
    }

    fn obstacle(&self, table: &TableName) -> Option<String> {
        let to = self.destination(table)?;
        let other = self.taken.get(&to).filter(|other| *other != table)?;
        Some(format!(
            "at the destination it would be {to}, which is {other} already"
        ))
    }
}
