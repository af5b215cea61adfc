//! What is to change between two definitions of a destination table.

use oms_core::TableName;

use super::{ConvertedDdl, DdlFact, DdlOutcome, DdlPart, DdlRequest, DdlStep};
use crate::{
    ColumnDefinition, Converted, Flavor, IndexDefinition, IndexKind, TableDefinition,
    definition::{check_clause, column_clause, foreign_key_clause, index_clause},
    syntax::identifier,
};

/// When a change happens relative to others, where they cannot happen at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    DropForeignKey,
    DropCheck,
    DropIndex,
    /// A column whose name another takes.
    DropColumnFirst,
    /// Columns that come, move or change, from the first to the last.
    Column,
    PrimaryKey,
    DropColumn,
    AddIndex,
    AddCheck,
    AddForeignKey,
    Option,
}

/// One change of a table.
pub(super) struct Change {
    pub(super) rank: Rank,
    /// Clauses of one ALTER TABLE.
    pub(super) clause: String,
    /// What holds when it happened; empty if it may happen twice.
    pub(super) facts: Vec<DdlFact>,
    /// It must have happened before anything else of the statement begins.
    pub(super) alone: bool,
}

impl Change {
    pub(super) fn new(rank: Rank, clause: String, facts: Vec<DdlFact>) -> Self {
        Self {
            rank,
            clause,
            facts,
            alone: false,
        }
    }
}

/// Where each column of the new definition comes from: its name before, or nothing if it is new.
pub(super) type Origins = Vec<(String, Option<String>)>;

fn lower(name: &str) -> String {
    name.to_lowercase()
}

fn find<'a>(table: &'a TableDefinition, name: &str) -> Option<&'a ColumnDefinition> {
    table.column(name)
}

/// Changes of columns, in an order in which they can happen one after another.
pub(super) fn columns(
    flavor: Flavor,
    name: &TableName,
    old: &TableDefinition,
    new: &TableDefinition,
    origins: &Origins,
) -> Vec<Change> {
    let origin = |column: &str| {
        origins
            .iter()
            .find(|(to, _)| lower(to) == lower(column))
            .map_or(Some(column.to_owned()), |(_, from)| from.clone())
    };
    let fact = |column: &str, there| DdlFact::new(name, DdlPart::Column(column.to_owned()), there);
    let mut list = Vec::new();
    let mut order: Vec<String> = Vec::new();
    for column in &old.columns {
        let to = new
            .columns
            .iter()
            .find(|c| origin(&c.name).is_some_and(|from| lower(&from) == lower(&column.name)));
        match to {
            Some(to) => order.push(lower(&to.name)),
            None => {
                let clause = format!("DROP COLUMN {}", identifier(&column.name));
                let mut change = Change::new(Rank::DropColumn, clause, vec![fact(&column.name, false)]);
                // One of the same name comes back: whether it is gone must be told in between.
                if find(new, &column.name).is_some() {
                    (change.rank, change.alone) = (Rank::DropColumnFirst, true);
                }
                list.push(change);
            }
        }
    }
    for (at, column) in new.columns.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|i| new.columns.get(i));
        let clause = column_clause(column, flavor);
        let from = origin(&column.name).and_then(|from| find(old, &from));
        let Some(from) = from else {
            let place = place(&mut order, before, &column.name);
            list.push(Change::new(
                Rank::Column,
                format!("ADD COLUMN {clause}{place}"),
                vec![fact(&column.name, true)],
            ));
            continue;
        };
        let mut renamed = from.clone();
        renamed.name.clone_from(&column.name);
        let place = place(&mut order, before, &column.name);
        let same = column_clause(&renamed, flavor) == clause;
        let is_renamed = from.name != column.name;
        if is_renamed {
            let words = format!(
                "RENAME COLUMN {} TO {}",
                identifier(&from.name),
                identifier(&column.name)
            );
            let facts = if lower(&from.name) == lower(&column.name) {
                Vec::new()
            } else {
                vec![fact(&column.name, true), fact(&from.name, false)]
            };
            if same && place.is_empty() {
                list.push(Change::new(Rank::Column, words, facts));
                continue;
            }
            let words = format!("CHANGE COLUMN {} {clause}{place}", identifier(&from.name));
            list.push(Change::new(Rank::Column, words, facts));
        } else if !(same && place.is_empty()) {
            list.push(Change::new(
                Rank::Column,
                format!("MODIFY COLUMN {clause}{place}"),
                Vec::new(),
            ));
        }
    }
    list
}

/// FIRST or AFTER, if the column is not where it belongs; the order is as it will be then.
fn place(order: &mut Vec<String>, before: Option<&ColumnDefinition>, name: &str) -> String {
    let name = lower(name);
    let now = order.iter().position(|n| *n == name);
    let wanted = match before {
        None => 0,
        Some(before) => order
            .iter()
            .position(|n| *n == lower(&before.name))
            .map_or(order.len(), |i| i + 1),
    };
    if now == Some(wanted) {
        return String::new();
    }
    if now.is_none() && wanted == order.len() {
        order.push(name);
        return String::new();
    }
    if let Some(now) = now {
        order.remove(now);
    }
    let wanted = if now.is_some_and(|now| now < wanted) {
        wanted - 1
    } else {
        wanted
    };
    order.insert(wanted.min(order.len()), name);
    match before {
        None => " FIRST".to_owned(),
        Some(before) => format!(" AFTER {}", identifier(&before.name)),
    }
}

/// Changes of keys. `renamed` is old and new.
pub(super) fn indexes(
    flavor: Flavor,
    name: &TableName,
    old: &TableDefinition,
    new: &TableDefinition,
    renamed: &[(String, String)],
) -> Vec<Change> {
    let fact = |index: &str, there| DdlFact::new(name, DdlPart::Index(index.to_owned()), there);
    let named = |table: &TableDefinition, wanted: &str| -> Option<IndexDefinition> {
        let mut all = table.indexes.iter().filter(|i| i.kind != IndexKind::Primary);
        all.find(|i| lower(&i.name) == lower(wanted)).cloned()
    };
    let mut list = Vec::new();
    list.extend(primary(flavor, name, old, new));
    let mut before: Vec<IndexDefinition> = old
        .indexes
        .iter()
        .filter(|i| i.kind != IndexKind::Primary)
        .cloned()
        .collect();
    for (from, to) in renamed {
        if let Some(index) = before.iter_mut().find(|i| lower(&i.name) == lower(from))
            && named(new, to).is_some()
        {
            index.name.clone_from(to);
            list.push(Change::new(
                Rank::AddIndex,
                format!("RENAME INDEX {} TO {}", identifier(from), identifier(to)),
                vec![fact(from, false), fact(to, true)],
            ));
        }
    }
    for index in &before {
        let after = named(new, &index.name);
        if let Some(after) = &after {
            let mut visible = index.clone();
            visible.invisible = after.invisible;
            if *after == *index {
                continue;
            }
            if *after == visible {
                list.push(Change::new(Rank::AddIndex, visibility(flavor, after), Vec::new()));
                continue;
            }
        }
        let clause = format!("DROP INDEX {}", identifier(&index.name));
        let mut change = Change::new(Rank::DropIndex, clause, vec![fact(&index.name, false)]);
        change.alone = after.is_some();
        list.push(change);
    }
    for index in new.indexes.iter().filter(|i| i.kind != IndexKind::Primary) {
        let is_there = before.iter().any(|other| {
            let mut visible = other.clone();
            visible.invisible = index.invisible;
            visible == *index
        });
        if !is_there {
            list.push(Change::new(
                Rank::AddIndex,
                format!("ADD {}", index_clause(index, flavor)),
                vec![fact(&index.name, true)],
            ));
        }
    }
    list
}

fn visibility(flavor: Flavor, index: &IndexDefinition) -> String {
    let word = match (flavor, index.invisible) {
        (Flavor::MariaDb, true) => "IGNORED",
        (Flavor::MariaDb, false) => "NOT IGNORED",
        (_, true) => "INVISIBLE",
        (_, false) => "VISIBLE",
    };
    format!("ALTER INDEX {} {word}", identifier(&index.name))
}

fn primary(flavor: Flavor, name: &TableName, old: &TableDefinition, new: &TableDefinition) -> Option<Change> {
    let (before, after) = (old.primary_key(), new.primary_key());
    if before == after {
        return None;
    }
    let mut clauses = Vec::new();
    if before.is_some() {
        clauses.push("DROP PRIMARY KEY".to_owned());
    }
    let over = |key: &IndexDefinition| -> Vec<String> {
        let columns = key.whole_columns().unwrap_or_default();
        columns.into_iter().map(str::to_owned).collect()
    };
    let part = |key: &IndexDefinition, there| DdlFact::new(name, DdlPart::PrimaryKey(over(key)), there);
    let facts = match (before, after) {
        (_, Some(after)) => {
            clauses.push(format!("ADD {}", index_clause(after, flavor)));
            vec![part(after, true)]
        }
        (Some(before), None) => vec![part(before, false)],
        (None, None) => Vec::new(),
    };
    Some(Change::new(Rank::PrimaryKey, clauses.join(", "), facts))
}

/// Changes of foreign keys and checks. The error names a check that cannot be named at the
/// destination.
pub(super) fn constraint_changes(
    name: &TableName,
    old: &TableDefinition,
    new: &TableDefinition,
) -> std::result::Result<Vec<Change>, String> {
    let key_fact = |key: &str, there| DdlFact::new(name, DdlPart::ForeignKey(key.to_owned()), there);
    let mut list = Vec::new();
    for key in &old.foreign_keys {
        if !new.foreign_keys.contains(key) {
            let clause = format!("DROP FOREIGN KEY {}", identifier(&key.name));
            let mut change = Change::new(Rank::DropForeignKey, clause, vec![key_fact(&key.name, false)]);
            change.alone = new
                .foreign_keys
                .iter()
                .any(|k| lower(&k.name) == lower(&key.name));
            list.push(change);
        }
    }
    for key in &new.foreign_keys {
        if !old.foreign_keys.contains(key) {
            list.push(Change::new(
                Rank::AddForeignKey,
                format!("ADD {}", foreign_key_clause(key)),
                vec![key_fact(&key.name, true)],
            ));
        }
    }
    for check in &old.checks {
        if new.checks.contains(check) {
            continue;
        }
        let Some(own) = &check.name else {
            return Err(format!(
                "the check ({}) has no name of its own at the destination",
                check.expression
            ));
        };
        let again = new.checks.iter().find(|c| c.name.as_ref() == Some(own));
        if let Some(again) = again
            && again.expression == check.expression
        {
            let not = if again.enforced { "" } else { "NOT " };
            list.push(Change::new(
                Rank::AddCheck,
                format!("ALTER CHECK {} {not}ENFORCED", identifier(own)),
                Vec::new(),
            ));
            continue;
        }
        let fact = DdlFact::new(name, DdlPart::Check(own.clone()), false);
        let clause = format!("DROP CONSTRAINT {}", identifier(own));
        let mut change = Change::new(Rank::DropCheck, clause, vec![fact]);
        change.alone = again.is_some();
        list.push(change);
    }
    for check in &new.checks {
        let only_enforced = old
            .checks
            .iter()
            .any(|c| c.name.is_some() && c.name == check.name && c.expression == check.expression);
        if old.checks.contains(check) || only_enforced {
            continue;
        }
        let part = match &check.name {
            Some(own) => DdlPart::Check(own.clone()),
            None => DdlPart::Condition(check.expression.clone()),
        };
        list.push(Change::new(
            Rank::AddCheck,
            format!("ADD {}", check_clause(check)),
            vec![DdlFact::new(name, part, true)],
        ));
    }
    Ok(list)
}

/// Foreign keys and checks of a renamed table under their new names.
pub(super) fn constraints(
    r: &DdlRequest<'_>,
    name: &TableName,
    old: &Converted,
    new: &Converted,
) -> ConvertedDdl {
    let mut result = ConvertedDdl::of(DdlOutcome::Converted);
    if let (Some(old), Some(new)) = (&old.definition, &new.definition)
        && let Ok(changes) = constraint_changes(name, old, new)
    {
        result.steps = steps(r.destination.flavor, name, changes);
    }
    result
}

/// Puts changes into statements: as few as the destination takes.
pub(super) fn steps(flavor: Flavor, name: &TableName, mut changes: Vec<Change>) -> Vec<DdlStep> {
    changes.sort_by_key(|change| change.rank);
    let mut list: Vec<DdlStep> = Vec::new();
    let mut together: Vec<Change> = Vec::new();
    let (alone, rest): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .partition(|change| change.alone || flavor == Flavor::OceanBase);
    let statement = |changes: &[Change]| {
        let clauses: Vec<_> = changes.iter().map(|c| c.clause.as_str()).collect();
        DdlStep {
            sql: format!("ALTER TABLE {name} {}", clauses.join(", ")),
            repeatable: changes.iter().all(|c| c.facts.is_empty()),
            facts: changes.iter().flat_map(|c| c.facts.clone()).collect(),
        }
    };
    for change in alone {
        list.push(statement(&[change]));
    }
    together.extend(rest);
    if !together.is_empty() {
        list.push(statement(&together));
    }
    list
}
