//! What holds for every format, and for keys and partitions.

mod bed;

use bed::{decimal, int, item, kinds, ordinary, plan, row, settings, table, varchar};
use oms_codec::{
    Change, CodecError, Ddl, DdlKind, Encoder, Format, Moment, PartitionRule, Router, SchemaBlock, Settings,
    TablePlan, Target, Unchanged, Written, murmur2,
};
use oms_core::Value;
use proptest::prelude::*;

proptest! {
    /// Text, 64-bit and exact numbers come out of a JSON reader as they went in, whatever the format.
    #[test]
    fn values_come_back(text in "\\PC*|[\u{0}-\u{20}\"\\\\/é😀]*", signed: i64, unsigned: u64, digits in "-?[1-9][0-9]{0,27}\\.[0-9]{10}") {
        let columns = [("k", int(8, false)), ("v", varchar("utf8mb4")), ("u", int(8, true)), ("d", decimal(38, 10))];
        let schema = table("t", &columns, &["k"]);
        let after = row(&[Value::Int(signed), Value::Text(text.as_bytes()), Value::UInt(unsigned), Value::Decimal(&digits)]);
        for format in Format::ALL {
            let settings = settings(format);
            let plan = plan(&schema, &settings);
            let mut out = b"before".to_vec();
            let change = Change::Insert { table: &plan, after: &after };
            let written = Encoder::new(settings).expect("the change is a message").encode(&change, &Moment::default(), &mut out).expect("the change is a message");
            prop_assert_eq!(written, Written::Message);
            let message = std::str::from_utf8(out.strip_prefix(b"before").expect("the change is a message")).expect("the change is a message");
            let json: serde_json::Value = serde_json::from_str(message).expect("the change is a message");
            let image = match format {
                Format::Default | Format::DefaultWithSchema => &json["postStruct"],
                Format::Canal => &json["data"][0],
                Format::DataworksV2 => &json["payload"]["after"]["data"],
                Format::Shareplex | Format::Maxwell => &json["data"],
                Format::Debezium => &json["payload"]["after"],
                Format::DebeziumFlatten => &json["after"],
                Format::DebeziumSmt => &json,
            };
            prop_assert_eq!(image["v"].as_str(), Some(text.as_str()));
            prop_assert_eq!(image["k"].as_i64(), Some(signed));
            // A reader that knows only floats would spoil these: they are compared as text.
            let debezium = matches!(format, Format::Debezium | Format::DebeziumFlatten | Format::DebeziumSmt);
            let quote = if debezium { "\"" } else { "" };
            let expected = format!("\"u\":{quote}{unsigned}{quote},\"d\":{quote}{digits}{quote}");
            prop_assert!(message.contains(&expected), "{}", message);
        }
    }

    /// A key reads back into its values, and its partition is the one of Kafka's own partitioner.
    #[test]
    fn keys_come_back(id: i64, text in "[^\u{1}]*", partitions in 1u32..200) {
        let schema = table("t", &[("a", int(8, false)), ("b", varchar("utf8mb4"))], &["a", "b"]);
        let plan = plan(&schema, &settings(Format::Default));
        let after = row(&[Value::Int(id), Value::Text(text.as_bytes())]);
        let mut key = Vec::new();
        let change = Change::Insert { table: &plan, after: &after };
        let target = Router::new(PartitionRule::Hash, false).route(&change, partitions, &mut key).expect("the change is a message");
        let (first, second) = std::str::from_utf8(&key).expect("the change is a message").split_once('\u{1}').expect("the change is a message");
        prop_assert_eq!(first.parse::<i64>().expect("the change is a message"), id);
        prop_assert_eq!(second, text);
        prop_assert_eq!(target, Target::One((murmur2(&key) & 0x7fff_ffff) % partitions));
    }
}

#[test]
fn the_same_change_gives_the_same_bytes_and_an_error_gives_none() {
    for format in Format::ALL {
        let settings = settings(format);
        let plan = plan(&kinds(), &settings);
        let encoder = Encoder::new(settings).unwrap();
        let encode = |values: &[Value<'_>], out: &mut Vec<u8>| {
            let after = row(values);
            let change = Change::Insert {
                table: &plan,
                after: &after,
            };
            encoder.encode(&change, &Moment::default(), out)
        };
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        assert_eq!(encode(&ordinary(), &mut once), Ok(Written::Message));
        assert_eq!(encode(&ordinary(), &mut twice), Ok(Written::Message));
        assert_eq!(once, twice);
        for (at, wrong, kind) in [
            (16, Value::Text(b"\xff"), 0),
            (21, Value::Enum(3), 1),
            (22, Value::Set(8), 1),
            (13, Value::Double(f64::NAN), 1),
            (12, Value::Float(f32::INFINITY), 1),
            (0, Value::Enum(1), 2),
            (0, Value::Set(1), 2),
            (0, Value::Bit(1), 2),
        ] {
            let mut values = ordinary();
            values[at] = wrong;
            let error = encode(&values, &mut twice).unwrap_err();
            let found = match error {
                CodecError::NotText { .. } => 0,
                CodecError::NoSuchMember { .. } => 1,
                CodecError::WrongKind { .. } => 2,
                _ => 3,
            };
            assert_eq!(found, kind, "{format:?} {at}: {error}");
            assert_eq!(once, twice, "an error leaves the buffer as it was");
        }
    }
}

#[test]
fn what_the_log_does_not_carry_is_null_or_left_out_and_named() {
    let schema = item(&["order_id", "sku", "price"], &["order_id"]);
    let before = row(&[Value::Int(1), Value::Text(b"a"), Value::Decimal("1.0000")]);
    let after = row(&[Value::Int(1), Value::Absent, Value::Decimal("2.0000")]);
    for (unchanged, data, old) in [
        (
            Unchanged::Null,
            r#""data":[{"order_id":1,"sku":null,"price":2.0000}]"#,
            r#""old":[{"price":1.0000}]"#,
        ),
        (
            Unchanged::Omit,
            r#""data":[{"order_id":1,"price":2.0000}]"#,
            r#""old":[{"price":1.0000}]"#,
        ),
    ] {
        let settings = Settings {
            unchanged,
            ..settings(Format::Canal)
        };
        let plan = plan(&schema, &settings);
        let encoder = Encoder::new(settings).unwrap();
        let change = Change::Update {
            table: &plan,
            before: &before,
            after: &after,
        };
        let mut out = Vec::new();
        assert_eq!(
            encoder.encode(&change, &Moment::default(), &mut out),
            Ok(Written::Message)
        );
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(data) && text.contains(old), "{text}");
        assert_eq!(encoder.unchanged(&change), ["sku"]);
    }
    // A key column that is missing cannot be guessed.
    let plan = plan(&schema, &settings(Format::Canal));
    let keyless = row(&[Value::Absent, Value::Null, Value::Null]);
    let mut key = b"kept".to_vec();
    let error = Router::new(PartitionRule::Hash, false)
        .route(
            &Change::Delete {
                table: &plan,
                before: &keyless,
            },
            3,
            &mut key,
        )
        .unwrap_err();
    assert!(matches!(error, CodecError::KeyAbsent { .. }));
    assert_eq!(key, b"kept");
}

#[test]
fn columns_and_settings_that_cannot_be_are_refused() {
    let refused = |format, column: &str, ty| {
        let schema = table("t", &[(column, ty)], &[]);
        TablePlan::new(schema, &settings(format), None, &[]).unwrap_err()
    };
    assert!(matches!(
        refused(Format::DefaultWithSchema, "__light_type", int(4, false)),
        CodecError::ReservedColumn { .. }
    ));
    assert!(matches!(
        refused(Format::DebeziumSmt, "__deleted", int(4, false)),
        CodecError::ReservedColumn { .. }
    ));
    assert!(matches!(
        refused(Format::Canal, "c", varchar("gbk")),
        CodecError::UnknownCharset { .. }
    ));
    let schema = table("t", &[("a", int(4, false)), ("c", varchar("gbk"))], &["a"]);
    let only = |names: &[&str], sharding: &[&str]| {
        let owned = |n: &[&str]| n.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        TablePlan::new(
            schema.clone(),
            &settings(Format::Canal),
            Some(&owned(names)),
            &owned(sharding),
        )
    };
    assert!(
        only(&["a"], &[]).is_ok(),
        "a column that is not sent need not be read"
    );
    assert!(matches!(only(&["b"], &[]), Err(CodecError::NoSuchColumn { .. })));
    assert!(matches!(
        only(&["a"], &["b"]),
        Err(CodecError::NoSuchColumn { .. })
    ));
    for wrong in [
        Settings {
            zone_seconds: 70_000,
            ..settings(Format::Shareplex)
        },
        Settings {
            business: Some(String::new()),
            ..settings(Format::DataworksV2)
        },
        Settings {
            business: Some("x".repeat(21)),
            ..settings(Format::DataworksV2)
        },
        Settings {
            tenant: Some("a.b".into()),
            ..settings(Format::Default)
        },
        Settings {
            schema: SchemaBlock::Connect,
            ..settings(Format::Canal)
        },
    ] {
        assert!(matches!(Encoder::new(wrong), Err(CodecError::Setting(_))));
    }
    for format in Format::ALL {
        assert_eq!(Format::find(&format.name().to_lowercase()), Some(format));
    }
    assert_eq!(Format::find("AVRO"), None);
}

#[test]
fn only_chosen_columns_are_sent() {
    let schema = item(&["order_id", "line_no", "price"], &["order_id"]);
    let settings = settings(Format::DebeziumSmt);
    let plan = TablePlan::new(
        schema,
        &settings,
        Some(&["PRICE".to_owned()]),
        &["line_no".to_owned()],
    )
    .unwrap();
    let after = row(&[Value::Int(1), Value::Int(2), Value::Decimal("3.0000")]);
    let change = Change::Insert {
        table: &plan,
        after: &after,
    };
    let mut out = Vec::new();
    let encoder = Encoder::new(settings).unwrap();
    assert_eq!(
        encoder.encode(&change, &Moment::default(), &mut out),
        Ok(Written::Message)
    );
    assert_eq!(out, br#"{"price":"3.0000","__deleted":"false"}"#);
    let mut key = Vec::new();
    Router::new(PartitionRule::Hash, false)
        .route(&change, 7, &mut key)
        .unwrap();
    assert_eq!(key, b"2");
}

#[test]
fn changes_go_where_the_rule_says() {
    let settings = settings(Format::Default);
    let keyed = plan(
        &item(&["order_id", "line_no", "price"], &["order_id", "line_no"]),
        &settings,
    );
    let keyless = plan(&table("log", &[("a", int(4, false))], &[]), &settings);
    let of = |line| row(&[Value::Int(7), Value::Int(line), Value::Decimal("1.0000")]);
    let (two, three) = (of(2), of(3));
    let update = Change::Update {
        table: &keyed,
        before: &two,
        after: &three,
    };
    let lone = row(&[Value::Int(1)]);
    let insert = Change::Insert {
        table: &keyless,
        after: &lone,
    };
    let ddl = |table| {
        Change::Ddl(Ddl {
            database: "shop",
            table,
            kind: DdlKind::DropIndex,
            statement: "DROP INDEX i",
        })
    };
    let hash = |text: &str| Target::One((murmur2(text.as_bytes()) & 0x7fff_ffff) % 12);
    let one = Target::One(4);
    let cases = [
        (PartitionRule::Hash, update, "7\u{1}2", hash("7\u{1}2")),
        (PartitionRule::Hash, insert, "shop.log", hash("shop.log")),
        (
            PartitionRule::Hash,
            ddl(Some("order_item")),
            "shop.order_item",
            Target::Every,
        ),
        (
            PartitionRule::Hash,
            Change::Heartbeat,
            "__heartbeat",
            Target::Every,
        ),
        (
            PartitionRule::Table,
            update,
            "shop.order_item",
            hash("shop.order_item"),
        ),
        (
            PartitionRule::Table,
            ddl(Some("order_item")),
            "shop.order_item",
            hash("shop.order_item"),
        ),
        (PartitionRule::Table, ddl(None), "shop", Target::Every),
        (
            PartitionRule::Table,
            Change::Heartbeat,
            "__heartbeat",
            Target::Every,
        ),
        (PartitionRule::One { partition: 4 }, update, "7\u{1}2", one),
        (PartitionRule::One { partition: 4 }, ddl(None), "shop", one),
        (
            PartitionRule::One { partition: 4 },
            Change::Heartbeat,
            "__heartbeat",
            one,
        ),
    ];
    for (rule, change, text, target) in cases {
        let mut key = Vec::new();
        assert_eq!(
            Router::new(rule, false).route(&change, 12, &mut key),
            Ok(target),
            "{rule:?} {text}"
        );
        assert_eq!(key, text.as_bytes());
    }
    // An update that changes the key stays with the old one, or is split in two.
    assert!(Router::new(PartitionRule::Hash, false).split(&update).is_none());
    let router = Router::new(PartitionRule::Hash, true);
    let [delete, insert] = router.split(&update).unwrap();
    assert!(matches!(delete, Change::Delete { .. }) && matches!(insert, Change::Insert { .. }));
    let mut key = Vec::new();
    router.route(&insert, 12, &mut key).unwrap();
    assert_eq!(key, b"7\x013");
    assert!(
        router
            .split(&Change::Update {
                table: &keyed,
                before: &two,
                after: &two
            })
            .is_none()
    );
}

#[test]
fn a_schema_for_connect_is_true() {
    let settings = Settings {
        schema: SchemaBlock::Connect,
        ..settings(Format::Debezium)
    };
    let plan = plan(&kinds(), &settings);
    let after = row(&ordinary());
    let mut out = Vec::new();
    let encoder = Encoder::new(settings).unwrap();
    let change = Change::Insert {
        table: &plan,
        after: &after,
    };
    assert_eq!(
        encoder.encode(&change, &Moment::default(), &mut out),
        Ok(Written::Message)
    );
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    fits(&json["schema"], &json["payload"], "payload");
}

/// Whether a value is of the type that its schema declares, with every member declared.
fn fits(schema: &serde_json::Value, value: &serde_json::Value, path: &str) {
    if value.is_null() {
        assert_eq!(schema["optional"], true, "{path} is missing but not optional");
        return;
    }
    match schema["type"].as_str().expect("the schema is well-formed") {
        "struct" => {
            let fields = schema["fields"].as_array().expect("the schema is well-formed");
            for field in fields {
                let name = field["field"].as_str().expect("the schema is well-formed");
                fits(field, &value[name], &format!("{path}.{name}"));
            }
            for name in value.as_object().expect("the schema is well-formed").keys() {
                assert!(
                    fields.iter().any(|f| f["field"] == *name),
                    "{path}.{name} is not declared"
                );
            }
        }
        "string" => assert!(value.is_string(), "{path}"),
        "float64" => assert!(value.is_number(), "{path}"),
        whole => {
            let (value, bits) = (
                value.as_i64().expect("the schema is well-formed"),
                whole
                    .strip_prefix("int")
                    .expect("the schema is well-formed")
                    .parse::<u32>()
                    .expect("the schema is well-formed"),
            );
            assert!(bits == 64 || value.unsigned_abs() <= 1 << (bits - 1), "{path}");
        }
    }
}
