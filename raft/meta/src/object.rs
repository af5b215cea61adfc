//! Commands on what a project's components found: schema objects, precheck items, verified tables.

use oms_proto::{
    meta::{DecideObject, ProjectRecord, SetPrecheckItems, SetVerifiedTables, UpsertObjects},
    v1::{ObjectDecision, ObjectState, SchemaObject, VerifiedTable},
};
use oms_types::{ComponentKind, ErrorCode, codes};

use crate::{
    project::bump,
    state::{MetaState, Outcome, refuse},
};

type Key<'a> = (i32, &'a str, &'a str, &'a str);

fn key(o: &SchemaObject) -> Key<'_> {
    (o.kind, &o.database, &o.table, &o.part)
}

impl MetaState {
    /// The record, if the component's epoch is the caller's.
    pub(crate) fn owned(
        &mut self,
        project: &str,
        kind: ComponentKind,
        epoch: u64,
    ) -> Result<&mut ProjectRecord, (ErrorCode, String)> {
        let Some(record) = self.project_mut(project) else {
            return Err((codes::api::NOT_FOUND, format!("project {project} does not exist")));
        };
        let current = record
            .components
            .iter()
            .find(|c| c.kind == kind.as_str())
            .map_or(0, |c| c.epoch);
        if current != epoch {
            return Err((
                codes::apply::FENCED,
                format!("the epoch of {project}.{kind} is {current}, not {epoch}"),
            ));
        }
        Ok(record)
    }

    pub(crate) fn upsert_objects(&mut self, now: i64, c: &UpsertObjects) -> Outcome {
        let record = self.owned(&c.project, ComponentKind::SchemaMigration, c.epoch)?;
        if c.replace {
            record
                .objects
                .retain(|old| c.objects.iter().any(|new| key(new) == key(old)));
        }
        let at: std::collections::BTreeMap<(i32, String, String, String), usize> = record
            .objects
            .iter()
            .enumerate()
            .map(|(i, o)| ((o.kind, o.database.clone(), o.table.clone(), o.part.clone()), i))
            .collect();
        for object in &c.objects {
            let k = (
                object.kind,
                object.database.clone(),
                object.table.clone(),
                object.part.clone(),
            );
            match at.get(&k).and_then(|i| record.objects.get_mut(*i)) {
                Some(slot) => *slot = object.clone(),
                None => record.objects.push(object.clone()),
            }
        }
        bump(record, now)
    }

    pub(crate) fn decide_object(&mut self, now: i64, c: &DecideObject) -> Outcome {
        let Some(request) = &c.request else {
            return refuse(codes::api::INVALID_ARGUMENT, "the decision is missing");
        };
        let Some(record) = self.project_mut(&request.project) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", request.project),
            );
        };
        let decision = request.decision();
        let every = request.table.is_empty() && request.database.is_empty();
        if decision == ObjectDecision::Unspecified || (every && decision == ObjectDecision::Edit) {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                "name the object and one of retry, skip, remove, edit",
            );
        }
        if decision == ObjectDecision::Edit && request.statements.iter().all(|s| s.trim().is_empty()) {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                "an edit needs at least one statement",
            );
        }
        let open = |s: ObjectState| {
            matches!(
                s,
                ObjectState::Failed | ObjectState::NotObtained | ObjectState::NotSupported
            )
        };
        let mut hit = 0u64;
        for object in &mut record.objects {
            let named = object.kind == request.kind
                && object.database == request.database
                && object.table == request.table
                && object.part == request.part;
            if !(named || every) {
                continue;
            }
            if !open(object.state()) {
                if every {
                    continue;
                }
                return refuse(
                    codes::api::WRONG_STATE,
                    format!(
                        "the object is {}; only objects that failed can be decided",
                        object.state().name()
                    ),
                );
            }
            hit += 1;
            // A retried object keeps its error until it was tried: the next run knows by it that this project had not
            // created what is there.
            if decision != ObjectDecision::Retry {
                object.error = None;
            }
            match decision {
                ObjectDecision::Unspecified => {}
                ObjectDecision::Retry => object.set_state(ObjectState::Ready),
                ObjectDecision::Skip => object.set_state(ObjectState::Skipped),
                ObjectDecision::Remove => object.set_state(ObjectState::Removed),
                ObjectDecision::Edit => {
                    object.statements.clone_from(&request.statements);
                    object.edited = true;
                    object.set_state(ObjectState::Ready);
                }
            }
        }
        if hit == 0 && !every {
            return refuse(
                codes::api::NOT_FOUND,
                format!(
                    "`{}`.`{}` is not an object of this project",
                    request.database, request.table
                ),
            );
        }
        bump(record, now)
    }

    pub(crate) fn set_precheck_items(&mut self, now: i64, c: &SetPrecheckItems) -> Outcome {
        let record = self.owned(&c.project, ComponentKind::Precheck, c.epoch)?;
        record.precheck_items.clone_from(&c.items);
        bump(record, now)
    }

    pub(crate) fn set_verified_tables(&mut self, now: i64, c: &SetVerifiedTables) -> Outcome {
        let record = self.owned(&c.project, ComponentKind::FullVerification, c.epoch)?;
        if c.replace {
            record.verified_tables.clear();
        }
        for table in &c.tables {
            let same = |t: &VerifiedTable| t.database == table.database && t.table == table.table;
            match record.verified_tables.iter_mut().find(|t| same(t)) {
                Some(slot) => *slot = table.clone(),
                None => record.verified_tables.push(table.clone()),
            }
        }
        bump(record, now)
    }
}
