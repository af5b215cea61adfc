//! Requests to the API.

area! {
    INVALID_ARGUMENT = "OMS-API-0001", StopAndAsk, "invalid argument",
        "A field of the request has a value that cannot be used.",
        "Correct the field that the message names and send the request again.";
    NOT_FOUND = "OMS-API-0002", StopAndAsk, "not found",
        "No object with this name or id exists.",
        "List the objects (`omsnode project list`, `omsnode datasource list`) and check the name.";
    ALREADY_EXISTS = "OMS-API-0003", StopAndAsk, "already exists",
        "An object with this name exists already.",
        "Choose another name, or update the existing object.";
    WRONG_STATE = "OMS-API-0004", StopAndAsk, "not possible in this state",
        "The operation is not allowed in the object's present state.",
        "The message names the present state and the states that allow the operation.";
    MALFORMED_SPEC = "OMS-API-0005", StopAndAsk, "malformed spec file",
        "The file is not valid YAML or JSON, or holds a field that does not exist or has the wrong type.",
        "Correct the line and field that the message names; `deploy/examples/` holds commented files.";
    OVERLAPPING_OBJECTS = "OMS-API-0006", StopAndAsk, "another project writes the same destination objects",
        "Two projects that write the same destination table would overwrite each other's rows.",
        "Remove the tables from one of the projects, map them to other names, or release the other project.";
    IN_USE = "OMS-API-0007", StopAndAsk, "still in use",
        "A project that is not released uses this object.",
        "Release and delete the projects that the message names first.";
    INTERNAL = "OMS-API-0008", Bug, "internal error",
        "Something that should be impossible happened.",
        "Report it with the daemon's log.";
    UNAVAILABLE = "OMS-API-0009", Retry, "the daemon cannot answer now",
        "The node is starting or stopping, or the cluster has no leader.",
        "Try again; if it lasts, look at `omsnode node list` and the daemon's log.";
    CONFLICT = "OMS-API-0010", StopAndAsk, "changed by somebody else",
        "The object was changed between being read and being written.",
        "Read it again and repeat the change.";
}
