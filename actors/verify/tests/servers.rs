//! A hundred planted differences in a hundred thousand and some rows of real servers: found, corrected, gone.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use oms_cluster_tests::{Client, Server, ServerKind, ServerOptions};
use oms_core::{
    ClaimToken, ComponentId, Epoch, Failure, Sink, SinkOptions, SnapshotReader, TableName, TablePair,
    TableSchema,
};
use oms_mysql::{
    catalog::Catalog,
    connection::{self, Endpoint, Secret, ServerInfo, TlsMode, connect},
    sink::MysqlSink,
    snapshot::MysqlSnapshotReader,
};
use oms_oceanbase::OceanBaseSink;
use oms_verify::{
    Difference, Ended, Inspector, PREAMBLE, Results, RunSummary, Scope, Side, Sides, TableResult,
    Utf8Charsets, Verification, Verifier,
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

struct Servers {
    source: Endpoint,
    destination: Endpoint,
}

#[async_trait]
impl Sides for Servers {
    async fn open(&self, side: Side) -> Result<Box<dyn SnapshotReader>, Failure> {
        let (endpoint, side) = match side {
            Side::Source => (self.source.clone(), connection::Side::Source),
            Side::Destination => (self.destination.clone(), connection::Side::Destination),
        };
        Ok(Box::new(MysqlSnapshotReader::open(endpoint, side, None).await?))
    }
}

const TABLES: [(&str, &str); 4] = [
    (
        "numbers",
        "(id BIGINT NOT NULL PRIMARY KEY, a INT UNSIGNED, b VARCHAR(100), c DECIMAL(12,3), d DATETIME(3), e DOUBLE, \
         f VARBINARY(50), g TIMESTAMP NULL, h ENUM('x','y'))",
    ),
    (
        "words",
        "(k VARCHAR(40) NOT NULL, n INT NOT NULL, v TEXT, PRIMARY KEY (k, n))",
    ),
    ("plain", "(a INT, b VARCHAR(30), c CHAR(10))"),
    (
        "exact",
        "(k VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, v TIME(6))",
    ),
];

fn values(table: &str, n: u32) -> String {
    match table {
        "numbers" => format!(
            "({n},{},'wörd {n}',{n}.{:03},'2024-02-29 10:11:12.{:03}',{n}.5e-3,X'{n:08X}',{},'{}')",
            n * 7,
            n % 1000,
            n % 1000,
            if n.is_multiple_of(3) {
                "NULL".to_owned()
            } else {
                format!("'2021-03-04 05:06:{:02}'", n % 60)
            },
            if n.is_multiple_of(2) { "x" } else { "y" },
        ),
        // Lower and upper case in turns: bytes and collation order differently.
        "words" => format!(
            "('{}{}',{},'{n}')",
            if n.is_multiple_of(2) { "Word" } else { "word" },
            n / 3,
            n % 3
        ),
        // A tab sorts before the space that padding stands for, a letter behind it.
        "exact" => {
            let (stem, tail) = (
                ["w", "W", "ß"][(n % 3) as usize],
                ["", "\t", "a"][(n / 3 % 3) as usize],
            );
            format!("('{stem}{}{tail}','-12:34:56.{:06}')", n / 9, n)
        }
        _ => format!("({},'b{}',NULL)", n / 2, n / 2),
    }
}

async fn fill(client: &mut Client, database: &str) {
    let tables = "DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci";
    client
        .query_drop(&format!("CREATE DATABASE {database} {tables}"))
        .await
        .unwrap();
    client.query_drop("SET time_zone = '+00:00'").await.unwrap();
    for ((name, definition), rows) in TABLES.iter().zip([60_000u32, 20_000, 20_000, 2_000]) {
        client
            .query_drop(&format!("CREATE TABLE {database}.{name} {definition} {tables}"))
            .await
            .unwrap();
        for start in (1..=rows).step_by(2_000) {
            let rows: Vec<String> = (start..start + 2_000).map(|n| values(name, n)).collect();
            client
                .query_drop(&format!(
                    "INSERT INTO {database}.{name} VALUES {}",
                    rows.join(",")
                ))
                .await
                .unwrap();
        }
    }
}

async fn definitions(endpoint: &Endpoint, side: connection::Side, database: &str) -> Vec<Arc<TableSchema>> {
    let mut conn = connect(endpoint, side).await.unwrap();
    let info = ServerInfo::probe(&mut conn, side).await.unwrap();
    let names: Vec<TableName> = TABLES.iter().map(|(t, _)| TableName::new(database, *t)).collect();
    let mut catalog = Catalog::new(&mut conn, info.flavor, side);
    catalog
        .load_tables(&names)
        .await
        .unwrap()
        .into_iter()
        .map(Arc::new)
        .collect()
}

struct Bed {
    kind: ServerKind,
    sides: Arc<Servers>,
    pairs: Vec<TablePair>,
}

impl Bed {
    /// As another node would make it: nothing is kept from one to the next.
    fn sink(&self) -> Arc<dyn Sink> {
        let endpoint = self.sides.destination.clone();
        match self.kind {
            ServerKind::SeekDb => Arc::new(OceanBaseSink::new(endpoint)),
            _ => Arc::new(MysqlSink::new(endpoint)),
        }
    }

    fn results(&self) -> Results {
        Results::at(&*self.sink(), &component()).unwrap()
    }

    /// A run of a new owner.
    async fn verifier(&self, run: u32, scope: Scope) -> Verifier {
        let token = ClaimToken {
            component: component(),
            epoch: Epoch(1),
        };
        let options = SinkOptions {
            tables: Arc::default(),
            lanes: 0,
        };
        let claim = self.sink().claim(token, options).await.unwrap();
        let recorder = claim.record_writer().unwrap();
        let (tables, sides) = (self.pairs.clone(), self.sides.clone());
        let mut plan = Verification::new(self.results(), recorder, run, tables, sides);
        plan.scope = scope;
        plan.options.recheck_rounds = 1;
        plan.options.chunk_rows = 2_000;
        Verifier::new(plan)
    }

    async fn verify(&self, run: u32, scope: Scope) -> RunSummary {
        let verifier = self.verifier(run, scope).await;
        match verifier.run(&CancellationToken::new()).await.unwrap() {
            Ended::Completed(summary) => summary,
            Ended::Cancelled => panic!("nobody cancelled"),
        }
    }

    /// Everything that is recorded of a run.
    async fn recorded(&self, run: u32) -> Vec<(TableResult, Vec<Difference>)> {
        let run = self.results().run(run).await.unwrap();
        let mut recorded = Vec::new();
        for table in run.tables().await.unwrap() {
            let mut reader = run.differences(&table.source).await.unwrap();
            recorded.push((table, reader.take(1_000).await.unwrap()));
        }
        recorded
    }

    /// Breaks the run off as a kill does, again and again, and lets other nodes go on. Each breaks off
    /// when it has compared `rows` more. Returns the rows that each owner read.
    async fn verify_with_kills(&self, run: u32, rows: u64) -> Vec<u64> {
        let mut read = Vec::new();
        loop {
            let verifier = self.verifier(run, Scope::All).await;
            let progress = verifier.progress();
            let compared = async || {
                let mut first = None;
                loop {
                    let now: u64 = progress.tables().iter().map(|t| t.rows).sum();
                    // Rows of earlier owners are there before the first is read.
                    let begun = progress.counters.read().rows > 0;
                    if begun && now >= *first.get_or_insert(now) + rows {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            let never = CancellationToken::new();
            let ended = tokio::select! {
                biased;
                () = compared() => None,
                ended = verifier.run(&never) => Some(ended.unwrap()),
            };
            read.push(progress.counters.read().rows);
            if let Some(ended) = ended {
                assert!(matches!(ended, Ended::Completed(_)));
                return read;
            }
        }
    }
}

fn component() -> ComponentId {
    "p_servers.full-verification".parse().unwrap()
}

async fn planted_differences_are_found_and_corrected(kind: ServerKind) {
    let source = Server::start(ServerKind::MariaDb, ServerOptions::source())
        .await
        .unwrap();
    let destination = Server::start(kind, ServerOptions::destination()).await.unwrap();
    fill(&mut source.client().await.unwrap(), "s").await;
    let mut client = destination.client().await.unwrap();
    fill(&mut client, "d").await;
    let sides = Arc::new(Servers {
        source: endpoint(&source),
        destination: endpoint(&destination),
    });
    let from = definitions(&sides.source, connection::Side::Source, "s").await;
    let to = definitions(&sides.destination, connection::Side::Destination, "d").await;
    let pairs = from
        .into_iter()
        .zip(to)
        .map(|(s, d)| TablePair::by_name(s, d).unwrap())
        .collect();
    let bed = Bed { kind, sides, pairs };

    let clean = bed.verify(1, Scope::All).await;
    assert!(clean.consistent, "{clean:?} {:?}", bed.recorded(1).await);
    assert_eq!(clean.rows, 102_000);

    let mut planted = 0;
    let mut plant = async |statement: &str, rows: u64| {
        client.query_drop(statement).await.unwrap();
        assert_eq!(client.affected_rows(), rows, "{statement}");
        planted += rows;
    };
    // First and last rows, each column, rows beyond both ends.
    plant(
        "DELETE FROM d.numbers WHERE id IN (1, 2, 777, 30000, 59999, 60000)",
        6,
    )
    .await;
    plant("INSERT INTO d.numbers (id) VALUES (-5), (0), (60001), (99999)", 4).await;
    plant("UPDATE d.numbers SET a = a + 1 WHERE id BETWEEN 100 AND 109", 10).await;
    plant(
        "UPDATE d.numbers SET b = CONCAT(b, ' ') WHERE id BETWEEN 200 AND 204",
        5,
    )
    .await;
    plant(
        "UPDATE d.numbers SET c = c + 0.001, e = e * 1.0000001 WHERE id BETWEEN 300 AND 304",
        5,
    )
    .await;
    plant(
        "UPDATE d.numbers SET d = NULL, h = NULL WHERE id BETWEEN 400 AND 404",
        5,
    )
    .await;
    plant("UPDATE d.numbers SET f = X'00' WHERE id BETWEEN 500 AND 504", 5).await;
    plant(
        "UPDATE d.numbers SET g = '2001-01-01 00:00:00' WHERE id BETWEEN 600 AND 609",
        10,
    )
    .await;
    plant("DELETE FROM d.words WHERE k = 'word5000'", 3).await;
    plant(
        "INSERT INTO d.words VALUES ('aaa', 0, NULL), ('zzz', 1, ''), ('Word5', 9, 'x')",
        3,
    )
    .await;
    plant(
        "UPDATE d.words SET v = 'other' WHERE k IN ('word1', 'word2', 'word3')",
        9,
    )
    .await;
    plant(
        "UPDATE d.words SET k = UPPER(k) WHERE k IN ('word11', 'word12', 'word13', 'word14', 'word15')",
        15,
    )
    .await;
    plant(
        "INSERT INTO d.plain VALUES (1, 'b1', NULL), (1, 'b1', NULL), (NULL, NULL, 'x')",
        3,
    )
    .await;
    plant("DELETE FROM d.plain WHERE a BETWEEN 500 AND 504", 10).await;
    plant("DELETE FROM d.plain WHERE a = 7000", 2).await;
    plant(
        "INSERT INTO d.plain VALUES (600, 'B600', NULL), (600, 'b600 ', NULL)",
        2,
    )
    .await;
    plant(
        "INSERT INTO d.plain VALUES (601, 'ß', 'é'), (601, 'it''s', 'a\\\\b'), (602, '', '')",
        3,
    )
    .await;
    assert_eq!(planted, 100);

    let found = bed.verify(2, Scope::All).await;
    let recorded = bed.recorded(2).await;
    let tables: BTreeMap<String, _> = recorded
        .iter()
        .map(|(t, _)| (t.source.table.clone(), t.clone()))
        .collect();
    let counts = |table: &str| {
        let t = &tables[table];
        assert_eq!(t.error, None);
        (t.source_only, t.destination_only, t.mismatched)
    };
    assert_eq!(counts("numbers"), (6, 4, 40));
    assert_eq!(counts("words"), (3, 3, 24));
    assert_eq!(counts("plain"), (12, 8, 0));
    assert_eq!(found.source_only + found.destination_only + found.mismatched, 100);

    let inspector = Inspector::new(bed.sides.clone(), Arc::new(Utf8Charsets));
    for statement in PREAMBLE.split_inclusive(';') {
        client.query_drop(statement.trim()).await.unwrap();
    }
    // Owners that are killed find together what one owner finds.
    let read = bed.verify_with_kills(3, 25_000).await;
    assert!(read.len() > 2, "it was killed {} times", read.len() - 1);
    assert_eq!(bed.recorded(3).await, recorded);
    println!("{kind:?}: rows read by the owners of one run: {read:?}");
    // Of the tables with a key nothing finished is read again. What was under way in two workers per
    // side is, and the table without a key from its beginning.
    let once = 2 * (60_000 + 20_000 + 2_000) + 100;
    let repeated = read.len() as u64 * (4 * 2 * 2_000 + 2 * 2 * 20_000);
    assert!(read.iter().sum::<u64>() <= once + repeated);
    assert_eq!(bed.results().runs().await.unwrap(), [3]);
    for (pair, (_, differences)) in bed.pairs.iter().zip(&recorded) {
        for shown in inspector.inspect(pair, differences, true).await.unwrap() {
            let correction = shown.correction.unwrap();
            for statement in correction.lines() {
                client.query_drop(statement.trim_end_matches(';')).await.unwrap();
                assert!(client.affected_rows() > 0, "{statement}");
            }
        }
    }
    let again = bed.verify(4, Scope::Differences { of: 3 }).await;
    assert!(again.consistent && again.rows < 200, "{again:?}");
    let all = bed.verify(5, Scope::All).await;
    assert!(all.consistent && all.rows == 102_000, "{all:?}");
    bed.sink().forget(&component()).await.unwrap();
    assert!(bed.results().runs().await.unwrap().is_empty());
    let left = client
        .query_count("SELECT COUNT(*) FROM omsnode_meta.record_v1")
        .await;
    assert_eq!(left.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_against_mariadb() {
    planted_differences_are_found_and_corrected(ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_against_oceanbase() {
    planted_differences_are_found_and_corrected(ServerKind::SeekDb).await;
}
