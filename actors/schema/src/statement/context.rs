//! What a statement was run under.

use serde::{Deserialize, Serialize};

use crate::Flavor;

/// What the log says beside the text of a statement. Everything that changes what the text means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementContext {
    /// The family of the server that wrote the log.
    pub flavor: Flavor,
    /// Its version as versioned comments say it (50651, 80036, 101106), from the server version
    /// in the head of the log.
    pub version: u32,
    /// The default database, if there was one.
    pub database: Option<String>,
    /// SQL mode `ANSI_QUOTES`: double quotes enclose names.
    pub ansi_quotes: bool,
    /// SQL mode `NO_BACKSLASH_ESCAPES`.
    pub no_backslash_escapes: bool,
    /// SQL mode `REAL_AS_FLOAT`.
    pub real_as_float: bool,
    /// `explicit_defaults_for_timestamp`; if it is off, a TIMESTAMP column without anything is NOT
    /// NULL and gets a default.
    pub explicit_timestamps: bool,
    /// Character set and collation of the server (`collation_server`), which a new database has if
    /// its statement names none.
    pub server_charset: Option<(String, String)>,
    /// Whether the server keeps names of databases and tables in lower case
    /// (`lower_case_table_names` is 1).
    pub lower_case_names: bool,
}

impl StatementContext {
    /// Of a server under its usual settings, without a default database.
    pub fn new(flavor: Flavor, version: u32) -> Self {
        Self {
            flavor,
            version,
            database: None,
            ansi_quotes: false,
            no_backslash_escapes: false,
            real_as_float: false,
            explicit_timestamps: version >= 80_000,
            server_charset: None,
            lower_case_names: false,
        }
    }

    /// The same with a default database.
    #[must_use]
    pub fn in_database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// Takes over the SQL mode as the log keeps it: the bits of the server's `sql_mode`.
    #[must_use]
    pub fn with_sql_mode(mut self, bits: u64) -> Self {
        self.real_as_float = bits & 1 != 0;
        self.ansi_quotes = bits & (1 << 2) != 0;
        self.no_backslash_escapes = bits & (1 << 20) != 0;
        self
    }
}
