//! Every format × operation × type, byte by byte.
//!
//! The files under `tests/golden` are written from the formats' description by another program than this crate: a
//! line with the case's name, a line with the message (`-`: the format has none).

mod bed;

use bed::{PAID_AT, due, extreme, int, item, kinds, ordinary, plan, row, settings, table, varchar};
use oms_codec::{Change, Ddl, DdlKind, Encoder, Format, Moment, SchemaBlock, Sequence, Settings, Written};
use oms_core::Value;

fn moment() -> Moment<'static> {
    Moment {
        event_seconds: 1_709_605_230,
        processed_ms: 1_709_605_230_911,
        checkpoint_seconds: 1_709_605_228,
        sequence: Sequence::new(1_709_605_230_000, 3),
        transaction: Some("1004_77120"),
        unique_id: Some("88"),
        cluster: Some("1"),
        stream: Some("OB_MYSQL_np_demo_1-1-0"),
        ordinal: 3,
        offset: 51_877,
        message_id: 0x3f0c_2a52_6f0e_4a2f_9f53_0f5f_3e9d_7a11,
    }
}

const STATEMENT: &str = "alter table shop.order_item add column gift tinyint default 0 comment \"flag\" ;\n";

fn check(settings: Settings, golden: &str) {
    let items = item(
        &["order_id", "line_no", "sku", "price", "due", "paid_at"],
        &["order_id", "line_no"],
    );
    let items = plan(&items, &settings);
    let all = plan(&kinds(), &settings);
    let journal = table("journal", &[("note", varchar("utf8")), ("n", int(8, true))], &[]);
    let journal = plan(&journal, &settings);
    let of = |line: i64, price| {
        let sku = Value::Text("K-9 café".as_bytes());
        row(&[
            Value::Int(7001),
            Value::Int(line),
            sku,
            Value::Decimal(price),
            due(),
            PAID_AT,
        ])
    };
    let (first, cheaper, moved) = (of(2, "12.5000"), of(2, "11.0000"), of(3, "12.5000"));
    let note = row(&[Value::Text(b"x"), Value::UInt(1)]);
    let (usual, outer) = (row(&ordinary()), row(&extreme()));
    let mut nothing = [Value::Null; 30];
    nothing[4] = Value::Int(7);
    let nothing = row(&nothing);
    let mut same_key = extreme();
    same_key[4] = ordinary()[4];
    let same_key = row(&same_key);
    let ddl = |kind, table| {
        Change::Ddl(Ddl {
            database: "shop",
            table,
            kind,
            statement: STATEMENT,
        })
    };
    let mut cases: Vec<(String, Change<'_>)> = [
        (
            "full",
            Change::Full {
                table: &items,
                row: &first,
            },
        ),
        (
            "insert",
            Change::Insert {
                table: &items,
                after: &first,
            },
        ),
        (
            "update",
            Change::Update {
                table: &items,
                before: &first,
                after: &cheaper,
            },
        ),
        (
            "update of the key",
            Change::Update {
                table: &items,
                before: &first,
                after: &moved,
            },
        ),
        (
            "delete",
            Change::Delete {
                table: &items,
                before: &first,
            },
        ),
        (
            "insert without a key",
            Change::Insert {
                table: &journal,
                after: &note,
            },
        ),
        (
            "full of all types",
            Change::Full {
                table: &all,
                row: &usual,
            },
        ),
        (
            "insert of all types",
            Change::Insert {
                table: &all,
                after: &usual,
            },
        ),
        (
            "insert of extremes",
            Change::Insert {
                table: &all,
                after: &outer,
            },
        ),
        (
            "insert of nulls",
            Change::Insert {
                table: &all,
                after: &nothing,
            },
        ),
        (
            "update of all types",
            Change::Update {
                table: &all,
                before: &usual,
                after: &same_key,
            },
        ),
        (
            "delete of all types",
            Change::Delete {
                table: &all,
                before: &outer,
            },
        ),
    ]
    .into_iter()
    .map(|(name, change)| (name.to_owned(), change))
    .collect();
    for kind in DdlKind::ALL {
        cases.push((format!("ddl {kind:?}"), ddl(kind, Some("order_item"))));
    }
    cases.push(("ddl without a table".into(), ddl(DdlKind::DropIndex, None)));
    cases.push(("heartbeat".into(), Change::Heartbeat));

    let encoder = Encoder::new(settings).expect("the golden change is a message");
    let mut lines = golden.lines();
    // One buffer for all of them, as a sender has it.
    let mut buffer = Vec::new();
    for (name, change) in &cases {
        assert_eq!(lines.next(), Some(format!("# {name}").as_str()));
        let start = buffer.len();
        let written = encoder
            .encode(change, &moment(), &mut buffer)
            .expect("the golden change is a message");
        let message = match written {
            Written::Nothing => "-",
            Written::Message => {
                std::str::from_utf8(&buffer[start..]).expect("the golden change is a message")
            }
        };
        assert_eq!(Some(message), lines.next(), "{name}");
        if written == Written::Message {
            serde_json::from_str::<serde_json::Value>(message).expect("the golden change is a message");
        }
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn default() {
    check(settings(Format::Default), include_str!("golden/default.txt"));
}

#[test]
fn default_with_schema() {
    check(
        settings(Format::DefaultWithSchema),
        include_str!("golden/default_with_schema.txt"),
    );
}

#[test]
fn canal() {
    check(settings(Format::Canal), include_str!("golden/canal.txt"));
}

#[test]
fn dataworks() {
    check(
        settings(Format::DataworksV2),
        include_str!("golden/dataworks_v2.txt"),
    );
}

#[test]
fn shareplex() {
    check(settings(Format::Shareplex), include_str!("golden/shareplex.txt"));
}

#[test]
fn debezium() {
    check(settings(Format::Debezium), include_str!("golden/debezium.txt"));
}

#[test]
fn debezium_with_schema() {
    let settings = Settings {
        schema: SchemaBlock::Oms,
        ..settings(Format::Debezium)
    };
    check(settings, include_str!("golden/debezium_with_schema.txt"));
}

#[test]
fn debezium_flatten() {
    check(
        settings(Format::DebeziumFlatten),
        include_str!("golden/debeziumflatten.txt"),
    );
}

#[test]
fn debezium_smt() {
    check(
        settings(Format::DebeziumSmt),
        include_str!("golden/debeziumsmt.txt"),
    );
}

#[test]
fn maxwell() {
    check(settings(Format::Maxwell), include_str!("golden/maxwell.txt"));
}
