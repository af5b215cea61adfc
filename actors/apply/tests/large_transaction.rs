//! A transaction of two million rows: whole, and in bounded memory.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use oms_apply::{EventFeed, EventSource, SyncConfig, SyncEnd, SyncPlan, Synchronizer};
use oms_core::{
    AppliedSet, Applier, ApplyCheckpoint, BinlogPosition, ChunkReceipt, ChunkWriter, Claim, ClaimNumber,
    Column, ColumnType, Failure, GtidState, Key, KeyPart, LaneId, LaneState, LogEvent, Position, Row,
    RowBuilder, RowChange, RowOp, TableName, TablePair, TableSchema, Value, Watermark,
};
use tokio_util::sync::CancellationToken;

const ROWS: usize = 2_000_000;

/// Bytes of rows that exist, counted by the rows themselves.
#[derive(Debug, Default)]
struct Alive {
    now: AtomicUsize,
    peak: AtomicUsize,
}

struct Counted {
    bytes: Bytes,
    alive: Arc<Alive>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.now.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

impl Alive {
    fn row(self: &Arc<Self>, id: usize) -> Row {
        let row = RowBuilder::build([Value::Int(id as i64), Value::Bytes(&[7; 80])].into_iter()).unwrap();
        let bytes = row.as_bytes().clone();
        let now = self.now.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        self.peak.fetch_max(now, Ordering::Relaxed);
        let counted = Counted {
            bytes,
            alive: self.clone(),
        };
        Row::from_bytes(Bytes::from_owner(counted)).unwrap()
    }
}

fn position(offset: u64) -> Position {
    Position::Binlog(BinlogPosition {
        server: "s".into(),
        file: "b.000001".into(),
        offset,
        gtid: GtidState::None,
    })
}

#[derive(Clone)]
struct Generator {
    alive: Arc<Alive>,
    opened: Arc<AtomicUsize>,
    end: fn() -> LogEvent,
}

struct Feed {
    generator: Generator,
    next: usize,
}

fn committed() -> LogEvent {
    LogEvent::Commit {
        position: position(1),
        source_time_us: 0,
    }
}

#[async_trait]
impl EventSource for Generator {
    async fn open(&self, _from: &Position) -> Result<Box<dyn EventFeed>, Failure> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Feed {
            generator: self.clone(),
            next: 0,
        }))
    }
}

#[async_trait]
impl EventFeed for Feed {
    async fn next(&mut self, max_bytes: usize) -> Result<Option<Vec<LogEvent>>, Failure> {
        let mut events = Vec::new();
        let mut bytes = 0;
        if self.next == 0 {
            events.push(LogEvent::Begin { id: None });
        }
        while self.next < ROWS && bytes < max_bytes {
            let row = self.generator.alive.row(self.next);
            bytes += row.size();
            self.next += 1;
            events.push(LogEvent::Row(RowChange {
                table: 0,
                before: None,
                after: Some(row),
            }));
        }
        if events.is_empty() {
            if self.next > ROWS {
                return Ok(None);
            }
            self.next += 1;
            events.push((self.generator.end)());
        }
        Ok(Some(events))
    }
}

/// Counts what is written.
#[derive(Debug, Default)]
struct Counting {
    with_rows: AtomicUsize,
    written: AtomicUsize,
    committed: AtomicUsize,
    rolled_back: AtomicUsize,
}

#[derive(Debug)]
struct CountingClaim(Arc<Counting>);

struct CountingApplier {
    counting: Arc<Counting>,
    open: usize,
}

#[async_trait]
impl Claim for CountingClaim {
    fn number(&self) -> ClaimNumber {
        ClaimNumber(1)
    }
    async fn checkpoint(&self) -> Result<Option<ApplyCheckpoint>, Failure> {
        Ok(None)
    }
    async fn initialize(&self, _state: &LaneState) -> Result<(), Failure> {
        Ok(())
    }
    async fn applier(&self, _lane: LaneId) -> Result<Box<dyn Applier>, Failure> {
        Ok(Box::new(CountingApplier {
            counting: self.0.clone(),
            open: 0,
        }))
    }
    async fn chunk_writer(&self) -> Result<Box<dyn ChunkWriter>, Failure> {
        unreachable!()
    }
    async fn receipts(&self, _table: &TableName) -> Result<Vec<ChunkReceipt>, Failure> {
        unreachable!()
    }
    async fn clear_table(&self, _table: u32) -> Result<(), Failure> {
        unreachable!()
    }
}

#[async_trait]
impl Applier for CountingApplier {
    async fn begin(&mut self) -> Result<(), Failure> {
        Ok(())
    }
    async fn write(&mut self, ops: &[RowOp]) -> Result<(), Failure> {
        // Slower than the feed, so that queues fill.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.open += ops.len();
        self.counting.written.fetch_add(ops.len(), Ordering::Relaxed);
        Ok(())
    }
    async fn commit(&mut self, _state: &LaneState) -> Result<(), Failure> {
        if self.open > 0 {
            self.counting.with_rows.fetch_add(1, Ordering::Relaxed);
        }
        self.counting
            .committed
            .fetch_add(std::mem::take(&mut self.open), Ordering::Relaxed);
        Ok(())
    }
    async fn rollback(&mut self) -> Result<(), Failure> {
        self.counting
            .rolled_back
            .fetch_add(std::mem::take(&mut self.open), Ordering::Relaxed);
        Ok(())
    }
}

fn table() -> Arc<TableSchema> {
    let column = |name: &str, ty| Column {
        name: name.into(),
        ty,
        nullable: false,
        generated: None,
        invisible: false,
    };
    let integer = ColumnType::Integer {
        bytes: 8,
        unsigned: false,
    };
    Arc::new(TableSchema {
        name: TableName::new("d", "t"),
        engine: "InnoDB".into(),
        columns: vec![
            column("id", integer),
            column("v", ColumnType::VarBinary { length: 100 }),
        ],
        keys: vec![Key {
            name: "PRIMARY".into(),
            primary: true,
            parts: vec![KeyPart {
                column: Some(0),
                prefix: None,
            }],
        }],
        estimated_rows: 0,
        estimated_bytes: 0,
    })
}

struct Outcome {
    counting: Arc<Counting>,
    peak: usize,
    opened: usize,
}

fn run(end: fn() -> LogEvent, stop_at: Option<Position>, large_rows: usize) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let generator = Generator {
        alive: Arc::default(),
        opened: Arc::default(),
        end,
    };
    let counting = Arc::<Counting>::default();
    let plan = SyncPlan {
        tables: Arc::new(vec![TablePair::by_name(table(), table()).unwrap()]),
        foreign_keys: Vec::new(),
        skip_until: BTreeMap::new(),
        safe_until: None,
        always_safe: Default::default(),
        stop_at,
    };
    let checkpoint = ApplyCheckpoint {
        watermark: Watermark {
            applied: 0,
            position: position(0),
        },
        above: AppliedSet::default(),
    };
    let claim = CountingClaim(counting.clone());
    let config = SyncConfig {
        large_rows,
        ..SyncConfig::default()
    };
    let engine = Synchronizer::new(plan, config);
    let ended = runtime
        .block_on(engine.run(&claim, &generator, checkpoint, &CancellationToken::new()))
        .unwrap();
    assert!(!matches!(ended, SyncEnd::Cancelled));
    assert_eq!(generator.alive.now.load(Ordering::Relaxed), 0, "rows are kept");
    let peak = generator.alive.peak.load(Ordering::Relaxed);
    // The engine's own account agrees: it counts the same rows and a constant for each.
    assert!(engine.progress().borrow().peak_bytes >= peak / 2);
    assert_eq!(engine.progress().borrow().bytes_in_memory, 0);
    Outcome {
        counting,
        peak,
        opened: generator.opened.load(Ordering::Relaxed),
    }
}

const BOUND: usize = 22 << 20;

#[test]
fn two_million_rows_commit_at_once_in_bounded_memory() {
    let outcome = run(committed, None, usize::MAX);
    assert_eq!(outcome.counting.committed.load(Ordering::Relaxed), ROWS);
    assert_eq!(outcome.counting.with_rows.load(Ordering::Relaxed), 1);
    assert_eq!(outcome.opened, 1);
    println!("peak of live row bytes: {}", outcome.peak);
    assert!(outcome.peak < BOUND, "{} bytes", outcome.peak);
}

#[test]
fn two_million_rows_before_an_abort_leave_nothing() {
    let outcome = run(|| LogEvent::Abort, None, 100_000);
    assert_eq!(outcome.counting.committed.load(Ordering::Relaxed), 0);
    let written = outcome.counting.written.load(Ordering::Relaxed);
    assert!(written > ROWS / 2);
    assert_eq!(outcome.counting.rolled_back.load(Ordering::Relaxed), written);
    assert!(outcome.peak < BOUND, "{} bytes", outcome.peak);
}

#[test]
fn where_its_end_matters_it_is_read_twice() {
    let outcome = run(committed, Some(position(1)), 100_000);
    assert_eq!(outcome.counting.committed.load(Ordering::Relaxed), ROWS);
    assert_eq!(outcome.opened, 2);
    assert!(outcome.peak < BOUND, "{} bytes", outcome.peak);
}
