//! What is printed is read again, and no text makes the parser panic.

use proptest::{prelude::*, sample::select};

use crate::any_ddl;

/// Pieces of statements, so that random texts come far.
const PIECES: &[&str] = &[
    "CREATE",
    "ALTER",
    "DROP",
    "TABLE",
    "t",
    "`a b`",
    "(",
    ")",
    ",",
    ".",
    "int",
    "varchar(10)",
    "ADD",
    "COLUMN",
    "MODIFY",
    "CHANGE",
    "KEY",
    "UNIQUE",
    "PRIMARY KEY",
    "INDEX",
    "CONSTRAINT",
    "FOREIGN KEY",
    "REFERENCES",
    "CHECK",
    "(a > 1)",
    "DEFAULT",
    "'x'",
    "\"y\"",
    "1",
    "-1.5e3",
    "NULL",
    "NOT NULL",
    "NOW()",
    "COMMENT",
    "AFTER",
    "FIRST",
    "PARTITION BY",
    "RANGE",
    "HASH",
    "(a)",
    "PARTITION",
    "p0",
    "VALUES",
    "IN",
    "LESS THAN",
    "MAXVALUE",
    "RENAME",
    "TO",
    "/*!50100",
    "*/",
    "/* c */",
    "-- d\n",
    "#e\n",
    "AS",
    "SELECT",
    "COLLATE",
    "CHARACTER SET",
    "utf8mb4",
    "订单",
    "1a",
    "0x1F",
    "b'1'",
    "x'",
    "IF EXISTS",
    "IF NOT EXISTS",
    "VIEW",
    "DATABASE",
    "d",
    "LIKE",
    "GENERATED ALWAYS AS",
    "ROW START",
    "ON DELETE",
    "CASCADE",
    ";",
    "=",
    "@",
    "enum('a','b')",
    "AUTO_INCREMENT",
    "ENGINE",
    "InnoDB",
    "WITH",
    "ON",
    "SET",
    "_utf8",
    "N'z'",
    "\\",
    "'",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn pieces_of_statements_are_read_or_refused(pieces in prop::collection::vec(select(PIECES), 0..24)) {
        any_ddl::read(&pieces.join(" "));
        any_ddl::read(&pieces.concat());
    }

    #[test]
    fn clauses_are_read_or_refused(pieces in prop::collection::vec(select(PIECES), 0..12)) {
        any_ddl::read(&format!("ALTER TABLE t ADD a int {}", pieces.join(" ")));
        any_ddl::read(&format!("CREATE TABLE t (a int {}", pieces.join(" ")));
        any_ddl::read(&format!("ALTER TABLE t {}", pieces.join(" ")));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        any_ddl::read(&text);
    }

    #[test]
    fn damaged_statements_are_read_or_refused(
        line in 0usize..200, at in 0usize..300, cut in 0usize..20, piece in select(PIECES),
    ) {
        let lists = [
            include_str!("../statements/common.sql"),
            include_str!("../statements/mysql.sql"),
            include_str!("../statements/mariadb.sql"),
        ];
        let lines: Vec<&str> = lists.iter().flat_map(|l| l.lines()).collect();
        let mut chars: Vec<char> = lines[line % lines.len()].chars().collect();
        let at = at % chars.len();
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, piece.chars());
        any_ddl::read(&chars.into_iter().collect::<String>());
    }
}
