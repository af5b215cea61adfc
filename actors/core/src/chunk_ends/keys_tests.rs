//! Chunks of keys against servers with orders of their own and estimates of any kind.

use std::{cmp::Ordering, sync::Arc};

use async_trait::async_trait;
use futures::executor::block_on;
use proptest::prelude::*;

use crate::{
    ChunkEnds, ChunkRange, Column, ColumnType, Failure, Key, KeyOrder, KeyPart, Position, Row, RowBatch,
    RowBuilder, SnapshotReader, TableName, TableRead, TableSchema, Value,
};

/// How a server orders two texts.
type TextOrder = fn(&[u8], &[u8]) -> Ordering;

fn folded(a: &[u8], b: &[u8]) -> Ordering {
    a.to_ascii_uppercase().cmp(&b.to_ascii_uppercase())
}

fn from_behind(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().rev().cmp(b.iter().rev())
}

fn descending(a: &[u8], b: &[u8]) -> Ordering {
    b.cmp(a)
}

/// A table with a key of a number and a text, of texts, or of a text alone.
struct Model {
    keys: Vec<Row>,
    order: TextOrder,
    /// What the server says of n rows at its k-th estimate; `None`: nothing.
    estimate: Option<fn(u64, u64) -> u64>,
    estimates: u64,
    dives: usize,
    reads: usize,
}

impl Model {
    fn new(keys: impl IntoIterator<Item = Row>, order: TextOrder) -> Self {
        let mut model = Self {
            keys: keys.into_iter().collect(),
            order,
            estimate: Some(|n, _| n),
            estimates: 0,
            dives: 0,
            reads: 0,
        };
        let compare = |a: &Row, b: &Row| compare(order, a, b);
        model.keys.sort_by(compare);
        model.keys.dedup_by(|a, b| compare(a, b) == Ordering::Equal);
        model
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        compare(self.order, a, b)
    }

    fn within<'m>(&'m self, range: &'m ChunkRange) -> impl Iterator<Item = &'m Row> {
        let inside = |k: &&Row| {
            range
                .after
                .as_ref()
                .is_none_or(|a| self.compare(k, a) == Ordering::Greater)
                && range
                    .through
                    .as_ref()
                    .is_none_or(|t| self.compare(k, t) != Ordering::Greater)
        };
        self.keys.iter().filter(inside)
    }
}

/// The columns that both have.
fn compare(order: TextOrder, a: &Row, b: &Row) -> Ordering {
    let columns = a.iter().zip(b.iter()).map(|(a, b)| match (a, b) {
        (Value::Text(a), Value::Text(b)) => order(a, b),
        (Value::Int(a), Value::Int(b)) => a.cmp(&b),
        (a, b) => panic!("{:?} and {:?}", a.kind(), b.kind()),
    });
    columns.fold(Ordering::Equal, Ordering::then)
}

#[async_trait]
impl SnapshotReader for Model {
    async fn key_span(&mut self, _: &TableSchema) -> Result<Option<(Row, Row)>, Failure> {
        Ok(self.keys.first().cloned().zip(self.keys.last().cloned()))
    }

    async fn estimate_rows(&mut self, _: &TableSchema, range: &ChunkRange) -> Result<Option<u64>, Failure> {
        self.estimates += 1;
        let held = self.within(range).count() as u64;
        Ok(self.estimate.map(|of| of(held, self.estimates)))
    }

    async fn key_near(
        &mut self,
        _: &TableSchema,
        after: &Row,
        before: &Row,
        guess: &Row,
    ) -> Result<Option<Row>, Failure> {
        self.dives += 1;
        let between = |k: &&Row| {
            self.compare(k, after) == Ordering::Greater && self.compare(k, before) == Ordering::Less
        };
        let between: Vec<_> = self.keys.iter().filter(between).collect();
        let up = between.iter().find(|k| self.compare(k, guess) != Ordering::Less);
        Ok(up.or(between.last()).map(|k| (*k).clone()))
    }

    async fn chunk_end(
        &mut self,
        _: &TableSchema,
        after: Option<&Row>,
        rows: u64,
    ) -> Result<Option<Row>, Failure> {
        self.reads += 1;
        let range = ChunkRange {
            after: after.cloned(),
            through: None,
        };
        let nth = self.within(&range).nth(rows as usize - 1).cloned();
        Ok(nth)
    }

    async fn read_chunk(&mut self, _: Arc<TableSchema>, _: &ChunkRange, _: KeyOrder) -> Result<(), Failure> {
        unreachable!("rows are not read to find ends")
    }

    async fn read_keys(&mut self, _: Arc<TableSchema>, _: &[Row]) -> Result<(), Failure> {
        unreachable!("rows are not read to find ends")
    }

    async fn begin_consistent(&mut self, _: &[TableName]) -> Result<Position, Failure> {
        unreachable!("rows are not read to find ends")
    }

    async fn end_consistent(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn read_all(&mut self, _: Arc<TableSchema>) -> Result<TableRead, Failure> {
        unreachable!("rows are not read to find ends")
    }

    async fn next_batch(&mut self, _: usize) -> Result<Option<RowBatch>, Failure> {
        Ok(None)
    }

    async fn count(&mut self, _: &TableSchema) -> Result<u64, Failure> {
        Ok(self.keys.len() as u64)
    }
}

fn text_type() -> ColumnType {
    ColumnType::VarChar {
        length: 99,
        charset: "utf8mb4".into(),
        collation: "utf8mb4_general_ci".into(),
    }
}

fn number_type() -> ColumnType {
    ColumnType::Integer {
        bytes: 8,
        unsigned: false,
    }
}

fn table(types: &[ColumnType]) -> TableSchema {
    let column = |(number, ty): (usize, &ColumnType)| Column {
        name: format!("k{number}"),
        ty: ty.clone(),
        nullable: false,
        generated: None,
        invisible: false,
    };
    let part = |column| KeyPart {
        column: Some(column),
        prefix: None,
    };
    TableSchema {
        name: TableName::new("d", "t"),
        engine: "InnoDB".into(),
        columns: types.iter().enumerate().map(column).collect(),
        keys: vec![Key {
            name: "PRIMARY".into(),
            primary: true,
            parts: (0..types.len()).map(part).collect(),
        }],
        estimated_rows: 0,
        estimated_bytes: 0,
    }
}

fn row<'v>(values: impl IntoIterator<Item = Value<'v>>) -> Row {
    let values: Vec<_> = values.into_iter().collect();
    RowBuilder::build(values.into_iter()).unwrap()
}

/// All chunks and how many rows they held when they were read, which is right after they were planned. `meanwhile` may change the table.
fn chunks(
    model: &mut Model,
    table: &TableSchema,
    rows: u64,
    mut meanwhile: impl FnMut(&mut Model, usize),
) -> Vec<(ChunkRange, u64)> {
    let mut ends = ChunkEnds::new(table);
    let mut out: Vec<(ChunkRange, u64)> = Vec::new();
    let mut after: Option<Row> = None;
    loop {
        let through = block_on(ends.next(model, table, after.as_ref(), rows)).unwrap();
        let range = ChunkRange {
            after: after.take(),
            through: through.clone(),
        };
        let held = model.within(&range).count() as u64;
        ends.saw(&range, held);
        out.push((range, held));
        meanwhile(model, out.len());
        match through {
            Some(end) => after = Some(end),
            None => return out,
        }
    }
}

/// Each chunk begins where the one before ends, behind where that one began.
fn ascend(model: &Model, chunks: &[(ChunkRange, u64)]) -> bool {
    let ends: Vec<_> = chunks.iter().map(|(r, _)| r.through.as_ref()).collect();
    let starts: Vec<_> = chunks.iter().map(|(r, _)| r.after.as_ref()).collect();
    let (last, before) = ends.split_last().unwrap();
    last.is_none()
        && starts.first() == Some(&None)
        && starts.iter().skip(1).eq(before.iter())
        && before.iter().all(Option::is_some)
        && before.windows(2).all(|pair| match pair {
            [Some(a), Some(b)] => model.compare(a, b) == Ordering::Less,
            _ => false,
        })
}

fn keys() -> impl Strategy<Value = (Vec<ColumnType>, Vec<Row>)> {
    let words = prop_oneof![
        "[a-zA-Z]{0,8}",
        "user-[0-9]{1,6}",
        "[0-9a-f]{32}",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaa[a-c]{0,9}",
        "[äöüß☃a-c]{0,4}",
    ];
    let number = prop_oneof![Just(7i64), -3i64..3, any::<i64>()];
    let pairs = prop::collection::vec((number, words.clone(), words), 0..500);
    (0usize..4, pairs).prop_map(|(form, pairs)| {
        let text = |s: &str| -> Vec<u8> { s.as_bytes().to_vec() };
        let types = match form {
            0 => vec![text_type()],
            1 => vec![number_type(), text_type()],
            2 => vec![text_type(), number_type()],
            _ => vec![text_type(), text_type()],
        };
        let rows = pairs.iter().map(|(n, a, b)| {
            let (a, b) = (text(a), text(b));
            match form {
                0 => row([Value::Text(&a)]),
                1 => row([Value::Int(*n), Value::Text(&b)]),
                2 => row([Value::Text(&a), Value::Int(*n)]),
                _ => row([Value::Text(&a), Value::Text(&b)]),
            }
        });
        (types, rows.collect())
    })
}

/// Estimates of any kind.
fn estimates() -> impl Strategy<Value = Option<fn(u64, u64) -> u64>> {
    prop_oneof![
        Just(Some((|n, _| n) as fn(u64, u64) -> u64)),
        Just(Some((|n, _| n / 2) as fn(u64, u64) -> u64)),
        Just(Some((|n, _| n * 2) as fn(u64, u64) -> u64)),
        Just(Some((|n, _| n.min(40)) as fn(u64, u64) -> u64)),
        Just(Some((|_, _| 0) as fn(u64, u64) -> u64)),
        Just(Some((|_, _| u64::MAX) as fn(u64, u64) -> u64)),
        Just(Some((|_, k| k * 7_919 % 1_000) as fn(u64, u64) -> u64)),
        Just(Some(
            (|n, k| if k % 2 == 0 { n } else { 1_000 - n.min(1_000) }) as fn(u64, u64) -> u64
        )),
        Just(None),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever the order of the server, whatever it estimates and whatever comes and goes meanwhile: chunks ascend, each key that is
    /// there throughout is in one of them, and there are not more chunks than rows.
    #[test]
    fn every_key_is_in_one_chunk(
        (types, keys) in keys(),
        order in prop::sample::select(vec![folded as TextOrder, from_behind, descending, |a, b| a.cmp(b)]),
        rows in 1u64..60,
        estimate in estimates(),
        changes in any::<bool>(),
    ) {
        let mut model = Model::new(keys, order);
        model.estimate = estimate;
        let table = table(&types);
        let (mut late, stays): (Vec<Row>, Vec<Row>) = match changes {
            true => model.keys.iter().cloned().partition(|k| k.size() % 2 == 0),
            false => (Vec::new(), model.keys.clone()),
        };
        model.keys.clone_from(&stays);
        let chunks = chunks(&mut model, &table, rows, |model, _| {
            if let Some(new) = late.pop() {
                let gone = model.keys.clone();
                *model = Model { estimates: model.estimates, estimate, ..Model::new(gone.into_iter().chain([new]), order) };
            }
        });
        prop_assert!(ascend(&model, &chunks));
        for key in &stays {
            let inside = chunks.iter().filter(|(range, _)| {
                range.after.as_ref().is_none_or(|a| compare(order, key, a) == Ordering::Greater)
                    && range.through.as_ref().is_none_or(|t| compare(order, key, t) != Ordering::Greater)
            });
            prop_assert_eq!(inside.count(), 1);
        }
        prop_assert!(chunks.len() <= model.keys.len() + 1);
    }

    /// Where estimates are about right, chunks have about the wanted size, however odd the order is.
    #[test]
    fn chunks_are_of_about_the_size(
        (types, keys) in keys(),
        order in prop::sample::select(vec![folded as TextOrder, from_behind, descending, |a, b| a.cmp(b)]),
        rows in 1u64..60,
        estimate in prop::sample::select(vec![(|n, _| n) as fn(u64, u64) -> u64, |n, _| n / 2 + 1, |n, _| n * 2]),
    ) {
        let mut model = Model::new(keys, order);
        model.estimate = Some(estimate);
        let table = table(&types);
        let all = model.keys.len() as u64;
        let chunks = chunks(&mut model, &table, rows, |_, _| {});
        let largest = chunks.iter().map(|(_, n)| *n).max().unwrap_or(0);
        prop_assert!(largest <= 5 * rows + 2 * super::SLACK, "{} rows where {} were wanted", largest, rows);
        let most = 16 * all.div_ceil(rows) + 2;
        prop_assert!(chunks.len() as u64 <= most, "{} chunks for {} rows, {} each", chunks.len(), all, rows);
    }
}

#[test]
fn texts_are_found_with_a_few_dives() {
    for shape in [
        (|n| format!("user-{n:07}@example.org")) as fn(u64) -> String,
        |n| format!("user{n}"),
        |n| {
            format!(
                "{:032x}",
                u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            )
        },
        |n| format!("{:x}", n * n * n),
    ] {
        let texts: Vec<String> = (0..20_000).map(shape).collect();
        let keys = texts.iter().map(|t| row([Value::Text(t.as_bytes())]));
        let mut model = Model::new(keys, folded);
        let chunks = chunks(&mut model, &table(&[text_type()]), 1_000, |_, _| {});
        assert!(
            (10..=40).contains(&chunks.len()),
            "{} chunks like {}",
            chunks.len(),
            texts[77]
        );
        assert!(model.reads <= 1, "{} reads like {}", model.reads, texts[77]);
        assert!(
            model.dives <= 8 * chunks.len(),
            "{} dives like {}",
            model.dives,
            texts[77]
        );
    }
}

#[test]
fn one_leading_value_may_hold_everything() {
    let name = |n: i64| format!("name {n:05}").into_bytes();
    let run = (0..20_000).map(|n| row([Value::Int(7), Value::Text(&name(n))]));
    let others = (0..50).map(|n| row([Value::Int(n * 1_000_003), Value::Text(b"x")]));
    let keys: Vec<Row> = run.chain(others).collect();
    let mut model = Model::new(keys, folded);
    let chunks = chunks(
        &mut model,
        &table(&[number_type(), text_type()]),
        1_000,
        |_, _| {},
    );
    assert!((10..=40).contains(&chunks.len()), "{}", chunks.len());
    assert!(model.reads <= 1, "{}", model.reads);
    assert!(model.dives <= 8 * chunks.len(), "{}", model.dives);
}

#[test]
fn statistics_that_know_of_no_rows_do_not_make_one_chunk_of_a_table() {
    let name = |n: u64| format!("name {n:05}").into_bytes();
    let mut model = Model::new((0..5_000).map(|n| row([Value::Text(&name(n))])), folded);
    model.estimate = Some(|n, _| n.min(3));
    let chunks = chunks(&mut model, &table(&[text_type()]), 100, |_, _| {});
    assert!((25..=60).contains(&chunks.len()), "{}", chunks.len());
}
