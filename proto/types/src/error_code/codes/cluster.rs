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
    METADATA_IO = "OMS-CLUSTER-0007", StopAndAsk, "the metadata store cannot be read or written",
        "The operating system refused a file operation in the node's data folder, or an earlier write failed.",
        "Look at the file and the reason in the message, repair the disk or the permissions, then restart the node.";
    METADATA_TOO_LARGE = "OMS-CLUSTER-0008", StopAndAsk, "a metadata record is too large",
        "One change of metadata is larger than the cluster replicates.",
        "Split the change: fewer tables or shorter texts in one project.";
    WRONG_NODE = "OMS-CLUSTER-0009", StopAndAsk, "the data folder or address belongs to another node",
        "The node id or cluster id in the data folder or in a message is not this node's.",
        "Start the node with its own `--data-dir`, or correct the configured ids and addresses.";
    OUTCOME_UNKNOWN = "OMS-CLUSTER-0010", StopAndAsk, "it is not known whether the change was made",
        "The leader was lost or did not answer in time after the change had been handed to it.",
        "Look whether the change is there; repeat it if not.";
    MEMBERSHIP_REFUSED = "OMS-CLUSTER-0011", StopAndAsk, "the membership change was refused",
        "Another change is under way, a named node is not a member, or no voter would be left.",
        "Look at the members and repeat the change when the earlier one is done.";
    NODE_STOPPED = "OMS-CLUSTER-0012", Retry, "this node takes no part in the cluster any more",
        "The node is shutting down, or its metadata store failed.",
        "Use another node; look at this node's log for the first failure.";
}
