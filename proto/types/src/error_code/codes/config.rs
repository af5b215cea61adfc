//! The node's configuration.

area! {
    UNREADABLE = "OMS-CONFIG-0001", StopAndAsk, "the configuration cannot be read",
        "The file does not exist or its permissions forbid reading it.",
        "Check the path given by `--config` or OMSNODE_CONFIG.";
    INVALID = "OMS-CONFIG-0002", StopAndAsk, "the configuration is not valid",
        "A key does not exist, or its value has the wrong type or is out of range.",
        "Correct the key that the message names; `omsnode config check` tests a file, `omsnode config dump` prints the values in force.";
    ADDRESS_IN_USE = "OMS-CONFIG-0003", StopAndAsk, "the listen address is in use",
        "Another process listens on the address.",
        "Choose another port with `--listen`, or stop the other process.";
}
