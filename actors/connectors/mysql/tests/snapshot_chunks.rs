//! Chunks, keys and whole tables of the corpus give the same rows on every server.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, sync::Arc};

use oms_cluster_tests::{Client, Corpus, Server, ServerKind, ServerOptions};
use oms_core::{
    ChunkEnds, ChunkRange, KeyOrder, Row, RowBuilder, SnapshotReader, TableName, TableSchema, Value, codes,
};
use oms_mysql::{
    catalog::Catalog,
    connection::{Endpoint, Secret, ServerInfo, Side, TlsMode, connect},
    snapshot::MysqlSnapshotReader,
};

async fn drain(reader: &mut MysqlSnapshotReader) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some(batch) = reader.next_batch(4096).await.unwrap() {
        rows.extend(batch.rows);
    }
    rows
}

fn key_of(table: &TableSchema, row: &Row) -> Row {
    let columns = table.row_key_columns().unwrap();
    RowBuilder::build(columns.iter().map(|i| row.get(*i))).unwrap()
}

async fn chunks_add_up(kind: ServerKind) {
    let options = match kind {
        ServerKind::SeekDb => ServerOptions::destination(),
        _ => ServerOptions::source(),
    };
    let server = Server::start(kind, options).await.unwrap();
    let corpus = Corpus::new(kind, "corpus");
    let mut client = server.client().await.unwrap();
    client.run_all(&corpus.create).await.unwrap();
    client.run_all(&corpus.seed).await.unwrap();
    let endpoint = Endpoint {
        host: server.host().into(),
        port: server.port(),
        user: server.user().into(),
        password: Secret::new(server.password()),
        tls: TlsMode::Disable,
        tls_ca_pem: String::new(),
    };
    let mut conn = connect(&endpoint, Side::Source).await.unwrap();
    let info = ServerInfo::probe(&mut conn, Side::Source).await.unwrap();
    let names: Vec<TableName> = corpus
        .tables
        .iter()
        .map(|t| TableName::new("corpus", t))
        .collect();
    let mut catalog = Catalog::new(&mut conn, info.flavor, Side::Source);
    let tables = catalog.load_tables(&names).await.unwrap();
    assert_eq!(tables.len(), names.len());
    let mut reader = MysqlSnapshotReader::open(endpoint, Side::Source, None)
        .await
        .unwrap();
    let (mut with_rows, mut keyless) = (0, 0);
    for table in tables {
        let table = Arc::new(table);
        reader.read_all(Arc::clone(&table)).await.unwrap();
        let mut all = drain(&mut reader).await;
        assert_eq!(
            all.len() as u64,
            reader.count(&table).await.unwrap(),
            "{}",
            table.name
        );
        with_rows += usize::from(!all.is_empty());
        if table.row_key().is_none() {
            keyless += 1;
            let refused = reader.chunk_end(&table, None, 3).await.unwrap_err();
            assert_eq!(refused.code(), codes::import::KEY_NOT_USABLE);
            continue;
        }
        let first = reader.chunk_end(&table, None, 3).await;
        if let Err(e) = &first {
            assert_eq!(e.code(), codes::import::KEY_NOT_USABLE, "{}: {e}", table.name);
            continue;
        }
        let mut chunked = Vec::new();
        let mut after = None;
        loop {
            let through = reader.chunk_end(&table, after.as_ref(), 3).await.unwrap();
            let range = ChunkRange {
                after: after.clone(),
                through: through.clone(),
            };
            reader
                .read_chunk(Arc::clone(&table), &range, KeyOrder::Ordered)
                .await
                .unwrap();
            let rows = drain(&mut reader).await;
            if through.is_some() {
                assert_eq!(rows.len(), 3, "{kind} {} {:?}", table.name, range);
                assert_eq!(
                    key_of(&table, &rows[2]),
                    through.clone().unwrap(),
                    "{}",
                    table.name
                );
            }
            chunked.extend(rows);
            match through {
                Some(end) => after = Some(end),
                None => break,
            }
        }
        let keys: Vec<Row> = chunked.iter().map(|r| key_of(&table, r)).collect();
        reader.read_keys(Arc::clone(&table), &keys).await.unwrap();
        let mut by_key = drain(&mut reader).await;
        for rows in [&mut all, &mut chunked, &mut by_key] {
            rows.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        }
        assert_eq!(all, chunked, "{kind} {}", table.name);
        assert_eq!(all, by_key, "{kind} {}", table.name);
    }
    assert!(
        with_rows > 5 && keyless > 0,
        "{with_rows} tables with rows, {keyless} without a key"
    );
    uneven_numbers(&mut client, &mut catalog, &mut reader, kind).await;
    keys_of_any_kind(&mut client, &mut catalog, &mut reader, kind).await;
    // Names that differ are found as they are, and missing ones are all named.
    let missing = [
        TableName::new("corpus", "no_such"),
        TableName::new("nowhere", "t"),
    ];
    let e = catalog.load_tables(&missing).await.unwrap_err();
    assert_eq!(e.code(), codes::src::TABLE_MISSING);
    assert!(
        e.detail().contains("no_such") && e.detail().contains("nowhere"),
        "{e}"
    );
    let objects = catalog.objects("corpus").await.unwrap();
    let found: BTreeSet<&str> = objects.iter().map(|o| o.name.table.as_str()).collect();
    for name in corpus.tables.iter().chain(&corpus.views) {
        let name = if info.lower_case_table_names == 0 {
            name.clone()
        } else {
            name.to_lowercase()
        };
        assert!(found.contains(name.as_str()), "{name}");
    }
}

/// Keys with gaps, close together and far apart, up to the greatest there is: calculated chunks hold each row once, and
/// about as many as wanted.
async fn uneven_numbers(
    client: &mut Client,
    catalog: &mut Catalog<'_>,
    reader: &mut MysqlSnapshotReader,
    kind: ServerKind,
) {
    let mut keys: Vec<u64> = (0..5_000).map(|n| n * 3).collect();
    keys.extend((0..5_000).map(|n| 1_000_000_000 + n));
    keys.extend((0..5_000).map(|n| (1 << 40) + n * 7_919_000_003));
    keys.extend((0..100).map(|n| u64::MAX - n));
    client
        .query_drop("CREATE TABLE corpus.uneven (id BIGINT UNSIGNED PRIMARY KEY, v INT)")
        .await
        .unwrap();
    for some in keys.chunks(1_000) {
        let rows: Vec<String> = some.iter().map(|n| format!("({n},1)")).collect();
        let sql = format!("INSERT INTO corpus.uneven VALUES {}", rows.join(","));
        client.query_drop(&sql).await.unwrap();
    }
    let names = [TableName::new("corpus", "uneven")];
    let table = Arc::new(catalog.load_tables(&names).await.unwrap().remove(0));
    let (mut ends, mut after) = (ChunkEnds::new(&table), None);
    let (mut all, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let through = ends.next(reader, &table, after.as_ref(), 500).await.unwrap();
        let range = ChunkRange {
            after,
            through: through.clone(),
        };
        reader
            .read_chunk(Arc::clone(&table), &range, KeyOrder::Ordered)
            .await
            .unwrap();
        let rows = drain(reader).await;
        ends.saw(&range, rows.len() as u64);
        sizes.push(rows.len());
        all.extend(rows.iter().map(|row| match row.get(0) {
            Value::UInt(n) => n,
            other => panic!("{:?}", other.kind()),
        }));
        match through {
            Some(end) => after = Some(end),
            None => break,
        }
    }
    keys.sort_unstable();
    assert!(all == keys, "{kind}: {} of {} rows", all.len(), keys.len());
    assert!(sizes.len() < 150, "{kind}: {sizes:?}");
    assert!(sizes.iter().all(|n| *n <= 2_500), "{kind}: {sizes:?}");
}

/// Rows of each of the tables, and wanted in a chunk.
const MANY: u64 = 10_000;
const WANTED: u64 = 400;

/// Index entries and rows that the server has read since it was started.
async fn entries_read(client: &mut Client) -> u64 {
    let shown = client
        .query_strings("SHOW GLOBAL STATUS LIKE 'Handler_read_%'")
        .await
        .unwrap();
    // How often a read was tried again, or met a deleted row, is not how many there were.
    let counts = shown
        .iter()
        .filter(|row| !row[0].contains("rnd_deleted") && !row[0].contains("retry"));
    counts.map(|row| row[1].parse::<u64>().unwrap()).sum()
}

/// The key of a row, written as SQL.
type KeyOf = Box<dyn Fn(u64) -> String>;

/// Keys that are not one integer: chunks hold each row once and about as many as wanted, and the server reads few entries of
/// its indexes to find them, however many rows there are.
async fn keys_of_any_kind(
    client: &mut Client,
    catalog: &mut Catalog<'_>,
    reader: &mut MysqlSnapshotReader,
    kind: ServerKind,
) {
    let word = |n: u64| {
        format!(
            "{}{}",
            ["Zoo", "apfel", "Apfel", "b", "B-", "_", "~x"][(n % 7) as usize],
            n * 7_919 % MANY
        )
    };
    let hash = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let texts: Vec<(&str, &str, KeyOf)> = vec![
        (
            "words",
            "a VARCHAR(40) COLLATE utf8mb4_general_ci",
            Box::new(move |n| format!("'{}'", word(n))),
        ),
        (
            "padded",
            "a CHAR(20) COLLATE utf8mb4_bin",
            Box::new(|n| format!("'order-{n:08}'")),
        ),
        (
            "hashes",
            "a BINARY(8)",
            Box::new(move |n| format!("X'{:016x}'", hash(n))),
        ),
        (
            "decimals",
            "a DECIMAL(30,4)",
            Box::new(|n| format!("{}.{:04}", n * n, n % 10_000)),
        ),
        (
            "moments",
            "a DATETIME, b INT",
            Box::new(|n| {
                format!(
                    "'20{:02}-{:02}-{:02} 10:00:00',{}",
                    n % 3 + 10,
                    n % 12 + 1,
                    n % 28 + 1,
                    n / 84
                )
            }),
        ),
        (
            "skewed",
            "a INT, b VARCHAR(40) COLLATE utf8mb4_general_ci",
            Box::new(move |n| format!("{},'{}'", if n % 100 == 0 { n } else { 7 }, word(n))),
        ),
        (
            "runs",
            "a VARCHAR(9) COLLATE utf8mb4_general_ci, b BIGINT, c INT",
            Box::new(|n| format!("'shop {}',{},{}", n % 5, n / 5 * 1_000_003, n % 2)),
        ),
    ];
    for (name, columns, of) in texts {
        let column_names: Vec<&str> = columns.split(", ").map(|c| &c[..1]).collect();
        let definition = columns.replace(", ", " NOT NULL, ");
        client
            .run_all(&[
                format!("CREATE TABLE corpus.keys_{name} ({definition} NOT NULL, v INT, PRIMARY KEY ({})) CHARACTER SET utf8mb4", column_names.join(",")),
            ])
            .await
            .unwrap();
        let all: Vec<u64> = (0..MANY).collect();
        for some in all.chunks(1_000) {
            let rows: Vec<String> = some.iter().map(|n| format!("({},{n})", of(*n))).collect();
            let sql = format!("INSERT INTO corpus.keys_{name} VALUES {}", rows.join(","));
            client.query_drop(&sql).await.unwrap();
        }
        client
            .run_all(&[format!("ANALYZE TABLE corpus.keys_{name}")])
            .await
            .unwrap();
        let names = [TableName::new("corpus", format!("keys_{name}"))];
        let table = Arc::new(catalog.load_tables(&names).await.unwrap().remove(0));
        let (mut ends, mut after) = (ChunkEnds::new(&table), None);
        let mut ranges = Vec::new();
        let before = entries_read(client).await;
        loop {
            let through = ends.next(reader, &table, after.as_ref(), WANTED).await.unwrap();
            let range = ChunkRange {
                after,
                through: through.clone(),
            };
            ends.saw(&range, WANTED);
            ranges.push(range);
            match through {
                Some(end) => after = Some(end),
                None => break,
            }
        }
        let read = entries_read(client).await - before;
        let (mut seen, mut sizes) = (BTreeSet::new(), Vec::new());
        for range in &ranges {
            reader
                .read_chunk(Arc::clone(&table), range, KeyOrder::Any)
                .await
                .unwrap();
            let rows = drain(reader).await;
            sizes.push(rows.len() as u64);
            for row in &rows {
                let Value::Int(n) = row.get(column_names.len()) else {
                    panic!("{name}: no number");
                };
                assert!(seen.insert(n), "{kind} {name}: row {n} is in two chunks");
            }
        }
        assert_eq!(seen.len() as u64, MANY, "{kind} {name}");
        assert!(sizes.len() <= 120, "{kind} {name}: {sizes:?}");
        assert!(sizes.iter().all(|n| *n <= 5 * WANTED), "{kind} {name}: {sizes:?}");
        if kind != ServerKind::SeekDb {
            // Up to 24 looks, each of up to two dives that read an entry; nothing is read up to anywhere.
            let most = (24 * 2 + 2) * sizes.len() as u64;
            assert!(
                read <= most,
                "{kind} {name}: {read} entries read for {} chunks",
                sizes.len()
            );
        }
    }
}

#[tokio::test]
async fn chunks_of_mariadb_add_up() {
    chunks_add_up(ServerKind::MariaDb).await;
}

#[tokio::test]
async fn chunks_of_mysql_56_add_up() {
    chunks_add_up(ServerKind::Mysql56).await;
}

#[tokio::test]
async fn chunks_of_mysql_97_add_up() {
    chunks_add_up(ServerKind::Mysql97).await;
}

#[tokio::test]
async fn chunks_of_oceanbase_add_up() {
    chunks_add_up(ServerKind::SeekDb).await;
}
