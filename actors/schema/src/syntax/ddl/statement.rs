//! Which statement it is, and the short ones.

use super::{Reader, Result};
use crate::{AlterClause, AlterTable, DatabaseOptions, DdlStatement, IndexKind};

impl Reader<'_> {
    pub(super) fn statement(&mut self) -> Result<DdlStatement> {
        if self.c.accept("CREATE") {
            return self.create();
        }
        if self.c.accept("ALTER") {
            return self.alter();
        }
        if self.c.accept("DROP") {
            return self.drop();
        }
        if self.c.accept("RENAME TABLES") || self.c.accept("RENAME TABLE") {
            return self.rename();
        }
        if self.c.accept("TRUNCATE") {
            self.c.accept("TABLE");
            let table = self.table_name()?;
            self.wait()?;
            return Ok(DdlStatement::TruncateTable { table });
        }
        self.c.refuse("a statement")
    }

    fn create(&mut self) -> Result<DdlStatement> {
        let or_replace = self.c.accept("OR REPLACE");
        let temporary = self.c.accept("TEMPORARY");
        if self.c.accept("TABLE") {
            return self.create_table(or_replace, temporary);
        }
        if temporary && !self.c.is_word(0, "SEQUENCE") {
            return self.c.refuse("TABLE");
        }
        if self.c.accept("DATABASE") || self.c.accept("SCHEMA") {
            let if_not_exists = self.if_not_exists();
            let name = self.object_name()?;
            let options = self.database_options()?;
            return Ok(DdlStatement::CreateDatabase {
                name,
                if_not_exists,
                or_replace,
                options,
            });
        }
        if self.c.accept("SEQUENCE") {
            self.if_not_exists();
            return self.sequence("CREATE");
        }
        if self.is_index() {
            return self.create_index(or_replace);
        }
        self.view(or_replace, false)
    }

    /// `[ONLINE|OFFLINE] [UNIQUE|FULLTEXT|SPATIAL] INDEX` follows.
    fn is_index(&self) -> bool {
        let online = usize::from(self.c.is_word(0, "ONLINE") || self.c.is_word(0, "OFFLINE"));
        let kind = ["UNIQUE", "FULLTEXT", "SPATIAL"]
            .iter()
            .any(|k| self.c.is_word(online, k));
        self.c.is_word(online + usize::from(kind), "INDEX")
    }

    fn create_index(&mut self, or_replace: bool) -> Result<DdlStatement> {
        let _ = self.c.accept("ONLINE") || self.c.accept("OFFLINE");
        let kind = if self.c.accept("UNIQUE") {
            IndexKind::Unique
        } else if self.c.accept("FULLTEXT") {
            IndexKind::FullText
        } else if self.c.accept("SPATIAL") {
            IndexKind::Spatial
        } else {
            IndexKind::Plain
        };
        self.c.expect("INDEX")?;
        let if_not_exists = self.if_not_exists();
        let mut index = super::key::empty(kind, self.c.name()?);
        self.index_type(&mut index)?;
        self.c.expect("ON")?;
        let table = self.table_name()?;
        self.wait()?;
        self.key_parts(&mut index)?;
        self.index_options(&mut index)?;
        self.lock_options()?;
        Ok(DdlStatement::CreateIndex {
            table,
            index,
            if_not_exists,
            or_replace,
        })
    }

    /// `ALGORITHM` and `LOCK` behind CREATE INDEX and DROP INDEX.
    fn lock_options(&mut self) -> Result<()> {
        while self.c.accept("ALGORITHM") || self.c.accept("LOCK") {
            self.c.accept_symbol("=");
            self.c.name()?;
        }
        self.wait()
    }

    fn alter(&mut self) -> Result<DdlStatement> {
        if self.c.accept("DATABASE") || self.c.accept("SCHEMA") {
            return self.alter_database();
        }
        if self.c.accept("SEQUENCE") {
            self.if_exists();
            return self.sequence("ALTER");
        }
        let _ = self.c.accept("ONLINE") || self.c.accept("OFFLINE");
        self.c.accept("IGNORE");
        if !self.c.accept("TABLE") {
            return self.view(false, true);
        }
        let if_exists = self.if_exists();
        let table = self.table_name()?;
        self.wait()?;
        let mut clauses: Vec<AlterClause> = Vec::new();
        self.alter_clauses(&mut clauses)?;
        Ok(DdlStatement::AlterTable(AlterTable {
            table,
            if_exists,
            clauses,
        }))
    }

    fn alter_database(&mut self) -> Result<DdlStatement> {
        let is_options = [
            "DEFAULT",
            "CHARACTER",
            "CHARSET",
            "COLLATE",
            "COMMENT",
            "ENCRYPTION",
            "READ",
        ]
        .iter()
        .any(|w| self.c.is_word(0, w));
        let name = match (&self.context.database, is_options) {
            (Some(database), true) => database.clone(),
            _ => self.object_name()?,
        };
        if self.c.is_word(0, "UPGRADE") {
            return self.c.refuse("an option of a database");
        }
        let options = self.database_options()?;
        Ok(DdlStatement::AlterDatabase { name, options })
    }

    fn database_options(&mut self) -> Result<DatabaseOptions> {
        let mut options = DatabaseOptions::default();
        while !(self.c.is_end() || self.c.is_symbol(0, ";")) {
            self.c.accept("DEFAULT");
            if self.accept_charset() {
                self.c.accept_symbol("=");
                options.charset = Some(self.charset_name()?);
            } else if self.c.accept("COLLATE") {
                self.c.accept_symbol("=");
                options.collation = Some(self.charset_name()?);
            } else if self.c.accept("COMMENT") {
                self.c.accept_symbol("=");
                options.comment = Some(self.c.text()?);
            } else if self.c.accept("ENCRYPTION") {
                self.c.accept_symbol("=");
                options.encrypted = Some(self.c.text()?.eq_ignore_ascii_case("Y"));
            } else if self.c.accept("READ ONLY") {
                self.c.accept_symbol("=");
                options.read_only = if self.c.accept("DEFAULT") {
                    Some(false)
                } else {
                    Some(self.c.integer::<u8>()? != 0)
                };
            } else {
                return self.c.refuse("an option of a database");
            }
        }
        Ok(options)
    }

    /// The names, and the rest as it may be.
    fn sequence(&mut self, verb: &str) -> Result<DdlStatement> {
        let names = self.table_names()?;
        while !self.c.is_end() {
            self.c.advance();
        }
        Ok(DdlStatement::Sequence {
            verb: verb.to_owned(),
            names,
        })
    }

    fn drop(&mut self) -> Result<DdlStatement> {
        let temporary = self.c.accept("TEMPORARY");
        if self.c.accept("TABLES") || self.c.accept("TABLE") {
            let if_exists = self.if_exists();
            let tables = self.table_names()?;
            self.wait()?;
            let _ = self.c.accept("RESTRICT") || self.c.accept("CASCADE");
            return Ok(DdlStatement::DropTable {
                tables,
                temporary,
                if_exists,
            });
        }
        if self.c.accept("SEQUENCE") {
            self.if_exists();
            return self.sequence("DROP");
        }
        if temporary {
            return self.c.refuse("TABLE");
        }
        if self.c.accept("DATABASE") || self.c.accept("SCHEMA") {
            let if_exists = self.if_exists();
            let name = self.object_name()?;
            return Ok(DdlStatement::DropDatabase { name, if_exists });
        }
        if self.c.accept("VIEW") || self.c.accept("VIEWS") {
            let if_exists = self.if_exists();
            let views = self.table_names()?;
            let _ = self.c.accept("RESTRICT") || self.c.accept("CASCADE");
            return Ok(DdlStatement::DropView { views, if_exists });
        }
        let _ = self.c.accept("ONLINE") || self.c.accept("OFFLINE");
        if self.c.accept("INDEX") {
            let if_exists = self.if_exists();
            let name = self.c.name()?;
            self.c.expect("ON")?;
            let table = self.table_name()?;
            self.wait()?;
            self.lock_options()?;
            return Ok(DdlStatement::DropIndex {
                table,
                name,
                if_exists,
            });
        }
        self.c.refuse("a kind of object")
    }

    fn rename(&mut self) -> Result<DdlStatement> {
        let if_exists = self.if_exists();
        let mut pairs = Vec::new();
        loop {
            let from = self.table_name()?;
            self.wait()?;
            self.c.expect("TO")?;
            pairs.push((from, self.table_name()?));
            if !self.c.accept_symbol(",") {
                return Ok(DdlStatement::RenameTable { pairs, if_exists });
            }
        }
    }
}
