//! Partitions, databases and views.

use oms_schema::{ConvertOptions, DatabaseDefinition, ViewDefinition, convert_database, convert_view};

use crate::{
    case::{MA, MY, TAIL, converted, sql},
    support,
};

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
