#![allow(dead_code, unreachable_pub)] // Each test binary uses its part.
//! Nodes in one process: hosts with shelves that reach each other through a stream that can be cut.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use oms_actors::{
    Behavior, ComponentHost, Facts, IncrSync, IncrSyncSettings, Lanes, LogConsumer, LogStart, LogStream,
    Mapping, OtherNodes, Reporter, RetryPolicy, RunState, Shelf, Store, StoreSettings, StoreSite,
    SystemClock,
};
use oms_apply::testing::{MemorySink, MemorySource};
use oms_changelog::{ChangeLogError, LogId, LogReader, LogRecord, LogSeq};
use oms_core::{
    Column, ColumnType, ComponentId, Epoch, Failure, Key, KeyPart, Position, Row, RowBuilder, RowChange,
    Source, TableName, TableSchema, Value, codes,
};
use oms_types::ProjectId;
use parking_lot::Mutex;
use tokio::sync::watch;

pub const FAMILY: [u8; 8] = *b"project1";

pub fn project() -> ProjectId {
    "p_1".parse().unwrap()
}

pub fn id(kind: &str) -> ComponentId {
    format!("p_1.{kind}").parse().unwrap()
}

/// Waits until a condition holds; a test that waits for a minute has failed.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "{what}: not within a minute");
}

fn table(name: &str, key: bool) -> Arc<TableSchema> {
    let column = |name: &str| Column {
        name: name.into(),
        ty: ColumnType::Integer {
            bytes: 8,
            unsigned: false,
        },
        nullable: false,
        generated: None,
        invisible: false,
    };
    let primary = Key {
        name: "PRIMARY".into(),
        primary: true,
        parts: vec![KeyPart {
            column: Some(0),
            prefix: None,
        }],
    };
    Arc::new(TableSchema {
        name: TableName::new("d", name),
        engine: "InnoDB".into(),
        columns: vec![column("a"), column("b")],
        keys: if key { vec![primary] } else { Vec::new() },
        estimated_rows: 0,
        estimated_bytes: 0,
    })
}

/// One table with a key, and one without in which each row may be only once.
pub fn tables() -> Vec<Arc<TableSchema>> {
    vec![table("keyed", true), table("journal", false)]
}

pub fn row(a: i64, b: i64) -> Row {
    RowBuilder::build([Value::Int(a), Value::Int(b)].into_iter()).unwrap()
}

pub fn insert(table: u32, a: i64, b: i64) -> RowChange {
    RowChange {
        table,
        before: None,
        after: Some(row(a, b)),
    }
}

/// The metadata of one project, as far as its Store and incr-sync need it.
pub struct Meta {
    /// The Store's node and epoch; `None`: no node is known.
    pub store: watch::Sender<Option<(u64, u64)>>,
    pub facts: Mutex<Vec<Facts>>,
    pub states: Mutex<Vec<(ComponentId, RunState)>>,
    shelves: Mutex<BTreeMap<u64, Arc<Shelf>>>,
    /// Records that remote streams may still hand out before they break.
    pub break_after: AtomicI64,
    /// Remote streams that were opened.
    pub opened: AtomicU64,
    pub broken: AtomicU64,
}

impl Meta {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            store: watch::Sender::new(None),
            facts: Mutex::default(),
            states: Mutex::default(),
            shelves: Mutex::default(),
            break_after: AtomicI64::new(i64::MAX),
            opened: AtomicU64::default(),
            broken: AtomicU64::default(),
        })
    }

    pub fn start_position(&self) -> Option<Position> {
        self.facts.lock().iter().find_map(|f| match f {
            Facts::StoreStart(p) => Some(p.clone()),
            _ => None,
        })
    }

    pub fn applied(&self) -> Option<Position> {
        self.facts.lock().iter().rev().find_map(|f| match f {
            Facts::Applied(p) => Some(p.clone()),
            _ => None,
        })
    }
}

/// Takes reports of one owner; those of a former Store are refused.
struct Record {
    meta: Arc<Meta>,
    id: ComponentId,
    epoch: u64,
}

impl Record {
    fn check(&self) -> Result<(), Failure> {
        match *self.meta.store.borrow() {
            Some((_, epoch)) if self.id == id("store") && epoch != self.epoch => {
                Err(Failure::new(codes::apply::FENCED, "assigned elsewhere"))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Reporter for Record {
    async fn state(&self, state: &RunState, _: &str) -> Result<(), Failure> {
        self.check()?;
        self.meta.states.lock().push((self.id.clone(), state.clone()));
        Ok(())
    }
    async fn facts(&self, facts: Facts) -> Result<(), Failure> {
        self.check()?;
        self.meta.facts.lock().push(facts);
        Ok(())
    }
    async fn removed(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// What one node sees of the others.
struct View {
    me: u64,
    meta: Arc<Meta>,
}

#[async_trait]
impl OtherNodes for View {
    fn store_site(&self, _: &ProjectId) -> StoreSite {
        match *self.meta.store.borrow() {
            None => StoreSite::Nowhere,
            Some((node, _)) if node == self.me => StoreSite::Here,
            Some((node, epoch)) => StoreSite::On {
                node,
                epoch: Epoch(epoch),
            },
        }
    }

    async fn store_left(&self, project: &ProjectId, site: StoreSite) {
        let mut changes = self.meta.store.subscribe();
        while self.store_site(project) == site {
            let _ = changes.changed().await;
        }
    }

    async fn open_log(
        &self,
        project: &ProjectId,
        site: StoreSite,
        from: &LogStart,
    ) -> Result<Box<dyn LogStream>, Failure> {
        let StoreSite::On { node, .. } = site else {
            panic!("only logs of other nodes are asked for: {site:?}");
        };
        let shelf = self.meta.shelves.lock().get(&node).cloned();
        let unreachable = || Failure::new(codes::api::UNAVAILABLE, "the node does not answer");
        let shelved = shelf.and_then(|s| s.get(project)).ok_or_else(unreachable)?;
        let reader = shelved.open_reader(from).await.map_err(|e| failure(&e))?;
        self.meta.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Wire {
            meta: self.meta.clone(),
            log_id: shelved.log_id,
            reader,
            shelved,
        }))
    }
}

fn failure(error: &ChangeLogError) -> Failure {
    Failure::new(error.code(), error.to_string())
}

/// A remote stream that hands out few records at a time and breaks when it is told to.
struct Wire {
    meta: Arc<Meta>,
    log_id: LogId,
    reader: Box<dyn LogReader>,
    shelved: oms_actors::ShelvedLog,
}

#[async_trait]
impl LogStream for Wire {
    fn log_id(&self) -> LogId {
        self.log_id
    }

    async fn next_batch(&mut self, _: usize) -> Result<Vec<LogRecord>, Failure> {
        let records = self.reader.next_batch(1).await.map_err(|e| failure(&e))?;
        let count = i64::try_from(records.len()).unwrap();
        if self.meta.break_after.fetch_sub(count, Ordering::SeqCst) < count {
            self.meta.broken.fetch_add(1, Ordering::SeqCst);
            return Err(Failure::new(codes::api::UNAVAILABLE, "the connection was reset"));
        }
        Ok(records)
    }

    fn consumer(&self) -> Arc<dyn LogConsumer> {
        Arc::new(Consumer(self.shelved.clone()))
    }
}

struct Consumer(oms_actors::ShelvedLog);

#[async_trait]
impl LogConsumer for Consumer {
    async fn needs_from(&self, seq: LogSeq) -> Result<(), Failure> {
        self.0.needs_from(seq).await
    }
}

/// A node: its components, its shelf, its disk.
pub struct Node {
    pub number: u64,
    pub meta: Arc<Meta>,
    pub host: ComponentHost,
    pub shelf: Arc<Shelf>,
    pub disk: tempfile::TempDir,
}

impl Node {
    pub async fn new(number: u64, meta: &Arc<Meta>) -> Self {
        let shelf = Arc::new(Shelf::new(Arc::new(View {
            me: number,
            meta: meta.clone(),
        })));
        meta.shelves.lock().insert(number, shelf.clone());
        Self {
            number,
            meta: meta.clone(),
            host: ComponentHost::start(Arc::new(SystemClock), RetryPolicy::default())
                .await
                .unwrap(),
            shelf,
            disk: tempfile::tempdir().unwrap(),
        }
    }

    pub fn log_dir(&self) -> PathBuf {
        self.disk.path().join("store/p_1")
    }

    async fn run(&self, kind: &str, epoch: u64, behavior: Arc<dyn Behavior>) {
        let reporter = Arc::new(Record {
            meta: self.meta.clone(),
            id: id(kind),
            epoch,
        });
        self.host
            .run(id(kind), Epoch(epoch), behavior, reporter)
            .await
            .unwrap();
    }

    /// Assigns the Store to this node, with what the metadata knows now.
    pub async fn run_store(&self, source: &MemorySource, epoch: u64) {
        self.run_store_from(Arc::new(source.clone()), epoch).await;
    }

    pub async fn run_store_from(&self, source: Arc<dyn Source>, epoch: u64) {
        let settings = StoreSettings {
            dir: self.log_dir(),
            log_family: FAMILY,
            reserve_bytes: 1 << 20,
            retention: Duration::from_secs(3_600),
            start: self.meta.start_position(),
            applied: self.meta.applied(),
        };
        self.meta.store.send_replace(Some((self.number, epoch)));
        let store = Store::new(source, self.shelf.clone(), settings);
        self.run("store", epoch, Arc::new(store)).await;
    }

    pub async fn run_incr_sync(&self, source: &MemorySource, sink: &MemorySink, epoch: u64) {
        let meta = self.meta.clone();
        until("the Store's start", || meta.start_position().is_some()).await;
        let settings = IncrSyncSettings {
            tables: tables()
                .iter()
                .map(|t| Mapping {
                    source: t.name.clone(),
                    destination: t.name.clone(),
                })
                .collect(),
            start: self.meta.start_position().unwrap(),
            safe_until: None,
            always_safe: Vec::new(),
            snapshots: Vec::new(),
            lanes: Lanes::Fixed(3),
            commit_order: Default::default(),
            caught_up: Duration::from_secs(10),
            settle: None,
            publishes: false,
        };
        let (source, sink) = (Arc::new(source.clone()), Arc::new(sink.clone()));
        let sync = IncrSync::new(source, sink, self.shelf.clone(), settings);
        self.run("incr-sync", epoch, Arc::new(sync)).await;
    }

    /// The identity of the log that is up here, once one is.
    pub async fn log_id(&self) -> LogId {
        let waited = tokio::time::timeout(Duration::from_secs(60), self.shelf.wait_for(&project())).await;
        waited.expect("a log on the shelf").log_id
    }

    pub fn log_lines(&self, kind: &str) -> Vec<String> {
        let Some(log) = self.host.log(&id(kind)) else {
            return Vec::new();
        };
        log.tail(1_000).0.into_iter().map(|l| l.message).collect()
    }
}

/// Whether the destination holds exactly what the source holds.
pub fn equal(source: &MemorySource, sink: &MemorySink) -> bool {
    tables().iter().all(|t| {
        let there = source.table(&t.name).unwrap().sorted_rows();
        there == sink.table(&t.name).unwrap().sorted_rows()
    })
}
