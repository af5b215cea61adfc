//! What is to be done about a statement: from the definitions in front of it, without input or output.

use std::collections::{BTreeMap, BTreeSet};

use oms_apply::LoggedDdl;
use oms_core::{DefinitionKind, Failure, TableName, codes};
use oms_schema::{
    AlterClause, ConvertOptions, DdlOutcome, DdlRequest, DdlSelection, DdlStatement, DestinationTraits,
    OtherKind, SchemaTracker, StatementContext, convert_ddl,
};

use super::{
    entry::EntryStep,
    followed::{Followed, only_announces, without_phase},
    ports::SourceFacts,
    selection::FollowedSelection,
};

/// What statements are judged with.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    pub(super) facts: SourceFacts,
    pub(super) destination: DestinationTraits,
    pub(super) options: ConvertOptions,
    pub(super) selection: FollowedSelection,
    /// The destination tells of statements instead of executing them.
    pub(super) announces: bool,
}

/// What is to be done about a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    /// Tables of which nothing is known behind it.
    pub(super) forgotten: Vec<TableName>,
    /// Selected tables that it is about, before and after.
    pub(super) concerned: BTreeSet<TableName>,
}

/// The same in one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing, with the reason.
    Pass(String),
    /// These steps; the notes say what is not the same.
    Execute {
        steps: Vec<EntryStep>,
        notes: Vec<String>,
    },
    /// It cannot be carried over.
    Refuse { code: String, reason: String },
}

impl Judge {
    pub(super) fn context(&self, ddl: &LoggedDdl) -> StatementContext {
        self.facts.context(&ddl.database, &ddl.context)
    }

    /// Whether a statement can matter for what is followed: whether it names something in a database that is. What
    /// cannot be read matters if the database does.
    pub(super) fn concerns(&self, tracker: &SchemaTracker, ddl: &LoggedDdl) -> bool {
        if only_announces(&ddl.statement) {
            return false;
        }
        let followed = |name: &str| {
            name.contains(char::REPLACEMENT_CHARACTER)
                || tracker.follows_database(name)
                || self.selection.databases.contains_key(name)
        };
        match DdlStatement::parse(without_phase(&ddl.statement), &self.context(ddl)) {
            Ok(DdlStatement::Other(other)) => other.kind == OtherKind::Rows && followed(&ddl.database),
            Ok(DdlStatement::DropTable { temporary: true, .. }) => false,
            Ok(DdlStatement::CreateTable(create)) if create.temporary => false,
            Ok(DdlStatement::CreateTableLike(create)) if create.temporary => false,
            Ok(
                DdlStatement::CreateDatabase { name, .. }
                | DdlStatement::AlterDatabase { name, .. }
                | DdlStatement::DropDatabase { name, .. },
            ) => followed(&name),
            Ok(statement) => statement
                .objects()
                .iter()
                .any(|object| followed(&object.database)),
            Err(_) => {
                let text = ddl.statement.to_lowercase();
                followed(&ddl.database)
                    || self
                        .selection
                        .databases
                        .keys()
                        .any(|name| text.contains(&name.to_lowercase()))
            }
        }
    }

    /// Judges a statement by the definitions in front of it.
    pub(super) fn judge(&self, before: &Followed, ddl: &LoggedDdl) -> Judgement {
        let tables = before.tables(&self.selection);
        let taken: BTreeMap<TableName, TableName> = tables
            .iter()
            .map(|(from, to)| (to.clone(), from.clone()))
            .collect();
        let selection = before.selection(&self.selection, &taken);
        let context = self.context(ddl);
        let tracker = before.tracker();
        let statement = match DdlStatement::parse(without_phase(&ddl.statement), &context) {
            Ok(statement) => statement,
            Err(error) => {
                // Any table of the database could be meant.
                let concerned = named_in(&ddl.statement, &tables);
                return Judgement {
                    verdict: refuse(error.code().as_str(), error.to_string()),
                    forgotten: concerned.iter().cloned().collect(),
                    concerned,
                };
            }
        };
        let objects: BTreeSet<TableName> = statement.objects().into_iter().cloned().collect();
        let is_tool = |name: &TableName| tracker.online_base(name).is_some();
        let mut concerned: BTreeSet<TableName> = objects
            .iter()
            .filter(|name| selection.destination(name).is_some() && !is_tool(name))
            .cloned()
            .collect();
        if let DdlStatement::DropDatabase { name, .. } = &statement {
            concerned.extend(tables.keys().filter(|table| table.database == *name).cloned());
        }
        if !ddl.context.exact && !concerned.is_empty() {
            let reason = "its text is not UTF-8, or it is not known to be".to_owned();
            return Judgement {
                verdict: refuse(codes::schema::STATEMENT_NOT_UNDERSTOOD.as_str(), reason),
                forgotten: Vec::new(),
                concerned,
            };
        }
        let mut after = tracker.clone();
        if let Err(error) = after.apply(&statement, &context) {
            let verdict = if concerned.is_empty() {
                Verdict::Pass(format!(
                    "about nothing that is selected, and not followed: {error}"
                ))
            } else {
                refuse(error.code().as_str(), error.to_string())
            };
            return Judgement {
                verdict,
                forgotten: objects.into_iter().collect(),
                concerned,
            };
        }
        // The log holds the filled table's rows already.
        if let DdlStatement::CreateTable(create) = &statement
            && create.query.is_some()
            && concerned.is_empty()
        {
            return Judgement {
                verdict: Verdict::Pass("a table that is not selected".to_owned()),
                forgotten: Vec::new(),
                concerned,
            };
        }
        let converted = convert_ddl(&DdlRequest {
            statement: &statement,
            context: &context,
            before: tracker,
            after: &after,
            source: &self.facts.traits,
            destination: &self.destination,
            options: &self.options,
            selection: &selection,
        });
        let verdict = match converted.outcome {
            DdlOutcome::Converted | DdlOutcome::Ignored(_) if self.announces => {
                if concerned.is_empty() {
                    Verdict::Pass("about nothing that is selected".to_owned())
                } else {
                    Verdict::Execute {
                        steps: vec![EntryStep::told(&ddl.statement)],
                        notes: Vec::new(),
                    }
                }
            }
            DdlOutcome::Nothing(why) | DdlOutcome::Ignored(why) => Verdict::Pass(why),
            DdlOutcome::Unsupported(refusal) => refuse(refusal.code.as_str(), refusal.reason),
            DdlOutcome::Converted => Verdict::Execute {
                steps: converted.steps.into_iter().map(EntryStep::from).collect(),
                notes: converted
                    .notes
                    .iter()
                    .map(|note| {
                        let to = if note.to.is_empty() { "left out" } else { &note.to };
                        format!("{}: {}: {} becomes {to}", note.object, note.what, note.from)
                    })
                    .collect(),
            },
        };
        Judgement {
            verdict,
            forgotten: Vec::new(),
            concerned,
        }
    }

    /// Whether a statement in front of the place at which definitions were read first can be left to what was
    /// read: the tables that it makes are `born`, and everything else that it is about must not be selected.
    ///
    /// # Errors
    /// `OMS-APPLY-0012`.
    pub(super) fn before_reading(
        &self,
        tracker: &SchemaTracker,
        ddl: &LoggedDdl,
        born: &mut BTreeSet<TableName>,
    ) -> Result<(), Failure> {
        let early = || {
            Failure::new(
                codes::apply::DDL_TOO_EARLY,
                format!("ending at {}: {}", ddl.position, shortened(&ddl.statement)),
            )
        };
        let statement =
            DdlStatement::parse(without_phase(&ddl.statement), &self.context(ddl)).map_err(|_| early())?;
        let selected = |name: &TableName| {
            !self.selection.removed.contains(name)
                && (self.selection.named.contains_key(name) || (self.selection.new_tables)(name).is_some())
        };
        match &statement {
            DdlStatement::CreateTable(create)
                if !self.selection.named.contains_key(&create.table) && !create.temporary =>
            {
                born.insert(create.table.clone());
                return Ok(());
            }
            DdlStatement::CreateTableLike(create)
                if !self.selection.named.contains_key(&create.table) && !create.temporary =>
            {
                born.insert(create.table.clone());
                return Ok(());
            }
            // The table was there when the project was created.
            DdlStatement::CreateTable(create) if create.if_not_exists => return Ok(()),
            DdlStatement::CreateTableLike(create) if create.if_not_exists => return Ok(()),
            DdlStatement::DropDatabase { name, .. } if tracker.follows_database(name) => return Err(early()),
            _ => {}
        }
        let objects = statement.objects();
        if objects.iter().all(|name| born.contains(name)) {
            return Ok(());
        }
        if objects.iter().any(|name| selected(name)) {
            return Err(early());
        }
        Ok(())
    }
}

/// Whether everything that a statement is about came after the beginning of the log.
pub(super) fn is_about(statement: &DdlStatement, born: &BTreeSet<TableName>) -> bool {
    let objects = statement.objects();
    !objects.is_empty() && objects.iter().all(|name| born.contains(name))
}

fn refuse(code: &str, reason: String) -> Verdict {
    Verdict::Refuse {
        code: code.to_owned(),
        reason,
    }
}

/// Tables that a text may be about.
fn named_in(text: &str, tables: &BTreeMap<TableName, TableName>) -> BTreeSet<TableName> {
    let text = text.to_lowercase();
    let named = tables
        .keys()
        .filter(|name| text.contains(&name.table.to_lowercase()));
    named.cloned().collect()
}

/// What kind of statement messages call it.
pub(super) fn kind(statement: &DdlStatement) -> DefinitionKind {
    match statement {
        DdlStatement::CreateTable(_) | DdlStatement::CreateTableLike(_) => DefinitionKind::CreateTable,
        DdlStatement::AlterTable(alter)
            if !alter.clauses.is_empty()
                && alter
                    .clauses
                    .iter()
                    .all(|c| matches!(c, AlterClause::TruncatePartitions(_))) =>
        {
            DefinitionKind::TruncatePartition
        }
        DdlStatement::AlterTable(_) => DefinitionKind::AlterTable,
        DdlStatement::DropTable { .. } => DefinitionKind::DropTable,
        DdlStatement::TruncateTable { .. } => DefinitionKind::TruncateTable,
        DdlStatement::RenameTable { .. } => DefinitionKind::RenameTable,
        DdlStatement::CreateIndex { .. } => DefinitionKind::CreateIndex,
        DdlStatement::DropIndex { .. } => DefinitionKind::DropIndex,
        _ => DefinitionKind::Other,
    }
}

/// A statement for a message.
pub(super) fn shortened(statement: &str) -> String {
    const SHOWN: usize = 400;
    let mut characters = statement.chars();
    let mut text: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        text.push('…');
    }
    text
}
