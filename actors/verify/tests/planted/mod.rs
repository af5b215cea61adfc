//! Random tables with planted differences.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, sync::Arc};

use oms_core::{
    Column, ColumnType, ComponentId, Key, KeyPart, Row, RowBuilder, TableName, TablePair, TableSchema, Value,
    testing::MemoryRecords,
};
use oms_verify::{
    Barrier, Difference, DifferenceKey, DifferenceKind, Ended, Results, RunSummary, Scope, TableResult,
    Verification, Verifier, VerifyOptions,
    testing::{MemoryTable, World},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio_util::sync::CancellationToken;

/// Kinds of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Integer key: merged.
    Integer,
    /// Composite key of DECIMAL and binary text: merged.
    Composite,
    /// Key of text that ignores case on both sides: looked up.
    FoldedText,
    /// Key of text in different character sets and collations: looked up.
    Latin1Text,
    /// Key of an ENUM with other member order, and a number: looked up.
    Enum,
    /// No key.
    Keyless,
}

pub(crate) const KINDS: [Kind; 6] = [
    Kind::Integer,
    Kind::Composite,
    Kind::FoldedText,
    Kind::Latin1Text,
    Kind::Enum,
    Kind::Keyless,
];

fn text(charset: &str, collation: &str) -> ColumnType {
    ColumnType::VarChar {
        length: 50,
        charset: charset.into(),
        collation: collation.into(),
    }
}

fn members(names: [&str; 3]) -> ColumnType {
    ColumnType::Enum {
        members: names.map(String::from).to_vec(),
        charset: "utf8mb4".into(),
        collation: "utf8mb4_bin".into(),
    }
}

pub(crate) fn schema(
    database: &str,
    table: &str,
    columns: Vec<(&str, ColumnType)>,
    key: &[usize],
) -> Arc<TableSchema> {
    let column = |(number, (name, ty)): (usize, (&str, ColumnType))| Column {
        name: name.into(),
        ty,
        nullable: !key.contains(&number),
        generated: None,
        invisible: false,
    };
    let keys = (!key.is_empty()).then(|| Key {
        name: "PRIMARY".into(),
        primary: true,
        parts: key
            .iter()
            .map(|c| KeyPart {
                column: Some(*c),
                prefix: None,
            })
            .collect(),
    });
    Arc::new(TableSchema {
        name: TableName::new(database, table),
        engine: "InnoDB".into(),
        columns: columns.into_iter().enumerate().map(column).collect(),
        keys: keys.into_iter().collect(),
        estimated_rows: 0,
        estimated_bytes: 0,
    })
}

fn definitions(kind: Kind, name: &str) -> (Arc<TableSchema>, Arc<TableSchema>) {
    let int = || ColumnType::Integer {
        bytes: 8,
        unsigned: false,
    };
    let payload = || [("v", int()), ("w", text("utf8mb4", "utf8mb4_general_ci"))];
    let two = |key: Vec<(&'static str, ColumnType)>, other: Vec<(&'static str, ColumnType)>| {
        let parts: Vec<usize> = (0..key.len()).collect();
        let with =
            |key: Vec<(&'static str, ColumnType)>| key.into_iter().chain(payload()).collect::<Vec<_>>();
        (
            schema("s", name, with(key), &parts),
            schema("d", name, with(other), &parts),
        )
    };
    let decimal = || ColumnType::Decimal {
        precision: 10,
        scale: 2,
        unsigned: false,
    };
    match kind {
        Kind::Integer => two(vec![("k", int())], vec![("k", int())]),
        Kind::Composite => two(
            vec![("k", decimal()), ("l", text("utf8mb4", "utf8mb4_bin"))],
            vec![("k", decimal()), ("l", text("utf8mb4", "utf8mb4_bin"))],
        ),
        Kind::FoldedText => two(
            vec![("k", text("utf8mb4", "utf8mb4_general_ci"))],
            vec![("k", text("utf8mb4", "utf8mb4_general_ci"))],
        ),
        Kind::Latin1Text => two(
            vec![("k", text("latin1", "latin1_swedish_ci"))],
            vec![("k", text("utf8mb4", "utf8mb4_bin"))],
        ),
        Kind::Enum => two(
            vec![("k", members(["x", "y", "z"])), ("l", int())],
            vec![("k", members(["z", "x", "y"])), ("l", int())],
        ),
        Kind::Keyless => {
            let columns = || {
                vec![
                    ("k", int()),
                    ("v", int()),
                    ("w", text("utf8mb4", "utf8mb4_general_ci")),
                ]
            };
            (
                schema("s", name, columns(), &[]),
                schema("d", name, columns(), &[]),
            )
        }
    }
}

/// A row with key number `n` and payload `v`, as each side has it.
pub(crate) fn row(kind: Kind, n: i64, v: i64, destination: bool) -> Row {
    let word = format!("w{v}");
    let payload = [
        Value::Int(v),
        if v % 5 == 0 {
            Value::Null
        } else {
            Value::Text(word.as_bytes())
        },
    ];
    let all = |key: Vec<Value<'_>>| {
        RowBuilder::build(key.into_iter().chain(payload).collect::<Vec<_>>().into_iter()).unwrap()
    };
    match kind {
        Kind::Integer => all(vec![Value::Int(n)]),
        Kind::Composite => {
            let decimal = format!(
                "{}{}.{:02}",
                if n < 0 { "-" } else { "" },
                n.abs() / 300,
                n.abs() / 3 % 100
            );
            let label = ["a", "a\t", "B"][(n.rem_euclid(3)) as usize];
            let sign = if n < 0 { "-" } else { "+" };
            all(vec![
                Value::Decimal(if n.abs() / 3 == 0 { "0.00" } else { &decimal }),
                Value::Text(format!("{sign}{label}").as_bytes()),
            ])
        }
        Kind::FoldedText => all(vec![Value::Text(
            format!("{}{n}", if n % 2 == 0 { "Key" } else { "kez" }).as_bytes(),
        )]),
        Kind::Latin1Text => {
            let text = format!("é{n}");
            let latin: Vec<u8> = text.chars().map(|c| u32::from(c) as u8).collect();
            all(vec![Value::Text(if destination {
                text.as_bytes()
            } else {
                &latin
            })])
        }
        Kind::Enum => {
            let at = n.rem_euclid(3) as u16;
            let number = if destination {
                [2, 3, 1][usize::from(at)]
            } else {
                at + 1
            };
            all(vec![Value::Enum(number), Value::Int(n.div_euclid(3))])
        }
        Kind::Keyless => all(vec![Value::Int(n)]),
    }
}

pub(crate) struct Planted {
    pub(crate) kind: Kind,
    pub(crate) pair: TablePair,
    pub(crate) source: MemoryTable,
    pub(crate) destination: MemoryTable,
    /// By table kind: what a complete verification must find.
    pub(crate) source_only: BTreeSet<i64>,
    pub(crate) destination_only: BTreeSet<i64>,
    pub(crate) mismatched: BTreeSet<i64>,
    pub(crate) keys: Vec<i64>,
}

/// A table of random rows; differences are planted at random rows and at the first and last.
pub(crate) fn plant(kind: Kind, number: usize, rng: &mut StdRng, rows: usize, share: f64) -> Planted {
    let (source, destination) = definitions(kind, &format!("t{number}"));
    let pair = TablePair::by_name(source.clone(), destination.clone()).unwrap();
    let mut planted = Planted {
        kind,
        pair,
        source: MemoryTable::new(source),
        destination: MemoryTable::new(destination),
        source_only: BTreeSet::new(),
        destination_only: BTreeSet::new(),
        mismatched: BTreeSet::new(),
        keys: Vec::new(),
    };
    let keys: BTreeSet<i64> = (0..rows).map(|_| rng.random_range(-500..5_000)).collect();
    let ends = [keys.first().copied(), keys.last().copied()];
    for n in keys {
        let v = rng.random_range(0..1_000);
        let at_end = ends.contains(&Some(n)) && share > 0.0 && rng.random_bool(0.7);
        let (s, d) = (row(kind, n, v, false), row(kind, n, v, true));
        if !at_end && !rng.random_bool(share) {
            planted.keys.push(n);
            planted.source.put(s);
            planted.destination.put(d);
            continue;
        }
        match rng.random_range(0..3) {
            0 => {
                planted.source.put(s);
                planted.source_only.insert(n);
            }
            1 => {
                planted.destination.put(d);
                planted.destination_only.insert(n);
            }
            _ => {
                planted.source.put(s);
                planted.destination.put(row(kind, n, v + 1, true));
                planted.mismatched.insert(n);
            }
        }
    }
    planted
}

/// What was found, by number of the key.
pub(crate) fn found(planted: &Planted, differences: &[Difference]) -> [BTreeSet<i64>; 3] {
    let mut out = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
    for difference in differences {
        let DifferenceKey::Key { side, key } = &difference.key else {
            panic!("a digest in a keyed table")
        };
        let all = planted
            .source_only
            .iter()
            .chain(&planted.destination_only)
            .chain(&planted.mismatched);
        let destination = *side == oms_verify::Side::Destination;
        let number = all
            .chain(&planted.keys)
            .find(|n| {
                let row = row(planted.kind, **n, 0, destination);
                key.iter().enumerate().all(|(i, value)| value == row.get(i))
            })
            .unwrap_or_else(|| panic!("a difference at a key that never was: {:?}", planted.kind));
        let slot = match difference.kind {
            DifferenceKind::SourceOnly => 0,
            DifferenceKind::DestinationOnly => 1,
            DifferenceKind::Mismatched => 2,
        };
        assert!(out[slot].insert(*number), "found twice");
    }
    out
}

pub(crate) struct Setup {
    pub(crate) options: VerifyOptions,
    pub(crate) scope: Scope,
    pub(crate) barrier: bool,
    pub(crate) run: u32,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let options = VerifyOptions {
            workers: 3,
            chunk_rows: 20,
            undivided_rows: 5,
            lookup_keys: 9,
            recheck_rounds: 3,
            ..VerifyOptions::default()
        };
        Self {
            options,
            scope: Scope::All,
            barrier: false,
            run: 1,
        }
    }
}

pub(crate) struct Latin1;

impl oms_verify::Charsets for Latin1 {
    fn is_known(&self, charset: &str) -> bool {
        charset == "latin1" || oms_verify::Utf8Charsets.is_known(charset)
    }

    fn decode(&self, charset: &str, bytes: &[u8]) -> Option<String> {
        if charset == "latin1" {
            return Some(oms_verify::testing::latin1(bytes));
        }
        oms_verify::Utf8Charsets.decode(charset, bytes)
    }
}

pub(crate) fn component() -> ComponentId {
    "p_test.full-verification".parse().unwrap()
}

pub(crate) fn results(records: &MemoryRecords) -> Results {
    Results::new(records.reader(&component()))
}

/// A run of a new owner.
pub(crate) fn verification(
    records: &MemoryRecords,
    world: &World,
    pairs: Vec<TablePair>,
    setup: &Setup,
) -> Verification {
    let recorder = records.claim(&component());
    let sides = Arc::new(world.clone());
    let mut plan = Verification::new(results(records), recorder, setup.run, pairs, sides);
    plan.options = setup.options.clone();
    plan.scope = setup.scope;
    plan.charsets = Arc::new(Latin1);
    plan.pause = Arc::new(world.clone());
    plan.barrier = setup.barrier.then(|| Arc::new(world.clone()) as Arc<dyn Barrier>);
    plan
}

/// Runs to the end.
pub(crate) async fn verify(
    records: &MemoryRecords,
    world: &World,
    pairs: Vec<TablePair>,
    setup: &Setup,
) -> (RunSummary, Vec<(TableResult, Vec<Difference>)>) {
    let verifier = Verifier::new(verification(records, world, pairs, setup));
    let Ended::Completed(summary) = verifier.run(&CancellationToken::new()).await.unwrap() else {
        panic!("it was not cancelled")
    };
    (summary, outcome(records, setup.run).await)
}

pub(crate) async fn outcome(records: &MemoryRecords, run: u32) -> Vec<(TableResult, Vec<Difference>)> {
    let run = results(records).run(run).await.unwrap();
    let mut outcome = Vec::new();
    for table in run.tables().await.unwrap() {
        let mut reader = run.differences(&table.source).await.unwrap();
        let differences = reader.take(usize::MAX).await.unwrap();
        outcome.push((table, differences));
    }
    outcome
}

pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}
