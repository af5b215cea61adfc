//! What becomes a message.

use oms_core::Row;

use crate::TablePlan;

/// What becomes one message.
///
/// Rows hold all columns of the plan's table in its order, as [`oms_core::RowChange`] gives them.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// A row that full synchronization read.
    Full {
        /// The table.
        table: &'a TablePlan,
        /// The row.
        row: &'a Row,
    },
    /// A row was inserted.
    Insert {
        /// The table.
        table: &'a TablePlan,
        /// The row.
        after: &'a Row,
    },
    /// A row was updated.
    Update {
        /// The table.
        table: &'a TablePlan,
        /// The row before.
        before: &'a Row,
        /// The row after.
        after: &'a Row,
    },
    /// A row was deleted.
    Delete {
        /// The table.
        table: &'a TablePlan,
        /// The row that was deleted.
        before: &'a Row,
    },
    /// A statement changed a definition.
    Ddl(Ddl<'a>),
    /// Nothing happened up to now.
    Heartbeat,
}

/// A statement that changes a definition.
#[derive(Clone, Copy, Debug)]
pub struct Ddl<'a> {
    /// The database.
    pub database: &'a str,
    /// The table; none where the statement does not tell (DROP INDEX in some dialects).
    pub table: Option<&'a str>,
    /// What kind of statement.
    pub kind: DdlKind,
    /// The statement as logged. A semicolon at its end is left out of messages.
    pub statement: &'a str,
}

impl Ddl<'_> {
    /// The statement without what ends it.
    pub(crate) fn text(&self) -> &str {
        self.statement
            .trim_end_matches(|c: char| c.is_whitespace() || c == ';')
            .trim_start()
    }
}

/// Kinds of statements, as far as formats tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DdlKind {
    /// CREATE TABLE.
    CreateTable,
    /// ALTER TABLE.
    AlterTable,
    /// DROP TABLE.
    DropTable,
    /// TRUNCATE TABLE.
    TruncateTable,
    /// RENAME TABLE.
    RenameTable,
    /// CREATE INDEX.
    CreateIndex,
    /// DROP INDEX.
    DropIndex,
    /// ALTER TABLE … TRUNCATE PARTITION.
    TruncatePartition,
    /// COMMENT ON TABLE.
    CommentOnTable,
    /// Anything else.
    Other,
}

impl DdlKind {
    /// All of them, for tests and lists.
    pub const ALL: [Self; 10] = [
        Self::CreateTable,
        Self::AlterTable,
        Self::DropTable,
        Self::TruncateTable,
        Self::RenameTable,
        Self::CreateIndex,
        Self::DropIndex,
        Self::TruncatePartition,
        Self::CommentOnTable,
        Self::Other,
    ];

    /// `ddlType` of the format Default.
    pub(crate) fn default_name(self) -> &'static str {
        match self {
            Self::CreateTable => "CREATE_TABLE",
            Self::AlterTable | Self::TruncatePartition => "ALTER_TABLE",
            Self::DropTable => "DROP_TABLE",
            Self::TruncateTable => "TRUNCATE_TABLE",
            Self::RenameTable => "RENAME_TABLE",
            Self::CreateIndex => "CREATE_INDEX",
            Self::DropIndex => "DROP_INDEX",
            Self::CommentOnTable => "COMMENT_ON_TABLE",
            Self::Other => "OTHER",
        }
    }

    /// Canal's name of the event, which DataWorks uses, too.
    pub(crate) fn event_name(self) -> &'static str {
        match self {
            Self::CreateTable => "CREATE",
            Self::AlterTable | Self::TruncatePartition => "ALTER",
            Self::DropTable => "ERASE",
            Self::TruncateTable => "TRUNCATE",
            Self::RenameTable => "RENAME",
            Self::CreateIndex => "CINDEX",
            Self::DropIndex => "DINDEX",
            Self::CommentOnTable | Self::Other => "QUERY",
        }
    }

    /// Maxwell's type.
    pub(crate) fn maxwell_name(self) -> &'static str {
        match self {
            Self::CreateTable => "table-create",
            Self::DropTable => "table-drop",
            _ => "table-alter",
        }
    }
}
