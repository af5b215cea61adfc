//! Online schema changes of gh-ost and pt-online-schema-change: they fill a table beside the one that
//! is changed and rename both at the end.

use oms_core::TableName;
use serde::{Deserialize, Serialize};

use super::SchemaTracker;
use crate::{AlterTable, CreateTable, TableDefinition};

/// A table of such a tool, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnlineTable {
    /// The table that is filled (`_t_gho`, `_t_new`). Names of the table that it may be for, the
    /// likeliest first: pt-online-schema-change puts more underscores in front where one is taken.
    Shadow(Vec<String>),
    /// The tool's own log (`_t_ghc`).
    Log(Vec<String>),
    /// The table that was replaced (`_t_del`, `_t_old`).
    Replaced(Vec<String>),
}

impl OnlineTable {
    /// What a name says. It is only one of a tool if one of the tables exists that it may be for.
    pub fn of(name: &str) -> Option<Self> {
        let rest = name.strip_prefix('_')?;
        let bases = |rest: &str| -> Vec<String> {
            let shorter = rest.trim_start_matches('_');
            let more = (0..=rest.len() - shorter.len()).filter_map(|n| rest.get(n..));
            more.filter(|base| !base.is_empty()).map(str::to_owned).collect()
        };
        let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
        if let Some(rest) = rest.strip_suffix("_gho").or_else(|| rest.strip_suffix("_new")) {
            return some(bases(rest)).map(Self::Shadow);
        }
        if let Some(rest) = rest.strip_suffix("_ghc") {
            return some(bases(rest)).map(Self::Log);
        }
        let rest = rest.strip_suffix("_del").or_else(|| rest.strip_suffix("_old"))?;
        let mut list = bases(rest);
        // gh-ost can put the time between the name and the suffix.
        if let Some((base, time)) = rest.rsplit_once('_')
            && time.len() == 14
            && time.bytes().all(|b| b.is_ascii_digit())
        {
            list.extend(bases(base));
        }
        some(list).map(Self::Replaced)
    }

    /// Names of the table that it may be for.
    pub fn bases(&self) -> &[String] {
        match self {
            Self::Shadow(list) | Self::Log(list) | Self::Replaced(list) => list,
        }
    }
}

/// An online change that is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnlineChange {
    /// The table that is changed, in the same database.
    pub of: String,
    /// What was done to the table beside it, in order.
    pub statements: Vec<AlterTable>,
}

impl SchemaTracker {
    /// The change that a table is being filled for.
    pub fn online_change(&self, shadow: &TableName) -> Option<&OnlineChange> {
        self.databases.get(&shadow.database)?.changes.get(&shadow.table)
    }

    /// If the table is one that a tool made, the table that it is for. Names alone do not make it
    /// one: it was seen to be made like the other, or beside it, or to be what a change replaced.
    pub fn online_base(&self, name: &TableName) -> Option<TableName> {
        let base = self.databases.get(&name.database)?.online.get(&name.table)?;
        Some(TableName::new(&name.database, base))
    }

    /// A table gets another name: a change ends, or makes room for its end.
    pub(super) fn end_change(&mut self, from: &TableName, to: &TableName) {
        let Some(database) = self.databases.get_mut(&from.database) else {
            return;
        };
        database.changes.remove(&from.table);
        database.online.remove(&from.table);
        let is_changed = database.changes.values().any(|change| change.of == from.table);
        if let Some(OnlineTable::Replaced(bases)) = OnlineTable::of(&to.table)
            && is_changed
            && from.database == to.database
            && bases.contains(&from.table)
        {
            database.online.insert(to.table.clone(), from.table.clone());
        }
    }

    /// gh-ost makes its table LIKE the other.
    pub(super) fn begin_change(&mut self, name: &TableName, like: &TableName) {
        let Some(OnlineTable::Shadow(bases)) = OnlineTable::of(&name.table) else {
            return;
        };
        if like.database == name.database && bases.contains(&like.table) {
            self.insert_change(name, &like.table);
        }
    }

    /// pt-online-schema-change writes the definition out.
    pub(super) fn note_copy(&mut self, create: &CreateTable, definition: &TableDefinition) {
        let name = &create.table;
        let bases = match OnlineTable::of(&name.table) {
            Some(OnlineTable::Shadow(bases)) => bases,
            Some(OnlineTable::Log(bases)) => {
                let there = |base: &String| self.table(&TableName::new(&name.database, base)).is_some();
                if let Some(base) = bases.into_iter().find(there)
                    && let Some(database) = self.databases.get_mut(&name.database)
                {
                    database.online.insert(name.table.clone(), base);
                }
                return;
            }
            _ => return,
        };
        let copied = bases.into_iter().find(|base| {
            self.table(&TableName::new(&name.database, base))
                .is_some_and(|original| {
                    super::layout_differences(original, definition)
                        .iter()
                        .all(|d| d.object.starts_with("foreign key") || d.object.starts_with("check"))
                })
        });
        if let Some(base) = copied {
            self.insert_change(name, &base);
        }
    }

    fn insert_change(&mut self, name: &TableName, of: &str) {
        if let Some(database) = self.databases.get_mut(&name.database) {
            let change = OnlineChange {
                of: of.to_owned(),
                statements: Vec::new(),
            };
            database.changes.insert(name.table.clone(), change);
            database.online.insert(name.table.clone(), of.to_owned());
        }
    }

    pub(super) fn note_alter(&mut self, alter: &AlterTable) {
        if let Some(database) = self.databases.get_mut(&alter.table.database)
            && let Some(change) = database.changes.get_mut(&alter.table.table)
        {
            change.statements.push(alter.clone());
        }
    }
}
