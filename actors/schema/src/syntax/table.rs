//! `SHOW CREATE TABLE`.

use super::{cursor::Cursor, quote, token::TokenKind};
use crate::{
    CheckDefinition, ForeignKeyDefinition, PeriodDefinition, ReferenceAction, SchemaError, TableDefinition,
};

type Result<T> = std::result::Result<T, SchemaError>;

impl TableDefinition {
    /// Reads what `SHOW CREATE TABLE` of MySQL or MariaDB prints, under an SQL mode without
    /// `ANSI_QUOTES`, `NO_BACKSLASH_ESCAPES` and `NO_TABLE_OPTIONS`.
    ///
    /// # Errors
    /// Names the first construct that is not known and where it is.
    pub fn parse(source: &str) -> Result<Self> {
        let mut c = Cursor::new(source)?;
        c.expect("CREATE")?;
        if c.is_word(0, "TEMPORARY") {
            return c.refuse("TABLE");
        }
        c.expect("TABLE")?;
        let mut table = Self {
            name: c.name()?,
            ..Self::default()
        };
        if c.accept_symbol(".") {
            table.name = c.name()?;
        }
        c.expect_symbol("(")?;
        loop {
            element(&mut c, &mut table)?;
            if c.accept_symbol(")") {
                break;
            }
            c.expect_symbol(",")?;
        }
        super::options::table_options(&mut c, &mut table)?;
        if c.accept("PARTITION BY") {
            table.partitioning = Some(super::partition::partitioning(&mut c)?);
        }
        if !c.is_end() {
            return c.refuse("the end");
        }
        Ok(table)
    }
}

fn element(c: &mut Cursor<'_>, table: &mut TableDefinition) -> Result<()> {
    if matches!(c.peek().kind, TokenKind::Quoted(_)) {
        let column = super::column::column(c)?;
        table.columns.push(column);
        return Ok(());
    }
    if c.accept("PERIOD FOR") {
        let name = c.name()?;
        c.expect_symbol("(")?;
        let start = c.name()?;
        c.expect_symbol(",")?;
        let end = c.name()?;
        c.expect_symbol(")")?;
        table.periods.push(PeriodDefinition { name, start, end });
        return Ok(());
    }
    if c.accept("CONSTRAINT") {
        let name = c.name()?;
        if c.accept("FOREIGN KEY") {
            let key = foreign_key(c, name)?;
            table.foreign_keys.push(key);
            return Ok(());
        }
        let check = check(c, Some(name))?;
        table.checks.push(check);
        return Ok(());
    }
    if c.is_word(0, "CHECK") {
        let check = check(c, None)?;
        table.checks.push(check);
        return Ok(());
    }
    let index = super::index::index(c)?;
    table.indexes.push(index);
    Ok(())
}

fn check(c: &mut Cursor<'_>, name: Option<String>) -> Result<CheckDefinition> {
    c.expect("CHECK")?;
    let expression = super::unwrap_parentheses(&c.parenthesized()?);
    let enforced = if c.accept("NOT ENFORCED") {
        false
    } else {
        c.accept("ENFORCED");
        true
    };
    Ok(CheckDefinition {
        name,
        expression,
        enforced,
    })
}

fn foreign_key(c: &mut Cursor<'_>, name: String) -> Result<ForeignKeyDefinition> {
    let columns = c.names_in_parentheses()?;
    references(c, name, columns)
}

/// From REFERENCES on.
pub(super) fn references(
    c: &mut Cursor<'_>,
    name: String,
    columns: Vec<String>,
) -> Result<ForeignKeyDefinition> {
    c.expect("REFERENCES")?;
    let mut database = None;
    let mut table = c.name()?;
    if c.accept_symbol(".") {
        database = Some(std::mem::replace(&mut table, c.name()?));
    }
    let referenced = if c.is_symbol(0, "(") {
        c.names_in_parentheses()?
    } else {
        // The primary key of the table.
        Vec::new()
    };
    // InnoDB knows one way to match and accepts the words of the others.
    let _ = c.accept("MATCH FULL") || c.accept("MATCH PARTIAL") || c.accept("MATCH SIMPLE");
    let (mut on_delete, mut on_update) = (None, None);
    loop {
        if c.accept("ON DELETE") {
            on_delete = Some(action(c)?);
        } else if c.accept("ON UPDATE") {
            on_update = Some(action(c)?);
        } else {
            return Ok(ForeignKeyDefinition {
                name,
                columns,
                database,
                table,
                referenced,
                on_delete,
                on_update,
            });
        }
    }
}

fn action(c: &mut Cursor<'_>) -> Result<ReferenceAction> {
    use ReferenceAction::*;
    for action in [Restrict, Cascade, SetNull, NoAction, SetDefault] {
        if c.accept(action.words()) {
            return Ok(action);
        }
    }
    c.refuse("an action")
}

/// The value of an option as it is written again: a number, a word or a text.
pub(super) fn option_value(c: &mut Cursor<'_>) -> Result<String> {
    match &c.peek().kind {
        TokenKind::Number(n) => {
            let value = n.clone();
            c.advance();
            Ok(value)
        }
        TokenKind::Text(t) => {
            let value = quote::text(t);
            c.advance();
            Ok(value)
        }
        TokenKind::Word(w) => {
            let value = w.clone();
            c.advance();
            Ok(value)
        }
        TokenKind::Quoted(w) => {
            let value = quote::identifier(w);
            c.advance();
            Ok(value)
        }
        _ => c.refuse("a value"),
    }
}
