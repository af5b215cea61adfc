use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::LogSeq;

use super::header::segment_name;

/// Every change the log makes to its folder goes through here.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
    #[cfg(test)]
    pub(crate) journal: Option<std::sync::Arc<super::crash_model::Journal>>,
}

impl Disk {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            #[cfg(test)]
            journal: None,
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, first: LogSeq) -> PathBuf {
        self.dir.join(segment_name(first))
    }

    /// Creates a segment with its header: durable, name included, when this returns.
    pub(crate) fn create(&self, first: LogSeq, header: &[u8]) -> io::Result<File> {
        self.replace(&segment_name(first), header)?;
        #[cfg(test)]
        self.note(|| super::crash_model::Op::Create {
            first,
            bytes: header.to_vec(),
        });
        OpenOptions::new().read(true).write(true).open(self.path(first))
    }

    /// Writes a small file so that it is either old or new, never something between.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.dir.join(format!("{name}.tmp"));
        let written = (|| {
            let file = File::create(&temporary)?;
            file.write_all_at(bytes, 0)?;
            file.sync_all()?;
            fs::rename(&temporary, self.dir.join(name))?;
            self.sync_dir()
        })();
        if written.is_err() {
            // Best effort: a left-over is also removed when the log is opened.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    pub(crate) fn write(&self, first: LogSeq, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        let _ = first;
        file.write_all_at(bytes, at)?;
        #[cfg(test)]
        self.note(|| super::crash_model::Op::Write {
            first,
            at,
            bytes: bytes.to_vec(),
        });
        Ok(())
    }

    pub(crate) fn sync(&self, first: LogSeq, file: &File) -> io::Result<()> {
        let _ = first;
        file.sync_data()?;
        #[cfg(test)]
        self.note(|| super::crash_model::Op::Sync { first });
        Ok(())
    }

    /// Cuts a segment; durable when this returns, so that no old frame can come back behind a new one.
    pub(crate) fn truncate(&self, first: LogSeq, file: &File, len: u64) -> io::Result<()> {
        let _ = first;
        file.set_len(len)?;
        file.sync_all()?;
        #[cfg(test)]
        self.note(|| super::crash_model::Op::Truncate { first, len });
        Ok(())
    }

    /// Removes a segment; durable when this returns, so that a crash leaves no hole between segments.
    pub(crate) fn remove(&self, first: LogSeq) -> io::Result<()> {
        match fs::remove_file(self.path(first)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => self.sync_dir()?,
        }
        #[cfg(test)]
        self.note(|| super::crash_model::Op::Remove { first });
        Ok(())
    }

    pub(crate) fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    /// Bytes an ordinary user may still write.
    pub(crate) fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    #[cfg(test)]
    fn note(&self, op: impl FnOnce() -> super::crash_model::Op) {
        if let Some(journal) = &self.journal {
            journal.push(op());
        }
    }
}

/// True for every way a system says that there is no room: the device, the quota, the size limit of a file.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
