//! Every statement of the lists is understood, and read as what it means.

use oms_core::TableName;
use oms_schema::{DdlStatement, Flavor, OtherKind, StatementContext};

use crate::any_ddl;

const COMMON: &str = include_str!("../statements/common.sql");
const MYSQL: &str = include_str!("../statements/mysql.sql");
const MARIADB: &str = include_str!("../statements/mariadb.sql");

pub(crate) fn mysql() -> StatementContext {
    StatementContext::new(Flavor::MySql, 90_700).in_database("d")
}

pub(crate) fn mariadb() -> StatementContext {
    StatementContext::new(Flavor::MariaDb, 101_106).in_database("d")
}

pub(crate) fn mysql56() -> StatementContext {
    StatementContext::new(Flavor::MySql, 50_651).in_database("d")
}

#[test]
fn the_lists_are_understood_and_printed() {
    let both = [mysql(), mariadb()];
    for (list, contexts) in [(COMMON, &both[..]), (MYSQL, &both[..1]), (MARIADB, &both[1..])] {
        for text in list.lines() {
            for context in contexts {
                DdlStatement::parse(text, context).unwrap_or_else(|e| panic!("{text}\n{e}"));
            }
            assert!(any_ddl::read(text) > 0, "{text}");
        }
    }
}

/// What is read, in the words of the printer.
fn printed(context: &StatementContext, text: &str) -> String {
    DdlStatement::parse(text, context)
        .unwrap_or_else(|e| panic!("{text}\n{e}"))
        .to_string()
}

#[test]
fn spellings_mean_the_same() {
    for (text, expected) in [
        (
            "CREATE TABLE t (a INT, b DEC, c NUMERIC(5), d CHAR, e BOOL DEFAULT TRUE, f REAL, g FLOAT(30), h YEAR(4))",
            "CREATE TABLE `d`.`t` (`a` int, `b` decimal(10,0), `c` decimal(5,0), `d` char(1), \
             `e` tinyint(1) DEFAULT 1, `f` double, `g` double, `h` year)",
        ),
        (
            "CREATE TABLE t (a SERIAL)",
            "CREATE TABLE `d`.`t` (`a` bigint unsigned AUTO_INCREMENT NOT NULL UNIQUE KEY)",
        ),
        (
            "CREATE TABLE t (a NCHAR(3), b LONG VARBINARY, c CHAR(2) BYTE, d TEXT(70000), e VARCHAR(3) BINARY)",
            "CREATE TABLE `d`.`t` (`a` char(3) CHARACTER SET utf8, `b` mediumblob, `c` binary(2), \
             `d` text(70000), `e` varchar(3) BINARY)",
        ),
        (
            "alter table t add x int key, add constraint c unique using btree (a) comment 'z'",
            "ALTER TABLE `d`.`t` ADD COLUMN `x` int PRIMARY KEY, ADD UNIQUE KEY `c` (`a`) USING BTREE COMMENT 'z'",
        ),
        (
            "ALTER TABLE t ADD (a int, key (a), b int)",
            "ALTER TABLE `d`.`t` ADD COLUMN `a` int, ADD KEY (`a`), ADD COLUMN `b` int",
        ),
        (
            "ALTER TABLE t ENGINE=InnoDB ROW_FORMAT=DYNAMIC, LOCK=NONE",
            "ALTER TABLE `d`.`t` ENGINE=`InnoDB`, ROW_FORMAT=DYNAMIC, LOCK=`NONE`",
        ),
        (
            "CREATE TABLE t (a varchar(9) DEFAULT _utf8mb4'x' 'y', b datetime DEFAULT NOW() ON UPDATE LOCALTIME)",
            "CREATE TABLE `d`.`t` (`a` varchar(9) DEFAULT 'xy', \
             `b` datetime DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
        ),
        (
            "RENAME TABLE a TO e.b, c TO a",
            "RENAME TABLE `d`.`a` TO `e`.`b`, `d`.`c` TO `d`.`a`",
        ),
        (
            "CREATE UNIQUE INDEX i USING HASH ON t (a(3), b DESC) COMMENT 'x'",
            "CREATE UNIQUE INDEX `i` ON `d`.`t` (`a`(3),`b` DESC) USING HASH COMMENT 'x'",
        ),
    ] {
        assert_eq!(printed(&mysql(), text), expected);
    }
}

#[test]
fn quotes_follow_the_sql_mode() {
    let text = r#"CREATE TABLE "a""b" (c varchar(9) DEFAULT 'x\' COMMENT 'it''s', CHECK ("c" <> '\n'))"#;
    let strict = mysql().with_sql_mode(1 << 2 | 1 << 20);
    assert_eq!(
        printed(&strict, text),
        r#"CREATE TABLE `d`.`a"b` (`c` varchar(9) DEFAULT 'x\\' COMMENT 'it''s', CHECK (`c` <> '\\n'))"#
    );
    assert_eq!(
        printed(&mysql(), r#"ALTER TABLE t COMMENT "a'b\"c""d\n""#),
        r#"ALTER TABLE `d`.`t` COMMENT='a''b"c"d\n'"#
    );
    assert!(DdlStatement::parse(text, &mysql()).is_err());
    // A wildcard keeps its backslash.
    let like = printed(&mysql(), r"ALTER TABLE t ADD CHECK (a LIKE 'x\_y\%')");
    assert_eq!(like, r"ALTER TABLE `d`.`t` ADD CHECK (a LIKE 'x\\_y\\%')");
}

#[test]
fn comments_count_where_the_server_executes_them() {
    let text = "CREATE TABLE t (a int /*!80023 INVISIBLE */ /*M!100301 COMPRESSED */ /*!50100 COMMENT 'x' */ /* y */)";
    assert_eq!(
        printed(&mysql(), text),
        "CREATE TABLE `d`.`t` (`a` int INVISIBLE COMMENT 'x')"
    );
    assert_eq!(
        printed(&mysql56(), text),
        "CREATE TABLE `d`.`t` (`a` int COMMENT 'x')"
    );
    // MariaDB leaves what MySQL 5.7 and later brought.
    assert_eq!(
        printed(&mariadb(), text),
        "CREATE TABLE `d`.`t` (`a` int COMPRESSED COMMENT 'x')"
    );
    // A comment inside of one that is not executed.
    let nested = "ALTER TABLE t /*!99999 ADD a int /* inner */ , */ ADD b int";
    assert_eq!(
        printed(&mysql(), nested),
        "ALTER TABLE `d`.`t` ADD COLUMN `b` int"
    );
    let expression = "ALTER TABLE t ADD c int AS (a /* one */ + -- two\n b)";
    assert_eq!(
        printed(&mysql(), expression),
        "ALTER TABLE `d`.`t` ADD COLUMN `c` int GENERATED ALWAYS AS (a + b) VIRTUAL"
    );
}

#[test]
fn names_are_names_in_any_script() {
    let text = "ALTER TABLE 库.订单 CHANGE 名称 名－字 varchar(3), ADD 2020年 int, ADD KEY 1e (`a.b`)";
    assert_eq!(
        printed(&mysql(), text),
        "ALTER TABLE `库`.`订单` CHANGE COLUMN `名称` `名－字` varchar(3), ADD COLUMN `2020年` int, ADD KEY `1e` (`a.b`)"
    );
    let folded = StatementContext {
        lower_case_names: true,
        ..mysql()
    };
    assert_eq!(
        printed(&folded, "RENAME TABLE D.A TO B"),
        "RENAME TABLE `d`.`a` TO `d`.`b`"
    );
}

#[test]
fn a_table_without_database_needs_a_default_one() {
    let context = StatementContext::new(Flavor::MySql, 80_036);
    assert!(DdlStatement::parse("DROP TABLE t", &context).is_err());
    assert_eq!(printed(&context, "DROP TABLE x.t"), "DROP TABLE `x`.`t`");
}

#[test]
fn other_statements_are_known_by_kind() {
    for (text, kind) in [
        ("GRANT SELECT ON a.b TO c", OtherKind::Account),
        ("ALTER USER a ACCOUNT LOCK", OtherKind::Account),
        (
            "CREATE DEFINER=`a`@`b` TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @x=1",
            OtherKind::Trigger,
        ),
        (
            "CREATE OR REPLACE DEFINER=CURRENT_USER() PROCEDURE p() BEGIN END",
            OtherKind::Routine,
        ),
        ("CREATE AGGREGATE FUNCTION f RETURNS int", OtherKind::Routine),
        (
            "ALTER DEFINER=`a`@`b` EVENT e ON SCHEDULE EVERY 1 DAY",
            OtherKind::Event,
        ),
        ("CREATE SERVER s FOREIGN DATA WRAPPER mysql", OtherKind::Server),
        ("SET GLOBAL x = 1", OtherKind::Setting),
        ("ANALYZE TABLE t", OtherKind::Maintenance),
        ("XA COMMIT 'x'", OtherKind::Transaction),
        ("REPLACE INTO t VALUES (1)", OtherKind::Rows),
        ("/* nothing */", OtherKind::Query),
        // What the tokenizer cannot read does not matter behind the kind.
        ("INSERT INTO t VALUES (\\N, 'open", OtherKind::Rows),
    ] {
        match DdlStatement::parse(text, &mysql()).unwrap() {
            DdlStatement::Other(other) => assert_eq!(other.kind, kind, "{text}"),
            statement => panic!("{text}: {statement:?}"),
        }
    }
}

#[test]
fn what_a_statement_names_is_listed() {
    let statement = DdlStatement::parse("RENAME TABLE a TO b, e.c TO a", &mysql()).unwrap();
    let names = ["a", "b"].map(|t| TableName::new("d", t));
    let expected = [&names[0], &names[1], &TableName::new("e", "c"), &names[0]];
    assert_eq!(statement.objects(), expected);
}
