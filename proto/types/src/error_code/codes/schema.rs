//! Schema migration.

area! {
    OBJECT_FAILED = "OMS-SCHEMA-0001", StopAndAsk, "objects could not be created",
        "The destination refused the statement of one or more objects.",
        "List them with `omsnode project objects`; retry, edit or skip each by name.";
    TYPE_NOT_SUPPORTED = "OMS-SCHEMA-0002", StopAndAsk, "a column type is not supported",
        "The destination has no type that holds the values of the source's type exactly.",
        "Exclude the table, or create it by hand with a suitable type and skip the object.";
    ENGINE_NOT_SUPPORTED = "OMS-SCHEMA-0003", StopAndAsk, "a storage engine is not supported",
        "The table is not transactional, so its changes and its rows cannot be read consistently.",
        "Convert the table to InnoDB or exclude it.";
    STATEMENT_NOT_UNDERSTOOD = "OMS-SCHEMA-0004", StopAndAsk, "a table definition is not understood",
        "The source's definition holds a construct that the converter does not know.",
        "Edit the object's statement by hand, or exclude the table, and report the definition.";
    DEFINITION_DIFFERS = "OMS-SCHEMA-0005", StopAndAsk, "the table's definition changed since it was read",
        "A row event or a query shows other columns than the definition that was read.",
        "Recreate the project, or exclude the table.";
    CONSTRUCT_NOT_SUPPORTED = "OMS-SCHEMA-0006", StopAndAsk, "a construct of a definition is not supported",
        "The destination has nothing that means the same, and leaving it out would change what the table holds.",
        "Edit the object's statement by hand, skip it after creating it yourself, or exclude the table.";
    DESTINATION_DIFFERS = "OMS-SCHEMA-0007", StopAndAsk, "the object exists at the destination and is different",
        "A table of this name is there already and its columns or keys are not those of the source.",
        "Change or drop the destination's table and retry the object, or skip it if the difference is intended.";
    CONVERSION_LOSES = "OMS-SCHEMA-0008", StopAndAsk, "the conversion of an object loses something",
        "The destination cannot have a part of the object as it is at the source, and the spec says `schema.lossy: stop`.",
        "See it with `omsnode project objects --statements`; accept it by a retry, or edit, skip or remove the object.";
}
