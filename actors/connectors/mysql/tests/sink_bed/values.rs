//! Values of every type: written by chunk and by change, read back, compared byte by byte.

use std::sync::Arc;

use oms_core::{
    ApplyMode, ChunkRange, ChunkReceipt, CivilDate, CivilDateTime, Claim, ClaimToken, Duration, Epoch,
    ExistingRows, Failure, LaneId, LaneState, Row, RowBuilder, RowOp, SinkOptions, TableName, TablePair,
    TableSchema, Value, Watermark, testing::TableShape, testing::numbered_position, testing::sink::SinkBed,
};

use super::Bed;

pub(crate) struct Sample {
    pub(crate) ty: &'static str,
    pub(crate) values: Vec<Value<'static>>,
}

pub(crate) fn sample(ty: &'static str, values: impl Into<Vec<Value<'static>>>) -> Sample {
    Sample {
        ty,
        values: values.into(),
    }
}

fn date(year: u16, month: u8, day: u8) -> CivilDate {
    CivilDate { year, month, day }
}

fn at(date: CivilDate, hour: u8, minute: u8, second: u8, micros: u32) -> CivilDateTime {
    CivilDateTime {
        date,
        hour,
        minute,
        second,
        micros,
    }
}

const ALL_BYTES: &[u8] = &{
    let mut all = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        all[i] = i as u8;
        i += 1;
    }
    all
};

/// What every server of the family has.
pub(crate) fn common() -> Vec<Sample> {
    use Value::*;
    let point: &[u8] = &[
        0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0x40,
    ];
    let tricky = "'\\\"`\0\n\r\x1a%_ --/*💩é中".as_bytes();
    vec![
        sample("TINYINT", [Int(-128), Int(127), Int(0)]),
        sample("TINYINT UNSIGNED", [UInt(0), UInt(255)]),
        sample("MEDIUMINT", [Int(-8_388_608), Int(8_388_607)]),
        sample("INT UNSIGNED", [UInt(4_294_967_295), UInt(0)]),
        sample("BIGINT", [Int(i64::MIN), Int(i64::MAX)]),
        sample("BIGINT UNSIGNED", [UInt(u64::MAX), UInt(0)]),
        sample(
            "DECIMAL(65,30)",
            [
                Decimal("99999999999999999999999999999999999.999999999999999999999999999999"),
                Decimal("-0.000000000000000000000000000001"),
                Decimal("0.000000000000000000000000000000"),
            ],
        ),
        sample("DECIMAL(5,0) UNSIGNED", [Decimal("99999"), Decimal("0")]),
        sample(
            "FLOAT",
            [
                Float(f32::MAX),
                Float(f32::MIN_POSITIVE),
                Float(0.1),
                Float(16_777_217.0),
                Float(0.0),
            ],
        ),
        sample(
            "DOUBLE",
            [
                Double(f64::MAX),
                Double(5e-324),
                Double(0.1),
                Double(-1.5e-300),
                Double(9_007_199_254_740_993.0),
                Double(0.0),
            ],
        ),
        sample("BIT(1)", [Bit(1), Bit(0)]),
        sample("BIT(64)", [Bit(u64::MAX), Bit(0), Bit(1 << 63)]),
        sample("YEAR", [Year(0), Year(1901), Year(2155)]),
        sample(
            "DATE",
            [
                Date(date(0, 0, 0)),
                Date(date(2024, 0, 0)),
                Date(date(2024, 2, 31)),
                Date(date(9999, 12, 31)),
            ],
        ),
        sample(
            "DATETIME(6)",
            [
                DateTime(at(date(0, 0, 0), 0, 0, 0, 0)),
                DateTime(at(date(2024, 5, 0), 23, 59, 59, 999_999)),
                DateTime(at(date(1000, 1, 1), 0, 0, 0, 1)),
            ],
        ),
        sample("DATETIME", [DateTime(at(date(9999, 12, 31), 23, 59, 59, 0))]),
        sample(
            "TIMESTAMP(6) NULL",
            [
                Timestamp(0),
                Timestamp(1_000_000),
                Timestamp(2_147_483_647_999_999),
            ],
        ),
        sample("TIMESTAMP NULL", [Timestamp(0), Timestamp(1_600_000_000_000_000)]),
        sample(
            "TIME(6)",
            [
                Time(Duration(-3_020_399_000_000)),
                Time(Duration(3_020_399_000_000)),
                Time(Duration(-1)),
            ],
        ),
        sample("TIME", [Time(Duration(0)), Time(Duration(-3_600_000_000))]),
        sample(
            "CHAR(20) CHARACTER SET utf8mb4",
            [Text(b""), Text(b" leading"), Text("💩é".as_bytes())],
        ),
        sample(
            "VARCHAR(60) CHARACTER SET utf8mb4",
            [Text(tricky), Text(b"trailing  "), Text(b"")],
        ),
        sample(
            "TEXT CHARACTER SET utf8mb4",
            [Text(tricky), Text(b"A"), Text(b"a"), Text(b"a ")],
        ),
        sample(
            "BINARY(4)",
            [Bytes(b"a\0\0\0"), Bytes(b"\0\0\0\0"), Bytes(b"\xFF\\'\0")],
        ),
        sample("VARBINARY(300)", [Bytes(ALL_BYTES), Bytes(b""), Bytes(b"a\0")]),
        sample("LONGBLOB", [Bytes(ALL_BYTES), Bytes(b"\xE4\xB8"), Bytes(b"'")]),
        sample("ENUM('a','B','c''d','')", [Enum(1), Enum(3), Enum(0), Enum(4)]),
        sample("SET('p','q','r s')", [Set(0), Set(7), Set(4)]),
        sample("GEOMETRY", [Geometry(point), Null]),
    ]
}

/// Columns with a JSON type of their own. The texts are in the normal form of the servers.
pub(crate) fn json() -> Sample {
    let texts = [
        "{\"a\": [1, 2.5, \"x\\\\ é\"], \"b\": 1.0}",
        "null",
        "\"'\"",
        "18446744073709551615",
        "[]",
    ];
    sample("JSON", texts.map(Value::Json))
}

pub(crate) fn negative_zero() -> [Sample; 2] {
    [
        sample("FLOAT", [Value::Float(-0.0), Value::Float(0.0)]),
        sample("DOUBLE", [Value::Double(0.0), Value::Double(-0.0)]),
    ]
}

/// Character sets that the server itself knows.
pub(crate) fn charsets() -> Vec<Sample> {
    use Value::Text;
    vec![
        sample(
            "VARCHAR(20) CHARACTER SET latin1",
            [Text(b"caf\xE9 \x80\x81\x9D"), Text(b"plain"), Text(b"CAF\xC9")],
        ),
        sample(
            "VARCHAR(20) CHARACTER SET gbk",
            [Text(b"\xD6\xD0\x81\x5C"), Text(b"plain"), Text(b"it's")],
        ),
        sample("TEXT CHARACTER SET sjis", [Text(b"\x83\x5C"), Text(b"ascii")]),
        sample(
            "CHAR(10) CHARACTER SET ucs2",
            [Text(b"\x4E\x2D\0a"), Text(b"\0b")],
        ),
        sample(
            "VARCHAR(10) CHARACTER SET utf16",
            [Text(b"\xD8\x3D\xDC\xA9\0'"), Text(b"\0a\0 ")],
        ),
        sample("VARCHAR(10) CHARACTER SET utf8", [Text("中é".as_bytes())]),
    ]
}

fn columns(samples: &[Sample]) -> String {
    samples
        .iter()
        .enumerate()
        .map(|(i, s)| format!("`c{i} ``x`` .` {}", s.ty))
        .collect::<Vec<_>>()
        .join(", ")
}

fn rows(samples: &[Sample]) -> Vec<Row> {
    let most = samples.iter().map(|s| s.values.len()).max().unwrap_or_default();
    let mut rows: Vec<Row> = (0..most)
        .map(|n| row(n as i64, samples.iter().map(|s| s.values[n % s.values.len()])))
        .collect();
    rows.push(row(most as i64, samples.iter().map(|_| Value::Null)));
    rows
}

fn row<'v>(id: i64, values: impl Iterator<Item = Value<'v>>) -> Row {
    let all: Vec<Value<'v>> = std::iter::once(Value::Int(id)).chain(values).collect();
    RowBuilder::build(all.into_iter()).expect("a row")
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    rows
}

fn describe(left: &[Row], right: &[Row], samples: &[Sample]) -> String {
    let mut out = format!("{} and {} rows;", left.len(), right.len());
    for (a, b) in left.iter().zip(right) {
        for (i, s) in samples.iter().enumerate() {
            if a.cell(i + 1) != b.cell(i + 1) {
                out.push_str(&format!("\n{}: {:?} | {:?}", s.ty, a.get(i + 1), b.get(i + 1)));
            }
        }
    }
    out
}

pub(crate) async fn load(bed: &Bed, name: &TableName) -> Arc<TableSchema> {
    let loaded = bed
        .sink
        .load_tables(std::slice::from_ref(name))
        .await
        .expect("load");
    Arc::new(loaded.into_iter().next().flatten().expect("the table exists"))
}

pub(crate) async fn claim(bed: &Bed, pair: TablePair) -> Arc<dyn Claim> {
    let token = ClaimToken {
        component: "p_values.full-import".parse().expect("a name"),
        epoch: Epoch(1),
    };
    bed.sink
        .claim(
            token,
            SinkOptions {
                tables: Arc::new(vec![pair]),
                lanes: 1,
            },
        )
        .await
        .expect("claim")
}

pub(crate) async fn import(claim: &dyn Claim, source: &TableName, rows: &[Row]) -> Result<(), Failure> {
    let mut writer = claim.chunk_writer().await?;
    writer.begin(0, ExistingRows::Replace).await?;
    writer.write(rows).await?;
    let receipt = ChunkReceipt {
        table: source.clone(),
        number: 0,
        range: ChunkRange::default(),
        rows: rows.len() as u64,
        bytes: 0,
        snapshot: None,
    };
    writer.commit(&receipt).await
}

pub(crate) async fn apply(claim: &dyn Claim, ops: &[RowOp]) -> Result<(), Failure> {
    let mut applier = claim.applier(LaneId(0)).await?;
    applier.begin_writing(ops).await?;
    let watermark = Watermark {
        applied: 1,
        position: numbered_position(1),
    };
    applier
        .commit(&LaneState {
            watermark,
            above: Default::default(),
        })
        .await
}

pub(crate) fn change(before: Option<&Row>, after: Option<&Row>) -> RowOp {
    RowOp {
        table: 0,
        mode: ApplyMode::Strict,
        before: before.cloned(),
        after: after.cloned(),
        origin: None,
    }
}

/// A table of the samples, with and without a key.
async fn table(bed: &Bed, name: &str, samples: &[Sample], key: &str) -> (TableName, TablePair) {
    let name = TableName::new("sink_contract", name);
    bed.execute(&format!("DROP TABLE IF EXISTS {name}")).await;
    bed.execute(&format!(
        "CREATE TABLE {name} (id BIGINT NOT NULL, {}{key})",
        columns(samples)
    ))
    .await;
    let schema = load(bed, &name).await;
    let pair = TablePair::by_name(schema.clone(), schema).expect("the same definition");
    (name, pair)
}

/// Every value arrives as it was, by chunk and by change; rows without a key are told apart by each
/// type's exact value.
pub(crate) async fn round_trip(bed: &Bed, samples: &[Sample]) {
    let all = rows(samples);
    let (name, pair) = table(bed, "typed", samples, ", PRIMARY KEY (id)").await;
    let claimed = claim(bed, pair).await;
    import(claimed.as_ref(), &name, &all).await.expect("import");
    let found = bed.rows(&name).await;
    assert!(
        found == sorted(all.clone()),
        "import: {}",
        describe(&sorted(all.clone()), &found, samples)
    );

    // Each row takes the values of the next one, then goes back, then is deleted and inserted.
    let next = |n: usize| {
        let from = &all[(n + 1) % all.len()];
        row(n as i64, (1..from.len()).map(|i| from.get(i)))
    };
    let shifted: Vec<Row> = (0..all.len()).map(next).collect();
    let forward: Vec<RowOp> = all
        .iter()
        .zip(&shifted)
        .map(|(a, b)| change(Some(a), Some(b)))
        .collect();
    apply(claimed.as_ref(), &forward).await.expect("updates");
    let found = bed.rows(&name).await;
    assert!(
        found == sorted(shifted.clone()),
        "update: {}",
        describe(&sorted(shifted.clone()), &found, samples)
    );
    // And back again, one column of all rows at a time: changes of the same columns are written together.
    let mut now = shifted;
    for column in 1..now[0].len() {
        let back = |(n, from): (usize, &Row)| {
            let value = |i: usize| if i == column { all[n].get(i) } else { from.get(i) };
            row(n as i64, (1..from.len()).map(value))
        };
        let then: Vec<Row> = now.iter().enumerate().map(back).collect();
        let ops: Vec<RowOp> = now
            .iter()
            .zip(&then)
            .map(|(a, b)| change(Some(a), Some(b)))
            .collect();
        apply(claimed.as_ref(), &ops).await.expect("updates of a column");
        now = then;
    }
    let found = bed.rows(&name).await;
    assert!(
        found == sorted(all.clone()),
        "update by column: {}",
        describe(&sorted(all.clone()), &found, samples)
    );
    let mut rest: Vec<RowOp> = all.iter().map(|r| change(Some(r), None)).collect();
    apply(claimed.as_ref(), &rest).await.expect("deletes");
    rest = all.iter().map(|r| change(None, Some(r))).collect();
    apply(claimed.as_ref(), &rest).await.expect("inserts");
    assert!(bed.rows(&name).await == sorted(all.clone()), "inserts by change");

    // Without a key, all rows are two of each and differ only in the values.
    let all: Vec<Row> = all
        .iter()
        .map(|r| row(1, (1..r.len()).map(|i| r.get(i))))
        .collect();
    let (name, pair) = table(bed, "typed_keyless", samples, "").await;
    let claimed = claim(bed, pair).await;
    let twice: Vec<RowOp> = all
        .iter()
        .flat_map(|r| [change(None, Some(r)), change(None, Some(r))])
        .collect();
    apply(claimed.as_ref(), &twice).await.expect("inserts");
    for r in &all {
        apply(claimed.as_ref(), &[change(Some(r), None)])
            .await
            .expect("one of two equal rows");
    }
    let found = bed.rows(&name).await;
    assert!(
        found == sorted(all.clone()),
        "keyless: {}",
        describe(&sorted(all.clone()), &found, samples)
    );
    let shifted: Vec<Row> = (0..all.len()).map(|n| all[(n + 1) % all.len()].clone()).collect();
    let around: Vec<RowOp> = all
        .iter()
        .zip(&shifted)
        .map(|(a, b)| change(Some(a), Some(b)))
        .collect();
    apply(claimed.as_ref(), &around)
        .await
        .expect("updates of identical rows");
    assert!(bed.rows(&name).await == sorted(all), "keyless updates");
}

async fn narrow(bed: &Bed, shape: TableShape) -> (TableName, Arc<dyn Claim>) {
    let name = TableName::new("sink_contract", "narrow");
    bed.create_table(&name, shape).await;
    let schema = load(bed, &name).await;
    let pair = TablePair::by_name(schema.clone(), schema).expect("the same definition");
    (name, claim(bed, pair).await)
}

/// A transaction that begins together with its first changes is fenced as any other: after another claim, and when it
/// waits for the row that a claim has locked.
pub(crate) async fn late_owners_write_nothing(bed: &Bed) {
    let (name, former) = narrow(bed, TableShape::Keyed).await;
    let plain = |id| change(None, Some(&TableShape::row(id, Some(id), Some("late"))));
    let mut late = former.applier(LaneId(0)).await.expect("an applier");
    let mut raw = bed.server.client().await.expect("a client");
    raw.query_drop("BEGIN").await.expect("begin");
    raw.query_drop("UPDATE omsnode_meta.fence_v1 SET claim = claim + 1")
        .await
        .expect("what a claim does");
    let waiting = tokio::spawn(async move { late.begin_writing(&[plain(1)]).await });
    // Until the server shows that it waits, or for long enough that it certainly does.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "it waits for the claim");
    raw.query_drop("COMMIT").await.expect("commit");
    let fenced = waiting.await.expect("no panic").expect_err("fenced");
    assert_eq!(fenced.code(), oms_core::codes::apply::FENCED, "{fenced}");
    assert!(bed.rows(&name).await.is_empty());

    let (name, former) = narrow(bed, TableShape::Keyed).await;
    let mut late = former.applier(LaneId(0)).await.expect("an applier");
    raw.query_drop("UPDATE omsnode_meta.fence_v1 SET claim = claim + 1")
        .await
        .expect("what a claim does");
    let fenced = late
        .begin_writing(&[plain(1), plain(2)])
        .await
        .expect_err("fenced");
    assert_eq!(fenced.code(), oms_core::codes::apply::FENCED, "{fenced}");
    let (name_again, former) = (name.clone(), narrow(bed, TableShape::Keyed).await.1);
    let mut late = former.applier(LaneId(0)).await.expect("an applier");
    raw.query_drop("DELETE FROM omsnode_meta.fence_v1")
        .await
        .expect("what forgetting does");
    let fenced = late.begin_writing(&[plain(1)]).await.expect_err("fenced");
    assert_eq!(fenced.code(), oms_core::codes::apply::FENCED, "{fenced}");
    assert!(bed.rows(&name_again).await.is_empty());
    raw.close().await.expect("close");
}

/// Changes that are written together find each row, or the batch fails; unique values wander as they like.
pub(crate) async fn changes_together_are_exact(bed: &Bed) {
    use oms_core::codes::apply::{ROW_EXISTS, ROW_MISSING};
    let (name, claimed) = narrow(bed, TableShape::KeyedAndUnique).await;
    let at = |id: i64, u: i64, t: &'static str| TableShape::row(id, Some(u), Some(t));
    let all: Vec<Row> = (0..300).map(|id| at(id, id, "first")).collect();
    let inserts: Vec<RowOp> = all.iter().map(|r| change(None, Some(r))).collect();
    apply(claimed.as_ref(), &inserts).await.expect("inserts");
    let updated: Vec<Row> = (0..300).map(|id| at(id, id, "second")).collect();
    let updates: Vec<RowOp> = all
        .iter()
        .zip(&updated)
        .map(|(a, b)| change(Some(a), Some(b)))
        .collect();
    apply(claimed.as_ref(), &updates).await.expect("updates");
    assert!(bed.rows(&name).await == sorted(updated.clone()));
    // What does not change is found as well, but must be there.
    let same: Vec<RowOp> = updated.iter().map(|r| change(Some(r), Some(r))).collect();
    apply(claimed.as_ref(), &same)
        .await
        .expect("updates that change nothing");
    for (shift, code) in [(0, None), (1, Some(ROW_MISSING))] {
        let ops: Vec<RowOp> = (0..300)
            .map(|id| {
                change(
                    Some(&at(id + shift, id + shift, "second")),
                    Some(&at(id + shift, id + shift, "third")),
                )
            })
            .collect();
        let done = apply(claimed.as_ref(), &ops).await;
        assert_eq!(done.as_ref().err().map(Failure::code), code, "{done:?}");
    }
    // All unique values go round, and keys too.
    let third: Vec<Row> = (0..300).map(|id| at(id, id, "third")).collect();
    let round: Vec<Row> = (0..300)
        .map(|id| at((id + 7) % 300, (id + 1) % 300, "third"))
        .collect();
    let free: Vec<Row> = (0..300).map(|id| at(1_000 + id, 1_000 + id, "third")).collect();
    let mut ops: Vec<RowOp> = third
        .iter()
        .zip(&free)
        .map(|(a, b)| change(Some(a), Some(b)))
        .collect();
    ops.extend(free.iter().zip(&round).map(|(a, b)| change(Some(a), Some(b))));
    apply(claimed.as_ref(), &ops).await.expect("round");
    assert!(bed.rows(&name).await == sorted(round.clone()));
    let short_lived = [at(5_000, 5_000, "x"), at(3, 9_000, "x")];
    let comes_and_goes = |r: &Row| [change(None, Some(r)), change(Some(r), None)];
    apply(claimed.as_ref(), &comes_and_goes(&short_lived[0]))
        .await
        .expect("nothing remains");
    let there = apply(claimed.as_ref(), &comes_and_goes(&short_lived[1])).await;
    assert_eq!(there.expect_err("there already").code(), ROW_MISSING);
    let taken = [change(Some(&round[0]), Some(&at(7, 250, "x")))];
    assert_eq!(
        apply(claimed.as_ref(), &taken).await.expect_err("taken").code(),
        ROW_EXISTS
    );
    assert!(bed.rows(&name).await == sorted(round));
}

/// Rows of one definition at a destination of another; `Ok` with the rows as they are there.
pub(crate) async fn convert(
    bed: &Bed,
    source_type: oms_core::ColumnType,
    destination: &str,
    value: Value<'_>,
) -> Result<Row, Failure> {
    let name = TableName::new("sink_contract", "converted");
    bed.execute(&format!("DROP TABLE IF EXISTS {name}")).await;
    bed.execute(&format!(
        "CREATE TABLE {name} (id BIGINT NOT NULL, c {destination}, PRIMARY KEY (id))"
    ))
    .await;
    let there = load(bed, &name).await;
    let mut here = (*there).clone();
    here.columns[1].ty = source_type;
    let pair = TablePair::by_name(Arc::new(here), there).expect("the same columns");
    let claimed = claim(bed, pair).await;
    import(claimed.as_ref(), &name, &[row(1, std::iter::once(value))]).await?;
    Ok(bed.rows(&name).await.remove(0))
}

/// 64 MB by import, and 20 MB of text by a change. Where the server's limit is too low it is raised
/// once, and the next attempt writes the row.
pub(crate) async fn large_values(bed: &Bed) {
    let name = TableName::new("sink_contract", "large");
    bed.execute(&format!("DROP TABLE IF EXISTS {name}")).await;
    bed.execute(&format!(
        "CREATE TABLE {name} (id BIGINT NOT NULL, b LONGBLOB, t LONGTEXT CHARACTER SET utf8mb4, PRIMARY KEY (id))"
    ))
    .await;
    let schema = load(bed, &name).await;
    let blob: Vec<u8> = (0..64u32 << 20)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let text = "é'中💩\\".repeat(2 << 20);
    let first = row(1, [Value::Bytes(&blob), Value::Text(b"short")].into_iter());
    let second = row(
        1,
        [Value::Bytes(b"short"), Value::Text(text.as_bytes())].into_iter(),
    );
    let mut attempts = 0;
    for (before, after) in [(None, &first), (Some(&first), &second)] {
        loop {
            attempts += 1;
            let pair = TablePair::by_name(schema.clone(), schema.clone()).expect("the same definition");
            let claimed = claim(bed, pair).await;
            let done = match before {
                None => import(claimed.as_ref(), &name, std::slice::from_ref(after)).await,
                Some(before) => apply(claimed.as_ref(), &[change(Some(before), Some(after))]).await,
            };
            match done {
                Ok(()) => break,
                Err(failure) if failure.is_transient() && attempts < 4 => {}
                Err(failure) => panic!("{failure}"),
            }
        }
        assert!(bed.rows(&name).await == [after.clone()], "all of it arrives");
    }
}
