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
    TOKEN_UNKNOWN = "OMS-CLUSTER-0013", StopAndAsk, "the join token is not known",
        "The token was mistyped, revoked, made by another cluster, or expired more than a day ago.",
        "Make a new one on a node of the cluster with `omsnode token create`.";
    TOKEN_EXPIRED = "OMS-CLUSTER-0014", StopAndAsk, "the join token has expired",
        "A token is valid for a limited time, by the leader's clock.",
        "Make a new one with `omsnode token create`; `--valid` makes it last longer.";
    TOKEN_USED = "OMS-CLUSTER-0015", StopAndAsk, "the join token was used up",
        "Each token lets a limited number of nodes in, one unless it says otherwise.",
        "Make a new one for each node with `omsnode token create`.";
    DUPLICATE_ADDRESS = "OMS-CLUSTER-0016", StopAndAsk, "another node has this address",
        "A node that was not removed is registered with the address under which this one wants to be reached.",
        "Correct the node's `advertise` address, or remove the other node (`omsnode node remove`) if it is gone.";
    NODE_REMOVED = "OMS-CLUSTER-0017", StopAndAsk, "the node was removed from the cluster",
        "Somebody removed this node for good; its id is never used again.",
        "Start it with an empty data folder and let it join with a new token.";
    COMPONENT_FROZEN = "OMS-CLUSTER-0018", StopAndAsk, "the component is frozen",
        "Somebody froze it to its node, and the message says why.",
        "Unfreeze it with `omsnode component unfreeze`, or leave it where it is.";
    NO_SUITABLE_NODE = "OMS-CLUSTER-0019", StopAndAsk, "no node can take the component",
        "All nodes are down, cordoned, drained, witnesses, full by their quota, or could not run it.",
        "The message says why for each node: start or uncordon one, raise its quota, or let another node join.";
    FEATURE_LEVEL = "OMS-CLUSTER-0020", StopAndAsk, "a node of the cluster is too old for this",
        "The change needs a version that not all nodes of the cluster run yet.",
        "Upgrade the nodes that `omsnode node list` shows with an older version, or remove those that are gone.";
    TOO_MANY_TOKENS = "OMS-CLUSTER-0021", StopAndAsk, "there are too many join tokens",
        "The cluster keeps a bounded number of tokens that are not expired.",
        "Revoke those that nobody needs: `omsnode token list`, `omsnode token revoke`.";
    VERSION_MISMATCH = "OMS-CLUSTER-0030", StopAndAsk, "this version of omsnode cannot join the cluster",
        "The new node's version is too far from those of the cluster's nodes: it lacks what they all can do, or is more than one step ahead.",
        "Install the version that `omsnode node list` shows for the cluster's nodes.";
    FOLDER_NOT_EMPTY = "OMS-CLUSTER-0031", StopAndAsk, "the data folder is not empty",
        "A node joins with an empty data folder; something else lies in this one.",
        "Choose another `--data-dir`, or move away what lies there.";
    SEED_UNREACHABLE = "OMS-CLUSTER-0032", Retry, "no node of the cluster answers",
        "None of the named addresses could be reached, or none of their nodes could reach a leader.",
        "Check the addresses, that the nodes run, and that the network lets this machine through; then join again.";
    SUPERSEDED = "OMS-CLUSTER-0033", StopAndAsk, "another process runs as this node",
        "A copy of the data folder was started elsewhere, and registered later than this process.",
        "Stop one of them for good; a second node needs an empty data folder and a token.";
    BACKUP_INVALID = "OMS-CLUSTER-0050", StopAndAsk, "the backup file cannot be used",
        "The file is cut, altered, of another version, or not a backup of the metadata; or the key has the wrong length.",
        "Use a whole file that `omsnode admin backup` wrote, and the file `secret.key` of a node of that cluster.";
    RECOVERY_IMPOSSIBLE = "OMS-CLUSTER-0051", StopAndAsk, "the folder holds nothing to recover",
        "The data folder is not that of a node that was in a cluster, or its metadata is missing.",
        "Name the data folder of a node of the lost cluster with `--data-dir`.";
}
