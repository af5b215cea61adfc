use std::collections::BTreeMap;
use std::fs;
use std::io;

use crate::{ChangeLogError, LogSeq, Result};

use super::disk::Disk;

const NAME: &str = "consumers.json";

/// Reads the remembered marks. They may be older than what a consumer last said, never newer.
pub(crate) fn load(disk: &Disk) -> Result<BTreeMap<String, LogSeq>> {
    let path = disk.dir().join(NAME);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(ChangeLogError::io(path, error)),
    };
    serde_json::from_slice(&bytes).map_err(|_| ChangeLogError::Corrupt {
        file: path,
        offset: 0,
        seq: LogSeq::NONE,
        reason: "the list of consumers cannot be read",
    })
}

/// Keeps the marks; durable when this returns.
pub(crate) fn save(disk: &Disk, consumers: &BTreeMap<String, LogSeq>) -> Result<()> {
    let io = |error| ChangeLogError::io(disk.dir().join(NAME), error);
    let bytes = serde_json::to_vec_pretty(consumers).map_err(|error| io(error.into()))?;
    disk.replace(NAME, &bytes).map_err(io)
}
