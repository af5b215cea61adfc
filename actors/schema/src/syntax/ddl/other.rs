//! Statements of which only the kind matters.

use super::Reader;
use crate::{OtherKind, OtherStatement};

/// First words and what the statement is about. `*` stands for any word.
const KINDS: &[(&str, OtherKind)] = &[
    ("GRANT", OtherKind::Account),
    ("REVOKE", OtherKind::Account),
    ("CREATE USER", OtherKind::Account),
    ("ALTER USER", OtherKind::Account),
    ("DROP USER", OtherKind::Account),
    ("RENAME USER", OtherKind::Account),
    ("CREATE ROLE", OtherKind::Account),
    ("DROP ROLE", OtherKind::Account),
    ("SET PASSWORD", OtherKind::Account),
    ("SET ROLE", OtherKind::Account),
    ("SET DEFAULT ROLE", OtherKind::Account),
    ("ALTER FUNCTION", OtherKind::Routine),
    ("DROP FUNCTION", OtherKind::Routine),
    ("ALTER PROCEDURE", OtherKind::Routine),
    ("DROP PROCEDURE", OtherKind::Routine),
    ("DROP PACKAGE", OtherKind::Routine),
    ("ALTER LIBRARY", OtherKind::Routine),
    ("DROP LIBRARY", OtherKind::Routine),
    ("DROP TRIGGER", OtherKind::Trigger),
    ("DROP EVENT", OtherKind::Event),
    ("CREATE SERVER", OtherKind::Server),
    ("ALTER SERVER", OtherKind::Server),
    ("DROP SERVER", OtherKind::Server),
    ("CREATE TABLESPACE", OtherKind::Server),
    ("ALTER TABLESPACE", OtherKind::Server),
    ("DROP TABLESPACE", OtherKind::Server),
    ("CREATE UNDO TABLESPACE", OtherKind::Server),
    ("ALTER UNDO TABLESPACE", OtherKind::Server),
    ("DROP UNDO TABLESPACE", OtherKind::Server),
    ("CREATE LOGFILE GROUP", OtherKind::Server),
    ("ALTER LOGFILE GROUP", OtherKind::Server),
    ("DROP LOGFILE GROUP", OtherKind::Server),
    ("CREATE RESOURCE GROUP", OtherKind::Server),
    ("ALTER RESOURCE GROUP", OtherKind::Server),
    ("DROP RESOURCE GROUP", OtherKind::Server),
    ("CREATE SPATIAL REFERENCE SYSTEM", OtherKind::Server),
    ("DROP SPATIAL REFERENCE SYSTEM", OtherKind::Server),
    ("ALTER INSTANCE", OtherKind::Server),
    ("INSTALL", OtherKind::Server),
    ("UNINSTALL", OtherKind::Server),
    ("CHANGE MASTER", OtherKind::Server),
    ("CHANGE REPLICATION", OtherKind::Server),
    ("START SLAVE", OtherKind::Server),
    ("STOP SLAVE", OtherKind::Server),
    ("START REPLICA", OtherKind::Server),
    ("STOP REPLICA", OtherKind::Server),
    ("SHUTDOWN", OtherKind::Server),
    ("RESTART", OtherKind::Server),
    ("KILL", OtherKind::Server),
    ("SET", OtherKind::Setting),
    ("USE", OtherKind::Setting),
    ("ANALYZE", OtherKind::Maintenance),
    ("OPTIMIZE", OtherKind::Maintenance),
    ("REPAIR", OtherKind::Maintenance),
    ("CHECK", OtherKind::Maintenance),
    ("CHECKSUM", OtherKind::Maintenance),
    ("FLUSH", OtherKind::Maintenance),
    ("RESET", OtherKind::Maintenance),
    ("PURGE", OtherKind::Maintenance),
    ("CACHE INDEX", OtherKind::Maintenance),
    ("LOAD INDEX", OtherKind::Maintenance),
    ("LOCK", OtherKind::Maintenance),
    ("UNLOCK", OtherKind::Maintenance),
    ("BACKUP", OtherKind::Maintenance),
    ("BINLOG", OtherKind::Rows),
    ("BEGIN", OtherKind::Transaction),
    ("START TRANSACTION", OtherKind::Transaction),
    ("COMMIT", OtherKind::Transaction),
    ("ROLLBACK", OtherKind::Transaction),
    ("SAVEPOINT", OtherKind::Transaction),
    ("RELEASE SAVEPOINT", OtherKind::Transaction),
    ("XA", OtherKind::Transaction),
    ("INSERT", OtherKind::Rows),
    ("UPDATE", OtherKind::Rows),
    ("DELETE", OtherKind::Rows),
    ("REPLACE", OtherKind::Rows),
    ("LOAD DATA", OtherKind::Rows),
    ("LOAD XML", OtherKind::Rows),
    ("CALL", OtherKind::Rows),
    ("DO", OtherKind::Rows),
    ("EXECUTE", OtherKind::Rows),
    ("IMPORT TABLE", OtherKind::Rows),
    ("SELECT", OtherKind::Query),
    ("SHOW", OtherKind::Query),
    ("DESCRIBE", OtherKind::Query),
    ("DESC", OtherKind::Query),
    ("EXPLAIN", OtherKind::Query),
    ("HELP", OtherKind::Query),
];

/// What may stand behind CREATE or ALTER with its attributes.
const DEFINED: &[(&str, OtherKind)] = &[
    ("AGGREGATE FUNCTION", OtherKind::Routine),
    ("FUNCTION", OtherKind::Routine),
    ("PROCEDURE", OtherKind::Routine),
    ("PACKAGE", OtherKind::Routine),
    ("LIBRARY", OtherKind::Routine),
    ("TRIGGER", OtherKind::Trigger),
    ("EVENT", OtherKind::Event),
    ("USER", OtherKind::Account),
    ("ROLE", OtherKind::Account),
    ("SERVER", OtherKind::Server),
    ("SPATIAL REFERENCE SYSTEM", OtherKind::Server),
];

impl Reader<'_> {
    /// The statement, if only its kind matters. The place is behind a `SET STATEMENT … FOR`.
    pub(super) fn other(&mut self) -> Option<OtherStatement> {
        if self.c.is_word(0, "SET") && self.c.is_word(1, "STATEMENT") {
            self.set_statement();
        }
        if self.c.is_end() {
            // Only comments, or only what the server did not execute.
            return Some(OtherStatement {
                kind: OtherKind::Query,
                words: String::new(),
            });
        }
        let begins = |reader: &Self, from: usize, words: &str| {
            words
                .split(' ')
                .enumerate()
                .all(|(i, word)| reader.c.is_word(from + i, word))
        };
        let said = |kind, words: &str| {
            let words = words.to_owned();
            Some(OtherStatement { kind, words })
        };
        for (words, kind) in KINDS {
            if begins(self, 0, words) {
                return said(*kind, words);
            }
        }
        let verb = ["CREATE", "ALTER"].into_iter().find(|v| self.c.is_word(0, v))?;
        let at = self.behind_attributes(1);
        DEFINED
            .iter()
            .find(|(words, _)| begins(self, at, words))
            .and_then(|(words, kind)| said(*kind, &format!("{verb} {words}")))
    }

    /// `SET STATEMENT a=1, b=2 FOR statement` of MariaDB: the settings are over with the statement.
    fn set_statement(&mut self) {
        let mark = self.c.mark();
        let mut depth = 0usize;
        while !self.c.is_end() {
            if self.c.is_symbol(0, "(") {
                depth += 1;
            } else if self.c.is_symbol(0, ")") {
                depth = depth.saturating_sub(1);
            } else if depth == 0 && self.c.is_word(0, "FOR") {
                self.c.advance();
                return;
            }
            self.c.advance();
        }
        self.c.back_to(mark);
    }

    /// The token behind OR REPLACE and DEFINER.
    fn behind_attributes(&self, mut at: usize) -> usize {
        if self.c.is_word(at, "OR") && self.c.is_word(at + 1, "REPLACE") {
            at += 2;
        }
        if self.c.is_word(at, "DEFINER") && self.c.is_symbol(at + 1, "=") {
            at += 3;
            let called = self.c.is_symbol(at, "(") && self.c.is_symbol(at + 1, ")");
            if called || self.c.is_symbol(at, "@") {
                at += 2;
            }
        }
        at
    }
}
