//! The numbers of event types: those of MySQL up to 42, those of MariaDB alone from 160.

pub(crate) const QUERY: u8 = 2;
pub(crate) const STOP: u8 = 3;
pub(crate) const ROTATE: u8 = 4;
pub(crate) const INTVAR: u8 = 5;
pub(crate) const APPEND_BLOCK: u8 = 9;
pub(crate) const DELETE_FILE: u8 = 11;
pub(crate) const RAND: u8 = 13;
pub(crate) const USER_VAR: u8 = 14;
pub(crate) const FORMAT_DESCRIPTION: u8 = 15;
pub(crate) const XID: u8 = 16;
pub(crate) const BEGIN_LOAD_QUERY: u8 = 17;
pub(crate) const EXECUTE_LOAD_QUERY: u8 = 18;
pub(crate) const TABLE_MAP: u8 = 19;
pub(crate) const WRITE_ROWS_V1: u8 = 23;
pub(crate) const UPDATE_ROWS_V1: u8 = 24;
pub(crate) const DELETE_ROWS_V1: u8 = 25;
pub(crate) const INCIDENT: u8 = 26;
pub(crate) const HEARTBEAT: u8 = 27;
pub(crate) const IGNORABLE: u8 = 28;
pub(crate) const ROWS_QUERY: u8 = 29;
pub(crate) const WRITE_ROWS: u8 = 30;
pub(crate) const UPDATE_ROWS: u8 = 31;
pub(crate) const DELETE_ROWS: u8 = 32;
pub(crate) const GTID: u8 = 33;
pub(crate) const ANONYMOUS_GTID: u8 = 34;
pub(crate) const PREVIOUS_GTIDS: u8 = 35;
pub(crate) const TRANSACTION_CONTEXT: u8 = 36;
pub(crate) const VIEW_CHANGE: u8 = 37;
pub(crate) const XA_PREPARE: u8 = 38;
pub(crate) const PARTIAL_UPDATE_ROWS: u8 = 39;
pub(crate) const TRANSACTION_PAYLOAD: u8 = 40;
pub(crate) const HEARTBEAT_V2: u8 = 41;
pub(crate) const GTID_TAGGED: u8 = 42;
pub(crate) const MARIADB_ANNOTATE_ROWS: u8 = 160;
pub(crate) const MARIADB_BINLOG_CHECKPOINT: u8 = 161;
pub(crate) const MARIADB_GTID: u8 = 162;
pub(crate) const MARIADB_GTID_LIST: u8 = 163;
pub(crate) const MARIADB_START_ENCRYPTION: u8 = 164;
pub(crate) const MARIADB_QUERY_COMPRESSED: u8 = 165;
pub(crate) const MARIADB_WRITE_ROWS_COMPRESSED_V1: u8 = 166;
pub(crate) const MARIADB_UPDATE_ROWS_COMPRESSED_V1: u8 = 167;
pub(crate) const MARIADB_DELETE_ROWS_COMPRESSED_V1: u8 = 168;
pub(crate) const MARIADB_WRITE_ROWS_COMPRESSED: u8 = 169;
pub(crate) const MARIADB_UPDATE_ROWS_COMPRESSED: u8 = 170;
pub(crate) const MARIADB_DELETE_ROWS_COMPRESSED: u8 = 171;

/// What an event is in the structure of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// State of the file or the stream, outside transactions.
    Context,
    /// The stream is alive.
    Heartbeat,
    /// Names the transaction that follows.
    TransactionName,
    /// A statement as text; may begin or end a transaction.
    Statement,
    /// Ends a transaction.
    End,
    /// A whole transaction but its name.
    WholeTransaction,
    /// Input of the next statement.
    StatementInput,
    /// Content of a transaction.
    Body,
    /// The server lost changes.
    Incident,
    /// Nothing this version knows.
    Unknown,
}

/// The role of an event type.
pub(crate) fn role(kind: u8) -> Role {
    match kind {
        STOP
        | ROTATE
        | FORMAT_DESCRIPTION
        | PREVIOUS_GTIDS
        | MARIADB_GTID_LIST
        | MARIADB_BINLOG_CHECKPOINT
        | MARIADB_START_ENCRYPTION => Role::Context,
        HEARTBEAT | HEARTBEAT_V2 => Role::Heartbeat,
        GTID | ANONYMOUS_GTID | GTID_TAGGED | MARIADB_GTID => Role::TransactionName,
        QUERY | MARIADB_QUERY_COMPRESSED | EXECUTE_LOAD_QUERY => Role::Statement,
        XID | XA_PREPARE => Role::End,
        TRANSACTION_PAYLOAD => Role::WholeTransaction,
        INTVAR | RAND | USER_VAR | BEGIN_LOAD_QUERY | APPEND_BLOCK | DELETE_FILE => Role::StatementInput,
        TABLE_MAP
        | WRITE_ROWS_V1..=DELETE_ROWS_V1
        | ROWS_QUERY..=DELETE_ROWS
        | PARTIAL_UPDATE_ROWS
        | TRANSACTION_CONTEXT
        | VIEW_CHANGE
        | MARIADB_ANNOTATE_ROWS
        | MARIADB_WRITE_ROWS_COMPRESSED_V1..=MARIADB_DELETE_ROWS_COMPRESSED => Role::Body,
        INCIDENT => Role::Incident,
        _ => Role::Unknown,
    }
}
