//! Values of every type through the sink into a real OceanBase kernel.

#[path = "../../mysql/tests/sink_bed/mod.rs"]
mod sink_bed;
#[path = "../../mysql/tests/sink_bed/values.rs"]
mod values;

use std::sync::Arc;

use oms_cluster_tests::ServerKind;
use oms_core::{ColumnType, Row, RowBuilder, Value, codes};
use oms_oceanbase::OceanBaseSink;
use sink_bed::Bed;
use values::{
    changes_together_are_exact, charsets, common, json, large_values, late_owners_write_nothing,
    negative_zero, round_trip,
};

#[tokio::test(flavor = "multi_thread")]
async fn seekdb() {
    let bed = Bed::start(ServerKind::SeekDb, |endpoint| {
        Arc::new(OceanBaseSink::new(endpoint))
    })
    .await;
    let mut samples = common();
    samples.extend(negative_zero());
    samples.push(json());
    round_trip(&bed, &samples).await;
    changes_together_are_exact(&bed).await;
    late_owners_write_nothing(&bed).await;
    foreign_charsets(&bed).await;
    large_values(&bed).await;
    bed.finish().await;
}

fn one(value: Value<'_>) -> Row {
    RowBuilder::build([Value::Int(1), value].into_iter()).expect("a row")
}

/// The server knows only utf8mb4: everything else is converted on the way, or refused.
async fn foreign_charsets(bed: &Bed) {
    for column in charsets() {
        let charset = column.ty.rsplit(' ').next().unwrap_or_default().to_owned();
        for value in column.values {
            let Value::Text(bytes) = value else { continue };
            let from = ColumnType::VarChar {
                length: 20,
                charset: charset.clone(),
                collation: String::new(),
            };
            let row = values::convert(bed, from, "VARCHAR(20) CHARACTER SET utf8mb4", value)
                .await
                .expect("converts");
            let decoder = oms_mysql::sink::charset::Decoder::find(&charset).expect("a known set");
            let expected = decoder.decode(bytes).expect("characters");
            assert!(row == one(Value::Text(expected.as_bytes())), "{charset}");
        }
    }
    let gbk = ColumnType::VarChar {
        length: 20,
        charset: "gbk".into(),
        collation: String::new(),
    };
    let refused = values::convert(
        bed,
        gbk,
        "VARCHAR(20) CHARACTER SET utf8mb4",
        Value::Text(b"\xFF\xFF"),
    )
    .await;
    assert_eq!(
        refused.expect_err("no character").code(),
        codes::dst::VALUE_NOT_REPRESENTABLE
    );
    let geometry = ColumnType::Geometry {
        kind: "geometry".into(),
    };
    let mut point = vec![0xE6, 0x10, 0, 0, 1, 1, 0, 0, 0];
    point.extend_from_slice(&[0; 16]);
    let refused = values::convert(bed, geometry, "GEOMETRY", Value::Geometry(&point)).await;
    assert_eq!(
        refused.expect_err("SRID 4326 is not loaded").code(),
        codes::dst::VALUE_NOT_REPRESENTABLE
    );
}
