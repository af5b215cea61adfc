//! Values of every type, loaded as texts into real servers where that is exact.

mod sink_bed;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "sink_bed/values.rs"]
mod values;

use std::sync::Arc;

use oms_cluster_tests::ServerKind;
use oms_core::{Row, RowBuilder, Sink, TableName, TablePair, Value, testing::sink::SinkBed};
use oms_mysql::{connection::Endpoint, sink::MysqlSink};
use sink_bed::Bed;
use values::{Sample, charsets, common, import, negative_zero, sample};

fn mysql(endpoint: Endpoint) -> Arc<dyn Sink> {
    Arc::new(MysqlSink::new(endpoint))
}

async fn loads(bed: &Bed) -> u64 {
    let mut client = bed.server.client().await.expect("connect");
    let status = client
        .query_strings("SHOW GLOBAL STATUS LIKE 'Com_load'")
        .await
        .expect("status");
    status[0][1].parse().expect("a number")
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    rows
}

fn row(id: i64, value: Value<'_>) -> Row {
    RowBuilder::build([Value::Int(id), value].into_iter()).expect("a row")
}

/// Each type in a table of its own, so that one that is not loaded does not keep the others from it. Says how many
/// tables were loaded without a statement.
async fn each_type(bed: &Bed, samples: &[Sample]) -> usize {
    let name = TableName::new("sink_contract", "one");
    let mut loaded = 0;
    for sample in samples {
        bed.execute(&format!("DROP TABLE IF EXISTS {name}")).await;
        bed.execute(&format!(
            "CREATE TABLE {name} (id BIGINT NOT NULL PRIMARY KEY, c {} NULL)",
            sample.ty
        ))
        .await;
        let schema = values::load(bed, &name).await;
        let pair = TablePair::by_name(schema.clone(), schema).expect("the same definition");
        let claim = values::claim(bed, pair).await;
        let values = sample.values.iter().copied().chain([Value::Null]);
        let rows: Vec<Row> = (0..).zip(values).map(|(id, value)| row(id, value)).collect();
        let before = loads(bed).await;
        import(claim.as_ref(), &name, &rows).await.expect(sample.ty);
        loaded += usize::from(loads(bed).await > before);
        let found = bed.rows(&name).await;
        assert!(found == sorted(rows.clone()), "{}: {found:?}", sample.ty);
    }
    loaded
}

/// Rows that are there already are replaced, as by statements.
async fn rows_that_are_there(bed: &Bed) {
    let name = TableName::new("sink_contract", "one");
    bed.execute(&format!("DROP TABLE IF EXISTS {name}")).await;
    bed.execute(&format!(
        "CREATE TABLE {name} (id BIGINT NOT NULL PRIMARY KEY, c INT NULL)"
    ))
    .await;
    let schema = values::load(bed, &name).await;
    let pair = TablePair::by_name(schema.clone(), schema).expect("the same definition");
    let claim = values::claim(bed, pair).await;
    let rows = |from: i64, value: i64| -> Vec<Row> {
        (from..from + 20).map(|id| row(id, Value::Int(value))).collect()
    };
    import(claim.as_ref(), &name, &rows(0, 1))
        .await
        .expect("the first");
    bed.execute("DELETE FROM omsnode_meta.receipt_v1").await;
    import(claim.as_ref(), &name, &rows(10, 2))
        .await
        .expect("some again");
    let mut wanted = rows(0, 1);
    wanted.truncate(10);
    wanted.extend(rows(10, 2));
    assert_eq!(bed.rows(&name).await, sorted(wanted));
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() {
    let bed = Bed::start(ServerKind::MariaDb, mysql).await;
    let mut samples = common();
    samples.extend(charsets());
    samples.push(sample("INET6", [Value::Text(b"2001:db8::ff00:42:8329")]));
    samples.push(sample("JSON", [Value::Text(b"{\"b\":1.0,  \"a\":[2.50]}")]));
    let loaded = each_type(&bed, &samples).await;
    assert!(
        loaded >= samples.len() * 2 / 3,
        "{loaded} of {} types",
        samples.len()
    );
    rows_that_are_there(&bed).await;
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_97() {
    let bed = Bed::start(ServerKind::Mysql97, mysql).await;
    let mut client = bed.server.client().await.expect("connect");
    client
        .query_drop("SET GLOBAL local_infile = 1")
        .await
        .expect("the server may be told to take texts");
    let mut samples = common();
    samples.extend(charsets());
    samples.extend(negative_zero());
    samples.push(values::json());
    let loaded = each_type(&bed, &samples).await;
    assert!(
        loaded >= samples.len() * 2 / 3,
        "{loaded} of {} types",
        samples.len()
    );
    rows_that_are_there(&bed).await;
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_56() {
    let bed = Bed::start(ServerKind::Mysql56, mysql).await;
    let mut samples = common();
    samples.extend(charsets());
    samples.extend(negative_zero());
    let loaded = each_type(&bed, &samples).await;
    assert!(
        loaded >= samples.len() * 2 / 3,
        "{loaded} of {} types",
        samples.len()
    );
    rows_that_are_there(&bed).await;
    bed.finish().await;
}
