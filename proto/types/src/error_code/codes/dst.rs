//! Destinations.

area! {
    UNREACHABLE = "OMS-DST-0001", Retry, "the destination cannot be reached",
        "No connection could be opened, or it broke.",
        "Check host, port and network. A running component continues by itself when the destination is back.";
    ACCESS_DENIED = "OMS-DST-0002", StopAndAsk, "the destination refuses the account",
        "User or password is wrong, or the account may not connect from this host.",
        "Correct the data source with `omsnode datasource update`.";
    TLS_REQUIRED = "OMS-DST-0003", StopAndAsk, "the destination wants an encrypted connection",
        "The server refuses connections without TLS, or TLS could not be established.",
        "Set `tls` in the data source (`prefer`, `require`, `verify`).";
    WRONG_PROTOCOL = "OMS-DST-0004", StopAndAsk, "this port does not speak the MySQL protocol",
        "The answer of the server is not a MySQL greeting.",
        "Check the port.";
    PRIVILEGE_MISSING = "OMS-DST-0005", StopAndAsk, "a privilege is missing at the destination",
        "The account may not do what the component needs.",
        "Grant the privilege that the message names.";
    STATEMENT_FAILED = "OMS-DST-0006", StopAndAsk, "the destination refused a statement",
        "The server answered with an error that is not transient.",
        "The message holds the server's error number and text and names the object.";
    TRANSIENT = "OMS-DST-0007", Retry, "the destination is busy",
        "A lock wait, deadlock, time-out or memory limit at the destination.",
        "Nothing: the component retries.";
    VALUE_NOT_REPRESENTABLE = "OMS-DST-0008", StopAndAsk, "a value does not fit the destination column",
        "The destination's type or character set cannot hold the value exactly.",
        "Change the destination column's type, then resume. The message names table, column and key.";
    TABLE_MISSING = "OMS-DST-0009", StopAndAsk, "the destination table is missing",
        "The table does not exist at the destination.",
        "Run schema migration, or create the table by hand, then resume.";
    COLUMN_MISSING = "OMS-DST-0010", StopAndAsk, "a column is missing at the destination",
        "The destination table lacks a column that the source has.",
        "Add the column, or map it, then resume.";
    DISK_FULL = "OMS-DST-0011", Retry, "the destination has no space left",
        "The server reports that a table or disk is full.",
        "Free space at the destination; the component continues by itself.";
    CERTIFICATE_REFUSED = "OMS-DST-0012", StopAndAsk, "the destination's certificate is not trusted",
        "The data source asks for `tls: verify`, and the server's certificate is not signed by its certificate authority (`tls_ca_pem`, or the public ones), has expired, or is for another host name.",
        "Give the authority's certificate in `tls_ca_pem`, and as `host` a name or address that the server's certificate holds; `tls: require` encrypts without checking.";
    KILLED_SESSION_STAYS = "OMS-DST-0013", Retry, "a killed session of the destination does not end, and others wait for it",
        "Its client is gone, or it was killed, in the middle of a statement that defines objects, and the server still works on it. \
         Some versions of OceanBase never end it and let every other such statement wait.",
        "See `SHOW FULL PROCESSLIST` at the destination. If the session stays, restart the destination's server; the component continues by itself when it is back.";
}
