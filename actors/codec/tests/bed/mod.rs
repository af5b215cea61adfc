//! Tables and rows that the golden messages are about.

#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Arc;

use oms_codec::{DbType, Format, Settings, TablePlan};
use oms_core::{
    CivilDate, CivilDateTime, Column, ColumnType, Duration, Key, KeyPart, Row, RowBuilder, TableName,
    TableSchema, Value,
};

/// A table of the database `shop`.
pub(crate) fn table(name: &str, columns: &[(&str, ColumnType)], key: &[&str]) -> Arc<TableSchema> {
    let parts = key.iter().map(|k| KeyPart {
        column: columns.iter().position(|(n, _)| n == k),
        prefix: None,
    });
    Arc::new(TableSchema {
        name: TableName::new("shop", name),
        engine: "InnoDB".into(),
        columns: columns
            .iter()
            .map(|(n, ty)| Column {
                name: (*n).into(),
                ty: ty.clone(),
                nullable: !key.contains(n),
                generated: None,
                invisible: false,
            })
            .collect(),
        keys: (!key.is_empty())
            .then(|| Key {
                name: "PRIMARY".into(),
                primary: true,
                parts: parts.collect(),
            })
            .into_iter()
            .collect(),
        estimated_rows: 0,
        estimated_bytes: 0,
    })
}

pub(crate) fn row(values: &[Value<'_>]) -> Row {
    let mut builder = RowBuilder::new();
    builder.begin(values.len() as u16);
    values.iter().for_each(|v| builder.push(*v));
    builder.finish().expect("the row and its plan are whole")
}

pub(crate) fn varchar(charset: &str) -> ColumnType {
    ColumnType::VarChar {
        length: 100,
        charset: charset.into(),
        collation: format!("{charset}_bin"),
    }
}

pub(crate) fn int(bytes: u8, unsigned: bool) -> ColumnType {
    ColumnType::Integer { bytes, unsigned }
}

pub(crate) fn decimal(precision: u8, scale: u8) -> ColumnType {
    ColumnType::Decimal {
        precision,
        scale,
        unsigned: false,
    }
}

pub(crate) fn item_type(column: &str) -> ColumnType {
    match column {
        "order_id" => int(8, false),
        "line_no" => int(4, false),
        "price" => decimal(10, 4),
        "due" => ColumnType::DateTime { fraction: 6 },
        "paid_at" => ColumnType::Timestamp { fraction: 6 },
        _ => varchar("utf8mb4"),
    }
}

/// `order_item` with some of its columns.
pub(crate) fn item(columns: &[&str], key: &[&str]) -> Arc<TableSchema> {
    let columns: Vec<_> = columns.iter().map(|c| (*c, item_type(c))).collect();
    table("order_item", &columns, key)
}

pub(crate) fn moment_of(date: (u16, u8, u8), time: (u8, u8, u8), micros: u32) -> CivilDateTime {
    CivilDateTime {
        date: CivilDate {
            year: date.0,
            month: date.1,
            day: date.2,
        },
        hour: time.0,
        minute: time.1,
        second: time.2,
        micros,
    }
}

pub(crate) fn due() -> Value<'static> {
    Value::DateTime(moment_of((2024, 3, 5), (10, 20, 30), 500_000))
}

pub(crate) const PAID_AT: Value<'static> = Value::Timestamp(1_709_605_230_125_000);

/// A table with a column of every type.
pub(crate) fn kinds() -> Arc<TableSchema> {
    let members = |m: &[&str]| m.iter().map(|m| (*m).to_owned()).collect::<Vec<_>>();
    let (charset, collation) = ("latin1".to_owned(), "latin1_bin".to_owned());
    table(
        "kinds",
        &[
            ("t", int(1, false)),
            ("tu", int(1, true)),
            ("s", int(2, false)),
            ("m", int(3, true)),
            ("i", int(4, false)),
            ("iu", int(4, true)),
            ("b", int(8, false)),
            ("bu", int(8, true)),
            ("y", ColumnType::Year),
            ("d1", decimal(10, 4)),
            ("d2", decimal(38, 10)),
            ("d3", decimal(20, 8)),
            ("f", ColumnType::Float),
            ("g", ColumnType::Double),
            ("bit", ColumnType::Bit { bits: 16 }),
            (
                "c",
                ColumnType::Char {
                    length: 10,
                    charset: charset.clone(),
                    collation: collation.clone(),
                },
            ),
            ("v", varchar("utf8mb4")),
            (
                "x",
                ColumnType::Text {
                    tier: 4,
                    charset: "utf16".into(),
                    collation: "utf16_bin".into(),
                },
            ),
            ("bin", ColumnType::Binary { length: 4 }),
            ("vb", ColumnType::VarBinary { length: 10 }),
            ("bl", ColumnType::Blob { tier: 2 }),
            (
                "e",
                ColumnType::Enum {
                    members: members(&["x", "y,z"]),
                    charset: charset.clone(),
                    collation: collation.clone(),
                },
            ),
            (
                "se",
                ColumnType::Set {
                    members: members(&["a", "b", "c"]),
                    charset,
                    collation,
                },
            ),
            ("da", ColumnType::Date),
            ("ti", ColumnType::Time { fraction: 6 }),
            ("dt", ColumnType::DateTime { fraction: 6 }),
            ("ts", ColumnType::Timestamp { fraction: 6 }),
            ("j", ColumnType::Json),
            ("ge", ColumnType::Geometry { kind: "point".into() }),
            ("u", ColumnType::Uuid),
        ],
        &["i"],
    )
}

const POINT: &[u8] = b"\0\0\0\0\x01\x01\0\0\0\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40";

pub(crate) fn ordinary() -> [Value<'static>; 30] {
    [
        Value::Int(-128),
        Value::UInt(255),
        Value::Int(-32_768),
        Value::UInt(16_777_215),
        Value::Int(-2_147_483_648),
        Value::UInt(4_294_967_295),
        Value::Int(i64::MIN),
        Value::UInt(u64::MAX),
        Value::Year(2024),
        Value::Decimal("12.5000"),
        Value::Decimal("-1234567890123456789012345678.0123456789"),
        Value::Decimal("0.00000000"),
        Value::Float(9.9),
        Value::Double(1_234_567.891),
        Value::Bit(5),
        Value::Text(b"caf\xe9"),
        Value::Text("a\"b\\c\n😀\u{1}/".as_bytes()),
        Value::Text(b"\0t\0e\0x\0t"),
        Value::Bytes(b"om\0\0"),
        Value::Bytes(b"omsnode"),
        Value::Bytes(b"\xff\0\x7f"),
        Value::Enum(2),
        Value::Set(5),
        Value::Date(CivilDate {
            year: 2024,
            month: 3,
            day: 5,
        }),
        Value::Time(Duration(37_230_250_000)),
        due(),
        PAID_AT,
        Value::Json("{\"k\": [1, 2.50]}"),
        Value::Geometry(POINT),
        Value::Text(b"123e4567-e89b-12d3-a456-426614174000"),
    ]
}

pub(crate) fn extreme() -> [Value<'static>; 30] {
    [
        Value::Int(127),
        Value::UInt(0),
        Value::Int(32_767),
        Value::UInt(0),
        Value::Int(2_147_483_647),
        Value::UInt(0),
        Value::Int(i64::MAX),
        Value::UInt(0),
        Value::Year(0),
        Value::Decimal("-0.5000"),
        Value::Decimal("0.0000000000"),
        Value::Decimal("0.00000012"),
        Value::Float(16_777_216.0),
        Value::Double(1e16),
        Value::Bit(0),
        Value::Text(b""),
        Value::Text(b""),
        Value::Text(b""),
        Value::Bytes(b"\0\0\0\0"),
        Value::Bytes(b""),
        Value::Bytes(b""),
        Value::Enum(0),
        Value::Set(0),
        Value::Date(CivilDate::default()),
        Value::Time(Duration(-3_020_399_000_000)),
        Value::DateTime(moment_of((2024, 2, 30), (0, 0, 0), 0)),
        Value::Timestamp(0),
        Value::Json("null"),
        Value::Geometry(POINT),
        Value::Text(b"00000000-0000-0000-0000-000000000000"),
    ]
}

/// As the golden messages have it: OceanBase, tenant `trade`, business system `shop-core`.
pub(crate) fn settings(format: Format) -> Settings {
    Settings {
        tenant: Some("trade".into()),
        business: Some("shop-core".into()),
        ..Settings::new(format, DbType::ObMysql)
    }
}

pub(crate) fn plan(schema: &Arc<TableSchema>, settings: &Settings) -> TablePlan {
    TablePlan::new(schema.clone(), settings, None, &[]).expect("the row and its plan are whole")
}
