//! The witness file: the highest batch number ever acknowledged as durable.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{KvError, KvResult};

const NAME: &str = "acknowledged";
const MAGIC: &[u8; 8] = b"omsack\0\x01";
const LENGTH: usize = 20;

/// Written in place after each sync and not synced itself: it costs no disk wait, and a power cut can
/// only leave it too low, which weakens the check of the next open and never makes it wrong.
pub(super) struct Witness {
    file: File,
    path: PathBuf,
}

impl Witness {
    /// The noted number; `None` when the folder has no witness yet.
    pub(super) fn read(folder: &Path) -> KvResult<Option<u64>> {
        let path = folder.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(KvError::Io {
                    action: "read",
                    path,
                    source,
                });
            }
        };
        // Created and never written: the machine stopped between the two, so nothing was acknowledged.
        if bytes.is_empty() || bytes == [0; LENGTH] {
            return Ok(None);
        }
        decode(&bytes).map(Some).ok_or_else(|| KvError::Damaged {
            path: folder.to_path_buf(),
            detail: format!("the file \"{NAME}\" does not decode"),
        })
    }

    /// Opens the witness for writing and sets it to `sequence`; the caller syncs the folder's files.
    pub(super) fn create(folder: &Path, sequence: u64) -> KvResult<Self> {
        let path = folder.join(NAME);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| KvError::Io {
                action: "create",
                path: path.clone(),
                source,
            })?;
        let witness = Self { file, path };
        witness.note(sequence)?;
        Ok(witness)
    }

    /// Notes that everything up to `sequence` is durable. Calls come one at a time.
    pub(super) fn note(&self, sequence: u64) -> KvResult<()> {
        self.file
            .write_all_at(&encode(sequence), 0)
            .map_err(|source| KvError::Io {
                action: "write",
                path: self.path.clone(),
                source,
            })
    }
}

fn encode(sequence: u64) -> [u8; LENGTH] {
    let mut out = [0; LENGTH];
    out[..8].copy_from_slice(MAGIC);
    out[8..16].copy_from_slice(&sequence.to_be_bytes());
    let crc = crc32fast::hash(&out[..16]);
    out[16..].copy_from_slice(&crc.to_be_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
    let sequence = u64::from_be_bytes(bytes[8..16].try_into().ok()?);
    (*bytes == encode(sequence)).then_some(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_or_a_cut_is_noticed() {
        let good = encode(0x0102_0304_0506_0708);
        assert_eq!(decode(&good), Some(0x0102_0304_0506_0708));
        for bit in 0..LENGTH * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad), None, "bit {bit}");
        }
        assert_eq!(decode(&good[..19]), None);
    }
}
