//! What servers digest tells as much as what is read: on all pairs of servers, for all types.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use oms_cluster_tests::{Client, Corpus, Server, ServerKind, ServerOptions};
use oms_core::{
    ChunkDigest, ChunkRange, DigestColumn, Failure, KeyOrder, Position, Row, RowBatch, SnapshotReader,
    TableName, TablePair, TableRead, TableSchema, Value, testing::MemoryRecords,
};
use oms_mysql::{
    catalog::Catalog,
    connection::{self, Endpoint, Secret, ServerInfo, TlsMode, connect},
    snapshot::MysqlSnapshotReader,
};
use oms_verify::{
    Difference, DifferenceKey, Ended, Results, Side, Sides, TableResult, Utf8Charsets, Verification, Verifier,
};
use tokio_util::sync::CancellationToken;

fn endpoint(server: &Server) -> Endpoint {
    Endpoint {
        host: server.host().into(),
        port: server.port(),
        user: server.user().into(),
        password: Secret::new(server.password()),
        tls: TlsMode::Disable,
        tls_ca_pem: String::new(),
    }
}

/// Two servers, with or without their digests.
struct Watched {
    source: Endpoint,
    destination: Endpoint,
    digests: bool,
    /// Rows that were read, and chunks that a server digested.
    read: Arc<AtomicU64>,
    digested: Arc<AtomicU64>,
}

struct WatchedReader {
    inner: MysqlSnapshotReader,
    digests: bool,
    read: Arc<AtomicU64>,
    digested: Arc<AtomicU64>,
}

#[async_trait]
impl Sides for Watched {
    async fn open(&self, side: Side) -> Result<Box<dyn SnapshotReader>, Failure> {
        let (endpoint, side) = match side {
            Side::Source => (self.source.clone(), connection::Side::Source),
            Side::Destination => (self.destination.clone(), connection::Side::Destination),
        };
        Ok(Box::new(WatchedReader {
            inner: MysqlSnapshotReader::open(endpoint, side, None).await?,
            digests: self.digests,
            read: self.read.clone(),
            digested: self.digested.clone(),
        }))
    }
}

#[async_trait]
impl SnapshotReader for WatchedReader {
    async fn key_span(&mut self, table: &TableSchema) -> Result<Option<(Row, Row)>, Failure> {
        self.inner.key_span(table).await
    }

    async fn estimate_rows(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
    ) -> Result<Option<u64>, Failure> {
        self.inner.estimate_rows(table, range).await
    }

    async fn key_near(
        &mut self,
        table: &TableSchema,
        after: &Row,
        before: &Row,
        guess: &Row,
    ) -> Result<Option<Row>, Failure> {
        self.inner.key_near(table, after, before, guess).await
    }

    async fn chunk_end(
        &mut self,
        table: &TableSchema,
        after: Option<&Row>,
        rows: u64,
    ) -> Result<Option<Row>, Failure> {
        self.inner.chunk_end(table, after, rows).await
    }

    async fn read_chunk(
        &mut self,
        table: Arc<TableSchema>,
        range: &ChunkRange,
        order: KeyOrder,
    ) -> Result<(), Failure> {
        self.inner.read_chunk(table, range, order).await
    }

    async fn digest_chunk(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
        columns: &[DigestColumn],
    ) -> Result<Option<ChunkDigest>, Failure> {
        if !self.digests {
            return Ok(None);
        }
        let told = self.inner.digest_chunk(table, range, columns).await?;
        self.digested.fetch_add(u64::from(told.is_some()), Relaxed);
        Ok(told)
    }

    async fn read_keys(&mut self, table: Arc<TableSchema>, keys: &[Row]) -> Result<(), Failure> {
        self.inner.read_keys(table, keys).await
    }

    async fn begin_consistent(&mut self, tables: &[TableName]) -> Result<Position, Failure> {
        self.inner.begin_consistent(tables).await
    }

    async fn end_consistent(&mut self) -> Result<(), Failure> {
        self.inner.end_consistent().await
    }

    async fn read_all(&mut self, table: Arc<TableSchema>) -> Result<TableRead, Failure> {
        self.inner.read_all(table).await
    }

    async fn next_batch(&mut self, max_bytes: usize) -> Result<Option<RowBatch>, Failure> {
        let batch = self.inner.next_batch(max_bytes).await?;
        self.read
            .fetch_add(batch.iter().map(|b| b.rows.len() as u64).sum(), Relaxed);
        Ok(batch)
    }

    async fn count(&mut self, table: &TableSchema) -> Result<u64, Failure> {
        self.inner.count(table).await
    }
}

/// What a verification found of each table, and what it took.
struct Found {
    tables: Vec<(TableResult, Vec<Difference>)>,
    read: u64,
    digested: u64,
}

impl Found {
    /// The first value of the keys, all differences of a table.
    fn ids(&self, table: usize) -> BTreeSet<i64> {
        let id = |difference: &Difference| match &difference.key {
            DifferenceKey::Key { key, .. } => match key.get(0) {
                Value::Int(id) => id,
                other => panic!("a key of another type: {:?}", other.kind()),
            },
            DifferenceKey::Digest(_) => panic!("the tables have keys"),
        };
        self.tables[table].1.iter().map(id).collect()
    }
}

async fn schemas(
    server: &Server,
    side: connection::Side,
    database: &str,
    tables: &[&str],
) -> Vec<Arc<TableSchema>> {
    let mut conn = connect(&endpoint(server), side).await.unwrap();
    let info = ServerInfo::probe(&mut conn, side).await.unwrap();
    let names: Vec<TableName> = tables.iter().map(|t| TableName::new(database, *t)).collect();
    let mut catalog = Catalog::new(&mut conn, info.flavor, side);
    let loaded = catalog.load_tables(&names).await.unwrap();
    loaded.into_iter().map(Arc::new).collect()
}

async fn pairs(
    (source, from): (&Server, &str),
    (destination, to): (&Server, &str),
    tables: &[&str],
) -> Vec<TablePair> {
    let from = schemas(source, connection::Side::Source, from, tables).await;
    let to = schemas(destination, connection::Side::Destination, to, tables).await;
    from.into_iter()
        .zip(to)
        .map(|(s, d)| TablePair::by_name(s, d).unwrap())
        .collect()
}

/// Compares in chunks of one row, so that no row's difference helps to find another's, or of many.
async fn verify(
    source: &Server,
    destination: &Server,
    pairs: &[TablePair],
    digests: bool,
    chunk_rows: u64,
) -> Found {
    let (read, digested) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let sides = Arc::new(Watched {
        source: endpoint(source),
        destination: endpoint(destination),
        digests,
        read: read.clone(),
        digested: digested.clone(),
    });
    let records = MemoryRecords::default();
    let component = "p_test.full-verification".parse().unwrap();
    let results = Results::new(records.reader(&component));
    let mut plan = Verification::new(
        results.clone(),
        records.claim(&component),
        1,
        pairs.to_vec(),
        sides,
    );
    plan.options.recheck_rounds = 1;
    plan.options.chunk_rows = chunk_rows;
    plan.options.undivided_rows = 2;
    plan.charsets = Arc::new(Utf8Charsets);
    let ended = Verifier::new(plan).run(&CancellationToken::new()).await.unwrap();
    assert!(matches!(ended, Ended::Completed(_)));
    let run = results.run(1).await.unwrap();
    let mut tables = Vec::new();
    for table in run.tables().await.unwrap() {
        let mut reader = run.differences(&table.source).await.unwrap();
        tables.push((table, reader.take(100_000).await.unwrap()));
    }
    Found {
        tables,
        read: read.load(Relaxed),
        digested: digested.load(Relaxed),
    }
}

const COLUMNS: &str = "id INT NOT NULL PRIMARY KEY, n BIGINT UNSIGNED, z INT(6) ZEROFILL, x DECIMAL(40,20), f FLOAT, e DOUBLE, \
    b BIT(64), y YEAR, d DATE, dt DATETIME(6), ts TIMESTAMP(6) NULL, tm TIME(6), c CHAR(10), v VARCHAR(50), w VARCHAR(50), \
    t TEXT, lt LONGTEXT, bi BINARY(5), vb VARBINARY(10), vc VARBINARY(10), bl BLOB, lb LONGBLOB, en ENUM('a','','b'), \
    se SET('a','b','c'), j JSON, must INT NOT NULL, word VARCHAR(20) NOT NULL";

const VALUES: &str = "18446744073709551615, 7, -1.5, 0.1, 0.1, b'101', 2155, '2020-02-29', '9999-12-31 23:59:59.999999', \
    '2038-01-19 03:14:07.5', '-838:59:58.000001', 'x', 'y  数😀', 'z', 'one', REPEAT('long', 5000), x'6100', x'6100', x'', \
    x'00ff', REPEAT(x'00', 20000), 'b', 'a,b', '{\"k\": [1, 2.5, null]}', 0, ''";

/// One per row. Each alters one or two columns in the least way.
const CHANGES: &[&str] = &[
    "n = n - 1",
    "n = NULL",
    "z = 70",
    "x = x + 0.00000000000000000001",
    "f = 0.10000001",
    "f = -f",
    "e = 0.10000000000000002",
    "e = -1.2345678901234567e-300, f = 1",
    "b = b'100'",
    "b = NULL",
    "y = 2154",
    "d = '2020-02-28'",
    "dt = '9999-12-31 23:59:59.999998'",
    "ts = '2038-01-19 03:14:07.500001'",
    "ts = NULL",
    "tm = '-838:59:58.000002'",
    "tm = '838:59:58.000001'",
    "c = 'X'",
    "c = NULL",
    "c = ''",
    "v = 'y 数😀'",
    "v = 'y  数😀 '",
    "v = 'Y  数😀'",
    "v = 'y  数😁'",
    // The same characters, cut elsewhere.
    "v = 'y  数😀z', w = ''",
    "v = '1,y  数😀', w = NULL",
    "t = NULL",
    "t = ''",
    "t = 'one '",
    "t = 'öne'",
    "lt = CONCAT(lt, ' ')",
    "lt = CONCAT(LEFT(lt, 12345), '.', SUBSTRING(lt, 12347))",
    "lt = NULL",
    "bi = x'6101'",
    "vb = x'61'",
    "vb = x'', vc = x'6100'",
    "vb = NULL",
    "bl = x'00fe'",
    "bl = x'00ff00'",
    "lb = CONCAT(LEFT(lb, 19999), x'01')",
    "lb = LEFT(lb, 19999)",
    "en = 'a'",
    "en = ''",
    "en = NULL",
    "se = 'a,c'",
    "se = ''",
    "j = '{\"k\": [1, 2.6, null]}'",
    "j = '{\"k\": [1, \"2.5\", null]}'",
    "must = 1",
    "word = ' '",
    "word = '0'",
];

/// Rows that are equal on both sides, behind those that are not.
const EQUAL: usize = 20;

async fn fill(server: &Server, database: &str) {
    let mut client = server.client().await.unwrap();
    let rows: Vec<String> = (1..=CHANGES.len() + EQUAL)
        .map(|id| format!("({id}, {VALUES})"))
        .collect();
    client
        .run_all(&[
            format!("CREATE DATABASE {database} DEFAULT CHARACTER SET utf8mb4"),
            format!("CREATE TABLE {database}.kinds ({COLUMNS})"),
            "SET time_zone = '+00:00', sql_mode = ''".to_owned(),
            format!("INSERT INTO {database}.kinds VALUES {}", rows.join(", ")),
            // Keys by a collation that is no order of bytes, with rows that only it takes for neighbours.
            format!("CREATE TABLE {database}.words (k VARCHAR(30) NOT NULL PRIMARY KEY, v INT NOT NULL)"),
            format!("INSERT INTO {database}.words VALUES ('Äpfel', 1), ('apfel2', 2), ('Birne', 3), ('birne2', 4), ('ß', 5)"),
        ])
        .await
        .unwrap();
}

async fn change(client: &mut Client, database: &str) {
    client
        .query_drop("SET time_zone = '+00:00', sql_mode = ''")
        .await
        .unwrap();
    for (at, change) in CHANGES.iter().enumerate() {
        let sql = format!("UPDATE {database}.kinds SET {change} WHERE id = {}", at + 1);
        client
            .query_drop(&sql)
            .await
            .unwrap_or_else(|e| panic!("{change}: {e}"));
    }
    // Two rows exchange a value: what adds up over rows stays.
    let last = CHANGES.len() + EQUAL;
    let statements = [
        format!("UPDATE {database}.kinds SET n = 5, e = 7 WHERE id = {last}"),
        format!("UPDATE {database}.kinds SET n = 7, e = 5 WHERE id = {}", last - 1),
    ];
    client.run_all(&statements).await.unwrap();
}

async fn every_change_is_found(source: ServerKind) {
    let from = Server::start(source, ServerOptions::source()).await.unwrap();
    fill(&from, "s").await;
    for kind in ServerKind::DESTINATIONS {
        let to = Server::start(kind, ServerOptions::destination()).await.unwrap();
        fill(&to, "d").await;
        let pairs = pairs((&from, "s"), (&to, "d"), &["kinds", "words"]).await;
        for chunk_rows in [1, 1_000] {
            let found = verify(&from, &to, &pairs, true, chunk_rows).await;
            for (table, differences) in &found.tables {
                assert!(
                    table.error.is_none() && differences.is_empty(),
                    "{source} to {kind}: {table:?}"
                );
            }
            println!(
                "{source} to {kind}, {chunk_rows}: {} rows read, {} digests",
                found.read, found.digested
            );
            if source == kind {
                // On equal servers no row needs to be read.
                assert!(found.digested > 0 && found.read == 0, "{} rows read", found.read);
            }
        }
        let mut client = to.client().await.unwrap();
        let exchanged = (CHANGES.len() + EQUAL) as i64;
        client
            .run_all(&[
                format!("UPDATE d.kinds SET n = 7, e = 7 WHERE id = {exchanged}"),
                format!("UPDATE d.kinds SET n = 5, e = 5 WHERE id = {}", exchanged - 1),
            ])
            .await
            .unwrap();
        change(&mut client, "d").await;
        client
            .run_all(&[
                "UPDATE d.words SET v = 9 WHERE v = 4",
                "DELETE FROM d.words WHERE v = 2",
            ])
            .await
            .unwrap();
        let mut expected: BTreeSet<i64> = (1..=CHANGES.len() as i64).collect();
        expected.extend([exchanged - 1, exchanged]);
        for (digests, chunk_rows) in [(false, 1_000), (true, 1), (true, 9), (true, 1_000)] {
            let found = verify(&from, &to, &pairs, digests, chunk_rows).await;
            let ids = found.ids(0);
            let missed: Vec<_> = expected.difference(&ids).collect();
            let invented: Vec<_> = ids.difference(&expected).collect();
            assert!(
                missed.is_empty() && invented.is_empty(),
                "{source} to {kind}, digests {digests}, chunks of {chunk_rows}: missed {missed:?}, invented {invented:?}"
            );
            let (words, differences) = &found.tables[1];
            assert_eq!(
                (words.source_only, words.mismatched, differences.len()),
                (1, 1, 2),
                "{kind} {digests}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_found_from_mariadb() {
    every_change_is_found(ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_found_from_mysql97() {
    every_change_is_found(ServerKind::Mysql97).await;
}

/// All tables of the corpus, of which one side has been changed: the same differences with digests as without.
async fn the_corpus_gives_the_same(kind: ServerKind) {
    let server = Server::start(kind, ServerOptions::source()).await.unwrap();
    let mut client = server.client().await.unwrap();
    let (corpus, twin) = (Corpus::new(kind, "corpus"), Corpus::new(kind, "twin"));
    for statements in [&corpus.create, &corpus.seed, &twin.create, &twin.seed] {
        for statement in statements {
            client.query_drop(statement).await.unwrap();
        }
    }
    let tables: Vec<&str> = corpus.tables.iter().map(String::as_str).collect();
    let pairs = pairs((&server, "corpus"), (&server, "twin"), &tables).await;
    let equal = verify(&server, &server, &pairs, true, 1).await;
    let read = verify(&server, &server, &pairs, false, 1).await;
    println!(
        "{kind}: {} rows read with digests, {} without",
        equal.read, read.read
    );
    assert_eq!(equal.tables, read.tables, "{kind}");
    let different = equal.tables.iter().filter(|(_, d)| !d.is_empty());
    // It holds the times of its making.
    assert!(different.into_iter().all(|(t, _)| t.source.table == "commented"));
    assert!(equal.digested > 0 && equal.read < read.read);
    for statement in &twin.mutate {
        client.query_drop(statement).await.unwrap();
    }
    let read = verify(&server, &server, &pairs, false, 1).await;
    assert!(read.tables.iter().filter(|(_, d)| !d.is_empty()).count() > 5);
    for chunk_rows in [1, 3] {
        let digested = verify(&server, &server, &pairs, true, chunk_rows).await;
        assert_eq!(digested.tables, read.tables, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_corpus_gives_the_same_on_mariadb() {
    the_corpus_gives_the_same(ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_corpus_gives_the_same_on_mysql56() {
    the_corpus_gives_the_same(ServerKind::Mysql56).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_corpus_gives_the_same_on_mysql97() {
    the_corpus_gives_the_same(ServerKind::Mysql97).await;
}
