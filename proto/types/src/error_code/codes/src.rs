//! Sources.

area! {
    UNREACHABLE = "OMS-SRC-0001", Retry, "the source cannot be reached",
        "No connection could be opened, or it broke.",
        "Check host, port and network. A running component continues by itself when the source is back.";
    ACCESS_DENIED = "OMS-SRC-0002", StopAndAsk, "the source refuses the account",
        "User or password is wrong, or the account may not connect from this host.",
        "Correct the data source with `omsnode datasource update`.";
    TLS_REQUIRED = "OMS-SRC-0003", StopAndAsk, "the source wants an encrypted connection",
        "The server refuses connections without TLS, or TLS could not be established.",
        "Set `tls` in the data source (`prefer`, `require`, `verify`).";
    WRONG_PROTOCOL = "OMS-SRC-0004", StopAndAsk, "this port does not speak the MySQL protocol",
        "The answer of the server is not a MySQL greeting.",
        "Check the port.";
    PRIVILEGE_MISSING = "OMS-SRC-0005", StopAndAsk, "a privilege is missing at the source",
        "The account may not read what the component needs.",
        "Grant the privilege that the message names.";
    LOG_DISABLED = "OMS-SRC-0006", StopAndAsk, "the source writes no binary log",
        "log_bin is off.",
        "Set log_bin and a server_id in the server's configuration and restart it.";
    LOG_FORMAT = "OMS-SRC-0007", StopAndAsk, "the source does not log rows",
        "binlog_format is STATEMENT or MIXED, or a statement that changes a migrated table was logged as text.",
        "Set binlog_format=ROW for all sessions at the source.";
    LOG_PURGED = "OMS-SRC-0008", StopAndAsk, "the source no longer has the log that follows the position",
        "The binary log files that hold the next changes were purged.",
        "Import the tables again; keep the log longer at the source (binlog_expire_logs_seconds, expire_logs_days; of OceanBase undo_retention). The message names the missing range.";
    UNKNOWN_EVENT = "OMS-SRC-0009", StopAndAsk, "an event of the log is not known",
        "The log holds an event, a type or a flag that this version cannot decode; going on could lose rows.",
        "Report the position and the event type; exclude the table if the event belongs to one.";
    CORRUPT_EVENT = "OMS-SRC-0010", StopAndAsk, "an event of the log is damaged",
        "The checksum or the structure of an event is wrong.",
        "Check the source's binary log with mysqlbinlog at the position that the message names.";
    TABLE_MISSING = "OMS-SRC-0011", StopAndAsk, "an object does not exist at the source",
        "A database or table of the project was not found.",
        "Check the name and the account's privileges (an object that may not be read is not visible).";
    STATEMENT_FAILED = "OMS-SRC-0012", StopAndAsk, "the source refused a statement",
        "The server answered with an error that is not transient.",
        "The message holds the server's error number and text.";
    TRANSIENT = "OMS-SRC-0013", Retry, "the source is busy",
        "A lock wait, deadlock or time-out at the source.",
        "Nothing: the component retries.";
    SERVER_CHANGED = "OMS-SRC-0014", StopAndAsk, "another server answers at the source's address",
        "The server's identity differs from the one the position belongs to, and the position cannot be translated.",
        "Point the data source at the original server, or start again.";
    ROW_IMAGE = "OMS-SRC-0015", StopAndAsk, "the source logs partial rows",
        "binlog_row_image is not FULL and the project's policy refuses partial rows.",
        "Set binlog_row_image=FULL at the source.";
    TYPE_NOT_SUPPORTED = "OMS-SRC-0016", StopAndAsk, "a column type of the source is not supported",
        "The type's values cannot be read exactly.",
        "Exclude the table or the column.";
    CERTIFICATE_REFUSED = "OMS-SRC-0017", StopAndAsk, "the source's certificate is not trusted",
        "The data source asks for `tls: verify`, and the server's certificate is not signed by its certificate authority (`tls_ca_pem`, or the public ones), has expired, or is for another host name.",
        "Give the authority's certificate in `tls_ca_pem`, and as `host` a name or address that the server's certificate holds; `tls: require` encrypts without checking.";
    KEYS_COLLIDE = "OMS-SRC-0018", StopAndAsk, "keys are in several of the tables that are merged into one",
        "Rows of different source tables have the same key, and go to the same destination table: it can hold only one of them.",
        "Give the rows other keys at the source, move the tables to tables of their own, or leave rows out with `filter`; then resume and verify: a row whose key another one gave up since the project began may be missing and is reported.";
    REDEFINED = "OMS-SRC-0019", StopAndAsk, "a table was redefined while it was followed",
        "A source that is read in rounds compares the rows of two moments. Between them a table or a partition of it was truncated, dropped, rebuilt or renamed, or its columns were changed: the difference of the rows would not be what happened.",
        "Everything up to the position is captured and is applied. Begin a new project for the tables that the message names, once no such statements are to come.";
    ROUND_INCONSISTENT = "OMS-SRC-0020", StopAndAsk, "the rows of a round do not add up",
        "The number of rows before a round, what was found inserted and deleted, and the number of rows behind it contradict each other. Nothing of the round is applied.",
        "Compare the table with full verification and report what the message says.";
    MARK_TOO_LATE = "OMS-SRC-0021", StopAndAsk, "a mark comes behind what it is to mark",
        "A transaction that the other direction of this link wrote into this source shows itself as such only behind some of its changes, which were handed on already. Every such transaction changes the fence table first; a proxy or the server must have changed the order.",
        "Nothing of the transaction was applied. Say what stands between omsnode and the database, and report the message; release the reverse project to go on in one direction.";
}
