//! A planned object as the API shows it.

use oms_core::ObjectKind;
use oms_proto::v1::{self, ErrorInfo, ObjectState, SchemaObject};
use oms_schema::{ObjectState as PlanState, PlannedObject};

fn kind_of(kind: ObjectKind) -> v1::ObjectKind {
    match kind {
        ObjectKind::Database => v1::ObjectKind::Database,
        ObjectKind::Table => v1::ObjectKind::Table,
        ObjectKind::Index => v1::ObjectKind::Index,
        ObjectKind::ForeignKey => v1::ObjectKind::ForeignKey,
        ObjectKind::View => v1::ObjectKind::View,
    }
}

fn state_of(state: PlanState) -> ObjectState {
    match state {
        PlanState::Initializing | PlanState::Obtained | PlanState::Ready | PlanState::Creating => {
            ObjectState::Ready
        }
        PlanState::Completed => ObjectState::Completed,
        PlanState::CompletedWithConversion => ObjectState::Converted,
        PlanState::Skipped => ObjectState::Skipped,
        PlanState::Removed => ObjectState::Removed,
        PlanState::Failed => ObjectState::Failed,
        PlanState::FailedToObtain => ObjectState::NotObtained,
        PlanState::NotSupported => ObjectState::NotSupported,
    }
}

/// An object of a plan with its statements, what the conversion changes, and what stands in its way.
pub(crate) fn shown(planned: &PlannedObject) -> SchemaObject {
    let r = &planned.record;
    let notes = r.notes.iter().map(|n| {
        let change = if n.to.is_empty() {
            format!("{} left out", n.from)
        } else {
            format!("{} → {}", n.from, n.to)
        };
        let loss = if n.lossy { " (loses something)" } else { "" };
        format!("{}: {}: {change}{loss}", n.object, n.what)
    });
    SchemaObject {
        kind: kind_of(r.source.kind) as i32,
        database: r.source.database.clone(),
        table: r.source.table.clone(),
        part: r.source.part.clone(),
        state: state_of(r.state) as i32,
        source_definition: r.source_definition.clone(),
        statements: r.to_execute().into_iter().map(str::to_owned).collect(),
        edited: r.edited.is_some(),
        notes: notes.collect(),
        error: r.error.as_ref().map(|e| ErrorInfo {
            code: e.code.clone(),
            message: e.text.clone(),
            failed_at_ms: 0,
        }),
        postponed: planned.after_data,
        destination_database: r.name.database.clone(),
        destination_table: r.name.table.clone(),
    }
}
