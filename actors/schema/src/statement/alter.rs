//! ALTER TABLE.

use oms_core::TableName;
use serde::{Deserialize, Serialize};

use super::{ColumnPosition, ColumnSpec, ForeignKeySpec, TableOption};
use crate::{
    CheckDefinition, DefaultValue, IndexDefinition, PartitionDefinition, Partitioning, PeriodDefinition,
};

/// ALTER TABLE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterTable {
    /// The table.
    pub table: TableName,
    /// IF EXISTS (MariaDB).
    pub if_exists: bool,
    /// What happens, in order.
    pub clauses: Vec<AlterClause>,
}

/// One clause of ALTER TABLE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlterClause {
    /// ADD COLUMN.
    AddColumn {
        /// The column.
        spec: ColumnSpec,
        /// Where it goes.
        position: ColumnPosition,
        /// IF NOT EXISTS (MariaDB).
        if_not_exists: bool,
    },
    /// DROP COLUMN.
    DropColumn {
        /// The column.
        name: String,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// MODIFY COLUMN.
    ModifyColumn {
        /// The column.
        spec: ColumnSpec,
        /// Where it goes.
        position: ColumnPosition,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// CHANGE COLUMN.
    ChangeColumn {
        /// Its old name.
        old: String,
        /// The column.
        spec: ColumnSpec,
        /// Where it goes.
        position: ColumnPosition,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// RENAME COLUMN.
    RenameColumn {
        /// Its old name.
        old: String,
        /// Its new name.
        new: String,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// ALTER COLUMN SET DEFAULT, and DROP DEFAULT.
    SetDefault {
        /// The column.
        column: String,
        /// The default; none for DROP DEFAULT.
        value: Option<DefaultValue>,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// ALTER COLUMN SET VISIBLE or INVISIBLE.
    ColumnVisibility {
        /// The column.
        column: String,
        /// Whether it is visible.
        visible: bool,
    },
    /// ADD a key. Its name is empty if there is none.
    AddIndex {
        /// The key.
        index: IndexDefinition,
        /// IF NOT EXISTS (MariaDB).
        if_not_exists: bool,
    },
    /// ADD FOREIGN KEY.
    AddForeignKey {
        /// The foreign key.
        spec: ForeignKeySpec,
    },
    /// ADD CHECK.
    AddCheck {
        /// The check.
        check: CheckDefinition,
        /// IF NOT EXISTS (MariaDB).
        if_not_exists: bool,
    },
    /// ADD PERIOD (MariaDB).
    AddPeriod {
        /// The period.
        period: PeriodDefinition,
    },
    /// DROP PERIOD (MariaDB).
    DropPeriod {
        /// Its name.
        name: String,
    },
    /// ADD and DROP SYSTEM VERSIONING (MariaDB).
    SystemVersioning {
        /// Whether it is added.
        on: bool,
    },
    /// DROP INDEX.
    DropIndex {
        /// The index.
        name: String,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// DROP PRIMARY KEY.
    DropPrimaryKey,
    /// DROP FOREIGN KEY.
    DropForeignKey {
        /// The foreign key.
        name: String,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// DROP CHECK.
    DropCheck {
        /// The check.
        name: String,
    },
    /// DROP CONSTRAINT: a key, foreign key or check.
    DropConstraint {
        /// The constraint.
        name: String,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// ALTER CHECK … [NOT] ENFORCED.
    AlterCheck {
        /// The check.
        name: String,
        /// Whether rows must fulfil it.
        enforced: bool,
    },
    /// RENAME INDEX.
    RenameIndex {
        /// Its old name.
        old: String,
        /// Its new name.
        new: String,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// ALTER INDEX … VISIBLE or INVISIBLE, which MariaDB calls IGNORED.
    IndexVisibility {
        /// The index.
        name: String,
        /// Whether it is used.
        visible: bool,
    },
    /// RENAME TO.
    Rename {
        /// The new name.
        to: TableName,
    },
    /// CONVERT TO CHARACTER SET.
    ConvertCharset {
        /// The character set; none for DEFAULT, which is that of the database.
        charset: Option<String>,
        /// The collation, if written.
        collation: Option<String>,
    },
    /// A table option.
    Option(TableOption),
    /// ORDER BY, with the columns as text.
    OrderBy(String),
    /// FORCE.
    Force,
    /// ENABLE KEYS and DISABLE KEYS.
    Keys {
        /// Whether they are enabled.
        enable: bool,
    },
    /// DISCARD TABLESPACE and IMPORT TABLESPACE, of the table or of partitions.
    Tablespace {
        /// Whether it is IMPORT.
        import: bool,
        /// Partitions, if it is about some of them.
        partitions: Option<PartitionNames>,
    },
    /// ALGORITHM.
    Algorithm(String),
    /// LOCK.
    Lock(String),
    /// WITH VALIDATION and WITHOUT VALIDATION.
    Validation(bool),
    /// PARTITION BY.
    PartitionBy(Partitioning),
    /// REMOVE PARTITIONING.
    RemovePartitioning,
    /// ADD PARTITION with definitions.
    AddPartitions {
        /// The partitions.
        definitions: Vec<PartitionDefinition>,
        /// IF NOT EXISTS (MariaDB).
        if_not_exists: bool,
    },
    /// ADD PARTITION PARTITIONS n.
    AddPartitionCount(u32),
    /// DROP PARTITION.
    DropPartitions {
        /// The partitions.
        names: Vec<String>,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// TRUNCATE PARTITION.
    TruncatePartitions(PartitionNames),
    /// COALESCE PARTITION n.
    CoalescePartition(u32),
    /// REORGANIZE PARTITION.
    ReorganizePartitions {
        /// Partitions that go; none means all of a table by HASH or KEY.
        names: Vec<String>,
        /// Partitions that come.
        into: Vec<PartitionDefinition>,
    },
    /// EXCHANGE PARTITION.
    ExchangePartition {
        /// The partition.
        partition: String,
        /// The table.
        table: TableName,
        /// WITH (true) or WITHOUT (false) VALIDATION, if written.
        validation: Option<bool>,
    },
    /// CONVERT PARTITION … TO TABLE (MariaDB).
    ConvertPartitionToTable {
        /// The partition.
        partition: String,
        /// The table.
        table: TableName,
    },
    /// CONVERT TABLE … TO PARTITION (MariaDB).
    ConvertTableToPartition {
        /// The table.
        table: TableName,
        /// The partition.
        definition: PartitionDefinition,
    },
    /// ANALYZE, CHECK, OPTIMIZE, REBUILD and REPAIR PARTITION.
    PartitionMaintenance {
        /// What is done.
        verb: MaintenanceVerb,
        /// To which.
        partitions: PartitionNames,
    },
}

/// Some partitions or all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionNames {
    /// ALL.
    All,
    /// These.
    Named(Vec<String>),
}

/// What is done to partitions without changing what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaintenanceVerb {
    /// ANALYZE.
    Analyze,
    /// CHECK.
    Check,
    /// OPTIMIZE.
    Optimize,
    /// REBUILD.
    Rebuild,
    /// REPAIR.
    Repair,
}

impl MaintenanceVerb {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Analyze,
        Self::Check,
        Self::Optimize,
        Self::Rebuild,
        Self::Repair,
    ];

    /// The word of it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Analyze => "ANALYZE",
            Self::Check => "CHECK",
            Self::Optimize => "OPTIMIZE",
            Self::Rebuild => "REBUILD",
            Self::Repair => "REPAIR",
        }
    }
}
