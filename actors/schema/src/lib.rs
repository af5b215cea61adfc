//! Schema migration without input or output: from the definitions of the source to statements for
//! the destination, with a note of everything that was changed on the way.
//!
//! * [`TableDefinition`], [`ViewDefinition`] and [`DatabaseDefinition`] are read from what
//!   `SHOW CREATE` prints. A construct that is not known is an error, never left out.
//! * [`convert_table`] and its siblings rewrite a definition for a destination that is described by
//!   [`DestinationTraits`], and say so in [`ConversionNote`]s.
//! * A [`ColumnChoice`] says which columns of a table move, under which names, and which are added.
//! * [`plan`] orders objects, resolves what depends on several of them, and gives the
//!   [`ObjectRecord`]s that a user sees, retries, edits and skips.
//! * [`DdlStatement::parse`] reads a statement of a log, [`SchemaTracker`] follows statements through
//!   the definitions of the source, and [`convert_ddl`] says what becomes of one at the destination.
//! * [`compatible`] tells whether an existing destination table can hold every row of a source table.

mod choose;
mod compare;
mod convert;
mod convert_ddl;
mod definition;
mod error;
mod plan;
mod statement;
mod syntax;
mod track;
mod traits;

pub use choose::ColumnChoice;
pub use compare::{Difference, compatible, differences};
pub use convert::{
    CharsetRules, CheckPolicy, ConversionNote, ConvertOptions, Converted, ForeignKeyPolicy, IndexPolicy,
    Outcome, Refusal, Severity, Statement, convert_database, convert_table, convert_view,
};
pub use convert_ddl::{
    ConvertedDdl, DdlFact, DdlOutcome, DdlPart, DdlRequest, DdlSelection, DdlStep, convert_ddl,
};
pub use definition::{
    CheckDefinition, ColumnDefinition, DataType, DatabaseDefinition, DefaultValue, ForeignKeyDefinition,
    GeneratedColumn, IndexAlgorithm, IndexDefinition, IndexKind, IndexPart, IndexPartKey, IntegerKind,
    PartitionDefinition, PartitionMethod, PartitionValues, Partitioning, PeriodDefinition, ReferenceAction,
    Renames, RowPeriod, SubPartitioning, SubpartitionDefinition, TableDefinition, TableOptions, ViewCheck,
    ViewDefinition,
};
pub use error::SchemaError;
pub use plan::{
    MigrationPlan, ObjectError, ObjectOperation, ObjectRecord, ObjectState, OperationRefused, PlanRequest,
    PlannedObject, SourceObject, plan,
};
pub use statement::{
    AlterClause, AlterTable, ColumnKey, ColumnPosition, ColumnSpec, CreateTable, CreateTableLike, CreateView,
    DatabaseOptions, DdlStatement, ForeignKeySpec, MaintenanceVerb, OtherKind, OtherStatement,
    PartitionNames, StatementContext, TableElement, TableOption,
};
pub use track::{OnlineChange, OnlineTable, SchemaTracker, TrackerRules, layout_differences};
pub use traits::{DestinationTraits, Flavor, SourceTraits, Supports};

pub(crate) use oms_core::TableName;
