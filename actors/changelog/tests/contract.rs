//! The one contract suite, on both implementations.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use oms_changelog::testing::{Subject, position};
use oms_changelog::{ChangeLog, LogConfig, LogId, LogOrigin, MemoryLog, SegmentLog};

struct Memory;

#[async_trait]
impl Subject for Memory {
    async fn fresh(&self) -> Arc<dyn ChangeLog> {
        Arc::new(MemoryLog::new(&position(0), 16 << 20).unwrap())
    }
}

/// Small segments and buffers, so that every case crosses their borders.
#[derive(Default)]
struct Segments {
    folders: Mutex<Vec<tempfile::TempDir>>,
}

#[async_trait]
impl Subject for Segments {
    async fn fresh(&self) -> Arc<dyn ChangeLog> {
        let folder = tempfile::tempdir().unwrap();
        let config = LogConfig {
            segment_bytes: 12_000,
            write_buffer: 5_000,
            read_ahead: 3_000,
            reserve_bytes: 1 << 20,
            ..LogConfig::new(folder.path().join("a/b"))
        };
        let origin = LogOrigin {
            log_id: LogId([7; 16]),
            start_position: position(0),
        };
        let (log, recovery) = SegmentLog::open(config, origin).await.unwrap();
        assert!(recovery.created);
        self.folders.lock().unwrap().push(folder);
        Arc::new(log)
    }
}

oms_changelog::change_log_contract!(memory, Memory);
oms_changelog::change_log_contract!(segments, Segments::default());
