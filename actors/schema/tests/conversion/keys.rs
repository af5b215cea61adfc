//! Keys and indexes that a destination refuses or takes differently, and when they are created.

use oms_schema::{ConvertOptions, ForeignKeyPolicy, IndexPolicy, Outcome};

use crate::case::{MA, MY, TAIL, check, converted};

#[test]
fn keys_are_rewritten() {
    check(&[
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
            MA,
            "seekdb",
            "`g` point, SPATIAL KEY `s` (`g`)",
            "`g` point)",
            "SPATIAL",
            Some(true),
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
            "`a` varchar(9) COLLATE utf8mb4_0900_ai_ci NOT NULL, PRIMARY KEY (`a`)",
            "`a` varchar(9) NOT NULL",
            "0900",
            Some(true),
        ),
    ]);
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
