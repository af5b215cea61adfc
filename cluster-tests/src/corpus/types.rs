//! Tables with a column of every type and rows at the limits.

use super::type_table::TypeTable;
use crate::server::ServerKind::{self, MariaDb, Mysql56, Mysql97, SeekDb};

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| text(value)).collect()
}

/// All type tables of a kind.
pub(super) fn tables(kind: ServerKind) -> Vec<TypeTable> {
    let mut tables = vec![
        integers(),
        decimals(),
        floats(),
        bits(),
        dates(kind),
        datetimes(
            "types_datetime",
            "DATETIME",
            ["1000-01-01 00:00:00", "9999-12-31 23:59:59"],
            kind,
        ),
        datetimes(
            "types_timestamp",
            "TIMESTAMP",
            ["1970-01-01 00:00:01", "2038-01-19 03:14:07"],
            kind,
        ),
        times(),
        texts_of(kind),
        binaries(),
        choices(),
        geometries(),
    ];
    if kind != SeekDb {
        tables.push(charsets());
        tables.push(reference_systems(kind));
    }
    if kind != Mysql56 {
        tables.push(json());
        tables.push(generated(kind));
    }
    if kind == MariaDb {
        tables.push(mariadb_only());
    }
    tables
}

fn integers() -> TypeTable {
    let mut table = TypeTable::new("types_integer");
    for (name, bits) in [
        ("TINYINT", 8),
        ("SMALLINT", 16),
        ("MEDIUMINT", 24),
        ("INT", 32),
        ("BIGINT", 64),
    ] {
        let max = (1i128 << (bits - 1)) - 1;
        let signed = [-max - 1, -max, -1, 0, 1, max / 3, max - 1, max];
        table = table.column(name, signed.map(|n| n.to_string()));
        let unsigned = [0, 1, max, max + 1, max + 2, max * 2, max * 2 + 1];
        table = table.column(&format!("{name} UNSIGNED"), unsigned.map(|n| n.to_string()));
    }
    table
        .column("INT(7) UNSIGNED ZEROFILL", ["0", "42", "4294967295"])
        .column("BOOLEAN", ["0", "1", "-128", "127"])
}

fn decimals() -> TypeTable {
    let (n35, n30) = ("9".repeat(35), "9".repeat(30));
    let widest = [
        "0".to_owned(),
        format!("{n35}.{n30}"),
        format!("-{n35}.{n30}"),
        format!("0.{}1", "0".repeat(29)),
        format!("-0.{}1", "0".repeat(29)),
        "1.5".to_owned(),
        "123456789.123456789".to_owned(),
        "-1000000000.000000001".to_owned(),
    ];
    TypeTable::new("types_decimal")
        .column("DECIMAL(65,30)", widest)
        .column(
            "DECIMAL(65,0)",
            [
                "9".repeat(65),
                format!("-{}", "9".repeat(65)),
                "0".into(),
                "1".into(),
            ],
        )
        .column(
            "DECIMAL(30,30)",
            [format!("0.{n30}"), format!("-0.{n30}"), "0".into()],
        )
        .column("DECIMAL(1,0)", ["-9", "0", "9"])
        .column(
            "DECIMAL(18,9)",
            [
                "999999999.999999999",
                "-999999999.999999999",
                "0.000000001",
                "-0.000000001",
            ],
        )
        .column("DECIMAL(19,9)", ["9999999999.999999999", "-1000000000.1"])
        .column("DECIMAL(10,2) UNSIGNED", ["0", "99999999.99", "0.01"])
        .column("DECIMAL(10)", ["9999999999", "-9999999999"])
        .column("DECIMAL(8,3) UNSIGNED ZEROFILL", ["1.5", "99999.999", "0"])
}

fn floats() -> TypeTable {
    let float = [
        "0",
        "1",
        "-1",
        "0.1",
        "-0.1",
        "3.4028234e38",
        "-3.4028234e38",
        "1.17549435e-38",
        "1.4e-45",
        "16777216",
        "16777215",
        "3.1415927",
        "1e-10",
        "123456.789",
        "0.3333333333",
    ];
    let double = [
        "0",
        "1",
        "-1",
        "0.1",
        "-0.1",
        "1.7976931348623157e308",
        "-1.7976931348623157e308",
        "2.2250738585072014e-308",
        "5e-324",
        "9007199254740993",
        "9007199254740991",
        "3.141592653589793",
        "1e-10",
        "123456789.12345678",
        "0.3333333333333333",
        "1e22",
        "1e23",
        "4.35",
        "2.2250738585072011e-308",
    ];
    TypeTable::new("types_float")
        .column("FLOAT", float)
        .column("DOUBLE", double)
        .column("FLOAT UNSIGNED", ["0", "3.4028234e38", "0.7"])
        .column("DOUBLE UNSIGNED", ["0", "1.7976931348623157e308", "0.7"])
        .column("FLOAT(7,3)", ["1234.567", "-9999.999", "0.001"])
        .column("DOUBLE(20,5)", ["123456789012345.12345", "-0.00001", "0"])
}

fn bits() -> TypeTable {
    let mut table = TypeTable::new("types_bit");
    for width in [1, 2, 7, 8, 9, 16, 31, 32, 33, 63, 64] {
        let ones = "1".repeat(width);
        let first = format!("1{}", "0".repeat(width - 1));
        let values = [ones, first, "0".to_owned(), "1".to_owned()].map(|bits| format!("b'{bits}'"));
        table = table.column(&format!("BIT({width})"), values);
    }
    table
}

/// seekdb refuses dates with a zero month or day also without strict mode.
fn odd_dates(kind: ServerKind) -> &'static [&'static str] {
    match kind {
        SeekDb => &["0000-00-00"],
        _ => &[
            "0000-00-00",
            "2020-00-00",
            "2020-01-00",
            "2020-00-15",
            "0000-01-01",
        ],
    }
}

fn dates(kind: ServerKind) -> TypeTable {
    let mut dates = vec![
        "1000-01-01",
        "9999-12-31",
        "1970-01-01",
        "2000-02-29",
        "1582-10-10",
    ];
    dates.extend(odd_dates(kind));
    TypeTable::new("types_date")
        .column("DATE", texts(&dates))
        .column("YEAR", ["1901", "2155", "0", "2026", "1970"])
}

fn datetimes(name: &'static str, base: &str, limits: [&str; 2], kind: ServerKind) -> TypeTable {
    let mut table = TypeTable::new(name);
    for digits in 0..=6 {
        let fraction = |digit: char| match digits {
            0 => String::new(),
            n => format!(".{}", digit.to_string().repeat(n)),
        };
        let last = match digits {
            0 => String::new(),
            n => format!(".{}1", "0".repeat(n - 1)),
        };
        let mut values: Vec<String> = vec![
            limits[0].to_owned(),
            format!("{}{}", limits[1], fraction('9')),
            format!("2000-02-29 12:34:56{}", fraction('5')),
            format!("2026-03-29 02:30:00{last}"),
            format!("2026-10-25 01:59:59{}", fraction('1')),
            "2026-01-01 00:00:00".to_owned(),
            "0000-00-00 00:00:00".to_owned(),
        ];
        if base == "DATETIME" {
            values.extend(
                odd_dates(kind)
                    .iter()
                    .map(|date| format!("{date} 01:02:03{}", fraction('7'))),
            );
        }
        table = table.column(
            &format!("{base}({digits})"),
            values.iter().map(|value| text(value)),
        );
    }
    table
}

fn times() -> TypeTable {
    let mut table = TypeTable::new("types_time");
    for digits in 0..=6 {
        let last = match digits {
            0 => String::new(),
            n => format!(".{}1", "0".repeat(n - 1)),
        };
        let nines = if digits == 0 {
            String::new()
        } else {
            format!(".{}", "9".repeat(digits))
        };
        let values = [
            "-838:59:59".to_owned(),
            "838:59:59".to_owned(),
            "00:00:00".to_owned(),
            format!("-00:00:01{last}"),
            format!("00:00:00{last}"),
            format!("-00:00:00{last}"),
            format!("23:59:59{nines}"),
            format!("-100:00:00{nines}"),
        ];
        table = table.column(&format!("TIME({digits})"), values.iter().map(|value| text(value)));
    }
    table
}

const TEXTS: [&str; 9] = [
    "",
    "a",
    "x  ",
    "  lead",
    "it's \"quoted\" `so` \\ and % _ ; --",
    "line\nfeed\r\ttab\u{0}zero\u{1a}",
    "数据迁移",
    "𝄞 😀 e\u{301}",
    "\u{feff}Ünïcødé ß ſ İ",
];

fn texts_of(kind: ServerKind) -> TypeTable {
    let values = texts(&TEXTS);
    let long = |count: usize| {
        vec![
            "''".to_owned(),
            format!("REPEAT('数a', {count})"),
            "'a'".to_owned(),
        ]
    };
    let mut table = TypeTable::new("types_text")
        .column("CHAR(60)", values.clone())
        .column("VARCHAR(60)", values.clone())
        .column("VARCHAR(300)", long(150))
        .column("CHAR(255)", long(127))
        .column("TINYTEXT", texts(&TEXTS[..7]))
        .column("TEXT", long(16_000))
        .column("MEDIUMTEXT", long(20_000))
        .column("LONGTEXT", long(20_000))
        .column("VARCHAR(60) COLLATE utf8mb4_bin", values.clone());
    if kind != SeekDb {
        table = table.column("VARCHAR(60) COLLATE utf8mb4_unicode_ci", values.clone());
    }
    if kind == Mysql97 {
        table = table.column("VARCHAR(60) COLLATE utf8mb4_0900_as_cs", values);
    }
    table
}

fn charsets() -> TypeTable {
    let samples: [(&str, &[&str]); 17] = [
        ("utf8", &["", "x  ", "数据 é", "\u{ffff}"]),
        ("latin1", &["", "x  ", "é ß ÿ", "€ ‚ ™", "\u{81}\u{8d}"]),
        ("gbk", &["", "x  ", "数据迁移 丂 狛", "a数\\"]),
        ("ascii", &["", "x  ", "\u{1}~\u{7f}"]),
        ("ucs2", &["", "x  ", "数据 é"]),
        ("utf16", &["", "x  ", "数 😀"]),
        ("utf32", &["", "x  ", "数 😀"]),
        ("gb2312", &["", "数据"]),
        ("big5", &["", "資料 功"]),
        ("sjis", &["", "データ ソ"]),
        ("cp932", &["", "データ ソ ①"]),
        ("ujis", &["", "データ"]),
        ("euckr", &["", "데이터"]),
        ("latin2", &["", "łódź"]),
        ("cp1251", &["", "данные"]),
        ("koi8r", &["", "данные"]),
        ("greek", &["", "δεδομένα"]),
    ];
    let mut table = TypeTable::new("types_charset");
    for (charset, values) in samples {
        for base in ["CHAR(20)", "VARCHAR(20)", "TEXT"] {
            table = table.column(&format!("{base} CHARACTER SET {charset}"), texts(values));
        }
    }
    table
        .column("ENUM('é','ß') CHARACTER SET latin1", ["'é'", "'ß'"])
        .column("SET('数','据') CHARACTER SET gbk", ["'数'", "'数,据'", "''"])
}

fn binaries() -> TypeTable {
    let every: String = (0..=255u8).map(|byte| format!("{byte:02x}")).collect();
    let every = format!("x'{every}'");
    let short = [
        "x''",
        "x'00'",
        "x'6100'",
        "x'61000000'",
        "x'2020'",
        "x'ff'",
        "x'5c27'",
        "x'00ff00'",
    ];
    let long = |count: u32| {
        vec![
            "x''".to_owned(),
            every.clone(),
            format!("REPEAT(x'00ff', {count})"),
            "x'00'".into(),
        ]
    };
    TypeTable::new("types_binary")
        .column("BINARY(1)", ["x'00'", "x'61'", "x'ff'", "x'20'"])
        .column("BINARY(16)", short)
        .column("BINARY(255)", ["x''", "x'00'", "REPEAT(x'ff', 255)"])
        .column("VARBINARY(16)", short)
        .column("VARBINARY(300)", long(150))
        .column("TINYBLOB", short)
        .column("BLOB", long(32_000))
        .column("MEDIUMBLOB", long(50_000))
        .column("LONGBLOB", long(50_000))
        .column("VARCHAR(20) CHARACTER SET binary", short)
}

fn choices() -> TypeTable {
    let many: Vec<String> = (1..=300).map(|n| format!("'m{n}'")).collect();
    let members: Vec<String> = (1..=64).map(|n| format!("'s{n}'")).collect();
    let set64 = format!("SET({})", members.join(","));
    TypeTable::new("types_choice")
        .column(
            "ENUM('a','B','数据','it''s','x y')",
            ["'a'", "'B'", "'数据'", "'it''s'", "'x y'", "0"],
        )
        .column("ENUM('','a')", ["''", "'a'", "0", "1"])
        .column(
            &format!("ENUM({})", many.join(",")),
            ["1", "255", "256", "300", "0"],
        )
        .column("SET('a','b','c')", ["''", "'a'", "'a,c'", "'a,b,c'", "5"])
        .column(
            "SET('a','b','c','d','e','f','g','h','i')",
            ["''", "'i'", "511", "256"],
        )
        .column(
            &set64,
            [
                "''",
                "'s1'",
                "'s64'",
                "18446744073709551615",
                "9223372036854775808",
                "'s1,s33,s64'",
            ],
        )
}

fn geometries() -> TypeTable {
    let mut table = TypeTable::new("types_geometry");
    let mut add = |name: &str, shapes: &[&str]| {
        let values: Vec<String> = shapes
            .iter()
            .map(|shape| format!("ST_GeomFromText('{shape}')"))
            .collect();
        let empty = TypeTable::new(table.name);
        table = std::mem::replace(&mut table, empty).column(name, values);
    };
    let (point, line) = (
        ["POINT(1 2)", "POINT(-1.5 1e100)", "POINT(0.1 0.3)"],
        ["LINESTRING(0 0,1 1,2.5 -3)"],
    );
    let polygon = ["POLYGON((0 0,10 0,10 10,0 10,0 0),(2 2,2 4,4 4,4 2,2 2))"];
    let points = ["MULTIPOINT(0 0,1 1)"];
    let lines = ["MULTILINESTRING((0 0,1 1),(2 2,3 3,4 5))"];
    let polygons = ["MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))"];
    let collection = ["GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))"];
    add("POINT", &point);
    add("LINESTRING", &line);
    add("POLYGON", &polygon);
    add("MULTIPOINT", &points);
    add("MULTILINESTRING", &lines);
    add("MULTIPOLYGON", &polygons);
    add("GEOMETRYCOLLECTION", &collection);
    add("GEOMETRY", &[point[0], line[0], polygon[0], collection[0]]);
    table
}

/// Shapes that lie in a reference system.
fn reference_systems(kind: ServerKind) -> TypeTable {
    let (munich, way) = (
        "ST_GeomFromText('POINT(48.1 11.5)', 4326)",
        "ST_GeomFromText('LINESTRING(48.1 11.5,-48.5 -11.25)', 4326)",
    );
    let table = TypeTable::new("types_srid").column("POINT", [munich]).column(
        "GEOMETRY",
        [
            way,
            munich,
            "ST_GeomFromText('POINT(1 2)', 3857)",
            "ST_GeomFromText('POINT(1 2)')",
        ],
    );
    match kind {
        Mysql97 => table.column("POINT SRID 4326", [munich]),
        _ => table,
    }
}

fn json() -> TypeTable {
    // MariaDB takes 32 levels.
    let deep = format!("'{}1{}'", "[".repeat(30), "]".repeat(30));
    let values = [
        "'null'",
        "'true'",
        "'0'",
        "'-9223372036854775808'",
        "'18446744073709551615'",
        "'1.5'",
        "'1e100'",
        "'\"\"'",
        "'\"数据 \\\\\"q\\\\\" \\\\\\\\ \\\\u0001 😀\"'",
        "'{}'",
        "'[]'",
        "'{\"b\": 1, \"a\": {\"c\": [1, 2.25, null, false, \"x\"]}, \"\": 0, \"长\": \"值\"}'",
        "'[1, [2, [3, {\"k\": \"v\"}]], -1, 32767, 32768, -32769, 2147483648]'",
    ]
    .map(str::to_owned);
    let long = "CONCAT('{\"k\": \"', REPEAT('x', 70000), '\"}')".to_owned();
    TypeTable::new("types_json").column("JSON", values.into_iter().chain([deep, long]))
}

fn generated(kind: ServerKind) -> TypeTable {
    let table = TypeTable::new("types_generated")
        .column("INT", ["1", "-5", "100000", "0"])
        .column("VARCHAR(30)", texts(&["abc", "数据", ""]))
        .computed("g_virtual BIGINT GENERATED ALWAYS AS (c01 * 2) VIRTUAL")
        .computed("g_stored BIGINT GENERATED ALWAYS AS (c01 + 1) STORED")
        .computed("g_text VARCHAR(60) GENERATED ALWAYS AS (CONCAT(c02, '-', c01)) STORED");
    match kind {
        MariaDb | Mysql97 => table
            .computed("hidden INT DEFAULT 7 INVISIBLE")
            .computed("g_hidden INT GENERATED ALWAYS AS (c01 - 1) VIRTUAL INVISIBLE"),
        _ => table,
    }
}

fn mariadb_only() -> TypeTable {
    TypeTable::new("types_mariadb")
        .column(
            "UUID",
            [
                "'123e4567-e89b-12d3-a456-426655440000'",
                "'00000000-0000-0000-0000-000000000000'",
            ],
        )
        .column(
            "INET6",
            [
                "'::'",
                "'2001:db8::ff00:42:8329'",
                "'::ffff:192.0.2.128'",
                "'ff00::'",
            ],
        )
        .column("INET4", ["'0.0.0.0'", "'255.255.255.255'", "'10.0.0.0'"])
        .column(
            "VARCHAR(2000) COMPRESSED",
            ["''", "'short'", "REPEAT('数a', 900)"],
        )
        .column(
            "MEDIUMBLOB COMPRESSED",
            ["x''", "x'00ff'", "REPEAT(x'00ff', 40000)"],
        )
        .column("TEXT COMPRESSED", ["''", "REPEAT('long ', 5000)"])
}
