//! Statements that define tables are followed: in their place among the changes of rows, once, whatever is killed.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::time::Duration;

use oms_cluster_tests::{Auditor, Bank, BankOptions, Client, Scenario, ServerKind};
use oms_proto::v1::{
    DdlDecision, DdlState, DdlStatement, DdlSynchronization, DecideDdlRequest, FullOptions,
    IncrementalOptions, ListDdlRequest, MatchRules, ProjectSpec, StepKind, StepState, Steps,
    VerificationResult,
};

fn following(spec: ProjectSpec) -> ProjectSpec {
    ProjectSpec {
        incremental: Some(IncrementalOptions {
            ddl: DdlSynchronization::Follow as i32,
            ..Default::default()
        }),
        ..spec
    }
}

async fn run(client: &mut Client, statements: &[&str]) {
    for statement in statements {
        client
            .query_drop(statement)
            .await
            .unwrap_or_else(|e| panic!("{statement}\n{e}"));
    }
}

async fn monitoring(scenario: &Scenario) {
    let states = [StepState::Monitoring];
    let step = StepKind::IncrTransfer;
    scenario
        .project
        .wait_step(&scenario.node, step, &states)
        .await
        .unwrap();
}

async fn caught_up(scenario: &Scenario) {
    let waited = tokio::time::timeout(
        Duration::from_secs(60),
        scenario.project.wait_caught_up(&scenario.node),
    );
    if !matches!(waited.await, Ok(Ok(()))) {
        let project = scenario.project.get(&scenario.node).await.unwrap();
        panic!("not caught up: {:?}\n{}", project.error, scenario.node.log());
    }
}

async fn history(scenario: &Scenario) -> Vec<DdlStatement> {
    let request = ListDdlRequest {
        project: scenario.project.name.clone(),
        ..Default::default()
    };
    let mut projects = scenario.node.projects().await.unwrap();
    projects.list_ddl(request).await.unwrap().into_inner().statements
}

async fn decide(scenario: &Scenario, number: u64, decision: DdlDecision, statements: &[&str]) {
    let request = DecideDdlRequest {
        project: scenario.project.name.clone(),
        number,
        decision: decision as i32,
        statements: statements.iter().map(|s| (*s).to_owned()).collect(),
    };
    let mut projects = scenario.node.projects().await.unwrap();
    projects.decide_ddl(request).await.unwrap();
    scenario.project.resume(&scenario.node).await.unwrap().unwrap();
}

/// Waits for the failure and gives the statement that waits.
async fn stopped(scenario: &Scenario) -> DdlStatement {
    let (code, message) = scenario.project.wait_failed(&scenario.node).await.unwrap();
    assert_eq!(code, "OMS-APPLY-0011", "{message}");
    let last = history(scenario).await.pop().unwrap();
    assert_eq!(last.state(), DdlState::Waiting, "{last:?}");
    assert!(message.contains(&last.statement), "{message}");
    last
}

async fn verified(scenario: &Scenario) -> VerificationResult {
    let result = scenario.project.verify(&scenario.node).await.unwrap();
    assert!(result.consistent, "{result:?}");
    result
}

async fn names(client: &mut Client, sql: &str) -> Vec<String> {
    let rows = client.query_strings(sql).await.unwrap();
    rows.into_iter().map(|row| row.join(" ")).collect()
}

const FIRST: &[&str] = &[
    "CREATE DATABASE d CHARACTER SET utf8mb4",
    "CREATE TABLE d.a (id INT PRIMARY KEY, v VARCHAR(20), n INT NOT NULL DEFAULT 1, KEY kn (n))",
    "CREATE TABLE d.b (id INT PRIMARY KEY, v VARCHAR(20))",
    "CREATE TABLE d.keyless (x INT, y VARCHAR(9))",
    "CREATE TABLE d.tmp_1 (id INT PRIMARY KEY)",
    "INSERT INTO d.a VALUES (1, 'one', 1), (2, 'two', 2)",
    "INSERT INTO d.b VALUES (1, 'b')",
    "INSERT INTO d.keyless VALUES (1, 'a'), (1, 'a')",
];

/// Each statement changes rows of the shape that the one before left.
const CHANGES: &[&str] = &[
    "USE d",
    "INSERT INTO a VALUES (3, 'three', 3)",
    "ALTER TABLE a ADD COLUMN c INT DEFAULT 7 AFTER id, ADD COLUMN e VARCHAR(10)",
    "INSERT INTO a VALUES (4, 40, 'four', 4, 'e')",
    "UPDATE a SET c = c + 1, v = 'changed' WHERE id < 3",
    "/* a comment */ ALTER TABLE d.a DROP COLUMN e",
    "INSERT INTO a (id, c, v, n) VALUES (5, 50, 'five', 5)",
    "ALTER TABLE a CHANGE n number INT NOT NULL DEFAULT 1",
    "UPDATE a SET number = number * 10",
    "CREATE INDEX kv ON a (v)",
    "DROP INDEX kn ON a",
    "CREATE TABLE IF NOT EXISTS fresh (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(30) CHARACTER SET utf8mb4)",
    "INSERT INTO fresh (t) VALUES ('x'), ('名')",
    "CREATE TABLE copy LIKE a",
    "INSERT INTO copy SELECT * FROM a",
    "RENAME TABLE fresh TO renamed, copy TO fresh",
    "INSERT INTO renamed (t) VALUES ('behind')",
    "DELETE FROM fresh WHERE id = 1",
    "TRUNCATE TABLE b",
    "INSERT INTO b VALUES (9, 'after')",
    "ALTER TABLE keyless ADD z INT",
    "INSERT INTO keyless VALUES (2, 'b', 3)",
    "CREATE TABLE gone1 (id INT PRIMARY KEY)",
    "CREATE TABLE gone2 (id INT PRIMARY KEY)",
    "INSERT INTO gone1 VALUES (1)",
    "DROP TABLE gone1, gone2",
    "CREATE TABLE tmp_new (id INT PRIMARY KEY)",
    "INSERT INTO tmp_new VALUES (1)",
    "DROP TABLE tmp_new, tmp_1",
    "CREATE TABLE elsewhere.x (id INT PRIMARY KEY)",
    "ALTER TABLE a MODIFY v VARCHAR(40)",
    "INSERT INTO a VALUES (6, 60, 'a text of more than twenty characters', 6)",
];

async fn pair(source: ServerKind, destination: ServerKind) {
    let scenario = Scenario::start(source, destination).await.unwrap();
    let mut from = scenario.source.client().await.unwrap();
    run(&mut from, FIRST).await;
    run(&mut from, &["CREATE DATABASE elsewhere"]).await;
    let mut spec = following(scenario.spec(&[]));
    spec.rules = Some(MatchRules {
        include: vec!["d.*".into()],
        exclude: vec!["d.tmp*".into()],
    });
    scenario.launch(spec).await.unwrap();
    monitoring(&scenario).await;
    run(&mut from, CHANGES).await;
    caught_up(&scenario).await;
    let tables = ["a", "b", "fresh", "keyless", "renamed"];
    scenario.assert_equal("d", &tables).await.unwrap();
    let mut to = scenario.destination.client().await.unwrap();
    let there = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'd' ORDER BY 1";
    assert_eq!(names(&mut to, there).await, tables);
    for table in tables {
        let sql = format!(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'd' AND table_name = '{table}' \
             ORDER BY ordinal_position"
        );
        assert_eq!(
            names(&mut to, &sql).await,
            names(&mut from, &sql).await,
            "{table}"
        );
    }
    // New tables are part of the project, and those that are gone are not.
    assert_eq!(verified(&scenario).await.tables, 5);
    if source != ServerKind::Mysql56 {
        // The log has it as a definition and rows in one transaction.
        run(
            &mut from,
            &["CREATE TABLE d.filled (PRIMARY KEY (id)) AS SELECT id, v FROM d.a"],
        )
        .await;
        run(&mut from, &["INSERT INTO d.filled VALUES (99, 'more')"]).await;
        caught_up(&scenario).await;
        scenario.assert_equal("d", &["filled"]).await.unwrap();
    }
    let list = history(&scenario).await;
    assert!(list.iter().all(|s| s.state() == DdlState::Done), "{list:#?}");
    let json = scenario
        .node
        .client(&["--output", "json", "project", "ddl", "list", "test", "--all"])
        .unwrap();
    assert!(json.contains("tmp_new") && json.contains("\"done\""), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_mariadb_to_oceanbase() {
    pair(ServerKind::MariaDb, ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_mysql_97_to_mariadb() {
    pair(ServerKind::Mysql97, ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_mysql_56_to_mysql_97() {
    pair(ServerKind::Mysql56, ServerKind::Mysql97).await;
}

/// A list of names: new tables are not followed, and what cannot be carried over stops with the statement until it is
/// skipped, edited, or the destination is mended.
#[tokio::test(flavor = "multi_thread")]
async fn what_stops_is_decided() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let mut from = scenario.source.client().await.unwrap();
    let mut to = scenario.destination.client().await.unwrap();
    run(&mut from, FIRST).await;
    let mut spec = following(scenario.spec(&["d"]));
    spec.databases[0].rename_to = "e".into();
    spec.databases[0].tables = ["a", "b"]
        .map(|name| oms_proto::v1::TableSelection {
            name: name.into(),
            rename_to: if name == "b" { "bb".into() } else { String::new() },
            ..Default::default()
        })
        .to_vec();
    scenario.launch(spec).await.unwrap();
    monitoring(&scenario).await;
    let inserts = [
        "CREATE TABLE d.other (id INT PRIMARY KEY)",
        "INSERT INTO d.other VALUES (1)",
        "ALTER TABLE d.b ADD w INT",
        "INSERT INTO d.b VALUES (2, 'b', 2)",
        // Takes a table out of the selection.
        "RENAME TABLE d.a TO d.out_of_it",
    ];
    run(&mut from, &inserts).await;
    let waiting = stopped(&scenario).await;
    assert_eq!(waiting.statement, "RENAME TABLE d.a TO d.out_of_it");
    assert_eq!(names(&mut to, "SELECT w FROM e.bb WHERE id = 2").await, ["2"]);
    // A restart stops at the same statement.
    scenario.project.resume(&scenario.node).await.unwrap().unwrap();
    assert_eq!(stopped(&scenario).await.number, waiting.number);
    decide(&scenario, waiting.number, DdlDecision::Skip, &[]).await;
    monitoring(&scenario).await;
    run(&mut from, &["RENAME TABLE d.out_of_it TO d.a"]).await;
    let back = stopped(&scenario).await;
    decide(&scenario, back.number, DdlDecision::Skip, &[]).await;
    monitoring(&scenario).await;
    run(&mut from, &["INSERT INTO d.a VALUES (7, 'back', 7)"]).await;
    caught_up(&scenario).await;
    assert_eq!(names(&mut to, "SELECT v FROM e.a WHERE id = 7").await, ["back"]);

    // The destination refuses a step; it is mended and tried again.
    run(
        &mut to,
        &[
            "CREATE TABLE e.blocked (id INT)",
            "ALTER TABLE e.a ADD f VARCHAR(3)",
        ],
    )
    .await;
    run(&mut from, &["ALTER TABLE d.a ADD g INT, DROP COLUMN v"]).await;
    run(&mut from, &["INSERT INTO d.a VALUES (8, 8, 80)"]).await;
    caught_up(&scenario).await;
    // A statement of the user's own in place of one that is not followed.
    run(&mut from, &["DROP DATABASE d"]).await;
    let dropped = stopped(&scenario).await;
    decide(
        &scenario,
        dropped.number,
        DdlDecision::Edit,
        &["RENAME TABLE e.a TO e.a_kept", "RENAME TABLE e.bb TO e.bb_kept"],
    )
    .await;
    monitoring(&scenario).await;
    caught_up(&scenario).await;
    let there = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'e' ORDER BY 1";
    assert_eq!(names(&mut to, there).await, ["a_kept", "bb_kept", "blocked"]);
    let states: Vec<_> = history(&scenario).await.iter().map(|s| s.state()).collect();
    use DdlState::{Done, Skipped};
    assert_eq!(states, [Done, Skipped, Skipped, Done, Done]);
}

/// A column of a skipped statement goes nowhere, and its table is synchronized on.
#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_column_is_left_out() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut from = scenario.source.client().await.unwrap();
    let mut to = scenario.destination.client().await.unwrap();
    run(&mut from, FIRST).await;
    scenario.launch(following(scenario.spec(&["d"]))).await.unwrap();
    monitoring(&scenario).await;
    // In the way of the column.
    run(&mut to, &["ALTER TABLE d.a ADD CONSTRAINT small CHECK (n < 100)"]).await;
    run(
        &mut from,
        &["ALTER TABLE d.a ADD CONSTRAINT small CHECK (n < 1000), ADD x VARCHAR(5)"],
    )
    .await;
    run(&mut from, &["INSERT INTO d.a VALUES (3, 'three', 3, 'x')"]).await;
    let waiting = stopped(&scenario).await;
    assert!(waiting.outcome.contains("small"), "{waiting:?}");
    decide(&scenario, waiting.number, DdlDecision::Skip, &[]).await;
    monitoring(&scenario).await;
    caught_up(&scenario).await;
    assert_eq!(names(&mut to, "SELECT v FROM d.a WHERE id = 3").await, ["three"]);
}

/// Definitions change again and again under transfers on all lanes, while the node is killed; every transfer arrives
/// once and nobody sees one half.
#[tokio::test(flavor = "multi_thread")]
async fn kills_around_statements_under_load() {
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let options = BankOptions::default();
    Bank::prepare(&scenario.source, &options).await.unwrap();
    let bank = Bank::start(&scenario.source, &options).await.unwrap();
    let mut spec = following(scenario.spec(&["bank"]));
    // A verification that is killed while tables come and go cannot go on.
    spec.steps = Some(Steps {
        schema: true,
        full: true,
        incremental: true,
        verification: false,
    });
    scenario.launch(spec).await.unwrap();
    monitoring(&scenario).await;
    let auditor = Auditor::start(&scenario.destination, "bank").await.unwrap();
    let mut client = scenario.source.client().await.unwrap();
    for n in 0..10u64 {
        let statements = [
            format!("ALTER TABLE bank.accounts ADD COLUMN c{n} INT DEFAULT {n}"),
            format!("UPDATE bank.accounts SET c{n} = c{n} + 1"),
            format!("CREATE TABLE bank.log{n} (id INT PRIMARY KEY, t VARCHAR(20))"),
            format!("INSERT INTO bank.log{n} VALUES (1, 'x')"),
            format!("ALTER TABLE bank.log{n} ADD INDEX kt (t), DROP PRIMARY KEY, ADD PRIMARY KEY (id, t)"),
            format!("RENAME TABLE bank.log{n} TO bank.old{n}"),
            format!("INSERT INTO bank.old{n} VALUES (2, 'y')"),
        ];
        for statement in &statements {
            client.query_drop(statement).await.unwrap();
        }
        // The moment of the kill is what differs; nothing is waited for.
        tokio::time::sleep(Duration::from_millis(60 * n % 400)).await;
        scenario.node.kill().unwrap();
        scenario.node.restart().await.unwrap();
    }
    monitoring(&scenario).await;
    bank.more(100).await;
    let total = bank.stop().await.unwrap();
    caught_up(&scenario).await;
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 10, "{audit:?}");
    let mut to = scenario.destination.client().await.unwrap();
    Bank::judge(&mut to, "bank", Some(total)).await.unwrap();
    let mut tables: Vec<String> = Bank::TABLES.iter().map(|t| (*t).to_owned()).collect();
    tables.extend((0..10).map(|n| format!("old{n}")));
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    scenario.assert_equal("bank", &tables).await.unwrap();
    let list = history(&scenario).await;
    assert_eq!(list.len(), 40, "{list:#?}");
    assert!(list.iter().all(|s| s.state() == DdlState::Done), "{list:#?}");
    println!("{} looks, {total} transfers", audit.looks);
}

/// pt-online-schema-change on a table that is written to: its copy does not show at the destination, and no change is lost.
#[tokio::test(flavor = "multi_thread")]
async fn pt_online_schema_change() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let options = BankOptions {
        accounts: 1_000,
        rate: 200,
        ..BankOptions::default()
    };
    Bank::prepare(&scenario.source, &options).await.unwrap();
    let bank = Bank::start(&scenario.source, &options).await.unwrap();
    scenario
        .launch(following(scenario.spec(&["bank"])))
        .await
        .unwrap();
    monitoring(&scenario).await;
    let server = &scenario.source;
    let dsn = format!(
        "h={},P={},u={},p={},D=bank,t=accounts",
        server.host(),
        server.port(),
        server.user(),
        server.password()
    );
    for alter in [
        "ADD INDEX added_index (balance)",
        "ADD COLUMN added INT DEFAULT 5",
    ] {
        let output = tokio::process::Command::new("pt-online-schema-change")
            .args([
                "--execute",
                "--no-version-check",
                "--recursion-method=none",
                "--chunk-size=50",
            ])
            .args(["--alter", alter])
            .arg(&dsn)
            .output()
            .await
            .unwrap();
        let words =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}");
        bank.more(50).await;
    }
    let total = bank.stop().await.unwrap();
    caught_up(&scenario).await;
    for end in [&scenario.source, &scenario.destination] {
        let mut client = end.client().await.unwrap();
        Bank::judge(&mut client, "bank", Some(total)).await.unwrap();
    }
    scenario.assert_equal("bank", &Bank::TABLES).await.unwrap();
    let mut to = scenario.destination.client().await.unwrap();
    let there = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'bank' ORDER BY 1";
    assert_eq!(names(&mut to, there).await, ["accounts", "entries"]);
    let added = "SELECT COUNT(DISTINCT index_name) FROM information_schema.statistics WHERE table_schema = 'bank' AND \
                 index_name = 'added_index'";
    assert_eq!(names(&mut to, added).await, ["1"]);
    let columns = "SELECT COUNT(*) FROM bank.accounts WHERE added = 5";
    assert_eq!(to.query_count(columns).await.unwrap(), 1_000);
    verified(&scenario).await;
}

/// What gh-ost writes to the log, statement by statement: it is no Debian package.
#[tokio::test(flavor = "multi_thread")]
async fn the_statements_of_gh_ost() {
    let scenario = Scenario::start(ServerKind::Mysql97, ServerKind::SeekDb)
        .await
        .unwrap();
    let mut from = scenario.source.client().await.unwrap();
    run(&mut from, FIRST).await;
    scenario.launch(following(scenario.spec(&["d"]))).await.unwrap();
    monitoring(&scenario).await;
    run(
        &mut from,
        &[
            "DROP TABLE IF EXISTS `d`.`_a_gho`",
            "DROP TABLE IF EXISTS `d`.`_a_del`",
            "DROP TABLE IF EXISTS `d`.`_a_ghc`",
            "CREATE /* gh-ost */ TABLE `d`.`_a_ghc` (id BIGINT AUTO_INCREMENT, last_update TIMESTAMP NOT NULL DEFAULT \
             CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, hint VARCHAR(64) CHARSET ascii NOT NULL, value VARCHAR(4096) \
             CHARSET ascii NOT NULL, PRIMARY KEY (id), UNIQUE KEY hint_uidx (hint)) AUTO_INCREMENT = 256",
            "CREATE /* gh-ost */ TABLE `d`.`_a_gho` LIKE `d`.`a`",
            "ALTER /* gh-ost */ TABLE `d`.`_a_gho` ADD COLUMN s VARCHAR(9) DEFAULT 'new'",
            "INSERT INTO d._a_ghc (hint, value) VALUES ('state', 'GhostTableMigrated')",
            "INSERT INTO d.a VALUES (3, 'three', 3)",
            "INSERT /* gh-ost */ IGNORE INTO `d`.`_a_gho` (id, v, n) SELECT id, v, n FROM d.a LOCK IN SHARE MODE",
            "REPLACE INTO d._a_gho (id, v, n) VALUES (3, 'three', 3)",
            "CREATE TABLE `d`.`_a_del` (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE = InnoDB COMMENT = 'ghost-cut-over-sentry'",
            "DROP TABLE IF EXISTS `d`.`_a_del`",
            "RENAME /* gh-ost */ TABLE `d`.`a` TO `d`.`_a_del`, `d`.`_a_gho` TO `d`.`a`",
            "INSERT INTO d.a VALUES (4, 'four', 4, 's')",
            "DROP TABLE IF EXISTS `d`.`_a_ghc`",
            "DROP TABLE IF EXISTS `d`.`_a_del`",
        ],
    )
    .await;
    caught_up(&scenario).await;
    scenario
        .assert_equal("d", &["a", "b", "keyless", "tmp_1"])
        .await
        .unwrap();
    let mut to = scenario.destination.client().await.unwrap();
    let there = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'd' ORDER BY 1";
    assert_eq!(names(&mut to, there).await, ["a", "b", "keyless", "tmp_1"]);
    assert_eq!(
        names(&mut to, "SELECT s FROM d.a ORDER BY id").await,
        ["new", "new", "new", "s"]
    );
}

/// A statement on a table that is being imported is not guessed about; a table that comes meanwhile is followed.
async fn during_import(change: bool) {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut from = scenario.source.client().await.unwrap();
    run(&mut from, FIRST).await;
    run(
        &mut from,
        &["INSERT INTO d.b SELECT seq, 'many' FROM d.seq_10_to_4000"],
    )
    .await;
    let mut spec = following(scenario.spec(&["d"]));
    spec.full = Some(FullOptions {
        max_rows_per_second: 1_000,
        chunk_rows: 500,
        ..FullOptions::default()
    });
    scenario.launch(spec).await.unwrap();
    let running = [StepState::Running];
    let waited = scenario
        .project
        .wait_step(&scenario.node, StepKind::FullTransfer, &running);
    waited.await.unwrap();
    // Made and changed meanwhile, it is new in every respect.
    run(
        &mut from,
        &[
            "CREATE TABLE d.meanwhile (id INT PRIMARY KEY)",
            "INSERT INTO d.meanwhile VALUES (1)",
            "ALTER TABLE d.meanwhile ADD x INT DEFAULT 4",
            "CREATE TABLE IF NOT EXISTS d.b (id INT)",
        ],
    )
    .await;
    if change {
        run(&mut from, &["ALTER TABLE d.b ADD k INT FIRST"]).await;
        let (code, message) = scenario.project.wait_failed(&scenario.node).await.unwrap();
        assert_eq!(code, "OMS-APPLY-0012", "{message}");
        assert!(message.contains("ALTER TABLE d.b ADD k INT FIRST"), "{message}");
    } else {
        monitoring(&scenario).await;
        caught_up(&scenario).await;
        scenario
            .assert_equal("d", &["a", "b", "keyless", "meanwhile"])
            .await
            .unwrap();
        let mut to = scenario.destination.client().await.unwrap();
        assert_eq!(names(&mut to, "SELECT x FROM d.meanwhile").await, ["4"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_during_full_import_stop() {
    during_import(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_come_during_full_import_are_followed() {
    during_import(false).await;
}
