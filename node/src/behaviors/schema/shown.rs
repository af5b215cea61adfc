//! A planned object as the API shows it.

use oms_core::ObjectKind;
use oms_proto::v1::{self, ErrorInfo, ObjectState, SchemaObject};
use oms_schema::{ConversionNote, ObjectState as PlanState, PlannedObject, Severity};

fn kind_of(kind: ObjectKind) -> v1::ObjectKind {
    match kind {
        ObjectKind::Database => v1::ObjectKind::Database,
        ObjectKind::Table => v1::ObjectKind::Table,
        ObjectKind::Index => v1::ObjectKind::Index,
        ObjectKind::ForeignKey => v1::ObjectKind::ForeignKey,
        ObjectKind::View => v1::ObjectKind::View,
        ObjectKind::Check => v1::ObjectKind::Check,
        ObjectKind::Trigger => v1::ObjectKind::Trigger,
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

fn conversion(note: &ConversionNote) -> v1::Conversion {
    v1::Conversion {
        part: note.object.clone(),
        what: note.what.clone(),
        from: note.from.clone(),
        to: note.to.clone(),
        severity: match note.severity() {
            Severity::Exact => v1::ConversionSeverity::Exact,
            Severity::Equivalent => v1::ConversionSeverity::Equivalent,
            Severity::Lossy => v1::ConversionSeverity::Lossy,
            Severity::NotMoved => v1::ConversionSeverity::NotMoved,
        } as i32,
    }
}

/// What of an object is lost.
pub(crate) fn losses(object: &SchemaObject) -> impl Iterator<Item = &v1::Conversion> {
    use v1::ConversionSeverity::{Lossy, NotMoved};
    object
        .conversions
        .iter()
        .filter(|c| matches!(c.severity(), Lossy | NotMoved))
}

/// Counts objects by the worst of their conversions.
pub(crate) fn summary<'o>(objects: impl IntoIterator<Item = &'o SchemaObject>) -> v1::ConversionSummary {
    use v1::ConversionSeverity::{Equivalent, Exact, Lossy, NotMoved, Unspecified};
    let mut sum = v1::ConversionSummary::default();
    for object in objects {
        let refused = matches!(
            object.state(),
            ObjectState::Failed | ObjectState::NotObtained | ObjectState::NotSupported
        );
        let worst = object.conversions.iter().map(|c| c.severity()).max();
        let count = match worst.unwrap_or(Unspecified) {
            _ if object.at_switchover => &mut sum.at_switchover,
            _ if refused => &mut sum.refused,
            Unspecified | Exact => &mut sum.exact,
            Equivalent => &mut sum.equivalent,
            Lossy => &mut sum.lossy,
            NotMoved => &mut sum.not_moved,
        };
        *count += 1;
    }
    sum
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
        conversions: r.notes.iter().map(conversion).collect(),
        at_switchover: planned.at_switchover,
        started_at_ms: 0,
        ended_at_ms: 0,
        destination_database: r.name.database.clone(),
        destination_table: r.name.table.clone(),
    }
}
