//! Full import.

area! {
    DESTINATION_NOT_EMPTY = "OMS-IMPORT-0001", StopAndAsk, "the destination table is not empty",
        "The policy for destination rows is `stop` and the table holds rows that this project did not write.",
        "Empty the table, or resume to continue in spite of it, or set `full.on_existing_rows: ignore`.";
    SNAPSHOT_POSITION_UNKNOWN = "OMS-IMPORT-0002", StopAndAsk, "no consistent snapshot at a known position",
        "A table without a key must be read in one snapshot whose log position is known, and this source offers none without locking.",
        "Enable GTID mode at the source, pause the table's writers for some seconds, add a key to the table, or exclude it.";
    KEY_NOT_USABLE = "OMS-IMPORT-0003", StopAndAsk, "the key cannot be used to read in chunks",
        "The only key of the table consists of columns whose order is not reliable, such as FLOAT.",
        "Add another key, or exclude the table.";
    TOO_MANY_CONFLICTS = "OMS-IMPORT-0004", StopAndAsk, "too many rows conflict with existing rows",
        "The list of conflicting rows reached its limit.",
        "Empty the destination table, or raise `full.max_conflicts`.";
}
