//! What a statement logged as text may have changed.

use std::collections::BTreeSet;

use oms_core::TableMap;

use super::tokens::{Token, tokenize};

/// The names a statement is compared with. Without regard to case, because a server that folds
/// names logs statements as they were typed.
#[derive(Debug)]
pub(crate) struct ProjectNames {
    tables: BTreeSet<(String, String)>,
    databases: BTreeSet<String>,
    /// A database of which rows are followed, while definitions in it mean nothing.
    marks: Option<&'static str>,
}

/// What a statement means for the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It frames or divides a transaction.
    Framing,
    /// It undoes part of a transaction.
    PartialRollback,
    /// It changed nothing of the project.
    Other,
    /// It changed, or may have changed, the definition of something of the project.
    Definition,
    /// It changed, or may have changed, rows of the project.
    Rows,
}

impl ProjectNames {
    pub(crate) fn new(tables: &TableMap) -> Self {
        let tables: BTreeSet<_> = tables
            .iter()
            .map(|t| (t.name.database.to_lowercase(), t.name.table.to_lowercase()))
            .collect();
        let databases = tables.iter().map(|(d, _)| d.clone()).collect();
        Self {
            tables,
            databases,
            marks: None,
        }
    }

    /// The same, where rows of this database matter as much: a change of them that is logged as text is one that cannot be read.
    pub(crate) fn with_marks(mut self, database: &'static str) -> Self {
        self.marks = Some(database);
        self
    }

    /// Whether rows in a database of this name matter.
    fn has_rows_in(&self, name: &str) -> bool {
        self.has_database(name) || self.marks.is_some_and(|marks| marks.eq_ignore_ascii_case(name))
    }

    fn has_database(&self, name: &str) -> bool {
        name.contains(char::REPLACEMENT_CHARACTER) || self.databases.contains(&name.to_lowercase())
    }

    fn has_table(&self, database: &str, table: &str) -> bool {
        let unreadable = |n: &str| n.contains(char::REPLACEMENT_CHARACTER);
        unreadable(database)
            || unreadable(table)
            || self
                .tables
                .contains(&(database.to_lowercase(), table.to_lowercase()))
    }

    /// Whether a statement may define, change or remove a table or a database of whatever name. Temporary tables
    /// do not count.
    pub(crate) fn may_define_tables(statement: &str) -> bool {
        let Some(tokens) = tokenize(statement) else {
            return true;
        };
        let Some(first) = tokens.first() else { return false };
        let verbs = [
            "CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE", "START", "COMMIT", "ROLLBACK",
        ];
        if !verbs.iter().any(|verb| first.is(verb)) {
            return false;
        }
        let objects = [
            "TABLE", "TABLES", "DATABASE", "SCHEMA", "INDEX", "VIEW", "SEQUENCE",
        ];
        let named = first.is("TRUNCATE") || tokens.iter().take(12).any(|t| objects.iter().any(|o| t.is(o)));
        named && !tokens.iter().take(4).any(|t| t.is("TEMPORARY"))
    }

    /// Whether a statement creates a table that is not temporary.
    pub(crate) fn creates_table(statement: &str) -> bool {
        let Some(tokens) = tokenize(statement) else {
            return false;
        };
        tokens.first().is_some_and(|t| t.is("CREATE"))
            && tokens.iter().take(4).any(|t| t.is("TABLE"))
            && !tokens.iter().take(4).any(|t| t.is("TEMPORARY"))
    }

    /// Judges a statement executed with a default database. What is not understood counts as a
    /// change of a definition.
    pub(crate) fn judge(&self, database: &str, statement: &str) -> Meaning {
        let Some(tokens) = tokenize(statement) else {
            return Meaning::Definition;
        };
        let mut tokens = tokens.as_slice();
        // MariaDB logs a long ALTER as two statements, which begin with what they are.
        if let [a, b, Token::Word(n), rest @ ..] = tokens
            && (a.is("START") || a.is("COMMIT") || a.is("ROLLBACK"))
            && b.is("ALTER")
            && n.bytes().all(|d| d.is_ascii_digit())
        {
            tokens = rest;
        }
        Judge {
            names: self,
            database,
            tokens,
        }
        .judge()
    }
}

struct Judge<'a> {
    names: &'a ProjectNames,
    database: &'a str,
    tokens: &'a [Token],
}

impl Judge<'_> {
    fn judge(mut self) -> Meaning {
        let Some(Token::Word(verb)) = self.tokens.first() else {
            return match self.tokens {
                [] => Meaning::Other,
                [Token::Symbol('('), ..] => self.rows(),
                _ => Meaning::Definition,
            };
        };
        let verb = verb.to_ascii_uppercase();
        self.skip(1);
        match verb.as_str() {
            "BEGIN" | "COMMIT" | "SAVEPOINT" | "RELEASE" | "XA" => Meaning::Framing,
            "START" => Meaning::Framing,
            "ROLLBACK" if self.tokens.iter().any(|t| t.is("TO")) => Meaning::PartialRollback,
            "ROLLBACK" => Meaning::Framing,
            "INSERT" | "REPLACE" => self.insert(),
            "UPDATE" | "DELETE" | "LOAD" | "WITH" | "SELECT" | "DO" | "CALL" | "TABLE" | "VALUES"
            | "HANDLER" | "EXECUTE" => self.rows(),
            "CREATE" => self.create(),
            "ALTER" => self.alter(),
            "DROP" => self.drop_statement(),
            "TRUNCATE" => {
                self.skip_word("TABLE");
                self.tables(1)
            }
            "RENAME" if self.next_is("USER") => Meaning::Other,
            "RENAME" => {
                if !self.skip_word("TABLE") && !self.skip_word("TABLES") {
                    return Meaning::Definition;
                }
                self.any_table()
            }
            "GRANT" | "REVOKE" | "SET" | "FLUSH" | "ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK"
            | "CHECKSUM" | "INSTALL" | "UNINSTALL" | "PURGE" | "RESET" | "CHANGE" | "USE" | "CLONE"
            | "BINLOG" | "CACHE" => Meaning::Other,
            _ => Meaning::Definition,
        }
    }

    fn next_is(&self, keyword: &str) -> bool {
        self.tokens.first().is_some_and(|t| t.is(keyword))
    }

    fn skip(&mut self, n: usize) {
        self.tokens = self.tokens.get(n..).unwrap_or_default();
    }

    fn skip_word(&mut self, keyword: &str) -> bool {
        let found = self.next_is(keyword);
        if found {
            self.skip(1);
        }
        found
    }

    fn skip_if_exists(&mut self) {
        if self.skip_word("IF") {
            self.skip_word("NOT");
            self.skip_word("EXISTS");
        }
    }

    /// A name with or without database.
    fn qualified(&mut self) -> Option<(String, String)> {
        let first = self.tokens.first()?.name()?.to_owned();
        if let [_, Token::Symbol('.'), second, ..] = self.tokens {
            let second = second.name()?.to_owned();
            self.skip(3);
            return Some((first, second));
        }
        self.skip(1);
        Some((self.database.to_owned(), first))
    }

    /// Judges a list of at most `limit` tables.
    fn tables(&mut self, limit: usize) -> Meaning {
        for _ in 0..limit {
            match self.qualified() {
                Some((database, table)) if !self.names.has_table(&database, &table) => {}
                _ => return Meaning::Definition,
            }
            match self.tokens.first() {
                Some(Token::Symbol(',')) => self.skip(1),
                _ => return Meaning::Other,
            }
        }
        Meaning::Other
    }

    /// Whether any name in the rest could be a table of the project.
    fn any_table(&mut self) -> Meaning {
        while !self.tokens.is_empty() {
            let before = self.tokens.len();
            if let Some((database, table)) = self.qualified()
                && self.names.has_table(&database, &table)
            {
                return Meaning::Definition;
            }
            if self.tokens.len() == before {
                self.skip(1);
            }
        }
        Meaning::Other
    }

    fn create(&mut self) -> Meaning {
        if self.skip_word("OR") {
            self.skip_word("REPLACE");
        }
        let temporary = self.skip_word("TEMPORARY");
        if self.skip_word("TABLE") {
            self.skip_if_exists();
            return if temporary { Meaning::Other } else { self.tables(1) };
        }
        self.index_or_other()
    }

    /// `… INDEX name ON table`, or something that is no table.
    fn index_or_other(&mut self) -> Meaning {
        // Words that may stand before INDEX.
        let is_index = self.tokens.iter().take(4).any(|t| t.is("INDEX"));
        if !is_index {
            return Meaning::Other;
        }
        match self.tokens.iter().position(|t| t.is("ON")) {
            Some(at) => {
                self.skip(at + 1);
                self.tables(1)
            }
            None => Meaning::Definition,
        }
    }

    fn alter(&mut self) -> Meaning {
        while self.skip_word("ONLINE") || self.skip_word("OFFLINE") || self.skip_word("IGNORE") {}
        if self.skip_word("TABLE") {
            self.skip_if_exists();
            let Some((database, table)) = self.qualified() else {
                return Meaning::Definition;
            };
            if self.names.has_table(&database, &table) {
                return Meaning::Definition;
            }
            // Another table may take the name or the content of one of the project.
            let touches_others = |t: &Token| t.is("RENAME") || t.is("EXCHANGE");
            return match self.tokens.iter().position(touches_others) {
                Some(at) => {
                    self.skip(at + 1);
                    self.any_table()
                }
                None => Meaning::Other,
            };
        }
        if self.skip_word("DATABASE") || self.skip_word("SCHEMA") {
            return self.database_statement();
        }
        Meaning::Other
    }

    fn database_statement(&mut self) -> Meaning {
        self.skip_if_exists();
        // ALTER DATABASE without a name means the default one: its options follow at once.
        let named = self.tokens.first().and_then(Token::name);
        let concerns = named.is_none_or(|name| self.names.has_database(name))
            || self.names.has_database(self.database) && {
                let option = [
                    "DEFAULT",
                    "CHARACTER",
                    "CHARSET",
                    "COLLATE",
                    "ENCRYPTION",
                    "READ",
                    "COMMENT",
                ];
                option.iter().any(|o| self.next_is(o))
            };
        if concerns {
            Meaning::Definition
        } else {
            Meaning::Other
        }
    }

    fn drop_statement(&mut self) -> Meaning {
        if self.skip_word("TEMPORARY") {
            return Meaning::Other;
        }
        if self.skip_word("TABLE") || self.skip_word("TABLES") {
            self.skip_if_exists();
            return self.tables(usize::MAX);
        }
        if self.skip_word("DATABASE") || self.skip_word("SCHEMA") {
            return self.database_statement();
        }
        self.index_or_other()
    }

    fn insert(&mut self) -> Meaning {
        let modifiers = ["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"];
        while modifiers.iter().any(|m| self.skip_word(m)) {}
        match self.qualified() {
            Some((database, _)) if !self.names.has_rows_in(&database) => {
                // Its own target is elsewhere; what it reads may be in a project database.
                Meaning::Other
            }
            _ => Meaning::Rows,
        }
    }

    /// A statement that may change rows anywhere it names a database, or in the default one.
    fn rows(&self) -> Meaning {
        let names = |t: &Token| t.name().is_some_and(|n| self.names.has_rows_in(n));
        if self.names.has_rows_in(self.database) || self.tokens.iter().any(names) {
            Meaning::Rows
        } else {
            Meaning::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use oms_core::{TableName, TableSchema};

    use super::*;

    fn judge(database: &str, statement: &str) -> Meaning {
        let table = |d: &str, t: &str| {
            Arc::new(TableSchema {
                name: TableName::new(d, t),
                engine: "InnoDB".into(),
                columns: Vec::new(),
                keys: Vec::new(),
                estimated_rows: 0,
                estimated_bytes: 0,
            })
        };
        let map = TableMap::new(vec![table("d", "t"), table("d", "we.ird `x"), table("e", "u")]);
        ProjectNames::new(&map).judge(database, statement)
    }

    #[test]
    fn definitions_of_project_tables() {
        for statement in [
            "alter table t add column x int",
            "ALTER ONLINE TABLE `d`.`t` DROP COLUMN y",
            "/* c */ DROP TABLE IF EXISTS `x`, `T` /* generated by server */",
            "DROP TABLE `we.ird ``x`",
            "TRUNCATE t",
            "TRUNCATE TABLE e.u",
            "RENAME TABLE x TO y, t TO z",
            "RENAME TABLE x TO t",
            "ALTER TABLE x RENAME TO t",
            "ALTER TABLE x EXCHANGE PARTITION p WITH TABLE d.t",
            "CREATE TABLE t (a int)",
            "CREATE OR REPLACE TABLE d.t (a int)",
            "CREATE UNIQUE INDEX i ON t (a)",
            "CREATE FULLTEXT INDEX i USING BTREE ON `d`.`t` (a)",
            "DROP INDEX i ON t",
            "DROP DATABASE IF EXISTS d",
            "ALTER DATABASE CHARACTER SET utf8mb4",
            "/*!40000 ALTER TABLE t DISABLE KEYS */",
            "START ALTER 12 ALTER TABLE t ADD y int",
            "SOMETHING new",
            "DROP TABLE 'unclosed",
            "",
        ]
        .iter()
        .filter(|s| !s.is_empty())
        {
            assert_eq!(judge("d", statement), Meaning::Definition, "{statement}");
        }
    }

    #[test]
    fn other_objects_are_passed_over() {
        for statement in [
            "alter table other add column x int",
            "DROP TABLE `x`.`t`",
            "CREATE TABLE other SELECT * FROM t",
            "CREATE TEMPORARY TABLE t (a int)",
            "DROP TEMPORARY TABLE IF EXISTS `t`",
            "CREATE INDEX i ON other (t)",
            "CREATE DEFINER=`a`@`b` TRIGGER t BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
            "CREATE VIEW t2 AS SELECT * FROM t",
            "GRANT ALL ON d.t TO x",
            "ANALYZE TABLE t",
            "DROP DATABASE other",
            "CREATE DATABASE d",
            "ALTER TABLE other COMMENT 'RENAME TO t'",
            "",
        ] {
            assert_eq!(judge("d", statement), Meaning::Other, "{statement}");
        }
        assert_eq!(judge("elsewhere", "DROP TABLE t"), Meaning::Other);
    }

    #[test]
    fn rows_as_text() {
        for (database, statement) in [
            ("d", "INSERT INTO t VALUES (1)"),
            ("d", "insert ignore into `d`.x select 1"),
            ("x", "UPDATE d.t SET a = 1"),
            ("d", "DELETE FROM anything"),
            ("d", "LOAD DATA LOCAL INFILE '' INTO TABLE `t`"),
            ("x", "REPLACE e.u VALUES (1)"),
            ("d", "SELECT `d`.`f`()"),
        ] {
            assert_eq!(judge(database, statement), Meaning::Rows, "{statement}");
        }
        assert_eq!(
            judge("d", "REPLACE INTO percona.heartbeat VALUES (1)"),
            Meaning::Other
        );
        assert_eq!(judge("x", "UPDATE y.z SET a = 'd'"), Meaning::Other);
    }

    #[test]
    fn marks_that_are_logged_as_text_are_rows_and_their_definitions_are_not() {
        let names = ProjectNames::new(&TableMap::default()).with_marks("omsnode_meta");
        for (database, statement) in [
            ("x", "UPDATE `omsnode_meta`.`fence_v1` SET turn=2 WHERE lane=0"),
            ("omsnode_meta", "UPDATE x.t SET a = 1"),
            ("x", "INSERT INTO OMSNODE_META.fence_v1 VALUES (1)"),
        ] {
            assert_eq!(names.judge(database, statement), Meaning::Rows, "{statement}");
        }
        for statement in [
            "CREATE TABLE IF NOT EXISTS `omsnode_meta`.`fence_v1` (a int)",
            "CREATE DATABASE IF NOT EXISTS omsnode_meta",
            "DROP DATABASE omsnode_meta",
            "DROP TABLE omsnode_meta.fence_v1",
        ] {
            assert_eq!(
                names.judge("omsnode_meta", statement),
                Meaning::Other,
                "{statement}"
            );
        }
    }

    #[test]
    fn frames() {
        for statement in [
            "BEGIN",
            "COMMIT",
            "SAVEPOINT `a`",
            "XA START X'01',X'',1",
            "ROLLBACK",
        ] {
            assert_eq!(judge("d", statement), Meaning::Framing, "{statement}");
        }
        assert_eq!(judge("d", "ROLLBACK TO `a`"), Meaning::PartialRollback);
    }
}
