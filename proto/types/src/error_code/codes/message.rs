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
}
