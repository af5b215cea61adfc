//! Filters of rows and columns.

area! {
    NOT_USABLE = "OMS-FILTER-0001", StopAndAsk, "a filter or mapping does not fit the table",
        "The condition of a row filter, the choice of columns or the value of an added column names what the table does not have, or what cannot be compared.",
        "The message names the place in the text. Correct the spec; if the table was changed since, create the project again.";
    NO_VALUE = "OMS-FILTER-0002", StopAndAsk, "an expression has no value for a row",
        "A row filter or an added column was to be computed for a row, and the result is out of range, or a text is not the number or date that it is used as.",
        "Correct the rows at the source, or create the project again with an expression that excludes them first, for example `kind = 'n' AND CAST(v AS SIGNED) > 5`.";
}
