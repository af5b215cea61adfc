//! Between openraft's types and the stored and sent protobuf messages.

use std::collections::{BTreeMap, BTreeSet};

use oms_proto::raft as pb;
use openraft::{CommittedLeaderId, EntryPayload};
use prost::Message;

use crate::config::NodeInfo;
use crate::types::{Command, Entry, LogId, Membership, SnapshotMeta, StoredMembership, Vote};

/// Why bytes are not the message they should be; never quotes them.
pub(crate) type DecodeError = String;

pub(crate) fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, DecodeError> {
    M::decode(bytes).map_err(|error| error.to_string())
}

pub(crate) fn required<T>(field: Option<T>, name: &str) -> Result<T, DecodeError> {
    field.ok_or_else(|| format!("the field {name} is missing"))
}

pub(crate) fn log_id_to(id: &LogId) -> pb::LogId {
    pb::LogId {
        term: id.leader_id.term,
        leader: id.leader_id.node_id,
        index: id.index,
    }
}

pub(crate) fn log_id_from(id: &pb::LogId) -> LogId {
    LogId::new(CommittedLeaderId::new(id.term, id.leader), id.index)
}

pub(crate) fn vote_to(vote: &Vote) -> pb::Ballot {
    pb::Ballot {
        term: vote.leader_id.term,
        node: vote.leader_id.node_id,
        committed: vote.committed,
    }
}

pub(crate) fn vote_from(ballot: &pb::Ballot) -> Vote {
    if ballot.committed {
        Vote::new_committed(ballot.term, ballot.node)
    } else {
        Vote::new(ballot.term, ballot.node)
    }
}

pub(crate) fn member_to(id: u64, node: &NodeInfo) -> pb::Member {
    pb::Member {
        id,
        address: node.address.clone(),
        region: node.region.clone(),
        zone: node.zone.clone(),
    }
}

pub(crate) fn member_from(member: pb::Member) -> (u64, NodeInfo) {
    (
        member.id,
        NodeInfo {
            address: member.address,
            region: member.region,
            zone: member.zone,
        },
    )
}

pub(crate) fn membership_to(membership: &Membership) -> pb::Membership {
    pb::Membership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|voters| pb::VoterSet {
                voters: voters.iter().copied().collect(),
            })
            .collect(),
        members: membership
            .nodes()
            .map(|(id, node)| member_to(*id, node))
            .collect(),
    }
}

pub(crate) fn membership_from(membership: pb::Membership) -> Result<Membership, DecodeError> {
    let nodes: BTreeMap<u64, NodeInfo> = membership.members.into_iter().map(member_from).collect();
    let configs: Vec<BTreeSet<u64>> = membership
        .configs
        .into_iter()
        .map(|config| config.voters.into_iter().collect())
        .collect();
    if let Some(unknown) = configs.iter().flatten().find(|voter| !nodes.contains_key(voter)) {
        return Err(format!("voter {unknown} is not among the members"));
    }
    Ok(Membership::new(configs, nodes))
}

pub(crate) fn stored_membership_to(stored: &StoredMembership) -> pb::StoredMembership {
    pb::StoredMembership {
        log_id: stored.log_id().as_ref().map(log_id_to),
        membership: Some(membership_to(stored.membership())),
    }
}

pub(crate) fn stored_membership_from(stored: pb::StoredMembership) -> Result<StoredMembership, DecodeError> {
    let membership = membership_from(required(stored.membership, "membership")?)?;
    Ok(StoredMembership::new(
        stored.log_id.as_ref().map(log_id_from),
        membership,
    ))
}

pub(crate) fn entry_to(entry: &Entry) -> pb::LogEntry {
    let payload = match &entry.payload {
        EntryPayload::Blank => pb::log_entry::Payload::Blank(pb::Blank {}),
        EntryPayload::Normal(command) => pb::log_entry::Payload::Command(command.0.clone().into()),
        EntryPayload::Membership(membership) => pb::log_entry::Payload::Membership(membership_to(membership)),
    };
    pb::LogEntry {
        log_id: Some(log_id_to(&entry.log_id)),
        payload: Some(payload),
    }
}

pub(crate) fn entry_from(entry: pb::LogEntry) -> Result<Entry, DecodeError> {
    let payload = match required(entry.payload, "payload")? {
        pb::log_entry::Payload::Blank(_) => EntryPayload::Blank,
        pb::log_entry::Payload::Command(command) => EntryPayload::Normal(Command(command.into())),
        pb::log_entry::Payload::Membership(membership) => {
            EntryPayload::Membership(membership_from(membership)?)
        }
    };
    Ok(Entry {
        log_id: log_id_from(&required(entry.log_id, "log_id")?),
        payload,
    })
}

pub(crate) fn snapshot_meta_to(meta: &SnapshotMeta) -> pb::SnapshotMeta {
    pb::SnapshotMeta {
        last: meta.last_log_id.as_ref().map(log_id_to),
        membership: Some(stored_membership_to(&meta.last_membership)),
        id: meta.snapshot_id.clone(),
    }
}

pub(crate) fn snapshot_meta_from(meta: pb::SnapshotMeta) -> Result<SnapshotMeta, DecodeError> {
    Ok(SnapshotMeta {
        last_log_id: meta.last.as_ref().map(log_id_from),
        last_membership: stored_membership_from(required(meta.membership, "membership")?)?,
        snapshot_id: meta.id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_id(index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(3, 7), index)
    }

    fn membership() -> Membership {
        let node = |name: &str| NodeInfo {
            address: format!("{name}:1"),
            region: "r".to_owned(),
            zone: "z".to_owned(),
        };
        let nodes = BTreeMap::from([(1, node("a")), (2, node("b")), (3, node("c"))]);
        Membership::new(vec![BTreeSet::from([1, 2]), BTreeSet::from([2])], nodes)
    }

    /// Bytes as released; entries written once must be readable for ever.
    #[test]
    fn stored_entries_keep_their_bytes() {
        let entries = [
            (EntryPayload::Blank, "1200"),
            (EntryPayload::Normal(Command(b"abc".to_vec())), "1a03616263"),
            (
                EntryPayload::Membership(membership()),
                "22380a040a0201020a030a0102120d08011203613a311a017222017a120d08021203623a311a017222017a120d08031203633a311a017222017a",
            ),
        ];
        for (payload, rest) in entries {
            let entry = Entry {
                log_id: log_id(300),
                payload,
            };
            let bytes = entry_to(&entry).encode_to_vec();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, format!("0a070803100718ac02{rest}"));
            assert_eq!(entry_from(decode(&bytes).unwrap()).unwrap(), entry);
        }
    }

    #[test]
    fn incomplete_messages_are_errors() {
        assert!(entry_from(pb::LogEntry::default()).is_err());
        assert!(
            entry_from(pb::LogEntry {
                log_id: None,
                ..entry_to(&Entry {
                    log_id: log_id(1),
                    payload: EntryPayload::Blank
                })
            })
            .is_err()
        );
        assert!(stored_membership_from(pb::StoredMembership::default()).is_err());
        let unknown_voter = pb::Membership {
            configs: vec![pb::VoterSet { voters: vec![9] }],
            members: vec![],
        };
        assert!(membership_from(unknown_voter).unwrap_err().contains("voter 9"));
        assert!(decode::<pb::LogEntry>(&[0xff]).is_err());
    }
}
