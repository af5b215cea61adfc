//! Messages to queues.

area! {
    VALUE = "OMS-MESSAGE-0001", StopAndAsk, "a value cannot be written into a message",
        "Text that is not of its column's character set, a number without an ENUM or SET member, or a value that the column's type does not have.",
        "Correct the row at the source. The message names table and column.";
    TABLE = "OMS-MESSAGE-0002", StopAndAsk, "a table cannot be sent in the chosen format",
        "A column has a name that the format uses itself or a character set that cannot be written as UTF-8, a chosen column does not exist, or a setting of the format is wrong.",
        "Leave the column out, choose another format, or correct the setting that the message names.";
    KEY_ABSENT = "OMS-MESSAGE-0003", StopAndAsk, "the log does not carry a column of the message key",
        "The source writes partial row images, and the columns that choose the partition are not among what it writes.",
        "Set `binlog_row_image=FULL` at the source, or choose the columns of the primary key.";
    TOPIC_MISSING = "OMS-MESSAGE-0004", StopAndAsk, "a topic or partition is missing",
        "The topic does not exist at the destination, or has fewer partitions than the message needs.",
        "Create the topic, or let the project create it, then resume.";
    TOO_LARGE = "OMS-MESSAGE-0005", StopAndAsk, "a message is larger than the destination takes",
        "The brokers' or the topic's bound on the size of a message is lower than the row needs.",
        "Raise `max.message.bytes` of the topic, or leave out large columns, then resume.";
    BROKER_REFUSED = "OMS-MESSAGE-0006", StopAndAsk, "the brokers refuse a topic's settings or ours",
        "Number of partitions or copies, a topic's setting or a setting of the connection is not acceptable.",
        "The message holds the brokers' words. Correct the setting that it names.";
}
