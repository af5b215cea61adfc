//! Schema migration as a user decides about it: losses that stop, constraints that wait, indexes that come last.
#![allow(clippy::unwrap_used)]

use oms_cluster_tests::{Scenario, ServerKind};
use oms_proto::v1::{
    ConstraintMoment, ConversionSeverity, LossyConversions, ObjectDecision, ObjectKind, ObjectState,
    PrecheckStatus, ProjectSpec, SchemaOptions, StepKind, StepState, ValidateProjectRequest,
};

/// What a conversion loses is named by the precheck, stops the project where the spec says so, and is accepted by a retry;
/// constraints wait for the switchover with statements that work; indexes come behind the rows.
#[tokio::test(flavor = "multi_thread")]
async fn losses_stop_and_constraints_wait() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let mut root = scenario.source.client().await.unwrap();
    let grant = format!("GRANT TRIGGER ON *.* TO '{}'@'%'", scenario.source.oms_user());
    root.run_all(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.parent (id INT PRIMARY KEY, code VARCHAR(20) CHARACTER SET latin1 NOT NULL, UNIQUE KEY c (code))",
        "CREATE TABLE shop.child (id INT PRIMARY KEY, parent INT, n INT, KEY by_n (n), KEY p (parent), \
         CONSTRAINT fk FOREIGN KEY (parent) REFERENCES shop.parent (id), CONSTRAINT positive CHECK (n > 0))",
        "CREATE TRIGGER shop.more BEFORE INSERT ON shop.child FOR EACH ROW SET NEW.n = NEW.n + 1",
        "CREATE VIEW shop.zz_first AS SELECT id, n FROM shop.child",
        "CREATE VIEW shop.aa_second AS SELECT n FROM shop.zz_first WHERE id > 0",
        "INSERT INTO shop.parent VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO shop.child VALUES (1, 1, 5), (2, 2, 6)",
        grant.as_str(),
    ])
    .await
    .unwrap();
    let spec = ProjectSpec {
        schema: Some(SchemaOptions {
            postpone_indexes: true,
            lossy: LossyConversions::Stop as i32,
            foreign_keys: ConstraintMoment::Switchover as i32,
            checks: ConstraintMoment::Switchover as i32,
            ..Default::default()
        }),
        ..scenario.spec(&["shop"])
    };
    scenario.launch(spec).await.unwrap();
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert!(
        code == "OMS-SCHEMA-0001" && message.contains("parent"),
        "{code} {message}"
    );
    let items = project.precheck_items(node).await.unwrap();
    let item = items.iter().find(|i| i.key == "DB_SCHEMA_CONVERSION").unwrap();
    assert!(
        item.status() == PrecheckStatus::Warning && item.message.contains("`parent`"),
        "{item:?}"
    );
    let parent = project.table_object(node, "parent").await.unwrap();
    assert_eq!(
        (parent.state(), parent.error.as_ref().unwrap().code.as_str()),
        (ObjectState::Failed, "OMS-SCHEMA-0008")
    );
    let loss = parent
        .conversions
        .iter()
        .find(|c| c.severity() == ConversionSeverity::Lossy)
        .unwrap();
    assert!(
        loss.part == "column `code`" && loss.what.contains("unique key"),
        "{loss:?}"
    );
    let mut there = scenario.destination.client().await.unwrap();
    let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'shop' AND table_name = 'parent'";
    assert_eq!(there.query_count(tables).await.unwrap(), 0);

    project
        .decide_table(node, ("shop", "parent"), ObjectDecision::Retry, &[])
        .await
        .unwrap()
        .unwrap();
    project.resume(node).await.unwrap().unwrap();
    project
        .wait_step(node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    root.run_all(&[
        "INSERT INTO shop.parent VALUES (3, 'C')",
        "INSERT INTO shop.child VALUES (3, 3, 7)",
        "UPDATE shop.child SET n = n * 2 WHERE id < 3",
    ])
    .await
    .unwrap();
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    project.wait_caught_up(node).await.unwrap();
    assert!(project.verify(node).await.unwrap().consistent);
    scenario
        .assert_equal("shop", &["parent", "child", "aa_second"])
        .await
        .unwrap();

    let objects = project.objects(node).await.unwrap();
    let find = |kind: ObjectKind, part: &str| {
        objects
            .iter()
            .find(|o| o.kind() == kind && o.part == part)
            .unwrap_or_else(|| panic!("{kind:?} {part}: {objects:#?}"))
    };
    for index in ["by_n", "p"] {
        let index = find(ObjectKind::Index, index);
        assert!(
            index.postponed && index.state() == ObjectState::Completed && index.started_at_ms > 0,
            "{index:?}"
        );
        assert!(index.ended_at_ms >= index.started_at_ms, "{index:?}");
    }
    let trigger = find(ObjectKind::Trigger, "more");
    assert!(
        trigger.at_switchover && trigger.state() == ObjectState::Skipped && trigger.statements.is_empty(),
        "{trigger:?}"
    );
    assert!(trigger.source_definition.contains("TRIGGER"), "{trigger:?}");
    let constraints = "SELECT COUNT(*) FROM information_schema.table_constraints WHERE table_schema = 'shop' \
                       AND constraint_type IN ('FOREIGN KEY', 'CHECK')";
    assert_eq!(there.query_count(constraints).await.unwrap(), 0);
    for waiting in [
        find(ObjectKind::Check, "positive"),
        find(ObjectKind::ForeignKey, "fk"),
    ] {
        assert!(
            waiting.at_switchover && waiting.state() == ObjectState::Ready,
            "{waiting:?}"
        );
        assert_eq!(waiting.statements.len(), 1);
        there.query_drop(&waiting.statements[0]).await.unwrap();
    }
    assert_eq!(there.query_count(constraints).await.unwrap(), 2);
    let listed = |more: &[&str]| {
        let arguments = [&["project", "objects", project.name.as_str()], more].concat();
        node.client(&arguments).unwrap()
    };
    let deferred = listed(&["--deferred", "--statements"]);
    for part in [
        "ADD CONSTRAINT `fk`",
        "ADD CONSTRAINT `positive`",
        "trigger shop.child.more",
    ] {
        assert!(deferred.contains(part), "{part}: {deferred}");
    }
    assert!(!deferred.contains("CREATE TABLE `shop`"), "{deferred}");
    let changes = listed(&["--changes"]);
    let first = changes.lines().nth(1).unwrap();
    assert!(
        first.contains("not_moved") && first.contains("trigger `more`"),
        "{changes}"
    );
    assert!(
        changes
            .lines()
            .any(|l| l.contains("lossy") && l.contains("shop.parent")),
        "{changes}"
    );
}

/// What could not be right is named before anything is executed, at whatever destination.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_right_is_refused_by_name() {
    let scenario = Scenario::start(ServerKind::Mysql97, ServerKind::SeekDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    root.run_all(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.fine (id INT PRIMARY KEY, g INT AS (id + 1) STORED NOT NULL, UNIQUE KEY u (g))",
        "CREATE TABLE shop.made (a INT NOT NULL, g INT AS (a + 1) STORED NOT NULL, PRIMARY KEY (g))",
        "CREATE TABLE shop.ring (id INT PRIMARY KEY, f FLOAT AS (id / 3) STORED, g INT AS (f + 1) STORED)",
    ])
    .await
    .unwrap();
    let request = ValidateProjectRequest {
        spec: Some(scenario.spec(&["shop"])),
        offline: false,
    };
    let mut projects = scenario.node.projects().await.unwrap();
    let items = projects
        .validate_project(request)
        .await
        .unwrap()
        .into_inner()
        .items;
    let item = |key: &str| items.iter().find(|i| i.key == key).unwrap();
    let key = item("DB_GENERATED_KEY");
    assert_eq!(key.status(), PrecheckStatus::Failed, "{key:?}");
    assert!(
        key.message.contains("`shop`.`made`") && !key.message.contains("fine"),
        "{key:?}"
    );
    // The destination has no generated column that is made from another, and no CAST says FLOAT.
    let schema = item("DB_SCHEMA_CONVERSION");
    assert_eq!(schema.status(), PrecheckStatus::Warning, "{schema:?}");
    assert!(
        schema.message.contains("`shop`.`ring`") && schema.message.contains("generated column of type float"),
        "{schema:?}"
    );
}
