//! What is not known is refused with its place.

use oms_schema::{DdlStatement, SchemaError};

use crate::reading::{mariadb, mysql};

#[test]
fn refusals_name_the_place() {
    for (text, construct, offset) in [
        ("ALTER TABLE t ADD COLUMN a money", "money", 27),
        ("ALTER TABLE t FROBNICATE", "FROBNICATE", 14),
        ("ALTER TABLE t ADD COLUMN a int SPARKLING", "SPARKLING", 31),
        ("ALTER TABLE t ADD COLUMN a int,", "the end", 31),
        ("ALTER TABLE t DROP COLUMN a b", "b", 28),
        ("CREATE TABLE t (a int) WEIRD=1", "WEIRD", 23),
        ("CREATE TABLE t", "the end", 14),
        ("CREATE TABLE t (a int", "the end", 21),
        ("CREATE TABLE t (a year(2))", ")", 25),
        ("CREATE GIZMO g", "GIZMO", 7),
        ("FROB t", "FROB", 0),
        ("DROP TABLE t; DROP TABLE u", "DROP", 14),
        ("RENAME TABLE a b", "b", 15),
        ("CREATE TABLE t (a int COMMENT x)", "x", 30),
        ("ALTER TABLE t ADD COLUMN a varchar", "the end", 34),
    ] {
        match DdlStatement::parse(text, &mysql()) {
            Err(SchemaError::NotUnderstood {
                construct: found,
                offset: at,
            }) => {
                assert_eq!(at, offset, "{text}: {found}");
                assert!(found.starts_with(construct), "{text}: {found}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn open_quotes_and_comments_are_refused() {
    for text in [
        "ALTER TABLE t COMMENT 'x",
        "ALTER TABLE `t ADD a int",
        "ALTER TABLE t ADD a int /* x",
        "ALTER TABLE t ADD a int /*!50100 COMMENT 'x'",
        "ALTER TABLE t ADD a int DEFAULT (1 + (2)",
        "ALTER TABLE t ADD a int DEFAULT ()",
    ] {
        assert!(DdlStatement::parse(text, &mysql()).is_err(), "{text}");
        assert!(DdlStatement::parse(text, &mariadb()).is_err(), "{text}");
    }
}
