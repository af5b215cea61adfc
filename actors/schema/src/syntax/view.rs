//! `SHOW CREATE VIEW`.

use super::{
    cursor::Cursor,
    token::{TokenKind, tokenize},
    view_tables::{self, TableReference},
};
use crate::{Renames, SchemaError, TableName, ViewCheck, ViewDefinition};

impl ViewDefinition {
    /// Reads what `SHOW CREATE VIEW` of MySQL or MariaDB prints.
    ///
    /// # Errors
    /// Names the first construct that is not known and where it is.
    pub fn parse(source: &str) -> Result<Self, SchemaError> {
        let mut c = Cursor::new(source)?;
        c.expect("CREATE")?;
        let (mut algorithm, mut definer, mut invoker) = (None, None, false);
        loop {
            if c.accept("ALGORITHM") {
                c.expect_symbol("=")?;
                algorithm = Some(c.name()?.to_ascii_uppercase());
            } else if c.accept("DEFINER") {
                c.expect_symbol("=")?;
                let user = c.name()?;
                c.expect_symbol("@")?;
                definer = Some(format!("{user}@{}", c.name()?));
            } else if c.accept("SQL SECURITY") {
                invoker = c.accept("INVOKER");
                if !invoker {
                    c.expect("DEFINER")?;
                }
            } else {
                break;
            }
        }
        c.expect("VIEW")?;
        let mut name = c.name()?;
        if c.accept_symbol(".") {
            name = c.name()?;
        }
        let columns = if c.is_symbol(0, "(") {
            c.names_in_parentheses()?
        } else {
            Vec::new()
        };
        c.expect("AS")?;
        let (body, check) = split_check(c.rest())?;
        Ok(Self {
            name,
            algorithm,
            definer,
            invoker,
            columns,
            body,
            check,
        })
    }

    /// Tables and views that the query reads, each once, in the order of the text.
    ///
    /// # Errors
    /// When the text cannot be read.
    pub fn references(&self, database: &str) -> Result<Vec<TableName>, SchemaError> {
        let mut list = Vec::new();
        for found in view_tables::find(&self.body)? {
            let name = found.resolve(database);
            if !list.contains(&name) {
                list.push(name);
            }
        }
        Ok(list)
    }

    /// The query with every table named in full by its name at the destination. `database` is the
    /// database of the view at the source.
    ///
    /// # Errors
    /// `NotRenamable` when the text does not say safely which names are tables.
    pub fn renamed_body(&self, database: &str, renames: &Renames) -> Result<String, SchemaError> {
        let found = view_tables::find(&self.body)?;
        check_ambiguity(&found, database, renames)?;
        let mut edits: Vec<(usize, usize, String)> = Vec::new();
        for reference in &found {
            let new = renames.table(&reference.resolve(database));
            let mut text = new.to_string();
            if !reference.has_alias && new.table != reference.table {
                // Columns of a table without an alias are qualified with the table's own name.
                text.push_str(&format!(" {}", super::identifier(&reference.table)));
            }
            edits.push((reference.start, reference.end, text));
        }
        for (start, end, text) in self.qualified_columns(&found, database)? {
            edits.push((start, end, text));
        }
        edits.sort();
        let mut out = String::with_capacity(self.body.len() + 64);
        let mut from = 0;
        for (start, end, text) in edits {
            out.push_str(self.body.get(from..start).unwrap_or(""));
            out.push_str(&text);
            from = end;
        }
        out.push_str(self.body.get(from..).unwrap_or(""));
        Ok(out)
    }

    /// `db`.`table`.`column` becomes `table`.`column`.
    fn qualified_columns(
        &self,
        found: &[TableReference],
        database: &str,
    ) -> Result<Vec<(usize, usize, String)>, SchemaError> {
        let tokens = tokenize(&self.body)?;
        let mut edits = Vec::new();
        for window in tokens.windows(5) {
            let [a, dot, b, dot2, _] = window else { continue };
            let (TokenKind::Quoted(db), TokenKind::Quoted(table)) = (&a.kind, &b.kind) else {
                continue;
            };
            if dot.kind != TokenKind::Symbol(".") || dot2.kind != TokenKind::Symbol(".") {
                continue;
            }
            let name = TableName::new(db.clone(), table.clone());
            if found.iter().all(|f| f.resolve(database) != name) {
                let reason = format!("{name} qualifies a column and is not a table of the query");
                return Err(SchemaError::NotRenamable { reason });
            }
            edits.push((a.start, b.end, super::identifier(table)));
        }
        Ok(edits)
    }
}

/// Two tables of the same name in different databases, both without an alias, can no longer be
/// told apart when the database is left out in front of their columns.
fn check_ambiguity(found: &[TableReference], database: &str, renames: &Renames) -> Result<(), SchemaError> {
    for (i, a) in found.iter().enumerate() {
        for b in found.iter().skip(i + 1) {
            let (x, y) = (a.resolve(database), b.resolve(database));
            if !a.has_alias && !b.has_alias && x != y && x.table == y.table && a.scope == b.scope {
                let moved = renames.table(&x) != x || renames.table(&y) != y;
                if moved {
                    let reason = format!("{x} and {y} have the same name and no alias");
                    return Err(SchemaError::NotRenamable { reason });
                }
            }
        }
    }
    Ok(())
}

/// Takes `WITH … CHECK OPTION` off the end of a query.
pub(super) fn split_check(body: &str) -> Result<(String, Option<ViewCheck>), SchemaError> {
    let tokens = tokenize(body)?;
    let words: Vec<_> = tokens
        .iter()
        .rev()
        .skip(1)
        .take(4)
        .map(|t| match &t.kind {
            TokenKind::Word(w) => w.to_ascii_uppercase(),
            _ => String::new(),
        })
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (check, count) = match words.as_slice() {
        ["OPTION", "CHECK", "CASCADED", "WITH"] => (ViewCheck::Cascaded, 4),
        ["OPTION", "CHECK", "LOCAL", "WITH"] => (ViewCheck::Local, 4),
        ["OPTION", "CHECK", "WITH", ..] => (ViewCheck::Cascaded, 3),
        _ => return Ok((body.trim().to_owned(), None)),
    };
    let start = tokens.iter().rev().nth(count).map_or(0, |t| t.start);
    Ok((body.get(..start).unwrap_or("").trim().to_owned(), Some(check)))
}
