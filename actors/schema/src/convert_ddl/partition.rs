//! What ALTER TABLE does to partitions.

use oms_core::TableName;

use super::{ConvertedDdl, DdlFact, DdlPart, DdlRequest, Part, refuse};
use crate::{
    AlterClause, Flavor, PartitionMethod, PartitionNames, Partitioning, TableDefinition,
    definition::{partition_clause, partitioning_clause},
    syntax::identifier,
};

/// Converts a clause about partitions; `None` if it is about something else.
pub(super) fn convert(
    r: &DdlRequest<'_>,
    to: &TableName,
    (old, new): (&TableDefinition, &TableDefinition),
    clause: &AlterClause,
) -> Option<Part> {
    let part = match clause {
        AlterClause::PartitionBy(_) => partition_by(to, new),
        AlterClause::RemovePartitioning => remove(r, to, old),
        AlterClause::AddPartitions { definitions, .. } => {
            let names: Vec<&str> = definitions.iter().map(|d| d.name.as_str()).collect();
            add(r, to, old, new, &names)
        }
        AlterClause::AddPartitionCount(more) => {
            resize(r, to, old, &format!("ADD PARTITION PARTITIONS {more}"))
        }
        AlterClause::CoalescePartition(fewer) => resize(r, to, old, &format!("COALESCE PARTITION {fewer}")),
        AlterClause::DropPartitions { names, .. } => drop(to, old, names),
        AlterClause::TruncatePartitions(names) => truncate(r, to, old, names),
        AlterClause::ReorganizePartitions { names, into } => {
            let into: Vec<&str> = into.iter().map(|d| d.name.as_str()).collect();
            reorganize(r, to, new, names, &into)
        }
        AlterClause::PartitionMaintenance { verb, .. } => Ok(ConvertedDdl::ignored(format!(
            "{} PARTITION changes no row",
            verb.word()
        ))),
        AlterClause::ExchangePartition { table, .. } => refuse(format!(
            "a partition is exchanged with {table}: rows move and the log does not say which"
        )),
        AlterClause::ConvertPartitionToTable { .. } | AlterClause::ConvertTableToPartition { .. } => {
            refuse("a partition becomes a table or the other way round: the log does not say which rows move")
        }
        AlterClause::Tablespace { import, .. } => refuse(format!(
            "{} TABLESPACE: rows change and the log does not say which",
            if *import { "IMPORT" } else { "DISCARD" }
        )),
        _ => return None,
    };
    Some(part)
}

fn spreads(partitioning: &Partitioning) -> bool {
    matches!(
        partitioning.method,
        PartitionMethod::Hash(_) | PartitionMethod::Key(_)
    )
}

fn facts(to: &TableName, names: &[&str], there: bool) -> Vec<DdlFact> {
    names
        .iter()
        .map(|name| DdlFact::new(to, DdlPart::Partition((*name).to_owned()), there))
        .collect()
}

fn definitions(table: &TableDefinition, names: &[&str]) -> Option<String> {
    let partitioning = table.partitioning.as_ref()?;
    let list: Option<Vec<String>> = names
        .iter()
        .map(|name| {
            let mut all = partitioning.definitions.iter();
            all.find(|d| d.name.eq_ignore_ascii_case(name))
                .map(partition_clause)
        })
        .collect();
    list.map(|list| list.join(", "))
}

fn partition_by(to: &TableName, new: &TableDefinition) -> Part {
    match &new.partitioning {
        Some(partitioning) => {
            let sql = format!("ALTER TABLE {to} {}", partitioning_clause(partitioning));
            Ok(ConvertedDdl::step(sql, true, Vec::new()))
        }
        None => Ok(ConvertedDdl::ignored(
            "the destination cannot have such partitions",
        )),
    }
}

fn remove(r: &DdlRequest<'_>, to: &TableName, old: &TableDefinition) -> Part {
    if old.partitioning.is_none() {
        return Ok(ConvertedDdl::ignored(
            "the destination's table is not partitioned",
        ));
    }
    if r.destination.flavor == Flavor::OceanBase {
        // Later statements about columns and keys would meet partitions that the source has not.
        return refuse("partitions cannot be removed from a table of OceanBase");
    }
    let facts = vec![DdlFact::new(to, DdlPart::Partitioning, false)];
    Ok(ConvertedDdl::step(
        format!("ALTER TABLE {to} REMOVE PARTITIONING"),
        false,
        facts,
    ))
}

fn add(
    r: &DdlRequest<'_>,
    to: &TableName,
    old: &TableDefinition,
    new: &TableDefinition,
    names: &[&str],
) -> Part {
    let Some(partitioning) = &old.partitioning else {
        return Ok(ConvertedDdl::ignored(
            "the destination's table is not partitioned",
        ));
    };
    if spreads(partitioning) && r.destination.flavor == Flavor::OceanBase {
        return Ok(ConvertedDdl::ignored(
            "OceanBase keeps its number of partitions by HASH or KEY",
        ));
    }
    // Without definitions of its own a partition by HASH or KEY is only counted.
    match definitions(new, names) {
        Some(list) => Ok(ConvertedDdl::step(
            format!("ALTER TABLE {to} ADD PARTITION ({list})"),
            false,
            facts(to, names, true),
        )),
        None => refuse("a partition that was added is not known afterwards"),
    }
}

fn resize(r: &DdlRequest<'_>, to: &TableName, old: &TableDefinition, words: &str) -> Part {
    let partitioning = match &old.partitioning {
        Some(partitioning) if r.destination.flavor != Flavor::OceanBase => partitioning,
        _ => {
            return Ok(ConvertedDdl::ignored(
                "the number of partitions by HASH or KEY changes no row",
            ));
        }
    };
    // The server names them p0, p1, …: whether the last one is there tells whether it ran.
    let count = partitioning
        .count
        .unwrap_or_else(|| u32::try_from(partitioning.definitions.len()).unwrap_or(1));
    let (name, there) = match words.strip_prefix("COALESCE") {
        Some(_) => (format!("p{}", count.saturating_sub(1)), false),
        None => (format!("p{count}"), true),
    };
    Ok(ConvertedDdl::step(
        format!("ALTER TABLE {to} {words}"),
        false,
        facts(to, &[name.as_str()], there),
    ))
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|n| identifier(n)).collect();
    names.join(", ")
}

fn drop(to: &TableName, old: &TableDefinition, names: &[String]) -> Part {
    if old.partitioning.is_none() {
        return refuse("rows of a partition go, and the destination's table is not partitioned");
    }
    let list: Vec<&str> = names.iter().map(String::as_str).collect();
    Ok(ConvertedDdl::step(
        format!("ALTER TABLE {to} DROP PARTITION {}", quoted(names)),
        false,
        facts(to, &list, false),
    ))
}

fn truncate(r: &DdlRequest<'_>, to: &TableName, old: &TableDefinition, names: &PartitionNames) -> Part {
    let names = match names {
        // All partitions are the whole table.
        PartitionNames::All => {
            return Ok(ConvertedDdl::step(
                format!("TRUNCATE TABLE {to}"),
                true,
                Vec::new(),
            ));
        }
        PartitionNames::Named(names) => names,
    };
    match &old.partitioning {
        None => refuse("rows of a partition go, and the destination's table is not partitioned"),
        Some(partitioning)
            if (partitioning.sub.is_some() || spreads(partitioning))
                && r.destination.flavor != r.source.flavor =>
        {
            refuse("rows of a partition by HASH or KEY go, and the destination spreads rows in another way")
        }
        Some(_) => Ok(ConvertedDdl::step(
            format!("ALTER TABLE {to} TRUNCATE PARTITION {}", quoted(names)),
            true,
            Vec::new(),
        )),
    }
}

fn reorganize(
    r: &DdlRequest<'_>,
    to: &TableName,
    new: &TableDefinition,
    names: &[String],
    into: &[&str],
) -> Part {
    if names.is_empty() || new.partitioning.is_none() {
        return Ok(ConvertedDdl::ignored("no row changes"));
    }
    if r.destination.flavor == Flavor::OceanBase {
        return refuse("partitions of OceanBase cannot be reorganized");
    }
    let Some(list) = definitions(new, into) else {
        return refuse("a partition that was reorganized is not known afterwards");
    };
    // Names that stay tell nothing; if all stay, it may run twice.
    let is_in = |name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
    let come: Vec<&str> = into.iter().copied().filter(|n| !is_in(n)).collect();
    let mut facts = facts(to, &come, true);
    for name in names
        .iter()
        .filter(|n| !into.iter().any(|i| i.eq_ignore_ascii_case(n)))
    {
        facts.push(DdlFact::new(to, DdlPart::Partition(name.clone()), false));
    }
    Ok(ConvertedDdl::step(
        format!(
            "ALTER TABLE {to} REORGANIZE PARTITION {} INTO ({list})",
            quoted(names)
        ),
        facts.is_empty(),
        facts,
    ))
}
