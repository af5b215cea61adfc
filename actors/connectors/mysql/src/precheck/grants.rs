//! What an account may do, from `SHOW GRANTS`.

use std::collections::BTreeSet;

use mysql_async::{Conn, Error, prelude::Queryable};
use oms_core::TableName;

/// On what a privilege was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    Global,
    /// A database, as a pattern with `%`, `_` and backslash.
    Database(String),
    Table(TableName),
}

#[derive(Clone, Debug)]
struct Entry {
    scope: Scope,
    privileges: BTreeSet<String>,
    revoked: bool,
}

/// The privileges of an account, its active roles' included.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    entries: Vec<Entry>,
}

impl Grants {
    /// Asks the server.
    pub async fn of(conn: &mut Conn) -> Result<Self, Error> {
        // MySQL lists a role's privileges only when asked; MariaDB always does.
        let roles: Option<Option<String>> = match conn.query_first("SELECT CURRENT_ROLE()").await {
            Ok(roles) => roles,
            // Servers without roles do not know the function.
            Err(Error::Server(_)) => None,
            Err(e) => return Err(e),
        };
        let roles = roles
            .flatten()
            .filter(|r| !r.is_empty() && !r.eq_ignore_ascii_case("NONE"));
        let mut lines: Vec<String> = conn.query("SHOW GRANTS").await?;
        if let Some(roles) = roles.filter(|r| r.starts_with('`')) {
            let using = format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}");
            match conn.query::<String, _>(using).await {
                Ok(more) => lines.extend(more),
                Err(Error::Server(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Self::parse(&lines))
    }

    /// Reads the lines of `SHOW GRANTS`. Lines that grant roles or proxies carry no privileges.
    pub fn parse(lines: &[String]) -> Self {
        Self {
            entries: lines.iter().filter_map(|line| entry(line)).collect(),
        }
    }

    /// Whether the privilege holds everywhere.
    pub fn has_global(&self, privilege: &str) -> bool {
        self.entries
            .iter()
            .any(|e| !e.revoked && e.scope == Scope::Global && holds(e, privilege))
    }

    /// Whether the privilege holds in the whole database.
    pub fn has_on_database(&self, privilege: &str, database: &str) -> bool {
        let matches = |e: &&Entry| match &e.scope {
            Scope::Database(pattern) => like(pattern, database) && holds(e, privilege),
            _ => false,
        };
        let granted = self.entries.iter().filter(|e| !e.revoked).find(matches).is_some();
        let revoked = self.entries.iter().filter(|e| e.revoked).find(matches).is_some();
        granted || (self.has_global(privilege) && !revoked)
    }

    /// Whether the privilege holds on the whole table.
    pub fn has_on_table(&self, privilege: &str, name: &TableName) -> bool {
        self.has_on_database(privilege, &name.database)
            || self
                .entries
                .iter()
                .any(|e| !e.revoked && e.scope == Scope::Table(name.clone()) && holds(e, privilege))
    }
}

fn holds(entry: &Entry, privilege: &str) -> bool {
    // ALL on *.* holds everything that SHOW GRANTS can name there.
    entry.privileges.contains(privilege)
        || entry.privileges.contains("ALL PRIVILEGES")
        || entry.privileges.contains("ALL")
}

fn entry(line: &str) -> Option<Entry> {
    let (revoked, rest, ending) = match line.strip_prefix("GRANT ") {
        Some(rest) => (false, rest, " TO "),
        None => (true, line.strip_prefix("REVOKE ")?, " FROM "),
    };
    // Names may contain " ON " and the like, so the line is read from the left, quotes respected.
    let on = find_unquoted(rest, " ON ")?;
    let (list, scope) = (rest.get(..on)?, rest.get(on + 4..)?);
    let scope = scope.get(..find_unquoted(scope, ending)?)?;
    let scope = scope.strip_prefix("TABLE ").unwrap_or(scope).trim();
    let (database, table) = match find_unquoted(scope, ".") {
        Some(dot) => (scope.get(..dot)?, scope.get(dot + 1..)?),
        // A proxy or a routine's grant without a database.
        None => return None,
    };
    if list.starts_with("PROXY") || scope.starts_with("PROCEDURE ") || scope.starts_with("FUNCTION ") {
        return None;
    }
    let scope = match (database, table) {
        ("*", _) => Scope::Global,
        (database, "*") => Scope::Database(unquote(database)),
        (database, table) => Scope::Table(TableName::new(unquote(database), unquote(table))),
    };
    let mut privileges = BTreeSet::new();
    let mut depth = 0u32;
    let mut word = String::new();
    // `INSERT (a, b), UPDATE`: what is granted on single columns does not count.
    let mut columns_only = false;
    for c in list.chars().chain([',']) {
        match c {
            '(' => {
                depth += 1;
                columns_only = true;
            }
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                if !columns_only && !word.trim().is_empty() {
                    privileges.insert(word.trim().to_ascii_uppercase());
                }
                word.clear();
                columns_only = false;
            }
            c if depth == 0 => word.push(c),
            _ => {}
        }
    }
    Some(Entry {
        scope,
        privileges,
        revoked,
    })
}

fn find_unquoted(text: &str, wanted: &str) -> Option<usize> {
    let mut quote: Option<char> = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '`' || c == '\'' || c == '"' => quote = Some(c),
            None if text.get(at..).is_some_and(|rest| rest.starts_with(wanted)) => return Some(at),
            None => {}
        }
    }
    None
}

fn unquote(name: &str) -> String {
    let name = name.trim();
    match name.strip_prefix('`').and_then(|n| n.strip_suffix('`')) {
        Some(inner) => inner.replace("``", "`"),
        None => name.to_owned(),
    }
}

/// SQL LIKE with backslash as escape.
fn like(pattern: &str, text: &str) -> bool {
    fn go(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((&'%', rest)) => (0..=text.len()).any(|n| go(rest, text.get(n..).unwrap_or_default())),
            Some((&'_', rest)) => text.split_first().is_some_and(|(_, t)| go(rest, t)),
            Some((&'\\', rest)) if !rest.is_empty() => match (rest.split_first(), text.split_first()) {
                (Some((p, rest)), Some((t, text))) => p == t && go(rest, text),
                _ => false,
            },
            Some((p, rest)) => text
                .split_first()
                .is_some_and(|(t, text)| p == t && go(rest, text)),
        }
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    go(&pattern, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(lines: &[&str]) -> Grants {
        Grants::parse(&lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn scopes_and_columns_are_told_apart() {
        let g = grants(&[
            "GRANT SELECT, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `x`@`%` IDENTIFIED BY PASSWORD '*B6'",
            r"GRANT ALL PRIVILEGES ON `a\_b%`.* TO `x`@`%`",
            "GRANT INSERT (`a`, `b`), UPDATE ON `zoo`.`pk2` TO `x`@`%`",
            "GRANT PROXY ON ``@`%` TO 'root'@'localhost' WITH GRANT OPTION",
            "GRANT `role`@`%` TO `x`@`%`",
        ]);
        assert!(g.has_global("SELECT") && g.has_global("BINLOG MONITOR") && !g.has_global("INSERT"));
        assert!(g.has_on_database("INSERT", "a_bc") && !g.has_on_database("INSERT", "axbc"));
        let t = TableName::new("zoo", "pk2");
        assert!(
            g.has_on_table("UPDATE", &t) && !g.has_on_table("INSERT", &t) && g.has_on_table("SELECT", &t)
        );
    }

    #[test]
    fn partial_revokes_count() {
        let g = grants(&[
            "GRANT SELECT, INSERT ON *.* TO `x`@`%`",
            "REVOKE INSERT ON `mysql`.* FROM `x`@`%`",
        ]);
        assert!(g.has_on_database("INSERT", "shop") && !g.has_on_database("INSERT", "mysql"));
        assert!(g.has_on_database("SELECT", "mysql"));
    }

    #[test]
    fn names_with_keywords_inside_quotes() {
        let g = grants(&["GRANT SELECT ON `a ON b`.`c TO ``d` TO `x`@`%`"]);
        assert!(g.has_on_table("SELECT", &TableName::new("a ON b", "c TO `d")));
    }
}
