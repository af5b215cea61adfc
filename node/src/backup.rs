//! Backup files of the metadata.

use oms_core::{Failure, codes};
use oms_meta::MetaState;
use oms_proto::meta::BackupFile;
use prost::Message as _;
use ring::digest::{SHA256, digest};

/// First line of a backup file.
const MAGIC: &[u8] = b"omsnode backup\n";
/// Version of the message behind it.
const VERSION: u32 = 1;

/// The metadata as a file: everything but the key that opens passwords.
pub(crate) fn encode(state: &MetaState, cluster_id: &str, applied_index: u64, now_ms: i64) -> Vec<u8> {
    let state = state.snapshot();
    let file = BackupFile {
        version: VERSION,
        cluster_id: cluster_id.to_owned(),
        created_at_ms: now_ms,
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        applied_index,
        state_sha256: digest(&SHA256, &state).as_ref().to_vec(),
        state,
    };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(file.encode_to_vec());
    bytes
}

/// Reads what [`encode`] wrote, whole and unaltered.
///
/// # Errors
/// `OMS-CLUSTER-0050` for anything else.
pub(crate) fn decode(bytes: &[u8]) -> Result<(BackupFile, MetaState), Failure> {
    let invalid = |what: String| Failure::new(codes::cluster::BACKUP_INVALID, what);
    let body = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| invalid("the file does not begin as a backup does".to_owned()))?;
    let file = BackupFile::decode(body).map_err(|e| invalid(format!("it cannot be decoded: {e}")))?;
    if file.version != VERSION {
        return Err(invalid(format!(
            "it has version {}, this binary reads {VERSION}",
            file.version
        )));
    }
    if digest(&SHA256, &file.state).as_ref() != file.state_sha256 {
        return Err(invalid("its checksum does not match".to_owned()));
    }
    let state = MetaState::restore(&file.state).map_err(|e| invalid(e.to_string()))?;
    Ok((file, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_file_is_read_back() {
        let bytes = encode(&MetaState::default(), "c1", 7, 1_000);
        let (file, state) = decode(&bytes).unwrap();
        assert_eq!((file.cluster_id.as_str(), file.applied_index), ("c1", 7));
        assert_eq!(state, MetaState::default());

        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut altered = bytes.clone();
        // The last byte belongs to the checksum.
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(
            decode(&altered).unwrap_err().code(),
            codes::cluster::BACKUP_INVALID
        );
        assert!(decode(b"omsnode backup\n").is_err());
        assert!(decode(b"something else").is_err());
    }
}
