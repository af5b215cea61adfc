//! The definitions of the source at the place that was reached, and what is followed of them.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use oms_core::{Failure, Position, TableName, TableSchema, codes};
use oms_schema::{DdlSelection as _, DdlStatement, SchemaTracker};

use super::{
    archive::Snapshot,
    entry::{DdlEntry, EntryState},
    selection::{FollowedSelection, SelectionNow},
};

/// The definitions of the source at the place that was reached. Pure: entries of the history in, tables out.
#[derive(Clone, Debug)]
pub(super) struct Followed {
    pub(super) snapshot: Snapshot,
    /// The last statement of the history.
    pub(super) last: Option<DdlEntry>,
}

/// Where a statement of the log lies in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is in the history, and closed.
    Closed,
    /// It is the last of the history, and open.
    Open,
    /// It is behind all of them.
    New,
}

impl Followed {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, last: None }
    }

    pub(super) fn tracker(&self) -> &SchemaTracker {
        &self.snapshot.tracker
    }

    /// The number of the next new statement.
    pub(super) fn next_number(&self) -> u64 {
        self.last
            .as_ref()
            .map_or(self.snapshot.number, |last| last.number)
            .max(self.snapshot.number)
            + 1
    }

    /// Goes on to a later entry, or to a later state of the last one.
    ///
    /// # Errors
    /// `OMS-APPLY-0013` when a closed entry does not fit the definitions.
    pub(super) fn advance(&mut self, entry: DdlEntry) -> Result<(), Failure> {
        if entry.state.is_closed() && entry.number > self.snapshot.number {
            self.take(&entry)?;
            self.snapshot.number = entry.number;
        }
        self.last = Some(entry);
        Ok(())
    }

    fn take(&mut self, entry: &DdlEntry) -> Result<(), Failure> {
        let mut tracker = self.snapshot.tracker.clone();
        if entry.forgotten.is_empty() {
            let follow = || {
                let statement = DdlStatement::parse(without_phase(&entry.statement), &entry.context)?;
                let revived = revived(&statement);
                tracker.apply(&statement, &entry.context)?;
                Ok::<_, oms_schema::SchemaError>(revived)
            };
            let revived = { follow }().map_err(|e| {
                Failure::new(
                    codes::apply::DDL_STATE_DAMAGED,
                    format!("statement {} of the history: {e}", entry.number),
                )
            })?;
            // A table that is made anew is known again.
            for name in revived {
                self.snapshot.left_out_tables.remove(&name);
                self.snapshot.left_out_columns.retain(|(table, _)| *table != name);
            }
        }
        for name in &entry.forgotten {
            tracker.forget(name);
        }
        for (table, columns) in &entry.left_out {
            if columns.is_empty() {
                self.snapshot.left_out_tables.insert(table.clone());
            }
            for column in columns {
                let left = (table.clone(), column.clone());
                if !self.snapshot.left_out_columns.contains(&left) {
                    self.snapshot.left_out_columns.push(left);
                }
            }
        }
        self.snapshot.tracker = tracker;
        Ok(())
    }

    /// Where a statement lies.
    ///
    /// # Errors
    /// `OMS-APPLY-0009`.
    pub(super) fn place(&self, position: &Position, in_transaction: bool) -> Result<Place, Failure> {
        let Some(last) = &self.last else {
            return Ok(Place::New);
        };
        match last.compare(position, in_transaction) {
            Some(Ordering::Less) if last.state.is_closed() => Ok(Place::New),
            Some(Ordering::Less) => Err(Failure::new(
                codes::apply::DDL_STATE_DAMAGED,
                format!(
                    "statement {} of the history is not closed, and a later one comes at {position}",
                    last.number
                ),
            )),
            Some(Ordering::Equal) if !last.state.is_closed() => Ok(Place::Open),
            Some(_) => Ok(Place::Closed),
            None => Err(Failure::new(
                codes::apply::POSITION_NOT_COMPARABLE,
                format!(
                    "the statement at {position} with the last one of the history at {}",
                    last.position
                ),
            )),
        }
    }

    /// Whether a statement is in what was read first.
    ///
    /// # Errors
    /// `OMS-APPLY-0009`.
    pub(super) fn is_early(&self, position: &Position) -> Result<bool, Failure> {
        let read_at = &self.snapshot.read_at;
        let order = position.partial_cmp(read_at).ok_or_else(|| {
            Failure::new(
                codes::apply::POSITION_NOT_COMPARABLE,
                format!(
                    "the statement at {position} with the place at which definitions were read, {read_at}"
                ),
            )
        })?;
        Ok(order != Ordering::Greater)
    }

    /// The tables that are followed now: at the source and at the destination.
    pub(super) fn tables(&self, selection: &FollowedSelection) -> BTreeMap<TableName, TableName> {
        let nothing = BTreeMap::new();
        let now = self.selection(selection, &nothing);
        let tracker = &self.snapshot.tracker;
        tracker
            .tables()
            .filter(|(name, _)| tracker.online_base(name).is_none())
            .filter_map(|(name, _)| now.destination(&name).map(|to| (name, to)))
            .collect()
    }

    /// The selection with what became of it.
    pub(super) fn selection<'a>(
        &'a self,
        selection: &'a FollowedSelection,
        taken: &'a BTreeMap<TableName, TableName>,
    ) -> SelectionNow<'a> {
        SelectionNow {
            selection,
            excluded: &self.snapshot.excluded,
            left_out: &self.snapshot.left_out_tables,
            taken,
        }
    }

    /// The shape of rows of a table.
    ///
    /// # Errors
    /// `OMS-SCHEMA-0002` for a column whose type no row can carry.
    pub(super) fn shape(
        &self,
        name: &TableName,
        default_collation: &dyn Fn(&str) -> String,
    ) -> Result<Option<Arc<TableSchema>>, Failure> {
        let definition = self.snapshot.tracker.table(name);
        definition
            .map(|d| d.to_schema(name.clone(), default_collation).map(Arc::new))
            .transpose()
    }

    /// Columns of a table that the destination may lack.
    pub(super) fn left_out(&self, name: &TableName) -> Vec<String> {
        let columns = self.snapshot.left_out_columns.iter();
        columns
            .filter(|(table, _)| table == name)
            .map(|(_, column)| column.clone())
            .collect()
    }

    /// Tables of which nothing is known, that a selection names.
    pub(super) fn missing(&self, selection: &FollowedSelection) -> BTreeSet<TableName> {
        let named = selection.named.keys();
        named
            .filter(|name| !selection.removed.contains(name))
            .filter(|name| {
                self.snapshot.tracker.table(name).is_none() && !self.snapshot.tracker.has_view(name)
            })
            .cloned()
            .collect()
    }
}

/// Tables that a statement makes.
fn revived(statement: &DdlStatement) -> Vec<TableName> {
    match statement {
        DdlStatement::CreateTable(create) if !create.temporary => vec![create.table.clone()],
        DdlStatement::CreateTableLike(create) if !create.temporary => vec![create.table.clone()],
        _ => Vec::new(),
    }
}

/// MariaDB can log a long ALTER as two statements, which begin with what they are. The second, which says that it
/// happened, is the statement.
pub(super) fn without_phase(statement: &str) -> &str {
    phase(statement).map_or(statement, |(_, rest)| rest)
}

/// Whether a statement only announces another, or says that it did not happen.
pub(super) fn only_announces(statement: &str) -> bool {
    phase(statement).is_some_and(|(verb, _)| verb != "COMMIT")
}

fn phase(statement: &str) -> Option<(String, &str)> {
    let text = statement.trim_start();
    let (verb, rest) = text.split_once(char::is_whitespace)?;
    let verb = verb.to_ascii_uppercase();
    if !matches!(verb.as_str(), "START" | "COMMIT" | "ROLLBACK") {
        return None;
    }
    let (word, rest) = rest.trim_start().split_once(char::is_whitespace)?;
    if !word.eq_ignore_ascii_case("ALTER") {
        return None;
    }
    let rest = rest.trim_start();
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let behind = rest.get(digits..)?;
    (digits > 0).then(|| (verb, behind.trim_start()))
}

/// Whether an entry has steps that a new owner must go on with.
pub(super) fn is_under_way(entry: &DdlEntry) -> bool {
    matches!(entry.state, EntryState::Running | EntryState::Waiting) && !entry.steps.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_halves_of_an_alter() {
        assert_eq!(
            without_phase("COMMIT ALTER 12 alter table t add x int"),
            "alter table t add x int"
        );
        assert!(only_announces("START ALTER 12 alter table t add x int"));
        assert!(only_announces("rollback alter 3 alter table t"));
        assert!(!only_announces("ALTER TABLE t ADD x int"));
        assert_eq!(
            without_phase("ALTER TABLE t ADD x int"),
            "ALTER TABLE t ADD x int"
        );
    }
}
