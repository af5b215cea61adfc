//! Columns and table options that a destination refuses or takes differently.

use oms_schema::{CharsetRules, ConvertOptions, DataType};

use crate::case::{MA, MY, check, converted, sql};

#[test]
fn columns_are_rewritten() {
    check(&[
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
    ]);
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
