//! CREATE VIEW and ALTER VIEW.

use super::{Reader, Result};
use crate::{CreateView, DdlStatement, ViewDefinition, syntax::view::split_check};

impl Reader<'_> {
    pub(super) fn view(&mut self, or_replace: bool, alter: bool) -> Result<DdlStatement> {
        let (mut algorithm, mut definer, mut invoker) = (None, None, false);
        loop {
            if self.c.accept("ALGORITHM") {
                self.c.expect_symbol("=")?;
                algorithm = Some(self.plain_word()?.to_ascii_uppercase());
            } else if self.c.accept("DEFINER") {
                self.c.expect_symbol("=")?;
                definer = Some(self.account()?);
            } else if self.c.accept("SQL SECURITY") {
                invoker = self.c.accept("INVOKER");
                if !invoker {
                    self.c.expect("DEFINER")?;
                }
            } else {
                break;
            }
        }
        if !self.c.accept("VIEW") {
            return self.c.refuse("a kind of object");
        }
        let if_not_exists = self.if_not_exists();
        let name = self.table_name()?;
        let columns = if self.c.is_symbol(0, "(") {
            self.c.names_in_parentheses()?
        } else {
            Vec::new()
        };
        self.c.expect("AS")?;
        let mark = self.c.mark();
        while !(self.c.is_end() || self.c.is_symbol(0, ";")) {
            self.c.advance();
        }
        let (body, check) = split_check(&self.c.text_from(mark))?;
        if body.is_empty() {
            return self.c.refuse("a query");
        }
        let definition = ViewDefinition {
            name: name.table.clone(),
            algorithm,
            definer,
            invoker,
            columns,
            body,
            check,
        };
        Ok(DdlStatement::CreateView(CreateView {
            name,
            or_replace,
            if_not_exists,
            alter,
            definition,
        }))
    }

    /// `user@host`, `'user'@'host'`, `CURRENT_USER()`.
    fn account(&mut self) -> Result<String> {
        let user = match self.c.text() {
            Ok(text) => text,
            Err(_) => self.c.name()?,
        };
        if self.c.accept_symbol("(") {
            self.c.expect_symbol(")")?;
            return Ok(user);
        }
        if !self.c.accept_symbol("@") {
            return Ok(user);
        }
        let host = match self.c.text() {
            Ok(text) => text,
            Err(_) => {
                let mark = self.c.mark();
                self.c.name()?;
                // An unquoted host goes on with dots.
                while self.c.accept_symbol(".") {
                    self.c.name()?;
                }
                self.c.text_from(mark).replace('`', "")
            }
        };
        Ok(format!("{user}@{host}"))
    }
}
