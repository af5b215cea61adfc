//! Statements of the source that define tables, and decisions about them.

use std::sync::Arc;

use oms_actors::{DdlEntry, EntryState, History};
use oms_core::{ComponentId, ComponentKind, Failure, codes};
use oms_meta::MetaCommand;
use oms_proto::{
    meta::{DecideDdl, ProjectRecord},
    v1::{
        DataSourceKind, DdlDecision, DdlState, DdlStatement, DdlSynchronization, DecideDdlRequest,
        ListDdlRequest, ListDdlResponse,
    },
};
use oms_publish::NoteRecords;
use oms_types::ProjectId;

use super::{Projects, find, public};
use crate::connectors::Connector;

/// Statements of an answer, unless another number is asked for.
const LISTED: u32 = 100;
/// The most statements of an answer.
const MOST_LISTED: u32 = 1_000;
/// Bytes of texts after which an answer ends.
const ANSWER_BYTES: usize = 2 << 20;

impl Projects {
    /// The history of a project that follows statements; the destination keeps it, so any node can be asked.
    async fn history(&self, name: &str) -> Result<(ProjectRecord, History), Failure> {
        let state = self.0.metadata.latest().await?;
        let record = find(&state, name)?;
        let project = public(record)?;
        let incremental = project.spec.as_ref().and_then(|s| s.incremental);
        if incremental.is_none_or(|i| i.ddl() != DdlSynchronization::Follow) {
            return Err(Failure::new(
                codes::api::WRONG_STATE,
                format!("project {name:?} does not follow statements that define tables (incremental.ddl)"),
            ));
        }
        let id: ProjectId = project
            .id
            .parse()
            .map_err(|e| Failure::new(codes::api::INTERNAL, format!("{}: {e}", project.id)))?;
        let destination = Connector::of(&state, &self.0.vault, &record.destination_id)?;
        let component = ComponentId::new(id, ComponentKind::IncrSync);
        if destination.kind() == DataSourceKind::Kafka {
            let queue = Arc::new(destination.kafka()?);
            let reader = Arc::new(NoteRecords::new(queue, component));
            return Ok((record.clone(), History::new(reader)));
        }
        let reader = destination
            .sink()?
            .records(&component)
            .ok_or_else(|| Failure::new(codes::api::INTERNAL, "the destination keeps no records"))?;
        Ok((record.clone(), History::new(reader)))
    }

    pub(super) async fn ddl_statements(&self, r: ListDdlRequest) -> Result<ListDdlResponse, Failure> {
        let (record, history) = self.history(&r.project).await?;
        let limit = match r.limit {
            0 => LISTED,
            n => n.min(MOST_LISTED),
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut answer = ListDdlResponse::default();
        let mut next = r.from.max(1);
        let mut bytes = 0;
        loop {
            let entries = history.entries(next, limit.min(64)).await?;
            if entries.is_empty() {
                return Ok(answer);
            }
            for entry in entries {
                next = entry.number + 1;
                if !r.all && entry.state == EntryState::Passed {
                    continue;
                }
                bytes += entry.statement.len() + entry.steps.iter().map(|s| s.sql.len()).sum::<usize>();
                answer.statements.push(shown(&record, entry));
                if answer.statements.len() >= limit || bytes >= ANSWER_BYTES {
                    answer.next = next;
                    return Ok(answer);
                }
            }
        }
    }

    pub(super) async fn decided_ddl(&self, r: DecideDdlRequest) -> Result<DdlStatement, Failure> {
        let invalid = |words: &str| Err(Failure::new(codes::api::INVALID_ARGUMENT, words.to_owned()));
        let statements: Vec<String> = match r.decision() {
            DdlDecision::Unspecified => return invalid("decision: skip or edit"),
            DdlDecision::Skip if !r.statements.is_empty() => {
                return invalid("statements: nothing is executed when a statement is skipped");
            }
            DdlDecision::Skip => Vec::new(),
            DdlDecision::Edit if r.statements.iter().all(|s| s.trim().is_empty()) => {
                return invalid("statements: an edit needs at least one; skip executes none");
            }
            DdlDecision::Edit => r.statements.iter().map(|s| s.trim().to_owned()).collect(),
        };
        let (record, history) = self.history(&r.project).await?;
        let found = history.entries(r.number, 1).await?.into_iter().next();
        let Some(entry) = found.filter(|entry| entry.number == r.number) else {
            return Err(Failure::new(
                codes::api::NOT_FOUND,
                format!("project {:?} has met no statement {}", r.project, r.number),
            ));
        };
        if entry.state != EntryState::Waiting {
            return Err(Failure::new(
                codes::api::WRONG_STATE,
                format!(
                    "statement {} is {}; only one that stopped the project is decided about",
                    r.number,
                    state(entry.state).name()
                ),
            ));
        }
        let project = public(&record)?.id;
        let command = DecideDdl {
            project: project.clone(),
            number: r.number,
            statements,
        };
        self.0.metadata.propose(MetaCommand::DecideDdl(command)).await?;
        let state = self.0.metadata.latest().await?;
        Ok(shown(find(&state, &project)?, entry))
    }
}

fn state(state: EntryState) -> DdlState {
    match state {
        EntryState::Waiting => DdlState::Waiting,
        EntryState::Running => DdlState::Running,
        EntryState::Done => DdlState::Done,
        EntryState::Skipped => DdlState::Skipped,
        EntryState::Passed => DdlState::Passed,
    }
}

fn shown(record: &ProjectRecord, entry: DdlEntry) -> DdlStatement {
    let decision = record.ddl_decisions.iter().find(|d| d.number == entry.number);
    let decision = match decision {
        None => DdlDecision::Unspecified,
        Some(d) if d.statements.is_empty() => DdlDecision::Skip,
        Some(_) => DdlDecision::Edit,
    };
    DdlStatement {
        number: entry.number,
        state: state(entry.state) as i32,
        position: entry.position.to_string(),
        executed_at_ms: entry.source_time_us / 1_000,
        database: entry.database,
        statement: entry.statement,
        steps_done: u32::try_from(entry.done).unwrap_or(u32::MAX),
        steps: entry.steps.into_iter().map(|s| s.sql).collect(),
        notes: entry.notes,
        outcome: entry.outcome,
        error_code: entry.error_code,
        started_at_ms: entry.started_at_ms,
        ended_at_ms: entry.ended_at_ms,
        decision: decision as i32,
    }
}
