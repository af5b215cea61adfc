//! Writing ALTER TABLE.

use std::fmt;

use super::{
    AlterClause, AlterTable, PartitionNames,
    print::{if_not, if_there, period_clause},
};
use crate::{
    Flavor,
    definition::{check_clause, default_clause, index_clause, partition_clause, partitioning_clause},
    syntax::identifier,
};

impl fmt::Display for AlterTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ALTER TABLE {}{}", if_there(self.if_exists), self.table)?;
        for (i, clause) in self.clauses.iter().enumerate() {
            f.write_str(if i == 0 { " " } else { ", " })?;
            clause.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for PartitionNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("ALL"),
            Self::Named(names) => f.write_str(&quoted(names)),
        }
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|n| identifier(n)).collect();
    names.join(", ")
}

fn validation(said: Option<bool>) -> &'static str {
    match said {
        Some(true) => " WITH VALIDATION",
        Some(false) => " WITHOUT VALIDATION",
        None => "",
    }
}

impl fmt::Display for AlterClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddColumn {
                spec,
                position,
                if_not_exists,
            } => write!(f, "ADD COLUMN {}{spec}{position}", if_not(*if_not_exists)),
            Self::DropColumn { name, if_exists } => {
                write!(f, "DROP COLUMN {}{}", if_there(*if_exists), identifier(name))
            }
            Self::ModifyColumn {
                spec,
                position,
                if_exists,
            } => write!(f, "MODIFY COLUMN {}{spec}{position}", if_there(*if_exists)),
            Self::ChangeColumn {
                old,
                spec,
                position,
                if_exists,
            } => write!(
                f,
                "CHANGE COLUMN {}{} {spec}{position}",
                if_there(*if_exists),
                identifier(old)
            ),
            Self::RenameColumn { old, new, if_exists } => write!(
                f,
                "RENAME COLUMN {}{} TO {}",
                if_there(*if_exists),
                identifier(old),
                identifier(new)
            ),
            Self::SetDefault {
                column,
                value,
                if_exists,
            } => {
                write!(f, "ALTER COLUMN {}{} ", if_there(*if_exists), identifier(column))?;
                match value {
                    Some(value) => write!(f, "SET {}", default_clause(value)),
                    None => f.write_str("DROP DEFAULT"),
                }
            }
            Self::ColumnVisibility { column, visible } => write!(
                f,
                "ALTER COLUMN {} SET {}",
                identifier(column),
                if *visible { "VISIBLE" } else { "INVISIBLE" }
            ),
            Self::AddIndex { index, if_not_exists } => {
                let clause = index_clause(index, Flavor::MySql);
                write!(
                    f,
                    "ADD {}",
                    clause.replacen("KEY ", &format!("KEY {}", if_not(*if_not_exists)), 1)
                )
            }
            Self::AddForeignKey { spec } => write!(f, "ADD {spec}"),
            Self::AddCheck { check, if_not_exists } => {
                let clause = check_clause(check);
                if *if_not_exists {
                    let rest = clause.strip_prefix("CONSTRAINT ").unwrap_or(&clause);
                    write!(f, "ADD CONSTRAINT IF NOT EXISTS {rest}")
                } else {
                    write!(f, "ADD {clause}")
                }
            }
            Self::AddPeriod { period } => write!(f, "ADD {}", period_clause(period)),
            Self::DropPeriod { name } => write!(f, "DROP PERIOD FOR {}", identifier(name)),
            Self::SystemVersioning { on } => {
                write!(f, "{} SYSTEM VERSIONING", if *on { "ADD" } else { "DROP" })
            }
            Self::DropIndex { name, if_exists } => {
                write!(f, "DROP INDEX {}{}", if_there(*if_exists), identifier(name))
            }
            Self::DropPrimaryKey => f.write_str("DROP PRIMARY KEY"),
            Self::DropForeignKey { name, if_exists } => {
                write!(f, "DROP FOREIGN KEY {}{}", if_there(*if_exists), identifier(name))
            }
            Self::DropCheck { name } => write!(f, "DROP CHECK {}", identifier(name)),
            Self::DropConstraint { name, if_exists } => {
                write!(f, "DROP CONSTRAINT {}{}", if_there(*if_exists), identifier(name))
            }
            Self::AlterCheck { name, enforced } => {
                let not = if *enforced { "" } else { "NOT " };
                write!(f, "ALTER CHECK {} {not}ENFORCED", identifier(name))
            }
            Self::RenameIndex { old, new, if_exists } => write!(
                f,
                "RENAME INDEX {}{} TO {}",
                if_there(*if_exists),
                identifier(old),
                identifier(new)
            ),
            Self::IndexVisibility { name, visible } => write!(
                f,
                "ALTER INDEX {} {}",
                identifier(name),
                if *visible { "VISIBLE" } else { "INVISIBLE" }
            ),
            Self::Rename { to } => write!(f, "RENAME TO {to}"),
            Self::ConvertCharset { charset, collation } => {
                let charset = charset.as_deref().unwrap_or("DEFAULT");
                write!(f, "CONVERT TO CHARACTER SET {charset}")?;
                collation
                    .as_ref()
                    .map_or(Ok(()), |collation| write!(f, " COLLATE {collation}"))
            }
            Self::Option(option) => option.fmt(f),
            Self::OrderBy(columns) => write!(f, "ORDER BY {columns}"),
            Self::Force => f.write_str("FORCE"),
            Self::Keys { enable } => f.write_str(if *enable { "ENABLE KEYS" } else { "DISABLE KEYS" }),
            Self::Tablespace { import, partitions } => {
                let verb = if *import { "IMPORT" } else { "DISCARD" };
                match partitions {
                    Some(partitions) => write!(f, "{verb} PARTITION {partitions} TABLESPACE"),
                    None => write!(f, "{verb} TABLESPACE"),
                }
            }
            Self::Algorithm(word) => write!(f, "ALGORITHM={}", identifier(word)),
            Self::Lock(word) => write!(f, "LOCK={}", identifier(word)),
            Self::Validation(with) => f.write_str(validation(Some(*with)).trim_start()),
            Self::PartitionBy(partitioning) => f.write_str(&partitioning_clause(partitioning)),
            Self::RemovePartitioning => f.write_str("REMOVE PARTITIONING"),
            Self::AddPartitions {
                definitions,
                if_not_exists,
            } => {
                let list: Vec<_> = definitions.iter().map(partition_clause).collect();
                write!(f, "ADD PARTITION {}({})", if_not(*if_not_exists), list.join(", "))
            }
            Self::AddPartitionCount(count) => write!(f, "ADD PARTITION PARTITIONS {count}"),
            Self::DropPartitions { names, if_exists } => {
                write!(f, "DROP PARTITION {}{}", if_there(*if_exists), quoted(names))
            }
            Self::TruncatePartitions(names) => write!(f, "TRUNCATE PARTITION {names}"),
            Self::CoalescePartition(count) => write!(f, "COALESCE PARTITION {count}"),
            Self::ReorganizePartitions { names, into } if names.is_empty() && into.is_empty() => {
                f.write_str("REORGANIZE PARTITION")
            }
            Self::ReorganizePartitions { names, into } => {
                let list: Vec<_> = into.iter().map(partition_clause).collect();
                write!(
                    f,
                    "REORGANIZE PARTITION {} INTO ({})",
                    quoted(names),
                    list.join(", ")
                )
            }
            Self::ExchangePartition {
                partition,
                table,
                validation: said,
            } => write!(
                f,
                "EXCHANGE PARTITION {} WITH TABLE {table}{}",
                identifier(partition),
                validation(*said)
            ),
            Self::ConvertPartitionToTable { partition, table } => {
                write!(f, "CONVERT PARTITION {} TO TABLE {table}", identifier(partition))
            }
            Self::ConvertTableToPartition { table, definition } => {
                write!(f, "CONVERT TABLE {table} TO {}", partition_clause(definition))
            }
            Self::PartitionMaintenance { verb, partitions } => {
                write!(f, "{} PARTITION {partitions}", verb.word())
            }
        }
    }
}
