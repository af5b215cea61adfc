//! Files that are whole or absent, and lines that are whole or ignored.

use std::{
    fs::{self, File},
    io::{BufRead, Write as _},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::VerifyError;

/// Longest line: a chunk with all candidates of 10 000 rows of the longest keys stays below it.
const MAX_LINE: u64 = 256 << 20;

pub(super) fn failed(path: &Path) -> impl Fn(std::io::Error) -> VerifyError {
    let path = path.to_owned();
    move |cause| VerifyError::Folder {
        path: path.clone(),
        cause,
    }
}

pub(super) fn damaged(path: &Path, detail: impl Into<String>) -> VerifyError {
    VerifyError::Damaged {
        path: path.to_owned(),
        detail: detail.into(),
    }
}

/// Writes a file so that after any crash it is the old or the new one, completely.
pub(super) fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> Result<(), VerifyError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    let write = || -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(File::create(&temporary)?);
        fill(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder(path)
    };
    write().map_err(failed(path))
}

/// Makes names in the folder of `path` durable.
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Writes a value as a JSON file.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), VerifyError> {
    write_whole(path, |out| {
        serde_json::to_writer_pretty(out, value).map_err(std::io::Error::from)
    })
}

/// Reads a JSON file; `None` when it is not there.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, VerifyError> {
    match fs::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(e) => Err(damaged(path, e.to_string())),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed(path)(e)),
    }
}

/// A line: CRC-32 in 8 digits, a space, JSON.
pub(super) fn line<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let json = serde_json::to_vec(value)?;
    let mut out = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    out.extend_from_slice(&json);
    out.push(b'\n');
    Ok(out)
}

/// What the next line is.
pub(super) enum Line<T> {
    /// A whole line and its length.
    Whole(T, u64),
    /// Anything else: a torn end, or damage.
    Broken,
    /// The end.
    End,
}

/// Reads the next line.
pub(super) fn next_line<T: DeserializeOwned>(reader: &mut impl BufRead) -> std::io::Result<Line<T>> {
    let mut buffer = Vec::new();
    let read = std::io::Read::take(&mut *reader, MAX_LINE).read_until(b'\n', &mut buffer)?;
    if read == 0 {
        return Ok(Line::End);
    }
    let whole = || {
        let body = buffer.strip_suffix(b"\n")?;
        let (crc, json) = body.split_at_checked(9)?;
        let crc = u32::from_str_radix(std::str::from_utf8(crc.strip_suffix(b" ")?).ok()?, 16).ok()?;
        if crc32fast::hash(json) != crc {
            return None;
        }
        serde_json::from_slice(json).ok()
    };
    Ok(match whole() {
        Some(value) => Line::Whole(value, read as u64),
        None => Line::Broken,
    })
}
