#![allow(dead_code, unreachable_pub)] // Each test binary uses its part.
//! Tables of every shape and random histories over them.

use std::sync::Arc;

use oms_apply::testing::{MemorySink, MemorySource, MemoryTable};
use oms_core::{
    ClaimToken, Column, ColumnType, ComponentId, Epoch, Key, KeyPart, Row, RowBuilder, RowChange,
    SinkOptions, TableName, TablePair, TableSchema, Value,
};
use proptest::prelude::*;

pub(crate) fn int() -> ColumnType {
    ColumnType::Integer {
        bytes: 8,
        unsigned: false,
    }
}

fn text(collation: &str) -> ColumnType {
    ColumnType::VarChar {
        length: 20,
        charset: "utf8mb4".into(),
        collation: collation.into(),
    }
}

fn column(name: &str, ty: ColumnType, nullable: bool) -> Column {
    Column {
        name: name.into(),
        ty,
        nullable,
        generated: None,
        invisible: false,
    }
}

fn key(name: &str, columns: &[usize], prefix: Option<u32>) -> Key {
    Key {
        name: name.into(),
        primary: name == "PRIMARY",
        parts: columns
            .iter()
            .map(|c| KeyPart {
                column: Some(*c),
                prefix,
            })
            .collect(),
    }
}

pub(crate) fn schema(name: &str, columns: Vec<Column>, keys: Vec<Key>) -> Arc<TableSchema> {
    Arc::new(TableSchema {
        name: TableName::new("d", name),
        engine: "InnoDB".into(),
        columns,
        keys,
        estimated_rows: 0,
        estimated_bytes: 0,
    })
}

/// Each has three columns: `a` integer, `b` integer or text, `c` integer.
pub(crate) fn shapes() -> Vec<Arc<TableSchema>> {
    let ints = || {
        vec![
            column("a", int(), false),
            column("b", int(), true),
            column("c", int(), true),
        ]
    };
    let texts = |collation: &str, nullable| {
        vec![
            column("a", int(), false),
            column("b", text(collation), nullable),
            column("c", int(), true),
        ]
    };
    let ci = "utf8mb4_general_ci";
    vec![
        schema("plain", ints(), vec![key("PRIMARY", &[0], None)]),
        schema(
            "secondary",
            ints(),
            vec![key("PRIMARY", &[0], None), key("u", &[1], None)],
        ),
        schema("text_key", texts(ci, false), vec![key("PRIMARY", &[1], None)]),
        schema(
            "composite",
            texts("utf8mb4_bin", false),
            vec![key("PRIMARY", &[0, 1], None)],
        ),
        schema(
            "prefix",
            texts(ci, true),
            vec![key("PRIMARY", &[0], None), key("p", &[1], Some(1))],
        ),
        schema("unique_only", texts(ci, false), vec![key("u", &[1, 0], None)]),
        schema(
            "unlisted",
            texts("utf8mb4_lithuanian_ci", true),
            vec![key("PRIMARY", &[0], None), key("u", &[1], None)],
        ),
        schema("keyless", texts(ci, true), vec![]),
        schema("nullable_unique", ints(), vec![key("u", &[1], None)]),
    ]
}

pub(crate) const WORDS: &[&str] = &[
    "a", "A", "a ", "ä", "b", "B\u{1}", "ab", "AB", "一", "㊀", "e", "é",
];

/// What is to happen to a table, before it is known which rows there are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Intent {
    Insert {
        a: i64,
        b: u8,
        c: i64,
    },
    Update {
        row: u16,
        a: i64,
        b: u8,
        c: i64,
        keep_keys: bool,
    },
    Delete {
        row: u16,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Commit(Vec<(u8, Intent)>),
    Abort(Vec<(u8, Intent)>),
    Heartbeat,
}

pub(crate) fn intent() -> impl Strategy<Value = Intent> {
    let (a, b, c) = (0i64..6, any::<u8>(), 0i64..3);
    prop_oneof![
        3 => (a.clone(), b, c.clone()).prop_map(|(a, b, c)| Intent::Insert { a, b, c }),
        3 => (any::<u16>(), a, b, c, any::<bool>())
            .prop_map(|(row, a, b, c, keep_keys)| Intent::Update { row, a, b, c, keep_keys }),
        2 => any::<u16>().prop_map(|row| Intent::Delete { row }),
    ]
}

pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    let rows = || prop::collection::vec((any::<u8>(), intent()), 0..5);
    prop_oneof![
        12 => rows().prop_map(Entry::Commit),
        1 => rows().prop_map(Entry::Abort),
        1 => Just(Entry::Heartbeat),
    ]
}

pub(crate) fn row(schema: &TableSchema, a: i64, b: u8, c: i64) -> Row {
    let word = WORDS[usize::from(b) % WORDS.len()];
    let b = match &schema.columns[1].ty {
        _ if schema.columns[1].nullable && b > 230 => Value::Null,
        ColumnType::Integer { .. } => Value::Int(i64::from(b % 6)),
        _ => Value::Text(word.as_bytes()),
    };
    RowBuilder::build([Value::Int(a), b, Value::Int(c)].into_iter()).unwrap()
}

/// Turns intents into changes of rows that exist.
pub(crate) fn changes(
    source: &MemorySource,
    tables: &[Arc<TableSchema>],
    intents: &[(u8, Intent)],
) -> Vec<RowChange> {
    let mut result = Vec::new();
    let mut touched: Vec<(u32, Row)> = Vec::new();
    for (table, intent) in intents {
        let number = usize::from(*table) % tables.len();
        let schema = &tables[number];
        let existing = source.table(&schema.name).unwrap().sorted_rows();
        let pick =
            |row: u16| (!existing.is_empty()).then(|| existing[usize::from(row) % existing.len()].clone());
        let (before, after) = match *intent {
            Intent::Insert { a, b, c } => (None, Some(row(schema, a, b, c))),
            Intent::Update {
                row: r,
                a,
                b,
                c,
                keep_keys,
            } => match pick(r) {
                Some(old) if keep_keys => {
                    let new = RowBuilder::build([old.get(0), old.get(1), Value::Int(c)].into_iter()).unwrap();
                    (Some(old), Some(new))
                }
                Some(old) => (Some(old), Some(row(schema, a, b, c))),
                None => continue,
            },
            Intent::Delete { row } => match pick(row) {
                Some(old) => (Some(old), None),
                None => continue,
            },
        };
        let number = number as u32;
        // One change per row and transaction keeps the images right; the source refuses the rest.
        if let Some(old) = &before {
            if touched.contains(&(number, old.clone())) {
                continue;
            }
            touched.push((number, old.clone()));
        }
        result.push(RowChange {
            table: number,
            before,
            after,
        });
    }
    result
}

pub(crate) fn append(
    source: &MemorySource,
    tables: &[Arc<TableSchema>],
    entry: &Entry,
) -> Option<Vec<RowChange>> {
    match entry {
        Entry::Commit(intents) => Some(source.commit(changes(source, tables, intents))),
        Entry::Abort(intents) => {
            source.abort(changes(source, tables, intents));
            None
        }
        Entry::Heartbeat => {
            source.heartbeat();
            None
        }
    }
}

pub(crate) fn pairs(tables: &[Arc<TableSchema>]) -> Arc<Vec<TablePair>> {
    let pair = |t: &Arc<TableSchema>| TablePair::by_name(t.clone(), t.clone()).unwrap();
    Arc::new(tables.iter().map(pair).collect())
}

pub(crate) fn token(kind: &str, epoch: u64) -> ClaimToken {
    let component: ComponentId = format!("p_1.{kind}").parse().unwrap();
    ClaimToken {
        component,
        epoch: Epoch(epoch),
    }
}

pub(crate) fn options(tables: &Arc<Vec<TablePair>>, lanes: u32) -> SinkOptions {
    SinkOptions {
        tables: tables.clone(),
        lanes,
    }
}

/// The tables after applying these transactions one after the other.
pub(crate) fn serial<'a>(
    tables: &[Arc<TableSchema>],
    transactions: impl Iterator<Item = &'a Vec<RowChange>>,
) -> Vec<Vec<Row>> {
    let model = MemorySource::new(tables.iter().cloned());
    for changes in transactions {
        let done = model.commit(changes.clone());
        assert_eq!(done.len(), changes.len(), "the model refuses a change");
    }
    contents(tables, |name| model.table(name))
}

pub(crate) fn contents(
    tables: &[Arc<TableSchema>],
    of: impl Fn(&TableName) -> Option<MemoryTable>,
) -> Vec<Vec<Row>> {
    tables
        .iter()
        .map(|t| of(&t.name).unwrap().sorted_rows())
        .collect()
}

pub(crate) fn sink_contents(tables: &[Arc<TableSchema>], sink: &MemorySink) -> Vec<Vec<Row>> {
    contents(tables, |name| sink.table(name))
}

pub(crate) fn source_contents(tables: &[Arc<TableSchema>], source: &MemorySource) -> Vec<Vec<Row>> {
    contents(tables, |name| source.table(name))
}
