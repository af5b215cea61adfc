//! Prechecks.

area! {
    FAILED = "OMS-PRECHECK-0001", StopAndAsk, "a precheck failed",
        "One or more items did not pass.",
        "Mend what the items name, then resume; items marked skippable can be skipped by name.";
}
