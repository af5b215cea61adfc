//! CREATE TABLE.

use super::{Reader, Result};
use crate::{CreateTable, CreateTableLike, DdlStatement, PeriodDefinition, TableElement, syntax::partition};

impl Reader<'_> {
    pub(super) fn create_table(&mut self, or_replace: bool, temporary: bool) -> Result<DdlStatement> {
        let if_not_exists = self.if_not_exists();
        let table = self.table_name()?;
        let in_parentheses = self.c.is_symbol(0, "(") && self.c.is_word(1, "LIKE");
        if in_parentheses {
            self.c.accept_symbol("(");
        }
        if self.c.accept("LIKE") {
            let like = self.table_name()?;
            if in_parentheses {
                self.c.expect_symbol(")")?;
            }
            return Ok(DdlStatement::CreateTableLike(CreateTableLike {
                table,
                like,
                temporary,
                or_replace,
                if_not_exists,
            }));
        }
        let mut create = CreateTable {
            table,
            temporary,
            or_replace,
            if_not_exists,
            elements: Vec::new(),
            options: Vec::new(),
            partitioning: None,
            query: None,
        };
        if self.c.is_symbol(0, "(") && !self.is_query(1) {
            self.c.accept_symbol("(");
            loop {
                self.element(&mut create.elements)?;
                if self.c.accept_symbol(")") {
                    break;
                }
                self.c.expect_symbol(",")?;
            }
        }
        loop {
            self.c.accept_symbol(",");
            match self.table_option()? {
                Some(option) => create.options.push(option),
                None => break,
            }
        }
        if self.c.accept("PARTITION BY") {
            create.partitioning = Some(partition::partitioning(&mut self.c)?);
        }
        self.query(&mut create)?;
        if create.elements.is_empty() && create.query.is_none() {
            return self.c.refuse("columns or a query");
        }
        Ok(DdlStatement::CreateTable(create))
    }

    fn is_query(&self, at: usize) -> bool {
        let mut at = at;
        while self.c.is_symbol(at, "(") {
            at += 1;
        }
        ["SELECT", "WITH", "VALUES", "TABLE"]
            .iter()
            .any(|w| self.c.is_word(at, w))
    }

    /// `[IGNORE|REPLACE] [AS] query`, and what MySQL writes instead when the rows follow.
    fn query(&mut self, create: &mut CreateTable) -> Result<()> {
        // The rows of the query follow as rows.
        if self.c.accept("START TRANSACTION") {
            return Ok(());
        }
        let _ = self.c.accept("IGNORE") || self.c.accept("REPLACE");
        let is_as = self.c.accept("AS");
        if !is_as && !self.is_query(0) {
            return Ok(());
        }
        let mark = self.c.mark();
        while !(self.c.is_end() || self.c.is_symbol(0, ";")) {
            self.c.advance();
        }
        let query = self.c.text_from(mark);
        if query.is_empty() {
            return self.c.refuse("a query");
        }
        create.query = Some(query);
        Ok(())
    }

    fn element(&mut self, elements: &mut Vec<TableElement>) -> Result<()> {
        if self.c.is_word(0, "PERIOD") && self.c.is_word(1, "FOR") {
            elements.push(TableElement::Period(self.period()?));
        } else if let Some(constraint) = self.constraint()? {
            elements.push(constraint.element);
        } else {
            elements.push(TableElement::Column(self.column()?));
        }
        Ok(())
    }

    /// `PERIOD FOR name (start, end)`.
    pub(super) fn period(&mut self) -> Result<PeriodDefinition> {
        self.c.expect("PERIOD FOR")?;
        let name = self.c.name()?;
        self.c.expect_symbol("(")?;
        let start = self.c.name()?;
        self.c.expect_symbol(",")?;
        let end = self.c.name()?;
        self.c.expect_symbol(")")?;
        Ok(PeriodDefinition { name, start, end })
    }
}
