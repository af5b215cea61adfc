//! What differs between the servers that speak the protocol.

use oms_core::{ErrorCode, Failure, codes};

use crate::connection::{Flavor, ServerInfo};

/// The facts about a kind of destination that writing depends on. Pure.
pub trait Dialect: Send + Sync + std::fmt::Debug {
    /// Refuses a server that is of another kind than this dialect is for.
    ///
    /// # Errors
    /// `OMS-DST-0006` naming both.
    fn accept(&self, server: &ServerInfo) -> Result<(), Failure>;

    /// Statements run on every new connection after the common session settings.
    fn session(&self, server: &SessionFacts) -> Vec<String>;

    /// The statement that shortens lock waits of a session to `seconds`.
    fn lock_wait(&self, seconds: u32) -> String;

    /// The statement by which a session's next transactions may take as long as a streamed one needs, or no
    /// longer than an ordinary one; `None` where the server does not end transactions by time. Sessions
    /// begin with the ordinary bound.
    fn transaction_bound(&self, _streamed: bool) -> Option<String> {
        None
    }

    /// The meaning of a server error, where it differs from the family's.
    fn meaning(&self, number: u16, message: &str) -> Option<ErrorCode>;

    /// Most rows of one INSERT or REPLACE.
    fn rows_per_insert(&self) -> usize;

    /// Length in bytes at which a statement takes no further row.
    fn bytes_per_insert(&self) -> usize;

    /// Most keys in the condition of one DELETE.
    fn keys_per_delete(&self) -> usize;

    /// Most rows of one UPDATE that sets each row's values by its key. The server compares every row with half of the
    /// keys on average.
    fn rows_per_update(&self) -> usize {
        50
    }

    /// Most statements sent in one packet.
    fn statements_per_packet(&self) -> usize;

    /// Whether `(a, b) IN ((1, 2), …)` finds rows by index. Otherwise keys are listed as
    /// `(a = 1 AND b = 2) OR …`.
    fn row_constructors(&self) -> bool;

    /// Whether FLOAT and DOUBLE columns keep the sign of zero.
    fn keeps_negative_zero(&self, server: &ServerInfo) -> bool;

    /// Longest value that is sent in one statement. A longer one, in a table with a key, is written by
    /// its beginning and appended to within the same transaction. `None`: no such limit.
    fn longest_literal(&self) -> Option<usize>;

    /// Whether the message of an `INSERT … ON DUPLICATE KEY UPDATE` counts the rows that were there.
    fn counts_duplicates(&self) -> bool;

    /// Whether the server reads the text of LOAD DATA LOCAL INFILE faster than statements.
    fn loads_text(&self) -> bool {
        false
    }
}

/// What the session settings of a dialect depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionFacts {
    /// The server writes its own log as statements, and refuses READ COMMITTED for that reason.
    pub statement_log: bool,
}

/// MySQL and MariaDB.
#[derive(Clone, Copy, Debug, Default)]
pub struct MysqlDialect;

impl Dialect for MysqlDialect {
    fn accept(&self, server: &ServerInfo) -> Result<(), Failure> {
        match server.flavor {
            Flavor::Mysql | Flavor::MariaDb => Ok(()),
            other => Err(Failure::new(
                codes::dst::STATEMENT_FAILED,
                format!(
                    "the data source is registered as MySQL or MariaDB, but the server is {} ({})",
                    other.name(),
                    server.version
                ),
            )),
        }
    }

    fn session(&self, server: &SessionFacts) -> Vec<String> {
        // READ COMMITTED takes no gap locks, so lanes do not block each other beside their rows. With
        // REPEATABLE READ the fence holds as well: InnoDB's UPDATE reads the latest committed row.
        let level = if server.statement_log {
            "REPEATABLE READ"
        } else {
            "READ COMMITTED"
        };
        vec![format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}")]
    }

    fn lock_wait(&self, seconds: u32) -> String {
        format!("SET SESSION innodb_lock_wait_timeout = {seconds}")
    }

    fn meaning(&self, _number: u16, _message: &str) -> Option<ErrorCode> {
        None
    }

    fn rows_per_insert(&self) -> usize {
        2_000
    }

    fn bytes_per_insert(&self) -> usize {
        512 * 1024
    }

    fn keys_per_delete(&self) -> usize {
        500
    }

    fn statements_per_packet(&self) -> usize {
        256
    }

    fn row_constructors(&self) -> bool {
        // MySQL 5.6 answers them with a scan of the whole table.
        false
    }

    fn keeps_negative_zero(&self, server: &ServerInfo) -> bool {
        // MariaDB stores 0 for -0, also for its own computed values.
        server.flavor != Flavor::MariaDb
    }

    fn longest_literal(&self) -> Option<usize> {
        None
    }

    fn counts_duplicates(&self) -> bool {
        true
    }

    fn loads_text(&self) -> bool {
        true
    }
}
