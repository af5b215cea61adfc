//! A hundred planted differences in a hundred thousand and some rows of real servers: found, corrected, gone.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use oms_cluster_tests::{Client, Server, ServerKind, ServerOptions};
use oms_core::{Failure, SnapshotReader, TableName, TablePair, TableSchema};
use oms_mysql::{
    catalog::Catalog,
    connection::{self, Endpoint, Secret, ServerInfo, TlsMode, connect},
    snapshot::MysqlSnapshotReader,
};
use oms_verify::{
    Ended, Inspector, PREAMBLE, Results, RunSummary, Scope, Side, Sides, Utf8Charsets, Verification, Verifier,
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
    folder: tempfile::TempDir,
    sides: Arc<Servers>,
    pairs: Vec<TablePair>,
}

impl Bed {
    fn results(&self) -> Results {
        Results::new(self.folder.path(), "p").unwrap()
    }

    async fn verify(&self, run: u32, scope: Scope) -> RunSummary {
        let mut plan = Verification::new(self.results(), run, self.pairs.clone(), self.sides.clone());
        plan.scope = scope;
        plan.options.recheck_rounds = 1;
        match Verifier::new(plan).run(&CancellationToken::new()).await.unwrap() {
            Ended::Completed(summary) => summary,
            Ended::Cancelled => panic!("nobody cancelled"),
        }
    }
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
    let bed = Bed {
        folder: tempfile::tempdir().unwrap(),
        sides,
        pairs,
    };

    let clean = bed.verify(1, Scope::All).await;
    assert!(
        clean.consistent,
        "{clean:?} {:?}",
        bed.results().run(1).unwrap().tables()
    );
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
    let tables: BTreeMap<String, _> = bed
        .results()
        .run(2)
        .unwrap()
        .tables()
        .unwrap()
        .into_iter()
        .map(|t| (t.source.table.clone(), t))
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
    let run = bed.results().run(2).unwrap();
    for pair in &bed.pairs {
        let differences: Vec<_> = run
            .differences(&pair.source.name)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        for shown in inspector.inspect(pair, &differences, true).await.unwrap() {
            let correction = shown.correction.unwrap();
            for statement in correction.lines() {
                client.query_drop(statement.trim_end_matches(';')).await.unwrap();
                assert!(client.affected_rows() > 0, "{statement}");
            }
        }
    }
    let again = bed.verify(3, Scope::Differences { of: 2 }).await;
    assert!(again.consistent && again.rows < 200, "{again:?}");
    let all = bed.verify(4, Scope::All).await;
    assert!(all.consistent && all.rows == 102_000, "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_against_mariadb() {
    planted_differences_are_found_and_corrected(ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_against_oceanbase() {
    planted_differences_are_found_and_corrected(ServerKind::SeekDb).await;
}
