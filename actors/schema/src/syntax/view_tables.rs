//! Which names in a query are tables.
//!
//! Servers print the query of a view in one canonical form, in which tables stand only behind FROM
//! and JOIN. This walks the parentheses of that form and keeps, for each, whether it is a query, a
//! list of joined tables or anything else.

use super::token::{Token, TokenKind, tokenize};
use crate::{SchemaError, TableName};

/// A table in a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableReference {
    pub(super) database: Option<String>,
    pub(super) table: String,
    pub(super) has_alias: bool,
    /// Bytes of the name.
    pub(super) start: usize,
    pub(super) end: usize,
    /// The query it belongs to, numbered.
    pub(super) scope: usize,
}

impl TableReference {
    pub(super) fn resolve(&self, default: &str) -> TableName {
        TableName::new(
            self.database.clone().unwrap_or_else(|| default.to_owned()),
            self.table.clone(),
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Query,
    Joined,
    Other,
}

struct Frame {
    kind: Kind,
    in_from: bool,
    expect: bool,
    scope: usize,
}

/// Finds the tables of a query. Common table expressions are not tables.
pub(super) fn find(body: &str) -> Result<Vec<TableReference>, SchemaError> {
    let tokens = tokenize(body)?;
    let walk = Walk {
        ctes: common_tables(&tokens),
        tokens,
    };
    Ok(walk.run())
}

fn word(token: Option<&Token>) -> Option<String> {
    match token.map(|t| &t.kind) {
        Some(TokenKind::Word(w)) => Some(w.to_ascii_uppercase()),
        _ => None,
    }
}

fn name(token: Option<&Token>) -> Option<&String> {
    match token.map(|t| &t.kind) {
        Some(TokenKind::Quoted(n)) => Some(n),
        _ => None,
    }
}

fn is_symbol(token: Option<&Token>, symbol: &str) -> bool {
    matches!(token.map(|t| &t.kind), Some(TokenKind::Symbol(s)) if *s == symbol)
}

/// Names that stand in front of `AS (SELECT` or `(columns) AS (SELECT` in a WITH clause.
fn common_tables(tokens: &[Token]) -> Vec<String> {
    let mut names = Vec::new();
    if !tokens.iter().any(|t| word(Some(t)).as_deref() == Some("WITH")) {
        return names;
    }
    for (i, token) in tokens.iter().enumerate() {
        let opens_query = word(Some(token)).as_deref() == Some("AS")
            && is_symbol(tokens.get(i + 1), "(")
            && matches!(
                word(tokens.get(i + 2)).as_deref(),
                Some("SELECT" | "WITH" | "VALUES")
            );
        let opens_nested = word(Some(token)).as_deref() == Some("AS")
            && is_symbol(tokens.get(i + 1), "(")
            && is_symbol(tokens.get(i + 2), "(");
        if !(opens_query || opens_nested) || i == 0 {
            continue;
        }
        let mut at = i - 1;
        if is_symbol(tokens.get(at), ")") {
            while at > 0 && !is_symbol(tokens.get(at), "(") {
                at -= 1;
            }
            at = at.saturating_sub(1);
        }
        if let Some(TokenKind::Quoted(n) | TokenKind::Word(n)) = tokens.get(at).map(|t| &t.kind) {
            names.push(n.clone());
        }
    }
    names
}

struct Walk {
    tokens: Vec<Token>,
    ctes: Vec<String>,
}

impl Walk {
    fn run(&self) -> Vec<TableReference> {
        let mut found = Vec::new();
        let mut scopes = 0;
        let mut frames = vec![Frame {
            kind: Kind::Query,
            in_from: false,
            expect: false,
            scope: 0,
        }];
        let mut i = 0;
        while let Some(token) = self.tokens.get(i) {
            let Some(top) = frames.last_mut() else { break };
            let tables = top.in_from || top.kind == Kind::Joined;
            match &token.kind {
                TokenKind::Symbol("(") => {
                    let begins_query = matches!(
                        word(self.tokens.get(i + 1)).as_deref(),
                        Some("SELECT" | "WITH" | "VALUES")
                    );
                    let kind = match (begins_query, tables && top.expect) {
                        (true, _) => Kind::Query,
                        (false, true) => Kind::Joined,
                        (false, false) => Kind::Other,
                    };
                    top.expect = false;
                    let scope = if kind == Kind::Query {
                        scopes += 1;
                        scopes
                    } else {
                        top.scope
                    };
                    frames.push(Frame {
                        kind,
                        in_from: false,
                        expect: kind == Kind::Joined,
                        scope,
                    });
                }
                TokenKind::Symbol(")") => {
                    frames.pop();
                }
                TokenKind::Symbol(",") if tables => top.expect = true,
                TokenKind::Word(w) => match w.to_ascii_uppercase().as_str() {
                    "FROM" if top.kind == Kind::Query => {
                        top.in_from = true;
                        top.expect = true;
                    }
                    "JOIN" | "STRAIGHT_JOIN" if tables && word(self.before(i)).as_deref() != Some("FOR") => {
                        top.expect = true;
                    }
                    "SELECT" | "WHERE" | "GROUP" | "HAVING" | "ORDER" | "LIMIT" | "UNION" | "EXCEPT"
                    | "INTERSECT" | "WINDOW" | "PROCEDURE" | "INTO"
                        if top.kind == Kind::Query =>
                    {
                        top.in_from = false;
                        top.expect = false;
                    }
                    "LATERAL" => {}
                    // JSON_TABLE( and the like, or a common table without quotes.
                    _ if tables => top.expect = false,
                    _ => {}
                },
                TokenKind::Quoted(first) if tables && top.expect => {
                    top.expect = false;
                    let scope = top.scope;
                    i = self.table(i, first, scope, &mut found);
                    continue;
                }
                _ => {}
            }
            i += 1;
        }
        found
    }

    fn before(&self, i: usize) -> Option<&Token> {
        i.checked_sub(1).and_then(|i| self.tokens.get(i))
    }

    /// Notes the table whose name begins at a token; returns the token behind the name.
    fn table(&self, i: usize, first: &str, scope: usize, found: &mut Vec<TableReference>) -> usize {
        let (mut database, mut table, mut last) = (None, first.to_owned(), i);
        if is_symbol(self.tokens.get(i + 1), ".")
            && let Some(second) = name(self.tokens.get(i + 2))
        {
            database = Some(first.to_owned());
            table = second.clone();
            last = i + 2;
        }
        let next = self.tokens.get(last + 1);
        let has_alias = name(next).is_some() || word(next).as_deref() == Some("AS");
        let span = self.tokens.get(i).zip(self.tokens.get(last));
        if let Some((start, end)) = span
            && !(database.is_none() && self.ctes.contains(&table))
        {
            found.push(TableReference {
                database,
                table,
                has_alias,
                start: start.start,
                end: end.end,
                scope,
            });
        }
        last + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Renames, ViewDefinition};

    fn tables(body: &str) -> Vec<String> {
        find(body)
            .unwrap()
            .iter()
            .map(|t| t.resolve("d").to_string())
            .collect()
    }

    #[test]
    fn tables_stand_behind_from_and_join_only() {
        assert_eq!(
            tables(
                "select `a`.`x` AS `x` from ((`a` join `e`.`b` on((`a`.`id` = `b`.`x`))) left join `c` `k` on(1))"
            ),
            ["`d`.`a`", "`e`.`b`", "`d`.`c`"]
        );
        assert_eq!(
            tables(
                "select extract(year from `a`.`t`) AS `y` from `a` where exists(select 1 from `z` where (`z`.`q` = 1))"
            ),
            ["`d`.`a`", "`d`.`z`"]
        );
        assert_eq!(
            tables(
                "with `q` as (select 1 from `a`) select 1 from `q` union select 2 from (select 3 from `b`) `q2`"
            ),
            ["`d`.`a`", "`d`.`b`"]
        );
    }

    #[test]
    fn renaming_keeps_the_names_that_columns_use() {
        let view = ViewDefinition::parse(
            "CREATE ALGORITHM=UNDEFINED DEFINER=`u`@`h` SQL SECURITY DEFINER VIEW `v` AS select `a`.`id` AS `id`,\
             `e`.`b`.`n` AS `n`,'`a`' AS `t` from (`a` join `e`.`b` on((`a`.`id` = `e`.`b`.`n`))) WITH CASCADED CHECK OPTION",
        )
        .unwrap();
        let renames = Renames {
            databases: [("d".into(), "new".into())].into(),
            tables: vec![(TableName::new("e", "b"), TableName::new("new", "b2"))],
            lower_case: false,
        };
        assert_eq!(
            view.renamed_body("d", &renames).unwrap(),
            "select `a`.`id` AS `id`,`b`.`n` AS `n`,'`a`' AS `t` from (`new`.`a` join `new`.`b2` `b` on((`a`.`id` = `b`.`n`)))"
        );
        let twice = ViewDefinition {
            body: "select 1 from (`x`.`a` join `y`.`a`)".into(),
            ..view
        };
        assert!(twice.renamed_body("d", &Renames::default()).is_ok());
        let renames = Renames {
            databases: [("x".into(), "y2".into())].into(),
            ..Renames::default()
        };
        assert!(twice.renamed_body("d", &renames).is_err());
    }
}
