//! Writing statements.

use std::fmt;

use super::{
    ColumnKey, ColumnPosition, ColumnSpec, CreateTable, CreateView, DatabaseOptions, DdlStatement,
    ForeignKeySpec, TableElement, TableOption,
};
use crate::{
    Flavor, PeriodDefinition, ViewCheck,
    definition::{check_clause, column_words, index_clause, partitioning_clause, references_clause},
    syntax::{identifier, text},
};

impl fmt::Display for DdlStatement {
    /// The statement with complete names. Reading it again gives the same statement, except for
    /// those of which only the kind is kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTable(create) => create.fmt(f),
            Self::CreateTableLike(create) => {
                let head = head(create.or_replace, create.temporary);
                let unless = if_not(create.if_not_exists);
                write!(f, "{head} TABLE {unless}{} LIKE {}", create.table, create.like)
            }
            Self::AlterTable(alter) => alter.fmt(f),
            Self::DropTable {
                tables,
                temporary,
                if_exists,
            } => {
                let temporary = if *temporary { "TEMPORARY " } else { "" };
                write!(
                    f,
                    "DROP {temporary}TABLE {}{}",
                    if_there(*if_exists),
                    list(tables)
                )
            }
            Self::RenameTable { pairs, if_exists } => {
                let pairs: Vec<_> = pairs.iter().map(|(a, b)| format!("{a} TO {b}")).collect();
                write!(f, "RENAME TABLE {}{}", if_there(*if_exists), pairs.join(", "))
            }
            Self::TruncateTable { table } => write!(f, "TRUNCATE TABLE {table}"),
            Self::CreateIndex {
                table,
                index,
                if_not_exists,
                or_replace,
            } => {
                let clause = index_clause(index, Flavor::MySql);
                // `UNIQUE KEY `name` (…)` becomes `UNIQUE INDEX `name` ON table (…)`.
                let (kind, rest) = clause.split_once("KEY ").unwrap_or(("", clause.as_str()));
                let name = identifier(&index.name);
                let rest = rest.strip_prefix(name.as_str()).unwrap_or(rest);
                let head = head(*or_replace, false);
                let unless = if_not(*if_not_exists);
                write!(f, "{head} {kind}INDEX {unless}{name} ON {table}{rest}")
            }
            Self::DropIndex {
                table,
                name,
                if_exists,
            } => write!(
                f,
                "DROP INDEX {}{} ON {table}",
                if_there(*if_exists),
                identifier(name)
            ),
            Self::CreateDatabase {
                name,
                if_not_exists,
                or_replace,
                options,
            } => {
                let head = head(*or_replace, false);
                let unless = if_not(*if_not_exists);
                write!(f, "{head} DATABASE {unless}{}{options}", identifier(name))
            }
            Self::AlterDatabase { name, options } => {
                write!(f, "ALTER DATABASE {}{options}", identifier(name))
            }
            Self::DropDatabase { name, if_exists } => {
                write!(f, "DROP DATABASE {}{}", if_there(*if_exists), identifier(name))
            }
            Self::CreateView(create) => create.fmt(f),
            Self::DropView { views, if_exists } => {
                write!(f, "DROP VIEW {}{}", if_there(*if_exists), list(views))
            }
            Self::Sequence { verb, names } => write!(f, "{verb} SEQUENCE {}", list(names)),
            Self::Other(other) => f.write_str(&other.words),
        }
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

fn head(or_replace: bool, temporary: bool) -> String {
    let replace = if or_replace { " OR REPLACE" } else { "" };
    let temporary = if temporary { " TEMPORARY" } else { "" };
    format!("CREATE{replace}{temporary}")
}

pub(super) fn if_not(said: bool) -> &'static str {
    if said { "IF NOT EXISTS " } else { "" }
}

pub(super) fn if_there(said: bool) -> &'static str {
    if said { "IF EXISTS " } else { "" }
}

impl fmt::Display for CreateTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = head(self.or_replace, self.temporary);
        write!(f, "{head} TABLE {}{}", if_not(self.if_not_exists), self.table)?;
        if !self.elements.is_empty() {
            let elements: Vec<_> = self.elements.iter().map(element).collect();
            write!(f, " ({})", elements.join(", "))?;
        }
        for option in &self.options {
            write!(f, " {option}")?;
        }
        if let Some(partitioning) = &self.partitioning {
            write!(f, " {}", partitioning_clause(partitioning))?;
        }
        if let Some(query) = &self.query {
            write!(f, " AS {query}")?;
        }
        Ok(())
    }
}

fn element(element: &TableElement) -> String {
    match element {
        TableElement::Column(spec) => spec.to_string(),
        TableElement::Index(index) => index_clause(index, Flavor::MySql),
        TableElement::ForeignKey(spec) => spec.to_string(),
        TableElement::Check(check) => check_clause(check),
        TableElement::Period(period) => period_clause(period),
    }
}

pub(super) fn period_clause(period: &PeriodDefinition) -> String {
    let (start, end) = (identifier(&period.start), identifier(&period.end));
    format!("PERIOD FOR {} ({start}, {end})", identifier(&period.name))
}

impl fmt::Display for ForeignKeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.name.is_empty() {
            write!(f, "CONSTRAINT {} ", identifier(&self.key.name))?;
        }
        write!(f, "FOREIGN KEY {}", if_not(self.if_not_exists))?;
        if let Some(index) = &self.index {
            write!(f, "{} ", identifier(index))?;
        }
        let columns: Vec<_> = self.key.columns.iter().map(|c| identifier(c)).collect();
        write!(f, "({}) {}", columns.join(","), references_clause(&self.key))
    }
}

impl fmt::Display for ColumnSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut column = self.column.clone();
        let check = column.check.take();
        let mut ty = match self.text_length {
            Some(length) => format!("text({length})"),
            None => column.ty.to_string(),
        };
        if self.binary {
            ty.push_str(" BINARY");
        }
        // What is said of NULL is written behind AUTO_INCREMENT, which says NOT NULL.
        f.write_str(&column_words(&column, Flavor::MySql, &ty, ""))?;
        match self.null {
            Some(true) => f.write_str(" NULL")?,
            Some(false) => f.write_str(" NOT NULL")?,
            None => {}
        }
        match self.key {
            Some(ColumnKey::Primary) => f.write_str(" PRIMARY KEY")?,
            Some(ColumnKey::Unique) => f.write_str(" UNIQUE KEY")?,
            None => {}
        }
        if let Some(check) = check {
            write!(f, " CHECK ({check})")?;
        }
        for check in &self.checks {
            write!(f, " {}", check_clause(check))?;
        }
        match &self.references {
            Some(key) => write!(f, " {}", references_clause(key)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ColumnPosition {
    /// With a blank in front, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsaid => Ok(()),
            Self::First => f.write_str(" FIRST"),
            Self::After(column) => write!(f, " AFTER {}", identifier(column)),
        }
    }
}

impl fmt::Display for TableOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(engine) => write!(f, "ENGINE={}", identifier(engine)),
            Self::AutoIncrement(next) => write!(f, "AUTO_INCREMENT={next}"),
            Self::Charset(charset) => write!(f, "DEFAULT CHARACTER SET={charset}"),
            Self::Collation(collation) => write!(f, "DEFAULT COLLATE={collation}"),
            Self::Comment(comment) => write!(f, "COMMENT={}", text(comment)),
            Self::Storage(name, value) => write!(f, "{name}={value}"),
            Self::SystemVersioning => f.write_str("WITH SYSTEM VERSIONING"),
        }
    }
}

impl fmt::Display for DatabaseOptions {
    /// With a blank in front of each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(charset) = &self.charset {
            write!(f, " CHARACTER SET {charset}")?;
        }
        if let Some(collation) = &self.collation {
            write!(f, " COLLATE {collation}")?;
        }
        if let Some(comment) = &self.comment {
            write!(f, " COMMENT {}", text(comment))?;
        }
        if let Some(encrypted) = self.encrypted {
            write!(f, " ENCRYPTION '{}'", if encrypted { 'Y' } else { 'N' })?;
        }
        if let Some(read_only) = self.read_only {
            write!(f, " READ ONLY {}", u8::from(read_only))?;
        }
        Ok(())
    }
}

impl fmt::Display for CreateView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = &self.definition;
        let verb = if self.alter { "ALTER" } else { "CREATE" };
        let replace = if self.or_replace { " OR REPLACE" } else { "" };
        write!(f, "{verb}{replace}")?;
        if let Some(algorithm) = &view.algorithm {
            write!(f, " ALGORITHM={algorithm}")?;
        }
        if let Some(definer) = &view.definer {
            match definer.rsplit_once('@') {
                Some((user, host)) => write!(f, " DEFINER={}@{}", identifier(user), identifier(host))?,
                None => write!(f, " DEFINER={}", identifier(definer))?,
            }
        }
        if view.invoker {
            f.write_str(" SQL SECURITY INVOKER")?;
        }
        write!(f, " VIEW {}{}", if_not(self.if_not_exists), self.name)?;
        if !view.columns.is_empty() {
            let columns: Vec<_> = view.columns.iter().map(|c| identifier(c)).collect();
            write!(f, " ({})", columns.join(","))?;
        }
        write!(f, " AS {}", view.body)?;
        match view.check {
            Some(ViewCheck::Cascaded) => f.write_str(" WITH CASCADED CHECK OPTION"),
            Some(ViewCheck::Local) => f.write_str(" WITH LOCAL CHECK OPTION"),
            None => Ok(()),
        }
    }
}
