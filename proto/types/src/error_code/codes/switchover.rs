//! Switchovers.

area! {
    BEHIND = "OMS-SWITCH-0001", StopAndAsk, "the destination is too far behind",
        "What was in the source's log when the precheck began was not at the destination within the allowed lag.",
        "Wait until the lag has fallen (`omsnode project watch`) and `omsnode project switchover retry`. Who accepts a longer \
         stop of writes skips the precheck by name; nothing is lost by that, because the drain waits for everything.";
    SOURCE_WRITTEN = "OMS-SWITCH-0002", StopAndAsk, "the source was written after its writes had been stopped",
        "The source's log holds changes of the project's tables behind the stop position: somebody still writes there. The \
         message names tables and positions. Synchronization goes on, so that these changes arrive, too.",
        "Find and stop the writer (jobs, events, consoles), then confirm again: `omsnode project switchover confirm PROJECT \
         writes-stopped`, or `retry` where the source is set read-only.";
    DIFFERENT = "OMS-SWITCH-0003", StopAndAsk, "both sides differ at rest",
        "The verification after the drain found differences, or could not compare all tables.",
        "Look at them (`omsnode project diff`), correct the destination, and `omsnode project switchover retry`; or cancel the \
         switchover.";
    CANNOT_STOP_WRITES = "OMS-SWITCH-0004", StopAndAsk, "the source could not be set read-only",
        "The account may not change `read_only`, or a transaction or lock at the source kept it from being set.",
        "Grant READ_ONLY ADMIN (MariaDB), SYSTEM_VARIABLES_ADMIN (MySQL) or SUPER, end what blocks, and `omsnode project switchover retry`; or \
         cancel, begin without `--set-read-only` and stop the writers yourself.";
}
