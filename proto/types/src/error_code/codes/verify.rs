//! Full verification.

area! {
    DIFFERENCES = "OMS-VERIFY-0001", StopAndAsk, "both sides differ",
        "Rows differ after all re-checks.",
        "List them with `omsnode project diff`, apply the correction statements, then verify the differences again.";
    TOO_MANY_DIFFERENCES = "OMS-VERIFY-0002", StopAndAsk, "too many differences",
        "The number of differing rows reached its limit, so the scan of the table stopped.",
        "Import the table again, or raise `verify.max_differences`.";
    TABLE_NOT_COMPARABLE = "OMS-VERIFY-0003", StopAndAsk, "the table cannot be compared",
        "Columns that exist at one side only, or types without a common meaning.",
        "Map or exclude the columns.";
    RESULTS_UNUSABLE = "OMS-VERIFY-0004", StopAndAsk, "the results of the verification cannot be used",
        "The destination cannot keep results, a record of them in its hidden database is damaged, or what was asked for is not there.",
        "Verify again: each run has records of its own.";
    INTERNAL = "OMS-VERIFY-0005", Bug, "verification met an impossible state",
        "An invariant of verification was broken.",
        "Report it with the component's log.";
}
