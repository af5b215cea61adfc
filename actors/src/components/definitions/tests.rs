//! Every interruption of a statement ends in the same destination.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use oms_apply::{AfterDdl, DefinitionHandler as _, EventFeed, EventSource, LoggedDdl};
use oms_core::{
    Applier, ApplyCheckpoint, BinlogPosition, ChunkReceipt, ChunkWriter, Claim, ClaimNumber, ClaimToken,
    ComponentId, DdlContext, Definer, Failure, GtidState, LaneId, LaneState, LogEvent, Position, Record,
    RecordWriter, Sink, SinkOptions, SnapshotReader, TableName, TableSchema, Watermark, codes,
    testing::MemoryRecords,
};
use oms_schema::{
    ConvertOptions, DatabaseDefinition, DdlStatement, DestinationTraits, Flavor, Renames, SchemaTracker,
    SourceTraits, StatementContext, TableDefinition, TrackerRules,
};
use parking_lot::Mutex;

use super::{
    DdlDecision, DefinitionPorts, EntryState, FollowedSelection, Follower, Parts, SourceDefinitions,
    SourceFacts,
};
use crate::{ComponentLog, SystemClock};

const VERSION: u32 = 101_106;

fn at(offset: u64) -> Position {
    Position::Binlog(BinlogPosition {
        server: "s".into(),
        file: "b.000001".into(),
        offset,
        gtid: GtidState::None,
    })
}

fn collations() -> BTreeMap<String, String> {
    BTreeMap::from([("utf8mb4".to_owned(), "utf8mb4_general_ci".to_owned())])
}

fn database(name: &str, tables: &[&str]) -> SchemaTracker {
    let mut tracker = SchemaTracker::new(TrackerRules::new(Flavor::MariaDb, VERSION, collations()));
    let shown = format!("CREATE DATABASE `{name}` /*!40100 DEFAULT CHARACTER SET utf8mb4 */");
    tracker.load_database(&DatabaseDefinition::parse(&shown).unwrap());
    let context = StatementContext::new(Flavor::MariaDb, VERSION).in_database(name);
    for table in tables {
        let statement = DdlStatement::parse(table, &context).unwrap();
        tracker.apply(&statement, &context).unwrap();
    }
    tracker
}

/// Both ends and everything durable. What is counted fails once: before or behind its effect.
struct World {
    source: Mutex<SchemaTracker>,
    destination: Mutex<SchemaTracker>,
    executed: Mutex<Vec<String>>,
    records: MemoryRecords,
    /// Calls until the interruption, and whether it comes behind the effect.
    fault: Mutex<Option<(u64, bool)>>,
    refuse: Mutex<Option<String>>,
    decisions: Mutex<Vec<DdlDecision>>,
    log: Vec<(u64, &'static str)>,
    read_at: u64,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

fn component() -> ComponentId {
    "p_1.incr-sync".parse().unwrap()
}

impl World {
    fn new(log: Vec<(u64, &'static str)>) -> Arc<Self> {
        let tables = [
            "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(20), KEY kv (v))",
            "CREATE TABLE b (id INT PRIMARY KEY)",
        ];
        Arc::new(Self {
            source: Mutex::new(database("d", &tables)),
            destination: Mutex::new(database("d", &tables)),
            executed: Mutex::default(),
            records: MemoryRecords::default(),
            fault: Mutex::default(),
            refuse: Mutex::default(),
            decisions: Mutex::default(),
            log,
            read_at: 10,
        })
    }

    /// Whether this call is the interrupted one: `Some(true)` behind its effect.
    fn count(&self) -> Option<bool> {
        let mut fault = self.fault.lock();
        match &mut *fault {
            Some((0, behind)) => {
                let behind = *behind;
                *fault = None;
                Some(behind)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }

    async fn open(self: &Arc<Self>) -> Result<Follower, Failure> {
        let claim: Arc<dyn Claim> = Arc::new(FakeClaim {
            writer: self.records.claim(&component()),
            world: self.clone(),
        });
        let named = ["a", "b"].map(|t| (TableName::new("d", t), TableName::new("d", t)));
        let parts = Parts {
            ports: Arc::new(FakePorts(self.clone())),
            sink: Arc::new(FakeSink(self.clone())),
            records: self.records.reader(&component()),
            selection: FollowedSelection {
                named: BTreeMap::from(named),
                removed: BTreeSet::new(),
                new_tables: Arc::new(|t| (!t.table.starts_with("tmp")).then(|| t.clone())),
                databases: BTreeMap::from([("d".to_owned(), "d".to_owned())]),
            },
            decisions: self.decisions.lock().clone(),
            clock: Arc::new(SystemClock),
            log: Arc::new(ComponentLog::new(component(), Arc::new(SystemClock))),
        };
        let follower = Follower::open(parts, claim, &FakeLog(self.clone()), &at(0)).await?;
        follower.pairs().await?;
        Ok(follower)
    }

    /// Reads the log from its beginning, as after a restart at the first checkpoint, until all is carried over.
    async fn follow(self: &Arc<Self>) -> Result<(), Failure> {
        let follower = self.open().await?;
        for (offset, statement) in &self.log {
            let ddl = LoggedDdl {
                database: "d".into(),
                statement: (*statement).into(),
                position: at(*offset),
                source_time_us: 0,
                context: DdlContext {
                    exact: true,
                    ..DdlContext::default()
                },
            };
            if !follower.concerns(&ddl) {
                continue;
            }
            let behind = Watermark {
                applied: 0,
                position: at(offset - 1),
            };
            if follower.on_ddl(&ddl, &behind).await? == AfterDdl::Redefined {
                follower.pairs().await?;
            }
        }
        Ok(())
    }

    /// Follows, beginning anew after each interruption.
    async fn follow_through(self: &Arc<Self>) -> Result<u32, Failure> {
        let mut interruptions = 0;
        loop {
            match self.follow().await {
                Err(failure) if failure.is_transient() => interruptions += 1,
                Err(failure) => return Err(failure),
                Ok(()) => return Ok(interruptions),
            }
        }
    }

    fn tables(&self) -> Vec<TableName> {
        self.destination.lock().tables().map(|(name, _)| name).collect()
    }

    async fn states(&self) -> Vec<EntryState> {
        let history = super::History::new(self.records.reader(&component()));
        let entries = history.entries(1, 100).await.unwrap();
        entries.iter().map(|e| e.state).collect()
    }
}

fn interrupted() -> Failure {
    Failure::new(codes::dst::TRANSIENT, "interrupted")
}

struct FakePorts(Arc<World>);

#[async_trait]
impl DefinitionPorts for FakePorts {
    async fn facts(&self) -> Result<SourceFacts, Failure> {
        Ok(SourceFacts {
            flavor: Flavor::MariaDb,
            version: VERSION,
            traits: SourceTraits {
                flavor: Flavor::MariaDb,
                default_collations: collations(),
            },
            collations: BTreeMap::new(),
            explicit_timestamps: true,
            lower_case_names: false,
        })
    }

    async fn read_source(&self, _: &[String]) -> Result<SourceDefinitions, Failure> {
        Ok(SourceDefinitions {
            tracker: self.0.source.lock().clone(),
            unreadable: Vec::new(),
            read_at: at(self.0.read_at),
        })
    }

    async fn destination(&self) -> Result<DestinationTraits, Failure> {
        let collations = BTreeSet::from(["utf8mb4_general_ci".to_owned()]);
        Ok(DestinationTraits::new(
            Flavor::MariaDb,
            self::collations(),
            collations,
        ))
    }

    async fn look_up(
        &self,
        tables: &[TableName],
    ) -> Result<BTreeMap<TableName, Option<TableDefinition>>, Failure> {
        let destination = self.0.destination.lock();
        let found = tables.iter().map(|t| (t.clone(), destination.table(t).cloned()));
        Ok(found.collect())
    }

    fn options(&self) -> ConvertOptions {
        let mut renames = Renames::default();
        renames.databases.insert("d".into(), "d".into());
        ConvertOptions {
            renames,
            ..ConvertOptions::default()
        }
    }
}

#[derive(Debug)]
struct FakeSink(Arc<World>);

#[async_trait]
impl Sink for FakeSink {
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<Option<TableSchema>>, Failure> {
        let destination = self.0.destination.lock();
        let collation = |_: &str| "utf8mb4_general_ci".to_owned();
        names
            .iter()
            .map(|n| {
                destination
                    .table(n)
                    .map(|d| d.to_schema(n.clone(), &collation))
                    .transpose()
            })
            .collect()
    }
    async fn has_rows(&self, _: &TableName) -> Result<bool, Failure> {
        unreachable!()
    }
    async fn execute_ddl(&self, _: Option<&str>, _: &str) -> Result<(), Failure> {
        unreachable!()
    }
    async fn claim(&self, _: ClaimToken, _: SinkOptions) -> Result<Arc<dyn Claim>, Failure> {
        unreachable!()
    }
    async fn applied(&self, _: &ComponentId) -> Result<Option<ApplyCheckpoint>, Failure> {
        unreachable!()
    }
    async fn forget(&self, _: &ComponentId) -> Result<(), Failure> {
        unreachable!()
    }
    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure> {
        unreachable!()
    }
}

#[derive(Debug)]
struct FakeClaim {
    world: Arc<World>,
    writer: Arc<dyn RecordWriter>,
}

#[async_trait]
impl Claim for FakeClaim {
    fn number(&self) -> ClaimNumber {
        ClaimNumber(1)
    }
    async fn checkpoint(&self) -> Result<Option<ApplyCheckpoint>, Failure> {
        unreachable!()
    }
    async fn initialize(&self, _: &LaneState) -> Result<(), Failure> {
        unreachable!()
    }
    async fn applier(&self, _: LaneId) -> Result<Box<dyn Applier>, Failure> {
        unreachable!()
    }
    async fn chunk_writer(&self) -> Result<Box<dyn ChunkWriter>, Failure> {
        unreachable!()
    }
    fn record_writer(&self) -> Result<Arc<dyn RecordWriter>, Failure> {
        Ok(Arc::new(FakeWriter {
            world: self.world.clone(),
            inner: self.writer.clone(),
        }))
    }
    async fn definer(&self, _: &[&str]) -> Result<Box<dyn Definer>, Failure> {
        Ok(Box::new(FakeDefiner(self.world.clone())))
    }
    async fn receipts(&self, _: &TableName) -> Result<Vec<ChunkReceipt>, Failure> {
        unreachable!()
    }
    async fn clear_table(&self, _: u32) -> Result<(), Failure> {
        unreachable!()
    }
}

#[derive(Debug)]
struct FakeWriter {
    world: Arc<World>,
    inner: Arc<dyn RecordWriter>,
}

#[async_trait]
impl RecordWriter for FakeWriter {
    async fn put(&self, records: &[Record]) -> Result<(), Failure> {
        match self.world.count() {
            Some(false) => Err(interrupted()),
            Some(true) => {
                self.inner.put(records).await?;
                Err(interrupted())
            }
            None => self.inner.put(records).await,
        }
    }
    async fn remove_below(&self, list: &str, below: u64) -> Result<(), Failure> {
        self.inner.remove_below(list, below).await
    }
    async fn remove_group(&self, group: &str) -> Result<(), Failure> {
        self.inner.remove_group(group).await
    }
}

struct FakeDefiner(Arc<World>);

#[async_trait]
impl Definer for FakeDefiner {
    async fn execute(&mut self, statement: &str) -> Result<(), Failure> {
        let fault = self.0.count();
        if fault == Some(false) {
            return Err(interrupted());
        }
        let refused = self.0.refuse.lock().clone();
        let failed = |words: String| Failure::new(codes::dst::STATEMENT_FAILED, words);
        if refused.is_some_and(|part| statement.contains(&part)) {
            return Err(failed("refused".into()));
        }
        let context = StatementContext::new(Flavor::MariaDb, VERSION).in_database("d");
        let parsed = DdlStatement::parse(statement, &context).map_err(|e| failed(e.to_string()))?;
        // What a server refuses: a table or a column that is there already, or is not.
        let mut destination = self.0.destination.lock();
        if let DdlStatement::CreateTable(create) = &parsed
            && destination.table(&create.table).is_some()
        {
            return Err(failed("the table exists".into()));
        }
        destination
            .apply(&parsed, &context)
            .map_err(|e| failed(format!("{statement}: {e}")))?;
        self.0.executed.lock().push(statement.to_owned());
        match fault {
            Some(_) => Err(interrupted()),
            None => Ok(()),
        }
    }
    async fn close(self: Box<Self>) {}
}

struct FakeLog(Arc<World>);

#[async_trait]
impl EventSource for FakeLog {
    async fn open(&self, _: &Position) -> Result<Box<dyn EventFeed>, Failure> {
        Ok(Box::new(FakeFeed(Some(self.0.clone()))))
    }
}

struct FakeFeed(Option<Arc<World>>);

#[async_trait]
impl EventFeed for FakeFeed {
    async fn next(&mut self, _: usize) -> Result<Option<Vec<LogEvent>>, Failure> {
        let Some(world) = self.0.take() else {
            return Ok(None);
        };
        let mut events: Vec<LogEvent> = world
            .log
            .iter()
            .map(|(offset, statement)| LogEvent::Ddl {
                database: "d".into(),
                statement: (*statement).into(),
                position: at(*offset),
                source_time_us: 0,
                context: DdlContext {
                    exact: true,
                    ..DdlContext::default()
                },
            })
            .collect();
        events.push(LogEvent::Heartbeat {
            position: at(1_000),
            source_time_us: 0,
        });
        Ok(Some(events))
    }
}

const LOG: [(u64, &str); 9] = [
    (20, "ALTER TABLE a ADD c INT, ADD UNIQUE KEY kc (c), DROP KEY kv"),
    (30, "CREATE TABLE n (id INT PRIMARY KEY, x INT)"),
    (40, "ALTER TABLE other.t ADD x INT"),
    (50, "RENAME TABLE n TO m, b TO n"),
    (60, "ALTER TABLE m CHANGE x y BIGINT, ADD z INT AFTER id"),
    (70, "TRUNCATE TABLE a"),
    (80, "CREATE TABLE tmp1 (id INT)"),
    (90, "DROP TABLE m, tmp1"),
    (100, "ALTER TABLE a RENAME TO a2, ADD last INT"),
];

#[tokio::test]
async fn an_interruption_anywhere_changes_nothing() {
    let whole = World::new(LOG.to_vec());
    assert_eq!(whole.follow_through().await.unwrap(), 0);
    let (tables, executed) = (whole.tables(), whole.executed.lock().len());
    assert_eq!(tables, ["a2", "n"].map(|t| TableName::new("d", t)));
    let (mut tried, mut step) = (0, 0);
    loop {
        let mut hit = false;
        for behind in [false, true] {
            let world = World::new(LOG.to_vec());
            *world.fault.lock() = Some((step, behind));
            let interruptions = world
                .follow_through()
                .await
                .unwrap_or_else(|e| panic!("{step} {behind}: {e}"));
            hit |= interruptions > 0;
            assert_eq!(
                *world.destination.lock(),
                *whole.destination.lock(),
                "{step} {behind}"
            );
            assert!(world.states().await.iter().all(|s| s.is_closed()));
            // Only what may be repeated is executed twice.
            let repeated = world.executed.lock().len() - executed;
            assert!(repeated <= 1, "{step} {behind}: {:#?}", world.executed.lock());
            tried += interruptions;
        }
        if !hit {
            break;
        }
        step += 1;
    }
    assert!(tried > 50, "{tried}");
}

#[tokio::test]
async fn a_refused_step_waits_is_mended_and_goes_on() {
    let world = World::new(LOG.to_vec());
    *world.refuse.lock() = Some("kc".into());
    let failure = world.follow_through().await.unwrap_err();
    assert_eq!(failure.code(), codes::apply::DDL_UNDECIDED);
    assert_eq!(world.states().await, [EntryState::Waiting]);
    // Again, the same.
    assert!(world.follow_through().await.is_err());
    *world.refuse.lock() = None;
    world.follow_through().await.unwrap();
    assert!(world.states().await.iter().all(|s| s.is_closed()));
}

#[tokio::test]
async fn a_skipped_statement_leaves_its_column_out() {
    let world = World::new(vec![
        (20, "ALTER TABLE a ADD c INT, ADD UNIQUE KEY kc (c)"),
        (30, "DROP TABLE b"),
    ]);
    *world.refuse.lock() = Some("kc".into());
    assert!(world.follow_through().await.is_err());
    world.decisions.lock().push(DdlDecision {
        number: 1,
        decided_at_ms: 1,
        statements: Vec::new(),
    });
    world.follow_through().await.unwrap();
    assert_eq!(world.states().await, [EntryState::Skipped, EntryState::Done]);
    assert!(
        world
            .destination
            .lock()
            .table(&TableName::new("d", "a"))
            .unwrap()
            .column("c")
            .is_none()
    );
}

/// A statement of the user's cannot be looked up: interrupted while it ran, it is asked about.
#[tokio::test]
async fn an_edited_statement_runs_once_or_is_asked_about() {
    let world = World::new(vec![(20, "CREATE TABLE n SELECT 1 AS x")]);
    assert!(world.follow_through().await.is_err());
    let edit = |time| DdlDecision {
        number: 1,
        decided_at_ms: time,
        statements: vec!["CREATE TABLE d.n (x INT PRIMARY KEY)".into()],
    };
    world.decisions.lock().push(edit(1));
    // The entry with its steps, then the statement itself.
    *world.fault.lock() = Some((1, true));
    let failure = world.follow_through().await.unwrap_err();
    assert_eq!(failure.code(), codes::apply::DDL_UNDECIDED, "{failure}");
    assert!(failure.text().contains("not known"), "{failure}");
    assert!(world.follow_through().await.is_err());
    assert_eq!(world.executed.lock().len(), 1);
    world.decisions.lock().push(DdlDecision {
        statements: Vec::new(),
        ..edit(2)
    });
    world.follow_through().await.unwrap();
    assert_eq!(world.states().await, [EntryState::Skipped]);
}

#[tokio::test]
async fn statements_in_front_of_the_first_reading() {
    let early = |statement| World::new(vec![(5, statement)]);
    for stops in [
        "ALTER TABLE a ADD c INT",
        "TRUNCATE b",
        "DROP DATABASE d",
        "RENAME TABLE x TO a",
    ] {
        let failure = early(stops).follow_through().await.unwrap_err();
        assert_eq!(failure.code(), codes::apply::DDL_TOO_EARLY, "{stops}");
    }
    for passes in [
        "CREATE TABLE IF NOT EXISTS a (id INT)",
        "DROP TABLE tmp9",
        "CREATE TABLE n (id INT PRIMARY KEY)",
    ] {
        early(passes)
            .follow_through()
            .await
            .unwrap_or_else(|e| panic!("{passes}: {e}"));
    }
}
