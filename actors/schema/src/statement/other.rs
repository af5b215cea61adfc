//! Statements that define neither tables nor databases nor views.

use serde::{Deserialize, Serialize};

/// A statement of which only the kind is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherStatement {
    /// What it is about.
    pub kind: OtherKind,
    /// Its first words, upper case: `CREATE TRIGGER`, `GRANT`.
    pub words: String,
}

/// What such a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherKind {
    /// Users, roles and privileges.
    Account,
    /// Functions, procedures, packages and libraries.
    Routine,
    /// Triggers.
    Trigger,
    /// Events.
    Event,
    /// Servers, tablespaces, log file groups, plugins, components, resource groups, spatial
    /// reference systems: things of the server and not of a database.
    Server,
    /// Settings.
    Setting,
    /// ANALYZE, OPTIMIZE, REPAIR, CHECK, FLUSH and their like: contents stay.
    Maintenance,
    /// BEGIN, COMMIT, XA and their like.
    Transaction,
    /// Changes of rows in the form of a statement.
    Rows,
    /// Reading and describing: nothing changes.
    Query,
}
