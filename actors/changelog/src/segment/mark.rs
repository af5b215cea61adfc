use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::LogSeq;

use super::config::LogId;
use super::frame::array;

const NAME: &str = "acknowledged";
const LEN: usize = 28;

/// A note of the last acknowledged record beside the segments: log id, number, checksum.
///
/// It is rewritten in place after each commit without a sync of its own. After a killed process it is
/// exact, after a power cut it may be older; it is never ahead of the log. So it can only prove that
/// acknowledged records are missing, never cause a loss.
#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
    log_id: LogId,
}

impl Mark {
    /// Opens or creates the note; returns what it says, if it is readable and about this log.
    pub(crate) fn open(dir: &Path, log_id: LogId) -> io::Result<(Self, Option<LogSeq>)> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(NAME))?;
        let mut bytes = Vec::with_capacity(LEN);
        Read::by_ref(&mut file).take(LEN as u64).read_to_end(&mut bytes)?;
        let number = (bytes.len() == LEN && bytes.get(..16) == Some(&log_id.0[..]))
            .then(|| array::<8>(&bytes, 16).map(|n| LogSeq(u64::from_le_bytes(n))))
            .flatten()
            .filter(|_| {
                let sum = bytes.get(..24).map(crc32fast::hash);
                sum.is_some() && sum == array::<4>(&bytes, 24).map(u32::from_le_bytes)
            });
        Ok((Self { file, log_id }, number))
    }

    pub(crate) fn set(&self, acknowledged: LogSeq) -> io::Result<()> {
        let mut bytes = [0u8; LEN];
        bytes[..16].copy_from_slice(&self.log_id.0);
        bytes[16..24].copy_from_slice(&acknowledged.0.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..24]);
        bytes[24..].copy_from_slice(&crc.to_le_bytes());
        self.file.write_all_at(&bytes, 0)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
