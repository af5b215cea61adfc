//! One case for each construct that a destination refuses or takes differently.

use oms_core::codes;
use oms_schema::{
    CharsetRules, ConvertOptions, Converted, DataType, DatabaseDefinition, Flavor, ForeignKeyPolicy,
    IndexPolicy, Outcome, TableDefinition, ViewDefinition, convert_database, convert_table, convert_view,
};

use crate::support;

fn converted(source: Flavor, destination: &str, body: &str, options: &ConvertOptions) -> Converted {
    let definition = TableDefinition::parse(&format!("CREATE TABLE `t` ({body}"))
        .unwrap_or_else(|e| panic!("{body}: {e}"));
    let source = support::source_traits("mysql-9.7", source);
    convert_table(
        &definition,
        "d",
        &source,
        &support::destination_traits(destination),
        options,
    )
}

fn sql(converted: &Converted) -> String {
    let mut text = String::new();
    for statement in converted
        .statements
        .iter()
        .chain(&converted.foreign_keys)
        .chain(&converted.deferred)
    {
        text.push_str(
            &statement
                .sql
                .replace("\n  ", "")
                .replace("\n)", ")")
                .replace('\n', " "),
        );
        text.push(';');
    }
    text
}

/// Source family, destination, definition behind `CREATE TABLE t (`, what must be in the statement,
/// what must not be there, whether a note says that something is lost (`None`: no change at all).
type Case = (
    Flavor,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<bool>,
);

const MY: Flavor = Flavor::MySql;
const MA: Flavor = Flavor::MariaDb;
const TAIL: &str = ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci";

#[test]
fn constructs_are_rewritten() {
    let cases: &[Case] = &[
        (
            MY,
            "seekdb",
            "`a` int NOT NULL, PRIMARY KEY (`a`) USING BTREE",
            "PRIMARY KEY (`a`))",
            "BTREE",
            None,
        ),
        (
            MY,
            "seekdb",
            "`a` int, KEY `k` (`a`) KEY_BLOCK_SIZE=4",
            "KEY `k` (`a`))",
            "BLOCK",
            Some(false),
        ),
        (
            MY,
            "seekdb",
            "`a` varchar(9) NOT NULL, PRIMARY KEY (`a`(3))",
            "UNIQUE KEY `primary_unique` (`a`(3))",
            "PRIMARY KEY",
            Some(false),
        ),
        (
            MY,
            "seekdb",
            "`a` int NOT NULL, PRIMARY KEY (`a` DESC)",
            "PRIMARY KEY (`a`)",
            "DESC",
            Some(false),
        ),
        (
            MY,
            "mysql-9.7",
            "`a` int NOT NULL, PRIMARY KEY (`a` DESC)",
            "PRIMARY KEY (`a` DESC)",
            "ASC",
            None,
        ),
        (
            MY,
            "seekdb",
            "`a` int, KEY `k` (`a`) USING HASH",
            "KEY `k` (`a`))",
            "HASH",
            Some(false),
        ),
        (
            MY,
            "seekdb",
            "`a` int GENERATED ALWAYS AS (1) STORED NOT NULL, PRIMARY KEY (`a`)",
            "UNIQUE KEY `primary_unique` (`a`)",
            "PRIMARY",
            Some(false),
        ),
        (
            MY,
            "seekdb",
            "`a` int, `b` int GENERATED ALWAYS AS (`a`) VIRTUAL, `c` int GENERATED ALWAYS AS (`b`) VIRTUAL",
            "AS (cast((`a`) as signed))",
            "AS (`b`)",
            Some(false),
        ),
        (
            MY,
            "seekdb",
            "`a` json DEFAULT (json_array())",
            "`a` json)",
            "DEFAULT (",
            Some(true),
        ),
        (
            MY,
            "seekdb",
            "`a` text DEFAULT (_utf8mb4'x')",
            "`a` text)",
            "DEFAULT (",
            Some(true),
        ),
        (
            MA,
            "seekdb",
            "`a` text DEFAULT 'x'",
            "`a` text)",
            "'x'",
            Some(true),
        ),
        (
            MA,
            "mysql-9.7",
            "`a` text DEFAULT 'x'",
            "DEFAULT ('x')",
            "DEFAULT 'x'",
            Some(false),
        ),
        (
            MA,
            "mariadb-10.11",
            "`a` text DEFAULT 'x'",
            "DEFAULT 'x'",
            "DEFAULT (",
            None,
        ),
        (
            MY,
            "seekdb",
            "`a` datetime(6) DEFAULT (now(6))",
            "DEFAULT CURRENT_TIMESTAMP(6)",
            "now",
            None,
        ),
        (
            MA,
            "mysql-9.7",
            "`a` datetime DEFAULT current_timestamp() ON UPDATE current_timestamp()",
            "DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
            "()",
            None,
        ),
        (
            MY,
            "seekdb",
            "`a` datetime(3) DEFAULT ((now(3) + interval 1 day))",
            "DEFAULT (now(3) + interval 1 day)",
            "((",
            Some(true),
        ),
        (
            MA,
            "mysql-9.7",
            "`a` varchar(9) DEFAULT user()",
            "`a` varchar(9))",
            "user",
            Some(true),
        ),
        (
            MY,
            "seekdb",
            "`a` varchar(9) DEFAULT (_latin1'x')",
            "DEFAULT ('x')",
            "_latin1",
            None,
        ),
        (
            MY,
            "seekdb",
            "`a` datetime NOT NULL DEFAULT '0000-00-00 00:00:00'",
            "DEFAULT '0000-00-00 00:00:00'",
            "NULL DEFAULT NULL",
            None,
        ),
        (
            MY,
            "seekdb",
            "`a` timestamp NULL DEFAULT NULL",
            "`a` timestamp NULL DEFAULT NULL",
            "NOT",
            None,
        ),
        (
            MY,
            "seekdb",
            "`g` point NOT NULL /*!80003 SRID 4326 */",
            "`g` point NOT NULL)",
            "SRID",
            Some(true),
        ),
        (
            MY,
            "mysql-9.7",
            "`g` point NOT NULL /*!80003 SRID 4326 */",
            "SRID 4326",
            "!",
            None,
        ),
        (
            MY,
            "mariadb-10.11",
            "`g` geomcollection DEFAULT NULL",
            "`g` geometrycollection",
            "geomc",
            None,
        ),
        (
            MA,
            "seekdb",
            "`g` point, SPATIAL KEY `s` (`g`)",
            "`g` point)",
            "SPATIAL",
            Some(true),
        ),
        (
            MY,
            "mariadb-10.11",
            "`a` json",
            "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin CHECK (json_valid(`a`))",
            " json ",
            Some(false),
        ),
        (
            MA,
            "mysql-9.7",
            "`a` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`a`))",
            "`a` longtext CHARACTER SET",
            "json",
            Some(true),
        ),
        (
            MA,
            "seekdb",
            "`a` uuid NOT NULL",
            "`a` char(36) NOT NULL",
            "uuid",
            Some(false),
        ),
        (
            MA,
            "mysql-9.7",
            "`a` inet4, `b` inet6",
            "`a` varchar(15) CHARACTER SET ascii COLLATE ascii_general_ci,`b` varchar(45)",
            "inet",
            Some(false),
        ),
        (
            MA,
            "mysql-9.7",
            "`a` text, UNIQUE KEY `u` (`a`) USING HASH",
            "`a` text)",
            "UNIQUE",
            Some(true),
        ),
        (
            MA,
            "mariadb-10.11",
            "`a` text, UNIQUE KEY `u` (`a`) USING HASH",
            "UNIQUE KEY `u` (`a`)",
            "PRIMARY",
            None,
        ),
        (
            MA,
            "mysql-9.7",
            "`a` int, KEY `k` (`a`) IGNORED",
            "KEY `k` (`a`) INVISIBLE",
            "IGNORED",
            None,
        ),
        (
            MY,
            "mariadb-10.11",
            "`a` int, KEY `k` (`a`) /*!80000 INVISIBLE */",
            "KEY `k` (`a`) IGNORED",
            "INVISIBLE",
            None,
        ),
        (
            MY,
            "mariadb-10.11",
            "`a` int DEFAULT '5' /*!80023 INVISIBLE */",
            "`a` int INVISIBLE DEFAULT '5'",
            "!",
            None,
        ),
        (
            MY,
            "mariadb-10.11",
            "`a` int NOT NULL /*!80023 INVISIBLE */, `b` int",
            "`a` int NOT NULL,",
            "INVISIBLE",
            Some(true),
        ),
        (
            MY,
            "mariadb-10.11",
            "`my_row_id` bigint unsigned NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */, PRIMARY KEY (`my_row_id`)",
            "NOT NULL INVISIBLE AUTO_INCREMENT",
            "!",
            None,
        ),
        (
            MY,
            "mariadb-10.11",
            "`a` int, KEY `f` (((`a` + 1)))",
            "`a` int)",
            "KEY",
            Some(true),
        ),
        (
            MY,
            "seekdb",
            "`a` int, KEY `f` (((`a` + 1)))",
            "KEY `f` ((`a` + 1))",
            "(((",
            None,
        ),
        (
            MY,
            "mariadb-10.11",
            "`j` int, KEY `m` ((cast(`j` as unsigned array)))",
            "`j` int)",
            "KEY",
            Some(true),
        ),
        (
            MY,
            "mariadb-10.11",
            "`a` int, CONSTRAINT `c` CHECK ((`a` > 0)) /*!80016 NOT ENFORCED */",
            "`a` int)",
            "CHECK",
            Some(false),
        ),
        (
            MY,
            "seekdb",
            "`a` int, CONSTRAINT `c` CHECK ((`a` > 0)) /*!80016 NOT ENFORCED */",
            "CHECK (`a` > 0) NOT ENFORCED",
            "!",
            None,
        ),
        (
            MA,
            "mysql-9.7",
            "`a` int CHECK (`a` > 0), CONSTRAINT `CONSTRAINT_1` CHECK (`a` < 9)",
            "`a` int,CHECK (`a` < 9),CHECK (`a` > 0)",
            "CONSTRAINT_1",
            None,
        ),
        (
            MY,
            "seekdb",
            "`a` varchar(9), CONSTRAINT `c` CHECK ((`a` <> _latin1'é'))",
            "`a` varchar(9))",
            "CHECK",
            Some(true),
        ),
        (
            MY,
            "mariadb-10.11",
            "`t` text, FULLTEXT KEY `f` (`t`) /*!50100 WITH PARSER `ngram` */",
            "FULLTEXT KEY `f` (`t`)",
            "ngram",
            Some(true),
        ),
        (
            MY,
            "seekdb",
            "`t` text, FULLTEXT KEY `f` (`t`) /*!50100 WITH PARSER `ngram` */",
            "WITH PARSER `ngram`",
            "!",
            None,
        ),
        (
            MA,
            "seekdb",
            "`a` text /*M!100301 COMPRESSED*/",
            "`a` text)",
            "COMPRESSED",
            Some(false),
        ),
        (
            MY,
            "seekdb",
            "`a` int /*!50606 STORAGE DISK */ /*!50606 COLUMN_FORMAT FIXED */, `b` int NOT SECONDARY",
            "`a` int,`b` int)",
            "DISK",
            Some(false),
        ),
        (
            MY,
            "seekdb",
            "`a` int, `b` int, CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `e`.`p` (`x`) ON DELETE CASCADE ON UPDATE SET NULL",
            "ALTER TABLE `d`.`t` ADD CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `e`.`p` (`x`) ON DELETE CASCADE ON UPDATE SET NULL",
            "NO ACTION",
            None,
        ),
        (
            MY,
            "seekdb",
            "`a` int, CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`x`) ON DELETE SET DEFAULT",
            "`a` int)",
            "FOREIGN",
            Some(true),
        ),
        (
            MY,
            "seekdb",
            "`a` tinytext CHARACTER SET latin1, `b` text CHARACTER SET utf8mb3",
            "`a` text,`b` text)",
            "latin1",
            Some(false),
        ),
        (
            MY,
            "seekdb",
            "`a` enum('x','X') CHARACTER SET latin1 COLLATE latin1_bin",
            "`a` enum('x','X') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            "latin1",
            Some(false),
        ),
        (
            MY,
            "seekdb",
            "`a` varchar(9) COLLATE utf8mb4_0900_ai_ci NOT NULL, PRIMARY KEY (`a`)",
            "`a` varchar(9) NOT NULL",
            "0900",
            Some(true),
        ),
        (
            MY,
            "mariadb-10.11",
            "`a` varchar(9) COLLATE utf8mb4_0900_ai_ci",
            "COLLATE utf8mb4_uca1400_nopad_ai_ci",
            "0900",
            Some(false),
        ),
        (
            MY,
            "mariadb-10.11",
            "`a` int, `b` int GENERATED ALWAYS AS (`a`) STORED NOT NULL",
            "STORED)",
            "NOT NULL",
            Some(true),
        ),
    ];
    let mut wrong = Vec::new();
    for (source, destination, body, present, absent, lossy) in cases {
        let result = converted(
            *source,
            destination,
            &format!("{body}{TAIL}"),
            &ConvertOptions::default(),
        );
        let text = sql(&result);
        let expected = if lossy.is_some() {
            Outcome::Converted
        } else {
            Outcome::Compatible
        };
        let is_right = text.contains(present)
            && !text.contains(absent)
            && result.outcome == expected
            && result.notes.iter().any(|n| n.lossy) == lossy.unwrap_or(false);
        if !is_right {
            wrong.push(format!(
                "{destination}: {body}\n  {text}\n  {:?} {:?}",
                result.outcome, result.notes
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn partitions_are_rewritten() {
    let table = "`a` int NOT NULL, PRIMARY KEY (`a`)";
    for (source, destination, tail, present, absent) in [
        (
            MY,
            "seekdb",
            "/*!50100 PARTITION BY LINEAR HASH (`a`)\nPARTITIONS 4 */",
            "PARTITION BY HASH (`a`) PARTITIONS 4",
            "LINEAR",
        ),
        (
            MY,
            "mariadb-10.11",
            "/*!50100 PARTITION BY LINEAR HASH (`a`)\nPARTITIONS 4 */",
            "PARTITION BY LINEAR HASH",
            "!",
        ),
        (
            MY,
            "seekdb",
            "/*!50100 PARTITION BY KEY */ /*!50611 ALGORITHM = 1 */ /*!50100 (a)\nPARTITIONS 2 */",
            "PARTITION BY KEY (`a`) PARTITIONS 2",
            "ALGORITHM",
        ),
        (
            MY,
            "seekdb",
            "/*!50100 PARTITION BY RANGE (a)\n(PARTITION p0 VALUES LESS THAN (1) COMMENT = 'c' DATA DIRECTORY = '/x' MAX_ROWS = 3 ENGINE = InnoDB) */",
            "(PARTITION `p0` VALUES LESS THAN (1))",
            "COMMENT",
        ),
        (
            MY,
            "mysql-9.7",
            "/*!50100 PARTITION BY RANGE (a)\n(PARTITION p0 VALUES LESS THAN MAXVALUE COMMENT = 'c' DATA DIRECTORY = '/x' ENGINE = InnoDB) */",
            "VALUES LESS THAN (MAXVALUE) COMMENT = 'c')",
            "DIRECTORY",
        ),
        (
            MA,
            "seekdb",
            "PARTITION BY LIST (`a`)\n(PARTITION `p` VALUES IN (1),\n PARTITION `d` DEFAULT)",
            "PARTITION `d` VALUES IN (DEFAULT)",
            "`d` DEFAULT",
        ),
        (
            MA,
            "mysql-9.7",
            "PARTITION BY LIST (`a`)\n(PARTITION `d` DEFAULT)",
            "PRIMARY KEY (`a`)",
            "PARTITION",
        ),
    ] {
        let result = converted(
            source,
            destination,
            &format!("{table}{TAIL} {tail}"),
            &ConvertOptions::default(),
        );
        let text = sql(&result);
        assert!(
            text.contains(present) && !text.contains(absent),
            "{destination}: {tail}\n{text}"
        );
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_code() {
    let inno = TAIL;
    for (source, destination, body, code) in [
        (
            MY,
            "seekdb",
            "`a` int) ENGINE=MyISAM DEFAULT CHARSET=utf8mb4".to_owned(),
            codes::schema::ENGINE_NOT_SUPPORTED,
        ),
        (
            MA,
            "mysql-9.7",
            "`a` int) ENGINE=Aria DEFAULT CHARSET=utf8mb4 PAGE_CHECKSUM=1".to_owned(),
            codes::schema::ENGINE_NOT_SUPPORTED,
        ),
        (
            MY,
            "seekdb",
            format!("`v` vector(3){inno}"),
            codes::schema::TYPE_NOT_SUPPORTED,
        ),
        (
            MA,
            "mysql-9.7",
            format!("`a` int DEFAULT nextval(`d`.`s`){inno}"),
            codes::schema::CONSTRUCT_NOT_SUPPORTED,
        ),
        (
            MA,
            "mariadb-10.11",
            format!("`a` int{inno} WITH SYSTEM VERSIONING"),
            codes::schema::CONSTRUCT_NOT_SUPPORTED,
        ),
        (
            MA,
            "seekdb",
            format!("`a` date, `b` date, PERIOD FOR `p` (`a`, `b`){inno}"),
            codes::schema::CONSTRUCT_NOT_SUPPORTED,
        ),
        (
            MA,
            "seekdb",
            format!("`a` text NOT NULL, UNIQUE KEY `u` (`a`) USING HASH{inno}"),
            codes::schema::CONSTRUCT_NOT_SUPPORTED,
        ),
        (
            MY,
            "seekdb",
            format!(
                "`a` json, `b` json GENERATED ALWAYS AS (`a`) VIRTUAL, `c` int GENERATED ALWAYS AS (`b`) VIRTUAL{inno}"
            ),
            codes::schema::CONSTRUCT_NOT_SUPPORTED,
        ),
    ] {
        let result = converted(source, destination, &body, &ConvertOptions::default());
        match &result.outcome {
            Outcome::NotSupported(refusal) => assert_eq!(refusal.code, code, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
        assert!(
            result.statements.is_empty() && result.foreign_keys.is_empty(),
            "{body}"
        );
    }
}

#[test]
fn what_is_not_known_is_an_error_with_its_offset() {
    for (text, construct, at) in [
        ("CREATE TABLE `t` (\n  `a` money NOT NULL\n)", "money", "money"),
        ("CREATE TABLE `t` (\n  `a` int FANCY\n)", "FANCY", "FANCY"),
        (
            "CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB SHINY=1",
            "SHINY",
            "SHINY",
        ),
        ("CREATE TABLE `t` (\n  `a` int\n) `shiny`=1", "`shiny`", "`shiny`"),
        (
            "CREATE TABLE `t` (\n  `a` int,\n  VECTOR KEY `k` (`a`)\n)",
            "VECTOR",
            "VECTOR",
        ),
        (
            "CREATE TABLE `t` (\n  `a` int\n) PARTITION BY MAGIC (a)",
            "MAGIC",
            "MAGIC",
        ),
        (
            "CREATE TABLE `t` (\n  `a` binary(2) DEFAULT '\u{fffd}'\n)",
            "ASCII",
            "\n)",
        ),
        (
            "CREATE TEMPORARY TABLE `t` (\n  `a` int\n)",
            "TEMPORARY",
            "TEMPORARY",
        ),
    ] {
        let error = TableDefinition::parse(text).unwrap_err();
        let oms_schema::SchemaError::NotUnderstood {
            construct: found,
            offset,
        } = &error
        else {
            panic!("{error}")
        };
        assert!(found.contains(construct), "{error}");
        assert_eq!(
            text[*offset..].trim_start().find(at.trim_start()),
            Some(0),
            "{error}"
        );
        assert_eq!(error.code(), codes::schema::STATEMENT_NOT_UNDERSTOOD);
    }
}

#[test]
fn options_decide_what_waits() {
    let body = format!(
        "`a` int NOT NULL AUTO_INCREMENT, `b` int, `c` int, `d` int, KEY `ka` (`a`), KEY `kb` (`b`), KEY `kc` (`c`,`d`), \
         UNIQUE KEY `ud` (`d`), CONSTRAINT `f` FOREIGN KEY (`b`) REFERENCES `p` (`x`){TAIL}"
    );
    let with = |indexes, foreign_keys| {
        let options = ConvertOptions {
            indexes,
            foreign_keys,
            ..ConvertOptions::default()
        };
        let result = converted(MY, "mysql-9.7", &body, &options);
        let names =
            |list: &[oms_schema::Statement]| list.iter().map(|s| s.object.part.clone()).collect::<Vec<_>>();
        (
            names(&result.deferred),
            names(&result.foreign_keys),
            result.outcome,
        )
    };
    let of = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    use ForeignKeyPolicy::{AfterData, AfterTables, Omit};
    assert_eq!(
        with(IndexPolicy::WithTable, AfterTables),
        (of(&[]), of(&["f"]), Outcome::Compatible)
    );
    assert_eq!(
        with(IndexPolicy::AfterData, AfterTables),
        (of(&["kc"]), of(&["f"]), Outcome::Compatible)
    );
    assert_eq!(
        with(IndexPolicy::AfterData, AfterData),
        (of(&["kb", "kc"]), of(&["f"]), Outcome::Compatible)
    );
    assert_eq!(
        with(IndexPolicy::AfterData, Omit),
        (of(&["kb", "kc"]), of(&[]), Outcome::Converted)
    );
}

#[test]
fn rules_of_the_user_decide_about_collations() {
    let rules = CharsetRules {
        charsets: vec![],
        collations: vec![("utf8mb4_0900_ai_ci".into(), "utf8mb4_bin".into())],
    };
    let options = ConvertOptions {
        charsets: rules,
        ..ConvertOptions::default()
    };
    let body = "`a` varchar(9) NOT NULL, PRIMARY KEY (`a`)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci";
    let result = converted(MY, "seekdb", body, &options);
    assert!(sql(&result).contains("DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"));
    let definition = result.definition.unwrap();
    assert_eq!(definition.columns[0].ty, DataType::VarChar(9));
}

#[test]
fn databases_and_views() {
    let source = support::source_traits("mysql-9.7", MY);
    let seekdb = support::destination_traits("seekdb");
    let text =
        "CREATE DATABASE `x` /*!40100 DEFAULT CHARACTER SET latin1 */ /*!80016 DEFAULT ENCRYPTION='Y' */";
    let database = DatabaseDefinition::parse(text).unwrap();
    let result = convert_database(&database, &source, &seekdb, &ConvertOptions::default());
    assert_eq!(
        result.statements[0].sql,
        "CREATE DATABASE IF NOT EXISTS `x` DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    );
    assert_eq!(result.notes.len(), 2);

    let text = "CREATE ALGORITHM=MERGE DEFINER=`u`@`%` SQL SECURITY INVOKER VIEW `v` AS select `t`.`a` AS `a` from `t`";
    let view = ViewDefinition::parse(text).unwrap();
    let result = convert_view(&view, "x", &seekdb, &ConvertOptions::default()).unwrap();
    assert_eq!(
        result.statements[0].sql,
        "CREATE VIEW `x`.`v` AS select `t`.`a` AS `a` from `x`.`t`"
    );
    assert!(result.notes.iter().any(|n| n.lossy && n.from == "INVOKER"));
    let mysql = support::destination_traits("mysql-9.7");
    let result = convert_view(&view, "x", &mysql, &ConvertOptions::default()).unwrap();
    assert!(
        result.statements[0]
            .sql
            .starts_with("CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW `x`.`v`")
    );
}
