//! Changing columns of a definition.

use oms_core::TableName;

use super::{Result, not_followed};
use crate::{
    ColumnDefinition, ColumnPosition, ColumnSpec, DataType, DefaultValue, IndexPartKey, TableDefinition,
    syntax,
};

/// Without `explicit_defaults_for_timestamp` a TIMESTAMP that does not say NULL is NOT NULL, and the
/// first one of a statement is filled in with the current time.
pub(super) fn implicit_timestamps(columns: &mut [ColumnSpec], explicit: bool) {
    if explicit {
        return;
    }
    let mut first = true;
    for spec in columns {
        let DataType::Timestamp(fraction) = spec.column.ty else {
            continue;
        };
        let is_first = std::mem::take(&mut first);
        let has_default = spec.column.default.is_some() || spec.column.on_update_now.is_some();
        let is_plain = spec.column.generated.is_none() && spec.column.row_period.is_none();
        if spec.null == Some(true) || !is_plain {
            continue;
        }
        let says_null = spec.column.default == Some(DefaultValue::Null);
        if !says_null {
            spec.null = Some(false);
        }
        if has_default {
            if spec.column.default.is_none() {
                spec.column.default = Some(zero(fraction));
            }
            continue;
        }
        if is_first {
            spec.column.default = Some(DefaultValue::Now(fraction));
            spec.column.on_update_now = Some(fraction);
        } else {
            spec.column.default = Some(zero(fraction));
        }
    }
}

fn zero(fraction: u8) -> DefaultValue {
    let mut text = "0000-00-00 00:00:00".to_owned();
    if fraction > 0 {
        text.push('.');
        text.push_str(&"0".repeat(usize::from(fraction)));
    }
    DefaultValue::Text(text)
}

pub(super) fn position_of(table: &TableDefinition, name: &str) -> Option<usize> {
    let lower = name.to_lowercase();
    table.columns.iter().position(|c| c.name.to_lowercase() == lower)
}

/// Puts a column where it is said to go.
pub(super) fn insert(
    name: &TableName,
    table: &mut TableDefinition,
    column: ColumnDefinition,
    position: &ColumnPosition,
) -> Result<()> {
    let at = match position {
        ColumnPosition::Unsaid => table.columns.len(),
        ColumnPosition::First => 0,
        ColumnPosition::After(other) => match position_of(table, other) {
            Some(at) => at + 1,
            None => {
                return not_followed(
                    name,
                    format!("a column goes behind {other:?}, which is not known"),
                );
            }
        },
    };
    table.columns.insert(at.min(table.columns.len()), column);
    Ok(())
}

/// Takes a column out of the keys. A key that has no column left goes.
pub(super) fn leave_keys(table: &mut TableDefinition, column: &str) {
    let is_it =
        |name: &str| name.eq_ignore_ascii_case(column) || name.to_lowercase() == column.to_lowercase();
    for index in &mut table.indexes {
        index
            .parts
            .retain(|part| !matches!(&part.key, IndexPartKey::Column(name) if is_it(name)));
    }
    table.indexes.retain(|index| !index.parts.is_empty());
    // A check about this column alone goes with it.
    let columns: Vec<String> = table.columns.iter().map(|c| c.name.to_lowercase()).collect();
    table.checks.retain(|check| {
        let named = syntax::words(&check.expression);
        let others = named
            .iter()
            .any(|word| columns.contains(&word.to_lowercase()) && !is_it(word));
        others || !named.iter().any(|word| is_it(word))
    });
}

/// Renames columns in everything of the table that names them. `names` is old and new, all at once.
pub(crate) fn rename(table: &mut TableDefinition, names: &[(String, String)]) {
    let names: Vec<_> = names.iter().filter(|(old, new)| old != new).collect();
    if names.is_empty() {
        return;
    }
    let new_name = |name: &str| {
        let lower = name.to_lowercase();
        names
            .iter()
            .find(|(old, _)| old.to_lowercase() == lower)
            .map(|(_, new)| new.clone())
    };
    let set = |name: &mut String| {
        if let Some(new) = new_name(name) {
            *name = new;
        }
    };
    let rewrite = |text: &mut String| *text = syntax::rename_columns(text, &new_name);
    for index in &mut table.indexes {
        for part in &mut index.parts {
            match &mut part.key {
                IndexPartKey::Column(name) => set(name),
                IndexPartKey::Expression(text) => rewrite(text),
            }
        }
    }
    for key in &mut table.foreign_keys {
        key.columns.iter_mut().for_each(&set);
    }
    for check in &mut table.checks {
        rewrite(&mut check.expression);
    }
    for column in &mut table.columns {
        if let Some(generated) = &mut column.generated {
            rewrite(&mut generated.expression);
        }
        if let Some(check) = &mut column.check {
            rewrite(check);
        }
        if let Some(DefaultValue::Expression(text)) = &mut column.default {
            rewrite(text);
        }
    }
    for period in &mut table.periods {
        set(&mut period.start);
        set(&mut period.end);
    }
    if let Some(partitioning) = &mut table.partitioning {
        super::partition::rename_columns(partitioning, &new_name);
    }
}
