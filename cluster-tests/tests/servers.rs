//! Every kind of server starts, answers, keeps its data over a crash and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::time::{Duration, Instant};

use oms_cluster_tests::{Client, Server, ServerKind, ServerOptions};

async fn lives(kind: ServerKind, options: ServerOptions) {
    let begin = Instant::now();
    let mut server = Server::start(kind, options).await.unwrap();
    eprintln!("{kind}: answers after {:?}", begin.elapsed());
    let mut client = server.client().await.unwrap();
    client.query_drop("CREATE DATABASE d").await.unwrap();
    client
        .query_drop("CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(20))")
        .await
        .unwrap();
    client
        .query_drop("INSERT INTO d.t VALUES (1, 'kept')")
        .await
        .unwrap();

    // A frozen server holds its connections and answers nobody; a thawed one goes on.
    server.freeze().unwrap();
    let silent = tokio::time::timeout(Duration::from_millis(300), client.query_drop("SELECT 1")).await;
    assert!(silent.is_err(), "{kind}: answered while frozen");
    server.thaw().unwrap();
    drop(client);

    server.kill().unwrap();
    assert!(server.client().await.is_err(), "{kind}: answered after kill");
    let begin = Instant::now();
    server.restart().await.unwrap();
    eprintln!("{kind}: answers again {:?} after kill", begin.elapsed());
    let mut client = server.client().await.unwrap();
    assert_eq!(
        client.query_one("SELECT v FROM d.t").await.unwrap().as_deref(),
        Some("kept")
    );
    drop(client);

    let begin = Instant::now();
    server.stop().await.unwrap();
    eprintln!("{kind}: stopped in {:?}", begin.elapsed());
    server.restart().await.unwrap();
    let mut oms = Client::connect_to(server.host(), server.port(), server.oms_user(), server.password())
        .await
        .unwrap();
    assert_eq!(
        oms.query_one("SELECT v FROM d.t").await.unwrap().as_deref(),
        Some("kept")
    );

    let (pid, folder) = (server.pid().unwrap(), server.data_folder());
    drop(server);
    assert!(
        !std::path::Path::new(&format!("/proc/{pid}")).exists(),
        "{kind}: still runs"
    );
    assert!(!folder.exists(), "{kind}: folder left behind");
}

#[tokio::test]
async fn mariadb_lives() {
    lives(ServerKind::MariaDb, ServerOptions::source()).await;
}

#[tokio::test]
async fn mysql56_lives() {
    lives(ServerKind::Mysql56, ServerOptions::source()).await;
}

#[tokio::test]
async fn mysql97_lives() {
    lives(ServerKind::Mysql97, ServerOptions::source()).await;
}

#[tokio::test]
async fn seekdb_lives() {
    lives(ServerKind::SeekDb, ServerOptions::destination()).await;
}

async fn variable(client: &mut Client, name: &str) -> String {
    client
        .query_one(&format!("SELECT @@GLOBAL.{name}"))
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn roles_and_overrides_reach_the_server() {
    for kind in ServerKind::SOURCES {
        let options = ServerOptions::source()
            .gtid(false)
            .durable(true)
            .set("binlog_row_image", "MINIMAL");
        let server = Server::start(kind, options).await.unwrap();
        let mut client = server.client().await.unwrap();
        assert_eq!(variable(&mut client, "log_bin").await, "1", "{kind}");
        assert_eq!(variable(&mut client, "binlog_format").await, "ROW", "{kind}");
        assert_eq!(
            variable(&mut client, "binlog_row_image").await,
            "MINIMAL",
            "{kind}"
        );
        assert_eq!(variable(&mut client, "sync_binlog").await, "1", "{kind}");
        assert_eq!(
            variable(&mut client, "server_id").await,
            server.server_id().to_string(),
            "{kind}"
        );
        if kind != ServerKind::MariaDb {
            assert_eq!(variable(&mut client, "gtid_mode").await, "OFF", "{kind}");
        }
    }
    for kind in [ServerKind::Mysql97, ServerKind::MariaDb] {
        let server = Server::start(kind, ServerOptions::destination()).await.unwrap();
        let mut client = server.client().await.unwrap();
        assert_eq!(variable(&mut client, "log_bin").await, "0", "{kind}");
        assert_eq!(variable(&mut client, "local_infile").await, "1", "{kind}");
    }
}

#[tokio::test]
async fn a_source_account_may_read_the_binlog_and_not_write() {
    for kind in ServerKind::SOURCES {
        let server = Server::start(kind, ServerOptions::source()).await.unwrap();
        let (host, port) = (server.host(), server.port());
        let mut oms = Client::connect_to(host, port, server.oms_user(), server.password())
            .await
            .unwrap();
        let status = if kind == ServerKind::Mysql97 {
            "SHOW BINARY LOG STATUS"
        } else {
            "SHOW MASTER STATUS"
        };
        assert_eq!(oms.query_rows(status).await.unwrap().len(), 1, "{kind}");
        let refused = oms.query_drop("CREATE DATABASE d").await.unwrap_err();
        assert_eq!(refused.server_code(), Some(1044), "{kind}: {refused}");
        assert!(
            Client::connect_to(host, port, "root", "").await.is_err(),
            "{kind}: empty password accepted"
        );
    }
}

#[tokio::test]
async fn sources_take_the_settings_that_change_their_log() {
    // Variable, what is set, what the server shows.
    type Setting = (&'static str, &'static str, &'static str);
    let settings: [(ServerKind, &[Setting]); 3] = [
        (
            ServerKind::MariaDb,
            &[
                ("log_bin_compress", "ON", "1"),
                ("binlog_checksum", "NONE", "NONE"),
                ("binlog_row_metadata", "FULL", "FULL"),
                ("binlog_annotate_row_events", "OFF", "0"),
            ],
        ),
        (
            ServerKind::Mysql56,
            &[
                ("binlog_checksum", "NONE", "NONE"),
                ("binlog_row_image", "NOBLOB", "NOBLOB"),
            ],
        ),
        (
            ServerKind::Mysql97,
            &[
                ("binlog_transaction_compression", "ON", "1"),
                ("binlog_row_value_options", "PARTIAL_JSON", "PARTIAL_JSON"),
                ("binlog_row_metadata", "FULL", "FULL"),
            ],
        ),
    ];
    for (kind, settings) in settings {
        let options = settings
            .iter()
            .fold(ServerOptions::source(), |options, (name, value, _)| {
                options.set(name, value)
            });
        let mut server = Server::start(kind, options).await.unwrap();
        let mut client = server.client().await.unwrap();
        for (name, _, shown) in settings {
            assert_eq!(variable(&mut client, name).await, *shown, "{kind} {name}");
        }
        drop(client);
        let statement = ServerOptions::source()
            .gtid(false)
            .set("binlog_format", "STATEMENT");
        server.restart_with(statement).await.unwrap();
        let mut client = server.client().await.unwrap();
        assert_eq!(
            variable(&mut client, "binlog_format").await,
            "STATEMENT",
            "{kind}"
        );
        drop(client);
        server
            .restart_with(ServerOptions::source().binlog(false))
            .await
            .unwrap();
        let mut client = server.client().await.unwrap();
        assert_eq!(variable(&mut client, "log_bin").await, "0", "{kind}");
    }
}
