//! From a definition of the source to statements for the destination.

mod charset;
mod column;
mod constraint;
mod database;
mod expression;
mod index;
mod partition;
mod report;
mod table;
mod view;

use oms_core::{ErrorCode, ObjectName};
use serde::{Deserialize, Serialize};

pub use charset::CharsetRules;
pub use database::convert_database;
pub use table::convert_table;
pub(crate) use table::write_statements;
pub use view::convert_view;

use crate::{Renames, TableDefinition};

/// A statement for the destination, under the session settings of
/// [`crate::DestinationTraits::session_statements`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// What it creates, by its name at the destination.
    pub object: ObjectName,
    /// The statement. All names in it are complete; no default database is needed.
    pub sql: String,
}

/// Something that is not at the destination as it is at the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversionNote {
    /// The part of the object: ``column `a` ``, ``key `k` ``, `table`.
    pub object: String,
    /// What it is about, for people.
    pub what: String,
    /// How it is at the source.
    pub from: String,
    /// How it is at the destination; empty when it was left out.
    pub to: String,
    /// Whether something that could matter is lost: a rule that is no longer enforced, a default
    /// that is no longer filled in, keys that may collide.
    pub lossy: bool,
}

/// What a conversion does to a part of an object, from the harmless to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It stays as it is.
    Exact,
    /// It becomes something else that serves the same purpose, or had no effect on contents.
    Equivalent,
    /// It becomes something else that is not quite the same.
    Lossy,
    /// It is left out, and it could matter.
    NotMoved,
}

impl Severity {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Equivalent => "equivalent",
            Self::Lossy => "lossy",
            Self::NotMoved => "not moved",
        }
    }
}

impl ConversionNote {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match (self.lossy, self.to.is_empty()) {
            (true, true) => Severity::NotMoved,
            (true, false) => Severity::Lossy,
            (false, _) if self.is_change() => Severity::Equivalent,
            (false, _) => Severity::Exact,
        }
    }

    /// Whether it tells of a change, and not only of something worth knowing.
    pub fn is_change(&self) -> bool {
        self.lossy || self.from != self.to
    }
}

/// Why an object cannot be created as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The public code.
    pub code: ErrorCode,
    /// The reason, naming the construct.
    pub reason: String,
}

/// How a conversion ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination's object means the same.
    Compatible,
    /// It was changed; the notes say how.
    Converted,
    /// It cannot be created. There are no statements.
    NotSupported(Refusal),
}

/// A converted object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// What is to be executed, in order.
    pub statements: Vec<Statement>,
    /// Foreign keys of the table, in the order of `definition`: to be executed when all tables are there.
    pub foreign_keys: Vec<Statement>,
    /// Checks of the table that are created on their own ([`CheckPolicy::AtSwitchover`]).
    pub checks: Vec<Statement>,
    /// Indexes that wait until the rows are there ([`IndexPolicy::AfterData`]).
    pub deferred: Vec<Statement>,
    /// What was changed.
    pub notes: Vec<ConversionNote>,
    /// How it ended.
    pub outcome: Outcome,
    /// Of a table: the definition it is to have at the destination, under its name there.
    pub definition: Option<TableDefinition>,
}

/// When secondary indexes that restrict nothing are created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexPolicy {
    /// With their table.
    #[default]
    WithTable,
    /// After the rows. Those that an AUTO_INCREMENT column or an earlier foreign key needs are
    /// created with the table all the same.
    AfterData,
}

/// When foreign keys are created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignKeyPolicy {
    /// When all tables are there.
    #[default]
    AfterTables,
    /// After the rows.
    AfterData,
    /// When the project switches over. Statements of a log leave them alone until then.
    AtSwitchover,
    /// Not at all.
    Omit,
}

/// When checks of tables are created. Those that belong to a column's type (JSON of MariaDB) always come with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckPolicy {
    /// With their table.
    #[default]
    WithTable,
    /// When the project switches over. Statements of a log leave them alone until then.
    AtSwitchover,
}

/// What the user decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvertOptions {
    /// Names at the destination.
    pub renames: Renames,
    /// Character sets and collations.
    pub charsets: CharsetRules,
    /// When indexes are created.
    pub indexes: IndexPolicy,
    /// When foreign keys are created.
    pub foreign_keys: ForeignKeyPolicy,
    /// Which columns move, of tables where that is not all of them as they are; by names at the source.
    #[serde(default)]
    pub columns: Vec<(crate::TableName, crate::ColumnChoice)>,
    /// When checks are created.
    pub checks: CheckPolicy,
}
