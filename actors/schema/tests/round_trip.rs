//! Whatever definition is written, reading it gives it back.

#![allow(clippy::unwrap_used)]

use oms_core::{Generated, TableName};
use oms_schema::{
    CheckDefinition, ColumnDefinition, DataType, DefaultValue, Flavor, ForeignKeyDefinition, GeneratedColumn,
    IndexAlgorithm, IndexDefinition, IndexKind, IndexPart, IndexPartKey, IntegerKind, PartitionDefinition,
    PartitionMethod, PartitionValues, Partitioning, ReferenceAction, SubPartitioning, SubpartitionDefinition,
    TableDefinition, TableOptions,
};
use proptest::{option, prelude::*, sample::select};

fn name() -> impl Strategy<Value = String> {
    "[a-z`' .é日\\\\]{1,6}"
}

fn text() -> impl Strategy<Value = String> {
    "[a-z'\"`\\\\\n\r\0\u{1a}%日 ]{0,8}"
}

fn expression() -> impl Strategy<Value = String> {
    select(vec![
        "`a` + 1",
        "concat('it\\'s',`b`)",
        "(`a`) > (`b`)",
        "json_valid(`c`)",
        "`a` in (1,2)",
        "uuid()",
    ])
    .prop_map(str::to_owned)
}

fn data_type() -> impl Strategy<Value = DataType> {
    use IntegerKind::*;
    prop_oneof![
        (
            select(vec![TinyInt, SmallInt, MediumInt, Int, BigInt]),
            option::of(1u32..20),
            any::<bool>(),
            any::<bool>()
        )
            .prop_map(|(kind, width, unsigned, zerofill)| DataType::Integer {
                kind,
                width,
                unsigned,
                zerofill
            }),
        (1u8..66, 0u8..31, any::<bool>(), any::<bool>()).prop_map(
            |(precision, scale, unsigned, zerofill)| {
                DataType::Decimal {
                    precision,
                    scale,
                    unsigned,
                    zerofill,
                }
            }
        ),
        (
            any::<bool>(),
            option::of((1u32..50, 0u32..30)),
            any::<bool>(),
            any::<bool>()
        )
            .prop_map(|(double, digits, unsigned, zerofill)| DataType::Real {
                double,
                digits,
                unsigned,
                zerofill
            }),
        (1u8..65).prop_map(DataType::Bit),
        (0u8..7).prop_map(DataType::Time),
        (0u8..7).prop_map(DataType::DateTime),
        (0u8..7).prop_map(DataType::Timestamp),
        (0u32..256).prop_map(DataType::Char),
        (0u32..65536).prop_map(DataType::VarChar),
        (1u8..5).prop_map(DataType::Text),
        (0u32..256).prop_map(DataType::Binary),
        (1u8..5).prop_map(DataType::Blob),
        prop::collection::vec(text(), 1..4).prop_map(DataType::Enum),
        prop::collection::vec(text(), 1..4).prop_map(DataType::Set),
        select(vec![
            DataType::Year,
            DataType::Date,
            DataType::Json,
            DataType::Uuid,
            DataType::Inet4,
            DataType::Inet6
        ]),
        select(vec!["geometry", "point", "geometrycollection"])
            .prop_map(|k| DataType::Geometry(k.to_owned())),
        (1u32..9).prop_map(DataType::Vector),
    ]
}

fn default_value() -> impl Strategy<Value = DefaultValue> {
    prop_oneof![
        Just(DefaultValue::Null),
        "[a-z'\\\\\n ]{0,8}".prop_map(DefaultValue::Text),
        (-999i32..999).prop_map(|n| DefaultValue::Number(n.to_string())),
        Just(DefaultValue::Bits("b'101'".into())),
        (0u8..7).prop_map(DefaultValue::Now),
        expression().prop_map(DefaultValue::Expression),
    ]
}

fn column() -> impl Strategy<Value = ColumnDefinition> {
    (
        (
            name(),
            data_type(),
            any::<bool>(),
            option::of(default_value()),
            text(),
            any::<bool>(),
            any::<bool>(),
        ),
        (
            option::of(select(vec!["latin1", "utf8mb4"])),
            option::of(select(vec!["latin1_bin", "utf8mb4_0900_ai_ci"])),
            option::of((expression(), any::<bool>())),
            option::of(0u8..7),
            option::of(expression()),
            option::of(0u32..5000),
            prop::collection::vec(
                select(vec![
                    "COMPRESSED",
                    "COLUMN_FORMAT FIXED",
                    "STORAGE DISK",
                    "NOT SECONDARY",
                ]),
                0..2,
            ),
        ),
    )
        .prop_map(
            |((name, ty, nullable, default, comment, invisible, auto_increment), rest)| {
                let (charset, collation, generated, on_update_now, check, srid, storage) = rest;
                let mut column = ColumnDefinition::new(name, ty);
                column.nullable = nullable;
                column.default = default;
                column.comment = comment;
                column.invisible = invisible;
                column.auto_increment = auto_increment;
                column.charset = charset.map(str::to_owned);
                column.collation = collation.map(str::to_owned);
                column.generated = generated.map(|(expression, stored)| GeneratedColumn {
                    expression,
                    kept: if stored {
                        Generated::Stored
                    } else {
                        Generated::Virtual
                    },
                });
                column.on_update_now = on_update_now;
                column.check = check;
                column.srid = srid;
                column.storage = storage.into_iter().map(str::to_owned).collect();
                column
            },
        )
}

fn index() -> impl Strategy<Value = IndexDefinition> {
    use IndexKind::*;
    let part = (
        prop_oneof![
            name().prop_map(IndexPartKey::Column),
            expression().prop_map(IndexPartKey::Expression)
        ],
        option::of(1u32..100),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(key, prefix, descending, without_overlaps)| IndexPart {
            key,
            prefix,
            descending,
            without_overlaps,
        });
    (
        select(vec![Primary, Unique, Plain, FullText, Spatial]),
        name(),
        prop::collection::vec(part, 1..4),
        option::of(select(vec![
            IndexAlgorithm::BTree,
            IndexAlgorithm::Hash,
            IndexAlgorithm::RTree,
        ])),
        option::of(1u64..16),
        option::of(name()),
        text(),
        any::<bool>(),
    )
        .prop_map(
            |(kind, name, parts, algorithm, key_block_size, parser, comment, invisible)| IndexDefinition {
                kind,
                name: if kind == Primary { String::new() } else { name },
                parts,
                algorithm,
                key_block_size,
                parser,
                comment,
                invisible,
            },
        )
}

fn foreign_key() -> impl Strategy<Value = ForeignKeyDefinition> {
    use ReferenceAction::*;
    let action = || option::of(select(vec![Restrict, Cascade, SetNull, NoAction, SetDefault]));
    let columns = || prop::collection::vec(name(), 1..3);
    (
        name(),
        columns(),
        option::of(name()),
        name(),
        columns(),
        action(),
        action(),
    )
        .prop_map(
            |(name, columns, database, table, referenced, on_delete, on_update)| ForeignKeyDefinition {
                name,
                columns,
                database,
                table,
                referenced,
                on_delete,
                on_update,
            },
        )
}

fn partitioning() -> impl Strategy<Value = Partitioning> {
    let options = || prop::collection::vec(select(vec![("COMMENT", "'it''s'"), ("MAX_ROWS", "3")]), 0..2);
    let owned = |list: Vec<(&str, &str)>| {
        list.into_iter()
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect()
    };
    let values = prop_oneof![
        Just(PartitionValues::None),
        Just(PartitionValues::LessThan(vec!["MAXVALUE".into()])),
        Just(PartitionValues::LessThan(vec!["10".into(), "'a,b'".into()])),
        Just(PartitionValues::In(vec!["(1,'x')".into(), "NULL".into()])),
        Just(PartitionValues::Default),
    ];
    let subs = prop::collection::vec((name(), options()), 0..3);
    let definition = (name(), values, options(), subs).prop_map(move |(name, values, options, subs)| {
        PartitionDefinition {
            name,
            values,
            options: owned(options),
            subpartitions: subs
                .into_iter()
                .map(|(name, options)| SubpartitionDefinition {
                    name,
                    options: owned(options),
                })
                .collect(),
        }
    });
    let method = || {
        prop_oneof![
            prop::collection::vec(name(), 0..3).prop_map(PartitionMethod::Key),
            expression().prop_map(PartitionMethod::Hash),
        ]
    };
    let first = prop_oneof![
        (method(), any::<bool>()),
        expression().prop_map(|e| (PartitionMethod::Range(e), false)),
        expression().prop_map(|e| (PartitionMethod::List(e), false)),
        prop::collection::vec(name(), 1..3).prop_map(|c| (PartitionMethod::RangeColumns(c), false)),
        prop::collection::vec(name(), 1..3).prop_map(|c| (PartitionMethod::ListColumns(c), false)),
    ];
    let algorithm = |method: &PartitionMethod, n| {
        if matches!(method, PartitionMethod::Key(_)) {
            n
        } else {
            None
        }
    };
    let sub =
        option::of((method(), any::<bool>(), option::of(1u8..3), option::of(1u32..9))).prop_map(move |sub| {
            sub.map(|(method, linear, n, count)| SubPartitioning {
                algorithm: algorithm(&method, n),
                method,
                linear,
                count,
            })
        });
    (
        first,
        option::of(1u8..3),
        option::of(1u32..9),
        sub,
        prop::collection::vec(definition, 0..3),
    )
        .prop_map(
            move |((method, linear), n, count, sub, definitions)| Partitioning {
                algorithm: algorithm(&method, n),
                method,
                linear,
                count,
                sub,
                definitions,
            },
        )
}

fn table() -> impl Strategy<Value = TableDefinition> {
    let check = (option::of(name()), expression(), any::<bool>()).prop_map(|(name, expression, enforced)| {
        CheckDefinition {
            name,
            expression,
            enforced,
        }
    });
    (
        name(),
        prop::collection::vec(column(), 1..4),
        prop::collection::vec(index(), 0..3),
        prop::collection::vec(foreign_key(), 0..2),
        prop::collection::vec(check, 0..2),
        option::of(1u64..u64::MAX),
        text(),
        option::of(partitioning()),
        any::<bool>(),
    )
        .prop_map(
            |(
                name,
                columns,
                indexes,
                foreign_keys,
                checks,
                auto_increment,
                comment,
                partitioning,
                versioned,
            )| {
                TableDefinition {
                    name,
                    columns,
                    indexes,
                    foreign_keys,
                    checks,
                    periods: Vec::new(),
                    options: TableOptions {
                        engine: Some("InnoDB".into()),
                        charset: Some("utf8mb4".into()),
                        collation: None,
                        auto_increment,
                        comment,
                        storage: vec![
                            ("ROW_FORMAT".into(), "DYNAMIC".into()),
                            ("`page_compressed`".into(), "'1'".into()),
                        ],
                    },
                    system_versioned: versioned,
                    partitioning,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn reading_gives_back_what_was_written(
        table in table(),
        flavor in select(vec![Flavor::MySql, Flavor::MariaDb, Flavor::OceanBase]),
    ) {
        let written = table.to_sql(&TableName::new("d", table.name.clone()), flavor);
        let again = TableDefinition::parse(&written);
        prop_assert_eq!(again.as_ref(), Ok(&table), "{}", written);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "CREATE TABLE `t` \\(\n.{0,60}") {
        let _ = TableDefinition::parse(&text);
    }
}

/// OceanBase 4.3.5 prints how it keeps rows and indexes; the definition is the same without it.
#[test]
fn what_oceanbase_prints_of_its_storage_is_left_out() {
    let tail = " ORGANIZATION INDEX AUTO_INCREMENT = 7 AUTO_INCREMENT_MODE = 'ORDER' DEFAULT CHARSET = utf8mb4 \
        COMPRESSION = 'zstd_1.3.8' REPLICA_NUM = 1 BLOCK_SIZE = 16384 USE_BLOOM_FILTER = FALSE \
        ENABLE_MACRO_BLOCK_BLOOM_FILTER = FALSE TABLET_SIZE = 134217728 PCTFREE = 0";
    let definition = |index: &str, tail: &str| {
        let text = format!(
            "CREATE TABLE `t` (\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  `r` int(11) NOT NULL,\n  \
             `v` varchar(10) NOT NULL DEFAULT 'x',\n  `t` longtext DEFAULT NULL,\n  PRIMARY KEY (`id`, `r`),\n  \
             UNIQUE KEY `u` (`v`, `r`){index},\n  KEY `g` (`r`){index} COMMENT 'c',\n  \
             CONSTRAINT `f` FOREIGN KEY (`r`) REFERENCES `d`.`p`(`id`) ON UPDATE RESTRICT ON DELETE RESTRICT ,\n  \
             CONSTRAINT `t_OBCHECK_1` CHECK ((`r` > 0))\n){tail}\n partition by range(r)\n\
             (partition `p0` values less than (100),\npartition `p1` values less than (MAXVALUE))"
        );
        TableDefinition::parse(&text).unwrap()
    };
    let plain = definition("", " AUTO_INCREMENT = 7 DEFAULT CHARSET = utf8mb4");
    assert_eq!(definition(" BLOCK_SIZE 16384 LOCAL", tail), plain);
    assert_eq!(definition(" BLOCK_SIZE 16384 GLOBAL", tail), plain);
    assert_eq!(plain.indexes.len(), 3);
    // Nobody else's compression is left out.
    let kept = definition("", " DEFAULT CHARSET = utf8mb4 COMPRESSION = 'zlib'");
    assert_eq!(kept.options.storage.len(), 1);
    assert!(TableDefinition::parse("CREATE TABLE `t` (\n  `a` int\n) TABLET_SIZES = 1").is_err());
}
