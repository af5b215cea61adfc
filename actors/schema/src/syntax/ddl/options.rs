//! Options of tables.

use super::{Reader, Result};
use crate::{
    TableOption,
    syntax::{options, quote, table::option_value, token::TokenKind},
};

impl Reader<'_> {
    /// An option of a table, if one begins here.
    pub(super) fn table_option(&mut self) -> Result<Option<TableOption>> {
        if self.c.accept("WITH SYSTEM VERSIONING") {
            return Ok(Some(TableOption::SystemVersioning));
        }
        if let TokenKind::Quoted(name) = self.c.peek().kind.clone() {
            if !options::is_engine_defined(&name) {
                return Ok(None);
            }
            self.c.advance();
            return self.storage(quote::identifier(&name)).map(Some);
        }
        let is_default = self.c.is_word(0, "DEFAULT");
        if is_default {
            self.c.advance();
        }
        if self.accept_charset() {
            self.c.accept_symbol("=");
            return Ok(Some(TableOption::Charset(self.charset_name()?)));
        }
        if self.c.accept("COLLATE") {
            self.c.accept_symbol("=");
            return Ok(Some(TableOption::Collation(self.charset_name()?)));
        }
        if is_default {
            return self.c.refuse("CHARACTER SET or COLLATE");
        }
        if self.c.accept("ENGINE") || self.c.accept("STORAGE ENGINE") || self.c.accept("TYPE") {
            self.c.accept_symbol("=");
            let engine = match self.c.text() {
                Ok(text) => text,
                Err(_) => self.c.name()?,
            };
            return Ok(Some(TableOption::Engine(engine)));
        }
        if self.c.accept("AUTO_INCREMENT") {
            self.c.accept_symbol("=");
            return Ok(Some(TableOption::AutoIncrement(self.c.integer()?)));
        }
        if self.c.accept("COMMENT") {
            self.c.accept_symbol("=");
            return Ok(Some(TableOption::Comment(self.c.text()?)));
        }
        if self.c.accept("UNION") {
            self.c.accept_symbol("=");
            let value = format!("({})", self.c.parenthesized()?);
            return Ok(Some(TableOption::Storage("UNION".to_owned(), value)));
        }
        for name in options::STORAGE.iter().chain(options::STORAGE_WRITTEN) {
            if self.c.accept(name) {
                return self.storage((*name).to_owned()).map(Some);
            }
        }
        match self.c.peek().kind.clone() {
            TokenKind::Word(name) if options::is_engine_defined(&name) => {
                self.c.advance();
                self.storage(quote::identifier(&name)).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn storage(&mut self, name: String) -> Result<TableOption> {
        self.c.accept_symbol("=");
        let value = option_value(&mut self.c)?;
        Ok(TableOption::Storage(name, value))
    }
}
