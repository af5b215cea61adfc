//! From a statement of the log to statements for the destination.
//!
//! The definitions of the table before and after the statement, both converted as schema migration
//! converts them, say what is to change at the destination; the clauses say which column became
//! which. What cannot be told from that, or would not mean the same there, stops.

mod alter;
mod diff;
mod partition;
mod rename;
mod step;
mod table;

use oms_core::{TableName, codes};

pub use step::{DdlFact, DdlPart, DdlStep};

use crate::{
    AlterClause, AlterTable, ConversionNote, ConvertOptions, DdlStatement, DestinationTraits, OtherKind,
    Refusal, SchemaTracker, SourceTraits, StatementContext, TableDefinition, convert_database, syntax,
};

/// Which objects a project moves, and where.
pub trait DdlSelection {
    /// The destination of a table that is moved, or would be if it existed; `None` for the others.
    fn destination(&self, table: &TableName) -> Option<TableName>;

    /// The destination of a database whose definition is followed.
    fn database(&self, name: &str) -> Option<String>;

    /// Why statements about a selected table cannot be carried over, if so: its rows are merged with
    /// those of others, some of its columns are left out or computed.
    fn obstacle(&self, table: &TableName) -> Option<String> {
        let _ = table;
        None
    }
}

/// A statement and everything that decides what becomes of it.
#[derive(Clone, Copy)]
pub struct DdlRequest<'a> {
    /// The statement.
    pub statement: &'a DdlStatement,
    /// What it was run under.
    pub context: &'a StatementContext,
    /// The source in front of the statement.
    pub before: &'a SchemaTracker,
    /// The source behind the statement.
    pub after: &'a SchemaTracker,
    /// The source's families and collations.
    pub source: &'a SourceTraits,
    /// What the destination accepts.
    pub destination: &'a DestinationTraits,
    /// What the user decided.
    pub options: &'a ConvertOptions,
    /// What is moved.
    pub selection: &'a dyn DdlSelection,
}

/// What becomes of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DdlOutcome {
    /// It is about nothing that is moved.
    Nothing(String),
    /// It is about something that is moved and changes nothing that matters at the destination.
    Ignored(String),
    /// The steps say the same at the destination; the notes say what they do not.
    Converted,
    /// It cannot be carried over: the reader of the log stops in front of it.
    Unsupported(Refusal),
}

/// A statement for the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertedDdl {
    /// What becomes of it.
    pub outcome: DdlOutcome,
    /// What is to be executed, in order.
    pub steps: Vec<DdlStep>,
    /// What is not the same, and what was left out.
    pub notes: Vec<ConversionNote>,
    /// Tables of the destination as they are to be when all steps ran; `None` for those that are gone.
    pub expected: Vec<(TableName, Option<TableDefinition>)>,
}

/// What happens to a table before it is known to be everything.
type Part = std::result::Result<ConvertedDdl, Refusal>;

impl ConvertedDdl {
    fn of(outcome: DdlOutcome) -> Self {
        Self {
            outcome,
            steps: Vec::new(),
            notes: Vec::new(),
            expected: Vec::new(),
        }
    }

    fn nothing(why: impl Into<String>) -> Self {
        Self::of(DdlOutcome::Nothing(why.into()))
    }

    fn ignored(why: impl Into<String>) -> Self {
        Self::of(DdlOutcome::Ignored(why.into()))
    }

    fn step(sql: String, repeatable: bool, facts: Vec<DdlFact>) -> Self {
        let mut converted = Self::of(DdlOutcome::Converted);
        converted.steps.push(DdlStep {
            sql,
            repeatable,
            facts,
        });
        converted
    }

    /// Puts what happens next behind; an outcome that does something wins.
    fn and(&mut self, next: Self) {
        if next.outcome == DdlOutcome::Converted || matches!(self.outcome, DdlOutcome::Nothing(_)) {
            self.outcome = next.outcome;
        }
        self.steps.extend(next.steps);
        self.notes.extend(next.notes);
        for (name, table) in next.expected {
            self.expected.retain(|(other, _)| *other != name);
            self.expected.push((name, table));
        }
    }
}

fn refuse<T>(reason: impl Into<String>) -> std::result::Result<T, Refusal> {
    Err(Refusal {
        code: codes::schema::CONSTRUCT_NOT_SUPPORTED,
        reason: reason.into(),
    })
}

/// Converts a statement. The same request always gives the same result.
pub fn convert_ddl(request: &DdlRequest<'_>) -> ConvertedDdl {
    match convert(request) {
        Ok(converted) => converted,
        Err(refusal) => ConvertedDdl::of(DdlOutcome::Unsupported(refusal)),
    }
}

fn convert(r: &DdlRequest<'_>) -> Part {
    match r.statement {
        DdlStatement::CreateTable(create) if create.temporary => {
            Ok(ConvertedDdl::nothing("a temporary table"))
        }
        DdlStatement::CreateTableLike(create) if create.temporary => {
            Ok(ConvertedDdl::nothing("a temporary table"))
        }
        DdlStatement::CreateTable(create) => {
            let unless = create.if_not_exists;
            table::create(
                r,
                &create.table,
                unless,
                create.or_replace,
                create.query.is_some(),
            )
        }
        DdlStatement::CreateTableLike(create) => {
            table::create(r, &create.table, create.if_not_exists, create.or_replace, false)
        }
        DdlStatement::DropTable { temporary: true, .. } => Ok(ConvertedDdl::nothing("a temporary table")),
        DdlStatement::DropTable { tables, .. } => table::drop(r, tables),
        DdlStatement::TruncateTable { table } => table::truncate(r, table),
        DdlStatement::RenameTable { pairs, .. } => rename::tables(r, pairs),
        DdlStatement::AlterTable(alter) => alter::table(r, alter),
        DdlStatement::CreateIndex { table, index, .. } => {
            let clause = AlterClause::AddIndex {
                index: index.clone(),
                if_not_exists: true,
            };
            alter::table(r, &one(table, clause))
        }
        DdlStatement::DropIndex { table, name, .. } => {
            let clause = AlterClause::DropIndex {
                name: name.clone(),
                if_exists: true,
            };
            alter::table(r, &one(table, clause))
        }
        DdlStatement::CreateDatabase { name, .. } => database(r, name, false),
        DdlStatement::AlterDatabase { name, .. } => database(r, name, true),
        DdlStatement::DropDatabase { name, .. } => match r.selection.database(name) {
            Some(_) => refuse(format!("the database {name} is dropped with everything in it")),
            None => Ok(ConvertedDdl::nothing("a database that is not followed")),
        },
        DdlStatement::CreateView(create) => match r.selection.destination(&create.name) {
            Some(_) => refuse(format!(
                "the view {}: its query is kept as it was written, and what it names is not known",
                create.name
            )),
            None => Ok(ConvertedDdl::nothing("a view that is not selected")),
        },
        DdlStatement::DropView { views, .. } => {
            let mut all = ConvertedDdl::nothing("views that are not selected");
            for name in views.iter().filter_map(|view| r.selection.destination(view)) {
                let facts = Vec::new();
                all.and(ConvertedDdl::step(
                    format!("DROP VIEW IF EXISTS {name}"),
                    true,
                    facts,
                ));
            }
            Ok(all)
        }
        DdlStatement::Sequence { names, .. } => {
            match names.iter().find(|name| r.selection.destination(name).is_some()) {
                Some(name) => refuse(format!("{name} is a sequence")),
                None => Ok(ConvertedDdl::nothing("sequences that are not selected")),
            }
        }
        DdlStatement::Other(other) if other.kind == OtherKind::Rows => refuse(format!(
            "{} changes rows in the form of a statement; the source must log rows",
            other.words
        )),
        DdlStatement::Other(other) => Ok(ConvertedDdl::nothing(format!("{} defines no table", other.words))),
    }
}

fn one(table: &TableName, clause: AlterClause) -> AlterTable {
    AlterTable {
        table: table.clone(),
        if_exists: false,
        clauses: vec![clause],
    }
}

fn database(r: &DdlRequest<'_>, name: &str, alter: bool) -> Part {
    let Some(to) = r.selection.database(name) else {
        return Ok(ConvertedDdl::nothing("a database that is not followed"));
    };
    let Some(definition) = r.after.database(name) else {
        return refuse(format!("the definition of the database {name} is not known"));
    };
    let mut options = r.options.clone();
    options.renames.databases.insert(name.to_owned(), to.clone());
    let converted = convert_database(definition, r.source, r.destination, &options);
    let mut result = ConvertedDdl::of(DdlOutcome::Converted);
    for statement in converted.statements {
        let mut sql = statement.sql;
        if alter {
            let create = format!("CREATE DATABASE IF NOT EXISTS {}", syntax::identifier(&to));
            let rest = sql.strip_prefix(create.as_str()).unwrap_or("").to_owned();
            sql = format!("ALTER DATABASE {}{rest}", syntax::identifier(&to));
        }
        result.steps.push(DdlStep {
            sql,
            repeatable: true,
            facts: Vec::new(),
        });
    }
    result.notes = converted.notes;
    Ok(result)
}
