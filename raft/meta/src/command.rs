//! Commands of the replicated log.

use oms_proto::{
    meta::{Command, CreateProject, DataSourceRecord, UpsertObjects, command::Body},
    v1::{DataSourceKind, DdlSynchronization, ObjectKind, ProjectSpec, StepKind, TableSelection},
};
use prost::Message as _;

use crate::VERSION;

/// The body of a command.
pub type MetaCommand = Body;

/// What this binary can do. Rises when a command, or a field that changes what a command does, is added.
///
/// Every node puts it into what it registers. 1: projects on one node. 2: membership, tokens, frozen components, raised epochs.
/// 3: preferred regions of the leader, and standing for election when the leader asks; projects that are tuned;
/// commit order and presets of incremental synchronization. 4: objects that are added and removed, options that are set,
/// templates; following statements that define tables; filters of rows, choice and mapping of columns, choice of changes;
/// projects to Kafka and data sources of that kind;
/// what a conversion loses may stop a project, constraints may wait for the switchover, and objects are recorded with
/// their conversions and times. 5: reverse projects and switchovers; further options of projects to Kafka.
pub const FEATURE_LEVEL: u32 = 5;

/// Wraps a body for the log. `now_ms` is the proposer's clock.
pub fn command(now_ms: i64, body: Body) -> Vec<u8> {
    Command {
        version: VERSION,
        now_ms,
        body: Some(body),
    }
    .encode_to_vec()
}

/// Whether incremental synchronization is asked for in words that an older node would pass over.
fn orders_or_presets_lanes(create: &CreateProject) -> bool {
    let project = create.record.as_ref().and_then(|r| r.public.as_ref());
    let options = project.and_then(|p| p.spec.as_ref()).and_then(|s| s.incremental);
    options.is_some_and(|o| o.commit_order != 0 || o.concurrency != 0)
}

/// Whether statements that define tables are to be followed: an older node would stop at them.
fn follows_ddl(create: &CreateProject) -> bool {
    let project = create.record.as_ref().and_then(|r| r.public.as_ref());
    let options = project.and_then(|p| p.spec.as_ref()).and_then(|s| s.incremental);
    options.is_some_and(|o| o.ddl() == DdlSynchronization::Follow)
}

/// Whether a project chooses rows, columns or changes of its tables, and does not move all of them as they are.
pub fn chooses_rows_or_columns(spec: &ProjectSpec) -> bool {
    let shapes = |t: &TableSelection| {
        !t.filter.is_empty()
            || !t.columns.is_empty()
            || !t.omit_columns.is_empty()
            || !t.rename_columns.is_empty()
            || !t.add_columns.is_empty()
            || t.dml.is_some()
    };
    spec.incremental.is_some_and(|i| i.dml.is_some())
        || spec.databases.iter().flat_map(|d| &d.tables).any(shapes)
}

fn chooses(create: &CreateProject) -> bool {
    let project = create.record.as_ref().and_then(|r| r.public.as_ref());
    project
        .and_then(|p| p.spec.as_ref())
        .is_some_and(chooses_rows_or_columns)
}

/// Whether tables may become one: an older node would write each as if it were alone.
fn merges(create: &CreateProject) -> bool {
    let project = create.record.as_ref().and_then(|r| r.public.as_ref());
    project
        .and_then(|p| p.spec.as_ref())
        .is_some_and(|s| s.merge_tables)
}

/// Whether the schema is asked for in words that an older node would pass over.
fn decides_losses_or_moments(create: &CreateProject) -> bool {
    let project = create.record.as_ref().and_then(|r| r.public.as_ref());
    let options = project
        .and_then(|p| p.spec.as_ref())
        .and_then(|s| s.schema.as_ref());
    options.is_some_and(|o| o.lossy != 0 || o.foreign_keys != 0 || o.checks != 0)
}

/// Whether it is the way back of another project: an older node would not know where its log begins, nor which writes are
/// those of the other.
fn is_reverse(create: &CreateProject) -> bool {
    let Some(record) = create.record.as_ref() else {
        return false;
    };
    let project = record.public.as_ref();
    let asked = project.and_then(|p| p.spec.as_ref());
    !record.log_start.is_empty()
        || project.is_some_and(|p| !p.reverse_of.is_empty())
        || asked.is_some_and(|s| !s.reverse_of.is_empty())
}

/// Whether the destination is a Kafka cluster, which an older node does not know.
fn publishes(create: &CreateProject) -> bool {
    let project = create.record.as_ref().and_then(|r| r.public.as_ref());
    let spec = project.and_then(|p| p.spec.as_ref());
    spec.is_some_and(|s| s.kafka.is_some())
}

/// Whether messages are chosen to be split: an older node would stop at one that is too large.
fn splits_messages(create: &CreateProject) -> bool {
    let project = create.record.as_ref().and_then(|r| r.public.as_ref());
    let options = project
        .and_then(|p| p.spec.as_ref())
        .and_then(|s| s.kafka.as_ref());
    options.is_some_and(|k| k.oversized != 0 || k.split_bytes != 0)
}

/// Whether a data source is a Kafka cluster.
fn is_kafka(record: Option<&DataSourceRecord>) -> bool {
    let connection = record
        .and_then(|r| r.public.as_ref())
        .and_then(|p| p.connection.as_ref());
    connection.is_some_and(|c| c.kind() == DataSourceKind::Kafka)
}

/// Whether an older node would forget a part of what is recorded.
fn records_conversions(c: &UpsertObjects) -> bool {
    c.objects.iter().any(|o| {
        !o.conversions.is_empty()
            || o.at_switchover
            || o.started_at_ms != 0
            || o.ended_at_ms != 0
            || matches!(o.kind(), ObjectKind::Check | ObjectKind::Trigger)
    })
}

/// The feature level that every node needs before a command may be proposed.
///
/// A node that does not know a command refuses it. So that all nodes do, the state machine refuses commands above
/// [`crate::MetaState::feature_level`] also where they are known.
pub fn level_of(body: &MetaCommand) -> u32 {
    match body {
        // An older node would pass over the assignment.
        Body::AssignComponent(a) if a.step() == StepKind::TransferAppSwitch => 5,
        Body::AssignComponent(a) if a.by_user || a.avoid_former || !a.waiting.is_empty() => 2,
        Body::ReportComponent(r) if r.facts.as_ref().is_some_and(|f| !f.settled.is_empty()) => 4,
        Body::CreateProject(c) if is_reverse(c) => 5,
        // An older node would look for a database at the brokers.
        Body::CreateProject(c) if publishes(c) && follows_ddl(c) => 5,
        Body::CreateProject(c) if splits_messages(c) => 5,
        // An older node would pass over the words of a choice and move everything.
        Body::CreateProject(c)
            if follows_ddl(c) || chooses(c) || merges(c) || decides_losses_or_moments(c) =>
        {
            4
        }
        Body::CreateProject(c) if publishes(c) => 4,
        Body::CreateDataSource(c) if is_kafka(c.record.as_ref()) => 4,
        Body::UpdateDataSource(c) if is_kafka(c.record.as_ref()) => 4,
        Body::UpsertObjects(c) if records_conversions(c) => 4,
        Body::CreateProject(c) if orders_or_presets_lanes(c) => 3,
        Body::CreateDataSource(_)
        | Body::UpdateDataSource(_)
        | Body::DeleteDataSource(_)
        | Body::CreateProject(_)
        | Body::ChangeProject(_)
        | Body::DeleteProject(_)
        | Body::StepTransition(_)
        | Body::AssignComponent(_)
        | Body::ReportComponent(_)
        | Body::UpsertObjects(_)
        | Body::DecideObject(_)
        | Body::SetPrecheckItems(_)
        | Body::SetVerifiedTables(_)
        | Body::RegisterNode(_) => 1,
        Body::AdmitNode(_)
        | Body::ChangeNode(_)
        | Body::RemoveNode(_)
        | Body::CreateToken(_)
        | Body::RevokeToken(_)
        | Body::FreezeComponent(_)
        | Body::RaiseEpochs(_) => 2,
        Body::SetPreferredRegions(_) | Body::TuneProject(_) => 3,
        Body::AddObjects(_)
        | Body::RemoveObjects(_)
        | Body::DecideObjectChange(_)
        | Body::JoinObjects(_)
        | Body::SetProject(_)
        | Body::PutTemplate(_)
        | Body::DeleteTemplate(_)
        | Body::DecideDdl(_)
        | Body::SetFollowedTables(_) => 4,
        Body::StartSwitchover(_)
        | Body::DecideSwitchover(_)
        | Body::AdvanceSwitchover(_)
        | Body::ReportSwitchover(_) => 5,
    }
}
