//! How many rows per second one core can find locks for and place, and how many the whole engine
//! carries to a sink that does nothing.
//!
//! `cargo run --release -p oms-apply --example dispatch_throughput [lanes]`
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{collections::BTreeMap, collections::VecDeque, sync::Arc, time::Instant};

use async_trait::async_trait;
use oms_apply::{
    ConflictGraph, EventFeed, EventSource, KeyExtractor, Placement, SyncConfig, SyncPlan, Synchronizer,
};
use oms_core::{
    AppliedSet, Applier, ApplyCheckpoint, ApplyMode, BinlogPosition, ChunkReceipt, ChunkWriter, Claim,
    ClaimNumber, Column, ColumnType, Failure, GtidState, Key, KeyPart, LaneId, LaneState, LogEvent, Position,
    Row, RowBuilder, RowChange, RowOp, TableName, TablePair, TableSchema, Value, Watermark,
};
use tokio_util::sync::CancellationToken;

const TRANSACTIONS: usize = 400_000;
const ROWS: usize = 4;

fn table() -> Arc<TableSchema> {
    let text = ColumnType::Char {
        length: 120,
        charset: "utf8mb4".into(),
        collation: "utf8mb4_general_ci".into(),
    };
    let int = ColumnType::Integer {
        bytes: 4,
        unsigned: false,
    };
    let column = |name: &str, ty: &ColumnType| Column {
        name: name.into(),
        ty: ty.clone(),
        nullable: false,
        generated: None,
        invisible: false,
    };
    let key = |name: &str, column| Key {
        name: name.into(),
        primary: name == "PRIMARY",
        parts: vec![KeyPart {
            column: Some(column),
            prefix: None,
        }],
    };
    Arc::new(TableSchema {
        name: TableName::new("sbtest", "sbtest1"),
        engine: "InnoDB".into(),
        columns: vec![
            column("id", &int),
            column("k", &int),
            column("c", &text),
            column("u", &text),
        ],
        keys: vec![key("PRIMARY", 0), key("u", 3)],
        estimated_rows: 0,
        estimated_bytes: 0,
    })
}

fn row(id: i64, version: i64) -> Row {
    let c = [b'x'; 119];
    let u = format!("user-{id:010}");
    let values = [
        Value::Int(id),
        Value::Int(version),
        Value::Text(&c),
        Value::Text(u.as_bytes()),
    ];
    RowBuilder::build(values.into_iter()).unwrap()
}

fn position(offset: usize) -> Position {
    Position::Binlog(BinlogPosition {
        server: "s".into(),
        file: "b.000001".into(),
        offset: offset as u64,
        gtid: GtidState::None,
    })
}

struct Generator {
    changes: Arc<Vec<RowChange>>,
}

struct Feed {
    changes: Arc<Vec<RowChange>>,
    next: usize,
}

#[async_trait]
impl EventSource for Generator {
    async fn open(&self, _from: &Position) -> Result<Box<dyn EventFeed>, Failure> {
        Ok(Box::new(Feed {
            changes: self.changes.clone(),
            next: 0,
        }))
    }
}

#[async_trait]
impl EventFeed for Feed {
    async fn next(&mut self, _max_bytes: usize) -> Result<Option<Vec<LogEvent>>, Failure> {
        let mut events = Vec::new();
        for _ in 0..256 {
            let Some(rows) = self.changes.get(self.next..self.next + ROWS) else {
                break;
            };
            self.next += ROWS;
            events.push(LogEvent::Begin { id: None });
            events.extend(rows.iter().cloned().map(LogEvent::Row));
            events.push(LogEvent::Commit {
                position: position(self.next),
                source_time_us: 0,
            });
        }
        Ok((!events.is_empty()).then_some(events))
    }
}

#[derive(Debug)]
struct NullClaim;
struct NullApplier;

#[async_trait]
impl Claim for NullClaim {
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
        Ok(Box::new(NullApplier))
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
impl Applier for NullApplier {
    async fn begin(&mut self) -> Result<(), Failure> {
        Ok(())
    }
    async fn write(&mut self, _ops: &[RowOp]) -> Result<(), Failure> {
        Ok(())
    }
    async fn commit(&mut self, _state: &LaneState) -> Result<(), Failure> {
        Ok(())
    }
    async fn rollback(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {
    let lanes: u32 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(8);
    let tables = Arc::new(vec![TablePair::by_name(table(), table()).unwrap()]);
    let mut seed = 1u64;
    let changes: Vec<RowChange> = (0..TRANSACTIONS * ROWS)
        .map(|n| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let id = (seed >> 33) as i64 % 1_000_000;
            RowChange {
                table: 0,
                before: Some(row(id, n as i64)),
                after: Some(row(id, n as i64 + 1)),
            }
        })
        .collect();

    let extractor = KeyExtractor::new(&tables, &[]);
    let mut graph = ConflictGraph::new();
    let mut in_flight = VecDeque::new();
    let (mut behind, mut waits) = (0u64, 0u64);
    let begun = Instant::now();
    for (number, rows) in changes.chunks(ROWS).enumerate() {
        let ops: Vec<RowOp> = rows
            .iter()
            .map(|c| RowOp {
                table: c.table,
                mode: ApplyMode::Strict,
                before: c.before.clone(),
                after: c.after.clone(),
                origin: None,
            })
            .collect();
        let keys = extractor.extract(&ops).unwrap();
        let lane = loop {
            match graph.place(&keys) {
                Placement::Anywhere => break number as u32 % lanes,
                Placement::Behind(lane) => {
                    behind += 1;
                    break lane;
                }
                Placement::Wait => {
                    waits += 1;
                    let (keys, lane) = in_flight.pop_front().unwrap();
                    graph.leave(&keys, lane);
                }
            }
        };
        graph.enter(&keys, lane);
        in_flight.push_back((keys, lane));
        if in_flight.len() > 2_000 {
            let (keys, lane) = in_flight.pop_front().unwrap();
            graph.leave(&keys, lane);
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let rows = (TRANSACTIONS * ROWS) as f64;
    println!("locks and placement: {:.0} rows/s on one core", rows / took);
    println!("  {behind} of {TRANSACTIONS} transactions behind another, {waits} waits");

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let plan = SyncPlan {
        tables,
        foreign_keys: Vec::new(),
        skip_until: BTreeMap::new(),
        safe_until: None,
        always_safe: Default::default(),
        stop_at: None,
    };
    let config = SyncConfig {
        lanes,
        ..SyncConfig::default()
    };
    let engine = Synchronizer::new(plan, config);
    let checkpoint = ApplyCheckpoint {
        watermark: Watermark {
            applied: 0,
            position: position(0),
        },
        above: AppliedSet::default(),
    };
    let source = Generator {
        changes: Arc::new(changes),
    };
    let begun = Instant::now();
    let end = runtime
        .block_on(engine.run(&NullClaim, &source, checkpoint, &CancellationToken::new()))
        .unwrap();
    let took = begun.elapsed().as_secs_f64();
    println!(
        "whole engine, {lanes} lanes, sink that does nothing: {:.0} rows/s",
        rows / took
    );
    println!("  {end:?}");
}
