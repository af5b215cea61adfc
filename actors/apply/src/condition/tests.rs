use std::sync::Arc;

use oms_core::{
    CivilDate, CivilDateTime, Column, ColumnType, Row, RowBuilder, TableName, TableSchema, Value,
};
use proptest::prelude::*;

use super::*;

fn column(name: &str, ty: ColumnType) -> Column {
    Column {
        name: name.into(),
        ty,
        nullable: true,
        generated: None,
        invisible: false,
    }
}

fn varchar(charset: &str) -> ColumnType {
    ColumnType::VarChar {
        length: 100,
        charset: charset.into(),
        collation: format!("{charset}_general_ci"),
    }
}

const SIGNED: ColumnType = ColumnType::Integer {
    bytes: 8,
    unsigned: false,
};

fn table() -> TableSchema {
    let decimal = ColumnType::Decimal {
        precision: 20,
        scale: 2,
        unsigned: false,
    };
    let members = ColumnType::Enum {
        members: vec!["red".into(), "green".into()],
        charset: "utf8mb4".into(),
        collation: "utf8mb4_general_ci".into(),
    };
    TableSchema {
        name: TableName::new("d", "t"),
        engine: "InnoDB".into(),
        columns: vec![
            column("a", SIGNED),
            column("b", SIGNED),
            column("s", varchar("utf8mb4")),
            column("l", varchar("latin1")),
            column("n", decimal),
            column("d", ColumnType::Date),
            column("dt", ColumnType::DateTime { fraction: 3 }),
            column("ts", ColumnType::Timestamp { fraction: 0 }),
            column("t", ColumnType::Time { fraction: 0 }),
            column("bin", ColumnType::VarBinary { length: 10 }),
            column("e", members),
            column("f", ColumnType::Double),
            column("order", SIGNED),
            column("g", varchar("gbk")),
        ],
        keys: Vec::new(),
        estimated_rows: 0,
        estimated_bytes: 0,
    }
}

/// Latin1 as a server has it, but for the characters between 128 and 159.
struct Latin1;

impl TextDecoder for Latin1 {
    fn is_known(&self, charset: &str) -> bool {
        charset == "latin1"
    }

    fn decode(&self, _: &str, bytes: &[u8]) -> Option<String> {
        Some(bytes.iter().map(|b| char::from(*b)).collect())
    }
}

const NOON: CivilDateTime = CivilDateTime {
    date: CivilDate {
        year: 2024,
        month: 2,
        day: 29,
    },
    hour: 12,
    minute: 0,
    second: 0,
    micros: 250_000,
};

fn row() -> Row {
    let values = [
        Value::Int(7),
        Value::Null,
        Value::Text("Straße  ".as_bytes()),
        Value::Text(b"M\xfcller"),
        Value::Decimal("-12.50"),
        Value::Date(NOON.date),
        Value::DateTime(NOON),
        Value::Timestamp(1_709_164_800_000_000),
        Value::Time(oms_core::Duration(-3_600_000_000)),
        Value::Bytes(b"\x00\xff"),
        Value::Enum(2),
        Value::Double(1.5),
        Value::Int(i64::MAX),
        Value::Text(b"x"),
    ];
    RowBuilder::build(values.into_iter()).unwrap()
}

fn condition(text: &str) -> Result<Condition, Vec<Mistake>> {
    Condition::new(text, &table(), Arc::new(Latin1))
}

fn holds(text: &str) -> bool {
    let condition = condition(text).unwrap_or_else(|m| panic!("{text}: {m:?}"));
    condition
        .holds(&row())
        .unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

#[test]
fn null_is_never_equal_greater_or_less() {
    for text in [
        "b = b",
        "b = NULL",
        "NULL = NULL",
        "b <> 1",
        "b > 1",
        "b < 1",
        "b",
        "b IN (NULL, 1)",
    ] {
        assert!(!holds(text), "{text}");
        assert!(holds(&format!("NOT ({text})")), "NOT {text}");
    }
    for text in [
        "b IS NULL",
        "a IS NOT NULL",
        "b NOT IN (1, 2)",
        "NOT b = 1",
        "b NOT BETWEEN 1 AND 2",
        "b + 1 IS NULL",
        "(b > 1) IS FALSE",
        "b IS NOT TRUE",
        "f IS NOT NULL",
        "(b IS NULL) XOR (a IS NULL)",
        "a / 0 IS NULL",
        "a % 0 IS NULL",
        "b IS NOT FALSE",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn operators_and_their_order() {
    for text in [
        "a = 7",
        "7 = a",
        "a <> 8",
        "a != 8",
        "a >= 7 AND a <= 7",
        "a BETWEEN 7 AND 8",
        "a IN (1, 7, NULL)",
        "TRUE OR FALSE AND FALSE",
        "1 + 2 * 3 = a",
        "(1 + 2) * 3 = 9",
        "a - 10 = -3",
        "-a = -7",
        "+a = 7",
        "7 / 2 = 3",
        "-7 / 2 = -3",
        "a % 4 = 3",
        "6 & 3 = 2",
        "6 | 3 = 7",
        "6 ^ 3 = 5",
        "1 << 3 = 8",
        "8 >> 1 = 4",
        "~0 = 18446744073709551615",
        "1 << 64 = 0",
        "-1 & 255 = 255",
        "NOT a = 8",
        "!(a = 8)",
        "a AND TRUE",
        "a = 7 && TRUE",
        "TRUE XOR FALSE",
        "`order` = 9223372036854775807",
        "`order` > -9223372036854775808",
        "a = 7.0",
        "a > 6.99",
        "18446744073709551616 > `order`",
        "A = 7",
        "(a = 7) IS TRUE",
        "a = 7 IS TRUE",
        "(a = 7) = TRUE",
        "a <> TRUE",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn texts_ignore_trailing_spaces_and_nothing_else() {
    for text in [
        "s = 'Straße'",
        "s = 'Straße    '",
        "s <> 'straße'",
        "s <> ' Straße'",
        "s <> 'Strasse'",
        "s > 'Strasse'",
        "l = 'Müller'",
        "l IN ('x', 'Müller')",
        "e = 'green'",
        "e > 'blue'",
        "bin = x'00ff'",
        "bin <> x'00ff00'",
        "'a' < 'b'",
        "'it''s' = 'it\\'s'",
        "l BETWEEN 'M' AND 'N'",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn functions_are_those_of_oms() {
    for text in [
        "CONCAT(s, 'x') = 'Straße  x'",
        "CONCAT(NULL, 'x') = 'x'",
        "CONCAT('x', NULL) = 'x'",
        "CONCAT(NULL, NULL) IS NULL",
        "SUBSTR(s, 2) = 'traße'",
        "SUBSTR(s, 5, 1) = 'ß'",
        "SUBSTR('abc', 0) = ''",
        "SUBSTR('abc', 0, 2) = ''",
        "SUBSTR('abc', 1, 0) = ''",
        "SUBSTR('abc', 1, -1) = ''",
        "SUBSTR('abc', -2) = 'bc'",
        "SUBSTR('abc', -2, 1) = 'b'",
        "SUBSTR('abc', 4) = ''",
        "SUBSTR('abc', -4) = ''",
        "SUBSTR('abc', 2, 100) = 'bc'",
        "SUBSTRING('abc', 3) = 'c'",
        "SUBSTR(NULL, 1) IS NULL",
        "REPLACE('aXa', 'X', 'y') = 'aya'",
        "REPLACE(NULL, 'a', 'b') IS NULL",
        "REPLACE('ab', NULL, 'c') = 'ab'",
        "REPLACE('ab', 'b', NULL) = 'a'",
        "REPLACE('ab', '', 'c') = 'ab'",
        "REGEXP_REPLACE('a1b22', '[0-9]+', '#') = 'a#b#'",
        "REGEXP_REPLACE('ab', '(a)(b)', '$2$1') = 'ba'",
        "REGEXP_REPLACE('ab', 'b', '\\\\$') = 'a$'",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn conversions() {
    for text in [
        "a = '7'",
        "a = ' 7 '",
        "CAST('12' AS SIGNED) = 12",
        "CAST('12.5' AS SIGNED) = 13",
        "CAST(n AS SIGNED) = -13",
        "CAST(n AS CHAR) = '-12.50'",
        "n = -12.5",
        "n = '-12.500'",
        "n < -12",
        "CAST(a AS DECIMAL(5,2)) = 7.00",
        "CAST('1.005' AS DECIMAL(5,2)) = 1.01",
        "CAST(a AS CHAR) = '7'",
        "CAST(s AS CHAR(3)) = 'Str'",
        "CAST(d AS CHAR) = '2024-02-29'",
        "CAST(dt AS CHAR) = '2024-02-29 12:00:00.250'",
        "CAST('2024-02-29' AS DATE) = d",
        "CAST(dt AS DATE) = d",
        "CAST(dt AS TIME) = '12:00:00.25'",
        "CAST(TRUE AS SIGNED) = 1",
        "CAST(NULL AS SIGNED) IS NULL",
        "'7' = a",
        "-n = 12.5",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn dates_and_moments() {
    for text in [
        "d = '2024-02-29'",
        "d < '2024-02-29 00:00:01'",
        "d BETWEEN '2024-01-01' AND '2024-12-31'",
        "dt > d",
        "dt = '2024-02-29 12:00:00.25'",
        "dt < '2024-03-01'",
        "d <> '0000-00-00'",
        "t = '-01:00:00'",
        "t < '00:00:00'",
        "ts = '2024-02-29 00:00:00 UTC'",
        "ts = '2024-02-29 08:00:00'",
        "ts = '2024-02-29 08:00:00 +08:00'",
        "ts = '2024-02-28 19:00:00 -05:00'",
        "ts = 1709164800",
        "ts > 0",
        "ts IN (1, 1709164800)",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn mistakes_have_places() {
    for (text, at, part) in [
        ("", 1, "not the end"),
        ("a >", 4, "a value is expected here, not the end"),
        ("a > 1 b", 7, "the end, or an operator is expected here"),
        ("nix = 1", 1, "`d`.`t` has no column `nix`"),
        ("a = 1 AND nix = 1", 11, "no column `nix`"),
        ("Straße = 1", 1, "no column `Straße`"),
        ("s = 'ß' AND nix IS NULL", 13, "no column `nix`"),
        ("t.a = 1", 2, "without the table in front"),
        ("f > 1", 1, "floating point"),
        ("g = 'x'", 1, "character set gbk is not known"),
        ("a = 'x'", 5, "not an integer"),
        ("n = 'x'", 5, "not a number"),
        ("d = '2024-02-30'", 5, "yyyy-MM-dd"),
        ("d = s", 3, "a date cannot be compared with a text; use CAST"),
        ("ts = 'yesterday'", 6, "+08:00"),
        ("ts = dt", 4, "cannot be compared"),
        ("a = x'00'", 3, "cannot be compared"),
        ("s", 1, "a text is not a condition"),
        ("a + s = 1", 5, "+ takes integers"),
        ("n + 1 = 1", 1, "+ takes integers, not a decimal number"),
        ("NOW() > d", 1, "the function NOW is not supported"),
        ("COUNT(*) > 1", 1, "the function COUNT is not supported"),
        ("CONCAT(s) = 'x'", 1, "CONCAT takes 2 arguments, not 1"),
        ("SUBSTR(a, 1) = 'x'", 8, "SUBSTR takes texts, not an integer"),
        ("REGEXP_REPLACE(s, '(', '') = ''", 19, "not a regular expression"),
        ("REGEXP_REPLACE(s, s, '') = ''", 19, "a text in quotes"),
        ("s LIKE 'x%'", 3, "LIKE is not supported"),
        ("a <=> 1", 3, "<=> is not supported"),
        ("a = 1 || a = 2", 7, "OR on some servers"),
        ("a = \"x\"", 5, "double quotes"),
        ("a = 'x", 5, "no closing '"),
        ("a = 1e3", 5, "floating point"),
        ("a = 1 -- x", 10, "no column `x`"),
        ("a /* x */ = 1", 3, "comments"),
        ("a ; b", 3, "unexpected character ';'"),
        ("CAST(a AS JSON) = 1", 11, "CAST to JSON is not supported"),
        ("CAST(a AS DOUBLE) = 1", 11, "floating point"),
        ("CAST(ts AS CHAR) = 'x'", 1, "time zone"),
        ("select = 1", 1, "between `"),
        ("a IN ()", 7, "a value is expected"),
        ("a BETWEEN 1", 12, "AND is expected"),
        ("a = b = 1", 7, "a condition cannot be compared with an integer"),
    ] {
        let mistakes = condition(text).unwrap_err();
        let found = mistakes.first().unwrap();
        assert_eq!(found.at, at, "{text}: {mistakes:?}");
        assert!(found.what.contains(part), "{text}: {mistakes:?}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let mistakes = condition("x = 1 OR f = 2 OR s > 3.5 AND LOWER(s) = 'y'").unwrap_err();
    let places: Vec<usize> = mistakes.iter().map(|m| m.at).collect();
    assert_eq!(places, [1, 10, 31], "{mistakes:?}");
}

#[test]
fn deep_and_long_texts_are_refused() {
    for text in [
        "(".repeat(10_000),
        "NOT ".repeat(10_000),
        "- ".repeat(10_000) + "1",
        "x".repeat(70_000),
    ] {
        assert!(condition(&text).is_err());
    }
    // Long chains are not deep.
    let long = vec!["a = 7"; 3_000].join(" AND ");
    assert!(holds(&long));
}

#[test]
fn what_cannot_be_computed_is_an_error_unless_it_has_no_say() {
    let why = |text: &str| condition(text).unwrap().holds(&row()).unwrap_err().why;
    assert!(why("`order` * 4 > 0").contains("out of range"));
    assert!(why("s = 7").contains("not an integer"));
    assert!(why("CAST(s AS DATE) = d").contains("not a date"));
    assert!(why("CAST(a - 8 AS UNSIGNED) = 1").contains("out of range"));
    assert!(!holds("a = 8 AND s = 7"));
    assert!(holds("a = 7 OR s = 7"));
}

#[test]
fn computed_columns_fit_their_types() {
    let compute = |text: &str, ty: &str| {
        let ty = crate::added_column_type(ty).unwrap();
        let computed = Computed::new(text, &ty, &table(), Arc::new(Latin1))?;
        let mut builder = RowBuilder::new();
        builder.begin(1);
        computed
            .push(&row(), &mut builder)
            .map_err(|e| vec![Mistake::new(e.at, e.why)])?;
        Ok::<_, Vec<Mistake>>(builder.finish().unwrap())
    };
    let value = |text: &str, ty: &str| compute(text, ty).unwrap_or_else(|e| panic!("{text} {ty}: {e:?}"));
    assert_eq!(value("'eu'", "VARCHAR(2)").get(0), Value::Text(b"eu"));
    assert_eq!(
        value("CONCAT(l, CAST(a AS CHAR))", "VARCHAR(20)").get(0),
        Value::Text("Müller7".as_bytes())
    );
    assert_eq!(value("a", "INT UNSIGNED").get(0), Value::UInt(7));
    assert_eq!(value("a * 2", "TINYINT").get(0), Value::Int(14));
    assert_eq!(value("n", "DECIMAL(6,3)").get(0), Value::Decimal("-12.500"));
    assert_eq!(value("a", "VARCHAR(5)").get(0), Value::Text(b"7"));
    assert_eq!(value("dt", "DATETIME(3)").get(0), Value::DateTime(NOON));
    assert_eq!(
        value("d", "DATETIME").get(0),
        Value::DateTime(CivilDateTime {
            date: NOON.date,
            ..Default::default()
        })
    );
    assert_eq!(value("'2024-02-29'", "DATE").get(0), Value::Date(NOON.date));
    assert_eq!(value("a > 3", "TINYINT").get(0), Value::Int(1));
    assert_eq!(value("NULL", "INT").get(0), Value::Null);
    for (text, ty) in [
        ("'eur'", "VARCHAR(2)"),
        ("300", "TINYINT"),
        ("-1", "INT UNSIGNED"),
        ("s", "INT"),
        ("ts", "DATETIME"),
        ("dt", "DATETIME"),
        ("`order`", "INT"),
        ("n", "DECIMAL(3,2)"),
        ("'x'", "DATE"),
        ("f", "INT"),
    ] {
        assert!(compute(text, ty).is_err(), "{text} {ty}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9 ()=<>!&|^~+*/%,.'`x-]{0,40}") {
        let _ = condition(&text);
    }

    #[test]
    fn any_characters_are_read_or_refused(text in "\\PC{0,40}") {
        let _ = condition(&text);
    }
}
