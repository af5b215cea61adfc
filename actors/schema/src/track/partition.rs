//! Partitions.

use oms_core::TableName;

use super::{Result, not_followed};
use crate::{AlterClause, PartitionDefinition, PartitionMethod, Partitioning, TableDefinition, syntax};

/// Says how many partitions there are where nothing is said: one.
pub(super) fn counted(mut partitioning: Partitioning) -> Partitioning {
    let spreads = matches!(
        partitioning.method,
        PartitionMethod::Hash(_) | PartitionMethod::Key(_)
    );
    if spreads && partitioning.definitions.is_empty() && partitioning.count.is_none() {
        partitioning.count = Some(1);
    }
    partitioning
}

pub(super) fn rename_columns(partitioning: &mut Partitioning, new_name: &dyn Fn(&str) -> Option<String>) {
    let methods =
        std::iter::once(&mut partitioning.method).chain(partitioning.sub.as_mut().map(|sub| &mut sub.method));
    for method in methods {
        match method {
            PartitionMethod::Range(text) | PartitionMethod::List(text) | PartitionMethod::Hash(text) => {
                *text = syntax::rename_columns(text, new_name);
            }
            PartitionMethod::RangeColumns(names)
            | PartitionMethod::ListColumns(names)
            | PartitionMethod::Key(names) => {
                for name in names {
                    if let Some(new) = new_name(name) {
                        *name = new;
                    }
                }
            }
            PartitionMethod::SystemTime(_) => {}
        }
    }
}

/// Follows a clause about partitions; false if it is about something else.
pub(super) fn alter(name: &TableName, table: &mut TableDefinition, clause: &AlterClause) -> Result<bool> {
    match clause {
        AlterClause::PartitionBy(new) => {
            table.partitioning = Some(counted(new.clone()));
            return Ok(true);
        }
        AlterClause::RemovePartitioning => {
            table.partitioning = None;
            return Ok(true);
        }
        AlterClause::TruncatePartitions(_)
        | AlterClause::ExchangePartition { .. }
        | AlterClause::PartitionMaintenance { .. }
        | AlterClause::Tablespace { .. } => return Ok(true),
        AlterClause::AddPartitions { .. }
        | AlterClause::AddPartitionCount(_)
        | AlterClause::DropPartitions { .. }
        | AlterClause::CoalescePartition(_)
        | AlterClause::ReorganizePartitions { .. } => {}
        AlterClause::ConvertPartitionToTable { .. } | AlterClause::ConvertTableToPartition { .. } => {
            return not_followed(name, "a partition becomes a table or the other way round");
        }
        _ => return Ok(false),
    }
    let Some(partitioning) = &mut table.partitioning else {
        return not_followed(name, "it is not partitioned");
    };
    follow(name, partitioning, clause)?;
    Ok(true)
}

fn find(partitioning: &Partitioning, name: &str) -> Option<usize> {
    partitioning
        .definitions
        .iter()
        .position(|p| p.name.to_lowercase() == name.to_lowercase())
}

fn follow(table: &TableName, partitioning: &mut Partitioning, clause: &AlterClause) -> Result<()> {
    match clause {
        AlterClause::AddPartitions {
            definitions,
            if_not_exists,
        } => {
            for definition in definitions {
                if *if_not_exists && find(partitioning, &definition.name).is_some() {
                    continue;
                }
                add(partitioning, definition);
            }
            Ok(())
        }
        AlterClause::AddPartitionCount(more) => {
            resize(partitioning, |count| count.saturating_add(*more));
            Ok(())
        }
        AlterClause::CoalescePartition(fewer) => {
            resize(partitioning, |count| count.saturating_sub(*fewer));
            Ok(())
        }
        AlterClause::DropPartitions { names, if_exists } => {
            for name in names {
                match find(partitioning, name) {
                    Some(at) => drop(partitioning.definitions.remove(at)),
                    None if *if_exists => {}
                    None => return not_followed(table, format!("the partition {name:?} is not known")),
                }
            }
            Ok(())
        }
        AlterClause::ReorganizePartitions { names, into } => {
            if names.is_empty() {
                return Ok(());
            }
            let mut at = None;
            for name in names {
                let Some(found) = find(partitioning, name) else {
                    return not_followed(table, format!("the partition {name:?} is not known"));
                };
                partitioning.definitions.remove(found);
                at = Some(at.map_or(found, |first: usize| first.min(found)));
            }
            let at = at.unwrap_or(partitioning.definitions.len());
            partitioning.definitions.splice(at..at, into.iter().cloned());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// MariaDB puts a partition of everything else or of the present behind all others.
fn add(partitioning: &mut Partitioning, definition: &PartitionDefinition) {
    let is_last = |p: &PartitionDefinition| {
        matches!(
            p.values,
            crate::PartitionValues::Default | crate::PartitionValues::Current
        )
    };
    let at = match partitioning.definitions.last() {
        Some(last) if is_last(last) => partitioning.definitions.len() - 1,
        _ => partitioning.definitions.len(),
    };
    partitioning.definitions.insert(at, definition.clone());
    let listed = u32::try_from(partitioning.definitions.len()).unwrap_or(u32::MAX);
    if let Some(count) = &mut partitioning.count {
        *count = if partitioning.definitions.len() > 1 {
            listed
        } else {
            count.saturating_add(1)
        };
    }
}

fn resize(partitioning: &mut Partitioning, change: impl Fn(u32) -> u32) {
    let listed = u32::try_from(partitioning.definitions.len()).unwrap_or(u32::MAX);
    let count = partitioning.count.unwrap_or(listed.max(1));
    // The server names them itself from then on.
    partitioning.definitions.clear();
    partitioning.count = Some(change(count).max(1));
}
