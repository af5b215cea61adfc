//! sled's files, and how they reach the disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{KvError, KvResult};

/// How files and folders are made durable. Production uses [`OsFileSync`]; a test puts its own in the
/// same place to count, to fail, or to keep what a disk would hold after a power cut.
pub trait FileSync: Send + Sync + 'static {
    /// Returns once the content, the size and everything needed to find them survive loss of power.
    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()>;
    /// Returns once the names in a folder survive loss of power.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// `fsync(2)`.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsFileSync;

impl FileSync for OsFileSync {
    fn sync_file(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KvError {
    let path = path.to_path_buf();
    move |source| KvError::Io { action, path, source }
}

/// Creates the folder and makes its name durable.
pub(super) fn create_folder(path: &Path, sync: &dyn FileSync) -> KvResult<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(failed("create", path))?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            sync.sync_dir(parent).map_err(failed("sync", parent))
        }
        _ => Ok(()),
    }
}

/// The files of one folder.
pub(super) struct DataFiles {
    folder: PathBuf,
    blobs: PathBuf,
    database: PathBuf,
    open_database: File,
    sync: Arc<dyn FileSync>,
}

/// Removes sled's snapshot files that are unfinished or fail their check; true if there were any.
pub(super) fn remove_unreadable_snapshots(folder: &Path) -> KvResult<bool> {
    let mut removed = false;
    for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
        let path = entry.map_err(failed("list", folder))?.path();
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        if !name.starts_with("snap.") {
            continue;
        }
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        if name.ends_with(".generating") || !is_readable_snapshot(&bytes) {
            fs::remove_file(&path).map_err(failed("remove", &path))?;
            removed = true;
        }
    }
    Ok(removed)
}

/// A snapshot ends with its length before compression (8 bytes) and the CRC-32 of what is before both
/// (sled 0.34, `pagecache/snapshot.rs`).
fn is_readable_snapshot(bytes: &[u8]) -> bool {
    let Some((rest, crc)) = bytes.split_last_chunk::<4>() else {
        return false;
    };
    match rest.split_last_chunk::<8>() {
        Some((content, _)) if !content.is_empty() => crc32fast::hash(content) == u32::from_le_bytes(*crc),
        _ => false,
    }
}

impl DataFiles {
    /// Opens the database file a second time, only to sync it: syncing any handle of a file writes out
    /// everything written through every other one.
    pub(super) fn open(folder: &Path, sync: Arc<dyn FileSync>) -> KvResult<Self> {
        let database = folder.join("db");
        let open_database = File::open(&database).map_err(failed("open", &database))?;
        Ok(Self {
            blobs: folder.join("blobs"),
            folder: folder.to_path_buf(),
            database,
            open_database,
            sync,
        })
    }

    /// Syncs every file and folder: after opening, when anything may be new.
    pub(super) fn sync_everything(&self) -> KvResult<()> {
        self.sync_files_of(&self.folder)?;
        self.sync_changed()
    }

    /// Syncs what a flush of sled may have changed: the database file, blob files (sled moves oversized
    /// pages there), and the names.
    pub(super) fn sync_changed(&self) -> KvResult<()> {
        self.sync
            .sync_file(&self.open_database, &self.database)
            .map_err(failed("sync", &self.database))?;
        if self.blobs.is_dir() && self.sync_files_of(&self.blobs)? > 0 {
            self.sync
                .sync_dir(&self.blobs)
                .map_err(failed("sync", &self.blobs))?;
        }
        self.sync
            .sync_dir(&self.folder)
            .map_err(failed("sync", &self.folder))
    }

    fn sync_files_of(&self, folder: &Path) -> KvResult<usize> {
        let mut count = 0;
        for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
            let path = entry.map_err(failed("list", folder))?.path();
            if !path.is_file() {
                continue;
            }
            match File::open(&path) {
                Ok(file) => self.sync.sync_file(&file, &path).map_err(failed("sync", &path))?,
                // sled removes files it no longer needs at any time.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("open", &path)(error)),
            }
            count += 1;
        }
        Ok(count)
    }
}
