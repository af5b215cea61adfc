//! Which values are equal.

use oms_core::{CivilDate, CivilDateTime, ColumnType, RowBuilder, Value};

use super::{
    Charsets, Utf8Charsets,
    column_rule::{ColumnRule, form},
};

struct Latin1;

impl Charsets for Latin1 {
    fn is_known(&self, charset: &str) -> bool {
        charset == "latin1" || Utf8Charsets.is_known(charset)
    }

    fn decode(&self, charset: &str, bytes: &[u8]) -> Option<String> {
        match charset {
            "latin1" => Some(bytes.iter().map(|b| char::from(*b)).collect()),
            _ => Utf8Charsets.decode(charset, bytes),
        }
    }
}

fn equal(a: (&ColumnType, Value<'_>), b: (&ColumnType, Value<'_>)) -> bool {
    let rule = ColumnRule {
        name: "c".into(),
        source: 0,
        destination: 0,
        computed: false,
        source_type: a.0.clone(),
        destination_type: b.0.clone(),
        form: form(a.0, b.0).expect("the pair has a meaning"),
    };
    let row = |v| RowBuilder::build([v].into_iter()).unwrap();
    let result = rule.equal(&row(a.1), &row(b.1), &Latin1);
    // Digests and identities use the same form.
    let (mut x, mut y) = (Vec::new(), Vec::new());
    rule.normal(crate::Side::Source, a.1, &Latin1, &mut x);
    rule.normal(crate::Side::Destination, b.1, &Latin1, &mut y);
    assert_eq!(x == y, result);
    result
}

fn varchar(charset: &str) -> ColumnType {
    ColumnType::VarChar {
        length: 9,
        charset: charset.into(),
        collation: format!("{charset}_bin"),
    }
}

fn labels(set: bool, names: &[&str]) -> ColumnType {
    let members = names.iter().map(|n| (*n).to_owned()).collect();
    let (charset, collation) = ("utf8mb4".to_owned(), "utf8mb4_bin".to_owned());
    if set {
        ColumnType::Set {
            members,
            charset,
            collation,
        }
    } else {
        ColumnType::Enum {
            members,
            charset,
            collation,
        }
    }
}

#[test]
fn texts_compare_as_characters() {
    let (l, u, m) = (varchar("latin1"), varchar("utf8mb4"), varchar("utf8mb3"));
    assert!(equal(
        (&l, Value::Text(b"caf\xe9")),
        (&u, Value::Text("café".as_bytes()))
    ));
    assert!(!equal(
        (&l, Value::Text(b"cafe")),
        (&u, Value::Text("café".as_bytes()))
    ));
    assert!(equal(
        (&m, Value::Text("é".as_bytes())),
        (&u, Value::Text("é".as_bytes()))
    ));
    assert!(
        !equal((&u, Value::Text(b"a")), (&u, Value::Text(b"a "))),
        "padding is a difference"
    );
    assert!(!equal((&u, Value::Text(b"")), (&u, Value::Null)));
    // Bytes that are no text equal nothing in another character set.
    assert!(!equal((&l, Value::Text(b"\xff")), (&u, Value::Text(b"\xff"))));
}

#[test]
fn labels_compare_by_name() {
    let (a, b) = (labels(false, &["x", "y"]), labels(false, &["y", "", "x"]));
    assert!(equal((&a, Value::Enum(1)), (&b, Value::Enum(3))));
    assert!(!equal((&a, Value::Enum(1)), (&b, Value::Enum(1))));
    assert!(equal((&a, Value::Enum(0)), (&b, Value::Enum(0))));
    assert!(
        !equal((&a, Value::Enum(0)), (&b, Value::Enum(2))),
        "the invalid value is no empty member"
    );
    assert!(equal(
        (&a, Value::Enum(2)),
        (&varchar("utf8mb4"), Value::Text(b"y"))
    ));
    assert!(
        !equal((&a, Value::Enum(9)), (&b, Value::Enum(9))),
        "numbers without a label have no meaning"
    );
    let (a, b) = (labels(true, &["x", "y", "z"]), labels(true, &["z", "x", "y"]));
    assert!(equal((&a, Value::Set(0b011)), (&b, Value::Set(0b110))));
    assert!(!equal((&a, Value::Set(0b011)), (&b, Value::Set(0b011))));
    assert!(equal(
        (&a, Value::Set(0b101)),
        (&varchar("utf8mb4"), Value::Text(b"x,z"))
    ));
}

#[test]
fn numbers_compare_exactly() {
    let int = ColumnType::Integer {
        bytes: 8,
        unsigned: false,
    };
    let big = ColumnType::Integer {
        bytes: 8,
        unsigned: true,
    };
    let decimal = |scale| ColumnType::Decimal {
        precision: 30,
        scale,
        unsigned: false,
    };
    assert!(equal((&int, Value::Int(5)), (&big, Value::UInt(5))));
    assert!(!equal((&int, Value::Int(-1)), (&big, Value::UInt(u64::MAX))));
    assert!(equal(
        (&decimal(2), Value::Decimal("1.50")),
        (&decimal(4), Value::Decimal("1.5000"))
    ));
    assert!(!equal(
        (&decimal(2), Value::Decimal("1.50")),
        (&decimal(4), Value::Decimal("1.5001"))
    ));
    assert!(equal(
        (&int, Value::Int(-10)),
        (&decimal(1), Value::Decimal("-10.0"))
    ));
    assert!(equal(
        (&ColumnType::Bit { bits: 8 }, Value::Bit(7)),
        (&int, Value::Int(7))
    ));
    assert!(equal(
        (&ColumnType::Float, Value::Float(0.1)),
        (&ColumnType::Double, Value::Double(f64::from(0.1f32)))
    ));
    assert!(!equal(
        (&ColumnType::Float, Value::Float(0.1)),
        (&ColumnType::Double, Value::Double(0.1))
    ));
    assert!(!equal(
        (&ColumnType::Double, Value::Double(0.0)),
        (&ColumnType::Double, Value::Double(-0.0))
    ));
    let double = |v| (&ColumnType::Double, Value::Double(v));
    assert!(equal(
        (&int, Value::Int(1 << 53)),
        double(9_007_199_254_740_992.0)
    ));
    assert!(!equal(
        (&int, Value::Int((1 << 53) + 1)),
        double(9_007_199_254_740_992.0)
    ));
}

#[test]
fn documents_and_times() {
    let text = varchar("utf8mb4");
    assert!(equal(
        (&text, Value::Text(b"{\"b\":1,\"a\":2.50}")),
        (&ColumnType::Json, Value::Json("{\"a\": 2.5, \"b\": 1}"))
    ));
    assert!(!equal(
        (&text, Value::Text(b"{\"b\":1}")),
        (&ColumnType::Json, Value::Json("{\"b\": \"1\"}"))
    ));
    assert!(!equal(
        (&text, Value::Text(b"{")),
        (&ColumnType::Json, Value::Json("{}"))
    ));
    let date = CivilDate {
        year: 2024,
        month: 2,
        day: 29,
    };
    let midnight = CivilDateTime {
        date,
        ..Default::default()
    };
    let moment = ColumnType::DateTime { fraction: 0 };
    assert!(equal(
        (&ColumnType::Date, Value::Date(date)),
        (&moment, Value::DateTime(midnight))
    ));
    let later = CivilDateTime {
        micros: 1,
        ..midnight
    };
    assert!(!equal(
        (&ColumnType::Date, Value::Date(date)),
        (&moment, Value::DateTime(later))
    ));
    let fine = ColumnType::DateTime { fraction: 6 };
    assert!(equal(
        (&moment, Value::DateTime(midnight)),
        (&fine, Value::DateTime(midnight))
    ));
    assert!(!equal(
        (&moment, Value::DateTime(midnight)),
        (&fine, Value::DateTime(later))
    ));
    let uuid = b"00000000-0000-0000-0000-0000000000ff";
    assert!(equal(
        (&ColumnType::Uuid, Value::Text(uuid)),
        (&varchar("latin1"), Value::Text(uuid))
    ));
}

#[test]
fn pairs_without_a_meaning_have_no_form() {
    let int = ColumnType::Integer {
        bytes: 4,
        unsigned: false,
    };
    let timestamp = ColumnType::Timestamp { fraction: 0 };
    for (a, b) in [
        (&int, &varchar("utf8mb4")),
        (&timestamp, &ColumnType::DateTime { fraction: 0 }),
        (&ColumnType::Json, &ColumnType::Blob { tier: 4 }),
        (&varchar("utf8mb4"), &ColumnType::VarBinary { length: 9 }),
        (&ColumnType::Inet4, &ColumnType::Inet6),
        (&ColumnType::Date, &timestamp),
        (&ColumnType::Float, &int),
    ] {
        assert_eq!(form(a, b), None, "{a:?} {b:?}");
        assert_eq!(form(b, a), None, "{b:?} {a:?}");
    }
}
