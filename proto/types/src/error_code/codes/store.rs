//! The Store and its change log.

area! {
    DISK_FULL = "OMS-STORE-0001", Retry, "the disk of the change log is full",
        "Free space is below the floor.",
        "Free space; the Store stopped before any damage and continues by itself.";
    CORRUPT = "OMS-STORE-0002", StopAndAsk, "the change log is damaged",
        "A record in the middle of the log does not pass its check.",
        "The message names file and offset. Remove the log folder to capture again from the destination's checkpoint.";
    IN_USE = "OMS-STORE-0003", Retry, "the change log is in use",
        "Another process or actor has locked the log's folder.",
        "Stop the other process.";
    POSITION_PURGED = "OMS-STORE-0004", StopAndAsk, "the change log no longer holds the position",
        "Retention removed the records that follow the position.",
        "Start the Store from the position if the source still has it, or import again; raise the retention.";
    POSITION_UNKNOWN = "OMS-STORE-0005", StopAndAsk, "the position is not in the change log",
        "The position does not lie at a transaction border of this log.",
        "Start the Store from the position, or import again.";
    IO = "OMS-STORE-0006", Retry, "the change log cannot be read or written",
        "The file system answered with an error.",
        "Check the disk and the folder's permissions; the message holds the system's error.";
    POSITION_AHEAD = "OMS-STORE-0007", Retry, "the change log has not come to the position yet",
        "The destination is further than the log: the log's unacknowledged end was lost, or it was created anew.",
        "Nothing; the Store captures up to the position and the reader continues. If it does not, check that both use the same source.";
    INTERNAL = "OMS-STORE-0008", Bug, "the change log was used wrongly",
        "A record out of order or a position that cannot be kept was handed to the log.",
        "Report it with the message.";
}
