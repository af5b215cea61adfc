//! Bytes that releases wrote are read as what they meant, for ever.
//!
//! Each file is one shape of one feature level. A file is never changed: who adds a field adds a level, a sample and a
//! file (`WRITE_FIXTURES=1 cargo test -p oms-meta --test fixtures` writes those that are missing).
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::PathBuf};

use oms_meta::{FEATURE_LEVEL, MetaState, level_of};
use oms_proto::{meta::*, v1};
use prost::Message as _;

fn path(name: &str, level: u32) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(format!("{name}.{level}.bin"))
}

/// The bytes of a fixture.
fn bytes(name: &str, level: u32, sample: &[u8]) -> Vec<u8> {
    let path = path(name, level);
    if !path.exists() && std::env::var_os("WRITE_FIXTURES").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, sample).unwrap();
    }
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn error() -> v1::ErrorInfo {
    v1::ErrorInfo {
        code: "OMS-SRC-0001".into(),
        message: "m".into(),
        failed_at_ms: 11,
    }
}

fn name(database: &str, table: &str) -> QualifiedName {
    QualifiedName {
        database: database.into(),
        table: table.into(),
    }
}

fn data_source() -> DataSourceRecord {
    DataSourceRecord {
        public: Some(v1::DataSource {
            id: "e_1".into(),
            name: "shop".into(),
            connection: Some(v1::Connection {
                kind: v1::DataSourceKind::Mariadb as i32,
                host: "db".into(),
                port: 3306,
                user: "oms".into(),
                tls: v1::TlsMode::Verify as i32,
                tls_ca_pem: "pem".into(),
                database: "shop".into(),
                ..Default::default()
            }),
            remarks: "r".into(),
            region: "east".into(),
            created_at_ms: 1,
            updated_at_ms: 2,
            version: 3,
            facts: Some(v1::ServerFacts {
                version: "10.11".into(),
                flavor: "MariaDB".into(),
                time_zone: "UTC".into(),
                charset: "utf8mb4".into(),
            }),
        }),
        sealed_password: vec![1, 2, 3],
    }
}

fn change() -> v1::ObjectChange {
    v1::ObjectChange {
        number: 1,
        kind: v1::ObjectChangeKind::Add as i32,
        state: v1::ObjectChangeState::Integrating as i32,
        phase: v1::JoinPhase::Drain as i32,
        sub_project: "p_2".into(),
        objects: vec![v1::ChangedObject {
            database: "a".into(),
            table: "b".into(),
            destination_database: "c".into(),
            destination_table: "d".into(),
            view: true,
        }],
        requested_at_ms: 1,
        finished_at_ms: 2,
        error: Some(error()),
        position: "x".into(),
    }
}

fn template() -> v1::Template {
    v1::Template {
        name: "t".into(),
        spec: Some(v1::ProjectSpec {
            full: Some(v1::FullOptions {
                workers: 3,
                ..Default::default()
            }),
            ..Default::default()
        }),
        updated_at_ms: 4,
        version: 2,
    }
}

fn verification() -> v1::VerificationResult {
    v1::VerificationResult {
        run: 1,
        tables: 2,
        rows: 3,
        source_only: 4,
        destination_only: 5,
        mismatched: 6,
        failed_tables: 7,
        consistent: true,
    }
}

fn facts() -> ComponentFacts {
    ComponentFacts {
        store_start: "a".into(),
        safe_until: "b".into(),
        snapshots: vec![SnapshotPosition {
            table: Some(name("d", "t")),
            position: "c".into(),
        }],
        caught_up: true,
        summary: "s".into(),
        verification: Some(verification()),
        applied: "z".into(),
        settled: String::new(),
    }
}

fn object() -> v1::SchemaObject {
    v1::SchemaObject {
        kind: v1::ObjectKind::Table as i32,
        database: "d".into(),
        table: "t".into(),
        part: "p".into(),
        state: v1::ObjectState::Failed as i32,
        source_definition: "create table t".into(),
        statements: vec!["create table t (a int)".into()],
        edited: true,
        notes: vec!["n".into()],
        error: Some(error()),
        postponed: true,
        destination_database: "dd".into(),
        destination_table: "tt".into(),
        ..Default::default()
    }
}

/// With what level 4 added.
fn converted_object() -> v1::SchemaObject {
    v1::SchemaObject {
        conversions: vec![v1::Conversion {
            part: "column `a`".into(),
            what: "type".into(),
            from: "x".into(),
            to: "y".into(),
            severity: v1::ConversionSeverity::Lossy as i32,
        }],
        at_switchover: true,
        started_at_ms: 12,
        ended_at_ms: 13,
        ..object()
    }
}

fn item() -> v1::PrecheckItem {
    v1::PrecheckItem {
        key: "DB_TIME_SYNC".into(),
        side: v1::Side::Both as i32,
        status: v1::PrecheckStatus::Failed as i32,
        skippable: true,
        message: "m".into(),
        action: "a".into(),
    }
}

fn verified() -> v1::VerifiedTable {
    v1::VerifiedTable {
        database: "d".into(),
        table: "t".into(),
        destination_database: "dd".into(),
        destination_table: "tt".into(),
        state: v1::StepState::Finished as i32,
        rows: 1,
        source_only: 2,
        destination_only: 3,
        mismatched: 4,
        error: Some(error()),
    }
}

fn node() -> NodeRecord {
    NodeRecord {
        id: 2,
        address: "10.0.0.2:7070".into(),
        region: "east".into(),
        zone: "east-1".into(),
        version: "0.1.0".into(),
        generation: 4,
        state: v1::NodeState::Cordoned as i32,
        reason: "disk".into(),
        witness: true,
        quota: 9,
        feature_level: 2,
        folder_id: "f".into(),
        joined_at_ms: 5,
    }
}

fn token() -> TokenRecord {
    TokenRecord {
        public: Some(v1::Token {
            id: "t".into(),
            created_at_ms: 1,
            expires_at_ms: 2,
            uses_left: 3,
            remarks: "r".into(),
        }),
        sealed_secret: vec![4, 5],
    }
}

fn project() -> ProjectRecord {
    ProjectRecord {
        public: Some(v1::Project {
            id: "p_1".into(),
            spec: Some(v1::ProjectSpec {
                name: "move".into(),
                labels: vec!["l".into()],
                steps: Some(v1::Steps {
                    schema: true,
                    full: true,
                    incremental: true,
                    verification: true,
                }),
                ..Default::default()
            }),
            state: v1::ProjectState::Running as i32,
            steps: vec![v1::Step {
                kind: v1::StepKind::FullTransfer as i32,
                state: v1::StepState::Failed as i32,
                started_at_ms: 1,
                finished_at_ms: 2,
                error: Some(error()),
                summary: "s".into(),
            }],
            error: Some(error()),
            created_at_ms: 1,
            started_at_ms: 2,
            updated_at_ms: 3,
            version: 4,
            verification: Some(verification()),
            left_behind: vec!["the tables of omsnode_meta".into()],
            parent: String::new(),
            switchovers: Vec::new(),
            changes: Vec::new(),
            reverse_of: String::new(),
        }),
        source_id: "e_1".into(),
        destination_id: "e_2".into(),
        components: vec![ComponentRecord {
            kind: "store".into(),
            node: 2,
            epoch: 3,
            desired: Desired::Run as i32,
            state: v1::ComponentState::Running as i32,
            error: Some(error()),
            updated_at_ms: 4,
            removed: true,
            facts: Some(facts()),
            step: v1::StepKind::TransferIncrLogPull as i32,
            assigned_at_ms: 5,
            frozen_reason: "f".into(),
            placed_because: "b".into(),
            failovers: 6,
            avoid: vec![7, 8],
            waiting: "w".into(),
            moved_at_ms: 9,
            by_user: true,
        }],
        objects: vec![object()],
        precheck_items: vec![item()],
        verified_tables: vec![verified()],
        existing_rows_accepted: true,
        verify_run: 2,
        verify_scope: v1::VerifyScope::All as i32,
        selection: vec![SelectedObject {
            source: Some(name("d", "t")),
            destination: Some(name("dd", "tt")),
            view: true,
            gone: false,
        }],
        release_forced: true,
        joined: Vec::new(),
        settle: false,
        settle_behind: String::new(),
        ddl_decisions: Vec::new(),
        log_start: String::new(),
    }
}

/// One command of each kind, every field set.
/// What the component of a switchover reports.
fn report_switchover_of(outcome: report_switchover::Outcome) -> ReportSwitchover {
    ReportSwitchover {
        project: "p_1".into(),
        epoch: 3,
        number: 2,
        step: v1::SwitchStepKind::Precheck as i32,
        attempt: 4,
        outcome: Some(outcome),
        items: vec![switchover_item()],
        destination_end: String::new(),
    }
}

fn switchover_item() -> v1::SwitchoverItem {
    v1::SwitchoverItem {
        name: "trigger/a.b".into(),
        what: "create it".into(),
        completed_at_ms: 7,
    }
}

/// A switchover with everything that can be said of one.
fn switchover() -> v1::Switchover {
    v1::Switchover {
        number: 2,
        state: v1::SwitchoverState::Cancelling as i32,
        set_read_only: true,
        max_lag_seconds: 30,
        steps: vec![v1::SwitchStep {
            kind: v1::SwitchStepKind::Drained as i32,
            state: v1::SwitchStepState::Failed as i32,
            started_at_ms: 1,
            finished_at_ms: 2,
            error: Some(v1::ErrorInfo {
                code: "OMS-SWITCH-0002".into(),
                message: "m".into(),
                failed_at_ms: 3,
            }),
            summary: "s".into(),
            attempt: 4,
            quiet_until: "q".into(),
            unchecked: true,
        }],
        started_at_ms: 5,
        finished_at_ms: 6,
        stop_position: "p".into(),
        writes_stopped_at_ms: 7,
        drained_position: "d".into(),
        forward_stopped: true,
        forward_stopped_at_ms: 8,
        write_stop_ms: 9,
        skips: vec![v1::SwitchoverSkip {
            step: v1::SwitchStepKind::Verified as i32,
            reason: "known".into(),
            at_ms: 10,
            error: "e".into(),
        }],
        items: vec![switchover_item()],
        log: vec![v1::SwitchoverLogLine {
            at_ms: 11,
            text: "t".into(),
        }],
        source_writes: Some(v1::SourceWrites {
            read_only: true,
            super_read_only: Some(true),
        }),
        reverse_from: "r".into(),
    }
}

fn commands() -> Vec<(&'static str, command::Body)> {
    use command::Body as B;
    let project_name = || "p_1".to_owned();
    vec![
        (
            "create_data_source",
            B::CreateDataSource(CreateDataSource {
                record: Some(data_source()),
            }),
        ),
        (
            "update_data_source",
            B::UpdateDataSource(UpdateDataSource {
                record: Some(data_source()),
                expected_version: 3,
            }),
        ),
        (
            "delete_data_source",
            B::DeleteDataSource(DeleteDataSource { id: "e_1".into() }),
        ),
        (
            "create_project",
            B::CreateProject(CreateProject {
                record: Some(project()),
            }),
        ),
        (
            "change_project",
            B::ChangeProject(ChangeProject {
                id: project_name(),
                change: ProjectChange::Verify as i32,
                verify_scope: v1::VerifyScope::All as i32,
                add_labels: vec!["a".into()],
                remove_labels: vec!["b".into()],
                force: true,
            }),
        ),
        (
            "delete_project",
            B::DeleteProject(DeleteProject { id: project_name() }),
        ),
        (
            "step_transition",
            B::StepTransition(StepTransition {
                project: project_name(),
                expected_version: 4,
                step: v1::StepKind::FullTransfer as i32,
                to: v1::StepState::Failed as i32,
                error: Some(error()),
                summary: "s".into(),
                project_state: v1::ProjectState::Failed as i32,
            }),
        ),
        (
            "assign_component",
            B::AssignComponent(AssignComponent {
                project: project_name(),
                kind: "store".into(),
                node: 2,
                expected_epoch: 3,
                raise_epoch: true,
                desired: Desired::Run as i32,
                step: v1::StepKind::TransferIncrLogPull as i32,
                because: "b".into(),
                failover: true,
                avoid_former: true,
                waiting: "w".into(),
                by_user: true,
            }),
        ),
        (
            "report_component",
            B::ReportComponent(ReportComponent {
                project: project_name(),
                kind: "store".into(),
                epoch: 3,
                state: v1::ComponentState::Failed as i32,
                error: Some(error()),
                facts: Some(facts()),
                removed: true,
                left_behind: "l".into(),
            }),
        ),
        (
            "upsert_objects",
            B::UpsertObjects(UpsertObjects {
                project: project_name(),
                epoch: 3,
                objects: vec![object()],
                replace: true,
            }),
        ),
        (
            "decide_object",
            B::DecideObject(DecideObject {
                request: Some(v1::DecideObjectRequest {
                    project: project_name(),
                    kind: v1::ObjectKind::Table as i32,
                    database: "d".into(),
                    table: "t".into(),
                    part: "p".into(),
                    decision: v1::ObjectDecision::Edit as i32,
                    statements: vec!["create table t (a int)".into()],
                }),
            }),
        ),
        (
            "decide_ddl",
            B::DecideDdl(DecideDdl {
                project: project_name(),
                number: 7,
                statements: vec!["alter table t add a int".into()],
            }),
        ),
        (
            "set_followed_tables",
            B::SetFollowedTables(SetFollowedTables {
                project: project_name(),
                epoch: 3,
                added: vec![SelectedObject {
                    source: Some(name("d", "t")),
                    destination: Some(name("e", "u")),
                    view: false,
                    gone: false,
                }],
                gone: vec![name("d", "v")],
            }),
        ),
        (
            "set_precheck_items",
            B::SetPrecheckItems(SetPrecheckItems {
                project: project_name(),
                epoch: 3,
                items: vec![item()],
            }),
        ),
        (
            "set_verified_tables",
            B::SetVerifiedTables(SetVerifiedTables {
                project: project_name(),
                epoch: 3,
                tables: vec![verified()],
                replace: true,
            }),
        ),
        (
            "register_node",
            B::RegisterNode(RegisterNode { node: Some(node()) }),
        ),
        (
            "admit_node",
            B::AdmitNode(AdmitNode {
                token_id: "t".into(),
                node: Some(node()),
            }),
        ),
        (
            "change_node",
            B::ChangeNode(ChangeNode {
                id: 2,
                state: v1::NodeState::Draining as i32,
                reason: "disk".into(),
                quota: Some(0),
            }),
        ),
        ("remove_node", B::RemoveNode(RemoveNode { id: 2 })),
        (
            "create_token",
            B::CreateToken(CreateToken { token: Some(token()) }),
        ),
        ("revoke_token", B::RevokeToken(RevokeToken { id: "t".into() })),
        (
            "freeze_component",
            B::FreezeComponent(FreezeComponent {
                project: project_name(),
                kind: "store".into(),
                reason: "f".into(),
            }),
        ),
        (
            "tune_project",
            B::TuneProject(TuneProject {
                id: "p_1".into(),
                full: Some(v1::FullTuning {
                    max_rows_per_second: Some(0),
                    max_bytes_per_second: Some(5),
                    concurrency: Some(v1::Concurrency::Custom as i32),
                    workers: Some(3),
                }),
            }),
        ),
        (
            "add_objects",
            B::AddObjects(AddObjects {
                project: "p_1".into(),
                sub_project: Some(ProjectRecord {
                    joined: vec![SnapshotPosition {
                        table: Some(name("a", "b")),
                        position: "x".into(),
                    }],
                    settle: true,
                    settle_behind: "y".into(),
                    public: Some(v1::Project {
                        parent: "p_1".into(),
                        changes: vec![change()],
                        ..project().public.unwrap()
                    }),
                    ..project()
                }),
            }),
        ),
        (
            "remove_objects",
            B::RemoveObjects(RemoveObjects {
                project: "p_1".into(),
                objects: vec![name("a", "b")],
            }),
        ),
        (
            "decide_object_change",
            B::DecideObjectChange(DecideObjectChange {
                project: "p_1".into(),
                decision: v1::ObjectChangeDecision::Abort as i32,
            }),
        ),
        (
            "join_objects",
            B::JoinObjects(JoinObjects {
                project: "p_1".into(),
                expected_version: 9,
                number: 3,
            }),
        ),
        (
            "set_project",
            B::SetProject(SetProject {
                id: "p_1".into(),
                expected_version: 9,
                spec: project().public.unwrap().spec,
                restart: vec!["incr-sync".into()],
            }),
        ),
        (
            "put_template",
            B::PutTemplate(PutTemplate {
                template: Some(template()),
            }),
        ),
        (
            "delete_template",
            B::DeleteTemplate(DeleteTemplate { name: "t".into() }),
        ),
        (
            "start_switchover",
            B::StartSwitchover(StartSwitchover {
                project: "p_1".into(),
                set_read_only: true,
                max_lag_seconds: 30,
            }),
        ),
        (
            "decide_switchover",
            B::DecideSwitchover(DecideSwitchover {
                request: Some(v1::DecideSwitchoverRequest {
                    project: "p_1".into(),
                    decision: v1::SwitchoverDecision::Skip as i32,
                    step: v1::SwitchStepKind::Verified as i32,
                    reason: "known".into(),
                    item: "trigger/a.b".into(),
                }),
            }),
        ),
        (
            "advance_switchover",
            B::AdvanceSwitchover(AdvanceSwitchover {
                project: "p_1".into(),
                expected_version: 9,
                number: 2,
            }),
        ),
        (
            "report_switchover",
            B::ReportSwitchover(report_switchover_of(report_switchover::Outcome::Done(
                "lag 1 s".into(),
            ))),
        ),
        ("raise_epochs", B::RaiseEpochs(RaiseEpochs { by: 1000 })),
        (
            "set_preferred_regions",
            B::SetPreferredRegions(SetPreferredRegions {
                regions: vec!["east".into(), "west".into()],
            }),
        ),
    ]
}

/// The level whose shape of a command these samples have.
fn shape(name: &str) -> u32 {
    match name {
        "set_preferred_regions" | "tune_project" => 3,
        "add_objects"
        | "remove_objects"
        | "decide_object_change"
        | "join_objects"
        | "set_project"
        | "put_template"
        | "delete_template"
        | "decide_ddl"
        | "set_followed_tables" => 4,
        "start_switchover" | "decide_switchover" | "advance_switchover" | "report_switchover" => 5,
        _ => 2,
    }
}

#[test]
fn every_kind_of_command_reads_as_it_was_written() {
    let samples = commands();
    for (name, body) in &samples {
        let command = Command {
            version: 1,
            now_ms: 1_234_567,
            body: Some(body.clone()),
        };
        let bytes = bytes(name, shape(name), &command.encode_to_vec());
        let read = Command::decode(bytes.as_slice()).unwrap();
        assert_eq!(read, command, "{name}");
        assert_eq!(read.encode_to_vec(), bytes, "{name}");
        assert!(level_of(body) <= FEATURE_LEVEL);
    }
    // None is missing: the contract itself says which there are.
    let files = prost_types::FileDescriptorSet::decode(oms_proto::DESCRIPTORS).unwrap();
    let file = files.file.iter().find(|f| f.package() == "oms.meta.v1").unwrap();
    let message = file.message_type.iter().find(|m| m.name() == "Command").unwrap();
    let kinds: BTreeSet<&str> = message
        .field
        .iter()
        .filter(|f| f.oneof_index.is_some())
        .map(|f| f.name())
        .collect();
    let sampled: BTreeSet<&str> = samples.iter().map(|(name, _)| *name).collect();
    assert_eq!(kinds, sampled);
}

/// A project that chooses rows, columns and changes.
fn choosing() -> command::Body {
    let mut record = project();
    if let Some(spec) = record.public.as_mut().and_then(|p| p.spec.as_mut()) {
        spec.databases = vec![v1::DatabaseSelection {
            name: "shop".into(),
            tables: vec![v1::TableSelection {
                name: "orders".into(),
                rename_to: "o".into(),
                filter: "id > 7".into(),
                columns: vec!["id".into()],
                omit_columns: vec!["note".into()],
                rename_columns: vec![v1::NameRule {
                    from: "id".into(),
                    to: "number".into(),
                }],
                add_columns: vec![v1::AddedColumn {
                    name: "region".into(),
                    r#type: "CHAR(2)".into(),
                    value: "'eu'".into(),
                }],
                dml: Some(v1::DmlSelection {
                    insert: true,
                    update: true,
                    delete: true,
                }),
            }],
            ..Default::default()
        }];
        spec.incremental = Some(v1::IncrementalOptions {
            dml: Some(v1::DmlSelection {
                insert: true,
                update: true,
                delete: true,
            }),
            ..Default::default()
        });
    }
    command::Body::CreateProject(CreateProject { record: Some(record) })
}

#[test]
fn a_project_that_chooses_rows_needs_level_4_and_reads_as_it_was_written() {
    let body = choosing();
    assert_eq!(level_of(&body), 4);
    let command = Command {
        version: 1,
        now_ms: 1_234_567,
        body: Some(body),
    };
    let bytes = bytes("create_project_choosing", 4, &command.encode_to_vec());
    let read = Command::decode(bytes.as_slice()).unwrap();
    assert_eq!(read, command);
    assert_eq!(read.encode_to_vec(), bytes);
}

/// A Kafka cluster.
fn kafka() -> DataSourceRecord {
    let mut record = data_source();
    if let Some(connection) = record.public.as_mut().and_then(|p| p.connection.as_mut()) {
        connection.kind = v1::DataSourceKind::Kafka as i32;
        connection.sasl = v1::SaslMechanism::ScramSha256 as i32;
    }
    record
}

/// A project to Kafka.
fn to_kafka() -> command::Body {
    let mut record = project();
    if let Some(spec) = record.public.as_mut().and_then(|p| p.spec.as_mut()) {
        spec.kafka = Some(v1::KafkaOptions {
            format: v1::MessageFormat::DataworksV2 as i32,
            topic: "all".into(),
            topics: vec![v1::TopicRule {
                tables: "shop.o*".into(),
                topic: "o.${table}".into(),
                key_columns: vec!["id".into()],
            }],
            partition: v1::MessagePartition::One as i32,
            partition_number: 2,
            split_key_change: true,
            existing_topics_only: true,
            partitions: 5,
            replication: 3,
            topic_config: vec![v1::TopicSetting {
                name: "retention.ms".into(),
                value: "1000".into(),
            }],
            business: "b".into(),
            debezium_schema: v1::DebeziumSchema::Connect as i32,
            ..Default::default()
        });
    }
    command::Body::CreateProject(CreateProject { record: Some(record) })
}

/// A project to Kafka that tells of statements.
fn to_kafka_following() -> command::Body {
    let mut record = project();
    if let Some(spec) = record.public.as_mut().and_then(|p| p.spec.as_mut()) {
        spec.kafka = Some(v1::KafkaOptions {
            oversized: v1::OversizedMessages::Split as i32,
            split_bytes: 1_000,
            ..Default::default()
        });
        spec.incremental = Some(v1::IncrementalOptions {
            ddl: v1::DdlSynchronization::Follow as i32,
            ..Default::default()
        });
    }
    command::Body::CreateProject(CreateProject { record: Some(record) })
}

#[test]
fn a_project_that_merges_tables_needs_level_4_and_reads_as_it_was_written() {
    let mut record = project();
    if let Some(spec) = record.public.as_mut().and_then(|p| p.spec.as_mut()) {
        spec.databases.clear();
        spec.rules = Some(v1::MatchRules {
            include: vec!["shop.order_*=all.orders".into()],
            exclude: Vec::new(),
        });
        spec.merge_tables = true;
    }
    let body = command::Body::CreateProject(CreateProject { record: Some(record) });
    assert_eq!(level_of(&body), 4);
    let command = Command {
        version: 1,
        now_ms: 1_234_567,
        body: Some(body),
    };
    let bytes = bytes("create_project_merging", 4, &command.encode_to_vec());
    let read = Command::decode(bytes.as_slice()).unwrap();
    assert_eq!(read, command);
    assert_eq!(read.encode_to_vec(), bytes);
}

#[test]
fn later_shapes_read_as_they_were_written() {
    use report_switchover::Outcome as Said;
    let reported = |said| command::Body::ReportSwitchover(report_switchover_of(said));
    let said = || v1::ErrorInfo {
        code: "OMS-SWITCH-0002".into(),
        message: "m".into(),
        failed_at_ms: 3,
    };
    let samples = [
        (
            "upsert_objects",
            4,
            command::Body::UpsertObjects(UpsertObjects {
                project: "p_1".into(),
                epoch: 3,
                objects: vec![converted_object()],
                replace: true,
            }),
        ),
        (
            "create_project_schema",
            4,
            command::Body::CreateProject(CreateProject {
                record: Some(ProjectRecord {
                    public: Some(v1::Project {
                        id: "p_1".into(),
                        spec: Some(v1::ProjectSpec {
                            name: "move".into(),
                            schema: Some(v1::SchemaOptions {
                                lossy: v1::LossyConversions::Stop as i32,
                                foreign_keys: v1::ConstraintMoment::Switchover as i32,
                                checks: v1::ConstraintMoment::Switchover as i32,
                                ..Default::default()
                            }),
                            ..Default::default()
                        }),
                        ..Default::default()
                    }),
                    ..Default::default()
                }),
            }),
        ),
        ("create_project_kafka", 4, to_kafka()),
        ("create_project_kafka_following", 5, to_kafka_following()),
        ("report_switchover_failed", 5, reported(Said::Failed(said()))),
        ("report_switchover_written", 5, reported(Said::Written(said()))),
        (
            "report_switchover_stopped_at",
            5,
            reported(Said::StoppedAt("p".into())),
        ),
        (
            "report_switchover_destination_end",
            5,
            command::Body::ReportSwitchover(ReportSwitchover {
                step: v1::SwitchStepKind::Objects as i32,
                items: Vec::new(),
                destination_end: "q".into(),
                ..report_switchover_of(Said::QuietUntil("p".into()))
            }),
        ),
        (
            "report_switchover_quiet_until",
            5,
            reported(Said::QuietUntil("p".into())),
        ),
        (
            "report_switchover_before",
            5,
            reported(Said::Before(v1::SourceWrites {
                read_only: true,
                super_read_only: Some(false),
            })),
        ),
        (
            "report_switchover_undone",
            5,
            reported(Said::Undone("off".into())),
        ),
        (
            "assign_component_switchover",
            5,
            command::Body::AssignComponent(AssignComponent {
                project: "p_1".into(),
                kind: "switchover".into(),
                node: 2,
                expected_epoch: 3,
                raise_epoch: true,
                desired: Desired::Run as i32,
                step: v1::StepKind::TransferAppSwitch as i32,
                ..Default::default()
            }),
        ),
        (
            "create_data_source_kafka",
            4,
            command::Body::CreateDataSource(CreateDataSource {
                record: Some(kafka()),
            }),
        ),
    ];
    for (name, level, body) in samples {
        assert_eq!(level_of(&body), level, "{name}");
        let command = Command {
            version: 1,
            now_ms: 1_234_567,
            body: Some(body),
        };
        let bytes = bytes(name, level, &command.encode_to_vec());
        let read = Command::decode(bytes.as_slice()).unwrap();
        assert_eq!(read, command, "{name}");
        assert_eq!(read.encode_to_vec(), bytes, "{name}");
    }
}

#[test]
fn a_reverse_project_needs_level_5_and_reads_as_it_was_written() {
    let mut record = project();
    record.log_start = "{\"at\":1}".into();
    if let Some(public) = record.public.as_mut() {
        public.reverse_of = "p_2".into();
        if let Some(spec) = public.spec.as_mut() {
            spec.reverse_of = "other".into();
        }
    }
    let body = command::Body::CreateProject(CreateProject { record: Some(record) });
    assert_eq!(level_of(&body), 5);
    let command = Command {
        version: 1,
        now_ms: 1_234_567,
        body: Some(body),
    };
    let bytes = bytes("create_project_reverse", 5, &command.encode_to_vec());
    let read = Command::decode(bytes.as_slice()).unwrap();
    assert_eq!(read, command);
    assert_eq!(read.encode_to_vec(), bytes);
}

#[test]
fn a_snapshot_reads_as_it_was_written() {
    let state = State {
        version: 1,
        data_sources: vec![data_source()],
        projects: vec![project()],
        nodes: vec![node()],
        tokens: vec![token()],
        last_node_id: 7,
        preferred_regions: vec!["east".into(), "west".into()],
        templates: Vec::new(),
    };
    // With templates, and with statements that were decided about.
    let mut newer = State {
        templates: vec![template()],
        ..state.clone()
    };
    for project in &mut newer.projects {
        project.ddl_decisions.push(DdlDecisionRecord {
            number: 7,
            decided_at_ms: 5,
            statements: vec!["alter table t add a int".into()],
        });
        for object in &mut project.selection {
            object.gone = true;
        }
    }
    let new = bytes("state", 4, &newer.encode_to_vec());
    assert_eq!(MetaState::restore(&new).unwrap().snapshot(), new);
    assert_eq!(State::decode(new.as_slice()).unwrap(), newer);
    // With switchovers.
    let mut switched = newer.clone();
    for public in switched.projects.iter_mut().filter_map(|p| p.public.as_mut()) {
        public.switchovers.push(switchover());
    }
    let new = bytes("state_switchover", 5, &switched.encode_to_vec());
    assert_eq!(MetaState::restore(&new).unwrap().snapshot(), new);
    assert_eq!(State::decode(new.as_slice()).unwrap(), switched);
    // Before there were preferred regions.
    let older = State {
        preferred_regions: Vec::new(),
        ..state.clone()
    };
    let old = bytes("state", 2, &older.encode_to_vec());
    assert_eq!(MetaState::restore(&old).unwrap().snapshot(), old);
    assert_eq!(State::decode(old.as_slice()).unwrap(), older);

    let bytes = bytes("state", 3, &state.encode_to_vec());
    let restored = MetaState::restore(&bytes).unwrap();
    assert_eq!(restored.snapshot(), bytes);
    assert_eq!(restored.preferred_regions(), ["east", "west"]);
    assert_eq!(State::decode(bytes.as_slice()).unwrap(), state);
    assert_eq!(restored.last_node_id(), 7);
    assert_eq!(restored.node(2), Some(&node()));
    assert_eq!(restored.token("t"), Some(&token()));
    assert_eq!(restored.project("move"), Some(&project()));
    assert_eq!(restored.data_source("shop"), Some(&data_source()));
}

#[test]
fn a_snapshot_from_before_there_were_clusters_reads_too() {
    // As the first release wrote it: fields that came later are absent.
    let mut old_project = project();
    old_project.release_forced = false;
    if let Some(public) = old_project.public.as_mut() {
        public.left_behind.clear();
    }
    for c in &mut old_project.components {
        *c = ComponentRecord {
            kind: c.kind.clone(),
            node: 1,
            epoch: c.epoch,
            desired: c.desired,
            state: c.state,
            step: c.step,
            ..Default::default()
        };
    }
    let state = State {
        version: 1,
        data_sources: vec![data_source()],
        projects: vec![old_project],
        nodes: vec![NodeRecord {
            id: 1,
            address: "127.0.0.1:7070".into(),
            region: "default".into(),
            zone: "default".into(),
            version: "0.1.0".into(),
            generation: 12,
            ..Default::default()
        }],
        ..Default::default()
    };
    let bytes = bytes("state", 1, &state.encode_to_vec());
    let restored = MetaState::restore(&bytes).unwrap();
    assert_eq!(State::decode(bytes.as_slice()).unwrap(), state);
    assert_eq!((restored.last_node_id(), restored.feature_level()), (1, 1));
    // It differs from then on only by what was added: ids are counted.
    let again = State::decode(restored.snapshot().as_slice()).unwrap();
    assert_eq!(
        again,
        State {
            last_node_id: 1,
            ..state
        }
    );
}

#[test]
fn a_snapshot_of_the_future_is_refused() {
    let state = State {
        version: 2,
        ..Default::default()
    };
    let error = MetaState::restore(&state.encode_to_vec())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("version 2") && error.contains("up to 1"),
        "{error}"
    );
    assert!(MetaState::restore(&[0xff]).is_err());
}
