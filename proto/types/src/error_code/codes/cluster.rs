//! Nodes and metadata.

area! {
    NO_LEADER = "OMS-CLUSTER-0001", Retry, "the cluster has no leader",
        "A majority of the voters cannot be reached.",
        "Start the missing nodes; `omsnode node list` shows them.";
    METADATA_CORRUPT = "OMS-CLUSTER-0002", StopAndAsk, "the metadata store is damaged",
        "The files of the node's metadata do not pass their checks.",
        "Restore the node's data folder from a backup, or let the node join again with an empty one.";
    DATA_DIR_IN_USE = "OMS-CLUSTER-0003", StopAndAsk, "the data folder is in use",
        "Another omsnode process has locked the data folder.",
        "Stop the other process, or start this one with another `--data-dir`.";
    WRONG_CLUSTER = "OMS-CLUSTER-0004", StopAndAsk, "the peer belongs to another cluster",
        "The cluster id of the message differs from this node's.",
        "Check the addresses of the peers.";
    UNSUPPORTED_FORMAT = "OMS-CLUSTER-0005", StopAndAsk, "the data was written by another version",
        "The data folder has a format version that this binary does not know.",
        "Start the version of omsnode that wrote it, or a newer one.";
    DISK_FULL = "OMS-CLUSTER-0006", Retry, "the disk of the metadata is full",
        "The node's data folder has no space left.",
        "Free space; the node continues by itself.";
}
