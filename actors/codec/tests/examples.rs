//! The examples of the formats' descriptions, as they stand there.

mod bed;

use bed::{PAID_AT, due, item, plan, row, settings};
use oms_codec::{Change, Ddl, DdlKind, Encoder, Format, Moment, Sequence, Settings, TablePlan};
use oms_core::{Row, Value};

fn at(seconds: i64, processed_ms: i64, checkpoint: i64) -> Moment<'static> {
    Moment {
        event_seconds: seconds,
        processed_ms,
        checkpoint_seconds: checkpoint,
        ordinal: 1,
        ..Moment::default()
    }
}

fn text(settings: &Settings, change: &Change<'_>, moment: &Moment<'_>) -> String {
    let mut out = Vec::new();
    let written = Encoder::new(settings.clone())
        .expect("the example is a message")
        .encode(change, moment, &mut out)
        .expect("the example is a message");
    assert_eq!(written, oms_codec::Written::Message);
    String::from_utf8(out).expect("the example is a message")
}

struct Bench {
    settings: Settings,
    table: TablePlan,
    old: Row,
    new: Row,
}

/// Two versions of one item: the price falls from 12.5 to 11.
fn bench(format: Format, columns: &[&str], key: &[&str]) -> Bench {
    let settings = settings(format);
    let table = plan(&item(columns, key), &settings);
    let version = |price| {
        let values: Vec<Value<'_>> = columns
            .iter()
            .map(|c| match *c {
                "order_id" => Value::Int(7001),
                "line_no" => Value::Int(2),
                "sku" => Value::Text(b"K-9"),
                "price" => Value::Decimal(price),
                "due" => due(),
                "paid_at" => PAID_AT,
                other => panic!("{other}"),
            })
            .collect();
        row(&values)
    };
    Bench {
        old: version("12.5000"),
        new: version("11.0000"),
        settings,
        table,
    }
}

const ALTER: Ddl<'static> = Ddl {
    database: "shop",
    table: Some("order_item"),
    kind: DdlKind::AlterTable,
    statement: "alter table shop.order_item drop column gift;",
};

#[test]
fn default() {
    let b = bench(
        Format::Default,
        &["order_id", "line_no", "price"],
        &["order_id", "line_no"],
    );
    let moment = Moment {
        sequence: Sequence::new(1_709_605_241_000, 0),
        stream: Some("OB_MYSQL_np_demo_1-1-0"),
        unique_id: Some("91"),
        transaction: Some("1004_77131"),
        cluster: Some("1"),
        ..at(1_709_605_241, 0, 1_709_605_240)
    };
    let update = Change::Update {
        table: &b.table,
        before: &b.old,
        after: &b.new,
    };
    assert_eq!(
        text(&b.settings, &update, &moment),
        r#"{"prevStruct":{"order_id":7001,"line_no":2,"price":12.5000},"postStruct":{"order_id":7001,"line_no":2,"price":11.0000},"allMetaData":{"checkpoint":"1709605240","record_primary_key":"order_id\u0001line_no","record_primary_value":"7001\u00012","source_identity":"OB_MYSQL_np_demo_1-1-0","dbType":"OB_MYSQL","storeDataSequence":170960524100000000,"table_name":"order_item","db":"trade.shop","timestamp":"1709605241","uniqueId":"91","transId":"1004_77131","clusterId":"1","ddlType":null},"recordType":"UPDATE"}"#
    );
    let scanned = row(&[Value::Int(1), Value::Int(1), Value::Decimal("3.0000")]);
    let moment = Moment {
        stream: Some("42"),
        ..at(0, 0, 0)
    };
    assert_eq!(
        text(
            &b.settings,
            &Change::Full {
                table: &b.table,
                row: &scanned
            },
            &moment
        ),
        r#"{"prevStruct":null,"postStruct":{"order_id":1,"line_no":1,"price":3.0000},"allMetaData":{"checkpoint":"order_id=1,line_no=1","record_primary_key":"order_id\u0001line_no","record_primary_value":"1\u00011","source_identity":"42","dbType":"OB_MYSQL","table_name":"order_item","db":"trade.shop"},"recordType":"ROW"}"#
    );
    let statement = "alter table shop.order_item add column gift tinyint default 0 comment \"flag\"";
    let ddl = Change::Ddl(Ddl { statement, ..ALTER });
    assert_eq!(
        text(&b.settings, &ddl, &at(1_709_605_305, 0, 1_709_605_300)),
        r#"{"prevStruct":null,"postStruct":{"ddl":"alter table shop.order_item add column gift tinyint default 0 comment \"flag\""},"allMetaData":{"checkpoint":"1709605300","dbType":"OB_MYSQL","storeDataSequence":null,"db":"shop","timestamp":"1709605305","uniqueId":null,"ddlType":"ALTER_TABLE","record_primary_key":null,"source_identity":null,"record_primary_value":null,"table_name":"order_item"},"recordType":"DDL"}"#
    );
    let moment = Moment {
        sequence: Sequence::new(1_709_605_310_000, 0),
        stream: Some("OB_MYSQL_np_demo_1-1-0"),
        cluster: Some("1"),
        ..at(1_709_605_310, 0, 1_709_605_310)
    };
    assert_eq!(
        text(&b.settings, &Change::Heartbeat, &moment),
        r#"{"prevStruct":null,"postStruct":null,"allMetaData":{"checkpoint":"1709605310","dbType":"OB_MYSQL","storeDataSequence":170960531000000000,"db":null,"timestamp":"1709605310","uniqueId":null,"transId":null,"clusterId":"1","ddlType":null,"record_primary_key":null,"source_identity":"OB_MYSQL_np_demo_1-1-0","record_primary_value":null,"table_name":null},"recordType":"HEARTBEAT"}"#
    );
}

#[test]
fn default_with_schema() {
    let b = bench(Format::DefaultWithSchema, &["order_id", "price"], &["order_id"]);
    let moment = Moment {
        sequence: Sequence::new(1_709_605_230_000, 3),
        unique_id: Some("88"),
        transaction: Some("1004_77120"),
        cluster: Some("1"),
        ..at(1_709_605_230, 0, 1_709_605_228)
    };
    assert_eq!(
        text(
            &b.settings,
            &Change::Insert {
                table: &b.table,
                after: &b.old
            },
            &moment
        ),
        r#"{"prevStruct":null,"postStruct":{"order_id":7001,"price":12.5000,"__light_type":{"order_id":{"schemaType":"INT64"},"price":{"schemaType":"DECIMAL"}}},"allMetaData":{"checkpoint":"1709605228","record_primary_key":"order_id","record_primary_value":"7001","source_identity":null,"dbType":"OB_MYSQL","storeDataSequence":170960523000000003,"table_name":"order_item","db":"trade.shop","timestamp":"1709605230","uniqueId":"88","transId":"1004_77120","clusterId":"1","ddlType":null},"recordType":"INSERT"}"#
    );
}

#[test]
fn canal() {
    let b = bench(
        Format::Canal,
        &["order_id", "sku", "price", "paid_at"],
        &["order_id"],
    );
    assert_eq!(
        text(
            &b.settings,
            &Change::Insert {
                table: &b.table,
                after: &b.old
            },
            &at(1_709_605_230, 1_709_605_230_911, 0)
        ),
        r#"{"database":"shop","sqlType":{"order_id":-5,"sku":12,"price":3,"paid_at":93},"data":[{"order_id":7001,"sku":"K-9","price":12.5000,"paid_at":"1709605230.125"}],"pkNames":["order_id"],"old":null,"mysqlType":{"order_id":"int64","sku":"varchar","price":"decimal","paid_at":"timestamp"},"type":"INSERT","table":"order_item","es":1709605230000,"isDdl":false,"ts":1709605230911,"sql":""}"#
    );
    let b = bench(Format::Canal, &["order_id", "sku", "price"], &["order_id"]);
    assert_eq!(
        text(
            &b.settings,
            &Change::Update {
                table: &b.table,
                before: &b.old,
                after: &b.new
            },
            &at(1_709_605_241, 1_709_605_241_302, 0)
        ),
        r#"{"database":"shop","sqlType":{"order_id":-5,"sku":12,"price":3},"data":[{"order_id":7001,"sku":"K-9","price":11.0000}],"pkNames":["order_id"],"old":[{"price":12.5000}],"mysqlType":{"order_id":"int64","sku":"varchar","price":"decimal"},"type":"UPDATE","table":"order_item","es":1709605241000,"isDdl":false,"ts":1709605241302,"sql":""}"#
    );
    assert_eq!(
        text(
            &b.settings,
            &Change::Ddl(ALTER),
            &at(1_709_605_305, 1_709_605_306_417, 0)
        ),
        r#"{"database":"shop","sqlType":null,"data":null,"pkNames":null,"old":null,"mysqlType":null,"type":"ALTER","table":"order_item","es":1709605305000,"isDdl":true,"ts":1709605306417,"sql":"alter table shop.order_item drop column gift"}"#
    );
    assert_eq!(
        text(
            &b.settings,
            &Change::Heartbeat,
            &at(1_709_605_310, 1_709_605_310_950, 0)
        ),
        r#"{"table":null,"database":null,"type":"MHEARTBEAT","ts":1709605310950,"es":1709605310000,"isDdl":false,"sql":"","data":null,"old":null,"pkNames":null,"mysqlType":null,"sqlType":null}"#
    );
}

#[test]
fn dataworks() {
    let b = bench(Format::DataworksV2, &["order_id", "price", "due"], &["order_id"]);
    let settings = Settings {
        dataworks_sequence: true,
        ..b.settings.clone()
    };
    let moment = Moment {
        sequence: Sequence::new(1_709_605_241_000, 0),
        ..at(1_709_605_241, 1_709_605_241_377, 1_709_605_240)
    };
    let update = Change::Update {
        table: &b.table,
        before: &b.old,
        after: &b.new,
    };
    assert_eq!(
        text(&settings, &update, &moment),
        r#"{"version":"2.0","schema":{"source":{"dbType":"ob_mysql","dbVersion":null,"dbName":"shop","schema":null,"table":"order_item"},"column":[{"name":"order_id","type":"INT64"},{"name":"price","type":"DECIMAL"},{"name":"due","type":"DATETIME"}],"pk":["order_id"]},"payload":{"before":{"data":{"order_id":7001,"price":12.5000,"due":"2024-03-05 10:20:30.5"}},"after":{"data":{"order_id":7001,"price":11.0000,"due":"2024-03-05 10:20:30.5"}},"op":"UPDATE","timestamp":{"eventTime":1709605241000,"systemTime":1709605241377,"checkpointTime":1709605240},"ddl":null,"scn":"170960524100000000"},"extend":{"load_fm":"shop-core"}}"#
    );
    assert_eq!(
        text(
            &b.settings,
            &Change::Ddl(ALTER),
            &at(1_709_605_305, 1_709_605_306_431, 1_709_605_300)
        ),
        r#"{"version":"2.0","schema":{"source":{"dbType":"ob_mysql","dbVersion":null,"dbName":"shop","schema":null,"table":"order_item"},"column":null,"pk":null},"payload":{"before":null,"after":null,"op":"ALTER","timestamp":{"eventTime":1709605305000,"systemTime":1709605306431,"checkpointTime":1709605300},"ddl":{"text":"alter table shop.order_item drop column gift"},"scn":"null"},"extend":{}}"#
    );
}

#[test]
fn shareplex() {
    let b = bench(
        Format::Shareplex,
        &["order_id", "line_no", "sku", "price"],
        &["order_id", "line_no"],
    );
    let moment = Moment {
        sequence: Sequence::new(1_709_605_241_000, 0),
        transaction: Some("1004_77131"),
        ..at(1_709_605_241, 1_709_605_241_377, 1_709_605_240)
    };
    let update = Change::Update {
        table: &b.table,
        before: &b.old,
        after: &b.new,
    };
    assert_eq!(
        text(&b.settings, &update, &moment),
        r#"{"data":{"price":11.0000},"meta":{"posttime":"2024-03-05T10:20:41","op":"upd","size":1,"time":"2024-03-05T10:20:41","idx":"1/1","seq":1,"table":"shop.order_item","rowid":"shop.order_item-7001\u00012","trans":"1004_77131","scn":"170960524100000000"},"key":{"order_id":7001,"line_no":2,"sku":"K-9","price":12.5000}}"#
    );
    assert_eq!(
        text(
            &b.settings,
            &Change::Ddl(ALTER),
            &at(1_709_605_305, 1_709_605_306_431, 0)
        ),
        r#"{"data":{},"meta":{"posttime":"2024-03-05T10:21:46","op":"ddl","size":0,"time":"2024-03-05T10:21:45","idx":"0/0","seq":0,"table":"shop.order_item","rowid":"shop.order_item-","trans":null,"scn":"null"},"sql":{"ddl":"alter table shop.order_item drop column gift"}}"#
    );
}

#[test]
fn debezium() {
    let b = bench(Format::Debezium, &["order_id", "price"], &["order_id"]);
    let moment = Moment {
        offset: 51_902,
        ..at(1_709_605_241, 1_709_605_241_302, 0)
    };
    let update = Change::Update {
        table: &b.table,
        before: &b.old,
        after: &b.new,
    };
    assert_eq!(
        text(&b.settings, &update, &moment),
        r#"{"payload":{"op":"u","before":{"order_id":7001,"price":"12.5000"},"source":{"connector":"OB_MYSQL","pos":"51902@1709605241","name":"OMS","version":"","ts_ms":1709605241000,"db":"shop","table":"order_item"},"after":{"order_id":7001,"price":"11.0000"},"ts_ms":1709605241302}}"#
    );
    let flat = bench(Format::DebeziumFlatten, &["order_id", "price"], &["order_id"]);
    let moment = Moment {
        offset: 51_960,
        ..at(1_709_605_260, 1_709_605_260_208, 0)
    };
    assert_eq!(
        text(
            &flat.settings,
            &Change::Delete {
                table: &flat.table,
                before: &flat.new
            },
            &moment
        ),
        r#"{"op":"d","before":{"order_id":7001,"price":"11.0000"},"source":{"connector":"OB_MYSQL","pos":"51960@1709605260","name":"OMS","version":"","ts_ms":1709605260000,"db":"shop","table":"order_item"},"ts_ms":1709605260208}"#
    );
    let smt = bench(Format::DebeziumSmt, &["order_id", "price"], &["order_id"]);
    assert_eq!(
        text(
            &smt.settings,
            &Change::Update {
                table: &smt.table,
                before: &smt.old,
                after: &smt.new
            },
            &moment
        ),
        r#"{"order_id":7001,"price":"11.0000","__deleted":"false"}"#
    );
    assert_eq!(
        text(
            &b.settings,
            &Change::Heartbeat,
            &at(1_709_605_310, 1_709_605_310_950, 0)
        ),
        r#"{"payload":{"source":{"version":"2.0.1.Final","connector":"OB_MYSQL","name":"OMS","ts_ms":1709605310000,"pos":1709605310},"op":"HEARTBEAT","ts_ms":1709605310950,"before":{},"after":{}}}"#
    );
}

#[test]
fn maxwell() {
    let b = bench(
        Format::Maxwell,
        &["order_id", "line_no", "price"],
        &["order_id", "line_no"],
    );
    let moment = Moment {
        transaction: Some("1004_77140"),
        ..at(1_709_605_260, 0, 1_709_605_260)
    };
    assert_eq!(
        text(
            &b.settings,
            &Change::Delete {
                table: &b.table,
                before: &b.new
            },
            &moment
        ),
        r#"{"database":"shop","table":"order_item","type":"delete","ts":1709605260,"xid":"1004_77140","commit":true,"position":"1709605260","primary_key":["7001","2"],"primary_key_columns":["order_id","line_no"],"data":{"order_id":7001,"line_no":2,"price":11.0000},"old":null,"sql":null,"def":null}"#
    );
    assert_eq!(
        text(
            &b.settings,
            &Change::Ddl(ALTER),
            &at(1_709_605_305, 0, 1_709_605_300)
        ),
        r#"{"database":"shop","table":"order_item","type":"table-alter","ts":1709605305,"xid":null,"commit":true,"position":"1709605300","primary_key":null,"primary_key_columns":null,"data":null,"old":null,"sql":"alter table shop.order_item drop column gift","def":{"database":"shop","table":"order_item","primary-key":[],"columns":[]}}"#
    );
    let moment = Moment {
        message_id: 0x3f0c_2a52_6f0e_4a2f_9f53_0f5f_3e9d_7a11,
        ..at(1_709_605_310, 0, 1_709_605_310)
    };
    assert_eq!(
        text(&b.settings, &Change::Heartbeat, &moment),
        r#"{"database":null,"table":null,"type":"heartbeat","ts":1709605310000,"xid":null,"commit":true,"position":"1709605310","primary_key":null,"primary_key_columns":null,"data":null,"old":null,"sql":null,"def":null,"uuid":"3f0c2a52-6f0e-4a2f-9f53-0f5f3e9d7a11"}"#
    );
}
