//! The engine of a node's data folder.

mod durable;
mod files;
mod record;
mod witness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use crate::batch::WriteBatch;
use crate::engine::{Durability, KvEngine, Order, Record, ScanLimit};
use crate::error::{KvError, KvResult};
use crate::header::DataHeader;
use crate::space::{KeyRange, SpaceId, prefixed};
use durable::GroupSync;
use files::DataFiles;
pub use files::{FileSync, OsFileSync};
use record::{HEADER_KEY, STATE_KEY, StoredState};
use witness::Witness;

/// How to open a [`SledEngine`].
#[derive(Clone)]
pub struct SledOptions {
    /// Memory for sled's page cache, in bytes.
    pub cache_bytes: u64,
    /// How long to wait for another holder of the folder to let go.
    pub lock_wait: Duration,
    /// How files reach the disk; anything but [`OsFileSync`] is for tests.
    pub sync: Arc<dyn FileSync>,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            lock_wait: Duration::from_secs(3),
            sync: Arc::new(OsFileSync),
        }
    }
}

/// [`KvEngine`] over a sled database in one folder.
///
/// sled's own `flush` ends in `sync_file_range` on Linux, which neither writes file metadata nor
/// flushes the disk's cache. A durable write here therefore flushes sled and then syncs sled's files
/// itself; writers that arrive while a sync is running share the next one.
///
/// sled recovers from a torn file by silently going back to the last state it can read. To notice
/// this, every batch also writes a running number, a record count and a digest over all records, and a
/// small witness file notes the highest number that was ever acknowledged as durable. Opening reads
/// every record once and compares; anything missing or altered is [`KvError::Damaged`].
pub struct SledEngine {
    db: sled::Db,
    state: RwLock<Shared>,
    group: GroupSync,
    files: DataFiles,
    witness: Witness,
    path: PathBuf,
}

struct Shared {
    stored: StoredState,
    failed: Option<String>,
}

impl SledEngine {
    /// Opens the folder, creating it when it does not exist or holds nothing acknowledged.
    ///
    /// # Errors
    /// [`KvError::Locked`], [`KvError::Damaged`], [`KvError::UnknownFormat`] or [`KvError::Io`].
    pub fn open(path: impl AsRef<Path>) -> KvResult<Self> {
        Self::open_with(path, &SledOptions::default())
    }

    /// Like [`SledEngine::open`], with options.
    pub fn open_with(path: impl AsRef<Path>, options: &SledOptions) -> KvResult<Self> {
        let path = path.as_ref().to_path_buf();
        files::create_folder(&path, options.sync.as_ref())?;
        // sled creates what is missing, so what must have been there is looked at first.
        let witness = Witness::read(&path)?;
        let db = open_sled(&path, options)?;
        match Self::start(&db, path, options, witness) {
            Ok((stored, files, witness, path)) => Ok(Self {
                db,
                state: RwLock::new(Shared { stored, failed: None }),
                group: GroupSync::new(stored.sequence),
                files,
                witness,
                path,
            }),
            Err(error) => {
                // Closing a damaged database may panic as well; the error found first is the one to tell.
                let _ = catch_unwind(AssertUnwindSafe(move || drop(db)));
                Err(error)
            }
        }
    }

    fn start(
        db: &sled::Db,
        path: PathBuf,
        options: &SledOptions,
        acknowledged: Option<u64>,
    ) -> KvResult<(StoredState, DataFiles, Witness, PathBuf)> {
        let damaged = |detail: String| KvError::Damaged {
            path: path.clone(),
            detail,
        };
        let header = guarded(&path, "read the header", || db.get(HEADER_KEY))?;
        let stored = match (header, acknowledged) {
            (None, None) => {
                if guarded(&path, "look for records", || Ok(!db.is_empty()))? {
                    return Err(damaged("there are records but no header".to_owned()));
                }
                let mut batch = sled::Batch::default();
                batch.insert(HEADER_KEY, DataHeader::CURRENT.to_bytes());
                batch.insert(STATE_KEY, StoredState::default().to_bytes());
                guarded(&path, "write the header", || db.apply_batch(batch))?;
                StoredState::default()
            }
            (None, Some(_)) => {
                return Err(damaged(
                    "the header is gone although the folder was in use before".to_owned(),
                ));
            }
            (Some(bytes), acknowledged) => {
                let header = DataHeader::from_bytes(&bytes)
                    .ok_or_else(|| damaged("the header does not decode".to_owned()))?;
                if header != DataHeader::CURRENT {
                    return Err(KvError::UnknownFormat {
                        path: path.clone(),
                        found: header.format,
                        supported: DataHeader::CURRENT.format,
                    });
                }
                let stored = record::verify(db, &path)?;
                let acknowledged = acknowledged.unwrap_or(0);
                if stored.sequence < acknowledged {
                    return Err(damaged(format!(
                        "the last stored batch is number {}, but number {acknowledged} was acknowledged: the end of \
                         the file is missing",
                        stored.sequence
                    )));
                }
                stored
            }
        };
        guarded(&path, "flush", || db.flush())?;
        let files = DataFiles::open(&path, Arc::clone(&options.sync))?;
        // Only after the header is durable may the witness exist: a witness without a header is damage.
        files.sync_changed()?;
        let witness = Witness::create(&path, stored.sequence)?;
        files.sync_everything()?;
        Ok((stored, files, witness, path))
    }

    fn read_lock(&self) -> KvResult<RwLockReadGuard<'_, Shared>> {
        self.state.read().map_err(|_| KvError::Stopped {
            cause: "a writer panicked".to_owned(),
        })
    }

    /// Flushes sled, syncs its files and notes the acknowledged number; returns that number.
    fn harden(&self) -> KvResult<u64> {
        let sequence = {
            let shared = self.read_lock()?;
            if let Some(cause) = &shared.failed {
                return Err(KvError::Stopped { cause: cause.clone() });
            }
            shared.stored.sequence
        };
        guarded(&self.path, "flush", || self.db.flush())
            .and_then(|_| self.files.sync_changed())
            .and_then(|()| self.witness.note(sequence))
            .inspect_err(|error| self.fail(error))?;
        Ok(sequence)
    }

    fn fail(&self, error: &KvError) {
        let mut shared = self.state.write().unwrap_or_else(PoisonError::into_inner);
        shared.failed.get_or_insert_with(|| error.to_string());
    }

    fn keys_in(&self, space: SpaceId, range: &KeyRange) -> KvResult<Vec<Vec<u8>>> {
        guarded(&self.path, "scan", || {
            self.db
                .range(range.in_space(space))
                .keys()
                .map(|key| key.map(|key| key.to_vec()))
                .collect()
        })
    }

    fn apply(&self, shared: &mut Shared, batch: &WriteBatch) -> KvResult<()> {
        if let Some(cause) = &shared.failed {
            return Err(KvError::Stopped { cause: cause.clone() });
        }
        let net = batch.net_effect(|space, range| self.keys_in(space, range))?;
        let mut next = shared.stored;
        next.sequence += 1;
        let mut writes = sled::Batch::default();
        for (index, (key, value)) in net.into_iter().enumerate() {
            let old = guarded(&self.path, "read", || self.db.get(&key))?;
            if let Some(old) = old {
                let (old_value, parts) = record::load(&self.db, &self.path, &key, &old)?;
                next.forget(&key, &old_value);
                for part in parts {
                    writes.remove(part);
                }
                if value.is_none() {
                    writes.remove(key.as_slice());
                }
            }
            if let Some(value) = value {
                next.remember(&key, value);
                record::store(&mut writes, &key, value, next.sequence, index);
            }
        }
        writes.insert(STATE_KEY, next.to_bytes());
        guarded(&self.path, "write", || self.db.apply_batch(writes))?;
        shared.stored = next;
        Ok(())
    }
}

impl KvEngine for SledEngine {
    fn get(&self, space: SpaceId, key: &[u8]) -> KvResult<Option<Vec<u8>>> {
        let _shared = self.read_lock()?;
        let key = prefixed(space, key);
        match guarded(&self.path, "read", || self.db.get(&key))? {
            Some(stored) => Ok(Some(record::load(&self.db, &self.path, &key, &stored)?.0)),
            None => Ok(None),
        }
    }

    fn scan(
        &self,
        space: SpaceId,
        range: &KeyRange,
        order: Order,
        limit: ScanLimit,
    ) -> KvResult<Vec<Record>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let _shared = self.read_lock()?;
        let mut found = self.db.range(range.in_space(space));
        let mut out = Vec::new();
        let mut bytes = 0usize;
        while out.len() < limit.records && (bytes < limit.bytes || out.is_empty()) {
            let next = guarded(&self.path, "scan", || {
                match order {
                    Order::Ascending => found.next(),
                    Order::Descending => found.next_back(),
                }
                .transpose()
            })?;
            let Some((key, stored)) = next else { break };
            let (value, _) = record::load(&self.db, &self.path, &key, &stored)?;
            bytes = bytes.saturating_add(key.len() + value.len());
            out.push((key.get(1..).unwrap_or_default().to_vec(), value));
        }
        Ok(out)
    }

    fn write(&self, batch: &WriteBatch, durability: Durability) -> KvResult<()> {
        batch.check()?;
        let sequence = {
            let mut shared = self.state.write().map_err(|_| KvError::Stopped {
                cause: "a writer panicked".to_owned(),
            })?;
            if let Err(error) = self.apply(&mut shared, batch) {
                shared.failed.get_or_insert_with(|| error.to_string());
                return Err(error);
            }
            shared.stored.sequence
        };
        match durability {
            Durability::Durable => self.group.wait_for(sequence, || self.harden()),
            Durability::Buffered => Ok(()),
        }
    }

    fn sync(&self) -> KvResult<()> {
        let sequence = self.read_lock()?.stored.sequence;
        self.group.wait_for(sequence, || self.harden())
    }

    fn header(&self) -> DataHeader {
        DataHeader::CURRENT
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        // A clean stop loses nothing, not even what was only buffered. A failure here is one the next
        // open finds, so it is only logged by sled itself.
        let _ = self.sync();
    }
}

/// Runs a call into sled; its panics on inconsistent files become errors.
pub(crate) fn guarded<T>(
    path: &Path,
    action: &'static str,
    call: impl FnOnce() -> sled::Result<T>,
) -> KvResult<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(source))) if source.to_string().contains("could not acquire lock") => {
            Err(KvError::Locked {
                path: path.to_path_buf(),
            })
        }
        // sled reports a file shorter than its own bookkeeping says as an ordinary end of file.
        Ok(Err(sled::Error::Io(source))) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            Err(KvError::Io {
                action,
                path: path.to_path_buf(),
                source,
            })
        }
        Ok(Err(error)) => Err(KvError::Damaged {
            path: path.to_path_buf(),
            detail: format!("cannot {action}: {error}"),
        }),
        Err(panic) => {
            let what = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            let what: String = what.chars().take(200).collect();
            Err(KvError::Damaged {
                path: path.to_path_buf(),
                detail: format!("cannot {action}: the storage library stopped at an inconsistency ({what})"),
            })
        }
    }
}

/// Opens the database; once more without its snapshot files when those cannot be read.
///
/// sled leaves an empty snapshot behind when the disk is full, and then refuses to open. What counts is the log: without a
/// snapshot sled reads all of it. sled locks its file before it reads, so after a refusal nobody else is at work here.
fn open_sled(path: &Path, options: &SledOptions) -> KvResult<sled::Db> {
    match try_open_sled(path, options) {
        Err(KvError::Damaged { .. }) if files::remove_unreadable_snapshots(path)? => {
            try_open_sled(path, options)
        }
        other => other,
    }
}

fn try_open_sled(path: &Path, options: &SledOptions) -> KvResult<sled::Db> {
    let deadline = Instant::now() + options.lock_wait;
    loop {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(options.cache_bytes)
            .flush_every_ms(None)
            .mode(sled::Mode::HighThroughput);
        match guarded(path, "open", || config.open()) {
            // The previous owner's process may still be on its way out.
            Err(KvError::Locked { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}
