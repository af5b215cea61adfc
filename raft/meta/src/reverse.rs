//! Projects that bring changes back. The argument is in `node/docs/reverse-and-loops.md`.

use oms_proto::{
    meta::{ProjectRecord, SelectedObject},
    v1::{Project, ProjectState, StepKind},
};
use oms_types::{ErrorCode, ProjectId, codes};

use crate::{
    changes::is_under_way,
    state::{MetaState, Outcome, project_name, refuse},
    steps_of,
    switchover::{forward_stopped, under_way},
};

impl MetaState {
    /// The reverse projects of a project that are not released, by id.
    pub fn reverse_projects<'a>(&'a self, of: &'a str) -> impl Iterator<Item = &'a ProjectRecord> {
        self.projects().filter(move |r| {
            let project = r.public.as_ref();
            project.is_some_and(|p| p.reverse_of == of && p.state() != ProjectState::Released)
        })
    }

    /// Why a record must not become a reverse project, if it wants to be one and must not.
    pub(crate) fn unfit_reverse(&self, record: &ProjectRecord) -> Option<(ErrorCode, String)> {
        let project = record.public.as_ref()?;
        if project.reverse_of.is_empty() {
            return None;
        }
        let invalid = |words: String| Some((codes::api::INVALID_ARGUMENT, words));
        let wrong = |words: String| Some((codes::api::WRONG_STATE, words));
        let Some((forward, of)) = self
            .projects
            .get(&project.reverse_of)
            .and_then(|r| Some((r.as_ref(), r.public.as_ref()?)))
        else {
            return Some((
                codes::api::NOT_FOUND,
                format!("project {} does not exist", project.reverse_of),
            ));
        };
        let id = |p: &Project| p.id.parse::<ProjectId>().ok();
        let related = match (id(project), id(of)) {
            (Some(own), Some(of)) => own != of && own.family() == of.family(),
            _ => false,
        };
        if !related {
            return invalid(format!(
                "{:?} is not the id of a reverse project of {}: its writes would not be told from others",
                project.id, of.id
            ));
        }
        if record.source_id != forward.destination_id || record.destination_id != forward.source_id {
            return invalid(
                "a reverse project has its project's source and destination exchanged".to_owned(),
            );
        }
        if !record.selection.iter().all(|o| turned(o, &forward.selection)) {
            return invalid(
                "a reverse project moves its project's tables, turned round, and no others".to_owned(),
            );
        }
        let alone = project.spec.as_ref().is_some_and(|spec| {
            steps_of(spec).iter().all(|s| {
                matches!(
                    s.kind(),
                    StepKind::TransferPrecheck | StepKind::TransferIncrLogPull | StepKind::IncrTransfer
                )
            })
        });
        if !alone {
            return invalid("a reverse project has the step `incremental` alone".to_owned());
        }
        if !of.parent.is_empty() {
            return wrong(format!(
                "it moves objects that were added to project {}",
                of.parent
            ));
        }
        if matches!(
            of.state(),
            ProjectState::Init | ProjectState::Releasing | ProjectState::Released
        ) {
            return wrong(format!(
                "project {:?} is {}; its changes can come back while it moves something",
                project_name(forward),
                of.state().name()
            ));
        }
        if forward_stopped(of) && record.log_start.is_empty() {
            return wrong(format!(
                "project {:?} has switched over: what was written at its destination since would be missed by a link that begins now",
                project_name(forward)
            ));
        }
        if under_way(of).is_some() {
            return wrong(format!(
                "project {:?} is switching over; wait for that",
                project_name(forward)
            ));
        }
        if of.changes.last().is_some_and(is_under_way) {
            return wrong(format!(
                "objects are being added to project {:?}; wait for that",
                project_name(forward)
            ));
        }
        if let Some(other) = self.reverse_projects(&of.id).next() {
            return Some((
                codes::api::ALREADY_EXISTS,
                format!(
                    "project {:?} has a reverse project already: {:?}",
                    project_name(forward),
                    project_name(other)
                ),
            ));
        }
        None
    }

    /// Refuses to add objects where a link in the other direction would not know of them.
    pub(crate) fn has_fixed_objects(&self, project: &Project) -> Outcome {
        if !project.reverse_of.is_empty() {
            return refuse(
                codes::api::WRONG_STATE,
                format!(
                    "it brings changes of project {} back; its objects are those of that project",
                    project.reverse_of
                ),
            );
        }
        match self.reverse_projects(&project.id).next() {
            Some(reverse) => refuse(
                codes::api::WRONG_STATE,
                format!(
                    "its changes come back by project {:?}, which would not know of the objects; release that first",
                    project_name(reverse)
                ),
            ),
            None => Ok(0),
        }
    }
}

/// Whether it is one of the tables with its names exchanged.
fn turned(object: &SelectedObject, tables: &[SelectedObject]) -> bool {
    !object.view
        && tables
            .iter()
            .any(|t| !t.view && t.source == object.destination && t.destination == object.source)
}
