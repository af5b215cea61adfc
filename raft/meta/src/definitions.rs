//! Commands about statements of the source that define tables.

use oms_proto::{
    meta::{DdlDecisionRecord, DecideDdl, ProjectRecord, QualifiedName, SelectedObject, SetFollowedTables},
    v1::{DdlSynchronization, ProjectState},
};
use oms_types::{ComponentKind, codes};

use crate::{
    project::bump,
    state::{MetaState, Outcome, refuse},
};

/// Decisions that are kept. Older ones were followed long ago.
const DECISIONS: usize = 1_000;

impl MetaState {
    pub(crate) fn decide_ddl(&mut self, now: i64, c: &DecideDdl) -> Outcome {
        let Some(record) = self.project_mut(&c.project) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", c.project),
            );
        };
        let project = record.public.as_ref();
        let state = project.map_or(ProjectState::Unspecified, |p| p.state());
        if matches!(state, ProjectState::Releasing | ProjectState::Released) {
            return refuse(
                codes::api::WRONG_STATE,
                format!("the project is {}; nothing of it runs again", state.name()),
            );
        }
        let incremental = project.and_then(|p| p.spec.as_ref()).and_then(|s| s.incremental);
        if incremental.is_none_or(|i| i.ddl() != DdlSynchronization::Follow) {
            return refuse(
                codes::api::WRONG_STATE,
                "the project does not follow statements that define tables (incremental.ddl)",
            );
        }
        if c.number == 0 {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                "the number of the statement is missing",
            );
        }
        if c.statements.iter().any(|s| s.trim().is_empty()) {
            return refuse(codes::api::INVALID_ARGUMENT, "a statement is empty");
        }
        let last = record.ddl_decisions.iter().map(|d| d.decided_at_ms).max();
        record.ddl_decisions.retain(|d| d.number != c.number);
        record.ddl_decisions.push(DdlDecisionRecord {
            number: c.number,
            // A later decision has a later time, whatever the clocks of the nodes say.
            decided_at_ms: now.max(last.unwrap_or(0).saturating_add(1)),
            statements: c.statements.clone(),
        });
        let over = record.ddl_decisions.len().saturating_sub(DECISIONS);
        record.ddl_decisions.drain(..over);
        bump(record, now)
    }

    pub(crate) fn set_followed_tables(&mut self, now: i64, c: &SetFollowedTables) -> Outcome {
        let known = match self.owned(&c.project, ComponentKind::IncrSync, c.epoch) {
            Ok(record) => record.clone(),
            Err(refused) => return Err(refused),
        };
        let wanted = ProjectRecord {
            selection: c.added.clone(),
            ..known
        };
        if let Some((code, message)) = self.overlap(&wanted) {
            return refuse(code, message);
        }
        let record = self.owned(&c.project, ComponentKind::IncrSync, c.epoch)?;
        let is = |object: &SelectedObject, name: Option<&QualifiedName>| {
            !object.view && object.source.as_ref() == name
        };
        for object in &mut record.selection {
            if c.gone.iter().any(|name| is(object, Some(name))) {
                object.gone = true;
            }
        }
        for added in &c.added {
            let slot = record.selection.iter_mut().find(|o| is(o, added.source.as_ref()));
            match slot {
                Some(slot) => *slot = added.clone(),
                None => record.selection.push(added.clone()),
            }
        }
        bump(record, now)
    }
}
