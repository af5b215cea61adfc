//! The model of what `SHOW CREATE` says.

mod column;
mod constraint;
mod data_type;
mod database;
mod index;
mod partition;
mod print;
mod schema;
mod table;
mod view;

pub use column::{ColumnDefinition, DefaultValue, GeneratedColumn, RowPeriod};
pub use constraint::{CheckDefinition, ForeignKeyDefinition, PeriodDefinition, ReferenceAction};
pub use data_type::{DataType, IntegerKind};
pub use database::DatabaseDefinition;
pub use index::{IndexAlgorithm, IndexDefinition, IndexKind, IndexPart, IndexPartKey};
pub use partition::{
    PartitionDefinition, PartitionMethod, PartitionValues, Partitioning, SubPartitioning,
    SubpartitionDefinition,
};
pub(crate) use print::{
    check_clause, column_clause, column_words, default_clause, foreign_key_clause, index_clause,
    partition_clause, partitioning_clause, references_clause,
};
pub use table::{TableDefinition, TableOptions};
pub use view::{Renames, ViewCheck, ViewDefinition};
