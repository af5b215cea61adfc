//! Statements as clients write them.

mod alter;
mod alter_partition;
mod column;
mod create;
mod data_type;
mod default;
mod key;
mod options;
mod other;
mod statement;
mod view;

use oms_core::TableName;

pub(crate) use data_type::tier_of;

use super::{
    cursor::Cursor,
    dialect::{Comments, Dialect},
};
use crate::{DdlStatement, SchemaError, StatementContext};

type Result<T> = std::result::Result<T, SchemaError>;

/// Reads one statement.
pub(crate) fn parse_ddl(source: &str, context: &StatementContext) -> Result<DdlStatement> {
    let dialect = Dialect {
        ansi_quotes: context.ansi_quotes,
        backslash_escapes: !context.no_backslash_escapes,
        comments: Comments::Written {
            flavor: context.flavor,
            version: context.version,
        },
    };
    let (c, error) = Cursor::of_dialect(source, dialect);
    let mut reader = Reader { c, context };
    // What only its first words tell may go on with anything.
    if let Some(other) = reader.other() {
        return Ok(DdlStatement::Other(other));
    }
    if let Some(error) = error {
        return Err(error);
    }
    let statement = reader.statement()?;
    reader.c.accept_symbol(";");
    if !reader.c.is_end() {
        return reader.c.refuse("the end");
    }
    Ok(statement)
}

/// The tokens of a statement and what it was run under.
struct Reader<'a> {
    c: Cursor<'a>,
    context: &'a StatementContext,
}

impl Reader<'_> {
    /// Names of databases and tables.
    fn object_name(&mut self) -> Result<String> {
        let name = self.c.name()?;
        Ok(if self.context.lower_case_names {
            name.to_lowercase()
        } else {
            name
        })
    }

    /// `table` or `database.table`; without a default database the former is refused.
    fn table_name(&mut self) -> Result<TableName> {
        // `.table` is a table of the default database.
        let begins_with_dot = self.c.accept_symbol(".");
        let first = self.object_name()?;
        if !begins_with_dot && self.c.accept_symbol(".") {
            return Ok(TableName::new(first, self.object_name()?));
        }
        match &self.context.database {
            Some(database) if self.context.lower_case_names => {
                Ok(TableName::new(database.to_lowercase(), first))
            }
            Some(database) => Ok(TableName::new(database, first)),
            None => self
                .c
                .refuse("(behind a table, without a default database) a dot"),
        }
    }

    /// One or more tables.
    fn table_names(&mut self) -> Result<Vec<TableName>> {
        let mut list = vec![self.table_name()?];
        while self.c.accept_symbol(",") {
            list.push(self.table_name()?);
        }
        Ok(list)
    }

    /// One or more names of parts of a table.
    fn part_names(&mut self) -> Result<Vec<String>> {
        let mut list = vec![self.c.name()?];
        while self.c.accept_symbol(",") {
            list.push(self.c.name()?);
        }
        Ok(list)
    }

    fn if_not_exists(&mut self) -> bool {
        self.c.accept("IF NOT EXISTS")
    }

    fn if_exists(&mut self) -> bool {
        self.c.accept("IF EXISTS")
    }

    /// `WAIT n` and `NOWAIT` of MariaDB.
    fn wait(&mut self) -> Result<()> {
        if !self.c.accept("NOWAIT") && self.c.accept("WAIT") {
            self.c.integer::<u64>()?;
        }
        Ok(())
    }

    /// A character set or collation by name.
    fn charset_name(&mut self) -> Result<String> {
        if self.c.is_word(0, "DEFAULT") {
            return self.c.refuse("the name of a character set or collation");
        }
        let name = match self.c.text() {
            Ok(text) => text,
            Err(_) => self.c.name()?,
        };
        if !is_plain(&name) {
            return self.c.refuse("(behind such a name) a character set or collation");
        }
        Ok(name.to_ascii_lowercase())
    }

    /// A word of the server's own, as a value of an option.
    fn plain_word(&mut self) -> Result<String> {
        let name = self.c.name()?;
        if !is_plain(&name) {
            return self.c.refuse("(behind such a name) a known word");
        }
        Ok(name)
    }

    /// `CHARACTER SET` in its spellings.
    fn accept_charset(&mut self) -> bool {
        self.c.accept("CHARACTER SET") || self.c.accept("CHARSET") || self.c.accept("CHAR SET")
    }
}

/// Whether a name is one that servers give: character sets, collations, formats.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
