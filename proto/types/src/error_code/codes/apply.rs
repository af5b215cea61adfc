//! Applying changes to the destination.

area! {
    ROW_MISSING = "OMS-APPLY-0001", StopAndAsk, "the row to change is not at the destination",
        "An update or delete of the source found no row, or another number of rows, at the destination.",
        "Somebody else writes to the destination, or rows were removed there. Verify the table, repair it with the correction statements, then resume.";
    ROW_EXISTS = "OMS-APPLY-0002", StopAndAsk, "the row to insert exists already",
        "An insert of the source met a row with the same key at the destination.",
        "Somebody else writes to the destination. Verify the table, repair it with the correction statements, then resume.";
    DDL_NOT_FOLLOWED = "OMS-APPLY-0003", StopAndAsk, "a table of the project was changed by DDL",
        "The source executed a statement that changes the definition of a migrated table; this project does not follow DDL.",
        "Apply the change to the destination by hand if it is wanted, then recreate the project, or exclude the table.";
    FENCED = "OMS-APPLY-0004", Fenced, "another owner has taken over",
        "A newer owner of this component has claimed the destination.",
        "Nothing: the newer owner continues. If no newer owner is running, restart the component.";
    COMMIT_UNKNOWN = "OMS-APPLY-0005", Retry, "the outcome of a commit is unknown",
        "The connection to the destination broke while a transaction was being committed.",
        "Nothing: the component claims again and reads from the destination what was committed.";
    POSITION_BEHIND_STORE = "OMS-APPLY-0006", StopAndAsk, "the change log does not reach back to the checkpoint",
        "The Store no longer holds the changes that follow the destination's checkpoint.",
        "If the source still has its log the Store can start from the checkpoint; otherwise import the tables again.";
    PARTIAL_IMAGE = "OMS-APPLY-0007", StopAndAsk, "a change does not carry the columns it needs",
        "The source writes partial row images (binlog_row_image other than FULL) and a column that is needed here is absent.",
        "Set binlog_row_image=FULL at the source.";
    INTERNAL = "OMS-APPLY-0008", Bug, "the applier met an impossible state",
        "An invariant of the applier was broken.",
        "Report it with the component's log.";
    POSITION_NOT_COMPARABLE = "OMS-APPLY-0009", StopAndAsk, "two positions of the source cannot be compared",
        "Whether a change lies before or behind a snapshot or stop position cannot be told, because another server answers and neither position names its transactions.",
        "Point the data source at the server that the positions belong to, enable GTID mode, or import the tables again.";
    DDL_UNDECIDED = "OMS-APPLY-0011", StopAndAsk, "a statement that defines tables waits for a decision",
        "The source executed a statement that changes what is migrated, and it cannot be carried over as it is, or the destination refused what it became.",
        "Look at it with `omsnode project ddl list`. Mend the cause at the destination and resume, or say what is to be executed instead (`project ddl edit`), or leave the change out (`project ddl skip`), then resume.";
    DDL_TOO_EARLY = "OMS-APPLY-0012", StopAndAsk, "a table was redefined before its changes could be applied",
        "The source executed a statement that changes the definition of a migrated table after capture began and before incremental synchronization did. In which shape rows were copied cannot be told.",
        "Make a new project, and change no definitions of its tables until it synchronizes incrementally.";
    DDL_STATE_DAMAGED = "OMS-APPLY-0013", StopAndAsk, "the recorded definitions of the source cannot be read",
        "The records of incremental synchronization at the destination that hold the followed definitions are incomplete, changed, or were written by another version.",
        "Restore the hidden database of the destination together with its data, or make a new project.";
    CRASHED = "OMS-APPLY-0010", Bug, "the component crashed again and again",
        "Its worker ended abnormally several times in a row on this node.",
        "Another node takes the component over if there is one. Report it with the component's log.";
}
