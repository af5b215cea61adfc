//! A filter takes the same rows from the snapshot, from the log and from a server that is asked for them: random rows,
//! changes and conditions on real servers.
#![allow(clippy::unwrap_used)]

mod binlog_bed;

use std::{collections::BTreeMap, sync::Arc};

use binlog_bed::{Bed, Content, apply};
use oms_apply::{Condition, ShapedSource, TableShape, TextDecoder};
use oms_cluster_tests::{ServerKind, ServerOptions};
use oms_core::{ChunkRange, KeyOrder, Source, TableMap, TableName};
use oms_mysql::{MysqlSource, binlog::CaptureOptions, sink::charset::Decoder, snapshot::sql_condition};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Decoders by the names of their character sets: finding one takes a while.
struct Decoders(BTreeMap<&'static str, Decoder>);

impl Decoders {
    fn new() -> Self {
        let known = ["latin1", "gbk"].map(|charset| (charset, Decoder::find(charset).unwrap()));
        Self(known.into_iter().collect())
    }
}

impl TextDecoder for Decoders {
    fn is_known(&self, charset: &str) -> bool {
        self.0.contains_key(charset)
    }

    fn decode(&self, charset: &str, bytes: &[u8]) -> Option<String> {
        self.0.get(charset)?.decode(bytes).ok()
    }
}

const TEXTS: [&str; 10] = ["", "a", "A", "a ", " a", "ä", "ß", "b", "ab", "a\t"];
const DATES: [&str; 6] = [
    "0000-00-00",
    "1000-01-01",
    "2024-02-29",
    "2024-03-01",
    "2024-00-00",
    "9999-12-31",
];

/// A condition in our language, the same as the server would have to put it, and whether all of it can be pushed down.
struct Random {
    ours: String,
    servers: String,
    exact: bool,
}

fn integer(rng: &mut StdRng) -> String {
    const EDGES: [&str; 7] = [
        "0",
        "-1",
        "1",
        "2147483647",
        "-2147483648",
        "18446744073709551615",
        "9223372036854775808",
    ];
    if rng.random_bool(0.5) {
        return (*EDGES.choose(rng).unwrap()).to_owned();
    }
    rng.random_range(-20..20).to_string()
}

fn atom(rng: &mut StdRng) -> Random {
    let comparison = *["=", "<>", "<", "<=", ">", ">="].choose(rng).unwrap();
    let two_valued = |ours: String, exact: bool| Random {
        servers: format!("IFNULL({ours}, FALSE)"),
        ours,
        exact,
    };
    let column = *["i", "u", "id"].choose(rng).unwrap();
    match rng.random_range(0..11) {
        0 | 1 => two_valued(format!("{column} {comparison} {}", integer(rng)), true),
        2 => two_valued(format!("{} {comparison} {column}", integer(rng)), true),
        3 => two_valued(
            format!("{column} BETWEEN {} AND {}", integer(rng), integer(rng)),
            true,
        ),
        4 => {
            let list: Vec<String> = (0..rng.random_range(1..4)).map(|_| integer(rng)).collect();
            two_valued(format!("{column} IN ({})", list.join(", ")), true)
        }
        5 => {
            let column = *["i", "s", "g", "d", "dt", "n"].choose(rng).unwrap();
            two_valued(format!("{column} IS NULL"), true)
        }
        6 => {
            let date = *["2024-02-29", "1000-01-01", "2024-03-01"].choose(rng).unwrap();
            let column = *["d", "dt"].choose(rng).unwrap();
            two_valued(format!("{column} {comparison} '{date}'"), true)
        }
        7 => {
            let moment = *["2024-02-29 12:00:00", "2024-02-29 12:00:00.500"]
                .choose(rng)
                .unwrap();
            let column = *["d", "dt"].choose(rng).unwrap();
            two_valued(format!("{column} {comparison} '{moment}'"), column == "dt")
        }
        8 => {
            let number = format!("{}.{:02}", rng.random_range(-9..9), rng.random_range(0..100));
            two_valued(format!("n {comparison} {number}"), false)
        }
        9 => two_valued(format!("i % 7 {comparison} {}", rng.random_range(-3..4)), false),
        _ => {
            let column = *["s", "g", "e"].choose(rng).unwrap();
            let text = *TEXTS.choose(rng).unwrap();
            // By code points, without trailing spaces.
            let bytes = |t: &str| format!("CAST(RTRIM(CONVERT({t} USING utf8mb4)) AS BINARY)");
            Random {
                ours: format!("{column} {comparison} '{text}'"),
                servers: format!(
                    "IFNULL({} {comparison} {}, FALSE)",
                    bytes(column),
                    bytes(&format!("'{text}'"))
                ),
                exact: false,
            }
        }
    }
}

fn condition(rng: &mut StdRng, depth: u32) -> Random {
    if depth == 0 || rng.random_bool(0.2) {
        return atom(rng);
    }
    let left = condition(rng, depth - 1);
    match rng.random_range(0..8) {
        0 | 1 => Random {
            ours: format!("NOT ({})", left.ours),
            servers: format!("NOT ({})", left.servers),
            exact: left.exact,
        },
        n => {
            let right = condition(rng, depth - 1);
            let word = match n {
                2 => "XOR",
                3..5 => "OR",
                _ => "AND",
            };
            Random {
                ours: format!("({}) {word} ({})", left.ours, right.ours),
                servers: format!("({}) {word} ({})", left.servers, right.servers),
                exact: left.exact && right.exact && word != "XOR",
            }
        }
    }
}

fn or_null(rng: &mut StdRng, value: String) -> String {
    if rng.random_bool(0.2) {
        "NULL".into()
    } else {
        value
    }
}

fn values(rng: &mut StdRng) -> String {
    let u = ["0", "1", "18446744073709551615", "9223372036854775808", "7"];
    let g = ["", "a", "a ", "中", "中a", "b"];
    let moment = |rng: &mut StdRng| match rng.random_range(0..3) {
        0 => "'2024-02-29 12:00:00.500'".to_owned(),
        1 => "'2024-02-29 12:00:00'".to_owned(),
        _ => format!("'{} 00:00:00'", DATES.choose(rng).unwrap()),
    };
    let columns = [
        rng.random_range(-20..20).to_string(),
        (*u.choose(rng).unwrap()).to_owned(),
        format!("'{}'", DATES.choose(rng).unwrap()),
        moment(rng),
        format!("'{}'", TEXTS.choose(rng).unwrap()),
        format!("'{}'", g.choose(rng).unwrap()),
        format!("{}.{:02}", rng.random_range(-9..9), rng.random_range(0..100)),
        format!("'{}'", ["a", "b", "ä"].choose(rng).unwrap()),
    ];
    let columns: Vec<String> = columns.into_iter().map(|v| or_null(rng, v)).collect();
    columns.join(", ")
}

async fn snapshot_log_and_server_agree(kind: ServerKind, seed: u64, conditions: usize) {
    let mut bed = Bed::start(kind, ServerOptions::source()).await;
    let mut rng = StdRng::seed_from_u64(seed);
    bed.run(&[
        "CREATE TABLE t (id INT PRIMARY KEY, i INT, u BIGINT UNSIGNED, d DATE, dt DATETIME(3), \
         s VARCHAR(20) CHARACTER SET latin1, g VARCHAR(20) CHARACTER SET gbk, n DECIMAL(10,2), e ENUM('a', 'b', 'ä'))",
    ])
    .await;
    let start = bed.position().await;
    for id in 0..250 {
        let row = values(&mut rng);
        bed.run(&[&format!("INSERT INTO t VALUES ({id}, {row})")]).await;
    }
    for _ in 0..250 {
        let id = rng.random_range(0..250);
        let row = values(&mut rng);
        let change = match rng.random_range(0..4) {
            0 => format!("DELETE FROM t WHERE id = {id}"),
            1 => format!(
                "UPDATE t SET id = {} WHERE id = {id}",
                rng.random_range(300..9_999_999)
            ),
            _ => format!("REPLACE INTO t VALUES ({id}, {row})"),
        };
        bed.run(&[&change]).await;
        let n = rng.random_range(-20..20);
        bed.run(&[&format!("UPDATE t SET i = {n} WHERE id % 50 = {}", id % 50)])
            .await;
    }
    let end = bed.position().await;
    let records = bed.records(&start, &end).await;
    let plain = bed.tables("d", &["t"]).await;
    let name = TableName::new("d", "t");
    let texts: Arc<dyn TextDecoder> = Arc::new(Decoders::new());
    let source = Arc::new(MysqlSource::new(bed.endpoint.clone(), CaptureOptions::default()));
    let (mut pushed, mut found) = (0, 0);
    for number in 0..conditions {
        let depth = rng.random_range(0..4);
        let random = condition(&mut rng, depth);
        let words = format!("condition {number}: {}", random.ours);
        let shape = TableShape {
            filter: Some(random.ours.clone()),
            ..TableShape::default()
        };
        let choice = BTreeMap::from([(name.clone(), shape)]);
        let seen = ShapedSource::new(source.clone(), choice, texts.clone());
        let tables = seen.load_tables(std::slice::from_ref(&name)).await.unwrap();
        let tables = Arc::new(TableMap::new(tables.into_iter().map(Arc::new).collect()));
        let table = tables.get(0).unwrap().clone();

        // The snapshot, as a whole and as a chunk, with what is pushed down.
        let mut reader = seen.open_snapshot().await.unwrap();
        let mut read = [Content::new(), Content::new()];
        for (whole, content) in read.iter_mut().enumerate() {
            if whole == 0 {
                reader.read_all(table.clone()).await.unwrap();
            } else {
                let range = ChunkRange::default();
                reader
                    .read_chunk(table.clone(), &range, KeyOrder::Ordered)
                    .await
                    .unwrap();
            }
            while let Some(batch) = reader.next_batch(10_000).await.unwrap() {
                for row in batch.rows {
                    *content.entry((0, row.as_bytes().to_vec())).or_default() += 1;
                }
            }
        }
        let [whole, chunk] = read;
        assert!(whole == chunk, "{words}");

        // The log from the beginning.
        let mut decoder = seen.decoder(tables.clone(), &start).unwrap();
        let mut events = Vec::new();
        for record in &records {
            decoder.decode(record, &mut events).unwrap();
        }
        let mut logged = Content::new();
        apply(&mut logged, &events);
        assert!(
            logged == whole,
            "{words}: {} rows by log, {} by snapshot",
            logged.len(),
            whole.len()
        );

        // What the server makes of the whole condition, and of what is pushed down.
        let rows = whole.len() as u64;
        let sql = format!("SELECT COUNT(*) FROM d.t WHERE {}", random.servers);
        assert_eq!(
            bed.client.query_count(&sql).await.unwrap(),
            rows,
            "{words}: {sql}"
        );
        let filter = Condition::new(&random.ours, plain.get(0).unwrap(), texts.clone()).unwrap();
        let asked = filter.push_down();
        assert!(asked.is_some() || !random.exact, "{words} is not pushed down");
        if let Some(asked) = asked {
            pushed += 1;
            let sql = format!("SELECT COUNT(*) FROM d.t WHERE {}", sql_condition(&asked));
            let count = bed.client.query_count(&sql).await.unwrap();
            assert!(
                count >= rows && (count == rows || !random.exact),
                "{words}: {count} for {rows}: {sql}"
            );
        }
        found += rows;
    }
    assert!(
        pushed > conditions / 3 && found > conditions as u64 * 20,
        "{pushed} pushed down, {found} rows"
    );
}

#[tokio::test]
async fn snapshot_log_and_mariadb_agree() {
    snapshot_log_and_server_agree(ServerKind::MariaDb, 7, 150).await;
}

#[tokio::test]
async fn snapshot_log_and_mysql_agree() {
    snapshot_log_and_server_agree(ServerKind::Mysql97, 11, 60).await;
}
