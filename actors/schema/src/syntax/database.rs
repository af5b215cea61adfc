//! `SHOW CREATE DATABASE`.

use super::cursor::Cursor;
use crate::{DatabaseDefinition, SchemaError};

impl DatabaseDefinition {
    /// Reads what `SHOW CREATE DATABASE` of MySQL or MariaDB prints.
    ///
    /// # Errors
    /// Names the first construct that is not known and where it is.
    pub fn parse(source: &str) -> Result<Self, SchemaError> {
        let mut c = Cursor::new(source)?;
        c.expect("CREATE DATABASE")?;
        let name = c.name()?;
        let mut database = Self {
            name,
            charset: None,
            collation: None,
            comment: String::new(),
            encrypted: false,
        };
        while !c.is_end() {
            c.accept("DEFAULT");
            if c.accept("CHARACTER SET") {
                c.accept_symbol("=");
                database.charset = Some(c.name()?);
            } else if c.accept("COLLATE") {
                c.accept_symbol("=");
                database.collation = Some(c.name()?);
            } else if c.accept("ENCRYPTION") {
                c.accept_symbol("=");
                database.encrypted = c.text()?.eq_ignore_ascii_case("Y");
            } else if c.accept("COMMENT") {
                c.accept_symbol("=");
                database.comment = c.text()?;
            } else {
                return c.refuse("an option of a database");
            }
        }
        Ok(database)
    }
}
