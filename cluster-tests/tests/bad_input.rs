//! Wrong input gets a clear error with a code and a way out, and nothing is half-done: connections, spec files, and
//! what prechecks find.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use oms_cluster_tests::{
    LOAD_TABLES, Load, LoadOptions, OmsNode, Scenario, Server, ServerKind, ServerOptions, data_source_kind,
};
use oms_proto::error_of;
use oms_proto::v1::ObjectDecision;
use oms_proto::v1::{
    Connection, CreateDataSourceRequest, CreateProjectRequest, DataSourceKind, DatabaseSelection,
    DeleteDataSourceRequest, IncrementalOptions, ListDataSourcesRequest, PartialRows, PrecheckItem,
    PrecheckOptions, PrecheckStatus, ProjectSpec, StepKind, StepState, TableSelection, TlsMode,
    UpdateDataSourceRequest, ValidateProjectRequest,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tonic::Status;

fn connection(server: &Server) -> Connection {
    Connection {
        kind: data_source_kind(server.kind()) as i32,
        host: server.host().to_owned(),
        port: u32::from(server.port()),
        user: server.oms_user().to_owned(),
        ..Default::default()
    }
}

async fn create(node: &OmsNode, name: &str, connection: Connection, password: &str) -> Result<(), Status> {
    let request = CreateDataSourceRequest {
        name: name.to_owned(),
        connection: Some(connection),
        password: password.to_owned(),
        ..Default::default()
    };
    let mut client = node.data_sources().await.unwrap();
    client.create_data_source(request).await.map(|_| ())
}

/// The error has the code and says all of the words.
#[track_caller]
fn says<T: std::fmt::Debug>(answer: Result<T, Status>, code: &str, words: &[&str]) {
    let error = error_of(&answer.unwrap_err());
    assert_eq!(error.code, code, "{}", error.message);
    mentions(&error.message, words);
}

#[track_caller]
fn mentions(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

/// Listens and treats every connection in the same way until the test ends.
async fn listener(greeting: &'static [u8], answer: &'static [u8]) -> u32 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(greeting).await.ok()?;
                let mut asked = [0; 512];
                while stream.read(&mut asked).await.ok()? > 0 {
                    stream.write_all(answer).await.ok()?;
                }
                Some(())
            });
        }
    });
    u32::from(port)
}

/// A data source that cannot be used is refused with the reason, and not stored.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let node = OmsNode::start(&folder.path().join("node")).await.unwrap();
    let server = Server::start(ServerKind::Mysql97, ServerOptions::source())
        .await
        .unwrap();
    let good = connection(&server);
    let password = server.password();
    let port = |port: u32| Connection { port, ..good.clone() };

    says(
        create(&node, "a", good.clone(), "wrong").await,
        "OMS-SRC-0002",
        &["oms", "1045"],
    );
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = u32::from(closed.local_addr().unwrap().port());
    drop(closed);
    says(
        create(&node, "a", port(free), password).await,
        "OMS-SRC-0001",
        &[&free.to_string(), "refused"],
    );
    let nowhere = Connection {
        host: "no-such-host.invalid".into(),
        ..good.clone()
    };
    says(
        create(&node, "a", nowhere, password).await,
        "OMS-SRC-0001",
        &["no-such-host.invalid"],
    );
    let ssh = listener(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", b"").await;
    says(
        create(&node, "a", port(ssh), password).await,
        "OMS-SRC-0004",
        &["SSH", &ssh.to_string()],
    );
    let http = listener(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"").await;
    says(
        create(&node, "a", port(http), password).await,
        "OMS-SRC-0004",
        &["HTTP"],
    );
    let silent = listener(b"", b"").await;
    says(
        create(&node, "a", port(silent), password).await,
        "OMS-SRC-0001",
        &["greeted", "not a MySQL port"],
    );
    for wrong in [0, 65_536] {
        says(
            create(&node, "a", port(wrong), password).await,
            "OMS-API-0001",
            &["not a port"],
        );
    }
    let as_mariadb = Connection {
        kind: DataSourceKind::Mariadb as i32,
        ..good.clone()
    };
    says(
        create(&node, "a", as_mariadb, password).await,
        "OMS-API-0001",
        &["MySQL", "mariadb"],
    );
    for name in ["", "white space", &"x".repeat(33)] {
        says(
            create(&node, name, good.clone(), password).await,
            "OMS-API-0001",
            &["32"],
        );
    }
    let mut client = node.data_sources().await.unwrap();
    let stored = client
        .list_data_sources(ListDataSourcesRequest::default())
        .await
        .unwrap()
        .into_inner()
        .data_sources;
    assert!(stored.is_empty(), "{stored:?}");

    create(&node, "a", good.clone(), password).await.unwrap();
    says(
        create(&node, "a", good.clone(), password).await,
        "OMS-API-0003",
        &["\"a\""],
    );
    // A change is tested, too, and a refused one changes nothing.
    let update = UpdateDataSourceRequest {
        name: "a".into(),
        password: Some("wrong".into()),
        ..Default::default()
    };
    says(client.update_data_source(update).await, "OMS-SRC-0002", &["1045"]);
    let request = oms_proto::v1::TestDataSourceRequest {
        name: "a".into(),
        ..Default::default()
    };
    client.test_data_source(request).await.unwrap();
    let delete = |name: &str| DeleteDataSourceRequest { name: name.into() };
    says(
        client.delete_data_source(delete("b")).await,
        "OMS-API-0002",
        &["\"b\""],
    );
    client.delete_data_source(delete("a")).await.unwrap();
}

/// Servers that insist on TLS say so, and with it a whole project runs.
#[tokio::test(flavor = "multi_thread")]
async fn tls_is_required_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let node = OmsNode::start(&folder.path().join("node")).await.unwrap();
    let options = ServerOptions::source().set("require_secure_transport", "OFF");
    let source = Server::start(ServerKind::Mysql97, options).await.unwrap();
    // MariaDB makes no certificates of its own: it borrows those of the source.
    let pem = |name: &str| source.data_folder().join(name).display().to_string();
    let options = ServerOptions::destination()
        .set("ssl_ca", &pem("ca.pem"))
        .set("ssl_cert", &pem("server-cert.pem"))
        .set("ssl_key", &pem("server-key.pem"));
    let destination = Server::start(ServerKind::MariaDb, options).await.unwrap();
    let mut root = source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20))",
        "INSERT INTO shop.t VALUES (1, 'one'), (2, 'two')",
        "SET GLOBAL require_secure_transport = ON",
    ];
    root.run_all(&statements).await.unwrap();
    let mut other = destination.client().await.unwrap();
    other
        .query_drop("SET GLOBAL require_secure_transport = ON")
        .await
        .unwrap();

    for (name, server) in [("src", &source), ("dst", &destination)] {
        let with = |tls: TlsMode| Connection {
            tls: tls as i32,
            ..connection(server)
        };
        says(
            create(&node, name, with(TlsMode::Disable), server.password()).await,
            "OMS-SRC-0003",
            &[],
        );
        // The certificate is signed by nobody that the usual roots know.
        says(
            create(&node, name, with(TlsMode::Verify), server.password()).await,
            "OMS-SRC-0003",
            &["certificate"],
        );
        let broken = Connection {
            tls_ca_pem: "no certificate".into(),
            ..with(TlsMode::Verify)
        };
        let error = create(&node, name, broken, server.password()).await.unwrap_err();
        assert!(error_of(&error).code.starts_with("OMS-"), "{error:?}");
        create(&node, name, with(TlsMode::Require), server.password())
            .await
            .unwrap();
    }
    let project = oms_cluster_tests::ProjectClient { name: "tls".into() };
    let spec = ProjectSpec {
        name: project.name.clone(),
        source: "src".into(),
        destination: "dst".into(),
        databases: vec![whole("shop")],
        ..Default::default()
    };
    let request = CreateProjectRequest { spec: Some(spec) };
    node.projects()
        .await
        .unwrap()
        .create_project(request)
        .await
        .unwrap();
    project.start(&node).await.unwrap().unwrap();
    project
        .wait_step(&node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    root.query_drop("UPDATE shop.t SET v = 'zwei' WHERE id = 2")
        .await
        .unwrap();
    project.wait_caught_up(&node).await.unwrap();
    let v = other
        .query_one("SELECT v FROM shop.t WHERE id = 2")
        .await
        .unwrap();
    assert_eq!(v.as_deref(), Some("zwei"));
}

fn whole(database: &str) -> DatabaseSelection {
    DatabaseSelection {
        name: database.to_owned(),
        ..Default::default()
    }
}

/// The source's log is wrong in every way in turn; each is named by variable, and mended the project goes on.
#[tokio::test(flavor = "multi_thread")]
async fn the_source_does_not_log_as_it_must() {
    let mut scenario = Scenario::start_with(
        ServerKind::Mysql97,
        ServerOptions::source().gtid(false).binlog(false),
        ServerKind::SeekDb,
        ServerOptions::destination(),
    )
    .await
    .unwrap();
    Load::prepare(&scenario.source, &LoadOptions::default(), 200)
        .await
        .unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    let project = scenario.project.clone();
    let failed = async |node: &OmsNode| {
        let (code, message) = project.wait_failed(node).await.unwrap();
        assert_eq!(code, "OMS-PRECHECK-0001", "{message}");
        message
    };
    let message = failed(&scenario.node).await;
    mentions(&message, &["DB_INCR_LOG", "OMS-SRC-0006"]);

    let options = ServerOptions::source()
        .gtid(false)
        .set("binlog_format", "STATEMENT")
        .set("binlog_row_image", "MINIMAL");
    scenario.source.restart_with(options).await.unwrap();
    project.resume(&scenario.node).await.unwrap().unwrap();
    let message = failed(&scenario.node).await;
    mentions(
        &message,
        &[
            "OMS-SRC-0007",
            "binlog_format is STATEMENT",
            "OMS-SRC-0015",
            "binlog_row_image is MINIMAL",
        ],
    );

    let mut root = scenario.source.client().await.unwrap();
    root.query_drop("SET GLOBAL binlog_format = 'ROW'").await.unwrap();
    project.resume(&scenario.node).await.unwrap().unwrap();
    let message = failed(&scenario.node).await;
    mentions(&message, &["OMS-SRC-0015"]);
    assert!(!message.contains("OMS-SRC-0007"), "{message}");
    let items = project.precheck_items(&scenario.node).await.unwrap();
    let item = item(&items, "DB_INCR_LOG");
    mentions(&item.action, &["binlog_row_image=FULL"]);
    // Nothing was begun at the destination.
    let mut there = scenario.destination.client().await.unwrap();
    let databases = there.query_strings("SHOW DATABASES").await.unwrap();
    assert!(
        !databases.iter().any(|d| d[0] == "load" || d[0] == "omsnode_meta"),
        "{databases:?}"
    );

    root.query_drop("SET GLOBAL binlog_row_image = 'FULL'")
        .await
        .unwrap();
    project.resume(&scenario.node).await.unwrap().unwrap();
    // Without GTIDs, a table without a key needs one more privilege.
    let message = failed(&scenario.node).await;
    mentions(
        &message,
        &["OMS-SRC-0005", "PROCESS ON *.*", "`load`.`load_nokey`"],
    );
    root.query_drop("GRANT PROCESS ON *.* TO 'oms'@'%'")
        .await
        .unwrap();
    project.resume(&scenario.node).await.unwrap().unwrap();
    // Without GTIDs the copy of a table without a key needs a moment in which nobody writes to it.
    project
        .wait_step(&scenario.node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    let load = Load::start(&scenario.source, &LoadOptions::default())
        .await
        .unwrap();
    project
        .wait_step(&scenario.node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    load.stop().await.unwrap();
    project.wait_caught_up(&scenario.node).await.unwrap();
    assert!(project.verify(&scenario.node).await.unwrap().consistent);
    scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
}

#[track_caller]
fn item<'i>(items: &'i [PrecheckItem], key: &str) -> &'i PrecheckItem {
    let found = |i: &&PrecheckItem| i.key == key && i.status() == PrecheckStatus::Failed;
    items
        .iter()
        .find(found)
        .unwrap_or_else(|| panic!("{key} did not fail: {items:?}"))
}

/// One session logs a statement instead of rows: the project stops there, by position, and does not step over it.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_in_the_middle_of_the_log() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)",
        "INSERT INTO shop.t VALUES (1, 1), (2, 2)",
    ];
    root.run_all(&statements).await.unwrap();
    scenario.launch(scenario.spec(&["shop"])).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    let statements = [
        "UPDATE shop.t SET v = 10 WHERE id = 1",
        "SET SESSION binlog_format = 'STATEMENT'",
        "UPDATE shop.t SET v = 20 WHERE id = 2",
        "SET SESSION binlog_format = 'ROW'",
        "UPDATE shop.t SET v = 30 WHERE id = 1",
    ];
    root.run_all(&statements).await.unwrap();
    let mut there = scenario.destination.client().await.unwrap();
    for _ in 0..2 {
        let (code, message) = project.wait_failed(node).await.unwrap();
        assert_eq!(code, "OMS-SRC-0007", "{message}");
        mentions(&message, &["binlog.0"]);
        assert!(!message.contains("20"), "a value is in the message: {message}");
        // It stays stopped there when somebody only resumes.
        project.resume(node).await.unwrap().unwrap();
    }
    project.wait_failed(node).await.unwrap();
    let rows = there
        .query_strings("SELECT v FROM shop.t ORDER BY id")
        .await
        .unwrap();
    assert_eq!(rows[1], ["2"], "{rows:?}");
    assert_ne!(rows[0], ["30"], "what follows the statement was applied");
}

/// Partial row images are refused by default, also from one session in the middle; by policy they are applied.
#[tokio::test(flavor = "multi_thread")]
async fn partial_rows() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let options = LoadOptions::default();
    Load::prepare(&scenario.source, &options, 200).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let mut root = scenario.source.client().await.unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    let statements = [
        "SET SESSION binlog_row_image = 'MINIMAL'",
        "UPDATE load.load_single SET n = n + 1 LIMIT 3",
    ];
    root.run_all(&statements).await.unwrap();
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-SRC-0015", "{message}");
    mentions(&message, &["binlog.0"]);
    project.release(node).await.unwrap().unwrap();
    project.wait_released(node).await.unwrap();
    project.delete(node).await.unwrap().unwrap();

    let mut there = scenario.destination.client().await.unwrap();
    there.query_drop("DROP DATABASE `load`").await.unwrap();
    root.query_drop("SET GLOBAL binlog_row_image = 'MINIMAL'")
        .await
        .unwrap();
    let spec = ProjectSpec {
        incremental: Some(IncrementalOptions {
            partial_rows: PartialRows::Apply as i32,
            ..Default::default()
        }),
        ..scenario.spec(&["load"])
    };
    scenario.launch(spec).await.unwrap();
    project
        .wait_step(node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    let load = Load::start(&scenario.source, &options).await.unwrap();
    while load.counters().updates < 200 {
        tokio::task::yield_now().await;
    }
    load.stop().await.unwrap();
    project.wait_caught_up(node).await.unwrap();
    assert!(project.verify(node).await.unwrap().consistent);
    scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
}

/// Each missing privilege is named; granted, the project goes on.
#[tokio::test(flavor = "multi_thread")]
async fn missing_privileges_are_named() {
    let scenario = Scenario::start(ServerKind::Mysql97, ServerKind::Mysql97)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.seen (id INT PRIMARY KEY)",
        "CREATE TABLE shop.hidden (id INT PRIMARY KEY)",
        "INSERT INTO shop.seen VALUES (1)",
        "INSERT INTO shop.hidden VALUES (1)",
        "REVOKE ALL PRIVILEGES ON *.* FROM 'oms'@'%'",
        "GRANT REPLICATION CLIENT ON *.* TO 'oms'@'%'",
        "GRANT SELECT ON shop.seen TO 'oms'@'%'",
        // Visible, but not readable.
        "GRANT INSERT ON shop.hidden TO 'oms'@'%'",
    ];
    root.run_all(&statements).await.unwrap();
    let mut there = scenario.destination.client().await.unwrap();
    let statements = [
        "REVOKE ALL PRIVILEGES ON *.* FROM 'oms'@'%'",
        "GRANT SELECT, UPDATE, DELETE, ALTER, INDEX, DROP, REFERENCES ON *.* TO 'oms'@'%'",
    ];
    there.run_all(&statements).await.unwrap();
    scenario.launch(scenario.spec(&["shop"])).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-PRECHECK-0001", "{message}");
    mentions(
        &message,
        &[
            "OMS-SRC-0005",
            "REPLICATION SLAVE ON *.*",
            "SELECT ON `shop`.`hidden`",
            "OMS-DST-0005",
            "INSERT ON `shop`.*",
            "CREATE ON `shop`.*",
            "INSERT ON `omsnode_meta`.*",
        ],
    );
    assert!(!message.contains("SELECT ON `shop`.`seen`"), "{message}");

    let statements = [
        "GRANT REPLICATION SLAVE ON *.* TO 'oms'@'%'",
        "GRANT SELECT ON shop.hidden TO 'oms'@'%'",
    ];
    root.run_all(&statements).await.unwrap();
    project.resume(node).await.unwrap().unwrap();
    let (_, message) = project.wait_failed(node).await.unwrap();
    assert!(
        !message.contains("OMS-SRC-") && message.contains("OMS-DST-0005"),
        "{message}"
    );
    there
        .query_drop("GRANT INSERT, CREATE ON *.* TO 'oms'@'%'")
        .await
        .unwrap();
    project.resume(node).await.unwrap().unwrap();
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    scenario.assert_equal("shop", &["seen", "hidden"]).await.unwrap();

    // A privilege that is taken away in the middle; global ones count from the next login on.
    project.pause(node).await.unwrap().unwrap();
    there
        .query_drop("REVOKE INSERT ON *.* FROM 'oms'@'%'")
        .await
        .unwrap();
    root.query_drop("INSERT INTO shop.seen VALUES (2)").await.unwrap();
    project.resume(node).await.unwrap().unwrap();
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-DST-0005", "{message}");
    mentions(&message, &["INSERT"]);
    there
        .query_drop("GRANT INSERT ON *.* TO 'oms'@'%'")
        .await
        .unwrap();
    project.resume(node).await.unwrap().unwrap();
    project.wait_caught_up(node).await.unwrap();
    scenario.assert_equal("shop", &["seen"]).await.unwrap();
}

/// Objects that are not there or cannot move are named one by one.
#[tokio::test(flavor = "multi_thread")]
async fn objects_that_cannot_move() {
    let scenario = Scenario::start(ServerKind::Mysql97, ServerKind::SeekDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.fine (id INT PRIMARY KEY, v INT)",
        "INSERT INTO shop.fine VALUES (1, 1)",
        "CREATE TABLE shop.old (id INT PRIMARY KEY, v INT) ENGINE=MyISAM",
        "INSERT INTO shop.old VALUES (1, 1)",
        "CREATE TABLE shop.vectors (id INT PRIMARY KEY, v VECTOR(3))",
        "CREATE TABLE shop.floating (f FLOAT PRIMARY KEY)",
    ];
    root.run_all(&statements).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let table = |name: &str| TableSelection {
        name: name.into(),
        ..Default::default()
    };
    let only = |tables: &[&str], exclude: &[&str]| ProjectSpec {
        databases: vec![DatabaseSelection {
            tables: tables.iter().map(|t| table(t)).collect(),
            exclude: exclude.iter().map(|t| (*t).to_owned()).collect(),
            ..whole("shop")
        }],
        ..scenario.spec(&[])
    };
    let mut client = node.projects().await.unwrap();
    let mut refused = async |spec: ProjectSpec, code: &str, words: &[&str]| {
        let request = CreateProjectRequest { spec: Some(spec) };
        says(client.create_project(request).await, code, words);
    };
    refused(
        only(&["fine", "nothing"], &[]),
        "OMS-SRC-0011",
        &["`shop`.`nothing`"],
    )
    .await;
    refused(only(&[], &["nothing"]), "OMS-SRC-0011", &["`shop`.`nothing`"]).await;
    refused(scenario.spec(&["nowhere"]), "OMS-SRC-0011", &["nowhere"]).await;
    refused(scenario.spec(&["mysql"]), "OMS-API-0001", &["mysql", "server"]).await;
    refused(
        ProjectSpec {
            source: "none".into(),
            ..scenario.spec(&["shop"])
        },
        "OMS-API-0002",
        &["source", "\"none\""],
    )
    .await;
    // A key that no item has is a mistake, not a wish.
    let skipping = |keys: &[&str], spec: ProjectSpec| ProjectSpec {
        precheck: Some(PrecheckOptions {
            skip: keys.iter().map(|k| (*k).to_owned()).collect(),
        }),
        ..spec
    };
    refused(
        skipping(&["DB_ENGIN"], scenario.spec(&["shop"])),
        "OMS-API-0001",
        &["precheck.skip", "DB_ENGIN"],
    )
    .await;

    let request = ValidateProjectRequest {
        spec: Some(scenario.spec(&["shop"])),
        offline: false,
    };
    let found = client.validate_project(request).await.unwrap().into_inner();
    let engine = item(&found.items, "DB_ENGINE");
    mentions(&engine.message, &["OMS-SCHEMA-0003", "`shop`.`old`", "MyISAM"]);
    assert!(engine.skippable);
    mentions(&engine.action, &["InnoDB"]);
    let types = item(&found.items, "DB_DATA_TYPE");
    mentions(
        &types.message,
        &["OMS-SRC-0016", "`shop`.`vectors`", "`v`", "vector"],
    );
    let keys = item(&found.items, "DB_DATA_TYPE_INDEX");
    mentions(&keys.message, &["OMS-IMPORT-0003", "`shop`.`floating`"]);
    assert!(!keys.skippable && !keys.action.is_empty());

    // What can be skipped is skipped by name; what cannot be is not.
    let spec = skipping(
        &["DB_ENGINE", "DB_DATA_TYPE_INDEX"],
        only(&["fine", "old", "floating"], &[]),
    );
    scenario.launch(spec).await.unwrap();
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-PRECHECK-0001");
    mentions(&message, &["DB_DATA_TYPE_INDEX", "`shop`.`floating`"]);
    assert!(!message.contains("DB_ENGINE"), "{message}");
    let items = project.precheck_items(node).await.unwrap();
    let engine = items.iter().find(|i| i.key == "DB_ENGINE").unwrap();
    assert_eq!(engine.status(), PrecheckStatus::Skipped, "{engine:?}");
    // Mended at the source, the same project goes on.
    root.query_drop("ALTER TABLE shop.floating MODIFY f INT NOT NULL")
        .await
        .unwrap();
    project.resume(node).await.unwrap().unwrap();
    // What was skipped by name is asked once more where it matters: how is the table to be created?
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-SCHEMA-0001", "{message}");
    mentions(&message, &["`shop`.`old`", "MyISAM"]);
    let edit = ["CREATE TABLE shop.old (id INT PRIMARY KEY, v INT)"];
    project
        .decide_table(node, ("shop", "old"), ObjectDecision::Edit, &edit)
        .await
        .unwrap()
        .unwrap();
    project.resume(node).await.unwrap().unwrap();
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    scenario
        .assert_equal("shop", &["fine", "old", "floating"])
        .await
        .unwrap();
}

/// A malformed spec file is refused by line and field, before anything is asked of the daemon.
#[test]
fn a_malformed_spec_file() {
    let folder = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let program = std::env::var_os("OMSNODE_BIN").map_or_else(
        || own.parent().unwrap().parent().unwrap().join("omsnode"),
        Into::into,
    );
    let file = folder.path().join("project.yaml");
    let validate = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = Command::new(&program)
            .args(["project", "validate", "-f"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let head = "name: p\nsource: a\ndestination: b\n";
    let unknown = validate(&format!("{head}databases:\n  - name: d\n    exlude: [x]\n"));
    mentions(&unknown, &["OMS-API-0005", "exlude", "project.yaml:6:"]);
    let wrong = validate(&format!("{head}databases: 7\n"));
    mentions(&wrong, &["OMS-API-0005", "databases", "project.yaml:4:"]);
    let value = validate(&format!(
        "{head}databases:\n  - name: d\nfull:\n  on_existing_rows: overwrite\n"
    ));
    mentions(
        &value,
        &["OMS-API-0005", "on_existing_rows", "overwrite", "project.yaml:7:"],
    );
}
