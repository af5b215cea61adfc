//! A model of a disk under a power cut: it holds exactly what was synced.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use oms_kv::FileSync;

/// Stands in for `fsync`: at each sync of a file the disk gets the file's content of that moment, at
/// each sync of a folder it forgets the files that were removed. What was never synced is not there.
pub(crate) struct ShadowDisk {
    live: PathBuf,
    disk: Mutex<tempfile::TempDir>,
    failing: AtomicBool,
    database_syncs: AtomicU64,
    delay: Mutex<Duration>,
}

impl ShadowDisk {
    pub(crate) fn of(live: &Path) -> Self {
        Self {
            live: live.to_path_buf(),
            disk: Mutex::new(tempfile::tempdir().unwrap()),
            failing: AtomicBool::new(false),
            database_syncs: AtomicU64::new(0),
            delay: Mutex::new(Duration::ZERO),
        }
    }

    pub(crate) fn copy_of_what_is_on_disk(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(self.disk.lock().unwrap().path(), copy.path());
        copy
    }

    pub(crate) fn fail_from_now_on(&self) {
        self.failing.store(true, Ordering::SeqCst);
    }

    pub(crate) fn database_syncs(&self) -> u64 {
        self.database_syncs.load(Ordering::SeqCst)
    }

    pub(crate) fn make_each_sync_take(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }

    fn enter(&self) -> io::Result<()> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is broken"));
        }
        Ok(())
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

impl FileSync for ShadowDisk {
    fn sync_file(&self, _file: &File, path: &Path) -> io::Result<()> {
        self.enter()?;
        let disk = self.disk.lock().unwrap();
        if path.ends_with("db") {
            self.database_syncs.fetch_add(1, Ordering::SeqCst);
            // The device is busy for this long; writers that arrive now wait for the next sync.
            std::thread::sleep(*self.delay.lock().unwrap());
        }
        let target = disk
            .path()
            .join(path.strip_prefix(&self.live).map_err(io::Error::other)?);
        fs::create_dir_all(target.parent().unwrap())?;
        fs::copy(path, target)?;
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.enter()?;
        let disk = self.disk.lock().unwrap();
        let Ok(inside) = path.strip_prefix(&self.live) else {
            return Ok(());
        };
        let target = disk.path().join(inside);
        fs::create_dir_all(&target)?;
        for entry in fs::read_dir(&target)? {
            let on_disk = entry?.path();
            if on_disk.is_file() && !path.join(on_disk.file_name().unwrap()).exists() {
                fs::remove_file(on_disk)?;
            }
        }
        Ok(())
    }
}
